//! Plans and drift as one self-contained page: no network, no script, light and dark, and nothing said by color alone. A fleet reads from the
//! top, as everywhere: the gravest account first, each folded, and accounts as declared as one list of names.
//!
//! `page.html` holds the markup and `style.css` the looks, with the filters by status; here stands what they show. The template escapes
//! whatever it is given.

use jiff::Timestamp;
use minijinja::syntax::SyntaxConfig;
use minijinja::value::Serde;
use minijinja::{AutoEscape, Environment, UndefinedBehavior, Value};
use serde::Serialize;

use crate::plan::{AccountPlan, Format, Run, Weakening};

use super::display_item::{ChangeMarker, DisplayItem, Severity, blocks, gravest_first, refusal};
use super::field_lines::FieldLine;
use super::totals::{RunSummary, counts};
use crate::model::text::{EscapeInvisible, count};

/// As many accounts are read at a glance; more are folded.
const MAX_EXPANDED_ACCOUNTS: usize = 3;

#[derive(Serialize)]
struct Page<'a> {
    style: &'static str,
    title: String,
    heading: &'static str,
    /// The totals as a sentence.
    found: Option<String>,
    /// What weakens, was refused or failed, in numbers.
    concerns: Vec<String>,
    base_url: &'a str,
    /// When the oldest of several merged results was written.
    oldest: Option<String>,
    created_at: String,
    version: &'a str,
    total: usize,
    filters: Vec<Filter>,
    /// Whether the accounts are unfolded.
    open: bool,
    /// Those that have something to show, the gravest first.
    accounts: Vec<Account<'a>>,
    /// Those that have not, by their labels.
    idle: Vec<&'a str>,
    idle_heading: String,
    idle_status: &'static str,
}

/// A way to see only the accounts of one status.
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
    /// In a line, what it has to show.
    counts: String,
    error: Option<Failure>,
    refusals: Vec<String>,
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
    /// What declares it, or which live integration it is.
    origin: Option<String>,
    words: &'static str,
    /// Why it asks for attention.
    weakening: Option<String>,
    location: Option<String>,
    fields: Vec<Field>,
    /// Who made it so.
    who: Vec<String>,
}

#[derive(Serialize)]
struct Field {
    name: &'static str,
    value: String,
}

/// A plan or drift as a page.
pub(super) fn page(document: &Run) -> String {
    render(include_str!("page.html"), view(document))
}

/// The looks that all pages share.
pub(super) const STYLE: &str = include_str!("style.css");

/// A template, filled with what it shows. Whatever that holds is escaped.
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
            .map(|(heading, found)| match sentences.totals.changed_accounts {
                0 => format!("{heading}. {found}"),
                _ => found,
            }),
        concerns: concerns.into_iter().flatten().collect(),
        base_url: &document.base_url,
        oldest: document.oldest.map(moment),
        created_at: moment(document.created_at),
        version: &document.riskform_version,
        total: document.accounts.len(),
        filters: filters(document.format, &sorted),
        open: noteworthy.len() <= MAX_EXPANDED_ACCOUNTS,
        accounts: noteworthy
            .into_iter()
            .map(|(gravity, account)| view_account(document, gravity, account))
            .collect(),
        idle_heading: count(idle.len(), "account"),
        idle_status,
        idle: idle
            .into_iter()
            .map(|(_, account)| account.label())
            .collect(),
    }
}

/// The statuses that there are, the gravest first.
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

/// How an account stands, and the class of it.
fn status(format: Format, gravity: Severity) -> (&'static str, &'static str) {
    let is_drift = format == Format::Drift;
    match gravity {
        Severity::Failed => ("failed", "failed"),
        Severity::Refused => ("refused", "refused"),
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
    if !account.left_out.is_empty() {
        notes.push(format!(
            "{} left out by choice",
            count(account.left_out.len(), "address")
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
        refusals: account
            .refusals
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
        },
        address: EscapeInvisible(&block.address.to_string()).to_string(),
        origin: block.origin,
        words: block.words,
        weakening: block.weakening.map(|reason| badge(format, reason)),
        location: block
            .location
            .map(|location| EscapeInvisible(&location.to_string()).to_string()),
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
