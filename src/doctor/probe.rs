//! What is asked: the token, and one question for each permission that can be proven by reading.

use std::collections::BTreeSet;

use jiff::civil::Date;

use crate::api::{
    ApiError, BaseUrl, Client, ContextProbe, ErrorKind, ResponseMetadata, TokenOwner,
    TransportErrorKind, VerifiedToken,
};
use crate::model::account::AccountId;
use crate::model::behavior::BehaviorKey;

/// What is known about one account once everything was asked.
#[derive(Clone, Debug)]
pub struct ProbeResults {
    /// Where the questions went.
    pub base_url: BaseUrl,
    /// How and in whose name they were asked.
    pub access: Access,
    /// What the API says about the token, and who owns it; not asked for a key.
    pub token: Probe<(Owner, VerifiedToken)>,
    /// The behaviors that the account offers.
    pub behaviors: Probe<BTreeSet<BehaviorKey>>,
    /// Whether the integrations can be listed.
    pub integrations: Probe<()>,
    /// Whether the users can be read; who they are is forgotten at once.
    pub users: Probe<()>,
    /// Whether Access policies can be read.
    pub access_policies: Probe<()>,
    /// Whether Access groups can be read.
    pub access_groups: Probe<()>,
    /// Whether the account's audit log can be read.
    pub audit_log: Probe<()>,
    /// What the last answer told about the server; `None` where there was none.
    pub signs: Option<ResponseMetadata>,
    /// What the files list, where there are any.
    pub declared: Option<Declared>,
}

/// An answer, or `None` where asking had become pointless.
pub type Probe<T> = Option<Result<T, ApiError>>;

/// How the API is reached, and in whose name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Access {
    /// The way there.
    pub way: ApiTransport,
    /// What kind the credentials are.
    pub means: CredentialKind,
    /// Where they came from, for people.
    pub source: String,
    /// The proxy between here and there.
    pub proxy: Option<ProxyInfo>,
}

/// A proxy that the environment names. Never its user or password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProxyInfo {
    pub variable: String,
    /// Host and port.
    pub address: String,
}

/// The way to the API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ApiTransport {
    /// Over the network.
    Network,
    /// The simulated one, within this process.
    InProcess,
}

/// How the API is told who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CredentialKind {
    /// An API token.
    Token,
    /// An e-mail address and its global API key, which nothing verifies.
    Key,
}

/// Who owns a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owner {
    User,
    /// The account itself.
    Account,
}

/// What the files list for an account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Declared {
    /// The behaviors that they name, the unmanaged ones included.
    pub behaviors: BTreeSet<BehaviorKey>,
    /// Whether `"*"` covers every other.
    pub covers_every_other: bool,
}

/// How it stands with the files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Files {
    /// There is none under the usual name, and no other was named.
    Absent {
        /// The usual name.
        path: String,
    },
    /// They can't be loaded.
    Invalid {
        /// The keys that this version of riskform doesn't know, each with its place.
        unknown_keys: Vec<String>,
    },
    /// They declare so many accounts.
    Valid {
        /// How many.
        accounts: usize,
    },
}

/// Asks everything about one account; reads only. Stops where the API can't be reached or asks for peace.
pub async fn examine(
    connection: &Client,
    account: &AccountId,
    access: Access,
    declared: Option<Declared>,
    today: Date,
) -> ProbeResults {
    let reader = connection.reader();
    let mut evidence = ProbeResults {
        base_url: connection.base_url().clone(),
        access,
        token: None,
        behaviors: None,
        integrations: None,
        users: None,
        access_policies: None,
        access_groups: None,
        audit_log: None,
        signs: None,
        declared,
    };
    if evidence.access.means == CredentialKind::Token {
        evidence.token = Some(verify(connection, account).await);
    }
    if !should_stop(&evidence.token) {
        let behaviors = reader.behaviors(account).await;
        evidence.behaviors = Some(behaviors.map(|answer| answer.value.into_keys().collect()));
    }
    if evidence.behaviors.is_some() && !should_stop(&evidence.behaviors) {
        evidence.integrations = Some(reader.integrations(account).await.map(|_| ()));
    }
    if evidence.integrations.is_some() && !should_stop(&evidence.integrations) {
        evidence.users = Some(reader.users(account).await.map(|_| ()));
    }
    if evidence.users.is_some() && !should_stop(&evidence.users) {
        let (policies, groups, log) = tokio::join!(
            reader.probe(ContextProbe::Policies, account),
            reader.probe(ContextProbe::Groups, account),
            reader.probe(ContextProbe::AuditLog { today }, account),
        );
        evidence.access_policies = Some(policies);
        evidence.access_groups = Some(groups);
        evidence.audit_log = Some(log);
    }
    evidence.signs = connection.signs();
    evidence
}

/// Verifies a token where a person's is verified, then where an account's own is.
async fn verify(
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

fn should_stop<T>(asked: &Probe<T>) -> bool {
    matches!(asked, Some(Err(error)) if is_fatal(error))
}

/// Whether every other question would end the same way, or make things worse.
fn is_fatal(error: &ApiError) -> bool {
    match error.kind() {
        ErrorKind::RateLimited | ErrorKind::Cancelled => true,
        ErrorKind::Transport { failure, .. } => match failure {
            TransportErrorKind::ClientBuild
            | TransportErrorKind::Connect
            | TransportErrorKind::Tls => true,
            // A slow or broken answer to one question says little about the others.
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
        | ErrorKind::UnexpectedResponse { .. } => false,
    }
}

/// What the reads prove about the credentials.
pub(super) enum CredentialEvidence<'a> {
    /// One was answered.
    Answered,
    /// One was refused for another reason than the credentials.
    Known,
    /// The credentials were refused.
    Refused(&'a ApiError),
    /// Nothing.
    Unknown,
}

pub(super) fn reads(evidence: &ProbeResults) -> CredentialEvidence<'_> {
    match &evidence.behaviors {
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
            | ErrorKind::UnexpectedResponse { .. } => CredentialEvidence::Unknown,
        },
        None => CredentialEvidence::Unknown,
    }
}

/// Every error, in the order of the questions.
pub(super) fn errors(evidence: &ProbeResults) -> impl Iterator<Item = &ApiError> {
    fn error<T>(asked: &Probe<T>) -> Option<&ApiError> {
        asked.as_ref().and_then(|result| result.as_ref().err())
    }
    [
        error(&evidence.token),
        error(&evidence.behaviors),
        error(&evidence.integrations),
        error(&evidence.users),
    ]
    .into_iter()
    .flatten()
}
