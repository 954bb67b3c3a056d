//! Scalar types: the accepted values, and the messages for other values.

use std::fmt::Display;

use jiff::civil::Date;
use serde_yaml::Value as Yaml;
use similar::get_close_matches;

use super::code::DiagnosticCode as Code;
use super::diagnostic::Problem;
use super::span::{Span, is_like_token};
use super::variables::{is_variable_name, may_be_used};
use crate::model::account::{AccountId, ProtectedItem};
use crate::model::address::Name;
use crate::model::integration::{
    IntegrationId, ParseTenantUrlError, ReferenceId, TenantUrl, TenantUrlWarning,
};
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
    /// A file in `extends`, without variables.
    Path,
    /// A variable that holds a token, without variables.
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
    /// Returns the name of the type and a help, for a value that is a list, a map or null.
    pub(super) fn expected(self) -> (String, String) {
        let (expected, help) = match self {
            Scalar::Bool => ("true or false", "write `true` or `false`"),
            Scalar::Number => ("a whole number", "write a number such as `1`"),
            Scalar::Word(words) => {
                let words = alternatives(words);
                let help = format!("write {words}");
                return (words, help);
            }
            _ => ("text", "write a text value"),
        };
        (expected.to_owned(), help.to_owned())
    }

    /// Returns true if variables are not allowed: the value is needed before any variable is read.
    pub(super) fn is_literal(self) -> bool {
        matches!(self, Scalar::Path | Scalar::TokenVariable)
    }

    /// Checks a text. `path` is the key in messages.
    pub(super) fn check(self, text: &Text<'_>, path: &dyn Display) -> Checked {
        match self {
            Scalar::Bool => boolean(text, path),
            Scalar::Number => number(text, path),
            Scalar::Version => match text.is_plain && text.value == "1" {
                true => (Some(1.into()), None),
                false => unsupported_version(text.span),
            },
            Scalar::Word(words) => match words.contains(&text.value.as_str()) {
                true => (Some(text.value.as_str().into()), None),
                false => unknown_word(text, path, words),
            },
            _ => self.check_text(text, path),
        }
    }

    fn check_text(self, text: &Text<'_>, path: &dyn Display) -> Checked {
        let error = |code, message: String, help: &str| {
            (None, Some(Problem::at(text.span, code, message, help)))
        };
        // A block scalar ends with a line break.
        let is_name = matches!(self, Scalar::BehaviorKey | Scalar::IntegrationName);
        let trim = |text| {
            if is_name {
                text
            } else {
                str::trim_end_matches(text, '\n')
            }
        };
        let (value, written) = (trim(text.value.as_str()), trim(text.written));
        if text.is_plain && !text.has_variables && matches!(value, "true" | "false") {
            let message = format!("{path}: expected text, found true or false");
            return error(
                Code::WrongType,
                message,
                "put the value in quotes to make it text",
            );
        }
        if let Some(c) = value.chars().find(|c| is_invisible(*c)) {
            let code = u32::from(c);
            let message = format!("{path} contains the invisible character U+{code:04X}");
            return error(Code::ControlCharacter, message, "remove the character");
        }
        let empty = |help| error(Code::ReferenceId, format!("{path} is empty"), help);
        let warning = match self {
            Scalar::AccountId => match value.parse::<AccountId>() {
                Ok(_) => None,
                Err(reason) => {
                    let message = format!("invalid account ID `{written}`: {reason}");
                    let help = "find it in the URL of the Cloudflare dashboard";
                    return error(Code::AccountId, message, help);
                }
            },
            Scalar::Name => match value.parse::<Name>() {
                Ok(_) => None,
                Err(reason) => {
                    let message = format!("invalid account name `{written}`");
                    return error(Code::Name, message, &reason.to_string());
                }
            },
            Scalar::IntegrationName if value.parse::<Name>().is_err() => {
                let message = format!("invalid integration name `{written}`");
                let help = "use one or more of A-Z, a-z, 0-9, `_` and `-`; the name is local and not sent to Cloudflare";
                return error(Code::Name, message, help);
            }
            Scalar::BehaviorKey if value.is_empty() || value.contains(char::is_whitespace) => {
                let message = "behavior names cannot be empty or contain spaces".to_owned();
                let help = "use Cloudflare's name of the behavior, such as `imp_travel`";
                return error(Code::Name, message, help);
            }
            Scalar::TenantUrl => match value.parse::<TenantUrl>() {
                Ok(url) => url
                    .warning()
                    .map(|warning| misdirected(warning, text.span, path)),
                Err(reason) => return invalid_url(reason, text.span, path),
            },
            Scalar::ReferenceId if ReferenceId::new(value).is_none() => {
                return empty("remove the key to keep the live reference");
            }
            Scalar::ReferenceId if !is_uuid(value) => {
                let message =
                    format!("{path} is not a UUID; Access identity provider IDs are UUIDs");
                let help =
                    "use the ID of the identity provider, or set its name in `identity_provider`";
                Some(Problem::at(
                    text.span,
                    Code::ReferenceNotUuid,
                    message,
                    help,
                ))
            }
            Scalar::ProviderName if value.trim().is_empty() => {
                return empty("use the name that the dashboard shows");
            }
            Scalar::IntegrationId if !is_uuid(value) => {
                let message = format!("{path}: expected an integration ID, found `{written}`");
                let help = "run `riskform get integrations` to list IDs such as `4cfe8442-664b-4915-acd4-b39cd65c4314`";
                return error(Code::IntegrationId, message, help);
            }
            Scalar::Date
                if !value
                    .parse::<Date>()
                    .is_ok_and(|date| date.to_string() == value) =>
            {
                let message =
                    format!("{path}: expected a date such as 2026-12-31, found `{written}`");
                return error(
                    Code::Date,
                    message,
                    "write year, month and day, as in `2026-12-31`",
                );
            }
            Scalar::TokenVariable => match invalid_token_variable(value) {
                None => None,
                Some((message, help)) => {
                    return error(Code::VariableName, message.to_owned(), help);
                }
            },
            Scalar::Protected | Scalar::LimitProtected if value.contains("://") => {
                match value.parse::<TenantUrl>() {
                    Ok(_) => None,
                    Err(reason) => return invalid_url(reason, text.span, path),
                }
            }
            Scalar::Protected if value.is_empty() => {
                let message = format!("{path} contains an empty item");
                let help = "use a tenant_url, a reference_id, an ID or an address";
                return error(Code::ReferenceId, message, help);
            }
            Scalar::LimitProtected if !is_uuid(value) => {
                let message = format!("{path}: expected an https URL or a UUID, found `{written}`");
                let help = "use the tenant_url, the reference_id or the ID of the integration";
                return error(Code::LimitsProtected, message, help);
            }
            // A reference may be any text, so a host is only suspected.
            Scalar::Protected
                if !ProtectedItem::is_address(value)
                    && value.contains('.')
                    && format!("https://{value}").parse::<TenantUrl>().is_ok() =>
            {
                let message = format!("`{written}` is treated as a reference_id");
                let help = format!("write `https://{written}` to protect the tenant");
                Some(Problem::at(text.span, Code::ProtectedHost, message, help))
            }
            Scalar::HostGlob if !is_host_glob(value) => {
                let message = format!("{path}: invalid pattern `{written}`");
                let help =
                    "use host names or patterns such as `*.okta.com`, without scheme and port";
                return error(Code::TenantUrl, message, help);
            }
            _ => None,
        };
        (Some(value.into()), warning)
    }
}

fn boolean(text: &Text<'_>, path: &dyn Display) -> Checked {
    let meant = match text.value.to_ascii_lowercase().as_str() {
        "true" | "yes" | "on" | "y" => Some(true),
        "false" | "no" | "off" | "n" => Some(false),
        _ => None,
    };
    let (code, found, help) = match meant {
        Some(meant) if text.is_plain && text.value == meant.to_string() => {
            return (Some(meant.into()), None);
        }
        Some(meant) if text.is_plain => (Code::YamlBoolean, None, format!("write `{meant}`")),
        Some(meant) => {
            let help = format!("write `{meant}` without quotes");
            (Code::WrongType, Some("text"), help)
        }
        None => (Code::WrongType, None, Scalar::Bool.expected().1),
    };
    let found = found.map_or_else(|| format!("`{}`", text.written), str::to_owned);
    let message = format!("{path}: expected true or false, found {found}");
    (None, Some(Problem::at(text.span, code, message, help)))
}

fn number(text: &Text<'_>, path: &dyn Display) -> Checked {
    // `010` is eight to some parsers of YAML and ten to others.
    let value = text.value.parse::<u32>().ok();
    if let Some(value) = value.filter(|value| text.is_plain && value.to_string() == text.value) {
        return (Some(value.into()), None);
    }
    let (code, found) = match text.is_plain {
        true => (Code::Number, format!("`{}`", text.written)),
        false => (Code::WrongType, "text".to_owned()),
    };
    let message = format!("{path}: expected a whole number, found {found}");
    let help = format!(
        "write decimal digits without quotes, sign or leading zeros (maximum {})",
        u32::MAX
    );
    (None, Some(Problem::at(text.span, code, message, help)))
}

/// Returns the error for a version other than 1.
pub(super) fn unsupported_version(span: Span) -> Checked {
    let message = "unsupported version; expected `version: 1`";
    let problem = Problem::at(span, Code::Version, message, "write `version: 1`");
    (None, Some(problem))
}

fn unknown_word(text: &Text<'_>, path: &dyn Display, words: &[&str]) -> Checked {
    let expected = alternatives(words);
    // The word most similar to the value of a variable would reveal something about the value.
    let help = match text.has_variables {
        true => format!("write {expected}"),
        false => suggest(&text.value, words),
    };
    let message = format!("{path}: expected {expected}, found `{}`", text.written);
    (
        None,
        Some(Problem::at(text.span, Code::UnknownWord, message, help)),
    )
}

fn misdirected(warning: TenantUrlWarning, span: Span, path: &dyn Display) -> Problem {
    let (code, message, help) = match warning {
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
    };
    Problem::at(span, code, format!("{path} {message}"), help)
}

fn invalid_url(error: ParseTenantUrlError, span: Span, path: &dyn Display) -> Checked {
    let help = match error {
        ParseTenantUrlError::Scheme => "start the URL with `https://`",
        ParseTenantUrlError::NoHost => "add the host of the tenant after `https://`",
        ParseTenantUrlError::UserInfo => {
            "remove everything between `https://` and the host; credentials must not be in a file"
        }
        ParseTenantUrlError::Path | ParseTenantUrlError::Query | ParseTenantUrlError::Fragment => {
            "remove everything after the host or port"
        }
        ParseTenantUrlError::Host => {
            "use letters, digits, dots and hyphens; write an internationalized name in its `xn--` form"
        }
        ParseTenantUrlError::Address => "use the host name of the tenant, such as `corp.okta.com`",
        ParseTenantUrlError::Port => "remove the port, or use a number from 1 to 65535",
        ParseTenantUrlError::Malformed => "use a URL such as `https://corp.okta.com`",
    };
    let message = format!("{path}: invalid tenant URL: {error}");
    (
        None,
        Some(Problem::at(span, Code::TenantUrl, message, help)),
    )
}

fn invalid_token_variable(name: &str) -> Option<(&'static str, &'static str)> {
    if !is_variable_name(name) || is_like_token(name) {
        Some((
            "api_token_env must be the name of an environment variable",
            "use a name such as `CLOUDFLARE_API_TOKEN`, never the token itself",
        ))
    } else if !name.starts_with("CLOUDFLARE_") || may_be_used(name) {
        Some((
            "api_token_env must name a variable that starts with `CLOUDFLARE_` and does not end with `_ACCOUNT_ID`",
            "rename the variable, for example to `CLOUDFLARE_API_TOKEN`",
        ))
    } else {
        None
    }
}

/// Returns true if a text is a UUID with hyphens, the only form that the API shows.
fn is_uuid(text: &str) -> bool {
    text.len() == 36 && text.parse::<IntegrationId>().is_ok()
}

fn is_host_glob(text: &str) -> bool {
    let is_valid = |c: char| c.is_ascii_alphanumeric() || "-.*?".contains(c);
    !text.is_empty() && text.chars().all(is_valid)
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
