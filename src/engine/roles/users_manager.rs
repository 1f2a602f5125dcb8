//! The users manager process: keeps user processes alive and tells each whom it hosts.
//!
//! It turns a wanted number of users per load into processes and lists of users, adds up what
//! they count and time, and passes that on to the director.

use std::collections::{BTreeMap, BTreeSet};

use super::control::{Control, Due, phase};
use super::event_loop::{Closed, Next, Refusal, Role};
use super::links::{LinkId, Links};
use super::staff::{Event, Kind, Staff};
use super::timed::Timed;
use crate::clock::Time;
use crate::ids::{UserId, UserProcessId};
use crate::limits;
use crate::net::frame::Frame;
use crate::net::message::{
    DirectorToManager, FreezeUser, HostedUsers, ManagerToDirector, ManagerToUser, Population,
    Signal, UserProcess, UserToManager, UsersConfig, UsersNet, UsersTotals,
};
use crate::net::wire::Message;
use crate::population::planner::Planner;
use crate::supervisor::child::Input;
use crate::supervisor::pace::Pace;
use crate::supervisor::report::Phase;
use crate::supervisor::restart::Policy;
use crate::supervisor::spawn::{Spawner, Stderr};

/// The users manager process.
pub struct UsersManagerRole {
    control: Control,
    spawner: Spawner,
    staff: Staff,
    office: Option<Office>,
    is_stopping: bool,
    /// People wait to see what has become of the processes.
    is_news: bool,
    /// Processes that a person has ended and that do not serve again yet.
    watched: BTreeSet<u16>,
    exit: Option<u8>,
}

/// What the manager knows once it is configured.
struct Office {
    config: UsersConfig,
    planner: Planner,
    /// The users of each process that is wanted.
    hosted: BTreeMap<u16, Vec<UserId>>,
    /// What each process has counted in its present life.
    counted: BTreeMap<u16, UsersTotals>,
    /// What processes counted that have ended.
    past: UsersTotals,
    /// What was timed since it was last passed on, of measured requests and of others.
    timed: [Timed; 2],
}

const KIND: Kind = Kind {
    role: "user",
    is_numbered: true,
    stderr: Stderr::Share,
    policy: &Policy::USER,
    pace: Pace::SLOTS_ONLY,
};

impl UsersManagerRole {
    /// Returns a manager that waits for its configuration on `control`.
    pub fn new(control: LinkId, spawner: Spawner, links: &mut Links) -> Self {
        let control = Control::greet(control, 0, phase::MANAGER, links);
        Self {
            control,
            spawner,
            staff: Staff::new(KIND),
            office: None,
            is_stopping: false,
            is_news: false,
            watched: BTreeSet::new(),
            exit: None,
        }
    }

    fn on_control(
        &mut self,
        frame: &Frame<'_>,
        now: Time,
        links: &mut Links,
    ) -> Result<(), Refusal> {
        if self.control.frame(frame)? {
            self.staff.set_log_level(log::max_level(), links);
            return Ok(());
        }
        match DirectorToManager::decode(frame.kind, frame.payload)? {
            DirectorToManager::Configure(config) => self.configure(config, now, links),
            DirectorToManager::Timeline(line) => {
                if let Some(office) = &mut self.office {
                    office.config.timeline = line.clone();
                }
                self.staff.send_all(&ManagerToUser::Timeline(line), links);
            }
            DirectorToManager::Tempo(tempo) => {
                if let Some(office) = &mut self.office {
                    office.config.tempo = tempo.clone();
                }
                self.staff.send_all(&ManagerToUser::Tempo(tempo), links);
            }
            DirectorToManager::Wanted(wanted) => self.resize(&wanted.loads, now, links),
            DirectorToManager::Kill(UserProcessId(number)) => {
                self.watched.insert(number);
                self.staff.fleet().handle(number, Input::Kill, now);
            }
            DirectorToManager::Freeze(FreezeUser { number: UserProcessId(number), until }) => {
                self.staff.freeze(number, until);
                self.is_news = true;
            }
            DirectorToManager::Continue(UserProcessId(number)) => {
                self.staff.thaw(number);
                self.is_news = true;
            }
            DirectorToManager::Restart(UserProcessId(number)) => {
                self.watched.insert(number);
                self.staff.fleet().restart(number, limits::USERS_STOP_GRACE, now);
            }
            DirectorToManager::Stop(_) => {
                self.is_stopping = true;
                self.staff.fleet().stop_all(limits::USERS_STOP_GRACE, now);
            }
        }
        Ok(())
    }

    fn configure(&mut self, config: UsersConfig, now: Time, links: &mut Links) {
        if self.office.is_some() {
            return;
        }
        match super::configured(&config.scenario) {
            Ok(scenario) => {
                self.office = Some(Office {
                    planner: Planner::new(scenario.users.max_processes),
                    config,
                    hosted: BTreeMap::new(),
                    counted: BTreeMap::new(),
                    past: UsersTotals::default(),
                    timed: Default::default(),
                });
                self.control.send(&ManagerToDirector::Ready(Signal { at: now }), links);
            }
            Err(error) => {
                self.control.fail(super::EXIT_USAGE, &error.to_string(), links);
                self.exit = Some(super::EXIT_USAGE);
            }
        }
    }

    /// Tells living processes first: they are the quicker way to more or fewer users.
    fn resize(&mut self, wanted: &[u32], now: Time, links: &mut Links) {
        let Some(office) = &mut self.office else {
            return;
        };
        if self.is_stopping {
            return;
        }
        let changes = office.planner.plan(wanted);
        let (told, retired) = (changes.host.len(), changes.retire.len());
        log::debug!("users wanted: {wanted:?} processes_told={told} retired={retired}");
        for (UserProcessId(number), users) in changes.host {
            let host = ManagerToUser::Host(HostedUsers { users: users.clone() });
            self.staff.send(number, &host, links);
            office.hosted.insert(number, users);
        }
        for UserProcessId(number) in changes.retire {
            office.hosted.remove(&number);
        }
        let slots: BTreeSet<u16> = office.hosted.keys().copied().collect();
        self.staff.fleet().set_wanted_slots(slots, limits::USERS_STOP_GRACE, now);
    }

    fn on_user(
        &mut self,
        link: LinkId,
        slot: u16,
        frame: &Frame<'_>,
        now: Time,
    ) -> Result<(), Refusal> {
        if self.staff.frame(link, slot, frame, now)? {
            return Ok(());
        }
        let Some(office) = &mut self.office else {
            return Ok(());
        };
        match UserToManager::decode(frame.kind, frame.payload)? {
            UserToManager::Ready(_) => self.staff.ready(slot, now),
            UserToManager::Totals(totals) => {
                office.counted.insert(slot, totals);
            }
            UserToManager::Latencies(latencies) => {
                office.timed[usize::from(!latencies.is_measured)].merge(&latencies)?;
            }
        }
        Ok(())
    }

    fn on_event(&mut self, event: Event, now: Time, links: &mut Links) {
        let Some(office) = &mut self.office else {
            return;
        };
        match event {
            Event::Greeted(slot) => {
                office.bury(slot);
                let config = ManagerToUser::Configure(office.config.clone());
                self.staff.send(slot, &config, links);
                let users = office.hosted.get(&slot).cloned().unwrap_or_default();
                let host = ManagerToUser::Host(HostedUsers { users });
                self.staff.send(slot, &host, links);
            }
            Event::Stop(slot) => {
                let stop = ManagerToUser::Stop(Signal { at: now });
                self.staff.send(slot, &stop, links);
            }
            Event::Changed(slot, transition) => {
                self.is_news |= self.watched.contains(&slot);
                if transition.to == Phase::Ready || !self.staff.view().wanted().contains(&slot) {
                    self.watched.remove(&slot);
                }
            }
            Event::Failure(..) => {}
        }
    }

    fn report(&mut self, due: Due, links: &mut Links) {
        if due.latencies {
            self.staff.take_metrics(|metrics| self.control.absorb(metrics));
        }
        let Some(office) = &mut self.office else { return };
        if due.latencies {
            for (is_measured, timed) in [true, false].into_iter().zip(&mut office.timed) {
                timed.tell(is_measured, |latencies| {
                    self.control.send(&ManagerToDirector::Latencies(latencies), links);
                });
            }
            self.staff.read_stderr_of_all();
        }
        let Some(office) = &self.office else { return };
        if due.totals {
            let totals = ManagerToDirector::Totals(office.totals());
            self.control.send(&totals, links);
            if due.latencies {
                let (processes, totals) = self.staff.net();
                let net = ManagerToDirector::Net(UsersNet { processes, totals });
                self.control.send(&net, links);
            }
            let population = ManagerToDirector::Population(self.population(office));
            self.control.send(&population, links);
        }
    }

    fn population(&self, office: &Office) -> Population {
        let hosted = |slot| office.hosted.get(&slot).map_or(0, Vec::len);
        let mut users = 0;
        let mut processes = Vec::new();
        for (slot, child) in self.staff.view().children() {
            let phase = child.phase();
            let hosted = u32::try_from(hosted(slot)).unwrap_or(u32::MAX);
            if phase.serves() {
                users += hosted;
            }
            if child.pid().is_none() && !child.is_wanted() {
                continue;
            }
            processes.push(UserProcess {
                number: UserProcessId(slot),
                pid: child.pid().map(|pid| pid.as_raw().cast_unsigned()),
                state: phase.code(),
                restarts: child.restarts(),
                is_frozen: self.staff.frozen().contains(slot),
                hosted,
                served: office.counted.get(&slot).map_or(0, |totals| totals.served),
                note: self.staff.note(slot).to_owned(),
            });
        }
        Population { users, processes }
    }
}

impl Role for UsersManagerRole {
    fn frame(
        &mut self,
        link: LinkId,
        frame: &Frame<'_>,
        now: Time,
        links: &mut Links,
    ) -> Result<(), Refusal> {
        if link == self.control.link() {
            self.on_control(frame, now, links)
        } else if let Some(slot) = self.staff.slot_of(link) {
            self.on_user(link, slot, frame, now)
        } else {
            Ok(())
        }
    }

    fn closed(&mut self, link: LinkId, _reason: Closed, _now: Time, _links: &mut Links) {
        if link == self.control.link() {
            // The director is gone. User processes see the end of their own control connections.
            self.exit = Some(0);
        } else {
            self.staff.closed(link);
        }
    }

    fn turn(&mut self, now: Time, links: &mut Links) -> Next {
        let due = self.control.turn(now, links);
        while let Some(event) = self.staff.turn(&self.spawner, now, links) {
            self.on_event(event, now, links);
        }
        let has_ended = self.is_stopping && self.staff.has_left();
        let all = Due { totals: true, latencies: true };
        let due = Due { totals: due.totals || std::mem::take(&mut self.is_news), ..due };
        self.report(if has_ended { all } else { due }, links);
        if has_ended {
            self.control.send_metrics(links);
            self.exit = Some(0);
        }
        self.exit.map_or(Next::Wait, Next::Exit)
    }

    fn deadline(&self) -> Time {
        self.control.deadline().min(self.staff.deadline())
    }
}

impl Office {
    /// Keeps what a process counted in the life that is over.
    fn bury(&mut self, slot: u16) {
        if let Some(totals) = self.counted.remove(&slot) {
            self.past.add(&totals);
        }
    }

    fn totals(&self) -> UsersTotals {
        let mut all = self.past.without_digest();
        for totals in self.counted.values() {
            all.add(totals);
        }
        all
    }
}
