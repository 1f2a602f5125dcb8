//! Lock files: one holder at a time, let go of by the kernel however the holder ends.
//!
//! The lock is on the descriptor; the file's text, the holder's pid, is only for messages.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;

/// Why a lock can't be had.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another process has it.
    #[error("process {holder} holds it")]
    Held {
        /// The other process.
        holder: String,
    },
    /// The file can't be used.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Takes the lock of a file, which is made if it is not there. It is held as long as the returned
/// file is open.
///
/// # Errors
/// [`LockError::Held`] if another process has it, without waiting.
pub fn take(path: &Path) -> Result<File, LockError> {
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            return Err(LockError::Held { holder: read_holder(&file) });
        }
        Err(TryLockError::Error(error)) => return Err(error.into()),
    }
    file.set_len(0)?;
    file.write_all_at(format!("{}\n", std::process::id()).as_bytes(), 0)?;
    Ok(file)
}

/// Returns who holds the lock of a file, if anybody does.
///
/// # Errors
/// If the file can't be read. One that is not there is held by nobody.
pub fn holder(path: &Path) -> io::Result<Option<String>> {
    let file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        other => other?,
    };
    match file.try_lock_shared() {
        Ok(()) => Ok(None),
        Err(TryLockError::WouldBlock) => Ok(Some(read_holder(&file))),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

fn read_holder(mut file: &File) -> String {
    let mut holder = String::new();
    // Not knowing who it is does not make it less held.
    let _ = file.read_to_string(&mut holder);
    holder.lines().next().unwrap_or("unknown").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_has_one_holder_and_ends_with_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lock");
        let held = take(&path).unwrap();
        let own = std::process::id().to_string();
        assert!(matches!(take(&path), Err(LockError::Held { holder }) if holder == own));
        assert_eq!(holder(&path).unwrap(), Some(own));
        drop(held);
        assert_eq!(holder(&path).unwrap(), None);
        take(&path).unwrap();
    }
}
