//! What messages speak of.

use std::fmt;

/// What a message speaks of: a path of keys, such as `behavior.imp_travel`.
#[derive(Clone, Copy)]
pub(in crate::config) struct KeyPath<'a> {
    parent: Option<&'a KeyPath<'a>>,
    name: &'a str,
}

impl<'a> KeyPath<'a> {
    /// The document itself.
    pub(in crate::config) const DOCUMENT: KeyPath<'static> = KeyPath::named("");
    /// The operator's limits.
    pub(in crate::config) const LIMITS: KeyPath<'static> = KeyPath::named("limits");

    pub(in crate::config) const fn named(name: &'a str) -> Self {
        KeyPath { parent: None, name }
    }

    /// What stands under a key of this one.
    pub(in crate::config) fn at<'b>(&'b self, name: &'b str) -> KeyPath<'b>
    where
        'a: 'b,
    {
        let parent = (!self.name.is_empty()).then_some(self);
        KeyPath { parent, name }
    }
}

impl fmt::Display for KeyPath<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.parent {
            Some(parent) => write!(f, "{parent}.{}", self.name),
            None if self.name.is_empty() => f.write_str("the document"),
            None => f.write_str(self.name),
        }
    }
}
