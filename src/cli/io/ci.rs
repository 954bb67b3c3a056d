//! `--ci`: what pipelines pick up from a job, written where they look for it.
//!
//! | where | what |
//! | --- | --- |
//! | the file that `GITHUB_STEP_SUMMARY` names | the result as Markdown |
//! | the file that `GITHUB_OUTPUT` names | `has_changes` and the totals, for later steps |
//! | `riskform.env` in the project's folder, where `GITLAB_CI` is set | the same as `RISKFORM_…` variables, for `artifacts:reports:dotenv` |
//!
//! The values are words and numbers of riskform's own, so nothing foreign gets into a pipeline's variables.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::{Path, PathBuf};

use crate::cli::io::environment::variable;
use crate::cli::io::files::{Access, write_atomically};
use crate::cli::io::output::Output;
use crate::plan::{Format, Run};
use crate::report::{JOB_SUMMARY, markdown};

/// Where GitLab finds the variables.
const GITLAB_FILE: &str = "riskform.env";

/// Tells the pipeline, where `--ci` is given. What can't be written is a warning: the run itself is over, and went as its exit code says.
pub(crate) fn tell(output: &Output, run: &Run) {
    if !output.is_ci() {
        return;
    }
    if let Some(file) = variable("GITHUB_STEP_SUMMARY") {
        let file = Path::new(&file);
        // What earlier commands of the step wrote counts as well.
        let there = file.metadata().map_or(0, |there| there.len());
        let room = JOB_SUMMARY.saturating_sub(usize::try_from(there).unwrap_or(usize::MAX));
        append(output, file, &markdown(run, room));
    }
    if let Some(file) = variable("GITHUB_OUTPUT") {
        append(output, Path::new(&file), &lines(run, str::to_owned));
    }
    if variable("GITLAB_CI").is_some() {
        let folder = variable("CI_PROJECT_DIR").map_or_else(PathBuf::new, PathBuf::from);
        let shouted = |name: &str| format!("RISKFORM_{}", name.to_ascii_uppercase());
        let written = write_atomically(
            &folder.join(GITLAB_FILE),
            &lines(run, shouted),
            Access::Everybody,
        );
        if let Err(error) = written {
            output.warn(error);
        }
    }
}

/// `name=value`, one a line.
fn lines(run: &Run, name: impl Fn(&str) -> String) -> String {
    let summary = run.summary();
    let has_changes = run.accounts.iter().any(|account| match run.format {
        Format::Plan | Format::Apply => !account.changes.is_empty(),
        Format::Drift => account.has_drift(),
    });
    let mut text = format!("{}={has_changes}\n", name("has_changes"));
    for (what, count) in [
        ("create", summary.create),
        ("update", summary.update),
        ("replace", summary.replace),
        ("delete", summary.delete),
        ("unchanged", summary.unchanged),
        ("unlisted", summary.unlisted),
        ("weakening", summary.weakening),
        ("failed_accounts", summary.failed_accounts),
    ] {
        text.push_str(&format!("{}={count}\n", name(what)));
    }
    text
}

/// A step's earlier commands may have written there as well.
fn append(output: &Output, file: &Path, text: &str) {
    let written = OpenOptions::new()
        .append(true)
        .create(true)
        .open(file)
        .and_then(|mut file| file.write_all(text.as_bytes()));
    if let Err(error) = written {
        output.warn(format_args!("{} can't be written: {error}", file.display()));
    }
}
