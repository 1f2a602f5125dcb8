//! How many are where, and for how long: levels, their integrals, and single tickets' stays.
//!
//! Time is a position in the measured window; see [`super`].

use crate::clock::{Time, nanos};

/// A moment and where it lies in the window.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moment {
    pub(super) now: Time,
    pub(super) position: u64,
    pub(super) is_measured: bool,
}

/// The window stands still at position `to`, though it was taken to have reached `from`: whoever
/// decided that was heard of late.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rewind {
    pub(super) from: u64,
    pub(super) to: u64,
}

/// A number that changes in steps, and the largest that it was in the window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Level {
    value: u64,
    max: u64,
    max_at: Time,
}

impl Level {
    /// Returns the present value.
    pub fn value(&self) -> u64 {
        self.value
    }

    /// Returns the largest value inside the window and when it was reached.
    pub fn max(&self) -> (u64, Time) {
        (self.max, self.max_at)
    }

    pub(super) fn change(&mut self, by: i64, at: Moment) {
        debug_assert!(by >= 0 || self.value > 0, "nothing leaves an empty place");
        self.set(self.value.saturating_add_signed(by), at);
    }

    fn set(&mut self, value: u64, at: Moment) {
        // What it was until now counts too: the window may have begun meanwhile.
        let most = value.max(self.value);
        self.value = value;
        if most > self.max && at.is_measured {
            (self.max, self.max_at) = (most, at.now);
        }
    }

    /// Returns the level of a value that is zero now.
    pub(in crate::scheduler) fn restored((max, max_at): (u64, Time)) -> Self {
        Self { value: 0, max, max_at }
    }
}

/// The exact integral over time of a number that changes in steps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TimeAverage {
    level: Level,
    since: u64,
    integral_ns: u128,
}

impl TimeAverage {
    /// Returns the value and its maximum.
    pub fn level(&self) -> Level {
        self.level
    }

    /// Returns the integral over the measured time before a position, in value x ns.
    pub fn integral_ns(&self, position: u64) -> u128 {
        let span = position.saturating_sub(self.since);
        self.integral_ns + u128::from(self.level.value) * u128::from(span)
    }

    pub(super) fn set(&mut self, value: u64, at: Moment) {
        self.integral_ns = self.integral_ns(at.position);
        self.since = self.since.max(at.position);
        self.level.set(value, at);
    }

    pub(super) fn add(&mut self, at: Moment) {
        self.set(self.level.value + 1, at);
    }

    pub(super) fn remove(&mut self, at: Moment) {
        debug_assert!(self.level.value > 0, "nothing leaves an empty place");
        self.set(self.level.value.saturating_sub(1), at);
    }

    /// Returns the average of a value that is zero now, from what was integrated before.
    pub(in crate::scheduler) fn restored(integral_ns: u128, max: (u64, Time)) -> Self {
        Self { level: Level::restored(max), since: 0, integral_ns }
    }

    /// Goes on from an earlier position; what was counted beyond it is taken back by whoever knows
    /// how much that was.
    pub(super) fn rewind(&mut self, Rewind { from, to }: Rewind) {
        self.integral_ns = self.integral_ns(from);
        self.since = to;
    }

    pub(super) fn take_back(&mut self, span: u64) {
        self.integral_ns = self.integral_ns.saturating_sub(u128::from(span));
    }

    /// Adds what an earlier life integrated.
    pub(super) fn carry(&mut self, integral_ns: u128) {
        self.integral_ns += integral_ns;
    }

    /// Adds what the value would have contributed in a span that is over.
    pub(super) fn credit(&mut self, span: u64) {
        self.integral_ns += u128::from(span);
    }
}

/// Waits inside the window, ticket by ticket.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Waits {
    /// Those that are over.
    over_ns: u128,
    /// Tickets that wait, and the sum of the positions at which they began.
    waiting: u64,
    begun: u128,
}

impl Waits {
    /// Returns the sum of all waits up to a position, in nanoseconds.
    pub fn sum_ns(&self, position: u64) -> u128 {
        let waiting = u128::from(self.waiting) * u128::from(position);
        self.over_ns + waiting.saturating_sub(self.begun)
    }

    pub(super) fn begin(&mut self, position: u64) {
        self.waiting += 1;
        self.begun += u128::from(position);
    }

    /// Takes a ticket that waits for one that began earlier.
    pub(super) fn begin_earlier(&mut self, by: u64) {
        self.begun = self.begun.saturating_sub(u128::from(by));
    }

    /// Adds a wait that was over before this life.
    pub(super) fn credit(&mut self, waited: u64) {
        self.over_ns += u128::from(waited);
    }

    pub(super) fn end(&mut self, begun: u64, position: u64) {
        self.waiting = self.waiting.saturating_sub(1);
        self.begun = self.begun.saturating_sub(u128::from(begun));
        self.over_ns += u128::from(position.saturating_sub(begun));
    }

    pub(in crate::scheduler) fn restored(over_ns: u128) -> Self {
        Self { over_ns, ..Self::default() }
    }
}

/// Where one ticket has spent its measured time, as the averages count it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stay {
    /// When it came.
    arrived: Time,
    /// How long it took from there to its first start, pauses included; unset before.
    first_wait_ns: Option<u64>,
    /// The position at which its present wait or service began.
    since: u64,
    waited_ns: u64,
    served_ns: u64,
}

/// What a ticket is at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presence {
    /// It waits.
    Waiting,
    /// It is in service.
    InService,
    /// It has left its seat.
    Left,
}

impl Stay {
    /// Returns the stay of a ticket that came at a moment and waits since a position.
    pub(super) fn begun(arrived: Time, since: u64) -> Self {
        Self { arrived, since, ..Self::default() }
    }

    pub(super) fn since(&self) -> u64 {
        self.since
    }

    /// Returns what the ticket has contributed to the averages of waiting tickets and of tickets
    /// in service, in nanoseconds.
    pub fn contributed(&self, presence: Presence, position: u64) -> [u64; 2] {
        let present = position.saturating_sub(self.since);
        match presence {
            Presence::Waiting => [self.waited_ns + present, self.served_ns],
            Presence::InService => [self.waited_ns, self.served_ns + present],
            Presence::Left => [self.waited_ns, self.served_ns],
        }
    }

    /// Begins what it is at no later than where the window stands; returns what it has contributed
    /// beyond that.
    pub(super) fn rewind(&mut self, Rewind { from, to }: Rewind) -> u64 {
        let beyond = from.saturating_sub(self.since.max(to));
        self.since = self.since.min(to);
        beyond
    }

    pub(super) fn end_wait(&mut self, at: Moment) {
        self.first_wait_ns.get_or_insert(nanos(at.now.since(self.arrived)));
        self.waited_ns += at.position.saturating_sub(self.since);
        self.since = at.position;
    }

    /// Returns all measured waiting, and how long the first wait was by the clock.
    pub(super) fn waits(&self) -> (u64, u64) {
        (self.waited_ns, self.first_wait_ns.unwrap_or(0))
    }

    pub(super) fn end_service(&mut self, position: u64) -> u64 {
        let span = position.saturating_sub(self.since);
        self.served_ns += span;
        self.since = position;
        span
    }
}
