//! `riskform drift`: load, read live state, compare, show. Never writes to an account.

use std::time::Instant;

use clap::Args;
use futures_util::future::OptionFuture;

use crate::cli::context::{self, ContextArgs, HistoryArgs};
use crate::cli::error::{CommandError, fail_if_single_account};
use crate::cli::evidence;
use crate::cli::exit::Exit;
use crate::cli::flags::{FleetArgs, TargetArgs};
use crate::cli::io::formats::{DetailArgs, FormatArgs, Formats, offer};
use crate::cli::io::output::Output;
use crate::cli::io::{ci, environment};
use crate::cli::next_steps::{self, ACCOUNT, CONNECTION, FILES, PATHS};
use crate::cli::notify::NotifyArgs;
use crate::cli::planner::Planner;
use crate::cli::session::Session;
use crate::model::text::EscapeInvisible;
use crate::plan::{AccountPlan, Format, Glob, Options, Purpose, Run};
use crate::report::OutputFormat::{self, Html, Json, Junit, Markdown, Prometheus, Sarif, Text};
use crate::report::{self, RunMetrics};

/// Flags of `drift`.
#[derive(Args, Debug)]
#[command(mut_arg("formats", |arg| offer(arg, &[Text, Json, Markdown, Html, Junit, Sarif, Prometheus])))]
pub(crate) struct DriftArgs {
    /// Ignore matching addresses (repeatable)
    ///
    /// Takes the same patterns as --target.
    #[arg(long = "ignore", value_name = "ADDRESS")]
    ignored: Vec<Glob>,
    #[command(flatten)]
    formats: FormatArgs,
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
pub(crate) async fn run(args: DriftArgs, output: &Output) -> Result<Exit, CommandError> {
    let formats = args.formats.read(output)?;
    let detail = args.detail.read(&formats)?;
    let selection = [args.targets.target.as_slice(), &args.ignored];
    let notifications = args.notifications.read(&args.fleet, &selection, output)?;
    let result = check(&args, &formats, output).await;
    if let Ok((run, metrics)) = &result {
        let root = environment::allowed_root(args.fleet.desired.paths.root.clone());
        let paths = |file: &str| root.repository_path(file.as_ref());
        let render = |format| report::run(run, format, detail, Some(metrics), &paths);
        // With `-q`, a text without drift is not printed, because cron mails all output.
        let is_clean = Exit::from_run(run, &[], None) == Exit::Done;
        formats.write_unless_clean(output, is_clean, render);
    }
    let checked = result.as_ref().map(|(run, _)| run);
    notifications.send(checked, output).await;
    let (run, _) = result?;
    ci::report_run(output, &run);
    fail_if_single_account(&run)?;
    // Unlisted resources come with their own commands.
    if run
        .accounts
        .iter()
        .any(|account| !account.changes.is_empty())
    {
        let repeated = [CONNECTION, ACCOUNT, FILES, PATHS];
        let apply = next_steps::follow_up(output, "apply", &repeated);
        let purpose = match run.accounts.as_slice() {
            [account] => format!("restore what {} declares", EscapeInvisible(&account.source)),
            _ => "restore what the files declare".to_owned(),
        };
        next_steps::print(output, &apply, &purpose);
    }
    Ok(Exit::from_run(&run, &[], None))
}

async fn check(
    args: &DriftArgs,
    formats: &Formats,
    output: &Output,
) -> Result<(Run, RunMetrics), CommandError> {
    let started = Instant::now();
    let (session, accounts) = Session::with_accounts(&args.fleet, output)?;
    let options = Options {
        purpose: Purpose::Drift,
        targets: args.targets.target.clone(),
        ignored: args.ignored.clone(),
        ..Options::default()
    };
    let planner = Planner::new(&args.fleet, args.context, &options, &session, output);
    let drift = async |planned: AccountPlan| {
        let drift = planner.add_context(planned).await;
        context::add_attribution(&session, args.context, args.history, drift).await
    };
    let shows_evidence = formats.kinds().any(OutputFormat::shows_evidence);
    let evidence = shows_evidence.then(|| evidence::collect(&session, &accounts));
    let compared = planner.each(accounts, drift);
    let (accounts, evidence) = tokio::join!(compared, OptionFuture::from(evidence));
    let run = planner.run(Format::Drift, accounts?);
    let counters = session.counters();
    let metrics = RunMetrics {
        elapsed: started.elapsed(),
        requests: counters.requests,
        retries: counters.retries,
    };
    Ok((Run { evidence, ..run }, metrics))
}
