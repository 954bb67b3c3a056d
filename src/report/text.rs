//! The view as text for a terminal. Colors only repeat symbols and words.

use std::collections::BTreeSet;
use std::fmt::{self, Write};

use anstyle::Style;

use crate::plan::{Format, Run};

use super::item::{Item, Severity, UNLISTED_INTEGRATION};
use super::style;
use super::view::{DetailLevel, Section, URL_HEADING, View};

/// Column of words such as `weakens`.
const STATUS_COLUMN: usize = 63;

/// Returns a plan, drift or the result of an apply as text.
pub fn text(run: &Run, detail: DetailLevel) -> String {
    let mut text = String::new();
    let view = View::new(run, detail);
    let written = match run.format {
        Format::Plan | Format::Drift => differences(&mut text, &view),
        Format::Apply => results(&mut text, run, &view),
    };
    written.expect("writing to a string cannot fail");
    text
}

fn differences(text: &mut String, view: &View) -> fmt::Result {
    // The error of a single account is the error of the run, and its violations are at the end.
    let is_single = view.accounts == 1;
    let is_last = |item: &&Item| is_single && item.severity == Severity::Blocked;
    for section in &view.sections {
        let items = section.items.iter().filter(|item| !is_last(item));
        let items: Vec<&Item> = items.collect();
        if !is_single || !items.iter().all(|item| item.is_account_error()) {
            write_section(text, section, &items)?;
        }
    }
    let summary = &view.summary;
    if !summary.headline.is_empty() {
        totals(text, view, style::HEADING)?;
    }
    let yellow = style::WARNING;
    for remark in &summary.remarks {
        writeln!(text, "{yellow}{remark}{yellow:#}")?;
    }
    let mut violations = view.items().map(|(_, item)| item).filter(is_last);
    violations.try_for_each(|item| write_item(text, item, ""))
}

/// Writes the headline and the numbers.
fn totals(text: &mut String, view: &View, color: Style) -> fmt::Result {
    let (headline, totals) = (&view.summary.headline, &view.summary.totals);
    writeln!(text, "{color}{headline}{color:#}{totals}")
}

/// Writes the result of an apply. An empty plan was already reported, as were the errors and violations of accounts.
fn results(text: &mut String, run: &Run, view: &View) -> fmt::Result {
    if run.accounts.iter().all(|one| one.problems.is_none()) {
        return Ok(());
    }
    let color = match view.summary.headline.ends_with(" complete") {
        true => style::SUCCESS,
        false => style::ERROR,
    };
    totals(text, view, color)?;
    let mut helps: BTreeSet<&str> = BTreeSet::new();
    let rows = view.items().filter(|(_, item)| item.symbol.is_empty());
    for (section, item) in rows {
        let Item {
            label, sentence, ..
        } = item;
        let accounts = match (view.accounts, section.accounts.as_slice()) {
            (1, _) => String::new(),
            (_, [account]) => format!("{account}: "),
            _ => format!("{}: ", section.heading),
        };
        if view.summary.has_unfinished || *label == "warning" {
            writeln!(text, "  {label:13}  {accounts}{sentence}")?;
        }
        helps.extend(item.help.as_deref());
    }
    for help in helps {
        writeln!(text, "  help: {help}")?;
    }
    let urls = &view.well_known_urls;
    if !urls.is_empty() {
        writeln!(text, "\n{}", URL_HEADING)?;
    }
    let width = urls.iter().map(|(name, _)| name.chars().count()).max();
    let width = width.unwrap_or_default();
    urls.iter()
        .try_for_each(|(name, url)| writeln!(text, "  {name:width$}  {url}"))
}

fn write_section(text: &mut String, section: &Section, items: &[&Item]) -> fmt::Result {
    let bold = style::HEADING;
    write!(text, "{bold}{}{bold:#}{}", section.heading, section.place)?;
    let is_failed = items.iter().all(|item| item.is_account_error());
    text.push_str(if is_failed { "\n" } else { "\n\n" });
    let mut previous = Severity::Note;
    for item in items {
        let is_first_note = item.severity == Severity::Note && previous != Severity::Note;
        if is_first_note || previous == Severity::Ambiguous {
            text.push('\n');
        }
        write_item(text, item, "  ")?;
        previous = item.severity;
    }
    writeln!(text)
}

fn write_item(text: &mut String, item: &Item, indent: &str) -> fmt::Result {
    let (red, yellow) = (style::ERROR, style::WARNING);
    let Item {
        label,
        title,
        sentence,
        ..
    } = item;
    match (item.severity, *label) {
        (Severity::Failed, _) => writeln!(text, "{indent}{red}error{red:#}: {sentence}")?,
        (Severity::Blocked, _) => {
            let space = if title.is_empty() { "" } else { " " };
            writeln!(
                text,
                "{indent}{red}Blocked{red:#}: {title}{space}{sentence}."
            )?;
        }
        (Severity::Weaker, "warning") => {
            writeln!(text, "{yellow}Warning{yellow:#}: {sentence}.\n")?;
        }
        (Severity::Note, "warning") => {
            writeln!(text, "{indent}{yellow}warning{yellow:#}: {sentence}")?
        }
        (Severity::Note, _) => writeln!(text, "{indent}note: {sentence}")?,
        _ => write_resource(text, item)?,
    }
    match (&item.help, item.severity) {
        (None, _) => Ok(()),
        (Some(help), Severity::Ambiguous) => writeln!(text, "      help: {help}"),
        (Some(help), Severity::Blocked) => writeln!(text, "{indent}  help: {help}"),
        (Some(help), _) => writeln!(text, "{indent}help: {help}"),
    }
}

fn write_resource(text: &mut String, item: &Item) -> fmt::Result {
    let color = match (item.severity, item.label, item.symbol) {
        (Severity::Ambiguous | Severity::Weaker, _, _) | (_, UNLISTED_INTEGRATION, _) => {
            style::ERROR
        }
        (Severity::Integration, _, _) => style::SUCCESS,
        (_, _, "?") => style::DIM,
        _ => style::WARNING,
    };
    let Item {
        symbol,
        title,
        status,
        ..
    } = item;
    if !title.is_empty() {
        let line = format!("  {color}{symbol}{color:#} {title}");
        let gap = STATUS_COLUMN
            .saturating_sub(4 + title.chars().count())
            .max(2);
        match status.is_empty() {
            true => writeln!(text, "{line}")?,
            false => writeln!(text, "{line}{:gap$}{color}{status}{color:#}", "")?,
        }
    }
    for line in &item.lines {
        writeln!(text, "      {line}")?;
    }
    for fact in &item.facts {
        let hint = match fact.varies {
            true => "; --expand shows each account",
            false => "",
        };
        writeln!(text, "      {fact}{hint}")?;
    }
    if let Some(resolution) = &item.resolution {
        writeln!(text, "      to delete it:  {}", resolution.delete)?;
        writeln!(text, "      to keep it, add to {}:", resolution.file)?;
        for line in &resolution.yaml {
            writeln!(text, "        {line}")?;
        }
    }
    Ok(())
}
