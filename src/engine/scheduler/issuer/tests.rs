//! The issuer against its promises, and against a naive model.

use proptest::prelude::*;

use super::*;
use crate::ids::LoadId;

/// Keeps all that an issuer decides.
#[derive(Debug, Default)]
pub(in crate::scheduler) struct Log {
    pub(in crate::scheduler) records: Vec<(u8, [u8; 16], Vec<u8>)>,
    pub(in crate::scheduler) assigned: Vec<(WorkerId, TicketId, Handle)>,
    pub(in crate::scheduler) accepted: Vec<(Token, TicketId)>,
    pub(in crate::scheduler) rejected: Vec<Token>,
    pub(in crate::scheduler) done: Vec<(Token, TicketId, Outcome)>,
}

impl Log {
    pub(in crate::scheduler) fn append(&mut self, record: &Record<'_>) {
        let mut value = Vec::new();
        record.put_value(&mut value);
        self.records.push((record.kind(), record.key(), value));
    }

    fn completions(&self) -> Vec<(TicketId, Outcome, u8)> {
        (self.records.iter())
            .filter_map(|(kind, key, value)| match Record::decode(*kind, key, value).unwrap() {
                Record::Completed(end) => Some((end.id, end.outcome, end.attempts)),
                _ => None,
            })
            .collect()
    }
}

impl Effects for Log {
    fn record(&mut self, record: &Record<'_>) {
        self.append(record);
    }
    fn assign(&mut self, worker: WorkerId, assignment: &Assignment<'_>) {
        self.assigned.push((worker, assignment.id, assignment.handle));
    }
    fn accepted(&mut self, token: Token, id: TicketId) {
        self.accepted.push((token, id));
    }
    fn rejected(&mut self, token: Token) {
        self.rejected.push(token);
    }
    fn done(&mut self, token: Token, id: TicketId, outcome: Outcome) {
        self.done.push((token, id, outcome));
    }
}

pub(in crate::scheduler) fn request(user: u32, seq: u64) -> Request<'static> {
    Request {
        token: Token { user: UserId::new(LoadId(0), user), seq },
        service: ServiceId(u8::try_from(seq % 2).unwrap()),
        demand_ns: 5,
        scheduled: Time(1),
        submitted: Time(2),
        payload: b"stamp",
    }
}

fn office(room: u32, attempts: u8) -> Issuer {
    let retry = Retry { attempts, position: RetryPosition::Head };
    let options = Options { services: 2, room, retry };
    let mut issuer = Issuer::new(options, TicketId(1), Tokens::default(), Stats::new(2));
    issuer.leased(issuer.wanted_lease().unwrap());
    issuer
}

fn commit(issuer: &mut Issuer, lsn: u64, log: &mut Log) {
    issuer.written(Lsn(lsn));
    issuer.durable(Lsn(lsn), Time(lsn), log);
}

fn completion(log: &Log, index: usize, attempt: u8) -> Completion {
    let (_, id, handle) = log.assigned[index];
    Completion { id, handle, attempt }
}

fn held_by(issuer: &Issuer, worker: WorkerId) -> usize {
    let held = State::InService(worker);
    issuer.tickets.iter().filter(|ticket| ticket.state == held).count()
}

#[test]
fn nobody_is_told_before_the_record_is_durable() {
    let (mut issuer, mut log) = (office(9, 3), Log::default());
    issuer.request(&request(0, 0), Time(1), &mut log);
    issuer.written(Lsn(100));
    issuer.request(&request(0, 1), Time(2), &mut log);
    issuer.written(Lsn(200));
    issuer.durable(Lsn(99), Time(3), &mut log);
    assert_eq!(log.accepted.len(), 0);
    issuer.durable(Lsn(100), Time(4), &mut log);
    assert_eq!(log.accepted, [(request(0, 0).token, TicketId(1))]);
    issuer.durable(Lsn(250), Time(5), &mut log);
    assert_eq!(log.accepted.len(), 2);
}

#[test]
fn a_completion_that_overtakes_the_sync_is_told_after_the_acceptance() {
    let (mut issuer, mut log) = (office(9, 3), Log::default());
    issuer.worker_up(WorkerId(0), 1, Time(0));
    issuer.request(&request(0, 0), Time(1), &mut log);
    issuer.dispatch(Time(2), &mut log);
    issuer.written(Lsn(1));
    assert!(issuer.completed(WorkerId(0), completion(&log, 0, 1), Time(3), &mut log));
    assert_eq!(log.completions().len(), 0, "an end must not reach the log before its beginning");
    issuer.durable(Lsn(1), Time(4), &mut log);
    assert_eq!((log.accepted.len(), log.done.len(), log.completions().len()), (1, 0, 1));
    commit(&mut issuer, 2, &mut log);
    assert_eq!((log.done.len(), issuer.open()), (1, 0));
    let [.., (kind, key, value)] = &log.records[..] else { panic!("there is a record") };
    let Record::Completed(end) = Record::decode(*kind, key, value).unwrap() else {
        panic!("the last record is the completion")
    };
    assert_eq!((end.durable, end.ended), (Time(4), Time(3)));
}

#[test]
fn a_full_office_rejects_and_counts() {
    let (mut issuer, mut log) = (office(2, 3), Log::default());
    for seq in 0..3 {
        issuer.request(&request(0, seq), Time(seq), &mut log);
    }
    commit(&mut issuer, 1, &mut log);
    assert_eq!((log.accepted.len(), &log.rejected[..]), (2, &[request(0, 2).token][..]));
    assert_eq!(issuer.stats().services()[0].totals.rejected, 1);
    assert_eq!(log.records.len(), 2, "a rejection is no ticket");
}

#[test]
fn a_pause_stops_dispatch_and_nothing_else() {
    let (mut issuer, mut log) = (office(9, 3), Log::default());
    issuer.worker_up(WorkerId(0), 1, Time(0));
    let mut line = Timeline::default();
    line.pause(Time(1));
    issuer.set_timeline(line.clone(), Time(1));
    issuer.request(&request(0, 0), Time(2), &mut log);
    issuer.dispatch(Time(3), &mut log);
    assert_eq!(log.assigned.len(), 0);
    line.resume(Time(4));
    issuer.set_timeline(line, Time(4));
    issuer.dispatch(Time(5), &mut log);
    assert_eq!(log.assigned.len(), 1);
}

fn curbs(is_on_strike: bool, blocked: &[u8], delay_ns: u64) -> Curbs {
    let blocked = blocked.iter().map(|&number| ServiceId(number)).collect();
    Curbs { is_on_strike, blocked, delay: Duration::from_nanos(delay_ns) }
}

#[test]
fn a_strike_keeps_all_tickets_waiting_and_only_busy_seats_are_staffed() {
    let (mut issuer, mut log) = (office(9, 3), Log::default());
    issuer.worker_up(WorkerId(0), 3, Time(0));
    issuer.request(&request(0, 0), Time(1), &mut log);
    issuer.dispatch(Time(1), &mut log);
    issuer.set_curbs(curbs(true, &[], 0), Time(2));
    issuer.request(&request(0, 1), Time(3), &mut log);
    issuer.dispatch(Time(3), &mut log);
    assert_eq!((log.assigned.len(), issuer.waiting()), (1, 1));
    let staffed = |issuer: &Issuer| issuer.stats().staffed().level().value();
    assert_eq!(staffed(&issuer), 1, "the seat that holds a ticket");
    commit(&mut issuer, 4, &mut log);
    assert!(issuer.completed(WorkerId(0), completion(&log, 0, 1), Time(5), &mut log));
    assert_eq!(staffed(&issuer), 0);
    issuer.worker_up(WorkerId(1), 2, Time(6));
    assert_eq!(staffed(&issuer), 0, "who comes to work joins the strike");
    issuer.retire(WorkerId(1), Time(7));
    issuer.set_curbs(Curbs::default(), Time(8));
    assert_eq!(staffed(&issuer), 3);
    issuer.dispatch(Time(9), &mut log);
    assert_eq!((log.assigned.len(), issuer.waiting()), (2, 0));
    assert_eq!(issuer.stats().services()[1].delayed, 1, "the second ticket found nobody");
    // One seat from 1 to 5, three in the beginning and the end.
    assert_eq!(issuer.stats().staffed().integral_ns(10), 3 * 2 + 3 + 3 * 2);
}

#[test]
fn a_blocked_service_holds_up_no_other() {
    let (mut issuer, mut log) = (office(9, 3), Log::default());
    issuer.worker_up(WorkerId(0), 2, Time(0));
    issuer.set_curbs(curbs(false, &[1], 0), Time(0));
    for seq in [1, 3, 0] {
        issuer.request(&request(0, seq), Time(seq + 1), &mut log);
    }
    issuer.dispatch(Time(9), &mut log);
    let served: Vec<u64> = log.assigned.iter().map(|(_, id, _)| id.0).collect();
    assert_eq!((served, issuer.waiting()), (vec![3], 2));
    let delayed = |service: usize| issuer.stats().services()[service].delayed;
    assert_eq!([delayed(0), delayed(1)], [0, 2], "the others' line is none for it");
    issuer.set_curbs(Curbs::default(), Time(10));
    issuer.dispatch(Time(11), &mut log);
    assert_eq!(log.assigned[1].1, TicketId(1), "the one that waited longest");
}

#[test]
fn a_slow_issuer_hands_out_in_rounds_that_come_late() {
    let (mut issuer, mut log) = (office(9, 3), Log::default());
    let mut line = Timeline::default();
    issuer.set_curbs(curbs(false, &[], 100), Time(0));
    issuer.worker_up(WorkerId(0), 2, Time(0));
    issuer.dispatch(Time(5), &mut log);
    assert_eq!(issuer.dispatch_deadline(), Time::NEVER, "nothing is to be handed out");
    issuer.request(&request(0, 0), Time(10), &mut log);
    issuer.dispatch(Time(10), &mut log);
    issuer.request(&request(0, 1), Time(60), &mut log);
    issuer.dispatch(Time(60), &mut log);
    assert_eq!((log.assigned.len(), issuer.dispatch_deadline()), (0, Time(110)));
    // Office time stands still from 70 to 90, so the round comes later too.
    line.pause(Time(70));
    issuer.set_timeline(line.clone(), Time(70));
    issuer.dispatch(Time(80), &mut log);
    assert_eq!(issuer.dispatch_deadline(), Time::NEVER);
    line.resume(Time(90));
    issuer.set_timeline(line, Time(90));
    assert_eq!(issuer.dispatch_deadline(), Time(130));
    issuer.dispatch(Time(129), &mut log);
    assert_eq!(log.assigned.len(), 0);
    issuer.dispatch(Time(131), &mut log);
    assert_eq!((log.assigned.len(), issuer.dispatch_deadline()), (2, Time::NEVER));
}

#[test]
fn a_round_that_was_put_off_comes_at_once_when_the_issuer_is_quick_again() {
    let (mut issuer, mut log) = (office(9, 3), Log::default());
    issuer.set_curbs(curbs(false, &[], 100), Time(0));
    issuer.worker_up(WorkerId(0), 1, Time(0));
    issuer.request(&request(0, 0), Time(10), &mut log);
    issuer.dispatch(Time(10), &mut log);
    issuer.set_curbs(curbs(false, &[], 500), Time(20));
    assert_eq!(issuer.dispatch_deadline(), Time(110), "it is never put off twice");
    issuer.set_curbs(Curbs::default(), Time(30));
    issuer.dispatch(Time(30), &mut log);
    assert_eq!(log.assigned.len(), 1);
}

#[test]
fn a_dead_workers_ticket_goes_to_another_and_its_late_word_counts_no_more() {
    let (mut issuer, mut log) = (office(9, 3), Log::default());
    issuer.worker_up(WorkerId(0), 1, Time(0));
    for seq in [0, 1] {
        issuer.request(&request(0, seq), Time(1), &mut log);
    }
    commit(&mut issuer, 1, &mut log);
    issuer.dispatch(Time(2), &mut log);
    issuer.worker_down(WorkerId(0), Time(3), &mut log);
    issuer.worker_up(WorkerId(0), 1, Time(4));
    issuer.dispatch(Time(5), &mut log);
    assert_eq!(log.assigned[1].1, TicketId(1), "it re-enters before those behind it");
    assert!(!issuer.completed(WorkerId(0), completion(&log, 0, 1), Time(6), &mut log));
    assert!(issuer.completed(WorkerId(0), completion(&log, 1, 2), Time(7), &mut log));
    assert!(!issuer.completed(WorkerId(0), completion(&log, 1, 2), Time(8), &mut log));
    assert_eq!(log.completions(), [(TicketId(1), Outcome::Served, 2)]);
    assert_eq!(issuer.stats().redelivered, 1);
}

#[test]
fn a_ticket_that_kills_its_workers_fails_in_the_end() {
    let (mut issuer, mut log) = (office(9, 2), Log::default());
    issuer.request(&request(0, 0), Time(1), &mut log);
    commit(&mut issuer, 1, &mut log);
    for turn in 0..2 {
        issuer.worker_up(WorkerId(3), 1, Time(2));
        issuer.dispatch(Time(3 + turn), &mut log);
        issuer.worker_down(WorkerId(3), Time(9), &mut log);
    }
    commit(&mut issuer, 2, &mut log);
    assert_eq!(log.completions(), [(TicketId(1), Outcome::Failed, 2)]);
    assert_eq!(log.done, [(request(0, 0).token, TicketId(1), Outcome::Failed)]);
    assert_eq!(issuer.open(), 0);
}

#[test]
fn a_retired_worker_finishes_what_it_holds_and_gets_nothing_new() {
    let (mut issuer, mut log) = (office(9, 3), Log::default());
    issuer.worker_up(WorkerId(0), 1, Time(0));
    for seq in [0, 1] {
        issuer.request(&request(0, seq), Time(1), &mut log);
    }
    commit(&mut issuer, 1, &mut log);
    issuer.dispatch(Time(2), &mut log);
    issuer.retire(WorkerId(0), Time(3));
    assert_eq!(held_by(&issuer, WorkerId(0)), 1);
    assert!(issuer.completed(WorkerId(0), completion(&log, 0, 1), Time(4), &mut log));
    issuer.dispatch(Time(5), &mut log);
    assert_eq!((log.assigned.len(), held_by(&issuer, WorkerId(0))), (1, 0));
}

#[test]
fn a_lease_is_asked_for_before_it_runs_out() {
    let mut issuer = office(9, 3);
    assert_eq!(issuer.wanted_lease(), None);
    issuer.next_id += limits::LEASE_TICKETS / 2 + 1;
    let until = issuer.wanted_lease().unwrap();
    assert!(issuer.can_issue() && until.0 >= issuer.next_id + limits::LEASE_TICKETS);
    issuer.next_id = issuer.leased_until;
    assert!(!issuer.can_issue());
}

/// What may happen to an office.
#[derive(Clone, Debug)]
enum Event {
    Request { user: u32, seq: u64 },
    Up { worker: u16, seats: u32 },
    Down { worker: u16 },
    Complete { assignment: usize, attempt: u8 },
    Turn { is_durable: bool },
    Curb { is_on_strike: bool, is_blocked: bool, delay_ns: u64 },
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let event = prop_oneof![
        4 => (0u32..3, 0u64..12).prop_map(|(user, seq)| Event::Request { user, seq }),
        1 => (0u16..3, 1u32..3).prop_map(|(worker, seats)| Event::Up { worker, seats }),
        1 => (0u16..3).prop_map(|worker| Event::Down { worker }),
        4 => (0usize..40, 1u8..3)
            .prop_map(|(assignment, attempt)| Event::Complete { assignment, attempt }),
        3 => any::<bool>().prop_map(|is_durable| Event::Turn { is_durable }),
        1 => (any::<bool>(), any::<bool>(), 0u64..4).prop_map(
            |(is_on_strike, is_blocked, delay_ns)| Event::Curb { is_on_strike, is_blocked, delay_ns }
        ),
    ];
    prop::collection::vec(event, 1..120)
}

proptest! {
    /// Whatever happens: ids rise in log order, a token has one ticket, a ticket ends at most
    /// once, a user is told only what is durable, and every ticket is accounted for. What is held
    /// back is not handed out, and what may be is handed out in the end.
    #[test]
    fn tickets_are_conserved(events in events()) {
        let (mut issuer, mut log) = (office(8, 2), Log::default());
        let mut up = [false; 3];
        let mut lsn = 0;
        for (step, event) in events.into_iter().enumerate() {
            let now = Time(step as u64 + 1);
            match event {
                Event::Request { user, seq } => issuer.request(&request(user, seq), now, &mut log),
                Event::Up { worker, seats } => {
                    if !std::mem::replace(&mut up[usize::from(worker)], true) {
                        issuer.worker_up(WorkerId(worker), seats, now);
                    }
                }
                Event::Down { worker } => {
                    up[usize::from(worker)] = false;
                    issuer.worker_down(WorkerId(worker), now, &mut log);
                }
                Event::Complete { assignment, attempt } => {
                    if let Some(&(worker, id, handle)) = log.assigned.get(assignment) {
                        let completion = Completion { id, handle, attempt };
                        issuer.completed(worker, completion, now, &mut log);
                    }
                }
                Event::Curb { is_on_strike, is_blocked, delay_ns } => {
                    let blocked: &[u8] = if is_blocked { &[1] } else { &[] };
                    issuer.set_curbs(curbs(is_on_strike, blocked, delay_ns), now);
                }
                Event::Turn { is_durable } => {
                    let before = log.assigned.len();
                    issuer.dispatch(now, &mut log);
                    let new = &log.assigned[before..];
                    prop_assert!(new.is_empty() || !issuer.curbs.is_on_strike);
                    let is_held = |handle: Handle| {
                        let service = issuer.tickets[handle as usize].service;
                        issuer.curbs.blocked.contains(&service)
                    };
                    prop_assert!(!new.iter().any(|&(_, _, handle)| is_held(handle)));
                    lsn += 1;
                    issuer.written(Lsn(lsn));
                    if is_durable {
                        issuer.durable(Lsn(lsn), now, &mut log);
                    }
                }
            }
        }
        let mut issued = Vec::new();
        let mut tokens = std::collections::BTreeSet::new();
        for (kind, key, value) in &log.records {
            if let Record::Issued(record) = Record::decode(*kind, key, value).unwrap() {
                issued.push(record.id);
                prop_assert!(tokens.insert(record.token), "a token has one ticket");
            }
        }
        prop_assert!(issued.is_sorted_by(|a, b| a < b));
        let mut ended: Vec<_> = log.completions().iter().map(|&(id, ..)| id).collect();
        let ends = ended.len();
        ended.sort();
        ended.dedup();
        prop_assert_eq!(ended.len(), ends, "a ticket ends once");
        prop_assert_eq!(issued.len(), ends + issuer.open() as usize);
        let (waiting, in_service) = (issuer.stats().services().iter())
            .fold((0, 0), |(w, s), service| (w + service.waiting.level().value(), s + service.in_service.level().value()));
        prop_assert_eq!(waiting, u64::from(issuer.waiting()));
        let pending = issuer.tickets.iter().filter(|t| matches!(t.state, State::Ended { .. })).count();
        prop_assert_eq!(waiting + in_service + pending as u64, u64::from(issuer.open()));
        let staffed = issuer.stats().staffed().level().value();
        let idle = staffed.checked_sub(in_service);
        prop_assert!(idle == Some(0) || idle.is_some() && !issuer.curbs.is_on_strike);
        issuer.set_curbs(Curbs::default(), Time(1000));
        issuer.dispatch(Time(1000), &mut log);
        prop_assert!(issuer.waiting() == 0 || issuer.free_seats.is_empty());
        lsn += 1;
        commit(&mut issuer, lsn, &mut log);
        lsn += 1;
        commit(&mut issuer, lsn, &mut log);
        prop_assert!(log.accepted.len() >= issued.len(), "all is told once all is durable");
        prop_assert!(issuer.untold.is_empty() && issuer.batches.is_empty());
    }
}
