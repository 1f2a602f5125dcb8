//! What the dashboard's threads cost while nothing happens, a little does, and everything moves.

use std::time::Duration;

use engine::clock::WallTime;

use crate::probe::{Used, Who};
use crate::session::{FRAME_BEGIN, PROGRAM, SIZE, Session, of_peers};
use crate::{Effort, Line};

const WHO: [Who; 3] = [Who::Dashboard, Who::Writer, Who::Director];
/// An office in which nobody wants anything.
const QUIET: [&str; 4] = ["--set", "load.regulars.think=1h", "--users", "1"];
/// One in which every figure is another one at each look.
const BUSY: [&str; 2] = ["--users", "200"];

/// Three lines for one state.
fn lines(state: &str, used: &[Used], bytes: f64, most: [f64; 3]) -> Vec<Line> {
    let [cpu, wakes, most_bytes] = most;
    let director = format!("{state}: the director's thread beside it, CPU");
    vec![
        Line::new(format!("{state}: dashboard's threads, CPU"), used[0].cpu * 100.0, "%", cpu),
        Line::new(format!("{state}: dashboard's threads, wake-ups"), used[0].wakes, "/s", wakes),
        Line::new(format!("{state}: to the terminal"), bytes, "B/s", most_bytes),
        Line::new(director, used[2].cpu * 100.0, "%", f64::INFINITY),
    ]
}

fn open(args: &[&str]) -> Session {
    let mut session = Session::office(args, SIZE);
    session.wait_for_running();
    // The last of the start, the warm-up, has to be over.
    session.pass(Duration::from_secs(8));
    session
}

/// Waits for the next minute if a window would not end before it: whatever else stands still, the
/// clock shows minutes.
fn keep_from_the_minute(session: &mut Session, window: Duration) {
    const MINUTE: u64 = 60_000_000_000;
    let rest = Duration::from_nanos(MINUTE - WallTime::now().0 % MINUTE);
    if rest < window + Duration::from_secs(1) {
        session.pass(rest + Duration::from_secs(1));
    }
}

/// Paused, and frozen.
pub(crate) fn standing(effort: &Effort) -> Vec<Line> {
    let mut session = open(&[]);
    session.press("p");
    // What was said of the key stays for a while.
    session.pass(Duration::from_secs(6));
    keep_from_the_minute(&mut session, effort.window);
    let (used, bytes) = session.cost(effort.window, &WHO);
    let mut all = lines("paused", &used, bytes, [0.01, 0.2, 0.0]);
    session.press("p");
    session.pass(Duration::from_secs(6));
    session.press("f");
    session.pass(Duration::from_secs(6));
    keep_from_the_minute(&mut session, effort.window);
    let (used, bytes) = session.cost(effort.window, &WHO);
    all.extend(lines("frozen", &used, bytes, [0.01, 0.2, 0.0]));
    all
}

/// Running without load, at their usual pace beside others at theirs.
pub(crate) fn running(effort: &Effort) -> Vec<Line> {
    let mut session = open(&QUIET);
    // The start passes through the charts, which cover a minute.
    let (_, first) = session.cost(effort.window, &WHO);
    session.pass(Duration::from_secs(62).saturating_sub(effort.window));
    let (used, bytes) = session.cost(effort.window, &WHO);
    let cpu = of_peers(|peer, _| {
        peer.pass(Duration::from_secs(3));
        peer.cost(effort.window, &[Who::All]).0[0].cpu * 100.0
    });
    let mut all = lines("running without load", &used, bytes, [0.10, 3.0, 120.0]);
    let what = "running without load, in the first minute: to the terminal";
    all.push(Line::new(what, first, "B/s", f64::INFINITY));
    all.swap_remove(0).beside(cpu).print();
    all
}

/// Everything moving, as fast as there are snapshots, and in little bandwidth.
pub(crate) fn moving(effort: &Effort) -> Vec<Line> {
    let mut session = open(&BUSY);
    let (used, bytes) = session.cost(effort.window, &WHO);
    let mut all = lines("every panel moving, 4 Hz", &used, bytes, [0.5, 30.0, 9_000.0]);
    drop(session);
    let mut session = open(&[&BUSY[..], &["--low-bandwidth"]].concat());
    let (used, bytes) = session.cost(effort.window, &WHO);
    all.extend(lines("--low-bandwidth", &used, bytes, [0.1, 10.0, 800.0]));
    all
}

/// Calls that write a frame, and how long building one takes, as the dashboard itself counts.
pub(crate) fn frames(effort: &Effort) -> Vec<Line> {
    let mut session = open(&BUSY);
    let since = session.seen.len();
    let (used, _) = session.cost(effort.window.min(Duration::from_secs(10)), &[Who::Writer]);
    #[expect(clippy::cast_precision_loss, reason = "frames of a minute")]
    let frames = session.count(since, FRAME_BEGIN) as f64;
    let what = "write calls per frame";
    let mut all = vec![match used[0].writes {
        Some(writes) if frames > 0.0 => Line::new(what, writes / frames, "", 1.05),
        _ => Line::unknown(what, "", 1.05),
    }];
    all.extend(built("160x45", &session, [1.0, 4.0]));
    drop(session);
    let mut large = Session::office(&BUSY, (300, 90));
    large.wait_for_running();
    large.pass(effort.window.min(Duration::from_secs(10)));
    all.extend(built("300x90", &large, [3.0, 12.0]));
    all
}

/// Reads how long frames took from the run's own metrics.
fn built(size: &str, session: &Session, most: [f64; 2]) -> Vec<Line> {
    let mut command = std::process::Command::new(PROGRAM);
    command.args(["sample", "--format", "prom", "--data-dir"]).arg(session.dir.path().join("data"));
    let text = command.output().map(|output| output.stdout).unwrap_or_default();
    let text = String::from_utf8_lossy(&text).into_owned();
    let quantile = |name: &str| {
        let is_it = |line: &&str| {
            line.starts_with("postoffice_dashboard_frame_seconds{")
                && line.contains(&format!("quantile=\"{name}\""))
        };
        text.lines().find(is_it)?.rsplit(' ').next()?.parse::<f64>().ok()
    };
    let line = |(name, most): (&str, f64)| {
        let what = format!("building a frame, {size}, quantile {name}");
        match quantile(name) {
            Some(seconds) => Line::new(what, seconds * 1e3, "ms", most),
            None => Line::unknown(what, "ms", most),
        }
    };
    [("0.5", most[0]), ("0.99", most[1])].map(line).into()
}
