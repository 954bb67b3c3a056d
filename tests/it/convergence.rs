//! After apply, a new plan is empty, for random accounts and every possible API behavior.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use axum::extract::Request;
use axum::http::Method;
use axum::middleware::{Next, from_fn};

use proptest::prelude::*;
use proptest::test_runner::TestCaseError;
use riskform::api::Transport;
use riskform::apply::{ApplyResult, Outcome};
use riskform::model::account::LiveAccount;
use riskform::model::address::{Address, Name};
use riskform::model::integration::IntegrationId;
use riskform::plan::{
    AccountPlan, Action, Format, Note, NoteKind, Operation, PlanError, PlanErrorKind, Run, matches,
};
use riskform::sandbox::Sandbox;

use crate::scenarios::{ApiVariant, Scenario, for_each_api_variant, planned, unguarded, worlds};
use crate::support::account;
use crate::support::layers::{ReceivedRequest, RequestLog};
use crate::support::world::{PATIENCE, apply_plan, client, in_paused_time};

/// Cases for each of the 192 combinations of unknown API behavior.
const WORLDS_EACH: u32 = 2;

#[test]
fn plan_apply_plan_again_is_empty() {
    let tally = RefCell::new(Tally::default());
    for_each_api_variant(WORLDS_EACH, worlds, |world, unknowns| {
        tally_of(&world, unknowns).map(|found| tally.borrow_mut().add(found))
    });
    // The cases must include every kind of operation.
    let Tally {
        planned,
        refused,
        operations,
        placeholders,
        unsendable,
    } = tally.into_inner();
    println!(
        "{planned} planned, {refused} refused, {unsendable} unsendable, {operations} operations, {placeholders} with placeholders"
    );
    assert!(planned > refused + unsendable && operations > planned);
    // Rare.
    let many = planned + refused + unsendable >= 1_536;
    assert!(!many || (placeholders > 0 && unsendable > 0));
}

#[derive(Default)]
struct Tally {
    planned: usize,
    refused: usize,
    operations: usize,
    placeholders: usize,
    /// Planned with a reference that the server rejects.
    unsendable: usize,
}

impl Tally {
    fn add(&mut self, other: Tally) {
        self.planned += other.planned;
        self.refused += other.refused;
        self.operations += other.operations;
        self.placeholders += other.placeholders;
        self.unsendable += other.unsendable;
    }
}

fn tally_of(world: &Scenario, unknowns: ApiVariant) -> Result<Tally, TestCaseError> {
    in_paused_time(assert_converges(world, unknowns))
}

async fn assert_converges(world: &Scenario, unknowns: ApiVariant) -> Result<Tally, TestCaseError> {
    let account = account();
    let sandbox = unknowns.sandbox(&world.live, unknowns.settings());
    let log = RequestLog::default();
    let router = log.record(sandbox.router());
    let connection = client(Transport::in_process(router, PATIENCE));
    let live = connection.reader().live_account(&account).await.unwrap();
    prop_assert_eq!(log.requests().len(), 2, "a plan costs exactly two reads");

    let planned = match self::planned(&world.desired, &live, &unguarded()) {
        Ok(planned) => planned,
        Err(errors) => {
            for problem in &errors {
                check_refusal(problem, world)?;
            }
            return Ok(Tally {
                refused: 1,
                ..Tally::default()
            });
        }
    };
    same_bytes_ten_times(world, &live)?;

    let (applied, sent, states) = carry_out(&planned, &sandbox).await;
    if unknowns.refuses(&planned) {
        prop_assert!(applied.first_failure().is_some(), "{:?}", applied);
        return Ok(Tally {
            unsendable: 1,
            ..Tally::default()
        });
    }
    prop_assert!(applied.is_complete(), "{:?}", applied);
    assert_only_planned_writes(&planned, &sent)?;
    // A create with a rejected generated reference is retried without it, which is not part of the plan.
    let sent_once_more = |note: &Note| note.kind == NoteKind::CreatedWithoutReference;
    if !applied.notes.iter().any(sent_once_more) {
        let order = as_printed(&planned, &applied, &sent)?;
        let steps = order.into_iter().zip(&states);
        assert_identities_stable(world, &planned, &live, steps)?;
    }

    let live = connection.reader().live_account(&account).await.unwrap();
    let again = self::planned(&world.desired, &live, &unguarded()).unwrap();
    prop_assert!(again.changes.is_empty(), "{:?}", again.changes);
    Ok(Tally {
        planned: 1,
        refused: 0,
        operations: planned.operations.len(),
        placeholders: planned
            .operations
            .iter()
            .filter(|operation| {
                (operation.request.body.as_ref())
                    .is_some_and(|body| body.to_string().contains(".parked.invalid"))
            })
            .count(),
        unsendable: 0,
    })
}

/// Applies a plan and records the writes and the live state after each.
async fn carry_out(
    planned: &AccountPlan,
    sandbox: &Sandbox,
) -> (ApplyResult, Vec<ReceivedRequest>, Vec<LiveAccount>) {
    let log = RequestLog::default();
    let states: Arc<Mutex<Vec<LiveAccount>>> = Arc::default();
    let (seen, watched) = (Arc::clone(&states), sandbox.clone());
    let router = log.record(sandbox.router());
    let router = router.layer(from_fn(move |request: Request, next: Next| {
        let (seen, watched) = (Arc::clone(&seen), watched.clone());
        async move {
            let writes = request.method() != Method::GET;
            let answer = next.run(request).await;
            if writes {
                seen.lock().unwrap().push(watched.live(&account()));
            }
            answer
        }
    }));
    let client = client(Transport::in_process(router, PATIENCE));
    let applied = apply_plan(&client, planned).await;
    let writes = |request: &ReceivedRequest| request.method != Method::GET;
    let requests = log.requests().into_iter();
    let states = std::mem::take(&mut *states.lock().unwrap());
    (applied, requests.filter(writes).collect(), states)
}

/// Conflicts name resources that really conflict.
fn check_refusal(problem: &PlanError, world: &Scenario) -> Result<(), TestCaseError> {
    let ids: BTreeSet<IntegrationId> = world.live.integrations.iter().map(|live| live.id).collect();
    match problem.kind {
        PlanErrorKind::Ambiguous => {
            let candidates = &problem.candidates;
            prop_assert!(!candidates.is_empty());
            prop_assert!(candidates.iter().all(|one| ids.contains(&one.id)));
        }
        PlanErrorKind::Conflict => {
            let (_, holder) = problem.message.rsplit_once(' ').unwrap();
            prop_assert_ne!(problem.address.to_string(), holder);
            if let Some(id) = holder.strip_prefix("integration[") {
                prop_assert!(ids.contains(&id.trim_end_matches(']').parse().unwrap()));
            }
        }
        PlanErrorKind::UnknownBehavior => {
            prop_assert!(false, "every declared behavior is offered");
        }
        PlanErrorKind::IdentityProvider => prop_assert!(false, "no entry names a provider"),
    }
    Ok(())
}

fn same_bytes_ten_times(world: &Scenario, live: &LiveAccount) -> Result<(), TestCaseError> {
    let bytes = |live: &LiveAccount| {
        let planned = self::planned(&world.desired, live, &unguarded()).unwrap();
        let now = "2026-11-22T00:00:00Z".parse().unwrap();
        let run = Run::new(Format::Plan, String::new(), vec![planned], now);
        serde_json::to_string(&run.document()).unwrap()
    };
    let first = bytes(live);
    for turn in 1..10 {
        // The order of the server's list is unspecified.
        let mut integrations = live.integrations.clone();
        if !integrations.is_empty() {
            let by = turn % integrations.len();
            integrations.rotate_left(by);
        }
        let live = LiveAccount::new(live.behaviors.clone(), integrations);
        prop_assert_eq!(&bytes(&live), &first);
    }
    Ok(())
}

/// Checks that the requests are those of the plan, and that dependencies come first. Returns the order of the operations and the
/// integrations that they created.
fn as_printed<'p>(
    planned: &'p AccountPlan,
    applied: &'p ApplyResult,
    sent: &[ReceivedRequest],
) -> Result<Vec<Step<'p>>, TestCaseError> {
    prop_assert_eq!(sent.len(), planned.operations.len());
    let mut left: Vec<Step<'p>> = planned
        .operations
        .iter()
        .zip(&applied.operations)
        .map(|(operation, executed)| match &executed.outcome {
            Outcome::Done(made) => (operation, made.as_ref().map(|made| made.id)),
            Outcome::Failed(_) | Outcome::Unknown(_) | Outcome::NotAttempted(_) => {
                (operation, None)
            }
        })
        .collect();
    let made = left.clone();
    let mut order: Vec<Step<'p>> = Vec::new();
    for request in sent {
        let is_it = |(operation, _): &Step<'p>| {
            let mut path = operation.request.path.clone();
            for (operation, made) in &made {
                if let Some(id) = made {
                    let placeholder = format!("{{result:{}}}", operation.id);
                    path = path.replace(&placeholder, &id.to_string());
                }
            }
            request.method.as_str() == operation.request.method
                && request.path == path
                && request.body == operation.request.body
        };
        let found = left.iter().position(is_it);
        prop_assert!(found.is_some(), "{:?} was printed nowhere", request);
        let step = left.remove(found.unwrap());
        for need in &step.0.depends_on {
            prop_assert!(
                order.iter().any(|(before, _)| before.id == *need),
                "{:?}",
                step.0
            );
        }
        order.push(step);
    }
    Ok(order)
}

/// An operation and the integration that it created.
type Step<'p> = (&'p Operation, Option<IntegrationId>);

/// Checks that all requests are about integrations with a change.
fn assert_only_planned_writes(
    planned: &AccountPlan,
    sent: &[ReceivedRequest],
) -> Result<(), TestCaseError> {
    for live in &planned.live().integrations {
        let announced = planned
            .changes
            .iter()
            .any(|change| change.origin.integration_id == Some(live.id));
        let touched = sent
            .iter()
            .any(|request| request.path.ends_with(&live.id.to_string()));
        prop_assert!(announced || !touched, "{} was touched", live.id);
    }
    for thing in &planned.unlisted {
        if let Address::UnlistedIntegration(id) = &thing.address {
            prop_assert!(
                !sent
                    .iter()
                    .any(|request| request.path.ends_with(&id.to_string()))
            );
        }
    }
    Ok(())
}

/// Checks that after every operation each entry still matches its integration, so that a killed run loses nothing. Entries whose integration
/// is not created yet match none, and a replaced integration is deleted first.
fn assert_identities_stable<'p>(
    world: &Scenario,
    planned: &AccountPlan,
    before: &LiveAccount,
    steps: impl Iterator<Item = (Step<'p>, &'p LiveAccount)>,
) -> Result<(), TestCaseError> {
    let identities = |live: &LiveAccount| -> Result<BTreeMap<Name, IntegrationId>, TestCaseError> {
        let found = matches(&world.desired, live);
        prop_assert!(found.errors.is_empty(), "{:?}", found.errors);
        let entries = found.entries.iter();
        Ok(entries
            .filter_map(|entry| Some((entry.name.clone(), entry.found?.0.id)))
            .collect())
    };
    let mut expected = identities(before)?;
    for ((operation, made), state) in steps {
        if let Address::Integration(name) = &operation.address {
            if let Some(made) = made {
                expected.insert(name.clone(), made);
            } else if operation.request.method == "DELETE" {
                let replaced = planned.changes.iter().any(|change| {
                    change.address == operation.address && change.action == Action::Replace
                });
                prop_assert!(replaced);
                expected.remove(name);
            }
        }
        prop_assert_eq!(
            &identities(state)?,
            &expected,
            "after operation {}",
            operation.id
        );
    }
    Ok(())
}
