//! Shared parts of texts: headings, titles, field lines, notes.

use std::fmt;

use crate::model::text::EscapeInvisible;
use crate::plan::{AccountError, AccountPlan, Note};
use crate::report::display_item::DisplayItem;
use crate::report::field_lines::{self, FieldLine};
use crate::report::style;

/// Column of words such as `weakens`; `weaker: lower than declared` fits 80 columns.
const LABEL_COLUMN: usize = 52;

/// Writes the heading of an account and an empty line.
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
    writeln!(f, "  {}\n", EscapeInvisible(&account.source))
}

/// Writes the error of an account.
pub(super) fn account_error(f: &mut fmt::Formatter<'_>, error: &AccountError) -> fmt::Result {
    let red = style::ERROR;
    let mut lines = error.message.lines();
    writeln!(
        f,
        "  {red}error{red:#}: {}",
        EscapeInvisible(lines.next().unwrap_or_default())
    )?;
    lines.try_for_each(|line| writeln!(f, "    {}", EscapeInvisible(line)))
}

/// Writes the title and the fields of an item.
pub(super) fn block_lines(
    f: &mut fmt::Formatter<'_>,
    block: &DisplayItem<'_>,
    style: anstyle::Style,
    remark: &str,
    say: impl Fn(&FieldLine) -> String,
) -> fmt::Result {
    title(f, style, block, remark)?;
    for line in &block.lines {
        writeln!(f, "      {}", EscapeInvisible(line))?;
    }
    let width = field_lines::width(&block.fields);
    let mut lines = block.fields.iter();
    lines.try_for_each(|line| writeln!(f, "      {:width$}{}", line.field, say(line)))
}

fn title(
    f: &mut fmt::Formatter<'_>,
    style: anstyle::Style,
    block: &DisplayItem<'_>,
    remark: &str,
) -> fmt::Result {
    let address = block.address.to_string();
    let mut name = EscapeInvisible(&address).to_string();
    if let Some(origin) = &block.origin {
        name.push_str(&format!("  ({origin})"));
    }
    write!(f, "  {style}{}{style:#} {name}", block.mark.symbol())?;
    if remark.is_empty() {
        return writeln!(f);
    }
    let yellow = style::WARNING;
    let gap = LABEL_COLUMN.saturating_sub(4 + name.chars().count()).max(2);
    writeln!(f, "{:gap$}{yellow}{remark}{yellow:#}", "")
}

pub(super) fn note_line(f: &mut fmt::Formatter<'_>, note: &Note) -> fmt::Result {
    let text = note.to_string();
    if note.warning {
        let yellow = style::WARNING;
        writeln!(f, "  {yellow}warning{yellow:#}: {}", EscapeInvisible(&text))
    } else {
        writeln!(f, "  note: {}", EscapeInvisible(&text))
    }
}
