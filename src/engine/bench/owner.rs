//! The logstore as its owner uses it.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use super::{KIND, SEGMENT_BYTES, key, now, seconds_since, value};
use crate::config::scenario::{Compression, FsyncPolicy};
use crate::ids::Lsn;
use crate::limits;
use crate::storage::{
    Hands, IoOp, LogError, LogOptions, LogPlace, LogStats, Logstore, Opening, OwnerState, reader,
};

/// Room for every key of a bench in memory.
const INDEX_BYTES: u64 = 4 << 30;

/// An open log, and what its owner appends next.
pub struct LogOwner {
    dir: PathBuf,
    log: Logstore,
    news: Receiver<()>,
    next: u64,
    /// Where the commit before the last one ended.
    before: Lsn,
}

/// Whether LMDB follows the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lmdb {
    /// There is none.
    Absent,
    /// As in an office.
    Follows,
}

/// Returns the options of a log that keeps all it is given.
pub fn options(policy: FsyncPolicy) -> LogOptions {
    LogOptions {
        segment_bytes: SEGMENT_BYTES,
        policy,
        retain_bytes: None,
        index_bytes: INDEX_BYTES,
        compression: Compression::None,
        checkpoint_bytes: limits::CHECKPOINT_BYTES_MIN,
    }
}

impl LogOwner {
    /// Opens a log, which is made if it is not there.
    ///
    /// # Errors
    /// [`LogError`] if it can't be opened.
    pub fn open(dir: &Path, options: LogOptions, lmdb: Lmdb) -> Result<Self, LogError> {
        let (send, news) = channel();
        let hands = Hands::Threads(Arc::new(move || {
            // Nobody may be waiting any more.
            let _ = send.send(());
        }));
        let mut place = LogPlace::in_data_dir(dir);
        if lmdb == Lmdb::Absent {
            place.index = None;
        }
        let (log, _) = Opening::begin(&place, options, hands)?.replay(&mut |_| {})?;
        Ok(Self { dir: reader::log_dir(dir), log, news, next: 1, before: Lsn(0) })
    }

    /// Returns how many records it has appended.
    pub fn appended(&self) -> u64 {
        self.next - 1
    }

    /// Returns what the log did since it was opened.
    pub fn stats(&self) -> LogStats {
        self.log.stats()
    }

    fn append(&mut self, records: u64) {
        for _ in 0..records {
            let value = value(self.next);
            self.log.append_with(KIND, key(self.next), |out| out.extend_from_slice(&value));
            self.next += 1;
        }
    }

    fn wait(&mut self) -> Result<(), LogError> {
        // Whoever waits is woken by the helper; a wake-up that was for somebody else does no harm.
        let _ = self.news.recv_timeout(Duration::from_millis(100));
        self.log.poll(now())?;
        Ok(())
    }

    /// Commits what was appended and waits until the commit before may be acknowledged: while one
    /// batch is being synced the next one fills.
    fn commit(&mut self) -> Result<(), LogError> {
        let mut end = self.log.commit(now())?;
        while self.log.is_blocked() {
            self.wait()?;
            // An office waits for room; nobody waits for a bench.
            if let Some(trouble) = self.log.trouble() {
                let (op, source) = (IoOp::Create, io::Error::other(trouble.to_owned()));
                return Err(LogError::Io { op, path: self.dir.clone(), source });
            }
            end = self.log.commit(now())?.or(end);
        }
        self.finish()?;
        if let Some(end) = end {
            self.before = end;
        }
        if self.log.wants_checkpoint(now()) {
            self.log.checkpoint(OwnerState::default(), now());
        }
        self.log.poll(now())?;
        Ok(())
    }

    fn finish(&mut self) -> Result<(), LogError> {
        while self.log.acknowledged() < self.before {
            self.wait()?;
        }
        Ok(())
    }

    /// Waits until all that was written is on the disk.
    ///
    /// # Errors
    /// [`LogError`] if the disk fails.
    pub fn settle(&mut self) -> Result<(), LogError> {
        // A log that rests for a moment writes a mark, which has to be synced too.
        while self.log.stats().unsynced_bytes > 0 {
            self.log.sync_now(now());
            self.wait()?;
        }
        Ok(())
    }

    /// Appends records up to a number, 64 a commit.
    ///
    /// # Errors
    /// [`LogError`] if the disk fails.
    pub fn fill(&mut self, records: u64) -> Result<(), LogError> {
        while self.next <= records {
            self.append(64.min(records + 1 - self.next));
            self.commit()?;
        }
        Ok(())
    }

    /// Returns records per second over a window, each commit of `batch` records.
    ///
    /// # Errors
    /// [`LogError`] if the disk fails.
    pub fn run(&mut self, batch: u64, window: Duration) -> Result<f64, LogError> {
        let (began, first) = (now(), self.next);
        while now().since(began) < window {
            self.append(batch);
            self.commit()?;
        }
        self.finish()?;
        Ok((self.next - first) as f64 / seconds_since(began))
    }

    /// Ends the log in order.
    ///
    /// # Errors
    /// [`LogError`] if the disk fails.
    pub fn close(self) -> Result<(), LogError> {
        self.log.close(OwnerState::default(), now()).map(drop)
    }

    /// Returns how many bytes the value of a number has in the log; zero if it is not there.
    ///
    /// # Errors
    /// [`LogError`] if the log is not what was written.
    pub fn get(&mut self, number: u64) -> Result<usize, LogError> {
        let record = self.log.get(&key(number))?;
        Ok(record.map_or(0, |record| record.value.len()))
    }
}

/// Writes a log of at least this many bytes, ended in order, and returns how many records it has.
///
/// # Errors
/// [`LogError`] if the disk fails.
pub fn fill(dir: &Path, bytes: u64, lmdb: Lmdb) -> Result<u64, LogError> {
    let mut owner = LogOwner::open(dir, options(FsyncPolicy::None), lmdb)?;
    while owner.stats().bytes < bytes {
        owner.append(64);
        owner.commit()?;
    }
    let records = owner.appended();
    owner.close()?;
    Ok(records)
}

#[cfg(test)]
mod tests {
    use super::super::VALUE_BYTES;
    use super::*;

    #[test]
    fn what_was_run_can_be_read() {
        let dir = tempfile::tempdir().unwrap();
        let mut owner =
            LogOwner::open(dir.path(), options(FsyncPolicy::None), Lmdb::Follows).unwrap();
        assert!(owner.run(3, Duration::from_millis(2)).unwrap() > 0.0);
        owner.settle().unwrap();
        let last = owner.appended();
        assert_eq!(owner.get(last).unwrap(), VALUE_BYTES);
        assert_eq!(owner.get(last + 1).unwrap(), 0);
        owner.close().unwrap();
    }
}
