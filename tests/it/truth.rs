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
    let scenario = office.scenario(
        "[run]\nseed = 3\nduration = 6s\nwarmup = 500ms\n[office]\nseats = 64\nworkers = 2\n\
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
    assert_eq!(json["offered"], users["intended"], "{json}");
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
    let served = json["served"].as_u64().unwrap();
    assert!(served > 400 && json["unfinished"] == 0, "{json}");
    for row in rows("latencies.csv").iter().filter(|row| row["service"] == "all") {
        if row["span"] == "run" {
            assert_eq!(row["count"], served.to_string(), "{row:?}");
        }
    }
    let in_seconds: u64 =
        rows("series.csv").iter().map(|row| row["served"].parse::<u64>().unwrap()).sum();
    assert_eq!(served, in_seconds, "the seconds add up to the run");
}
