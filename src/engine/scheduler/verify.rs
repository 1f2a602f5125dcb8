//! Whether a log keeps its promises, from the log alone.
//!
//! G1: ids rise strictly and stay below the lease that was durable before. G3: a token has one
//! ticket within a run; as users ask in the order of their own numbers, these rise for each user,
//! which takes no more memory to check than there are users. G4: a ticket is completed at most
//! once, and only if it was issued. G5 is what is left: the open tickets, which the next start
//! queues again. Where old segments were let go of, a ticket's issue may be gone and its
//! completion still there; not the other way round.

use std::collections::{BTreeSet, HashMap};

use foldhash::fast::FixedState;

use super::record::Record;
use crate::ids::{RunId, TicketId, Token, UserId};

/// Problems that are kept; the rest is counted.
const PROBLEMS_KEPT: usize = 20;

/// Reads records in order and finds broken promises.
#[derive(Debug, Default)]
pub struct Verifier {
    issued: u64,
    completed: u64,
    open: BTreeSet<TicketId>,
    /// Completed tickets whose issue is not in the log.
    unopened: BTreeSet<TicketId>,
    first_id: Option<TicketId>,
    last_id: TicketId,
    leased_until: Option<TicketId>,
    /// The first ticket that was issued before any lease that the log still has.
    unleased: Option<TicketId>,
    run: Option<RunId>,
    /// The last request of each user that got a ticket in this run.
    last_seq: HashMap<UserId, u64, FixedState>,
    problems: Vec<String>,
    problems_count: u64,
}

/// What a log holds and which promises it breaks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// Tickets issued.
    pub issued: u64,
    /// Tickets completed.
    pub completed: u64,
    /// Tickets issued and not completed.
    pub open: u64,
    /// The highest id.
    pub last_id: TicketId,
    /// Broken promises, the first twenty.
    pub problems: Vec<String>,
    /// How many there are in all.
    pub problems_count: u64,
}

impl Verifier {
    /// Takes the next record.
    pub fn read(&mut self, record: &Record<'_>) {
        match record {
            Record::Start(start) => {
                if self.run != Some(start.run) {
                    self.run = Some(start.run);
                    self.last_seq.clear();
                }
            }
            Record::Lease(until) => {
                self.leased_until = self.leased_until.max(Some(*until));
            }
            Record::Issued(issued) => {
                self.issued += 1;
                if issued.id <= self.last_id {
                    self.problem(format!("ticket {} follows ticket {}", issued.id, self.last_id));
                }
                match self.leased_until {
                    None => drop(self.unleased.get_or_insert(issued.id)),
                    Some(until) if issued.id >= until => self.unleased(issued.id),
                    Some(_) => {}
                }
                let Token { user, seq } = issued.token;
                if let Some(last) = self.last_seq.insert(user, seq)
                    && last >= seq
                {
                    let id = issued.id;
                    self.problem(format!("ticket {id}: {user} had one for request {last} already"));
                }
                self.first_id.get_or_insert(issued.id);
                self.last_id = self.last_id.max(issued.id);
                self.open.insert(issued.id);
            }
            Record::Completed(end) => {
                self.completed += 1;
                if !self.open.remove(&end.id) && !self.unopened.insert(end.id) {
                    self.unopened(end.id);
                }
            }
        }
    }

    /// Takes note of a record that says nothing this version understands.
    pub fn unreadable(&mut self, problem: &impl std::fmt::Display) {
        self.problem(problem.to_string());
    }

    /// Returns what was found. `is_whole` says that the log has all segments that it ever had.
    pub fn finish(mut self, is_whole: bool) -> Verdict {
        if let Some(id) = self.unleased.filter(|_| is_whole) {
            self.unleased(id);
        }
        let first = if is_whole { None } else { Some(self.first_id.unwrap_or(TicketId(u64::MAX))) };
        for id in std::mem::take(&mut self.unopened) {
            if first.is_none_or(|first| id >= first) {
                self.unopened(id);
            }
        }
        Verdict {
            issued: self.issued,
            completed: self.completed,
            open: self.open.len() as u64,
            last_id: self.last_id,
            problems: self.problems,
            problems_count: self.problems_count,
        }
    }

    fn unleased(&mut self, id: TicketId) {
        self.problem(format!("ticket {id} was issued without a lease"));
    }

    fn unopened(&mut self, id: TicketId) {
        self.problem(format!("ticket {id} was completed without being open"));
    }

    fn problem(&mut self, problem: String) {
        self.problems_count += 1;
        if self.problems.len() < PROBLEMS_KEPT {
            self.problems.push(problem);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::{Time, WallTime};
    use crate::ids::{Epoch, ServiceId, WorkerId};
    use crate::scheduler::record::{Completed, Issued, Outcome, Start};

    fn start(run: u64) -> Record<'static> {
        let (epoch, wall, boot) = (Epoch(1), WallTime(0), [0; 16]);
        Record::Start(Start { epoch, run: RunId(run), wall, boot })
    }

    fn issued(id: u64, seq: u64) -> Record<'static> {
        Record::Issued(Issued {
            id: TicketId(id),
            token: Token { user: UserId(3), seq },
            service: ServiceId(0),
            demand_ns: 0,
            scheduled: Time(0),
            submitted: Time(0),
            arrived: Time(0),
            waiting_seen: 0,
            is_delayed: false,
            payload: b"",
        })
    }

    fn completed(id: u64) -> Record<'static> {
        Record::Completed(Completed {
            id: TicketId(id),
            outcome: Outcome::Served,
            worker: WorkerId(0),
            attempts: 1,
            durable: Time(0),
            started: Time(0),
            last_started: Time(0),
            ended: Time(0),
        })
    }

    fn check(records: &[Record<'_>], problems: &[&str]) -> Verdict {
        let mut verifier = Verifier::default();
        for record in records {
            verifier.read(record);
        }
        let verdict = verifier.finish(true);
        assert_eq!(verdict.problems, problems);
        verdict
    }

    #[test]
    fn a_log_without_its_oldest_segments_may_lack_issues_but_no_completions() {
        let lease = Record::Lease(TicketId(100));
        let finish = |records: &[Record<'_>]| {
            let mut verifier = Verifier::default();
            records.iter().for_each(|record| verifier.read(record));
            verifier.finish(false).problems
        };
        assert!(finish(&[lease, completed(3), issued(7, 1), completed(7)]).is_empty());
        let twice = finish(&[lease, completed(3), completed(3), issued(7, 1)]);
        assert_eq!(twice, ["ticket 3 was completed without being open"]);
        let never = finish(&[lease, issued(7, 1), completed(8)]);
        assert_eq!(never, ["ticket 8 was completed without being open"]);
    }

    #[test]
    fn a_sound_log_has_no_problems() {
        let lease = Record::Lease(TicketId(100));
        let records =
            [start(1), lease, issued(1, 0), issued(5, 1), completed(1), start(2), issued(9, 0)];
        let verdict = check(&records, &[]);
        assert_eq!((verdict.issued, verdict.completed, verdict.open), (3, 1, 2));
        assert_eq!(verdict.last_id, TicketId(9));
    }

    #[test]
    fn every_broken_promise_is_named() {
        let lease = Record::Lease(TicketId(10));
        check(&[lease, issued(2, 0), issued(2, 1)], &["ticket 2 follows ticket 2"]);
        check(&[lease, issued(12, 0)], &["ticket 12 was issued without a lease"]);
        let twice = "ticket 3: user 0/3 had one for request 0 already";
        check(&[start(1), lease, issued(2, 0), start(1), issued(3, 0)], &[twice]);
        let unopened = "ticket 2 was completed without being open";
        check(&[lease, issued(2, 0), completed(2), completed(2)], &[unopened]);
    }
}
