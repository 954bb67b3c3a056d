//! The items of an account: each change, unlisted resource, note, error and result in words.
//!
//! All texts are safe to print: invisible characters are escaped.

use std::collections::HashSet;

use serde::Serialize;
use uuid::Uuid;

use crate::config::export::name_from_host;
use crate::model::address::Address;
use crate::model::field::OKTA;
use crate::model::generated_reference::{GeneratedReferences, owner_key};
use crate::model::integration::TenantUrl;
use crate::model::text::{EscapeInvisible, abbreviate_list, pluralize};
use crate::plan::{
    AccountPlan, Action, Change, Field, FieldChange, FieldValue, Fields, Format, Guard,
    GuardViolation, Kind, Note, NoteKind, Operation, OperationKind, OperationOutcome, PlanError,
    Run, UnlistedResource,
};

use super::attribution::{Fact, facts};

/// A displayed item.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize)]
pub struct Item {
    pub severity: Severity,
    /// Empty for results of an apply and notes.
    pub symbol: &'static str,
    /// Kind of the item in one or two words, such as `weaker`. Empty for differences that need no emphasis.
    pub label: &'static str,
    /// Address of the resource and how it was matched. Empty for an item about the account.
    pub title: String,
    /// Text after the title.
    pub status: String,
    /// The item as the rest of a sentence that starts with the title.
    pub sentence: String,
    /// Fields and their values, or the tenant of an unlisted integration.
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

pub(super) const UNLISTED_INTEGRATION: &str = "unlisted integration";

impl Item {
    fn new(severity: Severity, label: &'static str, sentence: String) -> Self {
        Item {
            severity,
            label,
            sentence,
            ..Item::default()
        }
    }

    /// Returns true for the error of an account that could not be handled.
    pub(super) fn is_account_error(&self) -> bool {
        self.severity == Severity::Failed && self.symbol == "!"
    }

    /// Returns true for a result of an apply that is not done, other than a difference that verification found.
    pub(super) fn is_unfinished(&self) -> bool {
        self.severity == Severity::Failed && self.symbol.is_empty() && self.label != "problem"
    }

    /// Returns the subject of the sentence. The tenant of an unlisted integration says more than its ID.
    pub(super) fn subject(&self) -> &str {
        match self.lines.first() {
            Some(tenant) if self.label == UNLISTED_INTEGRATION => tenant,
            _ => &self.title,
        }
    }

    /// Returns an unlisted integration as one line.
    pub(super) fn listed(&self, prefix: &str) -> Item {
        let facts = self.facts.iter().map(|fact| &fact.text);
        let words: Vec<&str> = self.lines.iter().chain(facts).map(String::as_str).collect();
        Item {
            symbol: self.symbol,
            title: format!("{prefix}{}", self.title),
            status: words.join("  "),
            ..Item::new(self.severity, self.label, words.join(" "))
        }
    }

    /// Returns the item without the IDs, generated references and facts of its account, so that equal items of several accounts compare
    /// equal. Declared values stay.
    pub(super) fn masked(&self, run: &Run, generated: &HashSet<String>) -> Item {
        let ids = |text: &str| mask(text, "ID", |word| Uuid::parse_str(word).is_ok());
        let values = |text: &String| match self.severity {
            Severity::Failed | Severity::Note => ids(text),
            _ => mask(text, "generated", |word| generated.contains(word)),
        };
        let (sentence, lines) = match self.sentence.rsplit_once(" (") {
            // Locations and candidates differ.
            Some((message, _)) if self.severity == Severity::Ambiguous => {
                (message.to_owned(), vec![message.to_owned()])
            }
            _ => (
                values(&self.sentence),
                self.lines.iter().map(values).collect(),
            ),
        };
        let title = match self.title.split_once("…, ") {
            Some((start, by)) => format!(
                "{}{by}",
                start.trim_end_matches(|c: char| c.is_ascii_hexdigit())
            ),
            None => ids(&self.title),
        };
        let resolution = self.resolution.as_ref();
        Item {
            symbol: self.symbol,
            title,
            status: values(&self.status),
            lines,
            help: self.help.as_deref().map(ids),
            resolution: resolution.map(|_| Resolution::template(run)),
            ..Item::new(self.severity, self.label, sentence)
        }
    }
}

impl Resolution {
    fn new(run: &Run, account: &str, file: String, [name, tenant, address]: [&str; 3]) -> Self {
        let prefix = prefix(run, account);
        let arguments = &run.commands.arguments;
        let id = address.trim_start_matches("integration[");
        let is_plain = |c: char| c.is_ascii_alphanumeric() || ":/.-_".contains(c);
        let tenant = match tenant.chars().all(is_plain) {
            true => tenant.to_owned(),
            false => serde_json::Value::from(tenant).to_string(),
        };
        Resolution {
            delete: format!("riskform destroy{arguments} --target '{prefix}{address}'"),
            file,
            yaml: vec![
                "integrations:".to_owned(),
                format!("  {name}:"),
                format!("    tenant_url: {tenant}"),
                format!("    id: {}", id.trim_end_matches(']')),
            ],
        }
    }

    /// Returns both ways with placeholders, for several integrations.
    pub(super) fn template(run: &Run) -> Self {
        let file = "its file".to_owned();
        Resolution::new(run, "ACCOUNT", file, ["NAME", "URL", "integration[ID]"])
    }
}

/// Escapes invisible characters.
pub(super) fn shown(text: impl ToString) -> String {
    EscapeInvisible(&text.to_string()).to_string()
}

/// Returns the account in front of an address, unless it is the only one.
pub(super) fn prefix(run: &Run, account: &str) -> String {
    match run.accounts.len() {
        1 => String::new(),
        _ => format!("{account}/"),
    }
}

/// Returns an address for a sentence. An ID is cut to its first eight digits.
pub(super) fn abbreviated(address: &Address) -> String {
    match address {
        Address::UnlistedIntegration(id) => format!("integration[{}]", id.abbreviated()),
        Address::Behavior(_) | Address::Integration(_) => shown(address),
    }
}

/// Returns the generated references of an account.
pub(super) fn generated_references(account: &AccountPlan) -> HashSet<String> {
    let references = account.changes.iter().flat_map(|change| {
        let key = match &change.address {
            Address::Integration(name) => GeneratedReferences::of(&account.account_id, name).key(),
            Address::Behavior(_) | Address::UnlistedIntegration(_) => return Vec::new(),
        };
        let fields = [&change.before, &change.after].into_iter().flatten();
        let references = fields.filter_map(Fields::reference_id);
        let references = references.filter(|one| owner_key(one) == Some(key));
        references.map(ToString::to_string).collect()
    });
    references.collect()
}

/// Replaces each ID, or each word of a list.
fn mask(text: &str, placeholder: &str, is_masked: impl Fn(&str) -> bool) -> String {
    let is_separator = |c: char| !c.is_ascii_alphanumeric() && c != '-';
    let words = text.split_inclusive(is_separator);
    let words = words.map(|word| match word.trim_end_matches(is_separator) {
        id if is_masked(id) => format!("{placeholder}{}", &word[id.len()..]),
        _ => word.to_owned(),
    });
    words.collect()
}

/// Returns the items of an account, the most severe first.
pub(super) fn items(run: &Run, account: &AccountPlan) -> Vec<Item> {
    let mut items = match run.format {
        Format::Apply => results(account),
        Format::Plan | Format::Drift => differences(run, account),
    };
    items.extend(account.error.iter().map(|error| Item {
        symbol: "!",
        help: error.help.as_ref().map(shown),
        ..Item::new(Severity::Failed, "failed", concise(&error.message))
    }));
    items.extend(account.violations.iter().map(|one| violation(run, one)));
    if account.problems.is_none() {
        items.extend(account.errors.iter().map(plan_error));
    }
    items.sort_by_key(|item| item.severity);
    items
}

/// Returns the accounts that failed or have drift, the most severe first.
pub fn accounts_with_problems(run: &Run) -> Vec<&AccountPlan> {
    let accounts = run.accounts.iter();
    let accounts = accounts.filter(|account| account.error.is_some() || account.has_drift());
    let mut accounts: Vec<&AccountPlan> = accounts.collect();
    let severity = |account| items(run, account).first().map(|item| item.severity);
    accounts.sort_by_cached_key(|account| severity(account).unwrap_or_default());
    accounts
}

/// Shortens the message of an API error: without request, request ID and what the API says about credentials.
fn concise(message: &str) -> String {
    const KNOWN: [&str; 3] = [
        "permission denied",
        "authentication failed",
        "the account does not have",
    ];
    let message = message.replace('\n', "; ");
    let is_request = |text: &str| match text.split_once(' ') {
        Some(("GET" | "POST" | "PUT" | "DELETE", path)) => !path.contains(' '),
        _ => false,
    };
    let message = match message.split_once(": ") {
        Some((request, rest)) if is_request(request) => rest,
        _ => &message,
    };
    let Some((text, status)) = message.rsplit_once(" [status ") else {
        return shown(message);
    };
    let status = status.split([',', ']']).next().unwrap_or_default();
    match text.split_once(": ") {
        Some((cause, details)) if KNOWN.iter().any(|known| cause.starts_with(known)) => {
            let code = details.split_once("(code ");
            let code = code.and_then(|(_, code)| code.split([')', ',']).next());
            let code = code.map_or_else(String::new, |code| format!(", code {code}"));
            shown(format!("{cause} (HTTP {status}{code})"))
        }
        _ => shown(format!("{text} (HTTP {status})")),
    }
}

fn violation(run: &Run, violation: &GuardViolation) -> Item {
    let flag = violation.override_flag.as_ref();
    let end = match violation.reason.contains("limits") {
        _ if flag.is_some() => "",
        true => ". No flag overrides limits",
        false => ". No flag overrides this",
    };
    let address = violation.address.as_ref();
    Item {
        symbol: "!",
        title: address.map(abbreviated).unwrap_or_default(),
        help: flag.map(|flag| match &run.commands.repeat {
            Some(command) => format!("{command} {flag}"),
            None => format!("plan again with {flag}"),
        }),
        ..Item::new(Severity::Blocked, "blocked", shown(&violation.reason) + end)
    }
}

fn plan_error(error: &PlanError) -> Item {
    let location = error.location.as_ref();
    let location = location.map(|at| format!(" ({}:{})", shown(&at.file), at.line));
    let message = format!("{}{}", shown(&error.message), location.unwrap_or_default());
    let candidates = error.candidates.iter();
    let candidates = candidates.map(|one| format!("  {}", shown(one)));
    let colon = if candidates.len() == 0 { "" } else { ":" };
    Item {
        symbol: "!",
        title: shown(&error.address),
        status: error.kind.words().to_owned(),
        lines: std::iter::once(format!("{message}{colon}"))
            .chain(candidates)
            .collect(),
        help: Some(shown(&error.help)),
        ..Item::new(Severity::Ambiguous, error.kind.words(), message.clone())
    }
}

/// Returns the operations, problems and warnings of an apply.
fn results(account: &AccountPlan) -> Vec<Item> {
    let mut items: Vec<Item> = account.operations.iter().filter_map(operation).collect();
    let problems = account.problems.iter().flatten();
    items.extend(problems.map(|problem| {
        let is_difference = problem.contains("is not as applied");
        let help = "someone may have changed it since; riskform drift says who";
        Item {
            help: is_difference.then(|| help.to_owned()),
            ..Item::new(Severity::Failed, "problem", shown(problem))
        }
    }));
    // `destroy` skips entries that cannot be planned.
    let skipped = account.errors.iter().filter(|_| account.problems.is_some());
    items.extend(skipped.map(|error| Item {
        help: Some(shown(&error.help)),
        ..Item::new(Severity::Failed, "skipped", shown(error))
    }));
    let warnings = account.notes.iter();
    let warnings = warnings.filter(|note| note.kind.is_added_by_apply());
    items.extend(warnings.map(|note| Item::new(Severity::Change, "warning", shown(note))));
    items
}

fn operation(operation: &Operation) -> Option<Item> {
    let end = operation.end.as_ref()?;
    let addresses = abbreviate_list(operation.addresses.iter().map(shown));
    let verb = match operation.call {
        OperationKind::WriteBehaviors { .. } | OperationKind::Update { .. } => "update",
        OperationKind::Create { .. } => "create",
        OperationKind::Delete { .. } => "delete",
    };
    let label = match end.outcome {
        OperationOutcome::NotAttempted => "not attempted",
        outcome => outcome.as_str(),
    };
    if end.outcome == OperationOutcome::Done {
        let sentence = format!("{addresses} {verb}d");
        return Some(Item::new(Severity::Change, label, sentence));
    }
    let error = end.error.as_deref().unwrap_or_default();
    let error = concise(&error.replace("; it may have been applied", ""));
    let effect = match (end.outcome, verb) {
        (OperationOutcome::Unknown, "create") => "; it may exist",
        (OperationOutcome::Unknown, _) => "; it may have been applied",
        _ => "",
    };
    let sentence = format!("{verb} {addresses}: {error}{effect}");
    Some(Item {
        help: end.help.as_ref().map(shown),
        ..Item::new(Severity::Failed, label, sentence)
    })
}

/// Returns the changes, unlisted resources and notes of a plan or drift.
fn differences(run: &Run, account: &AccountPlan) -> Vec<Item> {
    let is_drift = run.format == Format::Drift;
    let mut violations = account.violations.iter();
    let is_blocked = violations.any(|one| one.guard == Guard::Policies);
    // Warnings about levels that a plan leaves unassigned belong to the top, unless a guard blocks the plan for them.
    let is_warning = |note: &&Note| !is_drift && note.kind == NoteKind::LevelUnassigned;
    let (warnings, mut notes): (Vec<_>, Vec<_>) = account.notes.iter().partition(is_warning);
    let warnings = warnings.into_iter().filter(|_| !is_blocked);
    let mut items: Vec<Item> = warnings
        .map(|note| Item::new(Severity::Weaker, "warning", shown(&note.message)))
        .collect();
    for change in &account.changes {
        let is_about_policies = |note: &mut &Note| {
            use NoteKind::{LevelUnassigned, PoliciesAffected};
            matches!(note.kind, PoliciesAffected | LevelUnassigned)
                && note.address.as_ref() == Some(&change.address)
        };
        let policies = notes.extract_if(.., is_about_policies);
        let policies = policies.map(|note| Fact::new(shown(&note.message)));
        let authors = facts(&change.attribution, run.created_at).into_iter();
        let facts = authors.chain(policies).collect();
        items.push(match (&change.address, &change.before) {
            (Address::UnlistedIntegration(_), Some(live)) if is_drift => {
                unlisted_integration(run, account, &change.address, live, facts)
            }
            _ => change_item(change, is_drift, facts),
        });
    }
    let is_behavior = |one: &&UnlistedResource| one.address.kind() == Kind::Behavior;
    let (behaviors, integrations): (Vec<_>, Vec<_>) = account.reported().partition(is_behavior);
    items.extend(integrations.into_iter().map(|one| {
        let authors = facts(&one.attribution, run.created_at);
        unlisted_integration(run, account, &one.address, &one.fields, authors)
    }));
    // A plan only counts unlisted behaviors.
    if let Some(first) = behaviors.first().filter(|_| is_drift) {
        let mut all = behaviors.iter();
        let is_shared = all.all(|one| one.attribution == first.attribution);
        let names = abbreviate_list(behaviors.iter().map(|one| unlisted_name(one)));
        let sentence = format!("unlisted: {names}");
        items.push(Item {
            symbol: "?",
            title: pluralize(behaviors.len(), "behavior"),
            status: sentence.clone(),
            facts: match is_shared {
                true => facts(&first.attribution, run.created_at),
                false => Vec::new(),
            },
            ..Item::new(Severity::Unlisted, "", sentence)
        });
    }
    items.extend(notes.into_iter().map(|note| {
        let label = if note.warning { "warning" } else { "note" };
        Item::new(Severity::Note, label, shown(note))
    }));
    if !account.excluded.is_empty() {
        let (noun, by) = match is_drift {
            true => ("difference", "--target or --ignore"),
            false => ("change", "--target"),
        };
        let excluded = pluralize(account.excluded.len(), noun);
        let sentence = format!("{excluded} left out by {by}");
        items.push(Item::new(Severity::Note, "note", sentence));
    }
    items
}

fn change_item(change: &Change, is_drift: bool, facts: Vec<Fact>) -> Item {
    let weakening = match is_drift {
        true => change.live_weaker,
        false => change.weakens,
    };
    let (severity, symbol) = match (change.action, is_drift) {
        (Action::Update, _) => (Severity::Change, "~"),
        (Action::Replace, _) => (Severity::Integration, "±"),
        (Action::Create, false) | (Action::Delete, true) => (Severity::Integration, "+"),
        (Action::Delete, false) | (Action::Create, true) => (Severity::Integration, "-"),
    };
    let severity = weakening.map_or(severity, |_| Severity::Weaker);
    let mut lines = field_lines(change);
    let fields = lines.iter().map(|line| line.split_whitespace());
    let fields = fields.map(|words| words.collect::<Vec<_>>().join(" "));
    let fields = fields.collect::<Vec<_>>().join(", ");
    let (label, status, sentence) = match (is_drift, weakening) {
        (true, _) => {
            let mut differences: Vec<String> = change.differences().iter().map(shown).collect();
            let sentence = differences.join("; ");
            let sentence = match change.action {
                Action::Create => format!("{sentence}: {fields}"),
                _ => {
                    lines = differences.split_off(1);
                    sentence
                }
            };
            let status = differences.concat();
            let status = status.trim_start_matches("is ");
            match weakening {
                Some(_) => ("weaker", format!("weaker: {status}"), sentence),
                None => ("", status.to_owned(), sentence),
            }
        }
        (false, Some(reason)) => {
            let status = match change.address {
                Address::UnlistedIntegration(_) => "unlisted, weakens",
                Address::Behavior(_) | Address::Integration(_) => "weakens",
            };
            let sentence = format!("{}: {fields}", reason.as_str());
            ("weakens", status.to_owned(), sentence)
        }
        (false, None) => (change.action.as_str(), String::new(), fields),
    };
    Item {
        symbol,
        title: title(change),
        status,
        lines,
        facts,
        ..Item::new(severity, label, sentence)
    }
}

/// Returns the address, and the wildcard or the live integration and how it was matched.
fn title(change: &Change) -> String {
    let address = shown(&change.address);
    let origin = &change.origin;
    match (origin.by_wildcard, origin.integration_id, origin.matched_by) {
        (true, _, _) => format!(r#"{address}  (by "*")"#),
        (false, Some(id), Some(by)) => format!("{address}  ({}, by {by})", id.abbreviated()),
        (false, _, _) => address,
    }
}

/// Returns the changed fields. Omits defaults of created resources: an unset reference and the only known type. Deleted resources are
/// identified by tenant and reference.
fn field_lines(change: &Change) -> Vec<String> {
    let is_shown = |field: &&FieldChange| match (change.action, field.field) {
        (Action::Create, Field::ReferenceId) => field.after.is_some(),
        (Action::Create, Field::IntegrationType) => {
            field.after != Some(FieldValue::Text(OKTA.into()))
        }
        (Action::Delete, field) => matches!(field, Field::TenantUrl | Field::ReferenceId),
        _ => true,
    };
    let fields = change.fields.iter().filter(is_shown);
    let width = fields.clone().map(|field| field.field.as_str().len() + 2);
    let width = width.fold(12, usize::max);
    let lines = fields.map(|field| {
        let [live, declared] = [&field.before, &field.after]
            .map(|value| value.as_ref().map_or_else(|| "(unset)".to_owned(), shown));
        let variables = field.variables.iter().map(|name| format!("${{{name}}}"));
        let sources = field.identity_provider.iter().cloned().chain(variables);
        let sources = match sources.collect::<Vec<_>>().join(", ") {
            sources if sources.is_empty() => sources,
            sources => format!("  ({})", shown(sources)),
        };
        let name = field.field;
        match change.action {
            Action::Create => format!("{name:width$}{declared}{sources}"),
            Action::Delete => format!("{name:width$}{live}"),
            Action::Update | Action::Replace => {
                format!("{name:width$}{live} → {declared}{sources}")
            }
        }
    });
    lines.collect()
}

/// Returns the item of an unlisted integration. An active one receives risk scores, so it comes with both ways to resolve it.
fn unlisted_integration(
    run: &Run,
    account: &AccountPlan,
    address: &Address,
    fields: &Fields,
    facts: Vec<Fact>,
) -> Item {
    let tenant = shown(fields.shown(Field::TenantUrl));
    let (symbol, title) = ("?", shown(address));
    if !fields.is_on(Field::Active) {
        let sentence = format!("is unlisted and inactive: {tenant}");
        return Item {
            symbol,
            title,
            status: format!("unlisted, inactive  {tenant}"),
            ..Item::new(Severity::Unlisted, "", sentence)
        };
    }
    let name = name_from_host(fields.tenant_url().map_or("", TenantUrl::normalized));
    let file = shown(&account.source);
    let entry = [name.as_str(), &tenant, &title];
    let sentence = ", active: receives risk scores".to_owned();
    Item {
        symbol,
        status: format!("unlisted{sentence}"),
        resolution: Some(Resolution::new(run, account.label(), file, entry)),
        title,
        lines: vec![tenant],
        facts,
        ..Item::new(Severity::Integration, UNLISTED_INTEGRATION, sentence)
    }
}

/// Returns an unlisted resource with its settings, such as `imp_travel (on, high)`.
pub(super) fn unlisted_name(unlisted: &UnlistedResource) -> String {
    let fields = &unlisted.fields;
    let value = |field| shown(fields.shown(field));
    match &unlisted.address {
        Address::Behavior(key) if fields.is_on(Field::Enabled) => {
            format!("{} (on, {})", shown(key), value(Field::RiskLevel))
        }
        Address::Behavior(key) => format!("{} (off)", shown(key)),
        _ if fields.is_on(Field::Active) => format!("{} (active)", value(Field::TenantUrl)),
        _ => format!("{} (inactive)", value(Field::TenantUrl)),
    }
}

/// Returns the URLs to paste into Okta, with the names of the integrations: created ones, and those with a new tenant.
pub(super) fn well_known_urls(run: &Run) -> Vec<(String, String)> {
    let mut urls = Vec::new();
    for account in &run.accounts {
        for change in &account.changes {
            let done = account.operations.iter().filter_map(|operation| {
                let end = operation.end.as_ref()?;
                let is_done = end.outcome == OperationOutcome::Done;
                (is_done && operation.address == change.address).then_some(end)
            });
            let done: Vec<_> = done.collect();
            let created = done.iter().find_map(|end| end.result.as_ref());
            let created = created.map(|created| (String::new(), &created.well_known_url));
            let url = created.or_else(|| {
                let mut fields = change.fields.iter().filter(|_| !done.is_empty());
                let tenant = fields.find(|change| change.field == Field::TenantUrl)?;
                let note = format!(" (now {})", shown(tenant.after.as_ref()?));
                let mut live = account.live.iter().flat_map(|live| &live.integrations);
                let live = live.find(|live| Some(live.id) == change.origin.integration_id)?;
                Some((note, &live.well_known_url))
            });
            let prefix = prefix(run, account.label());
            urls.extend(url.map(|(note, url)| {
                let name = format!("{prefix}{}{note}", shown(&change.address));
                (name, shown(url))
            }));
        }
    }
    urls
}
