//! Printing: data to standard output, words to standard error.

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

/// Where a command's words go. Colors are stripped where the stream is no terminal.
#[derive(Clone, Debug)]
pub(crate) struct Output {
    quiet: bool,
    /// Whether the pipeline around the run is to be told.
    pipeline: Option<CiReport>,
    /// Whether a runner reads along, which takes some lines for commands.
    runner: bool,
    /// Whether standard output must be one JSON document, whatever happens.
    json: bool,
    /// Whether anything was printed to standard output. Clones share it.
    printed: Arc<AtomicBool>,
    /// The bar that lines must not run into. Clones share it.
    bar: Arc<Mutex<Option<ProgressBar>>>,
}

impl Output {
    /// Prints as the flags say.
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

    /// Prints what clap has to say of a command line, which is help as well. Its error goes into a document, too, where one is asked for.
    pub(crate) fn command_line(error: &clap::Error) {
        let said = error.render().ansi().to_string();
        let said = match is_github_actions() {
            true => escape_workflow_commands(&said),
            false => said.into(),
        };
        if !error.use_stderr() {
            // Whoever closed the pipe has read enough of the help.
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
            // What follows the first paragraph is for a terminal.
            let message = error.to_string();
            let message = message.split("\n\nUsage:").next().unwrap_or(&message);
            let message = message.trim_start_matches("error: ").trim_end();
            anstream::print!(
                "{}",
                escape_invisible_json(error_document("usage", message, None))
            );
        }
    }

    /// Says whether only results and errors are wanted.
    pub(crate) fn is_quiet(&self) -> bool {
        self.quiet
    }

    /// Says whether a person reads along, and not only a script, a pipeline or somebody who wants quiet.
    pub(crate) fn is_interactive(&self) -> bool {
        !self.quiet
            && !self.json
            && self.pipeline.is_none()
            && !self.runner
            && variable(environment::CI).is_none()
    }

    /// The pipeline around the run, where it is to be told.
    pub(crate) fn pipeline(&self) -> Option<&CiReport> {
        self.pipeline.as_ref()
    }

    /// Prints beside this bar from now on, or beside none.
    pub(crate) fn beside(&self, bar: Option<ProgressBar>) {
        *self.bar.lock().unwrap_or_else(PoisonError::into_inner) = bar;
    }

    /// The bar that stands on the terminal.
    pub(crate) fn bar(&self) -> Option<ProgressBar> {
        let bar = self.bar.lock().unwrap_or_else(PoisonError::into_inner);
        bar.clone()
    }

    /// Prints without running into the bar.
    fn apart<T>(&self, print: impl FnOnce() -> T) -> T {
        match self.bar() {
            Some(bar) => bar.suspend(print),
            None => print(),
        }
    }

    /// How many columns a table may have: as many as the terminal.
    pub(crate) fn width(&self) -> Option<u16> {
        columns(io::stdout())
    }

    /// How many columns words on standard error have.
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

    /// A result in one of the formats; what of it nobody should obey is escaped as the format can.
    pub(crate) fn escaped(&self, format: &str, text: String) -> String {
        match format {
            "json" | "sarif" if self.runner || io::stdout().is_terminal() => {
                escape_invisible_json(text)
            }
            // Whoever reads these back must get the same values; what writes them quotes what a runner would obey.
            "json" | "sarif" | "yaml" => text,
            _ => self.harmless(&text).into_owned(),
        }
    }

    /// Prints a text to standard output.
    pub(crate) fn result(&self, result: impl fmt::Display) -> Result<(), CommandError> {
        self.print(&self.harmless(&result.to_string()))
    }

    /// A text in which a runner that reads along finds no command.
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

    /// Prints a line about what is going on to standard error, unless the user wants quiet.
    pub(crate) fn say(&self, line: impl fmt::Display) {
        if !self.quiet {
            self.line(&line.to_string());
        }
    }

    /// Prints a line that is to be copied, and so is never broken, unless the user wants quiet.
    pub(crate) fn status_unwrapped(&self, line: impl fmt::Display) {
        if !self.quiet {
            self.apart(|| anstream::eprintln!("{}", self.harmless(&line.to_string())));
        }
    }

    fn line(&self, line: &str) {
        let line = self.harmless(line);
        self.apart(|| anstream::eprintln!("{}", fitting(&line, self.stderr_width())));
    }

    /// Prints a command to the runner that reads along.
    pub(crate) fn annotate(&self, command: String) {
        self.apart(|| eprintln!("{command}"));
    }

    /// Prints a warning to standard error.
    pub(crate) fn warn(&self, warning: impl fmt::Display) {
        let yellow = style::WARNING;
        self.line(&format!("{yellow}warning{yellow:#}: {warning}"));
    }

    /// Prints an error to standard error, and says how the program ends because of it.
    pub(crate) fn error(&self, error: &CommandError) -> Exit {
        if self.json && !self.printed.load(Ordering::Relaxed) {
            let message = anstream::adapter::strip_str(&error.to_string()).to_string();
            // There is nobody left to tell if even this can't be written.
            let document = error_document(error.kind(), &message, error.help().as_deref());
            let _ = self.rendered("json", document);
        }
        match error {
            CommandError::BrokenPipe => {}
            // Rendered diagnostics say "error" themselves, once for each.
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

/// How wide a terminal is; `None` where the stream is none.
fn columns(stream: impl AsFd) -> Option<u16> {
    match terminal_size::terminal_size_of(stream) {
        Some((Width(columns), _)) if columns > 0 => Some(columns),
        Some(_) | None => None,
    }
}

/// A text in lines that a terminal has room for.
fn fitting(text: &str, width: Option<u16>) -> Cow<'_, str> {
    match width {
        Some(width) => wrapped(text, width.into()).into(),
        None => text.into(),
    }
}

/// Whether GitHub's runner reads what is printed, and takes some lines for commands.
fn is_github_actions() -> bool {
    variable(environment::GITHUB_ACTIONS).is_some()
}

/// Standard error, for events: each comes in one piece.
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

/// Shows the program's own events from now on: once the stages of the pipeline, twice every request. The libraries' events stay out, since
/// nobody knows what they tell.
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
