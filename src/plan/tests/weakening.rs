//! Tests of changes that weaken protection, in both directions.

use super::*;

#[test]
fn weakening_and_its_mirror_image() {
    let mut desired = desired(&["gone: a", "renamed: c r2", "off: d off"]);
    desired.unlisted.integrations = UnlistedPolicy::Delete;
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
            let text = |w: Option<crate::plan::Weakening>| w.map_or("-", |w| w.as_str());
            format!(
                "{}: {} | {}",
                &change.address,
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
            "behavior.imp: unknown level | unknown level",
            "integration.gone: - | deleted",
            "integration.off: deactivated | -",
            "integration.renamed: tenant_url changed | tenant_url changed",
            "integration[00000000-0000-0000-0000-000000000003]: deleted | -",
        ]
    );
}
