//! Reading a log from its first segment to its last, beside a writer or before becoming one.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::dir::{Dir, ReadAt, RealDir};
use super::format::{HeaderError, RecordRef, SEGMENT_HEADER_BYTES, SegmentHeader};
use super::recovery::{self, Cursor, Scan, Window};
use super::segment::{Files, Form, Listed, read_head, segment_name};
use super::{IoOp, LogError};
use crate::ids::Lsn;

/// What a log holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScanReport {
    /// Whole segments, in order, up to the end.
    pub segments: Vec<SegmentReport>,
    /// Whole records that were read.
    pub records: u64,
    /// The position behind the last whole record.
    pub end: Lsn,
    /// All before it is known to have been synced.
    pub synced: Lsn,
    /// The torn tail, if there is one.
    pub torn: Option<TornTail>,
    /// The last segment's header, if there is a segment.
    pub(super) last: Option<SegmentHeader>,
    pub(super) last_crc: u32,
}

/// What one segment holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SegmentReport {
    /// The LSN of its first byte.
    pub first: Lsn,
    /// Bytes up to the end of its last whole record.
    pub bytes: u64,
    /// Bytes of its file.
    pub file_bytes: u64,
    pub(super) listed: Listed,
}

/// Bytes at the end of a log that were being written when it ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TornTail {
    /// The segment in which it begins.
    pub path: PathBuf,
    /// Where in the file.
    pub offset: u64,
    /// Bytes from there on that are not zeros at the end.
    pub bytes: u64,
    /// The segment in which it begins.
    pub(super) listed: Listed,
    /// Segments behind it, none of which was synced.
    pub(super) later: Vec<Listed>,
}

impl ScanReport {
    /// Returns whether the log has all segments that it ever had.
    pub fn is_whole(&self) -> bool {
        self.segments.first().is_none_or(|first| first.first == Lsn(0))
    }

    /// Returns how many bytes the log has, heads and what stands between batches included.
    pub fn bytes(&self) -> u64 {
        self.segments.iter().map(|segment| segment.bytes).sum()
    }
}

/// Where reading begins: behind a batch that is known to be whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Start {
    pub(super) log_id: [u8; 16],
    pub(super) lsn: Lsn,
    pub(super) prev_crc: u32,
}

/// Reads the log in `data_dir` and visits every whole record in order. Takes no lock; beside a
/// running writer the end is where it was at some moment of the reading.
///
/// # Errors
/// [`LogError`] if the log is damaged before its synced end, has a gap, or holds foreign files.
pub fn scan(data_dir: &Path, visit: &mut dyn FnMut(RecordRef<'_>)) -> Result<ScanReport, LogError> {
    scan_dir(Arc::new(RealDir::new(log_dir(data_dir))), visit)
}

/// Like [`scan`], of a log that lies in `dir`.
///
/// # Errors
/// As [`scan`].
pub fn scan_dir(
    dir: Arc<dyn Dir>,
    visit: &mut dyn FnMut(RecordRef<'_>),
) -> Result<ScanReport, LogError> {
    scan_files(&Files::new(dir), None, Lsn(0), visit)
}

/// Returns where the log lies in a data directory.
pub fn log_dir(data_dir: &Path) -> PathBuf {
    data_dir.join("log")
}

/// Reads a log from a place on. All before `synced` is known to have been on the disk.
pub(super) fn scan_files(
    files: &Files,
    start: Option<Start>,
    synced: Lsn,
    visit: &mut dyn FnMut(RecordRef<'_>),
) -> Result<ScanReport, LogError> {
    let segments = files.segments()?;
    let mut reading = Reading::new(files, start, synced);
    for (index, segment) in segments.iter().enumerate() {
        if !reading.segment(segment, &segments[index + 1..], visit)? {
            break;
        }
    }
    Ok(reading.report)
}

/// How a segment's batches end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ending {
    /// The next segment goes on where they end.
    Follows,
    /// They are the last of the log.
    Clean,
    /// What follows is not whole, and nothing says that it ever was.
    Torn,
}

/// A segment whose batches are read.
#[derive(Clone, Copy)]
struct Batches<'a> {
    header: &'a SegmentHeader,
    listed: &'a Listed,
    later: &'a [Listed],
}

struct Reading<'a> {
    files: &'a Files,
    start: Option<Start>,
    known_synced: Lsn,
    log_id: Option<[u8; 16]>,
    report: ScanReport,
}

impl<'a> Reading<'a> {
    fn new(files: &'a Files, start: Option<Start>, known_synced: Lsn) -> Self {
        let report = ScanReport {
            segments: Vec::new(),
            records: 0,
            end: Lsn(0),
            synced: known_synced,
            torn: None,
            last: None,
            last_crc: 0,
        };
        Self { files, start, known_synced, log_id: start.map(|start| start.log_id), report }
    }

    /// Reads one segment; returns whether the next one follows.
    fn segment(
        &mut self,
        listed: &Listed,
        later: &[Listed],
        visit: &mut dyn FnMut(RecordRef<'_>),
    ) -> Result<bool, LogError> {
        let file = match self.files.open(listed) {
            // A writer beside lets go of the oldest segments.
            Err(LogError::Io { source, .. })
                if source.kind() == io::ErrorKind::NotFound
                    && self.report.segments.is_empty()
                    && !later.is_empty() =>
            {
                return Ok(true);
            }
            other => other?,
        };
        let failed = |error| self.files.failed(IoOp::Read, &listed.name())(error);
        let file_bytes = file.bytes().map_err(failed)?;
        let head = read_head(&*file).map_err(failed)?;
        let header = match self.header(&head, listed)? {
            Some(header) => header,
            None => {
                if self.synced_by(later)? > self.report.end {
                    let reason = "what follows in a later segment proves that more was synced";
                    return Err(self.damaged(listed, 0, reason));
                }
                self.report.torn = Some(self.torn(listed, &*file, 0, later)?);
                return Ok(false);
            }
        };
        let mut segment =
            SegmentReport { first: listed.first, bytes: 0, file_bytes, listed: *listed };
        let next = later.first().map(|next| next.first);
        if let (Some(start), Some(next)) = (self.start, next)
            && next <= start.lsn
        {
            segment.bytes = next.0 - listed.first.0;
            if file_bytes < segment.bytes {
                let wanted = listed.first.0 + file_bytes;
                return Err(LogError::Gap { path: self.files.path(&segment_name(next)), wanted });
            }
            // Nobody has read how it ends; where reading begins right behind it, that is known.
            let last_crc = if next == start.lsn { start.prev_crc } else { 0 };
            self.follow(segment, header, last_crc);
            return Ok(true);
        }
        // The segment in which reading begins is read whole: that costs little, and what was
        // synced is worth a look.
        let from = Cursor { offset: SEGMENT_HEADER_BYTES as u64, prev_crc: header.prev_crc };
        let begin = self.start.map_or(Lsn(0), |start| start.lsn);
        let mut records = 0;
        let visit: &mut dyn FnMut(RecordRef<'_>) = &mut |record| {
            if record.lsn >= begin {
                records += 1;
                visit(record);
            }
        };
        let mut window = Window::new(&*file);
        let batches = Batches { header: &header, listed, later };
        let (found, ending) = self.read_batches(&mut window, &batches, from, visit)?;
        segment.bytes = found.end;
        self.report.records += records;
        self.report.synced = self.report.synced.max(found.synced);
        self.follow(segment, header, found.last_crc);
        // A file that ends before what was synced was cut: its trailing records are counted.
        let is_cut = later.is_empty() && listed.first.0 + file_bytes < self.known_synced.0;
        if self.known_synced > self.report.end && !is_cut && ending != Ending::Follows {
            return Err(self.damaged(listed, found.end, "what was synced is not there"));
        }
        if ending == Ending::Torn {
            self.report.torn = Some(self.torn(listed, &*file, found.end, later)?);
        }
        Ok(ending == Ending::Follows)
    }

    /// Reads batches until none follows. Before it says that a place is bad it looks again: a
    /// writer beside may have been faster than the reading.
    fn read_batches(
        &mut self,
        window: &mut Window<'_>,
        batches: &Batches<'_>,
        from: Cursor,
        visit: &mut dyn FnMut(RecordRef<'_>),
    ) -> Result<(Scan, Ending), LogError> {
        let Batches { header, listed, later } = *batches;
        let failed = |error| self.files.failed(IoOp::Read, &listed.name())(error);
        let mut found = recovery::scan(window, header, from, visit).map_err(failed)?;
        loop {
            let end = Lsn(header.first.0 + found.end);
            let is_whole = found.resume.offset == found.end;
            if found.is_clean && later.first().is_some_and(|next| next.first == end) {
                return Ok((found, Ending::Follows));
            }
            if found.is_clean && is_whole && later.is_empty() {
                return Ok((found, Ending::Clean));
            }
            window.forget();
            let proof = recovery::highest_synced(window, header, found.end).map_err(failed)?;
            let later_proof = self.synced_by(later)?;
            window.forget();
            let again = recovery::scan(window, header, found.resume, &mut |record| {
                if record.lsn >= end {
                    visit(record);
                }
            })
            .map_err(failed)?;
            let is_final = again.end == found.end;
            found = Scan { synced: found.synced.max(again.synced), ..again };
            if !is_final {
                continue;
            }
            return match later.first() {
                _ if proof > end => {
                    Err(self.damaged(listed, found.end, "a batch is not what was written"))
                }
                Some(next) if later_proof > end && found.is_clean && next.first > end => {
                    Err(LogError::Gap { path: self.files.path(&next.name()), wanted: end.0 })
                }
                _ if later_proof > end => {
                    let reason = "what follows in a later segment proves that more was synced";
                    Err(self.damaged(listed, found.end, reason))
                }
                _ => Ok((found, Ending::Torn)),
            };
        }
    }

    /// Returns a segment's header; `None` if it may never have been on the disk.
    fn header(&self, head: &[u8], listed: &Listed) -> Result<Option<SegmentHeader>, LogError> {
        let header = match SegmentHeader::decode(head) {
            Ok(header) => header,
            Err(HeaderError::Version(found)) => {
                return Err(LogError::Version { path: self.files.path(&listed.name()), found });
            }
            // Cut off, or never on the disk.
            Err(HeaderError::Invalid)
                if head.len() < SEGMENT_HEADER_BYTES || listed.form == Form::New =>
            {
                return Ok(None);
            }
            Err(HeaderError::Invalid) => {
                return Err(self.damaged(listed, 0, "the segment's head is not what was written"));
            }
        };
        let is_first = self.report.segments.is_empty();
        if !is_first && listed.first != self.report.end {
            let path = self.files.path(&listed.name());
            return Err(LogError::Gap { path, wanted: self.report.end.0 });
        }
        let belongs =
            header.first == listed.first && self.log_id.is_none_or(|id| id == header.log_id);
        // Where reading starts behind it, nobody has read what stands before it.
        let is_skipped = self.start.is_some_and(|start| listed.first <= start.lsn);
        let follows = is_first || is_skipped || header.prev_crc == self.report.last_crc;
        if !belongs || !follows {
            let reason = "the segment belongs to another log or another place";
            return Err(self.damaged(listed, 0, reason));
        }
        Ok(Some(header))
    }

    fn follow(&mut self, segment: SegmentReport, header: SegmentHeader, last_crc: u32) {
        if segment.listed.form != Form::New {
            // Its name says that its head, and all before it, was synced.
            let synced = Lsn(segment.first.0 + SEGMENT_HEADER_BYTES as u64);
            self.report.synced = self.report.synced.max(synced);
        }
        self.report.end = Lsn(segment.first.0 + segment.bytes);
        self.report.segments.push(segment);
        self.report.last = Some(header);
        self.report.last_crc = last_crc;
        self.log_id = Some(header.log_id);
    }

    /// Returns up to where segments show that the log before them was synced.
    fn synced_by(&self, later: &[Listed]) -> Result<Lsn, LogError> {
        let mut proven = Lsn(0);
        for listed in later {
            if listed.form != Form::New {
                // It got its name after all before it was synced.
                proven = proven.max(listed.first);
            }
            let file = self.files.open(listed)?;
            let failed = |error| self.files.failed(IoOp::Read, &listed.name())(error);
            let head = read_head(&*file).map_err(failed)?;
            if let Ok(header) = SegmentHeader::decode(&head) {
                let from = SEGMENT_HEADER_BYTES as u64;
                let mut window = Window::new(&*file);
                let synced = recovery::highest_synced(&mut window, &header, from);
                proven = proven.max(synced.map_err(failed)?);
            }
        }
        Ok(proven)
    }

    fn torn(
        &self,
        listed: &Listed,
        file: &dyn ReadAt,
        offset: u64,
        later: &[Listed],
    ) -> Result<TornTail, LogError> {
        let name = listed.name();
        let bytes = recovery::bytes_used(&mut Window::new(file), offset)
            .map_err(self.files.failed(IoOp::Read, &name))?;
        let path = self.files.path(&name);
        Ok(TornTail { path, offset, bytes, listed: *listed, later: later.to_vec() })
    }

    fn damaged(&self, listed: &Listed, offset: u64, reason: &'static str) -> LogError {
        LogError::Damaged { path: self.files.path(&listed.name()), offset, reason }
    }
}
