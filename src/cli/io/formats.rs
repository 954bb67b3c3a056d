//! `--format KIND` for standard output, `--format KIND=FILE` for files.

use std::path::{Path, PathBuf};

use clap::{Arg, Args};

use crate::cli::error::CommandError;
use crate::cli::io::files::{FileMode, OutputFile};
use crate::cli::io::output::Output;
use crate::report::{DetailLevel, OutputFormat};

/// `--format` flags of a command, which offers some of the formats ([`offer`]).
#[derive(Args, Debug)]
pub(crate) struct FormatArgs {
    #[arg(long = "format", short = 'o', value_name = "KIND[=FILE]", value_parser = |text: &str| parse(text, OutputFormat::ALL))]
    formats: Vec<FormatArg>,
}

/// A format and its file; `None` is standard output.
#[derive(Clone, Debug)]
struct FormatArg {
    kind: OutputFormat,
    file: Option<PathBuf>,
}

/// Restricts `--format` to these formats. The first is the default.
pub(crate) fn offer(arg: Arg, kinds: &'static [OutputFormat]) -> Arg {
    let names = format!("{} (default), {}", kinds[0], names(&kinds[1..]));
    arg.help(format!("Output format: {names}"))
        .long_help(format!(
            "Output format: {names}. Use KIND=FILE to write to a file (repeatable)"
        ))
        .default_value(kinds[0].as_str())
        .hide_default_value(true)
        .value_parser(move |text: &str| parse(text, kinds))
}

fn names(kinds: &[OutputFormat]) -> String {
    let names: Vec<&str> = kinds.iter().map(|kind| kind.as_str()).collect();
    names.join(", ")
}

fn parse(text: &str, kinds: &[OutputFormat]) -> Result<FormatArg, String> {
    let (name, file) = match text.split_once('=') {
        Some((_, "")) => return Err("missing file name after `=`".to_owned()),
        Some((name, file)) => (name, Some(PathBuf::from(file))),
        None => (text, None),
    };
    if let Some(kind) = kinds.iter().find(|kind| kind.as_str() == name) {
        return Ok(FormatArg { kind: *kind, file });
    }
    if !name.contains(['.', '/']) {
        return Err(format!("expected one of: {}", names(kinds)));
    }
    let extension = Path::new(name).extension().unwrap_or_default();
    let kind = kinds.iter().find(|kind| extension == kind.as_str());
    let kind = kind.unwrap_or(&kinds[0]);
    // Only `plan` and `show` offer it.
    let hint = match kinds.contains(&OutputFormat::Diff) {
        true => " (plan --out FILE saves a plan)",
        false => "",
    };
    Err(format!(
        "`{text}` looks like a file name; use --format {kind}={text}{hint}"
    ))
}

/// Detail of the text output for several accounts.
#[derive(Args, Debug)]
pub(crate) struct DetailArgs {
    /// Show every account separately
    ///
    /// Otherwise accounts with the same changes are shown together.
    #[arg(long, hide_short_help = true)]
    expand: bool,
}

impl DetailArgs {
    /// Returns the level of detail.
    ///
    /// # Errors
    ///
    /// `--expand` is given but no text is written.
    pub(crate) fn read(&self, formats: &Formats) -> Result<DetailLevel, CommandError> {
        if !self.expand {
            return Ok(DetailLevel::Grouped);
        }
        if formats.kinds().any(|kind| kind == OutputFormat::Text) {
            return Ok(DetailLevel::Expanded);
        }
        Err(CommandError::usage(
            "--expand needs the format text",
            "remove --format, or add --format text=FILE",
        ))
    }
}

impl FormatArgs {
    /// Resolves the formats and opens the files.
    ///
    /// # Errors
    ///
    /// More than one format for standard output, or a file that cannot be written.
    pub(crate) fn read(&self, output: &Output) -> Result<Formats, CommandError> {
        let (mut stdout, mut files) = (None, Vec::new());
        for FormatArg { kind, file } in &self.formats {
            match file {
                Some(file) => files.push((*kind, output.create(file, FileMode::Replace)?)),
                None if stdout.is_none() => stdout = Some(*kind),
                None => {
                    return Err(CommandError::usage(
                        "only one --format can go to standard output",
                        "write the other one to a file with --format KIND=FILE",
                    ));
                }
            }
        }
        Ok(Formats { stdout, files })
    }
}

/// Formats of the result.
pub(crate) struct Formats {
    /// Format of standard output. `None` if only files are named.
    pub(crate) stdout: Option<OutputFormat>,
    /// Formats of files.
    pub(crate) files: Vec<(OutputFormat, OutputFile)>,
}

impl Formats {
    /// Returns all requested formats.
    pub(crate) fn kinds(&self) -> impl Iterator<Item = OutputFormat> {
        let files = self.files.iter().map(|(kind, _)| *kind);
        files.chain(self.stdout)
    }

    /// Prints the result and writes it to the files.
    pub(crate) fn write(self, output: &Output, render: impl Fn(OutputFormat) -> String) {
        self.write_unless_clean(output, false, render);
    }

    /// Like [`write`](Self::write), but with `-q` a text without findings is not printed, because cron mails all output.
    pub(crate) fn write_unless_clean(
        self,
        output: &Output,
        is_clean: bool,
        render: impl Fn(OutputFormat) -> String,
    ) {
        for (kind, file) in self.files {
            let content = anstream::adapter::strip_str(&render(kind)).to_string();
            let content = match file.is_stream() {
                true => output.escaped(kind, content),
                false => content,
            };
            output.finish(file, content);
        }
        match self.stdout {
            Some(OutputFormat::Text) if output.is_quiet() && is_clean => {}
            Some(kind) => output.rendered(kind, render(kind)),
            None => {}
        }
    }
}
