//! `riskform init`: the first desired-state file, from the live account where it can be read, else to be filled in.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

use clap::Args;

use crate::cli::error::{CommandError, account_error};
use crate::cli::exit::Exit;
use crate::cli::flags::{AccountArgs, ConnectionArgs, PathArgs};
use crate::cli::io::environment;
use crate::cli::io::output::Output;
use crate::cli::run::next_steps::{self, NextStep, ShellCommand};
use crate::cli::run::session::{self, Session};
use crate::config::export::{ExportOptions, PinIds, export};

/// What stands above the state itself.
const HEADING: &str = "\
# yaml-language-server: $schema=riskform.schema.json
#
# The desired state of one Cloudflare account's Zero Trust Risk Scoring. A field that is left out stays as it is live.
# For the line above: riskform schema config > riskform.schema.json
";

/// What is written where no account can be read.
const TEMPLATE: &str = "\
version: 1
account_id: ${CLOUDFLARE_ACCOUNT_ID}

# Which behaviors are detected, and which level each gives a user. Access policies match a level exactly.
behaviors:
  imp_travel: { enabled: true, risk_level: high }
  high_dlp:   { enabled: true, risk_level: medium }

# Okta tenants that hear of levels. Replace the URL, and remove the comment signs.
# integrations:
#   corporate-okta:
#     tenant_url: https://corp.okta.com

# What to do with live things that are not listed here: keep, report (as drift), or disable and delete.
unlisted:
  behaviors: keep
  integrations: report
";

/// Flags of `init`.
#[derive(Args, Debug)]
pub(crate) struct InitArguments {
    /// The file to write; one that is there is never overwritten
    #[arg(value_name = "PATH", default_value = PathArgs::USUAL)]
    path: PathBuf,
    #[command(flatten)]
    who: AccountArgs,
    #[command(flatten)]
    connect: ConnectionArgs,
}

/// Writes the file, and says what to do next.
pub(crate) async fn run(arguments: InitArguments, output: &Output) -> Result<Exit, CommandError> {
    let InitArguments { path, who, connect } = arguments;
    let name = path.display();
    if path.exists() {
        return Err(exists(&path));
    }
    let live = live(&who, &connect, output).await?;
    let is_example = live.is_none();
    let (text, origin) = match live {
        Some(text) => (text, "what is live, each integration pinned to its id"),
        None => (TEMPLATE.to_owned(), "an example"),
    };
    let mut file = File::create_new(&path).map_err(|error| match error.kind() {
        std::io::ErrorKind::AlreadyExists => exists(&path),
        _ => CommandError::other(format!("{name} can't be written"))(error),
    })?;
    file.write_all(format!("{HEADING}{text}").as_bytes())
        .map_err(CommandError::other(format!("{name} can't be written")))?;
    output.result(format_args!("{name}\n"))?;
    output.say(format_args!("{name} holds {origin}."));
    if is_example {
        output.say(format_args!(
            "Set {} and {}, and make the file say what you want. To start from what is live instead, remove it and run riskform init again with both set.",
            environment::API_TOKEN,
            environment::ACCOUNT_ID
        ));
    }
    let mut words = ShellCommand::of_connect(&connect).and(ShellCommand::of_who(&who));
    words.path(&path);
    let step = |command, what| NextStep {
        line: next_steps::line(command, &words),
        what,
    };
    let steps = [
        step("plan", "see what apply would do"),
        step("apply", "do it, once you say yes"),
    ];
    next_steps::say(output, &steps);
    Ok(Exit::Done)
}

fn exists(path: &Path) -> CommandError {
    CommandError::Usage(format!(
        "{} is there already; name another file, or remove it first",
        path.display()
    ))
}

/// The live account as a file, where the command line and the environment say which one and in whose name.
async fn live(
    who: &AccountArgs,
    connect: &ConnectionArgs,
    output: &Output,
) -> Result<Option<String>, CommandError> {
    let session = Session::open(connect, output)?;
    let Ok(account) = session::id(who, connect) else {
        return Ok(None);
    };
    let Ok(connection) = session.connection_to(account.as_str(), None) else {
        return Ok(None);
    };
    let live = connection.reader().live(&account).await;
    let live = live.map_err(|error| CommandError::Account(account_error(&error)))?;
    let detail = ExportOptions {
        pins: PinIds::Always,
        providers: &[],
    };
    Ok(Some(export(&account, None, &live, detail).to_yaml()))
}
