//! The director: starts the office, watches it, steers it, and ends it in order.
//!
//! It runs on a thread of its own, which lives as long as any child (the kernel would take the
//! end of the spawning thread for the parent's death). Decisions are [`Run`]'s and the fleets';
//! this file carries them out. It is never on the path of a ticket, and whatever shows its
//! snapshots is never on its own.

use std::path::PathBuf;
use std::sync::mpsc::Receiver;

use engine::clock::{Time, WallTime};
use engine::config::Effective;
use engine::config::scenario;
use engine::ids::RunId;
use engine::limits;
use engine::net::frame::Frame;
use engine::net::message::{
    Carry, Curbs, DirectorToIssuer, DirectorToManager, DirectorToWorker, IssuerConfig,
    IssuerToDirector, IssuerTotals, ManagerToDirector, Secret, Signal, UsersConfig, WorkerConfig,
    WorkerToDirector,
};
use engine::net::wire::Message;
use engine::roles::event_loop::{Closed, Next, Refusal, Role};
use engine::roles::links::{LinkId, Links};
use engine::roles::staff::{Event as StaffEvent, Kind, Staff};
use engine::supervisor::child::Input;
use engine::supervisor::pace::Pace;
use engine::supervisor::report::{Cause, Phase as ChildPhase, Transition};
use engine::supervisor::restart::Policy;
use engine::supervisor::signals::Signal as OsSignal;
use engine::supervisor::spawn::{Spawner, Stderr};
use engine::timed;

use super::action::ProcessId;
use super::conf::reader::Reader;
use super::conf::{Conf, Recipe};
use super::crash;
use super::events::News;
use super::exit::Exit;
use super::handle::Desk;
use super::results::Results;
use super::snapshot::{self, Album, Steered};
use super::state::{Ending, Phase, Severity, Source};
use super::sysinfo::watch::SysSlot;
use super::tempo::Pacemaker;
use super::update::{Effect, Event, Rules, Run};

mod acts;
mod config;
mod news;

use config::Changes;

/// What has become of a wish: whether something is other than before, or why it can't be done.
type Outcome = Result<bool, String>;

/// What a run needs beside its scenario.
#[derive(Clone, Debug)]
pub(crate) struct Orders {
    /// What to do.
    pub(crate) effective: Effective,
    /// Where that came from.
    pub(crate) recipe: Recipe,
    /// Whether somebody can be asked: whether a scenario that was read again is to be applied, or
    /// whether what was given up is to be tried again.
    pub(crate) has_screen: bool,
    /// The run's identity.
    pub(crate) run: RunId,
    /// The master seed.
    pub(crate) seed: u64,
    /// What children show to the issuer.
    pub(crate) secret: Secret,
    /// Where the log lives.
    pub(crate) data_dir: PathBuf,
    /// Where the issuer listens.
    pub(crate) socket: PathBuf,
    /// Where workers may make scratch files.
    pub(crate) scratch_dir: PathBuf,
    /// Where looks at the machine lie.
    pub(crate) sys: SysSlot,
    /// Where users append acknowledged ids.
    pub(crate) ack_log: Option<PathBuf>,
    /// Where users note what they were told, for the export.
    pub(crate) notes_dir: Option<PathBuf>,
}

/// The director's side of the event loop.
pub(crate) struct Director {
    orders: Orders,
    desk: Desk,
    signals: Receiver<OsSignal>,
    spawner: Spawner,
    issuer: Staff,
    workers: Staff,
    manager: Staff,
    run: Run,
    tempo: Pacemaker,
    results: Results,
    album: Album,
    /// The configuration, and what children are started with as text.
    conf: Conf,
    staff_text: String,
    reader: Reader,
    changes: Changes,
    /// What people hold back or slow down.
    curbs: Curbs,
    has_started_users: bool,
    /// What was last told of where the run stands.
    told_phase: Phase,
    publish_at: Time,
    terminations: u32,
}

static CORE: Policy = Policy::CORE;

const ISSUER: Kind = Kind {
    role: "issuer",
    is_numbered: false,
    stderr: Stderr::Keep,
    policy: &CORE,
    pace: Pace::SLOTS_ONLY,
};
const WORKER: Kind = Kind { role: "worker", is_numbered: true, pace: Pace::POOL, ..ISSUER };
const MANAGER: Kind = Kind { role: "users-manager", ..ISSUER };

/// The only slot of a role that has one process.
const ONLY: u16 = 0;

impl Director {
    /// Returns a director that will start its office in the first turn.
    pub(crate) fn new(orders: Orders, desk: Desk, signals: Receiver<OsSignal>) -> Self {
        let scenario = &orders.effective.scenario;
        let album = Album::new(&orders);
        let mut results = Results::new(scenario.services.len());
        results.watch_services(album.watched_services());
        let desk_wake = desk.waker();
        Self {
            desk,
            signals,
            spawner: Spawner::own_executable(),
            issuer: Staff::new(ISSUER),
            workers: Staff::new(WORKER),
            manager: Staff::new(MANAGER),
            tempo: Pacemaker::new(scenario),
            run: Run::new(rules_of(&scenario.run), scenario.run.warmup, scenario.run.duration),
            results,
            album,
            conf: Conf::new(&orders.effective),
            staff_text: orders.effective.to_ini(),
            reader: Reader::new(orders.recipe.clone(), desk_wake),
            changes: Changes::default(),
            curbs: Curbs::default(),
            has_started_users: false,
            told_phase: Phase::Starting,
            publish_at: Time::ZERO,
            terminations: 0,
            orders,
        }
    }

    /// Tells people something that nobody should overlook.
    pub(crate) fn warn(&mut self, news: News, now: Time) {
        self.album.warn(news, now);
    }

    // --- people -----------------------------------------------------------------------------

    fn take_signals(&mut self, now: Time) {
        while let Ok(signal) = self.signals.try_recv() {
            if signal == OsSignal::Reload {
                self.reload_by_signal(now);
            } else if let OsSignal::Terminate { number } = signal {
                self.terminations += 1;
                let ending = Ending::Interrupted { signal: number };
                let times = self.terminations;
                log::info!(target: "director", "a signal ends the run: signal={number} times={times}");
                let event = if self.terminations == 1 {
                    Event::Drain(ending)
                } else {
                    Event::StopNow(ending)
                };
                self.run.handle(event, now);
            }
        }
    }

    // --- children ---------------------------------------------------------------------------

    fn on_issuer(&mut self, frame: &Frame<'_>, now: Time, links: &Links) -> Result<(), Refusal> {
        match IssuerToDirector::decode(frame.kind, frame.payload)? {
            IssuerToDirector::Ready(ready) => {
                self.issuer.ready(ONLY, now);
                self.album.recovered(&ready, now);
                self.results.issuer_started(ready);
                self.run.handle(Event::IssuerReady, now);
            }
            IssuerToDirector::Recovering(recovering) => {
                self.issuer.fleet().handle(ONLY, Input::Progress, now);
                self.album.set_recovering(&recovering);
            }
            IssuerToDirector::Totals(totals) => {
                self.tell_of_disk(&totals, now);
                let ends_second = totals.ends_second;
                self.results.issuer = totals;
                self.note_present();
                if ends_second {
                    self.end_second(now, links);
                }
                let (waiting, _) = self.results.present();
                let IssuerTotals { at, open, untold, .. } = self.results.issuer;
                let was_ending = self.run.is_ending();
                self.run.handle(Event::Counted { at, waiting, open, untold }, now);
                if let (false, Some(Ending::Overloaded { waiting })) =
                    (was_ending, self.run.ending())
                {
                    let text = format!(
                        "{waiting} tickets wait, more than run.explode allows: the run ends as \
                         overloaded"
                    );
                    log::error!(target: "director", "{text}");
                    self.warn(error("overload", text), now);
                }
            }
            IssuerToDirector::Latencies(latencies) => self.results.take_latencies(&latencies)?,
        }
        Ok(())
    }

    /// Writes down for a replay who is there.
    fn note_present(&mut self) {
        let workers = (snapshot::alive(&self.workers), u32::from(self.conf.workers()));
        let users = (self.results.population.users, self.conf.users().iter().sum());
        self.album.note_present(&self.results, workers, users);
    }

    /// What was measured is complete up to now: it is worth a look.
    fn end_second(&mut self, now: Time, links: &Links) {
        for staff in [&mut self.issuer, &mut self.workers, &mut self.manager] {
            staff.take_metrics(|metrics| self.results.take_metrics(metrics));
        }
        let workers = self.workers.view().counts().ready;
        self.album.end_second(WallTime::now(), &self.run, &mut self.results, workers);
        let [issuer, staff, manager] = [&self.issuer, &self.workers, &self.manager].map(Staff::net);
        let told = [(1, links.net()), issuer, staff, manager, self.results.users_net()];
        self.album.end_second_of_net(told, now);
        self.publish_at = now;
    }

    /// Tells people when the log can't grow, and when it can again.
    fn tell_of_disk(&mut self, totals: &IssuerTotals, now: Time) {
        let (after, before) = (&totals.store, &self.results.issuer.store);
        for (after, before, what, goes_on, is_over) in [
            (
                &after.trouble,
                &before.trouble,
                "disk",
                "the log can not grow",
                "the log can grow again",
            ),
            (
                &after.index_trouble,
                &before.index_trouble,
                "index",
                "the index can not follow the log, which goes on",
                "the index follows the log again",
            ),
        ] {
            match (after, before) {
                (Some(trouble), None) => {
                    log::error!(target: "director", "{goes_on}: {trouble}");
                    let news = error(&format!("{what} bad"), format!("{goes_on}: {trouble}"));
                    self.album.warn(news, now);
                }
                (None, Some(_)) => {
                    // Who was told of the trouble is told of its end.
                    log::warn!(target: "director", "{is_over}");
                    let (severity, text) = (Severity::Info, is_over.to_owned());
                    let news = error(&format!("{what} good"), text);
                    self.album.warn(News { severity, ..news }, now);
                }
                _ => {}
            }
        }
    }

    fn on_worker(&mut self, slot: u16, frame: &Frame<'_>, now: Time) -> Result<(), Refusal> {
        match WorkerToDirector::decode(frame.kind, frame.payload)? {
            WorkerToDirector::Ready(_) => self.workers.ready(slot, now),
            WorkerToDirector::Totals(totals) => {
                self.results.workers.insert(slot, totals);
            }
        }
        Ok(())
    }

    fn on_manager(&mut self, frame: &Frame<'_>, now: Time) -> Result<(), Refusal> {
        match ManagerToDirector::decode(frame.kind, frame.payload)? {
            ManagerToDirector::Ready(_) => self.manager.ready(ONLY, now),
            ManagerToDirector::Totals(totals) => self.results.set_users(totals),
            ManagerToDirector::Latencies(latencies) => {
                self.results.take_user_latencies(&latencies)?;
            }
            ManagerToDirector::Population(population) => {
                let before = self.user_lives();
                self.results.population = population;
                let after = self.user_lives();
                if before != after {
                    // Somebody may wait to see it.
                    self.publish_at = now;
                }
                if !self.run.is_ending() {
                    for news in news::of_users(&before, &after) {
                        self.album.tell(news, now);
                    }
                }
            }
            ManagerToDirector::Net(net) => self.results.set_users_net(net),
        }
        Ok(())
    }

    fn on_issuer_event(&mut self, event: StaffEvent, now: Time, links: &mut Links) {
        match event {
            StaffEvent::Greeted(_) => {
                let carry = if self.results.recovery.is_some() {
                    self.results.carry()
                } else {
                    Carry::default()
                };
                let config = IssuerConfig {
                    scenario: self.staff_text.clone(),
                    data_dir: text(&self.orders.data_dir),
                    socket: text(&self.orders.socket),
                    secret: self.orders.secret,
                    run: self.orders.run,
                    timeline: self.run.timeline().clone(),
                    carry,
                    curbs: self.curbs.clone(),
                };
                self.issuer.send(ONLY, &DirectorToIssuer::Configure(config), links);
            }
            StaffEvent::Stop(_) => {
                let stop = DirectorToIssuer::Stop(Signal { at: now });
                self.issuer.send(ONLY, &stop, links);
            }
            StaffEvent::Changed(_, transition) => {
                self.on_change(ProcessId::Issuer, &transition, now);
            }
            StaffEvent::Failure(_, exit, reason) => self.on_failure(exit, reason, now),
        }
    }

    fn on_worker_event(&mut self, event: StaffEvent, now: Time, links: &mut Links) {
        match event {
            StaffEvent::Greeted(slot) => {
                self.results.worker_restarted(slot);
                let config = WorkerConfig {
                    scenario: self.staff_text.clone(),
                    socket: text(&self.orders.socket),
                    secret: self.orders.secret,
                    seats: self.conf.seating().at(slot),
                    scratch_dir: text(&self.orders.scratch_dir),
                };
                self.workers.send(slot, &DirectorToWorker::Configure(config), links);
            }
            StaffEvent::Stop(slot) => {
                let stop = DirectorToWorker::Drain(Signal { at: now });
                self.workers.send(slot, &stop, links);
            }
            StaffEvent::Changed(slot, transition) => {
                let worker = ProcessId::Worker(engine::ids::WorkerId(slot));
                self.on_change(worker, &transition, now);
            }
            StaffEvent::Failure(_, exit, reason) => self.on_failure(exit, reason, now),
        }
    }

    fn on_manager_event(&mut self, event: StaffEvent, now: Time, links: &mut Links) {
        match event {
            StaffEvent::Greeted(_) => {
                self.results.manager_restarted();
                let path = |path: &Option<PathBuf>| path.as_ref().map(|path| text(path));
                let config = UsersConfig {
                    scenario: self.staff_text.clone(),
                    seed: self.orders.seed,
                    socket: text(&self.orders.socket),
                    secret: self.orders.secret,
                    timeline: self.run.timeline().clone(),
                    tempo: self.tempo.line().clone(),
                    ack_log: path(&self.orders.ack_log),
                    notes_dir: path(&self.orders.notes_dir),
                };
                self.manager.send(ONLY, &DirectorToManager::Configure(config), links);
                self.send_wanted(links);
            }
            StaffEvent::Stop(_) => {
                let stop = DirectorToManager::Stop(Signal { at: now });
                self.manager.send(ONLY, &stop, links);
            }
            StaffEvent::Changed(_, transition) => {
                let manager = ProcessId::UsersManager;
                self.on_change(manager, &transition, now);
            }
            StaffEvent::Failure(_, exit, reason) => self.on_failure(exit, reason, now),
        }
    }

    /// A process changed: people see a death, and the end of a role is the end of the run.
    fn on_change(&mut self, process: ProcessId, transition: &Transition, now: Time) {
        self.publish_at = now;
        if self.run.is_ending() {
            return;
        }
        if transition.to == ChildPhase::Failed {
            let reason = format!("{process} was given up: {transition}");
            let is_limit = matches!(
                transition.cause,
                Cause::TooManyDeaths(_) | Cause::TooManyDeathsInPool | Cause::SpawnFailed(_)
            );
            if self.orders.has_screen && is_limit {
                return self.hold(reason, now);
            }
            return self.on_failure(Exit::Failed.code(), reason, now);
        }
        let staff = match process {
            ProcessId::Issuer => &self.issuer,
            ProcessId::Worker(_) => &self.workers,
            _ => &self.manager,
        };
        let child = staff.view().child(process.number().unwrap_or(ONLY));
        let is_again = child.is_some_and(|child| child.restarts() > 0);
        match news::of_transition(process, transition, is_again) {
            Some(news) if news.severity > Severity::Info => self.album.warn(news, now),
            Some(news) => self.album.tell(news, now),
            None => {}
        }
    }

    /// A role died too often and somebody is there to decide: nothing goes on meanwhile.
    fn hold(&mut self, reason: String, now: Time) {
        self.run.handle(Event::Pause, now);
        let text = format!("{reason}; the office stands still: restart it and resume, or quit");
        self.warn(error("given up", text), now);
    }

    fn on_failure(&mut self, exit: u8, reason: String, now: Time) {
        self.warn(error("failed", reason.clone()), now);
        let exit = Exit::of_role(exit);
        self.run.handle(Event::Drain(Ending::Failed { exit, reason }), now);
    }

    fn supervise(&mut self, now: Time, links: &mut Links) {
        while let Some(event) = self.issuer.turn(&self.spawner, now, links) {
            self.on_issuer_event(event, now, links);
        }
        while let Some(event) = self.workers.turn(&self.spawner, now, links) {
            self.on_worker_event(event, now, links);
        }
        while let Some(event) = self.manager.turn(&self.spawner, now, links) {
            self.on_manager_event(event, now, links);
        }
    }

    /// Tells the run what the fleets have reached.
    fn look_at_fleets(&mut self, now: Time) {
        if self.run.is_ending() {
            for (staff, gone) in [
                (&self.issuer, Event::IssuerGone),
                (&self.workers, Event::WorkersGone),
                (&self.manager, Event::UsersGone),
            ] {
                if staff.has_left() {
                    self.run.handle(gone, now);
                }
            }
            return;
        }
        if self.workers.view().is_settled() && self.manager.view().is_settled() {
            self.run.handle(Event::StaffReady, now);
        }
        if self.has_started_users && self.results.population.users >= self.conf.users().iter().sum()
        {
            self.run.handle(Event::UsersReady, now);
        }
    }

    // --- the run ----------------------------------------------------------------------------

    fn carry_out(&mut self, effect: Effect, now: Time, links: &mut Links) {
        match effect {
            Effect::StartStaff => {
                let (workers, grace) = (self.conf.workers(), limits::WORKERS_LEAVE_WITHIN);
                self.workers.fleet().set_wanted(workers, grace, now);
                self.manager.fleet().set_wanted(1, limits::USERS_LEAVE_WITHIN, now);
            }
            Effect::StartUsers => {
                self.has_started_users = true;
                self.send_wanted(links);
            }
            Effect::SendTimeline => {
                let line = self.run.timeline();
                let to_issuer = DirectorToIssuer::Timeline(line.clone());
                let to_manager = DirectorToManager::Timeline(line.clone());
                self.issuer.send(ONLY, &to_issuer, links);
                self.manager.send(ONLY, &to_manager, links);
                self.album.note_run(&self.run, now);
            }
            Effect::StepOver => {
                let (severity, who) = (Severity::Info, Source::Office);
                let text = "the office stands still again: the step is over".to_owned();
                self.album.tell(News { severity, who, label: "step over".to_owned(), text }, now);
            }
            Effect::StopUsers => self.manager.fleet().stop_all(limits::USERS_LEAVE_WITHIN, now),
            Effect::DrainWorkers => {
                self.workers.fleet().stop_all(limits::WORKERS_LEAVE_WITHIN, now);
            }
            Effect::StopIssuer => self.issuer.fleet().stop_all(limits::ISSUER_LEAVE_WITHIN, now),
            Effect::StopAll => {
                self.workers.send_all(&DirectorToWorker::Stop(Signal { at: now }), links);
                for staff in [&mut self.manager, &mut self.workers, &mut self.issuer] {
                    staff.fleet().stop_all(limits::ABORT_GRACE, now);
                }
            }
            Effect::KillAll => {
                for staff in [&mut self.manager, &mut self.workers, &mut self.issuer] {
                    staff.fleet().kill_all(now);
                }
            }
        }
    }

    /// Tells people when the doors open and when the end begins, whoever has brought it about.
    fn tell_phase(&mut self, now: Time, links: &mut Links) {
        let phase = self.run.phase();
        let before = std::mem::replace(&mut self.told_phase, phase);
        let (label, text) = match (&before, &self.told_phase) {
            (Phase::Starting, Phase::Running) => ("open", "the doors are open".to_owned()),
            (Phase::Starting | Phase::Running | Phase::Paused, Phase::Draining { .. }) => {
                self.lift_all(now, links);
                let why = match self.run.ending() {
                    Some(Ending::Interrupted { signal }) => format!(" by signal {signal}"),
                    _ => String::new(),
                };
                ("end", format!("the end has begun{why}: open tickets are served"))
            }
            _ => return,
        };
        let (severity, who, label) = (Severity::Info, Source::Office, label.to_owned());
        self.album.tell(News { severity, who, label, text }, now);
    }

    fn publish(&mut self, now: Time) {
        for news in self.orders.sys.take_news() {
            match news.severity {
                Severity::Info => self.album.tell(news, now),
                _ => self.warn(news, now),
            }
        }
        let staffs = [&self.issuer, &self.workers, &self.manager];
        let (workers, users) = (self.conf.workers(), self.conf.users().iter().sum());
        let steered = Steered { workers, users, settings: self.settings() };
        let state = timed!(
            DIRECTOR_SNAPSHOT,
            self.album.take(now, WallTime::now(), &self.run, &self.results, staffs, steered)
        );
        self.desk.publish(state);
    }
}

impl Role for Director {
    fn frame(
        &mut self,
        link: LinkId,
        frame: &Frame<'_>,
        now: Time,
        links: &mut Links,
    ) -> Result<(), Refusal> {
        if let Some(slot) = self.issuer.slot_of(link) {
            if !self.issuer.frame(link, slot, frame, now)? {
                self.on_issuer(frame, now, links)?;
            }
        } else if let Some(slot) = self.workers.slot_of(link) {
            if !self.workers.frame(link, slot, frame, now)? {
                self.on_worker(slot, frame, now)?;
            }
        } else if let Some(slot) = self.manager.slot_of(link)
            && !self.manager.frame(link, slot, frame, now)?
        {
            self.on_manager(frame, now)?;
        }
        Ok(())
    }

    fn closed(&mut self, link: LinkId, _reason: Closed, _now: Time, _links: &mut Links) {
        for staff in [&mut self.issuer, &mut self.workers, &mut self.manager] {
            staff.closed(link);
        }
    }

    fn turn(&mut self, now: Time, links: &mut Links) -> Next {
        crash::failpoint("director");
        if !self.publish_at.is_set() {
            self.issuer.fleet().set_wanted(1, limits::ISSUER_LEAVE_WITHIN, now);
        }
        self.results.make_room();
        for staff in [&mut self.issuer, &mut self.workers, &mut self.manager] {
            // What nobody here takes need not be sent.
            staff.set_log_level(log::max_level(), links);
        }
        self.take_signals(now);
        self.take_actions(now, links);
        self.turn_changes(now, links);
        self.supervise(now, links);
        self.look_at_fleets(now);
        if self.run.deadline() <= now {
            self.run.handle(Event::Tick, now);
        }
        for effect in self.run.take_effects() {
            self.carry_out(effect, now, links);
            self.publish_at = now;
        }
        self.tell_phase(now, links);
        self.supervise(now, links);
        let has_ended = self.run.ended().is_some();
        if has_ended {
            self.album.note_run(&self.run, now);
        }
        if self.publish_at <= now || has_ended {
            self.publish_at = now + limits::TELEMETRY_INTERVAL;
            for staff in [&mut self.issuer, &mut self.workers, &mut self.manager] {
                staff.read_stderr_of_all();
            }
            self.publish(now);
        }
        if has_ended { Next::Exit(0) } else { Next::Wait }
    }

    fn deadline(&self) -> Time {
        [&self.issuer, &self.workers, &self.manager]
            .into_iter()
            .map(Staff::deadline)
            .chain([self.run.deadline(), self.publish_at])
            .min()
            .unwrap_or(Time::NEVER)
    }
}

/// Returns what ends a run.
fn rules_of(run: &scenario::Run) -> Rules {
    Rules { drain: run.drain, explode_waiting: run.explode_waiting }
}

/// Returns something bad that happened to the run.
fn error(label: &str, text: String) -> News {
    News { severity: Severity::Error, who: Source::Office, label: label.to_owned(), text }
}

fn text(path: &std::path::Path) -> String {
    path.to_string_lossy().into_owned()
}
