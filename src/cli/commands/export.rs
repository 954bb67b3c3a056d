//! `riskform export`: the live account as a desired-state file.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use clap::Args;
use futures_util::stream::{self, StreamExt};

use crate::cli::flags::{Connect, Parallelism, Who};
use crate::cli::io::formats::FormatArguments;
use crate::cli::io::output::Output;
use crate::cli::run::ending::{Error, Exit, account_error, account_exit};
use crate::cli::run::session::{self, Session};
use crate::config::export::export;
use crate::config::write::{Document, FileFormat};
use crate::model::account::AccountId;
use crate::plan::AccountError;

/// Flags of `export`.
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// The accounts, where it is not the one of --account-id; several need --split
    #[arg(value_name = "ACCOUNT_ID")]
    accounts: Vec<AccountId>,
    /// Write a file for each account into this directory, named by its id; none is overwritten
    #[arg(long, value_name = "DIR", conflicts_with = "formats")]
    split: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) formats: FormatArguments<FileFormat>,
    #[command(flatten)]
    who: Who,
    #[command(flatten)]
    connect: Connect,
    #[command(flatten)]
    parallelism: Parallelism,
}

/// Writes the live accounts as the files that declare them as they are.
pub(crate) async fn run(arguments: Arguments, output: &Output) -> Result<Exit, Error> {
    let formats = arguments.formats.read(output)?;
    let accounts = match arguments.accounts.as_slice() {
        [] => vec![session::id(&arguments.who, &arguments.connect)?],
        accounts => accounts.to_vec(),
    };
    let session = Session::open(&arguments.connect, output)?;
    if let Some(directory) = &arguments.split {
        return split(
            directory,
            &accounts,
            &session,
            &arguments.parallelism,
            output,
        )
        .await;
    }
    let [account] = accounts.as_slice() else {
        let message = "several accounts are several files: pass --split DIR";
        return Err(Error::Usage(message.to_owned()));
    };
    let document = read(&session, account).await.map_err(Error::Account)?;
    if formats.stdout == Some(FileFormat::Json) {
        // What YAML says in comments.
        for left_out in document.left_out() {
            output.warn(left_out);
        }
    }
    formats.write(output, |format| document.written(format))?;
    Ok(Exit::Done)
}

/// Writes a fleet. One account's failure does not keep the others from being written.
async fn split(
    directory: &Path,
    accounts: &[AccountId],
    session: &Session,
    parallelism: &Parallelism,
    output: &Output,
) -> Result<Exit, Error> {
    std::fs::create_dir_all(directory).map_err(Error::other(format!(
        "{} can't be made",
        directory.display()
    )))?;
    let mut read = stream::iter(accounts)
        .map(|account| async move { (account, read(session, account).await) })
        .buffered(parallelism.parallelism.get());
    let mut exits = Vec::new();
    while let Some((account, document)) = read.next().await {
        let path = directory.join(format!("{account}.yaml"));
        exits.push(match document {
            Ok(document) => match create(&path, &document.to_yaml()) {
                Ok(()) => {
                    output.result(format_args!("{}\n", path.display()))?;
                    Exit::Done
                }
                Err(error) => {
                    let context = format!("{} can't be written", path.display());
                    output.error(&Error::other(context)(error))
                }
            },
            Err(error) => {
                let exit = account_exit(&error);
                output.error(&Error::Account(error));
                exit
            }
        });
    }
    Ok(Exit::gravest(exits))
}

async fn read(session: &Session, account: &AccountId) -> Result<Document, AccountError> {
    let reader = session.connection_to(account.as_str(), None)?.reader();
    let live = reader.live(account).await;
    let live = live.map_err(|error| account_error(&error))?;
    Ok(export(account, None, &live))
}

/// Writes a file that is not there yet: one that is may say more than the account can tell.
fn create(path: &Path, content: &str) -> io::Result<()> {
    File::create_new(path)?.write_all(content.as_bytes())
}
