//! The checks of the doctor. Each evaluates the responses and returns a result with advice.

use std::sync::Arc;

use jiff::SignedDuration;

use super::permissions::{entitlement, optional, read, write};
use super::probe::ProbeResults;
use super::{complete, from_error};
use crate::api::{ErrorKind, TokenStatus, TransportErrorKind, VerifiedToken};
use crate::model::finding::{CheckStatus, CheckedAccount, Finding};
use crate::model::open_enum::OpenEnum;
use crate::model::text::abbreviate_list;

/// Tokens that expire sooner cause a warning.
const TOKEN_EXPIRY_WARNING: SignedDuration = SignedDuration::from_hours(14 * 24);
/// Tolerated clock difference: responses take time, and their date has whole seconds.
const CLOCK_TOLERANCE: SignedDuration = SignedDuration::from_secs(30);
/// Number of requests left below which a warning is given: a tenth of the limit.
const LOW_BUDGET: u64 = 120;

/// Subject of a check.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Subject {
    /// Credentials, permissions or the entitlement. A failure ends with the exit code of authentication.
    Access,
    Other,
    /// Subject that some accounts do not have.
    Optional,
}

/// Name of a check in output, its subject, and its function, which returns `None` if an earlier check failed.
type Check = (
    &'static str,
    Subject,
    fn(&ProbeResults<'_>) -> Option<Finding>,
);

/// The check of the files, whose finding all accounts share.
pub const FILES: &str = "files";
/// The check of the credentials.
pub const CREDENTIALS: &str = "credentials";
/// The check of the proxy.
pub const PROXY: &str = "proxy";

/// All checks of an account, in order of dependency. Permissions have their dashboard names.
const CHECKS: [Check; 14] = [
    (CREDENTIALS, Subject::Access, |probed| {
        Some(Finding::pass(format!("set by {}", probed.source)))
    }),
    ("API", Subject::Other, api),
    (PROXY, Subject::Optional, proxy),
    ("token", Subject::Access, token),
    ("Zero Trust Read", Subject::Access, read),
    ("Zero Trust: PII Read", Subject::Access, |probed| {
        let without = "get users, get user, and reset by email address or level do not work";
        optional(probed, &probed.users, "users", without)
    }),
    ("Zero Trust Write", Subject::Access, write),
    ("entitlement", Subject::Access, entitlement),
    ("Access policies", Subject::Access, |probed| {
        let readable = "Access policies and applications";
        let without = "plan, drift and audit cannot show affected Access policies";
        optional(probed, &probed.context[0], readable, without)
    }),
    ("Access groups", Subject::Access, |probed| {
        let readable = "Access groups and identity providers";
        let without = "groups in Access policies and identity_provider in files cannot be resolved";
        optional(probed, &probed.context[1], readable, without)
    }),
    ("audit log", Subject::Access, |probed| {
        let readable = "entries of the account's audit log";
        let without = "drift cannot show who changed something";
        optional(probed, &probed.context[2], readable, without)
    }),
    ("rate limit", Subject::Other, rate_limit),
    ("clock", Subject::Other, clock),
    ("new behaviors", Subject::Optional, new_behaviors),
];

/// Returns true if the check is about credentials, permissions or the entitlement.
pub fn is_auth_check(check: &str) -> bool {
    let mut checks = CHECKS.iter();
    checks.any(|(id, subject, _)| *id == check && *subject == Subject::Access)
}

/// Returns all findings about one account.
pub fn account_findings(probed: &ProbeResults<'_>, account: &Arc<CheckedAccount>) -> Vec<Finding> {
    let findings = CHECKS.iter().flat_map(|(id, subject, run)| {
        let skipped = "skipped because an earlier check failed";
        let skipped = Finding::new(CheckStatus::Unknown, skipped);
        let skipped = (*subject != Subject::Optional).then_some(skipped);
        let finding = run(probed).or(skipped);
        complete(finding.into_iter().collect(), id, Some(account))
    });
    findings.collect()
}

/// Returns a finding only if a proxy is set. Its variable is named, so that it can be corrected.
fn proxy(probed: &ProbeResults<'_>) -> Option<Finding> {
    use TransportErrorKind::{Connect, ConnectTimeout, Timeout};
    let proxy = probed.proxy.as_ref()?;
    let (variable, address) = (proxy.variable(), proxy.address());
    let message = format!("{address} ({variable})");
    let is_lost = probed.errors().any(|error| {
        matches!(
            error.transport_failure(),
            Some(Connect | ConnectTimeout | Timeout)
        )
    });
    Some(match is_lost {
        true => Finding::fail(format!("cannot reach the API through {message}")).help(format!(
            "check that the proxy is up and allows requests to the API, or unset {variable}"
        )),
        false => Finding::pass(message),
    })
}

fn api(probed: &ProbeResults<'_>) -> Option<Finding> {
    let trouble = probed.errors().find(|error| {
        // These errors have separate checks and prove that the API responds.
        !matches!(
            error.kind(),
            ErrorKind::Credentials
                | ErrorKind::CredentialsOrPermission
                | ErrorKind::Permission
                | ErrorKind::Entitlement
                | ErrorKind::RateLimited
                | ErrorKind::Cancelled
        )
    });
    let base_url = &probed.base_url;
    Some(match trouble {
        Some(error) => from_error(CheckStatus::Fail, error),
        None if probed.is_simulated => Finding::pass("simulated in this process"),
        None if base_url.is_https() => {
            Finding::pass(format!("{base_url} responds, certificate trusted"))
        }
        None => Finding::pass(format!("{base_url} responds (localhost, without TLS)")),
    })
}

fn token(probed: &ProbeResults<'_>) -> Option<Finding> {
    match (&probed.token, probed.accepted()) {
        (Some(Ok((kind, token))), _) => Some(verified(probed, kind, token)),
        // A successful read, or one denied for a missing permission, proves more than a failed verification.
        (Some(Err(error)), Some(accepted)) => Some(Finding {
            message: format!("{accepted}, but not verified: {error}"),
            ..from_error(CheckStatus::Warn, error)
        }),
        (Some(Err(error)), None) if *error.kind() == ErrorKind::Credentials => {
            Some(from_error(CheckStatus::Fail, error))
        }
        (None, Some(_)) if !probed.has_token => Some(Finding::pass("global API key, accepted")),
        _ => Some(from_error(CheckStatus::Fail, probed.refusal()?)),
    }
}

fn verified(probed: &ProbeResults<'_>, kind: &str, token: &VerifiedToken) -> Finding {
    let ends = match token.expires_on {
        Some(end) => format!("expires at {end}"),
        None => "no expiration".to_owned(),
    };
    let message = format!("{kind}, {}, {ends}", token.status);
    match token.status {
        OpenEnum::Known(TokenStatus::Active) => match token.expires_on {
            Some(end) if end.duration_since(probed.now) < TOKEN_EXPIRY_WARNING => {
                Finding::warn(message).help("roll the token or extend its expiration")
            }
            Some(_) | None => Finding::pass(message),
        },
        OpenEnum::Known(TokenStatus::Disabled | TokenStatus::Expired) => Finding::fail(message)
            .help("enable or roll the token in the dashboard, or set another one"),
        OpenEnum::Unknown(_) => Finding::warn(message).help("check this token in the dashboard"),
    }
}

fn rate_limit(probed: &ProbeResults<'_>) -> Option<Finding> {
    if let Some(error) = probed.error(&ErrorKind::RateLimited) {
        return Some(from_error(CheckStatus::Fail, error));
    }
    let Some(remaining) = probed.metadata.as_ref()?.remaining else {
        return Some(Finding::pass("the API states no limit"));
    };
    let (requests, seconds) = (remaining.0, remaining.1.as_secs());
    let message = format!("{requests} requests left, for {seconds} s");
    Some(match requests < LOW_BUDGET {
        true => Finding::warn(message)
            .help("another client uses this token; create a separate token for riskform"),
        false => Finding::pass(message),
    })
}

fn clock(probed: &ProbeResults<'_>) -> Option<Finding> {
    Some(match probed.metadata.as_ref()?.clock_skew {
        None => Finding::pass("the API sends no time"),
        Some(ahead) if ahead.abs() <= CLOCK_TOLERANCE => Finding::pass("in sync with the API"),
        Some(ahead) => {
            let direction = match ahead.is_negative() {
                true => "ahead of",
                false => "behind",
            };
            let message = format!("{} s {direction} the API", ahead.abs().as_secs());
            Finding::warn(message)
                .help("set the clock; --since, ignore_changes dates and the audit log depend on it")
        }
    })
}

/// Returns a finding only if the files list behaviors and the live ones are known.
fn new_behaviors(probed: &ProbeResults<'_>) -> Option<Finding> {
    let (Some(desired), Some(Ok(live))) = (probed.desired, &probed.behaviors) else {
        return None;
    };
    let new = live
        .iter()
        .filter(|key| desired.behavior(key).is_none() && !desired.unmanaged.contains_key(key));
    let new: Vec<_> = new.collect();
    Some(match new.is_empty() {
        true => Finding::pass("all behaviors are in the files"),
        false => Finding::warn(format!("not in the files: {}", abbreviate_list(new)))
            .help("add them under `behaviors`, or set `unlisted.behaviors`"),
    })
}
