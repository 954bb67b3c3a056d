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
    /// What the operator permits, whatever desired-state files and flags say. Only what is written here counts; of this and the files the
    /// stricter holds.
    #[schemars(rename = "Limits")]
    LimitsLayer {
        /// The version of this format.
        version: Version, required "write `version: 1`";
        /// What no plan may do.
        guards: LimitGuards;
        /// The hosts that integrations may be created for or moved to, as globs. Left out, all; an empty list is none.
        #[schemars(example = ["*.okta.com"])]
        allowed_tenants: HostGlobs;
        /// The variables that files may interpolate beside CLOUDFLARE_ACCOUNT_ID, *_ACCOUNT_ID and RISKFORM_VAR_*, as globs. None whose
        /// name says that it is a secret.
        #[schemars(example = ["CI_ENVIRONMENT_NAME"])]
        variables: NameGlobs;
        /// The variables that `api_token_env` may name beside CLOUDFLARE_*, as globs.
        #[schemars(example = ["CUSTOMER_*_API_TOKEN"])]
        token_variables: NameGlobs;
    }
}

fields! {
    /// What no plan may do.
    #[schemars(rename = "LimitGuards")]
    LimitGuards {
        /// The most integrations that a plan may delete or replace.
        max_deletes: u32;
        /// Whether a plan may leave none of several live integrations.
        delete_all: DeleteAllPolicy;
        /// Whether a plan may weaken protection.
        weakening: GuardMode;
        /// Whether a plan may leave an Access policy with a level that no enabled behavior gives.
        policies: PolicyGuardMode;
        /// Integrations that stay as they are, as in a file; these and the files' count together.
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
        let help = "write hosts, or globs such as `*.okta.com`, without scheme and port";
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
        let help = "write names of variables, or globs such as `CI_ENVIRONMENT_*`";
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
            let message = format!("{subject} can't hold `{}`", text.written);
            decoder
                .found
                .push(DiagnosticBuilder::new(rule, text.span, message).help(help));
        }
        globs.push(text.value);
    }
    Field::set(globs, entry.value_span())
}
