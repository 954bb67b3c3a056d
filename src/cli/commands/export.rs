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
use crate::cli::next_steps::{self, ShellCommand};
use crate::cli::session::Session;
use crate::config::export::{ExportOptions, export};
use crate::config::write::AccountFile;
use crate::model::account::AccountId;
use crate::plan::AccountError;
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
    pub(crate) formats: FormatArgs,
    #[command(flatten)]
    who: OneAccountArgs,
    #[command(flatten)]
    connect: ConnectionArgs,
    #[command(flatten)]
    parallelism: ParallelismArgs,
}

/// Writes the live accounts as desired-state files.
pub(crate) async fn run(arguments: ExportArgs, output: &Output) -> Result<Exit, CommandError> {
    let formats = arguments.formats.read(output)?;
    let accounts = match arguments.accounts.as_slice() {
        [] => {
            let given = arguments.who.account_id.as_ref();
            vec![select_account(given, arguments.connect.sandbox, output)?]
        }
        accounts => accounts.iter().cloned().map(Into::into).collect(),
    };
    let export = Export {
        session: &Session::open(&arguments.connect, output)?,
        with_ids: arguments.with_ids,
        with_names: arguments.with_names,
    };
    if let Some(directory) = &arguments.split {
        let at_once = arguments.parallelism.parallelism.get();
        let exit = export.split(directory, &accounts, at_once, output).await?;
        if exit == Exit::Done {
            arguments.print_next_steps(output, directory, "check: there should be no changes");
        }
        return Ok(exit);
    }
    let [account] = accounts.as_slice() else {
        let message = "several accounts need --split DIR";
        return Err(CommandError::new(ErrorKind::Usage, message));
    };
    let document = export.read(account).await?;
    if formats.stdout == Some(OutputFormat::Json) {
        // In YAML these are comments.
        for comment in document.comments.values().flatten() {
            output.warn(comment);
        }
    }
    let file = formats.files.first();
    let file = file.map(|(_, file)| file.path().to_owned());
    let yaml = document.to_yaml().map_err(CommandError::error)?;
    formats.write(output, |format| match format {
        OutputFormat::Json => document.to_json(),
        _ => yaml.clone(),
    });
    match file {
        Some(file) => {
            arguments.print_next_steps(output, &file, "check: there should be no changes")
        }
        None => arguments.print_next_steps(
            output,
            Path::new(PathArgs::DEFAULT),
            "after saving the output as riskform.yaml: there should be no changes",
        ),
    }
    Ok(Exit::Done)
}

impl ExportArgs {
    /// Prints the command that checks the file.
    fn print_next_steps(&self, output: &Output, file: &Path, purpose: &str) {
        let mut words = ShellCommand::of_connect(&self.connect);
        words.path(file);
        next_steps::print(output, &words.line("plan"), purpose);
    }
}

/// Options for reading and writing accounts.
struct Export<'a> {
    session: &'a Session,
    with_ids: bool,
    with_names: bool,
}

impl Export<'_> {
    /// Writes one file per account. If an account fails, the others are still written.
    async fn split(
        &self,
        directory: &Path,
        accounts: &[SelectedAccount],
        at_once: usize,
        output: &Output,
    ) -> Result<Exit, CommandError> {
        std::fs::create_dir_all(directory).map_err(CommandError::other(format!(
            "cannot create {}",
            directory.display()
        )))?;
        let mut read = stream::iter(accounts)
            .map(|account| async move {
                let path = directory.join(format!("{}.yaml", account.id));
                // Existing files are kept: they may have comments and guards that an export lacks.
                let file = OutputFile::create_new(&path, FileMode::Default)?;
                let document = self.read(account).await;
                Ok((file, document?))
            })
            .buffered(at_once);
        let mut exits = Vec::new();
        while let Some(read) = read.next().await {
            let written = read.and_then(|(file, document): (OutputFile, AccountFile)| {
                let path = file.path().to_owned();
                let text = document.to_yaml().map_err(CommandError::error)?;
                file.finish(text).map(|()| path)
            });
            exits.push(match written {
                Ok(path) => {
                    output.result(format_args!("{}\n", path.display()));
                    Exit::Done
                }
                Err(error) => output.error(&error),
            });
        }
        Ok(Exit::most_severe(exits))
    }

    async fn read(&self, account: &SelectedAccount) -> Result<AccountFile, AccountError> {
        let (reader, account) = (self.session.client_for(account)?.reader(), &account.id);
        let providers = async {
            match self.with_names {
                true => Ok(reader.identity_providers(account).await?.providers),
                false => Ok(Vec::new()),
            }
        };
        let (live, providers) = tokio::try_join!(reader.live_account(account), providers)?;
        let detail = ExportOptions {
            pins_all: self.with_ids,
            providers: &providers,
        };
        Ok(export(account, None, &live, detail))
    }
}
