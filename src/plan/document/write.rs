//! A plan into its document.

use std::sync::Arc;

use jiff::Timestamp;

use crate::plan::fleet::{Plan, PlannedAccount, Summary};
use crate::plan::operation::{Call, Operation};
use crate::plan::outcome::{AccountPlan, Action, Change, UnlistedThing};

use super::{
    AccountDocument, ChangeDocument, Document, Format, NoteDocument, OperationDocument, Status,
    Unchanged, UnlistedDocument,
};

impl Document {
    /// The document of a plan.
    pub fn of_plan(plan: &Plan, created_at: Timestamp) -> Self {
        let accounts = plan.accounts.iter().map(account).collect();
        Document::new(Format::Plan, plan.base_url.clone(), accounts, created_at)
    }

    pub(super) fn new(
        format: Format,
        base_url: String,
        accounts: Vec<AccountDocument>,
        created_at: Timestamp,
    ) -> Self {
        Document {
            format,
            riskform_version: env!("CARGO_PKG_VERSION").to_owned(),
            base_url,
            created_at,
            summary: Summary::of(&accounts),
            accounts,
        }
    }

    /// The document as text, sealed with its digest, one line an element, with a line break at its end.
    pub fn to_json(&self) -> String {
        let mut json =
            serde_json::to_string_pretty(&self.sealed()).expect("a document has string keys only");
        json.push('\n');
        json
    }
}

impl Summary {
    /// Adds accounts up.
    pub(super) fn of(accounts: &[AccountDocument]) -> Self {
        let mut summary = Summary::default();
        for account in accounts {
            match account.status {
                Status::Ok => {}
                Status::Error => summary.failed_accounts += 1,
            }
            for change in &account.changes {
                match change.action {
                    Action::Create => summary.create += 1,
                    Action::Update => summary.update += 1,
                    Action::Replace => summary.replace += 1,
                    Action::Delete => summary.delete += 1,
                }
                summary.weakening += usize::from(change.weakens);
            }
            summary.unchanged += account.unchanged.behaviors + account.unchanged.integrations;
            summary.unlisted += account.unlisted.len();
        }
        summary
    }
}

pub(super) fn account(account: &PlannedAccount) -> AccountDocument {
    let mut document = AccountDocument {
        account_id: account.account_id.clone(),
        name: account.name.clone(),
        source: account.source.clone(),
        status: Status::Ok,
        error: None,
        live_digest: None,
        live: None,
        desired: None,
        changes: Vec::new(),
        unchanged: Unchanged::default(),
        unlisted: Vec::new(),
        notes: Vec::new(),
        left_out: Vec::new(),
        refusals: Vec::new(),
        operations: Vec::new(),
        problems: None,
    };
    match &account.result {
        Ok(plan) => fill(&mut document, plan),
        Err(error) => {
            document.status = Status::Error;
            document.error = Some(error.clone());
        }
    }
    document
}

fn fill(document: &mut AccountDocument, plan: &AccountPlan) {
    let AccountPlan {
        live_digest,
        live,
        desired,
        changes,
        unchanged_behaviors,
        unchanged_integrations,
        unlisted,
        notes,
        left_out,
        refusals,
        operations,
    } = plan;
    document.live_digest = Some(live_digest.clone());
    document.live = Some(Arc::clone(live));
    document.desired = Some(Arc::clone(desired));
    document.changes = changes.iter().map(change).collect();
    document.unchanged = Unchanged {
        behaviors: *unchanged_behaviors,
        integrations: *unchanged_integrations,
    };
    document.unlisted = unlisted.iter().map(unlisted_thing).collect();
    document.notes = notes
        .iter()
        .map(|note| NoteDocument {
            message: note.to_string(),
            note: note.clone(),
        })
        .collect();
    document.left_out.clone_from(left_out);
    document.refusals.clone_from(refusals);
    document.operations = operations
        .iter()
        .map(|operation| self::operation(operation, plan))
        .collect();
}

fn change(change: &Change) -> ChangeDocument {
    let Change {
        address,
        action,
        weakens,
        live_weaker,
        location,
        integration_id,
        fields,
    } = change;
    ChangeDocument {
        address: address.clone(),
        kind: address.into(),
        action: *action,
        weakens: weakens.is_some(),
        weakening: *weakens,
        live_weaker: live_weaker.is_some(),
        live_weakening: *live_weaker,
        location: location.clone(),
        integration_id: *integration_id,
        fields: fields.clone(),
    }
}

fn unlisted_thing(thing: &UnlistedThing) -> UnlistedDocument {
    let UnlistedThing {
        address,
        policy,
        settings,
    } = thing;
    UnlistedDocument {
        address: address.clone(),
        policy: *policy,
        settings: settings.clone(),
    }
}

fn operation(operation: &Operation, plan: &AccountPlan) -> OperationDocument {
    let Operation {
        id,
        call,
        address,
        covers,
        needs,
        wave: _,
    } = operation;
    OperationDocument {
        id: *id,
        method: call.method(),
        path: call.path(&plan.desired.account_id),
        body: call.body(),
        address: address.clone(),
        covers: covers.clone(),
        needs: needs.clone(),
        declared: match call {
            Call::WriteBehaviors { declared, .. } => Some(declared.clone()),
            Call::Create { .. } | Call::Update { .. } | Call::Delete { .. } => None,
        },
        outcome: None,
        result: None,
        audit_log_id: None,
        error: None,
        help: None,
    }
}
