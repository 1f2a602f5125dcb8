//! Finding records beside whoever writes, without reading the log from its beginning.
//!
//! What is sought rises through the log, as ticket ids do. So the segment in which it begins is
//! found by halving: of each segment that is looked at only the first batches are read, until one
//! of their records says where what is sought is. From that segment on everything is read until
//! the seeker has what it wants.
//!
//! A look-up is no verification: where a batch is not whole, reading goes on with the next
//! segment. `log verify` says what is wrong with a log.

use std::io;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

use super::dir::{ReadAt, RealDir};
use super::format::{RecordRef, SEGMENT_HEADER_BYTES, SegmentHeader};
use super::reader::log_dir;
use super::recovery::{Cursor, Window, next_batch, visit_records};
use super::segment::{Files, Listed, read_head};
use super::{IoOp, LogError};
use crate::ids::Lsn;

/// What was looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Searched {
    /// Segments that the log has.
    pub segments: usize,
    /// Segments that were read from where what was sought may begin.
    pub read: usize,
    /// Where the log begins: above zero if its oldest segments were let go of.
    pub first: Lsn,
}

/// Looks for records. `has_come` says of a record whether what is sought stands there or behind
/// (`Some(true)`) or before it; `None` if the record does not tell. `visit` is shown every record
/// from the beginning of the segment in which what is sought may be, until it breaks off.
///
/// # Errors
/// [`LogError`] if a file can't be read, or is none of a log.
pub fn search(
    data_dir: &Path,
    has_come: &dyn Fn(&RecordRef<'_>) -> Option<bool>,
    visit: &mut dyn FnMut(&RecordRef<'_>) -> ControlFlow<()>,
) -> Result<Searched, LogError> {
    let files = Files::new(Arc::new(RealDir::new(log_dir(data_dir))));
    let segments = files.segments()?;
    // The last segment that begins before what is sought, or the first.
    let (mut low, mut high) = (0, segments.len());
    while low + 1 < high {
        let middle = low + (high - low) / 2;
        match begins_before(&files, &segments[middle..high], has_come)? {
            Some(true) => low = middle,
            // What says nothing up to the end is no place to begin.
            Some(false) | None => high = middle,
        }
    }
    let first = segments.first().map_or(Lsn(0), |segment| segment.first);
    let mut searched = Searched { segments: segments.len(), read: 0, first };
    for segment in segments.iter().skip(low) {
        searched.read += 1;
        if read(&files, segment, visit)?.is_break() {
            break;
        }
    }
    Ok(searched)
}

/// Returns what the first record that tells says; segments in which none does are passed over.
fn begins_before(
    files: &Files,
    segments: &[Listed],
    has_come: &dyn Fn(&RecordRef<'_>) -> Option<bool>,
) -> Result<Option<bool>, LogError> {
    let mut said = None;
    for segment in segments {
        let _ = read(files, segment, &mut |record| {
            said = has_come(record);
            if said.is_some() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })?;
        if said.is_some() {
            break;
        }
    }
    Ok(said)
}

/// Visits the whole records of a segment until `visit` breaks off.
fn read(
    files: &Files,
    segment: &Listed,
    visit: &mut dyn FnMut(&RecordRef<'_>) -> ControlFlow<()>,
) -> Result<ControlFlow<()>, LogError> {
    let file = match files.open(segment) {
        // The writer has let go of it since it was listed.
        Err(LogError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
            return Ok(ControlFlow::Continue(()));
        }
        other => other?,
    };
    read_batches(&*file, visit).map_err(files.failed(IoOp::Read, &segment.name()))
}

fn read_batches(
    file: &dyn ReadAt,
    visit: &mut dyn FnMut(&RecordRef<'_>) -> ControlFlow<()>,
) -> io::Result<ControlFlow<()>> {
    // One without a head has nothing that anybody was told of.
    let Ok(header) = SegmentHeader::decode(&read_head(file)?) else {
        return Ok(ControlFlow::Continue(()));
    };
    let mut window = Window::new(file);
    let mut at = Cursor { offset: SEGMENT_HEADER_BYTES as u64, prev_crc: header.prev_crc };
    while let Some((offset, batch, crc)) = next_batch(&mut window, &header, at)? {
        let mut flow = ControlFlow::Continue(());
        visit_records(&mut window, &batch, offset, &mut |record| {
            if flow.is_continue() {
                flow = visit(&record);
            }
        })?;
        if flow.is_break() {
            return Ok(flow);
        }
        at = Cursor { offset: offset + batch.bytes() as u64, prev_crc: crc };
    }
    Ok(ControlFlow::Continue(()))
}
