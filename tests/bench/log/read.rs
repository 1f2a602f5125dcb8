//! Targets 9 to 12: reading, and the index in memory.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::time::Duration;

use engine::bench::{Lmdb, SEGMENT_BYTES, VALUE_BYTES, fill, key, now, options, seconds_since};
use engine::config::scenario::FsyncPolicy;
use engine::ids::Lsn;
use engine::perf::compare::median;
use engine::storage::format;
use engine::storage::index::{Index, Place};
use engine::storage::recovery::{self, Cursor};
use engine::storage::{LogOptions, reader};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use crate::append::open;
use crate::peers::PlainLmdb;
use crate::{Effort, compare, ratio_line, value_line};

/// How much the floor of a scan reads at once: what the scan does.
const READ_BYTES: usize = 256 << 10;

/// Targets 9 and 10: single records.
pub(crate) fn get(effort: &Effort) {
    let keys = 500_000 / effort.scale;
    let dir = tempfile::tempdir().expect("there is room");
    let mut lmdb = PlainLmdb::open(&dir.path().join("lmdb"));
    lmdb.put(keys);
    for (name, index_bytes, target) in [("hot", 1 << 30, "1.0"), ("fallback", 0, "0.65")] {
        let options = LogOptions { index_bytes, ..options(FsyncPolicy::None) };
        let part = dir.path().join(name);
        let mut store = open(&part, options, Lmdb::Follows);
        store.fill(keys).expect("the disk works");
        store.settle().expect("the disk works");
        if name == "fallback" {
            // All is in LMDB, and nothing in memory.
            store.close().expect("the disk works");
            store = open(&part, options, Lmdb::Follows);
        }
        let found = compare(
            effort,
            |window| gets(window, keys, |number| store.get(number).expect("the log is sound")),
            |window| gets(window, keys, |number| lmdb.get(number)),
        );
        ratio_line("get", &format!("gets/s, {name}, vs LMDB's get"), &found, target);
    }
}

/// Returns how many random keys are found a second.
fn gets(window: Duration, keys: u64, mut get: impl FnMut(u64) -> usize) -> f64 {
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let (began, mut gets) = (now(), 0);
    while now().since(began) < window {
        for _ in 0..1000 {
            let number = 1 + rng.next_u64() % keys;
            assert_eq!(get(number), VALUE_BYTES, "every key is there");
            gets += 1;
        }
    }
    f64::from(gets) / seconds_since(began)
}

/// Target 11: the index in memory.
pub(crate) fn index(effort: &Effort) {
    let keys = 10_000_000 / effort.scale;
    let mut stalls = Vec::new();
    let mut index = Index::new(u64::MAX);
    for _ in 0..effort.turns.count {
        index = Index::new(u64::MAX);
        let mut longest = Duration::ZERO;
        // A ticket has two keys.
        for first in (1..keys / 2).step_by(512) {
            let began = now();
            for number in first..first + 512 {
                let lsn = Lsn(number * 320);
                index.insert(&key(number), Place { lsn, len: 150 });
                let completed = (u128::from(number) << 64 | 1).to_be_bytes();
                index.insert(&completed, Place { lsn: Lsn(lsn.0 + 160), len: 90 });
            }
            longest = longest.max(now().since(began));
        }
        stalls.push(longest.as_secs_f64() * 1e3);
    }
    let bytes = index.bytes() as f64 / index.keys() as f64;
    value_line("index", "bytes a key", bytes, "14");
    value_line("index", "longest 1024 inserts on the way, ms", median(stalls), "1");
}

/// Target 12: scanning.
pub(crate) fn scan(effort: &Effort) {
    let dir = tempfile::tempdir().expect("there is room");
    // The first segment is full and sealed, and the only one that is looked at.
    fill(dir.path(), SEGMENT_BYTES + (1 << 20), Lmdb::Absent).expect("there is room");
    let segment = reader::log_dir(dir.path()).join("0000000000000000.seg");
    for entry in std::fs::read_dir(reader::log_dir(dir.path())).expect("it was written") {
        let path = entry.expect("it was written").path();
        if path != segment {
            std::fs::remove_file(path).expect("it was written");
        }
    }
    let image = std::fs::read(&segment).expect("it was written");
    let (mut ours, mut floors, mut in_memory) = (Vec::new(), Vec::new(), Vec::new());
    let header = format::SegmentHeader::decode(&image).expect("it was written");
    let rate = |began| image.len() as f64 / seconds_since(began) / 1e9;
    for _ in 0..effort.turns.count * 4 {
        let began = now();
        let found = reader::scan(dir.path(), &mut |_| {}).expect("the log is sound");
        ours.push(rate(began));
        assert_eq!(found.end, Lsn(image.len() as u64));
        let file = File::open(&segment).expect("it was written");
        let mut buf = vec![0; READ_BYTES];
        let (began, mut offset) = (now(), 0);
        while let Ok(count @ 1..) = file.read_at(&mut buf, offset) {
            offset += count as u64;
        }
        floors.push(rate(began));
        let from =
            Cursor { offset: format::SEGMENT_HEADER_BYTES as u64, prev_crc: header.prev_crc };
        let began = now();
        let Ok(found) = recovery::scan(&mut &image[..], &header, from, &mut |_| {});
        in_memory.push(rate(began));
        assert_eq!(found.end, image.len() as u64);
    }
    ratio_line("scan", "GB/s with checksums, vs reading alone", &(ours, floors), "0.55");
    value_line("scan", "GB/s with checksums, from memory", median(in_memory), "6.5");
}
