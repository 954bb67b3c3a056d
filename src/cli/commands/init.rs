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
use crate::cli::next_steps::{self, ACCOUNT, CONNECTION, PATHS};
use crate::cli::session::Session;
use crate::config::export::{ExportOptions, export};
use crate::model::account::{AccountId, LiveAccount};
use crate::model::text::pluralize;

/// Start, content without credentials, and end of the file.
const TEMPLATE: &str = include_str!("template.yaml");

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
pub(crate) async fn run(args: InitArgs, output: &Output) -> Result<Exit, CommandError> {
    let InitArgs { path, who, connect } = args;
    let name = path.display();
    if path.exists() {
        return Err(CommandError::usage(
            format_args!("{name} already exists"),
            "pass another path: riskform init PATH",
        ));
    }
    let file = OutputFile::create(&path, FileMode::New)?;
    let (text, content, purpose) = match connect.sandbox || environment::has_credentials() {
        true => {
            let account = load::account_id(who.account_id.as_ref(), connect.sandbox)?;
            let reader = Session::open(&connect, output)?.client_with(None)?.reader();
            let live = reader.live_account(&account).await?;
            let content = format!(
                "{}, {}, with their live settings",
                pluralize(live.behaviors.len(), "behavior"),
                pluralize(live.integrations.len(), "integration")
            );
            (
                live_file(&account, &live)?,
                content,
                "No changes, until you edit the file",
            )
        }
        false => {
            let (token, account) = (environment::API_TOKEN, environment::ACCOUNT_ID);
            let content = format!(
                "an example. To start from the live account, set {token} and {account}, remove it, and run riskform init"
            );
            (TEMPLATE.to_owned(), content, "show what apply would change")
        }
    };
    file.finish(text)?;
    output.result(format_args!("{name}\n"));
    output.status(format_args!("Wrote {name}: {content}."));
    let next = next_steps::follow_up(output, "plan", &[CONNECTION, ACCOUNT, PATHS]);
    next_steps::print(output, &next, purpose);
    Ok(Exit::Done)
}

/// Returns the template with the live settings as its content.
fn live_file(account: &AccountId, live: &LiveAccount) -> Result<String, CommandError> {
    let options = ExportOptions {
        pins_all: true,
        providers: &[],
    };
    let mut file = export(account, None, live, options);
    for key in ["unlisted", "guards"] {
        file.content.remove(key);
    }
    let content = file
        .to_yaml()
        .map_err(CommandError::other("cannot write the file"))?;
    let start = TEMPLATE.find("version:").unwrap_or_default();
    let end = TEMPLATE.find("\n# report:").unwrap_or(TEMPLATE.len());
    Ok(format!(
        "{}{content}{}",
        &TEMPLATE[..start],
        &TEMPLATE[end..]
    ))
}
