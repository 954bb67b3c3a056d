//! Hints for users of Terraform and kubectl: for a command line that clap rejects, the riskform command that was meant.

use std::ffi::OsString;

use clap::Arg;
use clap::error::{ContextKind, ErrorKind};

use crate::cli::command_line;
use crate::cli::error::CommandError;
use crate::cli::flags::PathArgs;
use crate::cli::next_steps::quoted;

/// Commands of other tools, and the help.
const COMMANDS: [(&str, &str); 6] = [
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
    ("diff", COMPARE),
    ("refresh", COMPARE),
    (
        "state",
        "there is no state; riskform get lists what is live",
    ),
];
const COMPARE: &str = "riskform plan shows changes; riskform drift compares only";

/// Options of other tools, the command or argument that they need, and the help. COMMAND and FILE are replaced.
#[rustfmt::skip]
const OPTIONS: [(&[&str], &str, &str); 5] = [
    (&["f", "filename"], "paths", "files are arguments: COMMAND FILE"),
    (&["dry-run"], "apply", "riskform plan shows what apply would do"),
    (&["dry-run"], "destroy", "riskform plan --destroy shows what destroy would do"),
    (&["json"], "formats", "COMMAND --format json"),
    (&["y", "yes"], "auto_approve", "COMMAND --auto-approve"),
];

/// Returns the error for a rejected command line that another tool would accept.
pub(crate) fn explain(words: &[OsString]) -> Option<CommandError> {
    let words = words.iter().skip(1).map(|word| word.to_string_lossy());
    let words: Vec<_> = words.take_while(|word| word != "--").collect();
    let mut riskform = command_line();
    riskform.build();
    let inner = |command, word| clap::Command::find_subcommand(command, word).unwrap_or(command);
    let command = words
        .iter()
        .fold(&riskform, |command, word| inner(command, &**word));
    if command.get_name() == riskform.get_name() {
        let known = |word| COMMANDS.iter().find(|(name, _)| word == name);
        let (name, help) = words.iter().find_map(known)?;
        return Some(CommandError::usage(
            format_args!("unknown command {name}"),
            *help,
        ));
    }
    let name = command.get_bin_name().unwrap_or_default();
    let has = |id| {
        command
            .get_arguments()
            .any(|argument| argument.get_id() == id)
    };
    words.iter().enumerate().find_map(|(index, word)| {
        let (option, value) = match word.split_once('=') {
            Some((option, value)) => (option, Some(value)),
            None => (&**word, None),
        };
        let long = option.strip_prefix('-')?;
        let long = long.strip_prefix('-').unwrap_or(long);
        let mut arguments = command.get_arguments();
        let known = arguments.find(|argument| argument.get_long() == Some(long));
        if known.is_some() && option.starts_with("--") {
            return None;
        }
        let next = words.get(index + 1).map(|next| &**next);
        let value = value.or(next.filter(|next| !next.starts_with('-')));
        let habit = OPTIONS.iter().find(|(options, needs, _)| {
            options.contains(&long) && (command.get_name() == *needs || has(needs))
        });
        let help = match habit {
            Some((_, _, help)) => help
                .replace("COMMAND", name)
                .replace("FILE", &quoted(value.unwrap_or(PathArgs::DEFAULT))),
            None => format!("{name} {}", with_value(known?, value)),
        };
        Some(CommandError::usage(
            format_args!("unknown option {option}"),
            help,
        ))
    })
}

/// Returns an option with its value, or with a placeholder. A URL may be a secret and is not repeated.
fn with_value(option: &Arg, value: Option<&str>) -> String {
    let name = option.get_long().unwrap_or_default();
    if !option.get_action().takes_values() {
        return format!("--{name}");
    }
    let value = value.filter(|value| !value.contains("://")).map(quoted);
    let placeholder = || {
        option
            .get_value_names()
            .into_iter()
            .flatten()
            .map(ToString::to_string)
            .collect()
    };
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
    use crate::cli::Cli;
    use crate::cli::exit::Exit;

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
                "unknown command state",
                "there is no state; riskform get lists what is live",
            ),
        ];
        for (line, message, help) in table {
            let words: Vec<OsString> = format!("riskform {line}")
                .split(' ')
                .map(Into::into)
                .collect();
            assert!(Cli::parse_words(&words).is_err(), "{line}");
            let error = explain(&words).unwrap();
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
            assert!(explain(&words).is_none(), "{line}");
        }
    }
}
