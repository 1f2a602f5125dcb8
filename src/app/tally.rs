//! From what the issuer and users reported to figures, charts and seconds: the part of a snapshot
//! that follows from numbers alone, whether they come from a running office or from its log.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use engine::clock::{Time, WallTime};
use engine::config::Scenario;
use engine::limits;
use engine::net::message::{IssuerTotals, ServiceTotals};
use engine::perf::catalog::{LOGSTORE_FSYNC, Metric};
use engine::perf::metrics::Value;
use engine::perf::{Histogram, Metrics};
use engine::timeline::Timeline;

use super::figures::Figures;
use super::heat::{Band, Heat, HeatRow};
use super::history::{History, Second};
use super::recent::Recent;
use super::results::{Fresh, Latencies, Origin, Results};
use super::state::{
    LatencyFigures, LatencyRow, MetricRow, MetricValue, Rates, Sample, ServiceRow, Totals,
};

/// The span over which rates are taken.
const RATE_SPAN: Duration = Duration::from_secs(1);

/// What is kept from one report to the next.
#[derive(Clone, Debug)]
pub(crate) struct Tally {
    services: Vec<String>,
    starting_users: u32,
    /// The last five minutes at most, oldest first.
    pub(crate) series: Arc<Vec<Sample>>,
    /// Counts of the last second and a little more, oldest first.
    recent: VecDeque<Counted>,
    /// The run second by second.
    pub(crate) history: History,
    /// How latencies were spread in each of the last seconds.
    pub(crate) heat: Heat,
    /// The figures of the measured window.
    pub(crate) figures: Arc<Figures>,
    /// Percentiles.
    pub(crate) latencies: Vec<LatencyRow>,
    /// What the product recorded of its own work.
    pub(crate) metrics: Arc<Vec<MetricRow>>,
    recents: [Recent; 6],
    /// The counts at the end of the last second.
    last_second: Counted,
}

/// A second that is over.
#[derive(Debug)]
pub(crate) struct Ended {
    /// What came in it.
    pub(crate) fresh: Fresh,
    /// Its end.
    pub(crate) at: Time,
    /// Some of it lies in the measured window.
    pub(crate) is_measured: bool,
}

/// The counts that rates are made of, at one moment.
#[derive(Clone, Debug, Default)]
struct Counted {
    at: Time,
    issued: u64,
    rejected: u64,
    served: u64,
    failed: u64,
    served_by_service: Vec<u64>,
    busy_ns: u128,
    staffed_ns: u128,
    issuer_starts: u32,
    records: u64,
    log_bytes: u64,
    syncs: u64,
    origin: Origin,
}

impl Counted {
    fn of(results: &Results) -> Self {
        let totals = results.totals();
        let IssuerTotals { services, store, .. } = &results.issuer;
        Self {
            at: results.at(),
            issued: totals.issued,
            rejected: totals.rejected,
            served: totals.served,
            failed: totals.failed,
            served_by_service: services.iter().map(|service| service.totals.served).collect(),
            busy_ns: services.iter().map(|service| service.in_service_ns).sum(),
            staffed_ns: results.issuer.staffed_ns,
            issuer_starts: results.issuer_starts,
            records: store.records,
            log_bytes: store.bytes,
            syncs: store.syncs,
            origin: results.origin,
        }
    }

    /// Returns the requests that reached the issuer, if the rejected ones are known.
    fn offered(&self) -> Option<u64> {
        self.origin.has_office().then_some(self.issued + self.rejected)
    }

    fn utilization_since(&self, earlier: &Self) -> Option<f64> {
        let staffed_ns = self.staffed_ns.saturating_sub(earlier.staffed_ns);
        let busy_ns = self.busy_ns.saturating_sub(earlier.busy_ns);
        (staffed_ns > 0).then(|| ratio(busy_ns, staffed_ns))
    }
}

impl Tally {
    /// Returns an empty one.
    pub(crate) fn new(scenario: &Scenario) -> Self {
        let services: Vec<String> =
            scenario.services.iter().map(|service| service.name.clone()).collect();
        Self {
            figures: Arc::new(Figures::blank(services.iter().cloned())),
            services,
            starting_users: scenario.loads.iter().map(|load| load.users).sum(),
            series: Arc::default(),
            recent: VecDeque::new(),
            history: History::default(),
            heat: Heat::default(),
            latencies: Vec::new(),
            metrics: Arc::default(),
            recents: Default::default(),
            last_second: Counted::default(),
        }
    }

    /// Begins at the moment of the results: what was before is nobody's.
    pub(crate) fn begin(&mut self, results: &Results) {
        self.last_second = Counted::of(results);
    }

    /// Takes over what was measured in a second that is over.
    pub(crate) fn end_second(
        &mut self,
        wall: WallTime,
        line: &Timeline,
        results: &mut Results,
        workers: u32,
    ) -> Option<Ended> {
        let ended = self.close_second(wall, line, results, workers);
        self.sum_up(line, results);
        ended
    }

    /// Takes the figures of what was reported so far.
    pub(crate) fn sum_up(&mut self, line: &Timeline, results: &Results) {
        self.recents.iter_mut().for_each(Recent::unfold);
        self.figures = Arc::new(Figures::new(results, line, &self.services, self.starting_users));
        self.latencies = latency_rows(&self.figures, &self.recents);
        self.metrics = Arc::new(metric_rows(&results.metrics));
    }

    /// Gives away what takes much memory and time, until [`Self::sum_up`].
    pub(crate) fn fold(&mut self) {
        self.recents.iter_mut().for_each(Recent::fold);
        (self.figures, self.latencies) = Default::default();
    }

    /// Adds a second that is over, without new figures.
    pub(crate) fn close_second(
        &mut self,
        wall: WallTime,
        line: &Timeline,
        results: &mut Results,
        workers: u32,
    ) -> Option<Ended> {
        let fresh = results.end_second();
        let Fresh { latencies, response, lag, metrics, .. } = &fresh;
        let Latencies { wait, service, sojourn, overhead } = latencies;
        let seconds: [&Histogram; 6] = [wait, service, sojourn, overhead, response, lag];
        for (recent, second) in self.recents.iter_mut().zip(seconds) {
            recent.push(second);
        }
        self.heat.push(HeatRow { end: results.at(), bands: seconds.map(Band::of) });
        let counted = Counted::of(results);
        let mut last = std::mem::replace(&mut self.last_second, counted.clone());
        // The first second begins when the doors open.
        last.at = last.at.max(line.opened_at);
        if counted.at <= last.at {
            return None;
        }
        let measured = line.measured(last.at, counted.at);
        // What the issuer wrote is counted from its start.
        let is_same_life = counted.issuer_starts == last.issuer_starts;
        let written =
            |now: u64, before: u64| now.saturating_sub(if is_same_life { before } else { 0 });
        let has_office = results.origin.has_office();
        let (waiting, in_service) = results.present();
        self.history.push(Second {
            end: counted.at,
            at: line.office_time(counted.at),
            wall,
            span: counted.at.since(last.at),
            running: line.running(last.at, counted.at),
            measured,
            issued: counted.issued.saturating_sub(last.issued),
            rejected: has_office.then_some(counted.rejected.saturating_sub(last.rejected)),
            served: counted.served.saturating_sub(last.served),
            failed: counted.failed.saturating_sub(last.failed),
            waiting,
            in_service,
            staffed: has_office.then_some(results.issuer.staffed),
            utilization: counted.utilization_since(&last),
            workers: has_office.then_some(workers),
            users: has_office.then_some(results.population.users),
            wait: wait.spread(),
            sojourn: sojourn.spread(),
            response: response.spread(),
            records: written(counted.records, last.records),
            log_bytes: written(counted.log_bytes, last.log_bytes),
            syncs: results.origin.has_users().then(|| written(counted.syncs, last.syncs)),
            sync: metrics.histogram(LOGSTORE_FSYNC).and_then(Histogram::spread),
        });
        Some(Ended { fresh, at: counted.at, is_measured: !measured.is_zero() })
    }

    /// Adds the newest counts to the charts, once per word of the issuer.
    pub(crate) fn count(&mut self, results: &Results) {
        let at = results.at();
        if self.recent.back().is_some_and(|last| last.at >= at) || !at.is_set() {
            return;
        }
        let counted = Counted::of(results);
        if let Some(last) = self.recent.back() {
            let (waiting, in_service) = results.present();
            let sample = Sample {
                at,
                offered: (last.offered().zip(counted.offered()))
                    .map(|(from, to)| rate(from, to, last.at, at)),
                served: rate(last.served, counted.served, last.at, at),
                waiting,
                in_service,
            };
            let series = Arc::make_mut(&mut self.series);
            if series.len() == limits::SERIES_SAMPLES_MAX {
                series.remove(0);
            }
            series.push(sample);
        }
        self.recent.push_back(counted);
        while self.recent.len() > 2 && at.since(self.recent[1].at) >= RATE_SPAN {
            self.recent.pop_front();
        }
    }

    /// Returns the counts of a second ago and the newest; `None` until a whole second was seen.
    fn last_second(&self) -> Option<(&Counted, &Counted)> {
        let (first, last) = (self.recent.front()?, self.recent.back()?);
        (last.at.since(first.at) >= RATE_SPAN).then_some((first, last))
    }

    /// Returns the rates of the last second.
    pub(crate) fn rates(&self) -> Rates {
        let Some((first, last)) = self.last_second() else { return Rates::default() };
        let per_second = |from: u64, to: u64| rate(from, to, first.at, last.at);
        let offered = first.offered().zip(last.offered());
        Rates {
            offered: offered.map(|(from, to)| per_second(from, to)),
            served: Some(per_second(first.served, last.served)),
            rejected: offered.map(|_| per_second(first.rejected, last.rejected)),
            utilization: last.utilization_since(first),
        }
    }

    /// Returns one row per service.
    pub(crate) fn service_rows(&self, results: &Results) -> Vec<ServiceRow> {
        let served_rate = |index: usize| {
            let (first, last) = self.last_second()?;
            let served = |counted: &Counted| counted.served_by_service.get(index).copied();
            let (from, to) = (served(first).unwrap_or(0), served(last).unwrap_or(0));
            Some(rate(from, to, first.at, last.at))
        };
        let row = |(index, name): (usize, &String)| {
            let counts = results.issuer.services.get(index).copied().unwrap_or_default();
            let ServiceTotals { totals, waiting, in_service, .. } = counts;
            let latencies = results.latencies.get(index);
            ServiceRow {
                name: name.clone(),
                issued: totals.issued,
                served: totals.served,
                rejected: results.origin.has_office().then_some(totals.rejected),
                waiting,
                in_service,
                served_rate: served_rate(index),
                wait: latencies.and_then(|latencies| latencies.wait.spread()),
                sojourn: latencies.and_then(|latencies| latencies.sojourn.spread()),
            }
        };
        self.services.iter().enumerate().map(row).collect()
    }
}

/// Returns the counts of a run so far.
pub(crate) fn totals(results: &Results) -> Totals {
    let counts = results.totals();
    let (waiting, in_service) = results.present();
    let has_office = results.origin.has_office();
    Totals {
        offered: has_office.then_some(counts.issued + counts.rejected),
        issued: counts.issued,
        rejected: has_office.then_some(counts.rejected),
        served: counts.served,
        failed: counts.failed,
        waiting,
        in_service,
        recovered: results.issuer.recovered,
        redelivered: results.issuer.redelivered,
        dropped: results.origin.has_users().then(|| results.users().dropped),
        bad_peers: has_office.then_some(results.issuer.bad_peers),
    }
}

/// The names of the latencies are in the order of the recent ones.
fn latency_rows(figures: &Figures, recents: &[Recent; 6]) -> Vec<LatencyRow> {
    let all = figures.histograms.iter().filter(|named| named.service.is_none());
    all.zip(recents)
        .map(|(named, recent)| LatencyRow {
            name: named.name,
            run: LatencyFigures::of(&named.histogram),
            recent: recent.figures(),
        })
        .collect()
}

fn metric_rows(metrics: &Metrics) -> Vec<MetricRow> {
    let row = |(_, metric, value): (u16, &'static Metric, &Value)| MetricRow {
        metric,
        value: match value {
            Value::Count(sum) => MetricValue::Count(*sum),
            Value::Values(values) => MetricValue::Values(Arc::new(values.clone())),
        },
    };
    metrics.iter().map(row).collect()
}

#[expect(clippy::cast_precision_loss, reason = "a rate for people")]
pub(super) fn rate(from: u64, to: u64, since: Time, until: Time) -> f64 {
    let seconds = until.since(since).as_secs_f64();
    if seconds > 0.0 { to.saturating_sub(from) as f64 / seconds } else { 0.0 }
}

#[expect(clippy::cast_precision_loss, reason = "a ratio for people")]
fn ratio(part: u128, whole: u128) -> f64 {
    part as f64 / whole as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_per_second_and_zero_without_time() {
        let second = |s: u64| Time(s * 1_000_000_000);
        assert!((rate(10, 40, second(1), second(3)) - 15.0).abs() < 1e-9);
        assert!(rate(10, 40, second(1), second(1)).abs() < 1e-9);
        assert!(rate(40, 10, second(1), second(2)).abs() < 1e-9, "a restarted count is no rate");
    }
}
