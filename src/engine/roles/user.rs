//! A user process: one or more simulated users who ask the issuer for tickets.
//!
//! What users ask and when is a pure function of the seed (`population`); this file adds what
//! the office answers. Timers are kept in demand time (`tempo`), so a pause stops them all at once,
//! a change of tempo moves none, and neither makes a burst. A request that was not answered when
//! the issuer went away is asked again with the same token.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap, HashMap, VecDeque};
use std::path::PathBuf;
use std::time::Duration;

use foldhash::fast::FixedState;

use super::control::{Control, Due, phase};
use super::dial::Dial;
use super::event_loop::{Closed, Next, Refusal, Role};
use super::links::{LinkId, Links};
use super::notes::{AckLog, Note, NoteFile};
use super::timed::Timed;
use crate::clock::{Time, nanos};
use crate::config::Scenario;
use crate::config::scenario::{LoadModel, OnOverrun};
use crate::count;
use crate::ids::{LoadId, ServiceId, TicketId, Token, UserId};
use crate::limits;
use crate::net::connection::ConnectionLimits;
use crate::net::frame::Frame;
use crate::net::message::{
    Ask, Attach, IssuerToUser, Join, ManagerToUser, PeerRole, Signal, UserToIssuer, UserToManager,
    UsersConfig, UsersTotals,
};
use crate::net::wire::Message;
use crate::population::arrivals::Pending;
use crate::population::workload::{UserDraws, Workload};
use crate::scheduler::record::Outcome;
use crate::tempo::Tempo;
use crate::timeline::Timeline;

/// The user process.
pub struct UserRole {
    number: u16,
    control: Control,
    crowd: Option<Crowd>,
    is_stopping: bool,
    exit: Option<u8>,
}

/// The users of one process.
struct Crowd {
    dial: Dial,
    line: Timeline,
    tempo: Tempo,
    workload: Workload,
    loads: Vec<LoadState>,
    users: BTreeMap<UserId, User>,
    /// Users of the starting population whose digest has been counted.
    digested: BTreeSet<UserId>,
    asks: HashMap<Token, Asked, FixedState>,
    unsent: VecDeque<Token>,
    totals: UsersTotals,
    /// What was timed since it was last told, of measured requests...
    fresh: Timed,
    /// ...and of those of the warm-up.
    outside: Timed,
    acks: Option<AckLog>,
    notes: Option<NoteFile>,
    is_announced: bool,
}

/// What all users of one load share.
struct LoadState {
    payload: Vec<u8>,
    users_at_start: u32,
    /// An arrival that can't be sent when it is due is dropped, not sent late.
    drops: bool,
    /// The arrivals of an open load.
    open: Option<Open>,
    /// When the users of a closed load are done thinking, in nanoseconds of demand time.
    thinking: BinaryHeap<Reverse<(u64, UserId)>>,
}

/// The arrivals of an open load.
struct Open {
    pending: Pending,
    /// When the first of a user that is hosted here is due, in nanoseconds of demand time;
    /// `None` is to be found out.
    wake_ns: Option<u64>,
}

struct User {
    draws: UserDraws,
    /// The number of the user's next request; `None` until the issuer has said it.
    next_seq: Option<u64>,
    /// What a closed user is at. One that left and came back has timers and requests of its
    /// earlier stay, which must not start a second cycle.
    cycle: Cycle,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cycle {
    /// It has not begun, or its load is open.
    None,
    /// It asks at this demand time, in nanoseconds.
    Thinks(u64),
    /// It waits for the end of this request.
    Waits(u64),
}

/// A request that has not been settled.
#[derive(Clone, Copy)]
struct Asked {
    service: ServiceId,
    demand_ns: u64,
    scheduled: Time,
    /// When it was first sent; [`Time::ZERO`] before.
    submitted: Time,
    is_accepted: bool,
}

impl UserRole {
    /// Returns a user process that waits for its configuration on `control`.
    pub fn new(number: u16, control: LinkId, links: &mut Links) -> Self {
        let control = Control::greet(control, number, phase::user(number), links);
        Self { number, control, crowd: None, is_stopping: false, exit: None }
    }

    fn on_control(&mut self, frame: &Frame<'_>, links: &mut Links) -> Result<(), Refusal> {
        if self.control.frame(frame)? {
            return Ok(());
        }
        match ManagerToUser::decode(frame.kind, frame.payload)? {
            ManagerToUser::Configure(config) => self.configure(config, links),
            ManagerToUser::Timeline(line) => {
                if let Some(crowd) = &mut self.crowd {
                    crowd.line = line;
                }
            }
            ManagerToUser::Tempo(tempo) => {
                if let Some(crowd) = &mut self.crowd {
                    crowd.tempo = tempo;
                }
            }
            ManagerToUser::Host(hosted) => {
                if let Some(crowd) = &mut self.crowd {
                    crowd.host(&hosted.users, links);
                }
            }
            ManagerToUser::Stop(_) => self.is_stopping = true,
        }
        Ok(())
    }

    fn configure(&mut self, config: UsersConfig, links: &mut Links) {
        let crowd = super::configured(&config.scenario)
            .map_err(|error| (super::EXIT_USAGE, error.to_string()))
            .and_then(|scenario| {
                Crowd::new(self.number, config, &scenario)
                    .map_err(|error| (super::EXIT_DISK, error.to_string()))
            });
        match crowd {
            Ok(crowd) => self.crowd = Some(crowd),
            Err((exit, reason)) => {
                self.control.fail(exit, &reason, links);
                self.exit = Some(exit);
            }
        }
    }

    fn report(&mut self, due: Due, now: Time, links: &mut Links) {
        let Some(crowd) = &mut self.crowd else { return };
        if !crowd.is_announced && crowd.dial.up().is_some() {
            crowd.is_announced = true;
            self.control.send(&UserToManager::Ready(Signal { at: now }), links);
        }
        if due.totals {
            crowd.write_files();
            self.control.send(&UserToManager::Totals(crowd.totals), links);
        }
        if due.latencies {
            for (is_measured, timed) in [(true, &mut crowd.fresh), (false, &mut crowd.outside)] {
                timed.tell(is_measured, |latencies| {
                    self.control.send(&UserToManager::Latencies(latencies), links);
                });
            }
        }
    }
}

impl Role for UserRole {
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
        match &mut self.crowd {
            Some(crowd) if crowd.dial.is(link) => crowd.on_issuer(frame, now, links),
            _ => Ok(()),
        }
    }

    fn closed(&mut self, link: LinkId, _reason: Closed, now: Time, _links: &mut Links) {
        if link == self.control.link() {
            self.exit = Some(0);
        } else if let Some(crowd) = &mut self.crowd {
            crowd.dial.closed(link, now);
        }
    }

    fn turn(&mut self, now: Time, links: &mut Links) -> Next {
        if let Some(crowd) = &mut self.crowd {
            self.control.set_waiting(crowd.dial.is_down());
            crowd.turn(now, links);
        }
        let due = self.control.turn(now, links);
        // What the issuer said before is read by now and counts.
        let all = Due { totals: true, latencies: true };
        self.report(if self.is_stopping { all } else { due }, now, links);
        if self.is_stopping {
            self.control.send_metrics(links);
            self.exit = Some(0);
        }
        self.exit.map_or(Next::Wait, Next::Exit)
    }

    fn deadline(&self) -> Time {
        let crowd = self.crowd.as_ref().map_or(Time::NEVER, Crowd::deadline);
        crowd.min(self.control.deadline())
    }
}

impl Crowd {
    fn new(number: u16, config: UsersConfig, scenario: &Scenario) -> std::io::Result<Self> {
        let bounds = ConnectionLimits {
            payload_max: scenario.net.frame_max_bytes,
            outbox_high: scenario.net.outbox_high_bytes,
            outbox_max: limits::OUTBOX_BYTES_MAX,
        };
        let join = Join { secret: config.secret, role: PeerRole::Users, number, seats: 0 };
        let workload = Workload::new(scenario, config.seed);
        let loads = (0..).map(LoadId).zip(&scenario.loads);
        let loads = loads.map(|(id, load)| LoadState {
            payload: vec![b'.'; load.payload_bytes as usize],
            users_at_start: load.users,
            drops: matches!(load.model, LoadModel::Open { on_overrun: OnOverrun::Drop, .. }),
            open: match load.model {
                LoadModel::Open { .. } => workload
                    .schedule(id)
                    .map(|schedule| Open { pending: Pending::new(schedule), wake_ns: None }),
                LoadModel::Closed { .. } => None,
            },
            thinking: BinaryHeap::new(),
        });
        Ok(Self {
            dial: Dial::new(PathBuf::from(config.socket), bounds, join),
            line: config.timeline,
            tempo: config.tempo,
            loads: loads.collect(),
            workload,
            users: BTreeMap::new(),
            digested: BTreeSet::new(),
            asks: HashMap::default(),
            unsent: VecDeque::new(),
            totals: UsersTotals::default(),
            fresh: Timed::default(),
            outside: Timed::default(),
            acks: config.ack_log.as_deref().map(AckLog::open).transpose()?,
            notes: config
                .notes_dir
                .as_deref()
                .map(|dir| NoteFile::create(dir, number))
                .transpose()?,
            is_announced: false,
        })
    }

    /// Hosts exactly these users. One that leaves is still told how its tickets end.
    fn host(&mut self, users: &[UserId], links: &mut Links) {
        self.users.retain(|user, _| users.binary_search(user).is_ok());
        for open in self.loads.iter_mut().filter_map(|load| load.open.as_mut()) {
            open.wake_ns = None;
        }
        for &user in users {
            if self.users.contains_key(&user) {
                continue;
            }
            let draws = self.workload.user(user);
            let at_start = self.loads[usize::from(user.load().0)].users_at_start;
            if user.index() < at_start && self.digested.insert(user) {
                self.totals.digest_users += 1;
                let digest = self.workload.digest(user);
                self.totals.digest = self.totals.digest.wrapping_add(digest);
            }
            self.users.insert(user, User { draws, next_seq: None, cycle: Cycle::None });
            if let Some(link) = self.dial.up() {
                links.send(link, &UserToIssuer::Attach(Attach { user }));
            }
        }
    }

    fn on_issuer(
        &mut self,
        frame: &Frame<'_>,
        now: Time,
        links: &mut Links,
    ) -> Result<(), Refusal> {
        match IssuerToUser::decode(frame.kind, frame.payload)? {
            IssuerToUser::Welcome(_) => self.on_welcome(links),
            IssuerToUser::Attached(attached) => {
                self.on_attached(attached.user, attached.next_seq, now);
            }
            IssuerToUser::Accepted(accepted) => {
                let token = Token { user: accepted.user, seq: accepted.seq };
                self.on_accepted(token, accepted.id);
            }
            IssuerToUser::Rejected(rejected) => {
                let token = Token { user: rejected.user, seq: rejected.seq };
                self.settle(token, None, now);
            }
            IssuerToUser::Done(done) => {
                let token = Token { user: done.user, seq: done.seq };
                let outcome = Outcome::from_code(done.outcome);
                self.settle(token, outcome.map(|outcome| (done.id, outcome)), now);
            }
        }
        Ok(())
    }

    /// A new connection: the issuer is told who is here and asked again what it did not answer.
    fn on_welcome(&mut self, links: &mut Links) {
        self.dial.welcomed(links);
        let Some(link) = self.dial.up() else { return };
        for &user in self.users.keys() {
            links.send(link, &UserToIssuer::Attach(Attach { user }));
        }
        let mut tokens: Vec<Token> = Vec::with_capacity(self.asks.len());
        #[expect(clippy::iter_over_hash_type, reason = "sorted below")]
        for &token in self.asks.keys() {
            tokens.push(token);
        }
        tokens.sort_unstable();
        self.unsent = tokens.into();
    }

    fn on_attached(&mut self, user: UserId, next_seq: u64, now: Time) {
        let Some(state) = self.users.get_mut(&user) else {
            return;
        };
        if state.next_seq.is_some() {
            return;
        }
        state.next_seq = Some(next_seq);
        if self.loads[usize::from(user.load().0)].open.is_none() {
            self.think(user, now);
        }
    }

    /// A closed user thinks, then asks.
    fn think(&mut self, user: UserId, now: Time) {
        let load = user.load();
        let demand_ns = self.tempo.course(load).demand(nanos(self.line.office_time(now)));
        let Some(state) = self.users.get_mut(&user) else { return };
        let Some(seq) = state.next_seq else { return };
        let due = demand_ns.saturating_add(state.draws.draw(seq).think_ns);
        state.cycle = Cycle::Thinks(due);
        self.loads[usize::from(load.0)].thinking.push(Reverse((due, user)));
    }

    fn on_accepted(&mut self, token: Token, id: TicketId) {
        if let Some(asked) = self.asks.get_mut(&token)
            && !asked.is_accepted
        {
            asked.is_accepted = true;
            self.totals.accepted += 1;
            if let Some(acks) = &mut self.acks {
                acks.push(id);
            }
        }
    }

    /// A request has its answer: how its ticket ended, or `None` for a rejection.
    fn settle(&mut self, token: Token, end: Option<(TicketId, Outcome)>, now: Time) {
        match end {
            Some((_, Outcome::Served)) => self.totals.served += 1,
            Some((_, Outcome::Failed)) => self.totals.failed += 1,
            None => self.totals.rejected += 1,
        }
        let Some(asked) = self.asks.remove(&token) else {
            return;
        };
        if matches!(end, Some((_, Outcome::Served))) {
            self.timed(asked.scheduled).response.record(now.since(asked.scheduled));
        }
        if let Some(notes) = &mut self.notes {
            notes.push(&Note {
                id: end.map_or(TicketId(0), |(id, _)| id),
                token,
                service: asked.service,
                demand_ns: asked.demand_ns,
                scheduled: asked.scheduled,
                submitted: asked.submitted,
                notified: now,
            });
        }
        let cycle = self.users.get(&token.user).map(|user| user.cycle);
        if cycle == Some(Cycle::Waits(token.seq)) {
            self.think(token.user, now);
        }
    }

    /// Returns where the latencies of a request belong that was due at some moment, sent or not:
    /// what could not be sent in the window was asked for in it all the same.
    fn timed(&mut self, scheduled: Time) -> &mut Timed {
        if self.line.is_measured(scheduled) { &mut self.fresh } else { &mut self.outside }
    }

    fn turn(&mut self, now: Time, links: &mut Links) {
        self.dial.turn(now, links);
        if self.line.opened_at <= now {
            // What is due as the office stands still waits; what was due before that does not.
            let held_ns = u64::from(self.line.is_paused(now));
            let office_ns = nanos(self.line.office_time(now)).saturating_sub(held_ns);
            let end_ns = self.line.arrivals.map_or(u64::MAX, nanos);
            let office_ns = office_ns.min(end_ns.saturating_sub(1));
            let link = self.dial.up();
            let can_send =
                self.unsent.is_empty() && link.is_some_and(|link| !links.is_congested(link));
            for load in (0..).map(LoadId).take(self.loads.len()) {
                let demand_ns = self.tempo.course(load).demand(office_ns);
                self.ask_closed(load, demand_ns);
                self.ask_open(load, demand_ns, can_send);
            }
        }
        self.find_wakes();
        self.send_unsent(now, links);
        if let Some(acks) = &mut self.acks {
            acks.write();
        }
    }

    /// Asks for all users of a closed load that are done thinking.
    fn ask_closed(&mut self, load: LoadId, demand_ns: u64) {
        let load = usize::from(load.0);
        while let Some(&Reverse((due, user))) = self.loads[load].thinking.peek()
            && due <= demand_ns
        {
            self.loads[load].thinking.pop();
            let Some(state) = self.users.get_mut(&user) else { continue };
            if state.cycle == Cycle::Thinks(due)
                && let Some(seq) = state.next_seq
            {
                state.cycle = Cycle::Waits(seq);
                self.ask(Token { user, seq }, due, false);
            }
        }
    }

    /// Asks for all arrivals of an open load that are due. Those that an earlier life of this
    /// process asked for are passed over, which needs the issuer's word about each user first.
    fn ask_open(&mut self, load: LoadId, demand_ns: u64, can_send: bool) {
        let members = UserId::new(load, 0)..=UserId::new(load, UserId::PER_LOAD_MAX - 1);
        if self.users.range(members).any(|(_, user)| user.next_seq.is_none()) {
            return;
        }
        for _ in 0..limits::ARRIVALS_PER_TURN {
            let Some(open) = &mut self.loads[usize::from(load.0)].open else { return };
            if open.pending.next().offset_ns > demand_ns {
                return;
            }
            let due = open.pending.pop();
            open.wake_ns = None;
            let user = UserId::new(load, due.user_index);
            let next_seq = self.users.get(&user).and_then(|user| user.next_seq);
            if next_seq.is_some_and(|next_seq| next_seq <= due.seq) {
                let is_dropped = !can_send && self.loads[usize::from(load.0)].drops;
                self.ask(Token { user, seq: due.seq }, due.offset_ns, is_dropped);
            }
        }
    }

    /// Finds out when the next arrival of somebody who is hosted here is due.
    fn find_wakes(&mut self) {
        let Self { loads, users, .. } = self;
        for (load, state) in (0..).map(LoadId).zip(loads) {
            if let Some(open) = &mut state.open
                && open.wake_ns.is_none()
            {
                let is_here = |index| users.contains_key(&UserId::new(load, index));
                open.wake_ns = open.pending.first_due(is_here).or(Some(u64::MAX));
            }
        }
    }

    /// Asks for a ticket, or only counts that it would have been asked for.
    fn ask(&mut self, token: Token, due_ns: u64, is_dropped: bool) {
        let Some(user) = self.users.get_mut(&token.user) else {
            return;
        };
        let draw = user.draws.draw(token.seq);
        user.next_seq = Some(token.seq + 1);
        self.totals.intended += 1;
        let office_ns = self.tempo.course(token.user.load()).office(due_ns);
        let scheduled = self.line.moment(Duration::from_nanos(office_ns));
        let is_measured = self.line.is_measured(scheduled);
        self.totals.measured_intended += u64::from(is_measured);
        if is_dropped || self.asks.len() >= limits::ASKS_WAITING_MAX {
            self.totals.dropped += 1;
            self.totals.measured_dropped += u64::from(is_measured);
            return;
        }
        let asked = Asked {
            service: draw.service,
            demand_ns: draw.demand_ns,
            scheduled,
            submitted: Time::ZERO,
            is_accepted: false,
        };
        self.asks.insert(token, asked);
        self.unsent.push_back(token);
    }

    fn send_unsent(&mut self, now: Time, links: &mut Links) {
        let Some(link) = self.dial.up() else { return };
        while !links.is_congested(link)
            && let Some(token) = self.unsent.pop_front()
        {
            let Some(asked) = self.asks.get_mut(&token) else {
                continue;
            };
            if asked.submitted.is_set() {
                count!(USER_RESEND, 1);
            } else {
                asked.submitted = now;
                self.totals.submitted += 1;
                let is_measured = self.line.is_measured(asked.scheduled);
                let timed = if is_measured { &mut self.fresh } else { &mut self.outside };
                timed.lag.record(now.since(asked.scheduled));
            }
            let ask = Ask {
                user: token.user,
                seq: token.seq,
                service: asked.service,
                demand_ns: asked.demand_ns,
                scheduled: asked.scheduled,
                submitted: asked.submitted,
                payload: &self.loads[usize::from(token.user.load().0)].payload,
            };
            links.send(link, &UserToIssuer::Ask(ask));
        }
    }

    fn write_files(&mut self) {
        if let Some(notes) = &mut self.notes {
            notes.write();
        }
    }

    fn deadline(&self) -> Time {
        self.next_due().min(self.dial.deadline())
    }

    /// Returns when the next request of somebody who is hosted here is due.
    fn next_due(&self) -> Time {
        let loads = (0..).map(LoadId).zip(&self.loads);
        let dues = loads.filter_map(|(id, load)| {
            let closed = load.thinking.peek().map(|&Reverse((due, _))| due);
            let open = load.open.as_ref().and_then(|open| open.wake_ns);
            let due = closed.into_iter().chain(open).min()?;
            Some(self.tempo.course(id).office(due))
        });
        let due = dues.min().unwrap_or(u64::MAX);
        let end_ns = self.line.arrivals.map_or(u64::MAX, nanos);
        if due < end_ns { self.line.moment(Duration::from_nanos(due)) } else { Time::NEVER }
    }
}

#[cfg(test)]
mod tests;
