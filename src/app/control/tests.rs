//! The socket, with a desk but no director behind it.

use engine::clock::Time;

use super::client::{AskError, Client, ask};
use super::*;
use crate::app::handle::{self, Desk as DirectorsDesk};
use crate::app::state::Happening;
use crate::app::testing;

const WITHIN: Duration = Duration::from_secs(60);

/// Returns what a request asks for, and with what.
pub(super) fn parts(request: Value) -> (String, Map<String, Value>) {
    let Value::Object(mut keys) = request else { panic!("a request is an object") };
    let verb = keys.remove("do").unwrap();
    (verb.as_str().unwrap().to_owned(), keys)
}

/// Remembers where it should have written.
struct Folders;

impl Export for Folders {
    fn export(&self, dir: &Path, state: &Arc<AppState>) -> Result<PathBuf, String> {
        match dir.exists() {
            true => Ok(dir.join(state.number.to_string())),
            false => Err(format!("there is no {}", dir.display())),
        }
    }
}

fn counter(first: AppState) -> (Desk, DirectorsDesk) {
    let (office, director) = handle::office(first, || {});
    let office = office.of(Source::Ctl);
    let (metrics, watchers) = ("127.0.0.1:9464".parse().ok(), watch::Watchers::default());
    let facts = Facts { metrics, watchers };
    (Desk { office, exporter: Box::new(Folders), facts, effect_within: WITHIN }, director)
}

/// Acts as a director does: takes actions and shows what they did, until the drain begins.
fn direct(director: DirectorsDesk, mut state: AppState) -> std::thread::JoinHandle<()> {
    std::thread::spawn(move || {
        while !matches!(state.phase, Phase::Draining { .. }) {
            match director.next_action().map(|(_, action)| action) {
                Some(Action::Pause) => state.phase = Phase::Paused,
                Some(Action::Resume) => state.phase = Phase::Running,
                // This office has 3 users in open loads.
                Some(Action::SetUsers(users)) => state.users.target = Some(users.max(3)),
                Some(Action::SetWorkers(workers)) => state.workers.target = Some(workers.into()),
                Some(Action::Strike) => state.settings.is_on_strike = true,
                Some(Action::EndStrike) => state.settings.is_on_strike = false,
                Some(Action::Block(_)) => state.settings.blocked.push("parcels".to_owned()),
                Some(Action::Unblock(_)) => state.settings.blocked.clear(),
                Some(Action::SlowIssuer(delay)) => state.settings.issuer_delay = delay,
                Some(Action::Freeze(process, _)) => state.settings.frozen.push(process),
                Some(Action::Continue(_)) => state.settings.frozen.clear(),
                Some(Action::Kill(process)) => {
                    let row = state.processes.iter_mut().find(|row| row.id == process);
                    row.unwrap().pid = None;
                }
                Some(Action::Step(span)) => state.elapsed += span,
                Some(Action::SetSpeed(speed)) => state.settings.tempo.speed = speed,
                Some(Action::SetRate { load, per_second }) => {
                    let rates = state.settings.tempo.rates.iter_mut();
                    rates
                        .filter(|rate| rate.load == load)
                        .for_each(|rate| rate.wanted = per_second);
                }
                Some(Action::Drain) => state.phase = Phase::Draining { open: 5 },
                _ => {}
            }
            state.number += 1;
            director.publish(state.clone());
            std::thread::yield_now();
        }
    })
}

fn reply(desk: &Desk, request: &Value) -> Value {
    desk.reply(request.to_string().as_bytes())
}

#[test]
fn a_reply_comes_when_a_snapshot_shows_the_effect() {
    let (desk, director) = counter(testing::app());
    let directing = direct(director, testing::app());
    let check = |request: Value, key: &str, wanted: Value| {
        let reply = reply(&desk, &request);
        assert_eq!((&reply["ok"], &reply[key]), (&json!(true), &wanted), "{request}: {reply}");
        assert_eq!(reply["version"], VERSION);
    };
    check(json!({ "do": "pause" }), "state", json!("paused"));
    check(json!({ "do": "pause", "version": 1 }), "state", json!("paused"));
    check(json!({ "do": "resume" }), "state", json!("running"));
    let users = |target: u32| json!({ "actual": 128, "target": target });
    check(json!({ "do": "users", "n": 500 }), "users", users(500));
    check(json!({ "do": "users", "n": 0 }), "users", users(3));
    let workers = json!({ "actual": 3, "target": 9 });
    check(json!({ "do": "workers", "n": 9 }), "workers", workers);
    check(json!({ "do": "speed", "times": 0.5 }), "speed", json!(0.5));
    check(json!({ "do": "rate", "per_s": 300 }), "load", json!("rush"));
    let rush = json!({ "do": "rate", "load": "rush", "per_s": 20 });
    check(rush, "base_per_s", json!(160.0));
    check(json!({ "do": "stop" }), "state", json!("draining"));
    directing.join().unwrap();
    for request in [json!({ "do": "pause" }), json!({ "do": "users", "n": 5 })] {
        let late = reply(&desk, &request);
        assert!(late["error"].as_str().unwrap().ends_with("the run is draining"), "{late}");
    }
}

#[test]
fn nothing_is_exported_that_the_end_of_the_program_would_cut_short() {
    let ended = Phase::Stopped(crate::app::state::Ending::Completed);
    let (desk, _director) = counter(AppState { phase: ended, ..testing::app() });
    let late = reply(&desk, &json!({ "do": "snapshot", "dir": "/" }));
    assert_eq!(late["error"], "cannot export: the run is stopped");
}

#[test]
fn mistakes_are_told() {
    let (desk, _director) = counter(testing::app());
    for (request, words) in [
        ("nonsense\n", "this is not JSON"),
        ("[]\n", "a JSON object"),
        ("{}\n", "do is missing"),
        ("{\"do\":\"dance\"}\n", "\"dance\" is not known; known are status, pause"),
        ("{\"do\":7}\n", "7 is not known"),
        ("{\"do\":\"status\",\"version\":2}\n", "version 2 is not spoken here"),
        ("{\"do\":\"status\",\"verbose\":true}\n", "takes no verbose"),
        ("{\"do\":\"kill\",\"process\":\"worker 9\"}\n", "workers are 0 to 3"),
        ("{\"do\":\"kill\",\"process\":\"worker 3\"}\n", "does not run: it is backoff"),
        ("{\"do\":\"step\",\"span_ns\":5}\n", "from 1000000 to 60000000000"),
        ("{\"do\":\"step\",\"by\":5}\n", "takes no by"),
        ("{\"do\":\"step\"}\n", "the run is running; pause it first"),
        ("{\"do\":\"users\"}\n", "a whole number from 0 to 1000000"),
        ("{\"do\":\"users\",\"n\":1000001}\n", "a whole number from 0 to 1000000"),
        ("{\"do\":\"users\",\"n\":-1}\n", "a whole number from 0 to 1000000"),
        ("{\"do\":\"workers\",\"n\":0}\n", "a whole number from 1 to 1024"),
        ("{\"do\":\"workers\",\"n\":70000}\n", "a whole number from 1 to 1024"),
        ("{\"do\":\"snapshot\",\"dir\":\"here\"}\n", "an absolute path"),
        ("{\"do\":\"snapshot\",\"dir\":\"/no/such\"}\n", "there is no /no/such"),
        ("{\"do\":\"rate\",\"load\":\"x\",\"per_s\":1}\n", "open are: rush"),
        ("{\"do\":\"watch\",\"interval_ms\":1}\n", "a whole number from 20 to 60000"),
        ("{\"do\":\"act\"}\n", "the key action is missing"),
        ("{\"do\":\"act\",\"action\":\"Dance\"}\n", "not understood: unknown variant `Dance`"),
        ("{\"do\":\"act\",\"action\":{\"Travel\":\"Live\"}}\n", "only a replay can travel"),
        ("{\"do\":\"sample\",\"format\":\"xml\"}\n", "json, table or prom"),
        ("{\"do\":\"set\",\"set\":[]}\n", "a list of SECTION.KEY=VALUE"),
        ("{\"do\":\"set\",\"set\":[\"room=5\"]}\n", "expected SECTION.KEY=VALUE"),
        ("{\"do\":\"reload\",\"dry_run\":1}\n", "must be true or false"),
    ] {
        let reply = desk.reply(request.as_bytes());
        assert_eq!(reply["ok"], false, "{request}");
        assert!(reply["error"].as_str().unwrap().contains(words), "{request}: {reply}");
    }
}

#[test]
fn what_is_not_seen_in_time_is_told() {
    let (mut desk, _director) = counter(testing::app());
    desk.effect_within = Duration::from_millis(5);
    let never = desk.act(Action::Pause, |_| false).unwrap_err();
    assert!(never.contains("pause was asked for but is not seen within 5ms"), "{never}");
    assert!(never.contains("the run is running"), "{never}");
}

#[test]
fn what_the_director_refuses_is_told_at_once() {
    let (desk, director) = counter(testing::app());
    let directing = std::thread::spawn(move || {
        let mut state = testing::app();
        loop {
            let Some((who, action)) = director.next_action() else {
                std::thread::yield_now();
                continue;
            };
            assert_eq!(who, Source::Ctl, "whose wish it is");
            let last = state.events.last().unwrap().clone();
            let text = events::refusal(&action, "the run is ending");
            let refusal = Happening { number: last.number + 1, who, text, ..last };
            Arc::make_mut(&mut state.events).push(refusal);
            state.number += 1;
            return director.publish(state);
        }
    });
    let refused = reply(&desk, &json!({ "do": "freeze", "process": "worker 2" }));
    assert_eq!(refused["error"], "not done: freeze worker 2 for 2.00s: the run is ending");
    directing.join().unwrap();
}

#[test]
fn interventions_are_seen_in_settings_and_processes() {
    let (desk, director) = counter(testing::app());
    let directing = direct(director, testing::app());
    let check = |request: Value, key: &str, wanted: Value| {
        let reply = reply(&desk, &request);
        assert_eq!((&reply["ok"], &reply[key]), (&json!(true), &wanted), "{request}: {reply}");
    };
    check(json!({ "do": "strike" }), "strike", json!(true));
    check(json!({ "do": "block", "service": "parcels" }), "blocked", json!(["parcels"]));
    check(json!({ "do": "slow", "span_ns": 5_000_000 }), "issuer_delay_ns", json!(5_000_000));
    check(json!({ "do": "freeze", "process": "issuer" }), "process", json!("issuer"));
    check(json!({ "do": "kill", "process": "worker:1" }), "pid", json!(24_113));
    let held = ["workers on strike", "parcels blocked", "issuer 5.00ms slow", "issuer frozen"];
    check(json!({ "do": "status" }), "deviations", json!(held));
    check(json!({ "do": "continue", "process": "issuer" }), "process", json!("issuer"));
    check(json!({ "do": "unblock", "service": "parcels" }), "blocked", json!([]));
    check(json!({ "do": "strike", "on": false }), "strike", json!(false));
    check(json!({ "do": "pause" }), "state", json!("paused"));
    check(json!({ "do": "step", "span_ns": 1_000_000 }), "elapsed_ns", json!(761_001_000_000_u64));
    check(json!({ "do": "stop" }), "state", json!("draining"));
    directing.join().unwrap();
    let late = reply(&desk, &json!({ "do": "strike" }));
    assert_eq!(late["error"], "cannot strike: the run is draining");
}

#[test]
fn status_and_samples_are_the_newest_snapshot() {
    let (desk, _director) = counter(testing::measured());
    let status = reply(&desk, &json!({ "do": "status" }));
    for (key, wanted) in [
        ("state", json!("running")),
        ("seed", json!(42)),
        ("users", json!({ "actual": 128, "target": 128 })),
        ("wait_p99_ns", json!(548_351)),
        (
            "last_10s",
            json!({ "wait_p99_ns": 548_351, "sojourn_p99_ns": 35_848_191,
            "response_p99_ns": 36_503_551 }),
        ),
        ("metrics", json!("127.0.0.1:9464")),
    ] {
        assert_eq!(status[key], wanted, "{key}");
    }
    assert_eq!(status["slo"][0]["goal"], "p95(sojourn) < 80ms");
    assert_eq!(
        (&status["slo"][1]["verdict"], &status["slo"][1]["value_ratio"]),
        (&json!("missed"), &json!(0.021))
    );
    let sample = |format: &str| reply(&desk, &json!({ "do": "sample", "format": format }));
    let json = &sample("json")["sample"];
    assert_eq!((&json["snapshot"], &json["wait_p99_ns"]), (&json!(3044), &json!(548_351)));
    let text = sample("prom")["text"].as_str().unwrap().to_owned();
    assert!(text.contains("\npostoffice_snapshot_number 3044\n"));
    assert!(sample("table")["text"].as_str().unwrap().contains("rush-hour"));
}

/// A desk behind a real socket.
fn open() -> (tempfile::TempDir, PathBuf, Server<UnixStream>, DirectorsDesk) {
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("control.sock");
    let (desk, director) = counter(testing::app());
    let listener = UnixListener::from(stream::listen(&socket).unwrap());
    let server = server::start("control", listener, 2, desk).unwrap();
    (dir, socket, server, director)
}

#[test]
fn several_requests_may_share_a_connection() {
    let (dir, socket, server, _director) = open();
    let mut client = Client::connect(&socket).unwrap();
    let snapshot = json!({ "do": "snapshot", "dir": dir.path() });
    let folder = &client.ask(&snapshot, WITHIN).unwrap()["folder"];
    assert_eq!(*folder, json!(dir.path().join("3044")));
    let refused = client.ask(&json!({ "do": "nothing" }), WITHIN).unwrap_err();
    assert!(matches!(refused, AskError::Refused(_)), "{refused}");
    let status = client.ask(&json!({ "do": "status" }), WITHIN).unwrap();
    assert_eq!(status["scenario"], "rush-hour");
    // An idle connection holds up nobody.
    ask(&socket, &json!({ "do": "status" }), WITHIN).unwrap();
    std::fs::remove_file(&socket).unwrap();
    drop(server);
    assert!(client.wait_for_end(Time::NEVER));
    assert!(matches!(ask(&socket, &json!({}), WITHIN), Err(AskError::Gone(_))));
}

#[test]
fn a_request_has_an_end() {
    let (_dir, socket, _server, _director) = open();
    let mut stream = UnixStream::connect(&socket).unwrap();
    let endless = vec![b' '; usize::try_from(limits::CONTROL_REQUEST_BYTES_MAX).unwrap()];
    stream.write_all(&endless).unwrap();
    let mut reply = String::new();
    stream.read_to_string(&mut reply).unwrap();
    assert!(reply.contains("the request is too long"), "{reply}");
}

#[test]
fn one_too_many_is_told_to_come_later() {
    let (_dir, socket, _server, _director) = open();
    let status = json!({ "do": "status" });
    let mut clients = [Client::connect(&socket).unwrap(), Client::connect(&socket).unwrap()];
    for client in &mut clients {
        client.ask(&status, WITHIN).unwrap();
    }
    let refused = ask(&socket, &status, WITHIN).unwrap_err().to_string();
    assert!(refused.contains("too many connections"), "{refused}");
}

#[test]
fn the_socket_is_private() {
    use std::os::unix::fs::MetadataExt;
    let (_dir, socket, _server, _director) = open();
    assert_eq!(std::fs::metadata(&socket).unwrap().mode() & 0o777, 0o600);
}
