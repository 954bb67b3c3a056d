//! `riskform reset`: choose users, show them, ask, clear their scores one by one, report.

use std::path::{Path, PathBuf};

use clap::Args;

use crate::api::{ApiError, ErrorKind};
use crate::apply::Stop;
use crate::cli::commands::get::PrivacyArguments;
use crate::cli::flags::{Connect, Who};
use crate::cli::io::audit_log::{AuditLog, Call};
use crate::cli::io::output::Output;
use crate::cli::io::prompt;
use crate::cli::run::ending::{Error, Exit, account_error, account_exit};
use crate::cli::run::session::Account;
use crate::cli::run::signals;
use crate::cli::run::users::{Chosen, UserName, choose, parse_list};
use crate::model::behavior::RiskLevel;
use crate::model::user::{UserId, UserRisk};
use crate::plan::AccountError;
use crate::report::read::{Privacy, users_table};
use crate::report::text::{ResetEnd, ResetText, count};

/// Flags of `reset`.
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// Users, by id or e-mail address
    #[arg(value_name = "USER", required_unless_present_any = ["levels", "from"])]
    users: Vec<UserName>,
    /// Every user of exactly this level as well: low, medium or high; may be repeated
    #[arg(long = "level", value_name = "LEVEL")]
    levels: Vec<RiskLevel>,
    /// Every user whom a file names as well: one a line, # begins a comment; - is standard input
    #[arg(long, value_name = "FILE")]
    from: Option<PathBuf>,
    /// Reset without asking
    #[arg(long, conflicts_with = "dry_run")]
    auto_approve: bool,
    /// Only show who would be reset
    #[arg(long)]
    dry_run: bool,
    /// Append what is about to be written and how it went to this file, a JSON object a line
    #[arg(long, value_name = "FILE")]
    audit_log: Option<PathBuf>,
    #[command(flatten)]
    privacy: PrivacyArguments,
    #[command(flatten)]
    who: Who,
    #[command(flatten)]
    connect: Connect,
}

/// Clears the scores of the chosen users, once that is approved.
pub(crate) async fn run(arguments: Arguments, output: &Output) -> Result<Exit, Error> {
    let mut names = arguments.users;
    if let Some(file) = &arguments.from {
        names.extend(listed(file)?);
    }
    let account = Account::open(&arguments.who, &arguments.connect, output)?;
    let chosen = find(&names, &arguments.levels, &account).await?;
    if chosen.is_empty() {
        output.say("Nobody to reset.");
        return Ok(Exit::Done);
    }
    output.result(shown(&chosen, arguments.privacy.privacy(), output.width()))?;
    if arguments.dry_run {
        return Ok(Exit::Done);
    }
    // Nobody is to agree to what then can't be written down.
    let audit_log = arguments.audit_log.as_deref();
    let audit_log = audit_log.map(AuditLog::open).transpose()?;
    if !arguments.auto_approve {
        let users = count(chosen.len(), "user");
        prompt::approve(&format!("Reset the risk score of {users}?"))?;
    }
    let mut run = Run {
        account: &account,
        output,
        stop: signals::stop_on_signals(output.clone())?,
        audit_log,
        obstacle: None,
        wrote: false,
    };
    let total = chosen.len();
    let mut ends = Vec::with_capacity(total);
    for (index, user) in chosen.into_keys().enumerate() {
        let end = run.reset(user).await;
        run.tell(&format!("[{}/{total}]", index + 1), user, &end);
        ends.push((user, end));
    }
    output.result(ResetText(&ends))?;
    Ok(run.exit(&ends))
}

/// Reads the users of a file.
fn listed(path: &Path) -> Result<Vec<UserName>, Error> {
    let text = if path == Path::new("-") {
        std::io::read_to_string(std::io::stdin())
    } else {
        std::fs::read_to_string(path)
    };
    let text = text.map_err(Error::other(format!("--from {}", path.display())))?;
    parse_list(&text).map_err(|wrong| {
        let lines: Vec<String> = wrong.iter().map(ToString::to_string).collect();
        Error::Other(anyhow::anyhow!(
            "--from {}: lines without an id (a UUID) or an e-mail address: {}",
            path.display(),
            lines.join(", ")
        ))
    })
}

/// Finds everybody who is meant. If one can't be found for certain, nobody is reset.
async fn find(
    names: &[UserName],
    levels: &[RiskLevel],
    account: &Account,
) -> Result<Chosen, Error> {
    let by_id_alone = levels.is_empty() && names.iter().all(|name| matches!(name, UserName::Id(_)));
    let summary = match account.connection.reader().users(&account.id).await {
        Ok(answer) => answer.value,
        // Whoever may not read about people can still reset those whose ids are known.
        Err(error) if by_id_alone && *error.kind() == ErrorKind::Permission => Vec::new(),
        Err(error) => return Err(Error::Account(account_error(&error))),
    };
    choose(names, levels, &summary).map_err(Error::NoSuchUsers)
}

/// Who would be reset: a table of those who have a score, and the ids of the others.
fn shown(chosen: &Chosen, privacy: Privacy, width: u16) -> String {
    let mut text = String::new();
    let known: Vec<UserRisk> = chosen.values().flatten().cloned().collect();
    if !known.is_empty() {
        text.push_str(&users_table(&known, privacy, width));
    }
    for (id, user) in chosen {
        if user.is_none() {
            text.push_str(&format!("{id}  no score is known\n"));
        }
    }
    text
}

/// Resets under way.
struct Run<'a> {
    account: &'a Account,
    output: &'a Output,
    stop: Stop,
    audit_log: Option<AuditLog>,
    /// Why no further reset is attempted.
    obstacle: Option<String>,
    /// Whether anything was written, or may have been.
    wrote: bool,
}

impl Run<'_> {
    /// Resets one user. A failure that is about this user does not keep the next from being tried.
    async fn reset(&mut self, user: UserId) -> ResetEnd {
        if self.stop.is_requested() {
            self.obstacle = Some("stopped on request".to_owned());
        }
        if let Some(obstacle) = &self.obstacle {
            return ResetEnd::NotAttempted(obstacle.clone());
        }
        let Account {
            id: account_id,
            connection,
        } = self.account;
        let call = Call {
            account_id,
            address: &format!("user[{user}]"),
            action: "reset",
            integration_id: None,
        };
        if let Some(Err(error)) = self.audit_log.as_ref().map(|log| log.intent(call)) {
            let obstacle = format!("{error:#}");
            self.obstacle = Some(obstacle.clone());
            return ResetEnd::NotAttempted(obstacle);
        }
        let answer = connection.writer().reset_user(account_id, user).await;
        let outcome = match &answer {
            Ok(answer) => Ok(answer.audit_log_id.as_deref()),
            Err(error) => Err(error),
        };
        if let Some(Err(error)) = self
            .audit_log
            .as_ref()
            .map(|log| log.outcome(call, outcome))
        {
            self.obstacle = Some(format!("{error:#}"));
        }
        match answer {
            Ok(_) => {
                self.wrote = true;
                ResetEnd::Done
            }
            Err(error) => ResetEnd::Failed(self.failed(&error)),
        }
    }

    fn failed(&mut self, error: &ApiError) -> AccountError {
        let mut failure = account_error(error);
        if error.is_ambiguous() {
            self.wrote = true;
            failure
                .message
                .push_str("; the score may be cleared all the same");
        }
        match error.kind() {
            // These are about the token and the account, and would be the same for everybody.
            ErrorKind::Credentials | ErrorKind::Permission | ErrorKind::Entitlement => {
                self.obstacle =
                    Some("the one before was refused for a reason that holds for all".to_owned());
            }
            ErrorKind::NotFound
            | ErrorKind::RateLimited
            | ErrorKind::Refused
            | ErrorKind::ServerFault { .. }
            | ErrorKind::Transport { .. }
            | ErrorKind::Unexpected { .. } => {}
        }
        failure
    }

    fn tell(&self, position: &str, user: UserId, end: &ResetEnd) {
        let word = match end {
            ResetEnd::Done => "done",
            ResetEnd::Failed(_) => "failed",
            ResetEnd::NotAttempted(_) => return,
        };
        self.output.say(format_args!("{position} {user}: {word}"));
    }

    /// How the run ends: where nothing was written, the reason counts; otherwise it is incomplete.
    fn exit(&self, ends: &[(UserId, ResetEnd)]) -> Exit {
        let mut failures = ends.iter().filter_map(|(_, end)| match end {
            ResetEnd::Done => None,
            ResetEnd::Failed(error) => Some(account_exit(error)),
            ResetEnd::NotAttempted(_) => Some(Exit::Error),
        });
        match failures.next() {
            None => Exit::Done,
            Some(_) if self.wrote => Exit::Incomplete,
            Some(first) => first,
        }
    }
}
