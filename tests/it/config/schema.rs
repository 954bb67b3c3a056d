//! The JSON Schema: up to date and consistent with the loader.

use riskform::config::shape::{CONFIG_SCHEMA, schema_with_behaviors};
use riskform::model::behavior::BehaviorKey;
use serde::Deserialize;
use serde_json::Value;

use super::{corpus, examples};

/// Returns true if all documents of a YAML text are valid; false for text that a common YAML parser rejects.
fn accepts(text: &str) -> bool {
    let schema: Value = serde_json::from_str(CONFIG_SCHEMA).unwrap();
    let validator = jsonschema::draft202012::new(&schema).unwrap();
    let text = text.trim_start_matches('\u{FEFF}');
    // Parsed as a YAML value, which rejects duplicate keys, like editors.
    let documents: Result<Vec<serde_yaml::Value>, _> = serde_yaml::Deserializer::from_str(text)
        .map(serde_yaml::Value::deserialize)
        .collect();
    let documents: Option<Vec<Value>> = documents.ok().and_then(|documents| {
        let json = |one| serde_json::to_value(one).ok();
        documents.into_iter().map(json).collect()
    });
    documents.is_some_and(|mut documents| {
        // Empty documents are ignored, as in editors.
        documents.retain(|document| !document.is_null());
        !documents.is_empty() && documents.iter().all(|one| validator.is_valid(one))
    })
}

#[test]
fn schema_and_loader_accept_the_same_files() {
    for path in corpus("valid").into_iter().chain(examples()) {
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(accepts(&text), "{}", path.display());
    }
}

/// A fixture names rules that a schema cannot express: `# schema: accepts, since …`.
#[test]
fn schema_and_loader_reject_the_same_files() {
    for path in corpus("invalid") {
        let text = std::fs::read_to_string(&path).unwrap();
        let beyond = text
            .lines()
            .any(|line| line.starts_with("# schema: accepts, since "));
        assert_eq!(accepts(&text), beyond, "{}", path.display());
    }
}

/// Descriptions shown instead of a raw pattern.
#[test]
fn patterns_have_messages_and_behaviors_are_completed() {
    fn check(schema: &Value) {
        match schema {
            Value::Object(map) => {
                if map.contains_key("pattern") && map.contains_key("type") && map.len() > 2 {
                    assert!(map.contains_key("errorMessage"), "{map:?}");
                }
                map.values().for_each(check);
            }
            Value::Array(list) => list.iter().for_each(check),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }
    let names = |schema: &Value| -> Vec<String> {
        let names = schema["properties"]["behaviors"]["properties"].as_object();
        names.unwrap().keys().cloned().collect()
    };
    let documented: Value = serde_json::from_str(CONFIG_SCHEMA).unwrap();
    check(&documented);
    assert_eq!(
        names(&documented),
        ["*", "high_dlp", "imp_travel", "sentinel_one"]
    );
    let live = schema_with_behaviors(&[BehaviorKey::new("novel")]);
    assert_eq!(names(&serde_json::from_str(&live).unwrap()), ["*", "novel"]);
}
