//! Targets 1 to 8: appending.

use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use engine::bench::{Lmdb, LogOwner, Plain, PlainFile, VALUE_BYTES, options};
use engine::config::scenario::FsyncPolicy;
use engine::perf::compare::median;
use engine::storage::LogOptions;
use serde_json::Value;

use crate::peers::{Fjall, PlainLmdb};
use crate::{Effort, PLAIN_BYTES, compare, ratio_line, value_line};

pub(crate) fn open(dir: &Path, options: LogOptions, lmdb: Lmdb) -> LogOwner {
    LogOwner::open(dir, options, lmdb).expect("the log can be opened")
}

/// Returns a way to run a log, each commit of `batch` records.
fn owner(store: &mut LogOwner, batch: u64) -> impl FnMut(Duration) -> f64 {
    move |window| store.run(batch, window).expect("the disk works")
}

/// Returns a way to run its floor.
fn plain(file: &mut PlainFile, batch: u64) -> impl FnMut(Duration) -> f64 {
    move |window| file.run(batch, window).expect("the disk works")
}

/// Targets 1 to 3: durable appends.
pub(crate) fn durable(effort: &Effort) {
    let dir = tempfile::tempdir().expect("there is room");
    let mut raw = PlainFile::new(dir.path(), Plain::Synced, PLAIN_BYTES).expect("there is room");
    for (batch, target) in [(1, "0.97"), (64, "0.85"), (1024, "0.70")] {
        let part = dir.path().join(batch.to_string());
        let mut store = open(&part, options(FsyncPolicy::EachBatch), Lmdb::Follows);
        let found = compare(effort, owner(&mut store, batch), plain(&mut raw, batch));
        let what = format!("records/s durable, {batch} a commit, vs write+fdatasync");
        ratio_line("durable", &what, &found, target);
    }
}

/// Target 4: the same against others.
pub(crate) fn peers(effort: &Effort) {
    let dir = tempfile::tempdir().expect("there is room");
    let mut store = open(&dir.path().join("store"), options(FsyncPolicy::EachBatch), Lmdb::Follows);
    let mut lmdb = PlainLmdb::open(&dir.path().join("lmdb"));
    let found = compare(effort, owner(&mut store, 64), |window| lmdb.run(64, window));
    ratio_line("peers", "records/s durable, 64 a commit, vs LMDB", &found, "3");
    let mut fjall = Fjall::open(&dir.path().join("fjall"));
    let found = compare(effort, owner(&mut store, 64), |window| fjall.run(64, window));
    ratio_line("peers", "records/s durable, 64 a commit, vs fjall SyncData", &found, "1.5");
}

/// Target 5: written and not synced.
pub(crate) fn none(effort: &Effort) {
    for (kind, floor) in [(Plain::Growing, "write"), (Plain::Overwriting, "overwriting")] {
        for (lmdb, follows) in [(Lmdb::Absent, ""), (Lmdb::Follows, ", LMDB following")] {
            let dir = tempfile::tempdir().expect("there is room");
            let mut raw = PlainFile::new(dir.path(), kind, PLAIN_BYTES).expect("there is room");
            let mut store = open(&dir.path().join("store"), options(FsyncPolicy::None), lmdb);
            let found = compare(effort, owner(&mut store, 64), plain(&mut raw, 64));
            let is_target = kind == Plain::Growing && lmdb == Lmdb::Absent;
            let what = format!("records/s, 64 a batch{follows}, vs {floor}");
            ratio_line("none", &what, &found, if is_target { "0.6" } else { "-" });
        }
    }
}

/// Targets 6 and 7: bytes.
pub(crate) fn bytes(effort: &Effort) {
    let dir = tempfile::tempdir().expect("there is room");
    let mut store = open(dir.path(), options(FsyncPolicy::EachBatch), Lmdb::Absent);
    // The first segments are made of zeros before anything is written.
    owner(&mut store, 64)(Duration::from_millis(300));
    let mut device = Vec::new();
    for _ in 0..effort.turns.count {
        let (before, rolls) = (bytes_written(dir.path()), store.stats().rolls);
        let first = store.appended();
        owner(&mut store, 64)(effort.turns.window / 2);
        // A window in which a segment was made counts its zeros, which belong to the next one.
        if let (Some(before), Some(after)) = (before, bytes_written(dir.path()))
            && store.stats().rolls == rolls
        {
            device.push((after - before) as f64 / (store.appended() - first) as f64);
        }
    }
    if device.is_empty() {
        println!("bytes: the device of {} does not count what is written", dir.path().display());
    } else {
        value_line("bytes", "device bytes per durable record at 64", median(device), "200");
    }
    let stats = store.stats();
    let payload = stats.records * (16 + VALUE_BYTES as u64);
    let overhead = (stats.bytes - payload) as f64 / stats.records as f64;
    value_line("bytes", "frame bytes per record at 64", overhead, "9");
}

/// Bytes that the whole machine wrote to the disk of a path.
fn bytes_written(path: &Path) -> Option<u64> {
    let device = std::fs::metadata(path).ok()?.dev();
    let (major, minor) = (nix::sys::stat::major(device), nix::sys::stat::minor(device));
    let stat = std::fs::read_to_string(format!("/sys/dev/block/{major}:{minor}/stat")).ok()?;
    Some(stat.split_whitespace().nth(6)?.parse::<u64>().ok()? * 512)
}

/// Target 8: an office whose users wait for durable tickets over sockets, 16 connections with 16
/// requests in flight each. A ticket is two records.
pub(crate) fn office(effort: &Effort) {
    let (mut rates, mut commits) = (Vec::new(), Vec::new());
    for _ in 0..effort.turns.count.div_ceil(2) {
        let dir = tempfile::tempdir().expect("there is room");
        let summary = run_office(dir.path(), effort.turns.window * 6);
        let number = |path: &str| summary.pointer(path).and_then(Value::as_f64);
        let found = (
            number("/throughput_per_s"),
            number("/users/response_p99_ns"),
            number("/store/sync_p50_ns"),
        );
        let (Some(rate), Some(response), Some(sync)) = found else {
            println!("office: the summary lacks figures: {found:?}");
            return;
        };
        rates.push(2.0 * rate);
        commits.push(response / sync);
    }
    value_line(
        "office",
        "durable records/s over sockets, 16 x 16 in flight",
        median(rates),
        "450000",
    );
    value_line("office", "response p99 in median syncs", median(commits), "3");
}

fn run_office(dir: &Path, duration: Duration) -> Value {
    let data_dir = dir.display().to_string();
    let duration = format!("{}ms", duration.as_millis());
    let office = ["--headless", "-q", "--json", "-s", "durable", "--data-dir", &data_dir];
    let load = ["load.clerks.users=256", "load.clerks.think=0s", "office.seats=256"];
    let rest = ["users.max_processes=16", "storage.fsync=each_batch", "run.warmup=200ms"];
    let sets = load.iter().chain(&rest);
    let output = Command::new(env!("CARGO_BIN_EXE_postoffice-tui"))
        .args(office)
        .args(["-d", &duration])
        .args(sets.flat_map(|set| ["--set", set]))
        .stderr(Stdio::inherit())
        .output()
        .expect("the program was built");
    serde_json::from_slice(&output.stdout).expect("a summary")
}
