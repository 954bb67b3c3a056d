//! Tests of the operations of a plan and their order.

use super::*;

#[test]
fn operations_come_in_a_safe_order() {
    let table: &[(&str, &[&str], &[&str], &[&str])] = &[
        ("nothing to do", &["x: a r1"], &["a r1"], &[]),
        ("create", &["x: a r1"], &[], &["1 POST https://a.test r1"]),
        (
            "an inactive one is created and then deactivated",
            &["x: a off"],
            &[],
            &[
                "1 POST https://a.test ~x1",
                "2 PUT {result:1} https://a.test ~x1 off [needs 1]",
            ],
        ),
        (
            "an update sends all three fields, so that the reference is kept",
            &["x: a off"],
            &["a r1"],
            &["1 PUT 1 https://a.test r1 off"],
        ),
        (
            "creates, then updates, then deletes",
            &["u: b off", "c: c"],
            &["a", "b"],
            &[
                "1 POST https://c.test ~c1",
                "2 PUT 2 https://b.test ~u1 off",
                "3 DELETE 1",
            ],
        ),
        (
            "what frees a tenant goes before what takes it",
            &["c: a r9", "u: b r1"],
            &["a r1"],
            &[
                "1 PUT 1 https://b.test r1",
                "2 POST https://a.test r9 [needs 1]",
            ],
        ),
        (
            "a delete that frees goes first",
            &["u: b r1"],
            &["a r1", "b"],
            &["1 DELETE 2", "2 PUT 1 https://b.test r1 [needs 1]"],
        ),
        (
            "a chain is unrolled from its end",
            &["x: b r1", "y: c r2", "z: d r3"],
            &["a r1", "b r2", "c r3"],
            &[
                "1 PUT 3 https://d.test r3",
                "2 PUT 2 https://c.test r2 [needs 1]",
                "3 PUT 1 https://b.test r1 [needs 2]",
            ],
        ),
        (
            "two that swap tenants: one is parked, and keeps its reference",
            &["x: b r1", "y: a r2"],
            &["a r1", "b r2 off"],
            &[
                "1 PUT 1 https://00000000-0000-0000-0000-000000000001.parked.invalid r1",
                "2 PUT 2 https://a.test r2 [needs 1]",
                "3 PUT 1 https://b.test r1 [needs 1,2]",
            ],
        ),
        (
            "two pinned ones that swap references: one is parked at a reference nobody can have",
            &["x: a r2 id=1", "y: b r1 id=2"],
            &["a r1", "b r2"],
            &[
                "1 PUT 1 https://a.test parked",
                "2 PUT 2 https://b.test r1 [needs 1]",
                "3 PUT 1 https://a.test r2 [needs 1,2]",
            ],
        ),
        (
            "a parked one that is inactive stays inactive",
            &["x: b r1 off", "y: a r2 off"],
            &["a r1 off", "b r2 off"],
            &[
                "1 PUT 1 https://00000000-0000-0000-0000-000000000001.parked.invalid r1 off",
                "2 PUT 2 https://a.test r2 off [needs 1]",
                "3 PUT 1 https://b.test r1 off [needs 1,2]",
            ],
        ),
        (
            "both keys swapped",
            &["x: b r2 id=1", "y: a r1 id=2"],
            &["a r1", "b r2"],
            &[
                "1 PUT 1 https://a.test parked",
                "2 PUT 1 https://00000000-0000-0000-0000-000000000001.parked.invalid parked [needs 1]",
                "3 PUT 2 https://a.test r1 [needs 1,2]",
                "4 PUT 1 https://b.test r2 [needs 2,3]",
            ],
        ),
        (
            "a ring of three",
            &["x: b r1", "y: c r2", "z: a r3"],
            &["a r1", "b r2", "c r3"],
            &[
                "1 PUT 1 https://00000000-0000-0000-0000-000000000001.parked.invalid r1",
                "2 PUT 3 https://a.test r3 [needs 1]",
                "3 PUT 2 https://c.test r2 [needs 2]",
                "4 PUT 1 https://b.test r1 [needs 1,3]",
            ],
        ),
        (
            "another type is a replacement: deleted before it is created",
            &["x: a r1 type=Okta"],
            &["a r1 type=Entra"],
            &["1 DELETE 1", "2 POST https://a.test r1 [needs 1]"],
        ),
        (
            "a pinned replacement deletes first even where no key is contested",
            &["x: b r2 id=1 type=Okta"],
            &["a r1 type=Entra"],
            &["1 DELETE 1", "2 POST https://b.test r2 [needs 1]"],
        ),
        (
            "a slash and a capital are no difference",
            &["x: A"],
            &["a"],
            &[],
        ),
    ];
    for (name, entries, integrations, expected) in table {
        let mut desired = desired(entries);
        desired.unlisted.integrations = UnlistedPolicy::Delete;
        let plan = planned(&desired, &account(integrations));
        assert_eq!(lines(&plan), *expected, "{name}");
    }
}

#[test]
fn behaviors_are_one_write_of_the_complete_map() {
    let live = account(&[]);
    let table = [
        (vec![("dlp", Some(true), Some(RiskLevel::Medium))], vec![]),
        (
            vec![
                ("edr", Some(true), None),
                ("dlp", None, Some(RiskLevel::High)),
            ],
            vec!["1 PUT behaviors dlp=true/high edr=true/medium imp=true/extreme"],
        ),
        (
            vec![("imp", None, Some(RiskLevel::High))],
            vec!["1 PUT behaviors dlp=true/medium edr=false/medium imp=true/high"],
        ),
    ];
    for (declared, expected) in table {
        let mut desired = desired(&[]);
        for (key, enabled, level) in declared {
            desired
                .behaviors
                .insert(BehaviorKey::new(key), behavior(enabled, level));
        }
        assert_eq!(lines(&planned(&desired, &live)), expected);
    }

    let mut desired = desired(&[]);
    desired
        .behaviors
        .insert(BehaviorKey::new("edr"), behavior(Some(true), None));
    desired.unlisted.behaviors = UnlistedPolicy::Disable;
    assert_eq!(
        lines(&planned(&desired, &live)),
        ["1 PUT behaviors dlp=false/medium edr=true/medium imp=false/extreme"]
    );
}

#[test]
fn destroy_touches_only_what_is_listed() {
    let mut desired = desired(&["x: a"]);
    desired.unlisted.integrations = UnlistedPolicy::Delete;
    desired.unlisted.behaviors = UnlistedPolicy::Disable;
    desired
        .behaviors
        .insert(BehaviorKey::new("dlp"), behavior(Some(true), None));
    let options = Options {
        purpose: Purpose::Destroy,
        ..Options::default()
    };
    let live = account(&["a", "b"]);
    let plan = plan(&desired, &live, date(2026, 11, 22), &options).unwrap();
    assert_eq!(
        lines(&plan),
        [
            "1 PUT behaviors dlp=false/medium edr=false/medium imp=true/extreme",
            "2 DELETE 1"
        ]
    );
}

#[test]
fn each_operation_says_what_it_changes_from_where_the_one_before_ended() {
    let mut desired = desired(&["x: b r1", "y: a r2", "z: c off"]);
    desired
        .behaviors
        .insert(BehaviorKey::new("edr"), behavior(Some(true), None));
    let plan = planned(&desired, &account(&["a r1", "b r2 off"]));
    let value = |value: &Option<FieldValue>| match value {
        Some(value) => value.to_string(),
        None => "-".to_owned(),
    };
    let told: Vec<String> = plan
        .operations
        .iter()
        .flat_map(|one| one.effects.iter().map(move |effect| (one.id, effect)))
        .map(
            |(
                id,
                Change {
                    address, fields, ..
                },
            )| {
                let fields = fields.iter().map(|change| {
                    let (before, after) = (value(&change.before), value(&change.after));
                    format!(" {} {before} > {after}", change.field)
                });
                format!("{id} {address}{}", fields.collect::<String>())
            },
        )
        .collect();
    insta::assert_snapshot!(told.join("\n"), @r"
    1 behavior.edr enabled false > true
    2 integration.z integration_type - > Okta tenant_url - > https://c.test reference_id - > d2ecae42-c671-4dd6-99c5-7f2f349079ed active - > true
    3 integration.z active true > false
    4 integration.x tenant_url https://a.test > https://00000000-0000-0000-0000-000000000001.parked.invalid
    5 integration.y tenant_url https://b.test > https://a.test active false > true
    6 integration.x tenant_url https://00000000-0000-0000-0000-000000000001.parked.invalid > https://b.test
    ");
}
