//! The parts that texts share: headings, titles, lines of fields, notes.

use std::fmt;

use crate::model::address::Address;
use crate::model::text::Visible;
pub use crate::model::text::count;
use crate::plan::{AccountError, AccountPlan};
use crate::report::block::Block;
use crate::report::fields::{self, FieldLine};
use crate::report::style;

/// Where a word such as `weakens` stands, in columns from the left.
const REMARK_COLUMN: usize = 59;

/// The line above an account, and an empty one.
pub(super) fn account_heading(f: &mut fmt::Formatter<'_>, account: &AccountPlan) -> fmt::Result {
    let bold = style::HEADING;
    match &account.name {
        Some(name) => write!(
            f,
            "{bold}{name}{bold:#} ({})",
            account.account_id.abbreviated()
        )?,
        None => write!(f, "{bold}{}{bold:#}", account.account_id)?,
    }
    writeln!(f, "  {}\n", Visible(&account.source))
}

/// Why an account could not be handled, and an empty line.
pub(super) fn account_error(f: &mut fmt::Formatter<'_>, error: &AccountError) -> fmt::Result {
    let red = style::ERROR;
    let mut lines = error.message.lines();
    writeln!(
        f,
        "  {red}error{red:#}: {}",
        Visible(lines.next().unwrap_or_default())
    )?;
    for line in lines {
        writeln!(f, "    {}", Visible(line))?;
    }
    if let Some(help) = &error.help {
        writeln!(f, "  help: {}", Visible(help))?;
    }
    writeln!(f)
}

/// The line above a change.
pub(super) fn title(
    f: &mut fmt::Formatter<'_>,
    colour: anstyle::Style,
    block: &Block<'_>,
    remark: &str,
) -> fmt::Result {
    let address = block.address.to_string();
    let mut name = Visible(&address).to_string();
    if let Some(origin) = &block.origin {
        name.push_str(&format!("  ({origin})"));
    }
    write!(f, "  {colour}{}{colour:#} {name}", block.mark.symbol())?;
    if remark.is_empty() {
        return writeln!(f);
    }
    let yellow = style::WARNING;
    let gap = REMARK_COLUMN
        .saturating_sub(4 + name.chars().count())
        .max(2);
    writeln!(f, "{:gap$}{yellow}{remark}{yellow:#}", "")
}

/// One line a field, the values in a column.
pub(super) fn field_lines(
    f: &mut fmt::Formatter<'_>,
    lines: &[FieldLine],
    say: impl Fn(&FieldLine) -> String,
) -> fmt::Result {
    let width = fields::width(lines);
    for line in lines {
        writeln!(f, "      {:width$}{}", line.field, say(line))?;
    }
    Ok(())
}

/// The notes of an account.
pub(super) fn note_lines(f: &mut fmt::Formatter<'_>, account: &AccountPlan) -> fmt::Result {
    for note in &account.notes {
        let text = note.to_string();
        if note.is_warning() {
            let yellow = style::WARNING;
            writeln!(f, "  {yellow}warning{yellow:#}: {}", Visible(&text))?;
        } else {
            writeln!(f, "  note: {}", Visible(&text))?;
        }
    }
    Ok(())
}

/// How much was left out, and an empty line where that or a note was said.
pub(super) fn left_out(
    f: &mut fmt::Formatter<'_>,
    account: &AccountPlan,
    noun: &str,
    by: &str,
) -> fmt::Result {
    if !account.left_out.is_empty() {
        let left_out = count(account.left_out.len(), noun);
        writeln!(f, "  note: {left_out} left out by {by}")?;
    }
    if account.notes.is_empty() && account.left_out.is_empty() {
        return Ok(());
    }
    writeln!(f)
}

/// An address for a sentence: an id is cut to its first eight digits.
pub(super) fn short(address: &Address) -> String {
    match address {
        Address::UnlistedIntegration(id) => {
            format!("integration[{}]", id.abbreviated())
        }
        Address::Behavior(_) | Address::Integration(_) => Visible(&address.to_string()).to_string(),
    }
}
