//! Tables: columns side by side for many things, a line a field for one.

use comfy_table::presets::NOTHING;
use comfy_table::{CellAlignment, ColumnConstraint, ContentArrangement, Table, Width as Columns};

/// How many columns a table may have; `None` where it is no terminal that shows it, and nothing is broken.
pub type Width = Option<u16>;

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

/// Rows below a header. A text that does not fit its column goes on in the next line, and no line is wider than `width`, but for a URL, which
/// is of no use in pieces.
///
/// The texts may hold line breaks; whatever else a terminal would obey has to be made visible before.
pub fn grid(
    width: Width,
    columns: &[(&str, Column)],
    rows: impl IntoIterator<Item = Vec<String>>,
) -> String {
    let mut table = plain(width);
    table.set_header(columns.iter().map(|(title, _)| *title));
    let rows: Vec<Vec<String>> = rows.into_iter().collect();
    let texts = |index: usize| rows.iter().filter_map(move |row| row.get(index));
    let urls: Vec<u16> = (0..columns.len())
        .map(|index| longest(texts(index).flat_map(|text| urls(text))))
        .collect();
    let lines: Vec<u16> = (0..columns.len())
        .map(|index| longest(texts(index).flat_map(|text| text.lines())))
        .collect();
    table.add_rows(&rows);
    let last = columns.len().saturating_sub(1);
    for (index, (_, kind)) in columns.iter().enumerate() {
        let Some(column) = table.column_mut(index) else {
            continue;
        };
        column.set_padding((0, if index == last { 0 } else { 2 }));
        if let Some(width) = width
            && urls[index] > 0
        {
            // What the other columns leave is not wasted, where the table would take the least for all.
            let all: u16 = lines
                .iter()
                .fold(0, |sum, line| sum.saturating_add(*line).saturating_add(2));
            let left = width.saturating_sub(all - lines[index]).min(lines[index]);
            let whole = Columns::Fixed(urls[index].max(left).saturating_add(2));
            column.set_constraint(ColumnConstraint::LowerBoundary(whole));
        }
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
pub fn fields(width: Width, fields: &[(&str, String)]) -> String {
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

fn urls(text: &str) -> impl Iterator<Item = &str> {
    text.split_whitespace().filter(|word| word.contains("://"))
}

fn longest<'a>(texts: impl Iterator<Item = &'a str>) -> u16 {
    let longest = texts.map(|text| text.chars().count()).max();
    u16::try_from(longest.unwrap_or_default()).unwrap_or(u16::MAX)
}

fn plain(width: Width) -> Table {
    let mut table = Table::new();
    table.load_style(NOTHING);
    match width {
        Some(width) => table
            .set_content_arrangement(ContentArrangement::Dynamic)
            .set_width(width),
        None => table.set_content_arrangement(ContentArrangement::Disabled),
    };
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

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;
    use unicode_width::UnicodeWidthStr;

    use super::{Column, grid};

    const COLUMNS: &[(&str, Column)] = &[("NAME", Column::Words), ("WHAT", Column::Words)];

    fn rows(what: &str) -> [Vec<String>; 1] {
        [vec!["first".to_owned(), what.to_owned()]]
    }

    #[test]
    fn a_piped_table_never_breaks() {
        let what = "word ".repeat(60);
        let table = grid(None, COLUMNS, rows(&what));
        assert_eq!(table.lines().count(), 2);
    }

    #[test]
    fn no_line_is_wider_than_the_terminal() {
        let what =
            "漢字仮名交じり文 👩\u{200d}👩\u{200d}👧 and a name as long as a sentence, or longer";
        for width in [20, 40, 80] {
            let table = grid(Some(width), COLUMNS, rows(what));
            let longest = table.lines().map(UnicodeWidthStr::width).max();
            assert!(longest <= Some(width.into()), "{width}: {table}");
        }
    }

    #[test]
    fn a_url_is_whole_on_any_terminal() {
        let url = "https://ssf.example/.well-known/sse-configuration/4cfe8442";
        for width in [20, 40, 80] {
            let table = grid(
                Some(width),
                COLUMNS,
                rows(&format!("paste {url} into Okta")),
            );
            assert!(table.contains(url), "{width}: {table}");
        }
        assert_snapshot!(grid(Some(30), COLUMNS, rows("words are broken between words")), @r###"
        NAME   WHAT
        first  words are broken
               between words
        "###);
    }
}
