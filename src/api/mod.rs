//! The Cloudflare client over a transport: endpoints, envelope, errors, retry, rate budget.
//!
//! A [`Client`] joins a [`Transport`] (the network, or any tower service within the process), a [`BaseUrl`] and [`Credentials`]. It makes
//! a [`Reader`], which cannot write, and a [`Writer`]. Every call brings an [`Answer`] or an [`ApiError`]. How stubbornly and how fast
//! they call is the client's [`Conduct`]; what slows a run down is told as [`Event`]s and counted. A [`Stop`] ends every wait.
//!
//! Deliberately absent: printing, planning, the environment, and any knowledge of the simulated API.

mod base_url;
mod client;
mod context;
mod credentials;
mod envelope;
mod error;
mod event;
mod network;
mod operation;
mod pace;
mod patience;
mod rate_budget;
mod rate_headers;
mod reader;
mod retry;
mod signs;
mod stop;
mod token;
mod transport;
mod transport_error;
mod writer;

pub use base_url::{BaseUrl, InvalidBaseUrl};
pub use client::{Answer, Client, Conduct, Leave, Observer, Repeat};
pub use context::{Providers, Surroundings};
pub use credentials::{Credentials, InvalidCredentials};
pub use error::{ApiError, ApiMessage, ErrorKind};
pub use event::{Counters, Event, WaitReason};
pub use network::{CaBundle, InvalidCaBundle, NetworkSettings};
pub use operation::{Operation, Permission};
pub use pace::RateSettings;
pub use rate_headers::{RateHeaders, RatePolicy, Remaining};
pub use reader::Reader;
pub use retry::RetrySettings;
pub use signs::{Signs, Trace};
pub use stop::{Stop, Stopped};
pub use token::{TokenOwner, TokenStatus, VerifiedToken};
pub use transport::{BoxError, Transport};
pub use transport_error::{Reach, TransportError, TransportFailure};
pub use writer::Writer;
