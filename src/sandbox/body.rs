//! Parses request bodies. Reports all errors, each with a JSON pointer.

use serde_json::{Map, Value};

use super::envelope::FieldError;

/// Parses a body with `decode`, which adds errors to the given [`FieldErrors`].
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

/// Errors in a body. Methods that return `None` have added an error.
#[derive(Debug)]
pub(super) struct FieldErrors(Vec<FieldError>);

impl FieldErrors {
    /// Adds an error and returns `None` in place of the value.
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

    /// Reads a required member.
    pub(super) fn member<'v>(
        &mut self,
        object: &'v Map<String, Value>,
        pointer: &str,
        name: &str,
    ) -> Option<&'v Value> {
        object
            .get(name)
            .or_else(|| self.add(&child_pointer(pointer, name), "is required"))
    }

    /// Reads a required boolean.
    pub(super) fn boolean(
        &mut self,
        object: &Map<String, Value>,
        pointer: &str,
        name: &str,
    ) -> Option<bool> {
        self.member(object, pointer, name)?
            .as_bool()
            .or_else(|| self.add(&child_pointer(pointer, name), "must be true or false"))
    }

    /// Reads a required string.
    pub(super) fn text<'v>(
        &mut self,
        object: &'v Map<String, Value>,
        pointer: &str,
        name: &str,
    ) -> Option<&'v str> {
        self.member(object, pointer, name)?
            .as_str()
            .or_else(|| self.add(&child_pointer(pointer, name), "must be a string"))
    }

    /// Reads an optional string; if it is null or missing, the inner value is `None`.
    pub(super) fn optional_text<'v>(
        &mut self,
        object: &'v Map<String, Value>,
        pointer: &str,
        name: &str,
    ) -> Option<Option<&'v str>> {
        match object.get(name) {
            None | Some(Value::Null) => Some(None),
            Some(Value::String(text)) => Some(Some(text)),
            Some(_) => self.add(&child_pointer(pointer, name), "must be a string or null"),
        }
    }
}

/// Returns the pointer to a member, escaped as in RFC 6901.
pub(super) fn child_pointer(pointer: &str, name: &str) -> String {
    format!("{pointer}/{}", name.replace('~', "~0").replace('/', "~1"))
}
