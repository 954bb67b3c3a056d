//! `--save-previous`: applying the rollback file restores the previous settings.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use proptest::prelude::*;
use proptest::test_runner::TestCaseError;
use riskform::api::Transport;
use riskform::config::export::previous;
use riskform::model::account::{DesiredAccount, LiveAccount};
use riskform::model::field::{Field, Fields};
use riskform::plan::{Action, Guard, Options, describe};

use crate::scenarios::{
    ApiVariant, Scenario, TODAY, for_each_api_variant, planned, unguarded, worlds,
};
use crate::support::account;
use crate::support::json::load_file;
use crate::support::world::{PATIENCE, apply_plan, client, in_paused_time};

/// Cases for each of the 192 combinations of unknown API behavior.
const WORLDS_EACH: u32 = 1;

#[test]
fn saved_previous_state_restores_the_account() {
    let tally = RefCell::new(BTreeMap::<Way, usize>::new());
    for_each_api_variant(WORLDS_EACH, worlds, |world, unknowns| {
        let way = in_paused_time(there_and_back(&world, unknowns))?;
        *tally.borrow_mut().entry(way).or_default() += 1;
        Ok(())
    });
    let tally = tally.into_inner();
    println!("{tally:?}");
    assert!(tally[&Way::Whole] > 10 && tally[&Way::AsFarAsDeclarable] > 10);
}

/// Result of a rollback.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Way {
    /// The plan failed or had no changes, so there is no change to roll back.
    NeverLeft,
    /// All settings are restored.
    Whole,
    /// All settings that a file can declare are restored; comments in the file name the others.
    AsFarAsDeclarable,
    /// Rejected with a reason, because of a conflict with a setting that a file cannot declare or with a shared key.
    RefusedByWhatCannotBeDeclared,
    /// A swap needs a placeholder, which this server rejects.
    RefusedByTheServer,
}

async fn there_and_back(world: &Scenario, unknowns: ApiVariant) -> Result<Way, TestCaseError> {
    let sandbox = unknowns.sandbox(&world.live, unknowns.settings());
    let client = client(Transport::in_process(sandbox.router(), PATIENCE));
    let before = sandbox.live(&account());
    let there = match planned(&world.desired, &before, &unguarded()) {
        Ok(there) if !there.changes.is_empty() => there,
        Ok(_) | Err(_) => return Ok(Way::NeverLeft),
    };
    if unknowns.refuses(&there) {
        return Ok(Way::NeverLeft);
    }
    let actions = there.changes.iter().map(|change| change.action);
    let creates = actions.filter(|one| matches!(one, Action::Create | Action::Replace));
    let creates = creates.count();
    let document = previous(there.desired(), there.live(), creates as u32);
    prop_assert!(apply_plan(&client, &there).await.is_complete());

    let yaml = document.to_yaml().unwrap();
    let saved = load_text(&yaml)?;
    let declarable = !document.comments.contains_key("behaviors")
        && !document.comments.contains_key("integrations")
        && before
            .behaviors
            .values()
            .all(|behavior| behavior.fields.level().unwrap().known().is_some());
    let live = sandbox.live(&account());
    let back = match planned(&saved, &live, &Options::default()) {
        Ok(back) => back,
        Err(problems) => {
            prop_assert!(
                document.comments.contains_key("integrations")
                    || shares_keys(&before)
                    || lacks_a_reference(&before),
                "{}\n{}",
                describe(&problems),
                yaml
            );
            return Ok(Way::RefusedByWhatCannotBeDeclared);
        }
    };
    // The rollback deletes everything only if there was nothing before that a file can declare.
    let refused = back
        .violations
        .iter()
        .all(|refusal| refusal.guard == Guard::DeleteAll);
    prop_assert!(refused, "{:?}\n{}", back.violations, yaml);
    let applied = apply_plan(&client, &back).await;
    if unknowns.refuses(&back) {
        prop_assert!(applied.first_failure().is_some(), "{:?}", applied);
        return Ok(Way::RefusedByTheServer);
    }
    prop_assert!(
        back.changes.is_empty() || applied.is_complete(),
        "{:?}\n{}",
        applied,
        yaml
    );
    check_settings(&before, &sandbox.live(&account()), declarable)?;
    Ok(if declarable {
        Way::Whole
    } else {
        Way::AsFarAsDeclarable
    })
}

fn load_text(yaml: &str) -> Result<DesiredAccount, TestCaseError> {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("previous.yaml");
    fs::write(&path, yaml).unwrap();
    load_file(&path, TODAY).map_err(|problems| TestCaseError::fail(format!("{problems}\n{yaml}")))
}

/// A file cannot unset a reference, so a new reference is kept, and another entry may need it.
fn lacks_a_reference(live: &LiveAccount) -> bool {
    let mut integrations = live.integrations.iter();
    integrations.any(|live| live.fields.reference_id().is_none())
}

fn shares_keys(live: &LiveAccount) -> bool {
    let all = || live.integrations.iter().map(|live| (live.id, &live.fields));
    all().any(|(id, one)| {
        all().any(|(other_id, other)| {
            let reference =
                one.reference_id().is_some() && one.reference_id() == other.reference_id();
            id != other_id && (reference || one.tenant_url() == other.tenant_url())
        })
    })
}

fn check_settings(
    before: &LiveAccount,
    now: &LiveAccount,
    declarable: bool,
) -> Result<(), TestCaseError> {
    for (key, behavior) in &before.behaviors {
        let (was, is) = (&behavior.fields, &now.behaviors[key].fields);
        let field = |field| (was.get(field), is.get(field));
        let (before, after) = field(Field::Enabled);
        prop_assert_eq!(before, after, "{}", key);
        if was.level().unwrap().known().is_some() {
            let (before, after) = field(Field::RiskLevel);
            prop_assert_eq!(before, after, "{}", key);
        }
    }
    // A reference cannot be cleared: a generated one may remain.
    let unset = |settings: &Fields| settings.reference_id().is_none();
    let unset: BTreeSet<String> = before
        .integrations
        .iter()
        .filter(|live| unset(&live.fields))
        .map(|live| live.fields.tenant_url().unwrap().normalized().to_owned())
        .collect();
    let (was, is) = (settings(before, &unset), settings(now, &unset));
    if declarable {
        prop_assert_eq!(was, is);
        return Ok(());
    }
    for (one, times) in was.iter().filter(|(one, _)| one.starts_with("Okta ")) {
        prop_assert!(is.get(one) >= Some(times), "{} is missing", one);
    }
    Ok(())
}

/// Returns each setting with its number of integrations, without IDs and times.
fn settings(live: &LiveAccount, unset: &BTreeSet<String>) -> BTreeMap<String, usize> {
    let mut settings = BTreeMap::new();
    for integration in &live.integrations {
        let fields = &integration.fields;
        let tenant_url = fields.tenant_url().unwrap().normalized();
        let reference_id = fields.reference_id();
        let reference_id = reference_id.filter(|_| !unset.contains(tenant_url));
        let [integration_type, active] =
            [Field::IntegrationType, Field::Active].map(|field| fields.shown(field));
        let one = format!("{integration_type} {tenant_url} {reference_id:?} {active}");
        *settings.entry(one).or_default() += 1;
    }
    settings
}
