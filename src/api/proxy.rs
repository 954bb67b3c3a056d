//! A proxy for https requests. One parser decides if a value is valid and what the HTTP client connects to.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http::Uri;
use hyper_util::client::proxy::matcher::{Intercept, Matcher};
use reqwest::NoProxy;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use url::Url;

const EXPECTED: &str = "expected http://host:port";

/// A proxy, from an environment variable.
#[derive(Clone)]
pub struct Proxy {
    variable: &'static str,
    url: Url,
    no_proxy: String,
    matcher: Arc<Matcher>,
}

impl Proxy {
    /// Parses the value of a proxy variable. `no_proxy` lists the hosts that are reached directly.
    ///
    /// # Errors
    /// A message without the value, which may contain a password.
    pub fn parse(variable: &'static str, text: &str, no_proxy: &str) -> Result<Self, String> {
        // `Url` would drop these characters.
        if text.chars().any(|c| c.is_whitespace() || c.is_control()) {
            return Err(format!("white space or a control character; {EXPECTED}"));
        }
        let has_scheme = text.contains("://");
        let text = if has_scheme {
            text
        } else {
            &format!("http://{text}")
        };
        let url = Url::parse(text).map_err(|error| format!("{error}; {EXPECTED}"))?;
        match url.scheme() {
            "http" | "https" if url.host().is_some() && url.path() == "/" => {}
            "http" | "https" => return Err(EXPECTED.to_owned()),
            scheme => return Err(format!("{scheme} is not supported; {EXPECTED}")),
        }
        let matcher = |no_proxy: &str| Matcher::builder().https(url.as_str()).no(no_proxy).build();
        let any = Uri::from_static("https://riskform.invalid/");
        if matcher("").intercept(&any).is_none() {
            return Err(EXPECTED.to_owned());
        }
        Ok(Proxy {
            variable,
            matcher: Arc::new(matcher(no_proxy)),
            url,
            no_proxy: no_proxy.to_owned(),
        })
    }

    /// Returns the name of the variable.
    pub fn variable(&self) -> &'static str {
        self.variable
    }

    /// Returns host and port.
    pub fn address(&self) -> String {
        let host = self.url.host_str().unwrap_or_default();
        match self.url.port_or_known_default() {
            Some(port) => format!("{host}:{port}"),
            None => host.to_owned(),
        }
    }

    /// Returns true if requests to this URL go through the proxy.
    pub fn is_used_for(&self, url: &str) -> bool {
        url.parse().is_ok_and(|uri| self.intercept(&uri).is_some())
    }

    /// Returns the proxy for an HTTP client.
    ///
    /// # Errors
    /// Fails if the URL is invalid. [`parse`](Proxy::parse) accepts valid URLs only.
    pub fn client_proxy(&self) -> reqwest::Result<reqwest::Proxy> {
        let no_proxy = NoProxy::from_string(&self.no_proxy);
        Ok(reqwest::Proxy::https(self.url.clone())?.no_proxy(no_proxy))
    }

    fn intercept(&self, uri: &Uri) -> Option<Intercept> {
        self.matcher.intercept(uri)
    }

    /// Sends CONNECT to an http proxy and returns the status. The HTTP client does not report it.
    pub(super) async fn connect_status(&self, uri: &Uri, timeout: Duration) -> Option<u16> {
        if self.url.scheme() != "http" {
            return None;
        }
        let intercept = self.intercept(uri)?;
        let authorization = match intercept.basic_auth().and_then(|value| value.to_str().ok()) {
            Some(value) => format!("Proxy-Authorization: {value}\r\n"),
            None => String::new(),
        };
        let host = format!("{}:{}", uri.host()?, uri.port_u16().unwrap_or(443));
        let request = format!("CONNECT {host} HTTP/1.1\r\nHost: {host}\r\n{authorization}\r\n");
        let exchange = async {
            let mut stream = TcpStream::connect(self.address()).await.ok()?;
            stream.write_all(request.as_bytes()).await.ok()?;
            let mut response = String::new();
            let line = "HTTP/1.1 200".len() as u64;
            stream.take(line).read_to_string(&mut response).await.ok()?;
            response.get(9..)?.parse().ok()
        };
        tokio::time::timeout(timeout, exchange).await.ok()?
    }
}

impl fmt::Display for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "proxy {} ({})", self.address(), self.variable)
    }
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Proxy({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn valid_values_are_used_by_the_client() {
        let uri = Uri::from_static("https://api.cloudflare.com/client/v4");
        for (text, address, authorization) in [
            ("http://proxy:3128", "proxy:3128", None),
            ("https://proxy.example.com", "proxy.example.com:443", None),
            ("proxy:3128", "proxy:3128", None),
            ("http://[::1]:3128", "[::1]:3128", None),
            (
                "http://u:p@10.0.0.1:3128/",
                "10.0.0.1:3128",
                Some("Basic dTpw"),
            ),
            // Not valid in a URL, but escaped by its parser: user:pa}ss.
            (
                "http://user:pa}ss@127.0.0.1:3128",
                "127.0.0.1:3128",
                Some("Basic dXNlcjpwYX1zcw=="),
            ),
        ] {
            let proxy = Proxy::parse("HTTPS_PROXY", text, "").unwrap();
            assert_eq!(proxy.address(), address, "{text}");
            let intercept = proxy.intercept(&uri).unwrap();
            let sent = intercept.basic_auth().map(|value| value.to_str().unwrap());
            assert_eq!(sent, authorization, "{text}");
            assert!(proxy.client_proxy().is_ok(), "{text}");
            let shown = format!("{proxy} {proxy:?}");
            assert!(
                !shown.contains("pa}ss") && !shown.contains("user"),
                "{shown}"
            );
        }
    }

    #[test]
    fn every_other_value_is_an_error_that_does_not_show_it() {
        for (text, expected) in [
            ("http://", "empty host; expected http://host:port"),
            (
                "http://proxy:port",
                "invalid port number; expected http://host:port",
            ),
            (
                "http://canary canary",
                "white space or a control character; expected http://host:port",
            ),
            (
                "http://127.0.0.1:3128\r",
                "white space or a control character; expected http://host:port",
            ),
            (
                " ",
                "white space or a control character; expected http://host:port",
            ),
            (
                "socks5://canary",
                "socks5 is not supported; expected http://host:port",
            ),
            ("http://proxy/canary", "expected http://host:port"),
            ("http://can{ary:3128", "expected http://host:port"),
        ] {
            let message = Proxy::parse("HTTPS_PROXY", text, "").unwrap_err();
            assert_eq!(message, expected, "{text:?}");
        }
    }

    #[test]
    fn no_proxy_exempts_hosts_domains_and_networks() {
        for (no_proxy, url, is_used) in [
            ("", "https://api.cloudflare.com/x", true),
            ("*", "https://api.cloudflare.com/x", false),
            (
                "localhost, .cloudflare.com",
                "https://api.cloudflare.com/x",
                false,
            ),
            ("cloudflare.com", "https://api.cloudflare.com/x", false),
            ("flare.com", "https://api.cloudflare.com/x", true),
            ("10.0.0.0/8", "https://10.0.0.9/client/v4", false),
            ("10.0.0.0/8", "https://11.0.0.9/client/v4", true),
            ("", "http://127.0.0.1/x", false),
        ] {
            let proxy = Proxy::parse("HTTPS_PROXY", "proxy:3128", no_proxy).unwrap();
            assert_eq!(proxy.is_used_for(url), is_used, "{no_proxy} {url}");
        }
    }
}
