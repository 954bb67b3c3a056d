//! Reads the operator limits (`--limits`): one YAML document, validated as strictly as a desired-state file.

use std::path::Path;
use std::sync::Arc;

use schemars::generate::Contract;

use super::code::DiagnosticCode;
use super::diagnostic::{DiagnosticBuilder, DiagnosticSink, Diagnostics};
use super::files::{Files, shown};
use super::json_schema::{printed, root_schema};
use super::kinds::decode::Decoder;
use super::kinds::limits::{HostGlobs, LimitGuards, LimitsLayer, NameGlobs};
use super::kinds::subject::KeyPath;
use super::kinds::text::Environment;
use super::kinds::{Field, Fields};
use super::yaml::{self, Document};
use crate::model::limits::{Limits, NO_LIMITS};

/// Reads the limits file.
///
/// # Errors
///
/// All mistakes in the file.
pub fn load(path: &Path) -> Result<Limits, Diagnostics> {
    let mut found = DiagnosticSink::default();
    let limits = read(path, &mut found);
    match limits {
        Some(limits) if found.errors() == 0 => Ok(limits),
        Some(_) | None => Err(found.finish()),
    }
}

fn read(path: &Path, found: &mut DiagnosticSink) -> Option<Limits> {
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
            let message = "the limits file contains several documents";
            let draft =
                DiagnosticBuilder::new(DiagnosticCode::WrongType, document.root.span, message);
            found.push(draft.help("move everything into the first document"));
        }
    });
    if layer.is_none() && found.errors() == 0 {
        let draft = DiagnosticBuilder::of_file(
            DiagnosticCode::EmptyDocument,
            name,
            "the limits file is empty",
        );
        found.push(draft.help("start the file with `version: 1`"));
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
            .map(|list| {
                list.validate_for_limits(found);
                list.desired(found)
            })
            .unwrap_or_default(),
        allowed_tenants: allowed_tenants.into_value().map(|HostGlobs(all)| all),
        variables: names(variables).unwrap_or_default(),
        token_variables: names(token_variables).unwrap_or_default(),
    })
}

fn decode(document: &Document, found: &mut DiagnosticSink) -> Option<LimitsLayer> {
    let root = &document.root;
    if root.is_null() {
        return None;
    }
    let environment = Environment {
        limits: &NO_LIMITS,
        variable: None,
    };
    let mut decoder = Decoder::new(found, environment, document.whole);
    LimitsLayer::read_fields(&mut decoder, root, root.span, KeyPath::LIMITS)
}

/// Returns the JSON Schema of the limits file.
pub fn schema() -> String {
    printed(&root_schema::<LimitsLayer>(
        "limits",
        "riskform limits",
        Contract::Deserialize,
    ))
}
