//! Growth of the running time with the size of the input: ratios of criterion's medians for ten times or twice the size.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use serde_json::Value;

/// Median seconds by benchmark and size.
type Medians = BTreeMap<String, BTreeMap<u64, f64>>;

/// Prints the ratios of the benchmarks that ran since `started`.
pub(super) fn print_ratios(started: SystemTime) {
    let target = PathBuf::from(std::env::var("CARGO_TARGET_DIR").unwrap_or("target".to_owned()));
    let mut medians = Medians::new();
    collect(&target.join("criterion"), started, &mut medians);
    if medians.is_empty() {
        return;
    }
    println!("\nRatio of medians for ten times or twice the size (10 and 2 are linear):\n");
    for (name, sizes) in &medians {
        let ratios = sizes.iter().filter_map(|(size, median)| {
            let mut smaller = [size / 10, size / 2].into_iter();
            let smaller = smaller.find(|one| sizes.contains_key(one))?;
            Some(format!(
                "{smaller}→{size}: ×{:.1}",
                median / sizes[&smaller]
            ))
        });
        println!("{name:<40} {}", ratios.collect::<Vec<_>>().join("  "));
    }
}

/// Adds the medians of the latest runs, which criterion keeps in directories named `new`.
fn collect(directory: &Path, started: SystemTime, medians: &mut Medians) {
    for entry in fs::read_dir(directory).into_iter().flatten() {
        let path = entry.unwrap().path();
        if !path.is_dir() {
            continue;
        }
        if !path.ends_with("new") {
            collect(&path, started, medians);
            continue;
        }
        let estimates = path.join("estimates.json");
        let fresh = fs::metadata(&estimates)
            .and_then(|file| file.modified())
            .is_ok_and(|written| written >= started);
        if !fresh {
            continue;
        }
        let benchmark = read(&path.join("benchmark.json"));
        let word = |member: &str| benchmark[member].as_str().unwrap().to_owned();
        let size = word("value_str").parse().unwrap();
        let nanoseconds = read(&estimates)["median"]["point_estimate"]
            .as_f64()
            .unwrap();
        medians
            .entry(format!("{}: {}", word("group_id"), word("function_id")))
            .or_default()
            .insert(size, nanoseconds / 1e9);
    }
}

fn read(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}
