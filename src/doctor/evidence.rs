//! What is asked: the token, and one question for each permission that can be proven by reading.

use std::collections::BTreeSet;

use jiff::civil::Date;

use crate::api::{
    ApiError, BaseUrl, Client, ErrorKind, Signs, Surroundings, TokenOwner, TransportFailure,
    VerifiedToken,
};
use crate::model::account::AccountId;
use crate::model::behavior::BehaviorKey;

/// What is known about one account once everything was asked.
#[derive(Clone, Debug)]
pub struct Evidence {
    /// Where the questions went.
    pub base_url: BaseUrl,
    /// How and in whose name they were asked.
    pub access: Access,
    /// What the API says about the token, and who owns it; not asked for a key.
    pub token: Asked<(Owner, VerifiedToken)>,
    /// The behaviors that the account offers.
    pub behaviors: Asked<BTreeSet<BehaviorKey>>,
    /// Whether the integrations can be listed.
    pub integrations: Asked<()>,
    /// Whether the users can be read; who they are is forgotten at once.
    pub users: Asked<()>,
    /// Whether Access policies can be read.
    pub access_policies: Asked<()>,
    /// Whether Access groups can be read.
    pub access_groups: Asked<()>,
    /// Whether the account's audit log can be read.
    pub audit_log: Asked<()>,
    /// What the last answer told about the server; `None` where there was none.
    pub signs: Option<Signs>,
    /// What the files list, where there are any.
    pub declared: Option<Declared>,
}

/// An answer, or `None` where asking had become pointless.
pub type Asked<T> = Option<Result<T, ApiError>>;

/// How the API is reached, and in whose name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Access {
    /// The way there.
    pub way: Way,
    /// What kind the credentials are.
    pub means: Means,
    /// Where they came from, for people.
    pub source: String,
    /// The proxy between here and there.
    pub proxy: Option<ProxyOnTheWay>,
}

/// A proxy that the environment names. Never its user or password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProxyOnTheWay {
    pub variable: String,
    /// Host and port.
    pub address: String,
}

/// The way to the API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// Over the network.
    Network,
    /// The simulated one, within this process.
    InProcess,
}

/// How the API is told who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Means {
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
) -> Evidence {
    let reader = connection.reader();
    let mut evidence = Evidence {
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
    if evidence.access.means == Means::Token {
        evidence.token = Some(verify(connection, account).await);
    }
    if !is_pointless(&evidence.token) {
        let behaviors = reader.behaviors(account).await;
        evidence.behaviors = Some(behaviors.map(|answer| answer.value.into_keys().collect()));
    }
    if evidence.behaviors.is_some() && !is_pointless(&evidence.behaviors) {
        evidence.integrations = Some(reader.integrations(account).await.map(|_| ()));
    }
    if evidence.integrations.is_some() && !is_pointless(&evidence.integrations) {
        evidence.users = Some(reader.users(account).await.map(|_| ()));
    }
    if evidence.users.is_some() && !is_pointless(&evidence.users) {
        let (policies, groups, log) = tokio::join!(
            reader.may_read(Surroundings::Policies, account),
            reader.may_read(Surroundings::Groups, account),
            reader.may_read(Surroundings::AuditLog { today }, account),
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
        Err(error) if is_final(&error) => return Err(error),
        Err(error) => error,
    };
    match reader.verify_token(TokenOwner::Account(account)).await {
        Ok(answer) => Ok((Owner::Account, answer.value)),
        Err(_) => Err(error),
    }
}

fn is_pointless<T>(asked: &Asked<T>) -> bool {
    matches!(asked, Some(Err(error)) if is_final(error))
}

/// Whether every other question would end the same way, or make things worse.
fn is_final(error: &ApiError) -> bool {
    match error.kind() {
        ErrorKind::RateLimited | ErrorKind::Stopped => true,
        ErrorKind::Transport { failure, .. } => match failure {
            TransportFailure::Setup | TransportFailure::Connect | TransportFailure::Tls => true,
            // A slow or broken answer to one question says little about the others.
            TransportFailure::Timeout | TransportFailure::Closed | TransportFailure::TooLarge => {
                false
            }
        },
        ErrorKind::Credentials
        | ErrorKind::Access
        | ErrorKind::Permission
        | ErrorKind::Entitlement
        | ErrorKind::NotFound
        | ErrorKind::NoRoute
        | ErrorKind::Refused
        | ErrorKind::ServerFault { .. }
        | ErrorKind::Unexpected { .. } => false,
    }
}

/// What the reads prove about the credentials.
pub(super) enum Reads<'a> {
    /// One was answered.
    Answered,
    /// One was refused for another reason than the credentials.
    Known,
    /// The credentials were refused.
    Refused(&'a ApiError),
    /// Nothing.
    Unknown,
}

pub(super) fn reads(evidence: &Evidence) -> Reads<'_> {
    match &evidence.behaviors {
        Some(Ok(_)) => Reads::Answered,
        Some(Err(error)) => match error.kind() {
            ErrorKind::Permission | ErrorKind::Entitlement => Reads::Known,
            ErrorKind::Credentials | ErrorKind::Access => Reads::Refused(error),
            ErrorKind::NotFound
            | ErrorKind::NoRoute
            | ErrorKind::Stopped
            | ErrorKind::RateLimited
            | ErrorKind::Refused
            | ErrorKind::ServerFault { .. }
            | ErrorKind::Transport { .. }
            | ErrorKind::Unexpected { .. } => Reads::Unknown,
        },
        None => Reads::Unknown,
    }
}

/// Every error, in the order of the questions.
pub(super) fn errors(evidence: &Evidence) -> impl Iterator<Item = &ApiError> {
    fn error<T>(asked: &Asked<T>) -> Option<&ApiError> {
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
