//! File diagnostics as SARIF: one rule per type, each finding at its location.

use crate::config::code::{DiagnosticCode, Severity};
use crate::config::diagnostic::{Diagnostic, Diagnostics, Label};

use super::{
    Configuration, Finding, Location, Region, ReportingDescriptor, location, log, message,
};

/// Returns the diagnostics as SARIF.
pub(in crate::report) fn sarif(diagnostics: &Diagnostics) -> String {
    log(
        env!("CARGO_PKG_VERSION"),
        DiagnosticCode::ALL
            .iter()
            .copied()
            .map(descriptor)
            .collect(),
        diagnostics.iter().map(finding).collect(),
        Vec::new(),
    )
}

fn descriptor(rule: DiagnosticCode) -> ReportingDescriptor {
    ReportingDescriptor {
        id: rule.as_str(),
        short_description: message(rule.description()),
        help: None,
        default_configuration: Configuration {
            level: level(rule.severity()),
        },
    }
}

fn level(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
    }
}

fn finding(diagnostic: &Diagnostic) -> Finding {
    let Diagnostic {
        rule,
        severity,
        message: what,
        primary,
        related,
        help,
        note,
    } = diagnostic;
    let sentences = [Some(what), note.as_ref(), help.as_ref()];
    let text: Vec<&str> = sentences
        .into_iter()
        .flatten()
        .map(String::as_str)
        .collect();
    Finding {
        rule_id: rule.as_str(),
        rule_index: *rule as usize,
        level: level(*severity),
        message: message(&text.join("\n")),
        locations: [place(primary)],
        related_locations: related.iter().map(place).collect(),
        partial_fingerprints: None,
    }
}

fn place(label: &Label) -> Location {
    let Label { place, text } = label;
    let region = place.region.as_ref().map(|region| Region {
        start_line: region.line,
        start_column: region.column,
        end_column: Some(region.end_column),
    });
    Location {
        message: (!text.is_empty()).then(|| message(text)),
        ..location(&place.file, region)
    }
}
