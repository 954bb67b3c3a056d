//! `riskform plan` and `riskform show`: load, read live state, plan, show; or show a saved plan.

use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;

use crate::cli::context::ContextArgs;
use crate::cli::error::{CommandError, fail_if_single_account};
use crate::cli::exit::Exit;
use crate::cli::flags::{FleetArgs, PlanningArgs};
use crate::cli::io::ci;
use crate::cli::io::files::FileMode;
use crate::cli::io::formats::{DetailArgs, FormatArgs, offer};
use crate::cli::io::output::Output;
use crate::cli::next_steps::{self, ACCOUNT, CONNECTION, FILES, PATHS, PLAN};
use crate::cli::planner::Planner;
use crate::cli::saved_plan;
use crate::cli::session::Session;
use crate::plan::{AccountPlan, Purpose, SavedPlan};
use crate::report;
use crate::report::OutputFormat::{Diff, Html, Json, Markdown, Text};

/// Flags of `plan`.
#[derive(Args, Debug)]
#[command(mut_arg("formats", |arg| offer(arg, &[Text, Json, Markdown, Diff, Html])))]
pub(crate) struct PlanArgs {
    /// Save the plan to a file for `apply --plan`
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Plan what `destroy` would do
    #[arg(long)]
    destroy: bool,
    /// Exit with code 2 if there are changes
    #[arg(long)]
    detailed_exitcode: bool,
    #[command(flatten)]
    formats: FormatArgs,
    #[command(flatten)]
    detail: DetailArgs,
    #[command(flatten)]
    planning: PlanningArgs,
    #[command(flatten)]
    context: ContextArgs,
    #[command(flatten)]
    fleet: FleetArgs,
}

/// Flags of `show`.
#[derive(Args, Debug)]
#[command(mut_arg("formats", |arg| offer(arg, &[Text, Json, Markdown, Diff, Html])))]
pub(crate) struct ShowArgs {
    /// File written by `plan --out`
    #[arg(value_name = "FILE")]
    file: PathBuf,
    #[command(flatten)]
    formats: FormatArgs,
    #[command(flatten)]
    detail: DetailArgs,
}

/// Shows the changes that `apply` or `destroy` would make.
pub(crate) async fn plan(args: PlanArgs, output: &Output) -> Result<Exit, CommandError> {
    let formats = args.formats.read(output)?;
    let detail = args.detail.read(&formats)?;
    let out = args.out.as_deref();
    let out = out.map(|file| output.create(file, FileMode::ReplacePrivate));
    let out = out.transpose()?;
    let (session, accounts) = Session::with_accounts(&args.fleet, output)?;
    let (purpose, next) = match args.destroy {
        true => (Purpose::Destroy, "destroy"),
        false => (Purpose::Apply, "apply"),
    };
    let options = args.planning.options(purpose, &session.limits);
    args.context.check(&accounts, &options)?;
    let planner = Planner::new(&args.fleet, args.context, &options, &session, output);
    let run = planner.plan(accounts).await?;
    formats.write(output, |format| {
        report::run(&run, format, detail, None, &str::to_owned)
    });
    ci::report_run(output, &run);
    fail_if_single_account(&run)?;
    if let Some(file) = out {
        let saved = SavedPlan::new(&run, planner.today, &options);
        saved_plan::write(file, &run, &saved, output)?;
    } else if run.accounts.iter().any(AccountPlan::is_applicable) {
        let repeated = [PLAN, CONNECTION, ACCOUNT, FILES, PATHS];
        let next = next_steps::follow_up(output, next, &repeated);
        next_steps::print(output, &next, "asks before it writes");
    }
    match Exit::from_run(&run, &[], None) {
        Exit::Changes if !args.detailed_exitcode => Ok(Exit::Done),
        exit => Ok(exit),
    }
}

/// Shows a saved plan in any of a plan's formats.
pub(crate) fn show(args: &ShowArgs, output: &Output) -> Result<Exit, CommandError> {
    let formats = args.formats.read(output)?;
    let detail = args.detail.read(&formats)?;
    let saved = saved_plan::read(&args.file, output)?.plan(&Arc::default());
    let run = saved.map_err(saved_plan::unusable(&args.file))?;
    formats.write(output, |format| {
        report::run(&run, format, detail, None, &str::to_owned)
    });
    Ok(Exit::Done)
}
