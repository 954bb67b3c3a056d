//! The network form of the transport: a reqwest client that trusts what the machine trusts and follows nobody.

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

/// How to call over the network.
#[derive(Clone, Debug)]
pub struct NetworkSettings {
    /// The longest that connecting may take: name, TCP and TLS together.
    pub connect_timeout: Duration,
    /// The longest that one exchange may take, from the first byte sent to the last one received.
    pub timeout: Duration,
    /// Certificate authorities to trust beside the machine's own.
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

/// Certificate authorities, read from a PEM text.
#[derive(Clone)]
pub struct CaBundle(Vec<Certificate>);

impl CaBundle {
    /// Reads every certificate of a PEM text.
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

/// Why a text is no bundle of certificates.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CaBundleError {
    /// No certificate in it.
    #[error(
        "no certificate in it; it should hold PEM blocks that begin with -----BEGIN CERTIFICATE-----"
    )]
    Empty,
    /// A block that can't be read.
    #[error("a certificate in it cannot be read: {0}")]
    Malformed(String),
}

/// The clients, built when the first request needs one.
#[derive(Clone)]
pub(super) struct HttpTransport(Arc<HttpClients>);

struct HttpClients {
    settings: NetworkSettings,
    /// For https: through the system's proxy if it has one.
    proxied: OnceLock<Result<Client, TransportError>>,
    /// For plain http, which only ever goes to loopback: a proxy would see the credentials.
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
        // Refused by what it claims, before anything is fetched, and by what it turns out to be, once decompressed.
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
        // The transport itself watches over the whole exchange, in both of its forms alike.
        timeout: _,
        ca_bundle,
    } = settings;
    let builder = Client::builder()
        .gzip(true)
        .connect_timeout(*connect_timeout)
        // A redirect would carry the credentials to wherever an answer says.
        .redirect(reqwest::redirect::Policy::none());
    let builder = match (route, ca_bundle) {
        // Nothing is encrypted there, and reading the machine's certificates takes longer than a request.
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
        // The caller names the URL itself.
        let error = error.without_url();
        let (failure, reach) = if error.is_builder() {
            (TransportErrorKind::ClientBuild, Delivery::NotDelivered)
        } else if error.is_connect() && error.is_timeout() {
            (TransportErrorKind::Timeout, Delivery::NotDelivered)
        } else if error.is_connect() && is_io(&error, io::ErrorKind::InvalidData) {
            // What rustls refuses arrives as invalid data.
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
            reach,
            detail: root_cause(&error),
        }
    }
}
