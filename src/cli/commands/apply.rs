//! `riskform apply` and `riskform destroy`: load, read live state, plan, show, ask, read again, write, verify, report.

use std::path::{Path, PathBuf};

use clap::Args;

use crate::cli::apply_flow::{ApplyFlow, PlanSource, RollbackFile};
use crate::cli::context::ContextArgs;
use crate::cli::error::CommandError;
use crate::cli::exit::Exit;
use crate::cli::flags::{FleetArgs, PlanningArgs};
use crate::cli::io::audit_log::AuditLog;
use crate::cli::io::files::FileMode;
use crate::cli::io::formats::{FormatArgs, offer};
use crate::cli::io::output::Output;
use crate::cli::load::LoadContext;
use crate::cli::planner::Planner;
use crate::cli::saved_plan;
use crate::cli::session::Session;
use crate::plan::Purpose;
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
        conflicts_with_all = ["paths", "root", "expect_accounts", "target", "max_deletes", "allow_delete_all", "allow_weakening", "allow_policies", "no_context"]
    )]
    plan: Option<PathBuf>,
    /// Fail unless the saved plan has this digest
    ///
    /// The exit code is 4.
    #[arg(long, value_name = "DIGEST", requires = "plan")]
    expect_digest: Option<String>,
    #[command(flatten)]
    common: DestroyArgs,
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
    formats: FormatArgs,
    #[command(flatten)]
    planning: PlanningArgs,
    #[command(flatten)]
    context: ContextArgs,
    #[command(flatten)]
    fleet: FleetArgs,
}

/// Plans and applies the changes, or applies a saved plan, after approval.
pub(crate) async fn apply(args: ApplyArgs, output: &Output) -> Result<Exit, CommandError> {
    let digest = args.expect_digest.as_deref();
    let saved = args.plan.as_deref().map(|file| (file, digest));
    run(Purpose::Apply, saved, args.common, output).await
}

/// Deletes the declared integrations and disables the declared behaviors, after approval.
pub(crate) async fn destroy(args: DestroyArgs, output: &Output) -> Result<Exit, CommandError> {
    run(Purpose::Destroy, None, args, output).await
}

/// Makes or reads a plan and applies it. `saved` has the file of a saved plan and the expected digest.
async fn run(
    purpose: Purpose,
    saved: Option<(&Path, Option<&str>)>,
    args: DestroyArgs,
    output: &Output,
) -> Result<Exit, CommandError> {
    let formats = args.formats.read(output)?;
    let (audit_log, save_previous) = args.open_files(output)?;
    let (session, source, plan) = match saved {
        Some((file, digest)) => {
            let mut session = Session::open(&args.fleet.connect, output)?;
            session.limits = LoadContext::of(&args.fleet.desired, output)?.limits;
            let account_id = args.fleet.desired.who.account_id.as_ref();
            let base_url = session.base_url.to_string();
            let saved = saved_plan::read_for_apply(file, digest, &base_url, account_id, output)?;
            let plan = saved.plan(&session.limits);
            let plan = plan.map_err(saved_plan::unusable(file))?;
            (session, PlanSource::SavedPlan, plan)
        }
        None => {
            let (session, accounts) = Session::with_accounts(&args.fleet, output)?;
            let options = args.planning.options(purpose, &session.limits);
            args.context.check(&accounts, &options)?;
            let planner = Planner::new(&args.fleet, args.context, &options, &session, output);
            let plan = planner.plan(accounts).await?;
            (session, PlanSource::ThisRun, plan)
        }
    };
    let flow = ApplyFlow {
        session: &session,
        fleet: &args.fleet,
        context: args.context,
        output,
        source,
        audit_log,
        save_previous,
        plan,
    };
    flow.run(formats, args.auto_approve).await
}

impl DestroyArgs {
    /// Opens the audit log and the rollback file. An existing rollback file may be from an earlier, incomplete run.
    fn open_files(
        &self,
        output: &Output,
    ) -> Result<(Option<AuditLog>, RollbackFile), CommandError> {
        let help = "choose another file name: it may be the rollback file of an earlier run";
        let open = |path: &Path| {
            let file = output.create(path, FileMode::NewPrivate);
            file.map_err(|error| match path.symlink_metadata() {
                Ok(_) => error.with_help(help),
                Err(_) => error,
            })
        };
        let previous = self.save_previous.as_deref().map(open).transpose()?;
        let audit_log = self.audit_log.as_deref();
        let audit_log = audit_log.map(|path| AuditLog::open(path, output));
        Ok((audit_log.transpose()?, RollbackFile::new(previous)))
    }
}
