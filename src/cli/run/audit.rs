//! Reads what an audit looks at: an account's plan, its surroundings, and the SSF documents of its integrations.

use std::collections::BTreeSet;

use crate::api::ApiError;
use crate::cli::run::documents;
use crate::cli::run::fleet::Planning;
use crate::doctor::{AuditCheck, AuditEvidence, AuditedAccount, Unread, audit_findings};
use crate::model::account::DesiredAccount;
use crate::plan::AccountPlan;

/// Looks at one account. Of its surroundings only what the checks need is read, and what can't be read makes a check unknown.
pub(crate) async fn look(
    planning: &Planning<'_>,
    desired: DesiredAccount,
    ignored: &BTreeSet<AuditCheck>,
) -> AuditedAccount {
    let plan = planning.plan_one(desired).await;
    let session = planning.session;
    if plan.error.is_some() {
        return AuditedAccount::new(&plan, Vec::new());
    }
    let reader = match session.connection(plan.desired()) {
        Ok(connection) => connection.reader(),
        Err(error) => {
            let failed = AccountPlan::failed(plan.desired(), error);
            return AuditedAccount::new(&failed, Vec::new());
        }
    };
    let wanted = |checks: &[AuditCheck]| checks.iter().any(|check| !ignored.contains(check));
    let account = &plan.account_id;
    let active = plan.live().integrations.iter();
    let active = active.filter(|integration| integration.settings.active);
    let (access, identity_providers, documents) = tokio::join!(
        only(
            wanted(&[AuditCheck::Policies, AuditCheck::Levels]),
            reader.access(account)
        ),
        only(
            wanted(&[AuditCheck::Providers]),
            reader.identity_providers(account)
        ),
        only(wanted(&[AuditCheck::Ssf]), documents::look(session, active)),
    );
    let evidence = AuditEvidence {
        plan: &plan,
        access: access.map(unread),
        identity_providers: identity_providers.map(unread),
        documents,
    };
    AuditedAccount::new(&plan, audit_findings(&evidence, ignored))
}

/// Reads what is wanted, and nothing else.
async fn only<T>(wanted: bool, reading: impl Future<Output = T>) -> Option<T> {
    if wanted { Some(reading.await) } else { None }
}

fn unread<T>(read: Result<T, ApiError>) -> Result<T, Unread> {
    read.map_err(|error| Unread::from(&error))
}
