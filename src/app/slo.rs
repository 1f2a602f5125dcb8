//! Goals of a run (`[slo]`, `--slo`): whether they are met.
//!
//! The verdict rests on the measured window, the alert on its last ten seconds. A goal for a
//! percentile, such as `p99(wait) < 50ms`, is met if that share of all that was *offered* met the
//! limit: who was rejected or failed did not, and when the run has ended neither did who is
//! unfinished. While the run goes on, tickets that are open are left out, as nobody knows yet.
//! Other goals compare one figure with their limit.
//!
//! Pure: what was measured and the time come in as arguments.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use engine::clock::{Time, nanos};
use engine::config::scenario::{Figure, Goal, Latency, Metric, Slo, Unit};
use engine::net::message::{IssuerTotals, ServiceTotals};
use engine::perf::Histogram;
use serde::{Deserialize, Serialize};

use super::events::{News, Source};
use super::exit::Exit;
use super::figures::{Counts, Figures, NamedHistogram, ServiceFigures};
use super::format;
use super::recent::Recent;
use super::results::{Fresh, Results, sum};
use super::state::{AppState, Phase, Severity};
use super::update::exit_of;

/// Seconds that an alert looks at.
const ALERT_SECONDS: usize = 10;
/// Seconds that a goal must be met again before an alert is over, so that one at its limit does
/// not come and go.
const CALM_SECONDS: u32 = 3;

/// One goal.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct SloRow {
    /// Its name in the scenario.
    pub(crate) name: String,
    /// The goal as it was written, such as `p99(wait) < 50ms`.
    pub(crate) text: String,
    /// What it is about, such as `p99(wait)`.
    pub(crate) metric: String,
    /// The figure of the measured window, in the unit of `limit`; `None` if there is none yet.
    pub(crate) value: Option<SloValue>,
    /// The limit.
    pub(crate) limit: SloValue,
    /// Share of the offered tickets that met the limit: rejected, failed and (at the end)
    /// unfinished ones miss it. `None` for goals that are not about single tickets.
    pub(crate) attainment: Option<f64>,
    /// Over the measured window.
    pub(crate) verdict: Verdict,
    /// The figure of the last ten seconds.
    pub(crate) recent: Option<SloValue>,
    /// Over the last ten seconds.
    pub(crate) alert: Verdict,
    /// Since when the alert is what it is; `None` while nothing is known.
    pub(crate) since: Option<Time>,
}

/// A figure with its unit.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum SloValue {
    /// Seconds.
    Span(f64),
    /// A ratio.
    Share(f64),
    /// Something per second.
    Rate(f64),
}

impl SloValue {
    fn of(metric: Metric, figure: f64) -> Self {
        match metric.unit() {
            Unit::Seconds => Self::Span(figure),
            Unit::Share => Self::Share(figure),
            Unit::PerSecond => Self::Rate(figure),
        }
    }

    /// Writes it for people.
    pub(crate) fn text(self) -> String {
        match self {
            Self::Span(seconds) => {
                format::duration(Duration::try_from_secs_f64(seconds).unwrap_or_default())
            }
            Self::Share(share) => format::percent(share),
            Self::Rate(rate) => format!("{}/s", format::rate(rate)),
        }
    }

    /// Returns the number in its base unit.
    pub(crate) fn number(self) -> f64 {
        match self {
            Self::Span(number) | Self::Share(number) | Self::Rate(number) => number,
        }
    }
}

/// Whether a goal is met.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Verdict {
    /// Nothing was measured.
    Unknown,
    /// It is.
    Met,
    /// It is not.
    Missed,
}

impl Verdict {
    /// Returns the word that stands for it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Met => "met",
            Self::Missed => "missed",
        }
    }

    fn of(is_met: bool) -> Self {
        if is_met { Self::Met } else { Self::Missed }
    }
}

/// Returns the exit code of a run, once it has ended: a missed goal counts if nothing worse has
/// happened.
pub(crate) fn exit_of_run(state: &AppState) -> Option<Exit> {
    let Phase::Stopped(ending) = &state.phase else { return None };
    let is_missed = state.slos.iter().any(|row| row.verdict == Verdict::Missed);
    Some(match exit_of(ending) {
        Exit::Done if is_missed => Exit::SloMissed,
        exit => exit,
    })
}

/// What a goal is judged by: the measured window, or a part of it.
struct View<'a> {
    /// The histogram of a latency, if there is one.
    histogram: &'a dyn Fn(Latency) -> Option<&'a Histogram>,
    counts: Counts,
    /// Requests that were due, and those of them that were never sent, if that is known.
    intended: Option<u64>,
    dropped: Option<u64>,
    /// Busy time and staffed time, in seat nanoseconds.
    utilization: Option<f64>,
    throughput: Option<f64>,
    /// Nothing that is open ends any more.
    is_over: bool,
}

/// What a view says of a goal.
struct Judgement {
    value: Option<SloValue>,
    attainment: Option<f64>,
    verdict: Verdict,
}

impl View<'_> {
    fn judge(&self, goal: &Goal) -> Judgement {
        let value = self.figure(goal.metric);
        let attainment = self.attainment(goal);
        let verdict = match (goal.metric, attainment) {
            (Metric::Latency(_, Figure::Quantile(share)), attained) if goal.relation.is_upper() => {
                // A share of whole tickets is compared: rounding must not turn it over.
                attained.map_or(Verdict::Unknown, |attained| Verdict::of(attained >= share - 1e-12))
            }
            _ => match value {
                None => Verdict::Unknown,
                Some(figure) => Verdict::of(goal.relation.holds(figure, goal.limit)),
            },
        };
        let value = value.map(|figure| SloValue::of(goal.metric, figure));
        Judgement { value, attainment, verdict }
    }

    fn figure(&self, metric: Metric) -> Option<f64> {
        let Counts { issued, rejected, served, failed } = self.counts;
        match metric {
            Metric::Latency(latency, figure) => {
                let histogram = (self.histogram)(latency).filter(|values| values.count() > 0)?;
                Some(seconds(match figure {
                    Figure::Quantile(share) => histogram.quantile(share),
                    Figure::Mean => histogram.mean(),
                    Figure::Max => histogram.max(),
                }))
            }
            Metric::Reject => ratio(rejected?, self.counts.offered()?),
            Metric::Fail => ratio(failed, issued),
            Metric::Unfinished if !self.is_over => None,
            Metric::Unfinished => ratio(issued.saturating_sub(served + failed), issued),
            Metric::Drop => ratio(self.dropped?, self.intended?),
            Metric::Utilization => self.utilization,
            Metric::Throughput => self.throughput,
        }
    }

    /// Returns the share of the offered tickets that met a limit; `None` without any, and if nobody
    /// knows how many were offered or what users saw.
    fn attainment(&self, goal: &Goal) -> Option<f64> {
        let Metric::Latency(latency, Figure::Quantile(_)) = goal.metric else { return None };
        if !goal.relation.is_upper() {
            return None;
        }
        let histogram = (self.histogram)(latency);
        let Counts { issued, rejected, served, failed } = self.counts;
        let rejected = rejected?;
        let ended = if self.is_over { issued } else { served + failed };
        let offered = match latency {
            // Users know of what never reached the office too.
            Latency::Response | Latency::Lag => {
                let intended = self.intended?;
                if self.is_over { intended.max(issued + rejected) } else { ended + rejected }
            }
            _ => ended + rejected,
        };
        let limit = nanos(Duration::try_from_secs_f64(goal.limit).unwrap_or(Duration::MAX));
        let may_be_the_same = goal.relation.holds(goal.limit, goal.limit);
        let count = if may_be_the_same { Histogram::count_up_to } else { Histogram::count_below };
        let good = histogram.map_or(0, |values| count(values, limit));
        // The counts and the histogram of a second do not come at the very same moment.
        ratio(good, offered.max(histogram.map_or(0, Histogram::count)))
    }
}

#[expect(clippy::cast_precision_loss, reason = "a figure for people")]
fn seconds(ns: u64) -> f64 {
    ns as f64 / 1e9
}

#[expect(clippy::cast_precision_loss, reason = "a ratio for people")]
fn ratio(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

/// Judges the goals of a run, second by second.
#[derive(Debug)]
pub(crate) struct Watch {
    goals: Vec<Watched>,
    services: Vec<String>,
    /// Latencies of the last measured seconds, by latency and service.
    recents: BTreeMap<(&'static str, Option<usize>), Recent>,
    /// Counts at the ends of the last measured seconds, and of the second before them.
    counted: VecDeque<Counted>,
}

/// A goal and its alert.
#[derive(Debug)]
struct Watched {
    name: String,
    goal: Goal,
    service: Option<usize>,
    alert: Verdict,
    since: Option<Time>,
    calm: u32,
    recent: Option<SloValue>,
}

/// Counts since the office opened, at one moment.
#[derive(Clone, Debug, Default)]
struct Counted {
    at: Time,
    services: Vec<ServiceTotals>,
    staffed_ns: u128,
    intended: u64,
    dropped: u64,
}

impl Counted {
    fn of(results: &Results) -> Self {
        let IssuerTotals { at, services, staffed_ns, .. } = &results.issuer;
        let users = results.users();
        Self {
            at: *at,
            services: services.clone(),
            staffed_ns: *staffed_ns,
            intended: users.intended,
            dropped: users.dropped,
        }
    }

    fn counts(&self, service: Option<usize>) -> Counts {
        let of = |range: &[ServiceTotals]| {
            Counts::of(sum(range.iter().map(|service| service.totals)), true)
        };
        match service {
            None => of(&self.services),
            Some(index) => of(self.services.get(index..=index).unwrap_or_default()),
        }
    }

    fn busy_ns(&self) -> u128 {
        self.services.iter().map(|service| service.in_service_ns).sum()
    }
}

impl Watch {
    /// Returns a watch over goals; `services` are the names of the services in scenario order.
    pub(crate) fn new(slos: &[Slo], services: &[String]) -> Self {
        let mut watch = Self {
            goals: Vec::new(),
            services: services.to_vec(),
            recents: BTreeMap::new(),
            counted: VecDeque::new(),
        };
        watch.set_goals(slos);
        watch
    }

    /// Takes other goals; those that stay keep their alert.
    pub(crate) fn set_goals(&mut self, slos: &[Slo]) {
        let mut before = std::mem::take(&mut self.goals);
        let goals = slos.iter().flat_map(|slo| slo.goals.iter().map(|goal| (&slo.name, goal)));
        for (name, goal) in goals {
            let is_it = |known: &Watched| known.name == *name && known.goal == *goal;
            let kept = before.iter().position(is_it).map(|at| before.swap_remove(at));
            let named = |service: &String| self.services.iter().position(|known| known == service);
            self.goals.push(kept.unwrap_or_else(|| Watched {
                name: name.clone(),
                goal: goal.clone(),
                service: goal.service.as_ref().and_then(named),
                alert: Verdict::Unknown,
                since: None,
                calm: 0,
                recent: None,
            }));
        }
        let wanted: Vec<_> = self.goals.iter().filter_map(Watched::latency).collect();
        self.recents.retain(|key, _| wanted.contains(key));
        for key in wanted {
            self.recents.entry(key).or_default();
        }
    }

    /// Returns the services of which single seconds must be known.
    pub(crate) fn services(&self) -> Vec<usize> {
        let mut services: Vec<usize> =
            self.recents.keys().filter_map(|(_, service)| *service).collect();
        services.sort_unstable();
        services.dedup();
        services
    }

    /// Takes a second that is over and returns what people should know. Seconds without measured
    /// time are left out, as the verdict leaves them out.
    pub(crate) fn end_second(
        &mut self,
        fresh: &Fresh,
        results: &Results,
        is_measured: bool,
    ) -> Vec<News> {
        let counted = Counted::of(results);
        if !is_measured {
            // What comes next is compared with this.
            self.counted.clear();
            self.counted.push_back(counted);
            return Vec::new();
        }
        for (&(latency, service), recent) in &mut self.recents {
            recent.push(fresh.histogram(latency, service));
        }
        let at = counted.at;
        self.counted.push_back(counted);
        while self.counted.len() > ALERT_SECONDS + 1 {
            self.counted.pop_front();
        }
        let Self { goals, recents, counted, .. } = self;
        let (Some(first), Some(last)) = (counted.front(), counted.back()) else {
            return Vec::new();
        };
        goals.iter_mut().filter_map(|watched| watched.look(recents, first, last, at)).collect()
    }

    /// Returns a row for each goal.
    pub(crate) fn rows(&self, figures: &Figures, is_over: bool) -> Vec<SloRow> {
        self.goals.iter().map(|watched| watched.row(figures, is_over, &self.services)).collect()
    }
}

impl Watched {
    fn latency(&self) -> Option<(&'static str, Option<usize>)> {
        match self.goal.metric {
            Metric::Latency(latency, _) => Some((latency.name(), self.service)),
            _ => None,
        }
    }

    /// Judges the last seconds; returns what people should know if the alert begins or ends.
    fn look(
        &mut self,
        recents: &BTreeMap<(&'static str, Option<usize>), Recent>,
        first: &Counted,
        last: &Counted,
        at: Time,
    ) -> Option<News> {
        let (before, after) = (first.counts(self.service), last.counts(self.service));
        let span = last.at.since(first.at).as_secs_f64();
        let served = after.served.saturating_sub(before.served);
        let histogram = |latency: Latency| {
            recents.get(&(latency.name(), self.service)).map(Recent::ten_seconds)
        };
        let busy = last.busy_ns().saturating_sub(first.busy_ns());
        let staffed = last.staffed_ns.saturating_sub(first.staffed_ns);
        #[expect(clippy::cast_precision_loss, reason = "figures for people")]
        let view = View {
            histogram: &histogram,
            counts: Counts {
                issued: after.issued.saturating_sub(before.issued),
                rejected: (after.rejected.zip(before.rejected))
                    .map(|(after, before)| after.saturating_sub(before)),
                served,
                failed: after.failed.saturating_sub(before.failed),
            },
            intended: Some(last.intended.saturating_sub(first.intended)),
            dropped: Some(last.dropped.saturating_sub(first.dropped)),
            utilization: (staffed > 0).then(|| busy as f64 / staffed as f64),
            throughput: (span > 0.0).then(|| served as f64 / span),
            is_over: false,
        };
        let Judgement { value, verdict, .. } = view.judge(&self.goal);
        self.recent = value;
        self.turn(verdict, at)
    }

    fn turn(&mut self, verdict: Verdict, at: Time) -> Option<News> {
        self.calm = if verdict == Verdict::Met { self.calm + 1 } else { 0 };
        let before = self.alert;
        let is_over = before != Verdict::Missed || self.calm >= CALM_SECONDS;
        if verdict == before || verdict == Verdict::Unknown || !is_over {
            return None;
        }
        let since = self.since.replace(at);
        self.alert = verdict;
        let text = &self.goal.text;
        let value = self.recent.map_or_else(|| format::ABSENT.to_owned(), SloValue::text);
        let (severity, label, text) = match (before, verdict) {
            (_, Verdict::Missed) => {
                (Severity::Warning, "SLO missed", format!("SLO {text} missed: {value}"))
            }
            (Verdict::Missed, _) => {
                let lasted = format::duration(at.since(since.unwrap_or(at)));
                (Severity::Info, "SLO met", format!("SLO {text} met again after {lasted}: {value}"))
            }
            _ => return None,
        };
        Some(News { severity, who: Source::Office, label: label.to_owned(), text })
    }

    fn row(&self, figures: &Figures, is_over: bool, services: &[String]) -> SloRow {
        let of: &ServiceFigures = match self.service {
            Some(index) => figures.services.get(index).unwrap_or(&figures.all),
            None => &figures.all,
        };
        // Where there is one service, the histograms of all are its own.
        let service = self.service.filter(|_| services.len() > 1);
        let service = service.and_then(|index| services.get(index));
        let histogram = |latency: Latency| {
            let is_it = |named: &&NamedHistogram| {
                named.name == latency.name() && named.service.as_ref() == service
            };
            figures.histograms.iter().find(is_it).map(|named| &*named.histogram)
        };
        let view = View {
            histogram: &histogram,
            counts: of.counts,
            intended: figures.users.intended,
            dropped: figures.users.dropped,
            utilization: of.utilization,
            throughput: of.throughput,
            is_over,
        };
        let Judgement { value, attainment, verdict } = view.judge(&self.goal);
        SloRow {
            name: self.name.clone(),
            text: self.goal.text.clone(),
            metric: self.goal.metric_text().to_owned(),
            value,
            limit: SloValue::of(self.goal.metric, self.goal.limit),
            attainment,
            verdict,
            recent: self.recent,
            alert: self.alert,
            since: self.since,
        }
    }
}

#[cfg(test)]
mod tests;
