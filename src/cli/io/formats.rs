//! `--format KIND` for standard output, `--format KIND=FILE` for files.

use std::fmt::Debug;
use std::marker::PhantomData;
use std::path::{Path, PathBuf};

use clap::Args;

use crate::cli::error::CommandError;
use crate::cli::io::files::{FileMode, OutputFile};
use crate::cli::io::output::Output;
use crate::report::{DetailLevel, OutputFormat};

/// Output formats of a command. The first is the default.
pub(crate) trait CommandFormats: Clone + Debug + Send + Sync + 'static {
    const ALL: &'static [OutputFormat];
    /// Hint for a file name in place of a format.
    const HINT: &'static str;
}

macro_rules! formats {
    ($($name:ident $hint:literal $($format:ident)+,)+) => {
        $(#[derive(Clone, Debug)]
        pub(crate) struct $name;

        impl CommandFormats for $name {
            const ALL: &'static [OutputFormat] = &[$(OutputFormat::$format),+];
            const HINT: &'static str = $hint;
        })+
    };
}

formats! {
    ApplyFormats "" Text Json Markdown,
    AuditFormats "" Text Json Markdown Html Junit Sarif,
    DriftFormats "" Text Json Markdown Html Junit Sarif Prometheus,
    ExportFormats "" Yaml Json,
    GetFormats "" Table Json,
    PlanFormats " (plan --out FILE saves a plan)" Text Json Markdown Diff Html,
    ValidateFormats "" Text Json Sarif,
    VersionFormats "" Text Json,
}

/// `--format` flags of a command.
#[derive(Args, Debug)]
pub(crate) struct FormatArgs<K: CommandFormats> {
    #[arg(
        long = "format",
        short = 'o',
        value_name = "KIND[=FILE]",
        value_parser = parse::<K>,
        help = help::<K>(),
        long_help = long_help::<K>()
    )]
    formats: Vec<FormatArg>,
    #[arg(skip)]
    command: PhantomData<K>,
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

/// A format and its file; `None` is standard output.
#[derive(Clone, Debug)]
struct FormatArg {
    kind: OutputFormat,
    file: Option<PathBuf>,
}

fn help<K: CommandFormats>() -> String {
    format!("Output format: {}", names::<K>())
}

fn long_help<K: CommandFormats>() -> String {
    format!(
        "Output format: {}. Use KIND=FILE to write to a file (repeatable)",
        names::<K>()
    )
}

fn names<K: CommandFormats>() -> String {
    let names: Vec<String> = K::ALL
        .iter()
        .enumerate()
        .map(|(index, kind)| match index {
            0 => format!("{} (default)", kind.as_str()),
            _ => kind.as_str().to_owned(),
        })
        .collect();
    names.join(", ")
}

fn parse<K: CommandFormats>(text: &str) -> Result<FormatArg, String> {
    let (name, file) = match text.split_once('=') {
        Some((_, "")) => return Err("missing file name after `=`".to_owned()),
        Some((name, file)) => (name, Some(PathBuf::from(file))),
        None => (text, None),
    };
    match K::ALL.iter().find(|kind| kind.as_str() == name) {
        Some(kind) => Ok(FormatArg { kind: *kind, file }),
        None if name.contains(['.', '/']) => {
            let extension = Path::new(name).extension();
            let mut kinds = K::ALL.iter().map(|kind| kind.as_str());
            let kind = kinds.find(|kind| extension.is_some_and(|extension| extension == *kind));
            Err(format!(
                "`{text}` looks like a file name; use --format {}={text}{}",
                kind.unwrap_or(K::ALL[0].as_str()),
                K::HINT
            ))
        }
        None => {
            let known: Vec<&str> = K::ALL.iter().map(|kind| kind.as_str()).collect();
            Err(format!("expected one of: {}", known.join(", ")))
        }
    }
}

impl<K: CommandFormats> FormatArgs<K> {
    fn printed(&self) -> impl Iterator<Item = OutputFormat> {
        let printed = self.formats.iter().filter(|format| format.file.is_none());
        printed.map(|format| format.kind)
    }

    /// Resolves the formats and opens the files. With `-q`, nothing is printed if only files are named.
    ///
    /// # Errors
    ///
    /// More than one format for standard output, or a file that cannot be written.
    pub(crate) fn read(&self, output: &Output) -> Result<Formats, CommandError> {
        let mut printed = self.printed();
        let stdout = match (printed.next(), printed.next()) {
            (Some(_), Some(_)) => {
                return Err(CommandError::usage(
                    "only one --format can go to standard output",
                    "write the other one to a file with --format KIND=FILE",
                ));
            }
            (Some(kind), None) => Some(kind),
            (None, _) if output.is_quiet() && !self.formats.is_empty() => None,
            (None, _) => Some(K::ALL[0]),
        };
        let files = self.formats.iter().filter_map(|format| {
            let file = format.file.as_ref()?;
            let opened = output.create(file, FileMode::Default);
            Some(opened.map(|opened| (format.kind, opened)))
        });
        Ok(Formats {
            stdout,
            files: files.collect::<Result<_, CommandError>>()?,
        })
    }
}

/// Formats of the result.
pub(crate) struct Formats {
    /// Format of standard output.
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
                true => output.escaped(kind.as_str(), content),
                false => content,
            };
            output.finish(file, content);
        }
        match self.stdout.map(|kind| (kind, kind.as_str())) {
            None => {}
            Some((_, "text")) if output.is_quiet() && is_clean => {}
            Some((kind, name)) => output.rendered(name, render(kind)),
        }
    }
}
