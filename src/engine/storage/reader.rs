//! Reading a log from its first segment to its last, beside a writer or before becoming one.

use std::path::{Path, PathBuf};

use super::LogError;
use super::format::{HeaderError, RecordRef, SEGMENT_HEADER_BYTES, SegmentHeader};
use super::recovery::{self, Scan};
use super::segment;
use crate::ids::Lsn;

/// What a log holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScanReport {
    /// Whole segments' first LSNs, in order, up to the end.
    pub segments: Vec<Lsn>,
    /// Whole records.
    pub records: u64,
    /// Bytes up to the end of the last whole batch.
    pub bytes: u64,
    /// The position behind the last whole batch.
    pub end: Lsn,
    /// The torn tail, if there is one.
    pub torn: Option<TornTail>,
    /// The last segment's header, if there is a segment.
    pub(super) last: Option<SegmentHeader>,
    pub(super) last_crc: u32,
    pub(super) log_id: Option<[u8; 16]>,
}

/// Bytes at the end of a log that were being written when it ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TornTail {
    /// The segment in which it begins.
    pub path: PathBuf,
    /// Where in the file.
    pub offset: u64,
    /// Bytes from there on that are not zero padding at the end.
    pub bytes: u64,
    /// Segments behind it, none of which was synced.
    pub(super) later: Vec<Lsn>,
}

/// Reads the log in `data_dir` and visits every whole record in order. Takes no lock; beside a
/// running writer the end is where it was at some moment of the reading.
///
/// # Errors
/// [`LogError`] if the log is damaged before its synced end, has a gap, or holds foreign files.
pub fn scan(data_dir: &Path, visit: &mut dyn FnMut(RecordRef<'_>)) -> Result<ScanReport, LogError> {
    let dir = log_dir(data_dir);
    let mut report = ScanReport {
        segments: Vec::new(),
        records: 0,
        bytes: 0,
        end: Lsn(0),
        torn: None,
        last: None,
        last_crc: 0,
        log_id: None,
    };
    let segments = segment::segments(&dir)?;
    let mut bytes = Vec::new();
    for (index, &first) in segments.iter().enumerate() {
        let path = segment::segment_path(&dir, first);
        segment::read(&path, &mut bytes)?;
        let later = &segments[index + 1..];
        let header = match header(&bytes, first, &path, &report) {
            Ok(header) => header,
            Err(Broken::Named(error)) => return Err(error),
            Err(Broken::Unwritten) => {
                // The head of a segment is synced before anything behind it is acknowledged.
                verify_unsynced(&dir, later, report.end, &path, 0)?;
                report.torn = Some(torn(path, 0, &bytes, later));
                break;
            }
        };
        if index > 0 && first != report.end {
            return Err(LogError::Gap { path, wanted: report.end.0 });
        }
        let from = SEGMENT_HEADER_BYTES as u64;
        let found = recovery::scan(&bytes, &header, from, report.last_crc, visit);
        add(&mut report, &header, &found);
        let follows = later.first().is_none_or(|&next| next == report.end);
        if found.is_clean && follows {
            continue;
        }
        let known = recovery::highest_synced(&bytes, &header, found.end);
        if known > report.end {
            let reason = "a batch is not what was written";
            return Err(LogError::Damaged { path, offset: found.end, reason });
        }
        verify_unsynced(&dir, later, report.end, &path, found.end)?;
        report.torn = Some(torn(path, found.end, &bytes, later));
        break;
    }
    Ok(report)
}

/// Returns where the log lies in a data directory.
pub(super) fn log_dir(data_dir: &Path) -> PathBuf {
    data_dir.join("log")
}

enum Broken {
    Named(LogError),
    /// The head is not there, as after a power loss.
    Unwritten,
}

fn header(
    bytes: &[u8],
    first: Lsn,
    path: &Path,
    report: &ScanReport,
) -> Result<SegmentHeader, Broken> {
    let header = SegmentHeader::decode(bytes).map_err(|error| match error {
        HeaderError::Version(found) => {
            Broken::Named(LogError::Version { path: path.to_owned(), found })
        }
        HeaderError::Invalid if is_unwritten(bytes) => Broken::Unwritten,
        HeaderError::Invalid => {
            let reason = "the segment's head is not what was written";
            Broken::Named(LogError::Damaged { path: path.to_owned(), offset: 0, reason })
        }
    })?;
    let belongs = header.first == first && report.log_id.is_none_or(|id| id == header.log_id);
    let follows = report.log_id.is_none() || header.prev_crc == report.last_crc;
    if !belongs || !follows {
        let reason = "the segment belongs to another log or another place";
        return Err(Broken::Named(LogError::Damaged { path: path.to_owned(), offset: 0, reason }));
    }
    Ok(header)
}

/// A head is written whole into a file that was filled with zeros and synced before; what else
/// it may be after a crash is nothing at all.
fn is_unwritten(bytes: &[u8]) -> bool {
    bytes.get(..SEGMENT_HEADER_BYTES).is_none_or(|head| head.iter().all(|&byte| byte == 0))
}

fn add(report: &mut ScanReport, header: &SegmentHeader, found: &Scan) {
    report.segments.push(header.first);
    report.records += found.records;
    report.bytes += found.end;
    report.end = Lsn(header.first.0 + found.end);
    report.last = Some(*header);
    report.last_crc = found.last_crc;
    report.log_id = Some(header.log_id);
}

/// Makes sure that no segment behind a bad place knows it to have been synced.
fn verify_unsynced(
    dir: &Path,
    later: &[Lsn],
    end: Lsn,
    path: &Path,
    offset: u64,
) -> Result<(), LogError> {
    let mut bytes = Vec::new();
    for &first in later {
        segment::read(&segment::segment_path(dir, first), &mut bytes)?;
        let header = match SegmentHeader::decode(&bytes) {
            Ok(header) => header,
            Err(_) if is_unwritten(&bytes) => continue,
            Err(_) => {
                let reason = "what follows in the next segment is not what was written";
                return Err(LogError::Damaged { path: path.to_owned(), offset, reason });
            }
        };
        let from = SEGMENT_HEADER_BYTES as u64;
        if recovery::highest_synced(&bytes, &header, from) > end {
            let reason = "what follows in the next segment proves that more was synced here";
            return Err(LogError::Damaged { path: path.to_owned(), offset, reason });
        }
    }
    Ok(())
}

fn torn(path: PathBuf, offset: u64, bytes: &[u8], later: &[Lsn]) -> TornTail {
    let tail = usize::try_from(offset).ok().and_then(|at| bytes.get(at..)).unwrap_or_default();
    let last = tail.iter().rposition(|&byte| byte != 0).map_or(0, |at| at + 1);
    TornTail { path, offset, bytes: last as u64, later: later.to_vec() }
}
