//! Checks of token permissions: required ones, and optional ones, whose absence is no failure.

use super::check::{Check, DoctorFinding};
use super::finding::{CheckStatus, Finding};
use super::probe::{CredentialEvidence, Probe, ProbeResults, errors, reads};
use crate::api::{ApiError, ErrorKind, Permission};

pub(super) fn read(evidence: &ProbeResults) -> DoctorFinding {
    let check = Check::Read;
    match (&evidence.behaviors, &evidence.integrations) {
        (Some(Ok(_)), Some(Ok(()))) => {
            Finding::pass(check, "ok: can read behaviors and integrations")
        }
        (Some(Ok(_)), _) => Finding::pass(check, "ok: can read behaviors"),
        (_, Some(Ok(()))) => Finding::pass(check, "ok: can read integrations"),
        (Some(Err(error)), _) if !token_was_refused(evidence) => refused(check, error),
        (Some(Err(_)) | None, _) => Finding::blocked(check),
    }
}

/// Returns the finding about a permission that only some commands need.
fn optional_permission(
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
        Some(Ok(())) => Finding::pass(check, format!("ok: can read {readable}")),
        Some(Err(error)) => match error.kind() {
            ErrorKind::Permission | ErrorKind::CredentialsOrPermission | ErrorKind::Credentials
                if is_known =>
            {
                let missing = Finding::new(check, CheckStatus::Info, format!("missing: {without}"));
                match error.operation().permission() {
                    Some(permission) => missing.help(grant_help(permission)),
                    None => missing,
                }
            }
            // Already reported by the read check, or an error that ends the run.
            ErrorKind::Permission
            | ErrorKind::CredentialsOrPermission
            | ErrorKind::Credentials
            | ErrorKind::Entitlement
            | ErrorKind::RateLimited
            | ErrorKind::Cancelled => Finding::blocked(check),
            ErrorKind::NotFound
            | ErrorKind::UnknownRoute
            | ErrorKind::Rejected
            | ErrorKind::ServerError { .. }
            | ErrorKind::Transport { .. }
            | ErrorKind::OtherAccount { .. }
            | ErrorKind::UnexpectedResponse { .. } => {
                Finding::from_error(check, CheckStatus::Info, error)
            }
        },
        None => Finding::blocked(check),
    }
}

pub(super) fn pii_read(evidence: &ProbeResults) -> DoctorFinding {
    let without = "get users, get user, and reset by email address or level do not work";
    optional_permission(Check::PiiRead, &evidence.users, evidence, "users", without)
}

pub(super) fn access_policies(evidence: &ProbeResults) -> DoctorFinding {
    optional_permission(
        Check::AccessPolicies,
        &evidence.access_policies,
        evidence,
        "Access policies and applications",
        "plan, drift and audit cannot show affected Access policies",
    )
}

pub(super) fn access_groups(evidence: &ProbeResults) -> DoctorFinding {
    optional_permission(
        Check::AccessGroups,
        &evidence.access_groups,
        evidence,
        "Access groups and identity providers",
        "groups in Access policies and identity_provider in files cannot be resolved",
    )
}

pub(super) fn audit_log(evidence: &ProbeResults) -> DoctorFinding {
    optional_permission(
        Check::AuditLog,
        &evidence.audit_log,
        evidence,
        "entries of the account's audit log",
        "drift cannot show who changed something",
    )
}

pub(super) fn write(evidence: &ProbeResults) -> DoctorFinding {
    let check = Check::Write;
    match &evidence.behaviors {
        Some(Err(error)) if *error.kind() == ErrorKind::Permission => {
            Finding::fail(check, "missing: it includes read access, which was denied")
                .help(grant_help(Permission::Write))
        }
        // Already reported by the read check.
        Some(Err(error)) if is_refused(error) => Finding::blocked(check),
        Some(Ok(_) | Err(_)) => Finding::warn(check, "cannot be tested without writing")
            .help("check the token's permissions if it is used for apply"),
        None => Finding::blocked(check),
    }
}

pub(super) fn entitlement(evidence: &ProbeResults) -> DoctorFinding {
    let check = Check::Entitlement;
    let missing = errors(evidence).find(|error| *error.kind() == ErrorKind::Entitlement);
    match (missing, &evidence.behaviors, &evidence.integrations) {
        (Some(error), _, _) => Finding::from_error(check, CheckStatus::Fail, error),
        (None, Some(Ok(_)), Some(Ok(()))) => Finding::pass(check, "Risk Scoring is enabled for this account"),
        // The list of integrations returns a plain 403 on an account without the feature (schema/api.md, Transport).
        (None, Some(Ok(_)), Some(Err(error))) if *error.kind() == ErrorKind::Permission => Finding {
            message: "behaviors are readable but the list of integrations is not, as on accounts without Risk Scoring"
                .to_owned(),
            ..Finding::from_error(check, CheckStatus::Fail, error)
        },
        (None, _, _) => Finding::blocked(check),
    }
}

/// Returns the finding about a permission that could not be verified.
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
        | ErrorKind::OtherAccount { .. }
        | ErrorKind::UnexpectedResponse { .. } => Finding::blocked(check),
    }
}

fn grant_help(permission: Permission) -> String {
    format!("add the permission \"{permission}\" to the token for this account")
}

/// Returns true if the token check already reports rejected credentials.
fn token_was_refused(evidence: &ProbeResults) -> bool {
    matches!(&evidence.token, Some(Err(_)))
        && matches!(reads(evidence), CredentialEvidence::Refused(_))
}

/// Returns true if the credentials were or may have been rejected.
fn is_refused(error: &ApiError) -> bool {
    matches!(
        error.kind(),
        ErrorKind::Credentials | ErrorKind::CredentialsOrPermission
    )
}
