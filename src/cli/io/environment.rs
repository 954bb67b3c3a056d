//! What riskform takes from the environment: the only place where it is read.

use std::collections::BTreeMap;
use std::sync::OnceLock;

/// What `--env-file` adds.
static FROM_FILE: OnceLock<BTreeMap<String, String>> = OnceLock::new();

/// Adds variables to those of the environment, which wins unless it is empty there. Once a run.
pub(crate) fn add(variables: BTreeMap<String, String>) {
    FROM_FILE.get_or_init(|| variables);
}
use url::Url;

use crate::cli::run::ending::Error;

/// Reads a variable; one that is empty counts as not set, since that is how shells and CI unset them.
pub(crate) fn variable(name: &str) -> Option<String> {
    interpolated(name).filter(|value| !value.is_empty())
}

/// Reads a variable as files see it: set but empty is something else than not set.
pub(crate) fn interpolated(name: &str) -> Option<String> {
    let own = std::env::var(name).ok();
    let from_file = || FROM_FILE.get()?.get(name).cloned();
    match own {
        Some(value) if !value.is_empty() => Some(value),
        empty => from_file().or(empty),
    }
}

/// The variables that name a proxy for https, in the order in which they are looked at.
const PROXIES: [&str; 4] = ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"];

/// Refuses a proxy that can't be used: without it, the call would go out directly, which is what a proxy is there to prevent. What the
/// variable holds is not shown, since it may be a password.
pub(crate) fn check_proxies() -> Result<(), Error> {
    for name in PROXIES {
        if let Some(text) = variable(name)
            && let Err(why) = check_proxy(&text)
        {
            return Err(Error::Other(anyhow::anyhow!(
                "the proxy in {name} can't be used: {why}"
            )));
        }
    }
    Ok(())
}

/// The variable that names the proxy for https, where there is one.
pub(crate) fn proxy_variable() -> Option<&'static str> {
    PROXIES.into_iter().find(|name| variable(name).is_some())
}

fn check_proxy(text: &str) -> Result<(), String> {
    let whole = if text.contains("://") {
        text.to_owned()
    } else {
        format!("http://{text}")
    };
    let url = Url::parse(&whole).map_err(|error| format!("{error}; write http://host:port"))?;
    match url.scheme() {
        "http" | "https" if url.host().is_some() && url.path() == "/" => Ok(()),
        "http" | "https" => Err("it is not http://host:port".to_owned()),
        scheme => Err(format!("{scheme} is not supported; write http://host:port")),
    }
}

/// Who runs this: what a CI says about it, else the user of the machine, if only by number.
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

/// Where the pipeline around the run shows it, as its CI says.
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

/// Every variable that is read, and what for.
pub(crate) const VARIABLES: &[(&str, &str)] = &[
    (
        API_TOKEN,
        "the API token; files may name another one with api_token_env",
    ),
    (
        "CLOUDFLARE_EMAIL, CLOUDFLARE_API_KEY",
        "the legacy credentials, where there is no token",
    ),
    (
        ACCOUNT_ID,
        "the account, where neither file nor --account-id names one",
    ),
    (
        BASE_URL,
        "the API's base URL, where --base-url is not given",
    ),
    (
        "*_ACCOUNT_ID, RISKFORM_VAR_*",
        "what files may interpolate beside CLOUDFLARE_ACCOUNT_ID",
    ),
    (
        "RISKFORM_LIMITS",
        "what the operator permits, where --limits is not given",
    ),
    (
        NOTIFY,
        "the URLs that drift notifies, separated by spaces, where --notify is not given",
    ),
    (NOTIFY_SECRET, "signs what goes to webhooks"),
    (
        "HTTPS_PROXY, ALL_PROXY, NO_PROXY",
        "the proxy on the way to the API",
    ),
    (
        "NO_COLOR, CLICOLOR_FORCE",
        "whether to color, where --color is auto",
    ),
    (
        "GITHUB_ACTIONS, GITHUB_OUTPUT, GITHUB_STEP_SUMMARY, GITLAB_CI",
        "the pipeline that --ci tells",
    ),
    (
        "CI",
        "set by pipelines; then nothing is said about what to do next",
    ),
    (
        "GITHUB_ACTOR, GITHUB_RUN_ID, GITLAB_USER_LOGIN, CI_JOB_URL, BUILDKITE_*, CIRCLE_*, BUILD_*, USER",
        "who runs this, for --audit-log, and where the run is shown, for notifications",
    ),
    (
        "XDG_STATE_HOME, HOME",
        "where what was notified is kept, in riskform below the first or .local/state/riskform below the second",
    ),
];

/// The account, where neither file nor flag names one.
pub(crate) const ACCOUNT_ID: &str = "CLOUDFLARE_ACCOUNT_ID";
/// The API's base URL.
pub(crate) const BASE_URL: &str = "CLOUDFLARE_BASE_URL";
/// The file that sets the operator's limits, where no flag names one.
pub(crate) const LIMITS: &str = "RISKFORM_LIMITS";
/// The API token.
pub(crate) const API_TOKEN: &str = "CLOUDFLARE_API_TOKEN";
/// The e-mail address of the legacy credentials.
pub(crate) const EMAIL: &str = "CLOUDFLARE_EMAIL";
/// The key of the legacy credentials.
pub(crate) const API_KEY: &str = "CLOUDFLARE_API_KEY";
/// Set where GitHub's runner reads along.
pub(crate) const GITHUB_ACTIONS: &str = "GITHUB_ACTIONS";
/// Set by nearly every pipeline.
pub(crate) const CI: &str = "CI";
/// The URLs to notify, separated by white space, where no flag names any.
pub(crate) const NOTIFY: &str = "RISKFORM_NOTIFY";
/// Signs what goes to webhooks.
pub(crate) const NOTIFY_SECRET: &str = "RISKFORM_NOTIFY_SECRET";

#[cfg(test)]
mod tests {
    use super::check_proxy;

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
            ("http://", "empty host; write http://host:port"),
            (
                "http://proxy:port",
                "invalid port number; write http://host:port",
            ),
            (
                "http://canary canary",
                "invalid international domain name; write http://host:port",
            ),
            (
                "socks5://canary",
                "socks5 is not supported; write http://host:port",
            ),
            ("http://proxy/canary", "it is not http://host:port"),
        ];
        for (text, why) in table {
            let said = check_proxy(text).unwrap_err();
            assert!(!said.contains("canary"), "{said}");
            assert_eq!(said, why, "{text}");
        }
    }
}
