//! Session of a run: accounts, limits, and connections to the API with the credentials of each account.

use std::collections::{BTreeSet, HashMap};
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use secrecy::SecretString;

use crate::api::{
    ApiError, BaseUrl, Certificate, Client, ClientOptions, Credentials, NetworkSettings, Proxy,
    RequestStats, Transport, TransportErrorKind, parse_certificates,
};
use crate::cli::error::CommandError;
use crate::cli::flags::{ConnectionArgs, FleetArgs, OneAccountArgs};
use crate::cli::io::environment::{self, variable};
use crate::cli::io::output::Output;
use crate::cli::io::terminal::report_waits;
use crate::cli::load::{self, LoadContext, SelectedAccount};
use crate::cli::signals;
use crate::config::files::{AllowedRoot, MAX_FILE_BYTES};
use crate::config::load::Checked;
use crate::model::account::DesiredAccount;
use crate::model::limits::Limits;
use crate::model::text::abbreviate_list;
use crate::plan::{AccountError, FailureKind};
use crate::sandbox::{self, Sandbox};

/// Data file of `--sandbox`, below the working directory.
const SANDBOX_FILE: &str = ".riskform/sandbox.json";
/// Base URL of the in-process API. `.invalid` never resolves (RFC 2606).
const SANDBOX_BASE_URL: &str = "https://sandbox.invalid/client/v4";

/// Limits and connections of a run: one client per set of credentials, because the rate limit is per token.
pub(crate) struct Session {
    pub(crate) limits: Arc<Limits>,
    /// Canonical paths and hashes of the desired-state files.
    pub(crate) files: Vec<(PathBuf, String)>,
    pub(crate) allowed_root: AllowedRoot,
    pub(crate) base_url: BaseUrl,
    transport: Transport,
    /// HTTP settings; `None` for the in-process API.
    network: Option<NetworkSettings>,
    options: ClientOptions,
    clients: Mutex<HashMap<String, Client>>,
    /// Token variables of the accounts that are not set.
    unset: BTreeSet<String>,
}

/// Source of the legacy credentials, which have no ID.
pub(crate) const EMAIL_AND_KEY: &str = "CLOUDFLARE_EMAIL and CLOUDFLARE_API_KEY";

impl Session {
    /// Loads the files and the limits and opens the session. Sends no request.
    pub(crate) fn with_accounts(
        fleet: &FleetArgs,
        output: &Output,
    ) -> Result<(Self, Vec<DesiredAccount>), CommandError> {
        let context = LoadContext::of(&fleet.desired, output)?;
        let Checked {
            accounts, files, ..
        } = load::load(&fleet.desired, &context, output)?;
        let variables = accounts
            .iter()
            .filter_map(|account| account.api_token_env.clone());
        let session = Session {
            unset: variables.filter(|name| variable(name).is_none()).collect(),
            limits: context.limits,
            allowed_root: context.allowed_root,
            files,
            ..Session::open(&fleet.connect, output)?
        };
        Ok((session, accounts))
    }

    /// Opens the simulated API or prepares the HTTP client. Sends no request.
    pub(crate) fn open(connect: &ConnectionArgs, output: &Output) -> Result<Self, CommandError> {
        let (base_url, network, transport) = if connect.sandbox {
            let sandbox = Sandbox::open(Path::new(SANDBOX_FILE), sandbox::Settings::default())
                .map_err(CommandError::other("cannot open the simulated API"))?;
            let base_url: BaseUrl = SANDBOX_BASE_URL.parse().expect("it is a base URL");
            let transport = Transport::in_process(sandbox.router(), connect.timeout);
            (base_url, None, transport)
        } else {
            let base_url = base_url(connect)?;
            let default = NetworkSettings::default();
            let settings = NetworkSettings {
                connect_timeout: default.connect_timeout.min(connect.timeout),
                timeout: connect.timeout,
                ca_certificates: match &connect.ca_bundle {
                    Some(path) => ca_certificates(path, output)?,
                    None => Vec::new(),
                },
                proxy: match base_url.is_https() {
                    true => environment::proxy()?,
                    false => None,
                },
                certificates_from: environment::certificate_variable(),
            };
            (
                base_url,
                Some(settings.clone()),
                Transport::network(settings),
            )
        };
        // Plain http is only allowed on loopback, where no limit is known.
        let has_rate_limit = network.is_some() && base_url.is_https();
        Ok(Session {
            limits: Arc::default(),
            files: Vec::new(),
            allowed_root: environment::allowed_root(None),
            base_url,
            transport,
            network,
            options: ClientOptions {
                has_rate_limit,
                max_requests_per_second: connect.max_requests_per_second,
                observer: Arc::new(report_waits(output)),
                stop: signals::listen(output)?,
                ..ClientOptions::default()
            },
            clients: Mutex::default(),
            unset: BTreeSet::new(),
        })
    }

    /// Finds the account of a command that takes no files, and connects to it.
    pub(crate) fn account(
        who: &OneAccountArgs,
        connect: &ConnectionArgs,
        output: &Output,
    ) -> Result<(SelectedAccount, Client), CommandError> {
        let account = load::select_account(who.account_id.as_ref(), connect.sandbox, output)?;
        let client = Session::open(connect, output)?.client_with(account.token_variable())?;
        Ok((account, client))
    }

    /// Returns a session that does not retry or wait.
    pub(crate) fn without_retries(mut self) -> Self {
        self.options.retry.max_attempts = NonZeroU32::MIN;
        self.options.retry.max_wait = Duration::ZERO;
        self
    }

    /// Returns the proxy for the API.
    pub(crate) fn proxy(&self) -> Option<&Proxy> {
        let proxy = self.network.as_ref()?.proxy.as_ref()?;
        (proxy.is_used_for(self.base_url.as_str())).then_some(proxy)
    }

    /// Returns true for the simulated API.
    pub(crate) fn is_sandbox(&self) -> bool {
        self.network.is_none()
    }

    /// Returns the client for an account in the files.
    ///
    /// # Errors
    ///
    /// Missing or malformed credentials, with the names of the variables.
    pub(crate) fn client(&self, desired: &DesiredAccount) -> Result<Client, AccountError> {
        self.client_with(desired.api_token_env.as_deref())
    }

    /// Returns the client with the token in a variable, or with the default credentials.
    pub(crate) fn client_with(&self, token_variable: Option<&str>) -> Result<Client, AccountError> {
        let (source, credentials) = self.credentials(token_variable)?;
        let mut clients = self.clients();
        let client = clients.entry(source).or_insert_with(|| {
            Client::new(
                self.transport.clone(),
                self.base_url.clone(),
                credentials,
                self.options.clone(),
            )
        });
        Ok(client.clone())
    }

    fn clients(&self) -> MutexGuard<'_, HashMap<String, Client>> {
        self.clients.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the request counters of all clients.
    pub(crate) fn counters(&self) -> RequestStats {
        let mut total = RequestStats::default();
        for client in self.clients().values() {
            let RequestStats { requests, retries } = client.counters();
            total.requests += requests;
            total.retries += retries;
        }
        total
    }

    /// Returns the credentials in a variable, or the default ones, and their source.
    pub(crate) fn credentials(
        &self,
        token_variable: Option<&str>,
    ) -> Result<(String, Credentials), AccountError> {
        let failed = |message| AccountError::new(FailureKind::Credentials, message);
        let secret = |name: &str| variable(name).map(SecretString::from);
        let name = token_variable.unwrap_or(environment::API_TOKEN);
        let email = || secret(environment::EMAIL).filter(|_| token_variable.is_none());
        let (source, credentials) = if self.is_sandbox() {
            let token = sandbox::DEFAULT_TOKEN.into();
            let source = "the sandbox, which has a token of its own";
            (source, Credentials::api_token(token))
        } else if let Some(token) = secret(name) {
            (name, Credentials::api_token(token))
        } else if let Some((email, key)) = email().zip(secret(environment::API_KEY)) {
            (EMAIL_AND_KEY, Credentials::api_key(email, key))
        } else {
            return Err(failed(match self.unset.len() {
                0 | 1 => format!("{name} is not set"),
                // The same message for all accounts, so that reports show it once.
                _ => format!("not set: {}", abbreviate_list(&self.unset)),
            }));
        };
        let credentials =
            credentials.map_err(|error| failed(format!("invalid {source}: {error}")))?;
        Ok((source.to_owned(), credentials.with_source(source)))
    }
}

impl From<ApiError> for AccountError {
    fn from(error: ApiError) -> Self {
        let help = error.help().into_iter().chain(proxy_help(&error));
        let help: Vec<String> = help.collect();
        AccountError {
            kind: (&error).into(),
            message: error.to_string(),
            cf_ray: error.request_ids.ray.clone(),
            help: (!help.is_empty()).then(|| help.join("; ")),
        }
    }
}

impl From<ApiError> for CommandError {
    fn from(error: ApiError) -> Self {
        AccountError::from(error).into()
    }
}

/// Returns a hint at the proxy if the API cannot be reached.
fn proxy_help(error: &ApiError) -> Option<String> {
    use TransportErrorKind::{Connect, ConnectTimeout, ProxyRefused, Timeout};
    let failure = error.transport_failure()?;
    let is_unreachable = matches!(failure, Connect | ConnectTimeout | ProxyRefused | Timeout);
    let url = &error.base_url;
    let proxy = environment::proxy()
        .ok()?
        .filter(|proxy| is_unreachable && url.is_https() && proxy.is_used_for(url.as_str()));
    proxy.map(|proxy| format!("check the proxy set in {}", proxy.variable()))
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
        .map_err(|why: String| CommandError::error(format_args!("invalid {origin}: {why}")))
}

/// Reads the file of `--ca-bundle`.
pub(crate) fn ca_certificates(
    path: &Path,
    output: &Output,
) -> Result<Vec<Certificate>, CommandError> {
    let context = || format!("--ca-bundle {}", path.display());
    let pem = output.read_input(path, MAX_FILE_BYTES, context())?;
    let parsed = parse_certificates(&pem);
    parsed.map_err(|why| CommandError::error(format_args!("{}: {why}", context())))
}
