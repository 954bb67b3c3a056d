//! Drift as SARIF 2.1.0: each finding at the line that declares what differs.
//!
//! An unlisted thing is declared nowhere, so its finding is about the file as a whole. What could not be compared is no finding but a
//! notification of the run (section 3.58 of the standard).

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Serialize;
use serde_json::json;

use crate::plan::document::{AccountDocument, Document, Status};
use crate::plan::sha256;

use super::block::{Block, Mark, blocks};
use super::visible::Visible;

/// Where the standard's schema is published.
const SCHEMA: &str =
    "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json";

/// The kinds of findings.
#[derive(Clone, Copy)]
enum Rule {
    /// Live protects less than declared.
    Weaker,
    /// Live differs, and protects no less.
    Differs,
    /// Live, but in no file.
    Unlisted,
}

impl Rule {
    /// In the order of their indices.
    const ALL: [Rule; 3] = [Rule::Weaker, Rule::Differs, Rule::Unlisted];

    fn of(block: &Block<'_>) -> Self {
        match (block.mark, block.weakening) {
            (Mark::Unlisted, _) => Rule::Unlisted,
            (_, Some(_)) => Rule::Weaker,
            (_, None) => Rule::Differs,
        }
    }

    fn id(self) -> &'static str {
        match self {
            Rule::Weaker => "weaker",
            Rule::Differs => "differs",
            Rule::Unlisted => "unlisted",
        }
    }

    fn level(self) -> &'static str {
        match self {
            Rule::Weaker => "error",
            Rule::Differs => "warning",
            Rule::Unlisted => "note",
        }
    }

    fn description(self) -> &'static str {
        match self {
            Rule::Weaker => "What is live protects less than what is declared.",
            Rule::Differs => "What is live differs from what is declared.",
            Rule::Unlisted => "Something is live that no file lists.",
        }
    }

    fn help(self) -> &'static str {
        match self {
            Rule::Weaker | Rule::Differs => {
                "Run `riskform apply` to bring back what is declared, or declare what is live."
            }
            Rule::Unlisted => {
                "Declare it, delete it, or set `unlisted` in the file so that it is kept."
            }
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Log<'a> {
    #[serde(rename = "$schema")]
    schema: &'a str,
    version: &'a str,
    runs: [Run<'a>; 1],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Run<'a> {
    tool: Tool<'a>,
    invocations: [Invocation; 1],
    column_kind: &'a str,
    results: Vec<Finding>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Tool<'a> {
    driver: Driver<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Driver<'a> {
    name: &'a str,
    semantic_version: &'a str,
    rules: Vec<ReportingDescriptor>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ReportingDescriptor {
    id: &'static str,
    short_description: Message,
    help: Message,
    default_configuration: Configuration,
}

#[derive(Serialize)]
struct Configuration {
    level: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Invocation {
    execution_successful: bool,
    tool_execution_notifications: Vec<Notification>,
}

#[derive(Serialize)]
struct Notification {
    level: &'static str,
    message: Message,
    locations: [Location; 1],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Finding {
    rule_id: &'static str,
    rule_index: usize,
    level: &'static str,
    message: Message,
    locations: [Location; 1],
    partial_fingerprints: serde_json::Value,
}

#[derive(Serialize)]
struct Message {
    text: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Location {
    physical_location: PhysicalLocation,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct PhysicalLocation {
    artifact_location: ArtifactLocation,
    #[serde(skip_serializing_if = "Option::is_none")]
    region: Option<Region>,
}

#[derive(Serialize)]
struct ArtifactLocation {
    uri: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Region {
    start_line: u32,
    start_column: u32,
}

/// Drift as SARIF.
pub(super) fn sarif(document: &Document) -> String {
    let failed = || {
        document
            .accounts
            .iter()
            .filter(|account| account.status == Status::Error)
    };
    let results = document
        .accounts
        .iter()
        .flat_map(|account| {
            blocks(document.format, account).map(move |block| finding(account, &block))
        })
        .collect();
    let log = Log {
        schema: SCHEMA,
        version: "2.1.0",
        runs: [Run {
            tool: Tool {
                driver: Driver {
                    name: "riskform",
                    semantic_version: &document.riskform_version,
                    rules: Rule::ALL.map(descriptor).into(),
                },
            },
            invocations: [Invocation {
                execution_successful: failed().next().is_none(),
                tool_execution_notifications: failed().map(notification).collect(),
            }],
            column_kind: "unicodeCodePoints",
            results,
        }],
    };
    let mut text = serde_json::to_string_pretty(&log).expect("the log has string keys only");
    text.push('\n');
    text
}

fn descriptor(rule: Rule) -> ReportingDescriptor {
    ReportingDescriptor {
        id: rule.id(),
        short_description: message(rule.description()),
        help: message(rule.help()),
        default_configuration: Configuration {
            level: rule.level(),
        },
    }
}

fn finding(account: &AccountDocument, block: &Block<'_>) -> Finding {
    let rule = Rule::of(block);
    let fields: Vec<String> = block
        .fields
        .iter()
        .map(|line| format!("{} {}", line.field, line.as_found()))
        .collect();
    let address = format!("{}/{}", account.label(), block.address);
    let text = format!("{address}: {} ({})", block.words, fields.join("; "));
    let region = block.location.map(|location| Region {
        start_line: location.line,
        start_column: location.column,
    });
    let file = block
        .location
        .map_or(&account.source, |location| &location.file);
    // What stays the same from run to run, wherever in the file it moves to.
    let identity = json!([account.account_id, block.address, rule.id()]);
    Finding {
        rule_id: rule.id(),
        rule_index: rule as usize,
        level: rule.level(),
        message: message(&text),
        locations: [location(file, region)],
        partial_fingerprints: json!({ "riskform/v1": sha256(&identity) }),
    }
}

fn notification(account: &AccountDocument) -> Notification {
    let why = account.error.as_ref().map_or("", |error| &error.message);
    Notification {
        level: "error",
        message: message(&format!("{} could not be compared: {why}", account.label())),
        locations: [location(&account.source, None)],
    }
}

/// A message that holds nothing but text: the standard reads `{0}` as a placeholder and `[text](target)` as a link (section 3.11).
fn message(text: &str) -> Message {
    let lines: Vec<String> = text.lines().map(|line| Visible(line).to_string()).collect();
    let text = lines.join("\n");
    Message {
        text: text
            .replace('{', "{{")
            .replace('}', "}}")
            .replace("](", "] ("),
    }
}

fn location(file: &str, region: Option<Region>) -> Location {
    /// What stands for itself in the path of a URI (RFC 3986, section 3.3).
    const PATH: &AsciiSet = &NON_ALPHANUMERIC
        .remove(b'/')
        .remove(b'-')
        .remove(b'.')
        .remove(b'_')
        .remove(b'~');
    let path = file.strip_prefix("./").unwrap_or(file);
    Location {
        physical_location: PhysicalLocation {
            artifact_location: ArtifactLocation {
                uri: utf8_percent_encode(path, PATH).to_string(),
            },
            region,
        },
    }
}
