//! Tests that every command line in examples/, in the hooks for pre-commit and in the READMEs parses, so that they use existing commands
//! and flags only.

use std::fs;
use std::path::{Path, PathBuf};

use super::Cli;

#[test]
fn every_command_line_in_the_examples_is_one() {
    let mut texts = vec![
        PathBuf::from("README.md"),
        PathBuf::from("schema/README.md"),
        PathBuf::from(".pre-commit-hooks.yaml"),
    ];
    files(Path::new("examples"), &mut texts);
    let mut seen = Vec::new();
    for path in &texts {
        let text = fs::read_to_string(path).unwrap();
        let code = match path.extension() {
            Some(extension) if extension == "md" => markdown_code(&text),
            Some(_) | None => text,
        };
        for words in command_lines(&code) {
            let arguments: Vec<_> = words.iter().map(Into::into).collect();
            if let Err(error) = Cli::parse_words(&arguments) {
                panic!("{}: {}\n{error}", path.display(), words.join(" "));
            }
            seen.push(words[1].clone());
        }
    }
    for command in ["apply", "drift", "fmt", "plan", "validate"] {
        assert!(
            seen.iter().any(|seen| seen == command),
            "{command}: {seen:?}"
        );
    }
}

fn files(directory: &Path, found: &mut Vec<PathBuf>) {
    let mut entries: Vec<PathBuf> = fs::read_dir(directory)
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

/// Returns the code of a Markdown text: fenced blocks, and spans outside of them, each on a separate line.
fn markdown_code(text: &str) -> String {
    let mut fenced = false;
    let mut code = Vec::new();
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        } else if fenced {
            code.push(line.trim_start_matches("$ "));
        } else {
            code.extend(line.split('`').skip(1).step_by(2));
        }
    }
    code.join("\n")
}

/// The command lines that a text holds: `riskform` and a word for a command, wherever a shell would look for a program. Comments don't count.
fn command_lines(text: &str) -> Vec<Vec<String>> {
    text.replace("\\\n", " ")
        .lines()
        .filter(|line| !line.trim_start().starts_with('#'))
        .filter_map(command_line)
        .collect()
}

fn command_line(line: &str) -> Option<Vec<String>> {
    // As YAML writes a list of words.
    let line = match line.split_once('[') {
        Some((_, words)) if words.starts_with("riskform,") => {
            words.trim_end_matches(']').replace(',', " ")
        }
        // As YAML writes a map on one line.
        Some(_) | None => match line.split_once("entry: ") {
            Some((_, entry)) => entry.split(", ").next().unwrap_or(entry).to_owned(),
            None => line.to_owned(),
        },
    };
    let mut words = shlex::split(&line)?
        .into_iter()
        .skip_while(|word| word != "riskform" && !word.ends_with("/bin/riskform"))
        .take_while(|word| !matches!(word.as_str(), "|" | "||" | "&&" | ";" | ">"));
    let program = words.next()?;
    let command = words
        .next()
        .filter(|word| word.starts_with(|c: char| c.is_ascii_lowercase()))?;
    Some([program, command].into_iter().chain(words).collect())
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
            "exec riskform drift \"$DESIRED\"",
            "riskform drift $DESIRED",
        ),
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

#[test]
fn of_markdown_only_code_is_looked_at() {
    let text = "riskform keeps `riskform plan` and\n```sh\n$ riskform apply\n```\nriskform tells";
    assert_eq!(markdown_code(text), "riskform plan\nriskform apply");
}
