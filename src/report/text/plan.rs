//! A plan as text: one scannable line a field, and a last line of totals.

use std::fmt;

use crate::model::text::Visible;
use crate::plan::{AccountPlan, Run};
use crate::report::block::{Block, blocks, prefix, refusal};
use crate::report::fields::FieldLine;
use crate::report::style;

use super::parts::{
    account_error, account_heading, count, field_lines, left_out, note_lines, short, title,
};

/// A whole plan; ends with a line of totals.
pub struct PlanText<'a>(pub &'a Run);

impl fmt::Display for PlanText<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let PlanText(run) = self;
        let several = run.accounts.len() > 1;
        for account in &run.accounts {
            match &account.error {
                None if several || says_something(account) => {
                    account_heading(f, account)?;
                    account_plan(f, run, account)?;
                }
                None => {}
                // The failure of the only account is the error of the run, and is told as one.
                Some(_) if !several => {}
                Some(error) => {
                    account_heading(f, account)?;
                    account_error(f, error)?;
                }
            }
        }
        totals(f, run)
    }
}

/// Says whether there is anything to show of an account beside that it matches.
fn says_something(account: &AccountPlan) -> bool {
    account.has_drift() || !account.notes.is_empty() || !account.left_out.is_empty()
}

fn account_plan(f: &mut fmt::Formatter<'_>, run: &Run, account: &AccountPlan) -> fmt::Result {
    for block in blocks(run, account) {
        change_block(f, &block)?;
    }
    if account.is_empty() {
        writeln!(f, "  no changes")?;
    }
    writeln!(f)?;
    note_lines(f, account)?;
    left_out(f, account, "change", "--target")
}

fn change_block(f: &mut fmt::Formatter<'_>, block: &Block<'_>) -> fmt::Result {
    let remark = match block.weakening {
        Some(_) => "weakens",
        None if block.change.is_none() => block.words,
        None => "",
    };
    title(f, block.style(), block, remark)?;
    field_lines(f, &block.fields, FieldLine::as_planned)
}

fn totals(f: &mut fmt::Formatter<'_>, run: &Run) -> fmt::Result {
    let summary = run.summary();
    let bold = style::HEADING;
    let handled = run.handled().count();
    if run.handled().all(AccountPlan::is_empty) {
        if handled > 0 {
            let behaviors = run.handled().map(|plan| plan.unchanged.behaviors).sum();
            let integrations = run.handled().map(|plan| plan.unchanged.integrations).sum();
            let verb = if behaviors + integrations == 1 {
                "matches"
            } else {
                "match"
            };
            write!(
                f,
                "{bold}No changes.{bold:#} {} and {} {verb}",
                count(behaviors, "behavior"),
                count(integrations, "integration"),
            )?;
            if run.accounts.len() > 1 {
                write!(f, " in {}", count(handled, "account"))?;
            }
            writeln!(f, ".")?;
        }
    } else {
        writeln!(
            f,
            "{bold}Plan:{bold:#} {} to create, {} to update, {} to replace, {} to delete. {} unchanged, {} unlisted.",
            summary.create,
            summary.update,
            summary.replace,
            summary.delete,
            summary.unchanged,
            summary.unlisted,
        )?;
    }
    weakening(f, run, summary.weakening)?;
    refusals(f, run)?;
    if summary.failed_accounts > 0 && run.accounts.len() > 1 {
        let red = style::ERROR;
        let failed = count(summary.failed_accounts, "account");
        writeln!(f, "{red}{failed} failed.{red:#}")?;
    }
    Ok(())
}

fn weakening(f: &mut fmt::Formatter<'_>, run: &Run, total: usize) -> fmt::Result {
    if total == 0 {
        return Ok(());
    }
    let yellow = style::WARNING;
    let verb = if total == 1 { "weakens" } else { "weaken" };
    write!(
        f,
        "{yellow}{} {verb} protection:{yellow:#} ",
        count(total, "change")
    )?;
    let mut separator = "";
    for account in run.handled() {
        let label = prefix(run, account);
        for change in &account.changes {
            if let Some(reason) = change.weakens() {
                let address = short(change.address());
                write!(f, "{separator}{label}{address} ({reason})")?;
                separator = ", ";
            }
        }
    }
    writeln!(f, ".")
}

fn refusals(f: &mut fmt::Formatter<'_>, run: &Run) -> fmt::Result {
    let red = style::ERROR;
    for account in run.handled() {
        let label = prefix(run, account);
        for one in &account.refusals {
            let sentence = refusal(&label, one);
            let guard = one.guard;
            writeln!(f, "{red}Refused{red:#} by {guard}: {}", Visible(&sentence))?;
        }
    }
    Ok(())
}
