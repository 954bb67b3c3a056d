//! Endpoints of the API, with their HTTP methods and permissions.

use http::Method;

use crate::model::open_enum::string_enum;

/// An endpoint of the API.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Endpoint {
    /// Reads all behaviors of the account.
    ReadBehaviors,
    /// Writes the complete map of behaviors.
    WriteBehaviors,
    /// Lists all integrations of the account.
    ListIntegrations,
    /// Reads an integration by ID.
    ReadIntegration,
    /// Reads an integration by `reference_id`.
    ReadIntegrationByReference,
    /// Creates an integration.
    CreateIntegration,
    /// Overwrites an integration.
    UpdateIntegration,
    /// Deletes an integration.
    DeleteIntegration,
    /// Lists the users with a risk score.
    ListUsers,
    /// Reads a user's events and score.
    ReadUser,
    /// Resets a user's score.
    ResetUser,
    /// Verifies the token.
    VerifyToken,
    /// Lists the reusable Access policies.
    ListAccessPolicies,
    /// Lists the Access groups.
    ListAccessGroups,
    /// Lists the Access applications.
    ListAccessApps,
    /// Lists the policies of an Access application.
    ListAccessAppPolicies,
    /// Lists the Access identity providers.
    ListIdentityProviders,
    /// Searches the account's audit log.
    SearchAuditLog,
}

impl Endpoint {
    /// Returns the method, the permission that a token needs (`schema/api.md`, Transport) and the expected content of a response.
    fn row(self) -> (Method, Option<Permission>, &'static str) {
        use Endpoint::*;
        use Permission::*;
        const GET: Method = Method::GET;
        let (method, permission, expected) = match self {
            ReadBehaviors => (GET, Read, "the account's behaviors"),
            WriteBehaviors => (Method::PUT, Write, "the behaviors after the write"),
            ListIntegrations => (GET, Read, "the account's integrations"),
            ReadIntegration | ReadIntegrationByReference => {
                (GET, Read, "the requested integration")
            }
            CreateIntegration => (Method::POST, Write, "the new integration"),
            UpdateIntegration => (Method::PUT, Write, "the integration after the write"),
            DeleteIntegration => (Method::DELETE, Write, "a confirmation of the deletion"),
            ListUsers => (GET, PiiRead, "the users with a risk score"),
            ReadUser => (GET, PiiRead, "the user's events"),
            ResetUser => (Method::POST, Write, "a confirmation of the reset"),
            VerifyToken => return (GET, None, "the status of the token"),
            ListAccessPolicies => (GET, AccessPolicies, "the account's Access policies"),
            ListAccessGroups => (GET, AccessGroups, "the account's Access groups"),
            ListAccessApps => (GET, AccessPolicies, "the account's Access applications"),
            ListAccessAppPolicies => (GET, AccessPolicies, "the application's policies"),
            ListIdentityProviders => (GET, AccessGroups, "the account's identity providers"),
            SearchAuditLog => (GET, AccountSettings, "the account's audit log"),
        };
        (method, Some(permission), expected)
    }

    /// Returns the HTTP method.
    pub fn method(self) -> Method {
        self.row().0
    }

    /// Returns the permission that a token needs, if any.
    pub fn permission(self) -> Option<Permission> {
        self.row().1
    }

    /// Returns the expected content of a response, for error messages.
    pub(super) fn expected_response(self) -> &'static str {
        self.row().2
    }

    /// Returns true if responses may contain personal data or secrets and must not be shown in errors.
    pub(super) fn has_sensitive_response(self) -> bool {
        !matches!(
            self.permission(),
            None | Some(Permission::Read | Permission::Write)
        )
    }
}

string_enum! {
    /// A permission of an API token, with its name in the dashboard.
    Permission {
        /// Read behaviors and integrations.
        Read = "Zero Trust Read",
        /// Write behaviors and integrations, and reset users.
        Write = "Zero Trust Write",
        /// Read users.
        PiiRead = "Zero Trust: PII Read",
        /// Read Access policies and applications.
        AccessPolicies = "Access: Apps and Policies Read",
        /// Read Access groups and identity providers.
        AccessGroups = "Access: Organizations, Identity Providers, and Groups Read",
        /// Read the account's audit log.
        AccountSettings = "Account Settings Read",
    }
}
