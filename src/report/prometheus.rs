//! Drift as metrics for the textfile collector of node_exporter.
//!
//! All metrics are gauges of one run, and the next run replaces the file. A checked account has a value for every kind and action,
//! including 0, so that alerts end. A failed account has `riskform_account_failed` 1 and no other value.

use std::fmt::Write;
use std::time::Duration;

use crate::model::account::UnlistedPolicy;
use crate::plan::{AccountPlan, Action, Kind, Run, Status};

/// Figures of a run.
#[derive(Clone, Copy, Debug)]
pub struct RunMetrics {
    /// Duration.
    pub elapsed: Duration,
    /// Number of requests to the API.
    pub requests: u64,
    /// Number of retries among them.
    pub retries: u64,
}

/// Labels of a sample after the account, and its value.
type Sample = (String, i64);

/// Returns drift as metrics, with the figures of the run if available.
pub(super) fn metrics(run: &Run, figures: Option<&RunMetrics>) -> String {
    let mut text = String::new();
    if let Some(RunMetrics {
        elapsed,
        requests,
        retries,
    }) = figures
    {
        let seconds = elapsed.as_secs_f64();
        gauge(&mut text, "run_seconds", "Duration of the run.");
        let _ = writeln!(text, "riskform_run_seconds {seconds:?}");
        gauge(
            &mut text,
            "api_requests",
            "Requests sent to the API during the run.",
        );
        let _ = writeln!(text, "riskform_api_requests {requests}");
        gauge(&mut text, "api_retries", "Retried requests during the run.");
        let _ = writeln!(text, "riskform_api_retries {retries}");
    }
    let mut samples = |name: &str, help: &str, of: &dyn Fn(&AccountPlan) -> Vec<Sample>| {
        gauge(&mut text, name, help);
        for account in &run.accounts {
            let label = account.label();
            for (labels, value) in of(account) {
                let _ = writeln!(
                    text,
                    "riskform_{name}{{account=\"{label}\"{labels}}} {value}"
                );
            }
        }
    };
    samples(
        "drift",
        "Resources that differ from the desired state.",
        &drift,
    );
    samples(
        "drift_weaker",
        "Differences that weaken protection.",
        &weaker,
    );
    samples("unlisted", "Unlisted live resources.", &unlisted);
    samples(
        "ambiguous",
        "Entries that cannot be matched or planned.",
        &|account| {
            checked(account, || {
                vec![(String::new(), number(account.errors.len()))]
            })
        },
    );
    samples(
        "account_failed",
        "1 if the account could not be checked, else 0.",
        &|account| vec![(String::new(), i64::from(account.status == Status::Error))],
    );
    samples(
        "last_success_timestamp_seconds",
        "Time of the last check of an account.",
        &|account| {
            checked(account, || {
                vec![(String::new(), run.created_at.as_second())]
            })
        },
    );
    text.push_str("# EOF\n");
    text
}

fn gauge(text: &mut String, name: &str, help: &str) {
    let _ = writeln!(
        text,
        "# HELP riskform_{name} {help}\n# TYPE riskform_{name} gauge"
    );
}

/// Returns the samples of an account that was checked.
fn checked(account: &AccountPlan, samples: impl FnOnce() -> Vec<Sample>) -> Vec<Sample> {
    match account.status {
        Status::Error => Vec::new(),
        Status::Ok | Status::Ambiguous => samples(),
    }
}

fn number(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

fn drift(account: &AccountPlan) -> Vec<Sample> {
    let sample = |kind: Kind, action: Action| {
        let changes = account.changes.iter();
        let count = changes
            .filter(|change| change.kind == kind && change.action == action)
            .count();
        (
            format!(",kind=\"{kind}\",action=\"{action}\""),
            number(count),
        )
    };
    // A behavior can only be updated.
    let integrations = Action::ALL
        .iter()
        .map(|action| (Kind::Integration, *action));
    let all = std::iter::once((Kind::Behavior, Action::Update)).chain(integrations);
    checked(account, || {
        all.map(|(kind, action)| sample(kind, action)).collect()
    })
}

fn weaker(account: &AccountPlan) -> Vec<Sample> {
    let sample = |kind: &Kind| {
        let changes = account.changes.iter();
        let is_weaker =
            changes.filter(|change| change.kind == *kind && change.live_weaker.is_some());
        (format!(",kind=\"{kind}\""), number(is_weaker.count()))
    };
    checked(account, || Kind::ALL.iter().map(sample).collect())
}

fn unlisted(account: &AccountPlan) -> Vec<Sample> {
    let sample = |kind: Kind, policy: UnlistedPolicy| {
        let unlisted = account.unlisted.iter();
        let same = unlisted.filter(|one| one.address.kind() == kind && one.policy == policy);
        (
            format!(",kind=\"{kind}\",policy=\"{policy}\""),
            number(same.count()),
        )
    };
    let kinds = Kind::ALL.iter();
    let all = kinds.flat_map(|kind| {
        [
            (*kind, UnlistedPolicy::Keep),
            (*kind, UnlistedPolicy::Report),
        ]
    });
    checked(account, || {
        all.map(|(kind, policy)| sample(kind, policy)).collect()
    })
}
