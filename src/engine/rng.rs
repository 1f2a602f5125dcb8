//! Seeded randomness: one stream per purpose.
