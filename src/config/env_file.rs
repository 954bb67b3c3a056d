//! `--env-file`: credentials, and what files may interpolate, one `NAME=value` a line.
//!
//! Not a shell's language: no `export`, no expansion. No message shows a line, since most of them hold a secret.

use std::collections::BTreeMap;
use std::path::Path;

use super::code::DiagnosticCode;
use super::diagnostic::{Diagnostics, Problem};
use super::files::{Files, shown};
use super::variables::is_variable_name;
use crate::model::limits::Limits;

/// Reads the variables of a file, or says everything that is wrong with it.
pub fn load(path: &Path, limits: &Limits) -> Result<BTreeMap<String, String>, Diagnostics> {
    let mut found = Diagnostics::default();
    let name = shown(path);
    let mut push = |rule, message: String, help: &str| {
        found.push(Problem::at(name.as_str(), rule, message, help));
    };
    let mut variables = BTreeMap::new();
    match Files::default().read(path).map(String::from_utf8) {
        Err(refused) => {
            found.push(refused.of_file(path));
            return Err(found);
        }
        Ok(Err(_)) => push(
            DiagnosticCode::NotUtf8,
            format!("{name} is not UTF-8"),
            "save it as UTF-8",
        ),
        Ok(Ok(text)) => {
            for (at, line) in text.trim_start_matches('\u{FEFF}').lines().enumerate() {
                let line = line.trim();
                if line.is_empty() || line.starts_with('#') {
                    continue;
                }
                let place = format!("{name}:{}", at + 1);
                match assignment(line, limits) {
                    Ok((name, value)) => {
                        if variables
                            .insert(name.to_owned(), value.to_owned())
                            .is_some()
                        {
                            push(
                                DiagnosticCode::DuplicateKey,
                                format!("{place}: {name} is set twice"),
                                "keep one of them",
                            );
                        }
                    }
                    Err((what, help)) => {
                        push(DiagnosticCode::EnvFile, format!("{place}: {what}"), help)
                    }
                }
            }
        }
    }
    if found.errors() > 0 {
        return Err(found);
    }
    Ok(variables)
}

/// Reads a line; the error says what is wrong and the way out.
fn assignment<'l>(
    line: &'l str,
    limits: &Limits,
) -> Result<(&'l str, &'l str), (String, &'static str)> {
    const FORM: &str = "write `NAME=value`, with the value in quotes where it holds spaces";
    if line.starts_with("export ") {
        return Err(("a file of variables takes no `export`".to_owned(), FORM));
    }
    let Some((name, value)) = line
        .split_once('=')
        .filter(|(name, _)| is_variable_name(name))
    else {
        return Err(("the line is not `NAME=value`".to_owned(), FORM));
    };
    if !limits.may_stand_in_an_env_file(name) {
        // What is not written like a name may be a secret that holds an equals sign.
        let looks_like_a_name = !name.contains(|c: char| c.is_ascii_lowercase());
        let name = if looks_like_a_name { name } else { "the name" };
        return Err((
            format!("{name} is neither a credential's nor one that files may read"),
            "set it in the environment; a file of variables may hold CLOUDFLARE_* but CLOUDFLARE_BASE_URL, *_ACCOUNT_ID, RISKFORM_VAR_* and what the limits list",
        ));
    }
    let quoted = ['"', '\'']
        .into_iter()
        .find(|quote| value.starts_with(*quote));
    match quoted {
        Some(quote) => match value[1..].strip_suffix(quote) {
            Some(inner) if !inner.contains(quote) => Ok((name, inner)),
            Some(_) | None => Err((
                format!("the value of {name} has a quote without its other one"),
                "put one pair of quotes around the whole value",
            )),
        },
        None if value.contains(char::is_whitespace) => Err((
            format!("the value of {name} holds a space"),
            "put the value in quotes; a comment stands on a line of its own",
        )),
        None => Ok((name, value)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::limits::NO_LIMITS;

    fn read(text: &str) -> Result<BTreeMap<String, String>, String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("vars.env");
        std::fs::write(&path, text).unwrap();
        let shown = format!("{}", path.display());
        load(&path, &NO_LIMITS).map_err(|error| {
            let messages: Vec<String> = error
                .iter()
                .map(|one| one.message.replace(&shown, "vars.env"))
                .collect();
            assert!(!error.to_string().contains("hush"), "{error}");
            messages.join("\n")
        })
    }

    #[test]
    fn a_line_is_a_name_and_a_value() {
        let read = read(
            "\u{FEFF}# comment\n\n  CLOUDFLARE_API_TOKEN=a=b#c\r\nRISKFORM_VAR_A=\"x # y\"\nB_ACCOUNT_ID='$HOME'\nRISKFORM_VAR_B=\n",
        );
        let expected = [
            ("B_ACCOUNT_ID", "$HOME"),
            ("CLOUDFLARE_API_TOKEN", "a=b#c"),
            ("RISKFORM_VAR_A", "x # y"),
            ("RISKFORM_VAR_B", ""),
        ];
        let expected = expected.map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(read.unwrap(), BTreeMap::from(expected));
    }

    #[test]
    fn a_wrong_line_is_told_by_its_number_and_never_shown() {
        for (text, message) in [
            (
                "export CLOUDFLARE_API_TOKEN=hush",
                "vars.env:1: a file of variables takes no `export`",
            ),
            ("\nhush", "vars.env:2: the line is not `NAME=value`"),
            (
                "CLOUDFLARE_API_TOKEN = hush",
                "vars.env:1: the line is not `NAME=value`",
            ),
            (
                "CLOUDFLARE_API_TOKEN=hush hush",
                "vars.env:1: the value of CLOUDFLARE_API_TOKEN holds a space",
            ),
            (
                "CLOUDFLARE_API_TOKEN=\"hush",
                "vars.env:1: the value of CLOUDFLARE_API_TOKEN has a quote without its other one",
            ),
            (
                "CLOUDFLARE_API_TOKEN='hush' # x",
                "vars.env:1: the value of CLOUDFLARE_API_TOKEN has a quote without its other one",
            ),
            (
                "CLOUDFLARE_API_TOKEN=hush\nCLOUDFLARE_API_TOKEN=hush",
                "vars.env:2: CLOUDFLARE_API_TOKEN is set twice",
            ),
            (
                "CLOUDFLARE_BASE_URL=https://hush",
                "vars.env:1: CLOUDFLARE_BASE_URL is neither a credential's nor one that files may read",
            ),
            (
                "PATH=hush",
                "vars.env:1: PATH is neither a credential's nor one that files may read",
            ),
            (
                "RISKFORM_NOTIFY=hush",
                "vars.env:1: RISKFORM_NOTIFY is neither a credential's nor one that files may read",
            ),
            (
                "hush0=",
                "vars.env:1: the name is neither a credential's nor one that files may read",
            ),
        ] {
            assert_eq!(read(text).unwrap_err(), message, "{text}");
        }
    }
}
