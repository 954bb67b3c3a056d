//! Output formats of plans and results.
//!
//! Returns values, never prints. Formats for other programs are rendered from the [`Run`]. Text has ANSI colors that only repeat
//! symbols and words. The caller strips them if necessary.
//!
//! [`view`] selects, groups and sorts what people read; `text`, `markdown`, `html` and `slack` only render it. `sarif`, `junit` and
//! `prometheus` are for other programs, `diff` shows files before and after.

pub mod attribution;
mod diff;
mod finding_source;
mod findings;
mod format;
pub mod get;
mod html;
mod item;
pub mod json;
mod junit;
mod markdown;
mod prometheus;
mod prose;
mod reset;
mod sarif;
pub mod schema;
pub mod slack;
pub mod style;
mod summary;
mod table;
mod text;
mod view;

use crate::config::diagnostic::Diagnostics;
use crate::doctor::AuditReport;
use crate::model::account::DesiredAccount;
use crate::model::text::pluralize;
use crate::plan::Run;

use finding_source::{DRIFT_RULES, audit_rules, drift_findings, file_rules};

pub use finding_source::diagnostic_findings;
pub use findings::{audit_markdown, doctor};
pub use format::OutputFormat;
pub use item::accounts_with_problems;
pub use markdown::{MAX_COMMENT_BYTES, MAX_JOB_SUMMARY_BYTES, markdown};
pub use prometheus::RunMetrics;
pub use reset::reset;
pub use text::text;
pub use view::{DetailLevel, View};

/// Returns the path of a file relative to its repository.
pub type RepositoryPaths<'a> = &'a dyn Fn(&str) -> String;

/// Returns a plan, drift or the result of an apply in a format. The detail applies to text only, the metrics to Prometheus, the paths to
/// SARIF.
pub fn run(
    run: &Run,
    format: OutputFormat,
    detail: DetailLevel,
    metrics: Option<&RunMetrics>,
    paths: RepositoryPaths<'_>,
) -> String {
    match format {
        OutputFormat::Text | OutputFormat::Table => text(run, detail),
        OutputFormat::Json | OutputFormat::Yaml => json::document(&run.document()),
        OutputFormat::Markdown => markdown(run, MAX_COMMENT_BYTES),
        OutputFormat::Diff => diff::diff(run),
        OutputFormat::Html => html::page(run),
        OutputFormat::Junit => {
            junit::junit(
                "riskform drift",
                &drift_findings(run),
                |finding| match finding.subject.as_str() {
                    "" => finding.check,
                    address => address,
                },
            )
        }
        OutputFormat::Sarif => sarif::sarif(&drift_findings(run), &DRIFT_RULES, paths),
        OutputFormat::Prometheus => prometheus::metrics(run, metrics),
    }
}

/// Returns an audit in a format. The paths apply to SARIF only.
pub fn audit(audit: &AuditReport, format: OutputFormat, paths: RepositoryPaths<'_>) -> String {
    match format {
        OutputFormat::Json => json::document(audit),
        OutputFormat::Markdown => audit_markdown(audit, MAX_COMMENT_BYTES),
        OutputFormat::Html => findings::audit_page(audit),
        OutputFormat::Junit => {
            junit::junit("riskform audit", &audit.findings(), |finding| finding.check)
        }
        OutputFormat::Sarif => sarif::sarif(&audit.findings(), &audit_rules(), paths),
        _ => findings::audit_text(audit),
    }
}

/// Returns the result of checking files in a format. The paths apply to SARIF only.
pub fn validation(
    accounts: &[DesiredAccount],
    diagnostics: &Diagnostics,
    format: OutputFormat,
    paths: RepositoryPaths<'_>,
) -> String {
    match format {
        OutputFormat::Json => json::validation(accounts, diagnostics),
        OutputFormat::Sarif => {
            sarif::sarif(&diagnostic_findings(diagnostics), &file_rules(), paths)
        }
        _ => {
            let mistakes = match diagnostics.is_empty() {
                true => "no mistakes".to_owned(),
                false => diagnostics.summary(),
            };
            let accounts = pluralize(accounts.len(), "account");
            format!("{}{accounts}, {mistakes}\n", diagnostics.render())
        }
    }
}
