//! Audit: tables of checks, all formats, and the command over a served sandbox.

mod checks;
mod command;
pub(crate) mod formats;

use std::sync::Arc;

use jiff::civil::{Date, date};
use riskform::api::Providers;
use riskform::doctor::{AccountAudit, AuditInput, AuditReport, audit_findings};
use riskform::model::account::LiveAccount;
use riskform::model::context::{
    Access, AccessPolicy, FetchError, Fetched, IdentityProvider, PolicyRules,
};
use riskform::model::finding::{CheckedAccount, Finding};
use riskform::plan::{AccountError, AccountPlan, FailureKind, Options, plan};
use serde_json::{Value, json};

use crate::support::json::load_file;

const TODAY: Date = date(2026, 11, 22);

/// Input of an audit, as files and API responses.
pub(crate) struct World {
    pub file: String,
    pub behaviors: Value,
    pub integrations: Value,
    pub policies: Value,
    pub groups: Value,
    pub providers: Value,
    /// Number of Access items and providers in an unknown format.
    pub skipped: (usize, usize),
    pub access_unread: Option<FetchError>,
    pub providers_unread: Option<FetchError>,
}

const OKTA: &str = "11111111-1111-4111-8111-111111111111";
const PROVIDER: &str = "3701e70b-5de4-4d9d-8972-f5aa994d9057";

/// Returns a policy with one rule.
pub(crate) fn policy(name: &str, decision: &str, list: &str, rule: Value) -> Value {
    let mut policy = json!({ "id": name, "name": name, "decision": decision, "app_count": 1 });
    policy["include"] = json!([{ "everyone": {} }]);
    policy[list] = json!([rule]);
    policy
}

pub(crate) fn levels(levels: &[&str]) -> Value {
    json!({ "user_risk_score": { "user_risk_score": levels } })
}

/// Returns an account without findings.
pub(crate) fn sound() -> World {
    World {
        file: "\
version: 1
account_id: f037e56e89293a057740de681ac9abbe
name: production
behaviors:
  imp_travel: { enabled: true, risk_level: high }
  high_dlp: { enabled: true, risk_level: medium }
integrations:
  corporate-okta: { tenant_url: https://corp.okta.com, reference_id: 3701e70b-5de4-4d9d-8972-f5aa994d9057 }
"
        .to_owned(),
        behaviors: json!({
            "high_dlp": { "enabled": true, "risk_level": "medium" },
            "imp_travel": { "enabled": true, "risk_level": "high" },
            "sentinel_one": { "enabled": false, "risk_level": "low" },
        }),
        integrations: json!([{
            "id": OKTA, "integration_type": "Okta", "tenant_url": "https://corp.okta.com",
            "reference_id": PROVIDER, "active": true,
        }]),
        policies: json!([
            policy("Finance", "allow", "exclude", levels(&["high"])),
            policy("Risky users", "deny", "include", json!({ "group": { "id": "g" } })),
        ]),
        groups: json!([{ "id": "g", "name": "Risky", "include": [levels(&["medium", "high"])] }]),
        providers: json!([{
            "id": PROVIDER, "name": "Corporate Okta", "type": "okta",
            "config": { "okta_account": "https://corp.okta.com" },
        }]),
        skipped: (0, 0),
        access_unread: None,
        providers_unread: None,
    }
}

impl World {
    pub fn planned(&self) -> AccountPlan {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("riskform.yaml");
        std::fs::write(&path, &self.file).unwrap();
        let desired = load_file(&path, TODAY).unwrap();
        // The directory differs between runs.
        let desired = serde_json::to_string(&desired).unwrap();
        let directory = directory.path().display().to_string();
        let desired = desired.replace(&format!("{directory}/"), "");
        let live = LiveAccount::new(
            serde_json::from_value(self.behaviors.clone()).unwrap(),
            serde_json::from_value(self.integrations.clone()).unwrap(),
        );
        let desired = Arc::new(serde_json::from_str(&desired).unwrap());
        plan(
            &desired,
            &Arc::new(live),
            &riskform::model::context::Context::default(),
            TODAY,
            &Options::default(),
        )
    }

    pub fn findings(&self, plan: &AccountPlan) -> Vec<Finding> {
        let items = |list: &Value| list.as_array().unwrap().clone();
        let mut access = Access::default();
        for policy in items(&self.policies)
            .iter()
            .filter_map(AccessPolicy::from_json)
        {
            access.policies.insert(policy.id.clone(), policy);
        }
        for group in items(&self.groups) {
            if let Some(rules) = PolicyRules::from_json(&group) {
                let id = group["id"].as_str().unwrap().to_owned();
                access.groups.insert(id, rules);
            }
        }
        let providers = items(&self.providers);
        access.skipped = self.skipped.0;
        let providers = Providers {
            providers: providers
                .iter()
                .filter_map(IdentityProvider::from_json)
                .collect(),
            skipped: self.skipped.1,
        };
        let evidence = AuditInput {
            plan,
            access: match &self.access_unread {
                Some(unread) => Fetched::Failed(unread.clone()),
                None => Fetched::Loaded(access),
            },
            identity_providers: match &self.providers_unread {
                Some(unread) => Fetched::Failed(unread.clone()),
                None => Fetched::Loaded(providers),
            },
        };
        audit_findings(&evidence, &Default::default())
    }

    pub fn audited(&self) -> AccountAudit {
        let plan = self.planned();
        let findings = self.findings(&plan);
        AccountAudit::new(&plan, findings)
    }
}

/// Returns an error for a missing permission.
pub(crate) fn forbidden(permission: &str) -> FetchError {
    FetchError {
        reason: "403 Forbidden".to_owned(),
        permission: Some(permission.to_owned()),
    }
}

/// Returns the same account with a different name.
pub(crate) fn renamed(account: AccountAudit, number: usize, name: &str) -> AccountAudit {
    let source = Arc::clone(&account.account.source);
    replaced(
        account,
        CheckedAccount {
            account_id: format!("{number:032x}").parse().unwrap(),
            name: Some(name.parse().unwrap()),
            source,
        },
    )
}

/// Returns the result for another account.
pub(crate) fn replaced(mut account: AccountAudit, by: CheckedAccount) -> AccountAudit {
    account.account = Arc::new(by);
    for finding in &mut account.findings {
        finding.account = Some(Arc::clone(&account.account));
    }
    account
}

/// Returns an account with an error.
pub(crate) fn lost() -> AccountAudit {
    let plan = sound().planned();
    let error = AccountError {
        kind: FailureKind::Permission,
        cf_ray: None,
        message: "GET /accounts/00000000000000000000000000000009/zt_risk_scoring/behaviors: 403 Forbidden".to_owned(),
        help: Some("give the token the permission Zero Trust Read".to_owned()),
    };
    let failed = AccountPlan::failed(plan.desired(), error);
    renamed(AccountAudit::new(&failed, Vec::new()), 9, "lost")
}

pub(crate) fn audit(accounts: Vec<AccountAudit>) -> AuditReport {
    let now = "2026-11-22T10:00:00Z".parse().unwrap();
    let base_url = "https://api.cloudflare.com/client/v4".to_owned();
    AuditReport::new(
        base_url,
        Default::default(),
        accounts,
        now,
        Default::default(),
    )
}

/// Returns an account with all statuses and kinds of details.
pub(crate) fn unsound() -> World {
    let mut world = sound();
    world.behaviors["imp_travel"]["enabled"] = json!(false);
    world.behaviors["high_dlp"]["risk_level"] = json!("low");
    world.integrations[0]["reference_id"] = json!(null);
    world.integrations.as_array_mut().unwrap().push(json!({
        "id": "22222222-2222-4222-8222-222222222222", "integration_type": "Okta",
        "tenant_url": "https://old.okta.com", "reference_id": "r", "active": false,
    }));
    world
}
