//! Grouping: content shared by three or more accounts is shown once, if the text is equal or differs only in generated ids.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;

use crate::model::text::{GROUPING_THRESHOLD, abbreviate_list, pluralize};
use crate::plan::{AccountPlan, Run};
use crate::report::display_item::gravest_first;
use crate::report::style;

use super::items::{Item, Line, write_items};
use super::layout::account_heading;
use super::own_ids::IdMask;

/// Writes the items of all accounts, most severe first; shared ones once with the account names.
pub(super) fn grouped(
    f: &mut fmt::Formatter<'_>,
    run: &Run,
    items: impl Fn(&AccountPlan) -> Vec<Item>,
) -> fmt::Result {
    let told = told(run, items);
    let mut holders: HashMap<&str, Vec<usize>> = HashMap::new();
    let mut makers: HashMap<&str, BTreeSet<&[String]>> = HashMap::new();
    for (index, one) in told.iter().enumerate() {
        for (item, text) in one.items.iter().zip(&one.texts) {
            makers.entry(text).or_default().insert(&item.who);
            let holders = holders.entry(text).or_default();
            if holders.last() != Some(&index) {
                holders.push(index);
            }
        }
    }
    // Items shared by the same accounts are in one section.
    let mut sections: BTreeMap<Vec<usize>, Vec<Line<'_>>> = BTreeMap::new();
    for (index, one) in told.iter().enumerate() {
        for (item, text) in one.items.iter().zip(&one.texts) {
            let holders = &holders[text.as_str()];
            if holders.len() < GROUPING_THRESHOLD {
                let section = sections.entry(vec![index]).or_default();
                section.push(item.into());
            } else if holders[0] == index {
                let who = who(item, one.account, makers[text.as_str()].len());
                let section = sections.entry(holders.clone()).or_default();
                section.push(Line { item, text, who });
            }
        }
    }
    let mut sections: Vec<Section<'_>> = sections
        .into_iter()
        .map(|(holders, lines)| Section { holders, lines })
        .collect();
    sections.sort_by_key(|section| {
        let gravest = section.lines.iter().map(|line| line.item.gravity).min();
        (gravest, section.holders[0])
    });
    let mut said = BTreeSet::new();
    let mut is_new = |help: &str| said.insert(help.to_owned());
    for Section { holders, lines } in &sections {
        match holders.as_slice() {
            [alone] => account_heading(f, told[*alone].account)?,
            several => {
                let bold = style::HEADING;
                let names = several.iter().map(|index| told[*index].account.label());
                let accounts = pluralize(several.len(), "account");
                writeln!(
                    f,
                    "{bold}in {accounts}{bold:#}: {}\n",
                    abbreviate_list(names)
                )?;
            }
        }
        write_items(f, lines.iter().cloned(), &mut is_new)?;
    }
    Ok(())
}

/// Returns the attribution of a shared item: as many sentences as for one account, even if they differ.
fn who<'a>(item: &'a Item, account: &AccountPlan, different: usize) -> Cow<'a, [String]> {
    if different < 2 {
        return Cow::Borrowed(&item.who);
    }
    let label = account.label();
    let sentences = item.who.iter();
    let example = |sentence| format!("in {label}: {sentence}");
    let last = "--expand shows each account".to_owned();
    sentences
        .map(example)
        .chain([last])
        .collect::<Vec<_>>()
        .into()
}

/// Content of one account or of a group.
struct Section<'a> {
    /// In order of accounts, most severe first.
    holders: Vec<usize>,
    lines: Vec<Line<'a>>,
}

/// Items of several accounts, with their shared text.
struct AccountItems<'a> {
    account: &'a AccountPlan,
    items: Vec<Item>,
    /// Keys of the items: their text, possibly with masked ids.
    texts: Vec<String>,
}

/// Returns the items of every account, most severe first. Equal texts are shared.
fn told(run: &Run, items: impl Fn(&AccountPlan) -> Vec<Item>) -> Vec<AccountItems<'_>> {
    let mut told: Vec<AccountItems<'_>> = gravest_first(run)
        .into_iter()
        .map(|(_, account)| AccountItems {
            account,
            items: items(account),
            texts: Vec::new(),
        })
        .collect();
    let mut shared: HashMap<&str, usize> = HashMap::new();
    for item in told.iter().flat_map(|one| &one.items) {
        *shared.entry(&item.text).or_default() += 1;
    }
    let texts: Vec<Vec<String>> = told
        .iter()
        .map(|one| {
            let own = IdMask::of(one.account);
            let text = |item: &Item| match shared[item.text.as_str()] {
                several if several >= GROUPING_THRESHOLD => item.text.clone(),
                _ => own.masked(&item.text),
            };
            one.items.iter().map(text).collect()
        })
        .collect();
    for (one, texts) in told.iter_mut().zip(texts) {
        one.texts = texts;
    }
    told
}
