//! What may be acknowledged, and when the log is to be synced.
//!
//! One sync is under way at a time; what is written meanwhile waits for the next one, so a slow
//! disk makes batches larger instead of queues longer.

use crate::clock::Time;
use crate::config::scenario::FsyncPolicy;
use crate::ids::Lsn;

/// The state of a log's end.
#[derive(Clone, Copy, Debug)]
pub struct CommitPlan {
    policy: FsyncPolicy,
    written: Lsn,
    synced: Lsn,
    /// Where the sync that is under way ends.
    syncing: Option<Lsn>,
    /// A sync up to here is wanted whatever the policy says.
    forced: Lsn,
    /// When the first record was written that no sync covers yet.
    unsynced_since: Option<Time>,
    /// Records written and not covered by a sync that has begun.
    unsynced_records: u64,
}

impl CommitPlan {
    /// Returns the plan of a log that is wholly on the disk up to `end`.
    pub fn new(policy: FsyncPolicy, end: Lsn) -> Self {
        Self {
            policy,
            written: end,
            synced: end,
            syncing: None,
            forced: end,
            unsynced_since: None,
            unsynced_records: 0,
        }
    }

    /// Takes note that a batch was written and ends at `end`.
    pub fn wrote(&mut self, end: Lsn, records: u64, now: Time) {
        self.written = end;
        self.unsynced_records += records;
        self.unsynced_since.get_or_insert(now);
    }

    /// Asks for a sync of all that is written, whatever the policy says.
    pub fn force(&mut self) {
        self.forced = self.written;
    }

    /// Returns up to where a sync should begin now; the caller then calls [`Self::began`].
    pub fn wants_sync(&self, now: Time) -> Option<Lsn> {
        let is_due = match self.policy {
            FsyncPolicy::None => false,
            FsyncPolicy::EachBatch => true,
            FsyncPolicy::Every(records) => self.unsynced_records >= u64::from(records),
            FsyncPolicy::Interval(span) => {
                self.unsynced_since.is_some_and(|since| since + span <= now)
            }
        };
        let is_wanted = is_due || self.forced > self.synced;
        let is_useful = self.syncing.is_none() && self.written > self.synced;
        (is_wanted && is_useful).then_some(self.written)
    }

    /// Takes note that a sync up to `end` has begun.
    pub fn began(&mut self, end: Lsn) {
        self.syncing = Some(end);
        self.unsynced_records = 0;
        self.unsynced_since = None;
    }

    /// Takes note that the sync under way has succeeded.
    pub fn synced_to(&mut self, end: Lsn) {
        self.synced = self.synced.max(end);
        self.syncing = None;
    }

    /// Takes note that a full segment, which ends at `end`, is on the disk.
    pub fn sealed_to(&mut self, end: Lsn) {
        self.synced = self.synced.max(end);
    }

    /// Returns up to where users may be told.
    pub fn acknowledged(&self) -> Lsn {
        match self.policy {
            FsyncPolicy::EachBatch => self.synced,
            FsyncPolicy::None | FsyncPolicy::Every(_) | FsyncPolicy::Interval(_) => self.written,
        }
    }

    /// Returns up to where the log is known to be on the disk.
    pub fn synced(&self) -> Lsn {
        self.synced
    }

    /// Returns up to where the log is written.
    pub fn written(&self) -> Lsn {
        self.written
    }

    /// Returns whether a sync is under way.
    pub fn is_syncing(&self) -> bool {
        self.syncing.is_some()
    }

    /// When [`Self::wants_sync`] may change its answer though nothing happens.
    pub fn deadline(&self) -> Time {
        match (self.policy, self.unsynced_since) {
            (FsyncPolicy::Interval(span), Some(since)) if !self.is_syncing() => since + span,
            _ => Time::NEVER,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn ms(ms: u64) -> Time {
        Time(ms * 1_000_000)
    }

    /// Writes 10 records a step and syncs when wanted; returns what was acknowledged after each
    /// write and how many syncs began.
    fn check(policy: FsyncPolicy, acknowledged: [u64; 4], syncs: u32) {
        let mut plan = CommitPlan::new(policy, Lsn(0));
        let mut began = 0;
        for (step, wanted) in (1..).zip(acknowledged) {
            plan.wrote(Lsn(step * 100), 10, ms(step));
            assert_eq!(plan.acknowledged(), Lsn(wanted), "{policy:?} step {step}");
            if let Some(end) = plan.wants_sync(ms(step)) {
                plan.began(end);
                plan.synced_to(end);
                began += 1;
            }
        }
        assert_eq!(began, syncs, "{policy:?}");
    }

    #[test]
    fn each_policy_keeps_its_promise() {
        check(FsyncPolicy::None, [100, 200, 300, 400], 0);
        check(FsyncPolicy::EachBatch, [0, 100, 200, 300], 4);
        check(FsyncPolicy::Every(15), [100, 200, 300, 400], 2);
        check(FsyncPolicy::Interval(Duration::from_millis(1)), [100, 200, 300, 400], 2);
    }

    #[test]
    fn what_is_written_during_a_sync_waits_for_the_next() {
        let mut plan = CommitPlan::new(FsyncPolicy::EachBatch, Lsn(0));
        plan.wrote(Lsn(10), 1, ms(1));
        plan.began(plan.wants_sync(ms(1)).unwrap());
        plan.wrote(Lsn(20), 1, ms(2));
        assert_eq!(plan.wants_sync(ms(2)), None, "one at a time");
        plan.synced_to(Lsn(10));
        assert_eq!((plan.acknowledged(), plan.wants_sync(ms(3))), (Lsn(10), Some(Lsn(20))));
    }

    #[test]
    fn a_forced_sync_ignores_the_policy_once() {
        let mut plan = CommitPlan::new(FsyncPolicy::None, Lsn(0));
        plan.wrote(Lsn(10), 1, ms(1));
        assert_eq!(plan.wants_sync(ms(1)), None);
        plan.force();
        plan.wrote(Lsn(20), 1, ms(2));
        plan.began(plan.wants_sync(ms(2)).unwrap());
        plan.synced_to(Lsn(20));
        plan.wrote(Lsn(30), 1, ms(3));
        assert_eq!(plan.wants_sync(ms(3)), None);
    }

    #[test]
    fn an_interval_counts_from_the_first_unsynced_record() {
        let mut plan = CommitPlan::new(FsyncPolicy::Interval(Duration::from_millis(50)), Lsn(0));
        assert_eq!(plan.deadline(), Time::NEVER);
        plan.wrote(Lsn(10), 1, ms(100));
        plan.wrote(Lsn(20), 1, ms(140));
        assert_eq!((plan.deadline(), plan.wants_sync(ms(149))), (ms(150), None));
        assert_eq!(plan.wants_sync(ms(150)), Some(Lsn(20)));
    }
}
