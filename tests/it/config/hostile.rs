//! Malicious files: rejected with a clear error, quickly and in bounded memory.

use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use proptest::prelude::*;
use riskform::config::diagnostic::Color;
use riskform::config::files::AllowedRoot;
use riskform::config::fmt::format;

use super::{Fleet, corpus, found, load_paths};
use crate::riskform::TestDir;

const HEAD: &str = "version: 1\naccount_id: 0a000000000000000000000000000000\n";

#[test]
fn a_file_of_absurd_shape_is_refused() {
    let laughs: String = (1..40)
        .map(|i| {
            format!(
                "a{i}: &a{i} [{}]\n",
                vec![format!("*a{}", i - 1); 9].join(", ")
            )
        })
        .collect();
    let wide = format!(
        "a: &a [{}]\nb: &b [{}]\nc: [{}]\n",
        vec!["x"; 1_000].join(", "),
        vec!["*a"; 1_000].join(", "),
        vec!["*b"; 1_000].join(", ")
    );
    let nested_anchors = format!(
        "a: {}{}{}\n",
        (0..30).map(|i| format!("&n{i} [")).collect::<String>(),
        vec!["x"; 100_000].join(", "),
        "]".repeat(30)
    );
    let table: &[(&str, String, &[&str])] = &[
        (
            "billion laughs",
            format!("{HEAD}a0: &a0 [x]\n{laughs}"),
            &["too-large 9:30"],
        ),
        (
            "wide aliases",
            format!("{HEAD}{wide}"),
            &["too-large 4:3196"],
        ),
        (
            "anchors in anchors",
            format!("{HEAD}{nested_anchors}"),
            &["too-large 3:137"],
        ),
        (
            "an alias of itself",
            format!("{HEAD}a: &a [*a]\n"),
            &["unknown-key 3:1", "alias 3:8"],
        ),
        (
            "brackets",
            format!("{HEAD}a: {}", "[".repeat(100_000)),
            &["nesting 3:36"],
        ),
        (
            "braces",
            format!("{HEAD}a: {}", "{a: ".repeat(100_000)),
            &["nesting 3:132"],
        ),
        (
            "dashes",
            format!("{HEAD}a:\n  {}", "- ".repeat(100_000)),
            &["nesting 4:65"],
        ),
        (
            "indentation",
            format!(
                "{HEAD}{}",
                (0..500)
                    .map(|i| format!("{}a:\n", " ".repeat(i)))
                    .collect::<String>()
            ),
            &["nesting 35:33"],
        ),
        (
            "a long value",
            format!("{HEAD}name: {}\n", "x".repeat(2_000_000)),
            &["too-large 3:7"],
        ),
        (
            "a long key",
            format!("{HEAD}{}: 1\n", "x".repeat(2_000_000)),
            &["syntax 3:1"],
        ),
        (
            "a long line of nothing",
            format!("{HEAD}{}\n", " ".repeat(2_000_000)),
            &[],
        ),
    ];
    for (what, text, expected) in table {
        let fleet = Fleet::new(&[("a.yaml", text)]);
        let found: Vec<String> = match fleet.load(&["a.yaml"]) {
            Ok(_) => Vec::new(),
            Err(diagnostics) => {
                let rendered = diagnostics.to_string();
                assert!(rendered.len() < 20_000, "{what}: {} bytes", rendered.len());
                // Other diagnostics for such keys do not matter.
                let beside = |line: &&String| {
                    !line.starts_with("unknown-key") || expected.contains(&line.as_str())
                };
                found(&diagnostics).iter().filter(beside).cloned().collect()
            }
        };
        assert_eq!(found, *expected, "{what}");
    }
}

/// Exponential growth is rejected for the whole run.
#[test]
fn many_files_hold_no_more_than_one_may() {
    let documents = |count: usize, text: &str| {
        let ids = (0..count).map(|at| format!("version: 1\naccount_id: {at:032}\n{text}"));
        ids.collect::<Vec<_>>().join("---\n")
    };
    let wide = |width: usize| {
        let list = |item: &str| vec![item; width].join(", ");
        format!(
            "name: &a [{}]\nbehaviors: &b [{}]\nintegrations: [{}]\n",
            list("x"),
            list("*a"),
            list("*b")
        )
    };
    let reason = format!(
        "name: &r \"{}\"\nextends: [{}]\n",
        "x".repeat(8_000),
        vec!["*r"; 5_000].join(", ")
    );
    let many =
        |count: usize, line: &dyn Fn(usize) -> String| -> String { (0..count).map(line).collect() };
    let table = [
        ("aliases", documents(60, &wide(40)), "too-large"),
        ("repeated text", format!("{HEAD}{reason}"), "too-large"),
        (
            "variables",
            format!(
                "{HEAD}guards:\n  protected:\n{}",
                many(1_000, &|_| format!(
                    "    - {}\n",
                    "${RISKFORM_VAR_A:-}".repeat(300)
                ))
            ),
            "too-large",
        ),
        ("documents", documents(20_001, ""), "too-large"),
        (
            "entries",
            format!(
                "{HEAD}behaviors:\n{}",
                many(105_001, &|at| format!("  b{at}: {{enabled: true}}\n"))
            ),
            "too-large",
        ),
        (
            "unknown keys",
            format!("{HEAD}{}", many(100_000, &|at| format!("k{at}: 1\n"))),
            "unknown-key",
        ),
        (
            "equal keys",
            format!("{HEAD}{}", "name: x\n".repeat(200_000)),
            "duplicate-key",
        ),
        (
            "inherited entries",
            format!("{HEAD}extends: [{}]\n", vec!["_b.yaml"; 60].join(", ")),
            "too-large",
        ),
    ];
    for (what, text, expected) in table {
        let started = Instant::now();
        let baseline = many(20_000, &|at| format!("  b{at}: {{enabled: true}}\n"));
        let fleet = Fleet::new(&[
            ("a.yaml", &text),
            ("_b.yaml", &format!("version: 1\nbehaviors:\n{baseline}")),
        ]);
        let diagnostics = fleet.load(&["a.yaml"]).unwrap_err();
        let found = found(&diagnostics);
        let is_expected = |line: &String| line.starts_with(expected);
        assert!(found.iter().any(is_expected), "{what}: {:?}", found.first());
        let rendered = diagnostics.to_string();
        assert!(rendered.len() < 1 << 20, "{what}: {}", rendered.len());
        // Twenty times the measured value without optimization. Quadratic algorithms take minutes.
        assert!(started.elapsed() < Duration::from_secs(60), "{what}");
    }
}

#[test]
fn a_message_quotes_no_more_than_somebody_reads() {
    let long = format!(
        "{HEAD}behaviors: {{ a: {{ risk_level: {} }} }}\n",
        "é".repeat(4_000)
    );
    let fleet = Fleet::new(&[("a.yaml", &long)]);
    let diagnostics = fleet.load(&["a.yaml"]).unwrap_err();
    let message = &diagnostics.iter().next().unwrap().message;
    assert!(
        message.chars().count() < 610 && message.contains(" … "),
        "{message}"
    );
}

#[test]
fn nothing_of_another_programs_file_is_shown() {
    let table: [(&str, &[u8], &str); 6] = [
        (
            "git",
            b"[core]\n\turl = https://me:canary@example.com\n",
            "unrelated-file",
        ),
        (
            "secret",
            b"apiVersion: v1\nkind: Secret\ndata: {canary: canary}\n",
            "unrelated-file",
        ),
        (
            "key",
            b"-----BEGIN PRIVATE KEY-----\ncanary\n",
            "unrelated-file",
        ),
        ("passwd", b"root:canary:0:0\n", "unrelated-file"),
        ("latin", b"machine canary\xe9\n", "not-utf-8 1:15"),
        ("control", b"canary\x01canary\n", "control-character 1:7"),
    ];
    for (what, bytes, expected) in table {
        let fleet = Fleet::new(&[("b.yaml", &format!("{HEAD}extends: [a.yaml]\n"))]);
        fleet.write("a.yaml", bytes);
        for path in ["a.yaml", "b.yaml"] {
            let diagnostics = fleet.load(&[path]).unwrap_err();
            assert_eq!(found(&diagnostics), [expected], "{what}");
            for color in [Color::Plain, Color::Ansi] {
                let rendered = diagnostics.render(color);
                assert!(!rendered.contains("canary"), "{what}: {rendered}");
            }
        }
        let (_, diagnostics) = format(&[fleet.path("a.yaml")], &AllowedRoot::default());
        assert!(!diagnostics.to_string().contains("canary"), "{what}");
    }
}

#[test]
fn what_is_no_text_is_refused_at_its_place() {
    let table: &[(&str, &[u8], &str)] = &[
        (
            "invalid UTF-8",
            b"version: 1\nname: a\xff\n",
            "not-utf-8 2:8",
        ),
        (
            "cut off in a character",
            b"version: 1\nname: \xc3",
            "not-utf-8 2:7",
        ),
        ("UTF-16", b"\xff\xfev\0e\0r\0", "not-utf-8 1:1"),
        ("NUL", b"version: 1\nname: a\0b\n", "control-character 2:8"),
        (
            "an escape sequence",
            b"version: 1\n# \x1b[2J\n",
            "control-character 2:3",
        ),
    ];
    for (what, bytes, expected) in table {
        let fleet = Fleet::new(&[]);
        fleet.write("a.yaml", bytes);
        let diagnostics = fleet.load(&["a.yaml"]).unwrap_err();
        assert_eq!(found(&diagnostics), [*expected], "{what}");
        assert!(
            !diagnostics.to_string().contains(['\0', '\u{1b}']),
            "{what}"
        );
    }
}

#[test]
fn what_is_no_file_is_never_opened() {
    let fleet = Fleet::new(&[("real/a.yaml", HEAD), ("private.txt", "very-private\n")]);
    assert!(
        Command::new("mkfifo")
            .arg(fleet.path("fifo.yaml"))
            .status()
            .unwrap()
            .success()
    );
    let sparse = std::fs::File::create(fleet.path("huge.yaml")).unwrap();
    sparse.set_len(100 << 20).unwrap();
    symlink("private.txt", fleet.path("disguised.yaml")).unwrap();
    symlink("itself.yaml", fleet.path("itself.yaml")).unwrap();
    symlink("nowhere.yaml", fleet.path("dangling.yaml")).unwrap();
    symlink("..", fleet.path("real/up")).unwrap();
    let table = [
        ("fifo.yaml", "not-a-file", "not a regular file or directory"),
        ("/dev/zero", "not-a-file", "not a regular file or directory"),
        ("huge.yaml", "too-large", "larger than 32 MiB"),
        ("itself.yaml", "unreadable", "cannot read"),
        ("dangling.yaml", "unreadable", "file not found"),
        ("gone.yaml", "unreadable", "file not found"),
        ("real/a.yaml/b.yaml", "unreadable", "file not found"),
    ];
    for (path, rule, said) in table {
        let diagnostics = fleet.load(&[path]).unwrap_err();
        assert_eq!(found(&diagnostics), [rule], "{path}");
        assert!(
            diagnostics.to_string().contains(said),
            "{path}:\n{diagnostics}"
        );
    }
    std::fs::create_dir(fleet.path(".git")).unwrap();
    // All files in one directory tree, with a symlink to a parent.
    let diagnostics = fleet.load(&["real"]).unwrap_err();
    assert_eq!(
        found(&diagnostics),
        [
            "unreadable",
            "not-a-file",
            "not-a-file",
            "too-large",
            "unreadable"
        ],
        "{diagnostics}"
    );
    assert!(!diagnostics.to_string().contains("very-private"));
    fleet.write(
        "b.yaml",
        format!("{HEAD}extends: [disguised.yaml, fifo.yaml, private.txt]\n").as_bytes(),
    );
    let diagnostics = fleet.load(&["b.yaml"]).unwrap_err();
    assert_eq!(
        found(&diagnostics),
        ["extends 3:11", "extends 3:27", "extends 3:38"]
    );
    assert!(!diagnostics.to_string().contains("very-private"));
}

#[test]
fn a_file_of_nothing_but_mistakes_is_counted_and_cut() {
    let mistakes: String = (0..5_000).map(|i| format!("k{i}: 1\n")).collect();
    let fleet = Fleet::new(&[("a.yaml", &format!("{HEAD}{mistakes}"))]);
    let diagnostics = fleet.load(&["a.yaml"]).unwrap_err();
    assert_eq!(diagnostics.iter().count(), 1_000);
    assert_eq!(diagnostics.summary(), "5000 errors");
    assert!(diagnostics.to_string().contains("4000 more not shown"));
}

#[test]
fn a_name_that_a_terminal_would_obey_is_spelled_out() {
    let fleet = Fleet::new(&[("a\u{1b}[2J.yaml", "version: 1\n\"k\\e[2J\": 1\n")]);
    let diagnostics = fleet.load(&[""]).unwrap_err();
    let rendered = diagnostics.to_string();
    assert!(!rendered.contains('\u{1b}'), "{rendered}");
    assert!(rendered.contains("k\\u{1b}[2J"), "{rendered}");
}

/// Random malicious files, hundreds per run, with at most 256 MB of memory. On demand
/// `RISKFORM_HOSTILE=100000 cargo test --profile release --test it random_harm`, where each hundred may take two seconds.
#[test]
fn random_harm_ends_soon_and_in_bounded_memory() {
    const FILES: usize = 100;
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse().ok());
    let count: usize = number("RISKFORM_HOSTILE").unwrap_or(200);
    let seed: u64 =
        number("RISKFORM_SEED").map_or_else(|| fastrand::u64(..), |seed: usize| seed as u64);
    println!("RISKFORM_SEED={seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    let limit = Duration::from_secs(if cfg!(debug_assertions) { 300 } else { 2 });
    for _ in 0..count.div_ceil(FILES) {
        let workplace = TestDir::new();
        std::fs::create_dir_all(workplace.path("fleet")).unwrap();
        for at in 0..FILES {
            workplace.write(&format!("fleet/{at}.yaml"), &harm(&mut random));
        }
        let mut command = Command::new("sh");
        let program = env!("CARGO_BIN_EXE_riskform");
        let started = Instant::now();
        // All allocations are in the data segment.
        let run = command
            .args([
                "-c",
                "ulimit -d 262144 && exec \"$0\" validate fleet",
                program,
            ])
            .current_dir(workplace.path(""))
            .env_clear()
            .output()
            .unwrap();
        assert_eq!(
            run.status.code(),
            Some(1),
            "{}",
            String::from_utf8_lossy(&run.stderr)
        );
        assert!(started.elapsed() < limit, "{:?}", started.elapsed());
    }
}

/// A file of a shape that was slow or large before, of random size, sometimes damaged.
fn harm(random: &mut fastrand::Rng) -> String {
    let size = 1 << random.u32(0..12);
    let many = |line: &dyn Fn(usize) -> String| -> String { (0..size).map(line).collect() };
    let list = |item: &str| vec![item; size.min(400)].join(", ");
    let mut text = match random.u8(0..12) {
        0 => format!(
            "{HEAD}name: &a [{}]\nextends: &b [{}]\nguards: [{}]\n",
            list("x"),
            list("*a"),
            list("*b")
        ),
        1 => format!("{HEAD}name: {}", "[".repeat(size)),
        2 => format!(
            "{HEAD}name:\n{}",
            many(&|at| format!("{}a:\n", " ".repeat(at.min(200))))
        ),
        3 => format!("{HEAD}name: \"{}\"\n", "${A:-}".repeat(size)),
        4 => format!(
            "{HEAD}guards:\n  protected:\n{}",
            many(&|at| format!("    - r{at}\n"))
        ),
        5 => format!("{HEAD}{}", many(&|at| format!("k{at}: 1\n"))),
        6 => format!("{HEAD}{}", "name: x\n".repeat(size)),
        7 => format!(
            "{HEAD}behaviors:\n{}",
            many(&|at| format!("  b{at}: {{}}  # {at}\n"))
        ),
        8 => format!(
            "{HEAD}name: &r \"{}\"\nextends: [{}]\n",
            "x".repeat(size),
            list("*r")
        ),
        9 => many(&|at| format!("---\nversion: 1\naccount_id: {at:032}\nname: 'no\n")),
        10 => format!(
            "{HEAD}name: |\n{}",
            many(&|at| format!("  {}\t{at}\n", "é".repeat(at % 80)))
        ),
        _ => format!(
            "{HEAD}extends: [{}]\nkey: 1\n",
            many(&|at| format!("{at}.yaml, "))
        ),
    };
    for _ in 0..random.usize(0..4) {
        let mut at = random.usize(0..=text.len());
        while !text.is_char_boundary(at) {
            at -= 1;
        }
        let scraps = [
            "\t", "- ", "{", "]", "*a", "&a ", "'", "\"", "\n---\n", "${", "\u{feff}", "? ", "|\n",
        ];
        text.insert_str(at, scraps[random.usize(0..scraps.len())]);
    }
    text
}

/// Loading any file and showing its diagnostics does not panic.
fn survive(bytes: &[u8]) {
    let fleet = Fleet::new(&[]);
    fleet.write("a.yaml", bytes);
    if let Err(diagnostics) = load_paths(&[fleet.path("a.yaml")]) {
        assert!(diagnostics.errors() > 0);
        assert!(!diagnostics.to_string().is_empty());
    }
}

/// Fragments of the language, so that random files get past the first character.
fn scraps() -> impl Strategy<Value = String> {
    let scrap = prop::sample::select(vec![
        "version: 1\n",
        "account_id: ",
        "0a000000000000000000000000000000",
        "\n",
        " ",
        "  ",
        "\t",
        "- ",
        ": ",
        ",",
        "{",
        "}",
        "[",
        "]",
        "${",
        "}",
        "${A}",
        "$${",
        ":-",
        "behaviors:\n",
        "integrations:\n",
        "imp_travel",
        "enabled",
        "true",
        "yes",
        "risk_level",
        "high",
        "tenant_url: https://a.okta.com",
        "&a ",
        "*a",
        "!!str ",
        "|\n",
        ">-\n",
        "'",
        "\"",
        "#",
        "---\n",
        "...\n",
        "%YAML 1.2\n",
        "null",
        "~",
        "? ",
        "<<",
        "é",
        "\u{FEFF}",
        "\r\n",
        "\\x00",
        "extends: [a.yaml]\n",
        "guards: { protected: [",
        "until: 2026-12-31",
    ]);
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
    fn any_bytes_are_survived(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        survive(&bytes);
    }

    #[test]
    fn any_scraps_of_the_language_are_survived(text in scraps()) {
        survive(text.as_bytes());
    }

    #[test]
    fn any_slip_in_a_real_file_is_survived(bytes in mutated()) {
        survive(&bytes);
    }
}
