//! From the log's records to the issuer that wrote them.
//!
//! Replaying is the whole of recovery: the records say which ids are taken, which tickets are
//! open, which requests have a ticket, and what the run's statistics were.

use std::collections::BTreeMap;
use std::time::Duration;

use super::issuer::{Issuer, OpenTicket, Options};
use super::record::{Completed, Issued, Record, Start};
use super::stats::Stats;
use super::tokens::Tokens;
use crate::clock::Time;
use crate::ids::{Epoch, RunId, ServiceId, TicketId};
use crate::timeline::Timeline;

/// Reads the log's records in order and becomes the issuer.
#[derive(Debug)]
pub struct Recovery {
    options: Options,
    run: RunId,
    is_own_run: bool,
    last_epoch: Epoch,
    next_id: TicketId,
    open: BTreeMap<TicketId, OpenTicket>,
    tokens: Tokens,
    stats: Stats,
}

impl Recovery {
    /// Returns the reader for a start of the issuer in `run`, whose timeline is `line`.
    pub fn new(options: Options, run: RunId, line: Timeline) -> Self {
        let mut stats = Stats::new(options.services);
        stats.set_timeline(line);
        Self {
            options,
            run,
            is_own_run: false,
            last_epoch: Epoch(0),
            next_id: TicketId(1),
            open: BTreeMap::new(),
            tokens: Tokens::default(),
            stats,
        }
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

    /// Returns how many tickets are open.
    pub fn open(&self) -> usize {
        self.open.len()
    }

    /// Returns the issuer as it was, with every open ticket queued again.
    pub fn finish(self, now: Time) -> Issuer {
        let mut issuer = Issuer::new(self.options, self.next_id, self.tokens, self.stats);
        for open in self.open.into_values() {
            issuer.recover(open, now);
        }
        issuer
    }

    fn replay_start(&mut self, start: &Start) {
        self.last_epoch = self.last_epoch.max(start.epoch);
        self.is_own_run = start.run == self.run;
    }

    fn replay_issued(&mut self, issued: &Issued<'_>) {
        self.next_id = self.next_id.max(TicketId(issued.id.0 + 1));
        let service = self.known_service(issued.service);
        let open = OpenTicket {
            id: issued.id,
            token: issued.token,
            service,
            demand_ns: issued.demand_ns,
            arrived: issued.arrived,
            is_foreign: !self.is_own_run,
            payload: issued.payload.to_vec(),
        };
        if self.is_own_run {
            self.tokens.open(issued.token, 0);
            let is_delayed = issued.waiting_seen > 0;
            self.stats.replay_issued(service, issued.arrived, is_delayed);
        }
        self.open.insert(issued.id, open);
    }

    fn replay_completed(&mut self, end: &Completed) {
        let Some(open) = self.open.remove(&end.id) else {
            return;
        };
        if open.is_foreign {
            return;
        }
        let demand = Duration::from_nanos(open.demand_ns);
        self.tokens.finish(open.token, end.id, end.outcome);
        self.stats.replay_spans(open.service, open.arrived, end.started, end.ended);
        self.stats.completed(open.service, open.arrived, demand, end);
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
