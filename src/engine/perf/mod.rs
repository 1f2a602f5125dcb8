//! Measuring: histograms, and meters that compile to nothing without the `metrics` feature.

pub mod catalog;
pub mod confidence;
pub mod histogram;
pub mod meter;

pub use confidence::{BatchMeans, Interval};
pub use histogram::{Histogram, Spread};
pub use meter::Meter;
