//! Variables in values: which may be read, what they hold, and where a wrong one stands.

use std::borrow::Cow;

use super::decode::Decoder;
use super::text::{StringValue, VariableUse};
use crate::config::code::DiagnosticCode;
use crate::config::diagnostic::DiagnosticBuilder;
use crate::config::interpolate::{Segment, Variable, pieces};
use crate::config::resource_limits::Resource;
use crate::config::span::Span;
use crate::config::yaml::{MAX_VALUE_BYTES, Scalar};
use crate::model::limits::VariableDenied;

/// How many variables one value may be made of.
const MAX_VARIABLES_PER_VALUE: usize = 64;

impl Decoder<'_> {
    /// Replaces the variables in a scalar. None when one of them can't be replaced, which has then been reported.
    pub(super) fn fill(&mut self, scalar: &Scalar, span: Span) -> Option<StringValue> {
        let written = &*scalar.text;
        if !written.contains("${") {
            return Some(StringValue {
                value: written.to_owned(),
                written: written.to_owned(),
                span,
                plain: scalar.plain,
                filled: false,
            });
        }
        let (mut value, mut filled, mut sound) = (String::new(), false, true);
        let pieces = pieces(written);
        if pieces.len() > 2 * MAX_VARIABLES_PER_VALUE {
            let message = format!("more than {MAX_VARIABLES_PER_VALUE} variables in one value");
            let draft = DiagnosticBuilder::new(DiagnosticCode::TooLarge, span, message);
            self.found.push(draft.help("use fewer variables"));
            return None;
        }
        for piece in pieces {
            match piece {
                Segment::Literal(text) => value.push_str(text),
                Segment::Variable(variable) => {
                    filled = true;
                    match self.resolve_variable(variable, written, span) {
                        Some(text) => value.push_str(&text),
                        None => sound = false,
                    }
                }
                Segment::Malformed { ordinal, why } => {
                    sound = false;
                    let place = self.variable_span(span, written, ordinal, "${");
                    let draft = DiagnosticBuilder::new(
                        DiagnosticCode::Interpolation,
                        place,
                        why.to_string(),
                    );
                    self.found.push(draft.help(
                        "write `${NAME}` or `${NAME:-default}`; use `$${` for a literal `${`",
                    ));
                }
            }
        }
        if value.len() > MAX_VALUE_BYTES {
            let message = format!(
                "the value is longer than {MAX_VALUE_BYTES} bytes after its variables are replaced"
            );
            let draft = DiagnosticBuilder::new(DiagnosticCode::TooLarge, span, message);
            self.found
                .push(draft.help("use shorter values for the variables"));
            return None;
        }
        sound.then(|| StringValue {
            value,
            written: written.to_owned(),
            span,
            plain: scalar.plain,
            filled,
        })
    }

    fn resolve_variable<'t>(
        &mut self,
        variable: Variable<'t>,
        written: &str,
        span: Span,
    ) -> Option<Cow<'t, str>> {
        let Variable {
            name,
            default,
            ordinal,
        } = variable;
        let place = self.variable_span(span, written, ordinal, &format!("${{{name}"));
        if !self.found.spend(Resource::Variables, 1, place) {
            return None;
        }
        self.used.push(VariableUse {
            name: name.to_owned(),
            span: place,
        });
        let Some(environment) = self.environment.variable else {
            let draft = DiagnosticBuilder::new(
                DiagnosticCode::Interpolation,
                place,
                "variables are not allowed in this file",
            );
            let help = "write the value; use `$${` for a literal `${`";
            self.found.push(draft.help(help));
            return None;
        };
        // Judged before it is looked up: what is never read can't leak.
        if let Err(forbidden) = self.environment.limits.allows_variable(name) {
            self.found.push(denied_variable(forbidden, name, place));
            return None;
        }
        let value = environment(name);
        let is_set = value.is_some();
        match value.filter(|value| !value.is_empty()) {
            Some(value) => Some(value.into()),
            None if default.is_some() => default.map(Cow::from),
            None => {
                let (rule, state) = if is_set {
                    (DiagnosticCode::EmptyVariable, "is set, but empty")
                } else {
                    (DiagnosticCode::UnsetVariable, "is not set")
                };
                let draft =
                    DiagnosticBuilder::new(rule, place, format!("variable `{name}` {state}"));
                let help = format!("set it or add a default: `${{{name}:-default}}`");
                self.found.push(draft.help(help));
                None
            }
        }
    }

    /// Where the `ordinal`th `${` of a scalar stands; the whole scalar where escapes or folded lines hide it.
    fn variable_span(&self, span: Span, written: &str, ordinal: usize, opening: &str) -> Span {
        let raw = self.found.sources.written(span);
        let openings = |text: &str| text.matches("${").count();
        let at = raw.match_indices("${").nth(ordinal).map(|(at, _)| at);
        match at {
            Some(at) if openings(raw) == openings(written) && !raw[..at].contains(['\n', '\r']) => {
                let offset = |count: usize| u32::try_from(count).unwrap_or_default();
                let rest = &raw[at..];
                let length = rest.find('}').map_or(opening.len(), |end| end + 1);
                Span {
                    start: span.start + offset(at),
                    end: span.start + offset(at + length.min(rest.len())),
                    column: span.column + offset(raw[..at].chars().count()),
                    ..span
                }
            }
            Some(_) | None => span,
        }
    }
}

/// The refusal of a variable that files may not read.
pub(in crate::config) fn denied_variable(
    forbidden: VariableDenied,
    name: &str,
    span: Span,
) -> DiagnosticBuilder {
    let (rule, message, help) = match forbidden {
        VariableDenied::Secret => (
            DiagnosticCode::SecretVariable,
            format!("variable `{name}` may hold a credential, which must not be part of a plan"),
            "use a variable without words such as TOKEN or KEY in its name, and not the one named in `api_token_env`".to_owned(),
        ),
        VariableDenied::Unlisted => (
            DiagnosticCode::ForbiddenVariable,
            format!("variable `{name}` is not allowed in files"),
            format!("rename it to `RISKFORM_VAR_{name}` or allow it under `variables` in the limits file"),
        ),
    };
    DiagnosticBuilder::new(rule, span, message).help(help)
}
