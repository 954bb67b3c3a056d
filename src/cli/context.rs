//! Context of an account: Access policies that use a level, identity providers and the audit log.
//!
//! If a part cannot be read, the run continues without it and notes that.

use clap::Args;
use jiff::ToSpan;

use crate::api::{ApiError, ErrorKind, Providers, Reader};
use crate::cli::error::{self, CommandError};
use crate::cli::load;
use crate::cli::session::Session;
use crate::model::account::{DesiredAccount, GuardMode};
use crate::model::context::{Access, Context, FetchError, Fetched};
use crate::plan::{AccountPlan, Note, NoteKind, Options, affects_levels, plan};

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
        let mut accounts = accounts.iter();
        let denying = accounts.find(|account| self.no_context && options.denies_policies(account));
        let Some(account) = denying else {
            return Ok(());
        };
        let denied = match options.limits.policies {
            GuardMode::Deny => "the limits have".to_owned(),
            _ => format!("{} has", account.source),
        };
        Err(CommandError::new(
            error::ErrorKind::Usage,
            format_args!(
                "--no-context cannot be used: {denied} `guards.policies: deny`, and this guard needs the Access policies"
            ),
        ))
    }
}

/// Plans an account again with its Access policies if the changes affect a level and the policies are unknown.
pub(crate) async fn add_context(
    session: &Session,
    arguments: ContextArgs,
    planned: AccountPlan,
) -> AccountPlan {
    let known = planned.context.as_ref().map(|context| &context.access);
    let is_known = !matches!(known, None | Some(Fetched::Skipped));
    with_policies(session, planned, !arguments.no_context && !is_known).await
}

/// Plans an account of a saved plan again with its current Access policies if `policies: deny` holds and the changes affect a level.
pub(crate) async fn with_current_policies(session: &Session, planned: AccountPlan) -> AccountPlan {
    let options = planned.options.as_ref();
    let is_needed = options.is_some_and(|options| options.denies_policies(planned.desired()));
    with_policies(session, planned, is_needed).await
}

async fn with_policies(session: &Session, planned: AccountPlan, is_needed: bool) -> AccountPlan {
    if !is_needed || !affects_levels(&planned.changes) {
        return planned;
    }
    let (desired, (today, options)) = (planned.desired(), planned.planned_with());
    let context = Context {
        access: access(session, desired).await,
        ..Context::default()
    };
    plan(desired, planned.live(), &context, today, options)
}

/// Reads the Access policies and groups of an account.
pub(crate) async fn access(session: &Session, desired: &DesiredAccount) -> Fetched<Access> {
    let read = async |reader: Reader| reader.access(&desired.account_id).await;
    fetch(session, desired, read).await
}

/// Reads the identity providers of an account.
pub(crate) async fn identity_providers(
    session: &Session,
    desired: &DesiredAccount,
) -> Fetched<Providers> {
    let read = async |reader: Reader| reader.identity_providers(&desired.account_id).await;
    fetch(session, desired, read).await
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
    let desired = drift.desired();
    let today = load::today();
    let since = today.saturating_sub(i32::from(history.history).days());
    let before = today.saturating_add(1.day());
    let read = async |reader: Reader| reader.audit_log(&desired.account_id, since, before).await;
    match fetch(session, desired, read).await {
        Fetched::Loaded(log) => drift.attribute(&log),
        Fetched::Failed(unread) => {
            let note = Note::general(
                NoteKind::AttributionUnavailable,
                format!("cannot determine who changed it: {unread}"),
            );
            drift.notes.insert(0, note);
            let context = drift.context.get_or_insert_default();
            context.audit_log = Fetched::Failed(unread);
        }
        Fetched::Skipped => {}
    }
    drift
}

/// Reads a part of the context. An error has the missing permission, if there is one.
async fn fetch<T>(
    session: &Session,
    desired: &DesiredAccount,
    read: impl AsyncFnOnce(Reader) -> Result<T, ApiError>,
) -> Fetched<T> {
    let failed = |reason, permission| Fetched::Failed(FetchError { reason, permission });
    let client = match session.client(desired) {
        Ok(client) => client,
        Err(error) => return failed(error.message, None),
    };
    match read(client.reader()).await {
        Ok(part) => Fetched::Loaded(part),
        Err(error) => {
            let permission = match error.kind() {
                ErrorKind::Permission | ErrorKind::CredentialsOrPermission => {
                    error.endpoint.permission()
                }
                _ => None,
            };
            let permission = permission.map(|permission| permission.as_str().to_owned());
            failed(error.to_string(), permission)
        }
    }
}
