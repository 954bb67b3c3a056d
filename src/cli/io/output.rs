//! Output: data to standard output, messages to standard error, reports to files. Output never decides the outcome of a run, see
//! [`Output::final_exit`].

use std::borrow::Cow;
use std::ffi::OsString;
use std::fmt;
use std::io::{self, IsTerminal, Write};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use indicatif::ProgressBar;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::cli::error::CommandError;
use crate::cli::exit::Exit;
use crate::cli::flags::GlobalArgs;
use crate::cli::io::ci_state::CiReport;
use crate::cli::io::environment::{self, variable};
use crate::cli::io::files::{AppendTarget, FileMode, OutputFile, RunFiles};
use crate::cli::io::stream::{self, Stream};
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
    /// Files of the run. Clones share them.
    files: Arc<Mutex<RunFiles>>,
    /// Whether a report could not be written. Clones share it.
    failed: Arc<AtomicBool>,
    /// Whether a write was sent to the API. Clones share it.
    write_sent: Arc<AtomicBool>,
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
            files: Arc::default(),
            failed: Arc::default(),
            write_sent: Arc::default(),
        }
    }

    /// Creates the output for an error of the command line.
    pub(crate) fn before_parsing(words: &[OsString]) -> Self {
        Output::new(&GlobalArgs::default(), wants_json(words))
    }

    /// Prints clap's help or error. With `--format json`, an error is also printed as a JSON document.
    /// Returns the exit code.
    pub(crate) fn command_line(error: &clap::Error) -> Exit {
        let said = error.render().ansi().to_string();
        let said = match is_github_actions() {
            true => escape_workflow_commands(&said),
            false => said.into(),
        };
        if !error.use_stderr() {
            Stream::Stdout.write(&said);
            return final_exit(Exit::Done, false, false);
        }
        Stream::Stderr.write(&said);
        if wants_json(&std::env::args_os().collect::<Vec<_>>()) {
            // The usage lines after the first paragraph are for people.
            let message = error.to_string();
            let message = message.split("\n\nUsage:").next().unwrap_or(&message);
            let message = message.trim_start_matches("error: ").trim_end();
            let document = error_document("usage", message, None);
            Stream::Stdout.write(&escape_invisible_json(document));
        }
        Exit::Usage
    }

    /// Registers a file that the run reads.
    ///
    /// # Errors
    ///
    /// The run also writes the file.
    pub(crate) fn add_input(&self, path: &Path) -> Result<(), CommandError> {
        self.files().add_input(path)
    }

    /// Opens a file to write at the end of the run.
    ///
    /// # Errors
    ///
    /// The file cannot be written, or it is also an input or another output of the run.
    pub(crate) fn create(&self, path: &Path, mode: FileMode) -> Result<OutputFile, CommandError> {
        self.files().add_output(path)?;
        OutputFile::create(path, mode)
    }

    /// Opens a file to write later that must not exist, neither now nor then.
    ///
    /// # Errors
    ///
    /// The same as for [`create`](Self::create).
    pub(crate) fn create_new(
        &self,
        path: &Path,
        mode: FileMode,
    ) -> Result<OutputFile, CommandError> {
        self.files().add_output(path)?;
        OutputFile::create_new(path, mode)
    }

    /// Opens a file to append to.
    ///
    /// # Errors
    ///
    /// The same as for [`create`](Self::create).
    pub(crate) fn append(&self, path: &Path) -> Result<AppendTarget, CommandError> {
        let mut files = self.files();
        files.add_output(path)?;
        let target = AppendTarget::open(path)?;
        // A new file is known by its name until it is opened.
        files.add_opened(path);
        Ok(target)
    }

    fn files(&self) -> MutexGuard<'_, RunFiles> {
        self.files.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes the content of an opened file. Returns false after an error, which is printed and changes only the exit code.
    pub(crate) fn finish(&self, file: OutputFile, content: impl AsRef<[u8]>) -> bool {
        let finished = file.finish(content);
        if let Err(error) = &finished {
            self.failed.store(true, Ordering::Relaxed);
            self.print_error(error);
        }
        finished.is_ok()
    }

    /// Records that a write is sent to the API.
    pub(crate) fn note_write(&self) {
        self.write_sent.store(true, Ordering::Relaxed);
    }

    /// Reports an error of standard output and returns the exit code of the process: an output error turns 0 and 2 into 1, or into 3
    /// if a write was sent.
    pub(crate) fn final_exit(&self, exit: Exit) -> Exit {
        if let Some((Stream::Stdout, error)) = stream::first_error() {
            self.print_error(&CommandError::Other(anyhow::anyhow!(
                "cannot write to standard output: {error}"
            )));
        }
        let (failed, sent) = (
            self.failed.load(Ordering::Relaxed),
            self.write_sent.load(Ordering::Relaxed),
        );
        final_exit(exit, failed, sent)
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

    /// Prints a result in one of the formats.
    pub(crate) fn rendered(&self, format: &str, text: String) {
        self.print(&self.escaped(format, text));
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
    pub(crate) fn result(&self, result: impl fmt::Display) {
        self.print(&self.harmless(&result.to_string()));
    }

    /// Escapes workflow commands if GitHub Actions parses the output.
    fn harmless<'a>(&self, text: &'a str) -> Cow<'a, str> {
        match self.runner {
            true => escape_workflow_commands(text),
            false => text.into(),
        }
    }

    fn print(&self, text: &str) {
        self.printed.store(true, Ordering::Relaxed);
        self.apart(|| Stream::Stdout.write(text));
    }

    /// Prints a status line to standard error, unless quiet.
    pub(crate) fn say(&self, line: impl fmt::Display) {
        if !self.quiet {
            self.line(&line.to_string());
        }
    }

    fn line(&self, line: &str) {
        let line = format!("{}\n", self.harmless(line));
        self.apart(|| Stream::Stderr.write(&line));
    }

    /// Prints a workflow command.
    pub(crate) fn annotate(&self, command: String) {
        self.apart(|| Stream::Stderr.write(&format!("{command}\n")));
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
            let document = error_document(error.kind(), &message, error.help().as_deref());
            self.rendered("json", document);
        }
        self.print_error(error);
        error.exit()
    }

    fn print_error(&self, error: &CommandError) {
        match error {
            // Each rendered diagnostic starts with "error" itself.
            CommandError::Files(_) => self.line(error.to_string().trim_end()),
            CommandError::Usage(_)
            | CommandError::NoFile
            | CommandError::Account(_)
            | CommandError::StalePlan(_)
            | CommandError::UserLookup(_)
            | CommandError::NotATerminal
            | CommandError::Declined
            | CommandError::Interrupted(_)
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
    }
}

/// Returns the exit code of the process, see [`Output::final_exit`].
fn final_exit(exit: Exit, failed: bool, write_sent: bool) -> Exit {
    match exit {
        Exit::Done | Exit::Changes if failed || stream::first_error().is_some() => match write_sent
        {
            true => Exit::Incomplete,
            false => Exit::Error,
        },
        exit => exit,
    }
}

/// Returns true if a command line that cannot be parsed asks for JSON.
fn wants_json(words: &[OsString]) -> bool {
    let separate = |pair: &[OsString]| pair == ["--format", "json"] || pair == ["-o", "json"];
    let joined = |word: &OsString| word == "--format=json" || word == "-ojson";
    words.windows(2).any(separate) || words.iter().any(joined)
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
        Stream::Stderr.write(&text);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
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
