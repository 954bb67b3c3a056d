//! What riskform takes from the environment: the only place where it is read.

/// Reads a variable; one that is empty counts as not set, since that is how shells and CI unset them.
pub(crate) fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// The account, where neither file nor flag names one.
pub(crate) const ACCOUNT_ID: &str = "CLOUDFLARE_ACCOUNT_ID";
/// The API's base URL.
pub(crate) const BASE_URL: &str = "CLOUDFLARE_BASE_URL";
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
