//! Plans and drift as a self-contained HTML page: no network, no script, light and dark, readable without color. In a fleet the most
//! severe account comes first, each account is folded, and unchanged accounts are one list of names.
//!
//! `page.html` is the markup, `style.css` the style and the status filters. This module provides the content. The template escapes all
//! values.

use jiff::Timestamp;
use minijinja::syntax::SyntaxConfig;
use minijinja::value::Serde;
use minijinja::{AutoEscape, Environment, UndefinedBehavior, Value};
use serde::Serialize;

use crate::plan::{AccountPlan, Format, Run, Weakening};

use super::display_item::{ChangeMarker, DisplayItem, Severity, blocks, gravest_first, refusal};
use super::field_lines::FieldLine;
use super::totals::{RunSummary, counts};
use crate::model::text::{EscapeInvisible, pluralize};

/// Maximum number of accounts shown unfolded.
const MAX_EXPANDED_ACCOUNTS: usize = 3;

#[derive(Serialize)]
struct Page<'a> {
    style: &'static str,
    title: String,
    heading: &'static str,
    /// Totals as a sentence.
    found: Option<String>,
    /// Counts of weakening changes, blocked plans and failures.
    concerns: Vec<String>,
    base_url: &'a str,
    created_at: String,
    version: &'a str,
    total: usize,
    filters: Vec<Filter>,
    /// Whether the accounts are unfolded.
    open: bool,
    /// Accounts with content, most severe first.
    accounts: Vec<Account<'a>>,
    /// Labels of the unchanged accounts.
    idle: Vec<&'a str>,
    idle_heading: String,
    idle_status: &'static str,
}

/// Filter by status.
#[derive(Serialize)]
struct Filter {
    class: &'static str,
    status: &'static str,
    accounts: usize,
}

#[derive(Serialize)]
struct Account<'a> {
    label: &'a str,
    account_id: &'a str,
    source: String,
    status: &'static str,
    class: &'static str,
    /// Summary of the account in one line.
    counts: String,
    error: Option<Failure>,
    violations: Vec<String>,
    blocks: Vec<Item>,
    notes: Vec<String>,
}

#[derive(Serialize)]
struct Failure {
    message: Vec<String>,
    help: Option<String>,
}

#[derive(Serialize)]
struct Item {
    symbol: &'static str,
    class: &'static str,
    address: String,
    /// Declaration or live integration.
    origin: Option<String>,
    words: &'static str,
    /// Weakening, if any.
    weakening: Option<String>,
    location: Option<String>,
    /// Message, candidates and help of an entry that cannot be planned.
    lines: Vec<String>,
    fields: Vec<Field>,
    /// Attribution.
    who: Vec<String>,
}

#[derive(Serialize)]
struct Field {
    name: &'static str,
    value: String,
}

/// Returns a plan or drift as a page.
pub(super) fn page(document: &Run) -> String {
    render(include_str!("page.html"), view(document))
}

/// Style shared by all pages.
pub(super) const STYLE: &str = include_str!("style.css");

/// Renders a template. All values are escaped.
pub(super) fn render(template: &str, shown: impl Serialize) -> String {
    let mut environment = Environment::new();
    environment.set_auto_escape_callback(|_| AutoEscape::Html);
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_syntax(
        SyntaxConfig::builder()
            .trim_blocks(true)
            .lstrip_blocks(true)
            .build()
            .expect("the usual delimiters do not clash"),
    );
    environment
        .render_str(template, Value::from(Serde(shown)))
        .expect("the template fits what it is given")
}

fn view(document: &Run) -> Page<'_> {
    let sentences = RunSummary::of(document);
    let sorted = gravest_first(document);
    let (idle, noteworthy): (Vec<_>, Vec<_>) = sorted
        .iter()
        .partition(|(gravity, _)| *gravity == Severity::Nothing);
    let (idle_status, _) = status(document.format, Severity::Nothing);
    let concerns = [sentences.weaker(), sentences.refused(), sentences.failed()];
    Page {
        style: STYLE,
        title: sentences.title(),
        heading: sentences.kind(),
        found: sentences
            .found()
            .map(|(heading, found)| match sentences.has_findings() {
                false => format!("{heading}. {found}"),
                true => found,
            }),
        concerns: concerns.into_iter().flatten().collect(),
        base_url: &document.base_url,
        created_at: moment(document.created_at),
        version: &document.riskform_version,
        total: document.accounts.len(),
        filters: filters(document.format, &sorted),
        open: noteworthy.len() <= MAX_EXPANDED_ACCOUNTS,
        accounts: noteworthy
            .into_iter()
            .map(|(gravity, account)| view_account(document, gravity, account))
            .collect(),
        idle_heading: pluralize(idle.len(), "account"),
        idle_status,
        idle: idle
            .into_iter()
            .map(|(_, account)| account.label())
            .collect(),
    }
}

/// Returns the present statuses, most severe first.
fn filters(format: Format, sorted: &[(Severity, &AccountPlan)]) -> Vec<Filter> {
    let mut filters: Vec<Filter> = Vec::new();
    for (gravity, _) in sorted {
        let (status, class) = status(format, *gravity);
        match filters.iter_mut().find(|filter| filter.class == class) {
            Some(filter) => filter.accounts += 1,
            None => filters.push(Filter {
                class,
                status,
                accounts: 1,
            }),
        }
    }
    filters
}

/// Returns the status of an account and its CSS class.
fn status(format: Format, gravity: Severity) -> (&'static str, &'static str) {
    let is_drift = format == Format::Drift;
    match gravity {
        Severity::Failed => ("failed", "failed"),
        Severity::Refused => ("blocked", "refused"),
        Severity::Ambiguous => ("ambiguous", "ambiguous"),
        Severity::Weaker if is_drift => ("weaker than declared", "weak"),
        Severity::Weaker => ("weakens protection", "weak"),
        Severity::Removes | Severity::Differs if is_drift => ("differs", "changed"),
        Severity::Removes | Severity::Differs => ("changes", "changed"),
        Severity::Said => ("notes", "noted"),
        Severity::Nothing if is_drift => ("as declared", "ok"),
        Severity::Nothing => ("no changes", "ok"),
    }
}

pub(super) fn moment(moment: Timestamp) -> String {
    moment.strftime("%Y-%m-%d %H:%M UTC").to_string()
}

fn view_account<'a>(run: &Run, gravity: Severity, account: &'a AccountPlan) -> Account<'a> {
    let format = run.format;
    let mut notes: Vec<String> = account
        .notes
        .iter()
        .map(|note| EscapeInvisible(&note.to_string()).to_string())
        .collect();
    if !account.excluded.is_empty() {
        notes.push(format!(
            "{} left out by choice",
            pluralize(account.excluded.len(), "address")
        ));
    }
    let (status, class) = status(format, gravity);
    Account {
        label: account.label(),
        account_id: account.account_id.as_str(),
        source: EscapeInvisible(&account.source).to_string(),
        status,
        class,
        counts: match &account.error {
            Some(error) => {
                EscapeInvisible(error.message.lines().next().unwrap_or_default()).to_string()
            }
            None => counts(format, account),
        },
        error: account.error.as_ref().map(|error| Failure {
            message: lines(&error.message),
            help: error
                .help
                .as_ref()
                .map(|help| EscapeInvisible(help).to_string()),
        }),
        violations: account
            .violations
            .iter()
            .map(|one| EscapeInvisible(&format!("{}: {}", one.guard, refusal("", one))).to_string())
            .collect(),
        blocks: blocks(run, account)
            .map(|block| view_block(format, block))
            .collect(),
        notes,
    }
}

fn view_block(format: Format, block: DisplayItem<'_>) -> Item {
    let value = match format {
        Format::Plan | Format::Apply => FieldLine::as_planned,
        Format::Drift => FieldLine::as_drift,
    };
    Item {
        symbol: block.mark.symbol(),
        class: match block.mark {
            ChangeMarker::Added => "added",
            ChangeMarker::Changed => "changed",
            ChangeMarker::Replaced | ChangeMarker::Removed => "removed",
            ChangeMarker::Unlisted => "unlisted",
            ChangeMarker::Ambiguous => "removed",
        },
        address: EscapeInvisible(&block.address.to_string()).to_string(),
        origin: block.origin,
        words: block.words,
        weakening: block.weakening.map(|reason| badge(format, reason)),
        location: block
            .location
            .map(|location| EscapeInvisible(&location.to_string()).to_string()),
        lines: block
            .lines
            .iter()
            .map(|line| EscapeInvisible(line).to_string())
            .collect(),
        who: block.who,
        fields: block
            .fields
            .iter()
            .map(|line| Field {
                name: line.field.as_str(),
                value: value(line),
            })
            .collect(),
    }
}

fn badge(format: Format, reason: Weakening) -> String {
    match format {
        Format::Plan | Format::Apply => format!("weakens: {reason}"),
        Format::Drift => "weaker than declared".to_owned(),
    }
}

fn lines(text: &str) -> Vec<String> {
    text.lines()
        .map(|line| EscapeInvisible(line).to_string())
        .collect()
}
