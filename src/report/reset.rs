//! Reset result as text: failures and skipped users by name, totals last.

use std::fmt::Write;

use crate::apply::{Outcome, ResetResult};
use crate::model::text::EscapeInvisible;

use super::style;

/// Returns the results of each user, in the order given.
pub fn reset(results: &[ResetResult]) -> String {
    let mut text = String::new();
    let (red, yellow, green) = (style::ERROR, style::WARNING, style::SUCCESS);
    let (mut done, mut failed, mut unknown, mut not_attempted) = (0, 0, 0, 0);
    for ResetResult { user, report } in results {
        let (label, message, help) = match &report.outcome {
            Outcome::Done(_) => {
                done += 1;
                continue;
            }
            Outcome::Failed(error) => {
                failed += 1;
                (
                    format!("{red}error{red:#}"),
                    error.to_string(),
                    error.help(),
                )
            }
            Outcome::Unknown(error) => {
                unknown += 1;
                let help = "run `riskform get user` to check the score".to_owned();
                (format!("{red}error{red:#}"), error.to_string(), Some(help))
            }
            Outcome::NotAttempted(reason) => {
                not_attempted += 1;
                let label = format!("{yellow}not attempted{yellow:#}");
                (label, reason.to_string(), None)
            }
        };
        let _ = writeln!(text, "{label}: {user}: {}", EscapeInvisible(&message));
        if let Some(help) = help {
            let _ = writeln!(text, "  help: {}", EscapeInvisible(&help));
        }
    }
    let unknown = match unknown {
        0 => String::new(),
        unknown => format!("{unknown} unknown, "),
    };
    text + &match done == results.len() {
        true => format!("{green}Reset complete:{green:#} {done} reset.\n"),
        false => format!(
            "{red}Reset incomplete:{red:#} {done} reset, {failed} failed, {unknown}{not_attempted} not attempted.\n"
        ),
    }
}
