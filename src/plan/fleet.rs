//! The plan of a whole run: one or more accounts, each planned or failed on its own.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::model::account::{AccountId, DesiredAccount};
use crate::model::address::Name;
use crate::model::open_word::words;

use super::outcome::{AccountPlan, Action};

/// What a run found out, account by account, in the order of their sources.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The API that was asked.
    pub base_url: String,
    /// The accounts; sorted by source, then by id.
    pub accounts: Vec<PlannedAccount>,
}

/// One account of a run.
#[derive(Clone, Debug)]
pub struct PlannedAccount {
    /// The account.
    pub account_id: AccountId,
    /// Its label.
    pub name: Option<Name>,
    /// The file that declares it.
    pub source: Arc<str>,
    /// Its plan, or why there is none.
    pub result: Result<AccountPlan, AccountError>,
}

impl PlannedAccount {
    /// Puts a plan, or its absence, beside the account that it is about.
    pub fn new(desired: &DesiredAccount, result: Result<AccountPlan, AccountError>) -> Self {
        PlannedAccount {
            account_id: desired.account_id.clone(),
            name: desired.name.clone(),
            source: Arc::clone(&desired.source),
            result,
        }
    }

    /// How the account is called in output: its name, else its id.
    pub fn label(&self) -> &str {
        match &self.name {
            Some(name) => name.as_str(),
            None => self.account_id.as_str(),
        }
    }
}

/// Why one account could not be handled. The others go on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema, thiserror::Error)]
#[error("{message}")]
pub struct AccountError {
    /// What kind of failure it is; decides the exit code.
    pub kind: FailureKind,
    /// What happened.
    pub message: String,
    /// The way out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub help: Option<String>,
}

words! {
    /// The kinds of failure that a script can tell apart.
    FailureKind {
        /// No credentials, or the API does not take them.
        Credentials = "credentials",
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

/// The totals of a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Summary {
    /// Things to create.
    pub create: usize,
    /// Things to update.
    pub update: usize,
    /// Things to replace.
    pub replace: usize,
    /// Things to delete.
    pub delete: usize,
    /// Listed things that are as declared.
    pub unchanged: usize,
    /// Live things that no file lists, and that stay.
    pub unlisted: usize,
    /// Changes that weaken protection.
    pub weakening: usize,
    /// Accounts that could not be planned.
    pub failed_accounts: usize,
}

impl Plan {
    /// The plans of the accounts that could be planned.
    pub fn planned(&self) -> impl Iterator<Item = &AccountPlan> {
        self.accounts
            .iter()
            .filter_map(|account| account.result.as_ref().ok())
    }

    /// Adds everything up.
    pub fn summary(&self) -> Summary {
        let mut summary = Summary {
            failed_accounts: self.accounts.len() - self.planned().count(),
            ..Summary::default()
        };
        for plan in self.planned() {
            summary.create += plan.count(Action::Create);
            summary.update += plan.count(Action::Update);
            summary.replace += plan.count(Action::Replace);
            summary.delete += plan.count(Action::Delete);
            summary.unchanged += plan.unchanged();
            summary.unlisted += plan.unlisted.len();
            summary.weakening += plan
                .changes
                .iter()
                .filter(|change| change.weakens.is_some())
                .count();
        }
        summary
    }
}
