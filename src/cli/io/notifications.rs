//! `--notify`: who hears how a check ended.

use clap::Args;
use reqwest::Certificate;

use crate::cli::flags::Connect;
use crate::cli::io::environment::{self, variable};
use crate::cli::io::output::Output;
use crate::cli::run::ending::{Error, Exit};
use crate::notify::{Finding, Message, Outcome, Settings, Target, When, notify};
use crate::plan::Run;

/// The flags of a command that notifies.
#[derive(Args, Debug)]
#[command(next_help_heading = "Notifications")]
pub(crate) struct NotifyArguments {
    /// Tell this URL of drift and errors: a webhook, Slack (slack+https://…), or ping+https://… when all is well; may be repeated
    /// [default: the URLs in RISKFORM_NOTIFY, which no list of processes shows]
    // A text, since clap would show one that can't be read, and most of it is a secret.
    #[arg(long = "notify", value_name = "URL")]
    urls: Vec<String>,
    /// Tell of every check, not only of drift and errors
    #[arg(long)]
    notify_always: bool,
}

impl NotifyArguments {
    /// Reads who is to be told. RISKFORM_NOTIFY_SECRET signs what goes to webhooks.
    pub(crate) fn read(&self, connect: &Connect) -> Result<Notifications, Error> {
        let targets = if self.urls.is_empty() {
            let urls = variable(environment::NOTIFY).unwrap_or_default();
            targets(environment::NOTIFY, urls.split_whitespace())?
        } else {
            targets("--notify", self.urls.iter().map(String::as_str))?
        };
        let when = if self.notify_always {
            When::Always
        } else {
            When::Noteworthy
        };
        let certificates = match &connect.ca_bundle {
            Some(path) if !targets.is_empty() => certificates(path)?,
            Some(_) | None => Vec::new(),
        };
        Ok(Notifications {
            targets,
            settings: Settings {
                when,
                secret: variable(environment::NOTIFY_SECRET).map(Into::into),
                certificates,
                ..Settings::default()
            },
        })
    }
}

fn targets<'a>(given_as: &str, urls: impl Iterator<Item = &'a str>) -> Result<Vec<Target>, Error> {
    urls.enumerate()
        .map(|(index, url)| {
            url.parse()
                .map_err(|error| Error::Usage(format!("{given_as}, URL {}: {error}", index + 1)))
        })
        .collect()
}

fn certificates(path: &std::path::Path) -> Result<Vec<Certificate>, Error> {
    let context = || format!("--ca-bundle {}", path.display());
    let pem = std::fs::read(path).map_err(Error::other(context()))?;
    Certificate::from_pem_bundle(&pem).map_err(Error::other(context()))
}

/// Who is to be told, and how.
pub(crate) struct Notifications {
    targets: Vec<Target>,
    settings: Settings,
}

impl Notifications {
    /// Tells how a check ended. Whoever can't be told is a warning: what the check found stands all the same.
    pub(crate) async fn tell(&self, result: Result<(&Run, Exit), &Error>, output: &Output) {
        let (text, help);
        let message = match result {
            Ok((run, exit)) => Message {
                outcome: outcome(exit),
                finding: Finding::Accounts(run),
            },
            Err(error) => {
                help = error.help();
                text = anstream::adapter::strip_str(&error.to_string()).to_string();
                Message {
                    outcome: Outcome::Error,
                    finding: Finding::Nothing {
                        kind: error.kind(),
                        message: &text,
                        help: help.as_deref(),
                    },
                }
            }
        };
        for failure in notify(&self.targets, &message, &self.settings).await {
            output.warn(failure);
        }
    }
}

fn outcome(exit: Exit) -> Outcome {
    match exit {
        Exit::Done => Outcome::Ok,
        Exit::Changes => Outcome::Drift,
        Exit::Error
        | Exit::Incomplete
        | Exit::Stale
        | Exit::Refused
        | Exit::Access
        | Exit::Usage
        | Exit::Interrupted
        | Exit::Terminated => Outcome::Error,
    }
}
