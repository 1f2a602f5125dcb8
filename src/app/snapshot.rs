//! From what processes reported to what a screen can show.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use engine::clock::{Clock, SystemClock, Time, WallTime};
use engine::config::scenario::FsyncPolicy;
use engine::ids::{UserProcessId, WorkerId};
use engine::limits;
use engine::net::message::{IssuerReady, IssuerTotals, NetTotals, Recovering, ServiceTotals};
use engine::perf::catalog::{LOGSTORE_FSYNC, Metric};
use engine::perf::metrics::Value;
use engine::perf::{Histogram, Metrics};
use engine::roles::staff::Staff;
use engine::supervisor::child::Child;
use engine::supervisor::report::Phase as ChildPhase;

use super::action::ProcessId;
use super::conf::{Answer, Conf, ConfRow, PendingReload};
use super::director::Orders;
use super::events::{Events, News};
use super::figures::Figures;
use super::heat::{Band, Heat, HeatRow};
use super::history::{History, Second};
use super::looks::{Files, Paces};
use super::net::NetBook;
use super::procs::Procs;
use super::recent::Recent;
use super::results::{Fresh, Latencies, Results};
use super::slo::{SloRow, Watch};
use super::staffing::Seating;
use super::state::{
    AppState, LatencyFigures, LatencyRow, Level, MetricRow, MetricValue, Notice, Phase, ProcessRow,
    ProcessState, Rates, Reading, RecoveryRow, RunFacts, Sample, Seats, ServiceRow, Settings,
    Severity, Source, StoreRow, Totals, Trend, View,
};
use super::sysinfo::watch::SysSlot;
use super::tempo::Pulse;
use super::update::Run;

mod config;
mod store;

/// Notices that people can still read.
const NOTICES_MAX: usize = 8;
/// How often processes are looked at.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);
/// The span over which rates are taken.
const RATE_SPAN: Duration = Duration::from_secs(1);

/// Makes snapshots and keeps what they need from one to the next.
#[derive(Debug)]
pub(crate) struct Album {
    facts: RunFacts,
    data_dir: PathBuf,
    services: Vec<String>,
    seating: Seating,
    /// A row per key of the scenario.
    conf: Arc<Vec<ConfRow>>,
    conf_text: Arc<str>,
    reload: Option<Arc<PendingReload>>,
    answers: Arc<Vec<Answer>>,
    watch: Watch,
    slos: Vec<SloRow>,
    series: Arc<Vec<Sample>>,
    /// Counts of the last second and a little more, oldest first.
    recent: VecDeque<Counted>,
    notices: Vec<Notice>,
    events: Events,
    recovering: Option<Option<Reading>>,
    recovery: Option<RecoveryRow>,
    number: u64,
    history: History,
    heat: Heat,
    figures: Arc<Figures>,
    latencies: Vec<LatencyRow>,
    metrics: Arc<Vec<MetricRow>>,
    net: NetBook,
    starting_users: u32,
    recents: [Recent; 6],
    /// The counts at the end of the last second.
    last_second: Counted,
    files: Option<Files>,
    /// Segments that there were, and that had been let go of, when files were looked at last.
    files_seen: (u64, u64),
    procs: Procs,
    looked_at: Time,
    /// How fast each process is.
    paces: Paces,
    sys: SysSlot,
}

/// What people want of the office.
#[derive(Clone, Debug)]
pub(crate) struct Steered {
    /// How many workers.
    pub(crate) workers: u16,
    /// How many users.
    pub(crate) users: u32,
    /// What deviates from the ordinary.
    pub(crate) settings: Settings,
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
        }
    }

    fn utilization_since(&self, earlier: &Self) -> Option<f64> {
        let staffed_ns = self.staffed_ns.saturating_sub(earlier.staffed_ns);
        let busy_ns = self.busy_ns.saturating_sub(earlier.busy_ns);
        (staffed_ns > 0).then(|| ratio(busy_ns, staffed_ns))
    }
}

impl Album {
    /// Returns an album for a run.
    pub(crate) fn new(orders: &Orders) -> Self {
        let scenario = &orders.effective.scenario;
        let services: Vec<String> =
            scenario.services.iter().map(|service| service.name.clone()).collect();
        let facts = RunFacts {
            id: orders.run,
            seed: orders.seed,
            scenario: orders.effective.title.clone(),
            scenario_text: orders.effective.to_ini().into(),
            started: WallTime::now(),
            host: sysinfo::System::host_name().unwrap_or_default(),
            cpus: std::thread::available_parallelism().map_or(0, usize::from),
            duration: scenario.run.duration,
            drain: scenario.run.drain,
            fsync: scenario.storage.fsync.to_string(),
            power_loss_takes: scenario.storage.fsync.power_loss_takes(),
            data_dir: orders.data_dir.display().to_string(),
        };
        Self {
            conf_text: Arc::clone(&facts.scenario_text),
            facts,
            data_dir: orders.data_dir.clone(),
            seating: Seating::of(&scenario.office),
            conf: Conf::new(&orders.effective).rows(),
            reload: None,
            answers: Arc::default(),
            watch: Watch::new(&scenario.slos, &services),
            slos: Vec::new(),
            series: Arc::default(),
            recent: VecDeque::new(),
            notices: Vec::new(),
            events: Events::default(),
            recovering: None,
            recovery: None,
            number: 0,
            history: History::default(),
            heat: Heat::default(),
            figures: Arc::new(Figures::blank(services.iter().cloned())),
            services,
            latencies: Vec::new(),
            metrics: Arc::default(),
            net: NetBook::default(),
            recents: Default::default(),
            last_second: Counted::default(),
            starting_users: scenario.loads.iter().map(|load| load.users).sum(),
            files: None,
            files_seen: (0, 0),
            procs: Procs::default(),
            looked_at: Time::ZERO,
            paces: Paces::default(),
            sys: orders.sys.clone(),
        }
    }

    /// Returns what a screen shows before the director has taken its first turn.
    pub(crate) fn blank(orders: &Orders) -> AppState {
        let Self { facts: run, conf, conf_text, watch, figures, .. } = Self::new(orders);
        let slos = watch.rows(&figures, false);
        AppState {
            view: View::Live,
            number: 0,
            at: SystemClock.now(),
            wall: WallTime::now(),
            phase: Phase::Starting,
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
            figures,
            latencies: Vec::new(),
            services: Vec::new(),
            processes: Vec::new(),
            store: StoreRow::default(),
            metrics: Arc::default(),
            metrics_dropped: 0,
            net: Arc::default(),
            slos,
            conf,
            conf_text,
            reload: None,
            answers: Arc::default(),
            failure: None,
            notices: Vec::new(),
            events: Arc::default(),
            events_dropped: 0,
            settings: Settings {
                tempo: Pulse::of(&orders.effective.scenario),
                ..Settings::default()
            },
            sys: None,
        }
    }

    /// Takes note of something that people did or that happened.
    pub(crate) fn tell(&mut self, news: News, now: Time) {
        self.events.tell(news, now, WallTime::now());
    }

    /// The same for what nobody should overlook.
    pub(crate) fn warn(&mut self, news: News, now: Time) {
        if self.notices.len() == NOTICES_MAX {
            self.notices.remove(0);
        }
        let (wall, severity, text) = (WallTime::now(), news.severity, news.text.clone());
        self.notices.push(Notice { wall, severity, text });
        self.events.tell(news, now, wall);
    }

    /// Takes note of how far the issuer has read its log.
    pub(crate) fn set_recovering(&mut self, recovering: &Recovering) {
        self.recovering = Some(recovering.reading.map(|reading| Reading {
            records: reading.records,
            bytes: reading.bytes,
            bytes_total: reading.bytes_total,
        }));
    }

    /// Takes note of what a start of the issuer found.
    pub(crate) fn recovered(&mut self, ready: &IssuerReady, now: Time) {
        self.recovering = None;
        let row = RecoveryRow::from(ready);
        for (severity, text) in row.news() {
            log::log!(target: "director", level_of(severity), "{text}");
            let (who, label) = (Source::Office, "log opened".to_owned());
            self.warn(News { severity, who, label, text }, now);
        }
        self.recovery = Some(row);
    }

    /// Takes over what was measured in a second that is over.
    pub(crate) fn end_second(
        &mut self,
        wall: WallTime,
        run: &Run,
        results: &mut Results,
        workers: u32,
    ) {
        let fresh = results.end_second();
        let Fresh { latencies, response, lag, metrics, .. } = &fresh;
        let Latencies { wait, service, sojourn, overhead } = latencies;
        let seconds: [&Histogram; 6] = [wait, service, sojourn, overhead, response, lag];
        for (recent, second) in self.recents.iter_mut().zip(seconds) {
            recent.push(second);
        }
        self.heat.push(HeatRow { end: results.at(), bands: seconds.map(Band::of) });
        self.figures = Arc::new(Figures::new(results, run, &self.services, self.starting_users));
        self.latencies = latency_rows(&self.figures, &self.recents);
        self.metrics = Arc::new(metric_rows(&results.metrics));
        let counted = Counted::of(results);
        let mut last = std::mem::replace(&mut self.last_second, counted.clone());
        let line = run.timeline();
        // The first second begins when the doors open.
        last.at = last.at.max(line.opened_at);
        if counted.at <= last.at {
            return;
        }
        let measured = line.measured(last.at, counted.at);
        for news in self.watch.end_second(&fresh, results, !measured.is_zero()) {
            log::log!(target: "director", level_of(news.severity), "{}", news.text);
            self.warn(news, counted.at);
        }
        self.slos = self.watch.rows(&self.figures, false);
        // What the issuer wrote is counted from its start.
        let is_same_life = counted.issuer_starts == last.issuer_starts;
        let written =
            |now: u64, before: u64| now.saturating_sub(if is_same_life { before } else { 0 });
        let (waiting, in_service) = results.present();
        self.history.push(Second {
            end: counted.at,
            at: line.office_time(counted.at),
            wall,
            span: counted.at.since(last.at),
            running: line.running(last.at, counted.at),
            measured,
            issued: counted.issued.saturating_sub(last.issued),
            rejected: counted.rejected.saturating_sub(last.rejected),
            served: counted.served.saturating_sub(last.served),
            failed: counted.failed.saturating_sub(last.failed),
            waiting,
            in_service,
            staffed: results.issuer.staffed,
            utilization: counted.utilization_since(&last),
            workers,
            users: results.population.users,
            wait: wait.spread(),
            sojourn: sojourn.spread(),
            response: response.spread(),
            records: written(counted.records, last.records),
            log_bytes: written(counted.log_bytes, last.log_bytes),
            syncs: written(counted.syncs, last.syncs),
            sync: metrics.histogram(LOGSTORE_FSYNC).and_then(Histogram::spread),
        });
    }

    /// Takes over what passed over the sockets of all roles, at the end of a second.
    pub(crate) fn end_second_of_net(&mut self, told: [(u32, NetTotals); 5], now: Time) {
        self.net.end_second(told, now);
    }

    /// Takes a snapshot.
    pub(crate) fn take(
        &mut self,
        now: Time,
        wall: WallTime,
        run: &Run,
        results: &Results,
        [issuer, workers, manager]: [&Staff; 3],
        steered: Steered,
    ) -> AppState {
        let Steered { workers: wanted_workers, users: wanted_users, settings } = steered;
        self.count(results);
        let (waiting, in_service) = results.present();
        self.look_at_files(now, results);
        if run.ended().is_some() {
            self.slos = self.watch.rows(&self.figures, true);
        }
        if let Some(policy) = FsyncPolicy::read(&results.issuer.store.fsync) {
            // The policy whose promise holds, as against the one that is wanted.
            self.facts.fsync.clone_from(&results.issuer.store.fsync);
            self.facts.power_loss_takes = policy.power_loss_takes();
        }
        let is_look = self.look(now, results, [issuer, workers, manager]);
        let mut processes = self.process_rows(results, [issuer, workers, manager], run.is_ending());
        self.paces.apply(&mut processes, is_look.then_some(now));
        for row in processes.iter_mut().filter(|row| settings.frozen.contains(&row.id)) {
            "stands still (frozen)".clone_into(&mut row.note);
        }
        let rates = self.rates();
        let phase = match (run.phase(), self.recovering) {
            (Phase::Starting, Some(reading)) => Phase::Recovering(reading),
            (phase, _) => phase,
        };
        self.number += 1;
        AppState {
            view: View::Live,
            number: self.number,
            at: now,
            wall,
            phase,
            run: self.facts.clone(),
            pauses: (run.timeline().pauses.iter().copied())
                .filter(|&(from, _)| from <= now)
                .collect(),
            opened_at: Some(run.timeline().opened_at).filter(|&opened| opened != Time::NEVER),
            elapsed: run.timeline().office_time(now),
            workers: Level {
                actual: workers.view().counts().ready + workers.view().counts().suspect,
                target: u32::from(wanted_workers),
            },
            users: Level { actual: results.population.users, target: wanted_users },
            seats: Seats {
                busy: u32::try_from(in_service).unwrap_or(u32::MAX),
                staffed: u32::try_from(results.issuer.staffed).unwrap_or(u32::MAX),
            },
            totals: totals(results, waiting, in_service),
            rates,
            series: Arc::clone(&self.series),
            history: self.history.clone(),
            heat: self.heat.clone(),
            figures: Arc::clone(&self.figures),
            latencies: self.latencies.clone(),
            services: self.service_rows(results),
            processes,
            store: self.store_row(results),
            metrics: Arc::clone(&self.metrics),
            metrics_dropped: results.metrics.dropped(),
            net: self.net.rows(),
            slos: self.slos.clone(),
            conf: Arc::clone(&self.conf),
            conf_text: Arc::clone(&self.conf_text),
            reload: self.reload.clone(),
            answers: Arc::clone(&self.answers),
            failure: run.failure().map(str::to_owned),
            notices: self.notices.clone(),
            events: self.events.list(),
            events_dropped: self.events.dropped(),
            settings,
            sys: self.sys.get(),
        }
    }

    /// Adds the newest counts to the charts, once per word of the issuer.
    fn count(&mut self, results: &Results) {
        let at = results.at();
        if self.recent.back().is_some_and(|last| last.at >= at) || !at.is_set() {
            return;
        }
        let counted = Counted::of(results);
        if let Some(last) = self.recent.back() {
            let (waiting, in_service) = results.present();
            let sample = Sample {
                at,
                offered: rate(offered(last), offered(&counted), last.at, at),
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

    fn rates(&self) -> Rates {
        let (Some(first), Some(last)) = (self.recent.front(), self.recent.back()) else {
            return Rates::default();
        };
        Rates {
            offered: rate(offered(first), offered(last), first.at, last.at),
            served: rate(first.served, last.served, first.at, last.at),
            rejected: rate(first.rejected, last.rejected, first.at, last.at),
            utilization: last.utilization_since(first),
        }
    }

    fn service_rows(&self, results: &Results) -> Vec<ServiceRow> {
        let served_rate = |index: usize| match (self.recent.front(), self.recent.back()) {
            (Some(first), Some(last)) => {
                let served = |counted: &Counted| counted.served_by_service.get(index).copied();
                let (from, to) = (served(first).unwrap_or(0), served(last).unwrap_or(0));
                rate(from, to, first.at, last.at)
            }
            _ => 0.0,
        };
        let row = |(index, name): (usize, &String)| {
            let counts = results.issuer.services.get(index).copied().unwrap_or_default();
            let ServiceTotals { totals, waiting, in_service, .. } = counts;
            let latencies = results.latencies.get(index);
            ServiceRow {
                name: name.clone(),
                issued: totals.issued,
                served: totals.served,
                rejected: totals.rejected,
                waiting,
                in_service,
                served_rate: served_rate(index),
                wait: latencies.and_then(|latencies| latencies.wait.spread()),
                sojourn: latencies.and_then(|latencies| latencies.sojourn.spread()),
            }
        };
        self.services.iter().enumerate().map(row).collect()
    }

    /// Looks at processes, once a second; returns whether it did.
    fn look(&mut self, now: Time, results: &Results, staffs: [&Staff; 3]) -> bool {
        if self.looked_at.is_set() && now.since(self.looked_at) < LOOK_INTERVAL {
            return false;
        }
        self.looked_at = now;
        let own = std::iter::once(std::process::id());
        let staff = staffs.iter().flat_map(|staff| staff.view().pids().keys());
        let staff = staff.map(|pid| pid.as_raw().cast_unsigned());
        let users = results.population.processes.iter().filter_map(|process| process.pid);
        self.procs.look(&own.chain(staff).chain(users).collect::<Vec<_>>());
        true
    }

    fn process_rows(
        &self,
        results: &Results,
        staffs: [&Staff; 3],
        is_ending: bool,
    ) -> Vec<ProcessRow> {
        let [issuer, workers, manager] = staffs;
        let director = ProcessRow {
            id: ProcessId::Director,
            pid: Some(std::process::id()),
            state: ProcessState::Ready,
            cpu: None,
            rss_bytes: None,
            restarts: 0,
            tickets: 0,
            hosts: 0,
            trend: Trend::default(),
            note: String::new(),
            last_words: Vec::new(),
        };
        let mut rows = vec![director];
        let issued = results.totals().issued;
        for (slot, child) in issuer.view().children() {
            let note = (issuer.note(slot), issuer.last_words(slot));
            rows.push(staff_row(ProcessId::Issuer, child, note, issued, 0));
        }
        for (slot, child) in workers.view().children() {
            let (served, seats) = (results.served_by(slot), self.seating.at(slot));
            // At the end of a run people still want to know who served what.
            let is_of_interest = is_ending && served > 0;
            if child.pid().is_none() && !child.is_wanted() && !is_of_interest {
                continue;
            }
            let id = ProcessId::Worker(WorkerId(slot));
            let note = (workers.note(slot), workers.last_words(slot));
            rows.push(staff_row(id, child, note, served, seats));
        }
        for (slot, child) in manager.view().children() {
            let (told, users) = (results.users().served, results.population.users);
            let note = (manager.note(slot), manager.last_words(slot));
            rows.push(staff_row(ProcessId::UsersManager, child, note, told, users));
        }
        for process in &results.population.processes {
            let UserProcessId(number) = process.number;
            rows.push(ProcessRow {
                id: ProcessId::User(UserProcessId(number)),
                pid: process.pid,
                state: process_state(ChildPhase::from_code(process.state)),
                cpu: None,
                rss_bytes: None,
                restarts: process.restarts,
                tickets: process.served,
                hosts: process.hosted,
                trend: Trend::default(),
                note: process.note.clone(),
                last_words: Vec::new(),
            });
        }
        for row in &mut rows {
            let usage = row.pid.and_then(|pid| self.procs.usage(pid));
            row.cpu = usage.and_then(|usage| usage.cpu);
            row.rss_bytes = usage.map(|usage| usage.rss_bytes);
        }
        rows
    }
}

fn level_of(severity: Severity) -> log::Level {
    match severity {
        Severity::Info => log::Level::Info,
        Severity::Warning => log::Level::Warn,
        Severity::Error => log::Level::Error,
    }
}

fn offered(counted: &Counted) -> u64 {
    counted.issued + counted.rejected
}

fn totals(results: &Results, waiting: u64, in_service: u64) -> Totals {
    let counts = results.totals();
    Totals {
        offered: counts.issued + counts.rejected,
        issued: counts.issued,
        rejected: counts.rejected,
        served: counts.served,
        failed: counts.failed,
        waiting,
        in_service,
        recovered: results.issuer.recovered,
        redelivered: results.issuer.redelivered,
        dropped: results.users().dropped,
        bad_peers: results.issuer.bad_peers,
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

fn staff_row(
    id: ProcessId,
    child: &Child,
    (note, last_words): (&str, Vec<String>),
    tickets: u64,
    hosts: u32,
) -> ProcessRow {
    ProcessRow {
        id,
        pid: child.pid().map(|pid| pid.as_raw().cast_unsigned()),
        state: process_state(child.phase()),
        cpu: None,
        rss_bytes: None,
        restarts: child.restarts(),
        tickets,
        hosts,
        trend: Trend::default(),
        note: note.to_owned(),
        last_words,
    }
}

fn process_state(phase: ChildPhase) -> ProcessState {
    match phase {
        ChildPhase::Stopped => ProcessState::Stopped,
        ChildPhase::Starting => ProcessState::Starting,
        ChildPhase::Ready => ProcessState::Ready,
        ChildPhase::Suspect => ProcessState::Suspect,
        ChildPhase::Draining => ProcessState::Draining,
        ChildPhase::Terminating | ChildPhase::Killed => ProcessState::Stopping,
        ChildPhase::Backoff => ProcessState::Backoff,
        ChildPhase::Failed => ProcessState::Failed,
    }
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
