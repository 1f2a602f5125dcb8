//! `bench` with the real binary: figures that agree with each other, exit codes, and nothing left
//! behind.

use std::path::Path;
use std::process::{Command, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use crate::support::{PROGRAM, descendants, is_alive, run, stderr, wait_for};

/// Measures and returns the rows.
fn rows(args: &[&str]) -> Vec<Value> {
    let output = run(&[&["bench", "--json"], args].concat());
    assert_eq!(output.status.code(), Some(0), "{args:?}: {}", stderr(&output));
    assert_eq!(stderr(&output), "", "nobody looks at progress");
    let json: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(json["machine"]["cpus"].as_u64().unwrap() > 0);
    json["rows"].as_array().unwrap().clone()
}

fn check_row(row: &Value, subject: &str) {
    assert_eq!(row["subject"], subject);
    let number = |key: &str| {
        let value = row[key].as_f64().unwrap_or_else(|| panic!("{key} is missing in {row}"));
        assert!(value.is_finite() && value > 0.0, "{key} in {row}");
        value
    };
    let suffix = if row["better"] == "higher" { "per_s" } else { "ns" };
    let ratio = number(&format!("product_{suffix}")) / number(&format!("floor_{suffix}"));
    assert!((number("ratio") / ratio - 1.0).abs() < 1e-9, "{row}");
    assert!(number("ratio_min") <= number("ratio"), "{row}");
    assert!(number("ratio") <= number("ratio_max"), "{row}");
    if row.get("product_p50_ns").is_some() {
        assert!(number("product_p50_ns") <= number("product_p99_ns"), "{row}");
        assert!(number("floor_p50_ns") <= number("floor_p99_ns"), "{row}");
    }
    assert!(!row["limit"].as_str().unwrap().is_empty(), "{row}");
}

fn is_empty(dir: &Path) -> bool {
    dir.read_dir().unwrap().next().is_none()
}

#[test]
fn figures_are_finite_and_agree() {
    for (subject, count, duration) in
        [("perf", 7, "50ms"), ("net", 3, "200ms"), ("spawn", 2, "50ms")]
    {
        let rows = rows(&[subject, "--duration", duration]);
        assert_eq!(rows.len(), count);
        rows.iter().for_each(|row| check_row(row, subject));
    }
}

#[test]
fn files_go_with_the_bench() {
    for (subject, count, duration) in [("log", 7, "10ms"), ("tickets", 4, "250ms")] {
        let outer = tempfile::tempdir().unwrap();
        let place = outer.path().join("a/b").display().to_string();
        let rows = rows(&[subject, "-d", duration, "--data-dir", &place]);
        assert_eq!(rows.len(), count);
        rows.iter().for_each(|row| check_row(row, subject));
        assert!(is_empty(outer.path()));
    }
}

#[test]
fn a_signal_ends_the_bench_and_its_office() {
    let outer = tempfile::tempdir().unwrap();
    let place = outer.path().display().to_string();
    let mut command = Command::new(PROGRAM);
    command.args(["bench", "tickets", "-d", "5m", "--data-dir", &place]);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    let bench = command.spawn().unwrap();
    let pid = Pid::from_raw(i32::try_from(bench.id()).unwrap());
    let processes = wait_for("an office", || {
        let found = descendants(pid);
        // A director, an issuer, workers, a users manager, a user process.
        (found.len() >= 6).then_some(found)
    });
    let named = format!("postoffice-tui-bench-{pid}");
    assert!(outer.path().join(&named).is_dir(), "what a killed bench leaves has a telling name");
    kill(pid, Signal::SIGINT).unwrap();
    let output = bench.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130), "{}", stderr(&output));
    assert!(stderr(&output).contains("signal 2"), "{}", stderr(&output));
    wait_for("the end of all processes", || {
        processes.iter().all(|pid| !is_alive(*pid)).then_some(())
    });
    assert!(is_empty(outer.path()));
}

#[test]
fn mistakes_are_told() {
    let check = |args: &[&str], code: i32, words: &str| {
        let output = run(&[&["bench"], args].concat());
        assert_eq!(output.status.code(), Some(code), "{args:?}: {}", stderr(&output));
        assert!(stderr(&output).contains(words), "{args:?}: {}", stderr(&output));
    };
    check(&["nets"], 2, "expected tickets, log, net, perf, spawn or all");
    check(&["net", "-d", "5"], 2, "a span such as 20ms");
    check(&["net", "-d", "1ms"], 2, "a span from 10ms to 10m");
    let outer = tempfile::tempdir().unwrap();
    let file = outer.path().join("file");
    std::fs::write(&file, "").unwrap();
    let place = file.join("x").display().to_string();
    check(&["log", "--data-dir", &place], 7, "choose another data directory with --data-dir");
}
