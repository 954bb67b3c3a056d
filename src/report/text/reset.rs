//! What became of a reset, as text: what failed and was not attempted by name, totals last.

use std::fmt;

use crate::model::user::UserId;
use crate::plan::AccountError;
use crate::report::style;
use crate::report::visible::Visible;

use super::apply::problem;

/// What became of each user's reset, in the order of the attempts.
pub struct ResetText<'a>(pub &'a [(UserId, ResetEnd)]);

/// How one user's reset ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ResetEnd {
    /// The score is cleared.
    Done,
    /// It is not, or nobody knows.
    Failed(AccountError),
    /// Nothing was sent.
    NotAttempted(String),
}

impl fmt::Display for ResetText<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (mut done, mut failed, mut not_attempted) = (0_usize, 0_usize, 0_usize);
        for (user, end) in self.0 {
            match end {
                ResetEnd::Done => done += 1,
                ResetEnd::Failed(error) => {
                    failed += 1;
                    problem(f, &format!("{user}: {error}"), error.help.as_deref())?;
                }
                ResetEnd::NotAttempted(reason) => {
                    not_attempted += 1;
                    let yellow = style::WARNING;
                    writeln!(
                        f,
                        "{yellow}not attempted{yellow:#}: {user}: {}",
                        Visible(reason)
                    )?;
                }
            }
        }
        if failed + not_attempted == 0 {
            let green = style::SUCCESS;
            return writeln!(f, "{green}Reset complete:{green:#} {done} reset.");
        }
        let red = style::ERROR;
        writeln!(
            f,
            "{red}Reset incomplete:{red:#} {done} reset, {failed} failed, {not_attempted} not attempted."
        )
    }
}
