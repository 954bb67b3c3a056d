//! The wildcard entry `"*"` for all behaviors that the file does not name, with the real program.

use riskform::model::behavior::{Behavior, BehaviorKey, BehaviorSettings, RiskLevel};
use riskform::model::open_enum::OpenEnum;
use riskform::sandbox::{RECORDED_ACCOUNT, Settings};
use serde_json::Value;

use crate::riskform::{SandboxServer, TestDir};

/// `high_dlp` is as recorded, `imp_travel` is unmanaged, and all others are enabled.
const STAR: &str = "\
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
        settings: BehaviorSettings {
            enabled: false,
            risk_level: OpenEnum::Known(RiskLevel::Low),
        },
    };
    let account = RECORDED_ACCOUNT.parse().unwrap();
    let offer = |account: &mut riskform::sandbox::Account| {
        account.behaviors.insert(BehaviorKey::new("novel"), another)
    };
    server.sandbox.edit(&account, offer).unwrap();
}

#[test]
fn it_covers_what_the_file_does_not_name_and_says_so() {
    let server = SandboxServer::start(Settings::default());
    let workplace = TestDir::with(&server);
    workplace.write("riskform.yaml", STAR);
    assert_eq!(workplace.run(&["plan", "--out", "saved.plan"]).code, 0);
    let json: Value =
        serde_json::from_str(&workplace.run(&["plan", "--format", "json"]).stdout).unwrap();
    let change = &json["accounts"][0]["changes"][0];
    assert_eq!(change["address"], "behavior.sentinel_one");
    assert_eq!(change["declared_by"], "wildcard");
    assert_eq!(change["location"]["line"], 6);

    // A new behavior makes the saved plan stale.
    offer_another(&server);
    let stale = workplace.run(&["apply", "--plan", "saved.plan", "--auto-approve"]);
    assert_eq!(stale.code, 4, "{}", stale.stderr);
    assert_eq!(server.writes(), 0);
    let drift = workplace.run(&["drift"]);
    assert_eq!(drift.code, 2);
    assert!(drift.stdout.contains("behavior.novel"), "{}", drift.stdout);

    // `imp_travel: null` excludes it from the wildcard and from `unlisted: disable`.
    assert_eq!(workplace.run(&["apply", "--auto-approve"]).code, 0);
    let live = server.sandbox.live(&RECORDED_ACCOUNT.parse().unwrap());
    let on = |key: &str| live.behaviors[&BehaviorKey::new(key)].settings.enabled;
    assert!(on("sentinel_one") && on("novel") && on("imp_travel"));
    assert_eq!(workplace.run(&["plan", "--detailed-exitcode"]).code, 0);

    // destroy does not disable behaviors matched only by the wildcard.
    let destroyed = workplace.run(&["destroy", "--auto-approve"]);
    assert_eq!(destroyed.code, 0, "{}", destroyed.stderr);
    assert!(
        destroyed.stdout.contains("behavior.novel"),
        "{}",
        destroyed.stdout
    );
    let live = server.sandbox.live(&RECORDED_ACCOUNT.parse().unwrap());
    let on = |key: &str| live.behaviors[&BehaviorKey::new(key)].settings.enabled;
    assert!(on("sentinel_one") && on("novel") && !on("high_dlp"));
}

#[test]
fn a_target_may_name_what_the_star_covers_and_a_guard_sees_it() {
    let server = SandboxServer::start(Settings::default());
    let workplace = TestDir::with(&server);
    let file = STAR.replace("{ enabled: true }", "{ enabled: false }");
    workplace.write(
        "riskform.yaml",
        &file.replace("null", "{ risk_level: high }"),
    );
    offer_another(&server);
    let plan = workplace.run(&["plan", "--target", "behavior.imp_*", "--format", "json"]);
    let json: Value = serde_json::from_str(&plan.stdout).unwrap();
    let changes = json["accounts"][0]["changes"].as_array().unwrap();
    assert_eq!(changes.len(), 1);
    assert_eq!(
        (&changes[0]["address"], &changes[0]["weakens"]),
        (&"behavior.imp_travel".into(), &true.into()),
        "the star is laid beneath a named entry, field by field"
    );
    let denied = file.replace(
        "integrations: keep }",
        "integrations: keep }\nguards: { weakening: deny }",
    );
    workplace.write(
        "riskform.yaml",
        &denied.replace("null", "{ risk_level: high }"),
    );
    assert_eq!(workplace.run(&["plan"]).code, 5);
    assert_eq!(workplace.run(&["plan", "--allow-weakening"]).code, 0);
}
