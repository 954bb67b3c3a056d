//! Scalar types: the accepted values, and the messages for other values.

use jiff::civil::Date;
use serde_yaml::Value as Yaml;
use similar::get_close_matches;

use super::code::DiagnosticCode as Code;
use super::span::is_like_token;
use super::variables::{Mistake, may_be_used};
use crate::model::account::{AccountId, ProtectedItem, is_variable_name};
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
    /// True if the value may have another type than text: it is unquoted or contains a variable.
    pub(super) is_plain: bool,
    pub(super) has_variables: bool,
}

/// Matches a scalar type to a row of rule, message and help.
macro_rules! row {
    ($scalar:expr $(, else $none:expr)?; $($pattern:pat $(if $guard:expr)? => $code:ident, $message:literal, $help:literal;)+) => {
        match $scalar {
            $($pattern $(if $guard)? => (Code::$code, $message, $help),)+
            $(_ => $none,)?
        }
    };
}

impl Scalar {
    /// Returns the rule for other values, the accepted values for messages, and the help. An empty help repeats the accepted values.
    pub(super) fn expected(self) -> (Code, String, String) {
        let (code, expected, help) = row! { self;
            Scalar::Word(_) => UnknownWord, "", "";
            Scalar::Bool => WrongType, "true or false", "";
            Scalar::Number => Number, "a whole number",
                "write decimal digits without quotes, sign or leading zeros (maximum 4294967295)";
            Scalar::Version => Version, "`version: 1`", "";
            Scalar::AccountId => AccountId, "32 hexadecimal digits", "find the ID in the URL of the Cloudflare dashboard";
            Scalar::Name | Scalar::IntegrationName => Name, "one or more of A-Z, a-z, 0-9, `_` and `-`", "";
            Scalar::BehaviorKey => Name, "a name without spaces, such as `imp_travel`", "";
            Scalar::TenantUrl => TenantUrl, "a URL such as `https://corp.okta.com`",
                "write the scheme, the ASCII host and optionally a port, such as `https://corp.okta.com`";
            Scalar::ReferenceId => ReferenceId, "text", "remove the key to keep the live reference";
            Scalar::Protected => ReferenceId, "text", "";
            Scalar::ProviderName => ReferenceId, "the name that the dashboard shows", "";
            Scalar::IntegrationId => IntegrationId, "an integration ID",
                "run `riskform get integrations` to list the IDs, which are UUIDs";
            Scalar::Date => Date, "a date such as 2026-12-31", "";
            Scalar::TokenVariable => VariableName, "a variable that starts with `CLOUDFLARE_` and does not end with `_ACCOUNT_ID`",
                "use a name such as `CLOUDFLARE_API_TOKEN`, never the token itself";
            Scalar::LimitProtected => LimitsProtected, "an https URL or a UUID", "";
            Scalar::HostGlob => TenantUrl, "a host or a pattern such as `*.okta.com`", "";
            Scalar::Text | Scalar::Path => WrongType, "text", "";
        };
        let expected = match self {
            Scalar::Word(words) => alternatives(words),
            _ => expected.to_owned(),
        };
        let help = match help {
            "" => format!("write {expected}"),
            help => help.to_owned(),
        };
        (code, expected, help)
    }

    /// Returns true if variables are not allowed.
    pub(super) fn is_literal(self) -> bool {
        let is_name = matches!(self, Scalar::BehaviorKey | Scalar::IntegrationName);
        is_name || matches!(self, Scalar::Path | Scalar::TokenVariable)
    }

    /// Returns the typed value of a text, or `None` if the type does not accept it.
    pub(super) fn value(self, text: &Text<'_>) -> Option<Yaml> {
        self.parse(self.content(text), text)
    }

    /// Returns an error for a text without a value, or a warning. Its message follows the key.
    pub(super) fn problem(self, text: &Text<'_>, is_valid: bool) -> Option<Mistake> {
        let content = self.content(text);
        match is_valid {
            true => self.warning(content),
            false => Some(self.mistake(text, content)),
        }
    }

    /// Returns a text without the line break at the end of a block scalar.
    fn content<'t>(self, text: &'t Text<'_>) -> &'t str {
        match self {
            Scalar::BehaviorKey | Scalar::IntegrationName => &text.value,
            _ => text.value.trim_end_matches('\n'),
        }
    }

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
    fn mistake(self, text: &Text<'_>, value: &str) -> Mistake {
        let (mut code, mut expected, mut help) = self.expected();
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
                let help = "remove the character".to_owned();
                return (Code::ControlCharacter, message, help);
            }
            _ if value.is_empty() => return (code, " is empty".to_owned(), help),
            Scalar::TenantUrl | Scalar::Protected | Scalar::LimitProtected if is_url => {
                let reason = value.parse::<TenantUrl>().err();
                let reason = reason.map_or(found, |reason| reason.to_string());
                let message = format!(": invalid tenant URL: {reason}");
                return (Code::TenantUrl, message, Scalar::TenantUrl.expected().2);
            }
            // It may be a token.
            Scalar::TokenVariable => found = "another text".to_owned(),
            _ => {}
        }
        (code, format!(": expected {expected}, found {found}"), help)
    }

    /// Returns the rule, message and help for a valid value that is probably a mistake.
    fn warning(self, value: &str) -> Option<Mistake> {
        let is_host = || {
            !ProtectedItem::is_address(value)
                && value.contains('.')
                && format!("https://{value}").parse::<TenantUrl>().is_ok()
        };
        let url = (self == Scalar::TenantUrl).then(|| TenantUrl::from_live(value));
        let organization = url.and_then(|url| url.organization());
        let is_admin = |name: &String| name.ends_with("-admin");
        let (code, message, help) = row! { self, else return None;
            Scalar::TenantUrl if organization.is_none() => NotAnOktaOrganization, " is not an Okta domain; scores will not arrive",
                "use the organization's Okta URL, such as `https://corp.okta.com`, not a custom domain";
            Scalar::TenantUrl if organization.as_ref().is_some_and(is_admin) => AdminHost, " is an Okta admin console URL; scores will not arrive",
                "remove `-admin` from the host";
            Scalar::ReferenceId if !is_uuid(value) => ReferenceNotUuid, " is not a UUID; Access identity provider IDs are UUIDs",
                "use the ID of the identity provider, or set its name in `identity_provider`";
            // A reference may be any text, so a host is only suspected.
            Scalar::Protected if is_host() => ProtectedHost, " contains a host that is treated as a reference_id",
                "write `https://` before the host to protect the tenant";
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
