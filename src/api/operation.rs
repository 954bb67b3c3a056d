//! What can be asked of the API, and what is true of each question: its method, the permission it needs, what it answers.

use std::fmt;

use http::Method;

/// One kind of call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Operation {
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

impl Operation {
    /// The HTTP method.
    pub fn method(self) -> Method {
        match self {
            Operation::ReadBehaviors
            | Operation::ListIntegrations
            | Operation::ReadIntegration
            | Operation::ReadIntegrationByReference
            | Operation::ListUsers
            | Operation::ReadUser
            | Operation::VerifyToken
            | Operation::ListAccessPolicies
            | Operation::ListAccessGroups
            | Operation::ListAccessApps
            | Operation::ListAccessAppPolicies
            | Operation::ListIdentityProviders
            | Operation::SearchAuditLog => Method::GET,
            Operation::WriteBehaviors | Operation::UpdateIntegration => Method::PUT,
            Operation::CreateIntegration | Operation::ResetUser => Method::POST,
            Operation::DeleteIntegration => Method::DELETE,
        }
    }

    /// The permission that a token needs, if any (`contract.md`, Transport).
    pub fn permission(self) -> Option<Permission> {
        match self {
            Operation::ReadBehaviors
            | Operation::ListIntegrations
            | Operation::ReadIntegration
            | Operation::ReadIntegrationByReference => Some(Permission::Read),
            Operation::WriteBehaviors
            | Operation::CreateIntegration
            | Operation::UpdateIntegration
            | Operation::DeleteIntegration
            | Operation::ResetUser => Some(Permission::Write),
            Operation::ListUsers | Operation::ReadUser => Some(Permission::PiiRead),
            Operation::VerifyToken => None,
            Operation::ListAccessPolicies
            | Operation::ListAccessApps
            | Operation::ListAccessAppPolicies => Some(Permission::AccessPolicies),
            Operation::ListAccessGroups | Operation::ListIdentityProviders => {
                Some(Permission::AccessGroups)
            }
            Operation::SearchAuditLog => Some(Permission::AccountSettings),
        }
    }

    /// Whether its answers are about persons or may hold secrets, so that nothing of them is shown in an error.
    pub(super) fn tells_about_people(self) -> bool {
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
            Operation::ReadBehaviors => "the account's behaviors",
            Operation::WriteBehaviors => "the behaviors after the write",
            Operation::ListIntegrations => "the account's integrations",
            Operation::ReadIntegration | Operation::ReadIntegrationByReference => {
                "the integration that was asked for"
            }
            Operation::CreateIntegration => "the new integration",
            Operation::UpdateIntegration => "the integration after the write",
            Operation::DeleteIntegration => "a confirmation that the integration is deleted",
            Operation::ListUsers => "the users who have a score",
            Operation::ReadUser => "the user's events",
            Operation::ResetUser => "a confirmation that the score is cleared",
            Operation::VerifyToken => "the status of the token",
            Operation::ListAccessPolicies => "the account's Access policies",
            Operation::ListAccessGroups => "the account's Access groups",
            Operation::ListAccessApps => "the account's Access applications",
            Operation::ListAccessAppPolicies => "the policies of the Access application",
            Operation::ListIdentityProviders => "the account's identity providers",
            Operation::SearchAuditLog => "the account's audit log",
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
