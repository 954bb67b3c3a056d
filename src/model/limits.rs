//! Operator limits (`--limits`).

use std::path::PathBuf;

use wildmatch::WildMatch;

use super::account::{GuardMode, PolicyGuardMode, ProtectedItem};
use super::integration::TenantUrl;
use super::open_enum::string_enum;

string_enum! {
    /// Handling of plans that delete every live integration.
    DeleteAllPolicy {
        /// Blocks the plan, even with --allow-delete-all.
        Deny = "deny",
    }
}

/// Limits of one run. The default sets no limits.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// Limits file, as given by the user.
    pub source: Option<PathBuf>,
    pub max_deletes: Option<u32>,
    pub delete_all: Option<DeleteAllPolicy>,
    pub weakening: GuardMode,
    pub policies: PolicyGuardMode,
    pub protected: Vec<ProtectedItem>,
    /// Host patterns that integrations may send scores to. `None` allows all.
    pub allowed_tenants: Option<Vec<String>>,
    /// Variable patterns that files may use, in addition to the default ones.
    pub variables: Vec<String>,
    /// Variable patterns allowed in `api_token_env`, in addition to `CLOUDFLARE_*`.
    pub token_variables: Vec<String>,
}

/// Limits of a run without a limits file.
pub static NO_LIMITS: Limits = Limits {
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

/// Reason why a file may not use a variable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VariableDenied {
    /// The name suggests a secret. Limits cannot allow it.
    Secret,
    /// Not allowed by default or by the limits.
    Unlisted,
}

impl Limits {
    /// Checks whether files may use a variable.
    ///
    /// Without this check, a pull request could print any variable of the pipeline, or send its value to a host of its choice.
    pub fn allows_variable(&self, name: &str) -> Result<(), VariableDenied> {
        if smells_of_a_secret(name) || name.starts_with("RISKFORM_NOTIFY") {
            return Err(VariableDenied::Secret);
        }
        let permitted = name.ends_with("_ACCOUNT_ID")
            || name.starts_with("RISKFORM_VAR_")
            || any_matches(&self.variables, name);
        permitted.then_some(()).ok_or(VariableDenied::Unlisted)
    }

    /// Returns true if `api_token_env` may name the variable.
    pub fn allows_token_variable(&self, name: &str) -> bool {
        name.starts_with("CLOUDFLARE_") || any_matches(&self.token_variables, name)
    }

    /// Returns true if integrations may send scores to the tenant. A pattern must match the whole host; the port is ignored.
    pub fn allows_tenant(&self, tenant: &TenantUrl) -> bool {
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

/// Returns true if the name of a variable or key suggests a secret.
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
        // The email address is part of the legacy credentials (email and API key).
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
            assert_eq!(
                limits(globs).allows_tenant(&tenant),
                allowed,
                "{globs:?} {tenant}"
            );
        }
        assert!(Limits::default().allows_tenant(&TenantUrl::from_live("whatever")));
    }
}
