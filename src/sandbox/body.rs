//! Parses request bodies. Reports all errors, each with a JSON pointer.

use serde_json::{Map, Value, json};

use super::response::ApiError;

/// Parses a body, which must be an object, with `decode`, which adds errors to the given [`FieldErrors`].
pub(super) fn read<T>(
    bytes: &[u8],
    decode: impl FnOnce(&Map<String, Value>, &mut FieldErrors) -> Option<T>,
) -> Result<T, ApiError> {
    let mut errors = FieldErrors(Vec::new());
    let decoded = match serde_json::from_slice(bytes) {
        Ok(Value::Object(body)) => decode(&body, &mut errors),
        Ok(_) => errors.add("", "must be an object"),
        Err(error) => errors.add("", &format!("the body is not JSON: {error}")),
    };
    match decoded {
        Some(decoded) if errors.0.is_empty() => Ok(decoded),
        Some(_) | None => Err(ApiError::invalid_body(&errors.0)),
    }
}

/// Errors in a body. Methods that return `None` have added an error.
#[derive(Debug)]
pub(super) struct FieldErrors(Vec<Value>);

impl FieldErrors {
    /// Adds an error and returns `None` in place of the value.
    pub(super) fn add<T>(&mut self, pointer: &str, message: &str) -> Option<T> {
        self.0
            .push(json!({ "code": 40001, "message": message, "source": { "pointer": pointer } }));
        None
    }

    /// Reads a required boolean.
    pub(super) fn boolean(
        &mut self,
        object: &Map<String, Value>,
        pointer: &str,
        name: &str,
    ) -> Option<bool> {
        let value = self.member(object, pointer, name)?.as_bool();
        value.or_else(|| self.add(&child_pointer(pointer, name), "must be true or false"))
    }

    /// Reads a required string.
    pub(super) fn text<'v>(
        &mut self,
        object: &'v Map<String, Value>,
        pointer: &str,
        name: &str,
    ) -> Option<&'v str> {
        let value = self.member(object, pointer, name)?.as_str();
        value.or_else(|| self.add(&child_pointer(pointer, name), "must be a string"))
    }

    /// Reads a required member.
    pub(super) fn member<'v>(
        &mut self,
        object: &'v Map<String, Value>,
        pointer: &str,
        name: &str,
    ) -> Option<&'v Value> {
        let value = object.get(name);
        value.or_else(|| self.add(&child_pointer(pointer, name), "is required"))
    }
}

/// Returns the pointer to a member, escaped as in RFC 6901.
pub(super) fn child_pointer(pointer: &str, name: &str) -> String {
    format!("{pointer}/{}", name.replace('~', "~0").replace('/', "~1"))
}
