//! The URL of a notification and its format.

use std::fmt;
use std::str::FromStr;

use url::{Host, Url};

use crate::model::loopback::is_loopback;

/// Host of Slack's incoming webhooks.
const SLACK_HOST: &str = "hooks.slack.com";

/// A URL to notify. Shows only its scheme and host, also in `Debug`, because the rest of a webhook URL is secret.
#[derive(Clone, PartialEq, Eq)]
pub struct Target {
    form: TargetKind,
    url: Url,
}

/// Format of the notifications for a target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TargetKind {
    /// A JSON document.
    Webhook,
    /// Slack's incoming webhooks.
    Slack,
}

impl Target {
    /// Returns the format.
    pub fn form(&self) -> TargetKind {
        self.form
    }

    /// Returns the full URL, which is secret.
    pub(super) fn url(&self) -> &Url {
        &self.url
    }

    /// Returns the full URL for digests; never print it.
    pub fn full_url(&self) -> &str {
        self.url.as_str()
    }

    /// Returns true for plain http, which is allowed for loopback only.
    pub fn is_local(&self) -> bool {
        self.url.scheme() == "http"
    }
}

impl FromStr for Target {
    type Err = ParseTargetError;

    fn from_str(text: &str) -> Result<Self, ParseTargetError> {
        let (form, text) = if let Some(rest) = text.strip_prefix("slack+") {
            (Some(TargetKind::Slack), rest)
        } else {
            (None, text)
        };
        let url = Url::parse(text).map_err(ParseTargetError::Malformed)?;
        let host = url.host().ok_or(ParseTargetError::Scheme)?;
        match url.scheme() {
            "https" => {}
            "http" if is_loopback(&host) => {}
            "http" => return Err(ParseTargetError::PlainHttp(host.to_string())),
            _ => return Err(ParseTargetError::Scheme),
        }
        let form = form.unwrap_or(match host {
            Host::Domain(SLACK_HOST) => TargetKind::Slack,
            Host::Domain(_) | Host::Ipv4(_) | Host::Ipv6(_) => TargetKind::Webhook,
        });
        Ok(Target { form, url })
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.form {
            TargetKind::Slack if self.url.host_str() != Some(SLACK_HOST) => "slack+",
            TargetKind::Slack | TargetKind::Webhook => "",
        })?;
        let host = self.url.host_str().unwrap_or_default();
        write!(f, "{}://{host}", self.url.scheme())?;
        if let Some(port) = self.url.port() {
            write!(f, ":{port}")?;
        }
        f.write_str("/…")
    }
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Target({self})")
    }
}

/// An invalid notification URL. Never shows the text, which is mostly secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseTargetError {
    /// Not a URL.
    #[error("invalid URL ({0}); expected https://… or slack+https://…")]
    Malformed(url::ParseError),
    /// Unknown scheme.
    #[error("expected https://… or slack+https://…")]
    Scheme,
    /// Plain http to a host other than loopback.
    #[error("http is allowed only for localhost; use https for {0}")]
    PlainHttp(String),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scheme_and_the_host_say_the_form_and_nothing_else_is_shown() {
        let table = [
            (
                "https://hooks.slack.com/services/T0/B0/canary",
                TargetKind::Slack,
                "https://hooks.slack.com/…",
            ),
            (
                "slack+https://chat.example.com/hooks/canary?canary=1#canary",
                TargetKind::Slack,
                "slack+https://chat.example.com/…",
            ),
            (
                "slack+http://127.0.0.1:9000/canary",
                TargetKind::Slack,
                "slack+http://127.0.0.1:9000/…",
            ),
            (
                "https://canary:canary@alerts.example.com:8443/canary",
                TargetKind::Webhook,
                "https://alerts.example.com:8443/…",
            ),
            (
                "https://hooks.slack.com.example.com/canary",
                TargetKind::Webhook,
                "https://hooks.slack.com.example.com/…",
            ),
            (
                "http://[::1]:9000/canary",
                TargetKind::Webhook,
                "http://[::1]:9000/…",
            ),
            (
                "http://localhost/canary",
                TargetKind::Webhook,
                "http://localhost/…",
            ),
        ];
        for (text, form, shown) in table {
            let target: Target = text.parse().unwrap();
            assert_eq!(target.form(), form, "{text}");
            assert_eq!(target.to_string(), shown);
            assert_eq!(format!("{target:?}"), format!("Target({shown})"));
        }
    }

    #[test]
    fn what_is_no_target_is_refused_without_being_shown() {
        let table = [
            (
                "http://alerts.example.com/canary",
                ParseTargetError::PlainHttp("alerts.example.com".to_owned()),
            ),
            (
                "slack+http://192.168.0.1/canary",
                ParseTargetError::PlainHttp("192.168.0.1".to_owned()),
            ),
            ("ftp://alerts.example.com/canary", ParseTargetError::Scheme),
            ("mailto:canary@example.com", ParseTargetError::Scheme),
            ("teams+https://example.com/canary", ParseTargetError::Scheme),
            (
                "/canary",
                ParseTargetError::Malformed(url::ParseError::RelativeUrlWithoutBase),
            ),
            (
                "https://",
                ParseTargetError::Malformed(url::ParseError::EmptyHost),
            ),
        ];
        for (text, why) in table {
            let error = text.parse::<Target>().unwrap_err();
            assert_eq!(error, why, "{text}");
            assert!(!format!("{error} {error:?}").contains("canary"), "{error}");
        }
    }
}
