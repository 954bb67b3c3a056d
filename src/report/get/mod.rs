//! Output of `get`: table, JSON, CSV or YAML.
//!
//! Each resource type has a file; common code is here. A table fits the width, is not wrapped in a pipe and needs no color. The other
//! formats have every field as returned by the API.

mod behaviors;
mod csv;
mod integrations;
mod pseudonym;
pub mod table;
mod user;
mod users;

use serde::Serialize;

use crate::config::write::value_to_yaml;
use crate::model::account::AccountId;
use crate::model::open_enum::string_enum;
use crate::model::text::escape_invisible_json;

use table::Width;

pub use behaviors::Behaviors;
pub use integrations::{Integrations, OneIntegration};
pub use pseudonym::{Privacy, pseudonym};
pub use user::User;
pub use users::{UserFilter, Users, users_table};

string_enum! {
    /// Formats of `get`.
    ReadFormat {
        /// For a terminal.
        Table = "table",
        /// For scripts.
        Json = "json",
        /// For spreadsheets.
        Csv = "csv",
        /// For people who would rather read JSON.
        Yaml = "yaml",
    }
}

/// A type of data that can be read. Serializes as the members of its JSON and YAML documents.
pub trait Tabular: Serialize {
    /// Name of the document format.
    const FORMAT: &'static str;
    /// Columns of the CSV.
    const COLUMNS: &'static [&'static str];

    /// Returns the table for this width.
    fn table(&self, width: Width) -> String;

    /// Returns the rows of the CSV.
    fn records(&self) -> impl Iterator<Item = Vec<String>>;
}

/// Returns the data in a format. `width` is the width of a table.
pub fn render<S: Tabular>(
    account: &AccountId,
    shown: &S,
    format: ReadFormat,
    width: Width,
) -> String {
    let document = ReadDocument {
        format: S::FORMAT,
        account_id: account,
        shown,
    };
    match format {
        ReadFormat::Table => shown.table(width),
        ReadFormat::Json => json(&document),
        ReadFormat::Csv => csv::text(S::COLUMNS, shown.records()),
        ReadFormat::Yaml => value_to_yaml(
            &serde_yaml::to_value(&document).expect("strings, numbers and maps of them are YAML"),
        ),
    }
}

/// Returns a document for scripts, safe for terminals.
pub fn json(document: &impl Serialize) -> String {
    let mut json = serde_json::to_string_pretty(document)
        .expect("strings, numbers and maps with strings for keys are JSON");
    json.push('\n');
    escape_invisible_json(json)
}

#[derive(Serialize)]
struct ReadDocument<'a, S> {
    format: &'static str,
    account_id: &'a AccountId,
    #[serde(flatten)]
    shown: &'a S,
}
