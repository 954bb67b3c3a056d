//! `riskform drift`: load, read live state, compare, show. Never writes to an account.

use std::time::Instant;

use clap::Args;
use futures_util::future::OptionFuture;

use crate::cli::error::CommandError;
use crate::cli::exit::Exit;
use crate::cli::flags::{FleetArgs, TargetArgs};
use crate::cli::io::ci;
use crate::cli::io::formats::{DetailArgs, FormatArgs, Formats};
use crate::cli::io::notify::NotifyArgs;
use crate::cli::io::output::Output;
use crate::cli::run::context::{self, ContextArgs, HistoryArgs};
use crate::cli::run::evidence;
use crate::cli::run::exit_codes::{exit_for_drift, fail_if_single_account};
use crate::cli::run::fleet::{self, LoadedFiles};
use crate::cli::run::load_context::LoadContext;
use crate::cli::run::next_steps::{self, NextStep, ShellCommand};
use crate::cli::run::planner::Planner;
use crate::cli::run::session::Session;
use crate::plan::{AccountPlan, Format, Glob, Options, Purpose, Run};
use crate::report::{self, DetailLevel, DriftFormat, RunMetrics};

/// Flags of `drift`.
#[derive(Args, Debug)]
pub(crate) struct DriftArguments {
    /// Ignore matching addresses (repeatable)
    ///
    /// Takes the same patterns as --target.
    #[arg(long = "ignore", value_name = "ADDRESS")]
    ignored: Vec<String>,
    #[command(flatten)]
    pub(crate) formats: FormatArgs<DriftFormat>,
    #[command(flatten)]
    detail: DetailArgs,
    #[command(flatten)]
    targets: TargetArgs,
    #[command(flatten)]
    notifications: NotifyArgs,
    #[command(flatten)]
    history: HistoryArgs,
    #[command(flatten)]
    context: ContextArgs,
    #[command(flatten)]
    fleet: FleetArgs,
}

/// Reports differences between live accounts and their files.
pub(crate) async fn run(arguments: DriftArguments, output: &Output) -> Result<Exit, CommandError> {
    let formats = arguments.formats.read(output)?;
    let detail = arguments.detail.read(&formats)?;
    let narrowed = [arguments.targets.raw(), &arguments.ignored];
    let notifications = arguments.notifications.read(&arguments.fleet, &narrowed)?;
    let checked = check(&arguments, &formats, output).await;
    if let Ok(checked) = &checked {
        checked.show(formats, detail, output);
    }
    let result = checked.as_ref();
    let result = result.map(|checked| (&checked.run, checked.exit()));
    notifications.tell(result, &arguments.fleet, output).await;
    let checked = checked?;
    ci::tell(output, &checked.run);
    fail_if_single_account(&checked.run)?;
    if checked.run.accounts.iter().any(AccountPlan::has_drift) {
        let words = ShellCommand::fleet_args(&arguments.fleet);
        let step = NextStep {
            line: next_steps::line("plan", &words),
            what: "see how to restore the declared state (or update the file)",
        };
        next_steps::say(output, &[step]);
    }
    Ok(checked.exit())
}

/// Result of a drift check.
struct DriftResult {
    run: Run,
    figures: RunMetrics,
}

async fn check(
    arguments: &DriftArguments,
    formats: &Formats<DriftFormat>,
    output: &Output,
) -> Result<DriftResult, CommandError> {
    let started = Instant::now();
    let surroundings = LoadContext::of(&arguments.fleet.desired)?;
    let LoadedFiles { accounts, files } = fleet::load(&arguments.fleet, &surroundings, output)?;
    let session = Session::open(&arguments.fleet.connect, output)?;
    let ignored = arguments.ignored.iter();
    let options = Options {
        purpose: Purpose::Drift,
        targets: arguments.targets.targets(),
        ignored: ignored.map(|glob| Glob::new(glob)).collect(),
        ..Options::default()
    };
    let planning = Planner::new(
        &arguments.fleet,
        arguments.context,
        &options,
        &session,
        output,
    );
    let drift = async |planned: AccountPlan| {
        let drift = planning.look_around(&planned).await.unwrap_or(planned);
        let attributed =
            context::attributed(&session, arguments.context, arguments.history, drift).await;
        match formats.kinds().any(DriftFormat::shows_states) {
            true => attributed,
            false => attributed.without_states(),
        }
    };
    let shows_evidence = formats.kinds().any(DriftFormat::shows_evidence);
    let evidence = shows_evidence
        .then(|| evidence::collect(&session, &accounts, &files, &surroundings.confinement));
    let evidence = OptionFuture::from(evidence);
    let compared = planning.each(accounts, drift);
    let (accounts, evidence) = tokio::join!(compared, evidence);
    let run = planning.run(Format::Drift, accounts?);
    let counters = session.counters();
    Ok(DriftResult {
        run: Run { evidence, ..run },
        figures: RunMetrics {
            elapsed: started.elapsed(),
            requests: counters.requests,
            retries: counters.retries,
        },
    })
}

impl DriftResult {
    /// Shows the drift. With `-q`, a text without drift is not printed, because cron mails all output.
    fn show(&self, formats: Formats<DriftFormat>, detail: DetailLevel, output: &Output) {
        let DriftResult { run, figures } = self;
        let render = |format| report::drift(run, format, detail, Some(figures));
        match formats.write_files(output, render) {
            None => {}
            Some(DriftFormat::Text) if output.is_quiet() && self.exit() == Exit::Done => {}
            Some(format) => output.rendered(format.as_str(), render(format)),
        }
    }

    fn exit(&self) -> Exit {
        exit_for_drift(&self.run)
    }
}
