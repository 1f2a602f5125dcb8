//! What panels are made of.

pub(crate) mod columns;
pub(crate) mod table;
