//! Settings of the simulated API: permissions, limits, and the behavior that `schema/api.md` marks as unknown.

use std::collections::BTreeSet;
use std::error::Error;
use std::num::NonZeroU32;
use std::str::FromStr;
use std::time::Duration;

use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser};

use crate::model::field::Field;
use crate::model::open_enum::string_enum;

/// Default token. It has all permissions unless a [`Grant`] restricts them.
pub const DEFAULT_TOKEN: &str = "riskform-sandbox";

/// 1,200 requests per five minutes (`schema/api.md`, Transport).
const DEFAULT_RATE_LIMIT: &str = "1200/300";

/// Settings of a sandbox: the options of `riskform sandbox`. The defaults follow the recordings and the contract.
#[derive(Args, Clone, Debug, Default)]
pub struct Settings {
    /// How a PUT treats behaviors missing from its body
    #[arg(long, hide_short_help = true, value_name = "WORD", default_value_t, value_parser = one_of::<BehaviorsPut>(BehaviorsPut::WORDS))]
    pub behaviors_put: BehaviorsPut,
    /// Integration fields that must be unique in an account
    #[arg(long, hide_short_help = true, value_name = "FIELDS", value_delimiter = ',', value_parser = one_of::<Field>(&["reference_id", "tenant_url"]))]
    pub unique: Vec<Field>,
    /// How tenant_url is stored
    #[arg(long, hide_short_help = true, value_name = "WORD", default_value_t, value_parser = one_of::<TenantUrlForm>(TenantUrlForm::WORDS))]
    pub tenant_url: TenantUrlForm,
    /// Value of reference_id if a request omits it
    #[arg(long, hide_short_help = true, value_name = "WORD", default_value_t, value_parser = one_of::<UnsetReference>(UnsetReference::WORDS))]
    pub unset_reference: UnsetReference,
    /// Which reference_id values are accepted
    #[arg(long, hide_short_help = true, value_name = "WORD", default_value_t, value_parser = one_of::<AcceptedReferences>(AcceptedReferences::WORDS))]
    pub references: AcceptedReferences,
    /// Response time, in seconds
    // Half of it before the change, half after it.
    #[arg(long, value_name = "SECONDS", default_value = "0", value_parser = seconds)]
    pub latency: Duration,
    /// Requests per token
    ///
    /// N/SECONDS or off. A token that exceeds the limit is blocked for SECONDS.
    #[arg(long, value_name = "LIMIT", default_value = DEFAULT_RATE_LIMIT)]
    pub rate_limit: RateLimit,
    /// Permissions of a token (repeatable) [default: all]
    ///
    /// [TOKEN=]LIST. LIST is one or more of read,write,pii,apps,groups,audit-log.
    #[arg(long, value_name = "GRANT")]
    pub permissions: Vec<Grant>,
    /// Simulate an account without Risk Scoring
    #[arg(long)]
    pub no_entitlement: bool,
}

impl Settings {
    /// Returns the permissions of a token; `None` if the token is unknown.
    pub(super) fn permissions_of(&self, token: &str) -> Option<BTreeSet<Permission>> {
        let grant = self.permissions.iter().rfind(|grant| grant.token == token);
        match grant {
            Some(grant) => Some(grant.permissions.clone()),
            None => (token == DEFAULT_TOKEN).then(|| Permission::ALL.iter().copied().collect()),
        }
    }
}

/// Returns a parser for these words. Help and errors list them.
fn one_of<T>(words: &'static [&'static str]) -> impl TypedValueParser<Value = T>
where
    T: FromStr<Err: Error + Send + Sync + 'static> + Clone + Send + Sync + 'static,
{
    PossibleValuesParser::new(words).try_map(|word| word.parse())
}

fn seconds(text: &str) -> Result<Duration, &'static str> {
    let seconds = text.parse().ok();
    let duration = seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    duration.ok_or("expected a number of seconds")
}

string_enum! {
    /// Effect of a write on omitted behaviors (`schema/api.md`, Behaviors: unknown).
    #[derive(Default)]
    BehaviorsPut {
        /// Unchanged.
        #[default]
        Merge = "merge",
        /// Reset to disabled and low.
        Replace = "replace",
        /// The request fails.
        RequireAll = "require-all",
    }
}

string_enum! {
    /// Stored form of a `tenant_url` (`schema/api.md`, Integrations: unknown).
    #[derive(Default)]
    TenantUrlForm {
        /// As sent.
        #[default]
        Verbatim = "verbatim",
        /// Host in lower case, without default port and trailing slash.
        Normalized = "normalized",
    }
}

string_enum! {
    /// Value of a `reference_id` that a POST or PUT omits or sends as `null` or `""` (`schema/api.md`, Integrations: unknown).
    #[derive(Default)]
    UnsetReference {
        /// A new random UUID each time.
        #[default]
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
    #[derive(Default)]
    AcceptedReferences {
        /// Any text.
        #[default]
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
    fn default() -> Self {
        DEFAULT_RATE_LIMIT.parse().expect("it is a rate limit")
    }
}

impl FromStr for RateLimit {
    type Err = &'static str;

    /// Parses `N/SECONDS` or `off`.
    fn from_str(text: &str) -> Result<Self, &'static str> {
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
        limited.ok_or("expected REQUESTS/SECONDS, such as 1200/300, or off")
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

/// A token and its permissions, in the format of `--permissions`: `[TOKEN=]read,write,pii`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    token: String,
    permissions: BTreeSet<Permission>,
}

impl FromStr for Grant {
    type Err = &'static str;

    /// Parses a grant. An empty list grants no permission.
    fn from_str(text: &str) -> Result<Self, &'static str> {
        // Split at the last equals sign, because a token may contain one.
        let (token, list) = text.rsplit_once('=').unwrap_or((DEFAULT_TOKEN, text));
        let words = list.split(',').filter(|word| !word.is_empty());
        let permissions: Result<BTreeSet<Permission>, _> = words.map(str::parse).collect();
        match permissions {
            Ok(mut permissions) if !token.is_empty() => {
                if permissions.contains(&Permission::Write) {
                    permissions.insert(Permission::Read);
                }
                let token = token.to_owned();
                Ok(Grant { token, permissions })
            }
            _ => Err(
                "expected [TOKEN=]LIST with read, write, pii, apps, groups and audit-log, separated by commas",
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_rate_limits() {
        assert_eq!("off".parse(), Ok(RateLimit::Off));
        let window = Duration::from_secs(300);
        let requests = NonZeroU32::new(1_200).unwrap();
        assert_eq!(
            RateLimit::default(),
            RateLimit::Limited { requests, window }
        );
        for wrong in [
            "",
            "1200",
            "0/300",
            "1200/0",
            "-1/3",
            "1200/300/1",
            "1200/5m",
        ] {
            assert!(wrong.parse::<RateLimit>().is_err(), "{wrong}");
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
            assert_eq!(
                grant.permissions,
                allowed.iter().copied().collect(),
                "{text}"
            );
        }
        for wrong in ["=read", "admin", "ci=read;write"] {
            assert!(wrong.parse::<Grant>().is_err(), "{wrong}");
        }
    }
}
