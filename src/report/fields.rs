//! Fields that differ, in words: what is worth a line, and how a value looks.

use crate::model::integration::IntegrationType;
use crate::plan::{Action, Change, Field, FieldChange, FieldValue, UnlistedSettings};

use crate::model::text::Visible;

/// One field of a thing: its two values, each where there is one to show.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct FieldLine {
    /// The field.
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
        .filter(|change| worth_a_line(action, change))
        .map(|change| FieldLine {
            field: change.field,
            live: (action != Action::Create).then(|| shown(change.before.as_ref())),
            declared: (action != Action::Delete).then(|| shown(change.after.as_ref())),
        })
        .collect()
}

/// What tells a person which unlisted thing is meant.
pub(super) fn unlisted(settings: &UnlistedSettings) -> Vec<FieldLine> {
    let line = |field, live: String| FieldLine {
        field,
        live: Some(live),
        declared: None,
    };
    match settings {
        UnlistedSettings::Behavior(behavior) => {
            let state = if behavior.enabled { "on" } else { "off" };
            let level = behavior.risk_level.to_string();
            vec![line(
                Field::RiskLevel,
                format!("{}, {state}", Visible(&level)),
            )]
        }
        UnlistedSettings::Integration(integration) => {
            let tenant_url = Visible(integration.tenant_url.as_str()).to_string();
            vec![line(Field::TenantUrl, tenant_url)]
        }
    }
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
        Field::ReferenceId | Field::Active => action == Action::Create && present.is_some(),
        Field::IntegrationType => {
            *present != Some(FieldValue::Text(IntegrationType::Okta.to_string()))
        }
    }
}

fn shown(value: Option<&FieldValue>) -> String {
    match value {
        None => "(unset)".to_owned(),
        Some(value) => Visible(&value.to_string()).to_string(),
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
    pub(super) fn as_found(&self) -> String {
        match (&self.live, &self.declared) {
            (Some(live), Some(declared)) => format!("declared {declared}, live {live}"),
            (Some(only), None) | (None, Some(only)) => only.clone(),
            (None, None) => String::new(),
        }
    }
}
