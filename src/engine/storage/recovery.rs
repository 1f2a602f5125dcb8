//! What the bytes of a segment mean after a crash.
//!
//! Whatever was not synced may be on the disk or not, in any order: a hole may be followed by
//! whole batches. So a whole batch behind a bad place proves nothing by itself. What decides is
//! the highest position that is known to have been synced, which every batch carries: a bad
//! place before it is damage, one at or behind it is a torn tail.

use std::convert::Infallible;
use std::io;

use super::dir::ReadAt;
use super::format::{
    ALIGN, BATCH_HEADER_BYTES, BatchHeader, RecordRef, SegmentHeader, align_up, take_record,
};
use crate::ids::Lsn;

/// How much is read at once: larger reads fall out of a core's cache before they are looked at.
const READ_BYTES: usize = 256 << 10;

/// A segment's bytes, a piece at a time.
pub trait Bytes {
    /// What may go wrong.
    type Error;

    /// Returns `count` bytes from `offset` on, fewer only at the end.
    ///
    /// # Errors
    /// If they can't be read.
    fn at(&mut self, offset: u64, count: usize) -> Result<&[u8], Self::Error>;
}

impl Bytes for &[u8] {
    type Error = Infallible;

    fn at(&mut self, offset: u64, count: usize) -> Result<&[u8], Infallible> {
        let rest = usize::try_from(offset).ok().and_then(|at| self.get(at..)).unwrap_or_default();
        Ok(&rest[..count.min(rest.len())])
    }
}

/// The bytes of a file, read ahead.
pub(super) struct Window<'a> {
    file: &'a dyn ReadAt,
    /// As long as the longest read so far; it is never cleared.
    buf: Vec<u8>,
    /// How many of its bytes are the file's.
    filled: usize,
    /// Where the buffer's first byte stands in the file.
    start: u64,
}

impl<'a> Window<'a> {
    pub(super) fn new(file: &'a dyn ReadAt) -> Self {
        Self { file, buf: Vec::new(), filled: 0, start: 0 }
    }

    /// Drops what was read ahead: a writer may have changed it.
    pub(super) fn forget(&mut self) {
        self.filled = 0;
    }

    /// Reads on so that the buffer begins at `offset` and has `count` bytes, fewer only at the end.
    fn read_on(&mut self, offset: u64, count: usize) -> io::Result<()> {
        let wanted = count.max(READ_BYTES);
        let known = match usize::try_from(offset.wrapping_sub(self.start)) {
            Ok(at) if offset >= self.start && at < self.filled => {
                self.buf.copy_within(at..self.filled, 0);
                self.filled - at
            }
            _ => 0,
        };
        (self.start, self.filled) = (offset, known);
        if self.buf.len() < wanted {
            self.buf.resize(wanted, 0);
        }
        self.filled += self.file.read_at(&mut self.buf[known..wanted], offset + known as u64)?;
        Ok(())
    }
}

impl Bytes for Window<'_> {
    type Error = io::Error;

    #[inline]
    fn at(&mut self, offset: u64, count: usize) -> io::Result<&[u8]> {
        let end = self.start + self.filled as u64;
        if offset < self.start || offset + count as u64 > end {
            self.read_on(offset, count)?;
        }
        let at = usize::try_from(offset - self.start).unwrap_or(usize::MAX).min(self.filled);
        let rest = &self.buf[at..self.filled];
        Ok(&rest[..count.min(rest.len())])
    }
}

/// Where reading stands in a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cursor {
    /// The offset of the next batch.
    pub offset: u64,
    /// The header CRC of the batch before.
    pub prev_crc: u32,
}

/// What a segment's bytes hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scan {
    /// The offset behind the last whole record.
    pub end: u64,
    /// The header CRC of the batch that it belongs to.
    pub last_crc: u32,
    /// Where the batch that is not whole begins; the end if all are.
    pub resume: Cursor,
    /// The highest position that its batches know to be synced.
    pub synced: Lsn,
    /// Whole records.
    pub records: u64,
    /// Whether nothing but zeros follows.
    pub is_clean: bool,
}

/// Reads batches from a place on, each behind the one before, and visits every whole record. The
/// last batch may be torn: what is whole of it counts.
///
/// # Errors
/// If the bytes can't be read.
pub fn scan<B: Bytes>(
    bytes: &mut B,
    header: &SegmentHeader,
    from: Cursor,
    visit: &mut dyn FnMut(RecordRef<'_>),
) -> Result<Scan, B::Error> {
    let mut scan = Scan {
        end: from.offset,
        last_crc: from.prev_crc,
        resume: from,
        synced: Lsn(0),
        records: 0,
        is_clean: false,
    };
    while let Some((offset, batch, crc)) = next_batch(bytes, header, scan.resume)? {
        scan.last_crc = crc;
        scan.synced = scan.synced.max(batch.synced);
        let (records, end) = visit_records(bytes, &batch, offset, visit)?;
        scan.records += u64::from(records);
        let whole_end = offset + batch.bytes() as u64;
        if records < batch.records || end != whole_end {
            scan.end = end;
            break;
        }
        scan.end = whole_end;
        scan.resume = Cursor { offset: whole_end, prev_crc: crc };
    }
    scan.is_clean = is_zero(bytes, scan.end, u64::MAX)?;
    Ok(scan)
}

/// Returns the batch that follows a place: right there, or on the next border with nothing but
/// zeros between.
pub(super) fn next_batch<B: Bytes>(
    bytes: &mut B,
    header: &SegmentHeader,
    from: Cursor,
) -> Result<Option<(u64, BatchHeader, u32)>, B::Error> {
    for offset in [from.offset, align_up(from.offset)] {
        let lsn = Lsn(header.first.0 + offset);
        let head = bytes.at(offset, BATCH_HEADER_BYTES)?;
        if let Some((batch, crc)) = BatchHeader::decode(head, header.salt, lsn)
            && batch.prev_crc == from.prev_crc
            && is_zero(bytes, from.offset, offset)?
        {
            return Ok(Some((offset, batch, crc)));
        }
    }
    Ok(None)
}

/// Visits the whole records of a batch; returns how many there are and where they end.
pub(super) fn visit_records<B: Bytes>(
    bytes: &mut B,
    batch: &BatchHeader,
    offset: u64,
    visit: &mut dyn FnMut(RecordRef<'_>),
) -> Result<(u16, u64), B::Error> {
    let start = offset + BATCH_HEADER_BYTES as u64;
    let records = bytes.at(start, batch.payload_bytes as usize)?;
    let (mut at, mut count) = (0, 0);
    while count < batch.records {
        let lsn = Lsn(batch.lsn.0 + (BATCH_HEADER_BYTES + at) as u64);
        let Some((record, len)) = take_record(&records[at..], lsn) else { break };
        visit(record);
        at += len;
        count += 1;
    }
    Ok((count, start + at as u64))
}

/// Returns whether only zeros stand between two offsets, or to the end.
fn is_zero<B: Bytes>(bytes: &mut B, from: u64, until: u64) -> Result<bool, B::Error> {
    let mut offset = from;
    while offset < until {
        let left = usize::try_from(until - offset).unwrap_or(usize::MAX).min(READ_BYTES);
        let piece = bytes.at(offset, left)?;
        if piece.is_empty() {
            break;
        }
        // A fold over a whole chunk is one that the compiler makes wide.
        let is_zero = |chunk: &[u8]| chunk.iter().fold(0, |all, byte| all | byte) == 0;
        if !piece.chunks(256).all(is_zero) {
            return Ok(false);
        }
        offset += piece.len() as u64;
    }
    Ok(true)
}

/// Returns the highest position that any batch at or behind `from` knows to be synced, looking
/// on the borders where batches begin after a sync. Their chain is broken, so it is not asked.
///
/// # Errors
/// If the bytes can't be read.
pub fn highest_synced<B: Bytes>(
    bytes: &mut B,
    header: &SegmentHeader,
    from: u64,
) -> Result<Lsn, B::Error> {
    let mut highest = Lsn(0);
    let mut offset = align_up(from);
    while !bytes.at(offset, 1)?.is_empty() {
        let mut next = offset + ALIGN;
        // Packed batches follow one another from a border on.
        let mut at = offset;
        while let Some((batch, _)) = {
            let lsn = Lsn(header.first.0 + at);
            BatchHeader::decode(bytes.at(at, BATCH_HEADER_BYTES)?, header.salt, lsn)
        } {
            highest = highest.max(batch.synced);
            at += batch.bytes() as u64;
            next = next.max(align_up(at));
        }
        offset = next;
    }
    Ok(highest)
}

/// Returns where the last byte that is not zero stands behind `from`, as a count of bytes.
///
/// # Errors
/// If the bytes can't be read.
pub fn bytes_used<B: Bytes>(bytes: &mut B, from: u64) -> Result<u64, B::Error> {
    let (mut offset, mut used) = (from, from);
    loop {
        let piece = bytes.at(offset, READ_BYTES)?;
        if piece.is_empty() {
            return Ok(used - from);
        }
        if let Some(last) = piece.iter().rposition(|&byte| byte != 0) {
            used = offset + last as u64 + 1;
        }
        offset += piece.len() as u64;
    }
}

/// Reads the record at an offset, which is `len` bytes long; `buf` is used if the file has to be
/// read.
///
/// # Errors
/// If the file can't be read.
pub(super) fn read_record<'a>(
    file: &'a dyn ReadAt,
    buf: &'a mut Vec<u8>,
    offset: u64,
    (lsn, len): (Lsn, usize),
) -> io::Result<Option<RecordRef<'a>>> {
    let bytes = match file.lent(offset, len) {
        Some(bytes) => bytes,
        None => {
            buf.resize(len, 0);
            let read = file.read_at(buf, offset)?;
            &buf[..read]
        }
    };
    let record = take_record(bytes, lsn).filter(|(_, whole)| *whole == len);
    Ok(record.map(|(record, _)| record))
}

/// Reads arbitrary bytes as a segment, as a fuzzer does. Returns how many records were whole.
pub fn fuzz_scan(mut data: &[u8]) -> u64 {
    let bytes = data.len() as u64;
    let header = SegmentHeader { log_id: [0; 16], first: Lsn(0), salt: 0, prev_crc: 0 };
    let mut visited = 0;
    let from = Cursor { offset: 0, prev_crc: 0 };
    let Ok(scan) = scan(&mut data, &header, from, &mut |_| visited += 1);
    let Ok(_) = highest_synced(&mut data, &header, scan.end);
    assert!(scan.end <= bytes && visited == scan.records);
    visited
}
