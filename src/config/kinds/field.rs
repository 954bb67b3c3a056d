//! A field of a file, with its place and what its value was made of.

use crate::config::span::{Span, Spanned};

/// A field of one file: left out, there but wrong (and reported), or set.
///
/// The second keeps one mistake from causing others: a `tenant_url` that is not a URL is not missing as well.
#[derive(Clone, Debug, Default)]
pub(in crate::config) enum Field<T> {
    #[default]
    Absent,
    Wrong,
    Set(Spanned<T>, Variables),
}

/// The variables that a value was made of. Boxed, since hardly any value has some.
pub(in crate::config) type Variables = Option<Box<Vec<String>>>;

impl<T> Field<T> {
    pub(in crate::config) fn set(value: T, span: Span) -> Self {
        Field::Set(Spanned { value, span }, None)
    }

    /// The value and its place, if it is set.
    pub(in crate::config) fn get(&self) -> Option<&Spanned<T>> {
        match self {
            Field::Set(spanned, _) => Some(spanned),
            Field::Absent | Field::Wrong => None,
        }
    }

    /// The value, if it is set.
    pub(in crate::config) fn value(&self) -> Option<&T> {
        self.get().map(|spanned| &spanned.value)
    }

    pub(in crate::config) fn into_value(self) -> Option<T> {
        match self {
            Field::Set(spanned, _) => Some(spanned.value),
            Field::Absent | Field::Wrong => None,
        }
    }

    /// The names of the variables that the value was made of.
    pub(in crate::config) fn variables(&self) -> &[String] {
        match self {
            Field::Set(_, Some(variables)) => variables,
            Field::Set(_, None) | Field::Absent | Field::Wrong => &[],
        }
    }

    /// Changes the value and keeps its place; `None` makes it wrong.
    pub(in crate::config) fn then<U>(self, change: impl FnOnce(T) -> Option<U>) -> Field<U> {
        match self {
            Field::Absent => Field::Absent,
            Field::Wrong => Field::Wrong,
            Field::Set(Spanned { value, span }, variables) => match change(value) {
                Some(value) => Field::Set(Spanned { value, span }, variables),
                None => Field::Wrong,
            },
        }
    }
}
