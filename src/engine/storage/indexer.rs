//! Keeps LMDB behind the log: reads what was written since the last checkpoint, adds its rows and
//! the new checkpoint in one transaction, and lets go of segments that nobody needs.
//!
//! It reads the log itself instead of being told every record, so an append costs nothing for it
//! and what LMDB learns is what is really there.

use std::path::Path;
use std::sync::Arc;

use super::compress::codec;
use super::format::{SEGMENT_HEADER_BYTES, SegmentHeader};
use super::index::{Key, Place};
use super::lmdb::{Checkpoint, Durability, Entry, IndexError, Lmdb, Row};
use super::recovery::{self, Bytes, Cursor, Window};
use super::retention::{self, Sealed};
use super::segment::{Files, read_head};
use super::{IoOp, LogError};
use crate::config::scenario::Compression;
use crate::ids::Lsn;
use crate::timed;

/// A position up to which LMDB shall know the log. All before it is on the disk.
#[derive(Clone, Debug)]
pub(super) struct Advance {
    pub(super) to: Lsn,
    /// The header CRC of the batch that ends there.
    pub(super) prev_crc: u32,
    /// What the log's owner wants kept with it.
    pub(super) state: Vec<u8>,
    /// The oldest key whose record the owner still needs.
    pub(super) needed: Option<Key>,
    /// Segments are kept up to this many bytes; `None` keeps all.
    pub(super) retain: Option<u64>,
    /// Whether the log ends here in order.
    pub(super) is_clean: bool,
}

/// What the indexer is told.
pub(super) enum IndexJob {
    /// Bring LMDB forward.
    Advance(Advance),
    /// Pack the sealed segment that begins there.
    Pack(Lsn),
}

/// What the indexer has done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum IndexNews {
    /// LMDB has got further.
    Advanced(Advanced),
    /// The segment that begins there is packed.
    Packed(Lsn),
    /// A segment stays as it is.
    NotPacked,
}

/// How far LMDB has got.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Advanced {
    pub(super) indexed: Lsn,
    pub(super) rows: u64,
    /// How large LMDB's file is.
    pub(super) bytes: u64,
    /// Where the log begins now.
    pub(super) first: Lsn,
    /// Segments that were let go of.
    pub(super) retired: u64,
}

/// LMDB and the log behind which it is kept.
pub(super) struct Indexer {
    pub(super) lmdb: Arc<Lmdb>,
    pub(super) checkpoint: Checkpoint,
    pub(super) files: Files,
    /// How sealed segments are packed.
    pub(super) compression: Compression,
}

impl Indexer {
    /// Does a job. All that touches old segments is done here, one after another.
    pub(super) fn work(&mut self, job: IndexJob) -> Result<IndexNews, LogError> {
        match job {
            IndexJob::Advance(advance) => {
                timed!(LOGSTORE_CHECKPOINT, self.advance(advance)).map(IndexNews::Advanced)
            }
            IndexJob::Pack(first) => {
                if first < self.checkpoint.first {
                    return Ok(IndexNews::NotPacked);
                }
                match self.files.pack(first, codec(self.compression)) {
                    Ok(_) => Ok(IndexNews::Packed(first)),
                    // It stays as it is, which is as good and only larger.
                    Err(error) => {
                        log::warn!("a segment is not packed: first={first} {error}");
                        Ok(IndexNews::NotPacked)
                    }
                }
            }
        }
    }

    /// Brings LMDB forward. If there is much to learn, it is told in several transactions, of which
    /// the last moves the checkpoint.
    fn advance(&mut self, advance: Advance) -> Result<Advanced, LogError> {
        let Advance { to, prev_crc, state, needed, retain, is_clean } = advance;
        let Self { lmdb, checkpoint, files, .. } = self;
        let from = (checkpoint.indexed, checkpoint.prev_crc);
        let mut rows = Vec::new();
        let mut added = Ok(());
        visit_between(files, from, to, &mut |row| {
            if added.is_err() {
                return;
            }
            rows.push(Entry::new(&row));
            if rows.len() == ADVANCE_ROWS {
                checkpoint.is_clean = false;
                added = lmdb.add(&mut rows, checkpoint);
                rows.clear();
            }
        })?;
        added?;
        let mut moved = Checkpoint {
            indexed: to,
            prev_crc,
            is_clean,
            state: Some(state),
            ..checkpoint.clone()
        };
        lmdb.add(&mut rows, &mut moved)?;
        self.checkpoint = moved;
        let retired = self.retire(needed, retain)?;
        Ok(Advanced {
            indexed: to,
            rows: self.checkpoint.rows,
            bytes: self.lmdb.bytes(),
            first: self.checkpoint.first,
            retired,
        })
    }

    /// Lets go of the oldest segments, beyond what is to be kept; returns how many.
    fn retire(&mut self, needed: Option<Key>, retain: Option<u64>) -> Result<u64, LogError> {
        let Some(retain) = retain else {
            return Ok(0);
        };
        let segments = self.files.segments()?;
        let ends = segments.iter().skip(1).map(|next| next.first);
        let sealed: Vec<Sealed> = segments
            .iter()
            .zip(ends)
            .map(|(segment, end)| Sealed { first: segment.first, end })
            .collect();
        let needed = match needed {
            Some(key) => self.lmdb.get(&key)?.map(|place| place.lsn),
            None => None,
        };
        let indexed = self.checkpoint.indexed;
        let first = retention::first_kept(&sealed, retain, needed.unwrap_or(indexed).min(indexed));
        let Some(first) = first else {
            return Ok(0);
        };
        // LMDB forgets first: it never points to what is gone.
        self.lmdb.retire(first, &mut self.checkpoint)?;
        let mut retired = 0;
        for segment in segments.iter().filter(|segment| segment.first < first) {
            self.files.remove_segment(segment)?;
            retired += 1;
        }
        self.files.sync_names()?;
        log::info!("old segments are let go of: segments={retired} first={first}");
        Ok(retired)
    }
}

/// Visits the rows of all records between two ends of batches, in order. Of the first the header
/// CRC is given too.
pub(super) fn visit_between(
    files: &Files,
    from: (Lsn, u32),
    to: Lsn,
    visit: &mut dyn FnMut(Row),
) -> Result<(), LogError> {
    let segments = files.segments()?;
    let mut at = from;
    for (index, listed) in segments.iter().enumerate() {
        let next = segments.get(index + 1).map(|next| next.first);
        if next.is_some_and(|next| next <= at.0) || listed.first >= to {
            continue;
        }
        let file = files.open(listed)?;
        let failed = |error| files.failed(IoOp::Read, &listed.name())(error);
        let head = read_head(&*file).map_err(failed)?;
        let damaged =
            |offset, reason| LogError::Damaged { path: files.path(&listed.name()), offset, reason };
        let header = SegmentHeader::decode(&head)
            .map_err(|_| damaged(0, "the segment's head is not what was written"))?;
        let offset = at.0.0.saturating_sub(listed.first.0).max(SEGMENT_HEADER_BYTES as u64);
        let from = Cursor { offset, prev_crc: at.1 };
        let mut bytes = Until { window: Window::new(&*file), end: to.0 - listed.first.0 };
        let found = recovery::scan(&mut bytes, &header, from, &mut |record| {
            visit(row(record.key, record.lsn, record.value));
        })
        .map_err(failed)?;
        let end = next.unwrap_or(to).min(to);
        if listed.first.0 + found.end != end.0 {
            return Err(damaged(found.end, "a batch is not what was written"));
        }
        at = (end, found.last_crc);
    }
    Ok(())
}

/// Returns the row of a record.
pub(super) fn row(key: &Key, lsn: Lsn, value: &[u8]) -> Row {
    let len = super::format::RECORD_HEADER_BYTES + value.len();
    let len = u32::try_from(len).expect("the format bounds the length of a value");
    Row { key: *key, place: Place { lsn, len } }
}

/// A file's bytes up to a position: behind it the writer is at work.
struct Until<'a> {
    window: Window<'a>,
    end: u64,
}

impl Bytes for Until<'_> {
    type Error = std::io::Error;

    fn at(&mut self, offset: u64, count: usize) -> std::io::Result<&[u8]> {
        let left = usize::try_from(self.end.saturating_sub(offset)).unwrap_or(usize::MAX);
        self.window.at(offset, count.min(left))
    }
}

/// Rows that one transaction adds to an index that is in use.
const ADVANCE_ROWS: usize = 1 << 16;
/// Rows that one transaction of a rebuild adds: LMDB looks for every page among those that the
/// transaction has changed, so few are faster.
const BUILD_ROWS: usize = 1 << 14;
/// Transactions' worth of rows that may wait for LMDB.
const BUILD_AHEAD: usize = 16;
/// Transactions of a rebuild after which what they wrote begins to go to the disk.
const BUILD_FLUSH: usize = 64;

/// Builds an index anew beside the old one, while the log is being read, on a thread of its own.
pub(super) struct Builder {
    rows: Vec<Entry>,
    /// `None` once the thread has been waited for.
    work: Option<Work>,
}

struct Work {
    sender: std::sync::mpsc::SyncSender<Vec<Entry>>,
    thread: std::thread::JoinHandle<Result<(Lmdb, Checkpoint), IndexError>>,
}

impl Work {
    /// Waits until all rows are added; `None` if the thread has panicked.
    fn end(self) -> Option<Result<(Lmdb, Checkpoint), IndexError>> {
        drop(self.sender);
        self.thread.join().ok()
    }
}

impl Drop for Builder {
    /// What is given up is closed before anybody else opens it.
    fn drop(&mut self) {
        self.work.take().map(Work::end);
    }
}

impl Builder {
    /// Begins an index in `dir`, which is emptied.
    pub(super) fn start(dir: &Path) -> Result<Self, LogError> {
        let failed = |op, source| LogError::Io { op, path: dir.to_owned(), source };
        match std::fs::remove_dir_all(dir) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(failed(IoOp::Remove, error));
            }
            _ => {}
        }
        let lmdb = Lmdb::open(dir, Durability::Building)?;
        let (sender, receiver) = std::sync::mpsc::sync_channel(BUILD_AHEAD);
        let build = move || build(&lmdb, receiver).map(|checkpoint| (lmdb, checkpoint));
        let thread = std::thread::Builder::new()
            .name("index-build".to_owned())
            .spawn(build)
            .map_err(|source| failed(IoOp::Create, source))?;
        let work = Some(Work { sender, thread });
        Ok(Self { rows: Vec::with_capacity(BUILD_ROWS), work })
    }

    /// Adds a row.
    pub(super) fn add(&mut self, row: &Row) {
        // Encoded here: LMDB's thread has more to do than the one that reads.
        self.rows.push(Entry::new(row));
        if self.rows.len() == BUILD_ROWS {
            let full = std::mem::replace(&mut self.rows, Vec::with_capacity(BUILD_ROWS));
            if let Some(work) = &self.work {
                // A builder that has failed says why when it is asked to finish.
                let _ = work.sender.send(full);
            }
        }
    }

    /// Puts the index where the old one was; `fill` completes the checkpoint.
    pub(super) fn finish(
        mut self,
        dir: &Path,
        built: &Path,
        fill: impl FnOnce(&mut Checkpoint),
    ) -> Result<Checkpoint, LogError> {
        let ended = self.work.take().and_then(Work::end);
        let (lmdb, mut checkpoint) = ended.ok_or(LogError::ReadOnly)??;
        fill(&mut checkpoint);
        lmdb.add(&mut self.rows, &mut checkpoint)?;
        lmdb.finish_building()?;
        let failed = |op, path: &Path| {
            let path = path.to_owned();
            move |source| LogError::Io { op, path, source }
        };
        match std::fs::remove_dir_all(dir) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(failed(IoOp::Remove, dir)(error));
            }
            _ => {}
        }
        std::fs::rename(built, dir).map_err(failed(IoOp::Rename, built))?;
        let parent = dir.parent().unwrap_or(dir);
        std::fs::File::open(parent)
            .and_then(|parent| parent.sync_all())
            .map_err(failed(IoOp::Sync, parent))?;
        Ok(checkpoint)
    }
}

/// Adds rows as they come, while a thread of its own takes what is written to the disk.
fn build(
    lmdb: &Lmdb,
    rows: std::sync::mpsc::Receiver<Vec<Entry>>,
) -> Result<Checkpoint, IndexError> {
    std::thread::scope(|scope| {
        let (flush, due) = std::sync::mpsc::sync_channel(1);
        let flusher = scope.spawn(move || due.iter().try_for_each(|()| lmdb.flush_building()));
        let mut checkpoint = Checkpoint::empty([0; 16]);
        for (count, mut rows) in (1..).zip(rows) {
            lmdb.add(&mut rows, &mut checkpoint)?;
            if count % BUILD_FLUSH == 0 {
                // One that is under way will do, and one that has failed is reported below.
                let _ = flush.try_send(());
            }
        }
        drop(flush);
        flusher.join().expect("a flush does not panic").map(|()| checkpoint)
    })
}
