//! Texts for a terminal: lines are broken between words, where the terminal itself would break within one.

use textwrap::core::display_width;
use textwrap::{Options, WordSeparator, WordSplitter, WrapAlgorithm};

/// How much further than its line what was broken off stands.
const HANGING: usize = 2;

/// A text whose lines are at most so wide, but for words that are wider, such as URLs, and for the lines of a file that a diagnostic shows.
pub(crate) fn wrapped(text: &str, width: usize) -> String {
    text.split_inclusive('\n')
        .map(|line| {
            if display_width(line.trim_end_matches('\n')) <= width || is_quoted(line) {
                line.to_owned()
            } else {
                broken(line, width)
            }
        })
        .collect()
}

/// Says whether a line is one of a file, with its number, or what is marked below it.
fn is_quoted(line: &str) -> bool {
    let plain = anstream::adapter::strip_str(line).to_string();
    let behind = plain.trim_start_matches(|c: char| c == ' ' || c.is_ascii_digit());
    behind.starts_with(['|', ':'])
}

fn broken(line: &str, width: usize) -> String {
    let words = line.trim_start_matches(' ');
    let indent = line.len() - words.len();
    let (first, further) = (" ".repeat(indent), " ".repeat(indent + HANGING));
    let options = Options::new(width)
        .initial_indent(&first)
        .subsequent_indent(&further)
        .break_words(false)
        .word_separator(WordSeparator::AsciiSpace)
        .word_splitter(WordSplitter::NoHyphenation)
        .wrap_algorithm(WrapAlgorithm::FirstFit);
    textwrap::fill(words, options)
}

#[cfg(test)]
mod tests {
    use super::wrapped;

    #[test]
    fn lines_break_between_words_and_keep_their_indent() {
        for (text, expected) in [
            ("fits in 20 columns\n", "fits in 20 columns\n"),
            (
                "  note: three policies use high\nnext\n",
                "  note: three\n    policies use\n    high\nnext\n",
            ),
            (
                "see https://ssf.example/.well-known/1 there\n",
                "see\n  https://ssf.example/.well-known/1\n  there\n",
            ),
            ("without an end of line", "without an end of\n  line"),
            ("\n\n", "\n\n"),
            (
                "12 |   imp_travel: { enabled: yes }\n",
                "12 |   imp_travel: { enabled: yes }\n",
            ),
        ] {
            assert_eq!(wrapped(text, 20), expected);
        }
    }

    #[test]
    fn colors_and_links_have_no_width() {
        let colored = "\u{1b}[1m12345678\u{1b}[0m 12345678\n";
        assert_eq!(wrapped(colored, 17), colored);
        let link = crate::report::style::link("https://a.example").to_string();
        assert_eq!(wrapped(&link, 17), link);
    }
}
