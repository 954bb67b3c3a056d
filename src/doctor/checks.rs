//! The checks of the doctor. Each evaluates the responses and returns a result with advice.

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
use crate::model::text::{abbreviate_list, pluralize};

/// Tokens that expire sooner cause a warning.
const TOKEN_EXPIRY_WARNING: SignedDuration = SignedDuration::from_hours(14 * 24);
/// Tolerated clock difference: responses take time, and their date has whole seconds.
const CLOCK_TOLERANCE: SignedDuration = SignedDuration::from_secs(30);
/// Number of requests left below which a warning is given: a tenth of the limit.
const LOW_BUDGET: u64 = 120;

/// Returns all findings about one account, in order of dependency.
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

/// Returns the finding about the files, shared by all accounts.
pub fn files_finding(files: &Files) -> DoctorFinding {
    match files {
        Files::Absent { path } => Finding::warn(Check::Files, format!("{path} not found"))
            .help("run `riskform init` to create it, or pass the files to check"),
        Files::Invalid { first, errors } => {
            let message = match errors {
                1 => first.clone(),
                _ => format!("{first} ({errors} errors)"),
            };
            Finding::fail(Check::Files, message)
                .help("riskform validate shows every mistake in the files")
        }
        Files::Valid { accounts } => Finding::pass(
            Check::Files,
            format!("valid, for {}", pluralize(*accounts, "account")),
        ),
    }
}

/// Returns the finding about missing credentials. No request can be sent.
pub fn no_credentials_finding(message: String, help: Option<String>) -> DoctorFinding {
    Finding {
        help,
        ..Finding::fail(Check::Credentials, message)
    }
}

/// Returns the finding about an invalid proxy. No request can be sent.
pub fn invalid_proxy_finding(message: String) -> DoctorFinding {
    Finding::fail(Check::Proxy, message).help("correct or unset the variable")
}

fn credentials(evidence: &ProbeResults) -> DoctorFinding {
    Finding::pass(
        Check::Credentials,
        format!("set by {}", evidence.access.source),
    )
}

/// Returns a finding only if a proxy is set. Its variable is named, so that it can be corrected.
fn proxy(evidence: &ProbeResults) -> Option<DoctorFinding> {
    let ProxyInfo { variable, address } = evidence.access.proxy.as_ref()?;
    let message = format!("{address} ({variable})");
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
            format!("cannot reach the API through {message}"),
        )
        .help(format!(
            "check that the proxy is up and allows requests to the API, or unset {variable}"
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
        // These errors have separate checks and prove that the API responds.
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
        | ErrorKind::OtherAccount { .. }
        | ErrorKind::UnexpectedResponse { .. } => true,
    });
    if let Some(error) = troubles.into_iter().next() {
        return Finding::from_error(Check::Api, CheckStatus::Fail, error);
    }
    let message = match way {
        ApiTransport::InProcess => "simulated in this process".to_owned(),
        ApiTransport::Network if base_url.is_https() => {
            format!("{base_url} responds, certificate trusted")
        }
        ApiTransport::Network => format!("{base_url} responds (localhost, without TLS)"),
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
                Finding::pass(check, "global API key, accepted")
            }
            CredentialEvidence::Unknown => Finding::blocked(check),
        },
        (None, CredentialKind::Token) => Finding::blocked(check),
        (Some(Ok((owner, token))), _) => {
            let whose = match owner {
                Owner::User => "user token",
                Owner::Account => "account token",
            };
            let ends = token.expires_on.map_or_else(
                || "no expiration".to_owned(),
                |end| format!("expires at {end}"),
            );
            let message = format!("{whose}, {}, {ends}", token.status);
            match token.status {
                OpenEnum::Known(TokenStatus::Active) => match token.expires_on {
                    Some(end) if end.duration_since(now) < TOKEN_EXPIRY_WARNING => {
                        Finding::warn(check, message)
                            .help("roll the token or extend its expiration")
                    }
                    Some(_) | None => Finding::pass(check, message),
                },
                OpenEnum::Known(TokenStatus::Disabled | TokenStatus::Expired) => {
                    Finding::fail(check, message)
                        .help("enable or roll the token in the dashboard, or set another one")
                }
                OpenEnum::Unknown(_) => {
                    Finding::warn(check, message).help("check this token in the dashboard")
                }
            }
        }
        (Some(Err(error)), _) => match (error.kind(), reads(evidence)) {
            // A successful read, or one denied for a missing permission, proves more than a failed verification.
            (_, CredentialEvidence::Answered) => Finding {
                message: format!("accepted for reading, but not verified: {error}"),
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
            (_, CredentialEvidence::Unknown) => Finding::blocked(check),
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
        return Finding::blocked(check);
    };
    let Some(remaining) = signs.remaining else {
        return Finding::pass(check, "the API states no limit");
    };
    let message = format!(
        "{} requests left, for {} s",
        remaining.requests,
        remaining.resets_in.as_secs()
    );
    if remaining.requests < LOW_BUDGET {
        Finding::warn(check, message)
            .help("another client uses this token; create a separate token for riskform")
    } else {
        Finding::pass(check, message)
    }
}

fn clock(evidence: &ProbeResults) -> DoctorFinding {
    let check = Check::Clock;
    let Some(signs) = &evidence.signs else {
        return Finding::blocked(check);
    };
    match signs.clock_skew {
        None => Finding::pass(check, "the API sends no time"),
        Some(ahead) if ahead.abs() <= CLOCK_TOLERANCE => {
            Finding::pass(check, "in sync with the API")
        }
        Some(ahead) => {
            let direction = if ahead.is_negative() {
                "ahead of"
            } else {
                "behind"
            };
            let message = format!("{} s {direction} the API", ahead.abs().as_secs());
            Finding::warn(check, message)
                .help("set the clock; --since, ignore_changes dates and the audit log depend on it")
        }
    }
}

/// Returns a finding only if the files list behaviors and the live ones are known.
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
        ([], _) => Finding::pass(check, "all behaviors are in the files"),
        (_, true) => Finding::pass(check, "all behaviors are in the files or covered by \"*\""),
        (new, false) => Finding::warn(check, format!("not in the files: {}", abbreviate_list(new)))
            .help("add them under `behaviors`, or set `unlisted.behaviors`"),
    })
}
