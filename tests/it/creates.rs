//! An integration is created exactly once, even if responses are lost. In-process and in paused time, with a server that generates missing
//! references.

use std::time::Duration;

use axum::http::Method;
use riskform::model::account::UnlistedPolicy;
use riskform::model::field::Field;
use riskform::model::integration::ReferenceId;
use riskform::plan::NoteKind;
use riskform::sandbox::{AcceptedReferences, Settings, UnsetReference};

use crate::support::faults::{Execution, ExternalChange, Fault, FaultRule};
use crate::support::notation;
use crate::support::world::{World, assert_outcomes};

/// Returns a world with one entry and one live integration. Other integrations are deleted.
fn create(entry: &str, live: &str, settings: Settings, rules: Vec<FaultRule>) -> World {
    let mut desired = notation::desired(&[entry]);
    desired.unlisted.integrations = UnlistedPolicy::Delete;
    World::new(desired, notation::account(&[live]), settings, rules)
}

/// Returns the live tenants.
fn live_tenants(world: &World) -> Vec<String> {
    let live = world.live().integrations;
    let tenants = live
        .iter()
        .map(|live| live.fields.shown(Field::TenantUrl).replace("https://", ""));
    let mut tenants: Vec<String> = tenants.collect();
    tenants.sort();
    tenants
}

/// Every create fails. At the first one, another client creates an integration with the same tenant.
fn same_tenant_created_during_the_run() -> Vec<FaultRule> {
    let theirs = ExternalChange::CreateIntegration(notation::live(1, "one theirs").fields);
    vec![
        FaultRule::on(Method::POST, Fault::CloseBefore),
        FaultRule::once(Method::POST, Fault::Change(theirs)),
    ]
}

#[tokio::test(start_paused = true)]
async fn lost_response_creates_once_or_sends_no_delete() {
    const ONE: &[&str] = &["one.test"];
    const BOTH: &[&str] = &["old.test", "one.test"];
    const OLD: &[&str] = &["old.test"];
    let (work, skipped) = (Execution::Done, Execution::Skipped);
    let first = |fault| vec![FaultRule::once(Method::POST, fault)];
    let every = |fault| vec![FaultRule::on(Method::POST, fault)];
    let seconds = Duration::from_secs(1);
    let unread = FaultRule {
        skip: 2,
        ..FaultRule::on(Method::GET, Fault::ServerError { work: skipped })
    };
    let lost_second = FaultRule {
        skip: 1,
        ..FaultRule::once(Method::POST, Fault::CloseAfter)
    };
    for (rules, outcomes, tenants, again) in [
        // No fault.
        (vec![], ["done", "done"], ONE, 0),
        // Applied, but the response was lost.
        (first(Fault::CloseAfter), ["done", "done"], ONE, 0),
        (first(Fault::HalfAnswer), ["done", "done"], ONE, 0),
        (first(Fault::BadGateway { work }), ["done", "done"], ONE, 0),
        // Not applied, and the response was lost.
        (first(Fault::CloseBefore), ["done", "done"], ONE, 0),
        (
            first(Fault::BadGateway { work: skipped }),
            ["done", "done"],
            ONE,
            0,
        ),
        // The first was not applied, and the second response was lost.
        (
            [first(Fault::CloseBefore), vec![lost_second]].concat(),
            ["done", "done"],
            ONE,
            0,
        ),
        // Every create fails: the unlisted one must not be deleted.
        (
            every(Fault::ServerError { work: skipped }),
            ["unknown", "not attempted"],
            OLD,
            2,
        ),
        (
            every(Fault::Refuse { seconds }),
            ["failed", "not attempted"],
            OLD,
            2,
        ),
        // Response lost, and the lookup fails.
        (
            [first(Fault::CloseAfter), vec![unread]].concat(),
            ["unknown", "not attempted"],
            BOTH,
            1,
        ),
        // Another client created one for the same tenant at the same time: the origin is unknown.
        (
            same_tenant_created_during_the_run(),
            ["unknown", "not attempted"],
            BOTH,
            1,
        ),
    ] {
        for entry in ["one: one r1", "one: one"] {
            let world = create(entry, "old old", Settings::default(), rules.clone());
            let applied = world.apply().await;
            let case = format!("{entry:?} {rules:?}: {applied:?}");
            assert_outcomes(&applied, &outcomes);
            assert_eq!(live_tenants(&world), tenants, "{case}");
            let injected = world.injector.injected().len();
            assert!(injected >= rules.len(), "{case}");
            assert_eq!(
                applied.is_complete(),
                outcomes == ["done", "done"],
                "{case}"
            );
            let unknown = outcomes.contains(&"unknown");
            assert_eq!(applied.wrote_anything(), unknown || again == 0, "{case}");
            assert_eq!(!world.plan().operations.is_empty(), again > 0, "{case}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn new_integration_of_the_tenant_stops_the_create() {
    let rules = same_tenant_created_during_the_run();
    let world = create("one: one r1", "old old", Settings::default(), rules);
    let applied = world.apply().await;
    let failure = applied.first_failure().unwrap().to_string();
    let live = world.live().integrations;
    let reference = ReferenceId::new("theirs");
    let theirs = live
        .iter()
        .find(|live| live.fields.reference_id() == reference.as_ref());
    let expected = format!(
        "found a new integration {} for this tenant with reference_id theirs instead of r1; stopped",
        theirs.unwrap().id
    );
    assert_eq!(failure, expected);
    assert_eq!(applied.operations[0].attempts, 1);
}

#[tokio::test(start_paused = true)]
async fn generated_reference_is_omitted_if_rejected() {
    let settings = Settings {
        references: AcceptedReferences::Providers,
        unset_reference: UnsetReference::Random,
        ..Settings::default()
    };
    // A generated reference is omitted with a note. A declared reference is never omitted.
    let world = create("one: one", "old old", settings.clone(), vec![]);
    let applied = world.apply().await;
    assert!(applied.is_complete(), "{applied:?}");
    let attempts = applied.operations[0].attempts;
    assert_eq!(attempts, 2, "refused once, then sent without it");
    assert!(
        matches!(&applied.notes[..], [note] if note.kind == NoteKind::CreatedWithoutReference),
        "{:?}",
        applied.notes
    );
    assert!(world.plan().changes.is_empty(), "it is known by its tenant");

    let world = create("one: one r1", "old old", settings, vec![]);
    let applied = world.apply().await;
    assert_outcomes(&applied, &["failed", "not attempted"]);
    assert_eq!(applied.operations[0].attempts, 1);
    assert_eq!(live_tenants(&world), ["old.test"]);
}

#[tokio::test(start_paused = true)]
async fn failed_replacement_reports_the_deleted_settings() {
    let work = Execution::Skipped;
    let rules = vec![FaultRule::on(Method::POST, Fault::ServerError { work })];
    let entry = "one: old old type=Okta";
    let world = create(entry, "old old type=Entra", Settings::default(), rules);
    let applied = world.apply().await;
    assert!(!applied.is_complete());
    assert_eq!(
        applied.problems[0],
        "integration.one: deleted 00000000-0000-0000-0000-000000000001, but its replacement was not created. Its settings were: \
         integration_type Entra, tenant_url https://old.test, reference_id old, active true"
    );
}
