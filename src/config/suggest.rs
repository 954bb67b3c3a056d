//! Suggestions for unknown words.

use similar::get_close_matches;

/// Returns the word in `known` that is most similar to `written`, if any is similar.
pub(super) fn nearest<'k>(written: &str, known: &[&'k str]) -> Option<&'k str> {
    // Comparing very long words takes too long.
    if written.len() > 64 {
        return None;
    }
    if let Some(same) = known.iter().find(|word| word.eq_ignore_ascii_case(written)) {
        return Some(same);
    }
    get_close_matches(written.to_ascii_lowercase().as_str(), known, 1, 0.6)
        .first()
        .copied()
}

/// Returns the help for an unknown word: the most similar word, or all known words.
pub(super) fn did_you_mean(written: &str, known: &[&str]) -> String {
    match nearest(written, known) {
        Some(word) => format!("did you mean `{word}`?"),
        None => one_of(known),
    }
}

/// Returns the help that lists all known words.
pub(super) fn one_of(known: &[&str]) -> String {
    format!("write {}", alternatives(known))
}

/// Formats words for a sentence: `keep`, `report` or `delete`.
pub(super) fn alternatives(known: &[&str]) -> String {
    let quoted: Vec<String> = known.iter().map(|word| format!("`{word}`")).collect();
    match quoted.as_slice() {
        [] => "nothing".to_owned(),
        [only] => only.clone(),
        [first @ .., last] => format!("{} or {last}", first.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_word_is_proposed() {
        let known = ["enabled", "risk_level"];
        for (written, expected) in [
            ("risk_levl", Some("risk_level")),
            ("RISK_LEVEL", Some("risk_level")),
            ("risk-level", Some("risk_level")),
            ("enable", Some("enabled")),
            ("colour", None),
            ("", None),
        ] {
            assert_eq!(nearest(written, &known), expected, "{written}");
        }
        assert_eq!(did_you_mean("x", &known), "write `enabled` or `risk_level`");
    }
}
