//! Next steps: follow-up commands with the flags of this run, printed to standard error.

use std::fmt::Display;
use std::path::Path;

use crate::cli::error::{CommandError, ErrorKind};
use crate::cli::exit::Exit;
use crate::cli::flags::{AccountArgs, ConnectionArgs, DesiredStateArgs, FleetArgs, PathArgs};
use crate::cli::io::output::Output;
use crate::plan::{AccountPlan, Commands, Overrides, Run};
use crate::report::accounts_with_problems;

/// Prints a follow-up command and its purpose, unless quiet, in a CI job or with JSON output.
pub(crate) fn print(output: &Output, line: &str, purpose: &str) {
    if output.is_interactive() {
        output.status(format_args!("\nNext:\n  {line}  # {purpose}"));
    }
}

/// Returns the command of this run, and its paths and connection flags for other commands.
pub(crate) fn commands(fleet: &FleetArgs) -> Commands {
    let words: Vec<String> = std::env::args_os()
        .skip(1)
        .map(|word| format!(" {}", quoted(&word.to_string_lossy())))
        .collect();
    let arguments = ShellCommand::fleet_args(fleet).line("");
    Commands {
        repeat: Some(format!("riskform{}", words.concat())),
        arguments: arguments.trim_start_matches("riskform ").to_owned(),
    }
}

/// Flags and paths of a follow-up command.
#[derive(Clone, Debug, Default)]
pub(crate) struct ShellCommand(Vec<String>);

impl ShellCommand {
    /// Returns the command line of a command, quoted for a shell.
    pub(crate) fn line(&self, command: &str) -> String {
        let words = self.0.iter().map(|word| format!(" {}", quoted(word)));
        format!("riskform {command}{}", words.collect::<String>())
    }

    /// Returns the connection flags.
    pub(crate) fn of_connect(connect: &ConnectionArgs) -> Self {
        let mut words = ShellCommand::default();
        words.switch("--sandbox", connect.sandbox);
        words.flag("--base-url", connect.base_url.as_ref());
        let ca_bundle = connect.ca_bundle.as_ref();
        words.flag("--ca-bundle", ca_bundle.map(|path| path.display()));
        words
    }

    /// Returns the account flags.
    pub(crate) fn of_who(who: &AccountArgs) -> Self {
        let mut words = ShellCommand::default();
        words.flag("--account-id", who.account_id.as_ref());
        words
    }

    /// Returns the paths and the flags for files.
    pub(crate) fn of_desired(desired: &DesiredStateArgs) -> Self {
        let mut words = ShellCommand::of_selection(desired);
        match desired.paths.paths.as_slice() {
            [path] => words.path(path),
            several => several.iter().for_each(|path| words.word(path)),
        }
        words
    }

    /// Returns the flags for files, without paths.
    fn of_selection(desired: &DesiredStateArgs) -> Self {
        let mut words = ShellCommand::of_who(&desired.who);
        let (limits, root) = (desired.limits.as_ref(), desired.paths.root.as_ref());
        words.flag("--limits", limits.map(|path| path.display()));
        words.flag("--root", root.map(|path| path.display()));
        words
    }

    /// Returns all paths and flags.
    pub(crate) fn fleet_args(fleet: &FleetArgs) -> Self {
        ShellCommand::of_connect(&fleet.connect).and(ShellCommand::of_desired(&fleet.desired))
    }

    /// Returns the guard overrides.
    pub(crate) fn of_overrides(overrides: Overrides) -> Self {
        let mut words = ShellCommand::default();
        words.flag("--max-deletes", overrides.max_deletes);
        words.switch("--allow-delete-all", overrides.allow_delete_all);
        words.switch("--allow-weakening", overrides.allow_weakening);
        words.switch("--allow-policies", overrides.allow_policies);
        words
    }

    pub(crate) fn and(mut self, more: ShellCommand) -> Self {
        self.0.extend(more.0);
        self
    }

    /// Adds a path unless it is the default.
    pub(crate) fn path(&mut self, path: &Path) {
        if path != Path::new(PathArgs::DEFAULT) {
            self.word(path);
        }
    }

    fn word(&mut self, path: &Path) {
        self.0.push(path.display().to_string());
    }

    pub(crate) fn flag(&mut self, name: &str, value: Option<impl Display>) {
        if let Some(value) = value {
            self.0.extend([name.to_owned(), value.to_string()]);
        }
    }

    pub(crate) fn switch(&mut self, name: &str, is_given: bool) {
        self.0.extend(is_given.then(|| name.to_owned()));
    }
}

/// Returns the follow-up command for a drift notification: it shows the most severe accounts.
pub(crate) fn next_command_after_drift(
    result: Result<&Run, &CommandError>,
    fleet: &FleetArgs,
) -> Option<String> {
    const MAX_FILES: usize = 5;
    let words = || ShellCommand::fleet_args(fleet);
    match result {
        Ok(run) if run.accounts.iter().any(AccountPlan::has_drift) => {
            let accounts = accounts_with_problems(run).into_iter();
            let mut files: Vec<&str> = Vec::new();
            for account in accounts.filter(|account| account.has_drift()) {
                if !files.contains(&&*account.source) {
                    files.push(&account.source);
                }
            }
            files.truncate(MAX_FILES);
            let mut words = ShellCommand::of_connect(&fleet.connect)
                .and(ShellCommand::of_selection(&fleet.desired));
            match files.as_slice() {
                [file] => words.path(Path::new(file)),
                files => files.iter().for_each(|file| words.word(Path::new(file))),
            }
            Some(words.line("drift"))
        }
        Ok(run) if Exit::from_run(run, &[], None) == Exit::Done => None,
        Ok(_) => Some(words().line("doctor")),
        Err(error) if error.kind == ErrorKind::Files => {
            Some(ShellCommand::of_desired(&fleet.desired).line("validate"))
        }
        Err(_) => None,
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

    #[test]
    fn a_line_can_be_pasted() {
        let mut words = ShellCommand::default();
        words.switch("--sandbox", true);
        words.switch("--allow-weakening", false);
        words.flag("--target", Some("behavior.*"));
        words.flag("--root", None::<&str>);
        words.flag("--limits", Some("/etc/o'clock/limits.yaml"));
        let line = words.line("plan");
        assert_eq!(
            line,
            r"riskform plan --sandbox --target 'behavior.*' --limits '/etc/o'\''clock/limits.yaml'"
        );
        let read = shlex::split(&line).unwrap();
        assert_eq!(read[4], "behavior.*");
        assert_eq!(read[6], "/etc/o'clock/limits.yaml");
    }
}
