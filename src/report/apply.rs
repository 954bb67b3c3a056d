//! The result of an apply: one item per operation and problem, and the URLs to paste into Okta.

use std::fmt;

use crate::model::text::{abbreviate_list, pluralize};
use crate::plan::{
    AccountPlan, ApplyTotals, Field, IntegrationTarget, Operation, OperationKind, OperationOutcome,
    Run, Totals,
};

use super::summary::Count;
use super::view::{Item, Severity, concise, shown};

/// Place of the `well_known_url` in the Okta console (`schema/api.md`, Integrations).
const OKTA_CONSOLE_PATH: &str =
    "Security > Device Integrations > Receive shared signals > Create stream";

/// Returns the operations, problems and warnings of an account.
pub(super) fn items(account: &AccountPlan) -> Vec<Item> {
    let mut items: Vec<Item> = account.operations.iter().filter_map(operation).collect();
    let problems = account.problems.iter().flatten();
    items.extend(problems.map(|problem| {
        Item {
            severity: Severity::Failed,
            label: "failed",
            sentence: shown(problem),
            help: problem
                .contains("is not as applied")
                .then(|| "someone may have changed it since; riskform drift says who".to_owned()),
            ..Item::default()
        }
    }));
    // `destroy` skips entries that cannot be planned.
    let skipped = account.errors.iter().filter(|_| account.problems.is_some());
    items.extend(skipped.map(|error| Item {
        severity: Severity::Failed,
        label: "skipped",
        sentence: shown(error),
        help: Some(shown(&error.help)),
        ..Item::default()
    }));
    let warnings = account.notes.iter();
    let warnings = warnings.filter(|note| note.kind.is_added_by_apply());
    items.extend(warnings.map(|note| Item {
        severity: Severity::Change,
        label: "warning",
        sentence: shown(note),
        ..Item::default()
    }));
    items
}

fn operation(operation: &Operation) -> Option<Item> {
    let end = operation.end.as_ref()?;
    let addresses = abbreviate_list(operation.addresses.iter().map(shown));
    let (verb, participle) = match operation.call {
        OperationKind::WriteBehaviors { .. } | OperationKind::Update { .. } => {
            ("update", "updated")
        }
        OperationKind::Create { .. } => ("create", "created"),
        OperationKind::Delete { .. } => ("delete", "deleted"),
    };
    let error = concise(end.error.as_deref().unwrap_or_default());
    let (severity, label) = match end.outcome {
        OperationOutcome::Done => {
            return Some(Item {
                severity: Severity::Change,
                label: "done",
                sentence: format!("{addresses} {participle}"),
                ..Item::default()
            });
        }
        OperationOutcome::Failed => (Severity::Failed, "failed"),
        OperationOutcome::Unknown => (Severity::Failed, "unknown"),
        OperationOutcome::NotAttempted => (Severity::Failed, "not attempted"),
    };
    Some(Item {
        severity,
        label,
        sentence: format!("{verb} {addresses}: {error}"),
        help: end.help.as_ref().map(shown),
        ..Item::default()
    })
}

/// Returns true if every account was read and every change was made and verified.
pub(super) fn is_complete(run: &Run) -> bool {
    run.accounts.iter().all(|account| {
        account.error.is_none() && account.violations.is_empty() && account.errors.is_empty()
    }) && !run.accounts.iter().any(AccountPlan::is_incomplete)
}

pub(super) fn counts(run: &Run, totals: &Totals, is_destroy: bool) -> Vec<Count> {
    let ApplyTotals {
        created,
        updated,
        replaced,
        deleted,
        failed,
        unknown,
        not_attempted,
    } = totals.done.unwrap_or_default();
    let done = run.accounts.iter().flat_map(|account| &account.operations);
    let done: Vec<bool> = done
        .filter_map(|operation| operation.end.as_ref())
        .map(|end| end.outcome == OperationOutcome::Done)
        .collect();
    let numbers = match is_complete(run) {
        true => vec![
            (created, "created", false),
            (
                updated,
                if is_destroy { "disabled" } else { "updated" },
                false,
            ),
            (replaced, "replaced", false),
            (deleted, "deleted", false),
        ],
        false => vec![
            (failed, "failed", true),
            (unknown, "unknown", true),
            (not_attempted, "not attempted", true),
        ],
    };
    let operations = (!is_complete(run)).then(|| Count {
        text: format!(
            "{} of {} done",
            done.iter().filter(|is_done| **is_done).count(),
            pluralize(done.len(), "operation")
        ),
        is_severe: false,
    });
    let numbers = numbers.into_iter().filter(|(number, _, _)| *number > 0);
    let numbers = numbers.map(|(number, words, is_severe)| Count {
        text: format!("{number} {words}"),
        is_severe,
    });
    let reasons = reasons(run)
        .into_iter()
        .enumerate()
        .map(|(index, reason)| Count {
            text: format!("{} {reason}", if index == 0 { "but" } else { "and" }),
            is_severe: true,
        });
    operations
        .into_iter()
        .chain(numbers)
        .chain(reasons)
        .collect()
}

/// Returns true if the totals do not name every problem.
pub(super) fn needs_rows(run: &Run) -> bool {
    let mut ends = run.accounts.iter().flat_map(|account| &account.operations);
    let has_failed = ends.any(|operation| {
        operation
            .end
            .as_ref()
            .is_some_and(|end| end.outcome != OperationOutcome::Done)
    });
    let mut accounts = run.accounts.iter();
    let has_skipped = accounts.any(|one| one.problems.is_some() && !one.errors.is_empty());
    has_failed || has_skipped || problems(run).count() > 1
}

fn problems(run: &Run) -> impl Iterator<Item = &String> {
    run.accounts
        .iter()
        .flat_map(|account| account.problems.iter().flatten())
}

pub(super) fn headline_and_rest(run: &Run, kind: &str) -> (String, String) {
    let verified = match kind {
        "Apply" => "Verified.",
        _ => "",
    };
    match is_complete(run) {
        true => (format!("{kind} complete"), verified.to_owned()),
        false => (format!("{kind} incomplete"), String::new()),
    }
}

/// Returns the reasons that no operation shows: accounts that could not be read or changed, or the only problem.
fn reasons(run: &Run) -> Vec<String> {
    let accounts = run.accounts.len();
    let labels = |is: fn(&AccountPlan) -> bool| -> Vec<&str> {
        let accounts = run.accounts.iter().filter(|account| is(account));
        accounts.map(AccountPlan::label).collect()
    };
    let failed = labels(|account| account.error.is_some());
    let blocked = labels(|account| !account.violations.is_empty());
    let ambiguous = labels(|account| account.problems.is_none() && !account.errors.is_empty());
    let words = |labels: &[&str]| if labels.len() == 1 { "is" } else { "are" };
    let (is_blocked, is_ambiguous) = (words(&blocked), words(&ambiguous));
    let reasons = [
        (failed, "could not be read".to_owned()),
        (blocked, format!("{is_blocked} blocked by a guard")),
        (ambiguous, format!("{is_ambiguous} ambiguous")),
    ];
    let reasons = reasons.into_iter().filter(|(labels, _)| !labels.is_empty());
    let problem = problems(run).filter(|_| !needs_rows(run)).map(shown);
    let reasons = reasons.map(|(labels, words)| match accounts {
        1 => format!("the account {words}"),
        _ => {
            let (number, names) = (labels.len(), abbreviate_list(&labels));
            format!("{number} of {accounts} accounts {words}: {names}")
        }
    });
    problem.chain(reasons).collect()
}

/// URLs to paste into Okta: of created integrations, and of those with a new tenant.
pub(super) struct WellKnownUrls<'a>(pub(super) &'a Run);

impl WellKnownUrls<'_> {
    /// Returns the name of each integration and its URL.
    pub(super) fn list(&self) -> Vec<(String, String)> {
        let WellKnownUrls(run) = self;
        let mut urls = Vec::new();
        for account in &run.accounts {
            let prefix = match run.accounts.len() {
                1 => String::new(),
                _ => format!("{}/", account.label()),
            };
            for operation in &account.operations {
                let url = created(operation).or_else(|| moved(account, operation));
                urls.extend(url.map(|(note, url)| {
                    (
                        format!("{prefix}{}{note}", shown(&operation.address)),
                        shown(url),
                    )
                }));
            }
        }
        urls
    }

    pub(super) fn heading(count: usize) -> String {
        let which = if count == 1 { "the" } else { "each" };
        format!("Paste {which} well_known_url into Okta ({OKTA_CONSOLE_PATH}):")
    }
}

impl fmt::Display for WellKnownUrls<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let urls = self.list();
        if urls.is_empty() {
            return Ok(());
        }
        writeln!(f, "\n{}", WellKnownUrls::heading(urls.len()))?;
        let width = urls.iter().map(|(name, _)| name.chars().count()).max();
        let width = width.unwrap_or_default();
        urls.iter()
            .try_for_each(|(name, url)| writeln!(f, "  {name:width$}  {url}"))
    }
}

fn created(operation: &Operation) -> Option<(String, &str)> {
    let result = operation.end.as_ref()?.result.as_ref()?;
    Some((String::new(), &result.well_known_url))
}

/// Returns the URL of an integration whose tenant this operation changed.
fn moved<'a>(account: &'a AccountPlan, operation: &Operation) -> Option<(String, &'a str)> {
    let OperationKind::Update {
        subject: IntegrationTarget::Existing(id),
        ..
    } = &operation.call
    else {
        return None;
    };
    if operation.end.as_ref()?.outcome != OperationOutcome::Done {
        return None;
    }
    let mut changes = account.changes.iter();
    let change = changes.find(|change| change.address == operation.address)?;
    let mut fields = change.fields.iter();
    let tenant = fields.find(|change| change.field == Field::TenantUrl)?;
    let live = account
        .live
        .as_ref()?
        .integrations
        .iter()
        .find(|live| live.id == *id)?;
    let tenant = shown(tenant.after.as_ref()?);
    Some((format!(" (now {tenant})"), &live.well_known_url))
}
