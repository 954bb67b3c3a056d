//! IDs, names and tenant URLs.

#[cfg(test)]
use std::borrow::Cow;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::ops::Deref;
use std::str::FromStr;
use std::sync::Arc;

#[cfg(test)]
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use url::{ParseError, Url};
use uuid::Uuid;

/// Implements the conversions of types that contain text.
macro_rules! shown_as_text {
    ($($name:ident),+) => {$(
        impl $name {
            /// Returns the text as written.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }
    )+};
}

shown_as_text!(AccountId, Name, BehaviorKey, ReferenceId, TenantUrl);

/// Implements the parsing of types that contain text.
macro_rules! parsed_text {
    ($($name:ident: $parse:expr;)+) => {$(
        impl FromStr for $name {
            type Err = &'static str;

            fn from_str(text: &str) -> Result<Self, &'static str> {
                $parse(text)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = String::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    )+};
}

parsed_text! {
    AccountId: |text: &str| {
        let is_valid = text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        let id = || AccountId(text.to_ascii_lowercase().into());
        is_valid.then(id).ok_or("expected 32 hexadecimal digits")
    };
    Name: |text: &str| {
        let is_valid = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
        let is_valid = !text.is_empty() && text.bytes().all(is_valid);
        is_valid.then(|| Name(text.into())).ok_or("use one or more of A-Z, a-z, 0-9, `_` and `-`")
    };
    BehaviorKey: |text: &str| Ok(BehaviorKey::new(text));
    ReferenceId: |text: &str| ReferenceId::new(text).ok_or("reference_id must not be empty");
}

/// ID of a Cloudflare account: 32 lower-case hexadecimal digits.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[cfg_attr(test, derive(JsonSchema))]
#[serde(transparent)]
pub struct AccountId(#[cfg_attr(test, schemars(regex(pattern = "^[0-9a-f]{32}$")))] Arc<str>);

impl AccountId {
    /// Returns the first eight and the last four digits, for headings.
    pub fn abbreviated(&self) -> String {
        format!("{}…{}", &self.0[..8], &self.0[28..])
    }
}

/// Name of an account or integration in files (`[A-Za-z0-9_-]+`). It is not sent to Cloudflare.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[cfg_attr(test, derive(JsonSchema))]
#[serde(transparent)]
pub struct Name(#[cfg_attr(test, schemars(regex(pattern = "^[A-Za-z0-9_-]+$")))] Arc<str>);

/// Name of a behavior, such as `imp_travel`.
///
/// Any text is valid, because Cloudflare adds behaviors over time and does not publish their names.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[cfg_attr(test, derive(JsonSchema))]
#[serde(transparent)]
pub struct BehaviorKey(String);

impl BehaviorKey {
    /// Creates a key from text of the API or a file, without validation.
    pub fn new(key: impl Into<String>) -> Self {
        BehaviorKey(key.into())
    }
}

/// Reference of an integration: the ID of the Access identity provider for the tenant, or a generated reference.
///
/// Never empty. The API accepts any other string. UUIDs are compared without regard to letter case.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
#[cfg_attr(test, derive(JsonSchema))]
#[serde(transparent)]
pub struct ReferenceId(#[cfg_attr(test, schemars(length(min = 1), with = "String"))] Normalized);

impl ReferenceId {
    /// Creates a reference. Returns `None` for the empty string, which the API may return for an unset reference.
    pub fn new(text: impl Into<Arc<str>>) -> Option<Self> {
        let written = text.into();
        let is_uuid = written.len() == 36 && Uuid::try_parse(&written).is_ok();
        let normalized = match is_uuid {
            true => written.to_ascii_lowercase().into(),
            false => Arc::clone(&written),
        };
        let text = Normalized::new(written, normalized);
        (!text.is_empty()).then_some(ReferenceId(text))
    }

    /// Returns the form for comparisons: a UUID in lower case, any other text unchanged.
    pub fn normalized(&self) -> &str {
        &self.0.normalized
    }
}

/// Base URL of an Okta tenant: shown as written, compared in normalized form.
///
/// Normalized means: the host in lower case (IDNA), no default port, no trailing slash. The API may store either form (`schema/api.md`,
/// Integrations). A live value that is not a valid tenant URL is compared as text.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(transparent)]
pub struct TenantUrl(Normalized);

impl TenantUrl {
    /// Creates a URL from any text returned by the API; never fails.
    pub fn from_live(text: impl Into<Arc<str>>) -> Self {
        let written = text.into();
        let normalized = normalize(&written).map_or_else(|_| Arc::clone(&written), Arc::from);
        TenantUrl(Normalized::new(written, normalized))
    }

    /// Returns the placeholder for an integration while another one takes its URL. `.invalid` never resolves (RFC 2606), and
    /// the ID makes it unique.
    pub fn placeholder(id: IntegrationId) -> Self {
        TenantUrl::from_live(format!("https://{id}.parked.invalid"))
    }

    /// Returns the part of the host before Okta's domain, or `None` for other domains.
    pub fn organization(&self) -> Option<String> {
        const DOMAINS: [&str; 5] = [
            ".okta.com",
            ".oktapreview.com",
            ".okta-emea.com",
            ".okta-gov.com",
            ".okta.mil",
        ];
        let host = self.host()?;
        let organization = DOMAINS.iter().find_map(|domain| host.strip_suffix(domain));
        organization.map(str::to_owned)
    }

    /// Returns the normalized host without port, or `None` if a live value is not a valid tenant URL.
    pub fn host(&self) -> Option<String> {
        let url = normalize(&self.0).ok()?;
        let authority = url.strip_prefix("https://")?;
        authority.split(':').next().map(str::to_owned)
    }

    /// Returns the normalized form, for comparisons and digests.
    pub fn normalized(&self) -> &str {
        &self.0.normalized
    }
}

impl FromStr for TenantUrl {
    type Err = &'static str;

    /// Parses the URL in a file: https, host and optional port.
    fn from_str(text: &str) -> Result<Self, &'static str> {
        let normalized = normalize(text)?.into();
        Ok(TenantUrl(Normalized::new(text.into(), normalized)))
    }
}

fn normalize(text: &str) -> Result<String, &'static str> {
    const SCHEME: &str = "the scheme must be https";
    const NO_HOST: &str = "the host is missing";
    const HOST: &str = "the host is not an ASCII DNS name";
    const ADDRESS: &str = "the host is an IP address";
    const PORT: &str = "the port is not a number from 1 to 65535";
    const MALFORMED: &str = "not a URL";
    // The URL standard silently strips spaces and control characters, but the URL must be sent as written.
    if text.chars().any(|c| c.is_whitespace() || c.is_control()) {
        return Err(MALFORMED);
    }
    let url = Url::parse(text).map_err(|error| match error {
        ParseError::RelativeUrlWithoutBase => SCHEME,
        ParseError::EmptyHost => NO_HOST,
        ParseError::InvalidPort => PORT,
        ParseError::InvalidIpv4Address | ParseError::InvalidIpv6Address => ADDRESS,
        ParseError::IdnaError | ParseError::InvalidDomainCharacter => HOST,
        _ => MALFORMED,
    })?;
    if url.scheme() != "https" {
        return Err(SCHEME);
    }
    // `https:host` and `https:\\host` parse as well, but are likely typing errors.
    let (scheme, rest) = text.split_at_checked(8).unwrap_or_default();
    let authority = rest.trim_end_matches('/');
    let (host, port) = match authority.split_once(':') {
        Some((host, port)) => (host, port),
        None => (authority, "443"),
    };
    let has_user = !url.username().is_empty() || url.password().is_some() || rest.contains('@');
    let has_path = url.path() != "/" || authority.contains(['/', '\\']);
    let wrong = [
        (!scheme.eq_ignore_ascii_case("https://"), MALFORMED),
        (rest.is_empty() || rest.starts_with(['/', '\\']), NO_HOST),
        (has_user, "a user name or password is not allowed"),
        (url.query().is_some(), "a query is not allowed"),
        (url.fragment().is_some(), "a fragment is not allowed"),
        (has_path, "a path is not allowed"),
        (host.starts_with('['), ADDRESS),
        (port.is_empty() || port.parse() == Ok(0_u16), PORT),
        (!is_dns_name(host), HOST),
    ];
    if let Some((_, message)) = wrong.iter().find(|(is_wrong, _)| *is_wrong) {
        return Err(message);
    }
    let host = url.domain().ok_or(ADDRESS)?;
    let port = url.port().map(|port| format!(":{port}"));
    Ok(format!("https://{host}{}", port.unwrap_or_default()))
}

/// Returns true if a host, as written, is an ASCII DNS name (RFC 1123).
///
/// The URL standard maps many other characters to ASCII, so that two hosts which look the same could differ, or different ones be equal.
fn is_dns_name(host: &str) -> bool {
    let is_label = |label: &str| {
        let is_word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        let is_framed = label.starts_with('-') || label.ends_with('-');
        (1..=63).contains(&label.len()) && !is_framed && label.bytes().all(is_word)
    };
    host.len() <= 253 && host.split('.').all(is_label)
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

/// Text that is shown as written and compared in normalized form.
#[derive(Clone, Debug)]
struct Normalized {
    written: Arc<str>,
    /// Shares `written` if both are equal.
    normalized: Arc<str>,
}

impl Normalized {
    fn new(written: Arc<str>, normalized: Arc<str>) -> Self {
        let written = match written == normalized {
            true => Arc::clone(&normalized),
            false => written,
        };
        Normalized {
            written,
            normalized,
        }
    }
}

impl Deref for Normalized {
    type Target = str;

    fn deref(&self) -> &str {
        &self.written
    }
}

impl PartialEq for Normalized {
    fn eq(&self, other: &Self) -> bool {
        self.normalized == other.normalized
    }
}

impl Eq for Normalized {}

impl Hash for Normalized {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.normalized.hash(state);
    }
}

impl Serialize for Normalized {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.written.serialize(serializer)
    }
}

/// Implements the conversions of types that contain a UUID.
macro_rules! uuid_types {
    ($($(#[$attribute:meta])* $name:ident;)+) => {$(
        $(#[$attribute])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[cfg_attr(test, derive(JsonSchema))]
        #[serde(transparent)]
        pub struct $name(Uuid);

        impl From<Uuid> for $name {
            fn from(id: Uuid) -> Self {
                $name(id)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = uuid::Error;

            fn from_str(text: &str) -> Result<Self, uuid::Error> {
                text.parse().map($name)
            }
        }
    )+};
}

uuid_types! {
    /// ID of an integration: a UUID assigned by the API.
    IntegrationId;
    /// ID of a Zero Trust user: always a UUID, so it cannot be confused with other path segments.
    UserId;
}

impl IntegrationId {
    /// Returns the first eight digits.
    pub fn abbreviated(self) -> String {
        format!("{}…", &self.0.to_string()[..8])
    }
}
