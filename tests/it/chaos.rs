//! Processes that are killed: the office recovers, and nothing acknowledged is lost.

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::support::{Office, descendants, is_alive, wait_for};

const BUSY: &str = "[run]\nwarmup = 0s\n[office]\nworkers = 2\nseats = 8\n\
    [service.a]\ntime = exp 4ms\n[load.l]\nusers = 24\nthink = exp 2ms\n\
    [load.street]\nmodel = open\nusers = 4\nrate = poisson 200/s\n\
    [users]\nmax_processes = 4\n[storage]\nsegment = 1MiB";

/// Kills one process of a role and waits until another has taken its place.
fn kill_and_wait(office: &Office, role: &str, count: usize) {
    let before = office.wait_for_processes(role, count);
    let &(victim, _) = before.first().expect("somebody lives");
    kill(victim, Signal::SIGKILL).expect("it lives");
    wait_for(&format!("another {role}"), || {
        let now = office.processes(role);
        let is_new = now.len() == count && now.iter().all(|&(pid, _)| pid != victim);
        is_new.then_some(())
    });
}

#[test]
fn every_role_comes_back_and_no_acknowledged_ticket_is_lost() {
    let mut office = Office::new();
    let scenario = office.scenario(BUSY);
    let acks = office.path("acks");
    office.start(&["-s", &scenario, "--ack-log", acks.to_str().unwrap()]);
    let mut issued = office.wait_for_tickets(100);
    for (role, count) in [("worker", 2), ("user", 4), ("users-manager", 1), ("issuer", 1)] {
        kill_and_wait(&office, role, count);
        office.wait_for_processes("user", 4);
        // The office goes on.
        issued = office.wait_for_tickets(issued + 200);
    }
    office.signal(Signal::SIGTERM);
    let (code, summary) = office.finish();
    assert_eq!(code, 128 + 15, "{summary}");
    let verdict = office.verify();
    assert_eq!(verdict["ok"], true, "{verdict}");
    assert_eq!(verdict["open"], 0, "all that was open was served: {verdict}");

    let (seen, in_log) = office.check_acks(&acks);
    assert!(seen > 500, "{seen} ids were acknowledged");
    let total = |key: &str| summary[key].as_u64().expect("a count");
    assert_eq!(total("issued"), total("served") + total("failed") + total("unfinished"));
    // What was under way when the signal came was issued after the measured window.
    let under_way = in_log.len() as u64 - total("issued");
    assert!(under_way <= 40, "a restarted issuer knows what was before: {under_way} are missing");
}

#[test]
fn nobody_outlives_a_killed_director() {
    let mut office = Office::new();
    let scenario = office.scenario(BUSY);
    office.start(&["-s", &scenario]);
    office.wait_for_tickets(50);
    let all = descendants(office.pid());
    assert!(all.len() >= 8, "issuer, workers, users manager and users: {all:?}");
    // A stopped process never sees the end of its connection.
    let (stopped, _) = office.processes("user")[0];
    kill(stopped, Signal::SIGSTOP).expect("it lives");
    office.signal(Signal::SIGKILL);
    office.reap();
    wait_for("the end of all", || {
        let left: Vec<&Pid> = all.iter().filter(|&&pid| is_alive(pid)).collect();
        left.is_empty().then_some(())
    });
    // What was written survives; the next run goes on from there.
    let verdict = office.verify();
    assert_eq!(verdict["ok"], true, "{verdict}");
    let (code, summary) = office.run(&["-s", &scenario, "-d", "500ms"]);
    assert_eq!(code, 0, "{summary}");
    assert_eq!(summary["recovered"], verdict["open"]);
    assert_eq!(office.verify()["ok"], true);
}

#[test]
fn a_stopped_worker_is_replaced() {
    let mut office = Office::new();
    let scenario = office.scenario(BUSY);
    office.start(&["-s", &scenario]);
    let issued = office.wait_for_tickets(50);
    let workers = office.wait_for_processes("worker", 2);
    kill(workers[0].0, Signal::SIGSTOP).expect("it lives");
    wait_for("the end of the stopped worker", || (!is_alive(workers[0].0)).then_some(()));
    office.wait_for_processes("worker", 2);
    office.wait_for_tickets(issued + 300);
    office.signal(Signal::SIGTERM);
    let (_, summary) = office.finish();
    assert!(summary["redelivered"].as_u64().expect("a count") > 0, "it held tickets: {summary}");
    assert_eq!(office.verify()["open"], 0);
}

#[test]
fn a_torn_tail_is_cut_and_damage_is_refused() {
    let office = Office::new();
    let scenario = office.scenario(BUSY);
    assert_eq!(office.run(&["-s", &scenario, "-d", "600ms"]).0, 0);
    let segment = std::fs::read_dir(office.data_dir().join("log"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .find(|path| path.extension().is_some_and(|ending| ending == "seg"))
        .unwrap();
    let mut bytes = std::fs::read(&segment).unwrap();
    bytes[4096 + 60] ^= 1;
    std::fs::write(&segment, bytes).unwrap();
    let data_dir = office.data_dir().display().to_string();
    let refused = crate::support::run(&["--headless", "-d", "1s", "--data-dir", &data_dir]);
    assert_eq!(refused.status.code(), Some(5), "{}", crate::support::stderr(&refused));
    let verified = crate::support::run(&["verify", "--data-dir", &data_dir]);
    assert_eq!(verified.status.code(), Some(5));
}
