//! Plans and results in every format: values that display.
//!
//! Never prints. Whatever is for other programs or for the web is rendered from one structured result, the [`Run`]. Text carries its
//! colors as ANSI sequences that only repeat what symbols and words say; whoever prints it strips them where they do not belong.
//!
//! | file | is for |
//! | --- | --- |
//! | `text` | terminals |
//! | `json` | the structured result itself, `schema` its JSON Schema |
//! | `markdown` | comments on pull requests, and job summaries |
//! | `html` | people, as a page |
//! | `diff` | reviewers, as files before and after |
//! | `files` | whoever checks files without an account |
//! | `audit`, `doctor` | findings, which the other formats of an audit stand beside |
//! | `junit`, `sarif`, `prometheus` | dashboards of tests, of findings and of metrics |
//! | `context` | who made something differ, in words |
//! | `block`, `fields`, `totals` | what there is to show, before it is known in which format |

pub mod attribution;
mod audit;
mod diff;
mod display_item;
mod doctor;
mod field_lines;
mod files;
pub mod get;
mod html;
pub mod json;
mod junit;
mod markdown;
mod prometheus;
mod sarif;
pub mod schema;
pub mod style;
pub mod text;
mod totals;

use crate::model::open_enum::words;
use crate::plan::Run;

use text::{ApplyText, RunText};

pub use audit::{audit, audit_markdown};
pub use doctor::doctor;
pub use files::{ValidationResult, files};
pub use markdown::{MAX_COMMENT_BYTES, MAX_JOB_SUMMARY_BYTES, markdown};
pub use prometheus::RunMetrics;

words! {
    /// How much a text tells of a fleet.
    DetailLevel {
        /// The same change, unlisted thing, note or error of several accounts once.
        Grouped = "grouped",
        /// Everything, account by account.
        Expanded = "expanded",
        /// A line an account.
        Summary = "summary",
    }
}

words! {
    /// The formats of a plan.
    PlanFormat {
        /// For a terminal.
        Text = "text",
        /// For scripts, and for `apply --plan`.
        Json = "json",
        /// For a comment on a pull request.
        Markdown = "markdown",
        /// For a reviewer: what the files of both states would say.
        Diff = "diff",
        /// For a browser.
        Html = "html",
    }
}

words! {
    /// The formats of an application's result.
    ApplyFormat {
        /// For a terminal.
        Text = "text",
        /// For scripts.
        Json = "json",
        /// For a job's summary.
        Markdown = "markdown",
    }
}

words! {
    /// The formats of drift.
    DriftFormat {
        /// For a terminal, and for cron's mail.
        Text = "text",
        /// For scripts.
        Json = "json",
        /// For an issue or a job's summary.
        Markdown = "markdown",
        /// For a browser.
        Html = "html",
        /// For whatever shows results of tests: a case for each address.
        Junit = "junit",
        /// For whatever shows findings in code: each at the line that declares it.
        Sarif = "sarif",
        /// For node_exporter's textfile collector.
        Prometheus = "prometheus",
    }
}

impl DriftFormat {
    /// Says whether it shows what an account's states hold, beside how they differ.
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

words! {
    /// The formats of what riskform says about itself.
    VersionFormat {
        /// For people.
        Text = "text",
        /// For scripts.
        Json = "json",
    }
}

words! {
    /// The formats of merged results; which of them there are depends on what is merged.
    MergeFormat {
        /// For a terminal.
        Text = "text",
        /// For scripts.
        Json = "json",
        /// For a comment.
        Markdown = "markdown",
        /// Of plans.
        Diff = "diff",
        /// Not of applied plans.
        Html = "html",
        /// Of drift.
        Junit = "junit",
        /// Of drift.
        Sarif = "sarif",
        /// Of drift.
        Prometheus = "prometheus",
    }
}

words! {
    /// The formats of an audit.
    AuditFormat {
        /// For a terminal, and for cron's mail.
        Text = "text",
        /// For scripts.
        Json = "json",
        /// For an issue or a job's summary.
        Markdown = "markdown",
        /// For a browser.
        Html = "html",
        /// For whatever shows results of tests: a case for each check.
        Junit = "junit",
        /// For whatever shows findings in code.
        Sarif = "sarif",
    }
}

words! {
    /// The formats of what the doctor finds.
    DoctorFormat {
        /// For a terminal.
        Table = "table",
        /// For scripts.
        Json = "json",
    }
}

words! {
    /// The formats of what is wrong with files.
    ValidateFormat {
        /// For a terminal.
        Text = "text",
        /// For scripts.
        Json = "json",
        /// For whatever shows findings in code.
        Sarif = "sarif",
    }
}

/// A plan in a format. The detail is for text alone.
pub fn plan(run: &Run, format: PlanFormat, detail: DetailLevel) -> String {
    match format {
        PlanFormat::Text => RunText(run, detail).to_string(),
        PlanFormat::Json => run.to_json(),
        PlanFormat::Markdown => markdown(run, MAX_COMMENT_BYTES),
        PlanFormat::Diff => diff::diff(run),
        PlanFormat::Html => html::page(run),
    }
}

/// What became of a plan in a format.
pub fn apply(run: &Run, format: ApplyFormat) -> String {
    match format {
        ApplyFormat::Text => ApplyText(run).to_string(),
        ApplyFormat::Json => run.to_json(),
        ApplyFormat::Markdown => markdown(run, MAX_COMMENT_BYTES),
    }
}

/// Drift in a format. The detail is for text alone, and the figures of the run for metrics; results that were merged have none.
pub fn drift(
    run: &Run,
    format: DriftFormat,
    detail: DetailLevel,
    figures: Option<&RunMetrics>,
) -> String {
    match format {
        DriftFormat::Text => RunText(run, detail).to_string(),
        DriftFormat::Json => run.to_json(),
        DriftFormat::Markdown => markdown(run, MAX_COMMENT_BYTES),
        DriftFormat::Html => html::page(run),
        DriftFormat::Junit => junit::junit(run),
        DriftFormat::Sarif => sarif::drift(run),
        DriftFormat::Prometheus => prometheus::metrics(run, figures),
    }
}
