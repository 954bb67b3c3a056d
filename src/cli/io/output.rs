//! Output: data to standard output, messages to standard error, reports to files.
//!
//! Output never decides the outcome of a run: a closed pipe is ignored, a full non-blocking pipe is waited for, and any other error is
//! remembered until the exit code is chosen ([`Output::final_exit`]).

use std::borrow::Cow;
use std::fmt;
use std::io::{self, IsTerminal};
use std::os::fd::AsFd;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use anstream::stream::RawStream;
use anstream::{AutoStream, ColorChoice};
use clap::ArgMatches;
use indicatif::ProgressBar;

use crate::cli::error::{CommandError, ErrorKind};
use crate::cli::exit::Exit;
use crate::cli::flags::GlobalArgs;
use crate::cli::io::environment::{self, variable};
use crate::cli::io::files::{self, AppendTarget, FileMode, OutputFile, RunFiles, write_all};
use crate::config::diagnostic::Diagnostic;
use crate::model::text::{EscapeInvisible, escape_invisible_json, escape_workflow_commands};
use crate::report::json::error_document;
use crate::report::{OutputFormat, style};

/// Output of a command. Clones share it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Output(Arc<State>);

#[derive(Debug, Default)]
struct State {
    args: GlobalArgs,
    /// Arguments of the command, for follow-up commands.
    arguments: ArgMatches,
    /// True if GitHub Actions parses the output for workflow commands.
    in_github_actions: bool,
    /// True if standard output must be one JSON document, even after an error.
    json: bool,
    /// True if anything was printed to standard output.
    printed: AtomicBool,
    bar: Mutex<Option<ProgressBar>>,
    /// Files of the run.
    files: Mutex<RunFiles>,
    /// True if a report could not be written.
    failed: AtomicBool,
    /// True if a write was sent to the API.
    write_sent: AtomicBool,
    ci: Mutex<CiState>,
}

impl Output {
    pub(crate) fn new(args: GlobalArgs, json: bool, arguments: ArgMatches) -> Self {
        Output(Arc::new(State {
            args,
            arguments,
            in_github_actions: variable(environment::GITHUB_ACTIONS).is_some(),
            json,
            ..State::default()
        }))
    }

    /// Prints clap's help or error and returns the exit code.
    pub(crate) fn clap_error(&self, error: &clap::Error) -> Exit {
        let text = error.render().ansi().to_string();
        if !error.use_stderr() {
            self.result(text);
            return self.final_exit(Exit::Done);
        }
        self.line(text.trim_end());
        if self.0.json {
            // The usage lines after the first paragraph are for people.
            let message = error.to_string();
            let message = message.split("\n\nUsage:").next().unwrap_or(&message);
            let message = message.trim_start_matches("error: ").trim_end();
            self.rendered(OutputFormat::Json, error_document("usage", message, None));
        }
        Exit::Usage
    }

    /// Registers a file that the run reads.
    ///
    /// # Errors
    ///
    /// The run also writes the file.
    pub(crate) fn add_input(&self, path: &Path) -> Result<(), CommandError> {
        lock(&self.0.files).add(path, false)
    }

    /// Reads a file of at most `max` bytes completely. `name` starts the message of an error.
    pub(crate) fn read_input(
        &self,
        path: &Path,
        max: u64,
        name: impl fmt::Display,
    ) -> Result<Vec<u8>, CommandError> {
        self.add_input(path)?;
        files::read_file(path, max, name)
    }

    /// Opens a file to write at the end of the run.
    ///
    /// # Errors
    ///
    /// The file cannot be written, or it is also an input or another output of the run.
    pub(crate) fn create(&self, path: &Path, mode: FileMode) -> Result<OutputFile, CommandError> {
        lock(&self.0.files).add(path, true)?;
        OutputFile::create(path, mode)
    }

    /// Opens a file to append to.
    ///
    /// # Errors
    ///
    /// The same as for [`create`](Self::create).
    pub(crate) fn append(&self, path: &Path) -> Result<AppendTarget, CommandError> {
        lock(&self.0.files).add(path, true)?;
        AppendTarget::open(path)
    }

    /// Writes the content of an opened file. Returns false after an error, which is printed and changes only the exit code.
    pub(crate) fn finish(&self, file: OutputFile, content: impl AsRef<[u8]>) -> bool {
        let finished = file.finish(content);
        if let Err(error) = &finished {
            self.0.failed.store(true, Ordering::Relaxed);
            self.print_error(error);
        }
        finished.is_ok()
    }

    /// Records that a write is sent to the API.
    pub(crate) fn note_write(&self) {
        self.0.write_sent.store(true, Ordering::Relaxed);
    }

    /// Reports an error of standard output and returns the exit code of the process: an output error turns 0 and 2 into 1, or into 3
    /// if a write was sent.
    pub(crate) fn final_exit(&self, exit: Exit) -> Exit {
        let stream_error = FIRST_ERROR.get();
        if let Some((Stream::Stdout, error)) = stream_error {
            let message = format_args!("cannot write to standard output: {error}");
            self.print_error(&CommandError::error(message));
        }
        let has_failed = stream_error.is_some() || self.0.failed.load(Ordering::Relaxed);
        match self.0.write_sent.load(Ordering::Relaxed) {
            _ if !has_failed || !matches!(exit, Exit::Done | Exit::Changes) => exit,
            true => Exit::Incomplete,
            false => Exit::Error,
        }
    }

    /// Returns the arguments of the command.
    pub(crate) fn arguments(&self) -> &ArgMatches {
        &self.0.arguments
    }

    /// Returns true with `--quiet`.
    pub(crate) fn is_quiet(&self) -> bool {
        self.0.args.quiet
    }

    /// Returns true if next steps should be printed: not quiet, no JSON and not in a CI job.
    pub(crate) fn is_interactive(&self) -> bool {
        !self.0.args.quiet
            && !self.0.json
            && !self.0.args.ci
            && !self.0.in_github_actions
            && variable(environment::CI).is_none()
    }

    /// Returns the result for the CI job, with `--ci`.
    pub(crate) fn ci(&self) -> Option<MutexGuard<'_, CiState>> {
        self.0.args.ci.then(|| lock(&self.0.ci))
    }

    /// Sets or removes the progress bar.
    pub(crate) fn set_progress_bar(&self, bar: Option<ProgressBar>) {
        *lock(&self.0.bar) = bar;
    }

    /// Returns the current progress bar.
    pub(crate) fn bar(&self) -> Option<ProgressBar> {
        lock(&self.0.bar).clone()
    }

    /// Prints while the progress bar is hidden.
    fn write(&self, stream: Stream, text: &str) {
        match self.bar() {
            Some(bar) => bar.suspend(|| stream.write(text)),
            None => stream.write(text),
        }
    }

    /// Prints a result in one of the formats.
    pub(crate) fn rendered(&self, format: OutputFormat, text: String) {
        self.0.printed.store(true, Ordering::Relaxed);
        self.write(Stream::Stdout, &self.escaped(format, text));
    }

    /// Escapes workflow commands and invisible characters as the format allows.
    pub(crate) fn escaped(&self, format: OutputFormat, text: String) -> String {
        match format {
            OutputFormat::Json | OutputFormat::Sarif
                if self.0.in_github_actions || io::stdout().is_terminal() =>
            {
                escape_invisible_json(text)
            }
            // The writer already quotes workflow commands. The values must stay the same.
            OutputFormat::Json | OutputFormat::Sarif | OutputFormat::Yaml => text,
            _ => self.escape_commands(&text).into_owned(),
        }
    }

    /// Prints a text to standard output.
    pub(crate) fn result(&self, result: impl fmt::Display) {
        self.rendered(OutputFormat::Text, result.to_string());
    }

    /// Escapes workflow commands if GitHub Actions parses the output.
    fn escape_commands<'a>(&self, text: &'a str) -> Cow<'a, str> {
        match self.0.in_github_actions {
            true => escape_workflow_commands(text),
            false => text.into(),
        }
    }

    /// Prints a status line to standard error, unless quiet.
    pub(crate) fn status(&self, line: impl fmt::Display) {
        if !self.0.args.quiet {
            self.line(&line.to_string());
        }
    }

    /// Prints details to standard error with `-v` (1) or `-vv` (2).
    pub(crate) fn verbose(&self, level: u8, line: impl fmt::Display) {
        if self.0.args.verbose >= level {
            self.line(&EscapeInvisible(&line.to_string()).to_string());
        }
    }

    fn line(&self, line: &str) {
        let line = format!("{}\n", self.escape_commands(line));
        self.write(Stream::Stderr, &line);
    }

    /// Prints a workflow command.
    pub(crate) fn annotate(&self, command: String) {
        self.write(Stream::Stderr, &format!("{command}\n"));
    }

    /// Prints a warning to standard error.
    pub(crate) fn warn(&self, warning: impl fmt::Display) {
        let yellow = style::WARNING;
        self.line(&format!("{yellow}warning{yellow:#}: {warning}"));
    }

    /// Prints an error to standard error and returns its exit code.
    pub(crate) fn error(&self, error: &CommandError) -> Exit {
        if self.0.json && !self.0.printed.load(Ordering::Relaxed) {
            let (kind, message) = (error.kind.as_str(), error.plain_message());
            let document = error_document(kind, &message, error.help.as_deref());
            self.rendered(OutputFormat::Json, document);
        }
        self.print_error(error);
        error.kind.exit()
    }

    fn print_error(&self, error: &CommandError) {
        if error.kind == ErrorKind::Files {
            // Each diagnostic starts with "error" itself.
            return self.line(error.message.trim_end());
        }
        let red = style::ERROR;
        let lines = error.message.lines();
        let lines = lines.map(|line| EscapeInvisible(line).to_string());
        let message = lines.collect::<Vec<_>>().join("\n");
        self.line(&format!("{red}error{red:#}: {message}"));
        if let Some(help) = &error.help {
            self.line(&format!("  help: {}", EscapeInvisible(help)));
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Result for the CI job, collected during the run.
#[derive(Debug, Default)]
pub(crate) struct CiState {
    /// Names and values for later steps.
    pub(super) outputs: Vec<(String, String)>,
    pub(super) diagnostics: Vec<Diagnostic>,
    /// True if the summary is already written, including errors of accounts.
    pub(super) has_summary: bool,
}

/// A standard stream for output.
#[derive(Clone, Copy, Debug)]
enum Stream {
    Stdout,
    Stderr,
}

/// First error of a stream, other than a closed pipe. The streams belong to the process, so this is global.
static FIRST_ERROR: OnceLock<(Stream, io::Error)> = OnceLock::new();

impl Stream {
    fn write(self, text: &str) {
        let written = match self {
            Stream::Stdout => write_text(&io::stdout(), text),
            Stream::Stderr => write_text(&io::stderr(), text),
        };
        if let Err(error) = written
            && error.kind() != io::ErrorKind::BrokenPipe
        {
            // Only the first error is reported.
            let _ = FIRST_ERROR.set((self, error));
        }
    }
}

/// Writes a text, without its colors if the terminal does not show them.
pub(crate) fn write_text(stream: &(impl RawStream + AsFd), text: &str) -> io::Result<()> {
    if AutoStream::choice(stream) == ColorChoice::Never {
        let plain = anstream::adapter::strip_str(text).to_string();
        return write_all(stream, plain.as_bytes());
    }
    write_all(stream, text.as_bytes())
}
