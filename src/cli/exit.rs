//! Exit codes: one table, in code and in the README.

use std::process::ExitCode;

/// How a run ended. Scripts depend on the numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Done, or nothing to do.
    Done = 0,
    /// An error of a file, the network or the API; or the user declined.
    Error = 1,
    /// There are changes (`plan --detailed-exitcode`), or drift.
    Changes = 2,
    /// Some operations failed, were not attempted, or did not read back.
    Incomplete = 3,
    /// The plan is stale.
    Stale = 4,
    /// A guard refused.
    Refused = 5,
    /// Credentials are missing or refused, or a permission or the entitlement is missing.
    Access = 6,
    /// The command line is wrong.
    Usage = 64,
}

impl Exit {
    /// The gravest of a fleet's ends: what was half written first, then what could not be done, then what was not to be done.
    pub(super) fn gravest(ends: impl IntoIterator<Item = Exit>) -> Exit {
        ends.into_iter()
            .max_by_key(|end| end.gravity())
            .unwrap_or(Exit::Done)
    }

    fn gravity(self) -> u8 {
        match self {
            Exit::Done => 0,
            Exit::Changes => 1,
            Exit::Refused => 2,
            Exit::Stale => 3,
            Exit::Error => 4,
            Exit::Access => 5,
            Exit::Incomplete => 6,
            Exit::Usage => 7,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        ExitCode::from(exit as u8)
    }
}

#[cfg(test)]
mod tests {
    use super::Exit;

    #[test]
    fn the_gravest_end_of_a_fleet_wins() {
        let falling = [
            Exit::Incomplete,
            Exit::Access,
            Exit::Error,
            Exit::Stale,
            Exit::Refused,
            Exit::Changes,
            Exit::Done,
        ];
        for pair in falling.windows(2) {
            assert_eq!(Exit::gravest([pair[1], pair[0]]), pair[0]);
        }
        assert_eq!(Exit::gravest([]), Exit::Done);
    }
}
