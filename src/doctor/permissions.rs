//! Checks of token permissions: required ones, and optional ones, whose absence is no failure.

use super::from_error;
use super::probe::{Probe, ProbeResults};
use crate::api::{ErrorKind, Permission};
use crate::model::finding::{CheckStatus, Finding};

pub(super) fn read(probed: &ProbeResults<'_>) -> Option<Finding> {
    let lists = [
        ("behaviors", matches!(&probed.behaviors, Some(Ok(_)))),
        ("integrations", matches!(&probed.integrations, Some(Ok(())))),
    ];
    let readable = lists.into_iter().filter(|(_, is_readable)| *is_readable);
    let readable: Vec<&str> = readable.map(|(list, _)| list).collect();
    if !readable.is_empty() {
        let readable = readable.join(" and ");
        return Some(Finding::pass(format!("ok: can read {readable}")));
    }
    let error = probed.behaviors.as_ref()?.as_ref().err()?;
    match error.kind() {
        ErrorKind::Permission => Some(Finding {
            message: format!("missing: {error}"),
            ..from_error(CheckStatus::Fail, error)
        }),
        // The check of the token reports rejected credentials.
        _ if matches!(&probed.token, Some(Err(_))) => None,
        _ => Some(from_error(CheckStatus::Fail, probed.refusal()?)),
    }
}

/// Returns the finding about a permission that only some commands need.
pub(super) fn optional(
    probed: &ProbeResults<'_>,
    probe: &Probe<()>,
    readable: &str,
    without: &str,
) -> Option<Finding> {
    let Err(error) = probe.as_ref()? else {
        return Some(Finding::pass(format!("ok: can read {readable}")));
    };
    match error.kind() {
        ErrorKind::Permission | ErrorKind::CredentialsOrPermission | ErrorKind::Credentials
            if probed.accepted().is_some() =>
        {
            Some(Finding {
                help: error.endpoint.permission().map(grant_help),
                ..Finding::new(CheckStatus::Info, format!("missing: {without}"))
            })
        }
        // Already reported by the read check, or an error that ends the run.
        ErrorKind::Permission
        | ErrorKind::CredentialsOrPermission
        | ErrorKind::Credentials
        | ErrorKind::Entitlement
        | ErrorKind::RateLimited
        | ErrorKind::Cancelled => None,
        _ => Some(from_error(CheckStatus::Info, error)),
    }
}

pub(super) fn write(probed: &ProbeResults<'_>) -> Option<Finding> {
    match probed.behaviors.as_ref()? {
        Err(error) if *error.kind() == ErrorKind::Permission => Some(
            Finding::fail("missing: it includes read access, which was denied")
                .help(grant_help(Permission::Write)),
        ),
        // Already reported by the read check.
        _ if probed.refusal().is_some() => None,
        _ => Some(
            Finding::warn("cannot be tested without writing")
                .help("check the token's permissions if it is used for apply"),
        ),
    }
}

pub(super) fn entitlement(probed: &ProbeResults<'_>) -> Option<Finding> {
    if let Some(error) = probed.error(&ErrorKind::Entitlement) {
        return Some(from_error(CheckStatus::Fail, error));
    }
    match (&probed.behaviors, &probed.integrations) {
        (Some(Ok(_)), Some(Ok(()))) => {
            Some(Finding::pass("Risk Scoring is enabled for this account"))
        }
        // The list of integrations returns a plain 403 on an account without the feature (schema/api.md, Transport).
        (Some(Ok(_)), Some(Err(error))) if *error.kind() == ErrorKind::Permission => Some(Finding {
            message: "behaviors are readable but the list of integrations is not, as on accounts without Risk Scoring"
                .to_owned(),
            ..from_error(CheckStatus::Fail, error)
        }),
        _ => None,
    }
}

fn grant_help(permission: Permission) -> String {
    format!("add the permission \"{permission}\" to the token for this account")
}
