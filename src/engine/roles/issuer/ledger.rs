//! The issuer's core and its log as one: nothing is told before the log says it.
//!
//! It knows neither sockets nor threads, so a simulation drives it as the process does.

use crate::clock::Time;
use crate::ids::{Lsn, TicketId, Token, WorkerId};
use crate::scheduler::issuer::{Assignment, Effects, Issuer};
use crate::scheduler::record::{Issued, Outcome, Record, Start};
use crate::scheduler::recovery::Recovery;
use crate::scheduler::state::RunMark;
use crate::storage::index::{Key, Place};
use crate::storage::{
    LogError, LogStats, Logstore, Opening, OwnerState, Preamble, RecordRef, Recovered,
};

/// What users and workers are told.
pub(crate) trait Tell {
    /// Hands a ticket to a worker.
    fn assign(&mut self, worker: WorkerId, assignment: &Assignment<'_>);
    /// Tells a user that its request has a ticket.
    fn accepted(&mut self, token: Token, id: TicketId);
    /// Tells a user that the office is full.
    fn rejected(&mut self, token: Token);
    /// Tells a user that its ticket's life has ended.
    fn done(&mut self, token: Token, id: TicketId, outcome: Outcome);
}

/// An issuer with its log.
pub(crate) struct Ledger {
    pub(crate) core: Issuer,
    pub(crate) log: Logstore,
    lease: Lease,
    mark: RunMark,
    /// The start of this life, which each segment repeats.
    start: Start,
}

/// The durable lease of ids that is under way.
#[derive(Clone, Copy)]
enum Lease {
    /// Enough ids are left.
    Enough,
    /// A lease was appended to the batch.
    Appended(TicketId),
    /// It is written and ends here in the log; it counts once the log is synced up to there.
    Written(TicketId, Lsn),
}

/// Carries the core's decisions out: records to the log, words to peers.
pub(crate) struct Acting<'a, T> {
    log: &'a mut Logstore,
    tell: &'a mut T,
}

impl<T: Tell> Effects for Acting<'_, T> {
    fn record(&mut self, record: &Record<'_>) {
        append(self.log, record);
    }

    fn assign(&mut self, worker: WorkerId, assignment: &Assignment<'_>) {
        self.tell.assign(worker, assignment);
    }

    fn accepted(&mut self, token: Token, id: TicketId) {
        self.tell.accepted(token, id);
    }

    fn rejected(&mut self, token: Token) {
        self.tell.rejected(token);
    }

    fn done(&mut self, token: Token, id: TicketId, outcome: Outcome) {
        self.tell.done(token, id, outcome);
    }
}

/// How far a replay has got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Replayed {
    /// Records that were read.
    pub(crate) records: u64,
    /// Bytes that were read...
    pub(crate) bytes: u64,
    /// ...of so many, zeros that follow the last batch included.
    pub(crate) bytes_total: u64,
}

/// Replays a log into `recovery`: from the state that was kept with its index, or all of it.
/// `progress` is told before the first record and after each.
///
/// # Errors
/// [`LogError`] if the log or its index is not sound, or the system refuses something.
pub(crate) fn replay(
    mut opening: Opening,
    recovery: &mut Recovery,
    progress: &mut dyn FnMut(Replayed),
) -> Result<(Logstore, Recovered), LogError> {
    if let Some(state) = opening.state() {
        if recovery.restore(state) {
            restore_open(recovery, &mut opening)?;
        } else {
            opening.forget_index("its state is of another version");
        }
    }
    let unread = opening.unread()?;
    let bytes_total = unread.end.0 - unread.start.0;
    let mut replayed = Replayed { records: 0, bytes: 0, bytes_total };
    progress(replayed);
    opening.replay(&mut |record: RecordRef<'_>| {
        replayed.records += 1;
        replayed.bytes = record.lsn.0.saturating_sub(unread.start.0).min(bytes_total);
        progress(replayed);
        match Record::decode(record.kind, record.key, record.value) {
            Ok(record) => recovery.replay(&record),
            Err(error) => log::warn!("a record is passed over: lsn={} {error}", record.lsn),
        }
    })
}

/// Finds the tickets that were open when the state was kept: those that the index knows as issued
/// and not as completed.
fn restore_open(recovery: &mut Recovery, opening: &mut Opening) -> Result<(), LogError> {
    let mut open: Vec<(Key, Place)> = Vec::new();
    opening.visit_keys(&Issued::key(recovery.oldest_open()), &mut |key, place| {
        let is_issue = key[8..] == [0; 8];
        if is_issue {
            open.push((*key, place));
        } else if open.last().is_some_and(|(issue, _)| issue[..8] == key[..8]) {
            open.pop();
        }
    })?;
    for (key, place) in open {
        let record = opening.read(&key, place)?;
        match Record::decode(record.kind, record.key, record.value) {
            Ok(Record::Issued(issued)) => recovery.restore_open(&issued),
            _ => log::warn!("a record is passed over: lsn={}", record.lsn),
        }
    }
    Ok(())
}

impl Ledger {
    /// Becomes the issuer that the log describes. The epoch of `start` is that of `recovery`.
    pub(crate) fn new(mut log: Logstore, recovery: Recovery, start: Start, now: Time) -> Self {
        let mark = recovery.mark();
        let core = recovery.finish(now);
        append(&mut log, &Record::Start(start));
        let mut ledger = Self { core, log, lease: Lease::Enough, mark, start };
        ledger.repeat_in_segments();
        ledger
    }

    /// Lends the core and what its decisions act on.
    pub(crate) fn split<'a, T: Tell>(
        &'a mut self,
        tell: &'a mut T,
    ) -> (&'a mut Issuer, Acting<'a, T>) {
        (&mut self.core, Acting { log: &mut self.log, tell })
    }

    /// One batch: collect what has become durable, dispatch, write, tell.
    pub(crate) fn turn(&mut self, now: Time, tell: &mut impl Tell) -> Result<(), LogError> {
        let progress = self.log.poll(now)?;
        self.collect_lease(progress.synced);
        self.release(progress.acknowledged, now, tell);
        let (core, mut acting) = self.split(tell);
        core.dispatch(now, &mut acting);
        self.append_lease();
        if let Some(end) = self.log.commit(now)? {
            self.core.written(end);
            if let Lease::Appended(until) = self.lease {
                self.lease = Lease::Written(until, end);
                self.log.sync_now(now);
            }
        }
        if self.log.wants_checkpoint(now) {
            self.log.checkpoint(self.owner_state(now), now);
        }
        self.release(self.log.acknowledged(), now, tell);
        Ok(())
    }

    /// Finishes the log and returns its last figures.
    pub(crate) fn close(self, now: Time) -> Result<LogStats, LogError> {
        let owner = self.owner_state(now);
        self.log.close(owner, now)
    }

    fn release(&mut self, lsn: Lsn, now: Time, tell: &mut impl Tell) {
        let (core, mut acting) = self.split(tell);
        core.durable(lsn, now, &mut acting);
    }

    /// Returns what a restart needs beside the log behind this moment.
    fn owner_state(&self, now: Time) -> OwnerState {
        OwnerState {
            bytes: self.core.encode_state(&self.mark, self.lease_until(), now),
            needed: Some(Issued::key(self.core.oldest_open())),
        }
    }

    /// Returns up to where ids are leased, durably or not.
    fn lease_until(&self) -> TicketId {
        match self.lease {
            Lease::Enough => self.core.leased_until(),
            Lease::Appended(until) | Lease::Written(until, _) => until,
        }
    }

    fn append_lease(&mut self) {
        if matches!(self.lease, Lease::Enough)
            && let Some(until) = self.core.wanted_lease()
        {
            append(&mut self.log, &Record::Lease(until));
            self.lease = Lease::Appended(until);
            self.repeat_in_segments();
        }
    }

    fn collect_lease(&mut self, synced: Lsn) {
        let Lease::Written(until, end) = self.lease else {
            return;
        };
        if end <= synced {
            self.core.leased(until);
            self.lease = Lease::Enough;
        }
    }

    /// Has each segment begin with what a log that begins there must say: older segments may be
    /// let go of.
    fn repeat_in_segments(&mut self) {
        let records = [Record::Start(self.start), Record::Lease(self.lease_until())];
        let preamble = records.iter().map(|record| {
            let mut value = Vec::new();
            record.put_value(&mut value);
            Preamble { kind: record.kind(), key: record.key(), value }
        });
        self.log.set_preamble(preamble.collect());
    }
}

/// Appends a record to the batch.
fn append(log: &mut Logstore, record: &Record<'_>) {
    log.append_with(record.kind(), record.key(), |out| record.put_value(out));
}
