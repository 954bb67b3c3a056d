//! The grouped view of a run, which text, Markdown, HTML and Slack render.
//!
//! Accounts are in order of severity. Equal items of three or more accounts are shown once, and unchanged accounts are only counted.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde::Serialize;

use crate::model::text::{GROUPING_THRESHOLD, abbreviate_list, pluralize};
use crate::plan::{AccountPlan, Format, Run};

use super::attribution::Fact;
use super::item::{
    Item, Resolution, Severity, generated_references, items, prefix, shown, well_known_urls,
};
use super::summary::Summary;

/// Instruction above the URLs to paste into Okta (`schema/api.md`, Integrations).
pub(super) const URL_HEADING: &str = "Paste the well_known_url into Okta (Security > Device Integrations > Receive shared signals > Create stream):";

/// Level of detail of a fleet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DetailLevel {
    /// Content shared by several accounts is shown once.
    Grouped,
    /// Everything, per account.
    Expanded,
}

/// The content of a run for all formats that people read.
#[derive(Debug, Serialize)]
pub struct View {
    pub summary: Summary,
    /// The most severe first.
    pub sections: Vec<Section>,
    /// Names of the accounts without items.
    pub unchanged: Vec<String>,
    /// Description of such accounts.
    pub unchanged_words: &'static str,
    pub accounts: usize,
    /// Names of integrations, and their URLs to paste into Okta.
    pub well_known_urls: Vec<(String, String)>,
    /// Version, API and token of the run.
    pub evidence: String,
}

/// The items of one account, or of several accounts with equal items.
#[derive(Debug, Serialize)]
pub struct Section {
    pub severity: Severity,
    pub heading: String,
    /// Names of the accounts. Empty if the items name them.
    pub accounts: Vec<String>,
    /// Abbreviated ID and file of a single account, after the heading.
    pub place: String,
    /// The most severe first.
    pub items: Vec<Item>,
}

impl View {
    /// Creates the view of a run.
    pub fn new(run: &Run, detail: DetailLevel) -> View {
        let shown: Vec<Vec<Item>> = run.accounts.iter().map(|one| items(run, one)).collect();
        let unchanged = run.accounts.iter().zip(&shown);
        let unchanged = unchanged.filter(|(_, items)| items.is_empty());
        let evidence = run.evidence.clone().unwrap_or_default();
        View {
            summary: Summary::new(run, &shown),
            sections: sections(run, &shown, detail),
            unchanged: unchanged
                .map(|(account, _)| account.label().to_owned())
                .collect(),
            unchanged_words: match run.format {
                Format::Drift => "as declared",
                Format::Plan | Format::Apply => "without changes",
            },
            accounts: run.accounts.len(),
            well_known_urls: well_known_urls(run),
            evidence: evidence.line(run.created_at, &run.base_url),
        }
    }

    /// Returns all items with their sections, the most severe section first.
    pub(super) fn items(&self) -> impl Iterator<Item = (&Section, &Item)> {
        self.sections
            .iter()
            .flat_map(|section| section.items.iter().map(move |item| (section, item)))
    }
}

/// Groups equal items. Sections of a single account show the IDs.
fn sections(run: &Run, shown: &[Vec<Item>], detail: DetailLevel) -> Vec<Section> {
    let masked = run.accounts.iter().zip(shown).map(|(account, items)| {
        let generated = generated_references(account);
        items
            .iter()
            .map(|item| item.masked(run, &generated))
            .collect()
    });
    let masked: Vec<Vec<Item>> = masked.collect();
    let mut holders: HashMap<&Item, BTreeMap<usize, &Item>> = HashMap::new();
    for (account, (masked, shown)) in masked.iter().zip(shown).enumerate() {
        for (masked, shown) in masked.iter().zip(shown) {
            holders.entry(masked).or_default().insert(account, shown);
        }
    }
    let threshold = |item: &Item| match (detail, item.severity) {
        (DetailLevel::Expanded, _) => usize::MAX,
        (DetailLevel::Grouped, Severity::Failed) => 2,
        (DetailLevel::Grouped, _) => GROUPING_THRESHOLD,
    };
    let is_single = |item: &Item| holders[item].len() < threshold(item);
    // Several unlisted active integrations are listed, with both ways to resolve them once.
    let unlisted = masked.iter().flatten();
    let unlisted = unlisted.filter(|item| item.resolution.is_some() && is_single(item));
    let unlisted = unlisted.count();
    let is_listed = detail == DetailLevel::Grouped && unlisted >= GROUPING_THRESHOLD;
    let mut list = Vec::new();
    let mut sections: BTreeMap<BTreeSet<usize>, Vec<Item>> = BTreeMap::new();
    for (account, (masked, shown)) in masked.iter().zip(shown).enumerate() {
        let label = run.accounts[account].label();
        for (masked, shown) in masked.iter().zip(shown) {
            let holders = &holders[masked];
            if is_single(masked) && is_listed && shown.resolution.is_some() {
                list.push(shown.listed(&prefix(run, label)));
            } else if is_single(masked) {
                let section = sections.entry([account].into()).or_default();
                section.push(shown.clone());
            } else if holders.keys().next() == Some(&account) {
                let all: Vec<&Item> = holders.values().copied().collect();
                let facts = shared_facts(label, &all);
                let item = Item {
                    facts,
                    ..masked.clone()
                };
                let accounts = holders.keys().copied().collect();
                sections.entry(accounts).or_default().push(item);
            }
        }
    }
    let sections = sections.into_iter().map(|(accounts, items)| {
        let accounts = accounts.into_iter().map(|at| &run.accounts[at]);
        Section::new(&accounts.collect::<Vec<_>>(), items)
    });
    let mut sections: Vec<Section> = sections.collect();
    if !list.is_empty() {
        list.push(Item {
            severity: Severity::Integration,
            resolution: Some(Resolution::template(run)),
            ..Item::default()
        });
        sections.push(Section {
            severity: Severity::Integration,
            heading: format!("{unlisted} unlisted active integrations receive risk scores:"),
            accounts: Vec::new(),
            place: String::new(),
            items: list,
        });
    }
    sections.sort_by_key(|section| section.severity);
    sections
}

impl Section {
    fn new(accounts: &[&AccountPlan], mut items: Vec<Item>) -> Section {
        items.sort_by_key(|item| item.severity);
        let labels: Vec<String> = accounts.iter().map(|one| one.label().to_owned()).collect();
        let names = abbreviate_list(&labels);
        let count = pluralize(labels.len(), "account");
        let mut place = String::new();
        let heading = match accounts {
            _ if items.iter().all(Item::is_account_error) => format!("{count} failed: {names}"),
            [account] => {
                place = format!("  {}", shown(&account.source));
                if account.name.is_some() {
                    place = format!(" ({}){place}", account.account_id.abbreviated());
                }
                names
            }
            _ => format!("{count}: {names}"),
        };
        Section {
            severity: items[0].severity,
            heading,
            accounts: labels,
            place,
            items,
        }
    }
}

/// Returns the facts of a shared item. If they differ, the first account is an example.
fn shared_facts(label: &str, items: &[&Item]) -> Vec<Fact> {
    let facts = items[0].facts.iter().enumerate().map(|(at, fact)| {
        let mut others = items.iter().map(|item| item.facts.get(at));
        let is_equal = others.clone().all(|other| other == Some(fact));
        let has_text = others.all(|other| other.is_some_and(|other| other.text == fact.text));
        match (is_equal, has_text) {
            (true, _) => fact.clone(),
            (false, true) => Fact {
                detail: None,
                varies: true,
                ..fact.clone()
            },
            (false, false) => Fact {
                varies: true,
                ..Fact::new(format!("in {label}: {}", fact.text))
            },
        }
    });
    facts.collect()
}
