//! `--notify`: sends notifications and records the ones already sent.

use std::path::{Path, PathBuf};

use clap::Args;
use futures_util::future::join_all;
use jiff::{SignedDuration, Timestamp};

use crate::cli::error::{CommandError, ErrorKind};
use crate::cli::exit::Exit;
use crate::cli::flags::FleetArgs;
use crate::cli::io::environment::{self, variable};
use crate::cli::io::output::Output;
use crate::cli::io::state::{self, StateFile};
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
        output: &Output,
    ) -> Result<Notifications, CommandError> {
        let (given_as, urls) = match self.urls.as_slice() {
            [] => (
                environment::NOTIFY,
                variable(environment::NOTIFY).unwrap_or_default(),
            ),
            urls => ("--notify", urls.join(" ")),
        };
        let targets = targets(given_as, &urls)?;
        let certificates = match &fleet.connect.ca_bundle {
            Some(path) if !targets.is_empty() => session::ca_certificates(path, output)?,
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
    let account = account.as_ref().map(ToString::to_string);
    let base_url = fleet.connect.base_url.clone();
    sha256(&(
        paths,
        account.or_else(|| variable(environment::ACCOUNT_ID)),
        fleet.connect.sandbox,
        base_url.or_else(|| variable(environment::BASE_URL)),
        narrowed,
    ))
}

/// Parses URLs separated by white space.
fn targets(given_as: &str, urls: &str) -> Result<Vec<Target>, CommandError> {
    let is_scheme_part = |c: char| c.is_ascii_alphanumeric() || "+-.".contains(c);
    let is_scheme = |text: &str| !text.is_empty() && text.chars().all(is_scheme_part);
    let mut after_commas = urls.split(',').skip(1).map(str::trim_start);
    // Otherwise the second URL would be a part of the first one.
    if after_commas.any(|rest| {
        rest.split_once("://")
            .is_some_and(|(start, _)| is_scheme(start))
    }) {
        return Err(CommandError::usage(
            format_args!("invalid {given_as}: found a comma between two URLs"),
            "separate the URLs with spaces",
        ));
    }
    let parse = |(number, url): (u32, &str)| {
        url.parse().map_err(|error| {
            let message = format_args!("{given_as}, URL {number}: {error}");
            CommandError::new(ErrorKind::Usage, message)
        })
    };
    (1..).zip(urls.split_whitespace()).map(parse).collect()
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
        let text = result.err().map(CommandError::plain_message);
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
                let finding = CheckResult::Failed {
                    kind: error.kind.as_str(),
                    message: text.as_deref().unwrap_or_default(),
                    help: error.help.as_deref(),
                };
                (Outcome::Error, finding)
            }
        };
        let run_url = environment::run_url();
        let next = next_steps::next_command_after_drift(result, output);
        let message = Message {
            outcome,
            finding,
            run_url: run_url.as_ref().map(|url| url.as_str()),
            next: next.as_deref(),
        };
        let directory = state::directory();
        let targets = self.targets.iter();
        let sent = targets.map(|target| self.send_to(target, message, directory.as_deref()));
        let mut warnings: Vec<String> = join_all(sent).await.into_iter().flatten().collect();
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
        directory: Option<&Path>,
    ) -> Option<String> {
        let name = &sha256(&(&self.about, target.url.as_str()))[7..39];
        // Locked, so that runs at the same time send one message.
        let mut file = StateFile::lock(directory, &format!("told-{name}.json")).await;
        let sent: Option<DeliveryRecord> = file.as_mut().ok().and_then(StateFile::read);
        let now = Timestamp::now();
        let outcome = message.outcome_to_send(sent.as_ref(), now, self.again)?;
        let message = Message { outcome, ..message };
        if let Err(warning) = notify(target, &message, &self.settings).await {
            // Not recorded, so the next run sends it again.
            return Some(warning);
        }
        let record = DeliveryRecord::of(&message, now);
        if record.is_none() && sent.is_none() {
            return None;
        }
        let written = file.and_then(|file| file.write(record.as_ref()));
        let error = written.err().filter(|_| !self.again.is_zero())?;
        Some(format!(
            "cannot save the notification state: {error}; the same drift will be sent on every run"
        ))
    }
}
