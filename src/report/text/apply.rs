//! Apply result as text: failed and skipped operations, next steps, totals.

use std::fmt;

use crate::model::text::EscapeInvisible;
use crate::plan::{AccountPlan, Operation, OperationOutcome, Run};
use crate::report::display_item::{Severity, prefix};
use crate::report::style;
use crate::report::totals::RunSummary;

use super::grouped::grouped;
use super::items::{Item, Line, write_items};

/// Location of the `well_known_url` setting in the Okta console (`schema/api.md`, Integrations).
pub(in crate::report) const OKTA_CONSOLE_PATH: &str =
    "Security > Device Integrations > Receive shared signals > Create stream";

/// Returns the result of each account.
pub struct ApplyText<'a>(pub &'a Run);

impl fmt::Display for ApplyText<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ApplyText(run) = self;
        match run.accounts.as_slice() {
            [account] => {
                let items = items(account);
                if !items.is_empty() {
                    write_items(f, items.iter().map(Line::from), &mut |_| true)?;
                }
            }
            _ => grouped(f, run, items)?,
        }
        created(f, run)?;
        // An empty plan was already reported.
        let mut accounts = run.accounts.iter();
        if accounts.all(|account| account.problems.is_none()) {
            return Ok(());
        }
        let (heading, is_complete, done) = RunSummary::of(run).became();
        let style = match is_complete {
            true => style::SUCCESS,
            false => style::ERROR,
        };
        writeln!(f, "{style}{heading}:{style:#} {done}.")
    }
}

/// Writes the problems of an account.
fn items(account: &AccountPlan) -> Vec<Item> {
    let mut items: Vec<Item> = account.operations.iter().filter_map(outcome).collect();
    // Without an apply, the plan has shown them.
    if account.problems.is_some() {
        let errors = account.errors.iter();
        items.extend(
            errors.map(|error| problem(&format!("skipped {error}"), Some(error.help.clone()))),
        );
    }
    let yellow = style::WARNING;
    for note in &account.notes {
        // The other notes were shown with the plan.
        if note.kind.is_added_by_apply() {
            let note = note.to_string();
            items.push(Item::new(Severity::Differs, |f| {
                writeln!(f, "  {yellow}warning{yellow:#}: {}", EscapeInvisible(&note))
            }));
        }
    }
    let problems = account.problems.iter().flatten();
    items.extend(problems.map(|text| problem(text, None)));
    items
}

fn outcome(operation: &Operation) -> Option<Item> {
    let end = operation.end.as_ref()?;
    let Operation { id, address, .. } = operation;
    let error = end.error.as_deref().unwrap_or_default();
    let help = end.help.clone();
    let told = |what: &str| format!("{address}: operation {id} {what}: {error}");
    match end.outcome {
        OperationOutcome::Done => None,
        OperationOutcome::Failed => Some(problem(&told("failed"), help)),
        OperationOutcome::Unknown => Some(problem(&told("may have been applied"), help)),
        OperationOutcome::NotAttempted => {
            let yellow = style::WARNING;
            let text = format!("{address}: operation {id}: {error}");
            Some(Item::new(Severity::Failed, |f| {
                writeln!(
                    f,
                    "  {yellow}not attempted{yellow:#}: {}",
                    EscapeInvisible(&text)
                )
            }))
        }
    }
}

fn problem(text: &str, help: Option<String>) -> Item {
    let red = style::ERROR;
    Item {
        help,
        ..Item::new(Severity::Failed, |f| {
            writeln!(f, "  {red}error{red:#}: {}", EscapeInvisible(text))
        })
    }
}

/// Returns the next step for created integrations, once for all.
fn created(f: &mut fmt::Formatter<'_>, run: &Run) -> fmt::Result {
    let mut made: Vec<(String, &str)> = Vec::new();
    for account in &run.accounts {
        let label = prefix(run, account);
        for operation in &account.operations {
            let result = operation.end.as_ref().and_then(|end| end.result.as_ref());
            let name = format!("{label}{}", operation.address);
            made.extend(result.map(|result| (name, result.well_known_url.as_str())));
        }
    }
    let which = match made.len() {
        0 => return Ok(()),
        1 => "the",
        _ => "each",
    };
    let names = made.iter().map(|(name, _)| name.chars().count());
    let width = names.max().unwrap_or_default();
    let bold = style::HEADING;
    writeln!(
        f,
        "Paste {which} well_known_url into Okta: {OKTA_CONSOLE_PATH}.\n"
    )?;
    for (name, url) in made {
        let name = EscapeInvisible(&name).to_string();
        writeln!(f, "  {name:width$}  {bold}{}{bold:#}", EscapeInvisible(url))?;
    }
    writeln!(f)
}
