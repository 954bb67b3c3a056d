//! Notes about matches: if the file does not pin an integration, the plan reports the match and how to change it.

use crate::model::account::{DesiredAccount, UnlistedIntegrations};
use crate::model::address::Address;
use crate::model::generated_reference::GeneratedReferences;
use crate::model::integration::{DesiredIntegration, Integration};
use crate::model::text::abbreviate_list;

use super::Purpose;
use super::change::Action;
use super::integrations::{IntegrationDiff, IntegrationSource, PlannedIntegration};
use super::matching::{MatchedBy, Matches, match_integrations, own_counts, same_type};
use super::note::{Note, NoteKind};

/// Returns the notes on all entries.
pub(super) fn notes(
    desired: &DesiredAccount,
    live: &[Integration],
    matches: &Matches<'_>,
    integrations: &IntegrationDiff<'_>,
    purpose: Purpose,
) -> Vec<Note> {
    let mut notes: Vec<Note> = matches.notes().collect();
    let changed = integrations
        .courses
        .iter()
        .filter(|course| course.change.is_some());
    for course in changed {
        if let IntegrationSource::Listed(entry) = course.thing {
            notes.extend(matched_only_by_generated_reference(course));
            notes.extend(conflicting_matches(desired, live, matches, entry, course));
            notes.extend(unlisted_alternatives(desired, matches, course));
        }
    }
    if purpose == Purpose::Destroy {
        notes.extend(would_match_unlisted(desired, matches, integrations));
    }
    notes
}

fn matched_only_by_generated_reference(course: &PlannedIntegration<'_>) -> Option<Note> {
    let before = course.before?;
    let tenant_url = &before.settings.tenant_url;
    let leaves = course
        .after
        .as_ref()
        .is_none_or(|after| after.tenant_url != *tenant_url);
    (course.by == Some(MatchedBy::GeneratedReference) && leaves).then(|| {
        let message = format!(
            "matched {} only by its generated reference; {tenant_url} will stop receiving scores. To create a new integration instead, rename the entry",
            before.id
        );
        Note::new(NoteKind::MatchedByGeneratedReference, course.thing.address(), message)
    })
}

/// Returns a note if another key of the entry matches a different integration. A pinned entry has none.
fn conflicting_matches(
    desired: &DesiredAccount,
    live: &[Integration],
    matches: &Matches<'_>,
    entry: &DesiredIntegration,
    course: &PlannedIntegration<'_>,
) -> Option<Note> {
    let before = course.before?;
    let by = course.by?;
    let has_tenant = |other: &&Integration| {
        other.settings.tenant_url == entry.tenant_url && same_type(entry, other)
    };
    let (other, other_by) = match by {
        MatchedBy::Id => return None,
        MatchedBy::ReferenceId | MatchedBy::GeneratedReference if has_tenant(&before) => {
            return None;
        }
        MatchedBy::ReferenceId | MatchedBy::GeneratedReference => {
            (live.iter().find(has_tenant)?, MatchedBy::TenantUrl)
        }
        MatchedBy::TenantUrl => {
            let own = GeneratedReferences::of(&desired.account_id, &entry.name);
            let counts = own_counts(live.len());
            let is_own = |other: &&Integration| {
                let reference = other.settings.reference_id.as_ref();
                !other.settings.is_duplicate_of(&before.settings)
                    && reference.is_some_and(|reference| own.contains(reference, counts))
            };
            let other = matches.unlisted.iter().copied().find(is_own)?;
            (other, MatchedBy::GeneratedReference)
        }
    };
    let (id, other) = (before.id, other.id);
    let message = format!(
        "{by} matches {id}, but {other_by} matches {other}; using {id} (its well_known_url stays). Set `id:` to choose"
    );
    Some(Note::new(
        NoteKind::ConflictingMatches,
        course.thing.address(),
        message,
    ))
}

fn unlisted_alternatives(
    desired: &DesiredAccount,
    matches: &Matches<'_>,
    course: &PlannedIntegration<'_>,
) -> Option<Note> {
    let created = course
        .change
        .as_ref()
        .is_some_and(|change| change.action() == Action::Create);
    let stay = desired.unlisted.integrations != UnlistedIntegrations::Delete;
    (created && stay && !matches.unlisted.is_empty()).then(|| {
        let unlisted = abbreviate_list(matches.unlisted.iter().map(|live| live.id));
        let message = format!(
            "created, while unlisted integrations keep receiving scores; to use one of them, set `id:` to {unlisted}"
        );
        Note::new(NoteKind::UnlistedAlternatives, course.thing.address(), message)
    })
}

/// Returns a note if, after `destroy`, the remaining entry would match other integrations in the next run.
fn would_match_unlisted(
    desired: &DesiredAccount,
    matches: &Matches<'_>,
    integrations: &IntegrationDiff<'_>,
) -> Vec<Note> {
    let gone = |address: &Address| {
        let mut courses = integrations.courses.iter();
        courses.any(|course| course.change.is_some() && course.thing.address() == *address)
    };
    let next = match_integrations(desired, matches.unlisted.clone());
    let entries = next.entries().iter();
    let found = entries.filter_map(|entry| Some((entry.address(), vec![entry.found?.0.id])));
    let ambiguous = next.errors.iter().map(|error| {
        let candidates = error.candidates.iter().map(|one| one.id);
        (error.address.clone(), candidates.collect::<Vec<_>>())
    });
    found
        .chain(ambiguous)
        .filter(|(address, _)| gone(address))
        .map(|(address, candidates)| {
            let message = format!(
                "after this, the entry matches unlisted integrations that the next apply would change: {}",
                abbreviate_list(candidates)
            );
            Note::new(NoteKind::WouldMatchUnlisted, address, message)
        })
        .collect()
}
