//! Files cannot refer to files outside of their directory, and unrelated files are never shown.

use std::os::unix::fs::symlink;
use std::path::PathBuf;

use riskform::config::diagnostic::Diagnostics;
use riskform::config::files::AllowedRoot;
use riskform::config::fmt::format;
use riskform::config::load::{Checked, LoadOptions, load};

use super::{Fleet, TEST_ACCOUNT, TODAY, found, variable};

/// A secret that must not be shown or overwritten.
const FOREIGN: &str = "version: 1\nname: very-private\nvery_private: very-private\n";

/// Loads paths, optionally in a directory given as `--root`.
fn load_in(
    fleet: &Fleet,
    path: &str,
    root: Option<&str>,
    home: Option<&str>,
) -> Result<Checked, Box<Diagnostics>> {
    load(&LoadOptions {
        paths: &[fleet.path(path)],
        account_id: None,
        default_account_id: None,
        confinement: &AllowedRoot {
            root: root.map(|root| fleet.path(root)),
            home: home.map(|home| fleet.path(home)),
        },
        limits_file: None,
        variables: &variable,
        today: TODAY,
    })
}

/// Creates a checkout next to a home directory with secrets. `links` are symlinks: `NAME -> TARGET`, separated by commas.
fn workplace(files: &[(&str, &str)], links: &str) -> Fleet {
    let fleet = Fleet::new(&[
        ("home/creds.yaml", FOREIGN),
        ("home/more/creds.yaml", FOREIGN),
        ("repo/.git/config", FOREIGN),
        ("repo/.git/hooks/x.yaml", FOREIGN),
        ("repo/notes.txt", FOREIGN),
    ]);
    for (path, text) in files {
        fleet.write(path, text.as_bytes());
    }
    for link in links.split_terminator(", ") {
        let (link, target) = link.split_once(" -> ").unwrap();
        let link = fleet.path(link);
        std::fs::create_dir_all(link.parent().unwrap()).unwrap();
        symlink(target, link).unwrap();
    }
    fleet
}

/// Columns: the PATH, its `extends`, symlinks, and the expected diagnostic.
#[test]
fn no_path_leads_out_of_the_checkout() {
    let creds = workplace(&[], "").path("home/creds.yaml");
    let absolute = format!("repo/a.yaml|{}||outside-root 3:11", creds.display());
    for row in [
        "repo/a.yaml|../home/creds.yaml||outside-root 3:11",
        "repo/a.yaml|../home/gone.yaml||outside-root 3:11",
        &absolute,
        "repo/a.yaml|_link.yaml|repo/_link.yaml -> ../home/creds.yaml|outside-root 3:11",
        "repo/a.yaml|deep/creds.yaml|repo/deep -> ../home|outside-root 3:11",
        "repo/a.yaml|.git/hooks/x.yaml||outside-root 3:11",
        "repo/a.yaml|notes.txt||extends 3:11",
        "repo/a.yaml|${GH_PAT}.yaml||interpolation 3:11",
        "repo/b.yaml||repo/b.yaml -> ../home/creds.yaml|outside-root",
        "repo/b.yaml||repo/b.yaml -> .git/config|outside-root",
        "repo/b.yaml||repo/b.yaml -> notes.txt|not-a-file",
        "repo/fleet||repo/fleet -> ../home|outside-root",
        "repo/fleet/more||repo/fleet -> ../home|outside-root",
        "repo/fleet||repo/fleet/x.yaml -> ../../home/creds.yaml|outside-root",
        "repo/fleet||repo/fleet/x -> ../../home/more|outside-root",
        "repo/fleet||repo/fleet/x -> ../.git/hooks|outside-root",
    ] {
        let [path, base, links, expected] = row.split('|').collect::<Vec<_>>().try_into().unwrap();
        let own = format!("{TEST_ACCOUNT}extends: [\"{base}\"]\n");
        let fleet = workplace(&[("repo/a.yaml", &own)], links);
        let diagnostics = load_in(&fleet, path, None, None).unwrap_err();
        let rules = found(&diagnostics);
        assert!(rules.iter().any(|one| one == expected), "{row}: {rules:?}");
        let shown = diagnostics.to_string();
        assert!(!shown.contains("very"), "{row}: {shown}");
        // Unreadable files are not rewritten.
        let (files, _) = format(&[fleet.path(path)], &AllowedRoot::default(), None);
        assert!(
            files.iter().all(|file| file.path.ends_with("a.yaml")),
            "{row}"
        );
    }
}

#[test]
fn fmt_finds_no_file_outside_of_the_checkout() {
    let links = "repo/fleet/x.yaml -> ../../home/creds.yaml, repo/fleet/y -> ../../home/more, repo/fleet/z.yaml -> ../.git/config";
    let fleet = workplace(&[("repo/fleet/ok.yaml", TEST_ACCOUNT)], links);
    let (files, diagnostics) = format(&[fleet.path("repo/fleet")], &AllowedRoot::default(), None);
    let paths: Vec<PathBuf> = files.into_iter().map(|file| file.path).collect();
    assert_eq!(paths, [fleet.path("repo/fleet/ok.yaml")]);
    assert_eq!(found(&diagnostics), ["outside-root"; 3]);
    assert!(!diagnostics.to_string().contains("very"), "{diagnostics}");
}

/// Columns: the PATH, its file, its `extends`, the base file, symlinks, and `--root`.
#[test]
fn files_of_one_root_load() {
    let mount =
        "mount/..data -> ..2026, mount/a.yaml -> ..data/a.yaml, mount/_b.yaml -> ..data/_b.yaml";
    let config_map = format!("|mount/..2026/a.yaml|_b.yaml|mount/..2026/_b.yaml|{mount}|");
    for row in [
        "repo/fleet/eu/a.yaml|repo/fleet/eu/a.yaml|../../_b.yaml|repo/_b.yaml||",
        "repo/fleet|repo/fleet/eu/a.yaml|../../_b.yaml|repo/_b.yaml||",
        "plain/fleet/a.yaml|plain/fleet/a.yaml|../_b.yaml|plain/_b.yaml||plain",
        &format!("mount/a.yaml{config_map}"),
        &format!("mount{config_map}"),
        "repo/fleet|repo/fleet/a.yaml|_b.yaml|repo/common/_b.yaml|repo/fleet/_b.yaml -> ../common/_b.yaml|",
        "through/fleet/a.yaml|real/fleet/a.yaml|_b.yaml|real/fleet/_b.yaml|through -> real|",
        "repo/a.json|repo/a.json|_b.json|repo/_b.json||",
    ] {
        let [path, file, base, base_file, links, root] =
            row.split('|').collect::<Vec<_>>().try_into().unwrap();
        let own = format!("{TEST_ACCOUNT}extends: [{base}]\n");
        let base = "version: 1\nname: shared\n";
        let fleet = workplace(&[(file, &own), (base_file, base)], links);
        let root = (!root.is_empty()).then_some(root);
        let loaded = load_in(&fleet, path, root, None);
        let loaded = loaded.unwrap_or_else(|error| panic!("{row}: {error}"));
        let labels: Vec<&str> = loaded.accounts.iter().map(|one| one.label()).collect();
        assert_eq!(labels, ["shared"], "{row}");
    }
}

#[test]
fn root_is_the_directory_without_a_checkout_below_home() {
    let own = format!("{TEST_ACCOUNT}extends: [../_base.yaml]\n");
    let fleet = Fleet::new(&[("me/_base.yaml", "version: 1\n"), ("me/fleet/a.yaml", &own)]);
    let result = |root, home| match load_in(&fleet, "me/fleet/a.yaml", root, home) {
        Ok(_) => Vec::new(),
        Err(diagnostics) => found(&diagnostics),
    };
    assert_eq!(result(None, None), ["outside-root 3:11"]);
    std::fs::create_dir(fleet.path("me/.git")).unwrap();
    assert_eq!(result(None, None), [""; 0]);
    assert_eq!(result(None, Some("me")), ["outside-root 3:11"]);
    // In a worktree, `.git` is a file.
    std::fs::remove_dir(fleet.path("me/.git")).unwrap();
    fleet.write("me/.git", b"gitdir: elsewhere");
    assert_eq!(result(None, None), [""; 0]);
    assert_eq!(result(Some("me/fleet"), None), ["outside-root 3:11"]);
    assert_eq!(result(Some("gone"), None), ["outside-root"]);
}
