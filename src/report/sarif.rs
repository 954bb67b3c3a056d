//! Findings as a SARIF 2.1.0 log: each at the line of its declaration, else at the file of its account.
//!
//! Unknown results and accounts with read errors are notifications of the tool, not results (SARIF, section 3.58).

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};

use crate::model::finding::{CheckStatus, Finding};
use crate::model::text::escape_lines;
use crate::plan::sha256;

use super::json::document;

/// URL of the standard's schema.
const SCHEMA: &str =
    "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json";

/// ID of a check, the level of its results (`error`, `warning` or `note`), and its description.
pub(super) type Rule = (&'static str, &'static str, &'static str);

/// Returns findings as SARIF. `paths` returns the path of a file relative to its repository.
pub(super) fn sarif(
    findings: &[Finding],
    rules: &[Rule],
    paths: &dyn Fn(&str) -> String,
) -> String {
    let results = findings.iter();
    let results = results.filter_map(|finding| result(finding, rules, paths));
    let unknown = findings.iter();
    let unknown = unknown.filter(|finding| finding.status == CheckStatus::Unknown);
    let notifications = unknown.map(|finding| notification(finding, paths));
    let notifications: Vec<Value> = notifications.collect();
    let log = json!({
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": {
                "name": "riskform",
                "semanticVersion": env!("CARGO_PKG_VERSION"),
                "rules": rules.iter().map(descriptor).collect::<Vec<_>>(),
            } },
            "invocations": [{
                "executionSuccessful": notifications.is_empty(),
                "toolExecutionNotifications": notifications,
            }],
            "columnKind": "unicodeCodePoints",
            "results": results.collect::<Vec<_>>(),
        }],
    });
    document(&log)
}

fn descriptor((id, level, description): &Rule) -> Value {
    json!({
        "id": id,
        "shortDescription": message(description),
        "defaultConfiguration": { "level": level },
    })
}

fn result(finding: &Finding, rules: &[Rule], paths: &dyn Fn(&str) -> String) -> Option<Value> {
    let index = rules.iter().position(|(id, ..)| *id == finding.check)?;
    let level = match finding.status {
        CheckStatus::Fail => rules[index].1,
        CheckStatus::Warn => "warning",
        CheckStatus::Pass | CheckStatus::Info | CheckStatus::Unknown => return None,
    };
    let account = finding.account.as_ref();
    let label = account.map(|account| format!("{}: ", account.label()));
    let first = format!("{}{}", label.unwrap_or_default(), finding.message);
    let lines = std::iter::once(&first).chain(&finding.details);
    let lines: Vec<&str> = lines.chain(&finding.help).map(String::as_str).collect();
    let mut result = json!({
        "ruleId": finding.check,
        "ruleIndex": index,
        "level": level,
        "message": message(&lines.join("\n")),
        "locations": [location(finding, paths)],
    });
    if let Some(account) = account {
        // The fingerprint is stable between runs, even if the line moves.
        let identity = json!([account.account_id, finding.check, finding.subject]);
        result["partialFingerprints"] = json!({ "riskform/v1": sha256(&identity) });
    }
    Some(result)
}

fn notification(finding: &Finding, paths: &dyn Fn(&str) -> String) -> Value {
    let account = finding.account.as_ref();
    let label = account.map_or("", |account| account.label());
    let (level, text) = match finding.check {
        Finding::READ => (
            "error",
            format!("{label} could not be read: {}", finding.message),
        ),
        check => ("warning", format!("{label}: {check}: {}", finding.message)),
    };
    json!({
        "level": level,
        "message": message(&text),
        "locations": [location(finding, paths)],
    })
}

/// Returns a plain-text message. `{0}` and `[text](target)` have a meaning in SARIF and are escaped (section 3.11).
fn message(text: &str) -> Value {
    let text = escape_lines(text).replace('{', "{{").replace('}', "}}");
    json!({ "text": text.replace("](", "] (") })
}

fn location(finding: &Finding, paths: &dyn Fn(&str) -> String) -> Value {
    /// Unescaped characters in a URI path (RFC 3986, section 3.3).
    const PATH: &AsciiSet = &NON_ALPHANUMERIC
        .remove(b'/')
        .remove(b'-')
        .remove(b'.')
        .remove(b'_')
        .remove(b'~');
    let source = finding.account.as_ref().map(|account| &account.source);
    let place = finding.location.as_ref();
    let file = place.map(|place| &place.file).or(source);
    let path = paths(file.map_or("", |file| file));
    let uri = utf8_percent_encode(&path, PATH).to_string();
    let mut location = json!({ "artifactLocation": { "uri": uri } });
    if let Some(place) = place {
        location["region"] = json!({ "startLine": place.line, "startColumn": place.column });
        if let Some(end) = finding.end_column {
            location["region"]["endColumn"] = json!(end);
        }
    }
    json!({ "physicalLocation": location })
}
