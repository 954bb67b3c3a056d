//! Reads and plans the accounts concurrently. A failed account does not stop the others.

use crate::api::Reader;
use crate::cli::context::{self, ContextArgs};
use crate::cli::error::{CommandError, ErrorKind};
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
    AccountError, AccountPlan, Format, Glob, GlobMatch, Options, Purpose, Run,
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
    fleet: &'a FleetArgs,
    /// Date of the plans.
    pub(crate) today: Date,
    options: &'a Options,
    /// Context to read.
    context: ContextArgs,
    output: &'a Output,
}

impl<'a> Planner<'a> {
    /// Creates a planner from the flags and today's date.
    pub(crate) fn new(
        fleet: &'a FleetArgs,
        context: ContextArgs,
        options: &'a Options,
        session: &'a Session,
        output: &'a Output,
    ) -> Self {
        Planner {
            session,
            fleet,
            today: load::today(),
            options,
            context,
            output,
        }
    }

    /// Reads and plans every account.
    pub(crate) async fn plan(&self, accounts: Vec<DesiredAccount>) -> Result<Run, CommandError> {
        let accounts = self.each(accounts, async |planned| self.add_context(planned).await);
        Ok(self.run(Format::Plan, accounts.await?))
    }

    /// Plans again with the Access policies, if they are needed.
    pub(crate) async fn add_context(&self, planned: AccountPlan) -> AccountPlan {
        context::add_context(self.session, self.context, planned).await
    }

    /// Returns the result of this run.
    pub(crate) fn run(&self, format: Format, accounts: Vec<AccountPlan>) -> Run {
        let base_url = self.session.base_url.to_string();
        Run {
            commands: next_steps::commands(self.output),
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
        let globs = [&self.options.targets, &self.options.ignored];
        let unmatched = &RefCell::new(globs.map(|globs| UnmatchedGlobs {
            globs: globs.iter().collect(),
            ..UnmatchedGlobs::default()
        }));
        let keep = &keep;
        // Unordered, so that a slow account does not delay the others.
        let progress = Progress::reading(accounts.len(), self.output);
        let progress = &progress;
        let mut kept: Vec<(usize, T)> = stream::iter(accounts.into_iter().enumerate())
            .map(|(index, desired)| async move {
                let planned = self.plan_one(desired).await;
                for globs in unmatched.borrow_mut().iter_mut() {
                    globs.look_at(&planned);
                }
                progress.account_done(planned.error.is_some());
                (index, keep(planned).await)
            })
            .buffer_unordered(self.fleet.parallelism())
            .collect()
            .await;
        progress.finish();
        let [targets, ignored] = &*unmatched.borrow();
        if targets.only_unlisted {
            let message = "destroy deletes an unlisted integration only by its full address";
            return Err(CommandError::error(message));
        }
        if let Some((glob, help)) = targets.first() {
            let message = format_args!("no resource matches --target {glob}");
            let error = CommandError::new(ErrorKind::Usage, message);
            return Err(CommandError { help, ..error });
        }
        // An ignored resource may have been deleted, so this is only a warning.
        if let Some((glob, help)) = ignored.first() {
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
            let mut targets = targets.iter();
            targets.any(|glob| glob.may_match_account(account.label()))
        };
        match accounts.iter().any(is_targeted) {
            true => accounts.into_iter().filter(is_targeted).collect(),
            false => accounts,
        }
    }

    async fn plan_one(&self, mut desired: DesiredAccount) -> AccountPlan {
        let (today, options) = (self.today, self.options);
        let read = async |desired: &mut DesiredAccount| {
            let reader = self.session.client(desired)?.reader();
            read(&reader, desired, options.purpose).await
        };
        let planned = match read(&mut desired).await {
            Ok(live) => {
                let (desired, live) = (Arc::new(desired), Arc::new(live));
                plan(&desired, &live, &Context::default(), today, options)
            }
            Err(error) => AccountPlan::failed(&desired, error),
        };
        let result = match &planned.error {
            None => pluralize(planned.changes.len(), "change"),
            Some(error) => error.to_string(),
        };
        let line = format_args!("{}: {result}", planned.label());
        self.output.verbose(1, line);
        planned
    }
}

/// Resolves identity provider names to IDs, and reads the live state.
pub(crate) async fn read(
    reader: &Reader,
    desired: &mut DesiredAccount,
    purpose: Purpose,
) -> Result<LiveAccount, AccountError> {
    let providers = identity_providers(reader, desired).await?;
    resolve_identity_providers(desired, &providers, purpose)?;
    Ok(reader.live_account(&desired.account_id).await?)
}

/// Reads the identity providers of an account, if it declares any.
pub(crate) async fn identity_providers(
    reader: &Reader,
    desired: &DesiredAccount,
) -> Result<Vec<IdentityProvider>, AccountError> {
    match needs_identity_providers(desired) {
        true => Ok(reader
            .identity_providers(&desired.account_id)
            .await?
            .providers),
        false => Ok(Vec::new()),
    }
}

/// Globs without a match so far.
#[derive(Default)]
struct UnmatchedGlobs<'a> {
    globs: Vec<&'a Glob>,
    /// Addresses for suggestions.
    meant: BTreeSet<String>,
    by_id: Option<Address>,
    /// A glob of `destroy` matches only unlisted integrations.
    only_unlisted: bool,
}

impl UnmatchedGlobs<'_> {
    fn look_at(&mut self, planned: &AccountPlan) {
        // The globs may match resources of an account with a read error.
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
