//! Output: data to standard output, messages to standard error.

#![allow(
    clippy::print_stderr,
    clippy::print_stdout,
    reason = "this is where riskform prints"
)]

use std::borrow::Cow;
use std::ffi::OsString;
use std::fmt;
use std::io::{self, IsTerminal, Write};
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use indicatif::ProgressBar;
use terminal_size::Width;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::cli::error::CommandError;
use crate::cli::exit::Exit;
use crate::cli::flags::GlobalArgs;
use crate::cli::io::ci_state::CiReport;
use crate::cli::io::environment::{self, variable};
use crate::cli::io::links;
use crate::cli::io::wrap::wrapped;
use crate::model::text::{EscapeInvisible, escape_invisible_json, escape_workflow_commands};
use crate::report::json::error_document;
use crate::report::style;

/// Output of a command. Colors are removed if the stream is not a terminal.
#[derive(Clone, Debug)]
pub(crate) struct Output {
    quiet: bool,
    /// Result for the CI job, with `--ci`.
    pipeline: Option<CiReport>,
    /// Whether GitHub Actions parses the output for workflow commands.
    runner: bool,
    /// Whether standard output must be one JSON document, even after an error.
    json: bool,
    /// Whether anything was printed to standard output. Clones share it.
    printed: Arc<AtomicBool>,
    /// Current progress bar. Clones share it.
    bar: Arc<Mutex<Option<ProgressBar>>>,
}

impl Output {
    /// Creates the output from the flags.
    pub(crate) fn new(common: &GlobalArgs, json: bool) -> Self {
        Output {
            quiet: common.quiet,
            pipeline: common.ci.then(CiReport::default),
            runner: is_github_actions(),
            json,
            printed: Arc::default(),
            bar: Arc::default(),
        }
    }

    /// Prints clap's help or error. With `--format json`, an error is also printed as a JSON document.
    pub(crate) fn command_line(error: &clap::Error) {
        let said = error.render().ansi().to_string();
        let said = match is_github_actions() {
            true => escape_workflow_commands(&said),
            false => said.into(),
        };
        if !error.use_stderr() {
            // A closed pipe is not an error.
            let _ = write!(anstream::stdout(), "{said}");
            return;
        }
        anstream::eprint!("{}", fitting(&said, columns(io::stderr())));
        let arguments: Vec<OsString> = std::env::args_os().collect();
        let separate = arguments
            .windows(2)
            .any(|pair| pair == ["--format", "json"] || pair == ["-o", "json"]);
        let joined = |argument| argument == "--format=json" || argument == "-ojson";
        if separate || arguments.iter().any(joined) {
            // The usage lines after the first paragraph are for people.
            let message = error.to_string();
            let message = message.split("\n\nUsage:").next().unwrap_or(&message);
            let message = message.trim_start_matches("error: ").trim_end();
            anstream::print!(
                "{}",
                escape_invisible_json(error_document("usage", message, None))
            );
        }
    }

    /// Returns true with `--quiet`.
    pub(crate) fn is_quiet(&self) -> bool {
        self.quiet
    }

    /// Returns true if next steps should be printed: not quiet, no JSON and not in a CI job.
    pub(crate) fn is_interactive(&self) -> bool {
        !self.quiet
            && !self.json
            && self.pipeline.is_none()
            && !self.runner
            && variable(environment::CI).is_none()
    }

    /// Returns the result for the CI job, with `--ci`.
    pub(crate) fn pipeline(&self) -> Option<&CiReport> {
        self.pipeline.as_ref()
    }

    /// Sets or removes the progress bar.
    pub(crate) fn beside(&self, bar: Option<ProgressBar>) {
        *self.bar.lock().unwrap_or_else(PoisonError::into_inner) = bar;
    }

    /// Returns the current progress bar.
    pub(crate) fn bar(&self) -> Option<ProgressBar> {
        let bar = self.bar.lock().unwrap_or_else(PoisonError::into_inner);
        bar.clone()
    }

    /// Prints while the progress bar is hidden.
    fn apart<T>(&self, print: impl FnOnce() -> T) -> T {
        match self.bar() {
            Some(bar) => bar.suspend(print),
            None => print(),
        }
    }

    /// Returns the width of the terminal on standard output.
    pub(crate) fn width(&self) -> Option<u16> {
        columns(io::stdout())
    }

    /// Returns the width of the terminal on standard error.
    pub(crate) fn stderr_width(&self) -> Option<u16> {
        columns(io::stderr())
    }

    /// Prints a result in one of the formats.
    pub(crate) fn rendered(&self, format: &str, text: String) -> Result<(), CommandError> {
        let text = self.escaped(format, text);
        match format {
            "text" => self.print(&fitting(&text, self.width())),
            _ => self.print(&text),
        }
    }

    /// Escapes workflow commands and invisible characters as the format allows.
    pub(crate) fn escaped(&self, format: &str, text: String) -> String {
        match format {
            "json" | "sarif" if self.runner || io::stdout().is_terminal() => {
                escape_invisible_json(text)
            }
            // The writer already quotes workflow commands; the values must stay the same.
            "json" | "sarif" | "yaml" => text,
            _ => self.harmless(&text).into_owned(),
        }
    }

    /// Prints a text to standard output.
    pub(crate) fn result(&self, result: impl fmt::Display) -> Result<(), CommandError> {
        self.print(&self.harmless(&result.to_string()))
    }

    /// Escapes workflow commands if GitHub Actions parses the output.
    fn harmless<'a>(&self, text: &'a str) -> Cow<'a, str> {
        match self.runner {
            true => escape_workflow_commands(text),
            false => text.into(),
        }
    }

    fn print(&self, text: &str) -> Result<(), CommandError> {
        let text = match links::are_followed() {
            true => text.into(),
            false => links::removed(text),
        };
        self.printed.store(true, Ordering::Relaxed);
        let print = || {
            let mut stdout = anstream::stdout().lock();
            write!(stdout, "{text}").and_then(|()| stdout.flush())
        };
        self.apart(print).map_err(|error| match error.kind() {
            io::ErrorKind::BrokenPipe => CommandError::BrokenPipe,
            _ => CommandError::other("cannot write to standard output")(error),
        })
    }

    /// Prints a status line to standard error, unless quiet.
    pub(crate) fn say(&self, line: impl fmt::Display) {
        if !self.quiet {
            self.line(&line.to_string());
        }
    }

    /// Prints a status line that is never wrapped, unless quiet.
    pub(crate) fn status_unwrapped(&self, line: impl fmt::Display) {
        if !self.quiet {
            self.apart(|| anstream::eprintln!("{}", self.harmless(&line.to_string())));
        }
    }

    fn line(&self, line: &str) {
        let line = self.harmless(line);
        self.apart(|| anstream::eprintln!("{}", fitting(&line, self.stderr_width())));
    }

    /// Prints a workflow command.
    pub(crate) fn annotate(&self, command: String) {
        self.apart(|| eprintln!("{command}"));
    }

    /// Prints a warning to standard error.
    pub(crate) fn warn(&self, warning: impl fmt::Display) {
        let yellow = style::WARNING;
        self.line(&format!("{yellow}warning{yellow:#}: {warning}"));
    }

    /// Prints an error to standard error and returns its exit code.
    pub(crate) fn error(&self, error: &CommandError) -> Exit {
        if self.json && !self.printed.load(Ordering::Relaxed) {
            let message = anstream::adapter::strip_str(&error.to_string()).to_string();
            // There is no way to report this failure.
            let document = error_document(error.kind(), &message, error.help().as_deref());
            let _ = self.rendered("json", document);
        }
        match error {
            CommandError::BrokenPipe => {}
            // Each rendered diagnostic starts with "error" itself.
            CommandError::Files(_) => self.line(error.to_string().trim_end()),
            CommandError::Usage(_)
            | CommandError::NoFile { .. }
            | CommandError::Account(_)
            | CommandError::StalePlan(_)
            | CommandError::PlanBlocked(_)
            | CommandError::UserLookup(_)
            | CommandError::NotATerminal
            | CommandError::Declined
            | CommandError::Interrupted(_)
            | CommandError::BlockedByLimits(_)
            | CommandError::Merge(_)
            | CommandError::WithHelp(..)
            | CommandError::Other(_) => {
                let red = style::ERROR;
                let message = error.to_string();
                let message: Vec<String> = message
                    .lines()
                    .map(|line| EscapeInvisible(line).to_string())
                    .collect();
                let message = message.join("\n");
                self.line(&format!("{red}error{red:#}: {message}"));
                if let Some(help) = error.help() {
                    self.line(&format!("  help: {}", EscapeInvisible(&help)));
                }
            }
        }
        error.exit()
    }
}

/// Returns the width of a terminal, or `None` for other streams.
fn columns(stream: impl AsFd) -> Option<u16> {
    match terminal_size::terminal_size_of(stream) {
        Some((Width(columns), _)) if columns > 0 => Some(columns),
        Some(_) | None => None,
    }
}

/// Wraps a text to the width.
fn fitting(text: &str, width: Option<u16>) -> Cow<'_, str> {
    match width {
        Some(width) => wrapped(text, width.into()).into(),
        None => text.into(),
    }
}

/// Returns true if GitHub Actions parses the output for workflow commands.
fn is_github_actions() -> bool {
    variable(environment::GITHUB_ACTIONS).is_some()
}

/// Writer for tracing events. Each event is one write.
struct StderrWriter;

impl Write for StderrWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(bytes);
        let text = match is_github_actions() {
            true => escape_workflow_commands(&text),
            false => text,
        };
        io::stderr().lock().write_all(text.as_bytes())?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

/// Enables riskform's own tracing events: steps with `-v`, every request with `-vv`.
pub(crate) fn trace(verbose: u8) {
    let level = match verbose {
        0 => return,
        1 => LevelFilter::INFO,
        _ => LevelFilter::DEBUG,
    };
    tracing_subscriber::fmt()
        .with_writer(|| StderrWriter)
        .with_max_level(level)
        .with_ansi(false)
        .with_target(false)
        .without_time()
        .finish()
        .with(Targets::new().with_target(env!("CARGO_CRATE_NAME"), level))
        .init();
}
