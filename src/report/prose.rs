//! Items as sentences, for Markdown and Slack.

use crate::model::text::{abbreviate_list, pluralize};

use super::item::Item;
use super::view::Section;

/// Escaping of a format.
pub(super) struct Markup {
    /// Returns text as code.
    pub(super) code: fn(&str) -> String,
    /// Returns text that has no meaning in the format.
    pub(super) text: fn(&str) -> String,
}

/// Returns the kind of an item, its accounts, and the item as a sentence without a period.
pub(super) fn sentence(section: &Section, item: &Item, markup: &Markup) -> [String; 3] {
    let number = section.accounts.len();
    let accounts = pluralize(number, "account");
    let kind = match item.label {
        _ if item.is_account_error() => format!("{accounts} failed"),
        "" if number > 1 => accounts,
        label if number > 1 => format!("{label} in {accounts}"),
        label => label.to_owned(),
    };
    let names = abbreviate_list(section.accounts.iter().map(|name| (markup.code)(name)));
    let names = match (number, item.label) {
        (0, _) => names,
        (1, label) if !label.is_empty() && !item.is_account_error() => format!("{names} "),
        _ => format!("{names}: "),
    };
    let subject = match item.subject() {
        "" => String::new(),
        subject if item.sentence.starts_with(',') => (markup.code)(subject),
        subject => format!("{} ", (markup.code)(subject)),
    };
    [
        kind,
        names,
        format!("{subject}{}", (markup.text)(&item.sentence)),
    ]
}
