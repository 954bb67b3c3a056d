//! `riskform apply` and `riskform destroy`: load, read live, plan, show, ask, read again, write, read back, report.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;

use crate::cli::error::Error;
use crate::cli::exit::Exit;
use crate::cli::flags::{Fleet, OverrideArguments, TargetArguments};
use crate::cli::io::audit_log::AuditLog;
use crate::cli::io::formats::FormatArguments;
use crate::cli::io::output::Output;
use crate::cli::run::application::{Application, Origin};
use crate::cli::run::context::ContextArguments;
use crate::cli::run::fleet;
use crate::cli::run::planning::Planning;
use crate::cli::run::saved_plan::{self, Expected};
use crate::cli::run::session::Session;
use crate::cli::run::surroundings::Surroundings;
use crate::plan::{Intent, Options};
use crate::report::ApplyFormat;

/// Flags of `apply`.
#[derive(Args, Debug)]
pub(crate) struct ApplyArguments {
    /// Carry out this saved plan; it takes no files, targets or overrides
    #[arg(
        long,
        value_name = "FILE",
        conflicts_with_all = ["paths", "root", "expect_accounts", "shard", "targets", "max_deletes", "allow_delete_all", "allow_weakening", "allow_policies", "no_context"]
    )]
    plan: Option<PathBuf>,
    /// End with 4 unless the saved plan has this digest
    #[arg(long, value_name = "DIGEST", requires = "plan")]
    expect_digest: Option<String>,
    #[command(flatten)]
    pub(crate) common: DestroyArguments,
}

/// Flags of `apply` and `destroy`.
#[derive(Args, Debug)]
pub(crate) struct DestroyArguments {
    /// Apply without asking
    #[arg(long)]
    auto_approve: bool,
    /// Before the first write, save what is there: the way back
    #[arg(long, value_name = "FILE")]
    save_previous: Option<PathBuf>,
    /// Append a JSON line before and after each write: what it changes, by whom, and how it ended
    #[arg(long, value_name = "FILE")]
    audit_log: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) formats: FormatArguments<ApplyFormat>,
    #[command(flatten)]
    targets: TargetArguments,
    #[command(flatten)]
    overrides: OverrideArguments,
    #[command(flatten)]
    context: ContextArguments,
    #[command(flatten)]
    fleet: Fleet,
}

/// Carries out what `plan` shows, or showed when it was saved, once it is approved.
pub(crate) async fn apply(arguments: ApplyArguments, output: &Output) -> Result<Exit, Error> {
    match arguments.plan {
        Some(file) => {
            let digest = arguments.expect_digest.as_deref();
            carry_out_saved(&file, digest, arguments.common, output).await
        }
        None => plan_and_carry_out(Intent::Apply, arguments.common, output).await,
    }
}

/// Deletes the listed integrations and disables the listed behaviors, once that is approved.
pub(crate) async fn destroy(arguments: DestroyArguments, output: &Output) -> Result<Exit, Error> {
    plan_and_carry_out(Intent::Destroy, arguments, output).await
}

async fn plan_and_carry_out(
    intent: Intent,
    arguments: DestroyArguments,
    output: &Output,
) -> Result<Exit, Error> {
    let formats = arguments.formats.read(output)?;
    let surroundings = Surroundings::of(&arguments.fleet.desired)?;
    let accounts = fleet::load(&arguments.fleet, &surroundings, output)?;
    arguments.check_save_previous()?;
    let audit_log = arguments.open_audit_log()?;
    let session = Session::open(&arguments.fleet.connect, output)?;
    let options = Options {
        intent,
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
    let mut application = Application {
        session: &session,
        fleet: &arguments.fleet,
        context: arguments.context,
        output,
        origin: Origin::ThisRun,
        audit_log,
        save_previous: arguments.save_previous,
        plan: planning.plan(accounts).await?,
    };
    application.show(&formats)?;
    if application.has_work() && !arguments.auto_approve {
        application.approve(&formats).await?;
    }
    let applied = application.carry_out().await?;
    application.report(&applied, &formats)
}

async fn carry_out_saved(
    file: &Path,
    digest: Option<&str>,
    arguments: DestroyArguments,
    output: &Output,
) -> Result<Exit, Error> {
    let formats = arguments.formats.read(output)?;
    arguments.check_save_previous()?;
    let audit_log = arguments.open_audit_log()?;
    let session = Session::open(&arguments.fleet.connect, output)?;
    let surroundings = Surroundings::of(&arguments.fleet.desired)?;
    let plan = saved_plan::read_to_apply(
        file,
        &Expected {
            digest,
            base_url: &session.base_url().to_string(),
            account_id: arguments.fleet.desired.who.account_id.as_ref(),
            limits: &surroundings.limits,
        },
    )?;
    let mut application = Application {
        session: &session,
        fleet: &arguments.fleet,
        context: arguments.context,
        output,
        origin: Origin::SavedPlan,
        audit_log,
        save_previous: arguments.save_previous,
        plan,
    };
    application.show(&formats)?;
    // Nobody should be asked about a plan that can't be carried out any more, or be told that there is nothing to do.
    application.read_again().await?;
    if application.has_work() && !arguments.auto_approve {
        application.approve(&formats).await?;
    }
    let applied = application.carry_out().await?;
    application.report(&applied, &formats)
}

impl DestroyArguments {
    /// A second try must not overwrite what the first one saved: the way back to before both.
    fn check_save_previous(&self) -> Result<(), Error> {
        match &self.save_previous {
            Some(file) if file.symlink_metadata().is_ok() => Err(Error::Other(anyhow::anyhow!(
                "--save-previous {}: the file is there already, and may be the way back from an earlier run; name another one",
                file.display()
            ))),
            Some(_) | None => Ok(()),
        }
    }

    fn open_audit_log(&self) -> Result<Option<AuditLog>, Error> {
        self.audit_log.as_deref().map(AuditLog::open).transpose()
    }
}
