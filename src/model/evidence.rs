//! Evidence of a check: the token, the commit and the files that it used.

use std::fmt::Display;

use jiff::Timestamp;
#[cfg(test)]
use schemars::JsonSchema;
use serde::Serialize;

use super::text::{EscapeInvisible, abbreviate_list};

/// Facts about a run that allow keeping its result as evidence. An unknown fact is null.
///
/// JSON contains the members. Text, Markdown and HTML show them with [`line`](Self::line), once, at the end of the output:
/// `<sub>…</sub>` in Markdown, `<footer>` in HTML. The caller escapes the line like any other text. A run for other formats has none.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[cfg_attr(test, derive(JsonSchema))]
pub struct Evidence {
    /// Commit of the riskform source; null in a development build.
    pub riskform_commit: Option<String>,
    /// Tokens that the run used.
    pub tokens: Vec<TokenEvidence>,
    /// Commit of the files.
    pub commit: Option<String>,
    /// Repository of the files.
    pub repository: Option<String>,
    /// URL of the CI run.
    pub run_url: Option<String>,
    /// User who started the run.
    pub actor: Option<String>,
    /// Desired-state files that were read.
    pub files: Vec<FileEvidence>,
}

/// A token and the number of accounts that it was used for.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(test, derive(JsonSchema))]
pub struct TokenEvidence {
    /// Environment variable of the token; null for the simulated API.
    pub variable: Option<String>,
    /// ID of the token (not secret).
    pub id: Option<String>,
    pub accounts: usize,
}

/// A file and its content.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(test, derive(JsonSchema))]
pub struct FileEvidence {
    /// Path relative to the repository.
    pub path: String,
    pub sha256: Option<String>,
}

impl Evidence {
    /// Returns the evidence as one line of plain text, such as `2026-12-01 00:38 UTC · riskform 0.1.0 ·
    /// https://api.cloudflare.com/client/v4 · token ed17… · commit 9f2c1a7 · files a.yaml and 59 more`.
    pub fn line(&self, created_at: Timestamp, base_url: &str) -> String {
        let tokens = self.tokens.iter();
        let ids: Vec<&str> = tokens.filter_map(|token| token.id.as_deref()).collect();
        let commit = self.commit.as_deref();
        let parts = [
            Some(created_at.strftime("%Y-%m-%d %H:%M UTC").to_string()),
            Some(format!("riskform {}", env!("CARGO_PKG_VERSION"))),
            Some(base_url.to_owned()),
            named("token", &ids),
            commit.map(|commit| format!("commit {}", short(commit))),
            self.files("file", " "),
        ];
        let parts: Vec<String> = parts.into_iter().flatten().collect();
        EscapeInvisible(&parts.join(" · ")).to_string()
    }

    /// Returns the evidence as two lines of plain text, with the commit of riskform, the tokens' variables and the CI run.
    pub fn lines(&self, created_at: Timestamp, base_url: &str) -> [String; 2] {
        let at = created_at.strftime("%Y-%m-%d %H:%M:%S UTC");
        let build = self.riskform_commit.iter();
        let build: String = build
            .map(|commit| format!(" ({})", short(commit)))
            .collect();
        let version = env!("CARGO_PKG_VERSION");
        let tokens = self.tokens.iter().map(|token| {
            let id = token.id.as_deref().unwrap_or("unknown");
            let variable = token.variable.iter().map(|name| format!(" ({name})"));
            format!("{id}{}", variable.collect::<String>())
        });
        let commit = self.commit.as_ref().map(|commit| {
            let repository = self.repository.iter().map(|name| format!(" of {name}"));
            let run = self.run_url.iter().filter_map(|url| url.rsplit('/').next());
            let run = run.map(|run| format!(", run {run}"));
            let origin: String = repository.chain(run).collect();
            format!("Commit {}{origin}", short(commit))
        });
        let tokens = named("Token", &tokens.collect::<Vec<_>>());
        let facts = [tokens, commit, self.files("File", ": ")];
        let facts: Vec<String> = facts.into_iter().flatten().map(|fact| fact + ".").collect();
        [
            format!("Checked {at} by riskform {version}{build} against {base_url}"),
            facts.join(" "),
        ]
        .map(|line| EscapeInvisible(&line).to_string())
    }

    /// Returns the first file and the number of the others.
    fn files(&self, noun: &str, separator: &str) -> Option<String> {
        let (first, others) = self.files.split_first()?;
        Some(match others.len() {
            0 => format!("{noun}{separator}{}", first.path),
            more => format!("{noun}s{separator}{} and {more} more", first.path),
        })
    }
}

/// Returns a list with its noun.
fn named(noun: &str, items: &[impl Display]) -> Option<String> {
    match items {
        [] => None,
        [item] => Some(format!("{noun} {item}")),
        items => Some(format!("{noun}s {}", abbreviate_list(items))),
    }
}

/// Returns the first seven characters of a commit.
fn short(commit: &str) -> &str {
    commit.get(..7).unwrap_or(commit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn line_has_only_known_facts() {
        let at = "2026-12-01T00:38:12Z".parse().unwrap();
        let url = "https://api.cloudflare.com/client/v4";
        let nothing = Evidence::default().line(at, url);
        let version = env!("CARGO_PKG_VERSION");
        assert_eq!(
            nothing,
            format!("2026-12-01 00:38 UTC · riskform {version} · {url}")
        );
        let text = |text: &str| Some(text.to_owned());
        let file = |path: &str| FileEvidence {
            path: path.to_owned(),
            sha256: None,
        };
        let all = Evidence {
            riskform_commit: text("a32c0061234"),
            tokens: vec![TokenEvidence {
                variable: text("CLOUDFLARE_API_TOKEN"),
                id: text("ed17"),
                accounts: 2,
            }],
            commit: text("9f2c1a7e000"),
            repository: text("example/security"),
            run_url: text("https://github.com/example/security/actions/runs/42"),
            actor: None,
            files: vec![file("a\u{202e}.yaml"), file("b.yaml")],
        };
        assert_eq!(
            all.line(at, url),
            format!(
                "2026-12-01 00:38 UTC · riskform {version} · {url} · token ed17 · commit 9f2c1a7 · files a\\u{{202e}}.yaml and 1 more"
            )
        );
    }
}
