//! The base URL of an Okta tenant: what one may look like, and when two are the same.

use std::borrow::Cow;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::str::FromStr;
use std::sync::Arc;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use url::Url;

use super::integration::IntegrationId;

/// The base URL of an Okta tenant: shown as written, compared normalized.
///
/// Normalized means: the host in lower case (IDNA), no default port, no trailing slash. The API may store either form
/// (`schema/api.md`, Integrations), and a live one may be something that no file could declare; that compares letter for letter.
#[derive(Clone, Debug)]
pub struct TenantUrl {
    written: Arc<str>,
    /// The very same text where it was written that way.
    normalized: Arc<str>,
}

impl TenantUrl {
    /// Takes any text that the API answered; never fails.
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

    /// The tenant of an integration for the moment that another takes its own: `.invalid` never resolves (RFC 2606), and the id makes it
    /// one integration's.
    pub fn parked(id: IntegrationId) -> Self {
        let normalized: Arc<str> = format!("https://{id}.parked.invalid").into();
        TenantUrl {
            written: Arc::clone(&normalized),
            normalized,
        }
    }

    /// The URL as it was written.
    pub fn as_str(&self) -> &str {
        &self.written
    }

    /// Why no score ever arrives at this tenant, where that can be seen in its host.
    pub fn misdirection(&self) -> Option<TenantUrlWarning> {
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

    /// The host as it is compared, without a port; `None` where a live text is not a tenant's URL.
    pub fn host(&self) -> Option<String> {
        normalize(&self.written).ok()?;
        let url = Url::parse(&self.normalized).ok()?;
        url.host_str().map(str::to_owned)
    }

    /// The form that is compared and digested.
    pub fn normalized(&self) -> &str {
        &self.normalized
    }
}

impl FromStr for TenantUrl {
    type Err = ParseTenantUrlError;

    /// Takes what a file declares: https, a host, perhaps a port, nothing else.
    fn from_str(text: &str) -> Result<Self, ParseTenantUrlError> {
        Ok(TenantUrl::new(text.into(), normalize(text)?))
    }
}

fn normalize(text: &str) -> Result<String, ParseTenantUrlError> {
    // The URL standard strips spaces and control characters silently; what is shown as written must be what is sent.
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
    // `https:host` and `https:\\host` parse as well, but are nothing a person means to write.
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

/// Whether a host is an ASCII DNS name (RFC 1123), as it is written. The URL standard maps many other characters to it, so that two hosts
/// which look alike would differ, or two which differ be the same.
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

impl JsonSchema for TenantUrl {
    fn schema_name() -> Cow<'static, str> {
        "TenantUrl".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "The base URL of a tenant, as it was written. A live one may be any text.",
            "type": "string"
        })
    }
}

/// Why no score ever arrives at a tenant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TenantUrlWarning {
    /// It is not an Okta organization.
    NotOkta,
    /// It is an organization's admin console.
    Admin,
}

/// Why a text is not the base URL of a tenant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseTenantUrlError {
    /// Another scheme than https, or none.
    #[error("the scheme must be https")]
    Scheme,
    /// Nothing after the scheme.
    #[error("the host is missing")]
    NoHost,
    /// `user:password@`.
    #[error("a user name or password does not belong in it")]
    UserInfo,
    /// Anything behind the host but one slash.
    #[error("a path does not belong in it")]
    Path,
    /// `?…`
    #[error("a query does not belong in it")]
    Query,
    /// `#…`
    #[error("a fragment does not belong in it")]
    Fragment,
    /// A host with other characters than a DNS name has.
    #[error("its host is not an ASCII DNS name")]
    Host,
    /// An IP address.
    #[error("its host is an address, not a name")]
    Address,
    /// `:0`, or a colon without a port.
    #[error("its port is not a number from 1 to 65535")]
    Port,
    /// No URL at all: a bad host or port, a space.
    #[error("it is not a URL")]
    Malformed,
}
