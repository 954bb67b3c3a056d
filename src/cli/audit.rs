//! Reads the input of an audit: the context of an account.

use std::collections::BTreeSet;

use crate::cli::context;
use crate::cli::session::Session;
use crate::doctor::{AccountAudit, AuditInput, audit_findings};
use crate::model::context::Fetched;
use crate::plan::AccountPlan;

/// Audits a planned account. Reads only the context that the checks need. If it cannot be read, the check is unknown.
pub(crate) async fn look(
    session: &Session,
    plan: &AccountPlan,
    ignored: &BTreeSet<&'static str>,
) -> AccountAudit {
    if plan.error.is_some() {
        return AccountAudit::new(plan, Vec::new());
    }
    let wanted = |checks: &[&str]| checks.iter().any(|check| !ignored.contains(*check));
    let desired = plan.desired();
    let (access, identity_providers) = tokio::join!(
        only(
            wanted(&["policies", "levels"]),
            context::access(session, desired)
        ),
        only(
            wanted(&["providers"]),
            context::identity_providers(session, desired)
        ),
    );
    let evidence = AuditInput {
        plan,
        access: access.unwrap_or(Fetched::Skipped),
        identity_providers: identity_providers.unwrap_or(Fetched::Skipped),
    };
    AccountAudit::new(plan, audit_findings(&evidence, ignored))
}

async fn only<T>(wanted: bool, reading: impl Future<Output = T>) -> Option<T> {
    if wanted { Some(reading.await) } else { None }
}
