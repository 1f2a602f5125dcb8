//! LMDB behind the log: when it is to follow, and reading what both know.

use std::sync::Arc;
use std::time::Duration;

use super::{LogOptions, LogStats, Logstore};
use crate::clock::Time;
use crate::config::scenario::Compression;
use crate::ids::Lsn;
use crate::storage::format::RecordRef;
use crate::storage::helper::{Gone, Helper};
use crate::storage::index::{Key, Place};
use crate::storage::indexer::{self, Advance, Advanced, IndexJob, IndexNews, Indexer};
use crate::storage::lmdb::Lmdb;
use crate::storage::{Hands, IndexError, LogError};

/// Bytes of log that LMDB does not know after which a checkpoint is due...
const CHECKPOINT_BYTES: u64 = 32 << 20;
/// ...or this long after the last one, if as many bytes came as the owner's state has, and at
/// least [`LogOptions::checkpoint_bytes`](super::LogOptions): an idle log is not written over and
/// over.
const CHECKPOINT_AFTER: Duration = Duration::from_secs(1);

/// What the log's owner wants back when the log is opened again, as of all that is written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OwnerState {
    /// Bytes that only the owner understands.
    pub bytes: Vec<u8>,
    /// The oldest key whose record the owner still needs: it and what follows is retained.
    pub needed: Option<Key>,
}

/// LMDB, behind the log.
pub(super) struct Checkpoints {
    pub(super) lmdb: Arc<Lmdb>,
    pub(super) helper: Helper<IndexJob, Result<IndexNews, LogError>>,
    compression: Compression,
    /// Up to where LMDB knows the log, and the header CRC there.
    pub(super) indexed: (Lsn, u32),
    /// Where the log begins.
    first: Lsn,
    /// A checkpoint that waits for the log to be synced up to there.
    waiting: Option<Advance>,
    /// A checkpoint that is being made.
    making: Option<(Lsn, u32)>,
    last: Time,
    state_bytes: u64,
    bytes_min: u64,
    segment_bytes: u64,
    pub(super) retain: Option<u64>,
    /// Whether LMDB has a state; without one it can't be opened warm.
    has_state: bool,
    /// Why the last one failed, until one succeeds.
    pub(super) trouble: Option<String>,
}

impl Checkpoints {
    /// Makes a last checkpoint after those that are under way.
    pub(super) fn finish(mut self, last: Advance, stats: &mut LogStats) -> Result<(), LogError> {
        let end = last.to;
        self.helper.give(IndexJob::Advance(last));
        let mut done = Err(LogError::ReadOnly);
        for result in self.helper.finish() {
            if let Ok(IndexNews::Advanced(advanced)) = &result {
                stats.advanced(advanced);
                if advanced.retired > 0 {
                    stats.log_bytes = end.0 - advanced.first.0;
                }
            }
            done = result;
        }
        done.map(drop)
    }
}

impl LogStats {
    /// Takes note of a checkpoint.
    fn advanced(&mut self, advanced: &Advanced) {
        self.checkpoints += 1;
        self.lmdb_rows = advanced.rows;
        self.lmdb_bytes = advanced.bytes;
        self.retired += advanced.retired;
        self.segments -= advanced.retired;
    }
}

impl Logstore {
    /// Returns why the next segment can't be made at present, if it can't.
    pub fn trouble(&self) -> Option<&str> {
        self.trouble.as_deref()
    }

    /// Returns why LMDB can't follow the log at present, if it can't. The log goes on without.
    pub fn index_trouble(&self) -> Option<&str> {
        self.checkpoints.as_ref().and_then(|made| made.trouble.as_deref())
    }

    pub(super) fn follow(
        &mut self,
        mut indexer: Indexer,
        options: &LogOptions,
        hands: &Hands,
    ) -> Result<Checkpoints, LogError> {
        let checkpoint = &indexer.checkpoint;
        self.stats.lmdb_rows = checkpoint.rows;
        self.stats.lmdb_bytes = indexer.lmdb.bytes();
        self.index.cover(checkpoint.indexed);
        let state_bytes = checkpoint.state.as_ref().map(|state| state.len() as u64);
        Ok(Checkpoints {
            lmdb: Arc::clone(&indexer.lmdb),
            indexed: (checkpoint.indexed, checkpoint.prev_crc),
            first: checkpoint.first,
            waiting: None,
            making: None,
            last: Time::ZERO,
            compression: indexer.compression,
            state_bytes: state_bytes.unwrap_or(0),
            bytes_min: options.checkpoint_bytes,
            segment_bytes: options.segment_bytes,
            retain: options.retain_bytes,
            has_state: state_bytes.is_some(),
            trouble: None,
            helper: Helper::start("log-index", hands, move |job| indexer.work(job))?,
        })
    }

    /// Changes how many bytes of log are kept, from the next checkpoint on.
    pub(super) fn set_retain(&mut self, retain: Option<u64>) {
        if let Some(made) = &mut self.checkpoints {
            made.retain = retain;
        }
    }

    /// Returns the latest acknowledged record of a key.
    ///
    /// # Errors
    /// [`LogError`] if the index or the log is not what was written.
    pub fn get(&mut self, key: &Key) -> Result<Option<RecordRef<'_>>, LogError> {
        let place = match (self.index.get(key), &self.checkpoints) {
            (Some(place), _) => Some(place),
            (None, None) => None,
            (None, Some(made)) => match made.lmdb.get(key)? {
                // LMDB's word that there is none holds only for what it knows.
                None if self.index.evicted_early() > 0 => self.search(key, made)?,
                found => found,
            },
        };
        let first = self.checkpoints.as_ref().map_or(Lsn(0), |made| made.first);
        let acknowledged = self.plan.acknowledged();
        match place.filter(|place| place.lsn >= first && place.lsn < acknowledged) {
            Some(place) => self.shelf.read(key, place).map(Some),
            None => Ok(None),
        }
    }

    /// Looks for a key in the part of the log that LMDB does not know.
    fn search(&self, key: &Key, made: &Checkpoints) -> Result<Option<Place>, LogError> {
        let (from, prev_crc) = made.indexed;
        let mut place = None;
        indexer::visit_between(&self.files, (from, prev_crc), self.plan.written(), &mut |row| {
            if row.key == *key {
                place = Some(row.place);
            }
        })?;
        Ok(place)
    }

    /// Returns whether the owner should hand over its state now ([`Self::checkpoint`]).
    pub fn wants_checkpoint(&self, now: Time) -> bool {
        self.checkpoint_at() <= now
    }

    /// When LMDB should follow the log, if nothing more is written.
    pub(super) fn checkpoint_at(&self) -> Time {
        let Some(made) = &self.checkpoints else {
            return Time::NEVER;
        };
        // The owner's state is as of all that is written: what waits for room is not.
        if made.waiting.is_some() || made.making.is_some() || self.has_uncommitted() {
            return Time::NEVER;
        }
        let behind = self.plan.written().0.saturating_sub(made.indexed.0.0);
        let enough = made.state_bytes.max(made.bytes_min);
        let is_failing = made.trouble.is_some();
        // Old segments go with a checkpoint.
        let is_large = self.plan.written().0 - made.first.0 > made.retain.unwrap_or(u64::MAX);
        let is_due = behind >= enough.max(CHECKPOINT_BYTES)
            || is_large && behind >= made.state_bytes.max(made.segment_bytes);
        if !is_failing && is_due {
            Time::ZERO
        } else if is_failing || behind >= enough || !made.has_state {
            made.last + CHECKPOINT_AFTER
        } else {
            Time::NEVER
        }
    }

    /// Has LMDB follow up to here, and keeps the owner's state, which is as of all that is
    /// written, with it.
    pub fn checkpoint(&mut self, owner: OwnerState, now: Time) {
        let (to, prev_crc) = (self.plan.written(), self.prev_crc);
        let Some(made) = &mut self.checkpoints else {
            return;
        };
        made.state_bytes = owner.bytes.len() as u64;
        made.last = now;
        made.waiting = Some(Advance {
            to,
            prev_crc,
            state: owner.bytes,
            needed: owner.needed,
            retain: made.retain,
            is_clean: false,
        });
        self.sync_now(now);
    }

    /// Has a sealed segment packed.
    pub(super) fn pack(&mut self, first: Lsn) {
        if let Some(made) = &mut self.checkpoints
            && made.compression != Compression::None
        {
            made.helper.give(IndexJob::Pack(first));
        }
    }

    /// Begins a checkpoint whose log is synced, and takes note of one that is made.
    pub(super) fn poll_checkpoint(&mut self, now: Time) -> Result<(), LogError> {
        let synced = self.plan.synced();
        let Some(made) = &mut self.checkpoints else {
            return Ok(());
        };
        if let Some(advance) = made.waiting.take_if(|advance| advance.to <= synced) {
            made.making = Some((advance.to, advance.prev_crc));
            made.helper.give(IndexJob::Advance(advance));
        }
        match made.helper.next() {
            None => return Ok(()),
            Some(Ok(Ok(IndexNews::Packed(first)))) => self.shelf.sealed(first),
            Some(Ok(Ok(IndexNews::NotPacked))) => {}
            Some(Err(Gone)) => return Err(LogError::ReadOnly),
            Some(Ok(Ok(IndexNews::Advanced(advanced)))) => {
                made.trouble = None;
                made.has_state = true;
                made.indexed = made.making.take().unwrap_or(made.indexed);
                made.first = advanced.first;
                made.last = now;
                self.index.cover(advanced.indexed);
                self.stats.advanced(&advanced);
                if advanced.retired > 0 {
                    self.shelf.retire(advanced.first);
                }
            }
            // The log goes on without LMDB, which is tried again.
            Some(Ok(Err(LogError::Index(error @ IndexError::Io { .. })))) => {
                if made.trouble.is_none() {
                    log::error!("the index can not follow the log: {error}");
                }
                made.trouble = Some(error.to_string());
                made.making = None;
                made.last = now;
            }
            Some(Ok(Err(error))) => return Err(error),
        }
        Ok(())
    }
}
