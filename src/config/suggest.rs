//! Did you mean …?

use similar::get_close_matches;

/// The word among `known` that `written` comes nearest to, if any is near.
pub(super) fn nearest<'k>(written: &str, known: &[&'k str]) -> Option<&'k str> {
    // A word of absurd length resembles nothing, and comparing it would take its time.
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

/// The help line for a word that is not `known`: the nearest one, else all of them.
pub(super) fn did_you_mean(written: &str, known: &[&str]) -> String {
    match nearest(written, known) {
        Some(word) => format!("did you mean `{word}`?"),
        None => one_of(known),
    }
}

/// Lists what may be written.
pub(super) fn one_of(known: &[&str]) -> String {
    format!("write {}", alternatives(known))
}

/// The words in a sentence: `keep`, `report` or `delete`.
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
