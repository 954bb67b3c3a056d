//! Concurrent runs, dashboard changes and failing operations: no duplicates, and no deletion of other clients' integrations.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use axum::Json;
use axum::Router;
use axum::extract::Request;
use axum::http::{Method, StatusCode};
use axum::middleware::{Next, from_fn};
use axum::response::IntoResponse;
use insta::assert_snapshot;
use riskform::model::account::LiveAccount;
use riskform::model::field::Fields;
use riskform::model::integration::{Integration, IntegrationId, ReferenceId, TenantUrl};
use riskform::sandbox::{RECORDED_ACCOUNT, Sandbox, Settings};
use serde_json::json;
use tokio::sync::Barrier;

use crate::support::world::create_in_dashboard;
use crate::support::{SandboxServer, TestDir, account};

const PROCESSES: usize = 4;

const THREE: &str = r"
version: 1
account_id: f037e56e89293a057740de681ac9abbe
integrations:
  one:   { tenant_url: https://one.okta.com, reference_id: r1 }
  two:   { tenant_url: https://two.okta.com }
  three: { tenant_url: https://three.okta.com, reference_id: r3, active: false }
unlisted: { integrations: keep }
";

/// Holds POSTs until all processes have sent theirs, so that no list contains the others' integrations.
#[test]
fn concurrent_runs_leave_one_integration_each() {
    let together = Arc::new(AtomicBool::new(true));
    let open = Arc::clone(&together);
    let server = SandboxServer::behind(Settings::default(), move |_, router| {
        let barrier = Arc::new(Barrier::new(3 * PROCESSES));
        router.layer(from_fn(move |request: Request, next: Next| {
            let barrier = Arc::clone(&barrier);
            let waits = request.method() == Method::POST && together.load(Ordering::Relaxed);
            async move {
                if waits {
                    barrier.wait().await;
                }
                next.run(request).await
            }
        }))
    });
    let before = ids(&server.sandbox);
    let workplace = TestDir::with(&server);
    workplace.write("riskform.yaml", THREE);
    let mut codes: Vec<i32> = std::thread::scope(|scope| {
        let runs: Vec<_> = (0..PROCESSES)
            .map(|_| scope.spawn(|| workplace.line("apply --auto-approve").code))
            .collect();
        runs.into_iter().map(|run| run.join().unwrap()).collect()
    });
    open.store(false, Ordering::Relaxed);
    let created = |method: &Method| {
        let requests = server.requests();
        requests
            .iter()
            .filter(|request| request.method == *method)
            .count()
    };
    assert_eq!(
        created(&Method::POST),
        3 * PROCESSES,
        "every process created all three"
    );
    assert_eq!(
        created(&Method::DELETE),
        3 * (PROCESSES - 1),
        "and all but one took theirs back"
    );

    codes.sort_unstable();
    assert!(codes.iter().all(|code| [0, 3].contains(code)), "{codes:?}");
    workplace.line("apply --auto-approve").exits(0);
    let now = server.live();
    let mut tenants: Vec<&str> = now
        .integrations
        .iter()
        .filter(|live| !before.contains(&live.id))
        .map(|live| live.fields.tenant_url().unwrap().as_str())
        .collect();
    tenants.sort_unstable();
    assert_eq!(
        tenants,
        [
            "https://one.okta.com",
            "https://three.okta.com",
            "https://two.okta.com"
        ]
    );
    assert!(before.is_subset(&ids(&server.sandbox)));
}

/// Time at which a user creates the same integration as the run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum RaceWindow {
    /// After the run's list, before its POST.
    BeforeThePost,
    /// After its POST, before the response.
    AfterThePost,
}

const ONE: &str = r"
version: 1
account_id: f037e56e89293a057740de681ac9abbe
integrations:
  one: { tenant_url: https://one.okta.com, reference_id: r1 }
unlisted: { integrations: keep }
";

#[test]
fn integration_created_by_a_user_meanwhile_stays() {
    for (moment, code, left) in [
        // The user's one is older, so the run deletes its own.
        (RaceWindow::BeforeThePost, 0, 1),
        // The run's one is older, and the run must not delete the user's.
        (RaceWindow::AfterThePost, 3, 2),
    ] {
        let persons: Arc<OnceLock<IntegrationId>> = Arc::default();
        let made = Arc::clone(&persons);
        let server = SandboxServer::behind(Settings::default(), move |sandbox, router| {
            with_a_person(sandbox.clone(), moment, made, router)
        });
        let before = ids(&server.sandbox);
        let workplace = TestDir::with(&server);
        workplace.write("riskform.yaml", ONE);
        let run = workplace.line("apply --auto-approve").exits(code);
        let now = ids(&server.sandbox);
        let persons = persons.get().expect("the person was there");
        assert!(now.contains(persons), "{moment:?}: it stays");
        assert_eq!(now.difference(&before).count(), left, "{moment:?}");
        assert_eq!(
            run.stdout.contains("exists twice"),
            left == 2,
            "{moment:?}: {}",
            run.stdout
        );
    }
}

fn with_a_person(
    sandbox: Sandbox,
    moment: RaceWindow,
    made: Arc<OnceLock<IntegrationId>>,
    router: Router,
) -> Router {
    router.layer(from_fn(move |request: Request, next: Next| {
        let (sandbox, made) = (sandbox.clone(), Arc::clone(&made));
        let is_post = request.method() == Method::POST;
        // API times are whole seconds, and the order matters.
        let a_moment = || tokio::time::sleep(Duration::from_millis(1_100));
        let create = move || {
            let settings = Fields::of_integration(
                "Okta",
                TenantUrl::from_live("https://one.okta.com"),
                ReferenceId::new("r1"),
                true,
            );
            let created = create_in_dashboard(&sandbox, &account(), settings);
            made.set(created).unwrap();
        };
        async move {
            if is_post && moment == RaceWindow::BeforeThePost {
                create();
                a_moment().await;
                return next.run(request).await;
            }
            let answer = next.run(request).await;
            if is_post {
                a_moment().await;
                create();
            }
            answer
        }
    }))
}

const CHAIN: &str = r"
version: 1
account_id: f037e56e89293a057740de681ac9abbe
behaviors:
  imp_travel: { enabled: true, risk_level: low }
integrations:
  holder:    { reference_id: holder, tenant_url: https://moved.okta.com }
  taker:     { reference_id: taker, tenant_url: https://wanted.okta.com, active: false }
  bystander: { reference_id: bystander, tenant_url: https://bystander.okta.com }
unlisted: { integrations: delete }
";

/// One entry needs the tenant of another, whose update is rejected.
#[test]
fn failed_operation_stops_its_dependents_only() {
    let holder = "00000000-0000-4000-8000-000000000001";
    let refuses = Arc::new(AtomicBool::new(true));
    let refusing = Arc::clone(&refuses);
    let server = SandboxServer::behind(Settings::default(), move |_, router| {
        router.layer(from_fn(move |request: Request, next: Next| {
            let refused = refusing.load(Ordering::Relaxed)
                && request.method() == Method::PUT
                && request.uri().path().ends_with(holder);
            async move {
                if refused {
                    let error = json!({ "code": 1000, "message": "not today" });
                    let body = json!({ "success": false, "errors": [error], "messages": [], "result": null });
                    return (StatusCode::BAD_REQUEST, Json(body)).into_response();
                }
                next.run(request).await
            }
        }))
    });
    let start = server.live();
    let integration = |id: &str, tenant: &str, reference: &str| -> Integration {
        serde_json::from_value(json!({
            "id": id, "account_tag": RECORDED_ACCOUNT, "active": true, "created_at": "2025-03-19T19:53:56Z",
            "integration_type": "Okta", "tenant_url": tenant, "reference_id": reference, "well_known_url": "https://ssf.example",
        }))
        .unwrap()
    };
    let integrations = vec![
        integration(holder, "https://wanted.okta.com", "holder"),
        integration(
            "00000000-0000-4000-8000-000000000002",
            "https://unlisted.okta.com",
            "",
        ),
    ];
    server.edit(|account| *account = LiveAccount::new(start.behaviors, integrations).into());
    let workplace = TestDir::with(&server);
    workplace.write("riskform.yaml", CHAIN);
    let run = workplace.line("apply --auto-approve").exits(3);
    let told = |text: &str, of: &[&str]| -> String {
        let lines = text
            .lines()
            .filter(|line| of.iter().any(|of| line.starts_with(of)));
        lines.collect::<Vec<_>>().join("\n")
    };
    let report = ["error", "not attempted", "Apply"];
    // Concurrent operations end in any order.
    let progress = told(&run.stderr, &["["]);
    let mut progress: Vec<&str> = progress
        .lines()
        .filter_map(|line| Some(line.split_once("] ")?.1))
        .collect();
    progress.sort_unstable();
    assert_snapshot!(format!("{}\n{}", progress.join("\n"), told(&run.stdout, &report)), @r#"
    DELETE integration[00000000-0000-4000-8000-000000000002]: not attempted
    POST integration.bystander: done
    POST integration.taker: not attempted
    PUT behavior.imp_travel: done
    PUT integration.holder: failed
    PUT integration.taker: not attempted
    Apply incomplete: 2 of 6 operations done, 1 failed, 3 not attempted.
    "#);

    refuses.store(false, Ordering::Relaxed);
    workplace.line("apply --auto-approve").exits(0);
    workplace.line("plan --detailed-exitcode").exits(0);
}

fn ids(sandbox: &Sandbox) -> BTreeSet<IntegrationId> {
    let live = sandbox.live(&account());
    live.integrations.iter().map(|live| live.id).collect()
}
