//! Requests of the doctor: token verification and one read per permission.

use std::collections::BTreeSet;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::api::{ApiError, BaseUrl, Client, ErrorKind, Proxy, ResponseMetadata, VerifiedToken};
use crate::model::account::{AccountId, DesiredAccount};
use crate::model::behavior::BehaviorKey;

/// Credentials and declaration of one account, and the results of all requests for it.
#[derive(Clone, Default)]
pub struct ProbeResults<'a> {
    /// Source of the credentials, for display.
    pub source: String,
    /// True if the credentials are a token. An email address and its global API key cannot be verified.
    pub has_token: bool,
    /// True if the API is simulated in this process.
    pub is_simulated: bool,
    /// Proxy, if any.
    pub proxy: Option<Proxy>,
    /// Declaration of the account, if the files are valid.
    pub desired: Option<&'a DesiredAccount>,
    /// Time of the requests.
    pub now: Timestamp,
    /// Base URL of the API.
    pub base_url: BaseUrl,
    /// Kind of the token and its verification.
    pub token: Probe<(&'static str, VerifiedToken)>,
    /// Behaviors of the account.
    pub behaviors: Probe<BTreeSet<BehaviorKey>>,
    /// Result of listing the integrations.
    pub integrations: Probe<()>,
    /// Result of listing the users, without the users.
    pub users: Probe<()>,
    /// Results of reading the Access policies, the Access groups and the audit log.
    pub context: [Probe<()>; 3],
    /// Metadata of the last response, if any.
    pub metadata: Option<ResponseMetadata>,
}

/// Result of a request; `None` if it was skipped.
pub type Probe<T> = Option<Result<T, ApiError>>;

/// Sends all requests for one account, all read-only. Stops if the API is unreachable or rate limited.
pub async fn probe_account(probed: &mut ProbeResults<'_>, client: &Client, account: &AccountId) {
    probed.base_url = client.base_url().clone();
    let _stopped = send_requests(probed, client, account).await;
    probed.metadata = client.last_metadata();
}

async fn send_requests(
    probed: &mut ProbeResults<'_>,
    client: &Client,
    account: &AccountId,
) -> Option<()> {
    let reader = client.reader();
    if probed.has_token {
        store(&mut probed.token, reader.verify_token(account).await)?;
    }
    let behaviors = reader.behaviors(account).await;
    let behaviors = behaviors.map(|behaviors| behaviors.into_keys().collect());
    store(&mut probed.behaviors, behaviors)?;
    let integrations = reader.integrations(account).await;
    store(&mut probed.integrations, integrations.map(drop))?;
    let users = reader.users(account).await;
    store(&mut probed.users, users.map(drop))?;
    let today = probed.now.to_zoned(TimeZone::UTC).date();
    probed.context = reader.probe_context(account, today).await.map(Some);
    Some(())
}

/// Stores a result. Returns `None` if all other requests would fail the same way.
fn store<T>(probe: &mut Probe<T>, result: Result<T, ApiError>) -> Option<()> {
    let goes_on = !result.as_ref().is_err_and(ApiError::concerns_all_requests);
    *probe = Some(result);
    goes_on.then_some(())
}

impl ProbeResults<'_> {
    /// Returns how a read proved that the API knows the credentials, if one did.
    pub(super) fn accepted(&self) -> Option<&'static str> {
        match self.behaviors.as_ref()? {
            Ok(_) => Some("accepted for reading"),
            Err(error) => match error.kind() {
                ErrorKind::Permission | ErrorKind::Entitlement => Some("known to the API"),
                _ => None,
            },
        }
    }

    /// Returns the error of a read whose credentials were or may have been rejected.
    pub(super) fn refusal(&self) -> Option<&ApiError> {
        let error = self.behaviors.as_ref()?.as_ref().err()?;
        let is_refusal = matches!(
            error.kind(),
            ErrorKind::Credentials | ErrorKind::CredentialsOrPermission
        );
        is_refusal.then_some(error)
    }

    /// Returns the errors of the requests that every command needs, and of the list of users, in order.
    pub(super) fn errors(&self) -> impl Iterator<Item = &ApiError> {
        fn error<T>(probe: &Probe<T>) -> Option<&ApiError> {
            probe.as_ref()?.as_ref().err()
        }
        [
            error(&self.token),
            error(&self.behaviors),
            error(&self.integrations),
            error(&self.users),
        ]
        .into_iter()
        .flatten()
    }

    /// Returns the first error of a kind.
    pub(super) fn error(&self, kind: &ErrorKind) -> Option<&ApiError> {
        self.errors().find(|error| error.kind() == kind)
    }
}
