//! What riskform takes from the environment: the only place where it is read.

use std::collections::BTreeMap;
use std::sync::OnceLock;

/// What `--env-file` adds.
static FROM_FILE: OnceLock<BTreeMap<String, String>> = OnceLock::new();

/// Adds variables to those of the environment, which wins unless it is empty there. Once a run.
pub(crate) fn add(variables: BTreeMap<String, String>) {
    FROM_FILE.get_or_init(|| variables);
}

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
/// The URLs to notify, separated by white space, where no flag names any.
pub(crate) const NOTIFY: &str = "RISKFORM_NOTIFY";
/// Signs what goes to webhooks.
pub(crate) const NOTIFY_SECRET: &str = "RISKFORM_NOTIFY_SECRET";
