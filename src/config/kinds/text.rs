//! Texts of a file, and the variables that may stand in them.

use crate::config::span::Span;
use crate::model::limits::Limits;

/// A scalar with its variables filled in.
#[derive(Clone, Debug)]
pub(in crate::config) struct StringValue {
    /// What it says.
    pub(in crate::config) value: String,
    /// How messages quote it: as it stands in the file, so that no variable's value is ever printed.
    pub(in crate::config) written: String,
    pub(in crate::config) span: Span,
    pub(super) plain: bool,
    pub(super) filled: bool,
}

impl StringValue {
    /// Whether it may stand for something else than text: bare, or out of a variable (inside of braces a `${…}` needs quotes).
    pub(super) fn is_bare(&self) -> bool {
        self.plain || self.filled
    }
}

/// Looks a variable up.
pub(in crate::config) type Lookup<'a> = dyn Fn(&str) -> Option<String> + 'a;

/// What files may read of the environment, and the environment.
#[derive(Clone, Copy)]
pub(in crate::config) struct Environment<'a> {
    pub(in crate::config) limits: &'a Limits,
    /// Never asked for a variable that the limits don't permit. `None` where no variable may stand.
    pub(in crate::config) variable: Option<&'a Lookup<'a>>,
}

/// A variable that a file names, and where.
#[derive(Clone, Debug)]
pub(in crate::config) struct VariableUse {
    pub(in crate::config) name: String,
    pub(in crate::config) span: Span,
}
