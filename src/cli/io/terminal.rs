//! Progress and the prompt for approval. Progress is a bar on a terminal, otherwise one line per operation.

use std::collections::HashSet;
use std::fs::OpenOptions;
use std::io::{self, BufRead, BufReader, IsTerminal};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use rustix::termios::{QueueSelector, tcflush};
use tokio::sync::oneshot;

use crate::api::ClientEvent;
use crate::apply::{ApplyEvent, Outcome};
use crate::cli::error::{CommandError, ErrorKind};
use crate::cli::io::output::{Output, write_text};
use crate::model::text::EscapeInvisible;
use crate::plan::Operation;
use crate::report::style;

/// Progress of a run.
pub(crate) struct Progress {
    bar: ProgressBar,
    output: Output,
    failed: AtomicUsize,
}

impl Progress {
    /// Creates the progress of reading `total` accounts. It is hidden for one account.
    pub(crate) fn reading(total: usize, output: &Output) -> Self {
        const TEMPLATE: &str = "Reading {pos}/{len} accounts{prefix} {msg} [{wide_bar}]";
        Progress::new(TEMPLATE, total, output, total < 2)
    }

    /// Creates the progress of `total` operations.
    pub(crate) fn applying(total: usize, output: &Output) -> Self {
        const TEMPLATE: &str = "[{bar:30}] {pos}/{len} {wide_msg}";
        Progress::new(TEMPLATE, total, output, false)
    }

    fn new(template: &str, total: usize, output: &Output, is_hidden: bool) -> Self {
        let target = match output.is_quiet() || is_hidden {
            true => ProgressDrawTarget::hidden(),
            false => ProgressDrawTarget::stderr(),
        };
        let style = ProgressStyle::with_template(template)
            .expect("the template is well-formed")
            .progress_chars("=> ");
        let bar = ProgressBar::with_draw_target(Some(total as u64), target).with_style(style);
        output.set_progress_bar(Some(bar.clone()));
        bar.tick();
        Progress {
            bar,
            output: output.clone(),
            failed: AtomicUsize::new(0),
        }
    }

    /// Counts an account as read or failed.
    pub(crate) fn account_done(&self, has_failed: bool) {
        if has_failed {
            let failed = self.failed.fetch_add(1, Ordering::Relaxed) + 1;
            self.bar.set_prefix(format!(", {failed} failed"));
        }
        self.bar.set_message("");
        self.bar.inc(1);
    }

    /// Shows an event of one account. `label` is printed before each address and is empty for a single account.
    pub(crate) fn observe(&self, label: &str, event: &ApplyEvent<'_>) {
        match event {
            ApplyEvent::Started { operation } => {
                self.bar.set_message(operation_label(label, operation));
            }
            ApplyEvent::Sending(_) | ApplyEvent::Responded(..) | ApplyEvent::Reset(_) => {}
            ApplyEvent::LookingForCreated { operation, failure } => {
                let operation = operation_label(label, operation);
                let line = format!("{operation}: {failure}; checking whether it was created");
                self.output.status(EscapeInvisible(&line));
            }
            ApplyEvent::Finished { operation, outcome } => {
                self.bar.inc(1);
                if self.bar.is_hidden() {
                    self.output.status(format_args!(
                        "[{}/{}] {}: {}",
                        self.bar.position(),
                        self.bar.length().unwrap_or_default(),
                        operation_label(label, operation),
                        outcome_text(outcome)
                    ));
                }
            }
            ApplyEvent::Verifying => self.bar.set_message(format!("{label}verifying")),
        }
    }

    /// Removes the bar.
    pub(crate) fn finish(&self) {
        self.bar.finish_and_clear();
        self.output.set_progress_bar(None);
    }
}

/// Returns the outcome of an operation for a progress line.
pub(crate) fn outcome_text(outcome: &Outcome) -> &'static str {
    match outcome {
        Outcome::Done(_) => "done",
        Outcome::Failed(_) => "failed",
        Outcome::Unknown(_) => "unknown",
        Outcome::NotAttempted(_) => "not attempted",
    }
}

/// Returns a text such as `POST integration.corporate-okta`, with the number of further addresses.
fn operation_label(label: &str, operation: &Operation) -> String {
    let further = match operation.addresses.len() {
        0 | 1 => String::new(),
        several => format!(" and {} more", several - 1),
    };
    let address = operation.address.to_string();
    let (method, address) = (operation.request.method, EscapeInvisible(&address));
    format!("{method} {label}{address}{further}")
}

/// Returns an observer that reports why requests wait: each cause once per run, regardless of the number of requests and accounts.
pub(crate) fn report_waits(output: &Output) -> impl Fn(&ClientEvent) + Send + Sync + use<> {
    let (output, reported) = (output.clone(), Mutex::new(HashSet::new()));
    move |event| {
        let (cause, line) = match event {
            ClientEvent::Responded { .. } => return output.verbose(2, event),
            ClientEvent::Retrying { error, .. } => {
                let line = format!("{}, retrying", error.cause());
                (line.clone(), line)
            }
            ClientEvent::RateLimited { .. } => {
                if let Some(bar) = output.bar() {
                    bar.set_message("(waiting for the rate limit)");
                }
                ("rate limit".to_owned(), event.to_string())
            }
        };
        let mut reported = reported.lock().unwrap_or_else(PoisonError::into_inner);
        match reported.insert(cause) {
            true => output.status(EscapeInvisible(&line)),
            false => output.verbose(1, event),
        }
    }
}

/// The terminal of the process, even if its streams are redirected.
const TERMINAL: &str = "/dev/tty";

/// Prompts for approval on the terminal. Any answer except `yes` is an error.
pub(crate) async fn confirm(question: &str) -> Result<(), CommandError> {
    if !io::stdin().is_terminal() {
        let message = "cannot ask for approval: no terminal";
        let help = "review the plan, then run again with --auto-approve";
        return Err(CommandError::new(ErrorKind::NoTerminal, message).with_help(help));
    }
    let bold = style::HEADING;
    let question = format!("{bold}{question}{bold:#} Only 'yes' is accepted: ");
    let ask = || {
        let terminal = OpenOptions::new().read(true).write(true).open(TERMINAL)?;
        // An answer typed earlier is not an answer to this question.
        tcflush(&terminal, QueueSelector::IFlush)?;
        write_text(&terminal, &question)?;
        Ok::<_, io::Error>(terminal)
    };
    let context = format!("cannot ask for approval on {TERMINAL}");
    let terminal = ask().map_err(CommandError::other(context))?;
    // Read on a separate thread, so that a signal can stop the run while the prompt waits.
    let (sender, receiver) = oneshot::channel();
    std::thread::spawn(move || {
        let mut answer = String::new();
        let read = BufReader::new(terminal).read_line(&mut answer);
        // The receiver may have been dropped.
        let _ = sender.send(read.map(|_| answer));
    });
    let answer = receiver.await.map_err(io::Error::other).flatten();
    let answer = answer.map_err(CommandError::other("cannot read the answer"))?;
    match answer.trim() {
        "yes" => Ok(()),
        _ => Err(CommandError::new(
            ErrorKind::Declined,
            "not approved; no changes were made",
        )),
    }
}
