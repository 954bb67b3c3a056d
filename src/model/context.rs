//! What surrounds risk scoring in an account: the Access policies and groups that look at a user's level, and the identity providers.
//!
//! All of it is only read. Nearly every field is optional in the API's schema, and its words are open (`schema/api.md`, Access policies), so
//! whatever can't be understood is passed over. Of a rule nothing is kept but levels and groups: the rest may hold secrets.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::behavior::RiskLevel;
use super::integration::{ReferenceId, TenantUrl};
use super::open_enum::{OpenEnum, words};

/// What was read of an account's surroundings.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Context {
    /// What acts on users' levels.
    pub access: Fetched<Access>,
    /// How much of the audit log was read; what it tells stands in each change.
    #[serde(default)]
    pub audit_log: Fetched<AuditLogWindow>,
}

/// A part of the context. Each is read only where it is needed, and a run goes on without it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Fetched<T> {
    /// Nobody asked for it.
    #[default]
    NotRead,
    /// It could not be read.
    Failed(FetchError),
    /// It was read.
    Read(T),
}

/// Why a part of the context could not be read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FetchError {
    /// What happened.
    pub reason: String,
    /// The permission that it takes, where it is missing.
    pub permission: Option<String>,
}

impl fmt::Display for FetchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.permission {
            Some(permission) => write!(f, "the token lacks the permission {permission:?}"),
            None => f.write_str(&self.reason),
        }
    }
}

/// The stretch of the audit log that was read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AuditLogWindow {
    /// From when on everything that it shows was read.
    #[schemars(with = "String")]
    pub since: Timestamp,
    /// How many entries could not be read.
    pub skipped: usize,
}

/// A level as rules name it: the words of behaviors, and `unscored` for a user without one.
pub type Level = OpenEnum<RiskLevel>;

/// Everything that looks at a user's level.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Access {
    /// Reusable policies and those of single applications, each once, by id.
    pub policies: BTreeMap<String, AccessPolicy>,
    /// Groups, by id.
    pub groups: BTreeMap<String, AccessGroup>,
    /// How many policies, groups and applications could not be understood, or were left unread.
    #[serde(default)]
    pub skipped: usize,
}

/// A policy in front of applications.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AccessPolicy {
    pub id: String,
    /// Its name; somebody else's text.
    pub name: String,
    /// What it does to those it matches.
    pub decision: OpenEnum<Decision>,
    /// Whom it matches.
    pub rules: PolicyRules,
    /// How many applications use it, where that is known.
    pub app_count: Option<u64>,
}

/// A set of people that policies and other groups refer to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AccessGroup {
    pub id: String,
    /// Its name; somebody else's text.
    pub name: String,
    /// Whom it holds.
    pub rules: PolicyRules,
}

words! {
    /// What a policy does to those it matches.
    Decision {
        /// Lets them in.
        Allow = "allow",
        /// Keeps them out.
        Deny = "deny",
        /// Lets services in.
        NonIdentity = "non_identity",
        /// Asks nothing.
        Bypass = "bypass",
    }
}

/// Whom something matches: any of `include`, none of `exclude`, all of `require`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PolicyRules {
    /// Any of these.
    pub include: Vec<PolicyRule>,
    /// None of these.
    pub exclude: Vec<PolicyRule>,
    /// All of these.
    pub require: Vec<PolicyRule>,
}

/// One condition.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PolicyRule {
    /// The user's level is one of these; it is no threshold.
    Levels(BTreeSet<Level>),
    /// The user is in the group with this id.
    Group(String),
    /// Anything else, which may be so or not.
    Other,
}

/// A way to log in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct IdentityProvider {
    /// Its id: the reference of the integration that belongs to it.
    pub id: ReferenceId,
    /// Its name; somebody else's text.
    pub name: String,
    /// Its kind, such as `okta`.
    pub kind: String,
    /// The base URL of its Okta org. Nothing else of its configuration is kept: that has a place for a secret.
    pub okta_account: Option<TenantUrl>,
}

impl IdentityProvider {
    /// Whether it is an Okta org.
    pub fn is_okta(&self) -> bool {
        self.kind == "okta"
    }

    /// Reads an item of the API's list; `None` where it lacks its id or name.
    pub fn read(item: &Value) -> Option<Self> {
        let okta_account = item.pointer("/config/okta_account").and_then(Value::as_str);
        Some(IdentityProvider {
            id: ReferenceId::new(text(item, "id")?)?,
            name: text(item, "name")?,
            kind: text(item, "type").unwrap_or_default(),
            okta_account: okta_account.map(TenantUrl::from_live),
        })
    }
}

impl Access {
    /// Says whether any policy refers to a group.
    pub fn references_groups(&self) -> bool {
        let mut rules = self.policies.values().flat_map(|policy| policy.rules.all());
        rules.any(|rule| matches!(rule, PolicyRule::Group(_)))
    }

    /// Keeps the policies that look at a level, themselves or through groups, and every group that those lead to: nothing else can act on
    /// a level. An account may have thousands of others.
    #[must_use]
    pub fn retain_level_policies(mut self) -> Self {
        let looks = self.groups_using_levels();
        self.policies.retain(|_, policy| {
            policy.rules.all().any(|rule| match rule {
                PolicyRule::Levels(_) => true,
                PolicyRule::Group(id) => looks.contains(id),
                PolicyRule::Other => false,
            })
        });
        let mut kept: BTreeSet<String> = BTreeSet::new();
        let kept_policies = self.policies.values();
        let mut ahead: Vec<&str> = kept_policies
            .flat_map(|policy| policy.rules.groups())
            .collect();
        while let Some(id) = ahead.pop() {
            if let Some(group) = self.groups.get(id)
                && kept.insert(id.to_owned())
            {
                ahead.extend(group.rules.groups());
            }
        }
        self.groups.retain(|id, _| kept.contains(id));
        self
    }

    /// The ids of the groups that look at a level, themselves or through others.
    fn groups_using_levels(&self) -> BTreeSet<String> {
        let mut led_to_by: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        let mut ahead: Vec<&str> = Vec::new();
        for (id, group) in &self.groups {
            for led_to in group.rules.groups() {
                led_to_by.entry(led_to).or_default().push(id);
            }
            if group
                .rules
                .all()
                .any(|rule| matches!(rule, PolicyRule::Levels(_)))
            {
                ahead.push(id);
            }
        }
        let mut looks = BTreeSet::new();
        while let Some(id) = ahead.pop() {
            if looks.insert(id.to_owned()) {
                ahead.extend(led_to_by.get(id).into_iter().flatten());
            }
        }
        looks
    }
}

impl AccessPolicy {
    /// Reads an item of the API's lists; `None` where it lacks its id or name.
    pub fn read(item: &Value) -> Option<Self> {
        Some(AccessPolicy {
            id: text(item, "id")?,
            name: text(item, "name")?,
            decision: OpenEnum::read(&text(item, "decision").unwrap_or_default()),
            rules: PolicyRules::read(item),
            app_count: item.get("app_count").and_then(Value::as_u64),
        })
    }
}

impl AccessGroup {
    /// Reads an item of the API's list; `None` where it lacks its id or name.
    pub fn read(item: &Value) -> Option<Self> {
        Some(AccessGroup {
            id: text(item, "id")?,
            name: text(item, "name")?,
            rules: PolicyRules::read(item),
        })
    }
}

impl PolicyRules {
    fn read(item: &Value) -> Self {
        let list = |key| match item.get(key) {
            None | Some(Value::Null) => Vec::new(),
            Some(Value::Array(rules)) => rules.iter().map(PolicyRule::read).collect(),
            Some(_) => vec![PolicyRule::Other],
        };
        PolicyRules {
            include: list("include"),
            exclude: list("exclude"),
            require: list("require"),
        }
    }

    /// Every rule.
    pub fn all(&self) -> impl Iterator<Item = &PolicyRule> {
        let PolicyRules {
            include,
            exclude,
            require,
        } = self;
        include.iter().chain(exclude).chain(require)
    }

    /// The ids of the groups that they refer to.
    pub fn groups(&self) -> impl Iterator<Item = &str> {
        self.all().filter_map(|rule| match rule {
            PolicyRule::Group(id) => Some(id.as_str()),
            PolicyRule::Levels(_) | PolicyRule::Other => None,
        })
    }
}

impl PolicyRule {
    fn read(rule: &Value) -> Self {
        let levels = rule.pointer("/user_risk_score/user_risk_score");
        if let Some(levels) = levels.and_then(Value::as_array) {
            let words = levels.iter().filter_map(Value::as_str);
            return PolicyRule::Levels(words.map(OpenEnum::read).collect());
        }
        let group = rule.pointer("/group/id").and_then(Value::as_str);
        group.map_or(PolicyRule::Other, |id| PolicyRule::Group(id.to_owned()))
    }
}

fn text(item: &Value, key: &str) -> Option<String> {
    let text = item.get(key)?.as_str()?;
    (!text.is_empty()).then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_can_not_be_understood_is_passed_over() {
        let policy = AccessPolicy::read(&json!({
            "id": "p", "name": "P", "decision": "isolate", "app_count": "many", "precedence": null,
            "include": [
                { "user_risk_score": { "user_risk_score": ["high", "severe", 7] } },
                { "group": { "id": "g" } },
                { "service_token": { "token_id": "secret" } },
                { "user_risk_score": "high" },
                "garbage",
            ],
            "exclude": null,
            "require": { "email": {} },
        }));
        let policy = policy.unwrap();
        assert_eq!(policy.decision, OpenEnum::Unknown("isolate".into()));
        assert_eq!(policy.app_count, None);
        let levels = ["high", "severe"].map(OpenEnum::read).into();
        assert_eq!(
            policy.rules.include,
            [
                PolicyRule::Levels(levels),
                PolicyRule::Group("g".into()),
                PolicyRule::Other,
                PolicyRule::Other,
                PolicyRule::Other
            ]
        );
        assert_eq!(policy.rules.exclude, []);
        assert_eq!(policy.rules.require, [PolicyRule::Other]);
        for item in [
            json!({ "id": "p" }),
            json!({ "id": 1, "name": "P" }),
            json!(null),
        ] {
            assert_eq!(AccessPolicy::read(&item), None);
            assert_eq!(AccessGroup::read(&item), None);
            assert_eq!(IdentityProvider::read(&item), None);
        }
    }

    #[test]
    fn of_an_identity_provider_no_secret_is_kept() {
        let provider = IdentityProvider::read(&json!({
            "id": "3701e70b-5de4-4d9d-8972-f5aa994d9057", "name": "Corporate Okta", "type": "okta",
            "config": { "client_secret": "hush", "okta_account": "https://corp.okta.com" },
        }));
        let provider = provider.unwrap();
        assert!(provider.is_okta());
        assert!(!format!("{provider:?}").contains("hush"));
        let org = TenantUrl::from_live("https://corp.okta.com/");
        assert_eq!(provider.okta_account, Some(org));
    }
}
