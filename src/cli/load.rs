//! Loads desired-state files and limits, and finds the account of a command that takes no files.

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

use crate::cli::error::{CommandError, ErrorKind};
use crate::cli::flags::{AccountRef, DesiredStateArgs, PathArgs};
use crate::cli::io::ci;
use crate::cli::io::environment::{self, variable};
use crate::cli::io::output::Output;
use crate::config::diagnostic::Diagnostics;
use crate::config::files::AllowedRoot;
use crate::config::load::{self, Checked, LoadOptions};
use crate::model::account::{AccountId, DesiredAccount};
use crate::model::address::Name;
use crate::model::limits::Limits;
use crate::model::text::{abbreviate_list, pluralize};
use crate::sandbox::RECORDED_ACCOUNT;

/// Limits and allowed root of the files.
pub(crate) struct LoadContext {
    pub(crate) limits: Arc<Limits>,
    pub(crate) allowed_root: AllowedRoot,
}

impl LoadContext {
    /// Reads the limits from `--limits` or RISKFORM_LIMITS.
    pub(crate) fn of(desired: &DesiredStateArgs, output: &Output) -> Result<Self, CommandError> {
        let file = match &desired.limits {
            Some(file) => Some(file.clone()),
            None => environment::limits_file()?,
        };
        let mut context = LoadContext {
            limits: Arc::default(),
            allowed_root: environment::allowed_root(desired.paths.root.clone()),
        };
        if let Some(file) = file {
            let limits = load::load_limits(&file);
            context.limits = Arc::new(limits.map_err(|found| invalid_files(&found, output))?);
            output.add_input(&file)?;
        }
        Ok(context)
    }

    /// Returns the options for loading files.
    pub(crate) fn options<'a>(
        &'a self,
        paths: &'a [PathBuf],
        account_id: Option<&AccountId>,
    ) -> Result<LoadOptions<'a>, CommandError> {
        Ok(LoadOptions {
            paths,
            account_id: account_id.cloned(),
            default_account_id: account_id_from_env()?,
            confinement: &self.allowed_root,
            limits_file: self.limits.source.as_deref(),
            variables: &environment::variable_for_files,
            today: today(),
        })
    }
}

/// Loads the files and shows warnings. An error in one file fails the whole run.
pub(crate) fn load(
    desired: &DesiredStateArgs,
    context: &LoadContext,
    output: &Output,
) -> Result<Checked, CommandError> {
    let paths = &desired.paths.paths;
    check_paths(paths)?;
    let loaded = load_files(
        &context.options(paths, desired.who.account_id.as_ref())?,
        output,
    )?;
    let number = loaded.accounts.len();
    expect(desired, number)?;
    output.verbose(1, format_args!("loaded {}", pluralize(number, "account")));
    Ok(loaded)
}

fn load_files(options: &LoadOptions<'_>, output: &Output) -> Result<Checked, CommandError> {
    let loaded = load::load(options).map_err(|found| invalid_files(&found, output))?;
    let (warnings, mut files) = (&loaded.diagnostics, loaded.files.iter());
    files.try_for_each(|(file, _)| output.add_input(file))?;
    if !warnings.is_empty() {
        output.status(warnings.render_by_rule().trim_end());
        ci::annotate_diagnostics(output, warnings);
    }
    Ok(loaded)
}

/// Returns the error for invalid files, and writes the diagnostics to the CI job.
pub(crate) fn invalid_files(diagnostics: &Diagnostics, output: &Output) -> CommandError {
    ci::annotate_diagnostics(output, diagnostics);
    CommandError::new(ErrorKind::Files, diagnostics.render())
}

/// Returns an error for a missing `riskform.yaml` and for a saved plan.
pub(crate) fn check_paths(paths: &[PathBuf]) -> Result<(), CommandError> {
    for path in paths {
        if path == Path::new(PathArgs::DEFAULT) && fs::symlink_metadata(path).is_err() {
            let message = "riskform.yaml not found in this directory";
            let help = "run `riskform init` to create it, or pass a file or directory";
            return Err(CommandError::new(ErrorKind::NoFile, message).with_help(help));
        }
        if is_saved_plan(path) {
            let path = path.display();
            return Err(CommandError::usage(
                format_args!("{path} is a saved plan, not a desired-state file"),
                format!("run `riskform apply --plan {path}` or `riskform show {path}`"),
            ));
        }
    }
    Ok(())
}

/// Returns true if the file starts like a saved plan.
fn is_saved_plan(path: &Path) -> bool {
    let mut start = [0; 4096];
    let is_file = fs::metadata(path).is_ok_and(|found| found.is_file());
    let mut read = || File::open(path)?.read(&mut start);
    let is_read = is_file && read().is_ok();
    is_read && String::from_utf8_lossy(&start).contains("\"riskform.saved-plan/")
}

/// Checks the number of accounts against `--expect-accounts`, which finds missing files such as a directory that was not mounted.
pub(crate) fn expect(desired: &DesiredStateArgs, found: usize) -> Result<(), CommandError> {
    match desired.expect_accounts {
        Some(expected) if expected != found => Err(CommandError::error(format_args!(
            "the files declare {}, but --expect-accounts is {expected}",
            pluralize(found, "account")
        ))),
        Some(_) | None => Ok(()),
    }
}

/// Returns today's date in UTC, for `until` in `ignore_changes`.
pub(crate) fn today() -> Date {
    Timestamp::now().to_zoned(TimeZone::UTC).date()
}

/// Returns the account ID from the environment.
pub(crate) fn account_id_from_env() -> Result<Option<AccountId>, CommandError> {
    let parse = |text: String| {
        let invalid = |error| format!("{}={text}: {error}", environment::ACCOUNT_ID);
        text.parse()
            .map_err(|error: &str| CommandError::error(invalid(error)))
    };
    variable(environment::ACCOUNT_ID).map(parse).transpose()
}

/// Returns the account ID from the command line or the environment. The simulated API has a default.
pub(crate) fn account_id(
    given: Option<&AccountId>,
    is_sandbox: bool,
) -> Result<AccountId, CommandError> {
    let id = match given {
        Some(id) => Some(id.clone()),
        None => account_id_from_env()?,
    };
    let recorded = || RECORDED_ACCOUNT.parse().expect("it is an account ID");
    id.or_else(|| is_sandbox.then(recorded)).ok_or_else(|| {
        let help = format!("set {}, or pass --account-id", environment::ACCOUNT_ID);
        CommandError::usage("which account?", help)
    })
}

/// Account of a command that takes no files.
pub(crate) struct SelectedAccount {
    pub(crate) id: AccountId,
    /// Its declaration, if the files selected it.
    pub(crate) desired: Option<DesiredAccount>,
}

impl SelectedAccount {
    /// Returns the variable that holds the token, if the declaration names one.
    pub(crate) fn token_variable(&self) -> Option<&str> {
        self.desired.as_ref()?.api_token_env.as_deref()
    }
}

impl From<AccountId> for SelectedAccount {
    fn from(id: AccountId) -> Self {
        SelectedAccount { id, desired: None }
    }
}

impl From<DesiredAccount> for SelectedAccount {
    fn from(desired: DesiredAccount) -> Self {
        SelectedAccount {
            id: desired.account_id.clone(),
            desired: Some(desired),
        }
    }
}

/// Returns the account of `--account-id`, else of the environment, else the only one in `riskform.yaml`.
pub(crate) fn select_account(
    given: Option<&AccountRef>,
    is_sandbox: bool,
    output: &Output,
) -> Result<SelectedAccount, CommandError> {
    match given {
        Some(AccountRef::Id(id)) => return Ok(id.clone().into()),
        Some(AccountRef::Name(name)) => return named_account(name, output).map(Into::into),
        None => {}
    }
    if let Some(id) = account_id_from_env()? {
        return Ok(id.into());
    }
    match only_account(output)? {
        Some(desired) => Ok(desired.into()),
        None => account_id(None, is_sandbox).map(Into::into),
    }
}

/// Returns the account in `riskform.yaml`, if there is one.
fn only_account(output: &Output) -> Result<Option<DesiredAccount>, CommandError> {
    let mut accounts = default_accounts(output)?;
    let mut labels: Vec<&str> = accounts.iter().map(DesiredAccount::label).collect();
    labels.sort_unstable();
    let all = match labels.as_slice() {
        [] | [_] => return Ok(accounts.pop()),
        [one, other] => format!("{one} and {other}"),
        labels => abbreviate_list(labels),
    };
    Err(CommandError::usage(
        format_args!("which account? {} holds {all}", PathArgs::DEFAULT),
        format!("--account-id {}", labels[0]),
    ))
}

/// Returns the accounts in `riskform.yaml`, none if it does not exist.
pub(crate) fn default_accounts(output: &Output) -> Result<Vec<DesiredAccount>, CommandError> {
    match Path::new(PathArgs::DEFAULT).exists() {
        true => accounts_in(PathArgs::DEFAULT, |options| load_files(options, output)),
        false => Ok(Vec::new()),
    }
}

/// Returns the account with this name in `riskform.yaml`, else in the files below the working directory.
fn named_account(name: &Name, output: &Output) -> Result<DesiredAccount, CommandError> {
    let is_named = |account: &DesiredAccount| account.name.as_ref() == Some(name);
    if let Some(account) = default_accounts(output)?.into_iter().find(is_named) {
        return Ok(account);
    }
    // Other files below the directory may be no desired-state files at all. Only the file that declares the account must be valid.
    let accounts = accounts_in(".", |options| Ok(load::check(options, None)))?;
    let (named, others): (Vec<_>, Vec<_>) = accounts.into_iter().partition(is_named);
    match named.as_slice() {
        [account] => {
            let loaded = accounts_in(&account.source, |options| load_files(options, output))?;
            let mut accounts = loaded.into_iter();
            Ok(accounts.find(is_named).unwrap_or_else(|| account.clone()))
        }
        [] => {
            let labels = abbreviate_list(others.iter().map(DesiredAccount::label));
            Err(CommandError::usage(
                format_args!("no file declares an account named {name}"),
                match others.is_empty() {
                    true => "pass the account's ID".to_owned(),
                    false => format!("the files declare {labels}"),
                },
            ))
        }
        [first, ..] => {
            let sources = abbreviate_list(named.iter().map(|account| &account.source));
            Err(CommandError::usage(
                format_args!("several files declare an account named {name}: {sources}"),
                format!("--account-id {}", first.account_id),
            ))
        }
    }
}

/// Loads the accounts of one path without limits.
fn accounts_in(
    path: &str,
    load: impl Fn(&LoadOptions<'_>) -> Result<Checked, CommandError>,
) -> Result<Vec<DesiredAccount>, CommandError> {
    let context = LoadContext {
        limits: Arc::default(),
        allowed_root: environment::allowed_root(None),
    };
    let loaded = load(&context.options(&[path.into()], None)?)?;
    Ok(loaded.accounts)
}
