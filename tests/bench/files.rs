//! Loading and formatting: many files with one base file, and one file with many integrations.

use std::path::PathBuf;

use criterion::{BenchmarkId, Criterion, Throughput};
use riskform::config::files::AllowedRoot;
use riskform::config::fmt::format;
use riskform::config::load::{Checked, LoadOptions, check};
use riskform::model::limits::NO_LIMITS;
use riskform::report::{ValidateFormat, validation};

use super::inputs::{TODAY, accounts, commented_lines, fleet, integrations, tenant};

pub(super) fn measure(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("load");
    for count in [1, 10, 100, 1_000, 10_000] {
        group.throughput(Throughput::Elements(count as u64));
        group.bench_function(BenchmarkId::new("files", count), |bencher| {
            let directory = fleet(count);
            bencher.iter(|| accounts(directory.path()));
        });
    }
    for count in [10, 100, 1_000, 10_000, 100_000] {
        group.throughput(Throughput::Elements(count as u64));
        let id = BenchmarkId::new("integrations of one file", count);
        group.bench_function(id, |bencher| {
            let directory = integrations(count, tenant);
            bencher.iter(|| accounts(directory.path()));
        });
    }
    group.finish();

    let mut group = criterion.benchmark_group("fmt");
    for count in [10, 100, 1_000, 10_000] {
        group.throughput(Throughput::Elements(count as u64));
        let id = BenchmarkId::new("integrations of one file", count);
        group.bench_function(id, |bencher| {
            let directory = integrations(count, tenant);
            let paths = [PathBuf::from(directory.path())];
            bencher.iter(|| format(&paths, &AllowedRoot::default()));
        });
    }
    group.finish();

    let mut group = criterion.benchmark_group("validate");
    // The target is 0.3 s for 16,000 lines, and 2.5 times as long for twice as many.
    for lines in [16_000, 32_000] {
        group.throughput(Throughput::Elements(lines as u64));
        group.bench_function(BenchmarkId::new("commented lines", lines), |bencher| {
            let directory = commented_lines(lines);
            let paths = [PathBuf::from(directory.path())];
            bencher.iter(|| assert_eq!(checked(&paths).diagnostics.errors(), 0));
        });
    }
    for kind in ValidateFormat::ALL {
        for mistakes in [10, 100, 1_000] {
            group.throughput(Throughput::Elements(mistakes as u64));
            let id = BenchmarkId::new(format!("mistakes as {kind}"), mistakes);
            group.bench_function(id, |bencher| {
                let directory = integrations(mistakes, |_| "http://no-tls.okta.com".to_owned());
                let checked = checked(&[PathBuf::from(directory.path())]);
                assert_eq!(checked.diagnostics.errors(), mistakes);
                let (accounts, diagnostics) = (checked.accounts, checked.diagnostics);
                bencher.iter(|| validation(&accounts, &diagnostics, *kind, &str::to_owned));
            });
        }
    }
    group.finish();
}

fn checked(paths: &[PathBuf]) -> Checked {
    check(&LoadOptions {
        paths,
        account_id: None,
        default_account_id: None,
        confinement: &AllowedRoot::default(),
        limits: &NO_LIMITS,
        variables: &|_| None,
        today: TODAY,
    })
}
