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
        &|live| live.integrations[1].settings.integration_type = OpenWord::read("Entra"),
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
    assert_eq!(later.sealed().digest, document.sealed().digest);
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
