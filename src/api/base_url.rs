//! The base URL of the API: https, or plain http on loopback.

use std::fmt;
use std::str::FromStr;

use url::Url;

use crate::model::is_loopback;

/// The URL that every path is appended to; never ends in a slash.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct BaseUrl(String);

impl BaseUrl {
    /// The URL as text, without a trailing slash.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns this URL with Cloudflare's path appended if it does not end in that path: the likely intention.
    pub(super) fn with_default_path(&self) -> Option<String> {
        const USUAL: &str = "/client/v4";
        (!self.0.ends_with(USUAL)).then(|| format!("{}{USUAL}", self.0))
    }

    /// Returns the host, with the port if there is one.
    pub(super) fn host(&self) -> &str {
        let rest = self.0.split_once("://").map_or(&*self.0, |(_, rest)| rest);
        rest.split('/').next().unwrap_or(rest)
    }

    /// Returns true for https; plain http is allowed for loopback only.
    pub fn is_https(&self) -> bool {
        self.0.starts_with("https://")
    }

    /// Returns the full URL of a path that starts with a slash.
    pub(super) fn join(&self, path: &str) -> String {
        format!("{}{path}", self.0)
    }
}

impl Default for BaseUrl {
    /// Returns Cloudflare's base URL.
    fn default() -> Self {
        BaseUrl("https://api.cloudflare.com/client/v4".to_owned())
    }
}

impl fmt::Display for BaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl FromStr for BaseUrl {
    type Err = String;

    /// Parses a base URL. The error never shows the text, which may contain a secret.
    fn from_str(text: &str) -> Result<Self, String> {
        let url = Url::parse(text)
            .map_err(|error| format!("invalid base URL ({error}); expected https://host/path"))?;
        let problem = match (url.scheme(), url.host()) {
            ("http", Some(host)) if !is_loopback(&host) => {
                return Err(format!(
                    "http is allowed only for localhost; use https for {host}"
                ));
            }
            ("http" | "https", Some(_))
                if !url.username().is_empty() || url.password().is_some() =>
            {
                "must not contain a user name or password"
            }
            ("http" | "https", Some(_)) if url.query().is_some() => "must not contain a query",
            ("http" | "https", Some(_)) if url.fragment().is_some() => {
                "must not contain a fragment"
            }
            ("http" | "https", Some(_)) => {
                return Ok(BaseUrl(url.as_str().trim_end_matches('/').to_owned()));
            }
            _ => "must start with https://",
        };
        Err(format!("the base URL {problem}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn https_and_http_on_loopback_are_valid() {
        for (text, written) in [
            (
                "https://api.cloudflare.com/client/v4",
                "https://api.cloudflare.com/client/v4",
            ),
            (
                "https://API.example.com:443/v4/",
                "https://api.example.com/v4",
            ),
            ("https://example.com", "https://example.com"),
            (
                "http://127.0.0.1:8787/client/v4",
                "http://127.0.0.1:8787/client/v4",
            ),
            ("http://127.8.9.10", "http://127.8.9.10"),
            ("http://[::1]:8787", "http://[::1]:8787"),
            ("http://localhost:8787", "http://localhost:8787"),
            // The URL standard reads this number as 127.0.0.1.
            ("http://2130706433", "http://127.0.0.1"),
        ] {
            assert_eq!(text.parse::<BaseUrl>().unwrap().as_str(), written, "{text}");
        }
        assert_eq!(BaseUrl::default().as_str().parse(), Ok(BaseUrl::default()));
    }

    #[test]
    fn other_base_urls_are_errors() {
        let plain =
            |host: &str| format!("http is allowed only for localhost; use https for {host}");
        let other = |problem: &str| format!("the base URL {problem}");
        let malformed = |why: &str| format!("invalid base URL ({why}); expected https://host/path");
        let scheme = || other("must start with https://");
        let user_info = || other("must not contain a user name or password");
        for (text, why) in [
            ("http://api.cloudflare.com", plain("api.cloudflare.com")),
            (
                "http://localhost.example.com",
                plain("localhost.example.com"),
            ),
            (
                "http://127.0.0.1.example.com",
                plain("127.0.0.1.example.com"),
            ),
            ("http://192.168.0.1", plain("192.168.0.1")),
            ("http://0.0.0.0", plain("0.0.0.0")),
            ("http://[::2]", plain("[::2]")),
            ("http://127.0.0.1@example.com", plain("example.com")),
            ("ftp://example.com", scheme()),
            ("data:text/plain,x", scheme()),
            ("https://user@example.com", user_info()),
            ("https://:secret@example.com", user_info()),
            (
                "https://example.com?token=secret",
                other("must not contain a query"),
            ),
            (
                "https://example.com#top",
                other("must not contain a fragment"),
            ),
            ("example.com", malformed("relative URL without a base")),
            ("", malformed("relative URL without a base")),
            ("https://", malformed("empty host")),
        ] {
            assert_eq!(text.parse::<BaseUrl>(), Err(why), "{text}");
        }
    }
}
