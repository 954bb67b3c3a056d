//! How the simulated API behaves: who may do what, its limits, and each of the ways that `schema/api.md` marks as unknown.

use std::collections::{BTreeMap, BTreeSet};
use std::num::{NonZeroU32, NonZeroUsize};
use std::str::FromStr;
use std::time::Duration;

use jiff::Timestamp;

use super::recorded_errors::RecordedError;
use crate::model::account::AccountId;
use crate::model::open_enum::words;

/// The token that may do everything when nothing else is set.
pub const DEFAULT_TOKEN: &str = "riskform-sandbox";

/// How one sandbox behaves. The default is what the recordings and `schema/api.md` suggest.
#[derive(Clone, Debug)]
pub struct Settings {
    /// What a write of behaviors does to the keys that it leaves out.
    pub behaviors_put: BehaviorsPut,
    /// Which fields of an integration no two of an account may share.
    pub unique: BTreeSet<UniqueKey>,
    /// In which form a `tenant_url` is kept.
    pub tenant_url: TenantUrlForm,
    /// What becomes of a `reference_id` that a request leaves out.
    pub unset_reference: UnsetReference,
    /// What a write that leaves it out does to the one that is there.
    pub omitted_reference: OmittedReference,
    /// Which references are accepted.
    pub references: AcceptedReferences,
    /// What becomes of a request for an account that nobody has written to yet.
    pub unknown_accounts: UnknownAccounts,
    /// How long an answer takes; half of it passes before the work is done, half after.
    pub latency: Duration,
    /// How many requests a token may make.
    pub rate_limit: RateLimit,
    /// Which lists come in pages.
    pub paging: Paging,
    /// The tokens that are valid, and what each may do.
    pub tokens: BTreeMap<String, Permissions>,
    /// The tokens that an account owns itself. They are verified at the account's place, and any other one at both.
    pub account_tokens: BTreeSet<String>,
    /// The tokens that are bound to other addresses than the caller's.
    pub elsewhere_tokens: BTreeSet<String>,
    /// The people behind tokens, by e-mail address, as the audit log names them; without one, the account itself owns the token.
    pub owners: BTreeMap<String, String>,
    /// From when until when tokens are valid, as verifying tells it.
    pub token_dates: Option<(Timestamp, Timestamp)>,
    /// How a token that lacks the permission is refused.
    pub missing_permission: RecordedError,
    /// Which accounts have bought risk scoring.
    pub entitlement: Entitlement,
    /// Whether the list of Access applications holds their policies.
    pub app_policies: AppPolicies,
    /// How the account's audit log behaves.
    pub audit_log: AuditLogSettings,
    /// Whether answers bear a `Cf-Auditlog-Id`.
    pub audit_log_ids: bool,
    /// Makes ids repeat from run to run; without one they are random.
    pub seed: Option<u64>,
    /// What the sandbox's clock shows when it starts; without one, the machine's time. It goes on with tokio's clock.
    pub clock_start: Option<Timestamp>,
    /// Whether every request is kept for [`Sandbox::requests`](super::Sandbox::requests). A server that runs for long had better not.
    pub record_requests: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            behaviors_put: BehaviorsPut::Merge,
            unique: BTreeSet::new(),
            tenant_url: TenantUrlForm::Verbatim,
            unset_reference: UnsetReference::Random,
            omitted_reference: OmittedReference::Cleared,
            references: AcceptedReferences::Any,
            unknown_accounts: UnknownAccounts::Default,
            latency: Duration::ZERO,
            rate_limit: RateLimit::default(),
            paging: Paging::None,
            tokens: BTreeMap::from([(DEFAULT_TOKEN.to_owned(), Permissions::all())]),
            account_tokens: BTreeSet::new(),
            elsewhere_tokens: BTreeSet::new(),
            owners: BTreeMap::from([(DEFAULT_TOKEN.to_owned(), "sandbox@example.com".to_owned())]),
            token_dates: None,
            missing_permission: RecordedError::Undecided,
            entitlement: Entitlement::All,
            app_policies: AppPolicies::Embedded,
            audit_log: AuditLogSettings::default(),
            audit_log_ids: true,
            seed: None,
            clock_start: None,
            record_requests: true,
        }
    }
}

words! {
    /// What a write of behaviors does to the keys that it leaves out (`schema/api.md`, Behaviors: unknown).
    BehaviorsPut {
        /// They stay as they are.
        Merge = "merge",
        /// They go back to disabled and low.
        Replace = "replace",
        /// They make the request fail.
        RequireAll = "require-all",
    }
}

words! {
    /// A field that no two integrations of an account may share (`schema/api.md`, Integrations: unknown).
    UniqueKey {
        /// `reference_id`; unset ones don't clash.
        ReferenceId = "reference_id",
        /// `tenant_url`, compared normalized.
        TenantUrl = "tenant_url",
    }
}

words! {
    /// In which form a `tenant_url` is kept (`schema/api.md`, Integrations: unknown).
    TenantUrlForm {
        /// As it was sent.
        Verbatim = "verbatim",
        /// Host in lower case, without default port and trailing slash.
        Normalized = "normalized",
    }
}

words! {
    /// What becomes of a `reference_id` that a POST or PUT leaves out or sends as `null` or `""` (`schema/api.md`, Integrations: unknown).
    UnsetReference {
        /// The server makes one up: another random UUID each time.
        Random = "random",
        /// `""`
        Empty = "empty",
        /// `null`
        Null = "null",
        /// The field is not there.
        Absent = "absent",
    }
}

words! {
    /// What a PUT that leaves `reference_id` out does to the one that is there (`schema/api.md`, Integrations: unknown).
    OmittedReference {
        /// It is lost, and the integration is as one that was made without.
        Cleared = "lost",
        /// It stays.
        Kept = "kept",
    }
}

words! {
    /// Which references are accepted (`schema/api.md`, Integrations: unknown).
    AcceptedReferences {
        /// Any text.
        Any = "any",
        /// The id of one of the account's Access identity providers, and what the integration holds already.
        Providers = "providers",
    }
}

words! {
    /// What becomes of a request for an account that nobody has written to yet.
    UnknownAccounts {
        /// It finds the recorded starting state.
        Default = "seeded",
        /// It is refused, as for an account that the token does not reach.
        Refused = "refused",
    }
}

/// Whether the lists of risk scoring come in pages (`schema/api.md`, Users: unknown). Those of the surroundings always do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Paging {
    /// All of a list in one answer, which says nothing of pages.
    None,
    /// So many a page; `page` asks for another.
    Followed(NonZeroUsize),
    /// So many, whatever page is asked for: the rest can't be had.
    Ignored(NonZeroUsize),
}

words! {
    /// Whether the list of Access applications holds their policies (`schema/api.md`, Access lists: unknown).
    AppPolicies {
        /// Whole.
        Embedded = "embedded",
        /// `policies` is empty; they must be asked for application by application.
        Absent = "absent",
    }
}

/// How an account's audit log behaves where `schema/api.md` says *unknown*.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AuditLogSettings {
    /// How long it takes until an entry is shown.
    pub delay: Duration,
    /// How long an entry is kept.
    pub retention: Duration,
    /// Whether entries hold what was sent and answered.
    pub bodies: bool,
    /// Whether `raw.uri` begins with [`BASE_PATH`](super::BASE_PATH).
    pub whole_uri: bool,
    /// Where an answer names the next page.
    pub cursor: CursorPlace,
}

impl Default for AuditLogSettings {
    fn default() -> Self {
        const EIGHTEEN_MONTHS: Duration = Duration::from_hours(24 * 548);
        AuditLogSettings {
            delay: Duration::ZERO,
            retention: EIGHTEEN_MONTHS,
            bodies: true,
            whole_uri: false,
            cursor: CursorPlace::ResultInfo,
        }
    }
}

words! {
    /// Where an answer names the next page of the audit log.
    CursorPlace {
        /// `result_info.cursor`, as documented.
        ResultInfo = "result_info.cursor",
        /// `result_info.cursors.after`, where the vendor's generated clients look.
        Cursors = "result_info.cursors.after",
    }
}

/// How many requests a token may make in a window of time; the one too many blocks it for as long as a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RateLimit {
    /// Any number, and no header speaks of a limit.
    Off,
    /// This many in each window.
    Limited {
        /// How many.
        requests: NonZeroU32,
        /// How long the window is, and how long the block.
        window: Duration,
    },
}

impl Default for RateLimit {
    /// 1,200 in five minutes (`schema/api.md`, Transport).
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

    /// Reads `N/SECONDS` or `off`.
    fn from_str(text: &str) -> Result<Self, ParseSettingError> {
        if text == "off" {
            return Ok(RateLimit::Off);
        }
        text.split_once('/')
            .and_then(|(requests, seconds)| {
                let seconds: NonZeroU32 = seconds.parse().ok()?;
                Some(RateLimit::Limited {
                    requests: requests.parse().ok()?,
                    window: Duration::from_secs(seconds.get().into()),
                })
            })
            .ok_or(ParseSettingError::RateLimit)
    }
}

words! {
    /// What a token may do (`schema/api.md`, Transport).
    Permission {
        /// *Zero Trust Read*: see behaviors and integrations.
        Read = "read",
        /// *Zero Trust Write*: change them, and reset users; it includes reading.
        Write = "write",
        /// *Zero Trust: PII Read*: see users.
        Pii = "pii",
        /// *Access: Apps and Policies Read*.
        Apps = "apps",
        /// *Access: Organizations, Identity Providers, and Groups Read*.
        Groups = "groups",
        /// *Account Settings Read*: see the audit log.
        AuditLog = "audit-log",
    }
}

/// Everything that one token may do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Permissions(BTreeSet<Permission>);

impl Permissions {
    /// Every permission there is.
    pub fn all() -> Self {
        Permissions(Permission::ALL.iter().copied().collect())
    }

    /// Says whether the token may do this.
    pub fn allow(&self, wanted: Permission) -> bool {
        self.0.contains(&wanted)
            || (wanted == Permission::Read && self.0.contains(&Permission::Write))
    }
}

impl FromStr for Permissions {
    type Err = ParseSettingError;

    /// Reads words between commas; the empty text is a token that may do nothing.
    fn from_str(text: &str) -> Result<Self, ParseSettingError> {
        text.split(',')
            .filter(|word| !word.is_empty())
            .map(|word| word.parse().map_err(|_| ParseSettingError::Permissions))
            .collect::<Result<_, _>>()
            .map(Permissions)
    }
}

/// One token and what it may do, as `--permissions` spells it: `[TOKEN=]read,write,pii`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    pub token: String,
    /// What it may do.
    pub permissions: Permissions,
}

impl FromStr for Grant {
    type Err = ParseSettingError;

    fn from_str(text: &str) -> Result<Self, ParseSettingError> {
        // The last equals sign divides: a token may hold one, a list of permissions never does.
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

/// Which accounts have bought risk scoring.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entitlement {
    /// Every account.
    All,
    /// Every account but these.
    AllBut(BTreeSet<AccountId>),
    /// No account.
    None,
}

impl Entitlement {
    /// Says whether the account has it.
    pub fn covers(&self, account: &AccountId) -> bool {
        match self {
            Entitlement::All => true,
            Entitlement::AllBut(without) => !without.contains(account),
            Entitlement::None => false,
        }
    }
}

/// A text that is no setting of the kind it was read for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseSettingError {
    /// No rate limit.
    #[error("a rate limit is REQUESTS/SECONDS, such as 1200/300, or off")]
    RateLimit,
    /// No permissions.
    #[error(
        "permissions are read, write, pii, apps, groups and audit-log between commas, after TOKEN= where another token than the default one is meant"
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
