//! The logstore against its floors: what the same disk and the same LMDB do without it.
//!
//! `cargo bench` prints a line per target of the design: what was measured, the floor of the same
//! run, and their ratio, medians over alternating windows. `cargo bench -- get scan` runs those
//! whose name begins so; `cargo bench -- --quick` takes a short look.

use std::fs::File;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use engine::clock::{Clock, SystemClock, Time};
use engine::config::scenario::{Compression, FsyncPolicy};
use engine::ids::Lsn;
use engine::storage::format::{self, BATCH_HEADER_BYTES, BatchHeader};
use engine::storage::index::{Index, Place};
use engine::storage::recovery::{self, Cursor};
use engine::storage::{Hands, LogOptions, LogPlace, Logstore, Opening, OwnerState, reader};
use heed::types::Bytes;
use heed::{CommitOrAbort, Database, Env, EnvOpenOptions};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

const VALUE_BYTES: usize = 128;
const SEGMENT: u64 = 64 << 20;

/// How long things take.
struct Effort {
    windows: usize,
    window: Duration,
    scale: u64,
}

fn now() -> Time {
    SystemClock.now()
}

fn seconds_since(began: Time) -> f64 {
    now().since(began).as_secs_f64()
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn key(number: u64) -> [u8; 16] {
    (u128::from(number) << 64).to_be_bytes()
}

/// One line of the report.
fn line(name: &str, what: &str, measured: f64, floor: f64, target: &str) {
    println!(
        "{name:<22} {what:<44} {measured:>12.3} floor {floor:>12.3} ratio {:>6.3}  target {target}",
        measured / floor
    );
}

fn value_line(name: &str, what: &str, measured: f64, target: &str) {
    println!("{name:<22} {what:<44} {measured:>12.3} {:>33}  target {target}", "");
}

// --- the store ------------------------------------------------------------------------------

struct Store {
    log: Logstore,
    news: Receiver<()>,
    next: u64,
    value: [u8; VALUE_BYTES],
}

fn options(policy: FsyncPolicy) -> LogOptions {
    LogOptions {
        segment_bytes: SEGMENT,
        policy,
        retain_bytes: None,
        index_bytes: 4 << 30,
        compression: Compression::None,
    }
}

fn open(dir: &Path, options: LogOptions, with_index: bool) -> Store {
    let (send, news) = channel();
    let hands = Hands::Threads(Arc::new(move || {
        // Nobody may be waiting any more.
        let _ = send.send(());
    }));
    let mut place = LogPlace::in_data_dir(dir);
    if !with_index {
        place.index = None;
    }
    let opening = Opening::begin(&place, options, hands).expect("the log can be opened");
    let (log, _) = opening.replay(&mut |_| {}).expect("the log is sound");
    Store { log, news, next: 1, value: [7; VALUE_BYTES] }
}

impl Store {
    fn append(&mut self, records: u64) {
        for _ in 0..records {
            let number = self.next;
            self.value[..8].copy_from_slice(&number.to_be_bytes());
            self.log.append_with(3, key(number), |out| out.extend_from_slice(&self.value));
            self.next += 1;
        }
    }

    fn wait(&mut self) {
        // Whoever waits is woken by the helper; a wake-up that was for somebody else does no harm.
        let _ = self.news.recv_timeout(Duration::from_millis(100));
        self.log.poll(now()).expect("the disk works");
    }

    /// Commits what was appended and waits until it may be acknowledged, one commit later at
    /// most: while one batch is being synced the next one fills.
    fn commit(&mut self, before: &mut Lsn) {
        let mut end = self.log.commit(now()).expect("the disk works");
        while self.log.is_blocked() {
            self.wait();
            end = self.log.commit(now()).expect("the disk works").or(end);
        }
        while self.log.acknowledged() < *before {
            self.wait();
        }
        if let Some(end) = end {
            *before = end;
        }
        if self.log.wants_checkpoint(now()) {
            self.log.checkpoint(OwnerState::default(), now());
        }
        self.log.poll(now()).expect("the disk works");
    }

    fn finish(&mut self, before: Lsn) {
        while self.log.acknowledged() < before {
            self.wait();
        }
    }

    /// Waits until all that was written is on the disk and sealed segments are known to be.
    fn settle(&mut self) {
        self.log.sync_now(now());
        while self.log.stats().unsynced_bytes > 0 {
            self.wait();
        }
    }

    /// Returns records per second over a window, each commit of `batch` records.
    fn run(&mut self, batch: u64, window: Duration) -> f64 {
        let (began, first) = (now(), self.next);
        let mut before = Lsn(0);
        while now().since(began) < window {
            self.append(batch);
            self.commit(&mut before);
        }
        self.finish(before);
        (self.next - first) as f64 / seconds_since(began)
    }
}

// --- floors ---------------------------------------------------------------------------------

/// The same framing and checksums written to a file of zeros, without anything else.
struct Raw {
    file: File,
    path: PathBuf,
    buf: Vec<u8>,
    offset: u64,
    next: u64,
    is_synced: bool,
}

const RAW_BYTES: u64 = 1 << 30;

impl Raw {
    fn new(dir: &Path, is_synced: bool) -> Self {
        let path = dir.join("raw");
        let file = File::options().read(true).write(true).create(true).truncate(true).open(&path);
        let file = file.expect("there is room");
        let zeros = vec![0; 1 << 20];
        for offset in (0..RAW_BYTES).step_by(zeros.len()) {
            file.write_all_at(&zeros, offset).expect("there is room");
        }
        file.sync_all().expect("the disk works");
        Self { file, path, buf: Vec::new(), offset: 0, next: 1, is_synced }
    }

    fn run(&mut self, batch: u64, window: Duration) -> f64 {
        let (began, first) = (now(), self.next);
        let mut value = [7; VALUE_BYTES];
        while now().since(began) < window {
            self.buf.clear();
            self.buf.extend_from_slice(&[0; BATCH_HEADER_BYTES]);
            for _ in 0..batch {
                value[..8].copy_from_slice(&self.next.to_be_bytes());
                let lsn = Lsn(self.offset + self.buf.len() as u64);
                format::put_record(&mut self.buf, lsn, 3, key(self.next), |out| {
                    out.extend_from_slice(&value);
                });
                self.next += 1;
            }
            let header = BatchHeader {
                payload_bytes: u32::try_from(self.buf.len() - BATCH_HEADER_BYTES).expect("small"),
                records: u16::try_from(batch).expect("small"),
                lsn: Lsn(self.offset),
                synced: Lsn(0),
                prev_crc: 0,
            };
            header.encode(7, self.buf.first_chunk_mut().expect("room for the header"));
            self.file.write_all_at(&self.buf, self.offset).expect("there is room");
            self.offset += self.buf.len() as u64;
            if self.is_synced {
                self.file.sync_data().expect("the disk works");
                self.offset = format::align_up(self.offset);
            }
            if self.offset + (1 << 20) > RAW_BYTES {
                self.offset = 0;
            }
        }
        (self.next - first) as f64 / seconds_since(began)
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

struct Lmdb {
    env: Env,
    db: Database<'static, Bytes, Bytes>,
    next: u64,
}

impl Lmdb {
    fn open(dir: &Path) -> Self {
        std::fs::create_dir_all(dir).expect("there is room");
        let mut options = EnvOpenOptions::new();
        options.map_size(8 << 30);
        // SAFETY: nobody else has the directory.
        let env = unsafe { options.open(dir) }.expect("LMDB opens");
        let txn = env.write_txn().expect("LMDB works");
        let db = env
            .create_databases_and_commit(txn, |opener, txn| {
                let db = opener.create_database::<Bytes, Bytes>(txn, None)?;
                Ok::<_, heed::Error>(CommitOrAbort::<_, ()>::Commit(db))
            })
            .expect("LMDB works")
            .unwrap_commit();
        Self { env, db, next: 1 }
    }

    fn put(&mut self, records: u64) {
        let mut txn = self.env.write_txn().expect("LMDB works");
        for _ in 0..records {
            self.db.put(&mut txn, &key(self.next), &[7; VALUE_BYTES]).expect("LMDB works");
            self.next += 1;
        }
        txn.commit().expect("LMDB works");
    }

    fn run(&mut self, batch: u64, window: Duration) -> f64 {
        let (began, first) = (now(), self.next);
        while now().since(began) < window {
            self.put(batch);
        }
        (self.next - first) as f64 / seconds_since(began)
    }

    fn get(&self, number: u64) -> usize {
        let txn = self.env.read_txn().expect("LMDB works");
        self.db.get(&txn, &key(number)).expect("LMDB works").map_or(0, <[u8]>::len)
    }
}

// --- targets --------------------------------------------------------------------------------

/// Targets 1 to 3: durable appends.
fn durable(effort: &Effort) {
    let dir = tempfile::tempdir().expect("there is room");
    let mut raw = Raw::new(dir.path(), true);
    for (batch, target) in [(1, "0.97"), (64, "0.85 (moonshot 0.88)"), (1024, "0.70")] {
        let mut store =
            open(&dir.path().join(batch.to_string()), options(FsyncPolicy::EachBatch), true);
        let (mut ours, mut floors) = (Vec::new(), Vec::new());
        for _ in 0..effort.windows {
            floors.push(raw.run(batch, effort.window));
            ours.push(store.run(batch, effort.window));
        }
        let ratios = ours.iter().zip(&floors).map(|(ours, floor)| ours / floor).collect();
        let what = format!("records/s durable, {batch} a commit, vs raw");
        let floor = median(floors);
        line("durable", &what, median(ratios) * floor, floor, target);
    }
}

/// Target 4: the same against others.
fn peers(effort: &Effort) {
    let dir = tempfile::tempdir().expect("there is room");
    let mut store = open(&dir.path().join("store"), options(FsyncPolicy::EachBatch), true);
    let mut lmdb = Lmdb::open(&dir.path().join("lmdb"));
    let mut fjall = peer::Fjall::open(&dir.path().join("fjall"));
    let mut ratios = [Vec::new(), Vec::new()];
    for _ in 0..effort.windows {
        let ours = store.run(64, effort.window);
        ratios[0].push(ours / lmdb.run(64, effort.window));
        ratios[1].push(ours / fjall.run(64, effort.window));
    }
    let [lmdb, fjall] = ratios;
    line("peers", "durable, 64 a commit, vs LMDB", median(lmdb), 1.0, "3");
    if fjall.is_empty() {
        println!("{:<22} durable vs fjall: run with --features peers", "peers");
    } else {
        line("peers", "durable, 64 a commit, vs fjall SyncData", median(fjall), 1.0, "1.5");
    }
}

/// Target 5: written and not synced.
fn none(effort: &Effort) {
    let dir = tempfile::tempdir().expect("there is room");
    let mut raw = Raw::new(dir.path(), false);
    for with_index in [false, true] {
        let part = dir.path().join(with_index.to_string());
        let mut store = open(&part, options(FsyncPolicy::None), with_index);
        let (mut ours, mut floors) = (Vec::new(), Vec::new());
        for _ in 0..effort.windows {
            floors.push(raw.run(64, effort.window));
            ours.push(store.run(64, effort.window));
        }
        let ratios = ours.iter().zip(&floors).map(|(ours, floor)| ours / floor).collect();
        let what = if with_index { ", LMDB following" } else { "" };
        let floor = median(floors);
        let what = format!("records/s, 64 a batch{what}, vs raw");
        line("none", &what, median(ratios) * floor, floor, "0.6");
    }
}

/// Targets 6 and 7: bytes.
fn bytes(effort: &Effort) {
    let dir = tempfile::tempdir().expect("there is room");
    let mut store = open(dir.path(), options(FsyncPolicy::EachBatch), false);
    // The first segments are made of zeros before anything is written.
    store.run(64, Duration::from_millis(300));
    let written = || sectors_written(dir.path()).map(|sectors| sectors * 512);
    let (before, first) = (written(), store.next);
    store.run(64, effort.window * 2);
    let records = (store.next - first) as f64;
    if let (Some(before), Some(after)) = (before, written()) {
        let of_zeros = 0.0;
        let device = (after - before) as f64 / records - of_zeros;
        value_line("bytes", "device bytes per durable record at 64", device, "200");
    }
    let stats = store.log.stats();
    let payload = stats.records * (16 + VALUE_BYTES as u64);
    let overhead = (stats.bytes - payload) as f64 / stats.records as f64;
    value_line("bytes", "frame bytes per record at 64", overhead, "9");
}

/// Sectors that the whole machine wrote to the disk of a path.
fn sectors_written(path: &Path) -> Option<u64> {
    let device = std::fs::metadata(path).ok()?.dev();
    let (major, minor) = (device >> 8 & 0xfff, device & 0xff);
    let stat = std::fs::read_to_string(format!("/sys/dev/block/{major}:{minor}/stat")).ok()?;
    stat.split_whitespace().nth(6)?.parse().ok()
}

/// Targets 9 and 10: reading single records.
fn get(effort: &Effort) {
    let keys = 500_000 / effort.scale;
    let dir = tempfile::tempdir().expect("there is room");
    let mut lmdb = Lmdb::open(&dir.path().join("lmdb"));
    lmdb.put(keys);
    for (is_hot, target) in [(true, "1.0"), (false, "0.65")] {
        let index_bytes = if is_hot { 1 << 30 } else { 0 };
        let options = LogOptions { index_bytes, ..options(FsyncPolicy::None) };
        let part = dir.path().join(is_hot.to_string());
        let mut store = open(&part, options, true);
        let mut before = Lsn(0);
        while store.next <= keys {
            store.append(1024.min(keys + 1 - store.next));
            store.commit(&mut before);
        }
        store.settle();
        if !is_hot {
            // All is in LMDB, and nothing in memory.
            store.log.close(OwnerState::default(), now()).expect("the disk works");
            store = open(&part, options, true);
        }
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let (mut ours, mut floors) = (Vec::new(), Vec::new());
        let mut rate = |get: &mut dyn FnMut(u64) -> usize| {
            let (began, mut gets) = (now(), 0);
            while now().since(began) < effort.window {
                for _ in 0..1000 {
                    let number = 1 + rng.next_u64() % keys;
                    assert_eq!(get(number), VALUE_BYTES, "every key is there");
                    gets += 1;
                }
            }
            f64::from(gets) / seconds_since(began)
        };
        for _ in 0..effort.windows {
            floors.push(rate(&mut |number| lmdb.get(number)));
            ours.push(rate(&mut |number| {
                let record = store.log.get(&key(number)).expect("the log is sound");
                record.map_or(0, |record| record.value.len())
            }));
        }
        let ratios = ours.iter().zip(&floors).map(|(ours, floor)| ours / floor).collect();
        let what = if is_hot { "gets/s, hot, vs LMDB" } else { "gets/s, fallback, vs LMDB" };
        let floor = median(floors);
        line("get", what, median(ratios) * floor, floor, target);
    }
}

/// Target 11: the index in memory.
fn index(effort: &Effort) {
    let keys = 10_000_000 / effort.scale;
    let mut stalls = Vec::new();
    let mut index = Index::new(u64::MAX);
    for _ in 0..effort.windows {
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

/// Writes a log of about this many bytes, ended in order, and returns how many records it has.
fn fill(dir: &Path, bytes: u64, with_index: bool) -> u64 {
    let mut store = open(dir, options(FsyncPolicy::None), with_index);
    let mut before = Lsn(0);
    while store.log.stats().bytes < bytes {
        store.append(1024);
        store.commit(&mut before);
    }
    store.log.close(OwnerState::default(), now()).expect("the disk works");
    store.next - 1
}

/// Target 12: scanning.
fn scan(effort: &Effort) {
    let dir = tempfile::tempdir().expect("there is room");
    fill(dir.path(), SEGMENT / 2, false);
    let segment = reader::log_dir(dir.path()).join("0000000000000000.seg");
    let image = std::fs::read(&segment).expect("it was written");
    let header = format::SegmentHeader::decode(&image).expect("it was written");
    let used = image.iter().rposition(|&byte| byte != 0).map_or(0, |at| at + 1) as f64;
    let (mut ours, mut floors) = (Vec::new(), Vec::new());
    for _ in 0..effort.windows * 4 {
        let began = now();
        let found = reader::scan(dir.path(), &mut |_| {}).expect("the log is sound");
        assert!(found.records > 0);
        ours.push(used / seconds_since(began) / 1e9);
        // The floor reads the same bytes in the same pieces, and looks at none.
        let file = File::open(&segment).expect("it was written");
        let mut buf = vec![0; 256 << 10];
        let began = now();
        let mut offset = 0;
        while let Ok(count @ 1..) = file.read_at(&mut buf, offset) {
            offset += count as u64;
        }
        floors.push(offset as f64 / seconds_since(began) / 1e9);
    }
    line("scan", "GB/s with checksums, vs reading alone", median(ours), median(floors), "0.55");
    let mut in_memory = Vec::new();
    for _ in 0..effort.windows * 4 {
        let began = now();
        let from =
            Cursor { offset: format::SEGMENT_HEADER_BYTES as u64, prev_crc: header.prev_crc };
        let Ok(found) = recovery::scan(&mut &image[..], &header, from, &mut |_| {});
        in_memory.push(found.end as f64 / seconds_since(began) / 1e9);
    }
    value_line("scan", "GB/s with checksums, from memory", median(in_memory), "6.5");
}

/// Target 13: a tail that LMDB does not know.
fn replay(effort: &Effort) {
    let dir = tempfile::tempdir().expect("there is room");
    fill(dir.path(), SEGMENT - (1 << 20), false);
    let mut times = Vec::new();
    for _ in 0..effort.windows * 2 {
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
fn rebuild(effort: &Effort) {
    let dir = tempfile::tempdir().expect("there is room");
    let records = fill(dir.path(), (1 << 30) / effort.scale, true);
    let mut times = Vec::new();
    for _ in 0..effort.windows {
        std::fs::remove_dir_all(dir.path().join("index")).expect("it was there");
        let began = now();
        let mut store = open(dir.path(), options(FsyncPolicy::None), true);
        times.push(seconds_since(began));
        assert!(store.log.get(&key(records / 2)).expect("it is sound").is_some());
    }
    let what = format!("s for a lost LMDB, {records} keys");
    value_line("rebuild", &what, median(times), "1.5");
}

/// Target 15: a warm start.
fn warm(effort: &Effort) {
    let dir = tempfile::tempdir().expect("there is room");
    let keys = 5_000_000 / effort.scale;
    let records = fill(dir.path(), keys * (24 + VALUE_BYTES as u64), true);
    let mut times = Vec::new();
    for _ in 0..effort.windows {
        let began = now();
        let mut store = open(dir.path(), options(FsyncPolicy::None), true);
        times.push(seconds_since(began));
        assert!(store.log.get(&key(records / 2)).expect("it is sound").is_some());
        store.log.close(OwnerState::default(), now()).expect("the disk works");
    }
    let what = format!("s to be verified and serving, {records} keys");
    value_line("warm", &what, median(times), "0.5");
}

mod peer {
    use super::*;

    pub struct Fjall {
        db: fjall::Database,
        keyspace: fjall::Keyspace,
        next: u64,
    }

    impl Fjall {
        pub fn open(dir: &Path) -> Self {
            let db = fjall::Database::builder(dir).open().expect("fjall opens");
            let keyspace =
                db.keyspace("bench", fjall::KeyspaceCreateOptions::default).expect("fjall opens");
            Self { db, keyspace, next: 1 }
        }

        pub fn run(&mut self, batch: u64, window: Duration) -> f64 {
            let (began, first) = (now(), self.next);
            while now().since(began) < window {
                let mut write = self.db.batch().durability(Some(fjall::PersistMode::SyncData));
                for _ in 0..batch {
                    write.insert(&self.keyspace, key(self.next), [7; VALUE_BYTES]);
                    self.next += 1;
                }
                write.commit().expect("fjall works");
            }
            (self.next - first) as f64 / seconds_since(began)
        }
    }
}

/// Measures one target, or a few that belong together.
type Target = fn(&Effort);

fn main() {
    let args: Vec<String> = std::env::args().skip(1).filter(|arg| arg != "--bench").collect();
    let is_quick = args.iter().any(|arg| arg == "--quick" || arg == "--test");
    let effort = if is_quick {
        Effort { windows: 1, window: Duration::from_millis(100), scale: 20 }
    } else {
        Effort { windows: 7, window: Duration::from_millis(500), scale: 1 }
    };
    let wanted: Vec<&String> = args.iter().filter(|arg| !arg.starts_with('-')).collect();
    let all: [(&str, Target); 10] = [
        ("durable", durable),
        ("peers", peers),
        ("none", none),
        ("bytes", bytes),
        ("get", get),
        ("index", index),
        ("scan", scan),
        ("replay", replay),
        ("rebuild", rebuild),
        ("warm", warm),
    ];
    for (name, run) in all {
        if wanted.is_empty() || wanted.iter().any(|wanted| name.starts_with(wanted.as_str())) {
            run(&effort);
        }
    }
    println!(
        "targets 8 (an office over sockets), 16 (damage) and 17 (kills) are runs of the program \
         and tests: `-s durable`, sim::drill, storm"
    );
}
