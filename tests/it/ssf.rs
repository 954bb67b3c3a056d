//! Checks of the SSF document, with a sandbox that violates each rule of the standard.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use axum::response::{IntoResponse, Redirect, Response};
use riskform::api::{CaBundle, NetworkSettings, Transport};
use riskform::doctor::{CheckStatus, Destination, SsfRule, inspect};
use riskform::sandbox::{Fault, FaultRule, FaultScript, Sandbox, Settings, SsfFlaw};
use serde_json::json;

const URL: &str = "https://ssf.risk-score.teams.cloudflare.com/.well-known/sse-configuration/4cfe8442-664b-4915-acd4-b39cd65c4314";

/// Returns all findings and the number of requests.
async fn inspected(
    flaw: Option<SsfFlaw>,
    url: &str,
) -> (Vec<(SsfRule, CheckStatus, String)>, usize) {
    let sandbox = Sandbox::in_memory(Settings::default());
    let rules = flaw
        .into_iter()
        .map(|flaw| FaultRule::always(Fault::Ssf(flaw)));
    let laboratory = sandbox.with_faults(FaultScript {
        seed: 0,
        rules: rules.collect(),
    });
    let transport = Transport::in_process(laboratory, Duration::from_secs(10));
    let stand_in = Destination::StandIn("http://127.0.0.1:1/".parse().unwrap());
    let findings = inspect(&transport, &stand_in, url).await;
    let requests = sandbox.requests();
    assert!(
        requests.iter().all(|request| !request.credentials),
        "{requests:?}"
    );
    let findings = findings
        .into_iter()
        .map(|finding| (finding.check, finding.status, finding.message));
    (findings.collect(), requests.len())
}

#[tokio::test(start_paused = true)]
async fn a_sound_document_keeps_every_rule() {
    let (findings, requests) = inspected(None, URL).await;
    let rules: Vec<_> = findings.iter().map(|(rule, _, _)| *rule).collect();
    assert_eq!(rules, SsfRule::ALL);
    assert!(
        findings
            .iter()
            .all(|(_, status, _)| *status == CheckStatus::Pass),
        "{findings:#?}"
    );
    assert_eq!(requests, 2, "the document and its keys");
}

#[tokio::test(start_paused = true)]
async fn each_broken_rule_is_a_finding_of_its_own() {
    use SsfRule::*;
    // Flaw, finding and message.
    let cases: [(SsfFlaw, &[SsfRule], &str); 27] = [
        (
            SsfFlaw::Missing,
            &[Answer],
            "404 Not Found, where 200 is asked for",
        ),
        (
            SsfFlaw::Redirect,
            &[Answer],
            "302 Found, a redirect to https://ssf.example.com/elsewhere, which is never followed",
        ),
        (
            SsfFlaw::ContentType,
            &[ContentType],
            "text/html, where application/json is asked for",
        ),
        (SsfFlaw::NotJson, &[Object], "not JSON"),
        (SsfFlaw::NoObject, &[Object], "JSON that is not an object"),
        (
            SsfFlaw::TooLarge,
            &[Object],
            "bytes, more than the 262144 that are read",
        ),
        (
            SsfFlaw::EmptyArray,
            &[EmptyArrays],
            "critical_subject_members must be left out rather than empty",
        ),
        (SsfFlaw::NoIssuer, &[Issuer], "issuer is missing"),
        (
            SsfFlaw::HttpIssuer,
            &[Issuer, IssuerMatches],
            "issuer is http, where https is asked for",
        ),
        (
            SsfFlaw::QueryIssuer,
            &[IssuerPlain, IssuerMatches],
            "has a query or a fragment",
        ),
        (
            SsfFlaw::FragmentIssuer,
            &[IssuerPlain, IssuerMatches],
            "has a query or a fragment",
        ),
        (
            SsfFlaw::OtherIssuer,
            &[IssuerMatches],
            "which the URL was made from",
        ),
        (
            SsfFlaw::NoJwksUri,
            &[JwksUri],
            "jwks_uri is missing, and Okta needs it to check signatures",
        ),
        (
            SsfFlaw::HttpJwksUri,
            &[JwksUri],
            "jwks_uri is http, where https is asked for",
        ),
        (SsfFlaw::NoDeliveryMethods, &[], ""),
        (
            SsfFlaw::NoPush,
            &[Delivery],
            "delivery_methods_supported lacks push, and Okta takes nothing else",
        ),
        (
            SsfFlaw::HttpEndpoint,
            &[Endpoints],
            "status_endpoint is http, where https is asked for",
        ),
        (
            SsfFlaw::KeysMissing,
            &[KeysAnswer],
            "404 Not Found, where 200 is asked for",
        ),
        (
            SsfFlaw::KeysRedirect,
            &[KeysAnswer],
            "302 Found, a redirect",
        ),
        (
            SsfFlaw::KeysContentType,
            &[KeysContentType],
            "text/html, where application/json is asked for",
        ),
        (SsfFlaw::KeysNotJson, &[KeysObject], "not JSON"),
        (SsfFlaw::KeysTooLarge, &[KeysObject], "bytes, more than"),
        (
            SsfFlaw::NoKeys,
            &[KeysSigning],
            "no RSA key for RS256 signatures, and Okta takes no other",
        ),
        (SsfFlaw::NoRsaKey, &[KeysSigning], "no RSA key"),
        (SsfFlaw::EncryptionKey, &[KeysSigning], "no RSA key"),
        (SsfFlaw::OtherAlgorithm, &[KeysSigning], "no RSA key"),
        (SsfFlaw::NoKeyId, &[KeysSigning], "the RSA key has no kid"),
    ];
    assert_eq!(cases.map(|(flaw, _, _)| flaw).as_slice(), SsfFlaw::ALL);
    for (flaw, broken, message) in cases {
        let (findings, _) = inspected(Some(flaw), URL).await;
        let found = findings
            .iter()
            .filter(|(_, status, _)| *status != CheckStatus::Pass);
        let (rules, messages): (Vec<_>, Vec<_>) =
            found.map(|(rule, _, message)| (*rule, message)).unzip();
        assert_eq!(rules, broken, "{flaw}");
        assert!(
            messages.iter().any(|text| text.contains(message)) || broken.is_empty(),
            "{flaw}: {messages:?}"
        );
    }
}

/// No request for an invalid or plain http URL.
#[tokio::test(start_paused = true)]
async fn a_url_that_no_issuer_can_have_is_not_asked() {
    for url in [
        "",
        "nonsense",
        "http://ssf.example.com/.well-known/sse-configuration/x",
        "https://ssf.example.com/sse-configuration/x",
        "https://ssf.example.com/.well-known/",
        "https://user:password@ssf.example.com/.well-known/sse-configuration/x",
        "file:///.well-known/sse-configuration/x",
    ] {
        let (findings, requests) = inspected(None, url).await;
        let [(SsfRule::Url, CheckStatus::Warn, message)] = &findings[..] else {
            panic!("{url}: {findings:?}");
        };
        assert!(message.contains("is not an https URL"), "{message}");
        assert_eq!(requests, 0, "{url}");
    }
}

/// Over a socket: the request goes to the URL's host, over TLS, without credentials and redirects.
#[tokio::test]
async fn the_named_host_is_asked_without_credentials_and_followed_nowhere() {
    let asked: Arc<Mutex<Vec<(String, BTreeSet<String>)>>> = Arc::default();
    let certificate = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let bundle = CaBundle::from_pem(certificate.cert.pem().as_bytes()).unwrap();
    let seen = Arc::clone(&asked);
    let router = Router::new().fallback(move |request: Request| {
        let names = request.headers().keys().map(ToString::to_string);
        let path = request.uri().path().to_owned();
        seen.lock().unwrap().push((path.clone(), names.collect()));
        // With HTTP/2, the URI contains the host.
        let origin = format!("https://{}", request.uri().authority().unwrap());
        async move { answer(&origin, &path) }
    });
    let (url, _) = crate::api::serve_over_tls(certificate, router).await;
    let transport = Transport::network(NetworkSettings {
        ca_bundle: Some(bundle),
        ..NetworkSettings::default()
    });
    let inspect = async |id: &str| {
        let url = format!("{url}/.well-known/sse-configuration/{id}");
        let findings = inspect(&transport, &Destination::Named, &url).await;
        let broken = findings
            .iter()
            .filter(|one| one.status != CheckStatus::Pass);
        let broken: Vec<SsfRule> = broken.map(|one| one.check).collect();
        (findings.len(), broken)
    };
    assert_eq!(inspect("sound").await, (SsfRule::ALL.len(), Vec::new()));
    assert_eq!(inspect("moved").await, (2, vec![SsfRule::Answer]));
    let asked = asked.lock().unwrap();
    let paths: Vec<&str> = asked.iter().map(|(path, _)| path.as_str()).collect();
    assert_eq!(
        paths,
        [
            "/.well-known/sse-configuration/sound",
            "/sound/jwks.json",
            "/.well-known/sse-configuration/moved",
        ]
    );
    for (path, headers) in asked.iter() {
        let carried: Vec<&String> = headers.iter().collect();
        assert_eq!(carried, ["accept", "accept-encoding"], "{path}");
    }
}

/// Returns a valid document and its keys, and redirects for paths with `moved`.
fn answer(origin: &str, path: &str) -> Response {
    let json = |body: String| ([("content-type", "application/json")], body).into_response();
    match path {
        "/.well-known/sse-configuration/sound" => json(
            json!({ "issuer": format!("{origin}/sound"), "jwks_uri": format!("{origin}/sound/jwks.json") })
                .to_string(),
        ),
        "/sound/jwks.json" => {
            json(include_str!("../../src/sandbox/recordings/ssf_jwks.json").to_owned())
        }
        _ => Redirect::temporary("/elsewhere").into_response(),
    }
}
