//! Scalar types: the accepted values, and the messages for other values.

use jiff::civil::Date;
use serde_yaml::Value as Yaml;
use similar::get_close_matches;

use super::code::DiagnosticCode as Code;
use super::diagnostic::Problem;
use super::span::{Span, is_like_token};
use super::variables::{is_variable_name, may_be_used};
use crate::model::account::{AccountId, ProtectedItem};
use crate::model::address::Name;
use crate::model::integration::{IntegrationId, TenantUrl};
use crate::model::text::is_invisible;

/// The type of a scalar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scalar {
    Bool,
    Number,
    Version,
    /// One of the words.
    Word(&'static [&'static str]),
    Text,
    AccountId,
    Name,
    BehaviorKey,
    IntegrationName,
    TenantUrl,
    ReferenceId,
    ProviderName,
    IntegrationId,
    Date,
    /// A file in `extends`. It has no variables, because it is needed before they are read.
    Path,
    /// The name of a variable that holds a token. It has no variables, so that no variable chooses the token.
    TokenVariable,
    /// An item of `protected`.
    Protected,
    /// An item of `protected` in a limits file. The author of a file can rename an address, so addresses are not accepted.
    LimitProtected,
    /// A pattern of hosts.
    HostGlob,
}

/// A scalar after its variables are replaced.
#[derive(Debug)]
pub(super) struct Text<'n> {
    pub(super) value: String,
    /// The text in the file, which messages quote, so that the value of a variable is never printed.
    pub(super) written: &'n str,
    pub(super) span: Span,
    /// Whether it may be something else than text: it is unquoted, or a variable is part of it.
    pub(super) is_plain: bool,
    pub(super) has_variables: bool,
}

/// A typed value, and an error if there is none, or a warning.
pub(super) type Checked = (Option<Yaml>, Option<Problem>);

impl Scalar {
    /// Returns the rule for other values, and the accepted values for messages.
    pub(super) fn expected(self) -> (Code, String) {
        let (code, expected) = match self {
            Scalar::Word(words) => return (Code::UnknownWord, alternatives(words)),
            Scalar::Bool => (Code::WrongType, "true or false"),
            Scalar::Number => (Code::Number, "a whole number"),
            Scalar::Version => (Code::Version, "`version: 1`"),
            Scalar::AccountId => (Code::AccountId, "32 hexadecimal digits"),
            Scalar::Name | Scalar::IntegrationName => {
                (Code::Name, "one or more of A-Z, a-z, 0-9, `_` and `-`")
            }
            Scalar::BehaviorKey => (Code::Name, "a name without spaces, such as `imp_travel`"),
            Scalar::TenantUrl => (Code::TenantUrl, "a URL such as `https://corp.okta.com`"),
            Scalar::ReferenceId | Scalar::Protected => (Code::ReferenceId, "text"),
            Scalar::ProviderName => (Code::ReferenceId, "the name that the dashboard shows"),
            Scalar::IntegrationId => (Code::IntegrationId, "an integration ID"),
            Scalar::Date => (Code::Date, "a date such as 2026-12-31"),
            Scalar::TokenVariable => (
                Code::VariableName,
                "a variable that starts with `CLOUDFLARE_` and does not end with `_ACCOUNT_ID`",
            ),
            Scalar::LimitProtected => (Code::LimitsProtected, "an https URL or a UUID"),
            Scalar::HostGlob => (Code::TenantUrl, "a host or a pattern such as `*.okta.com`"),
            Scalar::Text | Scalar::Path => (Code::WrongType, "text"),
        };
        (code, expected.to_owned())
    }

    /// Returns the help for other values.
    pub(super) fn help(self) -> String {
        let help = match self {
            Scalar::Number => {
                "write decimal digits without quotes, sign or leading zeros (maximum 4294967295)"
            }
            Scalar::AccountId => "find the ID in the URL of the Cloudflare dashboard",
            Scalar::TenantUrl => {
                "write the scheme, the ASCII host and optionally a port, such as `https://corp.okta.com`"
            }
            Scalar::ReferenceId => "remove the key to keep the live reference",
            Scalar::IntegrationId => {
                "run `riskform get integrations` to list the IDs, which are UUIDs"
            }
            Scalar::TokenVariable => {
                "use a name such as `CLOUDFLARE_API_TOKEN`, never the token itself"
            }
            _ => return format!("write {}", self.expected().1),
        };
        help.to_owned()
    }

    /// Returns true if variables are not allowed.
    pub(super) fn is_literal(self) -> bool {
        let is_name = matches!(self, Scalar::BehaviorKey | Scalar::IntegrationName);
        is_name || matches!(self, Scalar::Path | Scalar::TokenVariable)
    }

    /// Checks a text. `path` is the key in messages.
    pub(super) fn check(self, text: &Text<'_>, path: &str) -> Checked {
        // A block scalar ends with a line break.
        let value = match self {
            Scalar::BehaviorKey | Scalar::IntegrationName => text.value.as_str(),
            _ => text.value.trim_end_matches('\n'),
        };
        let problem = |(code, message, help): (Code, String, String)| {
            Some(Problem::at(
                text.span,
                code,
                format!("{path}{message}"),
                help,
            ))
        };
        match self.parse(value, text) {
            Some(typed) => (Some(typed), self.warning(value).and_then(problem)),
            None => (None, problem(self.mistake(text, value))),
        }
    }

    /// Returns the typed value of a text, or `None` if the type does not accept it.
    fn parse(self, value: &str, text: &Text<'_>) -> Option<Yaml> {
        let is_url = || value.parse::<TenantUrl>().is_ok();
        let is_valid = match self {
            Scalar::Bool | Scalar::Number | Scalar::Version if !text.is_plain => false,
            Scalar::Bool => return value.parse().ok().map(Yaml::Bool),
            Scalar::Number => {
                // `010` is eight to some parsers of YAML and ten to others.
                let number: u32 = value.parse().ok()?;
                return (number.to_string() == value).then(|| number.into());
            }
            Scalar::Version => return (value == "1").then(|| 1.into()),
            Scalar::Word(words) => words.contains(&value),
            _ if text.is_boolean() || value.contains(is_invisible) => false,
            Scalar::AccountId => value.parse::<AccountId>().is_ok(),
            Scalar::Name | Scalar::IntegrationName => value.parse::<Name>().is_ok(),
            Scalar::BehaviorKey => !value.is_empty() && !value.contains(char::is_whitespace),
            Scalar::TenantUrl => is_url(),
            Scalar::Protected | Scalar::LimitProtected if value.contains("://") => is_url(),
            Scalar::ReferenceId | Scalar::Protected => !value.is_empty(),
            Scalar::ProviderName => !value.trim().is_empty(),
            Scalar::IntegrationId | Scalar::LimitProtected => is_uuid(value),
            Scalar::Date => {
                let date = value.parse::<Date>();
                date.is_ok_and(|date| date.to_string() == value)
            }
            Scalar::TokenVariable => {
                let is_name = is_variable_name(value) && !is_like_token(value);
                is_name && value.starts_with("CLOUDFLARE_") && !may_be_used(value)
            }
            Scalar::HostGlob => {
                let is_valid = |c: char| c.is_ascii_alphanumeric() || "-.*?".contains(c);
                !value.is_empty() && value.chars().all(is_valid)
            }
            Scalar::Text | Scalar::Path => true,
        };
        is_valid.then(|| value.into())
    }

    /// Returns the rule, message and help for a text that the type does not accept.
    fn mistake(self, text: &Text<'_>, value: &str) -> (Code, String, String) {
        let (mut code, mut expected) = self.expected();
        let mut help = self.help();
        let mut found = format!("`{}`", text.written.trim_end_matches('\n'));
        let is_typed = matches!(self, Scalar::Bool | Scalar::Number);
        let is_url = self == Scalar::TenantUrl || value.contains("://");
        match self {
            _ if is_typed && !text.is_plain => {
                (code, found) = (Code::WrongType, "text".to_owned());
                help = format!("{help}, without quotes");
            }
            Scalar::Bool => {
                let value = value.to_ascii_lowercase();
                let is_true = matches!(value.as_str(), "true" | "yes" | "on" | "y");
                if is_true || matches!(value.as_str(), "false" | "no" | "off" | "n") {
                    (code, help) = (Code::YamlBoolean, format!("write `{is_true}`"));
                }
            }
            Scalar::Number | Scalar::Version => {}
            // The word most similar to the value of a variable would reveal something about the value.
            Scalar::Word(words) if !text.has_variables => help = suggest(value, words),
            Scalar::Word(_) => {}
            _ if text.is_boolean() => {
                (code, expected) = (Code::WrongType, "text".to_owned());
                help = "put the value in quotes to make it text".to_owned();
            }
            _ if value.contains(is_invisible) => {
                let c = value.chars().find(|c| is_invisible(*c)).unwrap_or_default();
                let message = format!(" contains the invisible character U+{:04X}", u32::from(c));
                return (
                    Code::ControlCharacter,
                    message,
                    "remove the character".to_owned(),
                );
            }
            _ if value.is_empty() => return (code, " is empty".to_owned(), help),
            Scalar::TenantUrl | Scalar::Protected | Scalar::LimitProtected if is_url => {
                let reason = value.parse::<TenantUrl>().err();
                let reason = reason.map_or(found, |reason| reason.to_string());
                let message = format!(": invalid tenant URL: {reason}");
                return (Code::TenantUrl, message, Scalar::TenantUrl.help());
            }
            // It may be a token.
            Scalar::TokenVariable => found = "another text".to_owned(),
            _ => {}
        }
        (code, format!(": expected {expected}, found {found}"), help)
    }

    /// Returns the rule, message and help for a valid value that is probably a mistake.
    fn warning(self, value: &str) -> Option<(Code, String, String)> {
        let is_host = || {
            !ProtectedItem::is_address(value)
                && value.contains('.')
                && format!("https://{value}").parse::<TenantUrl>().is_ok()
        };
        let (code, message, help) = match self {
            Scalar::TenantUrl => match value.parse::<TenantUrl>().ok()?.organization() {
                None => (
                    Code::NotAnOktaOrganization,
                    " is not an Okta domain; scores will not arrive",
                    "use the organization's Okta URL, such as `https://corp.okta.com`, not a custom domain",
                ),
                Some(organization) if organization.ends_with("-admin") => (
                    Code::AdminHost,
                    " is an Okta admin console URL; scores will not arrive",
                    "remove `-admin` from the host",
                ),
                Some(_) => return None,
            },
            Scalar::ReferenceId if !is_uuid(value) => (
                Code::ReferenceNotUuid,
                " is not a UUID; Access identity provider IDs are UUIDs",
                "use the ID of the identity provider, or set its name in `identity_provider`",
            ),
            // A reference may be any text, so a host is only suspected.
            Scalar::Protected if is_host() => (
                Code::ProtectedHost,
                " contains a host that is treated as a reference_id",
                "write `https://` before the host to protect the tenant",
            ),
            _ => return None,
        };
        Some((code, message.to_owned(), help.to_owned()))
    }
}

impl Text<'_> {
    /// Returns true for a boolean in the place of text.
    fn is_boolean(&self) -> bool {
        let is_plain = self.is_plain && !self.has_variables;
        is_plain && matches!(self.value.as_str(), "true" | "false")
    }
}

/// Returns true if a text is a UUID with hyphens, the only form that the API shows.
fn is_uuid(text: &str) -> bool {
    text.len() == 36 && text.parse::<IntegrationId>().is_ok()
}

/// Returns the help for an unknown word: the most similar known word, or all of them.
pub(super) fn suggest(written: &str, known: &[&str]) -> String {
    let same = known.iter().find(|word| word.eq_ignore_ascii_case(written));
    // Comparing very long words takes too long.
    let similar = match written.len() <= 64 {
        true => get_close_matches(written.to_ascii_lowercase().as_str(), known, 1, 0.6),
        false => Vec::new(),
    };
    match same.or(similar.first()) {
        Some(word) => format!("did you mean `{word}`?"),
        None => format!("write {}", alternatives(known)),
    }
}

/// Formats words for a sentence: `keep`, `report` or `delete`.
fn alternatives(words: &[&str]) -> String {
    let quoted: Vec<String> = words.iter().map(|word| format!("`{word}`")).collect();
    match quoted.as_slice() {
        [first @ .., last] if !first.is_empty() => format!("{} or {last}", first.join(", ")),
        words => words.concat(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nearest_word_is_suggested() {
        let known = ["enabled", "risk_level"];
        for (written, help) in [
            ("risk_levl", "did you mean `risk_level`?"),
            ("RISK_LEVEL", "did you mean `risk_level`?"),
            ("risk-level", "did you mean `risk_level`?"),
            ("enable", "did you mean `enabled`?"),
            ("colour", "write `enabled` or `risk_level`"),
            ("", "write `enabled` or `risk_level`"),
        ] {
            assert_eq!(suggest(written, &known), help, "{written}");
        }
    }
}
