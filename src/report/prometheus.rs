//! Drift as metrics for the textfile collector of node_exporter.
//!
//! All metrics are gauges of one run, and the next run replaces the file. A checked account has a value for every type and action,
//! including 0, so that alerts end. For a failed account `riskform_account_failed` is 1 and the earlier values stay, so that an invalid
//! token resolves no alert.

use std::fmt;
use std::time::Duration;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;

use crate::plan::{AccountPlan, Action, Kind, Policy, Run, Status, UnlistedResource};

/// Figures of a run, and the earlier metrics.
#[derive(Clone, Debug)]
pub struct RunMetrics {
    /// Duration.
    pub elapsed: Duration,
    /// Number of requests to the API.
    pub requests: u64,
    /// Number of retries among them.
    pub retries: u64,
    /// Current content of the metrics file.
    pub previous: Option<String>,
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
            let previous = figures.and_then(|figures| figures.previous.as_deref());
            for gauges in [
                &mut drift,
                &mut weaker,
                &mut unlisted,
                &mut ambiguous,
                &mut success,
            ] {
                gauges.keep(account.label(), previous.unwrap_or_default());
            }
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
        previous: _,
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

    /// Keeps the earlier values of an account.
    fn keep(&mut self, account: &str, previous: &str) {
        let start = format!("riskform_{}{{account=\"{account}\"", self.name);
        for line in previous.lines() {
            let sample = line
                .strip_prefix(&start)
                .and_then(|rest| sample(account, rest));
            self.samples.extend(sample);
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

/// Parses the rest of a line of the file, e.g. `,kind="behavior",action="update"} 1`. Returns `None` for anything else.
fn sample(account: &str, rest: &str) -> Option<(Vec<(&'static str, String)>, i64)> {
    let (further, value) = rest.split_once("} ")?;
    let mut labels = vec![("account", account.to_owned())];
    for label in further.split(',').skip(1) {
        let (name, value) = label.split_once('=')?;
        let name = ["kind", "action", "policy"]
            .into_iter()
            .find(|known| *known == name)?;
        let value = value.strip_prefix('"')?.strip_suffix('"')?;
        let is_word = |c: char| c.is_ascii_lowercase() || c == '_';
        labels.push((name, value.chars().all(is_word).then(|| value.to_owned())?));
    }
    Some((labels, value.trim().parse().ok()?))
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
