//! Checks of token permissions: required ones, and optional ones, whose absence is no failure.

use super::probe::{CredentialEvidence, Probe, ProbeResults, errors, reads};
use super::{blocked, from_error};
use crate::api::{ApiError, ErrorKind, Permission};
use crate::model::finding::{CheckStatus, Finding};

pub(super) fn read(probed: &ProbeResults) -> Finding {
    match (&probed.behaviors, &probed.integrations) {
        (Some(Ok(_)), Some(Ok(()))) => Finding::pass("ok: can read behaviors and integrations"),
        (Some(Ok(_)), _) => Finding::pass("ok: can read behaviors"),
        (_, Some(Ok(()))) => Finding::pass("ok: can read integrations"),
        (Some(Err(error)), _) if !token_was_refused(probed) => refused(error),
        (Some(Err(_)) | None, _) => blocked(),
    }
}

/// Returns the finding about a permission that only some commands need.
fn optional_permission(
    probe: &Probe<()>,
    probed: &ProbeResults,
    readable: &str,
    without: &str,
) -> Finding {
    let is_known = matches!(
        reads(probed),
        CredentialEvidence::Answered | CredentialEvidence::Known
    );
    match probe {
        Some(Ok(())) => Finding::pass(format!("ok: can read {readable}")),
        Some(Err(error)) => match error.kind() {
            ErrorKind::Permission | ErrorKind::CredentialsOrPermission | ErrorKind::Credentials
                if is_known =>
            {
                let missing = Finding::new(CheckStatus::Info, format!("missing: {without}"));
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
            | ErrorKind::Cancelled => blocked(),
            ErrorKind::NotFound
            | ErrorKind::UnknownRoute
            | ErrorKind::Rejected
            | ErrorKind::ServerError { .. }
            | ErrorKind::Transport { .. }
            | ErrorKind::OtherAccount { .. }
            | ErrorKind::UnexpectedResponse { .. } => from_error(CheckStatus::Info, error),
        },
        None => blocked(),
    }
}

pub(super) fn pii_read(probed: &ProbeResults) -> Finding {
    let without = "get users, get user, and reset by email address or level do not work";
    optional_permission(&probed.users, probed, "users", without)
}

pub(super) fn access_policies(probed: &ProbeResults) -> Finding {
    optional_permission(
        &probed.access_policies,
        probed,
        "Access policies and applications",
        "plan, drift and audit cannot show affected Access policies",
    )
}

pub(super) fn access_groups(probed: &ProbeResults) -> Finding {
    optional_permission(
        &probed.access_groups,
        probed,
        "Access groups and identity providers",
        "groups in Access policies and identity_provider in files cannot be resolved",
    )
}

pub(super) fn audit_log(probed: &ProbeResults) -> Finding {
    optional_permission(
        &probed.audit_log,
        probed,
        "entries of the account's audit log",
        "drift cannot show who changed something",
    )
}

pub(super) fn write(probed: &ProbeResults) -> Finding {
    match &probed.behaviors {
        Some(Err(error)) if *error.kind() == ErrorKind::Permission => {
            Finding::fail("missing: it includes read access, which was denied")
                .help(grant_help(Permission::Write))
        }
        // Already reported by the read check.
        Some(Err(error)) if is_refused(error) => blocked(),
        Some(Ok(_) | Err(_)) => Finding::warn("cannot be tested without writing")
            .help("check the token's permissions if it is used for apply"),
        None => blocked(),
    }
}

pub(super) fn entitlement(probed: &ProbeResults) -> Finding {
    let missing = errors(probed).find(|error| *error.kind() == ErrorKind::Entitlement);
    match (missing, &probed.behaviors, &probed.integrations) {
        (Some(error), _, _) => from_error(CheckStatus::Fail, error),
        (None, Some(Ok(_)), Some(Ok(()))) => Finding::pass("Risk Scoring is enabled for this account"),
        // The list of integrations returns a plain 403 on an account without the feature (schema/api.md, Transport).
        (None, Some(Ok(_)), Some(Err(error))) if *error.kind() == ErrorKind::Permission => Finding {
            message: "behaviors are readable but the list of integrations is not, as on accounts without Risk Scoring"
                .to_owned(),
            ..from_error(CheckStatus::Fail, error)
        },
        (None, _, _) => blocked(),
    }
}

/// Returns the finding about a permission that could not be verified.
fn refused(error: &ApiError) -> Finding {
    match error.kind() {
        ErrorKind::Permission => Finding {
            message: format!("missing: {error}"),
            ..from_error(CheckStatus::Fail, error)
        },
        ErrorKind::Credentials | ErrorKind::CredentialsOrPermission => {
            from_error(CheckStatus::Fail, error)
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
        | ErrorKind::UnexpectedResponse { .. } => blocked(),
    }
}

fn grant_help(permission: Permission) -> String {
    format!("add the permission \"{permission}\" to the token for this account")
}

/// Returns true if the token check already reports rejected credentials.
fn token_was_refused(probed: &ProbeResults) -> bool {
    matches!(&probed.token, Some(Err(_))) && matches!(reads(probed), CredentialEvidence::Refused(_))
}

/// Returns true if the credentials were or may have been rejected.
fn is_refused(error: &ApiError) -> bool {
    matches!(
        error.kind(),
        ErrorKind::Credentials | ErrorKind::CredentialsOrPermission
    )
}
