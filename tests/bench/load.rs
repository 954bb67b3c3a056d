//! How long loading takes, and that it grows as the files do: fleets of many files with one baseline, and one file with many integrations.
//!
//! `cargo bench --bench load`. A fleet of 1,000 files is meant to load in well under a second, one of 10,000 in ten times that.

#![allow(clippy::unwrap_used, missing_docs)]

use std::fmt::Write;
use std::fs;
use std::hint::black_box;
use std::path::{Path, PathBuf};

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use jiff::civil::date;
use riskform::config::load::{LoadRequest, load};
use tempfile::TempDir;

fn accounts_loaded(path: &Path) -> usize {
    let loaded = load(&LoadRequest {
        paths: &[PathBuf::from(path)],
        account_id: None,
        default_account_id: None,
        variables: &|_| None,
        today: date(2026, 11, 22),
    });
    loaded.unwrap().accounts.len()
}

fn fleet(files: usize) -> TempDir {
    let directory = TempDir::new().unwrap();
    let baseline = include_str!("../../examples/fleet/_baseline.yaml");
    fs::write(directory.path().join("_baseline.yaml"), baseline).unwrap();
    for file in 0..files {
        let text = format!(
            "version: 1\naccount_id: {file:032x}\nname: account-{file}\nextends: [_baseline.yaml]\nintegrations:\n  okta:\n    tenant_url: https://tenant-{file}.okta.com\n"
        );
        fs::write(directory.path().join(format!("{file}.yaml")), text).unwrap();
    }
    directory
}

fn integrations(count: usize) -> TempDir {
    let directory = TempDir::new().unwrap();
    let mut text = format!("version: 1\naccount_id: {:032x}\nintegrations:\n", 1);
    for one in 0..count {
        writeln!(
            text,
            "  okta-{one}:\n    tenant_url: https://tenant-{one}.okta.com\n    reference_id: {one:08x}-0000-4000-8000-000000000000\n    active: true"
        )
        .unwrap();
    }
    fs::write(directory.path().join("many.yaml"), text).unwrap();
    directory
}

fn loading(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("load");
    group.sample_size(10);
    for files in [100, 1_000, 10_000] {
        let directory = fleet(files);
        group.throughput(Throughput::Elements(files as u64));
        group.bench_function(BenchmarkId::new("files", files), |bencher| {
            bencher.iter(|| accounts_loaded(black_box(directory.path())));
        });
    }
    for count in [1_000, 10_000, 100_000] {
        let directory = integrations(count);
        group.throughput(Throughput::Elements(count as u64));
        group.bench_function(BenchmarkId::new("integrations", count), |bencher| {
            bencher.iter(|| accounts_loaded(black_box(directory.path())));
        });
    }
    group.finish();
}

criterion_group!(benches, loading);
criterion_main!(benches);
