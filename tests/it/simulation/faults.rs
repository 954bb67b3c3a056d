//! Faults of a simulated account: network faults, external changes, stopped and killed runs, lagging reads.

use std::time::Duration;

use axum::http::Method;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;
use riskform::model::behavior::BehaviorKey;
use riskform::model::field::{Field, FieldValue, Fields};
use riskform::model::integration::{ReferenceId, TenantUrl};
use riskform::model::open_enum::OpenEnum;

use crate::support::faults::{Execution, ExternalChange, Fault, FaultRule, FaultScript};

/// Faults of one account.
#[derive(Clone, Debug)]
pub struct Faults {
    pub script: FaultScript,
    /// Response time; half of it before the change.
    pub latency: Duration,
    /// Maximum lag of reads (`schema/api.md`, Integrations: unknown).
    pub lag: Duration,
    /// Request that kills the run, counted over all runs.
    pub kill: Option<Moment>,
    /// Time of cancellation.
    pub stop: Option<StopAt>,
}

/// Time at which a run is canceled.
#[derive(Clone, Copy, Debug)]
pub enum StopAt {
    /// At a request of each run.
    Request(Moment),
    /// After this time.
    After(Duration),
}

/// A request, counted from 0, and its side.
pub type Moment = (u32, Side);

/// Before or after the server's change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    Before,
    After,
}

/// A third of the accounts has no external changes, a third has some, and a third has lagging reads. The last third has no external
/// changes, because lagging reads would hide them.
pub fn faults() -> impl Strategy<Value = Faults> {
    let seconds = |table: &'static [u64]| select(table).prop_map(Duration::from_millis);
    let quiet = (vec(fault(), 0..5), Just(Duration::ZERO));
    let shared = (
        (vec(fault(), 0..3), vec(change(), 1..3))
            .prop_map(|(faults, changes)| [faults, changes].concat()),
        Just(Duration::ZERO),
    );
    let lagging = (vec(fault(), 0..5), seconds(&[500, 2_000, 4_500]));
    (
        prop_oneof![quiet, shared, lagging],
        any::<u64>(),
        // API times are whole seconds, so the order is known only with a slow server.
        seconds(&[0, 100, 3_000, 3_000, 3_000]),
        option::weighted(0.2, moment()),
        option::weighted(0.2, stop()),
    )
        .prop_map(|((rules, lag), seed, latency, kill, stop)| Faults {
            script: FaultScript { seed, rules },
            latency,
            lag,
            kill,
            stop,
        })
}

fn moment() -> impl Strategy<Value = Moment> {
    (0..16_u32, select(&[Side::Before, Side::After][..]))
}

fn stop() -> impl Strategy<Value = StopAt> {
    prop_oneof![
        1 => moment().prop_map(StopAt::Request),
        1 => (0..40_000_u64).prop_map(|wait| StopAt::After(Duration::from_millis(wait))),
    ]
}

/// A fault for some of the matching requests.
fn fault() -> impl Strategy<Value = FaultRule> {
    let work = || prop_oneof![Just(Execution::Done), Just(Execution::Skipped)];
    let seconds = |table: &'static [u64]| select(table).prop_map(Duration::from_secs);
    let fault = prop_oneof![
        1 => seconds(&[1, 20, 50]).prop_map(|seconds| Fault::Refuse { seconds }),
        1 => Just(Fault::CloseBefore),
        3 => Just(Fault::CloseAfter),
        2 => Just(Fault::HalfAnswer),
        1 => work().prop_map(|work| Fault::Garbage { work }),
        1 => seconds(&[5, 40]).prop_map(|seconds| Fault::Slow { seconds }),
        1 => option::of(select(&[2_u32, 120, 2_000][..]))
            .prop_map(|retry_after| Fault::RateLimited { retry_after }),
        1 => work().prop_map(|work| Fault::ServerError { work }),
        1 => work().prop_map(|work| Fault::BadGateway { work }),
        1 => work().prop_map(|work| Fault::WrongJson { work }),
    ];
    let method = prop_oneof![
        1 => Just(None),
        1 => Just(Some(Method::GET)),
        2 => Just(Some(Method::PUT)),
        4 => Just(Some(Method::POST)),
        1 => Just(Some(Method::DELETE)),
    ];
    (method, 0..4_u32, 1..8_u32, select(&[1.0, 0.5][..]), fault).prop_map(
        |(method, skip, times, chance, fault)| FaultRule {
            method,
            skip,
            times: Some(times),
            chance,
            ..FaultRule::always(fault)
        },
    )
}

/// An external change immediately before a request is processed.
fn change() -> impl Strategy<Value = FaultRule> {
    let key = select(&["high_dlp", "imp_travel", "sentinel_one", "new_one"][..]);
    let level = select(&["low", "medium", "high", "critical"][..]);
    let tenant = || {
        select(
            &[
                "https://a.okta.com",
                "https://b.okta.com",
                "https://z.okta.com",
            ][..],
        )
    };
    let reference = || option::of(select(&["r1", "r2", "r9"][..]));
    let set_behavior =
        (key, any::<bool>(), level).prop_map(|(key, enabled, level)| ExternalChange::SetBehavior {
            key: BehaviorKey::new(key),
            changes: Fields::of_behavior(enabled, OpenEnum::parse(level)),
        });
    let create = (tenant(), reference()).prop_map(|(tenant, reference)| {
        let tenant_url = TenantUrl::from_live(tenant);
        let reference_id = reference.and_then(ReferenceId::new);
        let fields = Fields::of_integration("Okta", tenant_url, reference_id, true);
        ExternalChange::CreateIntegration(fields)
    });
    let edit = (tenant(), tenant(), any::<bool>()).prop_map(|(which, tenant, active)| {
        ExternalChange::EditIntegration {
            integration: which.to_owned(),
            changes: Fields::from_iter([
                (
                    Field::TenantUrl,
                    FieldValue::Url(TenantUrl::from_live(tenant)),
                ),
                (Field::Active, FieldValue::Bool(active)),
            ]),
        }
    });
    let delete = tenant().prop_map(|which| ExternalChange::DeleteIntegration {
        integration: which.to_owned(),
    });
    let anywhere = prop_oneof![
        1 => Just(None),
        1 => Just(Some(Method::PUT)),
        1 => Just(Some(Method::GET)),
        1 => Just(Some(Method::POST)),
    ];
    let other = (
        anywhere,
        0..8_u32,
        prop_oneof![
            3 => set_behavior.clone().boxed(),
            1 => create.boxed(),
            1 => edit.boxed(),
            1 => delete.boxed(),
        ],
    );
    let rule = |method, skip, change| FaultRule {
        method,
        skip,
        times: Some(1),
        ..FaultRule::always(Fault::Change(change))
    };
    prop_oneof![
        // The critical moments: between list and POST, and between read and PUT of the behaviors.
        3 => (0..2_u32).prop_map(move |skip| {
            rule(Some(Method::POST), skip, ExternalChange::CreateTheSame)
        }),
        2 => set_behavior.prop_map(move |change| FaultRule {
            path: Some("*/behaviors".to_owned()),
            ..rule(Some(Method::PUT), 0, change)
        }),
        3 => other.prop_map(move |(method, skip, change)| rule(method, skip, change)),
    ]
}
