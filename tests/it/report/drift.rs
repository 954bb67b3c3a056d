//! `drift` with the real program: output and exit codes, without any writes.

use http::Method;
use insta::assert_snapshot;
use riskform::model::field::Fields;
use riskform::model::integration::TenantUrl;
use riskform::sandbox::Settings;
use serde_json::json;

use crate::support::layers::reject;
use crate::support::world::create_in_dashboard;
use crate::support::{SandboxServer, TestDir, account, serve};

/// A file for the recorded account.
const AS_RECORDED: &str = "\
version: 1
account_id: f037e56e89293a057740de681ac9abbe
name: production
behaviors:
  high_dlp: { enabled: true, risk_level: medium }
  imp_travel: { enabled: true, risk_level: high }
integrations:
  okta:
    tenant_url: https://example.oktapreview.com
";

/// Dashboard changes: a disabled behavior and a new integration.
fn change_in_dashboard(server: &SandboxServer) {
    server.set_enabled("imp_travel", false);
    server.edit(|account| account.context = Default::default());
    let tenant_url = TenantUrl::from_live("https://shadow.okta.com");
    let fields = Fields::of_integration("Okta", tenant_url, None, true);
    create_in_dashboard(&server.sandbox, &account(), fields);
}

#[test]
fn no_drift_is_silent_with_quiet() {
    let (_server, workplace) = serve(AS_RECORDED);
    assert_snapshot!(workplace.line("drift").shown(), @r#"
    exit 0
    --- stdout
    No drift. 2 behaviors and 1 integration match.
    1 behavior is unlisted and not managed: sentinel_one (off).
    "#);
    let quiet = workplace.line("drift -q");
    assert_eq!(
        (quiet.code, quiet.stdout.as_str(), quiet.stderr.as_str()),
        (0, "", "")
    );
    let json = workplace.line("drift -q --format json");
    assert!(
        json.stdout.contains("riskform.drift/1"),
        "the document is still printed"
    );
}

#[test]
fn drift_is_found_without_writes() {
    let server = SandboxServer::start(Settings::default());
    change_in_dashboard(&server);
    let workplace = TestDir::with_file(&server, AS_RECORDED);
    let before = server.requests().len();
    let run = workplace.line("drift -q");
    assert_snapshot!(run.shown());
    let requests = &server.requests()[before..];
    assert_eq!(
        requests.len(),
        2 + 2 + 1,
        "two reads, policies and applications, and the audit log"
    );
    assert!(requests.iter().all(|request| request.method == Method::GET));
}

#[test]
fn targets_and_ignored_addresses_limit_drift() {
    let server = SandboxServer::start(Settings::default());
    change_in_dashboard(&server);
    let workplace = TestDir::with_file(&server, AS_RECORDED);
    let table: [(&[&str], i32, usize, usize); 6] = [
        (&[], 2, 1, 1),
        (&["--target", "behavior.*"], 2, 1, 0),
        (&["--target", "production/integration*"], 2, 0, 1),
        (&["--ignore", "behavior.imp_travel"], 2, 0, 1),
        (
            &[
                "--ignore",
                "behavior.imp_travel",
                "--ignore",
                "integration[*",
            ],
            0,
            0,
            0,
        ),
        (&["--target", "behavior.high_dlp"], 0, 0, 0),
    ];
    for (flags, code, changes, unlisted) in table {
        let arguments: Vec<&str> = ["drift", "--format", "json"]
            .iter()
            .chain(flags)
            .copied()
            .collect();
        let run = workplace.run(&arguments);
        let document = run.json();
        let account = &document["accounts"][0];
        let reported = account["unlisted"].as_array().unwrap().iter();
        let reported = reported.filter(|thing| thing["policy"] == "report").count();
        assert_eq!(run.code, code, "{flags:?}");
        assert_eq!(
            account["changes"].as_array().unwrap().len(),
            changes,
            "{flags:?}"
        );
        assert_eq!(reported, unlisted, "{flags:?}");
    }
    assert_snapshot!(workplace.line("drift --ignore *").shown());
    assert_eq!(workplace.line("drift --target behavior.nonesuch").code, 64);
}

#[test]
fn failed_account_does_not_hide_drift() {
    let lost = "{ version: 1, account_id: 00000000000000000000000000000002, name: lost, behaviors: { imp_travel: { enabled: true } } }\n";
    let server = SandboxServer::behind(Settings::default(), |_, router| {
        reject(router, "00000000000000000000000000000002", "403-3314")
    });
    change_in_dashboard(&server);
    let workplace = TestDir::with(&server);
    workplace.write("a.yaml", AS_RECORDED);
    workplace.write("b.yaml", lost);
    assert_snapshot!(workplace.line("drift .").shown());

    let alone = workplace.line("drift b.yaml --format json").exits(6);
    let document = alone.json();
    assert_eq!(document["accounts"][0]["error"]["kind"], "entitlement");
}

#[test]
fn drift_ignores_guards() {
    let server = SandboxServer::start(Settings::default());
    let workplace = TestDir::with(&server);
    // Apply would weaken protection, which the file denies.
    let denied = AS_RECORDED.replace("risk_level: high", "risk_level: low")
        + "guards: { weakening: deny }\n";
    workplace.write("riskform.yaml", &denied);
    assert_eq!(workplace.line("plan").code, 5);
    let run = workplace.line("drift --format json").exits(2);
    let document = run.json();
    assert_eq!(document["accounts"][0]["violations"], json!([]));
    assert_eq!(document["accounts"][0]["operations"], json!([]));
}
