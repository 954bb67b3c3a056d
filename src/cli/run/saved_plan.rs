//! Saved plans: `plan --out FILE` writes one, `apply --plan FILE` and `show FILE` read it.
//!
//! The file holds everything that a reviewer saw and nothing that is secret. Its digest tells accidents, such as a file that was cut off or
//! edited; it authenticates nobody, so whoever may write the file may decide what is applied.

use std::fs;
use std::path::Path;

use crate::cli::flags::Fleet;
use crate::cli::io::files::{Access, write_atomically};
use crate::cli::run::ending::Error;
use crate::cli::run::session::Session;
use crate::plan::{Format, Run};

/// Writes a plan to a file that its owner alone may read.
pub(crate) fn write(path: &Path, plan: &Run) -> Result<(), Error> {
    write_atomically(path, &plan.to_json(), Access::Owner)
}

/// Reads a saved plan; whatever is wrong with the file is an error of its own.
pub(crate) fn read(path: &Path) -> Result<Run, Error> {
    let name = path.display();
    let text = fs::read_to_string(path).map_err(Error::other(format!("{name} can't be read")))?;
    let read = Run::read(&text, &[Format::Plan])
        .map_err(Error::other(format!("{name} is not a usable plan")))?;
    Ok(read.run)
}

/// Refuses a plan that was made for another API or another account, or that a guard refused.
pub(crate) fn check(plan: &Run, session: &Session, fleet: &Fleet) -> Result<(), Error> {
    let base_url = session.base_url().to_string();
    if plan.base_url != base_url {
        return Err(Error::Other(anyhow::anyhow!(
            "the plan was made against {}, and this run is against {base_url}",
            plan.base_url
        )));
    }
    for account in &plan.accounts {
        if let Some(wanted) = &fleet.desired.who.account_id
            && *wanted != account.account_id
        {
            return Err(Error::Other(anyhow::anyhow!(
                "the plan is for the account {}, and --account-id names {wanted}",
                account.account_id
            )));
        }
    }
    let refusals: usize = plan
        .accounts
        .iter()
        .map(|account| account.refusals.len())
        .sum();
    if refusals > 0 {
        return Err(Error::RefusedPlan(refusals));
    }
    Ok(())
}
