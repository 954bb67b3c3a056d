//! The view as a self-contained page: no network, no script, light and dark, readable without color. The template engine escapes all
//! values.

use minijinja::syntax::SyntaxConfig;
use minijinja::value::Serde;
use minijinja::{AutoEscape, Environment, UndefinedBehavior, Value, context};
use serde::Serialize;

use crate::plan::Run;

use super::markdown::capitalized;
use super::view::{DetailLevel, View};

/// Returns a plan or drift as a page.
pub(super) fn page(run: &Run) -> String {
    let view = Value::from(Serde(View::new(run, DetailLevel::Grouped)));
    render(include_str!("page.html"), context! { style => STYLE, view })
}

/// Style of all pages.
pub(super) const STYLE: &str = include_str!("style.css");

/// Renders a page from its template, which begins with the title.
pub(super) fn render(template: &str, shown: impl Serialize) -> String {
    let template = [include_str!("head.html"), template].concat();
    let mut environment = Environment::new();
    environment.set_auto_escape_callback(|_| AutoEscape::Html);
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_syntax(
        SyntaxConfig::builder()
            .trim_blocks(true)
            .lstrip_blocks(true)
            .build()
            .expect("the usual delimiters do not clash"),
    );
    environment.add_filter("capitalize_first", |text: String| capitalized(&text));
    environment
        .render_str(&template, Value::from(Serde(shown)))
        .expect("the template fits what it is given")
}
