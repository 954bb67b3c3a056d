//! Many accounts, three of which fail in different ways.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;

use crate::support::layers::{Reaction, failure};
use crate::support::{SandboxServer, TestDir};

const ACCOUNTS: u32 = 200;

fn id(number: u32) -> String {
    format!("{:032x}", 0xabc0_0000 + number)
}

#[test]
fn a_fleet_of_200_of_which_three_fail_reports_all_200() {
    let server = SandboxServer::reacting(|_, path| {
        let failing = [17, 42, 199].into_iter();
        match failing
            .into_iter()
            .find(|number| path.contains(&id(*number)))
        {
            Some(17) => Reaction::TestResponse(failure(401, 10_000, "Authentication error")),
            Some(42) => Reaction::TestResponse(failure(500, 1, "internal error")),
            Some(_) => Reaction::Wait(Duration::from_secs(3_600)),
            None => Reaction::Pass,
        }
    });
    let documents = (0..ACCOUNTS).map(|number| {
        format!(
            "version: 1\naccount_id: \"{}\"\nname: account-{number}\nbehaviors: {{ imp_travel: {{ enabled: true }} }}\nunlisted: {{ integrations: keep }}\n",
            id(number)
        )
    });
    let file = documents.collect::<Vec<_>>().join("---\n");
    let workplace = TestDir::with_file(&server, &file);
    // An authentication error is more severe than a server error.
    let run = workplace
        .line("drift --timeout 1 -o json -o text=text -o prometheus=metrics")
        .exits(6);
    let document = run.json();
    let accounts = document["accounts"].as_array().unwrap();
    assert_eq!(accounts.len(), ACCOUNTS as usize);
    let failed = accounts
        .iter()
        .filter(|account| account["status"] == "error");
    let failed = failed.map(|account| {
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        (text(&account["name"]), text(&account["error"]["kind"]))
    });
    let expected = [
        ("account-17", "credentials_or_permission"),
        ("account-199", "network"),
        ("account-42", "api"),
    ];
    let expected = expected.map(|(name, kind)| (name.to_owned(), kind.to_owned()));
    assert_eq!(failed.collect::<BTreeMap<_, _>>(), expected.into());
    assert_eq!(document["summary"]["failed_accounts"], 3);
    assert_eq!(document["summary"]["unchanged"], 197);
    let text = workplace.read("text");
    for part in [
        "No drift in 197 accounts. 197 behaviors match.",
        "3 of 200 accounts failed.",
    ] {
        assert!(text.contains(part), "{text}");
    }
    let metrics = workplace.read("metrics");
    assert_eq!(metrics.matches("riskform_account_failed{").count(), 200);
}
