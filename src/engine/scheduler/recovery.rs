//! From the log's records to the issuer that wrote them.
//!
//! Replaying is the whole of recovery: the records say which ids are taken, which tickets are
//! open, which requests have a ticket, and what the run's statistics were. With a state that was
//! kept ([`super::state`]) and the tickets that were open then, only the records behind it are
//! replayed.

use std::collections::BTreeMap;

use super::issuer::{Issuer, OpenTicket, Options};
use super::record::{Completed, Issued, Record, Start};
use super::state::{self, RunMark};
use super::stats::{Ended, Stats};
use super::tokens::Tokens;
use crate::clock::Time;
use crate::ids::{Epoch, RunId, ServiceId, TicketId};
use crate::timeline::Timeline;

/// Reads the log's records in order and becomes the issuer.
#[derive(Debug)]
pub struct Recovery {
    options: Options,
    run: RunId,
    /// The first ticket of the run, once the run has begun.
    first: Option<TicketId>,
    last_epoch: Epoch,
    next_id: TicketId,
    oldest_open: TicketId,
    open: BTreeMap<TicketId, OpenTicket>,
    tokens: Tokens,
    stats: Stats,
}

impl Recovery {
    /// Returns the reader for a start of the issuer in `run`, whose timeline is `line`.
    pub fn new(options: Options, run: RunId, line: Timeline) -> Self {
        let mut stats = Stats::new(options.services);
        stats.set_timeline(line, Time::ZERO);
        Self {
            options,
            run,
            first: None,
            last_epoch: Epoch(0),
            next_id: TicketId(1),
            oldest_open: TicketId(1),
            open: BTreeMap::new(),
            tokens: Tokens::default(),
            stats,
        }
    }

    /// Puts a kept state back; returns whether it could be read. Then the tickets that were open
    /// are to be given to [`Self::restore_open`].
    pub fn restore(&mut self, bytes: &[u8]) -> bool {
        let Some(state) = state::decode(bytes, &self.options) else {
            return false;
        };
        self.last_epoch = state.mark.epoch;
        self.next_id = state.lease.max(TicketId(1));
        self.oldest_open = state.oldest_open;
        if state.mark.run == self.run {
            let line = self.stats.timeline().clone();
            self.first = Some(state.mark.first);
            self.tokens = state.tokens;
            self.stats = state.stats;
            self.stats.set_timeline(line, Time::ZERO);
        }
        true
    }

    /// Returns the oldest ticket that was open when the state was kept.
    pub fn oldest_open(&self) -> TicketId {
        self.oldest_open
    }

    /// Takes a ticket that was open when the state was kept.
    pub fn restore_open(&mut self, issued: &Issued<'_>) {
        let open = self.open_ticket(issued);
        if !open.is_foreign {
            self.tokens.open(issued.token, 0);
        }
        self.open.insert(issued.id, open);
    }

    /// Returns where the run stands in the log once all of it is replayed.
    pub fn mark(&self) -> RunMark {
        RunMark { run: self.run, first: self.first.unwrap_or(self.next_id), epoch: self.epoch() }
    }

    /// Takes the next record of the log.
    pub fn replay(&mut self, record: &Record<'_>) {
        match record {
            Record::Start(start) => self.replay_start(start),
            Record::Lease(until) => self.next_id = self.next_id.max(*until),
            Record::Issued(issued) => self.replay_issued(issued),
            Record::Completed(completed) => self.replay_completed(completed),
        }
    }

    /// Returns the number of this start of the issuer.
    pub fn epoch(&self) -> Epoch {
        Epoch(self.last_epoch.0 + 1)
    }

    /// Returns what was found, to be compared: all that the log holds, see [`super::state`].
    #[cfg(test)]
    pub(crate) fn found(&self) -> String {
        let end = self.stats.position(Time::NEVER);
        let service = |stats: &super::stats::ServiceStats| {
            let latencies = stats.latencies.whole();
            let latencies =
                [&latencies.wait, &latencies.service, &latencies.sojourn, &latencies.overhead]
                    .map(crate::perf::Histogram::to_bytes);
            let counts = (stats.totals, stats.measured, stats.delayed, stats.window_completions);
            // Between the first start and the last of a ticket whose worker died nobody knows.
            let stays = stats.waiting.integral_ns(end) + stats.in_service.integral_ns(end);
            (counts, latencies, stays, stats.accepted_waits, stats.wait_means.clone())
        };
        let services: Vec<_> = self.stats.services().iter().map(service).collect();
        let open: Vec<_> = self.open.values().map(|open| (open.id, open.token)).collect();
        let finished: Vec<_> = self.tokens.finished().collect();
        let next_seqs = self.tokens.next_seqs();
        let (mark, next_id) = (self.mark(), self.next_id);
        format!("{mark:?} {next_id} {open:?} {finished:?} {next_seqs:?} {services:?}")
    }

    /// Returns the first id that was never leased.
    pub fn next_id(&self) -> TicketId {
        self.next_id
    }

    /// Returns whether a ticket is open.
    pub fn is_open(&self, id: TicketId) -> bool {
        self.open.contains_key(&id)
    }

    /// Returns how many tickets are open.
    pub fn open(&self) -> usize {
        self.open.len()
    }

    /// Takes note of a change of the run's timeline while the log was read.
    pub fn set_timeline(&mut self, line: Timeline) {
        self.stats.set_timeline(line, Time::ZERO);
    }

    /// Returns the issuer as it was, with every open ticket queued again.
    pub fn finish(mut self, now: Time) -> Issuer {
        self.stats.settle();
        let mut issuer = Issuer::new(self.options, self.next_id, self.tokens, self.stats);
        for open in self.open.into_values() {
            issuer.recover(open, now);
        }
        issuer
    }

    fn replay_start(&mut self, start: &Start) {
        self.last_epoch = self.last_epoch.max(start.epoch);
        if start.run == self.run {
            self.first.get_or_insert(self.next_id);
        }
    }

    fn replay_issued(&mut self, issued: &Issued<'_>) {
        self.next_id = self.next_id.max(TicketId(issued.id.0 + 1));
        let open = self.open_ticket(issued);
        if !open.is_foreign {
            self.tokens.open(issued.token, 0);
            self.stats.replay_issued(open.service, issued.arrived, issued.is_delayed);
        }
        self.open.insert(issued.id, open);
    }

    fn open_ticket(&self, issued: &Issued<'_>) -> OpenTicket {
        OpenTicket {
            id: issued.id,
            token: issued.token,
            service: self.known_service(issued.service),
            demand_ns: issued.demand_ns,
            arrived: issued.arrived,
            is_foreign: self.first.is_none_or(|first| issued.id < first),
            payload: issued.payload.to_vec(),
        }
    }

    fn replay_completed(&mut self, end: &Completed) {
        let Some(open) = self.open.remove(&end.id) else {
            return;
        };
        // What an earlier run did is not this one's.
        if self.first.is_some() {
            self.stats.replay_stay(open.service, open.arrived, open.is_foreign, end);
        }
        if open.is_foreign {
            return;
        }
        self.tokens.finish(open.token, end.id, end.outcome);
        let OpenTicket { service, arrived, demand_ns, token, .. } = open;
        self.stats.completed(&Ended { service, user: token.user, arrived, demand_ns }, end);
    }

    /// A ticket of a scenario with more services than this one has is served as the first kind
    /// of work: it must not be forgotten.
    fn known_service(&self, service: ServiceId) -> ServiceId {
        if usize::from(service.0) < self.options.services { service } else { ServiceId(0) }
    }
}

#[cfg(test)]
mod tests {
    use super::super::issuer::tests::{Log, request};
    use super::*;
    use crate::config::scenario::{Retry, RetryPosition};
    use crate::ids::{Lsn, WorkerId};
    use crate::scheduler::issuer::Completion;

    const OPTIONS: Options = Options {
        services: 2,
        room: 100,
        retry: Retry { attempts: 3, position: RetryPosition::Head },
    };

    fn start(epoch: u32, run: u64) -> Vec<(u8, [u8; 16], Vec<u8>)> {
        let mut log = Log::default();
        log.append(&Record::Start(Start {
            epoch: Epoch(epoch),
            run: RunId(run),
            wall: crate::clock::WallTime(0),
            boot: [0; 16],
        }));
        log.records
    }

    /// Replays what an issuer wrote.
    fn replay(records: &[(u8, [u8; 16], Vec<u8>)], run: u64) -> Recovery {
        let mut recovery = Recovery::new(OPTIONS, RunId(run), Timeline::default());
        for (kind, key, value) in records {
            recovery.replay(&Record::decode(*kind, key, value).unwrap());
        }
        recovery
    }

    /// An issuer that issued three tickets, of which the second was served.
    fn three_tickets() -> Log {
        let mut log = Log { records: start(1, 7), ..Log::default() };
        let mut issuer = replay(&log.records, 7).finish(Time(1));
        let until = issuer.wanted_lease().unwrap();
        log.append(&Record::Lease(until));
        issuer.leased(until);
        for seq in 0..3 {
            issuer.request(&request(0, seq), Time(10 + seq), &mut log);
        }
        issuer.written(Lsn(1));
        issuer.durable(Lsn(1), Time(20), &mut log);
        issuer.worker_up(WorkerId(0), 2, Time(21));
        issuer.dispatch(Time(22), &mut log);
        let (_, id, handle) = log.assigned[1];
        let completion = Completion { id, handle, attempt: 1 };
        assert!(issuer.completed(WorkerId(0), completion, Time(23), &mut log));
        log
    }

    #[test]
    fn an_open_ticket_is_queued_again_and_a_finished_one_is_not() {
        let written = three_tickets();
        let recovery = replay(&written.records, 7);
        assert_eq!((recovery.epoch(), recovery.open()), (Epoch(2), 2));
        let mut issuer = recovery.finish(Time(30));
        let mut log = Log::default();
        issuer.worker_up(WorkerId(1), 5, Time(31));
        issuer.dispatch(Time(32), &mut log);
        let served: Vec<_> = log.assigned.iter().map(|&(_, id, _)| id).collect();
        assert_eq!(served, [TicketId(1), TicketId(3)]);
        assert_eq!(issuer.stats().recovered, 2);
    }

    #[test]
    fn ids_go_on_behind_the_lease() {
        let written = three_tickets();
        let mut issuer = replay(&written.records, 7).finish(Time(30));
        let until = issuer.wanted_lease().unwrap();
        issuer.leased(until);
        let mut log = Log::default();
        issuer.request(&request(0, 9), Time(33), &mut log);
        issuer.written(Lsn(1));
        issuer.durable(Lsn(1), Time(34), &mut log);
        assert_eq!(log.accepted[0].1, TicketId(1 + crate::limits::LEASE_TICKETS));
    }

    #[test]
    fn a_repeated_request_gets_the_ticket_that_it_had_before_the_crash() {
        let written = three_tickets();
        let mut issuer = replay(&written.records, 7).finish(Time(30));
        let mut log = Log::default();
        for seq in 0..3 {
            issuer.request(&request(0, seq), Time(31), &mut log);
        }
        let accepted: Vec<_> = log.accepted.iter().map(|&(_, id)| id.0).collect();
        assert_eq!(accepted, [1, 2, 3]);
        assert_eq!(log.done.iter().map(|&(_, id, _)| id.0).collect::<Vec<_>>(), [2]);
        assert!(log.records.is_empty(), "a repeated request is not a new ticket");
        assert_eq!(issuer.next_seq(request(0, 0).token.user), 3);
    }

    #[test]
    fn an_earlier_run_leaves_its_open_tickets_but_neither_tokens_nor_figures() {
        let written = three_tickets();
        let mut records = written.records;
        records.extend(start(2, 8));
        let mut issuer = replay(&records, 8).finish(Time(30));
        assert_eq!((issuer.open(), issuer.next_seq(request(0, 0).token.user)), (2, 0));
        assert_eq!(issuer.stats().services()[0].totals.issued, 0);
        issuer.leased(issuer.wanted_lease().unwrap());
        let mut log = Log::default();
        issuer.request(&request(0, 0), Time(31), &mut log);
        issuer.written(Lsn(1));
        issuer.durable(Lsn(1), Time(32), &mut log);
        assert!(log.accepted[0].1 > TicketId(3), "the token of the new run is a new request");
    }
}
