//! `riskform drift`: load, read live, compare, show. Nothing is ever written to an account.

use std::time::Instant;

use clap::Args;

use crate::cli::error::Error;
use crate::cli::exit::Exit;
use crate::cli::flags::{Fleet, TargetArguments};
use crate::cli::io::ci;
use crate::cli::io::formats::{DetailArguments, FormatArguments, Formats};
use crate::cli::io::notifications::NotifyArguments;
use crate::cli::io::output::Output;
use crate::cli::run::context::{self, ContextArguments, HistoryArguments};
use crate::cli::run::ending::{fail_if_alone, of_drift};
use crate::cli::run::fleet;
use crate::cli::run::next::{self, Step, Words};
use crate::cli::run::planning::Planning;
use crate::cli::run::session::Session;
use crate::cli::run::surroundings::Surroundings;
use crate::plan::{AccountPlan, Format, Glob, Keep, Options, Run, Scope};
use crate::report::{self, Detail, DriftFormat, RunFigures};

/// Flags of `drift`.
#[derive(Args, Debug)]
pub(crate) struct DriftArguments {
    /// Leave these addresses out (as of --target); may be repeated
    #[arg(long = "ignore", value_name = "ADDRESS")]
    ignored: Vec<String>,
    #[command(flatten)]
    pub(crate) formats: FormatArguments<DriftFormat>,
    #[command(flatten)]
    detail: DetailArguments,
    #[command(flatten)]
    targets: TargetArguments,
    #[command(flatten)]
    notifications: NotifyArguments,
    #[command(flatten)]
    history: HistoryArguments,
    #[command(flatten)]
    context: ContextArguments,
    #[command(flatten)]
    fleet: Fleet,
}

/// Says how the live accounts differ from their files.
pub(crate) async fn run(arguments: DriftArguments, output: &Output) -> Result<Exit, Error> {
    let formats = arguments.formats.read(output)?;
    let detail = arguments.detail.read(&formats)?;
    let narrowed = [arguments.targets.as_given(), &arguments.ignored];
    let notifications = arguments.notifications.read(&arguments.fleet, &narrowed)?;
    let checked = check(&arguments, &formats, output)
        .await
        .and_then(|checked| checked.show(&formats, detail, output).map(|()| checked));
    let result = checked.as_ref();
    let result = result.map(|checked| (&checked.run, checked.exit()));
    notifications.tell(result, &arguments.fleet, output).await;
    let checked = checked?;
    ci::tell(output, &checked.run);
    fail_if_alone(&checked.run)?;
    if checked.run.accounts.iter().any(AccountPlan::has_drift) {
        let words = Words::of_fleet(&arguments.fleet);
        let step = Step {
            line: next::line("plan", &words),
            what: "see what apply would do about it; or change the file to what is live",
        };
        next::say(output, &[step]);
    }
    Ok(checked.exit())
}

/// What the formats need of each account.
fn keep(formats: &Formats<DriftFormat>) -> Keep {
    if formats.kinds().any(DriftFormat::shows_states) {
        Keep::States
    } else {
        Keep::Differences
    }
}

/// What the file of metrics holds from the run before.
fn previous_metrics(formats: &Formats<DriftFormat>) -> Option<String> {
    let mut files = formats.files.iter();
    let (_, file) = files.find(|(kind, _)| *kind == DriftFormat::Prometheus)?;
    // Reading from a pipe would wait for somebody to write.
    let is_file = std::fs::metadata(file).is_ok_and(|file| file.is_file());
    is_file.then(|| std::fs::read_to_string(file).ok())?
}

/// What a check found.
struct Checked {
    run: Run,
    figures: RunFigures,
}

async fn check(
    arguments: &DriftArguments,
    formats: &Formats<DriftFormat>,
    output: &Output,
) -> Result<Checked, Error> {
    let started = Instant::now();
    let surroundings = Surroundings::of(&arguments.fleet.desired)?;
    let accounts = fleet::load(&arguments.fleet, &surroundings, output)?;
    let session = Session::open(&arguments.fleet.connect, output)?;
    // Everything is compared and then narrowed: a target that would need another address for being applied is drift all the same.
    let scope = Scope {
        targets: arguments.targets.targets(),
        ignored: arguments
            .ignored
            .iter()
            .map(|glob| Glob::new(glob))
            .collect(),
    };
    let options = Options::default();
    let planning = Planning::new(
        &arguments.fleet,
        arguments.context,
        &options,
        &session,
        output,
    );
    let drift = async |planned: AccountPlan| {
        let drift = planned.into_drift(&scope);
        let drift = match planning.look_around(&drift).await {
            Some(planned) => planned.into_drift(&scope),
            None => drift,
        };
        let attributed = context::attributed(&session, arguments.context, arguments.history, drift);
        attributed.await.keeping(keep(formats))
    };
    let accounts = planning.each(accounts, &scope, drift).await?;
    let counters = session.counters();
    Ok(Checked {
        run: planning.run(Format::Drift, accounts),
        figures: RunFigures {
            elapsed: started.elapsed(),
            requests: counters.requests,
            retries: counters.retries,
            previous: previous_metrics(formats),
        },
    })
}

impl Checked {
    /// Shows what was found. With `-q` a text without drift is not printed, since cron mails whatever is.
    fn show(
        &self,
        formats: &Formats<DriftFormat>,
        detail: Detail,
        output: &Output,
    ) -> Result<(), Error> {
        let Checked { run, figures } = self;
        let render = |format| report::drift(run, format, detail, Some(figures));
        formats.write_files(output, render)?;
        match formats.stdout {
            None => Ok(()),
            Some(DriftFormat::Text) if output.is_quiet() && self.exit() == Exit::Done => Ok(()),
            Some(format) => output.rendered(format.as_str(), render(format)),
        }
    }

    fn exit(&self) -> Exit {
        of_drift(&self.run)
    }
}
