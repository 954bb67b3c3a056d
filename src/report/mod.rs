//! Output formats of plans and results.
//!
//! Returns values, never prints. Formats for other programs are rendered from the [`Run`]. Text has ANSI colors that only repeat
//! symbols and words; the caller strips them if necessary.
//!
//! [`view`] selects, groups and sorts what people read; `text`, `markdown`, `html` and `slack` only render it. `sarif`, `junit` and
//! `prometheus` are for other programs, `diff` shows files before and after.

mod apply;
pub mod attribution;
mod diff;
mod finding_source;
mod findings;
pub mod get;
mod html;
pub mod json;
mod junit;
mod markdown;
mod prometheus;
mod reset;
mod sarif;
pub mod schema;
pub mod slack;
pub mod style;
pub mod summary;
mod table;
pub mod text;
pub mod view;

use crate::config::diagnostic::{Color, Diagnostics};
use crate::doctor::AuditReport;
use crate::model::account::DesiredAccount;
use crate::model::finding::Finding;
use crate::model::open_enum::string_enum;
use crate::model::text::pluralize;
use crate::plan::Run;

use finding_source::{DRIFT_RULES, audit_rules, diagnostic_findings, drift_findings, file_rules};

use text::{ApplyText, RunText};

pub use findings::{audit_markdown, doctor};
pub use markdown::{MAX_COMMENT_BYTES, MAX_JOB_SUMMARY_BYTES, markdown};
pub use prometheus::RunMetrics;
pub use reset::ResetText;

string_enum! {
    /// Level of detail of a fleet in text.
    DetailLevel {
        /// Content shared by several accounts is shown once.
        Grouped = "grouped",
        /// Everything, per account.
        Expanded = "expanded",
    }
}

string_enum! {
    /// Formats of a plan.
    PlanFormat {
        /// For a terminal.
        Text = "text",
        /// For scripts, and for `apply --plan`.
        Json = "json",
        /// For a comment on a pull request.
        Markdown = "markdown",
        /// For a review: the difference of the two states as files.
        Diff = "diff",
        /// For a browser.
        Html = "html",
    }
}

string_enum! {
    /// Formats of an apply result.
    ApplyFormat {
        /// For a terminal.
        Text = "text",
        /// For scripts.
        Json = "json",
        /// For a job summary.
        Markdown = "markdown",
    }
}

string_enum! {
    /// Formats of drift.
    DriftFormat {
        /// For a terminal, and for cron's mail.
        Text = "text",
        /// For scripts.
        Json = "json",
        /// For an issue or a job summary.
        Markdown = "markdown",
        /// For a browser.
        Html = "html",
        /// For test reports: one case per address.
        Junit = "junit",
        /// For code scanning: each finding at the line of the declaration.
        Sarif = "sarif",
        /// For node_exporter's textfile collector.
        Prometheus = "prometheus",
    }
}

impl DriftFormat {
    /// Returns true if the format shows the evidence of the run.
    pub fn shows_evidence(self) -> bool {
        matches!(
            self,
            DriftFormat::Json | DriftFormat::Markdown | DriftFormat::Html
        )
    }

    /// Returns true if the format shows the states in addition to the differences.
    pub fn shows_states(self) -> bool {
        match self {
            DriftFormat::Json | DriftFormat::Junit => true,
            DriftFormat::Text
            | DriftFormat::Markdown
            | DriftFormat::Html
            | DriftFormat::Sarif
            | DriftFormat::Prometheus => false,
        }
    }
}

string_enum! {
    /// Formats of information about riskform.
    VersionFormat {
        /// For people.
        Text = "text",
        /// For scripts.
        Json = "json",
    }
}

string_enum! {
    /// Formats of an audit.
    AuditFormat {
        /// For a terminal, and for cron's mail.
        Text = "text",
        /// For scripts.
        Json = "json",
        /// For an issue or a job summary.
        Markdown = "markdown",
        /// For a browser.
        Html = "html",
        /// For test reports: one case per check.
        Junit = "junit",
        /// For code scanning.
        Sarif = "sarif",
    }
}

string_enum! {
    /// Formats of file diagnostics.
    ValidateFormat {
        /// For a terminal.
        Text = "text",
        /// For scripts.
        Json = "json",
        /// For code scanning.
        Sarif = "sarif",
    }
}

/// Returns a plan in a format. The detail applies to text only.
pub fn plan(run: &Run, format: PlanFormat, detail: DetailLevel) -> String {
    match format {
        PlanFormat::Text => RunText(run, detail).to_string(),
        PlanFormat::Json => run.to_json(),
        PlanFormat::Markdown => markdown(run, MAX_COMMENT_BYTES),
        PlanFormat::Diff => diff::diff(run),
        PlanFormat::Html => html::page(run),
    }
}

/// Returns an apply result in a format.
pub fn apply(run: &Run, format: ApplyFormat) -> String {
    match format {
        ApplyFormat::Text => ApplyText(run).to_string(),
        ApplyFormat::Json => run.to_json(),
        ApplyFormat::Markdown => markdown(run, MAX_COMMENT_BYTES),
    }
}

/// Returns the path of a file relative to its repository.
pub type RepositoryPaths<'a> = &'a dyn Fn(&str) -> String;

/// Returns drift in a format. The detail applies to text only, the figures of the run to metrics, the paths to SARIF.
pub fn drift(
    run: &Run,
    format: DriftFormat,
    detail: DetailLevel,
    figures: Option<&RunMetrics>,
    paths: RepositoryPaths<'_>,
) -> String {
    match format {
        DriftFormat::Text => RunText(run, detail).to_string(),
        DriftFormat::Json => run.to_json(),
        DriftFormat::Markdown => markdown(run, MAX_COMMENT_BYTES),
        DriftFormat::Html => html::page(run),
        DriftFormat::Junit => {
            junit::junit(
                "riskform drift",
                &drift_findings(run),
                |finding| match finding.subject.as_str() {
                    "" => finding.check,
                    address => address,
                },
            )
        }
        DriftFormat::Sarif => sarif::sarif(&drift_findings(run), &DRIFT_RULES, paths),
        DriftFormat::Prometheus => prometheus::metrics(run, figures),
    }
}

/// Returns an audit in a format. The paths apply to SARIF only.
pub fn audit(audit: &AuditReport, format: AuditFormat, paths: RepositoryPaths<'_>) -> String {
    let findings = || audit.findings().collect::<Vec<Finding>>();
    match format {
        AuditFormat::Text => findings::audit_text(audit),
        AuditFormat::Json => json::document(audit),
        AuditFormat::Markdown => audit_markdown(audit, MAX_COMMENT_BYTES),
        AuditFormat::Html => findings::audit_page(audit),
        AuditFormat::Junit => junit::junit("riskform audit", &findings(), |finding| finding.check),
        AuditFormat::Sarif => sarif::sarif(&findings(), &audit_rules(), paths),
    }
}

/// Returns the result of checking files in a format. The paths apply to SARIF only.
pub fn validation(
    accounts: &[DesiredAccount],
    diagnostics: &Diagnostics,
    format: ValidateFormat,
    paths: RepositoryPaths<'_>,
) -> String {
    match format {
        ValidateFormat::Text => {
            let mistakes = match diagnostics.is_empty() {
                true => "no mistakes".to_owned(),
                false => diagnostics.summary(),
            };
            let accounts = pluralize(accounts.len(), "account");
            format!(
                "{}{accounts}, {mistakes}\n",
                diagnostics.render(Color::Ansi)
            )
        }
        ValidateFormat::Json => json::validation(accounts, diagnostics),
        ValidateFormat::Sarif => {
            sarif::sarif(&diagnostic_findings(diagnostics), &file_rules(), paths)
        }
    }
}
