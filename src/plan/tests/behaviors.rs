//! `"*"`, and what the file says is not managed.

use super::*;

/// `KEY enabled level`, `*` for every other and `KEY null` for an unmanaged behavior. `-` omits a field.
fn declare(desired: &mut DesiredAccount, lines: &[&str]) {
    for line in lines {
        let words: Vec<&str> = line.split_whitespace().collect();
        let entry = |enabled: &str, level: &str| behavior(enabled.parse().ok(), level.parse().ok());
        match *words {
            [key, "null"] => {
                desired.unmanaged.insert(BehaviorKey::new(key), location());
            }
            ["*", enabled, level] => desired.wildcard = Some(entry(enabled, level)),
            [key, enabled, level] => {
                let entry = entry(enabled, level);
                desired.behaviors.insert(BehaviorKey::new(key), entry);
            }
            _ => panic!("{line}"),
        }
    }
}

#[test]
fn a_star_covers_what_is_not_named() {
    // Live: dlp=true/medium, edr=false/medium, imp=true/extreme.
    let table: &[(&[&str], UnlistedPolicy, Option<&str>, usize, usize)] = &[
        (
            &["* true -"],
            UnlistedPolicy::Disable,
            Some("dlp=true/medium edr=true/medium imp=true/extreme"),
            2,
            0,
        ),
        (
            &["* true high", "dlp - low"],
            UnlistedPolicy::Report,
            Some("dlp=true/low edr=true/high imp=true/high"),
            0,
            0,
        ),
        // A named entry inherits omitted fields from the wildcard.
        (
            &["* true high", "dlp - low", "edr - medium"],
            UnlistedPolicy::Report,
            Some("dlp=true/low edr=true/medium imp=true/high"),
            0,
            0,
        ),
        // An unmanaged behavior is not declared by the wildcard and is not unlisted.
        (
            &["* false -", "dlp null"],
            UnlistedPolicy::Disable,
            Some("dlp=true/medium edr=false/medium imp=false/extreme"),
            1,
            0,
        ),
        (
            &["dlp null", "edr false -"],
            UnlistedPolicy::Report,
            None,
            1,
            1,
        ),
    ];
    for (declared, policy, written, unchanged, unlisted) in table {
        let mut file = desired(&[]);
        file.unlisted.behaviors = *policy;
        declare(&mut file, declared);
        let plan = planned(&file, &account(&[]));
        let expected: Vec<String> = written
            .iter()
            .map(|written| format!("1 PUT behaviors {written}"))
            .collect();
        assert_eq!(lines(&plan), expected, "{declared:?}");
        assert_eq!(plan.unchanged.total(), *unchanged, "{declared:?}");
        assert_eq!(plan.unlisted.len(), *unlisted, "{declared:?}");
    }
}

#[test]
fn guards_and_targets_see_what_a_star_covers() {
    let mut file = desired(&[]);
    declare(&mut file, &["* false -", "edr true -"]);
    file.guards.weakening = GuardMode::Deny;
    let refused: Vec<Option<String>> = planned(&file, &account(&[]))
        .violations
        .iter()
        .map(|refusal| refusal.address.as_ref().map(ToString::to_string))
        .collect();
    let some = |text: &str| Some(text.to_owned());
    assert_eq!(refused, [some("behavior.dlp"), some("behavior.imp")]);

    let mut options = Options::default();
    options.targets.push(Glob::new("behavior.dlp"));
    let plan = plan(&file, &account(&[]), date(2026, 11, 22), &options).unwrap();
    assert_eq!(
        lines(&plan),
        ["1 PUT behaviors dlp=false/medium edr=false/medium imp=true/extreme"]
    );
    assert_eq!(plan.excluded.len(), 2);
}

#[test]
fn destroy_leaves_what_only_a_star_covers() {
    let mut file = desired(&[]);
    declare(&mut file, &["* true high", "dlp true -", "edr null"]);
    let options = Options {
        purpose: Purpose::Destroy,
        ..Options::default()
    };
    let plan = plan(&file, &account(&[]), date(2026, 11, 22), &options).unwrap();
    assert_eq!(
        lines(&plan),
        ["1 PUT behaviors dlp=false/medium edr=false/medium imp=true/extreme"]
    );
    let notes: Vec<String> = plan.notes.iter().map(ToString::to_string).collect();
    assert_eq!(
        notes,
        [
            "behavior.imp: stays enabled because only \"*\" declares it; list it by name to disable it"
        ]
    );
    assert!(plan.unlisted.is_empty());
}

#[test]
fn unmanaged_behavior_must_be_offered_by_the_account() {
    let mut file = desired(&[]);
    declare(&mut file, &["* true -", "ipm null"]);
    let error = plan(
        &file,
        &account(&[]),
        date(2026, 11, 22),
        &Options::default(),
    )
    .unwrap_err();
    let help = &error[0].help;
    assert_eq!(help, "did you mean imp? available: dlp, edr, imp");
}

/// Access policies match a level exactly, so both directions are noted. A behavior that is off before or after assigns no level.
#[test]
fn a_changed_level_is_noted() {
    for (declared, notes) in [
        ("dlp - high", 1),
        ("dlp - low", 1),
        ("dlp false high", 0),
        ("edr true high", 0),
        ("imp - high", 1),
    ] {
        let mut file = desired(&[]);
        declare(&mut file, &[declared]);
        assert_eq!(
            planned(&file, &account(&[])).notes.len(),
            notes,
            "{declared}"
        );
    }
}
