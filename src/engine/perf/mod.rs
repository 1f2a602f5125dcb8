//! Measuring: histograms, meters that compile to nothing without the `metrics` feature, and how two
//! things are compared.

pub mod compare;
pub mod histogram;
pub mod meter;

pub use histogram::{Histogram, Spread};
pub use meter::Meter;
