//! Targets 13 to 15: opening.

use std::sync::Arc;

use engine::bench::{Lmdb, SEGMENT_BYTES, VALUE_BYTES, fill, now, options, seconds_since};
use engine::config::scenario::FsyncPolicy;
use engine::perf::compare::median;
use engine::storage::{Hands, LogPlace, Opening};

use crate::append::open;
use crate::{Effort, value_line};

/// Target 13: a tail that LMDB does not know.
pub(crate) fn replay(effort: &Effort) {
    let dir = tempfile::tempdir().expect("there is room");
    fill(dir.path(), SEGMENT_BYTES - (1 << 20), Lmdb::Absent).expect("there is room");
    let mut times = Vec::new();
    for _ in 0..effort.turns.count * 2 {
        let mut place = LogPlace::in_data_dir(dir.path());
        place.index = None;
        let hands = Hands::Caller(Arc::new(|| false));
        let began = now();
        let opening = Opening::begin(&place, options(FsyncPolicy::None), hands);
        let (log, found) = opening.expect("it opens").replay(&mut |_| {}).expect("it is sound");
        times.push(seconds_since(began) * 1e3);
        assert!(found.records > 300_000 && log.stats().index_keys > 300_000);
    }
    value_line("replay", "ms for a 64 MiB tail into the index", median(times), "30");
}

/// Target 14: LMDB is gone.
pub(crate) fn rebuild(effort: &Effort) {
    let dir = tempfile::tempdir().expect("there is room");
    let records = fill(dir.path(), (1 << 30) / effort.scale, Lmdb::Follows).expect("there is room");
    let mut times = Vec::new();
    for _ in 0..effort.turns.count {
        std::fs::remove_dir_all(dir.path().join("index")).expect("it was there");
        let began = now();
        let mut store = open(dir.path(), options(FsyncPolicy::None), Lmdb::Follows);
        times.push(seconds_since(began));
        assert_eq!(store.get(records / 2).expect("it is sound"), VALUE_BYTES);
    }
    let what = format!("s for a lost LMDB, {records} keys");
    value_line("rebuild", &what, median(times), "1.5");
}

/// Target 15: a warm start.
pub(crate) fn warm(effort: &Effort) {
    let dir = tempfile::tempdir().expect("there is room");
    let keys = 5_000_000 / effort.scale;
    let records =
        fill(dir.path(), keys * (24 + VALUE_BYTES as u64), Lmdb::Follows).expect("there is room");
    let mut times = Vec::new();
    for _ in 0..effort.turns.count {
        let began = now();
        let mut store = open(dir.path(), options(FsyncPolicy::None), Lmdb::Follows);
        times.push(seconds_since(began));
        assert_eq!(store.get(records / 2).expect("it is sound"), VALUE_BYTES);
        store.close().expect("the disk works");
    }
    let what = format!("s to be verified and serving, {records} keys");
    value_line("warm", &what, median(times), "0.5");
}
