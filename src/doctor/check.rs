//! Checks of the doctor, with their titles. Permissions have their dashboard names.

use super::finding::Finding;
use crate::model::open_enum::string_enum;

string_enum! {
    /// The checks, in order of dependency.
    Check {
        /// The desired-state files exist and are valid.
        Files = "files",
        /// Credentials are set.
        Credentials = "credentials",
        /// The API responds.
        Api = "API",
        /// The proxy in the environment.
        Proxy = "proxy",
        /// The token is valid.
        Token = "token",
        Read = "Zero Trust Read",
        PiiRead = "Zero Trust: PII Read",
        Write = "Zero Trust Write",
        /// Risk Scoring is enabled for the account.
        Entitlement = "entitlement",
        /// *Access: Apps and Policies Read*.
        AccessPolicies = "Access policies",
        /// *Access: Organizations, Identity Providers, and Groups Read*.
        AccessGroups = "Access groups",
        /// *Account Settings Read*.
        AuditLog = "audit log",
        /// Remaining requests.
        RateBudget = "rate budget",
        /// Clock of this machine.
        Clock = "clock",
        /// Unlisted behaviors of the account.
        NewBehaviors = "new behaviors",
    }
}

impl Check {
    /// Returns true if it checks credentials or permissions.
    pub fn is_auth_check(self) -> bool {
        match self {
            Check::Credentials
            | Check::Token
            | Check::Read
            | Check::PiiRead
            | Check::Write
            | Check::Entitlement
            | Check::AccessPolicies
            | Check::AccessGroups
            | Check::AuditLog => true,
            Check::Files
            | Check::Proxy
            | Check::Api
            | Check::RateBudget
            | Check::Clock
            | Check::NewBehaviors => false,
        }
    }
}

/// Finding of the doctor.
pub type DoctorFinding = Finding<Check>;
