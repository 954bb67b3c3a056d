//! Redacts likely credentials in source lines, so that logs do not contain them: values of keys that name a secret, including multi-line
//! values, and the user information of URLs.

use std::ops::Range;

use super::interpolate::is_secret_key;

/// Number of bytes before a line to search for its key. A private key has about 3,000 bytes.
const LOOKBACK_BYTES: usize = 16 << 10;

/// Redacts a line, or the part of it that is shown. `above` is the text before it.
pub(super) fn redact_secrets(line: &mut String, above: &str) {
    let from = above.len().saturating_sub(LOOKBACK_BYTES);
    let from = (from..=above.len()).find(|at| above.is_char_boundary(*at));
    if is_secret_continuation(line, &above[from.unwrap_or_default()..]) {
        let start = line.len() - line.trim_start().len();
        return blot(line, std::iter::once(start..line.trim_end().len()));
    }
    let secrets = secrets(line).map(|secret| secret.start..secret.end.unwrap_or(line.len()));
    let mut blots: Vec<Range<usize>> = secrets.collect();
    // The user information of a URL.
    for (at, separator) in line.match_indices("://") {
        let start = at + separator.len();
        let authority = line[start..].split(['/', ' ', '"', '\'']).next();
        if let Some(length) = authority.and_then(|authority| authority.rfind('@')) {
            blots.push(start..start + length);
        }
    }
    blot(line, blots);
}

fn blot(line: &mut String, blots: impl IntoIterator<Item = Range<usize>>) {
    for blot in blots {
        let stars = "*".repeat(blot.len());
        line.replace_range(blot, &stars);
    }
}

/// The value of a key that names a secret.
struct Secret<'a> {
    /// Start, and end if the value ends on this line.
    start: usize,
    end: Option<usize>,
    value: &'a str,
}

fn secrets(line: &str) -> impl Iterator<Item = Secret<'_>> {
    line.match_indices([':', '='])
        .filter_map(|(at, separator)| {
            let key = line[..at]
                .trim_end()
                .trim_end_matches(['"', '\''])
                .rsplit(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == '-'))
                .next()
                .unwrap_or_default();
            let value = line[at + separator.len()..].trim_start();
            let start = line.len() - value.len();
            // In braces, an unquoted value ends at a comma. Elsewhere, a comma is part of the value.
            let in_braces = line[..at].contains(['{', '[']);
            let length = match value.chars().next() {
                Some(quote @ ('"' | '\'')) => value[1..].rfind(quote).map(|at| at + 2),
                Some(_) if in_braces => value.find([',', '}']),
                Some(_) | None => None,
            };
            let whole = &value[..length.unwrap_or(value.len())];
            // Users may write the token itself instead of the name of a variable.
            let is_secret = match key {
                "api_token_env" => {
                    whole.len() >= 32 && whole.contains(|c: char| c.is_ascii_lowercase())
                }
                key => is_secret_key(key) && !whole.starts_with(['{', '[']),
            };
            is_secret.then_some(Secret {
                start,
                end: length.map(|length| start + length),
                value,
            })
        })
}

/// Returns true if a line continues a secret that starts above: a block scalar, quoted or plain text, or the value of a key on the line
/// before.
fn is_secret_continuation(line: &str, above: &str) -> bool {
    // `hidden` is the start of this line, which is not shown.
    let (above, hidden) = match above.rfind(['\n', '\r']) {
        Some(at) => above.split_at(at + 1),
        None => ("", above),
    };
    let last = |line| secrets(line).last();
    if last(hidden).is_some_and(|secret| secret.end.is_none()) {
        return true;
    }
    let is_pair = line.contains(": ") || line.trim_end().ends_with(':');
    let mut indent = indent_of(line);
    let mut is_next = true;
    let mut quotes = String::new();
    for earlier in above.lines().rev() {
        let text = earlier.trim_start();
        if text.is_empty() || text.starts_with('#') {
            continue;
        }
        let is_beneath = indent_of(earlier) < indent;
        let is_open = last(earlier).is_some_and(|secret| match secret.value.chars().next() {
            None | Some('#') => is_next && !is_pair,
            Some(quote @ ('"' | '\'')) => secret.end.is_none() && !quotes.contains(quote),
            Some(_) => is_beneath && secret.end.is_none(),
        });
        if is_open {
            return true;
        }
        if is_beneath {
            indent = indent_of(earlier);
            if indent == 0 {
                return false;
            }
        }
        is_next = false;
        quotes.extend(earlier.chars().filter(|c| matches!(c, '"' | '\'')));
    }
    false
}

fn indent_of(line: &str) -> usize {
    line.len() - line.trim_start_matches([' ', '\t']).len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn blotted(line: &str, above: &str) -> String {
        let mut line = line.to_owned();
        redact_secrets(&mut line, above);
        line
    }

    #[test]
    fn credentials_are_blotted_out() {
        for (line, shown) in [
            ("api_token: abc", "api_token: ***"),
            ("'API-Key' : é1", "'API-Key' : ***"),
            ("{ password: abc, name: x }", "{ password: ***, name: x }"),
            ("password: a,b#c}d", "password: *******"),
            (
                "{ password: 'a,b}', name: x }",
                "{ password: ******, name: x }",
            ),
            ("url: ${MY_TOKEN:-abc}", "url: ${MY_TOKEN:****}"),
            (
                "api_token_env: CLOUDFLARE_API_TOKEN",
                "api_token_env: CLOUDFLARE_API_TOKEN",
            ),
            ("url: https://me:pass@a.com/", "url: https://*******@a.com/"),
            ("url: https://a.com/@b", "url: https://a.com/@b"),
            ("okta-key: { active: yes }", "okta-key: { active: yes }"),
        ] {
            assert_eq!(blotted(line, "version: 1\n"), shown);
        }
        let pasted = format!("api_token_env: {}", "a1B2".repeat(10));
        assert!(!blotted(&pasted, "").contains("a1B2"));
    }

    #[test]
    fn the_later_lines_of_a_credential_are_blotted_out() {
        for above in [
            "api_token: |\n",
            "api_token: |\n  first\n",
            "a:\n  password: >-\n\n      first\n    # no comment\n",
            "a:\n  - password: |2\n      first\n        deeper\n",
            "api_token: \"first\n",
            "{ name: x, password: 'first\n second\n",
            "api_token: first\n",
            "api_token:\n",
            "api_token: # below\n",
            "{ \"password\":\n",
            "version: 1\r\napi_token: |\r\n  first\r\n",
        ] {
            for line in ["    secret: 1, or", "    se}cret"] {
                // A line with a key is a separate key, unless a text is open.
                let is_open = above.contains(['|', '>']) || above.contains("first");
                if is_open || !line.contains(": ") {
                    let stars = format!("    {}", "*".repeat(line.len() - 4));
                    assert_eq!(blotted(line, above), stars, "{above}");
                }
            }
        }
        // Only a part of a long line is shown.
        let part = format!("version: 1\napi_token: {}", "x".repeat(10_000));
        assert_eq!(blotted("secret", &part), "******");
        assert_eq!(blotted("x: y", "{ api_token: abc, name: "), "x: y");
    }

    #[test]
    fn what_only_stands_beneath_such_a_name_is_shown() {
        for (line, above) in [
            ("    active: yes", "integrations:\n  okta-key:\n"),
            (
                "      - active",
                "integrations:\n  okta-key:\n    lifecycle:\n",
            ),
            (
                "    active: yes",
                "integrations:\n  okta-key: # ours\n    id: x\n",
            ),
            ("name: x", "api_token: |\n  first\n"),
            ("  name: x", "a:\n  api_token: |\n    first\n"),
            ("name: x", "api_token: \"first\n  second\"\n"),
            ("  name: x", "a:\n  api_token: first\n"),
            ("  name: x", "{ \"password\": \"first\",\n"),
        ] {
            assert_eq!(blotted(line, above), line, "{above}");
        }
    }
}
