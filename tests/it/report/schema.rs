//! The JSON Schemas: the committed files are up to date, and the program's output is valid.

use insta::assert_snapshot;
use riskform::config::shape::{CONFIG_SCHEMA, LIMITS_SCHEMA};
use riskform::report::schema::{AUDIT_SCHEMA, RUN_SCHEMA};
use riskform::sandbox::Settings;
use serde_json::json;

use crate::support::json::assert_valid;
use crate::support::{SandboxServer, TestDir};

const FILE: &str = include_str!("../../fixtures/report/production.yaml");

#[test]
fn schema_command_prints_the_committed_schemas() {
    for (kind, schema) in [
        ("config", CONFIG_SCHEMA),
        ("limits", LIMITS_SCHEMA),
        ("run", RUN_SCHEMA),
        ("audit", AUDIT_SCHEMA),
    ] {
        assert_eq!(TestDir::new().run(&["schema", kind]).stdout, schema);
    }
}

#[test]
fn printed_documents_match_their_schemas() {
    let server = SandboxServer::start(Settings::default());
    let workplace = TestDir::with(&server);
    workplace.write(
        "production.yaml",
        &FILE.replace("weakening: deny", "max_deletes: 3"),
    );
    workplace.write("z.yaml", "{ version: 1, account_id: 00000000000000000000000000000001, behaviors: { nonesuch: { enabled: true } } }");
    for kind in ["drift", "plan", "apply"] {
        let mut arguments = vec![kind, ".", "--format", "json"];
        if kind == "apply" {
            arguments.push("--auto-approve");
        }
        let run = workplace.run(&arguments);
        let document = run.json();
        let validator = assert_valid(kind, RUN_SCHEMA, &document);

        let mut damaged = document;
        damaged["accounts"][0]["changes"][0]["action"] = json!("destroy");
        assert!(
            !validator.is_valid(&damaged),
            "the schema of {kind} accepts anything"
        );
    }
}

#[test]
fn an_unknown_document_has_no_schema() {
    let run = TestDir::new().line("schema nonesuch");
    assert_eq!(run.code, 64);
    assert_snapshot!(run.stderr.lines().next().unwrap(), @r###"error: invalid value 'nonesuch' for '<DOCUMENT>'"###);
}
