//! Looks at an office from outside: a second dashboard on one that runs, a replay of one that is
//! over or was killed.

use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::control::{ask, check, sample, start_with};
use crate::support::terminal::{Setup, Terminal};
use crate::support::{Office, stderr, wait_for};

/// A small office that serves a few hundred tickets a second.
const SMALL: &str = "[run]\nwarmup = 500ms\n[office]\nworkers = 2\nseats = 4\n\
    [service.letters]\nshare = 75%\ntime = exp 5ms\n[service.parcels]\ntime = det 8ms\n\
    [load.regulars]\nusers = 6\nthink = exp 10ms\n[users]\nmax_processes = 3";

/// Prints what a replay tells of an office's data directory.
fn replay(office: &Office, args: &[&str]) -> Value {
    let data_dir = office.data_dir().display().to_string();
    let output = office.run_tool(&[&["replay", &data_dir, "--json"], args].concat());
    serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", stderr(&output)))
}

/// The figures of a summary that the log and the run's diary hold.
const FIGURES: [&str; 28] = [
    "offered",
    "rejected",
    "rejected_share",
    "lost_work_ns",
    "issued",
    "served",
    "failed",
    "unfinished",
    "window_ns",
    "elapsed_ns",
    "pauses_ns",
    "throughput_per_s",
    "waiting_mean",
    "in_system_mean",
    "waiting_max",
    "waiting_max_at_ns",
    "in_system_max",
    "in_system_max_at_ns",
    "delayed_share",
    "wait_accepted_mean_ns",
    "wait_mean_ns",
    "wait_p99_ns",
    "service_p999_ns",
    "sojourn_p50_ns",
    "sojourn_max_ns",
    "overhead_p90_ns",
    "workers_fairness",
    "users_fairness",
];

#[test]
fn a_replay_tells_the_figures_of_the_run() {
    let office = Office::new();
    let scenario = office.scenario(SMALL);
    let (code, summary) = office.run(&["-s", &scenario, "-d", "2s", "--seed", "7"]);
    assert_eq!(code, 0);
    let told = replay(&office, &[]);
    for key in FIGURES {
        assert!(!summary[key].is_null(), "{key} is a figure of the run");
        assert_eq!(told[key], summary[key], "{key}");
    }
    for key in ["run", "seed", "scenario", "outcome", "exit_code"] {
        assert_eq!(told[key], summary[key], "{key}");
    }
    for (own, of_run) in
        told["services"].as_array().unwrap().iter().zip(summary["services"].as_array().unwrap())
    {
        for key in ["name", "issued", "served", "waiting_mean", "wait_p99_ns", "in_system_max"] {
            assert_eq!(own[key], of_run[key], "{key}");
        }
    }
    for key in ["records", "bytes", "batches", "log_bytes"] {
        assert_eq!(told["store"][key], summary["store"][key], "{key}");
    }
    let busy = |summary: &Value| summary["utilization"].as_f64().unwrap();
    assert!((busy(&told) - busy(&summary)).abs() < 0.02, "{} of {}", busy(&told), busy(&summary));
    assert_eq!(told["users"]["intended"], json!(null), "no log holds what users meant to do");
    let middle = replay(&office, &["--at", "1s"]);
    assert_eq!(
        (&middle["outcome"], &middle["elapsed_ns"]),
        (&json!("running"), &json!(1_000_000_000))
    );
    assert!(middle["served"].as_u64() < told["served"].as_u64());
}

#[test]
fn a_replay_tells_what_people_did() {
    let mut office = Office::new();
    start_with(&mut office, SMALL, &[]);
    office.wait_for_tickets(50);
    check(&office, &["ctl", "users", "9"]);
    check(&office, &["ctl", "strike"]);
    check(&office, &["ctl", "strike", "off"]);
    check(&office, &["ctl", "kill", "worker", "1"]);
    check(&office, &["ctl", "stop"]);
    office.finish();
    let told = replay(&office, &[]);
    let events: Vec<&str> = told["events"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|event| event["text"].as_str())
        .collect();
    for text in ["9 users asked for", "workers called to strike", "worker 1 killed"] {
        assert!(events.contains(&text), "{text}: {events:?}");
    }
    assert_eq!(told["store"]["issuer_starts"], json!(1));
    let data_dir = office.data_dir().display().to_string();
    let mut terminal = Setup::tool(130, 40).args(&["replay", &data_dir, "--at", "0s"]).open();
    terminal.wait_for("REPLAY");
    terminal.press("\u{1b}[F");
    terminal.press("7");
    terminal.wait_for("the strike ended");
    terminal.press("q");
    assert_eq!(terminal.exit_code(), 0);
}

#[test]
fn a_killed_run_is_replayed_up_to_its_last_record() {
    let mut office = Office::new();
    start_with(&mut office, SMALL, &[]);
    office.wait_for_tickets(200);
    office.signal(Signal::SIGKILL);
    office.reap();
    let log = office.data_dir().join("log");
    // The issuer outlives its director for a moment.
    let told = wait_for("the end of the writer", || {
        let told = replay(&office, &[]);
        (told["outcome"] == "failed").then_some(told)
    });
    let reason = told["reason"].as_str().unwrap();
    assert!(reason.contains("without a word of the director"), "{reason}");
    let verdict = office.verify();
    let open = verdict["open"].as_u64().unwrap();
    assert!(reason.contains(&format!("queues {open} open ticket")), "{reason}: {open}");
    assert!(log.is_dir());

    // The next run is another one of the same log.
    let scenario = office.scenario(SMALL);
    let (_, summary) = office.run(&["-s", &scenario, "-d", "1s"]);
    assert_eq!(replay(&office, &[])["served"], summary["served"]);
    assert_eq!(replay(&office, &["--run", "1"])["run"], told["run"]);
}

#[test]
fn what_can_not_be_replayed_is_told() {
    let office = Office::new();
    let data_dir = office.data_dir().display().to_string();
    let none = office.run_tool(&["replay", &data_dir, "--json"]);
    assert_eq!(none.status.code(), Some(2));
    assert!(stderr(&none).contains("there is no log in"), "{}", stderr(&none));
    let scenario = office.scenario(SMALL);
    office.run(&["-s", &scenario, "-d", "1s"]);
    let missing = office.run_tool(&["replay", &data_dir, "--json", "--run", "3"]);
    assert_eq!(missing.status.code(), Some(2));
    assert!(stderr(&missing).contains("there is no run 3: the log holds 1"));
    let segment = office.data_dir().join("log").read_dir().unwrap().map(|entry| entry.unwrap());
    let segment =
        segment.map(|entry| entry.path()).find(|path| path.extension().is_some_and(|e| e == "seg"));
    let segment = segment.unwrap();
    let mut bytes = std::fs::read(&segment).unwrap();
    bytes[9_000] ^= 0x55;
    std::fs::write(&segment, bytes).unwrap();
    let damaged = office.run_tool(&["replay", &data_dir, "--json"]);
    assert_eq!(damaged.status.code(), Some(5), "{}", stderr(&damaged));
    assert!(stderr(&damaged).contains(&segment.display().to_string()), "{}", stderr(&damaged));
}

/// Opens a second dashboard on an office.
fn attach(office: &Office, args: &[&str]) -> Terminal {
    let data_dir = office.data_dir().display().to_string();
    let terminal =
        Setup::tool(130, 40).args(&[&["attach", "--data-dir", &data_dir], args].concat()).open();
    terminal.wait_for("ATTACHED");
    terminal
}

#[test]
fn an_attached_dashboard_only_looks_unless_it_may_act() {
    let mut office = Office::new();
    start_with(&mut office, SMALL, &[]);
    let mut looks = attach(&office, &[]);
    looks.press("p");
    looks.wait_for("only looks");
    assert_eq!(sample(&office)["state"], "running");
    looks.press("q");
    assert_eq!(looks.exit_code(), 0);
    assert_eq!(sample(&office)["state"], "running", "the office is somebody else's");

    let mut acts = attach(&office, &["--control"]);
    acts.press("p");
    acts.wait_for("PAUSED");
    assert_eq!(sample(&office)["state"], "paused");
    check(&office, &["ctl", "resume"]);
    acts.wait_for("RUN");
    check(&office, &["ctl", "stop"]);
    acts.wait_for("nobody there");
    acts.wait_for("the office has ended");
    acts.press("q");
    assert_eq!(acts.exit_code(), 0);
    assert_eq!(office.finish().0, 0);
    let gone = ask(&office, &["attach"]);
    assert_eq!(gone.status.code(), Some(2));
    assert!(stderr(&gone).contains("no office runs"), "{}", stderr(&gone));
}

#[test]
fn who_is_attached_and_may_act_sees_as_much_of_the_log_as_it_wants() {
    let mut office = Office::new();
    start_with(&mut office, SMALL, &[]);
    let mut acts = attach(&office, &["--control"]);
    acts.press("7od");
    acts.wait_for("lines of DEBUG and above");
    // The office hears of it beside what others ask for, so they may be told first.
    wait_for("what the issuer decides", || {
        check(&office, &["ctl", "strike"]);
        check(&office, &["ctl", "strike", "off"]);
        acts.text().contains("what is held back: ").then_some(())
    });
    acts.press("q");
    assert_eq!(acts.exit_code(), 0);
    check(&office, &["ctl", "stop"]);
    assert_eq!(office.finish().0, 0);
}

#[test]
fn a_replay_is_travelled_in_its_dashboard() {
    let office = Office::new();
    let scenario = office.scenario(SMALL);
    office.run(&["-s", &scenario, "-d", "2s"]);
    let data_dir = office.data_dir().display().to_string();
    let mut terminal = Setup::tool(130, 40).args(&["replay", &data_dir]).open();
    terminal.wait_for("REPLAY");
    terminal.wait_for("0 left");
    terminal.press("\u{1b}[D");
    terminal.wait_for("RUN");
    terminal.press("q");
    assert_eq!(terminal.exit_code(), 0);
}
