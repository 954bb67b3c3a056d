//! `riskform schema`: prints a JSON Schema.

use clap::{Args, ValueEnum};

use crate::cli::io::output::Output;
use crate::cli::run::ending::{Error, Exit};
use crate::plan::Format;
use crate::report::schema::schema;

/// Flags of `schema`.
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// What the schema describes
    #[arg(value_enum, value_name = "DOCUMENT")]
    document: Document,
}

/// What there is a schema of.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Document {
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
}

/// Prints a schema.
pub(crate) fn run(arguments: &Arguments, output: &Output) -> Result<Exit, Error> {
    output.result(match arguments.document {
        Document::Config => crate::config::schema::schema(),
        Document::Limits => crate::config::limits::schema(),
        Document::Plan => schema(Format::Plan),
        Document::Drift => schema(Format::Drift),
        Document::Apply => schema(Format::Apply),
    })?;
    Ok(Exit::Done)
}
