//! A log of random records against every cut and every flipped bit.

use std::sync::Arc;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use super::disk::SimDisk;
use crate::clock::Time;
use crate::config::scenario::{Compression, FsyncPolicy};
use crate::ids::Lsn;
use crate::limits;
use crate::storage::dir::Dir;
use crate::storage::{
    Hands, LogError, LogOptions, LogPlace, Logstore, Opening, OwnerState, RecordRef, reader,
};

/// A record, and where it begins and ends.
#[derive(Clone, Debug, PartialEq)]
struct Logged {
    lsn: Lsn,
    end: Lsn,
    kind: u8,
    key: [u8; 16],
    value: Vec<u8>,
}

fn logged(record: &RecordRef<'_>) -> Logged {
    let end = Lsn(record.lsn.0 + 24 + record.value.len() as u64);
    let (kind, key, value) = (record.kind, *record.key, record.value.to_vec());
    Logged { lsn: record.lsn, end, kind, key, value }
}

fn open(disk: &SimDisk, policy: FsyncPolicy) -> Result<(Logstore, Vec<Logged>), LogError> {
    let options = LogOptions {
        segment_bytes: if policy == FsyncPolicy::EachBatch { 40_000 } else { 13_000 },
        policy,
        retain_bytes: None,
        index_bytes: 1 << 20,
        compression: Compression::None,
        checkpoint_bytes: limits::CHECKPOINT_BYTES_MIN,
    };
    let place = LogPlace { log: Arc::new(disk.clone()), index: None };
    let opening = Opening::begin(&place, options, Hands::Caller(Arc::new(|| true)))?;
    let mut records = Vec::new();
    let (log, _) = opening.replay(&mut |record| records.push(logged(&record)))?;
    Ok((log, records))
}

/// Returns a disk with a log of three segments, and what is in it.
fn write(seed: u64, policy: FsyncPolicy, is_closed: bool) -> (SimDisk, Vec<Logged>) {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let disk = SimDisk::new(seed);
    let (mut log, _) = open(&disk, policy).unwrap();
    let mut number = 0_u64;
    while log.stats().rolls < 2 {
        for _ in 0..1 + rng.next_u64() % 4 {
            let mut value = vec![0; usize::try_from(rng.next_u64() % 150).unwrap()];
            rng.fill_bytes(&mut value);
            let mut key = [0; 16];
            key[..8].copy_from_slice(&number.to_be_bytes());
            log.append_with(3, key, |out| out.extend_from_slice(&value));
            number += 1;
        }
        log.poll(Time(number)).unwrap();
        log.commit(Time(number)).unwrap();
    }
    if is_closed {
        log.close(OwnerState::default(), Time(number)).unwrap();
    }
    let disk = disk.kill();
    let records = read(&disk).unwrap().0;
    (disk, records)
}

fn read(disk: &SimDisk) -> Result<(Vec<Logged>, bool), LogError> {
    let mut records = Vec::new();
    let found = reader::scan_dir(Arc::new(disk.clone()), &mut |record| {
        records.push(logged(&record));
    })?;
    Ok((records, found.torn.is_some()))
}

/// Returns the segments in order: name, first LSN, bytes.
fn files(disk: &SimDisk) -> Vec<(String, u64, Vec<u8>)> {
    let names = disk.names().unwrap().into_iter().filter(|name| name.len() == 20);
    let file = |name: String| {
        let first = u64::from_str_radix(&name[..16], 16).unwrap();
        let bytes = disk.content(&name).unwrap();
        (name, first, bytes)
    };
    names.map(file).collect()
}

#[test]
fn a_cut_at_any_byte_keeps_exactly_the_whole_records_before_it() {
    for (seed, policy, is_closed, step) in [
        (1, FsyncPolicy::None, false, 1),
        (2, FsyncPolicy::EachBatch, false, 29),
        (3, FsyncPolicy::None, true, 5),
    ] {
        let (disk, records) = write(seed, policy, is_closed);
        let files = files(&disk);
        assert_eq!(files.len(), 3);
        for (index, (name, first, bytes)) in files.iter().enumerate() {
            for (later, _, _) in &files[index + 1..] {
                // What is behind the cut is gone with it.
                if disk.content(later).is_some() {
                    disk.remove(later).unwrap();
                }
            }
            // A segment that is not sealed yet has zeros at its end.
            let next = files.get(index + 1).map_or(u64::MAX, |(_, next, _)| *next);
            for cut in (0..=bytes.len()).step_by(step) {
                disk.put(name, &bytes[..cut]);
                let end = next.min(first + cut as u64);
                let whole = records.iter().take_while(|record| record.end.0 <= end).count();
                let (found, _) = read(&disk).unwrap();
                assert_eq!(found.len(), whole, "seed {seed} cut {cut} of {name}");
                assert!(found == records[..whole], "never a wrong record");
            }
            for (name, _, bytes) in &files {
                disk.put(name, bytes);
            }
        }
    }
}

#[test]
fn recovery_after_a_cut_goes_on_and_twice_is_once() {
    let (disk, records) = write(4, FsyncPolicy::None, false);
    let files = files(&disk);
    let (name, first, bytes) = files.last().unwrap();
    for cut in (0..bytes.len()).step_by(61) {
        let disk = SimDisk::new(9);
        for (name, _, bytes) in &files {
            disk.put(name, bytes);
        }
        disk.put(name, &bytes[..cut]);
        let end = Lsn(first + cut as u64);
        let whole = records.iter().take_while(|record| record.end <= end).count();
        for _ in 0..2 {
            let (_, found) = open(&disk, FsyncPolicy::None).unwrap();
            assert!(found == records[..whole], "cut {cut}");
        }
        let (mut log, _) = open(&disk, FsyncPolicy::None).unwrap();
        log.append_with(1, [9; 16], |out| out.push(7));
        log.commit(Time(1)).unwrap();
        drop(log);
        let (_, found) = open(&disk, FsyncPolicy::None).unwrap();
        assert_eq!((found.len(), found.last().unwrap().key), (whole + 1, [9; 16]), "cut {cut}");
    }
}

/// Flips one bit of every byte that is not zero; returns how many flips were refused and how many were taken for
/// a torn tail. Nothing else may happen, and never may a record be a wrong one.
fn flip_all(disk: &SimDisk, records: &[Logged], synced: Lsn) -> (usize, usize) {
    let (mut refused, mut torn) = (0, 0);
    for (name, first, bytes) in files(disk) {
        // Of the many zeros between batches and behind them, some will do.
        let is_tried = |at: &usize| bytes[*at] != 0 || at.is_multiple_of(101);
        for at in (0..bytes.len()).filter(is_tried) {
            let mut flipped = bytes.clone();
            flipped[at] ^= 1 << (at % 8);
            disk.put(&name, &flipped);
            let is_synced = first + (at as u64) < synced.0;
            match read(disk) {
                Err(LogError::Damaged { .. } | LogError::Gap { .. }) => {
                    assert!(is_synced, "byte {at} of {name} was not synced and is refused");
                    refused += 1;
                }
                Ok((found, is_torn)) => {
                    assert!(!is_synced, "byte {at} of {name} was synced and is let pass");
                    assert!(is_torn, "byte {at} of {name} goes unnoticed");
                    assert!(found == records[..found.len()], "never a wrong record");
                    torn += 1;
                }
                Err(error) => panic!("byte {at} of {name}: {error}"),
            }
        }
        disk.put(&name, &bytes);
    }
    (refused, torn)
}

#[test]
fn a_flipped_bit_is_damage_where_it_was_synced_and_a_torn_tail_behind() {
    // Closed in order: all up to the last mark is synced, and the mark says so.
    let (disk, records) = write(5, FsyncPolicy::EachBatch, true);
    let synced = records.last().unwrap().end;
    let (refused, torn) = flip_all(&disk, &records, synced);
    assert!(refused > 3_000 && torn > 50, "{refused} refused, {torn} torn");
}

#[test]
fn without_a_sync_only_what_seals_prove_is_refused() {
    let (disk, records) = write(6, FsyncPolicy::None, false);
    // Each new segment was settled after all before it was synced.
    let settled = files(&disk).into_iter().rfind(|(name, ..)| name.ends_with("seg"));
    let last = settled.unwrap().1;
    let (refused, torn) = flip_all(&disk, &records, Lsn(last + 4096));
    assert!(refused > 3_000 && torn > 500, "{refused} refused, {torn} torn");
}
