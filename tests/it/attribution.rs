//! Attribution of changes: random accounts changed by several users in several ways, checked against the account's audit log.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use http::{Method, Request};
use http_body_util::BodyExt;
use jiff::Timestamp;
use jiff::civil::date;
use riskform::model::account::{DesiredAccount, LiveAccount};
use riskform::model::address::Address;
use riskform::model::audit_log::{AuditEntry, AuditLog, ParsedEntry};
use riskform::model::context::Context;
use riskform::model::field::{FIELDS, Field, FieldValue, Fields, Kind};
use riskform::model::integration::IntegrationId;
use riskform::plan::attribution::{Attribution, Subject, creation, deletion, of_field};
use riskform::plan::{Action, AttributedAction, Options, Purpose, plan};
use riskform::sandbox::{
    ACTOR_HEADER, BASE_PATH, CONTEXT_HEADER, DEFAULT_TOKEN, RECORDED_ACCOUNT, Sandbox, Settings,
};
use serde_json::{Value, json};
use tower::ServiceExt;

use crate::scenarios;
use crate::support::account;

const WORLDS: u64 = 150;
const WRITES: usize = 14;
const PEOPLE: [&str; 4] = [
    "installer@example.com",
    "alice@example.com",
    "bob@example.com",
    "carol@example.com",
];
const MEANS: [&str; 3] = ["dash", "api_token", "api_key"];
const KEYS: [&str; 3] = ["high_dlp", "imp_travel", "sentinel_one"];
const LEVELS: [&str; 3] = ["low", "medium", "high"];
const TENANTS: [&str; 3] = [
    "https://a.okta.com",
    "https://b.okta.com",
    "https://c.okta.com",
];

/// A user and an interface.
type Author = (&'static str, &'static str);

/// An account, its users, and the known author of each value.
struct AttributionScenario {
    sandbox: Sandbox,
    router: Router,
    random: fastrand::Rng,
    /// Author of each value.
    setters: BTreeMap<String, Author>,
    /// Deleted integrations: ID, tenant, author.
    deleted: Vec<(IntegrationId, String, Author)>,
}

impl AttributionScenario {
    fn new(seed: u64) -> Self {
        let sandbox = Sandbox::in_memory(Settings::default());
        AttributionScenario {
            router: sandbox.router(),
            sandbox,
            random: fastrand::Rng::with_seed(seed),
            setters: BTreeMap::new(),
            deleted: Vec::new(),
        }
    }

    async fn send(&self, who: Author, method: Method, rest: &str, body: Value) -> bool {
        let request = Request::builder()
            .method(method)
            .uri(format!(
                "{BASE_PATH}/accounts/{RECORDED_ACCOUNT}/zt_risk_scoring/{rest}"
            ))
            .header("authorization", format!("Bearer {DEFAULT_TOKEN}"))
            .header(ACTOR_HEADER, who.0)
            .header(CONTEXT_HEADER, who.1)
            .body(Body::from(body.to_string()))
            .unwrap();
        let answer = self.router.clone().oneshot(request).await.unwrap();
        let done = answer.status().is_success();
        drop(answer.into_body().collect().await.unwrap());
        done
    }

    /// Sends one write. Most contain unchanged values, some are rejected, some change nothing.
    async fn write(&mut self) {
        let person = PEOPLE[self.random.usize(1..PEOPLE.len())];
        let who = (person, MEANS[self.random.usize(..MEANS.len())]);
        let before = self.sandbox.live(&account());
        let tenant = TENANTS[self.random.usize(..TENANTS.len())];
        let id = before
            .integrations
            .get(self.random.usize(..4))
            .map(|one| one.id);
        let (method, rest, body) = match (self.random.u32(..10), id) {
            (0..=4, _) | (6.., None) => {
                (Method::PUT, "behaviors".to_owned(), self.behaviors(&before))
            }
            (5, _) => {
                let body = json!({ "integration_type": "Okta", "tenant_url": tenant });
                (Method::POST, "integrations".to_owned(), body)
            }
            (6, Some(id)) => (Method::DELETE, format!("integrations/{id}"), Value::Null),
            (_, Some(id)) => {
                let live = before.integrations.iter().find(|one| one.id == id).unwrap();
                let mut body = json!({
                    "tenant_url": live.fields.tenant_url().unwrap(),
                    "reference_id": live.fields.reference_id(),
                    "active": live.fields.is_on(Field::Active),
                });
                match self.random.u32(..5) {
                    0 => body["tenant_url"] = json!(tenant),
                    1 => body["reference_id"] = json!(format!("r{}", self.random.u32(..3))),
                    2 => body["reference_id"] = Value::Null,
                    3 => body["active"] = json!(self.random.bool()),
                    _ => body["active"] = json!("refused"),
                }
                (Method::PUT, format!("integrations/{id}"), body)
            }
        };
        if self.send(who, method, &rest, body).await {
            self.note(who, &before);
        }
    }

    /// Writes all or some behaviors, with at most one change.
    fn behaviors(&mut self, live: &LiveAccount) -> Value {
        let whole = self.random.u32(..4) > 0;
        let changed = KEYS[self.random.usize(..KEYS.len())];
        let mut sent = BTreeMap::new();
        for (key, behavior) in live.behaviors.iter() {
            if !whole && key.as_str() != changed {
                continue;
            }
            let mut settings = json!(behavior.fields);
            if key.as_str() == changed {
                match self.random.u32(..3) {
                    0 => settings["enabled"] = json!(self.random.bool()),
                    1 => settings["risk_level"] = json!(LEVELS[self.random.usize(..LEVELS.len())]),
                    _ => {}
                }
            }
            sent.insert(key.as_str().to_owned(), settings);
        }
        json!({ "behaviors": sent })
    }

    /// Records the author of each difference.
    fn note(&mut self, who: Author, before: &LiveAccount) {
        let after = self.sandbox.live(&account());
        let (old, new) = (values(before), values(&after));
        for (name, value) in &new {
            if old.get(name) != Some(value) {
                self.setters.insert(name.clone(), who);
            }
        }
        for gone in &before.integrations {
            if !after.integrations.iter().any(|one| one.id == gone.id) {
                let tenant = gone.fields.shown(Field::TenantUrl);
                self.deleted.push((gone.id, tenant, who));
            }
        }
    }

    /// Compares the authors shown by drift with the known ones, and returns the number of comparisons.
    fn check_drift(&self, declared: &LiveAccount, log: &AuditLog, seed: u64) -> usize {
        let file = Arc::new(file(declared));
        let live = Arc::new(self.sandbox.live(&account()));
        let today = date(2026, 11, 1);
        // Two live integrations may match one entry.
        let options = Options {
            purpose: Purpose::Drift,
            ..Options::default()
        };
        let mut drift = plan(&file, &live, &Context::default(), today, &options);
        if !drift.errors.is_empty() {
            return 0;
        }
        drift.attribute(log);
        let mut seen = 0;
        let mut check = |about: String, told: &Attribution, setter: Option<&Author>| {
            seen += 1;
            let seed = format!("RISKFORM_SEED={seed}");
            assert_eq!(author(told), setter.copied(), "{seed}: {about}: {told:?}");
        };
        for change in &drift.changes {
            let address = &change.address;
            let id = change.origin.integration_id;
            for one in &change.attribution {
                if one.action == AttributedAction::Deleted {
                    let pinned = declared.integrations[0].id;
                    let (_, _, who) = self.deleted.iter().find(|gone| gone.0 == pinned).unwrap();
                    check(format!("{address} is gone"), &one.attribution, Some(who));
                }
                for field in &one.fields {
                    let name = match (address, id) {
                        (Address::Behavior(key), _) => format!("{key} {field}"),
                        (_, Some(id)) => format!("{id} {field}"),
                        (_, None) => panic!("{change:?}"),
                    };
                    check(name.clone(), &one.attribution, self.setters.get(&name));
                }
            }
            let fields = change.attribution.iter().map(|one| one.fields.len());
            let deleted = usize::from(change.action == Action::Create);
            assert_eq!(
                fields.sum::<usize>() + deleted,
                if deleted == 1 { 1 } else { change.fields.len() },
                "RISKFORM_SEED={seed}: {change:?}"
            );
        }
        for thing in drift.reported() {
            let Address::UnlistedIntegration(id) = &thing.address else {
                continue;
            };
            let setter = self.setters.get(&format!("{id} integration_type"));
            check(
                format!("{id} is unlisted"),
                &thing.attribution[0].attribution,
                setter,
            );
        }
        seen
    }

    fn log(&self) -> AuditLog {
        let items = self.sandbox.account(&account()).audit_log;
        let entries = items
            .iter()
            .rev()
            .map(|item| AuditEntry::read(&account(), &item.shown));
        AuditLog {
            since: since(),
            entries: entries
                .map(|reading| match reading {
                    ParsedEntry::Entry(entry) => entry,
                    other => panic!("{other:?}"),
                })
                .collect(),
            skipped: 0,
        }
    }
}

/// Returns a file that declares the live account, with its integration pinned.
fn file(live: &LiveAccount) -> DesiredAccount {
    let location = json!({ "file": "a.yaml", "line": 1, "column": 1 });
    let behaviors: BTreeMap<&str, Value> = live
        .behaviors
        .iter()
        .map(|(key, one)| {
            let mut declared = json!(one.fields);
            declared["location"] = location.clone();
            (key.as_str(), declared)
        })
        .collect();
    let recorded = &live.integrations[0];
    let settings = &recorded.fields;
    serde_json::from_value(json!({
        "account_id": RECORDED_ACCOUNT, "source": "a.yaml", "behaviors": behaviors,
        "integrations": { "okta": {
            "tenant_url": settings.tenant_url(), "reference_id": settings.reference_id(), "active": settings.is_on(Field::Active),
            "id": recorded.id, "lifecycle": { "prevent_destroy": false, "ignore_changes": [] }, "location": location
        } },
        "unlisted": { "behaviors": "keep", "integrations": "report" },
        "guards": { "max_deletes": 1, "weakening": "warn", "protected": [] }
    }))
    .unwrap()
}

fn since() -> Timestamp {
    "2026-10-02T00:00:00Z".parse().unwrap()
}

/// Returns all values of an account by name.
fn values(live: &LiveAccount) -> BTreeMap<String, String> {
    let values = |name: &dyn fmt::Display, kind: Kind, fields: &Fields| {
        let specs = FIELDS.iter().filter(|spec| spec.kind == kind);
        let values = specs.map(|spec| (format!("{name} {}", spec.field), fields.shown(spec.field)));
        values.collect::<Vec<_>>()
    };
    let behaviors = live.behaviors.iter();
    let behaviors = behaviors.flat_map(|(key, one)| values(key, Kind::Behavior, &one.fields));
    let integrations = live.integrations.iter();
    let integrations = integrations.flat_map(|one| values(&one.id, Kind::Integration, &one.fields));
    behaviors.chain(integrations).collect()
}

/// Returns the attribution of all values, by the same names.
fn attributions(log: &AuditLog, live: &LiveAccount) -> BTreeMap<String, Attribution> {
    let mut told = BTreeMap::new();
    for (key, behavior) in live.behaviors.iter() {
        for (field, _) in behavior.fields.iter() {
            let attribution = of_field(log, Subject::Behavior(key), field, &behavior.fields);
            told.insert(format!("{key} {field}"), attribution);
        }
    }
    for one in &live.integrations {
        for field in FIELDS.iter().filter(|spec| spec.kind == Kind::Integration) {
            let field = field.field;
            let attribution = of_field(log, Subject::Integration(one.id), field, &one.fields);
            told.insert(format!("{} {field}", one.id), attribution);
        }
    }
    told
}

fn author(attribution: &Attribution) -> Option<(&str, &str)> {
    match attribution {
        Attribution::Set { author } => Some((author.actor.as_deref()?, author.method.as_deref()?)),
        _ => None,
    }
}

#[tokio::test(start_paused = true)]
async fn each_value_is_attributed_to_its_author() {
    let first = scenarios::seed();
    let (mut set, mut attributed) = (0, 0);
    for seed in (0..WORLDS).map(|n| first.wrapping_add(n)) {
        let mut world = AttributionScenario::new(seed);
        // Write everything once, so that the log contains the initial values.
        let installer = (PEOPLE[0], "api_token");
        let live = world.sandbox.live(&account());
        let settings: BTreeMap<_, _> = live
            .behaviors
            .iter()
            .map(|(key, one)| (key.as_str(), &one.fields))
            .collect();
        let body = json!({ "behaviors": settings });
        assert!(world.send(installer, Method::PUT, "behaviors", body).await);
        let declared = live.clone();
        let recorded = &live.integrations[0];
        let place = format!("integrations/{}", recorded.id);
        let body = json!(recorded.fields);
        assert!(world.send(installer, Method::PUT, &place, body).await);
        for _ in 0..WRITES {
            world.write().await;
            let pause = world.random.u64(..3);
            tokio::time::sleep(std::time::Duration::from_secs(pause)).await;
        }
        let live = world.sandbox.live(&account());
        let log = world.log();
        for (name, attribution) in attributions(&log, &live) {
            match world.setters.get(&name) {
                Some(setter) => {
                    set += 1;
                    let repeat = format!("RISKFORM_SEED={seed}: {name}");
                    assert_eq!(
                        author(&attribution),
                        Some(*setter),
                        "{repeat}: {attribution:?}"
                    );
                }
                // Unchanged: never written, or the log starts with its value.
                None => assert!(
                    matches!(
                        attribution,
                        Attribution::UnchangedSinceBefore { .. } | Attribution::Unknown { .. }
                    ),
                    "RISKFORM_SEED={seed}: {name}: {attribution:?}"
                ),
            }
        }
        attributed += world.check_drift(&declared, &log, seed);
        for one in &live.integrations {
            let setter = world.setters.get(&format!("{} integration_type", one.id));
            let told = creation(&log, one.id);
            assert_eq!(
                author(&told),
                setter.copied(),
                "RISKFORM_SEED={seed}: {}",
                one.id
            );
        }
        for (id, tenant, who) in &world.deleted {
            let told = deletion(
                &log,
                Some(*id),
                &Fields::of_integration("Okta", tenant.parse().unwrap(), None, true),
            );
            assert_eq!(
                author(&told),
                Some(*who),
                "RISKFORM_SEED={seed}: {id} is gone"
            );
        }
    }
    assert!(set > WORLDS as usize, "hardly anything was set: {set}");
    assert!(attributed > WORLDS as usize, "hardly anything drifted");
}

#[tokio::test(start_paused = true)]
async fn log_without_requests_attributes_no_value() {
    let mut world = AttributionScenario::new(scenarios::seed());
    for _ in 0..WRITES {
        world.write().await;
    }
    let who = (PEOPLE[1], "dash");
    let body = json!({ "behaviors": { "imp_travel": { "enabled": false, "risk_level": "low" } } });
    assert!(world.send(who, Method::PUT, "behaviors", body).await);
    let edited = world.sandbox.edit(&account(), |account| {
        for entry in &mut account.audit_log {
            entry.shown["resource"] = json!({ "id": entry.shown["resource"]["id"] });
        }
    });
    edited.unwrap();
    let told = attributions(&world.log(), &world.sandbox.live(&account()));
    let Attribution::LastWritten { author } = &told["imp_travel enabled"] else {
        panic!("{told:?}");
    };
    assert_eq!(author.actor.as_deref(), Some(PEOPLE[1]));
    for key in KEYS {
        let told = &told[&format!("{key} enabled")];
        assert!(
            matches!(told, Attribution::LastWritten { .. }),
            "{key}: {told:?}"
        );
    }
}

/// Returns the recordings, and variants that Cloudflare may send.
#[test]
fn recorded_and_unusual_entries_are_read() {
    let recorded: Value =
        serde_json::from_str(include_str!("../fixtures/api/audit_log_risk.json")).unwrap();
    let told = recorded["result"].as_array().unwrap().iter().map(|item| {
        let (author, write) = match AuditEntry::read(&account(), item) {
            ParsedEntry::Entry(AuditEntry { author, write }) => (author, write),
            other => return format!("{other:?}"),
        };
        let (actor, method) = (author.actor.unwrap(), author.method.unwrap());
        format!(
            "{actor} {method} {} {write:?}",
            author.tool.as_deref().unwrap_or("-")
        )
    });
    insta::assert_snapshot!(told.collect::<Vec<_>>().join("\n"), @r###"
    admin@example.com dash - Behaviors(Some({BehaviorKey("sentinel_one"): {Enabled: Some(Bool(false)), RiskLevel: Some(Level(Known(High)))}}))
    admin@example.com api_token riskform Created(Some(IntegrationId(4cfe8442-664b-4915-acd4-b39cd65c4314)), Some({IntegrationType: Some(Text("Okta")), TenantUrl: Some(Url(TenantUrl(Normalized { written: "https://example.oktapreview.com", normalized: "https://example.oktapreview.com" }))), Active: Some(Bool(true))}))
    the account itself api_token - Deleted(IntegrationId(0d5e7916-0b18-4a22-839f-b82e33a87843))
    Irrelevant
    "###);
    let entry = &recorded["result"][0];
    let with = |pointer: &str, value: Value| {
        let mut entry = entry.clone();
        *entry.pointer_mut(pointer).unwrap() = value;
        AuditEntry::read(&account(), &entry)
    };
    for (pointer, value) in [
        ("/action/result", json!("failure")),
        ("/raw/status_code", json!(403)),
        (
            "/raw/uri",
            json!("/accounts/0123456789abcdef0123456789abcdef/zt_risk_scoring/behaviors"),
        ),
        (
            "/raw/uri",
            json!(format!(
                "/accounts/{RECORDED_ACCOUNT}/zt_risk_scoring/summary"
            )),
        ),
        ("/raw/method", json!("GET")),
    ] {
        assert_eq!(
            with(pointer, value.clone()),
            ParsedEntry::Irrelevant,
            "{pointer} {value}"
        );
    }
    for (pointer, value) in [("/action/time", json!(7)), ("/action/time", Value::Null)] {
        assert_eq!(with(pointer, value), ParsedEntry::Unreadable, "{pointer}");
    }
    for item in [
        json!(null),
        json!([]),
        json!("x"),
        json!({ "action": "create", "ip": "192.0.2.1" }),
    ] {
        assert_eq!(
            AuditEntry::read(&account(), &item),
            ParsedEntry::Unreadable,
            "{item}"
        );
    }
    for (pointer, value) in [
        ("/actor", Value::Null),
        ("/resource/response", Value::Null),
        ("/resource/scope", json!({})),
        ("/action/result", json!("")),
        (
            "/raw/uri",
            json!(format!(
                "https://api.cloudflare.com/client/v4/accounts/{RECORDED_ACCOUNT}/zt_risk_scoring/behaviors?x=1"
            )),
        ),
    ] {
        assert!(
            matches!(with(pointer, value), ParsedEntry::Entry(_)),
            "{pointer}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn value_missing_in_the_log_has_no_author() {
    let mut world = AttributionScenario::new(scenarios::seed());
    let live = world.sandbox.live(&account());
    let empty = world.log();
    for (name, told) in attributions(&empty, &live) {
        assert_eq!(told, Attribution::Unknown { since: since() }, "{name}");
    }
    let who = (PEOPLE[1], "dash");
    let body = json!({ "behaviors": { "imp_travel": { "enabled": false, "risk_level": "low" } } });
    assert!(world.send(who, Method::PUT, "behaviors", body).await);
    // The log starts with this entry: the value may be older.
    let told = attributions(&world.log(), &world.sandbox.live(&account()));
    let Attribution::UnchangedSinceBefore { since: edge, first } = &told["imp_travel enabled"]
    else {
        panic!("{told:?}");
    };
    assert_eq!(*edge, since());
    assert_eq!(first.actor.as_deref(), Some(PEOPLE[1]));
    // A change that the log does not show yet: the newest entry has a different value.
    world
        .sandbox
        .edit(&account(), |account| {
            for behavior in account.behaviors.values_mut() {
                behavior
                    .fields
                    .set(Field::Enabled, Some(FieldValue::Bool(true)));
            }
        })
        .unwrap();
    let told = attributions(&world.log(), &world.sandbox.live(&account()));
    assert_eq!(
        told["imp_travel enabled"],
        Attribution::Unknown { since: since() }
    );
    world.write().await;
}
