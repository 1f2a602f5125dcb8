//! The file system as the log uses it: one directory of files, as a trait.
//!
//! The narrow waist between the log and the disk. [`RealDir`] is the real one; tests put a disk
//! behind it that loses, tears and refuses (`sim::disk`). Calls return plain [`io::Error`]s;
//! `segment.rs` adds which file it was and what was being done.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use nix::errno::Errno;
use nix::fcntl::{FallocateFlags, PosixFadviseAdvice, fallocate, posix_fadvise};

use super::mapped::Mapped;
use crate::lock::{self, LockError};

/// Bytes that can be read anywhere.
pub trait ReadAt: Send + Sync {
    /// Returns how many bytes there are.
    ///
    /// # Errors
    /// What the system says.
    fn bytes(&self) -> io::Result<u64>;

    /// Fills `buf` from `offset` on and returns how many bytes were there: fewer than asked for
    /// only at the end.
    ///
    /// # Errors
    /// What the system says.
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize>;

    /// Returns bytes without a copy, where they lie in memory; else `None`.
    fn lent(&self, _offset: u64, _len: usize) -> Option<&[u8]> {
        None
    }
}

/// A file of a [`Dir`].
pub trait DirFile: ReadAt {
    /// Writes all bytes at an offset.
    ///
    /// # Errors
    /// What the system says; then a part of the bytes may have been written.
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()>;

    /// Lengthens the file with zeros for which there is room on the disk, without writing them.
    ///
    /// # Errors
    /// What the system says; [`io::ErrorKind::Unsupported`] if the file system can't do that.
    fn reserve(&self, bytes: u64) -> io::Result<()>;

    /// Cuts the file, or lengthens it with zeros.
    ///
    /// # Errors
    /// What the system says.
    fn set_bytes(&self, bytes: u64) -> io::Result<()>;

    /// Returns once all bytes that were written before are on the disk.
    ///
    /// # Errors
    /// What the system says. Then nobody knows what is on the disk, and asking again won't tell.
    fn sync_data(&self) -> io::Result<()>;

    /// Returns once all that was written before is on the disk, and a changed length too.
    ///
    /// # Errors
    /// As [`Self::sync_data`].
    fn sync_all(&self) -> io::Result<()>;

    /// Lets go of what is cached of the file and not waiting to be written, so that it is read
    /// from the disk again. After a failed sync the cache may hold what the disk does not.
    fn forget(&self);
}

/// What a file is opened for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Only reading; beside a writer too.
    Read,
    /// Reading and writing.
    Write,
}

/// What lets go of a lock when it is dropped.
pub trait Lock: Send {}

/// A directory of files.
pub trait Dir: Send + Sync {
    /// Returns where it is, for messages.
    fn path(&self) -> &Path;

    /// Makes the directory if it is not there.
    ///
    /// # Errors
    /// What the system says.
    fn make(&self) -> io::Result<()>;

    /// Returns the names of its files, in no order.
    ///
    /// # Errors
    /// What the system says.
    fn names(&self) -> io::Result<Vec<String>>;

    /// Opens a file.
    ///
    /// # Errors
    /// What the system says; [`io::ErrorKind::NotFound`] if it is not there.
    fn open(&self, name: &str, access: Access) -> io::Result<Arc<dyn DirFile>>;

    /// Opens a file for reading that nobody writes or cuts any more.
    ///
    /// # Errors
    /// As [`Self::open`].
    fn open_sealed(&self, name: &str) -> io::Result<Arc<dyn ReadAt>> {
        Ok(self.open(name, Access::Read)?)
    }

    /// Makes an empty file, or empties it.
    ///
    /// # Errors
    /// What the system says.
    fn create(&self, name: &str) -> io::Result<Arc<dyn DirFile>>;

    /// Gives a file another name. On the disk it has it after [`Self::sync`].
    ///
    /// # Errors
    /// What the system says.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;

    /// Removes a file. It is gone from the disk after [`Self::sync`].
    ///
    /// # Errors
    /// What the system says.
    fn remove(&self, name: &str) -> io::Result<()>;

    /// Returns once all names are on the disk.
    ///
    /// # Errors
    /// What the system says.
    fn sync(&self) -> io::Result<()>;

    /// Takes a lock that only one process can hold, without waiting.
    ///
    /// # Errors
    /// [`LockError::Held`] if another one has it.
    fn lock(&self, name: &str) -> Result<Box<dyn Lock>, LockError>;
}

/// A directory of the machine's file system.
#[derive(Debug)]
pub struct RealDir(PathBuf);

impl RealDir {
    /// Returns the directory at a path.
    pub fn new(path: PathBuf) -> Self {
        Self(path)
    }
}

impl Lock for File {}

impl ReadAt for File {
    fn bytes(&self) -> io::Result<u64> {
        Ok(self.metadata()?.len())
    }

    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        let mut filled = 0;
        while filled < buf.len() {
            match FileExt::read_at(self, &mut buf[filled..], offset + filled as u64) {
                Ok(0) => break,
                Ok(bytes) => filled += bytes,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(filled)
    }
}

impl DirFile for File {
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.write_all_at(bytes, offset)
    }

    fn reserve(&self, bytes: u64) -> io::Result<()> {
        let bytes = i64::try_from(bytes).map_err(io::Error::other)?;
        fallocate(self, FallocateFlags::empty(), 0, bytes).map_err(|errno| match errno {
            Errno::EOPNOTSUPP | Errno::ENOSYS => io::ErrorKind::Unsupported.into(),
            other => other.into(),
        })
    }

    fn set_bytes(&self, bytes: u64) -> io::Result<()> {
        self.set_len(bytes)
    }

    fn sync_data(&self) -> io::Result<()> {
        Self::sync_data(self)
    }

    fn sync_all(&self) -> io::Result<()> {
        Self::sync_all(self)
    }

    fn forget(&self) {
        // Advice that is not taken changes nothing, and nothing else could be done.
        let _ = posix_fadvise(self, 0, 0, PosixFadviseAdvice::POSIX_FADV_DONTNEED);
    }
}

/// Bytes in memory are read like a file.
impl ReadAt for [u8] {
    fn bytes(&self) -> io::Result<u64> {
        Ok(self.len() as u64)
    }

    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        let rest = usize::try_from(offset).ok().and_then(|at| self.get(at..)).unwrap_or_default();
        let count = rest.len().min(buf.len());
        buf[..count].copy_from_slice(&rest[..count]);
        Ok(count)
    }
}

impl Dir for RealDir {
    fn path(&self) -> &Path {
        &self.0
    }

    fn make(&self) -> io::Result<()> {
        DirBuilder::new().recursive(true).mode(0o700).create(&self.0)
    }

    fn names(&self) -> io::Result<Vec<String>> {
        let name = |entry: io::Result<std::fs::DirEntry>| {
            Ok(entry?.file_name().to_string_lossy().into_owned())
        };
        std::fs::read_dir(&self.0)?.map(name).collect()
    }

    fn open(&self, name: &str, access: Access) -> io::Result<Arc<dyn DirFile>> {
        let write = access == Access::Write;
        let file = OpenOptions::new().read(true).write(write).open(self.0.join(name))?;
        Ok(Arc::new(file))
    }

    fn open_sealed(&self, name: &str) -> io::Result<Arc<dyn ReadAt>> {
        Ok(Arc::new(Mapped::new(&File::open(self.0.join(name))?)?))
    }

    fn create(&self, name: &str) -> io::Result<Arc<dyn DirFile>> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(true).mode(0o600);
        Ok(Arc::new(options.open(self.0.join(name))?))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        std::fs::rename(self.0.join(from), self.0.join(to))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        std::fs::remove_file(self.0.join(name))
    }

    fn sync(&self) -> io::Result<()> {
        File::open(&self.0)?.sync_all()
    }

    fn lock(&self, name: &str) -> Result<Box<dyn Lock>, LockError> {
        Ok(Box::new(lock::take(&self.0.join(name))?))
    }
}
