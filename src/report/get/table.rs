//! Tables: columns for many resources, one line per field for one. Never wrapped.

use comfy_table::presets::NOTHING;
use comfy_table::{CellAlignment, ContentArrangement, Table};

/// Alignment of a column.
#[derive(Clone, Copy, Debug)]
pub enum Column {
    /// Words, to the left.
    Words,
    /// Numbers, to the right.
    Number,
}

/// Returns rows below a header.
///
/// The texts may hold line breaks; the caller escapes other control characters.
pub fn grid(columns: &[(&str, Column)], rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let mut table = table(rows, columns.len());
    table.set_header(columns.iter().map(|(title, _)| *title));
    for (index, (_, column)) in columns.iter().enumerate() {
        if let (Column::Number, Some(column)) = (column, table.column_mut(index)) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    finish(&table)
}

/// Returns one line per field.
pub fn fields(fields: &[(&str, String)]) -> String {
    let rows = fields.iter();
    let rows = rows.map(|(name, value)| vec![(*name).to_owned(), value.clone()]);
    finish(&table(rows, 2))
}

fn table(rows: impl IntoIterator<Item = Vec<String>>, columns: usize) -> Table {
    let mut table = Table::new();
    table.load_style(NOTHING);
    table.set_content_arrangement(ContentArrangement::Disabled);
    table.add_rows(rows);
    for index in 0..columns {
        if let Some(column) = table.column_mut(index) {
            column.set_padding((0, if index + 1 == columns { 0 } else { 2 }));
        }
    }
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
