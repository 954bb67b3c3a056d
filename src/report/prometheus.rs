//! Drift as metrics for the textfile collector of node_exporter.
//!
//! All metrics are gauges of one run, and the next run replaces the file. A checked account has a value for every type and action,
//! including 0, so that alerts end. A failed account has `riskform_account_failed` 1 and no other value.

use std::fmt;
use std::time::Duration;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;

use crate::plan::{AccountPlan, Action, Kind, Policy, Run, Status, UnlistedResource};

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

/// Returns drift as metrics, with the figures of the run if available.
pub(super) fn metrics(document: &Run, figures: Option<&RunMetrics>) -> String {
    let mut drift = Gauges::new("drift", "Resources that differ from the desired state.");
    let mut weaker = Gauges::new("drift_weaker", "Differences that weaken protection.");
    let mut unlisted = Gauges::new("unlisted", "Unlisted live resources.");
    let mut ambiguous = Gauges::new("ambiguous", "Entries that cannot be matched or planned.");
    let mut failed = Gauges::new(
        "account_failed",
        "1 if the account could not be checked, else 0.",
    );
    let mut success = Gauges::new(
        "last_success_timestamp_seconds",
        "Time of the last check of an account.",
    );
    for account in &document.accounts {
        failed.add(account, [], usize::from(account.status == Status::Error));
        if account.status == Status::Error {
            continue;
        }
        success.add(account, [], document.created_at.as_second());
        ambiguous.add(account, [], account.errors.len());
        for kind in Kind::ALL {
            let changes = || {
                account
                    .changes
                    .iter()
                    .filter(|change| change.kind() == *kind)
            };
            for action in possible(*kind) {
                let count = changes()
                    .filter(|change| change.action() == *action)
                    .count();
                drift.add(
                    account,
                    [("kind", kind.as_str()), ("action", action.as_str())],
                    count,
                );
            }
            let count = changes()
                .filter(|change| change.live_weaker().is_some())
                .count();
            weaker.add(account, [("kind", kind.as_str())], count);
            for policy in [Policy::Keep, Policy::Report] {
                let same = |thing: &&UnlistedResource| {
                    Kind::from(&thing.address) == *kind && thing.policy == policy
                };
                let count = account.unlisted.iter().filter(same).count();
                unlisted.add(
                    account,
                    [("kind", kind.as_str()), ("policy", policy.as_str())],
                    count,
                );
            }
        }
    }
    let mut registry = Registry::with_prefix("riskform");
    for gauges in [drift, weaker, unlisted, ambiguous, failed, success] {
        registry.register_collector(Box::new(gauges));
    }
    if let Some(figures) = figures {
        register_figures(&mut registry, figures);
    }
    let mut text = String::new();
    encode(&mut text, &registry).expect("writing into memory does not fail");
    text
}

/// Actions of a resource type.
fn possible(kind: Kind) -> &'static [Action] {
    match kind {
        Kind::Behavior => &[Action::Update],
        Kind::Integration => Action::ALL,
    }
}

fn register_figures(registry: &mut Registry, figures: &RunMetrics) {
    let RunMetrics {
        elapsed,
        requests,
        retries,
    } = figures;
    let seconds = ConstGauge::new(elapsed.as_secs_f64());
    registry.register("run_seconds", "Duration of the run", seconds);
    let requests = ConstGauge::new(*requests);
    registry.register(
        "api_requests",
        "Requests sent to the API during the run",
        requests,
    );
    let retries = ConstGauge::new(*retries);
    registry.register("api_retries", "Retried requests during the run", retries);
}

/// A metric with its samples in order. The order of the library differs.
#[derive(Debug)]
struct Gauges {
    name: &'static str,
    help: &'static str,
    samples: Vec<(Vec<(&'static str, String)>, i64)>,
}

impl Gauges {
    fn new(name: &'static str, help: &'static str) -> Self {
        Gauges {
            name,
            help,
            samples: Vec::new(),
        }
    }

    fn add<const N: usize>(
        &mut self,
        account: &AccountPlan,
        further: [(&'static str, &'static str); N],
        value: impl TryInto<i64>,
    ) {
        let mut labels = vec![("account", account.label().to_owned())];
        labels.extend(further.map(|(name, value)| (name, value.to_owned())));
        self.samples
            .push((labels, value.try_into().unwrap_or(i64::MAX)));
    }
}

impl Collector for Gauges {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let mut metric =
            encoder.encode_descriptor(self.name, self.help, None, MetricType::Gauge)?;
        for (labels, value) in &self.samples {
            ConstGauge::new(*value).encode(metric.encode_family(labels)?)?;
        }
        Ok(())
    }
}
