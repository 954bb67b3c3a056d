//! `riskform init`: creates the first desired-state file from the live account, or a template without credentials.

use std::path::PathBuf;

use clap::Args;

use crate::cli::error::CommandError;
use crate::cli::exit::Exit;
use crate::cli::flags::{AccountArgs, ConnectionArgs, PathArgs};
use crate::cli::io::environment;
use crate::cli::io::files::{FileMode, OutputFile};
use crate::cli::io::output::Output;
use crate::cli::load;
use crate::cli::next_steps::{self, ShellCommand};
use crate::cli::session::Session;
use crate::config::export::{ExportOptions, export};
use crate::model::text::pluralize;

/// Comment at the top of the file.
const HEADING: &str = "\
# yaml-language-server: $schema=riskform.schema.json
#
# The desired state of one Cloudflare account's Zero Trust Risk Scoring. Fields you leave out keep their live value.
# For the line above: riskform schema config > riskform.schema.json
";

/// File content without credentials.
const TEMPLATE: &str = "\
version: 1
account_id: ${CLOUDFLARE_ACCOUNT_ID}

# Behaviors, and the risk level that each assigns to a user. Access policies match levels exactly.
behaviors:
  imp_travel: { enabled: true, risk_level: high }
  high_dlp: { enabled: true, risk_level: medium }

# Okta tenants that receive risk scores. Replace the URL and remove the comment signs.
# integrations:
#   corporate-okta:
#     tenant_url: https://corp.okta.com
";

/// End of both files.
const UNLISTED: &str = "
# report: unlisted resources are reported as drift. keep: they are ignored.
unlisted: { behaviors: report, integrations: report }
";

/// Flags of `init`.
#[derive(Args, Debug)]
pub(crate) struct InitArgs {
    /// File to create (never overwritten)
    #[arg(value_name = "PATH", default_value = PathArgs::DEFAULT)]
    path: PathBuf,
    #[command(flatten)]
    who: AccountArgs,
    #[command(flatten)]
    connect: ConnectionArgs,
}

/// Creates the file and prints the next step.
pub(crate) async fn run(arguments: InitArgs, output: &Output) -> Result<Exit, CommandError> {
    let InitArgs { path, who, connect } = arguments;
    let name = path.display();
    if path.exists() {
        return Err(CommandError::usage(
            format_args!("{name} already exists"),
            "pass another path: riskform init PATH",
        ));
    }
    let file = OutputFile::create_new(&path, FileMode::Default)?;
    let live = live(&who, &connect, output).await?;
    let (text, content, purpose) = match live {
        Some((text, content)) => (text, content, "No changes, until you edit the file"),
        None => {
            let content = format!(
                "an example. To start from the live account, set {} and {}, remove it, and run riskform init",
                environment::API_TOKEN,
                environment::ACCOUNT_ID
            );
            (TEMPLATE.to_owned(), content, "show what apply would change")
        }
    };
    file.finish(format!("{HEADING}{text}{UNLISTED}"))?;
    output.result(format_args!("{name}\n"));
    output.status(format_args!("Wrote {name}: {content}."));
    let mut words = ShellCommand::of_connect(&connect).and(ShellCommand::of_who(&who));
    words.path(&path);
    next_steps::print(output, &words.line("plan"), purpose);
    Ok(Exit::Done)
}

/// Returns the live account as a file and a summary of its content, or `None` without credentials.
async fn live(
    who: &AccountArgs,
    connect: &ConnectionArgs,
    output: &Output,
) -> Result<Option<(String, String)>, CommandError> {
    let session = Session::open(connect, output)?;
    if !connect.sandbox && !environment::has_credentials() {
        return Ok(None);
    }
    let account = load::account_id(who.account_id.as_ref(), connect.sandbox)?;
    let reader = session.client_with(None)?.reader();
    let live = reader.live_account(&account).await?;
    let detail = ExportOptions {
        pins_all: true,
        providers: &[],
    };
    let content = format!(
        "{}, {}, with their live settings",
        pluralize(live.behaviors.len(), "behavior"),
        pluralize(live.integrations.len(), "integration")
    );
    let mut file = export(&account, None, &live, detail);
    for key in ["unlisted", "guards"] {
        file.content.remove(key);
    }
    let text = file
        .to_yaml()
        .map_err(CommandError::other("cannot write the file"))?;
    Ok(Some((text, content)))
}
