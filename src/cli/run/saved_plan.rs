//! Saved plans: `plan --out FILE` writes one, `apply --plan FILE` and `show FILE` read it.
//!
//! The file holds everything that a reviewer saw and nothing that is secret. Its digest tells accidents, such as a file that was cut off or
//! edited; it authenticates nobody, so whoever may write the file may decide what is applied.

use std::fs;
use std::path::Path;

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

use crate::cli::flags::Fleet;
use crate::cli::io::files::{Access, write_atomically};
use crate::cli::run::ending::Error;
use crate::cli::run::session::Session;
use crate::plan::Plan;
use crate::plan::document::Document;

/// Writes a plan to a file that its owner alone may read.
pub(crate) fn write(path: &Path, plan: &Plan) -> Result<(), Error> {
    let document = Document::of_plan(plan, Timestamp::now());
    write_atomically(path, &document.to_json(), Access::Owner)
}

/// A plan that was saved, and the day that it was made on.
pub(crate) struct SavedPlan {
    pub(crate) plan: Plan,
    pub(crate) made_on: Date,
}

/// Reads a saved plan; whatever is wrong with the file is an error of its own.
pub(crate) fn read(path: &Path) -> Result<SavedPlan, Error> {
    let name = path.display();
    let text = fs::read_to_string(path).map_err(Error::other(format!("{name} can't be read")))?;
    let document =
        Document::parse(&text).map_err(Error::other(format!("{name} is no usable plan")))?;
    let made_on = document.created_at.to_zoned(TimeZone::UTC).date();
    let plan = document
        .into_plan()
        .map_err(Error::other(format!("{name} is no usable plan")))?;
    Ok(SavedPlan { plan, made_on })
}

/// Refuses a plan that was made for another API or another account, or that a guard refused.
pub(crate) fn check(plan: &Plan, session: &Session, fleet: &Fleet) -> Result<(), Error> {
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
    let refusals: usize = plan.planned().map(|planned| planned.refusals.len()).sum();
    if refusals > 0 {
        return Err(Error::RefusedPlan(refusals));
    }
    Ok(())
}
