//! The dashboard: draws the director's snapshots and turns keys into actions.
