//! Fields that differ, in words: what is worth a line, and how a value looks.

use serde_json::Value;

use crate::model::integration::IntegrationType;
use crate::plan::{Action, Field, FieldChange, UnlistedSettings};

use super::visible::Visible;

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
pub(super) fn lines(action: Action, fields: &[FieldChange]) -> Vec<FieldLine> {
    fields
        .iter()
        .filter(|change| worth_a_line(action, change))
        .map(|change| FieldLine {
            field: change.field,
            live: (action != Action::Create).then(|| shown(&change.before)),
            declared: (action != Action::Delete).then(|| shown(&change.after)),
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
        Field::ReferenceId | Field::Active => action == Action::Create && !present.is_null(),
        Field::IntegrationType => present != IntegrationType::Okta.as_str(),
    }
}

fn shown(value: &Value) -> String {
    match value {
        Value::Null => "(unset)".to_owned(),
        Value::String(text) => Visible(text).to_string(),
        other => other.to_string(),
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
