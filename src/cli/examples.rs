//! Holds every command line in examples/, in the hooks for pre-commit and in the READMEs against the command line that there is, so that
//! none of them can name what does not exist.

use std::fs;
use std::path::{Path, PathBuf};

use clap::Parser;

use super::args::Cli;

#[test]
fn every_command_line_in_the_examples_is_one() {
    let mut texts = vec![
        PathBuf::from("README.md"),
        PathBuf::from(".pre-commit-hooks.yaml"),
    ];
    files(Path::new("examples"), &mut texts);
    let mut seen = Vec::new();
    for path in &texts {
        for words in command_lines(&fs::read_to_string(path).unwrap()) {
            if let Err(error) = Cli::try_parse_from(&words) {
                panic!("{}: {}\n{error}", path.display(), words.join(" "));
            }
            seen.push(words[1].clone());
        }
    }
    for command in ["apply", "drift", "fmt", "plan", "report", "validate"] {
        assert!(
            seen.iter().any(|seen| seen == command),
            "{command}: {seen:?}"
        );
    }
}

fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    let mut entries: Vec<PathBuf> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    entries.sort();
    for path in entries {
        if path.is_dir() {
            files(&path, found);
        } else {
            found.push(path);
        }
    }
}

/// The command lines that a text holds: `riskform` and a word for a command, wherever a shell would look for a program.
fn command_lines(text: &str) -> Vec<Vec<String>> {
    let joined = text.replace("\\\n", " ");
    joined
        .lines()
        .flat_map(code)
        .filter_map(|code| {
            // As YAML writes a list of words.
            let code = match code.split_once('[') {
                Some((_, words)) if words.starts_with("riskform,") => {
                    words.trim_end_matches(']').replace(',', " ")
                }
                Some(_) | None => code,
            };
            let words = shlex::split(&code.replace("$JOB_COMPLETION_INDEX", "0"))?;
            let program = words
                .iter()
                .position(|word| word == "riskform" || word.ends_with("/riskform"))?;
            let end = words[program..]
                .iter()
                .position(|word| matches!(word.as_str(), "|" | "||" | "&&" | ";" | ">"))
                .map_or(words.len(), |length| program + length);
            let command = words[program..end].get(1)?;
            command
                .starts_with(|c: char| c.is_ascii_lowercase())
                .then(|| words[program..end].to_vec())
        })
        .collect()
}

/// What of a line may be code: not a comment, and of a line with spans of code only these.
fn code(line: &str) -> Vec<String> {
    let line = line.trim();
    if line.starts_with('#') {
        Vec::new()
    } else if line.contains('`') {
        line.split('`')
            .skip(1)
            .step_by(2)
            .map(str::to_owned)
            .collect()
    } else {
        vec![line.trim_start_matches("$ ").to_owned()]
    }
}

#[test]
fn command_lines_are_found_where_a_shell_would() {
    let table = [
        ("riskform plan \\\n  --ci x | tee", "riskform plan --ci x"),
        (
            "  run: riskform fmt --check \"$DESIRED\"",
            "riskform fmt --check $DESIRED",
        ),
        (
            "command: [riskform, drift, /etc/x]",
            "riskform drift /etc/x",
        ),
        (
            "ExecStart=/usr/local/bin/riskform drift -q",
            "ExecStart=/usr/local/bin/riskform drift -q",
        ),
        (
            "exec riskform drift --shard \"$JOB_COMPLETION_INDEX/4\"",
            "riskform drift --shard 0/4",
        ),
        ("as `riskform doctor` says", "riskform doctor"),
        ("# riskform plan", ""),
        ("echo \"riskform made no plan\"", ""),
        ("image: riskform:0.1.0 plan", ""),
    ];
    for (text, expected) in table {
        let found: Vec<String> = command_lines(text)
            .iter()
            .map(|words| words.join(" "))
            .collect();
        assert_eq!(found.join("\n"), expected, "{text}");
    }
}
