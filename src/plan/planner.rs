//! [`plan`]: a pure function from two states to an immutable plan. The same input gives the same bytes: no async code, no clock, no files,
//! no API client.

use std::sync::Arc;

use jiff::civil::Date;

use crate::model::account::{DesiredAccount, LiveAccount};
use crate::model::address::Address;
use crate::model::context::Context;

use super::behaviors;
use super::integrations;
use super::matching::matches;
use super::note::NoteKind;
use super::options::{Options, Purpose};
use super::run::{AccountPlan, Status, Unchanged};
use super::{conflict, guards, identity_provider, order, policies};

/// Plans the changes from `live` to `desired`. `today` is the UTC day for the end of `ignore_changes`.
///
/// It never fails: entries that cannot be planned are in `errors`.
pub fn plan(
    desired: &Arc<DesiredAccount>,
    live: &Arc<LiveAccount>,
    context: &Context,
    today: Date,
    options: &Options,
) -> AccountPlan {
    let purpose = options.purpose;
    let includes = |address: &Address| options.includes(desired, address);
    let (mut errors, mut notes, mut excluded) = (Vec::new(), Vec::new(), Vec::new());

    let mut behaviors = behaviors::diff(desired, live, purpose, &mut notes, &mut errors);
    let matches = matches(desired, live);
    errors.extend(matches.errors.iter().cloned());
    let mut integrations = integrations::diff(desired, live, &matches, today, options, &mut notes);
    notes.extend(integrations::match_notes(
        desired,
        live,
        &matches,
        &integrations,
        purpose,
    ));
    notes.extend(identity_provider::notes(desired, purpose));

    // Drift of a target counts even if applying it would need another address.
    if purpose == Purpose::Drift {
        errors.extend(conflict::find(&integrations.planned, &excluded));
        let unlisted = behaviors.unlisted.iter().chain(&integrations.unlisted);
        let reported = unlisted.filter(|thing| thing.is_reported());
        let addresses = reported.map(|thing| thing.address.clone());
        excluded.extend(addresses.filter(|address| !includes(address)));
    }
    behaviors.narrow(includes, &mut excluded);
    integrations.narrow(includes, &mut excluded);
    if purpose != Purpose::Drift {
        errors.extend(conflict::find(&integrations.planned, &excluded));
    }
    errors.retain(|error| includes(&error.address));

    // `destroy` skips the entries with errors.
    let has_operations = match purpose {
        Purpose::Apply => errors.is_empty(),
        Purpose::Destroy => true,
        Purpose::Drift => false,
    };
    let operations = match has_operations {
        true => order::operations(
            &desired.account_id,
            live,
            &behaviors,
            &integrations.planned,
            &mut notes,
        ),
        false => Vec::new(),
    };
    let unchanged = Unchanged {
        behaviors: behaviors.unchanged.len(),
        integrations: integrations.unchanged,
    };
    let (mut changes, mut unlisted) = (behaviors.changes, behaviors.unlisted);
    changes.extend(
        integrations
            .planned
            .into_iter()
            .filter_map(|planned| planned.change),
    );
    unlisted.extend(integrations.unlisted);
    notes.retain(|note| note.address.as_ref().is_none_or(includes));
    notes.extend(guards::unmatched_protected_items(desired, &matches));
    notes.extend(policies::notes(&context.access, live, &changes, purpose));
    let mut violations = Vec::new();
    if purpose == Purpose::Drift {
        // These describe a change to make.
        notes.retain(|note| {
            !matches!(
                note.kind,
                NoteKind::BrieflyActive
                    | NoteKind::MatchedByGeneratedReference
                    | NoteKind::UnlistedAlternatives
            )
        });
        // Weaker resources come first. A stable sort keeps the order of the plan.
        changes.sort_by_key(|change| change.live_weaker.is_none());
    } else {
        violations = guards::check_guards(desired, live, context, &changes, options);
    }
    notes.sort_by(|a, b| a.address.cmp(&b.address));

    AccountPlan {
        account_id: desired.account_id.clone(),
        name: desired.name.clone(),
        source: Arc::clone(&desired.source),
        status: match errors.as_slice() {
            [] => Status::Ok,
            [_, ..] => Status::Ambiguous,
        },
        error: None,
        errors,
        today: Some(today),
        options: Some(options.clone()),
        live: Some(Arc::clone(live)),
        desired: Some(Arc::clone(desired)),
        context: Some(context.clone()),
        changes,
        unchanged,
        unlisted,
        notes,
        excluded,
        violations,
        operations,
        problems: None,
    }
}
