//! What the doctor looks at: one stable id for each check.

use super::finding::Finding;
use crate::model::open_enum::words;

words! {
    /// The checks, in the order in which one thing needs the other.
    Check {
        /// The desired-state files are there and valid.
        Files = "files",
        /// There is something to show the API.
        Credentials = "credentials",
        /// The API answers.
        Api = "api",
        /// The proxy that the environment names.
        Proxy = "proxy",
        /// The token is valid.
        Token = "token",
        /// *Zero Trust Read*.
        Read = "zero_trust_read",
        /// *Zero Trust: PII Read*.
        PiiRead = "zero_trust_pii_read",
        /// *Zero Trust Write*.
        Write = "zero_trust_write",
        /// The account has bought risk scoring.
        Entitlement = "entitlement",
        /// *Access: Apps and Policies Read*.
        AccessPolicies = "access_policies",
        /// *Access: Organizations, Identity Providers, and Groups Read*.
        AccessGroups = "access_groups",
        /// *Account Settings Read*.
        AuditLog = "audit_log",
        /// How many requests are left.
        RateBudget = "rate_budget",
        /// This machine's clock.
        Clock = "clock",
        /// Behaviors that the vendor offers and no file lists.
        NewBehaviors = "new_behaviors",
    }
}

impl Check {
    /// What the check is called in a table; permissions by the names that the dashboard shows.
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

    /// Whether it is about being let in, rather than about anything else.
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

/// What the doctor's checks find.
pub type DoctorFinding = Finding<Check>;
