//! The Cloudflare API client: endpoints, envelopes, errors, retries and rate limiting.
//!
//! A [`Client`] consists of a [`Transport`] (the network or an in-process tower service), a [`BaseUrl`] and [`Credentials`]. It provides a
//! [`Reader`], which cannot write, and a [`Writer`]. Every request returns an [`ApiResponse`] or an [`ApiError`]. [`ClientOptions`] set retries
//! and rate; delays are reported as [`ClientEvent`]s and counted. A [`CancellationToken`] ends every wait.
//!
//! The module does not print, plan or read the environment, and does not depend on the simulated API.

mod base_url;
mod cancellation;
mod client;
mod context;
mod credentials;
mod endpoint;
mod envelope;
mod error;
mod event;
mod http_transport;
mod pages;
mod proxy;
mod rate_limiter;
mod reader;
mod response_metadata;
mod retry;
mod transport;
mod transport_error;
mod writer;

pub use base_url::{BaseUrl, ParseBaseUrlError};
pub use cancellation::{CancellationToken, Cancelled};
pub use client::{
    ApiResponse, Attempts, Client, ClientOptions, NoPermit, Observer, RetryDecision, SendPermit,
};
pub use context::Providers;
pub use credentials::{Credentials, CredentialsError};
pub use endpoint::{Endpoint, Permission};
pub use error::{ApiError, ApiMessage, ErrorKind, MessageSource};
pub use event::{ClientEvent, RequestStats, WaitReason};
pub use http_transport::{CaBundle, CaBundleError, NetworkSettings};
pub use proxy::Proxy;
pub use rate_limiter::{RatePolicy, RateSettings, Remaining};
pub use reader::{Reader, TokenStatus, VerifiedToken};
pub use response_metadata::{RequestIds, ResponseMetadata};
pub use retry::RetryPolicy;
pub use transport::{BoxError, Transport};
pub use transport_error::{Delivery, TransportError, TransportErrorKind};
pub use writer::Writer;
