//! The log, as a snapshot tells of it.

use std::sync::Arc;

use engine::clock::Time;
use engine::perf::Histogram;
use engine::perf::catalog::LOGSTORE_FSYNC;
use engine::storage;

use super::{Album, LOOK_INTERVAL};
use crate::app::looks::Files;
use crate::app::results::Results;
use crate::app::state::{IndexRow, StoreRow};

impl Album {
    /// Looks how large the log's files are: now and then, as packing goes on by itself, and at once
    /// when there are more or fewer, so that they are never smaller than the log in them.
    pub(super) fn look_at_files(&mut self, now: Time, results: &Results) {
        let store = &results.issuer.store;
        let are_same = self.files_seen == (store.segments, store.retired);
        let is_early = self.looked_at.is_set() && now.since(self.looked_at) < LOOK_INTERVAL;
        if !(are_same && is_early) {
            self.files_seen = (store.segments, store.retired);
            // What can't be read is not known.
            let found = storage::segment_files(&self.data_dir).ok();
            self.files = found.map(|found| Files::of(&found, store.log_bytes));
        }
    }

    pub(super) fn store_row(&self, results: &Results) -> StoreRow {
        let store = &results.issuer.store;
        StoreRow {
            segments: store.segments,
            log_bytes: store.log_bytes,
            file_bytes: self.files.as_ref().map(|files| files.bytes),
            files: self.files.as_ref().map(|files| Arc::clone(&files.rows)).unwrap_or_default(),
            retired: Some(store.retired),
            issuer_starts: results.issuer_starts,
            records: store.records,
            bytes: store.bytes,
            padding_bytes: Some(store.padding_bytes),
            batches: store.batches,
            syncs: Some(store.syncs),
            unsynced_bytes: Some(store.unsynced_bytes),
            sync: results.metrics.histogram(LOGSTORE_FSYNC).and_then(Histogram::spread),
            index: Some(IndexRow {
                keys: store.index.keys,
                bytes: store.index.bytes,
                rows: store.index.rows,
                file_bytes: store.index.file_bytes,
                behind_bytes: store.index.behind_bytes,
                checkpoints: store.index.checkpoints,
            }),
            trouble: store.trouble.clone(),
            index_trouble: store.index_trouble.clone(),
            is_blocked: store.is_blocked,
            recovery: self.recovery.clone(),
        }
    }
}
