//! `--ci`: writes the result to the CI job, also after an error.
//!
//! | target | content |
//! | --- | --- |
//! | file named by `GITHUB_STEP_SUMMARY` | the result or the error as Markdown |
//! | file named by `GITHUB_OUTPUT` | `exit_code`, `has_changes` and the totals |
//! | standard error, if `GITHUB_ACTIONS` is set | an annotation per file diagnostic, and for the error |
//! | `riskform.env` in the project directory, if `GITLAB_CI` is set | the outputs as `RISKFORM_…` variables, for `artifacts:reports:dotenv` |
//! | `gl-code-quality-report.json` in the same directory | the file diagnostics, for `artifacts:reports:codequality` |
//!
//! Output values are words and numbers of riskform, never text from files or the API.

use std::collections::HashMap;
use std::fmt;
use std::fs::OpenOptions;
use std::io::Write;
use std::path::{Path, PathBuf};

use aws_lc_rs::digest::{SHA256, digest};
use serde_json::{Value, json};

use crate::cli::error::{CommandError, ErrorKind};
use crate::cli::exit::Exit;
use crate::cli::io::environment::{self, variable};
use crate::cli::io::files;
use crate::cli::io::output::Output;
use crate::config::code::Severity;
use crate::config::diagnostic::{Diagnostic, Diagnostics};
use crate::doctor::{AuditReport, AuditTotals};
use crate::model::text::hex;
use crate::plan::Run;
use crate::report::{MAX_JOB_SUMMARY_BYTES, audit_markdown, markdown};

/// Result for the CI job, collected during the run.
#[derive(Debug, Default)]
pub(crate) struct CiState {
    outputs: Vec<(String, String)>,
    diagnostics: Vec<Diagnostic>,
    /// Whether the summary is already written, including errors of accounts.
    has_summary: bool,
}

/// File of variables for GitLab.
const GITLAB_VARIABLES: &str = "riskform.env";
/// Code quality report for GitLab.
const GITLAB_QUALITY: &str = "gl-code-quality-report.json";

/// Writes a result to the CI job. A failed write is a warning and does not change the exit code.
pub(crate) fn report_run(output: &Output, run: &Run) {
    report_as_markdown(output, |room| markdown(run, room), || totals(run));
}

/// Writes an audit to the CI job.
pub(crate) fn report_audit(output: &Output, audit: &AuditReport) {
    let totals = || {
        let AuditTotals {
            pass,
            warn,
            fail,
            unknown,
            failed_accounts,
        } = audit.summary;
        let counts = [
            ("pass", pass),
            ("warn", warn),
            ("fail", fail),
            ("unknown", unknown),
            ("failed_accounts", failed_accounts),
        ];
        counts
            .map(|(name, count)| (name.to_owned(), count.to_string()))
            .into()
    };
    report_as_markdown(output, |room| audit_markdown(audit, room), totals);
}

/// Writes the Markdown within the remaining size limit, and the totals.
fn report_as_markdown(
    output: &Output,
    markdown: impl FnOnce(usize) -> String,
    totals: impl FnOnce() -> Vec<(String, String)>,
) {
    let Some(mut state) = output.ci() else {
        return;
    };
    if let Some(file) = variable("GITHUB_STEP_SUMMARY") {
        let file = Path::new(&file);
        // Earlier commands of the step count toward the limit.
        let there = file.metadata().map_or(0, |there| there.len());
        let room =
            MAX_JOB_SUMMARY_BYTES.saturating_sub(usize::try_from(there).unwrap_or(usize::MAX));
        append(output, file, &markdown(room));
    }
    state.outputs = totals();
    state.has_summary = true;
}

/// Writes the digest of a saved plan to the CI job.
pub(crate) fn report_digest(output: &Output, digest: &str) {
    if let Some(mut state) = output.ci() {
        let digest = ("digest".to_owned(), digest.to_owned());
        state.outputs.push(digest);
    }
}

/// Writes file diagnostics to the CI job.
pub(crate) fn annotate_diagnostics(output: &Output, diagnostics: &Diagnostics) {
    let Some(mut state) = output.ci() else {
        return;
    };
    if variable(environment::GITHUB_ACTIONS).is_some() {
        for diagnostic in diagnostics.iter() {
            output.annotate(annotation(diagnostic));
        }
    }
    state.diagnostics.extend(diagnostics.iter().cloned());
}

/// Writes the exit code and the error to the CI job.
pub(crate) fn report_exit(output: &Output, exit: Exit, error: Option<&CommandError>) {
    let Some(mut state) = output.ci() else {
        return;
    };
    state
        .outputs
        .push(("exit_code".to_owned(), exit.code().to_string()));
    if let Some(error) = error
        && !state.has_summary
    {
        summarize(output, &error_markdown(error, exit));
    }
    if variable(environment::GITHUB_ACTIONS).is_some()
        && let Some(error) = error
        && error.kind != ErrorKind::Files
    {
        let message = error.plain_message();
        let help = error.help.as_ref().map(|help| format!("\n{help}"));
        output.annotate(format!(
            "::error title=riskform::{}",
            CommandMessage(&format!("{message}{}", help.unwrap_or_default()))
        ));
    }
    if let Some(file) = variable("GITHUB_OUTPUT") {
        append(
            output,
            Path::new(&file),
            &lines(&state.outputs, str::to_owned),
        );
    }
    if variable("GITLAB_CI").is_some() {
        let shouted = |name: &str| format!("RISKFORM_{}", name.to_ascii_uppercase());
        let quality = json!(quality(&state.diagnostics)).to_string();
        let folder = variable("CI_PROJECT_DIR").map_or_else(PathBuf::new, PathBuf::from);
        for (name, text) in [
            (GITLAB_VARIABLES, lines(&state.outputs, shouted)),
            (GITLAB_QUALITY, quality),
        ] {
            if let Err(error) = files::write(&folder.join(name), text) {
                output.warn(error);
            }
        }
    }
}

/// Returns the outputs for later steps: the members of the JSON's `summary` and `has_changes`.
fn totals(run: &Run) -> Vec<(String, String)> {
    let totals = run.totals();
    let has_changes = totals.changed_accounts > 0;
    let mut outputs = vec![("has_changes".to_owned(), has_changes.to_string())];
    if let Ok(Value::Object(members)) = serde_json::to_value(totals) {
        let members = members.into_iter();
        outputs.extend(members.map(|(name, number)| (name, number.to_string())));
    }
    outputs
}

/// Returns one `name=value` per line.
fn lines(outputs: &[(String, String)], name: impl Fn(&str) -> String) -> String {
    let lines = outputs.iter();
    lines
        .map(|(what, value)| format!("{}={value}\n", name(what)))
        .collect()
}

/// Returns an error as Markdown. The message is escaped HTML, because it may contain any text.
fn error_markdown(error: &CommandError, exit: Exit) -> String {
    let message = error.plain_message();
    let help = error.help.as_ref().map(|help| format!("\n\n{help}"));
    let text = format!("{}{}", message.trim_end(), help.unwrap_or_default())
        .replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        // A blank line would end the HTML block.
        .replace("\n\n", "\n&#8203;\n");
    format!(
        "### riskform: nothing was done (exit {})\n\n<pre><code>{text}</code></pre>\n\n",
        exit.code()
    )
}

/// Annotates a file that is not formatted.
pub(crate) fn annotate_unformatted(output: &Output, path: &Path) {
    if output.ci().is_some() && variable(environment::GITHUB_ACTIONS).is_some() {
        let file = repository_path(&path.to_string_lossy(), variable("GITHUB_WORKSPACE"));
        output.annotate(format!(
            "::error file={},title=fmt::not formatted; run `riskform fmt`",
            CommandProperty(&file)
        ));
    }
}

/// Returns a diagnostic as a GitHub workflow command, shown at its line.
fn annotation(diagnostic: &Diagnostic) -> String {
    let command = match diagnostic.severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
    };
    let place = &diagnostic.primary.place;
    let file = repository_path(&place.file, variable("GITHUB_WORKSPACE"));
    let mut properties = format!("file={}", CommandProperty(&file));
    if let Some(region) = &place.region {
        properties.push_str(&format!(
            ",line={},col={},endColumn={}",
            region.line, region.column, region.end_column
        ));
    }
    let rule = diagnostic.rule.to_string();
    format!(
        "::{command} {properties},title={}::{}",
        CommandProperty(&rule),
        CommandMessage(&words(diagnostic))
    )
}

fn words(diagnostic: &Diagnostic) -> String {
    let further = [&diagnostic.help, &diagnostic.note];
    std::iter::once(diagnostic.message.as_str())
        .chain(further.into_iter().flatten().map(String::as_str))
        .collect::<Vec<_>>()
        .join("\n")
}

/// Returns the path relative to the repository root if the file is inside it.
fn repository_path(file: &str, root: Option<String>) -> String {
    let absolute = std::path::absolute(file);
    let within = absolute.iter().zip(&root).find_map(|(path, root)| {
        let within = path.strip_prefix(root).ok()?;
        Some(within.to_string_lossy().into_owned())
    });
    within.unwrap_or_else(|| file.trim_start_matches("./").to_owned())
}

/// Returns diagnostics for GitLab. Fingerprints do not depend on line numbers.
fn quality(diagnostics: &[Diagnostic]) -> Vec<Value> {
    let mut seen: HashMap<String, usize> = HashMap::new();
    let report = diagnostics.iter().map(|diagnostic| {
        let place = &diagnostic.primary.place;
        let path = repository_path(&place.file, variable("CI_PROJECT_DIR"));
        let rule = diagnostic.rule.to_string();
        let identity = format!("{rule}\n{path}\n{}", diagnostic.message);
        let times = seen.entry(identity.clone()).or_default();
        *times += 1;
        let fingerprint = digest(&SHA256, format!("{identity}\n{times}").as_bytes());
        json!({
            "description": words(diagnostic),
            "check_name": rule,
            "fingerprint": hex(fingerprint),
            "severity": match diagnostic.severity {
                Severity::Error => "major",
                Severity::Warning => "minor",
            },
            "location": {
                "path": path,
                "lines": { "begin": place.region.as_ref().map_or(1, |region| region.line) },
            },
        })
    });
    report.collect()
}

/// Message of a workflow command.
struct CommandMessage<'a>(&'a str);

impl fmt::Display for CommandMessage<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The runner finds the older `##[` form anywhere in a line.
        let text = self.0.replace("##[", "#\\u{23}[").replace('%', "%25");
        f.write_str(&text.replace('\r', "%0D").replace('\n', "%0A"))
    }
}

/// Property of a workflow command.
struct CommandProperty<'a>(&'a str);

impl fmt::Display for CommandProperty<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = CommandMessage(self.0).to_string();
        f.write_str(&text.replace(':', "%3A").replace(',', "%2C"))
    }
}

fn summarize(output: &Output, markdown: &str) {
    if let Some(file) = variable("GITHUB_STEP_SUMMARY") {
        append(output, Path::new(&file), markdown);
    }
}

/// Appends, because earlier commands of the step may have written to the file.
fn append(output: &Output, file: &Path, text: &str) {
    let written = OpenOptions::new()
        .append(true)
        .create(true)
        .open(file)
        .and_then(|mut file| file.write_all(text.as_bytes()));
    if let Err(error) = written {
        output.warn(format_args!("cannot write {}: {error}", file.display()));
    }
}
