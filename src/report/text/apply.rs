//! What became of a plan, as text: what failed and was not attempted by name, what to do with what was created, totals last.

use std::fmt;

use crate::apply::{Applied, Executed, Outcome};
use crate::plan::{AccountPlan, Action, Operation, Plan};
use crate::report::style;
use crate::report::visible::Visible;

use super::count;

/// Where the `well_known_url` goes, in the words of Okta's console (`contract.md`, Integrations).
const WHERE_TO_PASTE: &str =
    "Security > Device Integrations > Receive shared signals > Create stream";

/// What became of each account's plan. `applied` stands in the order of the plan's accounts; `None` is an account that was not touched.
pub struct ApplyText<'a> {
    /// What was to be done.
    pub plan: &'a Plan,
    /// What was.
    pub applied: &'a [Option<Applied>],
}

impl fmt::Display for ApplyText<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut totals = Totals::default();
        for (account, applied) in self.plan.accounts.iter().zip(self.applied) {
            let (Ok(plan), Some(applied)) = (&account.result, applied) else {
                continue;
            };
            let label = match self.plan.accounts.len() {
                1 => String::new(),
                _ => format!("{}/", plan.desired.label()),
            };
            for (operation, executed) in plan.operations.iter().zip(&applied.executed) {
                outcome(f, &label, operation, executed)?;
            }
            for text in applied.problems() {
                problem(f, &format!("{label}{text}"), None)?;
            }
            totals.add(plan, applied);
        }
        // Where nothing was to be done, the plan has said so.
        if self.applied.iter().all(Option::is_none) {
            return Ok(());
        }
        totals.fmt(f)
    }
}

fn outcome(
    f: &mut fmt::Formatter<'_>,
    label: &str,
    operation: &Operation,
    executed: &Executed,
) -> fmt::Result {
    let address = operation.address.to_string();
    match &executed.outcome {
        Outcome::Done(done) => {
            let Some(made) = &done.made else {
                return Ok(());
            };
            let bold = style::HEADING;
            writeln!(
                f,
                "{label}{} is created. Paste its well_known_url",
                Visible(&address)
            )?;
            writeln!(f, "    {bold}{}{bold:#}", Visible(&made.well_known_url))?;
            writeln!(f, "  into Okta: {WHERE_TO_PASTE}.\n")
        }
        Outcome::Failed(failure) => {
            let text = format!(
                "{label}{address}: operation {} failed: {failure}",
                operation.id
            );
            problem(f, &text, failure.help().as_deref())
        }
        Outcome::NotAttempted(reason) => {
            let yellow = style::WARNING;
            writeln!(
                f,
                "{yellow}not attempted{yellow:#}: {label}{}: operation {}: {reason}",
                Visible(&address),
                operation.id
            )
        }
    }
}

pub(super) fn problem(f: &mut fmt::Formatter<'_>, text: &str, help: Option<&str>) -> fmt::Result {
    let red = style::ERROR;
    writeln!(f, "{red}error{red:#}: {}", Visible(text))?;
    match help {
        Some(help) => writeln!(f, "  help: {}", Visible(help)),
        None => Ok(()),
    }
}

#[derive(Default)]
struct Totals {
    created: usize,
    updated: usize,
    replaced: usize,
    deleted: usize,
    failed: usize,
    not_attempted: usize,
    incomplete: bool,
}

impl Totals {
    fn add(&mut self, plan: &AccountPlan, applied: &Applied) {
        let settled = applied.settled(plan);
        for change in &plan.changes {
            if !settled.contains(&change.address) {
                continue;
            }
            match change.action {
                Action::Create => self.created += 1,
                Action::Update => self.updated += 1,
                Action::Replace => self.replaced += 1,
                Action::Delete => self.deleted += 1,
            }
        }
        for executed in &applied.executed {
            match executed.outcome {
                Outcome::Done(_) => {}
                Outcome::Failed(_) => self.failed += 1,
                Outcome::NotAttempted(_) => self.not_attempted += 1,
            }
        }
        self.incomplete |= !applied.is_complete();
    }
}

impl fmt::Display for Totals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Totals {
            created,
            updated,
            replaced,
            deleted,
            failed,
            not_attempted,
            incomplete,
        } = self;
        let (colour, heading) = if *incomplete {
            (style::ERROR, "Apply incomplete:")
        } else {
            (style::SUCCESS, "Apply complete:")
        };
        write!(
            f,
            "{colour}{heading}{colour:#} {created} created, {updated} updated, {replaced} replaced, {deleted} deleted."
        )?;
        if *failed + *not_attempted > 0 {
            write!(
                f,
                " {} failed, {not_attempted} not attempted.",
                count(*failed, "operation")
            )?;
        }
        writeln!(f)
    }
}
