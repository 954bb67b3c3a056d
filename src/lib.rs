//! riskform keeps Cloudflare Zero Trust Risk Scoring as declared in a YAML file.
//!
//! # The pipeline
//!
//! Every command runs some of these steps, in this order:
//!
//! 1. **load** the desired-state files ([`config`]) into [`model::account::DesiredAccount`]s;
//! 2. **read live**: two concurrent reads per account ([`api`]) return a [`model::account::LiveAccount`];
//! 3. **plan**: compare the two, without I/O ([`plan`]);
//! 4. **show** the plan ([`report`]);
//! 5. **apply** its operations in their order ([`apply`]);
//! 6. **report** their results ([`report`]).
//!
//! # The modules
//!
//! | module | content | never |
//! | --- | --- | --- |
//! | [`model`] | the domain's types | imports another module, does I/O, reads a clock |
//! | [`config`] | YAML text to desired state and back | touches the network; reads a file outside its loader |
//! | [`plan`] | desired and live to an immutable plan | is async, reads a clock, imports `api` or `config` |
//! | [`api`] | the Cloudflare client over a transport | prints, plans, reads the environment |
//! | [`sandbox`] | the simulated API, an axum router | knows the client |
//! | [`apply`] | applies a plan, emits events | decides what should change |
//! | [`report`] | results as text and documents | prints: it returns values that display |
//! | [`doctor`] | checks of credentials, permissions and connectivity | writes, prints |
//! | [`notify`] | sends notifications to webhooks and Slack | sees a Cloudflare token |
//! | [`cli`] | commands, exit codes, prompts, progress | is used by another module |
//!
//! # Design
//!
//! There is no state file: every command reads the live account. `config`, `plan`, `api` and `sandbox` do not import each other. `cli` (or
//! a test) gives the client either the network or the sandbox's router. Nothing outside `cli` reads the environment or prints.

#![cfg_attr(test, allow(clippy::type_complexity))]

pub mod api;
pub mod apply;
pub mod cli;
pub mod config;
pub mod doctor;
pub mod model;
pub mod notify;
pub mod plan;
pub mod report;
pub mod sandbox;
