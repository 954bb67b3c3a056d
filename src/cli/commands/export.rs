//! `riskform export`: the live account as a desired-state file.

use std::path::{Path, PathBuf};

use clap::Args;
use futures_util::stream::{self, StreamExt};

use crate::cli::error::{CommandError, ErrorKind};
use crate::cli::exit::Exit;
use crate::cli::flags::{ConnectionArgs, OneAccountArgs, ParallelismArgs, PathArgs};
use crate::cli::io::files::{FileMode, OutputFile};
use crate::cli::io::formats::{FormatArgs, offer};
use crate::cli::io::output::Output;
use crate::cli::load::{SelectedAccount, select_account};
use crate::cli::next_steps::{self, CONNECTION};
use crate::cli::session::Session;
use crate::config::export::{ExportOptions, export};
use crate::config::write::AccountFile;
use crate::model::account::AccountId;
use crate::report::OutputFormat::{self, Json, Yaml};

/// Flags of `export`.
#[derive(Args, Debug)]
#[command(mut_arg("formats", |arg| offer(arg, &[Yaml, Json])))]
pub(crate) struct ExportArgs {
    /// Account IDs to export (several require --split)
    #[arg(value_name = "ACCOUNT_ID")]
    accounts: Vec<AccountId>,
    /// Write one file per account into this directory
    ///
    /// Files are named by account ID. Existing files are never overwritten.
    #[arg(long, value_name = "DIR", conflicts_with = "formats")]
    split: Option<PathBuf>,
    /// Pin each integration to its ID
    #[arg(long)]
    with_ids: bool,
    /// Write identity provider names instead of IDs
    ///
    /// A reference_id becomes `identity_provider: NAME` if it belongs to an Access identity provider.
    #[arg(long)]
    with_names: bool,
    #[command(flatten)]
    formats: FormatArgs,
    #[command(flatten)]
    who: OneAccountArgs,
    #[command(flatten)]
    connect: ConnectionArgs,
    #[command(flatten)]
    parallelism: ParallelismArgs,
}

/// Writes the live accounts as desired-state files.
pub(crate) async fn run(args: ExportArgs, output: &Output) -> Result<Exit, CommandError> {
    let formats = args.formats.read(output)?;
    let accounts = match args.accounts.as_slice() {
        [] => {
            let given = args.who.account_id.as_ref();
            vec![select_account(given, args.connect.sandbox, output)?]
        }
        accounts => accounts.iter().cloned().map(Into::into).collect(),
    };
    let session = Session::open(&args.connect, output)?;
    if let Some(directory) = &args.split {
        return args.split(directory, &accounts, &session, output).await;
    }
    let [account] = accounts.as_slice() else {
        let message = "several accounts need --split DIR";
        return Err(CommandError::new(ErrorKind::Usage, message));
    };
    let document = args.read(&session, account).await?;
    if formats.stdout == Some(OutputFormat::Json) {
        // In YAML these are comments.
        for comment in document.comments.values().flatten() {
            output.warn(comment);
        }
    }
    let (file, purpose) = match formats.files.first() {
        Some((_, file)) => (file.path.clone(), CHECK),
        None => (PathArgs::DEFAULT.into(), CHECK_OUTPUT),
    };
    let yaml = document.to_yaml().map_err(CommandError::error)?;
    formats.write(output, |format| match format {
        OutputFormat::Json => document.to_json(),
        _ => yaml.clone(),
    });
    print_next_step(output, &file, purpose);
    Ok(Exit::Done)
}

impl ExportArgs {
    /// Writes one file per account. If an account fails, the others are still written.
    async fn split(
        &self,
        directory: &Path,
        accounts: &[SelectedAccount],
        session: &Session,
        output: &Output,
    ) -> Result<Exit, CommandError> {
        let cannot = format!("cannot create {}", directory.display());
        std::fs::create_dir_all(directory).map_err(CommandError::other(cannot))?;
        let mut written = stream::iter(accounts)
            .map(|account| async move {
                let path = directory.join(format!("{}.yaml", account.id));
                // Existing files are kept: they may have comments and guards that an export lacks.
                let file = OutputFile::create(&path, FileMode::New)?;
                let document = self.read(session, account).await?;
                file.finish(document.to_yaml().map_err(CommandError::error)?)?;
                Ok(path)
            })
            .buffered(self.parallelism.parallelism.get());
        let mut exits = Vec::new();
        while let Some(written) = written.next().await {
            exits.push(match written {
                Ok(path) => {
                    output.result(format_args!("{}\n", path.display()));
                    Exit::Done
                }
                Err(error) => output.error(&error),
            });
        }
        let exit = Exit::most_severe(exits);
        if exit == Exit::Done {
            print_next_step(output, directory, CHECK);
        }
        Ok(exit)
    }

    async fn read(
        &self,
        session: &Session,
        account: &SelectedAccount,
    ) -> Result<AccountFile, CommandError> {
        let (reader, id) = (
            session.client_with(account.token_variable())?.reader(),
            &account.id,
        );
        let live = reader.live_account(id).await?;
        let providers = match self.with_names {
            true => reader.identity_providers(id).await?.providers,
            false => Vec::new(),
        };
        let options = ExportOptions {
            pins_all: self.with_ids,
            providers: &providers,
        };
        Ok(export(id, None, &live, options))
    }
}

const CHECK: &str = "check: there should be no changes";
const CHECK_OUTPUT: &str = "after saving the output as riskform.yaml: there should be no changes";

/// Prints the command that checks a written file.
fn print_next_step(output: &Output, file: &Path, purpose: &str) {
    let plan = next_steps::follow_up(output, "plan", &[CONNECTION]) + &next_steps::path(file);
    next_steps::print(output, &plan, purpose);
}
