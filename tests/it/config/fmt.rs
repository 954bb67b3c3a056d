//! The formatter: canonical, idempotent, and without loss of values or comments.

use std::time::{Duration, Instant};

use proptest::prelude::*;
use riskform::config::files::AllowedRoot;
use riskform::config::fmt::{format, format_input};

use super::{Fleet, corpus, declared, examples, found, load_paths};

/// Returns the formatted text.
pub(super) fn formatted(text: &str) -> String {
    let fleet = Fleet::new(&[("a.yaml", text)]);
    let (mut files, diagnostics) = format(&[fleet.path("a.yaml")], &AllowedRoot::default());
    assert!(diagnostics.is_empty(), "{diagnostics}\n{text}");
    files.remove(0).after
}

#[test]
fn layout_is_normalized_and_content_is_kept() {
    let table = [
        (
            "spacing and indentation",
            "guards: {max_deletes: 2}\nbehaviors:\n    b:   {risk_level: high,enabled: true}\n\n\n\n    a:  {enabled: false}\n",
            "guards: { max_deletes: 2 }\nbehaviors:\n  b: { risk_level: high, enabled: true }\n\n  a: { enabled: false }\n",
        ),
        (
            "comments",
            "# header\n\n# about guards\nguards:\n  max_deletes: 2    # two\nversion: 1 # one\n# the end\n",
            "# header\n\n# about guards\nguards:\n  max_deletes: 2 # two\nversion: 1 # one\n# the end\n",
        ),
        (
            "comments within braces",
            "behaviors:\n  a: { # first\n    enabled: true, # second\n    # third\n    risk_level: low\n  } # fourth\n",
            "behaviors:\n  a: {\n    # first\n    enabled: true, # second\n    # third\n    risk_level: low\n  } # fourth\n",
        ),
        (
            "long lines",
            "guards: { protected: [https://aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.example, https://bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb.example] }\n",
            "guards: {\n  protected: [\n    https://aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.example,\n    https://bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb.example\n  ]\n}\n",
        ),
        (
            "lists and block scalars",
            "extends:\n- active\n- field: active\n  reason: >-\n    because\n    of this\n",
            "extends:\n  - active\n  - field: active\n    reason: >-\n      because\n      of this\n",
        ),
        (
            "documents",
            "---\nversion: 1\n---\n# nothing\n---\nversion:   1\n...\n",
            "---\nversion: 1\n---\n# nothing\n---\nversion: 1\n...\n",
        ),
        (
            "anchors",
            "name: &n x\nbehaviors:   &b\n  a: &e {enabled: true}\n  c: *e\n",
            "name: &n x\nbehaviors: &b\n  a: &e { enabled: true }\n  c: *e\n",
        ),
        ("null", "name:\nb:   null\nc: ~\n", "name:\nb: null\nc: ~\n"),
        (
            "CRLF",
            "version:  1\r\nname: x\r\n",
            "version: 1\r\nname: x\r\n",
        ),
        (
            "quotes",
            "name:   'no'\n\"id\": '1'\n",
            "name: \"no\"\n\"id\": \"1\"\n",
        ),
        ("only a comment", "# nothing\n", "# nothing\n"),
        (
            "directives",
            "%YAML 1.2\n---\nversion:  1\n",
            "%YAML 1.2\n---\nversion: 1\n",
        ),
    ];
    for (what, text, expected) in table {
        assert_eq!(formatted(text), expected, "{what}");
        assert_eq!(formatted(expected), expected, "{what}, twice");
    }
}

#[test]
fn a_json_file_stays_json() {
    let text = "{\"behaviors\": {\"a\": {\"risk_level\": \"low\", \"enabled\": true}}, \"version\": 1, \"name\": \"no\"}";
    let fleet = Fleet::new(&[("a.json", text), ("b.json", "{version: 1}\n")]);
    let (files, diagnostics) = format(
        &[fleet.path("a.json"), fleet.path("b.json")],
        &AllowedRoot::default(),
    );
    assert_eq!(
        files[0].after,
        "{ \"behaviors\": { \"a\": { \"risk_level\": \"low\", \"enabled\": true } }, \"version\": 1, \"name\": \"no\" }\n"
    );
    assert_eq!(fleet.found(&diagnostics), ["b.json layout"]);
}

#[test]
fn standard_input_is_laid_out_as_a_file() {
    let (formatted, diagnostics) = format_input(b"name:  x\nversion:   1\n".to_vec());
    assert_eq!(formatted.unwrap().after, "name: x\nversion: 1\n");
    assert!(diagnostics.is_empty());
    let (formatted, diagnostics) = format_input(b"name: [1\n".to_vec());
    assert!(formatted.is_none());
    assert_eq!(found(&diagnostics), ["syntax 1:7"]);
}

/// 16,000 commented lines took 58 s with a quadratic search for comments.
#[test]
fn a_long_file_is_laid_out_in_proportion() {
    let entry = |at: usize| {
        format!("  # about {at}\n  b{at}: {{ enabled: true,  # so\n    risk_level: low }}  # end\n")
    };
    let entries: String = (0..5_000).map(entry).collect();
    let protected = vec!["https://corp.okta.com"; 5_000].join(", ");
    let started = Instant::now();
    let after = formatted(&format!(
        "version: 1\nguards: {{ protected: [{protected}] }}\nbehaviors:\n{entries}"
    ));
    assert_eq!(after.matches('#').count(), 15_000);
    assert!(
        started.elapsed() < Duration::from_secs(60),
        "{:?}",
        started.elapsed()
    );
}

#[test]
fn the_examples_are_formatted() {
    for path in examples() {
        let text = std::fs::read_to_string(&path).unwrap();
        assert_eq!(formatted(&text), text, "{}", path.display());
    }
}

#[test]
fn formatting_changes_nothing_that_a_file_says() {
    for path in corpus("valid").into_iter().chain(corpus("invalid")) {
        let text = std::fs::read(&path).unwrap();
        let fleet = Fleet::new(&[]);
        fleet.write("before.yaml", &text);
        let (files, diagnostics) = format(&[fleet.path("before.yaml")], &AllowedRoot::default());
        let Some(file) = files.first() else {
            assert!(diagnostics.errors() > 0, "{}", path.display());
            continue;
        };
        fleet.write("after.yaml", file.after.as_bytes());
        match (fleet.load(&["before.yaml"]), fleet.load(&["after.yaml"])) {
            (Ok(before), Ok(after)) => {
                let all = |accounts: &[_]| accounts.iter().map(declared).collect::<Vec<_>>();
                assert_eq!(
                    all(&before.accounts),
                    all(&after.accounts),
                    "{}",
                    path.display()
                );
            }
            (Err(before), Err(after)) => {
                let rules = |diagnostics: &_| {
                    let mut rules = found(diagnostics);
                    rules
                        .iter_mut()
                        .for_each(|line| *line = line.split(' ').next().unwrap().to_owned());
                    rules.sort();
                    rules
                };
                assert_eq!(
                    rules(&before),
                    rules(&after),
                    "{}:\n{}",
                    path.display(),
                    file.after
                );
            }
            (before, after) => panic!("{}: {before:?} {after:?}", path.display()),
        }
    }
}

#[test]
fn what_can_not_be_laid_out_is_left_alone_with_a_reason() {
    let fleet = Fleet::new(&[
        ("keep.yaml", "version: 1\nname: |+\n  x\n\n\n"),
        ("syntax.yaml", "name: [1\n"),
        ("_fragment.yaml", "version:   1\n"),
    ]);
    let (files, diagnostics) = format(&[fleet.path("")], &AllowedRoot::default());
    assert_eq!(
        fleet.found(&diagnostics),
        ["keep.yaml layout", "syntax.yaml syntax 1:7"]
    );
    let [fragment] = files.as_slice() else {
        panic!("{files:?}");
    };
    assert!(fragment.is_changed() && fragment.path.ends_with("_fragment.yaml"));
}

/// An example file with random blanks, comments and line breaks.
fn disturbed() -> impl Strategy<Value = String> {
    let scrap = prop::sample::select(vec![
        " ",
        "  ",
        "\n",
        "\n\n",
        " # c\n",
        "# d\n",
        "    # e\n",
        "{ }",
        "[ ]",
        ", ",
        "'",
        "\t",
        "&a ",
        "- ",
    ]);
    let edits = prop::collection::vec((any::<prop::sample::Index>(), scrap), 1..6);
    (prop::sample::select(examples()), edits).prop_map(|(file, edits)| {
        let mut text = std::fs::read_to_string(file).unwrap();
        for (at, scrap) in edits {
            let mut at = at.index(text.len());
            while !text.is_char_boundary(at) {
                at -= 1;
            }
            text.insert_str(at, scrap);
        }
        text
    })
}

proptest! {
    /// Any file is either unchanged with a reason, or equivalent and stable after formatting.
    #[test]
    fn formatting_is_safe_and_settles(text in disturbed()) {
        let fleet = Fleet::new(&[("a.yaml", &text)]);
        let (files, diagnostics) = format(&[fleet.path("a.yaml")], &AllowedRoot::default());
        if let Some(file) = files.first() {
            fleet.write("b.yaml", file.after.as_bytes());
            let (again, _) = format(&[fleet.path("b.yaml")], &AllowedRoot::default());
            prop_assert_eq!(&again[0].after, &file.after);
            let load = |name: &str| load_paths(&[fleet.path(name)]).ok().map(|loaded| loaded.accounts.iter().map(declared).collect::<Vec<_>>());
            prop_assert_eq!(load("a.yaml"), load("b.yaml"));
        } else {
            prop_assert!(diagnostics.errors() > 0);
        }
    }
}
