//! The checks: each looks at the evidence and says how one thing stands, and what to do about it.

use jiff::{SignedDuration, Timestamp};

use super::check::{Check, DoctorFinding};
use super::finding::{CheckStatus, Finding};
use super::permissions::{
    access_groups, access_policies, audit_log, entitlement, pii_read, read, write,
};
use super::probe::{
    Access, ApiTransport, CredentialEvidence, CredentialKind, Files, Owner, ProbeResults,
    ProxyInfo, errors, reads,
};
use crate::api::{ApiError, ErrorKind, TokenStatus, TransportErrorKind};
use crate::model::open_enum::OpenEnum;
use crate::model::text::{count, few};

/// A token that ends within so many hours is worth a warning.
const TOKEN_EXPIRY_WARNING: SignedDuration = SignedDuration::from_hours(14 * 24);
/// Two clocks that differ by less agree: answers take time, and tell it in whole seconds.
const CLOCK_TOLERANCE: SignedDuration = SignedDuration::from_secs(30);
/// A budget of which less than one part in so many is left is nearly spent.
const LOW_BUDGET_DIVISOR: u64 = 10;

/// Everything that can be said about one account, in the order in which one thing needs the other.
pub fn account_findings(evidence: &ProbeResults, now: Timestamp) -> Vec<DoctorFinding> {
    let findings = [
        Some(credentials(evidence)),
        Some(api(evidence)),
        proxy(evidence),
        Some(token(evidence, now)),
        Some(read(evidence)),
        Some(pii_read(evidence)),
        Some(write(evidence)),
        Some(entitlement(evidence)),
        Some(access_policies(evidence)),
        Some(access_groups(evidence)),
        Some(audit_log(evidence)),
        Some(rate_budget(evidence)),
        Some(clock(evidence)),
        new_behaviors(evidence),
    ];
    findings.into_iter().flatten().collect()
}

/// The files, which are there for all accounts together.
pub fn files_finding(files: &Files) -> DoctorFinding {
    match files {
        Files::Absent { path } => Finding::warn(Check::Files, format!("there is no {path}"))
            .help("write one (riskform init makes it from the live account), or name the files to look at"),
        Files::Invalid { unknown_keys } if unknown_keys.is_empty() => {
            Finding::fail(Check::Files, "not valid").help("run riskform validate, which shows every mistake")
        }
        Files::Invalid { unknown_keys } => Finding::fail(
            Check::Files,
            format!(
                "not valid: riskform {} does not know {}: {}",
                env!("CARGO_PKG_VERSION"),
                count(unknown_keys.len(), "key"),
                few(unknown_keys)
            ),
        )
        .help("a newer riskform may know them; riskform validate shows every mistake"),
        Files::Valid { accounts } => Finding::pass(
            Check::Files,
            format!("valid, for {}", count(*accounts, "account")),
        ),
    }
}

/// There is nothing to show the API, so that nothing can be asked.
pub fn no_credentials_finding(message: String, help: Option<String>) -> DoctorFinding {
    Finding {
        help,
        ..Finding::fail(Check::Credentials, message)
    }
}

/// The proxy can't be used, so that nothing can be asked.
pub fn invalid_proxy_finding(message: String) -> DoctorFinding {
    Finding::fail(Check::Proxy, message).help("correct the variable, or unset it")
}

fn credentials(evidence: &ProbeResults) -> DoctorFinding {
    Finding::pass(
        Check::Credentials,
        format!("from {}", evidence.access.source),
    )
}

/// Only where one is on the way: named by its variable, since whoever can't get through has to know where it comes from.
fn proxy(evidence: &ProbeResults) -> Option<DoctorFinding> {
    let ProxyInfo { variable, address } = evidence.access.proxy.as_ref()?;
    let message = format!("{variable} names {address}");
    let lost = |error: &ApiError| {
        matches!(
            error.kind(),
            ErrorKind::Transport {
                failure: TransportErrorKind::Connect | TransportErrorKind::Timeout,
                ..
            }
        )
    };
    Some(if errors(evidence).any(lost) {
        Finding::fail(
            Check::Proxy,
            format!("{message}, and the API can't be reached through it"),
        )
        .help(format!(
            "check that it is up and lets calls to the API pass, or unset {variable}"
        ))
    } else {
        Finding::pass(Check::Proxy, message)
    })
}

fn api(evidence: &ProbeResults) -> DoctorFinding {
    let ProbeResults {
        base_url,
        access: Access { way, .. },
        ..
    } = evidence;
    let troubles = errors(evidence).filter(|error| match error.kind() {
        // Those have checks of their own, and prove that the API answers.
        ErrorKind::Credentials
        | ErrorKind::CredentialsOrPermission
        | ErrorKind::Permission
        | ErrorKind::Entitlement
        | ErrorKind::RateLimited
        | ErrorKind::Cancelled => false,
        ErrorKind::NotFound
        | ErrorKind::UnknownRoute
        | ErrorKind::Rejected
        | ErrorKind::ServerError { .. }
        | ErrorKind::Transport { .. }
        | ErrorKind::UnexpectedResponse { .. } => true,
    });
    if let Some(error) = troubles.into_iter().next() {
        return Finding::from_error(Check::Api, CheckStatus::Fail, error);
    }
    let message = match way {
        ApiTransport::InProcess => "the simulated one, within this process".to_owned(),
        ApiTransport::Network if base_url.is_https() => {
            format!("{base_url} answers, and its certificate is trusted")
        }
        ApiTransport::Network => format!("{base_url} answers, on this machine and without TLS"),
    };
    Finding::pass(Check::Api, message)
}

fn token(evidence: &ProbeResults, now: Timestamp) -> DoctorFinding {
    let check = Check::Token;
    match (&evidence.token, evidence.access.means) {
        (None, CredentialKind::Key) => match reads(evidence) {
            CredentialEvidence::Refused(error) => {
                Finding::from_error(check, CheckStatus::Fail, error)
            }
            CredentialEvidence::Answered | CredentialEvidence::Known => {
                Finding::pass(check, "a global API key, which is taken")
            }
            CredentialEvidence::Unknown => Finding::untold(check),
        },
        (None, CredentialKind::Token) => Finding::untold(check),
        (Some(Ok((owner, token))), _) => {
            let whose = match owner {
                Owner::User => "a user's token",
                Owner::Account => "a token of the account's own",
            };
            let ends = token.expires_on.map_or_else(
                || "which never expires".to_owned(),
                |end| format!("which expires at {end}"),
            );
            let message = format!("{whose}, {}, {ends}", token.status);
            match token.status {
                OpenEnum::Known(TokenStatus::Active) => match token.expires_on {
                    Some(end) if end.duration_since(now) < TOKEN_EXPIRY_WARNING => {
                        Finding::warn(check, message).help("roll the token, or give it a later end")
                    }
                    Some(_) | None => Finding::pass(check, message),
                },
                OpenEnum::Known(TokenStatus::Disabled | TokenStatus::Expired) => {
                    Finding::fail(check, message)
                        .help("enable the token or roll it in the dashboard, or set another one")
                }
                OpenEnum::Unknown(_) => Finding::warn(check, message)
                    .help("see what the dashboard says about this token"),
            }
        }
        (Some(Err(error)), _) => match (error.kind(), reads(evidence)) {
            // A read that is answered proves more than a verification that is not, and so does one that a permission refuses.
            (_, CredentialEvidence::Answered) => Finding {
                message: format!("taken for reading, but not verified: {error}"),
                ..Finding::from_error(check, CheckStatus::Warn, error)
            },
            (_, CredentialEvidence::Known) => Finding {
                message: format!("known to the API, but not verified: {error}"),
                ..Finding::from_error(check, CheckStatus::Warn, error)
            },
            (ErrorKind::Credentials, _) => Finding::from_error(check, CheckStatus::Fail, error),
            (_, CredentialEvidence::Refused(refusal)) => {
                Finding::from_error(check, CheckStatus::Fail, refusal)
            }
            (_, CredentialEvidence::Unknown) => Finding::untold(check),
        },
    }
}

fn rate_budget(evidence: &ProbeResults) -> DoctorFinding {
    let check = Check::RateBudget;
    let spent = errors(evidence).find(|error| *error.kind() == ErrorKind::RateLimited);
    if let Some(error) = spent {
        return Finding::from_error(check, CheckStatus::Fail, error);
    }
    let Some(signs) = &evidence.signs else {
        return Finding::untold(check);
    };
    let Some(remaining) = signs.rate.remaining.iter().min_by_key(|left| left.requests) else {
        return Finding::pass(check, "the API states no limit");
    };
    let quota = signs.rate.policies.iter().map(|policy| policy.quota).min();
    let of = quota.map_or_else(String::new, |quota| format!(" of {quota}"));
    let message = format!(
        "{}{of} requests left, for {} s",
        remaining.requests,
        remaining.resets_in.as_secs()
    );
    if remaining.requests < quota.unwrap_or_default() / LOW_BUDGET_DIVISOR {
        Finding::warn(check, message)
            .help("something else uses this token: wait, or give riskform a token of its own")
    } else {
        Finding::pass(check, message)
    }
}

fn clock(evidence: &ProbeResults) -> DoctorFinding {
    let check = Check::Clock;
    let Some(signs) = &evidence.signs else {
        return Finding::untold(check);
    };
    match signs.clock_ahead {
        None => Finding::pass(check, "the API does not tell the time"),
        Some(ahead) if ahead.abs() <= CLOCK_TOLERANCE => {
            Finding::pass(check, "agrees with the API's")
        }
        Some(ahead) => {
            let direction = if ahead.is_negative() {
                "ahead of"
            } else {
                "behind"
            };
            let message = format!(
                "this machine's is {} s {direction} the API's",
                ahead.abs().as_secs()
            );
            Finding::warn(check, message).help(
                "set the clock: --since, the ends of ignore_changes and the audit log go by it",
            )
        }
    }
}

/// Only where files list behaviors at all, and the live ones are known.
fn new_behaviors(evidence: &ProbeResults) -> Option<DoctorFinding> {
    let (Some(declared), Some(Ok(live))) = (&evidence.declared, &evidence.behaviors) else {
        return None;
    };
    let check = Check::NewBehaviors;
    let new: Vec<String> = live
        .difference(&declared.behaviors)
        .map(ToString::to_string)
        .collect();
    Some(match (new.as_slice(), declared.covers_every_other) {
        ([], _) => Finding::pass(check, "none: the files list all that the account offers"),
        (_, true) => Finding::pass(check, "none that the files do not cover with \"*\""),
        (new, false) => Finding::warn(
            check,
            format!("offered, and not in the files: {}", few(new)),
        )
        .help("list them under behaviors, or say under unlisted what to do with them"),
    })
}
