//! The logstore as its owner uses it.

use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use engine::config::scenario::{Compression, FsyncPolicy};
use engine::ids::Lsn;
use engine::limits;
use engine::storage::{Hands, LogOptions, LogPlace, Logstore, Opening, OwnerState};

use crate::{SEGMENT_BYTES, VALUE_BYTES, key, now, seconds_since};

/// Room for every key of a bench in memory.
const INDEX_BYTES: u64 = 4 << 30;

/// An open log, and what its owner appends next.
pub(crate) struct Store {
    pub(crate) log: Logstore,
    news: Receiver<()>,
    pub(crate) next: u64,
    value: [u8; VALUE_BYTES],
    /// Where the commit before the last one ended.
    before: Lsn,
}

/// Whether LMDB follows the log.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lmdb {
    Absent,
    Follows,
}

pub(crate) fn options(policy: FsyncPolicy) -> LogOptions {
    LogOptions {
        segment_bytes: SEGMENT_BYTES,
        policy,
        retain_bytes: None,
        index_bytes: INDEX_BYTES,
        compression: Compression::None,
        checkpoint_bytes: limits::CHECKPOINT_BYTES_MIN,
    }
}

pub(crate) fn open(dir: &Path, options: LogOptions, lmdb: Lmdb) -> Store {
    let (send, news) = channel();
    let hands = Hands::Threads(Arc::new(move || {
        // Nobody may be waiting any more.
        let _ = send.send(());
    }));
    let mut place = LogPlace::in_data_dir(dir);
    if lmdb == Lmdb::Absent {
        place.index = None;
    }
    let opening = Opening::begin(&place, options, hands).expect("the log can be opened");
    let (log, _) = opening.replay(&mut |_| {}).expect("the log is sound");
    Store { log, news, next: 1, value: [7; VALUE_BYTES], before: Lsn(0) }
}

impl Store {
    pub(crate) fn append(&mut self, records: u64) {
        for _ in 0..records {
            let number = self.next;
            self.value[..8].copy_from_slice(&number.to_be_bytes());
            self.log.append_with(3, key(number), |out| out.extend_from_slice(&self.value));
            self.next += 1;
        }
    }

    fn wait(&mut self) {
        // Whoever waits is woken by the helper; a wake-up that was for somebody else does no harm.
        let _ = self.news.recv_timeout(Duration::from_millis(100));
        self.log.poll(now()).expect("the disk works");
    }

    /// Commits what was appended and waits until the commit before may be acknowledged: while one
    /// batch is being synced the next one fills.
    pub(crate) fn commit(&mut self) {
        let mut end = self.log.commit(now()).expect("the disk works");
        while self.log.is_blocked() {
            self.wait();
            end = self.log.commit(now()).expect("the disk works").or(end);
        }
        self.finish();
        if let Some(end) = end {
            self.before = end;
        }
        if self.log.wants_checkpoint(now()) {
            self.log.checkpoint(OwnerState::default(), now());
        }
        self.log.poll(now()).expect("the disk works");
    }

    fn finish(&mut self) {
        while self.log.acknowledged() < self.before {
            self.wait();
        }
    }

    /// Waits until all that was written is on the disk.
    pub(crate) fn settle(&mut self) {
        self.log.sync_now(now());
        while self.log.stats().unsynced_bytes > 0 {
            self.wait();
        }
    }

    /// Appends records up to a number, 64 a commit.
    pub(crate) fn fill(&mut self, records: u64) {
        while self.next <= records {
            self.append(64.min(records + 1 - self.next));
            self.commit();
        }
    }

    /// Returns records per second over a window, each commit of `batch` records.
    pub(crate) fn run(&mut self, batch: u64, window: Duration) -> f64 {
        let (began, first) = (now(), self.next);
        while now().since(began) < window {
            self.append(batch);
            self.commit();
        }
        self.finish();
        (self.next - first) as f64 / seconds_since(began)
    }

    pub(crate) fn close(self) {
        self.log.close(OwnerState::default(), now()).expect("the disk works");
    }

    /// Returns how many bytes the value of a number has in the log.
    pub(crate) fn get(&mut self, number: u64) -> usize {
        let record = self.log.get(&key(number)).expect("the log is sound");
        record.map_or(0, |record| record.value.len())
    }
}

/// Writes a log of at least this many bytes, ended in order, and returns how many records it has.
pub(crate) fn fill(dir: &Path, bytes: u64, lmdb: Lmdb) -> u64 {
    let mut store = open(dir, options(FsyncPolicy::None), lmdb);
    while store.log.stats().bytes < bytes {
        store.append(64);
        store.commit();
    }
    let records = store.next - 1;
    store.close();
    records
}
