//! Requests of the doctor: token verification and one read per permission.

use std::collections::BTreeSet;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::api::{
    ApiError, BaseUrl, Client, ContextProbe, ErrorKind, ResponseMetadata, TokenOwner,
    TransportErrorKind, VerifiedToken,
};
use crate::model::account::AccountId;
use crate::model::behavior::BehaviorKey;

/// Results of all requests for one account.
#[derive(Clone, Debug)]
pub struct ProbeResults {
    /// Base URL of the API.
    pub base_url: BaseUrl,
    /// Transport and credentials.
    pub access: Access,
    /// Verified token and its owner; not requested for an API key.
    pub token: Probe<(Owner, VerifiedToken)>,
    /// Behaviors of the account.
    pub behaviors: Probe<BTreeSet<BehaviorKey>>,
    /// Result of listing the integrations.
    pub integrations: Probe<()>,
    /// Result of listing the users, without the users.
    pub users: Probe<()>,
    /// Result of reading the Access policies.
    pub access_policies: Probe<()>,
    /// Result of reading the Access groups.
    pub access_groups: Probe<()>,
    /// Result of reading the audit log.
    pub audit_log: Probe<()>,
    /// Metadata of the last response, if any.
    pub metadata: Option<ResponseMetadata>,
    /// Time of the requests.
    pub now: Timestamp,
    /// Listed behaviors, if there are files.
    pub declared: Option<Declared>,
}

/// Result of a request; `None` if it was skipped.
pub type Probe<T> = Option<Result<T, ApiError>>;

/// Transport and credentials.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Access {
    pub transport: ApiTransport,
    /// Type of the credentials.
    pub credentials: CredentialKind,
    /// Source of the credentials, for display.
    pub source: String,
    /// Proxy, if any.
    pub proxy: Option<ProxyInfo>,
}

/// Proxy from the environment, without user and password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProxyInfo {
    pub variable: String,
    /// Host and port.
    pub address: String,
}

/// Transport to the API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ApiTransport {
    /// Over the network.
    Network,
    /// Simulated in this process.
    InProcess,
}

/// Type of credentials.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CredentialKind {
    /// An API token.
    Token,
    /// An email address and its global API key, which cannot be verified.
    Key,
}

/// Owner of a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owner {
    User,
    /// The account itself.
    Account,
}

/// Behaviors listed in the files of an account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Declared {
    /// Listed behaviors, including unmanaged ones.
    pub behaviors: BTreeSet<BehaviorKey>,
    /// Whether `"*"` declares all others.
    pub covers_every_other: bool,
}

/// State of the desired-state files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Files {
    /// The default file does not exist and no other was passed.
    Absent {
        /// Default path.
        path: String,
    },
    /// The files cannot be loaded.
    Invalid {
        /// The first error, with its location.
        first: String,
        /// Number of errors.
        errors: usize,
    },
    /// The files are valid.
    Valid {
        /// Number of accounts.
        accounts: usize,
    },
}

/// Sends all requests for one account, all read-only. Stops if the API is unreachable or rate limited.
pub async fn probe_account(
    connection: &Client,
    account: &AccountId,
    access: Access,
    declared: Option<Declared>,
    now: Timestamp,
) -> ProbeResults {
    let reader = connection.reader();
    let today = now.to_zoned(TimeZone::UTC).date();
    let mut probed = ProbeResults {
        base_url: connection.base_url().clone(),
        access,
        token: None,
        behaviors: None,
        integrations: None,
        users: None,
        access_policies: None,
        access_groups: None,
        audit_log: None,
        metadata: None,
        now,
        declared,
    };
    if probed.access.credentials == CredentialKind::Token {
        probed.token = Some(verify_token(connection, account).await);
    }
    if !should_stop(&probed.token) {
        let behaviors = reader.behaviors(account).await;
        probed.behaviors = Some(behaviors.map(|answer| answer.value.into_keys().collect()));
    }
    if probed.behaviors.is_some() && !should_stop(&probed.behaviors) {
        probed.integrations = Some(reader.integrations(account).await.map(|_| ()));
    }
    if probed.integrations.is_some() && !should_stop(&probed.integrations) {
        probed.users = Some(reader.users(account).await.map(|_| ()));
    }
    if probed.users.is_some() && !should_stop(&probed.users) {
        let (policies, groups, log) = tokio::join!(
            reader.probe(ContextProbe::Policies, account),
            reader.probe(ContextProbe::Groups, account),
            reader.probe(ContextProbe::AuditLog { today }, account),
        );
        probed.access_policies = Some(policies);
        probed.access_groups = Some(groups);
        probed.audit_log = Some(log);
    }
    probed.metadata = connection.last_metadata();
    probed
}

/// Verifies a token as a user token, then as an account token.
pub async fn verify_token(
    connection: &Client,
    account: &AccountId,
) -> Result<(Owner, VerifiedToken), ApiError> {
    let reader = connection.reader();
    let error = match reader.verify_token(TokenOwner::User).await {
        Ok(answer) => return Ok((Owner::User, answer.value)),
        Err(error) if is_fatal(&error) => return Err(error),
        Err(error) => error,
    };
    match reader.verify_token(TokenOwner::Account(account)).await {
        Ok(answer) => Ok((Owner::Account, answer.value)),
        Err(_) => Err(error),
    }
}

fn should_stop<T>(probe: &Probe<T>) -> bool {
    matches!(probe, Some(Err(error)) if is_fatal(error))
}

/// Returns true if all other requests would fail the same way or make it worse.
fn is_fatal(error: &ApiError) -> bool {
    match error.kind() {
        ErrorKind::RateLimited | ErrorKind::Cancelled => true,
        ErrorKind::Transport { failure, .. } => match failure {
            TransportErrorKind::ClientBuild
            | TransportErrorKind::Connect
            | TransportErrorKind::ProxyRefused
            | TransportErrorKind::Tls => true,
            // A slow or broken response to one request says little about the others.
            TransportErrorKind::Timeout
            | TransportErrorKind::ConnectionClosed
            | TransportErrorKind::TooLarge => false,
        },
        ErrorKind::Credentials
        | ErrorKind::CredentialsOrPermission
        | ErrorKind::Permission
        | ErrorKind::Entitlement
        | ErrorKind::NotFound
        | ErrorKind::UnknownRoute
        | ErrorKind::Rejected
        | ErrorKind::ServerError { .. }
        | ErrorKind::OtherAccount { .. }
        | ErrorKind::UnexpectedResponse { .. } => false,
    }
}

/// Evidence of the reads about the credentials.
pub(super) enum CredentialEvidence<'a> {
    /// A read succeeded.
    Answered,
    /// A read was denied for another reason than the credentials.
    Known,
    /// The credentials were rejected.
    Refused(&'a ApiError),
    /// No probed.
    Unknown,
}

pub(super) fn reads(probed: &ProbeResults) -> CredentialEvidence<'_> {
    match &probed.behaviors {
        Some(Ok(_)) => CredentialEvidence::Answered,
        Some(Err(error)) => match error.kind() {
            ErrorKind::Permission | ErrorKind::Entitlement => CredentialEvidence::Known,
            ErrorKind::Credentials | ErrorKind::CredentialsOrPermission => {
                CredentialEvidence::Refused(error)
            }
            ErrorKind::NotFound
            | ErrorKind::UnknownRoute
            | ErrorKind::Cancelled
            | ErrorKind::RateLimited
            | ErrorKind::Rejected
            | ErrorKind::ServerError { .. }
            | ErrorKind::Transport { .. }
            | ErrorKind::OtherAccount { .. }
            | ErrorKind::UnexpectedResponse { .. } => CredentialEvidence::Unknown,
        },
        None => CredentialEvidence::Unknown,
    }
}

/// Returns all errors, in order of the requests.
pub(super) fn errors(probed: &ProbeResults) -> impl Iterator<Item = &ApiError> {
    fn error<T>(probe: &Probe<T>) -> Option<&ApiError> {
        probe.as_ref().and_then(|result| result.as_ref().err())
    }
    [
        error(&probed.token),
        error(&probed.behaviors),
        error(&probed.integrations),
        error(&probed.users),
    ]
    .into_iter()
    .flatten()
}
