//! Saved plans: `plan --out FILE` writes one, `apply --plan FILE` and `show FILE` read it.
//!
//! The file has no secrets. Reading plans again from the desired and live states in the file, and the rest of the file must match the
//! result. So an edited file cannot hide an operation. The digest detects accidents such as a truncated file; it is not a signature.

use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;

use anyhow::anyhow;

use crate::cli::error::CommandError;
use crate::cli::error::plan_error;
use crate::cli::io::files::{self, OutputFile};
use crate::cli::io::output::Output;
use crate::cli::run::next_steps::{self, ShellCommand};
use crate::config::revalidate::recheck;
use crate::model::account::AccountId;
use crate::model::limits::Limits;
use crate::model::text::escape_invisible_json;
use crate::plan::{Format, Options, ParseRunError, ParsedRun, Run, plan_within};

/// Writes a plan to a file, and prints the command to apply it.
pub(crate) fn write(file: OutputFile, plan: &Run, words: &ShellCommand, output: &Output) {
    let sealed = plan.sealed();
    let path = file.path().to_owned();
    if !output.finish(file, escape_invisible_json(plan.to_json())) {
        return;
    }
    let digest = &sealed.digest;
    let mut apply = ShellCommand::default();
    apply.flag("--plan", Some(path.display()));
    apply.flag("--expect-digest", Some(digest));
    output.say(format_args!(
        "Saved the plan to {} (digest {digest}). To apply it:\n  {}",
        path.display(),
        next_steps::line("apply", &apply.and(words.clone()))
    ));
}

/// Reads a saved plan to show it. A plan of another version is shown without planning again.
pub(crate) fn read(path: &Path, output: &Output) -> Result<Run, CommandError> {
    let read = parse(path, &text(path)?)?;
    if is_same_version(&read) {
        return planned_anew(path, read);
    }
    output.warn(format_args!(
        "{} was created by riskform {}; this version can show it but not apply it",
        path.display(),
        read.run.riskform_version
    ));
    Ok(read.run)
}

/// Values that a saved plan must match before it is applied.
pub(crate) struct ApplyExpectations<'a> {
    /// Digest from `--expect-digest`.
    pub(crate) digest: Option<&'a str>,
    /// Base URL of this run.
    pub(crate) base_url: &'a str,
    /// Account from `--account-id`.
    pub(crate) account_id: Option<&'a AccountId>,
    /// Limits of this run.
    pub(crate) limits: &'a Arc<Limits>,
}

/// Reads and checks a saved plan to apply it. Errors are reported before the first request.
pub(crate) fn load_for_apply(
    path: &Path,
    expected: &ApplyExpectations<'_>,
) -> Result<Run, CommandError> {
    accept(path, &text(path)?, expected)
}

fn accept(path: &Path, text: &str, expected: &ApplyExpectations<'_>) -> Result<Run, CommandError> {
    let read = parse(path, text)?;
    if let Some(digest) = expected.digest
        && digest != read.digest
    {
        return Err(CommandError::StalePlan(vec![format!(
            "{} has digest {}, expected {digest}",
            path.display(),
            read.digest
        )]));
    }
    if !is_same_version(&read) {
        return Err(CommandError::StalePlan(vec![format!(
            "the plan was created by riskform {}; this is {}",
            read.run.riskform_version,
            env!("CARGO_PKG_VERSION")
        )]));
    }
    if read.run.base_url != expected.base_url {
        return Err(CommandError::Other(anyhow!(
            "the plan is for {}, but this run uses {}",
            read.run.base_url,
            expected.base_url
        )));
    }
    let accounts = &read.run.accounts;
    let violations: usize = accounts
        .iter()
        .map(|account| account.violations.len())
        .sum();
    if violations > 0 {
        return Err(CommandError::PlanBlocked(violations));
    }
    let mut run = planned_anew(path, read)?;
    let mut ids = HashSet::new();
    for account in &run.accounts {
        if let Some(wanted) = expected.account_id
            && *wanted != account.account_id
        {
            return Err(CommandError::Other(anyhow!(
                "the plan is for account {}, not {wanted}",
                account.account_id
            )));
        }
        if !ids.insert(&account.account_id) {
            return Err(CommandError::Other(anyhow!(
                "the plan has account {} twice",
                account.account_id
            )));
        }
    }
    for account in run.handled() {
        let problems = recheck(account.desired(), expected.limits);
        if !problems.is_empty() {
            return Err(CommandError::Other(anyhow!(
                "{} contains invalid values: {}",
                path.display(),
                problems.join("; ")
            )));
        }
    }
    judge(&mut run, expected.limits)?;
    Ok(run)
}

/// Plans again with the limits of this run.
fn judge(run: &mut Run, limits: &Arc<Limits>) -> Result<(), CommandError> {
    let mut refused = Vec::new();
    for account in &mut run.accounts {
        let (Some(today), Some(options)) = (account.today, account.options.clone()) else {
            continue;
        };
        let options = Options {
            limits: Arc::clone(limits),
            ..options
        };
        let context = account.context.clone().unwrap_or_default();
        let judged = plan_within(account.desired(), account.live(), &context, today, &options)
            .map_err(|errors| CommandError::Account(plan_error(&errors)))?;
        let label = account.label();
        refused.extend(judged.violations.iter().map(|one| {
            let address = one.address.iter().map(|address| format!("{address}: "));
            let about: String = address.collect();
            format!("{label}: {about}{}", one.reason)
        }));
        *account = judged;
    }
    if refused.is_empty() {
        Ok(())
    } else {
        Err(CommandError::BlockedByLimits(refused))
    }
}

fn text(path: &Path) -> Result<String, CommandError> {
    let name = path.display();
    let context = || format!("cannot read {name}");
    let text = files::read_file(path, context())?;
    let text = String::from_utf8(text).map_err(CommandError::other(context()))?;
    if text.lines().any(|line| line.starts_with("version:")) {
        return Err(CommandError::usage(
            format_args!("{name} is a desired-state file, not a saved plan"),
            format!("run `riskform apply {name}`"),
        ));
    }
    Ok(text)
}

fn parse(path: &Path, text: &str) -> Result<ParsedRun, CommandError> {
    Run::read(text, &[Format::Plan]).map_err(unusable(path))
}

fn planned_anew(path: &Path, read: ParsedRun) -> Result<Run, CommandError> {
    read.planned_anew().map_err(unusable(path))
}

fn unusable(path: &Path) -> impl FnOnce(ParseRunError) -> CommandError {
    CommandError::other(format!("cannot use the saved plan {}", path.display()))
}

/// Returns true if this version of riskform saved the plan.
fn is_same_version(read: &ParsedRun) -> bool {
    read.run.riskform_version == env!("CARGO_PKG_VERSION")
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::model::account::LiveAccount;
    use crate::plan::{AccountPlan, FailureKind, sha256};

    const BASE_URL: &str = "https://api.test/client/v4";

    /// Returns a plan with every kind of operation.
    fn saved() -> Value {
        let location = json!({ "file": "a.yaml", "line": 1, "column": 1 });
        let entry = |name: &str, tenant: &str, reference: Value, active: bool| {
            json!({
                "name": name, "integration_type": "Okta", "tenant_url": format!("https://{tenant}.okta.com"),
                "reference_id": reference, "active": active,
                "lifecycle": { "prevent_destroy": false, "ignore_changes": [] }, "location": location
            })
        };
        let mut kept = entry("kept", "kept", json!("r-kept"), true);
        kept["lifecycle"]["ignore_changes"] = json!([
            { "field": "active", "until": "2027-01-01", "reason": "a move", "location": location }
        ]);
        let behavior = |enabled: bool, level: &str| json!({ "enabled": enabled, "risk_level": level, "location": location, "variables": {} });
        let desired = json!({
            "account_id": "0".repeat(32), "name": "production", "source": "a.yaml",
            "api_token_env": "CLOUDFLARE_API_TOKEN",
            "behaviors": { "imp_travel": behavior(true, "high"), "high_dlp": behavior(true, "low") },
            "unmanaged": {},
            "integrations": {
                "new": entry("new", "new", Value::Null, false),
                "moved": entry("moved", "moved", json!("r-moved"), true),
                "kept": kept,
            },
            "unlisted": { "behaviors": "report", "integrations": "delete" },
            "guards": {
                "max_deletes": 5, "weakening": "warn", "policies": "warn",
                "protected": [{ "text": "https://precious.okta.com", "location": location }]
            }
        });
        let live_behavior = |enabled: bool, level: &str| json!({ "name": "N", "description": "D", "enabled": enabled, "risk_level": level });
        let live_integration = |number: u8, tenant: &str, reference: &str, active: bool| {
            json!({
                "id": format!("{number:08}-0000-4000-8000-000000000000"), "account_tag": "t",
                "created_at": "2026-01-01T00:00:00Z", "well_known_url": "https://w.test/1",
                "integration_type": "Okta", "tenant_url": format!("https://{tenant}.okta.com"),
                "reference_id": reference, "active": active
            })
        };
        let live = json!({
            "behaviors": {
                "high_dlp": live_behavior(true, "medium"), "imp_travel": live_behavior(false, "high"),
                "other": live_behavior(true, "low")
            },
            "integrations": [
                live_integration(1, "old", "r-moved", true),
                live_integration(2, "kept", "r-kept", false),
                live_integration(3, "gone", "r-gone", true),
            ]
        });
        let desired: Arc<_> = Arc::new(serde_json::from_value(desired).unwrap());
        let live: Arc<LiveAccount> = Arc::new(serde_json::from_value(live).unwrap());
        let today = "2026-11-22".parse().unwrap();
        let planned = crate::plan::plan(&desired, &live, today, &Options::default()).unwrap();
        assert!(planned.operations.len() >= 5 && planned.violations.is_empty());
        let mut lost = desired.as_ref().clone();
        lost.account_id = "1".repeat(32).parse().unwrap();
        let error = crate::plan::AccountError {
            kind: FailureKind::Api,
            message: "no".to_owned(),
            help: None,
            cf_ray: None,
        };
        let accounts = vec![planned, AccountPlan::failed(&lost, error)];
        let now = "2026-11-22T10:00:00Z".parse().unwrap();
        let run = Run::new(Format::Plan, BASE_URL.to_owned(), None, accounts, now);
        serde_json::from_str(&run.to_json()).unwrap()
    }

    /// Returns an edited plan with a valid digest.
    fn sealed(plan: &Value) -> String {
        let mut covered = plan.clone();
        if let Some(members) = covered.as_object_mut() {
            for name in ["created_at", "oldest", "digest"] {
                members.remove(name);
            }
        }
        let mut plan = plan.clone();
        plan["digest"] = json!(sha256(&covered));
        plan.to_string()
    }

    /// Returns the requests of a plan.
    fn calls(plan: &Value) -> Result<Vec<String>, CommandError> {
        let expected = ApplyExpectations {
            digest: None,
            base_url: BASE_URL,
            account_id: None,
            limits: &Arc::default(),
        };
        let run = accept(Path::new("p.json"), &sealed(plan), &expected)?;
        let work = run
            .accounts
            .iter()
            .filter(|account| account.is_applicable());
        Ok(work
            .flat_map(|account| {
                account.operations.iter().map(|operation| {
                    let call = &operation.call;
                    let path = call.path(&account.account_id);
                    let body = call.body().unwrap_or_default();
                    format!("{} {path} {body}", call.method())
                })
            })
            .collect())
    }

    /// Returns the JSON pointers of all values.
    fn places(value: &Value, at: &str, places: &mut Vec<String>) {
        match value {
            Value::Object(members) => {
                for (name, member) in members {
                    let name = name.replace('~', "~0").replace('/', "~1");
                    self::places(member, &format!("{at}/{name}"), places);
                }
            }
            Value::Array(items) => {
                for (index, item) in items.iter().enumerate() {
                    self::places(item, &format!("{at}/{index}"), places);
                }
            }
            _ => {}
        }
        places.push(at.to_owned());
    }

    /// Returns replacements for a value.
    fn others(value: &Value) -> Vec<Value> {
        let mut others = vec![Value::Null];
        match value {
            Value::Bool(value) => others.push(json!(!value)),
            Value::Number(number) => {
                let number = number.as_u64().unwrap_or_default();
                others.extend([json!(number + 1), json!(0), json!(100)]);
            }
            Value::String(text) => {
                others.extend([json!(format!("{text}x")), json!("")]);
                others.extend(
                    [
                        "delete",
                        "destroy",
                        "low",
                        "r-gone",
                        "https://evil.okta.com",
                        "00000003-0000-4000-8000-000000000000",
                    ]
                    .map(Value::from),
                );
            }
            Value::Array(items) => {
                others.extend(items.get(1..).map(|rest| json!(rest)));
                others.push(json!([items.as_slice(), items.as_slice()].concat()));
            }
            Value::Null => others.extend([json!(9), json!(true), json!("x")]),
            Value::Object(_) => {}
        }
        others.retain(|other| other != value);
        others
    }

    #[test]
    fn whatever_is_changed_in_a_plan_the_same_calls_are_sent_or_none() {
        let plan = saved();
        let undoctored = calls(&plan).unwrap();
        assert!(undoctored.len() >= 5, "{undoctored:?}");
        let mut all = Vec::new();
        places(&plan, "", &mut all);
        let (mut refused, mut harmless) = (0, 0);
        for place in all.iter().filter(|place| *place != "/digest") {
            let value = plan.pointer(place).unwrap();
            for other in others(value) {
                let mut doctored = plan.clone();
                *doctored.pointer_mut(place).unwrap() = other.clone();
                if !doctored.is_object() {
                    continue;
                }
                match calls(&doctored) {
                    Err(_) => refused += 1,
                    Ok(calls) => {
                        assert_eq!(calls, undoctored, "{place} is now {other}");
                        harmless += 1;
                    }
                }
            }
        }
        assert!(
            refused > 500 && harmless > 10,
            "{refused} refused, {harmless} harmless"
        );
    }

    #[test]
    fn a_plan_declares_nothing_that_no_file_may() {
        let table: [(&str, Value, &str); 3] = [
            (
                "/accounts/0/desired/api_token_env",
                json!("GITHUB_TOKEN"),
                "api_token_env names a variable that is not allowed to hold a token",
            ),
            (
                "/accounts/0/operations",
                json!([]),
                "the file was edited by hand: accounts.0.operations does not match the plan for its inputs",
            ),
            (
                "/riskform_version",
                json!("0.0.1"),
                "the plan was created by riskform 0.0.1",
            ),
        ];
        for (place, value, message) in table {
            let mut doctored = saved();
            *doctored.pointer_mut(place).unwrap() = value;
            let error = calls(&doctored).unwrap_err();
            assert!(error.to_string().contains(message), "{error}");
        }
    }
}
