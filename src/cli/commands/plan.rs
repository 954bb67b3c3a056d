//! `riskform plan`: load, read live, plan, show.

use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;

use crate::cli::error::Error;
use crate::cli::exit::Exit;
use crate::cli::flags::{Fleet, OverrideArguments, TargetArguments};
use crate::cli::io::ci;
use crate::cli::io::formats::{DetailArguments, FormatArguments};
use crate::cli::io::output::Output;
use crate::cli::run::context::ContextArguments;
use crate::cli::run::ending::{fail_if_alone, of_plan};
use crate::cli::run::fleet;
use crate::cli::run::next::{self, Step, Words};
use crate::cli::run::planning::Planning;
use crate::cli::run::saved_plan;
use crate::cli::run::session::Session;
use crate::cli::run::surroundings::Surroundings;
use crate::plan::{AccountPlan, Intent, Options};
use crate::report::{self, PlanFormat};

/// Flags of `plan`.
#[derive(Args, Debug)]
pub(crate) struct PlanArguments {
    /// Save the plan in this file, for apply --plan
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// End with 2 when there are changes
    #[arg(long)]
    detailed_exitcode: bool,
    #[command(flatten)]
    pub(crate) formats: FormatArguments<PlanFormat>,
    #[command(flatten)]
    detail: DetailArguments,
    #[command(flatten)]
    targets: TargetArguments,
    #[command(flatten)]
    overrides: OverrideArguments,
    #[command(flatten)]
    context: ContextArguments,
    #[command(flatten)]
    fleet: Fleet,
}

/// Shows what `apply` would do.
pub(crate) async fn run(arguments: PlanArguments, output: &Output) -> Result<Exit, Error> {
    let formats = arguments.formats.read(output)?;
    let detail = arguments.detail.read(&formats)?;
    let surroundings = Surroundings::of(&arguments.fleet.desired)?;
    let accounts = fleet::load(&arguments.fleet, &surroundings, output)?;
    let session = Session::open(&arguments.fleet.connect, output)?;
    let options = Options {
        intent: Intent::Apply,
        targets: arguments.targets.targets(),
        overrides: arguments.overrides.overrides(),
        limits: Arc::clone(&surroundings.limits),
    };
    arguments.context.check(&accounts, &options)?;
    let planning = Planning::new(
        &arguments.fleet,
        arguments.context,
        &options,
        &session,
        output,
    );
    let run = planning.plan(accounts).await?;
    formats.write(output, |format| report::plan(&run, format, detail))?;
    ci::tell(output, &run);
    fail_if_alone(&run)?;
    if let Some(file) = &arguments.out {
        saved_plan::write(
            file,
            &run,
            &Words::of_connect(&arguments.fleet.connect),
            output,
        )?;
    } else if run.accounts.iter().any(AccountPlan::is_work) {
        next::say(output, &arguments.next());
    }
    let changes = if arguments.detailed_exitcode {
        Exit::Changes
    } else {
        Exit::Done
    };
    Ok(of_plan(&run, changes))
}

impl PlanArguments {
    /// What goes on from a plan that has something to do.
    fn next(&self) -> [Step; 2] {
        let mut words = Words::default();
        for target in self.targets.as_given() {
            words.flag("--target", Some(target));
        }
        let words = words
            .and(Words::of_overrides(self.overrides.overrides()))
            .and(Words::of_fleet(&self.fleet));
        [
            Step {
                line: next::line("apply", &words),
                what: "read again, ask, and carry it out",
            },
            Step {
                line: next::line("plan --out plan.json", &words),
                what: "save it, so that just this is carried out",
            },
        ]
    }
}
