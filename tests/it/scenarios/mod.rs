//! Random test cases: a desired account, a live account, and one possible behavior of the API.
//!
//! Values come from small pools, so that keys often collide, change and swap.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::civil::{Date, date};
use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use proptest::test_runner::{Config, RngSeed, TestRunner};
use riskform::model::account::{
    Declared, DesiredAccount, Guards, LiveAccount, Unlisted, UnlistedPolicy,
};
use riskform::model::address::{Address, Name};
use riskform::model::behavior::{Behavior, BehaviorKey, RiskLevel};
use riskform::model::context::Context;
use riskform::model::field::{Field, FieldValue, Fields};
use riskform::model::generated_reference::GeneratedReferences;
use riskform::model::integration::{Integration, IntegrationId, ReferenceId, TenantUrl};
use riskform::model::location::Location;
use riskform::model::open_enum::OpenEnum;
use riskform::plan::{
    AccountPlan, IntegrationTarget, OperationKind, Options, Overrides, PlanError, plan,
};
use riskform::sandbox::{
    AcceptedReferences, BehaviorsPut, RateLimit, Sandbox, Settings, TenantUrlForm, UnsetReference,
};

use crate::support::account;

/// Date of all random plans.
pub const TODAY: Date = date(2026, 11, 22);

/// Plans a random account.
pub fn planned(
    desired: &DesiredAccount,
    live: &LiveAccount,
    options: &Options,
) -> Result<AccountPlan, Vec<PlanError>> {
    let (desired, live) = (Arc::new(desired.clone()), Arc::new(live.clone()));
    let plan = plan(&desired, &live, &Context::default(), TODAY, options);
    match plan.errors.as_slice() {
        [] => Ok(plan),
        errors => Err(errors.to_vec()),
    }
}

/// Returns the seed: `RISKFORM_SEED`, or a random one. Failing tests print it.
pub fn seed() -> u64 {
    match std::env::var("RISKFORM_SEED") {
        Ok(seed) => seed.parse().expect("RISKFORM_SEED is a number"),
        Err(_) => uuid::Uuid::new_v4().as_u64_pair().0,
    }
}

/// Checks this many random cases for each combination of unknown API behavior, or `RISKFORM_WORLDS` cases in total.
pub fn for_each_api_variant<S: Strategy>(
    cases_each: u32,
    strategy: impl Fn(ApiVariant) -> S,
    check: impl Fn(S::Value, ApiVariant) -> Result<(), TestCaseError>,
) {
    let seed = seed();
    let variants = ApiVariant::all();
    let cases = std::env::var("RISKFORM_WORLDS").map_or(cases_each, |count| {
        let count: u32 = count.parse().expect("RISKFORM_WORLDS is a number");
        count.div_ceil(variants.len() as u32)
    });
    for (index, unknowns) in variants.into_iter().enumerate() {
        let config = Config {
            cases,
            failure_persistence: None,
            rng_seed: RngSeed::Fixed(seed.wrapping_add(index as u64)),
            ..Config::default()
        };
        let result = TestRunner::new(config).run(&strategy(unknowns), |case| check(case, unknowns));
        if let Err(error) = result {
            panic!("RISKFORM_SEED={seed} repeats this. {unknowns:?}: {error}");
        }
    }
}

/// One combination of the API behavior that `schema/api.md` marks as unknown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ApiVariant {
    pub behaviors_put: BehaviorsPut,
    pub unique_reference: bool,
    pub unique_tenant: bool,
    pub tenant_url: TenantUrlForm,
    pub unset_reference: UnsetReference,
    pub references: AcceptedReferences,
}

impl ApiVariant {
    /// Returns all combinations.
    pub fn all() -> Vec<ApiVariant> {
        let mut all = Vec::new();
        for behaviors_put in BehaviorsPut::ALL {
            for unique_reference in [false, true] {
                for unique_tenant in [false, true] {
                    for tenant_url in TenantUrlForm::ALL {
                        for unset_reference in UnsetReference::ALL {
                            for references in AcceptedReferences::ALL {
                                all.push(ApiVariant {
                                    behaviors_put: *behaviors_put,
                                    unique_reference,
                                    unique_tenant,
                                    tenant_url: *tenant_url,
                                    unset_reference: *unset_reference,
                                    references: *references,
                                });
                            }
                        }
                    }
                }
            }
        }
        all
    }

    /// Returns a sandbox with this behavior and live state. The references of the pool are its identity providers.
    pub fn sandbox(self, live: &LiveAccount, settings: Settings) -> Sandbox {
        let sandbox = Sandbox::in_memory(settings);
        sandbox
            .edit(&account(), |account| *account = live.clone().into())
            .unwrap();
        sandbox
            .edit(&account(), |account| {
                let provider =
                    |id: &&str| serde_json::json!({ "id": id, "name": id, "type": "okta" });
                account.context.identity_providers = REFERENCES.iter().map(provider).collect();
            })
            .unwrap();
        sandbox
    }

    /// Returns true if a plan needs a reference that this server rejects: a placeholder. Such a plan fails, reports it, and changes nothing
    /// else. Generated references are left out if they are rejected.
    pub fn refuses(self, planned: &AccountPlan) -> bool {
        let held = |id: IntegrationId| {
            let mut live = planned.live().integrations.iter();
            live.find(|live| live.id == id)?.fields.reference_id()
        };
        let is_generated = |address: &Address, sent: &ReferenceId| match address {
            Address::Integration(name) => {
                GeneratedReferences::of(&account(), name).contains(sent, 100)
            }
            Address::Behavior(_) | Address::UnlistedIntegration(_) => false,
        };
        self.references == AcceptedReferences::Providers
            && planned
                .operations
                .iter()
                .any(|operation| match &operation.call {
                    OperationKind::Update {
                        subject: IntegrationTarget::Existing(id),
                        fields,
                    } => fields.reference_id().is_some_and(|sent| {
                        !REFERENCES.contains(&sent.as_str())
                            && held(*id) != Some(sent)
                            && !is_generated(&operation.address, sent)
                    }),
                    OperationKind::Update { .. }
                    | OperationKind::Create { .. }
                    | OperationKind::Delete { .. }
                    | OperationKind::WriteBehaviors { .. } => false,
                })
    }

    /// Returns the sandbox's settings.
    pub fn settings(self) -> Settings {
        let keys = [
            (self.unique_reference, Field::ReferenceId),
            (self.unique_tenant, Field::TenantUrl),
        ];
        let keys = keys.into_iter().filter(|(is_unique, _)| *is_unique);
        Settings {
            behaviors_put: self.behaviors_put,
            unique: keys.map(|(_, field)| field).collect(),
            tenant_url: self.tenant_url,
            unset_reference: self.unset_reference,
            references: self.references,
            rate_limit: RateLimit::Off,
            ..Settings::default()
        }
    }
}

/// Desired and live account.
#[derive(Clone, Debug)]
pub struct Scenario {
    pub desired: DesiredAccount,
    pub live: LiveAccount,
}

/// Options without guards, which have separate tests.
pub fn unguarded() -> Options {
    Options {
        overrides: Overrides {
            max_deletes: Some(u32::MAX),
            allow_delete_all: true,
            allow_weakening: true,
            allow_policies: true,
        },
        ..Options::default()
    }
}

/// Generates cases that are possible with the given API behavior.
pub fn worlds(unknowns: ApiVariant) -> impl Strategy<Value = Scenario> {
    (live(unknowns), vec(entry(), 0..6), behaviors(), unlisted()).prop_map(
        move |(live, entries, behaviors, unlisted)| Scenario {
            desired: desired(entries, behaviors, unlisted, &live, unknowns),
            live,
        },
    )
}

const TENANTS: [&str; 6] = [
    "https://a.okta.com",
    "https://b.okta.com",
    "https://c.okta.com",
    "https://d.okta.com",
    "https://C.okta.com/",
    "https://d.okta.com:443",
];
const REFERENCES: [&str; 5] = ["r1", "r2", "r3", "r4", "r/5 ä?"];
const BEHAVIORS: [&str; 4] = ["high_dlp", "imp_travel", "sentinel_one", "new_one"];

fn reference() -> impl Strategy<Value = ReferenceId> {
    select(&REFERENCES[..]).prop_map(|text| ReferenceId::new(text).unwrap())
}

fn live(unknowns: ApiVariant) -> impl Strategy<Value = LiveAccount> {
    let integrations = (
        select(&TENANTS[..]),
        option::weighted(0.7, reference()),
        prop::bool::weighted(0.8),
        prop::bool::weighted(0.9),
    );
    let levels = select(vec!["low", "medium", "high", "critical"]);
    let offered = btree_map(select(&BEHAVIORS[..]), (any::<bool>(), levels), 2..=4);
    (vec(integrations, 0..6), offered).prop_map(move |(integrations, offered)| {
        let mut taken = Taken::default();
        let integrations = integrations
            .into_iter()
            .enumerate()
            .map(|(index, (tenant, reference_id, active, okta))| {
                let settings = Fields::of_integration(
                    if okta { "Okta" } else { "Entra" },
                    TenantUrl::from_live(tenant),
                    reference_id,
                    active,
                );
                integration(index as u128 + 1, settings)
            })
            .filter(|live| taken.take(&live.fields, unknowns))
            .collect();
        let behaviors = offered
            .into_iter()
            .map(|(key, (enabled, level))| (BehaviorKey::new(key), behavior(key, enabled, level)))
            .collect();
        LiveAccount::new(behaviors, integrations)
    })
}

/// Used keys, if they must be unique.
#[derive(Default)]
struct Taken(BTreeSet<String>);

impl Taken {
    fn take(&mut self, settings: &Fields, unknowns: ApiVariant) -> bool {
        let tenant = format!("tenant {}", settings.tenant_url().unwrap().normalized());
        let reference = settings.reference_id();
        let reference = reference.map(|reference| format!("reference {reference}"));
        let keys = [
            unknowns.unique_tenant.then_some(tenant),
            reference.filter(|_| unknowns.unique_reference),
        ];
        let keys: Vec<String> = keys.into_iter().flatten().collect();
        if keys.iter().any(|key| self.0.contains(key)) {
            return false;
        }
        self.0.extend(keys);
        true
    }
}

fn integration(number: u128, settings: Fields) -> Integration {
    let id = IntegrationId::from(uuid::Uuid::from_u128(number << 64 | number));
    Integration {
        id,
        account_tag: account().to_string(),
        created_at: "2025-03-19T19:53:56Z".into(),
        well_known_url: format!("https://ssf.example/.well-known/sse-configuration/{id}"),
        fields: settings,
    }
}

fn behavior(name: &str, enabled: bool, level: &str) -> Behavior {
    Behavior {
        name: name.to_uppercase(),
        description: String::new(),
        fields: Fields::of_behavior(enabled, OpenEnum::parse(level)),
    }
}

/// An entry draft; its pin is an index into the live integrations.
#[derive(Clone, Debug)]
struct Entry {
    tenant: &'static str,
    reference_id: Option<ReferenceId>,
    active: bool,
    declares_type: bool,
    pin: Option<Index>,
    /// Uses the keys of this live integration, which creates swaps.
    covets: Option<Index>,
}

fn entry() -> impl Strategy<Value = Entry> {
    (
        select(&TENANTS[..]),
        option::weighted(0.6, reference()),
        prop::bool::weighted(0.8),
        any::<bool>(),
        option::weighted(0.5, any::<Index>()),
        option::weighted(0.4, any::<Index>()),
    )
        .prop_map(
            |(tenant, reference_id, active, declares_type, pin, covets)| Entry {
                tenant,
                reference_id,
                active,
                declares_type,
                pin,
                covets,
            },
        )
}

type DeclaredBehaviors = BTreeMap<&'static str, (Option<bool>, Option<RiskLevel>)>;

fn behaviors() -> impl Strategy<Value = DeclaredBehaviors> {
    let declared = (
        option::of(any::<bool>()),
        option::of(select(RiskLevel::ALL)),
    )
        .prop_filter("an entry declares something", |(enabled, level)| {
            enabled.is_some() || level.is_some()
        });
    btree_map(select(&BEHAVIORS[..]), declared, 0..4)
}

fn unlisted() -> impl Strategy<Value = Unlisted> {
    (select(UnlistedPolicy::ALL), select(UnlistedPolicy::ALL)).prop_map(
        |(behaviors, integrations)| Unlisted {
            behaviors,
            integrations,
        },
    )
}

fn location(line: usize) -> Location {
    Location {
        file: "world.yaml".into(),
        line: line as u32,
        column: 1,
    }
}

/// Combines drafts to a valid file: entries share a key only if both pin different IDs, and never if the API requires unique keys. Unknown
/// behaviors have separate tests.
fn desired(
    entries: Vec<Entry>,
    behaviors: DeclaredBehaviors,
    unlisted: Unlisted,
    live: &LiveAccount,
    unknowns: ApiVariant,
) -> DesiredAccount {
    let mut integrations: Vec<(Name, Declared)> = Vec::new();
    for (index, entry) in entries.into_iter().enumerate() {
        let pick = |index: Option<Index>| {
            let index = index.filter(|_| !live.integrations.is_empty())?;
            Some(index.get(&live.integrations))
        };
        let coveted = pick(entry.covets).map(|live| &live.fields);
        let tenant_url = match coveted {
            Some(live) => live.shown(Field::TenantUrl).parse().unwrap(),
            None => entry.tenant.parse().unwrap(),
        };
        let reference_id = match coveted.and_then(Fields::reference_id) {
            Some(reference_id) => Some(reference_id.clone()),
            None => entry.reference_id,
        };
        let fields = Fields::of_integration("Okta", tenant_url, reference_id, entry.active);
        let declares_type = fields.get(Field::IntegrationType).cloned();
        let declares_type = declares_type.filter(|_| entry.declares_type);
        let fields = fields.with(Field::IntegrationType, declares_type);
        let entry = Declared {
            id: pick(entry.pin).map(|live| live.id),
            fields,
            location: location(index + 1),
            ..Declared::default()
        };
        if integrations
            .iter()
            .all(|(_, other)| agree(other, &entry, unknowns))
        {
            integrations.push((format!("e{index}").parse().unwrap(), entry));
        }
    }
    DesiredAccount {
        account_id: account(),
        name: None,
        source: "world.yaml".into(),
        api_token_env: None,
        behaviors: behaviors
            .into_iter()
            .filter(|(key, _)| live.behaviors.contains_key(&BehaviorKey::new(*key)))
            .map(|(key, (enabled, risk_level))| {
                let level = risk_level.map(|level| FieldValue::Level(OpenEnum::Known(level)));
                let fields = Fields::default()
                    .with(Field::Enabled, enabled.map(FieldValue::Bool))
                    .with(Field::RiskLevel, level);
                (
                    BehaviorKey::new(key),
                    Declared {
                        fields,
                        location: location(100),
                        ..Declared::default()
                    },
                )
            })
            .collect(),
        wildcard: None,
        unmanaged: Default::default(),
        integrations: integrations.into_iter().collect(),
        unlisted,
        guards: Guards::default(),
    }
}

fn agree(a: &Declared, b: &Declared, unknowns: ApiVariant) -> bool {
    let [same_tenant, same_reference] = [Field::TenantUrl, Field::ReferenceId]
        .map(|field| a.fields.get(field).is_some() && a.fields.get(field) == b.fields.get(field));
    if a.id.is_some() && a.id == b.id {
        return false;
    }
    if (same_tenant && unknowns.unique_tenant) || (same_reference && unknowns.unique_reference) {
        return false;
    }
    !(same_tenant || same_reference) || (a.id.is_some() && b.id.is_some())
}
