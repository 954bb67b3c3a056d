//! What became of a plan, as text: what failed and was not attempted by name, what to do with what was created, totals last.

use std::collections::BTreeSet;
use std::fmt;

use crate::model::address::Address;
use crate::model::text::Visible;
use crate::plan::{AccountPlan, Action, Note, Operation, OperationOutcome, Run};
use crate::report::block::prefix;
use crate::report::style;

use super::count;

/// Where the `well_known_url` goes, in the words of Okta's console (`contract.md`, Integrations).
pub(in crate::report) const WHERE_TO_PASTE: &str =
    "Security > Device Integrations > Receive shared signals > Create stream";

/// What became of each account's plan.
pub struct ApplyText<'a>(pub &'a Run);

impl fmt::Display for ApplyText<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ApplyText(document) = self;
        for account in &document.accounts {
            let label = prefix(document, account);
            for operation in &account.operations {
                outcome(f, &label, operation)?;
            }
            for note in &account.notes {
                // The others were said with the plan.
                if let Note::CreatedWithoutReference { .. } = note {
                    warning(f, &format!("{label}{note}"))?;
                }
            }
            for text in account.problems.iter().flatten() {
                problem(f, &format!("{label}{text}"), None)?;
            }
        }
        // Where nothing was to be done, the plan has said so.
        if document
            .accounts
            .iter()
            .all(|account| account.problems.is_none())
        {
            return Ok(());
        }
        let outcomes = Outcomes::of(document);
        let (colour, heading) = if outcomes.incomplete {
            (style::ERROR, "Apply incomplete:")
        } else {
            (style::SUCCESS, "Apply complete:")
        };
        writeln!(f, "{colour}{heading}{colour:#} {outcomes}")
    }
}

fn outcome(f: &mut fmt::Formatter<'_>, label: &str, operation: &Operation) -> fmt::Result {
    let Some(end) = &operation.end else {
        return Ok(());
    };
    let address = operation.address.to_string();
    let error = end.error.as_deref().unwrap_or_default();
    let told = |what: &str| {
        format!(
            "{label}{address}: operation {} {what}: {error}",
            operation.id
        )
    };
    match end.outcome {
        OperationOutcome::Done => {
            let Some(made) = &end.result else {
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
        OperationOutcome::Failed => problem(f, &told("failed"), end.help.as_deref()),
        OperationOutcome::Unknown => problem(
            f,
            &told("may or may not have been carried out"),
            end.help.as_deref(),
        ),
        OperationOutcome::NotAttempted => {
            let yellow = style::WARNING;
            writeln!(
                f,
                "{yellow}not attempted{yellow:#}: {label}{}: operation {}: {}",
                Visible(&address),
                operation.id,
                Visible(error)
            )
        }
    }
}

fn warning(f: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
    let yellow = style::WARNING;
    writeln!(f, "{yellow}warning{yellow:#}: {}", Visible(text))
}

pub(super) fn problem(f: &mut fmt::Formatter<'_>, text: &str, help: Option<&str>) -> fmt::Result {
    let red = style::ERROR;
    writeln!(f, "{red}error{red:#}: {}", Visible(text))?;
    match help {
        Some(help) => writeln!(f, "  help: {}", Visible(help)),
        None => Ok(()),
    }
}

/// What was done, in numbers.
#[derive(Default)]
pub struct Outcomes {
    pub created: usize,
    pub updated: usize,
    pub replaced: usize,
    pub deleted: usize,
    pub failed: usize,
    pub unknown: usize,
    pub not_attempted: usize,
    pub incomplete: bool,
}

impl Outcomes {
    pub fn of(document: &Run) -> Self {
        let mut outcomes = Outcomes::default();
        for account in &document.accounts {
            outcomes.add(account);
        }
        outcomes
    }

    fn add(&mut self, account: &AccountPlan) {
        let settled = settled(account);
        for change in &account.changes {
            if !settled.contains(change.address()) {
                continue;
            }
            match change.action() {
                Action::Create => self.created += 1,
                Action::Update => self.updated += 1,
                Action::Replace => self.replaced += 1,
                Action::Delete => self.deleted += 1,
            }
        }
        for operation in &account.operations {
            match operation.end.as_ref().map(|end| end.outcome) {
                None | Some(OperationOutcome::Done) => {}
                Some(OperationOutcome::Failed) => self.failed += 1,
                Some(OperationOutcome::Unknown) => self.unknown += 1,
                Some(OperationOutcome::NotAttempted) => self.not_attempted += 1,
            }
        }
        self.incomplete |= self.failed + self.unknown + self.not_attempted > 0
            || account
                .problems
                .as_ref()
                .is_some_and(|problems| !problems.is_empty());
    }
}

/// The addresses whose every operation was done.
fn settled(account: &AccountPlan) -> BTreeSet<&Address> {
    let mut settled = BTreeSet::new();
    let mut unsettled = BTreeSet::new();
    for operation in &account.operations {
        match &operation.end {
            Some(end) if end.outcome == OperationOutcome::Done => settled.extend(&operation.covers),
            Some(_) | None => unsettled.extend(&operation.covers),
        }
    }
    &settled - &unsettled
}

impl fmt::Display for Outcomes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Outcomes {
            created,
            updated,
            replaced,
            deleted,
            failed,
            unknown,
            not_attempted,
            incomplete: _,
        } = self;
        write!(
            f,
            "{created} created, {updated} updated, {replaced} replaced, {deleted} deleted."
        )?;
        if failed + unknown + not_attempted > 0 {
            let failed = count(*failed, "operation");
            write!(f, " {failed} failed, ")?;
            if *unknown > 0 {
                write!(f, "{unknown} unknown, ")?;
            }
            write!(f, "{not_attempted} not attempted.")?;
        }
        Ok(())
    }
}
