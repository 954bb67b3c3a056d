//! The desired-state format: fixtures of valid and invalid files.

mod composition;
mod confinement;
mod examples;
mod export;
mod fmt;
mod hostile;
mod schema;

use std::path::{Path, PathBuf};

use jiff::civil::{Date, date};
use riskform::config::diagnostic::Diagnostics;
use riskform::config::files::AllowedRoot;
use riskform::config::load::{Checked, LoadOptions, load, load_limits};
use riskform::model::account::{AccountId, DesiredAccount};
use serde_json::Value;
use tempfile::TempDir;

const TODAY: Date = date(2026, 11, 22);
/// A file that declares an account.
const TEST_ACCOUNT: &str = "version: 1\naccount_id: 0a000000000000000000000000000000\n";

/// The environment of the tests.
fn variable(name: &str) -> Option<String> {
    let value = match name {
        "TEST_ACCOUNT_ID" => "023e105f4ecef8ad9ca31a8372d0c353",
        "RISKFORM_VAR_FLAG" => "true",
        "RISKFORM_VAR_WORD" => "perhaps",
        "RISKFORM_VAR_COUNT" => "3",
        "RISKFORM_VAR_TENANT" => "corp",
        "RISKFORM_VAR_URL" => "http://very-private.example",
        "RISKFORM_VAR_EMPTY" => "",
        "CLOUDFLARE_DEPLOY"
        | "CLOUDFLARE_ACME_ACCOUNT_ID"
        | "CLOUDFLARE_API_TOKEN"
        | "GH_PAT"
        | "CI_URL" => "very-private",
        _ => return None,
    };
    Some(value.to_owned())
}

fn load_paths(paths: &[PathBuf]) -> Result<Checked, Box<Diagnostics>> {
    load_checked(&LoadOptions {
        paths,
        account_id: None,
        default_account_id: None,
        confinement: &AllowedRoot::default(),
        limits_file: None,
        variables: &variable,
        today: TODAY,
    })
}

/// Loads files. Whatever a file can declare, a saved plan can, too.
fn load_checked(options: &LoadOptions<'_>) -> Result<Checked, Box<Diagnostics>> {
    let loaded = load(options)?;
    for account in &loaded.accounts {
        assert_eq!(account.check(), [""; 0], "{}", account.source);
    }
    Ok(loaded)
}

/// A directory of files, deleted with the test.
struct Fleet {
    directory: TempDir,
}

impl Fleet {
    fn new(files: &[(&str, &str)]) -> Fleet {
        let fleet = Fleet {
            directory: TempDir::new().unwrap(),
        };
        for (path, text) in files {
            fleet.write(path, text.as_bytes());
        }
        fleet
    }

    fn path(&self, path: &str) -> PathBuf {
        self.directory.path().join(path)
    }

    fn write(&self, path: &str, bytes: &[u8]) {
        let path = self.path(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }

    fn load(&self, paths: &[&str]) -> Result<Checked, Box<Diagnostics>> {
        self.load_as(paths, None, None)
    }

    fn load_as(
        &self,
        paths: &[&str],
        account_id: Option<AccountId>,
        default_account_id: Option<AccountId>,
    ) -> Result<Checked, Box<Diagnostics>> {
        let paths: Vec<PathBuf> = paths.iter().map(|path| self.path(path)).collect();
        load_checked(&LoadOptions {
            paths: &paths,
            account_id,
            default_account_id,
            confinement: &AllowedRoot::default(),
            limits_file: None,
            variables: &variable,
            today: TODAY,
        })
    }

    /// Removes the path of the directory from a text.
    fn shown(&self, text: &str) -> String {
        let directory = format!("{}/", self.directory.path().display());
        text.replace(&directory, "")
    }

    /// Returns one line per diagnostic: `file rule line:column`.
    fn found(&self, diagnostics: &Diagnostics) -> Vec<String> {
        let lines = found(diagnostics);
        let files = diagnostics
            .iter()
            .map(|one| self.shown(&one.primary.place.file));
        files
            .zip(lines)
            .map(|(file, line)| format!("{file} {line}").trim().to_owned())
            .collect()
    }
}

/// Returns all fixtures of a kind, sorted.
fn corpus(kind: &str) -> Vec<PathBuf> {
    let directory = std::fs::read_dir(Path::new("tests/fixtures/config").join(kind));
    let mut files: Vec<PathBuf> = directory
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    assert!(!files.is_empty());
    files
}

/// Returns all desired-state files of the examples, including fragments, sorted.
fn examples() -> Vec<PathBuf> {
    let yaml_in = |directory: &str| {
        let entries = std::fs::read_dir(directory).unwrap();
        let paths = entries.map(|entry| entry.unwrap().path());
        paths.filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "yaml")
        })
    };
    let directories = ["examples", "examples/fleet", "examples/fleet/subsidiaries"];
    let mut files: Vec<PathBuf> = directories.into_iter().flat_map(yaml_in).collect();
    files.sort();
    files
}

/// Returns one line per diagnostic: `rule line:column`.
fn found(diagnostics: &Diagnostics) -> Vec<String> {
    diagnostics
        .iter()
        .map(|one| match &one.primary.place.region {
            Some(region) => format!("{} {}:{}", one.rule, region.line, region.column),
            None => one.rule.to_string(),
        })
        .collect()
}

/// Returns the declarations of an account, without locations.
fn declared(account: &DesiredAccount) -> Value {
    let mut value = serde_json::to_value(account).unwrap();
    forget_locations(&mut value);
    let account = value.as_object_mut().unwrap();
    account.remove("source");
    if let Some(Value::Object(unmanaged)) = account.get_mut("unmanaged") {
        // These consist of a location only.
        unmanaged
            .values_mut()
            .for_each(|place| *place = Value::Null);
    }
    value
}

fn forget_locations(value: &mut Value) {
    match value {
        Value::Object(map) => {
            map.remove("location");
            map.values_mut().for_each(forget_locations);
        }
        Value::Array(list) => list.iter_mut().for_each(forget_locations),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// Returns the expected diagnostics of a fixture.
fn expected(path: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(path).unwrap();
    let lines = text
        .lines()
        .filter_map(|line| line.strip_prefix("# expect: "));
    lines.map(str::to_owned).collect()
}

/// Comments at the top of a fixture list the expected diagnostics: `# expect: unknown-key 5:3`, in order.
fn check_rejected(path: &Path, diagnostics: &Diagnostics) {
    let (name, found) = (path.display(), found(diagnostics));
    assert_eq!(found, expected(path), "{name}:\n{diagnostics}");
    let rendered = diagnostics.to_string();
    assert!(!rendered.contains("very-private"), "{rendered}");
    let has_help = diagnostics.iter().all(|one| one.help.is_some());
    assert!(has_help, "{name}:\n{diagnostics}");
}

#[test]
fn valid_files_are_accepted() {
    for path in corpus("valid") {
        let name = path.display();
        match load_paths(std::slice::from_ref(&path)) {
            Ok(loaded) => assert_eq!(found(&loaded.diagnostics), expected(&path), "{name}"),
            Err(diagnostics) => panic!("{name}:\n{diagnostics}"),
        }
    }
}

#[test]
fn invalid_files_are_rejected_with_all_mistakes() {
    for path in corpus("invalid") {
        check_rejected(&path, &load_paths(std::slice::from_ref(&path)).unwrap_err());
    }
}

#[test]
fn limits_are_validated_like_files() {
    for path in corpus("limits") {
        match load_limits(&path) {
            Ok(limits) => assert_eq!(limits.source, Some(path)),
            Err(diagnostics) => check_rejected(&path, &diagnostics),
        }
    }
}
