//! Reading a log piece by piece, from any place that was reached before.
//!
//! [`reader::scan`] reads a log as a whole and judges it. A tape only goes on
//! from batch to batch along the chain of checksums and stops where no whole one follows: at the
//! end, at a torn tail, at damage, or where a writer has not been yet. What it is, [`Tape::judge`]
//! tells. Its place is a few bytes, so that many of them can be kept to come back to.

use std::path::Path;
use std::sync::Arc;

use super::dir::{ReadAt, RealDir};
use super::format::{RecordRef, SEGMENT_HEADER_BYTES, SegmentHeader};
use super::reader::{self, ScanReport, Start};
use super::recovery::{Cursor, Window, next_batch, visit_records};
use super::segment::{Files, Listed, read_head};
use super::{IoOp, LogError};
use crate::ids::Lsn;

/// Where a tape stands: behind a batch that was whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The segment's first LSN.
    segment: Lsn,
    cursor: Cursor,
    /// Records of the next batch that were read: it was not whole then.
    read: u16,
}

impl Place {
    /// Returns the position in the log.
    pub fn lsn(&self) -> Lsn {
        Lsn(self.segment.0 + self.cursor.offset)
    }
}

/// A log that is read piece by piece.
pub struct Tape {
    files: Files,
    open: Option<Open>,
    /// Where to begin; `None` is the beginning.
    place: Option<Place>,
}

struct Open {
    listed: Listed,
    header: SegmentHeader,
    file: Arc<dyn ReadAt>,
}

impl std::fmt::Debug for Tape {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tape").field("place", &self.place).finish_non_exhaustive()
    }
}

impl Tape {
    /// Returns a tape of the log in a data directory, at its beginning or at a place.
    pub fn new(data_dir: &Path, place: Option<Place>) -> Self {
        let files = Files::new(Arc::new(RealDir::new(reader::log_dir(data_dir))));
        Self { files, open: None, place }
    }

    /// Returns where the tape stands; `None` before the first segment.
    pub fn place(&self) -> Option<Place> {
        self.place
    }

    /// Reads batches until there are at least so many records, and visits them in order; the flag
    /// says that a record is the first of its batch. Returns how many there were: none if no whole
    /// batch follows now.
    ///
    /// # Errors
    /// [`LogError`] if the files can't be read.
    pub fn read(
        &mut self,
        records: u64,
        visit: &mut dyn FnMut(RecordRef<'_>, bool),
    ) -> Result<u64, LogError> {
        let mut found = 0;
        while found < records {
            self.find_segment()?;
            let (Some(open), Some(mut place)) = (&self.open, self.place) else { break };
            let failed = |error| self.files.failed(IoOp::Read, &open.listed.name())(error);
            let mut window = Window::new(&*open.file);
            let before = found;
            while found < records
                && let Some((offset, batch, crc)) =
                    next_batch(&mut window, &open.header, place.cursor).map_err(failed)?
            {
                let mut index = 0;
                let (whole, end) = visit_records(&mut window, &batch, offset, &mut |record| {
                    if index >= place.read {
                        visit(record, index == 0);
                        found += 1;
                    }
                    index += 1;
                })
                .map_err(failed)?;
                if whole < batch.records || end != offset + batch.bytes() as u64 {
                    place.read = place.read.max(whole);
                    break;
                }
                place = Place { cursor: Cursor { offset: end, prev_crc: crc }, read: 0, ..place };
            }
            self.place = Some(place);
            if found < records && !self.next_segment()? && found == before {
                break;
            }
        }
        Ok(found)
    }

    /// Says what the tape stands before: the end, a torn tail, or damage.
    ///
    /// # Errors
    /// [`LogError`] if the log is damaged there.
    pub fn judge(&self) -> Result<ScanReport, LogError> {
        let start = match (&self.open, self.place) {
            (Some(open), Some(place)) => Some(Start {
                log_id: open.header.log_id,
                lsn: place.lsn(),
                prev_crc: place.cursor.prev_crc,
            }),
            _ => None,
        };
        reader::scan_files(&self.files, start, Lsn(0), &mut |_| {})
    }

    /// Opens the segment in which the tape stands, if it can be read.
    fn find_segment(&mut self) -> Result<(), LogError> {
        if self.open.is_none() {
            let segments = self.files.segments()?;
            let wanted = self.place.map(|place| place.segment);
            let is_it = |listed: &&Listed| wanted.is_none_or(|first| listed.first == first);
            self.open = match segments.iter().find(is_it) {
                Some(listed) => self.open_segment(listed)?,
                None => None,
            };
        }
        if let (Some(open), None) = (&self.open, self.place) {
            self.place = Some(begin(open));
        }
        Ok(())
    }

    fn open_segment(&self, listed: &Listed) -> Result<Option<Open>, LogError> {
        let file = self.files.open(listed)?;
        let head = read_head(&*file).map_err(self.files.failed(IoOp::Read, &listed.name()))?;
        let header = SegmentHeader::decode(&head).ok();
        Ok(header.map(|header| Open { listed: *listed, header, file }))
    }

    /// Goes to the segment that follows here; returns whether there is one.
    fn next_segment(&mut self) -> Result<bool, LogError> {
        let (Some(open), Some(place)) = (&self.open, self.place) else { return Ok(false) };
        let end = place.lsn();
        let follows = |listed: &&Listed| listed.first == end && listed.first > open.listed.first;
        let segments = self.files.segments()?;
        let Some(listed) = segments.iter().find(follows) else { return Ok(false) };
        let next = self.open_segment(listed)?.filter(|next| {
            let (head, last) = (&next.header, &open.header);
            head.first == end
                && head.log_id == last.log_id
                && head.prev_crc == place.cursor.prev_crc
        });
        let is_there = next.is_some();
        if let Some(next) = next {
            self.place = Some(begin(&next));
            self.open = Some(next);
        }
        Ok(is_there)
    }
}

fn begin(open: &Open) -> Place {
    let offset = SEGMENT_HEADER_BYTES as u64;
    let cursor = Cursor { offset, prev_crc: open.header.prev_crc };
    Place { segment: open.header.first, cursor, read: 0 }
}
