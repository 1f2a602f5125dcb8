//! The real binary, end to end.

mod bad_input;
mod chaos;
mod dashboard;
mod lifecycle;
mod peers;
mod support;
mod tidy;
