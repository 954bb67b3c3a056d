//! `--audit-log FILE`: a JSON line of intent before each writing call, and one of outcome after it.
//!
//! A line is on disk before the call it announces is sent, so that no change to an account is ever without a trace; where the line can't be
//! written, the call is not sent. Lines say what is changed, from what to what, and by whom. They never hold a secret, nor anything about
//! people but who ran riskform.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Context;
use jiff::Timestamp;
use serde::Serialize;
use uuid::Uuid;

use crate::api::{ApiError, RequestIds};
use crate::apply::{ApplyEvent, Write, WriteKind};
use crate::cli::error::CommandError;
use crate::cli::io::environment;
use crate::cli::io::files::{self, AppendTarget};
use crate::model::account::AccountId;
use crate::model::integration::IntegrationId;
use crate::model::text::escape_invisible_json;
use crate::plan::{Effect, OperationId};

/// An audit log that is open for appending. Clones share it.
#[derive(Clone)]
pub(crate) struct AuditLog(Arc<Log>);

struct Log {
    file: Mutex<AppendTarget>,
    path: String,
    run: Uuid,
    actor: String,
}

/// The call that a line is about.
#[derive(Clone, Copy, Serialize)]
struct Call<'a> {
    account_id: &'a AccountId,
    /// The operation's number in the plan, and which of its writes this is.
    operation: OperationId,
    attempt: u32,
    /// What it changes.
    address: &'a str,
    action: WriteKind,
    /// The integration that it is about, where that has an id already.
    #[serde(skip_serializing_if = "Option::is_none")]
    integration_id: Option<IntegrationId>,
    /// The fields that it changes, from what to what. What is cleared with a score nobody knows.
    #[serde(skip_serializing_if = "<[Effect]>::is_empty")]
    changes: &'a [Effect],
}

#[derive(Serialize)]
struct LogLine<'a> {
    time: Timestamp,
    run_id: Uuid,
    actor: &'a str,
    phase: Phase,
    #[serde(flatten)]
    call: Call<'a>,
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    end: Option<CallResult<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
enum Phase {
    Intent,
    Outcome,
}

#[derive(Serialize)]
struct CallResult<'a> {
    outcome: &'static str,
    /// The answer's `Cf-Auditlog-Id`: where the vendor's own audit log tells of the call.
    request_id: Option<&'a str>,
    /// The answer's `CF-Ray`.
    #[serde(skip_serializing_if = "Option::is_none")]
    ray: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

impl AuditLog {
    /// Opens a log for appending, and makes it, readable by its owner alone, where there is none.
    pub(crate) fn open(path: &Path) -> Result<Self, CommandError> {
        let file = files::append(path)?;
        Ok(AuditLog(Arc::new(Log {
            file: Mutex::new(file),
            path: path.display().to_string(),
            run: Uuid::new_v4(),
            actor: environment::actor(),
        })))
    }

    /// Announces a write; it is on disk when this returns.
    pub(crate) fn sending(
        &self,
        account_id: &AccountId,
        write: &Write<'_>,
        changes: &[Effect],
    ) -> anyhow::Result<()> {
        self.append(Phase::Intent, account_id, write, changes, None)
    }

    /// Tells how a write ended.
    pub(crate) fn answered(
        &self,
        account_id: &AccountId,
        write: &Write<'_>,
        changes: &[Effect],
        end: Result<&RequestIds, &ApiError>,
    ) -> anyhow::Result<()> {
        let trace = end.unwrap_or_else(ApiError::trace);
        let end = CallResult {
            outcome: match end {
                Ok(_) => "done",
                Err(error) if error.may_have_succeeded() => "unknown",
                Err(_) => "failed",
            },
            request_id: trace.audit_log_id.as_deref(),
            ray: trace.ray.as_deref(),
            error: end.err().map(ToString::to_string),
        };
        self.append(Phase::Outcome, account_id, write, changes, Some(end))
    }

    /// Writes down an application's events that are writes. `effects` is what each of its operations changes.
    pub(crate) fn observe(
        &self,
        account_id: &AccountId,
        effects: &BTreeMap<OperationId, Vec<Effect>>,
        event: &ApplyEvent<'_>,
    ) -> anyhow::Result<()> {
        let changes =
            |write: &Write<'_>| effects.get(&write.operation).map_or(&[][..], Vec::as_slice);
        match event {
            ApplyEvent::Sending(write) => self.sending(account_id, write, changes(write)),
            ApplyEvent::Answered(write, end) => {
                self.answered(account_id, write, changes(write), *end)
            }
            ApplyEvent::Started { .. }
            | ApplyEvent::LookingForCreated { .. }
            | ApplyEvent::Finished { .. }
            | ApplyEvent::ReadingBack => Ok(()),
        }
    }

    fn append(
        &self,
        phase: Phase,
        account_id: &AccountId,
        write: &Write<'_>,
        changes: &[Effect],
        end: Option<CallResult<'_>>,
    ) -> anyhow::Result<()> {
        let Write {
            operation,
            addresses,
            deed,
            id,
            attempt,
        } = *write;
        let call = Call {
            account_id,
            operation,
            attempt,
            address: addresses,
            action: deed,
            integration_id: id,
            changes,
        };
        let line = LogLine {
            time: Timestamp::now(),
            run_id: self.0.run,
            actor: &self.0.actor,
            phase,
            call,
            end,
        };
        // It may be a stream that somebody reads along.
        let mut text = escape_invisible_json(serde_json::to_string(&line)?);
        text.push('\n');
        let mut file = self.0.file.lock().unwrap_or_else(PoisonError::into_inner);
        file.write(&text)
            .with_context(|| format!("cannot write the audit log {}", self.0.path))
    }
}
