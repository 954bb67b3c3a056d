//! What `--help`, `-h` and the manual pages say beside the flags: commands in groups, examples, exit codes, variables and files.
//!
//! One table of commands; a test sees to it that each is there, that its examples are command lines, and that -h fits a screen.

use clap::{Arg, ArgAction, Command};

use crate::cli::exit::Exit;
use crate::cli::io::environment;

/// What is said of one command.
struct CommandHelp {
    /// Its name, and its own command's behind a space.
    name: &'static str,
    /// What it does, and the command line that does it.
    examples: &'static [(&'static str, &'static str)],
    exits: &'static [Exit],
}

use Exit::{Auth, Blocked, Changes, Done, Error, Incomplete, Stale, Usage};

/// How a command ends that only reads.
const READ_EXITS: &[Exit] = &[Done, Error, Auth, Usage];
/// How a command ends that stays on this machine.
const LOCAL_EXITS: &[Exit] = &[Done, Error, Usage];
const WRITE_EXITS: &[Exit] = &[Done, Error, Incomplete, Stale, Blocked, Auth, Usage];

/// The commands, in the groups that the overview shows.
const GROUPS: &[(&str, &[CommandHelp])] = &[
    (
        "Change",
        &[
            CommandHelp {
                name: "plan",
                examples: &[
                    ("show what apply would do", "riskform plan"),
                    (
                        "save the plan, so that what runs is what was read",
                        "riskform plan --out plan.json",
                    ),
                    (
                        "for a pull request, and for a script",
                        "riskform plan -o markdown=plan.md -o json",
                    ),
                ],
                exits: &[Done, Error, Changes, Blocked, Auth, Usage],
            },
            CommandHelp {
                name: "apply",
                examples: &[
                    ("show the plan, ask, carry it out", "riskform apply"),
                    (
                        "carry out what was read and saved",
                        "riskform apply --plan plan.json --auto-approve",
                    ),
                    (
                        "keep a way back and a trace",
                        "riskform apply --save-previous before.yaml --audit-log audit.jsonl",
                    ),
                ],
                exits: WRITE_EXITS,
            },
            CommandHelp {
                name: "destroy",
                examples: &[
                    (
                        "delete the listed integrations, disable the listed behaviors",
                        "riskform destroy",
                    ),
                    (
                        "only one of them",
                        "riskform destroy --target integration.corporate-okta",
                    ),
                ],
                exits: WRITE_EXITS,
            },
            CommandHelp {
                name: "reset",
                examples: &[
                    ("clear one user's score", "riskform reset alice@example.com"),
                    (
                        "see who has the level high, and clear nobody",
                        "riskform reset --level high --dry-run",
                    ),
                ],
                exits: &[Done, Error, Incomplete, Auth, Usage],
            },
        ],
    ),
    (
        "Check",
        &[
            CommandHelp {
                name: "drift",
                examples: &[
                    (
                        "say how live accounts differ from their files",
                        "riskform drift",
                    ),
                    (
                        "from cron: silent without drift, a message with it",
                        "riskform drift -q --notify https://hooks.slack.com/services/T/B/X",
                    ),
                    (
                        "for a monitoring system",
                        "riskform drift -o prometheus=riskform.prom",
                    ),
                ],
                exits: &[Done, Error, Changes, Auth, Usage],
            },
            CommandHelp {
                name: "audit",
                examples: &[
                    (
                        "do policies act on the scores, and does Okta hear of them",
                        "riskform audit",
                    ),
                    (
                        "a fleet, without the SSF documents",
                        "riskform audit accounts --ignore ssf -o html=audit.html",
                    ),
                ],
                exits: &[Done, Error, Changes, Auth, Usage],
            },
            CommandHelp {
                name: "doctor",
                examples: &[
                    ("why riskform can't get in", "riskform doctor"),
                    (
                        "without files",
                        "riskform doctor --account-id 023e105f4ecef8ad9ca31a8372d0c353",
                    ),
                ],
                exits: READ_EXITS,
            },
        ],
    ),
    (
        "Look",
        &[
            CommandHelp {
                name: "get",
                examples: &[
                    (
                        "the integrations that are live",
                        "riskform get integrations",
                    ),
                    (
                        "who has a high score",
                        "riskform get users --min-level high",
                    ),
                ],
                exits: READ_EXITS,
            },
            CommandHelp {
                name: "show",
                examples: &[
                    ("read a saved plan", "riskform show plan.json"),
                    ("as a page", "riskform show plan.json -o html=plan.html"),
                ],
                exits: LOCAL_EXITS,
            },
            CommandHelp {
                name: "report",
                examples: &[(
                    "join the shards of a fleet",
                    "riskform report merge drift-0.json drift-1.json -o html=drift.html",
                )],
                exits: &[
                    Done, Error, Changes, Incomplete, Stale, Blocked, Auth, Usage,
                ],
            },
        ],
    ),
    (
        "Files",
        &[
            CommandHelp {
                name: "validate",
                examples: &[
                    ("check files without the network", "riskform validate"),
                    (
                        "a folder, for a code host",
                        "riskform validate accounts -o sarif=riskform.sarif",
                    ),
                ],
                exits: LOCAL_EXITS,
            },
            CommandHelp {
                name: "fmt",
                examples: &[
                    ("lay files out canonically", "riskform fmt ."),
                    (
                        "show what would change, and end with 1 if anything would",
                        "riskform fmt --check --diff .",
                    ),
                ],
                exits: LOCAL_EXITS,
            },
            CommandHelp {
                name: "export",
                examples: &[
                    (
                        "the live account as a file",
                        "riskform export -o yaml=riskform.yaml",
                    ),
                    (
                        "a file for each account",
                        "riskform export --split accounts 023e105f4ecef8ad9ca31a8372d0c353",
                    ),
                ],
                exits: READ_EXITS,
            },
            CommandHelp {
                name: "schema",
                examples: &[("for an editor", "riskform schema config")],
                exits: LOCAL_EXITS,
            },
        ],
    ),
    (
        "Set up",
        &[
            CommandHelp {
                name: "init",
                examples: &[
                    (
                        "write riskform.yaml, from the live account where there is a token",
                        "riskform init",
                    ),
                    ("try it with the simulated API", "riskform init --sandbox"),
                ],
                exits: READ_EXITS,
            },
            CommandHelp {
                name: "sandbox",
                examples: &[
                    (
                        "try things out without an account",
                        "riskform sandbox --port 8787",
                    ),
                    (
                        "see what a wrong answer does",
                        "riskform sandbox --faults faults.yaml",
                    ),
                ],
                exits: LOCAL_EXITS,
            },
            CommandHelp {
                name: "completions",
                examples: &[(
                    "for bash, in ~/.bashrc",
                    "eval \"$(riskform completions bash)\"",
                )],
                exits: LOCAL_EXITS,
            },
            CommandHelp {
                name: "man",
                examples: &[(
                    "write the manual pages",
                    "riskform man --out ~/.local/share/man/man1",
                )],
                exits: LOCAL_EXITS,
            },
            CommandHelp {
                name: "version",
                examples: &[("for a bug report", "riskform version --format json")],
                exits: LOCAL_EXITS,
            },
        ],
    ),
];

/// What riskform reads and writes beside what is named on the command line.
pub(crate) const FILES: &[(&str, &str)] = &[
    ("riskform.yaml", "the desired state, where no PATH is given"),
    (".riskform/sandbox.json", "the accounts of --sandbox"),
    (
        "~/.local/state/riskform",
        "digests of what was notified, below XDG_STATE_HOME where that is set",
    ),
    (
        "riskform.env, gl-code-quality-report.json",
        "what --ci writes for GitLab",
    ),
];

/// A command line with everything that is said beside the flags.
pub(crate) fn dressed(riskform: Command) -> Command {
    let overview = overview(&riskform);
    let variables = table(environment::VARIABLES);
    let mut riskform = with_short_help(riskform)
        .help_template(format!(
            "{{about}}\n\n{{usage-heading}} {{usage}}\n\n{overview}\n\
             Every command takes -q, -v, --color WHEN and --ci; COMMAND -h says what else.\n\n{{options}}{{after-help}}"
        ))
        .disable_version_flag(true)
        .arg(
            Arg::new("version")
                .short('V')
                .long("version")
                .help("Print the version")
                .hide_short_help(true)
                .action(ArgAction::Version),
        )
        .after_long_help(format!(
            "Environment\n{variables}\n\nExit codes\n{}",
            exit_codes(Exit::ALL)
        ));
    for entry in GROUPS.iter().flat_map(|(_, entries)| *entries) {
        riskform = riskform.mut_subcommand(entry.name, |command| {
            command
                .after_help(format!(
                    "Examples\n{}\nExit codes: {}. --help says more.",
                    lines(entry),
                    codes(entry)
                ))
                .after_long_help(format!(
                    "Examples\n{}\n\nExit codes\n{}",
                    examples(entry),
                    exit_codes(entry.exits)
                ))
        });
    }
    riskform
}

/// The groups of commands, a line each; those that only set something up share one.
fn overview(riskform: &Command) -> String {
    const COMBINED_COMMANDS: [&str; 3] = ["completions", "man", "version"];
    let mut overview = String::new();
    for (group, entries) in GROUPS {
        let alone = entries
            .iter()
            .filter(|entry| !COMBINED_COMMANDS.contains(&entry.name));
        for (index, entry) in alone.enumerate() {
            let about = riskform
                .find_subcommand(entry.name)
                .and_then(Command::get_about);
            let about = about.map(ToString::to_string).unwrap_or_default();
            let group = if index == 0 { *group } else { "" };
            overview.push_str(&format!(
                "{group:<8}{:<10}{}\n",
                entry.name,
                first_clause(&about)
            ));
        }
    }
    let (last, rest) = COMBINED_COMMANDS.split_last().expect("there are three");
    overview.push_str(&format!("        {} and {last}\n", rest.join(", ")));
    overview
}

/// Makes -h fit a screen: of each flag it says the first clause of what --help says, and of itself nothing.
fn with_short_help(command: Command) -> Command {
    let help = Arg::new("help")
        .short('h')
        .long("help")
        .help("Print help; -h the short one")
        .hide_short_help(true)
        .action(ArgAction::Help);
    command
        .disable_help_flag(true)
        .arg(help)
        .mut_args(
            |argument| match argument.get_help().map(ToString::to_string) {
                Some(help) if argument.get_long_help().is_none() => argument
                    .help(first_clause(&help).to_owned())
                    .long_help(help),
                Some(_) | None => argument,
            },
        )
        .mut_subcommands(with_short_help)
}

/// What stands before the first detail.
fn first_clause(help: &str) -> &str {
    let details = ["; ", ": ", " (", " ["];
    let ends = details.iter().filter_map(|detail| help.find(detail));
    ends.min().map_or(help, |end| &help[..end])
}

/// A command line and what it is for.
pub(crate) type Example = (&'static str, &'static str);

/// The examples of a command, and the ways in which it ends; none for what is not in the table.
pub(crate) fn of(name: &str) -> Option<(&'static [Example], &'static [Exit])> {
    let mut entries = GROUPS.iter().flat_map(|(_, entries)| *entries);
    let entry = entries.find(|entry| entry.name == name)?;
    Some((entry.examples, entry.exits))
}

/// The command lines alone, for a help that fits a screen.
fn lines(entry: &CommandHelp) -> String {
    let lines: Vec<String> = entry
        .examples
        .iter()
        .map(|(_, line)| format!("  {line}"))
        .collect();
    lines.join("\n")
}

fn examples(entry: &CommandHelp) -> String {
    let lines = entry.examples.iter();
    let lines: Vec<String> = lines
        .map(|(what, line)| format!("  # {what}\n  {line}"))
        .collect();
    lines.join("\n")
}

fn codes(entry: &CommandHelp) -> String {
    let codes: Vec<String> = entry
        .exits
        .iter()
        .map(|exit| exit.code().to_string())
        .collect();
    codes.join(", ")
}

fn exit_codes(exits: &[Exit]) -> String {
    let lines: Vec<String> = exits
        .iter()
        .map(|exit| format!("  {:<4} {}", exit.code(), exit.meaning()))
        .collect();
    lines.join("\n")
}

fn table(rows: &[(&str, &str)]) -> String {
    let lines: Vec<String> = rows
        .iter()
        .map(|(name, what)| format!("  {name}\n      {what}"))
        .collect();
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::Cli;

    #[test]
    fn every_command_has_its_place_and_its_examples_are_command_lines() {
        let told: Vec<&str> = GROUPS
            .iter()
            .flat_map(|(_, entries)| *entries)
            .map(|entry| entry.name)
            .collect();
        let riskform = Cli::command_line();
        let mut known: Vec<&str> = riskform.get_subcommands().map(Command::get_name).collect();
        let mut sorted = told.clone();
        sorted.sort_unstable();
        known.sort_unstable();
        assert_eq!(sorted, known);
        for entry in GROUPS.iter().flat_map(|(_, entries)| *entries) {
            for (_, line) in entry.examples {
                let line = line.trim_start_matches("eval \"$(").trim_end_matches(")\"");
                let words = shlex::split(line).unwrap();
                assert_eq!(words[1], entry.name);
                Cli::read(words.iter().map(Into::into).collect()).unwrap();
            }
        }
    }

    #[test]
    fn short_help_fits_a_screen() {
        let mut riskform = Cli::command_line().term_width(80);
        riskform.build();
        let mut commands = vec![&mut riskform];
        while let Some(command) = commands.pop() {
            let help = command.clone().render_help().to_string();
            let lines: Vec<&str> = help.lines().collect();
            // A line is left for the prompt.
            let fits = lines.len() < 24 && lines.iter().all(|line| line.chars().count() <= 80);
            assert!(
                fits,
                "{} -h has {} lines for a screen of 80 × 24; what stands before the first `;`, `:`, `(` or `[` of a flag's text is its short \
                 help, and hide_short_help leaves a flag to --help:\n{help}",
                command.get_name(),
                lines.len()
            );
            let inner = command.get_subcommands_mut();
            commands.extend(inner.filter(|inner| inner.get_name() != "help"));
        }
    }
}
