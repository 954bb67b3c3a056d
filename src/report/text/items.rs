//! Display items of an account as text, so that equal items of several accounts can be grouped.

use std::borrow::Cow;
use std::fmt;

use crate::model::text::{EscapeInvisible, pluralize};
use crate::plan::{AccountPlan, Format, Run};
use crate::report::display_item::{ChangeMarker, DisplayItem, Severity, blocks, refusal};
use crate::report::field_lines::FieldLine;
use crate::report::style;

use super::layout::{account_error, block_lines, note_line};

/// One item of an account.
pub(super) struct Item {
    pub(super) gravity: Severity,
    pub(super) text: String,
    /// Attribution, as sentences.
    pub(super) who: Vec<String>,
    /// Help of an error, often shared.
    pub(super) help: Option<String>,
}

impl Item {
    pub(super) fn new(
        gravity: Severity,
        write: impl Fn(&mut fmt::Formatter<'_>) -> fmt::Result,
    ) -> Self {
        Item {
            gravity,
            text: fmt::from_fn(write).to_string(),
            who: Vec::new(),
            help: None,
        }
    }
}

/// Returns the items of an account, in display order.
pub(super) fn items(run: &Run, account: &AccountPlan) -> Vec<Item> {
    let mut items = Vec::new();
    // The error of a single account is the error of the run; its guard violations are shown at the end.
    if run.accounts.len() > 1 {
        items.extend(account.error.as_ref().map(|error| Item {
            help: error.help.clone(),
            ..Item::new(Severity::Failed, |f| account_error(f, error))
        }));
        let red = style::ERROR;
        items.extend(account.violations.iter().map(|one| {
            let sentence = refusal("", one);
            let guard = one.guard;
            Item::new(Severity::Refused, |f| {
                writeln!(
                    f,
                    "  {red}blocked{red:#} by {guard}: {}",
                    EscapeInvisible(&sentence)
                )
            })
        }));
    }
    items.extend(blocks(run, account).map(|mut block| Item {
        who: std::mem::take(&mut block.who),
        ..Item::new(block.gravity(), |f| write_block(f, run.format, &block))
    }));
    let notes = account.notes.iter();
    items.extend(notes.map(|note| Item::new(Severity::Said, |f| note_line(f, note))));
    if !account.excluded.is_empty() {
        let (noun, by) = match run.format {
            Format::Plan | Format::Apply => ("change", "--target"),
            Format::Drift => ("difference", "--target or --ignore"),
        };
        let excluded = pluralize(account.excluded.len(), noun);
        items.push(Item::new(Severity::Said, |f| {
            writeln!(f, "  note: {excluded} left out by {by}")
        }));
    }
    items
}

fn write_block(f: &mut fmt::Formatter<'_>, format: Format, block: &DisplayItem<'_>) -> fmt::Result {
    match format {
        Format::Plan | Format::Apply => {
            let remark = match block.weakening {
                Some(_) => "weakens",
                None if block.change.is_none() => block.words,
                None => "",
            };
            block_lines(f, block, block.style(), remark, FieldLine::as_planned)
        }
        Format::Drift => {
            let (style, remark) = match block.weakening {
                Some(_) => (style::ERROR, format!("weaker: {}", block.words)),
                None if block.mark == ChangeMarker::Ambiguous => {
                    (style::ERROR, block.words.to_owned())
                }
                None => (style::WARNING, block.words.to_owned()),
            };
            block_lines(f, block, style, &remark, FieldLine::as_drift)
        }
    }
}

/// Displays an item.
#[derive(Clone)]
pub(super) struct Line<'a> {
    pub(super) item: &'a Item,
    pub(super) text: &'a str,
    pub(super) who: Cow<'a, [String]>,
}

impl<'a> From<&'a Item> for Line<'a> {
    fn from(item: &'a Item) -> Self {
        Line {
            item,
            text: &item.text,
            who: Cow::Borrowed(&item.who),
        }
    }
}

/// Displays items, separated by empty lines: the main items, then notes. The help of an error is shown if `is_new` returns true.
pub(super) fn write_items<'a>(
    f: &mut fmt::Formatter<'_>,
    items: impl IntoIterator<Item = Line<'a>>,
    is_new: &mut impl FnMut(&str) -> bool,
) -> fmt::Result {
    let mut parted = true;
    for Line { item, text, who } in items {
        if item.gravity == Severity::Said && !parted {
            writeln!(f)?;
        }
        parted = item.gravity == Severity::Said;
        f.write_str(text)?;
        for sentence in who.iter() {
            writeln!(f, "      {sentence}")?;
        }
        if let Some(help) = item.help.as_deref().filter(|help| is_new(help)) {
            writeln!(f, "  help: {}", EscapeInvisible(help))?;
        }
    }
    writeln!(f)
}
