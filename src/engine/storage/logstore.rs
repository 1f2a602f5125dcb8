//! The writer's side of the log: append, commit, sync, roll, and the index beside it.
//!
//! Records gather in one buffer; a commit writes them with one call at an explicit offset and
//! hands a sync to the helper if the policy says so. The event loop that owns the log never waits
//! for a sync. The first failure of a write or a sync is final: nothing more is written or
//! acknowledged, because nobody knows what of it is on the disk.
//!
//! A full disk shows earlier, and harmlessly: the next segment can't be made while the active one
//! still has room. When that is used up, what was appended stays in the buffer, unacknowledged,
//! and is written as soon as a segment can be made.
//!
//! LMDB follows behind: now and then the owner is asked for its state, and that goes to LMDB
//! together with all that was written until then ([`Logstore::wants_checkpoint`]).

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use super::commit::CommitPlan;
use super::dir::{DirFile, Lock};
use super::format::{
    ALIGN, BATCH_BYTES_FULL, BATCH_HEADER_BYTES, BATCH_RECORDS_MAX, BatchHeader,
    SEGMENT_HEADER_BYTES, SegmentHeader, align_up, move_records, put_record, record_bytes,
};
use super::helper::Helper;
use super::index::{Index, Place};
use super::indexer::{Advance, Indexer};
use super::segment::{Files, Room, segment_name};
use super::shelf::Shelf;
use super::{Hands, IoOp, LogError};
use crate::clock::Time;
use crate::config::scenario::{Compression, FsyncPolicy};
use crate::ids::Lsn;
use crate::{observe, timed};

mod checkpoint;
mod preamble;
mod syncing;

use checkpoint::Checkpoints;
pub use checkpoint::OwnerState;
pub use preamble::Preamble;
use syncing::{SyncJob, Synced};

/// Room that is left at the end of a segment for a mark: the last word of a log that ends there.
const MARK_ROOM: u64 = ALIGN + BATCH_HEADER_BYTES as u64;
/// Silence after which what is known to be synced is written down.
const MARK_AFTER: Duration = Duration::from_millis(100);
/// How long to wait before what the disk refused is tried again.
const RETRY_AFTER: Duration = Duration::from_secs(1);
/// Full segments that may wait for the disk; what comes then waits unwritten.
const SEALING_MAX: usize = 8;

/// How a log is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogOptions {
    /// The size at which a segment is sealed.
    pub segment_bytes: u64,
    /// When it is synced.
    pub policy: FsyncPolicy,
    /// Old segments are let go of above this many bytes; `None` keeps all.
    pub retain_bytes: Option<u64>,
    /// Memory of the index of the latest records.
    pub index_bytes: u64,
    /// How sealed segments are packed, where there is an index.
    pub compression: Compression,
    /// LMDB follows once a second if it is at least this many bytes behind.
    pub checkpoint_bytes: u64,
}

impl LogOptions {
    /// Returns how segments get their room.
    pub(super) fn room(&self) -> Room {
        room_for(self.policy)
    }
}

fn room_for(policy: FsyncPolicy) -> Room {
    match policy {
        FsyncPolicy::None | FsyncPolicy::Interval(_) => Room::Reserved,
        FsyncPolicy::EachBatch | FsyncPolicy::Every(_) => Room::Written,
    }
}

/// How far the log has got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Users may be told of what ends here or before.
    pub acknowledged: Lsn,
    /// All up to here is on the disk.
    pub synced: Lsn,
}

/// What the log did since it was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LogStats {
    /// Records written.
    pub records: u64,
    /// Bytes written.
    pub bytes: u64,
    /// Bytes of the log between those: a block that a sync has covered is never written again, so
    /// the next batch begins on a border; and marks.
    pub padding_bytes: u64,
    /// Batches written.
    pub batches: u64,
    /// Segments of the log.
    pub segments: u64,
    /// Bytes of the log: from the first one that it has to the end of its last batch.
    pub log_bytes: u64,
    /// Segments begun.
    pub rolls: u64,
    /// Syncs done.
    pub syncs: u64,
    /// Bytes written that are not known to be on the disk.
    pub unsynced_bytes: u64,
    /// Bytes written that LMDB does not know; zero without LMDB.
    pub unindexed_bytes: u64,
    /// Checkpoints made.
    pub checkpoints: u64,
    /// Keys in memory.
    pub index_keys: u64,
    /// Memory that they take.
    pub index_bytes: u64,
    /// Rows in LMDB.
    pub lmdb_rows: u64,
    /// How large LMDB's file is.
    pub lmdb_bytes: u64,
    /// Old segments that were let go of.
    pub retired: u64,
}

type Prepared = Arc<dyn DirFile>;

/// What [`Logstore::start`] puts together.
pub(super) struct Parts {
    pub(super) files: Files,
    pub(super) lock: Box<dyn Lock>,
    pub(super) options: LogOptions,
    pub(super) log_id: [u8; 16],
    pub(super) active: Active,
    pub(super) prev_crc: u32,
    pub(super) shelf: Shelf,
    pub(super) indexer: Option<Indexer>,
    /// Where the records stand that LMDB does not know.
    pub(super) index: Index,
}

/// The only writer of a log.
pub struct Logstore {
    files: Files,
    log_id: [u8; 16],
    active: Active,
    prev_crc: u32,
    /// Batches that are not written: for each, a gap for its header and then its records.
    buf: Vec<u8>,
    batches: Vec<Gathered>,
    /// What each new segment begins with.
    preamble: Vec<Preamble>,
    plan: CommitPlan,
    /// Full segments that are not known to be on the disk.
    sealing: usize,
    /// A sync has been handed out since the last write: the next batch begins on a border.
    is_covered: bool,
    last_write: Time,
    is_marked: bool,
    is_failed: bool,
    stats: LogStats,
    syncer: Helper<SyncJob, Result<Synced, LogError>>,
    maker: Helper<Room, Result<Prepared, LogError>>,
    /// How the next segments get their room.
    room: Room,
    next: NextSegment,
    /// Why the last attempt to make a segment failed, until one succeeds.
    trouble: Option<String>,
    is_blocked: bool,
    index: Index,
    shelf: Shelf,
    checkpoints: Option<Checkpoints>,
    _lock: Box<dyn Lock>,
}

/// The segment after the active one.
enum NextSegment {
    /// The helper is at it.
    Preparing,
    Ready(Prepared),
    /// It could not be made; to be tried again then.
    Failed {
        retry_at: Time,
    },
}

/// The segment that is written.
pub(super) struct Active {
    pub(super) file: Arc<dyn DirFile>,
    pub(super) first: Lsn,
    pub(super) salt: u32,
    /// Where the last batch ends.
    pub(super) end: u64,
    /// How long the file may become.
    pub(super) room: u64,
}

/// A batch in the buffer.
#[derive(Clone, Copy)]
struct Gathered {
    start: usize,
    end: usize,
    records: u16,
    /// The LSN that its records were stamped with so far.
    lsn: Lsn,
}

impl Active {
    fn lsn(&self, offset: u64) -> Lsn {
        Lsn(self.first.0 + offset)
    }
}

impl Logstore {
    pub(super) fn start(parts: Parts, hands: &Hands) -> Result<Self, LogError> {
        let Parts { files, lock, options, log_id, active, prev_crc, shelf, indexer, index } = parts;
        let end = active.lsn(active.end);
        let sync_files = files.clone();
        let syncer = Helper::start("log-sync", hands, syncing::worker(sync_files))?;
        let (make_files, bytes, room) = (files.clone(), options.segment_bytes, options.room());
        let prepare = move |room| make_files.prepare(bytes, room);
        let mut maker = Helper::start("log-prepare", hands, prepare)?;
        maker.give(room);
        let segments = files.segments()?.len() as u64;
        let mut log = Self {
            files,
            log_id,
            active,
            prev_crc,
            buf: Vec::new(),
            batches: Vec::new(),
            preamble: Vec::new(),
            plan: CommitPlan::new(options.policy, end),
            sealing: 0,
            is_covered: true,
            last_write: Time::ZERO,
            is_marked: true,
            is_failed: false,
            stats: LogStats { segments, ..LogStats::default() },
            syncer,
            maker,
            room,
            next: NextSegment::Preparing,
            trouble: None,
            is_blocked: false,
            index,
            shelf,
            checkpoints: None,
            _lock: lock,
        };
        if let Some(indexer) = indexer {
            log.checkpoints = Some(log.follow(indexer, &options, hands)?);
        }
        Ok(log)
    }

    /// Changes when the log is synced, and how much of it is kept, from now on. Segments that are
    /// made already keep the room that they have.
    pub fn set_policy(&mut self, policy: FsyncPolicy, retain_bytes: Option<u64>, now: Time) {
        self.plan.set_policy(policy);
        self.room = room_for(policy);
        self.set_retain(retain_bytes);
        self.start_sync(now);
    }

    /// Returns the policy whose promise holds for all that was acknowledged.
    pub fn policy_in_force(&self) -> FsyncPolicy {
        self.plan.policy_in_force()
    }

    /// Adds a record, whose value is what `put_value` appends, to what the next commit writes.
    #[inline]
    pub fn append_with(&mut self, kind: u8, key: [u8; 16], put_value: impl FnOnce(&mut Vec<u8>)) {
        let is_full = self.batches.last().is_none_or(|batch| {
            usize::from(batch.records) == BATCH_RECORDS_MAX
                || batch.end - batch.start >= BATCH_BYTES_FULL
        });
        if is_full {
            self.begin_batch();
        }
        let Some(batch) = self.batches.last_mut() else {
            return;
        };
        let lsn = Lsn(batch.lsn.0 + (self.buf.len() - batch.start) as u64);
        put_record(&mut self.buf, lsn, kind, key, put_value);
        batch.end = self.buf.len();
        batch.records += 1;
    }

    fn begin_batch(&mut self) {
        let start = self.buf.len();
        let lsn = Lsn(self.active.lsn(self.active.end).0 + start as u64);
        self.buf.extend_from_slice(&[0; BATCH_HEADER_BYTES]);
        self.batches.push(Gathered { start, end: self.buf.len(), records: 0, lsn });
    }

    /// Returns whether records wait for a commit.
    pub fn has_uncommitted(&self) -> bool {
        !self.batches.is_empty()
    }

    /// Writes all that was appended and returns where it ends; `None` if nothing was, or if it
    /// waits for a segment ([`Self::is_blocked`]).
    ///
    /// # Errors
    /// [`LogError`] if a write fails, now or earlier; then nothing of it may be acknowledged.
    pub fn commit(&mut self, now: Time) -> Result<Option<Lsn>, LogError> {
        if self.is_failed {
            return Err(LogError::ReadOnly);
        }
        if self.batches.is_empty() {
            return Ok(None);
        }
        self.collect_segment(now);
        self.take_back_sync();
        let written = self.write_batches(now);
        let written = self.guard(written)?;
        self.is_marked &= written == 0;
        self.is_blocked = written < self.batches.len();
        self.forget_batches(written);
        self.start_sync(now);
        Ok((!self.is_blocked).then(|| self.plan.written()))
    }

    /// Returns whether records wait for a segment that can't be made yet. Then the owner should
    /// append no more than it must.
    pub fn is_blocked(&self) -> bool {
        self.is_blocked
    }

    /// Waits until all that was appended is written.
    ///
    /// # Errors
    /// [`LogError`] if the next segment can't be made or a write fails.
    pub fn wait_for_room(&mut self, now: Time) -> Result<(), LogError> {
        while self.is_blocked {
            if self.sealing == SEALING_MAX {
                let done = self.syncer.wait().unwrap_or(Err(LogError::ReadOnly));
                let done = self.guard(done)?;
                self.note_synced(done);
            }
            if !matches!(self.next, NextSegment::Ready(_)) {
                self.next = NextSegment::Ready(self.last_segment()?);
            }
            self.commit(now)?;
        }
        Ok(())
    }

    /// Takes the first batches out of the buffer.
    fn forget_batches(&mut self, count: usize) {
        let start = self.batches.get(count).map_or(self.buf.len(), |batch| batch.start);
        self.buf.drain(..start);
        self.batches.drain(..count);
        for batch in &mut self.batches {
            batch.start -= start;
            batch.end -= start;
        }
    }

    /// Writes batches, as many with one call as fit the segment, until all are written or there
    /// is no segment for the next; returns how many.
    fn write_batches(&mut self, now: Time) -> Result<usize, LogError> {
        let mut offset = self.next_offset();
        let mut run = 0..0;
        for index in 0..self.batches.len() {
            let Gathered { start, end, records, lsn } = self.batches[index];
            let bytes = (end - start) as u64;
            if offset + bytes > self.active.room.saturating_sub(MARK_ROOM) {
                self.write_run(&run, offset, now)?;
                run = index..index;
                if !self.roll(now)? {
                    break;
                }
                offset = self.active.end;
            }
            let place = self.active.lsn(offset);
            move_records(&mut self.buf[start + BATCH_HEADER_BYTES..end], lsn, place);
            let header = self.batch_header(end - start - BATCH_HEADER_BYTES, records, place);
            let head = self.buf[start..].first_chunk_mut().expect("a gap was left for the header");
            self.prev_crc = header.encode(self.active.salt, head);
            offset += bytes;
            run.end = index + 1;
        }
        self.write_run(&run, offset, now)?;
        self.last_write = now;
        Ok(run.end)
    }

    /// Writes a row of batches so that they end at an offset of the segment, and takes note of
    /// where their records stand.
    fn write_run(&mut self, run: &Range<usize>, end: u64, now: Time) -> Result<(), LogError> {
        let batches = &self.batches[run.clone()];
        let (Some(first), Some(last)) = (batches.first(), batches.last()) else {
            return Ok(());
        };
        let bytes = &self.buf[first.start..last.end];
        let offset = end - bytes.len() as u64;
        timed!(LOGSTORE_WRITE, self.write_at(bytes, offset))?;
        observe!(LOGSTORE_WRITE_BYTES, bytes.len() as u64);
        let mut records = 0;
        for batch in batches {
            let lsn = self.active.lsn(offset + (batch.start - first.start) as u64);
            let payload = &self.buf[batch.start + BATCH_HEADER_BYTES..batch.end];
            insert_records(&mut self.index, payload, Lsn(lsn.0 + BATCH_HEADER_BYTES as u64));
            observe!(LOGSTORE_BATCH, u64::from(batch.records));
            records += u64::from(batch.records);
        }
        let batches = batches.len() as u64;
        self.note_written(batches, records, offset..end, now);
        Ok(())
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> Result<(), LogError> {
        self.active.file.write_at(bytes, offset).map_err(|error| {
            self.files.failed(IoOp::Write, &segment_name(self.active.first))(error)
        })
    }

    /// Takes note of what was written to a place of the segment; without batches it is a mark.
    fn note_written(&mut self, batches: u64, records: u64, place: Range<u64>, now: Time) {
        let end = place.end;
        let bytes = if batches > 0 { end - place.start } else { 0 };
        self.stats.bytes += bytes;
        self.stats.padding_bytes += end - self.active.end - bytes;
        self.stats.batches += batches;
        self.stats.records += records;
        self.active.end = end;
        self.plan.wrote(self.active.lsn(end), records, now);
        self.is_covered = false;
    }

    fn batch_header(&self, payload_bytes: usize, records: u16, lsn: Lsn) -> BatchHeader {
        BatchHeader {
            payload_bytes: u32::try_from(payload_bytes)
                .expect("a batch takes no records beyond its bound"),
            records,
            lsn,
            synced: self.plan.synced(),
            prev_crc: self.prev_crc,
        }
    }

    fn next_offset(&self) -> u64 {
        if self.is_covered { align_up(self.active.end) } else { self.active.end }
    }

    /// Seals the active segment and begins the next one, if there is one.
    fn roll(&mut self, now: Time) -> Result<bool, LogError> {
        if self.sealing == SEALING_MAX {
            return Ok(false);
        }
        let prepared = match std::mem::replace(&mut self.next, NextSegment::Preparing) {
            NextSegment::Ready(prepared) => prepared,
            other => {
                self.next = other;
                return Ok(false);
            }
        };
        let first = self.active.lsn(self.active.end);
        let header = new_header(self.log_id, first, self.prev_crc);
        self.files.begin(&*prepared, first, &header.encode())?;
        self.maker.give(self.room);
        let room = prepared.bytes().map_err(self.files.failed(IoOp::Read, ""))?;
        let end = SEGMENT_HEADER_BYTES as u64;
        let next = Active { file: Arc::clone(&prepared), first, salt: header.salt, end, room };
        self.shelf.push(first, Arc::clone(&prepared) as _);
        let Active { file, first: old, end: bytes, .. } = std::mem::replace(&mut self.active, next);
        self.sealing += 1;
        self.syncer.give(SyncJob::Seal { file, first: old, bytes });
        self.syncer.give(SyncJob::Settle { file: prepared, first });
        self.collect_segment(now);
        self.stats.segments += 1;
        self.stats.rolls += 1;
        self.write_preamble(now)?;
        Ok(true)
    }

    /// Looks whether the next segment is there, and has it tried again when it is time to.
    fn collect_segment(&mut self, now: Time) {
        if let NextSegment::Failed { retry_at } = self.next
            && retry_at <= now
        {
            self.maker.give(self.room);
            self.next = NextSegment::Preparing;
        }
        if !matches!(self.next, NextSegment::Preparing) {
            return;
        }
        match self.maker.next().map(|result| result.unwrap_or(Err(LogError::ReadOnly))) {
            None => {}
            Some(Ok(prepared)) => {
                self.next = NextSegment::Ready(prepared);
                self.trouble = None;
            }
            Some(Err(error)) => {
                if self.trouble.is_none() {
                    log::error!("the next segment of the log can not be made: {error}");
                }
                self.trouble = Some(error.to_string());
                self.next = NextSegment::Failed { retry_at: now + RETRY_AFTER };
            }
        }
    }

    /// Collects what the syncing thread has done, and begins the next sync if one is due.
    ///
    /// # Errors
    /// [`LogError`] if a sync or a write has failed, now or earlier.
    pub fn poll(&mut self, now: Time) -> Result<Progress, LogError> {
        if self.is_failed {
            return Err(LogError::ReadOnly);
        }
        while let Some(result) = self.syncer.next() {
            let done = self.guard(result.unwrap_or(Err(LogError::ReadOnly)))?;
            self.note_synced(done);
        }
        self.collect_segment(now);
        if self.mark_at() <= now {
            let marked = self.write_mark(now);
            self.guard(marked)?;
        }
        self.start_sync(now);
        let checkpointed = self.poll_checkpoint(now);
        self.guard(checkpointed)?;
        Ok(Progress { acknowledged: self.plan.acknowledged(), synced: self.plan.synced() })
    }

    /// Returns up to where users may be told.
    pub fn acknowledged(&self) -> Lsn {
        self.plan.acknowledged()
    }

    /// Returns up to where the log is known to be on the disk.
    pub fn synced(&self) -> Lsn {
        self.plan.synced()
    }

    /// When [`Self::poll`] has something to do though nothing came.
    pub fn deadline(&self) -> Time {
        let retry_at = match self.next {
            NextSegment::Failed { retry_at } => retry_at,
            NextSegment::Preparing | NextSegment::Ready(_) => Time::NEVER,
        };
        self.plan.deadline().min(self.mark_at()).min(retry_at).min(self.checkpoint_at())
    }

    /// Returns what was done since the log was opened.
    pub fn stats(&self) -> LogStats {
        let written = self.plan.written().0;
        let indexed = self.checkpoints.as_ref().map_or(written, |made| made.indexed.0.0);
        LogStats {
            log_bytes: written - self.shelf.first().0,
            unsynced_bytes: written - self.plan.synced().0,
            unindexed_bytes: written.saturating_sub(indexed),
            index_keys: self.index.keys() as u64,
            index_bytes: self.index.bytes() as u64,
            ..self.stats
        }
    }

    /// Writes and syncs all that is left, says in the log that it is, and makes a last checkpoint
    /// with the owner's state, which is as of all that was appended. Returns the last figures.
    ///
    /// # Errors
    /// [`LogError`] if that fails or anything failed earlier.
    pub fn close(mut self, owner: OwnerState, now: Time) -> Result<LogStats, LogError> {
        self.commit(now)?;
        // The last chance for what was appended.
        self.wait_for_room(now)?;
        let mut stats = self.stats();
        let Self { files, syncer, active, mut prev_crc, plan, is_marked, checkpoints, .. } = self;
        for result in syncer.finish() {
            result?;
        }
        let name = segment_name(active.first);
        let sync = || files.sync_data(&*active.file, &name);
        sync()?;
        let mut end = plan.written();
        let offset = align_up(active.end);
        let is_known = is_marked && plan.synced() == end;
        if !is_known && offset + BATCH_HEADER_BYTES as u64 <= active.room {
            let (mark, crc) = mark(&active, offset, end, prev_crc);
            active.file.write_at(&mark, offset).map_err(files.failed(IoOp::Write, &name))?;
            sync()?;
            prev_crc = crc;
            end = active.lsn(offset + BATCH_HEADER_BYTES as u64);
        }
        stats.log_bytes += end.0 - plan.written().0;
        (stats.unsynced_bytes, stats.unindexed_bytes) = (0, 0);
        if let Some(checkpoints) = checkpoints {
            let OwnerState { bytes: state, needed } = owner;
            let retain = checkpoints.retain;
            let last = Advance { to: end, prev_crc, state, needed, retain, is_clean: true };
            checkpoints.finish(last, &mut stats)?;
        }
        Ok(stats)
    }

    /// Waits for a segment, trying once more to make it.
    fn last_segment(&mut self) -> Result<Prepared, LogError> {
        if matches!(self.next, NextSegment::Failed { .. }) {
            self.maker.give(self.room);
        }
        self.maker.wait().unwrap_or(Err(LogError::ReadOnly))
    }

    /// When what is known to be synced should be written down: nothing after the last batch
    /// vouches for it.
    fn mark_at(&self) -> Time {
        let is_synced = self.plan.synced() == self.plan.written();
        if is_synced && !self.is_marked && self.batches.is_empty() {
            self.last_write + MARK_AFTER
        } else {
            Time::NEVER
        }
    }

    fn write_mark(&mut self, now: Time) -> Result<(), LogError> {
        self.is_marked = true;
        // On a border it is found even when what stands before it is damaged.
        let offset = align_up(self.active.end);
        let end = offset + BATCH_HEADER_BYTES as u64;
        if end > self.active.room {
            return Ok(());
        }
        let (mark, crc) = mark(&self.active, offset, self.plan.synced(), self.prev_crc);
        self.write_at(&mark, offset)?;
        self.prev_crc = crc;
        self.note_written(0, 0, offset..end, now);
        Ok(())
    }

    /// Remembers a failure for good.
    fn guard<T>(&mut self, result: Result<T, LogError>) -> Result<T, LogError> {
        self.is_failed |= result.is_err();
        result
    }
}

/// Returns the header of a segment that begins at `first`.
pub(super) fn new_header(log_id: [u8; 16], first: Lsn, prev_crc: u32) -> SegmentHeader {
    SegmentHeader { log_id, first, salt: u32::from_be_bytes(random()), prev_crc }
}

/// Takes note of where a row of whole records stands.
#[inline]
fn insert_records(index: &mut Index, records: &[u8], lsn: Lsn) {
    let mut at = 0;
    while let Some(len) = record_bytes(&records[at..])
        && let Some(key) = records[at + 8..].first_chunk()
        && let Ok(bytes) = u32::try_from(len)
    {
        index.insert(key, Place { lsn: Lsn(lsn.0 + at as u64), len: bytes });
        at += len;
    }
}

/// Returns a batch without records that says what is synced, and its CRC.
fn mark(
    active: &Active,
    offset: u64,
    synced: Lsn,
    prev_crc: u32,
) -> ([u8; BATCH_HEADER_BYTES], u32) {
    let lsn = active.lsn(offset);
    let header = BatchHeader { payload_bytes: 0, records: 0, lsn, synced, prev_crc };
    let mut bytes = [0; BATCH_HEADER_BYTES];
    let crc = header.encode(active.salt, &mut bytes);
    (bytes, crc)
}

pub(super) fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).expect("the kernel's random numbers do not fail once booted");
    bytes
}

#[cfg(test)]
mod tests;
