//! Everything that is tested from outside the crate: whole binaries, real sockets, random worlds. One test binary, so that it links once.

#![allow(clippy::unwrap_used, clippy::panic)]

mod api;
mod api_conduct;
mod config;
mod sandbox;
