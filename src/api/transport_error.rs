//! Errors of the transport: a request without a complete response.

use std::error::Error;
use std::io;

use http_body_util::LengthLimitError;

/// Maximum size of a response after decompression. The largest expected one, the users of a big account, is far smaller.
pub(super) const MAX_RESPONSE_BYTES: usize = 32 * 1024 * 1024;

/// A request without a complete response.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{failure}: {detail}")]
pub struct TransportError {
    pub failure: TransportErrorKind,
    /// Whether the request may have reached the server.
    pub delivery: Delivery,
    /// Message of the underlying error.
    pub detail: String,
}

/// Kind of a transport error.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TransportErrorKind {
    /// The HTTP client cannot be created.
    #[error("cannot create the HTTP client")]
    ClientBuild,
    /// No connection: unknown host, refused by the host or by a proxy.
    #[error("cannot connect")]
    Connect,
    /// The proxy refused to connect to the server.
    #[error("proxy refused the connection")]
    ProxyRefused,
    /// Server certificate or TLS version not accepted.
    #[error("TLS certificate not trusted")]
    Tls,
    /// The timeout expired.
    #[error("timed out")]
    Timeout,
    /// The connection closed before the response was complete, or its encoding is invalid.
    #[error("connection closed")]
    ConnectionClosed,
    /// The response exceeds the maximum size.
    #[error("response too large")]
    TooLarge,
}

impl TransportErrorKind {
    /// Returns true if the same request may succeed later.
    pub(super) fn is_temporary(self) -> bool {
        use TransportErrorKind::*;
        matches!(self, Connect | Timeout | ConnectionClosed)
    }

    /// Returns a suggested fix, if there is one.
    pub(super) fn help(self) -> Option<&'static str> {
        Some(match self {
            TransportErrorKind::Connect => "check your network connection and the base URL",
            TransportErrorKind::ProxyRefused => {
                "check the proxy's address, its credentials and the hosts it allows"
            }
            TransportErrorKind::Tls => {
                "if a proxy inspects TLS, pass its CA certificate with --ca-bundle"
            }
            TransportErrorKind::Timeout => "try again or use a longer --timeout",
            TransportErrorKind::ConnectionClosed => "try again",
            TransportErrorKind::ClientBuild | TransportErrorKind::TooLarge => return None,
        })
    }
}

/// Whether a failed request may have reached the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// Certainly not received: a retry is always safe.
    NotDelivered,
    /// Possibly received and executed.
    MaybeDelivered,
}

impl TransportError {
    pub(super) fn too_large() -> Self {
        TransportError {
            failure: TransportErrorKind::TooLarge,
            delivery: Delivery::MaybeDelivered,
            detail: format!("more than {} MiB", MAX_RESPONSE_BYTES >> 20),
        }
    }

    pub(super) fn in_process(error: &(dyn Error + 'static)) -> Self {
        if chain(error).any(|error| error.is::<LengthLimitError>()) {
            return TransportError::too_large();
        }
        let (failure, delivery) = if is_io(error, io::ErrorKind::ConnectionRefused) {
            (TransportErrorKind::Connect, Delivery::NotDelivered)
        } else {
            (
                TransportErrorKind::ConnectionClosed,
                Delivery::MaybeDelivered,
            )
        };
        TransportError {
            failure,
            delivery,
            detail: root_cause(error),
        }
    }
}

/// Returns true if the chain of causes contains an [`io::Error`] of this kind.
pub(super) fn is_io(error: &(dyn Error + 'static), kind: io::ErrorKind) -> bool {
    chain(error)
        .filter_map(<dyn Error>::downcast_ref::<io::Error>)
        .any(|error| error.kind() == kind)
}

/// Returns the message of the innermost cause. The outer ones only name the layer.
pub(super) fn root_cause(error: &(dyn Error + 'static)) -> String {
    chain(error).last().unwrap_or(error).to_string()
}

/// Iterates over an error and its causes, outermost first.
fn chain<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |error: &&'a (dyn Error + 'static)| {
        // `io::Error::source` skips the error that it wraps.
        match error
            .downcast_ref::<io::Error>()
            .and_then(io::Error::get_ref)
        {
            Some(wrapped) => Some(wrapped),
            None => (*error).source(),
        }
    })
}
