//! Reading all that is whole in a log that is not: behind damage, too.
//!
//! For a person who has decided to go on with what is left. A batch's checksum covers its place,
//! so what is found by looking for the next one is really there.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::dir::{ReadAt, RealDir};
use super::format::{
    BATCH_HEADER_BYTES, BatchHeader, RecordRef, SEGMENT_HEADER_BYTES, SegmentHeader, take_record,
};
use super::reader::log_dir;
use super::segment::Files;
use super::{IoOp, LogError};
use crate::ids::Lsn;

/// How much is read at a time: a packed block.
const PIECE_BYTES: usize = super::compress::BLOCK_BYTES as usize;
/// How much is read at a time around a place that can't be read.
const ALIGN_BYTES: usize = 4096;

/// A place that was passed over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Skipped {
    /// The segment.
    pub path: PathBuf,
    /// Where in it.
    pub offset: u64,
    /// How many bytes.
    pub bytes: u64,
}

/// Visits every whole record of a log in order and returns what was passed over, zeros not
/// counted.
///
/// # Errors
/// [`LogError`] if files can't be read or do not belong to a log.
pub fn salvage(
    data_dir: &Path,
    visit: &mut dyn FnMut(RecordRef<'_>),
) -> Result<Vec<Skipped>, LogError> {
    let files = Files::new(Arc::new(RealDir::new(log_dir(data_dir))));
    let mut skipped = Vec::new();
    for listed in files.segments()? {
        let path = files.path(&listed.name());
        let skip = |(offset, bytes): (usize, usize)| Skipped {
            path: path.clone(),
            offset: offset as u64,
            bytes: bytes as u64,
        };
        let file = match files.open(&listed) {
            // Without a whole head nothing in it can be found.
            Err(LogError::Packed { .. }) => {
                let bytes = std::fs::metadata(&path).map_or(0, |metadata| metadata.len());
                skipped.push(Skipped { path, offset: 0, bytes });
                continue;
            }
            other => other?,
        };
        let bytes = file.bytes().map_err(files.failed(IoOp::Read, &listed.name()))?;
        let mut image = vec![0; usize::try_from(bytes).unwrap_or(usize::MAX)];
        let unread = read_what_can_be(&*file, &mut image);
        skipped.extend(unread.into_iter().map(skip));
        let ranges = salvage_segment(&image, listed.first, visit);
        skipped.extend(ranges.into_iter().map(skip));
    }
    Ok(skipped)
}

/// Fills `image` with a file's bytes and returns offset and length of what the disk can't read, or
/// what was packed and is damaged; zeros stand there.
fn read_what_can_be(file: &dyn ReadAt, image: &mut [u8]) -> Vec<(usize, usize)> {
    let mut unread = Vec::new();
    for (piece, offset) in image.chunks_mut(PIECE_BYTES).zip((0..).step_by(PIECE_BYTES)) {
        if file.read_at(piece, offset as u64).is_ok() {
            continue;
        }
        // What is around a bad place may be read.
        for (block, at) in piece.chunks_mut(ALIGN_BYTES).zip((offset..).step_by(ALIGN_BYTES)) {
            if file.read_at(block, at as u64).is_err() {
                block.fill(0);
                unread.push((at, block.len()));
            }
        }
    }
    unread
}

/// Visits the whole records of a segment's bytes; returns offset and length of what is none.
fn salvage_segment(
    image: &[u8],
    first: Lsn,
    visit: &mut dyn FnMut(RecordRef<'_>),
) -> Vec<(usize, usize)> {
    let mut skipped = Vec::new();
    let salt = match SegmentHeader::decode(image) {
        Ok(header) => Some(header.salt),
        Err(_) => {
            skipped.push((0, image.len().min(SEGMENT_HEADER_BYTES)));
            guess_salt(image, first)
        }
    };
    let mut at = SEGMENT_HEADER_BYTES.min(image.len());
    let mut bad = at;
    while let (Some(salt), Some(offset)) = (salt, find_magic(image, at)) {
        let lsn = Lsn(first.0 + offset as u64);
        let Some((batch, _)) = BatchHeader::decode(&image[offset..], salt, lsn) else {
            at = offset + 1;
            continue;
        };
        push_used(image, &mut skipped, bad, offset);
        let start = offset + BATCH_HEADER_BYTES;
        let end = image.len().min(start + batch.payload_bytes as usize);
        salvage_records(image, first, start..end, &mut skipped, visit);
        (at, bad) = (end, end);
    }
    push_used(image, &mut skipped, bad, image.len());
    skipped
}

fn salvage_records(
    image: &[u8],
    first: Lsn,
    range: std::ops::Range<usize>,
    skipped: &mut Vec<(usize, usize)>,
    visit: &mut dyn FnMut(RecordRef<'_>),
) {
    let (mut at, mut bad) = (range.start, range.start);
    while at < range.end {
        match take_record(&image[at..range.end], Lsn(first.0 + at as u64)) {
            Some((record, len)) => {
                push_used(image, skipped, bad, at);
                visit(record);
                at += len;
                bad = at;
            }
            None => at += 1,
        }
    }
    push_used(image, skipped, bad, range.end);
}

/// A batch's checksum is mixed with the salt, and a whole batch is proven by its records: where a
/// segment's head is lost, its first batch tells the salt.
fn guess_salt(image: &[u8], first: Lsn) -> Option<u32> {
    let offset = SEGMENT_HEADER_BYTES;
    let head = image.get(offset..)?;
    let salt = BatchHeader::salt_of(head)?;
    let lsn = Lsn(first.0 + offset as u64);
    let (batch, _) = BatchHeader::decode(head, salt, lsn)?;
    let records = head.get(BATCH_HEADER_BYTES..batch.bytes())?;
    let lsn = Lsn(lsn.0 + BATCH_HEADER_BYTES as u64);
    (batch.records > 0 && take_record(records, lsn).is_some()).then_some(salt)
}

fn find_magic(image: &[u8], from: usize) -> Option<usize> {
    let magic = BatchHeader::MAGIC;
    let rest = image.get(from..)?;
    rest.windows(magic.len()).position(|bytes| bytes == magic).map(|at| from + at)
}

/// Takes note of a range, if it is more than zeros.
fn push_used(image: &[u8], skipped: &mut Vec<(usize, usize)>, from: usize, until: usize) {
    let range = &image[from..until];
    if let (Some(begin), Some(last)) =
        (range.iter().position(|&byte| byte != 0), range.iter().rposition(|&byte| byte != 0))
    {
        skipped.push((from + begin, last + 1 - begin));
    }
}
