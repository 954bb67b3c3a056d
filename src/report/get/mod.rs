//! What was read, for people and for scripts: a table, JSON, CSV or YAML.
//!
//! Each kind of thing says in its own file how it looks; what the formats have in common stands here. A table fits the width it is
//! given, is never broken where it is piped, and needs no color. The other formats carry every field as the API spelt it.

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
use crate::model::open_enum::words;
use crate::model::text::escape_invisible_json;

use table::Width;

pub use behaviors::Behaviors;
pub use integrations::{Integrations, OneIntegration};
pub use pseudonym::{Privacy, pseudonym};
pub use user::User;
pub use users::{UserFilter, Users, users_table};

words! {
    /// The formats of what is read.
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

/// One kind of thing that can be read. It serialises as the members of its JSON and YAML documents.
pub trait Tabular: Serialize {
    /// The format of its documents.
    const FORMAT: &'static str;
    /// The columns of its CSV.
    const COLUMNS: &'static [&'static str];

    /// The table, as wide as it may be.
    fn table(&self, width: Width) -> String;

    /// The rows of its CSV.
    fn records(&self) -> impl Iterator<Item = Vec<String>>;
}

/// What was read of an account, in a format. `width` is how wide a table may be.
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

/// A document for scripts, which a terminal may show all the same.
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
