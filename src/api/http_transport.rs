//! The network transport: a reqwest client that uses the system's certificates and proxy and does not follow redirects.

use std::fmt;
use std::io;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::uri::Scheme;
use http::{Request, Response};
use reqwest::{Certificate, Client};

use super::transport_error::{
    Delivery, MAX_RESPONSE_BYTES, TransportError, TransportErrorKind, is_io, root_cause,
};

/// Settings of the network transport.
#[derive(Clone, Debug)]
pub struct NetworkSettings {
    /// Maximum time to connect: DNS, TCP and TLS together.
    pub connect_timeout: Duration,
    /// Timeout per request, until the response is complete.
    pub timeout: Duration,
    /// CA certificates to trust in addition to the system's.
    pub ca_bundle: Option<CaBundle>,
}

impl Default for NetworkSettings {
    fn default() -> Self {
        NetworkSettings {
            connect_timeout: Duration::from_secs(10),
            timeout: Duration::from_secs(30),
            ca_bundle: None,
        }
    }
}

/// CA certificates.
#[derive(Clone)]
pub struct CaBundle(Vec<Certificate>);

impl CaBundle {
    /// Parses all certificates of a PEM text.
    pub fn from_pem(pem: &[u8]) -> Result<Self, CaBundleError> {
        match Certificate::from_pem_bundle(pem) {
            Ok(certificates) if certificates.is_empty() => Err(CaBundleError::Empty),
            Ok(certificates) => Ok(CaBundle(certificates)),
            Err(error) => Err(CaBundleError::Malformed(root_cause(&error))),
        }
    }
}

impl fmt::Debug for CaBundle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CaBundle({} certificates)", self.0.len())
    }
}

/// An invalid CA bundle.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CaBundleError {
    /// No certificate found.
    #[error("no PEM certificate found (expected -----BEGIN CERTIFICATE-----)")]
    Empty,
    /// A certificate cannot be parsed.
    #[error("invalid certificate: {0}")]
    Malformed(String),
}

/// HTTP clients, created on the first request.
#[derive(Clone)]
pub(super) struct HttpTransport(Arc<HttpClients>);

struct HttpClients {
    settings: NetworkSettings,
    /// For https: uses the system's proxy if one is set.
    proxied: OnceLock<Result<Client, TransportError>>,
    /// For plain http, which is allowed for loopback only: a proxy would see the credentials.
    direct: OnceLock<Result<Client, TransportError>>,
}

impl HttpTransport {
    pub(super) fn new(settings: NetworkSettings) -> Self {
        HttpTransport(Arc::new(HttpClients {
            settings,
            proxied: OnceLock::new(),
            direct: OnceLock::new(),
        }))
    }

    pub(super) async fn exchange(
        &self,
        request: Request<Bytes>,
    ) -> Result<Response<Bytes>, TransportError> {
        let client = self.client(request.uri().scheme())?;
        let request = request.try_into().map_err(TransportError::reqwest)?;
        let mut answer = client
            .execute(request)
            .await
            .map_err(TransportError::reqwest)?;
        // Check the announced size before reading the body, and the actual size while decompressing.
        let mut expected = answer.content_length().unwrap_or(0);
        let mut body = BytesMut::new();
        loop {
            if expected > MAX_RESPONSE_BYTES as u64 {
                return Err(TransportError::too_large());
            }
            let Some(chunk) = answer.chunk().await.map_err(TransportError::reqwest)? else {
                break;
            };
            expected = (body.len() + chunk.len()) as u64;
            body.extend_from_slice(&chunk);
        }
        let mut whole = Response::new(body.freeze());
        *whole.status_mut() = answer.status();
        *whole.headers_mut() = std::mem::take(answer.headers_mut());
        Ok(whole)
    }

    fn client(&self, scheme: Option<&Scheme>) -> Result<Client, TransportError> {
        let HttpClients {
            settings,
            proxied,
            direct,
        } = &*self.0;
        if scheme == Some(&Scheme::HTTP) {
            direct
                .get_or_init(|| build(settings, ProxyMode::Direct))
                .clone()
        } else {
            proxied
                .get_or_init(|| build(settings, ProxyMode::SystemProxy))
                .clone()
        }
    }
}

enum ProxyMode {
    Direct,
    SystemProxy,
}

fn build(settings: &NetworkSettings, route: ProxyMode) -> Result<Client, TransportError> {
    let NetworkSettings {
        connect_timeout,
        // Enforced by `Transport` for both kinds of transport.
        timeout: _,
        ca_bundle,
    } = settings;
    let builder = Client::builder()
        .gzip(true)
        .connect_timeout(*connect_timeout)
        // A redirect would send the credentials to a URL chosen by the response.
        .redirect(reqwest::redirect::Policy::none());
    let builder = match (route, ca_bundle) {
        // No TLS on loopback, and loading the system's certificates takes longer than a request.
        (ProxyMode::Direct, _) => builder.no_proxy().tls_certs_only([]),
        (ProxyMode::SystemProxy, None) => builder,
        (ProxyMode::SystemProxy, Some(CaBundle(certificates))) => {
            builder.tls_certs_merge(certificates.iter().cloned())
        }
    };
    builder.build().map_err(TransportError::reqwest)
}

impl TransportError {
    pub(super) fn reqwest(error: reqwest::Error) -> Self {
        // The caller adds the URL to the message.
        let error = error.without_url();
        let (failure, reach) = if error.is_builder() {
            (TransportErrorKind::ClientBuild, Delivery::NotDelivered)
        } else if error.is_connect() && error.is_timeout() {
            (TransportErrorKind::Timeout, Delivery::NotDelivered)
        } else if error.is_connect() && is_io(&error, io::ErrorKind::InvalidData) {
            // rustls reports certificate errors as invalid data.
            (TransportErrorKind::Tls, Delivery::NotDelivered)
        } else if error.is_connect() {
            (TransportErrorKind::Connect, Delivery::NotDelivered)
        } else if error.is_timeout() {
            (TransportErrorKind::Timeout, Delivery::MaybeDelivered)
        } else {
            (
                TransportErrorKind::ConnectionClosed,
                Delivery::MaybeDelivered,
            )
        };
        TransportError {
            failure,
            delivery: reach,
            detail: root_cause(&error),
        }
    }
}
