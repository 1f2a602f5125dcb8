//! The same cores and files as in production, on a disk that loses, tears and refuses.
//!
//! Everything follows from one seed: which operations fail, what a power loss leaves, who asks
//! and who serves. A seed that fails is a test that repeats.

pub(crate) mod disk;
mod drill;
mod faults;
mod log;
mod office;
