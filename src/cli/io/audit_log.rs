//! `--audit-log FILE`: a JSON line of intent before each writing call, and one of outcome after it.
//!
//! A line is on disk before the call it announces is sent, so that no change to an account is ever without a trace; where the line can't be
//! written, the call is not sent. Lines never hold a secret, nor anything about people but who ran riskform.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Context;
use jiff::Timestamp;
use serde::Serialize;
use uuid::Uuid;

use crate::api::ApiError;
use crate::apply::Event;
use crate::cli::io::environment::variable;
use crate::cli::run::ending::Error;
use crate::model::account::AccountId;

/// An audit log that is open for appending. Clones share it.
#[derive(Clone)]
pub(crate) struct AuditLog(Arc<Log>);

struct Log {
    file: Mutex<File>,
    path: String,
    run: Uuid,
    actor: Option<String>,
}

/// The call that a line is about.
#[derive(Clone, Copy, Serialize)]
pub(crate) struct Call<'a> {
    /// The account that it changes.
    pub(crate) account_id: &'a AccountId,
    /// What it changes there.
    pub(crate) address: &'a str,
    /// What it does.
    pub(crate) action: &'a str,
    /// The integration that it is about, where that has an id already.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) integration_id: Option<&'a str>,
}

#[derive(Serialize)]
struct Line<'a> {
    time: Timestamp,
    run_id: Uuid,
    actor: Option<&'a str>,
    phase: Phase,
    #[serde(flatten)]
    call: Call<'a>,
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    end: Option<End<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
enum Phase {
    Intent,
    Outcome,
}

#[derive(Serialize)]
struct End<'a> {
    outcome: &'static str,
    /// The answer's `Cf-Auditlog-Id`: where the vendor's own audit log tells of the call.
    request_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

impl AuditLog {
    /// Opens a log for appending, and makes it, readable by its owner alone, where there is none.
    pub(crate) fn open(path: &Path) -> Result<Self, Error> {
        let file = OpenOptions::new()
            .append(true)
            .create(true)
            .mode(0o600)
            .open(path)
            .map_err(Error::other(format!(
                "the audit log {} can't be opened",
                path.display()
            )))?;
        Ok(AuditLog(Arc::new(Log {
            file: Mutex::new(file),
            path: path.display().to_string(),
            run: Uuid::new_v4(),
            actor: actor(),
        })))
    }

    /// Announces a call; it is on disk when this returns.
    pub(crate) fn intent(&self, call: Call<'_>) -> anyhow::Result<()> {
        self.append(Phase::Intent, call, None)
    }

    /// Tells how a call ended: with the answer's request id, or an error.
    pub(crate) fn outcome(
        &self,
        call: Call<'_>,
        outcome: Result<Option<&str>, &ApiError>,
    ) -> anyhow::Result<()> {
        let end = match outcome {
            Ok(request_id) => End {
                outcome: "done",
                request_id,
                error: None,
            },
            Err(error) => End {
                outcome: if error.is_ambiguous() {
                    "unknown"
                } else {
                    "failed"
                },
                request_id: error.audit_log_id(),
                error: Some(error.to_string()),
            },
        };
        self.append(Phase::Outcome, call, Some(end))
    }

    /// Writes down an application's events that are calls.
    pub(crate) fn observe(&self, account_id: &AccountId, event: &Event<'_>) -> anyhow::Result<()> {
        let (operation, deed, id) = match event {
            Event::Sending {
                operation,
                deed,
                id,
            }
            | Event::Answered {
                operation,
                deed,
                id,
                ..
            } => (operation, deed, id),
            Event::Started { .. }
            | Event::LookingForCreated { .. }
            | Event::Finished { .. }
            | Event::ReadingBack => return Ok(()),
        };
        let covers: Vec<String> = operation.covers.iter().map(ToString::to_string).collect();
        let id = id.map(|id| id.to_string());
        let call = Call {
            account_id,
            address: &covers.join(","),
            action: deed.as_str(),
            integration_id: id.as_deref(),
        };
        match event {
            Event::Answered { outcome, .. } => self.outcome(call, *outcome),
            _ => self.intent(call),
        }
    }

    fn append(&self, phase: Phase, call: Call<'_>, end: Option<End<'_>>) -> anyhow::Result<()> {
        let line = Line {
            time: Timestamp::now(),
            run_id: self.0.run,
            actor: self.0.actor.as_deref(),
            phase,
            call,
            end,
        };
        let mut text = serde_json::to_string(&line)?;
        text.push('\n');
        let mut file = self.0.file.lock().unwrap_or_else(PoisonError::into_inner);
        // One write a line, so that two runs that append to one file never mix theirs.
        file.write_all(text.as_bytes())
            .and_then(|()| file.sync_data())
            .with_context(|| format!("the audit log {} can't be written", self.0.path))
    }
}

/// Who runs this: what a CI says about it, else the user of the machine.
fn actor() -> Option<String> {
    const VARIABLES: [(&str, &str); 7] = [
        ("GITHUB_ACTOR", "github"),
        ("GITLAB_USER_LOGIN", "gitlab"),
        ("BUILDKITE_BUILD_CREATOR", "buildkite"),
        ("CIRCLE_USERNAME", "circleci"),
        ("BUILD_USER_ID", "jenkins"),
        ("USER", "user"),
        ("LOGNAME", "user"),
    ];
    VARIABLES
        .iter()
        .find_map(|(name, origin)| Some(format!("{origin}:{}", variable(name)?)))
}
