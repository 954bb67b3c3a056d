//! How far an application has come: a bar on a terminal, a line an operation elsewhere.

use std::sync::Arc;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::apply::{Event, Outcome};
use crate::cli::io::output::Output;
use crate::model::address::Address;
use crate::model::text::Visible;
use crate::plan::Operation;

/// Progress over all accounts of a run. Clones share it.
#[derive(Clone)]
pub(crate) struct Progress {
    bar: ProgressBar,
    output: Output,
    total: u64,
}

impl Progress {
    /// Starts at nothing of `total` operations.
    pub(crate) fn new(total: usize, output: Output) -> Self {
        let total = total as u64;
        let target = if output.is_quiet() {
            ProgressDrawTarget::hidden()
        } else {
            ProgressDrawTarget::stderr()
        };
        let style = ProgressStyle::with_template("[{bar:30}] {pos}/{len} {wide_msg}")
            .expect("the template is well-formed")
            .progress_chars("=> ");
        let bar = ProgressBar::with_draw_target(Some(total), target).with_style(style);
        Progress { bar, output, total }
    }

    /// What one account's events are told to. `label` stands before each address, and is empty for a single account.
    pub(crate) fn observer(&self, label: Arc<str>) -> impl FnMut(&Event<'_>) + Send + use<> {
        let progress = self.clone();
        move |event| progress.observe(&label, event)
    }

    fn observe(&self, label: &str, event: &Event<'_>) {
        match event {
            Event::Started { operation } => self.bar.set_message(what(label, operation)),
            Event::Sending(_) | Event::Answered(..) => {}
            Event::LookingForCreated { operation } => self.line(&format!(
                "{}: no answer; looking whether it was created all the same",
                what(label, operation)
            )),
            Event::Finished { operation, outcome } => {
                self.bar.inc(1);
                let outcome = match outcome {
                    Outcome::Done(_) => "done",
                    Outcome::Failed(_) => "failed",
                    Outcome::Unknown(_) => "unknown",
                    Outcome::NotAttempted(_) => "not attempted",
                };
                let position = self.bar.position();
                if self.bar.is_hidden() {
                    self.line(&format!(
                        "[{position}/{}] {}: {outcome}",
                        self.total,
                        what(label, operation)
                    ));
                }
            }
            Event::ReadingBack => self.bar.set_message(format!("{label}reading back")),
        }
    }

    /// Prints a line without disturbing the bar.
    fn line(&self, line: &str) {
        self.bar.suspend(|| self.output.say(line));
    }

    /// Takes the bar away.
    pub(crate) fn finish(&self) {
        self.bar.finish_and_clear();
    }
}

/// `POST integration.corporate-okta`, with the number of further addresses where it carries several.
fn what(label: &str, operation: &Operation) -> String {
    let address: &Address = &operation.address;
    let further = match operation.covers.len() {
        0 | 1 => String::new(),
        several => format!(" and {} more", several - 1),
    };
    let address = address.to_string();
    format!(
        "{} {label}{}{further}",
        operation.call.method(),
        Visible(&address)
    )
}
