//! Help texts that clap does not write: the overview of all commands, and each command's examples and exit codes.

use clap::{Arg, ArgAction, Command};

use crate::cli::exit::Exit;
use crate::cli::io::environment;

/// Commands in the order of the overview: group and name, then exit codes with their meanings, then examples with comments.
const COMMANDS: &str = include_str!("help.txt");

struct CommandHelp {
    group: &'static str,
    name: &'static str,
    exits: Vec<&'static str>,
    examples: Vec<&'static str>,
}

fn commands() -> impl Iterator<Item = CommandHelp> {
    COMMANDS.split("\n\n").filter_map(|block| {
        let (head, lines) = block.split_once('\n')?;
        let (group, name) = head.split_once(" | ")?;
        let is_exit = |line: &&str| line.starts_with(|c: char| c.is_ascii_digit());
        let (exits, examples) = lines.lines().partition(is_exit);
        Some(CommandHelp {
            group,
            name,
            exits,
            examples,
        })
    })
}

/// Adds the overview, the examples and the exit codes.
pub(crate) fn with_help(riskform: Command) -> Command {
    let help = Arg::new("help")
        .short('h')
        .long("help")
        .help("Print help (-h for a summary)")
        .global(true)
        .hide_short_help(true)
        .action(ArgAction::Help);
    let version = Arg::new("version")
        .short('V')
        .long("version")
        .help("Print the version")
        .hide_short_help(true)
        .action(ArgAction::Version);
    let overview = overview(&riskform);
    let variables: String = environment::variables()
        .map(|(name, meaning)| format!("\n  {name}\n      {meaning}"))
        .collect();
    let exits = Exit::ALL.iter();
    let exits: String = exits
        .map(|(exit, meaning)| exit_line(&exit.code().to_string(), meaning))
        .collect();
    let mut riskform = riskform
        .help_template(format!(
            "{{about}}\n\n{{usage-heading}} {{usage}}\n\n{overview}\n\
             All commands accept -q, -v, --color and --ci. Details: `riskform COMMAND -h`.\n\n{{options}}{{after-help}}"
        ))
        .disable_help_flag(true)
        .disable_version_flag(true)
        .args([help, version])
        .after_long_help(format!(
            "Environment variables:{variables}\n\nExit codes:{exits}"
        ));
    for help in commands() {
        riskform = riskform.mut_subcommand(help.name, |command| {
            help.add_to(command)
                .mut_subcommands(|inner| help.add_to(inner))
        });
    }
    riskform
}

impl CommandHelp {
    fn add_to(&self, command: Command) -> Command {
        let (mut lines, mut examples) = (String::new(), String::new());
        for example in &self.examples {
            let (line, comment) = example.split_once("  # ").unwrap_or((example, ""));
            lines.push_str(&format!("  {line}\n"));
            examples.push_str(&format!("  # {comment}\n  {line}\n"));
        }
        let exits = self.exits.iter().filter_map(|line| line.split_once("  "));
        let (codes, exits): (Vec<&str>, Vec<String>) = exits
            .map(|(code, meaning)| (code, exit_line(code, meaning)))
            .unzip();
        let (codes, exits) = (codes.join(", "), exits.concat());
        command
            .after_help(format!(
                "Examples:\n{lines}\nExit codes: {codes}. See --help for details."
            ))
            .after_long_help(format!("Examples:\n{examples}\nExit codes:{exits}"))
    }
}

fn exit_line(code: &str, meaning: &str) -> String {
    format!("\n  {code:<4} {meaning}")
}

/// Returns the commands in groups, one per line.
fn overview(riskform: &Command) -> String {
    let mut previous = "";
    commands().fold(
        String::new(),
        |overview, CommandHelp { group, name, .. }| {
            let command = riskform.find_subcommand(name);
            let about = command.and_then(Command::get_about).cloned();
            let about = about.unwrap_or_default();
            let heading = if group == previous { "" } else { group };
            previous = group;
            format!("{overview}{heading:<8}{name:<12}{about}\n")
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::{Cli, command_line};

    #[test]
    fn every_command_has_its_place_and_its_examples_are_command_lines() {
        let names: Vec<&str> = commands().map(|help| help.name).collect();
        let riskform = command_line();
        let mut known: Vec<&str> = riskform.get_subcommands().map(Command::get_name).collect();
        let mut sorted = names.clone();
        sorted.sort_unstable();
        known.sort_unstable();
        assert_eq!(sorted, known);
        for entry in commands() {
            let codes = Exit::ALL.iter().map(|(exit, _)| exit.code().to_string());
            let codes: Vec<String> = codes.collect();
            for exit in entry.exits {
                let (code, _) = exit.split_once("  ").unwrap();
                assert!(codes.iter().any(|known| known == code), "{exit}");
            }
            for example in entry.examples {
                let (line, comment) = example.split_once("  # ").unwrap();
                assert!(!comment.is_empty(), "{line}");
                let line = line.trim_start_matches("eval \"$(").trim_end_matches(")\"");
                let words = shlex::split(line).unwrap();
                assert_eq!(words[1], entry.name);
                let words: Vec<_> = words.iter().map(Into::into).collect();
                Cli::parse_words(&words).unwrap();
            }
        }
    }

    #[test]
    fn short_help_fits_a_screen() {
        let mut riskform = command_line().term_width(80);
        riskform.build();
        let mut commands = vec![&mut riskform];
        while let Some(command) = commands.pop() {
            let help = command.clone().render_help().to_string();
            let lines: Vec<&str> = help.lines().collect();
            // One line is for the prompt.
            let fits = lines.len() < 24 && lines.iter().all(|line| line.chars().count() <= 80);
            assert!(
                fits,
                "{} -h has {} lines; a screen has 80 × 24. Shorten the first paragraphs, or use hide_short_help:\n{help}",
                command.get_name(),
                lines.len()
            );
            let inner = command.get_subcommands_mut();
            commands.extend(inner.filter(|inner| inner.get_name() != "help"));
        }
    }
}
