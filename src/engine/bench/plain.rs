//! Plain files: what the same disk does without the logstore.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::{KIND, SEGMENT_BYTES, key, now, seconds_since, value};
use crate::ids::Lsn;
use crate::storage::format::{self, BATCH_HEADER_BYTES, BatchHeader};
use crate::storage::{IoOp, LogError};

/// Room at the end of a file of zeros for the largest batch.
const BATCH_ROOM: u64 = 1 << 20;

/// What a plain file is asked to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Plain {
    /// Each batch is written to a file of zeros and synced.
    Synced,
    /// Each batch is written to a new file, which grows; no sync. After a segment's length
    /// another file is begun.
    Growing,
    /// Each batch is written to a file of zeros that the kernel has in memory; no sync.
    Overwriting,
}

/// The same framing and checksums written to plain files, without anything else.
pub struct PlainFile {
    plain: Plain,
    file: File,
    path: PathBuf,
    bytes: u64,
    buf: Vec<u8>,
    offset: u64,
    next: u64,
}

impl PlainFile {
    /// Makes a file in a directory; one of zeros has `bytes` bytes, and is written over again and
    /// again.
    ///
    /// # Errors
    /// [`LogError::Io`] if the disk refuses.
    pub fn new(dir: &Path, plain: Plain, bytes: u64) -> Result<Self, LogError> {
        let path = dir.join("plain");
        let file = create(&path)?;
        let bytes = bytes.max(2 * BATCH_ROOM);
        if plain != Plain::Growing {
            let zeros = vec![0; 1 << 20];
            for offset in (0..bytes).step_by(zeros.len()) {
                file.write_all_at(&zeros, offset).map_err(failed(IoOp::Write, &path))?;
            }
            file.sync_all().map_err(failed(IoOp::Sync, &path))?;
        }
        Ok(Self { plain, file, path, bytes, buf: Vec::new(), offset: 0, next: 1 })
    }

    /// Returns records per second over a window, each write of `batch` records.
    ///
    /// # Errors
    /// [`LogError::Io`] if the disk refuses.
    pub fn run(&mut self, batch: u64, window: Duration) -> Result<f64, LogError> {
        let (began, first) = (now(), self.next);
        while now().since(began) < window {
            self.encode(batch);
            self.write()?;
        }
        Ok((self.next - first) as f64 / seconds_since(began))
    }

    fn write(&mut self) -> Result<(), LogError> {
        let written = self.file.write_all_at(&self.buf, self.offset);
        written.map_err(failed(IoOp::Write, &self.path))?;
        self.offset += self.buf.len() as u64;
        if self.plain == Plain::Synced {
            self.file.sync_data().map_err(failed(IoOp::Sync, &self.path))?;
            self.offset = format::align_up(self.offset);
        }
        if self.plain == Plain::Growing && self.offset > SEGMENT_BYTES {
            // Nothing else has a name for the file that is full: its room comes back.
            std::fs::remove_file(&self.path).map_err(failed(IoOp::Remove, &self.path))?;
            self.file = create(&self.path)?;
            self.offset = 0;
        }
        if self.plain != Plain::Growing && self.offset + BATCH_ROOM > self.bytes {
            self.offset = 0;
        }
        Ok(())
    }

    fn encode(&mut self, batch: u64) {
        self.buf.clear();
        self.buf.extend_from_slice(&[0; BATCH_HEADER_BYTES]);
        for _ in 0..batch {
            put_record(&mut self.buf, self.offset, self.next);
            self.next += 1;
        }
        let header = BatchHeader {
            payload_bytes: u32::try_from(self.buf.len() - BATCH_HEADER_BYTES).expect("small"),
            records: u16::try_from(batch).expect("small"),
            lsn: Lsn(self.offset),
            synced: Lsn(0),
            prev_crc: 0,
        };
        header.encode(7, self.buf.first_chunk_mut().expect("room for the header"));
    }
}

fn put_record(buf: &mut Vec<u8>, offset: u64, number: u64) {
    let lsn = Lsn(offset + buf.len() as u64);
    let value = value(number);
    format::put_record(buf, lsn, KIND, key(number), |out| out.extend_from_slice(&value));
}

fn create(path: &Path) -> Result<File, LogError> {
    let file = File::options().read(true).write(true).create(true).truncate(true).open(path);
    file.map_err(failed(IoOp::Create, path))
}

fn failed(op: IoOp, path: &Path) -> impl FnOnce(io::Error) -> LogError {
    move |source| LogError::Io { op, path: path.to_owned(), source }
}

impl Drop for PlainFile {
    fn drop(&mut self) {
        // The directory goes anyway.
        let _ = std::fs::remove_file(&self.path);
    }
}

/// A file of records of one length that are read by number, without looking at what they say.
pub struct PlainReads {
    file: File,
    path: PathBuf,
    buf: Vec<u8>,
}

impl PlainReads {
    /// Writes a file of this many records.
    ///
    /// # Errors
    /// [`LogError::Io`] if the disk refuses.
    pub fn new(dir: &Path, records: u64) -> Result<Self, LogError> {
        let path = dir.join("plain-reads");
        let file = create(&path)?;
        let (mut buf, mut offset) = (Vec::new(), 0);
        put_record(&mut buf, 0, 1);
        let record_bytes = buf.len();
        for number in 2..=records {
            put_record(&mut buf, offset, number);
            if buf.len() >= 1 << 20 || number == records {
                file.write_all_at(&buf, offset).map_err(failed(IoOp::Write, &path))?;
                offset += buf.len() as u64;
                buf.clear();
            }
        }
        Ok(Self { file, path, buf: vec![0; record_bytes] })
    }

    /// Reads a record, numbered from 1, and returns how many bytes it has.
    ///
    /// # Errors
    /// [`LogError::Io`] if the disk refuses.
    pub fn get(&mut self, number: u64) -> Result<usize, LogError> {
        let offset = (number - 1) * self.buf.len() as u64;
        let read = self.file.read_exact_at(&mut self.buf, offset);
        read.map_err(failed(IoOp::Read, &self.path))?;
        Ok(self.buf.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plain_file_takes_batches_and_leaves_nothing() {
        let dir = tempfile::tempdir().unwrap();
        for plain in [Plain::Synced, Plain::Growing, Plain::Overwriting] {
            let mut file = PlainFile::new(dir.path(), plain, 4 << 20).unwrap();
            assert!(file.run(64, Duration::from_millis(2)).unwrap() > 0.0);
        }
        assert_eq!(dir.path().read_dir().unwrap().count(), 0);
    }

    #[test]
    fn every_record_can_be_read() {
        let dir = tempfile::tempdir().unwrap();
        let mut reads = PlainReads::new(dir.path(), 10_000).unwrap();
        let bytes = reads.get(1).unwrap();
        assert_eq!(reads.get(10_000).unwrap(), bytes);
        assert!(reads.get(10_001).is_err());
    }

    #[test]
    fn a_disk_that_refuses_is_named() {
        let gone = Path::new("/no/such/directory");
        let refused = PlainFile::new(gone, Plain::Growing, 0).err().unwrap();
        assert!(refused.to_string().starts_with("cannot make /no/such/directory/plain"));
    }
}
