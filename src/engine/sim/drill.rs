//! The damage drill: a log and its index on the real file system, damaged in every way that disks
//! have. Each time the end is right answers, a loss that is counted, or a refusal that names what
//! is wrong; never a wrong answer, a silent loss, or a death by signal.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use crate::clock::Time;
use crate::config::scenario::{Compression, FsyncPolicy};
use crate::limits;
use crate::storage::{
    Hands, IndexOutcome, LogError, LogOptions, LogPlace, Logstore, Opening, OwnerState, Recovered,
};

const RECORDS: u64 = 3000;

fn open(dir: &Path) -> Result<(Logstore, Recovered, u64), LogError> {
    let options = LogOptions {
        segment_bytes: 64 << 10,
        policy: FsyncPolicy::None,
        retain_bytes: None,
        index_bytes: 1 << 20,
        compression: Compression::None,
        checkpoint_bytes: limits::CHECKPOINT_BYTES_MIN,
    };
    let opening =
        Opening::begin(&LogPlace::in_data_dir(dir), options, Hands::Caller(Arc::new(|| true)))?;
    let mut visited = 0;
    let (log, recovered) = opening.replay(&mut |record| {
        let number = u64::from_be_bytes(*record.key.first_chunk().unwrap());
        assert_eq!(record.value, value(number), "a wrong record is replayed");
        visited += 1;
    })?;
    Ok((log, recovered, visited))
}

fn key(number: u64) -> [u8; 16] {
    (u128::from(number) << 64).to_be_bytes()
}

fn value(number: u64) -> Vec<u8> {
    vec![u8::try_from(number % 251).unwrap(); usize::try_from(60 + number % 90).unwrap()]
}

/// Writes records, in several lives so that LMDB has a history, and ends in order.
fn write(dir: &Path, numbers: std::ops::RangeInclusive<u64>) {
    let (mut log, _, _) = open(dir).unwrap();
    for number in numbers {
        log.append_with(3, key(number), |out| out.extend_from_slice(&value(number)));
        if number % 16 == 0 {
            log.poll(Time(number)).unwrap();
            log.commit(Time(number)).unwrap();
        }
    }
    log.close(OwnerState::default(), Time(RECORDS)).unwrap();
}

/// A data directory as files in memory.
struct Image(Vec<(PathBuf, Vec<u8>)>);

impl Image {
    fn of(dir: &Path) -> Self {
        let mut files = Vec::new();
        for part in ["log", "index"] {
            for entry in std::fs::read_dir(dir.join(part)).unwrap() {
                let path = entry.unwrap().path();
                let bytes = std::fs::read(&path).unwrap();
                files.push((path.strip_prefix(dir).unwrap().to_owned(), bytes));
            }
        }
        files.sort();
        Self(files)
    }

    fn put(&self, dir: &Path) {
        for part in ["log", "index"] {
            let _ = std::fs::remove_dir_all(dir.join(part));
            std::fs::create_dir_all(dir.join(part)).unwrap();
        }
        for (path, bytes) in &self.0 {
            std::fs::write(dir.join(path), bytes).unwrap();
        }
    }

    fn file(&self, name: &str) -> &[u8] {
        &self.0.iter().find(|(path, _)| path.ends_with(name)).unwrap().1
    }
}

/// Damages bytes in one of the ways that disks have, and says how. `stale` is what stood there
/// some time ago.
fn damage(bytes: &mut Vec<u8>, stale: &[u8], rng: &mut ChaCha8Rng) -> &'static str {
    let mut below = |bound: usize| usize::try_from(rng.next_u64()).unwrap() % bound.max(1);
    let block = |at: usize| at / 4096 * 4096..(at / 4096 * 4096 + 4096);
    let len = bytes.len();
    match below(7) {
        0 => {
            bytes[below(len)] ^= 1 << below(8);
            "a bit flipped"
        }
        1 => {
            for _ in 0..16 {
                bytes[below(len)] ^= 1 << below(8);
            }
            "16 bits flipped"
        }
        2 => {
            let range = block(below(len));
            bytes[range.start..range.end.min(len)].fill(0);
            "a block zeroed"
        }
        3 => {
            let range = block(below(len));
            bytes[range.start..range.end.min(len)].fill_with(|| below(256).try_into().unwrap());
            "a block of garbage"
        }
        4 => {
            let (from, to) = (block(below(len - 4096)), block(below(len - 4096)));
            bytes.copy_within(from, to.start);
            "a block in the place of another"
        }
        5 => {
            bytes.truncate(below(len));
            "cut"
        }
        _ => {
            *bytes = stale.to_vec();
            "an old copy"
        }
    }
}

#[derive(Debug, Default)]
struct Ends {
    right: u32,
    counted: u32,
    refused: u32,
}

/// Opens what was damaged and asks for keys.
fn check(dir: &Path, how: &str, rng: &mut ChaCha8Rng, ends: &mut Ends) {
    let (mut log, recovered, _) = match open(dir) {
        Ok(opened) => opened,
        Err(LogError::Io { op, path, source }) => {
            panic!("{how}: cannot {op} {}: {source}", path.display())
        }
        Err(_) => {
            ends.refused += 1;
            return;
        }
    };
    let lost_keys = match recovered.index {
        IndexOutcome::Rebuilt { lost_keys, .. } => lost_keys,
        _ => 0,
    };
    let is_counted = recovered.torn_bytes > 0 || lost_keys > 0;
    let (mut is_refused, mut is_lost) = (false, false);
    for _ in 0..60 {
        let number = 1 + rng.next_u64() % RECORDS;
        match log.get(&key(number)) {
            Ok(Some(record)) => assert_eq!(record.value, value(number), "{how}: a wrong answer"),
            Ok(None) => {
                assert!(is_counted, "{how}: record {number} is lost without a word: {recovered:?}");
                is_lost = true;
            }
            Err(_) => is_refused = true,
        }
    }
    match (is_refused, is_lost) {
        (true, _) => ends.refused += 1,
        (false, true) => ends.counted += 1,
        (false, false) => ends.right += 1,
    }
}

/// Returns a directory, what is in it, and what was in it some time ago.
fn office() -> (tempfile::TempDir, Image, Image) {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), 1..=RECORDS / 2);
    let stale = Image::of(dir.path());
    write(dir.path(), RECORDS / 2 + 1..=RECORDS);
    let image = Image::of(dir.path());
    (dir, image, stale)
}

#[test]
fn a_thousand_ways_to_damage_the_index() {
    let (dir, image, stale) = office();
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let mut ends = Ends::default();
    image.put(dir.path());
    for _ in 0..1000 {
        let mut bytes = image.file("data.mdb").to_vec();
        let how = damage(&mut bytes, stale.file("data.mdb"), &mut rng);
        std::fs::write(dir.path().join("index/data.mdb"), &bytes).unwrap();
        check(dir.path(), how, &mut rng, &mut ends);
        // A start may have added to the log, or made the index anew.
        image.put(dir.path());
    }
    assert_eq!(ends.counted, 0, "the log is whole: {ends:?}");
    assert!(ends.right > 100 && ends.refused > 300, "{ends:?}");
}

#[test]
fn a_thousand_ways_to_damage_the_log() {
    let (dir, image, stale) = office();
    let mut rng = ChaCha8Rng::seed_from_u64(2);
    let mut ends = Ends::default();
    let segments: Vec<&(PathBuf, Vec<u8>)> =
        image.0.iter().filter(|(path, _)| path.extension() == Some("seg".as_ref())).collect();
    for round in 0..1000 {
        image.put(dir.path());
        let which = usize::try_from(rng.next_u64()).unwrap() % segments.len();
        let (path, bytes) = segments[which];
        let old = stale.0.iter().find(|(old, _)| old == path).map_or(&[][..], |(_, bytes)| bytes);
        let mut bytes = bytes.clone();
        let how = damage(&mut bytes, old, &mut rng);
        std::fs::write(dir.path().join(path), &bytes).unwrap();
        // Without its index all of the log is read. That a log once went on behind its end, only
        // the index knows.
        if round % 2 == 0 && !["cut", "an old copy"].contains(&how) {
            std::fs::remove_dir_all(dir.path().join("index")).unwrap();
        }
        check(dir.path(), how, &mut rng, &mut ends);
    }
    assert!(ends.right > 100 && ends.refused > 300, "{ends:?}");
}

#[test]
fn a_lost_index_is_made_anew_and_an_old_one_catches_up() {
    let (dir, image, stale) = office();
    let all_are_right = |log: &mut Logstore| {
        for number in 1..=RECORDS {
            let record = log.get(&key(number)).unwrap().unwrap();
            assert_eq!(record.value, value(number), "record {number}");
        }
    };
    image.put(dir.path());
    std::fs::remove_dir_all(dir.path().join("index")).unwrap();
    let (mut log, recovered, visited) = open(dir.path()).unwrap();
    assert!(matches!(recovered.index, IndexOutcome::Rebuilt { lost_keys: 0, .. }));
    assert_eq!(visited, RECORDS);
    all_are_right(&mut log);
    drop(log);

    image.put(dir.path());
    std::fs::write(dir.path().join("index/data.mdb"), stale.file("data.mdb")).unwrap();
    let (mut log, recovered, visited) = open(dir.path()).unwrap();
    assert_eq!(recovered.index, IndexOutcome::Whole);
    assert_eq!(visited, RECORDS / 2, "only what the old one does not know is read");
    all_are_right(&mut log);
}
