//! What may be acknowledged, and when the log is to be synced.
//!
//! One sync is under way at a time; what is written meanwhile waits for the next one, so a slow
//! disk makes batches larger instead of queues longer. That next one is handed out beforehand, so
//! that the disk goes on at once; a batch that comes before it has begun takes it back and is
//! covered by it too.

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
    /// The sync that follows it at once: where it ends and what it will cover.
    next: Option<(Lsn, Unsynced)>,
    /// A sync up to here is wanted whatever the policy says.
    forced: Lsn,
    /// The policy before the last change.
    before: Option<FsyncPolicy>,
    /// Acknowledged under an earlier policy: a stricter one does not take it back.
    promised: Lsn,
    unsynced: Unsynced,
}

/// What is written and not covered by a sync that has been handed out.
#[derive(Clone, Copy, Debug, Default)]
struct Unsynced {
    /// When the first of it was written.
    since: Option<Time>,
    records: u64,
}

impl CommitPlan {
    /// Returns the plan of a log that is wholly on the disk up to `end`.
    pub fn new(policy: FsyncPolicy, end: Lsn) -> Self {
        Self {
            policy,
            written: end,
            synced: end,
            syncing: None,
            next: None,
            forced: end,
            before: None,
            promised: end,
            unsynced: Unsynced::default(),
        }
    }

    /// Changes the policy. What may have been acknowledged stays so, and is synced now, so that
    /// what a power loss takes is soon what the new policy says of all of it
    /// ([`Self::policy_in_force`]). What waits for a sync under the old policy waits on, unless
    /// the new one needs none.
    pub fn set_policy(&mut self, policy: FsyncPolicy) {
        if policy != self.policy {
            self.before = Some(self.policy_in_force());
            self.promised = self.acknowledged();
            self.policy = policy;
            self.force();
        }
    }

    /// Returns the policy whose promise holds for all that was acknowledged: after a change to a
    /// stricter one the old one, until what was acknowledged under it is on the disk.
    pub fn policy_in_force(&self) -> FsyncPolicy {
        match self.before {
            Some(before)
                if self.synced < self.promised && looseness(before) > looseness(self.policy) =>
            {
                before
            }
            _ => self.policy,
        }
    }

    /// Takes note that a batch was written and ends at `end`.
    pub fn wrote(&mut self, end: Lsn, records: u64, now: Time) {
        self.written = end;
        self.unsynced.records += records;
        self.unsynced.since.get_or_insert(now);
    }

    /// Asks for a sync of all that is written, whatever the policy says.
    pub fn force(&mut self) {
        self.forced = self.written;
    }

    /// Returns up to where a sync should be handed out now; the caller then calls
    /// [`Self::handed_out`].
    pub fn wants_sync(&self, now: Time) -> Option<Lsn> {
        let is_due = match self.policy {
            FsyncPolicy::None => false,
            FsyncPolicy::EachBatch => true,
            FsyncPolicy::Every(records) => self.unsynced.records >= u64::from(records),
            FsyncPolicy::Interval(span) => {
                self.unsynced.since.is_some_and(|since| since + span <= now)
            }
        };
        let covered = self.syncing.map_or(self.synced, |end| end.max(self.synced));
        let is_wanted = is_due || self.forced > covered;
        let is_useful = self.next.is_none() && self.written > covered;
        (is_wanted && is_useful).then_some(self.written)
    }

    /// Takes note that a sync up to `end` was handed out.
    pub fn handed_out(&mut self, end: Lsn) {
        let unsynced = std::mem::take(&mut self.unsynced);
        match self.syncing {
            None => self.syncing = Some(end),
            Some(_) => self.next = Some((end, unsynced)),
        }
    }

    /// Returns whether a sync was handed out behind the one that is under way.
    pub fn has_next(&self) -> bool {
        self.next.is_some()
    }

    /// Takes note that the sync behind the one that is under way was taken back before it began.
    pub fn took_back(&mut self) {
        if let Some((_, unsynced)) = self.next.take() {
            self.unsynced.records += unsynced.records;
            self.unsynced.since = unsynced.since.or(self.unsynced.since);
        }
    }

    /// Takes note that the sync under way has succeeded.
    pub fn synced_to(&mut self, end: Lsn) {
        self.synced = self.synced.max(end);
        self.syncing = self.next.take().map(|(end, _)| end);
    }

    /// Takes note that a full segment, which ends at `end`, is on the disk.
    pub fn sealed_to(&mut self, end: Lsn) {
        self.synced = self.synced.max(end);
    }

    /// Returns up to where users may be told.
    pub fn acknowledged(&self) -> Lsn {
        match self.policy {
            FsyncPolicy::EachBatch => self.synced.max(self.promised),
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

    /// When [`Self::wants_sync`] may change its answer though nothing happens.
    pub fn deadline(&self) -> Time {
        match (self.policy, self.unsynced.since) {
            (FsyncPolicy::Interval(span), Some(since)) if self.next.is_none() => since + span,
            _ => Time::NEVER,
        }
    }
}

/// Orders policies by what a power loss takes.
fn looseness(policy: FsyncPolicy) -> (u8, u128) {
    match policy {
        FsyncPolicy::EachBatch => (0, 0),
        FsyncPolicy::Every(records) => (1, records.into()),
        FsyncPolicy::Interval(span) => (1, span.as_nanos()),
        FsyncPolicy::None => (2, 0),
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
                plan.handed_out(end);
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
        plan.handed_out(plan.wants_sync(ms(1)).unwrap());
        plan.wrote(Lsn(20), 1, ms(2));
        plan.handed_out(plan.wants_sync(ms(2)).unwrap());
        plan.wrote(Lsn(30), 1, ms(3));
        assert_eq!(plan.wants_sync(ms(3)), None, "one under way and one behind it");
        plan.synced_to(Lsn(10));
        assert_eq!((plan.acknowledged(), plan.wants_sync(ms(4))), (Lsn(10), Some(Lsn(30))));
        plan.synced_to(Lsn(20));
        assert_eq!(plan.acknowledged(), Lsn(20));
    }

    #[test]
    fn a_sync_that_is_taken_back_covers_more_later() {
        let mut plan = CommitPlan::new(FsyncPolicy::Every(2), Lsn(0));
        plan.wrote(Lsn(10), 2, ms(1));
        plan.handed_out(plan.wants_sync(ms(1)).unwrap());
        plan.wrote(Lsn(20), 2, ms(2));
        plan.handed_out(plan.wants_sync(ms(2)).unwrap());
        assert!(plan.has_next());
        plan.took_back();
        assert!(!plan.has_next());
        assert_eq!(plan.wants_sync(ms(2)), Some(Lsn(20)), "its records count again");
        plan.wrote(Lsn(30), 1, ms(3));
        plan.handed_out(plan.wants_sync(ms(3)).unwrap());
        plan.synced_to(Lsn(10));
        plan.synced_to(Lsn(30));
        assert_eq!((plan.synced(), plan.wants_sync(ms(4))), (Lsn(30), None));
    }

    #[test]
    fn a_forced_sync_ignores_the_policy_once() {
        let mut plan = CommitPlan::new(FsyncPolicy::None, Lsn(0));
        plan.wrote(Lsn(10), 1, ms(1));
        assert_eq!(plan.wants_sync(ms(1)), None);
        plan.force();
        plan.wrote(Lsn(20), 1, ms(2));
        plan.handed_out(plan.wants_sync(ms(2)).unwrap());
        plan.synced_to(Lsn(20));
        plan.wrote(Lsn(30), 1, ms(3));
        assert_eq!(plan.wants_sync(ms(3)), None);
    }

    #[test]
    fn a_stricter_policy_takes_nothing_back_and_holds_once_all_is_synced() {
        let interval = FsyncPolicy::Interval(Duration::from_secs(1));
        let mut plan = CommitPlan::new(interval, Lsn(0));
        plan.wrote(Lsn(10), 1, ms(1));
        assert_eq!((plan.acknowledged(), plan.wants_sync(ms(1))), (Lsn(10), None));
        plan.set_policy(FsyncPolicy::EachBatch);
        assert_eq!(plan.acknowledged(), Lsn(10), "it was told already");
        assert_eq!(plan.policy_in_force(), interval, "a power loss would take it");
        plan.handed_out(plan.wants_sync(ms(2)).unwrap());
        plan.wrote(Lsn(20), 1, ms(3));
        assert_eq!(plan.acknowledged(), Lsn(10), "what comes now waits for its sync");
        plan.synced_to(Lsn(10));
        assert_eq!(plan.policy_in_force(), FsyncPolicy::EachBatch);
        plan.handed_out(plan.wants_sync(ms(4)).unwrap());
        plan.synced_to(Lsn(20));
        assert_eq!(plan.acknowledged(), Lsn(20));
    }

    #[test]
    fn a_laxer_policy_releases_what_waits_for_a_sync() {
        let mut plan = CommitPlan::new(FsyncPolicy::EachBatch, Lsn(0));
        plan.wrote(Lsn(10), 1, ms(1));
        plan.handed_out(plan.wants_sync(ms(1)).unwrap());
        plan.wrote(Lsn(20), 1, ms(2));
        assert_eq!(plan.acknowledged(), Lsn(0));
        plan.set_policy(FsyncPolicy::None);
        assert_eq!(plan.acknowledged(), Lsn(20));
        assert_eq!(plan.policy_in_force(), FsyncPolicy::None, "nothing was promised beyond it");
        plan.synced_to(Lsn(10));
        assert_eq!((plan.acknowledged(), plan.synced()), (Lsn(20), Lsn(10)));
    }

    #[test]
    fn policies_that_change_quickly_never_promise_too_much() {
        let mut plan = CommitPlan::new(FsyncPolicy::None, Lsn(0));
        plan.wrote(Lsn(10), 1, ms(1));
        for policy in [FsyncPolicy::EachBatch, FsyncPolicy::Every(5), FsyncPolicy::EachBatch] {
            plan.set_policy(policy);
            assert_eq!(plan.policy_in_force(), FsyncPolicy::None, "nothing is synced yet");
        }
        plan.set_policy(FsyncPolicy::None);
        plan.wrote(Lsn(20), 1, ms(1));
        plan.set_policy(FsyncPolicy::EachBatch);
        plan.handed_out(Lsn(10));
        plan.synced_to(Lsn(10));
        assert_eq!(plan.policy_in_force(), FsyncPolicy::None, "the second one is not synced");
        plan.handed_out(plan.wants_sync(ms(2)).unwrap());
        plan.synced_to(Lsn(20));
        assert_eq!(plan.policy_in_force(), FsyncPolicy::EachBatch);
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
