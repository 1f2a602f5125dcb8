//! The scenario changes while the office runs: `ctl set`, `ctl reload`, SIGUSR1, and goals.

use std::process::Output;

use nix::sys::signal::{Signal, kill};
use serde_json::{Value, json};

use crate::support::terminal::Terminal;
use crate::support::{Office, descendants, is_alive, run as run_program, stderr, wait_for};

/// An office without end that serves some hundred tickets a second.
const BUSY: &str = "[run]\nwarmup = 0s\nseed = 1\n[office]\nworkers = 2\nroom = 500\n\
    [service.letters]\ntime = exp 4ms\n[load.regulars]\nusers = 6\nthink = exp 8ms\n\
    [users]\nmax_processes = 3\n[storage]\nfsync = none\n";

fn ctl(office: &Office, args: &[&str]) -> Output {
    let data_dir = office.data_dir().display().to_string();
    office.run_tool(&[&["ctl"], args, &["--data-dir", &data_dir]].concat())
}

/// Asks for a change that must succeed and returns what is said.
fn check(office: &Office, args: &[&str]) -> String {
    let output = ctl(office, args);
    assert_eq!(output.status.code(), Some(0), "{args:?}: {}", stderr(&output));
    String::from_utf8(output.stdout).unwrap()
}

/// Asks for a change that must be refused with exit code 2 and returns why.
fn refused(office: &Office, args: &[&str]) -> String {
    let output = ctl(office, args);
    assert_eq!(output.status.code(), Some(2), "{args:?}: {}", stderr(&output));
    stderr(&output)
}

fn sample(office: &Office) -> Option<Value> {
    let data_dir = office.data_dir().display().to_string();
    let output = office.run_tool(&["sample", "--format", "json", "--data-dir", &data_dir]);
    serde_json::from_slice(&output.stdout).ok()
}

fn texts(office: &Office) -> Vec<String> {
    let events = sample(office).and_then(|sample| sample["events"].as_array().cloned());
    let events = events.unwrap_or_default();
    events.iter().filter_map(|event| event["text"].as_str().map(str::to_owned)).collect()
}

/// Waits until an office that goes on has issued more tickets.
fn goes_on(office: &Office) {
    let issued = office.wait_for_tickets(1);
    office.wait_for_tickets(issued + 100);
}

fn write(path: &str, text: &str) {
    // As editors do it: whoever reads sees one file or the other.
    let aside = format!("{path}.new");
    std::fs::write(&aside, text).unwrap();
    std::fs::rename(aside, path).unwrap();
}

#[test]
fn a_stricter_policy_under_load_keeps_all_that_was_acknowledged() {
    let mut office = Office::new();
    let scenario = office.scenario(BUSY);
    let acks = office.path("acks");
    office.start(&["-s", &scenario, "--ack-log", acks.to_str().unwrap()]);
    goes_on(&office);
    for policy in ["each_batch", "every 8", "none", "interval 10ms", "each_batch"] {
        let said = check(&office, &["set", &format!("storage.fsync={policy}")]);
        assert!(said.contains(&format!("-> {policy} (live)\n")), "{said}");
        let promise = sample(&office).unwrap()["fsync"].clone();
        assert_eq!(promise, json!(policy), "the reply waits until it holds");
        goes_on(&office);
    }
    let all = descendants(office.pid());
    kill(office.pid(), Signal::SIGKILL).unwrap();
    for &pid in &all {
        // It may have ended with the director.
        let _ = kill(pid, Signal::SIGKILL);
    }
    office.reap();
    wait_for("the end of all", || all.iter().all(|&pid| !is_alive(pid)).then_some(()));
    let (acked, _) = office.check_acks(&acks);
    assert!(acked > 500, "{acked} ids were acknowledged");
    assert_eq!(office.verify()["ok"], true);
}

#[test]
fn a_changed_file_is_shown_and_then_applied() {
    let mut office = Office::new();
    let scenario = office.scenario(BUSY);
    office.start(&["-s", &scenario, "-u", "9"]);
    goes_on(&office);
    assert_eq!(check(&office, &["reload"]), "nothing differs\n");
    check(&office, &["workers", "3"]);
    let changed = BUSY
        .replace("seed = 1", "seed = 2\ndrain = 4s")
        .replace("room = 500", "room = 400\nseats = 6")
        .replace("users = 6", "users = 7");
    write(&scenario, &changed);
    let wanted = "run.seed: 1 -> 2 (needs a new run; the office goes on as it is)\n\
        run.drain: 10s (default) -> 4s (live)\n\
        office.workers: 3 stays: it was changed live, and the file, which says 2, was not\n\
        office.seats: one for each worker (default) -> 6 (restarts the workers, one after another)\n\
        office.room: 500 -> 400 (restarts the issuer)\n";
    assert_eq!(check(&office, &["reload", "--dry-run"]), wanted);
    let before = sample(&office).unwrap();
    assert_eq!(before["store"]["issuer_starts"], 1, "nothing was applied: {before}");
    assert_eq!(check(&office, &["reload"]), wanted, "the users are the command line's");
    wait_for("the issuer's restart", || {
        (sample(&office)?["store"]["issuer_starts"] == 2).then_some(())
    });
    wait_for("the workers' restarts", || {
        let sample = sample(&office)?;
        (sample["seats"]["staffed"] == 6 && sample["workers"]["actual"] == 3).then_some(())
    });
    goes_on(&office);
    let refusal = refused(&office, &["set", "office.room=1", "run.seed=3"]);
    assert_eq!(refusal, "run.seed: it stays 1; another value needs a new run\n");
    office.signal(Signal::SIGTERM);
    let (_, summary) = office.finish();
    assert_eq!(summary["seed"], 1);
    assert_eq!(summary["store"]["issuer_starts"], 2, "the refused change did nothing: {summary}");
    let total = |key: &str| summary[key].as_u64().unwrap();
    assert_eq!(total("issued"), total("served") + total("failed") + total("unfinished"));
    let verdict = office.verify();
    assert_eq!((&verdict["ok"], &verdict["open"]), (&json!(true), &json!(0)), "{verdict}");
}

#[test]
fn a_bad_file_changes_nothing() {
    let mut office = Office::new();
    let scenario = office.scenario(BUSY);
    office.start(&["-s", &scenario]);
    goes_on(&office);
    let bad = format!("{BUSY}[office]\nromo = 4\nseats = 9\n");
    write(&scenario, &bad);
    let line = bad.lines().position(|line| line == "romo = 4").unwrap() + 1;
    let mistake =
        format!("{scenario}:{line}: office.romo: unknown key; did you mean office.room?\n");
    assert_eq!(refused(&office, &["reload"]), mistake);
    assert_eq!(refused(&office, &["reload", "--dry-run"]), mistake);
    let at_start = office.run_tool(&["scenario", "check", &scenario]);
    assert_eq!((at_start.status.code(), stderr(&at_start)), (Some(2), mistake.clone()));
    office.signal(Signal::SIGUSR1);
    let said = format!("nothing was changed: {}", mistake.trim_end());
    wait_for("the signal's refusal", || {
        (texts(&office).iter().filter(|text| **text == said).count() == 3).then_some(())
    });
    for (text, why) in [("", "is empty"), ("\u{7}", "control character")] {
        write(&scenario, text);
        assert!(refused(&office, &["reload"]).contains(why), "{why}");
    }
    std::fs::remove_file(&scenario).unwrap();
    assert!(refused(&office, &["reload"]).contains("cannot read scenario"));
    let sample = sample(&office).unwrap();
    assert_eq!(
        (&sample["store"]["issuer_starts"], &sample["workers"]["target"]),
        (&json!(1), &json!(2))
    );
    goes_on(&office);
    // Without a screen the signal applies what it can.
    write(&scenario, &BUSY.replace("workers = 2", "workers = 3"));
    office.signal(Signal::SIGUSR1);
    office.wait_for_processes("worker", 3);
    office.signal(Signal::SIGTERM);
    office.finish();
}

#[test]
fn what_is_built_in_has_no_file_to_read_again() {
    let mut office = Office::new();
    office.start(&["-s", "steady"]);
    office.wait_for_tickets(1);
    assert!(refused(&office, &["reload"]).contains("there is no file to read again"));
    let said = check(&office, &["set", "run.drain=1s", "slo.fast=p99(wait) < 1h"]);
    assert_eq!(
        said,
        "run.drain: 10s (default) -> 1s (live)\nslo.fast: none (default) -> p99(wait) < 1h (live)\n"
    );
    let typo = refused(&office, &["set", "run.drian=1s"]);
    assert_eq!(typo, "run.drian: unknown key; did you mean run.drain?\n");
    let range = refused(&office, &["set", "run.drain=soon"]);
    assert_eq!(range, "run.drain: soon is not a span such as 20ms (units ns us ms s m h)\n");
    check(&office, &["stop"]);
    assert_eq!(office.finish().0, 0);
}

#[test]
fn with_a_dashboard_the_signal_only_shows_the_difference() {
    let dir = tempfile::tempdir().unwrap();
    let scenario = dir.path().join("office.ini").display().to_string();
    write(&scenario, BUSY);
    let terminal = Terminal::open(120, 40, &["-s", &scenario]);
    terminal.wait_for("▶ RUN");
    let data_dir = terminal.data_dir().display().to_string();
    let status = || -> Option<Value> {
        let output = run_program(&["ctl", "status", "--json", "--data-dir", &data_dir]);
        serde_json::from_slice(&output.stdout).ok()
    };
    assert_eq!(status().unwrap()["reload"], Value::Null);
    write(&scenario, &BUSY.replace("workers = 2", "workers = 3"));
    terminal.signal(Signal::SIGUSR1);
    let pending = wait_for("the difference", || {
        status().map(|status| status["reload"].clone()).filter(|reload| !reload.is_null())
    });
    assert_eq!(pending["source"], json!(scenario));
    assert_eq!(pending["changes"][0]["text"], "office.workers: 2 -> 3 (live)");
    assert_eq!(pending["changes"][0]["fate"], "proposed");
    assert_eq!(status().unwrap()["workers"]["target"], 2, "nobody has said yes");
    write(&scenario, "[office]\nromo = 3\n");
    terminal.signal(Signal::SIGUSR1);
    wait_for("the mistake", || {
        let reload = status()?["reload"].clone();
        reload["error"].as_str()?.contains("office.ini:2: office.romo").then_some(())
    });
}

fn run(office: &Office, scenario: &str, goals: &[&str]) -> (i32, Value) {
    let goals: Vec<&str> = goals.iter().flat_map(|goal| ["--slo", goal]).collect();
    office.run(&[&["-s", scenario, "-d", "1s"], &goals[..]].concat())
}

#[test]
fn a_missed_goal_is_exit_code_4_unless_something_worse_happens() {
    let office = Office::new();
    let scenario =
        office.scenario(&BUSY.replace("room = 500", "room = 500\n[slo]\nall = fail = 0"));
    let (code, summary) = run(&office, &scenario, &["p99(sojourn) < 1h", "throughput > 1/s"]);
    assert_eq!((code, &summary["exit_code"]), (0, &json!(0)), "{summary}");
    let verdicts: Vec<_> = (summary["slos"].as_array().unwrap().iter())
        .map(|goal| (goal["name"].as_str().unwrap(), goal["verdict"].as_str().unwrap()))
        .collect();
    assert_eq!(verdicts, [("all", "met"), ("goal1", "met"), ("goal2", "met")]);
    let goal = "p50(sojourn, letters) < 1us";
    let (code, summary) = run(&office, &scenario, &[goal]);
    assert_eq!((code, &summary["exit_code"]), (4, &json!(4)), "{summary}");
    let missed = &summary["slos"][1];
    assert_eq!((&missed["goal"], &missed["verdict"]), (&json!(goal), &json!("missed")));
    assert_eq!(missed["attainment"], 0.0);
    assert!(missed["value_s"].as_f64().unwrap() > 1e-6, "{missed}");
    let overloaded = BUSY.replace("seed = 1", "seed = 1\nexplode = waiting > 1");
    let scenario = office.scenario(&overloaded.replace("exp 8ms", "0s"));
    let (code, summary) = run(&office, &scenario, &[goal]);
    assert_eq!((code, &summary["outcome"]), (3, &json!("overloaded")), "{summary}");
    let output = office.tool(&["scenario", "show", "--slo", "p99(wait) < 50"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    let wanted = "--slo p99(wait) < 50: slo.goal1: p99(wait) < 50 is not a span such as";
    assert!(stderr(&output).starts_with(wanted), "{}", stderr(&output));
}
