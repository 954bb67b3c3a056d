//! `riskform audit`: load, read live state and context, check, show. Never writes to an account.

use std::collections::BTreeSet;

use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use jiff::Timestamp;

use crate::cli::error::CommandError;
use crate::cli::exit::Exit;
use crate::cli::flags::FleetArgs;
use crate::cli::io::ci;
use crate::cli::io::formats::{FormatArgs, Formats};
use crate::cli::io::output::Output;
use crate::cli::run::audit::look;
use crate::cli::run::context::ContextArgs;
use crate::cli::run::evidence;
use crate::cli::run::exit_codes::exit_for_audit;
use crate::cli::run::fleet::{self, LoadedFiles};
use crate::cli::run::load_context::LoadContext;
use crate::cli::run::planner::Planner;
use crate::cli::run::session::Session;
use crate::doctor::{AccountAudit, AuditCheck, AuditReport};
use crate::plan::Options;
use crate::report::{self, AuditFormat};

/// Flags of `audit`.
#[derive(Args, Debug)]
pub(crate) struct AuditArguments {
    /// Skip a check (repeatable)
    #[arg(long = "ignore", value_name = "CHECK", value_parser = checks())]
    ignored: Vec<AuditCheck>,
    #[command(flatten)]
    pub(crate) formats: FormatArgs<AuditFormat>,
    #[command(flatten)]
    fleet: FleetArgs,
}

fn checks() -> impl TypedValueParser<Value = AuditCheck> {
    let checks = AuditCheck::ALL.iter().map(|check| check.as_str());
    PossibleValuesParser::new(checks).try_map(|check| check.parse::<AuditCheck>())
}

/// Checks behaviors, Access policies and Okta integrations.
pub(crate) async fn run(arguments: AuditArguments, output: &Output) -> Result<Exit, CommandError> {
    let formats = arguments.formats.read(output)?;
    let surroundings = LoadContext::of(&arguments.fleet.desired)?;
    let LoadedFiles { accounts, files } = fleet::load(&arguments.fleet, &surroundings, output)?;
    let session = Session::open(&arguments.fleet.connect, output)?;
    let options = Options::default();
    // The audit reads the context itself, even for accounts without changes.
    let no_context = ContextArgs { no_context: true };
    let planning = Planner::new(&arguments.fleet, no_context, &options, &session, output);
    let ignored: BTreeSet<AuditCheck> = arguments.ignored.iter().copied().collect();
    let audited = async |planned| look(&session, &planned, &ignored).await;
    let root = &surroundings.confinement;
    let evidence = evidence::collect(&session, &accounts, &files, root);
    let audited = planning.each(accounts, audited);
    let (accounts, evidence) = tokio::join!(audited, evidence);
    let accounts = accounts?;
    let base_url = session.base_url().to_string();
    let audit = AuditReport::new(base_url, ignored, accounts, Timestamp::now(), evidence);
    show(&audit, formats, output);
    ci::report_audit(output, &audit);
    if let [
        AccountAudit {
            error: Some(error), ..
        },
    ] = audit.accounts.as_slice()
    {
        return Err(CommandError::Account(error.clone()));
    }
    Ok(exit_for_audit(&audit))
}

/// Shows the findings. With `-q`, a text with only passed checks is not printed, because cron mails all output.
fn show(audit: &AuditReport, formats: Formats<AuditFormat>, output: &Output) {
    let render = |format| report::audit(audit, format);
    match formats.write_files(output, render) {
        None => {}
        Some(AuditFormat::Text) if output.is_quiet() && audit.is_clean() => {}
        Some(format) => output.rendered(format.as_str(), render(format)),
    }
}
