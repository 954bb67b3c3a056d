//! Plans and results in every format: values that display.
