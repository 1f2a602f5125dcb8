//! The wire: fields, frames, messages, connections, readiness.
//!
//! Pure but for [`stream`] and [`poller`]. A peer can neither confuse the framing with partial
//! reads nor make it hold more than a frame's bound.

#[macro_use]
pub mod wire;
pub mod connection;
pub mod frame;
pub mod message;
pub mod poller;
pub mod stream;
