//! What others do on the same disk.

use std::path::Path;
use std::time::Duration;

use engine::bench::{VALUE_BYTES, key, now, seconds_since};
use heed::types::Bytes;
use heed::{CommitOrAbort, Database, Env, EnvOpenOptions};

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
