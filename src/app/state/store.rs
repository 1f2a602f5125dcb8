//! The log as a snapshot shows it: its files, its index, and what the last start found in it.

use std::sync::Arc;
use std::time::Duration;

use engine::perf::Spread;
use serde::{Deserialize, Serialize};

use crate::app::serial;

/// The log. What its issuer would have to tell is `None` in a replay.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct StoreRow {
    /// Segments of the log; zero while it is not open.
    pub(crate) segments: u64,
    /// Bytes of the log, as `log stats` counts them.
    pub(crate) log_bytes: u64,
    /// Bytes of its files; `None` until somebody has looked.
    pub(crate) file_bytes: Option<u64>,
    /// Its newest files, oldest first, at most [`SEGMENT_ROWS_MAX`].
    #[serde(skip)]
    pub(crate) files: Arc<Vec<SegmentRow>>,
    /// Old segments that this issuer has let go of.
    pub(crate) retired: Option<u64>,
    /// Times that the issuer was started.
    pub(crate) issuer_starts: u32,
    /// Records appended by this issuer.
    pub(crate) records: u64,
    /// Bytes appended by this issuer.
    pub(crate) bytes: u64,
    /// Bytes of the log between those: left so that no synced block is written again, and marks.
    pub(crate) padding_bytes: Option<u64>,
    /// Batches written by this issuer.
    pub(crate) batches: u64,
    /// Syncs done by this issuer.
    pub(crate) syncs: Option<u64>,
    /// Bytes written but not yet known to be on the disk.
    pub(crate) unsynced_bytes: Option<u64>,
    /// Latency of a sync; `None` before the first or when metrics are compiled out.
    pub(crate) sync: Option<Spread>,
    /// Where records are found by key.
    pub(crate) index: Option<IndexRow>,
    /// Why the log can't grow, if it can't.
    pub(crate) trouble: Option<String>,
    /// Why the index can't follow the log, if it can't; the log goes on.
    pub(crate) index_trouble: Option<String>,
    /// Requests wait until the log can grow.
    pub(crate) is_blocked: bool,
    /// What the last start of the issuer found.
    pub(crate) recovery: Option<RecoveryRow>,
}

impl StoreRow {
    /// Returns the mean number of records in a batch; `None` before the first.
    pub(crate) fn batch_records(&self) -> Option<f64> {
        #[expect(clippy::cast_precision_loss, reason = "a mean for people")]
        (self.batches > 0).then(|| self.records as f64 / self.batches as f64)
    }
}

/// Files of the log that are listed.
pub(crate) const SEGMENT_ROWS_MAX: usize = 512;

/// One file of the log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SegmentRow {
    /// Its name.
    pub(crate) name: String,
    /// The position of its first byte in the log.
    pub(crate) first: u64,
    /// How it lies on the disk.
    pub(crate) form: SegmentForm,
    /// Bytes of log in it; of the one that is written, as of the last look.
    pub(crate) bytes: u64,
    /// Bytes of the file: less where it is packed, more where room was made beforehand.
    pub(crate) file_bytes: u64,
}

/// How a segment lies on the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) enum SegmentForm {
    /// It is written now.
    Active,
    /// It is full and will not change.
    Sealed,
    /// It is full and packed.
    Packed,
}

impl SegmentForm {
    /// Returns the word that tables show.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Sealed => "sealed",
            Self::Packed => "packed",
        }
    }
}

/// The index of the log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct IndexRow {
    /// Keys in memory.
    pub(crate) keys: u64,
    /// Memory that they take.
    pub(crate) bytes: u64,
    /// Rows in LMDB.
    pub(crate) rows: u64,
    /// How large LMDB's file is.
    pub(crate) file_bytes: u64,
    /// Bytes of log that LMDB does not know yet.
    pub(crate) behind_bytes: u64,
    /// Checkpoints made by this issuer.
    pub(crate) checkpoints: u64,
}

/// What a start of the issuer found in the log.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RecoveryRow {
    /// Segments that were there; none if the log is new.
    pub(crate) segments: u64,
    /// Why the index was made anew; `None` if it was whole.
    pub(crate) rebuilt: Option<String>,
    /// Records that the old index knew and that the log no longer holds.
    pub(crate) lost_keys: u64,
    /// Records read.
    pub(crate) records: u64,
    /// Unfinished tickets queued again.
    pub(crate) requeued: u64,
    /// Bytes of a torn tail that were set aside.
    pub(crate) torn_bytes: u64,
    /// The file in which they are kept.
    pub(crate) kept_aside: Option<String>,
    /// How long it took.
    #[serde(with = "serial::ns")]
    pub(crate) elapsed: Duration,
}
