//! The director and everything around it that knows no terminal.

pub(crate) mod action;
pub(crate) mod exit;
pub(crate) mod handle;
pub(crate) mod state;
