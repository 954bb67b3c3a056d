//! `riskform reset`: selects users, shows them, asks, resets their scores, reports.

use std::path::{Path, PathBuf};

use clap::Args;

use crate::api::ErrorKind;
use crate::apply::{ApplyEvent, Outcome, ResetResult, reset};
use crate::cli::commands::get::PrivacyArgs;
use crate::cli::error::CommandError;
use crate::cli::exit::Exit;
use crate::cli::flags::{ConnectionArgs, OneAccountArgs, level};
use crate::cli::io::audit_log::AuditLog;
use crate::cli::io::files;
use crate::cli::io::output::Output;
use crate::cli::io::terminal::{confirm, outcome_text};
use crate::cli::session::Session;
use crate::cli::signals;
use crate::cli::user_selection::{SelectedUsers, UserRef, choose, parse_list};
use crate::config::files::MAX_FILE_BYTES;
use crate::model::behavior::RiskLevel;
use crate::model::text::{abbreviate_list, pluralize};
use crate::model::user::{UserId, UserRisk};
use crate::report;
use crate::report::get::{Privacy, users_table};

/// Flags of `reset`.
#[derive(Args, Debug)]
pub(crate) struct ResetArgs {
    /// User IDs or email addresses
    #[arg(value_name = "USER", required_unless_present_any = ["levels", "from"])]
    users: Vec<UserRef>,
    /// Also reset every user at exactly this level
    ///
    /// LEVEL is low, medium or high. Repeatable.
    #[arg(long = "level", value_name = "LEVEL", value_parser = level)]
    levels: Vec<RiskLevel>,
    /// Also read users from a file
    ///
    /// One user per line. # starts a comment. `-` is standard input.
    #[arg(long, value_name = "FILE")]
    from: Option<PathBuf>,
    /// Skip the confirmation prompt
    #[arg(long)]
    auto_approve: bool,
    /// Show the users without resetting them
    #[arg(long, conflicts_with_all = ["auto_approve", "audit_log"])]
    dry_run: bool,
    /// Append a JSON line before and after each write
    ///
    /// Each line has the user, who ran the command and the result.
    #[arg(long, hide_short_help = true, value_name = "FILE")]
    audit_log: Option<PathBuf>,
    #[command(flatten)]
    privacy: PrivacyArgs,
    #[command(flatten)]
    who: OneAccountArgs,
    #[command(flatten)]
    connect: ConnectionArgs,
}

/// Resets the scores of the selected users, after approval.
pub(crate) async fn run(args: ResetArgs, output: &Output) -> Result<Exit, CommandError> {
    let mut names = args.users;
    if let Some(file) = &args.from {
        names.extend(read_user_list(file, output)?);
    }
    // Opened before the first request, so that an approved reset can be logged.
    let audit_log = args.audit_log.as_deref();
    let audit_log = audit_log.map(|path| AuditLog::open(path, output));
    let audit_log = audit_log.transpose()?;
    let (account, client) = Session::account(&args.who, &args.connect, output)?;
    let by_id = args.levels.is_empty() && names.iter().all(|name| matches!(name, UserRef::Id(_)));
    let denied = [&ErrorKind::Permission, &ErrorKind::CredentialsOrPermission];
    let summary = match client.reader().users(&account.id).await {
        Ok(users) => users,
        // Resetting by ID does not need permission to read users. With invalid credentials, the write fails with the same error.
        Err(error) if by_id && denied.contains(&error.kind()) => Vec::new(),
        Err(error) => return Err(error.into()),
    };
    let chosen = choose(&names, &args.levels, &summary)?;
    if chosen.is_empty() {
        output.status("No users to reset.");
        return Ok(Exit::Done);
    }
    output.result(shown(&chosen, args.privacy.privacy()));
    if args.dry_run {
        return Ok(Exit::Done);
    }
    if !args.auto_approve {
        let users = pluralize(chosen.len(), "user");
        confirm(&format!("Reset the risk score of {users}?")).await?;
    }
    signals::enter_write_phase()?;
    let users: Vec<UserId> = chosen.into_keys().collect();
    let mut finished = 0;
    let mut observe = |event: ApplyEvent<'_>| {
        if let Some(log) = &audit_log {
            log.observe(&account.id, &[], &event)?;
        }
        match event {
            ApplyEvent::Sending(_) => output.note_write(),
            ApplyEvent::Reset(ResetResult { user, report }) => {
                finished += 1;
                if !matches!(report.outcome, Outcome::NotAttempted(_)) {
                    let (total, outcome) = (users.len(), outcome_text(&report.outcome));
                    output.status(format_args!("[{finished}/{total}] {user}: {outcome}"));
                }
            }
            _ => {}
        }
        Ok(())
    };
    let resets = reset(&client.writer(), &account.id, &users, &mut observe).await;
    output.result(report::reset(&resets));
    let ended = signals::received().map(|signal| signal.exit);
    Ok(Exit::from_resets(&resets, ended))
}

/// Reads the users in a file.
fn read_user_list(path: &Path, output: &Output) -> Result<Vec<UserRef>, CommandError> {
    let name = format!("--from {}", path.display());
    let text = if path == Path::new("-") {
        files::read_stdin(&name)?
    } else {
        output.read_input(path, MAX_FILE_BYTES, &name)?
    };
    let text = String::from_utf8(text).map_err(CommandError::other(&name))?;
    parse_list(&text).map_err(|wrong| {
        CommandError::error(format_args!(
            "{name}: invalid lines (expected a user ID or an email address): {}",
            abbreviate_list(wrong)
        ))
    })
}

/// Returns a table of the users with a score, and the IDs of the others.
fn shown(chosen: &SelectedUsers, privacy: Privacy) -> String {
    let known: Vec<UserRisk> = chosen.values().flatten().cloned().collect();
    let table = match known.is_empty() {
        true => String::new(),
        false => users_table(&known, privacy),
    };
    let unknown = chosen.iter().filter(|(_, user)| user.is_none());
    let lines = unknown.map(|(id, _)| format!("{id}  no known score\n"));
    table + &lines.collect::<String>()
}
