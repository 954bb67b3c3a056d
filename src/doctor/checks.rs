//! The checks: each looks at the evidence and says how one thing stands, and what to do about it.

use jiff::{SignedDuration, Timestamp};

use super::evidence::{Access, Asked, Evidence, Files, Means, Owner, Way};
use super::finding::{Check, Finding, Status, fail, of_error, ok, unknown, warn};
use crate::api::{ApiError, ErrorKind, Permission, TokenStatus, TransportFailure};
use crate::model::open_word::OpenWord;

/// A token that ends within so many hours is worth a warning.
const ENDS_SOON: SignedDuration = SignedDuration::from_hours(14 * 24);
/// Two clocks that differ by less agree: answers take time, and tell it in whole seconds.
const CLOCK_TOLERANCE: SignedDuration = SignedDuration::from_secs(30);
/// A budget of which less than one part in so many is left is nearly spent.
const NEARLY_SPENT: u64 = 10;

/// Everything that can be said about one account, in the order in which one thing needs the other.
pub fn account_findings(evidence: &Evidence, now: Timestamp) -> Vec<Finding> {
    let mut findings = vec![
        credentials(evidence),
        api(evidence),
        token(evidence, now),
        read(evidence),
        pii_read(evidence),
        write(evidence),
        entitlement(evidence),
        rate_budget(evidence),
        clock(evidence),
    ];
    findings.extend(new_behaviors(evidence));
    let behind_api = 2;
    if let Some(proxy) = proxy(evidence) {
        findings.insert(behind_api, proxy);
    }
    findings
}

/// The files, which are there for all accounts together.
pub fn files_finding(files: &Files) -> Finding {
    match files {
        Files::Absent { path } => warn(
            Check::Files,
            format!("there is no {path}"),
            "write one (riskform export makes it from the live account), or name the files to look at",
        ),
        Files::Invalid => fail(
            Check::Files,
            "not valid".to_owned(),
            "run riskform validate, which shows every mistake",
        ),
        Files::Valid { accounts: 1 } => ok(Check::Files, "valid, for 1 account"),
        Files::Valid { accounts } => ok(Check::Files, format!("valid, for {accounts} accounts")),
    }
}

/// There is nothing to show the API, so that nothing can be asked.
pub fn no_credentials_finding(message: String, help: Option<String>) -> Finding {
    Finding {
        check: Check::Credentials,
        status: Status::Fail,
        message,
        help,
    }
}

fn credentials(evidence: &Evidence) -> Finding {
    ok(
        Check::Credentials,
        format!("from {}", evidence.access.source),
    )
}

fn api(evidence: &Evidence) -> Finding {
    let Evidence {
        base_url,
        access: Access { way, .. },
        ..
    } = evidence;
    let troubles = errors(evidence).filter(|error| match error.kind() {
        // Those have checks of their own, and prove that the API answers.
        ErrorKind::Credentials
        | ErrorKind::Access
        | ErrorKind::Permission
        | ErrorKind::Entitlement
        | ErrorKind::RateLimited
        | ErrorKind::Stopped => false,
        ErrorKind::NotFound
        | ErrorKind::NoRoute
        | ErrorKind::Refused
        | ErrorKind::ServerFault { .. }
        | ErrorKind::Transport { .. }
        | ErrorKind::Unexpected { .. } => true,
    });
    if let Some(error) = troubles.into_iter().next() {
        return of_error(Check::Api, Status::Fail, error);
    }
    let message = match way {
        Way::InProcess => "the simulated one, within this process".to_owned(),
        Way::Network if base_url.is_https() => {
            format!("{base_url} answers, and its certificate is trusted")
        }
        Way::Network => format!("{base_url} answers, on this machine and without TLS"),
    };
    ok(Check::Api, message)
}

/// Only where there is one.
fn proxy(evidence: &Evidence) -> Option<Finding> {
    let name = evidence.access.proxy?;
    let is_on_the_way = |error: &ApiError| {
        matches!(
            error.kind(),
            ErrorKind::Transport {
                failure: TransportFailure::Connect | TransportFailure::Timeout,
                ..
            }
        )
    };
    Some(if errors(evidence).any(is_on_the_way) {
        fail(
            Check::Proxy,
            format!("{name} names one, and the API can't be reached through it"),
            &format!("check that it is up and lets calls to the API pass, or unset {name}"),
        )
    } else {
        ok(Check::Proxy, format!("{name} names one"))
    })
}

fn token(evidence: &Evidence, now: Timestamp) -> Finding {
    let check = Check::Token;
    match (&evidence.token, evidence.access.means) {
        (None, Means::Key) => match reads(evidence) {
            Reads::Refused(error) => of_error(check, Status::Fail, error),
            Reads::Answered | Reads::Known => ok(check, "a global API key, which is taken"),
            Reads::Unknown => unknown(check),
        },
        (None, Means::Token) => unknown(check),
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
                OpenWord::Known(TokenStatus::Active) => match token.expires_on {
                    Some(end) if end.duration_since(now) < ENDS_SOON => {
                        warn(check, message, "roll the token, or give it a later end")
                    }
                    Some(_) | None => ok(check, message),
                },
                OpenWord::Known(TokenStatus::Disabled | TokenStatus::Expired) => fail(
                    check,
                    message,
                    "enable the token or roll it in the dashboard, or set another one",
                ),
                OpenWord::Unknown(_) => warn(
                    check,
                    message,
                    "see what the dashboard says about this token",
                ),
            }
        }
        (Some(Err(error)), _) => match (error.kind(), reads(evidence)) {
            // A read that is answered proves more than a verification that is not, and so does one that a permission refuses.
            (_, Reads::Answered) => Finding {
                message: format!("taken for reading, but not verified: {error}"),
                ..of_error(check, Status::Warn, error)
            },
            (_, Reads::Known) => Finding {
                message: format!("known to the API, but not verified: {error}"),
                ..of_error(check, Status::Warn, error)
            },
            (ErrorKind::Credentials, _) => of_error(check, Status::Fail, error),
            (_, Reads::Refused(refusal)) => of_error(check, Status::Fail, refusal),
            (_, Reads::Unknown) => unknown(check),
        },
    }
}

fn read(evidence: &Evidence) -> Finding {
    let check = Check::Read;
    match (&evidence.behaviors, &evidence.integrations) {
        (Some(Ok(_)), Some(Ok(()))) => ok(check, "proven: behaviors and integrations are readable"),
        (Some(Ok(_)), _) => ok(check, "proven: behaviors are readable"),
        (_, Some(Ok(()))) => ok(check, "proven: integrations are readable"),
        (Some(Err(error)), _) if !token_was_refused(evidence) => refused(check, error),
        (Some(Err(_)) | None, _) => unknown(check),
    }
}

fn pii_read(evidence: &Evidence) -> Finding {
    let check = Check::PiiRead;
    match &evidence.users {
        Some(Ok(())) => ok(check, "proven: users are readable"),
        Some(Err(error)) if !token_was_refused(evidence) => refused(check, error),
        Some(Err(_)) | None => unknown(check),
    }
}

fn write(evidence: &Evidence) -> Finding {
    let check = Check::Write;
    match &evidence.behaviors {
        Some(Err(error)) if *error.kind() == ErrorKind::Permission => fail(
            check,
            "missing: it includes reading, and reading is refused".to_owned(),
            &grant(Permission::Write),
        ),
        // Told once already, where reading was tried.
        Some(Err(error)) if is_refused(error) => unknown(check),
        Some(Ok(_) | Err(_)) => warn(
            check,
            "can't be proven without writing, and nothing is written here".to_owned(),
            "see that the token has it, unless it is for plan, drift and get alone",
        ),
        None => unknown(check),
    }
}

fn entitlement(evidence: &Evidence) -> Finding {
    let check = Check::Entitlement;
    let missing = errors(evidence).find(|error| *error.kind() == ErrorKind::Entitlement);
    match (missing, &evidence.behaviors, &evidence.integrations) {
        (Some(error), _, _) => of_error(check, Status::Fail, error),
        (None, Some(Ok(_)), Some(Ok(()))) => ok(check, "risk scoring answers for this account"),
        // The list of integrations answers a plain 403 on an account without the feature (contract.md, Transport).
        (None, Some(Ok(_)), Some(Err(error))) if *error.kind() == ErrorKind::Permission => Finding {
            message: "behaviors are readable and the list of integrations is refused, as on accounts that lack risk scoring"
                .to_owned(),
            ..of_error(check, Status::Fail, error)
        },
        (None, _, _) => unknown(check),
    }
}

fn rate_budget(evidence: &Evidence) -> Finding {
    let check = Check::RateBudget;
    let spent = errors(evidence).find(|error| *error.kind() == ErrorKind::RateLimited);
    if let Some(error) = spent {
        return of_error(check, Status::Fail, error);
    }
    let Some(signs) = &evidence.signs else {
        return unknown(check);
    };
    let Some(remaining) = signs.rate.remaining.iter().min_by_key(|left| left.requests) else {
        return ok(check, "the API states no limit");
    };
    let quota = signs.rate.policies.iter().map(|policy| policy.quota).min();
    let of = quota.map_or_else(String::new, |quota| format!(" of {quota}"));
    let message = format!(
        "{}{of} requests left, for {} s",
        remaining.requests,
        remaining.resets_in.as_secs()
    );
    if remaining.requests < quota.unwrap_or_default() / NEARLY_SPENT {
        warn(
            check,
            message,
            "something else uses this token: wait, or give riskform a token of its own",
        )
    } else {
        ok(check, message)
    }
}

fn clock(evidence: &Evidence) -> Finding {
    let check = Check::Clock;
    let Some(signs) = &evidence.signs else {
        return unknown(check);
    };
    match signs.clock_ahead {
        None => ok(check, "the API does not tell the time"),
        Some(ahead) if ahead.abs() <= CLOCK_TOLERANCE => ok(check, "agrees with the API's"),
        Some(ahead) => {
            let direction = if ahead.is_negative() {
                "ahead of"
            } else {
                "behind"
            };
            warn(
                check,
                format!(
                    "this machine's is {} s {direction} the API's",
                    ahead.abs().as_secs()
                ),
                "set the clock: --since, the ends of ignore_changes and the audit log go by it",
            )
        }
    }
}

/// Only where files list behaviors at all, and the live ones are known.
fn new_behaviors(evidence: &Evidence) -> Option<Finding> {
    let (Some(declared), Some(Ok(live))) = (&evidence.declared, &evidence.behaviors) else {
        return None;
    };
    let new: Vec<&str> = live
        .difference(&declared.behaviors)
        .map(|key| key.as_str())
        .collect();
    Some(if new.is_empty() {
        ok(
            Check::NewBehaviors,
            "none: the files list all that the account offers",
        )
    } else {
        warn(
            Check::NewBehaviors,
            format!("offered, and not in the files: {}", new.join(", ")),
            "list them under behaviors, or say under unlisted what to do with them",
        )
    })
}

/// What the reads prove about the credentials.
enum Reads<'a> {
    /// One was answered.
    Answered,
    /// One was refused for another reason than the credentials.
    Known,
    /// The credentials were refused.
    Refused(&'a ApiError),
    /// Nothing.
    Unknown,
}

fn reads(evidence: &Evidence) -> Reads<'_> {
    match &evidence.behaviors {
        Some(Ok(_)) => Reads::Answered,
        Some(Err(error)) => match error.kind() {
            ErrorKind::Permission | ErrorKind::Entitlement => Reads::Known,
            ErrorKind::Credentials | ErrorKind::Access => Reads::Refused(error),
            ErrorKind::NotFound
            | ErrorKind::NoRoute
            | ErrorKind::Stopped
            | ErrorKind::RateLimited
            | ErrorKind::Refused
            | ErrorKind::ServerFault { .. }
            | ErrorKind::Transport { .. }
            | ErrorKind::Unexpected { .. } => Reads::Unknown,
        },
        None => Reads::Unknown,
    }
}

/// Says whether the token's own check tells that it is refused, so that no other has to.
fn token_was_refused(evidence: &Evidence) -> bool {
    matches!(&evidence.token, Some(Err(_))) && matches!(reads(evidence), Reads::Refused(_))
}

/// Says whether the credentials were refused, or may have been.
fn is_refused(error: &ApiError) -> bool {
    matches!(error.kind(), ErrorKind::Credentials | ErrorKind::Access)
}

/// Every error, in the order of the questions.
fn errors(evidence: &Evidence) -> impl Iterator<Item = &ApiError> {
    fn error<T>(asked: &Asked<T>) -> Option<&ApiError> {
        asked.as_ref().and_then(|result| result.as_ref().err())
    }
    [
        error(&evidence.token),
        error(&evidence.behaviors),
        error(&evidence.integrations),
        error(&evidence.users),
    ]
    .into_iter()
    .flatten()
}

/// The finding of a permission whose proof was not given.
fn refused(check: Check, error: &ApiError) -> Finding {
    match error.kind() {
        ErrorKind::Permission => Finding {
            message: format!("missing: {error}"),
            ..of_error(check, Status::Fail, error)
        },
        ErrorKind::Credentials | ErrorKind::Access => of_error(check, Status::Fail, error),
        ErrorKind::Entitlement
        | ErrorKind::NoRoute
        | ErrorKind::Stopped
        | ErrorKind::NotFound
        | ErrorKind::RateLimited
        | ErrorKind::Refused
        | ErrorKind::ServerFault { .. }
        | ErrorKind::Transport { .. }
        | ErrorKind::Unexpected { .. } => unknown(check),
    }
}

fn grant(permission: Permission) -> String {
    format!("give the token the permission \"{permission}\" on this account")
}
