//! Single faults at the worst moment, each with what must then hold.

use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::disk::{Fault, SimDisk};
use crate::clock::Time;
use crate::config::scenario::{Compression, FsyncPolicy};
use crate::limits;
use crate::storage::dir::Dir;
use crate::storage::{
    Hands, LogError, LogOptions, LogPlace, Logstore, Opening, OwnerState, salvage,
};

fn options(policy: FsyncPolicy, compression: Compression) -> LogOptions {
    LogOptions {
        segment_bytes: 64 << 10,
        policy,
        retain_bytes: None,
        index_bytes: 1 << 20,
        compression,
        checkpoint_bytes: limits::CHECKPOINT_BYTES_MIN,
    }
}

fn append(log: &mut Logstore, number: u64, value: &[u8]) {
    let key = (u128::from(number) << 64).to_be_bytes();
    log.append_with(3, key, |out| out.extend_from_slice(value));
}

fn open(place: &LogPlace, options: LogOptions) -> Result<(Logstore, u64), LogError> {
    let mut records = 0;
    let opening = Opening::begin(place, options, Hands::Caller(Arc::new(|| true)))?;
    let (log, _) = opening.replay(&mut |_| records += 1)?;
    Ok((log, records))
}

/// A disk, a log on it whose helpers work only while the flag is set.
fn held(policy: FsyncPolicy) -> (SimDisk, Logstore, Arc<AtomicBool>) {
    let disk = SimDisk::new(1);
    let place = LogPlace { log: Arc::new(disk.clone()), index: None };
    let works = Arc::new(AtomicBool::new(true));
    let flag = Arc::clone(&works);
    let hands = Hands::Caller(Arc::new(move || flag.load(Ordering::Relaxed)));
    let opening = Opening::begin(&place, options(policy, Compression::None), hands).unwrap();
    (disk, opening.replay(&mut |_| {}).unwrap().0, works)
}

#[test]
fn after_a_failed_sync_no_later_segment_says_that_all_is_on_the_disk() {
    for policy in [FsyncPolicy::None, FsyncPolicy::EachBatch] {
        let (disk, mut log, works) = held(policy);
        for number in 1..4 {
            append(&mut log, number, &[7; 200]);
            log.commit(Time(1)).unwrap();
            for _ in 0..4 {
                log.poll(Time(1)).unwrap();
            }
        }
        works.store(false, Ordering::Relaxed);
        let mut number = 4;
        while log.stats().rolls < 1 {
            append(&mut log, number, &[7; 200]);
            log.commit(Time(2)).unwrap();
            number += 1;
        }
        // A seal and the head of the next segment wait, and the helper does what it was told.
        disk.fail_after(0, Fault::Sync);
        assert!(matches!(log.close(OwnerState::default(), Time(3)), Err(LogError::Io { .. })));
        let disk = disk.kill();
        let settled = disk.names().unwrap().iter().filter(|name| name.ends_with(".seg")).count();
        assert_eq!(settled, 1, "{policy:?}: {:?}", disk.names());
        let place = LogPlace { log: Arc::new(disk), index: None };
        let (_, records) = open(&place, options(policy, Compression::None)).unwrap();
        let acknowledged = if policy == FsyncPolicy::EachBatch { 3 } else { 0 };
        assert!(records >= acknowledged, "{policy:?}: {records} records are left");
    }
}

#[test]
fn a_disk_without_room_for_packing_leaves_segments_as_they_are() {
    let dir = tempfile::tempdir().unwrap();
    let disk = SimDisk::new(1);
    let index = Some(dir.path().join("index"));
    let place = LogPlace { log: Arc::new(disk.clone()), index };
    let options = options(FsyncPolicy::None, Compression::Lz4);
    let (mut log, _) = open(&place, options).unwrap();
    // The active segment, a full one, and the next one; nothing beside them.
    disk.set_room(Some(3 * options.segment_bytes));
    let mut noise = 1_u64;
    let mut written = 0;
    while !log.is_blocked() {
        let value: Vec<u8> = (0..40)
            .flat_map(|_| {
                noise = noise.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                noise.to_be_bytes()
            })
            .collect();
        written += 1;
        append(&mut log, written, &value);
        log.commit(Time(written)).unwrap();
        log.poll(Time(written)).unwrap();
    }
    assert_eq!(disk.content("pack.tmp"), None, "it takes no room that others need");
    disk.set_room(None);
    log.close(OwnerState::default(), Time(written + 2_000_000_000)).unwrap();
    let place = LogPlace { index: None, ..place };
    assert_eq!(open(&place, options).unwrap().1, written);
}

#[test]
fn a_writer_that_waits_for_room_does_not_ask_to_be_called_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let disk = SimDisk::new(1);
    let place = LogPlace { log: Arc::new(disk.clone()), index: Some(dir.path().join("index")) };
    let (mut log, _) = open(&place, options(FsyncPolicy::None, Compression::None)).unwrap();
    disk.set_room(Some(30 * (64 << 10)));
    let mut now = Time(1);
    let mut number = 1;
    let mut blocked_turns = 0;
    while blocked_turns < 1000 {
        now = Time(now.0 + 100_000);
        log.poll(now).unwrap();
        if !log.is_blocked() {
            append(&mut log, number, &[7; 200]);
            number += 1;
        }
        log.commit(now).unwrap();
        if log.wants_checkpoint(now) {
            log.checkpoint(OwnerState::default(), now);
        }
        if log.is_blocked() {
            blocked_turns += 1;
            assert!(log.deadline() > now, "turn {blocked_turns}");
        }
    }
}

/// Writes a log of packed segments and returns how many records it has.
fn write_packed(dir: &Path) -> u64 {
    let place = LogPlace::in_data_dir(dir);
    let (mut log, _) = open(&place, options(FsyncPolicy::None, Compression::Lz4)).unwrap();
    for number in 1..3000 {
        append(&mut log, number, &[7; 100]);
        log.commit(Time(number)).unwrap();
        log.poll(Time(number)).unwrap();
    }
    log.close(OwnerState::default(), Time(4000)).unwrap();
    2999
}

#[test]
fn a_packed_segment_that_can_not_be_opened_is_passed_over_and_the_others_are_saved() {
    let dir = tempfile::tempdir().unwrap();
    let all = write_packed(dir.path());
    let path = dir.path().join("log/0000000000000000.segz");
    let whole = std::fs::read(&path).unwrap();
    let mut flipped = whole.clone();
    flipped[3] ^= 1;
    for bytes in [&whole[..whole.len() - 1], &flipped] {
        std::fs::write(&path, bytes).unwrap();
        let mut saved = 0;
        let skipped = salvage::salvage(dir.path(), &mut |_| saved += 1).unwrap();
        assert!(saved > all / 2 && saved < all, "{saved} of {all}");
        assert_eq!(skipped.len(), 1, "{skipped:?}");
        assert_eq!((&skipped[0].path, skipped[0].bytes), (&path, bytes.len() as u64));
    }
}

#[test]
fn a_log_that_grows_fast_stays_near_what_is_to_be_kept() {
    let dir = tempfile::tempdir().unwrap();
    let index = Some(dir.path().join("index"));
    let place = LogPlace { log: Arc::new(SimDisk::new(1)), index };
    let segment_bytes = 64 << 10;
    let retain_bytes = Some(4 * segment_bytes);
    let options = LogOptions { retain_bytes, ..options(FsyncPolicy::None, Compression::None) };
    let (mut log, _) = open(&place, options).unwrap();
    // All within a thousandth of a second, and with every ticket ended.
    for number in 1..10_000 {
        append(&mut log, number, &[7; 200]);
        let now = Time(number * 100);
        log.commit(now).unwrap();
        if log.wants_checkpoint(now) {
            log.checkpoint(OwnerState::default(), now);
        }
        log.poll(now).unwrap();
        assert!(log.stats().log_bytes < 8 * segment_bytes, "{:?}", log.stats());
    }
    assert!(log.stats().retired > 20, "{:?}", log.stats());
}

#[test]
fn lmdb_finds_room_for_all_that_it_maps() {
    let dir = tempfile::tempdir().unwrap();
    let index = dir.path().join("index");
    let place = LogPlace { log: Arc::new(SimDisk::new(1)), index: Some(index.clone()) };
    let (log, _) = open(&place, options(FsyncPolicy::None, Compression::None)).unwrap();
    let readers = std::fs::metadata(index.join("lock.mdb")).unwrap();
    assert!(readers.len() > 1 << 16 && readers.blocks() * 512 >= readers.len(), "{readers:?}");
    drop(log);
}
