//! Whom to call, how and in whose name: what all calls of a run share.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard};

use super::base_url::BaseUrl;
use super::credentials::Credentials;
use super::event::{Counters, Event};
use super::pace::RateSettings;
use super::rate_budget::RateBudget;
use super::reader::Reader;
use super::retry::RetrySettings;
use super::signs::Signs;
use super::transport::Transport;
use super::writer::Writer;

/// Whom to call, how, and in whose name. Cheap to clone; every reader and writer made from it shares it.
///
/// The rate limit is the token's, so a run needs one connection for each token, and no more.
#[derive(Clone)]
pub struct Connection(Arc<Parts>);

pub(super) struct Parts {
    pub(super) transport: Transport,
    pub(super) base_url: BaseUrl,
    pub(super) credentials: Credentials,
    pub(super) retry: RetrySettings,
    pub(super) random: Mutex<fastrand::Rng>,
    pub(super) budget: RateBudget,
    pub(super) observer: Observer,
    counters: Mutex<Counters>,
    signs: Mutex<Option<Signs>>,
}

/// How a run behaves towards the server.
#[derive(Clone)]
pub struct Conduct {
    /// How stubbornly it repeats.
    pub retry: RetrySettings,
    /// How fast it calls.
    pub rate: RateSettings,
    /// Who hears of retries and waits.
    pub observer: Observer,
}

/// Hears of events as they happen. Called between requests, so it should be quick.
pub type Observer = Arc<dyn Fn(&Event) + Send + Sync>;

impl Default for Conduct {
    fn default() -> Self {
        Conduct {
            retry: RetrySettings::default(),
            rate: RateSettings::default(),
            observer: Arc::new(|_| {}),
        }
    }
}

impl Connection {
    /// Joins the parts, with the usual conduct. Nothing is sent yet.
    pub fn new(transport: Transport, base_url: BaseUrl, credentials: Credentials) -> Self {
        Connection::with_conduct(transport, base_url, credentials, Conduct::default())
    }

    /// Joins the parts. Nothing is sent yet.
    pub fn with_conduct(
        transport: Transport,
        base_url: BaseUrl,
        credentials: Credentials,
        conduct: Conduct,
    ) -> Self {
        let Conduct {
            retry,
            rate,
            observer,
        } = conduct;
        let random = retry
            .seed
            .map_or_else(fastrand::Rng::new, fastrand::Rng::with_seed);
        Connection(Arc::new(Parts {
            transport,
            base_url,
            credentials,
            retry,
            random: Mutex::new(random),
            budget: RateBudget::new(rate),
            observer,
            counters: Mutex::default(),
            signs: Mutex::default(),
        }))
    }

    /// What may only read.
    pub fn reader(&self) -> Reader {
        Reader::new(self.clone())
    }

    /// What may only write.
    pub fn writer(&self) -> Writer {
        Writer::new(self.clone())
    }

    /// Where the calls go.
    pub fn base_url(&self) -> &BaseUrl {
        &self.0.base_url
    }

    pub(super) fn parts(&self) -> &Parts {
        &self.0
    }

    /// What the calls came to so far.
    pub fn counters(&self) -> Counters {
        *self.counted()
    }

    /// What the last answer told about the server.
    pub fn signs(&self) -> Option<Signs> {
        self.last_signs().clone()
    }

    pub(super) fn remember(&self, signs: Signs) {
        *self.last_signs() = Some(signs);
    }

    fn last_signs(&self) -> MutexGuard<'_, Option<Signs>> {
        self.0
            .signs
            .lock()
            .expect("nothing panics while it holds the signs")
    }

    pub(super) fn counted(&self) -> MutexGuard<'_, Counters> {
        self.0
            .counters
            .lock()
            .expect("nothing panics while it holds the counters")
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection")
            .field("base_url", &self.0.base_url)
            .field("credentials", &self.0.credentials)
            .finish_non_exhaustive()
    }
}
