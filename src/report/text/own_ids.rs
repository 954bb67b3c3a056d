//! What tells the same thing of one account from that of another: ids and places, which have to be left aside to see that it is the same.

use std::collections::HashSet;

use uuid::Uuid;

use crate::model::address::Address;
use crate::model::generated_reference::{GeneratedReferences, owner_key};
use crate::model::integration::ReferenceId;
use crate::model::text::EscapeInvisible;
use crate::plan::{AccountPlan, Change, Field, FieldValue};

/// The ids that one account's things have and no other's, and the file that declares it: what stands in their place reads alike in every
/// account.
pub(super) struct IdMask {
    ids: HashSet<String>,
    source: String,
}

impl IdMask {
    pub(super) fn of(account: &AccountPlan) -> Self {
        let mut ids = HashSet::from([account.account_id.to_string()]);
        if let Some(error) = &account.error {
            ids.extend(error.cf_ray.clone());
        }
        let unlisted = account.unlisted.iter();
        let live = account.live.iter().flat_map(|live| &live.integrations);
        let found = account.changes.iter().filter_map(Change::found);
        let addresses = account.changes.iter().map(Change::address);
        let addresses = addresses.chain(unlisted.clone().map(|thing| &thing.address));
        let by_address = addresses.filter_map(|address| match address {
            Address::UnlistedIntegration(id) => Some(*id),
            Address::Behavior(_) | Address::Integration(_) => None,
        });
        let candidates = account.errors.iter().flat_map(|error| &error.candidates);
        let integrations = live.map(|live| live.id).chain(found.map(|found| found.id));
        let integrations = integrations.chain(candidates.map(|candidate| candidate.id));
        for id in integrations.chain(by_address) {
            let id = id.to_string();
            // As it is abbreviated.
            ids.extend(id.split('-').next().map(str::to_owned));
            ids.insert(id);
        }
        // A server makes references up, and riskform its own.
        for thing in unlisted {
            for field in thing.settings.fields() {
                ids.extend(reference(field.field, field.before));
            }
        }
        for change in &account.changes {
            for field in change.fields() {
                ids.extend(reference(field.field, field.before));
                let declared = reference(field.field, field.after);
                ids.extend(declared.filter(|declared| is_own(account, change, declared)));
            }
        }
        IdMask {
            ids,
            source: format!("{}:", EscapeInvisible(&account.source)),
        }
    }

    /// A text with `…` for each of them, and for each place in the file.
    pub(super) fn masked(&self, text: &str) -> String {
        let is_word = |c: char| c.is_ascii_alphanumeric() || c == '-';
        let text = self.without_places(text);
        let mut masked = String::with_capacity(text.len());
        let mut rest = text.as_str();
        while !rest.is_empty() {
            let end = rest.find(|c| !is_word(c)).unwrap_or(rest.len());
            let (word, after) = rest.split_at(end);
            match (self.ids.contains(word), after.starts_with('…')) {
                (true, false) => masked.push('…'),
                (true, true) => {}
                (false, _) => masked.push_str(word),
            }
            let end = after.find(is_word).unwrap_or(after.len());
            let (between, after) = after.split_at(end);
            masked.push_str(between);
            rest = after;
        }
        masked
    }

    /// A text with `…` for each `file.yaml:5:3`.
    fn without_places(&self, text: &str) -> String {
        let mut pieces = text.split(&self.source);
        let mut without = pieces.next().unwrap_or_default().to_owned();
        for piece in pieces {
            let rest = piece.trim_start_matches(|c: char| c.is_ascii_digit() || c == ':');
            match rest.len() == piece.len() {
                true => without.push_str(&self.source),
                false => without.push_str("…:"),
            }
            without.push_str(rest);
        }
        without
    }
}

/// A reference that somebody made up: a UUID.
fn reference(field: Field, value: Option<FieldValue>) -> Option<String> {
    match (field, value) {
        (Field::ReferenceId, Some(FieldValue::Text(reference))) => {
            Uuid::parse_str(&reference).is_ok().then_some(reference)
        }
        _ => None,
    }
}

fn is_own(account: &AccountPlan, change: &Change, reference: &str) -> bool {
    let Address::Integration(name) = change.address() else {
        return false;
    };
    let own = GeneratedReferences::of(&account.account_id, name).key();
    ReferenceId::new(reference).is_some_and(|reference| owner_key(&reference) == Some(own))
}
