//! Tickets: who gets one, who serves it, and what the log must say about it.
//!
//! Everything here is pure: requests, completions and the present time go in; records, messages
//! and assignments come out through [`issuer::Effects`]. The issuer's role connects the two to
//! sockets and to the logstore.

pub mod curbs;
pub mod issuer;
pub mod queue;
pub mod record;
pub mod recovery;
pub mod state;
pub mod stats;
pub mod tokens;
pub mod verify;

pub use issuer::{Assignment, Effects, Issuer, Request};
