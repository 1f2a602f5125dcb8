//! What goes to the disk when: syncs of the tail, seals of full segments, heads of new ones.

use std::sync::Arc;

use super::{Active, Logstore};
use crate::clock::Time;
use crate::ids::Lsn;
use crate::storage::LogError;
use crate::storage::dir::DirFile;
use crate::storage::format::SEGMENT_HEADER_BYTES;
use crate::storage::segment::{Files, segment_name};
use crate::timed;

/// What the syncing helper is told.
pub(super) enum SyncJob {
    /// Make sure that a segment is on the disk up to its present end, which is this LSN.
    Tail { file: Arc<dyn DirFile>, first: Lsn, end: Lsn },
    /// A segment is full: cut the zeros off and sync it.
    Seal { file: Arc<dyn DirFile>, first: Lsn, bytes: u64 },
    /// A segment has begun: sync its head and its name.
    Settle { file: Arc<dyn DirFile>, first: Lsn },
}

/// What the syncing helper has done: all up to `end` is on the disk.
pub(super) struct Synced {
    end: Lsn,
    what: What,
}

enum What {
    /// What the policy wanted.
    Tail,
    /// The full segment that begins there.
    Segment(Lsn),
    /// The head of a new segment.
    Head,
}

/// Returns what does the syncing helper's jobs. After a failure it does none: the name of a later
/// segment says that all before it is on the disk.
pub(super) fn worker(files: Files) -> impl FnMut(SyncJob) -> Result<Synced, LogError> + Send {
    let mut has_failed = false;
    move |job| {
        if has_failed {
            return Err(LogError::ReadOnly);
        }
        let done = carry_out(&files, job);
        has_failed = done.is_err();
        done
    }
}

fn carry_out(files: &Files, job: SyncJob) -> Result<Synced, LogError> {
    match job {
        SyncJob::Tail { file, first, end } => {
            timed!(LOGSTORE_FSYNC, files.sync_data(&*file, &segment_name(first)))?;
            Ok(Synced { end, what: What::Tail })
        }
        SyncJob::Seal { file, first, bytes } => {
            files.seal(&*file, first, bytes)?;
            Ok(Synced { end: Lsn(first.0 + bytes), what: What::Segment(first) })
        }
        SyncJob::Settle { file, first } => {
            files.settle(&*file, first)?;
            let end = Lsn(first.0 + SEGMENT_HEADER_BYTES as u64);
            Ok(Synced { end, what: What::Head })
        }
    }
}

impl Logstore {
    /// Has all that is written synced, whatever the policy says.
    pub fn sync_now(&mut self, now: Time) {
        self.plan.force();
        self.start_sync(now);
    }

    /// Takes note of what the syncing helper has done.
    pub(super) fn note_synced(&mut self, Synced { end, what }: Synced) {
        match what {
            What::Head => self.plan.sealed_to(end),
            What::Segment(first) => {
                self.sealing -= 1;
                self.plan.sealed_to(end);
                self.shelf.sealed(first);
                self.pack(first);
            }
            What::Tail => {
                self.plan.synced_to(end);
                self.stats.syncs += 1;
            }
        }
    }

    pub(super) fn start_sync(&mut self, now: Time) {
        if let Some(end) = self.plan.wants_sync(now) {
            self.plan.handed_out(end);
            self.is_covered = true;
            let Active { file, first, .. } = &self.active;
            self.syncer.give(SyncJob::Tail { file: Arc::clone(file), first: *first, end });
        }
    }

    /// Takes back a sync that has not begun: what is written now goes into the same blocks and is
    /// covered by the sync that is handed out next.
    pub(super) fn take_back_sync(&mut self) {
        let is_tail = |job: &SyncJob| matches!(job, SyncJob::Tail { .. });
        if self.plan.has_next() && self.syncer.take_back(is_tail).is_some() {
            self.plan.took_back();
            self.is_covered = false;
        }
    }
}
