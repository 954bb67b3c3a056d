//! Reads request bodies: every mistake is found in one go, each with a JSON pointer to it.

use serde_json::{Map, Value};

use super::envelope::FieldError;

/// Reads the bytes of a body with `decode`, which names what is wrong to the [`FieldErrors`] it is given.
pub(super) fn read<T>(
    bytes: &[u8],
    decode: impl FnOnce(&Value, &mut FieldErrors) -> Option<T>,
) -> Result<T, Vec<FieldError>> {
    let mut mistakes = FieldErrors(Vec::new());
    let decoded = match serde_json::from_slice(bytes) {
        Ok(body) => decode(&body, &mut mistakes),
        Err(error) => mistakes.add("", format!("the body is not JSON: {error}")),
    };
    match decoded {
        Some(decoded) if mistakes.0.is_empty() => Ok(decoded),
        Some(_) | None => Err(mistakes.0),
    }
}

/// What is wrong with a body. Whatever answers `None` has added a mistake.
#[derive(Debug)]
pub(super) struct FieldErrors(Vec<FieldError>);

impl FieldErrors {
    /// Adds a mistake, and stands for the value that could not be read.
    pub(super) fn add<T>(&mut self, pointer: &str, message: impl Into<String>) -> Option<T> {
        self.0.push(FieldError {
            pointer: pointer.to_owned(),
            message: message.into(),
        });
        None
    }

    /// Reads an object.
    pub(super) fn object<'v>(
        &mut self,
        value: &'v Value,
        pointer: &str,
    ) -> Option<&'v Map<String, Value>> {
        let object = value.as_object();
        object.or_else(|| self.add(pointer, "must be an object"))
    }

    /// Reads a member that must be there.
    pub(super) fn member<'v>(
        &mut self,
        object: &'v Map<String, Value>,
        pointer: &str,
        name: &str,
    ) -> Option<&'v Value> {
        object
            .get(name)
            .or_else(|| self.add(&below(pointer, name), "is required"))
    }

    /// Reads a boolean that must be there.
    pub(super) fn boolean(
        &mut self,
        object: &Map<String, Value>,
        pointer: &str,
        name: &str,
    ) -> Option<bool> {
        self.member(object, pointer, name)?
            .as_bool()
            .or_else(|| self.add(&below(pointer, name), "must be true or false"))
    }

    /// Reads a string that must be there.
    pub(super) fn text<'v>(
        &mut self,
        object: &'v Map<String, Value>,
        pointer: &str,
        name: &str,
    ) -> Option<&'v str> {
        self.member(object, pointer, name)?
            .as_str()
            .or_else(|| self.add(&below(pointer, name), "must be a string"))
    }

    /// Reads a string that may be null or not there; both are the inner `None`.
    pub(super) fn optional_text<'v>(
        &mut self,
        object: &'v Map<String, Value>,
        pointer: &str,
        name: &str,
    ) -> Option<Option<&'v str>> {
        match object.get(name) {
            None | Some(Value::Null) => Some(None),
            Some(Value::String(text)) => Some(Some(text)),
            Some(_) => self.add(&below(pointer, name), "must be a string or null"),
        }
    }
}

/// The pointer to a member, escaped as RFC 6901 asks.
pub(super) fn below(pointer: &str, name: &str) -> String {
    format!("{pointer}/{}", name.replace('~', "~0").replace('/', "~1"))
}
