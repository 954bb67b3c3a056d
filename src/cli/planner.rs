//! Reads and plans the accounts concurrently. A failed account does not stop the others.

use crate::cli::context::{self, ContextArgs};
use crate::cli::error::{CommandError, ErrorKind, plan_error};
use crate::cli::flags::FleetArgs;
use crate::cli::io::output::Output;
use crate::cli::io::terminal::Progress;
use crate::cli::load;
use crate::cli::next_steps;
use crate::cli::session::Session;
use crate::model::account::{DesiredAccount, LiveAccount};
use crate::model::address::Address;
use crate::model::context::{Context, IdentityProvider};
use crate::model::text::pluralize;
use crate::plan::{
    AccountError, AccountPlan, Commands, Format, Glob, GlobMatch, Options, Run,
    needs_identity_providers, plan, resolve_identity_providers,
};
use futures_util::stream::{self, StreamExt};
use jiff::Timestamp;
use jiff::civil::Date;
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::sync::Arc;

/// Reads and plans accounts.
pub(crate) struct Planner<'a> {
    session: &'a Session,
    today: Date,
    options: &'a Options,
    /// Context to read.
    context: ContextArgs,
    /// Number of accounts to process at once.
    parallelism: usize,
    output: &'a Output,
    commands: Commands,
}

impl<'a> Planner<'a> {
    /// Creates a planner from the flags and today's date.
    pub(crate) fn new(
        fleet: &FleetArgs,
        context: ContextArgs,
        options: &'a Options,
        session: &'a Session,
        output: &'a Output,
    ) -> Self {
        Planner {
            session,
            today: load::today(),
            options,
            context,
            parallelism: fleet.parallelism(),
            output,
            commands: next_steps::commands(output),
        }
    }

    /// Returns the day of the plans.
    pub(crate) fn today(&self) -> Date {
        self.today
    }

    /// Reads and plans every account.
    pub(crate) async fn plan(&self, accounts: Vec<DesiredAccount>) -> Result<Run, CommandError> {
        let add_context = async |planned| self.add_context(&planned).await.unwrap_or(planned);
        let accounts = self.each(accounts, add_context).await?;
        Ok(self.run(Format::Plan, accounts))
    }

    /// Plans again with the Access policies; `None` if they are not needed.
    pub(crate) async fn add_context(&self, planned: &AccountPlan) -> Option<AccountPlan> {
        context::add_context(self.session, self.context, planned).await
    }

    /// Returns the result of this run.
    pub(crate) fn run(&self, format: Format, accounts: Vec<AccountPlan>) -> Run {
        let base_url = self.session.base_url().to_string();
        Run {
            commands: self.commands.clone(),
            ..Run::new(format, base_url, accounts, Timestamp::now())
        }
    }

    /// Reads and plans every account and keeps only the result of `keep`. The results are in the order of the accounts.
    ///
    /// # Errors
    ///
    /// A target without a match. An ignored address without a match is a warning.
    pub(crate) async fn each<T>(
        &self,
        accounts: Vec<DesiredAccount>,
        keep: impl AsyncFn(AccountPlan) -> T,
    ) -> Result<Vec<T>, CommandError> {
        let accounts = self.targeted(accounts);
        let unnamed = RefCell::new(UnmatchedGlobs::new(&self.options.targets));
        let unignored = RefCell::new(UnmatchedGlobs::new(&self.options.ignored));
        let look_at = |planned: &AccountPlan| {
            unnamed.borrow_mut().look_at(planned);
            unignored.borrow_mut().look_at(planned);
        };
        let (keep, look_at) = (&keep, &look_at);
        // Unordered, so that a slow account does not delay the others.
        let progress = Progress::reading(accounts.len(), self.output);
        let progress = &progress;
        let mut kept: Vec<(usize, T)> = stream::iter(accounts.into_iter().enumerate())
            .map(|(index, desired)| async move {
                let planned = self.plan_one(desired).await;
                look_at(&planned);
                progress.account_done(planned.error.is_some());
                (index, keep(planned).await)
            })
            .buffer_unordered(self.parallelism)
            .collect()
            .await;
        progress.finish();
        if unnamed.borrow().only_unlisted {
            return Err(CommandError::error(format_args!(
                "destroy deletes an unlisted integration only by its full address"
            )));
        }
        if let Some((glob, help)) = unnamed.borrow().first() {
            let error = CommandError::new(
                ErrorKind::Usage,
                format_args!("no resource matches --target {glob}"),
            );
            return Err(match help {
                Some(help) => error.with_help(help),
                None => error,
            });
        }
        // An ignored resource may have been deleted, so this is only a warning.
        if let Some((glob, help)) = unignored.borrow().first() {
            let help = help.map_or_else(String::new, |help| format!("; {help}"));
            let warning = format_args!("no resource matches --ignore {glob}{help}");
            self.output.warn(warning);
        }
        kept.sort_unstable_by_key(|(index, _)| *index);
        Ok(kept.into_iter().map(|(_, kept)| kept).collect())
    }

    /// Removes accounts that no target can match. They are not read. If no account remains, all are kept to suggest an address.
    fn targeted(&self, accounts: Vec<DesiredAccount>) -> Vec<DesiredAccount> {
        let targets = &self.options.targets;
        let is_targeted = |account: &DesiredAccount| {
            targets.is_empty()
                || targets
                    .iter()
                    .any(|glob| glob.may_match_account(account.label()))
        };
        match accounts.iter().any(is_targeted) {
            true => accounts.into_iter().filter(is_targeted).collect(),
            false => accounts,
        }
    }

    async fn plan_one(&self, desired: DesiredAccount) -> AccountPlan {
        let mut desired = Arc::new(desired);
        let planned = match self.read(&mut desired).await {
            Ok(live) => {
                let context = Context::default();
                plan(
                    &desired,
                    &Arc::new(live),
                    &context,
                    self.today,
                    self.options,
                )
            }
            Err(error) => AccountPlan::failed(&desired, error),
        };
        let result = match &planned.error {
            None => pluralize(planned.changes.len(), "change"),
            Some(error) => error.to_string(),
        };
        let line = format_args!("{}: {result}", desired.label());
        self.output.verbose(1, line);
        planned
    }

    /// Resolves identity provider names to IDs, and reads the live state.
    async fn read(&self, desired: &mut Arc<DesiredAccount>) -> Result<LiveAccount, AccountError> {
        if needs_identity_providers(desired) {
            let providers = identity_providers(self.session, desired).await?;
            resolve_identity_providers(Arc::make_mut(desired), &providers, self.options.purpose)
                .map_err(|errors| plan_error(&errors))?;
        }
        read_account(self.session, desired).await
    }
}

/// Reads the identity providers of an account.
pub(crate) async fn identity_providers(
    session: &Session,
    desired: &DesiredAccount,
) -> Result<Vec<IdentityProvider>, AccountError> {
    let reader = session.client(desired)?.reader();
    let read = reader.identity_providers(&desired.account_id).await?;
    Ok(read.providers)
}

/// Reads the live state of an account.
pub(crate) async fn read_account(
    session: &Session,
    desired: &DesiredAccount,
) -> Result<LiveAccount, AccountError> {
    let reader = session.client(desired)?.reader();
    Ok(reader.live_account(&desired.account_id).await?)
}

/// Globs without a match so far.
struct UnmatchedGlobs<'a> {
    globs: Vec<&'a Glob>,
    /// Addresses for suggestions.
    meant: BTreeSet<String>,
    by_id: Option<Address>,
    /// A glob of `destroy` matches only unlisted integrations.
    only_unlisted: bool,
}

impl<'a> UnmatchedGlobs<'a> {
    fn new(globs: &'a [Glob]) -> Self {
        UnmatchedGlobs {
            globs: globs.iter().collect(),
            meant: BTreeSet::new(),
            by_id: None,
            only_unlisted: false,
        }
    }

    fn look_at(&mut self, planned: &AccountPlan) {
        // The globs may match resources of an account that could not be read.
        if planned.error.is_some() {
            self.globs.clear();
        }
        self.globs.retain(|glob| match planned.named_by(glob) {
            GlobMatch::Matched => false,
            GlobMatch::Nothing => true,
            GlobMatch::OnlyUnlisted => {
                self.only_unlisted = true;
                true
            }
            GlobMatch::ListedById(address) => {
                self.by_id.get_or_insert(address);
                true
            }
        });
        if !self.globs.is_empty() {
            let addresses = planned.addresses();
            self.meant.extend(addresses.iter().map(ToString::to_string));
        }
    }

    /// Returns the first unmatched glob and a suggestion.
    fn first(&self) -> Option<(String, Option<String>)> {
        let glob = self.globs.first()?.to_string();
        let meant: Vec<&str> = self.meant.iter().map(String::as_str).collect();
        let close = similar::get_close_matches(glob.as_str(), &meant, 1, 0.6);
        let help = match (&self.by_id, close.first()) {
            (Some(address), _) => Some(format!("use the address {address}")),
            (None, Some(meant)) => Some(format!("did you mean {meant}?")),
            (None, None) => None,
        };
        Some((glob, help))
    }
}
