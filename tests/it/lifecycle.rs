//! Start, steady state, drain, end; and what is said at the end.

use std::collections::BinaryHeap;

use nix::sys::signal::Signal;
use serde_json::Value;

use crate::support::{Office, descendants, is_alive, wait_for};

/// A small office that serves a few hundred tickets a second.
const SMALL: &str = "[run]\nwarmup = 200ms\n[office]\nworkers = 2\nseats = 4\n\
    [service.letters]\nshare = 75%\ntime = exp 5ms\n[service.parcels]\ntime = det 8ms\n\
    [load.regulars]\nusers = 6\nthink = exp 10ms\n[users]\nmax_processes = 3";

fn count(summary: &Value, key: &str) -> u64 {
    summary[key].as_u64().unwrap_or_else(|| panic!("{key} is missing in {summary}"))
}

/// Makes sure that every request is accounted for.
fn check_conservation(row: &Value) {
    assert_eq!(count(row, "offered"), count(row, "issued") + count(row, "rejected"));
    let outcomes = count(row, "served") + count(row, "failed") + count(row, "unfinished");
    assert_eq!(count(row, "issued"), outcomes);
}

#[test]
fn a_run_ends_by_itself_with_every_ticket_accounted_for() {
    let mut office = Office::new();
    let scenario = office.scenario(SMALL);
    office.start(&["-s", &scenario, "-d", "1500ms", "--seed", "7"]);
    office.wait_for_processes("worker", 2);
    office.wait_for_processes("user", 3);
    let all = descendants(office.pid());
    let (code, summary) = office.finish();
    assert_eq!((code, &summary["outcome"]), (0, &Value::from("completed")));
    assert!(count(&summary, "served") > 50, "{summary}");
    check_conservation(&summary);
    for service in summary["services"].as_array().unwrap() {
        check_conservation(service);
        assert!(count(service, "served") > 5, "{service}");
    }
    assert_eq!(count(&summary, "unfinished"), 0, "the drain had time");
    assert!(all.iter().all(|&pid| !is_alive(pid)), "nobody is left");
    let verdict = office.verify();
    assert_eq!((&verdict["ok"], &verdict["open"]), (&Value::from(true), &Value::from(0)));
}

#[test]
fn the_workload_is_the_same_however_users_are_packed() {
    let digest = |seed: &str, processes: &str| {
        let office = Office::new();
        let scenario = office.scenario(SMALL);
        let set = format!("users.max_processes={processes}");
        let (code, summary) = office.run(&[
            "-s",
            &scenario,
            "-d",
            "400ms",
            "--set",
            "run.warmup=0s",
            "--seed",
            seed,
            "--set",
            &set,
        ]);
        assert_eq!(code, 0, "{summary}");
        summary["workload_digest"].as_str().expect("the population was not changed").to_owned()
    };
    let first = digest("7", "6");
    assert_eq!(first, digest("7", "6"));
    assert_eq!(first, digest("7", "1"));
    assert_ne!(first, digest("8", "6"));
}

#[test]
fn a_signal_drains_and_a_second_one_does_not_wait() {
    let mut office = Office::new();
    let scenario = office.scenario(SMALL);
    office.start(&["-s", &scenario]);
    office.wait_for_tickets(20);
    office.signal(Signal::SIGTERM);
    let (code, summary) = office.finish();
    assert_eq!((code, &summary["outcome"]), (128 + 15, &Value::from("interrupted")));
    assert_eq!(office.verify()["open"], 0, "what was open was served");

    // Tickets that take an hour would hold up a drain.
    let mut office = Office::new();
    let scenario =
        office.scenario(&SMALL.replace("exp 5ms", "det 1h").replace("det 8ms", "det 1h"));
    office.start(&["-s", &scenario, "--set", "run.drain=1h"]);
    office.wait_for_tickets(6);
    let all = descendants(office.pid());
    office.signal(Signal::SIGINT);
    office.signal(Signal::SIGTERM);
    let (code, _) = office.finish();
    // Signals that are pending together have no order.
    assert!([128 + 2, 128 + 15].contains(&code), "{code}");
    assert!(all.iter().all(|&pid| !is_alive(pid)));
    let verdict = office.verify();
    assert_eq!((&verdict["ok"], &verdict["open"]), (&Value::from(true), &Value::from(6)));
}

#[test]
fn tickets_that_were_open_at_the_end_are_served_by_the_next_run() {
    let mut office = Office::new();
    let scenario =
        office.scenario(&SMALL.replace("exp 5ms", "det 1h").replace("det 8ms", "det 1h"));
    office.start(&["-s", &scenario, "--set", "run.drain=1ms"]);
    office.wait_for_tickets(6);
    office.signal(Signal::SIGTERM);
    office.finish();
    assert_eq!(office.verify()["open"], 6);
    // Their work is still an hour long, so they are queued again and stay open.
    let set = ["--set", "run.drain=1ms", "--set", "run.warmup=0s"];
    let (_, summary) = office.run(&[&["-s", scenario.as_str(), "-d", "300ms"], &set[..]].concat());
    assert_eq!(count(&summary, "recovered"), 6);
}

#[test]
fn a_run_that_can_not_keep_up_ends_as_overloaded() {
    let office = Office::new();
    let (code, summary) = office.run(&["-s", "overload", "--set", "run.drain=100ms"]);
    assert_eq!((code, &summary["outcome"]), (3, &Value::from("overloaded")));
    check_conservation(&summary);
}

#[test]
fn a_full_office_rejects_and_counts() {
    let office = Office::new();
    let scenario = office.scenario(SMALL);
    let set =
        ["--set", "office.room=4", "--set", "office.seats=2", "--set", "load.regulars.think=0s"];
    let (code, summary) =
        office.run(&[&["-s", scenario.as_str(), "-d", "700ms"], &set[..]].concat());
    assert_eq!(code, 0);
    assert!(count(&summary, "rejected") > 0, "{summary}");
    check_conservation(&summary);
}

#[test]
fn the_export_tells_the_same_story_as_the_summary() {
    let office = Office::new();
    let scenario = office.scenario(
        "[run]\nwarmup = 0s\n[office]\nworkers = 2\n[service.counter]\ntime = exp 8ms\n\
         [load.street]\nmodel = open\nusers = 3\nrate = poisson 150/s",
    );
    let export = office.path("tables");
    let acks = office.path("acks");
    let (code, summary) = office.run(&[
        "-s",
        &scenario,
        "-d",
        "2s",
        "--export",
        export.to_str().unwrap(),
        "--ack-log",
        acks.to_str().unwrap(),
    ]);
    assert_eq!(code, 0);
    let export = crate::export::only_folder(&export);
    let saved: Value =
        serde_json::from_slice(&std::fs::read(export.join("summary.json")).unwrap()).unwrap();
    assert_eq!(saved, summary);
    let mut table = csv::Reader::from_path(export.join("tickets.csv")).unwrap();
    let heads = table.headers().unwrap().clone();
    let column = |name: &str| heads.iter().position(|head| head == name).unwrap();
    let number = |row: &csv::StringRecord, name: &str| -> u64 {
        row[column(name)].parse().unwrap_or_else(|_| panic!("{name} in {row:?}"))
    };
    let rows: Vec<csv::StringRecord> = table.records().map(Result::unwrap).collect();
    // A request that is late on a busy machine arrives behind the window.
    assert_eq!(rows.len().to_string(), crate::export::facts(&export)["total_issued"]);
    assert!(rows.len() as u64 >= count(&summary, "issued"), "{summary}");
    // First come, first served, first free seat: each start follows from the rows before.
    let mut free_at = BinaryHeap::from(vec![std::cmp::Reverse(0); 2]);
    let mut last_id = 0;
    for row in &rows {
        let times =
            ["t_sched_ns", "t_submit_ns", "t_arrive_ns", "t_start_ns", "t_end_ns", "t_notify_ns"];
        let times = times.map(|name| number(row, name));
        assert!(times.is_sorted() && number(row, "id") > last_id, "{row:?}");
        assert!(number(row, "t_durable_ns") >= times[2] && &row[column("outcome")] == "served");
        assert!(times[4] - times[3] >= number(row, "demand_ns"), "work takes its time: {row:?}");
        let std::cmp::Reverse(free) = free_at.pop().unwrap();
        assert!(times[3] >= times[2].max(free), "nobody starts before a seat is free: {row:?}");
        free_at.push(std::cmp::Reverse(times[4]));
        last_id = number(row, "id");
    }
    let mut acked: Vec<u64> =
        std::fs::read_to_string(&acks).unwrap().lines().map(|id| id.parse().unwrap()).collect();
    acked.sort_unstable();
    let ids: Vec<u64> = rows.iter().map(|row| number(row, "id")).collect();
    assert_eq!(acked, ids, "every ticket was acknowledged once");
}

#[test]
fn the_log_can_be_looked_into() {
    let office = Office::new();
    let scenario = office.scenario(SMALL);
    office.run(&["-s", &scenario, "-d", "500ms"]);
    let data_dir = office.data_dir().display().to_string();
    let log = |args: &[&str]| {
        let output =
            crate::support::run(&[&["log"], args, &["--json", "--data-dir", &data_dir]].concat());
        let lines = String::from_utf8(output.stdout).unwrap();
        let lines: Vec<Value> =
            lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        (output.status.code(), lines)
    };
    let (verdict, (_, stats)) = (office.verify(), log(&["stats"]));
    for key in ["issued", "completed", "last_id"] {
        assert_eq!(stats[0][key], verdict[key], "{key}");
    }
    let (_, all) = log(&["dump"]);
    assert_eq!(all.len() as u64, count(&stats[0], "records"));
    assert_eq!(log(&["tail", "-n", "3"]).1, all[all.len() - 3..]);
    let (code, history) = log(&["get", "1"]);
    let kinds: Vec<&str> = history.iter().map(|line| line["kind"].as_str().unwrap()).collect();
    assert_eq!((code, kinds), (Some(0), vec!["issued", "completed"]));
    assert_eq!(log(&["get", "123456789"]), (Some(1), vec![]));
}

#[test]
fn all_kinds_of_work_are_done() {
    for work in ["spin", "hash", "io 4KiB"] {
        let office = Office::new();
        let scenario = office.scenario(&format!(
            "[run]\nwarmup = 0s\n[office]\nworkers = 1\nseats = 2\n[service.a]\ntime = 2ms\n\
             work = {work}\n[load.l]\nusers = 2\nthink = 10ms"
        ));
        let (code, summary) = office.run(&["-s", &scenario, "-d", "500ms"]);
        assert_eq!(code, 0, "{work}");
        assert!(count(&summary, "served") > 0, "{work}: {summary}");
        let fastest = summary["service_p50_ns"].as_u64().unwrap();
        assert!(fastest >= 1_990_000, "{work} takes the demanded time: {fastest}");
    }
}

#[test]
fn every_policy_runs_and_keeps_a_sound_log() {
    for policy in ["none", "each_batch", "every 8", "interval 5ms"] {
        let office = Office::new();
        let scenario = office.scenario(SMALL);
        let set = format!("storage.fsync={policy}");
        let (code, summary) =
            office.run(&["-s", &scenario, "-d", "500ms", "--set", "run.warmup=0s", "--set", &set]);
        assert_eq!((code, office.verify()["ok"].as_bool()), (0, Some(true)), "{policy}");
        assert!(count(&summary, "served") > 0, "{policy}");
    }
}

#[test]
fn a_data_directory_serves_one_office_at_a_time() {
    let mut office = Office::new();
    office.start(&["-s", "steady"]);
    office.wait_for_tickets(1);
    let data_dir = office.data_dir().display().to_string();
    let second = crate::support::run(&["--headless", "--data-dir", &data_dir]);
    assert_eq!(second.status.code(), Some(6));
    let message = crate::support::stderr(&second);
    assert!(message.contains(&format!("process {}", office.pid())), "{message}");
    office.signal(Signal::SIGTERM);
    wait_for("the first one's end", || (!is_alive(office.pid())).then_some(()));
    let (code, _) = office.finish();
    assert_eq!(code, 128 + 15);
}
