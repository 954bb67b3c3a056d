//! Checks against the files: behaviors, unlisted resources, and other drift.

use crate::model::account::{BehaviorDeclaration, DesiredAccount};
use crate::model::address::Address;
use crate::model::behavior::BehaviorKey;
use crate::model::text::pluralize;
use crate::plan::{AccountPlan, Action, Change, FieldValue};

use super::super::finding::{CheckStatus, Detail, Finding};
use super::{AuditCheck, AuditFinding, finding_from_details};

pub(super) fn behaviors(plan: &AccountPlan) -> AuditFinding {
    const CHECK: AuditCheck = AuditCheck::Behaviors;
    let (live, desired) = (plan.live(), plan.desired());
    let declared_on = live
        .behaviors
        .keys()
        .filter(|key| is_declared_on(desired, key));
    let declared_on = declared_on.count();
    let off: Vec<Detail> = plan
        .changes
        .iter()
        .filter_map(disabled_but_declared_on)
        .collect();
    match (declared_on, off.len()) {
        (0, _) => Finding::pass(CHECK, "no behavior is declared on"),
        (1, 0) => Finding::pass(CHECK, "the behavior declared on is on"),
        (_, 0) => Finding::pass(
            CHECK,
            format!("all {declared_on} behaviors declared on are on"),
        ),
        (1, 1) => finding_from_details(CHECK, "the behavior declared on is off".to_owned(), off)
            .help("run `riskform apply` to enable it"),
        (_, off_now) => {
            let verb = if off_now == 1 { "is" } else { "are" };
            let behaviors = pluralize(declared_on, "behavior");
            let message = format!("{off_now} of {behaviors} declared on {verb} off");
            finding_from_details(CHECK, message, off).help("run `riskform apply` to enable them")
        }
    }
}

fn is_declared_on(desired: &DesiredAccount, key: &BehaviorKey) -> bool {
    match desired.behavior(key) {
        BehaviorDeclaration::Named { declared, .. }
        | BehaviorDeclaration::Wildcard { declared, .. } => declared.enabled == Some(true),
        BehaviorDeclaration::Unmanaged | BehaviorDeclaration::Unlisted => false,
    }
}

/// Returns a detail if a behavior is off although it is declared on.
fn disabled_but_declared_on(change: &Change) -> Option<Detail> {
    let Change::Behavior(diff) = change else {
        return None;
    };
    let (before, after) = (diff.before.as_ref()?, diff.after.as_ref()?);
    let is_off = !before.enabled && after.enabled && diff.location.is_some();
    is_off.then(|| Detail {
        status: CheckStatus::Fail,
        subject: diff.address.to_string(),
        message: format!("off, declared on (level {})", after.risk_level),
        location: diff.location.clone(),
    })
}

pub(super) fn unlisted(plan: &AccountPlan) -> AuditFinding {
    const CHECK: AuditCheck = AuditCheck::Unlisted;
    let fail = |address: &Address, message: &str| Detail {
        status: CheckStatus::Fail,
        subject: address.to_string(),
        message: message.to_owned(),
        location: None,
    };
    let reported = plan
        .reported()
        .map(|thing| fail(&thing.address, "unlisted"));
    let to_change = plan
        .changes
        .iter()
        .filter(|change| change.location().is_none());
    let to_change = to_change.map(|change| {
        let message = match change.action() {
            Action::Delete => "unlisted; apply will delete it",
            Action::Create | Action::Update | Action::Replace => {
                "unlisted and on; apply will disable it"
            }
        };
        fail(change.address(), message)
    });
    let details: Vec<Detail> = reported.chain(to_change).collect();
    let kept = plan
        .unlisted
        .iter()
        .filter(|thing| !thing.is_reported())
        .count();
    match (details.len(), kept) {
        (0, 0) => Finding::pass(CHECK, "no unlisted resources"),
        (0, 1) => Finding::pass(CHECK, "1 unlisted resource is not managed"),
        (0, kept) => {
            let message = format!("{kept} unlisted resources are not managed");
            Finding::pass(CHECK, message)
        }
        (found, _) => {
            let verb = if found == 1 { "is" } else { "are" };
            let message = format!("{} {verb} unlisted", pluralize(found, "resource"));
            finding_from_details(CHECK, message, details)
                .help("add it to the file, delete it, or set `unlisted` to keep")
        }
    }
}

pub(super) fn ambiguous(plan: &AccountPlan) -> AuditFinding {
    const CHECK: AuditCheck = AuditCheck::Ambiguous;
    let details: Vec<Detail> = plan
        .errors
        .iter()
        .map(|error| Detail {
            status: CheckStatus::Fail,
            subject: error.address.to_string(),
            message: format!("{}; {}", error.message, error.help),
            location: error.location.clone(),
        })
        .collect();
    let message = match details.len() {
        0 => return Finding::pass(CHECK, "no entry is ambiguous"),
        1 => "1 entry is ambiguous".to_owned(),
        entries => format!("{entries} entries are ambiguous"),
    };
    finding_from_details(CHECK, message, details).help("run `riskform plan` to see the candidates")
}

pub(super) fn drift(plan: &AccountPlan) -> AuditFinding {
    const CHECK: AuditCheck = AuditCheck::Drift;
    let others = plan.changes.iter();
    let others = others
        .filter(|change| change.location().is_some() && disabled_but_declared_on(change).is_none());
    let details: Vec<Detail> = others
        .map(|change| Detail {
            status: CheckStatus::Fail,
            subject: change.address().to_string(),
            message: describe_difference(change),
            location: change.location().cloned(),
        })
        .collect();
    match details.len() {
        0 => Finding::pass(CHECK, "no other drift"),
        found => {
            let verb = if found == 1 { "differs" } else { "differ" };
            let message = format!("{} {verb} from the files", pluralize(found, "resource"));
            finding_from_details(CHECK, message, details)
                .help("run `riskform drift` for details, `riskform apply` to fix")
        }
    }
}

/// Describes the difference between live and declared state.
fn describe_difference(change: &Change) -> String {
    match change.action() {
        Action::Create => "declared, but does not exist".to_owned(),
        Action::Delete => "live, but not declared".to_owned(),
        Action::Update | Action::Replace => {
            let shown = |value: Option<FieldValue>| {
                value.map_or_else(|| "(unset)".to_owned(), |value| value.to_string())
            };
            let fields = change.fields().into_iter().map(|field| {
                let (live, declared) = (shown(field.before), shown(field.after));
                format!("{} {live}, declared {declared}", field.field)
            });
            fields.collect::<Vec<_>>().join("; ")
        }
    }
}
