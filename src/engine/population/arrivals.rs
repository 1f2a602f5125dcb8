//! When the tickets of an open load are due.
//!
//! The schedule is one stream per load: interarrival `j` is draw `j`, and arrival `j` is due when
//! the first `j + 1` interarrivals are over. Arrival `j` belongs to user `j` modulo users, so
//! every process can run the whole schedule and keep what belongs to its own users.

use super::sample::{exponential, to_ns};
use crate::config::scenario;
use crate::rng::Stream;

/// One arrival.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arrival {
    /// When it is due, in nanoseconds of demand time.
    pub offset_ns: u64,
    /// Which user of the load asks.
    pub user_index: u32,
    /// Which of that user's requests it is.
    pub seq: u64,
}

/// The arrivals of one load, without end.
#[derive(Clone, Debug)]
pub struct Schedule {
    rate: scenario::Arrival,
    users: u64,
    stream: Stream,
    next: u64,
    /// In seconds: a sum of rounded nanoseconds would drift from the rate.
    offset: f64,
}

impl Schedule {
    /// Returns the arrivals of a load with `users` users, at least one.
    pub(super) fn new(rate: scenario::Arrival, users: u32, stream: Stream) -> Self {
        Self { rate, users: u64::from(users.max(1)), stream, next: 0, offset: 0.0 }
    }

    /// Returns the next arrival.
    pub fn next_arrival(&mut self) -> Arrival {
        let number = self.next;
        self.next += 1;
        self.offset += match self.rate {
            scenario::Arrival::Det { per_second } => 1.0 / per_second,
            scenario::Arrival::Poisson { per_second } => {
                exponential(1.0 / per_second, self.stream.draw(number)[0])
            }
        };
        let user_index = u32::try_from(number % self.users).expect("below the number of users");
        Arrival { offset_ns: to_ns(self.offset), user_index, seq: number / self.users }
    }
}

/// The arrivals of one load, of which the next is known.
#[derive(Clone, Debug)]
pub struct Pending {
    schedule: Schedule,
    next: Arrival,
}

impl Pending {
    /// Returns the arrivals of a schedule.
    pub fn new(mut schedule: Schedule) -> Self {
        let next = schedule.next_arrival();
        Self { schedule, next }
    }

    /// Returns the next arrival.
    pub fn next(&self) -> Arrival {
        self.next
    }

    /// Takes the next arrival.
    pub fn pop(&mut self) -> Arrival {
        std::mem::replace(&mut self.next, self.schedule.next_arrival())
    }

    /// Returns when the first arrival is due whose user is here, in nanoseconds of demand time, so
    /// that nobody wakes for those of others; `None` if no user of the load is here.
    pub fn first_due(&self, is_here: impl Fn(u32) -> bool) -> Option<u64> {
        let mut ahead = self.clone();
        // Each user has one in so many arrivals.
        let due = (0..self.schedule.users).map(|_| ahead.pop());
        due.into_iter().find(|arrival| is_here(arrival.user_index)).map(|found| found.offset_ns)
    }
}

#[cfg(test)]
mod tests {
    use super::super::workload::Workload;
    use super::super::workload::tests::scenario;
    use super::*;
    use crate::ids::LoadId;

    fn schedule(rate: scenario::Arrival, users: u32) -> Schedule {
        Schedule::new(rate, users, Stream::new(3, "load/rush/arrival"))
    }

    #[test]
    fn the_first_arrival_of_those_who_are_here_is_found_without_passing_over_others() {
        let schedule = schedule(scenario::Arrival::Det { per_second: 100.0 }, 5);
        let mut pending = Pending::new(schedule);
        let ms = |ms: u64| Some(ms * 1_000_000);
        assert_eq!(pending.first_due(|user| user == 3), ms(40));
        assert_eq!(pending.first_due(|user| user >= 3), ms(40));
        assert_eq!(pending.first_due(|_| false), None);
        assert_eq!((pending.pop().user_index, pending.next().user_index), (0, 1));
        assert_eq!(pending.first_due(|user| user == 0), ms(60));
    }

    #[test]
    fn arrivals_go_round_the_users_and_count_for_each() {
        let mut schedule = schedule(scenario::Arrival::Det { per_second: 100.0 }, 2);
        let first: Vec<Arrival> = (0..4).map(|_| schedule.next_arrival()).collect();
        let at = |offset_ms: u64, user_index, seq| Arrival {
            offset_ns: offset_ms * 1_000_000,
            user_index,
            seq,
        };
        assert_eq!(first, [at(10, 0, 0), at(20, 1, 0), at(30, 0, 1), at(40, 1, 1)]);
    }

    #[test]
    fn a_poisson_schedule_keeps_its_rate_and_its_order() {
        let mut schedule = schedule(scenario::Arrival::Poisson { per_second: 1000.0 }, 1);
        let mut last = 0;
        for _ in 0..100_000 {
            let arrival = schedule.next_arrival();
            assert!(arrival.offset_ns >= last);
            last = arrival.offset_ns;
        }
        assert!((99_000_000_000..101_000_000_000).contains(&last), "100 s, found {last} ns");
    }

    #[test]
    fn only_open_loads_have_a_schedule() {
        let workload = Workload::new(&scenario(), 5);
        assert!(workload.schedule(LoadId(0)).is_none());
        assert!(workload.schedule(LoadId(1)).is_some());
    }
}
