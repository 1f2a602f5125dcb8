//! What a run, `log stats`, `verify`, `repair` and the file system say about the log agree.

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::path::{Path, PathBuf};

use nix::sys::signal::{Signal, kill};
use serde_json::Value;

use crate::support::{Office, run, stderr, wait_for};

/// An office that fills a segment of 1 MiB in a fraction of a second.
const BUSY: &str = "[run]\nwarmup = 0s\n[office]\nworkers = 2\nseats = 8\n\
    [service.letters]\ntime = det 1ms\n[load.regulars]\nusers = 16\nthink = exp 5ms\n\
    payload = 4KiB\n[users]\nmax_processes = 2\n[storage]\nsegment = 1MiB\n";

/// Runs a command on an office's log and returns its output as JSON.
fn ask(office: &Office, args: &[&str]) -> Value {
    let data_dir = office.data_dir().display().to_string();
    let output = run(&[args, &["--json", "--data-dir", &data_dir]].concat());
    assert!(output.status.success(), "{args:?}: {}", stderr(&output));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Returns the segments' files in order, as `ls` shows them.
fn segments(office: &Office) -> Vec<PathBuf> {
    let entries = office.data_dir().join("log").read_dir().unwrap();
    let mut paths: Vec<PathBuf> = entries
        .map(|entry| entry.unwrap().path())
        .filter(|path| {
            path.extension()
                .is_some_and(|ending| ["seg", "new", "segz"].contains(&ending.to_str().unwrap()))
        })
        .collect();
    paths.sort();
    paths
}

fn check_agreement(storage: &str) -> (Office, Value) {
    let office = Office::new();
    let scenario = office.scenario(&format!("{BUSY}{storage}"));
    let (code, summary) = office.run(&["-s", &scenario, "-d", "1500ms"]);
    assert_eq!(code, 0, "{summary}");
    let (store, stats) = (&summary["store"], ask(&office, &["log", "stats"]));
    for (of_run, of_log) in
        [("segments", "segments"), ("log_bytes", "bytes"), ("file_bytes", "file_bytes")]
    {
        assert_eq!(store[of_run], stats[of_log], "{of_run}: {summary} {stats}");
    }
    let files = segments(&office);
    assert_eq!(stats["segments"], files.len());
    let bytes: u64 = files.iter().map(|path| path.metadata().unwrap().len()).sum();
    assert_eq!(stats["file_bytes"], bytes);
    let span = stats["end_lsn"].as_u64().unwrap() - stats["first_lsn"].as_u64().unwrap();
    assert_eq!(stats["bytes"], span);
    let verdict = office.verify();
    for key in ["issued", "completed", "last_id"] {
        assert_eq!(stats[key], verdict[key], "{key}");
    }
    (office, summary)
}

#[test]
fn a_run_agrees_with_its_log() {
    let (office, summary) = check_agreement("");
    let store = &summary["store"];
    assert!(store["segments"].as_u64().unwrap() > 1, "{summary}");
    assert_eq!((&store["unsynced_bytes"], &store["index"]["behind_bytes"]), (&0.into(), &0.into()));
    let stats = ask(&office, &["log", "stats"]);
    assert_eq!(store["records"], stats["records"]);
    // Each record of a ticket has a row; what is repeated in each segment has one.
    let [issued, completed, records, rows] =
        [&stats["issued"], &stats["completed"], &stats["records"], &store["index"]["lmdb_rows"]]
            .map(|count| count.as_u64().unwrap());
    assert!(issued + completed < rows && rows <= records, "{store} {stats}");
    assert_eq!((&summary["recovery"]["index"], &store["retired"]), (&"new".into(), &0.into()));
}

#[test]
fn a_run_that_packs_and_lets_go_of_segments_agrees_with_its_log() {
    let (_, summary) = check_agreement("retain = 2MiB\ncompression = lz4\n");
    let store = &summary["store"];
    assert!(store["retired"].as_u64().unwrap() > 0, "{summary}");
}

#[test]
fn what_a_crash_tore_is_told_by_the_next_run() {
    let mut office = Office::new();
    let scenario = office.scenario(&format!("{BUSY}fsync = none\n"));
    office.start(&["-s", &scenario]);
    office.wait_for_tickets(50);
    let (issuer, _) = office.wait_for_processes("issuer", 1)[0];
    // The director first, so that nobody starts the issuer again.
    office.signal(Signal::SIGKILL);
    office.reap();
    let log_lock = office.data_dir();
    wait_for("the issuer's end", || {
        let _ = kill(issuer, Signal::SIGKILL);
        engine::storage::writer_of(&log_lock).unwrap().is_none().then_some(())
    });
    let last = segments(&office).pop().unwrap();
    let mut bytes = std::fs::read(&last).unwrap();
    let end = bytes.iter().rposition(|&byte| byte != 0).unwrap();
    bytes[end] ^= 1;
    std::fs::write(&last, &bytes).unwrap();
    let wanted = ask(&office, &["log", "stats"])["torn_bytes"].clone();
    assert!(wanted.as_u64().unwrap() > 0);

    let data_dir = office.data_dir().display().to_string();
    let again =
        run(&["--headless", "--json", "-s", &scenario, "-d", "300ms", "--data-dir", &data_dir]);
    let said = stderr(&again);
    let summary: Value = serde_json::from_slice(&again.stdout).unwrap();
    let found = &summary["recovery"];
    assert_eq!(found["torn_bytes"], wanted, "{said}");
    let kept = found["kept_aside"].as_str().unwrap();
    assert_eq!(std::fs::metadata(kept).unwrap().len(), wanted.as_u64().unwrap());
    for word in ["log: index ", " records read in ", "they were cut off and are kept in ", kept] {
        assert!(said.contains(word), "{word:?} is missing in {said}");
    }
    assert_eq!(office.verify()["ok"], true);
}

#[test]
fn records_that_the_log_lost_are_counted_and_named() {
    let (office, summary) = check_agreement("");
    let last = segments(&office).pop().unwrap();
    let file = OpenOptions::new().write(true).open(&last).unwrap();
    let stats = ask(&office, &["log", "stats"]);
    let first = u64::from_str_radix(last.file_stem().unwrap().to_str().unwrap(), 16).unwrap();
    // Half of what the last segment holds is gone, as if an older copy had been put there.
    file.set_len((stats["end_lsn"].as_u64().unwrap() - first) / 2).unwrap();
    let left = ask(&office, &["log", "stats"])["records"].as_u64().unwrap();
    let lost = summary["store"]["records"].as_u64().unwrap() - left;
    assert!(lost > 0);
    let dry = ask(&office, &["repair", "--dry-run"]);
    assert_eq!(dry["lost_keys"], lost, "{dry}");
    check_lost(&office, &format!("the log has lost {lost} records"));
    let data_dir = office.data_dir().display().to_string();
    let output = run(&["repair", "--data-dir", &data_dir]);
    let said = String::from_utf8(output.stdout).unwrap();
    let words = format!("LOST: {lost} records that the index knew");
    assert!(said.replace(' ', "").contains(&words.replace(' ', "")), "{words:?}: {said}");
    assert_eq!(ask(&office, &["repair", "--dry-run"])["lost_keys"], 0, "it is told once");
}

/// Makes sure that `verify` finds the log unsound and says these words.
fn check_lost(office: &Office, words: &str) {
    let data_dir = office.data_dir().display().to_string();
    let output = run(&["verify", "--data-dir", &data_dir]);
    let said = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(5), "{said}");
    assert!(said.contains(words), "{words:?}: {said}");
}

#[test]
fn a_first_segment_that_is_gone_is_not_taken_for_retention() {
    let (office, _) = check_agreement("retain = unlimited\n");
    std::fs::remove_file(&segments(&office)[0]).unwrap();
    check_lost(&office, "the log has lost ");
}

/// Copies a data directory's log and index.
fn copy(from: &Path, to: &Path) {
    for part in ["log", "index"] {
        std::fs::create_dir_all(to.join(part)).unwrap();
        for entry in from.join(part).read_dir().unwrap() {
            let path = entry.unwrap().path();
            std::fs::copy(&path, to.join(part).join(path.file_name().unwrap())).unwrap();
        }
    }
}

/// Returns the names and bytes of all files in a data directory's log.
fn content(office: &Office) -> BTreeMap<PathBuf, Vec<u8>> {
    let entries = office.data_dir().join("log").read_dir().unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    paths.map(|path| (path.clone(), std::fs::read(path).unwrap())).collect()
}

fn change(path: &Path, change: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = std::fs::read(path).unwrap();
    change(&mut bytes);
    std::fs::write(path, bytes).unwrap();
}

/// Makes a segment or an index one that another program or machine wrote.
fn set_version(head: &mut [u8]) {
    head[9] = 9;
    let sum = crc_fast::crc32_iscsi(&head[..44]);
    head[44..48].copy_from_slice(&sum.to_be_bytes());
}

fn swap_bytes(index: &mut [u8]) {
    for page in [0, 4096] {
        for field in [16, 20] {
            index[page + field..page + field + 4].reverse();
        }
    }
}

#[test]
fn what_can_not_be_trusted_is_refused_by_name_and_nothing_is_changed() {
    let (sound, _) = check_agreement("retain = unlimited\n");
    let scenario = sound.scenario(BUSY);
    type Damage = fn(&Path, &[PathBuf]);
    let cases: [(i32, &[&str], Damage); 7] = [
        (5, &["notes.txt is not part of the log", "move it elsewhere"], |dir, _| {
            std::fs::write(dir.join("log/notes.txt"), "x").unwrap();
        }),
        (5, &["has a gap", "restore the segment"], |_, segments| {
            std::fs::remove_file(&segments[1]).unwrap();
        }),
        (5, &["format version 9, this program knows 1"], |_, segments| {
            change(&segments[0], |bytes| set_version(bytes));
        }),
        (5, &["damaged at byte", "nothing was changed", "--salvage"], |dir, segments| {
            change(&segments[1], |bytes| bytes[500_000..500_100].fill(0xff));
            std::fs::remove_dir_all(dir.join("index")).unwrap();
        }),
        (8, &["data.mdb is corrupt", "another kind", "postoffice-tui repair"], |dir, _| {
            change(&dir.join("index/data.mdb"), |bytes| swap_bytes(bytes));
        }),
        (8, &["data.mdb is corrupt", "postoffice-tui repair"], |dir, _| {
            let flip = |bytes: &mut Vec<u8>| {
                // Free pages may hold anything; of the others one bit each.
                bytes.iter_mut().skip(2 * 4096 + 3000).step_by(4096).for_each(|byte| *byte ^= 1);
            };
            change(&dir.join("index/data.mdb"), flip);
        }),
        (8, &["data.mdb is corrupt", "bytes and needs"], |dir, _| {
            change(&dir.join("index/data.mdb"), |bytes| bytes.truncate(5 * 4096 + 7));
        }),
    ];
    for (code, words, damage) in cases {
        let office = Office::new();
        copy(&sound.data_dir(), &office.data_dir());
        damage(&office.data_dir(), &segments(&office));
        let before = content(&office);
        let data_dir = office.data_dir().display().to_string();
        let args = ["--headless", "-s", &scenario, "-d", "300ms", "--data-dir", &data_dir];
        let output = run(&args);
        let said = stderr(&output) + &String::from_utf8_lossy(&output.stdout);
        assert_eq!(output.status.code(), Some(code), "{words:?}: {said}");
        for word in words {
            assert!(said.contains(word), "it should say {word:?}: {said}");
        }
        let is_log = |(path, _): &(&PathBuf, &Vec<u8>)| !path.ends_with("writer.lock");
        let after = content(&office);
        assert!(before.iter().filter(is_log).eq(after.iter().filter(is_log)), "{words:?}");
        if code == 8 {
            ask(&office, &["repair"]);
            assert_eq!(office.run(&["-s", &scenario, "-d", "300ms"]).0, 0);
            assert_eq!(office.verify()["open"], 0);
        }
    }
}
