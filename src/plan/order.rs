//! Converts changes to operations in an order that is safe to interrupt anywhere.
//!
//! Behaviors come first, then creates, updates and deletes of integrations, so that scores are always exported. An operation that frees
//! a `reference_id` or `tenant_url` comes before the operation that takes it, because the API may require unique values (`schema/api.md`,
//! Integrations). A cycle of updates is broken with a *placeholder*: one field of one integration temporarily gets a value that no other
//! integration can have. An entry is never matched by a field that it changes, so the next run still finds that integration.

use std::collections::HashMap;

use crate::model::account::{AccountId, LiveAccount};
use crate::model::address::Address;
use crate::model::behavior::apply_declared;
use crate::model::field::{Field, FieldValue, Fields};
use crate::model::integration::{IntegrationId, ReferenceId, TenantUrl};

use super::behaviors::BehaviorDiff;
use super::change::{Action, Change, Origin};
use super::conflict::{UniqueKey, freed, keys, taken};
use super::integrations::PlannedIntegration;
use super::note::{Note, NoteKind};
use super::operation::{IntegrationTarget, Operation, OperationId, OperationKind, Wave};

/// Returns the operations for the changes.
pub(super) fn operations(
    account_id: &AccountId,
    live: &LiveAccount,
    behaviors: &BehaviorDiff,
    integrations: &[PlannedIntegration<'_>],
    notes: &mut Vec<Note>,
) -> Vec<Operation> {
    let mut list = OperationList {
        account_id,
        operations: Vec::new(),
    };
    write_behaviors(live, behaviors, &mut list);

    let steps: Vec<Step<'_>> = steps(integrations);
    list.operations.reserve(steps.len());
    let mut freed_by: HashMap<UniqueKey<'_>, Vec<usize>> = HashMap::with_capacity(steps.len());
    for (index, step) in steps.iter().enumerate() {
        for key in step.frees() {
            freed_by.entry(key).or_default().push(index);
        }
    }
    let mut sort = TopologicalSort {
        states: vec![State::Unvisited; steps.len()],
        steps: &steps,
        freed_by: &freed_by,
        freed_at: HashMap::new(),
        list,
        notes,
    };
    for index in 0..steps.len() {
        sort.visit(index);
    }
    let mut operations = sort.list.operations;
    Wave::assign(&mut operations);
    operations
}

struct OperationList<'a> {
    account_id: &'a AccountId,
    operations: Vec<Operation>,
}

impl OperationList<'_> {
    fn push(
        &mut self,
        call: OperationKind,
        effects: Vec<Change>,
        mut depends_on: Vec<OperationId>,
    ) -> OperationId {
        depends_on.sort_unstable();
        depends_on.dedup();
        let id = u32::try_from(self.operations.len() + 1)
            .expect("a plan has fewer than 2^32 operations");
        let id = OperationId(id);
        let addresses: Vec<Address> = (effects.iter())
            .map(|change| change.address.clone())
            .collect();
        self.operations.push(Operation {
            id,
            request: call.request(self.account_id),
            call,
            address: (addresses.first().cloned()).expect("every operation changes something"),
            addresses,
            effects,
            depends_on,
            wave: Wave::Integrations,
            end: None,
        });
        id
    }
}

fn write_behaviors(live: &LiveAccount, behaviors: &BehaviorDiff, list: &mut OperationList<'_>) {
    if behaviors.changes.is_empty() {
        return;
    }
    let live = live.behaviors.iter();
    let live = live.map(|(key, behavior)| (key.clone(), behavior.fields.clone()));
    let complete = apply_declared(&behaviors.declared, &live.collect());
    let declared = behaviors.declared.clone();
    list.push(
        OperationKind::WriteBehaviors { declared, complete },
        behaviors.changes.clone(),
        Vec::new(),
    );
}

/// A single step of one integration. A replacement has two: a deletion and a creation.
struct Step<'a> {
    planned: &'a PlannedIntegration<'a>,
    kind: StepKind<'a>,
    /// The step that must come first, regardless of keys.
    after: Option<usize>,
}

enum StepKind<'a> {
    Create(&'a Fields),
    Update {
        id: IntegrationId,
        before: &'a Fields,
        after: &'a Fields,
    },
    Delete(IntegrationId),
}

/// Returns the steps in the order without contested keys: creates, updates, deletes.
fn steps<'a>(integrations: &'a [PlannedIntegration<'a>]) -> Vec<Step<'a>> {
    let mut creates = Vec::new();
    let mut updates = Vec::new();
    let mut deletes = Vec::new();
    // A replacement always deletes first. Otherwise an entry pinned to the old id would match it again after an interruption and create
    // a second successor.
    let mut successors = Vec::new();
    for planned in integrations {
        let Some(change) = &planned.change else {
            continue;
        };
        let step = |kind| Step {
            planned,
            kind,
            after: None,
        };
        match (change.action, planned.before, &planned.after) {
            (Action::Create, _, Some(after)) => creates.push(step(StepKind::Create(after))),
            (Action::Update, Some(live), Some(after)) => updates.push(step(StepKind::Update {
                id: live.id,
                before: &live.fields,
                after,
            })),
            (Action::Delete, Some(live), _) => deletes.push(step(StepKind::Delete(live.id))),
            (Action::Replace, Some(live), Some(after)) => {
                successors.push((creates.len(), deletes.len()));
                creates.push(step(StepKind::Create(after)));
                deletes.push(step(StepKind::Delete(live.id)));
            }
            (Action::Create | Action::Update | Action::Replace | Action::Delete, _, _) => {
                unreachable!("a change's action says which of before and after there are")
            }
        }
    }
    let first_delete = creates.len() + updates.len();
    for (create, delete) in successors {
        creates[create].after = Some(first_delete + delete);
    }
    creates.append(&mut updates);
    creates.append(&mut deletes);
    creates
}

impl<'a> Step<'a> {
    /// Returns the effect of one of its operations.
    fn effect(&self, before: Option<&Fields>, after: Option<&Fields>) -> Vec<Change> {
        let address = self.planned.address.clone();
        Vec::from_iter(Change::between(address, before, after, Origin::default()))
    }

    /// Returns the keys that it frees.
    fn frees(&self) -> Vec<UniqueKey<'a>> {
        match self.kind {
            StepKind::Create(_) => Vec::new(),
            StepKind::Update { .. } | StepKind::Delete(_) => freed(self.planned),
        }
    }

    /// Returns the keys that it takes.
    fn takes(&self) -> Vec<UniqueKey<'a>> {
        match self.kind {
            StepKind::Delete(_) => Vec::new(),
            StepKind::Create(_) | StepKind::Update { .. } => taken(self.planned),
        }
    }
}

#[derive(Clone, Debug, PartialEq)]
enum State {
    /// Not visited yet.
    Unvisited,
    /// Waiting for steps that free its keys. Contains the fields once it has a placeholder.
    InProgress(Option<Box<Placeholder>>),
    /// Its operations are in the list.
    Done,
}

#[derive(Clone, Debug, PartialEq)]
struct Placeholder {
    fields: Fields,
    operation: OperationId,
}

/// Lists each step after the steps that free its keys: an iterative depth-first search, because a chain can be as long as the account
/// is large.
struct TopologicalSort<'a, 'w> {
    steps: &'w [Step<'a>],
    freed_by: &'w HashMap<UniqueKey<'a>, Vec<usize>>,
    states: Vec<State>,
    /// The operations that free the keys of each step.
    freed_at: HashMap<(usize, Field), OperationId>,
    list: OperationList<'w>,
    notes: &'w mut Vec<Note>,
}

/// Dependencies of a step: other steps, each for a key or unconditionally.
type Dependencies<'a> = Vec<(Option<UniqueKey<'a>>, usize)>;

impl<'a> TopologicalSort<'a, '_> {
    fn visit(&mut self, root: usize) {
        if self.states[root] != State::Unvisited {
            return;
        }
        self.states[root] = State::InProgress(None);
        let mut stack = vec![(root, self.waits_for(root), 0)];
        while let Some((step, waits_for, seen)) = stack.last_mut() {
            let Some((key, other)) = waits_for.get(*seen).copied() else {
                self.emit(*step, waits_for);
                stack.pop();
                continue;
            };
            *seen += 1;
            match &self.states[other] {
                State::Done => {}
                State::Unvisited => {
                    self.states[other] = State::InProgress(None);
                    stack.push((other, self.waits_for(other), 0));
                }
                State::InProgress(_) => {
                    let key = key.expect("only updates wait in a circle, and they wait for keys");
                    self.use_placeholder(other, key);
                }
            }
        }
    }

    /// Returns the dependencies of a step: for each key it takes, the steps that free it.
    fn waits_for(&self, index: usize) -> Dependencies<'a> {
        let step = &self.steps[index];
        let mut waits_for = Dependencies::new();
        for key in step.takes() {
            let freeing = self.freed_by.get(&key).into_iter().flatten();
            waits_for.extend(
                freeing
                    .filter(|other| **other != index && Some(**other) != step.after)
                    .map(|other| (Some(key), *other)),
            );
        }
        waits_for.extend(step.after.map(|other| (None, other)));
        // The deletion of a replacement comes after the deletion of any unlisted integration with the keys of the entry. Otherwise an
        // interrupted run would match the entry to it. Deletions have no dependencies, so this creates no cycle.
        if let StepKind::Delete(_) = step.kind {
            for key in taken(step.planned) {
                let freeing = self.freed_by.get(&key).into_iter().flatten();
                let unlisted = freeing.filter(|other| self.steps[**other].planned.entry.is_none());
                waits_for.extend(unlisted.map(|other| (Some(key), *other)));
            }
        }
        waits_for
    }

    /// Returns the operation that frees a key of a step, once it exists.
    fn freed_at(&self, step: usize, (field, _): UniqueKey<'a>) -> Option<OperationId> {
        self.freed_at.get(&(step, field)).copied()
    }

    /// Adds an operation that replaces one contested key of a waiting update with a placeholder.
    fn use_placeholder(&mut self, index: usize, key: UniqueKey<'a>) {
        if self.freed_at(index, key).is_some() {
            return;
        }
        let step = &self.steps[index];
        let StepKind::Update { id, before, after } = step.kind else {
            unreachable!(
                "creates free nothing and deletes wait for nothing, so only updates wait in a circle"
            )
        };
        let State::InProgress(earlier) = &self.states[index] else {
            unreachable!("only a step that still waits is parked")
        };
        let (before, depends_on) = match earlier {
            Some(earlier) => (&earlier.fields, vec![earlier.operation]),
            None => (before, Vec::new()),
        };
        let mut fields = before.clone();
        let reference = FieldValue::Reference(ReferenceId::placeholder(id));
        if fields.reference_id().is_none() {
            // Every PUT has a reference: the planned one, unless another integration still has it.
            let mut keys = keys(after).filter(|(field, _)| *field == Field::ReferenceId);
            let is_held = keys.any(|key| self.freed_by.contains_key(&key));
            fields.set(
                Field::ReferenceId,
                match is_held {
                    true => Some(reference.clone()),
                    false => after.get(Field::ReferenceId).cloned(),
                },
            );
        }
        let (field, placeholder) = match key.0 {
            Field::ReferenceId => (Field::ReferenceId, reference),
            _ => (
                Field::TenantUrl,
                FieldValue::Url(TenantUrl::placeholder(id)),
            ),
        };
        let address = &step.planned.address;
        let message = format!("two integrations swap {field}; {id} temporarily gets {placeholder}");
        let kind = NoteKind::PlaceholderValue;
        self.notes.push(Note::new(kind, address.clone(), message));
        fields.set(field, Some(placeholder));
        let call = OperationKind::Update {
            subject: IntegrationTarget::Existing(id),
            fields: fields.clone(),
        };
        let effect = step.effect(Some(before), Some(&fields));
        let operation = self.list.push(call, effect, depends_on);
        self.freed_at.insert((index, field), operation);
        let placeholder = Placeholder { fields, operation };
        self.states[index] = State::InProgress(Some(Box::new(placeholder)));
    }

    fn emit(&mut self, index: usize, waits_for: &Dependencies<'a>) {
        let step = &self.steps[index];
        let mut depends_on: Vec<OperationId> = waits_for
            .iter()
            .filter_map(|(key, other)| self.freed_at(*other, (*key)?))
            .collect();
        if let State::InProgress(Some(placeholder)) = &self.states[index] {
            depends_on.push(placeholder.operation);
        }
        if let Some(deletion) = step.after {
            let keys = self.steps[deletion].frees().into_iter();
            depends_on.extend(keys.filter_map(|key| self.freed_at(deletion, key)));
        }
        let operation = match &step.kind {
            StepKind::Create(fields) => {
                let fields = *fields;
                let active = Some(FieldValue::Bool(true));
                let active = fields.clone().with(Field::Active, active);
                let effect = step.effect(None, Some(&active));
                let create = OperationKind::Create {
                    fields: active.clone(),
                };
                let created = self.list.push(create, effect, depends_on);
                if !fields.is_on(Field::Active) {
                    // The API creates active integrations only, so a second request follows immediately.
                    let deactivate = OperationKind::Update {
                        subject: IntegrationTarget::CreatedBy(created),
                        fields: fields.clone(),
                    };
                    let effect = step.effect(Some(&active), Some(fields));
                    self.list.push(deactivate, effect, vec![created]);
                }
                created
            }
            StepKind::Update { id, before, after } => {
                let before = match &self.states[index] {
                    State::InProgress(Some(placeholder)) => &placeholder.fields,
                    _ => before,
                };
                let effect = step.effect(Some(before), Some(after));
                let update = OperationKind::Update {
                    subject: IntegrationTarget::Existing(*id),
                    fields: (*after).clone(),
                };
                self.list.push(update, effect, depends_on)
            }
            StepKind::Delete(id) => {
                let before = step.planned.before.map(|live| &live.fields);
                let delete = OperationKind::Delete { id: *id };
                self.list
                    .push(delete, step.effect(before, None), depends_on)
            }
        };
        for (field, _) in step.frees() {
            self.freed_at.entry((index, field)).or_insert(operation);
        }
        self.states[index] = State::Done;
    }
}
