//! Tests of matching, of conflicts between entries, and of unmanaged resources.

use super::*;

#[test]
fn entries_are_matched_in_three_passes() {
    let table: &[(&[&str], &[&str], &[(u128, MatchedBy)])] = &[
        (&["x: a id=2"], &["a", "b"], &[(2, MatchedBy::Id)]),
        (
            &["x: a r2"],
            &["a r1", "b r2"],
            &[(2, MatchedBy::ReferenceId)],
        ),
        (
            &["x: a r3"],
            &["a r1", "b r2"],
            &[(1, MatchedBy::TenantUrl)],
        ),
        (&["x: a id=9"], &["a"], &[(1, MatchedBy::TenantUrl)]),
        (
            &["x: a", "y: a r2 id=2"],
            &["a", "a"],
            &[(1, MatchedBy::TenantUrl), (2, MatchedBy::Id)],
        ),
        (
            &["x: a type=Okta"],
            &["a type=Entra", "a"],
            &[(2, MatchedBy::TenantUrl)],
        ),
        (&["x: a"], &["a type=Entra"], &[(1, MatchedBy::TenantUrl)]),
    ];
    for (entries, integrations, expected) in table {
        let desired = desired(entries);
        let live = account(integrations);
        let found = matches(&desired, &live);
        let found: Vec<(IntegrationId, MatchedBy)> = found
            .entries
            .iter()
            .filter_map(|entry| entry.found)
            .map(|(integration, by)| (integration.id, by))
            .collect();
        let expected: Vec<(IntegrationId, MatchedBy)> =
            expected.iter().map(|(n, by)| (id(*n), *by)).collect();
        assert_eq!(found, expected, "{entries:?} in {integrations:?}");
    }
}

#[test]
fn impossible_desired_state_is_rejected_with_names() {
    let table: &[(&[&str], &[&str], &str)] = &[
        (
            &["x: a"],
            &["a", "a"],
            "integration.x: 2 live integrations have the tenant_url https://a.test",
        ),
        (
            &["x: a r1", "y: b r1"],
            &["c r1"],
            "integration.x: the live integration with the reference_id r1 also matches integration.y",
        ),
        (
            &["x: b r1"],
            &["a r1", "b"],
            "integration.x: tenant_url https://b.test is already used by integration[00000000-0000-0000-0000-000000000002]",
        ),
        (
            &["x: b r1", "y: b id=2"],
            &["a r1", "c"],
            "integration.x: tenant_url https://b.test is already used by integration.y",
        ),
        (
            &["x: a r1", "y: b id=2 ignore=reference_id"],
            &["c", "b r1"],
            "integration.x: reference_id r1 is already used by integration.y",
        ),
    ];
    for (entries, integrations, expected) in table {
        let problems = plan(
            &desired(entries),
            &account(integrations),
            date(2026, 11, 22),
            &Options::default(),
        )
        .unwrap_err();
        assert!(
            problems
                .iter()
                .any(|problem| problem.to_string() == *expected),
            "{problems:?}"
        );
    }
}

#[test]
fn a_behavior_that_is_not_offered_is_named_with_the_nearest() {
    let mut desired = desired(&[]);
    desired
        .behaviors
        .insert(BehaviorKey::new("ipm"), behavior(Some(true), None));
    desired
        .behaviors
        .insert(BehaviorKey::new("zzzzzz"), behavior(Some(true), None));
    let errors = plan(
        &desired,
        &account(&[]),
        date(2026, 11, 22),
        &Options::default(),
    )
    .unwrap_err();
    let help: Vec<String> = errors.into_iter().map(|error| error.help).collect();
    assert_eq!(
        help,
        [
            "did you mean imp? available: dlp, edr, imp",
            "available: dlp, edr, imp"
        ]
    );
}

#[test]
fn sharing_a_key_needs_pins_on_both_sides() {
    let live = account(&["a r1", "b r2"]);
    let plan = planned(&desired(&["x: a r1 id=1", "y: a r1 id=2"]), &live);
    assert_eq!(lines(&plan), ["1 PUT 2 https://a.test r1"]);
    // A key that an entry already shares is not a conflict.
    let live = account(&["a r1", "a r1"]);
    assert!(
        planned(&desired(&["x: a r1 id=1"]), &live)
            .changes
            .is_empty()
    );
}

#[test]
fn ignored_fields_stay_until_their_last_day() {
    let live = account(&["a r1 off"]);
    for (day, ignored) in [(21, true), (22, true), (23, false)] {
        let desired = desired(&["x: a r1 ignore=active@2026-11-22"]);
        let plan = plan(&desired, &live, date(2026, 11, day), &Options::default()).unwrap();
        assert_eq!(plan.changes.is_empty(), ignored, "{day}");
        assert_eq!(plan.notes.len(), 1, "{day}");
        insta::allow_duplicates! {
            if ignored {
                insta::assert_snapshot!(plan.notes[0], @"integration.x: ignoring active (live false, declared true) until 2026-11-22");
            } else {
                insta::assert_snapshot!(plan.notes[0], @"integration.x: ignore_changes for active expired on 2026-11-22");
            }
        }
    }
    // On create there is nothing live to keep.
    let plan = planned(&desired(&["x: a off ignore=active"]), &account(&[]));
    assert_eq!(plan.operations.len(), 2);
}

#[test]
fn uuids_match_without_regard_to_letter_case() {
    const UPPER: &str = "3701E70B-5DE4-4D9D-8972-F5AA994D0001";
    const LOWER: &str = "3701e70b-5de4-4d9d-8972-f5aa994d0001";
    let own = reference("~x1").to_string().to_ascii_uppercase();
    let table = [
        (format!("x: a {UPPER}"), format!("a {LOWER}")),
        (format!("x: a {LOWER}"), format!("a {UPPER}")),
        ("x: a".to_owned(), format!("a {own}")),
    ];
    for (entry, integration) in table {
        let plan = planned(&desired(&[&entry]), &account(&[&integration]));
        assert_eq!(lines(&plan), [""; 0], "{entry} in {integration}");
    }
    // A write sends the live notation, and an item of `protected` may have either.
    let mut file = desired(&[&format!("x: a {UPPER} off")]);
    file.guards.protected = vec![ProtectedItem {
        text: UPPER.to_owned(),
        location: location(),
    }];
    let plan = planned(&file, &account(&[&format!("a {LOWER}")]));
    assert_eq!(
        lines(&plan),
        [format!("1 PUT 1 https://a.test {LOWER} off")]
    );
    assert_eq!(plan.violations.len(), 1);
    // Matched by its generated reference after its tenant changed, and shared keys are found.
    let plan = planned(&desired(&["x: b"]), &account(&[&format!("a {own}")]));
    assert_eq!(
        plan.changes[0].origin.matched_by,
        Some(MatchedBy::GeneratedReference)
    );
    let [lower, upper] = [LOWER, UPPER].map(|reference| account(&[&format!("a {reference}")]));
    assert_eq!(changes_since(&lower, &upper), []);
    // Other texts are references, too, and differ.
    let plan = planned(&desired(&["x: a R1"]), &account(&["a r1"]));
    assert_eq!(lines(&plan), ["1 PUT 1 https://a.test R1"]);
}

#[test]
fn ignored_reference_is_sent_as_it_is_live() {
    let table = [
        (
            "x: a off ignore=reference_id",
            "a",
            "1 PUT 1 https://a.test - off",
        ),
        (
            "x: a r1 off ignore=reference_id",
            "a",
            "1 PUT 1 https://a.test - off",
        ),
        (
            "x: a r1 off ignore=reference_id",
            "a r9",
            "1 PUT 1 https://a.test r9 off",
        ),
        // Expired, or created.
        (
            "x: a r1 off ignore=reference_id@2026-11-21",
            "a r9",
            "1 PUT 1 https://a.test r1 off",
        ),
        (
            "x: a off ignore=reference_id@2026-11-21",
            "a",
            "1 PUT 1 https://a.test ~x1 off",
        ),
        (
            "x: b ignore=reference_id",
            "a r9",
            "1 POST https://b.test ~x1",
        ),
    ];
    for (entry, integration, expected) in table {
        let plan = planned(&desired(&[entry]), &account(&[integration]));
        assert_eq!(lines(&plan), [expected], "{entry} in {integration}");
        if expected.contains('-')
            && let OperationKind::Update {
                fields: settings, ..
            } = &plan.operations[0].call
        {
            assert_eq!(settings.update_body().get("reference_id"), None);
        }
    }
}

#[test]
fn ties_are_broken_by_tenant_and_by_generated_reference() {
    let table: &[(&str, &[&str], Option<u128>)] = &[
        // Equal references: the entry's tenant and type decide.
        ("x: a r1", &["b r1", "a r1", "c r1"], Some(2)),
        ("x: a r1 type=Okta", &["a r1 type=Entra", "a r1"], Some(2)),
        ("x: a r1", &["b r1", "c r1"], None),
        ("x: a r1", &["a r1 type=Entra", "a r1"], None),
        // Equal tenants: the entry's generated reference decides.
        ("x: a", &["a r1", "a ~x1", "a r2"], Some(2)),
        ("x: a", &["a", "a ~x2"], Some(2)),
        ("x: a", &["a ~y1", "a r2"], None),
        ("x: a", &["a ~x1", "a ~x2"], None),
    ];
    for (entry, integrations, expected) in table {
        let (desired, live) = (desired(&[entry]), account(integrations));
        let found = matches(&desired, &live);
        let entries = found.entries.iter();
        let ids: Vec<IntegrationId> = entries.filter_map(|one| Some(one.found?.0.id)).collect();
        let expected: Vec<IntegrationId> = expected.iter().map(|n| id(*n)).collect();
        assert_eq!(ids, expected, "{entry} in {integrations:?}");
        assert_eq!(found.errors.is_empty(), !expected.is_empty(), "{entry}");
    }
}

/// With an ambiguous entry, the rest of the account is planned, and its candidates are not deleted.
#[test]
fn ambiguity_concerns_only_its_entries() {
    let table: &[(&[&str], &[&str], &[&str], &[u128], &[u128])] = &[
        (
            &["x: a", "y: b off"],
            &["a r1", "a r2", "b r3", "c r4"],
            &["x"],
            &[1, 2],
            &[4],
        ),
        (
            &["x: a r1", "y: b r1"],
            &["c r1", "d r2"],
            &["x", "y"],
            &[1, 1],
            &[2],
        ),
        // A candidate matches another entry in a later pass.
        (
            &["x: a r1", "y: b"],
            &["b r1", "c r1"],
            &["x", "y"],
            &[1, 2, 1],
            &[],
        ),
        (
            &["x: a", "y: c"],
            &["a r1", "a ~y1"],
            &["x", "y"],
            &[1, 2, 2],
            &[],
        ),
    ];
    for (entries, integrations, ambiguous, candidates, unlisted) in table {
        let mut file = desired(entries);
        file.unlisted.integrations = UnlistedPolicy::Delete;
        file.behaviors
            .insert(BehaviorKey::new("dlp"), behavior(Some(false), None));
        let live = account(integrations);
        for purpose in [Purpose::Apply, Purpose::Destroy] {
            let what = format!("{entries:?} in {integrations:?}, {purpose}");
            let options = Options {
                purpose,
                ..Options::default()
            };
            let (file, live) = (Arc::new(file.clone()), Arc::new(live.clone()));
            let plan = crate::plan::plan(
                &file,
                &live,
                &Context::default(),
                date(2026, 11, 22),
                &options,
            );
            assert_eq!(plan.status, Status::Ambiguous, "{what}");
            let names: Vec<String> = plan
                .errors
                .iter()
                .map(|one| one.address.to_string())
                .collect();
            let expected: Vec<String> = ambiguous
                .iter()
                .map(|name| format!("integration.{name}"))
                .collect();
            assert_eq!(names, expected, "{what}");
            let found = plan.errors.iter().flat_map(|error| &error.candidates);
            let found: Vec<IntegrationId> = found.map(|one| one.id).collect();
            let ids = |numbers: &[u128]| -> Vec<IntegrationId> {
                numbers.iter().map(|n| id(*n)).collect()
            };
            assert_eq!(found, ids(candidates), "{what}");
            assert!(
                plan.changes.iter().any(|one| one.kind == Kind::Behavior),
                "{what}"
            );
            let gone = plan.operations.iter().filter_map(|one| match one.call {
                OperationKind::Delete { id } => Some(id),
                _ => None,
            });
            let gone: Vec<IntegrationId> = gone.collect();
            assert!(
                gone.iter().all(|id| !found.contains(id)),
                "{what}: {gone:?}"
            );
            match purpose {
                Purpose::Apply => {
                    assert!(
                        plan.operations.is_empty() && !plan.is_applicable(),
                        "{what}"
                    );
                    let deleted = plan
                        .changes
                        .iter()
                        .filter(|one| one.action == Action::Delete);
                    let deleted: Vec<IntegrationId> = deleted
                        .filter_map(|one| one.origin.integration_id)
                        .collect();
                    assert_eq!(deleted, ids(unlisted), "{what}");
                }
                Purpose::Destroy | Purpose::Drift => assert!(plan.is_applicable(), "{what}"),
            }
        }
    }
}

#[test]
fn untargeted_entry_is_not_ambiguous() {
    let live = account(&["a r1", "a r2", "b r3"]);
    let mut options = Options::default();
    options.targets.push(Glob::new("integration.y"));
    let plan = plan(
        &desired(&["x: a", "y: b off"]),
        &live,
        date(2026, 11, 22),
        &options,
    )
    .unwrap();
    assert_eq!(lines(&plan), ["1 PUT 3 https://b.test r3 off"]);
}

#[test]
fn missing_pin_names_the_id_to_pin_instead() {
    let table = [
        (
            "x: a id=9",
            "pinned id 00000000-0000-0000-0000-000000000009 not found; using 00000000-0000-0000-0000-000000000001; update the entry: `id: 00000000-0000-0000-0000-000000000001`",
        ),
        (
            "x: b id=9",
            "no other integration matches; remove `id:` or update it",
        ),
    ];
    for (entry, expected) in table {
        let plan = planned(&desired(&[entry]), &account(&["a"]));
        assert!(
            plan.notes[0].to_string().ends_with(expected),
            "{}",
            plan.notes[0]
        );
    }
}
