//! The append-only log: what is written in it survives the death of any process, and as much of
//! it a power loss as the policy says.
//!
//! [`Logstore`] is the only name that writers use; [`reader::scan`] reads beside one. The format
//! is drawn in [`mod@format`], what may be acknowledged when is decided in [`commit`], and what a
//! damaged log means in [`recovery`]. Records are (kind, key, value); what they say about tickets
//! is the scheduler's affair.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use compress::PackedError;
use dir::RealDir;
use segment::Files;

use crate::ids::Lsn;
use crate::lock;

pub mod commit;
pub mod compress;
pub mod dir;
pub mod format;
mod helper;
pub mod index;
mod indexer;
mod lmdb;
pub mod lmdb_check;
pub mod logstore;
mod mapped;
mod open;
pub mod reader;
pub mod recovery;
pub mod retention;
pub mod salvage;
pub mod search;
mod segment;
mod shelf;
pub mod tape;

pub use format::RecordRef;
pub use helper::Hands;
pub use lmdb::IndexError;
pub use logstore::{LogOptions, LogStats, Logstore, OwnerState, Preamble, Progress};
pub use open::{IndexOutcome, LogPlace, Opening, Recovered, index_dir};

/// Returns the process that writes the log in a data directory, if one does.
///
/// # Errors
/// [`LogError::Io`] if that can't be found out.
pub fn writer_of(data_dir: &Path) -> Result<Option<String>, LogError> {
    let path = reader::log_dir(data_dir).join(segment::LOCK_NAME);
    lock::holder(&path).map_err(|source| LogError::Io { op: IoOp::Lock, path, source })
}

/// A file of a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SegmentFile {
    /// Its name.
    pub name: String,
    /// The LSN of its first byte.
    pub first: Lsn,
    /// Whether it is packed.
    pub is_packed: bool,
    /// Bytes of the file.
    pub bytes: u64,
}

/// Returns the files of a log's segments, in order: what `ls` shows.
///
/// # Errors
/// [`LogError`] if they can't be read.
pub fn segment_files(data_dir: &Path) -> Result<Vec<SegmentFile>, LogError> {
    let files = Files::new(Arc::new(RealDir::new(reader::log_dir(data_dir))));
    let mut looks = 0;
    'look: loop {
        looks += 1;
        let mut found = Vec::new();
        for segment in files.segments()? {
            let name = segment.name();
            match std::fs::metadata(files.path(&name)) {
                Ok(metadata) => found.push(SegmentFile {
                    name,
                    first: segment.first,
                    is_packed: segment.form == segment::Form::Packed,
                    bytes: metadata.len(),
                }),
                // The writer has renamed, packed or removed it since it was listed.
                Err(error) if error.kind() == io::ErrorKind::NotFound && looks < LOOKS_MAX => {
                    continue 'look;
                }
                Err(error) => return Err(files.failed(IoOp::Read, &name)(error)),
            }
        }
        return Ok(found);
    }
}

/// Returns how many bytes the files of a log's segments have, packed or not.
///
/// # Errors
/// [`LogError`] if they can't be read.
pub fn file_bytes(data_dir: &Path) -> Result<u64, LogError> {
    Ok(segment_files(data_dir)?.iter().map(|file| file.bytes).sum())
}

/// Times that files are listed again because one of them is gone.
const LOOKS_MAX: u32 = 8;

/// How the index of a log that nobody writes is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IndexHealth {
    /// There is none.
    Missing,
    /// It is what was written.
    Whole {
        /// Keys that it knows.
        rows: u64,
        /// It knows all records before.
        indexed: Lsn,
    },
    /// A crash left it behind; the next start makes it anew.
    Torn(String),
}

impl std::fmt::Display for IndexHealth {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Missing => f.write_str("there is none"),
            Self::Whole { rows, indexed } => {
                write!(f, "whole, {rows} keys, knows the log up to {indexed}")
            }
            Self::Torn(reason) => write!(f, "left behind by a crash ({reason})"),
        }
    }
}

/// Looks whether the index in a data directory is what was written. Nobody may be writing it.
///
/// # Errors
/// [`IndexError`] if it is not, though it was closed in order, or can't be read.
pub fn index_health(data_dir: &Path) -> Result<IndexHealth, IndexError> {
    Ok(match lmdb::inspect(&index_dir(data_dir), &mut |_| {})? {
        lmdb::Inspection::Missing => IndexHealth::Missing,
        lmdb::Inspection::Torn(reason) => IndexHealth::Torn(reason),
        lmdb::Inspection::Whole(checkpoint) => {
            IndexHealth::Whole { rows: checkpoint.rows, indexed: checkpoint.indexed }
        }
    })
}

/// Returns how many records the index knows that the log no longer has, at its beginning or its
/// end; `None` if there is no whole index that belongs to it. Nobody may be writing it.
pub fn lost_keys(data_dir: &Path, found: &reader::ScanReport) -> Option<u64> {
    let dir = index_dir(data_dir);
    let Ok(lmdb::Inspection::Whole(checkpoint)) = lmdb::inspect(&dir, &mut |_| {}) else {
        return None;
    };
    let is_own = found.last.as_ref().is_some_and(|last| last.log_id == checkpoint.log_id);
    let first = found.segments.first().map_or(Lsn(0), |segment| segment.first);
    let mut lost = 0;
    // Rows before the beginning that it knows may be left over from retention.
    let inspected = lmdb::inspect(&dir, &mut |row| {
        let is_before = row.place.lsn < first && row.place.lsn >= checkpoint.first;
        lost += u64::from(is_before || row.place.lsn >= found.end);
    });
    inspected.is_ok_and(|_| is_own).then_some(lost)
}

/// What was being done to a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IoOp {
    /// Making it.
    Create,
    /// Opening it.
    Open,
    /// Reading it.
    Read,
    /// Writing it.
    Write,
    /// Making sure that it is on the disk.
    Sync,
    /// Renaming it.
    Rename,
    /// Removing it.
    Remove,
    /// Cutting it.
    Cut,
    /// Locking it.
    Lock,
}

impl std::fmt::Display for IoOp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Create => "make",
            Self::Open => "open",
            Self::Read => "read",
            Self::Write => "write",
            Self::Sync => "sync",
            Self::Rename => "rename",
            Self::Remove => "remove",
            Self::Cut => "cut",
            Self::Lock => "lock",
        })
    }
}

/// Why the log can't be used, or not any more.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// Another process writes it.
    #[error("the log in {} is being written by process {holder}; end that one first", path.display())]
    InUse {
        /// The log's directory.
        path: PathBuf,
        /// The other process.
        holder: String,
    },
    /// The system refused.
    #[error("cannot {op} {}: {source}; check the disk's room and permissions", path.display())]
    Io {
        /// What was being done.
        op: IoOp,
        /// To which file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// Something that was known to be on the disk is not what was written.
    #[error(
        "{} is damaged at byte {offset}, before its synced end: {reason}; \
         nothing was changed; restore it from a copy, \
         or save the rest with `postoffice-tui repair --data-dir {} --salvage NEW_DIR`",
        path.display(),
        data_dir_of(path).display()
    )]
    Damaged {
        /// The segment.
        path: PathBuf,
        /// Where in it.
        offset: u64,
        /// What is wrong there.
        reason: &'static str,
    },
    /// A segment was written by a version that this one does not know.
    #[error("{} has log format version {found}, this program knows {known}", path.display(), known = format::VERSION)]
    Version {
        /// The segment.
        path: PathBuf,
        /// Its version.
        found: u16,
    },
    /// A file that is no part of a log stands among its segments.
    #[error("{} is not part of the log; move it elsewhere", path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
    },
    /// Segments do not follow one another.
    #[error(
        "the log has a gap before {}: position {wanted} is missing; restore the segment, \
         or save the rest with `postoffice-tui repair --data-dir {} --salvage NEW_DIR`",
        path.display(),
        data_dir_of(path).display()
    )]
    Gap {
        /// The segment behind the gap.
        path: PathBuf,
        /// The position that should begin there.
        wanted: u64,
    },
    /// A packed segment is not what was written.
    #[error(
        "{}: {source}; restore the segment, \
         or save the rest with `postoffice-tui repair --data-dir {} --salvage NEW_DIR`",
        path.display(),
        data_dir_of(path).display()
    )]
    Packed {
        /// The segment.
        path: PathBuf,
        /// What is wrong with it.
        source: PackedError,
    },
    /// The index can't be used.
    #[error(transparent)]
    Index(#[from] IndexError),
    /// An earlier write or sync failed; nothing more is acknowledged.
    #[error("the log is read-only since an earlier failure")]
    ReadOnly,
}

/// Returns the data directory in which a file of the log or the index lies.
fn data_dir_of(path: &Path) -> &Path {
    path.parent().and_then(Path::parent).unwrap_or(path)
}

/// What a [`LogError`] means for the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExitKind {
    /// Another instance uses the data directory.
    InUse,
    /// The disk is full, read-only, refuses us, or failed a sync.
    Disk,
    /// The log is not sound.
    Unsound,
    /// The index is not what was written.
    IndexCorrupt,
}

impl ExitKind {
    /// Returns the exit code that the command line promises.
    pub fn code(self) -> u8 {
        match self {
            Self::Unsound => 5,
            Self::InUse => 6,
            Self::Disk => 7,
            Self::IndexCorrupt => 8,
        }
    }
}

impl LogError {
    /// Returns what the error means for the program.
    pub fn exit_kind(&self) -> ExitKind {
        match self {
            Self::InUse { .. } => ExitKind::InUse,
            Self::Io { .. } | Self::Index(IndexError::Io { .. }) | Self::ReadOnly => ExitKind::Disk,
            Self::Index(IndexError::Corrupt { .. }) => ExitKind::IndexCorrupt,
            Self::Damaged { .. }
            | Self::Version { .. }
            | Self::Packed { .. }
            | Self::Foreign { .. }
            | Self::Gap { .. } => ExitKind::Unsound,
        }
    }
}
