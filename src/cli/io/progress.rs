//! Progress: a bar on a terminal, otherwise one line per operation. Also prints why requests wait, above the bar.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::api;
use crate::apply::{ApplyEvent, Outcome};
use crate::cli::io::output::Output;
use crate::model::address::Address;
use crate::model::text::EscapeInvisible;
use crate::plan::Operation;

/// Progress of a run. Clones share it.
#[derive(Clone)]
pub(crate) struct Progress {
    bar: ProgressBar,
    output: Output,
    total: u64,
    failed: Arc<AtomicUsize>,
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
        let total = total as u64;
        let target = if output.is_quiet() || is_hidden {
            ProgressDrawTarget::hidden()
        } else {
            ProgressDrawTarget::stderr()
        };
        let style = ProgressStyle::with_template(template)
            .expect("the template is well-formed")
            .progress_chars("=> ");
        let bar = ProgressBar::with_draw_target(Some(total), target).with_style(style);
        output.beside(Some(bar.clone()));
        bar.tick();
        Progress {
            bar,
            output: output.clone(),
            total,
            failed: Arc::default(),
        }
    }

    /// Counts an account as read or failed.
    pub(crate) fn read<T, E>(&self, account: &Result<T, E>) {
        if account.is_err() {
            let failed = self.failed.fetch_add(1, Ordering::Relaxed) + 1;
            self.bar.set_prefix(format!(", {failed} failed"));
        }
        self.bar.set_message("");
        self.bar.inc(1);
    }

    /// Returns an observer for one account's events. `label` is printed before each address; it is empty for a single account.
    pub(crate) fn observer(&self, label: Arc<str>) -> impl FnMut(&ApplyEvent<'_>) + Send + use<> {
        let progress = self.clone();
        move |event| progress.observe(&label, event)
    }

    fn observe(&self, label: &str, event: &ApplyEvent<'_>) {
        match event {
            ApplyEvent::Started { operation } => self.bar.set_message(what(label, operation)),
            ApplyEvent::Sending(_) | ApplyEvent::Responded(..) => {}
            ApplyEvent::LookingForCreated { operation, failure } => {
                let answer = match failure.api_error() {
                    Some(error) => error.to_string(),
                    None => failure.to_string(),
                };
                let what = what(label, operation);
                let line = format!("{what}: {answer}; checking whether it was created");
                self.output.say(EscapeInvisible(&line));
            }
            ApplyEvent::Finished { operation, outcome } => {
                self.bar.inc(1);
                let outcome = match outcome {
                    Outcome::Done(_) => "done",
                    Outcome::Failed(_) => "failed",
                    Outcome::Unknown(_) => "unknown",
                    Outcome::NotAttempted(_) => "not attempted",
                };
                let position = self.bar.position();
                if self.bar.is_hidden() {
                    let what = what(label, operation);
                    let total = self.total;
                    self.output
                        .say(format_args!("[{position}/{total}] {what}: {outcome}"));
                }
            }
            ApplyEvent::Verifying => self.bar.set_message(format!("{label}verifying")),
        }
    }

    /// Removes the bar.
    pub(crate) fn finish(&self) {
        self.bar.finish_and_clear();
        self.output.beside(None);
    }
}

/// Prints why requests wait, and shows it in the bar.
pub(crate) fn wait(output: &Output, event: &api::ClientEvent) {
    output.say(EscapeInvisible(&event.to_string()));
    if let (api::ClientEvent::RateLimited { .. }, Some(bar)) = (event, output.bar()) {
        bar.set_message("(waiting for the rate limit)");
    }
}

/// Returns a text such as `POST integration.corporate-okta`, with the number of further addresses.
fn what(label: &str, operation: &Operation) -> String {
    let address: &Address = &operation.address;
    let further = match operation.addresses.len() {
        0 | 1 => String::new(),
        several => format!(" and {} more", several - 1),
    };
    let address = address.to_string();
    format!(
        "{} {label}{}{further}",
        operation.call.method(),
        EscapeInvisible(&address)
    )
}
