//! kill -9 of the real program before and after each request: one more run completes the changes, without duplicates.

use std::process::Stdio;
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use axum::middleware::{Next, from_fn};
use riskform::model::account::LiveAccount;
use riskform::model::behavior::BehaviorKey;
use riskform::model::field::{Field, Fields};
use riskform::model::integration::IntegrationId;
use riskform::sandbox::{BehaviorsPut, Sandbox, Settings};

use crate::support::world::replace;
use crate::support::{SandboxServer, TestDir, account, notation};

/// Ten operations: one write of behaviors, three creates (an inactive one takes two), a swap of three with a placeholder, and two
/// deletions.
const FILE: &str = r"
version: 1
account_id: f037e56e89293a057740de681ac9abbe
behaviors:
  edr: { enabled: true, risk_level: high }
integrations:
  new-one:   { tenant_url: https://new-1.test, reference_id: new-1 }
  new-two:   { tenant_url: https://new-2.test }
  new-three: { tenant_url: https://new-3.test, reference_id: new-3, active: false }
  left:      { tenant_url: https://right.test, reference_id: left }
  right:     { tenant_url: https://left.test, reference_id: right }
unlisted: { integrations: delete }
guards: { max_deletes: 2 }
";
const OPERATIONS: usize = 10;

#[test]
fn killed_at_any_boundary_the_next_run_finishes_the_job() {
    let (workplace, server, _) = prepare(None);
    workplace.line("apply --auto-approve").exits(0);
    assert_eq!(server.writes(), OPERATIONS);
    let requests = server.requests().len();
    let expected = final_state(&server.sandbox);
    assert_eq!(expected.integrations.len(), 5);

    for request in 0..requests {
        // A kill between two requests equals a kill before the second.
        for side in [Side::BeforeTheWork, Side::AfterTheWork] {
            let case = format!("request {request} of {requests}, {side:?}");
            let (workplace, server, reached) = prepare(Some((request, side)));
            let mut child = workplace
                .command(&["apply", "--auto-approve"])
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .unwrap();
            reached.recv_timeout(Duration::from_secs(60)).expect(&case);
            child.kill().unwrap();
            assert_eq!(child.wait().unwrap().code(), None, "{case}: it was killed");

            workplace.line("apply --auto-approve").exits(0);
            assert_eq!(final_state(&server.sandbox), expected, "{case}");
        }
    }
    println!(
        "{} kills of a run with {OPERATIONS} operations",
        2 * requests
    );
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Side {
    BeforeTheWork,
    AfterTheWork,
}

/// Returns an account and a server that reports the given request and never responds to it.
fn prepare(until: Option<(usize, Side)>) -> (TestDir, SandboxServer, Receiver<()>) {
    // The strictest API behavior.
    let settings = Settings {
        behaviors_put: BehaviorsPut::Replace,
        unique: vec![Field::ReferenceId, Field::TenantUrl],
        ..Settings::default()
    };
    let (reach, reached) = channel();
    let server = SandboxServer::behind(settings, move |_, router| {
        stop_at(until, router, move || reach.send(()).unwrap())
    });
    replace(&server.sandbox, live());
    let workplace = TestDir::with_file(&server, FILE);
    (workplace, server, reached)
}

fn stop_at(
    until: Option<(usize, Side)>,
    router: Router,
    notify_reached: impl Fn() + Clone + Send + Sync + 'static,
) -> Router {
    let count = Arc::new(Mutex::new(0));
    router.layer(from_fn(move |request: Request, next: Next| {
        let number = {
            let mut count = count.lock().unwrap();
            *count += 1;
            *count - 1
        };
        let here = until.filter(|(request, _)| *request == number);
        let notify_reached = notify_reached.clone();
        async move {
            match here {
                None => return next.run(request).await,
                Some((_, Side::BeforeTheWork)) => {}
                Some((_, Side::AfterTheWork)) => drop(next.run(request).await),
            }
            notify_reached();
            std::future::pending().await
        }
    }))
}

fn live() -> LiveAccount {
    let mut live = notation::account(&["left left", "right right", "old old", "older"]);
    // Its level is unknown to the API.
    live.behaviors.remove(&BehaviorKey::new("imp"));
    live
}

/// Returns the account's state without the IDs of created integrations, which differ between runs.
#[derive(Debug, PartialEq)]
struct FinalState {
    behaviors: Vec<Fields>,
    integrations: Vec<(Option<IntegrationId>, Fields)>,
}

fn final_state(sandbox: &Sandbox) -> FinalState {
    let before: Vec<IntegrationId> = live().integrations.iter().map(|live| live.id).collect();
    let now = sandbox.live(&account());
    let mut integrations: Vec<_> = now
        .integrations
        .into_iter()
        .map(|live| (Some(live.id).filter(|id| before.contains(id)), live.fields))
        .collect();
    integrations
        .sort_by_key(|(_, settings)| settings.tenant_url().unwrap().normalized().to_owned());
    FinalState {
        behaviors: now
            .behaviors
            .into_values()
            .map(|behavior| behavior.fields)
            .collect(),
        integrations,
    }
}
