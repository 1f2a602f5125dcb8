//! `ctl`, `sample` and metrics: another program's look at a running office, and its wishes.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Output, Stdio};

use nix::sys::signal::Signal;
use openmetrics_parser::prometheus::parse_prometheus;
use openmetrics_parser::{MetricsExposition, PrometheusType, PrometheusValue};
use serde_json::{Value, json};

use crate::support::{Office, stderr, wait_for};

/// A small office without end that serves a few hundred tickets a second.
const SMALL: &str = "[run]\nwarmup = 0s\n[office]\nworkers = 2\nseats = 4\n\
    [service.letters]\nshare = 75%\ntime = exp 5ms\n[service.parcels]\ntime = det 8ms\n\
    [load.regulars]\nusers = 6\nthink = exp 10ms\n[users]\nmax_processes = 3";

/// Starts a small office and waits until it serves.
fn start(office: &mut Office, args: &[&str]) {
    start_with(office, SMALL, args);
}

/// The same with another scenario.
pub(crate) fn start_with(office: &mut Office, scenario: &str, args: &[&str]) {
    let scenario = office.scenario(scenario);
    office.start(&[&["-s", &scenario], args].concat());
    wait_for("the run", || (status(office)?["served_per_s"].as_f64()? > 0.0).then_some(()));
}

/// Asks the office in a data directory.
pub(crate) fn ask(office: &Office, args: &[&str]) -> Output {
    let data_dir = office.data_dir().display().to_string();
    office.run_tool(&[args, &["--data-dir", &data_dir]].concat())
}

fn status(office: &Office) -> Option<Value> {
    serde_json::from_slice(&ask(office, &["ctl", "status", "--json"]).stdout).ok()
}

pub(crate) fn sample(office: &Office) -> Value {
    let output = ask(office, &["sample", "--format", "json"]);
    serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", stderr(&output)))
}

/// Makes sure that a wish is fulfilled and returns what is said.
pub(crate) fn check(office: &Office, args: &[&str]) -> String {
    let output = ask(office, args);
    assert_eq!(output.status.code(), Some(0), "{args:?}: {}", stderr(&output));
    String::from_utf8(output.stdout).unwrap()
}

/// Ends an office and makes sure that it has ended in order.
fn stop(office: &mut Office) {
    assert_eq!(check(office, &["ctl", "stop"]), "stopped\n");
    let (code, summary) = office.finish();
    assert_eq!((code, &summary["outcome"]), (0, &json!("completed")));
}

fn registry(office: &Office) -> Vec<PathBuf> {
    let entries = office.session_dir().join("postoffice-tui").read_dir();
    entries.into_iter().flatten().map(|entry| entry.unwrap().path()).collect()
}

#[test]
fn what_is_asked_for_is_seen() {
    let mut office = Office::new();
    start(&mut office, &[]);
    assert_eq!(check(&office, &["ctl", "pause"]), "paused\n");
    let paused = sample(&office);
    assert_eq!(paused["state"], "paused");
    assert_eq!(sample(&office)["elapsed_ns"], paused["elapsed_ns"], "time stands still");
    assert_eq!(check(&office, &["ctl", "resume"]), "running\n");
    check(&office, &["ctl", "users", "9"]);
    assert_eq!(sample(&office)["population"]["target"], 9);
    wait_for("9 users", || (sample(&office)["population"]["actual"] == 9).then_some(()));
    check(&office, &["ctl", "workers", "3"]);
    office.wait_for_processes("worker", 3);
    let text = check(&office, &["ctl", "status"]);
    let data_dir = office.data_dir().display().to_string();
    for words in ["running", "users    9\n", "workers  3", "SLO", "off", &data_dir] {
        assert!(text.contains(words), "{words}: {text}");
    }
    for wish in [["workers", "0"], ["workers", "1025"], ["users", "1000001"], ["users", "many"]] {
        let refused = ask(&office, &[&["ctl"], &wish[..]].concat());
        assert_eq!(refused.status.code(), Some(2), "{wish:?}");
        assert!(stderr(&refused).contains(wish[1]), "{}", stderr(&refused));
    }
    stop(&mut office);
    let nobody = ask(&office, &["ctl", "status"]);
    assert_eq!(nobody.status.code(), Some(2), "{}", stderr(&nobody));
    assert_eq!(registry(&office), Vec::<PathBuf>::new());
    assert!(!office.data_dir().join("run/control.sock").exists());
}

#[test]
fn a_snapshot_is_written_while_the_run_goes_on() {
    let mut office = Office::new();
    start(&mut office, &[]);
    // The directory is the caller's, which is not the office's affair.
    let folder = check(&office, &["ctl", "snapshot", "exports"]);
    let folder = PathBuf::from(folder.trim_end());
    assert_eq!(folder.parent(), Some(&*office.path("exports")));
    let summary = std::fs::read(folder.join("summary.json")).unwrap();
    let summary: Value = serde_json::from_slice(&summary).unwrap();
    assert_eq!(summary["outcome"], "running");
    let refused = ask(&office, &["ctl", "snapshot", "no/such/place"]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(stderr(&refused).contains("no/such/place"), "{}", stderr(&refused));
    assert_eq!(status(&office).unwrap()["state"], "running");
    stop(&mut office);
}

#[test]
fn nobody_to_ask_is_told_with_all_places() {
    let office = Office::new();
    let looked = |args: &[&str], places: &[PathBuf]| {
        let output = office.run_tool(args);
        let said = stderr(&output);
        assert_eq!(output.status.code(), Some(2), "{args:?}: {said}");
        for place in places {
            assert!(said.contains(&place.display().to_string()), "{args:?}: {said}");
        }
    };
    let usual = office.session_dir().join("state/postoffice-tui/run/control.sock");
    let registry = office.session_dir().join("postoffice-tui");
    looked(&["ctl", "status"], &[usual.clone(), registry.clone()]);
    looked(&["sample"], &[usual, registry.clone()]);
    let named = office.path("elsewhere");
    let args = ["ctl", "pause", "--data-dir", &named.display().to_string()];
    looked(&args, &[named.join("run/control.sock"), registry]);
}

#[test]
fn several_offices_are_listed_and_one_that_was_killed_is_not() {
    let mut first = Office::new();
    let mut second = Office::beside(&first);
    start(&mut first, &[]);
    // The only one needs no name.
    let only = first.run_tool(&["ctl", "status", "--json"]);
    let only: Value = serde_json::from_slice(&only.stdout).unwrap();
    assert_eq!(only["pid"], first.pid().as_raw());
    start(&mut second, &[]);
    let several = first.run_tool(&["ctl", "pause"]);
    let said = stderr(&several);
    assert_eq!(several.status.code(), Some(2), "{said}");
    for office in [&first, &second] {
        let (pid, dir) = (office.pid(), office.data_dir().canonicalize().unwrap());
        let line = format!("process {pid}, scenario scenario, --data-dir {}", dir.display());
        assert!(said.contains(&line), "{said}");
    }
    assert_eq!(sample(&second)["state"], "running", "nobody was paused");
    first.signal(Signal::SIGKILL);
    first.reap();
    assert_eq!(registry(&first).len(), 2, "a killed director tidies nothing up");
    let rest = first.run_tool(&["sample", "--format", "json"]);
    let rest: Value = serde_json::from_slice(&rest.stdout).unwrap();
    assert_eq!(rest["processes"][0]["pid"], second.pid().as_raw());
    assert_eq!(registry(&first).len(), 1, "whoever looks does");
    // What was left behind is no obstacle.
    start(&mut first, &[]);
    stop(&mut first);
    stop(&mut second);
}

#[test]
fn a_run_goes_on_without_what_can_not_be_opened() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let mut office = Office::new();
    std::fs::write(office.session_dir().join("postoffice-tui"), "in the way").unwrap();
    let scenario = office.scenario(SMALL);
    let data_dir = office.data_dir().display().to_string();
    let args = ["--headless", "-s", &scenario, "--data-dir", &data_dir, "-d", "300ms"];
    let output = office.run_tool(&[&args[..], &["--metrics-listen", &address]].concat());
    let said = stderr(&output);
    assert_eq!(output.status.code(), Some(0), "{said}");
    for words in [&*address, "in use", "--metrics-listen", "only with --data-dir"] {
        assert!(said.contains(words), "{words}: {said}");
    }
    start(&mut office, &["--metrics-listen", &address]);
    let told = status(&office).unwrap();
    assert_eq!((&told["metrics"], &told["state"]), (&Value::Null, &json!("running")));
    stop(&mut office);
    let nonsense = office.run_tool(&["--headless", "--metrics-listen", "example.org"]);
    assert_eq!(nonsense.status.code(), Some(2));
    assert!(stderr(&nonsense).contains("--metrics-listen example.org"), "{}", stderr(&nonsense));
}

fn metrics_address(office: &Office) -> String {
    status(office).unwrap()["metrics"].as_str().unwrap().to_owned()
}

fn get(address: &str, path: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {address}\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

/// Metrics as a program that is not ours reads them.
struct Metrics(MetricsExposition<PrometheusType, PrometheusValue>);

impl Metrics {
    fn get(address: &str) -> Self {
        let answer = get(address, "/metrics");
        let (head, text) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
        assert!(head.contains("\r\nContent-Type: text/plain; version=0.0.4"), "{head}");
        Self(parse_prometheus(text).unwrap())
    }

    fn value(&self, name: &str, labels: &[&str]) -> Option<&PrometheusValue> {
        let labels: Vec<String> = labels.iter().map(|label| (*label).to_owned()).collect();
        let family = self.0.families.get(&format!("postoffice_{name}"))?;
        family.get_sample_by_label_values(&labels).map(|sample| &sample.value)
    }

    fn number(&self, name: &str) -> f64 {
        match self.value(name, &[]) {
            Some(PrometheusValue::Gauge(number)) => number.as_f64(),
            Some(PrometheusValue::Counter(counter)) => counter.value.as_f64(),
            other => panic!("{name}: {other:?}"),
        }
    }
}

/// The dashboard's snapshot, the metrics and a sample have one source, so they say the same.
#[test]
fn metrics_are_what_a_sample_of_the_same_snapshot_says() {
    let mut office = Office::new();
    start(&mut office, &["--metrics-listen", ":0"]);
    wait_for("some latencies", || sample(&office)["overhead_p50_ns"].as_u64());
    check(&office, &["ctl", "pause"]);
    let address = metrics_address(&office);
    assert!(address.starts_with("127.0.0.1:"), "a port alone is this machine's own: {address}");
    assert!(get(&address, "/").contains("/metrics"));
    assert!(get(&address, "/no").starts_with("HTTP/1.1 404"));
    let (sample, metrics) = wait_for("both of one snapshot", || {
        let (sample, metrics) = (sample(&office), Metrics::get(&address));
        let is_same = sample["snapshot"].as_f64()? == metrics.number("snapshot_number");
        is_same.then_some((sample, metrics))
    });
    for (name, value) in [
        ("elapsed_seconds", sample["elapsed_ns"].as_f64().unwrap() / 1e9),
        ("measured_window_seconds", sample["window_ns"].as_f64().unwrap() / 1e9),
        ("users", sample["population"]["actual"].as_f64().unwrap()),
        ("seats_busy", sample["seats"]["busy"].as_f64().unwrap()),
        ("tickets_issued_total", sample["totals"]["issued"].as_f64().unwrap()),
        ("tickets_served_total", sample["totals"]["served"].as_f64().unwrap()),
        ("measured_issued_total", sample["issued"].as_f64().unwrap()),
        ("measured_served_total", sample["served"].as_f64().unwrap()),
        ("measured_throughput_per_second", sample["throughput_per_s"].as_f64().unwrap()),
        ("measured_utilization_ratio", sample["utilization"].as_f64().unwrap()),
        ("measured_waiting_mean", sample["waiting_mean"].as_f64().unwrap()),
        ("store_records_total", sample["store"]["records"].as_f64().unwrap()),
    ] {
        let found = metrics.number(name);
        assert!((found - value).abs() <= value.abs() * 1e-12, "{name}: {found} is not {value}");
    }
    for latency in ["wait", "service", "sojourn", "overhead"] {
        let summary = metrics.value("measured_latency_seconds", &[latency]);
        let Some(PrometheusValue::Summary(summary)) = summary else { panic!("{summary:?}") };
        let quantiles = summary.quantiles.iter();
        let found: Vec<u64> = quantiles.map(|of| to_ns(of.value.as_f64())).collect();
        let wanted = ["p50", "p90", "p99", "p999", "max"]
            .map(|quantile| sample[format!("{latency}_{quantile}_ns")].as_u64().unwrap());
        assert_eq!(found, wanted, "{latency}");
    }
    let prom = check(&office, &["sample", "--format", "prom"]);
    assert!(parse_prometheus(&prom).is_ok());
    stop(&mut office);
    assert!(TcpStream::connect(&address).is_err(), "nobody listens any more");
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "rounded")]
fn to_ns(seconds: f64) -> u64 {
    (seconds * 1e9).round() as u64
}

#[test]
fn who_says_nothing_holds_up_nobody() {
    let mut office = Office::new();
    start(&mut office, &["--metrics-listen", "0"]);
    let address = metrics_address(&office);
    let socket = office.data_dir().join("run/control.sock");
    let web: Vec<TcpStream> = (0..4).map(|_| TcpStream::connect(&address).unwrap()).collect();
    let local: Vec<UnixStream> = (0..8).map(|_| UnixStream::connect(&socket).unwrap()).collect();
    for mut stream in &web {
        stream.write_all(b"GET /metrics HT").unwrap();
    }
    for mut stream in &local {
        stream.write_all(b"{\"do\":\"st").unwrap();
    }
    Metrics::get(&address);
    check(&office, &["ctl", "pause"]);
    check(&office, &["ctl", "resume"]);
    assert!(check(&office, &["sample"]).contains("running"));
    stop(&mut office);
    drop((web, local));
}

#[test]
fn samples_go_on_until_the_run_ends_or_nobody_reads() {
    let mut office = Office::new();
    start(&mut office, &[]);
    let lines = check(&office, &["sample", "--count", "3", "--interval", "20ms"]);
    let lines: Vec<&str> = lines.lines().collect();
    assert_eq!(lines.len(), 4, "a head and three samples: {lines:?}");
    assert!(lines[0].contains("served/s") && lines[3].contains("running"), "{lines:?}");
    let begin = |format: &str| {
        let mut tool = office.tool(&["sample", "--interval", "10ms", "--format", format]);
        let mut child = tool.stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        lines.read_line(&mut line).unwrap();
        (child, lines, line)
    };
    let (mut unread, reader, _) = begin("prom");
    drop(reader);
    assert!(unread.wait().unwrap().success(), "a closed pipe is no error");
    let (mut child, mut reader, line) = begin("json");
    let first: Value = serde_json::from_str(&line).unwrap();
    assert_eq!(first["scenario"], "scenario");
    let reading = std::thread::spawn(move || {
        let mut rest = String::new();
        reader.read_to_string(&mut rest).unwrap();
        rest
    });
    stop(&mut office);
    assert!(child.wait().unwrap().success(), "the end of the run is the end of the samples");
    let rest = reading.join().unwrap();
    assert!(rest.lines().all(|line| serde_json::from_str::<Value>(line).is_ok()), "{rest}");
}
