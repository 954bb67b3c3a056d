//! Escaping of untrusted text for terminals, JSON and CI logs; formatting of counts and hex digits.
//!
//! Text from files and the API may contain control sequences that terminals and code hosts interpret.

use std::borrow::Cow;
use std::fmt::{self, Write};

use unicode_general_category::{GeneralCategory, get_general_category};

/// Returns true for characters that are invisible or look like a space: control, format, private-use and unassigned characters, separators
/// other than the space, and default-ignorable ones such as U+3164 (Unicode Standard Annexes 9, 31 and 44).
///
/// They could make a file, a plan or a terminal display misleading text, and the URL standard silently drops some of them.
pub fn is_invisible(c: char) -> bool {
    if c.is_ascii() {
        return c.is_ascii_control();
    }
    const BRAILLE_BLANK: char = '\u{2800}';
    use GeneralCategory::{
        Control, Format, LineSeparator, ParagraphSeparator, PrivateUse, SpaceSeparator, Surrogate,
        Unassigned,
    };
    // Default-ignorable, but with the general category of visible characters (Unicode 16, DerivedCoreProperties.txt).
    let is_ignorable = matches!(
        c,
        '\u{34F}' | '\u{115F}'..='\u{1160}' | '\u{17B4}'..='\u{17B5}' | '\u{180B}'..='\u{180F}' | '\u{3164}' | '\u{FE00}'..='\u{FE0F}'
            | '\u{FFA0}' | '\u{E0100}'..='\u{E01EF}'
    );
    let is_unseen = matches!(
        get_general_category(c),
        Control
            | Format
            | PrivateUse
            | Surrogate
            | Unassigned
            | LineSeparator
            | ParagraphSeparator
            | SpaceSeparator
    );
    is_unseen || is_ignorable || c == BRAILLE_BLANK
}

/// Displays text with invisible characters escaped.
pub struct EscapeInvisible<'a>(pub &'a str);

impl fmt::Display for EscapeInvisible<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.chars().try_for_each(|c| match is_invisible(c) {
            true => c.escape_unicode().fmt(f),
            false => f.write_char(c),
        })
    }
}

/// Returns the lines of a text with invisible characters escaped.
pub fn escape_lines(text: &str) -> String {
    let lines = text.lines().map(|line| EscapeInvisible(line).to_string());
    lines.collect::<Vec<_>>().join("\n")
}

/// Joins the lines of a text and escapes invisible characters.
pub fn one_line(text: &str) -> String {
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    EscapeInvisible(&lines.join(" ")).to_string()
}

/// Escapes invisible characters and the `##[` of workflow commands in JSON. The value stays the same, because JSON has such characters
/// only in strings.
pub fn escape_invisible_json(json: String) -> String {
    let mut visible = String::with_capacity(json.len());
    for c in json.replace("##[", "\\u0023#[").chars() {
        match c != '\n' && is_invisible(c) {
            true => c.encode_utf16(&mut [0; 2]).iter().for_each(|unit| {
                visible.push_str(&format!("\\u{unit:04x}"));
            }),
            false => visible.push(c),
        }
    }
    visible
}

/// Escapes workflow commands of GitHub Actions in a log: `##[` anywhere, and `::` at the start of a line, even after whitespace, control
/// characters and colors.
pub fn escape_workflow_commands(text: &str) -> Cow<'_, str> {
    if !text.contains("##[") && !text.contains("::") {
        return Cow::Borrowed(text);
    }
    let mut broken = String::with_capacity(text.len() + 16);
    for line in text.split_inclusive(['\n', '\r']) {
        let (start, rest) = line.split_at(leading_noise_len(line));
        broken.push_str(start);
        match rest.strip_prefix("::") {
            Some(command) => {
                broken.push_str(":\\u{3a}");
                broken.push_str(&command.replace("##[", "#\\u{23}["));
            }
            None => broken.push_str(&rest.replace("##[", "#\\u{23}[")),
        }
    }
    Cow::Owned(broken)
}

/// Returns the number of bytes of whitespace, control characters and escape sequences at the start of a line.
fn leading_noise_len(line: &str) -> usize {
    let mut rest = line;
    while let Some(c) = rest.chars().next() {
        let sequence = rest.strip_prefix("\u{1b}[").and_then(|parameters| {
            let end = parameters.find(|c: char| matches!(c, '@'..='~'))?;
            Some(2 + end + 1)
        });
        match sequence {
            Some(length) => rest = &rest[length..],
            None if c.is_whitespace() || is_invisible(c) => rest = &rest[c.len_utf8()..],
            None => break,
        }
    }
    line.len() - rest.len()
}

/// Formats a number and its noun: `1 change`, `2 changes`, `2 entries`.
pub fn pluralize(number: usize, noun: &str) -> String {
    let stem = noun
        .strip_suffix('y')
        .filter(|stem| !stem.ends_with(['a', 'e', 'o', 'u']));
    match (number, stem) {
        (1, _) => format!("1 {noun}"),
        (_, Some(stem)) => format!("{number} {stem}ies"),
        _ if noun.ends_with(['s', 'x', 'h']) => format!("{number} {noun}es"),
        _ => format!("{number} {noun}s"),
    }
}

/// Minimum number of accounts with equal changes that are shown as a group.
pub const GROUPING_THRESHOLD: usize = 3;

/// Formats the first five items of a list and the number of further ones.
pub fn abbreviate_list<T: fmt::Display>(items: impl IntoIterator<Item = T>) -> String {
    const FEW: usize = 5;
    let mut items = items.into_iter();
    let shown = items.by_ref().take(FEW).map(|item| item.to_string());
    let shown = shown.collect::<Vec<String>>().join(", ");
    match items.count() {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

/// Formats bytes as hex digits.
pub fn hex(bytes: impl AsRef<[u8]>) -> String {
    let digits = bytes.as_ref().iter().map(|byte| format!("{byte:02x}"));
    digits.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn invisible_characters_are_one_list() {
        for c in [
            '\0',
            '\t',
            '\u{7f}',
            '\u{9b}',
            '\u{a0}',
            '\u{ad}',
            '\u{34f}',
            '\u{61c}',
            '\u{115f}',
            '\u{17b4}',
            '\u{180e}',
            '\u{2003}',
            '\u{200b}',
            '\u{200d}',
            '\u{2028}',
            '\u{202e}',
            '\u{2066}',
            '\u{2800}',
            '\u{3000}',
            '\u{3164}',
            '\u{e000}',
            '\u{fe0f}',
            '\u{feff}',
            '\u{ffa0}',
            '\u{fff9}',
            '\u{ffff}',
            '\u{378}',
            '\u{1d173}',
            '\u{e0041}',
            '\u{10fffd}',
        ] {
            assert!(is_invisible(c), "{c:?}");
            assert!(
                EscapeInvisible(&c.to_string()).to_string().is_ascii(),
                "{c:?}"
            );
        }
        for c in " a~é漢сЖ–…→#:\u{1f600}".chars() {
            assert!(!is_invisible(c), "{c:?}");
        }
    }

    #[test]
    fn control_characters_are_escaped() {
        let table = [
            ("Okta – tenant é 漢", "Okta – tenant é 漢"),
            ("a\u{1b}[2Jb", "a\\u{1b}[2Jb"),
            ("a\nb\r\tc", "a\\u{a}b\\u{d}\\u{9}c"),
            ("\u{202e}evil\u{2066}", "\\u{202e}evil\\u{2066}"),
            ("\u{9b}1m", "\\u{9b}1m"),
        ];
        for (text, shown) in table {
            assert_eq!(EscapeInvisible(text).to_string(), shown);
        }
        assert_eq!(one_line(" a\r\n\tb\u{7}\n"), "a b\\u{7}");
    }

    #[test]
    fn json_stays_the_same_value() {
        let text = "a\u{1b}\u{7f}\u{9b}\n\u{202e}é漢\u{e0041}##[add-mask]e";
        let json = serde_json::to_string_pretty(&[text]).expect("a list of text is JSON");
        let visible = escape_invisible_json(json);
        assert_eq!(
            visible,
            "[\n  \"a\\u001b\\u007f\\u009b\\n\\u202eé漢\\udb40\\udc41\\u0023#[add-mask]e\"\n]"
        );
        let [back]: [String; 1] = serde_json::from_str(&visible).expect("it is still JSON");
        assert_eq!(back, text);
    }

    #[test]
    fn no_line_is_a_workflow_command() {
        for (text, shown) in [
            ("plain a::b # c", "plain a::b # c"),
            ("::error::x", ":\\u{3a}error::x"),
            ("a\n::error file=a::x\n", "a\n:\\u{3a}error file=a::x\n"),
            ("a\r::add-mask::e", "a\r:\\u{3a}add-mask::e"),
            (" \u{0}\u{feff}\t::x::", " \u{0}\u{feff}\t:\\u{3a}x::"),
            ("\u{1b}[1;31m::x::", "\u{1b}[1;31m:\\u{3a}x::"),
            (":::x::", ":\\u{3a}:x::"),
            ("see ##[add-mask]e", "see #\\u{23}[add-mask]e"),
            ("::##[add-mask]e", ":\\u{3a}#\\u{23}[add-mask]e"),
            ("###[group]", "##\\u{23}[group]"),
        ] {
            assert_eq!(escape_workflow_commands(text), shown, "{text:?}");
        }
    }

    #[test]
    fn counts_and_digits() {
        for (number, noun, said) in [
            (0, "change", "0 changes"),
            (1, "change", "1 change"),
            (2, "entry", "2 entries"),
            (2, "key", "2 keys"),
            (1, "address", "1 address"),
            (3, "address", "3 addresses"),
        ] {
            assert_eq!(pluralize(number, noun), said);
        }
        assert_eq!(abbreviate_list(["a", "b"]), "a, b");
        assert_eq!(abbreviate_list(1..=5), "1, 2, 3, 4, 5");
        assert_eq!(abbreviate_list(1..=7), "1, 2, 3, 4, 5 and 2 more");
        assert_eq!(abbreviate_list([""; 0]), "");
        assert_eq!(hex([0, 0xab, 0x1f]), "00ab1f");
    }
}
