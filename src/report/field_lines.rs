//! Fields that differ, in words: what is worth a line, and how a value looks.

use crate::model::integration::IntegrationType;
use crate::plan::{Action, Change, Field, FieldChange, FieldValue, UnlistedSettings};

use crate::model::text::EscapeInvisible;

/// One field of a thing: its two values, each where there is one to show.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct FieldLine {
    pub(super) field: Field,
    /// What is live; `None` where the thing is not there.
    pub(super) live: Option<String>,
    /// What is declared; `None` where the thing should not be there.
    pub(super) declared: Option<String>,
}

/// The fields of a change that are worth a line each.
pub(super) fn lines(change: &Change) -> Vec<FieldLine> {
    let action = change.action();
    change
        .fields()
        .iter()
        .filter(|change| is_shown(action, change))
        .map(|change| FieldLine {
            field: change.field,
            live: (action != Action::Create).then(|| shown(change.before.as_ref())),
            declared: (action != Action::Delete).then(|| declared(change)),
        })
        .collect()
}

/// The declared value, and beside it the names of what it was made of.
fn declared(change: &FieldChange) -> String {
    let variables = change.variables.iter().map(|name| format!("${{{name}}}"));
    let sources: Vec<String> = change
        .identity_provider
        .iter()
        .cloned()
        .chain(variables)
        .collect();
    let value = shown(change.after.as_ref());
    if sources.is_empty() {
        return value;
    }
    format!("{value}  ({})", EscapeInvisible(&sources.join(", ")))
}

/// How wide the names of fields stand: as in every format, with room for two spaces.
pub(super) fn width(lines: &[FieldLine]) -> usize {
    const USUAL: usize = 14;
    lines
        .iter()
        .map(|line| line.field.as_str().len() + 2)
        .fold(USUAL, usize::max)
}

/// Every field of what no file lists and stays: only they tell a person what it is.
pub(super) fn unlisted(settings: &UnlistedSettings) -> Vec<FieldLine> {
    settings
        .fields()
        .into_iter()
        .map(|change| FieldLine {
            field: change.field,
            live: Some(shown(change.before.as_ref())),
            declared: None,
        })
        .collect()
}

/// Leaves out what goes without saying of what is created: an unset reference, and the only known type. What goes is shown whole, since
/// nothing shows it afterwards.
fn is_shown(action: Action, change: &FieldChange) -> bool {
    match (action, change.field) {
        (Action::Create, Field::ReferenceId) => change.after.is_some(),
        (Action::Create, Field::IntegrationType) => {
            change.after != Some(FieldValue::Text(IntegrationType::Okta.to_string()))
        }
        _ => true,
    }
}

fn shown(value: Option<&FieldValue>) -> String {
    match value {
        None => "(unset)".to_owned(),
        Some(value) => EscapeInvisible(&value.to_string()).to_string(),
    }
}

impl FieldLine {
    /// What a plan does to it.
    pub(super) fn as_planned(&self) -> String {
        match (&self.live, &self.declared) {
            (Some(live), Some(declared)) => format!("{live} → {declared}"),
            (Some(only), None) | (None, Some(only)) => only.clone(),
            (None, None) => String::new(),
        }
    }

    /// How the two sides stand to each other.
    pub(super) fn as_drift(&self) -> String {
        match (&self.live, &self.declared) {
            (Some(live), Some(declared)) => format!("declared {declared}, live {live}"),
            (Some(only), None) | (None, Some(only)) => only.clone(),
            (None, None) => String::new(),
        }
    }
}
