//! The operator's limits (`--limits`): one YAML document, read as strictly as a desired-state file. What it permits is judged elsewhere.

use std::path::Path;
use std::sync::Arc;

use schemars::{Schema, SchemaGenerator};

use super::diagnostic::{Diagnostics, Draft, Found};
use super::files::{Files, shown};
use super::kinds::account::{ProtectedList, Version};
use super::kinds::decode::{Decoder, Environment, Subject};
use super::kinds::{Field, Fields, Shape, Written, fields, nested, written_words};
use super::rule::Rule;
use super::schema::{printed, root_schema, texts};
use super::yaml::{self, Document, Entry};
use crate::model::account::{PoliciesPolicy, WeakeningPolicy};
use crate::model::limits::{DeleteAllPolicy, Limits, UNLIMITED};

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
        weakening: WeakeningPolicy;
        /// Whether a plan may leave an Access policy with a level that no enabled behavior gives.
        policies: PoliciesPolicy;
        /// Integrations that stay as they are, as in a file; these and the files' count together.
        #[schemars(example = ["https://corp.okta.com"])]
        protected: ProtectedList;
    }
}

nested!(LimitGuards);
written_words!(DeleteAllPolicy);

/// Globs of hosts.
#[derive(Clone, Debug)]
pub(super) struct HostGlobs(Vec<String>);

/// Globs of variables.
#[derive(Clone, Debug)]
pub(super) struct NameGlobs(Vec<String>);

impl Written for HostGlobs {
    const SHAPE: Shape = Shape::List(&Shape::Value);

    fn read(decoder: &mut Decoder<'_>, entry: &Entry, subject: Subject<'_>) -> Field<Self> {
        let is_host = |c: char| c.is_ascii_alphanumeric() || "-.*?".contains(c);
        let help = "write hosts, or globs such as `*.okta.com`, without scheme and port";
        globs(decoder, entry, subject, Rule::TenantUrl, is_host, help)
            .then(|all| Some(HostGlobs(all)))
    }

    fn schema(_: &mut SchemaGenerator) -> Schema {
        texts()
    }
}

impl Written for NameGlobs {
    const SHAPE: Shape = Shape::List(&Shape::Value);

    fn read(decoder: &mut Decoder<'_>, entry: &Entry, subject: Subject<'_>) -> Field<Self> {
        let is_name = |c: char| c.is_ascii_alphanumeric() || "_*?".contains(c);
        let help = "write names of variables, or globs such as `CI_ENVIRONMENT_*`";
        globs(decoder, entry, subject, Rule::VariableName, is_name, help)
            .then(|all| Some(NameGlobs(all)))
    }

    fn schema(_: &mut SchemaGenerator) -> Schema {
        texts()
    }
}

fn globs(
    decoder: &mut Decoder<'_>,
    entry: &Entry,
    subject: Subject<'_>,
    rule: Rule,
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
                .push(Draft::new(rule, text.span, message).help(help));
        }
        globs.push(text.value);
    }
    Field::set(globs, entry.value_span())
}

/// Reads the limits, or says everything that is wrong with them.
pub fn load(path: &Path) -> Result<Limits, Diagnostics> {
    let mut found = Found::default();
    let limits = read(path, &mut found);
    match limits {
        Some(limits) if found.errors() == 0 => Ok(limits),
        Some(_) | None => Err(found.finish()),
    }
}

fn read(path: &Path, found: &mut Found) -> Option<Limits> {
    let bytes = match Files::default().read(path) {
        Ok(bytes) => bytes,
        Err(refused) => {
            found.push(refused.of_file(path));
            return None;
        }
    };
    let name: Arc<str> = shown(path).into();
    let source = super::text::register(Arc::clone(&name), bytes, found)?;
    let (mut layer, mut documents) = (None, 0);
    yaml::each(source, found, |document, found| {
        documents += 1;
        if documents == 1 {
            layer = decode(&document, found);
        } else {
            let message = "limits are one document";
            let draft = Draft::new(Rule::WrongType, document.root.span, message);
            found.push(draft.help("put everything into the first one"));
        }
    });
    if layer.is_none() && found.errors() == 0 {
        let draft = Draft::of_file(Rule::EmptyDocument, name, "the limits say nothing");
        found.push(draft.help("begin them with `version: 1`"));
    }
    let LimitsLayer {
        version: _,
        guards,
        allowed_tenants,
        variables,
        token_variables,
    } = layer?;
    let LimitGuards {
        max_deletes,
        delete_all,
        weakening,
        policies,
        protected,
    } = guards.into_value().unwrap_or_default();
    let names = |field: Field<NameGlobs>| field.into_value().map(|NameGlobs(all)| all);
    Some(Limits {
        source: Some(path.to_owned()),
        max_deletes: max_deletes.into_value(),
        delete_all: delete_all.into_value(),
        weakening: weakening.into_value().unwrap_or_default(),
        policies: policies.into_value().unwrap_or_default(),
        protected: protected
            .into_value()
            .map(|list| list.desired(found))
            .unwrap_or_default(),
        allowed_tenants: allowed_tenants.into_value().map(|HostGlobs(all)| all),
        variables: names(variables).unwrap_or_default(),
        token_variables: names(token_variables).unwrap_or_default(),
    })
}

fn decode(document: &Document, found: &mut Found) -> Option<LimitsLayer> {
    let root = &document.root;
    if root.is_null() {
        return None;
    }
    let environment = Environment {
        limits: &UNLIMITED,
        variable: None,
    };
    let mut decoder = Decoder::new(found, environment, document.whole);
    LimitsLayer::read_fields(&mut decoder, root, root.span, Subject::LIMITS)
}

/// The JSON Schema of the limits.
pub fn schema() -> String {
    printed(&root_schema::<LimitsLayer>("riskform limits"))
}

/// Whether the limits may have a key.
pub(super) fn is_key(key: &str) -> bool {
    LimitsLayer::FIELDS.iter().any(|(known, _)| *known == key)
}
