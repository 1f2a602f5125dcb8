//! From what processes reported to what a screen can show.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use engine::clock::{Clock, SystemClock, Time, WallTime};
use engine::config::scenario::FsyncPolicy;
use engine::ids::{UserProcessId, WorkerId};
use engine::net::message::{Carry, IssuerReady, NetTotals, Recovering};
use engine::roles::staff::Staff;
use engine::supervisor::child::Child;
use engine::supervisor::report::Phase as ChildPhase;

use super::action::ProcessId;
use super::conf::{Answer, Conf, ConfRow, PendingReload};
use super::diary::{Diary, Present};
use super::director::Orders;
use super::events::{Events, News};
use super::growth::{self, Growth};
use super::looks::{Files, Paces};
use super::net::NetBook;
use super::procs::Procs;
use super::results::Results;
use super::runfile::RunFile;
use super::slo::{SloRow, Watch};
use super::staffing::Seating;
use super::state::{
    AppState, Level, Notice, Phase, ProcessRow, ProcessState, Reading, RecoveryRow, RunFacts,
    Seats, Settings, Severity, Source, Trend, View,
};
use super::sysinfo::watch::SysSlot;
use super::tally::{Ended, Tally, totals};
use super::tempo::Pulse;
use super::update::Run;

mod config;
mod store;

/// Notices that people can still read.
const NOTICES_MAX: usize = 8;
/// How often processes are looked at.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);

/// Makes snapshots and keeps what they need from one to the next.
#[derive(Debug)]
pub(crate) struct Album {
    facts: RunFacts,
    data_dir: PathBuf,
    seating: Seating,
    /// A row per key of the scenario.
    conf: Arc<Vec<ConfRow>>,
    conf_text: Arc<str>,
    reload: Option<Arc<PendingReload>>,
    answers: Arc<Vec<Answer>>,
    watch: Watch,
    slos: Vec<SloRow>,
    growth: growth::Watch,
    tally: Tally,
    notices: Vec<Notice>,
    events: Events,
    recovering: Option<Option<Reading>>,
    recovery: Option<RecoveryRow>,
    number: u64,
    net: NetBook,
    files: Option<Files>,
    /// Segments that there were, and that had been let go of, when files were looked at last.
    files_seen: (u64, u64),
    procs: Procs,
    looked_at: Time,
    /// How fast each process is.
    paces: Paces,
    sys: SysSlot,
    diary: Diary,
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

impl Album {
    /// Returns an album for a run.
    pub(crate) fn new(orders: &Orders) -> Self {
        let scenario = &orders.effective.scenario;
        let services: Vec<String> =
            scenario.services.iter().map(|service| service.name.clone()).collect();
        let facts = RunFacts {
            id: orders.run,
            seed: Some(orders.seed),
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
            growth: growth::Watch::default(),
            tally: Tally::new(scenario),
            notices: Vec::new(),
            events: Events::default(),
            recovering: None,
            recovery: None,
            number: 0,
            net: NetBook::default(),
            files: None,
            files_seen: (0, 0),
            procs: Procs::default(),
            looked_at: Time::ZERO,
            paces: Paces::default(),
            sys: orders.sys.clone(),
            diary: Diary::new(&orders.data_dir, orders.run),
        }
    }

    /// Returns what a screen shows before the director has taken its first turn.
    pub(crate) fn blank(orders: &Orders) -> AppState {
        let Self { facts: run, conf, conf_text, watch, tally, .. } = Self::new(orders);
        let slos = watch.rows(&tally.figures, false);
        let tempo = Pulse::of(&orders.effective.scenario);
        AppState {
            at: SystemClock.now(),
            figures: tally.figures,
            slos,
            conf,
            conf_text,
            settings: Settings { tempo, ..Settings::default() },
            ..AppState::blank(run, Phase::Starting)
        }
    }

    /// Takes note of something that people did or that happened.
    pub(crate) fn tell(&mut self, news: News, now: Time) {
        self.diary.tell(self.events.tell(news, now, WallTime::now()));
    }

    /// The same for what nobody should overlook.
    pub(crate) fn warn(&mut self, news: News, now: Time) {
        if self.notices.len() == NOTICES_MAX {
            self.notices.remove(0);
        }
        let (wall, severity, text) = (WallTime::now(), news.severity, news.text.clone());
        self.notices.push(Notice { wall, severity, text });
        self.diary.tell(self.events.tell(news, now, wall));
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
        let ended = self.tally.end_second(wall, run.timeline(), results, workers);
        let Some(Ended { fresh, at, is_measured }) = ended else { return };
        let growth = Growth::of(&self.tally.history, at);
        let news = self.growth.end_second(growth, at);
        for news in self.watch.end_second(&fresh, results, is_measured).into_iter().chain(news) {
            log::log!(target: "director", level_of(news.severity), "{}", news.text);
            self.warn(news, at);
        }
        self.slos = self.watch.rows(&self.tally.figures, false);
    }

    /// Writes down what a replay can't know from the log: what run this is, when it opened, stood
    /// still and ended. A run goes on without.
    pub(crate) fn note_run(&mut self, run: &Run, now: Time) {
        let ended = run.ended().map(|ending| (now, ending.clone()));
        let clock = (now, WallTime::now());
        self.diary.note_run(RunFile::new(self.facts.clone(), run.timeline(), clock, ended));
    }

    /// Writes down what else a replay can't know: how many there are, and were turned away. Both
    /// levels are an actual number and a wanted one.
    pub(crate) fn note_present(
        &mut self,
        results: &Results,
        workers: (u32, u32),
        users: (u32, u32),
    ) {
        let Carry { staffed_ns, bad_peers, lost_ns, rejected, .. } = results.carry();
        self.diary.note_present(Present {
            at: results.at(),
            workers,
            users,
            staffed: results.issuer.staffed,
            staffed_ns: u64::try_from(staffed_ns).unwrap_or(u64::MAX),
            rejected,
            lost_ns,
            bad_peers,
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
        self.tally.count(results);
        let (_, in_service) = results.present();
        self.look_at_files(now, results);
        if run.ended().is_some() {
            self.slos = self.watch.rows(&self.tally.figures, true);
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
        let rates = self.tally.rates();
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
            workers: Level::of(alive(workers), u32::from(wanted_workers)),
            users: Level::of(results.population.users, wanted_users),
            seats: Seats {
                busy: u32::try_from(in_service).unwrap_or(u32::MAX),
                staffed: Some(u32::try_from(results.issuer.staffed).unwrap_or(u32::MAX)),
            },
            totals: totals(results),
            rates,
            series: Arc::clone(&self.tally.series),
            history: self.tally.history.clone(),
            heat: self.tally.heat.clone(),
            figures: Arc::clone(&self.tally.figures),
            latencies: self.tally.latencies.clone(),
            services: self.tally.service_rows(results),
            processes,
            store: self.store_row(results),
            metrics: Arc::clone(&self.tally.metrics),
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
            restarts: Some(0),
            tickets: 0,
            hosts: None,
            trend: Trend::default(),
            note: String::new(),
            last_words: Vec::new(),
        };
        let mut rows = vec![director];
        let issued = results.totals().issued;
        for (slot, child) in issuer.view().children() {
            let note = (issuer.note(slot), issuer.last_words(slot));
            rows.push(staff_row(ProcessId::Issuer, child, note, issued, None));
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
            rows.push(staff_row(id, child, note, served, Some(seats)));
        }
        for (slot, child) in manager.view().children() {
            let (told, users) = (results.users().served, results.population.users);
            let note = (manager.note(slot), manager.last_words(slot));
            rows.push(staff_row(ProcessId::UsersManager, child, note, told, Some(users)));
        }
        for process in &results.population.processes {
            let UserProcessId(number) = process.number;
            rows.push(ProcessRow {
                id: ProcessId::User(UserProcessId(number)),
                pid: process.pid,
                state: process_state(ChildPhase::from_code(process.state)),
                cpu: None,
                rss_bytes: None,
                restarts: Some(process.restarts),
                tickets: process.served,
                hosts: Some(process.hosted),
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

/// Returns how many processes of a role serve, as far as is known.
pub(crate) fn alive(staff: &Staff) -> u32 {
    let counts = staff.view().counts();
    counts.ready + counts.suspect
}

fn level_of(severity: Severity) -> log::Level {
    match severity {
        Severity::Info => log::Level::Info,
        Severity::Warning => log::Level::Warn,
        Severity::Error => log::Level::Error,
    }
}

fn staff_row(
    id: ProcessId,
    child: &Child,
    (note, last_words): (&str, Vec<String>),
    tickets: u64,
    hosts: Option<u32>,
) -> ProcessRow {
    ProcessRow {
        id,
        pid: child.pid().map(|pid| pid.as_raw().cast_unsigned()),
        state: process_state(child.phase()),
        cpu: None,
        rss_bytes: None,
        restarts: Some(child.restarts()),
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
