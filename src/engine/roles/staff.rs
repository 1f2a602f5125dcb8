//! A supervisor's side of the control plane: a fleet of child processes and the links to them.
//!
//! [`Fleet`] decides; this file starts and ends processes, carries what they say to the fleet,
//! and hands to its owner what only the owner can answer: which configuration a new process
//! gets, and how one is asked to end.

use std::collections::BTreeMap;
use std::collections::VecDeque;

use mio::net::UnixStream;
use nix::sys::signal::Signal as OsSignal;

use super::control::{FIRST_LOG_LEVEL, level_of, merge_metrics, number_of};
use super::event_loop::Refusal;
use super::links::{CONTROL_LIMITS, LinkId, Links, PerLink};
use crate::clock::Time;
use crate::limits;
use crate::net::frame::Frame;
use crate::net::message::{
    ChildToSupervisor, FIRST_ROLE_KIND, Heartbeat, LogLevel, LogLine, NetTotals, SupervisorToChild,
};
use crate::net::wire::Message;
use crate::perf::Metrics;
use crate::supervisor::Pid;
use crate::supervisor::child::{Child, Effect, Input};
use crate::supervisor::freeze::Freezes;
use crate::supervisor::pace::Pace;
use crate::supervisor::plan::Fleet;
use crate::supervisor::report::{Cause, Phase, Transition};
use crate::supervisor::restart::Policy;
use crate::supervisor::signals;
use crate::supervisor::spawn::{Spawner, Stderr, reap_dead};
use crate::supervisor::stderr::StderrPipe;

/// The processes of one role under one supervisor.
#[derive(Debug)]
pub struct Staff {
    role: &'static str,
    is_numbered: bool,
    /// Its members come and go by the hundred, so only their troubles are told.
    is_crowd: bool,
    stderr: Stderr,
    fleet: Fleet,
    frozen: Freezes,
    /// The slot that each link leads to. A dead process's link stays until its last words are
    /// read.
    slots: PerLink<u16>,
    desks: BTreeMap<u16, Desk>,
    events: VecDeque<Event>,
    metrics: Metrics,
    /// What each process has counted of its connections, and those that have ended.
    nets: PerLink<NetTotals>,
    net_past: NetTotals,
    /// How important a line of their logs must be.
    log_level: log::LevelFilter,
    ticked_at: Time,
}

/// What belongs to one slot.
#[derive(Debug, Default)]
struct Desk {
    link: Option<LinkId>,
    stderr: Option<StderrPipe>,
    /// What the process before wrote there at last.
    last_words: Vec<String>,
    note: String,
}

/// What the owner should know or answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A new process has said hello and waits for its configuration.
    Greeted(u16),
    /// A process should be asked to end.
    Stop(u16),
    /// A slot's state changed.
    Changed(u16, Transition),
    /// A process gives up: exit code and reason.
    Failure(u16, u8, String),
}

/// The kind of staff.
#[derive(Clone, Copy, Debug)]
pub struct Kind {
    /// The role's name on the command line.
    pub role: &'static str,
    /// Whether there can be several.
    pub is_numbered: bool,
    /// Where their standard error goes.
    pub stderr: Stderr,
    /// The limits of one process.
    pub policy: &'static Policy,
    /// The limits of all.
    pub pace: Pace,
}

impl Staff {
    /// Returns a staff without processes.
    pub fn new(kind: Kind) -> Self {
        Self {
            role: kind.role,
            is_numbered: kind.is_numbered,
            is_crowd: kind.policy.restarts_max.is_none(),
            stderr: kind.stderr,
            fleet: Fleet::new(kind.policy, kind.pace),
            frozen: Freezes::default(),
            slots: PerLink::default(),
            desks: BTreeMap::new(),
            events: VecDeque::new(),
            metrics: Metrics::default(),
            nets: PerLink::default(),
            net_past: NetTotals::default(),
            log_level: FIRST_LOG_LEVEL,
            ticked_at: Time::ZERO,
        }
    }

    /// Returns the fleet, to say what is wanted or to look at it.
    pub fn fleet(&mut self) -> &mut Fleet {
        &mut self.fleet
    }

    /// Returns the fleet, to look at it.
    pub fn view(&self) -> &Fleet {
        &self.fleet
    }

    /// Lets a slot's process stand still (SIGSTOP) until a moment; returns whether one lives.
    pub fn freeze(&mut self, slot: u16, until: Time) -> bool {
        let Some(pid) = self.pid(slot) else { return false };
        self.signal(pid, OsSignal::SIGSTOP);
        self.frozen.add(slot, pid, until);
        true
    }

    /// Lets a slot's process go on (SIGCONT), whoever has stopped it; returns whether one lives.
    pub fn thaw(&mut self, slot: u16) -> bool {
        self.frozen.remove(slot);
        let Some(pid) = self.pid(slot) else { return false };
        self.signal(pid, OsSignal::SIGCONT);
        true
    }

    /// Lets all processes go on that stand still, whoever has stopped them.
    pub fn thaw_all(&mut self) {
        self.frozen = Freezes::default();
        for &pid in self.fleet.pids().keys() {
            self.signal(pid, OsSignal::SIGCONT);
        }
    }

    /// Returns the slots whose processes stand still because a person wants that.
    pub fn frozen(&self) -> &Freezes {
        &self.frozen
    }

    fn pid(&self, slot: u16) -> Option<Pid> {
        self.fleet.child(slot).and_then(Child::pid)
    }

    /// Returns whether all processes have ended and all that they said has been heard.
    pub fn has_left(&self) -> bool {
        self.fleet.all_stopped() && self.slots.iter().next().is_none()
    }

    /// Returns the slot that a link leads to.
    pub fn slot_of(&self, link: LinkId) -> Option<u16> {
        self.slots.get(link).copied()
    }

    /// Returns what was last said about why a slot's process ended or waits.
    pub fn note(&self, slot: u16) -> &str {
        self.desks.get(&slot).map_or("", |desk| &desk.note)
    }

    /// Returns the last lines that a slot's process wrote to its standard error; those of the one
    /// before if it has written none.
    pub fn last_words(&self, slot: u16) -> Vec<String> {
        let Some(desk) = self.desks.get(&slot) else { return Vec::new() };
        let lines = desk.stderr.iter().flat_map(|pipe| pipe.tail().lines());
        let own: Vec<String> = lines.map(str::to_owned).collect();
        if own.is_empty() { desk.last_words.clone() } else { own }
    }

    /// Sends a message to a slot's process, if it lives.
    pub fn send<'m>(&self, slot: u16, message: &impl Message<'m>, links: &mut Links) {
        if let Some(Desk { link: Some(link), .. }) = self.desks.get(&slot) {
            links.send(*link, message);
        }
    }

    /// Sends a message to all living processes.
    pub fn send_all<'m>(&self, message: &impl Message<'m>, links: &mut Links) {
        for link in self.desks.values().filter_map(|desk| desk.link) {
            links.send(link, message);
        }
    }

    /// Has all processes, and those that will be started, send lines of their logs down to a level.
    pub fn set_log_level(&mut self, level: log::LevelFilter, links: &mut Links) {
        if level != self.log_level {
            self.log_level = level;
            self.send_all(&level_word(level), links);
        }
    }

    /// Takes what every child says in the same way. Returns whether that was all; if not, the
    /// frame is for the owner, who knows the role.
    ///
    /// # Errors
    /// [`Refusal`] if the frame is not what a child says.
    pub fn frame(
        &mut self,
        link: LinkId,
        slot: u16,
        frame: &Frame<'_>,
        now: Time,
    ) -> Result<bool, Refusal> {
        if frame.kind >= FIRST_ROLE_KIND {
            self.trace(slot, frame);
            return Ok(false);
        }
        // The last words of a dead process are heard, but not taken for signs of life of the
        // next one.
        let is_alive = self.desk(slot).link == Some(link);
        let word = ChildToSupervisor::decode(frame.kind, frame.payload)?;
        if !matches!(word, ChildToSupervisor::Log(_)) {
            self.trace(slot, frame);
        }
        match word {
            ChildToSupervisor::Hello(_) if is_alive => {
                self.fleet.handle(slot, Input::Hello, now);
                self.events.push_back(Event::Greeted(slot));
            }
            ChildToSupervisor::Heartbeat(Heartbeat { is_waiting, .. }) if is_alive => {
                let input = if is_waiting { Input::Progress } else { Input::Heartbeat };
                self.fleet.handle(slot, input, now);
            }
            ChildToSupervisor::Hello(_) | ChildToSupervisor::Heartbeat(_) => {}
            ChildToSupervisor::Log(line) => self.log(slot, &line),
            ChildToSupervisor::Metrics(delta) => merge_metrics(&mut self.metrics, &delta)?,
            ChildToSupervisor::Net(net) => self.nets.insert(link, net),
            ChildToSupervisor::Failure(failure) => {
                let reason = failure.reason.to_owned();
                self.desk(slot).note.clone_from(&reason);
                self.events.push_back(Event::Failure(slot, failure.exit, reason));
            }
        }
        Ok(true)
    }

    /// Gives away what the processes recorded of their own work since the last time.
    pub fn take_metrics(&mut self, mut take: impl FnMut(&Metrics)) {
        take(&self.metrics);
        self.metrics.clear();
    }

    /// Returns what all processes have counted of their connections, those that have ended
    /// included, and how many of them live.
    pub fn net(&self) -> (u32, NetTotals) {
        let (mut processes, mut all) = (0, self.net_past);
        for (_, net) in self.nets.iter() {
            processes += 1;
            all.add(net);
        }
        (processes, all)
    }

    /// Takes note that a slot's process serves.
    pub fn ready(&mut self, slot: u16, now: Time) {
        self.fleet.handle(slot, Input::Ready, now);
        self.desk(slot).note.clear();
    }

    /// Takes note that a link closed; returns whether it was one of this staff's.
    pub fn closed(&mut self, link: LinkId) -> bool {
        let Some(slot) = self.slots.remove(link) else {
            return false;
        };
        if let Some(net) = self.nets.remove(link) {
            self.net_past.add(&net.of_the_past());
        }
        let desk = self.desk(slot);
        if desk.link == Some(link) {
            desk.link = None;
        }
        true
    }

    /// Reaps, acts on deadlines, starts and ends processes; returns what the owner should know.
    pub fn turn(&mut self, spawner: &Spawner, now: Time, links: &mut Links) -> Option<Event> {
        if self.ticked_at != now {
            self.credit_lateness(now);
            self.reap(now);
            self.frozen.retain(self.fleet.pids());
            while let Some(pid) = self.frozen.poll_due(now) {
                self.signal(pid, OsSignal::SIGCONT);
            }
            self.fleet.handle_tick(now);
            self.ticked_at = now;
        }
        self.act(spawner, now, links);
        let event = self.events.pop_front();
        if let Some(Event::Greeted(slot)) = event
            && self.log_level != FIRST_LOG_LEVEL
        {
            self.send(slot, &level_word(self.log_level), links);
        }
        event
    }

    /// When [`Self::turn`] has something to do though nothing came.
    pub fn deadline(&self) -> Time {
        self.fleet.deadline().unwrap_or(Time::NEVER).min(self.frozen.deadline())
    }

    /// A supervisor that did not run for a while (a suspended machine) blames nobody for it.
    fn credit_lateness(&mut self, now: Time) {
        // The owner's own heartbeats turn its loop at least this often.
        let lateness = now.since(self.ticked_at + limits::HEARTBEAT_INTERVAL);
        if self.ticked_at.is_set() && lateness > limits::LATENESS_CREDITED {
            log::warn!(target: "supervisor", "the supervisor was late; its children get the time: late={lateness:?}");
            self.fleet.credit(lateness);
        }
    }

    fn reap(&mut self, now: Time) {
        for (slot, _, ending) in reap_dead(self.fleet.pids()) {
            self.read_stderr(slot);
            self.fleet.handle(slot, Input::Exited(ending), now);
        }
    }

    /// Keeps the pipes empty, so that no child ever waits for a reader.
    pub fn read_stderr_of_all(&mut self) {
        let slots: Vec<u16> = self.desks.keys().copied().collect();
        for slot in slots {
            self.read_stderr(slot);
        }
    }

    fn read_stderr(&mut self, slot: u16) {
        if let Some(Desk { stderr: Some(pipe), note, .. }) = self.desks.get_mut(&slot) {
            pipe.drain();
            if let Some(line) = pipe.tail().last_line()
                && note != line
            {
                line.clone_into(note);
                log::warn!(target: "stderr", "{} {slot}: {line}", self.role);
            }
        }
    }

    fn act(&mut self, spawner: &Spawner, now: Time, links: &mut Links) {
        while let Some((slot, effect)) = self.fleet.poll_effect() {
            match effect {
                Effect::Spawn { .. } => self.spawn(slot, spawner, now, links),
                Effect::Stop => {
                    // Who stands still, whoever has stopped it, can't hear that it should end.
                    self.thaw(slot);
                    self.events.push_back(Event::Stop(slot));
                }
                Effect::Signal { pid, signal } => self.signal(pid, signal),
                Effect::Report(transition) => self.report(slot, transition),
            }
        }
    }

    fn signal(&self, pid: Pid, signal: impl Into<OsSignal>) {
        if let Err(error) = signals::send(pid, signal) {
            log::error!("{error}");
        }
    }

    fn spawn(&mut self, slot: u16, spawner: &Spawner, now: Time, links: &mut Links) {
        let id = self.is_numbered.then_some(slot);
        let input = match spawner.spawn(self.role, id, self.stderr) {
            Ok(spawned) => {
                let link = links.adopt(UnixStream::from_std(spawned.control), CONTROL_LIMITS);
                self.slots.insert(link, slot);
                let last_words = self.last_words(slot);
                let desk = self.desk(slot);
                desk.last_words = last_words;
                desk.link = Some(link);
                desk.stderr = spawned.stderr;
                Input::Spawned { pid: spawned.pid }
            }
            Err(error) => {
                log::error!("{error}");
                self.desk(slot).note = error.to_string();
                Input::SpawnFailed { errno: error.errno() }
            }
        };
        self.fleet.handle(slot, input, now);
    }

    fn report(&mut self, slot: u16, transition: Transition) {
        let name = self.name(slot);
        // It was asked to end and is started again.
        let is_renewal = matches!(transition.from, Phase::Draining | Phase::Terminating);
        match transition.to {
            Phase::Failed => log::error!(target: "supervisor", "{name}: {transition}"),
            Phase::Backoff if is_renewal => {
                log::info!(target: "supervisor", "{name}: {transition}")
            }
            Phase::Suspect | Phase::Backoff | Phase::Killed => {
                log::warn!(target: "supervisor", "{name}: {transition}")
            }
            _ if self.is_crowd => log::debug!(target: "supervisor", "{name}: {transition}"),
            _ => log::info!(target: "supervisor", "{name}: {transition}"),
        }
        if let Cause::Exited(_) | Cause::TooManyDeaths(_) | Cause::SpawnFailed(_) = transition.cause
            && self.desk(slot).note.is_empty()
        {
            self.desk(slot).note = transition.cause.to_string();
        }
        self.events.push_back(Event::Changed(slot, transition));
    }

    fn trace(&self, slot: u16, frame: &Frame<'_>) {
        let (kind, bytes) = (frame.kind, frame.payload.len());
        log::trace!(target: "supervisor", "{} says: kind={kind} bytes={bytes}", self.name(slot));
    }

    fn log(&self, slot: u16, line: &LogLine<'_>) {
        let name = self.name(slot);
        log::log!(target: &name, level_of(line.level), "{}", line.text);
    }

    fn name(&self, slot: u16) -> String {
        if self.is_numbered { format!("{} {slot}", self.role) } else { self.role.to_owned() }
    }

    fn desk(&mut self, slot: u16) -> &mut Desk {
        self.desks.entry(slot).or_default()
    }
}

fn level_word(level: log::LevelFilter) -> SupervisorToChild {
    let level = number_of(level.to_level().unwrap_or(log::Level::Error));
    SupervisorToChild::LogLevel(LogLevel { level })
}
