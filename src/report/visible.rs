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

/// Escapes in a JSON text what [`Visible`] escapes in any other. JSON itself escapes only the control characters of ASCII, and outside
/// of strings, where an escape would mean nothing, it holds none of these.
pub fn visible_json(json: String) -> String {
    let strange = |c: char| (c.is_control() && c != '\n') || reorders_or_hides(c);
    if !json.contains(strange) {
        return json;
    }
    let mut visible = String::with_capacity(json.len() + 64);
    for c in json.chars() {
        if strange(c) {
            visible.push_str(&format!("\\u{:04x}", u32::from(c)));
        } else {
            visible.push(c);
        }
    }
    visible
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
    use super::{Visible, visible_json};

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

    #[test]
    fn json_stays_the_same_value() {
        let text = "a\u{1b}\u{7f}\u{9b}\n\u{202e}é漢";
        let json = serde_json::to_string_pretty(&[text]).unwrap();
        let visible = visible_json(json);
        assert_eq!(visible, "[\n  \"a\\u001b\\u007f\\u009b\\n\\u202eé漢\"\n]");
        let [back]: [String; 1] = serde_json::from_str(&visible).unwrap();
        assert_eq!(back, text);
    }
}
