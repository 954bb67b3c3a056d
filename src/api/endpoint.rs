//! What can be asked of the API, and what is true of each question: its method, the permission it needs, what it answers.

use std::fmt;

use http::Method;

/// One kind of call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Endpoint {
    /// Every behavior of the account.
    ReadBehaviors,
    /// The complete map of behaviors, written.
    WriteBehaviors,
    /// Every integration of the account.
    ListIntegrations,
    /// One integration by its id.
    ReadIntegration,
    /// One integration by its reference.
    ReadIntegrationByReference,
    /// A new integration.
    CreateIntegration,
    /// An integration, overwritten.
    UpdateIntegration,
    /// An integration, deleted.
    DeleteIntegration,
    /// Every user who has a score.
    ListUsers,
    /// One user's events and score.
    ReadUser,
    /// One user's score, cleared.
    ResetUser,
    /// Whether the token is valid.
    VerifyToken,
    /// The reusable Access policies.
    ListAccessPolicies,
    /// The Access groups.
    ListAccessGroups,
    /// The Access applications.
    ListAccessApps,
    /// The policies of one Access application.
    ListAccessAppPolicies,
    /// The Access identity providers.
    ListIdentityProviders,
    /// The account's audit log.
    SearchAuditLog,
}

impl Endpoint {
    /// The HTTP method.
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

    /// The permission that a token needs, if any (`schema/api.md`, Transport).
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

    /// Whether its answers are about persons or may hold secrets, so that nothing of them is shown in an error.
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

    /// What a good answer holds.
    pub(super) fn answers(self) -> &'static str {
        match self {
            Endpoint::ReadBehaviors => "the account's behaviors",
            Endpoint::WriteBehaviors => "the behaviors after the write",
            Endpoint::ListIntegrations => "the account's integrations",
            Endpoint::ReadIntegration | Endpoint::ReadIntegrationByReference => {
                "the integration that was asked for"
            }
            Endpoint::CreateIntegration => "the new integration",
            Endpoint::UpdateIntegration => "the integration after the write",
            Endpoint::DeleteIntegration => "a confirmation that the integration is deleted",
            Endpoint::ListUsers => "the users who have a score",
            Endpoint::ReadUser => "the user's events",
            Endpoint::ResetUser => "a confirmation that the score is cleared",
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

/// What a token must be allowed, in the vendor's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Permission {
    /// To read behaviors and integrations.
    Read,
    /// To write anything.
    Write,
    /// To read about users.
    PiiRead,
    /// To read Access policies and applications.
    AccessPolicies,
    /// To read Access groups and identity providers.
    AccessGroups,
    /// To read the audit log.
    AccountSettings,
}

impl Permission {
    /// The name as the dashboard shows it.
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
