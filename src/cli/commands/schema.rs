//! `riskform schema`: prints a JSON Schema.

use clap::{Args, ValueEnum};

use crate::cli::error::{CommandError, account_error};
use crate::cli::exit::Exit;
use crate::cli::flags::{ConnectionArgs, OneAccountArgs};
use crate::cli::io::output::Output;
use crate::cli::run::session::Account;
use crate::config::shape::{CONFIG_SCHEMA, LIMITS_SCHEMA, schema_with_behaviors};
use crate::report::schema::{AUDIT_SCHEMA, RUN_SCHEMA};

/// Flags of `schema`.
#[derive(Args, Debug)]
pub(crate) struct SchemaArguments {
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
pub(crate) async fn run(arguments: SchemaArguments, output: &Output) -> Result<Exit, CommandError> {
    let text = match arguments.document {
        SchemaKind::Config if arguments.from_live => from_live(&arguments, output).await?,
        _ if arguments.from_live => {
            let message = "--from-live can only be used with `schema config`";
            return Err(CommandError::Usage(message.to_owned()));
        }
        SchemaKind::Config => CONFIG_SCHEMA.to_owned(),
        SchemaKind::Limits => LIMITS_SCHEMA.to_owned(),
        SchemaKind::Run => RUN_SCHEMA.to_owned(),
        SchemaKind::Audit => AUDIT_SCHEMA.to_owned(),
    };
    output.rendered("json", text);
    Ok(Exit::Done)
}

async fn from_live(arguments: &SchemaArguments, output: &Output) -> Result<String, CommandError> {
    let Account { id, connection, .. } = Account::open(&arguments.who, &arguments.connect, output)?;
    let behaviors = connection.reader().behaviors(&id).await;
    let behaviors = behaviors.map_err(|error| CommandError::Account(account_error(&error)))?;
    Ok(schema_with_behaviors(behaviors.value.keys()))
}
