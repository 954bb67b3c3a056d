//! How a request reaches a server and its answer comes back: over the network, or in-process.
//!
//! Knows nothing of Cloudflare: no paths, no credentials, no envelope. Whatever goes wrong is a [`TransportError`], and the one
//! thing a caller must know about it is whether the request may have been carried out.

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

    /// Calls a service within this process, such as an axum `Router`. `timeout` is for one exchange, on tokio's clock.
    ///
    /// A service that plays a broken network answers with an [`io::Error`](std::io::Error): `ConnectionRefused` stands for a server that was never
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

    /// Sends one request and waits for the whole answer, no longer than the timeout.
    pub async fn exchange(
        &self,
        request: Request<Bytes>,
    ) -> Result<Response<Bytes>, TransportError> {
        tokio::time::timeout(self.timeout, self.exchange.clone().oneshot(request))
            .await
            .unwrap_or_else(|_| {
                Err(TransportError {
                    failure: TransportErrorKind::Timeout,
                    reach: Delivery::MaybeDelivered,
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
