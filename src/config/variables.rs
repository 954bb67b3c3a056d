//! `${NAME}`, `${NAME:-default}` and `$${` in scalars. They are replaced after parsing, so a value never changes the structure of a file.

use super::code::DiagnosticCode as Code;

/// Looks up the value of an environment variable. Called only for names that files may use.
pub(super) type Lookup<'a> = &'a dyn Fn(&str) -> Option<String>;

/// A text with its variables replaced.
#[derive(Debug, Default)]
pub(super) struct Filled {
    pub(super) text: String,
    pub(super) mistakes: Vec<Mistake>,
}

/// An invalid `${` in a text.
#[derive(Debug)]
pub(super) struct Mistake {
    /// Number of the `${` in the text, starting at 0.
    pub(super) ordinal: usize,
    pub(super) code: Code,
    pub(super) message: String,
    pub(super) help: String,
}

/// Replaces the variables in a text. Without a lookup, every variable is a mistake.
pub(super) fn fill(text: &str, lookup: Option<Lookup<'_>>) -> Filled {
    let mut filled = Filled::default();
    let mut rest = text;
    for ordinal in 0.. {
        let Some((before, after)) = rest.split_once("${") else {
            break;
        };
        if let Some(before) = before.strip_suffix('$') {
            filled.text.push_str(before);
            filled.text.push_str("${");
            rest = after;
            continue;
        }
        filled.text.push_str(before);
        let (inside, after) = match after.split_once('}') {
            Some((inside, after)) => (Some(inside), after),
            None => (None, ""),
        };
        rest = after;
        match value(inside, lookup) {
            Ok(value) => filled.text.push_str(&value),
            Err((code, message, help)) => filled.mistakes.push(Mistake {
                ordinal,
                code,
                message,
                help,
            }),
        }
    }
    filled.text.push_str(rest);
    filled
}

/// Returns the value of the expression between `${` and `}`, or the code, message and help of a mistake.
fn value(
    inside: Option<&str>,
    lookup: Option<Lookup<'_>>,
) -> Result<String, (Code, String, String)> {
    let error = |code, message: &str, help: &str| Err((code, message.to_owned(), help.to_owned()));
    let malformed = |message| {
        let help = "write `${NAME}` or `${NAME:-default}`; use `$${` for a literal `${`";
        error(Code::Interpolation, message, help)
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
        let message = "variables are not allowed here";
        return error(Code::Interpolation, message, "write the value");
    };
    // Checked before the lookup: a value that is never read cannot leak.
    if !may_be_used(name) {
        let message = format!("variable `{name}` is not allowed in files");
        let help = "use a variable whose name starts with `RISKFORM_VAR_`, without a credential";
        return error(Code::ForbiddenVariable, &message, help);
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

/// Returns true if a text is a valid name of an environment variable.
pub(super) fn is_variable_name(text: &str) -> bool {
    !text.starts_with(|c: char| c.is_ascii_digit())
        && !text.is_empty()
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

/// Escapes `${`, so that the text contains no variables.
pub(super) fn escaped(text: &str) -> String {
    text.replace("${", "$${")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> String {
        let filled = fill(
            text,
            Some(&|name| (name == "RISKFORM_VAR_A").then(|| "v".to_owned())),
        );
        let mistakes = filled.mistakes.iter();
        let mistakes = mistakes.map(|one| format!(" {}:{}", one.ordinal, one.code));
        format!("{}{}", filled.text, mistakes.collect::<String>())
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
