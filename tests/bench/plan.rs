//! Two states into a plan: matching, comparing, ordering and digesting.

use criterion::{BenchmarkId, Criterion, Throughput};
use riskform::plan::{Options, plan};

use super::inputs::{Difference, TODAY, account};

pub(super) fn measure(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("plan");
    for (name, difference) in Difference::ALL {
        for count in [10, 100, 1_000, 10_000, 100_000] {
            group.throughput(Throughput::Elements(count as u64));
            group.bench_function(BenchmarkId::new(name, count), |bencher| {
                let (desired, live) = account(count, difference);
                let options = Options::default();
                bencher.iter_with_large_drop(|| plan(&desired, &live, TODAY, &options).unwrap());
            });
        }
    }
    group.finish();
}
