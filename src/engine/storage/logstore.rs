//! The writer's side of the log: append, commit, sync, roll.
//!
//! Records gather in one buffer; a commit writes them with one call at an explicit offset and
//! hands a sync to the helper thread if the policy says so. The event loop that owns the log
//! never waits for a sync. The first failure of a write or a sync is final: nothing more is
//! written or acknowledged, because nobody knows what of it is on the disk.
//!
//! A full disk shows earlier, and harmlessly: the next segment can't be made while the active one
//! still has room. When that is used up, what was appended stays in the buffer, unacknowledged,
//! and is written as soon as a segment can be made.

use std::collections::VecDeque;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::commit::CommitPlan;
use super::format::{
    BATCH_BYTES_FULL, BATCH_HEADER_BYTES, BATCH_RECORDS_MAX, BatchHeader, RecordRef,
    SEGMENT_HEADER_BYTES, SegmentHeader, align_up, move_records, put_record,
};
use super::reader::{self, ScanReport, TornTail};
use super::sync::{Job, Maker, Notify, Prepared, Synced, Syncer};
use super::{IoOp, LogError, segment};
use crate::clock::Time;
use crate::config::scenario::FsyncPolicy;
use crate::ids::Lsn;

/// Silence after which what is known to be synced is written down.
const MARK_AFTER: Duration = Duration::from_millis(100);
/// How long to wait before the next segment is tried again.
const RETRY_AFTER: Duration = Duration::from_secs(1);
/// Latencies of syncs that wait to be asked for.
const SYNC_TIMES_MAX: usize = 1024;

/// How a log is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogOptions {
    /// The size at which a segment is sealed.
    pub segment_bytes: u64,
    /// When it is synced.
    pub policy: FsyncPolicy,
}

/// What opening found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recovered {
    /// Segments.
    pub segments: usize,
    /// Records that were visited.
    pub records: u64,
    /// Bytes of a torn tail that were set aside.
    pub torn_bytes: u64,
    /// Where they are kept.
    pub kept_aside: Option<PathBuf>,
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
    /// Batches written.
    pub batches: u64,
    /// Segments of the log.
    pub segments: u64,
    /// Syncs done.
    pub syncs: u64,
    /// Bytes written that are not known to be on the disk.
    pub unsynced_bytes: u64,
}

/// The only writer of a log.
pub struct Logstore {
    dir: PathBuf,
    log_id: [u8; 16],
    active: Active,
    prev_crc: u32,
    /// Batches that are not written: for each, a gap for its header and then its records.
    buf: Vec<u8>,
    batches: Vec<Gathered>,
    plan: CommitPlan,
    /// A sync has been handed out since the last write: the next batch begins on a border.
    is_covered: bool,
    last_write: Time,
    is_marked: bool,
    is_failed: bool,
    stats: LogStats,
    sync_times: VecDeque<Duration>,
    syncer: Syncer,
    maker: Maker,
    next: NextSegment,
    /// Why the last attempt to make a segment failed, until one succeeds.
    trouble: Option<String>,
    is_blocked: bool,
    _lock: File,
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
struct Active {
    file: Arc<File>,
    path: Arc<PathBuf>,
    first: Lsn,
    salt: u32,
    /// Where the last batch ends.
    end: u64,
    /// How long the file may become.
    room: u64,
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
    /// Becomes the writer of the log in `data_dir`, which is made if it is not there, and visits
    /// every whole record. A torn tail is kept in a file of its own and cut off. `notify` is
    /// called from a helper thread whenever [`Self::poll`] has news.
    ///
    /// # Errors
    /// [`LogError`] if another process writes the log, if it is not sound, or if the system
    /// refuses something.
    pub fn open(
        data_dir: &Path,
        options: LogOptions,
        notify: impl Fn() + Send + Sync + 'static,
        visit: &mut dyn FnMut(RecordRef<'_>),
    ) -> Result<(Self, Recovered), LogError> {
        let dir = reader::log_dir(data_dir);
        std::fs::create_dir_all(&dir).map_err(segment::failed(IoOp::Create, &dir))?;
        let lock = segment::lock(&dir)?;
        let found = reader::scan(data_dir, visit)?;
        let mut recovered = Recovered {
            segments: found.segments.len(),
            records: found.records,
            torn_bytes: 0,
            kept_aside: None,
        };
        if let Some(torn) = &found.torn {
            set_aside(&dir, torn, found.end, &mut recovered)?;
        }
        let notify: Notify = Arc::new(notify);
        let syncer = Syncer::start(Arc::clone(&notify))?;
        let maker = Maker::start(dir.clone(), options.segment_bytes, notify)?;
        let log_id = found.log_id.unwrap_or_else(random);
        let continues = found.torn.is_none();
        let active = match (&found.last, continues) {
            (Some(last), true) => reopen(&dir, last, &found)?,
            _ => {
                let prepared = maker.take()?;
                let active = create(&dir, prepared, log_id, found.end, found.last_crc)?;
                maker.order();
                active
            }
        };
        segment::sync_dir(&dir)?;
        let end = active.lsn(active.end);
        let log = Self {
            dir,
            log_id,
            active,
            prev_crc: found.last_crc,
            buf: Vec::new(),
            batches: Vec::new(),
            plan: CommitPlan::new(options.policy, end),
            is_covered: true,
            last_write: Time::ZERO,
            is_marked: true,
            is_failed: false,
            stats: LogStats {
                segments: found.segments.len() as u64
                    + u64::from(!continues || found.last.is_none()),
                ..LogStats::default()
            },
            sync_times: VecDeque::new(),
            syncer,
            maker,
            next: NextSegment::Preparing,
            trouble: None,
            is_blocked: false,
            _lock: lock,
        };
        Ok((log, recovered))
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

    /// Returns why the next segment can't be made, if it can't.
    pub fn trouble(&self) -> Option<&str> {
        self.trouble.as_deref()
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
        let mut written = 0;
        let mut offset = self.next_offset();
        let mut run = 0..0;
        let mut records_of_run = 0;
        for index in 0..self.batches.len() {
            let Gathered { start, end, records, lsn } = self.batches[index];
            let bytes = (end - start) as u64;
            if offset + bytes > self.active.room {
                self.write_run(&run, offset, records_of_run, now)?;
                (run, records_of_run) = (start..start, 0);
                if !self.roll(now)? {
                    break;
                }
                offset = self.active.end;
            }
            let place = self.active.lsn(offset);
            move_records(&mut self.buf[start + BATCH_HEADER_BYTES..end], lsn, place);
            let header = BatchHeader {
                payload_bytes: u32::try_from(end - start - BATCH_HEADER_BYTES)
                    .expect("a batch takes no records beyond its bound"),
                records,
                lsn: place,
                synced: self.plan.synced(),
                prev_crc: self.prev_crc,
            };
            let head = self.buf[start..].first_chunk_mut().expect("a gap was left for the header");
            self.prev_crc = header.encode(self.active.salt, head);
            offset += bytes;
            run.end = end;
            records_of_run += u64::from(records);
            self.stats.batches += 1;
            written += 1;
        }
        self.write_run(&run, offset, records_of_run, now)?;
        self.last_write = now;
        Ok(written)
    }

    /// Writes a part of the buffer so that it ends at an offset of the segment.
    fn write_run(
        &mut self,
        run: &std::ops::Range<usize>,
        end: u64,
        records: u64,
        now: Time,
    ) -> Result<(), LogError> {
        let bytes = &self.buf[run.clone()];
        if bytes.is_empty() {
            return Ok(());
        }
        let Active { file, path, .. } = &self.active;
        segment::write_at(file, path, bytes, end - bytes.len() as u64)?;
        self.stats.bytes += bytes.len() as u64;
        self.stats.records += records;
        self.active.end = end;
        self.plan.wrote(self.active.lsn(end), records, now);
        self.is_covered = false;
        Ok(())
    }

    fn next_offset(&self) -> u64 {
        if self.is_covered { align_up(self.active.end) } else { self.active.end }
    }

    /// Seals the active segment and begins the next one, if there is one.
    fn roll(&mut self, now: Time) -> Result<bool, LogError> {
        let prepared = match std::mem::replace(&mut self.next, NextSegment::Preparing) {
            NextSegment::Ready(prepared) => prepared,
            other => {
                self.next = other;
                return Ok(false);
            }
        };
        let first = self.active.lsn(self.active.end);
        let next = create(&self.dir, prepared, self.log_id, first, self.prev_crc)?;
        self.maker.order();
        self.collect_segment(now);
        let old = std::mem::replace(&mut self.active, next);
        self.syncer.give(Job::Seal {
            file: old.file,
            path: old.path,
            bytes: old.end,
            dir: self.dir.clone(),
            end: first,
        });
        self.stats.segments += 1;
        Ok(true)
    }

    /// Looks whether the next segment is there, and has it tried again when it is time to.
    fn collect_segment(&mut self, now: Time) {
        if let NextSegment::Failed { retry_at } = self.next
            && retry_at <= now
        {
            self.maker.order();
            self.next = NextSegment::Preparing;
        }
        if !matches!(self.next, NextSegment::Preparing) {
            return;
        }
        match self.maker.try_take() {
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
            match self.guard(result)? {
                Synced::Segment { end } => self.plan.sealed_to(end),
                Synced::Tail { end, latency } => {
                    self.plan.synced_to(end);
                    self.stats.syncs += 1;
                    if self.sync_times.len() < SYNC_TIMES_MAX {
                        self.sync_times.push_back(latency);
                    }
                }
            }
        }
        self.collect_segment(now);
        if self.mark_at() <= now {
            let marked = self.write_mark(now);
            self.guard(marked)?;
        }
        self.start_sync(now);
        Ok(Progress { acknowledged: self.plan.acknowledged(), synced: self.plan.synced() })
    }

    /// Returns up to where users may be told.
    pub fn acknowledged(&self) -> Lsn {
        self.plan.acknowledged()
    }

    /// When [`Self::poll`] has something to do though nothing came.
    pub fn deadline(&self) -> Time {
        let retry_at = match self.next {
            NextSegment::Failed { retry_at } => retry_at,
            NextSegment::Preparing | NextSegment::Ready(_) => Time::NEVER,
        };
        self.plan.deadline().min(self.mark_at()).min(retry_at)
    }

    /// Has all that is written synced, whatever the policy says.
    pub fn sync_now(&mut self, now: Time) {
        self.plan.force();
        self.start_sync(now);
    }

    /// Returns how long a sync took that [`Self::poll`] has collected.
    pub fn next_sync_time(&mut self) -> Option<Duration> {
        self.sync_times.pop_front()
    }

    /// Returns what was done since the log was opened.
    pub fn stats(&self) -> LogStats {
        let unsynced_bytes = self.plan.written().0 - self.plan.synced().0;
        LogStats { unsynced_bytes, ..self.stats }
    }

    /// Writes and syncs all that is left, and says in the log that it is.
    ///
    /// # Errors
    /// [`LogError`] if that fails or anything failed earlier.
    pub fn close(mut self, now: Time) -> Result<(), LogError> {
        self.commit(now)?;
        while self.is_blocked {
            // The last chance for what was appended.
            self.next = NextSegment::Ready(self.last_segment()?);
            self.commit(now)?;
        }
        let Self { syncer, active, prev_crc, plan, is_marked, .. } = self;
        syncer.finish()?;
        let Active { file, path, .. } = &active;
        file.sync_data().map_err(segment::failed(IoOp::Sync, path))?;
        let offset = align_up(active.end);
        let is_known = is_marked && plan.synced() == plan.written();
        if !is_known && offset + BATCH_HEADER_BYTES as u64 <= active.room {
            let (mark, _) = mark(&active, offset, plan.written(), prev_crc);
            segment::write_at(file, path, &mark, offset)?;
            file.sync_data().map_err(segment::failed(IoOp::Sync, path))?;
        }
        Ok(())
    }

    /// Waits for a segment, trying once more to make it.
    fn last_segment(&mut self) -> Result<Prepared, LogError> {
        if matches!(self.next, NextSegment::Failed { .. }) {
            self.maker.order();
        }
        self.maker.take()
    }

    fn start_sync(&mut self, now: Time) {
        if let Some(end) = self.plan.wants_sync(now) {
            self.plan.began(end);
            self.is_covered = true;
            let Active { file, path, .. } = &self.active;
            let (file, path) = (Arc::clone(file), Arc::clone(path));
            self.syncer.give(Job::Sync { file, path, end });
        }
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
        segment::write_at(&self.active.file, &self.active.path, &mark, offset)?;
        self.prev_crc = crc;
        self.active.end = end;
        self.is_covered = false;
        self.plan.wrote(self.active.lsn(end), 0, now);
        Ok(())
    }

    /// Remembers a failure for good.
    fn guard<T>(&mut self, result: Result<T, LogError>) -> Result<T, LogError> {
        self.is_failed |= result.is_err();
        result
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

/// Goes on writing the last segment of a log. What a killed process left in the page cache is
/// made durable first, so that all that was recovered is known to be synced.
fn reopen(dir: &Path, last: &SegmentHeader, found: &ScanReport) -> Result<Active, LogError> {
    for &first in found.segments.iter().rev().skip(1).take(1) {
        let path = segment::segment_path(dir, first);
        let file = segment::open_segment(&path)?;
        file.sync_all().map_err(segment::failed(IoOp::Sync, &path))?;
    }
    let path = segment::segment_path(dir, last.first);
    let file = segment::open_segment(&path)?;
    file.sync_all().map_err(segment::failed(IoOp::Sync, &path))?;
    let room = file.metadata().map_err(segment::failed(IoOp::Read, &path))?.len();
    Ok(Active {
        file: Arc::new(file),
        path: Arc::new(path),
        first: last.first,
        salt: last.salt,
        end: found.end.0 - last.first.0,
        room,
    })
}

/// Makes the prepared file the segment that begins at `first`.
fn create(
    dir: &Path,
    (file, prepared): Prepared,
    log_id: [u8; 16],
    first: Lsn,
    prev_crc: u32,
) -> Result<Active, LogError> {
    let header = SegmentHeader { log_id, first, salt: u32::from_be_bytes(random()), prev_crc };
    segment::write_at(&file, &prepared, &header.encode(), 0)?;
    let path = segment::segment_path(dir, first);
    segment::rename(&prepared, &path)?;
    let room = file.metadata().map_err(segment::failed(IoOp::Read, &path))?.len();
    Ok(Active {
        file: Arc::new(file),
        path: Arc::new(path),
        first,
        salt: header.salt,
        end: SEGMENT_HEADER_BYTES as u64,
        room,
    })
}

/// Keeps the bytes of a torn tail in files of their own and cuts them off.
fn set_aside(
    dir: &Path,
    torn: &TornTail,
    end: Lsn,
    recovered: &mut Recovered,
) -> Result<(), LogError> {
    let mut bytes = Vec::new();
    for &first in &torn.later {
        let path = segment::segment_path(dir, first);
        segment::read(&path, &mut bytes)?;
        recovered.torn_bytes += bytes.len() as u64;
        segment::rename(&path, &segment::torn_path(dir, first))?;
    }
    if torn.bytes > 0 {
        segment::read(&torn.path, &mut bytes)?;
        let from = usize::try_from(torn.offset).unwrap_or(usize::MAX).min(bytes.len());
        let until = from.saturating_add(usize::try_from(torn.bytes).unwrap_or(usize::MAX));
        let kept = segment::torn_path(dir, end);
        segment::keep(&kept, &bytes[from..until.min(bytes.len())])?;
        recovered.torn_bytes += torn.bytes;
        recovered.kept_aside = Some(kept);
    }
    if torn.offset == 0 {
        std::fs::remove_file(&torn.path).map_err(segment::failed(IoOp::Cut, &torn.path))?;
    } else {
        segment::cut(&torn.path, torn.offset)?;
    }
    segment::sync_dir(dir)
}

fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).expect("the kernel's random numbers do not fail once booted");
    bytes
}

#[cfg(test)]
mod tests;
