//! Sends requests to a server, over the network or in-process.
//!
//! Independent of Cloudflare: no paths, credentials or envelopes. A [`TransportError`] says whether the request may have been delivered.

use std::error::Error;
use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full, Limited};
use tower::util::BoxCloneSyncService;
use tower::{Service, ServiceExt};

use super::http_transport::{HttpTransport, NetworkSettings};
use super::transport_error::{Delivery, MAX_RESPONSE_BYTES, TransportError, TransportErrorKind};

/// Sends requests and returns responses. Cheap to clone.
#[derive(Clone)]
pub struct Transport {
    exchange: BoxCloneSyncService<Request<Bytes>, Response<Bytes>, TransportError>,
    timeout: Duration,
}

impl Transport {
    /// Creates a network transport. The HTTP clients are created on the first request, so offline commands start faster.
    pub fn network(settings: NetworkSettings) -> Self {
        let timeout = settings.timeout;
        let network = HttpTransport::new(settings);
        let exchange = tower::service_fn(move |request| {
            let network = network.clone();
            async move { network.exchange(request).await }
        });
        Transport {
            exchange: BoxCloneSyncService::new(exchange),
            timeout,
        }
    }

    /// Creates a transport to a service in this process, such as an axum `Router`. `timeout` applies to one request, on tokio's clock.
    ///
    /// A service simulates a network failure by returning an [`io::Error`](std::io::Error): `ConnectionRefused` means not delivered, any other
    /// error (also from the response body) means that the connection closed during the request.
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
                let body = Limited::new(body, MAX_RESPONSE_BYTES)
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

    /// Sends one request and returns the complete response.
    ///
    /// # Errors
    /// A [`TransportError`] if no complete response arrives before the timeout.
    pub async fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, TransportError> {
        tokio::time::timeout(self.timeout, self.exchange.clone().oneshot(request))
            .await
            .unwrap_or_else(|_| {
                Err(TransportError {
                    failure: TransportErrorKind::Timeout,
                    delivery: Delivery::MaybeDelivered,
                    detail: format!("no complete response within {:?}", self.timeout),
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

/// Error type of tower services.
pub type BoxError = Box<dyn Error + Send + Sync>;
