//! Diff of the declared and the live integrations.

use std::borrow::Cow;
use std::cell::OnceCell;
use std::collections::HashSet;

use jiff::civil::Date;

use crate::model::account::{AccountId, DesiredAccount, LiveAccount, UnlistedIntegrations};
use crate::model::address::Address;
use crate::model::generated_reference::GeneratedReferences;
use crate::model::integration::{
    DesiredIntegration, Integration, IntegrationField, IntegrationSettings, ReferenceId, weakening,
};

use super::change::{
    Action, Change, LiveMatch, Policy, ResourceDiff, ResourceFields, UnlistedResource,
    UnlistedSettings, ValueSources, Weakening, quoted,
};
use super::matching::{MatchedBy, Matches, own_counts};
use super::note::{Note, NoteKind};
use super::{Options, Purpose};

/// The live and the planned state of one integration, from a file or unlisted.
pub(super) struct PlannedIntegration<'a> {
    pub(super) thing: IntegrationSource<'a>,
    /// Live state.
    pub(super) before: Option<&'a Integration>,
    /// Key of the match; `None` if unlisted or not created yet.
    pub(super) by: Option<MatchedBy>,
    /// Planned settings. Borrowed from the live state if nothing differs, as for most of a large account.
    pub(super) after: Option<Cow<'a, IntegrationSettings>>,
    /// The change, if any.
    pub(super) change: Option<Change>,
}

impl PlannedIntegration<'_> {
    /// Returns true if a file declares it.
    pub(super) fn is_listed(&self) -> bool {
        self.thing.entry().is_some()
    }
}

/// Origin of an integration.
#[derive(Clone, Copy)]
pub(super) enum IntegrationSource<'a> {
    /// An entry of the file.
    Listed(&'a DesiredIntegration),
    /// An unlisted live integration.
    Unlisted(&'a Integration),
}

impl<'a> IntegrationSource<'a> {
    pub(super) fn entry(self) -> Option<&'a DesiredIntegration> {
        match self {
            IntegrationSource::Listed(entry) => Some(entry),
            IntegrationSource::Unlisted(_) => None,
        }
    }

    pub(super) fn address(self) -> Address {
        match self {
            IntegrationSource::Listed(entry) => Address::Integration(entry.name.clone()),
            IntegrationSource::Unlisted(live) => Address::UnlistedIntegration(live.id),
        }
    }
}

/// Result of the diff of integrations.
pub(super) struct IntegrationDiff<'a> {
    /// All integrations: listed ones by name, then unlisted ones by id.
    pub(super) courses: Vec<PlannedIntegration<'a>>,
    /// Number of listed ones without a difference.
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
        for course in &mut self.courses {
            let address = course.thing.address();
            if includes(&address) {
                continue;
            }
            if course.change.take().is_some() {
                excluded.push(address);
            } else if course.thing.entry().is_some() {
                self.unchanged -= 1;
            }
            course.after = course.before.map(|live| Cow::Borrowed(&live.settings));
        }
        self.unlisted.retain(|thing| includes(&thing.address));
    }
}

/// Compares all integrations, listed and unlisted.
pub(super) fn diff<'a>(
    desired: &'a DesiredAccount,
    live: &'a LiveAccount,
    matches: &Matches<'a>,
    today: Date,
    options: &Options,
    notes: &mut Vec<Note>,
) -> IntegrationDiff<'a> {
    let purpose = options.purpose;
    let references = ReferenceAssigner::new(desired, live);
    let mut courses = Vec::with_capacity(desired.integrations.len() + matches.unlisted.len());
    for matched in matches.entries() {
        let entry = matched.declared;
        let before = matched.found.map(|(live, _)| live);
        let mut after = match purpose {
            Purpose::Apply | Purpose::Drift => Some(wanted(entry, before, today, notes)),
            Purpose::Destroy if keeps_other_reference(entry, matched.found) => {
                notes.extend(before.map(|live| {
                    let id = live.id;
                    let message = format!(
                        "{id} has the tenant_url but another reference_id, so it is not deleted; pin it with `id: {id}` to delete it"
                    );
                    Note::new(NoteKind::OtherReferenceKept, matched.address(), message)
                }));
                before.map(|live| Cow::Borrowed(&live.settings))
            }
            Purpose::Destroy => None,
        };
        if let Some(after) = &mut after
            && purpose != Purpose::Destroy
            && !keeps_reference(entry, before, after, today)
        {
            references.complete(entry, before, after);
        }
        let thing = IntegrationSource::Listed(entry);
        let is_own = |reference: &ReferenceId| references.is_generated(entry, reference);
        let found = matched.found.map(|(live, by)| (live, Some(by)));
        let change = compare(thing, found, after.as_deref(), is_own);
        let made = change
            .as_ref()
            .is_some_and(|change| matches!(change.action(), Action::Create | Action::Replace));
        if made && after.as_ref().is_some_and(|after| !after.active) {
            let message = "created active, then deactivated; scores are sent for a moment";
            notes.push(Note::new(NoteKind::BrieflyActive, thing.address(), message));
        }
        courses.push(PlannedIntegration {
            thing,
            before,
            by: matched.found.map(|(_, by)| by),
            after,
            change,
        });
    }

    let unchanged = courses
        .iter()
        .filter(|course| course.change.is_none())
        .count();

    let mut unlisted = Vec::new();
    for live in &matches.unlisted {
        let thing = IntegrationSource::Unlisted(live);
        let policy = desired.unlisted.integrations;
        let deleted = match purpose {
            Purpose::Apply | Purpose::Drift => policy == UnlistedIntegrations::Delete,
            // Whatever the file says, only a full address deletes an unlisted integration.
            Purpose::Destroy => options.names(desired, &thing.address()),
        };
        let after = (!deleted).then_some(Cow::Borrowed(&live.settings));
        if !deleted {
            unlisted.push(UnlistedResource {
                address: thing.address(),
                policy: match policy {
                    UnlistedIntegrations::Keep => Policy::Keep,
                    UnlistedIntegrations::Report => Policy::Report,
                    UnlistedIntegrations::Delete => Policy::Delete,
                },
                settings: UnlistedSettings::Integration(live.settings.clone()),
                attribution: Vec::new(),
            });
        }
        let change = compare(thing, Some((live, None)), after.as_deref(), |_| false);
        courses.push(PlannedIntegration {
            thing,
            before: Some(live),
            by: None,
            after,
            change,
        });
    }
    IntegrationDiff {
        courses,
        unchanged,
        unlisted,
    }
}

/// References of an account, used and generated.
struct ReferenceAssigner<'a> {
    account: &'a AccountId,
    /// Maximum number of generated references per entry.
    counts: usize,
    desired: &'a DesiredAccount,
    live: &'a LiveAccount,
    /// All live and declared references.
    held: OnceCell<HashSet<&'a ReferenceId>>,
}

impl<'a> ReferenceAssigner<'a> {
    fn new(desired: &'a DesiredAccount, live: &'a LiveAccount) -> Self {
        ReferenceAssigner {
            account: &desired.account_id,
            counts: own_counts(live.integrations.len()),
            desired,
            live,
            held: OnceCell::new(),
        }
    }

    fn is_generated(&self, entry: &DesiredIntegration, reference: &ReferenceId) -> bool {
        GeneratedReferences::of(self.account, &entry.name).contains(reference, self.counts)
    }

    /// Sets a reference, so that no request lacks one: without it, a server generates a random one and may drop the current one
    /// (`schema/api.md`, Integrations). If no other field is written, an unset reference stays unset.
    fn complete(
        &self,
        entry: &DesiredIntegration,
        before: Option<&Integration>,
        after: &mut Cow<'_, IntegrationSettings>,
    ) {
        let written = before.is_none_or(|live| live.settings != **after);
        if !written || after.reference_id.is_some() {
            return;
        }
        // An integration without a reference cannot be the holder of a used one.
        let own = GeneratedReferences::of(self.account, &entry.name);
        let held = self.held.get_or_init(|| self.held());
        let reference = own.first_unused(|reference| held.contains(reference));
        after.to_mut().reference_id = Some(reference);
    }

    fn held(&self) -> HashSet<&'a ReferenceId> {
        let declared = self.desired.integrations.values();
        let live = self.live.integrations.iter();
        declared
            .filter_map(|entry| entry.reference_id.as_ref())
            .chain(live.filter_map(|live| live.settings.reference_id.as_ref()))
            .collect()
    }
}

/// Returns the desired settings, after applying `ignore_changes`.
fn wanted<'a>(
    entry: &DesiredIntegration,
    before: Option<&'a Integration>,
    today: Date,
    notes: &mut Vec<Note>,
) -> Cow<'a, IntegrationSettings> {
    let address = || Address::Integration(entry.name.clone());
    let mut after = match before {
        Some(live) => entry.apply_to(&live.settings),
        None => Cow::Owned(entry.create_settings()),
    };
    for ignored in &entry.lifecycle.ignore_changes {
        let field = ignored.field;
        if let Some(until) = ignored.until
            && until < today
        {
            let message = format!("ignore_changes for {field} expired on {until}");
            notes.push(Note::new(NoteKind::IgnoreExpired, address(), message));
            continue;
        }
        let Some(live) = before.map(|live| &live.settings) else {
            continue;
        };
        if !live.same(&after, field.into()) {
            let [live_value, declared] =
                [live, &after].map(|settings| quoted(settings.value(field.into()).as_ref()));
            let until = ignored.until.map(|until| format!(" until {until}"));
            let reason = ignored
                .reason
                .as_ref()
                .map(|reason| format!(": {reason:?}"));
            let message = format!(
                "ignoring {field} (live {live_value}, declared {declared}){}{}",
                until.unwrap_or_default(),
                reason.unwrap_or_default()
            );
            notes.push(Note::new(NoteKind::Ignored, address(), message));
            keep(after.to_mut(), live, field);
        }
    }
    after
}

/// Returns true if `destroy` keeps the integration: it matched by tenant alone, and has another reference than the entry or its provider.
fn keeps_other_reference(
    entry: &DesiredIntegration,
    found: Option<(&Integration, MatchedBy)>,
) -> bool {
    let Some((live, MatchedBy::TenantUrl)) = found else {
        return false;
    };
    match (&entry.reference_id, &live.settings.reference_id) {
        (Some(declared), Some(live)) => declared != live,
        (None, _) | (_, None) => false,
    }
}

/// Returns true if an update sends the reference exactly as it is live, even if it is unset.
fn keeps_reference(
    entry: &DesiredIntegration,
    before: Option<&Integration>,
    after: &IntegrationSettings,
    today: Date,
) -> bool {
    let is_update =
        before.is_some_and(|live| live.settings.integration_type == after.integration_type);
    is_update && (entry.lifecycle).ignores(IntegrationField::ReferenceId, today)
}

fn keep(after: &mut IntegrationSettings, live: &IntegrationSettings, field: IntegrationField) {
    match field {
        IntegrationField::IntegrationType => {
            after.integration_type = live.integration_type.clone();
        }
        IntegrationField::TenantUrl => after.tenant_url = live.tenant_url.clone(),
        IntegrationField::ReferenceId => after.reference_id = live.reference_id.clone(),
        IntegrationField::Active => after.active = live.active,
    }
}

/// Returns the change between live and planned settings. `by` is the key of the match.
fn compare(
    thing: IntegrationSource<'_>,
    before: Option<(&Integration, Option<MatchedBy>)>,
    after: Option<&IntegrationSettings>,
    is_own: impl Fn(&ReferenceId) -> bool,
) -> Option<Change> {
    let live = before.map(|(live, _)| &live.settings);
    if live == after {
        return None;
    }
    Some(Change::Integration(ResourceDiff {
        address: thing.address(),
        before: live.cloned(),
        after: after.cloned(),
        weakens: weakening(live, after, &is_own).map(Weakening::Integration),
        live_weaker: weakening(after, live, &is_own).map(Weakening::Integration),
        location: thing.entry().map(|entry| entry.location.clone()),
        declared_by: None,
        found: before.map(|(live, by)| LiveMatch { id: live.id, by }),
        sources: after
            .and(thing.entry())
            .map_or_else(ValueSources::default, |entry| ValueSources {
                variables: entry.variables.clone(),
                identity_provider: entry.identity_provider.clone(),
            }),
        attribution: Vec::new(),
    }))
}
