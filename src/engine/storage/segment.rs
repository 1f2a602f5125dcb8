//! The file system as the log uses it: each call names its file when it fails.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::{IoOp, LogError};
use crate::ids::Lsn;
use crate::lock::{self, LockError};

/// The ending of a segment's name.
const SEGMENT: &str = "seg";
/// What else may stand beside segments: the lock, a segment being prepared, tails set aside.
const LOCK_NAME: &str = "writer.lock";
const PREPARED_NAME: &str = "next.tmp";
const TORN_PREFIX: &str = "torn-";

/// Zeros are written this many at a time.
static ZEROS: [u8; 1 << 16] = [0; 1 << 16];

/// Adds the file and what was done to it to an error.
pub(super) fn failed(op: IoOp, path: &Path) -> impl FnOnce(io::Error) -> LogError {
    let path = path.to_owned();
    move |source| LogError::Io { op, path, source }
}

/// Returns the name of the segment that begins at `first`.
pub(super) fn segment_path(dir: &Path, first: Lsn) -> PathBuf {
    dir.join(format!("{:016x}.{SEGMENT}", first.0))
}

/// Returns where the bytes of a torn tail that began at `lsn` are kept: a name that no earlier
/// tail has.
pub(super) fn torn_path(dir: &Path, lsn: Lsn) -> PathBuf {
    let name = |number: u32| dir.join(format!("{TORN_PREFIX}{:016x}.{number}.bin", lsn.0));
    (0..).map(name).find(|path| !path.exists()).expect("a directory has fewer files than numbers")
}

/// Returns the first LSNs of all segments, in order.
pub(super) fn segments(dir: &Path) -> Result<Vec<Lsn>, LogError> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).map_err(failed(IoOp::Read, dir))? {
        let path = entry.map_err(failed(IoOp::Read, dir))?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if name == LOCK_NAME || name == PREPARED_NAME || name.starts_with(TORN_PREFIX) {
            continue;
        }
        let first = name
            .strip_suffix(SEGMENT)
            .and_then(|stem| stem.strip_suffix('.'))
            .filter(|digits| digits.len() == 16)
            .and_then(|digits| u64::from_str_radix(digits, 16).ok());
        match first {
            Some(first) => found.push(Lsn(first)),
            None => return Err(LogError::Foreign { path }),
        }
    }
    found.sort_unstable();
    Ok(found)
}

/// Reads a whole file into `buf`.
pub(super) fn read(path: &Path, buf: &mut Vec<u8>) -> Result<(), LogError> {
    buf.clear();
    let mut file = File::open(path).map_err(failed(IoOp::Open, path))?;
    file.read_to_end(buf).map_err(failed(IoOp::Read, path))?;
    Ok(())
}

/// Opens a segment for writing.
pub(super) fn open_segment(path: &Path) -> Result<File, LogError> {
    OpenOptions::new().read(true).write(true).open(path).map_err(failed(IoOp::Open, path))
}

/// Makes a file of zeros under a name of its own, so that appending later changes no metadata
/// and a sync costs one write instead of a journal commit. What can't be finished is removed: its
/// room may be what others need.
pub(super) fn prepare_segment(dir: &Path, bytes: u64) -> Result<(File, PathBuf), LogError> {
    let path = dir.join(PREPARED_NAME);
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&path)
        .map_err(failed(IoOp::Create, &path))?;
    match fill(&file, &path, bytes) {
        Ok(()) => Ok((file, path)),
        Err(error) => {
            // The error that matters is the one that is returned.
            let _ = std::fs::remove_file(&path);
            Err(error)
        }
    }
}

fn fill(mut file: &File, path: &Path, bytes: u64) -> Result<(), LogError> {
    let mut left = bytes;
    while left > 0 {
        let zeros = usize::try_from(left).unwrap_or(usize::MAX).min(ZEROS.len());
        file.write_all(&ZEROS[..zeros]).map_err(failed(IoOp::Write, path))?;
        left -= zeros as u64;
    }
    file.sync_all().map_err(failed(IoOp::Sync, path))
}

/// Writes at an offset.
pub(super) fn write_at(
    file: &File,
    path: &Path,
    bytes: &[u8],
    offset: u64,
) -> Result<(), LogError> {
    file.write_all_at(bytes, offset).map_err(failed(IoOp::Write, path))
}

/// Keeps bytes in a file of their own, on the disk.
pub(super) fn keep(path: &Path, bytes: &[u8]) -> Result<(), LogError> {
    let mut file = File::create(path).map_err(failed(IoOp::Create, path))?;
    file.write_all(bytes).map_err(failed(IoOp::Write, path))?;
    file.sync_all().map_err(failed(IoOp::Sync, path))
}

/// Renames a file.
pub(super) fn rename(from: &Path, to: &Path) -> Result<(), LogError> {
    std::fs::rename(from, to).map_err(failed(IoOp::Rename, from))
}

/// Cuts a file and makes sure that it stays cut.
pub(super) fn cut(path: &Path, bytes: u64) -> Result<(), LogError> {
    let file = open_segment(path)?;
    file.set_len(bytes).map_err(failed(IoOp::Cut, path))?;
    file.sync_all().map_err(failed(IoOp::Sync, path))
}

/// Makes sure that the names in a directory are on the disk.
pub(super) fn sync_dir(dir: &Path) -> Result<(), LogError> {
    let handle = File::open(dir).map_err(failed(IoOp::Open, dir))?;
    handle.sync_all().map_err(failed(IoOp::Sync, dir))
}

/// Becomes the only writer of a log.
pub(super) fn lock(dir: &Path) -> Result<File, LogError> {
    let path = dir.join(LOCK_NAME);
    lock::take(&path).map_err(|error| match error {
        LockError::Held { holder } => LogError::InUse { path: dir.to_owned(), holder },
        LockError::Io(source) => failed(IoOp::Lock, &path)(source),
    })
}
