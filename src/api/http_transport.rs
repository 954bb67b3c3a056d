//! The network transport: a reqwest client that uses the system's certificates and proxy, and neither follows redirects nor repeats requests.

use std::fmt;
use std::io;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::uri::Scheme;
use http::{Request, Response, Uri};
use reqwest::{Certificate, Client};
use tokio::sync::OnceCell;

use super::proxy::Proxy;
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
            ca_bundle: None,
            proxy: None,
            certificates_from: None,
        }
    }
}

const NO_END: &str = "no -----END CERTIFICATE----- line";

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

/// CA certificates.
#[derive(Clone)]
pub struct CaBundle(Vec<Certificate>);

impl CaBundle {
    /// Parses all certificates of a PEM text. Blocks other than certificates are ignored.
    pub fn from_pem(pem: &[u8]) -> Result<Self, CaBundleError> {
        let text = String::from_utf8_lossy(pem);
        let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
        let mut certificates = Vec::new();
        let mut start = None;
        for (number, line) in (1..).zip(text.lines()) {
            let marker = line.trim();
            let malformed = |line: usize, problem: String| CaBundleError::Malformed {
                block: certificates.len() + 1,
                line,
                problem,
            };
            if marker.starts_with("-----BEGIN ") && marker.contains("CERTIFICATE-----") {
                if let Some((begun, _)) = start {
                    return Err(malformed(begun, NO_END.to_owned()));
                }
                start = Some((number, String::new()));
            }
            let Some((begun, block)) = &mut start else {
                continue;
            };
            block.push_str(line);
            block.push('\n');
            if marker.starts_with("-----END ") {
                let certificate = certificate(block.as_bytes());
                certificates.push(certificate.map_err(|problem| malformed(*begun, problem))?);
                start = None;
            }
        }
        match start {
            Some((line, _)) => Err(CaBundleError::Malformed {
                block: certificates.len() + 1,
                line,
                problem: NO_END.to_owned(),
            }),
            None if certificates.is_empty() => Err(CaBundleError::Empty),
            None => Ok(CaBundle(certificates)),
        }
    }

    /// Returns the certificates.
    pub fn certificates(&self) -> &[Certificate] {
        &self.0
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
    #[error("invalid certificate in block {block} (line {line}): {problem}")]
    Malformed {
        /// Number of the block, from 1.
        block: usize,
        /// First line of the block.
        line: usize,
        problem: String,
    },
}

/// An HTTP client, created on the first request.
#[derive(Clone)]
pub(super) struct HttpTransport(Arc<LazyClient>);

struct LazyClient {
    settings: NetworkSettings,
    client: OnceLock<Result<Client, TransportError>>,
    /// Status with which the proxy refused CONNECT, once it did.
    refusal: OnceCell<Option<u16>>,
}

impl HttpTransport {
    pub(super) fn new(settings: NetworkSettings) -> Self {
        HttpTransport(Arc::new(LazyClient {
            settings,
            client: OnceLock::new(),
            refusal: OnceCell::new(),
        }))
    }

    pub(super) async fn exchange(
        &self,
        request: Request<Bytes>,
    ) -> Result<Response<Bytes>, TransportError> {
        let uri = request.uri().clone();
        let LazyClient {
            settings, client, ..
        } = &*self.0;
        let client = client.get_or_init(|| build(settings, &uri)).clone()?;
        let request = request.try_into().map_err(TransportError::reqwest)?;
        let mut answer = match client.execute(request).await {
            Ok(answer) => answer,
            Err(error) => return Err(self.explained(TransportError::reqwest(error), &uri).await),
        };
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

    /// Adds the proxy or the variable that explains an error.
    async fn explained(&self, mut error: TransportError, uri: &Uri) -> TransportError {
        let settings = &self.0.settings;
        let is_used = |proxy: &&Proxy| proxy.is_used_for(&uri.to_string());
        match (error.failure, settings.proxy.as_ref().filter(is_used)) {
            (TransportErrorKind::Tls, _) => {
                error.with_certificates_from(settings.certificates_from)
            }
            (TransportErrorKind::Connect, Some(proxy)) if error.detail.starts_with(TUNNEL) => {
                let probe = proxy.connect_status(uri, settings.connect_timeout);
                let status = *self.0.refusal.get_or_init(|| probe).await;
                if status.is_none_or(|status| status < 500) {
                    error.failure = TransportErrorKind::ProxyRefused;
                }
                error.detail = match status {
                    Some(status) => format!("{proxy} answered CONNECT with status {status}"),
                    None => format!("{proxy}: {}", error.detail),
                };
                error
            }
            (TransportErrorKind::Connect | TransportErrorKind::Timeout, Some(proxy)) => {
                error.detail = format!("through {proxy}: {}", error.detail);
                error
            }
            _ => error,
        }
    }
}

/// Start of the HTTP client's message for a CONNECT that the proxy refused.
const TUNNEL: &str = "tunnel error: ";

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
    if let Some(CaBundle(certificates)) = &settings.ca_bundle {
        builder = builder.tls_certs_merge(certificates.iter().cloned());
    }
    let client = builder.build().map_err(TransportError::reqwest);
    client.map_err(|error| error.with_certificates_from(settings.certificates_from))
}

impl TransportError {
    fn with_certificates_from(mut self, variable: Option<&str>) -> Self {
        if let Some(variable) = variable {
            self.detail = format!("{} (CA certificates from {variable})", self.detail);
        }
        self
    }

    pub(super) fn reqwest(error: reqwest::Error) -> Self {
        // The caller adds the URL to the message.
        let error = error.without_url();
        let may_be_delivered = !error.is_builder() && !error.is_connect();
        let failure = if error.is_builder() {
            TransportErrorKind::ClientBuild
        } else if error.is_timeout() {
            TransportErrorKind::Timeout
        } else if may_be_delivered {
            TransportErrorKind::ConnectionClosed
        } else if is_io(&error, io::ErrorKind::InvalidData) {
            // rustls reports certificate errors as invalid data.
            TransportErrorKind::Tls
        } else {
            TransportErrorKind::Connect
        };
        TransportError {
            failure,
            delivery: match may_be_delivered {
                true => Delivery::MaybeDelivered,
                false => Delivery::NotDelivered,
            },
            detail: root_cause(&error),
        }
    }
}
