//! `riskform man`: the manual pages, made from what `--help` says.

use std::io;
use std::path::PathBuf;

use clap::{Args, Command};
use clap_mangen::Man;

use crate::cli::error::CommandError;
use crate::cli::exit::Exit;
use crate::cli::help;
use crate::cli::io::environment;
use crate::cli::io::files;
use crate::cli::io::output::Output;

/// Flags of `man`.
#[derive(Args, Debug)]
pub(crate) struct ManArguments {
    /// Write a page for every command into this directory, instead of printing the one of riskform itself
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

/// Prints the page, or writes all of them.
pub(crate) fn run(
    arguments: ManArguments,
    mut riskform: Command,
    output: &Output,
) -> Result<Exit, CommandError> {
    riskform.build();
    let Some(directory) = arguments.out else {
        output.result(page("riskform", &riskform, &riskform)?);
        return Ok(Exit::Done);
    };
    std::fs::create_dir_all(&directory).map_err(CommandError::other(format!(
        "the folder {} can't be made",
        directory.display()
    )))?;
    let mut commands = vec![("riskform".to_owned(), &riskform)];
    while let Some((name, command)) = commands.pop() {
        let text = page(&name, command, &riskform)?;
        files::write(&directory.join(format!("{name}.1")), text)?;
        for inner in command.get_subcommands() {
            if inner.get_name() != "help" {
                commands.push((format!("{name}-{}", inner.get_name()), inner));
            }
        }
    }
    Ok(Exit::Done)
}

/// One page. What `--help` says in prose behind the flags stands in sections of their own, as readers of manuals expect.
fn page(name: &str, command: &Command, riskform: &Command) -> Result<String, CommandError> {
    let plain = command
        .clone()
        .after_help(None::<&str>)
        .after_long_help(None::<&str>);
    let man = Man::new(plain);
    let mut page = Vec::new();
    let render = |page: &mut Vec<u8>| -> io::Result<()> {
        man.render_title(page)?;
        man.render_name_section(page)?;
        man.render_synopsis_section(page)?;
        man.render_description_section(page)?;
        man.render_options_section(page)?;
        if command.has_subcommands() {
            man.render_subcommands_section(page)?;
        }
        Ok(())
    };
    render(&mut page).map_err(CommandError::other("the manual page can't be made"))?;
    let mut page = String::from_utf8_lossy(&page).into_owned();
    // What is below a command is told with it: `get users` with `get`.
    let told = name.split('-').nth(1).and_then(help::of);
    let (examples, exits) = match told {
        Some((examples, exits)) => (examples, exits.to_vec()),
        None => {
            let exits = Exit::ALL.iter().map(|exit| (*exit, exit.meaning()));
            (&[][..], exits.collect())
        }
    };
    if !examples.is_empty() {
        page.push_str(".SH EXAMPLES\n");
        for (what, line) in examples {
            page.push_str(&format!(
                ".TP\n{}\n\\fB{}\\fR\n",
                escaped(what),
                escaped(line)
            ));
        }
    }
    let exits = exits
        .iter()
        .map(|(exit, meaning)| (exit.code().to_string(), *meaning));
    section(&mut page, "EXIT STATUS", exits);
    let pairs = |table: &'static [(&'static str, &'static str)]| {
        table.iter().map(|(name, what)| ((*name).to_owned(), *what))
    };
    section(&mut page, "ENVIRONMENT", pairs(environment::VARIABLES));
    section(&mut page, "FILES", pairs(help::FILES));
    page.push_str(&format!(".SH VERSION\n{}\n", escaped(&version(riskform))));
    Ok(page)
}

fn version(riskform: &Command) -> String {
    format!("riskform {}", riskform.get_version().unwrap_or_default())
}

fn section<'a>(page: &mut String, title: &str, rows: impl Iterator<Item = (String, &'a str)>) {
    page.push_str(&format!(".SH \"{title}\"\n"));
    for (name, what) in rows {
        page.push_str(&format!(
            ".TP\n\\fB{}\\fR\n{}\n",
            escaped(&name),
            escaped(what)
        ));
    }
}

/// A line of text as roff takes it: a backslash escapes, a hyphen would be a dash, and a dot in front would be a command.
fn escaped(text: &str) -> String {
    let text = text
        .replace('\\', "\\e")
        .replace('-', "\\-")
        .replace('\'', "\\(aq");
    match text.strip_prefix('.') {
        Some(rest) => format!("\\&.{rest}"),
        None => text,
    }
}
