//! A write counts only if it took effect, and no unread change is overwritten. The tests run in-process and in paused time, with servers that
//! misbehave and accounts that change during the run.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::http::{Method, StatusCode};
use axum::middleware::{Next, from_fn};
use axum::response::IntoResponse;
use riskform::apply::WriteKind;
use riskform::model::account::{DesiredAccount, LiveAccount, UnlistedPolicy};
use riskform::model::behavior::{BehaviorKey, RiskLevel};
use riskform::model::field::{Field, FieldValue, Fields};
use riskform::model::open_enum::OpenEnum;
use riskform::plan::NoteKind;
use riskform::sandbox::{
    AcceptedReferences, BehaviorsPut, RECORDED_ACCOUNT, Sandbox, Settings, UnsetReference,
};
use serde_json::{Value, json};

use crate::support::faults::{Execution, ExternalChange, Fault, FaultRule};
use crate::support::layers::{Reaction, after, change_json, failure, react, success};
use crate::support::notation::{self, behavior, id};
use crate::support::world::{World, assert_outcomes, outcomes, replace};
use crate::support::{SandboxServer, TestDir, account};

/// Returns a desired account. Other integrations are deleted.
fn desired(entries: &[&str]) -> DesiredAccount {
    let mut desired = notation::desired(entries);
    desired.unlisted.integrations = UnlistedPolicy::Delete;
    desired
}

/// Returns a desired account with this behavior.
fn desired_behavior(
    key: &str,
    enabled: Option<bool>,
    level: Option<RiskLevel>,
    entries: &[&str],
) -> DesiredAccount {
    let mut desired = desired(entries);
    let declared = behavior(enabled, level);
    desired.behaviors.insert(BehaviorKey::new(key), declared);
    desired
}

/// Returns a live account. `dlp` is enabled, `edr` is not, and both have the level `medium`.
fn live(integrations: &[&str]) -> LiveAccount {
    let mut live = notation::account(integrations);
    // Its level is unknown to the API.
    live.behaviors.remove(&BehaviorKey::new("imp"));
    live
}

/// Returns the level of `dlp`, and whether the behavior is enabled.
fn live_behavior(world: &World, key: &str) -> (bool, String) {
    let fields = &world.live().behaviors[&BehaviorKey::new(key)].fields;
    (fields.is_on(Field::Enabled), fields.shown(Field::RiskLevel))
}

fn creates(world: &World) -> (usize, usize) {
    let integrations = world.live().integrations.len();
    (world.sent(WriteKind::Create), integrations)
}

fn once(method: Method, fault: Fault) -> FaultRule {
    FaultRule::once(method, fault)
}

/// Answers every write with the values that were sent or with the live ones, and changes nothing.
fn ineffective(sandbox: &Sandbox, router: Router, shows_sent: bool) -> Router {
    let sandbox = sandbox.clone();
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
                return success(sent);
            }
            let held = sandbox.live(&account()).integrations.into_iter();
            let held = held
                .filter(|live| path.ends_with(&live.id.to_string()))
                .last();
            let mut shown = json!(held.unwrap_or_else(|| notation::live(9, "new r9")));
            for (field, value) in sent.as_object_mut().unwrap() {
                if shows_sent {
                    shown[field] = value.take();
                }
            }
            success(shown)
        }
    }))
}

#[tokio::test(start_paused = true)]
async fn values_not_kept_by_the_server_are_named() {
    let with_dlp = |enabled, level| desired_behavior("dlp", enabled, level, &["one: one"]);
    for (desired, problem) in [
        (
            with_dlp(None, Some(RiskLevel::High)),
            r#"behavior.dlp is not as applied: risk_level is "medium", not "high""#,
        ),
        (
            with_dlp(Some(false), None),
            "behavior.dlp is not as applied: enabled is true, not false",
        ),
        (
            desired(&["one: one off"]),
            "integration.one is not as applied: active is true, not false",
        ),
        (
            desired(&["one: other r1"]),
            r#"integration.one is not as applied: tenant_url is "https://one.test", not "https://other.test""#,
        ),
        (
            desired(&["one: one r2"]),
            r#"integration.one is not as applied: reference_id is "r1", not "r2""#,
        ),
        (
            desired(&["one: one", "two: two"]),
            "integration.two is not as applied: it does not exist",
        ),
        (
            desired(&[]),
            "integration[00000000-0000-0000-0000-000000000001] is not as applied: it still exists",
        ),
    ] {
        let world = World::behind(
            desired,
            live(&["one r1"]),
            Settings::default(),
            |sandbox, router| ineffective(sandbox, router, true),
        );
        let applied = world.apply().await;
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
        ineffective(sandbox, router, true)
    });
    let file = format!(
        "version: 1\naccount_id: {RECORDED_ACCOUNT}\nbehaviors: {{ high_dlp: {{ risk_level: high }} }}\n"
    );
    let directory = TestDir::with_file(&server, &file);
    let run = directory.line("apply --auto-approve --no-context").exits(3);
    run.says(r#"behavior.high_dlp is not as applied: risk_level is "medium", not "high""#);
}

#[tokio::test(start_paused = true)]
async fn ineffective_update_stops_deletes_of_unlisted_integrations() {
    for (shows_sent, put, delete) in [
        (
            true,
            "done",
            "not attempted: not deleted, because integrations are not as planned: integration.sales is not as applied: active is true, not false",
        ),
        (
            false,
            "unknown: ",
            "not attempted: earlier operation 1 did not succeed",
        ),
    ] {
        let desired = desired(&["sales: sales r1 off"]);
        let old = live(&["sales r1", "old r2"]);
        let world = World::behind(desired, old, Settings::default(), |sandbox, router| {
            ineffective(sandbox, router, shows_sent)
        });
        let applied = world.apply().await;
        assert_outcomes(&applied, &[put, delete]);
        assert!(!applied.is_complete() && applied.wrote_anything());
        assert_eq!(world.sent(WriteKind::Delete), 0);
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
            let high = Some(RiskLevel::High);
            let desired = desired_behavior("dlp", None, high, &["sales: sales off"]);
            let old = live(&["sales r1", "old r2"]);
            let rules = vec![FaultRule::on(method, fault.clone())];
            let world = World::new(desired, old, Settings::default(), rules);
            let applied = world.apply().await;
            assert_outcomes(&applied, &["done", "done", "done"]);
            assert!(applied.is_complete(), "{fault:?}: {applied:?}");
            assert!(!world.injector.injected().is_empty());
        }
    }
}

#[tokio::test(start_paused = true)]
async fn rejected_token_stops_all_writes() {
    let entries: Vec<String> = (0..40)
        .map(|number| format!("t{number}: t{number}"))
        .collect();
    let entries: Vec<&str> = entries.iter().map(String::as_str).collect();
    let posts = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&posts);
    // All requests in flight are sent before the first one is rejected.
    let settings = Settings {
        latency: Duration::from_millis(100),
        ..Settings::default()
    };
    let world = World::behind(desired(&entries), live(&[]), settings, |_, router| {
        after(router, Method::POST, move |response| {
            match counter.fetch_add(1, Ordering::Relaxed) < 2 {
                true => response,
                false => failure(401, 9109, "Invalid access token"),
            }
        })
    });
    let applied = world.apply().await;
    let posts = posts.load(Ordering::Relaxed);
    assert!((3..=12).contains(&posts), "{posts}");
    let outcomes = outcomes(&applied);
    let skipped = outcomes
        .iter()
        .filter(|text| *text == "not attempted: would fail for the same reason");
    assert_eq!(skipped.count(), 40 - posts);
    assert!(!applied.is_complete() && applied.wrote_anything());
}

/// Inserts integrations right before the first POST, and lets lists lack this run's own for the first `lag` reads after it.
fn races(older: &[&str], lag: usize) -> impl FnOnce(&Sandbox, Router) -> Router {
    let older = notation::account(older).integrations;
    move |sandbox, router| {
        let sandbox = sandbox.clone();
        let state = Arc::new(Mutex::new((Some(older), lag, None::<Value>)));
        react(router, move |method, path| {
            let mut state = state.lock().unwrap();
            if method == Method::POST
                && let Some(older) = state.0.take()
            {
                let mut live = sandbox.live(&account());
                state.2 = Some(json!(live.integrations));
                live.integrations.extend(older);
                replace(&sandbox, live);
            }
            if method == Method::GET
                && path.ends_with("/integrations")
                && let (_, lag @ 1.., Some(list)) = &mut *state
            {
                *lag -= 1;
                return Reaction::TestResponse(success(list.clone()));
            }
            Reaction::Pass
        })
    }
}

/// Returns an account that lacks the declared integration, behind a race.
fn race(older: &[&str], lag: usize) -> World {
    let desired = desired(&["sales: sales r1 on"]);
    World::behind(desired, live(&[]), Settings::default(), races(older, lag))
}

#[tokio::test(start_paused = true)]
async fn own_duplicate_is_deleted_if_older_ones_appeared() {
    for (older, lag) in [(1, 0), (2, 0), (3, 2), (1, 1), (1, 3)] {
        let world = race(&vec!["sales r1"; older], lag);
        let applied = world.apply().await;
        assert!(applied.is_complete(), "{applied:?}");
        let left: Vec<_> = world
            .live()
            .integrations
            .iter()
            .map(|live| live.id)
            .collect();
        let ids: Vec<_> = (1..=older as u128).map(id).collect();
        assert_eq!(left, ids, "lag {lag}");
        let is_found = |note: &&riskform::plan::Note| note.kind == NoteKind::DuplicatesFound;
        let found = applied.notes.iter().find(is_found);
        let message = found.map_or("", |note| &note.message);
        assert!(older < 2 || ids.iter().all(|id| message.contains(&id.to_string())));
        // The next plan takes the same one.
        assert_eq!(
            world.plan().notes.iter().any(|note| is_found(&note)),
            older > 1
        );
    }
}

#[tokio::test(start_paused = true)]
async fn own_duplicate_stays_if_the_older_one_is_not_as_active_as_declared() {
    let world = race(&["sales r1 off"], 0);
    let applied = world.apply().await;
    assert!(!applied.is_complete());
    assert_eq!(world.sent(WriteKind::RemoveDuplicate), 0);
    let problems = applied.problems.join("\n");
    assert!(
        problems.contains("exists twice: ") && problems.contains("0001"),
        "{problems}"
    );
}

#[tokio::test(start_paused = true)]
async fn own_duplicate_stays_if_a_user_changed_it() {
    let changed = |sandbox: &Sandbox, router| {
        let raced = races(&["sales r1"], 0)(sandbox, router);
        let sandbox = sandbox.clone();
        after(raced, Method::POST, move |response| {
            let mut now = sandbox.live(&account());
            let off = Some(FieldValue::Bool(false));
            now.integrations[1].fields.set(Field::Active, off);
            replace(&sandbox, now);
            response
        })
    };
    let desired = desired(&["sales: sales r1 on"]);
    let world = World::behind(desired, live(&[]), Settings::default(), changed);
    assert!(!world.apply().await.is_complete());
    assert_eq!(world.sent(WriteKind::RemoveDuplicate), 0);
    assert_eq!(world.live().integrations.len(), 2);
}

#[tokio::test(start_paused = true)]
async fn older_integration_of_another_tenant_is_no_duplicate() {
    let world = race(&["other r1"], 0);
    let applied = world.apply().await;
    assert!(applied.is_complete(), "{applied:?}");
    assert_eq!(world.sent(WriteKind::RemoveDuplicate), 0);
    assert_eq!(world.live().integrations.len(), 2);
}

#[tokio::test(start_paused = true)]
async fn create_that_no_list_shows_is_reported() {
    let applied = race(&[], 7).apply().await;
    assert!(!applied.is_complete());
    let problems = applied.problems.join("\n");
    let expected = "but the list of integrations does not show it";
    assert!(problems.contains(expected), "{problems}");
}

/// The response is lost, and the next lists do not show the integration yet.
#[tokio::test(start_paused = true)]
async fn lost_create_is_found_in_a_lagging_list_and_not_repeated() {
    let lost = |sandbox: &Sandbox, router| {
        let lagging = races(&[], 3)(sandbox, router);
        after(lagging, Method::POST, |_| {
            StatusCode::BAD_GATEWAY.into_response()
        })
    };
    let desired = desired(&["sales: sales r1"]);
    let world = World::behind(desired, live(&[]), Settings::default(), lost);
    let applied = world.apply().await;
    assert!(applied.is_complete(), "{applied:?}");
    assert_eq!(creates(&world), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn rejected_generated_reference_is_left_out_of_an_update() {
    let settings = Settings {
        references: AcceptedReferences::Providers,
        unset_reference: UnsetReference::Empty,
        ..Settings::default()
    };
    let desired = desired(&["sales: sales off"]);
    let world = World::new(desired, live(&["sales"]), settings, vec![]);
    let applied = world.apply().await;
    assert_outcomes(&applied, &["done"]);
    assert!(applied.is_complete(), "{applied:?}");
    assert_eq!(world.sent(WriteKind::Update), 2);
    let kinds: Vec<_> = applied.notes.iter().map(|note| note.kind).collect();
    assert_eq!(kinds, [NoteKind::CreatedWithoutReference]);
    assert!(world.plan().changes.is_empty());
}

/// One entry needs the tenant of another, whose update is rejected.
#[tokio::test(start_paused = true)]
async fn failed_operation_stops_its_dependents_only() {
    let low = Some(RiskLevel::Low);
    let entries = [
        "holder: moved r1",
        "taker: wanted r2 off",
        "bystander: bystander r3",
    ];
    let desired = desired_behavior("dlp", None, low, &entries);
    let refuses = Arc::new(AtomicBool::new(true));
    let refusing = Arc::clone(&refuses);
    let old = live(&["wanted r1", "unlisted"]);
    let world = World::behind(desired, old, Settings::default(), |_, router| {
        react(router, move |method, path| {
            let is_holder = method == Method::PUT && path.ends_with(&id(1).to_string());
            match is_holder && refusing.load(Ordering::Relaxed) {
                true => Reaction::TestResponse(failure(400, 1000, "not today")),
                false => Reaction::Pass,
            }
        })
    });
    let plan = world.plan();
    let applied = world.apply_plan(&plan).await;
    let outcomes = outcomes(&applied).into_iter().zip(&plan.operations);
    let mut shown: Vec<String> = outcomes
        .map(|(outcome, operation)| {
            let outcome = outcome.split(':').next().unwrap();
            format!(
                "{} {}: {outcome}",
                operation.request.method, operation.address
            )
        })
        .collect();
    shown.sort();
    assert_eq!(
        shown,
        [
            "DELETE integration[00000000-0000-0000-0000-000000000002]: not attempted",
            "POST integration.bystander: done",
            "POST integration.taker: not attempted",
            "PUT behavior.dlp: done",
            "PUT integration.holder: failed",
            "PUT integration.taker: not attempted",
        ]
    );
    assert!(!applied.is_complete() && applied.wrote_anything());
    refuses.store(false, Ordering::Relaxed);
    assert!(world.apply().await.is_complete());
    assert!(world.plan().changes.is_empty());
}

/// Values change while a write waits for a 429, or for a repetition after a 5xx.
#[tokio::test(start_paused = true)]
async fn value_raised_while_the_write_waits_is_not_lowered() {
    let (retry_after, work) = (Some(2), Execution::Skipped);
    for (fault, outcome) in [
        (
            Fault::RateLimited { retry_after },
            r#"not attempted: changed since the plan: behavior.dlp: risk_level changed from "medium" to "high""#,
        ),
        (Fault::ServerError { work }, "unknown: "),
    ] {
        let mut desired = desired_behavior("dlp", Some(true), Some(RiskLevel::Medium), &[]);
        let enabled = behavior(Some(true), None);
        desired.behaviors.insert(BehaviorKey::new("edr"), enabled);
        let raised = ExternalChange::SetBehavior {
            key: BehaviorKey::new("dlp"),
            changes: behavior(None, Some(RiskLevel::High)).fields,
        };
        let rules = vec![
            once(Method::PUT, Fault::Change(raised)),
            once(Method::PUT, fault),
        ];
        let world = World::new(desired, live(&[]), Settings::default(), rules);
        let applied = world.apply().await;
        assert_outcomes(&applied, &[outcome]);
        let is_stale = outcome.starts_with("not attempted");
        // A write answered with 429 counts as not sent.
        assert_eq!(
            (applied.is_stale(), applied.sent_anything()),
            (is_stale, !is_stale)
        );
        assert_eq!(live_behavior(&world, "dlp").1, "high");
        assert!(!live_behavior(&world, "edr").0);
    }
}

/// Changes an account after it was planned. Undeclared and ignored fields are sent with their live values, declared ones are not overwritten.
#[tokio::test(start_paused = true)]
async fn fields_changed_since_the_plan_decide_what_is_sent() {
    const MOVED: &str = "sales: moved id=1 on";
    const STALE: &str = "not attempted: changed since the plan: integration";
    let table: [(&[&str], &[&str], &str); 8] = [
        // An undeclared reference, an ignored field, and a value that already equals the declared one.
        (&[MOVED], &["sales other"], ""),
        (
            &["sales: moved id=1 on ignore=active"],
            &["sales r1 off"],
            "",
        ),
        (&[MOVED], &["moved r1"], ""),
        // Declared values.
        (
            &[MOVED],
            &["third r1"],
            r#".sales: tenant_url changed from "https://sales.test" to "https://third.test""#,
        ),
        (
            &[MOVED],
            &["sales r1 off"],
            ".sales: active changed from true to false",
        ),
        (&[MOVED], &[], ".sales was removed"),
        // The integration to delete.
        (
            &[],
            &["sales r1 off"],
            "[00000000-0000-0000-0000-000000000001]: active changed from true to false",
        ),
        (&[], &[], ""),
    ];
    for (entries, now, changed) in table {
        let world = World::new(
            desired(entries),
            live(&["sales r1"]),
            Settings::default(),
            vec![],
        );
        let plan = world.plan();
        let now = live(now);
        world.replace(now.clone());
        let applied = world.apply_plan(&plan).await;
        let stale = !changed.is_empty();
        let expected = if stale {
            format!("{STALE}{changed}")
        } else {
            "done".to_owned()
        };
        assert_outcomes(&applied, &[&expected]);
        assert_eq!(
            (applied.is_stale(), applied.is_complete()),
            (stale, !stale),
            "{applied:?}"
        );
        let after = world.live().integrations;
        if stale {
            assert_eq!(after, now.integrations);
        }
        for (before, after) in now.integrations.iter().zip(after) {
            for field in [Field::ReferenceId, Field::Active] {
                assert_eq!(after.fields.get(field), before.fields.get(field));
            }
        }
    }
}

/// The integration to delete becomes an entry's. The external edit changes it or has no effect.
#[tokio::test(start_paused = true)]
async fn delayed_delete_spares_an_integration_that_became_an_entrys() {
    for spare in ["spare r2", "sales r2"] {
        let delete = ExternalChange::DeleteIntegration {
            integration: "r1".to_owned(),
        };
        let edit = ExternalChange::EditIntegration {
            integration: "r2".to_owned(),
            changes: notation::entry("sales: sales").1.fields,
        };
        let retry_after = Some(2);
        let rules = [
            Fault::Change(delete),
            Fault::Change(edit),
            Fault::RateLimited { retry_after },
        ];
        let rules = rules.map(|fault| once(Method::DELETE, fault)).into();
        let (desired, old) = (desired(&["sales: sales r1"]), live(&["sales r1", spare]));
        let world = World::new(desired, old, Settings::default(), rules);
        let applied = world.apply().await;
        assert_outcomes(&applied, &["not attempted: "]);
        assert!(
            applied.is_stale() && !applied.sent_anything(),
            "{applied:?}"
        );
        assert_eq!(world.live().integrations.len(), 1, "{spare}");
    }
}

#[tokio::test(start_paused = true)]
async fn behavior_missing_from_a_read_is_not_left_out_of_the_write() {
    for (lacking, outcome) in [
        (2, "done"),
        (
            usize::MAX,
            "not attempted: changed since the plan: behavior no longer available: dlp",
        ),
    ] {
        let desired = desired_behavior("edr", Some(true), None, &[]);
        let settings = Settings {
            behaviors_put: BehaviorsPut::Replace,
            ..Settings::default()
        };
        let world = World::behind(desired, live(&[]), settings, |sandbox, router| {
            let (sandbox, reads) = (sandbox.clone(), Arc::new(AtomicUsize::new(0)));
            react(router, move |method, path| {
                let is_read = method == Method::GET && path.ends_with("/behaviors");
                if !is_read || reads.fetch_add(1, Ordering::Relaxed) >= lacking {
                    return Reaction::Pass;
                }
                let mut behaviors = sandbox.live(&account()).behaviors;
                behaviors.remove(&BehaviorKey::new("dlp"));
                Reaction::TestResponse(success(json!({ "behaviors": behaviors })))
            })
        });
        let applied = world.apply().await;
        assert_outcomes(&applied, &[outcome]);
        let sent = world.sent(WriteKind::WriteBehaviors);
        assert_eq!(sent, usize::from(outcome == "done"));
        assert!(live_behavior(&world, "dlp").0);
    }
}

#[tokio::test(start_paused = true)]
async fn target_is_read_again_after_a_long_wait() {
    // The write of behaviors takes 20 s, and the integration changes during that time.
    let high = Some(RiskLevel::High);
    let desired = desired_behavior("dlp", None, high, &["sales: moved r1 on"]);
    let edit = ExternalChange::EditIntegration {
        integration: "r1".to_owned(),
        changes: Fields::from_iter([(Field::Active, FieldValue::Bool(false))]),
    };
    let seconds = Duration::from_secs(20);
    let rules = [Fault::Change(edit), Fault::Slow { seconds }].map(|fault| FaultRule {
        path: Some("*/behaviors".to_owned()),
        ..FaultRule::on(Method::PUT, fault)
    });
    let world = World::new(
        desired,
        live(&["sales r1"]),
        Settings::default(),
        rules.into(),
    );
    let applied = world.apply().await;
    let changed = "not attempted: changed since the plan: integration.sales: active changed from true to false";
    assert_outcomes(&applied, &["done", changed]);
    assert!(!applied.is_complete() && applied.wrote_anything());
}

/// The integration was created by another run after the plan. The server keeps references unique.
#[tokio::test(start_paused = true)]
async fn reference_taken_by_another_run_is_not_unknown_to_the_server() {
    let settings = || Settings {
        unique: vec![Field::ReferenceId],
        ..Settings::default()
    };
    let wanted = || desired(&["sales: sales"]);

    // Created before the run's first read: the run uses it.
    let world = World::new(wanted(), live(&[]), settings(), vec![]);
    let plan = world.plan();
    world.replace(live(&["sales ~sales1"]));
    let applied = world.apply_plan(&plan).await;
    assert!(applied.is_complete(), "{applied:?}");
    assert_eq!(creates(&world), (0, 1));

    // Right before the POST, which is rejected; also for another tenant.
    for (theirs, is_complete) in [("sales ~sales1", true), ("other ~sales1", false)] {
        let world = World::behind(wanted(), live(&[]), settings(), races(&[theirs], 0));
        let applied = world.apply().await;
        assert_outcomes(&applied, &[if is_complete { "done" } else { "failed: " }]);
        assert_eq!(applied.is_complete(), is_complete, "{applied:?}");
        assert_eq!(creates(&world), (1, 1));
    }
}

#[tokio::test(start_paused = true)]
async fn entry_that_exists_by_now_is_not_created() {
    let desired = desired(&["sales: sales r1"]);
    let world = World::new(desired, live(&[]), Settings::default(), vec![]);
    let plan = world.plan();
    world.replace(live(&["sales theirs"]));
    let applied = world.apply_plan(&plan).await;
    let added = "not attempted: changed since the plan: integration.sales was added: ";
    assert_outcomes(&applied, &[added]);
    assert!(applied.is_stale());
    assert_eq!(world.sent(WriteKind::Create), 0);
}

#[tokio::test(start_paused = true)]
async fn integration_unlisted_since_the_plan_is_named_and_kept() {
    let (wanted, old) = (desired(&["sales: sales"]), live(&["sales r1", "old r2"]));
    let world = World::new(wanted, old, Settings::default(), vec![]);
    let plan = world.plan();
    world.replace(live(&["sales r1", "old r2", "new r3"]));
    let applied = world.apply_plan(&plan).await;
    assert_outcomes(&applied, &["done"]);
    assert!(applied.is_complete());
    let [note] = &applied.notes[..] else {
        panic!("{:?}", applied.notes);
    };
    assert!(note.message.ends_with(&id(3).to_string()), "{note}");
    assert_eq!(world.live().integrations.len(), 2);
}

/// A new integration is active until the PUT that follows. If that does not succeed, the next run sends it.
#[tokio::test(start_paused = true)]
async fn interrupted_inactive_create_is_finished_by_the_next_run() {
    let work = Execution::Skipped;
    let rules = vec![FaultRule {
        times: Some(4),
        ..FaultRule::on(Method::PUT, Fault::ServerError { work })
    }];
    let wanted = desired(&["sales: sales off"]);
    let world = World::new(wanted, live(&[]), Settings::default(), rules);
    let is_active = || world.live().integrations[0].fields.is_on(Field::Active);
    let applied = world.apply().await;
    assert_outcomes(&applied, &["done", "unknown: "]);
    assert!(!applied.is_complete() && is_active());
    let applied = world.apply().await;
    assert_outcomes(&applied, &["done"]);
    assert!(applied.is_complete() && !is_active());
}

#[tokio::test(start_paused = true)]
async fn response_of_another_account_ends_all_writes() {
    let lines = |line: fn(u8) -> String| (0..12).map(line).collect::<Vec<_>>();
    let existing = lines(|n| format!("t{n} r{n}"));
    for (entries, existing) in [
        (lines(|n| format!("t{n}: t{n}")), &[][..]),
        (lines(|n| format!("t{n}: t{n} off")), &existing),
    ] {
        let [entries, existing] = [&entries[..], existing]
            .map(|lines| lines.iter().map(String::as_str).collect::<Vec<_>>());
        let (desired, live) = (desired(&entries), live(&existing));
        let world = World::behind(desired, live, Settings::default(), |_, router| {
            change_json(router, "/integrations", |body| {
                // Not in a list.
                if let Some(tag) = body["result"].get_mut("account_tag") {
                    *tag = json!("023e105f4ecef8ad9ca31a8372d0c353");
                }
            })
        });
        let applied = world.apply().await;
        let outcomes = outcomes(&applied);
        let count = |text: &str| outcomes.iter().filter(|found| found.contains(text)).count();
        assert_eq!(count("belongs to another account"), 1, "{outcomes:#?}");
        let skipped = count("not attempted: would fail for the same reason");
        assert_eq!(skipped, 11, "{outcomes:#?}");
        assert!(!applied.is_complete() && applied.wrote_anything());
        let sent = world.sent(WriteKind::Create) + world.sent(WriteKind::Update);
        assert_eq!(sent, 1);
    }
}

/// The last read shows a value that another user changed during the run. The plan did not change it.
#[tokio::test(start_paused = true)]
async fn other_declared_value_that_differs_in_the_end_is_mentioned() {
    let mut desired = desired_behavior("dlp", None, Some(RiskLevel::Medium), &[]);
    let enabled = behavior(Some(true), None);
    desired.behaviors.insert(BehaviorKey::new("edr"), enabled);
    let world = World::behind(
        desired,
        live(&[]),
        Settings::default(),
        |sandbox, router| {
            let sandbox = sandbox.clone();
            after(router, Method::PUT, move |response| {
                let mut now = sandbox.live(&account());
                let raised = now.behaviors.get_mut(&BehaviorKey::new("dlp")).unwrap();
                let high = FieldValue::Level(OpenEnum::parse("high"));
                raised.fields.set(Field::RiskLevel, Some(high));
                replace(&sandbox, now);
                response
            })
        },
    );
    let applied = world.apply().await;
    assert!(applied.is_complete(), "{applied:?}");
    let notes: Vec<String> = applied.notes.iter().map(ToString::to_string).collect();
    assert_eq!(
        notes,
        [r#"changed since the plan: behavior.dlp: risk_level is "high", not "medium""#]
    );
}

/// An unlisted integration is deleted for an entry that takes its tenant, and then the update of the entry is rejected.
#[tokio::test(start_paused = true)]
async fn settings_of_an_unlisted_integration_deleted_in_vain_are_printed() {
    let (wanted, before) = (desired(&["sales: old r1"]), live(&["sales r1", "old r2"]));
    let world = World::behind(wanted, before, Settings::default(), |_, router| {
        react(router, |method, _| match *method {
            Method::PUT => Reaction::TestResponse(failure(400, 1000, "not today")),
            _ => Reaction::Pass,
        })
    });
    let applied = world.apply().await;
    assert_outcomes(&applied, &["done", "failed: "]);
    assert_eq!(
        applied.problems,
        [
            "integration[00000000-0000-0000-0000-000000000002]: deleted 00000000-0000-0000-0000-000000000002, but integration.sales \
             was not written, which takes a value from it. Its settings were: integration_type Okta, tenant_url https://old.test, \
             reference_id r2, active true"
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn reference_that_comes_back_in_lower_case_is_the_same() {
    const UPPER: &str = "3701E70B-5DE4-4D9D-8972-F5AA994D0001";
    let desired = desired(&[&format!("sales: sales {UPPER}")]);
    let world = World::behind(desired, live(&[]), Settings::default(), |_, router| {
        change_json(router, "/integrations", |body| {
            let lower = body.to_string().replace(UPPER, &UPPER.to_lowercase());
            *body = serde_json::from_str(&lower).unwrap();
        })
    });
    let applied = world.apply().await;
    assert!(applied.is_complete(), "{applied:?}");
    assert!(world.plan().changes.is_empty());
}

/// An earlier run that was killed, or a full disk, left a partial line.
#[test]
fn audit_log_continues_on_a_new_line_after_a_partial_one() {
    const PARTIAL: &str = "{\"phase\":\"int";
    let server = SandboxServer::start(Settings::default());
    let file = format!(
        "version: 1\naccount_id: {RECORDED_ACCOUNT}\nbehaviors: {{ high_dlp: {{ enabled: false }} }}\n"
    );
    let directory = TestDir::with_file(&server, &file);
    directory.write("log.jsonl", PARTIAL);
    directory
        .line("apply --auto-approve --no-context --audit-log log.jsonl")
        .exits(0);
    let log = directory.read("log.jsonl");
    let mut lines = log.lines();
    assert_eq!(lines.next(), Some(PARTIAL));
    let phases = lines.map(|line| serde_json::from_str::<Value>(line).unwrap()["phase"].clone());
    assert_eq!(phases.collect::<Vec<_>>(), ["intent", "outcome"]);
}

#[tokio::test(start_paused = true)]
async fn empty_response_to_a_delete_is_verified() {
    let (desired, old) = (desired(&[]), live(&["old r1"]));
    let world = World::behind(desired, old, Settings::default(), |_, router| {
        after(router, Method::DELETE, |_| {
            (StatusCode::OK, Body::empty()).into_response()
        })
    });
    let applied = world.apply().await;
    assert_outcomes(&applied, &["done"]);
    assert!(applied.is_complete());
    assert_eq!(world.sent(WriteKind::Delete), 1);
}
