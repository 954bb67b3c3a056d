//! Totals of a run in words, the same in all text formats.

use std::collections::BTreeMap;

use crate::plan::{AccountPlan, ApplyTotals, Format, Purpose, Run, Totals};

use super::display_item::{Severity, blocks, gravest_first, prefix, short};
use crate::model::text::{EscapeInvisible, GROUPING_THRESHOLD, abbreviate_list, pluralize};

/// Totals in words, without final periods.
pub(super) struct RunSummary<'a> {
    run: &'a Run,
    pub(super) totals: Totals,
    is_destroy: bool,
}

impl<'a> RunSummary<'a> {
    pub(super) fn of(run: &'a Run) -> Self {
        let mut options = run
            .accounts
            .iter()
            .filter_map(|account| account.options.as_ref());
        RunSummary {
            run,
            totals: run.totals(),
            is_destroy: options.any(|options| options.purpose == Purpose::Destroy),
        }
    }

    /// Heading of the run.
    pub(super) fn kind(&self) -> &'static str {
        match self.run.format {
            Format::Plan | Format::Apply if self.is_destroy => "Destroy",
            Format::Plan => "Plan",
            Format::Apply => "Apply",
            Format::Drift => "Drift",
        }
    }

    fn handled(&self) -> usize {
        self.totals.accounts - self.totals.failed_accounts
    }

    /// The changes or differences; `None` if all accounts failed.
    pub(super) fn found(&self) -> Option<(&'static str, String)> {
        if self.handled() == 0 {
            return None;
        }
        let Totals { unchanged, .. } = self.totals;
        let findings = usize::from(self.has_findings());
        Some(match (self.run.format, findings) {
            (Format::Plan | Format::Apply, 0) if self.is_destroy => {
                ("Nothing to destroy", String::new())
            }
            (Format::Plan | Format::Apply, 0) => {
                ("No changes", format!("{}{}", self.matching(), self.rest()))
            }
            (Format::Drift, 0) => {
                let accounts = match self.totals.accounts {
                    1 => String::new(),
                    _ => format!(" in {}", pluralize(self.handled(), "account")),
                };
                ("No drift", format!("{unchanged} as declared{accounts}"))
            }
            (Format::Plan | Format::Apply, _) => (
                self.kind(),
                format!(
                    "{}. {unchanged} unchanged, {} unlisted{}{}",
                    self.to_do(),
                    self.totals.unlisted,
                    self.rest(),
                    self.unresolved()
                ),
            ),
            (Format::Drift, _) => (
                self.kind(),
                format!(
                    "{}. {unchanged} as declared{}",
                    self.differing(),
                    self.rest()
                ),
            ),
        })
    }

    /// Returns true if there are changes, drift or ambiguous entries.
    pub(super) fn has_findings(&self) -> bool {
        self.totals.changed_accounts > 0 || self.totals.ambiguous > 0
    }

    /// Returns the effect of ambiguous entries on a single account.
    fn unresolved(&self) -> &'static str {
        match (self.totals.ambiguous, self.totals.accounts) {
            (1.., 1) if !self.is_destroy => {
                ". Nothing can be applied to this account until it is resolved"
            }
            _ => "",
        }
    }

    /// Returns e.g. `, 1 ambiguous`.
    fn unplanned(&self) -> String {
        match self.totals.ambiguous {
            0 => String::new(),
            entries => format!(", {entries} ambiguous"),
        }
    }

    /// Returns e.g. `1 to create, 2 to update, 0 to replace, 1 to delete`.
    pub(super) fn to_do(&self) -> String {
        let Totals {
            create,
            update,
            replace,
            delete,
            ..
        } = self.totals;
        if self.is_destroy {
            return format!(
                "{update} to disable, {delete} to delete{}",
                self.unplanned()
            );
        }
        format!(
            "{create} to create, {update} to update, {replace} to replace, {delete} to delete{}",
            self.unplanned()
        )
    }

    /// Returns e.g. `1 differs, 3 unlisted, 1 of them reported`.
    pub(super) fn differing(&self) -> String {
        let Totals {
            unlisted, reported, ..
        } = self.totals;
        let differ = self.totals.changes();
        let verb = if differ == 1 { "differs" } else { "differ" };
        let of_them = match reported {
            reported if reported == unlisted => String::new(),
            reported => format!(", {reported} of them reported"),
        };
        format!(
            "{differ} {verb}{}, {unlisted} unlisted{of_them}",
            self.unplanned()
        )
    }

    fn matching(&self) -> String {
        let handled = || self.run.handled();
        let behaviors = handled().map(|plan| plan.unchanged.behaviors).sum();
        let integrations = handled().map(|plan| plan.unchanged.integrations).sum();
        let verb = match behaviors + integrations {
            1 => "matches",
            _ => "match",
        };
        let accounts = match self.totals.accounts {
            1 => String::new(),
            _ => format!(" in {}", pluralize(self.handled(), "account")),
        };
        let (behaviors, integrations) = (
            pluralize(behaviors, "behavior"),
            pluralize(integrations, "integration"),
        );
        format!("{behaviors} and {integrations} {verb}{accounts}")
    }

    /// Returns the number of accounts with and without changes.
    fn rest(&self) -> String {
        let Totals {
            accounts,
            changed_accounts,
            ..
        } = self.totals;
        if accounts == 1 || changed_accounts == 0 {
            return String::new();
        }
        let rest = self.handled() - changed_accounts;
        let rest = match (rest, self.run.format) {
            (0, _) => String::new(),
            (1, Format::Plan | Format::Apply) => "; 1 account has no changes".to_owned(),
            (rest, Format::Plan | Format::Apply) => format!("; {rest} accounts have no changes"),
            (1, Format::Drift) => "; 1 account is as declared".to_owned(),
            (rest, Format::Drift) => format!("; {rest} accounts are as declared"),
        };
        format!(". In {changed_accounts} of {accounts} accounts{rest}")
    }

    /// Returns the number of weakening changes, e.g. `2 changes weaken protection`.
    pub(super) fn weaker(&self) -> Option<String> {
        match self.run.format {
            Format::Plan | Format::Apply => match self.totals.weakening {
                0 => None,
                1 => Some("1 change weakens protection".to_owned()),
                many => Some(format!("{many} changes weaken protection")),
            },
            Format::Drift => match self.totals.live_weaker {
                0 => None,
                1 => Some("1 protects less than declared".to_owned()),
                many => Some(format!("{many} protect less than declared")),
            },
        }
    }

    /// Returns the first five by name and the number of the rest. Shared ones count once.
    pub(super) fn weaker_names(&self) -> String {
        let mut holders: BTreeMap<String, (usize, Vec<String>)> = BTreeMap::new();
        for (_, account) in gravest_first(self.run) {
            let label = prefix(self.run, account);
            let blocks = blocks(self.run, account);
            for block in blocks.filter(|block| block.gravity() == Severity::Weaker) {
                let why = match (self.run.format, block.weakening) {
                    (Format::Plan | Format::Apply, Some(reason)) => reason.to_string(),
                    (Format::Plan | Format::Apply, None) | (Format::Drift, _) => {
                        block.words.to_owned()
                    }
                };
                let address = EscapeInvisible(&short(block.address)).to_string();
                let first = holders.len();
                let what = format!("{address} ({why})");
                let (_, holders) = holders.entry(what).or_insert((first, Vec::new()));
                holders.push(label.clone());
            }
        }
        let mut holders: Vec<_> = holders.into_iter().collect();
        holders.sort_by_key(|(_, (first, _))| *first);
        abbreviate_list(holders.into_iter().flat_map(|(what, (_, labels))| {
            match labels.len() {
                many if many >= GROUPING_THRESHOLD => vec![format!("{what} in {many} accounts")],
                _ => labels
                    .iter()
                    .map(|label| format!("{label}{what}"))
                    .collect(),
            }
        }))
    }

    /// Returns the number of accounts with ambiguous entries.
    pub(super) fn ambiguous(&self) -> Option<String> {
        let accounts = self.run.accounts.iter();
        let ambiguous = accounts
            .filter(|account| !account.errors.is_empty())
            .count();
        self.of_accounts(ambiguous, ["ambiguous", "is ambiguous", "are ambiguous"])
    }

    /// Returns the number of blocked accounts.
    pub(super) fn refused(&self) -> Option<String> {
        let words = ["blocked by a guard", "is blocked", "are blocked"];
        self.of_accounts(self.totals.blocked_accounts, words)
    }

    /// Returns the number of failed accounts.
    pub(super) fn failed(&self) -> Option<String> {
        self.of_accounts(self.totals.failed_accounts, ["failed"; 3])
    }

    /// Returns a number of accounts in words: for a single account, for one, and for several.
    fn of_accounts(&self, number: usize, [alone, one, several]: [&str; 3]) -> Option<String> {
        match (number, self.totals.accounts) {
            (0, _) => None,
            (_, 1) => Some(alone.to_owned()),
            (1, all) => Some(format!("1 of {all} accounts {one}")),
            (number, all) => Some(format!("{number} of {all} accounts {several}")),
        }
    }

    /// Returns the result and whether it is complete: `Apply complete` and `1 created, …`.
    pub(super) fn became(&self) -> (String, bool, String) {
        let is_complete = !self.run.accounts.iter().any(AccountPlan::is_incomplete);
        let end = if is_complete {
            "complete"
        } else {
            "incomplete"
        };
        let done = self.totals.done.unwrap_or_default();
        let heading = format!("{} {end}", self.kind());
        (heading, is_complete, self.done(done))
    }

    fn done(&self, done: ApplyTotals) -> String {
        let ApplyTotals {
            created,
            updated,
            replaced,
            deleted,
            failed,
            unknown,
            not_attempted,
        } = done;
        let mut text = match self.is_destroy {
            true => format!("{updated} disabled, {deleted} deleted"),
            false => format!(
                "{created} created, {updated} updated, {replaced} replaced, {deleted} deleted"
            ),
        };
        if failed + unknown + not_attempted > 0 {
            let operations = pluralize(failed, "operation");
            text.push_str(&format!(". {operations} failed, "));
            if unknown > 0 {
                text.push_str(&format!("{unknown} unknown, "));
            }
            text.push_str(&format!("{not_attempted} not attempted"));
        }
        text
    }

    /// Returns the run as a title, e.g. `riskform drift: 1 differs, 1 unlisted`.
    pub(super) fn title(&self) -> String {
        let kind = self.kind().to_lowercase();
        let rest = match self.totals.failed_accounts {
            0 => "",
            _ => " in the rest",
        };
        let unchanged = self.totals.unchanged;
        let verb = if unchanged == 1 { "matches" } else { "match" };
        let found = match (self.run.format, usize::from(self.has_findings())) {
            _ if self.handled() == 0 => None,
            (Format::Apply, _) => {
                let (heading, _, done) = self.became();
                return self
                    .with_concerns(format!("riskform {}: {done}", heading.to_lowercase()), true);
            }
            (Format::Plan, 0) if self.is_destroy => Some(format!("nothing to destroy{rest}")),
            (Format::Plan, 0) => Some(format!("no changes{rest}, {unchanged} {verb}")),
            (Format::Plan, _) => Some(self.to_do()),
            (Format::Drift, 0) => Some(format!("none{rest}, {unchanged} as declared")),
            (Format::Drift, _) => Some(self.differing()),
        };
        let has_found = found.is_some();
        let title = format!("riskform {kind}: {}", found.unwrap_or_default());
        self.with_concerns(title, has_found)
    }

    fn with_concerns(&self, mut title: String, has_found: bool) -> String {
        let mut separator = if has_found { "; " } else { "" };
        let weaker = match self.run.format {
            // Past tense: the changes are made.
            Format::Apply => None,
            Format::Plan | Format::Drift => self.weaker(),
        };
        for concern in [weaker, self.refused(), self.failed()]
            .into_iter()
            .flatten()
        {
            title.push_str(separator);
            title.push_str(&concern);
            separator = "; ";
        }
        title
    }
}

/// Returns the counts of an account, e.g. `3 changes, 1 weakens, 2 notes`.
pub(super) fn counts(format: Format, account: &AccountPlan) -> String {
    let weaker = account.changes.iter().filter(|change| match format {
        Format::Plan | Format::Apply => change.weakens().is_some(),
        Format::Drift => change.live_weaker().is_some(),
    });
    let (noun, one, many) = match format {
        Format::Plan | Format::Apply => ("change", "weakens", "weaken"),
        Format::Drift => ("difference", "is weaker", "are weaker"),
    };
    let numbers = [
        (account.changes.len(), noun),
        (weaker.count(), ""),
        (account.errors.len(), "ambiguous"),
        (account.reported().count(), "unlisted"),
        (account.notes.len(), "note"),
        (account.excluded.len(), "left out"),
    ];
    let parts: Vec<String> = numbers
        .into_iter()
        .filter(|(number, _)| *number > 0)
        .map(|(number, what)| match (number, what) {
            (1, "") => format!("1 {one}"),
            (number, "") => format!("{number} {many}"),
            (number, "unlisted" | "left out" | "ambiguous") => format!("{number} {what}"),
            (number, noun) => pluralize(number, noun),
        })
        .collect();
    parts.join(", ")
}
