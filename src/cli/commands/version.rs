//! `riskform version`: version and build information.

use std::fmt::Write;

use clap::Args;
use serde::Serialize;

use crate::cli::error::CommandError;
use crate::cli::exit::Exit;
use crate::cli::io::formats::FormatArgs;
use crate::cli::io::output::Output;
use crate::report::VersionFormat;
use crate::report::get::json;

/// Flags of `version`.
#[derive(Args, Debug)]
pub(crate) struct VersionArguments {
    #[command(flatten)]
    pub(crate) formats: FormatArgs<VersionFormat>,
}

/// Version and build information.
#[derive(Serialize)]
struct BuildInfo {
    format: &'static str,
    version: &'static str,
    /// Commit of a release; `None` in a development build.
    commit: Option<&'static str>,
    build_date: Option<&'static str>,
    target: &'static str,
    features: [&'static str; 0],
}

/// Prints version and build information.
pub(crate) fn run(arguments: &VersionArguments, output: &Output) -> Result<Exit, CommandError> {
    let some = |text: &'static str| (!text.is_empty()).then_some(text);
    let build = BuildInfo {
        format: "riskform.version/1",
        version: env!("CARGO_PKG_VERSION"),
        commit: some(env!("RISKFORM_COMMIT")),
        build_date: some(env!("RISKFORM_COMMIT_DATE")),
        target: env!("RISKFORM_TARGET"),
        // There are no optional features.
        features: [],
    };
    let formats = arguments.formats.read(output)?;
    formats.write(output, |format| match format {
        VersionFormat::Text => text(&build),
        VersionFormat::Json => json(&build),
    });
    Ok(Exit::Done)
}

fn text(build: &BuildInfo) -> String {
    let mut text = format!("riskform {}\n", build.version);
    let rows = [
        ("commit", build.commit),
        ("date", build.build_date),
        ("target", Some(build.target)),
    ];
    for (name, value) in rows {
        if let Some(value) = value {
            let _ = writeln!(text, "{name:<7} {value}");
        }
    }
    text
}
