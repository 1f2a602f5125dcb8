//! The real binary, end to end.
#![expect(clippy::unwrap_used, reason = "a test that can not go on has failed")]

mod allocations;
mod bad_input;
mod bench;
mod chaos;
mod control;
mod dashboard;
mod export;
mod interventions;
mod lifecycle;
mod logstore;
mod looks;
mod outside;
mod peers;
mod reload;
mod storm;
mod support;
mod sysinfo;
mod tempo;
mod terminal;
mod tidy;
mod truth;
mod typing;
