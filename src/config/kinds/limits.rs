//! What a file of the operator's limits may say.

use schemars::{Schema, SchemaGenerator};

use super::account::{ProtectedList, Version};
use super::decode::Decoder;
use super::subject::KeyPath;
use super::{ConfigValue, Field, Shape, fields, nested, written_words};
use crate::config::code::DiagnosticCode;
use crate::config::diagnostic::DiagnosticBuilder;
use crate::config::json_schema::texts;
use crate::config::yaml::Entry;
use crate::model::account::{GuardMode, PolicyGuardMode};
use crate::model::limits::DeleteAllPolicy;

fields! {
    /// Operator limits. The stricter of limits and files applies; no file or flag can exceed the limits.
    #[schemars(rename = "Limits")]
    LimitsLayer {
        /// Version of the file format.
        version: Version, required "write `version: 1`";
        /// Guards for every plan.
        guards: LimitGuards;
        /// Host patterns that integrations may send scores to. Default: all; an empty list allows none.
        #[schemars(example = ["*.okta.com"])]
        allowed_tenants: HostGlobs;
        /// Variable patterns that files may use, in addition to CLOUDFLARE_ACCOUNT_ID, *_ACCOUNT_ID and RISKFORM_VAR_*.
        #[schemars(example = ["CI_ENVIRONMENT_NAME"])]
        variables: NameGlobs;
        /// Variable patterns allowed in `api_token_env`, in addition to CLOUDFLARE_*.
        #[schemars(example = ["CUSTOMER_*_API_TOKEN"])]
        token_variables: NameGlobs;
    }
}

fields! {
    /// Guards for every plan.
    #[schemars(rename = "LimitGuards")]
    LimitGuards {
        /// Maximum number of integrations a plan may delete or replace.
        max_deletes: u32;
        /// Allow deleting every live integration.
        delete_all: DeleteAllPolicy;
        /// Allow plans that weaken protection.
        weakening: GuardMode;
        /// Allow plans after which no enabled behavior assigns a level that an Access policy uses.
        policies: PolicyGuardMode;
        /// Protected integrations, in addition to those in the files.
        #[schemars(example = ["https://corp.okta.com"])]
        protected: ProtectedList;
    }
}

nested!(LimitGuards);
written_words!(DeleteAllPolicy);

/// Globs of hosts.
#[derive(Clone, Debug)]
pub(in crate::config) struct HostGlobs(pub(in crate::config) Vec<String>);

/// Globs of variables.
#[derive(Clone, Debug)]
pub(in crate::config) struct NameGlobs(pub(in crate::config) Vec<String>);

impl ConfigValue for HostGlobs {
    const SHAPE: Shape = Shape::List(&Shape::Value);

    fn read(decoder: &mut Decoder<'_>, entry: &Entry, subject: KeyPath<'_>) -> Field<Self> {
        let is_host = |c: char| c.is_ascii_alphanumeric() || "-.*?".contains(c);
        let help = "use host names or patterns such as `*.okta.com`, without scheme and port";
        globs(
            decoder,
            entry,
            subject,
            DiagnosticCode::TenantUrl,
            is_host,
            help,
        )
        .then(|all| Some(HostGlobs(all)))
    }

    fn schema(_: &mut SchemaGenerator) -> Schema {
        texts()
    }
}

impl ConfigValue for NameGlobs {
    const SHAPE: Shape = Shape::List(&Shape::Value);

    fn read(decoder: &mut Decoder<'_>, entry: &Entry, subject: KeyPath<'_>) -> Field<Self> {
        let is_name = |c: char| c.is_ascii_alphanumeric() || "_*?".contains(c);
        let help = "use variable names or patterns such as `CI_ENVIRONMENT_*`";
        globs(
            decoder,
            entry,
            subject,
            DiagnosticCode::VariableName,
            is_name,
            help,
        )
        .then(|all| Some(NameGlobs(all)))
    }

    fn schema(_: &mut SchemaGenerator) -> Schema {
        texts()
    }
}

fn globs(
    decoder: &mut Decoder<'_>,
    entry: &Entry,
    subject: KeyPath<'_>,
    rule: DiagnosticCode,
    is_fit: impl Fn(char) -> bool,
    help: &str,
) -> Field<Vec<String>> {
    let Some(items) = decoder.items(entry, subject) else {
        return Field::Wrong;
    };
    let mut globs = Vec::new();
    for item in items {
        let Some(text) = decoder.text(item, item.span, subject) else {
            continue;
        };
        if text.value.is_empty() || !text.value.chars().all(&is_fit) {
            let message = format!("{subject}: invalid pattern `{}`", text.written);
            decoder
                .found
                .push(DiagnosticBuilder::new(rule, text.span, message).help(help));
        }
        globs.push(text.value);
    }
    Field::set(globs, entry.value_span())
}
