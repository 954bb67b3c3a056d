//! Sends requests to a server, over the network or in-process.
//!
//! Independent of Cloudflare: no paths, credentials or envelopes. The HTTP client uses the system's certificates and proxy, and does
//! not follow redirects or retry requests. A [`TransportError`] records if the request may have been delivered.

use std::error::Error;
use std::io;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use http::uri::Scheme;
use http::{Request, Response, Uri};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use reqwest::Client;
use tokio::sync::OnceCell;
use tower::util::BoxCloneSyncService;
use tower::{Service, ServiceExt};

use super::proxy::Proxy;

pub use reqwest::Certificate;

/// Maximum size of a response after decompression. The largest expected one, the users of a big account, is far smaller.
const MAX_RESPONSE_BYTES: usize = 32 * 1024 * 1024;

/// Sends requests and returns responses. Cheap to clone.
#[derive(Clone)]
pub struct Transport {
    exchange: BoxCloneSyncService<Request<Bytes>, Response<Bytes>, TransportError>,
    timeout: Duration,
}

impl Transport {
    /// Creates a network transport. The HTTP client is created on the first request, so offline commands start faster.
    pub fn network(settings: NetworkSettings) -> Self {
        let timeout = settings.timeout;
        let network = Arc::new(HttpTransport {
            settings,
            client: OnceLock::new(),
            refusal: OnceCell::new(),
        });
        let exchange = tower::service_fn(move |request| {
            let network = Arc::clone(&network);
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
            let answer = service.clone().oneshot(request.map(Full::new));
            async move { complete(answer.await.map_err(Into::into)?).await }
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
        let exchange = self.exchange.clone().oneshot(request);
        let answer = tokio::time::timeout(self.timeout, exchange).await;
        answer.unwrap_or_else(|_| {
            let detail = format!("no complete response within {:?}", self.timeout);
            Err(TransportError::new(TransportErrorKind::Timeout, detail))
        })
    }
}

/// Error type of tower services.
pub type BoxError = Box<dyn Error + Send + Sync>;

/// Reads a response completely.
async fn complete<B: BodyExt<Data = Bytes>>(
    answer: Response<B>,
) -> Result<Response<Bytes>, TransportError>
where
    B::Error: Into<BoxError>,
{
    let (parts, body) = answer.into_parts();
    if body.size_hint().lower() > MAX_RESPONSE_BYTES as u64 {
        return Err(TransportError::too_large());
    }
    let body = Limited::new(body, MAX_RESPONSE_BYTES).collect().await?;
    Ok(Response::from_parts(parts, body.to_bytes()))
}

/// Settings of the network transport.
#[derive(Clone, Debug)]
pub struct NetworkSettings {
    /// Maximum time to connect: DNS, TCP and TLS together.
    pub connect_timeout: Duration,
    /// Timeout per request, until the response is complete.
    pub timeout: Duration,
    /// CA certificates to trust in addition to the system's.
    pub ca_certificates: Vec<Certificate>,
    /// Proxy for https.
    pub proxy: Option<Proxy>,
    /// Environment variable that replaces the system's CA certificates, for error messages.
    pub certificates_from: Option<&'static str>,
}

impl Default for NetworkSettings {
    fn default() -> Self {
        NetworkSettings {
            connect_timeout: Duration::from_secs(10),
            timeout: Duration::from_secs(30),
            ca_certificates: Vec::new(),
            proxy: None,
            certificates_from: None,
        }
    }
}

/// Parses a PEM block with one certificate.
fn certificate(block: &[u8]) -> Result<Certificate, String> {
    let invalid = |error: reqwest::Error| root_cause(&error);
    let mut parsed = Certificate::from_pem_bundle(block).map_err(invalid)?;
    let certificate = parsed.pop().ok_or("not a CERTIFICATE block")?;
    // Only a client parses the content.
    let client = Client::builder().tls_certs_only([certificate.clone()]);
    client.no_proxy().build().map_err(invalid)?;
    Ok(certificate)
}

/// Parses all certificates of a PEM text. Blocks other than certificates are ignored.
pub fn parse_certificates(pem: &[u8]) -> Result<Vec<Certificate>, String> {
    let text = String::from_utf8_lossy(pem);
    let starts = text.match_indices("-----BEGIN ").map(|(at, _)| at);
    let starts: Vec<usize> = starts.collect();
    let ends = starts.iter().skip(1).copied().chain([text.len()]);
    let mut certificates = Vec::new();
    for (start, end) in starts.iter().copied().zip(ends) {
        let block = &text[start..end];
        let first = block.lines().next().unwrap_or_default();
        if !first.contains("CERTIFICATE-----") {
            continue;
        }
        let parsed = match block.contains("-----END ") {
            true => certificate(block.as_bytes()),
            false => Err("no -----END CERTIFICATE----- line".to_owned()),
        };
        let certificate = parsed.map_err(|problem| {
            let line = text[..start].matches('\n').count() + 1;
            let block = certificates.len() + 1;
            format!("invalid certificate in block {block} (line {line}): {problem}")
        })?;
        certificates.push(certificate);
    }
    match certificates.is_empty() {
        true => Err("no PEM certificate found (expected -----BEGIN CERTIFICATE-----)".to_owned()),
        false => Ok(certificates),
    }
}

/// An HTTP client, created on the first request.
struct HttpTransport {
    settings: NetworkSettings,
    client: OnceLock<Result<Client, TransportError>>,
    /// Status with which the proxy refused CONNECT, once it did.
    refusal: OnceCell<Option<u16>>,
}

impl HttpTransport {
    async fn exchange(&self, request: Request<Bytes>) -> Result<Response<Bytes>, TransportError> {
        let uri = request.uri().clone();
        let client = self
            .client
            .get_or_init(|| build(&self.settings, &uri))
            .clone()?;
        let request = request.try_into().map_err(TransportError::reqwest)?;
        match client.execute(request).await {
            Ok(answer) => complete(Response::from(answer)).await,
            Err(error) => Err(self.explained(TransportError::reqwest(error), &uri).await),
        }
    }

    /// Adds the proxy or the variable that explains an error.
    async fn explained(&self, mut error: TransportError, uri: &Uri) -> TransportError {
        use TransportErrorKind::{Connect, ConnectTimeout, Timeout};
        let settings = &self.settings;
        let is_used = |proxy: &&Proxy| proxy.is_used_for(&uri.to_string());
        match (error.failure, settings.proxy.as_ref().filter(is_used)) {
            (TransportErrorKind::Tls, _) => {
                error.with_certificates_from(settings.certificates_from)
            }
            (TransportErrorKind::Connect, Some(proxy)) if error.detail.starts_with(TUNNEL) => {
                let probe = proxy.connect_status(uri, settings.connect_timeout);
                let status = *self.refusal.get_or_init(|| probe).await;
                if status.is_none_or(|status| status < 500) {
                    error.failure = TransportErrorKind::ProxyRefused;
                }
                error.detail = match status {
                    Some(status) => format!("{proxy} answered CONNECT with status {status}"),
                    None => format!("{proxy}: {}", error.detail),
                };
                error
            }
            (Connect | ConnectTimeout | Timeout, Some(proxy)) => {
                error.detail = format!("through {proxy}: {}", error.detail);
                error
            }
            _ => error,
        }
    }
}

/// Start of the HTTP client's message for a CONNECT that the proxy refused.
const TUNNEL: &str = "tunnel error: ";

/// Returns the certificates of the system's bundle, if it has one. The HTTP client would also read the directory that holds the same
/// certificates in separate files, which takes longer than a request.
#[cfg(target_os = "linux")]
fn system_bundle() -> Vec<Certificate> {
    let Some(file) = openssl_probe::probe().cert_file else {
        return Vec::new();
    };
    let found = rustls_native_certs::load_certs_from_paths(Some(&file), None);
    let usable = found.certs.into_iter().filter(|certificate| {
        let mut roots = rustls::RootCertStore::empty();
        roots.add(certificate.clone()).is_ok()
    });
    usable
        .filter_map(|certificate| Certificate::from_der(&certificate).ok())
        .collect()
}

/// The platform's verifier reads the system's certificates.
#[cfg(not(target_os = "linux"))]
fn system_bundle() -> Vec<Certificate> {
    Vec::new()
}

/// Creates the client for a base URL: https, or plain http to a loopback address.
fn build(settings: &NetworkSettings, base_url: &Uri) -> Result<Client, TransportError> {
    let mut builder = Client::builder()
        // It repeats even a POST that the server may have performed.
        .retry(reqwest::retry::never())
        .gzip(true)
        .connect_timeout(settings.connect_timeout)
        // A redirect would send the credentials to a URL chosen by the response.
        .redirect(reqwest::redirect::Policy::none());
    if base_url.scheme() == Some(&Scheme::HTTP) {
        // A proxy would see the credentials. Without TLS, loading the system's certificates takes longer than a request.
        let builder = builder.no_proxy().tls_certs_only([]);
        return builder.build().map_err(TransportError::reqwest);
    }
    if let Some(proxy) = &settings.proxy {
        builder = builder.proxy(proxy.client_proxy().map_err(TransportError::reqwest)?);
    }
    let added = settings.ca_certificates.iter().cloned();
    let bundle = match settings.certificates_from {
        Some(_variable) => Vec::new(),
        None => system_bundle(),
    };
    builder = match bundle.is_empty() {
        true => builder.tls_certs_merge(added),
        false => builder.tls_certs_only(bundle.into_iter().chain(added)),
    };
    let client = builder.build().map_err(TransportError::reqwest);
    client.map_err(|error| error.with_certificates_from(settings.certificates_from))
}

/// A request without a complete response.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{failure}: {detail}")]
pub struct TransportError {
    pub failure: TransportErrorKind,
    /// Message of the underlying error.
    pub detail: String,
}

/// Kind of a transport error.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TransportErrorKind {
    /// The HTTP client cannot be created.
    #[error("cannot create the HTTP client")]
    ClientBuild,
    /// Failed connection: unknown host, refused by the host or by a proxy.
    #[error("cannot connect")]
    Connect,
    /// The proxy refused to connect to the server.
    #[error("proxy refused the connection")]
    ProxyRefused,
    /// Server certificate or TLS version not accepted.
    #[error("TLS certificate not trusted")]
    Tls,
    /// The timeout expired while connecting.
    #[error("timed out")]
    ConnectTimeout,
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
        matches!(self, Connect | ConnectTimeout | Timeout | ConnectionClosed)
    }

    /// Returns true if the server may have received the request and executed it. Otherwise, a retry is always safe.
    pub fn may_be_delivered(self) -> bool {
        use TransportErrorKind::*;
        matches!(self, Timeout | ConnectionClosed | TooLarge)
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
            TransportErrorKind::ConnectTimeout | TransportErrorKind::Timeout => {
                "try again or use a longer --timeout"
            }
            TransportErrorKind::ConnectionClosed => "try again",
            TransportErrorKind::ClientBuild | TransportErrorKind::TooLarge => return None,
        })
    }
}

impl TransportError {
    pub(super) fn new(failure: TransportErrorKind, detail: impl Into<String>) -> Self {
        let detail = detail.into();
        TransportError { failure, detail }
    }

    fn too_large() -> Self {
        let detail = format!("more than {} MiB", MAX_RESPONSE_BYTES >> 20);
        TransportError::new(TransportErrorKind::TooLarge, detail)
    }

    fn with_certificates_from(mut self, variable: Option<&str>) -> Self {
        if let Some(variable) = variable {
            self.detail = format!("{} (CA certificates from {variable})", self.detail);
        }
        self
    }

    fn reqwest(error: reqwest::Error) -> Self {
        TransportError::from(BoxError::from(error))
    }
}

impl From<BoxError> for TransportError {
    fn from(error: BoxError) -> Self {
        use TransportErrorKind::*;
        if chain(&*error).any(|error| error.is::<LengthLimitError>()) {
            return TransportError::too_large();
        }
        match error.downcast::<reqwest::Error>() {
            Ok(error) => {
                // The caller adds the URL to the message.
                let error = error.without_url();
                let failure = match (error.is_connect(), error.is_timeout()) {
                    _ if error.is_builder() => ClientBuild,
                    (true, true) => ConnectTimeout,
                    (false, true) => Timeout,
                    (false, false) => ConnectionClosed,
                    // rustls reports certificate errors as invalid data.
                    (true, false) if is_io(&error, io::ErrorKind::InvalidData) => Tls,
                    (true, false) => Connect,
                };
                TransportError::new(failure, root_cause(&error))
            }
            Err(error) => {
                let failure = match is_io(&*error, io::ErrorKind::ConnectionRefused) {
                    true => Connect,
                    false => ConnectionClosed,
                };
                TransportError::new(failure, root_cause(&*error))
            }
        }
    }
}

/// Returns true if the chain of causes contains an [`io::Error`] of this kind.
fn is_io(error: &(dyn Error + 'static), kind: io::ErrorKind) -> bool {
    chain(error)
        .filter_map(<dyn Error>::downcast_ref::<io::Error>)
        .any(|error| error.kind() == kind)
}

/// Returns the message of the innermost cause. The outer ones only name the layer.
fn root_cause(error: &(dyn Error + 'static)) -> String {
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
