//! `riskform schema`, `riskform completions` and `riskform version`.

use clap::{Args, Command, ValueEnum};
use clap_complete::Shell;
use serde_json::json;

use crate::cli::error::{CommandError, ErrorKind};
use crate::cli::exit::Exit;
use crate::cli::flags::{ConnectionArgs, OneAccountArgs};
use crate::cli::io::formats::{FormatArgs, offer};
use crate::cli::io::output::Output;
use crate::cli::session::Session;
use crate::config::shape::{CONFIG_SCHEMA, LIMITS_SCHEMA, schema_with_behaviors};
use crate::report::OutputFormat::{self, Json, Text};
use crate::report::json::document;
use crate::report::schema::{AUDIT_SCHEMA, RUN_SCHEMA};

/// Flags of `schema`.
#[derive(Args, Debug)]
pub(crate) struct SchemaArgs {
    /// Document type
    #[arg(value_enum, value_name = "DOCUMENT")]
    document: SchemaKind,
    /// Add the account's behavior names
    ///
    /// Editors complete them. Only with `config`.
    #[arg(long)]
    from_live: bool,
    #[command(flatten)]
    who: OneAccountArgs,
    #[command(flatten)]
    connect: ConnectionArgs,
}

/// Documents with a schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum SchemaKind {
    /// Desired-state file
    Config,
    /// Limits file
    Limits,
    /// Output of plan, drift and apply --format json
    Run,
    /// Output of audit --format json
    Audit,
}

/// Prints a schema.
pub(crate) async fn schema(args: SchemaArgs, output: &Output) -> Result<Exit, CommandError> {
    let text = match args.document {
        SchemaKind::Config if args.from_live => {
            let (account, client) = Session::account(&args.who, &args.connect, output)?;
            let behaviors = client.reader().behaviors(&account.id).await?;
            schema_with_behaviors(behaviors.keys())
        }
        _ if args.from_live => {
            let message = "--from-live can only be used with `schema config`";
            return Err(CommandError::new(ErrorKind::Usage, message));
        }
        SchemaKind::Config => CONFIG_SCHEMA.to_owned(),
        SchemaKind::Limits => LIMITS_SCHEMA.to_owned(),
        SchemaKind::Run => RUN_SCHEMA.to_owned(),
        SchemaKind::Audit => AUDIT_SCHEMA.to_owned(),
    };
    output.rendered(OutputFormat::Json, text);
    Ok(Exit::Done)
}

/// Flags of `completions`.
#[derive(Args, Debug)]
pub(crate) struct CompletionsArgs {
    /// Shell
    #[arg(value_enum)]
    shell: Shell,
}

/// Prints the completion script.
pub(crate) fn completions(args: &CompletionsArgs, mut riskform: Command, output: &Output) -> Exit {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut riskform, "riskform", &mut script);
    output.result(String::from_utf8_lossy(&script));
    Exit::Done
}

/// Flags of `version`.
#[derive(Args, Debug)]
#[command(mut_arg("formats", |arg| offer(arg, &[Text, Json])))]
pub(crate) struct VersionArgs {
    #[command(flatten)]
    formats: FormatArgs,
}

/// Prints version and build information. A development build has no commit.
pub(crate) fn version(args: &VersionArgs, output: &Output) -> Result<Exit, CommandError> {
    let some = |text: &'static str| (!text.is_empty()).then_some(text);
    let commit = some(env!("RISKFORM_COMMIT"));
    let date = some(env!("RISKFORM_COMMIT_DATE"));
    let (version, target) = (env!("CARGO_PKG_VERSION"), env!("RISKFORM_TARGET"));
    let formats = args.formats.read(output)?;
    formats.write(output, |format| match format {
        OutputFormat::Json => document(&json!({
            "format": "riskform.version/1", "version": version, "commit": commit, "build_date": date, "target": target,
        })),
        _ => {
            let commit = commit.map(|commit| format!("commit  {commit}\n"));
            let date = date.map(|date| format!("date    {date}\n"));
            let build = [commit, date].into_iter().flatten().collect::<String>();
            format!("riskform {version}\n{build}target  {target}\n")
        }
    });
    Ok(Exit::Done)
}
