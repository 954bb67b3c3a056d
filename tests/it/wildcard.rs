//! The wildcard entry `"*"` with the real program. The planner's own tests cover its rules.

use riskform::model::behavior::{Behavior, BehaviorKey, RiskLevel};
use riskform::model::field::{Field, Fields};
use riskform::model::open_enum::OpenEnum;
use riskform::sandbox::Settings;

use crate::support::{SandboxServer, TestDir, serve};

/// `high_dlp` is as recorded, `imp_travel` is unmanaged, and all others are enabled.
const FILE: &str = "\
version: 1
account_id: f037e56e89293a057740de681ac9abbe
behaviors:
  high_dlp: { enabled: true, risk_level: medium }
  imp_travel: null
  \"*\": { enabled: true }
unlisted: { behaviors: disable, integrations: keep }
";

/// Cloudflare adds a behavior.
fn offer_another(server: &SandboxServer) {
    let another = Behavior {
        name: "Novel".into(),
        description: String::new(),
        fields: Fields::of_behavior(false, OpenEnum::Known(RiskLevel::Low)),
    };
    server.edit(|account| account.behaviors.insert(BehaviorKey::new("novel"), another));
}

#[test]
fn wildcard_covers_unnamed_and_new_behaviors() {
    let (server, workplace) = serve(FILE);
    let planned = workplace
        .line("plan --out saved.plan --format json")
        .exits(0)
        .json();
    let change = &planned["accounts"][0]["changes"][0];
    assert_eq!(change["address"], "behavior.sentinel_one");
    assert_eq!(change["by_wildcard"], true);
    assert_eq!(change["location"]["line"], 6);
    // A new behavior makes the saved plan stale.
    offer_another(&server);
    workplace
        .line("apply --plan saved.plan --auto-approve")
        .exits(4);
    assert_eq!(server.writes(), 0);
    workplace.line("drift").exits(2).says("behavior.novel");
    let enabled = || {
        let live = server.live().behaviors.into_iter();
        let enabled = live.filter(|(_, one)| one.fields.is_on(Field::Enabled));
        enabled.map(|(key, _)| key.to_string()).collect::<Vec<_>>()
    };
    // `imp_travel: null` excludes it from the wildcard and from `unlisted: disable`.
    workplace.line("apply --auto-approve").exits(0);
    assert_eq!(
        enabled(),
        ["high_dlp", "imp_travel", "novel", "sentinel_one"]
    );
    workplace.line("plan --detailed-exitcode").exits(0);
    // destroy does not disable behaviors matched only by the wildcard.
    workplace
        .line("destroy --auto-approve")
        .exits(0)
        .says("behavior.novel");
    assert_eq!(enabled(), ["imp_travel", "novel", "sentinel_one"]);
}

#[test]
fn target_and_guard_see_what_the_wildcard_covers() {
    let server = SandboxServer::start(Settings::default());
    let file = FILE.replace("{ enabled: true }", "{ enabled: false }");
    let file = file.replace("null", "{ risk_level: high }");
    let workplace = TestDir::with_file(&server, &file);
    let planned = workplace
        .line("plan --target behavior.imp_* --format json")
        .json();
    let changes = planned["accounts"][0]["changes"].as_array().unwrap();
    assert_eq!(changes.len(), 1);
    assert_eq!(changes[0]["address"], "behavior.imp_travel");
    assert_eq!(
        changes[0]["weakens"], true,
        "the wildcard is merged with the named entry"
    );
    workplace.write(
        "riskform.yaml",
        &format!("{file}guards: {{ weakening: deny }}\n"),
    );
    workplace.line("plan").exits(5);
    workplace.line("plan --allow-weakening").exits(0);
}
