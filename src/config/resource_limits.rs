//! Limits for all files of one run together, because limits per document do not bound the total.

/// A counted resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Resource {
    Documents,
    /// Scalars, lists and mappings, with aliases expanded.
    Values,
    /// Bytes of text repeated by aliases.
    RepeatedBytes,
    /// Behaviors and integrations, as written in the files.
    Entries,
    /// Behaviors, integrations and `protected` items of all accounts, including inherited ones.
    Declared,
    /// References to variables.
    Variables,
}

/// Amounts counted so far, by resource.
#[derive(Debug, Default)]
pub(super) struct ResourceUsage([usize; 6]);

impl Resource {
    /// Returns the limit and the name of the resource. 100,000 integrations are 700,000 values and take 240 MB; 10,000 accounts with a base
    /// file of 50 behaviors declare 500,000.
    const fn most(self) -> (usize, &'static str) {
        match self {
            Resource::Documents => (20_000, "documents"),
            Resource::Values => (2_000_000, "values (aliases expanded)"),
            Resource::RepeatedBytes => (16 << 20, "bytes repeated by aliases"),
            Resource::Entries => (105_000, "behaviors and integrations"),
            Resource::Declared => (1_000_000, "entries (including inherited ones)"),
            Resource::Variables => (250_000, "references to variables"),
        }
    }
}

impl ResourceUsage {
    /// Counts an amount of a resource.
    ///
    /// # Errors
    ///
    /// A message if the limit is exceeded.
    pub(super) fn add(&mut self, resource: Resource, amount: usize) -> Result<(), String> {
        let spent = &mut self.0[resource as usize];
        *spent = spent.saturating_add(amount);
        let (most, what) = resource.most();
        match *spent {
            fits if fits <= most => Ok(()),
            _ => Err(format!("more than {most} {what} in the files of one run")),
        }
    }
}
