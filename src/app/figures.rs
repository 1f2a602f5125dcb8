//! The figures of the measured window: from the end of warm-up to the end of arrivals, without
//! pauses. `WORKLOAD.md` section 3 of the design defines each.
//!
//! They are part of every snapshot, so the dashboard, the summary, exports and metrics can't
//! disagree: they all write down the same value.

use std::sync::Arc;
use std::time::Duration;

use engine::clock::nanos;
use engine::net::message::{self, OfficeTotals, ServiceTotals, TicketCounts};
use engine::perf::{Histogram, Interval, Spread};
use engine::timeline::Timeline;
use serde::{Deserialize, Serialize};

use super::results::{Latencies, Origin, Results, sum};
use super::serial::{self, Text};

/// The names of all latencies.
pub(crate) const LATENCIES: [&str; 6] =
    ["wait", "service", "sojourn", "overhead", "response", "lag"];

/// The figures of a run so far.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Figures {
    /// How much time they cover.
    #[serde(with = "serial::ns")]
    pub(crate) window: Duration,
    /// All services together.
    pub(crate) all: ServiceFigures,
    /// One entry per service, in scenario order.
    pub(crate) services: Vec<ServiceFigures>,
    /// What users saw.
    pub(crate) users: UserFigures,
    /// Jain's index over the workers' busy time: 1 if all are as busy; `None` without work.
    pub(crate) workers_fairness: Option<f64>,
    /// Jain's index over the users' mean waits; `None` before the first.
    pub(crate) users_fairness: Option<f64>,
    /// The histograms behind the percentiles.
    pub(crate) histograms: Vec<NamedHistogram>,
}

/// The figures of one service, or of all.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct ServiceFigures {
    /// The service, or `all`.
    pub(crate) name: String,
    /// Tickets that arrived in the window, followed until they end.
    pub(crate) counts: Counts,
    /// Requests per second; `None` too if nobody knows the rejected ones.
    pub(crate) offered_rate: Option<f64>,
    /// Completions in the window per second.
    pub(crate) throughput: Option<f64>,
    /// Busy seats ÷ staffed seats, integrated over time.
    pub(crate) utilization: Option<f64>,
    /// Tickets waiting, averaged over time: Lq.
    pub(crate) waiting_mean: Option<f64>,
    /// Tickets in the system, averaged over time: L.
    pub(crate) in_system_mean: Option<f64>,
    /// The most that waited, and when; `None` if nothing was measured.
    pub(crate) waiting_max: Option<Peak>,
    /// The most that were in the system, and when.
    pub(crate) in_system_max: Option<Peak>,
    /// Share of accepted tickets that found no free seat.
    pub(crate) delayed_share: Option<f64>,
    /// Rejected ÷ offered; `None` too if nobody knows.
    pub(crate) rejected_share: Option<f64>,
    /// Mean wait over accepted tickets, whether they were served or not.
    #[serde(with = "serial::ns_option")]
    pub(crate) wait_accepted_mean: Option<Duration>,
    /// How sure the mean wait is.
    pub(crate) wait_interval: Option<Interval>,
    /// How sure the mean sojourn time is.
    pub(crate) sojourn_interval: Option<Interval>,
    /// Service time that was lost with workers that died; `None` if nobody knows.
    #[serde(with = "serial::ns_option")]
    pub(crate) lost_work: Option<Duration>,
    /// Whether two ways to know the queue agree.
    pub(crate) little: Option<Little>,
    /// From arrival to the first start: Wq.
    pub(crate) wait: Option<Spread>,
    /// From the last start to the end: S.
    pub(crate) service: Option<Spread>,
    /// From arrival to the end: W.
    pub(crate) sojourn: Option<Spread>,
    /// Service time beyond the demanded work.
    pub(crate) overhead: Option<Spread>,
}

/// Counts of measured requests and tickets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Counts {
    /// Requests that got a ticket.
    pub(crate) issued: u64,
    /// Requests that found the office full; `None` if nobody knows.
    pub(crate) rejected: Option<u64>,
    /// Tickets served.
    pub(crate) served: u64,
    /// Tickets given up.
    pub(crate) failed: u64,
}

impl Counts {
    /// Returns counts of which all or only those of tickets are known.
    pub(crate) fn of(counts: TicketCounts, has_rejected: bool) -> Self {
        let TicketCounts { issued, rejected, served, failed } = counts;
        Self { issued, rejected: has_rejected.then_some(rejected), served, failed }
    }

    /// Returns all requests, if they are known.
    pub(crate) fn offered(&self) -> Option<u64> {
        self.rejected.map(|rejected| self.issued + rejected)
    }
}

/// A largest number and when it was reached.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Peak {
    /// The number.
    pub(crate) count: u64,
    /// When, as time since arrivals began, without pauses.
    #[serde(with = "serial::ns")]
    pub(crate) at: Duration,
}

/// Little's law at run time: the queue's length, integrated over time, beside what the waits of
/// single tickets add up to. The two are counted at different places.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Little {
    /// Lq by the integral.
    pub(crate) waiting_mean: f64,
    /// Arrival rate of accepted tickets x their mean wait.
    pub(crate) rate_times_wait: f64,
    /// What is known to make a difference: waits that began before the window, lasted beyond it or
    /// through a pause, are not over yet, or are second ones of tickets whose worker died.
    pub(crate) boundary: f64,
    /// What is left unexplained, as a share of Lq.
    pub(crate) gap: f64,
}

impl Little {
    /// Above this gap the instrument is at fault.
    pub(crate) const GAP_MAX: f64 = 0.02;

    /// Returns whether the two agree.
    pub(crate) fn holds(&self) -> bool {
        self.gap <= Self::GAP_MAX
    }
}

/// What users saw; `None` in a replay, as no log holds it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct UserFigures {
    /// Requests that were due.
    pub(crate) intended: Option<u64>,
    /// Requests that were due and never sent.
    pub(crate) dropped: Option<u64>,
    /// The workload digest; `None` if it does not cover all users of the start.
    pub(crate) digest: Option<u64>,
    /// From the intended issue to the user's knowledge of the end: R.
    pub(crate) response: Option<Spread>,
    /// From the intended issue to the sending.
    pub(crate) lag: Option<Spread>,
}

/// One latency's histogram.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct NamedHistogram {
    /// `wait`, `service`, `sojourn`, `overhead`, `response`, `lag`.
    #[serde(deserialize_with = "serial::latency")]
    pub(crate) name: Text,
    /// The service; `None` is all of them.
    pub(crate) service: Option<String>,
    /// The counts.
    pub(crate) histogram: Arc<Histogram>,
}

impl Figures {
    /// Returns the figures of a run that has not begun.
    pub(crate) fn blank(names: impl Iterator<Item = String>) -> Self {
        let row = |name| ServiceFigures { name, ..ServiceFigures::default() };
        Self { all: row("all".to_owned()), services: names.map(row).collect(), ..Self::default() }
    }

    /// Takes the figures of what was reported so far. `names` are those of the services,
    /// `starting_users` the population that the digest must cover.
    pub(crate) fn new(
        results: &Results,
        line: &Timeline,
        names: &[String],
        starting_users: u32,
    ) -> Self {
        let window = line.measured(line.opened_at, results.at());
        let staffed_ns = results.issuer.staffed_ns;
        let scale = Scale { window, staffed_ns, line, origin: results.origin };
        let services = &results.issuer.services;
        let row = |(index, name): (usize, &String)| {
            let totals = services.get(index).copied().unwrap_or_default();
            scale.row(name.clone(), &totals, results.latencies.get(index))
        };
        let (users, has_users) = (results.users(), results.origin.has_users());
        let (response, lag) = (Arc::clone(&results.response), Arc::clone(&results.lag));
        let all = results.all_latencies();
        let mut histograms = named(&all, None);
        histograms.push(NamedHistogram { name: "response", service: None, histogram: response });
        histograms.push(NamedHistogram { name: "lag", service: None, histogram: lag });
        if names.len() > 1 {
            for (name, latencies) in names.iter().zip(&results.latencies) {
                histograms.extend(named(latencies, Some(name)));
            }
        }
        let spread = |name| find(&histograms, name).and_then(Histogram::spread);
        Self {
            window,
            all: scale.all(services, &results.issuer.office, &all),
            services: names.iter().enumerate().map(row).collect(),
            users: UserFigures {
                intended: has_users.then_some(users.measured_intended),
                dropped: has_users.then_some(users.measured_dropped),
                digest: (has_users && users.digest_users == starting_users).then_some(users.digest),
                response: spread("response"),
                lag: spread("lag"),
            },
            workers_fairness: results.issuer.office.workers_fairness,
            users_fairness: results.issuer.office.users_fairness,
            histograms,
        }
    }

    /// Returns the requests that reached the issuer as a share of those that were due; `None` if
    /// none was or nobody knows.
    pub(crate) fn schedule_fidelity(&self) -> Option<f64> {
        ratio(self.all.offered()?, self.users.intended?)
    }

    /// Returns the histogram of a latency over all services.
    pub(crate) fn histogram(&self, name: &str) -> Option<&Histogram> {
        find(&self.histograms, name)
    }
}

fn find<'a>(histograms: &'a [NamedHistogram], name: &str) -> Option<&'a Histogram> {
    let found = histograms.iter().find(|named| named.name == name && named.service.is_none());
    found.map(|named| &*named.histogram)
}

fn named(latencies: &Latencies, service: Option<&String>) -> Vec<NamedHistogram> {
    let all = [
        ("wait", &latencies.wait),
        ("service", &latencies.service),
        ("sojourn", &latencies.sojourn),
        ("overhead", &latencies.overhead),
    ];
    let one = |(name, histogram): (&'static str, &Arc<Histogram>)| NamedHistogram {
        name,
        service: service.cloned(),
        histogram: Arc::clone(histogram),
    };
    all.into_iter().map(one).collect()
}

impl ServiceFigures {
    /// Returns the measured tickets that have not ended.
    pub(crate) fn unfinished(&self) -> u64 {
        self.counts.issued.saturating_sub(self.counts.served + self.counts.failed)
    }

    /// Returns the requests of the window, if they are known.
    pub(crate) fn offered(&self) -> Option<u64> {
        self.counts.offered()
    }
}

/// What integrals and counts are divided by.
struct Scale<'a> {
    window: Duration,
    staffed_ns: u128,
    line: &'a Timeline,
    origin: Origin,
}

impl Scale<'_> {
    /// All services together: what is no sum of theirs was counted for the whole office.
    fn all(
        &self,
        services: &[ServiceTotals],
        office: &OfficeTotals,
        latencies: &Latencies,
    ) -> ServiceFigures {
        ServiceFigures {
            waiting_max: self.peak(office.waiting_max),
            in_system_max: self.peak(office.in_system_max),
            wait_interval: around(office.wait, &latencies.wait),
            sojourn_interval: around(office.sojourn, &latencies.sojourn),
            ..self.row("all".to_owned(), &total(services), Some(latencies))
        }
    }

    fn peak(&self, peak: message::Peak) -> Option<Peak> {
        let at = self.line.office_time(peak.at);
        peak.at.is_set().then_some(Peak { count: peak.count, at })
    }

    /// Compares the queue's length with what the waits of tickets add up to.
    fn little(&self, totals: &ServiceTotals) -> Option<Little> {
        let window_ns = nanos(self.window);
        let waiting_mean = ratio(totals.waiting_ns, window_ns)?;
        let waits = ratio(totals.waits_ns, window_ns)?;
        let wait = ratio(totals.accepted_waits_ns, totals.accepted_waits)?;
        let rate_times_wait = ratio(totals.measured.issued, window_ns)? * wait;
        let unexplained = (waiting_mean - waits).abs();
        Some(Little {
            waiting_mean,
            rate_times_wait,
            boundary: waits - rate_times_wait,
            gap: if unexplained > 0.0 { unexplained / waiting_mean.max(waits) } else { 0.0 },
        })
    }

    fn row(
        &self,
        name: String,
        totals: &ServiceTotals,
        latencies: Option<&Latencies>,
    ) -> ServiceFigures {
        let counts = Counts::of(totals.measured, self.origin.has_office());
        let window_ns = nanos(self.window);
        let per_second = |count: u64| ratio(count, window_ns).map(|rate| rate * 1e9);
        let spread = |of: fn(&Latencies) -> &Arc<Histogram>| {
            latencies.and_then(|latencies| of(latencies).spread())
        };
        ServiceFigures {
            name,
            counts,
            offered_rate: counts.offered().and_then(per_second),
            throughput: per_second(totals.window_completions),
            utilization: ratio(totals.in_service_ns, self.staffed_ns),
            waiting_mean: ratio(totals.waiting_ns, window_ns),
            in_system_mean: ratio(totals.waiting_ns + totals.in_service_ns, window_ns),
            waiting_max: self.peak(totals.waiting_max),
            in_system_max: self.peak(totals.in_system_max),
            delayed_share: ratio(totals.delayed, counts.issued),
            rejected_share: counts
                .rejected
                .zip(counts.offered())
                .and_then(|(rejected, offered)| ratio(rejected, offered)),
            wait_accepted_mean: totals
                .accepted_waits_ns
                .checked_div(u128::from(totals.accepted_waits))
                .map(|ns| Duration::from_nanos(u64::try_from(ns).unwrap_or(u64::MAX))),
            wait_interval: latencies.and_then(|all| around(totals.wait, &all.wait)),
            sojourn_interval: latencies.and_then(|all| around(totals.sojourn, &all.sojourn)),
            lost_work: self.origin.has_office().then(|| Duration::from_nanos(totals.lost_ns)),
            little: self.little(totals),
            wait: spread(|latencies| &latencies.wait),
            service: spread(|latencies| &latencies.service),
            sojourn: spread(|latencies| &latencies.sojourn),
            overhead: spread(|latencies| &latencies.overhead),
        }
    }
}

/// Puts an interval around the mean of all values: the batches leave a few out, and two means of
/// one thing would be one too many.
fn around(interval: Option<Interval>, histogram: &Histogram) -> Option<Interval> {
    #[expect(clippy::cast_precision_loss, reason = "a mean for people")]
    let mean_ns = histogram.mean() as f64;
    interval.map(|interval| Interval { mean_ns, ..interval })
}

#[expect(clippy::cast_precision_loss, reason = "a ratio for people")]
fn ratio(part: impl Into<u128>, whole: impl Into<u128>) -> Option<f64> {
    let (part, whole) = (part.into(), whole.into());
    (whole > 0).then(|| part as f64 / whole as f64)
}

fn total(services: &[ServiceTotals]) -> ServiceTotals {
    let zero = ServiceTotals::default();
    services.iter().fold(zero, |all, one| ServiceTotals {
        totals: sum([all.totals, one.totals]),
        measured: sum([all.measured, one.measured]),
        delayed: all.delayed + one.delayed,
        window_completions: all.window_completions + one.window_completions,
        waiting: all.waiting + one.waiting,
        waiting_ns: all.waiting_ns + one.waiting_ns,
        in_service: all.in_service + one.in_service,
        in_service_ns: all.in_service_ns + one.in_service_ns,
        lost_ns: all.lost_ns + one.lost_ns,
        waits_ns: all.waits_ns + one.waits_ns,
        accepted_waits_ns: all.accepted_waits_ns + one.accepted_waits_ns,
        accepted_waits: all.accepted_waits + one.accepted_waits,
        // These are no sums.
        waiting_max: message::Peak::default(),
        in_system_max: message::Peak::default(),
        wait: None,
        sojourn: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_follow_from_counts_and_integrals() {
        let totals = ServiceTotals {
            measured: TicketCounts { issued: 100, rejected: 20, served: 90, failed: 4 },
            delayed: 25,
            window_completions: 80,
            waiting_ns: 5_000_000_000,
            waits_ns: 4_950_000_000,
            accepted_waits_ns: 4_700_000_000,
            accepted_waits: 94,
            in_service_ns: 12_000_000_000,
            ..ServiceTotals::default()
        };
        let line = Timeline::default();
        let window = Duration::from_secs(10);
        let origin = Origin::Office;
        let scale = Scale { window, staffed_ns: 20_000_000_000, line: &line, origin };
        let row = scale.row("parcels".to_owned(), &totals, None);
        assert_eq!((row.offered(), row.unfinished()), (Some(120), 6));
        assert_eq!((row.offered_rate, row.throughput), (Some(12.0), Some(8.0)));
        assert_eq!((row.utilization, row.delayed_share), (Some(0.6), Some(0.25)));
        assert_eq!((row.waiting_mean, row.in_system_mean), (Some(0.5), Some(1.7)));
        let little = row.little.unwrap();
        assert!((little.rate_times_wait - 0.5).abs() < 1e-9, "{little:?}");
        assert!((little.boundary + 0.005).abs() < 1e-9 && (little.gap - 0.01).abs() < 1e-9);
        assert!(little.holds() && !Little { gap: 0.021, ..little }.holds());
    }

    #[test]
    fn nothing_is_divided_by_an_empty_window() {
        let line = Timeline::default();
        let origin = Origin::Office;
        let scale = Scale { window: Duration::ZERO, staffed_ns: 0, line: &line, origin };
        let row = scale.row(String::new(), &ServiceTotals::default(), None);
        assert_eq!((row.throughput, row.utilization, row.delayed_share), (None, None, None));
    }
}
