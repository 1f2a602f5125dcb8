//! Measuring: histograms, and meters that compile to nothing without the `metrics` feature.

pub mod histogram;
pub mod meter;

pub use histogram::{Histogram, Spread};
pub use meter::Meter;
