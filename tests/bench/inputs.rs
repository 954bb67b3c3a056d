//! Inputs: directories of files, and accounts that differ from their files in a known way.

use std::fmt::Write;
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use jiff::civil::{Date, date};
use riskform::config::files::AllowedRoot;
use riskform::config::load::{LoadOptions, load};
use riskform::model::account::{DesiredAccount, LiveAccount};
use tempfile::TempDir;

use super::notation;

/// The date of the run.
pub(super) const TODAY: Date = date(2026, 11, 22);

type Difference = fn(usize, usize) -> usize;

/// Differences between files and live account: a name, and the declared tenant of one of `count` integrations.
pub(super) const DIFFERENCES: [(&str, Difference); 6] = [
    ("unchanged", |index, _| index),
    ("one percent changed", |index, count| match index % 100 {
        0 => count + index,
        _ => index,
    }),
    ("all new", |index, _| index),
    ("all swapped", |index, _| index ^ 1),
    ("one chain of freed keys", |index, _| index + 1),
    ("one circle of freed keys", |index, count| {
        (index + 1) % count
    }),
];

/// Returns the desired and the live state of an account with `count` integrations. Nothing is live if all are new.
pub(super) fn account(
    name: &str,
    declared_tenant: fn(usize, usize) -> usize,
    count: usize,
) -> (Arc<DesiredAccount>, Arc<LiveAccount>) {
    let live = if name == "all new" { 0 } else { count };
    let entry = |index| {
        let tenant = declared_tenant(index, count);
        notation::entry(&format!("e{index}: t{tenant} r{index}"))
    };
    let mut desired = notation::desired(&[]);
    desired.integrations = (0..count).map(entry).collect();
    let live: Vec<String> = (0..live)
        .map(|index| format!("t{index} r{index}"))
        .collect();
    let live: Vec<&str> = live.iter().map(String::as_str).collect();
    (Arc::new(desired), Arc::new(notation::account(&live)))
}

/// Loads the accounts of files and directories.
pub(super) fn accounts(paths: &[PathBuf]) -> Vec<DesiredAccount> {
    let loaded = load(&LoadOptions {
        paths,
        account_id: None,
        default_account_id: None,
        confinement: &AllowedRoot::default(),
        limits_file: None,
        variables: &|_| None,
        today: TODAY,
    });
    loaded.unwrap().accounts
}

/// Returns a directory of files that extend one base file.
pub(super) fn fleet(files: usize) -> TempDir {
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

/// Returns a directory with one file of integrations.
pub(super) fn integrations(count: usize) -> TempDir {
    one_file("integrations", count, |index| {
        format!("okta-{index}:\n    tenant_url: https://tenant-{index}.okta.com\n    active: true")
    })
}

/// Returns a directory with one file of behaviors and a comment on every line.
pub(super) fn commented_lines(count: usize) -> TempDir {
    one_file("behaviors", count, |index| {
        format!("b{index}: {{ enabled: true }} # {index}")
    })
}

fn one_file(section: &str, count: usize, entry: impl Fn(usize) -> String) -> TempDir {
    let directory = TempDir::new().unwrap();
    let mut text = format!("version: 1\naccount_id: {:032x}\n{section}:\n", 1);
    for index in 0..count {
        writeln!(text, "  {}", entry(index)).unwrap();
    }
    fs::write(directory.path().join("many.yaml"), text).unwrap();
    directory
}
