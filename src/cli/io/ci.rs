//! `--ci`: what pipelines pick up from a job, written where they look for it, however the run ends.
//!
//! | where | what |
//! | --- | --- |
//! | the file that `GITHUB_STEP_SUMMARY` names | the result as Markdown, or the error |
//! | the file that `GITHUB_OUTPUT` names | `exit_code`, `has_changes` and the totals, for later steps |
//! | the log, where `GITHUB_ACTIONS` is set | an annotation for each thing that is wrong with a file, and for the error |
//! | `riskform.env` in the project's folder, where `GITLAB_CI` is set | the outputs as `RISKFORM_…` variables, for `artifacts:reports:dotenv` |
//! | `gl-code-quality-report.json` beside it | what is wrong with files, for `artifacts:reports:codequality` |
//!
//! The values of outputs are words and numbers of riskform's own, so nothing foreign gets into a pipeline's variables.

use std::collections::HashMap;
use std::fmt;
use std::fs::OpenOptions;
use std::io::Write;
use std::path::{Path, PathBuf};

use aws_lc_rs::digest::{SHA256, digest};
use serde_json::{Value, json};

use crate::cli::error::CommandError;
use crate::cli::exit::Exit;
use crate::cli::io::environment::{self, variable};
use crate::cli::io::files::{self, FileMode};
use crate::cli::io::output::Output;
use crate::config::code::Severity;
use crate::config::diagnostic::{Diagnostic, Diagnostics};
use crate::doctor::{AuditReport, AuditTotals};
use crate::model::text::hex;
use crate::plan::{Format, Run};
use crate::report::{MAX_JOB_SUMMARY_BYTES, audit_markdown, markdown};

/// Where GitLab finds the variables.
const GITLAB_VARIABLES: &str = "riskform.env";
/// Where GitLab finds what is wrong with files.
const GITLAB_QUALITY: &str = "gl-code-quality-report.json";

/// Tells the pipeline a result. What can't be written is a warning: the run itself is over, and went as its exit code says.
pub(crate) fn tell(output: &Output, run: &Run) {
    report_as_markdown(output, |room| markdown(run, room), || totals(run));
}

/// Tells the pipeline an audit.
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

/// Tells a result as Markdown, no longer than the room that is left, and by its totals.
fn report_as_markdown(
    output: &Output,
    markdown: impl FnOnce(usize) -> String,
    totals: impl FnOnce() -> Vec<(String, String)>,
) {
    let Some(pipeline) = output.pipeline() else {
        return;
    };
    if let Some(file) = variable("GITHUB_STEP_SUMMARY") {
        let file = Path::new(&file);
        // What earlier commands of the step wrote counts as well.
        let there = file.metadata().map_or(0, |there| there.len());
        let room =
            MAX_JOB_SUMMARY_BYTES.saturating_sub(usize::try_from(there).unwrap_or(usize::MAX));
        append(output, file, &markdown(room));
    }
    let mut told = pipeline.told();
    told.outputs = totals();
    told.has_summary = true;
}

/// Tells the pipeline what is wrong with files.
pub(crate) fn diagnose(output: &Output, diagnostics: &Diagnostics) {
    let Some(pipeline) = output.pipeline() else {
        return;
    };
    if variable(environment::GITHUB_ACTIONS).is_some() {
        for diagnostic in diagnostics.iter() {
            output.annotate(annotation(diagnostic));
        }
    }
    pipeline
        .told()
        .diagnostics
        .extend(diagnostics.iter().cloned());
}

/// Tells the pipeline how the run ended.
pub(crate) fn end(output: &Output, exit: Exit, error: Option<&CommandError>) {
    let Some(pipeline) = output.pipeline() else {
        return;
    };
    if let Some(CommandError::Files(diagnostics)) = error {
        diagnose(output, diagnostics);
    }
    let mut told = pipeline.told();
    told.outputs
        .push(("exit_code".to_owned(), exit.code().to_string()));
    if let Some(error) = error
        && !told.has_summary
    {
        summarize(output, &failure(error, exit));
    }
    if variable(environment::GITHUB_ACTIONS).is_some()
        && let Some(error) = error
        && !matches!(error, CommandError::Files(_) | CommandError::BrokenPipe)
    {
        let message = anstream::adapter::strip_str(&error.to_string()).to_string();
        let help = error.help().map(|help| format!("\n{help}"));
        output.annotate(format!(
            "::error title=riskform::{}",
            Data(&format!("{message}{}", help.unwrap_or_default()))
        ));
    }
    if let Some(file) = variable("GITHUB_OUTPUT") {
        append(
            output,
            Path::new(&file),
            &lines(&told.outputs, str::to_owned),
        );
    }
    if variable("GITLAB_CI").is_some() {
        let shouted = |name: &str| format!("RISKFORM_{}", name.to_ascii_uppercase());
        let quality = json!(quality(&told.diagnostics)).to_string();
        let folder = variable("CI_PROJECT_DIR").map_or_else(PathBuf::new, PathBuf::from);
        for (name, text) in [
            (GITLAB_VARIABLES, lines(&told.outputs, shouted)),
            (GITLAB_QUALITY, quality),
        ] {
            if let Err(error) = files::write(&folder.join(name), text, FileMode::Everybody) {
                output.warn(error);
            }
        }
    }
}

/// What later steps decide by: the members of the JSON's `summary`, and whether anything differs.
fn totals(run: &Run) -> Vec<(String, String)> {
    let totals = run.totals();
    let has_changes = totals.changed_accounts > 0;
    let mut outputs = vec![("has_changes".to_owned(), has_changes.to_string())];
    if let Ok(Value::Object(members)) = serde_json::to_value(totals) {
        let members = members.into_iter();
        outputs.extend(members.map(|(name, number)| (name, number.to_string())));
    }
    if run.format == Format::Plan {
        outputs.push(("digest".to_owned(), run.digest()));
    }
    outputs
}

/// `name=value`, one a line.
fn lines(outputs: &[(String, String)], name: impl Fn(&str) -> String) -> String {
    let lines = outputs.iter();
    lines
        .map(|(what, value)| format!("{}={value}\n", name(what)))
        .collect()
}

/// An error as Markdown. The message may hold anything, so it stands in HTML with its special characters as references.
fn failure(error: &CommandError, exit: Exit) -> String {
    let message = anstream::adapter::strip_str(&error.to_string()).to_string();
    let help = error.help().map(|help| format!("\n\n{help}"));
    let text = format!("{}{}", message.trim_end(), help.unwrap_or_default())
        .replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        // A blank line would end the HTML, and Markdown begin.
        .replace("\n\n", "\n&#8203;\n");
    format!(
        "### riskform: nothing was done (exit {})\n\n<pre><code>{text}</code></pre>\n\n",
        exit.code()
    )
}

/// A diagnostic as a command to GitHub's runner, which shows it at its line.
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
        Data(&words(diagnostic))
    )
}

fn words(diagnostic: &Diagnostic) -> String {
    let further = [&diagnostic.help, &diagnostic.note];
    std::iter::once(diagnostic.message.as_str())
        .chain(further.into_iter().flatten().map(String::as_str))
        .collect::<Vec<_>>()
        .join("\n")
}

/// The name of a file as a repository knows it: relative to its root, where the run is within it.
fn repository_path(file: &str, root: Option<String>) -> String {
    let absolute = std::path::absolute(file);
    let within = absolute.iter().zip(&root).find_map(|(path, root)| {
        let within = path.strip_prefix(root).ok()?;
        Some(within.to_string_lossy().into_owned())
    });
    within.unwrap_or_else(|| file.trim_start_matches("./").to_owned())
}

/// Diagnostics as GitLab reads them. A fingerprint stays while lines move.
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

/// Displays a text as the message of a workflow command.
struct Data<'a>(&'a str);

impl fmt::Display for Data<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The older form of commands is one anywhere in a line.
        let text = self.0.replace("##[", "#\\u{23}[").replace('%', "%25");
        f.write_str(&text.replace('\r', "%0D").replace('\n', "%0A"))
    }
}

/// Displays a text as a property of a workflow command.
struct CommandProperty<'a>(&'a str);

impl fmt::Display for CommandProperty<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = Data(self.0).to_string();
        f.write_str(&text.replace(':', "%3A").replace(',', "%2C"))
    }
}

fn summarize(output: &Output, markdown: &str) {
    if let Some(file) = variable("GITHUB_STEP_SUMMARY") {
        append(output, Path::new(&file), markdown);
    }
}

/// A step's earlier commands may have written there as well.
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
