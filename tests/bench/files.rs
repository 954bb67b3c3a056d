//! Loading: many files with one base file, one file with many integrations, and one with comments.

use std::path::PathBuf;

use criterion::{BenchmarkId, Criterion, Throughput};

use super::inputs::{accounts, commented_lines, fleet, integrations};

pub(super) fn measure(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("load");
    for (name, counts, directory) in [
        (
            "files",
            [1, 10, 100, 1_000, 10_000],
            fleet as fn(usize) -> _,
        ),
        (
            "integrations of one file",
            [10, 100, 1_000, 10_000, 100_000],
            integrations,
        ),
        // The target is 0.3 s for 16,000 lines.
        (
            "commented lines",
            [10, 100, 1_000, 16_000, 32_000],
            commented_lines,
        ),
    ] {
        for count in counts {
            group.throughput(Throughput::Elements(count as u64));
            group.bench_function(BenchmarkId::new(name, count), |bencher| {
                let directory = directory(count);
                let paths = [PathBuf::from(directory.path())];
                bencher.iter(|| accounts(&paths));
            });
        }
    }
    group.finish();
}
