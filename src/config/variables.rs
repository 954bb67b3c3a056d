//! `${NAME}`, `${NAME:-default}` and `$${` in scalars. They are replaced after parsing, so a value never changes the structure of a file.

use super::code::DiagnosticCode as Code;
use crate::model::account::is_variable_name;

/// Function that returns the value of an environment variable. Called only for names that files may use.
pub(super) type Lookup<'a> = &'a dyn Fn(&str) -> Option<String>;

/// Rule, message and help for an invalid `${`.
pub(super) type Mistake = (Code, String, String);

/// Returns a text with its variables replaced, and the mistakes with the number of their `${` in the text, starting at 0.
///
/// Without a lookup, every variable is a mistake.
pub(super) fn fill(text: &str, lookup: Option<Lookup<'_>>) -> (String, Vec<(usize, Mistake)>) {
    let (mut filled, mut mistakes) = (String::new(), Vec::new());
    let mut rest = text;
    for ordinal in 0.. {
        let Some((before, after)) = rest.split_once("${") else {
            break;
        };
        if let Some(before) = before.strip_suffix('$') {
            filled.push_str(before);
            filled.push_str("${");
            rest = after;
            continue;
        }
        filled.push_str(before);
        let (inside, after) = match after.split_once('}') {
            Some((inside, after)) => (Some(inside), after),
            None => (None, ""),
        };
        rest = after;
        match value(inside, lookup) {
            Ok(value) => filled.push_str(&value),
            Err(mistake) => mistakes.push((ordinal, mistake)),
        }
    }
    filled.push_str(rest);
    (filled, mistakes)
}

/// Returns the value of the expression between `${` and `}`.
fn value(inside: Option<&str>, lookup: Option<Lookup<'_>>) -> Result<String, Mistake> {
    let malformed = |message: &str| {
        let help = "write `${NAME}` or `${NAME:-default}`; use `$${` for a literal `${`";
        Err((Code::Interpolation, message.to_owned(), help.to_owned()))
    };
    let Some(inside) = inside else {
        return malformed("missing `}` after `${`");
    };
    let (name, default) = match inside.split_once(":-") {
        Some((name, default)) => (name, Some(default)),
        None => (inside, None),
    };
    if !is_variable_name(name) {
        return malformed("invalid variable name in `${…}`");
    }
    if default.is_some_and(|default| default.contains("${")) {
        return malformed("variables cannot be nested in a default");
    }
    let Some(lookup) = lookup else {
        let message = "variables are not allowed here".to_owned();
        return Err((Code::Interpolation, message, "write the value".to_owned()));
    };
    // Checked before the lookup: a value that is never read cannot leak.
    if !may_be_used(name) {
        let message = format!("variable `{name}` is not allowed in files");
        let help = "use a variable whose name starts with `RISKFORM_VAR_`, without a credential";
        return Err((Code::ForbiddenVariable, message, help.to_owned()));
    }
    let value = lookup(name);
    let (code, state) = match &value {
        Some(_) => (Code::EmptyVariable, "is set, but empty"),
        None => (Code::UnsetVariable, "is not set"),
    };
    let value = value.filter(|value| !value.is_empty());
    value.or_else(|| default.map(str::to_owned)).ok_or_else(|| {
        let message = format!("variable `{name}` {state}");
        let help = format!("set it or add a default: `${{{name}:-default}}`");
        (code, message, help)
    })
}

/// Returns the names of the variables in a text.
pub(super) fn names(text: &str) -> Vec<String> {
    let text = text.replace("$${", "");
    let expressions = text.split("${").skip(1);
    let inside = expressions.filter_map(|expression| expression.split_once('}'));
    let name = |(inside, _): (&str, &str)| inside.split(":-").next().map(str::to_owned);
    inside.filter_map(name).collect()
}

/// Returns true if files may use a variable. Without this check, a pull request could print any variable of the pipeline, or send its value
/// to a host of its choice.
pub(super) fn may_be_used(name: &str) -> bool {
    name.ends_with("_ACCOUNT_ID") || name.starts_with("RISKFORM_VAR_")
}

/// Escapes `${`, so that the text contains no variables.
pub(super) fn escaped(text: &str) -> String {
    text.replace("${", "$${")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> String {
        let lookup = |name: &str| (name == "RISKFORM_VAR_A").then(|| "v".to_owned());
        let (filled, mistakes) = fill(text, Some(&lookup));
        let mistakes = mistakes.iter();
        let mistakes = mistakes.map(|(ordinal, (code, ..))| format!(" {ordinal}:{code}"));
        format!("{filled}{}", mistakes.collect::<String>())
    }

    #[test]
    fn variables_are_replaced_and_mistakes_are_located() {
        for (text, expected) in [
            ("plain", "plain"),
            ("$5 and $NAME", "$5 and $NAME"),
            ("a.${RISKFORM_VAR_A}.b${RISKFORM_VAR_A}", "a.v.bv"),
            ("${RISKFORM_VAR_A:-x}", "v"),
            ("${RISKFORM_VAR_B:-x y}", "x y"),
            ("${RISKFORM_VAR_B:-}", ""),
            ("$${A} ${RISKFORM_VAR_A}", "${A} v"),
            ("$$${A}", "$${A}"),
            ("${", " 0:interpolation"),
            ("$${ ${}", "${  1:interpolation"),
            ("${1A}", " 0:interpolation"),
            ("${A-b}", " 0:interpolation"),
            ("${RISKFORM_VAR_A:-${B}}", "} 0:interpolation"),
            ("${RISKFORM_VAR_B}", " 0:unset-variable"),
            ("${HOME:-x}", " 0:forbidden-variable"),
            ("${CLOUDFLARE_API_TOKEN}", " 0:forbidden-variable"),
        ] {
            assert_eq!(shown(text), expected, "{text}");
        }
    }

    #[test]
    fn escaped_text_means_itself() {
        for text in ["plain", "${A}", "$${A}", "$$${", "a$", "${${"] {
            assert_eq!(shown(&escaped(text)), text);
            assert!(names(&escaped(text)).is_empty());
        }
    }
}
