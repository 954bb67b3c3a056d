//! Notifications as JSON: the accounts of a drift check that need attention, for webhooks, and a message for Slack.

use serde_json::{Value, json};

use crate::plan::Run;
use crate::report::slack;
use crate::report::{DetailLevel, View, accounts_with_problems};

use super::{CheckResult, Message, Outcome};

/// The format of a notification.
const NOTIFICATION_FORMAT: &str = "riskform.notification/1";

/// Maximum number of accounts in a payload, since receivers limit the size of a body.
const MAX_ACCOUNTS: usize = 100;

/// Returns the JSON body for webhooks. Omits unchanged accounts and full configurations.
pub(super) fn webhook_payload(message: &Message<'_>) -> String {
    let (run, error) = match message.finding {
        CheckResult::Accounts(run) => (Some(run), Value::Null),
        CheckResult::Failed {
            kind,
            message,
            help,
        } => (
            None,
            json!({ "kind": kind, "message": message, "help": help }),
        ),
    };
    let [title, in_accounts, subject] = titles(message, view(message).as_ref());
    let accounts = run.map(accounts_with_problems).unwrap_or_default();
    let shown = accounts.iter().take(MAX_ACCOUNTS).map(|account| {
        json!({
            "account_id": account.account_id,
            "name": account.name,
            "source": account.source,
            "status": account.status,
            "error": account.error,
            "ambiguous": account.errors,
            "changes": account.changes,
            "unlisted": account.reported().collect::<Vec<_>>(),
            "notes": account.notes,
        })
    });
    let notification = json!({
        "format": NOTIFICATION_FORMAT,
        "outcome": message.outcome,
        "text": title + &in_accounts,
        "subject": subject,
        "run_url": message.run_url,
        "next": message.next,
        "riskform_version": env!("CARGO_PKG_VERSION"),
        "base_url": run.map(|run| &run.base_url),
        "created_at": run.map(|run| run.created_at),
        "error": error,
        "summary": run.map(Run::totals),
        "accounts": shown.collect::<Vec<_>>(),
        "accounts_omitted": accounts.len().saturating_sub(MAX_ACCOUNTS),
    });
    notification.to_string()
}

/// Returns the JSON body for Slack's incoming webhooks.
pub(super) fn slack_payload(message: &Message<'_>) -> String {
    let symbol = match message.outcome {
        Outcome::Ok | Outcome::Resolved => ":white_check_mark:",
        Outcome::Drift => ":warning:",
        Outcome::Error => ":x:",
    };
    let view = view(message);
    let lines = match (&view, message.finding) {
        (Some(view), _) => slack::lines(view),
        (None, CheckResult::Failed { message, help, .. }) => {
            let lines = std::iter::once(message).chain(help);
            lines.map(slack::escaped).collect()
        }
        (None, CheckResult::Accounts(_)) => Vec::new(),
    };
    let [title, in_accounts, _] = titles(message, view.as_ref());
    let title = [symbol, &title, &in_accounts];
    let text = slack::text(title, &lines, message.next, message.run_url);
    json!({ "text": text, "unfurl_links": false, "unfurl_media": false }).to_string()
}

fn view(message: &Message<'_>) -> Option<View> {
    match message.finding {
        CheckResult::Accounts(run) => Some(View::new(run, DetailLevel::Grouped)),
        CheckResult::Failed { .. } => None,
    }
}

/// Returns the result in one line, the number of accounts, and the result with the names of the most severe accounts.
fn titles(message: &Message<'_>, view: Option<&View>) -> [String; 3] {
    let title = match (view, message.outcome) {
        (None, _) => "riskform: drift check failed".to_owned(),
        (Some(view), Outcome::Resolved) if view.accounts == 1 => {
            "riskform: 1 account as declared again".to_owned()
        }
        (Some(view), Outcome::Resolved) => {
            format!("riskform: all {} accounts as declared again", view.accounts)
        }
        (Some(view), _) => {
            let summary = &view.summary;
            return [&summary.title, &summary.in_accounts, &summary.subject].map(Clone::clone);
        }
    };
    [title.clone(), String::new(), title]
}

#[cfg(test)]
pub(super) mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::model::account::UnlistedPolicy;
    use crate::model::account::{DesiredAccount, Guards, Unlisted};
    use crate::model::address::Address;
    use crate::model::behavior::BehaviorKey;
    use crate::model::context::Context;
    use crate::model::location::Location;
    use crate::plan::{
        AccountError, Change, FailureKind, Fields, Format, Options, Origin, Status, Unchanged,
        UnlistedResource, plan,
    };
    use jiff::civil::date;

    /// Three accounts: one drifted, one as declared, one that failed.
    pub(in crate::notify) fn document() -> Run {
        let account = |id: &str, name: &str| {
            let account = json!({
                "account_id": id.repeat(32), "name": name, "source": "accounts.yaml", "behaviors": {}, "integrations": {},
                "unlisted": Unlisted::default(), "guards": Guards::default()
            });
            let desired: DesiredAccount = serde_json::from_value(account).unwrap();
            let (live, options) = (Arc::default(), Options::default());
            plan(
                &Arc::new(desired),
                &live,
                &Context::default(),
                date(2026, 11, 22),
                &options,
            )
        };
        let diff = |address: &str, before: Option<Fields>, after: Option<Fields>| {
            let (before, after) = (before.as_ref(), after.as_ref());
            let location = Location {
                file: "accounts.yaml".into(),
                line: 1,
                column: 1,
            };
            let origin = Origin {
                location: Some(location),
                ..Origin::default()
            };
            let address = match address.split_once('.') {
                Some(("behavior", key)) => Address::Behavior(BehaviorKey::new(key)),
                _ => Address::Integration(address["integration.".len()..].parse().unwrap()),
            };
            Change::between(address, before, after, origin).unwrap()
        };
        let behavior = |enabled: bool, level: &str| -> Option<Fields> {
            let fields = json!({ "enabled": enabled, "risk_level": level });
            serde_json::from_value(fields).ok()
        };
        let okta = json!({ "integration_type": "Okta", "tenant_url": "https://x.okta.com", "active": true });
        let okta: Fields = serde_json::from_value(okta).unwrap();
        let unlisted = |id: &str, policy| UnlistedResource {
            address: Address::UnlistedIntegration(
                format!("4cfe8442-664b-4915-acd4-b39cd65c431{id}")
                    .parse()
                    .unwrap(),
            ),
            policy,
            fields: okta.clone(),
            attribution: Vec::new(),
        };
        let mut production = account("0", "production");
        production.changes = vec![
            diff(
                "behavior.sentinel_one",
                behavior(false, "high"),
                behavior(true, "high"),
            ),
            diff(
                "behavior.imp_travel",
                behavior(false, "<!channel>"),
                behavior(false, "high"),
            ),
            Change {
                live_weaker: None,
                ..diff("integration.corporate-okta", None, Some(okta.clone()))
            },
        ];
        production.unlisted = vec![
            unlisted("4", UnlistedPolicy::Report),
            unlisted("5", UnlistedPolicy::Keep),
        ];
        production.unchanged = Unchanged {
            behaviors: 3,
            integrations: 1,
        };
        let mut development = account("1", "development");
        development.unchanged = production.unchanged;
        let error = AccountError {
            kind: FailureKind::Api,
            message: "the API answered 500\nfor `<b>`".to_owned(),
            cf_ray: None,
            help: None,
        };
        let mut staging = account("2", "staging");
        staging.status = Status::Error;
        staging.error = Some(error);
        Run::new(
            Format::Drift,
            "https://api.example/client/v4".to_owned(),
            vec![production, development, staging],
            "2026-11-22T10:00:00Z".parse().unwrap(),
        )
    }

    pub(in crate::notify) const FILES: CheckResult<'static> = CheckResult::Failed {
        kind: "files",
        message: "riskform.yaml: file not found",
        help: Some("write one"),
    };

    /// A message with the URL of a CI job.
    pub(in crate::notify) fn message(outcome: Outcome, finding: CheckResult<'_>) -> Message<'_> {
        Message {
            outcome,
            finding,
            run_url: Some("https://ci.example/run/1"),
            next: Some("riskform plan accounts"),
        }
    }

    #[test]
    fn the_headline_counts_what_was_found() {
        let mut document = document();
        let headline = |outcome, document: &Run| {
            let message = message(outcome, CheckResult::Accounts(document));
            let [title, in_accounts, _] = titles(&message, view(&message).as_ref());
            title + &in_accounts
        };
        assert_eq!(
            headline(Outcome::Error, &document),
            "riskform drift: 1 weaker, 1 unlisted integration, 2 others differ, 1 failed (3 accounts)"
        );
        document.accounts.truncate(2);
        document.accounts.remove(0);
        assert_eq!(
            headline(Outcome::Ok, &document),
            "riskform drift: no differences"
        );
        assert_eq!(
            headline(Outcome::Resolved, &document),
            "riskform: 1 account as declared again"
        );
    }

    #[test]
    fn webhook_payload_has_the_findings() {
        let mut document = document();
        let payload = |document: &Run| -> Value {
            let message = message(Outcome::Error, CheckResult::Accounts(document));
            serde_json::from_str(&webhook_payload(&message)).unwrap()
        };
        let notification = payload(&document);
        assert_eq!(notification["format"], NOTIFICATION_FORMAT);
        assert_eq!(notification["outcome"], "error");
        assert_eq!(notification["summary"]["update"], 2);
        assert_eq!(notification["run_url"], "https://ci.example/run/1");
        assert_eq!(notification["next"], "riskform plan accounts");
        // The failed account comes first.
        let [staging, production] = notification["accounts"].as_array().unwrap().as_slice() else {
            panic!("{notification}");
        };
        assert_eq!(production["changes"][0]["address"], "behavior.sentinel_one");
        assert_eq!(production["unlisted"].as_array().unwrap().len(), 1);
        assert_eq!(staging["error"]["kind"], "api");
        assert!(production.get("live").is_none());

        let failed = document.accounts.pop().unwrap();
        document.accounts = vec![failed; MAX_ACCOUNTS + 5];
        let notification = payload(&document);
        assert_eq!(
            notification["accounts"].as_array().unwrap().len(),
            MAX_ACCOUNTS
        );
        assert_eq!(notification["accounts_omitted"], 5);
    }

    #[test]
    fn a_run_without_accounts_says_why() {
        let message = message(Outcome::Error, FILES);
        let notification: Value = serde_json::from_str(&webhook_payload(&message)).unwrap();
        assert_eq!(notification["text"], "riskform: drift check failed");
        assert_eq!(
            notification["error"]["message"],
            "riskform.yaml: file not found"
        );
        assert_eq!(notification["accounts"], json!([]));
    }

    fn text(outcome: Outcome, finding: CheckResult<'_>) -> String {
        let payload = slack_payload(&message(outcome, finding));
        let payload: Value = serde_json::from_str(&payload).unwrap();
        payload["text"].as_str().unwrap().to_owned()
    }

    #[test]
    fn slack_message_escapes_the_differences() {
        let document = document();
        insta::assert_snapshot!(text(Outcome::Error, CheckResult::Accounts(&document)), @r#"
        :x: *riskform drift: 1 weaker, 1 unlisted integration, 2 others differ, 1 failed* (3 accounts)
        • 1 account failed: `staging`: the API answered 500; for '&lt;b&gt;'
        • *weaker* `production` `behavior.sentinel_one` is off, declared on
        • `production`: `integration.corporate-okta` is missing: tenant_url https://x.okta.com, active true
        • *unlisted integration* `production` `https://x.okta.com`, active: receives risk scores
        • `production`: `behavior.imp_travel` is &lt;!channel&gt;, declared high
        Next: `riskform plan accounts`
        <https://ci.example/run/1|View run>
        "#);
        insta::assert_snapshot!(text(Outcome::Error, FILES), @r"
        :x: *riskform: drift check failed*
        • riskform.yaml: file not found
        • write one
        Next: `riskform plan accounts`
        <https://ci.example/run/1|View run>
        ");
    }

    #[test]
    fn same_change_in_many_accounts_is_sent_once() {
        let mut document = document();
        let failed = document.accounts.pop().unwrap();
        let drifted = document.accounts.remove(0);
        for index in 0..50 {
            for account in [&failed, &drifted] {
                let mut account = account.clone();
                account.name = format!("{}-{index}", account.label()).parse().ok();
                document.accounts.push(account);
            }
        }
        insta::assert_snapshot!(text(Outcome::Error, CheckResult::Accounts(&document)), @r#"
        :x: *riskform drift: 50 weaker, 50 unlisted integrations, 100 others differ, 50 failed* (101 accounts)
        • 50 accounts failed: `staging-0`, `staging-1`, `staging-2`, `staging-3`, `staging-4` and 45 more: the API answered 500; for '&lt;b&gt;'
        • *weaker in 50 accounts* `production-0`, `production-1`, `production-2`, `production-3`, `production-4` and 45 more: `behavior.sentinel_one` is off, declared on
        • 50 accounts: `production-0`, `production-1`, `production-2`, `production-3`, `production-4` and 45 more: `integration.corporate-okta` is missing: tenant_url https://x.okta.com, active true
        • *unlisted integration in 50 accounts* `production-0`, `production-1`, `production-2`, `production-3`, `production-4` and 45 more: `https://x.okta.com`, active: receives risk scores
        • 50 accounts: `production-0`, `production-1`, `production-2`, `production-3`, `production-4` and 45 more: `behavior.imp_travel` is &lt;!channel&gt;, declared high
        Next: `riskform plan accounts`
        <https://ci.example/run/1|View run>
        "#);
    }

    #[test]
    fn a_long_report_is_cut_and_says_so() {
        let mut document = document();
        let failed = document.accounts.pop().unwrap();
        document.accounts = vec![failed; crate::report::slack::MAX_ITEMS + 7];
        for (index, account) in document.accounts.iter_mut().enumerate() {
            let error = account.error.as_mut().unwrap();
            error.message = format!("the API answered {}", 500 + index);
        }
        let text = text(Outcome::Error, CheckResult::Accounts(&document));
        assert!(text.contains("\n… and 7 more\nNext: "), "{text}");
    }
}
