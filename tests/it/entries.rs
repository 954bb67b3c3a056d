//! Entries and their live integrations, with the real program: identity providers, ambiguity and `destroy`.

use insta::assert_snapshot;
use rexpect::session::spawn_command;
use riskform::model::integration::Integration;
use riskform::sandbox::{RECORDED_ACCOUNT, Settings};
use serde_json::{Value, json};

use crate::riskform::{SandboxServer, TestDir};

const ONE: &str = "4cfe8442-664b-4915-acd4-b39cd65c0001";
const TWO: &str = "4cfe8442-664b-4915-acd4-b39cd65c0002";
const PROVIDER: &str = "3701e70b-5de4-4d9d-8972-f5aa994d0032";
const OTHER: &str = "3701e70b-5de4-4d9d-8972-f5aa994d0033";

/// Starts a server with these integrations (id, tenant, reference) and these identity providers.
fn server(integrations: &[(&str, &str, &str)], providers: &[(&str, &str)]) -> SandboxServer {
    let server = SandboxServer::start(Settings::default());
    let integrations = integrations.iter().map(|(id, tenant, reference)| {
        let integration: Integration = serde_json::from_value(json!({
            "id": id,
            "created_at": "2026-11-01T08:00:00Z",
            "integration_type": "Okta",
            "tenant_url": format!("https://{tenant}.okta.com"),
            "reference_id": reference,
            "active": true,
        }))
        .unwrap();
        (integration.id, integration)
    });
    let integrations = integrations.collect();
    let edited = server
        .sandbox
        .edit(&RECORDED_ACCOUNT.parse().unwrap(), |account| {
            account.integrations = integrations;
        });
    edited.unwrap();
    set_providers(&server, providers);
    server
}

fn set_providers(server: &SandboxServer, providers: &[(&str, &str)]) {
    let providers = providers
        .iter()
        .map(|(name, id)| json!({ "id": id, "name": name, "type": "okta", "config": {} }));
    let providers: Vec<Value> = providers.collect();
    let edited = server
        .sandbox
        .edit(&RECORDED_ACCOUNT.parse().unwrap(), |account| {
            account.context.identity_providers = providers;
        });
    edited.unwrap();
}

fn live(server: &SandboxServer) -> Vec<Integration> {
    let live = server.sandbox.live(&RECORDED_ACCOUNT.parse().unwrap());
    live.integrations.into_iter().collect()
}

fn workplace(server: &SandboxServer, content: &str) -> TestDir {
    let workplace = TestDir::with(server);
    workplace.write(
        "riskform.yaml",
        &format!("version: 1\naccount_id: {RECORDED_ACCOUNT}\n{content}"),
    );
    workplace
}

const NAMED: &str = "integrations: { sales: { tenant_url: https://sales.okta.com, identity_provider: Okta (sales) } }\n";

#[test]
fn destroy_resolves_the_identity_provider() {
    let server = server(
        &[(ONE, "sales-old", PROVIDER), (TWO, "sales", OTHER)],
        &[("Okta (sales)", PROVIDER)],
    );
    let run = workplace(&server, NAMED).run(&["destroy", "--auto-approve"]);
    assert_eq!(run.code, 0, "{}{}", run.stdout, run.stderr);
    let left: Vec<String> = live(&server).iter().map(|one| one.id.to_string()).collect();
    assert_eq!(left, [TWO]);
}

#[test]
fn apply_resolves_the_identity_provider_again_after_the_prompt() {
    let server = server(&[], &[("Okta (sales)", PROVIDER)]);
    let workplace = workplace(&server, NAMED);
    let mut command = workplace.command(&["apply"]);
    // Set by the terminal.
    command.stdin(std::process::Stdio::inherit());
    let mut terminal = spawn_command(command, Some(20_000)).unwrap();
    terminal.exp_string("Only 'yes' is accepted: ").unwrap();
    set_providers(&server, &[("Okta (sales)", OTHER)]);
    terminal.send_line("yes").unwrap();
    terminal
        .exp_string(r#"identity_provider "Okta (sales)" changed from"#)
        .unwrap();
    terminal.exp_string(OTHER).unwrap();
    terminal.exp_string("Only 'yes' is accepted: ").unwrap();
    assert_eq!(server.writes(), 0);
    terminal.send_line("yes").unwrap();
    terminal.exp_string("Apply complete").unwrap();
    let references: Vec<String> = live(&server)
        .into_iter()
        .filter_map(|one| Some(one.settings.reference_id?.to_string()))
        .collect();
    assert_eq!(references, [OTHER]);
}

#[test]
fn destroy_deletes_an_unlisted_integration_only_by_its_address() {
    let server = server(
        &[(ONE, "sales", PROVIDER), (TWO, "collector", OTHER)],
        &[("Okta (sales)", PROVIDER)],
    );
    let workplace = workplace(&server, NAMED);
    let unlisted = format!("integration[{TWO}]");
    let pattern = workplace.run(&["destroy", "--auto-approve", "--target", "integration[*]"]);
    assert_eq!(pattern.code, 1, "{}", pattern.stderr);
    let error = "error: destroy deletes an unlisted integration only by its full address";
    assert!(pattern.stderr.contains(error), "{}", pattern.stderr);

    workplace.write(
        "protected.yaml",
        &format!("version: 1\naccount_id: {RECORDED_ACCOUNT}\n{NAMED}guards: {{ protected: [https://collector.okta.com] }}\n"),
    );
    let arguments = [
        "destroy",
        "protected.yaml",
        "--auto-approve",
        "--target",
        &unlisted,
    ];
    assert_eq!(workplace.run(&arguments).code, 5);
    assert_eq!(server.writes(), 0);

    let plan = workplace.run(&["plan", "--destroy", "--target", &unlisted]);
    assert!(
        plan.stdout.contains(&format!("- {unlisted}")),
        "{}",
        plan.stdout
    );
    let run = workplace.run(&["destroy", "--auto-approve", "--target", &unlisted]);
    assert_eq!(run.code, 0, "{}{}", run.stdout, run.stderr);
    let left: Vec<String> = live(&server).iter().map(|one| one.id.to_string()).collect();
    assert_eq!(left, [ONE]);
}

const AMBIGUOUS: &str = "\
behaviors: { high_dlp: { risk_level: high } }
unlisted: { integrations: delete }
integrations: { sales: { tenant_url: https://sales.okta.com } }
";

#[test]
fn ambiguous_entry_does_not_hide_the_account() {
    let server = server(&[(ONE, "sales", PROVIDER), (TWO, "sales", OTHER)], &[]);
    let workplace = workplace(&server, AMBIGUOUS);
    for (command, code) in [
        (&["plan"][..], 1),
        (&["apply", "--auto-approve"], 1),
        (&["drift"], 2),
        (&["audit"], 2),
    ] {
        let run = workplace.run(command);
        let shown = format!("{command:?}: {}{}", run.stdout, run.stderr);
        assert_eq!(run.code, code, "{shown}");
        for part in [
            "behavior.high_dlp",
            "integration.sales",
            "2 live integrations",
            ONE,
        ] {
            assert!(shown.contains(part), "{part}: {shown}");
        }
    }
    assert_eq!(server.writes(), 0);
    let plan = workplace.run(&["plan"]).stdout;
    assert_snapshot!(plan, @r#"
    f037e56e89293a057740de681ac9abbe  riskform.yaml

      ! integration.sales                               ambiguous
          2 live integrations have the tenant_url https://sales.okta.com (riskform.yaml:5):
            4cfe8442-664b-4915-acd4-b39cd65c0001  active    created 2026-11-01
            4cfe8442-664b-4915-acd4-b39cd65c0002  active    created 2026-11-01
          help: add the id of the right one to the entry, e.g. id: 4cfe8442-664b-4915-acd4-b39cd65c0001
      ~ behavior.high_dlp
          risk_level    medium → high

      note: behavior.high_dlp: 2 policies use level medium (Block risky users, Contractors); 3 policies use level high (Block risky users, Contractors, "Employees, not at high risk")

    Plan: 0 to create, 1 to update, 0 to replace, 0 to delete, 1 ambiguous. 0 unchanged, 2 unlisted. Nothing can be applied to this account until it is resolved.
    "#);
    let json: Value =
        serde_json::from_str(&workplace.run(&["drift", "--format", "json"]).stdout).unwrap();
    let account = &json["accounts"][0];
    assert_eq!(account["status"], "ambiguous");
    assert_eq!(account["ambiguous"][0]["address"], "integration.sales");
    assert_eq!(
        account["ambiguous"][0]["candidates"][1],
        json!({ "id": TWO, "active": true, "created_at": "2026-11-01T08:00:00Z" })
    );
    let unlisted = account["unlisted"].to_string();
    assert!(!unlisted.contains("integration["), "{unlisted}");
    for format in ["markdown", "html", "junit", "sarif", "prometheus"] {
        let drift = workplace.run(&["drift", "--format", format]);
        assert_eq!(drift.code, 2, "{format}");
        assert!(
            drift.stdout.contains("ambiguous"),
            "{format}: {}",
            drift.stdout
        );
    }
}

#[test]
fn destroy_skips_ambiguous_entries() {
    let server = server(&[(ONE, "sales", PROVIDER), (TWO, "sales", OTHER)], &[]);
    // Nothing else to destroy.
    let nothing = workplace(
        &server,
        "integrations: { sales: { tenant_url: https://sales.okta.com } }\n",
    );
    let run = nothing.run(&["destroy", "--auto-approve"]);
    assert_eq!(run.code, 1, "{}{}", run.stdout, run.stderr);
    assert_eq!(server.writes(), 0);
    let run = workplace(&server, AMBIGUOUS).run(&["destroy", "--auto-approve"]);
    assert_eq!(run.code, 3, "{}{}", run.stdout, run.stderr);
    assert!(
        run.stdout.contains("skipped integration.sales"),
        "{}",
        run.stdout
    );
    assert_eq!(server.writes(), 1);
    assert_eq!(live(&server).len(), 2);
    let behaviors = server
        .sandbox
        .live(&RECORDED_ACCOUNT.parse().unwrap())
        .behaviors;
    let off = behaviors
        .iter()
        .filter(|(key, one)| key.as_str() == "high_dlp" && !one.settings.enabled);
    assert_eq!(off.count(), 1);
}
