//! Settings for loading files: allowed root, variables and limits.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

use crate::cli::error::CommandError;
use crate::cli::flags::DesiredStateArgs;
use crate::cli::io::environment::{self, variable};
use crate::cli::io::output::Output;
use crate::config::files::AllowedRoot;
use crate::config::load::{LoadOptions, load_limits as load_limits_file};
use crate::model::account::AccountId;
use crate::model::limits::Limits;

pub(crate) struct LoadContext {
    pub(crate) limits: Arc<Limits>,
    limits_file: Option<PathBuf>,
    pub(crate) confinement: AllowedRoot,
}

impl LoadContext {
    /// Reads the limits.
    pub(crate) fn of(desired: &DesiredStateArgs) -> Result<Self, CommandError> {
        let limits = load_limits(desired)?;
        Ok(LoadContext {
            limits,
            limits_file: limits_file(desired)?,
            confinement: confinement(desired.paths.root.as_deref()),
        })
    }

    /// Registers the limits file as an input.
    pub(crate) fn add_input(&self, output: &Output) -> Result<(), CommandError> {
        let file = self.limits_file.as_deref();
        file.map_or(Ok(()), |file| output.add_input(file))
    }

    /// Returns the options for loading files.
    pub(crate) fn request<'a>(
        &'a self,
        desired: &'a DesiredStateArgs,
    ) -> Result<LoadOptions<'a>, CommandError> {
        Ok(LoadOptions {
            paths: &desired.paths.paths,
            account_id: desired.who.account_id.clone(),
            default_account_id: account_id_from_env()?,
            confinement: &self.confinement,
            limits: &self.limits,
            variables: &environment::interpolated,
            today: today(),
        })
    }
}

/// Returns the directories that files may be in.
pub(crate) fn confinement(root: Option<&Path>) -> AllowedRoot {
    AllowedRoot {
        root: root.map(Path::to_owned),
        home: std::env::home_dir(),
    }
}

/// Loads the limits from `--limits` or RISKFORM_LIMITS.
pub(crate) fn load_limits(desired: &DesiredStateArgs) -> Result<Arc<Limits>, CommandError> {
    let limits = limits_file(desired)?.map(|file| load_limits_file(&file));
    let limits = limits.transpose();
    Ok(Arc::new(
        limits.map_err(CommandError::Files)?.unwrap_or_default(),
    ))
}

fn limits_file(desired: &DesiredStateArgs) -> Result<Option<PathBuf>, CommandError> {
    if let Some(file) = &desired.limits {
        return Ok(Some(file.clone()));
    }
    environment::limits_file().map_err(|error| {
        CommandError::Other(error.into()).with_help("set it to a limits file, or unset it")
    })
}

/// Returns today's date in UTC, for `until` in `ignore_changes`.
pub(crate) fn today() -> Date {
    Timestamp::now().to_zoned(TimeZone::UTC).date()
}

/// Returns the account ID from the environment.
pub(crate) fn account_id_from_env() -> Result<Option<AccountId>, CommandError> {
    variable(environment::ACCOUNT_ID)
        .map(|text| {
            text.parse().map_err(CommandError::other(format!(
                "{}={text}",
                environment::ACCOUNT_ID
            )))
        })
        .transpose()
}
