//! Overriding files, directories of accounts, and inherited, removed and excluded entries.

use std::path::PathBuf;

use riskform::config::diagnostic::Diagnostics;
use riskform::config::load::Loaded;

use super::{Fleet, declared, found};

const A: &str = "version: 1\naccount_id: 0a000000000000000000000000000000\n";
const B: &str = "version: 1\naccount_id: 0b000000000000000000000000000000\n";

/// Paths and texts.
type Files = &'static [(&'static str, &'static str)];

/// Loads a directory of files.
fn load(files: &[(&str, &str)]) -> Result<Loaded, Box<Diagnostics>> {
    Fleet::new(files).load(&[""])
}

/// Returns the sources of the accounts and the first two digits of their IDs.
fn accounts(loaded: &Loaded) -> Vec<String> {
    loaded
        .accounts
        .iter()
        .map(|account| {
            let file = PathBuf::from(&*account.source);
            let name = file.file_name().unwrap().to_string_lossy().into_owned();
            format!("{name} {}", &account.account_id.as_str()[..2])
        })
        .collect()
}

/// Returns the declarations of the only account.
fn only(loaded: &Loaded) -> serde_json::Value {
    let [account] = loaded.accounts.as_slice() else {
        panic!("one account is expected: {loaded:?}");
    };
    declared(account)
}

#[test]
fn an_extending_file_says_the_same_as_one_that_writes_everything_out() {
    let table: &[(&str, Files, &str)] = &[
        (
            "maps merge key by key and the extending file wins",
            &[
                (
                    "_base.yaml",
                    "version: 1\nname: base\nbehaviors:\n  a: { enabled: true, risk_level: low }\n  b: { enabled: true }\n",
                ),
                (
                    "a.yaml",
                    "extends: [_base.yaml]\nname: own\nbehaviors:\n  a: { risk_level: high }\n",
                ),
            ],
            "name: own\nbehaviors:\n  a: { enabled: true, risk_level: high }\n  b: { enabled: true }\n",
        ),
        (
            "of several the later wins",
            &[
                (
                    "_one.yaml",
                    "version: 1\nbehaviors: { a: { risk_level: low, enabled: true } }\n",
                ),
                (
                    "_two.yaml",
                    "version: 1\nbehaviors: { a: { risk_level: high } }\n",
                ),
                ("a.yaml", "extends: [_one.yaml, _two.yaml]\n"),
            ],
            "behaviors: { a: { risk_level: high, enabled: true } }\n",
        ),
        (
            "a chain lies beneath its last file",
            &[
                (
                    "_one.yaml",
                    "version: 1\nunlisted: { behaviors: report, integrations: keep }\n",
                ),
                (
                    "_two.yaml",
                    "version: 1\nextends: [_one.yaml]\nunlisted: { integrations: delete }\n",
                ),
                ("a.yaml", "extends: [_two.yaml]\n"),
            ],
            "unlisted: { behaviors: report, integrations: delete }\n",
        ),
        (
            "lists are replaced, and lifecycle merges key by key",
            &[
                (
                    "_base.yaml",
                    "version: 1\nintegrations:\n  o: { tenant_url: https://o.okta.com, lifecycle: { prevent_destroy: true, ignore_changes: [active] } }\n",
                ),
                (
                    "a.yaml",
                    "extends: [_base.yaml]\nintegrations: { o: { lifecycle: { ignore_changes: [tenant_url] } } }\n",
                ),
            ],
            "integrations:\n  o: { tenant_url: https://o.okta.com, lifecycle: { prevent_destroy: true, ignore_changes: [tenant_url] } }\n",
        ),
        (
            "protected is the union, in the order of the files",
            &[
                (
                    "_base.yaml",
                    "version: 1\nguards: { max_deletes: 5, protected: [x, y] }\n",
                ),
                (
                    "a.yaml",
                    "extends: [_base.yaml]\nguards: { protected: [y, z] }\n",
                ),
            ],
            "guards: { max_deletes: 5, protected: [x, y, z] }\n",
        ),
        (
            "null takes an entry away",
            &[
                (
                    "_base.yaml",
                    "version: 1\nbehaviors: { a: { enabled: true }, b: { enabled: true } }\nintegrations: { o: { tenant_url: https://o.okta.com } }\n",
                ),
                (
                    "a.yaml",
                    "extends: [_base.yaml]\nbehaviors: { b: null }\nintegrations:\n  o:\n",
                ),
            ],
            "behaviors: { a: { enabled: true } }\n",
        ),
        (
            "what was taken away comes back without its past",
            &[
                (
                    "_base.yaml",
                    "version: 1\nbehaviors: { a: { enabled: true, risk_level: low } }\n",
                ),
                (
                    "_none.yaml",
                    "version: 1\nextends: [_base.yaml]\nbehaviors: { a: null }\n",
                ),
                (
                    "a.yaml",
                    "extends: [_none.yaml]\nbehaviors: { a: { risk_level: high } }\n",
                ),
            ],
            "behaviors: { a: { risk_level: high } }\n",
        ),
        (
            "a later file takes away what an earlier one brought",
            &[
                (
                    "_base.yaml",
                    "version: 1\nbehaviors: { a: { enabled: true } }\n",
                ),
                ("_none.yaml", "version: 1\nbehaviors: { a: null }\n"),
                ("a.yaml", "extends: [_base.yaml, _none.yaml]\n"),
            ],
            "",
        ),
        (
            "a reference and a provider's name replace each other, and null removes one",
            &[
                (
                    "_base.yaml",
                    "version: 1\nintegrations:\n  o: { tenant_url: https://o.okta.com, reference_id: r }\n  p: { tenant_url: https://p.okta.com, identity_provider: P }\n  q: { tenant_url: https://q.okta.com, reference_id: r2 }\n",
                ),
                (
                    "a.yaml",
                    "extends: [_base.yaml]\nintegrations: { o: { identity_provider: O }, p: { reference_id: r }, q: { reference_id: null } }\n",
                ),
            ],
            "integrations:\n  o: { tenant_url: https://o.okta.com, identity_provider: O }\n  p: { tenant_url: https://p.okta.com, reference_id: r }\n  q: { tenant_url: https://q.okta.com }\n",
        ),
        (
            "null removes an inherited field, and what was not inherited counts as left out",
            &[
                (
                    "_base.yaml",
                    "version: 1\nbehaviors: { a: { enabled: true, risk_level: low } }\n",
                ),
                (
                    "a.yaml",
                    "extends: [_base.yaml]\nbehaviors: { a: { risk_level: null }, b: { enabled: true, risk_level: null } }\n",
                ),
            ],
            "behaviors: { a: { enabled: true }, b: { enabled: true } }\n",
        ),
        (
            "the star merges key by key as any other entry",
            &[
                (
                    "_base.yaml",
                    "version: 1\nbehaviors: { \"*\": { enabled: true }, a: { risk_level: low }, b: { enabled: false } }\n",
                ),
                (
                    "a.yaml",
                    "extends: [_base.yaml]\nbehaviors: { \"*\": { risk_level: high } }\n",
                ),
            ],
            "behaviors: { \"*\": { enabled: true, risk_level: high }, a: { risk_level: low }, b: { enabled: false } }\n",
        ),
        (
            "beside a star, null is not managed, inherited or not",
            &[
                (
                    "_base.yaml",
                    "version: 1\nbehaviors: { a: { enabled: true }, b: null }\n",
                ),
                (
                    "a.yaml",
                    "extends: [_base.yaml]\nbehaviors: { \"*\": { enabled: true }, a: null }\n",
                ),
            ],
            "behaviors: { \"*\": { enabled: true }, a: null, b: null }\n",
        ),
        (
            "null takes the star away, and null beside it then takes its entry away",
            &[
                (
                    "_base.yaml",
                    "version: 1\nbehaviors: { \"*\": { enabled: true }, a: { risk_level: low }, b: { enabled: true } }\n",
                ),
                (
                    "a.yaml",
                    "extends: [_base.yaml]\nbehaviors: { \"*\": null, b: null }\n",
                ),
            ],
            "behaviors: { a: { risk_level: low } }\n",
        ),
        (
            "a fragment may stand elsewhere, and extend what stands beside it",
            &[
                (
                    "shared/_base.yaml",
                    "version: 1\nextends: [./_deeper.yaml]\n",
                ),
                ("shared/_deeper.yaml", "version: 1\nname: deep\n"),
                ("a.yaml", "extends: [shared/_base.yaml]\n"),
            ],
            "name: deep\n",
        ),
    ];
    for (what, files, same) in table {
        let files: Vec<(&str, String)> = files
            .iter()
            .map(|(path, text)| match *path {
                "a.yaml" => (*path, format!("{A}{text}")),
                _ => (*path, (*text).to_owned()),
            })
            .collect();
        let files: Vec<(&str, &str)> = files.iter().map(|(p, t)| (*p, t.as_str())).collect();
        let extended = load(&files).unwrap_or_else(|error| panic!("{what}:\n{error}"));
        let written_out = load(&[("a.yaml", &format!("{A}{same}"))]).unwrap();
        assert_eq!(only(&extended), only(&written_out), "{what}");
    }
}

#[test]
fn a_directory_is_a_fleet() {
    let fleet = Fleet::new(&[
        ("b.yaml", B),
        ("deep/er/a.yml", A),
        ("_fragment.yaml", "version: 1\n"),
        ("_fragments/c.yaml", "version: 1\n"),
        (".hidden/d.yaml", "not: ours\n"),
        ("notes.txt", "not: ours\n"),
    ]);
    std::os::unix::fs::symlink(".", fleet.path("loop")).unwrap();
    std::os::unix::fs::symlink("../b.yaml", fleet.path("deep/again.yaml")).unwrap();
    let loaded = fleet.load(&[""]).unwrap();
    assert_eq!(accounts(&loaded), ["b.yaml 0b", "a.yml 0a"]);
    assert_eq!(loaded.warnings.to_string(), "0 errors");
}

#[test]
fn directory_takes_any_letter_case_and_counts_json_files() {
    let fleet = Fleet::new(&[
        ("north.YAML", A),
        ("south.Yml", B),
        ("west.json", "{}"),
        ("deep/east.JSON", "{}"),
        ("_fragment.json", "{}"),
    ]);
    let loaded = fleet.load(&[""]).unwrap();
    assert_eq!(accounts(&loaded), ["north.YAML 0a", "south.Yml 0b"]);
    let warnings = loaded.warnings.to_string();
    assert_eq!(found(&loaded.warnings), ["json-skipped"]);
    assert!(warnings.contains("2 .json files skipped"), "{warnings}");
    let named = r#"{ "$schema": "../schema/config.schema.json", "version": 1, "account_id": "0c000000000000000000000000000000" }"#;
    let fleet = Fleet::new(&[("west.json", named)]);
    assert_eq!(
        accounts(&fleet.load(&["west.json"]).unwrap()),
        ["west.json 0c"]
    );
}

#[test]
fn accounts_are_sorted_by_source_and_then_by_id() {
    let several = format!("{B}---\n{A}");
    let one = "version: 1\naccount_id: 0c000000000000000000000000000000\n";
    let loaded = load(&[("z.yaml", &several), ("y.yaml", one)]).unwrap();
    assert_eq!(accounts(&loaded), ["y.yaml 0c", "z.yaml 0a", "z.yaml 0b"]);
}

#[test]
fn what_goes_wrong_between_files_names_both() {
    let table: &[(&str, Files, &[&str], &str)] = &[
        (
            "a mistake in a fragment stands in the fragment and says who pulled it in",
            &[
                ("_base.yaml", "version: 1\nbehaviour: {}\n"),
                (
                    "a.yaml",
                    "version: 1\naccount_id: 0a000000000000000000000000000000\nextends: [_base.yaml]\n",
                ),
            ],
            &["_base.yaml unknown-key 2:1"],
            "extended by a.yaml:3:11",
        ),
        (
            "a fragment that many extend is at fault once",
            &[
                (
                    "_base.yaml",
                    "version: 1\nintegrations: { o: { active: true } }\n",
                ),
                (
                    "a.yaml",
                    "version: 1\naccount_id: 0a000000000000000000000000000000\nextends: [_base.yaml]\n",
                ),
                (
                    "b.yaml",
                    "version: 1\naccount_id: 0b000000000000000000000000000000\nextends: [_base.yaml]\n",
                ),
            ],
            &["_base.yaml missing-key 2:17"],
            "merged into a.yaml",
        ),
        (
            "a missing file shows the chain",
            &[
                ("_base.yaml", "version: 1\nextends: [_gone.yaml]\n"),
                (
                    "a.yaml",
                    "version: 1\naccount_id: 0a000000000000000000000000000000\nextends: [_base.yaml]\n",
                ),
            ],
            &["_base.yaml extends 2:11"],
            "`extends` chain: a.yaml → _base.yaml → _gone.yaml",
        ),
        (
            "a cycle shows the chain",
            &[
                ("_one.yaml", "version: 1\nextends: [_two.yaml]\n"),
                ("_two.yaml", "version: 1\nextends: [_one.yaml]\n"),
                (
                    "a.yaml",
                    "version: 1\naccount_id: 0a000000000000000000000000000000\nextends: [_one.yaml]\n",
                ),
            ],
            &["_two.yaml extends-cycle 2:11"],
            "`extends` cycle: _one.yaml → _two.yaml → _one.yaml",
        ),
        (
            "a file that extends itself",
            &[("a.yaml", "version: 1\nextends: [a.yaml]\n")],
            &["a.yaml extends-cycle 2:11"],
            "`extends` cycle: a.yaml → a.yaml",
        ),
        (
            "a fragment is one document",
            &[
                ("_base.yaml", "version: 1\n---\nversion: 1\n"),
                (
                    "a.yaml",
                    "version: 1\naccount_id: 0a000000000000000000000000000000\nextends: [_base.yaml]\n",
                ),
            ],
            &["a.yaml extends 3:11"],
            "_base.yaml contains several documents",
        ),
        (
            "a directory can't be extended",
            &[
                ("_base/x.yaml", "version: 1\n"),
                ("a.yaml", "version: 1\nextends: [_base]\n"),
            ],
            &["a.yaml extends 2:11"],
            "_base: expected a file, found a directory",
        ),
        (
            "two documents for one account",
            &[("a.yaml", A), ("b.yaml", A)],
            &["b.yaml duplicate-account 2:13"],
            "a.yaml:2:13",
        ),
        (
            "a name stands for one account, and an id is a name where there is none",
            &[
                ("a.yaml", A),
                (
                    "b.yaml",
                    "version: 1\naccount_id: 0b000000000000000000000000000000\nname: 0a000000000000000000000000000000\n",
                ),
            ],
            &["b.yaml duplicate-name 3:7"],
            "a.yaml:2:13",
        ),
        (
            "what takes nothing away",
            &[
                (
                    "_base.yaml",
                    "version: 1\nbehaviors: { a: { enabled: true } }\n",
                ),
                (
                    "a.yaml",
                    "version: 1\naccount_id: 0a000000000000000000000000000000\nextends: [_base.yaml]\nbehaviors: { b: null }\n",
                ),
            ],
            &["a.yaml nothing-to-remove 4:14"],
            "behavior.b: null has no effect",
        ),
        (
            "a star that takes nothing away",
            &[(
                "a.yaml",
                "version: 1\naccount_id: 0a000000000000000000000000000000\nbehaviors: { \"*\": null }\n",
            )],
            &["a.yaml nothing-to-remove 3:14"],
            "behavior.*: null has no effect",
        ),
        (
            "a reference that is named twice in one file",
            &[(
                "a.yaml",
                "version: 1\naccount_id: 0a000000000000000000000000000000\nintegrations: { o: { tenant_url: https://o.okta.com, reference_id: 3701e70b-5de4-4d9d-8972-f5aa994d9057, identity_provider: O } }\n",
            )],
            &["a.yaml two-references 3:125"],
            "keep `reference_id` or `identity_provider`",
        ),
        (
            "a variable that files may use holds no token",
            &[
                (
                    "_base.yaml",
                    "version: 1\nintegrations: { o: { tenant_url: \"https://${CLOUDFLARE_ACME_ACCOUNT_ID}.okta.com\" } }\n",
                ),
                (
                    "a.yaml",
                    "version: 1\naccount_id: 0a000000000000000000000000000000\nextends: [_base.yaml]\n",
                ),
                (
                    "b.yaml",
                    "version: 1\naccount_id: 0b000000000000000000000000000000\napi_token_env: CLOUDFLARE_ACME_ACCOUNT_ID\n",
                ),
            ],
            &["b.yaml variable-name 3:16"],
            "does not end with `_ACCOUNT_ID`",
        ),
        (
            "fragments alone declare no account",
            &[("_base.yaml", "version: 1\n")],
            &["nothing-to-load"],
            "no desired-state files found",
        ),
    ];
    for (what, files, expected, said) in table {
        let fleet = Fleet::new(files);
        let diagnostics = fleet.load(&[""]).unwrap_err();
        let shown = fleet.shown(&diagnostics.to_string());
        let mut found = fleet.found(&diagnostics);
        found
            .iter_mut()
            .for_each(|line| *line = line.trim_start().to_owned());
        assert_eq!(found, *expected, "{what}:\n{shown}");
        assert!(
            shown.contains(said),
            "{what}: {said:?} is missing in\n{shown}"
        );
    }
}

#[test]
fn a_fragment_named_on_the_command_line_is_checked_but_is_no_account() {
    let fleet = Fleet::new(&[
        ("_base.yaml", "version: 1\nbehaviors: { a: null }\n"),
        ("a.yaml", A),
    ]);
    let alone = fleet.load(&["_base.yaml"]).unwrap_err();
    assert_eq!(found(&alone), ["nothing-to-load"]);
    let together = fleet.load(&["_base.yaml", "a.yaml"]).unwrap();
    assert_eq!(accounts(&together), ["a.yaml 0a"]);
}

#[test]
fn an_account_id_comes_from_the_file_else_the_flag_else_the_environment() {
    let id = |digit: &str| Some(digit.repeat(32).parse().unwrap());
    let own = "version: 1\naccount_id: 11111111111111111111111111111111\n";
    let none = "version: 1\n";
    let table = [
        (own, None, None, Ok("1")),
        (own, None, id("2"), Ok("1")),
        (own, id("1"), id("2"), Ok("1")),
        (own, id("3"), None, Err("account-id-conflict 2:13")),
        (none, id("3"), id("2"), Ok("3")),
        (none, None, id("2"), Ok("2")),
        (none, None, None, Err("missing-account-id 1:1")),
    ];
    for (text, flag, default, expected) in table {
        let fleet = Fleet::new(&[("a.yaml", text)]);
        match (fleet.load_as(&["a.yaml"], flag, default), expected) {
            (Ok(loaded), Ok(digit)) => {
                assert_eq!(loaded.accounts[0].account_id.as_str(), digit.repeat(32));
            }
            (Err(diagnostics), Err(rule)) => assert_eq!(found(&diagnostics), [rule]),
            (result, expected) => panic!("{result:?} instead of {expected:?}"),
        }
    }
}

#[test]
fn a_long_chain_and_a_wide_one_are_refused() {
    let mut files: Vec<(String, String)> = (0..100)
        .map(|i| {
            (
                format!("_{i}.yaml"),
                format!("version: 1\nextends: [_{}.yaml]\n", i + 1),
            )
        })
        .collect();
    files.push(("_100.yaml".to_owned(), "version: 1\n".to_owned()));
    files.push(("a.yaml".to_owned(), format!("{A}extends: [_0.yaml]\n")));
    let files: Vec<(&str, &str)> = files
        .iter()
        .map(|(p, t)| (p.as_str(), t.as_str()))
        .collect();
    let diagnostics = load(&files).unwrap_err();
    assert!(
        diagnostics.to_string().contains("more than 64 files"),
        "{diagnostics}"
    );

    // Every level doubles the files below: 2^40 in total.
    let mut files: Vec<(String, String)> = (0..40)
        .map(|i| {
            (
                format!("_{i}.yaml"),
                format!("version: 1\nextends: [_{0}.yaml, _{0}.yaml]\n", i + 1),
            )
        })
        .collect();
    files.push(("_40.yaml".to_owned(), "version: 1\n".to_owned()));
    files.push(("a.yaml".to_owned(), format!("{A}extends: [_0.yaml]\n")));
    let files: Vec<(&str, &str)> = files
        .iter()
        .map(|(p, t)| (p.as_str(), t.as_str()))
        .collect();
    let diagnostics = load(&files).unwrap_err();
    assert!(
        diagnostics.to_string().contains("more than 64 files"),
        "{diagnostics}"
    );
}
