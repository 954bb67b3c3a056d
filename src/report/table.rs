//! Tables without lines, never wrapped.

use comfy_table::presets::NOTHING;
use comfy_table::{CellAlignment, ContentArrangement, Table};

use crate::model::text::EscapeInvisible;

/// Returns rows below their titles, if any, which two spaces separate. Columns with `numbers` are aligned to the right. Invisible
/// characters are escaped.
pub(super) fn table(
    titles: &str,
    numbers: &[&str],
    rows: impl IntoIterator<Item = Vec<String>>,
) -> String {
    let mut table = Table::new();
    table.load_style(NOTHING);
    table.set_content_arrangement(ContentArrangement::Disabled);
    let titles: Vec<&str> = titles.split("  ").collect();
    if titles != [""] {
        table.set_header(&titles);
    }
    for row in rows {
        table.add_row(row.iter().map(|cell| EscapeInvisible(cell).to_string()));
    }
    for (index, column) in table.column_iter_mut().enumerate() {
        column.set_padding((0, 2));
        if titles
            .get(index)
            .is_some_and(|title| numbers.contains(title))
        {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    let lines = table.lines();
    lines.map(|line| format!("{}\n", line.trim_end())).collect()
}
