//! The result of a run in one line and as totals, the same in all formats.

use serde::Serialize;

use crate::model::address::Address;
use crate::model::text::{abbreviate_list, pluralize};
use crate::plan::{
    AccountPlan, Field, Fields, Format, Guard, Purpose, Run, Totals, UnlistedResource,
};

use super::item::{
    Item, Severity, UNLISTED_INTEGRATION, abbreviated, prefix, shown, unlisted_name,
};

/// The result of a run.
#[derive(Debug, Serialize)]
pub struct Summary {
    /// The result in one line, such as `riskform drift: 1 weaker, 2 failed`.
    pub title: String,
    /// The number of accounts after the title, such as ` (60 accounts)`. Empty for one account.
    pub in_accounts: String,
    /// The title. For drift, it includes the names of the most severe accounts.
    pub subject: String,
    /// The result without numbers, such as `Drift in 5 of 60 accounts`. Empty if no account could be read.
    pub headline: String,
    /// The numbers, which follow the headline, such as `: 1 weaker. 53 as declared.`
    pub totals: String,
    /// Sentences about weakening changes, unmanaged resources, and accounts that failed, are blocked or ambiguous.
    pub remarks: Vec<String>,
    /// True if an apply has results that the totals do not describe.
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
    fn new(text: String) -> Self {
        Count {
            total: text.clone(),
            ..Count::in_title(text)
        }
    }

    fn in_title(text: String) -> Self {
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
        let kind = match run.format {
            Format::Plan | Format::Apply if is_destroy => "Destroy",
            Format::Plan => "Plan",
            Format::Apply => "Apply",
            Format::Drift => "Drift",
        };
        let mut all = items.iter().flatten();
        let is_complete = all.clone().all(|item| item.severity >= Severity::Weaker);
        let has_unfinished = all.any(Item::is_unfinished);
        let has_findings = totals.changed_accounts > 0 || totals.ambiguous > 0;
        let accounts = pluralize(totals.accounts, "account");
        let in_accounts = match totals.accounts {
            1 => String::new(),
            _ => format!(" ({accounts})"),
        };
        let read = totals.accounts - totals.failed_accounts;
        let within = match (totals.accounts, has_findings) {
            (1, _) => String::new(),
            (_, false) => format!(" in {}", pluralize(read, "account")),
            (_, true) => format!(" in {} of {accounts}", totals.changed_accounts.max(1)),
        };
        let headline = match (run.format, has_findings) {
            (Format::Apply, _) if is_complete => format!("{kind} complete"),
            (Format::Apply, _) => format!("{kind} incomplete"),
            _ if read == 0 => String::new(),
            (_, true) => format!("{kind}{within}"),
            (Format::Drift, false) => format!("No drift{within}"),
            (Format::Plan, false) if is_destroy => "Nothing to destroy".to_owned(),
            (Format::Plan, false) => format!("No changes{within}"),
        };
        let rest = match (run.format, has_findings) {
            (Format::Apply, _) if is_complete && !is_destroy => "Verified.".to_owned(),
            (Format::Apply, _) => String::new(),
            (_, false) if is_destroy => String::new(),
            (_, false) => matching(run),
            (Format::Drift, true) => {
                let empty = items.iter().filter(|items| items.is_empty()).count();
                let number = match totals.accounts {
                    1 => totals.unchanged,
                    _ => empty,
                };
                join(nonzero([(number, "as declared.")]))
            }
            (Format::Plan, true) => untouched(run, &totals, is_destroy),
        };
        let counts = match run.format {
            Format::Plan => plan_counts(&totals, is_destroy),
            Format::Drift => drift_counts(run, &totals, items),
            Format::Apply if is_complete => complete_counts(&totals, is_destroy),
            Format::Apply => incomplete_counts(run, items, has_unfinished),
        };
        let joined = |part: fn(&Count) -> &String| {
            let parts = counts.iter().map(part).cloned();
            join(parts.filter(|part| !part.is_empty()))
        };
        let start = match run.format {
            Format::Apply => headline.to_lowercase(),
            Format::Plan | Format::Drift => kind.to_lowercase(),
        };
        let found = match joined(|count| &count.title) {
            found if found.is_empty() => "no differences".to_owned(),
            found => found,
        };
        let cause = items.iter().flatten().next().filter(|_| read == 0);
        let subject = match cause {
            Some(cause) => format!("could not check {accounts}: {}", cause.sentence),
            None => joined(|count| &count.subject),
        };
        let mut totals_line = match joined(|count| &count.total) {
            counts if counts.is_empty() => ".".to_owned(),
            counts => format!(": {counts}."),
        };
        if !rest.is_empty() {
            totals_line = format!("{totals_line} {rest}");
        }
        Summary {
            title: format!("riskform {start}: {found}"),
            in_accounts,
            subject: format!("riskform: {subject}"),
            headline,
            totals: totals_line,
            remarks: remarks(run, has_findings),
            has_unfinished,
        }
    }
}

fn join(parts: impl Iterator<Item = String>) -> String {
    parts.collect::<Vec<_>>().join(", ")
}

/// Returns the numbers above 0 with their words.
fn nonzero<const N: usize>(numbers: [(usize, &str); N]) -> impl Iterator<Item = String> {
    let numbers = numbers.into_iter().filter(|(number, _)| *number > 0);
    numbers.map(|(number, words)| format!("{number} {words}"))
}

fn plan_counts(totals: &Totals, is_destroy: bool) -> Vec<Count> {
    let update = ["to update", "to disable"][usize::from(is_destroy)];
    let weaken = match totals.weakening {
        1 => "weakens protection",
        _ => "weaken protection",
    };
    let changes = nonzero([
        (totals.create, "to create"),
        (totals.update, update),
        (totals.replace, "to replace"),
        (totals.delete, "to delete"),
        (totals.ambiguous, "ambiguous"),
    ]);
    let rest = nonzero([
        (totals.weakening, weaken),
        (totals.blocked_accounts, "blocked"),
        (totals.failed_accounts, "failed"),
    ]);
    let changes = changes.map(Count::new);
    changes.chain(rest.map(Count::in_title)).collect()
}

fn drift_counts(run: &Run, totals: &Totals, items: &[Vec<Item>]) -> Vec<Count> {
    // The number of items with a label, and the names of their accounts.
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
    let (weaker, weaker_in) = labeled("weaker");
    let (integrations, integrations_in) = labeled(UNLISTED_INTEGRATION);
    let is_other = |item: &&Item| item.label.is_empty() && !matches!(item.symbol, "" | "?");
    let others = items.iter().flatten().filter(is_other).count();
    let reported = run.accounts.iter().flat_map(AccountPlan::reported);
    let unlisted = reported
        .filter(|one| !one.fields.is_on(Field::Active))
        .count();
    let (noun, differ) = match (weaker + integrations, others) {
        (0, 1) => ("difference", "differs"),
        (0, _) => ("difference", "differ"),
        (_, 1) => ("other difference", "other differs"),
        (_, _) => ("other difference", "others differ"),
    };
    let mut counts = Vec::new();
    counts.extend((weaker > 0).then(|| Count {
        subject: format!("{weaker_in} weaker"),
        ..Count::new(format!("{weaker} weaker"))
    }));
    counts.extend((integrations > 0).then(|| Count {
        subject: format!("{UNLISTED_INTEGRATION} in {integrations_in}"),
        ..Count::new(pluralize(integrations, UNLISTED_INTEGRATION))
    }));
    counts.extend((others > 0).then(|| Count {
        total: pluralize(others, noun),
        ..Count::in_title(format!("{others} {differ}"))
    }));
    let rest = nonzero([(unlisted, "unlisted"), (totals.ambiguous, "ambiguous")]);
    counts.extend(rest.map(Count::new));
    counts.extend(nonzero([(totals.failed_accounts, "failed")]).map(Count::in_title));
    counts
}

fn complete_counts(totals: &Totals, is_destroy: bool) -> Vec<Count> {
    let updated = if is_destroy { "disabled" } else { "updated" };
    let numbers = nonzero([
        (totals.create, "created"),
        (totals.update, updated),
        (totals.replace, "replaced"),
        (totals.delete, "deleted"),
    ]);
    numbers.map(Count::new).collect()
}

fn incomplete_counts(run: &Run, items: &[Vec<Item>], has_unfinished: bool) -> Vec<Count> {
    let results = || items.iter().flatten().filter(|item| item.symbol.is_empty());
    let labels = ["done", "failed", "unknown", "not attempted"];
    let numbers = labels.map(|label| results().filter(|item| item.label == label).count());
    let operations = pluralize(numbers.iter().sum(), "operation");
    let [done, failed, unknown, not_attempted] = numbers;
    let numbers = nonzero([
        (failed, "failed"),
        (unknown, "unknown"),
        (not_attempted, "not attempted"),
    ]);
    let problems = results().filter(|item| !has_unfinished && item.label == "problem");
    let problems = problems.map(|item| item.sentence.clone());
    let problems = problems.chain(troubled_accounts(run)).enumerate();
    let problems = problems.map(|(index, problem)| match index {
        0 => format!("but {problem}"),
        _ => format!("and {problem}"),
    });
    let done = std::iter::once(format!("{done} of {operations} done"));
    done.chain(numbers)
        .chain(problems)
        .map(Count::new)
        .collect()
}

/// Returns e.g. `2 of 60 accounts failed` for each kind of trouble, with the names after an apply.
fn troubled_accounts(run: &Run) -> impl Iterator<Item = String> {
    let is_apply = run.format == Format::Apply;
    let number = run.accounts.len();
    let failed = ["failed", "could not be read"][usize::from(is_apply)];
    let is_ambiguous = |one: &AccountPlan| one.problems.is_none() && !one.errors.is_empty();
    type Filter = fn(&AccountPlan) -> bool;
    let kinds: [(&str, Filter); 3] = [
        (failed, |one| one.error.is_some()),
        ("blocked by a guard", |one| !one.violations.is_empty()),
        ("ambiguous", is_ambiguous),
    ];
    kinds.into_iter().filter_map(move |(words, is_troubled)| {
        let accounts = run.accounts.iter().filter(|account| is_troubled(account));
        let labels: Vec<&str> = accounts.map(AccountPlan::label).collect();
        let verb = match (labels.len(), words == failed) {
            (0, _) => return None,
            (_, true) => "",
            (1, false) => "is ",
            (_, false) => "are ",
        };
        let names = match is_apply {
            true => format!(": {}", abbreviate_list(&labels)),
            false => String::new(),
        };
        Some(match number {
            1 => format!("the account {verb}{words}"),
            _ => format!("{} of {number} accounts {verb}{words}{names}", labels.len()),
        })
    })
}

/// Returns the numbers of unchanged and unlisted resources, with the names of the resources not shown as items.
fn untouched(run: &Run, totals: &Totals, is_destroy: bool) -> String {
    let account = match run.accounts.as_slice() {
        [_] if totals.ambiguous > 0 && !is_destroy => {
            return "Nothing can be applied to this account until it is resolved.".to_owned();
        }
        [account] => Some(account),
        _ => None,
    };
    let numbers = join(nonzero([
        (totals.unchanged, "unchanged"),
        (totals.unlisted, "unlisted"),
    ]));
    let unmanaged = account
        .into_iter()
        .flat_map(|account| unmanaged(run, account));
    match abbreviate_list(unmanaged.map(|one| abbreviated(&one.address))) {
        _ if numbers.is_empty() => numbers,
        names if names.is_empty() => format!("{numbers}."),
        names => format!("{numbers} ({names})."),
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
    let behaviors: usize = run
        .accounts
        .iter()
        .map(|plan| plan.unchanged.behaviors)
        .sum();
    let integrations: usize = run
        .accounts
        .iter()
        .map(|plan| plan.unchanged.integrations)
        .sum();
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

fn remarks(run: &Run, has_findings: bool) -> Vec<String> {
    let mut remarks = Vec::new();
    match run.format {
        Format::Apply => return remarks,
        Format::Plan | Format::Drift if !has_findings => remarks.extend(unmanaged_resources(run)),
        Format::Plan => {
            let sentences: Vec<String> =
                weakening(run).into_iter().chain(unassigned(run)).collect();
            remarks.extend((!sentences.is_empty()).then(|| sentences.join(" ")));
        }
        Format::Drift => {}
    }
    if run.accounts.len() > 1 {
        remarks.extend(troubled_accounts(run).map(|sentence| sentence + "."));
    }
    remarks
}

/// Returns e.g. `2 behaviors are unlisted and not managed: imp_travel (on, high), sentinel_one (off).`
fn unmanaged_resources(run: &Run) -> Option<String> {
    let all: Vec<_> = run
        .accounts
        .iter()
        .flat_map(|one| unmanaged(run, one))
        .collect();
    let is_behavior = |one: &&&UnlistedResource| matches!(one.address, Address::Behavior(_));
    let behaviors = all.iter().filter(is_behavior).count();
    let resources = kinds(behaviors, all.len() - behaviors);
    let verb = if all.len() == 1 { "is" } else { "are" };
    let names = abbreviate_list(all.iter().map(|one| unlisted_name(one)));
    let names = match run.accounts.len() {
        1 => format!(": {names}"),
        _ => String::new(),
    };
    (!all.is_empty()).then(|| format!("{resources} {verb} unlisted and not managed{names}."))
}

/// Returns the weakening changes. Those that a guard blocks are shown as blocked.
fn weakening(run: &Run) -> Option<String> {
    let mut names = Vec::new();
    let mut effect = String::new();
    for account in &run.accounts {
        let prefix = prefix(run, account.label());
        for change in &account.changes {
            let is_blocked = account.violations.iter().any(|one| {
                one.guard == Guard::Weakening && one.address.as_ref() == Some(&change.address)
            });
            let Some(reason) = change.weakens.filter(|_| !is_blocked) else {
                continue;
            };
            let address = abbreviated(&change.address);
            names.push(format!("{prefix}{address} ({})", reason.as_str()));
            let tenant = change.before.as_ref().and_then(Fields::tenant_url);
            if let Some(tenant) = tenant.filter(|_| change.after.is_none()) {
                effect = format!(": {} no longer receives risk scores", shown(tenant));
            }
        }
    }
    let list = abbreviate_list(&names);
    match names.len() {
        0 => None,
        1 => Some(format!("1 change weakens protection: {list}{effect}.")),
        many => Some(format!("{many} changes weaken protection: {list}.")),
    }
}

/// Returns the number of policies that use a level that no behavior will assign.
fn unassigned(run: &Run) -> Option<String> {
    let policies = run
        .accounts
        .iter()
        .map(|account| account.unassigned_policies().len());
    match policies.sum::<usize>() {
        0 => None,
        1 => Some("1 Access policy uses a level that nothing will assign.".to_owned()),
        many => Some(format!(
            "{many} Access policies use a level that nothing will assign."
        )),
    }
}
