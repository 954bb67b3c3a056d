//! Digests, and the plan as JSON.

use super::*;

#[test]
fn the_digest_covers_everything_and_no_more() {
    let base = account(&["a r1", "b"]);
    let digest = crate::plan::live_digest(&base);
    let changed: [&dyn Fn(&mut LiveAccount); 6] = [
        &|live| live.integrations[1].settings.active = false,
        &|live| live.integrations[1].settings.reference_id = ReferenceId::new("r"),
        &|live| live.integrations[1].settings.tenant_url = TenantUrl::from_live("https://z.test"),
        &|live| live.integrations[1].settings.integration_type = OpenEnum::parse("Entra"),
        &|live| drop(live.integrations.pop()),
        &|live| live.behaviors.values_mut().next().unwrap().settings.enabled = false,
    ];
    for change in changed {
        let mut live = base.clone();
        change(&mut live);
        assert_ne!(crate::plan::live_digest(&live), digest);
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
        assert_eq!(crate::plan::live_digest(&live), digest);
    }
}

#[test]
fn a_plan_survives_its_file() {
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
    let error = AccountError {
        kind: FailureKind::Api,
        message: "no".into(),
        cf_ray: None,
        help: None,
    };
    let accounts = vec![
        planned(&desired, &live),
        AccountPlan::failed(&desired, error),
    ];
    let at = |moment: &str| {
        let base_url = "https://api.test".to_owned();
        let accounts = accounts.clone();
        Run::new(
            Format::Plan,
            base_url,
            None,
            accounts,
            moment.parse().unwrap(),
        )
    };
    let run = at("2026-11-22T00:00:00Z");
    let text = run.to_json();
    assert_eq!(Run::read(&text, Format::ALL).unwrap().run, run);

    // The moment of writing is outside the digest; any other change is damage.
    let later = at("2027-01-01T00:00:00Z");
    assert_eq!(later.sealed().digest, run.sealed().digest);
    let damaged = text.replacen("\"method\": \"DELETE\"", "\"method\": \"PUT\"", 1);
    assert!(matches!(
        Run::read(&damaged, Format::ALL),
        Err(ParseRunError::DigestMismatch)
    ));
    let newer = text.replacen("riskform.plan/1", "riskform.plan/2", 1);
    assert!(matches!(
        Run::read(&newer, Format::ALL),
        Err(ParseRunError::OtherFormat { .. })
    ));
    let truncated = &text[..text.len() / 2];
    assert!(matches!(
        Run::read(truncated, Format::ALL),
        Err(ParseRunError::Damaged(_))
    ));
}
