//! An integration is created exactly once, even if responses are lost. In-process and in paused time, with a server that generates missing
//! references.

use std::sync::Arc;
use std::time::Duration;

use axum::http::Method;
use riskform::api::{Client, Credentials, Transport};
use riskform::apply::{ApplyContext, ApplyResult, Outcome, apply};
use riskform::model::account::{DesiredAccount, LiveAccount};
use riskform::model::context::Context;
use riskform::model::integration::{ReferenceId, TenantUrl};
use riskform::plan::{AccountPlan, NoteKind, plan};
use riskform::sandbox::{AcceptedReferences, DEFAULT_TOKEN, Sandbox, Settings, UnsetReference};
use serde_json::json;

use crate::sandbox::faults::{Execution, ExternalChange, Fault, FaultInjector, FaultRule};
use crate::worlds::{TODAY, account_id, unguarded};

/// One entry, with or without a reference, and an unlisted integration that is deleted after it.
fn desired(reference: Option<&str>) -> DesiredAccount {
    let location = json!({ "file": "one.yaml", "line": 1, "column": 1 });
    serde_json::from_value(json!({
        "account_id": account_id(), "source": "one.yaml", "behaviors": {},
        "unlisted": { "behaviors": "keep", "integrations": "delete" },
        "guards": { "max_deletes": 1, "weakening": "warn", "policies": "warn", "protected": [] },
        "integrations": { "one": {
            "name": "one", "tenant_url": "https://one.okta.com", "reference_id": reference, "active": true,
            "lifecycle": { "prevent_destroy": false, "ignore_changes": [] }, "location": location,
        } },
    }))
    .unwrap()
}

fn old() -> LiveAccount {
    let behavior = json!({ "name": "", "description": "", "enabled": false, "risk_level": "low" });
    serde_json::from_value(json!({
        "behaviors": { "imp_travel": behavior },
        "integrations": [{
            "id": "00000000-0000-4000-8000-000000000001", "account_tag": account_id(), "active": true,
            "created_at": "2025-03-19T19:53:56Z", "integration_type": "Okta", "tenant_url": "https://old.okta.com",
            "reference_id": "old", "well_known_url": "https://ssf.example",
        }],
    }))
    .unwrap()
}

struct CreateScenario {
    sandbox: Sandbox,
    desired: Arc<DesiredAccount>,
    injector: FaultInjector,
    client: Client,
}

impl CreateScenario {
    fn new(reference: Option<&str>, settings: Settings, rules: Vec<FaultRule>) -> Self {
        let sandbox = Sandbox::in_memory(Settings {
            rate_limit: riskform::sandbox::RateLimit::Off,
            ..settings
        });
        sandbox
            .edit(&account_id(), |account| *account = old().into())
            .unwrap();
        let injector = FaultInjector::new(&sandbox, rules);
        let transport = Transport::in_process(injector.clone(), Duration::from_secs(30));
        let client = Client::new(
            transport,
            "http://localhost/client/v4".parse().unwrap(),
            Credentials::api_token(DEFAULT_TOKEN.into()).unwrap(),
        );
        CreateScenario {
            sandbox,
            desired: Arc::new(desired(reference)),
            injector,
            client,
        }
    }

    fn plan(&self) -> AccountPlan {
        let live = Arc::new(self.sandbox.live(&account_id()));
        plan(
            &self.desired,
            &live,
            &Context::default(),
            TODAY,
            &unguarded(),
        )
    }

    async fn apply(&self) -> ApplyResult {
        let context = ApplyContext {
            reader: &self.client.reader(),
            writer: &self.client.writer(),
            options: &unguarded(),
            today: TODAY,
        };
        apply(&self.plan(), &context, &mut |_| Ok(())).await
    }

    /// Returns the live tenants.
    fn tenants(&self) -> Vec<String> {
        let live = self.sandbox.live(&account_id());
        let mut tenants: Vec<String> = live
            .integrations
            .iter()
            .map(|live| live.settings.tenant_url.as_str().replace("https://", ""))
            .collect();
        tenants.sort();
        tenants
    }
}

/// Every create fails. At the first one, another client creates an integration with the same tenant.
fn same_tenant_created_meanwhile() -> Vec<FaultRule> {
    let theirs = ExternalChange::CreateIntegration {
        tenant_url: TenantUrl::from_live("https://one.okta.com"),
        reference_id: ReferenceId::new("theirs"),
    };
    vec![
        FaultRule::on(Method::POST, Fault::CloseBefore),
        FaultRule::once(Method::POST, Fault::Change(theirs)),
    ]
}

fn word(outcome: &Outcome) -> &'static str {
    match outcome {
        Outcome::Done(_) => "done",
        Outcome::Failed(_) => "failed",
        Outcome::Unknown(_) => "unknown",
        Outcome::NotAttempted(_) => "not attempted",
    }
}

#[tokio::test(start_paused = true)]
async fn whatever_becomes_of_the_answer_there_is_one_or_the_old_one_stays() {
    const ONE: &[&str] = &["one.okta.com"];
    const BOTH: &[&str] = &["old.okta.com", "one.okta.com"];
    const OLD: &[&str] = &["old.okta.com"];
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
            same_tenant_created_meanwhile(),
            ["unknown", "not attempted"],
            BOTH,
            1,
        ),
    ] {
        for reference in [Some("r1"), None] {
            let world = CreateScenario::new(reference, Settings::default(), rules.clone());
            let applied = world.apply().await;
            let case = format!("{reference:?} {rules:?}: {applied:?}");
            let found: Vec<&str> = applied
                .operations
                .iter()
                .map(|one| word(&one.outcome))
                .collect();
            assert_eq!(found, outcomes, "{case}");
            assert_eq!(world.tenants(), tenants, "{case}");
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
async fn one_of_the_same_tenant_with_another_reference_is_named_and_nothing_more_is_sent() {
    let rules = same_tenant_created_meanwhile();
    let world = CreateScenario::new(Some("r1"), Settings::default(), rules);
    let applied = world.apply().await;
    let failure = applied.first_failure().unwrap().to_string();
    let live = world.sandbox.live(&account_id());
    let theirs = live.integrations.iter().find(|live| {
        live.settings
            .reference_id
            .as_ref()
            .is_some_and(|reference| reference.as_str() == "theirs")
    });
    let expected = format!(
        "found a new integration {} for this tenant with reference_id theirs instead of r1; stopped",
        theirs.unwrap().id
    );
    assert_eq!(failure, expected);
    assert_eq!(applied.operations[0].attempts, 1);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_takes_no_reference_that_it_doesnt_know_gets_none_of_our_own() {
    let settings = Settings {
        references: AcceptedReferences::Providers,
        unset_reference: UnsetReference::Random,
        ..Settings::default()
    };
    // A generated reference is omitted with a note; a declared one is never omitted.
    let world = CreateScenario::new(None, settings.clone(), vec![]);
    let applied = world.apply().await;
    assert!(applied.is_complete(), "{applied:?}");
    let attempts = applied.operations[0].attempts;
    assert_eq!(attempts, 2, "refused once, then sent without it");
    assert!(
        matches!(&applied.notes[..], [note] if note.kind == NoteKind::CreatedWithoutReference),
        "{:?}",
        applied.notes
    );
    assert!(world.plan().is_empty(), "it is known by its tenant");

    let world = CreateScenario::new(Some("r1"), settings, vec![]);
    let applied = world.apply().await;
    assert_eq!(word(&applied.operations[0].outcome), "failed");
    assert_eq!(applied.operations[0].attempts, 1);
    assert_eq!(world.tenants(), ["old.okta.com"]);
}

#[tokio::test(start_paused = true)]
async fn a_replacement_that_loses_its_successor_says_what_the_lost_one_held() {
    let mut desired = desired(Some("old"));
    desired
        .integrations
        .get_mut(&"one".parse().unwrap())
        .unwrap()
        .tenant_url = "https://old.okta.com".parse().unwrap();
    let mut live = old();
    live.integrations[0].settings.integration_type =
        riskform::model::open_enum::OpenEnum::parse("Entra");
    desired
        .integrations
        .get_mut(&"one".parse().unwrap())
        .unwrap()
        .integration_type = Some(riskform::model::integration::IntegrationType::Okta);
    let work = Execution::Skipped;
    let mut world = CreateScenario::new(
        None,
        Settings::default(),
        vec![FaultRule::on(Method::POST, Fault::ServerError { work })],
    );
    world
        .sandbox
        .edit(&account_id(), |account| *account = live.into())
        .unwrap();
    world.desired = Arc::new(desired);
    let applied = world.apply().await;
    assert!(!applied.is_complete());
    assert_eq!(
        applied.problems[0],
        "integration.one: deleted 00000000-0000-4000-8000-000000000001, but its replacement was not created. Its settings were: \
         integration_type Entra, tenant_url https://old.okta.com, reference_id old, active true"
    );
}
