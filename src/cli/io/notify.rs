//! `--notify`: who hears how a check ended, and what each was told already.

use std::path::PathBuf;

use clap::Args;
use futures_util::future::join_all;
use jiff::{SignedDuration, Timestamp};
use reqwest::Certificate;

use crate::cli::error::CommandError;
use crate::cli::exit::Exit;
use crate::cli::flags::FleetArgs;
use crate::cli::io::environment::{self, variable};
use crate::cli::io::output::Output;
use crate::cli::io::state::State;
use crate::cli::run::next_steps;
use crate::notify::{
    CheckResult, DeliveryRecord, Message, NotifyOn, Outcome, Settings, Target, TargetKind, notify,
};
use crate::plan::{Run, sha256};

/// The flags of a command that notifies.
#[derive(Args, Debug)]
pub(crate) struct NotifyArgs {
    /// Send drift and errors to a URL
    ///
    /// The URL is a webhook, Slack (slack+https://…), or a service to call if there is no drift (ping+https://…). Repeatable.
    /// Prefer RISKFORM_NOTIFY, because command lines are visible to other users. [env: RISKFORM_NOTIFY]
    // A text, since clap would show one that can't be read, and most of it is a secret.
    #[arg(long = "notify", value_name = "URL")]
    urls: Vec<String>,
    /// Notify after every run, not only on drift and errors
    #[arg(long, hide_short_help = true, help_heading = "Notifications")]
    notify_always: bool,
    /// Hours after which unchanged drift is sent again (0: every run)
    #[arg(long, hide_short_help = true, help_heading = "Notifications", value_name = "HOURS", default_value = "24", value_parser = hours)]
    notify_again: SignedDuration,
}

fn hours(text: &str) -> Result<SignedDuration, &'static str> {
    let hours = text.parse::<u32>();
    hours
        .map(|hours| SignedDuration::from_hours(hours.into()))
        .map_err(|_| "expected a number of hours, 0 or more")
}

impl NotifyArgs {
    /// Reads who is to be told. RISKFORM_NOTIFY_SECRET signs what goes to webhooks. `narrowed` is what the check is narrowed by.
    pub(crate) fn read(
        &self,
        fleet: &FleetArgs,
        narrowed: &[&[String]],
    ) -> Result<Notifications, CommandError> {
        let targets = if self.urls.is_empty() {
            let urls = variable(environment::NOTIFY).unwrap_or_default();
            targets(environment::NOTIFY, urls.split_whitespace())?
        } else {
            targets("--notify", self.urls.iter().map(String::as_str))?
        };
        let when = if self.notify_always {
            NotifyOn::Always
        } else {
            NotifyOn::Problems
        };
        let certificates = match &fleet.connect.ca_bundle {
            Some(path) if !targets.is_empty() => certificates(path)?,
            Some(_) | None => Vec::new(),
        };
        Ok(Notifications {
            targets,
            again: match when {
                NotifyOn::Always => SignedDuration::ZERO,
                NotifyOn::Problems => self.notify_again,
            },
            about: about(fleet, narrowed),
            settings: Settings {
                when,
                secret: variable(environment::NOTIFY_SECRET).map(Into::into),
                certificates,
                ..Settings::default()
            },
        })
    }
}

/// Names what is checked: the files and what else decides which accounts they declare. Where a check fails before it knows its accounts,
/// that is all there is to know it by.
fn about(fleet: &FleetArgs, narrowed: &[&[String]]) -> String {
    let absolute = |path: &PathBuf| std::path::absolute(path).unwrap_or_else(|_| path.clone());
    let paths = fleet.desired.paths.paths.iter();
    let paths: Vec<PathBuf> = paths.map(absolute).collect();
    let account = &fleet.desired.who.account_id;
    let base_url = &fleet.connect.base_url;
    sha256(&(
        paths,
        account
            .clone()
            .map(|id| id.to_string())
            .or_else(|| variable(environment::ACCOUNT_ID)),
        fleet.connect.sandbox,
        base_url.clone().or_else(|| variable(environment::BASE_URL)),
        fleet.shard.map(|shard| shard.to_string()),
        narrowed,
    ))
}

fn targets<'a>(
    given_as: &str,
    urls: impl Iterator<Item = &'a str>,
) -> Result<Vec<Target>, CommandError> {
    urls.enumerate()
        .map(|(index, url)| {
            url.parse().map_err(|error| {
                CommandError::Usage(format!("{given_as}, URL {}: {error}", index + 1))
            })
        })
        .collect()
}

fn certificates(path: &std::path::Path) -> Result<Vec<Certificate>, CommandError> {
    let context = || format!("--ca-bundle {}", path.display());
    let pem = std::fs::read(path).map_err(CommandError::other(context()))?;
    Certificate::from_pem_bundle(&pem).map_err(CommandError::other(context()))
}

/// Who is to be told, and how.
pub(crate) struct Notifications {
    targets: Vec<Target>,
    /// After how long the same is told again.
    again: SignedDuration,
    /// Names what is checked.
    about: String,
    settings: Settings,
}

impl Notifications {
    /// Tells how a check ended. Whoever can't be told is a warning: what the check found stands all the same.
    pub(crate) async fn tell(
        &self,
        result: Result<(&Run, Exit), &CommandError>,
        fleet: &FleetArgs,
        output: &Output,
    ) {
        if self.targets.is_empty() {
            return;
        }
        let (text, help);
        let (outcome, finding) = match result {
            Ok((run, exit)) => (outcome(exit), CheckResult::Accounts(run)),
            Err(error) => {
                help = error.help();
                text = anstream::adapter::strip_str(&error.to_string()).to_string();
                let finding = CheckResult::Failed {
                    kind: error.kind(),
                    message: &text,
                    help: help.as_deref(),
                };
                (Outcome::Error, finding)
            }
        };
        let (run_url, next) = (
            environment::run_url(),
            next_steps::next_command_after_drift(result, fleet),
        );
        let message = Message {
            outcome,
            finding,
            run_url: run_url.as_ref().map(|url| url.as_str()),
            next: next.as_deref(),
        };
        let state = State::open();
        let told = self.targets.iter();
        let told = told.map(|target| self.send_to(target, message, &state));
        let mut warnings: Vec<String> = join_all(told).await.into_iter().flatten().collect();
        // Where nothing can be kept, it is so for every target.
        warnings.dedup();
        for warning in warnings {
            output.warn(warning);
        }
    }

    /// Tells one target, unless it was told the same already, and keeps what it was told. Says what went wrong.
    async fn send_to(
        &self,
        target: &Target,
        message: Message<'_>,
        state: &State,
    ) -> Option<String> {
        // A dead-man's switch is told each time, or it rings.
        if target.form() == TargetKind::Ping {
            return self.deliver(target, &message).await;
        }
        let name = format!(
            "told-{}.json",
            &sha256(&(&self.about, target.secret()))[7..39]
        );
        let now = Timestamp::now();
        let kept = state.read::<DeliveryRecord>(&name);
        let told = kept.as_ref().ok().and_then(Option::as_ref);
        let outcome = message.outcome_to_send(told, now, self.again)?;
        let message = Message { outcome, ..message };
        let failure = self.deliver(target, &message).await;
        if failure.is_some() {
            // Nobody heard of it, so the next run tells it.
            return failure;
        }
        let end = match DeliveryRecord::of(&message, now) {
            Some(now_told) => kept.and_then(|_| state.write(&name, &now_told)),
            None if told.is_some() => state.remove(&name),
            None => Ok(()),
        };
        let why = end.err().filter(|_| !self.again.is_zero())?;
        Some(format!(
            "cannot save the notification state: {why}; the same drift will be sent on every run"
        ))
    }

    async fn deliver(&self, target: &Target, message: &Message<'_>) -> Option<String> {
        let failures = notify(std::slice::from_ref(target), message, &self.settings).await;
        failures.first().map(ToString::to_string)
    }
}

fn outcome(exit: Exit) -> Outcome {
    match exit {
        Exit::Done => Outcome::Ok,
        Exit::Changes => Outcome::Drift,
        Exit::Error
        | Exit::Incomplete
        | Exit::Stale
        | Exit::Blocked
        | Exit::Auth
        | Exit::Usage
        | Exit::Interrupted
        | Exit::Terminated => Outcome::Error,
    }
}
