//! What the log is measured with: its owner reduced to appending and reading, and the floor, plain
//! files that get the same bytes.
//!
//! `cargo bench` and the `bench` command share this; nothing else uses it.

use crate::clock::{Clock, SystemClock, Time};

mod owner;
mod plain;

pub use owner::{Lmdb, LogOwner, fill, options};
pub use plain::{Plain, PlainFile, PlainReads};

/// The length of a record's value.
pub const VALUE_BYTES: usize = 128;
/// The length of a segment: the default of a scenario.
pub const SEGMENT_BYTES: u64 = 64 << 20;
/// The kind of the records that are written.
const KIND: u8 = 3;

/// Returns the present moment.
pub fn now() -> Time {
    SystemClock.now()
}

/// Returns how many seconds ago a moment was.
pub fn seconds_since(began: Time) -> f64 {
    now().since(began).as_secs_f64()
}

/// Returns the key of a numbered record.
pub fn key(number: u64) -> [u8; 16] {
    (u128::from(number) << 64).to_be_bytes()
}

/// Returns the value of a numbered record.
fn value(number: u64) -> [u8; VALUE_BYTES] {
    let mut value = [7; VALUE_BYTES];
    value[..8].copy_from_slice(&number.to_be_bytes());
    value
}
