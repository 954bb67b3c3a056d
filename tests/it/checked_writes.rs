//! A write counts only if it took effect, and nothing is overwritten unseen: in-process and in paused time, with servers that misbehave and
//! accounts that change meanwhile.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::http::{Method, StatusCode};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use riskform::api::{Client, Credentials, Transport};
use riskform::apply::{ApplyContext, ApplyEvent, ApplyResult, Outcome, WriteKind, apply};
use riskform::model::account::{DesiredAccount, LiveAccount};
use riskform::model::context::Context;
use riskform::model::field::{Field, FieldValue};
use riskform::model::integration::{Integration, ReferenceId, TenantUrl};
use riskform::model::open_enum::OpenEnum;
use riskform::plan::{AccountPlan, NoteKind, plan};
use riskform::sandbox::{
    AcceptedReferences, DEFAULT_TOKEN, RECORDED_ACCOUNT, RateLimit, Sandbox, Settings, UniqueKey,
    UnsetReference,
};
use serde_json::{Value, json};

use crate::sandbox::faults::{Execution, ExternalChange, Fault, FaultInjector, FaultRule};
use crate::support::{SandboxServer, TestDir};
use crate::worlds::{TODAY, account_id, unguarded};

const REFERENCE: &str = "3701e70b-5de4-4d9d-8972-f5aa994d0001";

/// Returns a desired account with one integration that has a reference.
fn sales_with_reference() -> DesiredAccount {
    desired(
        json!({}),
        &[("sales", "sales", json!({ "reference_id": REFERENCE }))],
    )
}

/// Returns a desired account. Entries are `(name, tenant, fields)`.
fn desired(behaviors: Value, entries: &[(&str, &str, Value)]) -> DesiredAccount {
    let location = json!({ "file": "one.yaml", "line": 1, "column": 1 });
    let mut behaviors = behaviors;
    for behavior in behaviors.as_object_mut().unwrap().values_mut() {
        behavior["location"] = location.clone();
    }
    let integrations: serde_json::Map<String, Value> = entries
        .iter()
        .map(|(name, tenant, fields)| {
            let mut entry = json!({
                "name": name, "tenant_url": format!("https://{tenant}.okta.com"), "active": true,
                "lifecycle": { "prevent_destroy": false, "ignore_changes": [] }, "location": location,
            });
            for (field, value) in fields.as_object().unwrap() {
                entry[field] = value.clone();
            }
            ((*name).to_owned(), entry)
        })
        .collect();
    serde_json::from_value(json!({
        "account_id": account_id(), "source": "one.yaml", "behaviors": behaviors, "integrations": integrations,
        "unlisted": { "behaviors": "keep", "integrations": "delete" },
        "guards": { "max_deletes": 9, "weakening": "warn", "policies": "warn", "protected": [] },
    }))
    .unwrap()
}

fn integration(number: u8, tenant: &str, reference: &str) -> Integration {
    serde_json::from_value(json!({
        "id": format!("00000000-0000-4000-8000-00000000000{number}"), "account_tag": account_id(), "active": true,
        "created_at": format!("2025-03-19T19:53:0{number}Z"), "integration_type": "Okta",
        "tenant_url": format!("https://{tenant}.okta.com"), "reference_id": reference, "well_known_url": "https://ssf.example",
    }))
    .unwrap()
}

fn live(integrations: Vec<Integration>) -> LiveAccount {
    let behavior = |enabled: bool, level: &str| json!({ "name": "", "description": "", "enabled": enabled, "risk_level": level });
    let behaviors = json!({
        "high_dlp": behavior(true, "medium"), "imp_travel": behavior(true, "high"), "sentinel_one": behavior(false, "medium"),
    });
    LiveAccount::new(serde_json::from_value(behaviors).unwrap(), integrations)
}

struct Case {
    sandbox: Sandbox,
    desired: Arc<DesiredAccount>,
    client: Client,
    writes: Mutex<Vec<WriteKind>>,
}

impl Case {
    fn new(desired: DesiredAccount, live: LiveAccount, settings: Settings) -> Self {
        Case::behind(desired, live, settings, |_, router| router)
    }

    fn behind(
        desired: DesiredAccount,
        live: LiveAccount,
        settings: Settings,
        layer: impl FnOnce(Sandbox, Router) -> Router,
    ) -> Self {
        let sandbox = Sandbox::in_memory(Settings {
            rate_limit: RateLimit::Off,
            ..settings
        });
        sandbox
            .edit(&account_id(), |account| *account = (live).into())
            .unwrap();
        let router = layer(sandbox.clone(), sandbox.router());
        let transport = Transport::in_process(router, Duration::from_secs(30));
        Case {
            sandbox,
            desired: Arc::new(desired),
            client: client(transport),
            writes: Mutex::default(),
        }
    }

    fn with_faults(mut self, rules: Vec<FaultRule>) -> Self {
        let faults = FaultInjector::new(&self.sandbox, rules);
        self.client = client(Transport::in_process(faults, Duration::from_secs(30)));
        self
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
        self.apply_plan(&self.plan()).await
    }

    async fn apply_plan(&self, plan: &AccountPlan) -> ApplyResult {
        let context = ApplyContext {
            reader: &self.client.reader(),
            writer: &self.client.writer(),
            options: &unguarded(),
            today: TODAY,
        };
        let mut observe = |event: ApplyEvent<'_>| {
            if let ApplyEvent::Sending(write) = event {
                self.writes.lock().unwrap().push(write.kind);
            }
            Ok(())
        };
        apply(plan, &context, &mut observe).await
    }

    fn sent(&self, kind: WriteKind) -> usize {
        let writes = self.writes.lock().unwrap();
        writes.iter().filter(|write| **write == kind).count()
    }

    fn integrations(&self) -> Vec<Integration> {
        self.sandbox.live(&account_id()).integrations
    }
}

fn client(transport: Transport) -> Client {
    Client::new(
        transport,
        "http://localhost/client/v4".parse().unwrap(),
        Credentials::api_token(DEFAULT_TOKEN.into()).unwrap(),
    )
}

/// Describes the outcome of each operation.
fn outcomes(applied: &ApplyResult) -> Vec<String> {
    let reports = applied.operations.iter();
    reports
        .map(|report| match &report.outcome {
            Outcome::Done(_) => "done".to_owned(),
            Outcome::Failed(error) => format!("failed: {error}"),
            Outcome::Unknown(error) => format!("unknown: {error}"),
            Outcome::NotAttempted(reason) => format!("not attempted: {reason}"),
        })
        .collect()
}

/// Asserts that each outcome starts with one of these texts.
fn assert_outcomes(applied: &ApplyResult, expected: &[&str]) {
    let found = outcomes(applied);
    let same = found.len() == expected.len()
        && found
            .iter()
            .zip(expected)
            .all(|(found, expected)| found.starts_with(expected));
    assert!(same, "{found:#?}\n{expected:#?}");
}

fn ok(result: &Value) -> Response {
    let body = json!({ "success": true, "errors": [], "messages": [], "result": result });
    ([("content-type", "application/json")], body.to_string()).into_response()
}

/// Answers every write with the values that were sent, and changes nothing.
fn echoes(sandbox: Sandbox, router: Router) -> Router {
    router.layer(from_fn(move |request: Request, next: Next| {
        let sandbox = sandbox.clone();
        async move {
            if request.method() == Method::GET {
                return next.run(request).await;
            }
            let (parts, body) = request.into_parts();
            let body = to_bytes(body, usize::MAX).await.unwrap();
            let mut sent: Value = serde_json::from_slice(&body).unwrap_or_default();
            let path = parts.uri.path();
            if path.ends_with("/behaviors") || parts.method == Method::DELETE {
                return ok(&sent);
            }
            let held = sandbox.live(&account_id()).integrations;
            let held = held
                .into_iter()
                .find(|live| path.ends_with(&live.id.to_string()));
            let mut shown = json!(held.unwrap_or_else(|| integration(9, "new", "r9")));
            for (field, value) in sent.as_object_mut().unwrap() {
                shown[field] = value.take();
            }
            ok(&shown)
        }
    }))
}

#[tokio::test(start_paused = true)]
async fn values_not_kept_by_the_server_are_named() {
    let old = || live(vec![integration(1, "one", REFERENCE)]);
    let one = |tenant, fields| desired(json!({}), &[("one", tenant, fields)]);
    let table = [
        (
            desired(
                json!({ "high_dlp": { "risk_level": "high" } }),
                &[("one", "one", json!({}))],
            ),
            "behavior.high_dlp is not as applied: risk_level is \"medium\", not \"high\"",
        ),
        (
            desired(
                json!({ "high_dlp": { "enabled": false } }),
                &[("one", "one", json!({}))],
            ),
            "behavior.high_dlp is not as applied: enabled is true, not false",
        ),
        (
            one("one", json!({ "active": false })),
            "integration.one is not as applied: active is true, not false",
        ),
        (
            one("other", json!({ "reference_id": REFERENCE })),
            "integration.one is not as applied: tenant_url is \"https://one.okta.com\", not \"https://other.okta.com\"",
        ),
        (
            one("one", json!({ "reference_id": "r2" })),
            "integration.one is not as applied: reference_id is \"3701e70b-5de4-4d9d-8972-f5aa994d0001\", not \"r2\"",
        ),
        (
            desired(
                json!({}),
                &[("one", "one", json!({})), ("two", "two", json!({}))],
            ),
            "integration.two is not as applied: it does not exist",
        ),
        (
            desired(json!({}), &[]),
            "integration[00000000-0000-4000-8000-000000000001] is not as applied: it still exists",
        ),
    ];
    for (desired, problem) in table {
        let case = Case::behind(desired, old(), Settings::default(), echoes);
        let applied = case.apply().await;
        assert_outcomes(&applied, &["done"]);
        assert!(
            !applied.is_complete() && applied.wrote_anything(),
            "{problem}"
        );
        let problems = &applied.problems;
        assert!(
            problems.contains(&problem.to_owned()),
            "{problems:#?}\n{problem}"
        );
    }
}

#[test]
fn apply_exits_with_3_if_the_server_keeps_the_old_value() {
    let server = SandboxServer::behind(Settings::default(), |sandbox, router| {
        echoes(sandbox.clone(), router)
    });
    server
        .sandbox
        .edit(&account_id(), |account| {
            *account = (live(Vec::new())).into()
        })
        .unwrap();
    let directory = TestDir::with(&server);
    let file = format!(
        "version: 1\naccount_id: {}\nbehaviors: {{ high_dlp: {{ risk_level: high }} }}\n",
        account_id()
    );
    directory.write("riskform.yaml", &file);
    let run = directory.run(&["apply", "--auto-approve", "--no-context"]);
    assert_eq!(run.code, 3, "{}", run.stderr);
    let problem = "behavior.high_dlp is not as applied: risk_level is \"medium\", not \"high\"";
    assert!(run.stdout.contains(problem), "{}", run.stdout);
}

/// Case 4, and its variant in which the response shows the old value.
#[tokio::test(start_paused = true)]
async fn ineffective_update_stops_deletes_of_unlisted_integrations() {
    fn keeps(sandbox: Sandbox, router: Router, shows: fn(&mut Value, &Value)) -> Router {
        router.layer(from_fn(move |request: Request, next: Next| {
            let sandbox = sandbox.clone();
            async move {
                if request.method() != Method::PUT {
                    return next.run(request).await;
                }
                let body = to_bytes(request.into_body(), usize::MAX).await.unwrap();
                let sent: Value = serde_json::from_slice(&body).unwrap();
                let held = sandbox.live(&account_id()).integrations;
                let mut shown = json!(
                    held.iter().find(|live| live
                        .fields
                        .tenant_url()
                        .unwrap()
                        .as_str()
                        .contains("sales"))
                );
                shows(&mut shown, &sent);
                ok(&shown)
            }
        }))
    }
    let as_sent: fn(&mut Value, &Value) = |shown, sent| shown["active"] = sent["active"].clone();
    let as_live: fn(&mut Value, &Value) = |_, _| {};
    for (shows, put, delete) in [
        (
            as_sent,
            "done",
            "not attempted: not deleted, because integrations are not as planned: integration.sales is not as applied: active is true, not false",
        ),
        (
            as_live,
            "unknown: ",
            "not attempted: earlier operation 1 did not succeed",
        ),
    ] {
        let desired = desired(
            json!({}),
            &[(
                "sales",
                "sales",
                json!({ "reference_id": REFERENCE, "active": false }),
            )],
        );
        let old = live(vec![
            integration(1, "sales", REFERENCE),
            integration(2, "old", "r2"),
        ]);
        let case = Case::behind(desired, old, Settings::default(), |sandbox, router| {
            keeps(sandbox, router, shows)
        });
        let applied = case.apply().await;
        assert_outcomes(&applied, &[put, delete]);
        assert!(!applied.is_complete() && applied.wrote_anything());
        assert_eq!(case.sent(WriteKind::Delete), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn unreadable_response_to_an_effective_write_is_resolved_by_reading() {
    let work = Execution::Done;
    for fault in [
        Fault::WrongJson { work },
        Fault::Garbage { work },
        Fault::BadGateway { work },
        Fault::ServerError { work },
    ] {
        for method in [Method::PUT, Method::DELETE] {
            let desired = desired(
                json!({ "high_dlp": { "risk_level": "high" } }),
                &[("sales", "sales", json!({ "active": false }))],
            );
            let old = live(vec![
                integration(1, "sales", REFERENCE),
                integration(2, "old", "r2"),
            ]);
            let rules = vec![FaultRule::on(method, fault.clone())];
            let case = Case::new(desired, old, Settings::default()).with_faults(rules);
            let applied = case.apply().await;
            assert_outcomes(&applied, &["done", "done", "done"]);
            assert!(applied.is_complete(), "{fault:?}: {applied:?}");
        }
    }
}

/// Case 8 of both lists.
#[tokio::test(start_paused = true)]
async fn rejected_token_stops_all_writes() {
    let names: Vec<String> = (0..40).map(|number| format!("t{number}")).collect();
    let entries: Vec<_> = names
        .iter()
        .map(|name| (name.as_str(), name.as_str(), json!({})))
        .collect();
    let posts = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&posts);
    let case = Case::behind(
        desired(json!({}), &entries),
        live(Vec::new()),
        Settings::default(),
        |_, router| {
            router.layer(from_fn(move |request: Request, next: Next| {
            let number = match request.method() == Method::POST {
                true => counter.fetch_add(1, Ordering::Relaxed),
                false => 0,
            };
            async move {
                if number < 2 {
                    return next.run(request).await;
                }
                // All requests in flight are sent before the first one is rejected.
                tokio::time::sleep(Duration::from_millis(100)).await;
                let error = json!({ "code": 9109, "message": "Invalid access token" });
                let body = json!({ "success": false, "errors": [error], "messages": [], "result": null });
                (StatusCode::UNAUTHORIZED, body.to_string()).into_response()
            }
        }))
        },
    );
    let applied = case.apply().await;
    let posts = posts.load(Ordering::Relaxed);
    assert!((3..=12).contains(&posts), "{posts}");
    let skipped = outcomes(&applied);
    let skipped = skipped
        .iter()
        .filter(|text| *text == "not attempted: would fail for the same reason");
    assert_eq!(skipped.count(), 40 - posts);
    assert!(!applied.is_complete() && applied.wrote_anything());
}

/// Inserts integrations right before the first POST, and lets lists lack this run's own for the first `lag` reads after it.
fn races(older: Vec<Integration>, lag: usize) -> impl FnOnce(Sandbox, Router) -> Router {
    move |sandbox, router| {
        let state = Arc::new(Mutex::new((Some(older), lag, None::<Value>)));
        router.layer(from_fn(move |request: Request, next: Next| {
            let (sandbox, state) = (sandbox.clone(), Arc::clone(&state));
            async move {
                let account = account_id();
                if request.method() == Method::POST {
                    let mut state = state.lock().unwrap();
                    if let Some(older) = state.0.take() {
                        let mut live = sandbox.live(&account);
                        state.2 = Some(json!(live.integrations));
                        live.integrations.extend(older);
                        sandbox
                            .edit(&account, |account| *account = live.into())
                            .unwrap();
                    }
                }
                if request.method() == Method::GET
                    && request.uri().path().ends_with("/integrations")
                {
                    let mut state = state.lock().unwrap();
                    if let (_, lag @ 1.., Some(list)) = &mut *state {
                        *lag -= 1;
                        return ok(list);
                    }
                }
                next.run(request).await
            }
        }))
    }
}

/// Cases 11 and 30.
#[tokio::test(start_paused = true)]
async fn own_duplicate_is_deleted_if_older_ones_appeared() {
    for (older, lag) in [(1, 0), (2, 0), (3, 2), (1, 1), (1, 3)] {
        let older: Vec<Integration> = (1..=older)
            .map(|number| integration(number, "sales", REFERENCE))
            .collect();
        let ids: Vec<_> = older.iter().map(|live| live.id).collect();
        let desired = sales_with_reference();
        let case = Case::behind(
            desired,
            live(Vec::new()),
            Settings::default(),
            races(older, lag),
        );
        let applied = case.apply().await;
        assert!(applied.is_complete(), "{applied:?}");
        let left: Vec<_> = case.integrations().iter().map(|live| live.id).collect();
        assert_eq!(left, ids, "lag {lag}");
        let mut notes = applied.notes.iter();
        let found = notes.find(|note| note.kind == NoteKind::DuplicatesFound);
        let message = found.map_or("", |note| &note.message);
        assert!(ids.len() < 2 || ids.iter().all(|id| message.contains(&id.to_string())));
        // The next plan takes the same one.
        let again = case.plan();
        assert_eq!(
            again
                .notes
                .iter()
                .any(|note| note.kind == NoteKind::DuplicatesFound),
            ids.len() > 1
        );
    }
}

#[tokio::test(start_paused = true)]
async fn own_duplicate_stays_if_the_older_one_is_not_as_active_as_declared() {
    let mut older = integration(1, "sales", REFERENCE);
    older
        .fields
        .set(Field::Active, Some(FieldValue::Bool(false)));
    let desired = sales_with_reference();
    let case = Case::behind(
        desired,
        live(Vec::new()),
        Settings::default(),
        races(vec![older], 0),
    );
    let applied = case.apply().await;
    assert!(!applied.is_complete());
    assert_eq!(case.sent(WriteKind::RemoveDuplicate), 0);
    let problems = applied.problems.join("\n");
    assert!(
        problems.contains("exists twice: ") && problems.contains("0001"),
        "{problems}"
    );
}

#[tokio::test(start_paused = true)]
async fn own_duplicate_stays_if_somebody_changed_it() {
    let desired = sales_with_reference();
    let case = Case::behind(
        desired,
        live(Vec::new()),
        Settings::default(),
        |sandbox, router| {
            let older = vec![integration(1, "sales", REFERENCE)];
            let raced = races(older, 0)(sandbox.clone(), router);
            raced.layer(from_fn(move |request: Request, next: Next| {
                let sandbox = sandbox.clone();
                async move {
                    let is_create = request.method() == Method::POST;
                    let response = next.run(request).await;
                    if is_create {
                        let mut now = sandbox.live(&account_id());
                        let off = Some(FieldValue::Bool(false));
                        now.integrations[1].fields.set(Field::Active, off);
                        let edited = sandbox.edit(&account_id(), |account| *account = now.into());
                        edited.unwrap();
                    }
                    response
                }
            }))
        },
    );
    let applied = case.apply().await;
    assert!(!applied.is_complete());
    assert_eq!(case.sent(WriteKind::RemoveDuplicate), 0);
    assert_eq!(case.integrations().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn older_integration_of_another_tenant_is_no_duplicate() {
    let desired = sales_with_reference();
    let case = Case::behind(
        desired,
        live(Vec::new()),
        Settings::default(),
        races(vec![integration(1, "other", REFERENCE)], 0),
    );
    let applied = case.apply().await;
    assert!(applied.is_complete(), "{applied:?}");
    assert_eq!(case.sent(WriteKind::RemoveDuplicate), 0);
    assert_eq!(case.integrations().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn create_that_no_list_shows_is_reported() {
    let desired = sales_with_reference();
    let case = Case::behind(
        desired,
        live(Vec::new()),
        Settings::default(),
        races(Vec::new(), 7),
    );
    let applied = case.apply().await;
    assert!(!applied.is_complete());
    let problems = applied.problems.join("\n");
    assert!(
        problems.contains("but the list of integrations does not show it"),
        "{problems}"
    );
}

/// The response is lost, and the next lists do not show the integration yet.
#[tokio::test(start_paused = true)]
async fn lost_create_is_found_in_a_lagging_list_and_not_repeated() {
    let desired = sales_with_reference();
    let case = Case::behind(
        desired,
        live(Vec::new()),
        Settings::default(),
        |sandbox, router| {
            let lagging = races(Vec::new(), 3)(sandbox, router);
            lagging.layer(from_fn(async |request: Request, next: Next| {
                let is_create = request.method() == Method::POST;
                let response = next.run(request).await;
                match is_create {
                    true => StatusCode::BAD_GATEWAY.into_response(),
                    false => response,
                }
            }))
        },
    );
    let applied = case.apply().await;
    assert!(applied.is_complete(), "{applied:?}");
    assert_eq!(
        (case.sent(WriteKind::Create), case.integrations().len()),
        (1, 1)
    );
}

/// Case 22.
#[tokio::test(start_paused = true)]
async fn rejected_generated_reference_is_left_out_of_an_update() {
    let settings = Settings {
        references: AcceptedReferences::Providers,
        unset_reference: UnsetReference::Empty,
        ..Settings::default()
    };
    let desired = desired(json!({}), &[("sales", "sales", json!({ "active": false }))]);
    let case = Case::new(desired, live(vec![integration(1, "sales", "")]), settings);
    let applied = case.apply().await;
    assert_outcomes(&applied, &["done"]);
    assert!(applied.is_complete(), "{applied:?}");
    assert_eq!(case.sent(WriteKind::Update), 2);
    let kinds: Vec<_> = applied.notes.iter().map(|note| note.kind).collect();
    assert_eq!(kinds, [NoteKind::CreatedWithoutReference]);
    assert!(case.plan().is_empty());
}

/// Case 26: values that change while a write waits for a 429, or for a repetition after a 5xx.
#[tokio::test(start_paused = true)]
async fn value_raised_while_the_write_waits_is_not_lowered() {
    for (fault, outcome) in [
        (
            Fault::RateLimited {
                retry_after: Some(2),
            },
            "not attempted: changed since the plan: behavior.high_dlp: risk_level changed from \"medium\" to \"high\"",
        ),
        (
            Fault::ServerError {
                work: Execution::Skipped,
            },
            "unknown: ",
        ),
    ] {
        let desired = desired(
            json!({ "high_dlp": { "enabled": true, "risk_level": "medium" }, "sentinel_one": { "enabled": true } }),
            &[],
        );
        let raised = ExternalChange::SetBehavior {
            key: "high_dlp".into_key(),
            enabled: None,
            risk_level: Some(OpenEnum::parse("high")),
        };
        let rules = vec![
            FaultRule::once(Method::PUT, Fault::Change(raised)),
            FaultRule::once(Method::PUT, fault),
        ];
        let case = Case::new(desired, live(Vec::new()), Settings::default()).with_faults(rules);
        let applied = case.apply().await;
        assert_outcomes(&applied, &[outcome]);
        assert_eq!(applied.is_stale(), outcome.starts_with("not attempted"));
        assert_eq!(
            applied.sent_anything(),
            !applied.is_stale(),
            "429 counts as not sent"
        );
        let now = case.sandbox.live(&account_id());
        assert_eq!(
            now.behaviors[&"high_dlp".into_key()]
                .fields
                .level()
                .unwrap()
                .to_string(),
            "high"
        );
        assert!(
            !now.behaviors[&"sentinel_one".into_key()]
                .fields
                .is_on(Field::Enabled)
        );
    }
}

trait IntoKey {
    fn into_key(self) -> riskform::model::behavior::BehaviorKey;
}

impl IntoKey for &str {
    fn into_key(self) -> riskform::model::behavior::BehaviorKey {
        riskform::model::behavior::BehaviorKey::new(self)
    }
}

/// Changes an account after it was planned. Undeclared and ignored fields are sent with their live values, declared ones are not overwritten.
#[tokio::test(start_paused = true)]
async fn fields_changed_since_the_plan_decide_what_is_sent() {
    type Edit = fn(&mut LiveAccount);
    let ignored = json!({ "active": true, "lifecycle": { "prevent_destroy": false, "ignore_changes": [
        { "field": "active", "location": { "file": "one.yaml", "line": 1, "column": 1 } } ] } });
    let moved = |fields: Value| {
        let mut fields = fields;
        fields["id"] = json!("00000000-0000-4000-8000-000000000001");
        desired(json!({}), &[("sales", "moved", fields)])
    };
    let table: [(DesiredAccount, Edit, &[&str]); 8] = [
        // An undeclared reference, an ignored field, and a value that already equals the declared one.
        (
            moved(json!({})),
            |live| {
                live.integrations[0].fields.set(
                    Field::ReferenceId,
                    ReferenceId::new("other").map(FieldValue::Reference),
                )
            },
            &["done"],
        ),
        (
            moved(ignored),
            |live| {
                live.integrations[0]
                    .fields
                    .set(Field::Active, Some(FieldValue::Bool(false)))
            },
            &["done"],
        ),
        (
            moved(json!({})),
            |live| {
                live.integrations[0].fields.set(
                    Field::TenantUrl,
                    Some(FieldValue::Url(TenantUrl::from_live(
                        "https://moved.okta.com",
                    ))),
                )
            },
            &["done"],
        ),
        // Declared values.
        (
            moved(json!({})),
            |live| {
                live.integrations[0].fields.set(
                    Field::TenantUrl,
                    Some(FieldValue::Url(TenantUrl::from_live(
                        "https://third.okta.com",
                    ))),
                )
            },
            &[
                "not attempted: changed since the plan: integration.sales: tenant_url changed from \"https://sales.okta.com\" to \"https://third.okta.com\"",
            ],
        ),
        (
            moved(json!({})),
            |live| {
                live.integrations[0]
                    .fields
                    .set(Field::Active, Some(FieldValue::Bool(false)))
            },
            &[
                "not attempted: changed since the plan: integration.sales: active changed from true to false",
            ],
        ),
        (
            moved(json!({})),
            |live| live.integrations.clear(),
            &["not attempted: changed since the plan: integration.sales was removed"],
        ),
        // The integration to delete.
        (
            desired(json!({}), &[]),
            |live| {
                live.integrations[0]
                    .fields
                    .set(Field::Active, Some(FieldValue::Bool(false)))
            },
            &[
                "not attempted: changed since the plan: integration[00000000-0000-4000-8000-000000000001]: active changed from true to false",
            ],
        ),
        (
            desired(json!({}), &[]),
            |live| live.integrations.clear(),
            &["done"],
        ),
    ];
    for (desired, edit, expected) in table {
        let case = Case::new(
            desired,
            live(vec![integration(1, "sales", REFERENCE)]),
            Settings::default(),
        );
        let plan = case.plan();
        let mut now = case.sandbox.live(&account_id());
        edit(&mut now);
        case.sandbox
            .edit(&account_id(), |account| *account = (now.clone()).into())
            .unwrap();
        let applied = case.apply_plan(&plan).await;
        assert_outcomes(&applied, expected);
        let stale = expected[0] != "done";
        assert_eq!(
            (applied.is_stale(), applied.is_complete()),
            (stale, !stale),
            "{applied:?}"
        );
        if stale {
            assert_eq!(case.integrations(), now.integrations);
        }
        for live in case.integrations().iter().filter(|_| !stale) {
            let before = &now.integrations[0].fields;
            assert_eq!(
                (
                    &live.fields.reference_id(),
                    live.fields.is_on(Field::Active)
                ),
                (&before.reference_id(), before.is_on(Field::Active))
            );
        }
    }
}

/// Case 27: the integration to delete becomes an entry's, with or without a change of its own.
#[tokio::test(start_paused = true)]
async fn delayed_delete_spares_an_integration_that_became_an_entrys() {
    for spare in ["spare", "sales"] {
        let desired = sales_with_reference();
        let old = live(vec![
            integration(1, "sales", REFERENCE),
            integration(2, spare, "r2"),
        ]);
        let delete = ExternalChange::DeleteIntegration {
            integration: REFERENCE.to_owned(),
        };
        let edit = ExternalChange::EditIntegration {
            integration: "r2".to_owned(),
            tenant_url: Some(TenantUrl::from_live("https://sales.okta.com")),
            reference_id: None,
            active: None,
        };
        let rules = vec![
            FaultRule::once(Method::DELETE, Fault::Change(delete)),
            FaultRule::once(Method::DELETE, Fault::Change(edit)),
            FaultRule::once(
                Method::DELETE,
                Fault::RateLimited {
                    retry_after: Some(2),
                },
            ),
        ];
        let case = Case::new(desired, old, Settings::default()).with_faults(rules);
        let applied = case.apply().await;
        assert_outcomes(&applied, &["not attempted: "]);
        assert!(
            applied.is_stale() && !applied.sent_anything(),
            "{applied:?}"
        );
        assert_eq!(case.integrations().len(), 1, "{spare}");
    }
}

/// Case 29.
#[tokio::test(start_paused = true)]
async fn behavior_missing_from_a_read_is_not_left_out_of_the_write() {
    for (lacking, outcome) in [
        (2, "done"),
        (
            usize::MAX,
            "not attempted: changed since the plan: behavior no longer available: high_dlp",
        ),
    ] {
        let desired = desired(json!({ "sentinel_one": { "enabled": true } }), &[]);
        let settings = Settings {
            behaviors_put: riskform::sandbox::BehaviorsPut::Replace,
            ..Settings::default()
        };
        let reads = Arc::new(AtomicUsize::new(0));
        let case = Case::behind(desired, live(Vec::new()), settings, |sandbox, router| {
            router.layer(from_fn(move |request: Request, next: Next| {
                let (sandbox, reads) = (sandbox.clone(), Arc::clone(&reads));
                async move {
                    let is_read = request.method() == Method::GET
                        && request.uri().path().ends_with("/behaviors");
                    if is_read && reads.fetch_add(1, Ordering::Relaxed) < lacking {
                        let mut behaviors = sandbox.live(&account_id()).behaviors;
                        behaviors.remove(&"high_dlp".into_key());
                        return ok(&json!({ "behaviors": behaviors }));
                    }
                    next.run(request).await
                }
            }))
        });
        let applied = case.apply().await;
        assert_outcomes(&applied, &[outcome]);
        assert_eq!(
            case.sent(WriteKind::WriteBehaviors),
            usize::from(outcome == "done")
        );
        let now = case.sandbox.live(&account_id());
        assert!(
            now.behaviors[&"high_dlp".into_key()]
                .fields
                .is_on(Field::Enabled)
        );
    }
}

#[tokio::test(start_paused = true)]
async fn target_is_read_again_after_a_long_wait() {
    // The write of behaviors takes 20 s, and the integration changes meanwhile.
    let desired = desired(
        json!({ "high_dlp": { "risk_level": "high" } }),
        &[("sales", "moved", json!({ "reference_id": REFERENCE }))],
    );
    let edit = ExternalChange::EditIntegration {
        integration: REFERENCE.to_owned(),
        tenant_url: None,
        reference_id: None,
        active: Some(false),
    };
    let on_behaviors = |fault| FaultRule {
        path: Some("*/behaviors".to_owned()),
        ..FaultRule::on(Method::PUT, fault)
    };
    let seconds = Duration::from_secs(20);
    let rules = vec![
        on_behaviors(Fault::Change(edit)),
        on_behaviors(Fault::Slow { seconds }),
    ];
    let old = live(vec![integration(1, "sales", REFERENCE)]);
    let case = Case::new(desired, old, Settings::default()).with_faults(rules);
    let applied = case.apply().await;
    assert_outcomes(
        &applied,
        &[
            "done",
            "not attempted: changed since the plan: integration.sales: active changed from true to false",
        ],
    );
    assert!(!applied.is_complete() && applied.wrote_anything());
}

/// Item 11: another run created the integration after the plan. Server keeps references unique.
#[tokio::test(start_paused = true)]
async fn reference_taken_by_another_run_is_not_unknown_to_the_server() {
    let settings = || Settings {
        unique: [UniqueKey::ReferenceId].into(),
        ..Settings::default()
    };
    let wanted = || desired(json!({}), &[("sales", "sales", json!({}))]);
    let generated = |case: &Case| {
        case.plan().operations[0].request.body.as_ref().unwrap()["reference_id"]
            .as_str()
            .unwrap()
            .to_owned()
    };

    // Before the run's first read: it is taken.
    let case = Case::new(wanted(), live(Vec::new()), settings());
    let (plan, reference) = (case.plan(), generated(&case));
    case.sandbox
        .edit(&account_id(), |account| {
            *account = (live(vec![integration(1, "sales", &reference)])).into()
        })
        .unwrap();
    let applied = case.apply_plan(&plan).await;
    assert!(applied.is_complete(), "{applied:?}");
    assert_eq!(
        (case.sent(WriteKind::Create), case.integrations().len()),
        (0, 1)
    );

    // Right before the POST, which is rejected.
    let case = Case::behind(
        wanted(),
        live(Vec::new()),
        settings(),
        races(vec![integration(1, "sales", &reference)], 0),
    );
    let applied = case.apply().await;
    assert!(applied.is_complete(), "{applied:?}");
    assert_eq!(
        (case.sent(WriteKind::Create), case.integrations().len()),
        (1, 1)
    );

    // The same, for another tenant.
    let case = Case::behind(
        wanted(),
        live(Vec::new()),
        settings(),
        races(vec![integration(1, "other", &reference)], 0),
    );
    let applied = case.apply().await;
    assert_outcomes(&applied, &["failed: "]);
    assert_eq!(
        (case.sent(WriteKind::Create), case.integrations().len()),
        (1, 1)
    );
}

#[tokio::test(start_paused = true)]
async fn entry_that_exists_by_now_is_not_created() {
    let wanted = sales_with_reference();
    let case = Case::new(wanted, live(Vec::new()), Settings::default());
    let plan = case.plan();
    case.sandbox
        .edit(&account_id(), |account| {
            *account = (live(vec![integration(1, "sales", "theirs")])).into()
        })
        .unwrap();
    let applied = case.apply_plan(&plan).await;
    assert_outcomes(
        &applied,
        &["not attempted: changed since the plan: integration.sales was added: "],
    );
    assert!(applied.is_stale());
    assert_eq!(case.sent(WriteKind::Create), 0);
}

#[tokio::test(start_paused = true)]
async fn integration_unlisted_since_the_plan_is_named_and_kept() {
    let wanted = desired(json!({}), &[("sales", "sales", json!({}))]);
    let case = Case::new(
        wanted,
        live(vec![
            integration(1, "sales", REFERENCE),
            integration(2, "old", "r2"),
        ]),
        Settings::default(),
    );
    let plan = case.plan();
    let mut now = case.sandbox.live(&account_id());
    now.integrations.push(integration(3, "new", "r3"));
    case.sandbox
        .edit(&account_id(), |account| *account = (now).into())
        .unwrap();
    let applied = case.apply_plan(&plan).await;
    assert_outcomes(&applied, &["done"]);
    assert!(applied.is_complete());
    assert!(
        matches!(&applied.notes[..], [note] if note.message.ends_with(&integration(3, "new", "").id.to_string()))
    );
    assert_eq!(case.integrations().len(), 2);
}

/// A new integration is active until the PUT that follows. If that does not succeed, the next run sends it.
#[tokio::test(start_paused = true)]
async fn interrupted_inactive_create_is_finished_by_the_next_run() {
    let wanted = desired(json!({}), &[("sales", "sales", json!({ "active": false }))]);
    let rules = vec![FaultRule {
        times: Some(4),
        ..FaultRule::on(
            Method::PUT,
            Fault::ServerError {
                work: Execution::Skipped,
            },
        )
    }];
    let case = Case::new(wanted, live(Vec::new()), Settings::default()).with_faults(rules);
    let applied = case.apply().await;
    assert_outcomes(&applied, &["done", "unknown: "]);
    assert!(!applied.is_complete() && case.integrations()[0].fields.is_on(Field::Active));
    let applied = case.apply().await;
    assert_outcomes(&applied, &["done"]);
    assert!(applied.is_complete() && !case.integrations()[0].fields.is_on(Field::Active));
}

/// Case 9.
#[tokio::test(start_paused = true)]
async fn response_of_another_account_ends_all_writes() {
    let names: Vec<String> = (10..22).map(|number| format!("t{number}")).collect();
    let entries = |fields: &Value| {
        let entries: Vec<_> = names
            .iter()
            .map(|name| (name.as_str(), name.as_str(), fields.clone()))
            .collect();
        desired(json!({}), &entries)
    };
    let existing = names.iter().map(|name| {
        let mut existing = json!(integration(1, name, name));
        existing["id"] = json!(format!("00000000-0000-4000-8000-0000000000{}", &name[1..]));
        serde_json::from_value(existing).unwrap()
    });
    for (method, desired, live) in [
        (Method::POST, entries(&json!({})), live(Vec::new())),
        (
            Method::PUT,
            entries(&json!({ "active": false })),
            live(existing.collect()),
        ),
    ] {
        let is_write = method.clone();
        let case = Case::behind(desired, live, Settings::default(), |_, router| {
            router.layer(from_fn(move |request: Request, next: Next| {
                let is_write = *request.method() == is_write;
                async move {
                    let response = next.run(request).await;
                    if !is_write {
                        return response;
                    }
                    let body = to_bytes(response.into_body(), usize::MAX).await.unwrap();
                    let mut body: Value = serde_json::from_slice(&body).unwrap();
                    body["result"]["account_tag"] = json!("f037e56e89293a057740de681ac9abbe");
                    ([("content-type", "application/json")], body.to_string()).into_response()
                }
            }))
        });
        let applied = case.apply().await;
        let outcomes = outcomes(&applied);
        let count = |text: &str| outcomes.iter().filter(|found| found.contains(text)).count();
        assert_eq!(count("belongs to another account"), 1, "{outcomes:#?}");
        assert_eq!(
            count("not attempted: would fail for the same reason"),
            11,
            "{outcomes:#?}"
        );
        assert!(!applied.is_complete() && applied.wrote_anything());
        assert_eq!(case.writes.lock().unwrap().len(), 1, "{method}");
    }
}

/// The last read shows a value that somebody changed during the run, and that the plan did not change.
#[tokio::test(start_paused = true)]
async fn other_declared_value_that_differs_in_the_end_is_mentioned() {
    let desired = desired(
        json!({ "high_dlp": { "risk_level": "medium" }, "sentinel_one": { "enabled": true } }),
        &[],
    );
    let case = Case::behind(
        desired,
        live(Vec::new()),
        Settings::default(),
        |sandbox, router| {
            router.layer(from_fn(move |request: Request, next: Next| {
                let sandbox = sandbox.clone();
                async move {
                    let is_write = request.method() == Method::PUT;
                    let response = next.run(request).await;
                    if is_write {
                        let mut now = sandbox.live(&account_id());
                        let raised = now.behaviors.get_mut(&"high_dlp".into_key()).unwrap();
                        let high = FieldValue::Level(OpenEnum::parse("high"));
                        raised.fields.set(Field::RiskLevel, Some(high));
                        let edited = sandbox.edit(&account_id(), |account| *account = now.into());
                        edited.unwrap();
                    }
                    response
                }
            }))
        },
    );
    let applied = case.apply().await;
    assert!(applied.is_complete(), "{applied:?}");
    let notes: Vec<String> = applied.notes.iter().map(ToString::to_string).collect();
    assert_eq!(
        notes,
        ["changed since the plan: behavior.high_dlp: risk_level is \"high\", not \"medium\""]
    );
}

/// An unlisted integration is deleted for an entry that takes its tenant, and then the update of the entry is rejected.
#[tokio::test(start_paused = true)]
async fn settings_of_an_unlisted_integration_deleted_in_vain_are_printed() {
    let wanted = desired(
        json!({}),
        &[("sales", "old", json!({ "reference_id": REFERENCE }))],
    );
    let before = live(vec![
        integration(1, "sales", REFERENCE),
        integration(2, "old", "r2"),
    ]);
    let rejects = |_, router: Router| {
        router.layer(from_fn(async |request: Request, next: Next| {
            if request.method() != Method::PUT {
                return next.run(request).await;
            }
            let error = json!({ "code": 1000, "message": "not today" });
            let body =
                json!({ "success": false, "errors": [error], "messages": [], "result": null });
            (StatusCode::BAD_REQUEST, body.to_string()).into_response()
        }))
    };
    let case = Case::behind(wanted, before, Settings::default(), rejects);
    let applied = case.apply().await;
    assert_outcomes(&applied, &["done", "failed: "]);
    assert_eq!(
        applied.problems,
        [
            "integration[00000000-0000-4000-8000-000000000002]: deleted 00000000-0000-4000-8000-000000000002, but integration.sales \
             was not written, which takes a value from it. Its settings were: integration_type Okta, tenant_url https://old.okta.com, \
             reference_id r2, active true"
        ]
    );
}

/// Case 31.
#[tokio::test(start_paused = true)]
async fn reference_that_comes_back_in_lower_case_is_the_same() {
    let upper = "3701E70B-5DE4-4D9D-8972-F5AA994D0001";
    let desired = desired(
        json!({}),
        &[("sales", "sales", json!({ "reference_id": upper }))],
    );
    let lowers = |_, router: Router| {
        router.layer(from_fn(async |request: Request, next: Next| {
            let (parts, body) = request.into_parts();
            let body = to_bytes(body, usize::MAX).await.unwrap();
            let body = String::from_utf8(body.to_vec()).unwrap();
            let body = body.replace("3701E70B-5DE4-4D9D-8972-F5AA994D0001", REFERENCE);
            next.run(Request::from_parts(parts, Body::from(body))).await
        }))
    };
    let case = Case::behind(desired, live(Vec::new()), Settings::default(), lowers);
    let applied = case.apply().await;
    assert!(applied.is_complete(), "{applied:?}");
    assert!(case.plan().is_empty());
}

/// Case 16: an earlier run that was killed, or a full disk, left a partial line.
#[test]
fn audit_log_continues_on_a_new_line_after_a_partial_one() {
    let server = SandboxServer::start(Settings::default());
    let directory = TestDir::with(&server);
    directory.write(
        "riskform.yaml",
        &format!("version: 1\naccount_id: {RECORDED_ACCOUNT}\nbehaviors: {{ high_dlp: {{ enabled: false }} }}\n"),
    );
    const PARTIAL: &str = "{\"phase\":\"int";
    directory.write("log.jsonl", PARTIAL);
    let command = "apply --auto-approve --no-context --audit-log log.jsonl";
    let run = directory.run(&command.split(' ').collect::<Vec<_>>());
    assert_eq!(run.code, 0, "{}", run.shown());
    let log = directory.read("log.jsonl");
    let mut lines = log.lines();
    assert_eq!(lines.next(), Some(PARTIAL));
    let phases = lines.map(|line| serde_json::from_str::<Value>(line).unwrap()["phase"].clone());
    assert_eq!(phases.collect::<Vec<_>>(), ["intent", "outcome"]);
}

/// An empty body to a successful DELETE.
#[tokio::test(start_paused = true)]
async fn empty_response_to_a_delete_is_read_back() {
    let case = Case::behind(
        desired(json!({}), &[]),
        live(vec![integration(1, "old", "r1")]),
        Settings::default(),
        |_, router| {
            router.layer(from_fn(async |request: Request, next: Next| {
                let is_delete = request.method() == Method::DELETE;
                let response = next.run(request).await;
                match is_delete {
                    true => (StatusCode::OK, Body::empty()).into_response(),
                    false => response,
                }
            }))
        },
    );
    let applied = case.apply().await;
    assert_outcomes(&applied, &["done"]);
    assert!(applied.is_complete());
    assert_eq!(case.sent(WriteKind::Delete), 1);
}
