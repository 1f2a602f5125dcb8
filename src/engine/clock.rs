//! Time as the engine knows it.
//!
//! [`Time`] is the kernel's monotonic clock in nanoseconds. It is the same for every process
//! of the machine, so two processes can subtract their readings. Wall-clock time is for people
//! only ([`WallTime`]): it may jump, so nothing is decided by it.
//!
//! Cores never read a clock; they are given `now`. This file is where edges read it.

use std::fmt;
use std::ops::{Add, Sub};
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::time::TimeSpec;
use nix::time::{ClockId, ClockNanosleepFlags, clock_gettime, clock_nanosleep};
use serde::{Deserialize, Serialize};

/// A moment on the system-wide monotonic clock, in nanoseconds since boot.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct Time(pub u64);

impl Time {
    /// The earliest moment; in records it stands for "has not happened".
    pub const ZERO: Self = Self(0);
    /// A moment that never comes.
    pub const NEVER: Self = Self(u64::MAX);

    /// Returns the time from `earlier` to `self`, zero if `earlier` is later.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }

    /// Returns whether the moment is set, as opposed to [`Self::ZERO`].
    pub fn is_set(self) -> bool {
        self != Self::ZERO
    }
}

impl Add<Duration> for Time {
    type Output = Self;
    fn add(self, span: Duration) -> Self {
        Self(self.0.saturating_add(nanos(span)))
    }
}

impl Sub<Duration> for Time {
    type Output = Self;
    fn sub(self, span: Duration) -> Self {
        Self(self.0.saturating_sub(nanos(span)))
    }
}

/// Returns a span in whole nanoseconds, at most `u64::MAX` (584 years).
pub fn nanos(span: Duration) -> u64 {
    u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)
}

/// Blocks the calling thread until `moment`.
pub fn sleep_until(moment: Time) {
    let seconds = i64::try_from(moment.0 / 1_000_000_000).unwrap_or(i64::MAX);
    let deadline = TimeSpec::new(seconds, (moment.0 % 1_000_000_000).cast_signed());
    let flags = ClockNanosleepFlags::TIMER_ABSTIME;
    while clock_nanosleep(ClockId::CLOCK_MONOTONIC, flags, &deadline) == Err(Errno::EINTR) {}
}

/// Where an edge takes its time from.
pub trait Clock {
    /// Returns the present moment.
    fn now(&self) -> Time;
}

/// The machine's own monotonic clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Time {
        let now = clock_gettime(ClockId::CLOCK_MONOTONIC)
            .expect("CLOCK_MONOTONIC exists on every system that Rust's std runs on");
        Time(now.tv_sec().unsigned_abs() * 1_000_000_000 + now.tv_nsec().unsigned_abs())
    }
}

/// A clock that stands still until it is told otherwise, for tests.
#[derive(Clone, Debug, Default)]
pub struct ManualClock(std::cell::Cell<u64>);

impl ManualClock {
    /// Moves the clock forward.
    pub fn advance(&self, span: Duration) {
        self.0.set(self.0.get().saturating_add(nanos(span)));
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Time {
        Time(self.0.get())
    }
}

/// A moment of the calendar, for display and for the log's start records: nanoseconds since
/// 1970-01-01 UTC.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct WallTime(pub u64);

impl WallTime {
    /// Reads the machine's calendar clock.
    pub fn now() -> Self {
        let now = clock_gettime(ClockId::CLOCK_REALTIME)
            .expect("CLOCK_REALTIME exists on every system that Rust's std runs on");
        Self(now.tv_sec().unsigned_abs() * 1_000_000_000 + now.tv_nsec().unsigned_abs())
    }
}

impl fmt::Display for WallTime {
    /// Writes the time of day in UTC, `hh:mm:ss`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let day_seconds = self.0 / 1_000_000_000 % 86_400;
        write!(f, "{:02}:{:02}:{:02}", day_seconds / 3600, day_seconds / 60 % 60, day_seconds % 60)
    }
}

/// Returns what a time of one clock is on another, of which one moment is known on both.
pub fn on_other_clock(at: u64, (known, other): (u64, u64)) -> u64 {
    let moved = i128::from(at) - i128::from(known) + i128::from(other);
    u64::try_from(moved).unwrap_or_default()
}

/// Returns the machine's boot id: moments of another boot can't be compared. Zeros where it can't
/// be read.
pub fn boot_id() -> [u8; 16] {
    let text = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    let digits: String = text.chars().filter(char::is_ascii_hexdigit).collect();
    u128::from_str_radix(&digits, 16).unwrap_or_default().to_be_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_never_runs_backwards() {
        assert_eq!(Time(5).since(Time(9)), Duration::ZERO);
        assert_eq!(Time(9).since(Time(5)), Duration::from_nanos(4));
        assert_eq!(Time(5) - Duration::from_secs(1), Time::ZERO);
        assert_eq!(Time::NEVER + Duration::from_secs(1), Time::NEVER);
    }

    #[test]
    fn the_system_clock_does_not_go_back() {
        let first = SystemClock.now();
        assert!(SystemClock.now() >= first && first.is_set());
    }

    #[test]
    fn a_sleep_ends_no_earlier_than_its_moment() {
        let until = SystemClock.now() + Duration::from_millis(2);
        sleep_until(until);
        assert!(SystemClock.now() >= until);
    }

    #[test]
    fn a_manual_clock_moves_only_when_told() {
        let clock = ManualClock::default();
        assert_eq!(clock.now(), Time::ZERO);
        clock.advance(Duration::from_millis(3));
        assert_eq!(clock.now(), Time(3_000_000));
    }
}
