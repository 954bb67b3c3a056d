//! The account of the commands that work without files.

use crate::api::Connection;
use crate::model::account::AccountId;
use crate::sandbox::RECORDED_ACCOUNT;

use super::args::Global;
use super::environment::{self, variable};
use super::error::Error;
use super::output::Output;
use super::session::Session;

/// One account, and the way to it.
pub(super) struct Account {
    pub(super) id: AccountId,
    pub(super) connection: Connection,
}

impl Account {
    /// Opens the way to the account that the command line or the environment names.
    pub(super) fn open(global: &Global, output: &Output) -> Result<Self, Error> {
        let id = id(global)?;
        let connection = Session::open(global, output)?
            .connection_to(id.as_str(), None)
            .map_err(Error::Account)?;
        Ok(Account { id, connection })
    }
}

/// The account that the command line or the environment names. The simulated API has one to offer where neither does.
pub(super) fn id(global: &Global) -> Result<AccountId, Error> {
    if let Some(id) = &global.account_id {
        return Ok(id.clone());
    }
    match default_id()? {
        Some(id) => Ok(id),
        None if global.sandbox => RECORDED_ACCOUNT
            .parse()
            .map_err(Error::other("the simulated account has no id")),
        None => Err(Error::Usage(format!(
            "which account? pass --account-id ID, or set {}",
            environment::ACCOUNT_ID
        ))),
    }
}

/// The account that the environment names.
pub(super) fn default_id() -> Result<Option<AccountId>, Error> {
    variable(environment::ACCOUNT_ID)
        .map(|text| {
            text.parse()
                .map_err(Error::other(format!("{}={text}", environment::ACCOUNT_ID)))
        })
        .transpose()
}
