//! Base URL of an Okta tenant: validation, normalization and comparison.

#[cfg(test)]
use std::borrow::Cow;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::str::FromStr;
use std::sync::Arc;

#[cfg(test)]
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use url::Url;

use super::id::IntegrationId;

/// Base URL of an Okta tenant: shown as written, compared in normalized form.
///
/// Normalized means: the host in lower case (IDNA), no default port, no trailing slash. The API may store either form (`schema/api.md`,
/// Integrations). A live value that is not a valid tenant URL is compared as text.
#[derive(Clone, Debug)]
pub struct TenantUrl {
    written: Arc<str>,
    /// Shares `written` if both are equal.
    normalized: Arc<str>,
}

impl TenantUrl {
    /// Creates a URL from any text returned by the API; never fails.
    pub fn from_live(text: impl Into<Arc<str>>) -> Self {
        let written = text.into();
        match normalize(&written) {
            Ok(normalized) => TenantUrl::new(written, normalized),
            Err(_) => TenantUrl {
                normalized: Arc::clone(&written),
                written,
            },
        }
    }

    fn new(written: Arc<str>, normalized: String) -> Self {
        TenantUrl {
            normalized: if *written == *normalized {
                Arc::clone(&written)
            } else {
                normalized.into()
            },
            written,
        }
    }

    /// Returns the placeholder for an integration while another one takes its URL. `.invalid` never resolves (RFC 2606), and
    /// the ID makes it unique.
    pub fn placeholder(id: IntegrationId) -> Self {
        let normalized: Arc<str> = format!("https://{id}.parked.invalid").into();
        TenantUrl {
            written: Arc::clone(&normalized),
            normalized,
        }
    }

    /// Returns the URL as written.
    pub fn as_str(&self) -> &str {
        &self.written
    }

    /// Returns a warning if scores cannot arrive at this host.
    pub fn warning(&self) -> Option<TenantUrlWarning> {
        const ORGANIZATIONS: [&str; 5] = [
            ".okta.com",
            ".oktapreview.com",
            ".okta-emea.com",
            ".okta-gov.com",
            ".okta.mil",
        ];
        let host = self.host()?;
        let organization = ORGANIZATIONS.iter().find_map(|one| host.strip_suffix(one));
        match organization {
            None => Some(TenantUrlWarning::NotOkta),
            Some(organization) if organization.ends_with("-admin") => Some(TenantUrlWarning::Admin),
            Some(_) => None,
        }
    }

    /// Returns the normalized host without port, or `None` if a live value is not a valid tenant URL.
    pub fn host(&self) -> Option<String> {
        normalize(&self.written).ok()?;
        let url = Url::parse(&self.normalized).ok()?;
        url.host_str().map(str::to_owned)
    }

    /// Returns the normalized form, for comparisons and digests.
    pub fn normalized(&self) -> &str {
        &self.normalized
    }
}

impl FromStr for TenantUrl {
    type Err = ParseTenantUrlError;

    /// Parses the URL in a file: https, host and optional port.
    fn from_str(text: &str) -> Result<Self, ParseTenantUrlError> {
        Ok(TenantUrl::new(text.into(), normalize(text)?))
    }
}

fn normalize(text: &str) -> Result<String, ParseTenantUrlError> {
    // The URL standard silently strips spaces and control characters, but the URL must be sent as written.
    if text.chars().any(|c| c.is_whitespace() || c.is_control()) {
        return Err(ParseTenantUrlError::Malformed);
    }
    let url = Url::parse(text).map_err(|error| match error {
        url::ParseError::RelativeUrlWithoutBase => ParseTenantUrlError::Scheme,
        url::ParseError::EmptyHost => ParseTenantUrlError::NoHost,
        url::ParseError::InvalidPort => ParseTenantUrlError::Port,
        url::ParseError::InvalidIpv4Address | url::ParseError::InvalidIpv6Address => {
            ParseTenantUrlError::Address
        }
        url::ParseError::IdnaError | url::ParseError::InvalidDomainCharacter => {
            ParseTenantUrlError::Host
        }
        _ => ParseTenantUrlError::Malformed,
    })?;
    if url.scheme() != "https" {
        return Err(ParseTenantUrlError::Scheme);
    }
    // `https:host` and `https:\\host` parse as well, but are likely typing errors.
    let Some(rest) = text.get("https://".len()..).filter(|_| {
        text.get(..8)
            .is_some_and(|start| start.eq_ignore_ascii_case("https://"))
    }) else {
        return Err(ParseTenantUrlError::Malformed);
    };
    if rest.starts_with(['/', '\\']) || rest.is_empty() {
        return Err(ParseTenantUrlError::NoHost);
    }
    if !url.username().is_empty() || url.password().is_some() || rest.contains('@') {
        return Err(ParseTenantUrlError::UserInfo);
    }
    if url.query().is_some() {
        return Err(ParseTenantUrlError::Query);
    }
    if url.fragment().is_some() {
        return Err(ParseTenantUrlError::Fragment);
    }
    if url.path() != "/" || rest.contains('\\') || rest.trim_end_matches('/').contains('/') {
        return Err(ParseTenantUrlError::Path);
    }
    let authority = rest.trim_end_matches('/');
    if authority.starts_with('[') {
        return Err(ParseTenantUrlError::Address);
    }
    let (written_host, port) = match authority.split_once(':') {
        Some((host, port)) => (host, Some(port)),
        None => (authority, None),
    };
    if port.is_some_and(|port| port.is_empty() || port.parse() == Ok(0_u16)) {
        return Err(ParseTenantUrlError::Port);
    }
    if !is_dns_name(written_host) {
        return Err(ParseTenantUrlError::Host);
    }
    let host = url.domain().ok_or(ParseTenantUrlError::Address)?;
    Ok(match url.port() {
        Some(port) => format!("https://{host}:{port}"),
        None => format!("https://{host}"),
    })
}

/// Returns true if a host, as written, is an ASCII DNS name (RFC 1123).
///
/// The URL standard maps many other characters to ASCII, so that two hosts which look the same could differ, or different ones be equal.
fn is_dns_name(host: &str) -> bool {
    host.len() <= 253
        && host.split('.').all(|label| {
            (1..=63).contains(&label.len())
                && !label.starts_with('-')
                && !label.ends_with('-')
                && label
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
        })
}

impl fmt::Display for TenantUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.written)
    }
}

impl PartialEq for TenantUrl {
    fn eq(&self, other: &Self) -> bool {
        self.normalized == other.normalized
    }
}

impl Eq for TenantUrl {}

impl Hash for TenantUrl {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.normalized.hash(state);
    }
}

impl Serialize for TenantUrl {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.written)
    }
}

impl<'de> Deserialize<'de> for TenantUrl {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(TenantUrl::from_live)
    }
}

#[cfg(test)]
impl JsonSchema for TenantUrl {
    fn schema_name() -> Cow<'static, str> {
        "TenantUrl".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "Base URL of a tenant, as written. A live value may be any text.",
            "type": "string"
        })
    }
}

/// Reason why scores cannot arrive at a tenant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TenantUrlWarning {
    /// The host is not an Okta domain.
    NotOkta,
    /// The host is an Okta admin console.
    Admin,
}

/// Error for text that is not the base URL of a tenant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseTenantUrlError {
    /// Missing scheme, or a scheme other than https.
    #[error("the scheme must be https")]
    Scheme,
    /// Nothing after the scheme.
    #[error("the host is missing")]
    NoHost,
    /// `user:password@`.
    #[error("a user name or password is not allowed")]
    UserInfo,
    /// Anything after the host except one slash.
    #[error("a path is not allowed")]
    Path,
    /// `?…`
    #[error("a query is not allowed")]
    Query,
    /// `#…`
    #[error("a fragment is not allowed")]
    Fragment,
    /// A host with characters that are not allowed in DNS names.
    #[error("the host is not an ASCII DNS name")]
    Host,
    /// An IP address.
    #[error("the host is an IP address")]
    Address,
    /// `:0`, or a colon without a port.
    #[error("the port is not a number from 1 to 65535")]
    Port,
    /// Not a URL, such as a text with spaces.
    #[error("not a URL")]
    Malformed,
}
