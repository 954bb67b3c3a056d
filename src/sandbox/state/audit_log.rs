//! The account's audit log (`schema/api.md`, Audit log): one entry for every write that succeeded.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

/// Maximum number of entries per account. The oldest are dropped.
pub(in crate::sandbox) const MAX_AUDIT_ENTRIES: usize = 10_000;

/// An entry and its position in the log.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(in crate::sandbox) struct LoggedEntry {
    /// Serial number, increasing.
    pub(in crate::sandbox) serial: u64,
    pub(in crate::sandbox) time: Timestamp,
    /// The entry as the API shows it.
    pub(in crate::sandbox) shown: Value,
}

/// Author of a write.
#[derive(Clone, Debug)]
pub(in crate::sandbox) struct Author {
    /// `dash`, `api_token`, `api_key`, or a value set by a test.
    pub(in crate::sandbox) context: String,
    /// The user's email address; `None` if the account is the author.
    pub(in crate::sandbox) email: Option<String>,
    /// Public ID and name of the token, if one was used.
    pub(in crate::sandbox) token: Option<(String, String)>,
    pub(in crate::sandbox) user_agent: String,
}

/// A write to log.
#[derive(Clone, Debug)]
pub(in crate::sandbox) struct LoggedRequest<'a> {
    pub(in crate::sandbox) account: &'a str,
    pub(in crate::sandbox) method: &'a str,
    pub(in crate::sandbox) uri: &'a str,
    pub(in crate::sandbox) ray: &'a str,
    pub(in crate::sandbox) author: &'a Author,
    /// Request and response body, if entries contain them.
    pub(in crate::sandbox) bodies: Option<(Value, Value)>,
    /// ID of the changed resource, if it has one.
    pub(in crate::sandbox) resource_id: Option<String>,
}

impl LoggedRequest<'_> {
    /// The entry as the API shows it. `product` and `type` are invented, as in the recording.
    pub(in crate::sandbox) fn entry(self, id: &str, time: Timestamp) -> Value {
        let LoggedRequest {
            account,
            method,
            uri,
            ray,
            author,
            bodies,
            resource_id,
        } = self;
        let Author {
            context,
            email,
            token,
            user_agent,
        } = author;
        let action = match method {
            "POST" => "create",
            "DELETE" => "delete",
            _ => "update",
        };
        let mut actor = Map::new();
        let mut say = |name: &str, value: &str| actor.insert(name.to_owned(), json!(value));
        say("context", context);
        say("ip_address", "192.0.2.10");
        match email {
            Some(email) => {
                say("type", "user");
                say("id", email);
                say("email", email);
            }
            None => {
                say("type", "account");
                say("id", account);
            }
        }
        if let Some((id, name)) = token {
            say("token_id", id);
            say("token_name", name);
        }
        let mut resource =
            json!({ "product": "zt_risk_scoring", "type": "zt_risk_scoring", "scope": "accounts" });
        if let Some((request, response)) = bodies {
            resource["request"] = request;
            resource["response"] = response;
        }
        if let Some(id) = resource_id {
            resource["id"] = json!(id);
        }
        json!({
            "id": id,
            "account": { "id": account, "name": "Sandbox" },
            "action": { "description": "", "result": "success", "time": time.to_string(), "type": action },
            "actor": actor,
            "raw": { "cf_ray_id": ray, "method": method, "status_code": 200, "uri": uri, "user_agent": user_agent },
            "resource": resource,
        })
    }
}
