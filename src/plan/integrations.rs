//! Changes of integrations.

use std::collections::HashSet;

use jiff::civil::Date;

use crate::model::account::{AccountId, Declared, DesiredAccount, LiveAccount, UnlistedPolicy};
use crate::model::address::{Address, Name};
use crate::model::field::{Field, FieldValue, Fields, OKTA};
use crate::model::generated_reference::GeneratedReferences;
use crate::model::integration::{Integration, ReferenceId};

use super::change::{Action, Change, Origin, UnlistedResource, Weakening, quoted};
use super::matching::{self, MatchedBy, MatchedEntry, Matches, max_references};
use super::note::{Note, NoteKind};
use super::options::{Options, Purpose};

/// The live and the planned state of an integration.
pub(super) struct PlannedIntegration<'a> {
    pub(super) address: Address,
    /// Entry of the file; `None` if unlisted.
    pub(super) entry: Option<&'a Declared>,
    pub(super) before: Option<&'a Integration>,
    pub(super) after: Option<Fields>,
    /// The change, if any.
    pub(super) change: Option<Change>,
}

/// Result of comparing integrations.
pub(super) struct IntegrationDiff<'a> {
    /// Declared integrations by name, then unlisted ones by ID.
    pub(super) planned: Vec<PlannedIntegration<'a>>,
    /// Number of declared ones without a difference.
    pub(super) unchanged: usize,
    pub(super) unlisted: Vec<UnlistedResource>,
}

impl IntegrationDiff<'_> {
    /// Removes everything that is not included. Adds the addresses of the removed changes to `excluded`.
    pub(super) fn narrow(
        &mut self,
        includes: impl Fn(&Address) -> bool,
        excluded: &mut Vec<Address>,
    ) {
        for planned in &mut self.planned {
            if includes(&planned.address) {
                continue;
            }
            if planned.change.take().is_some() {
                excluded.push(planned.address.clone());
            } else if planned.entry.is_some() {
                self.unchanged -= 1;
            }
            planned.after = planned.before.map(|live| live.fields.clone());
        }
        self.unlisted.retain(|thing| includes(&thing.address));
    }
}

/// Compares all integrations, declared and unlisted.
pub(super) fn diff<'a>(
    desired: &'a DesiredAccount,
    live: &'a LiveAccount,
    matches: &Matches<'a>,
    today: Date,
    options: &Options,
    notes: &mut Vec<Note>,
) -> IntegrationDiff<'a> {
    let declared = (desired.integrations.values()).map(|entry| &entry.fields);
    let fields = declared.chain(live.integrations.iter().map(|live| &live.fields));
    let references = ReferenceAssigner {
        account: &desired.account_id,
        at_most: max_references(live.integrations.len()),
        used: fields.filter_map(Fields::reference_id).collect(),
    };
    let mut found = IntegrationDiff {
        planned: Vec::with_capacity(desired.integrations.len() + matches.unlisted.len()),
        unchanged: 0,
        unlisted: Vec::new(),
    };
    for matched in &matches.entries {
        let planned = self::declared(matched, &references, today, options.purpose, notes);
        found.unchanged += usize::from(planned.change.is_none());
        found.planned.push(planned);
    }
    for live in matches.unlisted.iter().copied() {
        let address = Address::UnlistedIntegration(live.id);
        let policy = desired.unlisted.integrations;
        let deleted = match options.purpose {
            Purpose::Apply | Purpose::Drift => policy == UnlistedPolicy::Delete,
            // Whatever the file says, only a full address deletes an unlisted integration.
            Purpose::Destroy => options.names(desired, &address),
        };
        let origin = Origin {
            integration_id: Some(live.id),
            ..Origin::default()
        };
        let (before, after) = (&live.fields, (!deleted).then(|| live.fields.clone()));
        let change = Change::between(address.clone(), Some(before), after.as_ref(), origin);
        if !deleted {
            let unlisted = UnlistedResource::new(address.clone(), policy, before);
            found.unlisted.push(unlisted);
        }
        found.planned.push(PlannedIntegration {
            address,
            entry: None,
            before: Some(live),
            after,
            change,
        });
    }
    found
}

fn declared<'a>(
    matched: &MatchedEntry<'a>,
    references: &ReferenceAssigner<'_>,
    today: Date,
    purpose: Purpose,
    notes: &mut Vec<Note>,
) -> PlannedIntegration<'a> {
    let (address, entry, live) = (matched.address(), matched.declared, matched.live());
    let before = live.map(|live| &live.fields);
    let after = match (purpose, live) {
        (Purpose::Apply | Purpose::Drift, _) => {
            let mut after = desired_fields(&address, entry, before, today, notes);
            references.complete(matched, &mut after, today);
            Some(after)
        }
        (Purpose::Destroy, Some(live)) if has_other_reference(matched) => {
            let id = live.id;
            let message = format!(
                "{id} has the tenant_url but another reference_id, so it is not deleted; pin it with `id: {id}` to delete it"
            );
            notes.push(Note::new(
                NoteKind::OtherReferenceKept,
                address.clone(),
                message,
            ));
            Some(live.fields.clone())
        }
        (Purpose::Destroy, _) => None,
    };
    let origin = Origin {
        location: Some(entry.location.clone()),
        by_wildcard: false,
        integration_id: live.map(|live| live.id),
        matched_by: matched.found.map(|(_, by)| by),
        variables: entry.variables.clone(),
        identity_provider: entry.identity_provider.clone(),
    };
    let mut change = Change::between(address.clone(), before, after.as_ref(), origin);
    if let Some(change) = &mut change {
        // Replacing a generated reference does not unlink an identity provider.
        let reasons = [
            (&mut change.weakens, &change.before),
            (&mut change.live_weaker, &change.after),
        ];
        for (reason, fields) in reasons {
            let reference = fields.as_ref().and_then(Fields::reference_id);
            let is_generated =
                reference.is_some_and(|one| references.is_generated(matched.name, one));
            *reason = reason.filter(|one| *one != Weakening::ReferenceIdChanged || !is_generated);
        }
        let creates = matches!(change.action, Action::Create | Action::Replace);
        if creates && !entry.is_active() {
            let message = "created active, then deactivated; scores are sent for a moment";
            notes.push(Note::new(NoteKind::BrieflyActive, address.clone(), message));
        }
    }
    PlannedIntegration {
        address,
        entry: Some(entry),
        before: live,
        after,
        change,
    }
}

/// Returns the notes about matches. Apart from duplicates and missing pins, only entries that change have them.
pub(super) fn match_notes(
    desired: &DesiredAccount,
    live: &LiveAccount,
    matches: &Matches<'_>,
    found: &IntegrationDiff<'_>,
    purpose: Purpose,
) -> Vec<Note> {
    let mut notes = matches.notes.clone();
    let mut changed = HashSet::new();
    for (entry, planned) in matches.entries.iter().zip(&found.planned) {
        if let Some(change) = &planned.change {
            notes.extend(leaves_tenant(change));
            notes.extend(matching::conflicting_match(desired, live, matches, entry));
            notes.extend(matching::unlisted_alternatives(desired, matches, entry));
            changed.insert(entry.address());
        }
    }
    if purpose == Purpose::Destroy {
        notes.extend(matching::would_match_unlisted(desired, matches, &changed));
    }
    notes
}

/// Returns a note if only the generated reference matched, and the tenant stops receiving scores.
fn leaves_tenant(change: &Change) -> Option<Note> {
    let origin = &change.origin;
    let id = origin
        .integration_id
        .filter(|_| origin.matched_by == Some(MatchedBy::GeneratedReference))?;
    let tenant_url = change.before.as_ref()?.tenant_url()?;
    let after = change.after.as_ref().and_then(Fields::tenant_url);
    (after != Some(tenant_url)).then(|| {
        let message = format!(
            "matched {id} only by its generated reference; {tenant_url} will stop receiving scores. To create a new integration instead, rename the entry"
        );
        Note::new(NoteKind::MatchedByGeneratedReference, change.address.clone(), message)
    })
}

/// Returns the desired fields of an entry. Ignored fields keep their live value.
fn desired_fields(
    address: &Address,
    entry: &Declared,
    before: Option<&Fields>,
    today: Date,
    notes: &mut Vec<Note>,
) -> Fields {
    let defaults = || Fields::from_iter([(Field::IntegrationType, FieldValue::Text(OKTA.into()))]);
    let mut after = match before {
        Some(before) => entry.fields.apply_to(before),
        None => entry.fields.apply_to(&defaults()),
    };
    after.set(Field::Active, Some(FieldValue::Bool(entry.is_active())));
    for ignored in &entry.lifecycle.ignore_changes {
        let field = ignored.field;
        if let Some(until) = ignored.until
            && until < today
        {
            let message = format!("ignore_changes for {field} expired on {until}");
            notes.push(Note::new(NoteKind::IgnoreExpired, address.clone(), message));
            continue;
        }
        let Some(live) = before.map(|before| before.get(field)) else {
            continue;
        };
        if live != after.get(field) {
            let until = ignored.until.map(|until| format!(" until {until}"));
            let reason = ignored
                .reason
                .as_ref()
                .map(|reason| format!(": {reason:?}"));
            let message = format!(
                "ignoring {field} (live {}, declared {}){}{}",
                quoted(live),
                quoted(after.get(field)),
                until.unwrap_or_default(),
                reason.unwrap_or_default()
            );
            notes.push(Note::new(NoteKind::Ignored, address.clone(), message));
            after.set(field, live.cloned());
        }
    }
    after
}

/// Returns true if `destroy` keeps the integration: it matched by tenant alone, and has another reference than the entry or its provider.
fn has_other_reference(matched: &MatchedEntry<'_>) -> bool {
    let Some((live, MatchedBy::TenantUrl)) = matched.found else {
        return false;
    };
    let (declared, live) = (
        matched.declared.fields.reference_id(),
        live.fields.reference_id(),
    );
    declared.is_some() && live.is_some() && declared != live
}

/// References of an account, used and generated.
struct ReferenceAssigner<'a> {
    account: &'a AccountId,
    /// Maximum number of generated references per entry.
    at_most: usize,
    /// All live and declared references.
    used: HashSet<&'a ReferenceId>,
}

impl ReferenceAssigner<'_> {
    fn is_generated(&self, name: &Name, reference: &ReferenceId) -> bool {
        GeneratedReferences::of(self.account, name).contains(reference, self.at_most)
    }

    /// Sets a reference, so that no request lacks one: without it, a server generates a random one and may drop the current one
    /// (`schema/api.md`, Integrations). If no other field is written, an unset reference stays unset. An ignored reference is sent with
    /// its live value, even if it is unset.
    fn complete(&self, matched: &MatchedEntry<'_>, after: &mut Fields, today: Date) {
        let before = matched.live().map(|live| &live.fields);
        let is_written = before != Some(&*after);
        let has_type = |before: &Fields| {
            before.get(Field::IntegrationType) == after.get(Field::IntegrationType)
        };
        let is_ignored = (matched.declared.lifecycle).ignores(Field::ReferenceId, today);
        let is_kept = is_ignored && before.is_some_and(has_type);
        if !is_written || is_kept || after.reference_id().is_some() {
            return;
        }
        // An integration without a reference cannot be the holder of a used one.
        let generated = GeneratedReferences::of(self.account, matched.name);
        let reference = generated.first_unused(|reference| self.used.contains(reference));
        after.set(Field::ReferenceId, Some(FieldValue::Reference(reference)));
    }
}
