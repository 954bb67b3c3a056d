//! The checks of the doctor. Each evaluates the responses and returns a result with advice.

use std::sync::Arc;

use jiff::SignedDuration;

use super::permissions::{
    access_groups, access_policies, audit_log, entitlement, pii_read, read, write,
};
use super::probe::{
    Access, ApiTransport, CredentialEvidence, CredentialKind, Files, Owner, ProbeResults,
    ProxyInfo, errors, reads,
};
use super::{blocked, complete, from_error};
use crate::api::{ApiError, ErrorKind, TokenStatus, TransportErrorKind};
use crate::model::finding::{CheckStatus, CheckedAccount, Finding};
use crate::model::open_enum::OpenEnum;
use crate::model::text::{abbreviate_list, pluralize};

/// Tokens that expire sooner cause a warning.
const TOKEN_EXPIRY_WARNING: SignedDuration = SignedDuration::from_hours(14 * 24);
/// Tolerated clock difference: responses take time, and their date has whole seconds.
const CLOCK_TOLERANCE: SignedDuration = SignedDuration::from_secs(30);
/// Number of requests left below which a warning is given: a tenth of the limit.
const LOW_BUDGET: u64 = 120;

/// A check of one account.
struct Check {
    /// Name in output. Permissions have their dashboard names.
    id: &'static str,
    run: fn(&ProbeResults) -> Option<Finding>,
}

const FILES: &str = "files";
const CREDENTIALS: &str = "credentials";
const PROXY: &str = "proxy";

/// All checks of an account, in order of dependency.
const CHECKS: [Check; 14] = {
    const fn check(id: &'static str, run: fn(&ProbeResults) -> Option<Finding>) -> Check {
        Check { id, run }
    }
    [
        check(CREDENTIALS, |probed| {
            Some(credentials_finding(&probed.access.source))
        }),
        check("API", |probed| Some(api(probed))),
        check(PROXY, proxy),
        check("token", |probed| Some(token(probed))),
        check("Zero Trust Read", |probed| Some(read(probed))),
        check("Zero Trust: PII Read", |probed| Some(pii_read(probed))),
        check("Zero Trust Write", |probed| Some(write(probed))),
        check("entitlement", |probed| Some(entitlement(probed))),
        check("Access policies", |probed| Some(access_policies(probed))),
        check("Access groups", |probed| Some(access_groups(probed))),
        check("audit log", |probed| Some(audit_log(probed))),
        check("rate limit", |probed| Some(rate_limit(probed))),
        check("clock", |probed| Some(clock(probed))),
        check("new behaviors", new_behaviors),
    ]
};

/// Checks that are not about credentials, permissions or the entitlement.
const OTHER_CHECKS: [&str; 6] = [FILES, "API", PROXY, "rate limit", "clock", "new behaviors"];

/// Returns true if the check is about credentials, permissions or the entitlement.
pub fn is_auth_check(check: &str) -> bool {
    !OTHER_CHECKS.contains(&check)
}

/// Returns all findings about one account.
pub fn account_findings(probed: &ProbeResults, account: &Arc<CheckedAccount>) -> Vec<Finding> {
    let findings = CHECKS.iter().flat_map(|check| {
        let finding = (check.run)(probed).into_iter().collect();
        complete(finding, check.id, Some(account))
    });
    findings.collect()
}

/// Returns the finding about the files, shared by all accounts.
pub fn files_finding(files: &Files) -> Finding {
    let finding = match files {
        Files::Absent { path } => Finding::warn(format!("{path} not found"))
            .help("run `riskform init` to create it, or pass the files to check"),
        Files::Invalid { first, errors } => {
            let message = match errors {
                1 => first.clone(),
                _ => format!("{first} ({errors} errors)"),
            };
            Finding::fail(message).help("riskform validate shows every mistake in the files")
        }
        Files::Valid { accounts } => {
            Finding::pass(format!("valid, for {}", pluralize(*accounts, "account")))
        }
    };
    Finding {
        check: FILES,
        ..finding
    }
}

/// Returns the finding about missing credentials. No request can be sent.
pub fn no_credentials_finding(message: String, help: Option<String>) -> Finding {
    Finding {
        check: CREDENTIALS,
        help,
        ..Finding::fail(message)
    }
}

/// Returns the finding about credentials from a source.
pub fn credentials_finding(source: &str) -> Finding {
    Finding {
        check: CREDENTIALS,
        ..Finding::pass(format!("set by {source}"))
    }
}

/// Returns the finding about an invalid proxy. No request can be sent.
pub fn invalid_proxy_finding(message: String) -> Finding {
    Finding {
        check: PROXY,
        ..Finding::fail(message).help("correct or unset the variable")
    }
}

/// Returns a finding only if a proxy is set. Its variable is named, so that it can be corrected.
fn proxy(probed: &ProbeResults) -> Option<Finding> {
    let ProxyInfo { variable, address } = probed.access.proxy.as_ref()?;
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
    Some(if errors(probed).any(lost) {
        Finding::fail(format!("cannot reach the API through {message}")).help(format!(
            "check that the proxy is up and allows requests to the API, or unset {variable}"
        ))
    } else {
        Finding::pass(message)
    })
}

fn api(probed: &ProbeResults) -> Finding {
    let ProbeResults {
        base_url,
        access: Access { transport, .. },
        ..
    } = probed;
    let troubles = errors(probed).filter(|error| match error.kind() {
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
        return from_error(CheckStatus::Fail, error);
    }
    let message = match transport {
        ApiTransport::InProcess => "simulated in this process".to_owned(),
        ApiTransport::Network if base_url.is_https() => {
            format!("{base_url} responds, certificate trusted")
        }
        ApiTransport::Network => format!("{base_url} responds (localhost, without TLS)"),
    };
    Finding::pass(message)
}

fn token(probed: &ProbeResults) -> Finding {
    match (&probed.token, probed.access.credentials) {
        (None, CredentialKind::Key) => match reads(probed) {
            CredentialEvidence::Refused(error) => from_error(CheckStatus::Fail, error),
            CredentialEvidence::Answered | CredentialEvidence::Known => {
                Finding::pass("global API key, accepted")
            }
            CredentialEvidence::Unknown => blocked(),
        },
        (None, CredentialKind::Token) => blocked(),
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
                    Some(end) if end.duration_since(probed.now) < TOKEN_EXPIRY_WARNING => {
                        Finding::warn(message).help("roll the token or extend its expiration")
                    }
                    Some(_) | None => Finding::pass(message),
                },
                OpenEnum::Known(TokenStatus::Disabled | TokenStatus::Expired) => {
                    Finding::fail(message)
                        .help("enable or roll the token in the dashboard, or set another one")
                }
                OpenEnum::Unknown(_) => {
                    Finding::warn(message).help("check this token in the dashboard")
                }
            }
        }
        (Some(Err(error)), _) => match (error.kind(), reads(probed)) {
            // A successful read, or one denied for a missing permission, proves more than a failed verification.
            (_, CredentialEvidence::Answered) => Finding {
                message: format!("accepted for reading, but not verified: {error}"),
                ..from_error(CheckStatus::Warn, error)
            },
            (_, CredentialEvidence::Known) => Finding {
                message: format!("known to the API, but not verified: {error}"),
                ..from_error(CheckStatus::Warn, error)
            },
            (ErrorKind::Credentials, _) => from_error(CheckStatus::Fail, error),
            (_, CredentialEvidence::Refused(refusal)) => from_error(CheckStatus::Fail, refusal),
            (_, CredentialEvidence::Unknown) => blocked(),
        },
    }
}

fn rate_limit(probed: &ProbeResults) -> Finding {
    let spent = errors(probed).find(|error| *error.kind() == ErrorKind::RateLimited);
    if let Some(error) = spent {
        return from_error(CheckStatus::Fail, error);
    }
    let Some(metadata) = &probed.metadata else {
        return blocked();
    };
    let Some(remaining) = metadata.remaining else {
        return Finding::pass("the API states no limit");
    };
    let message = format!(
        "{} requests left, for {} s",
        remaining.requests,
        remaining.resets_in.as_secs()
    );
    if remaining.requests < LOW_BUDGET {
        Finding::warn(message)
            .help("another client uses this token; create a separate token for riskform")
    } else {
        Finding::pass(message)
    }
}

fn clock(probed: &ProbeResults) -> Finding {
    let Some(metadata) = &probed.metadata else {
        return blocked();
    };
    match metadata.clock_skew {
        None => Finding::pass("the API sends no time"),
        Some(ahead) if ahead.abs() <= CLOCK_TOLERANCE => Finding::pass("in sync with the API"),
        Some(ahead) => {
            let direction = if ahead.is_negative() {
                "ahead of"
            } else {
                "behind"
            };
            let message = format!("{} s {direction} the API", ahead.abs().as_secs());
            Finding::warn(message)
                .help("set the clock; --since, ignore_changes dates and the audit log depend on it")
        }
    }
}

/// Returns a finding only if the files list behaviors and the live ones are known.
fn new_behaviors(probed: &ProbeResults) -> Option<Finding> {
    let (Some(declared), Some(Ok(live))) = (&probed.declared, &probed.behaviors) else {
        return None;
    };
    let new: Vec<String> = live
        .difference(&declared.behaviors)
        .map(ToString::to_string)
        .collect();
    Some(match (new.as_slice(), declared.covers_every_other) {
        ([], _) => Finding::pass("all behaviors are in the files"),
        (_, true) => Finding::pass("all behaviors are in the files or covered by \"*\""),
        (new, false) => Finding::warn(format!("not in the files: {}", abbreviate_list(new)))
            .help("add them under `behaviors`, or set `unlisted.behaviors`"),
    })
}
