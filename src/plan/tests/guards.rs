//! What a plan may not do.

use super::*;

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
