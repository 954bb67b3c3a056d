//! How a request reaches a server and its answer comes back: over the network, or in-process.
//!
//! Knows nothing of Cloudflare: no paths, no credentials, no envelope. Whatever goes wrong is a [`TransportError`], and the one
//! thing a caller must know about it is whether the request may have been carried out.

use std::error::Error;
use std::fmt;
use std::io;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use tower::util::BoxCloneSyncService;
use tower::{Service, ServiceExt};

use super::network::{Network, NetworkSettings};

/// No answer may be larger, after decompression. The largest real one, the users of a big account, is far below it.
pub(super) const LARGEST_ANSWER: usize = 256 * 1024 * 1024;

/// One way to exchange a request for an answer, cheap to clone and shared by everything that calls.
#[derive(Clone)]
pub struct Transport {
    exchange: BoxCloneSyncService<Request<Bytes>, Response<Bytes>, TransportError>,
    timeout: Duration,
}

impl Transport {
    /// Calls over the network. Nothing is built before the first request, so that commands that never call pay nothing.
    pub fn network(settings: NetworkSettings) -> Self {
        let timeout = settings.timeout;
        let network = Network::new(settings);
        let exchange = tower::service_fn(move |request| {
            let network = network.clone();
            async move { network.exchange(request).await }
        });
        Transport {
            exchange: BoxCloneSyncService::new(exchange),
            timeout,
        }
    }

    /// Calls a service within this process, such as an axum `Router`. `timeout` is for one exchange, on tokio's clock.
    ///
    /// A service that plays a broken network answers with an [`io::Error`]: `ConnectionRefused` stands for a server that was never
    /// reached, any other one (also from the answer's body) for a connection that closed under the request.
    pub fn in_process<S, B>(service: S, timeout: Duration) -> Self
    where
        S: Service<Request<Full<Bytes>>, Response = Response<B>> + Clone + Send + Sync + 'static,
        S::Error: Into<BoxError>,
        S::Future: Send + 'static,
        B: BodyExt<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        let exchange = tower::service_fn(move |request: Request<Bytes>| {
            let service = service.clone();
            async move {
                let answer = service
                    .oneshot(request.map(Full::new))
                    .await
                    .map_err(|error| TransportError::in_process(&*error.into()))?;
                let (parts, body) = answer.into_parts();
                let body = Limited::new(body, LARGEST_ANSWER)
                    .collect()
                    .await
                    .map_err(|error| TransportError::in_process(&*error))?;
                Ok(Response::from_parts(parts, body.to_bytes()))
            }
        });
        Transport {
            exchange: BoxCloneSyncService::new(exchange),
            timeout,
        }
    }

    /// Sends one request and waits for the whole answer, no longer than the timeout.
    pub async fn exchange(
        &self,
        request: Request<Bytes>,
    ) -> Result<Response<Bytes>, TransportError> {
        tokio::time::timeout(self.timeout, self.exchange.clone().oneshot(request))
            .await
            .unwrap_or_else(|_| {
                Err(TransportError {
                    failure: TransportFailure::Timeout,
                    reach: Reach::Possible,
                    detail: format!("no whole answer within {:?}", self.timeout),
                })
            })
    }
}

impl fmt::Debug for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Transport")
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}

/// Any error that can cross a thread, as tower's services have it.
pub type BoxError = Box<dyn Error + Send + Sync>;

/// An exchange that brought no whole answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{failure}: {detail}")]
pub struct TransportError {
    /// What went wrong.
    pub failure: TransportFailure,
    /// Whether the server may have seen the request.
    pub reach: Reach,
    /// What the layers below say about it.
    pub detail: String,
}

/// What went wrong with an exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TransportFailure {
    /// The client itself could not be built.
    Setup,
    /// No connection came about: no such host, refused, a proxy that would not.
    Connect,
    /// The server's certificate or its TLS was not accepted.
    Tls,
    /// It took too long.
    Timeout,
    /// The connection broke before the answer was whole, or its encoding was broken.
    Closed,
    /// The answer was larger than any real one.
    TooLarge,
}

impl fmt::Display for TransportFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            TransportFailure::Setup => "the HTTP client could not be built",
            TransportFailure::Connect => "could not connect",
            TransportFailure::Tls => "no trusted TLS connection",
            TransportFailure::Timeout => "timed out",
            TransportFailure::Closed => "the connection broke",
            TransportFailure::TooLarge => "the answer is too large",
        })
    }
}

/// Whether a request that brought no answer may have reached the server and been carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// It provably never arrived: repeating it is safe, whatever it does.
    Never,
    /// It may have been carried out: the outcome is ambiguous.
    Possible,
}

impl TransportError {
    fn in_process(error: &(dyn Error + 'static)) -> Self {
        let (failure, reach) = if is_io(error, io::ErrorKind::ConnectionRefused) {
            (TransportFailure::Connect, Reach::Never)
        } else if chain(error).any(|error| error.is::<LengthLimitError>()) {
            (TransportFailure::TooLarge, Reach::Possible)
        } else {
            (TransportFailure::Closed, Reach::Possible)
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
