//! Malicious files: rejected with a clear error, in bounded memory.

use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::process::Command;

use proptest::prelude::*;
use riskform::config::files::AllowedRoot;
use riskform::config::fmt::format;

use super::{Fleet, TEST_ACCOUNT, corpus, found, load_paths};
use crate::support::TestDir;

/// Returns a number of the environment for a long run, such as `RISKFORM_HOSTILE=100000`.
fn number(name: &str) -> Option<usize> {
    std::env::var(name).ok().and_then(|text| text.parse().ok())
}

/// Returns the diagnostics of a file, without those of unknown keys.
fn mistakes(text: &str) -> Vec<String> {
    let fleet = Fleet::new(&[("a.yaml", &format!("{TEST_ACCOUNT}{text}"))]);
    let Err(diagnostics) = fleet.load(&["a.yaml"]) else {
        return Vec::new();
    };
    let rendered = diagnostics.to_string();
    assert!(rendered.len() < 20_000, "{} bytes", rendered.len());
    let mut found = found(&diagnostics);
    found.retain(|one| !one.starts_with("unknown-key"));
    found
}

#[test]
fn absurd_shapes_are_rejected() {
    let repeated = |text: &str, count| vec![text; count].join(", ");
    let laughs = |at| {
        format!(
            "a{at}: &a{at} [{}]\n",
            repeated(&format!("*a{}", at - 1), 9)
        )
    };
    let laughs: String = (1..40).map(laughs).collect();
    let [x, a, b] = ["x", "*a", "*b"].map(|text| repeated(text, 1_000));
    let anchors: String = (0..30).map(|at| format!("&n{at} [")).collect();
    let many = repeated("x", 100_000);
    let ends = "]".repeat(30);
    let steps: String = (0..500)
        .map(|at| format!("{}a:\n", " ".repeat(at)))
        .collect();
    let long = "x".repeat(2_000_000);
    for (text, expected) in [
        (format!("a0: &a0 [x]\n{laughs}"), &["too-large 9:9"][..]),
        (
            format!("a: &a [{x}]\nb: &b [{a}]\nc: [{b}]\n"),
            &["too-large 4:7"],
        ),
        (format!("a: {anchors}{many}{ends}\n"), &["too-large 3:65"]),
        ("a: &a [*a]\n".to_owned(), &["alias 3:8"]),
        (format!("a: {}", "[".repeat(100_000)), &["nesting 3:36"]),
        (format!("a: {}", "{a: ".repeat(100_000)), &["nesting 3:132"]),
        (format!("a:\n  {}", "- ".repeat(100_000)), &["nesting 4:65"]),
        (steps, &["nesting 35:33"]),
        (format!("name: {long}\n"), &["too-large 3:7"]),
        (format!("{long}: 1\n"), &["syntax 3:1"]),
        (format!("{}\n", " ".repeat(2_000_000)), &[]),
    ] {
        assert_eq!(mistakes(&text), expected, "{}", &text[..40.min(text.len())]);
    }
}

/// The limits hold for all files of a run together. Without RISKFORM_HOSTILE, only the first three rows are checked.
#[test]
fn totals_of_a_run_are_limited() {
    let many = |count: usize, line: &dyn Fn(usize) -> String| (0..count).map(line).collect();
    let documents = |count: usize, text: &str| -> String {
        many(count, &|at| {
            format!("---\nversion: 1\naccount_id: {at:032}\n{text}")
        })
    };
    let list = |item: &str, count: usize| vec![item; count].join(", ");
    let [x, a, b] = ["x", "*a", "*b"].map(|item| list(item, 40));
    let aliases = format!("name: &a [{x}]\nbehaviors: &b [{a}]\nintegrations: [{b}]\n");
    let text = "x".repeat(8_000);
    let repeated = format!("name: &r \"{text}\"\nextends: [{}]\n", list("*r", 5_000));
    let variables = format!("  - {}\n", "${RISKFORM_VAR_A:-}".repeat(300)).repeat(1_000);
    let variables = format!("guards:\n  protected:\n{variables}");
    let inherited = format!("extends: [{}]\n", list("_b.yaml", 64));
    let unknown: String = many(100_000, &|at| format!("k{at}: 1\n"));
    let rows = [
        (variables, "too-large"),
        (repeated, "too-large"),
        (inherited, "too-large"),
        (documents(60, &aliases), "too-large"),
        (documents(20_001, ""), "too-large"),
        (unknown, "unknown-key"),
        ("name: x\n".repeat(200_000), "duplicate-key"),
    ];
    let base: String = many(20_000, &|at| format!("  b{at}: {{enabled: true}}\n"));
    let base = format!("version: 1\nbehaviors:\n{base}");
    let count = number("RISKFORM_HOSTILE").map_or(3, |_| rows.len());
    for (text, expected) in &rows[..count] {
        let text = format!("{TEST_ACCOUNT}{text}");
        let fleet = Fleet::new(&[("a.yaml", &text), ("_b.yaml", &base)]);
        let diagnostics = fleet.load(&["a.yaml"]).unwrap_err();
        let found = found(&diagnostics);
        let is_expected = |line: &String| line.starts_with(expected);
        assert!(found.iter().any(is_expected), "{expected}: {found:?}");
    }
}

#[test]
fn unrelated_and_binary_files_are_never_shown() {
    for (bytes, expected) in [
        (
            &b"[core]\n\turl = https://me:canary@example.com\n"[..],
            "unrelated-file",
        ),
        (
            b"kind: Secret\ndata: {canary: canary}\nversion: 1\n",
            "unrelated-file",
        ),
        (b"-----BEGIN PRIVATE KEY-----\ncanary\n", "unrelated-file"),
        (b"root:canary:0:0\n", "unrelated-file"),
        (b"\tcanary: 1\n", "unrelated-file"),
        (b"machine canary\xe9\n", "not-utf-8 1:15"),
        (b"version: 1\nname: \xc3", "not-utf-8 2:7"),
        (b"\xff\xfev\0e\0r\0", "not-utf-8 1:1"),
        (b"canary\x01canary\n", "control-character 1:7"),
        (b"version: 1\nname: a\0b\n", "control-character 2:8"),
        (b"version: 1\n# \x1b[2J\n", "control-character 2:3"),
    ] {
        let text = format!("{TEST_ACCOUNT}extends: [a.yaml]\n");
        let fleet = Fleet::new(&[("b.yaml", &text)]);
        fleet.write("a.yaml", bytes);
        let (_, of_fmt) = format(&[fleet.path("a.yaml")], &AllowedRoot::default(), None);
        let of_load = ["a.yaml", "b.yaml"].map(|path| *fleet.load(&[path]).unwrap_err());
        for diagnostics in of_load.into_iter().chain([of_fmt]) {
            assert_eq!(found(&diagnostics), [expected]);
            let shown = diagnostics.to_string();
            assert!(!shown.contains("canary"), "{shown}");
            assert!(!shown.contains(['\0', '\u{1b}']), "{shown}");
        }
    }
}

#[test]
fn only_regular_files_are_opened() {
    let fleet = Fleet::new(&[
        ("real/a.yaml", TEST_ACCOUNT),
        ("private.txt", "very-private\n"),
    ]);
    let fifo = Command::new("mkfifo").arg(fleet.path("fifo.yaml")).status();
    assert!(fifo.unwrap().success());
    let sparse = std::fs::File::create(fleet.path("huge.yaml")).unwrap();
    sparse.set_len(100 << 20).unwrap();
    symlink("private.txt", fleet.path("disguised.yaml")).unwrap();
    symlink("itself.yaml", fleet.path("itself.yaml")).unwrap();
    symlink("nowhere.yaml", fleet.path("dangling.yaml")).unwrap();
    symlink("..", fleet.path("real/up")).unwrap();
    for (path, rule, message) in [
        ("fifo.yaml", "not-a-file", "not a regular file or directory"),
        ("/dev/zero", "not-a-file", "not a regular file or directory"),
        ("huge.yaml", "too-large", "larger than 32 MiB"),
        ("itself.yaml", "unreadable", "cannot read"),
        ("dangling.yaml", "unreadable", "file not found"),
        ("gone.yaml", "unreadable", "file not found"),
        ("real/a.yaml/b.yaml", "unreadable", "file not found"),
    ] {
        let diagnostics = fleet.load(&[path]).unwrap_err();
        assert_eq!(found(&diagnostics), [rule], "{path}");
        let shown = diagnostics.to_string();
        assert!(shown.contains(message), "{path}:\n{shown}");
    }
    std::fs::create_dir(fleet.path(".git")).unwrap();
    let base = format!("{TEST_ACCOUNT}extends: [disguised.yaml, fifo.yaml, private.txt]\n");
    fleet.write("_base.yaml", base.as_bytes());
    // All files in one directory tree, with a symlink to a parent.
    for (path, expected) in [
        (
            "real",
            "unreadable not-a-file not-a-file too-large unreadable",
        ),
        ("_base.yaml", "extends 3:11 extends 3:27 extends 3:38"),
    ] {
        let diagnostics = fleet.load(&[path]).unwrap_err();
        assert_eq!(found(&diagnostics).join(" "), expected, "{diagnostics}");
        assert!(!diagnostics.to_string().contains("very-private"));
    }
}

#[test]
fn further_mistakes_are_only_counted() {
    let mistakes: String = (0..5_000).map(|i| format!("k{i}: 1\n")).collect();
    let fleet = Fleet::new(&[("a.yaml", &format!("{TEST_ACCOUNT}{mistakes}"))]);
    let diagnostics = fleet.load(&["a.yaml"]).unwrap_err();
    assert_eq!(diagnostics.iter().count(), 1_000);
    assert_eq!(diagnostics.summary(), "5000 errors");
    assert!(diagnostics.to_string().contains("4000 more not shown"));
}

#[test]
fn terminal_escapes_in_names_are_escaped() {
    let fleet = Fleet::new(&[("a\u{1b}[2J.yaml", "version: 1\n\"k\\e[2J\": 1\n")]);
    let rendered = fleet.load(&[""]).unwrap_err().to_string();
    assert!(!rendered.contains('\u{1b}'), "{rendered}");
    assert!(rendered.contains("k\\u{1b}[2J"), "{rendered}");
}

/// Random malicious files, with at most 256 MB of memory and a minute of CPU time per hundred. On demand:
/// `RISKFORM_HOSTILE=100000 cargo test --profile release --test it random_harm`.
#[test]
fn random_harm_is_rejected_in_bounded_memory() {
    let count = number("RISKFORM_HOSTILE").unwrap_or(200);
    let seed = number("RISKFORM_SEED").map_or_else(|| fastrand::u64(..), |seed| seed as u64);
    println!("RISKFORM_SEED={seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    for _ in 0..count.div_ceil(100) {
        let workplace = TestDir::new();
        std::fs::create_dir_all(workplace.path("fleet")).unwrap();
        for at in 0..100 {
            workplace.write(&format!("fleet/{at}.yaml"), &damaged_file(&mut random));
        }
        // All allocations are in the data segment.
        let script = "ulimit -d 262144 && ulimit -t 60 && exec \"$0\" validate fleet";
        let run = Command::new("sh")
            .args(["-c", script, env!("CARGO_BIN_EXE_riskform")])
            .current_dir(workplace.path(""))
            .env_clear()
            .output()
            .unwrap();
        let shown = String::from_utf8_lossy(&run.stderr);
        assert_eq!(run.status.code(), Some(1), "{shown}");
    }
}

/// A file of a shape that was slow or large before, of random size, sometimes damaged.
fn damaged_file(random: &mut fastrand::Rng) -> String {
    let size = 1 << random.u32(0..12);
    let many = |line: &dyn Fn(usize) -> String| -> String { (0..size).map(line).collect() };
    let list = |item: &str| vec![item; size.min(400)].join(", ");
    let text = "x".repeat(size);
    let mut file = match random.u8(0..12) {
        0 => {
            let [x, a, b] = ["x", "*a", "*b"].map(list);
            format!("name: &a [{x}]\nextends: &b [{a}]\nguards: [{b}]\n")
        }
        1 => format!("name: {}", "[".repeat(size)),
        2 => many(&|at| format!("{}a:\n", " ".repeat(at.min(200)))),
        3 => format!("name: \"{}\"\n", "${A:-}".repeat(size)),
        4 => many(&|at| format!("guards: {{ protected: [r{at}] }}\n")),
        5 => many(&|at| format!("k{at}: 1\n")),
        6 => "name: x\n".repeat(size),
        7 => "behaviors:\n".to_owned() + &many(&|at| format!("  b{at}: {{}}  # {at}\n")),
        8 => format!("name: &r \"{text}\"\nextends: [{}]\n", list("*r")),
        9 => many(&|at| format!("---\nversion: 1\naccount_id: {at:032}\nname: 'no\n")),
        10 => "name: |\n".to_owned() + &many(&|at| format!("  {}\t{at}\n", "é".repeat(at % 80))),
        _ => format!("extends: [{}]\n", many(&|at| format!("{at}.yaml, "))),
    };
    file.insert_str(0, &format!("{TEST_ACCOUNT}key: 1\n"));
    for _ in 0..random.usize(0..4) {
        let at = file.floor_char_boundary(random.usize(0..=file.len()));
        let scraps: Vec<&str> = SCRAPS.split('¦').collect();
        file.insert_str(at, scraps[random.usize(0..scraps.len())]);
    }
    file
}

/// Fragments of the language, so that random files get past the first character.
const SCRAPS: &str = "version: 1\n¦account_id: ¦0a000000000000000000000000000000¦\n¦ ¦  ¦\t¦- ¦: ¦,¦{¦}¦[¦]¦${¦${A}¦$${¦:-¦behaviors:\n¦integrations:\n¦imp_travel¦enabled¦true¦yes¦risk_level¦high¦tenant_url: https://a.okta.com¦&a ¦*a¦!!str ¦|\n¦>-\n¦'¦\"¦#¦---\n¦\n---\n¦...\n¦%YAML 1.2\n¦null¦~¦? ¦<<¦é¦\u{FEFF}¦\r\n¦\\x00¦extends: [a.yaml]\n¦guards: { protected: [¦until: 2026-12-31";

/// Loading any file and showing its diagnostics does not panic.
fn survive(bytes: &[u8]) {
    let fleet = Fleet::new(&[]);
    fleet.write("a.yaml", bytes);
    if let Err(diagnostics) = load_paths(&[fleet.path("a.yaml")]) {
        assert!(diagnostics.errors() > 0);
        assert!(!diagnostics.to_string().is_empty());
    }
}

fn scraps() -> impl Strategy<Value = String> {
    let scrap = prop::sample::select(SCRAPS.split('¦').collect::<Vec<_>>());
    prop::collection::vec(scrap, 0..60).prop_map(|scraps| scraps.concat())
}

/// A file of the corpus with a few bytes overwritten, cut out or put in.
fn mutated() -> impl Strategy<Value = Vec<u8>> {
    let files: Vec<PathBuf> = ["valid", "invalid"].into_iter().flat_map(corpus).collect();
    let edits = prop::collection::vec((any::<prop::sample::Index>(), 0..3_u8, any::<u8>()), 1..8);
    (prop::sample::select(files), edits).prop_map(|(file, edits)| {
        let mut bytes = std::fs::read(file).unwrap();
        for (at, edit, byte) in edits {
            let at = at.index(bytes.len().max(1));
            match edit {
                0 => bytes.insert(at, byte),
                1 if at < bytes.len() => bytes[at] = byte,
                _ if at < bytes.len() => drop(bytes.remove(at)),
                _ => {}
            }
        }
        bytes
    })
}

// `PROPTEST_CASES=100000 cargo test hostile` is the long run. A failure prints its smallest input, and keeps its seed.
proptest! {
    #[test]
    fn loading_any_bytes_does_not_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        survive(&bytes);
    }

    #[test]
    fn loading_any_scraps_does_not_panic(text in scraps()) {
        survive(text.as_bytes());
    }

    #[test]
    fn loading_mutated_files_does_not_panic(bytes in mutated()) {
        survive(&bytes);
    }
}
