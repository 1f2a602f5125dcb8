//! A file in memory: single records are read from sealed segments without a call to the system.
//!
//! A file that is cut while it is mapped ends the process by SIGBUS when what is gone is touched,
//! and so does a block that the disk can't read. So only sealed segments are mapped, which the log
//! itself never changes, and only to look up single records. Recovery and the tools read with
//! plain calls: a process that ended so is followed by one that says which file is damaged.

use std::fs::File;
use std::io;
use std::num::NonZeroUsize;
use std::ptr::NonNull;

use nix::libc::c_void;
use nix::sys::mman::{MapFlags, ProtFlags, mmap, munmap};

use super::dir::ReadAt;

/// All bytes of a file, as it was when it was mapped.
pub(super) struct Mapped {
    /// `None` if the file is empty.
    map: Option<(NonNull<c_void>, NonZeroUsize)>,
}

// SAFETY: the map is read-only and lives as long as the value; any thread may read it.
unsafe impl Send for Mapped {}
// SAFETY: as above; nothing in it changes.
unsafe impl Sync for Mapped {}

impl Mapped {
    pub(super) fn new(file: &File) -> io::Result<Self> {
        let bytes = usize::try_from(file.metadata()?.len()).map_err(io::Error::other)?;
        let Some(len) = NonZeroUsize::new(bytes) else {
            return Ok(Self { map: None });
        };
        // SAFETY: the kernel chooses the address, so nothing that exists is replaced.
        let start =
            unsafe { mmap(None, len, ProtFlags::PROT_READ, MapFlags::MAP_SHARED, file, 0) }?;
        Ok(Self { map: Some((start, len)) })
    }

    fn bytes(&self) -> &[u8] {
        self.map.map_or(&[], |(start, len)| {
            // SAFETY: that many bytes are mapped until `self` is dropped, and nobody writes to a
            // sealed segment.
            unsafe { std::slice::from_raw_parts(start.cast::<u8>().as_ptr(), len.get()) }
        })
    }
}

impl ReadAt for Mapped {
    fn bytes(&self) -> io::Result<u64> {
        Ok(self.bytes().len() as u64)
    }

    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        self.bytes().read_at(buf, offset)
    }

    fn lent(&self, offset: u64, len: usize) -> Option<&[u8]> {
        let start = usize::try_from(offset).ok()?;
        self.bytes().get(start..start.checked_add(len)?)
    }
}

impl Drop for Mapped {
    fn drop(&mut self) {
        if let Some((start, len)) = self.map {
            // SAFETY: it was mapped with this length, and no slice outlives `self`.
            let unmapped = unsafe { munmap(start, len.get()) };
            // It can only fail if the arguments are wrong.
            debug_assert!(unmapped.is_ok());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mapped_file_reads_like_a_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        for bytes in [&b""[..], b"0123456789"] {
            std::fs::write(&path, bytes).unwrap();
            let file = File::open(&path).unwrap();
            let mapped = Mapped::new(&file).unwrap();
            for offset in 0..12 {
                let (mut read, mut wanted) = ([0; 4], [0; 4]);
                let count = mapped.read_at(&mut read, offset).unwrap();
                assert_eq!(count, ReadAt::read_at(&file, &mut wanted, offset).unwrap());
                assert_eq!(read, wanted, "offset {offset}");
                let lent = mapped.lent(offset, 4);
                assert_eq!(lent, (count == 4).then_some(&wanted[..]), "offset {offset}");
            }
            assert_eq!(mapped.lent(u64::MAX, 4), None);
            assert_eq!(mapped.lent(1, usize::MAX), None);
        }
    }
}
