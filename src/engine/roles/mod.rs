//! What each process is.
