//! Reading what surrounds risk scoring: page by page, leniently, and never for longer than allowed.

use std::num::NonZeroU32;
use std::time::Duration;

use jiff::civil::date;
use riskform::api::{
    ApiError, BaseUrl, Client, Conduct, Credentials, ErrorKind, RetrySettings, Transport,
};
use riskform::model::account::AccountId;
use riskform::model::audit_log::{AuditEntry, AuditLog, Reading, Written};
use riskform::sandbox::{
    AppPolicies, AuditLogSettings, CursorPlace, DEFAULT_TOKEN, Fault, FaultScript, Laboratory,
    RECORDED_ACCOUNT, Rule, Sandbox, Settings, Work,
};
use serde_json::{Value, json};

const PATIENCE: Duration = Duration::from_secs(20);

fn account() -> AccountId {
    RECORDED_ACCOUNT.parse().unwrap()
}

fn client(laboratory: Laboratory) -> Client {
    let conduct = Conduct {
        retry: RetrySettings {
            attempts: NonZeroU32::MIN,
            ..RetrySettings::default()
        },
        ..Conduct::default()
    };
    let base_url: BaseUrl = "https://sandbox.invalid/client/v4".parse().unwrap();
    let transport = Transport::in_process(laboratory, Duration::from_secs(60));
    Client::with_conduct(
        transport,
        base_url,
        Credentials::api_token(DEFAULT_TOKEN.into()).unwrap(),
        conduct,
    )
}

fn world(settings: Settings, rules: Vec<Rule>) -> (Sandbox, Client) {
    let sandbox = Sandbox::in_memory(Settings {
        seed: Some(1),
        clock_start: Some("2026-11-20T10:00:00Z".parse().unwrap()),
        ..settings
    });
    let laboratory = sandbox.laboratory(FaultScript { seed: 0, rules });
    (sandbox.clone(), client(laboratory))
}

fn at(path: &str, skip: u32, fault: Fault) -> Rule {
    Rule {
        path: Some(path.to_owned()),
        skip,
        ..Rule::always(fault)
    }
}

async fn audit_log(client: &Client) -> Result<AuditLog, ApiError> {
    let reader = client.reader();
    reader
        .audit_log(&account(), date(2026, 10, 21), date(2026, 11, 22), PATIENCE)
        .await
}

#[tokio::test(start_paused = true)]
async fn the_recorded_surroundings_are_read_whether_or_not_applications_embed_their_policies() {
    for (app_policies, requests) in [(AppPolicies::Embedded, 3), (AppPolicies::Absent, 4)] {
        let (sandbox, client) = world(
            Settings {
                app_policies,
                ..Settings::default()
            },
            Vec::new(),
        );
        let access = client.reader().access(&account()).await.unwrap();
        let names: Vec<_> = access
            .value
            .policies
            .values()
            .map(|policy| (policy.name.as_str(), policy.app_count))
            .collect();
        assert_eq!(
            names,
            [
                ("Employees, not at high risk", Some(3)),
                ("Unused", Some(0)),
                ("Block risky users", Some(1)),
                ("Contractors", None),
            ]
        );
        assert_eq!((access.value.groups.len(), access.skipped), (1, 0));
        assert_eq!(sandbox.requests().len(), requests, "{app_policies}");
    }
    let (_, client) = world(Settings::default(), Vec::new());
    let providers = client
        .reader()
        .identity_providers(&account())
        .await
        .unwrap();
    let okta: Vec<_> = providers
        .value
        .iter()
        .filter(|one| one.is_okta())
        .map(|one| one.name.as_str())
        .collect();
    assert_eq!((okta, providers.skipped), (vec!["Corporate Okta"], 0));
}

#[tokio::test(start_paused = true)]
async fn long_lists_are_read_to_their_end_and_strange_items_are_skipped() {
    let (sandbox, client) = world(Settings::default(), Vec::new());
    let policy = |n: usize| match n % 1_000 {
        7 => json!({ "id": n.to_string() }),
        8 => json!("garbage"),
        _ => {
            json!({ "id": n.to_string(), "name": "P", "decision": "isolate", "include": [{ "mystery": {} }, null] })
        }
    };
    sandbox
        .edit(&account(), |account| {
            account.context.policies = (0..5_000).map(policy).collect();
            account.context.apps = Vec::new();
            account.context.identity_providers =
                vec![json!({ "config": { "client_secret": "hush" } })];
        })
        .unwrap();
    let access = client.reader().access(&account()).await.unwrap();
    assert_eq!((access.value.policies.len(), access.skipped), (4_990, 10));
    assert_eq!(
        sandbox.requests().len(),
        5 + 2,
        "pages of policies, groups, applications"
    );
    let providers = client
        .reader()
        .identity_providers(&account())
        .await
        .unwrap();
    assert_eq!((providers.value.len(), providers.skipped), (0, 1));
}

#[tokio::test(start_paused = true)]
async fn a_missing_permission_is_named_and_nothing_of_an_answer_is_shown() {
    let cases = [
        ("read,groups,audit-log", "Access: Apps and Policies Read"),
        (
            "read,apps,audit-log",
            "Access: Organizations, Identity Providers, and Groups Read",
        ),
    ];
    for (permissions, named) in cases {
        let tokens = [(DEFAULT_TOKEN.to_owned(), permissions.parse().unwrap())];
        let (_, client) = world(
            Settings {
                tokens: tokens.into(),
                ..Settings::default()
            },
            Vec::new(),
        );
        let error = client.reader().access(&account()).await.unwrap_err();
        assert!(error.help().unwrap().contains(named), "{:?}", error.help());
    }
    let tokens = [(
        DEFAULT_TOKEN.to_owned(),
        "read,apps,groups".parse().unwrap(),
    )];
    let (_, lacking) = world(
        Settings {
            tokens: tokens.into(),
            ..Settings::default()
        },
        Vec::new(),
    );
    let error = audit_log(&lacking).await.unwrap_err();
    assert!(
        error.help().unwrap().contains("Account Settings Read"),
        "{:?}",
        error.help()
    );
    let (_, strange) = world(
        Settings::default(),
        vec![Rule::always(Fault::WrongJson {
            work: Work::Skipped,
        })],
    );
    for error in [
        audit_log(&strange).await.unwrap_err(),
        strange.reader().access(&account()).await.unwrap_err(),
    ] {
        assert!(
            matches!(error.kind(), ErrorKind::Unexpected { excerpt: None, .. }),
            "{error:?}"
        );
    }
}

/// As many writes as fill several pages, each a second after the other.
fn write_much(sandbox: &Sandbox) {
    for n in 0..2_500 {
        let time = format!(
            "2026-11-19T{:02}:{:02}:{:02}Z",
            n / 3_600,
            n / 60 % 60,
            n % 60
        );
        let uri = match n % 5 {
            0 => format!("/accounts/{RECORDED_ACCOUNT}/zt_risk_scoring/behaviors"),
            _ => format!("/accounts/{RECORDED_ACCOUNT}/members"),
        };
        let entry = json!({
            "id": n.to_string(), "action": { "time": time, "result": "success", "type": "update" },
            "actor": { "email": "a@example.com" }, "raw": { "uri": uri, "method": "PUT", "status_code": 200 },
            "resource": { "request": { "behaviors": { "imp_travel": { "enabled": n % 2 == 0 } } } },
        });
        sandbox.log_entry(&account(), time.parse().unwrap(), entry);
    }
}

#[tokio::test(start_paused = true)]
async fn the_audit_log_is_read_page_by_page_the_newest_first() {
    for cursor in CursorPlace::ALL {
        let settings = Settings {
            audit_log: AuditLogSettings {
                cursor: *cursor,
                ..AuditLogSettings::default()
            },
            ..Settings::default()
        };
        let (sandbox, client) = world(settings, Vec::new());
        write_much(&sandbox);
        sandbox.log_entry(
            &account(),
            "2026-11-19T12:00:00Z".parse().unwrap(),
            json!({ "action": "create", "ip": "192.0.2.1" }),
        );
        let log = audit_log(&client).await.unwrap();
        assert_eq!((log.entries.len(), log.skipped), (500, 1));
        assert_eq!(log.since.to_string(), "2026-10-21T00:00:00Z");
        let ids: Vec<u32> = log
            .entries
            .iter()
            .map(|entry| entry.author.entry_id.as_deref().unwrap().parse().unwrap())
            .collect();
        assert!(ids.is_sorted_by(|newer, elder| newer > elder), "{ids:?}");
        assert_eq!(sandbox.requests().len(), 3);
        let mut direct = sandbox.audit_log(&account());
        direct.reverse();
        let direct = direct
            .iter()
            .filter_map(|item| match AuditEntry::read(&account(), item) {
                Reading::Entry(entry) => Some(entry),
                _ => None,
            });
        assert!(direct.eq(log.entries));
    }
}

#[tokio::test(start_paused = true)]
async fn a_slow_audit_log_tells_as_much_as_came_in_time() {
    let slow = || Fault::Slow {
        seconds: Duration::from_secs(30),
    };
    let (sandbox, client) = world(Settings::default(), vec![at("*/logs/audit", 1, slow())]);
    write_much(&sandbox);
    let log = audit_log(&client).await.unwrap();
    assert_eq!(log.entries.len(), 200, "the first page");
    assert_eq!(
        log.since.to_string(),
        "2026-11-19T00:25:00Z",
        "it reaches no further back"
    );
    let (_, silent) = world(Settings::default(), vec![at("*/logs/audit", 0, slow())]);
    let error = audit_log(&silent).await.unwrap_err();
    assert!(
        matches!(error.kind(), ErrorKind::Transport { .. }),
        "{error}"
    );
}

#[tokio::test(start_paused = true)]
async fn what_the_sandbox_logs_is_read_back() {
    let (sandbox, client) = world(Settings::default(), Vec::new());
    let recorded: Value =
        serde_json::from_str(include_str!("../fixtures/api/audit_log_risk.json")).unwrap();
    for item in recorded["result"].as_array().unwrap().iter().rev() {
        let time = "2026-11-19T00:00:00Z".parse().unwrap();
        sandbox.log_entry(&account(), time, item.clone());
    }
    let log = audit_log(&client).await.unwrap();
    let kinds = log.entries.iter().map(|entry| match entry.wrote {
        Written::Behaviors(_) => "behaviors",
        Written::Created(..) => "created",
        Written::Updated(..) => "updated",
        Written::Deleted(_) => "deleted",
    });
    assert_eq!(
        kinds.collect::<Vec<_>>(),
        ["behaviors", "created", "deleted"]
    );
}
