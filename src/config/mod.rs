//! YAML text to desired state and back: parse, validate, diagnostics, write.
