//! Context of risk scoring in an account: Access policies and groups that use risk levels, and identity providers. It is never written.
//!
//! Nearly every field of the API is optional and its values may be unknown, so items that cannot be parsed are skipped and counted
//! (`schema/api.md`, Access policies). Only the levels and groups of a rule are kept, because other conditions may contain secrets.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use jiff::Timestamp;
#[cfg(test)]
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::field::RiskLevel;
use super::id::{ReferenceId, TenantUrl};
use super::open_enum::{OpenEnum, string_enum};

/// Context of a plan: data that it reads in addition to behaviors and integrations.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(JsonSchema))]
pub struct Context {
    /// Access policies and groups that use risk levels.
    pub access: Fetched<Access>,
    /// Period of the audit log that was read. The authors found there are in the changes.
    #[serde(default)]
    pub audit_log: Fetched<AuditLogWindow>,
}

/// A part of the context. It is read only if needed, and a run continues if it cannot be read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Fetched<T> {
    /// Not requested.
    #[default]
    Skipped,
    /// Reading failed.
    Failed(FetchError),
    /// Read successfully.
    Loaded(T),
}

/// Reason why a part of the context could not be read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(JsonSchema))]
pub struct FetchError {
    /// Error message.
    pub reason: String,
    /// Missing permission, if that is the reason.
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

/// Period of the audit log that was read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(JsonSchema))]
pub struct AuditLogWindow {
    /// Start of the period that was read completely.
    #[cfg_attr(test, schemars(with = "String"))]
    pub since: Timestamp,
    /// Number of entries that could not be parsed.
    pub skipped: usize,
}

/// Risk level in an Access rule: a level of behaviors, or `unscored` for users without a score.
pub type Level = OpenEnum<RiskLevel>;

/// Access policies and groups that use risk levels.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(JsonSchema))]
pub struct Access {
    /// Policies by ID: reusable policies and those of a single application.
    pub policies: BTreeMap<String, AccessPolicy>,
    /// Rules that select the members of groups, by the ID of the group.
    pub groups: BTreeMap<String, PolicyRules>,
    /// Number of policies, groups and applications that were skipped because they could not be parsed or read.
    #[serde(default)]
    pub skipped: usize,
}

/// An Access policy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(JsonSchema))]
pub struct AccessPolicy {
    pub id: String,
    /// Name of the policy (untrusted text).
    pub name: String,
    /// Decision for users that match.
    pub decision: OpenEnum<Decision>,
    /// Rules that select users.
    pub rules: PolicyRules,
    /// Number of applications that use the policy, if known.
    pub app_count: Option<u64>,
}

string_enum! {
    /// Decision of a policy for users that match.
    Decision {
        /// Allows access.
        Allow = "allow",
        /// Denies access.
        Deny = "deny",
        /// Allows access by services.
        NonIdentity = "non_identity",
        /// Skips the login.
        Bypass = "bypass",
    }
}

/// Rules of a policy or group. A user must match any of `include`, none of `exclude` and all of `require`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(JsonSchema))]
pub struct PolicyRules {
    /// Rules of which at least one must match.
    pub include: Vec<PolicyRule>,
    /// Rules of which none may match.
    pub exclude: Vec<PolicyRule>,
    /// Rules that must all match.
    pub require: Vec<PolicyRule>,
}

/// One condition of a policy or group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum PolicyRule {
    /// Matches users with exactly one of these levels.
    Levels(BTreeSet<Level>),
    /// Matches members of the group with this ID.
    Group(String),
    /// Any other condition; its result is unknown.
    Other,
}

/// An Access identity provider.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(JsonSchema))]
pub struct IdentityProvider {
    /// ID of the provider, which is the reference_id of its integration.
    pub id: ReferenceId,
    /// Name of the provider (untrusted text).
    pub name: String,
    /// Type of the provider, such as `okta`.
    pub kind: String,
    /// Base URL of the Okta organization. The rest of the configuration is not kept, because it may contain a secret.
    pub okta_account: Option<TenantUrl>,
}

impl fmt::Display for IdentityProvider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.name, self.id)
    }
}

impl IdentityProvider {
    /// Returns true if the provider is Okta.
    pub fn is_okta(&self) -> bool {
        self.kind == "okta"
    }

    /// Parses an item of the API's list. Returns `None` if its ID or name is missing.
    pub fn from_json(item: &Value) -> Option<Self> {
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
    /// Returns true if a policy refers to a group.
    pub fn references_groups(&self) -> bool {
        let mut rules = self.policies.values().flat_map(|policy| policy.rules.all());
        rules.any(|rule| matches!(rule, PolicyRule::Group(_)))
    }

    /// Keeps only policies that use a level, directly or through groups, and the groups they refer to. An account may have thousands of
    /// other policies.
    #[must_use]
    pub fn retain_level_policies(mut self) -> Self {
        let uses_level = |rule: &PolicyRule| matches!(rule, PolicyRule::Levels(_));
        let is_missing = |rule: &PolicyRule| matches!(rule, PolicyRule::Group(id) if !self.groups.contains_key(id));
        let leads_to = |groups: &BTreeSet<String>, rule: &PolicyRule| matches!(rule, PolicyRule::Group(id) if groups.contains(id));
        let (using, incomplete) = (self.groups_with(uses_level), self.groups_with(is_missing));
        let mut skipped = 0;
        self.policies.retain(|_, policy| {
            let mut rules = policy.rules.all();
            let is_unknown = rules.any(|rule| is_missing(rule) || leads_to(&incomplete, rule));
            let mut rules = policy.rules.all();
            let is_used = rules.any(|rule| uses_level(rule) || leads_to(&using, rule));
            let is_known = policy.decision.known().is_some();
            // A policy that uses a level in an unknown way, or refers to a group that is not in the list.
            skipped += usize::from(is_unknown || is_used && !is_known);
            is_used && is_known
        });
        self.skipped += skipped;
        let mut kept: BTreeSet<String> = BTreeSet::new();
        let policies = self.policies.values();
        let groups = policies.flat_map(|policy| policy.rules.groups());
        let mut ahead: Vec<&str> = groups.collect();
        while let Some(id) = ahead.pop() {
            if let Some(group) = self.groups.get(id)
                && kept.insert(id.to_owned())
            {
                ahead.extend(group.groups());
            }
        }
        self.groups.retain(|id, _| kept.contains(id));
        self
    }

    /// Returns the IDs of the groups with such a rule, their own or that of a group to which they refer.
    fn groups_with(&self, is_wanted: impl Fn(&PolicyRule) -> bool) -> BTreeSet<String> {
        let mut led_to_by: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        let mut ahead: Vec<&str> = Vec::new();
        for (id, rules) in &self.groups {
            for led_to in rules.groups() {
                led_to_by.entry(led_to).or_default().push(id);
            }
            if rules.all().any(&is_wanted) {
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
    /// Parses an item of the API's lists. Returns `None` if its ID or name is missing, or a rule cannot be understood.
    pub fn from_json(item: &Value) -> Option<Self> {
        Some(AccessPolicy {
            id: text(item, "id")?,
            name: text(item, "name")?,
            decision: OpenEnum::parse(&text(item, "decision").unwrap_or_default()),
            rules: PolicyRules::from_json(item)?,
            app_count: item.get("app_count").and_then(Value::as_u64),
        })
    }
}

impl PolicyRules {
    /// Parses the rules of a policy or group, or of an item of the API's list of groups. Returns `None` if a rule cannot be understood.
    pub fn from_json(item: &Value) -> Option<Self> {
        let list = |key| match item.get(key) {
            None | Some(Value::Null) => Some(Vec::new()),
            Some(Value::Array(rules)) => rules.iter().map(PolicyRule::read).collect(),
            Some(_) => None,
        };
        Some(PolicyRules {
            include: list("include")?,
            exclude: list("exclude")?,
            require: list("require")?,
        })
    }

    /// Returns all rules.
    pub fn all(&self) -> impl Iterator<Item = &PolicyRule> {
        let PolicyRules {
            include,
            exclude,
            require,
        } = self;
        include.iter().chain(exclude).chain(require)
    }

    /// Returns the IDs of the groups that the rules refer to.
    pub fn groups(&self) -> impl Iterator<Item = &str> {
        self.all().filter_map(|rule| match rule {
            PolicyRule::Group(id) => Some(id.as_str()),
            PolicyRule::Levels(_) | PolicyRule::Other => None,
        })
    }
}

impl PolicyRule {
    /// Returns `None` for a rule that may use levels but cannot be understood.
    fn read(rule: &Value) -> Option<Self> {
        let rule = rule.as_object()?;
        if let Some(risk) = rule.get("user_risk_score") {
            let levels = risk.get("user_risk_score")?.as_array()?;
            let levels = levels
                .iter()
                .map(|level| level.as_str().map(OpenEnum::parse));
            return levels.collect::<Option<_>>().map(PolicyRule::Levels);
        }
        match rule.get("group") {
            Some(group) => Some(PolicyRule::Group(group.get("id")?.as_str()?.to_owned())),
            None => Some(PolicyRule::Other),
        }
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
    fn unknown_fields_and_words_are_accepted() {
        let policy = AccessPolicy::from_json(&json!({
            "id": "p", "name": "P", "decision": "isolate", "app_count": "many", "precedence": null,
            "include": [
                { "user_risk_score": { "user_risk_score": ["high", "severe"] } },
                { "group": { "id": "g" } },
                { "service_token": { "token_id": "secret" } },
            ],
            "exclude": null,
        }));
        let policy = policy.unwrap();
        assert_eq!(policy.decision, OpenEnum::Unknown("isolate".into()));
        assert_eq!(policy.app_count, None);
        let levels = ["high", "severe"].map(OpenEnum::parse).into();
        assert_eq!(
            policy.rules.include,
            [
                PolicyRule::Levels(levels),
                PolicyRule::Group("g".into()),
                PolicyRule::Other,
            ]
        );
        assert_eq!(policy.rules.exclude, []);
    }

    #[test]
    fn rules_that_cannot_be_understood_are_not_read_as_harmless() {
        for rules in [
            json!({ "require": { "email": {} } }),
            json!({ "include": [null] }),
            json!({ "include": ["garbage"] }),
            json!({ "include": [{ "user_risk_score": "high" }] }),
            json!({ "exclude": [{ "user_risk_score": { "user_risk_score": ["high", 7] } }] }),
            json!({ "include": [{ "user_risk_score": { "levels": ["high"] } }] }),
            json!({ "require": [{ "group": "g" }] }),
        ] {
            let mut item = rules.clone();
            item["id"] = json!("p");
            item["name"] = json!("P");
            assert_eq!(AccessPolicy::from_json(&item), None, "{rules}");
            assert_eq!(PolicyRules::from_json(&item), None, "{rules}");
        }
        for item in [
            json!({ "id": "p" }),
            json!({ "id": 1, "name": "P" }),
            json!(null),
        ] {
            assert_eq!(AccessPolicy::from_json(&item), None);
            assert_eq!(IdentityProvider::from_json(&item), None);
        }
    }

    #[test]
    fn policies_that_may_use_a_level_are_kept_or_counted() {
        let levels = json!({ "user_risk_score": { "user_risk_score": ["high"] } });
        let group = |id: &str| json!({ "group": { "id": id } });
        let table = [
            ("deny", levels.clone(), 1, 0),
            ("isolate", levels.clone(), 0, 1),
            ("isolate", json!({ "email": {} }), 0, 0),
            ("deny", group("risky"), 1, 0),
            ("deny", group("gone"), 0, 1),
            ("deny", group("leads-to-gone"), 0, 1),
            ("deny", group("staff"), 0, 0),
        ];
        let groups = [
            ("risky", levels),
            ("leads-to-gone", group("gone")),
            ("staff", json!({ "email": {} })),
        ];
        for (decision, rule, kept, skipped) in table {
            let case = format!("{decision} {rule}");
            let policy = json!({ "id": "p", "name": "P", "decision": decision, "include": [rule] });
            let mut access = Access::default();
            let policy = AccessPolicy::from_json(&policy).unwrap();
            access.policies.insert(policy.id.clone(), policy);
            for (id, rule) in groups.clone() {
                let group = PolicyRules::from_json(&json!({ "include": [rule] })).unwrap();
                access.groups.insert(id.to_owned(), group);
            }
            let access = access.retain_level_policies();
            assert_eq!(
                (access.policies.len(), access.skipped),
                (kept, skipped),
                "{case}"
            );
        }
    }

    #[test]
    fn of_an_identity_provider_no_secret_is_kept() {
        let provider = IdentityProvider::from_json(&json!({
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
