//! The URL of a notification and its format.

use std::fmt;
use std::str::FromStr;

use url::{Host, Url};

use crate::model::is_loopback;

/// Host of Slack's incoming webhooks.
const SLACK_HOST: &str = "hooks.slack.com";
const EXPECTED: &str = "expected https://… or slack+https://…";

/// A URL to notify. Shows only its scheme and host, also in `Debug`, because the rest of a webhook URL is secret.
#[derive(Clone, PartialEq, Eq)]
pub struct Target {
    pub(super) kind: TargetKind,
    /// The full URL, for requests and digests; never print it.
    pub(crate) url: Url,
}

/// Format of the notifications for a target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TargetKind {
    /// A JSON document.
    Webhook,
    /// Slack's incoming webhooks.
    Slack,
}

impl Target {
    /// Returns true for plain http, which is allowed for loopback only.
    pub fn is_local(&self) -> bool {
        self.url.scheme() == "http"
    }
}

/// Errors never show the text, which is mostly secret.
impl FromStr for Target {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (kind, text) = if let Some(rest) = text.strip_prefix("slack+") {
            (Some(TargetKind::Slack), rest)
        } else {
            (None, text)
        };
        let url = Url::parse(text);
        let url = url.map_err(|error| format!("invalid URL ({error}); {EXPECTED}"))?;
        let host = url.host().ok_or(EXPECTED)?;
        match url.scheme() {
            "https" => {}
            "http" if is_loopback(&host) => {}
            "http" => {
                let allowed = "http is allowed only for localhost; use https for";
                return Err(format!("{allowed} {host}"));
            }
            _ => return Err(EXPECTED.to_owned()),
        }
        let kind = kind.unwrap_or(match host {
            Host::Domain(SLACK_HOST) => TargetKind::Slack,
            Host::Domain(_) | Host::Ipv4(_) | Host::Ipv6(_) => TargetKind::Webhook,
        });
        Ok(Target { kind, url })
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.kind {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scheme_and_host_decide_the_format_and_only_the_host_is_shown() {
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
            assert_eq!(target.kind, form, "{text}");
            assert_eq!(target.to_string(), shown);
            assert_eq!(format!("{target:?}"), format!("Target({shown})"));
        }
    }

    #[test]
    fn invalid_target_is_rejected_without_showing_it() {
        let https = "http is allowed only for localhost; use https for";
        let scheme = EXPECTED.to_owned();
        let malformed = |why: &str| format!("invalid URL ({why}); {EXPECTED}");
        let table = [
            (
                "http://alerts.example.com/canary",
                format!("{https} alerts.example.com"),
            ),
            (
                "slack+http://192.168.0.1/canary",
                format!("{https} 192.168.0.1"),
            ),
            ("ftp://alerts.example.com/canary", scheme.clone()),
            ("mailto:canary@example.com", scheme.clone()),
            ("teams+https://example.com/canary", scheme),
            ("/canary", malformed("relative URL without a base")),
            ("https://", malformed("empty host")),
        ];
        for (text, why) in table {
            assert_eq!(text.parse::<Target>().unwrap_err(), why, "{text}");
        }
    }
}
