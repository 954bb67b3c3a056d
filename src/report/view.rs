//! The grouped view of a run, which text, Markdown, HTML and Slack render.
//!
//! Accounts are in order of severity. Equal items of three or more accounts are shown once, and unchanged accounts are only counted.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde::Serialize;

use crate::model::text::{GROUPING_THRESHOLD, abbreviate_list, pluralize};
use crate::plan::{AccountPlan, Format, Run};

use super::attribution::Fact;
use super::item::{Item, Resolution, Severity, items, own_ids, prefix, shown, well_known_urls};
use super::summary::Summary;

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
    /// Abbreviated ID and file of a single account.
    pub account: Option<(String, String)>,
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

    /// Returns the instruction above the URLs to paste into Okta.
    pub(super) fn url_heading(&self) -> String {
        let which = if self.well_known_urls.len() == 1 {
            "the"
        } else {
            "each"
        };
        // `schema/api.md`, Integrations.
        format!(
            "Paste {which} well_known_url into Okta (Security > Device Integrations > Receive shared signals > Create stream):"
        )
    }
}

/// Groups equal items. Sections of a single account show the IDs.
fn sections(run: &Run, shown: &[Vec<Item>], detail: DetailLevel) -> Vec<Section> {
    let masked = run.accounts.iter().zip(shown).map(|(account, items)| {
        let own = own_ids(account);
        items.iter().map(|item| item.masked(run, &own)).collect()
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
    let mut sections: BTreeMap<BTreeSet<usize>, Vec<Item>> = BTreeMap::new();
    for (account, (masked, shown)) in masked.iter().zip(shown).enumerate() {
        for (masked, shown) in masked.iter().zip(shown) {
            let holders = &holders[masked];
            if holders.len() < threshold(masked) {
                let section = sections.entry([account].into()).or_default();
                section.push(shown.clone());
            } else if holders.keys().next() == Some(&account) {
                let accounts = holders.keys().copied().collect();
                let facts = shared_facts(run.accounts[account].label(), holders.values());
                let item = Item {
                    facts,
                    ..masked.clone()
                };
                sections.entry(accounts).or_default().push(item);
            }
        }
    }
    let sections = sections.into_iter().map(|(accounts, items)| {
        let accounts = accounts.into_iter().map(|at| &run.accounts[at]);
        Section::new(&accounts.collect::<Vec<_>>(), items)
    });
    let mut sections: Vec<Section> = sections.collect();
    if detail == DetailLevel::Grouped {
        list_unlisted_integrations(run, &mut sections);
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
        let (heading, account) = match accounts {
            _ if items.iter().all(Item::is_account_error) => {
                (format!("{count} failed: {names}"), None)
            }
            [account] => {
                let id = account.name.as_ref();
                let id = id.map(|_| account.account_id.abbreviated());
                let account = (id.unwrap_or_default(), shown(&account.source));
                (names, Some(account))
            }
            _ => (format!("{count}: {names}"), None),
        };
        Section {
            severity: items[0].severity,
            heading,
            accounts: labels,
            account,
            items,
        }
    }
}

/// Returns the facts of a shared item. If they differ, the first account is an example.
fn shared_facts<'a>(label: &str, mut items: impl Iterator<Item = &'a &'a Item>) -> Vec<Fact> {
    let Some(first) = items.next() else {
        return Vec::new();
    };
    let first = &first.facts;
    let (mut equal, mut equal_texts) = (true, true);
    for item in items {
        equal &= item.facts == *first;
        let texts = item.facts.iter().map(|fact| &fact.text);
        equal_texts &= texts.eq(first.iter().map(|fact| &fact.text));
    }
    let shared = first
        .iter()
        .cloned()
        .map(|fact| match (equal, equal_texts) {
            (true, _) => fact,
            (false, is_equal) => Fact {
                text: match is_equal {
                    true => fact.text,
                    false => format!("in {label}: {}", fact.text),
                },
                detail: None,
                varies: true,
            },
        });
    shared.collect()
}

/// Moves the unlisted active integrations of single accounts into one section, with one line each, if there are three or more.
fn list_unlisted_integrations(run: &Run, sections: &mut Vec<Section>) {
    let is_listed =
        |section: &Section, item: &Item| section.accounts.len() == 1 && item.resolution.is_some();
    let all = sections.iter();
    let all = all.flat_map(|section| section.items.iter().map(move |item| (section, item)));
    let count = all
        .filter(|(section, item)| is_listed(section, item))
        .count();
    if count < GROUPING_THRESHOLD {
        return;
    }
    let mut items = Vec::new();
    for section in sections
        .iter_mut()
        .filter(|section| section.accounts.len() == 1)
    {
        let prefix = prefix(run, &section.accounts[0]);
        for item in section
            .items
            .extract_if(.., |item| item.resolution.is_some())
        {
            let facts = item.facts.iter().map(|fact| fact.text.as_str());
            let words: Vec<&str> = item.lines.iter().map(String::as_str).chain(facts).collect();
            items.push(Item {
                title: format!("{prefix}{}", item.title),
                status: words.join("  "),
                sentence: words.join(" "),
                lines: Vec::new(),
                facts: Vec::new(),
                resolution: None,
                ..item
            });
        }
    }
    sections.retain_mut(|section| {
        let severity = section.items.first().map(|item| item.severity);
        section.severity = severity.unwrap_or_default();
        severity.is_some()
    });
    items.push(Item {
        severity: Severity::Integration,
        resolution: Some(Resolution::template(run)),
        ..Item::default()
    });
    sections.push(Section {
        severity: Severity::Integration,
        heading: format!("{count} unlisted active integrations receive risk scores:"),
        accounts: Vec::new(),
        account: None,
        items,
    });
}
