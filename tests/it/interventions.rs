//! What people do to a running office over `ctl`: tickets held back, processes stopped, killed and
//! restarted, time in steps; what is promised meanwhile, and that all ends well.

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};

use crate::control::{ask, check, sample, start_with};
use crate::support::terminal::Terminal;
use crate::support::{Office, is_stopped, run, stderr, wait_for};

/// Waits until the kernel has stopped a process: a signal is sent at once, and acted on soon.
fn stands_still(pid: Pid) {
    wait_for("a process that stands still", || is_stopped(pid).then_some(()));
}

/// A few hundred tickets a second from the street, whatever becomes of them.
const STREET: &str = "[run]\nwarmup = 0s\n[office]\nworkers = 2\nseats = 4\n\
    [service.letters]\nshare = 75%\ntime = exp 5ms\n[service.parcels]\ntime = det 8ms\n\
    [load.street]\nmodel = open\nusers = 4\nrate = poisson 300/s\n\
    [load.regulars]\nusers = 6\nthink = exp 50ms\n[users]\nmax_processes = 3";

/// Tickets that take long enough to be caught in service.
const LONG: &str = "[run]\nwarmup = 0s\n[office]\nworkers = 2\nseats = 4\n\
    [service.letters]\ntime = det 300ms\n\
    [load.regulars]\nusers = 6\nthink = exp 5ms\n[users]\nmax_processes = 2";

fn number(value: &Value, path: &str) -> u64 {
    value.pointer(path).and_then(Value::as_u64).unwrap_or_else(|| panic!("{path} in {value}"))
}

/// Waits until a figure of the newest snapshot fits.
fn until(office: &Office, what: &str, fits: impl Fn(&Value) -> bool) -> Value {
    wait_for(what, || {
        let sample = sample(office);
        fits(&sample).then_some(sample)
    })
}

fn served(sample: &Value) -> u64 {
    number(sample, "/totals/served")
}

/// Waits until the office has gone on for so many milliseconds of its own time.
fn later(office: &Office, ms: u64) -> Value {
    let now = number(&sample(office), "/elapsed_ns");
    until(office, "time to pass", |sample| number(sample, "/elapsed_ns") >= now + ms * 1_000_000)
}

/// Ends an office, and makes sure that its figures agree and that no promise was broken.
fn end_well(office: &mut Office) -> Value {
    assert_eq!(check(office, &["ctl", "stop"]), "stopped\n");
    let (code, summary) = office.finish();
    assert_eq!((code, &summary["outcome"]), (0, &json!("completed")), "{summary}");
    assert_ne!(summary["little"]["holds"], json!(false), "{}", summary["little"]);
    let verdict = office.verify();
    assert_eq!((&verdict["ok"], &verdict["open"]), (&json!(true), &json!(0)), "{verdict}");
    summary
}

fn marks(summary: &Value) -> Vec<String> {
    let events = summary["events"].as_array().unwrap();
    events.iter().map(|event| event["label"].as_str().unwrap().to_owned()).collect()
}

/// Makes sure that these marks are among the events, in this order.
fn check_marks(summary: &Value, wanted: &[&str]) {
    let all = marks(summary);
    let mut rest = all.iter();
    for mark in wanted {
        assert!(rest.any(|found| found == mark), "{mark} of {wanted:?} in {all:?}");
    }
}

#[test]
fn a_strike_keeps_tickets_waiting_across_a_new_issuer_and_ends() {
    let mut office = Office::new();
    start_with(&mut office, STREET, &[]);
    assert_eq!(check(&office, &["ctl", "strike"]), "workers on strike\n");
    let idle = |sample: &Value| {
        number(sample, "/seats/busy") == 0 && number(sample, "/seats/staffed") == 0
    };
    let before = served(&until(&office, "empty seats", idle));
    // Without a staffed seat there is nothing to utilize.
    let full = until(&office, "a queue", |sample| {
        number(sample, "/totals/waiting") > 150 && sample["rates"]["utilization"].is_null()
    });
    assert_eq!(served(&full), before, "nobody is served");
    assert_eq!(full["deviations"], json!(["workers on strike"]));
    check(&office, &["ctl", "restart", "issuer"]);
    check(&office, &["ctl", "restart", "worker-1"]);
    let queue = number(&full, "/totals/waiting");
    let fuller =
        until(&office, "a longer queue", |sample| number(sample, "/totals/waiting") > queue + 100);
    assert_eq!(served(&fuller), before, "nor by a new issuer or worker");
    assert!(check(&office, &["ctl", "status"]).contains("workers on strike"));
    assert_eq!(check(&office, &["ctl", "strike", "off"]), "no strike\n");
    until(&office, "the queue to be served", |sample| {
        served(sample) > before + 300 && number(sample, "/totals/waiting") < 50
    });
    let summary = end_well(&mut office);
    check_marks(&summary, &["open", "strike", "renew issuer", "renew w1", "strike over", "end"]);
    assert_eq!(summary["redelivered"], 0);
}

#[test]
fn a_blocked_service_waits_and_the_others_do_not() {
    let mut office = Office::new();
    start_with(&mut office, STREET, &[]);
    assert_eq!(check(&office, &["ctl", "block", "parcels"]), "blocked: parcels\n");
    let by_name = |sample: &Value, name: &str| {
        let services = sample["services"].as_array().unwrap();
        let service = services.iter().find(|service| service["name"] == name).unwrap();
        number(service, "/served")
    };
    // What was in service has ended, and the second's figures know.
    let before = later(&office, 1500);
    let after = until(&office, "letters", |sample| {
        by_name(sample, "letters") > by_name(&before, "letters") + 300
    });
    assert_eq!(by_name(&after, "parcels"), by_name(&before, "parcels"));
    assert!(number(&after, "/totals/waiting") > 50, "parcels wait: {}", after["totals"]);
    let refused = ask(&office, &["ctl", "block", "parcel"]);
    assert_eq!(refused.status.code(), Some(1));
    let said = stderr(&refused);
    assert!(said.contains("no service parcel; services are letters, parcels"), "{said}");
    assert_eq!(check(&office, &["ctl", "unblock", "parcels"]), "blocked: none\n");
    until(&office, "parcels", |sample| {
        by_name(sample, "parcels") > by_name(&before, "parcels") + 50
    });
    let summary = end_well(&mut office);
    check_marks(&summary, &["no parcels", "ok parcels"]);
}

#[test]
fn a_slow_issuer_serves_late_and_nobody_takes_it_for_dead() {
    let mut office = Office::new();
    start_with(&mut office, STREET, &[]);
    assert_eq!(check(&office, &["ctl", "slow", "400ms"]), "issuer 400ms slow\n");
    let issuer = office.wait_for_processes("issuer", 1);
    let before = later(&office, 500);
    let after = later(&office, 4000);
    // A round fills four seats, and one comes each 400 ms at most.
    let rounds = served(&after) - served(&before);
    let most = (number(&after, "/elapsed_ns") - number(&before, "/elapsed_ns")) / 400_000_000 + 2;
    assert!((4..=4 * most).contains(&rounds), "{rounds} served, {most} rounds");
    assert_eq!(office.processes("issuer"), issuer, "its heartbeats went on");
    assert_eq!(check(&office, &["ctl", "slow", "off"]), "issuer at its usual speed\n");
    until(&office, "an empty queue", |sample| number(sample, "/totals/waiting") < 20);
    let summary = end_well(&mut office);
    check_marks(&summary, &["issuer slow", "issuer quick"]);
    assert!(
        !marks(&summary).iter().any(|mark| mark.starts_with("issuer q") && mark == "issuer quiet")
    );
}

#[test]
fn steps_are_exactly_as_long_as_they_should_be() {
    let mut office = Office::new();
    start_with(&mut office, STREET, &[]);
    let refused = ask(&office, &["ctl", "step"]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(
        stderr(&refused).contains("the run is running; pause it first"),
        "{}",
        stderr(&refused)
    );
    check(&office, &["ctl", "pause"]);
    let paused = sample(&office);
    let mut elapsed = number(&paused, "/elapsed_ns");
    for (span, ns) in [("250ms", 250_000_000), ("1ms", 1_000_000), ("1s", 1_000_000_000)] {
        let reply = check(&office, &["ctl", "step", span, "--json"]);
        let reply: Value = serde_json::from_str(&reply).unwrap();
        elapsed += ns;
        assert_eq!((&reply["state"], number(&reply, "/elapsed_ns")), (&json!("paused"), elapsed));
    }
    let stepped = sample(&office);
    assert_eq!(number(&stepped, "/elapsed_ns"), elapsed);
    let issued = |sample: &Value| number(sample, "/totals/issued");
    let (before, after) = (issued(&paused), issued(&stepped));
    assert!(after - before > 100, "arrivals go on in a step: {before} to {after}");
    check(&office, &["ctl", "resume"]);
    later(&office, 300);
    let summary = end_well(&mut office);
    check_marks(&summary, &["pause", "step", "step over", "step", "step over", "resume"]);
    assert_eq!(summary["pauses_ns"].as_array().unwrap().len(), 4);
}

#[test]
fn a_worker_that_stands_still_for_too_long_is_replaced_and_its_tickets_are_served() {
    let mut office = Office::new();
    start_with(&mut office, LONG, &[]);
    until(&office, "busy seats", |sample| number(sample, "/seats/busy") == 4);
    let pid_of = |number: u16| {
        let workers = office.wait_for_processes("worker", 2);
        workers.iter().find(|(_, id)| *id == number).unwrap().0
    };
    let (first, second) = (pid_of(0), pid_of(1));
    check(&office, &["ctl", "freeze", "worker", "0", "for", "9s"]);
    stands_still(first);
    assert_eq!(sample(&office)["deviations"], json!(["worker 0 frozen"]));
    // A short one is noticed, and goes on by itself.
    check(&office, &["ctl", "freeze", "worker", "1", "for", "1500ms"]);
    wait_for("worker 1 to go on", || (!is_stopped(second)).then_some(()));
    until(&office, "another worker 0", |sample| {
        number(sample, "/totals/redelivered") > 0 && sample["deviations"] == json!([])
    });
    wait_for("another process", || (pid_of(0) != first).then_some(()));
    assert_eq!(pid_of(1), second);
    let summary = end_well(&mut office);
    check_marks(&summary, &["froze w0", "w0 quiet", "w0 hung", "w0 died", "w0 back"]);
    check_marks(&summary, &["froze w1", "w1 quiet", "w1 heard"]);
}

#[test]
fn a_process_that_stands_still_can_be_continued_and_ends_in_order() {
    let mut office = Office::new();
    start_with(&mut office, STREET, &[]);
    let only = |role: &str| -> Pid { office.wait_for_processes(role, 1)[0].0 };
    for (process, pid) in [("issuer", only("issuer")), ("users-manager", only("users-manager"))] {
        assert_eq!(
            check(&office, &["ctl", "freeze", process]),
            format!("{process}: frozen for 2.00s\n")
        );
        stands_still(pid);
        assert_eq!(check(&office, &["ctl", "continue", process]), format!("{process}: goes on\n"));
        wait_for("it to go on", || (!is_stopped(pid)).then_some(()));
    }
    let &(user, number) = office.wait_for_processes("user", 3).last().unwrap();
    let name = format!("user {number}");
    check(&office, &["ctl", "freeze", &name, "for", "10s"]);
    stands_still(user);
    check(&office, &["ctl", "continue", &name]);
    wait_for("the user to go on", || (!is_stopped(user)).then_some(()));
    // The end of the run waits for nobody to wake up.
    check(&office, &["ctl", "strike"]);
    check(&office, &["ctl", "freeze", "worker 0", "for", "10s"]);
    check(&office, &["ctl", "freeze", &name, "for", "10s"]);
    let summary = end_well(&mut office);
    check_marks(&summary, &["strike", "froze w0", "end"]);
    for wrong in [["issuer", "for", "11s"], ["issuer", "for", "ever"]] {
        let output = ask(&office, &[&["ctl", "freeze"], &wrong[..]].concat());
        assert_eq!(output.status.code(), Some(2), "{wrong:?}: {}", stderr(&output));
    }
}

#[test]
fn processes_that_were_stopped_from_outside_delay_no_end() {
    let mut office = Office::new();
    start_with(&mut office, LONG, &[]);
    until(&office, "busy seats", |sample| number(sample, "/seats/busy") == 4);
    let stopped: Vec<Pid> = [("worker", 2), ("user", 2), ("users-manager", 1), ("issuer", 1)]
        .map(|(role, count)| office.wait_for_processes(role, count)[0].0)
        .to_vec();
    for &pid in &stopped {
        kill(pid, Signal::SIGSTOP).unwrap();
    }
    stopped.iter().for_each(|&pid| stands_still(pid));
    office.signal(Signal::SIGTERM);
    let (code, summary) = office.finish();
    assert_eq!(code, 128 + 15);
    assert_eq!(summary["redelivered"], 0, "nobody had to be killed: {:?}", marks(&summary));
    let verdict = office.verify();
    assert_eq!((&verdict["ok"], &verdict["open"]), (&json!(true), &json!(0)), "{verdict}");
}

/// A start looks at all room of the last segment, which is slow without optimization.
const SMALL_LOG: &str = "storage.segment=4MiB";

/// Kills all processes of an office of [`STREET`] and waits until others serve.
fn kill_all(office: &Office) {
    for (process, role) in [
        ("issuer", "issuer"),
        ("worker 0", "worker"),
        ("worker 1", "worker"),
        ("users-manager", "users-manager"),
    ] {
        let before = office.processes(role);
        check(office, &["ctl", "kill", process]);
        wait_for("another process", || {
            let now = office.processes(role);
            (now.len() == before.len() && now != before).then_some(())
        });
    }
    let all_serve = |sample: &Value| {
        let processes = sample["processes"].as_array().unwrap();
        processes.len() == 1 + 1 + 2 + 1 + 3 && processes.iter().all(|row| row["state"] == "ready")
    };
    until(office, "all processes", all_serve);
}

#[test]
fn a_pause_outlives_all_processes() {
    let mut office = Office::new();
    start_with(&mut office, STREET, &["--set", SMALL_LOG]);
    check(&office, &["ctl", "pause"]);
    let elapsed = number(&sample(&office), "/elapsed_ns");
    kill_all(&office);
    let paused = sample(&office);
    let reply = check(&office, &["ctl", "step", "200ms", "--json"]);
    let reply: Value = serde_json::from_str(&reply).unwrap();
    assert_eq!(
        (&reply["state"], number(&reply, "/elapsed_ns")),
        (&json!("paused"), elapsed + 200_000_000)
    );
    let issued = |sample: &Value| number(sample, "/totals/issued");
    let asked = until(&office, "requests of the step", |sample| issued(sample) > issued(&paused));
    assert!(issued(&asked) - issued(&paused) < 200, "{} and {}", issued(&paused), issued(&asked));
    check(&office, &["ctl", "resume"]);
    later(&office, 300);
    end_well(&mut office);
}

#[test]
fn what_people_have_changed_outlives_all_processes() {
    let mut office = Office::new();
    let args = ["--set", "storage.fsync=none", "--set", "run.drain=60s", "--set", SMALL_LOG];
    start_with(&mut office, STREET, &args);
    for wish in [
        &["block", "parcels"][..],
        &["slow", "300ms"],
        &["speed", "2"],
        &["rate", "100/s"],
        &["set", "storage.fsync=each_batch"],
    ] {
        check(&office, &[&["ctl"], wish].concat());
    }
    let deviations = sample(&office)["deviations"].clone();
    assert_eq!(deviations.as_array().unwrap().len(), 4, "{deviations}");
    kill_all(&office);
    let before = later(&office, 1500);
    let after = later(&office, 3000);
    assert_eq!((&after["deviations"], &after["fsync"]), (&deviations, &json!("each_batch")));
    let of = |sample: &Value, name: &str| {
        let services = sample["services"].as_array().unwrap().iter();
        number(services.clone().find(|row| row["name"] == name).unwrap(), "/served")
    };
    assert_eq!(of(&after, "parcels"), of(&before, "parcels"), "parcels are blocked");
    let rounds = served(&after) - served(&before);
    let span = number(&after, "/elapsed_ns") - number(&before, "/elapsed_ns");
    assert!((1..=4 * (span / 300_000_000 + 2)).contains(&rounds), "the issuer is slow: {rounds}");
    let issued = |sample: &Value| number(sample, "/totals/issued");
    // At least 200 requests a second are intended of the street alone.
    let least = (span / 1_000_000) * 150 / 1000;
    assert!(issued(&after) - issued(&before) > least, "users live fast");
    end_well(&mut office);
}

#[test]
fn a_log_level_reaches_processes_that_run_and_those_that_follow() {
    let mut terminal = Terminal::open(160, 45, &["-u", "4"]);
    terminal.wait_for("▶ RUN");
    let data_dir = terminal.data_dir().display().to_string();
    let tell = |args: &[&str]| {
        let output = run(&[args, &["--data-dir", &data_dir]].concat());
        assert_eq!(output.status.code(), Some(0), "{args:?}: {}", stderr(&output));
    };
    terminal.press("7od");
    terminal.wait_for("lines of DEBUG and above");
    tell(&["ctl", "strike"]);
    terminal.wait_for("what is held back: ");
    tell(&["ctl", "strike", "off"]);
    tell(&["ctl", "restart", "worker 1"]);
    terminal.wait_for("the issuer has let this process in");
    // Only its manager tells what becomes of a user process, and only those who want details.
    tell(&["ctl", "restart", "user 1"]);
    terminal.wait_for("user 1: ");
    tell(&["ctl", "restart", "users-manager"]);
    terminal.wait_for("user 3: ");
    terminal.press("Qy");
    assert_eq!(terminal.exit_code(), 0);
}

#[test]
fn restarts_in_order_lose_nothing_and_are_told_in_the_log() {
    let mut office = Office::new();
    let log = office.path("log.txt");
    start_with(&mut office, LONG, &["--log-level", "info", "--log-file", log.to_str().unwrap()]);
    until(&office, "busy seats", |sample| number(sample, "/seats/busy") == 4);
    let pids =
        |role: &str| office.processes(role).into_iter().map(|(pid, _)| pid).collect::<Vec<_>>();
    for (process, role) in
        [("worker 0", "worker"), ("user-1", "user"), ("users-manager", "users-manager")]
    {
        let before = pids(role);
        let said = check(&office, &["ctl", "restart", process]);
        assert!(said.contains(": ready, process "), "{said}");
        let now = said.trim_end().rsplit(' ').next().unwrap().parse().unwrap();
        let now = Pid::from_raw(now);
        assert!(pids(role).contains(&now) && !before.contains(&now), "{said}: {before:?}");
    }
    assert_eq!(
        number(&sample(&office), "/totals/redelivered"),
        0,
        "a worker finishes what it holds"
    );
    check(&office, &["ctl", "restart", "issuer"]);
    let before = served(&sample(&office));
    until(&office, "more tickets", |sample| served(sample) > before + 20);
    assert!(check(&office, &["ctl", "kill", "worker", "1"]).starts_with("worker 1: process "));
    until(&office, "another worker", |sample| sample["workers"]["actual"] == 2);
    let summary = end_well(&mut office);
    check_marks(
        &summary,
        &["renew w0", "w0 ended", "w0 back", "renew u1", "renew mgr", "kill w1", "w1 died"],
    );
    let log = std::fs::read_to_string(log).unwrap();
    for line in ["worker 0 restarted by a person (ctl)", "worker 1 killed by a person (ctl)"] {
        assert!(log.contains(line), "{line}: {log}");
    }
}

#[test]
fn who_asks_for_what_is_not_there_is_told_what_is() {
    let mut office = Office::new();
    start_with(&mut office, STREET, &[]);
    for (wish, words) in [
        (["kill", "worker 9"], "there is no worker 9; workers are 0 to 1"),
        (["restart", "user 77"], "there is no user 77; user processes are 0 to 2"),
        (["freeze", "clerk"], "\"clerk\" is no process; processes are issuer, users-manager"),
        (["kill", "director"], "the director is not steered from here"),
        (["unblock", "stamps"], "there is no service stamps; services are letters, parcels"),
    ] {
        let refused = ask(&office, &[&["ctl"], &wish[..]].concat());
        assert_eq!(refused.status.code(), Some(1), "{wish:?}");
        assert!(stderr(&refused).contains(words), "{wish:?}: {}", stderr(&refused));
    }
    for wrong in [["slow", "2s"], ["step", "1h"], ["strike", "perhaps"]] {
        let refused = ask(&office, &[&["ctl"], &wrong[..]].concat());
        assert_eq!(refused.status.code(), Some(2), "{wrong:?}: {}", stderr(&refused));
    }
    office.signal(Signal::SIGTERM);
    let (code, summary) = office.finish();
    assert_eq!(code, 128 + 15);
    let marks = marks(&summary);
    assert!(!marks.contains(&"not done".to_owned()), "it was not asked of the director: {marks:?}");
}

#[test]
fn a_surge_and_an_empty_office_are_seen_at_once() {
    let regulars = "[run]\nwarmup = 0s\n[service.letters]\ntime = exp 2ms\n\
        [load.regulars]\nusers = 128\nthink = exp 300ms\n[users]\nmax_processes = 4";
    let mut office = Office::new();
    start_with(&mut office, regulars, &[]);
    let mut snapshot = 0;
    for users in [5000, 10, 0] {
        let reply = check(&office, &["ctl", "users", &users.to_string(), "--json"]);
        let reply: Value = serde_json::from_str(&reply).unwrap();
        assert_eq!(reply["users"]["target"], users, "{reply}");
        assert!(number(&reply, "/snapshot") > snapshot);
        snapshot = number(&reply, "/snapshot");
        until(&office, "the users", |sample| sample["population"]["actual"] == users);
    }
    until(&office, "an empty office", |sample| {
        let of = |path| number(sample, path);
        of("/totals/waiting") + of("/totals/in_service") == 0
    });
    let before = number(&sample(&office), "/totals/issued");
    assert_eq!(number(&later(&office, 1000), "/totals/issued"), before, "nobody asks");
    check(&office, &["ctl", "users", "20"]);
    until(&office, "tickets again", |sample| number(sample, "/totals/issued") > before + 20);
    let last = end_well(&mut office);
    check_marks(&last, &["users 5000", "users 10", "users 0", "users 20"]);
}

#[test]
fn what_was_given_up_is_tried_again_if_somebody_watches() {
    let mut terminal = Terminal::open(120, 40, &["-w", "2"]);
    terminal.wait_for("▶ RUN");
    let data_dir = terminal.data_dir().display().to_string();
    let tell = |args: &[&str]| run(&[args, &["--data-dir", &data_dir]].concat());
    let look = || -> Option<Value> {
        serde_json::from_slice(&tell(&["sample", "--format", "json"]).stdout).ok()
    };
    let kill_until_given_up = || {
        wait_for("worker 0 to be given up", || {
            let sample = look()?;
            let workers = sample["processes"].as_array()?.iter();
            let worker = workers.clone().find(|row| row["role"] == "worker" && row["id"] == 0)?;
            if worker["state"] == "ready" {
                let pid = i32::try_from(worker["pid"].as_u64()?).unwrap();
                // It may have gone since that snapshot.
                let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
            }
            (sample["deviations"] == json!(["worker 0 given up"])).then_some(sample)
        })
    };
    assert_eq!(kill_until_given_up()["state"], "paused");
    terminal.wait_for("PAUSED");
    assert_eq!(tell(&["ctl", "restart", "worker 0"]).status.code(), Some(0));
    assert_eq!(tell(&["ctl", "resume"]).status.code(), Some(0));
    let again = look().unwrap();
    assert_eq!((&again["state"], &again["deviations"]), (&json!("running"), &json!([])));
    kill_until_given_up();
    assert_eq!(tell(&["ctl", "stop"]).status.code(), Some(0));
    assert_eq!(terminal.exit_code(), 1, "the run ends without a worker that was wanted");
}
