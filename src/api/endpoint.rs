//! Endpoints of the API, with their HTTP methods and permissions.

use std::fmt;

use http::Method;

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
    /// Returns the HTTP method.
    pub fn method(self) -> Method {
        match self {
            Endpoint::ReadBehaviors
            | Endpoint::ListIntegrations
            | Endpoint::ReadIntegration
            | Endpoint::ReadIntegrationByReference
            | Endpoint::ListUsers
            | Endpoint::ReadUser
            | Endpoint::VerifyToken
            | Endpoint::ListAccessPolicies
            | Endpoint::ListAccessGroups
            | Endpoint::ListAccessApps
            | Endpoint::ListAccessAppPolicies
            | Endpoint::ListIdentityProviders
            | Endpoint::SearchAuditLog => Method::GET,
            Endpoint::WriteBehaviors | Endpoint::UpdateIntegration => Method::PUT,
            Endpoint::CreateIntegration | Endpoint::ResetUser => Method::POST,
            Endpoint::DeleteIntegration => Method::DELETE,
        }
    }

    /// Returns the permission that a token needs, if any (`schema/api.md`, Transport).
    pub fn permission(self) -> Option<Permission> {
        match self {
            Endpoint::ReadBehaviors
            | Endpoint::ListIntegrations
            | Endpoint::ReadIntegration
            | Endpoint::ReadIntegrationByReference => Some(Permission::Read),
            Endpoint::WriteBehaviors
            | Endpoint::CreateIntegration
            | Endpoint::UpdateIntegration
            | Endpoint::DeleteIntegration
            | Endpoint::ResetUser => Some(Permission::Write),
            Endpoint::ListUsers | Endpoint::ReadUser => Some(Permission::PiiRead),
            Endpoint::VerifyToken => None,
            Endpoint::ListAccessPolicies
            | Endpoint::ListAccessApps
            | Endpoint::ListAccessAppPolicies => Some(Permission::AccessPolicies),
            Endpoint::ListAccessGroups | Endpoint::ListIdentityProviders => {
                Some(Permission::AccessGroups)
            }
            Endpoint::SearchAuditLog => Some(Permission::AccountSettings),
        }
    }

    /// Returns true if responses may contain personal data or secrets and must not be shown in errors.
    pub(super) fn has_sensitive_response(self) -> bool {
        match self.permission() {
            Some(
                Permission::PiiRead
                | Permission::AccessPolicies
                | Permission::AccessGroups
                | Permission::AccountSettings,
            ) => true,
            Some(Permission::Read | Permission::Write) | None => false,
        }
    }

    /// Returns the expected content of a response, for error messages.
    pub(super) fn expected_response(self) -> &'static str {
        match self {
            Endpoint::ReadBehaviors => "the account's behaviors",
            Endpoint::WriteBehaviors => "the behaviors after the write",
            Endpoint::ListIntegrations => "the account's integrations",
            Endpoint::ReadIntegration | Endpoint::ReadIntegrationByReference => {
                "the requested integration"
            }
            Endpoint::CreateIntegration => "the new integration",
            Endpoint::UpdateIntegration => "the integration after the write",
            Endpoint::DeleteIntegration => "a confirmation that the integration was deleted",
            Endpoint::ListUsers => "the users with a risk score",
            Endpoint::ReadUser => "the user's events",
            Endpoint::ResetUser => "a confirmation that the score was reset",
            Endpoint::VerifyToken => "the status of the token",
            Endpoint::ListAccessPolicies => "the account's Access policies",
            Endpoint::ListAccessGroups => "the account's Access groups",
            Endpoint::ListAccessApps => "the account's Access applications",
            Endpoint::ListAccessAppPolicies => "the policies of the Access application",
            Endpoint::ListIdentityProviders => "the account's identity providers",
            Endpoint::SearchAuditLog => "the account's audit log",
        }
    }
}

/// A permission of an API token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Permission {
    /// Read behaviors and integrations.
    Read,
    /// Write behaviors and integrations, and reset users.
    Write,
    /// Read users.
    PiiRead,
    /// Read Access policies and applications.
    AccessPolicies,
    /// Read Access groups and identity providers.
    AccessGroups,
    /// Read the account's audit log.
    AccountSettings,
}

impl Permission {
    /// Returns the name shown in the dashboard.
    pub fn as_str(self) -> &'static str {
        match self {
            Permission::Read => "Zero Trust Read",
            Permission::Write => "Zero Trust Write",
            Permission::PiiRead => "Zero Trust: PII Read",
            Permission::AccessPolicies => "Access: Apps and Policies Read",
            Permission::AccessGroups => {
                "Access: Organizations, Identity Providers, and Groups Read"
            }
            Permission::AccountSettings => "Account Settings Read",
        }
    }
}

impl fmt::Display for Permission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}
