//! Environment variables. Only this module reads them.

use std::path::PathBuf;

use url::Url;
use wildmatch::WildMatch;

use crate::api::Proxy;
use crate::cli::error::CommandError;
use crate::config::files::AllowedRoot;

/// Returns a variable. An empty one counts as not set, because shells and CI systems unset variables that way.
pub(crate) fn variable(name: &str) -> Option<String> {
    variable_for_files(name).filter(|value| !value.is_empty())
}

/// Returns a variable for use in files, where an empty one counts as set.
pub(crate) fn variable_for_files(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// Returns the first of these variables that is set.
pub(crate) fn first(names: &[&str]) -> Option<String> {
    names.iter().copied().find_map(variable)
}

/// Returns true if any credentials are set.
pub(crate) fn has_credentials() -> bool {
    let is_set = |name| variable(name).is_some();
    is_set(API_TOKEN) || (is_set(EMAIL) && is_set(API_KEY))
}

/// Proxy variables for https, in order of precedence.
const PROXIES: [&str; 4] = ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"];

/// Returns the proxy for https. Any invalid variable is an error, because ignoring it could send requests directly. Its value is not
/// shown, because it may contain a password.
pub(crate) fn proxy() -> Result<Option<Proxy>, CommandError> {
    let no_proxy = first(&["NO_PROXY", "no_proxy"]).unwrap_or_default();
    let mut proxies = None;
    for variable in PROXIES {
        if let Some(text) = self::variable(variable) {
            let proxy = Proxy::parse(variable, &text, &no_proxy);
            proxies.get_or_insert(proxy.map_err(|why| {
                CommandError::error(format_args!("invalid proxy in {variable}: {why}"))
            })?);
        }
    }
    Ok(proxies)
}

/// Returns the variable that replaces the system's CA certificates, if set.
pub(crate) fn certificate_variable() -> Option<&'static str> {
    let mut names = ["SSL_CERT_FILE", "SSL_CERT_DIR"].into_iter();
    names.find(|name| std::env::var_os(name).is_some())
}

/// Checks all variables that riskform reads as text. Otherwise, an unreadable one would count as unset.
pub(crate) fn check_utf8() -> Result<(), CommandError> {
    /// Paths that may have any name.
    const DIRECTORIES: [&str; 4] = ["HOME", "XDG_STATE_HOME", "SSL_CERT_FILE", "SSL_CERT_DIR"];
    let names = variables().flat_map(|(names, _)| names.split(", "));
    let names = names.chain(PROXIES).chain(["no_proxy", "CLOUDFLARE_*"]);
    let globs: Vec<WildMatch> = names
        .filter(|name| !DIRECTORIES.contains(name))
        .map(WildMatch::new)
        .collect();
    let broken = std::env::vars_os().find_map(|(name, value)| {
        let name = name.to_str()?;
        let is_read = globs.iter().any(|glob| glob.matches(name));
        (is_read && value.to_str().is_none()).then(|| name.to_owned())
    });
    match broken {
        Some(name) => Err(CommandError::error(format_args!(
            "{name} is not valid UTF-8"
        ))),
        None => Ok(()),
    }
}

/// Returns the path in RISKFORM_LIMITS. An empty one is an error, so that a mistake does not switch the limits off.
pub(crate) fn limits_file() -> Result<Option<PathBuf>, CommandError> {
    match std::env::var_os(LIMITS) {
        Some(path) if path.is_empty() => {
            let error = CommandError::error(format_args!("{LIMITS} is empty"));
            Err(error.with_help("set it to a limits file, or unset it"))
        }
        path => Ok(path.map(PathBuf::from)),
    }
}

/// Returns a directory or file, whose name may be in any encoding.
pub(crate) fn path(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os(name).filter(|path| !path.is_empty());
    path.map(PathBuf::from)
}

/// Returns the directories that files may be in. `root` replaces the repository of each file.
pub(crate) fn allowed_root(root: Option<PathBuf>) -> AllowedRoot {
    AllowedRoot {
        root,
        home: std::env::home_dir(),
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
    let github = || {
        let server = variable("GITHUB_SERVER_URL")?;
        let repository = variable("GITHUB_REPOSITORY")?;
        let run = variable("GITHUB_RUN_ID")?;
        Some(format!("{server}/{repository}/actions/runs/{run}"))
    };
    let others = [
        "CI_JOB_URL",
        "BUILDKITE_BUILD_URL",
        "CIRCLE_BUILD_URL",
        "BUILD_URL",
    ];
    let text = github().or_else(|| first(&others))?;
    let url = Url::parse(&text).ok()?;
    matches!(url.scheme(), "http" | "https").then_some(url)
}

/// Returns the names of all variables, separated by commas, with their meaning.
pub(crate) fn variables() -> impl Iterator<Item = (&'static str, &'static str)> {
    let lines = include_str!("environment.txt").lines();
    lines.filter_map(|line| line.split_once(": "))
}

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
    use super::variables;

    #[test]
    fn documentation_names_every_variable() {
        let readme = include_str!("../../../schema/README.md");
        let table = readme.split("## Environment variables").nth(1).unwrap();
        let table = table.split("\n## ").next().unwrap();
        for name in variables().flat_map(|(names, _)| names.split(", ")) {
            assert!(table.contains(&format!("`{name}`")), "{name}");
        }
    }
}
