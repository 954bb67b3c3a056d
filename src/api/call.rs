//! One call: sent when the rate budget allows, repeated where that is safe, and its answer taken out of the envelope.

use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_TYPE, HeaderMap, USER_AGENT};
use http::{Request, StatusCode};
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::time::Instant;

use super::connection::Connection;
use super::envelope;
use super::error::{ApiError, Details, ErrorKind};
use super::event::{Event, WaitReason};
use super::operation::Operation;
use super::rate_headers::RateHeaders;
use super::retry;
use super::signs::Signs;
use super::transport::{Reach, TransportError, TransportFailure};

/// What a call brought.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer<T> {
    /// What was asked for.
    pub value: T,
    /// The answer's `Cf-Auditlog-Id`: how an operator finds the call in the vendor's audit log.
    pub audit_log_id: Option<String>,
}

impl<T> Answer<T> {
    /// Turns the value into another, and keeps the rest.
    pub fn map<U>(self, into: impl FnOnce(T) -> U) -> Answer<U> {
        Answer {
            value: into(self.value),
            audit_log_id: self.audit_log_id,
        }
    }
}

/// One call to be made.
pub(super) struct Call {
    pub(super) operation: Operation,
    /// Below the base URL, beginning with a slash.
    pub(super) path: String,
    pub(super) body: Option<Value>,
}

impl Connection {
    /// Makes a call whose answer must hold a result.
    pub(super) async fn ask<T: DeserializeOwned>(
        &self,
        call: &Call,
    ) -> Result<Answer<T>, ApiError> {
        let Answer {
            value,
            audit_log_id,
        } = self.send(call).await?;
        match value {
            Some(value) => Ok(Answer {
                value,
                audit_log_id,
            }),
            None => Err(self.unexpected(call, "an envelope without a result", audit_log_id)),
        }
    }

    /// Makes a call, repeated where that is safe, and takes an answer without a result for a good one.
    pub(super) async fn send<T: DeserializeOwned>(
        &self,
        call: &Call,
    ) -> Result<Answer<Option<T>>, ApiError> {
        let mut attempt = 1;
        let mut ambiguous = false;
        loop {
            let mut error = match self.attempt(call).await {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            ambiguous |= error.is_ambiguous();
            if ambiguous {
                error = error.after_an_ambiguous_attempt();
            }
            let Some(wait) = self.wait_before_repeating(call.operation, attempt, &error) else {
                return Err(error);
            };
            if *error.kind() == ErrorKind::RateLimited {
                self.hold_everyone_back(Some(wait));
            } else {
                (self.parts().observer)(&Event::Retrying {
                    operation: call.operation,
                    path: call.path.clone(),
                    attempt,
                    attempts: self.parts().retry.attempts.get(),
                    wait,
                    error: error.to_string(),
                });
                tokio::time::sleep(wait).await;
            }
            attempt += 1;
        }
    }

    /// How long to wait before a failed call is sent again; `None` if it should not be.
    fn wait_before_repeating(
        &self,
        operation: Operation,
        attempt: u32,
        error: &ApiError,
    ) -> Option<Duration> {
        let mut counters = self.counted();
        let rate_limited = *error.kind() == ErrorKind::RateLimited;
        if rate_limited {
            counters.rate_limited += 1;
        }
        // The whole run pauses after a 429, so those repeats are no storm and need no cap of their own.
        if !retry::is_repeatable(operation, error.kind())
            || !(rate_limited || retry::run_may_repeat(&counters))
        {
            return None;
        }
        let mut random = self
            .parts()
            .random
            .lock()
            .expect("nothing panics while it holds the dice");
        let wait = self
            .parts()
            .retry
            .wait(attempt, error.retry_after(), &mut random)?;
        if !rate_limited {
            counters.retries += 1;
        }
        Some(wait)
    }

    fn hold_everyone_back(&self, wait: Option<Duration>) {
        if let Some(wait) = wait.filter(|wait| *wait <= self.parts().retry.longest_retry_after) {
            self.parts().budget.pause(wait);
        }
    }

    /// Sends a call once, as soon as the rate budget allows.
    async fn attempt<T: DeserializeOwned>(
        &self,
        call: &Call,
    ) -> Result<Answer<Option<T>>, ApiError> {
        let request = self
            .request(call)
            .map_err(|error| self.transport_error(call, error))?;
        let permit = self
            .parts()
            .budget
            .admit(|wait, reason| self.tell_wait(wait, reason))
            .await;
        self.count_request(permit.held_up);
        let sent = Instant::now();
        let answer = self.parts().transport.exchange(request).await;
        let answer = answer.map_err(|error| {
            tracing::debug!(method = %call.operation.method(), path = call.path, %error, "not answered");
            self.transport_error(call, error)
        })?;
        let limits = RateHeaders::read(answer.headers());
        permit.learn(&limits);
        self.remember(Signs::read(answer.headers(), &limits));
        if answer.status() == StatusCode::TOO_MANY_REQUESTS {
            // All other calls would run into the same refusal, so they wait too, before the next one is admitted.
            self.hold_everyone_back(limits.retry_after);
        }
        drop(permit);
        tracing::debug!(
            method = %call.operation.method(),
            path = call.path,
            status = answer.status().as_u16(),
            milliseconds = sent.elapsed().as_millis(),
            "answered"
        );
        let audit_log_id = audit_log_id(answer.headers());
        match envelope::open(call.operation, &answer, |text| {
            self.parts().credentials.redact(text)
        }) {
            Ok(value) => Ok(Answer {
                value,
                audit_log_id,
            }),
            Err(fault) => Err(ApiError::new(Details {
                messages: fault.messages,
                status: Some(answer.status()),
                audit_log_id,
                retry_after: limits.retry_after,
                ..self.details(call, fault.kind)
            })),
        }
    }

    fn tell_wait(&self, wait: Duration, reason: WaitReason) {
        self.counted().waits += 1;
        (self.parts().observer)(&Event::Waiting { wait, reason });
    }

    fn count_request(&self, held_up: Duration) {
        let mut counters = self.counted();
        counters.requests += 1;
        counters.waited += held_up;
    }

    /// There is no such thing, and no call is needed to know it.
    pub(super) fn not_found(&self, call: &Call) -> ApiError {
        ApiError::new(self.details(call, ErrorKind::NotFound))
    }

    /// An envelope in good order that does not hold what was asked for.
    pub(super) fn unexpected(
        &self,
        call: &Call,
        problem: impl Into<String>,
        audit_log_id: Option<String>,
    ) -> ApiError {
        let kind = ErrorKind::Unexpected {
            problem: problem.into(),
            excerpt: None,
        };
        ApiError::new(Details {
            status: Some(StatusCode::OK),
            audit_log_id,
            ..self.details(call, kind)
        })
    }

    fn request(&self, call: &Call) -> Result<Request<Bytes>, TransportError> {
        let mut request = Request::builder()
            .method(call.operation.method())
            .uri(self.parts().base_url.join(&call.path))
            .header(ACCEPT, "application/json")
            .header(USER_AGENT, concat!("riskform/", env!("CARGO_PKG_VERSION")));
        let body = match &call.body {
            Some(body) => {
                request = request.header(CONTENT_TYPE, "application/json");
                Bytes::from(body.to_string())
            }
            None => Bytes::new(),
        };
        let mut request = request.body(body).map_err(|error| TransportError {
            failure: TransportFailure::Setup,
            reach: Reach::Never,
            detail: error.to_string(),
        })?;
        self.parts().credentials.authorize(request.headers_mut());
        Ok(request)
    }

    fn transport_error(&self, call: &Call, error: TransportError) -> ApiError {
        let TransportError {
            failure,
            reach,
            detail,
        } = error;
        let kind = ErrorKind::Transport {
            failure,
            reach,
            detail: self.parts().credentials.redact(&detail),
        };
        ApiError::new(self.details(call, kind))
    }

    fn details(&self, call: &Call, kind: ErrorKind) -> Details {
        Details {
            operation: call.operation,
            base_url: self.parts().base_url.clone(),
            path: call.path.clone(),
            kind,
            status: None,
            messages: Vec::new(),
            audit_log_id: None,
            retry_after: None,
            earlier_ambiguous: false,
        }
    }
}

fn audit_log_id(headers: &HeaderMap) -> Option<String> {
    headers
        .get("cf-auditlog-id")
        .and_then(|id| id.to_str().ok())
        .map(str::to_owned)
}
