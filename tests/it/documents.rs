//! Helpers for several modules: load a desired-state file, and validate JSON against a schema.

use std::path::Path;

use jiff::civil::Date;
use jsonschema::Validator;
use riskform::config::diagnostic::Diagnostics;
use riskform::config::files::AllowedRoot;
use riskform::config::load::{LoadOptions, load};
use riskform::model::account::DesiredAccount;
use riskform::model::limits::NO_LIMITS;
use serde_json::Value;

/// Loads the only account of a file, without variables.
pub fn load_file(path: &Path, today: Date) -> Result<DesiredAccount, Box<Diagnostics>> {
    let mut loaded = load(&LoadOptions {
        paths: &[path.to_owned()],
        account_id: None,
        default_account_id: None,
        confinement: &AllowedRoot::default(),
        limits: &NO_LIMITS,
        variables: &|_| None,
        today,
    })?;
    Ok(loaded.accounts.remove(0))
}

/// Validates a document against its schema and returns the validator.
pub fn assert_valid(what: &str, schema: &str, document: &Value) -> Validator {
    let schema: Value = serde_json::from_str(schema).unwrap();
    let validator = jsonschema::draft202012::options()
        .should_validate_formats(true)
        .build(&schema)
        .unwrap();
    let problems: Vec<String> = validator
        .iter_errors(document)
        .map(|error| format!("{}: {error}", error.instance_path()))
        .collect();
    assert!(problems.is_empty(), "{what}: {problems:#?}");
    validator
}
