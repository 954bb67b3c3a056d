//! Drift as metrics in the text exposition format, for node_exporter's textfile collector.
//!
//! All are gauges of one run: the file is replaced by the next. Where an account could be compared, every kind and action has a value,
//! zero included, so that an alert ends when its cause does; where it could not, `riskform_account_failed` is 1, and the values that the
//! file held before stay, so that a revoked token resolves no alert.

use std::fmt;
use std::time::Duration;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;

use crate::plan::{AccountPlan, Action, Kind, Policy, Run, Status, UnlistedResource};

/// What a run cost, and what the one before found.
#[derive(Clone, Debug)]
pub struct RunMetrics {
    /// How long it took.
    pub elapsed: Duration,
    /// How many requests were sent to the API.
    pub requests: u64,
    /// How many of them repeated an earlier one.
    pub retries: u64,
    /// What the metrics' file holds so far.
    pub previous: Option<String>,
}

/// Drift as metrics. The figures are left out where there are none.
pub(super) fn metrics(document: &Run, figures: Option<&RunMetrics>) -> String {
    let mut drift = Gauges::new("drift", "Live things that differ from their files.");
    let mut weaker = Gauges::new(
        "drift_weaker",
        "Live things that protect less than declared.",
    );
    let mut unlisted = Gauges::new("unlisted", "Live things that no file lists.");
    let mut failed = Gauges::new(
        "account_failed",
        "Whether an account could not be compared.",
    );
    let mut success = Gauges::new(
        "last_success_timestamp_seconds",
        "When an account was last compared.",
    );
    for account in &document.accounts {
        failed.add(account, [], usize::from(account.status == Status::Error));
        if account.status == Status::Error {
            let previous = figures.and_then(|figures| figures.previous.as_deref());
            for gauges in [&mut drift, &mut weaker, &mut unlisted, &mut success] {
                gauges.keep(account.label(), previous.unwrap_or_default());
            }
            continue;
        }
        success.add(account, [], document.created_at.as_second());
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
    for gauges in [drift, weaker, unlisted, failed, success] {
        registry.register_collector(Box::new(gauges));
    }
    if let Some(figures) = figures {
        register_figures(&mut registry, figures);
    }
    let mut text = String::new();
    encode(&mut text, &registry).expect("writing into memory does not fail");
    text
}

/// What can happen to a kind of resource.
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
    registry.register("run_seconds", "How long the run took", seconds);
    let requests = ConstGauge::new(*requests);
    registry.register(
        "api_requests",
        "Requests that the run sent to the API",
        requests,
    );
    let retries = ConstGauge::new(*retries);
    registry.register(
        "api_retries",
        "Requests of the run that repeated an earlier one",
        retries,
    );
}

/// One metric with its samples, in the order in which they were added. The library's own families forget it.
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

    /// Takes over what an earlier run wrote of an account.
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

/// Reads the rest of a line that this file wrote: `,kind="behavior",action="update"} 1`. Whatever else stands there is nobody's value.
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
