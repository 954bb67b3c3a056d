//! Output of `get`: a table or JSON.
//!
//! Each resource type has a file; common code is here. JSON has every field as returned by the API.

mod behaviors;
mod integrations;
mod pseudonym;
pub mod table;
mod user;
mod users;

use serde::Serialize;

use crate::model::account::AccountId;
use crate::model::open_enum::string_enum;
use crate::model::text::escape_invisible_json;

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
    }
}

/// A type of data that can be read. Serializes as the members of its JSON document.
pub trait Tabular: Serialize {
    /// Name of the document format.
    const FORMAT: &'static str;

    /// Returns the table.
    fn table(&self) -> String;
}

/// Returns the data in a format.
pub fn render<S: Tabular>(account: &AccountId, shown: &S, format: ReadFormat) -> String {
    let document = ReadDocument {
        format: S::FORMAT,
        account_id: account,
        shown,
    };
    match format {
        ReadFormat::Table => shown.table(),
        ReadFormat::Json => json(&document),
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
