//! The SSF document behind an integration's `well_known_url`, held against OpenID SSF 1.0 rule by rule:
//! Okta takes no score from a transmitter that breaks one.
//!
//! Nobody published what Cloudflare's document holds, so a broken rule is a warning. No Cloudflare token comes near these requests:
//! they are built here, from nothing but the URL.

use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_TYPE, LOCATION};
use http::{Request, Response};
use serde_json::{Map, Value};
use url::Url;

use crate::api::Transport;
use crate::model::open_enum::string_enum;
use crate::model::text::one_line;

use super::finding::Finding;

/// Real documents are a few hundred bytes, real key sets a few thousand.
const LARGEST: usize = 256 * 1024;

/// How many characters of a text of theirs are shown.
const LONGEST_TEXT: usize = 200;

/// Push delivery, as the standard names it and as its draft did.
const PUSH: [&str; 2] = [
    "urn:ietf:rfc:8935",
    "https://schemas.openid.net/secevent/risc/delivery-method/push",
];

string_enum! {
    /// The rules, by their stable ids, in the order in which one thing needs the other.
    SsfRule {
        /// The URL is https, and a well-known one.
        Url = "ssf.url",
        /// 200, and no redirect.
        Answer = "ssf.answer",
        /// `application/json`
        ContentType = "ssf.content_type",
        /// One JSON object of a reasonable size.
        Object = "ssf.object",
        /// No member is an empty array.
        EmptyArrays = "ssf.empty_arrays",
        /// The issuer is there, and an https URL.
        Issuer = "ssf.issuer",
        /// The issuer has neither query nor fragment.
        IssuerPlain = "ssf.issuer_plain",
        /// The issuer is the one that the URL was made from.
        IssuerMatches = "ssf.issuer_matches",
        /// `jwks_uri` is there, and https.
        JwksUri = "ssf.jwks_uri",
        /// Push is among the delivery methods, where they are named.
        Delivery = "ssf.delivery",
        /// Every endpoint is https.
        Endpoints = "ssf.endpoints",
        /// The keys: 200, and no redirect.
        KeysAnswer = "ssf.keys_answer",
        /// The keys: `application/json`
        KeysContentType = "ssf.keys_content_type",
        /// The keys: a set of a reasonable size.
        KeysObject = "ssf.keys_object",
        /// The keys: an RSA key for RS256 signatures, with an id.
        KeysSigning = "ssf.keys_signing",
    }
}

/// How one rule stands.
pub type SsfFinding = Finding<SsfRule>;

/// Where requests go.
#[derive(Clone, Debug)]
pub enum Destination {
    /// To the host that the URL names, over https.
    Named,
    /// To this origin, which stands in for it: a simulated API's own.
    StandIn(Url),
}

/// Asks for the document behind a URL, and for its keys, and holds both against every rule that can be judged.
pub async fn inspect(
    transport: &Transport,
    destination: &Destination,
    well_known_url: &str,
) -> Vec<SsfFinding> {
    let mut findings = Findings::default();
    let Some(url) = judge_url(well_known_url, &mut findings) else {
        return findings.0;
    };
    let answer = fetch(transport, destination, &url).await;
    let rules = [SsfRule::Answer, SsfRule::ContentType, SsfRule::Object];
    let Some(document) = judge_answer(answer, rules, &mut findings) else {
        return findings.0;
    };
    let Some(keys_url) = judge_configuration(&url, &document, &mut findings) else {
        return findings.0;
    };
    let answer = fetch(transport, destination, &keys_url).await;
    let rules = [
        SsfRule::KeysAnswer,
        SsfRule::KeysContentType,
        SsfRule::KeysObject,
    ];
    if let Some(keys) = judge_answer(answer, rules, &mut findings) {
        judge_keys(&keys, &mut findings);
    }
    findings.0
}

#[derive(Default)]
struct Findings(Vec<SsfFinding>);

impl Findings {
    fn judge(&mut self, rule: SsfRule, verdict: Result<String, String>) {
        self.0.push(match verdict {
            Ok(message) => Finding::pass(rule, message),
            Err(message) => Finding::warn(rule, message),
        });
    }
}

fn judge_url(text: &str, findings: &mut Findings) -> Option<Url> {
    let url = Url::parse(text).ok().filter(|url| {
        url.scheme() == "https"
            && url.host_str().is_some()
            && url.username().is_empty()
            && url.password().is_none()
            && issuer_of(url).is_some()
    });
    findings.judge(
        SsfRule::Url,
        match &url {
            Some(url) => Ok(url.to_string()),
            None => Err(format!(
                "{} is not an https URL with /.well-known/ and a name behind its host",
                shown(text)
            )),
        },
    );
    url
}

/// The issuer that a well-known URL was made from: `/.well-known/NAME` cut out between host and path.
fn issuer_of(url: &Url) -> Option<String> {
    let rest = url.path().strip_prefix("/.well-known/")?;
    let (name, path) = match rest.split_once('/') {
        Some((name, path)) => (name, format!("/{path}")),
        None => (rest, String::new()),
    };
    let origin = url.origin().ascii_serialization();
    (!name.is_empty()).then(|| format!("{origin}{path}"))
}

async fn fetch(
    transport: &Transport,
    destination: &Destination,
    url: &Url,
) -> Result<Response<Bytes>, String> {
    let target = match destination {
        Destination::Named => url.clone(),
        Destination::StandIn(origin) => {
            let mut target = origin.clone();
            target.set_path(url.path());
            target.set_query(url.query());
            target
        }
    };
    let request = Request::get(target.as_str())
        .header(ACCEPT, "application/json")
        .body(Bytes::new())
        .map_err(|error| error.to_string())?;
    let answer = transport.send(request).await;
    answer.map_err(|error| error.to_string())
}

/// Judges what both documents must keep to, and takes out the object.
fn judge_answer(
    answer: Result<Response<Bytes>, String>,
    [answered, content_type, object]: [SsfRule; 3],
    findings: &mut Findings,
) -> Option<Map<String, Value>> {
    let answer = match answer {
        Ok(answer) => answer,
        Err(error) => {
            findings.judge(answered, Err(shown(&error)));
            return None;
        }
    };
    let header = |name| answer.headers().get(name)?.to_str().ok();
    let status = answer.status();
    if status.is_redirection() {
        let target = shown(header(LOCATION).unwrap_or("nowhere"));
        let message = format!("{status}, a redirect to {target}, which is never followed");
        findings.judge(answered, Err(message));
        return None;
    }
    if status != http::StatusCode::OK {
        findings.judge(answered, Err(format!("{status}, where 200 is asked for")));
        return None;
    }
    findings.judge(answered, Ok(status.to_string()));
    let found = header(CONTENT_TYPE).unwrap_or("none");
    let is_json = found
        .split(';')
        .next()
        .is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/json"));
    findings.judge(
        content_type,
        match is_json {
            true => Ok(shown(found)),
            false => Err(format!(
                "{}, where application/json is asked for",
                shown(found)
            )),
        },
    );
    let body = answer.body();
    if body.len() > LARGEST {
        let message = format!(
            "{} bytes, more than the {LARGEST} that are read",
            body.len()
        );
        findings.judge(object, Err(message));
        return None;
    }
    match serde_json::from_slice::<Value>(body) {
        Ok(Value::Object(members)) => {
            findings.judge(object, Ok(format!("a JSON object of {} bytes", body.len())));
            Some(members)
        }
        Ok(_) => {
            findings.judge(object, Err("JSON that is not an object".to_owned()));
            None
        }
        Err(_) => {
            findings.judge(object, Err("not JSON".to_owned()));
            None
        }
    }
}

/// Judges the configuration; answers where its keys stand, if that can be asked.
fn judge_configuration(
    url: &Url,
    document: &Map<String, Value>,
    findings: &mut Findings,
) -> Option<Url> {
    let empty = document
        .iter()
        .filter(|(_, value)| value.as_array().is_some_and(Vec::is_empty));
    let empty: Vec<String> = empty.map(|(name, _)| shown(name)).collect();
    findings.judge(
        SsfRule::EmptyArrays,
        match empty.is_empty() {
            true => Ok("none".to_owned()),
            false => Err(format!(
                "{} must be left out rather than empty",
                empty.join(", ")
            )),
        },
    );
    judge_issuer(url, document, findings);
    let keys_url = https_url(document.get("jwks_uri"));
    findings.judge(
        SsfRule::JwksUri,
        match &keys_url {
            Ok(url) => Ok(shown(url.as_str())),
            Err(problem) => Err(format!(
                "jwks_uri {problem}, and Okta needs it to check signatures"
            )),
        },
    );
    findings.judge(SsfRule::Delivery, delivery(document));
    let endpoints = document
        .iter()
        .filter(|(name, _)| name.ends_with("_endpoint"));
    let wrong: Vec<String> = endpoints
        .filter_map(|(name, value)| {
            let problem = https_url(Some(value)).err()?;
            Some(format!("{} {problem}", shown(name)))
        })
        .collect();
    findings.judge(
        SsfRule::Endpoints,
        match wrong.is_empty() {
            true => Ok("https, as far as there are any".to_owned()),
            false => Err(wrong.join(", ")),
        },
    );
    keys_url.ok()
}

fn judge_issuer(url: &Url, document: &Map<String, Value>, findings: &mut Findings) {
    let issuer = document.get("issuer").and_then(Value::as_str);
    let parsed = https_url(document.get("issuer"));
    findings.judge(
        SsfRule::Issuer,
        match &parsed {
            Ok(_) => Ok(shown(issuer.unwrap_or_default())),
            Err(problem) => Err(format!("issuer {problem}")),
        },
    );
    let Some(issuer) = issuer else {
        return;
    };
    if let Ok(parsed) = &parsed {
        let plain = parsed.query().is_none() && parsed.fragment().is_none();
        findings.judge(
            SsfRule::IssuerPlain,
            match plain {
                true => Ok("neither query nor fragment".to_owned()),
                false => Err(format!("{} has a query or a fragment", shown(issuer))),
            },
        );
    }
    let expected = issuer_of(url).unwrap_or_default();
    findings.judge(
        SsfRule::IssuerMatches,
        match issuer == expected {
            true => Ok("the one that the URL was made from".to_owned()),
            false => Err(format!(
                "{} is not {expected}, which the URL was made from",
                shown(issuer)
            )),
        },
    );
}

fn delivery(document: &Map<String, Value>) -> Result<String, String> {
    let Some(methods) = document.get("delivery_methods_supported") else {
        return Ok("not named, which is allowed; Okta takes push only".to_owned());
    };
    let methods = methods.as_array().into_iter().flatten();
    let pushes = methods
        .filter_map(Value::as_str)
        .any(|method| PUSH.contains(&method));
    match pushes {
        true => Ok("push".to_owned()),
        false => {
            Err("delivery_methods_supported lacks push, and Okta takes nothing else".to_owned())
        }
    }
}

fn judge_keys(keys: &Map<String, Value>, findings: &mut Findings) {
    let keys = keys.get("keys").and_then(Value::as_array);
    let signs = |key: &&Value| {
        let is = |name: &str, wanted: &str| key[name] == wanted;
        let is_or_absent = |name: &str, wanted: &str| key.get(name).is_none() || is(name, wanted);
        is("kty", "RSA") && is_or_absent("use", "sig") && is_or_absent("alg", "RS256")
    };
    let signing: Vec<&Value> = keys.into_iter().flatten().filter(signs).collect();
    let named = signing
        .iter()
        .filter(|key| key["kid"].as_str().is_some_and(|kid| !kid.is_empty()));
    findings.judge(
        SsfRule::KeysSigning,
        match (keys, signing.len(), named.count()) {
            (None, _, _) => Err("there is no list of keys".to_owned()),
            (Some(_), 0, _) => {
                Err("no RSA key for RS256 signatures, and Okta takes no other".to_owned())
            }
            (Some(_), _, 0) => Err("the RSA key has no kid".to_owned()),
            (Some(_), _, named) => Ok(format!("RSA keys for RS256 signatures: {named}")),
        },
    );
}

fn https_url(value: Option<&Value>) -> Result<Url, String> {
    let Some(value) = value else {
        return Err("is missing".to_owned());
    };
    let Some(url) = value.as_str().and_then(|text| Url::parse(text).ok()) else {
        return Err("is not a URL".to_owned());
    };
    match url.scheme() {
        "https" => Ok(url),
        other => Err(format!("is {other}, where https is asked for")),
    }
}

/// One of their texts, safe to show.
fn shown(text: &str) -> String {
    let line = one_line(text);
    match line.char_indices().nth(LONGEST_TEXT) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line.to_string(),
    }
}
