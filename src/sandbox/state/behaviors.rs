//! Behaviors: a fixed set with settings.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;

use super::Account;
use crate::model::behavior::{Behavior, BehaviorKey, BehaviorSettings, RiskLevel};
use crate::model::open_enum::OpenEnum;
use crate::sandbox::body::{self, FieldErrors, child_pointer};
use crate::sandbox::envelope::FieldError;
use crate::sandbox::settings::BehaviorsPut;

/// `{behaviors: {key: …}}`, the response of reads and writes.
#[derive(Debug, Serialize)]
pub(in crate::sandbox) struct Behaviors<T> {
    behaviors: T,
}

impl Account {
    /// Returns the response of a read.
    pub(in crate::sandbox) fn shown_behaviors(
        &self,
    ) -> Behaviors<&BTreeMap<BehaviorKey, Behavior>> {
        Behaviors {
            behaviors: &self.behaviors,
        }
    }

    /// Returns the response of a write: the settings of all behaviors, not only of those sent (`schema/api.md`, Behaviors).
    pub(in crate::sandbox) fn behavior_settings(
        &self,
    ) -> Behaviors<BTreeMap<&BehaviorKey, &BehaviorSettings>> {
        Behaviors {
            behaviors: self
                .behaviors
                .iter()
                .map(|(key, behavior)| (key, &behavior.settings))
                .collect(),
        }
    }

    /// Writes behaviors.
    pub(in crate::sandbox) fn put_behaviors(
        &mut self,
        bytes: &[u8],
        rule: BehaviorsPut,
    ) -> Result<(), Vec<FieldError>> {
        let mut written = body::read(bytes, |body, mistakes| self.decode(body, mistakes, rule))?;
        for (key, behavior) in &mut self.behaviors {
            match (written.remove(key), rule) {
                (Some(settings), _) => behavior.settings = settings,
                (None, BehaviorsPut::Merge | BehaviorsPut::RequireAll) => {}
                (None, BehaviorsPut::Replace) => behavior.settings = default_settings(),
            }
        }
        Ok(())
    }

    fn decode(
        &self,
        body: &Value,
        mistakes: &mut FieldErrors,
        rule: BehaviorsPut,
    ) -> Option<BTreeMap<BehaviorKey, BehaviorSettings>> {
        const AT: &str = "/behaviors";
        let body = mistakes.object(body, "")?;
        let sent = mistakes.member(body, "", "behaviors")?;
        let sent = mistakes.object(sent, AT)?;
        let mut written = BTreeMap::new();
        for (key, settings) in sent {
            let at = child_pointer(AT, key);
            let settings = self.decode_settings(settings, &at, mistakes);
            let key = BehaviorKey::new(key.as_str());
            if !self.behaviors.contains_key(&key) {
                let _: Option<()> = mistakes.add(&at, "this account offers no such behavior");
            }
            written.extend(settings.map(|settings| (key, settings)));
        }
        if rule == BehaviorsPut::RequireAll {
            for key in self
                .behaviors
                .keys()
                .filter(|key| !sent.contains_key(key.as_str()))
            {
                let _: Option<()> = mistakes.add(&child_pointer(AT, key.as_str()), "is required");
            }
        }
        Some(written)
    }

    fn decode_settings(
        &self,
        settings: &Value,
        at: &str,
        mistakes: &mut FieldErrors,
    ) -> Option<BehaviorSettings> {
        let settings = mistakes.object(settings, at)?;
        let enabled = mistakes.boolean(settings, at, "enabled");
        let risk_level = OpenEnum::parse(mistakes.text(settings, at, "risk_level")?);
        if !self.knows(&risk_level) {
            return mistakes.add(
                &child_pointer(at, "risk_level"),
                "must be low, medium or high",
            );
        }
        Some(BehaviorSettings {
            enabled: enabled?,
            risk_level,
        })
    }

    /// Returns true for a level of the schema or one that the account already uses.
    fn knows(&self, risk_level: &OpenEnum<RiskLevel>) -> bool {
        risk_level.known().is_some()
            || self
                .behaviors
                .values()
                .any(|behavior| behavior.settings.risk_level == *risk_level)
    }
}

/// Returns the settings of an unconfigured behavior. Only `enabled: false` is documented.
fn default_settings() -> BehaviorSettings {
    BehaviorSettings {
        enabled: false,
        risk_level: RiskLevel::Low.into(),
    }
}
