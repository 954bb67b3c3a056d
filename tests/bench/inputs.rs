//! Inputs: directories of files, and accounts that differ from their files in a known way.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;
use jiff::civil::{Date, date};
use riskform::config::files::AllowedRoot;
use riskform::config::load::{LoadOptions, load};
use riskform::model::account::{DesiredAccount, LiveAccount};
use riskform::model::behavior::{Behavior, BehaviorKey, RiskLevel};
use riskform::model::context::Context;
use riskform::model::field::{Field, FieldValue, Fields};
use riskform::model::integration::{Integration, ReferenceId, TenantUrl};
use riskform::model::limits::NO_LIMITS;
use riskform::plan::{self, Format, Options, Run};
use tempfile::TempDir;
use uuid::Uuid;

/// The date of the run.
pub(super) const TODAY: Date = date(2026, 11, 22);

/// A difference between files and live account.
#[derive(Clone, Copy)]
pub(super) enum Difference {
    /// No difference.
    Unchanged,
    /// One integration in a hundred has another tenant.
    OnePercent,
    /// The live account is empty.
    AllNew,
    /// Each two integrations exchange their tenants.
    AllSwapped,
    /// Each integration takes the tenant that the next one frees.
    Chain,
    /// The same, and the last one takes the first one's.
    Circle,
}

impl Difference {
    pub(super) const ALL: [(&'static str, Difference); 6] = [
        ("unchanged", Difference::Unchanged),
        ("one percent changed", Difference::OnePercent),
        ("all new", Difference::AllNew),
        ("all swapped", Difference::AllSwapped),
        ("one chain of freed keys", Difference::Chain),
        ("one circle of freed keys", Difference::Circle),
    ];

    fn declared_tenant(self, index: usize, count: usize) -> String {
        match self {
            Difference::Unchanged | Difference::AllNew => tenant(index),
            Difference::OnePercent if index.is_multiple_of(100) => tenant(count + index),
            Difference::OnePercent => tenant(index),
            Difference::AllSwapped => tenant(index ^ 1),
            Difference::Chain => tenant(index + 1),
            Difference::Circle => tenant((index + 1) % count),
        }
    }
}

/// Returns the desired and the live state of an account with `count` integrations.
pub(super) fn account(
    count: usize,
    difference: Difference,
) -> (Arc<DesiredAccount>, Arc<LiveAccount>) {
    let directory = integrations(count, |index| difference.declared_tenant(index, count));
    let desired = accounts(directory.path()).remove(0);
    let live = match difference {
        Difference::AllNew => 0,
        Difference::Unchanged
        | Difference::OnePercent
        | Difference::AllSwapped
        | Difference::Chain
        | Difference::Circle => count,
    };
    (Arc::new(desired), Arc::new(live_account(live)))
}

/// Returns the plan of `count` accounts. Each has one behavior and one integration to update, and one unlisted integration.
pub(super) fn fleet_plan(count: usize) -> Run {
    let directory = fleet(count);
    let mut live = live_account(2);
    live.integrations[0]
        .fields
        .set(Field::ReferenceId, None.map(FieldValue::Reference));
    live.integrations[1].fields.set(
        Field::TenantUrl,
        Some(FieldValue::Url(TenantUrl::from_live(
            "https://unlisted.okta.com",
        ))),
    );
    let planned = accounts(directory.path()).into_iter().map(|desired| {
        let mut live = live.clone();
        let declared = desired.integrations.values().next().unwrap();
        live.integrations[0].fields.set(
            Field::TenantUrl,
            declared.fields.get(Field::TenantUrl).cloned(),
        );
        live.integrations[0]
            .fields
            .set(Field::Active, Some(FieldValue::Bool(false)));
        let (desired, live) = (Arc::new(desired), Arc::new(live));
        plan::plan(
            &desired,
            &live,
            &Context::default(),
            TODAY,
            &Options::default(),
        )
    });
    let base_url = "https://api.cloudflare.com/client/v4".to_owned();
    let accounts = planned.collect();
    Run::new(Format::Plan, base_url, accounts, Timestamp::UNIX_EPOCH)
}

/// Loads the accounts of a directory.
pub(super) fn accounts(path: &Path) -> Vec<DesiredAccount> {
    let loaded = load(&LoadOptions {
        paths: &[PathBuf::from(path)],
        account_id: None,
        default_account_id: None,
        confinement: &AllowedRoot::default(),
        limits: &NO_LIMITS,
        variables: &|_| None,
        today: TODAY,
    });
    loaded.unwrap().accounts
}

/// Returns a directory of files that extend one base file.
pub(super) fn fleet(files: usize) -> TempDir {
    let directory = TempDir::new().unwrap();
    let baseline = include_str!("../../examples/fleet/_baseline.yaml");
    fs::write(directory.path().join("_baseline.yaml"), baseline).unwrap();
    for file in 0..files {
        let text = format!(
            "version: 1\naccount_id: {file:032x}\nname: account-{file}\nextends: [_baseline.yaml]\nintegrations:\n  okta:\n    tenant_url: {}\n",
            tenant(file)
        );
        fs::write(directory.path().join(format!("{file}.yaml")), text).unwrap();
    }
    directory
}

/// Returns a directory with one file of `count` integrations.
pub(super) fn integrations(count: usize, declared_tenant: impl Fn(usize) -> String) -> TempDir {
    let directory = TempDir::new().unwrap();
    let mut text = format!("version: 1\naccount_id: {:032x}\nintegrations:\n", 1);
    for index in 0..count {
        writeln!(
            text,
            "  okta-{index}:\n    tenant_url: {}\n    reference_id: {}\n    active: true",
            declared_tenant(index),
            reference(index)
        )
        .unwrap();
    }
    fs::write(directory.path().join("many.yaml"), text).unwrap();
    directory
}

/// Returns a directory with one file of behaviors and a comment on every line.
pub(super) fn commented_lines(count: usize) -> TempDir {
    let directory = TempDir::new().unwrap();
    let mut text = format!("version: 1\naccount_id: {:032x}\nbehaviors:\n", 1);
    for index in 0..count {
        writeln!(text, "  b{index}: {{ enabled: true }} # {index}").unwrap();
    }
    fs::write(directory.path().join("many.yaml"), text).unwrap();
    directory
}

/// The tenant of a live integration.
pub(super) fn tenant(index: usize) -> String {
    format!("https://tenant-{index}.okta.com")
}

fn reference(index: usize) -> String {
    format!("{index:08x}-0000-4000-8000-000000000000")
}

fn live_account(count: usize) -> LiveAccount {
    let behaviors = ["high_dlp", "imp_travel", "sentinel_one"].map(|key| {
        let behavior = Behavior {
            name: key.to_owned(),
            description: "What triggers it, in a sentence.".to_owned(),
            fields: Fields::of_behavior(false, RiskLevel::Low.into()),
        };
        (BehaviorKey::new(key), behavior)
    });
    let integrations = (0..count).map(|index| Integration {
        id: Uuid::from_u128(index as u128 + 1).into(),
        account_tag: format!("{:032x}", 1),
        created_at: "2026-01-01T00:00:00Z".to_owned(),
        well_known_url: "https://example.cloudflareaccess.com/.well-known/risk".to_owned(),
        fields: Fields::of_integration(
            "Okta",
            TenantUrl::from_live(tenant(index)),
            ReferenceId::new(reference(index)),
            true,
        ),
    });
    LiveAccount::new(BTreeMap::from(behaviors), integrations.collect())
}
