//! Parses the envelope of a response, `{success, errors[], messages[], result}`, and classifies errors.

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderName, LOCATION};
use http::{Response, StatusCode};
use serde::de::{DeserializeOwned, IgnoredAny};
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};

use crate::model::null_is_default;
use crate::model::text::is_invisible;

use super::endpoint::Endpoint;
use super::error::{ApiMessage, ErrorKind};

/// Maximum length of a response excerpt in an error.
const MAX_EXCERPT_CHARS: usize = 120;

/// Maximum length of a server message in an error.
const MAX_TEXT_CHARS: usize = 500;

/// Maximum number of messages of a response in an error, and of causes of each.
const MAX_MESSAGES: usize = 5;

/// Paging information from `result_info`; unreadable fields are `None`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct ResultInfo {
    pub(super) page: Option<u64>,
    pub(super) per_page: Option<u64>,
    /// Number of items on this page.
    pub(super) count: Option<u64>,
    total_count: Option<u64>,
    total_pages: Option<u64>,
    /// Cursor of the next page of a log.
    pub(super) cursor: Option<String>,
}

impl ResultInfo {
    /// Returns true if a total is known.
    pub(super) fn has_totals(&self) -> bool {
        self.total_count.is_some() || self.total_pages.is_some()
    }

    /// Returns true if the list has more than `held` items or `pages` pages.
    pub(super) fn has_more(&self, held: usize, pages: u64) -> bool {
        self.total_count.is_some_and(|total| total > held as u64)
            || self.total_pages.is_some_and(|total| total > pages)
    }
}

/// The envelope of a successful response.
#[derive(Deserialize)]
#[serde(bound = "T: DeserializeOwned")]
pub(super) struct Envelope<T> {
    success: bool,
    #[serde(default, deserialize_with = "null_is_default")]
    errors: Vec<Map<String, Value>>,
    /// `None` if it is missing, `Some(None)` for `null`.
    #[serde(default = "Option::default", deserialize_with = "present")]
    pub(super) result: Option<Option<T>>,
    #[serde(default, deserialize_with = "pages")]
    pub(super) result_info: ResultInfo,
}

fn present<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
) -> Result<Option<Option<T>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

fn pages<'de, D: Deserializer<'de>>(deserializer: D) -> Result<ResultInfo, D::Error> {
    let info = Value::deserialize(deserializer)?;
    let number = |name: &str| match &info[name] {
        Value::String(text) => text.parse().ok(),
        value => value.as_u64(),
    };
    Ok(ResultInfo {
        page: number("page"),
        per_page: number("per_page"),
        count: number("count"),
        total_count: number("total_count"),
        total_pages: number("total_pages"),
        // The API documentation and Cloudflare's generated clients use different fields.
        cursor: [info.get("cursor"), info.pointer("/cursors/after")]
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .find(|cursor| !cursor.is_empty())
            .map(str::to_owned),
    })
}

/// Parses the envelope of a response. `redact` removes the credentials from a text.
///
/// Known error codes decide the kind, the status only if there is none: the API sends one code with several statuses (`schema/api.md`,
/// Refusals). A 4xx without an envelope is unexpected, because a proxy's 404 must not look like a deleted integration.
pub(super) fn parse_response<T: DeserializeOwned>(
    endpoint: Endpoint,
    response: &Response<Bytes>,
    redact: impl Fn(&str) -> String,
) -> Result<Envelope<T>, (ErrorKind, Vec<ApiMessage>)> {
    let (status, body) = (response.status(), response.body());
    if status.is_success()
        && let Ok(envelope) = serde_json::from_slice::<Envelope<T>>(body)
        && envelope.success
    {
        return Ok(envelope);
    }
    let text = |text: &str, longest| one_line(&redact(text), longest);
    let excerpt = || {
        // Longer than the excerpt, so that a secret at its end is complete and gets redacted.
        let beginning = String::from_utf8_lossy(&body[..body.len().min(64 * MAX_EXCERPT_CHARS)]);
        let line = text(&beginning, MAX_EXCERPT_CHARS);
        (!line.is_empty() && !endpoint.has_sensitive_response()).then_some(line)
    };
    let unexpected = |problem: &str| ErrorKind::UnexpectedResponse {
        problem: text(problem, MAX_TEXT_CHARS),
        excerpt: excerpt(),
    };
    let envelope = serde_json::from_slice::<Envelope<IgnoredAny>>(body).ok();
    let messages = envelope.map(|envelope| {
        let errors = envelope.errors.into_iter().take(MAX_MESSAGES);
        let clean = |raw: &str| text(raw, MAX_TEXT_CHARS);
        let messages = errors.map(|error| message(&Value::Object(error), &clean, true));
        messages.collect::<Vec<ApiMessage>>()
    });
    let kind = match &messages {
        _ if status == StatusCode::TOO_MANY_REQUESTS => ErrorKind::RateLimited,
        Some(_) if status.is_server_error() => ErrorKind::ServerError { excerpt: None },
        None if status.is_server_error() => ErrorKind::ServerError { excerpt: excerpt() },
        _ if status.is_success() => unexpected(&diagnose::<T>(endpoint, response)),
        _ if status.is_redirection() => {
            let target = header(response, LOCATION).unwrap_or("nowhere");
            unexpected(&format!(
                "a redirect to {target} (redirects are not followed)"
            ))
        }
        Some(messages) => classify_client_error(endpoint, status, messages),
        None => unexpected(&no_envelope(response)),
    };
    Err((kind, messages.unwrap_or_default()))
}

/// Returns the kind of a 4xx response with an envelope.
fn classify_client_error(
    endpoint: Endpoint,
    status: StatusCode,
    messages: &[ApiMessage],
) -> ErrorKind {
    let by_code = messages.iter().find_map(|message| match message.code {
        9106 | 6003 => Some(ErrorKind::Credentials),
        9109 if message.text.contains("requested resource") => Some(ErrorKind::Permission),
        9109 => Some(ErrorKind::Credentials),
        1000 | 1001 if endpoint == Endpoint::VerifyToken => Some(ErrorKind::Credentials),
        10000 => Some(ErrorKind::CredentialsOrPermission),
        3314 => Some(ErrorKind::Entitlement),
        7003 => Some(ErrorKind::UnknownRoute),
        971 | 10100 => Some(ErrorKind::RateLimited),
        _ => None,
    });
    by_code.unwrap_or(match status {
        StatusCode::UNAUTHORIZED => ErrorKind::Credentials,
        StatusCode::FORBIDDEN => ErrorKind::Permission,
        StatusCode::NOT_FOUND => ErrorKind::NotFound,
        _ => ErrorKind::Rejected,
    })
}

/// Describes a response with a success status that is no success.
fn diagnose<T: DeserializeOwned>(endpoint: Endpoint, response: &Response<Bytes>) -> String {
    let body = response.body();
    match serde_json::from_slice::<Envelope<IgnoredAny>>(body) {
        Ok(envelope) if !envelope.success => "a success status with success: false".to_owned(),
        Err(error) if error.is_eof() && !body.is_empty() => "a truncated response".to_owned(),
        Err(_) => no_envelope(response),
        Ok(_) => {
            // Valid bodies are parsed once, without tracking the path.
            let mut json = serde_json::Deserializer::from_slice(body);
            match serde_path_to_error::deserialize::<_, Envelope<T>>(&mut json) {
                // The error may quote personal data.
                Err(error) if endpoint.has_sensitive_response() => {
                    format!("a different shape at {}", error.path())
                }
                Err(error) => format!("a different shape at {}: {}", error.path(), error.inner()),
                Ok(_) => no_envelope(response),
            }
        }
    }
}

fn no_envelope(response: &Response<Bytes>) -> String {
    match header(response, CONTENT_TYPE) {
        Some(content_type) => {
            format!("a response of type {content_type} that is not from the Cloudflare API")
        }
        None => "a response that is not from the Cloudflare API".to_owned(),
    }
}

fn header(response: &Response<Bytes>, name: HeaderName) -> Option<&str> {
    response.headers().get(name)?.to_str().ok()
}

/// Returns a message, and its causes. `clean` bounds and sanitizes a text.
fn message(error: &Value, clean: &impl Fn(&str) -> String, has_causes: bool) -> ApiMessage {
    let member = |pointer: &str| error.pointer(pointer).and_then(Value::as_str).map(clean);
    let code = error["code"].as_i64().unwrap_or_default();
    let mut text = format!("{} (code {code}", member("/message").unwrap_or_default());
    for (link, pointer) in [("at", "/source/pointer"), ("see", "/documentation_url")] {
        text += &member(pointer).map_or_else(String::new, |value| format!(", {link} {value}"));
    }
    let causes = error["error_chain"].as_array().filter(|_| has_causes);
    let causes = causes.into_iter().flatten().take(MAX_MESSAGES);
    let causes: Vec<String> = causes.map(|one| message(one, clean, false).text).collect();
    text += if causes.is_empty() { ")" } else { "): " };
    text += &causes.join(", ");
    ApiMessage { code, text }
}

/// Returns a text in one line that is safe to print: invisible characters become spaces, runs of spaces become one, and a long text ends
/// in an ellipsis.
fn one_line(text: &str, longest: usize) -> String {
    let strange = |c: char| c.is_whitespace() || is_invisible(c);
    let words: Vec<&str> = text
        .split(strange)
        .filter(|word| !word.is_empty())
        .collect();
    let line = words.join(" ");
    match line.char_indices().nth(longest) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn opened(
        operation: Endpoint,
        status: u16,
        body: &str,
    ) -> Result<Option<Option<Value>>, (ErrorKind, Vec<ApiMessage>)> {
        let answer = Response::builder()
            .status(status)
            .header(CONTENT_TYPE, "text/html")
            .header(LOCATION, "https://elsewhere.example/")
            .body(Bytes::copy_from_slice(body.as_bytes()))
            .unwrap();
        parse_response(operation, &answer, |text| text.replace("canary", "***"))
            .map(|envelope| envelope.result)
    }

    fn refused(code: i64) -> String {
        format!(
            r#"{{"success":false,"errors":[{{"code":{code},"message":"no"}}],"messages":[],"result":null}}"#
        )
    }

    #[test]
    fn messages_of_an_error_are_bounded() {
        let cause = serde_json::json!({ "code": 1, "message": "m".repeat(1_000) });
        let mut error = cause.clone();
        error["error_chain"] = serde_json::json!(vec![cause; 50]);
        let body =
            serde_json::json!({ "success": false, "errors": vec![error; 20], "result": null });
        let refused = opened(Endpoint::ReadBehaviors, 400, &body.to_string()).unwrap_err();
        let shown: String = refused.1.into_iter().map(|message| message.text).collect();
        assert!(
            shown.contains("mmm") && shown.len() < 20_000,
            "{}",
            shown.len()
        );
    }

    #[test]
    fn known_code_or_else_status_gives_the_kind() {
        const HTML: &str = "<html><body>\n  Oh no\u{1b}[31m canary\u{202e}</body></html>";
        let html = Some("<html><body> Oh no [31m *** </body></html>".to_owned());
        let strange = |problem: &str, excerpt: &Option<String>| ErrorKind::UnexpectedResponse {
            problem: problem.to_owned(),
            excerpt: excerpt.clone(),
        };
        let no_envelope = "a response of type text/html that is not from the Cloudflare API";
        for (status, body, kind) in [
            (401, refused(1), ErrorKind::Credentials),
            (401, refused(10000), ErrorKind::CredentialsOrPermission),
            (400, refused(10000), ErrorKind::CredentialsOrPermission),
            (403, refused(10000), ErrorKind::CredentialsOrPermission),
            (400, refused(6003), ErrorKind::Credentials),
            (401, refused(9109), ErrorKind::Credentials),
            (400, refused(1001), ErrorKind::Rejected),
            (403, refused(1), ErrorKind::Permission),
            (403, refused(3314), ErrorKind::Entitlement),
            (404, refused(7003), ErrorKind::UnknownRoute),
            (400, refused(971), ErrorKind::RateLimited),
            (404, r#"{"success":false}"#.to_owned(), ErrorKind::NotFound),
            (409, refused(1), ErrorKind::Rejected),
            (429, refused(971), ErrorKind::RateLimited),
            (429, HTML.to_owned(), ErrorKind::RateLimited),
            (500, refused(1), ErrorKind::ServerError { excerpt: None }),
            (
                502,
                HTML.to_owned(),
                ErrorKind::ServerError {
                    excerpt: html.clone(),
                },
            ),
            (503, String::new(), ErrorKind::ServerError { excerpt: None }),
            (403, HTML.to_owned(), strange(no_envelope, &html)),
            (404, HTML.to_owned(), strange(no_envelope, &html)),
            (
                404,
                "[]".to_owned(),
                strange(no_envelope, &Some("[]".to_owned())),
            ),
            (
                302,
                String::new(),
                strange(
                    "a redirect to https://elsewhere.example/ (redirects are not followed)",
                    &None,
                ),
            ),
            (200, HTML.to_owned(), strange(no_envelope, &html)),
            (204, String::new(), strange(no_envelope, &None)),
            (
                200,
                r#"{"success":true,"err"#.to_owned(),
                strange(
                    "a truncated response",
                    &Some(r#"{"success":true,"err"#.to_owned()),
                ),
            ),
            (
                200,
                refused(1),
                strange("a success status with success: false", &Some(refused(1))),
            ),
            (
                200,
                r#"{"success":true} {"success":true}"#.to_owned(),
                strange(
                    no_envelope,
                    &Some(r#"{"success":true} {"success":true}"#.to_owned()),
                ),
            ),
        ] {
            let fault = opened(Endpoint::ReadBehaviors, status, &body).unwrap_err();
            assert_eq!(fault.0, kind, "{status} {body}");
        }
    }

    #[test]
    fn missing_results_and_errors_are_accepted() {
        for (body, result) in [
            (
                r#"{"success":true,"errors":[],"messages":[],"result":7}"#,
                Some(Some(7.into())),
            ),
            (
                r#"{"success":true,"errors":null,"messages":null,"result":7}"#,
                Some(Some(7.into())),
            ),
            (r#"{"success":true,"result":null}"#, Some(None)),
            (r#"{"success":true}"#, None),
        ] {
            let value = opened(Endpoint::DeleteIntegration, 200, body).ok().unwrap();
            assert_eq!(value, result, "{body}");
        }
    }

    #[test]
    fn messages_are_redacted_and_sanitized() {
        let body = r#"{"success":false,"result":null,"messages":[],"errors":[
            {"code":1001,"message":"bad\u001b[2J \n canary","documentation_url":"https://d.example","source":{"pointer":"/a/b"},
             "error_chain":[{"code":6102,"message":"one"},{"code":6103,"message":"canary"}]},
            {"message":"bare"}]}"#;
        let messages = opened(Endpoint::CreateIntegration, 400, body)
            .unwrap_err()
            .1;
        let shown: Vec<_> = messages.into_iter().map(|message| message.text).collect();
        assert_eq!(
            shown,
            [
                "bad [2J *** (code 1001, at /a/b, see https://d.example): one (code 6102), *** (code 6103)",
                "bare (code 0)"
            ]
        );
    }

    #[test]
    fn wrong_shape_is_described_without_personal_data() {
        #[derive(Debug, Deserialize)]
        struct Shape {
            #[serde(rename = "enabled")]
            _enabled: bool,
        }
        let body =
            r#"{"success":true,"errors":[],"messages":[],"result":{"enabled":"ann@example.com"}}"#;
        let kind = |operation| {
            let answer = Response::new(Bytes::from_static(body.as_bytes()));
            parse_response::<Shape>(operation, &answer, str::to_owned)
                .err()
                .unwrap()
                .0
        };
        let ErrorKind::UnexpectedResponse { problem, excerpt } = kind(Endpoint::ReadBehaviors)
        else {
            panic!("not unexpected");
        };
        assert_eq!(
            problem,
            "a different shape at result.enabled: invalid type: string \"ann@example.com\", expected a boolean at line 1 column 79"
        );
        assert_eq!(excerpt.as_deref(), Some(body));
        assert_eq!(
            kind(Endpoint::ReadUser),
            ErrorKind::UnexpectedResponse {
                problem: "a different shape at result.enabled".to_owned(),
                excerpt: None,
            }
        );
    }

    #[test]
    fn long_texts_are_cut() {
        assert_eq!(one_line("ab  cd", 5), "ab cd");
        assert_eq!(one_line("äöü", 2), "äö…");
        assert_eq!(one_line("\u{0}\r\n\t", 2), "");
    }
}
