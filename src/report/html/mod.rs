//! Plans and drift as one self-contained page: no network, no script, light and dark, and nothing said by colour alone.
//!
//! `page.html` holds the markup and `style.css` the looks; here stands what they show. The template escapes whatever it is given.

use jiff::Timestamp;
use minijinja::syntax::SyntaxConfig;
use minijinja::value::Serde;
use minijinja::{AutoEscape, Environment, UndefinedBehavior, Value};
use serde::Serialize;

use crate::plan::{AccountPlan, Format, Run, Status, Weakening};

use super::block::{Block, DriftTotals, Mark, blocks, refusal};
use super::fields::FieldLine;
use super::text::count;
use crate::model::text::Visible;

#[derive(Serialize)]
struct Page<'a> {
    style: &'static str,
    title: &'static str,
    /// The totals as a sentence.
    sentence: String,
    /// The headings of the columns of values: of what is left behind, and of what is arrived at.
    columns: [&'static str; 2],
    /// The heading of the column that counts what asks for attention.
    attention: &'static str,
    base_url: &'a str,
    /// When the oldest of several merged results was written.
    oldest: Option<String>,
    created_at: String,
    version: &'a str,
    accounts: Vec<Account<'a>>,
}

#[derive(Serialize)]
struct Account<'a> {
    /// The anchor of its section; `None` where it has nothing to show.
    anchor: Option<String>,
    label: &'a str,
    account_id: &'a str,
    source: String,
    /// A word and a class: `ok`, `changed`, `weak` or `failed`.
    status: &'static str,
    class: &'static str,
    /// Whether it could be read, so that its numbers mean something.
    read: bool,
    changes: usize,
    weaker: usize,
    unlisted: usize,
    unchanged: usize,
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
    from: Option<String>,
    to: Option<String>,
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
    let (title, columns, attention) = match document.format {
        Format::Plan | Format::Apply => ("Plan", ["Live", "Planned"], "Weakening"),
        Format::Drift => ("Drift", ["Declared", "Live"], "Weaker"),
    };
    Page {
        style: STYLE,
        title,
        sentence: sentence(document),
        columns,
        attention,
        base_url: &document.base_url,
        oldest: document.oldest.map(moment),
        created_at: moment(document.created_at),
        version: &document.riskform_version,
        accounts: document
            .accounts
            .iter()
            .map(|account| view_account(document, account))
            .collect(),
    }
}

pub(super) fn moment(moment: Timestamp) -> String {
    moment.strftime("%Y-%m-%d %H:%M UTC").to_string()
}

fn sentence(document: &Run) -> String {
    let summary = document.summary();
    let mut parts = match document.format {
        Format::Plan | Format::Apply => vec![
            format!("{} to create", summary.create),
            format!("{} to update", summary.update),
            format!("{} to replace", summary.replace),
            format!("{} to delete", summary.delete),
            format!("{} unchanged", summary.unchanged),
        ],
        Format::Drift => {
            let totals = DriftTotals::of(document);
            vec![
                format!("{} different", totals.differ),
                format!("{} unlisted", totals.unlisted),
                format!("{} as declared", totals.as_declared),
            ]
        }
    };
    if summary.failed_accounts > 0 {
        parts.push(format!(
            "{} failed",
            count(summary.failed_accounts, "account")
        ));
    }
    parts.join(", ")
}

fn view_account<'a>(document: &Run, account: &'a AccountPlan) -> Account<'a> {
    let format = document.format;
    let blocks: Vec<Item> = blocks(document, account)
        .map(|block| view_block(format, block))
        .collect();
    let refusals: Vec<String> = account
        .refusals
        .iter()
        .map(|one| Visible(&format!("{}: {}", one.guard, refusal("", one))).to_string())
        .collect();
    let mut notes: Vec<String> = account
        .notes
        .iter()
        .map(|note| Visible(&note.to_string()).to_string())
        .collect();
    if !account.left_out.is_empty() {
        notes.push(format!(
            "{} left out by choice",
            count(account.left_out.len(), "change")
        ));
    }
    let weaker = blocks
        .iter()
        .filter(|block| block.weakening.is_some())
        .count();
    let idle = match format {
        Format::Plan | Format::Apply => account.changes.is_empty(),
        Format::Drift => !account.has_drift(),
    };
    let (status, class) = match (account.status, idle, format) {
        (Status::Error, _, _) => ("could not be compared", "failed"),
        (Status::Ok, true, Format::Plan | Format::Apply) => ("no changes", "ok"),
        (Status::Ok, true, Format::Drift) => ("as declared", "ok"),
        (Status::Ok, false, _) if !refusals.is_empty() => ("refused by a guard", "failed"),
        (Status::Ok, false, Format::Drift) if weaker > 0 => ("protects less than declared", "weak"),
        (Status::Ok, false, Format::Plan | Format::Apply) if weaker > 0 => {
            ("weakens protection", "weak")
        }
        (Status::Ok, false, Format::Drift) => ("differs", "changed"),
        (Status::Ok, false, Format::Plan | Format::Apply) => ("changes", "changed"),
    };
    let has_section = account.error.is_some() || !blocks.is_empty() || !notes.is_empty();
    Account {
        anchor: has_section.then(|| format!("account-{}", account.account_id)),
        label: account.label(),
        account_id: account.account_id.as_str(),
        source: Visible(&account.source).to_string(),
        status,
        class,
        read: account.error.is_none(),
        changes: account.changes.len(),
        weaker,
        unlisted: account.reported().count(),
        unchanged: account.unchanged.total(),
        error: account.error.as_ref().map(|error| Failure {
            message: lines(&error.message),
            help: error.help.as_ref().map(|help| Visible(help).to_string()),
        }),
        refusals,
        blocks,
        notes,
    }
}

fn view_block(format: Format, block: Block<'_>) -> Item {
    Item {
        symbol: block.mark.symbol(),
        class: match block.mark {
            Mark::Added => "added",
            Mark::Changed => "changed",
            Mark::Replaced | Mark::Removed => "removed",
            Mark::Unlisted => "unlisted",
        },
        address: Visible(&block.address.to_string()).to_string(),
        origin: block.origin,
        words: block.words,
        weakening: block.weakening.map(|reason| badge(format, reason)),
        location: block
            .location
            .map(|location| Visible(&location.to_string()).to_string()),
        who: block.who,
        fields: block
            .fields
            .into_iter()
            .map(|line| view_field(format, line))
            .collect(),
    }
}

fn badge(format: Format, reason: Weakening) -> String {
    match format {
        Format::Plan | Format::Apply => format!("weakens: {reason}"),
        Format::Drift => "weaker than declared".to_owned(),
    }
}

fn view_field(format: Format, line: FieldLine) -> Field {
    let FieldLine {
        field,
        live,
        declared,
    } = line;
    let (from, to) = match format {
        Format::Plan | Format::Apply => (live, declared),
        Format::Drift => (declared, live),
    };
    Field {
        name: field.as_str(),
        from,
        to,
    }
}

fn lines(text: &str) -> Vec<String> {
    text.lines().map(|line| Visible(line).to_string()).collect()
}
