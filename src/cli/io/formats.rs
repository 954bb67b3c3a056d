//! `--format KIND` to standard output, `--format KIND=FILE` to a file; several at once.

use std::path::PathBuf;
use std::str::FromStr;

use clap::Args;

use crate::cli::io::files::{Access, write_atomically};
use crate::cli::io::output::Output;
use crate::cli::run::ending::Error;

/// The `--format` flags of a command.
#[derive(Args, Debug)]
pub(crate) struct FormatArguments {
    /// How to show the result; with =FILE it is written there instead, and the flag may be repeated
    #[arg(long = "format", value_name = "KIND[=FILE]")]
    formats: Vec<String>,
}

impl FormatArguments {
    /// Says whether standard output must be one JSON document, whatever happens.
    pub(crate) fn prints_json(&self) -> bool {
        self.formats.iter().any(|format| format == "json")
    }

    /// Reads the flags of a command that knows `kinds`; the first is what is printed without a flag.
    ///
    /// # Errors
    ///
    /// An unknown kind, and more than one for standard output.
    pub(crate) fn read<K: Copy + FromStr + std::fmt::Display>(
        &self,
        kinds: &[K],
    ) -> Result<Formats<K>, Error> {
        let mut stdout = None;
        let mut files = Vec::new();
        for format in &self.formats {
            let (kind, file) = match format.split_once('=') {
                Some((kind, file)) => (kind, Some(PathBuf::from(file))),
                None => (format.as_str(), None),
            };
            let Ok(kind) = kind.parse::<K>() else {
                let known: Vec<String> = kinds.iter().map(ToString::to_string).collect();
                return Err(Error::Usage(format!(
                    "--format {kind}: this command knows {}",
                    known.join(", ")
                )));
            };
            match file {
                Some(file) => files.push((kind, file)),
                None if stdout.is_some() => {
                    return Err(Error::Usage(
                        "--format is given twice for standard output; with --format KIND=FILE one of them goes to a file"
                            .to_owned(),
                    ));
                }
                None => stdout = Some(kind),
            }
        }
        Ok(Formats {
            stdout: stdout.unwrap_or(kinds[0]),
            files,
        })
    }
}

/// Where a result goes, in which formats.
pub(crate) struct Formats<K> {
    /// What is printed.
    pub(crate) stdout: K,
    /// What is written to files.
    pub(crate) files: Vec<(K, PathBuf)>,
}

impl<K: Copy> Formats<K> {
    /// Every kind that is asked for.
    pub(crate) fn kinds(&self) -> impl Iterator<Item = K> {
        let files = self.files.iter().map(|(kind, _)| *kind);
        files.chain([self.stdout])
    }

    /// Prints the result, and writes it to the files.
    pub(crate) fn write(&self, output: &Output, render: impl Fn(K) -> String) -> Result<(), Error> {
        self.write_files(&render)?;
        output.result(render(self.stdout))
    }

    /// Writes the result to the files.
    pub(crate) fn write_files(&self, render: impl Fn(K) -> String) -> Result<(), Error> {
        for (kind, file) in &self.files {
            let content = anstream::adapter::strip_str(&render(*kind)).to_string();
            write_atomically(file, &content, Access::Everybody)?;
        }
        Ok(())
    }
}
