//! How the program can end: its exit codes, one table in code and in the README.

use std::fmt;
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
    Blocked = 5,
    /// Credentials are missing or refused, or a permission or the entitlement is missing.
    Auth = 6,
    /// The command line is wrong.
    Usage = 64,
    /// Ended by Ctrl-C before anything was written.
    Interrupted = 130,
    /// Ended by SIGTERM before anything was written.
    Terminated = 143,
}

impl Exit {
    /// Every end, by its number.
    pub(crate) const ALL: &[Exit] = &[
        Exit::Done,
        Exit::Error,
        Exit::Changes,
        Exit::Incomplete,
        Exit::Stale,
        Exit::Blocked,
        Exit::Auth,
        Exit::Usage,
        Exit::Interrupted,
        Exit::Terminated,
    ];

    /// What it means, for whoever reads the help.
    pub(crate) const fn meaning(self) -> &'static str {
        match self {
            Exit::Done => "success",
            Exit::Error => "error, or the plan was not approved",
            Exit::Changes => "changes (plan --detailed-exitcode), drift, or failed checks (audit)",
            Exit::Incomplete => "some writes were sent, but not all changes were made",
            Exit::Stale => "the live account changed after the plan was made",
            Exit::Blocked => "blocked by a guard",
            Exit::Auth => "credentials, permission or entitlement problem",
            Exit::Usage => "invalid command line",
            Exit::Interrupted => "interrupted by Ctrl-C before any write",
            Exit::Terminated => "terminated by SIGTERM before any write",
        }
    }

    /// The number that scripts see.
    pub(crate) fn code(self) -> u8 {
        self as u8
    }

    /// The gravest of a fleet's ends: what was half written first, then what could not be done, then what was not to be done.
    pub(crate) fn gravest(ends: impl IntoIterator<Item = Exit>) -> Exit {
        ends.into_iter()
            .max_by_key(|end| end.gravity())
            .unwrap_or(Exit::Done)
    }

    fn gravity(self) -> u8 {
        match self {
            Exit::Done => 0,
            Exit::Changes => 1,
            Exit::Blocked => 2,
            Exit::Stale => 3,
            Exit::Error => 4,
            Exit::Auth => 5,
            Exit::Incomplete => 6,
            Exit::Usage => 7,
            Exit::Interrupted | Exit::Terminated => 8,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        ExitCode::from(exit.code())
    }
}

/// The two signals that ask a program to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Signal {
    Interrupt,
    Terminate,
}

impl Signal {
    /// How a program ends because of it: 128 and its number, as a shell would report it.
    pub(crate) fn exit(self) -> Exit {
        match self {
            Signal::Interrupt => Exit::Interrupted,
            Signal::Terminate => Exit::Terminated,
        }
    }
}

impl fmt::Display for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Signal::Interrupt => "Ctrl-C",
            Signal::Terminate => "SIGTERM",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::Exit;

    #[test]
    fn the_gravest_end_of_a_fleet_wins() {
        let falling = [
            Exit::Incomplete,
            Exit::Auth,
            Exit::Error,
            Exit::Stale,
            Exit::Blocked,
            Exit::Changes,
            Exit::Done,
        ];
        for pair in falling.windows(2) {
            assert_eq!(Exit::gravest([pair[1], pair[0]]), pair[0]);
        }
        assert_eq!(Exit::gravest([]), Exit::Done);
    }
}
