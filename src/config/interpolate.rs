//! Parses `${NAME}`, `${NAME:-default}` and `$${` in scalars, and checks names of variables. Does not look up variables.

use crate::model::limits::smells_of_a_secret;

/// A part of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Segment<'t> {
    /// Literal text.
    Literal(&'t str),
    /// A variable.
    Variable(Variable<'t>),
    /// A `${` without a valid variable.
    Malformed {
        /// Number of the `${` in the text, starting at 0.
        ordinal: usize,
        /// Reason why it is invalid.
        why: Malformed,
    },
}

/// A variable, as written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Variable<'t> {
    pub(super) name: &'t str,
    /// Value to use if the variable is not set or empty, as in a shell.
    pub(super) default: Option<&'t str>,
    /// Number of the `${` in the text, starting at 0.
    pub(super) ordinal: usize,
}

/// Reason why a `${` is not a valid variable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Malformed {
    #[error("missing `}}` after `${{`")]
    Unclosed,
    #[error("invalid variable name in `${{…}}`")]
    Name,
    #[error("variables cannot be nested in a default")]
    Nested,
}

/// Splits a text into literals and variables.
pub(super) fn pieces(text: &str) -> Vec<Segment<'_>> {
    let mut pieces = Vec::new();
    let mut rest = text;
    let mut ordinal = 0;
    while let Some(at) = rest.find("${") {
        let (before, behind) = (&rest[..at], &rest[at + 2..]);
        if let Some(before) = before.strip_suffix('$') {
            pieces.extend([Segment::Literal(before), Segment::Literal("${")]);
            rest = behind;
        } else {
            pieces.push(Segment::Literal(before));
            let (piece, behind) = variable(behind, ordinal);
            pieces.push(piece);
            rest = behind;
        }
        ordinal += 1;
    }
    pieces.push(Segment::Literal(rest));
    pieces.retain(|piece| *piece != Segment::Literal(""));
    pieces
}

/// Parses the text after `${`. Returns the segment and the text after its `}`.
fn variable(text: &str, ordinal: usize) -> (Segment<'_>, &str) {
    let malformed = |why, rest| (Segment::Malformed { ordinal, why }, rest);
    let Some(end) = text.find('}') else {
        return malformed(Malformed::Unclosed, "");
    };
    let (inside, rest) = (&text[..end], &text[end + 1..]);
    let (name, default) = match inside.split_once(":-") {
        Some((name, default)) => (name, Some(default)),
        None => (inside, None),
    };
    if !is_variable_name(name) {
        return malformed(Malformed::Name, rest);
    }
    if default.is_some_and(|default| default.contains("${")) {
        return malformed(Malformed::Nested, rest);
    }
    let variable = Variable {
        name,
        default,
        ordinal,
    };
    (Segment::Variable(variable), rest)
}

/// Escapes `${`, so that the text contains no variables.
pub(super) fn escaped(text: &str) -> String {
    text.replace("${", "$${")
}

/// Returns true if a text is a valid name of an environment variable.
pub(super) fn is_variable_name(text: &str) -> bool {
    !text.starts_with(|c: char| c.is_ascii_digit())
        && !text.is_empty()
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

/// Returns true if the name of a key suggests a credential.
pub(super) fn is_secret_key(key: &str) -> bool {
    smells_of_a_secret(key) || key.to_ascii_uppercase().contains("KEY")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Shows pieces as one line: literals as they are, variables in angle brackets.
    fn shown(text: &str) -> String {
        pieces(text)
            .into_iter()
            .map(|piece| match piece {
                Segment::Literal(text) => text.to_owned(),
                Segment::Variable(Variable {
                    name,
                    default,
                    ordinal,
                }) => format!("<{ordinal}:{name}={default:?}>"),
                Segment::Malformed { ordinal, why } => format!("<{ordinal}:{why:?}>"),
            })
            .collect()
    }

    #[test]
    fn texts_are_taken_apart() {
        for (text, expected) in [
            ("plain", "plain"),
            ("$5 and $NAME", "$5 and $NAME"),
            ("https://${A}.okta.com", "https://<0:A=None>.okta.com"),
            ("${A}${_b1}", "<0:A=None><1:_b1=None>"),
            ("${A:-x y}", "<0:A=Some(\"x y\")>"),
            ("${A:-}", "<0:A=Some(\"\")>"),
            ("$${A} ${B}", "${A} <1:B=None>"),
            ("$$${A}", "$${A}"),
            ("${", "<0:Unclosed>"),
            ("${}", "<0:Name>"),
            ("${1A}", "<0:Name>"),
            ("${A-b}", "<0:Name>"),
            ("${A:-${B}}", "<0:Nested>}"),
        ] {
            assert_eq!(shown(text), expected, "{text}");
        }
    }

    #[test]
    fn an_escaped_text_means_itself() {
        for text in ["plain", "${A}", "$${A}", "$$${", "a$", "${${"] {
            assert_eq!(shown(&escaped(text)), text);
        }
    }
}
