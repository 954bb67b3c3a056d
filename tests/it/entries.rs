//! Entries and their live integrations, with the real program: identity providers, ambiguity and `destroy`.

use insta::assert_snapshot;
use riskform::model::field::Field;
use riskform::model::integration::Integration;
use riskform::sandbox::{RECORDED_ACCOUNT, Settings};
use serde_json::{Value, json};

use crate::support::{SandboxServer, TestDir};

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
    server.edit(|account| account.integrations = integrations);
    set_providers(&server, providers);
    server
}

fn set_providers(server: &SandboxServer, providers: &[(&str, &str)]) {
    let providers = providers
        .iter()
        .map(|(name, id)| json!({ "id": id, "name": name, "type": "okta", "config": {} }));
    let providers: Vec<Value> = providers.collect();
    server.edit(|account| account.context.identity_providers = providers);
}

/// Returns the IDs of the live integrations.
fn ids(server: &SandboxServer) -> Vec<String> {
    let live = server.live().integrations;
    live.iter().map(|one| one.id.to_string()).collect()
}

fn workplace(server: &SandboxServer, content: &str) -> TestDir {
    let file = format!("version: 1\naccount_id: {RECORDED_ACCOUNT}\n{content}");
    TestDir::with_file(server, &file)
}

const NAMED: &str = "integrations: { sales: { tenant_url: https://sales.okta.com, identity_provider: Okta (sales) } }\n";

#[test]
fn destroy_resolves_the_identity_provider() {
    let server = server(
        &[(ONE, "sales-old", PROVIDER), (TWO, "sales", OTHER)],
        &[("Okta (sales)", PROVIDER)],
    );
    workplace(&server, NAMED)
        .line("destroy --auto-approve")
        .exits(0);
    assert_eq!(ids(&server), [TWO]);
}

#[test]
fn apply_resolves_the_identity_provider_again_after_the_prompt() {
    let server = server(&[], &[("Okta (sales)", PROVIDER)]);
    let workplace = workplace(&server, NAMED);
    let mut terminal = workplace.terminal(&["apply"]);
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
    let live = server.live().integrations.into_iter();
    let references = live.filter_map(|one| Some(one.fields.reference_id()?.to_string()));
    assert_eq!(references.collect::<Vec<_>>(), [OTHER]);
}

#[test]
fn destroy_deletes_an_unlisted_integration_only_by_its_address() {
    let server = server(
        &[(ONE, "sales", PROVIDER), (TWO, "collector", OTHER)],
        &[("Okta (sales)", PROVIDER)],
    );
    let workplace = workplace(&server, NAMED);
    let unlisted = format!("integration[{TWO}]");
    let pattern = workplace
        .line("destroy --auto-approve --target integration[*]")
        .exits(1);
    pattern.says("error: destroy deletes an unlisted integration only by its full address");

    workplace.write(
        "protected.yaml",
        &format!("version: 1\naccount_id: {RECORDED_ACCOUNT}\n{NAMED}guards: {{ protected: [https://collector.okta.com] }}\n"),
    );
    let destroy = |options: &str| {
        workplace.line(&format!(
            "destroy{options} --auto-approve --target {unlisted}"
        ))
    };
    destroy(" protected.yaml").exits(5);
    assert_eq!(server.writes(), 0);

    let plan = workplace.line(&format!("plan --destroy --target {unlisted}"));
    plan.says(&format!("- {unlisted}"));
    destroy("").exits(0);
    assert_eq!(ids(&server), [ONE]);
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
    for (line, code) in [
        ("plan", 1),
        ("apply --auto-approve", 1),
        ("drift", 2),
        ("audit", 2),
    ] {
        let run = workplace.line(line).exits(code);
        for part in [
            "behavior.high_dlp",
            "integration.sales",
            "2 live integrations",
            ONE,
        ] {
            run.says(part);
        }
    }
    assert_eq!(server.writes(), 0);
    let plan = workplace.line("plan").stdout;
    assert_snapshot!(plan, @r#"
    f037e56e89293a057740de681ac9abbe  riskform.yaml

      ! integration.sales                                          ambiguous
          2 live integrations have the tenant_url https://sales.okta.com (riskform.yaml:5):
            4cfe8442-664b-4915-acd4-b39cd65c0001  active    created 2026-11-01
            4cfe8442-664b-4915-acd4-b39cd65c0002  active    created 2026-11-01
          help: add the id of the right one to the entry, e.g. id: 4cfe8442-664b-4915-acd4-b39cd65c0001

    Warning: no enabled behavior will assign medium. 2 Access policies use it: Block risky users, Contractors.

      ~ behavior.high_dlp
          risk_level  medium → high
          2 policies use level medium (Block risky users, Contractors); 3 policies use level high (Block risky users, Contractors, "Employees, not at high risk")

    Plan: 1 to update, 1 ambiguous. Nothing can be applied to this account until it is resolved.
    2 Access policies use a level that nothing will assign.
    "#);
    let json = workplace.line("drift --format json").json();
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
        workplace
            .run(&["drift", "--format", format])
            .exits(2)
            .says("ambiguous");
    }
}

#[test]
fn destroy_skips_ambiguous_entries() {
    let server = server(&[(ONE, "sales", PROVIDER), (TWO, "sales", OTHER)], &[]);
    // The file has no other entries.
    let sales = "integrations: { sales: { tenant_url: https://sales.okta.com } }\n";
    workplace(&server, sales)
        .line("destroy --auto-approve")
        .exits(1);
    assert_eq!(server.writes(), 0);
    let run = workplace(&server, AMBIGUOUS)
        .line("destroy --auto-approve")
        .exits(3);
    run.says("  skipped        integration.sales: 2 live integrations");
    assert_eq!((server.writes(), ids(&server).len()), (1, 2));
    let behaviors = server.live().behaviors;
    let high_dlp = behaviors.iter().find(|(key, _)| key.as_str() == "high_dlp");
    assert!(!high_dlp.unwrap().1.fields.is_on(Field::Enabled));
}
