//! Drift as text: what is live against what is declared, the weaker first, totals last.

use std::fmt;

use crate::model::text::Visible;
use crate::plan::{AccountPlan, Run};
use crate::report::block::{Block, DriftTotals, blocks, happened, prefix};
use crate::report::fields::FieldLine;
use crate::report::style;

use super::parts::{
    account_error, account_heading, count, field_lines, left_out, note_lines, short, title,
};

/// How the live accounts differ from their files.
pub struct DriftText<'a>(pub &'a Run);

impl fmt::Display for DriftText<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let DriftText(document) = self;
        let several = document.accounts.len() > 1;
        for account in &document.accounts {
            match &account.error {
                // The failure of the only account is the error of the run, and is told as one.
                Some(_) if !several => {}
                Some(error) => {
                    account_heading(f, account)?;
                    account_error(f, error)?;
                }
                None if says_something(account) => {
                    account_heading(f, account)?;
                    account_drift(f, document, account)?;
                }
                None => {}
            }
        }
        totals(f, document)
    }
}

/// Says whether there is anything to show of an account beside that it is as declared.
fn says_something(account: &AccountPlan) -> bool {
    account.has_drift() || !account.notes.is_empty() || !account.left_out.is_empty()
}

fn account_drift(f: &mut fmt::Formatter<'_>, document: &Run, account: &AccountPlan) -> fmt::Result {
    for block in blocks(document, account) {
        drift_block(f, &block)?;
    }
    if account.has_drift() {
        writeln!(f)?;
    }
    note_lines(f, account)?;
    left_out(f, account, "difference", "--target or --ignore")
}

fn drift_block(f: &mut fmt::Formatter<'_>, block: &Block<'_>) -> fmt::Result {
    let (colour, remark) = match block.weakening {
        Some(_) => (style::ERROR, format!("weaker: {}", block.words)),
        None => (style::WARNING, block.words.to_owned()),
    };
    title(f, colour, block, &remark)?;
    field_lines(f, &block.fields, FieldLine::as_found)?;
    for sentence in &block.who {
        writeln!(f, "      {sentence}")?;
    }
    Ok(())
}

fn totals(f: &mut fmt::Formatter<'_>, document: &Run) -> fmt::Result {
    let totals = DriftTotals::of(document);
    let bold = style::HEADING;
    if !totals.is_clean() {
        let verb = if totals.differ == 1 {
            "differs"
        } else {
            "differ"
        };
        writeln!(
            f,
            "{bold}Drift:{bold:#} {} {verb}, {} unlisted. {} as declared.",
            totals.differ, totals.unlisted, totals.as_declared
        )?;
    } else if totals.failed < document.accounts.len() {
        write!(
            f,
            "{bold}No drift.{bold:#} {} as declared",
            totals.as_declared
        )?;
        if document.accounts.len() > 1 {
            let read = document.accounts.len() - totals.failed;
            write!(f, " in {}", count(read, "account"))?;
        }
        writeln!(f, ".")?;
    }
    weaker(f, document, totals.weaker)?;
    if totals.failed > 0 && document.accounts.len() > 1 {
        let red = style::ERROR;
        let failed = count(totals.failed, "account");
        writeln!(f, "{red}{failed} could not be compared.{red:#}")?;
    }
    Ok(())
}

fn weaker(f: &mut fmt::Formatter<'_>, document: &Run, total: usize) -> fmt::Result {
    if total == 0 {
        return Ok(());
    }
    let red = style::ERROR;
    let verb = if total == 1 { "protects" } else { "protect" };
    write!(f, "{red}{total} {verb} less than declared:{red:#} ")?;
    let mut separator = "";
    for account in &document.accounts {
        let label = prefix(document, account);
        for change in account
            .changes
            .iter()
            .filter(|change| change.live_weaker().is_some())
        {
            let address = short(change.address());
            let words = happened(change);
            write!(f, "{separator}{}{address} ({words})", Visible(&label))?;
            separator = ", ";
        }
    }
    writeln!(f, ".")
}
