//! Plan or drift as text: one line per field, totals last. In a fleet the most severe accounts come first, content shared by several
//! accounts is shown once, and unchanged accounts are only counted.

use std::fmt;

use crate::model::text::EscapeInvisible;
use crate::plan::{AccountPlan, Format, Run};
use crate::report::DetailLevel;
use crate::report::display_item::{gravest_first, refusal};
use crate::report::style;
use crate::report::totals::RunSummary;

use super::grouped::grouped;
use super::items::{Line, items, write_items};
use super::layout::account_heading;

/// Returns a plan or drift.
pub struct RunText<'a>(pub &'a Run, pub DetailLevel);

impl fmt::Display for RunText<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let RunText(run, detail) = self;
        match (run.accounts.as_slice(), detail) {
            ([account], DetailLevel::Grouped | DetailLevel::Expanded) => alone(f, run, account)?,
            (_, DetailLevel::Expanded) => write_each_account(f, run)?,
            (_, DetailLevel::Grouped) => grouped(f, run, |account| items(run, account))?,
        }
        totals(f, run)
    }
}

fn alone(f: &mut fmt::Formatter<'_>, run: &Run, account: &AccountPlan) -> fmt::Result {
    let items = items(run, account);
    if items.is_empty() {
        return Ok(());
    }
    account_heading(f, account)?;
    write_items(f, items.iter().map(Line::from), &mut |_| true)
}

fn write_each_account(f: &mut fmt::Formatter<'_>, run: &Run) -> fmt::Result {
    let accounts = gravest_first(run).into_iter();
    accounts
        .map(|(_, account)| account)
        .try_for_each(|account| alone(f, run, account))
}

fn totals(f: &mut fmt::Formatter<'_>, run: &Run) -> fmt::Result {
    let sentences = RunSummary::of(run);
    let (bold, red) = (style::HEADING, style::ERROR);
    match sentences.found() {
        Some((heading, found)) if sentences.has_findings() => {
            writeln!(f, "{bold}{heading}:{bold:#} {found}.")?;
        }
        Some((heading, found)) if found.is_empty() => writeln!(f, "{bold}{heading}.{bold:#}")?,
        Some((heading, found)) => writeln!(f, "{bold}{heading}.{bold:#} {found}.")?,
        None => {}
    }
    if let Some(weaker) = sentences.weaker() {
        let style = match run.format {
            Format::Plan | Format::Apply => style::WARNING,
            Format::Drift => red,
        };
        let names = sentences.weaker_names();
        writeln!(f, "{style}{weaker}:{style:#} {names}.")?;
    }
    if let [account] = run.accounts.as_slice() {
        return violations(f, account);
    }
    for concern in [
        sentences.ambiguous(),
        sentences.refused(),
        sentences.failed(),
    ]
    .into_iter()
    .flatten()
    {
        writeln!(f, "{red}{concern}.{red:#}")?;
    }
    Ok(())
}

fn violations(f: &mut fmt::Formatter<'_>, account: &AccountPlan) -> fmt::Result {
    let red = style::ERROR;
    account.violations.iter().try_for_each(|one| {
        let (guard, sentence) = (one.guard, refusal("", one));
        writeln!(
            f,
            "{red}Blocked{red:#} by {guard}: {}",
            EscapeInvisible(&sentence)
        )
    })
}
