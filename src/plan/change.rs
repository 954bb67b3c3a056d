//! The difference between two states of a resource.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

#[cfg(test)]
use schemars::JsonSchema;
use serde::{Serialize, Serializer};

use crate::model::account::{LiveAccount, UnlistedPolicy};
use crate::model::address::Address;
use crate::model::audit_log::AuditLog;
use crate::model::field::{FIELDS, Field, FieldValue, Fields, Kind};
use crate::model::integration::IntegrationId;
use crate::model::location::Location;
use crate::model::open_enum::string_enum;

use super::attribution::{self, AttributedAction, FieldAttribution, Subject};
use super::matching::MatchedBy;

/// A change of one resource.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(test, derive(JsonSchema))]
pub struct Change {
    pub address: Address,
    pub kind: Kind,
    pub action: Action,
    /// Reason why the change weakens protection. In JSON, whether it does.
    #[serde(serialize_with = "is_some")]
    #[cfg_attr(test, schemars(with = "bool"))]
    pub weakens: Option<Weakening>,
    /// Reason why the live state protects less than the desired state. In JSON, whether it does.
    #[serde(serialize_with = "is_some")]
    #[cfg_attr(test, schemars(with = "bool"))]
    pub live_weaker: Option<Weakening>,
    #[serde(flatten)]
    pub origin: Origin,
    /// Live fields. Null if the resource does not exist.
    #[serde(skip)]
    pub before: Option<Fields>,
    /// Fields after the change. Null if the resource is deleted.
    #[serde(skip)]
    pub after: Option<Fields>,
    /// Fields that differ. All fields for a create or delete.
    pub fields: Vec<FieldChange>,
    /// Drift only: authors of the difference, from the audit log.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub attribution: Vec<FieldAttribution>,
}

fn is_some<S: Serializer>(reason: &Option<Weakening>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_bool(reason.is_some())
}

/// Entry and live integration of a change.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[cfg_attr(test, derive(JsonSchema))]
pub struct Origin {
    /// Location of the entry. Null for unlisted resources.
    pub location: Option<Location>,
    /// Whether only the wildcard entry declares the behavior.
    pub by_wildcard: bool,
    /// ID of the live integration.
    pub integration_id: Option<IntegrationId>,
    /// Key by which the live integration matched its entry.
    pub matched_by: Option<MatchedBy>,
    /// Names of the variables used in the values, by field.
    #[serde(skip)]
    pub variables: BTreeMap<String, Vec<String>>,
    /// Name of the identity provider that has the declared `reference_id`.
    #[serde(skip)]
    pub identity_provider: Option<String>,
}

string_enum! {
    /// Action of a change.
    Action {
        /// Creates the resource.
        Create = "create",
        /// Updates fields of the resource.
        Update = "update",
        /// Deletes the resource and creates it again, because a field cannot be updated.
        Replace = "replace",
        /// Deletes the resource.
        Delete = "delete",
    }
}

impl Action {
    /// Returns true if the action deletes a live resource.
    pub fn deletes(self) -> bool {
        matches!(self, Action::Replace | Action::Delete)
    }
}

impl Change {
    /// Compares two states. Plans, drift, [`changes_since`], verification and the audit log use this function.
    pub fn between(
        address: Address,
        before: Option<&Fields>,
        after: Option<&Fields>,
        origin: Origin,
    ) -> Option<Change> {
        let kind = address.kind();
        let mut fields = field_changes(kind, before, after);
        for change in fields.iter_mut().filter(|_| after.is_some()) {
            let variables = origin.variables.get(change.field.as_str());
            change.variables = variables.cloned().unwrap_or_default();
            if change.field == Field::ReferenceId {
                (change.identity_provider).clone_from(&origin.identity_provider);
            }
        }
        let action = match (before, after) {
            (None, None) => return None,
            (None, Some(_)) => Action::Create,
            (Some(_), None) => Action::Delete,
            (Some(_), Some(_)) if fields.is_empty() => return None,
            (Some(_), Some(_)) => {
                let mut fields = fields.iter();
                match fields.any(|change| change.field == Field::IntegrationType) {
                    true => Action::Replace,
                    false => Action::Update,
                }
            }
        };
        Some(Change {
            kind,
            action,
            weakens: weakening(kind, before, after),
            live_weaker: weakening(kind, after, before),
            fields,
            address,
            origin,
            attribution: Vec::new(),
            before: before.cloned(),
            after: after.cloned(),
        })
    }

    /// Adds the authors of the difference. `pinned` is the ID in the entry.
    pub(super) fn attribute(&mut self, log: &AuditLog, pinned: Option<IntegrationId>) {
        let fields = self.fields.iter().map(|change| change.field);
        let created = AttributedAction::Created;
        self.attribution = match (&self.address, &self.before, self.origin.integration_id) {
            (Address::Behavior(key), Some(live), _) => {
                attribution::of_fields(log, Subject::Behavior(key), fields, live)
            }
            (_, Some(_), Some(id)) if self.after.is_none() => {
                attribution::of_resource(created, attribution::creation(log, id))
            }
            (_, Some(live), Some(id)) => {
                attribution::of_fields(log, Subject::Integration(id), fields, live)
            }
            (_, _, _) => match &self.after {
                Some(declared) if self.kind == Kind::Integration => {
                    let deletion = attribution::deletion(log, pinned, declared);
                    attribution::of_resource(AttributedAction::Deleted, deletion)
                }
                _ => Vec::new(),
            },
        };
    }
}

impl Change {
    /// Describes how the live state differs from the declared one, such as `behavior.imp_travel is off, declared on`.
    pub fn difference(&self) -> String {
        format!("{} {}", self.address, self.differences().join("; "))
    }

    /// Returns each difference of the live state from the declared one, such as `is off, declared on`.
    pub fn differences(&self) -> Vec<String> {
        match self.action {
            Action::Create => vec!["is missing".to_owned()],
            Action::Delete => {
                let tenant = self.before.as_ref().and_then(Fields::tenant_url);
                let tenant = tenant.map_or_else(String::new, |url| format!(" ({url})"));
                vec![format!("is unlisted{tenant}; apply will delete it")]
            }
            Action::Update if self.origin.location.is_none() => {
                vec!["is unlisted and on; apply will disable it".to_owned()]
            }
            Action::Update | Action::Replace => {
                let mut fields: Vec<&FieldChange> = self.fields.iter().collect();
                fields.sort_by_key(|change| change.field == Field::ReferenceId);
                fields.into_iter().map(field_difference).collect()
            }
        }
    }
}

fn field_difference(change: &FieldChange) -> String {
    let shown = |value: &Option<FieldValue>| match (change.field, value) {
        (_, None) => "(unset)".to_owned(),
        (Field::Enabled, Some(FieldValue::Bool(true))) => "on".to_owned(),
        (Field::Enabled, Some(FieldValue::Bool(false))) => "off".to_owned(),
        (Field::Active, Some(FieldValue::Bool(true))) => "active".to_owned(),
        (Field::Active, Some(FieldValue::Bool(false))) => "inactive".to_owned(),
        (_, Some(value)) => value.to_string(),
    };
    let (live, declared) = (shown(&change.before), shown(&change.after));
    match change.field {
        Field::Enabled | Field::RiskLevel | Field::Active => {
            format!("is {live}, declared {declared}")
        }
        field => format!("has {field} {live}, declared {declared}"),
    }
}

/// Describes a change of the live state: `behavior.imp_travel: enabled changed from true to false`.
impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let address = &self.address;
        let each = |text: &dyn Fn(Field, String, String) -> String, separator| {
            let texts = self.fields.iter().map(|change| {
                let [before, after] = [&change.before, &change.after];
                text(
                    change.field,
                    quoted(before.as_ref()),
                    quoted(after.as_ref()),
                )
            });
            texts.collect::<Vec<_>>().join(separator)
        };
        f.write_str(&match self.action {
            Action::Create => {
                let fields = each(&|field, _, after| format!("{field} {after}"), ", ");
                format!("{address} was added: {fields}")
            }
            Action::Delete => {
                let fields = each(&|field, before, _| format!("{field} {before}"), ", ");
                format!("{address} was removed; it had {fields}")
            }
            Action::Update | Action::Replace => each(
                &|field, before, after| {
                    format!("{address}: {field} changed from {before} to {after}")
                },
                "; ",
            ),
        })
    }
}

/// Returns the fields in which two states of a resource differ. All fields if one state is missing.
pub fn field_changes(
    kind: Kind,
    before: Option<&Fields>,
    after: Option<&Fields>,
) -> Vec<FieldChange> {
    let exists_once = before.is_none() || after.is_none();
    let specs = FIELDS.iter().filter(|spec| spec.kind == kind);
    let changes = specs.map(|spec| FieldChange {
        field: spec.field,
        before: before.and_then(|fields| fields.get(spec.field)).cloned(),
        after: after.and_then(|fields| fields.get(spec.field)).cloned(),
        variables: Vec::new(),
        identity_provider: None,
    });
    changes
        .filter(|change| exists_once || change.before != change.after)
        .collect()
}

/// Returns the changes from one read of an account to a later one.
pub fn changes_since(before: &LiveAccount, after: &LiveAccount) -> Vec<Change> {
    let (before, after) = (before.by_address(), after.by_address());
    let addresses: BTreeSet<&Address> = before.keys().chain(after.keys()).collect();
    let change = |address: &Address| {
        let (before, after) = (before.get(address).copied(), after.get(address).copied());
        Change::between(address.clone(), before, after, Origin::default())
    };
    addresses.into_iter().filter_map(change).collect()
}

/// A changed field. Values are missing if the resource does not exist or the field is unset.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(JsonSchema))]
pub struct FieldChange {
    pub field: Field,
    pub before: Option<FieldValue>,
    pub after: Option<FieldValue>,
    /// Names of the variables used in the declared value.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub variables: Vec<String>,
    /// Name of the Access identity provider that has the declared reference_id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub identity_provider: Option<String>,
}

impl FieldChange {
    /// Describes a field that does not have its new value: `risk_level is "low", not "high"`.
    pub fn not_read_back(&self) -> String {
        let (is, not) = (quoted(self.before.as_ref()), quoted(self.after.as_ref()));
        format!("{} is {is}, not {not}", self.field)
    }
}

/// Returns a value within a sentence. Texts are in quotes.
pub(super) fn quoted(value: Option<&FieldValue>) -> String {
    match value {
        None => "(unset)".to_owned(),
        Some(FieldValue::Bool(value)) => value.to_string(),
        Some(text) => format!("{:?}", text.to_string()),
    }
}

string_enum! {
    /// Reason why protection weakens, as displayed.
    Weakening {
        /// Detection is disabled.
        Disabled = "disabled",
        /// The level is lowered.
        Lowered = "lowered",
        /// The level changes to or from a level unknown to riskform.
        UnknownLevel = "unknown level",
        /// The integration is deleted.
        Deleted = "deleted",
        /// The integration is replaced.
        Replaced = "replaced",
        /// Scores are no longer sent.
        Deactivated = "deactivated",
        /// Scores are sent to another tenant.
        TenantUrlChanged = "tenant_url changed",
        /// The integration is linked to another identity provider.
        ReferenceIdChanged = "reference_id changed",
    }
}

/// Returns the most severe reason why the change from `before` to `after` weakens protection, if it does.
pub(super) fn weakening(
    kind: Kind,
    before: Option<&Fields>,
    after: Option<&Fields>,
) -> Option<Weakening> {
    let before = before?;
    let Some(after) = after else {
        return Some(Weakening::Deleted);
    };
    let differs = |field| before.get(field) != after.get(field);
    let turned_off = |field| before.is_on(field) && !after.is_on(field);
    match kind {
        // A change of a disabled behavior cannot weaken protection.
        Kind::Behavior if !before.is_on(Field::Enabled) => None,
        Kind::Behavior if turned_off(Field::Enabled) => Some(Weakening::Disabled),
        Kind::Behavior => {
            let known = |fields: &Fields| fields.level().and_then(|level| level.known());
            match (known(before), known(after)) {
                (Some(before), Some(after)) => (after < before).then_some(Weakening::Lowered),
                _ => differs(Field::RiskLevel).then_some(Weakening::UnknownLevel),
            }
        }
        Kind::Integration if differs(Field::IntegrationType) => Some(Weakening::Replaced),
        Kind::Integration if turned_off(Field::Active) => Some(Weakening::Deactivated),
        Kind::Integration if differs(Field::TenantUrl) => Some(Weakening::TenantUrlChanged),
        Kind::Integration => (before.reference_id().is_some() && differs(Field::ReferenceId))
            .then_some(Weakening::ReferenceIdChanged),
    }
}

/// A live resource that is not in any file and is not changed.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(test, derive(JsonSchema))]
pub struct UnlistedResource {
    pub address: Address,
    /// Handling of such resources, as declared in `unlisted`.
    pub policy: UnlistedPolicy,
    #[serde(rename = "settings")]
    pub fields: Fields,
    /// Drift only: author of the resource.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub attribution: Vec<FieldAttribution>,
}

impl UnlistedResource {
    pub(super) fn new(address: Address, policy: UnlistedPolicy, fields: &Fields) -> Self {
        UnlistedResource {
            address,
            policy,
            fields: fields.clone(),
            attribution: Vec::new(),
        }
    }

    /// Adds the author of the resource.
    pub(super) fn attribute(&mut self, log: &AuditLog) {
        self.attribution = match &self.address {
            Address::Behavior(key) => {
                let fields = self.fields.iter().map(|(field, _)| field);
                attribution::of_fields(log, Subject::Behavior(key), fields, &self.fields)
            }
            Address::UnlistedIntegration(id) => {
                let creation = attribution::creation(log, *id);
                attribution::of_resource(AttributedAction::Created, creation)
            }
            Address::Integration(_) => Vec::new(),
        };
    }

    /// Returns all fields, as removed ones.
    pub fn field_changes(&self) -> Vec<FieldChange> {
        field_changes(self.address.kind(), Some(&self.fields), None)
    }

    /// Returns true if the file wants it reported.
    pub fn is_reported(&self) -> bool {
        self.policy == UnlistedPolicy::Report
    }
}
