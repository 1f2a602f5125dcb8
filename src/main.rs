//! The post office.

fn main() {}
