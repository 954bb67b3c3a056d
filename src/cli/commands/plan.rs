//! `riskform plan`: load, read live state, plan, show.

use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;

use crate::cli::error::CommandError;
use crate::cli::exit::Exit;
use crate::cli::flags::{FleetArgs, OverrideArgs, TargetArgs};
use crate::cli::io::ci;
use crate::cli::io::files::FileMode;
use crate::cli::io::formats::{DetailArgs, FormatArgs};
use crate::cli::io::output::Output;
use crate::cli::run::context::ContextArgs;
use crate::cli::run::exit_codes::{exit_for_plan, fail_if_single_account};
use crate::cli::run::fleet;
use crate::cli::run::load_context::LoadContext;
use crate::cli::run::next_steps::{self, NextStep, ShellCommand};
use crate::cli::run::planner::Planner;
use crate::cli::run::saved_plan;
use crate::cli::run::session::Session;
use crate::plan::{AccountPlan, Options, Purpose, SavedPlan};
use crate::report::{self, PlanFormat};

/// Flags of `plan`.
#[derive(Args, Debug)]
pub(crate) struct PlanArguments {
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
    pub(crate) formats: FormatArgs<PlanFormat>,
    #[command(flatten)]
    detail: DetailArgs,
    #[command(flatten)]
    targets: TargetArgs,
    #[command(flatten)]
    overrides: OverrideArgs,
    #[command(flatten)]
    context: ContextArgs,
    #[command(flatten)]
    fleet: FleetArgs,
}

/// Shows the changes that `apply` or `destroy` would make.
pub(crate) async fn run(arguments: PlanArguments, output: &Output) -> Result<Exit, CommandError> {
    let formats = arguments.formats.read(output)?;
    let detail = arguments.detail.read(&formats)?;
    let out = arguments.out.as_deref();
    let out = out.map(|file| output.create(file, FileMode::OwnerOnly));
    let out = out.transpose()?;
    let surroundings = LoadContext::of(&arguments.fleet.desired)?;
    let accounts = fleet::load(&arguments.fleet, &surroundings, output)?.accounts;
    let session = Session::open(&arguments.fleet.connect, output)?;
    let options = Options {
        purpose: match arguments.destroy {
            true => Purpose::Destroy,
            false => Purpose::Apply,
        },
        targets: arguments.targets.targets(),
        ignored: Vec::new(),
        overrides: arguments.overrides.overrides(),
        limits: Arc::clone(&surroundings.limits),
    };
    arguments.context.check(&accounts, &options)?;
    let planning = Planner::new(
        &arguments.fleet,
        arguments.context,
        &options,
        &session,
        output,
    );
    let run = planning.plan(accounts).await?;
    formats.write(output, |format| report::plan(&run, format, detail));
    ci::tell(output, &run);
    fail_if_single_account(&run)?;
    if let Some(file) = out {
        saved_plan::write(
            file,
            &run,
            &SavedPlan::new(&run, planning.today(), &options),
            &ShellCommand::of_connect(&arguments.fleet.connect),
            output,
        )?;
    } else if run.accounts.iter().any(AccountPlan::is_applicable) {
        next_steps::say(output, &[arguments.next()]);
    }
    let changes = if arguments.detailed_exitcode {
        Exit::Changes
    } else {
        Exit::Done
    };
    Ok(exit_for_plan(&run, changes))
}

impl PlanArguments {
    /// Returns the command that applies the plan.
    fn next(&self) -> NextStep {
        let mut words = ShellCommand::default();
        for target in self.targets.raw() {
            words.flag("--target", Some(target));
        }
        let words = words
            .and(ShellCommand::of_overrides(self.overrides.overrides()))
            .and(ShellCommand::fleet_args(&self.fleet));
        let command = match self.destroy {
            true => "destroy",
            false => "apply",
        };
        NextStep {
            line: next_steps::line(command, &words),
            what: "asks before it writes",
        }
    }
}
