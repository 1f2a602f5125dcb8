//! What happened to tickets, counted and timed.
//!
//! Two kinds of figures: *totals* of the whole run, which steer and reassure, and the *measured
//! window*, from the end of warm-up to the end of arrivals without pauses, on which every
//! published statistic rests. A ticket is measured if it arrived in the window; it is followed
//! until it ends, however late. Averages over time are exact integrals, updated at every event.

use std::time::Duration;

use super::record::{Completed, Outcome};
use crate::clock::Time;
use crate::ids::ServiceId;
use crate::perf::Histogram;
use crate::timeline::Timeline;

/// The figures of one service.
#[derive(Clone, Debug, Default)]
pub struct ServiceStats {
    /// Since the office opened.
    pub totals: Counts,
    /// In the measured window.
    pub measured: Counts,
    /// Measured tickets that found no free seat when they arrived.
    pub delayed: u64,
    /// Completions inside the window, whenever the ticket arrived.
    pub window_completions: u64,
    /// Tickets waiting.
    pub waiting: TimeAverage,
    /// Tickets in service, which is seats busy.
    pub in_service: TimeAverage,
    /// Latencies of measured tickets that were served.
    pub latencies: Latencies,
}

/// Counts of requests and tickets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Requests that got a ticket.
    pub issued: u64,
    /// Requests that found the office full.
    pub rejected: u64,
    /// Tickets served.
    pub served: u64,
    /// Tickets given up.
    pub failed: u64,
}

impl Counts {
    /// Returns all requests.
    pub fn offered(&self) -> u64 {
        self.issued + self.rejected
    }
}

/// The latencies of served tickets.
#[derive(Clone, Debug, Default)]
pub struct Latencies {
    /// From arrival to the first start.
    pub wait: Histogram,
    /// From the last start to the end.
    pub service: Histogram,
    /// From arrival to the end.
    pub sojourn: Histogram,
    /// Service time beyond the demanded time.
    pub overhead: Histogram,
}

/// The exact integral over time of a number that changes in steps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TimeAverage {
    value: u64,
    since: Time,
    integral_ns: u128,
    max: u64,
}

impl TimeAverage {
    /// Returns the present value.
    pub fn value(&self) -> u64 {
        self.value
    }

    /// Returns the largest value inside the window.
    pub fn max(&self) -> u64 {
        self.max
    }

    /// Returns the integral over the measured part of the time up to `now`, in value x ns.
    pub fn integral_ns(&self, now: Time, line: &Timeline) -> u128 {
        let span = line.measured(self.since, now.max(self.since)).as_nanos();
        self.integral_ns + u128::from(self.value) * span
    }

    /// Changes the value at `now`.
    pub fn set(&mut self, value: u64, now: Time, line: &Timeline) {
        self.integral_ns = self.integral_ns(now, line);
        self.since = now.max(self.since);
        self.value = value;
        if value > self.max && line.is_measured(now) {
            self.max = value;
        }
    }

    fn add(&mut self, now: Time, line: &Timeline) {
        self.set(self.value + 1, now, line);
    }

    fn remove(&mut self, now: Time, line: &Timeline) {
        debug_assert!(self.value > 0, "nothing leaves an empty place");
        self.set(self.value.saturating_sub(1), now, line);
    }

    /// Returns the average of a value that is zero now, from what was integrated before.
    pub(super) fn restored(integral_ns: u128, max: u64) -> Self {
        Self { integral_ns, max, ..Self::default() }
    }

    /// Adds what the value would have contributed in a span that is over.
    pub fn credit(&mut self, span: Duration) {
        self.integral_ns += span.as_nanos();
    }
}

/// The figures of the whole office.
#[derive(Clone, Debug)]
pub struct Stats {
    line: Timeline,
    services: Vec<ServiceStats>,
    /// Seats of workers that are there.
    staffed: TimeAverage,
    /// Tickets that were open when the issuer started and were queued again.
    pub recovered: u64,
    /// Tickets that were handed out again because their worker died.
    pub redelivered: u64,
}

impl Stats {
    /// Returns empty figures for `services` services.
    pub fn new(services: usize) -> Self {
        Self {
            line: Timeline::default(),
            services: vec![ServiceStats::default(); services],
            staffed: TimeAverage::default(),
            recovered: 0,
            redelivered: 0,
        }
    }

    /// Returns the run's timeline.
    pub fn timeline(&self) -> &Timeline {
        &self.line
    }

    /// Takes note of a change of the run's timeline.
    pub fn set_timeline(&mut self, line: Timeline) {
        self.line = line;
    }

    /// Takes over the figures of a state that was kept.
    pub(super) fn restore(&mut self, services: Vec<ServiceStats>) {
        for (own, kept) in self.services.iter_mut().zip(services) {
            *own = kept;
        }
    }

    /// Returns the figures, one entry per service, by [`ServiceId`].
    pub fn services(&self) -> &[ServiceStats] {
        &self.services
    }

    /// Returns the seats of workers that are there.
    pub fn staffed(&self) -> &TimeAverage {
        &self.staffed
    }

    /// Takes over the figures that no log holds from the issuer's earlier life: the integral of
    /// staffed seats, tickets queued and handed out again, and, per service, rejected requests
    /// (total, measured).
    pub fn carry_over(
        &mut self,
        staffed_ns: u128,
        (recovered, redelivered): (u64, u64),
        rejected: &[(u64, u64)],
    ) {
        self.staffed.integral_ns += staffed_ns;
        self.recovered += recovered;
        self.redelivered += redelivered;
        for (service, &(total, measured)) in self.services.iter_mut().zip(rejected) {
            service.totals.rejected += total;
            service.measured.rejected += measured;
        }
    }

    /// Counts a ticket that arrived at `now` and waits.
    pub fn issued(&mut self, service: ServiceId, now: Time, is_delayed: bool) {
        let measured = self.line.is_measured(now);
        let stats = &mut self.services[usize::from(service.0)];
        stats.totals.issued += 1;
        if measured {
            stats.measured.issued += 1;
            stats.delayed += u64::from(is_delayed);
        }
        stats.waiting.add(now, &self.line);
    }

    /// Counts a request that found the office full.
    pub fn rejected(&mut self, service: ServiceId, now: Time) {
        let measured = self.line.is_measured(now);
        let stats = &mut self.services[usize::from(service.0)];
        stats.totals.rejected += 1;
        stats.measured.rejected += u64::from(measured);
    }

    /// Notes that a waiting ticket got a seat.
    pub fn started(&mut self, service: ServiceId, now: Time) {
        let stats = &mut self.services[usize::from(service.0)];
        stats.waiting.remove(now, &self.line);
        stats.in_service.add(now, &self.line);
    }

    /// Notes that a ticket lost its seat and waits again.
    pub fn requeued(&mut self, service: ServiceId, now: Time) {
        self.redelivered += 1;
        let stats = &mut self.services[usize::from(service.0)];
        stats.in_service.remove(now, &self.line);
        stats.waiting.add(now, &self.line);
    }

    /// Notes that a ticket left its seat for good.
    pub fn left(&mut self, service: ServiceId, now: Time) {
        self.services[usize::from(service.0)].in_service.remove(now, &self.line);
    }

    /// Counts the end of the life of a ticket of this run.
    pub fn completed(
        &mut self,
        service: ServiceId,
        arrived: Time,
        demand: Duration,
        end: &Completed,
    ) {
        let line = &self.line;
        let stats = &mut self.services[usize::from(service.0)];
        let is_measured = line.is_measured(arrived);
        stats.window_completions += u64::from(line.is_measured(end.ended));
        match end.outcome {
            Outcome::Served => {
                stats.totals.served += 1;
                stats.measured.served += u64::from(is_measured);
            }
            Outcome::Failed => {
                stats.totals.failed += 1;
                stats.measured.failed += u64::from(is_measured);
            }
        }
        if is_measured && end.outcome == Outcome::Served {
            let service_time = end.ended.since(end.last_started);
            stats.latencies.wait.record(end.started.since(arrived));
            stats.latencies.service.record(service_time);
            stats.latencies.sojourn.record(end.ended.since(arrived));
            stats.latencies.overhead.record(service_time.saturating_sub(demand));
        }
    }

    /// Counts a ticket that the log shows as issued in this run before the issuer's start.
    pub fn replay_issued(&mut self, service: ServiceId, arrived: Time, is_delayed: bool) {
        let measured = self.line.is_measured(arrived);
        let stats = &mut self.services[usize::from(service.0)];
        stats.totals.issued += 1;
        stats.measured.issued += u64::from(measured);
        stats.delayed += u64::from(measured && is_delayed);
    }

    /// Adds to the time integrals what a ticket that the log shows contributed to them: it
    /// waited from `arrived` to `started` and was in service from there to `ended`.
    pub fn replay_spans(&mut self, service: ServiceId, arrived: Time, started: Time, ended: Time) {
        let (waited, served) =
            (self.line.measured(arrived, started), self.line.measured(started, ended));
        let stats = &mut self.services[usize::from(service.0)];
        stats.waiting.credit(waited);
        stats.in_service.credit(served);
    }

    /// Puts a ticket into the queue that was open when the issuer started.
    pub fn recover(&mut self, service: ServiceId, now: Time) {
        self.recovered += 1;
        self.services[usize::from(service.0)].waiting.add(now, &self.line);
    }

    /// Notes how many seats there are now.
    pub fn set_staffed(&mut self, seats: u64, now: Time) {
        self.staffed.set(seats, now, &self.line);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::{TicketId, WorkerId};

    const COUNTER: ServiceId = ServiceId(0);

    fn ms(ms: u64) -> Time {
        Time(ms * 1_000_000)
    }

    /// Opened at 1000 ms, warm-up to 2000 ms, arrivals until 4000 ms.
    fn stats() -> Stats {
        let mut stats = Stats::new(1);
        stats.set_timeline(Timeline {
            opened_at: ms(1000),
            warmup: Duration::from_secs(1),
            arrivals: Some(Duration::from_secs(3)),
            pauses: Vec::new(),
        });
        stats
    }

    fn served(started: u64, ended: u64) -> Completed {
        Completed {
            id: TicketId(1),
            outcome: Outcome::Served,
            worker: WorkerId(0),
            attempts: 1,
            durable: ms(started),
            started: ms(started),
            last_started: ms(started),
            ended: ms(ended),
        }
    }

    /// One ticket's life, in milliseconds.
    fn live(stats: &mut Stats, arrived: u64, started: u64, ended: u64, demand: u64) {
        stats.issued(COUNTER, ms(arrived), true);
        stats.started(COUNTER, ms(started));
        stats.left(COUNTER, ms(ended));
        let demand = Duration::from_millis(demand);
        stats.completed(COUNTER, ms(arrived), demand, &served(started, ended));
    }

    #[test]
    fn a_ticket_is_measured_if_it_arrived_in_the_window() {
        let mut stats = stats();
        live(&mut stats, 1900, 1950, 2100, 100);
        live(&mut stats, 2200, 2300, 2500, 150);
        live(&mut stats, 3900, 3950, 4700, 700);
        live(&mut stats, 4000, 4000, 4800, 700);
        let counter = &stats.services()[0];
        assert_eq!((counter.totals.issued, counter.totals.served), (4, 4));
        assert_eq!((counter.measured.issued, counter.measured.served), (2, 2));
        assert_eq!(counter.window_completions, 2);
        let wait = counter.latencies.wait.spread().unwrap();
        assert_eq!((wait.mean, counter.delayed), (Duration::from_millis(75), 2));
        let overhead = counter.latencies.overhead.spread().unwrap();
        assert_eq!(overhead.mean, Duration::from_millis(50));
    }

    #[test]
    fn integrals_count_only_the_window_and_no_pause() {
        let mut stats = stats();
        stats.set_staffed(2, ms(500));
        live(&mut stats, 1500, 2500, 4500, 0);
        let mut line = stats.timeline().clone();
        line.pauses = vec![(ms(3000), ms(3400))];
        line.arrivals = Some(Duration::from_millis(2600));
        let counter = &stats.services()[0];
        let ns = |ms: u128| ms * 1_000_000;
        assert_eq!(counter.waiting.integral_ns(ms(5000), stats.timeline()), ns(500));
        assert_eq!(counter.in_service.integral_ns(ms(5000), stats.timeline()), ns(1500));
        assert_eq!(stats.staffed().integral_ns(ms(5000), stats.timeline()), ns(4000));
        assert_eq!(stats.staffed().integral_ns(ms(5000), &line), ns(3200));
    }

    #[test]
    fn replaying_the_log_gives_the_same_figures_as_living() {
        let (mut lived, mut replayed) = (stats(), stats());
        for (arrived, started, ended) in
            [(1900, 1950, 2100), (2200, 2300, 2500), (3900, 4100, 4700)]
        {
            live(&mut lived, arrived, started, ended, 100);
            replayed.replay_issued(COUNTER, ms(arrived), true);
            replayed.replay_spans(COUNTER, ms(arrived), ms(started), ms(ended));
            let demand = Duration::from_millis(100);
            replayed.completed(COUNTER, ms(arrived), demand, &served(started, ended));
        }
        let (a, b) = (&lived.services()[0], &replayed.services()[0]);
        assert_eq!((a.totals, a.measured, a.delayed), (b.totals, b.measured, b.delayed));
        assert_eq!(a.window_completions, b.window_completions);
        assert_eq!(a.latencies.sojourn, b.latencies.sojourn);
        for (a, b) in [(a.waiting, b.waiting), (a.in_service, b.in_service)] {
            let line = lived.timeline();
            assert_eq!(a.integral_ns(ms(5000), line), b.integral_ns(ms(5000), line));
        }
    }
}
