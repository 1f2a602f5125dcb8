//! What processes say to each other: one enum per direction of a pair of roles.
//!
//! The *control plane* joins each child with its supervisor (director or users manager): hello,
//! configuration, heartbeats, telemetry, the end. The *data plane* joins users and workers with
//! the issuer. Numbers of messages are part of the protocol: a change of meaning is a new number
//! or a new [`VERSION`](super::frame::VERSION).
//!
//! Telemetry is absolute, never a difference: losing or repeating one does no harm.

use crate::clock::Time;

mod control;
mod data;

pub use control::*;
pub use data::*;

/// The secret that lets a process join the data plane; handed out on the control plane only.
pub type Secret = [u8; 16];

wire_struct! {
    /// A message that says all by its number.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub struct Signal {
        /// When it was sent, for logs.
        pub at: Time,
    }
}
