//! `riskform apply` and `riskform destroy`: load, read live, plan, show, ask, read again, write, read back, report.

use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use futures_util::stream::{self, StreamExt};
use jiff::Timestamp;

use crate::apply::{Applied, Context, Event, Stop, apply};
use crate::model::account::DesiredAccount;
use crate::plan::{AccountPlan, Options, Plan, moved};
use crate::report::json::apply_document;
use crate::report::text::{PlanText, count};
use crate::report::{self, ApplyFormat};

pub(super) use crate::plan::Intent;

use super::args::{Global, OverrideArguments, Paths, TargetArguments};
use super::audit_log::AuditLog;
use super::ci;
use super::error::{Error, account_error, account_exit};
use super::exit::Exit;
use super::fleet;
use super::format::{FormatArguments, Formats};
use super::output::Output;
use super::plan::fail_if_alone;
use super::progress::Progress;
use super::prompt;
use super::session::Session;
use super::signals;

/// Flags of `apply` and `destroy`.
#[derive(Args, Debug)]
pub(super) struct Arguments {
    #[command(flatten)]
    paths: Paths,
    /// Apply without asking
    #[arg(long)]
    auto_approve: bool,
    /// Append a JSON line to this file before each call that writes, and one after it
    #[arg(long, value_name = "FILE")]
    audit_log: Option<PathBuf>,
    #[command(flatten)]
    pub(super) formats: FormatArguments,
    #[command(flatten)]
    targets: TargetArguments,
    #[command(flatten)]
    overrides: OverrideArguments,
}

/// Carries out what `plan` shows, once it is approved.
pub(super) async fn run(
    arguments: Arguments,
    intent: Intent,
    global: &Global,
    output: &Output,
) -> Result<Exit, Error> {
    let formats = arguments.formats.read(ApplyFormat::ALL)?;
    let accounts = fleet::load(&arguments.paths, global, output)?;
    let audit_log = arguments
        .audit_log
        .as_deref()
        .map(AuditLog::open)
        .transpose()?;
    let session = Session::open(global, output)?;
    let options = Options {
        intent,
        targets: arguments.targets.targets(),
        overrides: arguments.overrides.overrides(),
    };
    let today = fleet::today();
    let mut run = Run {
        session: &session,
        global,
        output,
        options: &options,
        today,
        audit_log,
        plan: fleet::plan_all(&session, &accounts, today, &options, global.parallelism).await?,
    };
    run.show(&formats)?;
    if run.work().next().is_some() && !arguments.auto_approve {
        run.approve(intent, &formats).await?;
    }
    let applied = run.carry_out().await?;
    run.report(&applied, &formats)
}

struct Run<'a> {
    session: &'a Session,
    global: &'a Global,
    output: &'a Output,
    options: &'a Options,
    today: jiff::civil::Date,
    audit_log: Option<AuditLog>,
    plan: Plan,
}

impl Run<'_> {
    /// The plans that have something to do and may do it.
    fn work(&self) -> impl Iterator<Item = &AccountPlan> {
        self.plan.planned().filter(|plan| is_work(plan))
    }

    /// Shows the plan. Where standard output is for scripts, it waits for the result, and a person reads the plan on standard error.
    fn show(&self, formats: &Formats<ApplyFormat>) -> Result<(), Error> {
        match formats.stdout {
            ApplyFormat::Text => {
                // An empty line parts the plan from what becomes of it.
                let gap = if self.work().next().is_some() {
                    "\n"
                } else {
                    ""
                };
                self.output
                    .result(format_args!("{}{gap}", PlanText(&self.plan)))
            }
            ApplyFormat::Json | ApplyFormat::Markdown => {
                self.output.say(PlanText(&self.plan));
                Ok(())
            }
        }
    }

    /// Asks until the answer is about what is live: whatever moved while the question stood is shown, and asked about again.
    async fn approve(
        &mut self,
        intent: Intent,
        formats: &Formats<ApplyFormat>,
    ) -> Result<(), Error> {
        loop {
            let accounts = match self.plan.accounts.len() {
                1 => String::new(),
                _ => format!(" to {}", count(self.work().count(), "account")),
            };
            prompt::approve(&match intent {
                Intent::Apply => format!("Apply these changes{accounts}?"),
                Intent::Destroy => format!("Destroy all of this{accounts}?"),
            })?;
            if !self.read_again().await? {
                return Ok(());
            }
            self.show(formats)?;
            if self.work().next().is_none() {
                return Ok(());
            }
        }
    }

    /// Reads the accounts anew that something is to be done to. Says what moved, and plans them again; answers whether anything did.
    async fn read_again(&mut self) -> Result<bool, Error> {
        let work: Vec<DesiredAccount> = self.work().map(|plan| plan.desired.clone()).collect();
        let again = fleet::plan_all(
            self.session,
            &work,
            self.today,
            self.options,
            self.global.parallelism,
        )
        .await?;
        let mut anything = false;
        for fresh in again.accounts {
            let Some(stale) = self
                .plan
                .accounts
                .iter_mut()
                .find(|account| account.account_id == fresh.account_id)
            else {
                continue;
            };
            match (&stale.result, &fresh.result) {
                (Ok(before), Ok(after)) if before.live_digest == after.live_digest => continue,
                (Ok(before), Ok(after)) => {
                    for moved in moved(&before.live, &after.live) {
                        let label = before.desired.label();
                        self.output
                            .warn(format_args!("{label} moved meanwhile: {moved}"));
                    }
                }
                (_, _) => {}
            }
            anything = true;
            *stale = fresh;
        }
        Ok(anything)
    }

    /// Applies every account's plan, several accounts at once; the results stand in the plan's order.
    async fn carry_out(&self) -> Result<Vec<Option<Applied>>, Error> {
        let stop = signals::stop_on_signals(self.output.clone())?;
        let total = self.work().map(|plan| plan.operations.len()).sum();
        let progress = Progress::new(total, self.output.clone());
        let applied = stream::iter(&self.plan.accounts)
            .map(|account| {
                let (progress, stop) = (&progress, &stop);
                async move {
                    match &account.result {
                        Ok(plan) if is_work(plan) => {
                            Some(self.apply_one(plan, progress, stop).await)
                        }
                        Ok(_) | Err(_) => None,
                    }
                }
            })
            .buffered(self.global.parallelism.get())
            .collect()
            .await;
        progress.finish();
        Ok(applied)
    }

    async fn apply_one(&self, plan: &AccountPlan, progress: &Progress, stop: &Stop) -> Applied {
        let connection = self
            .session
            .connection(&plan.desired)
            .expect("the account was planned over this very connection");
        let label: Arc<str> = match self.plan.accounts.len() {
            1 => "".into(),
            _ => format!("{}/", plan.desired.label()).into(),
        };
        let mut show = progress.observer(label);
        let mut observe = |event: Event<'_>| {
            show(&event);
            match &self.audit_log {
                Some(audit_log) => audit_log.observe(&plan.desired.account_id, &event),
                None => Ok(()),
            }
        };
        let context = Context {
            reader: &connection.reader(),
            writer: &connection.writer(),
            options: self.options,
            today: self.today,
            stop,
        };
        apply(plan, &context, &mut observe).await
    }

    /// Reports what became of the plan. Nothing to do has been said already, but a document is owed all the same.
    fn report(
        &self,
        applied: &[Option<Applied>],
        formats: &Formats<ApplyFormat>,
    ) -> Result<Exit, Error> {
        formats.write(self.output, |format| {
            report::apply(&self.plan, applied, format, Timestamp::now())
        })?;
        ci::tell(self.global, self.output, || {
            apply_document(&self.plan, applied, Timestamp::now())
        });
        fail_if_alone(&self.plan)?;
        let ends = self
            .plan
            .accounts
            .iter()
            .zip(applied)
            .map(|(account, applied)| match (&account.result, applied) {
                (Err(error), _) => account_exit(error),
                (Ok(plan), None) if !plan.refusals.is_empty() => Exit::Refused,
                (Ok(_), None) => Exit::Done,
                (Ok(_), Some(applied)) => applied_exit(applied),
            });
        Ok(Exit::gravest(ends))
    }
}

/// Says whether a plan has something to do and may do it.
fn is_work(plan: &AccountPlan) -> bool {
    !plan.is_empty() && plan.refusals.is_empty()
}

/// How one account's application ends. Where nothing was written, the reason counts; otherwise it is incomplete.
fn applied_exit(applied: &Applied) -> Exit {
    if applied.is_complete() {
        return Exit::Done;
    }
    match applied.first_failure() {
        Some(failure) if !applied.wrote_anything() => failure
            .api_error()
            .map_or(Exit::Error, |error| account_exit(&account_error(error))),
        Some(_) | None => Exit::Incomplete,
    }
}
