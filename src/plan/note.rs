//! What the reader of a plan should know that is no change.

use std::fmt;

use jiff::civil::Date;
#[cfg(test)]
use schemars::JsonSchema;
use serde::Serialize;

use crate::model::address::Address;
use crate::model::behavior::RiskLevel;
use crate::model::context::FetchError;
use crate::model::integration::{IntegrationField, IntegrationId, TenantUrl};
use crate::model::location::Location;
use crate::model::open_enum::OpenEnum;
use crate::model::text::abbreviate_list;

use super::change::{FieldValue, quoted};
use super::matching::MatchedBy;
use super::policies::{LevelPolicies, describe_change, describe_drift, skipped_summary};

/// A fact about the plan that is not a change.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(test, derive(JsonSchema))]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Note {
    /// A field differs, but is in `ignore_changes`.
    Ignored {
        address: Address,
        field: IntegrationField,
        /// Live value, which is kept.
        live: Option<FieldValue>,
        /// Declared value.
        declared: Option<FieldValue>,
        /// Last day (UTC) the field is ignored.
        until: Option<Date>,
        /// Reason given in the file.
        reason: Option<String>,
    },
    /// An item of `ignore_changes` has expired.
    IgnoreExpired {
        address: Address,
        field: IntegrationField,
        /// Last day (UTC) the field was ignored.
        until: Date,
    },
    /// The live integration that an entry is pinned to does not exist.
    PinnedIdNotFound {
        address: Address,
        /// ID in the entry.
        id: IntegrationId,
        /// ID to pin instead. Null if the entry matches no live integration.
        instead: Option<IntegrationId>,
    },
    /// An integration declared inactive is active for a moment, because new integrations are always active.
    BrieflyActive { address: Address },
    /// The level of an enabled behavior changes. Access policies match a level exactly.
    LevelChanged {
        address: Address,
        /// Level before the change.
        from: OpenEnum<RiskLevel>,
        /// Level after the change.
        to: OpenEnum<RiskLevel>,
    },
    /// Drift: the live level of an enabled behavior differs from the declared one.
    LevelDrift {
        address: Address,
        /// Live level.
        live: OpenEnum<RiskLevel>,
        /// Declared level.
        declared: OpenEnum<RiskLevel>,
    },
    /// Access policies that use the levels of behaviors before and after the change.
    PoliciesAffected {
        /// Addresses of the behaviors.
        addresses: Vec<Address>,
        /// Level before the change. Null if disabled.
        before: Option<LevelPolicies>,
        /// Level after the change. Null if disabled.
        after: Option<LevelPolicies>,
    },
    /// Drift: Access policies that use the live and the declared levels of behaviors.
    PoliciesAffectedByDrift {
        /// Addresses of the behaviors.
        addresses: Vec<Address>,
        /// Live level. Null if disabled.
        live: Option<LevelPolicies>,
        /// Declared level. Null if disabled.
        declared: Option<LevelPolicies>,
    },
    /// Levels change, but Access policies could not be read.
    PoliciesUnknown {
        /// Reason.
        error: FetchError,
    },
    /// Levels change, but some Access policies, groups or applications could not be parsed.
    PoliciesSkipped {
        /// Number of policies, groups and applications.
        skipped: usize,
    },
    /// The audit log could not be read, so authors of changes are unknown.
    AttributionUnavailable {
        /// Reason.
        error: FetchError,
    },
    /// An item of `guards.protected` matches nothing.
    UnmatchedProtectedItem {
        item: String,
        /// Location of the item.
        location: Location,
    },
    /// A behavior is declared only by `"*"`, so `destroy` does not disable it.
    WildcardBehaviorKept { address: Address },
    /// Several live integrations are duplicates with the generated reference of an entry.
    DuplicatesFound {
        address: Address,
        /// ID of the oldest one, which matches the entry.
        id: IntegrationId,
        /// IDs of the others, which are unlisted.
        duplicates: Vec<IntegrationId>,
    },
    /// A changed integration matches its entry only by generated reference.
    MatchedByGeneratedReference {
        address: Address,
        id: IntegrationId,
        /// Live tenant URL.
        tenant_url: TenantUrl,
    },
    /// An entry matches two live integrations.
    ConflictingMatches {
        address: Address,
        /// ID of the integration that is used.
        id: IntegrationId,
        /// How it was matched.
        by: MatchedBy,
        /// ID of the other integration.
        other: IntegrationId,
        /// How the other one was matched.
        other_by: MatchedBy,
    },
    /// An integration is created although unlisted ones exist. The entry may be for one of them.
    UnlistedAlternatives {
        address: Address,
        /// IDs of the unlisted integrations.
        unlisted: Vec<IntegrationId>,
    },
    /// The identity provider of an entry belongs to another Okta organization than its tenant.
    TenantMismatch {
        address: Address,
        /// Name of the identity provider.
        identity_provider: String,
        /// Tenant of the entry.
        tenant_url: TenantUrl,
        /// Okta organization of the identity provider.
        org: TenantUrl,
    },
    /// `destroy` continues without an identity provider that no longer exists.
    IdentityProviderNotFound {
        address: Address,
        /// Name of the identity provider.
        identity_provider: String,
    },
    /// `destroy` keeps an integration that has the entry's tenant, but another reference.
    OtherReferenceKept { address: Address, id: IntegrationId },
    /// After `destroy` has deleted the integration of an entry, the entry matches other integrations.
    WouldMatchUnlisted {
        address: Address,
        /// IDs of the integrations that match then.
        candidates: Vec<IntegrationId>,
    },
    /// Integrations exchange a value, so one of them has a placeholder for a moment.
    PlaceholderValue {
        address: Address,
        id: IntegrationId,
        field: IntegrationField,
        /// Placeholder value.
        value: String,
    },
    /// During an apply, integrations became unlisted after the plan was made, so they are not deleted.
    BecameUnlisted {
        /// IDs of the integrations.
        unlisted: Vec<IntegrationId>,
    },
    /// During an apply, the API rejected a generated reference, and the integration was written without it.
    CreatedWithoutReference {
        address: Address,
        /// Error message of the API.
        error: String,
    },
}

impl Note {
    /// What it is about, of several the first; `None` for the account as a whole.
    pub fn address(&self) -> Option<&Address> {
        match self {
            Note::PoliciesAffected { addresses, .. }
            | Note::PoliciesAffectedByDrift { addresses, .. } => addresses.first(),
            Note::UnmatchedProtectedItem { .. }
            | Note::PoliciesUnknown { .. }
            | Note::PoliciesSkipped { .. }
            | Note::BecameUnlisted { .. }
            | Note::AttributionUnavailable { .. } => None,
            Note::Ignored { address, .. }
            | Note::IgnoreExpired { address, .. }
            | Note::PinnedIdNotFound { address, .. }
            | Note::BrieflyActive { address }
            | Note::LevelChanged { address, .. }
            | Note::LevelDrift { address, .. }
            | Note::WildcardBehaviorKept { address }
            | Note::DuplicatesFound { address, .. }
            | Note::MatchedByGeneratedReference { address, .. }
            | Note::ConflictingMatches { address, .. }
            | Note::UnlistedAlternatives { address, .. }
            | Note::TenantMismatch { address, .. }
            | Note::IdentityProviderNotFound { address, .. }
            | Note::OtherReferenceKept { address, .. }
            | Note::WouldMatchUnlisted { address, .. }
            | Note::PlaceholderValue { address, .. }
            | Note::CreatedWithoutReference { address, .. } => Some(address),
        }
    }

    /// Says whether it is about what is, rather than about what a plan would do.
    pub(super) fn applies_to_drift(&self) -> bool {
        match self {
            Note::Ignored { .. }
            | Note::IgnoreExpired { .. }
            | Note::PinnedIdNotFound { .. }
            | Note::LevelChanged { .. }
            | Note::LevelDrift { .. }
            | Note::DuplicatesFound { .. }
            | Note::TenantMismatch { .. }
            | Note::PoliciesAffected { .. }
            | Note::PoliciesAffectedByDrift { .. }
            | Note::PoliciesUnknown { .. }
            | Note::PoliciesSkipped { .. }
            | Note::AttributionUnavailable { .. }
            | Note::UnmatchedProtectedItem { .. }
            | Note::ConflictingMatches { .. } => true,
            Note::BrieflyActive { .. }
            | Note::CreatedWithoutReference { .. }
            | Note::BecameUnlisted { .. }
            | Note::WildcardBehaviorKept { .. }
            | Note::MatchedByGeneratedReference { .. }
            | Note::UnlistedAlternatives { .. }
            | Note::WouldMatchUnlisted { .. }
            | Note::IdentityProviderNotFound { .. }
            | Note::OtherReferenceKept { .. }
            | Note::PlaceholderValue { .. } => false,
        }
    }

    /// Says whether it is about this.
    pub fn concerns(&self, address: &Address) -> bool {
        match self {
            Note::PoliciesAffected { addresses, .. }
            | Note::PoliciesAffectedByDrift { addresses, .. } => addresses.contains(address),
            other => other.address() == Some(address),
        }
    }

    /// Leaves out what it says of other addresses than these; says whether anything is left.
    pub(super) fn narrow(&mut self, includes: impl Fn(&Address) -> bool) -> bool {
        match self {
            Note::PoliciesAffected { addresses, .. }
            | Note::PoliciesAffectedByDrift { addresses, .. } => {
                addresses.retain(includes);
                !addresses.is_empty()
            }
            other => other.address().is_none_or(includes),
        }
    }

    /// Says whether it is about surroundings that could not be read.
    pub fn is_about_context(&self) -> bool {
        matches!(
            self,
            Note::PoliciesUnknown { .. }
                | Note::PoliciesSkipped { .. }
                | Note::AttributionUnavailable { .. }
        )
    }

    /// Says of the level that is live what a plan says of the one to come.
    pub(super) fn turn_to_drift(&mut self) {
        match self {
            Note::LevelChanged { address, from, to } => {
                *self = Note::LevelDrift {
                    address: address.clone(),
                    live: from.clone(),
                    declared: to.clone(),
                };
            }
            Note::PoliciesAffected {
                addresses,
                before,
                after,
            } => {
                *self = Note::PoliciesAffectedByDrift {
                    addresses: std::mem::take(addresses),
                    live: before.take(),
                    declared: after.take(),
                };
            }
            _ => {}
        }
    }

    /// Who acts on the levels of behaviors, without their addresses.
    pub fn acted_on(&self) -> Option<String> {
        match self {
            Note::PoliciesAffected { before, after, .. } => {
                Some(describe_change(before.as_ref(), after.as_ref()))
            }
            Note::PoliciesAffectedByDrift { live, declared, .. } => {
                Some(describe_drift(live.as_ref(), declared.as_ref()))
            }
            _ => None,
        }
    }

    /// Says whether it calls for a look at the file or the account, rather than for reading alone.
    pub fn is_warning(&self) -> bool {
        match self {
            Note::IgnoreExpired { .. }
            | Note::UnmatchedProtectedItem { .. }
            | Note::PinnedIdNotFound { .. }
            | Note::DuplicatesFound { .. }
            | Note::MatchedByGeneratedReference { .. }
            | Note::ConflictingMatches { .. }
            | Note::TenantMismatch { .. }
            | Note::PoliciesUnknown { .. }
            | Note::PoliciesSkipped { .. }
            | Note::WouldMatchUnlisted { .. }
            | Note::IdentityProviderNotFound { .. }
            | Note::OtherReferenceKept { .. }
            | Note::BecameUnlisted { .. }
            | Note::CreatedWithoutReference { .. } => true,
            Note::Ignored { .. }
            | Note::BrieflyActive { .. }
            | Note::LevelChanged { .. }
            | Note::LevelDrift { .. }
            | Note::PoliciesAffected { .. }
            | Note::PoliciesAffectedByDrift { .. }
            | Note::AttributionUnavailable { .. }
            | Note::WildcardBehaviorKept { .. }
            | Note::UnlistedAlternatives { .. }
            | Note::PlaceholderValue { .. } => false,
        }
    }
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Note::Ignored {
                address,
                field,
                live,
                declared,
                until,
                reason,
            } => {
                let (live, declared) = (quoted(live.as_ref()), quoted(declared.as_ref()));
                write!(
                    f,
                    "{address}: ignoring {field} (live {live}, declared {declared})"
                )?;
                if let Some(until) = until {
                    write!(f, " until {until}")?;
                }
                match reason {
                    Some(reason) => write!(f, ": {reason:?}"),
                    None => Ok(()),
                }
            }
            Note::IgnoreExpired {
                address,
                field,
                until,
            } => write!(
                f,
                "{address}: ignore_changes for {field} expired on {until}"
            ),
            Note::PinnedIdNotFound {
                address,
                id,
                instead: Some(instead),
            } => write!(
                f,
                "{address}: pinned id {id} not found; using {instead}; update the entry: `id: {instead}`"
            ),
            Note::PinnedIdNotFound {
                address,
                id,
                instead: None,
            } => write!(
                f,
                "{address}: pinned id {id} not found, and no other integration matches; remove `id:` or update it"
            ),
            Note::BrieflyActive { address } => write!(
                f,
                "{address}: created active, then deactivated; scores are sent for a moment"
            ),
            Note::BecameUnlisted { unlisted } => write!(
                f,
                "not deleted, because unlisted only since the plan: {}",
                abbreviate_list(unlisted)
            ),
            Note::CreatedWithoutReference { address, error } => write!(
                f,
                "{address}: the API rejected the generated reference_id, so it was sent without one and is matched by tenant_url: {error}"
            ),
            Note::LevelChanged { address, from, to } => write!(
                f,
                "{address}: Access policies match levels exactly; policies on {from} will not match {to}"
            ),
            Note::LevelDrift {
                address,
                live,
                declared,
            } => write!(
                f,
                "{address}: Access policies match levels exactly; policies on {declared} do not match the live level {live}"
            ),
            Note::PoliciesAffected { addresses, .. }
            | Note::PoliciesAffectedByDrift { addresses, .. } => {
                let said = self
                    .acted_on()
                    .expect("a note about policies says who acts");
                write!(f, "{}: {said}", abbreviate_list(addresses))
            }
            Note::PoliciesUnknown { error } => write!(
                f,
                "cannot determine which Access policies use these levels: {error}"
            ),
            Note::PoliciesSkipped { skipped } => write!(
                f,
                "{}; more policies may use these levels",
                skipped_summary(*skipped)
            ),
            Note::AttributionUnavailable { error } => {
                write!(f, "cannot determine who changed it: {error}")
            }
            Note::UnmatchedProtectedItem { item, location } => write!(
                f,
                "{location}: guards.protected: {item:?} matches no integration"
            ),
            Note::WildcardBehaviorKept { address } => write!(
                f,
                "{address}: stays enabled because only \"*\" declares it; list it by name to disable it"
            ),
            Note::DuplicatesFound {
                address,
                id,
                duplicates,
            } => write!(
                f,
                "{address}: several identical integrations exist; using the oldest, {id}; duplicates: {}",
                abbreviate_list(duplicates)
            ),
            Note::MatchedByGeneratedReference {
                address,
                id,
                tenant_url,
            } => write!(
                f,
                "{address}: matched {id} only by its generated reference; {tenant_url} will stop receiving scores. To create a new integration instead, rename the entry"
            ),
            Note::ConflictingMatches {
                address,
                id,
                by,
                other,
                other_by,
            } => write!(
                f,
                "{address}: {by} matches {id}, but {other_by} matches {other}; using {id} (its well_known_url stays). Set `id:` to choose"
            ),
            Note::UnlistedAlternatives { address, unlisted } => write!(
                f,
                "{address} will be created; unlisted integrations keep receiving scores. To use one of them, set `id:` to {}",
                abbreviate_list(unlisted)
            ),
            Note::TenantMismatch {
                address,
                identity_provider,
                tenant_url,
                org,
            } => write!(
                f,
                "{address}: identity provider {identity_provider:?} is for {org}, but tenant_url is {tenant_url}"
            ),
            Note::IdentityProviderNotFound {
                address,
                identity_provider,
            } => write!(
                f,
                "{address}: identity provider {identity_provider:?} not found; matching by tenant_url instead"
            ),
            Note::OtherReferenceKept { address, id } => write!(
                f,
                "{address}: {id} has the tenant_url but another reference_id, so it is not deleted; pin it with `id: {id}` to delete it"
            ),
            Note::WouldMatchUnlisted {
                address,
                candidates,
            } => write!(
                f,
                "{address}: after this, the entry matches unlisted integrations that the next apply would change: {}",
                abbreviate_list(candidates)
            ),
            Note::PlaceholderValue {
                address,
                id,
                field,
                value,
            } => write!(
                f,
                "{address}: two integrations swap {field}; {id} temporarily gets {value}"
            ),
        }
    }
}
