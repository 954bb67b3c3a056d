//! `riskform schema`: prints a JSON Schema.

use clap::{Args, ValueEnum};

use crate::cli::error::{CommandError, account_error};
use crate::cli::exit::Exit;
use crate::cli::flags::{AccountArgs, ConnectionArgs};
use crate::cli::io::output::Output;
use crate::cli::run::session::Account;
use crate::config;
use crate::plan::Format;
use crate::report::schema::{audit_schema, schema};

/// Flags of `schema`.
#[derive(Args, Debug)]
pub(crate) struct SchemaArguments {
    /// What the schema describes
    #[arg(value_enum, value_name = "DOCUMENT")]
    document: SchemaKind,
    /// Name the behaviors that the account offers, so that editors complete them; `config` only
    #[arg(long)]
    from_live: bool,
    #[command(flatten)]
    who: AccountArgs,
    #[command(flatten)]
    connect: ConnectionArgs,
}

/// What there is a schema of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum SchemaKind {
    /// A desired-state file
    Config,
    /// The operator's limits
    Limits,
    /// What plan --format json prints
    Plan,
    /// What drift --format json prints
    Drift,
    /// What apply --format json prints
    Apply,
    /// What audit --format json prints
    Audit,
}

/// Prints a schema.
pub(crate) async fn run(arguments: SchemaArguments, output: &Output) -> Result<Exit, CommandError> {
    let text = match arguments.document {
        SchemaKind::Config if arguments.from_live => from_live(&arguments, output).await?,
        _ if arguments.from_live => {
            let message = "--from-live goes with `schema config`";
            return Err(CommandError::Usage(message.to_owned()));
        }
        SchemaKind::Config => config::schema::schema([]),
        SchemaKind::Limits => config::limits::schema(),
        SchemaKind::Plan => schema(Format::Plan),
        SchemaKind::Drift => schema(Format::Drift),
        SchemaKind::Apply => schema(Format::Apply),
        SchemaKind::Audit => audit_schema(),
    };
    output.rendered("json", text)?;
    Ok(Exit::Done)
}

async fn from_live(arguments: &SchemaArguments, output: &Output) -> Result<String, CommandError> {
    let Account { id, connection } = Account::open(&arguments.who, &arguments.connect, output)?;
    let behaviors = connection.reader().behaviors(&id).await;
    let behaviors = behaviors.map_err(|error| CommandError::Account(account_error(&error)))?;
    Ok(config::schema::schema(behaviors.value.keys()))
}
