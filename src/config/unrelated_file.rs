//! Detects unrelated files, whose content must not be shown.

use super::kinds::is_key;

/// Returns true if the first key of a text is unknown, or if it has no key.
pub(super) fn is_foreign(text: &str) -> bool {
    let mut rest = text.trim_start();
    // Comments, directives, document markers and the brace of a JSON file may precede the first key.
    while let Some(c) = rest.chars().next() {
        let line = rest.find(['\n', '\r']).unwrap_or(rest.len());
        let length = match c {
            '#' | '%' => line,
            '{' => 1,
            _ if rest.starts_with("---") || rest.starts_with("...") => 3,
            _ => {
                let key = rest[..line].split(':').next().unwrap_or_default();
                let key = key.trim().trim_matches(['"', '\'']);
                return !is_key(key);
            }
        };
        rest = rest[length..].trim_start();
    }
    false
}

#[cfg(test)]
mod tests {
    use super::is_foreign;

    #[test]
    fn a_file_is_known_by_its_first_key() {
        for text in [
            "version: 1\n",
            "# note\n\n--- # so\nname: x\n",
            "%YAML 1.2\n---\n'behaviors': {}\n",
            "{\n  \"version\": 1\n}\n",
            "{extends: [a]}",
            "",
            "# nothing\n---\n...\n",
        ] {
            assert!(!is_foreign(text), "{text}");
        }
        for text in [
            "[core]\n\turl = https://me:secret@example.com\n",
            "apiVersion: v1\nversion: 1\n",
            "-----BEGIN PRIVATE KEY-----\n",
            "root:x:0:0\n",
            "- version: 1\n",
            "{}",
            "versions: 1\n",
        ] {
            assert!(is_foreign(text), "{text}");
        }
    }
}
