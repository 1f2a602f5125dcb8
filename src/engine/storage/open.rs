//! Becoming the writer of a log: look at the index, replay what it does not know, cut what is
//! torn, and make durable what a killed process left behind.
//!
//! With a whole index only the log's tail is read. Without one, or with one that a crash left
//! behind, all of it is, and the index is made anew beside. An index that was closed in order
//! and is not what was written is never repaired silently: that is for a person to decide.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::dir::{Dir, Lock, RealDir};
use super::format::{RecordRef, SegmentHeader};
use super::index::{Index, Key, Place};
use super::indexer::{Builder, Indexer, row};
use super::lmdb::{self, Checkpoint, Durability, Inspection, Lmdb, Row};
use super::logstore::{self, Active, LogOptions, Logstore};
use super::reader::{self, ScanReport, Start, TornTail};
use super::recovery::{self, Window};
use super::segment::{Files, Form};
use super::shelf::Shelf;
use super::{Hands, IoOp, LogError};
use crate::ids::Lsn;
use crate::lock::LockError;

/// What opening found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recovered {
    /// Segments.
    pub segments: usize,
    /// Records that were read.
    pub records: u64,
    /// Bytes of a torn tail that were set aside.
    pub torn_bytes: u64,
    /// Where they are kept.
    pub kept_aside: Option<PathBuf>,
    /// What became of the index.
    pub index: IndexOutcome,
}

/// What became of the index when the log was opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IndexOutcome {
    /// There is to be none.
    Absent,
    /// It was whole; only what it did not know was read.
    Whole,
    /// It was made anew from the log.
    Rebuilt {
        /// Why.
        reason: String,
        /// Rows that it had and that the log no longer holds.
        lost_keys: u64,
    },
}

/// Where a log and its index lie.
#[derive(Clone)]
pub struct LogPlace {
    /// The log.
    pub log: Arc<dyn Dir>,
    /// The index; `None` if there is to be none.
    pub index: Option<PathBuf>,
}

impl LogPlace {
    /// Returns where they lie in a data directory.
    pub fn in_data_dir(data_dir: &Path) -> Self {
        Self {
            log: Arc::new(RealDir::new(reader::log_dir(data_dir))),
            index: Some(index_dir(data_dir)),
        }
    }
}

/// Returns where the index lies in a data directory.
pub fn index_dir(data_dir: &Path) -> PathBuf {
    data_dir.join("index")
}

/// A log that nobody else writes and that has not been replayed.
pub struct Opening {
    files: Files,
    lock: Box<dyn Lock>,
    index_dir: Option<PathBuf>,
    options: LogOptions,
    hands: Hands,
    shelf: Shelf,
    warm: Option<(Lmdb, Checkpoint)>,
    /// Why the index is not used, and up to where it says that the log was on the disk.
    cold: String,
    known_synced: Lsn,
}

impl Opening {
    /// Becomes the only writer of a log, which is made if it is not there, and looks whether its
    /// index is whole.
    ///
    /// # Errors
    /// [`LogError`] if another process writes the log, if the index is corrupt though it was
    /// closed in order, or if the system refuses something.
    pub fn begin(place: &LogPlace, options: LogOptions, hands: Hands) -> Result<Self, LogError> {
        let mut opening = Self::begin_cold(place, options, hands)?;
        if let Some(dir) = &place.index {
            let mut known = Lsn(0);
            let visit = &mut |row: &Row| {
                known = known.max(Lsn(row.place.lsn.0 + u64::from(row.place.len)));
            };
            match lmdb::inspect(dir, visit)? {
                Inspection::Missing => opening.cold = "there was none".to_owned(),
                Inspection::Torn(reason) => opening.cold = format!("a crash left it: {reason}"),
                Inspection::Whole(checkpoint) => opening.judge(dir, checkpoint, known)?,
            }
        }
        Ok(opening)
    }

    /// Like [`Self::begin`], without a look at the index: it will be made anew.
    ///
    /// # Errors
    /// [`LogError`] if another process writes the log or the system refuses something.
    pub fn begin_cold(
        place: &LogPlace,
        options: LogOptions,
        hands: Hands,
    ) -> Result<Self, LogError> {
        let files = Files::new(Arc::clone(&place.log));
        files.make()?;
        let lock = files.lock().map_err(|error| match error {
            LockError::Held { holder } => LogError::InUse { path: files.path(""), holder },
            LockError::Io(source) => files.failed(IoOp::Lock, "")(source),
        })?;
        Ok(Self {
            shelf: Shelf::of_unread(files.clone(), &files.segments()?),
            files,
            lock,
            index_dir: place.index.clone(),
            options,
            hands,
            warm: None,
            cold: String::new(),
            known_synced: Lsn(0),
        })
    }

    /// Decides whether a whole index, which knows of no record behind `known`, belongs to the log
    /// as it is now.
    fn judge(&mut self, dir: &Path, checkpoint: Checkpoint, known: Lsn) -> Result<(), LogError> {
        // LMDB is told nothing that is not on the disk, and may know more than its checkpoint.
        let known = known.max(checkpoint.indexed);
        let segments = self.files.segments()?;
        let holds = segments.iter().rev().find(|segment| segment.first <= known);
        let reason = match (holds, segments.first()) {
            (None, _) | (_, None) => {
                self.known_synced = known;
                "the log has lost all that it knew"
            }
            (_, Some(first)) if first.first > checkpoint.first => {
                let path = self.files.path(&first.name());
                return Err(LogError::Gap { path, wanted: checkpoint.first.0 });
            }
            (Some(segment), _) => {
                let file = self.files.open(segment)?;
                let failed = |error| self.files.failed(IoOp::Read, &segment.name())(error);
                let bytes = file.bytes().map_err(failed)?;
                let head = super::segment::read_head(&*file).map_err(failed)?;
                let is_other = SegmentHeader::decode(&head)
                    .is_ok_and(|header| header.log_id != checkpoint.log_id);
                self.known_synced = known;
                if is_other {
                    self.known_synced = Lsn(0);
                    "it belongs to another log"
                } else if segment.first.0 + bytes < known.0 {
                    "the log has lost its end"
                } else if checkpoint.state.is_none() {
                    "it was never finished"
                } else {
                    let lmdb = Lmdb::open(dir, Durability::Synced)?;
                    self.warm = Some((lmdb, checkpoint));
                    return Ok(());
                }
            }
        };
        self.cold = reason.to_owned();
        Ok(())
    }

    /// Returns what the log's owner had kept with the index. All that the log says before that
    /// is known to the index; [`Self::replay`] visits only what follows.
    pub fn state(&self) -> Option<&[u8]> {
        self.warm.as_ref().and_then(|(_, checkpoint)| checkpoint.state.as_deref())
    }

    /// Leaves the index aside, as its owner's state is of no use; all of the log will be read.
    pub fn forget_index(&mut self, reason: &str) {
        self.warm = None;
        self.cold = reason.to_owned();
    }

    /// Visits the keys that the index knows, from one on, in order.
    ///
    /// # Errors
    /// [`LogError::Index`] if the index can't be read.
    pub fn visit_keys(
        &self,
        from: &Key,
        visit: &mut dyn FnMut(&Key, Place),
    ) -> Result<(), LogError> {
        if let Some((lmdb, checkpoint)) = &self.warm {
            lmdb.visit_from(from, &mut |row| {
                // LMDB may know more than the state that is kept with it.
                if row.place.lsn < checkpoint.indexed {
                    visit(&row.key, row.place);
                }
                true
            })?;
        }
        Ok(())
    }

    /// Reads the record at a place that the index named, which has this key.
    ///
    /// # Errors
    /// [`LogError`] if it is not there.
    pub fn read(&mut self, key: &Key, place: Place) -> Result<RecordRef<'_>, LogError> {
        self.shelf.read(key, place)
    }

    /// Returns between which positions [`Self::replay`] will read, zeros that follow the last
    /// batch included.
    ///
    /// # Errors
    /// [`LogError`] if the last segment can't be read.
    pub fn unread(&self) -> Result<Range<Lsn>, LogError> {
        let segments = self.files.segments()?;
        let first = segments.first().map_or(Lsn(0), |first| first.first);
        let start = self.warm.as_ref().map_or(first, |(_, checkpoint)| checkpoint.indexed);
        let end = match segments.last() {
            Some(last) => {
                let bytes = self.files.open(last)?.bytes();
                last.first.0 + bytes.map_err(self.files.failed(IoOp::Read, &last.name()))?
            }
            None => 0,
        };
        Ok(start..Lsn(end).max(start))
    }

    /// Visits every whole record that the index does not know and becomes the writer. A torn
    /// tail is kept in a file of its own and cut off.
    ///
    /// # Errors
    /// [`LogError`] if the log is not sound or the system refuses something.
    pub fn replay(
        mut self,
        visit: &mut dyn FnMut(RecordRef<'_>),
    ) -> Result<(Logstore, Recovered), LogError> {
        let start = self.warm.as_ref().map(|(_, checkpoint)| Start {
            log_id: checkpoint.log_id,
            lsn: checkpoint.indexed,
            prev_crc: checkpoint.prev_crc,
        });
        let built = self.index_dir.as_ref().map(|dir| dir.with_extension("new"));
        let mut builder = match (&built, start) {
            (Some(built), None) => Some(Builder::start(built)?),
            _ => None,
        };
        self.make_durable()?;
        let mut index = Index::new(self.options.index_bytes);
        let found = reader::scan_files(&self.files, start, self.known_synced, &mut |record| {
            let row = row(record.key, record.lsn, record.value);
            match &mut builder {
                Some(builder) => builder.add(&row),
                None => index.insert(&row.key, row.place),
            }
            visit(record);
        })?;
        let mut recovered = Recovered {
            segments: found.segments.len(),
            records: found.records,
            torn_bytes: 0,
            kept_aside: None,
            index: if self.index_dir.is_some() {
                IndexOutcome::Whole
            } else {
                IndexOutcome::Absent
            },
        };
        let log_id = found.last.map_or_else(logstore::random, |last| last.log_id);
        if let (Some(builder), Some(dir), Some(built)) = (builder, &self.index_dir, &built) {
            let lost_keys =
                if self.known_synced > found.end { lost_keys(dir, found.end)? } else { 0 };
            let checkpoint = builder.finish(dir, built, |checkpoint| {
                checkpoint.log_id = log_id;
                checkpoint.indexed = found.end;
                checkpoint.prev_crc = found.last_crc;
                checkpoint.first = found.segments.first().map_or(Lsn(0), |first| first.first);
            })?;
            self.warm = Some((Lmdb::open(dir, Durability::Synced)?, checkpoint));
            let reason = std::mem::take(&mut self.cold);
            recovered.index = IndexOutcome::Rebuilt { reason, lost_keys };
        }
        self.tidy(&found)?;
        if let Some(torn) = &found.torn {
            self.set_aside(torn, found.end, &mut recovered)?;
        }
        let active = self.active(&found, log_id)?;
        self.shelf = Shelf::new(self.files.clone(), &self.files.segments()?);
        let Self { files, lock, options, hands, shelf, warm, .. } = self;
        let indexer = warm.map(|(lmdb, checkpoint)| Indexer {
            lmdb: Arc::new(lmdb),
            checkpoint,
            files: files.clone(),
            compression: options.compression,
        });
        let parts = logstore::Parts {
            files,
            lock,
            options,
            log_id,
            active,
            prev_crc: found.last_crc,
            shelf,
            indexer,
            index,
        };
        Ok((Logstore::start(parts, &hands)?, recovered))
    }

    /// Makes sure that all that can be read is on the disk too: a killed process leaves what it
    /// did not sync in the page cache. A segment that has its final name was begun after all
    /// before it was synced.
    fn make_durable(&self) -> Result<(), LogError> {
        let segments = self.files.segments()?;
        for segment in segments.iter().rev() {
            if segment.form == Form::Packed {
                break;
            }
            let name = segment.name();
            self.files.sync(&*self.files.open_to_write(&name)?, &name)?;
            if segment.form == Form::Named {
                break;
            }
        }
        self.files.sync_names()
    }

    /// Does what a killed process did not get round to: cuts the zeros off full segments and
    /// gives those their name that have a head.
    fn tidy(&self, found: &ScanReport) -> Result<(), LogError> {
        self.files.drop_packing();
        for (index, segment) in found.segments.iter().enumerate() {
            let is_full = index + 1 < found.segments.len() && segment.bytes < segment.file_bytes;
            let is_new = segment.listed.form == Form::New;
            if is_full || is_new {
                let file = self.files.open_to_write(&segment.listed.name())?;
                if is_full {
                    self.files.seal(&*file, segment.first, segment.bytes)?;
                }
                if is_new {
                    self.files.settle(&*file, segment.first)?;
                }
            }
        }
        Ok(())
    }

    /// Keeps the bytes of a torn tail in files of their own and cuts them off.
    fn set_aside(
        &self,
        torn: &TornTail,
        end: Lsn,
        recovered: &mut Recovered,
    ) -> Result<(), LogError> {
        for later in &torn.later {
            let file = self.files.open(later)?;
            recovered.torn_bytes += recovery::bytes_used(&mut Window::new(&*file), 0)
                .map_err(self.files.failed(IoOp::Read, &later.name()))?;
            let kept = self.files.put_aside(later)?;
            recovered.kept_aside.get_or_insert(self.files.path(&kept));
        }
        let name = match torn.listed.form {
            // It has got its name by now, unless it has no head.
            Form::New if torn.offset > 0 => super::segment::segment_name(torn.listed.first),
            _ => torn.listed.name(),
        };
        if torn.bytes > 0 {
            let file = self.files.open_to_write(&name)?;
            let mut bytes = vec![0; usize::try_from(torn.bytes).unwrap_or(usize::MAX)];
            let read = file
                .read_at(&mut bytes, torn.offset)
                .map_err(self.files.failed(IoOp::Read, &name))?;
            let kept = self.files.keep(end, &bytes[..read])?;
            recovered.torn_bytes += torn.bytes;
            recovered.kept_aside = Some(self.files.path(&kept));
        }
        if torn.offset == 0 {
            self.files.remove(&name)?;
        } else {
            self.files.seal(&*self.files.open_to_write(&name)?, torn.listed.first, torn.offset)?;
        }
        self.files.sync_names()
    }

    /// Returns the segment to write to: the last one, or a new one if that has a torn end: what
    /// was cut is never written over.
    fn active(&self, found: &ScanReport, log_id: [u8; 16]) -> Result<Active, LogError> {
        match (&found.last, found.segments.last()) {
            (Some(header), Some(last))
                if found.torn.is_none() && last.listed.form != Form::Packed =>
            {
                let name = super::segment::segment_name(last.first);
                let file = self.files.open_to_write(&name)?;
                let room = file.bytes().map_err(self.files.failed(IoOp::Read, &name))?;
                Ok(Active { file, first: last.first, salt: header.salt, end: last.bytes, room })
            }
            _ => {
                let file = self.files.prepare(self.options.segment_bytes, self.options.room())?;
                let header = logstore::new_header(log_id, found.end, found.last_crc);
                self.files.begin(&*file, found.end, &header.encode())?;
                self.files.settle(&*file, found.end)?;
                let room = self.options.segment_bytes;
                let end = super::format::SEGMENT_HEADER_BYTES as u64;
                Ok(Active { file, first: found.end, salt: header.salt, end, room })
            }
        }
    }
}

/// Counts the rows of the old index that point behind the end of the log.
fn lost_keys(dir: &Path, end: Lsn) -> Result<u64, LogError> {
    let mut lost = 0;
    lmdb::inspect(dir, &mut |row| lost += u64::from(row.place.lsn >= end))?;
    Ok(lost)
}
