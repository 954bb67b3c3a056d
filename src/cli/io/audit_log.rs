//! `--audit-log FILE`: one JSON line before each write, and one after it.
//!
//! The first line is on disk before the request is sent. If it cannot be written, the request is not sent. Lines hold the
//! change, the old and new values and the actor. They never hold a secret or other personal data.

use std::path::Path;
use std::sync::{Mutex, PoisonError};

use anyhow::Context;
use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::api::{ApiError, RequestIds};
use crate::apply::{ApplyEvent, WriteKind};
use crate::cli::error::CommandError;
use crate::cli::io::environment;
use crate::cli::io::files::AppendTarget;
use crate::cli::io::output::Output;
use crate::model::account::AccountId;
use crate::model::integration::IntegrationId;
use crate::model::text::escape_invisible_json;
use crate::plan::{Operation, OperationId};

/// An audit log open for appending.
pub(crate) struct AuditLog {
    file: Mutex<AppendTarget>,
    path: String,
    run_id: Uuid,
    actor: String,
}

#[derive(Serialize)]
struct LogLine<'a> {
    time: Timestamp,
    run_id: Uuid,
    actor: &'a str,
    /// `intent` before the write, `outcome` after it.
    phase: &'static str,
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
    #[serde(skip_serializing_if = "Vec::is_empty")]
    changes: Vec<Value>,
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    result: Option<CallResult<'a>>,
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
    fn from(result: Result<&'a RequestIds, &'a ApiError>) -> Self {
        let ids = result.unwrap_or_else(|error| &error.request_ids);
        CallResult {
            outcome: match result {
                Ok(_) => "done",
                Err(error) if error.may_have_succeeded() => "unknown",
                Err(_) => "failed",
            },
            request_id: ids.audit_log_id.as_deref(),
            cf_ray: ids.ray.as_deref(),
            error: result.err().map(ToString::to_string),
        }
    }
}

impl AuditLog {
    /// Opens the log for appending. A new file is readable only by its owner.
    pub(crate) fn open(path: &Path, output: &Output) -> Result<Self, CommandError> {
        Ok(AuditLog {
            file: Mutex::new(output.append(path)?),
            path: path.display().to_string(),
            run_id: Uuid::new_v4(),
            actor: environment::actor(),
        })
    }

    /// Logs the writes among the events of an apply or a reset. `operations` are those of the plan. The line of an intent is
    /// on disk when this returns.
    pub(crate) fn observe(
        &self,
        account_id: &AccountId,
        operations: &[Operation],
        event: &ApplyEvent<'_>,
    ) -> anyhow::Result<()> {
        let (write, result) = match event {
            ApplyEvent::Sending(write) => (write, None),
            ApplyEvent::Responded(write, result) => (write, Some(*result)),
            _ => return Ok(()),
        };
        let operation = operations.iter().find(|one| one.id == write.operation);
        let changes = operation.into_iter().flat_map(|one| &one.effects);
        let changes =
            changes.map(|change| json!({ "address": change.address, "fields": change.fields }));
        let line = LogLine {
            time: Timestamp::now(),
            run_id: self.run_id,
            actor: &self.actor,
            phase: match result {
                None => "intent",
                Some(_) => "outcome",
            },
            account_id,
            operation: write.operation,
            attempt: write.attempt,
            address: &write.addresses,
            action: write.kind,
            integration_id: write.id,
            changes: changes.collect(),
            result: result.map(CallResult::from),
        };
        // The log may be a terminal or the log of a CI job.
        let mut text = escape_invisible_json(serde_json::to_string(&line)?);
        text.push('\n');
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        file.write(&text)
            .with_context(|| format!("cannot write the audit log {}", self.path))
    }
}
