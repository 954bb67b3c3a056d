//! Tests of integrations whose files change over time: new names, tenants and references, killed runs, and servers that treat references
//! differently.

use super::*;
use crate::plan::change::quoted;
use crate::plan::{FieldValue, describe};

/// Treatment of sent references by the server.
#[derive(Clone, Copy, Debug, PartialEq)]
enum References {
    Kept,
    Dropped,
    /// The server accepts only references of Access identity providers. A rejected create is sent again without a reference and gets a
    /// random one.
    Providers,
}

/// A server that demands unique keys.
#[derive(Clone)]
struct Server {
    live: LiveAccount,
    references: References,
    made: BTreeMap<OperationId, IntegrationId>,
}

impl Server {
    fn new(references: References) -> Self {
        Server {
            live: account(&[]),
            references,
            made: BTreeMap::new(),
        }
    }

    fn carry_out(&mut self, operation: &Operation) {
        let settings = match &operation.call {
            OperationKind::WriteBehaviors { .. } => return,
            OperationKind::Delete { id } => {
                self.live.integrations.retain(|live| live.id != *id);
                return;
            }
            OperationKind::Create { fields: settings }
            | OperationKind::Update {
                fields: settings, ..
            } => settings,
        };
        let sent = settings.reference_id();
        let sent = sent.expect("no PUT and no POST lacks a reference");
        let mut settings = settings.clone();
        match self.references {
            References::Kept => {}
            References::Dropped => settings.set(Field::ReferenceId, None),
            References::Providers => {
                let known = |live: &Integration| live.fields.reference_id() == Some(sent);
                let accepted =
                    sent.as_str().starts_with('r') || self.live.integrations.iter().any(known);
                if !accepted {
                    let random = format!("r-random-{}", self.live.integrations.len());
                    let random = ReferenceId::new(random).map(FieldValue::Reference);
                    settings.set(Field::ReferenceId, random);
                }
            }
        }
        let id = match &operation.call {
            OperationKind::Update {
                subject: IntegrationTarget::Existing(id),
                ..
            } => *id,
            OperationKind::Update {
                subject: IntegrationTarget::CreatedBy(operation),
                ..
            } => self.made[operation],
            OperationKind::Create { .. }
            | OperationKind::Delete { .. }
            | OperationKind::WriteBehaviors { .. } => {
                let new = id((1..)
                    .find(|n| self.live.integrations.iter().all(|live| live.id != id(*n)))
                    .unwrap());
                self.made.insert(operation.id, new);
                let mut integration = live(0, "new");
                integration.id = new;
                self.live.integrations.push(integration);
                new
            }
        };
        for other in self.live.integrations.iter().filter(|live| live.id != id) {
            assert_ne!(other.fields.tenant_url(), settings.tenant_url(), "unique");
            if settings.reference_id().is_some() {
                assert_ne!(
                    other.fields.reference_id(),
                    settings.reference_id(),
                    "unique"
                );
            }
        }
        let integrations = &mut self.live.integrations;
        integrations.sort_by_key(|live| live.id);
        let target = integrations.iter_mut().find(|live| live.id == id).unwrap();
        target.fields = settings;
    }
}

/// Entries of the file, expected requests, and expected words in the notes or the error.
type Step<'a> = (&'a [&'a str], &'a [&'a str], &'a [&'a str]);

fn play(name: &str, references: References, steps: &[Step<'_>]) {
    let mut server = Server::new(references);
    for (entries, calls, said) in steps {
        let desired = desired(entries);
        let what = format!("{name}, {references:?}: {entries:?}");
        let plan = plan(
            &desired,
            &server.live,
            date(2026, 11, 22),
            &Options::default(),
        );
        let plan = match plan {
            Ok(plan) => plan,
            Err(errors) => {
                let told = describe(&errors);
                assert!(!said.is_empty(), "{what}: {told}");
                for words in *said {
                    assert!(told.contains(words), "{what}: {told}");
                }
                continue;
            }
        };
        assert_eq!(lines(&plan), *calls, "{what}");
        let notes: Vec<String> = plan.notes.iter().map(ToString::to_string).collect();
        assert_eq!(notes.len(), said.len(), "{what}: {notes:#?}");
        for (note, words) in notes.iter().zip(*said) {
            assert!(note.contains(words), "{what}: {note}");
        }
        server.made.clear();
        for operation in &plan.operations {
            server.carry_out(operation);
        }
        let again = planned(&desired, &server.live);
        assert!(again.changes.is_empty(), "{what}: {:?}", lines(&again));
    }
}

#[test]
fn identity_outlasts_what_happens_to_a_file() {
    use References::{Dropped, Kept, Providers};
    let created: Step<'_> = (&["x: a"], &["1 POST https://a.test ~x1"], &[]);
    let other_keeps_scores = ": created, while unlisted integrations keep receiving scores";
    let alone = "only by its generated reference; https://a.test will stop receiving scores";
    let table: &[(&str, References, &[Step<'_>])] = &[
        ("renamed", Kept, &[created, (&["y: a"], &[], &[])]),
        (
            "its tenant moved",
            Kept,
            &[
                created,
                (&["x: b"], &["1 PUT 1 https://b.test ~x1"], &[alone]),
                (&["x: b off"], &["1 PUT 1 https://b.test ~x1 off"], &[]),
            ],
        ),
        (
            "renamed and moved",
            Kept,
            &[
                created,
                (
                    &["y: b"],
                    &["1 POST https://b.test ~y1"],
                    &[other_keeps_scores],
                ),
            ],
        ),
        (
            "two exchange tenants: each URL in Okta stays with its tenant",
            Kept,
            &[
                (
                    &["x: a", "y: b"],
                    &["1 POST https://a.test ~x1", "2 POST https://b.test ~y1"],
                    &[],
                ),
                (&["x: b", "y: a"], &[], &[]),
            ],
        ),
        (
            "two exchange tenants, and their references say who is who",
            Kept,
            &[
                (
                    &["x: a r1", "y: b r2"],
                    &["1 POST https://a.test r1", "2 POST https://b.test r2"],
                    &[],
                ),
                (
                    &["x: b r1", "y: a r2"],
                    &[
                        "1 PUT 1 https://00000000-0000-0000-0000-000000000001.parked.invalid r1",
                        "2 PUT 2 https://a.test r2 [needs 1]",
                        "3 PUT 1 https://b.test r1 [needs 1,2]",
                    ],
                    &[
                        "reference_id matches 00000000-0000-0000-0000-000000000001, but tenant_url matches 00000000-0000-0000-0000-000000000002",
                        "00000000-0000-0000-0000-000000000001 temporarily gets https://00000000-0000-0000-0000-000000000001.parked.invalid",
                        "reference_id matches 00000000-0000-0000-0000-000000000002, but tenant_url matches 00000000-0000-0000-0000-000000000001",
                    ],
                ),
            ],
        ),
        (
            "a chain of moves: what has a tenant keeps it",
            Kept,
            &[
                (
                    &["x: a", "y: b", "z: c"],
                    &[
                        "1 POST https://a.test ~x1",
                        "2 POST https://b.test ~y1",
                        "3 POST https://c.test ~z1",
                    ],
                    &[],
                ),
                (
                    &["x: b", "y: c", "z: d"],
                    &["1 POST https://d.test ~z2"],
                    &[other_keeps_scores],
                ),
            ],
        ),
        (
            "a name is reused after a rename, then both move",
            Kept,
            &[
                created,
                (&["y: a"], &[], &[]),
                (&["x: b", "y: a"], &["1 POST https://b.test ~x2"], &[]),
                (
                    &["x: d", "y: c"],
                    &[],
                    &[
                        "integration.x: 2 live integrations have the generated reference_id of this entry",
                        "add the id of the right one to the entry, e.g. id: 00000000-0000-0000-0000-000000000001",
                    ],
                ),
                (
                    &["x: d id=2", "y: c id=1"],
                    &["1 PUT 2 https://d.test ~x2", "2 PUT 1 https://c.test ~x1"],
                    &[],
                ),
            ],
        ),
        (
            "removed, and later another under its name",
            Kept,
            &[
                created,
                (&[], &[], &[]),
                (&["x: b"], &["1 PUT 1 https://b.test ~x1"], &[alone]),
            ],
        ),
        (
            "two repositories with one name in one account",
            Kept,
            &[
                created,
                (&["x: b"], &["1 PUT 1 https://b.test ~x1"], &[alone]),
                (
                    &["x: a"],
                    &["1 PUT 1 https://a.test ~x1"],
                    &["https://b.test will stop receiving"],
                ),
            ],
        ),
        (
            "a reference is declared later, and dropped again",
            Kept,
            &[
                created,
                (&["x: a r1"], &["1 PUT 1 https://a.test r1"], &[]),
                (&["x: a"], &[], &[]),
                (&["x: a off"], &["1 PUT 1 https://a.test r1 off"], &[]),
            ],
        ),
        (
            "a reference is declared as the tenant moves",
            Kept,
            &[
                created,
                (&["x: b r1"], &["1 PUT 1 https://b.test r1"], &[alone]),
            ],
        ),
        (
            "exported: the reference is declared, under any name",
            Kept,
            &[
                created,
                (&["a: a ~x1"], &[], &[]),
                (&["a: b ~x1"], &["1 PUT 1 https://b.test ~x1"], &[]),
            ],
        ),
        (
            "created inactive",
            Kept,
            &[(
                &["x: a off"],
                &[
                    "1 POST https://a.test ~x1",
                    "2 PUT {result:1} https://a.test ~x1 off [needs 1]",
                ],
                &["scores are sent for a moment"],
            )],
        ),
        (
            "a server keeps no reference",
            Dropped,
            &[
                created,
                (&["x: a off"], &["1 PUT 1 https://a.test ~x1 off"], &[]),
                (
                    &["x: b"],
                    &["1 POST https://b.test ~x1"],
                    &[other_keeps_scores],
                ),
            ],
        ),
        (
            "a server refuses any reference but a provider's",
            Providers,
            &[
                created,
                (
                    &["x: a off"],
                    &["1 PUT 1 https://a.test r-random-0 off"],
                    &[],
                ),
                (
                    &["x: b"],
                    &["1 POST https://b.test ~x1"],
                    &[other_keeps_scores],
                ),
            ],
        ),
    ];
    for (name, references, steps) in table {
        play(name, *references, steps);
    }
}

#[test]
fn rollback_deletes_created_and_creates_deleted_integrations() {
    let mut rollback = desired(&[]);
    rollback.unlisted.integrations = UnlistedPolicy::Delete;
    let live = account(&["a ~x1"]);
    let plan = planned(&rollback, &live);
    assert_eq!(lines(&plan), ["1 DELETE 1"]);
    let wave = plan.operations[0].wave;
    assert_eq!(wave, Wave::Cleanup);
    let plan = planned(&desired(&["x: a ~x1 id=1"]), &account(&[]));
    assert_eq!(lines(&plan), ["1 POST https://a.test ~x1"]);
}

/// A file that goes to another account finds nothing there: a reference is of one account.
#[test]
fn a_file_copied_to_another_account_is_a_stranger_there() {
    let mut copied = desired(&["x: b"]);
    copied.account_id = "023e105f4ecef8ad9ca31a8372d0c353".parse().unwrap();
    let plan = planned(&copied, &account(&["a ~x1"]));
    let OperationKind::Create { fields: settings } = &plan.operations[0].call else {
        panic!("{:?}", plan.operations);
    };
    assert_ne!(settings.reference_id(), Some(&reference("~x1")));
}

#[test]
fn oldest_exact_duplicate_belongs_to_the_entry() {
    let table: &[(&[&str], &[&str], Result<u128, &str>)] = &[
        (&["x: a"], &["a ~x1", "a ~x1"], Ok(2)),
        (&["x: b"], &["a ~x1", "a ~x1"], Ok(2)),
        (&["x: a ~x1"], &["a ~x1", "a ~x1", "a ~x1"], Ok(3)),
        (&["x: a"], &["a ~x2", "a ~x2"], Ok(2)),
        // Declared, or chosen by another client.
        (&["x: a r1"], &["a r1", "a r1"], Ok(2)),
        (&["x: a"], &["a r9", "a r9"], Ok(2)),
        (&["x: a"], &["a ~y1", "a ~y1"], Ok(2)),
        // Without a reference, or with different references.
        (&["x: a"], &["a", "a"], Err("tenant_url")),
        (&["x: a"], &["a ~x1", "a ~x2"], Err("tenant_url")),
        (
            &["x: c"],
            &["a ~x1", "b ~x1"],
            Err("generated reference_id"),
        ),
    ];
    for (entries, integrations, expected) in table {
        let mut live = account(integrations);
        // The last integration is the oldest.
        for (age, integration) in live.integrations.iter_mut().rev().enumerate() {
            integration.created_at = format!("2026-01-0{}T00:00:00Z", age + 1);
        }
        let desired = desired(entries);
        let found = matches(&desired, &live);
        match expected {
            Ok(oldest) => {
                let (taken, _) = found.entries[0].found.unwrap();
                assert_eq!(taken.id, id(*oldest), "{entries:?} in {integrations:?}");
                let unlisted = integrations.len() - 1;
                assert_eq!(found.unlisted.len(), unlisted);
                let notes: Vec<String> = found.notes.iter().map(ToString::to_string).collect();
                assert!(
                    notes[0].contains("several identical integrations exist"),
                    "{notes:?}"
                );
            }
            Err(key) => assert!(found.errors[0].message.contains(key), "{:?}", found.errors),
        }
    }
}

#[test]
fn duplicate_with_unreadable_date_is_youngest() {
    let mut live = account(&["a r1", "a r1"]);
    live.integrations[0].created_at = "yesterday".to_owned();
    live.integrations[1].created_at = "2026-01-01T00:00:00Z".to_owned();
    let desired = desired(&["x: a r1"]);
    let found = matches(&desired, &live);
    assert_eq!(found.entries[0].found.unwrap().0.id, id(2));
}

/// An integration that matches another entry is not a duplicate.
#[test]
fn pinned_integration_is_no_duplicate() {
    let desired = desired(&["x: a r1", "y: a r1 id=1"]);
    let live = account(&["a r1", "a r1"]);
    let found = matches(&desired, &live);
    let ids: Vec<IntegrationId> = found
        .entries
        .iter()
        .map(|entry| entry.found.unwrap().0.id)
        .collect();
    assert_eq!(ids, [id(2), id(1)]);
    assert_eq!(found.notes.len(), 0);
}

/// A live integration without a reference gets the generated one if another field changes. The reference alone is not a change and does not
/// weaken protection.
#[test]
fn generated_reference_is_sent_with_another_change() {
    assert!(
        planned(&desired(&["x: a"]), &account(&["a"]))
            .changes
            .is_empty()
    );
    let plan = planned(&desired(&["x: a off"]), &account(&["a"]));
    let change = &plan.changes[0];
    let fields: Vec<String> = change
        .fields
        .iter()
        .map(|field| {
            let shown = |value: &Option<FieldValue>| quoted(value.as_ref());
            format!(
                "{} {} → {}",
                field.field,
                shown(&field.before),
                shown(&field.after)
            )
        })
        .collect();
    let own = reference("~x1");
    assert_eq!(
        fields,
        [
            format!("reference_id (unset) → \"{own}\""),
            "active true → false".to_owned()
        ]
    );
    // Another holds the first already: an unlisted one of another type, and an entry that declares it.
    let live = account(&["b ~x1 type=Entra", "a"]);
    let file = desired(&["x: a off type=Okta", "y: c ~x2"]);
    assert_eq!(
        lines(&planned(&file, &live)),
        [
            "1 POST https://c.test ~x2",
            "2 PUT 2 https://a.test ~x3 off"
        ]
    );
    // A replacement keeps its own.
    let plan = planned(
        &desired(&["x: a type=Okta id=1"]),
        &account(&["a ~x2 type=Entra"]),
    );
    assert_eq!(
        lines(&plan),
        ["1 DELETE 1", "2 POST https://a.test ~x2 [needs 1]"]
    );
}

/// Operations run concurrently, so a killed run may leave any set of operations done that includes their dependencies. After each set, the
/// next plan matches every entry with the same integration and completes it.
#[test]
fn killed_anywhere_no_entry_loses_its_id() {
    let table: &[(&[&str], &[&str])] = &[
        (&["x: b r1", "y: a r2"], &["a r1", "b r2"]),
        (&["x: a r2 id=1", "y: b r1 id=2"], &["a r1", "b r2"]),
        (&["x: b r2 id=1", "y: a r1 id=2"], &["a r1", "b r2"]),
        (
            &["x: b r1", "y: c r2", "z: a r3"],
            &["a r1", "b r2", "c r3"],
        ),
        (
            &["x: b r1", "y: c r2", "z: d r3"],
            &["a r1", "b r2", "c r3"],
        ),
        (&["x: b", "y: a r2"], &["a ~x1", "b r2"]),
        (&["x: b", "y: a id=2"], &["a ~x1", "b"]),
        (&["x: b off", "y: a id=2 off"], &["a ~x1", "b ~y1"]),
        (&["x: a r2", "y: b r1 id=2"], &["a ~x1", "b r2"]),
        (&["x: a r2 off", "y: b r3 id=2 off"], &["a r1", "b r2 off"]),
        (
            &["x: b r1", "y: a r2", "n: c", "o: d off"],
            &["a r1", "b r2", "e"],
        ),
    ];
    for (entries, integrations) in table {
        let mut file = desired(entries);
        file.unlisted.integrations = UnlistedPolicy::Delete;
        let live = account(integrations);
        let ids = |live: &LiveAccount| -> BTreeMap<String, IntegrationId> {
            let found = matches(&file, live);
            let entries = found.entries.iter();
            entries
                .filter_map(|entry| Some((entry.name.to_string(), entry.found?.0.id)))
                .collect()
        };
        let plan = planned(&file, &live);
        let before = ids(&live);
        let count = plan.operations.len();
        for done in 0_u32..1 << count {
            let is_done = |id: OperationId| done >> (id.0 - 1) & 1 == 1;
            let operations = plan.operations.iter();
            let done: Vec<&Operation> = operations.filter(|one| is_done(one.id)).collect();
            let possible = |one: &&Operation| one.depends_on.iter().all(|needed| is_done(*needed));
            if !done.iter().all(possible) {
                continue;
            }
            let mut server = Server {
                live: live.clone(),
                references: References::Kept,
                made: BTreeMap::new(),
            };
            for operation in &done {
                server.carry_out(operation);
            }
            let what = format!("{entries:?} in {integrations:?} after {:?}", lines(&plan));
            let now = ids(&server.live);
            for (name, id) in &before {
                assert_eq!(now.get(name), Some(id), "{name} of {what}, {done:?}");
            }
            let next = planned(&file, &server.live);
            server.made.clear();
            for operation in &next.operations {
                server.carry_out(operation);
            }
            assert!(planned(&file, &server.live).changes.is_empty(), "{what}");
        }
    }
}

#[test]
fn destroy_names_what_its_entries_would_fit_next() {
    let options = Options {
        purpose: Purpose::Destroy,
        ..Options::default()
    };
    let table: &[(&[&str], &[&str], &[&str])] = &[
        (&["x: a"], &["a", "b"], &[]),
        (
            &["x: a r1"],
            &["a", "b r1"],
            &[
                "unlisted integrations",
                "00000000-0000-0000-0000-000000000001",
            ],
        ),
        (
            &["x: a"],
            &["a ~x1", "a ~x1"],
            &["00000000-0000-0000-0000-000000000002"],
        ),
        (
            &["x: a id=1"],
            &["a", "a", "a"],
            &["00000000-0000-0000-0000-000000000002, 00000000-0000-0000-0000-000000000003"],
        ),
    ];
    for (entries, integrations, said) in table {
        let plan = plan(
            &desired(entries),
            &account(integrations),
            date(2026, 11, 22),
            &options,
        );
        let plan = plan.unwrap();
        assert_eq!(plan.operations.len(), 1);
        let fits: Vec<String> = plan
            .notes
            .iter()
            .filter(|note| note.kind == NoteKind::WouldMatchUnlisted)
            .map(ToString::to_string)
            .collect();
        assert_eq!(fits.is_empty(), said.is_empty(), "{entries:?}: {fits:?}");
        for words in *said {
            assert!(fits[0].contains(words), "{fits:?}");
        }
    }
}

/// With `unlisted: delete`, unlisted integrations are deleted last, in a separate wave. If one blocks an entry, it is deleted with the
/// entries.
#[test]
fn unlisted_integrations_are_deleted_in_a_separate_wave() {
    let mut file = desired(&["x: b r1", "n: c"]);
    file.unlisted.integrations = UnlistedPolicy::Delete;
    file.behaviors
        .insert(BehaviorKey::new("dlp"), behavior(Some(false), None));
    let plan = planned(&file, &account(&["a r1", "b", "d"]));
    let waves: Vec<String> = plan
        .operations
        .iter()
        .map(|operation| format!("{} {}", operation.wave, operation.address))
        .collect();
    assert_eq!(
        waves,
        [
            "behaviors behavior.dlp",
            "integrations integration.n",
            "integrations integration[00000000-0000-0000-0000-000000000002]",
            "integrations integration.x",
            "cleanup integration[00000000-0000-0000-0000-000000000003]",
        ]
    );
}

#[test]
fn two_entries_share_a_key_only_if_other_keys_differ() {
    let distinguishable = "different values of reference_id";
    let declare = "set it in both and pin each with `id:`";
    let table: &[(&[&str], &[&str], Option<&str>)] = &[
        // Pinned to live integrations, or to deleted ones with different references: two deleted duplicates are created again.
        (&["x: a r1 id=1", "y: a r1 id=2"], &["a r1", "b r2"], None),
        (&["x: a r1 id=8", "y: a r2 id=9"], &[], None),
        (
            &["x: a r1 id=8", "y: a r1 id=9"],
            &[],
            Some(distinguishable),
        ),
        (&["x: a id=8", "y: a id=9"], &[], Some(distinguishable)),
        // Not declared by both entries: at least one entry keeps its live value.
        (
            &["x: a r1 id=1", "y: b id=2"],
            &["a r1", "b r1"],
            Some(declare),
        ),
        (
            &["x: a id=1", "y: b id=2"],
            &["a r1", "b r1"],
            Some(declare),
        ),
        // Already shared with an unlisted integration.
        (&["x: a r1 id=1"], &["a r1", "a r1"], None),
        (&["x: a r1 id=1"], &["a", "b r1"], Some("add integration[")),
    ];
    for (entries, integrations, expected) in table {
        let plan = plan(
            &desired(entries),
            &account(integrations),
            date(2026, 11, 22),
            &Options::default(),
        );
        let help = plan.err().map(|errors| errors[0].help.clone());
        let what = format!("{entries:?} in {integrations:?}: {help:?}");
        match expected {
            Some(words) => assert!(help.is_some_and(|help| help.contains(words)), "{what}"),
            None => assert!(help.is_none(), "{what}"),
        }
    }
}

/// The tenant alone does not prove that an integration is the entry's.
#[test]
fn destroy_keeps_integration_with_another_reference() {
    let options = Options {
        purpose: Purpose::Destroy,
        ..Options::default()
    };
    let table: &[(&str, &str, bool)] = &[
        ("x: a r1", "a r9", true),
        ("x: a r1 id=1", "a r9", false),
        ("x: a r1", "b r1", false),
        ("x: a r1", "a", false),
        ("x: a", "a r9", false),
    ];
    for (entry, integration, kept) in table {
        let plan = plan(
            &desired(&[entry]),
            &account(&[integration]),
            date(2026, 11, 22),
            &options,
        )
        .unwrap();
        let expected: &[&str] = if *kept { &[] } else { &["1 DELETE 1"] };
        assert_eq!(lines(&plan), expected, "{entry} in {integration}");
        if *kept {
            insta::assert_snapshot!(plan.notes[0], @"integration.x: 00000000-0000-0000-0000-000000000001 has the tenant_url but another reference_id, so it is not deleted; pin it with `id: 00000000-0000-0000-0000-000000000001` to delete it");
        }
    }
}
