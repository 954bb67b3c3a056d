//! Lays files out canonically: order of keys, spacing, alignment; comments and blank lines are kept. Writes nothing itself.

use std::path::PathBuf;

use super::diagnostic::{Diagnostics, Found};
use super::files::{Files, Kind, shown};
use super::layout;
use super::text;

/// A file, as it is and as it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Formatted {
    /// The file as the user named it.
    pub path: PathBuf,
    /// The file itself, where a link was named.
    pub target: PathBuf,
    /// What it holds.
    pub before: String,
    /// What it should hold.
    pub after: String,
}

impl Formatted {
    /// Whether there is anything to do.
    pub fn is_changed(&self) -> bool {
        self.before != self.after
    }
}

/// Formats every file that the paths name, fragments as well. What is no YAML, or better left alone, is in the diagnostics instead.
pub fn format(paths: &[PathBuf]) -> (Vec<Formatted>, Diagnostics) {
    let mut files = Files::default();
    let mut found = Found::default();
    let mut formatted = Vec::new();
    for (path, target) in files.find(paths, Kind::Any, &mut found) {
        let bytes = match files.read(&path) {
            Ok(bytes) => bytes,
            Err(refused) => {
                found.push(refused.of_file(&path));
                continue;
            }
        };
        let before = String::from_utf8_lossy(&bytes).into_owned();
        let source = text::register(shown(&path).into(), bytes, &mut found);
        if let Some(after) = source.and_then(|source| layout::format(source, &mut found)) {
            formatted.push(Formatted {
                path,
                target,
                before,
                after,
            });
        }
    }
    (formatted, found.finish())
}
