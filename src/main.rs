//! The post office.

mod app;
mod ui;

fn main() {}
