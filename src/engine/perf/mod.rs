//! Measuring: histograms, confidence intervals, and the metrics of the product's own work,
//! and how two things are compared.
//!
//! What the product *promises* to report (waits, service times, counts of tickets) is always
//! measured, with [`Histogram`], [`BatchMeans`] and plain counters. The metrics of the
//! [`catalog`] are for looking inside: they are recorded with the macros of the [`facade`], which
//! compile to nothing without the feature `metrics`.

pub mod catalog;
pub mod compare;
pub mod confidence;
pub mod facade;
pub mod histogram;
pub mod metrics;

pub use confidence::{BatchMeans, Interval};
pub use histogram::{Histogram, Spread};
pub use metrics::Metrics;
