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
use crate::model::integration::{IntegrationId, TenantUrl, TenantUrlWarning};
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
    /// Returns the rule for other values, the accepted values, and a help.
    pub(super) fn expected(self) -> (Code, String, String) {
        let (code, expected, help) = match self {
            Scalar::Word(words) => {
                let words = alternatives(words);
                let help = format!("write {words}");
                return (Code::UnknownWord, words, help);
            }
            Scalar::Bool => (Code::WrongType, "true or false", "write `true` or `false`"),
            Scalar::Number => (
                Code::Number,
                "a whole number",
                "write decimal digits without quotes, sign or leading zeros (maximum 4294967295)",
            ),
            Scalar::Version => (Code::Version, "`version: 1`", "write `version: 1`"),
            Scalar::AccountId => (
                Code::AccountId,
                "32 hexadecimal digits",
                "find the ID in the URL of the Cloudflare dashboard",
            ),
            Scalar::Name | Scalar::IntegrationName => (
                Code::Name,
                "a name",
                "use one or more of A-Z, a-z, 0-9, `_` and `-`; the name is not sent to Cloudflare",
            ),
            Scalar::BehaviorKey => (
                Code::Name,
                "a name without spaces",
                "use Cloudflare's name of the behavior, such as `imp_travel`",
            ),
            Scalar::TenantUrl => (
                Code::TenantUrl,
                "the https URL of the tenant",
                "write the scheme, the ASCII host and optionally a port, such as `https://corp.okta.com`",
            ),
            Scalar::ReferenceId => (
                Code::ReferenceId,
                "text",
                "remove the key to keep the live reference",
            ),
            Scalar::ProviderName => (
                Code::ReferenceId,
                "text",
                "use the name that the dashboard shows",
            ),
            Scalar::IntegrationId => (
                Code::IntegrationId,
                "an integration ID",
                "run `riskform get integrations` to list IDs such as `4cfe8442-664b-4915-acd4-b39cd65c4314`",
            ),
            Scalar::Date => (
                Code::Date,
                "a date such as 2026-12-31",
                "write year, month and day, as in `2026-12-31`",
            ),
            Scalar::TokenVariable => (
                Code::VariableName,
                "the name of a variable that starts with `CLOUDFLARE_` and does not end with `_ACCOUNT_ID`",
                "use a name such as `CLOUDFLARE_API_TOKEN`, never the token itself",
            ),
            Scalar::Protected => (
                Code::ReferenceId,
                "text",
                "use a tenant_url, a reference_id, an ID or an address",
            ),
            Scalar::LimitProtected => (
                Code::LimitsProtected,
                "an https URL or a UUID",
                "use the tenant_url, the reference_id or the ID of the integration",
            ),
            Scalar::HostGlob => (
                Code::TenantUrl,
                "a host or a pattern such as `*.okta.com`",
                "use host names or patterns, without scheme and port",
            ),
            Scalar::Text | Scalar::Path => (Code::WrongType, "text", "write a text value"),
        };
        (code, expected.to_owned(), help.to_owned())
    }

    /// Returns true if variables are not allowed.
    pub(super) fn is_literal(self) -> bool {
        let is_name = matches!(self, Scalar::BehaviorKey | Scalar::IntegrationName);
        is_name || matches!(self, Scalar::Path | Scalar::TokenVariable)
    }

    /// Returns true if the value is no text.
    fn is_typed(self) -> bool {
        matches!(
            self,
            Scalar::Bool | Scalar::Number | Scalar::Version | Scalar::Word(_)
        )
    }

    /// Checks a text. `path` is the key in messages.
    pub(super) fn check(self, text: &Text<'_>, path: &str) -> Checked {
        // A block scalar ends with a line break.
        let value = match self {
            Scalar::BehaviorKey | Scalar::IntegrationName => text.value.as_str(),
            _ => text.value.trim_end_matches('\n'),
        };
        let error = |code, message, help| (None, Some(Problem::at(text.span, code, message, help)));
        let is_boolean = text.is_plain && !text.has_variables && matches!(value, "true" | "false");
        if !self.is_typed() && is_boolean {
            let message = format!("{path}: expected text, found true or false");
            let help = "put the value in quotes to make it text".to_owned();
            return error(Code::WrongType, message, help);
        }
        if !self.is_typed()
            && let Some(c) = value.chars().find(|c| is_invisible(*c))
        {
            let code = u32::from(c);
            let message = format!("{path} contains the invisible character U+{code:04X}");
            return error(
                Code::ControlCharacter,
                message,
                "remove the character".to_owned(),
            );
        }
        let Some(typed) = self.parse(value, text.is_plain) else {
            let (code, message, help) = self.mistake(text, value, path);
            return error(code, message, help);
        };
        let warning = self.warning(value, path);
        let warning =
            warning.map(|(code, message, help)| Problem::at(text.span, code, message, help));
        (Some(typed), warning)
    }

    /// Returns the typed value of a text, or `None` if the type does not accept it.
    fn parse(self, value: &str, is_plain: bool) -> Option<Yaml> {
        let is_url = || value.parse::<TenantUrl>().is_ok();
        let is_valid = match self {
            Scalar::Bool | Scalar::Number | Scalar::Version if !is_plain => false,
            Scalar::Bool => return value.parse().ok().map(Yaml::Bool),
            Scalar::Number => {
                // `010` is eight to some parsers of YAML and ten to others.
                let number: u32 = value.parse().ok()?;
                return (number.to_string() == value).then(|| number.into());
            }
            Scalar::Version => return (value == "1").then(|| 1.into()),
            Scalar::Word(words) => words.contains(&value),
            Scalar::AccountId => value.parse::<AccountId>().is_ok(),
            Scalar::Name | Scalar::IntegrationName => value.parse::<Name>().is_ok(),
            Scalar::BehaviorKey => !value.is_empty() && !value.contains(char::is_whitespace),
            Scalar::TenantUrl => is_url(),
            Scalar::Protected | Scalar::LimitProtected if value.contains("://") => is_url(),
            Scalar::ReferenceId | Scalar::Protected => !value.is_empty(),
            Scalar::ProviderName => !value.trim().is_empty(),
            Scalar::IntegrationId | Scalar::LimitProtected => is_uuid(value),
            Scalar::Date => value
                .parse::<Date>()
                .is_ok_and(|date| date.to_string() == value),
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
    fn mistake(self, text: &Text<'_>, value: &str, path: &str) -> (Code, String, String) {
        let (mut code, expected, mut help) = self.expected();
        if value.is_empty() {
            return (code, format!("{path} is empty"), help);
        }
        let mut found = format!("`{}`", text.written.trim_end_matches('\n'));
        match self {
            Scalar::Bool => {
                let meant = match value.to_ascii_lowercase().as_str() {
                    "true" | "yes" | "on" | "y" => Some(true),
                    "false" | "no" | "off" | "n" => Some(false),
                    _ => None,
                };
                match (meant, text.is_plain) {
                    (Some(meant), true) => {
                        (code, help) = (Code::YamlBoolean, format!("write `{meant}`"));
                    }
                    (Some(meant), false) => {
                        found = "text".to_owned();
                        help = format!("write `{meant}` without quotes");
                    }
                    (None, _) => {}
                }
            }
            Scalar::Number if !text.is_plain => {
                (code, found) = (Code::WrongType, "text".to_owned())
            }
            // The word most similar to the value of a variable would reveal something about the value.
            Scalar::Word(words) if !text.has_variables => help = suggest(value, words),
            // It may be a token.
            Scalar::TokenVariable => found = "another text".to_owned(),
            Scalar::TenantUrl | Scalar::Protected | Scalar::LimitProtected
                if self == Scalar::TenantUrl || value.contains("://") =>
            {
                let reason = value.parse::<TenantUrl>().err();
                let reason = reason.map_or_else(String::new, |reason| reason.to_string());
                let (code, _, help) = Scalar::TenantUrl.expected();
                return (code, format!("{path}: invalid tenant URL: {reason}"), help);
            }
            _ => {}
        }
        (
            code,
            format!("{path}: expected {expected}, found {found}"),
            help,
        )
    }

    /// Returns the rule, message and help for a valid value that is probably a mistake.
    fn warning(self, value: &str, path: &str) -> Option<(Code, String, String)> {
        let (code, message, help) = match self {
            Scalar::TenantUrl => match value.parse::<TenantUrl>().ok()?.warning()? {
                TenantUrlWarning::NotOkta => (
                    Code::NotAnOktaOrganization,
                    "is not an Okta domain; scores will not arrive",
                    "use the organization's Okta URL, such as `https://corp.okta.com`, not a custom domain",
                ),
                TenantUrlWarning::Admin => (
                    Code::AdminHost,
                    "is an Okta admin console URL; scores will not arrive",
                    "remove `-admin` from the host",
                ),
            },
            Scalar::ReferenceId if !is_uuid(value) => (
                Code::ReferenceNotUuid,
                "is not a UUID; Access identity provider IDs are UUIDs",
                "use the ID of the identity provider, or set its name in `identity_provider`",
            ),
            // A reference may be any text, so a host is only suspected.
            Scalar::Protected
                if !ProtectedItem::is_address(value)
                    && value.contains('.')
                    && format!("https://{value}").parse::<TenantUrl>().is_ok() =>
            {
                (
                    Code::ProtectedHost,
                    "contains a host that is treated as a reference_id",
                    "write `https://` before the host to protect the tenant",
                )
            }
            _ => return None,
        };
        Some((code, format!("{path} {message}"), help.to_owned()))
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
