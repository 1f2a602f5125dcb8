//! The wire: frames, messages, connections, readiness.
