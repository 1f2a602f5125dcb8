//! Figures that must not lie: stalls that would hide, seconds that must add up.

use std::collections::HashMap;
use std::time::Duration;

use engine::clock::{Clock, SystemClock, sleep_until};
use nix::sys::signal::{Signal, kill};
use serde_json::Value;

use crate::support::Office;

fn ms(json: &Value, figure: &str) -> u64 {
    json[figure].as_u64().unwrap_or_else(|| panic!("no {figure} in {json}")) / 1_000_000
}

#[test]
fn a_stall_of_the_issuer_can_not_hide_from_an_open_load() {
    const STALL: Duration = Duration::from_secs(1);
    let mut office = Office::new();
    // Without a warm-up no request is due before the window and comes in it.
    let scenario = office.scenario(
        "[run]\nseed = 3\nduration = 6s\nwarmup = 0s\n[office]\nseats = 64\nworkers = 2\n\
         [service.a]\ntime = 1ms\n[load.l]\nmodel = open\nrate = det 200/s\nusers = 8\n",
    );
    office.start(&["-s", &scenario]);
    office.wait_for_tickets(300);
    let [(issuer, _)] = office.wait_for_processes("issuer", 1)[..] else { unreachable!() };
    kill(issuer, Signal::SIGSTOP).unwrap();
    // This is the stall, not a way to wait for something.
    sleep_until(SystemClock.now() + STALL);
    kill(issuer, Signal::SIGCONT).unwrap();
    let (code, json) = office.finish();
    assert_eq!(code, 0, "{json}");
    let users = &json["users"];
    // One ticket in six was due in that second, so far more than one in a thousand.
    assert!(ms(users, "response_max_ns") >= 900, "{users}");
    assert!(ms(users, "response_p999_ns") >= 800, "{users}");
    assert!(ms(users, "response_p90_ns") >= 100, "{users}");
    assert_eq!(users["dropped"], 0, "what was due was sent: {users}");
    // What was due just before the window ended may have come after it: the log has it all.
    assert_eq!(office.verify()["issued"], users["intended"], "{json}");
    assert_eq!(json["little"]["holds"], true, "{json}");
}

#[test]
fn every_served_ticket_is_timed_told_and_in_one_second() {
    let office = Office::new();
    let dir = office.path("out");
    let export = dir.display().to_string();
    // Without a warm-up no ticket lies across the window's border.
    let args = ["-s", "rush-hour", "--set", "run.warmup=0s", "--seed", "5", "--duration", "3s"];
    let (code, json) = office.run(&[&args[..], &["--export", &export]].concat());
    assert_eq!(code, 0, "{json}");
    let folder = dir.read_dir().unwrap().next().unwrap().unwrap().path();
    let rows = |file: &str| -> Vec<HashMap<String, String>> {
        let reader = csv::Reader::from_path(folder.join(file)).unwrap();
        reader.into_deserialize().map(Result::unwrap).collect()
    };
    let tickets = rows("tickets.csv");
    assert!(tickets.len() > 400 && tickets.iter().all(|row| row["outcome"] == "served"), "{json}");
    // The window ends with arrivals: what was on its way then counts by when it was due, or by
    // when it came.
    let before_the_end = |time: &str| {
        let early =
            |row: &&HashMap<String, String>| row[time].parse::<u64>().unwrap() < 3_000_000_000;
        tickets.iter().filter(early).count().to_string()
    };
    for row in rows("latencies.csv") {
        if row["span"] == "run" && row["service"] == "all" {
            let by_users = row["latency"] == "response" || row["latency"] == "lag";
            let time = if by_users { "t_sched_ns" } else { "t_arrive_ns" };
            assert_eq!(row["count"], before_the_end(time), "{row:?}");
        }
    }
    let in_seconds: usize =
        rows("series.csv").iter().map(|row| row["served"].parse::<usize>().unwrap()).sum();
    assert_eq!(in_seconds, tickets.len(), "the seconds add up to the run");
}
