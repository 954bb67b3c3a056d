//! File diagnostics in every format.

use serde::Serialize;

use crate::config::diagnostic::{Color, Diagnostic, Diagnostics};
use crate::model::account::{AccountId, DesiredAccount};

use super::{ValidateFormat, sarif};

/// Result of checking files.
#[derive(Debug)]
pub struct ValidationResult {
    /// Declared accounts.
    pub accounts: Vec<DesiredAccount>,
    /// All diagnostics.
    pub diagnostics: Diagnostics,
}

/// Returns the result in a format.
pub fn files(checked: &ValidationResult, format: ValidateFormat) -> String {
    match format {
        ValidateFormat::Text => text(checked),
        ValidateFormat::Json => json(checked),
        ValidateFormat::Sarif => sarif::files(&checked.diagnostics),
    }
}

fn text(checked: &ValidationResult) -> String {
    let ValidationResult {
        accounts,
        diagnostics,
    } = checked;
    let declared = match accounts.len() {
        1 => "1 account".to_owned(),
        count => format!("{count} accounts"),
    };
    if diagnostics.is_empty() {
        format!("{declared}, no mistakes\n")
    } else {
        format!(
            "{}{declared}, {}\n",
            diagnostics.render(Color::Ansi),
            diagnostics.summary()
        )
    }
}

#[derive(Serialize)]
struct FilesDocument<'a> {
    format: &'static str,
    riskform_version: &'static str,
    accounts: Vec<Account<'a>>,
    errors: usize,
    warnings: usize,
    /// Number of errors not in the list.
    omitted: usize,
    diagnostics: Vec<&'a Diagnostic>,
}

#[derive(Serialize)]
struct Account<'a> {
    account_id: &'a AccountId,
    name: &'a str,
    source: &'a str,
}

fn json(checked: &ValidationResult) -> String {
    let ValidationResult {
        accounts,
        diagnostics,
    } = checked;
    let accounts = accounts.iter().map(|account| Account {
        account_id: &account.account_id,
        name: account.label(),
        source: &account.source,
    });
    let document = FilesDocument {
        format: "riskform.validate/1",
        riskform_version: env!("CARGO_PKG_VERSION"),
        accounts: accounts.collect(),
        errors: diagnostics.errors(),
        warnings: diagnostics.warnings(),
        omitted: diagnostics.omitted(),
        diagnostics: diagnostics.iter().collect(),
    };
    let mut text =
        serde_json::to_string_pretty(&document).expect("the document has text keys only");
    text.push('\n');
    text
}
