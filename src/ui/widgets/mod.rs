//! What panels are made of.

pub(crate) mod columns;
pub(crate) mod plot;
pub(crate) mod table;
