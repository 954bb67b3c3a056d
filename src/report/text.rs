//! The view as text for a terminal. Colors only repeat symbols and words.

use std::collections::BTreeSet;
use std::fmt;

use anstyle::Style;

use crate::plan::Run;

use super::apply::{self, WellKnownUrls};
use super::style;
use super::view::{DetailLevel, Item, Section, Severity, View};

/// Column of words such as `weakens`.
const STATUS_COLUMN: usize = 63;

/// A plan or drift.
pub struct RunText<'a>(pub &'a Run, pub DetailLevel);

impl fmt::Display for RunText<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let RunText(run, detail) = self;
        let view = View::new(run, *detail);
        // The error of a single account is the error of the run, and its violations are at the end.
        let is_single = view.accounts == 1;
        let (violations, rest): (Vec<&Item>, Vec<&Item>) = view
            .sections
            .iter()
            .filter(|_| is_single)
            .flat_map(|section| &section.items)
            .partition(|item| item.severity == Severity::Blocked);
        for one in &view.sections {
            match is_single {
                true if rest.iter().all(|item| item.severity == Severity::Failed) => {}
                true => section(f, one, &rest)?,
                false => section(f, one, &one.items.iter().collect::<Vec<_>>())?,
            }
        }
        let (bold, red) = (style::HEADING, style::ERROR);
        let summary = &view.summary;
        if !summary.headline.is_empty() {
            let headline = &summary.headline;
            let line = summary.line();
            let line = line.strip_prefix(headline).unwrap_or_default();
            writeln!(f, "{bold}{headline}{bold:#}{line}")?;
        }
        for remark in &summary.remarks {
            let yellow = style::WARNING;
            writeln!(f, "{yellow}{remark}{yellow:#}")?;
        }
        for failure in &summary.failures {
            writeln!(f, "{red}{failure}{red:#}")?;
        }
        violations.iter().try_for_each(|item| blocked(f, item, ""))
    }
}

/// The result of each account after an apply.
pub struct ApplyText<'a>(pub &'a Run);

impl fmt::Display for ApplyText<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ApplyText(run) = self;
        // An empty plan was already reported.
        if run
            .accounts
            .iter()
            .all(|account| account.problems.is_none())
        {
            return Ok(());
        }
        let view = View::new(run, DetailLevel::Grouped);
        let color = match apply::is_complete(run) {
            true => style::SUCCESS,
            false => style::ERROR,
        };
        let (line, headline) = (view.summary.line(), &view.summary.headline);
        let line = line.strip_prefix(headline.as_str()).unwrap_or_default();
        writeln!(f, "{color}{headline}{color:#}{line}")?;
        let mut helps: BTreeSet<&str> = BTreeSet::new();
        let needs_rows = apply::needs_rows(run);
        let rows = view.sections.iter().flat_map(|section| {
            // The plan has shown the errors and violations of accounts.
            let items = section.items.iter().filter(|item| item.symbol.is_empty());
            items.map(move |item| (section, item))
        });
        for (section, item) in rows {
            let Item {
                label, sentence, ..
            } = item;
            let accounts = match (view.accounts, section.accounts.as_slice()) {
                (1, _) => String::new(),
                (_, [account]) => format!("{account}: "),
                _ => format!("{}: ", section.heading),
            };
            if needs_rows || *label == "warning" {
                writeln!(f, "  {label:13}  {accounts}{sentence}")?;
            }
            helps.extend(item.help.as_deref());
        }
        helps
            .iter()
            .try_for_each(|help| writeln!(f, "  help: {help}"))?;
        write!(f, "{}", WellKnownUrls(run))
    }
}

fn section(f: &mut fmt::Formatter<'_>, section: &Section, items: &[&Item]) -> fmt::Result {
    let bold = style::HEADING;
    write!(f, "{bold}{}{bold:#}", section.heading)?;
    match &section.account {
        Some((id, file)) if id.is_empty() => write!(f, "  {file}")?,
        Some((id, file)) => write!(f, " ({id})  {file}")?,
        None => {}
    }
    let is_failed = items.iter().all(|item| item.severity == Severity::Failed);
    f.write_str(if is_failed { "\n" } else { "\n\n" })?;
    let mut previous: Option<&Item> = None;
    for one in items {
        let is_apart = previous.is_some_and(|previous| {
            previous.severity == Severity::Ambiguous
                || (previous.severity != one.severity && one.severity == Severity::Note)
        });
        if is_apart {
            writeln!(f)?;
        }
        item(f, one)?;
        previous = Some(one);
    }
    writeln!(f)
}

fn item(f: &mut fmt::Formatter<'_>, item: &Item) -> fmt::Result {
    let (red, yellow) = (style::ERROR, style::WARNING);
    match (item.severity, item.label) {
        (Severity::Failed, _) => writeln!(f, "  {red}error{red:#}: {}", item.sentence)?,
        (Severity::Blocked, _) => return blocked(f, item, "  "),
        (Severity::Weaker, "warning") => {
            writeln!(f, "{yellow}Warning{yellow:#}: {}.\n", item.sentence)?;
        }
        (_, "warning") => writeln!(f, "  {yellow}warning{yellow:#}: {}", item.sentence)?,
        (_, "note") => writeln!(f, "  note: {}", item.sentence)?,
        _ => resource(f, item)?,
    }
    if let Some(help) = &item.help {
        let indent = if item.severity == Severity::Ambiguous {
            "      "
        } else {
            "  "
        };
        writeln!(f, "{indent}help: {help}")?;
    }
    Ok(())
}

fn blocked(f: &mut fmt::Formatter<'_>, item: &Item, indent: &str) -> fmt::Result {
    let red = style::ERROR;
    let space = if item.title.is_empty() { "" } else { " " };
    let Item {
        title, sentence, ..
    } = item;
    writeln!(f, "{indent}{red}Blocked{red:#}: {title}{space}{sentence}.")?;
    match &item.help {
        Some(help) => writeln!(f, "{indent}  help: {help}"),
        None => Ok(()),
    }
}

fn resource(f: &mut fmt::Formatter<'_>, item: &Item) -> fmt::Result {
    let color = color(item);
    let mut title = item.title.clone();
    if let Some(origin) = &item.origin {
        title.push_str(&format!("  ({origin})"));
    }
    if !title.is_empty() {
        write!(f, "  {color}{}{color:#} {title}", item.symbol)?;
        let gap = STATUS_COLUMN
            .saturating_sub(4 + title.chars().count())
            .max(2);
        match item.status.as_str() {
            "" => writeln!(f)?,
            status => writeln!(f, "{:gap$}{color}{status}{color:#}", "")?,
        }
    }
    let names = item.fields.iter().map(|(name, _)| name.len() + 2);
    let width = names.fold(12, usize::max);
    for (name, value) in &item.fields {
        writeln!(f, "      {name:width$}{value}")?;
    }
    for line in &item.lines {
        writeln!(f, "      {line}")?;
    }
    for fact in &item.facts {
        let hint = if fact.varies {
            "; --expand shows each account"
        } else {
            ""
        };
        writeln!(f, "      {fact}{hint}")?;
    }
    if let Some(resolution) = &item.resolution {
        writeln!(f, "      to delete it:  {}", resolution.delete)?;
        writeln!(f, "      to keep it, add to {}:", resolution.file)?;
        for line in &resolution.yaml {
            writeln!(f, "        {line}")?;
        }
    }
    Ok(())
}

fn color(item: &Item) -> Style {
    match (item.severity, item.symbol) {
        (Severity::Ambiguous, _) => style::ERROR,
        (Severity::Weaker | Severity::Integration, _) => match item.label {
            "weaker" | "weakens" | "unlisted integration" => style::ERROR,
            _ => style::SUCCESS,
        },
        (_, "?") => style::DIM,
        _ => style::WARNING,
    }
}
