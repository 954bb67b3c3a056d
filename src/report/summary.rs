//! The result of a run in one line and as totals, the same in all formats.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::model::address::Address;
use crate::model::text::{GROUPING_THRESHOLD, abbreviate_list, pluralize};
use crate::plan::{
    AccountPlan, Change, Field, Fields, Format, Guard, OperationOutcome, Purpose, Run, Totals,
    UnlistedResource,
};

use super::item::{Item, Severity, UNLISTED_INTEGRATION, abbreviated, shown, unlisted_name};

/// The result of a run.
#[derive(Debug, Serialize)]
pub struct Summary {
    /// The result in one line, such as `riskform drift: 1 weaker, 2 failed`.
    pub title: String,
    /// The number of accounts after the title, such as ` (60 accounts)`. Empty for one account.
    pub in_accounts: String,
    /// For drift, the title with the names of the most severe accounts.
    pub subject: String,
    /// The result without numbers, such as `Drift in 5 of 60 accounts`. Empty if no account could be read.
    pub headline: String,
    /// The numbers, which follow the headline, such as `: 1 weaker. 53 as declared.`
    pub totals: String,
    /// Sentences about weakening changes, unmanaged resources, and accounts that failed, are blocked or ambiguous.
    pub remarks: Vec<String>,
    /// Whether an apply has results that the totals do not describe.
    pub has_unfinished: bool,
}

/// A number of findings in words.
struct Count {
    title: String,
    subject: String,
    /// Empty if a remark says it.
    total: String,
}

impl Count {
    fn same(text: String) -> Self {
        Count {
            total: text.clone(),
            ..Count::titled(text)
        }
    }

    fn titled(text: String) -> Self {
        Count {
            title: text.clone(),
            subject: text,
            total: String::new(),
        }
    }
}

impl Summary {
    pub(super) fn new(run: &Run, items: &[Vec<Item>]) -> Summary {
        let totals = run.totals();
        let mut options = run.accounts.iter().filter_map(|one| one.options.as_ref());
        let is_destroy = options.any(|options| options.purpose == Purpose::Destroy);
        let mut all = items.iter().flatten();
        let has_unfinished = all.any(|item| {
            item.severity == Severity::Failed && item.symbol.is_empty() && item.label != "problem"
        });
        let kind = match run.format {
            Format::Plan | Format::Apply if is_destroy => "Destroy",
            Format::Plan => "Plan",
            Format::Apply => "Apply",
            Format::Drift => "Drift",
        };
        let counts = match run.format {
            Format::Plan => plan_counts(&totals, is_destroy),
            Format::Drift => drift_counts(run, &totals, items),
            Format::Apply => apply_counts(run, &totals, is_destroy, has_unfinished),
        };
        let join = |part: fn(&Count) -> &str| {
            let parts = counts.iter().map(part).filter(|part| !part.is_empty());
            parts.collect::<Vec<_>>().join(", ")
        };
        let (headline, rest) = headline(run, &totals, kind, items);
        let found = match (run.format, join(|count| &count.title)) {
            (Format::Apply, found) => match headline.rsplit_once(' ') {
                Some((_, result)) => format!(" {result}: {found}"),
                None => found,
            },
            (Format::Drift, found) if found.is_empty() => ": none".to_owned(),
            (Format::Plan, found) if found.is_empty() => ": no changes".to_owned(),
            (_, found) => format!(": {found}"),
        };
        let accounts = pluralize(totals.accounts, "account");
        let in_accounts = match totals.accounts {
            1 => String::new(),
            _ => format!(" ({accounts})"),
        };
        let subject = match totals.failed_accounts == totals.accounts {
            true => {
                let cause = items.iter().flatten().next();
                let cause = cause.map_or("", |item| &item.sentence);
                format!("could not check {accounts}: {cause}")
            }
            false => join(|count| &count.subject),
        };
        let totals_line = match (join(|count| &count.total), rest.as_str()) {
            (counts, "") if counts.is_empty() => ".".to_owned(),
            (counts, rest) if counts.is_empty() => format!(". {rest}"),
            (counts, "") => format!(": {counts}."),
            (counts, rest) => format!(": {counts}. {rest}"),
        };
        Summary {
            title: format!("riskform {}{found}", kind.to_lowercase()),
            in_accounts,
            subject: format!("riskform: {subject}"),
            headline,
            totals: totals_line,
            remarks: remarks(run, &totals),
            has_unfinished,
        }
    }
}

/// Returns the numbers above 0 with their words.
fn nonzero<const N: usize>(numbers: [(usize, &str); N]) -> impl Iterator<Item = String> {
    let numbers = numbers.into_iter().filter(|(number, _)| *number > 0);
    numbers.map(|(number, words)| format!("{number} {words}"))
}

fn plan_counts(totals: &Totals, is_destroy: bool) -> Vec<Count> {
    let updates = if is_destroy {
        "to disable"
    } else {
        "to update"
    };
    let verb = match totals.weakening {
        1 => "weakens protection",
        _ => "weaken protection",
    };
    let changes = nonzero([
        (totals.create, "to create"),
        (totals.update, updates),
        (totals.replace, "to replace"),
        (totals.delete, "to delete"),
        (totals.ambiguous, "ambiguous"),
    ]);
    let rest = nonzero([
        (totals.weakening, verb),
        (totals.blocked_accounts, "blocked"),
        (totals.failed_accounts, "failed"),
    ]);
    changes
        .map(Count::same)
        .chain(rest.map(Count::titled))
        .collect()
}

fn drift_counts(run: &Run, totals: &Totals, items: &[Vec<Item>]) -> Vec<Count> {
    let labeled = |label: &str| {
        let (mut number, mut names) = (0, Vec::new());
        for (account, items) in run.accounts.iter().zip(items) {
            let count = items.iter().filter(|item| item.label == label).count();
            number += count;
            names.extend((count > 0).then(|| account.label()));
        }
        let names = match names.as_slice() {
            [first, _, ..] => format!("{first} and {} more", names.len() - 1),
            names => names.concat(),
        };
        (number, names)
    };
    let (weaker, weaker_names) = labeled("weaker");
    let (integrations, names) = labeled(UNLISTED_INTEGRATION);
    let is_other = |item: &&Item| item.label.is_empty() && !matches!(item.symbol, "" | "?");
    let others = items.iter().flatten().filter(is_other).count();
    let reported = run.accounts.iter().flat_map(AccountPlan::reported);
    let unlisted = reported.filter(|one| !one.fields.is_on(Field::Active));
    let (title, noun) = match (weaker + integrations, others) {
        (0, 1) => ("1 differs".to_owned(), "difference"),
        (0, _) => (format!("{others} differ"), "difference"),
        (_, 1) => ("1 other differs".to_owned(), "other difference"),
        (_, _) => (format!("{others} others differ"), "other difference"),
    };
    let mut counts = Vec::new();
    counts.extend((weaker > 0).then(|| Count {
        subject: format!("{weaker_names} weaker"),
        ..Count::same(format!("{weaker} weaker"))
    }));
    counts.extend((integrations > 0).then(|| Count {
        subject: format!("{UNLISTED_INTEGRATION} in {names}"),
        ..Count::same(pluralize(integrations, UNLISTED_INTEGRATION))
    }));
    counts.extend((others > 0).then(|| Count {
        total: pluralize(others, noun),
        ..Count::titled(title)
    }));
    let rest = [
        (unlisted.count(), "unlisted"),
        (totals.ambiguous, "ambiguous"),
    ];
    counts.extend(nonzero(rest).map(Count::same));
    counts.extend(nonzero([(totals.failed_accounts, "failed")]).map(Count::titled));
    counts
}

fn apply_counts(run: &Run, totals: &Totals, is_destroy: bool, has_unfinished: bool) -> Vec<Count> {
    let done = totals.done.unwrap_or_default();
    if is_complete(run) {
        let updated = if is_destroy { "disabled" } else { "updated" };
        let numbers = nonzero([
            (done.created, "created"),
            (done.updated, updated),
            (done.replaced, "replaced"),
            (done.deleted, "deleted"),
        ]);
        return numbers.map(Count::same).collect();
    }
    let ends = run.accounts.iter().flat_map(|account| &account.operations);
    let ends: Vec<_> = ends.filter_map(|one| one.end.as_ref()).collect();
    let number = ends
        .iter()
        .filter(|end| end.outcome == OperationOutcome::Done);
    let operations = pluralize(ends.len(), "operation");
    let numbers = nonzero([
        (done.failed, "failed"),
        (done.unknown, "unknown"),
        (done.not_attempted, "not attempted"),
    ]);
    let mut problems: Vec<String> = Vec::new();
    if !has_unfinished {
        let found = run
            .accounts
            .iter()
            .flat_map(|one| one.problems.iter().flatten());
        problems.extend(found.map(shown));
    }
    let failed = accounts(run, "could not be read", |one| one.error.is_some());
    let ambiguous = |one: &AccountPlan| one.problems.is_none() && !one.errors.is_empty();
    problems.extend(failed);
    problems.extend(accounts(run, "{is} blocked by a guard", |one| {
        !one.violations.is_empty()
    }));
    problems.extend(accounts(run, "{is} ambiguous", ambiguous));
    let problems = problems.into_iter().enumerate().map(|(index, problem)| {
        let link = if index == 0 { "but" } else { "and" };
        format!("{link} {problem}")
    });
    let done = format!("{} of {operations} done", number.count());
    let parts = std::iter::once(done).chain(numbers).chain(problems);
    parts.map(Count::same).collect()
}

/// Returns e.g. `2 of 60 accounts failed`, or with the names after an apply.
fn accounts(run: &Run, words: &str, is: impl Fn(&AccountPlan) -> bool) -> Option<String> {
    let labels = run.accounts.iter().filter(|account| is(account));
    let labels: Vec<&str> = labels.map(AccountPlan::label).collect();
    let words = words.replace("{is}", if labels.len() == 1 { "is" } else { "are" });
    let (number, accounts) = (labels.len(), run.accounts.len());
    let names = match run.format {
        Format::Apply => format!(": {}", abbreviate_list(labels)),
        Format::Plan | Format::Drift => String::new(),
    };
    match accounts {
        _ if number == 0 => None,
        1 => Some(format!("the account {words}")),
        _ => Some(format!("{number} of {accounts} accounts {words}{names}")),
    }
}

/// Returns true if every account was read and every change was made and verified.
pub(super) fn is_complete(run: &Run) -> bool {
    !run.accounts.iter().any(|account| {
        account.error.is_some()
            || !account.violations.is_empty()
            || !account.errors.is_empty()
            || account.is_incomplete()
    })
}

/// Returns the headline, and the sentence about resources without differences.
fn headline(run: &Run, totals: &Totals, kind: &str, items: &[Vec<Item>]) -> (String, String) {
    let Totals {
        accounts,
        failed_accounts,
        changed_accounts,
        unchanged,
        unlisted,
        ambiguous,
        ..
    } = *totals;
    let read = accounts - failed_accounts;
    if run.format == Format::Apply {
        return match is_complete(run) {
            true if kind == "Apply" => ("Apply complete".to_owned(), "Verified.".to_owned()),
            true => (format!("{kind} complete"), String::new()),
            false => (format!("{kind} incomplete"), String::new()),
        };
    }
    if read == 0 {
        return (String::new(), String::new());
    }
    let has_findings = changed_accounts > 0 || ambiguous > 0;
    let in_accounts = match (accounts, has_findings) {
        (1, _) => String::new(),
        (_, false) => format!(" in {}", pluralize(read, "account")),
        (_, true) => format!(" in {} of {accounts} accounts", changed_accounts.max(1)),
    };
    let rest = match run.format {
        _ if !has_findings && kind == "Destroy" => String::new(),
        _ if !has_findings => matching(run),
        Format::Drift => {
            let empty = items.iter().filter(|items| items.is_empty()).count();
            let rest = if accounts == 1 { unchanged } else { empty };
            nonzero([(rest, "as declared.")]).collect()
        }
        _ if accounts == 1 && ambiguous > 0 && kind != "Destroy" => {
            "Nothing can be applied to this account until it is resolved.".to_owned()
        }
        _ => {
            let numbers = nonzero([(unchanged, "unchanged"), (unlisted, "unlisted")]);
            let numbers = numbers.collect::<Vec<_>>().join(", ");
            let names = match run.accounts.as_slice() {
                [account] => unmanaged(run, account).map(|one| abbreviated(&one.address)),
                _ => return (format!("{kind}{in_accounts}"), sentence(numbers)),
            };
            match abbreviate_list(names) {
                names if names.is_empty() => sentence(numbers),
                names => format!("{numbers} ({names})."),
            }
        }
    };
    let headline = match (run.format, has_findings) {
        (_, true) => kind,
        (Format::Drift, false) => "No drift",
        (_, false) if kind == "Destroy" => return ("Nothing to destroy".to_owned(), rest),
        (_, false) => "No changes",
    };
    (format!("{headline}{in_accounts}"), rest)
}

fn sentence(text: String) -> String {
    match text.as_str() {
        "" => text,
        text => format!("{text}."),
    }
}

/// Returns the unlisted resources that are not shown as items.
fn unmanaged<'a>(
    run: &Run,
    account: &'a AccountPlan,
) -> impl Iterator<Item = &'a UnlistedResource> + use<'a> {
    let is_drift = run.format == Format::Drift;
    account.unlisted.iter().filter(move |one| {
        let is_behavior = matches!(one.address, Address::Behavior(_));
        !one.is_reported() || (is_behavior && !is_drift)
    })
}

/// Returns e.g. `1 behavior and 1 integration match.`
fn matching(run: &Run) -> String {
    let behaviors: usize = run.handled().map(|plan| plan.unchanged.behaviors).sum();
    let integrations: usize = run.handled().map(|plan| plan.unchanged.integrations).sum();
    match (behaviors + integrations, kinds(behaviors, integrations)) {
        (0, _) => "No resource is declared.".to_owned(),
        (1, names) => format!("{names} matches."),
        (_, names) => format!("{names} match."),
    }
}

/// Returns e.g. `2 behaviors and 1 integration`.
fn kinds(behaviors: usize, integrations: usize) -> String {
    let kinds = [(behaviors, "behavior"), (integrations, "integration")];
    let kinds = kinds.into_iter().filter(|(number, _)| *number > 0);
    let kinds: Vec<String> = kinds
        .map(|(number, noun)| pluralize(number, noun))
        .collect();
    kinds.join(" and ")
}

fn remarks(run: &Run, totals: &Totals) -> Vec<String> {
    if run.format == Format::Apply {
        return Vec::new();
    }
    let mut remarks = Vec::new();
    if totals.changed_accounts == 0 && totals.ambiguous == 0 {
        remarks.extend(unmanaged_resources(run));
    } else if run.format == Format::Plan {
        let sentences = weakening(run).into_iter().chain(unassigned(run));
        remarks.push(sentences.collect::<Vec<_>>().join(" "));
        remarks.retain(|remark| !remark.is_empty());
    }
    if totals.accounts > 1 {
        let failures = [
            accounts(run, "{is} ambiguous", |one| !one.errors.is_empty()),
            accounts(run, "{is} blocked by a guard", |one| {
                !one.violations.is_empty()
            }),
            accounts(run, "failed", |one| one.error.is_some()),
        ];
        remarks.extend(failures.into_iter().flatten().map(sentence));
    }
    remarks
}

/// Returns e.g. `2 behaviors are unlisted and not managed: imp_travel (on, high), sentinel_one (off).`
fn unmanaged_resources(run: &Run) -> Option<String> {
    let all: Vec<_> = run.handled().flat_map(|one| unmanaged(run, one)).collect();
    let is_behavior = |one: &&&UnlistedResource| matches!(one.address, Address::Behavior(_));
    let behaviors = all.iter().filter(is_behavior).count();
    let names = kinds(behaviors, all.len() - behaviors);
    let verb = if all.len() == 1 { "is" } else { "are" };
    let list = match run.accounts.len() {
        1 => format!(
            ": {}",
            abbreviate_list(all.iter().map(|one| unlisted_name(one)))
        ),
        _ => String::new(),
    };
    (!all.is_empty()).then(|| format!("{names} {verb} unlisted and not managed{list}."))
}

/// Returns the weakening changes, with the accounts or their number. Those that a guard blocks are shown as blocked.
fn weakening(run: &Run) -> Option<String> {
    let mut holders: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    let mut first: Vec<&Change> = Vec::new();
    for account in &run.accounts {
        let is_blocked = |change: &Change| {
            account.violations.iter().any(|violation| {
                violation.guard == Guard::Weakening
                    && violation.address.as_ref() == Some(&change.address)
            })
        };
        for change in account.changes.iter().filter(|change| !is_blocked(change)) {
            if let Some(reason) = change.weakens {
                first.push(change);
                let text = format!("{} ({})", abbreviated(&change.address), reason.shown());
                holders.entry(text).or_default().push(account.label());
            }
        }
    }
    let names = holders
        .into_iter()
        .flat_map(|(text, labels)| match labels.len() {
            _ if run.accounts.len() == 1 => vec![text],
            GROUPING_THRESHOLD.. => vec![format!("{text} in {} accounts", labels.len())],
            _ => labels
                .iter()
                .map(|label| format!("{label}/{text}"))
                .collect(),
        });
    let names = abbreviate_list(names);
    let changes = match first.as_slice() {
        [] => return None,
        [_] => "1 change weakens protection".to_owned(),
        many => format!("{} changes weaken protection", many.len()),
    };
    let effect = match first.as_slice() {
        [change] if change.after.is_none() => {
            let tenant = change.before.as_ref().and_then(Fields::tenant_url);
            let tenant = tenant.map(shown).unwrap_or_default();
            format!(": {tenant} no longer receives risk scores")
        }
        _ => String::new(),
    };
    Some(format!("{changes}: {names}{effect}."))
}

/// Returns the number of policies that use a level that no behavior will assign.
fn unassigned(run: &Run) -> Option<String> {
    let accounts = run.accounts.iter();
    let policies: usize = accounts
        .map(|account| account.unassigned_policies().len())
        .sum();
    let verb = if policies == 1 {
        "policy uses"
    } else {
        "policies use"
    };
    (policies > 0).then(|| format!("{policies} Access {verb} a level that nothing will assign."))
}
