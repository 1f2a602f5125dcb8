//! The figures of one run, from the log that its issuer wrote: the issuer's own arithmetic
//! ([`scheduler::stats`](crate::scheduler::stats)), fed with records instead of requests.
//!
//! Records are taken in the order of the log, which is the order of time. What a ticket did between
//! its issue and its end stands in the record of its end; so whoever asks for the figures of a
//! moment says when open tickets were begun, as far as a look ahead shows it. What no record says
//! is left empty: rejected requests, seats, work that was lost with workers, and per service the
//! most that waited.

use std::collections::BTreeMap;

use super::issuer;
use crate::clock::Time;
use crate::ids::{Epoch, RunId, ServiceId, TicketId, UserId};
use crate::net::message::{IssuerTotals, Peak};
use crate::scheduler::record::{Completed, Outcome, Record, Start};
use crate::scheduler::stats::{Ended, Latencies, Stats};
use crate::timeline::Timeline;

/// A run, up to the last record that was taken.
#[derive(Clone, Debug)]
pub struct Replay {
    services: usize,
    run: Option<RunId>,
    /// The first ticket of the run; all below belong to earlier ones.
    first: Option<TicketId>,
    next_id: TicketId,
    open: BTreeMap<TicketId, Open>,
    stats: Stats,
    /// The last start of the issuer, and how many there were in the run. Every segment repeats which
    /// start holds in it, so only another epoch is another start.
    epoch: Option<Epoch>,
    starts: u32,
    waiting_max: Peak,
    in_system_max: Peak,
    /// Tickets in the system and the most that there were, by service.
    in_system: Vec<(u64, Peak)>,
    /// Tickets served by each worker.
    served_by: BTreeMap<u16, u64>,
}

/// A ticket that has not ended.
#[derive(Clone, Copy, Debug)]
struct Open {
    service: ServiceId,
    user: UserId,
    demand_ns: u64,
    arrived: Time,
    is_foreign: bool,
}

impl Replay {
    /// Returns a reader that knows no run yet.
    pub fn new() -> Self {
        Self {
            services: 1,
            run: None,
            first: None,
            next_id: TicketId(1),
            open: BTreeMap::new(),
            stats: Stats::new(1),
            epoch: None,
            starts: 0,
            waiting_max: Peak::default(),
            in_system_max: Peak::default(),
            in_system: vec![Default::default()],
            served_by: BTreeMap::new(),
        }
    }

    /// Begins a run: what is open stays, what was counted is forgotten.
    pub fn begin(&mut self, run: RunId, services: usize, line: Timeline) {
        let mut stats = Stats::new(services);
        // Nothing was counted yet that a late word of a pause could concern.
        stats.set_timeline(line, Time::ZERO);
        (self.services, self.stats) = (services, stats);
        (self.run, self.first) = (Some(run), Some(self.next_id));
        (self.epoch, self.starts) = (None, 0);
        (self.waiting_max, self.in_system_max) = Default::default();
        self.in_system = vec![Default::default(); services];
        self.served_by.clear();
        for open in self.open.values_mut() {
            open.is_foreign = true;
            let service = known(open.service, services);
            self.in_system[usize::from(service.0)].0 += 1;
        }
    }

    /// Takes note of a change of the run's timeline.
    pub fn set_timeline(&mut self, line: Timeline) {
        // Spans are counted when they are over, so none lies in a pause that was not heard of.
        self.stats.set_timeline(line, Time::ZERO);
    }

    /// Returns the run's timeline.
    pub fn timeline(&self) -> &Timeline {
        self.stats.timeline()
    }

    /// Returns the run, once it has begun.
    pub fn run(&self) -> Option<RunId> {
        self.run
    }

    /// Returns how often the issuer was started in the run.
    pub fn starts(&self) -> u32 {
        self.starts
    }

    /// Returns how many tickets each worker has served, by its number.
    pub fn served_by(&self) -> &BTreeMap<u16, u64> {
        &self.served_by
    }

    /// Returns how much measured time lies between two moments, in nanoseconds.
    pub fn measured_ns(&self, from: Time, to: Time) -> u64 {
        self.stats.position(to).saturating_sub(self.stats.position(from))
    }

    /// Returns how many tickets are open.
    pub fn open(&self) -> usize {
        self.open.len()
    }

    /// Takes the next record of the log.
    pub fn take(&mut self, record: &Record<'_>) {
        match record {
            Record::Start(start) => self.take_start(start),
            Record::Lease(until) => self.next_id = self.next_id.max(*until),
            Record::Issued(issued) => {
                self.next_id = self.next_id.max(TicketId(issued.id.0 + 1));
                let service = known(issued.service, self.services);
                let is_foreign = self.first.is_none_or(|first| issued.id < first);
                let (user, demand_ns) = (issued.token.user, issued.demand_ns);
                let arrived = issued.arrived;
                let open = Open { service: issued.service, user, demand_ns, arrived, is_foreign };
                self.open.insert(issued.id, open);
                let (number, most) = &mut self.in_system[usize::from(service.0)];
                *number += 1;
                if is_foreign {
                    return;
                }
                self.stats.replay_issued(service, arrived, issued.is_delayed);
                if self.stats.timeline().is_measured(arrived) {
                    raise(most, *number, arrived);
                    raise(&mut self.in_system_max, self.open.len() as u64, arrived);
                    raise(&mut self.waiting_max, u64::from(issued.waiting_seen) + 1, arrived);
                }
            }
            Record::Completed(end) => self.take_end(end),
        }
    }

    fn take_start(&mut self, start: &Start) {
        if Some(start.run) == self.run && self.epoch.replace(start.epoch) != Some(start.epoch) {
            self.starts += 1;
            self.stats.recovered += self.open.len() as u64;
        }
    }

    fn take_end(&mut self, end: &Completed) {
        let Some(open) = self.open.remove(&end.id) else { return };
        let Open { service, user, demand_ns, arrived, is_foreign } = open;
        let service = known(service, self.services);
        let (number, _) = &mut self.in_system[usize::from(service.0)];
        *number = number.saturating_sub(1);
        if self.first.is_none() {
            return;
        }
        self.stats.replay_stay(service, arrived, is_foreign, end);
        self.stats.redelivered += u64::from(end.attempts.saturating_sub(1));
        if end.outcome == Outcome::Served {
            *self.served_by.entry(end.worker.0).or_default() += 1;
        }
        if !is_foreign {
            self.stats.completed(&Ended { service, user, arrived, demand_ns }, end);
        }
    }

    /// Returns the figures at a moment that is not before the last record. `begun` tells when an
    /// open ticket got its seat; one of which that is not known waits.
    pub fn totals(&self, now: Time, begun: impl Fn(TicketId) -> Option<Time>) -> IssuerTotals {
        let mut totals = issuer::of_stats(&self.stats, now);
        let position = |moment: Time| self.stats.position(moment.min(now));
        for (&id, open) in &self.open {
            let service = known(open.service, self.services);
            let service = &mut totals.services[usize::from(service.0)];
            let arrived = if open.is_foreign { 0 } else { position(open.arrived) };
            let begun = begun(id).filter(|&begun| begun <= now);
            let waited = position(begun.unwrap_or(now)).saturating_sub(arrived);
            service.waiting_ns += u128::from(waited);
            service.waits_ns += u128::from(waited);
            match begun {
                Some(begun) => {
                    service.in_service += 1;
                    let span = position(now).saturating_sub(position(begun));
                    service.in_service_ns += u128::from(span);
                }
                None => service.waiting += 1,
            }
        }
        for (service, &(_, most)) in totals.services.iter_mut().zip(&self.in_system) {
            service.in_system_max = most;
        }
        if let [only] = &mut totals.services[..] {
            only.waiting_max = self.waiting_max;
        }
        totals.office.waiting_max = self.waiting_max;
        totals.office.in_system_max = self.in_system_max;
        totals.open = self.open.len() as u64;
        totals
    }

    /// Returns how many open tickets may have a seat or not: those of which nobody knows when they
    /// got it, or only that they got one from an issuer that was started later, at `next`.
    pub fn unsure(&self, next: Time, begun: impl Fn(TicketId) -> Option<Time>) -> usize {
        self.open.keys().filter(|&&id| begun(id).is_none_or(|begun| begun > next)).count()
    }

    /// Gives away the latencies of tickets that ended since this was asked last, by service: of
    /// measured ones, and of others.
    pub fn tell(&mut self, mut tell: impl FnMut(usize, bool, &Latencies)) {
        for (index, timed) in self.stats.latencies_mut().enumerate() {
            timed.tell(|is_measured, latencies| tell(index, is_measured, latencies));
        }
    }

    /// Returns the same without its histograms, which take far more memory than all the rest: what
    /// was told is somebody else's, what was not must have been.
    pub fn without_latencies(&self) -> Self {
        let mut clone = self.clone();
        clone.stats.latencies_mut().for_each(|timed| *timed = Default::default());
        clone
    }
}

impl Default for Replay {
    fn default() -> Self {
        Self::new()
    }
}

/// A ticket of a scenario with more services than the run has was served as the first kind of work.
fn known(service: ServiceId, services: usize) -> ServiceId {
    if usize::from(service.0) < services { service } else { ServiceId(0) }
}

fn raise(peak: &mut Peak, count: u64, at: Time) {
    if count > peak.count {
        *peak = Peak { count, at };
    }
}
