//! All that a screen can show at one instant: plain data, made by the director, read by anyone.
//!
//! Spans are `Duration`, moments are [`Time`], sizes say their unit, ratios are `0.0..=1.0`.
//! What is not known is `None`, never zero.

use std::sync::Arc;
use std::time::Duration;

use engine::clock::{Time, WallTime};
use engine::ids::RunId;
use engine::perf::Histogram;
pub(crate) use engine::perf::Spread;
use serde::{Deserialize, Serialize};

mod store;

pub(crate) use store::*;

use super::action::{Ask, ProcessId};
use super::conf::{Answer, ChangeRow, ConfRow, PendingReload, Refusal};
pub(crate) use super::events::{Happening, Source};
use super::figures::Figures;
use super::heat::Heat;
use super::history::History;
pub(crate) use super::net::NetRow;
use super::serial::{self, KnownMetric, Text};
pub(crate) use super::settings::Settings;
use super::slo::SloRow;
#[cfg(test)]
pub(crate) use super::sysinfo::watch::{SysGroup, SysLine};
pub(crate) use super::sysinfo::watch::{SysHint, SysRow};

/// A snapshot of the whole office. What is left out of its own form for travelling is large and
/// seldom changes: see [`super::wire`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct AppState {
    /// From where the office is looked at.
    pub(crate) view: View,
    /// Which snapshot of the run this is: they are numbered from one.
    pub(crate) number: u64,
    /// When the snapshot was taken.
    pub(crate) at: Time,
    /// The same for people.
    pub(crate) wall: WallTime,
    /// Where the run stands.
    pub(crate) phase: Phase,
    /// The run's identity.
    pub(crate) run: RunFacts,
    /// When arrivals began; `None` before.
    pub(crate) opened_at: Option<Time>,
    /// When the run stood still; the last pause lasts on while its end is [`Time::NEVER`].
    pub(crate) pauses: Vec<(Time, Time)>,
    /// Time since arrivals began, without pauses; zero before.
    #[serde(with = "serial::ns")]
    pub(crate) elapsed: Duration,
    /// Worker processes that are ready, and how many are wanted.
    pub(crate) workers: Level,
    /// Users that are hosted by a ready process, and how many are wanted.
    pub(crate) users: Level,
    /// Seats of ready workers, and how many of them are busy.
    pub(crate) seats: Seats,
    /// Tickets since the office opened, warm-up included.
    pub(crate) totals: Totals,
    /// Rates over the last second.
    pub(crate) rates: Rates,
    /// The last five minutes at most, oldest first, four samples a second.
    #[serde(skip)]
    pub(crate) series: Arc<Vec<Sample>>,
    /// The run second by second.
    #[serde(skip)]
    pub(crate) history: History,
    /// How latencies were spread in the last seconds.
    #[serde(skip)]
    pub(crate) heat: Heat,
    /// The figures of the measured window.
    #[serde(skip)]
    pub(crate) figures: Arc<Figures>,
    /// Percentiles of tickets that arrived after the warm-up (wait, service, sojourn, response,
    /// overhead).
    pub(crate) latencies: Vec<LatencyRow>,
    /// One row per service, in scenario order.
    pub(crate) services: Vec<ServiceRow>,
    /// One row per process: director, issuer, workers, users manager, user processes.
    pub(crate) processes: Vec<ProcessRow>,
    /// The log.
    pub(crate) store: StoreRow,
    /// What the product recorded of its own work, one row per metric of the catalog, over all
    /// processes; empty if metrics are compiled out or off.
    #[serde(skip)]
    pub(crate) metrics: Arc<Vec<MetricRow>>,
    /// Recordings of metrics that found no room.
    pub(crate) metrics_dropped: u64,
    /// What passes over the sockets, one row per role; empty before the first second is over.
    pub(crate) net: Arc<Vec<NetRow>>,
    /// One row per goal, in the scenario's order.
    pub(crate) slos: Vec<SloRow>,
    /// One row per key of the scenario that is in effect, in the order in which files show them.
    #[serde(skip)]
    pub(crate) conf: Arc<Vec<ConfRow>>,
    /// The same as a file that reads back equal, live changes included.
    #[serde(skip)]
    pub(crate) conf_text: Arc<str>,
    /// A scenario that was read again and waits for a yes or no.
    pub(crate) reload: Option<Arc<PendingReload>>,
    /// What became of the last wishes to change the configuration, newest last.
    pub(crate) answers: Arc<Vec<Answer>>,
    /// Why the run is ending, if something could not go on.
    pub(crate) failure: Option<String>,
    /// What people should know, newest last, at most eight.
    pub(crate) notices: Vec<Notice>,
    /// What people did and what happened, newest last, at most
    /// [`EVENTS_MAX`](super::events::EVENTS_MAX).
    #[serde(skip)]
    pub(crate) events: Arc<Vec<Happening>>,
    /// Older ones that are no longer kept.
    pub(crate) events_dropped: u64,
    /// What deviates from the ordinary now.
    pub(crate) settings: Settings,
    /// The machine, and where it limits the run; `None` before the first look.
    pub(crate) sys: Option<Arc<SysRow>>,
}

/// From where an office is looked at.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum View {
    /// From its own process, now.
    #[default]
    Live,
    /// From another process.
    Attached(Attached),
    /// From its log.
    Replay(Replay),
}

/// How an attached dashboard stands to the office.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Attached {
    /// The office's director; `None` if only its socket is known.
    pub(crate) pid: Option<u32>,
    /// Whether it may act.
    pub(crate) may_act: bool,
    /// Snapshots that were left out because this end was slower than they came.
    pub(crate) skipped: u64,
    /// Why nothing comes any more: the office has ended, vanished, or speaks another version.
    pub(crate) lost: Option<String>,
}

/// What part of a log is looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Replay {
    /// Which run of the data directory, from one, and how many it has.
    pub(crate) number: usize,
    pub(crate) runs: usize,
    /// The first and the last moment that the log holds of the run.
    pub(crate) from: Time,
    pub(crate) until: Time,
    /// The moment that is looked at.
    pub(crate) at: Time,
    /// Whether it moves on by itself.
    pub(crate) is_playing: bool,
    /// How fast, in thousandths of the run's own pace.
    pub(crate) speed_milli: u32,
    /// The log is being written and the newest moment is followed.
    pub(crate) is_following: bool,
    /// What the log does not hold of this run, and why.
    pub(crate) gaps: Vec<String>,
}

impl AppState {
    /// Returns a snapshot of an office of which nothing else is known.
    pub(crate) fn blank(run: RunFacts, phase: Phase) -> Self {
        Self {
            view: View::Live,
            number: 0,
            at: Time::ZERO,
            wall: WallTime::now(),
            phase,
            run,
            opened_at: None,
            pauses: Vec::new(),
            elapsed: Duration::ZERO,
            workers: Level::default(),
            users: Level::default(),
            seats: Seats::default(),
            totals: Totals::default(),
            rates: Rates::default(),
            series: Arc::default(),
            history: History::default(),
            heat: Heat::default(),
            figures: Arc::default(),
            latencies: Vec::new(),
            services: Vec::new(),
            processes: Vec::new(),
            store: StoreRow::default(),
            metrics: Arc::default(),
            metrics_dropped: 0,
            net: Arc::default(),
            slos: Vec::new(),
            conf: Arc::default(),
            conf_text: "".into(),
            reload: None,
            answers: Arc::default(),
            failure: None,
            notices: Vec::new(),
            events: Arc::default(),
            events_dropped: 0,
            settings: Settings::default(),
            sys: None,
        }
    }

    /// Returns what became of a wish to change the configuration: the keys that differ, or why
    /// nothing was changed; `None` while nobody knows yet.
    pub(crate) fn answer_to(&self, ask: Ask) -> Option<&Result<Vec<ChangeRow>, Refusal>> {
        let answer = self.answers.iter().rev().find(|answer| answer.ask == ask);
        answer.map(|answer| &answer.outcome)
    }
}

/// What identifies a run, and what its scenario says of it now.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct RunFacts {
    /// Chosen at random.
    pub(crate) id: RunId,
    /// The master seed; `None` if nobody knows.
    pub(crate) seed: Option<u64>,
    /// The scenario's name.
    pub(crate) scenario: String,
    /// The scenario as it was at the start, as INI text.
    pub(crate) scenario_text: Arc<str>,
    /// When the director started.
    pub(crate) started: WallTime,
    /// The machine's name.
    pub(crate) host: String,
    /// CPUs that the processes may use.
    pub(crate) cpus: usize,
    /// When arrivals stop; `None` is never.
    #[serde(with = "serial::ns_option")]
    pub(crate) duration: Option<Duration>,
    /// How long open tickets may finish after the end of arrivals.
    #[serde(with = "serial::ns")]
    pub(crate) drain: Duration,
    /// The fsync policy whose promise holds for all that was acknowledged, as the scenario spells
    /// it: after a change to a stricter one the old one, until all is on the disk.
    pub(crate) fsync: String,
    /// What a power loss takes under that policy.
    #[serde(deserialize_with = "serial::power_loss")]
    pub(crate) power_loss_takes: Text,
    /// The data directory.
    pub(crate) data_dir: String,
}

/// Where the run stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Phase {
    /// Processes are being started.
    Starting,
    /// The issuer opens the log of an earlier run: it looks at the index, then it reads.
    Recovering(Option<Reading>),
    /// Tickets flow.
    Running,
    /// Arrivals and dispatch are frozen.
    Paused,
    /// Arrivals have ended; open tickets are being served, then processes stop.
    Draining {
        /// Tickets still open.
        open: u64,
    },
    /// All processes have ended.
    Stopped(Ending),
}

impl RunFacts {
    /// Returns the seed as people see it.
    pub(crate) fn seed_text(&self) -> String {
        super::format::known(self.seed, |seed| seed.to_string())
    }

    /// Returns the run's identity as people see it.
    pub(crate) fn id_text(&self) -> String {
        format!("{:016x}", self.id.0)
    }
}

impl Phase {
    /// Returns the word that stands for it.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Recovering(_) => "recovering",
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Draining { .. } => "draining",
            Self::Stopped(_) => "stopped",
        }
    }
}

/// How far a log has been read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Reading {
    /// Records read so far.
    pub(crate) records: u64,
    /// Bytes read so far.
    pub(crate) bytes: u64,
    /// Bytes to read.
    pub(crate) bytes_total: u64,
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Ending {
    /// The duration was reached, or somebody asked for the end.
    Completed,
    /// A signal ended it.
    Interrupted {
        /// The signal's number.
        signal: i32,
    },
    /// The scenario's `explode` condition held.
    Overloaded {
        /// Tickets that waited when it was decided.
        waiting: u64,
    },
    /// Something could not go on.
    Failed {
        /// The process exit code that says why.
        exit: crate::app::exit::Exit,
        /// What happened, to what, and what to do.
        reason: String,
    },
}

/// An actual and a wanted number; `None` is not known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Level {
    /// How many there are.
    pub(crate) actual: Option<u32>,
    /// How many there should be.
    pub(crate) target: Option<u32>,
}

impl Level {
    /// Returns a level of which both numbers are known.
    pub(crate) fn of(actual: u32, target: u32) -> Self {
        Self { actual: Some(actual), target: Some(target) }
    }

    /// Returns whether there are as many as there should be, as far as that is known.
    pub(crate) fn is_reached(self) -> bool {
        self.target.is_none() || self.actual == self.target
    }
}

/// Seats of ready workers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Seats {
    /// Seats that hold a ticket now.
    pub(crate) busy: u32,
    /// Seats of ready workers; `None` is not known.
    pub(crate) staffed: Option<u32>,
}

/// Counts of tickets. `offered = issued + rejected`; `issued = served + failed + open`. What no log
/// holds is `None` in a replay that has nothing else to go by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Totals {
    /// Requests that reached the issuer.
    pub(crate) offered: Option<u64>,
    /// Requests that got a ticket.
    pub(crate) issued: u64,
    /// Requests that found the office full.
    pub(crate) rejected: Option<u64>,
    /// Tickets served.
    pub(crate) served: u64,
    /// Tickets given up after their workers died too often.
    pub(crate) failed: u64,
    /// Tickets waiting for a seat now.
    pub(crate) waiting: u64,
    /// Tickets in service now.
    pub(crate) in_service: u64,
    /// Tickets of an earlier run or epoch that were queued again at a start of the issuer.
    pub(crate) recovered: u64,
    /// Tickets handed out again because their worker died.
    pub(crate) redelivered: u64,
    /// Requests that were due and never sent.
    pub(crate) dropped: Option<u64>,
    /// Peers refused because of a wrong version, token or frame.
    pub(crate) bad_peers: Option<u64>,
}

/// Rates over the last second, per second; `None` until a whole second was seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Rates {
    /// Requests.
    pub(crate) offered: Option<f64>,
    /// Completions.
    pub(crate) served: Option<f64>,
    /// Rejections.
    pub(crate) rejected: Option<f64>,
    /// Busy seats ÷ staffed seats over the last second; `None` without a staffed seat.
    pub(crate) utilization: Option<f64>,
}

/// One point of the charts.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Sample {
    /// When.
    pub(crate) at: Time,
    /// Requests per second since the sample before; `None` if nobody knows the rejected ones.
    pub(crate) offered: Option<f64>,
    /// Completions per second since the sample before.
    pub(crate) served: f64,
    /// Tickets waiting at that moment.
    pub(crate) waiting: u64,
    /// Tickets in service at that moment.
    pub(crate) in_service: u64,
}

/// Percentiles of one latency.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LatencyRow {
    /// `wait`, `service`, `sojourn`, `overhead`, `response`, `lag`.
    #[serde(deserialize_with = "serial::latency")]
    pub(crate) name: Text,
    /// Over the measured window.
    pub(crate) run: LatencyFigures,
    /// Over the last second, ten seconds and minute, warm-up included; see [`RECENT_SPANS`].
    pub(crate) recent: [LatencyFigures; 3],
}

/// A latency over some time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LatencyFigures {
    /// How many values.
    pub(crate) count: u64,
    /// The values; `None` if there are none.
    pub(crate) spread: Option<Spread>,
    /// The 99.99th percentile; `None` if there are no values.
    pub(crate) p9999: Option<Duration>,
}

impl LatencyFigures {
    /// Returns the figures of a histogram.
    pub(crate) fn of(histogram: &Histogram) -> Self {
        let count = histogram.count();
        let p9999 = (count > 0).then(|| Duration::from_nanos(histogram.quantile(0.9999)));
        Self { count, spread: histogram.spread(), p9999 }
    }
}

/// One internal metric.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct MetricRow {
    /// Which one.
    #[serde(with = "serial::metric")]
    pub(crate) metric: KnownMetric,
    /// What was recorded.
    pub(crate) value: MetricValue,
}

/// What was recorded of a metric.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum MetricValue {
    /// The sum of a counter.
    Count(u64),
    /// The values of a histogram, in the metric's unit.
    Values(Arc<Histogram>),
}

/// The spans of [`LatencyRow::recent`], in seconds.
pub(crate) const RECENT_SPANS: [usize; 3] = [1, 10, 60];

/// One service.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct ServiceRow {
    /// Its name.
    pub(crate) name: String,
    /// Tickets issued.
    pub(crate) issued: u64,
    /// Tickets served.
    pub(crate) served: u64,
    /// Requests rejected; `None` is not known.
    pub(crate) rejected: Option<u64>,
    /// Tickets waiting now.
    pub(crate) waiting: u64,
    /// Tickets in service now.
    pub(crate) in_service: u64,
    /// Completions per second over the last second; `None` until a whole second was seen.
    pub(crate) served_rate: Option<f64>,
    /// Waiting time; `None` before the first completion.
    pub(crate) wait: Option<Spread>,
    /// Sojourn time; `None` before the first completion.
    pub(crate) sojourn: Option<Spread>,
}

/// One process.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct ProcessRow {
    /// Which process.
    pub(crate) id: ProcessId,
    /// Its pid, while it lives.
    pub(crate) pid: Option<u32>,
    /// Where it stands.
    pub(crate) state: ProcessState,
    /// Share of one core over the last second (may exceed 1.0); `None` if it can't be read.
    pub(crate) cpu: Option<f64>,
    /// Resident memory; `None` if it can't be read.
    pub(crate) rss_bytes: Option<u64>,
    /// Times that it was started again; `None` is not known.
    pub(crate) restarts: Option<u32>,
    /// Tickets issued (issuer), served (worker) or told (user process).
    pub(crate) tickets: u64,
    /// Users hosted (user process) or seats (worker); `None` is not known.
    pub(crate) hosts: Option<u32>,
    /// Tickets per second, second by second.
    pub(crate) trend: Trend,
    /// What killed it last, or why it waits.
    pub(crate) note: String,
    /// The last lines of its standard error, or of the one's before it; none for user processes,
    /// which their manager watches.
    pub(crate) last_words: Vec<String>,
}

/// Seconds of a [`Trend`].
pub(crate) const TREND_SECONDS: usize = 8;

/// A rate over the last seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Trend {
    /// Newest last; those that are not known are at the front.
    rates: [f32; TREND_SECONDS],
    /// How many are known.
    known: u8,
}

impl Trend {
    /// Adds the rate of a second.
    #[expect(clippy::cast_possible_truncation, reason = "three digits are shown")]
    pub(crate) fn push(&mut self, rate: f64) {
        self.rates.rotate_left(1);
        self.rates[TREND_SECONDS - 1] = rate as f32;
        self.known = self.known.saturating_add(1).min(TREND_SECONDS as u8);
    }

    /// Returns the rates that are known, newest last.
    pub(crate) fn rates(&self) -> impl DoubleEndedIterator<Item = f64> + '_ {
        let unknown = TREND_SECONDS - usize::from(self.known);
        self.rates[unknown..].iter().map(|rate| f64::from(*rate))
    }
}

/// Where a process stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) enum ProcessState {
    /// Spawned, not ready yet.
    Starting,
    /// Working.
    Ready,
    /// No heartbeat for a second.
    Suspect,
    /// Finishing what it holds.
    Draining,
    /// Asked to end.
    Stopping,
    /// Waiting to be started again.
    Backoff,
    /// Given up: its restart limit was reached.
    Failed,
    /// Ended as asked.
    Stopped,
    /// No log says.
    Unknown,
}

impl ProcessState {
    /// Returns the word that tables show.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Ready => "ready",
            Self::Suspect => "suspect",
            Self::Draining => "draining",
            Self::Stopping => "stopping",
            Self::Backoff => "backoff",
            Self::Failed => "failed",
            Self::Stopped => "stopped",
            Self::Unknown => super::format::ABSENT,
        }
    }
}

/// Something that people should know.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Notice {
    /// When.
    pub(crate) wall: WallTime,
    /// How bad.
    pub(crate) severity: Severity,
    /// What happened, to what, and what follows.
    pub(crate) text: String,
}

/// How bad a notice is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) enum Severity {
    /// Something happened as asked.
    Info,
    /// Odd but handled.
    Warning,
    /// Something is lost or given up.
    Error,
}

impl Severity {
    /// Returns the word that tables show.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}
