//! The Cloudflare client over a transport: endpoints, envelope, errors.
//!
//! A [`Connection`] joins a [`Transport`] (the network, or any tower service within the process), a [`BaseUrl`] and
//! [`Credentials`]. It makes a [`Reader`], which cannot write, and a [`Writer`]. Every call brings an [`Answer`] or an [`ApiError`].
//!
//! Deliberately absent: printing, planning, the environment, and any knowledge of the simulated API.

mod base_url;
mod connection;
mod credentials;
mod envelope;
mod error;
mod network;
mod operation;
mod rate_headers;
mod reader;
mod transport;
mod writer;

pub use base_url::{BaseUrl, InvalidBaseUrl};
pub use connection::{Answer, Connection};
pub use credentials::{Credentials, InvalidCredentials};
pub use error::{ApiError, ApiMessage, ErrorKind};
pub use network::{CaBundle, InvalidCaBundle, NetworkSettings};
pub use operation::{Operation, Permission};
pub use rate_headers::{RateHeaders, RatePolicy, Remaining};
pub use reader::Reader;
pub use transport::{BoxError, Reach, Transport, TransportError, TransportFailure};
pub use writer::Writer;
