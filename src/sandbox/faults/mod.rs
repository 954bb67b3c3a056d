//! The fault laboratory: what can go wrong between a client and the service, request by request, as a script says or as chance wills.
//!
//! | file | is for |
//! | --- | --- |
//! | `script` | the script and its file format (`schema/faults.schema.json`) |
//! | `foreign` | what somebody else does to the account meanwhile |
//! | `laboratory` | the script played on the way to the sandbox's router: a tower service whose errors are broken connections |
//! | `serve` | the same on a real socket, where a broken connection is one |

mod external_change;
mod injector;
mod script;
mod serve;

pub use external_change::ExternalChange;
pub use injector::{ConnectionFault, FaultInjector, InjectedFault};
pub use script::{Execution, Fault, FaultRule, FaultScript, FaultScriptError, RequestMethod};
