//! How much all files of one run may hold together, whoever wrote them: a bound for a document alone is none for a thousand documents.

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Resource {
    Documents,
    /// Scalars, lists and mappings, aliases written out.
    Values,
    /// Bytes of text that aliases repeat.
    RepeatedBytes,
    /// Behaviors and integrations as they are written.
    Entries,
    /// Behaviors, integrations and `protected` items that accounts end up with, inherited ones included.
    Declared,
    /// Uses of variables.
    Variables,
}

/// How much was counted so far, by resource.
#[derive(Debug, Default)]
pub(super) struct ResourceUsage([usize; 6]);

impl Resource {
    /// The most, and what it is called. 100,000 integrations are 700,000 values and take 240 MB; 10,000 accounts with a baseline of 50
    /// behaviors declare 500,000.
    const fn most(self) -> (usize, &'static str) {
        match self {
            Resource::Documents => (20_000, "documents"),
            Resource::Values => (2_000_000, "values, aliases written out,"),
            Resource::RepeatedBytes => (16 << 20, "bytes that aliases repeat"),
            Resource::Entries => (105_000, "behaviors and integrations"),
            Resource::Declared => (1_000_000, "entries, inherited ones included,"),
            Resource::Variables => (250_000, "uses of variables"),
        }
    }
}

impl ResourceUsage {
    /// Counts what is about to be kept; what is wrong, once there is too much of it.
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
