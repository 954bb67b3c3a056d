//! The output formats of all commands.

use crate::model::open_enum::string_enum;

string_enum! {
    /// Output formats. Each command has some of them.
    OutputFormat {
        /// For a terminal, and for cron's mail.
        Text = "text",
        /// For a terminal, one resource per line.
        Table = "table",
        /// For scripts.
        Json = "json",
        /// A desired-state file.
        Yaml = "yaml",
        /// For a comment on a pull request, an issue or a job summary.
        Markdown = "markdown",
        /// For a review: the difference of the two states as files.
        Diff = "diff",
        /// For a browser.
        Html = "html",
        /// For test reports.
        Junit = "junit",
        /// For code scanning: each finding at the line of the declaration.
        Sarif = "sarif",
        /// For node_exporter's textfile collector.
        Prometheus = "prometheus",
    }
}

impl OutputFormat {
    /// Returns true if the format shows the evidence of a drift check.
    pub fn shows_evidence(self) -> bool {
        use OutputFormat::{Html, Json, Markdown};
        matches!(self, Json | Markdown | Html)
    }
}
