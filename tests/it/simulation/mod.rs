//! Simulation of random accounts with random faults. Runs are repeated until one succeeds. Then the account must be as declared, without
//! duplicates, losses or unplanned changes. The tests run in-process and in paused time.
//!
//! `RISKFORM_WORLDS` sets the number of accounts, `RISKFORM_SEED` the seed.

mod faults;
mod proxy;

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use proptest::prelude::*;
use proptest::test_runner::TestCaseError;
use riskform::api::{Client, Transport};
use riskform::apply::{ApplyEvent, ApplyResult, OperationReport, Outcome, WriteKind};
use riskform::model::integration::IntegrationId;
use riskform::plan::{AccountPlan, Action, Note, NoteKind, OperationKind, Wave, describe, matches};
use riskform::sandbox::{AcceptedReferences, Sandbox, Settings};
use serde_json::Value;

use crate::scenarios::{ApiVariant, Scenario, for_each_api_variant, planned, unguarded, worlds};
use crate::support::account;
use crate::support::faults::{ExternalChange, Fault};
use crate::support::world::{PATIENCE, apply_observed, client, in_paused_time};
use faults::{Faults, StopAt, faults};
use proxy::{BehaviorsWritten, RecordingProxy, pause};
use tokio::time::sleep;

/// Accounts for each of the 192 combinations of unknown API behavior.
const WORLDS_EACH: u32 = 2;
/// Number of accounts in which every event must occur.
const MANY_WORLDS: usize = 2_112;
/// Number of runs with faults.
const TROUBLED_RUNS: u32 = 4;
/// Number of further runs, without faults, in which it must succeed.
const CALM_RUNS: u32 = 5;

#[test]
fn applied_again_every_world_ends_as_declared() {
    let tally = RefCell::new(Counts::default());
    for_each_api_variant(
        WORLDS_EACH,
        |unknowns| (worlds(unknowns), faults()),
        |(world, faults), unknowns| {
            let found = simulate(&world, unknowns, &faults)?;
            for (event, times) in found.0 {
                tally.borrow_mut().count(event, times);
            }
            Ok(())
        },
    );
    let Counts(tally) = tally.into_inner();
    let expected = if tally["worlds"] < MANY_WORLDS {
        13
    } else {
        EVENTS.len()
    };
    for (index, event) in EVENTS.iter().enumerate() {
        let times = tally.get(event);
        println!("{:>7} {event}", times.unwrap_or(&0));
        assert!(
            times.is_some() || index >= expected,
            "never happened: {event}"
        );
    }
}

/// Counted events. Each must occur in every simulation. The last six are too rare for a small one.
const EVENTS: [&str; 19] = [
    "worlds",
    "refused from the start",
    "runs",
    "runs killed",
    "runs stopped",
    "runs that failed to read",
    "runs incomplete",
    "operations",
    "not attempted",
    "faults",
    "external changes",
    "ambiguous creates",
    "adoptions",
    "unknown",
    "own duplicates deleted",
    "duplicates reported",
    "external changes between read and write",
    "left unplannable by others",
    "hindered by the server",
];

#[derive(Default)]
struct Counts(BTreeMap<&'static str, usize>);

impl Counts {
    fn count(&mut self, event: &'static str, times: usize) {
        assert!(EVENTS.contains(&event), "{event}");
        if times > 0 {
            *self.0.entry(event).or_default() += times;
        }
    }
}

fn simulate(
    world: &Scenario,
    unknowns: ApiVariant,
    faults: &Faults,
) -> Result<Counts, TestCaseError> {
    in_paused_time(async {
        let mut simulation = Simulation::new(world, unknowns, faults);
        simulation.tally.count("worlds", 1);
        simulation.run_until_it_succeeds().await?;
        Ok(simulation.tally)
    })
}

/// State of one simulated account.
struct Simulation<'a> {
    world: &'a Scenario,
    unknowns: ApiVariant,
    /// Whether the last plan contained a reference that the server rejects.
    unsendable: bool,
    sandbox: Sandbox,
    proxy: Arc<RecordingProxy>,
    stop: Option<StopAt>,
    /// Whether any run created a plan.
    planned: bool,
    /// Whether any run was killed or stopped.
    cut_short: bool,
    /// Duplicates reported by a run that could not decide which one it created.
    reported: BTreeSet<IntegrationId>,
    /// Integrations deleted in any run, as planned or in favor of an older duplicate.
    deleted: BTreeSet<IntegrationId>,
    tally: Counts,
}

/// Result of one run.
enum End {
    Success,
    Incomplete,
    /// The files conflict with the live state.
    Unplannable(String),
}

/// Events of a run.
#[derive(Default)]
struct Reported {
    /// Deletions sent.
    deleted: Vec<(WriteKind, IntegrationId)>,
    /// IDs from successful responses to the run's own POSTs.
    named: BTreeSet<IntegrationId>,
    looked: usize,
}

impl<'a> Simulation<'a> {
    fn new(world: &'a Scenario, unknowns: ApiVariant, faults: &Faults) -> Self {
        let settings = Settings {
            latency: faults.latency,
            ..unknowns.settings()
        };
        let sandbox = unknowns.sandbox(&world.live, settings);
        Simulation {
            world,
            unknowns,
            unsendable: false,
            proxy: RecordingProxy::new(&sandbox, faults),
            sandbox,
            stop: faults.stop,
            planned: false,
            cut_short: false,
            reported: BTreeSet::new(),
            deleted: BTreeSet::new(),
            tally: Counts::default(),
        }
    }

    async fn run_until_it_succeeds(&mut self) -> Result<(), TestCaseError> {
        let mut calm = 0;
        for number in 0.. {
            if number == TROUBLED_RUNS {
                self.proxy.calm_down();
                // The stop after the first request is a fault and ends with the other faults.
                self.stop = None;
            }
            if number >= TROUBLED_RUNS {
                calm += 1;
            }
            let changes = self.external_changes();
            let end = self.run_once().await?;
            // The run may not have seen concurrent external changes.
            let alone = self.external_changes() == changes;
            match end {
                End::Success if alone => break,
                End::Unplannable(_) if !self.planned && !self.others_touched_integrations() => {
                    self.tally.count("refused from the start", 1);
                    let live = self.sandbox.live(&account());
                    prop_assert_eq!(&live.integrations, &self.world.live.integrations);
                    return Ok(());
                }
                End::Unplannable(_) if self.others_touched_integrations() => {
                    return self.end("left unplannable by others");
                }
                End::Unplannable(problem) => {
                    prop_assert!(
                        false,
                        "run {}: it can't be planned any more: {}",
                        number,
                        problem
                    );
                }
                End::Success | End::Incomplete => {
                    if calm >= CALM_RUNS {
                        return self.check_hindered();
                    }
                    pause().await;
                }
            }
        }
        self.tally_mishaps();
        let live = self.sandbox.live(&account());
        let again = self::planned(&self.world.desired, &live, &unguarded());
        let again = again.map_err(|problems| TestCaseError::fail(describe(&problems)))?;
        prop_assert!(again.changes.is_empty(), "{:?}", again.changes);
        self.check_end()
    }

    /// Reads, plans and applies, like one start of the program.
    async fn run_once(&mut self) -> Result<End, TestCaseError> {
        self.tally.count("runs", 1);
        let proxy = Arc::clone(&self.proxy);
        let mut progress = Reported::default();
        let mut planned = None;
        let connection = client(Transport::in_process(proxy.service(), PATIENCE));
        let stop = connection.cancellation().clone();
        proxy.begin(stop.clone(), self.stop);
        let stop_later = async {
            if let Some(StopAt::After(wait)) = self.stop {
                sleep(wait).await;
                stop.cancel();
            }
            std::future::pending().await
        };
        let before = self.sandbox.live(&account());
        let changes = self.external_changes();
        let end = tokio::select! {
            biased;
            () = proxy.killed() => None,
            () = stop_later => unreachable!("it has no end"),
            end = self.read_plan_apply(&connection, &mut progress, &mut planned) => Some(end),
        };
        let seen = proxy.take_run();
        prop_assert_eq!(
            &seen.after_the_stop,
            &Vec::<String>::new(),
            "sent after a stop"
        );
        // A server that accepts only its own references keeps an integration created without one.
        prop_assert!(
            seen.without_reference.is_empty()
                || self.unknowns.references == AcceptedReferences::Providers,
            "a reference is lost: {:?}",
            seen.without_reference
        );
        let stopped = stop.is_cancelled();
        self.cut_short |= stopped || end.is_none();
        if let (Some(Read::Applied(applied)), Some(planned)) = (&end, &planned) {
            let alone = changes == self.external_changes();
            let changed = alone && before != self.sandbox.live(&account());
            check_applied(applied, planned, changed)?;
            self.tally.count("runs stopped", usize::from(stopped));
        }
        if let Some(planned) = &planned {
            self.planned = true;
            self.unsendable = self.unknowns.refuses(planned);
            self.check_run(planned, &progress)?;
        }
        for write in &seen.written {
            self.check_written(write, planned.as_ref())?;
        }
        self.tally.count("ambiguous creates", progress.looked);
        match end {
            None => {
                self.tally.count("runs killed", 1);
                Ok(End::Incomplete)
            }
            Some(Read::Failed) => {
                self.tally.count("runs that failed to read", 1);
                Ok(End::Incomplete)
            }
            Some(Read::Unplannable(problem)) => Ok(End::Unplannable(problem)),
            Some(Read::NothingToDo) => Ok(End::Success),
            Some(Read::Applied(applied)) => {
                self.tally_applied(&applied, &progress);
                if applied.is_complete() {
                    return Ok(End::Success);
                }
                self.tally.count("runs incomplete", 1);
                Ok(End::Incomplete)
            }
        }
    }

    async fn read_plan_apply(
        &self,
        connection: &Client,
        progress: &mut Reported,
        planned: &mut Option<AccountPlan>,
    ) -> Read {
        let Ok(live) = connection.reader().live_account(&account()).await else {
            return Read::Failed;
        };
        let made = match self::planned(&self.world.desired, &live, &unguarded()) {
            Ok(made) => made,
            Err(problems) => return Read::Unplannable(describe(&problems)),
        };
        let plan = planned.insert(made);
        if plan.changes.is_empty() {
            return Read::NothingToDo;
        }
        Read::Applied(apply_observed(connection, plan, |event| progress.record(&event)).await)
    }

    /// Checks that a run deletes only planned integrations, and duplicates that its own POST created.
    fn check_run(
        &mut self,
        planned: &AccountPlan,
        progress: &Reported,
    ) -> Result<(), TestCaseError> {
        let announced: BTreeSet<IntegrationId> = planned
            .changes
            .iter()
            .filter(|change| matches!(change.action, Action::Delete | Action::Replace))
            .filter_map(|change| change.origin.integration_id)
            .collect();
        for (kind, id) in &progress.deleted {
            if *kind == WriteKind::RemoveDuplicate {
                prop_assert!(
                    progress.named.contains(id),
                    "{} was not created by the run",
                    id
                );
                prop_assert!(!self.proxy.injector.created_externally().contains(id));
                self.tally.count("own duplicates deleted", 1);
            } else {
                prop_assert!(announced.contains(id), "{} was deleted", id);
            }
            self.deleted.insert(*id);
        }
        Ok(())
    }

    /// Checks that a write of behaviors does not change undeclared ones, except for simultaneous external changes.
    fn check_written(
        &mut self,
        written: &BehaviorsWritten,
        planned: Option<&AccountPlan>,
    ) -> Result<(), TestCaseError> {
        let declared = planned
            .iter()
            .flat_map(|plan| &plan.operations)
            .find_map(|operation| match &operation.call {
                OperationKind::WriteBehaviors { declared, .. } => Some(declared),
                OperationKind::Create { .. }
                | OperationKind::Update { .. }
                | OperationKind::Delete { .. } => None,
            });
        let Some(declared) = declared else {
            prop_assert!(false, "behaviors were written that no plan announced");
            return Ok(());
        };
        let before = behaviors(&written.before);
        let body = behaviors(&written.body);
        prop_assert!(before.keys().eq(body.keys()), "the map is complete");
        for (key, settings) in before {
            let is_declared = declared.keys().any(|declared| declared.as_str() == key);
            prop_assert!(is_declared || body[key] == *settings, "{} was touched", key);
        }
        self.tally.count(
            "external changes between read and write",
            written
                .at_that_moment
                .iter()
                .filter(|met| {
                    matches!(met.fault, Fault::Change(ExternalChange::SetBehavior { .. }))
                })
                .count(),
        );
        Ok(())
    }

    /// Checks that all missing integrations were deleted by a plan or externally, and all new ones belong to an entry or are external.
    fn check_end(&self) -> Result<(), TestCaseError> {
        let live = self.sandbox.live(&account());
        let now: BTreeSet<IntegrationId> = live.integrations.iter().map(|live| live.id).collect();
        let others = self.proxy.injector.created_externally();
        let others_delete =
            self.met_change(|change| matches!(change, ExternalChange::DeleteIntegration { .. }));
        let before = self.world.live.integrations.iter().map(|live| live.id);
        for id in before.chain(others.iter().copied()) {
            prop_assert!(
                now.contains(&id) || self.deleted.contains(&id) || others_delete,
                "{} is gone",
                id
            );
        }
        let found = matches(&self.world.desired, &live);
        if !found.errors.is_empty() {
            return Ok(());
        }
        // An interrupted run does not delete the newer duplicate. The plan reports it.
        let duplicates: Vec<IntegrationId> = match planned(&self.world.desired, &live, &unguarded())
        {
            Ok(plan) if self.cut_short => plan.notes.iter().flat_map(duplicates_of).collect(),
            Ok(_) | Err(_) => Vec::new(),
        };
        for unlisted in &found.unlisted {
            let theirs = others.contains(&unlisted.id)
                || self.world.live.integrations.iter().any(|live| live.id == unlisted.id)
                // An external change of the keys makes an integration unlisted.
                || self.met_change(|change| matches!(change, ExternalChange::EditIntegration { .. }));
            prop_assert!(
                theirs || duplicates.contains(&unlisted.id) || self.reported.contains(&unlisted.id),
                "{:?} is a duplicate",
                unlisted
            );
        }
        Ok(())
    }

    /// Checks that runs without faults fail only if the server rejects a required reference, or if an external change broke a rule of the
    /// API.
    fn check_hindered(&mut self) -> Result<(), TestCaseError> {
        if self.unsendable {
            return self.end("hindered by the server");
        }
        let unique = !self.sandbox.settings().unique.is_empty();
        prop_assert!(
            unique && self.others_touched_integrations(),
            "no success in {} calm runs: {:#?}",
            CALM_RUNS,
            self.sandbox.live(&account())
        );
        self.end("left unplannable by others")
    }

    fn end(&mut self, event: &'static str) -> Result<(), TestCaseError> {
        self.tally.count(event, 1);
        self.tally_mishaps();
        self.check_end()
    }

    fn met_change(&self, is: impl Fn(&ExternalChange) -> bool) -> bool {
        let met = self.proxy.injector.injected();
        met.iter()
            .any(|met| matches!(&met.fault, Fault::Change(change) if is(change)))
    }

    fn others_touched_integrations(&self) -> bool {
        self.met_change(|change| !matches!(change, ExternalChange::SetBehavior { .. }))
    }

    fn external_changes(&self) -> usize {
        let met = self.proxy.injector.injected();
        met.iter()
            .filter(|met| matches!(met.fault, Fault::Change(_)))
            .count()
    }

    fn tally_applied(&mut self, applied: &ApplyResult, progress: &Reported) {
        self.tally.count("operations", applied.operations.len());
        let problems = applied.problems.iter();
        let duplicates: Vec<&String> = problems
            .filter(|problem| problem.contains(" exists twice: "))
            .collect();
        self.tally.count("duplicates reported", duplicates.len());
        let ids = duplicates
            .iter()
            .flat_map(|problem| problem.split(' '))
            .filter_map(|word| word.parse::<IntegrationId>().ok());
        self.reported.extend(ids);
        for executed in &applied.operations {
            match &executed.outcome {
                Outcome::Done(made) => {
                    let adopted = made
                        .as_ref()
                        .is_some_and(|made| !progress.named.contains(&made.id));
                    // After a duplicate was deleted, the older one belongs to the entry.
                    let took_back = progress
                        .deleted
                        .iter()
                        .any(|(kind, _)| *kind == WriteKind::RemoveDuplicate);
                    if adopted && !took_back {
                        self.tally.count("adoptions", 1);
                    }
                }
                Outcome::Failed(_) => {}
                Outcome::Unknown(_) => self.tally.count("unknown", 1),
                Outcome::NotAttempted(_) => self.tally.count("not attempted", 1),
            }
        }
    }

    fn tally_mishaps(&mut self) {
        let changes = self.external_changes();
        self.tally.count("external changes", changes);
        let met = self.proxy.injector.injected().len();
        self.tally.count("faults", met - changes);
    }
}

fn duplicates_of(note: &Note) -> Vec<IntegrationId> {
    let words = note.message.split([' ', ',', ';']);
    match note.kind {
        // The first ID is that of the oldest one.
        NoteKind::DuplicatesFound => words.filter_map(|word| word.parse().ok()).skip(1).collect(),
        _ => Vec::new(),
    }
}

/// Checks the reports of a run: changed accounts are reported as written, unknown outcomes count as written, and unlisted integrations are
/// deleted only after all other operations are done.
fn check_applied(
    applied: &ApplyResult,
    planned: &AccountPlan,
    changed: bool,
) -> Result<(), TestCaseError> {
    prop_assert!(
        !changed || applied.wrote_anything(),
        "the run reported no write"
    );
    let is_done = |executed: &OperationReport| matches!(executed.outcome, Outcome::Done(_));
    for executed in &applied.operations {
        if let Outcome::Unknown(_) = executed.outcome {
            prop_assert!(executed.wrote && !applied.is_complete());
        }
    }
    let in_wave = |wave| {
        let operations = planned.operations.iter().zip(&applied.operations);
        operations.filter(move |(operation, _)| operation.wave == wave)
    };
    let entries_done = in_wave(Wave::Integrations).all(|(_, executed)| is_done(executed));
    let deleted = in_wave(Wave::Cleanup).any(|(_, executed)| executed.attempts > 0);
    prop_assert!(entries_done || !deleted, "something unlisted was deleted");
    Ok(())
}

/// Progress of one start of the program.
enum Read {
    Failed,
    Unplannable(String),
    NothingToDo,
    Applied(ApplyResult),
}

impl Reported {
    fn record(&mut self, event: &ApplyEvent<'_>) {
        match event {
            ApplyEvent::Sending(write) => {
                if let (WriteKind::Delete | WriteKind::RemoveDuplicate, Some(id)) =
                    (write.kind, write.id)
                {
                    self.deleted.push((write.kind, id));
                }
            }
            ApplyEvent::Responded(write, Ok(_)) if write.kind == WriteKind::Create => {
                self.named.extend(write.id);
            }
            ApplyEvent::LookingForCreated { .. } => self.looked += 1,
            ApplyEvent::Responded(..)
            | ApplyEvent::Started { .. }
            | ApplyEvent::Finished { .. }
            | ApplyEvent::Reset(_)
            | ApplyEvent::Verifying => {}
        }
    }
}

fn behaviors(body: &Value) -> &serde_json::Map<String, Value> {
    body["behaviors"].as_object().unwrap()
}
