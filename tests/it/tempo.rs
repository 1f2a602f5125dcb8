//! Users live faster and slower while the office runs: by what is recorded of each request, not by
//! how long anything took.

use std::collections::HashMap;
use std::path::Path;

use serde_json::{Value, json};

use crate::control::{ask, check, sample, start_with};
use crate::support::{Office, stderr, wait_for};

/// A hundred requests a second at exact moments, and a few users who think.
const STREET: &str = "[run]\nwarmup = 0s\nseed = 4\n[office]\nworkers = 2\nseats = 32\n\
    [service.letters]\ntime = det 2ms\n[load.rush]\nmodel = open\nusers = 6\nrate = det 100/s\n\
    [load.regulars]\nusers = 3\nthink = exp 50ms\n[users]\nmax_processes = 3";

/// Waits until so many requests of this run have been issued beyond those that were.
fn later(office: &Office, requests: u64) {
    let issued = || sample(office)["totals"]["issued"].as_u64().unwrap();
    let before = issued();
    wait_for("requests", || (issued() >= before + requests).then_some(()));
}

fn end(office: &mut Office) -> Value {
    assert_eq!(check(office, &["ctl", "stop"]), "stopped\n");
    let (code, summary) = office.finish();
    assert_eq!((code, &summary["outcome"]), (0, &json!("completed")), "{summary}");
    assert_ne!(summary["little"]["holds"], json!(false), "{}", summary["little"]);
    summary
}

/// Returns how far the intended moments of the open load's requests are apart, in microseconds.
fn gaps(export: &Path) -> Vec<u64> {
    let folder = export.read_dir().unwrap().next().unwrap().unwrap().path();
    let reader = csv::Reader::from_path(folder.join("tickets.csv")).unwrap();
    let rows: Vec<HashMap<String, String>> =
        reader.into_deserialize().map(Result::unwrap).collect();
    let rush = rows.iter().filter(|row| row["load"] == "rush");
    let mut dues: Vec<u64> = rush.map(|row| row["t_sched_ns"].parse().unwrap()).collect();
    dues.sort_unstable();
    // Nanoseconds that rounding takes or gives are none of this test's business.
    dues.windows(2).map(|pair| (pair[1] - pair[0] + 50) / 100 / 10).collect()
}

#[test]
fn requests_come_as_fast_as_people_want_without_a_burst_or_a_gap() {
    let mut office = Office::new();
    let export = office.path("out");
    start_with(&mut office, STREET, &["--export", export.to_str().unwrap()]);
    later(&office, 60);
    let said = check(&office, &["ctl", "rate", "200/s"]);
    assert_eq!(said, "rush: 200/s; the run began with 100/s\n");
    later(&office, 120);
    let said = check(&office, &["ctl", "speed", "2"]);
    assert_eq!(said, "users live 2 times as fast; service keeps its time\n");
    later(&office, 240);
    // Whoever is started anew goes on in the same tempo and asks late for what was due meanwhile.
    let manager = office.wait_for_processes("users-manager", 1)[0].0;
    check(&office, &["ctl", "kill", "users-manager"]);
    wait_for("another manager", || {
        let living = office.processes("users-manager");
        living.iter().any(|&(pid, _)| pid != manager).then_some(())
    });
    later(&office, 120);
    check(&office, &["ctl", "set", "load.rush.rate=det 50/s"]);
    later(&office, 60);
    let now = sample(&office);
    assert_eq!((&now["speed"], &now["loads"][0]["per_s"]), (&json!(2.0), &json!(50.0)));
    assert_eq!(now["deviations"], json!(["users x2", "rush 50.0/s"]), "100/s in all");
    let summary = end(&mut office);
    let gaps = gaps(&export);
    let stages: Vec<u64> =
        gaps.iter().copied().filter(|gap| [10_000, 5_000, 2_500].contains(gap)).collect();
    let mut tempos = stages.clone();
    tempos.dedup();
    assert_eq!(tempos, [10_000, 5_000, 2_500, 10_000], "{gaps:?}");
    let between: Vec<u64> = gaps.iter().copied().filter(|gap| !stages.contains(gap)).collect();
    assert!(between.len() <= 3, "one gap for each change: {between:?}");
    assert!(between.iter().all(|gap| (2_500..10_000).contains(gap)), "{between:?}");
    assert_eq!(summary["users"]["dropped"], 0, "{summary}");

    let mut plain = Office::new();
    start_with(&mut plain, STREET, &[]);
    let digest = end(&mut plain)["workload_digest"].clone();
    assert!(digest.is_string());
    assert_eq!(summary["workload_digest"], digest, "who asks for what does not depend on tempo");
}

#[test]
fn what_can_not_be_changed_is_refused_and_nothing_happens() {
    let mut office = Office::new();
    start_with(&mut office, STREET, &[]);
    for (args, code, words) in [
        (&["ctl", "rate", "regulars", "5/s"][..], 1, "regulars is no open load; open are: rush"),
        (&["ctl", "rate", "rush", "5"], 2, "ctl rate [LOAD] RATE: expected a rate above zero"),
        (&["ctl", "speed", "0"], 2, "expected a number from 0.1 to 100"),
        (&["ctl", "rate", "0.00001/s"], 1, "times as fast or as slow as 100/s"),
        (
            &["ctl", "set", "load.rush.rate=poisson 100/s"],
            2,
            "load.rush.rate: it stays det 100/s; another kind of arrivals needs a new run",
        ),
    ] {
        let output = ask(&office, args);
        assert_eq!(output.status.code(), Some(code), "{args:?}: {}", stderr(&output));
        assert!(stderr(&output).contains(words), "{args:?}: {}", stderr(&output));
    }
    let now = sample(&office);
    assert_eq!((&now["speed"], &now["loads"][0]["per_s"]), (&json!(1.0), &json!(100.0)));
    end(&mut office);
}

#[test]
fn each_role_tells_what_passes_over_its_sockets() {
    let mut office = Office::new();
    start_with(&mut office, STREET, &["--set", "metrics.recording=off"]);
    later(&office, 200);
    let row = |sample: &Value, role: &str| {
        let rows = sample["net"].as_array().unwrap();
        rows.iter().find(|row| row["role"] == role).cloned()
    };
    let counted = |row: &Value, key: &str| row[key].as_u64().unwrap();
    // All have told when the users' word has come to the director.
    let told = wait_for("figures of all", || {
        let sample = sample(&office);
        (row(&sample, "users")?["frames_in_per_s"].as_f64()? > 0.0).then_some(sample)
    });
    let [issuer, workers, users] =
        ["issuer", "workers", "users"].map(|role| row(&told, role).unwrap());
    assert_eq!((&workers["processes"], &users["processes"]), (&json!(2), &json!(3)));
    // Each worker and user process has a link to its supervisor and one to the issuer.
    assert_eq!((&workers["connections"], &users["connections"]), (&json!(4), &json!(6)));
    assert_eq!(issuer["connections"], 1 + 2 + 3);
    assert_eq!(row(&told, "director").unwrap()["connections"], 1 + 2 + 1);
    for row in [&issuer, &workers, &users] {
        assert!(counted(row, "frames_in") > 0 && counted(row, "bytes_out") > 0, "{row}");
        assert!(counted(row, "turns") > 0 && counted(row, "outbox_bytes_max") > 0, "{row}");
        assert_eq!((&row["silent"], &row["read_pauses"]), (&json!(0), &json!(0)), "{row}");
    }
    let frames_before = counted(&issuer, "frames_in");
    check(&office, &["ctl", "kill", "issuer"]);
    // What it counted before is not forgotten, and all who had lost it have come back.
    wait_for("connections made again", || {
        let sample = sample(&office);
        let again = ["workers", "users"].map(|role| row(&sample, role).unwrap());
        let reconnects = again.map(|row| counted(&row, "reconnects"));
        let frames = counted(&row(&sample, "issuer").unwrap(), "frames_in");
        (reconnects == [2, 3] && frames > frames_before).then_some(())
    });
    end(&mut office);
}
