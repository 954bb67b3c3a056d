//! Small worlds, planned. A world is a few lines of text: `name: tenant reference [options]` for entries and live integrations.

use std::collections::BTreeMap;

use jiff::civil::date;

use crate::model::account::{
    DesiredAccount, LiveAccount, Protected, Unlisted, UnlistedBehaviors, UnlistedIntegrations,
    WeakeningPolicy,
};
use crate::model::behavior::{Behavior, BehaviorKey, BehaviorSettings, DesiredBehavior, RiskLevel};
use crate::model::integration::{
    DesiredIntegration, DesiredReference, IgnoreChange, Integration, IntegrationId,
    IntegrationSettings, IntegrationType, ReferenceId, TenantUrl,
};
use crate::model::location::Location;
use crate::model::open_word::OpenWord;

use super::document::{Document, InvalidDocument};
use super::{
    AccountError, AccountPlan, Call, FailureKind, Glob, Guard, Intent, MatchedBy, Operation,
    Options, Plan, PlannedAccount, Problem, Subject, matches, plan,
};

fn location() -> Location {
    Location {
        file: "test.yaml".into(),
        line: 1,
        column: 1,
    }
}

/// The id of the live integration number `n`.
fn id(n: u128) -> IntegrationId {
    uuid::Uuid::from_u128(n).into()
}

/// `tenant [reference] [off] [type=X]`, e.g. `a r1 off`.
fn live(n: u128, text: &str) -> Integration {
    let mut words = text.split_whitespace();
    let mut integration = Integration {
        id: id(n),
        account_tag: "tag".into(),
        created_at: "2026-01-01T00:00:00Z".into(),
        well_known_url: String::new(),
        settings: IntegrationSettings {
            integration_type: IntegrationType::Okta.into(),
            tenant_url: TenantUrl::from_live(format!("https://{}.test", words.next().unwrap())),
            reference_id: None,
            active: true,
        },
    };
    for word in words {
        match word.strip_prefix("type=") {
            Some(kind) => integration.settings.integration_type = OpenWord::read(kind),
            None if word == "off" => integration.settings.active = false,
            None => integration.settings.reference_id = ReferenceId::new(word),
        }
    }
    integration
}

/// `name: tenant [reference|none] [off] [id=N] [prevent] [ignore=field[@date]] [type=Okta]`.
fn entry(text: &str) -> DesiredIntegration {
    let (name, rest) = text.split_once(": ").unwrap();
    let mut words = rest.split_whitespace();
    let tenant = words.next().unwrap();
    let mut entry = DesiredIntegration {
        name: name.parse().unwrap(),
        integration_type: None,
        tenant_url: format!("https://{tenant}.test").parse().unwrap(),
        reference_id: DesiredReference::Keep,
        active: true,
        id: None,
        lifecycle: Default::default(),
        location: location(),
    };
    for word in words {
        match word.split_once('=') {
            Some(("id", n)) => entry.id = Some(id(n.parse().unwrap())),
            Some(("type", kind)) => entry.integration_type = Some(kind.parse().unwrap()),
            Some(("ignore", field)) => {
                let (field, until) = field
                    .split_once('@')
                    .map_or((field, None), |(f, u)| (f, Some(u)));
                entry.lifecycle.ignore_changes.push(IgnoreChange {
                    field: field.parse().unwrap(),
                    until: until.map(|until| until.parse().unwrap()),
                    reason: None,
                    location: location(),
                });
            }
            Some(_) => panic!("unknown option {word}"),
            None if word == "off" => entry.active = false,
            None if word == "prevent" => entry.lifecycle.prevent_destroy = true,
            None if word == "none" => entry.reference_id = DesiredReference::Clear,
            None => entry.reference_id = DesiredReference::Set(ReferenceId::new(word).unwrap()),
        }
    }
    entry
}

fn desired(entries: &[&str]) -> DesiredAccount {
    DesiredAccount {
        account_id: "f037e56e89293a057740de681ac9abbe".parse().unwrap(),
        name: None,
        source: "test.yaml".into(),
        api_token_env: None,
        behaviors: BTreeMap::new(),
        integrations: entries
            .iter()
            .map(|text| entry(text))
            .map(|entry| (entry.name.clone(), entry))
            .collect(),
        unlisted: Unlisted::default(),
        guards: Default::default(),
    }
}

fn account(integrations: &[&str]) -> LiveAccount {
    let integrations = integrations
        .iter()
        .enumerate()
        .map(|(index, text)| live(index as u128 + 1, text))
        .collect();
    let behaviors = [
        ("dlp", true, "medium"),
        ("edr", false, "medium"),
        ("imp", true, "extreme"),
    ]
    .map(|(key, enabled, level)| {
        let behavior = Behavior {
            name: key.to_uppercase(),
            description: String::new(),
            settings: BehaviorSettings {
                enabled,
                risk_level: OpenWord::read(level),
            },
        };
        (BehaviorKey::new(key), behavior)
    });
    LiveAccount::new(behaviors.into(), integrations)
}

fn behavior(enabled: Option<bool>, risk_level: Option<RiskLevel>) -> DesiredBehavior {
    DesiredBehavior {
        enabled,
        risk_level,
        location: location(),
    }
}

fn planned(desired: &DesiredAccount, live: &LiveAccount) -> AccountPlan {
    plan(desired, live, date(2026, 11, 22), &Options::default()).unwrap()
}

/// One line an operation: `1 PUT 2 https://b.test r1 [needs 3]`, with the live integration's number.
fn lines(plan: &AccountPlan) -> Vec<String> {
    plan.operations.iter().map(line).collect()
}

fn line(operation: &Operation) -> String {
    let number = |id: &IntegrationId| id.to_string().trim_start_matches(['0', '-']).to_owned();
    let settings = |settings: &IntegrationSettings| {
        let reference = settings
            .reference_id
            .as_ref()
            .map_or("-", ReferenceId::as_str);
        let active = if settings.active { "" } else { " off" };
        format!("{} {reference}{active}", settings.tenant_url)
    };
    let call = match &operation.call {
        Call::WriteBehaviors { complete, .. } => {
            let all: Vec<String> = complete
                .iter()
                .map(|(key, s)| format!("{key}={}/{}", s.enabled, s.risk_level))
                .collect();
            format!("PUT behaviors {}", all.join(" "))
        }
        Call::Create { settings: s } => format!("POST {}", settings(s)),
        Call::Update {
            subject: Subject::Live(id),
            settings: s,
        } => format!("PUT {} {}", number(id), settings(s)),
        Call::Update {
            subject,
            settings: s,
        } => format!("PUT {subject} {}", settings(s)),
        Call::Delete { id } => format!("DELETE {}", number(id)),
    };
    let needs: Vec<String> = operation.needs.iter().map(ToString::to_string).collect();
    if needs.is_empty() {
        format!("{} {call}", operation.id)
    } else {
        format!("{} {call} [needs {}]", operation.id, needs.join(","))
    }
}

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
                "1 POST https://a.test -",
                "2 PUT {result:1} https://a.test - off [needs 1]",
            ],
        ),
        (
            "an update sends all three fields, so that the reference is kept",
            &["x: a off"],
            &["a r1"],
            &["1 PUT 1 https://a.test r1 off"],
        ),
        (
            "a reference is cleared by null alone",
            &["x: a none"],
            &["a r1"],
            &["1 PUT 1 https://a.test -"],
        ),
        (
            "creates, then updates, then deletes",
            &["u: b off", "c: c"],
            &["a", "b"],
            &[
                "1 POST https://c.test -",
                "2 PUT 2 https://b.test - off",
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
            "two pinned ones that swap references: one is parked without a reference",
            &["x: a r2 id=1", "y: b r1 id=2"],
            &["a r1", "b r2"],
            &[
                "1 PUT 1 https://a.test -",
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
                "1 PUT 1 https://a.test -",
                "2 PUT 1 https://00000000-0000-0000-0000-000000000001.parked.invalid - [needs 1]",
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
        desired.unlisted.integrations = UnlistedIntegrations::Delete;
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
    desired.unlisted.behaviors = UnlistedBehaviors::Disable;
    assert_eq!(
        lines(&planned(&desired, &live)),
        ["1 PUT behaviors dlp=false/medium edr=true/medium imp=false/extreme"]
    );
}

#[test]
fn weakening_and_its_mirror_image() {
    let mut desired = desired(&["gone: a", "renamed: c r2", "off: d off"]);
    desired.unlisted.integrations = UnlistedIntegrations::Delete;
    desired.behaviors = [
        (
            BehaviorKey::new("dlp"),
            behavior(None, Some(RiskLevel::Low)),
        ),
        (
            BehaviorKey::new("edr"),
            behavior(Some(true), Some(RiskLevel::Low)),
        ),
        (
            BehaviorKey::new("imp"),
            behavior(None, Some(RiskLevel::High)),
        ),
    ]
    .into();
    let plan = planned(&desired, &account(&["b r2", "d", "x"]));
    let shown: Vec<String> = plan
        .changes
        .iter()
        .map(|change| {
            let text = |w: Option<super::Weakening>| w.map_or("-".to_owned(), |w| w.to_string());
            format!(
                "{}: {} | {}",
                change.address,
                text(change.weakens),
                text(change.live_weaker)
            )
        })
        .collect();
    assert_eq!(
        shown,
        [
            "behavior.dlp: lowered | -",
            "behavior.edr: - | disabled",
            "behavior.imp: level unknown | level unknown",
            "integration.gone: - | deleted",
            "integration.off: deactivated | -",
            "integration.renamed: tenant_url changed | tenant_url changed",
            "integration[00000000-0000-0000-0000-000000000003]: deleted | -",
        ]
    );
}

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
        let found = matches(&desired, &live).unwrap();
        let found: Vec<(IntegrationId, MatchedBy)> = desired
            .integrations
            .keys()
            .filter_map(|name| found.found(name))
            .map(|(integration, by)| (integration.id, by))
            .collect();
        let expected: Vec<(IntegrationId, MatchedBy)> =
            expected.iter().map(|(n, by)| (id(*n), *by)).collect();
        assert_eq!(found, expected, "{entries:?} in {integrations:?}");
    }
}

#[test]
fn what_cannot_come_true_is_refused_with_names() {
    let table: &[(&[&str], &[&str], &str)] = &[
        (
            &["x: a"],
            &["a", "a"],
            "integration.x fits several live integrations by tenant_url: 00000000-0000-0000-0000-000000000001, 00000000-0000-0000-0000-000000000002",
        ),
        (
            &["x: a r1", "y: b r1"],
            &["c r1"],
            "integration.x, integration.y all fit the live integration 00000000-0000-0000-0000-000000000001 by reference_id",
        ),
        (
            &["x: b r1"],
            &["a r1", "b"],
            "integration.x wants tenant_url https://b.test, which integration[00000000-0000-0000-0000-000000000002] holds and keeps",
        ),
        (
            &["x: b r1", "y: b id=2"],
            &["a r1", "c"],
            "integration.x wants tenant_url https://b.test, which integration.y holds and keeps",
        ),
        (
            &["x: a r1", "y: b id=2 ignore=reference_id"],
            &["c", "b r1"],
            "integration.x wants reference_id r1, which integration.y holds and keeps",
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
                .problems()
                .iter()
                .any(|problem| problem.to_string() == *expected),
            "{problems}"
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
    let help: Vec<String> = errors.problems().iter().map(Problem::help).collect();
    assert_eq!(
        help,
        [
            "did you mean imp? the account offers dlp, edr, imp",
            "the account offers dlp, edr, imp"
        ]
    );
}

#[test]
fn sharing_a_key_needs_pins_on_both_sides() {
    let live = account(&["a r1", "b r2"]);
    let plan = planned(&desired(&["x: a r1 id=1", "y: a r1 id=2"]), &live);
    assert_eq!(lines(&plan), ["1 PUT 2 https://a.test r1"]);
    // What is shared already and not taken anew is left in peace.
    let live = account(&["a r1", "a r1"]);
    assert!(planned(&desired(&["x: a r1 id=1"]), &live).is_empty());
}

#[test]
fn ignored_fields_stay_until_their_last_day() {
    let live = account(&["a r1 off"]);
    for (day, ignored) in [(21, true), (22, true), (23, false)] {
        let desired = desired(&["x: a r1 ignore=active@2026-11-22"]);
        let plan = plan(&desired, &live, date(2026, 11, day), &Options::default()).unwrap();
        assert_eq!(plan.is_empty(), ignored, "{day}");
        assert_eq!(plan.notes.len(), 1, "{day}");
        insta::allow_duplicates! {
            if ignored {
                insta::assert_snapshot!(plan.notes[0], @"integration.x: active stays false (declared true), ignored until 2026-11-22");
            } else {
                insta::assert_snapshot!(plan.notes[0], @"integration.x: ignoring active ended with 2026-11-22, so it counts again");
            }
        }
    }
    // On create there is nothing live to keep.
    let plan = planned(&desired(&["x: a off ignore=active"]), &account(&[]));
    assert_eq!(plan.operations.len(), 2);
}

#[test]
fn guards_refuse_and_are_overridden() {
    type Change<'a> = &'a dyn Fn(&mut DesiredAccount, &mut Options);
    let none: Change<'_> = &|_, _| {};
    let table: &[(&str, &[&str], Change<'_>, &[Guard])] = &[
        ("one delete is permitted", &["x: a", "y: b"], none, &[]),
        ("two are not", &["x: a"], none, &[Guard::MaxDeletes]),
        (
            "unless the file permits them",
            &["x: a"],
            &|d, _| d.guards.max_deletes = 2,
            &[],
        ),
        (
            "or the flag does",
            &["x: a"],
            &|_, o| o.overrides.max_deletes = Some(2),
            &[],
        ),
        (
            "and the flag can narrow, too",
            &["x: a", "y: b"],
            &|_, o| o.overrides.max_deletes = Some(0),
            &[Guard::MaxDeletes],
        ),
        (
            "all of them",
            &[],
            &|d, _| d.guards.max_deletes = 9,
            &[Guard::DeleteAll],
        ),
        (
            "all of them, by will",
            &[],
            &|d, o| {
                d.guards.max_deletes = 9;
                o.overrides.allow_delete_all = true;
            },
            &[],
        ),
        (
            "weakening denied",
            &["x: a", "y: b"],
            &|d, _| d.guards.weakening = WeakeningPolicy::Deny,
            &[Guard::Weakening],
        ),
        (
            "weakening allowed",
            &["x: a", "y: b"],
            &|d, o| {
                d.guards.weakening = WeakeningPolicy::Deny;
                o.overrides.allow_weakening = true;
            },
            &[],
        ),
        (
            "protected by tenant",
            &["x: a", "y: b"],
            &|d, _| protect(d, "https://C.test/"),
            &[Guard::Protected],
        ),
        (
            "protected by reference",
            &["x: a", "y: b"],
            &|d, _| protect(d, "r3"),
            &[Guard::Protected],
        ),
        (
            "protected and renamed",
            &["x: a", "y: b", "z: d r3"],
            &|d, _| protect(d, "r3"),
            &[Guard::Protected],
        ),
        (
            "protected, its reference taken",
            &["x: a", "y: b", "z: c r4"],
            &|d, _| protect(d, "r3"),
            &[Guard::Protected],
        ),
        (
            "protected and deactivated",
            &["x: a", "y: b", "z: c off"],
            &|d, _| protect(d, "r3"),
            &[Guard::Protected],
        ),
        (
            "protected and replaced",
            &["x: a", "y: b", "z: c r3 type=Okta"],
            &|d, _| protect(d, "r3"),
            &[],
        ),
        (
            "destroyed although it must not be",
            &["x: a prevent"],
            &|_, o| o.intent = Intent::Destroy,
            &[Guard::PreventDestroy],
        ),
    ];
    for (name, entries, change, expected) in table {
        let mut desired = desired(entries);
        desired.unlisted.integrations = UnlistedIntegrations::Delete;
        let mut options = Options::default();
        change(&mut desired, &mut options);
        let live = account(&["a", "b", "c r3"]);
        let plan = plan(&desired, &live, date(2026, 11, 22), &options).unwrap();
        let guards: Vec<Guard> = plan.refusals.iter().map(|refusal| refusal.guard).collect();
        assert_eq!(guards, *expected, "{name}");
    }
}

fn protect(desired: &mut DesiredAccount, text: &str) {
    desired.guards.protected.push(Protected {
        text: text.to_owned(),
        location: location(),
    });
}

#[test]
fn replacing_is_refused_like_deleting() {
    let live = account(&["a r1 type=Entra", "b"]);
    let mut protected = desired(&["x: a r1 type=Okta", "y: b"]);
    protect(&mut protected, "r1");
    let prevented = desired(&["x: a r1 type=Okta prevent", "y: b"]);
    for (desired, guard) in [
        (protected, Guard::Protected),
        (prevented, Guard::PreventDestroy),
    ] {
        let plan = planned(&desired, &live);
        assert_eq!(plan.refusals.len(), 1);
        assert_eq!(plan.refusals[0].guard, guard);
        assert_eq!(plan.refusals[0].way_past, None);
    }
}

#[test]
fn destroy_touches_only_what_is_listed() {
    let mut desired = desired(&["x: a"]);
    desired.unlisted.integrations = UnlistedIntegrations::Delete;
    desired.unlisted.behaviors = UnlistedBehaviors::Disable;
    desired
        .behaviors
        .insert(BehaviorKey::new("dlp"), behavior(Some(true), None));
    let options = Options {
        intent: Intent::Destroy,
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
fn targets_narrow_and_count_what_they_leave_out() {
    let mut desired = desired(&["new: c", "old: a off"]);
    desired.unlisted.integrations = UnlistedIntegrations::Delete;
    desired
        .behaviors
        .insert(BehaviorKey::new("dlp"), behavior(Some(false), None));
    desired
        .behaviors
        .insert(BehaviorKey::new("edr"), behavior(Some(true), None));
    let live = account(&["a", "b"]);
    let table: &[(&str, &[&str], usize)] = &[
        (
            "behavior.d*",
            &["1 PUT behaviors dlp=false/medium edr=false/medium imp=true/extreme"],
            4,
        ),
        (
            "integration.*",
            &["1 POST https://c.test -", "2 PUT 1 https://a.test - off"],
            3,
        ),
        ("integration[*2]", &["1 DELETE 2"], 4),
        (
            "f037e56e89293a057740de681ac9abbe/integration.new",
            &["1 POST https://c.test -"],
            4,
        ),
        ("integration.ne?", &["1 POST https://c.test -"], 4),
    ];
    for (glob, expected, left_out) in table {
        let mut options = Options::default();
        options.targets.globs.push(Glob::new(glob));
        let plan = plan(&desired, &live, date(2026, 11, 22), &options).unwrap();
        assert_eq!(lines(&plan), *expected, "{glob}");
        assert_eq!(plan.left_out.len(), *left_out, "{glob}");
    }
}

#[test]
fn a_change_that_needs_an_untargeted_one_is_refused() {
    let desired = desired(&["x: b r1", "y: c r2"]);
    let mut options = Options::default();
    options.targets.globs.push(Glob::new("integration.x"));
    let errors = plan(
        &desired,
        &account(&["a r1", "b r2"]),
        date(2026, 11, 22),
        &options,
    )
    .unwrap_err();
    assert_eq!(errors.problems().len(), 1);
    assert_eq!(errors.problems()[0].help(), "target integration.y as well");
}

#[test]
fn the_digest_covers_everything_and_no_more() {
    let base = account(&["a r1", "b"]);
    let digest = super::live_digest(&base);
    let changed: [&dyn Fn(&mut LiveAccount); 6] = [
        &|live| live.integrations[1].settings.active = false,
        &|live| live.integrations[1].settings.reference_id = ReferenceId::new("r"),
        &|live| live.integrations[1].settings.tenant_url = TenantUrl::from_live("https://z.test"),
        &|live| live.integrations[1].settings.integration_type = OpenWord::read("Entra"),
        &|live| drop(live.integrations.pop()),
        &|live| live.behaviors.values_mut().next().unwrap().settings.enabled = false,
    ];
    for change in changed {
        let mut live = base.clone();
        change(&mut live);
        assert_ne!(super::live_digest(&live), digest);
    }
    let unchanged: [&dyn Fn(&mut LiveAccount); 3] = [
        &|live| {
            live.integrations[0].settings.tenant_url = TenantUrl::from_live("https://A.test:443/")
        },
        &|live| live.integrations[0].created_at = "later".into(),
        &|live| live.behaviors.values_mut().next().unwrap().name = "renamed".into(),
    ];
    for change in unchanged {
        let mut live = base.clone();
        change(&mut live);
        assert_eq!(super::live_digest(&live), digest);
    }
}

#[test]
fn a_plan_survives_its_document() {
    let mut desired = desired(&[
        "x: b r2 id=1",
        "y: a r1 id=2",
        "new: n off",
        "kept: k ignore=active@2027-01-01",
        "late: l id=77 ignore=active@2020-01-01",
    ]);
    desired.unlisted.integrations = UnlistedIntegrations::Delete;
    desired
        .behaviors
        .insert(BehaviorKey::new("dlp"), behavior(Some(false), None));
    desired.behaviors.insert(
        BehaviorKey::new("imp"),
        behavior(None, Some(RiskLevel::High)),
    );
    let live = account(&["a r1", "b r2", "k off", "gone1", "gone2", "l off"]);
    let failed = PlannedAccount::new(
        &desired,
        Err(AccountError {
            kind: FailureKind::Api,
            message: "no".into(),
            help: None,
        }),
    );
    let plan = Plan {
        base_url: "https://api.test".into(),
        accounts: vec![
            PlannedAccount::new(&desired, Ok(planned(&desired, &live))),
            failed,
        ],
    };
    let document = Document::of_plan(&plan, "2026-11-22T00:00:00Z".parse().unwrap());
    let text = document.to_json();
    let read = Document::parse(&text).unwrap().into_plan().unwrap();
    assert_eq!(read.accounts[0].result, plan.accounts[0].result);
    assert_eq!(read.accounts[1].result, plan.accounts[1].result);
    assert_eq!(read.base_url, plan.base_url);

    // The moment of writing is outside the digest; any other change is damage.
    let later = Document::of_plan(&plan, "2027-01-01T00:00:00Z".parse().unwrap());
    assert_eq!(later.digest, document.digest);
    let damaged = text.replacen("\"method\": \"DELETE\"", "\"method\": \"PUT\"", 1);
    assert!(matches!(
        Document::parse(&damaged),
        Err(InvalidDocument::DigestMismatch)
    ));
    let newer = text.replacen("riskform.plan/1", "riskform.plan/2", 1);
    assert!(matches!(
        Document::parse(&newer),
        Err(InvalidDocument::OtherFormat { .. })
    ));
    let truncated = &text[..text.len() / 2];
    assert!(matches!(
        Document::parse(truncated),
        Err(InvalidDocument::Damaged(_))
    ));
}
