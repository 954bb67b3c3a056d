//! Which terminals follow links (OSC 8), and texts for those that don't. Nobody can ask a terminal, so that it goes by its name.

use std::borrow::Cow;

use crate::cli::io::environment::variable;
use crate::report::style::{END, LINK};

/// Says whether the terminal is one that is known to follow links.
pub(crate) fn are_followed() -> bool {
    known(variable)
}

fn known(variable: impl Fn(&str) -> Option<String>) -> bool {
    const PROGRAMS: [&str; 6] = ["iTerm.app", "WezTerm", "vscode", "ghostty", "Hyper", "rio"];
    const TERMINALS: [&str; 4] = ["kitty", "alacritty", "ghostty", "foot"];
    // GNOME's and all others that are made of VTE, from 0.50 on.
    const VTE: u32 = 5000;
    let program = variable("TERM_PROGRAM").is_some_and(|name| PROGRAMS.contains(&name.as_str()));
    let terminal = variable("TERM")
        .is_some_and(|name| TERMINALS.iter().any(|terminal| name.contains(terminal)));
    let vte = variable("VTE_VERSION")
        .and_then(|version| version.parse::<u32>().ok())
        .is_some_and(|version| version >= VTE);
    let others = ["WT_SESSION", "KONSOLE_VERSION"];
    program || terminal || vte || others.iter().any(|name| variable(name).is_some())
}

/// A text in which links are plain URLs.
pub(crate) fn removed(text: &str) -> Cow<'_, str> {
    if !text.contains(LINK) {
        return text.into();
    }
    let mut pieces = text.split(LINK);
    let mut plain = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        plain.push_str(piece.split_once(END).map_or(piece, |(_, shown)| shown));
    }
    plain.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::style::link;

    #[test]
    fn terminals_that_follow_links_are_known() {
        for (name, value, follows) in [
            ("TERM", "xterm-256color", false),
            ("TERM", "xterm-kitty", true),
            ("TERM", "tmux-256color", false),
            ("TERM_PROGRAM", "iTerm.app", true),
            ("TERM_PROGRAM", "Apple_Terminal", false),
            ("VTE_VERSION", "7600", true),
            ("VTE_VERSION", "4800", false),
            ("WT_SESSION", "1", true),
        ] {
            let variable = |asked: &str| (asked == name).then(|| value.to_owned());
            assert_eq!(known(variable), follows, "{name}={value}");
        }
    }

    #[test]
    fn a_link_is_its_url_where_nobody_follows_it() {
        let url = "https://ssf.example/1";
        let text = format!("a {} b {} c", link(url), link(url));
        assert_eq!(removed(&text), format!("a {url} b {url} c"));
        assert_eq!(removed("plain"), "plain");
        assert_eq!(
            anstream::adapter::strip_str(&text).to_string(),
            removed(&text)
        );
        // Nothing in a URL ends the link before its end.
        let hostile = "https://ssf.example/\u{1b}\\\u{7}";
        assert_eq!(
            removed(&link(hostile)),
            "https://ssf.example/\\u{1b}\\\\u{7}"
        );
    }
}
