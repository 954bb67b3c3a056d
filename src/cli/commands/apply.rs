//! `riskform apply` and `riskform destroy`: load, read live state, plan, show, ask, read again, write, verify, report.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;

use crate::cli::apply_flow::{ApplyFlow, PlanSource, RollbackFile};
use crate::cli::context::ContextArgs;
use crate::cli::error::CommandError;
use crate::cli::exit::Exit;
use crate::cli::flags::{FleetArgs, OverrideArgs, TargetArgs};
use crate::cli::io::audit_log::AuditLog;
use crate::cli::io::files::FileMode;
use crate::cli::io::formats::{FormatArgs, offer};
use crate::cli::io::output::Output;
use crate::cli::load::LoadContext;
use crate::cli::planner::Planner;
use crate::cli::saved_plan::{self, ApplyExpectations};
use crate::cli::session::Session;
use crate::plan::{Options, Purpose};
use crate::report::OutputFormat::{Json, Markdown, Text};

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
#[command(mut_arg("formats", |arg| offer(arg, &[Text, Json, Markdown])))]
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
    pub(crate) formats: FormatArgs,
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
pub(crate) async fn apply(args: ApplyArgs, output: &Output) -> Result<Exit, CommandError> {
    let digest = args.expect_digest.as_deref();
    match args.plan {
        Some(file) => apply_saved_plan(&file, digest, args.common, output).await,
        None => plan_and_apply(Purpose::Apply, args.common, output).await,
    }
}

/// Deletes the declared integrations and disables the declared behaviors, after approval.
pub(crate) async fn destroy(args: DestroyArgs, output: &Output) -> Result<Exit, CommandError> {
    plan_and_apply(Purpose::Destroy, args, output).await
}

async fn plan_and_apply(
    purpose: Purpose,
    args: DestroyArgs,
    output: &Output,
) -> Result<Exit, CommandError> {
    let formats = args.formats.read(output)?;
    let (session, accounts) = Session::with_accounts(&args.fleet, output)?;
    let (audit_log, save_previous) = args.open_files(output)?;
    let options = Options {
        purpose,
        targets: args.targets.targets(),
        ignored: Vec::new(),
        overrides: args.overrides.overrides(),
        limits: Arc::clone(&session.limits),
    };
    args.context.check(&accounts, &options)?;
    let planner = Planner::new(&args.fleet, args.context, &options, &session, output);
    let flow = ApplyFlow {
        session: &session,
        fleet: &args.fleet,
        context: args.context,
        output,
        source: PlanSource::ThisRun,
        audit_log,
        save_previous,
        plan: planner.plan(accounts).await?,
    };
    flow.run(formats, args.auto_approve).await
}

async fn apply_saved_plan(
    file: &Path,
    digest: Option<&str>,
    args: DestroyArgs,
    output: &Output,
) -> Result<Exit, CommandError> {
    let formats = args.formats.read(output)?;
    output.add_input(file)?;
    let mut session = Session::open(&args.fleet.connect, output)?;
    session.limits = LoadContext::of(&args.fleet.desired, output)?.limits;
    let (audit_log, save_previous) = args.open_files(output)?;
    let expected = ApplyExpectations {
        digest,
        base_url: &session.base_url().to_string(),
        account_id: args.fleet.desired.who.account_id.as_ref(),
    };
    let plan = saved_plan::read_for_apply(file, &expected)?.plan(&session.limits);
    let mut flow = ApplyFlow {
        session: &session,
        fleet: &args.fleet,
        context: args.context,
        output,
        source: PlanSource::SavedPlan,
        audit_log,
        save_previous,
        plan: plan.map_err(saved_plan::unusable(file))?,
    };
    flow.read_policies_again().await;
    flow.run(formats, args.auto_approve).await
}

impl DestroyArgs {
    /// Opens the audit log and the rollback file. An existing rollback file may be from an earlier, incomplete run.
    fn open_files(
        &self,
        output: &Output,
    ) -> Result<(Option<AuditLog>, RollbackFile), CommandError> {
        let previous = self.save_previous.as_deref().map(|path| {
            let file = output.create_new(path, FileMode::OwnerOnly);
            file.map_err(|error| match path.symlink_metadata() {
                Ok(_) => error.with_help(
                    "choose another file name: it may be the rollback file of an earlier run",
                ),
                Err(_) => error,
            })
        });
        let previous = previous.transpose()?;
        let audit_log = self.audit_log.as_deref();
        let audit_log = audit_log.map(|path| AuditLog::open(path, output));
        Ok((audit_log.transpose()?, RollbackFile::new(previous)))
    }
}
