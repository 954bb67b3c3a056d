//! The error of one account. A run continues with the other accounts.

#[cfg(test)]
use schemars::JsonSchema;
use serde::Serialize;

use super::open_enum::string_enum;

/// Error of one account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, thiserror::Error)]
#[cfg_attr(test, derive(JsonSchema))]
#[error("{message}")]
pub struct AccountError {
    /// Kind of the error; determines the exit code.
    pub kind: FailureKind,
    pub message: String,
    /// `CF-Ray` header of the response.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cf_ray: Option<String>,
    /// Suggestion to fix the error.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub help: Option<String>,
}

string_enum! {
    /// Kind of an account error.
    FailureKind {
        /// Credentials are missing or invalid.
        Credentials = "credentials",
        /// Credentials are invalid or lack a permission; the API does not say which.
        CredentialsOrPermission = "credentials_or_permission",
        /// A permission is missing.
        Permission = "permission",
        /// The plan of the account does not include risk scoring.
        Entitlement = "entitlement",
        /// The desired state cannot be planned for the live account.
        Plan = "plan",
        /// The API rejected the request, failed, or sent an unexpected response.
        Api = "api",
        /// The API cannot be reached.
        Network = "network",
    }
}
