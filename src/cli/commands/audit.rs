//! `riskform audit`: load, read live state and context, check, show. Never writes to an account.

use std::collections::BTreeSet;

use clap::Args;
use clap::builder::PossibleValuesParser;
use jiff::Timestamp;

use crate::cli::audit::look;
use crate::cli::context::ContextArgs;
use crate::cli::error::{CommandError, ErrorKind};
use crate::cli::evidence;
use crate::cli::exit::Exit;
use crate::cli::flags::FleetArgs;
use crate::cli::io::ci;
use crate::cli::io::formats::{FormatArgs, offer};
use crate::cli::io::output::Output;
use crate::cli::planner::Planner;
use crate::cli::session::Session;
use crate::doctor::{AUDIT_CHECKS, AccountAudit, AuditReport};
use crate::plan::Options;
use crate::report;
use crate::report::OutputFormat::{Html, Json, Junit, Markdown, Sarif, Text};

/// Flags of `audit`.
#[derive(Args, Debug)]
#[command(mut_arg("formats", |arg| offer(arg, &[Text, Json, Markdown, Html, Junit, Sarif])))]
pub(crate) struct AuditArguments {
    /// Skip a check (repeatable)
    #[arg(long = "ignore", value_name = "CHECK", value_parser = checks())]
    ignored: Vec<String>,
    #[command(flatten)]
    pub(crate) formats: FormatArgs,
    #[command(flatten)]
    fleet: FleetArgs,
}

fn checks() -> PossibleValuesParser {
    PossibleValuesParser::new(AUDIT_CHECKS.iter().map(|check| check.id))
}

/// Checks behaviors, Access policies and Okta integrations.
pub(crate) async fn run(arguments: AuditArguments, output: &Output) -> Result<Exit, CommandError> {
    let formats = arguments.formats.read(output)?;
    let (session, accounts) = Session::with_accounts(&arguments.fleet, output)?;
    let options = Options::default();
    // The audit reads the context itself, even for accounts without changes.
    let no_context = ContextArgs { no_context: true };
    let planning = Planner::new(&arguments.fleet, no_context, &options, &session, output);
    let checks = AUDIT_CHECKS.iter().map(|check| check.id);
    let ignored: BTreeSet<&str> = checks
        .filter(|check| arguments.ignored.iter().any(|ignored| ignored == check))
        .collect();
    let audited = async |planned| look(&session, &planned, &ignored).await;
    let evidence = evidence::collect(&session, &accounts);
    let (accounts, evidence) = tokio::join!(planning.each(accounts, audited), evidence);
    let accounts = accounts?;
    let base_url = session.base_url().to_string();
    let audit = AuditReport::new(base_url, ignored, accounts, Timestamp::now(), evidence);
    // With `-q`, a text with only passed checks is not printed, because cron mails all output.
    formats.write_unless_clean(output, audit.is_clean(), |format| {
        report::audit(&audit, format, &|file| {
            session.allowed_root.repository_path(file.as_ref())
        })
    });
    ci::report_audit(output, &audit);
    if let [
        AccountAudit {
            error: Some(error), ..
        },
    ] = audit.accounts.as_slice()
    {
        return Err(error.clone().into());
    }
    Ok(exit(&audit))
}

/// Returns the exit code of an audit: failed checks first, then missing permissions.
fn exit(audit: &AuditReport) -> Exit {
    Exit::most_severe(audit.accounts.iter().map(|account| match &account.error {
        Some(error) => ErrorKind::Account(error.kind).exit(),
        None if account.has_failed() => Exit::Changes,
        None if account.lacks_permission() => Exit::Auth,
        None => Exit::Done,
    }))
}
