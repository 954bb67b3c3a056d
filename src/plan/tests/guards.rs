//! Tests of guards, which block plans.

use super::*;
use crate::model::limits::Limits;

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
            "none of them active",
            &["x: a off", "y: b off", "z: c r3 off"],
            none,
            &[Guard::DeleteAll],
        ),
        (
            "two deleted and one deactivated",
            &["x: a off"],
            &|d, _| d.guards.max_deletes = 9,
            &[Guard::DeleteAll],
        ),
        (
            "all deleted, with another created",
            &["x: d"],
            &|d, _| d.guards.max_deletes = 9,
            &[],
        ),
        (
            "weakening denied",
            &["x: a", "y: b"],
            &|d, _| d.guards.weakening = GuardMode::Deny,
            &[Guard::Weakening],
        ),
        (
            "weakening allowed",
            &["x: a", "y: b"],
            &|d, o| {
                d.guards.weakening = GuardMode::Deny;
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
            "protected by id",
            &["x: a", "y: b"],
            &|d, _| {
                protect(
                    d,
                    &account(&["a", "b", "c r3"]).integrations[2].id.to_string(),
                )
            },
            &[Guard::Protected],
        ),
        (
            "protected by its address, and deactivated",
            &["x: a", "y: b", "z: c off"],
            &|d, _| protect(d, "integration.z"),
            &[Guard::Protected],
        ),
        (
            "protected by a glob of addresses that are in no file",
            &["x: a", "y: b"],
            &|d, _| protect(d, "integration[*"),
            &[Guard::Protected],
        ),
        (
            "protected by a glob that means others",
            &["x: a", "y: b"],
            &|d, _| protect(d, "integration.?"),
            &[],
        ),
        (
            "the limits permit fewer deletes than file and flag",
            &["x: a", "y: b"],
            &|_, o| {
                o.overrides.max_deletes = Some(9);
                limit(o, |limits| limits.max_deletes = Some(0));
            },
            &[Guard::MaxDeletes],
        ),
        (
            "the file permits fewer than the limits",
            &["x: a", "y: b"],
            &|d, o| {
                d.guards.max_deletes = 0;
                limit(o, |limits| limits.max_deletes = Some(9));
            },
            &[Guard::MaxDeletes],
        ),
        (
            "the limits deny deleting all",
            &[],
            &|d, o| {
                d.guards.max_deletes = 9;
                o.overrides.allow_delete_all = true;
                limit(o, |limits| limits.delete_all = GuardMode::Deny);
            },
            &[Guard::DeleteAll],
        ),
        (
            "the limits deny weakening",
            &["x: a", "y: b"],
            &|_, o| {
                o.overrides.allow_weakening = true;
                limit(o, |limits| limits.weakening = GuardMode::Deny);
            },
            &[Guard::Weakening],
        ),
        (
            "the limits protect",
            &["x: a", "y: b"],
            &|_, o| limit(o, |limits| limits.protected = vec![protected("r3")]),
            &[Guard::Protected],
        ),
        (
            "no tenant is allowed, and nothing new is sent",
            &["x: a", "y: b", "z: c r3"],
            &|_, o| limit(o, |limits| limits.allowed_tenants = Some(Vec::new())),
            &[],
        ),
        (
            "a create for a tenant that is not allowed",
            &["x: a", "y: b", "z: c r3", "w: d"],
            &|_, o| {
                limit(o, |limits| {
                    limits.allowed_tenants = Some(vec!["c.test".to_owned()])
                })
            },
            &[Guard::AllowedTenants],
        ),
        (
            "a create for one that is",
            &["x: a", "y: b", "z: c r3", "w: d"],
            &|_, o| {
                limit(o, |limits| {
                    limits.allowed_tenants = Some(vec!["?.test".to_owned()])
                })
            },
            &[],
        ),
        (
            "a move to a tenant that is not allowed",
            &["x: a", "y: b", "z: d r3"],
            &|_, o| {
                limit(o, |limits| {
                    limits.allowed_tenants = Some(vec!["c.test".to_owned()])
                })
            },
            &[Guard::AllowedTenants],
        ),
        (
            "destroyed although it must not be",
            &["x: a prevent"],
            &|_, o| o.purpose = Purpose::Destroy,
            &[Guard::PreventDestroy],
        ),
    ];
    for (name, entries, change, expected) in table {
        let mut desired = desired(entries);
        desired.unlisted.integrations = UnlistedPolicy::Delete;
        let mut options = Options::default();
        change(&mut desired, &mut options);
        let live = account(&["a", "b", "c r3"]);
        let plan = plan(&desired, &live, date(2026, 11, 22), &options).unwrap();
        let guards: Vec<Guard> = plan
            .violations
            .iter()
            .map(|refusal| refusal.guard)
            .collect();
        assert_eq!(guards, *expected, "{name}");
    }
}

fn protect(desired: &mut DesiredAccount, text: &str) {
    desired.guards.protected.push(protected(text));
}

fn protected(text: &str) -> ProtectedItem {
    ProtectedItem {
        text: text.to_owned(),
        location: location(),
    }
}

/// Sets limits, which hold whatever the file and the flags say.
fn limit(options: &mut Options, change: impl FnOnce(&mut Limits)) {
    change(Arc::make_mut(&mut options.limits));
}

#[test]
fn no_flag_gets_past_the_limits_and_an_activation_is_judged_like_a_create() {
    let live = account(&["a off"]);
    let desired = desired(&["x: a"]);
    let mut options = Options::default();
    limit(&mut options, |limits| {
        limits.allowed_tenants = Some(vec!["b.test".to_owned()]);
    });
    let plan = plan(&desired, &live, date(2026, 11, 22), &options).unwrap();
    let [refusal] = plan.violations.as_slice() else {
        panic!("{:?}", plan.violations);
    };
    assert_eq!(refusal.guard, Guard::AllowedTenants);
    assert_eq!(refusal.override_flag, None);
    assert_eq!(
        refusal.reason,
        "would send scores to https://a.test, which --limits does not allow"
    );
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
        assert_eq!(plan.violations.len(), 1);
        assert_eq!(plan.violations[0].guard, guard);
        assert_eq!(plan.violations[0].override_flag, None);
    }
}

/// A typo in `protected` protects no resource and gets a warning.
#[test]
fn unmatched_protected_item_is_a_warning() {
    let live = account(&["a r1", "b"]);
    let table = [
        ("https://A.test/", true),
        ("r1", true),
        ("00000000-0000-0000-0000-000000000002", true),
        ("integration[*2]", true),
        ("integration.x", true),
        ("https://c.test", true),
        ("integration.n*", true),
        ("https://z.test", false),
        ("r9", false),
        ("integration.z", false),
        ("00000000-0000-0000-0000-000000000009", false),
    ];
    for (item, matches) in table {
        let mut file = desired(&["x: a", "new: c"]);
        protect(&mut file, item);
        let plan = planned(&file, &live);
        let warned = plan
            .notes
            .iter()
            .any(|note| note.kind == NoteKind::UnmatchedProtectedItem && note.warning);
        assert_eq!(warned, !matches, "{item}");
    }
}

/// An item of a shared base file may match in one account only.
#[test]
fn unmatched_protected_item_is_one_warning_per_run() {
    let lives = [account(&["a r1"]), account(&["b r2"])];
    for (item, expected) in [("r1", 0), ("https://z.test", 1)] {
        let plans = lives.iter().map(|live| {
            let mut file = desired(&[]);
            protect(&mut file, item);
            planned(&file, live)
        });
        let now = "2026-11-22T12:00:00Z".parse().unwrap();
        let run = Run::new(Format::Plan, String::new(), plans.collect(), now);
        let notes = run.accounts.iter().flat_map(|account| &account.notes);
        let warned = notes.filter(|note| note.kind == NoteKind::UnmatchedProtectedItem);
        assert_eq!(warned.count(), expected, "{item}");
    }
}

/// An address may have the account's name in front, or its ID if it has no name.
#[test]
fn protected_address_with_account_blocks() {
    let live = account(&["a r1"]);
    let table = [
        (Some("eu"), "integration.x", true),
        (Some("eu"), "eu/integration.x", true),
        (Some("eu"), "eu/integration[00000000-*]", true),
        (Some("eu"), "e?/*", true),
        (Some("eu"), "us/integration.x", false),
        (None, "f037e56e89293a057740de681ac9abbe/integration.x", true),
        (None, "R1", false),
    ];
    for (name, item, blocks) in table {
        let mut file = desired(&["x: a r1 off"]);
        file.name = name.map(|name| name.parse().unwrap());
        protect(&mut file, item);
        let plan = planned(&file, &live);
        let guards: Vec<Guard> = plan.violations.iter().map(|one| one.guard).collect();
        let expected: &[Guard] = if blocks { &[Guard::Protected] } else { &[] };
        assert_eq!(guards, expected, "{item} in {name:?}");
        let warned = plan
            .notes
            .iter()
            .any(|note| note.kind == NoteKind::UnmatchedProtectedItem);
        assert_eq!(warned, !blocks, "{item} in {name:?}");
    }
}
