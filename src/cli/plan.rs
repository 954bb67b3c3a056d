//! `riskform plan`: load, read live, plan, show.

use std::path::PathBuf;

use clap::Args;
use jiff::Timestamp;

use crate::plan::document::Document;
use crate::plan::{Intent, Options, Plan};
use crate::report::{self, PlanFormat};

use super::args::{Global, OverrideArguments, Paths, TargetArguments};
use super::ci;
use super::error::{Error, account_exit};
use super::exit::Exit;
use super::fleet::{self, Planning};
use super::format::FormatArguments;
use super::output::Output;
use super::saved_plan;
use super::session::Session;

/// Flags of `plan`.
#[derive(Args, Debug)]
pub(super) struct Arguments {
    #[command(flatten)]
    paths: Paths,
    /// Save the plan in this file, for apply --plan
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// End with 2 when there are changes
    #[arg(long)]
    detailed_exitcode: bool,
    #[command(flatten)]
    pub(super) formats: FormatArguments,
    #[command(flatten)]
    targets: TargetArguments,
    #[command(flatten)]
    overrides: OverrideArguments,
}

/// Shows what `apply` would do.
pub(super) async fn run(
    arguments: Arguments,
    global: &Global,
    output: &Output,
) -> Result<Exit, Error> {
    let formats = arguments.formats.read(PlanFormat::ALL)?;
    let accounts = fleet::load(&arguments.paths, global, output)?;
    let session = Session::open(global, output)?;
    let options = Options {
        intent: Intent::Apply,
        targets: arguments.targets.targets(),
        overrides: arguments.overrides.overrides(),
    };
    let planning = Planning {
        session: &session,
        today: fleet::today(),
        options: &options,
        parallelism: global.parallelism,
    };
    let plan = planning.plan(accounts).await?;
    formats.write(output, |format| {
        report::plan(&plan, format, Timestamp::now())
    })?;
    ci::tell(global, output, || {
        Document::of_plan(&plan, Timestamp::now())
    });
    fail_if_alone(&plan)?;
    if let Some(file) = &arguments.out {
        saved_plan::write(file, &plan)?;
    }
    let changes = if arguments.detailed_exitcode {
        Exit::Changes
    } else {
        Exit::Done
    };
    Ok(exit(&plan, changes))
}

/// Makes the failure of the only account the error of the run; in a fleet it is one finding among others.
pub(super) fn fail_if_alone(plan: &Plan) -> Result<(), Error> {
    match plan.accounts.as_slice() {
        [account] => match &account.result {
            Err(error) => Err(Error::Account(error.clone())),
            Ok(_) => Ok(()),
        },
        _ => Ok(()),
    }
}

/// How a run ends that only looked. `changes` is what an account with changes counts as.
pub(super) fn exit(plan: &Plan, changes: Exit) -> Exit {
    Exit::gravest(plan.accounts.iter().map(|account| match &account.result {
        Err(error) => account_exit(error),
        Ok(planned) if !planned.refusals.is_empty() => Exit::Refused,
        Ok(planned) if planned.is_empty() => Exit::Done,
        Ok(_) => changes,
    }))
}
