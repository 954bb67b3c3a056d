//! Code shared by the tests. [`run`] starts the program, [`server`] serves the sandbox to it, [`world`] calls the sandbox in-process, and
//! [`notation`] writes accounts in short lines. [`faults`] and [`layers`] change responses.

pub mod faults;
pub mod json;
pub mod layers;
// Not all of it is used here.
#[allow(dead_code)]
#[path = "../../../src/plan/tests/notation.rs"]
pub mod notation;
pub mod openapi;
pub mod run;
pub mod server;
pub mod world;

pub use run::{Run, TestDir};
pub use server::SandboxServer;

use riskform::model::account::AccountId;
use riskform::sandbox::{RECORDED_ACCOUNT, Settings};

/// Serves a sandbox, and returns a directory with a riskform.yaml whose environment points to it.
pub fn serve(file: &str) -> (SandboxServer, TestDir) {
    let server = SandboxServer::start(Settings::default());
    let workplace = TestDir::with_file(&server, file);
    (server, workplace)
}

/// Returns the recorded account.
pub fn account() -> AccountId {
    RECORDED_ACCOUNT.parse().unwrap()
}
