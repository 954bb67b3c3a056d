//! Files cannot refer to files outside of their directory, and unrelated files are never shown.

use std::os::unix::fs::symlink;
use std::path::PathBuf;

use riskform::config::diagnostic::Diagnostics;
use riskform::config::files::AllowedRoot;
use riskform::config::fmt::format;
use riskform::config::load::{LoadOptions, Loaded, load};
use riskform::model::limits::NO_LIMITS;

use super::{Fleet, TODAY, found, variable};

const ACCOUNT: &str = "version: 1\naccount_id: 0a000000000000000000000000000000\n";
/// A secret that must not be shown or overwritten.
const FOREIGN: &str = "version: 1\nname: very-private\nvery_private: very-private\n";

/// Loads paths, optionally in a directory given as `--root`.
fn load_in(
    fleet: &Fleet,
    path: &str,
    root: Option<&str>,
    home: Option<&str>,
) -> Result<Loaded, Box<Diagnostics>> {
    load(&LoadOptions {
        paths: &[fleet.path(path)],
        account_id: None,
        default_account_id: None,
        confinement: &AllowedRoot {
            root: root.map(|root| fleet.path(root)),
            home: home.map(|home| fleet.path(home)),
        },
        limits: &NO_LIMITS,
        variables: &variable,
        today: TODAY,
    })
}

/// Creates a checkout next to a home directory with secrets. `links` are symlinks in the checkout: name and target.
fn workplace(files: &[(&str, &str)], links: &[(&str, &str)]) -> Fleet {
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
    for (link, target) in links {
        let link = fleet.path(link);
        std::fs::create_dir_all(link.parent().unwrap()).unwrap();
        symlink(target, link).unwrap();
    }
    fleet
}

#[test]
fn no_file_leads_out_of_the_checkout() {
    let extending = |file: &str| format!("{ACCOUNT}extends: [\"{file}\"]\n");
    let absolute = workplace(&[], &[]).path("home/creds.yaml");
    let table: &[(&str, &str, String, &[(&str, &str)], &str)] = &[
        (
            "extends with dots",
            "repo/a.yaml",
            extending("../home/creds.yaml"),
            &[],
            "outside-root 3:11",
        ),
        (
            "extends of what isn't there, outside",
            "repo/a.yaml",
            extending("../home/gone.yaml"),
            &[],
            "outside-root 3:11",
        ),
        (
            "extends by an absolute path",
            "repo/a.yaml",
            extending(absolute.to_str().unwrap()),
            &[],
            "outside-root 3:11",
        ),
        (
            "extends through a link",
            "repo/a.yaml",
            extending("_link.yaml"),
            &[("repo/_link.yaml", "../home/creds.yaml")],
            "outside-root 3:11",
        ),
        (
            "extends through a folder that is a link",
            "repo/a.yaml",
            extending("deep/creds.yaml"),
            &[("repo/deep", "../home")],
            "outside-root 3:11",
        ),
        (
            "extends a file of git",
            "repo/a.yaml",
            extending(".git/hooks/x.yaml"),
            &[],
            "outside-root 3:11",
        ),
        (
            "extends a file of another ending",
            "repo/a.yaml",
            extending("notes.txt"),
            &[],
            "extends 3:11",
        ),
        (
            "extends a variable",
            "repo/a.yaml",
            extending("${GH_PAT}.yaml"),
            &[],
            "interpolation 3:11",
        ),
        (
            "a PATH that is a link",
            "repo/b.yaml",
            ACCOUNT.to_owned(),
            &[("repo/b.yaml", "../home/creds.yaml")],
            "outside-root",
        ),
        (
            "a PATH that is a link to git's own",
            "repo/b.yaml",
            ACCOUNT.to_owned(),
            &[("repo/b.yaml", ".git/config")],
            "outside-root",
        ),
        (
            "a PATH that is a link to another kind of file",
            "repo/b.yaml",
            ACCOUNT.to_owned(),
            &[("repo/b.yaml", "notes.txt")],
            "not-a-file",
        ),
        (
            "a PATH that is a link to a folder",
            "repo/fleet",
            ACCOUNT.to_owned(),
            &[("repo/fleet", "../home")],
            "outside-root",
        ),
        (
            "a PATH through a link",
            "repo/fleet/more",
            ACCOUNT.to_owned(),
            &[("repo/fleet", "../home")],
            "outside-root",
        ),
        (
            "a file of a folder that is a link",
            "repo/fleet",
            ACCOUNT.to_owned(),
            &[("repo/fleet/x.yaml", "../../home/creds.yaml")],
            "outside-root",
        ),
        (
            "a folder of a folder that is a link",
            "repo/fleet",
            ACCOUNT.to_owned(),
            &[("repo/fleet/x", "../../home/more")],
            "outside-root",
        ),
        (
            "a folder of git",
            "repo/fleet",
            ACCOUNT.to_owned(),
            &[("repo/fleet/x", "../.git/hooks")],
            "outside-root",
        ),
    ];
    for (what, path, text, links, expected) in table {
        let own = ("repo/a.yaml", text.as_str());
        let fleet = workplace(&[own, ("repo/fleet_/ok.yaml", ACCOUNT)], links);
        let diagnostics = load_in(&fleet, path, None, None).unwrap_err();
        let rules = found(&diagnostics);
        assert!(
            rules.iter().any(|one| one == expected),
            "{what}: {diagnostics}"
        );
        let shown = diagnostics.to_string();
        assert!(!shown.contains("very"), "{what}: {shown}");
        // Unreadable files are not rewritten.
        let _ = format(&[fleet.path(path)], &AllowedRoot::default());
        for foreign in [
            "home/creds.yaml",
            "home/more/creds.yaml",
            "repo/.git/config",
        ] {
            let kept = std::fs::read_to_string(fleet.path(foreign)).unwrap();
            assert_eq!(kept, FOREIGN, "{what}: {foreign}");
        }
    }
}

#[test]
fn fmt_finds_nothing_outside_of_the_checkout() {
    let links = [
        ("repo/fleet/x.yaml", "../../home/creds.yaml"),
        ("repo/fleet/y", "../../home/more"),
        ("repo/fleet/z.yaml", "../.git/config"),
    ];
    let fleet = workplace(&[("repo/fleet/ok.yaml", ACCOUNT)], &links);
    let (files, diagnostics) = format(&[fleet.path("repo/fleet")], &AllowedRoot::default());
    let paths: Vec<PathBuf> = files.into_iter().map(|file| file.path).collect();
    assert_eq!(paths, [fleet.path("repo/fleet/ok.yaml")]);
    assert_eq!(found(&diagnostics), ["outside-root"; 3]);
    assert!(!diagnostics.to_string().contains("very"), "{diagnostics}");
}

#[test]
fn what_belongs_together_loads() {
    let base = "version: 1\nname: shared\n";
    let table: &[(&str, &str, &[(&str, &str)], &[(&str, &str)], Option<&str>)] = &[
        (
            "a baseline two folders up, in a checkout",
            "repo/fleet/eu/a.yaml",
            &[
                ("repo/_base.yaml", base),
                ("repo/fleet/eu/a.yaml", "extends: [../../_base.yaml]\n"),
            ],
            &[],
            None,
        ),
        (
            "a baseline beside a folder that is no checkout, by --root",
            "plain/fleet/a.yaml",
            &[
                ("plain/_base.yaml", base),
                ("plain/fleet/a.yaml", "extends: [../_base.yaml]\n"),
            ],
            &[],
            Some("plain"),
        ),
        (
            "a folder of a checkout",
            "repo/fleet",
            &[
                ("repo/_base.yaml", base),
                ("repo/fleet/eu/a.yaml", "extends: [../../_base.yaml]\n"),
            ],
            &[],
            None,
        ),
        (
            "a Kubernetes ConfigMap, by its file",
            "mount/a.yaml",
            &[
                ("mount/..2026_11_24/a.yaml", "extends: [_base.yaml]\n"),
                ("mount/..2026_11_24/_base.yaml", base),
            ],
            &[
                ("mount/..data", "..2026_11_24"),
                ("mount/a.yaml", "..data/a.yaml"),
                ("mount/_base.yaml", "..data/_base.yaml"),
            ],
            None,
        ),
        (
            "a Kubernetes ConfigMap, by its folder",
            "mount",
            &[
                ("mount/..2026_11_24/a.yaml", "extends: [_base.yaml]\n"),
                ("mount/..2026_11_24/_base.yaml", base),
            ],
            &[
                ("mount/..data", "..2026_11_24"),
                ("mount/a.yaml", "..data/a.yaml"),
                ("mount/_base.yaml", "..data/_base.yaml"),
            ],
            None,
        ),
        (
            "a link within the checkout",
            "repo/fleet",
            &[
                ("repo/common/_base.yaml", base),
                ("repo/fleet/a.yaml", "extends: [_base.yaml]\n"),
            ],
            &[("repo/fleet/_base.yaml", "../common/_base.yaml")],
            None,
        ),
        (
            "a folder that somebody reaches through a link of the system",
            "through/fleet/a.yaml",
            &[
                ("real/fleet/_base.yaml", base),
                ("real/fleet/a.yaml", "extends: [_base.yaml]\n"),
            ],
            &[("through", "real")],
            None,
        ),
        (
            "a file in JSON",
            "repo/a.json",
            &[("repo/_base.json", r#"{"version": 1, "name": "shared"}"#)],
            &[],
            None,
        ),
    ];
    for (what, path, files, links, root) in table {
        let mut files: Vec<(&str, String)> = files
            .iter()
            .map(|(path, text)| match path.contains("_base") {
                true => (*path, (*text).to_owned()),
                false => (*path, format!("{ACCOUNT}{text}")),
            })
            .collect();
        if path.ends_with(".json") {
            let text = r#"{"version": 1, "account_id": "0a000000000000000000000000000000", "extends": ["_base.json"]}"#;
            files.push((path, text.to_owned()));
        }
        let files: Vec<(&str, &str)> = files.iter().map(|(p, t)| (*p, t.as_str())).collect();
        let fleet = workplace(&files, links);
        let loaded =
            load_in(&fleet, path, *root, None).unwrap_or_else(|error| panic!("{what}: {error}"));
        assert_eq!(loaded.accounts.len(), 1, "{what}");
        assert_eq!(loaded.accounts[0].label(), "shared", "{what}");
    }
}

#[test]
fn a_checkout_in_the_home_folder_or_none_makes_the_own_folder_the_root() {
    let files = [
        ("me/_base.yaml", "version: 1\n"),
        (
            "me/fleet/a.yaml",
            "version: 1\naccount_id: 0a000000000000000000000000000000\nextends: [../_base.yaml]\n",
        ),
    ];
    let fleet = Fleet::new(&files);
    let outside = |home| load_in(&fleet, "me/fleet/a.yaml", None, home).map(|_| ());
    assert_eq!(found(&outside(None).unwrap_err()), ["outside-root 3:11"]);
    std::fs::create_dir(fleet.path("me/.git")).unwrap();
    outside(None).unwrap();
    assert_eq!(
        found(&outside(Some("me")).unwrap_err()),
        ["outside-root 3:11"]
    );
    // In a worktree, `.git` is a file.
    std::fs::remove_dir(fleet.path("me/.git")).unwrap();
    std::fs::write(fleet.path("me/.git"), "gitdir: elsewhere").unwrap();
    outside(None).unwrap();
    let narrower = load_in(&fleet, "me/fleet/a.yaml", Some("me/fleet"), None);
    assert_eq!(found(&narrower.unwrap_err()), ["outside-root 3:11"]);
    let nowhere = load_in(&fleet, "me/fleet/a.yaml", Some("gone"), None);
    assert_eq!(found(&nowhere.unwrap_err()), ["outside-root"]);
}
