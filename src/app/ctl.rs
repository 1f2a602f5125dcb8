//! `ctl` and `sample`: another program's look at a running office, and its wishes.
//!
//! Everything is asked over the control socket and printed here; figures come as JSON or as text
//! that the office itself wrote, so both ends can't disagree on what a figure means.

use std::path::Path;
use std::time::Duration;

use color_eyre::eyre::{Result, WrapErr, eyre};
use engine::clock::{Clock, SystemClock, nanos, sleep_until};
use engine::limits;
use serde_json::{Value, json};

use super::cli::{self, CtlArgs, CtlCommand, SampleArgs, SampleFormat};
use super::commands::usage;
use super::control::client::{AskError, Client, ask};
use super::exit::Exit;
use super::registry::{self, FindError, Instance};
use super::{format, output};

/// How long a reply may take that waits for an effect.
const WITHIN: Duration = limits::CONTROL_EFFECT_WITHIN.saturating_add(limits::CONTROL_PATIENCE);

/// Runs one of the `ctl` commands.
///
/// # Errors
/// If the caller's directory is gone.
pub(crate) fn run(command: &CtlCommand, args: &CtlArgs) -> Result<Exit> {
    let words = match command {
        CtlCommand::Freeze { words } => cli::frozen(words).err().map(Trouble::Freeze),
        CtlCommand::Rate { words } => cli::load_rate(words).err().map(Trouble::Rate),
        _ => None,
    };
    if let Some(trouble) = words {
        return Ok(trouble.tell(args.json));
    }
    let told = match registry::find(args.data_dir.as_deref()) {
        Err(error) => Err(Trouble::Find(error)),
        Ok(instance) => match command {
            CtlCommand::Stop => stop(&instance),
            _ => {
                let (request, within) = request(command)?;
                ask(&instance.socket, &request, within).map_err(Trouble::Ask)
            }
        },
    };
    match told {
        Ok(reply) if args.json => output::say(&format!("{reply}\n")),
        Ok(reply) => output::say(&text(command, &reply)),
        Err(trouble) => return Ok(trouble.tell(args.json)),
    };
    Ok(Exit::Done)
}

/// Why a command did not do what it should.
#[derive(Debug, thiserror::Error)]
enum Trouble {
    #[error(transparent)]
    Find(#[from] FindError),
    #[error("ctl freeze PROCESS for SPAN: {0}")]
    Freeze(String),
    #[error("ctl rate [LOAD] RATE: expected {0}")]
    Rate(String),
    #[error(transparent)]
    Ask(#[from] AskError),
    #[error(
        "the run was asked to end and has not within {}; it may still be ending: \
         postoffice-tui ctl status",
        format::duration(*.0)
    )]
    NotEnded(Duration),
}

impl Trouble {
    fn tell(&self, is_json: bool) -> Exit {
        if is_json {
            output::say(&format!("{}\n", json!({ "ok": false, "error": self.to_string() })));
        } else {
            usage(self);
        }
        match self {
            Self::Find(_) | Self::Freeze(_) | Self::Rate(_) | Self::Ask(AskError::Usage(_)) => {
                Exit::Usage
            }
            Self::Ask(_) | Self::NotEnded(_) => Exit::Failed,
        }
    }
}

/// Returns what to ask for, and how long the reply may take.
fn request(command: &CtlCommand) -> Result<(Value, Duration)> {
    Ok(match command {
        CtlCommand::Status => (json!({ "do": "status" }), WITHIN),
        CtlCommand::Pause => (json!({ "do": "pause" }), WITHIN),
        CtlCommand::Resume => (json!({ "do": "resume" }), WITHIN),
        CtlCommand::Users { number } => (json!({ "do": "users", "n": number }), WITHIN),
        CtlCommand::Workers { number } => (json!({ "do": "workers", "n": number }), WITHIN),
        CtlCommand::Speed { times } => (json!({ "do": "speed", "times": times }), WITHIN),
        CtlCommand::Rate { words } => {
            let (load, rate) = cli::load_rate(words).map_err(|expected| eyre!("{expected}"))?;
            (json!({ "do": "rate", "load": load, "per_s": rate }), WITHIN)
        }
        CtlCommand::Strike { is_on } => (json!({ "do": "strike", "on": is_on }), WITHIN),
        CtlCommand::Block { service } => (json!({ "do": "block", "service": service }), WITHIN),
        CtlCommand::Unblock { service } => (json!({ "do": "unblock", "service": service }), WITHIN),
        CtlCommand::Slow { delay } => (json!({ "do": "slow", "span_ns": nanos(*delay) }), WITHIN),
        CtlCommand::Kill { process } => {
            (json!({ "do": "kill", "process": process.name() }), WITHIN)
        }
        CtlCommand::Freeze { words } => {
            let (process, span) = cli::frozen(words).map_err(|expected| eyre!("{expected}"))?;
            (json!({ "do": "freeze", "process": process, "span_ns": nanos(span) }), WITHIN)
        }
        CtlCommand::Continue { process } => {
            (json!({ "do": "continue", "process": process.name() }), WITHIN)
        }
        CtlCommand::Restart { process } => {
            let within = WITHIN + limits::CONTROL_RESTART_MARGIN;
            (json!({ "do": "restart", "process": process.name() }), within)
        }
        CtlCommand::Step { span } => {
            let span = span.unwrap_or(limits::STEP_USUAL);
            (json!({ "do": "step", "span_ns": nanos(span) }), WITHIN + span)
        }
        CtlCommand::Set { changes } => {
            let changes: Vec<String> = changes.iter().map(ToString::to_string).collect();
            (json!({ "do": "set", "set": changes }), WITHIN + limits::CONTROL_EFFECT_WITHIN)
        }
        CtlCommand::Reload { dry_run } => {
            let within = WITHIN + limits::CONTROL_EFFECT_WITHIN;
            (json!({ "do": "reload", "dry_run": dry_run }), within)
        }
        CtlCommand::Snapshot { dir } => {
            // The office has another directory of its own.
            let dir = std::path::absolute(dir)
                .wrap_err_with(|| format!("cannot tell where {} is", dir.display()))?;
            (json!({ "do": "snapshot", "dir": dir }), limits::CONTROL_EXPORT_PATIENCE)
        }
        CtlCommand::Stop => (json!({ "do": "stop" }), WITHIN),
    })
}

/// Ends a run and waits for its end.
fn stop(instance: &Instance) -> Result<Value, Trouble> {
    let mut client = Client::connect(&instance.socket)?;
    let mut reply = match client.ask(&json!({ "do": "stop" }), WITHIN) {
        Ok(reply) => reply,
        // It was there, and it has ended meanwhile.
        Err(AskError::Gone(_)) => return Ok(json!({ "ok": true, "ended": true })),
        Err(error) => return Err(error.into()),
    };
    let drain = Duration::from_nanos(reply["drain_ns"].as_u64().unwrap_or_default());
    let within = drain + limits::CONTROL_STOP_MARGIN;
    if !client.wait_for_end(SystemClock.now() + within) {
        return Err(Trouble::NotEnded(within));
    }
    reply["ended"] = json!(true);
    Ok(reply)
}

/// Returns a reply as people read it.
fn text(command: &CtlCommand, reply: &Value) -> String {
    match command {
        CtlCommand::Status => status_text(reply),
        CtlCommand::Pause | CtlCommand::Resume => format!("{}\n", word(&reply["state"])),
        CtlCommand::Users { number } => {
            let target = reply["users"]["target"].as_u64();
            let kept = match target == Some(u64::from(*number)) {
                true => "",
                false => "; open loads keep their users",
            };
            format!("users: {}{kept}\n", level(&reply["users"]))
        }
        CtlCommand::Workers { .. } => format!("workers: {}\n", level(&reply["workers"])),
        CtlCommand::Speed { .. } => {
            let speed = known(&reply["speed"], |speed| Some(speed.as_f64()?.to_string()));
            format!("users live {speed} times as fast; service keeps its time\n")
        }
        CtlCommand::Rate { .. } => rate_text(reply),
        CtlCommand::Strike { is_on: true } => "workers on strike\n".to_owned(),
        CtlCommand::Strike { is_on: false } => "no strike\n".to_owned(),
        CtlCommand::Block { .. } | CtlCommand::Unblock { .. } => {
            let names = reply["blocked"].as_array().into_iter().flatten();
            let names: Vec<&str> = names.filter_map(Value::as_str).collect();
            let names = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
            format!("blocked: {names}\n")
        }
        CtlCommand::Slow { delay: Duration::ZERO } => "issuer at its usual speed\n".to_owned(),
        CtlCommand::Slow { .. } => format!("issuer {} slow\n", span(&reply["issuer_delay_ns"])),
        CtlCommand::Kill { .. } => {
            format!("{}: process {} killed\n", word(&reply["process"]), reply["pid"])
        }
        CtlCommand::Freeze { .. } => {
            format!("{}: frozen for {}\n", word(&reply["process"]), span(&reply["span_ns"]))
        }
        CtlCommand::Continue { .. } => format!("{}: goes on\n", word(&reply["process"])),
        CtlCommand::Restart { .. } => {
            format!("{}: ready, process {}\n", word(&reply["process"]), reply["pid"])
        }
        CtlCommand::Step { .. } => {
            format!("{} at {}\n", word(&reply["state"]), time(&reply["elapsed_ns"]))
        }
        CtlCommand::Set { .. } | CtlCommand::Reload { .. } => changes_text(reply),
        CtlCommand::Snapshot { .. } => format!("{}\n", word(&reply["folder"])),
        CtlCommand::Stop => "stopped\n".to_owned(),
    }
}

/// Returns one line for each key that differs.
fn changes_text(reply: &Value) -> String {
    let changes = reply["changes"].as_array().map(Vec::as_slice).unwrap_or_default();
    if changes.is_empty() {
        return "nothing differs\n".to_owned();
    }
    changes.iter().map(|change| format!("{}\n", word(&change["text"]))).collect()
}

/// Returns how many goals are met, and which are not.
fn goals_text(goals: &Value) -> String {
    let goals = goals.as_array().map(Vec::as_slice).unwrap_or_default();
    let of = |verdict: &'static str| goals.iter().filter(move |goal| goal["verdict"] == verdict);
    if goals.is_empty() {
        return format::ABSENT.to_owned();
    }
    let mut text = format!("{} of {} met", of("met").count(), goals.len());
    for goal in of("missed") {
        text.push_str(&format!("; MISSED {}", word(&goal["goal"])));
    }
    for goal in goals.iter().filter(|goal| goal["alert"] == "missed") {
        text.push_str(&format!("; not met in the last 10 s: {}", word(&goal["goal"])));
    }
    text
}

fn rate_text(reply: &Value) -> String {
    let speed = reply["speed"].as_f64().filter(|speed| speed.total_cmp(&1.0).is_ne());
    let speed = speed.map_or(String::new(), |speed| format!("; at speed {speed}"));
    let (load, now, base) =
        (word(&reply["load"]), rate(&reply["per_s"]), rate(&reply["base_per_s"]));
    format!("{load}: {now}/s; the run began with {base}/s{speed}\n")
}

/// Says that a scenario waits for somebody at the dashboard, if one does.
fn pending_text(reload: &Value) -> Option<String> {
    let source = reload["source"].as_str()?;
    Some(match reload["changes"].as_array() {
        Some(changes) => {
            let count = format::counted(changes.len() as u64, "difference");
            format!("{source} was read again: {count} wait for a yes at the dashboard")
        }
        None => format!("{source} was read again and can't be used: {}", word(&reload["error"])),
    })
}

fn word(value: &Value) -> &str {
    value.as_str().unwrap_or(format::ABSENT)
}

fn level(value: &Value) -> String {
    let number = |key: &str| value[key].as_u64().map_or(format::ABSENT.to_owned(), format::count);
    let (actual, target) = (number("actual"), number("target"));
    if actual == target { actual } else { format!("{target} wanted, {actual} so far") }
}

fn known(value: &Value, write: impl Fn(&Value) -> Option<String>) -> String {
    write(value).unwrap_or_else(|| format::ABSENT.to_owned())
}

fn span(value: &Value) -> String {
    known(value, |value| Some(format::duration(Duration::from_nanos(value.as_u64()?))))
}

fn time(value: &Value) -> String {
    known(value, |value| Some(format::stopwatch(Duration::from_nanos(value.as_u64()?))))
}

fn rate(value: &Value) -> String {
    known(value, |value| Some(format::rate(value.as_f64()?)))
}

fn share(value: &Value) -> String {
    known(value, |value| Some(format::percent(value.as_f64()?)))
}

fn count(value: &Value) -> String {
    known(value, |value| Some(format::count(value.as_u64()?)))
}

fn latencies(of: &Value) -> String {
    let [wait, sojourn, response] =
        ["wait_p99_ns", "sojourn_p99_ns", "response_p99_ns"].map(|key| span(&of[key]));
    format!("wait {wait}, sojourn {sojourn}, response {response}")
}

/// Returns what deviates from the ordinary; nothing is the ordinary.
fn deviations(reply: &Value) -> String {
    let all = reply["deviations"].as_array().into_iter().flatten();
    let all: Vec<&str> = all.filter_map(Value::as_str).collect();
    if all.is_empty() { "nothing".to_owned() } else { all.join(", ") }
}

fn status_text(reply: &Value) -> String {
    let elapsed = match &reply["duration_ns"] {
        Value::Null => time(&reply["elapsed_ns"]),
        duration => format!("{} of {}", time(&reply["elapsed_ns"]), time(duration)),
    };
    let seats = &reply["seats"];
    let mut lines = vec![
        ("state", format!("{} {elapsed}", word(&reply["state"]))),
        (
            "run",
            format!(
                "{} {}, seed {}, process {}",
                word(&reply["scenario"]),
                word(&reply["run"]),
                reply["seed"],
                reply["pid"]
            ),
        ),
        ("users", level(&reply["users"])),
        (
            "workers",
            format!(
                "{}, {} of {} seats busy",
                level(&reply["workers"]),
                count(&seats["busy"]),
                count(&seats["staffed"])
            ),
        ),
        (
            "rates",
            format!(
                "{}/s offered, {}/s served, {}/s rejected",
                rate(&reply["offered_per_s"]),
                rate(&reply["served_per_s"]),
                rate(&reply["rejected_per_s"])
            ),
        ),
        (
            "load",
            format!(
                "{} utilized, {} waiting",
                share(&reply["utilization"]),
                count(&reply["waiting"])
            ),
        ),
        ("p99", latencies(reply)),
        ("last 10s", latencies(&reply["last_10s"])),
        ("SLO", goals_text(&reply["slo"])),
        ("held", deviations(reply)),
        (
            "metrics",
            reply["metrics"]
                .as_str()
                .map_or("off".to_owned(), |address| format!("http://{address}/metrics")),
        ),
        ("data", word(&reply["data_dir"]).to_owned()),
    ];
    lines.extend(pending_text(&reply["reload"]).map(|text| ("reload", text)));
    for key in ["failure", "notice"] {
        lines.extend(reply[key].as_str().map(|text| (key, text.to_owned())));
    }
    lines.iter().map(|(head, line)| format!("{head:<8} {line}\n")).collect()
}

/// Prints samples of a running office.
///
/// # Errors
/// If the end of the program can't be listened for.
pub(crate) fn sample(args: &SampleArgs) -> Result<Exit> {
    let instance = match registry::find(args.data_dir.as_deref()) {
        Ok(instance) => instance,
        Err(error) => return Ok(usage(&error)),
    };
    let is_once = args.count.unwrap_or(1) == 1 && args.interval.is_none();
    let most = if is_once { Some(1) } else { args.count };
    if most.is_none() {
        end_in_order()?;
    }
    let interval = args.interval.unwrap_or(Duration::from_secs(1));
    let mut due = SystemClock.now();
    let mut shown = 0;
    while most.is_none_or(|most| shown < most) {
        sleep_until(due);
        match one_sample(&instance.socket, args.format, is_once, shown == 0) {
            Ok(text) if output::say(&text) => shown += 1,
            // Whoever reads has read enough.
            Ok(_) => return Ok(Exit::Done),
            Err(AskError::Gone(_)) if shown > 0 && most.is_none() => return Ok(Exit::Done),
            Err(error) => {
                let exit = Trouble::Ask(error).tell(false);
                if let (Some(most), 1..) = (most, shown) {
                    usage(&Few { shown, most });
                }
                return Ok(exit);
            }
        }
        // Moments that have passed are left out, so that samples stay on the grid.
        let now = SystemClock.now();
        while due <= now {
            due = due + interval;
        }
    }
    Ok(Exit::Done)
}

/// The office ended before all samples were taken.
#[derive(Debug, thiserror::Error)]
#[error("{shown} of {most} samples were taken")]
struct Few {
    shown: u64,
    most: u64,
}

/// Makes Ctrl-C the usual end of a command that has no other.
fn end_in_order() -> Result<()> {
    let mut signals = signal_hook::iterator::Signals::new([signal_hook::consts::SIGINT])?;
    std::thread::Builder::new().name("ctrl-c".to_owned()).spawn(move || {
        if signals.forever().next().is_some() {
            std::process::exit(Exit::Done.code().into());
        }
    })?;
    Ok(())
}

fn one_sample(
    socket: &Path,
    format: SampleFormat,
    is_once: bool,
    is_first: bool,
) -> Result<String, AskError> {
    let word = match format {
        SampleFormat::Json => "json",
        SampleFormat::Prom => "prom",
        SampleFormat::Table if is_once => "table",
        SampleFormat::Table => "json",
    };
    let reply = ask(socket, &json!({ "do": "sample", "format": word }), WITHIN)?;
    Ok(match format {
        SampleFormat::Json => format!("{}\n", reply["sample"]),
        SampleFormat::Table if !is_once => {
            let head = if is_first { head() } else { String::new() };
            head + &row(&reply["sample"])
        }
        _ => reply["text"].as_str().unwrap_or_default().to_owned(),
    })
}

/// The columns of repeated samples: head, width, and what stands there.
type Column = (&'static str, usize, fn(&Value) -> String);

const COLUMNS: [Column; 12] = [
    ("elapsed", 8, |sample| time(&sample["elapsed_ns"])),
    ("state", 10, |sample| word(&sample["state"]).to_owned()),
    ("users", 9, |sample| count(&sample["population"]["actual"])),
    ("workers", 7, |sample| count(&sample["workers"]["actual"])),
    ("offered/s", 9, |sample| rate(&sample["rates"]["offered_per_s"])),
    ("served/s", 9, |sample| rate(&sample["rates"]["served_per_s"])),
    ("rejected/s", 10, |sample| rate(&sample["rates"]["rejected_per_s"])),
    ("utilized", 8, |sample| share(&sample["rates"]["utilization"])),
    ("waiting", 8, |sample| count(&sample["totals"]["waiting"])),
    ("wait p99", 8, |sample| span(&sample["wait_p99_ns"])),
    ("last 10s", 8, |sample| span(recent_p99(sample, "wait", 10))),
    ("sojourn p99", 11, |sample| span(&sample["sojourn_p99_ns"])),
];

fn recent_p99<'a>(sample: &'a Value, latency: &str, window_s: u64) -> &'a Value {
    let rows = sample["recent"].as_array().into_iter().flatten();
    let is_it = |row: &&Value| row["latency"] == latency && row["window_s"] == window_s;
    rows.filter(is_it).map(|row| &row["p99_ns"]).next().unwrap_or(&Value::Null)
}

fn head() -> String {
    line(|(head, ..)| (*head).to_owned())
}

fn row(sample: &Value) -> String {
    line(|(.., write)| write(sample))
}

fn line(cell: impl Fn(&Column) -> String) -> String {
    let cells = COLUMNS.iter().map(|column| format!("{:>width$}", cell(column), width = column.1));
    cells.collect::<Vec<_>>().join("  ") + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::testing;

    #[test]
    fn rows_stand_below_their_heads() {
        let first = row(&crate::app::sample::json(&testing::measured()));
        let starting = row(&crate::app::sample::json(&testing::starting()));
        insta::assert_snapshot!(format!("{}{first}{starting}", head()));
    }

    #[test]
    fn replies_are_short_for_people() {
        let users = json!({ "users": { "actual": 12, "target": 500 } });
        let said = |number| text(&CtlCommand::Users { number }, &users);
        assert_eq!(said(500), "users: 500 wanted, 12 so far\n");
        assert_eq!(said(3), "users: 500 wanted, 12 so far; open loads keep their users\n");
        let rate = CtlCommand::Rate { words: vec!["300/s".to_owned()] };
        let reply = json!({ "load": "rush", "per_s": 300.0, "base_per_s": 160.0, "speed": 2.0 });
        assert_eq!(text(&rate, &reply), "rush: 300/s; the run began with 160/s; at speed 2\n");
        assert_eq!(text(&CtlCommand::Pause, &json!({ "state": "paused" })), "paused\n");
    }

    #[test]
    fn status_has_one_line_for_each_thing() {
        let reply = json!({
            "state": "running", "run": "7f3a000000000001", "scenario": "steady", "seed": 42,
            "pid": 24_100, "elapsed_ns": 761_000_000_000_u64, "duration_ns": 1_800_000_000_000_u64,
            "users": { "actual": 128, "target": 200 }, "workers": { "actual": 3, "target": 4 },
            "seats": { "busy": 5, "staffed": 6 }, "offered_per_s": 182.3, "served_per_s": 179.1,
            "rejected_per_s": 0.0, "utilization": 0.713, "waiting": 37, "wait_p99_ns": 1_260_000,
            "sojourn_p99_ns": null, "response_p99_ns": 83_800_000,
            "last_10s": { "wait_p99_ns": 2_000_000 },
            "slo": [
                { "goal": "p99(wait) < 50ms", "verdict": "missed", "alert": "missed" },
                { "goal": "reject = 0", "verdict": "met", "alert": "met" },
                { "goal": "unfinished = 0", "verdict": "unknown", "alert": "unknown" },
            ],
            "metrics": "127.0.0.1:9464", "data_dir": "/home/ada/office", "failure": null,
            "notice": "worker 3: ready -> backoff",
        });
        insta::assert_snapshot!(status_text(&reply));
    }
}
