//! Connections to the API: base URL, transport and credentials from the command line and the environment.

use std::collections::HashMap;
use std::fmt;
use std::num::NonZeroU32;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use secrecy::SecretString;
use url::Url;

use crate::api::{
    BaseUrl, CaBundle, Client, ClientOptions, Credentials, NetworkSettings, RateSettings,
    RequestStats, Transport,
};
use crate::cli::error::CommandError;
use crate::cli::flags::{AccountArgs, ConnectionArgs};
use crate::cli::io::environment::{self, variable};
use crate::cli::io::files;
use crate::cli::io::output::Output;
use crate::cli::io::progress;
use crate::cli::run::load_context;
use crate::cli::run::signals;

use crate::doctor::{Destination, ProxyInfo};
use crate::model::account::{AccountId, DesiredAccount};
use crate::plan::{AccountError, FailureKind};
use crate::sandbox::{self, RECORDED_ACCOUNT, Sandbox};

/// Data file of `--sandbox`, below the working directory.
const SANDBOX_FILE: &str = ".riskform/sandbox.json";
/// Base URL of the in-process API. `.invalid` never resolves (RFC 2606).
const SANDBOX_BASE_URL: &str = "https://sandbox.invalid/client/v4";

/// Connections of a run, one per set of credentials, because the rate limit is per token.
pub(crate) struct Session {
    base_url: BaseUrl,
    transport: Transport,
    /// HTTP transport; `None` for the in-process API.
    network: Option<NetworkSettings>,
    whose: CredentialOrigin,
    connections: Mutex<HashMap<CredentialSource, Client>>,
    conduct: ClientOptions,
}

/// Source of all credentials: sandbox or environment.
enum CredentialOrigin {
    /// Token of the simulated API.
    Sandbox,
    Environment,
}

/// Variables of one set of credentials.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum CredentialSource {
    Sandbox,
    Token(String),
    Key,
}

impl fmt::Display for CredentialSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CredentialSource::Sandbox => f.write_str("the sandbox, which has a token of its own"),
            CredentialSource::Token(name) => f.write_str(name),
            CredentialSource::Key => {
                write!(f, "{} and {}", environment::EMAIL, environment::API_KEY)
            }
        }
    }
}

impl Session {
    /// Opens the simulated API or prepares the HTTP client. Sends no request.
    pub(crate) fn open(connect: &ConnectionArgs, output: &Output) -> Result<Self, CommandError> {
        if connect.sandbox {
            return Session::sandbox(connect, output);
        }
        let base_url = base_url(connect)?;
        let proxy = match base_url.is_https() {
            true => environment::proxy().map_err(|error| CommandError::Other(error.into()))?,
            false => None,
        };
        let conduct = conduct(default_rate_limits(&base_url), connect, output)?;
        let ca_bundle = connect.ca_bundle.as_deref();
        ca_bundle.map_or(Ok(()), |path| output.add_input(path))?;
        let ca_bundle = ca_bundle.map(self::ca_bundle).transpose()?;
        let settings = NetworkSettings {
            connect_timeout: connect
                .timeout
                .min(NetworkSettings::default().connect_timeout),
            timeout: connect.timeout,
            ca_bundle,
            proxy,
            certificates_from: environment::certificate_variable(),
        };
        Ok(Session {
            base_url,
            transport: Transport::network(settings.clone()),
            network: Some(settings),
            whose: CredentialOrigin::Environment,
            connections: Mutex::default(),
            conduct,
        })
    }

    fn sandbox(connect: &ConnectionArgs, output: &Output) -> Result<Self, CommandError> {
        let sandbox = Sandbox::open(Path::new(SANDBOX_FILE), sandbox::Settings::default())
            .map_err(CommandError::other("cannot open the simulated API"))?;
        Ok(Session {
            base_url: SANDBOX_BASE_URL
                .parse()
                .map_err(CommandError::other("the simulated API has no base URL"))?,
            transport: Transport::in_process(sandbox.router(), connect.timeout),
            network: None,
            whose: CredentialOrigin::Sandbox,
            connections: Mutex::default(),
            conduct: conduct(RateSettings::UNLIMITED, connect, output)?,
        })
    }

    /// Returns a session that does not retry or wait.
    pub(crate) fn without_retries(mut self) -> Self {
        self.conduct.retry.max_attempts = NonZeroU32::MIN;
        self.conduct.retry.max_wait = Duration::ZERO;
        self
    }

    /// Returns the transport for `well_known_url` documents. It has no credentials. The simulated API serves them itself.
    pub(crate) fn documents(&self) -> (Transport, Destination) {
        let base_url = Url::parse(&self.base_url.to_string()).ok();
        let stand_in = base_url.filter(|base_url| match self.whose {
            CredentialOrigin::Sandbox => true,
            // Only loopback is allowed without TLS.
            CredentialOrigin::Environment => base_url.scheme() == "http",
        });
        let destination = stand_in.map_or(Destination::Named, Destination::StandIn);
        let transport = match &self.network {
            Some(settings) => Transport::network(settings.clone()),
            None => self.transport.clone(),
        };
        (transport, destination)
    }

    /// Returns the proxy for the API.
    pub(crate) fn proxy(&self) -> Option<ProxyInfo> {
        let proxy = self.network.as_ref()?.proxy.as_ref()?;
        (proxy.is_used_for(self.base_url.as_str())).then(|| ProxyInfo {
            variable: proxy.variable().to_owned(),
            address: proxy.address(),
        })
    }

    /// Returns the base URL.
    pub(crate) fn base_url(&self) -> &BaseUrl {
        &self.base_url
    }

    /// Returns the connection for an account.
    ///
    /// # Errors
    ///
    /// Missing or malformed credentials, with the names of the variables.
    pub(crate) fn connection(&self, desired: &DesiredAccount) -> Result<Client, AccountError> {
        self.connection_to(desired.label(), desired.api_token_env.as_deref())
    }

    /// Returns the connection for an account with this label. `api_token_env` is the token variable named in the file.
    pub(crate) fn connection_to(
        &self,
        label: &str,
        api_token_env: Option<&str>,
    ) -> Result<Client, AccountError> {
        let (source, credentials) = self.credentials(label, api_token_env)?;
        let mut connections = self
            .connections
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let connection = connections.entry(source).or_insert_with_key(|source| {
            tracing::info!(base_url = %self.base_url, credentials = %source, "calling");
            Client::with_options(
                self.transport.clone(),
                self.base_url.clone(),
                credentials,
                self.conduct.clone(),
            )
        });
        Ok(connection.clone())
    }

    /// Returns the request counters of all connections.
    pub(crate) fn counters(&self) -> RequestStats {
        let connections = self
            .connections
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        connections.values().map(Client::counters).sum()
    }

    /// Returns the source of the credentials that [`connection_to`](Self::connection_to) uses.
    pub(crate) fn source(
        &self,
        label: &str,
        api_token_env: Option<&str>,
    ) -> Result<CredentialSource, AccountError> {
        self.credentials(label, api_token_env)
            .map(|(source, _)| source)
    }

    fn credentials(
        &self,
        label: &str,
        api_token_env: Option<&str>,
    ) -> Result<(CredentialSource, Credentials), AccountError> {
        let secret = |name: &str| variable(name).map(SecretString::from);
        let (source, credentials) = match (&self.whose, api_token_env) {
            (CredentialOrigin::Sandbox, _) => (
                CredentialSource::Sandbox,
                Credentials::api_token(sandbox::DEFAULT_TOKEN.into()),
            ),
            (CredentialOrigin::Environment, Some(name)) => match secret(name) {
                Some(token) => (
                    CredentialSource::Token(name.to_owned()),
                    Credentials::api_token(token),
                ),
                None => {
                    return Err(missing(
                        label,
                        &format!("set {name} (named by api_token_env)"),
                    ));
                }
            },
            (CredentialOrigin::Environment, None) => {
                if let Some(token) = secret(environment::API_TOKEN) {
                    (
                        CredentialSource::Token(environment::API_TOKEN.to_owned()),
                        Credentials::api_token(token),
                    )
                } else if let (Some(email), Some(key)) =
                    (secret(environment::EMAIL), secret(environment::API_KEY))
                {
                    (CredentialSource::Key, Credentials::api_key(email, key))
                } else {
                    return Err(missing(
                        label,
                        "set CLOUDFLARE_API_TOKEN, or try --sandbox, which needs no credentials",
                    ));
                }
            }
        };
        match credentials {
            Ok(credentials) => {
                let credentials = credentials.with_source(&source.to_string());
                Ok((source, credentials))
            }
            Err(error) => Err(AccountError {
                kind: FailureKind::Credentials,
                message: format!("invalid credentials for {label}: {error}"),
                cf_ray: None,
                help: None,
            }),
        }
    }
}

/// Returns the base URL from the command line or the environment, else Cloudflare's. An invalid one is not shown, because it may
/// contain a password.
pub(crate) fn base_url(connect: &ConnectionArgs) -> Result<BaseUrl, CommandError> {
    let (origin, text) = match (&connect.base_url, variable(environment::BASE_URL)) {
        (Some(text), _) => ("--base-url", text.clone()),
        (None, Some(text)) => (environment::BASE_URL, text),
        (None, None) => return Ok(BaseUrl::default()),
    };
    text.parse()
        .map_err(CommandError::other(format!("invalid {origin}")))
}

/// Returns the initial rate limits: Cloudflare's for https, none for plain http, which is only allowed on loopback.
fn default_rate_limits(base_url: &BaseUrl) -> RateSettings {
    if base_url.is_https() {
        RateSettings::default()
    } else {
        RateSettings::UNLIMITED
    }
}

/// Returns the client options. Waits are shown as progress, and a signal cancels them.
fn conduct(
    rate: RateSettings,
    connect: &ConnectionArgs,
    output: &Output,
) -> Result<ClientOptions, CommandError> {
    let stop = signals::listen(output)?;
    let output = output.clone();
    Ok(ClientOptions {
        rate: RateSettings {
            max_per_second: connect.max_requests_per_second,
            ..rate
        },
        observer: Arc::new(move |event| progress::wait(&output, event)),
        stop,
        ..ClientOptions::default()
    })
}

fn missing(label: &str, help: &str) -> AccountError {
    AccountError {
        kind: FailureKind::Credentials,
        message: format!("no credentials for {label}"),
        cf_ray: None,
        help: Some(help.to_owned()),
    }
}

/// Reads the file of `--ca-bundle`.
pub(crate) fn ca_bundle(path: &Path) -> Result<CaBundle, CommandError> {
    let context = || format!("--ca-bundle {}", path.display());
    let pem = files::read_file(path, context())?;
    CaBundle::from_pem(&pem).map_err(CommandError::other(context()))
}

/// An account and its connection.
pub(crate) struct Account {
    pub(crate) id: AccountId,
    pub(crate) connection: Client,
}

impl Account {
    /// Connects to the account from the command line or the environment.
    pub(crate) fn open(
        who: &AccountArgs,
        connect: &ConnectionArgs,
        output: &Output,
    ) -> Result<Self, CommandError> {
        let id = id(who, connect)?;
        let connection = Session::open(connect, output)?
            .connection_to(id.as_str(), None)
            .map_err(CommandError::Account)?;
        Ok(Account { id, connection })
    }
}

/// Returns the account ID from the command line or the environment. The simulated API has a default.
pub(crate) fn id(who: &AccountArgs, connect: &ConnectionArgs) -> Result<AccountId, CommandError> {
    if let Some(id) = &who.account_id {
        return Ok(id.clone());
    }
    match load_context::account_id_from_env()? {
        Some(id) => Ok(id),
        None if connect.sandbox => RECORDED_ACCOUNT
            .parse()
            .map_err(CommandError::other("the simulated account has no id")),
        None => Err(CommandError::usage(
            "which account?",
            format!("set {}, or pass --account-id", environment::ACCOUNT_ID),
        )),
    }
}
