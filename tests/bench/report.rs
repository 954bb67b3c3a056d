//! Results in every format: plans, drift and applications of fleets, and what `get` reads.

use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, BenchmarkId, Criterion, Throughput};
use jiff::Timestamp;
use riskform::model::behavior::RiskLevel;
use riskform::model::user::UserRisk;
use riskform::plan::{Format, OperationOutcome, OperationStatus, Run};
use riskform::report::get::{Privacy, ReadFormat, UserFilter, Users};
use riskform::report::{self, ApplyFormat, DetailLevel, DriftFormat, PlanFormat};
use uuid::Uuid;

use super::inputs::fleet_plan;

const ACCOUNTS: [usize; 4] = [1, 10, 100, 1_000];
const NOW: Timestamp = Timestamp::UNIX_EPOCH;

pub(super) fn measure(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("report");
    for kind in PlanFormat::ALL {
        measure_one(&mut group, &format!("plan as {kind}"), |accounts| {
            let plan = fleet_plan(accounts);
            move || report::plan(&plan, *kind, DetailLevel::Grouped)
        });
    }
    for kind in DriftFormat::ALL {
        measure_one(&mut group, &format!("drift as {kind}"), |accounts| {
            let mut run = fleet_plan(accounts);
            run.format = Format::Drift;
            move || report::drift(&run, *kind, DetailLevel::Grouped, None, &str::to_owned)
        });
    }
    for kind in ApplyFormat::ALL {
        measure_one(&mut group, &format!("apply as {kind}"), |accounts| {
            let run = applied(accounts);
            move || report::apply(&run, *kind)
        });
    }
    for kind in ReadFormat::ALL {
        measure_one(&mut group, &format!("users as {kind}"), |users| {
            let users = Users::new(
                (0..users).map(user).collect(),
                &UserFilter::default(),
                Privacy::Named,
            );
            let account = "f037e56e89293a057740de681ac9abbe".parse().unwrap();
            move || users.render(&account, *kind)
        });
    }
    group.finish();
}

fn measure_one<R: Fn() -> String>(
    group: &mut BenchmarkGroup<'_, WallTime>,
    name: &str,
    prepare: impl Fn(usize) -> R,
) {
    for count in ACCOUNTS {
        group.throughput(Throughput::Elements(count as u64));
        group.bench_function(BenchmarkId::new(name, count), |bencher| {
            let render = prepare(count);
            bencher.iter(&render);
        });
    }
}

fn applied(accounts: usize) -> Run {
    let mut run = fleet_plan(accounts);
    run.format = Format::Apply;
    for account in &mut run.accounts {
        account.problems = Some(Vec::new());
        for operation in &mut account.operations {
            operation.end = Some(OperationStatus {
                outcome: OperationOutcome::Done,
                result: None,
                audit_log_id: None,
                cf_ray: None,
                error: None,
                help: None,
            });
        }
    }
    run
}

fn user(index: usize) -> UserRisk {
    UserRisk {
        user_id: Uuid::from_u128(index as u128).into(),
        name: format!("Person Number {index}"),
        email: format!("person.{index}@example.com"),
        event_count: Some(index as u64 % 7),
        last_event: Some(NOW),
        max_risk_level: RiskLevel::ALL[index % RiskLevel::ALL.len()].into(),
    }
}
