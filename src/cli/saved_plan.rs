//! Saved plans: `plan --out FILE` writes one, `apply --plan FILE` and `show FILE` read it. The file has no secrets.

use std::fs::File;
use std::path::Path;

use crate::cli::error::CommandError;
use crate::cli::io::ci;
use crate::cli::io::files::{self, OutputFile};
use crate::cli::io::output::Output;
use crate::cli::next_steps::{CONNECTION, follow_up, quoted};
use crate::model::account::AccountId;
use crate::plan::{MAX_SAVED_PLAN_BYTES, Run, SavedPlan, SavedPlanError, Status};

/// Writes the inputs of a plan to a file that only the owner can read. Prints the digest, and the command that applies the plan if all
/// of it can be applied.
pub(crate) fn write(
    file: OutputFile,
    run: &Run,
    plan: &SavedPlan,
    output: &Output,
) -> Result<(), CommandError> {
    let path = file.path().to_owned();
    let (name, text) = (path.display(), plan.to_json());
    if text.len() as u64 > MAX_SAVED_PLAN_BYTES {
        return Err(CommandError::error(format_args!(
            "cannot write {name}: larger than {} MiB",
            MAX_SAVED_PLAN_BYTES >> 20
        ))
        .with_help("plan fewer accounts at once"));
    }
    if !output.finish(file, text) {
        return Ok(());
    }
    let digest = plan.digest();
    ci::report_digest(output, &digest);
    let is_complete = (run.accounts.iter())
        .all(|account| account.status == Status::Ok && account.violations.is_empty());
    if run
        .accounts
        .iter()
        .any(|account| !account.violations.is_empty())
    {
        output.status(format_args!(
            "Saved {name} for review (digest {digest}). A blocked plan cannot be applied."
        ));
        return Ok(());
    }
    if !is_complete {
        output.status(format_args!("Saved the plan to {name} (digest {digest})."));
        return Ok(());
    }
    let plan = quoted(&path.to_string_lossy());
    let apply = format_args!("apply --plan {plan} --expect-digest {digest}");
    output.status(format_args!(
        "Saved the plan to {name} (digest {digest}). To apply it:\n  {}",
        follow_up(output, apply, &[CONNECTION])
    ));
    Ok(())
}

/// Reads a saved plan.
pub(crate) fn read(path: &Path) -> Result<SavedPlan, CommandError> {
    let name = path.display();
    let context = || format!("cannot read {name}");
    let file = File::open(path).map_err(CommandError::other(context()))?;
    let text = files::read(file, MAX_SAVED_PLAN_BYTES, context())?;
    let text = String::from_utf8(text).map_err(CommandError::other(context()))?;
    if text.lines().any(|line| line.starts_with("version:")) {
        return Err(CommandError::usage(
            format_args!("{name} is a desired-state file, not a saved plan"),
            format!("run `riskform apply {name}`"),
        ));
    }
    SavedPlan::from_json(&text).map_err(unusable(path))
}

/// Converts an error from reading or planning a saved plan.
pub(crate) fn unusable(path: &Path) -> impl FnOnce(SavedPlanError) -> CommandError {
    move |error| match error {
        SavedPlanError::OtherVersion(_) => CommandError::stale(&[error.to_string()]),
        SavedPlanError::UnknownFormat(_) => {
            let help = "save the plan with `riskform plan --out FILE`";
            wrapped(path, error).with_help(help)
        }
        _ => wrapped(path, error),
    }
}

fn wrapped(path: &Path, error: SavedPlanError) -> CommandError {
    CommandError::other(format!("cannot use the saved plan {}", path.display()))(error)
}

/// Values that a saved plan must match before it is applied.
pub(crate) struct ApplyExpectations<'a> {
    /// Digest from `--expect-digest`.
    pub(crate) digest: Option<&'a str>,
    /// Base URL of this run.
    pub(crate) base_url: &'a str,
    /// Account from `--account-id`.
    pub(crate) account_id: Option<&'a AccountId>,
}

/// Reads and checks a saved plan to apply it. Errors are reported before the first request.
pub(crate) fn read_for_apply(
    path: &Path,
    expected: &ApplyExpectations<'_>,
) -> Result<SavedPlan, CommandError> {
    let plan = read(path)?;
    let digest = plan.digest();
    if let Some(expected) = expected.digest
        && expected != digest
    {
        return Err(CommandError::stale(&[format!(
            "{} has digest {digest}, expected {expected}",
            path.display(),
        )]));
    }
    if plan.base_url != expected.base_url {
        return Err(CommandError::error(format_args!(
            "the plan is for {}, but this run uses {}",
            plan.base_url, expected.base_url
        )));
    }
    if let Some(expected) = expected.account_id {
        let ids = plan.accounts.iter().map(|one| &one.desired.account_id);
        let mut ids = ids.chain(plan.failed.iter().map(|one| &one.account_id));
        if let Some(other) = ids.find(|id| *id != expected) {
            return Err(CommandError::error(format_args!(
                "the plan is for account {other}, not {expected}"
            )));
        }
    }
    Ok(plan)
}
