//! The base URL of the API: https, or plain http on loopback.

use std::fmt;
use std::str::FromStr;

use url::Url;

use crate::model::loopback::is_loopback;

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
    type Err = ParseBaseUrlError;

    fn from_str(text: &str) -> Result<Self, ParseBaseUrlError> {
        let url = Url::parse(text).map_err(ParseBaseUrlError::Malformed)?;
        let host = url.host().ok_or(ParseBaseUrlError::Scheme)?;
        match url.scheme() {
            "https" => {}
            "http" if is_loopback(&host) => {}
            "http" => return Err(ParseBaseUrlError::PlainHttp(host.to_string())),
            _ => return Err(ParseBaseUrlError::Scheme),
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(ParseBaseUrlError::UserInfo);
        }
        if url.query().is_some() {
            return Err(ParseBaseUrlError::Query);
        }
        if url.fragment().is_some() {
            return Err(ParseBaseUrlError::Fragment);
        }
        Ok(BaseUrl(url.as_str().trim_end_matches('/').to_owned()))
    }
}

/// An invalid base URL. Never shows the text, which may contain a secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseBaseUrlError {
    /// Not a URL.
    #[error("invalid base URL ({0}); expected https://host/path")]
    Malformed(url::ParseError),
    /// Scheme other than https.
    #[error("the base URL must start with https://")]
    Scheme,
    /// Plain http to a host other than loopback.
    #[error("http is allowed only for localhost; use https for {0}")]
    PlainHttp(String),
    /// `user:password@`.
    #[error("the base URL must not contain a user name or password")]
    UserInfo,
    /// `?…`
    #[error("the base URL must not contain a query")]
    Query,
    /// `#…`
    #[error("the base URL must not contain a fragment")]
    Fragment,
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
        let plain = |host: &str| ParseBaseUrlError::PlainHttp(host.to_owned());
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
            ("ftp://example.com", ParseBaseUrlError::Scheme),
            ("data:text/plain,x", ParseBaseUrlError::Scheme),
            ("https://user@example.com", ParseBaseUrlError::UserInfo),
            ("https://:secret@example.com", ParseBaseUrlError::UserInfo),
            ("https://example.com?token=secret", ParseBaseUrlError::Query),
            ("https://example.com#top", ParseBaseUrlError::Fragment),
            (
                "example.com",
                ParseBaseUrlError::Malformed(url::ParseError::RelativeUrlWithoutBase),
            ),
            (
                "",
                ParseBaseUrlError::Malformed(url::ParseError::RelativeUrlWithoutBase),
            ),
            (
                "https://",
                ParseBaseUrlError::Malformed(url::ParseError::EmptyHost),
            ),
        ] {
            let error = text.parse::<BaseUrl>().unwrap_err();
            assert_eq!(error, why, "{text}");
            assert!(!error.to_string().contains("secret"), "{error}");
        }
    }
}
