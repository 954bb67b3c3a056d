//! Concurrent runs, dashboard changes and failing operations: no duplicates, and no deletion of other clients' integrations.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use axum::http::Method;
use axum::middleware::{Next, from_fn};
use riskform::model::field::Fields;
use riskform::model::integration::{IntegrationId, ReferenceId, TenantUrl};
use riskform::sandbox::{Sandbox, Settings};
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
    let workplace = TestDir::with_file(&server, THREE);
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
fn integration_created_by_a_user_during_the_run_stays() {
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
        let workplace = TestDir::with_file(&server, ONE);
        let run = workplace.line("apply --auto-approve").exits(code);
        let now = ids(&server.sandbox);
        let persons = persons.get().expect("the user created an integration");
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

fn ids(sandbox: &Sandbox) -> BTreeSet<IntegrationId> {
    let live = sandbox.live(&account());
    live.integrations.iter().map(|live| live.id).collect()
}
