//! Changed fields as text.

use crate::model::integration::IntegrationType;
use crate::plan::{Action, Change, Field, FieldChange, FieldValue, UnlistedSettings};

use crate::model::text::EscapeInvisible;

/// A field with its values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct FieldLine {
    pub(super) field: Field,
    /// Live value; `None` if the resource does not exist.
    pub(super) live: Option<String>,
    /// Declared value; `None` if the resource is not declared.
    pub(super) declared: Option<String>,
}

/// Returns the fields of a change to show.
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

/// Returns the declared value and the names of its variables.
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

/// Returns the width of field names, with two spaces.
pub(super) fn width(lines: &[FieldLine]) -> usize {
    const USUAL: usize = 14;
    lines
        .iter()
        .map(|line| line.field.as_str().len() + 2)
        .fold(USUAL, usize::max)
}

/// Returns all fields of an unlisted resource, to identify it.
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

/// Omits defaults of created resources: an unset reference and the only known type. Deleted resources are shown in full.
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
    /// Displays the change of a plan.
    pub(super) fn as_planned(&self) -> String {
        match (&self.live, &self.declared) {
            (Some(live), Some(declared)) => format!("{live} → {declared}"),
            (Some(only), None) | (None, Some(only)) => only.clone(),
            (None, None) => String::new(),
        }
    }

    /// Displays the difference of live and declared value.
    pub(super) fn as_drift(&self) -> String {
        match (&self.live, &self.declared) {
            (Some(live), Some(declared)) => format!("declared {declared}, live {live}"),
            (Some(only), None) | (None, Some(only)) => only.clone(),
            (None, None) => String::new(),
        }
    }
}
