//! Drift as metrics for the textfile collector of node_exporter.
//!
//! All metrics are gauges of one run, and the next run replaces the file. A checked account has a value for every kind and action,
//! including 0, so that alerts end. A failed account has `riskform_account_failed` 1 and no other value.

use std::fmt::Write;
use std::time::Duration;

use crate::model::account::UnlistedPolicy;
use crate::plan::{AccountPlan, Action, Change, Kind, Run, Status, UnlistedResource};

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
type Sample = (String, String);

/// Returns drift as metrics, with the figures of the run if available.
pub(super) fn metrics(run: &Run, figures: Option<&RunMetrics>) -> String {
    let mut text = String::new();
    let mut gauge = |name: &str, help: &str, samples: Vec<Sample>| {
        let _ = writeln!(text, "# HELP riskform_{name} {help}");
        let _ = writeln!(text, "# TYPE riskform_{name} gauge");
        for (labels, value) in samples {
            let _ = writeln!(text, "riskform_{name}{labels} {value}");
        }
    };
    if let Some(figures) = figures {
        let seconds = format!("{:?}", figures.elapsed.as_secs_f64());
        gauge("run_seconds", "Duration of the run.", single(seconds));
        let help = "Requests sent to the API during the run.";
        gauge("api_requests", help, single(figures.requests));
        let help = "Retried requests during the run.";
        gauge("api_retries", help, single(figures.retries));
    }
    let mut samples = |name: &str, help: &str, of: &dyn Fn(&AccountPlan) -> Vec<Sample>| {
        let accounts = run.accounts.iter();
        let is_shown = |one: &&AccountPlan| one.status != Status::Error || name == "account_failed";
        let samples = accounts.filter(is_shown).flat_map(|account| {
            let label = account.label();
            let samples = of(account).into_iter();
            samples.map(move |(labels, value)| (format!("{{account=\"{label}\"{labels}}}"), value))
        });
        gauge(name, help, samples.collect());
    };
    let help = "Resources that differ from the desired state.";
    samples("drift", help, &drift);
    samples(
        "drift_weaker",
        "Differences that weaken protection.",
        &weaker,
    );
    samples("unlisted", "Unlisted live resources.", &unlisted);
    let help = "Entries that cannot be matched or planned.";
    samples("ambiguous", help, &|account| single(account.errors.len()));
    let help = "1 if the account could not be checked, else 0.";
    let failed = |account: &AccountPlan| single(usize::from(account.status == Status::Error));
    samples("account_failed", help, &failed);
    let help = "Time of the last check of an account.";
    let time = run.created_at.as_second();
    samples("last_success_timestamp_seconds", help, &|_| single(time));
    text + "# EOF\n"
}

/// Returns a sample without further labels.
fn single(value: impl ToString) -> Vec<Sample> {
    vec![(String::new(), value.to_string())]
}

/// Returns the number of items that have the labels.
fn count<T>(items: &[T], labels: String, have: impl Fn(&&T) -> bool) -> Sample {
    (labels, items.iter().filter(have).count().to_string())
}

fn drift(account: &AccountPlan) -> Vec<Sample> {
    // A behavior can only be updated.
    let integrations = Action::ALL.iter();
    let integrations = integrations.map(|action| (Kind::Integration, *action));
    let all = std::iter::once((Kind::Behavior, Action::Update)).chain(integrations);
    let samples = all.map(|(kind, action)| {
        let labels = format!(",kind=\"{kind}\",action=\"{action}\"");
        count(&account.changes, labels, |one| {
            one.kind == kind && one.action == action
        })
    });
    samples.collect()
}

fn weaker(account: &AccountPlan) -> Vec<Sample> {
    let samples = Kind::ALL.iter().map(|kind| {
        let is_weaker = |one: &&Change| one.kind == *kind && one.live_weaker.is_some();
        count(&account.changes, format!(",kind=\"{kind}\""), is_weaker)
    });
    samples.collect()
}

fn unlisted(account: &AccountPlan) -> Vec<Sample> {
    let policies = [UnlistedPolicy::Keep, UnlistedPolicy::Report];
    let samples = Kind::ALL.iter().flat_map(|kind| {
        policies.map(|policy| {
            let labels = format!(",kind=\"{kind}\",policy=\"{policy}\"");
            let same =
                |one: &&UnlistedResource| one.address.kind() == *kind && one.policy == policy;
            count(&account.unlisted, labels, same)
        })
    });
    samples.collect()
}
