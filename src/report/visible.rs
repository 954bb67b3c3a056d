//! Makes foreign text safe to show: what the API answers may hold anything, and a terminal obeys escape sequences.

use std::fmt::{self, Write};

/// Displays a text with its control characters, and those that reorder or hide what is around them, escaped.
pub struct Visible<'a>(pub &'a str);

impl fmt::Display for Visible<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for c in self.0.chars() {
            if c.is_control() || reorders_or_hides(c) {
                write!(f, "{}", c.escape_unicode())?;
            } else {
                f.write_char(c)?;
            }
        }
        Ok(())
    }
}

/// The bidirectional controls, the zero-width characters and the line and paragraph separators (Unicode Standard Annex 9, and the "Trojan
/// Source" class of spoofs).
fn reorders_or_hides(c: char) -> bool {
    matches!(
        c,
        '\u{061c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}'
    )
}

#[cfg(test)]
mod tests {
    use super::Visible;

    #[test]
    fn what_a_terminal_would_obey_is_escaped() {
        let table = [
            ("Okta – tenant é 漢", "Okta – tenant é 漢"),
            ("a\u{1b}[2Jb", "a\\u{1b}[2Jb"),
            ("a\nb\r\tc", "a\\u{a}b\\u{d}\\u{9}c"),
            ("\u{202e}evil\u{2066}", "\\u{202e}evil\\u{2066}"),
            ("\u{9b}1m", "\\u{9b}1m"),
        ];
        for (text, shown) in table {
            assert_eq!(Visible(text).to_string(), shown);
        }
    }
}
