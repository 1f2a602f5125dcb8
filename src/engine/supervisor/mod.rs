//! Keeping processes alive.

pub mod child;
pub mod exit;
pub mod pace;
pub mod plan;
pub mod report;
pub mod restart;

pub use nix::unistd::Pid;
