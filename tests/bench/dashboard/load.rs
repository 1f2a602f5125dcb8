//! What a dashboard takes from an office that works as fast as it can, and what a terminal that
//! does not read takes from it.

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use engine::clock::{Clock, SystemClock, sleep_until};
use nix::sys::signal::Signal;
use tempfile::TempDir;

use crate::session::{PROGRAM, SIZE, Session, hold};
use crate::{Effort, Line, median};

/// Users who come back at once, to be served for always the same time: whatever delays a process
/// costs tickets, and chance does not.
const LOAD: [&str; 10] = [
    "--set",
    "load.regulars.think=1ms",
    "--set",
    "service.letters.time=1ms",
    "--set",
    "service.parcels.time=1ms",
    "--set",
    "service.passports.time=1ms",
    "--seed",
    "7",
];
/// Until the office has come to its pace.
const WARM_UP: Duration = Duration::from_secs(3);

/// Returns the tickets that an office has served so far.
fn served(data_dir: &std::path::Path) -> f64 {
    let mut command = Command::new(PROGRAM);
    command.args(["sample", "--format", "json", "--data-dir"]).arg(data_dir);
    let text = command.output().expect("the program can be started").stdout;
    let json: serde_json::Value = serde_json::from_slice(&text).unwrap_or_default();
    json["totals"]["served"].as_f64().expect("a running office says what it has served")
}

/// Returns tickets served a second while `pass` lets a span pass.
fn rate(data_dir: &std::path::Path, pass: impl FnOnce()) -> f64 {
    let (before, began) = (served(data_dir), SystemClock.now());
    pass();
    let (after, ended) = (served(data_dir), SystemClock.now());
    (after - before) / ended.since(began).as_secs_f64()
}

/// An office without a terminal.
struct Headless(Child, TempDir);

impl Headless {
    fn start() -> Self {
        let dir = tempfile::tempdir().expect("there is room for a directory");
        let mut command = Command::new(PROGRAM);
        command.args(["--headless", "-q", "--data-dir"]).arg(dir.path().join("data")).args(LOAD);
        command.stdout(Stdio::null()).stderr(Stdio::null());
        command.env("XDG_RUNTIME_DIR", dir.path());
        Self(command.spawn().expect("the program can be started"), dir)
    }

    fn rate(&self, span: Duration) -> f64 {
        let data_dir = self.1.path().join("data");
        sleep_until(SystemClock.now() + WARM_UP);
        rate(&data_dir, || sleep_until(SystemClock.now() + span))
    }
}

impl Drop for Headless {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Tickets a second with a dashboard that is watched, against none.
pub(crate) fn cost(effort: &Effort) -> Vec<Line> {
    let turns = if effort.tries > 5 { 5 } else { 2 };
    let mut ratios = Vec::new();
    for _ in 0..turns {
        let without = Headless::start().rate(effort.window);
        let mut session = Session::office(&LOAD, SIZE);
        session.wait_for_running();
        session.pass(WARM_UP);
        let data_dir = session.dir.path().join("data");
        let with = rate(&data_dir, || session.pass(effort.window));
        ratios.push((1.0 - with / without) * 100.0);
    }
    let what = "tickets a second lost to a dashboard that is watched";
    vec![Line::new(what, median(&mut ratios), "%", 2.0)]
}

/// Returns what was measured, and by how many MiB a process has grown meanwhile.
fn grown_while(pid: u32, measure: impl FnOnce() -> f64) -> (f64, f64) {
    let before = crate::probe::resident(pid);
    let measured = measure();
    (measured, crate::probe::resident(pid) - before)
}

/// Tickets a second behind a terminal that does not read, against none; and the end of that.
pub(crate) fn stuck(effort: &Effort) -> Vec<Line> {
    let headless = Headless::start();
    sleep_until(SystemClock.now() + WARM_UP);
    // What an office learns in its first minute takes memory with or without a terminal.
    let (without, usual) = grown_while(headless.0.id(), || headless.rate(effort.stuck));
    drop(headless);
    let mut session = Session::office(&LOAD, SIZE);
    session.wait_for_running();
    session.pass(WARM_UP);
    let data_dir = session.dir.path().join("data");
    let gate = session.stop_reading();
    let held = hold(&gate);
    let pass = || rate(&data_dir, || sleep_until(SystemClock.now() + effort.stuck));
    let (with, grown) = grown_while(session.pid(), pass);
    let took = session.end(Signal::SIGTERM);
    drop(held);
    let span = effort.stuck.as_secs();
    let lost = (1.0 - with / without) * 100.0;
    vec![
        Line::new(format!("stuck terminal for {span} s: tickets a second lost"), lost, "%", 2.0),
        // The dashboard's own past, which it keeps for scrubbing, fills meanwhile.
        Line::new("stuck terminal: memory grown more than without", grown - usual, "MiB", 4.0),
        Line::new("stuck terminal: SIGTERM to the end", took.as_secs_f64(), "s", 1.0),
    ]
}
