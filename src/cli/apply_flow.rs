//! Applying a plan: show, approve, write, verify, report.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::anyhow;
use futures_util::stream::{self, StreamExt};
use jiff::Timestamp;
use jiff::civil::Date;

use crate::apply::{ApplyContext, ApplyEvent, ApplyResult, apply};
use crate::cli::context::{self, ContextArgs};
use crate::cli::error::{CommandError, fail_if_single_account, plan_error};
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
use crate::model::account::{DesiredAccount, LiveAccount};
use crate::model::text::{EscapeInvisible, pluralize};
use crate::plan::{
    AccountError, AccountPlan, Action, Change, Kind, Options, Purpose, Run,
    changed_identity_providers, changes_since, live_digest, needs_identity_providers, plan,
    resolve_identity_providers,
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

/// Result of reading the accounts again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum LiveState {
    Same,
    Changed,
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
            self.read_policies_again().await;
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
        self.plan
            .accounts
            .iter()
            .filter(|plan| self.is_applied(plan))
    }

    fn is_applied(&self, plan: &AccountPlan) -> bool {
        plan.is_applicable() && !self.is_blocked()
    }

    /// Returns true if nothing can be applied: a saved plan is approved as a whole, so a violation in one account blocks all of it.
    fn is_blocked(&self) -> bool {
        let mut accounts = self.plan.accounts.iter();
        self.source == PlanSource::SavedPlan && accounts.any(|one| !one.violations.is_empty())
    }

    /// Plans the accounts of a saved plan again with their current Access policies wherever `policies: deny` holds: the policies in the
    /// file may be outdated, and the limits of this run may differ from those of the plan.
    async fn read_policies_again(&mut self) {
        let session = self.session;
        let accounts = std::mem::take(&mut self.plan.accounts);
        self.plan.accounts = stream::iter(accounts)
            .map(|account| async move {
                let denied = context::with_current_policies(session, &account).await;
                denied.unwrap_or(account)
            })
            .buffered(self.fleet.parallelism())
            .collect()
            .await;
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

    /// Asks for approval. Shows the new plan and asks again if the live state changed during the prompt.
    async fn confirm(&mut self, formats: &Formats) -> Result<(), CommandError> {
        loop {
            let accounts = match self.plan.accounts.len() {
                1 => String::new(),
                _ => format!(
                    " to {}",
                    pluralize(self.applicable_plans().count(), "account")
                ),
            };
            let purpose = self
                .applicable_plans()
                .find_map(|account| Some(account.options.as_ref()?.purpose));
            let changes: Vec<&Change> = self
                .applicable_plans()
                .flat_map(|account| &account.changes)
                .collect();
            let question = match purpose.unwrap_or_default() {
                Purpose::Destroy
                    if let [
                        Change {
                            kind: Kind::Integration,
                            ..
                        },
                    ] = changes[..] =>
                {
                    "Delete this integration?".to_owned()
                }
                Purpose::Apply | Purpose::Drift => format!("Apply these changes{accounts}?"),
                Purpose::Destroy => format!("Destroy these resources{accounts}?"),
            };
            terminal::confirm(&question).await?;
            if self.refresh().await? == LiveState::Same {
                return Ok(());
            }
            self.show(formats);
            if !self.has_changes() {
                return Ok(());
            }
        }
    }

    /// Reads the accounts with changes again, or all accounts of a saved plan. A live change makes a saved plan stale; otherwise it is a
    /// warning and the account is planned again. An account that fails is left out.
    async fn refresh(&mut self) -> Result<LiveState, CommandError> {
        let (session, source) = (self.session, self.source);
        let reads: Vec<(usize, Result<RefreshedAccount, AccountError>)> = {
            let work = self.plan.accounts.iter().enumerate();
            let work = work.filter(|(_, account)| match self.source {
                PlanSource::SavedPlan => account.error.is_none(),
                PlanSource::ThisRun => account.is_applicable(),
            });
            let work: Vec<_> = work.collect();
            let progress = &Progress::reading(work.len(), self.output);
            let reads = stream::iter(work)
                .map(|(index, account)| async move {
                    let read = RefreshedAccount::read(session, source, account).await;
                    progress.account_done(read.is_err());
                    (index, read)
                })
                .buffered(self.fleet.parallelism())
                .collect()
                .await;
            progress.finish();
            reads
        };
        let mut since = LiveState::Same;
        let mut moves = Vec::new();
        for (index, read) in reads {
            let account = &mut self.plan.accounts[index];
            let RefreshedAccount {
                desired,
                live,
                changed_providers,
            } = match read {
                Ok(read) => read,
                Err(error) => {
                    *account = AccountPlan::failed(account.desired(), error);
                    continue;
                }
            };
            let label = account.label();
            if !changed_providers.is_empty() {
                since = LiveState::Changed;
                moves.extend(
                    changed_providers
                        .iter()
                        .map(|moved| format!("{label}: {moved}")),
                );
            }
            let live = Arc::new(live);
            if Some(live_digest(&live)) == account.live_digest && changed_providers.is_empty() {
                // The rollback file must come from the current live state, not from the saved plan.
                account.live = Some(live);
                continue;
            }
            since = LiveState::Changed;
            let moved = changes_since(account.live(), &live);
            moves.extend(moved.iter().map(|moved| format!("{label}: {moved}")));
            if source == PlanSource::ThisRun {
                let (today, options) = plan_inputs(account);
                let known = account.context.clone().unwrap_or_default();
                let planned = plan(&desired, &live, &known, today, options);
                let again = context::add_context(session, self.context, &planned).await;
                *account = again.unwrap_or(planned);
            }
        }
        match self.source {
            PlanSource::SavedPlan if since == LiveState::Changed => {
                Err(CommandError::stale(&moves))
            }
            PlanSource::SavedPlan | PlanSource::ThisRun => {
                for moved in moves {
                    let moved = EscapeInvisible(&moved);
                    self.output
                        .warn(format_args!("changed since the plan: {moved}"));
                }
                Ok(since)
            }
        }
    }

    /// Applies the account plans concurrently. The results are in the order of the plan.
    async fn execute(&self) -> Result<Vec<Option<ApplyResult>>, CommandError> {
        if !self.has_changes() {
            return Ok(self.plan.accounts.iter().map(|_| None).collect());
        }
        signals::enter_write_phase()?;
        let total = self
            .applicable_plans()
            .map(|plan| plan.operations.len())
            .sum();
        let progress = Progress::applying(total, self.output);
        let applied = stream::iter(&self.plan.accounts)
            .map(|account| {
                let progress = &progress;
                async move {
                    match self.is_applied(account) {
                        true => Some(self.apply_one(account, progress).await),
                        false => None,
                    }
                }
            })
            .buffered(self.fleet.parallelism())
            .collect()
            .await;
        progress.finish();
        Ok(applied)
    }

    /// Returns the rollback file: one document per account with changes.
    fn rollback_file(&self) -> Result<String, CommandError> {
        let documents: Result<Vec<String>, _> = self
            .applicable_plans()
            .map(|plan| {
                let creates = plan.count(Action::Create) + plan.count(Action::Replace);
                let creates = u32::try_from(creates).unwrap_or(u32::MAX);
                export::previous(plan.desired(), plan.live(), creates).to_yaml()
            })
            .collect();
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
        let effects = match self.audit_log {
            Some(_) => plan.effects(),
            None => BTreeMap::new(),
        };
        let mut observe = |event: ApplyEvent<'_>| {
            progress.observe(&label, &event);
            let is_write = matches!(event, ApplyEvent::Sending(_));
            if is_write {
                self.save_previous.write_once(|| self.rollback_file())?;
            }
            if let Some(audit_log) = &self.audit_log {
                audit_log.observe(&plan.account_id, &effects, &event)?;
            }
            if is_write {
                self.output.note_write();
            }
            Ok(())
        };
        let (today, options) = plan_inputs(plan);
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
        Ok(Exit::from_run(&run, applied, signals::received()))
    }
}

/// Live state read before the first write.
struct RefreshedAccount {
    /// Desired state, with the current IDs of identity providers. A saved plan keeps its IDs.
    desired: Arc<DesiredAccount>,
    live: LiveAccount,
    /// Identity providers whose ID changed since the plan was made.
    changed_providers: Vec<String>,
}

impl RefreshedAccount {
    async fn read(
        session: &Session,
        source: PlanSource,
        account: &AccountPlan,
    ) -> Result<Self, AccountError> {
        let mut desired = Arc::clone(account.desired());
        let mut changed_providers = Vec::new();
        if needs_identity_providers(&desired) {
            let providers = planner::identity_providers(session, &desired).await?;
            changed_providers = changed_identity_providers(&desired, &providers);
            if source == PlanSource::ThisRun && !changed_providers.is_empty() {
                let (_, options) = plan_inputs(account);
                resolve_identity_providers(
                    Arc::make_mut(&mut desired),
                    &providers,
                    options.purpose,
                )
                .map_err(|errors| plan_error(&errors))?;
            }
        }
        let live = planner::read_account(session, &desired).await?;
        Ok(RefreshedAccount {
            desired,
            live,
            changed_providers,
        })
    }
}

/// Returns the date and the options that an account was planned with.
fn plan_inputs(account: &AccountPlan) -> (Date, &Options) {
    let (Some(today), Some(options)) = (account.today, &account.options) else {
        unreachable!("a planned account keeps the day and the options that it was planned with")
    };
    (today, options)
}
