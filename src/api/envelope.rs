//! Every answer is an envelope, `{success, errors[], messages[], result}`: opens it, or says what is wrong with it.

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderMap, LOCATION};
use http::{Response, StatusCode};
use serde::de::{DeserializeOwned, IgnoredAny};
use serde::{Deserialize, Deserializer};

use crate::model::text::is_unseen;

use super::error::{ApiMessage, ErrorKind};
use super::operation::{Operation, Permission};

/// How many characters of a strange answer are shown.
const EXCERPT: usize = 120;

/// How many characters of one of the server's texts are shown.
const LONGEST_TEXT: usize = 500;

/// Why an envelope gave no result.
pub(super) struct Fault {
    pub(super) kind: ErrorKind,
    pub(super) messages: Vec<ApiMessage>,
}

#[derive(Deserialize)]
#[serde(bound = "T: DeserializeOwned")]
struct Envelope<T> {
    success: bool,
    #[serde(default, deserialize_with = "null_is_empty")]
    errors: Vec<ApiMessage>,
    #[serde(default = "Option::default")]
    result: Option<T>,
}

fn null_is_empty<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<ApiMessage>, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

/// Opens the envelope of an answer. `None` is a `result` that is null or absent. `redact` takes the credentials out of a text.
///
/// The status decides first and the code second. A refusal that is no envelope did not come from Cloudflare's API, so it means
/// nothing: a 404 of some proxy must not pass for an integration that is gone.
pub(super) fn open<T: DeserializeOwned>(
    operation: Operation,
    answer: &Response<Bytes>,
    redact: impl Fn(&str) -> String,
) -> Result<Option<T>, Fault> {
    let text = |text: &str, longest| one_line(&redact(text), longest);
    let body = answer.body();
    let status = answer.status();
    if status.is_success() {
        return open_result(operation, body).map_err(|problem| {
            let messages = errors(body).unwrap_or_default();
            Fault {
                kind: unexpected(
                    operation,
                    text(&problem.describe(answer.headers()), LONGEST_TEXT),
                    body,
                    &text,
                ),
                messages: cleaned(messages, &text),
            }
        });
    }
    let messages = errors(body).map(|messages| cleaned(messages, &text));
    let kind = match &messages {
        _ if status == StatusCode::TOO_MANY_REQUESTS => ErrorKind::RateLimited,
        _ if status.is_server_error() => ErrorKind::ServerFault {
            excerpt: match messages {
                Some(_) => None,
                None => excerpt(operation, body, &text),
            },
        },
        _ if status.is_redirection() => {
            let target = header(answer.headers(), LOCATION.as_str()).unwrap_or("nowhere");
            let problem = format!("a redirect to {target}, which is never followed");
            unexpected(operation, text(&problem, LONGEST_TEXT), body, &text)
        }
        Some(messages) => refusal(status, messages),
        None => {
            let problem = Problem::NoEnvelope.describe(answer.headers());
            unexpected(operation, text(&problem, LONGEST_TEXT), body, &text)
        }
    };
    Err(Fault {
        kind,
        messages: messages.unwrap_or_default(),
    })
}

/// The kind of a 4xx whose body is an envelope.
fn refusal(status: StatusCode, messages: &[ApiMessage]) -> ErrorKind {
    let says = |codes: &[i64]| messages.iter().any(|message| codes.contains(&message.code));
    match status {
        StatusCode::UNAUTHORIZED => ErrorKind::Credentials,
        // Invalid request headers; invalid format of the Authorization header.
        StatusCode::BAD_REQUEST if says(&[6003, 6111]) => ErrorKind::Credentials,
        StatusCode::FORBIDDEN if says(&[3314]) => ErrorKind::Entitlement,
        StatusCode::FORBIDDEN => ErrorKind::Permission,
        StatusCode::NOT_FOUND => ErrorKind::NotFound,
        _ => ErrorKind::Refused,
    }
}

/// What is wrong with an answer that claims success.
enum Problem {
    /// Text that is no JSON, or JSON that is no envelope.
    NoEnvelope,
    /// JSON that breaks off.
    Half,
    /// An envelope that says `success: false`.
    Unsuccessful,
    /// An envelope whose result has another shape.
    Shape {
        /// Where in the answer.
        path: String,
        /// What was found and what should be there; `None` where that may tell about people.
        mismatch: Option<String>,
    },
}

impl Problem {
    fn describe(&self, headers: &HeaderMap) -> String {
        match self {
            Problem::NoEnvelope => match header(headers, CONTENT_TYPE.as_str()) {
                Some(content_type) => format!("{content_type} that is no envelope of the API"),
                None => "something that is no envelope of the API".to_owned(),
            },
            Problem::Half => "an answer that breaks off".to_owned(),
            Problem::Unsuccessful => "a success status with success: false".to_owned(),
            Problem::Shape { path, mismatch } => match mismatch {
                Some(mismatch) => format!("another shape at {path}: {mismatch}"),
                None => format!("another shape at {path}"),
            },
        }
    }
}

fn open_result<T: DeserializeOwned>(
    operation: Operation,
    body: &[u8],
) -> Result<Option<T>, Problem> {
    match serde_json::from_slice::<Envelope<T>>(body) {
        Ok(envelope) if envelope.success => Ok(envelope.result),
        Ok(_) => Err(Problem::Unsuccessful),
        Err(_) => Err(what_is_wrong::<T>(operation, body)),
    }
}

/// Reads once more what can't be read, and keeps track of where: that takes as long as reading, so good answers are spared it.
fn what_is_wrong<T: DeserializeOwned>(operation: Operation, body: &[u8]) -> Problem {
    let mut json = serde_json::Deserializer::from_slice(body);
    let Err(error) = serde_path_to_error::deserialize::<_, Envelope<T>>(&mut json) else {
        // Something stands behind it.
        return Problem::NoEnvelope;
    };
    let path = error.path().to_string();
    let error = error.into_inner();
    match serde_json::from_slice::<Envelope<IgnoredAny>>(body) {
        Ok(envelope) if !envelope.success => Problem::Unsuccessful,
        Ok(_) => Problem::Shape {
            path,
            mismatch: (!tells_about_people(operation)).then(|| error.to_string()),
        },
        Err(whole) if whole.is_eof() && !body.is_empty() => Problem::Half,
        Err(_) => Problem::NoEnvelope,
    }
}

/// The errors of an envelope, or `None` if the body is none.
fn errors(body: &[u8]) -> Option<Vec<ApiMessage>> {
    serde_json::from_slice::<Envelope<IgnoredAny>>(body)
        .ok()
        .map(|envelope| envelope.errors)
}

fn cleaned(messages: Vec<ApiMessage>, text: &impl Fn(&str, usize) -> String) -> Vec<ApiMessage> {
    messages
        .into_iter()
        .map(|message| ApiMessage {
            code: message.code,
            message: text(&message.message, LONGEST_TEXT),
            documentation_url: message
                .documentation_url
                .map(|url| text(&url, LONGEST_TEXT)),
            pointer: message.pointer.map(|pointer| text(&pointer, LONGEST_TEXT)),
        })
        .collect()
}

fn unexpected(
    operation: Operation,
    problem: String,
    body: &[u8],
    text: &impl Fn(&str, usize) -> String,
) -> ErrorKind {
    ErrorKind::Unexpected {
        problem,
        excerpt: excerpt(operation, body, text),
    }
}

fn excerpt(
    operation: Operation,
    body: &[u8],
    text: &impl Fn(&str, usize) -> String,
) -> Option<String> {
    // Far more than is shown, so that a secret at the cut is still seen whole and taken out.
    let beginning = String::from_utf8_lossy(&body[..body.len().min(64 * EXCERPT)]);
    let line = text(&beginning, EXCERPT);
    (!line.is_empty() && !tells_about_people(operation)).then_some(line)
}

fn tells_about_people(operation: Operation) -> bool {
    operation.permission() == Some(Permission::PiiRead)
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

/// A text in one line that no terminal takes for a command: what can't be seen
/// becomes a space, runs of space become one, and what is too long ends in an ellipsis.
fn one_line(text: &str, longest: usize) -> String {
    let strange = |c: char| c.is_whitespace() || is_unseen(c);
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
    use serde_json::Value;

    fn opened(operation: Operation, status: u16, body: &str) -> Result<Option<Value>, Fault> {
        let answer = Response::builder()
            .status(status)
            .header(CONTENT_TYPE, "text/html")
            .header(LOCATION, "https://elsewhere.example/")
            .body(Bytes::copy_from_slice(body.as_bytes()))
            .unwrap();
        open(operation, &answer, |text| text.replace("canary", "***"))
    }

    fn refused(code: i64) -> String {
        format!(
            r#"{{"success":false,"errors":[{{"code":{code},"message":"no"}}],"messages":[],"result":null}}"#
        )
    }

    #[test]
    fn the_status_decides_first_and_the_code_second() {
        const HTML: &str = "<html><body>\n  Oh no\u{1b}[31m canary\u{202e}</body></html>";
        let html = Some("<html><body> Oh no [31m *** </body></html>".to_owned());
        let strange = |problem: &str, excerpt: &Option<String>| ErrorKind::Unexpected {
            problem: problem.to_owned(),
            excerpt: excerpt.clone(),
        };
        let no_envelope = "text/html that is no envelope of the API";
        for (status, body, kind) in [
            (401, refused(10000), ErrorKind::Credentials),
            (400, refused(6003), ErrorKind::Credentials),
            (400, refused(6111), ErrorKind::Credentials),
            (400, refused(1001), ErrorKind::Refused),
            (403, refused(10000), ErrorKind::Permission),
            (403, refused(3314), ErrorKind::Entitlement),
            (404, refused(3314), ErrorKind::NotFound),
            (404, r#"{"success":false}"#.to_owned(), ErrorKind::NotFound),
            (409, refused(6003), ErrorKind::Refused),
            (429, refused(971), ErrorKind::RateLimited),
            (429, HTML.to_owned(), ErrorKind::RateLimited),
            (500, refused(1), ErrorKind::ServerFault { excerpt: None }),
            (
                502,
                HTML.to_owned(),
                ErrorKind::ServerFault {
                    excerpt: html.clone(),
                },
            ),
            (503, String::new(), ErrorKind::ServerFault { excerpt: None }),
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
                    "a redirect to https://elsewhere.example/, which is never followed",
                    &None,
                ),
            ),
            (200, HTML.to_owned(), strange(no_envelope, &html)),
            (204, String::new(), strange(no_envelope, &None)),
            (
                200,
                r#"{"success":true,"err"#.to_owned(),
                strange(
                    "an answer that breaks off",
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
            let fault = opened(Operation::ReadBehaviors, status, &body).unwrap_err();
            assert_eq!(fault.kind, kind, "{status} {body}");
        }
    }

    #[test]
    fn a_result_may_be_null_or_absent_and_lists_too() {
        for (body, result) in [
            (
                r#"{"success":true,"errors":[],"messages":[],"result":7}"#,
                Some(7),
            ),
            (
                r#"{"success":true,"errors":null,"messages":null,"result":7}"#,
                Some(7),
            ),
            (r#"{"success":true,"result":null}"#, None),
            (r#"{"success":true}"#, None),
        ] {
            let value = opened(Operation::DeleteIntegration, 200, body)
                .ok()
                .unwrap();
            assert_eq!(value, result.map(Value::from), "{body}");
        }
    }

    #[test]
    fn messages_keep_every_part_but_secrets_and_control_characters() {
        let body = r#"{"success":false,"result":null,"messages":[],"errors":[
            {"code":1001,"message":"bad\u001b[2J \n canary","documentation_url":"https://d.example","source":{"pointer":"/a/b"}},
            {"message":"bare"}]}"#;
        let messages = opened(Operation::CreateIntegration, 400, body)
            .unwrap_err()
            .messages;
        let shown: Vec<_> = messages.iter().map(ApiMessage::to_string).collect();
        assert_eq!(
            shown,
            [
                "bad [2J *** (code 1001, at /a/b, see https://d.example)",
                "bare (code 0)"
            ]
        );
    }

    #[test]
    fn a_wrong_shape_is_named_unless_it_may_tell_about_people() {
        #[derive(Debug, Deserialize)]
        struct Shape {
            #[serde(rename = "enabled")]
            _enabled: bool,
        }
        let body =
            r#"{"success":true,"errors":[],"messages":[],"result":{"enabled":"ann@example.com"}}"#;
        let kind = |operation| {
            let answer = Response::new(Bytes::from_static(body.as_bytes()));
            open::<Shape>(operation, &answer, str::to_owned)
                .err()
                .unwrap()
                .kind
        };
        let ErrorKind::Unexpected { problem, excerpt } = kind(Operation::ReadBehaviors) else {
            panic!("not unexpected");
        };
        assert_eq!(
            problem,
            "another shape at result.enabled: invalid type: string \"ann@example.com\", expected a boolean at line 1 column 79"
        );
        assert_eq!(excerpt.as_deref(), Some(body));
        assert_eq!(
            kind(Operation::ReadUser),
            ErrorKind::Unexpected {
                problem: "another shape at result.enabled".to_owned(),
                excerpt: None,
            }
        );
    }

    #[test]
    fn long_texts_end_in_an_ellipsis() {
        assert_eq!(one_line("ab  cd", 5), "ab cd");
        assert_eq!(one_line("äöü", 2), "äö…");
        assert_eq!(one_line("\u{0}\r\n\t", 2), "");
    }
}
