//! Context of an account: Access policies that use a level, identity providers and the audit log.
//!
//! If a part cannot be read, the run continues without it and notes that.

use clap::Args;
use jiff::ToSpan;
use jiff::civil::Date;

use crate::api::{ApiError, ErrorKind, Providers, Reader};
use crate::cli::error::{self, CommandError};
use crate::cli::load;
use crate::cli::session::Session;
use crate::model::account::{DesiredAccount, GuardMode};
use crate::model::audit_log::AuditLog;
use crate::model::context::{Access, Context, FetchError, Fetched};
use crate::plan::{AccountPlan, Note, Options, affects_levels, plan};

/// Flag to skip the context.
#[derive(Args, Clone, Copy, Debug)]
#[command(next_help_heading = "Context")]
pub(crate) struct ContextArgs {
    /// Skip Access policies and the audit log
    #[arg(long, hide_short_help = true)]
    pub(crate) no_context: bool,
}

/// Period of the audit log to read.
#[derive(Args, Clone, Copy, Debug)]
#[command(next_help_heading = "Context")]
pub(crate) struct HistoryArgs {
    /// Days of audit log to search for who changed something
    #[arg(
        long,
        hide_short_help = true,
        value_name = "DAYS",
        default_value = "30",
        value_parser = clap::value_parser!(u16).range(1..=3_650),
        conflicts_with = "no_context"
    )]
    pub(crate) history: u16,
}

impl ContextArgs {
    /// Checks that no guard needs the Access policies if `--no-context` is given.
    ///
    /// # Errors
    ///
    /// The file or the limits set `guards.policies: deny`.
    pub(crate) fn check(
        self,
        accounts: &[DesiredAccount],
        options: &Options,
    ) -> Result<(), CommandError> {
        if !self.no_context {
            return Ok(());
        }
        let deny = |policies: GuardMode| policies == GuardMode::Deny;
        let by_file = || {
            let mut accounts = accounts.iter();
            let denies = accounts.find(|account| deny(account.guards.policies))?;
            let source = &denies.source;
            Some(format!("{source} has `guards.policies: deny`"))
        };
        let denied = match (
            deny(options.limits.policies),
            options.overrides.allow_policies,
        ) {
            (true, _) => Some("the limits have `guards.policies: deny`".to_owned()),
            (false, true) => None,
            (false, false) => by_file(),
        };
        match denied {
            Some(denied) => Err(CommandError::new(
                error::ErrorKind::Usage,
                format_args!(
                    "--no-context cannot be used: {denied}, and this guard needs the Access policies"
                ),
            )),
            None => Ok(()),
        }
    }
}

/// Plans an account again with its Access policies if the changes affect a level. Returns `None` if the policies are not needed or
/// already known.
pub(crate) async fn add_context(
    session: &Session,
    arguments: ContextArgs,
    planned: &AccountPlan,
) -> Option<AccountPlan> {
    let (Some(today), Some(options)) = (planned.today, &planned.options) else {
        return None;
    };
    let known = planned.context.as_ref().map(|context| &context.access);
    let is_known = !matches!(known, None | Some(Fetched::Skipped));
    if arguments.no_context || is_known || !affects_levels(&planned.changes) {
        return None;
    }
    Some(with_policies(session, planned, today, options).await)
}

/// Plans an account of a saved plan again with its current Access policies if `policies: deny` holds and the changes affect a level.
pub(crate) async fn with_current_policies(
    session: &Session,
    planned: &AccountPlan,
) -> Option<AccountPlan> {
    let (Some(today), Some(options)) = (planned.today, &planned.options) else {
        return None;
    };
    let needed = options.denies_policies(planned.desired()) && affects_levels(&planned.changes);
    match needed {
        true => Some(with_policies(session, planned, today, options).await),
        false => None,
    }
}

async fn with_policies(
    session: &Session,
    planned: &AccountPlan,
    today: Date,
    options: &Options,
) -> AccountPlan {
    let desired = planned.desired();
    let context = Context {
        access: access(session, desired).await,
        ..Context::default()
    };
    plan(desired, planned.live(), &context, today, options)
}

/// Reads the Access policies and groups of an account.
pub(crate) async fn access(session: &Session, desired: &DesiredAccount) -> Fetched<Access> {
    let access = fetch(session, desired, async |reader| {
        reader.access(&desired.account_id).await
    });
    access.await.map_or_else(Fetched::Failed, Fetched::Loaded)
}

/// Reads the identity providers of an account.
pub(crate) async fn identity_providers(
    session: &Session,
    desired: &DesiredAccount,
) -> Fetched<Providers> {
    let providers = fetch(session, desired, async |reader| {
        reader.identity_providers(&desired.account_id).await
    });
    providers
        .await
        .map_or_else(Fetched::Failed, Fetched::Loaded)
}

/// Adds the attribution to drift. Without drift, the audit log is not read.
pub(crate) async fn add_attribution(
    session: &Session,
    arguments: ContextArgs,
    history: HistoryArgs,
    mut drift: AccountPlan,
) -> AccountPlan {
    if arguments.no_context || !drift.has_drift() {
        return drift;
    }
    match audit_log(session, drift.desired(), history).await {
        Ok(log) => drift.attribute(&log),
        Err(unread) => {
            let context = drift.context.get_or_insert_default();
            context.audit_log = Fetched::Failed(unread.clone());
            drift
                .notes
                .insert(0, Note::attribution_unavailable(&unread));
        }
    }
    drift
}

async fn audit_log(
    session: &Session,
    desired: &DesiredAccount,
    history: HistoryArgs,
) -> Result<AuditLog, FetchError> {
    let today = load::today();
    let since = today.saturating_sub(i32::from(history.history).days());
    let before = today.saturating_add(1.day());
    let read = async |reader: Reader| reader.audit_log(&desired.account_id, since, before).await;
    fetch(session, desired, read).await
}

/// Reads a part of the context. The error has the missing permission, if there is one.
async fn fetch<T>(
    session: &Session,
    desired: &DesiredAccount,
    read: impl AsyncFnOnce(Reader) -> Result<T, ApiError>,
) -> Result<T, FetchError> {
    let client = session.client(desired).map_err(|error| FetchError {
        reason: error.message,
        permission: None,
    })?;
    read(client.reader()).await.map_err(|error| FetchError {
        reason: error.to_string(),
        permission: match error.kind() {
            ErrorKind::Permission | ErrorKind::CredentialsOrPermission => {
                let permission = error.endpoint.permission();
                permission.map(|permission| permission.as_str().to_owned())
            }
            _ => None,
        },
    })
}
