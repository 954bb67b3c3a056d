//! Applying a plan: show, approve, write, verify, report.

use std::sync::{Arc, Mutex, PoisonError};

use anyhow::anyhow;
use futures_util::stream::{self, StreamExt};
use jiff::Timestamp;

use crate::apply::{ApplyContext, ApplyEvent, ApplyResult, apply};
use crate::cli::context::{self, ContextArgs};
use crate::cli::error::{CommandError, fail_if_single_account};
use crate::cli::exit::Exit;
use crate::cli::flags::FleetArgs;
use crate::cli::io::audit_log::AuditLog;
use crate::cli::io::ci;
use crate::cli::io::files::OutputFile;
use crate::cli::io::formats::Formats;
use crate::cli::io::output::Output;
use crate::cli::io::terminal::{self, Progress};
use crate::cli::planner;
use crate::cli::session::Session;
use crate::cli::signals;
use crate::config::export;
use crate::model::text::{EscapeInvisible, pluralize};
use crate::plan::{
    AccountError, AccountPlan, Action, Change, Kind, Purpose, Run, changed_identity_providers,
    changes_since, plan, resolve_identity_providers,
};
use crate::report::{self, DetailLevel, OutputFormat, json};

/// Source of a plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PlanSource {
    /// Made by this run, so it may be planned again.
    ThisRun,
    /// Reviewed before this run, so any live change is an error.
    SavedPlan,
}

/// A plan to apply.
pub(crate) struct ApplyFlow<'a> {
    pub(crate) session: &'a Session,
    pub(crate) fleet: &'a FleetArgs,
    /// Context to read when planning again.
    pub(crate) context: ContextArgs,
    pub(crate) output: &'a Output,
    pub(crate) source: PlanSource,
    pub(crate) audit_log: Option<AuditLog>,
    pub(crate) save_previous: RollbackFile,
    pub(crate) plan: Run,
}

/// The rollback file, if there is one. It is written right before the first write.
#[derive(Debug)]
pub(crate) struct RollbackFile(Mutex<Result<Option<OutputFile>, String>>);

impl RollbackFile {
    pub(crate) fn new(file: Option<OutputFile>) -> Self {
        RollbackFile(Mutex::new(Ok(file)))
    }

    /// Writes the file at the first call. If that fails, so does every later call.
    fn write_once(
        &self,
        content: impl FnOnce() -> Result<String, CommandError>,
    ) -> anyhow::Result<()> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Ok(file) = &mut *state
            && let Some(file) = file.take()
            && let Err(error) = content().and_then(|text| file.finish(text))
        {
            *state = Err(error.to_string());
        }
        state.as_ref().map(drop).map_err(|error| anyhow!("{error}"))
    }
}

impl ApplyFlow<'_> {
    /// Shows the plan, asks for approval, makes the changes and reports the result.
    pub(crate) async fn run(
        mut self,
        formats: Formats,
        auto_approve: bool,
    ) -> Result<Exit, CommandError> {
        if self.source == PlanSource::SavedPlan {
            // The policies in the file may be outdated, and the limits of this run may differ from those of the plan.
            let (session, accounts) = (self.session, std::mem::take(&mut self.plan.accounts));
            let accounts = stream::iter(accounts)
                .map(|account| context::with_current_policies(session, account))
                .buffered(self.fleet.parallelism());
            self.plan.accounts = accounts.collect().await;
        }
        self.show(&formats);
        // A saved plan may be stale, so check before asking for approval.
        if self.source == PlanSource::SavedPlan && !self.is_blocked() {
            self.refresh().await?;
        }
        if self.has_changes() && !auto_approve {
            self.confirm(&formats).await?;
        }
        let applied = self.execute().await?;
        self.report(&applied, formats)
    }

    /// Returns the account plans that have changes and are not blocked.
    fn applicable_plans(&self) -> impl Iterator<Item = &AccountPlan> {
        let accounts = self.plan.accounts.iter();
        accounts.filter(|plan| self.is_applied(plan))
    }

    fn is_applied(&self, plan: &AccountPlan) -> bool {
        plan.is_applicable() && !self.is_blocked()
    }

    /// Returns true if nothing can be applied: a saved plan is approved as a whole, so a violation in one account blocks all of it.
    fn is_blocked(&self) -> bool {
        let mut accounts = self.plan.accounts.iter();
        self.source == PlanSource::SavedPlan && accounts.any(|one| !one.violations.is_empty())
    }

    /// Returns true if any account plan has changes and is not blocked.
    fn has_changes(&self) -> bool {
        self.applicable_plans().next().is_some()
    }

    /// Shows the plan on standard output, or on standard error if standard output is for scripts.
    fn show(&self, formats: &Formats) {
        let shown = report::text(&self.plan, DetailLevel::Grouped);
        if formats.stdout == Some(OutputFormat::Text) {
            // An empty line separates the plan from the result.
            let gap = if self.has_changes() { "\n" } else { "" };
            self.output.result(format_args!("{shown}{gap}"));
        } else {
            self.output.status(shown);
        }
    }

    /// Prompts for approval. Shows the new plan and asks again if the live state changed during the prompt.
    async fn confirm(&mut self, formats: &Formats) -> Result<(), CommandError> {
        loop {
            terminal::confirm(&self.question()).await?;
            if !self.refresh().await? {
                return Ok(());
            }
            self.show(formats);
            if !self.has_changes() {
                return Ok(());
            }
        }
    }

    fn question(&self) -> String {
        let plans: Vec<&AccountPlan> = self.applicable_plans().collect();
        let accounts = match self.plan.accounts.len() {
            1 => String::new(),
            _ => format!(" to {}", pluralize(plans.len(), "account")),
        };
        let mut purposes = plans.iter().map(|plan| plan.planned_with().1.purpose);
        let is_destroy = purposes.any(|purpose| purpose == Purpose::Destroy);
        let changes: Vec<&Change> = plans.iter().flat_map(|plan| &plan.changes).collect();
        match changes[..] {
            _ if !is_destroy => format!("Apply these changes{accounts}?"),
            [change] if change.kind == Kind::Integration => "Delete this integration?".to_owned(),
            _ => format!("Destroy these resources{accounts}?"),
        }
    }

    /// Reads the accounts with changes again, or all accounts of a saved plan, and returns true if one changed since the plan. That makes
    /// a saved plan stale; otherwise it is a warning and the account is planned again. An account that fails is left out.
    async fn refresh(&mut self) -> Result<bool, CommandError> {
        let is_read = |account: &AccountPlan| match self.source {
            PlanSource::SavedPlan => account.error.is_none(),
            PlanSource::ThisRun => account.is_applicable(),
        };
        let accounts = std::mem::take(&mut self.plan.accounts);
        let total = accounts.iter().filter(|account| is_read(account)).count();
        let progress = Progress::reading(total, self.output);
        let (flow, reading) = (&*self, &progress);
        let refreshed: Vec<(AccountPlan, Option<Vec<String>>)> = stream::iter(accounts)
            .map(|mut account| async move {
                if !is_read(&account) {
                    return (account, None);
                }
                let changes = flow.refresh_account(&mut account).await;
                reading.account_done(changes.is_err());
                let changes = changes.unwrap_or_else(|error| {
                    account = AccountPlan::failed(account.desired(), error);
                    None
                });
                (account, changes)
            })
            .buffered(self.fleet.parallelism())
            .collect()
            .await;
        progress.finish();
        let has_changed = refreshed.iter().any(|(_, changes)| changes.is_some());
        let mut lines = Vec::new();
        for (account, changes) in refreshed {
            let changes = changes.into_iter().flatten();
            lines.extend(changes.map(|change| format!("{}: {change}", account.label())));
            self.plan.accounts.push(account);
        }
        if has_changed && self.source == PlanSource::SavedPlan {
            return Err(CommandError::stale(&lines));
        }
        for line in lines {
            let line = EscapeInvisible(&line);
            self.output
                .warn(format_args!("changed since the plan: {line}"));
        }
        Ok(has_changed)
    }

    /// Reads an account again, and plans it again if it changed and the plan is not a saved one. Returns the changes since the plan, or
    /// `None` if there are none.
    async fn refresh_account(
        &self,
        account: &mut AccountPlan,
    ) -> Result<Option<Vec<String>>, AccountError> {
        let reader = self.session.client(account.desired())?.reader();
        let mut desired = Arc::clone(account.desired());
        let (today, options) = account.planned_with();
        let providers = planner::identity_providers(&reader, &desired).await?;
        let mut changes = changed_identity_providers(&desired, &providers);
        if self.source == PlanSource::ThisRun && !changes.is_empty() {
            let desired = Arc::make_mut(&mut desired);
            resolve_identity_providers(desired, &providers, options.purpose)?;
        }
        let live = Arc::new(reader.live_account(&desired.account_id).await?);
        let live_changes = changes_since(account.live(), &live);
        if changes.is_empty() && live_changes.is_empty() {
            // The rollback file must come from the current live state, not from the saved plan.
            account.live = Some(live);
            return Ok(None);
        }
        changes.extend(live_changes.iter().map(ToString::to_string));
        if self.source == PlanSource::ThisRun {
            let known = account.context.clone().unwrap_or_default();
            let planned = plan(&desired, &live, &known, today, options);
            *account = context::add_context(self.session, self.context, planned).await;
        }
        Ok(Some(changes))
    }

    /// Applies the account plans concurrently. The results are in the order of the plan.
    async fn execute(&self) -> Result<Vec<Option<ApplyResult>>, CommandError> {
        if !self.has_changes() {
            return Ok(self.plan.accounts.iter().map(|_| None).collect());
        }
        signals::enter_write_phase()?;
        let operations = self.applicable_plans().map(|plan| plan.operations.len());
        let progress = Progress::applying(operations.sum(), self.output);
        let apply = async |account| match self.is_applied(account) {
            true => Some(self.apply_one(account, &progress).await),
            false => None,
        };
        let applied = stream::iter(&self.plan.accounts)
            .map(apply)
            .buffered(self.fleet.parallelism())
            .collect()
            .await;
        progress.finish();
        Ok(applied)
    }

    /// Returns the rollback file: one document per account with changes.
    fn rollback_file(&self) -> Result<String, CommandError> {
        let documents = self.applicable_plans().map(|plan| {
            let actions = plan.changes.iter().map(|change| change.action);
            let creates = actions.filter(|one| matches!(one, Action::Create | Action::Replace));
            let creates = u32::try_from(creates.count()).unwrap_or(u32::MAX);
            export::previous(plan.desired(), plan.live(), creates).to_yaml()
        });
        let documents = documents.collect::<Result<Vec<String>, _>>();
        let documents = documents.map_err(CommandError::other("cannot write the rollback file"))?;
        Ok(documents.join("---\n"))
    }

    async fn apply_one(&self, plan: &AccountPlan, progress: &Progress) -> ApplyResult {
        let client = (self.session.client(plan.desired()))
            .expect("the account was read through this client");
        let label = match self.plan.accounts.len() {
            1 => String::new(),
            _ => format!("{}/", plan.label()),
        };
        let mut observe = |event: ApplyEvent<'_>| {
            progress.observe(&label, &event);
            let is_write = matches!(event, ApplyEvent::Sending(_));
            if is_write {
                self.save_previous.write_once(|| self.rollback_file())?;
            }
            if let Some(audit_log) = &self.audit_log {
                audit_log.observe(&plan.account_id, &plan.operations, &event)?;
            }
            if is_write {
                self.output.note_write();
            }
            Ok(())
        };
        let (today, options) = plan.planned_with();
        let context = ApplyContext {
            reader: &client.reader(),
            writer: &client.writer(),
            options,
            today,
        };
        apply(plan, &context, &mut observe).await
    }

    /// Reports the result and returns the exit code.
    fn report(
        &self,
        applied: &[Option<ApplyResult>],
        formats: Formats,
    ) -> Result<Exit, CommandError> {
        let run = json::applied(&self.plan, applied, Timestamp::now());
        formats.write(self.output, |format| {
            report::run(&run, format, DetailLevel::Grouped, None, &str::to_owned)
        });
        ci::report_run(self.output, &run);
        fail_if_single_account(&run)?;
        let ended = signals::received().map(|signal| signal.exit);
        Ok(Exit::from_run(&run, applied, ended))
    }
}
