//! Saved plans.

use serde_json::{Value, json};

use super::*;

/// Returns a saved plan with every kind of operation and an account that failed.
fn saved() -> SavedPlan {
    let mut desired = desired(&[
        "x: b r2 id=1",
        "y: a r1 id=2",
        "new: n off",
        "kept: k ignore=active@2027-01-01",
        "late: l id=77 ignore=active@2020-01-01",
    ]);
    desired.unlisted.integrations = UnlistedPolicy::Delete;
    desired.guards.max_deletes = 5;
    desired
        .behaviors
        .insert(BehaviorKey::new("dlp"), behavior(Some(false), None));
    desired.behaviors.insert(
        BehaviorKey::new("imp"),
        behavior(None, Some(RiskLevel::High)),
    );
    let live = account(&["a r1", "b r2", "k off", "gone1", "gone2", "l off"]);
    let planned = planned(&desired, &live);
    assert!(planned.operations.len() >= 5 && planned.violations.is_empty());
    let error = AccountError {
        kind: FailureKind::Api,
        message: "no".into(),
        cf_ray: None,
        help: None,
    };
    desired.account_id = "1".repeat(32).parse().unwrap();
    let accounts = vec![planned, AccountPlan::failed(&desired, error)];
    let base_url = "https://api.test".to_owned();
    let created_at = "2026-11-22T00:00:00Z".parse().unwrap();
    let run = Run::new(Format::Plan, base_url, accounts, created_at);
    SavedPlan::new(&run, date(2026, 11, 22), &Options::default())
}

#[test]
fn saved_plan_round_trips() {
    let plan = saved();
    let text = plan.to_json();
    assert_eq!(SavedPlan::from_json(&text).as_ref(), Ok(&plan));
    // The time of writing is outside the digest.
    let mut later = plan.clone();
    later.created_at = "2027-01-01T00:00:00Z".parse().unwrap();
    assert_eq!(later.digest(), plan.digest());
    let refused = |text: &str| SavedPlan::from_json(text).unwrap_err();
    let damaged = text.replacen("\"max_deletes\":5", "\"max_deletes\":6", 1);
    let message = refused(&damaged).to_string();
    assert!(message.contains("digest mismatch"), "{message}");
    let newer = text.replacen("saved-plan/1", "saved-plan/2", 1);
    let unknown = SavedPlanError::UnknownFormat("riskform.saved-plan/2".to_owned());
    assert_eq!(refused(&newer), unknown);
    let truncated = refused(&text[..text.len() / 2]);
    assert!(
        truncated
            .to_string()
            .starts_with("not a valid saved plan: EOF"),
        "{truncated}"
    );
}

#[test]
fn digest_is_sha256_of_sorted_compact_json() {
    let mut document: Value = serde_json::from_str(&saved().to_json()).unwrap();
    let digest = document.as_object_mut().unwrap().remove("digest");
    document.as_object_mut().unwrap().remove("created_at");
    // Fails if a dependency enables `preserve_order` of serde_json.
    let unsorted: Value = serde_json::from_str(r#"{"b":1,"a":{"d":1,"c":1}}"#).unwrap();
    assert_eq!(unsorted.to_string(), r#"{"a":{"c":1,"d":1},"b":1}"#);
    assert_eq!(digest, Some(json!(sha256(&document))));
}

/// Returns an edited document with a matching digest.
fn with_digest(mut document: Value) -> String {
    let members = document.as_object_mut().unwrap();
    let created_at = members.remove("created_at");
    members.remove("digest");
    document["digest"] = json!(sha256(&document));
    document["created_at"] = created_at.unwrap_or_default();
    document.to_string()
}

/// Returns the JSON pointers of all values.
fn pointers(value: &Value, at: String, all: &mut Vec<String>) {
    match value {
        Value::Object(members) => {
            for (name, member) in members {
                let name = name.replace('~', "~0").replace('/', "~1");
                pointers(member, format!("{at}/{name}"), all);
            }
        }
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                pointers(item, format!("{at}/{index}"), all);
            }
        }
        _ => {}
    }
    all.push(at);
}

#[test]
fn saved_plan_rejects_extra_members() {
    let document: Value = serde_json::from_str(&saved().to_json()).unwrap();
    let mut all = Vec::new();
    pointers(&document, String::new(), &mut all);
    let mut objects = 0;
    for place in all {
        // A key of these maps is a name, not a member.
        let is_map = ["/behaviors", "/integrations", "/unmanaged", "/variables"]
            .iter()
            .any(|map| place.ends_with(map));
        if is_map || !document.pointer(&place).unwrap().is_object() {
            continue;
        }
        objects += 1;
        // Members of result documents, and an unknown member.
        for (name, value) in [
            ("error", json!({ "kind": "entitlement", "message": "no" })),
            ("status", json!("error")),
            ("operations", json!([])),
            ("extra", Value::Null),
        ] {
            let mut edited = document.clone();
            let object = edited.pointer_mut(&place).unwrap();
            object
                .as_object_mut()
                .unwrap()
                .insert(name.to_owned(), value);
            let error = SavedPlan::from_json(&with_digest(edited)).unwrap_err();
            let is_named = error.to_string().contains(name);
            assert!(is_named, "{place}: {error}");
        }
    }
    assert!(objects > 20, "{objects}");
}

/// Returns replacements for a value.
fn replacements(value: &Value) -> Vec<Value> {
    let mut others = vec![Value::Null, json!({}), json!([])];
    match value {
        Value::Bool(value) => others.push(json!(!value)),
        Value::Number(number) => {
            let number = number.as_u64().unwrap_or_default();
            others.extend([json!(number + 1), json!(0), json!(-1), json!(1e300)]);
        }
        Value::String(text) => {
            others.push(json!(format!("{text}x")));
            let words = [
                "",
                "delete",
                "destroy",
                "low",
                "gone1",
                "GH_TOKEN",
                "https://evil.okta.com",
                "00000003-0000-4000-8000-000000000000",
                "2099-01-01",
            ];
            others.extend(words.map(Value::from));
        }
        Value::Array(items) => {
            others.extend(items.get(1..).map(|rest| json!(rest)));
            others.push(json!([items.as_slice(), items.as_slice()].concat()));
        }
        Value::Null => others.extend([json!(9), json!(true), json!("x")]),
        Value::Object(_) => {}
    }
    others.retain(|other| other != value);
    others
}

/// After any edit, the plan is rejected, or `show` and `apply` read the same inputs and so plan the same requests.
#[test]
fn edited_saved_plan_applies_what_it_shows() {
    let document: Value = serde_json::from_str(&saved().to_json()).unwrap();
    let mut all = Vec::new();
    pointers(&document, String::new(), &mut all);
    let (mut rejected, mut planned) = (0, 0);
    for place in all
        .iter()
        .filter(|place| !matches!(place.as_str(), "" | "/digest"))
    {
        for other in replacements(document.pointer(place).unwrap()) {
            let mut edited = document.clone();
            *edited.pointer_mut(place).unwrap() = other.clone();
            let text = with_digest(edited.clone());
            let plan = SavedPlan::from_json(&text);
            let run = SavedPlan::from_json(&text).and_then(|plan| plan.plan(&Arc::default()));
            let Ok(run) = run else {
                rejected += 1;
                continue;
            };
            planned += 1;
            let plan = plan.unwrap();
            // The inputs are all that the file holds, and every request belongs to a change that is shown.
            assert_eq!(
                SavedPlan::new(&run, plan.today, &plan.options),
                plan,
                "{place}"
            );
            for account in &run.accounts {
                let shown: Vec<&Address> = account
                    .changes
                    .iter()
                    .map(|change| &change.address)
                    .collect();
                let mut sent = account.operations.iter().flat_map(|one| &one.addresses);
                assert!(sent.all(|one| shown.contains(&one)), "{place} = {other}");
                let token = account
                    .desired
                    .iter()
                    .find_map(|one| one.api_token_env.as_ref());
                assert!(token.is_none_or(|name| name.starts_with("CLOUDFLARE_")));
            }
        }
    }
    assert!(
        rejected > 500 && planned > 100,
        "{rejected} rejected, {planned} planned"
    );
}

#[test]
fn saved_plan_declares_only_what_files_can() {
    let base: Value = serde_json::from_str(&saved().to_json()).unwrap();
    let desired = "/accounts/0/desired";
    let place = json!({ "file": "a.yaml", "line": 1, "column": 1 });
    let table = [
        (
            "/api_token_env",
            json!("GITHUB_TOKEN"),
            "api_token_env must name a variable",
        ),
        (
            "/behaviors/dlp/enabled",
            Value::Null,
            "unexpected member or value at accounts.0.desired.behaviors.dlp.enabled",
        ),
        ("/unmanaged", json!({ "a": place }), "null needs"),
        (
            "/integrations/new/tenant_url",
            json!("http://127.0.0.1"),
            "invalid tenant URL",
        ),
        (
            "/integrations/new/reference_id",
            json!("a\u{3164}b"),
            "an invisible character",
        ),
        (
            "/integrations/new/reference_id",
            json!("r1"),
            "integration.new and integration.y have the same reference_id",
        ),
        (
            "/integrations/y/id",
            json!("00000000-0000-0000-0000-000000000001"),
            "have the same id",
        ),
        (
            "/guards/protected",
            json!([{ "text": "", "location": place }]),
            "invalid item of guards.protected",
        ),
        ("/source", json!("a\u{200b}.yaml"), "invalid source"),
        ("/account_id", json!("1".repeat(32)), "is declared twice"),
    ];
    for (member, value, message) in table {
        let mut edited = base.clone();
        let (parent, name) = member.rsplit_once('/').unwrap();
        let parent = edited.pointer_mut(&format!("{desired}{parent}")).unwrap();
        parent
            .as_object_mut()
            .unwrap()
            .insert(name.to_owned(), value);
        let error = SavedPlan::from_json(&with_digest(edited)).unwrap_err();
        assert!(error.to_string().contains(message), "{member}: {error}");
    }
}
