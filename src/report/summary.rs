//! The result of a run in one line and as totals, the same in all formats.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::model::address::Address;
use crate::model::text::{GROUPING_THRESHOLD, abbreviate_list, pluralize};
use crate::plan::{
    AccountPlan, Change, Field, Fields, Format, Guard, Purpose, Run, Totals, UnlistedResource,
};

use super::apply;
use super::view::{
    DetailLevel, Item, UNLISTED_INTEGRATION, View, abbreviated, shown, unlisted_name,
};

/// The result of a run.
#[derive(Debug, Serialize)]
pub struct Summary {
    /// The result in one line, such as `riskform drift: 1 weaker, 2 failed (60 accounts)`.
    pub title: String,
    /// Like the title, with the names of the most severe accounts.
    pub subject: String,
    /// The result without numbers of resources, such as `Drift in 5 of 60 accounts`. Empty if no account could be read.
    pub headline: String,
    pub counts: Vec<Count>,
    /// Sentences about the resources without differences.
    pub rest: String,
    /// Sentences about weakening changes and unmanaged resources.
    pub remarks: Vec<String>,
    /// Sentences about accounts that failed, are blocked or ambiguous.
    pub failures: Vec<String>,
}

/// A number of findings.
#[derive(Debug, Serialize)]
pub struct Count {
    pub text: String,
    pub is_severe: bool,
}

/// Numbers of a run and their nouns.
struct Counts<'a> {
    run: &'a Run,
    totals: Totals,
    is_destroy: bool,
    items: &'a [Vec<Item>],
}

impl Summary {
    /// Returns the result of a run.
    pub fn of(run: &Run) -> Summary {
        View::new(run, DetailLevel::Grouped).summary
    }

    pub(super) fn new(run: &Run, items: &[Vec<Item>]) -> Summary {
        let mut options = run
            .accounts
            .iter()
            .filter_map(|account| account.options.as_ref());
        let counts = Counts {
            run,
            totals: run.totals(),
            is_destroy: options.any(|options| options.purpose == Purpose::Destroy),
            items,
        };
        let in_accounts = match run.accounts.len() {
            1 => String::new(),
            accounts => format!(" ({})", pluralize(accounts, "account")),
        };
        let kind = counts.kind().to_lowercase();
        let titles: Vec<String> = counts.titles().collect();
        let (title, subject) = match (run.format, titles.as_slice()) {
            (Format::Apply, _) => {
                let result = counts.result();
                (
                    format!("riskform {kind} {result}{in_accounts}"),
                    format!("riskform: {kind} {result}"),
                )
            }
            (Format::Drift, []) => (
                format!("riskform drift: none{in_accounts}"),
                format!(
                    "riskform: no drift in {}",
                    pluralize(run.accounts.len(), "account")
                ),
            ),
            (Format::Plan, []) => (
                format!("riskform {kind}: no changes{in_accounts}"),
                "riskform: no changes".to_owned(),
            ),
            (_, titles) => (
                format!("riskform {kind}: {}{in_accounts}", titles.join(", ")),
                counts.subject(titles),
            ),
        };
        let (headline, rest) = counts.headline_and_rest();
        Summary {
            title,
            subject,
            headline,
            counts: counts.found(),
            rest,
            remarks: counts.remarks(),
            failures: counts.failures(),
        }
    }

    /// Returns headline, counts and rest as one line.
    pub(super) fn line(&self) -> String {
        let counts: Vec<&str> = self
            .counts
            .iter()
            .map(|count| count.text.as_str())
            .collect();
        let counts = match counts.as_slice() {
            [] => String::new(),
            counts => format!(": {}", counts.join(", ")),
        };
        let rest = match self.rest.as_str() {
            "" => String::new(),
            rest => format!(" {rest}"),
        };
        format!("{}{counts}.{rest}", self.headline)
    }
}

/// Returns the numbers above 0 with their words.
fn nonzero<const N: usize>(numbers: [(usize, &str); N]) -> impl Iterator<Item = String> {
    let numbers = numbers.into_iter().filter(|(number, _)| *number > 0);
    numbers.map(|(number, words)| format!("{number} {words}"))
}

impl Counts<'_> {
    fn kind(&self) -> &'static str {
        match self.run.format {
            Format::Plan | Format::Apply if self.is_destroy => "Destroy",
            Format::Plan => "Plan",
            Format::Apply => "Apply",
            Format::Drift => "Drift",
        }
    }

    fn all_items(&self) -> impl Iterator<Item = &Item> {
        self.items.iter().flatten()
    }

    fn labeled(&self, label: &str) -> usize {
        self.all_items().filter(|item| item.label == label).count()
    }

    /// Returns weaker resources, unlisted active integrations, other differences and other unlisted resources.
    fn drift(&self) -> [usize; 4] {
        let is_active = |one: &&UnlistedResource| one.fields.is_on(Field::Active);
        let reported = self.run.accounts.iter().flat_map(AccountPlan::reported);
        let is_other = |item: &&Item| item.label.is_empty() && !matches!(item.symbol, "" | "?");
        [
            self.labeled("weaker"),
            self.labeled(UNLISTED_INTEGRATION),
            self.all_items().filter(is_other).count(),
            reported.filter(|one| !is_active(one)).count(),
        ]
    }

    fn changes(&self) -> impl Iterator<Item = String> {
        let Totals {
            create,
            update,
            replace,
            delete,
            ambiguous,
            ..
        } = self.totals;
        let update_words = if self.is_destroy {
            "to disable"
        } else {
            "to update"
        };
        nonzero([
            (create, "to create"),
            (update, update_words),
            (replace, "to replace"),
            (delete, "to delete"),
            (ambiguous, "ambiguous"),
        ])
    }

    /// Returns the parts of the title.
    fn titles(&self) -> impl Iterator<Item = String> {
        let Totals {
            ambiguous,
            failed_accounts,
            blocked_accounts,
            weakening,
            ..
        } = self.totals;
        let mut parts: Vec<String> = match self.run.format {
            Format::Drift => {
                let [weaker, integrations, others, unlisted] = self.drift();
                let mut parts: Vec<String> = nonzero([(weaker, "weaker")]).collect();
                parts.extend(
                    (integrations > 0).then(|| pluralize(integrations, UNLISTED_INTEGRATION)),
                );
                parts.extend(match (others, parts.is_empty()) {
                    (0, _) => None,
                    (1, true) => Some("1 differs".to_owned()),
                    (_, true) => Some(format!("{others} differ")),
                    (1, false) => Some("1 other differs".to_owned()),
                    (_, false) => Some(format!("{others} others differ")),
                });
                parts.extend(nonzero([(unlisted, "unlisted"), (ambiguous, "ambiguous")]));
                parts
            }
            Format::Plan | Format::Apply => {
                let mut parts: Vec<String> = self.changes().collect();
                let verb = if weakening == 1 {
                    "weakens protection"
                } else {
                    "weaken protection"
                };
                parts.extend(nonzero([(weakening, verb), (blocked_accounts, "blocked")]));
                parts
            }
        };
        parts.extend(nonzero([(failed_accounts, "failed")]));
        parts.into_iter()
    }

    /// Returns the parts of the title with the names of the most severe accounts.
    fn subject(&self, titles: &[String]) -> String {
        if self.totals.failed_accounts == self.totals.accounts {
            let accounts = pluralize(self.totals.accounts, "account");
            let cause = self.all_items().next().map_or("", |item| &item.sentence);
            return format!("riskform: could not check {accounts}: {cause}");
        }
        let with = |label: &str| -> Vec<&str> {
            let accounts = self.run.accounts.iter().zip(self.items);
            let accounts = accounts.filter(|(_, items)| items.iter().any(|one| one.label == label));
            accounts.map(|(account, _)| account.label()).collect()
        };
        let names = |accounts: &[&str]| match accounts {
            [] => None,
            [one] => Some((*one).to_owned()),
            [first, rest @ ..] => Some(format!("{first} and {} more", rest.len())),
        };
        let weaker = names(&[with("weaker"), with("weakens")].concat());
        let verb = match self.run.format {
            Format::Drift => "weaker",
            Format::Plan | Format::Apply => "weakened",
        };
        let weaker = weaker.map(|names| format!("{names} {verb}"));
        let integration = names(&with(UNLISTED_INTEGRATION))
            .filter(|_| self.run.format == Format::Drift)
            .map(|names| format!("{UNLISTED_INTEGRATION} in {names}"));
        let is_named = |title: &&String| {
            ["weaker", "weaken", "weakens"]
                .iter()
                .any(|word| title.contains(word))
                || title.contains(UNLISTED_INTEGRATION)
        };
        let others = titles.iter().filter(|title| !is_named(title)).cloned();
        let parts: Vec<String> = weaker
            .into_iter()
            .chain(integration)
            .chain(others)
            .collect();
        format!("riskform: {}", parts.join(", "))
    }

    /// Returns the numbers of findings.
    fn found(&self) -> Vec<Count> {
        let count = |is_severe| move |text| Count { text, is_severe };
        match self.run.format {
            Format::Apply => apply::counts(self.run, &self.totals, self.is_destroy),
            Format::Plan => self.changes().map(count(false)).collect(),
            Format::Drift => {
                let [weaker, integrations, others, unlisted] = self.drift();
                let noun = match weaker + integrations {
                    0 => "difference",
                    _ => "other difference",
                };
                let integrations =
                    (integrations > 0).then(|| pluralize(integrations, UNLISTED_INTEGRATION));
                let others = (others > 0).then(|| pluralize(others, noun));
                let rest = nonzero([(unlisted, "unlisted"), (self.totals.ambiguous, "ambiguous")]);
                nonzero([(weaker, "weaker")])
                    .chain(integrations)
                    .map(count(true))
                    .chain(others.into_iter().chain(rest).map(count(false)))
                    .collect()
            }
        }
    }

    fn has_findings(&self) -> bool {
        self.totals.changed_accounts > 0 || self.totals.ambiguous > 0
    }

    fn headline_and_rest(&self) -> (String, String) {
        let Totals {
            accounts,
            failed_accounts,
            changed_accounts,
            unchanged,
            unlisted,
            ..
        } = self.totals;
        let read = accounts - failed_accounts;
        if self.run.format == Format::Apply {
            return apply::headline_and_rest(self.run, self.kind());
        }
        if read == 0 {
            return (String::new(), String::new());
        }
        let in_accounts = match (accounts, self.has_findings()) {
            (1, _) => String::new(),
            (_, false) => format!(" in {}", pluralize(read, "account")),
            (_, true) => format!(" in {} of {accounts} accounts", changed_accounts.max(1)),
        };
        match (self.run.format, self.has_findings()) {
            (Format::Drift, true) => {
                let rest = match accounts {
                    1 => unchanged,
                    _ => self.items.iter().filter(|items| items.is_empty()).count(),
                };
                let rest = nonzero([(rest, "as declared.")]).collect();
                (format!("Drift{in_accounts}"), rest)
            }
            (Format::Drift, false) => (format!("No drift{in_accounts}"), self.matching()),
            (_, false) if self.is_destroy => ("Nothing to destroy".to_owned(), String::new()),
            (_, false) => (format!("No changes{in_accounts}"), self.matching()),
            (_, true) => {
                let names = self.unlisted_names();
                let rest = match (self.totals.ambiguous, accounts) {
                    (1.., 1) if !self.is_destroy => {
                        "Nothing can be applied to this account until it is resolved.".to_owned()
                    }
                    _ => {
                        let numbers: Vec<String> =
                            nonzero([(unchanged, "unchanged"), (unlisted, "unlisted")]).collect();
                        match numbers.as_slice() {
                            [] => String::new(),
                            numbers => format!("{}{names}.", numbers.join(", ")),
                        }
                    }
                };
                (format!("{}{in_accounts}", self.kind()), rest)
            }
        }
    }

    /// Returns the names of unlisted resources that are not shown as items, for a single account.
    fn unlisted_names(&self) -> String {
        let [account] = self.run.accounts.as_slice() else {
            return String::new();
        };
        match self
            .unmanaged(account)
            .map(|one| abbreviated(&one.address))
            .collect::<Vec<_>>()
        {
            names if names.is_empty() => String::new(),
            names => format!(" ({})", abbreviate_list(names)),
        }
    }

    /// Returns the unlisted resources that are not shown as items.
    fn unmanaged<'a>(
        &self,
        account: &'a AccountPlan,
    ) -> impl Iterator<Item = &'a UnlistedResource> + use<'a> {
        let is_drift = self.run.format == Format::Drift;
        account.unlisted.iter().filter(move |one| {
            let is_behavior = matches!(one.address, Address::Behavior(_));
            !one.is_reported() || (is_behavior && !is_drift)
        })
    }

    /// Returns e.g. `1 behavior and 1 integration match.`
    fn matching(&self) -> String {
        let read = || self.run.handled();
        let behaviors: usize = read().map(|plan| plan.unchanged.behaviors).sum();
        let integrations: usize = read().map(|plan| plan.unchanged.integrations).sum();
        let verb = if behaviors + integrations == 1 {
            "matches"
        } else {
            "match"
        };
        match kinds(behaviors, integrations) {
            names if names.is_empty() => "No resource is declared.".to_owned(),
            names => format!("{names} {verb}."),
        }
    }

    fn remarks(&self) -> Vec<String> {
        match self.run.format {
            Format::Apply => Vec::new(),
            _ if !self.has_findings() => self.unmanaged_resources().into_iter().collect(),
            Format::Drift => Vec::new(),
            Format::Plan => {
                let remarks = self.weakening().into_iter().chain(self.unassigned());
                match remarks.collect::<Vec<_>>() {
                    remarks if remarks.is_empty() => remarks,
                    remarks => vec![remarks.join(" ")],
                }
            }
        }
    }

    /// Returns e.g. `2 behaviors are unlisted and not managed: imp_travel (on, high), sentinel_one (off).`
    fn unmanaged_resources(&self) -> Option<String> {
        let all: Vec<_> = self
            .run
            .handled()
            .flat_map(|account| self.unmanaged(account))
            .collect();
        let is_behavior = |address: &Address| matches!(address, Address::Behavior(_));
        let behaviors = all.iter().filter(|one| is_behavior(&one.address)).count();
        let names = kinds(behaviors, all.len() - behaviors);
        let verb = if all.len() == 1 { "is" } else { "are" };
        let list = match self.run.accounts.len() {
            1 => format!(
                ": {}",
                abbreviate_list(all.iter().map(|one| unlisted_name(one)))
            ),
            _ => String::new(),
        };
        (!all.is_empty()).then(|| format!("{names} {verb} unlisted and not managed{list}."))
    }

    /// Returns the weakening changes, with the accounts or their number. Those that a guard blocks are shown as blocked.
    fn weakening(&self) -> Option<String> {
        let mut holders: BTreeMap<(usize, String), Vec<&str>> = BTreeMap::new();
        let mut first: Vec<&Change> = Vec::new();
        for account in &self.run.accounts {
            let is_blocked = |change: &Change| {
                account.violations.iter().any(|violation| {
                    violation.guard == Guard::Weakening
                        && violation.address.as_ref() == Some(&change.address)
                })
            };
            for change in account.changes.iter().filter(|change| !is_blocked(change)) {
                let Some(reason) = change.weakens else {
                    continue;
                };
                first.push(change);
                let text = format!("{} ({})", abbreviated(&change.address), reason.shown());
                holders.entry((0, text)).or_default().push(account.label());
            }
        }
        let names = holders
            .into_iter()
            .flat_map(|((_, text), labels)| match labels.as_slice() {
                _ if self.run.accounts.len() == 1 => vec![text],
                labels if labels.len() >= GROUPING_THRESHOLD => {
                    vec![format!("{text} in {} accounts", labels.len())]
                }
                labels => labels
                    .iter()
                    .map(|label| format!("{label}/{text}"))
                    .collect(),
            });
        let names = abbreviate_list(names);
        let effect = match first.as_slice() {
            [] => return None,
            [change] if change.after.is_none() => {
                let tenant = change.before.as_ref().and_then(Fields::tenant_url);
                format!(
                    ": {} no longer receives risk scores",
                    tenant.map(shown).unwrap_or_default()
                )
            }
            _ => String::new(),
        };
        let changes = match first.len() {
            1 => "1 change weakens protection".to_owned(),
            many => format!("{many} changes weaken protection"),
        };
        Some(format!("{changes}: {names}{effect}."))
    }

    /// Returns the number of policies that use a level that no behavior will assign.
    fn unassigned(&self) -> Option<String> {
        let policies = self
            .run
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

    fn failures(&self) -> Vec<String> {
        let Totals {
            accounts,
            failed_accounts,
            blocked_accounts,
            ..
        } = self.totals;
        if accounts == 1 || self.run.format == Format::Apply {
            return Vec::new();
        }
        let ambiguous = self
            .run
            .accounts
            .iter()
            .filter(|account| !account.errors.is_empty())
            .count();
        let verb = |number| if number == 1 { "is" } else { "are" };
        let sentences = [
            (ambiguous, format!("{} ambiguous", verb(ambiguous))),
            (
                blocked_accounts,
                format!("{} blocked by a guard", verb(blocked_accounts)),
            ),
            (failed_accounts, "failed".to_owned()),
        ];
        let sentences = sentences.into_iter().filter(|(number, _)| *number > 0);
        sentences
            .map(|(number, words)| format!("{number} of {accounts} accounts {words}."))
            .collect()
    }

    /// Returns the result of an apply, such as `complete: 1 created`.
    fn result(&self) -> String {
        let counts: Vec<String> = self.found().into_iter().map(|count| count.text).collect();
        let word = match apply::is_complete(self.run) {
            true => "complete",
            false => "incomplete",
        };
        format!("{word}: {}", counts.join(", "))
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
