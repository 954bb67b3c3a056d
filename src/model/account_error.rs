//! Why one account could not be handled, while the others go on.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::open_enum::words;

/// The failure of one account; its display is what happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema, thiserror::Error)]
#[error("{message}")]
pub struct AccountError {
    /// Decides the exit code.
    pub kind: FailureKind,
    pub message: String,
    /// The answer's `CF-Ray`, where there was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ray: Option<String>,
    /// The way out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub help: Option<String>,
}

words! {
    /// The kinds of failure that a script can tell apart.
    FailureKind {
        /// No credentials, or the API does not take them.
        Credentials = "credentials",
        /// The API does not take the credentials, or they lack a permission; it doesn't say which.
        CredentialsOrPermission = "access",
        /// The token lacks a permission.
        Permission = "permission",
        /// The account does not have risk scoring.
        Entitlement = "entitlement",
        /// What the file says can't be planned against what is live.
        Desired = "desired",
        /// The API refused the request, failed, or answered something unexpected.
        Api = "api",
        /// The API could not be reached.
        Transport = "transport",
    }
}
