//! A plan as text: one scannable line a field, and a last line of totals.

use std::fmt::{self, Display};

use serde_json::Value;

use crate::model::address::Address;
use crate::model::integration::IntegrationType;
use crate::plan::{
    AccountError, AccountPlan, Action, Change, Field, FieldChange, Note, Plan, PlannedAccount,
    Policy, UnlistedSettings, UnlistedThing,
};
use crate::report::style;
use crate::report::visible::Visible;

/// Where a word such as `weakens` stands, in columns from the left.
const REMARK_COLUMN: usize = 59;
/// How wide the names of fields are at least.
const FIELD_WIDTH: usize = 14;

/// A whole plan; ends with a line of totals.
pub struct PlanText<'a>(pub &'a Plan);

impl fmt::Display for PlanText<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let PlanText(plan) = self;
        let several = plan.accounts.len() > 1;
        for account in &plan.accounts {
            match &account.result {
                Ok(planned) if several || says_something(planned) => {
                    heading(f, account)?;
                    account_plan(f, planned)?;
                }
                Ok(_) => {}
                // The failure of the only account is the error of the run, and is told as one.
                Err(_) if !several => {}
                Err(error) => {
                    heading(f, account)?;
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

fn heading(f: &mut fmt::Formatter<'_>, account: &PlannedAccount) -> fmt::Result {
    let bold = style::HEADING;
    match &account.name {
        Some(name) => write!(
            f,
            "{bold}{name}{bold:#} ({})",
            account.account_id.abbreviated()
        )?,
        None => write!(f, "{bold}{}{bold:#}", account.account_id)?,
    }
    writeln!(f, "  {}\n", Visible(&account.source))
}

fn account_error(f: &mut fmt::Formatter<'_>, error: &AccountError) -> fmt::Result {
    let red = style::ERROR;
    let mut lines = error.message.lines();
    writeln!(
        f,
        "  {red}error{red:#}: {}",
        Visible(lines.next().unwrap_or_default())
    )?;
    for line in lines {
        writeln!(f, "    {}", Visible(line))?;
    }
    if let Some(help) = &error.help {
        writeln!(f, "  help: {}", Visible(help))?;
    }
    writeln!(f)
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
    let fields: Vec<&FieldChange> = change
        .fields
        .iter()
        .filter(|field| worth_a_line(change.action, field))
        .collect();
    let width = fields
        .iter()
        .map(|field| field.field.as_str().len() + 2)
        .fold(FIELD_WIDTH, usize::max);
    for FieldChange {
        field,
        before,
        after,
    } in fields
    {
        write!(f, "      {field:width$}")?;
        match change.action {
            Action::Create => value(f, after)?,
            Action::Delete => value(f, before)?,
            Action::Update | Action::Replace => {
                value(f, before)?;
                f.write_str(" → ")?;
                value(f, after)?;
            }
        }
        writeln!(f)?;
    }
    Ok(())
}

/// Leaves out what goes without saying: unset references and the only known type of what comes or goes, and all of what goes but the
/// tenant that tells a person which one it is.
fn worth_a_line(action: Action, change: &FieldChange) -> bool {
    let present = match action {
        Action::Update | Action::Replace => return true,
        Action::Create => &change.after,
        Action::Delete => &change.before,
    };
    match change.field {
        Field::TenantUrl | Field::Enabled | Field::RiskLevel => true,
        Field::ReferenceId | Field::Active => action == Action::Create && !present.is_null(),
        Field::IntegrationType => present != IntegrationType::Okta.as_str(),
    }
}

fn unlisted_block(f: &mut fmt::Formatter<'_>, thing: &UnlistedThing) -> fmt::Result {
    title(f, style::DIM, "?", &thing.address, "unlisted")?;
    match &thing.settings {
        UnlistedSettings::Behavior(behavior) => {
            let state = if behavior.enabled { "on" } else { "off" };
            let level = behavior.risk_level.to_string();
            writeln!(
                f,
                "      {:FIELD_WIDTH$}{}, {state}",
                Field::RiskLevel,
                Visible(&level)
            )
        }
        UnlistedSettings::Integration(integration) => writeln!(
            f,
            "      {:FIELD_WIDTH$}{}",
            Field::TenantUrl,
            Visible(integration.tenant_url.as_str())
        ),
    }
}

fn title(
    f: &mut fmt::Formatter<'_>,
    colour: anstyle::Style,
    symbol: &str,
    address: &Address,
    remark: &str,
) -> fmt::Result {
    let address = address.to_string();
    let address = Visible(&address).to_string();
    write!(f, "  {colour}{symbol}{colour:#} {address}")?;
    if remark.is_empty() {
        return writeln!(f);
    }
    let yellow = style::WARNING;
    let gap = REMARK_COLUMN
        .saturating_sub(4 + address.chars().count())
        .max(2);
    writeln!(f, "{:gap$}{yellow}{remark}{yellow:#}", "")
}

fn value(f: &mut fmt::Formatter<'_>, value: &Value) -> fmt::Result {
    match value {
        Value::Null => f.write_str("(unset)"),
        Value::String(text) => Visible(text).fmt(f),
        other => other.fmt(f),
    }
}

fn note_line(f: &mut fmt::Formatter<'_>, note: &Note) -> fmt::Result {
    let text = note.to_string();
    match note {
        Note::Expired { .. } | Note::PinGone { .. } => {
            let yellow = style::WARNING;
            writeln!(f, "  {yellow}warning{yellow:#}: {}", Visible(&text))
        }
        Note::Ignored { .. } | Note::ExportsForAMoment { .. } | Note::LevelRaised { .. } => {
            writeln!(f, "  note: {}", Visible(&text))
        }
    }
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
            Visible(&refusal.reason).fmt(f)?;
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

/// An address for a sentence: an id is cut to its first eight digits.
fn short(address: &Address) -> String {
    match address {
        Address::UnlistedIntegration(id) => {
            format!("integration[{}…]", &id.to_string()[..8])
        }
        Address::Behavior(_) | Address::Integration(_) => Visible(&address.to_string()).to_string(),
    }
}

/// A number and its noun: `1 change`, `2 changes`.
pub fn count(number: usize, noun: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {noun}{plural}")
}
