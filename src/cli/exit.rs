//! Exit codes. `schema/README.md` has the same table.

use std::fmt;
use std::process::ExitCode;

/// Exit code of a run. The numbers are stable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Success.
    Done = 0,
    /// Error, or not approved.
    Error = 1,
    /// Changes (`plan --detailed-exitcode`), drift or failed checks.
    Changes = 2,
    /// Some writes were sent, but not all changes were made.
    Incomplete = 3,
    /// The live account changed after the plan was made.
    Stale = 4,
    /// Blocked by a guard.
    Blocked = 5,
    /// Credentials, permission or entitlement problem.
    Auth = 6,
    /// Invalid command line.
    Usage = 64,
    /// Interrupted by Ctrl-C before any write.
    Interrupted = 130,
    /// Terminated by SIGTERM or SIGHUP before any write.
    Terminated = 143,
}

impl Exit {
    /// All exit codes in numeric order.
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

    /// Returns the general meaning of the code.
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
            Exit::Terminated => "terminated by SIGTERM or SIGHUP before any write",
        }
    }

    /// Returns the numeric code.
    pub(crate) fn code(self) -> u8 {
        self as u8
    }

    /// Returns the most severe exit code of several accounts.
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

/// Signal that stops the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Signal {
    Interrupt,
    Terminate,
    Hangup,
}

impl Signal {
    /// Returns the exit code: 128 plus the signal number. SIGHUP counts as SIGTERM.
    pub(crate) fn exit(self) -> Exit {
        match self {
            Signal::Interrupt => Exit::Interrupted,
            Signal::Terminate | Signal::Hangup => Exit::Terminated,
        }
    }
}

impl fmt::Display for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Signal::Interrupt => "Ctrl-C",
            Signal::Terminate => "SIGTERM",
            Signal::Hangup => "SIGHUP",
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
