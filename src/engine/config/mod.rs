//! Scenario files: text to a typed, validated [`Scenario`].

pub mod scenario;

pub use scenario::Scenario;
