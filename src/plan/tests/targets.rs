//! Narrowing a plan to addresses.

use super::*;

#[test]
fn targets_narrow_and_count_what_they_leave_out() {
    let mut desired = desired(&["new: c", "old: a off"]);
    desired.unlisted.integrations = UnlistedPolicy::Delete;
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
            &[
                "1 POST https://c.test ~new1",
                "2 PUT 1 https://a.test ~old1 off",
            ],
            3,
        ),
        ("integration[*2]", &["1 DELETE 2"], 4),
        (
            "f037e56e89293a057740de681ac9abbe/integration.new",
            &["1 POST https://c.test ~new1"],
            4,
        ),
        ("integration.ne?", &["1 POST https://c.test ~new1"], 4),
    ];
    for (glob, expected, excluded) in table {
        let mut options = Options::default();
        options.targets.push(Glob::new(glob));
        let plan = plan(&desired, &live, date(2026, 11, 22), &options).unwrap();
        assert_eq!(lines(&plan), *expected, "{glob}");
        assert_eq!(plan.excluded.len(), *excluded, "{glob}");
    }
}

#[test]
fn a_change_that_needs_an_untargeted_one_is_refused() {
    let desired = desired(&["x: b r1", "y: c r2"]);
    let mut options = Options::default();
    options.targets.push(Glob::new("integration.x"));
    let errors = plan(
        &desired,
        &account(&["a r1", "b r2"]),
        date(2026, 11, 22),
        &options,
    )
    .unwrap_err();
    assert_eq!(errors.len(), 1);
    assert_eq!(errors[0].help, "add --target 'integration.y'");
}

#[test]
fn unmatched_glob_and_id_of_a_listed_integration_have_separate_messages() {
    let plan = planned(&desired(&["x: a"]), &account(&["a", "b"]));
    let table = [
        ("integration.x", GlobMatch::Matched),
        ("integration.*", GlobMatch::Matched),
        ("behavior.edr", GlobMatch::Matched),
        ("integration[*2]", GlobMatch::Matched),
        (
            "integration[*1]",
            GlobMatch::ListedById(Address::Integration("x".parse().unwrap())),
        ),
        ("integration.y", GlobMatch::Nothing),
        ("behavior.nope", GlobMatch::Nothing),
        ("integration[*3]", GlobMatch::Nothing),
    ];
    for (glob, expected) in table {
        assert_eq!(plan.named_by(&Glob::new(glob)), expected, "{glob}");
    }
}
