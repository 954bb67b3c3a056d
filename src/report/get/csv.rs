//! CSV that is safe to open in a spreadsheet.

use crate::model::text::EscapeInvisible;

/// Returns header and rows, with line ends as in RFC 4180.
pub(super) fn text(columns: &[&str], records: impl Iterator<Item = Vec<String>>) -> String {
    const IN_MEMORY: &str =
        "writing to memory does not fail, and every row has as many cells as the header";
    let records: Vec<Vec<String>> = records
        .map(|record| record.iter().map(|text| harmless(text)).collect())
        .collect();
    // CI runners treat lines with this prefix as commands. Quotes change the prefix but not the value.
    let is_command = |record: &Vec<String>| {
        let first = record.first().map(|text| text.trim_start());
        first.is_some_and(|text| text.starts_with("::"))
    };
    let quotes = match records.iter().any(is_command) {
        true => csv::QuoteStyle::Always,
        false => csv::QuoteStyle::Necessary,
    };
    let mut writer = csv::WriterBuilder::new()
        .terminator(csv::Terminator::CRLF)
        .quote_style(quotes)
        .from_writer(Vec::new());
    writer.write_record(columns).expect(IN_MEMORY);
    for record in records {
        writer.write_record(record).expect(IN_MEMORY);
    }
    let bytes = writer.into_inner().expect(IN_MEMORY);
    String::from_utf8(bytes).expect("nothing but strings was written")
}

/// Returns a cell that is neither a spreadsheet formula nor a terminal command. A single quote in front of one of these characters
/// makes it text.
fn harmless(text: &str) -> String {
    let visible = EscapeInvisible(text);
    if text.starts_with(['=', '+', '-', '@', '\t', '\r', '\n']) {
        format!("'{visible}")
    } else {
        visible.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::text;

    #[test]
    fn a_line_that_begins_like_a_command_is_quoted() {
        let record = vec!["::error::x".to_owned(), "y".to_owned()];
        assert_eq!(
            text(&["a", "b"], [record].into_iter()),
            "\"a\",\"b\"\r\n\"::error::x\",\"y\"\r\n"
        );
    }

    #[test]
    fn formulas_and_escape_sequences_are_only_text() {
        let table = [
            ("Ann, B.", "\"Ann, B.\""),
            ("=1+1", "'=1+1"),
            ("+1", "'+1"),
            ("-1", "'-1"),
            ("@SUM(A1)", "'@SUM(A1)"),
            ("\t=1", "'\\u{9}=1"),
            ("\r=1", "'\\u{d}=1"),
            ("\n=1", "'\\u{a}=1"),
            ("say \"=1\"", "\"say \"\"=1\"\"\""),
            ("\u{1b}[2J", "\\u{1b}[2J"),
            ("a=b", "a=b"),
        ];
        for (cell, written) in table {
            let record = vec![cell.to_owned(), "x".to_owned()];
            assert_eq!(
                text(&["a", "b"], [record].into_iter()),
                format!("a,b\r\n{written},x\r\n")
            );
        }
    }
}
