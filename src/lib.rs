//! riskform keeps Cloudflare Zero Trust Risk Scoring the way a YAML file says it should be.
//!
//! # The pipeline
//!
//! Every command is a stretch of one pipeline:
//!
//! 1. **load** the desired-state files ([`config`]) into [`model::account::DesiredAccount`]s;
//! 2. **read live**: two reads an account, both in flight together ([`api`]), give a [`model::account::LiveAccount`];
//! 3. **plan**: compare the two, purely ([`plan`]);
//! 4. **show** the plan ([`report`]);
//! 5. **apply** its operations in their order ([`apply`]);
//! 6. **report** what became of them ([`report`]).
//!
//! # The rooms
//!
//! | room | is for | never |
//! | --- | --- | --- |
//! | [`model`] | the domain's types | imports another room, does I/O, reads a clock |
//! | [`config`] | YAML text to desired state and back | touches the network; reads a file outside its loader |
//! | [`plan`] | desired and live to an immutable plan | is async, reads a clock, imports `api` or `config` |
//! | [`api`] | the Cloudflare client over a transport | prints, plans, reads the environment |
//! | [`sandbox`] | the simulated API, an axum router | knows the client |
//! | [`apply`] | carries a plan out, emits events | decides what should change |
//! | [`report`] | results as text and documents | prints: it returns values that display |
//! | [`doctor`] | why somebody can't get in | writes, prints |
//! | [`notify`] | sends notifications to webhooks and Slack | sees a Cloudflare token |
//! | [`cli`] | commands, exit codes, prompts, progress | is used by another room |
//!
//! # What is deliberately absent
//!
//! There is no state file: the live account is the only truth. `config`, `plan`, `api` and `sandbox` don't know each other; `cli` (or a
//! test) hands the client either the network or the sandbox's router. Nothing outside `cli` reads the environment or prints.

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
