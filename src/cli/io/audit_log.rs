//! `--audit-log FILE`: one JSON line before each write, and one after it.
//!
//! The first line is on disk before the request is sent. If it cannot be written, the request is not sent. Lines hold the
//! change, the old and new values and the actor. They never hold a secret or other personal data.

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
use crate::cli::io::files::AppendTarget;
use crate::cli::io::output::Output;
use crate::model::account::AccountId;
use crate::model::integration::IntegrationId;
use crate::model::text::escape_invisible_json;
use crate::plan::{Effect, OperationId};

/// An audit log open for appending. Clones share the file.
#[derive(Clone)]
pub(crate) struct AuditLog(Arc<Log>);

struct Log {
    file: Mutex<AppendTarget>,
    path: String,
    run: Uuid,
    actor: String,
}

/// Request of a line.
#[derive(Clone, Copy, Serialize)]
struct Call<'a> {
    account_id: &'a AccountId,
    /// Number of the operation in the plan, and of the write in the operation.
    operation: OperationId,
    attempt: u32,
    /// Changed resources.
    address: &'a str,
    action: WriteKind,
    /// ID of the integration; `None` before it is created.
    #[serde(skip_serializing_if = "Option::is_none")]
    integration_id: Option<IntegrationId>,
    /// Changed fields with old and new values. Empty for a reset.
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
    /// `Cf-Auditlog-Id` of the response: the entry in the account's audit log.
    request_id: Option<&'a str>,
    /// `CF-Ray` of the response.
    #[serde(skip_serializing_if = "Option::is_none")]
    cf_ray: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

impl<'a> From<Result<&'a RequestIds, &'a ApiError>> for CallResult<'a> {
    fn from(end: Result<&'a RequestIds, &'a ApiError>) -> Self {
        let trace = end.unwrap_or_else(ApiError::request_ids);
        CallResult {
            outcome: match end {
                Ok(_) => "done",
                Err(error) if error.may_have_succeeded() => "unknown",
                Err(_) => "failed",
            },
            request_id: trace.audit_log_id.as_deref(),
            cf_ray: trace.ray.as_deref(),
            error: end.err().map(ToString::to_string),
        }
    }
}

impl AuditLog {
    /// Opens the log for appending. A new file is readable only by its owner.
    pub(crate) fn open(path: &Path, output: &Output) -> Result<Self, CommandError> {
        let file = output.append(path)?;
        Ok(AuditLog(Arc::new(Log {
            file: Mutex::new(file),
            path: path.display().to_string(),
            run: Uuid::new_v4(),
            actor: environment::actor(),
        })))
    }

    /// Logs the writes among the events of an apply or a reset. `effects` are the changes of each operation.
    pub(crate) fn observe(
        &self,
        account_id: &AccountId,
        effects: &BTreeMap<OperationId, Vec<Effect>>,
        event: &ApplyEvent<'_>,
    ) -> anyhow::Result<()> {
        let (phase, write, end) = match event {
            ApplyEvent::Sending(write) => (Phase::Intent, write, None),
            ApplyEvent::Responded(write, end) => {
                (Phase::Outcome, write, Some(CallResult::from(*end)))
            }
            _ => return Ok(()),
        };
        let changes = effects.get(&write.operation);
        let changes = changes.map_or(&[][..], Vec::as_slice);
        // The line of an intent is on disk when this returns.
        self.append(phase, account_id, write, changes, end)
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
        // The log may be a terminal or the log of a CI job.
        let mut text = escape_invisible_json(serde_json::to_string(&line)?);
        text.push('\n');
        let mut file = self.0.file.lock().unwrap_or_else(PoisonError::into_inner);
        file.write(&text)
            .with_context(|| format!("cannot write the audit log {}", self.0.path))
    }
}
