//! Connections to the API: base URL, transport and credentials from the command line and the environment.

use std::collections::HashMap;
use std::fmt;
use std::num::NonZeroU32;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use secrecy::SecretString;

use crate::api::{
    BaseUrl, CaBundle, Client, ClientOptions, Credentials, NetworkSettings, RateSettings,
    RequestStats, Transport,
};
use crate::cli::error::CommandError;
use crate::cli::flags::{AccountArgs, AccountRef, ConnectionArgs, OneAccountArgs, PathArgs};
use crate::cli::io::environment::{self, variable};
use crate::cli::io::files;
use crate::cli::io::output::Output;
use crate::cli::io::progress;
use crate::cli::run::load_context;
use crate::cli::run::signals;
use crate::config::load::{self, LoadOptions};
use crate::doctor::ProxyInfo;
use crate::model::account::{AccountId, DesiredAccount};
use crate::model::address::Name;
use crate::model::limits::NO_LIMITS;
use crate::model::text::abbreviate_list;
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

    /// Returns the proxy for the API.
    pub(crate) fn proxy(&self) -> Option<ProxyInfo> {
        let proxy = self.network.as_ref()?.proxy.as_ref()?;
        (proxy.is_used_for(self.base_url.as_str())).then(|| ProxyInfo {
            variable: proxy.variable().to_owned(),
            address: proxy.address(),
        })
    }

    /// Returns true for the simulated API.
    pub(crate) fn is_sandbox(&self) -> bool {
        matches!(self.whose, CredentialOrigin::Sandbox)
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
    /// Its declaration, if the files named it.
    desired: Option<DesiredAccount>,
    pub(crate) connection: Client,
}

impl Account {
    /// Connects to the account that the command line, the environment or the files name.
    pub(crate) fn open(
        who: &OneAccountArgs,
        connect: &ConnectionArgs,
        output: &Output,
    ) -> Result<Self, CommandError> {
        let SelectedAccount { id, desired } = select_account(who, connect, output)?;
        let session = Session::open(connect, output)?;
        let connection = match &desired {
            Some(desired) => session.connection(desired),
            None => session.connection_to(id.as_str(), None),
        };
        let connection = connection.map_err(CommandError::Account)?;
        Ok(Account {
            id,
            desired,
            connection,
        })
    }

    /// Returns the account's declaration.
    pub(crate) fn declared(&self, output: &Output) -> Result<DesiredAccount, CommandError> {
        if let Some(desired) = &self.desired {
            return Ok(desired.clone());
        }
        let mut accounts = usual_accounts(output)?.into_iter();
        let declared = accounts.find(|desired| desired.account_id == self.id);
        declared.ok_or_else(|| {
            CommandError::usage(
                format_args!("{} does not declare account {}", PathArgs::USUAL, self.id),
                "use the integration's ID or tenant_url",
            )
        })
    }
}

/// An account to connect to.
pub(crate) struct SelectedAccount {
    pub(crate) id: AccountId,
    /// Its declaration, if the files named it.
    pub(crate) desired: Option<DesiredAccount>,
}

impl From<AccountId> for SelectedAccount {
    fn from(id: AccountId) -> Self {
        SelectedAccount { id, desired: None }
    }
}

impl From<DesiredAccount> for SelectedAccount {
    fn from(desired: DesiredAccount) -> Self {
        SelectedAccount {
            id: desired.account_id.clone(),
            desired: Some(desired),
        }
    }
}

/// Returns the account of `--account-id`, else of the environment, else the only one in `riskform.yaml`. The simulated API has a default.
pub(crate) fn select_account(
    who: &OneAccountArgs,
    connect: &ConnectionArgs,
    output: &Output,
) -> Result<SelectedAccount, CommandError> {
    match &who.account_id {
        Some(AccountRef::Id(id)) => return Ok(id.clone().into()),
        Some(AccountRef::Name(name)) => return named_account(name, output).map(Into::into),
        None => {}
    }
    if let Some(id) = load_context::account_id_from_env()? {
        return Ok(id.into());
    }
    let mut accounts = usual_accounts(output)?;
    match accounts.len() {
        0 => default_account(connect).map(Into::into),
        1 => Ok(accounts.remove(0).into()),
        _ => {
            let mut labels: Vec<&str> = accounts.iter().map(DesiredAccount::label).collect();
            labels.sort_unstable();
            let all = match labels.as_slice() {
                [one, other] => format!("{one} and {other}"),
                labels => abbreviate_list(labels),
            };
            Err(CommandError::usage(
                format_args!("which account? {} holds {all}", PathArgs::USUAL),
                format!("--account-id {}", labels[0]),
            ))
        }
    }
}

/// Returns the accounts in `riskform.yaml`, none if it does not exist.
fn usual_accounts(output: &Output) -> Result<Vec<DesiredAccount>, CommandError> {
    match Path::new(PathArgs::USUAL).exists() {
        true => declared_accounts(PathArgs::USUAL, output),
        false => Ok(Vec::new()),
    }
}

/// Returns the account with this name in `riskform.yaml`, else in the files below the working directory.
fn named_account(name: &Name, output: &Output) -> Result<DesiredAccount, CommandError> {
    let is_named = |account: &DesiredAccount| account.name.as_ref() == Some(name);
    if let Some(account) = usual_accounts(output)?.into_iter().find(is_named) {
        return Ok(account);
    }
    // Other files below the directory may be no desired-state files at all. Only the file that declares the account must be valid.
    let checked = check_files(".", load::check)?;
    let (named, others): (Vec<_>, Vec<_>) = checked.accounts.into_iter().partition(is_named);
    match named.as_slice() {
        [account] => {
            let mut accounts = match checked.diagnostics.errors() {
                0 => vec![account.clone()],
                _ => declared_accounts(&account.source, output)?,
            };
            accounts.retain(is_named);
            Ok(accounts.remove(0))
        }
        [] => Err(CommandError::usage(
            format_args!("no file declares an account named {name}"),
            match others.is_empty() {
                true => "pass the account's ID".to_owned(),
                false => {
                    let labels = others.iter().map(DesiredAccount::label);
                    format!("the files declare {}", abbreviate_list(labels))
                }
            },
        )),
        [first, ..] => {
            let sources = abbreviate_list(named.iter().map(|account| &account.source));
            Err(CommandError::usage(
                format_args!("several files declare an account named {name}: {sources}"),
                format!("--account-id {}", first.account_id),
            ))
        }
    }
}

/// Returns the accounts in a file.
fn declared_accounts(path: &str, output: &Output) -> Result<Vec<DesiredAccount>, CommandError> {
    let loaded = check_files(path, load::load)?.map_err(CommandError::Files)?;
    let mut files = loaded.files.iter();
    files.try_for_each(|file| output.add_input(file))?;
    Ok(loaded.accounts)
}

fn check_files<T>(path: &str, check: fn(&LoadOptions<'_>) -> T) -> Result<T, CommandError> {
    Ok(check(&LoadOptions {
        paths: &[path.into()],
        account_id: None,
        default_account_id: load_context::account_id_from_env()?,
        confinement: &load_context::confinement(None),
        limits: &NO_LIMITS,
        variables: &environment::interpolated,
        today: load_context::today(),
    }))
}

/// Returns the account ID from the command line or the environment. The simulated API has a default.
pub(crate) fn id(who: &AccountArgs, connect: &ConnectionArgs) -> Result<AccountId, CommandError> {
    if let Some(id) = &who.account_id {
        return Ok(id.clone());
    }
    match load_context::account_id_from_env()? {
        Some(id) => Ok(id),
        None => default_account(connect),
    }
}

fn default_account(connect: &ConnectionArgs) -> Result<AccountId, CommandError> {
    if connect.sandbox {
        return RECORDED_ACCOUNT
            .parse()
            .map_err(CommandError::other("the simulated account has no id"));
    }
    Err(CommandError::usage(
        "which account?",
        format!("set {}, or pass --account-id", environment::ACCOUNT_ID),
    ))
}
