//! Hints for users of Terraform and kubectl: for a command line that clap rejects, the riskform command that was meant.

use std::ffi::OsString;

use clap::error::{ContextKind, ErrorKind};
use clap::{Arg, Command};

use crate::cli::error::CommandError;
use crate::cli::flags::PathArgs;
use crate::cli::next_steps::quoted;

/// Commands of other tools, and what does the same in riskform.
const COMMANDS: &[(&str, &str)] = &[
    (
        "delete",
        "to delete everything in the files: riskform destroy. One unlisted integration: riskform destroy --target 'integration[ID]'",
    ),
    (
        "import",
        "riskform init writes a file from the live account; to adopt one integration, give an entry its id",
    ),
    (
        "test",
        "riskform validate checks files offline; riskform plan --sandbox tries them on a simulated account",
    ),
    (
        "diff",
        "riskform plan shows changes; riskform drift compares only",
    ),
    (
        "refresh",
        "riskform plan shows changes; riskform drift compares only",
    ),
    (
        "state",
        "there is no state; riskform get lists what is live",
    ),
];

/// Returns the error for a rejected command line that another tool would accept.
pub(crate) fn explain(riskform: &Command, words: &[OsString]) -> Option<CommandError> {
    let words: Vec<String> = words
        .iter()
        .skip(1)
        .map(|word| word.to_string_lossy().into_owned())
        .take_while(|word| word != "--")
        .collect();
    let is_command = |(index, word): &(usize, &String)| {
        !word.starts_with('-') && (*index == 0 || words[index - 1] != "--color")
    };
    let (start, name) = words.iter().enumerate().find(is_command)?;
    if let Some((_, help)) = COMMANDS.iter().find(|(command, _)| command == name) {
        let rest = words[start + 1..].iter().take(usize::from(name == "state"));
        let typed: Vec<&str> = [name].into_iter().chain(rest).map(String::as_str).collect();
        let message = format!("unknown command {}", typed.join(" "));
        return Some(CommandError::usage(message, *help));
    }
    let mut command = riskform.find_subcommand(name)?;
    let mut path = name.clone();
    for word in &words[start + 1..] {
        if let Some(inner) = command.find_subcommand(word) {
            command = inner;
            path = format!("{path} {word}");
        }
    }
    let options = |name: &str| {
        let mut arguments = command.get_arguments().chain(riskform.get_arguments());
        arguments.find(|argument| argument.get_long() == Some(name))
    };
    words.iter().enumerate().find_map(|(index, word)| {
        let (option, value) = match word.split_once('=') {
            Some((option, value)) => (option, Some(value)),
            None => (word.as_str(), None),
        };
        let name = option.strip_prefix('-')?;
        let name = name.strip_prefix('-').unwrap_or(name);
        let is_unknown = match option.starts_with("--") {
            true => options(name).is_none(),
            // A single letter is an option of its own, or several.
            false => name.len() > 1 || matches!(name, "f" | "y"),
        };
        if !is_unknown {
            return None;
        }
        let next = words.get(index + 1).map(String::as_str);
        let value = value.or(next.filter(|next| !next.starts_with('-')));
        let help = match name {
            "f" | "filename" if takes_paths(command) => {
                let file = quoted(value.unwrap_or(PathArgs::DEFAULT));
                format!("files are arguments: riskform {path} {file}")
            }
            "dry-run" if path == "apply" => "riskform plan shows what apply would do".to_owned(),
            "dry-run" if path == "destroy" => {
                "riskform plan --destroy shows what destroy would do".to_owned()
            }
            "json" if options("format").is_some() => format!("riskform {path} --format json"),
            "y" | "yes" if options("auto-approve").is_some() => {
                format!("riskform {path} --auto-approve")
            }
            _ => format!("riskform {path} {}", with_value(options(name)?, value)),
        };
        Some(CommandError::usage(
            format_args!("unknown option {option}"),
            help,
        ))
    })
}

fn takes_paths(command: &Command) -> bool {
    command
        .get_positionals()
        .any(|argument| argument.get_id() == "paths")
}

/// Returns an option with its value, or with a placeholder. A URL may be a secret and is not repeated.
fn with_value(option: &Arg, value: Option<&str>) -> String {
    let name = option.get_long().unwrap_or_default();
    if !option.get_action().takes_values() {
        return format!("--{name}");
    }
    let placeholder = || {
        let names = option.get_value_names().and_then(<[_]>::first);
        names.map_or_else(|| name.to_uppercase(), ToString::to_string)
    };
    let value = value.filter(|value| !value.contains("://")).map(quoted);
    format!("--{name} {}", value.unwrap_or_else(placeholder))
}

/// Removes clap's tip to pass an unknown option as a value.
pub(crate) fn without_value_tip(mut error: clap::Error) -> clap::Error {
    if error.kind() == ErrorKind::UnknownArgument {
        let tip = error.get(ContextKind::Suggested).map(ToString::to_string);
        if tip.is_some_and(|tip| tip.contains("as a value")) {
            error.remove(ContextKind::Suggested);
        }
    }
    error
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::exit::Exit;
    use crate::cli::{Cli, command_line};

    #[test]
    fn habits_of_other_tools_get_a_hint() {
        const COMPARE: &str = "riskform plan shows changes; riskform drift compares only";
        let table = [
            (
                "plan -out=p.json",
                "unknown option -out",
                "riskform plan --out p.json",
            ),
            (
                "plan -out p.json",
                "unknown option -out",
                "riskform plan --out p.json",
            ),
            (
                "plan accounts -out",
                "unknown option -out",
                "riskform plan --out FILE",
            ),
            (
                "apply -auto-approve",
                "unknown option -auto-approve",
                "riskform apply --auto-approve",
            ),
            (
                "destroy --yes",
                "unknown option --yes",
                "riskform destroy --auto-approve",
            ),
            (
                "apply -y",
                "unknown option -y",
                "riskform apply --auto-approve",
            ),
            (
                "plan -json",
                "unknown option -json",
                "riskform plan --format json",
            ),
            (
                "get users --json",
                "unknown option --json",
                "riskform get users --format json",
            ),
            (
                "plan -target=behavior.*",
                "unknown option -target",
                "riskform plan --target 'behavior.*'",
            ),
            (
                "drift -notify=https://hooks.slack.com/secret",
                "unknown option -notify",
                "riskform drift --notify URL",
            ),
            (
                "--color never plan -detailed-exitcode",
                "unknown option -detailed-exitcode",
                "riskform plan --detailed-exitcode",
            ),
            (
                "apply -f riskform.yaml",
                "unknown option -f",
                "files are arguments: riskform apply riskform.yaml",
            ),
            (
                "apply --dry-run",
                "unknown option --dry-run",
                "riskform plan shows what apply would do",
            ),
            (
                "destroy --dry-run=client",
                "unknown option --dry-run",
                "riskform plan --destroy shows what destroy would do",
            ),
            (
                "delete integration.okta",
                "unknown command delete",
                "to delete everything in the files: riskform destroy. One unlisted integration: riskform destroy --target 'integration[ID]'",
            ),
            (
                "import integration.okta 4cfe8442",
                "unknown command import",
                "riskform init writes a file from the live account; to adopt one integration, give an entry its id",
            ),
            (
                "test",
                "unknown command test",
                "riskform validate checks files offline; riskform plan --sandbox tries them on a simulated account",
            ),
            ("diff", "unknown command diff", COMPARE),
            ("-q refresh", "unknown command refresh", COMPARE),
            (
                "state list",
                "unknown command state list",
                "there is no state; riskform get lists what is live",
            ),
        ];
        for (line, message, help) in table {
            let words: Vec<OsString> = format!("riskform {line}")
                .split(' ')
                .map(Into::into)
                .collect();
            assert!(Cli::parse_words(&words).is_err(), "{line}");
            let error = explain(&command_line(), &words).unwrap();
            let help = Some(help.into());
            assert_eq!(
                (error.to_string(), error.help),
                (message.into(), help),
                "{line}"
            );
            assert_eq!(error.kind.exit(), Exit::Usage, "{line}");
        }
        for line in [
            "plan --nonsense",
            "apply -x",
            "fmt -json",
            "plan -qx",
            "sandbox -- delete",
        ] {
            let words: Vec<OsString> = format!("riskform {line}")
                .split(' ')
                .map(Into::into)
                .collect();
            assert!(explain(&command_line(), &words).is_none(), "{line}");
        }
    }
}
