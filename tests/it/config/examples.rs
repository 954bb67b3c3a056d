//! The examples: each loads, refers to its schema, and works as described.

use std::path::{Path, PathBuf};

use riskform::model::account::LiveAccount;
use riskform::plan::{Action, Options};
use serde_json::Value;

use super::{examples, load_paths};
use crate::worlds::planned;

#[test]
fn every_example_loads_without_a_warning() {
    for path in examples() {
        let name = path.file_name().unwrap().to_string_lossy();
        if name.starts_with('_') {
            continue;
        }
        match load_paths(std::slice::from_ref(&path)) {
            Ok(loaded) => assert!(loaded.warnings.is_empty(), "{}", loaded.warnings),
            Err(diagnostics) => panic!("{diagnostics}"),
        }
    }
}

#[test]
fn the_example_fleet_is_a_dozen_accounts() {
    let loaded = load_paths(&[PathBuf::from("examples/fleet")]).unwrap();
    assert_eq!(loaded.accounts.len(), 12);
    assert!(loaded.accounts.iter().all(|account| account.name.is_some()));
}

#[test]
fn every_example_names_its_schema() {
    for path in examples() {
        let text = std::fs::read_to_string(&path).unwrap();
        let schema = text
            .lines()
            .next()
            .and_then(|line| line.strip_prefix("# yaml-language-server: $schema="))
            .unwrap_or_else(|| panic!("{} has no modeline", path.display()));
        assert_eq!(
            path.parent().unwrap().join(schema).canonicalize().unwrap(),
            Path::new("schema/config.schema.json")
                .canonicalize()
                .unwrap(),
            "{}",
            path.display()
        );
    }
}

/// Recorded behaviors of the real API.
fn recorded() -> LiveAccount {
    let result = |text: &str| serde_json::from_str::<Value>(text).unwrap()["result"].take();
    let behaviors = result(include_str!(
        "../../../src/sandbox/recordings/behaviors.json"
    ));
    let integrations = result(include_str!(
        "../../../src/sandbox/recordings/integrations.json"
    ));
    LiveAccount::new(
        serde_json::from_value(behaviors["behaviors"].clone()).unwrap(),
        serde_json::from_value(integrations).unwrap(),
    )
}

#[test]
fn the_quickstart_creates_updates_and_deletes() {
    let loaded = load_paths(&[PathBuf::from("examples/quickstart.yaml")]).unwrap();
    let plan = planned(&loaded.accounts[0], &recorded(), &Options::default()).unwrap();
    for action in [Action::Create, Action::Update, Action::Delete] {
        assert_eq!(plan.count(action), 1, "{action}");
    }
    assert!(plan.violations.is_empty());
}
