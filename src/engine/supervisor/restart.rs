//! How soon and how often processes come back.
//!
//! Two brakes for two runaways: a delay that doubles for a process that dies young, and a limit of
//! deaths in a window for one that dies for ever. A stable process has neither against it: it is
//! back at once. All is plain data that is told the time.

use std::collections::VecDeque;
use std::time::Duration;

use crate::clock::Time;
use crate::limits;

/// The deadlines and limits of one slot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// How long a new process may take to say hello.
    pub hello_within: Duration,
    /// How long it may take from hello, or from its last progress, to ready.
    pub ready_within: Duration,
    /// Silence after which it is suspect.
    pub suspect_after: Duration,
    /// Silence after which it is killed; longer than [`Self::suspect_after`].
    pub hung_after: Duration,
    /// How long it may take to end after SIGTERM before it is killed.
    pub term_grace: Duration,
    /// A process that was ready for longer than this is restarted without delay.
    pub stable_after: Duration,
    /// The first delay before the restart of an unstable process; it doubles...
    pub backoff_min: Duration,
    /// ...up to this.
    pub backoff_max: Duration,
    /// Restarts within [`Self::restart_window`] before the slot is given up; `None` never gives
    /// up, the delay alone slows it down.
    pub restarts_max: Option<u32>,
    /// The window in which deaths are counted.
    pub restart_window: Duration,
}

impl Policy {
    /// The policy of issuer, workers and users manager: without them there is no service, so a
    /// slot that keeps dying is given up and said so.
    pub const CORE: Self = Self {
        hello_within: limits::SPAWN_HELLO_DEADLINE,
        ready_within: limits::READY_DEADLINE,
        suspect_after: limits::SUSPECT_AFTER,
        hung_after: limits::HUNG_AFTER,
        term_grace: limits::TERM_GRACE,
        stable_after: limits::STABLE_AFTER,
        backoff_min: limits::BACKOFF_MIN,
        backoff_max: limits::BACKOFF_MAX,
        restarts_max: Some(limits::RESTARTS_PER_SLOT_MAX),
        restart_window: limits::RESTART_WINDOW,
    };

    /// The policy of user processes: load is generated as long as the run lasts.
    pub const USER: Self = Self { restarts_max: None, ..Self::CORE };
}

/// The deaths of the recent past, no more of them than the limit needs.
#[derive(Clone, Debug, Default)]
pub(super) struct DeathWindow(VecDeque<Time>);

impl DeathWindow {
    /// Records a death; returns whether more than `max` fell into the last `span`.
    pub(super) fn record(&mut self, now: Time, span: Duration, max: u32) -> bool {
        while self.0.front().is_some_and(|&death| now.since(death) > span) {
            self.0.pop_front();
        }
        // A death beyond the limit is not stored: the answer is known and the memory bounded.
        let is_beyond = self.0.len() >= usize::try_from(max).unwrap_or(usize::MAX);
        if !is_beyond {
            self.0.push_back(now);
        }
        is_beyond
    }

    /// Forgets all deaths: a person has asked for a fresh start.
    pub(super) fn clear(&mut self) {
        self.0.clear();
    }
}

/// The next delay of a slot that keeps dying young.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Backoff {
    /// How many young deaths came in a row.
    streak: u32,
}

impl Backoff {
    /// Returns the delay after a death that was nobody's wish, `ready_for` the time that the
    /// process had been ready. It is zero for a stable process and doubles for others.
    pub(super) fn after_crash(&mut self, policy: &Policy, ready_for: Option<Duration>) -> Duration {
        if is_stable(policy, ready_for) {
            self.streak = 0;
            return Duration::ZERO;
        }
        let delay = policy.backoff_min.saturating_mul(1 << self.streak.min(31));
        self.streak += u32::from(delay < policy.backoff_max);
        delay.min(policy.backoff_max)
    }

    /// Returns the delay after a person killed the process; it never grows.
    pub(super) fn after_kill(policy: &Policy, ready_for: Option<Duration>) -> Duration {
        match is_stable(policy, ready_for) {
            true => Duration::ZERO,
            false => policy.backoff_min,
        }
    }
}

/// Returns whether a process lived long enough for its death to be no pattern.
fn is_stable(policy: &Policy, ready_for: Option<Duration>) -> bool {
    ready_for.is_some_and(|span| span > policy.stable_after)
}

#[cfg(test)]
mod tests {
    use super::*;

    const YOUNG: Option<Duration> = Some(Duration::from_secs(1));
    const OLD: Option<Duration> = Some(Duration::from_secs(11));

    fn at(millis: u64) -> Time {
        Time::ZERO + Duration::from_millis(millis)
    }

    #[test]
    fn the_delay_doubles_to_its_ceiling_and_a_stable_life_resets_it() {
        let mut backoff = Backoff::default();
        let delays: Vec<u128> =
            (0..8).map(|_| backoff.after_crash(&Policy::CORE, None).as_millis()).collect();
        assert_eq!(delays, [100, 200, 400, 800, 1600, 3200, 5000, 5000]);
        assert_eq!(backoff.after_crash(&Policy::CORE, OLD), Duration::ZERO);
        let again = backoff.after_crash(&Policy::CORE, YOUNG);
        assert_eq!(again, Duration::from_millis(100));
    }

    #[test]
    fn the_delay_of_an_endless_crash_loop_stays_at_its_ceiling() {
        let mut backoff = Backoff::default();
        for _ in 0..1000 {
            backoff.after_crash(&Policy::CORE, None);
        }
        let delay = backoff.after_crash(&Policy::CORE, None);
        assert_eq!(delay, Policy::CORE.backoff_max);
    }

    #[test]
    fn exactly_ten_seconds_are_not_yet_stable() {
        let ready_for = Some(Policy::CORE.stable_after);
        let delay = Backoff::default().after_crash(&Policy::CORE, ready_for);
        assert_eq!(delay, Policy::CORE.backoff_min);
    }

    #[test]
    fn the_death_after_the_limit_is_beyond_it_and_old_deaths_are_forgiven() {
        let span = Duration::from_secs(30);
        let mut window = DeathWindow::default();
        for second in 0..5 {
            assert!(!window.record(at(second * 1000), span, 5), "{second}");
        }
        assert!(window.record(at(5_000), span, 5));
        assert!(window.record(at(30_000), span, 5), "the first is 30 s old");
        assert!(!window.record(at(30_001), span, 5), "the first has left");
    }
}
