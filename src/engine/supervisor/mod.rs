//! Keeping processes alive.
//!
//! The director supervises the issuer, the workers and the users manager; the users manager
//! supervises user processes. Both hold one [`plan::Fleet`] per role: a set of slots, each with
//! one [`child::Child`]. Fleet and child are pure state machines. They never start, signal or
//! wait for a process themselves; they say what is to be done, and the owner's event loop does it
//! with [`spawn`] and [`signals`]. One turn of that loop:
//!
//! 1. wait until [`plan::Fleet::deadline`] at the latest;
//! 2. if the loop itself was late by more than [`crate::limits::LATENESS_CREDITED`], credit it
//!    ([`plan::Fleet::credit`]);
//! 3. feed what was heard from processes, and the dead ([`spawn::reap_dead`] with
//!    [`plan::Fleet::pids`]), to [`plan::Fleet::handle`];
//! 4. [`plan::Fleet::handle_tick`];
//! 5. carry out every effect of [`plan::Fleet::poll_effect`].
//!
//! In reading order: [`exit`] how a process ended; [`restart`] how soon and how often one may
//! come back; [`pace`] how fast many may; [`child`] one slot's life and [`report`] what people
//! are told of it; [`plan`] many slots; [`spawn`] starting and reaping; [`stderr`] the last words
//! of a process; [`birth`] what a new process does first; [`signals`] signals as messages;
//! [`freeze`] who stands still by hand.
//!
//! Invariants: a slot never has two living processes; a stop ends with SIGKILL at the latest;
//! restarts are bounded in rate; nobody is killed for time that the supervisor itself overslept.

pub mod birth;
pub mod child;
pub mod exit;
pub mod freeze;
pub mod pace;
#[cfg(test)]
mod patience;
pub mod plan;
pub mod report;
pub mod restart;
pub mod signals;
pub mod spawn;
pub mod stderr;

pub use nix::unistd::Pid;
