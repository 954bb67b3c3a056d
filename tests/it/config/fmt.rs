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
fn files_are_laid_out_canonically() {
    let table = [
        (
            "keys are brought into order, and sections set apart",
            "guards: {max_deletes: 2}\nbehaviors:\n    b:   {risk_level: high,enabled: true}\n    a:  {enabled: false}\naccount_id:   x\nversion:  1\n",
            "version: 1\naccount_id: x\n\nbehaviors:\n  b: { enabled: true, risk_level: high }\n  a: { enabled: false }\nguards: { max_deletes: 2 }\n",
        ),
        (
            "comments stay with what they are about, and the header on top",
            "# header\n\n# about guards\nguards:\n  max_deletes: 2 # two\n  # last\n# about version\nversion: 1 # one\n# the end\n",
            "# header\n\n# about guards\n# about version\nversion: 1  # one\n\nguards:\n  max_deletes: 2  # two\n  # last\n# the end\n",
        ),
        (
            "one-line mappings and comments that follow each other are aligned",
            "behaviors:\n  a: {enabled: true} # x\n  long_one: {enabled: true, risk_level: low} # y\n\n  c: {enabled: true}\n",
            "behaviors:\n  a:        { enabled: true }                   # x\n  long_one: { enabled: true, risk_level: low }  # y\n\n  c: { enabled: true }\n",
        ),
        (
            "blank lines are kept, but one is enough",
            "\n\nversion: 1\n\n\n\nname: x\nextends: [a]\n\n\n",
            "version: 1\n\nname: x\nextends: [a]\n",
        ),
        (
            "comments within braces ask for a line each",
            "behaviors:\n  a: { # first\n    enabled: true, # second\n    # third\n    risk_level: low\n  } # fourth\n",
            "behaviors:\n  # first\n  a:               # fourth\n    enabled: true  # second\n    # third\n    risk_level: low\n",
        ),
        (
            "what is too long for a line gets several",
            "guards: { protected: [https://aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.example, https://bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb.example] }\n",
            "guards:\n  protected:\n    - https://aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.example\n    - https://bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb.example\n",
        ),
        (
            "lists under a key are indented, and what spans lines is put on one",
            "integrations:\n  o:\n    lifecycle:\n      ignore_changes:\n      - active\n      - field: active\n        reason: >-\n          because\n          of this\n",
            "integrations:\n  o:\n    lifecycle:\n      ignore_changes:\n        - active\n        - field: active\n          reason: \"because of this\"\n",
        ),
        (
            "documents and their markers",
            "---\nversion: 1\n---\n# nothing\n---\nversion:   1\n...\n",
            "---\nversion: 1\n---\n# nothing\n---\nversion: 1\n",
        ),
        (
            "a document with anchors keeps its order",
            "name: &n x\nversion: 1\naccount_id: *n\nbehaviors: &b\n  a: &e {enabled: true}\n  c: *e\n",
            "name: &n x\nversion: 1\naccount_id: *n\n\nbehaviors: &b\n  a: &e { enabled: true }\n  c: *e\n",
        ),
        (
            "null stays as it is written",
            "behaviors:\n  a:\n  b: null\n  c: ~\n",
            "behaviors:\n  a:\n  b: null\n  c: ~\n",
        ),
        (
            "line ends of the other kind are kept",
            "version:  1\r\nname: x\r\n",
            "version: 1\r\nname: x\r\n",
        ),
        (
            "quotes are kept",
            "name:   'no'\naccount_id: \"1\"\n",
            "account_id: \"1\"\nname: 'no'\n",
        ),
        ("only a comment", "# nothing\n", "# nothing\n"),
        (
            "block scalars are texts as any other",
            "version: 1\nname: >-\n  production\nintegrations:\n  o:\n    lifecycle:\n      ignore_changes:\n        - reason: |  # why\n            because\n          field: active\n",
            "version: 1\nname: production\n\nintegrations:\n  o:\n    lifecycle:\n      ignore_changes:\n        - field: active\n          reason: \"because\\n\"  # why\n",
        ),
        (
            "quoted keys are keys as any other",
            "\"behaviors\": {a: {'risk_level': low, 'enabled': true}}\n'version': 1\n",
            "'version': 1\n\"behaviors\": { a: { 'enabled': true, 'risk_level': low } }\n",
        ),
        (
            "a comment behind a dash stands above the item",
            "guards:\n  protected:\n    - a  # one\n    # two\n    - b\n",
            "guards:\n  protected:\n    - a  # one\n    # two\n    - b\n",
        ),
        (
            "one long key doesn't pad all others",
            "behaviors:\n  a: {enabled: true}\n  aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa: {enabled: true}\n",
            "behaviors:\n  a: { enabled: true }\n  aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa: { enabled: true }\n",
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
        "{\n  \"version\": 1,\n  \"name\": \"no\",\n  \"behaviors\": {\n    \"a\": {\n      \"enabled\": true,\n      \"risk_level\": \"low\"\n    }\n  }\n}\n"
    );
    assert_eq!(fleet.found(&diagnostics), ["b.json layout"]);
}

#[test]
fn standard_input_is_laid_out_as_a_file() {
    let (formatted, diagnostics) = format_input(b"name:  x\nversion:   1\n".to_vec());
    assert_eq!(formatted.unwrap().after, "version: 1\nname: x\n");
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
        ("directive.yaml", "%YAML 1.2\n---\nversion: 1\n"),
        ("syntax.yaml", "name: [1\n"),
        ("_fragment.yaml", "version:   1\n"),
    ]);
    let (files, diagnostics) = format(&[fleet.path("")], &AllowedRoot::default());
    assert_eq!(
        fleet.found(&diagnostics),
        ["directive.yaml layout", "syntax.yaml syntax 1:7"]
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
