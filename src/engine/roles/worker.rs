//! A worker process: takes tickets from the issuer, works, reports.
//!
//! Tickets whose work is waiting are kept on a heap of deadlines; the others are given to
//! [`Hands`]. A worker that loses its issuer forgets what it held: the issuer queues those
//! tickets again and would not believe a late word about them.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use mio::Waker;

use super::control::{Control, phase};
use super::dial::Dial;
use super::event_loop::{Closed, Next, Refusal, Role};
use super::hands::{Hands, Job};
use super::links::{LinkId, Links};
use crate::clock::{Time, nanos};
use crate::config::Scenario;
use crate::config::scenario::Work;
use crate::ids::TicketId;
use crate::limits;
use crate::net::connection::ConnectionLimits;
use crate::net::frame::Frame;
use crate::net::message::{
    Assign, DirectorToWorker, IssuerToWorker, Join, PeerRole, Served, Signal, WorkerConfig,
    WorkerToDirector, WorkerToIssuer, WorkerTotals,
};
use crate::net::wire::Message;
use crate::observe;

/// The worker process.
pub struct WorkerRole {
    number: u16,
    control: Control,
    waker: Arc<Waker>,
    at_work: Option<AtWork>,
    exit: Option<u8>,
}

/// A worker that knows its office.
struct AtWork {
    dial: Dial,
    works: Vec<Work>,
    waiting: BinaryHeap<Reverse<(Time, Task)>>,
    hands: Hands<Task>,
    /// Counts connections to the issuer: work that was given before the last one is forgotten.
    life: u32,
    totals: WorkerTotals,
    leaving: Leaving,
    is_announced: bool,
}

/// How far a worker is on its way out.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Leaving {
    No,
    /// It should leave, but the issuer has not been told.
    Wanted,
    /// The issuer has been told and may have sent tickets before it knew.
    Told,
    /// No ticket follows.
    Released,
}

/// A ticket in service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Task {
    life: u32,
    id: TicketId,
    handle: u32,
    attempt: u8,
}

impl WorkerRole {
    /// Returns a worker that waits for its configuration on `control`.
    pub fn new(number: u16, control: LinkId, waker: Arc<Waker>, links: &mut Links) -> Self {
        let control = Control::greet(control, number, phase::WORKER, links);
        Self { number, control, waker, at_work: None, exit: None }
    }

    fn on_control(&mut self, frame: &Frame<'_>, links: &mut Links) -> Result<(), Refusal> {
        if self.control.frame(frame)? {
            return Ok(());
        }
        match DirectorToWorker::decode(frame.kind, frame.payload)? {
            DirectorToWorker::Configure(config) => self.configure(config, links),
            DirectorToWorker::Drain(_) => match &mut self.at_work {
                Some(at_work) if at_work.leaving == Leaving::No => {
                    at_work.leaving = Leaving::Wanted;
                }
                Some(_) => {}
                None => self.exit = Some(0),
            },
            DirectorToWorker::Stop(_) => self.exit = Some(0),
        }
        Ok(())
    }

    fn configure(&mut self, config: WorkerConfig, links: &mut Links) {
        match super::configured(&config.scenario) {
            Ok(scenario) => {
                let waker = Arc::clone(&self.waker);
                self.at_work = Some(AtWork::new(self.number, config, &scenario, waker));
            }
            Err(error) => {
                self.control.fail(super::EXIT_USAGE, &error.to_string(), links);
                self.exit = Some(super::EXIT_USAGE);
            }
        }
    }
}

impl Role for WorkerRole {
    fn frame(
        &mut self,
        link: LinkId,
        frame: &Frame<'_>,
        now: Time,
        links: &mut Links,
    ) -> Result<(), Refusal> {
        if link == self.control.link() {
            return self.on_control(frame, links);
        }
        match &mut self.at_work {
            Some(at_work) if at_work.dial.is(link) => at_work.on_issuer(frame, now, links),
            _ => Ok(()),
        }
    }

    fn closed(&mut self, link: LinkId, _reason: Closed, now: Time, _links: &mut Links) {
        if link == self.control.link() {
            self.exit = Some(0);
        } else if let Some(at_work) = &mut self.at_work
            && at_work.dial.closed(link, now)
        {
            at_work.forget();
        }
    }

    fn turn(&mut self, now: Time, links: &mut Links) -> Next {
        self.control.set_waiting(self.at_work.as_ref().is_some_and(|at| at.dial.is_down()));
        let due = self.control.turn(now, links);
        if let Some(at_work) = &mut self.at_work {
            at_work.turn(now, links);
            if !at_work.is_announced && at_work.dial.up().is_some() {
                at_work.is_announced = true;
                self.control.send(&WorkerToDirector::Ready(Signal { at: now }), links);
            }
            let has_left = at_work.has_left();
            if due.totals || has_left {
                self.control.send(&WorkerToDirector::Totals(at_work.totals), links);
            }
            if has_left {
                self.control.send_metrics(links);
                self.exit = Some(0);
            }
        }
        self.exit.map_or(Next::Wait, Next::Exit)
    }

    fn deadline(&self) -> Time {
        let at_work = self.at_work.as_ref().map_or(Time::NEVER, AtWork::deadline);
        at_work.min(self.control.deadline())
    }
}

impl AtWork {
    fn new(number: u16, config: WorkerConfig, scenario: &Scenario, waker: Arc<Waker>) -> Self {
        let bounds = ConnectionLimits {
            payload_max: scenario.net.frame_max_bytes,
            outbox_high: scenario.net.outbox_high_bytes,
            outbox_max: limits::OUTBOX_BYTES_MAX,
        };
        let WorkerConfig { socket, secret, seats, scratch_dir, .. } = config;
        let join = Join { secret, role: PeerRole::Worker, number, seats };
        Self {
            dial: Dial::new(PathBuf::from(socket), bounds, join),
            works: scenario.services.iter().map(|service| service.work).collect(),
            waiting: BinaryHeap::new(),
            hands: Hands::new(waker, PathBuf::from(scratch_dir)),
            life: 0,
            totals: WorkerTotals::default(),
            leaving: Leaving::No,
            is_announced: false,
        }
    }

    fn on_issuer(
        &mut self,
        frame: &Frame<'_>,
        now: Time,
        links: &mut Links,
    ) -> Result<(), Refusal> {
        match IssuerToWorker::decode(frame.kind, frame.payload)? {
            IssuerToWorker::Welcome(_) => self.dial.welcomed(links),
            IssuerToWorker::Assign(assign) => self.start(&assign, now, links),
            IssuerToWorker::Released(_) => self.leaving = Leaving::Released,
        }
        Ok(())
    }

    fn start(&mut self, assign: &Assign<'_>, now: Time, links: &mut Links) {
        let Assign { id, handle, attempt, .. } = *assign;
        let task = Task { life: self.life, id, handle, attempt };
        let demand = Duration::from_nanos(assign.demand_ns);
        let work = self.works.get(usize::from(assign.service.0)).copied();
        self.totals.busy += 1;
        match work.unwrap_or(Work::Sleep) {
            Work::Sleep if demand.is_zero() => self.finish(task, links),
            Work::Sleep => self.waiting.push(Reverse((now + demand, task))),
            work => {
                if let Err(error) = self.hands.give(Job { note: task, work, demand }) {
                    log::error!("no thread is left to work; the time is slept: error={error}");
                    self.waiting.push(Reverse((now + demand, task)));
                }
            }
        }
    }

    fn finish(&mut self, task: Task, links: &mut Links) {
        if task.life != self.life {
            return;
        }
        self.totals.busy -= 1;
        self.totals.served += 1;
        if let Some(link) = self.dial.up() {
            let Task { id, handle, attempt, .. } = task;
            links.send(link, &WorkerToIssuer::Served(Served { id, handle, attempt }));
        }
    }

    /// Lets go of all tickets: the issuer that gave them has gone.
    fn forget(&mut self) {
        self.life = self.life.wrapping_add(1);
        self.waiting.clear();
        self.totals.busy = 0;
        if self.leaving == Leaving::Told {
            self.leaving = Leaving::Wanted;
        }
    }

    fn turn(&mut self, now: Time, links: &mut Links) {
        self.dial.turn(now, links);
        while let Some(&Reverse((until, task))) = self.waiting.peek()
            && until <= now
        {
            self.waiting.pop();
            observe!(WORKER_OVERSHOOT, nanos(now.since(until)));
            self.finish(task, links);
        }
        while let Some(task) = self.hands.next_done() {
            self.finish(task, links);
        }
        if self.leaving == Leaving::Wanted
            && let Some(link) = self.dial.up()
        {
            links.send(link, &WorkerToIssuer::Leaving(Signal { at: now }));
            self.leaving = Leaving::Told;
        }
    }

    /// Returns whether the worker has left the office in good order.
    fn has_left(&self) -> bool {
        match self.leaving {
            Leaving::No | Leaving::Told => false,
            Leaving::Wanted => self.dial.up().is_none(),
            Leaving::Released => self.totals.busy == 0,
        }
    }

    fn deadline(&self) -> Time {
        let first = self.waiting.peek().map_or(Time::NEVER, |Reverse((until, _))| *until);
        first.min(self.dial.deadline())
    }
}
