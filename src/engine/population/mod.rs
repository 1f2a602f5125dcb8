//! Who asks, when, and for what: all of it a pure function of the scenario and the seed.
//!
//! [`sample`] turns random words into spans, [`workload`] says what each user asks for,
//! [`arrivals`] when open loads are due, and [`planner`] which process hosts whom.

pub mod arrivals;
pub mod planner;
pub mod sample;
pub mod workload;
