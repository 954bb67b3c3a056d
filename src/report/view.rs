//! The grouped view of a run, which text, Markdown, HTML, Slack and the subject of a notification render.
//!
//! Accounts are in order of severity. Equal items of three or more accounts are shown once, and unchanged accounts are only counted. All
//! texts are safe to print: invisible characters are escaped.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde::Serialize;
use uuid::Uuid;

use crate::config::export::name_from_host;
use crate::model::address::Address;
use crate::model::field::OKTA;
use crate::model::generated_reference::{GeneratedReferences, owner_key};
use crate::model::integration::{ReferenceId, TenantUrl};
use crate::model::text::{EscapeInvisible, GROUPING_THRESHOLD, abbreviate_list, pluralize};
use crate::plan::{
    AccountError, AccountPlan, Action, Change, DeclaredBy, Field, FieldChange, FieldValue, Fields,
    Format, Guard, GuardViolation, Kind, Note, NoteKind, PlanError, Run, UnlistedResource,
};

use super::attribution::{Fact, facts};
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
    pub accounts: usize,
}

/// The items of one account, or of several accounts with equal items.
#[derive(Debug, Serialize)]
pub struct Section {
    pub severity: Severity,
    pub heading: String,
    pub accounts: Vec<String>,
    /// Abbreviated ID and file of a single account.
    pub account: Option<(String, String)>,
    /// The most severe first.
    pub items: Vec<Item>,
}

/// A displayed item.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize)]
pub struct Item {
    pub severity: Severity,
    pub symbol: &'static str,
    /// Kind of the item in one or two words, such as `weaker`. Empty for differences that need no emphasis.
    pub label: &'static str,
    /// Address of the resource. Empty for an item about the account.
    pub title: String,
    /// Entry or match of the resource, such as `by "*"`.
    pub origin: Option<String>,
    /// Text beside the title.
    pub status: String,
    /// The item as the rest of a sentence that starts with the title.
    pub sentence: String,
    /// Fields and their values.
    pub fields: Vec<(&'static str, String)>,
    pub lines: Vec<String>,
    /// Author and affected policies. They may differ between the accounts of a section.
    pub facts: Vec<Fact>,
    pub resolution: Option<Resolution>,
    pub help: Option<String>,
}

/// Both ways to resolve an unlisted integration.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct Resolution {
    /// Command that deletes it.
    pub delete: String,
    /// File to add it to.
    pub file: String,
    /// Lines to add.
    pub yaml: Vec<String>,
}

/// Severity of an item, the most severe first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    Failed,
    Blocked,
    Ambiguous,
    /// Protects less than declared, or would protect less.
    Weaker,
    /// Gains or loses an integration, or has an unlisted active one.
    Integration,
    Change,
    Unlisted,
    #[default]
    Note,
}

impl Severity {
    /// Returns true if no format may omit the item silently.
    pub fn is_severe(self) -> bool {
        self <= Severity::Integration
    }
}

/// Display of IDs. If masked, equal items of several accounts compare equal.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Ids {
    Shown,
    Masked,
}

pub(super) const UNLISTED_INTEGRATION: &str = "unlisted integration";

impl View {
    /// Creates the view of a run.
    pub fn new(run: &Run, detail: DetailLevel) -> View {
        let items_by_account = |ids| -> Vec<Vec<Item>> {
            let accounts = run.accounts.iter();
            accounts.map(|account| items(run, account, ids)).collect()
        };
        let mut shown = items_by_account(Ids::Shown);
        let summary = Summary::new(run, &shown);
        let unchanged = run.accounts.iter().zip(&shown);
        let unchanged = unchanged.filter(|(_, items)| items.is_empty());
        let unchanged = unchanged.map(|(account, _)| account.label().to_owned());
        let unchanged = unchanged.collect();
        let mut masked = items_by_account(Ids::Masked);
        for item in masked.iter_mut().flatten() {
            item.facts.clear();
        }
        let integrations = match detail {
            DetailLevel::Grouped => unlisted_integrations(run, &mut shown, &mut masked),
            DetailLevel::Expanded => None,
        };
        let mut sections = sections(run, &shown, &masked, detail);
        sections.extend(integrations);
        sections.sort_by_key(|section| section.severity);
        View {
            summary,
            sections,
            unchanged,
            accounts: run.accounts.len(),
        }
    }
}

/// Returns the accounts that failed or have drift, the most severe first.
pub fn accounts_with_problems(run: &Run) -> Vec<&AccountPlan> {
    let accounts = run.accounts.iter();
    let accounts = accounts.filter(|account| account.error.is_some() || account.has_drift());
    let mut accounts: Vec<&AccountPlan> = accounts.collect();
    let severity = |account| {
        items(run, account, Ids::Shown)
            .first()
            .map(|item| item.severity)
    };
    accounts.sort_by_cached_key(|account| severity(account).unwrap_or_default());
    accounts
}

/// Groups equal items. Sections of a single account show the IDs.
fn sections(
    run: &Run,
    shown: &[Vec<Item>],
    masked: &[Vec<Item>],
    detail: DetailLevel,
) -> Vec<Section> {
    let mut holders: HashMap<&Item, BTreeSet<usize>> = HashMap::new();
    for (account, items) in masked.iter().enumerate() {
        for item in items {
            holders.entry(item).or_default().insert(account);
        }
    }
    let threshold = |item: &Item| match (detail, item.severity) {
        (DetailLevel::Expanded, _) => usize::MAX,
        (DetailLevel::Grouped, Severity::Failed) => 2,
        (DetailLevel::Grouped, _) => GROUPING_THRESHOLD,
    };
    let mut sections: BTreeMap<BTreeSet<usize>, Vec<Item>> = BTreeMap::new();
    for (account, items) in masked.iter().enumerate() {
        for (index, item) in items.iter().enumerate() {
            let accounts = &holders[item];
            if accounts.len() < threshold(item) {
                let section = sections.entry([account].into()).or_default();
                section.push(shown[account][index].clone());
            } else if accounts.first() == Some(&account) {
                let all = accounts.iter().filter_map(|account| {
                    let at = masked[*account].iter().position(|other| other == item)?;
                    Some(shown[*account][at].facts.as_slice())
                });
                let facts = shared_facts(run.accounts[account].label(), all);
                let item = Item {
                    facts,
                    ..item.clone()
                };
                sections.entry(accounts.clone()).or_default().push(item);
            }
        }
    }
    let section = |(accounts, mut items): (BTreeSet<usize>, Vec<Item>)| {
        items.sort_by_key(|item| item.severity);
        let accounts: Vec<&AccountPlan> =
            accounts.into_iter().map(|at| &run.accounts[at]).collect();
        Section::new(accounts, items)
    };
    sections.into_iter().map(section).collect()
}

impl Section {
    fn new(accounts: Vec<&AccountPlan>, items: Vec<Item>) -> Section {
        let severity = items.iter().map(|item| item.severity).min();
        let severity = severity.unwrap_or_default();
        let labels: Vec<String> = accounts.iter().map(|one| one.label().to_owned()).collect();
        let names = abbreviate_list(&labels);
        let count = pluralize(labels.len(), "account");
        let (heading, account) = match accounts.as_slice() {
            _ if severity == Severity::Failed && items.iter().all(|item| item.symbol == "!") => {
                (format!("{count} failed: {names}"), None)
            }
            [account] => {
                let id = match account.name {
                    Some(_) => account.account_id.abbreviated(),
                    None => String::new(),
                };
                (names, Some((id, shown(&account.source))))
            }
            _ => (format!("{count}: {names}"), None),
        };
        Section {
            severity,
            heading,
            accounts: labels,
            account,
            items,
        }
    }
}

/// Returns the facts of a shared item: those of the first account if they differ.
fn shared_facts<'a>(label: &str, mut all: impl Iterator<Item = &'a [Fact]>) -> Vec<Fact> {
    let Some(first) = all.next() else {
        return Vec::new();
    };
    let (mut equal, mut equal_texts) = (true, true);
    for facts in all {
        equal &= facts == first;
        let texts = || facts.iter().map(|fact| &fact.text);
        equal_texts &= texts().eq(first.iter().map(|fact| &fact.text));
    }
    let shared = first.iter().map(|fact| match (equal, equal_texts) {
        (true, _) => fact.clone(),
        (false, is_equal) => Fact {
            text: match is_equal {
                true => fact.text.clone(),
                false => format!("in {label}: {}", fact.text),
            },
            detail: None,
            varies: true,
        },
    });
    shared.collect()
}

/// Moves the unlisted active integrations of all accounts into one section if there are three or more. Those of the same tenant in three
/// or more accounts are one item.
fn unlisted_integrations(
    run: &Run,
    shown: &mut [Vec<Item>],
    masked: &mut [Vec<Item>],
) -> Option<Section> {
    let is_unlisted = |item: &Item| item.resolution.is_some();
    let count = shown
        .iter()
        .flatten()
        .filter(|one| is_unlisted(one))
        .count();
    if count < GROUPING_THRESHOLD {
        return None;
    }
    let mut by_tenant: BTreeMap<String, Vec<(usize, Item)>> = BTreeMap::new();
    let mut accounts = BTreeSet::new();
    for (at, (items, masked)) in shown.iter_mut().zip(masked).enumerate() {
        let mut keep = items.iter().map(|item| !is_unlisted(item));
        masked.retain(|_| keep.next().unwrap_or(true));
        for item in items.extract_if(.., |item| is_unlisted(item)) {
            accounts.insert(at);
            let tenant = item.lines.join(" ");
            by_tenant.entry(tenant).or_default().push((at, item));
        }
    }
    let label = |at: usize| run.accounts[at].label();
    let prefix = |at: usize| match run.accounts.len() {
        1 => String::new(),
        _ => format!("{}/", label(at)),
    };
    let mut items = Vec::new();
    let mut template = None;
    for (tenant, integrations) in by_tenant {
        let line = |title: String, facts: Vec<Fact>| {
            let facts: Vec<&str> = facts.iter().map(|fact| fact.text.as_str()).collect();
            let facts = facts.join("; ");
            let gap = if facts.is_empty() { "" } else { "  " };
            Item {
                title,
                severity: Severity::Integration,
                symbol: "?",
                label: UNLISTED_INTEGRATION,
                status: format!("{tenant}{gap}{facts}"),
                sentence: format!("{tenant} {facts}").trim_end().to_owned(),
                ..Item::default()
            }
        };
        let holders: BTreeSet<usize> = integrations.iter().map(|(at, _)| *at).collect();
        let first = &integrations[0].1;
        template.get_or_insert_with(|| first.resolution.clone());
        if holders.len() >= GROUPING_THRESHOLD {
            let names = abbreviate_list(holders.iter().map(|at| label(*at)));
            let title = format!("integration[ID] in {} accounts ({names})", holders.len());
            let all = integrations.iter().map(|(_, item)| item.facts.as_slice());
            let facts = shared_facts(label(integrations[0].0), all);
            items.push(line(title, facts));
        } else {
            items.extend(integrations.iter().map(|(at, item)| {
                line(format!("{}{}", prefix(*at), item.title), item.facts.clone())
            }));
        }
    }
    let arguments = &run.commands.arguments;
    let target = match run.accounts.len() {
        1 => "integration[ID]",
        _ => "ACCOUNT/integration[ID]",
    };
    items.push(Item {
        severity: Severity::Integration,
        resolution: template.flatten().map(|_| Resolution {
            delete: format!("riskform destroy{arguments} --target '{target}'"),
            file: "its file".to_owned(),
            yaml: adoption("NAME", "URL", "ID"),
        }),
        ..Item::default()
    });
    let accounts = accounts.into_iter().map(|at| &run.accounts[at]).collect();
    Some(Section {
        heading: format!("{count} unlisted active integrations receive risk scores:"),
        account: None,
        ..Section::new(accounts, items)
    })
}

/// Escapes invisible characters.
pub(super) fn shown(text: impl ToString) -> String {
    EscapeInvisible(&text.to_string()).to_string()
}

/// Returns an address for a sentence. An ID is cut to its first eight digits.
pub(super) fn abbreviated(address: &Address) -> String {
    match address {
        Address::UnlistedIntegration(id) => format!("integration[{}]", id.abbreviated()),
        Address::Behavior(_) | Address::Integration(_) => shown(address),
    }
}

/// Returns the items of an account, the most severe first.
fn items(run: &Run, account: &AccountPlan, ids: Ids) -> Vec<Item> {
    let mut items = Vec::new();
    items.extend(
        account
            .error
            .iter()
            .map(|error| failure(account, error, ids)),
    );
    if run.format == Format::Apply {
        items.extend(super::apply::items(account));
    } else {
        let mut notes: Vec<&Note> = account.notes.iter().collect();
        items.extend(warnings(account, run.format == Format::Drift, &mut notes));
        items.extend(account.changes.iter().map(|change| {
            let facts = policies(&mut notes, &change.address);
            change_item(run, account, change, facts, ids)
        }));
        let unlisted = account.reported();
        let integrations = unlisted.filter(|one| one.address.kind() == Kind::Integration);
        items.extend(integrations.map(|one| {
            let who = facts(&one.attribution, run.created_at);
            unlisted_integration(run, account, &one.address, &one.fields, who, ids)
        }));
        items.extend(unlisted_behaviors(run, account));
        items.extend(notes.into_iter().map(note_item));
        items.extend(excluded(run.format, account));
    }
    items.extend(account.violations.iter().map(|one| violation(run, one)));
    if account.problems.is_none() {
        items.extend(account.errors.iter().map(|error| plan_error(error, ids)));
    }
    items.sort_by_key(|item| item.severity);
    items
}

/// Shortens the message of an API error: without request, request ID and what the API says about credentials.
pub(super) fn concise(message: &str) -> String {
    const KNOWN: [&str; 3] = [
        "permission denied",
        "authentication failed",
        "the account does not have",
    ];
    let mut message = message.replace('\n', "; ");
    if let Some((request, rest)) = message.split_once(": ")
        && let Some((method, path)) = request.split_once(' ')
        && matches!(method, "GET" | "POST" | "PUT" | "DELETE")
        && !path.contains(' ')
    {
        message = rest.to_owned();
    }
    if let Some((before, status)) = message.rsplit_once(" [status ") {
        let status = status.split([',', ']']).next().unwrap_or_default();
        let is_known = KNOWN.iter().any(|known| before.starts_with(known));
        message = match before.split_once(": ").filter(|_| is_known) {
            Some((cause, details)) => {
                let code = details.split_once("(code ").map(|(_, code)| code);
                let digits = code.and_then(|code| code.split(|c: char| !c.is_ascii_digit()).next());
                let code = digits
                    .map(|code| format!(", code {code}"))
                    .unwrap_or_default();
                format!("{cause} (HTTP {status}{code})")
            }
            None => format!("{before} (HTTP {status})"),
        };
    }
    shown(message)
}

fn failure(account: &AccountPlan, error: &AccountError, ids: Ids) -> Item {
    let masked = |text: String| match ids {
        Ids::Shown => text,
        Ids::Masked => text.replace(account.account_id.as_str(), "…"),
    };
    Item {
        severity: Severity::Failed,
        symbol: "!",
        label: "failed",
        sentence: masked(concise(&error.message)),
        help: error.help.as_ref().map(|help| masked(shown(help))),
        ..Item::default()
    }
}

fn violation(run: &Run, violation: &GuardViolation) -> Item {
    let GuardViolation {
        guard: _,
        address,
        reason,
        way_past,
    } = violation;
    let help = way_past.as_ref().map(|flag| match &run.commands.repeat {
        Some(command) => format!("{command} {flag}"),
        None => format!("plan again with {flag}"),
    });
    let sentence = match way_past {
        Some(_) => shown(reason),
        None => format!("{}. No flag overrides this", shown(reason)),
    };
    Item {
        severity: Severity::Blocked,
        symbol: "!",
        label: "blocked",
        title: address.as_ref().map(abbreviated).unwrap_or_default(),
        sentence,
        help,
        ..Item::default()
    }
}

fn plan_error(error: &PlanError, ids: Ids) -> Item {
    let mut message = shown(&error.message);
    if let (Some(location), Ids::Shown) = (&error.location, ids) {
        message.push_str(&format!(" ({}:{})", shown(&location.file), location.line));
    }
    let candidates = error.candidates.iter();
    let candidates: Vec<String> = match ids {
        Ids::Shown => candidates.map(|one| format!("  {}", shown(one))).collect(),
        Ids::Masked => Vec::new(),
    };
    let colon = if candidates.is_empty() { "" } else { ":" };
    let lines = std::iter::once(format!("{message}{colon}")).chain(candidates);
    Item {
        severity: Severity::Ambiguous,
        symbol: "!",
        label: error.kind.words(),
        title: shown(&error.address),
        status: error.kind.words().to_owned(),
        sentence: message.clone(),
        lines: lines.collect(),
        help: Some(match ids {
            Ids::Shown => shown(&error.help),
            Ids::Masked => masked_ids(&error.help),
        }),
        ..Item::default()
    }
}

/// Replaces UUIDs by `ID`.
fn masked_ids(text: &str) -> String {
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '-';
    let words = text.split_inclusive(|c| !is_word(c));
    let words = words.map(|word| match word.trim_end_matches(|c| !is_word(c)) {
        id if Uuid::parse_str(id).is_ok() => format!("ID{}", &word[id.len()..]),
        _ => word.to_owned(),
    });
    shown(words.collect::<String>())
}

/// Takes the warnings about levels that a plan leaves unassigned. They belong to the top, unless a guard blocks the plan for them.
fn warnings(account: &AccountPlan, is_drift: bool, notes: &mut Vec<&Note>) -> Vec<Item> {
    let is_blocked = account
        .violations
        .iter()
        .any(|one| one.guard == Guard::Policies);
    let is_taken = |note: &&Note| !is_drift && note.kind == NoteKind::LevelUnassigned;
    let taken = notes.extract_if(.., |note| is_taken(note));
    let items = taken.filter(|_| !is_blocked).map(|note| Item {
        severity: Severity::Weaker,
        label: "warning",
        sentence: shown(&note.message),
        ..Item::default()
    });
    items.collect()
}

/// Takes the notes about the policies that use the level of a behavior.
fn policies(notes: &mut Vec<&Note>, address: &Address) -> Vec<Fact> {
    let is_about = |note: &&Note| {
        matches!(
            note.kind,
            NoteKind::PoliciesAffected | NoteKind::LevelUnassigned
        ) && note.address.as_ref() == Some(address)
    };
    let taken = notes.extract_if(.., |note| is_about(note));
    taken.map(|note| Fact::new(shown(&note.message))).collect()
}

fn note_item(note: &Note) -> Item {
    Item {
        label: if note.warning { "warning" } else { "note" },
        sentence: shown(note),
        ..Item::default()
    }
}

fn excluded(format: Format, account: &AccountPlan) -> Option<Item> {
    let (noun, by) = match format {
        Format::Plan | Format::Apply => ("change", "--target"),
        Format::Drift => ("difference", "--target or --ignore"),
    };
    let excluded = account.excluded.len();
    (excluded > 0).then(|| Item {
        label: "note",
        sentence: format!("{} left out by {by}", pluralize(excluded, noun)),
        ..Item::default()
    })
}

fn change_item(
    run: &Run,
    account: &AccountPlan,
    change: &Change,
    policies: Vec<Fact>,
    ids: Ids,
) -> Item {
    let is_drift = run.format == Format::Drift;
    let who = facts(&change.attribution, run.created_at);
    if let (true, Kind::Integration) = (is_drift, change.kind)
        && let (Some(live), None) = (&change.before, &change.after)
    {
        return unlisted_integration(run, account, &change.address, live, who, ids);
    }
    let weakening = match is_drift {
        true => change.live_weaker,
        false => change.weakens,
    };
    let severity = match (weakening, change.action) {
        (Some(_), _) => Severity::Weaker,
        (None, Action::Create | Action::Replace | Action::Delete) => Severity::Integration,
        (None, Action::Update) => Severity::Change,
    };
    let (words, told) = drift_words(change);
    let fields: Vec<(&'static str, String)> = change
        .fields
        .iter()
        .filter(|field| is_shown(change, field) && !(is_drift && told.contains(&field.field)))
        .map(|field| {
            let value = field_value(account, change, field, is_drift, ids);
            (field.field.as_str(), value)
        })
        .collect();
    let list: Vec<String> = fields
        .iter()
        .map(|(name, value)| format!("{name} {value}"))
        .collect();
    let list = list.join(", ");
    let is_unlisted = matches!(change.address, Address::UnlistedIntegration(_));
    let (label, status, sentence) = match (is_drift, weakening) {
        (true, Some(_)) => ("weaker", format!("weaker: {words}"), sentence(&words)),
        (true, None) => ("", words.clone(), sentence(&words)),
        (false, Some(_)) if is_unlisted => (
            "weakens",
            "unlisted, weakens".to_owned(),
            change.action.to_string(),
        ),
        (false, Some(reason)) => ("weakens", "weakens".to_owned(), reason.shown().to_owned()),
        (false, None) => (change.action.as_str(), String::new(), String::new()),
    };
    Item {
        severity,
        symbol: symbol(change.action, is_drift),
        label,
        title: address(&change.address, ids),
        origin: origin(change, ids),
        status,
        sentence: match sentence.is_empty() || list.is_empty() {
            true => format!("{sentence}{list}"),
            false => format!("{sentence}: {list}"),
        },
        fields,
        facts: who.into_iter().chain(policies).collect(),
        ..Item::default()
    }
}

fn symbol(action: Action, is_drift: bool) -> &'static str {
    match (action, is_drift) {
        (Action::Create, false) | (Action::Delete, true) => "+",
        (Action::Update, _) => "~",
        (Action::Replace, _) => "±",
        (Action::Delete, false) | (Action::Create, true) => "-",
    }
}

fn address(address: &Address, ids: Ids) -> String {
    match (address, ids) {
        (Address::UnlistedIntegration(_), Ids::Masked) => "integration[ID]".to_owned(),
        (address, _) => shown(address),
    }
}

/// Returns the wildcard, or the live integration and how it was matched.
fn origin(change: &Change, ids: Ids) -> Option<String> {
    if let Some(DeclaredBy::Wildcard) = change.origin.declared_by {
        return Some(r#"by "*""#.to_owned());
    }
    let id = change.origin.integration_id.filter(|_| ids == Ids::Shown)?;
    let by = change.origin.matched_by?;
    Some(format!("{}, by {by}", id.abbreviated()))
}

/// Describes the live state of a changed resource, and returns the fields that the description includes.
fn drift_words(change: &Change) -> (String, Vec<Field>) {
    let find = |field| change.fields.iter().find(|change| change.field == field);
    let is_on = |value: &Option<FieldValue>| *value == Some(FieldValue::Bool(true));
    match (change.action, change.kind) {
        (Action::Create, _) => return ("missing".to_owned(), Vec::new()),
        (Action::Delete, _) => return ("unlisted".to_owned(), Vec::new()),
        (Action::Replace, _) => return ("of another type".to_owned(), Vec::new()),
        (Action::Update, Kind::Behavior) => {
            let word = |value| if is_on(value) { "on" } else { "off" };
            if let Some(enabled) = find(Field::Enabled) {
                let declared = match change.origin.location {
                    Some(_) => format!("declared {}", word(&enabled.after)),
                    None => "unlisted".to_owned(),
                };
                return (
                    format!("{}, {declared}", word(&enabled.before)),
                    vec![Field::Enabled],
                );
            }
            if let Some(level) = find(Field::RiskLevel) {
                let [live, declared] = [&level.before, &level.after].map(|one| value(one.as_ref()));
                return (
                    format!("{live}, declared {declared}"),
                    vec![Field::RiskLevel],
                );
            }
        }
        (Action::Update, Kind::Integration) => {
            if find(Field::TenantUrl).is_some() {
                return ("sends to another tenant".to_owned(), Vec::new());
            }
            if let Some(active) = find(Field::Active) {
                let words = match is_on(&active.before) {
                    true => "active, declared inactive",
                    false => "inactive, declared active",
                };
                return (words.to_owned(), vec![Field::Active]);
            }
            if find(Field::ReferenceId).is_some() {
                return ("has another reference".to_owned(), Vec::new());
            }
        }
    }
    ("differs".to_owned(), Vec::new())
}

/// Returns a description as the rest of a sentence.
fn sentence(words: &str) -> String {
    let is_verb = ["sends", "has", "differs"]
        .iter()
        .any(|verb| words.starts_with(verb));
    match is_verb {
        true => words.to_owned(),
        false => format!("is {words}"),
    }
}

/// Omits defaults of created resources: an unset reference and the only known type. Deleted resources are identified by tenant and
/// reference.
fn is_shown(change: &Change, field: &FieldChange) -> bool {
    match (change.action, field.field) {
        (Action::Create, Field::ReferenceId) => field.after.is_some(),
        (Action::Create, Field::IntegrationType) => {
            field.after != Some(FieldValue::Text(OKTA.into()))
        }
        (Action::Delete, field) => matches!(field, Field::TenantUrl | Field::ReferenceId),
        _ => true,
    }
}

fn value(value: Option<&FieldValue>) -> String {
    value.map_or_else(|| "(unset)".to_owned(), shown)
}

fn field_value(
    account: &AccountPlan,
    change: &Change,
    field: &FieldChange,
    is_drift: bool,
    ids: Ids,
) -> String {
    let masked = |one: Option<&FieldValue>, is_generated: &dyn Fn(&ReferenceId) -> bool| match one {
        Some(FieldValue::Reference(reference))
            if ids == Ids::Masked
                && Uuid::parse_str(reference.as_str()).is_ok()
                && is_generated(reference) =>
        {
            "generated".to_owned()
        }
        one => value(one),
    };
    let live = masked(field.before.as_ref(), &|_| true);
    let mut declared = masked(field.after.as_ref(), &|reference| {
        is_generated(account, change, reference)
    });
    let variables = field.variables.iter().map(|name| format!("${{{name}}}"));
    let sources: Vec<String> = field
        .identity_provider
        .iter()
        .cloned()
        .chain(variables)
        .collect();
    if !sources.is_empty() {
        declared.push_str(&format!("  ({})", shown(sources.join(", "))));
    }
    match (change.action, is_drift) {
        (Action::Create, _) => declared,
        (Action::Delete, _) => live,
        (Action::Update | Action::Replace, true) => format!("declared {declared}, live {live}"),
        (Action::Update | Action::Replace, false) => format!("{live} → {declared}"),
    }
}

fn is_generated(account: &AccountPlan, change: &Change, reference: &ReferenceId) -> bool {
    let Address::Integration(name) = &change.address else {
        return false;
    };
    let own = GeneratedReferences::of(&account.account_id, name).key();
    owner_key(reference) == Some(own)
}

/// Returns the item of an unlisted integration. An active one receives risk scores, so it comes with both ways to resolve it.
fn unlisted_integration(
    run: &Run,
    account: &AccountPlan,
    target: &Address,
    fields: &Fields,
    facts: Vec<Fact>,
    ids: Ids,
) -> Item {
    let tenant = shown(fields.shown(Field::TenantUrl));
    let item = Item {
        severity: Severity::Unlisted,
        symbol: "?",
        title: address(target, ids),
        ..Item::default()
    };
    if !fields.is_on(Field::Active) {
        return Item {
            status: format!("unlisted, inactive  {tenant}"),
            sentence: format!("{tenant} is unlisted and inactive"),
            ..item
        };
    }
    let id = match target {
        Address::UnlistedIntegration(id) => id.to_string(),
        Address::Behavior(_) | Address::Integration(_) => String::new(),
    };
    let arguments = &run.commands.arguments;
    let prefix = match run.accounts.len() {
        1 => String::new(),
        _ => format!("{}/", account.label()),
    };
    let name = name_from_host((fields.tenant_url()).map_or("", TenantUrl::normalized));
    Item {
        severity: Severity::Integration,
        label: UNLISTED_INTEGRATION,
        status: "unlisted, active: receives risk scores".to_owned(),
        sentence: format!("{tenant}, active: receives risk scores"),
        resolution: (run.format != Format::Apply).then(|| Resolution {
            delete: format!("riskform destroy{arguments} --target '{prefix}{target}'"),
            file: shown(&account.source),
            yaml: adoption(&name, &tenant, &id),
        }),
        lines: vec![tenant],
        facts,
        ..item
    }
}

/// Returns the lines of a file that adopt an integration.
fn adoption(name: &str, tenant: &str, id: &str) -> Vec<String> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || ":/.-_".contains(c);
    let tenant = match tenant.chars().all(is_plain) {
        true => tenant.to_owned(),
        false => serde_json::Value::from(tenant).to_string(),
    };
    vec![
        "integrations:".to_owned(),
        format!("  {name}:"),
        format!("    tenant_url: {tenant}"),
        format!("    id: {id}"),
    ]
}

/// Returns one item for all unlisted behaviors. A plan only counts them.
fn unlisted_behaviors(run: &Run, account: &AccountPlan) -> Option<Item> {
    let behaviors = account
        .reported()
        .filter(|one| one.address.kind() == Kind::Behavior);
    let behaviors: Vec<&UnlistedResource> = behaviors.collect();
    if behaviors.is_empty() || run.format != Format::Drift {
        return None;
    }
    let names = abbreviate_list(behaviors.iter().map(|one| unlisted_name(one)));
    let (first, rest) = behaviors.split_first()?;
    let is_shared = rest.iter().all(|one| one.attribution == first.attribution);
    let who = facts(&first.attribution, run.created_at)
        .into_iter()
        .filter(|_| is_shared);
    Some(Item {
        severity: Severity::Unlisted,
        symbol: "?",
        title: pluralize(behaviors.len(), "behavior"),
        status: format!("unlisted: {names}"),
        sentence: format!("unlisted: {names}"),
        facts: who.collect(),
        ..Item::default()
    })
}

/// Returns an unlisted resource with its settings, such as `imp_travel (on, high)`.
pub(super) fn unlisted_name(unlisted: &UnlistedResource) -> String {
    let fields = &unlisted.fields;
    match &unlisted.address {
        Address::Behavior(key) if fields.is_on(Field::Enabled) => {
            format!(
                "{} (on, {})",
                shown(key),
                shown(fields.shown(Field::RiskLevel))
            )
        }
        Address::Behavior(key) => format!("{} (off)", shown(key)),
        Address::Integration(_) | Address::UnlistedIntegration(_) => {
            let active = match fields.is_on(Field::Active) {
                true => "active",
                false => "inactive",
            };
            format!("{} ({active})", shown(fields.shown(Field::TenantUrl)))
        }
    }
}
