//! The examples: each loads, refers to its schema, and works as described.

use std::path::{Path, PathBuf};

use riskform::model::account::LiveAccount;
use riskform::plan::{Action, Options};
use serde_json::Value;

use super::{examples, load_paths};
use crate::scenarios::planned;

#[test]
fn examples_load_without_warnings_and_name_their_schema() {
    let schema = Path::new("schema/config.schema.json").canonicalize();
    let schema = schema.unwrap();
    for path in examples() {
        let text = std::fs::read_to_string(&path).unwrap();
        let modeline = "# yaml-language-server: $schema=";
        let named = text.lines().next().unwrap().strip_prefix(modeline).unwrap();
        let named = path.with_file_name(named).canonicalize();
        assert_eq!(named.unwrap(), schema, "{}", path.display());
        let is_fragment = path.file_name().unwrap().as_encoded_bytes()[0] == b'_';
        if !is_fragment {
            let loaded = load_paths(&[path]).unwrap_or_else(|error| panic!("{error}"));
            assert!(loaded.diagnostics.is_empty(), "{}", loaded.diagnostics);
        }
    }
    let fleet = load_paths(&[PathBuf::from("examples/fleet")]).unwrap();
    assert_eq!(fleet.accounts.len(), 5);
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
fn quickstart_creates_updates_and_deletes() {
    let loaded = load_paths(&[PathBuf::from("examples/quickstart.yaml")]).unwrap();
    let plan = planned(&loaded.accounts[0], &recorded(), &Options::default()).unwrap();
    for action in [Action::Create, Action::Update, Action::Delete] {
        let changes = plan.changes.iter();
        assert_eq!(
            changes.filter(|one| one.action == action).count(),
            1,
            "{action}"
        );
    }
    assert!(plan.violations.is_empty());
}
