//! What the same disk does without the logstore, and what others do with it.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use engine::ids::Lsn;
use engine::storage::format::{self, BATCH_HEADER_BYTES, BatchHeader};
use heed::types::Bytes;
use heed::{CommitOrAbort, Database, Env, EnvOpenOptions};

use crate::{SEGMENT_BYTES, VALUE_BYTES, key, now, seconds_since};

/// Bytes of a file of zeros that is written over again and again.
const RAW_BYTES: u64 = 1 << 30;

/// What a plain file is asked to do.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Plain {
    /// Each batch is written to a file of zeros and synced.
    Synced,
    /// Each batch is written to a new file, which grows; no sync. After a segment's length
    /// another file is begun.
    Growing,
    /// Each batch is written to a file of zeros that the kernel has in memory; no sync.
    Overwriting,
}

/// The same framing and checksums written to plain files, without anything else.
pub(crate) struct Raw {
    plain: Plain,
    file: File,
    path: PathBuf,
    buf: Vec<u8>,
    offset: u64,
    next: u64,
}

impl Raw {
    pub(crate) fn new(dir: &Path, plain: Plain) -> Self {
        let path = dir.join("raw");
        let file = create(&path);
        if plain != Plain::Growing {
            let zeros = vec![0; 1 << 20];
            for offset in (0..RAW_BYTES).step_by(zeros.len()) {
                file.write_all_at(&zeros, offset).expect("there is room");
            }
            file.sync_all().expect("the disk works");
        }
        Self { plain, file, path, buf: Vec::new(), offset: 0, next: 1 }
    }

    /// Returns records per second over a window, each write of `batch` records.
    pub(crate) fn run(&mut self, batch: u64, window: Duration) -> f64 {
        let (began, first) = (now(), self.next);
        while now().since(began) < window {
            self.encode(batch);
            self.file.write_all_at(&self.buf, self.offset).expect("there is room");
            self.offset += self.buf.len() as u64;
            if self.plain == Plain::Synced {
                self.file.sync_data().expect("the disk works");
                self.offset = format::align_up(self.offset);
            }
            if self.plain == Plain::Growing && self.offset > SEGMENT_BYTES {
                // Nothing else has a name for the file that is full: its room comes back.
                std::fs::remove_file(&self.path).expect("it is there");
                self.file = create(&self.path);
                self.offset = 0;
            }
            if self.offset + (1 << 20) > RAW_BYTES {
                self.offset = 0;
            }
        }
        (self.next - first) as f64 / seconds_since(began)
    }

    fn encode(&mut self, batch: u64) {
        let mut value = [7; VALUE_BYTES];
        self.buf.clear();
        self.buf.extend_from_slice(&[0; BATCH_HEADER_BYTES]);
        for _ in 0..batch {
            value[..8].copy_from_slice(&self.next.to_be_bytes());
            let lsn = Lsn(self.offset + self.buf.len() as u64);
            format::put_record(&mut self.buf, lsn, 3, key(self.next), |out| {
                out.extend_from_slice(&value);
            });
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

fn create(path: &Path) -> File {
    let file = File::options().read(true).write(true).create(true).truncate(true).open(path);
    file.expect("there is room")
}

impl Drop for Raw {
    fn drop(&mut self) {
        // The directory goes anyway.
        let _ = std::fs::remove_file(&self.path);
    }
}

/// LMDB that holds the values, each transaction synced.
pub(crate) struct PlainLmdb {
    env: Env,
    db: Database<'static, Bytes, Bytes>,
    next: u64,
}

impl PlainLmdb {
    pub(crate) fn open(dir: &Path) -> Self {
        std::fs::create_dir_all(dir).expect("there is room");
        let mut options = EnvOpenOptions::new();
        options.map_size(8 << 30);
        // SAFETY: nobody else has the directory.
        let env = unsafe { options.open(dir) }.expect("LMDB opens");
        let txn = env.write_txn().expect("LMDB works");
        let db = env
            .create_databases_and_commit(txn, |opener, txn| {
                let db = opener.create_database::<Bytes, Bytes>(txn, None)?;
                Ok::<_, heed::Error>(CommitOrAbort::<_, ()>::Commit(db))
            })
            .expect("LMDB works")
            .unwrap_commit();
        Self { env, db, next: 1 }
    }

    pub(crate) fn put(&mut self, records: u64) {
        let mut txn = self.env.write_txn().expect("LMDB works");
        for _ in 0..records {
            self.db.put(&mut txn, &key(self.next), &[7; VALUE_BYTES]).expect("LMDB works");
            self.next += 1;
        }
        txn.commit().expect("LMDB works");
    }

    pub(crate) fn run(&mut self, batch: u64, window: Duration) -> f64 {
        let (began, first) = (now(), self.next);
        while now().since(began) < window {
            self.put(batch);
        }
        (self.next - first) as f64 / seconds_since(began)
    }

    pub(crate) fn get(&self, number: u64) -> usize {
        let txn = self.env.read_txn().expect("LMDB works");
        self.db.get(&txn, &key(number)).expect("LMDB works").map_or(0, <[u8]>::len)
    }
}

/// fjall, each batch synced.
pub(crate) struct Fjall {
    db: fjall::Database,
    keyspace: fjall::Keyspace,
    next: u64,
}

impl Fjall {
    pub(crate) fn open(dir: &Path) -> Self {
        let db = fjall::Database::builder(dir).open().expect("fjall opens");
        let keyspace =
            db.keyspace("bench", fjall::KeyspaceCreateOptions::default).expect("fjall opens");
        Self { db, keyspace, next: 1 }
    }

    pub(crate) fn run(&mut self, batch: u64, window: Duration) -> f64 {
        let (began, first) = (now(), self.next);
        while now().since(began) < window {
            let mut write = self.db.batch().durability(Some(fjall::PersistMode::SyncData));
            for _ in 0..batch {
                write.insert(&self.keyspace, key(self.next), [7; VALUE_BYTES]);
                self.next += 1;
            }
            write.commit().expect("fjall works");
        }
        (self.next - first) as f64 / seconds_since(began)
    }
}
