//! Validates the desired state in a saved plan, because an edited plan could contain values that files cannot.

use super::interpolate::is_variable_name;
use super::kinds::behavior;
use crate::model::account::DesiredAccount;
use crate::model::integration::TenantUrl;
use crate::model::limits::Limits;
use crate::model::text::is_invisible;

/// Returns all mistakes in a desired account: values that files cannot declare under these limits.
pub fn recheck(desired: &DesiredAccount, limits: &Limits) -> Vec<String> {
    let DesiredAccount {
        account_id: _,
        name: _,
        source,
        api_token_env,
        behaviors,
        wildcard,
        unmanaged,
        integrations,
        unlisted: _,
        guards,
    } = desired;
    let mut wrong = Vec::new();
    if let Some(name) = api_token_env
        && !(is_variable_name(name) && limits.allows_token_variable(name))
    {
        wrong.push("api_token_env names a variable that is not allowed to hold a token".to_owned());
    }
    for key in behaviors.keys().chain(unmanaged.keys()) {
        if !behavior::is_key(key.as_str()) {
            wrong.push("invalid behavior name".to_owned());
        }
    }
    for (key, behavior) in behaviors {
        if behavior.enabled.is_none() && behavior.risk_level.is_none() {
            wrong.push(format!("behavior.{key} is empty"));
        }
    }
    for (name, integration) in integrations {
        if integration.name != *name {
            wrong.push(format!("integration.{name}: the name differs from the key"));
        }
        if let Err(error) = integration.tenant_url.as_str().parse::<TenantUrl>() {
            wrong.push(format!(
                "integration.{name}.tenant_url: invalid tenant URL: {error}"
            ));
        }
        let reasons = integration.lifecycle.ignore_changes.iter();
        let texts = (integration.reference_id.iter().map(|one| one.as_str()))
            .chain(integration.identity_provider.as_deref())
            .chain(reasons.filter_map(|one| one.reason.as_deref()));
        for text in texts {
            if text.contains(is_invisible) {
                wrong.push(format!(
                    "integration.{name} contains an invisible character"
                ));
            }
        }
    }
    let protected = guards.protected.iter().map(|one| one.text.as_str());
    if protected
        .chain([&**source])
        .any(|text| text.is_empty() || text.contains(is_invisible))
    {
        wrong.push("a text is empty or contains an invisible character".to_owned());
    }
    let used = behaviors.values().chain(wildcard).map(|one| &one.variables);
    let used = used.chain(integrations.values().map(|one| &one.variables));
    if !used
        .flat_map(|one| one.values().flatten())
        .all(|name| is_variable_name(name))
    {
        wrong.push("invalid variable name".to_owned());
    }
    wrong
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::model::limits::NO_LIMITS;

    /// Returns an account as in a saved plan.
    fn sound() -> Value {
        let place = json!({ "file": "a.yaml", "line": 1, "column": 1 });
        json!({
            "account_id": "023e105f4ecef8ad9ca31a8372d0c353",
            "source": "a.yaml",
            "api_token_env": "CLOUDFLARE_API_TOKEN",
            "behaviors": { "imp_travel": { "enabled": true, "location": place } },
            "wildcard": { "enabled": true, "location": place, "variables": { "enabled": ["RISKFORM_VAR_ON"] } },
            "unmanaged": {},
            "integrations": { "corp": {
                "name": "corp",
                "tenant_url": "https://corp.okta.com",
                "reference_id": "r1",
                "active": true,
                "lifecycle": { "prevent_destroy": false, "ignore_changes": [{ "field": "active", "reason": "why", "location": place }] },
                "location": place,
            } },
            "unlisted": { "behaviors": "keep", "integrations": "report" },
            "guards": { "max_deletes": 1, "weakening": "warn", "policies": "warn", "protected": [{ "text": "a", "location": place }] },
        })
    }

    #[test]
    fn what_no_file_may_say_no_saved_plan_may_say_either() {
        let place = json!({ "file": "a.yaml", "line": 1, "column": 1 });
        let table = [
            (
                "/api_token_env",
                json!("GITHUB_TOKEN"),
                "not allowed to hold a token",
            ),
            (
                "/behaviors",
                json!({ "a*": { "enabled": true, "location": place } }),
                "invalid behavior name",
            ),
            (
                "/behaviors/imp_travel/enabled",
                Value::Null,
                "behavior.imp_travel is empty",
            ),
            ("/integrations/corp/name", json!("other"), "name differs"),
            (
                "/integrations/corp/tenant_url",
                json!("http://127.0.0.1"),
                "invalid tenant URL",
            ),
            (
                "/integrations/corp/reference_id",
                json!("a\u{3164}b"),
                "an invisible character",
            ),
            (
                "/integrations/corp/lifecycle/ignore_changes/0/reason",
                json!("a\u{202e}b"),
                "an invisible character",
            ),
            ("/guards/protected/0/text", json!(""), "a text is empty"),
            ("/source", json!("a\u{200b}.yaml"), "an invisible character"),
            (
                "/wildcard/variables/enabled/0",
                json!("a b"),
                "invalid variable name",
            ),
        ];
        let rechecked =
            |account: Value| recheck(&serde_json::from_value(account).unwrap(), &NO_LIMITS);
        assert_eq!(rechecked(sound()), Vec::<String>::new());
        for (place, value, said) in table {
            let mut account = sound();
            *account.pointer_mut(place).unwrap() = value;
            let wrong = rechecked(account);
            assert!(
                matches!(&wrong[..], [one] if one.contains(said)),
                "{place}: {wrong:?}"
            );
        }
    }
}
