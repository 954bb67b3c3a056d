//! `riskform audit`: load, read live state and context, check, show. Never writes to an account.

use std::collections::BTreeSet;

use clap::Args;
use clap::builder::PossibleValuesParser;
use futures_util::future::OptionFuture;
use jiff::Timestamp;

use crate::cli::context::{self, ContextArgs};
use crate::cli::error::CommandError;
use crate::cli::evidence;
use crate::cli::exit::Exit;
use crate::cli::flags::FleetArgs;
use crate::cli::io::ci;
use crate::cli::io::formats::{FormatArgs, offer};
use crate::cli::io::output::Output;
use crate::cli::planner::Planner;
use crate::cli::session::Session;
use crate::doctor::{AUDIT_CHECKS, AccountAudit, AuditInput, AuditReport, audit_findings};
use crate::model::context::Fetched;
use crate::model::finding::CheckStatus;
use crate::plan::{AccountPlan, Options};
use crate::report;
use crate::report::OutputFormat::{Html, Json, Junit, Markdown, Sarif, Text};

/// Flags of `audit`.
#[derive(Args, Debug)]
#[command(mut_arg("formats", |arg| offer(arg, &[Text, Json, Markdown, Html, Junit, Sarif])))]
pub(crate) struct AuditArguments {
    /// Skip a check (repeatable)
    #[arg(long = "ignore", value_name = "CHECK", value_parser = PossibleValuesParser::new(AUDIT_CHECKS.map(|(id, ..)| id)))]
    ignored: Vec<String>,
    #[command(flatten)]
    pub(crate) formats: FormatArgs,
    #[command(flatten)]
    fleet: FleetArgs,
}

/// Checks behaviors, Access policies and Okta integrations.
pub(crate) async fn run(arguments: AuditArguments, output: &Output) -> Result<Exit, CommandError> {
    let formats = arguments.formats.read(output)?;
    let (session, accounts) = Session::with_accounts(&arguments.fleet, output)?;
    let options = Options::default();
    // The audit reads the context itself, even for accounts without changes.
    let no_context = ContextArgs { no_context: true };
    let planning = Planner::new(&arguments.fleet, no_context, &options, &session, output);
    let mut ignored: BTreeSet<&str> = AUDIT_CHECKS.map(|(id, ..)| id).into();
    ignored.retain(|id| arguments.ignored.iter().any(|ignored| ignored == id));
    let audited = async |planned| audit_account(&session, &planned, &ignored).await;
    let evidence = evidence::collect(&session, &accounts);
    let (accounts, evidence) = tokio::join!(planning.each(accounts, audited), evidence);
    let accounts = accounts?;
    let base_url = session.base_url.to_string();
    let audit = AuditReport::new(base_url, ignored, accounts, Timestamp::now(), evidence);
    // With `-q`, a text with only passed checks is not printed, because cron mails all output.
    let findings = audit.findings();
    let is_clean = findings.iter().all(|one| one.status == CheckStatus::Pass);
    formats.write_unless_clean(output, is_clean, |format| {
        report::audit(&audit, format, &|file| {
            session.allowed_root.repository_path(file.as_ref())
        })
    });
    ci::report_audit(output, &audit);
    if let [account] = audit.accounts.as_slice()
        && let Some(error) = &account.error
    {
        return Err(error.clone().into());
    }
    // Failed checks come first, then missing permissions.
    Ok(Exit::most_severe(audit.accounts.iter().map(|account| {
        let mut findings = account.findings.iter();
        match &account.error {
            Some(error) => error.kind.into(),
            None if findings.clone().any(|one| one.status == CheckStatus::Fail) => Exit::Changes,
            None if findings.any(|one| one.permission.is_some()) => Exit::Auth,
            None => Exit::Done,
        }
    })))
}

/// Audits a planned account. Reads only the context that the checks need. If it cannot be read, the check is unknown.
async fn audit_account(
    session: &Session,
    plan: &AccountPlan,
    ignored: &BTreeSet<&'static str>,
) -> AccountAudit {
    if plan.error.is_some() {
        return AccountAudit::new(plan, Vec::new());
    }
    let desired = plan.desired();
    let wanted = |checks: &[&str]| checks.iter().any(|check| !ignored.contains(*check));
    let access = wanted(&["policies", "levels"]).then(|| context::access(session, desired));
    let providers = wanted(&["providers"]).then(|| context::identity_providers(session, desired));
    let (access, providers) =
        tokio::join!(OptionFuture::from(access), OptionFuture::from(providers));
    let input = AuditInput {
        plan,
        access: access.unwrap_or(Fetched::Skipped),
        identity_providers: providers.unwrap_or(Fetched::Skipped),
    };
    AccountAudit::new(plan, audit_findings(&input, ignored))
}
