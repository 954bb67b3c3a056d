//! What the operator permits, whatever the files say (`--limits`).

use std::path::PathBuf;

use wildmatch::WildMatch;

use super::account::{GuardMode, PolicyGuardMode, ProtectedItem};
use super::integration::TenantUrl;
use super::open_enum::words;

words! {
    /// What becomes of a plan that leaves none of several live integrations.
    DeleteAllPolicy {
        /// It is refused, and --allow-delete-all doesn't help.
        Deny = "deny",
    }
}

/// The limits of one run. The default permits whatever the files and the command line do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// The file that sets them, as the user named it.
    pub source: Option<PathBuf>,
    pub max_deletes: Option<u32>,
    pub delete_all: Option<DeleteAllPolicy>,
    pub weakening: GuardMode,
    pub policies: PolicyGuardMode,
    pub protected: Vec<ProtectedItem>,
    /// Globs of hosts; `None` permits every one.
    pub allowed_tenants: Option<Vec<String>>,
    /// Globs of variables that files may interpolate, beside those that need no permission.
    pub variables: Vec<String>,
    /// Globs of variables that `api_token_env` may name, beside `CLOUDFLARE_*`.
    pub token_variables: Vec<String>,
}

/// Where no limits are set.
pub static UNLIMITED: Limits = Limits {
    source: None,
    max_deletes: None,
    delete_all: None,
    weakening: GuardMode::Warn,
    policies: PolicyGuardMode::Warn,
    protected: Vec::new(),
    allowed_tenants: None,
    variables: Vec::new(),
    token_variables: Vec::new(),
};

/// Why a variable is not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VariableDenied {
    /// Its name says that it is a secret. No limits permit that.
    Secret,
    /// Nobody permits it.
    Unlisted,
}

impl Limits {
    /// Says whether files may interpolate a variable. The file doesn't choose what it may read: a pull request could print any variable
    /// of the pipeline, or send it to a host of its choice.
    pub fn allows_variable(&self, name: &str) -> Result<(), VariableDenied> {
        if smells_of_a_secret(name) || name.starts_with("RISKFORM_NOTIFY") {
            return Err(VariableDenied::Secret);
        }
        let permitted = name.ends_with("_ACCOUNT_ID")
            || name.starts_with("RISKFORM_VAR_")
            || any_matches(&self.variables, name);
        permitted.then_some(()).ok_or(VariableDenied::Unlisted)
    }

    /// Says whether `api_token_env` may name a variable.
    pub fn allows_token_variable(&self, name: &str) -> bool {
        name.starts_with("CLOUDFLARE_") || any_matches(&self.token_variables, name)
    }

    /// Says whether `--env-file` may set a variable: a credential, or one that files may interpolate. The base URL is neither: it decides
    /// who receives the token.
    pub fn may_stand_in_an_env_file(&self, name: &str) -> bool {
        let is_credential = self.allows_token_variable(name) && name != "CLOUDFLARE_BASE_URL";
        is_credential || self.allows_variable(name).is_ok()
    }

    /// Says whether integrations may lead to a tenant: a glob has to match its host as a whole, port left aside.
    pub fn allows(&self, tenant: &TenantUrl) -> bool {
        let Some(allowed) = &self.allowed_tenants else {
            return true;
        };
        tenant.host().is_some_and(|host| {
            let matches = |glob: &String| WildMatch::new(&glob.to_ascii_lowercase()).matches(&host);
            allowed.iter().any(matches)
        })
    }
}

fn any_matches(globs: &[String], name: &str) -> bool {
    globs.iter().any(|glob| WildMatch::new(glob).matches(name))
}

/// Whether a name says that what it names is a secret.
pub fn smells_of_a_secret(name: &str) -> bool {
    const WORDS: [&str; 9] = [
        "KEY", "PAT", "PWD", "PASS", "AUTH", "DSN", "JWT", "CRED", "COOKIE",
    ];
    const ANYWHERE: [&str; 6] = [
        "TOKEN",
        "SECRET",
        "PASSW",
        "PASSPHRASE",
        "CREDENTIAL",
        "WEBHOOK",
    ];
    let name = name.to_ascii_uppercase();
    name.split('_').any(|word| WORDS.contains(&word))
        || ANYWHERE.iter().any(|part| name.contains(part))
        // The address is one half of the legacy pair of credentials.
        || name == "CLOUDFLARE_EMAIL"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_read_only_what_is_permitted_and_nothing_that_smells_of_a_secret() {
        let limits = Limits {
            variables: vec![
                "CI_ENVIRONMENT_*".to_owned(),
                "GH_*".to_owned(),
                "*".to_owned(),
            ],
            ..Limits::default()
        };
        let (ok, secret, unlisted) = (
            Ok(()),
            Err(VariableDenied::Secret),
            Err(VariableDenied::Unlisted),
        );
        for (name, by_default, by_limits) in [
            ("CLOUDFLARE_ACCOUNT_ID", ok, ok),
            ("CUSTOMER_010_ACCOUNT_ID", ok, ok),
            ("RISKFORM_VAR_TENANT", ok, ok),
            ("RISKFORM_VAR_MONKEY", ok, ok),
            ("ACCOUNT_ID", unlisted, ok),
            ("CI_REPOSITORY_URL", unlisted, ok),
            ("HTTPS_PROXY", unlisted, ok),
            ("riskform_var_x", unlisted, ok),
            ("GH_PAT", secret, secret),
            ("RISKFORM_VAR_KEY", secret, secret),
            ("RISKFORM_VAR_my_pwd", secret, secret),
            ("TOKENS_ACCOUNT_ID", secret, secret),
            ("RISKFORM_VAR_PASSWD", secret, secret),
            ("DOCKER_AUTH_CONFIG", secret, secret),
            ("SENTRY_DSN", secret, secret),
            ("SLACK_WEBHOOK_URL", secret, secret),
            ("RISKFORM_NOTIFY", secret, secret),
            ("RISKFORM_NOTIFY_SLACK", secret, secret),
            ("CLOUDFLARE_API_TOKEN", secret, secret),
            ("CLOUDFLARE_API_KEY", secret, secret),
            ("CLOUDFLARE_EMAIL", secret, secret),
        ] {
            assert_eq!(
                Limits::default().allows_variable(name),
                by_default,
                "{name}"
            );
            assert_eq!(limits.allows_variable(name), by_limits, "{name}");
        }
    }

    #[test]
    fn a_tenant_is_allowed_by_a_glob_that_matches_its_host_as_a_whole() {
        let limits = |globs: &[&str]| Limits {
            allowed_tenants: Some(globs.iter().map(|glob| (*glob).to_owned()).collect()),
            ..Limits::default()
        };
        for (globs, tenant, allowed) in [
            (&["*.okta.com"][..], "https://corp.okta.com", true),
            (&["*.okta.com"], "https://CORP.okta.com:8443/", true),
            (&["*.OKTA.com"], "https://corp.okta.com", true),
            (&["*.okta.com"], "https://okta.com", false),
            (&["*.okta.com"], "https://corp.okta.com.evil.example", false),
            (&["*.okta.com"], "https://evil.example/.okta.com", false),
            (&["corp.okta.com"], "https://xcorp.okta.com", false),
            (&["a.okta.com", "b.okta.com"], "https://b.okta.com", true),
            (&[], "https://corp.okta.com", false),
        ] {
            let tenant = TenantUrl::from_live(tenant);
            assert_eq!(limits(globs).allows(&tenant), allowed, "{globs:?} {tenant}");
        }
        assert!(Limits::default().allows(&TenantUrl::from_live("whatever")));
    }
}
