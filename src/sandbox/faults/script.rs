//! The script: rules that say which requests meet which fault. Written as YAML or JSON; `schema/faults.schema.json` describes it.

use std::time::Duration;

use serde::{Deserialize, Deserializer};
use serde_json::{Value, json};
use wildmatch::WildMatch;

use super::external_change::ExternalChange;
use crate::model::open_enum::string_enum;
use crate::sandbox::{RecordedError, SsfFlaw};

/// Rules, and the seed of whatever they leave to chance. The default has no rules, so nothing goes wrong.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FaultScript {
    /// The same seed, rules and requests meet the same faults.
    pub seed: u64,
    /// In the order in which they are asked. Every change that applies is made, and of the other faults the first one that applies.
    pub rules: Vec<FaultRule>,
}

impl FaultScript {
    /// Reads a script. Mistakes are named by the number of their rule, from 1.
    pub fn parse(text: &str) -> Result<Self, FaultScriptError> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Written {
            #[serde(default)]
            seed: u64,
            rules: Vec<Value>,
        }
        // By way of JSON's data model, in which a fault without settings is a word and one with settings a map.
        let Written { seed, rules } = serde_yaml::from_str(text)?;
        let rules = rules.into_iter().enumerate().map(|(index, mut rule)| {
            if let Some(fault) = rule.get_mut("fault") {
                expand_shorthand(fault);
            }
            serde_json::from_value(rule).map_err(|source| FaultScriptError::Rule {
                number: index + 1,
                source,
            })
        });
        Ok(FaultScript {
            seed,
            rules: rules.collect::<Result<_, _>>()?,
        })
    }
}

/// Which requests meet a fault.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FaultRule {
    /// Only requests with this method.
    #[serde(default)]
    pub method: Option<RequestMethod>,
    /// Only requests whose path, below the base path and without its query, fits this glob: `*` stands for anything, slashes
    /// included, and `?` for one character.
    #[serde(default)]
    pub path: Option<String>,
    /// How many fitting requests pass first.
    #[serde(default)]
    pub skip: u32,
    /// How many may then meet the fault; without a number, all.
    #[serde(default)]
    pub times: Option<u32>,
    /// The probability with which each of them does.
    #[serde(default = "certain", deserialize_with = "probability")]
    pub chance: f64,
    /// What goes wrong.
    pub fault: Fault,
}

impl FaultRule {
    /// The rule by which every request meets this fault.
    pub fn always(fault: Fault) -> Self {
        FaultRule {
            method: None,
            path: None,
            skip: 0,
            times: None,
            chance: certain(),
            fault,
        }
    }

    /// Says whether a request is one that the rule is about.
    pub(super) fn matches(&self, method: &str, path: &str) -> bool {
        self.method.is_none_or(|wanted| wanted.as_str() == method)
            && self
                .path
                .as_ref()
                .is_none_or(|glob| WildMatch::new(glob).matches(path))
    }
}

string_enum! {
    /// A method of the API.
    RequestMethod {
        /// `GET`
        Get = "GET",
        /// `PUT`
        Put = "PUT",
        /// `POST`
        Post = "POST",
        /// `DELETE`
        Delete = "DELETE",
    }
}

/// What goes wrong with one request.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Fault {
    /// Nobody listens: this request and all within the time are refused. A socket has read the request by then, so there its connection
    /// is cut, and new ones are refused.
    Refuse {
        /// For how long.
        #[serde(default = "a_second", deserialize_with = "seconds")]
        seconds: Duration,
    },
    /// The connection closes before the request is read.
    CloseBefore,
    /// The request is carried out, and the connection closes without an answer.
    CloseAfter,
    /// The request is carried out, and the connection closes in the middle of the answer.
    HalfAnswer,
    /// The answer is no HTTP.
    Garbage {
        /// Whether the request is carried out.
        #[serde(default)]
        work: Execution,
    },
    /// The request is carried out at once, and its answer comes late.
    Slow {
        /// How late.
        #[serde(deserialize_with = "seconds")]
        seconds: Duration,
    },
    /// 429, and the request is not carried out.
    RateLimited {
        /// The seconds in its `Retry-NextStep`; without a number it has none.
        #[serde(default)]
        retry_after: Option<u32>,
    },
    /// A refusal of the real service, and the request is not carried out.
    Refused(RecordedError),
    /// A rule of the standard that the SSF document, or its keys, break. Other requests pass unharmed.
    Ssf(SsfFlaw),
    /// 500, in the vendor's envelope.
    ServerError {
        /// Whether the request is carried out.
        #[serde(default)]
        work: Execution,
    },
    /// 502 with a page of HTML, as a proxy answers.
    BadGateway {
        /// Whether the request is carried out.
        #[serde(default)]
        work: Execution,
    },
    /// 200 with JSON that is nothing the vendor would say.
    WrongJson {
        /// Whether the request is carried out.
        #[serde(default)]
        work: Execution,
    },
    /// Somebody else changes the account just before the request is carried out, which goes well.
    Change(ExternalChange),
    /// One of these, by chance.
    OneOf(#[serde(deserialize_with = "at_least_one")] Vec<Fault>),
}

string_enum! {
    /// Whether a request that meets a fault is carried out all the same.
    #[derive(Default)]
    Execution {
        /// It is.
        Done = "done",
        /// It is not.
        #[default]
        Skipped = "skipped",
    }
}

/// A fault whose settings may all be left out may be written as its name alone.
fn expand_shorthand(fault: &mut Value) {
    match fault {
        Value::String(name)
            if !["close_before", "close_after", "half_answer"].contains(&name.as_str()) =>
        {
            *fault = json!({ name.as_str(): {} });
        }
        Value::Object(fault) => {
            if let Some(Value::Array(choices)) = fault.get_mut("one_of") {
                choices.iter_mut().for_each(expand_shorthand);
            }
        }
        _ => {}
    }
}

fn certain() -> f64 {
    1.0
}

fn a_second() -> Duration {
    Duration::from_secs(1)
}

fn probability<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    let chance = f64::deserialize(deserializer)?;
    if (0.0..=1.0).contains(&chance) {
        Ok(chance)
    } else {
        Err(serde::de::Error::custom("a chance is a number from 0 to 1"))
    }
}

fn seconds<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    Duration::try_from_secs_f64(f64::deserialize(deserializer)?).map_err(serde::de::Error::custom)
}

fn at_least_one<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Fault>, D::Error> {
    let faults = Vec::deserialize(deserializer)?;
    if faults.is_empty() {
        return Err(serde::de::Error::custom("one_of names at least one fault"));
    }
    Ok(faults)
}

/// A text that is no script.
#[derive(Debug, thiserror::Error)]
pub enum FaultScriptError {
    /// It is no YAML, or not of this shape.
    #[error("not a fault script: {0}")]
    Shape(#[from] serde_yaml::Error),
    /// One of its rules is wrong.
    #[error("rule {number} of the fault script: {source}")]
    Rule {
        /// Which, from 1.
        number: usize,
        /// What is wrong with it.
        source: serde_json::Error,
    },
}
