//! Saved plans: `plan --out FILE` writes one, `apply --plan FILE` and `show FILE` read it. The file has no secrets.

use std::path::Path;

use crate::cli::error::CommandError;
use crate::cli::io::ci;
use crate::cli::io::files::OutputFile;
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
    let path = file.path.clone();
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
    let (mut accounts, mut blocked) = (run.accounts.iter(), run.accounts.iter());
    if blocked.any(|account| !account.violations.is_empty()) {
        output.status(format_args!(
            "Saved {name} for review (digest {digest}). A blocked plan cannot be applied."
        ));
    } else if accounts.all(|account| account.status == Status::Ok) {
        let plan = quoted(&path.to_string_lossy());
        let apply = format_args!("apply --plan {plan} --expect-digest {digest}");
        let apply = follow_up(output, apply, &[CONNECTION]);
        output.status(format_args!(
            "Saved the plan to {name} (digest {digest}). To apply it:\n  {apply}"
        ));
    } else {
        output.status(format_args!("Saved the plan to {name} (digest {digest})."));
    }
    Ok(())
}

/// Reads a saved plan.
pub(crate) fn read(path: &Path, output: &Output) -> Result<SavedPlan, CommandError> {
    let name = path.display();
    let context = || format!("cannot read {name}");
    let text = output.read_input(path, MAX_SAVED_PLAN_BYTES, context())?;
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
    move |error| {
        let context = format!("cannot use the saved plan {}", path.display());
        match error {
            SavedPlanError::OtherVersion(_) => CommandError::stale(&[error.to_string()]),
            SavedPlanError::UnknownFormat(_) => CommandError::other(context)(error)
                .with_help("save the plan with `riskform plan --out FILE`"),
            _ => CommandError::other(context)(error),
        }
    }
}

/// Reads a saved plan to apply it, and checks it against `--expect-digest`, the base URL of this run and `--account-id`. Errors are
/// reported before the first request.
pub(crate) fn read_for_apply(
    path: &Path,
    digest: Option<&str>,
    base_url: &str,
    account_id: Option<&AccountId>,
    output: &Output,
) -> Result<SavedPlan, CommandError> {
    let plan = read(path, output)?;
    let (name, found) = (path.display(), plan.digest());
    if let Some(expected) = digest.filter(|expected| *expected != found) {
        let reason = format!("{name} has digest {found}, expected {expected}");
        return Err(CommandError::stale(&[reason]));
    }
    if plan.base_url != base_url {
        return Err(CommandError::error(format_args!(
            "the plan is for {}, but this run uses {base_url}",
            plan.base_url
        )));
    }
    if let Some(expected) = account_id {
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
