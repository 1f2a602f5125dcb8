//! The issuer's decisions: ids, dispatch, completion.
//!
//! Always true: ids only rise and are covered by a durable lease; a ticket waits, is in service
//! or has ended, exactly one of them; nobody is told of a ticket before its record is as durable
//! as the policy says; a ticket is completed at most once.
//!
//! One turn of the issuer's event loop is one batch. Requests and completions put records into
//! the batch; [`Issuer::dispatch`] fills free seats; [`Issuer::written`] marks where the batch
//! ended in the log; [`Issuer::durable`] releases what the log has made durable. A ticket may be
//! handed to a worker while its record is still being synced, which hides the sync; a completion
//! that comes back sooner waits here until the issue is durable.
//!
//! Tables are reused, so in steady state nothing is allocated per ticket.

use std::collections::VecDeque;
use std::time::Duration;

use super::curbs::Curbs;
use super::queue::{Handle, Place, Queues};
use super::record::{Completed, Issued, Outcome, Record};
use super::state::{self, RunMark};
use super::stats::{CarriedOver, Ended, Presence, Stats, Stay};
use super::tokens::{Known, Tokens};
use crate::clock::Time;
use crate::config::scenario::{Retry, RetryPosition};
use crate::ids::{Lsn, ServiceId, TicketId, Token, UserId, WorkerId};
use crate::limits;
use crate::timeline::Timeline;

/// What the issuer decided. The role turns it into log records and messages.
pub trait Effects {
    /// Appends a record to the batch.
    fn record(&mut self, record: &Record<'_>);
    /// Hands a ticket to a worker.
    fn assign(&mut self, worker: WorkerId, assignment: &Assignment<'_>);
    /// Tells a user that its request has a ticket.
    fn accepted(&mut self, token: Token, id: TicketId);
    /// Tells a user that the office is full.
    fn rejected(&mut self, token: Token);
    /// Tells a user that its ticket's life has ended.
    fn done(&mut self, token: Token, id: TicketId, outcome: Outcome);
}

/// A user's request.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// Who asks, and which of its requests this is.
    pub token: Token,
    /// The kind of work. The role has checked that it exists.
    pub service: ServiceId,
    /// The work that the ticket brings, in nanoseconds.
    pub demand_ns: u64,
    /// When the user meant to ask.
    pub scheduled: Time,
    /// When it asked.
    pub submitted: Time,
    /// What the ticket carries.
    pub payload: &'a [u8],
}

/// A ticket on its way to a worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Assignment<'a> {
    /// The ticket.
    pub id: TicketId,
    /// Its place in the issuer's table; the worker's answer brings it back.
    pub handle: Handle,
    /// How often the ticket has been handed out, this time included.
    pub attempt: u8,
    /// The kind of work.
    pub service: ServiceId,
    /// The work, in nanoseconds.
    pub demand_ns: u64,
    /// What the ticket carries.
    pub payload: &'a [u8],
}

/// A worker's word that it served a ticket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Completion {
    /// The ticket.
    pub id: TicketId,
    /// Its place in the issuer's table.
    pub handle: Handle,
    /// The attempt that was served.
    pub attempt: u8,
}

/// The bounds of one office.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// How many services there are.
    pub services: usize,
    /// Tickets waiting and in service at most.
    pub room: u32,
    /// What happens to a ticket whose worker died.
    pub retry: Retry,
}

/// The state of all tickets that are not finished.
#[derive(Debug)]
pub struct Issuer {
    options: Options,
    curbs: Curbs,
    /// When tickets are next handed out, in office time, if that is put off.
    round_at: Option<Duration>,
    next_id: u64,
    leased_until: u64,
    tickets: Vec<Ticket>,
    free: Vec<Handle>,
    open: u32,
    queues: Queues,
    tokens: Tokens,
    /// Seats of each worker, by [`WorkerId`]; `None` if it is not connected.
    workers: Vec<Option<u32>>,
    /// Seats that hold a ticket of a worker that takes no more.
    leaving: usize,
    /// One entry per free seat, the one that has been free for longest first.
    free_seats: VecDeque<WorkerId>,
    /// What to tell users, in log order.
    untold: VecDeque<Untold>,
    /// For each written batch that is not durable: its end and how many of `untold` it covers.
    batches: VecDeque<(Lsn, usize)>,
    /// Entries of `untold` that no entry of `batches` covers yet.
    unwritten: usize,
    stats: Stats,
}

#[derive(Debug)]
struct Ticket {
    state: State,
    id: TicketId,
    token: Token,
    service: ServiceId,
    /// Whether it was issued in an earlier run: then nobody waits for it.
    is_foreign: bool,
    attempts: u8,
    place: Place,
    demand_ns: u64,
    arrived: Time,
    durable: Time,
    started: Time,
    last_started: Time,
    stay: Stay,
    payload: Vec<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// The table's entry holds no ticket.
    Free,
    Waiting,
    InService(WorkerId),
    /// It has ended, but its issue is not durable yet, so neither may the end be told.
    Ended {
        outcome: Outcome,
        worker: WorkerId,
        at: Time,
    },
}

impl State {
    /// Returns what a ticket is at; `None` if there is none.
    fn presence(self) -> Option<Presence> {
        match self {
            Self::Free => None,
            Self::Waiting => Some(Presence::Waiting),
            Self::InService(_) => Some(Presence::InService),
            Self::Ended { .. } => Some(Presence::Left),
        }
    }
}

#[derive(Clone, Copy, Debug)]
enum Untold {
    Accepted(Handle),
    Done { token: Token, id: TicketId, outcome: Outcome, is_foreign: bool },
}

/// A ticket that the log shows as open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenTicket {
    /// The ticket.
    pub id: TicketId,
    /// Who asked.
    pub token: Token,
    /// The kind of work.
    pub service: ServiceId,
    /// The work, in nanoseconds.
    pub demand_ns: u64,
    /// When it was accepted.
    pub arrived: Time,
    /// Whether it belongs to an earlier run.
    pub is_foreign: bool,
    /// What it carries.
    pub payload: Vec<u8>,
}

impl Issuer {
    /// Returns an office without tickets, workers or a lease of ids. `next_id` is the first id
    /// that the log shows as never used.
    pub fn new(options: Options, next_id: TicketId, tokens: Tokens, stats: Stats) -> Self {
        Self {
            options,
            curbs: Curbs::default(),
            round_at: None,
            next_id: next_id.0.max(1),
            leased_until: 0,
            tickets: Vec::new(),
            free: Vec::new(),
            open: 0,
            queues: Queues::new(options.services),
            tokens,
            workers: Vec::new(),
            leaving: 0,
            free_seats: VecDeque::new(),
            untold: VecDeque::new(),
            batches: VecDeque::new(),
            unwritten: 0,
            stats,
        }
    }

    /// Returns the counted and timed figures.
    pub fn stats(&self) -> &Stats {
        &self.stats
    }

    /// Returns how many tickets are not finished.
    pub fn open(&self) -> u32 {
        self.open
    }

    /// Returns the ids that may be in use at most: those below the lease.
    pub fn leased_until(&self) -> TicketId {
        TicketId(self.leased_until)
    }

    /// Returns the oldest ticket that is not finished; without one, the next to be issued.
    pub fn oldest_open(&self) -> TicketId {
        let open = self.tickets.iter().filter(|ticket| ticket.state != State::Free);
        open.map(|ticket| ticket.id).min().unwrap_or(TicketId(self.next_id))
    }

    /// Returns what a restart needs beside the open tickets; see [`super::state`]. All records so
    /// far must be written; `lease` is the last one among them.
    pub fn encode_state(&self, mark: &RunMark, lease: TicketId, now: Time) -> Vec<u8> {
        let position = self.stats.position(now);
        // What open tickets contributed is counted again when they are queued again.
        let mut open = vec![[0_u128; 2]; self.options.services];
        for ticket in &self.tickets {
            let Some(presence) = ticket.state.presence() else { continue };
            let sums = &mut open[usize::from(ticket.service.0)];
            for (sum, ns) in sums.iter_mut().zip(ticket.stay.contributed(presence, position)) {
                *sum += u128::from(ns);
            }
        }
        // The log says that these have ended, though their users are not told yet.
        let untold = self.untold.iter().filter_map(|untold| match *untold {
            Untold::Done { token, id, outcome, is_foreign: false } => Some((token, id, outcome)),
            Untold::Done { .. } | Untold::Accepted(_) => None,
        });
        let finished: Vec<_> = self.tokens.finished().chain(untold).collect();
        let next_seqs = self.tokens.next_seqs();
        let mut out = Vec::new();
        let ids = (lease, self.oldest_open());
        let figures = state::Figures { stats: &self.stats, position, open: &open };
        state::encode(&mut out, mark, ids, &figures, next_seqs, &finished);
        out
    }

    /// Returns how many words users wait for until the log has made them durable.
    pub fn untold(&self) -> usize {
        self.untold.len()
    }

    /// Returns how many tickets wait for a seat.
    pub fn waiting(&self) -> u32 {
        self.queues.waiting()
    }

    /// Returns the first sequence number that the user has not used for a ticket.
    pub fn next_seq(&self, user: UserId) -> u64 {
        self.tokens.next_seq(user)
    }

    /// Returns the counted and timed figures, to tell them.
    pub fn stats_mut(&mut self) -> &mut Stats {
        &mut self.stats
    }

    /// Takes over what an earlier life of the issuer counted and no log holds.
    pub fn carry_over(&mut self, carried: &CarriedOver<'_>) {
        self.stats.carry_over(carried);
    }

    /// Takes note of a change of the run's timeline; a pause stops dispatch.
    pub fn set_timeline(&mut self, line: Timeline, now: Time) {
        let Some(rewind) = self.stats.set_timeline(line, now) else { return };
        for ticket in &mut self.tickets {
            if let Some(presence) = ticket.state.presence() {
                self.stats.take_back(rewind, ticket.service, presence, &mut ticket.stay);
            }
        }
    }

    /// Holds tickets back or hands them out late from now on.
    pub fn set_curbs(&mut self, curbs: Curbs, now: Time) {
        self.queues.block(&curbs.blocked);
        let latest = self.stats.timeline().office_time(now) + curbs.delay;
        self.round_at = self.round_at.map(|at| at.min(latest));
        self.curbs = curbs;
        self.count_staffed(now);
    }

    /// When [`Self::dispatch`] has something to do though nothing happens before.
    pub fn dispatch_deadline(&self) -> Time {
        self.round_at.map_or(Time::NEVER, |at| self.stats.timeline().moment(at))
    }

    /// Returns whether ids are left to give out.
    pub fn can_issue(&self) -> bool {
        self.next_id < self.leased_until
    }

    /// Returns the lease that should be made durable next, if less than half of one is left:
    /// the first id beyond it.
    pub fn wanted_lease(&self) -> Option<TicketId> {
        let left = self.leased_until.saturating_sub(self.next_id);
        (left < limits::LEASE_TICKETS / 2)
            .then(|| TicketId(self.next_id + left + limits::LEASE_TICKETS))
    }

    /// Takes note that a lease is durable.
    pub fn leased(&mut self, until: TicketId) {
        self.leased_until = self.leased_until.max(until.0);
    }

    /// Queues a ticket that the log shows as open.
    pub fn recover(&mut self, open: OpenTicket, now: Time) {
        let OpenTicket { id, token, service, demand_ns, arrived, is_foreign, payload } = open;
        let handle = self.take_entry();
        let place = self.queues.push(service, handle);
        if !is_foreign {
            self.tokens.open(token, handle);
        }
        let stay = self.stats.recover(service, arrived, is_foreign, now);
        self.tickets[handle as usize] = Ticket {
            state: State::Waiting,
            id,
            token,
            service,
            is_foreign,
            attempts: 0,
            place,
            demand_ns,
            arrived,
            durable: now,
            started: Time::ZERO,
            last_started: Time::ZERO,
            stay,
            payload,
        };
    }

    /// Answers a request: a new ticket, the ticket that it already has, or a rejection.
    ///
    /// # Panics
    /// If no id is left; the caller reads no requests while [`Self::can_issue`] says no.
    pub fn request(&mut self, request: &Request<'_>, now: Time, effects: &mut impl Effects) {
        match self.tokens.get(request.token) {
            Some(Known::Finished(id, outcome)) => {
                effects.accepted(request.token, id);
                effects.done(request.token, id, outcome);
            }
            Some(Known::Open(handle)) => {
                let ticket = &self.tickets[handle as usize];
                if ticket.durable.is_set() {
                    effects.accepted(request.token, ticket.id);
                }
            }
            None if self.open >= self.options.room => {
                self.stats.rejected(request.service, now);
                effects.rejected(request.token);
            }
            None => self.issue(request, now, effects),
        }
    }

    fn issue(&mut self, request: &Request<'_>, now: Time, effects: &mut impl Effects) {
        assert!(self.can_issue(), "an id must be leased before it is used");
        let id = TicketId(self.next_id);
        self.next_id += 1;
        let waiting_seen = self.queues.waiting();
        let is_held = self.stats.timeline().is_paused(now)
            || self.curbs.is_on_strike
            || self.queues.is_blocked(request.service);
        let is_delayed = is_held || self.free_seats.len() <= self.queues.takable() as usize;
        effects.record(&Record::Issued(Issued {
            id,
            token: request.token,
            service: request.service,
            demand_ns: request.demand_ns,
            scheduled: request.scheduled,
            submitted: request.submitted,
            arrived: now,
            waiting_seen,
            is_delayed,
            payload: request.payload,
        }));
        let handle = self.take_entry();
        let place = self.queues.push(request.service, handle);
        self.tokens.open(request.token, handle);
        let stay = self.stats.issued(request.service, now, is_delayed);
        let ticket = &mut self.tickets[handle as usize];
        ticket.stay = stay;
        ticket.state = State::Waiting;
        ticket.id = id;
        ticket.token = request.token;
        ticket.service = request.service;
        ticket.is_foreign = false;
        ticket.attempts = 0;
        ticket.place = place;
        ticket.demand_ns = request.demand_ns;
        ticket.arrived = now;
        ticket.durable = Time::ZERO;
        ticket.started = Time::ZERO;
        ticket.last_started = Time::ZERO;
        ticket.payload.clear();
        ticket.payload.extend_from_slice(request.payload);
        self.tell(Untold::Accepted(handle));
    }

    /// Gives a worker's seats to the office; the worker holds no ticket.
    pub fn worker_up(&mut self, worker: WorkerId, seats: u32, now: Time) {
        let index = usize::from(worker.0);
        if self.workers.len() <= index {
            self.workers.resize(index + 1, None);
        }
        debug_assert!(self.workers[index].is_none(), "{worker} connects once at a time");
        self.workers[index] = Some(seats);
        self.stats.worker_up(worker);
        self.free_seats.extend((0..seats).map(|_| worker));
        self.count_staffed(now);
    }

    /// Takes a worker's seats away and queues the tickets that it held again, or gives them up
    /// when their attempts are used.
    pub fn worker_down(&mut self, worker: WorkerId, now: Time, effects: &mut impl Effects) {
        self.retire(worker, now);
        let held = |ticket: &Ticket| ticket.state == State::InService(worker);
        for index in 0..self.tickets.len() {
            if held(&self.tickets[index]) {
                let handle = Handle::try_from(index).expect("the room bounds the table");
                self.lose_seat(handle, worker, now, effects);
            }
        }
    }

    /// Takes a worker's seats away but leaves it the tickets that it holds, to drain it.
    pub fn retire(&mut self, worker: WorkerId, now: Time) {
        let seats = self.workers.get_mut(usize::from(worker.0)).and_then(Option::take);
        let before = self.free_seats.len();
        self.free_seats.retain(|&free| free != worker);
        let free = before - self.free_seats.len();
        // Seats that hold a ticket stay staffed until it ends.
        self.leaving += seats.map_or(0, |seats| (seats as usize).saturating_sub(free));
        self.count_staffed(now);
    }

    /// Notes that a seat has become empty; one of a worker that is leaving goes with it.
    fn give_up_seat(&mut self, worker: WorkerId, now: Time) {
        if !matches!(self.workers.get(usize::from(worker.0)), Some(Some(_))) {
            self.leaving = self.leaving.saturating_sub(1);
            self.count_staffed(now);
        }
    }

    fn count_staffed(&mut self, now: Time) {
        let seats: u64 = self.workers.iter().flatten().map(|&seats| u64::from(seats)).sum();
        let idle = if self.curbs.is_on_strike { self.free_seats.len() } else { 0 };
        self.stats.set_staffed(seats + self.leaving as u64 - idle as u64, now);
    }

    fn lose_seat(
        &mut self,
        handle: Handle,
        worker: WorkerId,
        now: Time,
        effects: &mut impl Effects,
    ) {
        let Retry { attempts, position } = self.options.retry;
        let ticket = &mut self.tickets[handle as usize];
        if ticket.attempts >= attempts {
            self.stats.lost(ticket.service, &mut ticket.stay, worker, now);
            self.give_up_seat(worker, now);
            return self.end(handle, Outcome::Failed, worker, now, effects);
        }
        ticket.state = State::Waiting;
        self.stats.requeued(ticket.service, &mut ticket.stay, worker, now);
        match position {
            RetryPosition::Head => self.queues.put_back(ticket.service, handle, ticket.place),
            RetryPosition::Tail => ticket.place = self.queues.push(ticket.service, handle),
        }
        self.give_up_seat(worker, now);
    }

    /// Hands waiting tickets to free seats, unless the run is paused or people hold them back.
    pub fn dispatch(&mut self, now: Time, effects: &mut impl Effects) {
        if !self.is_round(now) {
            return;
        }
        while self.queues.takable() > 0
            && let Some(worker) = self.free_seats.pop_front()
        {
            let handle = self.queues.pop().expect("a ticket may be taken");
            let ticket = &mut self.tickets[handle as usize];
            ticket.state = State::InService(worker);
            ticket.attempts = ticket.attempts.saturating_add(1);
            ticket.last_started = now;
            if !ticket.started.is_set() {
                ticket.started = now;
            }
            self.stats.started(ticket.service, &mut ticket.stay, now);
            effects.assign(
                worker,
                &Assignment {
                    id: ticket.id,
                    handle,
                    attempt: ticket.attempts,
                    service: ticket.service,
                    demand_ns: ticket.demand_ns,
                    payload: &ticket.payload,
                },
            );
        }
    }

    /// Returns whether tickets are handed out now; puts the round off if the issuer is slow.
    fn is_round(&mut self, now: Time) -> bool {
        if self.curbs.is_on_strike || self.queues.takable() == 0 || self.free_seats.is_empty() {
            self.round_at = None;
            return false;
        }
        let line = self.stats.timeline();
        if line.is_paused(now) {
            return false;
        }
        if !self.curbs.delay.is_zero() {
            let office = line.office_time(now);
            if office < *self.round_at.get_or_insert(office + self.curbs.delay) {
                return false;
            }
        }
        self.round_at = None;
        true
    }

    /// Takes a worker's word that it served a ticket. A word about a ticket that the worker does
    /// not hold (any more) changes nothing; returns whether it counted.
    pub fn completed(
        &mut self,
        worker: WorkerId,
        completion: Completion,
        now: Time,
        effects: &mut impl Effects,
    ) -> bool {
        let Completion { id, handle, attempt } = completion;
        let held = self.tickets.get(handle as usize).is_some_and(|ticket| {
            ticket.id == id
                && ticket.attempts == attempt
                && ticket.state == State::InService(worker)
        });
        if !held {
            return false;
        }
        if self.workers.get(usize::from(worker.0)).is_some_and(Option::is_some) {
            self.free_seats.push_back(worker);
        }
        self.give_up_seat(worker, now);
        if self.curbs.is_on_strike {
            self.count_staffed(now);
        }
        let ticket = &mut self.tickets[handle as usize];
        self.stats.left(ticket.service, &mut ticket.stay, worker, now);
        self.end(handle, Outcome::Served, worker, now, effects);
        true
    }

    /// Ends a ticket's life, or notes the end until its issue is durable.
    fn end(
        &mut self,
        handle: Handle,
        outcome: Outcome,
        worker: WorkerId,
        at: Time,
        effects: &mut impl Effects,
    ) {
        let ticket = &mut self.tickets[handle as usize];
        if !ticket.durable.is_set() {
            ticket.state = State::Ended { outcome, worker, at };
            return;
        }
        let end = Completed {
            id: ticket.id,
            outcome,
            worker,
            attempts: ticket.attempts,
            durable: ticket.durable,
            started: ticket.started,
            last_started: ticket.last_started,
            ended: at,
        };
        effects.record(&Record::Completed(end));
        let (token, is_foreign) = (ticket.token, ticket.is_foreign);
        let Ticket { service, arrived, demand_ns, stay, .. } = *ticket;
        self.stats.departed(service, &stay, arrived, is_foreign);
        if !is_foreign {
            self.stats.completed(&Ended { service, user: token.user, arrived, demand_ns }, &end);
        }
        ticket.state = State::Free;
        self.free.push(handle);
        self.open -= 1;
        self.tell(Untold::Done { token, id: end.id, outcome, is_foreign });
    }

    fn tell(&mut self, untold: Untold) {
        self.untold.push_back(untold);
        self.unwritten += 1;
    }

    /// Notes that all records so far are written and end at `lsn`.
    pub fn written(&mut self, lsn: Lsn) {
        if self.unwritten > 0 {
            self.batches.push_back((lsn, self.unwritten));
            self.unwritten = 0;
        }
    }

    /// Tells users what is now as durable as the policy says: all up to `lsn`.
    pub fn durable(&mut self, lsn: Lsn, now: Time, effects: &mut impl Effects) {
        while let Some(&(end, count)) = self.batches.front()
            && end <= lsn
        {
            self.batches.pop_front();
            for _ in 0..count {
                let untold = self.untold.pop_front();
                match untold.expect("a batch covers only what is still untold") {
                    Untold::Accepted(handle) => self.accept(handle, now, effects),
                    Untold::Done { is_foreign: true, .. } => {}
                    Untold::Done { token, id, outcome, .. } => {
                        self.tokens.finish(token, id, outcome);
                        effects.done(token, id, outcome);
                    }
                }
            }
        }
    }

    fn accept(&mut self, handle: Handle, now: Time, effects: &mut impl Effects) {
        let ticket = &mut self.tickets[handle as usize];
        ticket.durable = now;
        effects.accepted(ticket.token, ticket.id);
        if let State::Ended { outcome, worker, at } = ticket.state {
            self.end(handle, outcome, worker, at, effects);
        }
    }

    fn take_entry(&mut self) -> Handle {
        self.open += 1;
        if let Some(handle) = self.free.pop() {
            return handle;
        }
        self.tickets.push(Ticket {
            state: State::Free,
            id: TicketId::default(),
            token: Token::default(),
            service: ServiceId::default(),
            is_foreign: false,
            attempts: 0,
            place: Place::default(),
            demand_ns: 0,
            arrived: Time::ZERO,
            durable: Time::ZERO,
            started: Time::ZERO,
            last_started: Time::ZERO,
            stay: Stay::default(),
            payload: Vec::new(),
        });
        Handle::try_from(self.tickets.len() - 1).expect("the room bounds the table")
    }
}

#[cfg(test)]
pub(in crate::scheduler) mod tests;
