//! Reset result as text: failures and skipped users by name, totals last.

use std::fmt;

use crate::apply::{Outcome, ResetResult};
use crate::model::text::EscapeInvisible;
use crate::report::style;

/// Results of each user, in the order given.
pub struct ResetText<'a>(pub &'a [ResetResult]);

impl fmt::Display for ResetText<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (mut done, mut failed, mut unknown, mut not_attempted) = (0, 0, 0, 0);
        for ResetResult { user, outcome, .. } in self.0 {
            match outcome {
                Outcome::Done(_) => done += 1,
                Outcome::Failed(failure) => {
                    failed += 1;
                    problem(f, &format!("{user}: {failure}"), failure.help().as_deref())?;
                }
                Outcome::Unknown(failure) => {
                    unknown += 1;
                    let help = "run `riskform get user` to check the score";
                    problem(f, &format!("{user}: {failure}"), Some(help))?;
                }
                Outcome::NotAttempted(reason) => {
                    not_attempted += 1;
                    let yellow = style::WARNING;
                    writeln!(
                        f,
                        "{yellow}not attempted{yellow:#}: {user}: {}",
                        EscapeInvisible(&reason.to_string())
                    )?;
                }
            }
        }
        if failed + unknown + not_attempted == 0 {
            let green = style::SUCCESS;
            return writeln!(f, "{green}Reset complete:{green:#} {done} reset.");
        }
        let red = style::ERROR;
        write!(
            f,
            "{red}Reset incomplete:{red:#} {done} reset, {failed} failed, "
        )?;
        if unknown > 0 {
            write!(f, "{unknown} unknown, ")?;
        }
        writeln!(f, "{not_attempted} not attempted.")
    }
}

fn problem(f: &mut fmt::Formatter<'_>, text: &str, help: Option<&str>) -> fmt::Result {
    let red = style::ERROR;
    writeln!(f, "{red}error{red:#}: {}", EscapeInvisible(text))?;
    match help {
        Some(help) => writeln!(f, "  help: {}", EscapeInvisible(help)),
        None => Ok(()),
    }
}
