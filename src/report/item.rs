//! The items of an account: each change, unlisted resource, note, error and result in words.
//!
//! All texts are safe to print: invisible characters are escaped.

use std::collections::HashMap;

use serde::Serialize;
use uuid::Uuid;

use crate::config::export::name_from_host;
use crate::model::address::Address;
use crate::model::field::OKTA;
use crate::model::generated_reference::{GeneratedReferences, owner_key};
use crate::model::integration::{ReferenceId, TenantUrl};
use crate::model::text::{EscapeInvisible, abbreviate_list, pluralize};
use crate::plan::{
    AccountPlan, Action, Change, DeclaredBy, Field, FieldChange, FieldValue, Fields, Format, Guard,
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
    /// Text beside the title.
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

    /// Returns the subject of the sentence. The tenant of an unlisted integration says more than its ID.
    pub(super) fn subject(&self) -> &str {
        match self.lines.first() {
            Some(tenant) if self.label == UNLISTED_INTEGRATION => tenant,
            _ => &self.title,
        }
    }

    /// Returns the item without the IDs and facts of its account, so that equal items of several accounts compare equal.
    pub(super) fn masked(&self, run: &Run, own: &HashMap<String, &'static str>) -> Item {
        let masked = |text: &String| mask(text, own);
        let mut item = Item {
            title: masked(&self.title).replace("(…, ", "("),
            status: masked(&self.status),
            sentence: masked(&self.sentence),
            lines: self.lines.iter().map(masked).collect(),
            help: self.help.as_ref().map(masked),
            resolution: self.resolution.as_ref().map(|_| Resolution::template(run)),
            ..Item::new(self.severity, self.label, String::new())
        };
        item.symbol = self.symbol;
        if item.severity == Severity::Ambiguous {
            // Locations and candidates differ.
            if let Some((message, _)) = self.sentence.rsplit_once(" (") {
                item.sentence = message.to_owned();
            }
            item.lines = vec![item.sentence.clone()];
        }
        item
    }
}

impl Resolution {
    fn new(run: &Run, account: &str, file: String, [name, tenant, id]: [&str; 3]) -> Self {
        let prefix = prefix(run, account);
        let arguments = &run.commands.arguments;
        let is_plain = |c: char| c.is_ascii_alphanumeric() || ":/.-_".contains(c);
        let tenant = match tenant.chars().all(is_plain) {
            true => tenant.to_owned(),
            false => serde_json::Value::from(tenant).to_string(),
        };
        Resolution {
            delete: format!("riskform destroy{arguments} --target '{prefix}integration[{id}]'"),
            file,
            yaml: vec![
                "integrations:".to_owned(),
                format!("  {name}:"),
                format!("    tenant_url: {tenant}"),
                format!("    id: {id}"),
            ],
        }
    }

    /// Returns both ways with placeholders, for several integrations.
    pub(super) fn template(run: &Run) -> Self {
        let file = "its file".to_owned();
        Resolution::new(run, "ACCOUNT", file, ["NAME", "URL", "ID"])
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

/// Returns the IDs and generated references of an account, with their placeholders in items of several accounts.
pub(super) fn own_ids(account: &AccountPlan) -> HashMap<String, &'static str> {
    let mut own = HashMap::from([(account.account_id.to_string(), "…")]);
    let unlisted = account
        .unlisted
        .iter()
        .filter_map(|one| match &one.address {
            Address::UnlistedIntegration(id) => Some(*id),
            Address::Behavior(_) | Address::Integration(_) => None,
        });
    let matched = account.changes.iter();
    let matched = matched.filter_map(|change| change.origin.integration_id);
    let candidates = account.errors.iter().flat_map(|error| &error.candidates);
    let ids = unlisted.chain(matched).chain(candidates.map(|one| one.id));
    for id in ids.map(|id| id.to_string()) {
        own.insert(id[..8].to_owned(), "");
        own.insert(id, "ID");
    }
    for change in &account.changes {
        let [live, declared] = [&change.before, &change.after]
            .map(|fields| fields.as_ref().and_then(Fields::reference_id));
        let declared = declared.filter(|one| is_generated(account, change, one));
        let references = live.into_iter().chain(declared);
        let references = references.filter(|one| Uuid::parse_str(one.as_str()).is_ok());
        own.extend(references.map(|one| (one.to_string(), "generated")));
    }
    own
}

fn is_generated(account: &AccountPlan, change: &Change, reference: &ReferenceId) -> bool {
    let Address::Integration(name) = &change.address else {
        return false;
    };
    let own = GeneratedReferences::of(&account.account_id, name).key();
    owner_key(reference) == Some(own)
}

fn mask(text: &str, own: &HashMap<String, &'static str>) -> String {
    let is_separator = |c: char| !c.is_ascii_alphanumeric() && c != '-';
    let words = text.split_inclusive(is_separator);
    let words = words.map(|word| {
        let id = word.trim_end_matches(is_separator);
        match own.get(id) {
            Some(placeholder) => format!("{placeholder}{}", &word[id.len()..]),
            None => word.to_owned(),
        }
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
        None if reason.contains("limits") => {
            format!("{}. No flag overrides limits", shown(reason))
        }
        None => format!("{}. No flag overrides this", shown(reason)),
    };
    Item {
        symbol: "!",
        title: address.as_ref().map(abbreviated).unwrap_or_default(),
        help,
        ..Item::new(Severity::Blocked, "blocked", sentence)
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
        OperationOutcome::Done => {
            let sentence = format!("{addresses} {verb}d");
            return Some(Item::new(Severity::Change, "done", sentence));
        }
        OperationOutcome::Failed => "failed",
        OperationOutcome::Unknown => "unknown",
        OperationOutcome::NotAttempted => "not attempted",
    };
    let error = concise(end.error.as_deref().unwrap_or_default());
    let sentence = format!("{verb} {addresses}: {error}");
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
    let (warnings, mut notes): (Vec<&Note>, Vec<&Note>) = account
        .notes
        .iter()
        .partition(|note| !is_drift && note.kind == NoteKind::LevelUnassigned);
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
    let (behaviors, integrations): (Vec<&UnlistedResource>, Vec<&UnlistedResource>) = account
        .reported()
        .partition(|one| one.address.kind() == Kind::Behavior);
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
    let fields = change.fields.iter().filter(|field| is_shown(change, field));
    let fields = fields.map(|field| (field.field.as_str(), field_value(change, field)));
    let fields: Vec<(&str, String)> = fields.collect();
    let width = fields.iter().map(|(name, _)| name.len() + 2);
    let width = width.fold(12, usize::max);
    let aligned = fields.iter();
    let aligned = aligned.map(|(name, value)| format!("{name:width$}{value}"));
    let mut lines: Vec<String> = aligned.collect();
    let list = fields.iter().map(|(name, value)| format!("{name} {value}"));
    let mut sentence = list.collect::<Vec<_>>().join(", ");
    let (label, status) = match (is_drift, weakening) {
        (true, _) => {
            let differences: Vec<String> = change.differences().iter().map(shown).collect();
            let mut parts = differences.iter();
            let mut parts = parts.by_ref().map(|one| one.trim_start_matches("is "));
            let first = parts.next().unwrap_or_default();
            if change.action == Action::Create {
                sentence = format!("is missing: {sentence}");
            } else {
                lines = parts.map(str::to_owned).collect();
                sentence = differences.join("; ");
            }
            match weakening {
                Some(_) => ("weaker", format!("weaker: {first}")),
                None => ("", first.to_owned()),
            }
        }
        (false, Some(reason)) => {
            sentence = format!("{}: {sentence}", reason.shown());
            let is_unlisted = matches!(change.address, Address::UnlistedIntegration(_));
            let unlisted = if is_unlisted { "unlisted, " } else { "" };
            ("weakens", format!("{unlisted}weakens"))
        }
        (false, None) => (change.action.as_str(), String::new()),
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
    match (origin.declared_by, origin.integration_id, origin.matched_by) {
        (Some(DeclaredBy::Wildcard), _, _) => format!(r#"{address}  (by "*")"#),
        (None, Some(id), Some(by)) => format!("{address}  ({}, by {by})", id.abbreviated()),
        (None, _, _) => address,
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

fn field_value(change: &Change, field: &FieldChange) -> String {
    let [live, mut declared] = [&field.before, &field.after]
        .map(|value| value.as_ref().map_or_else(|| "(unset)".to_owned(), shown));
    let variables = field.variables.iter().map(|name| format!("${{{name}}}"));
    let sources = field.identity_provider.iter().cloned().chain(variables);
    let sources: Vec<String> = sources.collect();
    if !sources.is_empty() {
        declared.push_str(&format!("  ({})", shown(sources.join(", "))));
    }
    match change.action {
        Action::Create => declared,
        Action::Delete => live,
        Action::Update | Action::Replace => format!("{live} → {declared}"),
    }
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
    let item = Item {
        symbol: "?",
        title: shown(address),
        ..Item::default()
    };
    if !fields.is_on(Field::Active) {
        return Item {
            severity: Severity::Unlisted,
            status: format!("unlisted, inactive  {tenant}"),
            sentence: format!("is unlisted and inactive: {tenant}"),
            ..item
        };
    }
    let name = name_from_host(fields.tenant_url().map_or("", TenantUrl::normalized));
    let id = item.title.trim_start_matches("integration[");
    let id = id.trim_end_matches(']').to_owned();
    let file = shown(&account.source);
    Item {
        severity: Severity::Integration,
        label: UNLISTED_INTEGRATION,
        status: "unlisted, active: receives risk scores".to_owned(),
        sentence: ", active: receives risk scores".to_owned(),
        resolution: Some(Resolution::new(
            run,
            account.label(),
            file,
            [&name, &tenant, &id],
        )),
        lines: vec![tenant],
        facts,
        ..item
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
