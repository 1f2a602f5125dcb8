//! What happened to tickets, counted and timed.
//!
//! Two kinds of figures: *totals* of the whole run, which steer and reassure, and the *measured
//! window*, from the end of warm-up to the end of arrivals without pauses, on which every
//! published statistic rests. A ticket is measured if it arrived in the window; it is followed
//! until it ends, however late. Averages over time are exact integrals, updated at every event.
//!
//! Time in the window is a *position*: how much measured time lies before a moment. A span counts
//! as much as its ends' positions differ, so pauses, warm-up and the end of arrivals need no
//! further thought.

use super::record::{Completed, Outcome};
use crate::clock::{Time, nanos};
use crate::ids::{ServiceId, UserId, WorkerId};
use crate::perf::{BatchMeans, Histogram};
use crate::timeline::{Timeline, Window};

pub mod fairness;
mod presence;

use fairness::{Jain, UserWaits};
use presence::Moment;
pub use presence::{Level, Presence, Rewind, Stay, TimeAverage, Waits};

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
    /// Tickets waiting or in service.
    pub in_system: Level,
    /// Measured waiting, added up ticket by ticket when each leaves the queue.
    pub waits_in_window: Waits,
    /// The part of it that tickets had that have ended.
    pub ended_waits_ns: u128,
    /// What that part differs from `accepted_waits` by: waits that began before the window, lasted
    /// beyond it or through a pause, and second waits.
    pub boundary_ns: i128,
    /// Measured service time that was lost with workers that died, in nanoseconds.
    pub lost_ns: u64,
    /// Waits of measured tickets that have ended, served or not, until their first start.
    pub accepted_waits: Sum,
    /// Latencies of served tickets.
    pub latencies: Timed,
    /// How sure the mean wait of measured tickets is.
    pub wait_means: BatchMeans,
    /// How sure their mean sojourn time is.
    pub sojourn_means: BatchMeans,
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

impl ServiceStats {
    /// Returns what the integral of `waiting` must be if the waits that are published are right,
    /// in nanoseconds: those of tickets that have ended, what they differ by at the window's borders,
    /// and those that are under way.
    pub fn waits_ns(&self, position: u64) -> u128 {
        let under_way = self.waits_in_window.sum_ns(position).saturating_sub(self.ended_waits_ns);
        let sum = self.accepted_waits.ns.saturating_add_signed(self.boundary_ns);
        sum.saturating_add(under_way)
    }
}

impl Counts {
    /// Returns all requests.
    pub fn offered(&self) -> u64 {
        self.issued + self.rejected
    }
}

/// A sum and how many values are in it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sum {
    /// The sum, in nanoseconds.
    pub ns: u128,
    /// The values.
    pub count: u64,
}

/// The latencies of served tickets.
#[derive(Clone, Debug, Default, PartialEq)]
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

impl Latencies {
    fn all_mut(&mut self) -> [&mut Histogram; 4] {
        [&mut self.wait, &mut self.service, &mut self.sojourn, &mut self.overhead]
    }

    /// Adds all that `other` counted.
    pub fn merge(&mut self, other: &Self) {
        let others = [&other.wait, &other.service, &other.sojourn, &other.overhead];
        for (own, other) in self.all_mut().into_iter().zip(others) {
            own.merge(other);
        }
    }

    fn clear(&mut self) {
        for histogram in self.all_mut() {
            histogram.clear();
        }
    }
}

/// Latencies, of which the newest have not been told yet.
#[derive(Clone, Debug, Default)]
pub struct Timed {
    /// Measured tickets whose end was told.
    told: Latencies,
    /// Measured tickets that ended since.
    fresh: Latencies,
    /// Tickets that ended since and are not measured: those of the warm-up.
    outside: Latencies,
}

impl Timed {
    /// Returns the latencies of all measured tickets.
    pub fn whole(&self) -> Latencies {
        let mut whole = self.told.clone();
        whole.merge(&self.fresh);
        whole
    }

    /// Takes what the log said for told: only what follows is new.
    fn settle(&mut self) {
        self.told.merge(&self.fresh);
        self.fresh.clear();
        self.outside.clear();
    }

    /// Returns the latencies of measured tickets whose end was told.
    pub fn told(&self) -> &Latencies {
        &self.told
    }

    /// Gives away what has not been told yet: of measured tickets, and of others.
    pub fn tell(&mut self, mut tell: impl FnMut(bool, &Latencies)) {
        for (is_measured, latencies) in [(true, &self.fresh), (false, &self.outside)] {
            if latencies.sojourn.count() > 0 {
                tell(is_measured, latencies);
            }
        }
        self.settle();
    }

    pub(super) fn restored(told: Latencies) -> Self {
        Self { told, ..Self::default() }
    }
}

/// The figures of all services together that are no sum of theirs.
#[derive(Clone, Debug, Default)]
pub struct OfficeStats {
    /// Tickets waiting.
    pub waiting: Level,
    /// Tickets waiting or in service.
    pub in_system: Level,
    /// How sure the mean wait of measured tickets is.
    pub wait_means: BatchMeans,
    /// How sure their mean sojourn time is.
    pub sojourn_means: BatchMeans,
    /// Measured time for which each worker's seats were busy, in nanoseconds, by [`WorkerId`];
    /// `None` was never there.
    pub busy_ns: Vec<Option<u64>>,
    /// The mean wait of each user's measured tickets.
    pub user_waits: UserWaits,
}

impl OfficeStats {
    fn busy(&mut self, worker: WorkerId, span: u64) {
        let index = usize::from(worker.0);
        if self.busy_ns.len() <= index {
            self.busy_ns.resize(index + 1, None);
        }
        *self.busy_ns[index].get_or_insert(0) += span;
    }

    /// Returns Jain's index over the workers' busy time.
    #[expect(clippy::cast_precision_loss, reason = "an index for people")]
    pub fn workers_fairness(&self) -> Option<f64> {
        let mut jain = Jain::default();
        for &busy in self.busy_ns.iter().flatten() {
            jain.replace(None, busy as f64);
        }
        jain.index()
    }
}

/// The figures of the whole office.
#[derive(Clone, Debug)]
pub struct Stats {
    line: Timeline,
    window: Window,
    services: Vec<ServiceStats>,
    office: OfficeStats,
    /// Seats of workers that are there.
    staffed: TimeAverage,
    /// Tickets that were open when the issuer started and were queued again.
    pub recovered: u64,
    /// Tickets that were handed out again because their worker died.
    pub redelivered: u64,
}

/// What an earlier life of the issuer counted and no log holds.
#[derive(Clone, Copy, Debug, Default)]
pub struct CarriedOver<'a> {
    /// The integral of staffed seats, in nanoseconds.
    pub staffed_ns: u128,
    /// Tickets that were queued again at starts.
    pub recovered: u64,
    /// Tickets that were handed out again.
    pub redelivered: u64,
    /// Service time of each service that was lost, in nanoseconds.
    pub lost_ns: &'a [u64],
    /// Rejected requests of each service: all, and measured ones.
    pub rejected: &'a [(u64, u64)],
}

impl Stats {
    /// Returns empty figures for `services` services.
    pub fn new(services: usize) -> Self {
        Self {
            line: Timeline::default(),
            window: Window::default(),
            services: vec![ServiceStats::default(); services],
            office: OfficeStats::default(),
            staffed: TimeAverage::default(),
            recovered: 0,
            redelivered: 0,
        }
    }

    /// Returns the run's timeline.
    pub fn timeline(&self) -> &Timeline {
        &self.line
    }

    /// Returns when arrivals and the measured window end; [`Time::NEVER`] while it is not known.
    pub fn window_until(&self) -> Time {
        self.window.until()
    }

    /// Takes note of a change of the run's timeline. If it was heard of late, the window stood still
    /// already when more was counted: then every ticket that is still there must be given to
    /// [`Self::take_back`].
    pub fn set_timeline(&mut self, line: Timeline, now: Time) -> Option<Rewind> {
        let from = self.window.position(now);
        self.window = line.window();
        self.line = line;
        let to = self.window.position(now);
        if from <= to {
            return None;
        }
        let rewind = Rewind { from, to };
        for service in &mut self.services {
            service.waiting.rewind(rewind);
            service.in_service.rewind(rewind);
        }
        let seats = self.staffed.level().value();
        self.staffed.rewind(rewind);
        self.staffed.take_back(seats.saturating_mul(from - to));
        Some(rewind)
    }

    /// Takes back what a ticket has contributed since the window stands still.
    pub fn take_back(
        &mut self,
        rewind: Rewind,
        service: ServiceId,
        presence: Presence,
        stay: &mut Stay,
    ) {
        let begun = stay.since();
        let stats = self.service(service);
        let beyond = stay.rewind(rewind);
        match presence {
            Presence::Waiting => {
                stats.waiting.take_back(beyond);
                stats.waits_in_window.begin_earlier(begun - stay.since());
            }
            Presence::InService => stats.in_service.take_back(beyond),
            Presence::Left => {}
        }
    }

    /// Takes over the figures of a state that was kept.
    pub(super) fn restore(&mut self, services: Vec<ServiceStats>, office: OfficeStats) {
        for (own, kept) in self.services.iter_mut().zip(services) {
            *own = kept;
        }
        self.office = office;
    }

    /// Returns how much measured time lies before a moment, in nanoseconds.
    pub fn position(&self, now: Time) -> u64 {
        self.window.position(now)
    }

    /// Returns the figures, one entry per service, by [`ServiceId`].
    pub fn services(&self) -> &[ServiceStats] {
        &self.services
    }

    /// Takes what the log said for told: an issuer that starts tells it as a whole.
    pub(super) fn settle(&mut self) {
        self.latencies_mut().for_each(Timed::settle);
    }

    /// Returns the latencies of each service, to tell them.
    pub fn latencies_mut(&mut self) -> impl Iterator<Item = &mut Timed> {
        self.services.iter_mut().map(|service| &mut service.latencies)
    }

    /// Returns the figures of all services together.
    pub fn office(&self) -> &OfficeStats {
        &self.office
    }

    /// Returns the seats of workers that are there.
    pub fn staffed(&self) -> &TimeAverage {
        &self.staffed
    }

    /// Takes over what the issuer's earlier life counted and no log holds.
    pub fn carry_over(&mut self, carried: &CarriedOver<'_>) {
        self.staffed.carry(carried.staffed_ns);
        self.recovered += carried.recovered;
        self.redelivered += carried.redelivered;
        for (service, lost_ns) in self.services.iter_mut().zip(carried.lost_ns) {
            service.lost_ns += lost_ns;
        }
        for (service, &(total, measured)) in self.services.iter_mut().zip(carried.rejected) {
            service.totals.rejected += total;
            service.measured.rejected += measured;
        }
    }

    fn moment(&self, now: Time) -> Moment {
        let (position, is_measured) = (self.window.position(now), self.window.contains(now));
        Moment { now, position, is_measured }
    }

    fn service(&mut self, service: ServiceId) -> &mut ServiceStats {
        &mut self.services[usize::from(service.0)]
    }

    /// A ticket joins the queue; its wait counts from position `begun`.
    fn join(&mut self, service: ServiceId, begun: u64, at: Moment) {
        let stats = self.service(service);
        stats.waiting.add(at);
        stats.waits_in_window.begin(begun);
        self.office.waiting.change(1, at);
    }

    fn change_in_system(&mut self, service: ServiceId, by: i64, at: Moment) {
        self.office.in_system.change(by, at);
        self.service(service).in_system.change(by, at);
    }

    /// Counts a ticket that arrived at `now` and waits.
    pub fn issued(&mut self, service: ServiceId, now: Time, is_delayed: bool) -> Stay {
        let at = self.moment(now);
        let stats = self.service(service);
        stats.totals.issued += 1;
        if at.is_measured {
            stats.measured.issued += 1;
            stats.delayed += u64::from(is_delayed);
        }
        self.join(service, at.position, at);
        self.change_in_system(service, 1, at);
        Stay::begun(now, at.position)
    }

    /// Counts a request that found the office full.
    pub fn rejected(&mut self, service: ServiceId, now: Time) {
        let is_measured = self.window.contains(now);
        let stats = self.service(service);
        stats.totals.rejected += 1;
        stats.measured.rejected += u64::from(is_measured);
    }

    /// Notes that a waiting ticket got a seat.
    pub fn started(&mut self, service: ServiceId, stay: &mut Stay, now: Time) {
        let at = self.moment(now);
        let stats = self.service(service);
        stats.waiting.remove(at);
        stats.in_service.add(at);
        stats.waits_in_window.end(stay.since(), at.position);
        stay.end_wait(at);
        self.office.waiting.change(-1, at);
    }

    /// Notes that a ticket lost its seat with a worker and waits again.
    pub fn requeued(&mut self, service: ServiceId, stay: &mut Stay, worker: WorkerId, now: Time) {
        let at = self.moment(now);
        let span = stay.end_service(at.position);
        self.redelivered += 1;
        self.office.busy(worker, span);
        let stats = self.service(service);
        stats.lost_ns += span;
        stats.in_service.remove(at);
        self.join(service, at.position, at);
    }

    /// Notes that a ticket left its seat for good.
    pub fn left(&mut self, service: ServiceId, stay: &mut Stay, worker: WorkerId, now: Time) {
        let at = self.moment(now);
        let span = stay.end_service(at.position);
        self.office.busy(worker, span);
        self.service(service).in_service.remove(at);
        self.change_in_system(service, -1, at);
    }

    /// Notes that a ticket left its seat for good with a worker that died: its work is lost.
    pub fn lost(&mut self, service: ServiceId, stay: &mut Stay, worker: WorkerId, now: Time) {
        let span = stay.end_service(self.window.position(now));
        self.left(service, stay, worker, now);
        self.office.busy(worker, span);
        self.service(service).lost_ns += span;
    }

    /// Takes leave of a ticket whose end is in the log. One of an earlier run is in no published
    /// figure, but its waiting is in the queue's length.
    pub fn departed(&mut self, service: ServiceId, stay: &Stay, arrived: Time, is_foreign: bool) {
        let (waited, first_wait) = stay.waits();
        self.depart(service, waited, (!is_foreign).then_some((arrived, first_wait)));
    }

    fn depart(&mut self, service: ServiceId, waited: u64, published: Option<(Time, u64)>) {
        let published = published.filter(|&(arrived, _)| self.window.contains(arrived));
        let first_wait = published.map_or(0, |(_, first_wait)| first_wait);
        let stats = self.service(service);
        stats.ended_waits_ns += u128::from(waited);
        stats.boundary_ns += i128::from(waited) - i128::from(first_wait);
    }

    /// Counts the end of the life of a ticket of this run.
    pub fn completed(&mut self, ticket: &Ended, end: &Completed) {
        let is_measured = self.window.contains(ticket.arrived);
        let ended_inside = self.window.contains(end.ended);
        let stats = &mut self.services[usize::from(ticket.service.0)];
        stats.window_completions += u64::from(ended_inside);
        let wait = end.started.since(ticket.arrived);
        if is_measured {
            stats.accepted_waits.ns += wait.as_nanos();
            stats.accepted_waits.count += 1;
        }
        match end.outcome {
            Outcome::Served => {
                stats.totals.served += 1;
                stats.measured.served += u64::from(is_measured);
            }
            Outcome::Failed => {
                stats.totals.failed += 1;
                stats.measured.failed += u64::from(is_measured);
                return;
            }
        }
        let Timed { fresh, outside, .. } = &mut stats.latencies;
        let latencies = if is_measured { fresh } else { outside };
        let service_time = end.ended.since(end.last_started);
        let sojourn = end.ended.since(ticket.arrived);
        let overhead = nanos(service_time).saturating_sub(ticket.demand_ns);
        latencies.wait.record(wait);
        latencies.service.record(service_time);
        latencies.sojourn.record(sojourn);
        latencies.overhead.record_value(overhead);
        if is_measured {
            let (wait, sojourn) = (nanos(wait), nanos(sojourn));
            stats.wait_means.record(wait);
            stats.sojourn_means.record(sojourn);
            self.office.wait_means.record(wait);
            self.office.sojourn_means.record(sojourn);
            self.office.user_waits.record(ticket.user, wait);
        }
    }

    /// Counts a ticket that the log shows as issued in this run before the issuer's start.
    pub fn replay_issued(&mut self, service: ServiceId, arrived: Time, is_delayed: bool) {
        let is_measured = self.window.contains(arrived);
        let stats = self.service(service);
        stats.totals.issued += 1;
        stats.measured.issued += u64::from(is_measured);
        stats.delayed += u64::from(is_measured && is_delayed);
    }

    /// Adds to the time integrals what a ticket that the log shows as ended contributed to them.
    /// It was there since `arrived`, a ticket of an earlier run since before the window.
    ///
    /// What happened between the first start and the last is not in the log and counts as
    /// service.
    pub fn replay_stay(
        &mut self,
        service: ServiceId,
        arrived: Time,
        is_foreign: bool,
        end: &Completed,
    ) {
        let position = |moment| self.window.position(moment);
        let began = if is_foreign { 0 } else { position(arrived) };
        let (started, ended) = (position(end.started), position(end.ended));
        let busy = ended.saturating_sub(position(end.last_started));
        let waited = started.saturating_sub(began);
        let stats = self.service(service);
        stats.waiting.credit(waited);
        stats.waits_in_window.credit(waited);
        stats.in_service.credit(ended.saturating_sub(started));
        self.office.busy(end.worker, busy);
        let first_wait = nanos(end.started.since(arrived));
        self.depart(service, waited, (!is_foreign).then_some((arrived, first_wait)));
    }

    /// Puts a ticket into the queue that was open when the issuer started. It has waited since
    /// `arrived`, for what anybody knows now; one of an earlier run since before the window.
    pub fn recover(
        &mut self,
        service: ServiceId,
        arrived: Time,
        is_foreign: bool,
        now: Time,
    ) -> Stay {
        let at = self.moment(now);
        // The times of an earlier run may be those of another boot.
        let begun = if is_foreign { 0 } else { self.window.position(arrived).min(at.position) };
        self.recovered += 1;
        self.service(service).waiting.credit(at.position - begun);
        self.join(service, begun, at);
        self.change_in_system(service, 1, at);
        Stay::begun(arrived, begun)
    }

    /// Notes that a worker is there, busy or not.
    pub fn worker_up(&mut self, worker: WorkerId) {
        self.office.busy(worker, 0);
    }

    /// Notes how many seats there are now.
    pub fn set_staffed(&mut self, seats: u64, now: Time) {
        let at = self.moment(now);
        self.staffed.set(seats, at);
    }
}

/// What the figures need to know of a ticket that has ended, beside how it ended.
#[derive(Clone, Copy, Debug)]
pub struct Ended {
    /// The kind of work.
    pub service: ServiceId,
    /// Who asked for it.
    pub user: UserId,
    /// When it was accepted.
    pub arrived: Time,
    /// The work that it brought, in nanoseconds.
    pub demand_ns: u64,
}

#[cfg(test)]
mod tests;
