//! The log against crashes: cuts, flips, kills between any two commits.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;

use proptest::prelude::*;

use super::*;
use crate::limits;
use crate::storage::IndexOutcome;
use crate::storage::RecordRef;
use crate::storage::dir::RealDir;
use crate::storage::format::{ALIGN, RECORD_HEADER_BYTES};
use crate::storage::indexer;
use crate::storage::lmdb::{self, Durability, Entry, Lmdb};
use crate::storage::open::{LogPlace, Opening, Recovered};
use crate::storage::reader::{self, log_dir};
use crate::storage::search;

mod tape;

const OPTIONS: LogOptions = LogOptions {
    segment_bytes: 1 << 16,
    policy: FsyncPolicy::None,
    retain_bytes: None,
    index_bytes: 1 << 20,
    compression: Compression::None,
    checkpoint_bytes: limits::CHECKPOINT_BYTES_MIN,
};

type Owned = (u8, [u8; 16], Vec<u8>);

fn record(number: u64) -> Owned {
    let mut key = [0; 16];
    key[..8].copy_from_slice(&number.to_be_bytes());
    (u8::try_from(number % 5).unwrap(), key, vec![7; usize::try_from(number % 300).unwrap()])
}

fn append(log: &mut Logstore, number: u64) {
    let (kind, key, value) = record(number);
    log.append_with(kind, key, |out| out.extend_from_slice(&value));
}

fn open_with(
    dir: &Path,
    options: LogOptions,
) -> Result<(Logstore, Recovered, Vec<Owned>), LogError> {
    let mut records = Vec::new();
    let (log, recovered) = begin(dir, options, || {})?.replay(&mut |record| {
        records.push((record.kind, *record.key, record.value.to_vec()));
    })?;
    Ok((log, recovered, records))
}

/// Becomes the writer of a log without LMDB.
fn begin(
    dir: &Path,
    options: LogOptions,
    notify: impl Fn() + Send + Sync + 'static,
) -> Result<Opening, LogError> {
    let place = LogPlace { log: Arc::new(RealDir::new(log_dir(dir))), index: None };
    Opening::begin(&place, options, Hands::Threads(Arc::new(notify)))
}

fn path_of(dir: &Path, first: Lsn) -> PathBuf {
    log_dir(dir).join(segment_name(first))
}

/// Returns the first LSNs of the segments in a directory.
fn segments(dir: &Path) -> Vec<Lsn> {
    let files = Files::new(Arc::new(RealDir::new(log_dir(dir))));
    files.segments().unwrap().iter().map(|segment| segment.first).collect()
}

fn open(dir: &Path) -> (Logstore, Recovered, Vec<Owned>) {
    open_with(dir, OPTIONS).unwrap()
}

/// Writes `batches` batches of ten records and lets go of the log without closing it.
fn write(dir: &Path, from: u64, batches: u64) {
    let (mut log, _, _) = open(dir);
    for batch in 0..batches {
        for number in 0..10 {
            append(&mut log, from + batch * 10 + number);
        }
        commit(&mut log, Time(1));
    }
}

/// Commits, waiting for the next segment if that is not ready yet.
fn commit(log: &mut Logstore, now: Time) {
    log.commit(now).unwrap();
    while log.is_blocked() {
        log.poll(now).unwrap();
        log.commit(now).unwrap();
    }
}

fn numbers(range: std::ops::Range<u64>) -> Vec<Owned> {
    range.map(record).collect()
}

#[test]
fn what_was_committed_is_there_after_the_writer_dies() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), 0, 5);
    write(dir.path(), 50, 5);
    let (_, recovered, records) = open(dir.path());
    assert_eq!(records, numbers(0..100));
    assert_eq!((recovered.records, recovered.torn_bytes), (100, 0));
}

#[test]
fn records_go_on_over_many_segments() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), 0, 300);
    let (log, recovered, records) = open(dir.path());
    assert!(recovered.segments > 5 && log.stats().segments == recovered.segments as u64);
    assert_eq!(records, numbers(0..3000));
}

#[test]
fn a_commit_larger_than_a_segment_is_spread_over_several() {
    let dir = tempfile::tempdir().unwrap();
    let options = LogOptions { segment_bytes: 1 << 20, ..OPTIONS };
    let (mut log, _, _) = open_with(dir.path(), options).unwrap();
    for number in 0..20_000 {
        append(&mut log, number);
    }
    commit(&mut log, Time(1));
    assert_eq!(log.plan.written(), log.acknowledged());
    drop(log);
    let (_, recovered, records) = open_with(dir.path(), options).unwrap();
    assert!(recovered.segments > 2);
    assert_eq!(records, numbers(0..20_000));
}

#[test]
fn a_commit_of_nothing_writes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let (mut log, _, _) = open(dir.path());
    assert_eq!((log.commit(Time(1)).unwrap(), log.stats().bytes), (None, 0));
}

#[test]
fn only_one_writes_at_a_time() {
    let dir = tempfile::tempdir().unwrap();
    let (log, _, _) = open(dir.path());
    let Err(LogError::InUse { holder, .. }) = open_with(dir.path(), OPTIONS) else {
        panic!("a second writer is refused")
    };
    assert_eq!(holder, std::process::id().to_string());
    drop(log);
    open(dir.path());
}

#[test]
fn each_batch_is_acknowledged_when_it_is_synced_and_begins_on_a_border() {
    let dir = tempfile::tempdir().unwrap();
    let (news, notified) = mpsc::channel();
    let options = LogOptions { policy: FsyncPolicy::EachBatch, ..OPTIONS };
    let notify = move || news.send(()).unwrap();
    let (mut log, _) = begin(dir.path(), options, notify).unwrap().replay(&mut |_| {}).unwrap();
    for number in 0..3 {
        append(&mut log, number);
        let end = log.commit(Time(1)).unwrap().unwrap();
        assert!(log.acknowledged() < end);
        while log.poll(Time(1)).unwrap().acknowledged < end {
            notified.recv().unwrap();
        }
    }
    assert_eq!((log.stats().syncs, log.stats().unsynced_bytes), (3, 0));
    let LogStats { bytes, padding_bytes, .. } = log.stats();
    let batches = 3 * (BATCH_HEADER_BYTES + RECORD_HEADER_BYTES) as u64 + 3;
    assert_eq!((bytes, bytes + padding_bytes), (batches, log.active.end - ALIGN));
    let bytes = std::fs::read(path_of(dir.path(), log.active.first)).unwrap();
    for batch in 1..4 {
        assert_eq!(&bytes[batch * usize::try_from(ALIGN).unwrap()..][..4], b"PBAT");
    }
}

/// Opens a log whose helpers work only while the flag is set.
fn open_held(dir: &Path, options: LogOptions) -> (Logstore, Arc<AtomicBool>) {
    let works = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&works);
    let hands = Hands::Caller(Arc::new(move || flag.load(Ordering::Relaxed)));
    let mut place = LogPlace::in_data_dir(dir);
    place.index = None;
    let opening = Opening::begin(&place, options, hands).unwrap();
    (opening.replay(&mut |_| {}).unwrap().0, works)
}

#[test]
fn what_comes_during_a_sync_shares_blocks_and_the_next_sync() {
    let dir = tempfile::tempdir().unwrap();
    let options = LogOptions { policy: FsyncPolicy::EachBatch, ..OPTIONS };
    let (mut log, works) = open_held(dir.path(), options);
    let mut ends = Vec::new();
    for number in 0..4 {
        append(&mut log, number);
        ends.push(log.commit(Time(1)).unwrap().unwrap());
    }
    // The first sync is under way; the second began on a border and was taken back twice.
    let batch = (BATCH_HEADER_BYTES + RECORD_HEADER_BYTES) as u64;
    let second = 2 * ALIGN + batch + 1;
    let wanted = [ALIGN + batch, second, second + batch + 2, second + 2 * batch + 5].map(Lsn);
    assert_eq!(ends, wanted);
    assert!(log.poll(Time(1)).unwrap().acknowledged < ends[0]);
    works.store(true, Ordering::Relaxed);
    while log.poll(Time(1)).unwrap().acknowledged < ends[3] {}
    assert_eq!((log.stats().syncs, log.stats().unsynced_bytes), (2, 0));
    drop(log);
    assert_eq!(open(dir.path()).2, numbers(0..4));
}

#[test]
fn a_disk_that_is_behind_with_full_segments_holds_up_the_writer() {
    let dir = tempfile::tempdir().unwrap();
    let (mut log, works) = open_held(dir.path(), OPTIONS);
    let mut number = 0;
    while !log.is_blocked() {
        append(&mut log, number);
        log.commit(Time(1)).unwrap();
        number += 1;
        // Segments are made at once; only syncs are slow.
        log.next =
            NextSegment::Ready(log.files.prepare(OPTIONS.segment_bytes, Room::Reserved).unwrap());
    }
    assert_eq!(log.sealing, SEALING_MAX);
    works.store(true, Ordering::Relaxed);
    log.poll(Time(2)).unwrap();
    log.commit(Time(2)).unwrap();
    assert!(!log.is_blocked() && log.sealing < SEALING_MAX);
    log.close(OwnerState::default(), Time(3)).unwrap();
    assert_eq!(open(dir.path()).2, numbers(0..number));
}

#[test]
fn a_writer_that_is_held_up_by_the_disk_can_wait_for_it() {
    let dir = tempfile::tempdir().unwrap();
    let (mut log, _) = open_held(dir.path(), OPTIONS);
    // One commit of more than all segments that may wait.
    let number = 4 * SEALING_MAX as u64 * OPTIONS.segment_bytes / 100;
    for number in 0..number {
        append(&mut log, number);
    }
    log.commit(Time(1)).unwrap();
    log.wait_for_room(Time(1)).unwrap();
    log.close(OwnerState::default(), Time(3)).unwrap();
    assert_eq!(open(dir.path()).2, numbers(0..number));
}

#[test]
fn silence_is_used_to_write_down_what_is_synced() {
    let dir = tempfile::tempdir().unwrap();
    let (news, notified) = mpsc::channel();
    let notify = move || news.send(()).unwrap();
    let (mut log, _) = begin(dir.path(), OPTIONS, notify).unwrap().replay(&mut |_| {}).unwrap();
    append(&mut log, 0);
    log.commit(Time(5)).unwrap();
    assert_eq!(log.deadline(), Time::NEVER, "nothing is synced under this policy");
    log.sync_now(Time(5));
    while log.poll(Time(5)).unwrap().synced < log.plan.written() {
        notified.recv().unwrap();
    }
    let at = log.deadline();
    assert_eq!(at, Time(5) + MARK_AFTER);
    let written = log.stats();
    log.poll(at).unwrap();
    assert_eq!((log.deadline(), log.stats().records), (Time::NEVER, written.records));
    drop(log);
    assert_eq!(open(dir.path()).2, numbers(0..1));
}

#[test]
fn after_a_clean_end_any_damage_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let (mut log, _, _) = open(dir.path());
    for number in 0..20 {
        append(&mut log, number);
    }
    log.close(OwnerState::default(), Time(9)).unwrap();
    let path = path_of(dir.path(), Lsn(0));
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[4500] ^= 4;
    std::fs::write(&path, &bytes).unwrap();
    let refused = open_with(dir.path(), OPTIONS).err();
    assert!(matches!(refused, Some(LogError::Damaged { offset: 4096..=4500, .. })), "{refused:?}");
}

#[test]
fn a_torn_tail_is_kept_aside_and_writing_goes_on_behind_it() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), 0, 4);
    let path = path_of(dir.path(), Lsn(0));
    let mut bytes = std::fs::read(&path).unwrap();
    let last = bytes.iter().rposition(|&byte| byte != 0).unwrap();
    bytes[last - 3] ^= 1;
    std::fs::write(&path, &bytes).unwrap();
    let (mut log, recovered, records) = open(dir.path());
    assert_eq!(records, numbers(0..39), "of the torn batch nine records are whole");
    assert!(recovered.torn_bytes > 0 && recovered.kept_aside.unwrap().exists());
    append(&mut log, 39);
    log.commit(Time(1)).unwrap();
    drop(log);
    let (_, again, records) = open(dir.path());
    assert_eq!((records, again.torn_bytes), (numbers(0..40), 0));
}

#[test]
fn foreign_files_and_missing_segments_are_named() {
    let dir = tempfile::tempdir().unwrap();
    let (mut log, _, _) = open(dir.path());
    for number in 0..3000 {
        append(&mut log, number);
        if number % 10 == 0 {
            commit(&mut log, Time(1));
        }
    }
    log.close(OwnerState::default(), Time(1)).unwrap();
    std::fs::remove_file(path_of(dir.path(), segments(dir.path())[1])).unwrap();
    let refused = open_with(dir.path(), OPTIONS).err();
    assert!(matches!(refused, Some(LogError::Gap { .. })), "{refused:?}");
    std::fs::write(log_dir(dir.path()).join("notes.txt"), "x").unwrap();
    assert!(matches!(open_with(dir.path(), OPTIONS).err(), Some(LogError::Foreign { .. })));
}

#[test]
fn a_failed_write_is_final() {
    let dir = tempfile::tempdir().unwrap();
    let (mut log, _, _) = open(dir.path());
    log.active.file = Arc::new(std::fs::File::open(path_of(dir.path(), Lsn(0))).unwrap());
    append(&mut log, 0);
    assert!(matches!(log.commit(Time(1)), Err(LogError::Io { op: IoOp::Write, .. })));
    append(&mut log, 1);
    assert!(matches!(log.commit(Time(1)), Err(LogError::ReadOnly)));
    assert!(matches!(log.poll(Time(1)), Err(LogError::ReadOnly)));
}

/// A log of several segments without any sync, as one image per segment.
fn image() -> (tempfile::TempDir, Vec<(PathBuf, Vec<u8>)>) {
    let dir = tempfile::tempdir().unwrap();
    let options = LogOptions { segment_bytes: 12_000, ..OPTIONS };
    let (mut log, _, _) = open_with(dir.path(), options).unwrap();
    for number in 0..90 {
        append(&mut log, number);
        if number % 6 == 5 {
            commit(&mut log, Time(1));
        }
    }
    drop(log);
    let files = segments(dir.path()).into_iter().map(|first| path_of(dir.path(), first));
    let images = files.map(|path| (path.clone(), std::fs::read(path).unwrap())).collect();
    (dir, images)
}

/// Scans a log and makes sure that what it reads is a beginning of what was written.
fn check_prefix(dir: &Path) -> Option<usize> {
    let mut records = Vec::new();
    let found = reader::scan(dir, &mut |record| {
        records.push((record.kind, *record.key, record.value.to_vec()));
    });
    let whole = numbers(0..90);
    assert_eq!(records[..], whole[..records.len()], "never a wrong record");
    found.ok().map(|_| records.len())
}

#[test]
fn a_cut_at_any_byte_loses_only_what_is_behind_it() {
    let (dir, images) = image();
    let (path, bytes) = images.last().unwrap();
    let mut most = 0;
    for cut in (0..=bytes.len()).step_by(7) {
        std::fs::write(path, &bytes[..cut]).unwrap();
        let found = check_prefix(dir.path()).expect("nothing was synced, so nothing is refused");
        assert!(found >= most, "a later cut loses no more");
        most = found;
    }
    assert_eq!(most, 90);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_flipped_bit_never_yields_a_wrong_record(segment: usize, at: usize, bit in 0u8..8) {
        let (dir, images) = image();
        let (path, bytes) = &images[segment % images.len()];
        let mut flipped = bytes.clone();
        let at = at % flipped.len();
        flipped[at] ^= 1 << bit;
        std::fs::write(path, &flipped).unwrap();
        check_prefix(dir.path());
    }

    #[test]
    fn arbitrary_bytes_are_no_log(data: Vec<u8>) {
        crate::storage::recovery::fuzz_scan(&data);
    }
}

#[test]
fn a_log_that_can_not_grow_keeps_what_was_appended_and_goes_on_by_itself() {
    let dir = tempfile::tempdir().unwrap();
    let (mut log, _, _) = open(dir.path());
    while !matches!(log.next, NextSegment::Ready(_)) {
        log.poll(Time(1)).unwrap();
    }
    // The prepared segment is thrown away, and nothing can take its place.
    let in_the_way = log_dir(dir.path()).join("next.tmp");
    std::fs::remove_file(&in_the_way).unwrap();
    std::fs::create_dir(&in_the_way).unwrap();
    log.next = NextSegment::Failed { retry_at: Time(1) };
    let mut number = 0;
    while !log.is_blocked() {
        append(&mut log, number);
        number += 1;
        log.commit(Time(2)).unwrap();
    }
    let written = log.plan.written();
    append(&mut log, number);
    while log.trouble().is_none() {
        log.poll(Time(3)).unwrap();
    }
    assert_eq!((log.commit(Time(3)).unwrap(), log.plan.written()), (None, written));
    let again = log.deadline();
    assert!(again > Time(3) && again <= Time(3) + RETRY_AFTER, "it is tried again: {again:?}");
    std::fs::remove_dir(&in_the_way).unwrap();
    commit(&mut log, Time(3) + RETRY_AFTER);
    assert_eq!((log.trouble(), log.has_uncommitted()), (None, false));
    log.close(OwnerState::default(), Time(4) + RETRY_AFTER).unwrap();
    assert_eq!(open(dir.path()).2, numbers(0..number + 1));
}

#[test]
fn how_much_is_to_be_read_is_known_before() {
    let dir = tempfile::tempdir().unwrap();
    let place = LogPlace {
        log: Arc::new(RealDir::new(log_dir(dir.path()))),
        index: Some(dir.path().join("index")),
    };
    let begin = || Opening::begin(&place, OPTIONS, Hands::Threads(Arc::new(|| {}))).unwrap();
    assert_eq!(begin().unread().unwrap(), Lsn(0)..Lsn(0), "there is nothing yet");
    // All is read without an index, and only what came later with one.
    let mut indexed = Lsn(0);
    for round in 0..3 {
        let opening = begin();
        let unread = opening.unread().unwrap();
        assert_eq!(unread.start, indexed, "round {round}");
        let mut last = unread.start;
        let (mut log, _) = opening.replay(&mut |record| last = record.lsn).unwrap();
        assert!(unread.contains(&last) || unread.is_empty(), "{last} is not in {unread:?}");
        for number in 0..3000 {
            append(&mut log, number);
            commit(&mut log, Time(1));
        }
        if round == 1 {
            let stats = log.close(OwnerState::default(), Time(1)).unwrap();
            indexed = Lsn(stats.log_bytes);
        }
    }
    assert_eq!(begin().unread().unwrap().start, indexed);
}

#[test]
fn lmdb_may_know_more_than_the_state_that_is_kept_with_it() {
    let dir = tempfile::tempdir().unwrap();
    let index = dir.path().join("index");
    let place =
        LogPlace { log: Arc::new(RealDir::new(log_dir(dir.path()))), index: Some(index.clone()) };
    let begin = || Opening::begin(&place, OPTIONS, Hands::Threads(Arc::new(|| {}))).unwrap();
    let write = |numbers: std::ops::Range<u64>| {
        let (mut log, _) = begin().replay(&mut |_| {}).unwrap();
        numbers.for_each(|number| append(&mut log, number));
        commit(&mut log, Time(1));
        log
    };
    write(1..11).close(OwnerState { bytes: b"state".to_vec(), needed: None }, Time(1)).unwrap();
    drop(write(11..21));
    // A crash in the middle of a checkpoint of several transactions.
    let mut rows = Vec::new();
    reader::scan(dir.path(), &mut |record| {
        rows.push(indexer::row(record.key, record.lsn, record.value));
    })
    .unwrap();
    let lmdb::Inspection::Whole(mut checkpoint) = lmdb::inspect(&index, &mut |_| {}).unwrap()
    else {
        panic!("it was closed in order")
    };
    checkpoint.is_clean = false;
    let mut later: Vec<Entry> = rows[10..].iter().map(Entry::new).collect();
    let lmdb = Lmdb::open(&index, Durability::Synced).unwrap();
    lmdb.add(&mut later, &mut checkpoint).unwrap();
    drop(lmdb);

    let opening = begin();
    let mut known = 0;
    opening.visit_keys(&[0; 16], &mut |_, _| known += 1).unwrap();
    assert_eq!((opening.state(), known), (Some(&b"state"[..]), 10));
    let mut replayed = Vec::new();
    let (mut log, _) = opening.replay(&mut |record| replayed.push(record.lsn)).unwrap();
    assert_eq!(replayed, rows[10..].iter().map(|row| row.place.lsn).collect::<Vec<_>>());
    for number in 1..21 {
        let (_, key, value) = record(number);
        assert_eq!(log.get(&key).unwrap().unwrap().value, value);
    }
    drop(log);

    // What LMDB knows was on the disk, whatever its checkpoint says.
    let file = std::fs::File::options().write(true).open(path_of(dir.path(), Lsn(0))).unwrap();
    file.set_len(rows[15].place.lsn.0).unwrap();
    let (_, recovered) = begin().replay(&mut |_| {}).unwrap();
    assert!(
        matches!(recovered.index, IndexOutcome::Rebuilt { lost_keys: 5, .. }),
        "{:?}",
        recovered.index
    );
}

#[test]
fn a_flipped_header_bit_of_a_synced_segment_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let options = LogOptions { policy: FsyncPolicy::EachBatch, ..OPTIONS };
    let (mut log, _, _) = open_with(dir.path(), options).unwrap();
    for number in 0..20 {
        append(&mut log, number);
    }
    log.close(OwnerState::default(), Time(9)).unwrap();
    let path = path_of(dir.path(), Lsn(0));
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[37] ^= 4;
    std::fs::write(&path, &bytes).unwrap();
    let (records, error) = match open_with(dir.path(), options) {
        Ok((_, recovered, records)) => (Some((records.len(), recovered)), None),
        Err(error) => (None, Some(error)),
    };
    assert!(error.is_some(), "opened with (records, report) = {records:?}");
}

#[test]
fn a_failed_write_is_not_acknowledged_under_none() {
    let dir = tempfile::tempdir().unwrap();
    let (mut log, _, _) = open(dir.path());
    let before = log.acknowledged();
    log.active.file = Arc::new(std::fs::File::open(path_of(dir.path(), Lsn(0))).unwrap());
    append(&mut log, 0);
    assert!(log.commit(Time(1)).is_err());
    assert_eq!(log.acknowledged(), before);
}

#[test]
fn what_was_kept_aside_is_never_overwritten() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), 0, 2);
    let tear = |path: &Path| {
        let mut bytes = std::fs::read(path).unwrap();
        let last = bytes.iter().rposition(|&byte| byte != 0).unwrap();
        bytes[last - 3] ^= 1;
        std::fs::write(path, &bytes).unwrap();
    };
    tear(&path_of(dir.path(), Lsn(0)));
    let kept = open(dir.path()).1.kept_aside.unwrap();
    let first = std::fs::read(&kept).unwrap();
    // The cut is undone, as by a person who copies a backup back.
    let files = Files::new(Arc::new(RealDir::new(log_dir(dir.path()))));
    let lsn = segments(dir.path())[1];
    let other = files.keep(lsn, b"another tail").unwrap();
    assert_ne!(files.path(&other), kept);
    assert_eq!(std::fs::read(&kept).unwrap(), first);
}

#[test]
fn a_record_is_found_without_reading_what_stands_before_it() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), 0, 400);
    let count = segments(dir.path()).len();
    assert!(count > 8, "{count} segments");
    let number_of =
        |record: &RecordRef<'_>| u64::from_be_bytes(record.key[..8].try_into().unwrap());
    for wanted in [0, 1, 9, 10, 777, 1_999, 3_990, 3_999] {
        let (mut found, mut seen) = (None, 0);
        let searched = search::search(
            dir.path(),
            &|record| Some(number_of(record) <= wanted).filter(|_| record.kind != 3),
            &mut |record| {
                seen += 1;
                if number_of(record) == wanted {
                    found = Some(record.value.len());
                    return ControlFlow::Break(());
                }
                ControlFlow::Continue(())
            },
        )
        .unwrap();
        assert_eq!(found, Some(record(wanted).2.len()), "{wanted}");
        assert_eq!((searched.segments, searched.read, searched.first), (count, 1, Lsn(0)));
        assert!(seen <= 4_000 / count * 2, "{seen} records read for {wanted}");
    }
    // What is not there is looked for to the end.
    let mut last = 0;
    let searched =
        search::search(dir.path(), &|record| Some(number_of(record) <= 5_000), &mut |record| {
            last = number_of(record);
            ControlFlow::Continue(())
        });
    assert_eq!((searched.unwrap().read, last), (1, 3_999));
    let nowhere = tempfile::tempdir().unwrap();
    std::fs::create_dir(log_dir(nowhere.path())).unwrap();
    let none = search::search(nowhere.path(), &|_| None, &mut |_| ControlFlow::Continue(()));
    assert_eq!(none.unwrap(), search::Searched::default());
}
