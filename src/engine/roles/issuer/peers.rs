//! The data plane: who is connected, what they may ask, and how decisions reach them.

use super::super::links::{LinkId, Links, PerLink};
use super::ledger::Tell;
use super::serving::Serving;
use crate::clock::Time;
use crate::config::Scenario;
use crate::count;
use crate::ids::{TicketId, Token, UserId, WorkerId};
use crate::limits;
use crate::net::connection::ConnectionLimits;
use crate::net::frame::{ErrorCode, Frame};
use crate::net::message::{
    Accepted, Ask, Assign, Attach, Attached, Done, IssuerToUser, IssuerToWorker, PeerRole,
    Rejected, Secret, Served, Signal, UserToIssuer, Welcome, WorkerToIssuer,
};
use crate::net::wire::Message;
use crate::roles::event_loop::{Closed, Refusal};
use crate::scheduler::issuer::{Assignment, Completion, Request};
use crate::scheduler::record::Outcome;

/// Who is connected.
pub(super) struct Peers {
    roles: PerLink<Peer>,
    /// The link of each user, by load and index.
    users: Vec<Vec<Option<LinkId>>>,
    /// The link of each worker.
    workers: Vec<Option<LinkId>>,
    strangers: usize,
    /// Peers dropped because of a wrong version, secret or frame, or because they do not read.
    pub(super) refused: u64,
}

#[derive(Clone, Copy)]
enum Peer {
    /// It has not said who it is.
    Stranger {
        until: Time,
    },
    Users,
    Worker(WorkerId),
}

/// What peers may ask for.
pub(super) struct Bounds {
    services: usize,
    loads: usize,
    payload_bytes: usize,
    pub(super) connection: ConnectionLimits,
}

/// Tells peers what was decided.
pub(super) struct Telling<'a> {
    pub(super) peers: &'a Peers,
    pub(super) links: &'a mut Links,
}

impl Tell for Telling<'_> {
    fn assign(&mut self, worker: WorkerId, assignment: &Assignment<'_>) {
        let &Assignment { id, handle, attempt, service, demand_ns, payload } = assignment;
        if let Some(Some(link)) = self.peers.workers.get(usize::from(worker.0)) {
            let assign = Assign { id, handle, attempt, service, demand_ns, payload };
            self.links.send(*link, &IssuerToWorker::Assign(assign));
            count!(ISSUER_ASSIGN, 1);
        }
    }

    fn accepted(&mut self, Token { user, seq }: Token, id: TicketId) {
        self.send(user, &IssuerToUser::Accepted(Accepted { user, seq, id }));
    }

    fn rejected(&mut self, Token { user, seq }: Token) {
        self.send(user, &IssuerToUser::Rejected(Rejected { user, seq }));
    }

    fn done(&mut self, Token { user, seq }: Token, id: TicketId, outcome: Outcome) {
        let done = Done { user, seq, id, outcome: outcome.code() };
        self.send(user, &IssuerToUser::Done(done));
    }
}

impl Telling<'_> {
    /// A user that is not connected asks again when it is.
    fn send(&mut self, user: UserId, message: &IssuerToUser) {
        let users = self.peers.users.get(usize::from(user.load().0));
        if let Some(Some(link)) = users.and_then(|users| users.get(user.index() as usize)) {
            self.links.send(*link, message);
        }
    }
}

impl Bounds {
    /// Returns what the peers of a scenario may ask for.
    pub(super) fn of(scenario: &Scenario) -> Self {
        let payload_bytes = scenario.loads.iter().map(|load| load.payload_bytes).max();
        Self {
            services: scenario.services.len(),
            loads: scenario.loads.len(),
            payload_bytes: payload_bytes.unwrap_or(0) as usize,
            connection: ConnectionLimits {
                payload_max: scenario.net.frame_max_bytes,
                outbox_high: scenario.net.outbox_high_bytes,
                outbox_max: limits::OUTBOX_BYTES_MAX,
            },
        }
    }

    fn check<'a>(&self, ask: &Ask<'a>) -> Result<Request<'a>, Refusal> {
        self.check_user(ask.user)?;
        if usize::from(ask.service.0) >= self.services {
            return Err(malformed(format!("{} does not exist", ask.service)));
        }
        if ask.payload.len() > self.payload_bytes {
            let (found, most) = (ask.payload.len(), self.payload_bytes);
            return Err(malformed(format!("a payload of {found} bytes is over {most}")));
        }
        Ok(Request {
            token: Token { user: ask.user, seq: ask.seq },
            service: ask.service,
            demand_ns: ask.demand_ns,
            scheduled: ask.scheduled,
            submitted: ask.submitted,
            payload: ask.payload,
        })
    }

    fn check_user(&self, user: UserId) -> Result<(), Refusal> {
        if usize::from(user.load().0) < self.loads && user.index() < limits::USERS_MAX {
            Ok(())
        } else {
            Err(malformed(format!("{user} does not exist")))
        }
    }
}

fn malformed(text: String) -> Refusal {
    Refusal { code: ErrorCode::Malformed, text }
}

/// Compares without telling by the time taken how much was right.
fn is_same_secret(shown: &Secret, wanted: &Secret) -> bool {
    let differences = shown.iter().zip(wanted).fold(0, |all, (a, b)| all | (a ^ b));
    std::hint::black_box(differences) == 0
}

impl Peers {
    /// Returns an empty room for the users of `loads` loads; earlier lives refused so many peers.
    pub(super) fn new(loads: usize, refused: u64) -> Self {
        Self {
            roles: PerLink::default(),
            users: vec![Vec::new(); loads],
            workers: Vec::new(),
            strangers: 0,
            refused,
        }
    }

    /// Starts or stops reading requests.
    pub(super) fn read_users(&self, is_read: bool, links: &mut Links) {
        for (link, peer) in self.roles.iter() {
            if matches!(peer, Peer::Users) {
                links.set_reading(link, is_read);
            }
        }
    }

    /// When the next peer that says nothing is dropped.
    pub(super) fn first_hello_deadline(&self) -> Time {
        if self.strangers == 0 {
            return Time::NEVER;
        }
        let deadlines = self.roles.iter().filter_map(|(_, peer)| match peer {
            Peer::Stranger { until } => Some(*until),
            Peer::Users | Peer::Worker(_) => None,
        });
        deadlines.min().unwrap_or(Time::NEVER)
    }
}

impl Serving {
    /// A peer connected.
    pub(super) fn on_stranger(&mut self, link: LinkId, now: Time, links: &mut Links) {
        if self.peers.strangers >= limits::UNAUTHENTICATED_PEERS_MAX {
            self.peers.refused += 1;
            links.refuse(link, ErrorCode::TooManyPeers, "too many peers have not said hello");
            return;
        }
        self.peers.strangers += 1;
        self.peers.roles.insert(link, Peer::Stranger { until: now + limits::HELLO_DEADLINE });
    }

    /// Drops peers that did not say hello in time.
    pub(super) fn drop_silent_strangers(&mut self, now: Time, links: &mut Links) {
        if self.peers.first_hello_deadline() > now {
            return;
        }
        let silent: Vec<LinkId> = (self.peers.roles.iter())
            .filter(|(_, peer)| matches!(peer, Peer::Stranger { until } if *until <= now))
            .map(|(link, _)| link)
            .collect();
        for link in silent {
            links.refuse(link, ErrorCode::HelloExpected, "no hello came in time");
            self.on_gone(link, Closed::Refused, now, links);
        }
    }

    /// A peer said something.
    pub(super) fn on_peer(
        &mut self,
        link: LinkId,
        frame: &Frame<'_>,
        now: Time,
        links: &mut Links,
    ) -> Result<(), Refusal> {
        match self.peers.roles.get(link) {
            Some(Peer::Users) => self.on_user(link, frame, now, links),
            Some(&Peer::Worker(worker)) => self.on_worker(worker, link, frame, now, links),
            Some(Peer::Stranger { .. }) => self.join(link, frame, now, links),
            None => Ok(()),
        }
    }

    fn on_user(
        &mut self,
        link: LinkId,
        frame: &Frame<'_>,
        now: Time,
        links: &mut Links,
    ) -> Result<(), Refusal> {
        match UserToIssuer::decode(frame.kind, frame.payload)? {
            UserToIssuer::Ask(ask) => {
                let request = self.bounds.check(&ask)?;
                let (ledger, mut telling) = self.split(links);
                let (core, mut acting) = ledger.split(&mut telling);
                core.request(&request, now, &mut acting);
                self.steer_intake(links);
                Ok(())
            }
            UserToIssuer::Attach(Attach { user }) => {
                self.bounds.check_user(user)?;
                let users = &mut self.peers.users[usize::from(user.load().0)];
                let index = user.index() as usize;
                if users.len() <= index {
                    users.resize(index + 1, None);
                }
                users[index] = Some(link);
                let next_seq = self.ledger.core.next_seq(user);
                links.send(link, &IssuerToUser::Attached(Attached { user, next_seq }));
                Ok(())
            }
            UserToIssuer::Join(_) => Err(malformed("a peer joins once".to_owned())),
        }
    }

    fn on_worker(
        &mut self,
        worker: WorkerId,
        link: LinkId,
        frame: &Frame<'_>,
        now: Time,
        links: &mut Links,
    ) -> Result<(), Refusal> {
        match WorkerToIssuer::decode(frame.kind, frame.payload)? {
            WorkerToIssuer::Served(Served { id, handle, attempt }) => {
                let completion = Completion { id, handle, attempt };
                let (ledger, mut telling) = self.split(links);
                let (core, mut acting) = ledger.split(&mut telling);
                if !core.completed(worker, completion, now, &mut acting) {
                    log::warn!("a late word about a ticket is ignored: {worker} ticket={id}");
                }
                Ok(())
            }
            WorkerToIssuer::Leaving(_) => {
                self.ledger.core.retire(worker, now);
                links.send(link, &IssuerToWorker::Released(Signal { at: now }));
                Ok(())
            }
            WorkerToIssuer::Join(_) => Err(malformed("a peer joins once".to_owned())),
        }
    }

    fn join(
        &mut self,
        link: LinkId,
        frame: &Frame<'_>,
        now: Time,
        links: &mut Links,
    ) -> Result<(), Refusal> {
        let UserToIssuer::Join(join) = UserToIssuer::decode(frame.kind, frame.payload)? else {
            let text = "the first word must be a hello".to_owned();
            return Err(Refusal { code: ErrorCode::HelloExpected, text });
        };
        if !is_same_secret(&join.secret, &self.secret) {
            let text = "the secret is not this office's".to_owned();
            return Err(Refusal { code: ErrorCode::BadToken, text });
        }
        let welcome = Welcome { epoch: self.epoch };
        let peer = match join.role {
            PeerRole::Users => {
                links.send(link, &IssuerToUser::Welcome(welcome));
                Peer::Users
            }
            PeerRole::Worker => {
                if join.number >= limits::WORKERS_MAX || join.seats > limits::SEATS_MAX {
                    return Err(malformed("there are not that many workers or seats".to_owned()));
                }
                let worker = WorkerId(join.number);
                self.replace_worker(worker, link, now, links);
                links.send(link, &IssuerToWorker::Welcome(welcome));
                self.ledger.core.worker_up(worker, join.seats, now);
                Peer::Worker(worker)
            }
        };
        self.peers.strangers -= 1;
        self.peers.roles.insert(link, peer);
        if matches!(peer, Peer::Users) {
            links.set_reading(link, self.reads_users);
        }
        Ok(())
    }

    /// A worker that joins again has lost what it held.
    fn replace_worker(&mut self, worker: WorkerId, link: LinkId, now: Time, links: &mut Links) {
        let index = usize::from(worker.0);
        if self.peers.workers.len() <= index {
            self.peers.workers.resize(index + 1, None);
        }
        if let Some(old) = self.peers.workers[index] {
            self.on_gone(old, Closed::ByPeer, now, links);
            links.close(old);
        }
        self.peers.workers[index] = Some(link);
    }

    /// A peer has gone.
    pub(super) fn on_gone(&mut self, link: LinkId, reason: Closed, now: Time, links: &mut Links) {
        let Some(peer) = self.peers.roles.remove(link) else {
            return;
        };
        if reason != Closed::ByPeer {
            self.peers.refused += 1;
            log::warn!("a peer was dropped: reason={reason:?} so_far={}", self.peers.refused);
        }
        match peer {
            Peer::Stranger { .. } => self.peers.strangers -= 1,
            Peer::Users => {}
            Peer::Worker(worker) => {
                self.peers.workers[usize::from(worker.0)] = None;
                let (ledger, mut telling) = self.split(links);
                let (core, mut acting) = ledger.split(&mut telling);
                core.worker_down(worker, now, &mut acting);
            }
        }
    }
}
