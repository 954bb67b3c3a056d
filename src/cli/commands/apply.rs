//! `riskform apply` and `riskform destroy`: load, read live state, plan, show, ask, read again, write, verify, report.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;

use crate::cli::error::CommandError;
use crate::cli::exit::Exit;
use crate::cli::flags::{FleetArgs, OverrideArgs, TargetArgs};
use crate::cli::io::audit_log::AuditLog;
use crate::cli::io::files::FileMode;
use crate::cli::io::formats::FormatArgs;
use crate::cli::io::output::Output;
use crate::cli::run::apply_flow::{ApplyFlow, PlanSource, RollbackFile};
use crate::cli::run::context::ContextArgs;
use crate::cli::run::fleet;
use crate::cli::run::load_context::LoadContext;
use crate::cli::run::planner::Planner;
use crate::cli::run::saved_plan::{self, ApplyExpectations};
use crate::cli::run::session::Session;
use crate::plan::{Options, Purpose};
use crate::report::ApplyFormat;

/// Flags of `apply`.
#[derive(Args, Debug)]
pub(crate) struct ApplyArgs {
    /// Apply a saved plan
    ///
    /// Cannot be combined with files, targets or overrides.
    #[arg(
        long,
        value_name = "FILE",
        conflicts_with_all = ["paths", "root", "expect_accounts", "targets", "max_deletes", "allow_delete_all", "allow_weakening", "allow_policies", "no_context"]
    )]
    plan: Option<PathBuf>,
    /// Fail unless the saved plan has this digest
    ///
    /// The exit code is 4.
    #[arg(long, value_name = "DIGEST", requires = "plan")]
    expect_digest: Option<String>,
    #[command(flatten)]
    pub(crate) common: DestroyArgs,
}

/// Flags of `apply` and `destroy`.
#[derive(Args, Debug)]
pub(crate) struct DestroyArgs {
    /// Skip the confirmation prompt
    #[arg(long)]
    auto_approve: bool,
    /// Save the current state as a rollback file
    ///
    /// The file is written before the first write. It must not exist.
    #[arg(long, value_name = "FILE")]
    save_previous: Option<PathBuf>,
    /// Append a JSON line before and after each write
    ///
    /// Each line has the change, who ran the command and the result.
    #[arg(long, hide_short_help = true, value_name = "FILE")]
    audit_log: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) formats: FormatArgs<ApplyFormat>,
    #[command(flatten)]
    targets: TargetArgs,
    #[command(flatten)]
    overrides: OverrideArgs,
    #[command(flatten)]
    context: ContextArgs,
    #[command(flatten)]
    fleet: FleetArgs,
}

/// Plans and applies the changes, or applies a saved plan, after approval.
pub(crate) async fn apply(arguments: ApplyArgs, output: &Output) -> Result<Exit, CommandError> {
    match arguments.plan {
        Some(file) => {
            let digest = arguments.expect_digest.as_deref();
            apply_saved_plan(&file, digest, arguments.common, output).await
        }
        None => plan_and_apply(Purpose::Apply, arguments.common, output).await,
    }
}

/// Deletes the declared integrations and disables the declared behaviors, after approval.
pub(crate) async fn destroy(arguments: DestroyArgs, output: &Output) -> Result<Exit, CommandError> {
    plan_and_apply(Purpose::Destroy, arguments, output).await
}

async fn plan_and_apply(
    purpose: Purpose,
    arguments: DestroyArgs,
    output: &Output,
) -> Result<Exit, CommandError> {
    let formats = arguments.formats.read(output)?;
    let surroundings = LoadContext::of(&arguments.fleet.desired)?;
    let accounts = fleet::load(&arguments.fleet, &surroundings, output)?.accounts;
    let save_previous = arguments.open_previous(output)?;
    let audit_log = arguments.open_audit_log(output)?;
    let session = Session::open(&arguments.fleet.connect, output)?;
    let options = Options {
        purpose,
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
    let mut application = ApplyFlow {
        session: &session,
        fleet: &arguments.fleet,
        context: arguments.context,
        output,
        origin: PlanSource::ThisRun,
        audit_log,
        save_previous,
        plan: planning.plan(accounts).await?,
    };
    application.show(&formats);
    if application.has_changes() && !arguments.auto_approve {
        application.approve(&formats).await?;
    }
    let applied = application.carry_out().await?;
    application.report(&applied, formats)
}

async fn apply_saved_plan(
    file: &Path,
    digest: Option<&str>,
    arguments: DestroyArgs,
    output: &Output,
) -> Result<Exit, CommandError> {
    let formats = arguments.formats.read(output)?;
    output.add_input(file)?;
    let save_previous = arguments.open_previous(output)?;
    let session = Session::open(&arguments.fleet.connect, output)?;
    let surroundings = LoadContext::of(&arguments.fleet.desired)?;
    surroundings.add_input(output)?;
    let audit_log = arguments.open_audit_log(output)?;
    let plan = saved_plan::read_for_apply(
        file,
        &ApplyExpectations {
            digest,
            base_url: &session.base_url().to_string(),
            account_id: arguments.fleet.desired.who.account_id.as_ref(),
        },
    )?;
    let plan = plan.plan(&surroundings.limits);
    let mut application = ApplyFlow {
        session: &session,
        fleet: &arguments.fleet,
        context: arguments.context,
        output,
        origin: PlanSource::SavedPlan,
        audit_log,
        save_previous,
        plan: plan.map_err(saved_plan::unusable(file))?,
    };
    application.read_policies_again().await;
    application.show(&formats);
    // The plan may be stale, so check before asking for approval.
    if !application.is_blocked() {
        application.refresh().await?;
    }
    if application.has_changes() && !arguments.auto_approve {
        application.approve(&formats).await?;
    }
    let applied = application.carry_out().await?;
    application.report(&applied, formats)
}

impl DestroyArgs {
    /// Opens the rollback file. An existing one may be from an earlier, incomplete run.
    fn open_previous(&self, output: &Output) -> Result<RollbackFile, CommandError> {
        let Some(path) = &self.save_previous else {
            return Ok(RollbackFile::default());
        };
        let file = output.create_new(path, FileMode::OwnerOnly);
        let file = file.map_err(|error| match path.symlink_metadata() {
            Ok(_) => error.with_help(
                "choose another file name: it may be the rollback file of an earlier run",
            ),
            Err(_) => error,
        })?;
        Ok(RollbackFile::new(file))
    }

    fn open_audit_log(&self, output: &Output) -> Result<Option<AuditLog>, CommandError> {
        let path = self.audit_log.as_deref();
        path.map(|path| AuditLog::open(path, output)).transpose()
    }
}
