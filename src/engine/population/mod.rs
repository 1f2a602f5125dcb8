//! Who asks, when, and for what: a pure function of the seed.
