//! Checks of the doctor, with stable ids.

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
        Api = "api",
        /// The proxy in the environment.
        Proxy = "proxy",
        /// The token is valid.
        Token = "token",
        /// *Zero Trust Read*.
        Read = "zero_trust_read",
        /// *Zero Trust: PII Read*.
        PiiRead = "zero_trust_pii_read",
        /// *Zero Trust Write*.
        Write = "zero_trust_write",
        /// Risk Scoring is enabled for the account.
        Entitlement = "entitlement",
        /// *Access: Apps and Policies Read*.
        AccessPolicies = "access_policies",
        /// *Access: Organizations, Identity Providers, and Groups Read*.
        AccessGroups = "access_groups",
        /// *Account Settings Read*.
        AuditLog = "audit_log",
        /// Remaining requests.
        RateBudget = "rate_budget",
        /// Clock of this machine.
        Clock = "clock",
        /// Unlisted behaviors of the account.
        NewBehaviors = "new_behaviors",
    }
}

impl Check {
    /// Title in a table. Permissions have their dashboard names.
    pub fn title(self) -> &'static str {
        match self {
            Check::Files => "files",
            Check::Proxy => "proxy",
            Check::Credentials => "credentials",
            Check::Api => "API",
            Check::Token => "token",
            Check::Read => "Zero Trust Read",
            Check::PiiRead => "Zero Trust: PII Read",
            Check::Write => "Zero Trust Write",
            Check::Entitlement => "entitlement",
            Check::AccessPolicies => "Access policies",
            Check::AccessGroups => "Access groups",
            Check::AuditLog => "audit log",
            Check::RateBudget => "rate budget",
            Check::Clock => "clock",
            Check::NewBehaviors => "new behaviors",
        }
    }

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
