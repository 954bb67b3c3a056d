//! Planning: matching, comparing and ordering.
//!
//! The work grows in proportion to the input: `valgrind --tool=callgrind --toggle-collect=riskform::plan::plan` on this benchmark counts
//! about ten times the instructions for ten times the integrations. Each takes longer if the data exceeds the processor's caches.

use criterion::{BenchmarkId, Criterion, Throughput};
use riskform::model::context::Context;
use riskform::plan::{Options, plan};

use super::inputs::{DIFFERENCES, TODAY, account};

pub(super) fn measure(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("plan");
    for (name, declared_tenant) in DIFFERENCES {
        for count in [10, 100, 1_000, 10_000, 100_000] {
            group.throughput(Throughput::Elements(count as u64));
            group.bench_function(BenchmarkId::new(name, count), |bencher| {
                let (desired, live) = account(name, declared_tenant, count);
                let options = Options::default();
                bencher.iter_with_large_drop(|| {
                    plan(&desired, &live, &Context::default(), TODAY, &options)
                });
            });
        }
    }
    group.finish();
}
