//! Settings of the simulated API: permissions, limits, and the behavior that `schema/api.md` marks as unknown.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU32;
use std::str::FromStr;
use std::time::Duration;

use crate::model::open_enum::string_enum;

/// Default token, with all permissions.
pub const DEFAULT_TOKEN: &str = "riskform-sandbox";

/// Settings of a sandbox. The defaults follow the recordings and the contract.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Effect of a write on omitted behaviors.
    pub behaviors_put: BehaviorsPut,
    /// Fields that must be unique among an account's integrations.
    pub unique: BTreeSet<UniqueKey>,
    /// Stored form of a `tenant_url`.
    pub tenant_url: TenantUrlForm,
    /// Value of a `reference_id` that was not sent.
    pub unset_reference: UnsetReference,
    /// Accepted references.
    pub references: AcceptedReferences,
    /// Response time; half before the change, half after it.
    pub latency: Duration,
    /// Rate limit per token.
    pub rate_limit: RateLimit,
    /// Valid tokens and their permissions.
    pub tokens: BTreeMap<String, Permissions>,
    /// Whether the accounts lack the entitlement to risk scoring.
    pub no_entitlement: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            behaviors_put: BehaviorsPut::Merge,
            unique: BTreeSet::new(),
            tenant_url: TenantUrlForm::Verbatim,
            unset_reference: UnsetReference::Random,
            references: AcceptedReferences::Any,
            latency: Duration::ZERO,
            rate_limit: RateLimit::default(),
            tokens: BTreeMap::from([(DEFAULT_TOKEN.to_owned(), Permissions::all())]),
            no_entitlement: false,
        }
    }
}

string_enum! {
    /// Effect of a write on omitted behaviors (`schema/api.md`, Behaviors: unknown).
    BehaviorsPut {
        /// Unchanged.
        Merge = "merge",
        /// Reset to disabled and low.
        Replace = "replace",
        /// The request fails.
        RequireAll = "require-all",
    }
}

string_enum! {
    /// A field that must be unique among an account's integrations (`schema/api.md`, Integrations: unknown).
    UniqueKey {
        /// `reference_id`, unless unset.
        ReferenceId = "reference_id",
        /// `tenant_url`, compared normalized.
        TenantUrl = "tenant_url",
    }
}

string_enum! {
    /// Stored form of a `tenant_url` (`schema/api.md`, Integrations: unknown).
    TenantUrlForm {
        /// As sent.
        Verbatim = "verbatim",
        /// Host in lower case, without default port and trailing slash.
        Normalized = "normalized",
    }
}

string_enum! {
    /// Value of a `reference_id` that a POST or PUT omits or sends as `null` or `""` (`schema/api.md`, Integrations: unknown).
    UnsetReference {
        /// A new random UUID each time.
        Random = "random",
        /// `""`
        Empty = "empty",
        /// `null`
        Null = "null",
        /// The field is omitted.
        Absent = "absent",
    }
}

string_enum! {
    /// Accepted references (`schema/api.md`, Integrations: unknown).
    AcceptedReferences {
        /// Any text.
        Any = "any",
        /// IDs of the account's Access identity providers, and the integration's current value.
        Providers = "providers",
    }
}

/// Maximum requests per token and window. Exceeding it blocks the token for another window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RateLimit {
    /// Unlimited, without rate-limit headers.
    Off,
    /// This many in each window.
    Limited {
        requests: NonZeroU32,
        /// Duration of the window and of the block.
        window: Duration,
    },
}

impl Default for RateLimit {
    /// 1,200 requests per five minutes (`schema/api.md`, Transport).
    fn default() -> Self {
        const REQUESTS: NonZeroU32 = NonZeroU32::new(1_200).expect("1,200 is not zero");
        RateLimit::Limited {
            requests: REQUESTS,
            window: Duration::from_secs(300),
        }
    }
}

impl FromStr for RateLimit {
    type Err = ParseSettingError;

    /// Parses `N/SECONDS` or `off`.
    fn from_str(text: &str) -> Result<Self, ParseSettingError> {
        if text == "off" {
            return Ok(RateLimit::Off);
        }
        let limited = text.split_once('/').and_then(|(requests, seconds)| {
            let seconds: NonZeroU32 = seconds.parse().ok()?;
            Some(RateLimit::Limited {
                requests: requests.parse().ok()?,
                window: Duration::from_secs(seconds.get().into()),
            })
        });
        limited.ok_or(ParseSettingError::RateLimit)
    }
}

string_enum! {
    /// A permission of a token (`schema/api.md`, Transport).
    Permission {
        /// *Zero Trust Read*: read behaviors and integrations.
        Read = "read",
        /// *Zero Trust Write*: change behaviors and integrations, and reset users. Includes *Zero Trust Read*.
        Write = "write",
        /// *Zero Trust: PII Read*: read users.
        Pii = "pii",
        /// *Access: Apps and Policies Read*.
        Apps = "apps",
        /// *Access: Organizations, Identity Providers, and Groups Read*.
        Groups = "groups",
        /// *Account Settings Read*: read the audit log.
        AuditLog = "audit-log",
    }
}

/// Permissions of a token.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Permissions(BTreeSet<Permission>);

impl Permissions {
    /// Returns all permissions.
    pub fn all() -> Self {
        Permissions(Permission::ALL.iter().copied().collect())
    }

    /// Returns true if the permission is granted.
    pub fn allow(&self, wanted: Permission) -> bool {
        self.0.contains(&wanted)
            || (wanted == Permission::Read && self.0.contains(&Permission::Write))
    }
}

impl FromStr for Permissions {
    type Err = ParseSettingError;

    /// Parses permissions separated by commas. An empty text grants none.
    fn from_str(text: &str) -> Result<Self, ParseSettingError> {
        let words = text.split(',').filter(|word| !word.is_empty());
        let permissions: Result<_, _> = words.map(str::parse).collect();
        permissions
            .map(Permissions)
            .map_err(|_| ParseSettingError::Permissions)
    }
}

/// A token and its permissions, in the format of `--permissions`: `[TOKEN=]read,write,pii`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    pub token: String,
    pub permissions: Permissions,
}

impl FromStr for Grant {
    type Err = ParseSettingError;

    fn from_str(text: &str) -> Result<Self, ParseSettingError> {
        // Split at the last equals sign, because a token may contain one.
        let (token, permissions) = text.rsplit_once('=').unwrap_or((DEFAULT_TOKEN, text));
        if token.is_empty() {
            return Err(ParseSettingError::Permissions);
        }
        Ok(Grant {
            token: token.to_owned(),
            permissions: permissions.parse()?,
        })
    }
}
/// An invalid value of a setting.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseSettingError {
    /// Invalid rate limit.
    #[error("expected REQUESTS/SECONDS, such as 1200/300, or off")]
    RateLimit,
    /// Invalid permissions.
    #[error(
        "expected [TOKEN=]LIST with read, write, pii, apps, groups and audit-log, separated by commas"
    )]
    Permissions,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_rate_limits() {
        assert_eq!("off".parse(), Ok(RateLimit::Off));
        assert_eq!("1200/300".parse(), Ok(RateLimit::default()));
        for wrong in [
            "",
            "1200",
            "0/300",
            "1200/0",
            "-1/3",
            "1200/300/1",
            "1200/5m",
        ] {
            assert_eq!(
                wrong.parse::<RateLimit>(),
                Err(ParseSettingError::RateLimit),
                "{wrong}"
            );
        }
    }

    #[test]
    fn reads_grants() {
        let cases: [(&str, &str, &[Permission]); 5] = [
            ("read", DEFAULT_TOKEN, &[Permission::Read]),
            ("ci=write", "ci", &[Permission::Read, Permission::Write]),
            ("a=b=pii", "a=b", &[Permission::Pii]),
            ("ci=", "ci", &[]),
            (
                "read,write,pii,apps,groups,audit-log",
                DEFAULT_TOKEN,
                Permission::ALL,
            ),
        ];
        for (text, token, allowed) in cases {
            let grant: Grant = text.parse().unwrap();
            assert_eq!(grant.token, token, "{text}");
            for permission in Permission::ALL {
                assert_eq!(
                    grant.permissions.allow(*permission),
                    allowed.contains(permission),
                    "{text}: {permission}"
                );
            }
        }
        for wrong in ["=read", "admin", "ci=read;write"] {
            assert_eq!(
                wrong.parse::<Grant>(),
                Err(ParseSettingError::Permissions),
                "{wrong}"
            );
        }
    }
}
