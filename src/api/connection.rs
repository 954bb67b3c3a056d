//! One call: a request in the account's name, and its answer out of the envelope.

use std::sync::Arc;

use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_TYPE, HeaderMap, USER_AGENT};
use http::{Request, StatusCode};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::base_url::BaseUrl;
use super::credentials::Credentials;
use super::envelope;
use super::error::{ApiError, Details, ErrorKind};
use super::operation::Operation;
use super::rate_headers::RateHeaders;
use super::reader::Reader;
use super::transport::{Reach, Transport, TransportError, TransportFailure};
use super::writer::Writer;

/// Whom to call, how, and in whose name. Cheap to clone; every reader and writer made from it shares it.
#[derive(Clone, Debug)]
pub struct Connection(Arc<Parts>);

#[derive(Debug)]
struct Parts {
    transport: Transport,
    base_url: BaseUrl,
    credentials: Credentials,
}

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
    /// Puts the three together. Nothing is sent yet.
    pub fn new(transport: Transport, base_url: BaseUrl, credentials: Credentials) -> Self {
        Connection(Arc::new(Parts {
            transport,
            base_url,
            credentials,
        }))
    }

    /// What may only read.
    pub fn reader(&self) -> Reader {
        Reader::new(self.clone())
    }

    /// What may only write.
    pub fn writer(&self) -> Writer {
        Writer::new(self.clone())
    }

    /// Where the calls go.
    pub fn base_url(&self) -> &BaseUrl {
        &self.0.base_url
    }

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

    /// Makes a call, and takes an answer without a result for a good one.
    pub(super) async fn send<T: DeserializeOwned>(
        &self,
        call: &Call,
    ) -> Result<Answer<Option<T>>, ApiError> {
        let answer = match self.request(call) {
            Ok(request) => self.0.transport.exchange(request).await,
            Err(error) => Err(error),
        };
        let answer = answer.map_err(|error| self.transport_error(call, error))?;
        tracing::debug!(
            method = %call.operation.method(),
            path = call.path,
            status = answer.status().as_u16(),
            "answered"
        );
        let audit_log_id = audit_log_id(answer.headers());
        match envelope::open(call.operation, &answer, |text| {
            self.0.credentials.redact(text)
        }) {
            Ok(value) => Ok(Answer {
                value,
                audit_log_id,
            }),
            Err(fault) => Err(ApiError::new(Details {
                messages: fault.messages,
                status: Some(answer.status()),
                audit_log_id,
                retry_after: RateHeaders::read(answer.headers()).retry_after,
                ..self.details(call, fault.kind)
            })),
        }
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
            .uri(self.0.base_url.join(&call.path))
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
        self.0.credentials.authorize(request.headers_mut());
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
            detail: self.0.credentials.redact(&detail),
        };
        ApiError::new(self.details(call, kind))
    }

    fn details(&self, call: &Call, kind: ErrorKind) -> Details {
        Details {
            operation: call.operation,
            base_url: self.0.base_url.clone(),
            path: call.path.clone(),
            kind,
            status: None,
            messages: Vec::new(),
            audit_log_id: None,
            retry_after: None,
        }
    }
}

fn audit_log_id(headers: &HeaderMap) -> Option<String> {
    headers
        .get("cf-auditlog-id")
        .and_then(|id| id.to_str().ok())
        .map(str::to_owned)
}
