//! Next steps: follow-up commands with the flags of this run, printed to standard error.

use std::fmt::Display;
use std::path::Path;

use clap::ArgMatches;
use clap::parser::ValueSource;

use crate::cli::error::{CommandError, ErrorKind};
use crate::cli::exit::Exit;
use crate::cli::flags::PathArgs;
use crate::cli::io::output::Output;
use crate::plan::{AccountPlan, Commands, Run};
use crate::report::accounts_with_problems;

/// Prints a follow-up command and its purpose, unless quiet, in a CI job or with JSON output.
pub(crate) fn print(output: &Output, line: &str, purpose: &str) {
    if output.is_interactive() {
        output.status(format_args!("\nNext:\n  {line}  # {purpose}"));
    }
}

/// Returns the command of this run, and its paths and connection options for other commands.
pub(crate) fn commands(output: &Output) -> Commands {
    let words = std::env::args_os().skip(1);
    let words = words.map(|word| format!(" {}", quoted(&word.to_string_lossy())));
    Commands {
        repeat: Some(format!("riskform{}", words.collect::<String>())),
        arguments: options(output.arguments(), &[CONNECTION, ACCOUNT, FILES, PATHS]),
    }
}

/// Arguments of this run that a follow-up command repeats.
type Arguments = &'static [&'static str];
pub(crate) const CONNECTION: Arguments = &["sandbox", "base_url", "ca_bundle"];
pub(crate) const ACCOUNT: Arguments = &["account_id"];
pub(crate) const FILES: Arguments = &["limits", "root"];
pub(crate) const PATHS: Arguments = &["paths", "path"];
pub(crate) const PLAN: Arguments = &[
    "target",
    "max_deletes",
    "allow_delete_all",
    "allow_weakening",
    "allow_policies",
];

/// Returns a command with arguments of this run, quoted for a shell.
pub(crate) fn follow_up(output: &Output, command: impl Display, repeated: &[Arguments]) -> String {
    format!(
        "riskform {command}{}",
        options(output.arguments(), repeated)
    )
}

/// Returns the given ones of these arguments, each after a space.
fn options(matches: &ArgMatches, repeated: &[Arguments]) -> String {
    let mut words = String::new();
    for id in repeated.iter().copied().flatten() {
        let Ok(Some(values)) = matches.try_get_raw(id) else {
            continue;
        };
        if matches.value_source(id) != Some(ValueSource::CommandLine) {
            continue;
        }
        for value in values {
            let option = format!(" --{}", id.replace('_', "-"));
            let value = format!(" {}", quoted(&value.to_string_lossy()));
            words += &match matches.try_get_one::<bool>(id) {
                _ if PATHS.contains(id) => value,
                Ok(_) => option,
                Err(_) => option + &value,
            };
        }
    }
    words
}

/// Returns the follow-up command for a drift notification: it shows the most severe accounts.
pub(crate) fn next_command_after_drift(
    result: Result<&Run, &CommandError>,
    output: &Output,
) -> Option<String> {
    const MAX_FILES: usize = 5;
    match result {
        Ok(run) if run.accounts.iter().any(AccountPlan::has_drift) => {
            let mut files: Vec<String> = Vec::new();
            for account in accounts_with_problems(run) {
                let file = path(&*account.source);
                if account.has_drift() && files.len() < MAX_FILES && !files.contains(&file) {
                    files.push(file);
                }
            }
            let drift = follow_up(output, "drift", &[CONNECTION, ACCOUNT, FILES]);
            Some(drift + &files.concat())
        }
        Ok(run) if Exit::from_run(run, &[], None) == Exit::Done => None,
        Ok(_) => {
            let repeated = [CONNECTION, ACCOUNT, FILES, PATHS];
            Some(follow_up(output, "doctor", &repeated))
        }
        Err(error) if error.kind == ErrorKind::Files => {
            Some(follow_up(output, "validate", &[ACCOUNT, FILES, PATHS]))
        }
        Err(_) => None,
    }
}

/// Returns a path after a space, or nothing for the default file.
pub(crate) fn path(path: impl AsRef<Path>) -> String {
    let path = path.as_ref();
    match path == Path::new(PathArgs::DEFAULT) {
        true => String::new(),
        false => format!(" {}", quoted(&path.to_string_lossy())),
    }
}

/// Quotes a word for a shell.
pub(crate) fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "_-./:=,@%+".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', "'\\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::Cli;

    #[test]
    fn follow_up_command_repeats_arguments_and_can_be_pasted() {
        let line = "riskform plan --sandbox --timeout 5 --target behavior.* --root 'o'\\''clock' a";
        let words = shlex::split(line).unwrap();
        let words: Vec<_> = words.into_iter().map(Into::into).collect();
        let (_, matches) = Cli::parse_words(&words).unwrap();
        let plan = matches.subcommand().unwrap().1;
        let repeated = options(plan, &[PLAN, CONNECTION, ACCOUNT, FILES, PATHS]);
        assert_eq!(
            repeated,
            r" --target 'behavior.*' --sandbox --root 'o'\''clock' a"
        );
    }
}
