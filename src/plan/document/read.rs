//! A document back into the plan that it was made from.
//!
//! The calls are rebuilt from `method`, `path` and `body`, which is what a reviewer read; whatever does not fit together is damage.

use std::collections::{BTreeMap, HashMap};

use serde::Deserialize;
use serde_json::Value;

use crate::model::account::AccountId;
use crate::model::behavior::{BehaviorKey, BehaviorSettings};
use crate::model::integration::{
    self, IntegrationId, IntegrationSettings, IntegrationType, ReferenceId, TenantUrl,
};
use crate::model::open_word::OpenWord;
use crate::plan::fleet::{Plan, PlannedAccount};
use crate::plan::operation::{Call, Method, Operation, OperationId, Subject, Wave};
use crate::plan::outcome::{AccountPlan, Change, UnlistedThing};

use super::seal::Seal;
use super::{AccountDocument, ChangeDocument, Document, Format, OperationDocument};

/// Why a text is no plan that this version of riskform can use.
#[derive(Debug, thiserror::Error)]
pub enum InvalidDocument {
    /// No JSON, or JSON of another shape: most likely cut off.
    #[error("it is damaged: {0}")]
    Damaged(String),
    /// Another format, or another version of it.
    #[error("it has the format {found}, and this version of riskform reads {known} here")]
    OtherFormat {
        /// What it says it is.
        found: String,
        /// What would have been read.
        known: String,
    },
    /// Its digest does not fit what it holds.
    #[error("it is damaged: its digest does not fit what it holds")]
    DigestMismatch,
}

impl Document {
    /// Reads a saved plan.
    pub fn parse(text: &str) -> Result<Document, InvalidDocument> {
        Document::parse_one_of(&[Format::Plan], text)
    }

    /// Reads a document of one of these formats: its format is looked at first, its digest last.
    pub fn parse_one_of(known: &[Format], text: &str) -> Result<Document, InvalidDocument> {
        #[derive(Deserialize)]
        struct Header {
            format: String,
        }
        let damaged = |error: serde_json::Error| InvalidDocument::Damaged(error.to_string());
        let Header { format } = serde_json::from_str(text).map_err(damaged)?;
        if !known.iter().any(|known| known.as_str() == format) {
            let known: Vec<&str> = known.iter().map(|format| format.as_str()).collect();
            return Err(InvalidDocument::OtherFormat {
                found: format,
                known: known.join(", "),
            });
        }
        let Seal { digest } = serde_json::from_str(text).map_err(damaged)?;
        let document: Document = serde_json::from_str(text).map_err(damaged)?;
        if digest == document.digest() {
            Ok(document)
        } else {
            Err(InvalidDocument::DigestMismatch)
        }
    }

    /// The plan that the document was made from.
    pub fn into_plan(self) -> Result<Plan, InvalidDocument> {
        let accounts = self
            .accounts
            .into_iter()
            .map(planned_account)
            .collect::<Result<_, _>>()?;
        Ok(Plan {
            base_url: self.base_url,
            accounts,
        })
    }
}

fn planned_account(document: AccountDocument) -> Result<PlannedAccount, InvalidDocument> {
    let (account_id, name, source) = (
        document.account_id.clone(),
        document.name.clone(),
        document.source.clone(),
    );
    let result = match document.error.clone() {
        Some(error) => Err(error),
        None => Ok(account_plan(document)?),
    };
    Ok(PlannedAccount {
        account_id,
        name,
        source,
        result,
    })
}

fn account_plan(document: AccountDocument) -> Result<AccountPlan, InvalidDocument> {
    let AccountDocument {
        account_id,
        live_digest: Some(live_digest),
        live: Some(live),
        desired: Some(desired),
        changes,
        unchanged,
        unlisted,
        notes,
        left_out,
        refusals,
        operations,
        name: _,
        source: _,
        status: _,
        error: _,
        problems: _,
    } = document
    else {
        return Err(damage(
            "an account without error lacks what it was planned from",
        ));
    };
    let mut types: HashMap<Subject, OpenWord<IntegrationType>> = live
        .integrations
        .iter()
        .map(|live| {
            (
                Subject::Live(live.id),
                live.settings.integration_type.clone(),
            )
        })
        .collect();
    let mut operations = operations
        .into_iter()
        .map(|operation| {
            let operation = self::operation(&account_id, operation, &types)?;
            if let Call::Create { settings } = &operation.call {
                types.insert(
                    Subject::MadeBy(operation.id),
                    settings.integration_type.clone(),
                );
            }
            Ok(operation)
        })
        .collect::<Result<Vec<_>, InvalidDocument>>()?;
    Wave::assign(&mut operations);
    Ok(AccountPlan {
        live_digest,
        live,
        desired,
        changes: changes.into_iter().map(change).collect(),
        unchanged_behaviors: unchanged.behaviors,
        unchanged_integrations: unchanged.integrations,
        unlisted: unlisted
            .into_iter()
            .map(|thing| UnlistedThing {
                address: thing.address,
                policy: thing.policy,
                settings: thing.settings,
            })
            .collect(),
        notes: notes.into_iter().map(|note| note.note).collect(),
        left_out,
        refusals,
        operations,
    })
}

fn change(document: ChangeDocument) -> Change {
    let ChangeDocument {
        address,
        kind: _,
        action,
        weakens: _,
        weakening,
        live_weaker: _,
        live_weakening,
        location,
        integration_id,
        fields,
    } = document;
    Change {
        address,
        action,
        weakens: weakening,
        live_weaker: live_weakening,
        location,
        integration_id,
        fields,
    }
}

fn operation(
    account: &AccountId,
    document: OperationDocument,
    types: &HashMap<Subject, OpenWord<IntegrationType>>,
) -> Result<Operation, InvalidDocument> {
    let call = call(account, &document, types)?;
    // What was rebuilt must be what the reviewer read, to the letter.
    if call.path(account) != document.path || call.body() != document.body {
        return Err(damage(&format!(
            "operation {} does not fit its own method, path and body",
            document.id
        )));
    }
    Ok(Operation {
        id: document.id,
        call,
        address: document.address,
        covers: document.covers,
        needs: document.needs,
        wave: Wave::Entries,
    })
}

fn call(
    account: &AccountId,
    document: &OperationDocument,
    types: &HashMap<Subject, OpenWord<IntegrationType>>,
) -> Result<Call, InvalidDocument> {
    #[derive(Deserialize)]
    struct Behaviors {
        behaviors: BTreeMap<BehaviorKey, BehaviorSettings>,
    }
    #[derive(Deserialize)]
    struct Create {
        integration_type: OpenWord<IntegrationType>,
        tenant_url: TenantUrl,
        #[serde(default)]
        reference_id: Option<ReferenceId>,
    }
    #[derive(Deserialize)]
    struct Update {
        tenant_url: TenantUrl,
        reference_id: Option<ReferenceId>,
        active: bool,
    }
    let body = || document.body.clone().unwrap_or(Value::Null);
    match (document.method, &document.declared) {
        (Method::Put, Some(declared)) => {
            let Behaviors { behaviors } = decode(body())?;
            Ok(Call::WriteBehaviors {
                declared: declared.clone(),
                complete: behaviors,
            })
        }
        (Method::Post, _) => {
            let Create {
                integration_type,
                tenant_url,
                reference_id,
            } = decode(body())?;
            let settings = IntegrationSettings {
                integration_type,
                tenant_url,
                reference_id,
                active: true,
            };
            Ok(Call::Create { settings })
        }
        (Method::Put, None) => {
            let subject = subject(account, &document.path)?;
            let integration_type = types
                .get(&subject)
                .cloned()
                .ok_or_else(|| damage("an operation is about an integration that is not live"))?;
            let Update {
                tenant_url,
                reference_id,
                active,
            } = decode(body())?;
            let settings = IntegrationSettings {
                integration_type,
                tenant_url,
                reference_id,
                active,
            };
            Ok(Call::Update { subject, settings })
        }
        (Method::Delete, _) => match subject(account, &document.path)? {
            Subject::Live(id) => Ok(Call::Delete { id }),
            Subject::MadeBy(_) => Err(damage("an operation deletes what the plan itself makes")),
        },
    }
}

fn subject(account: &AccountId, path: &str) -> Result<Subject, InvalidDocument> {
    let segment = path
        .strip_prefix(&integration::path(account, ""))
        .ok_or_else(|| damage("an operation's path is not the account's"))?;
    let made_by = segment
        .strip_prefix("{result:")
        .and_then(|rest| rest.strip_suffix('}'))
        .and_then(|number| number.parse().ok());
    match made_by {
        Some(number) => Ok(Subject::MadeBy(OperationId(number))),
        None => segment
            .parse()
            .map(|id: IntegrationId| Subject::Live(id))
            .map_err(|_| damage("an operation's path names no integration")),
    }
}

fn decode<T: serde::de::DeserializeOwned>(body: Value) -> Result<T, InvalidDocument> {
    serde_json::from_value(body).map_err(|error| damage(&error.to_string()))
}

fn damage(what: &str) -> InvalidDocument {
    InvalidDocument::Damaged(what.to_owned())
}
