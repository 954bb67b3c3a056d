//! The Cloudflare API client: endpoints, envelopes, errors, retries and rate limiting.
//!
//! A [`Client`] consists of a [`Transport`] (the network or an in-process tower service), a [`BaseUrl`] and [`Credentials`]. It provides a
//! [`Reader`], which cannot write, and a [`Writer`]. Every request returns an [`ApiResponse`] or an [`ApiError`]. [`ClientOptions`] set retries
//! and rate; delays are reported as [`ClientEvent`]s and counted. A [`CancellationToken`] ends every wait.
//!
//! The module does not print, plan or read the environment, and does not depend on the simulated API.

mod base_url;
mod client;
mod context;
mod credentials;
mod endpoint;
mod envelope;
mod error;
mod pages;
mod proxy;
mod rate_limiter;
mod reader;
mod retry;
mod transport;
mod writer;

pub use base_url::BaseUrl;
pub use client::{ApiResponse, CancellationToken, Client, ClientEvent, ClientOptions, NoPermit};
pub use context::Providers;
pub use credentials::{Credentials, CredentialsError};
pub use endpoint::{Endpoint, Permission};
pub use error::{ApiError, ApiMessage, ErrorDetails, ErrorKind, RequestIds};
pub use proxy::Proxy;
pub use rate_limiter::{Attempts, ResponseMetadata, SendPermit};
pub use reader::{Reader, TokenStatus, VerifiedToken};
pub use retry::{RequestStats, RetryPolicy};
pub use transport::{
    BoxError, Certificate, NetworkSettings, Transport, TransportError, TransportErrorKind,
    parse_certificates,
};
pub use writer::{WriteRequest, Writer};
