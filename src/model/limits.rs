//! Operator limits (`--limits`).

use std::path::PathBuf;

use serde::Deserialize;
use wildmatch::WildMatch;

use super::account::{GuardMode, ProtectedItem};
use super::id::TenantUrl;

/// Limits of one run. The default sets no limits.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Limits {
    /// Limits file, as given by the user.
    #[serde(skip)]
    pub source: Option<PathBuf>,
    pub max_deletes: Option<u32>,
    /// `deny` blocks plans that leave none of several active integrations active.
    pub delete_all: GuardMode,
    pub weakening: GuardMode,
    pub policies: GuardMode,
    pub protected: Vec<ProtectedItem>,
    /// Host patterns that integrations may send scores to. `None` allows all.
    pub allowed_tenants: Option<Vec<String>>,
}

impl Limits {
    /// Returns true if integrations may send scores to the tenant. A pattern must match the whole host. The port is ignored.
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

#[cfg(test)]
mod tests {
    use super::*;

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
