//! Help texts that clap does not write: the overview of all commands, and each command's examples and exit codes.

use clap::{Arg, ArgAction, Command};

use crate::cli::exit::Exit;
use crate::cli::io::environment;

/// Examples and exit codes of a command.
struct CommandHelp {
    name: &'static str,
    examples: &'static [Example],
    exits: &'static [ExitText],
}

/// A comment and a command line.
type Example = (&'static str, &'static str);

/// An exit code and its meaning for one command.
pub(crate) type ExitText = (Exit, &'static str);

const SUCCESS: ExitText = (Exit::Done, Exit::Done.meaning());
const ERROR: ExitText = (Exit::Error, "error");
const BLOCKED: ExitText = (Exit::Blocked, Exit::Blocked.meaning());
const AUTH: ExitText = (Exit::Auth, Exit::Auth.meaning());
const USAGE: ExitText = (Exit::Usage, Exit::Usage.meaning());

const READ_EXITS: &[ExitText] = &[SUCCESS, ERROR, AUTH, USAGE];
const LOCAL_EXITS: &[ExitText] = &[SUCCESS, ERROR, USAGE];
const WRITE_EXITS: &[ExitText] = &[
    (Exit::Done, "all changes made, or nothing to do"),
    (Exit::Error, "error or not approved; no changes were made"),
    (Exit::Incomplete, Exit::Incomplete.meaning()),
    (Exit::Stale, "the saved plan is stale"),
    BLOCKED,
    AUTH,
    USAGE,
];

/// All commands, in the groups of the overview.
const GROUPS: &[(&str, &[CommandHelp])] = &[
    (
        "Change",
        &[
            CommandHelp {
                name: "plan",
                examples: &[
                    ("show what apply would do", "riskform plan"),
                    (
                        "save the plan to apply exactly these changes later",
                        "riskform plan --out plan.json",
                    ),
                    (
                        "Markdown for a pull request, JSON for a script",
                        "riskform plan -o markdown=plan.md -o json",
                    ),
                ],
                exits: &[
                    (Exit::Done, "no error (with or without changes)"),
                    ERROR,
                    (Exit::Changes, "changes (with --detailed-exitcode)"),
                    BLOCKED,
                    AUTH,
                    USAGE,
                ],
            },
            CommandHelp {
                name: "apply",
                examples: &[
                    ("show the plan, ask for approval, apply", "riskform apply"),
                    (
                        "apply a saved plan",
                        "riskform apply --plan plan.json --auto-approve",
                    ),
                    (
                        "keep a rollback file and an audit log",
                        "riskform apply --save-previous before.yaml --audit-log audit.jsonl",
                    ),
                ],
                exits: WRITE_EXITS,
            },
            CommandHelp {
                name: "destroy",
                examples: &[
                    (
                        "delete all integrations and disable all behaviors in the file",
                        "riskform destroy",
                    ),
                    (
                        "delete one integration",
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
                        "list users with level high without resetting them",
                        "riskform reset --level high --dry-run",
                    ),
                ],
                exits: &[
                    (Exit::Done, "all users reset"),
                    (Exit::Error, "error or not approved; no user was reset"),
                    (Exit::Incomplete, "some users were not reset"),
                    AUTH,
                    USAGE,
                ],
            },
        ],
    ),
    (
        "Check",
        &[
            CommandHelp {
                name: "drift",
                examples: &[
                    ("report all differences", "riskform drift"),
                    (
                        "from cron: print nothing and notify Slack only on drift",
                        "riskform drift -q --notify https://hooks.slack.com/services/T/B/X",
                    ),
                    (
                        "Prometheus metrics",
                        "riskform drift -o prometheus=riskform.prom",
                    ),
                ],
                exits: &[
                    (Exit::Done, "no drift"),
                    ERROR,
                    (Exit::Changes, "drift"),
                    AUTH,
                    USAGE,
                ],
            },
            CommandHelp {
                name: "audit",
                examples: &[
                    ("check one account", "riskform audit"),
                    (
                        "HTML report for a directory of accounts",
                        "riskform audit accounts -o html=audit.html",
                    ),
                ],
                exits: &[
                    (Exit::Done, "all checks passed (warnings allowed)"),
                    ERROR,
                    (Exit::Changes, "at least one check failed"),
                    (
                        Exit::Auth,
                        "a check could not run because a permission is missing",
                    ),
                    USAGE,
                ],
            },
            CommandHelp {
                name: "doctor",
                examples: &[
                    ("check the setup", "riskform doctor"),
                    (
                        "check one account without files",
                        "riskform doctor --account-id 023e105f4ecef8ad9ca31a8372d0c353",
                    ),
                ],
                exits: &[
                    (Exit::Done, "no failed check"),
                    (Exit::Error, "a check failed"),
                    AUTH,
                    USAGE,
                ],
            },
        ],
    ),
    (
        "Inspect",
        &[
            CommandHelp {
                name: "get",
                examples: &[
                    ("list live integrations", "riskform get integrations"),
                    (
                        "list users with level high",
                        "riskform get users --min-level high",
                    ),
                ],
                exits: READ_EXITS,
            },
            CommandHelp {
                name: "show",
                examples: &[
                    ("read a saved plan", "riskform show plan.json"),
                    (
                        "as an HTML page",
                        "riskform show plan.json -o html=plan.html",
                    ),
                ],
                exits: LOCAL_EXITS,
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
                        "SARIF for code scanning",
                        "riskform validate accounts -o sarif=riskform.sarif",
                    ),
                ],
                exits: &[
                    (Exit::Done, "no errors (warnings allowed)"),
                    (Exit::Error, "errors in the files"),
                    USAGE,
                ],
            },
            CommandHelp {
                name: "fmt",
                examples: &[
                    ("format all files in this directory", "riskform fmt ."),
                    (
                        "show a diff and exit with code 1 if anything would change",
                        "riskform fmt --check --diff .",
                    ),
                ],
                exits: &[
                    (Exit::Done, "formatted, or nothing to do"),
                    (Exit::Error, "error, or unformatted files (with --check)"),
                    USAGE,
                ],
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
                exits: READ_EXITS,
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
                        "create riskform.yaml from the live account",
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
                        "run a simulated API on port 8787",
                        "riskform sandbox --port 8787",
                    ),
                    (
                        "run a command with a simulated API",
                        "riskform sandbox -- riskform plan",
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
                name: "version",
                examples: &[("for a bug report", "riskform version --format json")],
                exits: LOCAL_EXITS,
            },
        ],
    ),
];

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
    let variables: String = (environment::VARIABLES.iter())
        .map(|(name, meaning)| format!("\n  {name}\n      {meaning}"))
        .collect();
    let exits = Exit::ALL.iter().map(|exit| (*exit, exit.meaning()));
    let mut riskform = riskform
        .help_template(format!(
            "{{about}}\n\n{{usage-heading}} {{usage}}\n\n{overview}\n\
             All commands accept -q, -v, --color and --ci. Details: `riskform COMMAND -h`.\n\n{{options}}{{after-help}}"
        ))
        .disable_help_flag(true)
        .disable_version_flag(true)
        .args([help, version])
        .after_long_help(format!(
            "Environment variables:{variables}\n\n{}",
            exit_codes(exits)
        ));
    for entry in GROUPS.iter().flat_map(|(_, entries)| *entries) {
        riskform = riskform.mut_subcommand(entry.name, |command| {
            entry
                .add_to(command)
                .mut_subcommands(|inner| entry.add_to(inner))
        });
    }
    riskform
}

impl CommandHelp {
    fn add_to(&self, command: Command) -> Command {
        let (mut lines, mut examples) = (String::new(), String::new());
        for (comment, line) in self.examples {
            lines.push_str(&format!("  {line}\n"));
            examples.push_str(&format!("  # {comment}\n  {line}\n"));
        }
        let codes: Vec<String> = (self.exits.iter())
            .map(|(exit, _)| exit.code().to_string())
            .collect();
        let codes = codes.join(", ");
        command
            .after_help(format!(
                "Examples:\n{lines}\nExit codes: {codes}. See --help for details."
            ))
            .after_long_help(format!(
                "Examples:\n{examples}\n{}",
                exit_codes(self.exits.iter().copied())
            ))
    }
}

/// Returns the commands in groups, one per line; commands used only once share the last line.
fn overview(riskform: &Command) -> String {
    const COMBINED_COMMANDS: [&str; 2] = ["completions", "version"];
    let mut overview = String::new();
    for (group, entries) in GROUPS {
        let alone = entries
            .iter()
            .filter(|entry| !COMBINED_COMMANDS.contains(&entry.name));
        for (index, entry) in alone.enumerate() {
            let command = riskform.find_subcommand(entry.name);
            let about = command.and_then(Command::get_about).cloned();
            let about = about.unwrap_or_default();
            let group = if index == 0 { *group } else { "" };
            overview.push_str(&format!("{group:<8}{:<10}{about}\n", entry.name));
        }
    }
    let (last, rest) = COMBINED_COMMANDS.split_last().expect("there are three");
    overview.push_str(&format!("        {} and {last}\n", rest.join(", ")));
    overview
}

fn exit_codes(exits: impl Iterator<Item = ExitText>) -> String {
    let lines = exits.map(|(exit, meaning)| format!("\n  {:<4} {meaning}", exit.code()));
    format!("Exit codes:{}", lines.collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::{Cli, command_line};

    #[test]
    fn every_command_has_its_place_and_its_examples_are_command_lines() {
        let names: Vec<&str> = GROUPS
            .iter()
            .flat_map(|(_, entries)| *entries)
            .map(|entry| entry.name)
            .collect();
        let riskform = command_line();
        let mut known: Vec<&str> = riskform.get_subcommands().map(Command::get_name).collect();
        let mut sorted = names.clone();
        sorted.sort_unstable();
        known.sort_unstable();
        assert_eq!(sorted, known);
        for entry in GROUPS.iter().flat_map(|(_, entries)| *entries) {
            for (_, line) in entry.examples {
                let line = line.trim_start_matches("eval \"$(").trim_end_matches(")\"");
                let words = shlex::split(line).unwrap();
                assert_eq!(words[1], entry.name);
                Cli::parse_words(
                    &words
                        .iter()
                        .map(Into::into)
                        .collect::<Vec<std::ffi::OsString>>(),
                )
                .unwrap();
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
