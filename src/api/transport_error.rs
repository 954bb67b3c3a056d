//! What can go wrong between a request and its answer, whichever way they take.

use std::error::Error;
use std::fmt;
use std::io;

use http_body_util::LengthLimitError;

/// No answer may be larger, after decompression. The largest real one, the users of a big account, is far below it.
pub(super) const MAX_RESPONSE_BYTES: usize = 32 * 1024 * 1024;

/// An exchange that brought no whole answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{failure}: {detail}")]
pub struct TransportError {
    /// What went wrong.
    pub failure: TransportErrorKind,
    /// Whether the server may have seen the request.
    pub reach: Delivery,
    /// What the layers below say about it.
    pub detail: String,
}

/// What went wrong with an exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TransportErrorKind {
    /// The client itself could not be built.
    ClientBuild,
    /// No connection came about: no such host, refused, a proxy that would not.
    Connect,
    /// The server's certificate or its TLS was not accepted.
    Tls,
    /// It took too long.
    Timeout,
    /// The connection broke before the answer was whole, or its encoding was broken.
    ConnectionClosed,
    /// The answer was larger than any real one.
    TooLarge,
}

impl fmt::Display for TransportErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            TransportErrorKind::ClientBuild => "the HTTP client could not be built",
            TransportErrorKind::Connect => "could not connect",
            TransportErrorKind::Tls => "no trusted TLS connection",
            TransportErrorKind::Timeout => "timed out",
            TransportErrorKind::ConnectionClosed => "the connection broke",
            TransportErrorKind::TooLarge => "the answer is too large",
        })
    }
}

/// Whether a request that brought no answer may have reached the server and been carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// It provably never arrived: repeating it is safe, whatever it does.
    NotDelivered,
    /// It may have been carried out: the outcome is ambiguous.
    MaybeDelivered,
}

impl TransportError {
    pub(super) fn too_large() -> Self {
        TransportError {
            failure: TransportErrorKind::TooLarge,
            reach: Delivery::MaybeDelivered,
            detail: format!("more than {} MiB", MAX_RESPONSE_BYTES >> 20),
        }
    }

    pub(super) fn in_process(error: &(dyn Error + 'static)) -> Self {
        if chain(error).any(|error| error.is::<LengthLimitError>()) {
            return TransportError::too_large();
        }
        let (failure, reach) = if is_io(error, io::ErrorKind::ConnectionRefused) {
            (TransportErrorKind::Connect, Delivery::NotDelivered)
        } else {
            (
                TransportErrorKind::ConnectionClosed,
                Delivery::MaybeDelivered,
            )
        };
        TransportError {
            failure,
            reach,
            detail: root_cause(error),
        }
    }
}

/// Whether an [`io::Error`] of this kind is among the causes of an error.
pub(super) fn is_io(error: &(dyn Error + 'static), kind: io::ErrorKind) -> bool {
    chain(error)
        .filter_map(<dyn Error>::downcast_ref::<io::Error>)
        .any(|error| error.kind() == kind)
}

/// What is at the bottom of a chain of causes; the layers above only say who noticed.
pub(super) fn root_cause(error: &(dyn Error + 'static)) -> String {
    chain(error).last().unwrap_or(error).to_string()
}

/// An error and its causes, outermost first.
fn chain<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |error: &&'a (dyn Error + 'static)| {
        // An `io::Error` that wraps another error passes it over when asked for its source.
        match error
            .downcast_ref::<io::Error>()
            .and_then(io::Error::get_ref)
        {
            Some(wrapped) => Some(wrapped),
            None => (*error).source(),
        }
    })
}
