//! All audit checks: passed, warnings, failed and unknown.

use riskform::doctor::AUDIT_CHECKS;
use riskform::model::context::FetchError;
use riskform::model::finding::Finding;
use serde_json::{Value, json};

use super::{World, levels, policy, sound};

/// Returns the findings of a check as lines: status, message, permission and location.
fn lines(findings: &[Finding], check: &str) -> String {
    let findings = findings.iter().filter(|finding| finding.check == check);
    let lines = findings.map(|finding| {
        let permission = finding.permission.iter();
        let permission = permission.map(|permission| format!(" [{permission}]"));
        let location = finding.location.iter();
        let location = location.map(|location| format!(" ({location})"));
        let more: String = permission.chain(location).collect();
        format!("{}: {}{more}", finding.status, finding.message)
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// Returns the IDs of all checks.
fn checks() -> impl Iterator<Item = &'static str> {
    AUDIT_CHECKS.iter().map(|(id, ..)| *id)
}

#[test]
fn sound_account_passes_every_check() {
    let world = sound();
    let findings = world.findings(&world.planned());
    let said: Vec<String> = checks().map(|check| lines(&findings, check)).collect();
    assert_eq!(
        said,
        [
            "pass: all 2 behaviors declared on are on",
            "pass: policies use medium (1), high (2)",
            "pass: every level used by a policy is assigned",
            "pass: the active integration references its Okta identity provider",
            "pass: 1 unlisted resource is not managed",
            "pass: no other drift",
            "pass: no entry is ambiguous",
        ]
    );
    assert!(findings.iter().all(|finding| finding.help.is_none()));
}

/// Makes a change of a fixture.
fn change(world: &mut World, path: &str, value: Value) {
    let unread = || {
        Some(FetchError {
            reason: "403 Forbidden".to_owned(),
            permission: value.as_str().map(str::to_owned),
        })
    };
    let Some(path) = path.strip_prefix('/') else {
        match path {
            "file" => {
                for (from, to) in value.as_object().unwrap() {
                    assert!(world.file.contains(from), "{from}");
                    world.file = world.file.replace(from, to.as_str().unwrap());
                }
            }
            "skipped" => world.skipped = serde_json::from_value(value).unwrap(),
            "access_unread" => world.access_unread = unread(),
            "providers_unread" => world.providers_unread = unread(),
            other => panic!("{other}"),
        }
        return;
    };
    let (name, rest) = path.split_once('/').unwrap_or((path, ""));
    let list = match name {
        "behaviors" => &mut world.behaviors,
        "integrations" => &mut world.integrations,
        "policies" => &mut world.policies,
        "providers" => &mut world.providers,
        other => panic!("{other}"),
    };
    let item = |item: &Value| match item.as_str().map(|text| text.split(' ').collect()) {
        Some::<Vec<_>>(words) => {
            let words: [&str; 4] = words.try_into().unwrap();
            let [name, decision, list, used] = words;
            let used: Vec<&str> = used.split(',').collect();
            policy(name, decision, list, levels(&used))
        }
        None => item.clone(),
    };
    match (rest, value.as_array()) {
        ("", Some(items)) => *list = items.iter().map(item).collect(),
        ("-", Some(items)) => list.as_array_mut().unwrap().extend(items.iter().map(item)),
        _ => *list.pointer_mut(&format!("/{rest}")).unwrap() = value,
    }
}

#[test]
fn each_check_says_what_it_finds() {
    let cases = include_str!("../../fixtures/audit/checks.yaml");
    let cases: Vec<serde_json::Map<String, Value>> = serde_yaml::from_str(cases).unwrap();
    for mut case in cases.clone() {
        let [check, expected] = ["check", "expect"].map(|name| case.remove(name).unwrap());
        let mut world = sound();
        for (path, value) in case.clone() {
            change(&mut world, &path, value);
        }
        let findings = world.findings(&world.planned());
        let found = lines(&findings, check.as_str().unwrap());
        assert_eq!(
            json!(found.lines().collect::<Vec<_>>()),
            expected,
            "{case:?}"
        );
    }
    for check in checks() {
        assert!(cases.iter().any(|case| case["check"] == check), "{check}");
    }
}

/// Many unknown levels, many policies and cyclic groups: bounded output.
#[test]
fn huge_lists_are_checked_in_time() {
    let mut world = sound();
    let policies = (0..5_000).map(|number| {
        let mut policy = policy(
            &format!("P{number}"),
            "deny",
            "include",
            levels(&[&format!("w{number}")]),
        );
        policy["include"]
            .as_array_mut()
            .unwrap()
            .push(json!({ "group": { "id": format!("g{}", number % 1_000) } }));
        policy
    });
    world.policies = policies.collect();
    let groups = (0..1_000).map(|number| {
        json!({
            "id": format!("g{number}"), "name": "G",
            "include": [{ "group": { "id": format!("g{}", (number + 1) % 1_000) } }, { "mystery": {} }, 7],
        })
    });
    world.groups = groups.collect();
    let plan = world.planned();
    let findings = world.findings(&plan);
    let levels = findings.iter().filter(|finding| finding.check == "levels");
    assert_eq!(levels.count(), 10);
    assert!(findings.iter().all(|finding| finding.message.len() < 500));
}
