//! How fast a whole fleet may start and die.
//!
//! Each slot has its own brakes (`restart.rs`), but a thousand slots that behave can still bring
//! a machine down together. So starts are metered by a token bucket, and the deaths of a pool are
//! counted over all of its slots.

use std::time::Duration;

use crate::clock::Time;
use crate::limits;

/// The limits of a whole fleet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// Restarts of all slots together before another death gives its slot up.
    pub pool_restarts: Option<PoolLimit>,
    /// Processes started in one turn of the owner's loop, so that it keeps answering.
    pub spawns_per_turn: usize,
    /// Processes started in one second on average, after a burst of [`Self::spawn_burst`].
    pub spawns_per_second: u32,
    /// Processes that may be started at once by a fleet that has rested.
    pub spawn_burst: u32,
}

impl Pace {
    /// The pace of a single process and of user processes: no limit but their slots' own.
    pub const SLOTS_ONLY: Self = Self {
        pool_restarts: None,
        spawns_per_turn: limits::SPAWNS_PER_TURN,
        spawns_per_second: limits::SPAWNS_PER_SECOND,
        spawn_burst: limits::SPAWN_BURST,
    };

    /// The pace of the worker pool.
    pub const POOL: Self = Self {
        pool_restarts: Some(PoolLimit {
            base: limits::RESTARTS_PER_SLOT_MAX,
            per_slot: limits::POOL_RESTARTS_PER_SLOT,
        }),
        ..Self::SLOTS_ONLY
    };
}

/// How many restarts a pool may take within the policy's window: `base + per_slot * slots`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PoolLimit {
    /// What a pool of any size may take.
    pub base: u32,
    /// What each wanted slot adds.
    pub per_slot: u32,
}

impl PoolLimit {
    /// Returns the limit of a pool of `slots` wanted slots.
    pub fn of(self, slots: usize) -> u32 {
        let slots = u32::try_from(slots).unwrap_or(u32::MAX);
        self.base.saturating_add(self.per_slot.saturating_mul(slots))
    }
}

/// A token bucket for starts, kept as the moment at which it would be full again (GCRA).
#[derive(Clone, Copy, Debug)]
pub(super) struct SpawnBucket {
    /// The time that one token takes to come back.
    interval: Duration,
    /// How far [`Self::full_at`] may lie ahead while a token is left.
    slack: Duration,
    full_at: Time,
}

impl SpawnBucket {
    /// Returns a full bucket of `burst` tokens that regains `per_second` tokens each second.
    /// Zeros count as one: a bucket without tokens would start nothing for ever.
    pub(super) fn new(per_second: u32, burst: u32) -> Self {
        let interval = Duration::from_secs(1) / per_second.max(1);
        Self { interval, slack: interval.saturating_mul(burst.max(1) - 1), full_at: Time::ZERO }
    }

    /// Returns when a token is there to take.
    pub(super) fn ready_at(&self) -> Time {
        self.full_at - self.slack
    }

    /// Takes a token; returns whether there was one.
    pub(super) fn take(&mut self, now: Time) -> bool {
        let is_there = self.ready_at() <= now;
        if is_there {
            self.full_at = self.full_at.max(now) + self.interval;
        }
        is_there
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Time {
        Time::ZERO + Duration::from_millis(millis)
    }

    #[test]
    fn a_bucket_gives_its_burst_and_then_its_rate() {
        let mut bucket = SpawnBucket::new(100, 3);
        let now = at(5_000);
        let taken = (0..10).filter(|_| bucket.take(now)).count();
        assert_eq!(taken, 3);
        assert_eq!(bucket.ready_at(), at(5_010));
        assert!(!bucket.take(at(5_009)) && bucket.take(at(5_010)));
        let later = (0..10).filter(|_| bucket.take(at(9_000))).count();
        assert_eq!(later, 3, "a rested bucket holds no more than its burst");
    }

    #[test]
    fn a_bucket_of_zeros_still_gives() {
        let mut bucket = SpawnBucket::new(0, 0);
        assert!(bucket.take(at(1_000)) && !bucket.take(at(1_999)) && bucket.take(at(2_000)));
    }

    #[test]
    fn a_pool_may_take_two_restarts_for_each_worker() {
        let limit = Pace::POOL.pool_restarts.unwrap();
        assert_eq!((limit.of(0), limit.of(4)), (5, 13));
        assert_eq!(limit.of(usize::MAX), u32::MAX);
    }
}
