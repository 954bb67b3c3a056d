//! The checks of what the token may do: what everything needs, and what only some commands do, so that the lack of it is no failure.

use super::check::{Check, DoctorFinding};
use super::finding::{CheckStatus, Finding};
use super::probe::{CredentialEvidence, Probe, ProbeResults, errors, reads};
use crate::api::{ApiError, ErrorKind, Permission};

pub(super) fn read(evidence: &ProbeResults) -> DoctorFinding {
    let check = Check::Read;
    match (&evidence.behaviors, &evidence.integrations) {
        (Some(Ok(_)), Some(Ok(()))) => {
            Finding::pass(check, "proven: behaviors and integrations are readable")
        }
        (Some(Ok(_)), _) => Finding::pass(check, "proven: behaviors are readable"),
        (_, Some(Ok(()))) => Finding::pass(check, "proven: integrations are readable"),
        (Some(Err(error)), _) if !token_was_refused(evidence) => refused(check, error),
        (Some(Err(_)) | None, _) => Finding::untold(check),
    }
}

/// A permission that only some commands need, so that the lack of it is no failure.
fn optional(
    check: Check,
    asked: &Probe<()>,
    evidence: &ProbeResults,
    readable: &str,
    without: &str,
) -> DoctorFinding {
    let is_known = matches!(
        reads(evidence),
        CredentialEvidence::Answered | CredentialEvidence::Known
    );
    match asked {
        Some(Ok(())) => Finding::pass(check, format!("proven: {readable} are readable")),
        Some(Err(error)) => match error.kind() {
            ErrorKind::Permission | ErrorKind::CredentialsOrPermission | ErrorKind::Credentials
                if is_known =>
            {
                let missing = Finding::new(check, CheckStatus::Info, format!("missing: {without}"));
                match error.operation().permission() {
                    Some(permission) => missing.help(grant(permission)),
                    None => missing,
                }
            }
            // Told once already, where reading was tried, or one of those that end everything.
            ErrorKind::Permission
            | ErrorKind::CredentialsOrPermission
            | ErrorKind::Credentials
            | ErrorKind::Entitlement
            | ErrorKind::RateLimited
            | ErrorKind::Cancelled => Finding::untold(check),
            ErrorKind::NotFound
            | ErrorKind::UnknownRoute
            | ErrorKind::Rejected
            | ErrorKind::ServerError { .. }
            | ErrorKind::Transport { .. }
            | ErrorKind::UnexpectedResponse { .. } => {
                Finding::from_error(check, CheckStatus::Info, error)
            }
        },
        None => Finding::untold(check),
    }
}

pub(super) fn pii_read(evidence: &ProbeResults) -> DoctorFinding {
    let without = "get users, get user, and reset by e-mail address or level do not work without";
    optional(Check::PiiRead, &evidence.users, evidence, "users", without)
}

pub(super) fn access_policies(evidence: &ProbeResults) -> DoctorFinding {
    optional(
        Check::AccessPolicies,
        &evidence.access_policies,
        evidence,
        "Access policies and applications",
        "plan and drift can not say which Access policies act on a level, nor can audit",
    )
}

pub(super) fn access_groups(evidence: &ProbeResults) -> DoctorFinding {
    optional(
        Check::AccessGroups,
        &evidence.access_groups,
        evidence,
        "Access groups and identity providers",
        "no policy can be followed into its groups, and identity_provider in a file can not be found",
    )
}

pub(super) fn audit_log(evidence: &ProbeResults) -> DoctorFinding {
    optional(
        Check::AuditLog,
        &evidence.audit_log,
        evidence,
        "entries of the account's audit log",
        "drift can not say who changed something, nor when",
    )
}

pub(super) fn write(evidence: &ProbeResults) -> DoctorFinding {
    let check = Check::Write;
    match &evidence.behaviors {
        Some(Err(error)) if *error.kind() == ErrorKind::Permission => Finding::fail(
            check,
            "missing: it includes reading, and reading is refused",
        )
        .help(grant(Permission::Write)),
        // Told once already, where reading was tried.
        Some(Err(error)) if is_refused(error) => Finding::untold(check),
        Some(Ok(_) | Err(_)) => Finding::warn(
            check,
            "can't be proven without writing, and nothing is written here",
        )
        .help("see that the token has it, unless it is for plan, drift and get alone"),
        None => Finding::untold(check),
    }
}

pub(super) fn entitlement(evidence: &ProbeResults) -> DoctorFinding {
    let check = Check::Entitlement;
    let missing = errors(evidence).find(|error| *error.kind() == ErrorKind::Entitlement);
    match (missing, &evidence.behaviors, &evidence.integrations) {
        (Some(error), _, _) => Finding::from_error(check, CheckStatus::Fail, error),
        (None, Some(Ok(_)), Some(Ok(()))) => Finding::pass(check, "risk scoring answers for this account"),
        // The list of integrations answers a plain 403 on an account without the feature (schema/api.md, Transport).
        (None, Some(Ok(_)), Some(Err(error))) if *error.kind() == ErrorKind::Permission => Finding {
            message: "behaviors are readable and the list of integrations is refused, as on accounts that lack risk scoring"
                .to_owned(),
            ..Finding::from_error(check, CheckStatus::Fail, error)
        },
        (None, _, _) => Finding::untold(check),
    }
}

/// The finding of a permission whose proof was not given.
fn refused(check: Check, error: &ApiError) -> DoctorFinding {
    match error.kind() {
        ErrorKind::Permission => Finding {
            message: format!("missing: {error}"),
            ..Finding::from_error(check, CheckStatus::Fail, error)
        },
        ErrorKind::Credentials | ErrorKind::CredentialsOrPermission => {
            Finding::from_error(check, CheckStatus::Fail, error)
        }
        ErrorKind::Entitlement
        | ErrorKind::UnknownRoute
        | ErrorKind::Cancelled
        | ErrorKind::NotFound
        | ErrorKind::RateLimited
        | ErrorKind::Rejected
        | ErrorKind::ServerError { .. }
        | ErrorKind::Transport { .. }
        | ErrorKind::UnexpectedResponse { .. } => Finding::untold(check),
    }
}

fn grant(permission: Permission) -> String {
    format!("give the token the permission \"{permission}\" on this account")
}

/// Says whether the token's own check tells that it is refused, so that no other has to.
fn token_was_refused(evidence: &ProbeResults) -> bool {
    matches!(&evidence.token, Some(Err(_)))
        && matches!(reads(evidence), CredentialEvidence::Refused(_))
}

/// Says whether the credentials were refused, or may have been.
fn is_refused(error: &ApiError) -> bool {
    matches!(
        error.kind(),
        ErrorKind::Credentials | ErrorKind::CredentialsOrPermission
    )
}
