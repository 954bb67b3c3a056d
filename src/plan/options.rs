//! Options of a plan: purpose, addresses, overrides and limits.

use std::sync::Arc;

#[cfg(test)]
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::model::account::{DesiredAccount, GuardMode};
use crate::model::address::{Address, Glob};
use crate::model::limits::Limits;
use crate::model::open_enum::string_enum;

/// Options of a plan from the command line.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(JsonSchema))]
pub struct Options {
    #[serde(rename = "intent")]
    pub purpose: Purpose,
    /// Addresses to include (`--target`). All if empty.
    pub targets: Vec<Glob>,
    /// Addresses to exclude from drift (`--ignore`).
    #[serde(skip)]
    pub ignored: Vec<Glob>,
    /// Guards overridden by flags.
    #[serde(flatten)]
    pub overrides: Overrides,
    /// Operator limits of the current command. They are not part of a saved plan.
    #[serde(skip)]
    pub limits: Arc<Limits>,
}

impl Options {
    /// Returns true if changes to an account need its Access policies: `policies: deny` holds, in the file or in the limits.
    pub fn denies_policies(&self, desired: &DesiredAccount) -> bool {
        let by_file = desired.guards.policies == GuardMode::Deny;
        self.limits.policies == GuardMode::Deny || (by_file && !self.overrides.allow_policies)
    }

    /// Returns true if a target is exactly this address.
    pub(super) fn names(&self, desired: &DesiredAccount, address: &Address) -> bool {
        let mut targets = self.targets.iter();
        targets.any(|glob| glob.is_address(desired.label(), address))
    }

    /// Returns true if the plan of an account includes the address.
    pub(super) fn includes(&self, desired: &DesiredAccount, address: &Address) -> bool {
        let matches = |globs: &[Glob]| {
            let mut globs = globs.iter();
            globs.any(|glob| glob.matches(desired.label(), address))
        };
        (self.targets.is_empty() || matches(&self.targets)) && !matches(&self.ignored)
    }
}

string_enum! {
    /// Purpose of a comparison. It affects the wording of notes, never the differences between declared and live state.
    #[derive(Default)]
    Purpose {
        /// Changes the account to the desired state.
        #[default]
        Apply = "apply",
        /// Deletes declared integrations and disables declared behaviors. Deletes an unlisted integration only if a target is its address.
        Destroy = "destroy",
        /// Reports the differences. There are no operations and no guard violations.
        Drift = "drift",
    }
}

/// Guard overrides from the command line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(JsonSchema))]
pub struct Overrides {
    /// `--max-deletes N`; overrides the files.
    pub max_deletes: Option<u32>,
    /// `--allow-delete-all`
    pub allow_delete_all: bool,
    /// `--allow-weakening`
    pub allow_weakening: bool,
    /// `--allow-policies`
    pub allow_policies: bool,
}
