//! Names of things, one newtype each, so that no two can be mixed up.
//!
//! Every id has a fixed width because ids travel on the wire and into the log.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Declares an id newtype around an unsigned integer.
macro_rules! id {
    ($(#[$doc:meta])* $name:ident($int:ty), $prefix:literal) => {
        $(#[$doc])*
        #[derive(
            Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
        )]
        pub struct $name(pub $int);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!($prefix, "{}"), self.0)
            }
        }
    };
}

id! {
    /// One ticket. Unique for the life of the data directory, strictly rising in log order;
    /// gaps are allowed and zero is never used.
    TicketId(u64), ""
}
id! {
    /// One worker slot of the pool, from zero. A restarted worker keeps its slot's id.
    WorkerId(u16), "worker "
}
id! {
    /// One user process slot, from zero.
    UserProcessId(u16), "user process "
}
id! {
    /// One `[load.*]` section, in file order.
    LoadId(u8), "load "
}
id! {
    /// One `[service.*]` section, in file order.
    ServiceId(u8), "service "
}
id! {
    /// One start of the issuer on a data directory; rises by one at each start.
    Epoch(u32), "epoch "
}
id! {
    /// One run of the office, chosen at random when the director starts.
    RunId(u64), ""
}
id! {
    /// A position in the whole log, in bytes; it rises over all segments.
    Lsn(u64), ""
}

impl RunId {
    /// Returns the short form that people read and compare: four hexadecimal digits.
    pub fn short(self) -> String {
        format!("{:04x}", self.0 >> 48)
    }
}

/// One simulated client: the load that it belongs to and its index in that load.
///
/// Packed into 32 bits, load in the top 8, index in the low 24.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UserId(pub u32);

impl UserId {
    /// The largest number of users in one load.
    pub const PER_LOAD_MAX: u32 = 1 << 24;

    /// Returns the id of user `index` of `load`.
    ///
    /// # Panics
    /// If `index` is not below [`Self::PER_LOAD_MAX`]; the configuration's limits forbid it.
    pub fn new(load: LoadId, index: u32) -> Self {
        assert!(index < Self::PER_LOAD_MAX, "user index {index} does not fit 24 bits");
        Self(u32::from(load.0) << 24 | index)
    }

    /// Returns the load that the user belongs to.
    pub fn load(self) -> LoadId {
        LoadId(self.0.to_be_bytes()[0])
    }

    /// Returns the user's index in its load.
    pub fn index(self) -> u32 {
        self.0 & (Self::PER_LOAD_MAX - 1)
    }
}

impl fmt::Display for UserId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "user {}/{}", self.load().0, self.index())
    }
}

/// What makes a repeated request idempotent: the user and the user's own sequence number.
/// Unique within one run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Token {
    /// Who asks.
    pub user: UserId,
    /// The user's own count of requests, from zero.
    pub seq: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_id_keeps_its_load_and_index() {
        for (load, index) in [(0, 0), (3, 17), (255, UserId::PER_LOAD_MAX - 1)] {
            let user = UserId::new(LoadId(load), index);
            assert_eq!((user.load(), user.index()), (LoadId(load), index));
        }
    }
}
