//! `--notify`: sends notifications and records the ones already sent.

use std::path::PathBuf;

use clap::Args;
use futures_util::future::join_all;
use jiff::{SignedDuration, Timestamp};

use crate::cli::error::{CommandError, ErrorKind};
use crate::cli::exit::Exit;
use crate::cli::flags::FleetArgs;
use crate::cli::io::environment::{self, variable};
use crate::cli::io::output::Output;
use crate::cli::io::state::{State, StateFile};
use crate::cli::{next_steps, session};
use crate::notify::{CheckResult, DeliveryRecord, Message, Outcome, Settings, Target, notify};
use crate::plan::{Glob, Run, sha256};

/// Notification flags.
#[derive(Args, Debug)]
pub(crate) struct NotifyArgs {
    /// Send drift and errors to a URL
    ///
    /// The URL is a webhook, or Slack (slack+https://…). Repeatable.
    /// Prefer RISKFORM_NOTIFY, because command lines are visible to other users. [env: RISKFORM_NOTIFY]
    // A String, because clap would show an invalid URL, and the URL is a secret.
    #[arg(long = "notify", value_name = "URL")]
    urls: Vec<String>,
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
    /// Resolves the targets and settings. `narrowed` are the patterns that limit the check.
    pub(crate) fn read(
        &self,
        fleet: &FleetArgs,
        narrowed: &[&[Glob]],
    ) -> Result<Notifications, CommandError> {
        let targets = if self.urls.is_empty() {
            let urls = variable(environment::NOTIFY).unwrap_or_default();
            targets(environment::NOTIFY, &urls)?
        } else {
            targets("--notify", &self.urls.join(" "))?
        };
        let certificates = match &fleet.connect.ca_bundle {
            Some(path) if !targets.is_empty() => session::ca_certificates(path)?,
            Some(_) | None => Vec::new(),
        };
        let proxy = match targets.iter().all(Target::is_local) {
            true => None,
            false => environment::proxy()?,
        };
        Ok(Notifications {
            targets,
            again: self.notify_again,
            about: about(fleet, narrowed),
            settings: Settings {
                secret: variable(environment::NOTIFY_SECRET).map(Into::into),
                certificates,
                proxy,
                ..Settings::default()
            },
        })
    }
}

/// Returns a digest of the files and of the flags that select accounts. It identifies the check even if no account could be loaded.
fn about(fleet: &FleetArgs, narrowed: &[&[Glob]]) -> String {
    let absolute = |path: &PathBuf| {
        let absolute = std::path::absolute(path);
        let path = absolute.as_ref().unwrap_or(path);
        // A path may not be UTF-8.
        path.to_string_lossy().into_owned()
    };
    let paths = fleet.desired.paths.paths.iter();
    let paths: Vec<String> = paths.map(absolute).collect();
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
        narrowed,
    ))
}

/// Parses URLs separated by white space.
fn targets(given_as: &str, urls: &str) -> Result<Vec<Target>, CommandError> {
    let is_scheme_part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.');
    let is_url = |text: &str| {
        let scheme = text.trim_start().split_once("://");
        scheme.is_some_and(|(scheme, _)| !scheme.is_empty() && scheme.chars().all(is_scheme_part))
    };
    // Otherwise the second URL would be a part of the first one.
    if urls.split(',').skip(1).any(is_url) {
        return Err(CommandError::usage(
            format_args!("invalid {given_as}: found a comma between two URLs"),
            "separate the URLs with spaces",
        ));
    }
    urls.split_whitespace()
        .enumerate()
        .map(|(index, url)| {
            url.parse().map_err(|error| {
                CommandError::new(
                    ErrorKind::Usage,
                    format_args!("{given_as}, URL {}: {error}", index + 1),
                )
            })
        })
        .collect()
}

/// Targets and settings of notifications.
pub(crate) struct Notifications {
    targets: Vec<Target>,
    /// Interval for repeating the same notification.
    again: SignedDuration,
    /// Digest that identifies the check.
    about: String,
    settings: Settings,
}

impl Notifications {
    /// Sends the result of a check. A failed delivery is a warning and does not change the result.
    pub(crate) async fn send(&self, result: Result<&Run, &CommandError>, output: &Output) {
        if self.targets.is_empty() {
            return;
        }
        let text;
        let (outcome, finding) = match result {
            Ok(run) => {
                let outcome = match Exit::from_run(run, &[], None) {
                    Exit::Done => Outcome::Ok,
                    Exit::Changes => Outcome::Drift,
                    _ => Outcome::Error,
                };
                (outcome, CheckResult::Accounts(run))
            }
            Err(error) => {
                text = error.plain_message();
                let finding = CheckResult::Failed {
                    kind: error.kind.as_str(),
                    message: &text,
                    help: error.help.as_deref(),
                };
                (Outcome::Error, finding)
            }
        };
        let (run_url, next) = (
            environment::run_url(),
            next_steps::next_command_after_drift(result, output),
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
        // The state directory is the same for all targets.
        warnings.dedup();
        for warning in warnings {
            output.warn(warning);
        }
    }

    /// Notifies one target unless the same notification was already sent. Returns a warning if it failed.
    async fn send_to(
        &self,
        target: &Target,
        message: Message<'_>,
        state: &State,
    ) -> Option<String> {
        let name = format!(
            "told-{}.json",
            &sha256(&(&self.about, target.url.as_str()))[7..39]
        );
        // Locked, so that runs at the same time send one message.
        let mut kept = state.lock(&name).await;
        let told = kept
            .as_mut()
            .ok()
            .and_then(StateFile::read::<DeliveryRecord>);
        let now = Timestamp::now();
        let outcome = message.outcome_to_send(told.as_ref(), now, self.again)?;
        let message = Message { outcome, ..message };
        if let Err(warning) = notify(target, &message, &self.settings).await {
            // Not recorded, so the next run sends it again.
            return Some(warning);
        }
        let now_told = DeliveryRecord::of(&message, now);
        let end = match (&now_told, &told) {
            (None, None) => Ok(()),
            (Some(_), _) | (None, Some(_)) => kept.and_then(|file| file.write(now_told.as_ref())),
        };
        let why = end.err().filter(|_| !self.again.is_zero())?;
        Some(format!(
            "cannot save the notification state: {why}; the same drift will be sent on every run"
        ))
    }
}
