//! The append-only log: what is written in it survives the death of any process, and as much of
//! it a power loss as the policy says.
//!
//! [`Logstore`] is the only name that writers use; [`reader::scan`] reads beside one. The format
//! is drawn in [`mod@format`], what may be acknowledged when is decided in [`commit`], and what a
//! damaged log means in [`recovery`]. Records are (kind, key, value); what they say about tickets
//! is the scheduler's affair.

use std::io;
use std::path::PathBuf;

pub mod commit;
pub mod dir;
pub mod format;
pub mod logstore;
pub mod reader;
pub mod recovery;
mod segment;
mod sync;

pub use format::RecordRef;
pub use logstore::{LogOptions, LogStats, Logstore, Progress, Recovered};

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
         nothing was changed; keep a copy of the data directory",
        path.display()
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
    #[error("the log has a gap before {}: position {wanted} is missing; restore the segment", path.display())]
    Gap {
        /// The segment behind the gap.
        path: PathBuf,
        /// The position that should begin there.
        wanted: u64,
    },
    /// An earlier write or sync failed; nothing more is acknowledged.
    #[error("the log is read-only since an earlier failure")]
    ReadOnly,
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
}

impl ExitKind {
    /// Returns the exit code that the command line promises.
    pub fn code(self) -> u8 {
        match self {
            Self::Unsound => 5,
            Self::InUse => 6,
            Self::Disk => 7,
        }
    }
}

impl LogError {
    /// Returns what the error means for the program.
    pub fn exit_kind(&self) -> ExitKind {
        match self {
            Self::InUse { .. } => ExitKind::InUse,
            Self::Io { .. } | Self::ReadOnly => ExitKind::Disk,
            Self::Damaged { .. }
            | Self::Version { .. }
            | Self::Foreign { .. }
            | Self::Gap { .. } => ExitKind::Unsound,
        }
    }
}
