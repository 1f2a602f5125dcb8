//! Keeping processes alive.
