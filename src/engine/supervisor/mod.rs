//! Keeping processes alive.

pub mod birth;
pub mod child;
pub mod exit;
pub mod pace;
pub mod plan;
pub mod report;
pub mod restart;
pub mod spawn;
pub mod stderr;

pub use nix::unistd::Pid;
