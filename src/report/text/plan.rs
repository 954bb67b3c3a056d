//! A plan as text: one scannable line a field, and a last line of totals.

use std::fmt;

use crate::plan::{AccountPlan, Action, Change, Plan, Policy, UnlistedThing};
use crate::report::fields::{self, FieldLine};
use crate::report::style;
use crate::report::visible::Visible;

use super::parts::{account_error, count, field_lines, heading, note_line, short, title};

/// A whole plan; ends with a line of totals.
pub struct PlanText<'a>(pub &'a Plan);

impl fmt::Display for PlanText<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let PlanText(plan) = self;
        let several = plan.accounts.len() > 1;
        for account in &plan.accounts {
            match &account.result {
                Ok(planned) if several || says_something(planned) => {
                    heading(
                        f,
                        account.name.as_ref(),
                        &account.account_id,
                        &account.source,
                    )?;
                    account_plan(f, planned)?;
                }
                Ok(_) => {}
                // The failure of the only account is the error of the run, and is told as one.
                Err(_) if !several => {}
                Err(error) => {
                    heading(
                        f,
                        account.name.as_ref(),
                        &account.account_id,
                        &account.source,
                    )?;
                    account_error(f, error)?;
                }
            }
        }
        totals(f, plan)
    }
}

/// Says whether there is anything to show of an account beside that it matches.
fn says_something(plan: &AccountPlan) -> bool {
    !plan.is_empty()
        || !plan.notes.is_empty()
        || !plan.left_out.is_empty()
        || plan.unlisted.iter().any(reported)
}

fn reported(thing: &UnlistedThing) -> bool {
    match thing.policy {
        Policy::Report => true,
        Policy::Keep | Policy::Disable | Policy::Delete => false,
    }
}

fn account_plan(f: &mut fmt::Formatter<'_>, plan: &AccountPlan) -> fmt::Result {
    for change in &plan.changes {
        change_block(f, change)?;
    }
    for thing in plan.unlisted.iter().filter(|thing| reported(thing)) {
        unlisted_block(f, thing)?;
    }
    if plan.is_empty() {
        writeln!(f, "  no changes")?;
    }
    writeln!(f)?;
    for note in &plan.notes {
        note_line(f, note)?;
    }
    if !plan.left_out.is_empty() {
        let left_out = count(plan.left_out.len(), "change");
        writeln!(f, "  note: {left_out} left out by --target")?;
    }
    if !plan.notes.is_empty() || !plan.left_out.is_empty() {
        writeln!(f)?;
    }
    Ok(())
}

fn change_block(f: &mut fmt::Formatter<'_>, change: &Change) -> fmt::Result {
    let colour = style::of(change.action);
    let symbol = match change.action {
        Action::Create => "+",
        Action::Update => "~",
        Action::Replace => "±",
        Action::Delete => "-",
    };
    let remark = if change.weakens.is_some() {
        "weakens"
    } else {
        ""
    };
    title(f, colour, symbol, &change.address, remark)?;
    field_lines(
        f,
        &fields::lines(change.action, &change.fields),
        FieldLine::as_planned,
    )
}

fn unlisted_block(f: &mut fmt::Formatter<'_>, thing: &UnlistedThing) -> fmt::Result {
    title(f, style::DIM, "?", &thing.address, "unlisted")?;
    field_lines(f, &fields::unlisted(&thing.settings), FieldLine::as_planned)
}

fn totals(f: &mut fmt::Formatter<'_>, plan: &Plan) -> fmt::Result {
    let summary = plan.summary();
    let bold = style::HEADING;
    if plan.planned().all(AccountPlan::is_empty) {
        if summary.failed_accounts < plan.accounts.len() {
            let behaviors = plan.planned().map(|plan| plan.unchanged_behaviors).sum();
            let integrations = plan.planned().map(|plan| plan.unchanged_integrations).sum();
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
            if plan.accounts.len() > 1 {
                write!(f, " in {}", count(plan.planned().count(), "account"))?;
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
    weakening(f, plan, summary.weakening)?;
    refusals(f, plan)?;
    if summary.failed_accounts > 0 && plan.accounts.len() > 1 {
        let red = style::ERROR;
        let failed = count(summary.failed_accounts, "account");
        writeln!(f, "{red}{failed} failed.{red:#}")?;
    }
    Ok(())
}

fn weakening(f: &mut fmt::Formatter<'_>, plan: &Plan, total: usize) -> fmt::Result {
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
    for (account, plan) in planned_accounts(plan) {
        for change in &plan.changes {
            if let Some(reason) = change.weakens {
                write!(
                    f,
                    "{separator}{account}{} ({reason})",
                    short(&change.address)
                )?;
                separator = ", ";
            }
        }
    }
    writeln!(f, ".")
}

fn refusals(f: &mut fmt::Formatter<'_>, plan: &Plan) -> fmt::Result {
    let red = style::ERROR;
    for (account, plan) in planned_accounts(plan) {
        for refusal in &plan.refusals {
            write!(f, "{red}Refused{red:#} by {}: {account}", refusal.guard)?;
            if let Some(address) = &refusal.address {
                write!(f, "{}: ", short(address))?;
            }
            write!(f, "{}", Visible(&refusal.reason))?;
            match &refusal.way_past {
                Some(flag) => writeln!(f, "; {flag} permits it")?,
                None => writeln!(f, "; nothing overrides it")?,
            }
        }
    }
    Ok(())
}

/// Each planned account with what stands before an address: nothing for one account, `label/` in a fleet.
fn planned_accounts(plan: &Plan) -> impl Iterator<Item = (String, &AccountPlan)> {
    let several = plan.accounts.len() > 1;
    plan.planned().map(move |plan| {
        let label = if several {
            format!("{}/", plan.desired.label())
        } else {
            String::new()
        };
        (label, plan)
    })
}
