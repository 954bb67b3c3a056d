//! Environment variables. Only this module reads them.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use url::Url;

use crate::doctor::ProxyInfo;

/// What `--env-file` adds.
static FROM_FILE: OnceLock<BTreeMap<String, String>> = OnceLock::new();

/// Adds variables to those of the environment, which wins unless it is empty there. Once a run.
pub(crate) fn add(variables: BTreeMap<String, String>) {
    FROM_FILE.get_or_init(|| variables);
}

/// Returns a variable. An empty one counts as not set, because shells and CI systems unset variables that way.
pub(crate) fn variable(name: &str) -> Option<String> {
    interpolated(name).filter(|value| !value.is_empty())
}

/// Returns a variable for use in files, where an empty one counts as set.
pub(crate) fn interpolated(name: &str) -> Option<String> {
    let own = std::env::var(name).ok();
    let from_file = || FROM_FILE.get()?.get(name).cloned();
    match own {
        Some(value) if !value.is_empty() => Some(value),
        empty => from_file().or(empty),
    }
}

/// Proxy variables for https, in order of precedence.
const PROXIES: [&str; 4] = ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"];

/// Invalid proxy variable. The value is not shown, because it may contain a password.
#[derive(Debug, thiserror::Error)]
#[error("invalid proxy in {variable}: {why}")]
pub(crate) struct InvalidProxy {
    variable: &'static str,
    why: String,
}

/// Returns an error for an invalid proxy. Ignoring it would send requests directly.
pub(crate) fn validate_proxies() -> Result<(), InvalidProxy> {
    for variable in PROXIES {
        if let Some(text) = self::variable(variable) {
            check_proxy(&text).map_err(|why| InvalidProxy { variable, why })?;
        }
    }
    Ok(())
}

/// Returns the first proxy variable that is set.
pub(crate) fn proxy_variable() -> Option<&'static str> {
    PROXIES.into_iter().find(|name| variable(name).is_some())
}

/// Returns the proxy variable used for a host, with the proxy's host and port but without user and password.
pub(crate) fn proxy_to(host: &str) -> Option<ProxyInfo> {
    let exempt = variable("NO_PROXY").or_else(|| variable("no_proxy"));
    if exempt.is_some_and(|names| is_exempt(host, &names)) {
        return None;
    }
    let variable = proxy_variable()?;
    let url = Url::parse(&whole(&self::variable(variable)?)).ok()?;
    let port = url.port_or_known_default().map(|port| format!(":{port}"));
    Some(ProxyInfo {
        variable: variable.to_owned(),
        address: format!("{}{}", url.host_str()?, port.unwrap_or_default()),
    })
}

/// Returns true if a list such as `NO_PROXY` contains a host or its domain.
fn is_exempt(host: &str, names: &str) -> bool {
    let mut names = names
        .split(',')
        .map(|name| name.trim().trim_start_matches('.'));
    names.any(|name| {
        let within = || {
            host.strip_suffix(name)
                .is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
        };
        name == "*" || (!name.is_empty() && within())
    })
}

/// Adds the scheme to a proxy without one.
fn whole(text: &str) -> String {
    if text.contains("://") {
        text.to_owned()
    } else {
        format!("http://{text}")
    }
}

fn check_proxy(text: &str) -> Result<(), String> {
    let url =
        Url::parse(&whole(text)).map_err(|error| format!("{error}; expected http://host:port"))?;
    match url.scheme() {
        "http" | "https" if url.host().is_some() && url.path() == "/" => Ok(()),
        "http" | "https" => Err("expected http://host:port".to_owned()),
        scheme => Err(format!(
            "{scheme} is not supported; expected http://host:port"
        )),
    }
}

/// Returns the user who runs riskform: from the CI system, else the local user name or number.
pub(crate) fn actor() -> String {
    const VARIABLES: [(&str, &str); 7] = [
        ("GITHUB_ACTOR", "github"),
        ("GITLAB_USER_LOGIN", "gitlab"),
        ("BUILDKITE_BUILD_CREATOR", "buildkite"),
        ("CIRCLE_USERNAME", "circleci"),
        ("BUILD_USER_ID", "jenkins"),
        ("USER", "user"),
        ("LOGNAME", "user"),
    ];
    let named = VARIABLES
        .iter()
        .find_map(|(name, origin)| Some(format!("{origin}:{}", variable(name)?)));
    named.unwrap_or_else(|| format!("uid:{}", rustix::process::getuid().as_raw()))
}

/// Returns the URL of the CI job.
pub(crate) fn run_url() -> Option<Url> {
    const VARIABLES: [&str; 4] = [
        "CI_JOB_URL",
        "BUILDKITE_BUILD_URL",
        "CIRCLE_BUILD_URL",
        "BUILD_URL",
    ];
    let github = || {
        let server = variable("GITHUB_SERVER_URL")?;
        let repository = variable("GITHUB_REPOSITORY")?;
        let run = variable("GITHUB_RUN_ID")?;
        Some(format!("{server}/{repository}/actions/runs/{run}"))
    };
    let text = github().or_else(|| VARIABLES.into_iter().find_map(variable))?;
    let url = Url::parse(&text).ok()?;
    matches!(url.scheme(), "http" | "https").then_some(url)
}

/// All variables with their meaning.
pub(crate) const VARIABLES: &[(&str, &str)] = &[
    (
        API_TOKEN,
        "API token (a file can select another variable with api_token_env)",
    ),
    (
        "CLOUDFLARE_EMAIL, CLOUDFLARE_API_KEY",
        "legacy credentials, used if there is no token",
    ),
    (
        ACCOUNT_ID,
        "account ID, if neither the file nor --account-id sets it",
    ),
    (BASE_URL, "same as --base-url"),
    (
        "*_ACCOUNT_ID, RISKFORM_VAR_*",
        "variables that files can use as ${NAME}",
    ),
    ("RISKFORM_LIMITS", "same as --limits"),
    (
        NOTIFY,
        "URLs to notify, separated by spaces; same as --notify",
    ),
    (
        NOTIFY_SECRET,
        "key for signing webhook requests (HMAC-SHA256)",
    ),
    ("HTTPS_PROXY, ALL_PROXY, NO_PROXY", "proxy settings"),
    ("NO_COLOR, CLICOLOR_FORCE", "disable or force colors"),
    (
        "GITHUB_ACTIONS, GITHUB_OUTPUT, GITHUB_STEP_SUMMARY, GITLAB_CI",
        "used by --ci",
    ),
    ("CI", "if set, next steps are not printed"),
    (
        "GITHUB_ACTOR, GITLAB_USER_LOGIN, BUILDKITE_BUILD_CREATOR, CIRCLE_USERNAME, BUILD_USER_ID, USER, LOGNAME",
        "actor name for --audit-log",
    ),
    (
        "GITHUB_SERVER_URL, GITHUB_REPOSITORY, GITHUB_RUN_ID, CI_JOB_URL, BUILDKITE_BUILD_URL, CIRCLE_BUILD_URL, BUILD_URL",
        "link to the CI run for notifications",
    ),
    ("XDG_STATE_HOME, HOME", "location of the notification state"),
];

/// Account ID.
pub(crate) const ACCOUNT_ID: &str = "CLOUDFLARE_ACCOUNT_ID";
/// API base URL.
pub(crate) const BASE_URL: &str = "CLOUDFLARE_BASE_URL";
/// Operator limits file.
pub(crate) const LIMITS: &str = "RISKFORM_LIMITS";
/// API token.
pub(crate) const API_TOKEN: &str = "CLOUDFLARE_API_TOKEN";
/// Email address of the legacy credentials.
pub(crate) const EMAIL: &str = "CLOUDFLARE_EMAIL";
/// Key of the legacy credentials.
pub(crate) const API_KEY: &str = "CLOUDFLARE_API_KEY";
/// Set by GitHub Actions.
pub(crate) const GITHUB_ACTIONS: &str = "GITHUB_ACTIONS";
/// Set by most CI systems.
pub(crate) const CI: &str = "CI";
/// URLs to notify, separated by whitespace.
pub(crate) const NOTIFY: &str = "RISKFORM_NOTIFY";
/// Key for signing webhook requests.
pub(crate) const NOTIFY_SECRET: &str = "RISKFORM_NOTIFY_SECRET";

#[cfg(test)]
mod tests {
    use super::{VARIABLES, check_proxy, is_exempt};

    #[test]
    fn a_host_is_exempt_by_its_name_and_by_its_domains() {
        let host = "api.cloudflare.com";
        for names in [
            "*",
            "api.cloudflare.com",
            "localhost, .cloudflare.com",
            "cloudflare.com",
        ] {
            assert!(is_exempt(host, names), "{names}");
        }
        for names in ["", ",", "flare.com", "a.api.cloudflare.com", "example.com"] {
            assert!(!is_exempt(host, names), "{names}");
        }
    }

    #[test]
    fn the_readme_names_every_variable() {
        let readme = include_str!("../../../README.md");
        let table = readme.split("## Environment variables").nth(1).unwrap();
        let table = table.split("\n## ").next().unwrap();
        for name in VARIABLES.iter().flat_map(|(names, _)| names.split(", ")) {
            assert!(table.contains(&format!("`{name}`")), "{name}");
        }
    }

    #[test]
    fn a_proxy_is_http_or_https_and_a_host() {
        for fine in [
            "http://proxy:3128",
            "https://proxy.example.com",
            "proxy:3128",
            "http://u:p@10.0.0.1:3128/",
        ] {
            assert_eq!(check_proxy(fine), Ok(()), "{fine}");
        }
        let table = [
            ("http://", "empty host; expected http://host:port"),
            (
                "http://proxy:port",
                "invalid port number; expected http://host:port",
            ),
            (
                "http://canary canary",
                "invalid international domain name; expected http://host:port",
            ),
            (
                "socks5://canary",
                "socks5 is not supported; expected http://host:port",
            ),
            ("http://proxy/canary", "expected http://host:port"),
        ];
        for (text, why) in table {
            let said = check_proxy(text).unwrap_err();
            assert!(!said.contains("canary"), "{said}");
            assert_eq!(said, why, "{text}");
        }
    }
}
