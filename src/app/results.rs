//! What a run has counted and timed so far, from the latest word of each process.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use engine::clock::Time;
use engine::net::message::{
    Carry, IssuerReady, IssuerTotals, LatencyScope, NetTotals, Population, ServiceLatencies,
    TicketCounts, UsersLatencies, UsersNet, UsersTotals, WorkerTotals,
};
use engine::perf::histogram::InvalidHistogram;
use engine::perf::{Histogram, Metrics, facade};

/// Where figures come from, and so what is known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Origin {
    /// From a running office: all.
    #[default]
    Office,
    /// From a log and the diary of its run: what the office knew, but not what users and the disk
    /// told.
    Diary,
    /// From a log alone: tickets.
    Log,
}

impl Origin {
    /// Returns whether seats, workers, users and rejected requests are known.
    pub(crate) fn has_office(self) -> bool {
        self != Self::Log
    }

    /// Returns whether it is known what users counted and how often the disk was synced.
    pub(crate) fn has_users(self) -> bool {
        self == Self::Office
    }
}

/// The latest figures.
#[derive(Clone, Debug, Default)]
pub(crate) struct Results {
    /// Where they come from.
    pub(crate) origin: Origin,
    /// From the issuer. It rebuilds its figures from the log when it is restarted, so the last
    /// word is the whole truth.
    pub(crate) issuer: IssuerTotals,
    /// What its last start found in the log.
    pub(crate) recovery: Option<IssuerReady>,
    /// Times that it was started.
    pub(crate) issuer_starts: u32,
    /// Latencies per service, by [`ServiceId`](engine::ids::ServiceId).
    pub(crate) latencies: Vec<Latencies>,
    /// From each worker slot: the present life.
    pub(crate) workers: BTreeMap<u16, WorkerTotals>,
    /// From each worker slot: tickets served in lives that are over.
    pub(crate) workers_past: BTreeMap<u16, u64>,
    /// Counts of the present users manager, and of those before it.
    users: [UsersTotals; 2],
    /// From the intended issue of measured requests to the user's knowledge of the end.
    pub(crate) response: Arc<Histogram>,
    /// From the intended issue of measured requests to the sending.
    pub(crate) lag: Arc<Histogram>,
    /// User processes.
    pub(crate) population: Population,
    /// What their connections counted under the present users manager...
    users_net: UsersNet,
    /// ...and under those before it.
    users_net_past: NetTotals,
    /// What all processes recorded of their own work, up to the last second.
    pub(crate) metrics: Metrics,
    /// What came since the last second ended.
    fresh: Fresh,
    /// The services of which single seconds are kept.
    watched: Vec<usize>,
}

/// What came in a second, of all tickets, warm-up included.
#[derive(Clone, Debug, Default)]
pub(crate) struct Fresh {
    /// Latencies over all services.
    pub(crate) latencies: Latencies,
    /// Those of the services that somebody watches.
    pub(crate) services: BTreeMap<usize, Latencies>,
    /// From the intended issue to the user's knowledge of the end.
    pub(crate) response: Histogram,
    /// From the intended issue to the sending.
    pub(crate) lag: Histogram,
    /// What processes recorded of their own work.
    pub(crate) metrics: Metrics,
}

impl Fresh {
    /// Returns what came of a latency: of all tickets, or of a service's.
    pub(crate) fn histogram(&self, latency: &str, service: Option<usize>) -> &Histogram {
        static NONE: LazyLock<Latencies> = LazyLock::new(Latencies::default);
        let of = match service {
            None => &self.latencies,
            Some(service) => self.services.get(&service).unwrap_or(&NONE),
        };
        match latency {
            "wait" => &of.wait,
            "service" => &of.service,
            "sojourn" => &of.sojourn,
            "overhead" => &of.overhead,
            "response" => &self.response,
            _ => &self.lag,
        }
    }
}

/// The latencies of served tickets of one service, or of all.
#[derive(Clone, Debug, Default)]
pub(crate) struct Latencies {
    pub(crate) wait: Arc<Histogram>,
    pub(crate) service: Arc<Histogram>,
    pub(crate) sojourn: Arc<Histogram>,
    pub(crate) overhead: Arc<Histogram>,
}

impl Latencies {
    /// Adds all that `other` counted.
    pub(crate) fn merge(&mut self, other: &Self) {
        for (own, other) in [
            (&mut self.wait, &other.wait),
            (&mut self.service, &other.service),
            (&mut self.sojourn, &other.sojourn),
            (&mut self.overhead, &other.overhead),
        ] {
            Arc::make_mut(own).merge(other);
        }
    }
}

impl Results {
    /// Returns empty results for `services` services.
    pub(crate) fn new(services: usize) -> Self {
        Self { latencies: vec![Latencies::default(); services], ..Self::default() }
    }

    /// Keeps single seconds of these services.
    pub(crate) fn watch_services(&mut self, services: Vec<usize>) {
        self.watched = services;
    }

    /// Takes note that the issuer has opened its log.
    pub(crate) fn issuer_started(&mut self, ready: IssuerReady) {
        self.recovery = Some(ready);
        self.issuer_starts += 1;
    }

    /// Takes latencies of one service from the issuer.
    ///
    /// # Errors
    /// If the bytes are no histograms of ours.
    pub(crate) fn take_latencies(
        &mut self,
        from: &ServiceLatencies<'_>,
    ) -> Result<(), InvalidHistogram> {
        let latencies = Latencies {
            wait: Histogram::from_bytes(from.wait)?.into(),
            service: Histogram::from_bytes(from.service_time)?.into(),
            sojourn: Histogram::from_bytes(from.sojourn)?.into(),
            overhead: Histogram::from_bytes(from.overhead)?.into(),
        };
        let service = usize::from(from.service.0);
        let Some(whole) = self.latencies.get_mut(service) else {
            return Ok(());
        };
        if from.scope != LatencyScope::Restored && self.watched.contains(&service) {
            self.fresh.services.entry(service).or_default().merge(&latencies);
        }
        match from.scope {
            // A new issuer has read it all from the log.
            LatencyScope::Restored => *whole = latencies,
            LatencyScope::Measured => {
                whole.merge(&latencies);
                self.fresh.latencies.merge(&latencies);
            }
            LatencyScope::Outside => self.fresh.latencies.merge(&latencies),
        }
        Ok(())
    }

    /// Takes what users have timed.
    ///
    /// # Errors
    /// If the bytes are no histograms of ours.
    pub(crate) fn take_user_latencies(
        &mut self,
        from: &UsersLatencies<'_>,
    ) -> Result<(), InvalidHistogram> {
        let response = Histogram::from_bytes(from.response)?;
        let lag = Histogram::from_bytes(from.lag)?;
        if from.is_measured {
            Arc::make_mut(&mut self.response).merge(&response);
            Arc::make_mut(&mut self.lag).merge(&lag);
        }
        self.fresh.response.merge(&response);
        self.fresh.lag.merge(&lag);
        Ok(())
    }

    /// Takes what processes recorded of their own work.
    pub(crate) fn take_metrics(&mut self, metrics: &Metrics) {
        self.fresh.metrics.merge(metrics);
    }

    /// Makes room for what this process records, if there is little left.
    pub(crate) fn make_room(&mut self) {
        if facade::is_filling() {
            facade::drain(&mut self.fresh.metrics);
        }
    }

    /// Ends a second and gives away what came in it.
    pub(crate) fn end_second(&mut self) -> Fresh {
        facade::drain(&mut self.fresh.metrics);
        let fresh = std::mem::take(&mut self.fresh);
        self.metrics.merge(&fresh.metrics);
        fresh
    }

    /// Takes all users' counts.
    pub(crate) fn set_users(&mut self, totals: UsersTotals) {
        self.users[0] = totals;
    }

    /// Takes what all users' connections counted.
    pub(crate) fn set_users_net(&mut self, net: UsersNet) {
        self.users_net = net;
    }

    /// Returns what all users' connections counted, and how many processes live.
    pub(crate) fn users_net(&self) -> (u32, NetTotals) {
        let mut all = self.users_net_past;
        all.add(&self.users_net.totals);
        (self.users_net.processes, all)
    }

    /// Takes note that there is a new users manager, which counts from zero.
    pub(crate) fn manager_restarted(&mut self) {
        let net = std::mem::take(&mut self.users_net);
        self.users_net_past.add(&net.totals.of_the_past());
        let [present, past] = &mut self.users;
        past.add(&std::mem::take(present).without_digest());
    }

    /// Returns what all users have counted.
    pub(crate) fn users(&self) -> UsersTotals {
        let [present, past] = &self.users;
        let mut all = *past;
        all.add(present);
        all
    }

    /// Returns the latencies of all services together.
    pub(crate) fn all_latencies(&self) -> Latencies {
        let mut services = self.latencies.iter();
        let mut all = services.next().cloned().unwrap_or_default();
        for service in services {
            all.merge(service);
        }
        all
    }

    /// Takes note that a worker slot has a new process.
    pub(crate) fn worker_restarted(&mut self, slot: u16) {
        if let Some(past) = self.workers.remove(&slot) {
            *self.workers_past.entry(slot).or_default() += past.served;
        }
    }

    /// Returns how many tickets a worker slot has served in all its lives.
    pub(crate) fn served_by(&self, slot: u16) -> u64 {
        let now = self.workers.get(&slot).map_or(0, |totals| totals.served);
        now + self.workers_past.get(&slot).copied().unwrap_or(0)
    }

    /// Returns what a new issuer must be told, because no log holds it.
    pub(crate) fn carry(&self) -> Carry {
        let rejected = |service: &engine::net::message::ServiceTotals| {
            (service.totals.rejected, service.measured.rejected)
        };
        Carry {
            staffed_ns: self.issuer.staffed_ns,
            recovered: self.issuer.recovered,
            redelivered: self.issuer.redelivered,
            bad_peers: self.issuer.bad_peers,
            lost_ns: self.issuer.services.iter().map(|service| service.lost_ns).collect(),
            rejected: self.issuer.services.iter().map(rejected).collect(),
        }
    }

    /// Returns the counts over all services since the office opened.
    pub(crate) fn totals(&self) -> TicketCounts {
        sum(self.issuer.services.iter().map(|service| service.totals))
    }

    /// Returns tickets waiting and in service.
    pub(crate) fn present(&self) -> (u64, u64) {
        (self.issuer.services.iter()).fold((0, 0), |(waiting, in_service), service| {
            (waiting + service.waiting, in_service + service.in_service)
        })
    }

    /// Returns when the issuer's figures were taken.
    pub(crate) fn at(&self) -> Time {
        self.issuer.at
    }
}

/// Returns the sums of counts.
pub(crate) fn sum(counts: impl IntoIterator<Item = TicketCounts>) -> TicketCounts {
    counts.into_iter().fold(TicketCounts::default(), |all, one| TicketCounts {
        issued: all.issued + one.issued,
        rejected: all.rejected + one.rejected,
        served: all.served + one.served,
        failed: all.failed + one.failed,
    })
}

#[cfg(test)]
mod tests {
    use engine::ids::ServiceId;

    use super::*;

    #[test]
    fn a_worker_slot_keeps_what_its_dead_processes_served() {
        let mut results = Results::new(1);
        results.workers.insert(2, WorkerTotals { served: 5, busy: 1 });
        results.worker_restarted(2);
        results.workers.insert(2, WorkerTotals { served: 3, busy: 0 });
        assert_eq!((results.served_by(2), results.served_by(1)), (8, 0));
    }

    fn latencies(scope: LatencyScope, ms: u64, bytes: &mut Vec<u8>) -> ServiceLatencies<'_> {
        let mut histogram = Histogram::default();
        histogram.record(std::time::Duration::from_millis(ms));
        *bytes = histogram.to_bytes();
        let wait = &bytes[..];
        let (service_time, sojourn, overhead) = (wait, wait, wait);
        ServiceLatencies { service: ServiceId(0), scope, wait, service_time, sojourn, overhead }
    }

    #[test]
    fn deltas_add_up_and_a_new_issuer_replaces_them_by_what_the_log_says() {
        let (mut results, mut bytes) = (Results::new(1), Vec::new());
        let mut take = |results: &mut Results, scope, ms| {
            results.take_latencies(&latencies(scope, ms, &mut bytes)).unwrap();
        };
        take(&mut results, LatencyScope::Outside, 1);
        take(&mut results, LatencyScope::Measured, 2);
        take(&mut results, LatencyScope::Measured, 3);
        assert_eq!(results.latencies[0].wait.count(), 2, "the warm-up is left out");
        assert_eq!(results.end_second().latencies.wait.count(), 3, "but seen live");
        take(&mut results, LatencyScope::Restored, 9);
        take(&mut results, LatencyScope::Measured, 4);
        assert_eq!(results.latencies[0].wait.count(), 2);
        assert_eq!(results.end_second().latencies.wait.count(), 1);
    }

    #[test]
    fn users_keep_what_they_counted_under_a_dead_manager() {
        let mut results = Results::new(1);
        let totals = |served, digest| UsersTotals {
            served,
            digest,
            digest_users: 4,
            ..UsersTotals::default()
        };
        results.set_users(totals(5, 77));
        results.manager_restarted();
        results.set_users(totals(3, 77));
        let users = results.users();
        assert_eq!((users.served, users.digest, users.digest_users), (8, 77, 4));
    }
}
