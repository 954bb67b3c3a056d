//! Tables: columns side by side for many things, a line a field for one.

use comfy_table::presets::NOTHING;
use comfy_table::{CellAlignment, ContentArrangement, Table};

/// How wide a table is where nobody says otherwise.
pub const USUAL_WIDTH: u16 = 80;

/// How the texts of a column stand.
#[derive(Clone, Copy, Debug)]
pub enum Column {
    /// Words, broken between them where they must be.
    Words,
    /// Numbers, to the right.
    Number,
    /// Lines whose indentation counts.
    Lines,
}

/// Rows below a header. A text that does not fit its column goes on in the next line, and no line is wider than `width`.
///
/// The texts may hold line breaks; whatever else a terminal would obey has to be made visible before.
pub fn grid(
    width: u16,
    columns: &[(&str, Column)],
    rows: impl IntoIterator<Item = Vec<String>>,
) -> String {
    let mut table = plain(width);
    table.set_header(columns.iter().map(|(title, _)| *title));
    table.add_rows(rows);
    let last = columns.len().saturating_sub(1);
    for (index, (_, kind)) in columns.iter().enumerate() {
        let Some(column) = table.column_mut(index) else {
            continue;
        };
        column.set_padding((0, if index == last { 0 } else { 2 }));
        match kind {
            Column::Words => {}
            Column::Number => column.set_cell_alignment(CellAlignment::Right),
            // No text holds this character, so a line is never taken apart and put together again without its indentation.
            Column::Lines => {
                column.set_delimiter('\0');
            }
        }
    }
    finish(&table)
}

/// One thing, a line for each field.
pub fn fields(width: u16, fields: &[(&str, String)]) -> String {
    let mut table = plain(width);
    for (name, value) in fields {
        table.add_row([*name, value]);
    }
    for (index, gap) in [(0, 2), (1, 0)] {
        if let Some(column) = table.column_mut(index) {
            column.set_padding((0, gap));
        }
    }
    finish(&table)
}

fn plain(width: u16) -> Table {
    let mut table = Table::new();
    table
        .load_style(NOTHING)
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_width(width);
    table
}

fn finish(table: &Table) -> String {
    let mut text = String::new();
    for line in table.lines() {
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}
