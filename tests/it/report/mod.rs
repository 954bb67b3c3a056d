//! Results in all formats, and the commands that show them.

mod ci;
mod drift;
mod fleet;
mod formats;

pub(crate) mod hostile;
mod schema;
mod view;

use std::sync::Arc;

use jiff::Timestamp;
use jiff::civil::{Date, date};
use riskform::model::account::{DesiredAccount, LiveAccount};
use riskform::model::context::Context;
use riskform::plan::{AccountError, AccountPlan, FailureKind, Format, Options, Purpose, Run, plan};
use riskform::report::{self, DetailLevel, OutputFormat};
use serde_json::json;

use crate::support::json::load_file;

const TODAY: Date = date(2026, 11, 22);

fn now() -> Timestamp {
    "2026-11-22T10:00:00Z".parse().unwrap()
}

/// Loads a fixture, with locations in the file of the repository.
fn desired(file: &str) -> DesiredAccount {
    let path = format!("tests/fixtures/report/{file}");
    load_file(path.as_ref(), TODAY).unwrap()
}

/// Returns an account with external changes.
fn meddled_with() -> LiveAccount {
    let behaviors = json!({
        "high_dlp": { "name": "High DLP", "description": "", "enabled": true, "risk_level": "medium" },
        "imp_travel": { "name": "Impossible Travel", "description": "", "enabled": false, "risk_level": "high" },
        "sentinel_one": { "name": "SentinelOne", "description": "", "enabled": true, "risk_level": "high" },
    });
    let integration = |id: &str, tenant: &str, active: bool| {
        json!({
            "id": id, "account_tag": "", "created_at": "2026-01-01T00:00:00Z",
            "well_known_url": "https://ssf.example/1", "integration_type": "Okta",
            "tenant_url": tenant, "reference_id": null, "active": active,
        })
    };
    LiveAccount::new(
        serde_json::from_value(behaviors).unwrap(),
        [
            integration(
                "11111111-1111-4111-8111-111111111111",
                "https://partner.okta.com",
                false,
            ),
            integration(
                "22222222-2222-4222-8222-222222222222",
                "https://old.okta.com",
                true,
            ),
        ]
        .map(|integration| serde_json::from_value(integration).unwrap())
        .into(),
    )
}

/// Returns an account as declared in `staging.yaml`.
fn as_declared() -> LiveAccount {
    let behaviors = json!({
        "imp_travel": { "name": "Impossible Travel", "description": "", "enabled": true, "risk_level": "low" },
    });
    LiveAccount::new(serde_json::from_value(behaviors).unwrap(), Vec::new())
}

fn planned(desired: DesiredAccount, live: LiveAccount) -> AccountPlan {
    let (desired, live) = (Arc::new(desired), Arc::new(live));
    plan(
        &desired,
        &live,
        &Context::default(),
        TODAY,
        &Options::default(),
    )
}

fn run(format: Format, accounts: Vec<AccountPlan>) -> Run {
    let base_url = "https://api.cloudflare.com/client/v4".to_owned();
    Run::new(format, base_url, accounts, now())
}

/// Three accounts: with drift, as declared, and with an error.
fn fleet() -> Run {
    let mut lost = desired("staging.yaml");
    lost.account_id = "00000000000000000000000000000002".parse().unwrap();
    lost.name = Some("lost".parse().unwrap());
    let error = AccountError {
        kind: FailureKind::Permission,
        cf_ray: None,
        message: "GET /accounts/00000000000000000000000000000002/zt_risk_scoring/behaviors: 403 Forbidden".to_owned(),
        help: Some("give the token the permission Zero Trust Read".to_owned()),
    };
    run(
        Format::Plan,
        vec![
            planned(desired("production.yaml"), meddled_with()),
            planned(desired("staging.yaml"), as_declared()),
            AccountPlan::failed(&lost, error),
        ],
    )
}

fn drift(plan: &Run) -> Run {
    let options = Options {
        purpose: Purpose::Drift,
        ..Options::default()
    };
    let accounts = plan.accounts.iter().map(|account| match &account.context {
        Some(context) => self::plan(account.desired(), account.live(), context, TODAY, &options),
        None => account.clone(),
    });
    run(Format::Drift, accounts.collect())
}

/// Returns a result in a format, without colors.
fn shown(run: &Run, format: OutputFormat) -> String {
    let text = report::run(run, format, DetailLevel::Grouped, None, &str::to_owned);
    anstream::adapter::strip_str(&text).to_string()
}
