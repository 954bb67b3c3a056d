//! The first stretch of the pipeline, for one account or many: load, read live, plan.

use std::num::NonZeroUsize;

use futures_util::stream::{self, StreamExt};
use jiff::civil::Date;
use jiff::tz::TimeZone;

use crate::config::diagnostic::Color;
use crate::config::load::{self, LoadRequest};
use crate::model::account::{DesiredAccount, LiveAccount};
use crate::plan::{
    AccountError, AccountPlan, FailureKind, Options, Plan, PlanErrors, PlannedAccount, Targets,
    plan,
};

use super::account;
use super::args::{Global, Paths};
use super::environment::variable;
use super::error::{Error, account_error};
use super::output::Output;
use super::session::Session;

/// The day, in UTC, that ends `ignore_changes` are measured by.
pub(super) fn today() -> Date {
    jiff::Timestamp::now().to_zoned(TimeZone::UTC).date()
}

/// What is to be loaded.
pub(super) fn request<'a>(paths: &'a Paths, global: &Global) -> Result<LoadRequest<'a>, Error> {
    Ok(LoadRequest {
        paths: &paths.paths,
        account_id: global.account_id.clone(),
        default_account_id: account::default_id()?,
        variables: &variable,
        today: today(),
    })
}

/// Loads the files; warnings are shown, mistakes refuse the whole fleet.
pub(super) fn load(
    paths: &Paths,
    global: &Global,
    output: &Output,
) -> Result<Vec<DesiredAccount>, Error> {
    let loaded = load::load(&request(paths, global)?)
        .map_err(|diagnostics| Error::Files(diagnostics.render(Color::Ansi)))?;
    if !loaded.warnings.is_empty() {
        output.say(loaded.warnings.render(Color::Ansi).trim_end());
    }
    let mut accounts = loaded.accounts;
    if let Some(shard) = global.shard {
        accounts.retain(|account| shard.holds(&account.account_id));
        if accounts.is_empty() {
            output.say(format_args!("no account is in shard {shard}"));
        }
    }
    Ok(accounts)
}

/// Reads every account and plans it; one account's failure does not hide the others'.
pub(super) async fn plan_all(
    session: &Session,
    accounts: &[DesiredAccount],
    today: Date,
    options: &Options,
    parallelism: NonZeroUsize,
) -> Result<Plan, Error> {
    let planned = stream::iter(accounts)
        .map(|desired| async move {
            let result = plan_one(session, desired, today, options).await;
            PlannedAccount::new(desired, result)
        })
        .buffered(parallelism.get())
        .collect()
        .await;
    let plan = Plan {
        base_url: session.base_url().to_string(),
        accounts: planned,
    };
    check_targets(&plan, &options.targets)?;
    Ok(plan)
}

/// Refuses a glob that names nothing.
pub(super) fn check_targets(plan: &Plan, targets: &Targets) -> Result<(), Error> {
    for glob in &targets.globs {
        let names_something = plan.planned().any(|planned| planned.has(glob));
        // An account that could not be read might hold what the glob names.
        if !names_something && plan.summary().failed_accounts == 0 {
            return Err(Error::Usage(format!(
                "--target {glob}: nothing has such an address"
            )));
        }
    }
    Ok(())
}

/// Reads what one account holds live.
pub(super) async fn read_one(
    session: &Session,
    desired: &DesiredAccount,
) -> Result<LiveAccount, AccountError> {
    let reader = session.connection(desired)?.reader();
    let live = reader.live(&desired.account_id).await;
    live.map_err(|error| account_error(&error))
}

async fn plan_one(
    session: &Session,
    desired: &DesiredAccount,
    today: Date,
    options: &Options,
) -> Result<AccountPlan, AccountError> {
    let live = read_one(session, desired).await?;
    plan(desired, &live, today, options).map_err(|errors| plan_error(&errors))
}

/// A file that can't come true as the failure of its account.
pub(super) fn plan_error(errors: &PlanErrors) -> AccountError {
    AccountError {
        kind: FailureKind::Desired,
        message: errors.to_string(),
        help: None,
    }
}
