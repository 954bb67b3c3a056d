//! Helpers for several modules: load a desired-state file, and validate JSON against a schema.

use std::path::Path;

use jiff::civil::Date;
use jsonschema::Validator;
use riskform::config::diagnostic::Diagnostics;
use riskform::config::files::AllowedRoot;
use riskform::config::load::{LoadOptions, load};
use riskform::model::account::DesiredAccount;
use serde_json::Value;

/// Loads the only account of a file, without variables.
pub fn load_file(path: &Path, today: Date) -> Result<DesiredAccount, Box<Diagnostics>> {
    let mut loaded = load(&LoadOptions {
        paths: &[path.to_owned()],
        account_id: None,
        default_account_id: None,
        confinement: &AllowedRoot::default(),
        limits_file: None,
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

/// Checks that a text is well-formed XML, and returns the number of elements with a name.
pub fn elements(xml: &str, name: &str) -> usize {
    let mut open: Vec<&str> = Vec::new();
    let mut count = 0;
    let (declaration, mut rest) = xml.split_once("?>").unwrap();
    assert!(declaration.starts_with("<?xml "), "{declaration}");
    while let Some((text, tag)) = rest.split_once('<') {
        assert_is_text(text);
        let end = tag.find('>').unwrap();
        let (tag, after) = (&tag[..end], &tag[end + 1..]);
        match tag.strip_prefix('/') {
            Some(closed) => assert_eq!(open.pop(), Some(closed)),
            None => {
                let is_empty = tag.ends_with('/');
                let tag = tag.trim_end_matches('/');
                let (element, attributes) = tag.split_once(' ').unwrap_or((tag, ""));
                count += usize::from(element == name);
                let parts: Vec<&str> = attributes.split('"').collect();
                assert_eq!(parts.len() % 2, 1, "{tag}");
                for attribute in parts.chunks_exact(2) {
                    let is_name = |c: char| c.is_ascii_lowercase() || c == ' ';
                    let attribute_name = attribute[0].strip_suffix('=').unwrap();
                    assert!(attribute_name.chars().all(is_name), "{tag}");
                    assert_is_text(attribute[1]);
                }
                if !is_empty {
                    open.push(element);
                }
            }
        }
        rest = after;
    }
    assert!(open.is_empty() && rest.trim().is_empty(), "{open:?} {rest}");
    count
}

/// Checks that a text has only characters and references of XML.
fn assert_is_text(text: &str) {
    assert!(!text.contains(['<', '>']), "{text}");
    for reference in text.split('&').skip(1) {
        let known = ["amp;", "lt;", "gt;", "quot;"];
        assert!(
            known.iter().any(|known| reference.starts_with(known)),
            "{text}"
        );
    }
    let is_forbidden =
        |c: char| c != '\n' && (c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}'));
    assert!(!text.contains(is_forbidden), "{text:?}");
}
