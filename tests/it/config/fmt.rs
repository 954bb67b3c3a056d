//! The formatter: idempotent, without loss of values or comments.

use proptest::prelude::*;
use riskform::config::diagnostic::Diagnostics;
use riskform::config::files::AllowedRoot;
use riskform::config::fmt::{Formatted, format};
use serde_json::Value;

use super::{Fleet, corpus, declared, examples, found};

/// Formats a file, and checks that the result declares the same and does not change again.
fn format_twice(text: &[u8]) -> Result<Formatted, Box<Diagnostics>> {
    let fleet = Fleet::new(&[]);
    fleet.write("a.yaml", text);
    let (files, diagnostics) = format(&[fleet.path("a.yaml")], &AllowedRoot::default(), None);
    let Some(file) = files.into_iter().next() else {
        assert!(diagnostics.errors() > 0);
        return Err(Box::new(diagnostics));
    };
    fleet.write("b.yaml", file.after.as_bytes());
    let (again, _) = format(&[fleet.path("b.yaml")], &AllowedRoot::default(), None);
    assert_eq!(again[0].after, file.after);
    let [before, after] = ["a.yaml", "b.yaml"].map(|path| -> Result<Vec<Value>, Vec<String>> {
        let loaded = fleet.load(&[path]).map_err(|diagnostics| {
            let mut rules: Vec<_> = diagnostics.iter().map(|one| one.rule.to_string()).collect();
            rules.sort();
            rules
        });
        Ok(loaded?.accounts.iter().map(declared).collect())
    });
    assert_eq!(before, after, "{}", file.after);
    Ok(file)
}

fn format_stdin(text: &str) -> (Vec<Formatted>, Diagnostics) {
    let (paths, text) = (["-".into()], text.as_bytes().to_vec());
    format(&paths, &AllowedRoot::default(), Some(text))
}

/// Returns the formatted text.
pub(super) fn formatted(text: &str) -> String {
    format_twice(text.as_bytes()).unwrap().after
}

#[test]
fn layout_is_normalized() {
    for (text, expected) in [
        (
            "guards: {max_deletes: 2}\nbehaviors:\n    b:   {risk_level: high,enabled: true}\n\n\n\n    a:  {}\n",
            "guards: { max_deletes: 2 }\nbehaviors:\n  b: { risk_level: high, enabled: true }\n\n  a: {}\n",
        ),
        (
            "# header\n\n# about guards\nguards:\n  max_deletes: 2    # two\nversion: 1 # one\n# the end\n",
            "# header\n\n# about guards\nguards:\n  max_deletes: 2 # two\nversion: 1 # one\n# the end\n",
        ),
        (
            "extends:\n- active\n- field: active\n  reason: >-\n    because\n    of this\n",
            "extends:\n  - active\n  - field: active\n    reason: >-\n      because\n      of this\n",
        ),
        (
            "%YAML 1.2\n---\nversion:  1\n---\n# nothing\n---\nname: &n  x\n...\n",
            "%YAML 1.2\n---\nversion: 1\n---\n# nothing\n---\nname: &n x\n...\n",
        ),
        ("version:  1\r\nname: x\r\n", "version: 1\r\nname: x\r\n"),
        (
            "name:   'no'\n\"id\": '1'\n",
            "name: \"no\"\n\"id\": \"1\"\n",
        ),
        ("# nothing\n", "# nothing\n"),
    ] {
        assert_eq!(formatted(text), expected);
        let (input, diagnostics) = format_stdin(text);
        assert!(diagnostics.is_empty());
        assert_eq!(input[0].after, expected);
    }
}

#[test]
fn files_that_cannot_be_formatted_are_left_as_they_are() {
    let fleet = Fleet::new(&[
        ("keep.yaml", "version: 1\nname: |+\n  x\n\n\n"),
        ("syntax.yaml", "name: [1\n"),
        ("_fragment.yaml", "version:   1\n"),
        ("a.json", "{\"version\": 1, \"name\": \"no\"}"),
        ("b.json", "{version: 1}\n"),
    ]);
    let paths = ["", "a.json", "b.json"].map(|path| fleet.path(path));
    let (files, diagnostics) = format(&paths, &AllowedRoot::default(), None);
    assert_eq!(
        fleet.found(&diagnostics),
        [
            "b.json layout",
            "keep.yaml layout",
            "syntax.yaml syntax 1:7"
        ]
    );
    let after: Vec<&str> = files.iter().map(|file| file.after.as_str()).collect();
    assert_eq!(
        after,
        ["version: 1\n", "{ \"version\": 1, \"name\": \"no\" }\n"]
    );
    let (formatted, diagnostics) = format_stdin("name: [1\n");
    assert!(formatted.is_empty());
    assert_eq!(found(&diagnostics), ["syntax 1:7"]);
}

#[test]
fn examples_are_formatted() {
    for path in examples() {
        let text = std::fs::read_to_string(&path).unwrap();
        assert_eq!(formatted(&text), text, "{}", path.display());
    }
}

#[test]
fn formatted_fixtures_declare_the_same() {
    for path in corpus("valid").into_iter().chain(corpus("invalid")) {
        let _ = format_twice(&std::fs::read(&path).unwrap());
    }
}

/// An example file with random blanks, comments and line breaks.
fn disturbed() -> impl Strategy<Value = String> {
    let scraps = " ¦  ¦\n¦\n\n¦ # c\n¦# d\n¦    # e\n¦{ }¦[ ]¦, ¦'¦\t¦&a ¦- ";
    let scrap = prop::sample::select(scraps.split('¦').collect::<Vec<_>>());
    let edits = prop::collection::vec((any::<prop::sample::Index>(), scrap), 1..6);
    (prop::sample::select(examples()), edits).prop_map(|(file, edits)| {
        let mut text = std::fs::read_to_string(file).unwrap();
        for (at, scrap) in edits {
            text.insert_str(text.floor_char_boundary(at.index(text.len())), scrap);
        }
        text
    })
}

proptest! {
    #[test]
    fn disturbed_files_are_rejected_or_declare_the_same(text in disturbed()) {
        let _ = format_twice(text.as_bytes());
    }
}
