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
use std::fs::OpenOptions;
use std::io::Write;
use std::path::Path;

use aws_lc_rs::digest::{SHA256, digest};
use serde::Serialize;
use serde_json::{Value, json};

use crate::cli::error::{CommandError, ErrorKind};
use crate::cli::exit::Exit;
use crate::cli::io::environment::{self, variable};
use crate::cli::io::files;
use crate::cli::io::output::{CiState, Output};
use crate::config::code::Severity;
use crate::config::diagnostic::{Diagnostic, Diagnostics};
use crate::doctor::AuditReport;
use crate::model::text::{EscapeInvisible, hex};
use crate::plan::Run;
use crate::report::{MAX_JOB_SUMMARY_BYTES, audit_markdown, markdown};

/// File of variables for GitLab.
const GITLAB_VARIABLES: &str = "riskform.env";
/// Code quality report for GitLab.
const GITLAB_QUALITY: &str = "gl-code-quality-report.json";

/// Writes a result to the CI job. A failed write is a warning and does not change the exit code.
pub(crate) fn report_run(output: &Output, run: &Run) {
    if let Some(mut state) = output.ci() {
        let totals = run.totals();
        let has_changes = totals.changed_accounts > 0;
        add_output(&mut state, "has_changes", has_changes);
        add_members(&mut state, totals);
        summarize(output, &mut state, |room| markdown(run, room));
    }
}

/// Writes an audit to the CI job.
pub(crate) fn report_audit(output: &Output, audit: &AuditReport) {
    if let Some(mut state) = output.ci() {
        add_members(&mut state, audit.summary);
        summarize(output, &mut state, |room| audit_markdown(audit, room));
    }
}

/// Writes the digest of a saved plan to the CI job.
pub(crate) fn report_digest(output: &Output, digest: &str) {
    if let Some(mut state) = output.ci() {
        add_output(&mut state, "digest", digest);
    }
}

fn add_output(state: &mut CiState, name: &str, value: impl ToString) {
    state.outputs.push((name.to_owned(), value.to_string()));
}

/// Adds the members of the JSON's `summary` to the outputs.
fn add_members(state: &mut CiState, summary: impl Serialize) {
    if let Ok(Value::Object(members)) = serde_json::to_value(summary) {
        for (name, number) in members {
            add_output(state, &name, number);
        }
    }
}

/// Writes the step summary, within the remaining size limit.
fn summarize(output: &Output, state: &mut CiState, markdown: impl FnOnce(usize) -> String) {
    state.has_summary = true;
    if let Some(file) = environment::path("GITHUB_STEP_SUMMARY") {
        // Earlier commands of the step count toward the limit.
        let used = file.metadata().map_or(0, |found| found.len());
        let used = usize::try_from(used).unwrap_or(usize::MAX);
        append(
            output,
            &file,
            &markdown(MAX_JOB_SUMMARY_BYTES.saturating_sub(used)),
        );
    }
}

/// Writes file diagnostics to the CI job.
pub(crate) fn annotate_diagnostics(output: &Output, diagnostics: &Diagnostics) {
    if let Some(mut state) = output.ci() {
        for diagnostic in diagnostics.iter() {
            let command = match diagnostic.severity {
                Severity::Error => "error",
                Severity::Warning => "warning",
            };
            let place = &diagnostic.primary.place;
            let mut properties = vec![("file", repository_path(Path::new(&*place.file)))];
            if let Some(region) = &place.region {
                properties.push(("line", region.line.to_string()));
                properties.push(("col", region.column.to_string()));
                properties.push(("endColumn", region.end_column.to_string()));
            }
            properties.push(("title", diagnostic.rule.to_string()));
            annotate(output, command, &properties, &words(diagnostic));
        }
        state.diagnostics.extend(diagnostics.iter().cloned());
    }
}

/// Writes the exit code and the error to the CI job.
pub(crate) fn report_exit(output: &Output, exit: Exit, error: Option<&CommandError>) {
    let Some(mut state) = output.ci() else {
        return;
    };
    add_output(&mut state, "exit_code", exit.code());
    if let Some(error) = error {
        let help = error.help.as_ref().map(|help| format!("\n{help}"));
        let message = error.plain_message() + &help.unwrap_or_default();
        if !state.has_summary {
            summarize(output, &mut state, |_| error_markdown(&message, exit));
        }
        if error.kind != ErrorKind::Files {
            annotate(
                output,
                "error",
                &[("title", "riskform".to_owned())],
                &message,
            );
        }
    }
    if let Some(file) = environment::path("GITHUB_OUTPUT") {
        append(output, &file, &lines(&state, str::to_owned));
    }
    if variable("GITLAB_CI").is_some() {
        let shouted = |name: &str| format!("RISKFORM_{}", name.to_ascii_uppercase());
        let quality = json!(quality(&state.diagnostics)).to_string();
        let directory = environment::path("CI_PROJECT_DIR").unwrap_or_default();
        for (name, text) in [
            (GITLAB_VARIABLES, lines(&state, shouted)),
            (GITLAB_QUALITY, quality),
        ] {
            if let Err(error) = files::write(&directory.join(name), text) {
                output.warn(error);
            }
        }
    }
}

/// Returns one `name=value` per line.
fn lines(state: &CiState, name: impl Fn(&str) -> String) -> String {
    let lines = state.outputs.iter();
    lines
        .map(|(what, value)| format!("{}={value}\n", name(what)))
        .collect()
}

/// Returns an error as Markdown. The message is an indented block of code, because it may contain any text.
fn error_markdown(message: &str, exit: Exit) -> String {
    let lines = message.lines();
    let lines: String = lines
        .map(|line| format!("    {}\n", EscapeInvisible(line)))
        .collect();
    let code = exit.code();
    format!("### riskform: nothing was done (exit {code})\n\n{lines}\n")
}

/// Annotates a file that is not formatted.
pub(crate) fn annotate_unformatted(output: &Output, path: &Path) {
    if output.ci().is_some() {
        let properties = [("file", repository_path(path)), ("title", "fmt".to_owned())];
        let message = "not formatted; run `riskform fmt`";
        annotate(output, "error", &properties, message);
    }
}

/// Prints a workflow command, if GitHub Actions reads it.
fn annotate(output: &Output, command: &str, properties: &[(&str, String)], message: &str) {
    // The runner finds the older `##[` form anywhere in a line.
    let escape = |text: &str| {
        let text = text.replace("##[", "#\\u{23}[").replace('%', "%25");
        text.replace('\r', "%0D").replace('\n', "%0A")
    };
    let properties = properties.iter().map(|(name, value)| {
        let value = escape(value).replace(':', "%3A").replace(',', "%2C");
        format!("{name}={value}")
    });
    let properties = properties.collect::<Vec<_>>().join(",");
    if variable(environment::GITHUB_ACTIONS).is_some() {
        output.annotate(format!("::{command} {properties}::{}", escape(message)));
    }
}

fn words(diagnostic: &Diagnostic) -> String {
    let further = [&diagnostic.help, &diagnostic.note];
    std::iter::once(diagnostic.message.as_str())
        .chain(further.into_iter().flatten().map(String::as_str))
        .collect::<Vec<_>>()
        .join("\n")
}

/// Returns the path of a file relative to its repository. Without a `.git`, that is the job's directory.
fn repository_path(file: &Path) -> String {
    let mut roots = ["GITHUB_WORKSPACE", "CI_PROJECT_DIR"].into_iter();
    environment::allowed_root(roots.find_map(environment::path)).repository_path(file)
}

/// Returns diagnostics for GitLab. Fingerprints do not depend on line numbers.
fn quality(diagnostics: &[Diagnostic]) -> Vec<Value> {
    let mut seen: HashMap<String, usize> = HashMap::new();
    let report = diagnostics.iter().map(|diagnostic| {
        let place = &diagnostic.primary.place;
        let path = repository_path(Path::new(&*place.file));
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

/// Appends, because earlier commands of the step may have written to the file.
fn append(output: &Output, file: &Path, text: &str) {
    let file_options = OpenOptions::new().append(true).create(true).open(file);
    let written = file_options.and_then(|mut file| file.write_all(text.as_bytes()));
    if let Err(error) = written {
        output.warn(format_args!("cannot write {}: {error}", file.display()));
    }
}
