//! Base files, directories of accounts, and inherited, removed and excluded entries.

use std::path::Path;

use super::{Fleet, TEST_ACCOUNT, corpus, declared, expected, found};

const OTHER_ACCOUNT: &str = "version: 1\naccount_id: 0b000000000000000000000000000000\n";

/// Returns the sources of the accounts and the first two digits of their IDs.
fn accounts(fleet: &Fleet, paths: &[&str]) -> Vec<String> {
    let loaded = fleet.load(paths).unwrap();
    let accounts = loaded.accounts.iter();
    accounts
        .map(|account| {
            let name = Path::new(&*account.source).file_name().unwrap();
            format!("{} {}", name.display(), &account.account_id.as_str()[..2])
        })
        .collect()
}

/// A fixture contains several files, each below its name. They declare the same as `same.yaml`, or have the mistakes that the comments list.
#[test]
fn base_files_merge_or_are_rejected() {
    for path in corpus("extends") {
        let text = std::fs::read_to_string(&path).unwrap();
        let mut parts = text.split("-- ");
        let comments = parts.next().unwrap();
        let mut files: Vec<(&str, &str)> = parts
            .map(|part| part.split_once(" --\n").unwrap())
            .collect();
        let same = files.pop_if(|(name, _)| *name == "same.yaml");
        let fleet = Fleet::new(&files);
        match (fleet.load(&[""]), same) {
            (Ok(merged), Some((name, text))) => {
                let whole = Fleet::new(&[(name, text)]).load(&[""]).unwrap();
                let [merged, whole] =
                    [merged, whole].map(|loaded| declared(loaded.accounts.first().unwrap()));
                assert_eq!(merged, whole, "{}", path.display());
            }
            (Err(diagnostics), None) => {
                let shown = fleet.shown(&diagnostics.to_string());
                let found = fleet.found(&diagnostics);
                assert_eq!(found, expected(&path), "{}:\n{shown}", path.display());
                let message = comments.split_once("# message: ").unwrap().1.trim();
                assert!(shown.contains(message), "{message}:\n{shown}");
            }
            (result, _) => panic!("{}: {result:?}", path.display()),
        }
    }
}

#[test]
fn directory_declares_the_accounts_of_its_files() {
    let fleet = Fleet::new(&[
        ("b.yaml", OTHER_ACCOUNT),
        ("deep/er/a.yml", TEST_ACCOUNT),
        ("_fragment.yaml", "version: 1\n"),
        ("_fragments/c.yaml", "version: 1\n"),
        (".hidden/d.yaml", "not: ours\n"),
        ("notes.txt", "not: ours\n"),
    ]);
    std::os::unix::fs::symlink(".", fleet.path("loop")).unwrap();
    std::os::unix::fs::symlink("../b.yaml", fleet.path("deep/again.yaml")).unwrap();
    assert_eq!(accounts(&fleet, &[""]), ["b.yaml 0b", "a.yml 0a"]);
    assert!(fleet.load(&[""]).unwrap().diagnostics.is_empty());
}

#[test]
fn directory_takes_any_letter_case_and_counts_json_files() {
    let json = TEST_ACCOUNT.replace("version: 1\n", "{ version: 1, $schema: x, ") + "}";
    let fleet = Fleet::new(&[
        ("north.YAML", TEST_ACCOUNT),
        ("south.Yml", OTHER_ACCOUNT),
        ("west.json", &json),
        ("deep/east.JSON", "{}"),
        ("_fragment.json", "{}"),
    ]);
    assert_eq!(accounts(&fleet, &[""]), ["north.YAML 0a", "south.Yml 0b"]);
    let warnings = fleet.load(&[""]).unwrap().diagnostics;
    assert_eq!(found(&warnings), ["json-skipped"]);
    let warnings = warnings.to_string();
    assert!(warnings.contains("2 .json files skipped"), "{warnings}");
    assert_eq!(accounts(&fleet, &["west.json"]), ["west.json 0a"]);
}

#[test]
fn accounts_are_sorted_by_source_and_id() {
    let several = format!("{OTHER_ACCOUNT}---\n{TEST_ACCOUNT}");
    let one = "version: 1\naccount_id: 0c000000000000000000000000000000\n";
    let fleet = Fleet::new(&[("z.yaml", &several), ("y.yaml", one)]);
    assert_eq!(
        accounts(&fleet, &[""]),
        ["y.yaml 0c", "z.yaml 0a", "z.yaml 0b"]
    );
}

#[test]
fn fragment_on_the_command_line_declares_no_account() {
    let fragment = "version: 1\nbehaviors: { a: null }\n";
    let fleet = Fleet::new(&[("_base.yaml", fragment), ("a.yaml", TEST_ACCOUNT)]);
    let alone = fleet.load(&["_base.yaml"]).unwrap_err();
    assert_eq!(found(&alone), ["nothing-to-load"]);
    assert_eq!(accounts(&fleet, &["_base.yaml", "a.yaml"]), ["a.yaml 0a"]);
}

#[test]
fn account_id_comes_from_file_flag_or_environment() {
    let id = |digit: &str| Some(digit.repeat(32).parse().unwrap());
    let own = "version: 1\naccount_id: 11111111111111111111111111111111\n";
    let none = "version: 1\n";
    for (text, flag, default, expected) in [
        (own, None, None, Ok("1")),
        (own, None, id("2"), Ok("1")),
        (own, id("1"), id("2"), Ok("1")),
        (own, id("3"), None, Err("account-id-conflict 2:13")),
        (none, id("3"), id("2"), Ok("3")),
        (none, None, id("2"), Ok("2")),
        (none, None, None, Err("missing-account-id 1:1")),
    ] {
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

/// In the second fleet, every level doubles the files below: 2^40 in total.
#[test]
fn account_extends_at_most_64_files() {
    for (depth, width) in [(100, 1), (40, 2)] {
        let fleet = Fleet::new(&[("a.yaml", &format!("{TEST_ACCOUNT}extends: [_0.yaml]\n"))]);
        for level in 0..depth {
            let below = vec![format!("_{}.yaml", level + 1); width].join(", ");
            let text = format!("version: 1\nextends: [{below}]\n");
            fleet.write(&format!("_{level}.yaml"), text.as_bytes());
        }
        fleet.write(&format!("_{depth}.yaml"), b"version: 1\n");
        let diagnostics = fleet.load(&["a.yaml"]).unwrap_err();
        assert_eq!(diagnostics.errors(), 1);
        let shown = diagnostics.to_string();
        assert!(shown.contains("more than 64 files"), "{shown}");
    }
}
