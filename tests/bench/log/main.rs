//! The logstore against its floors: what the same disk and the same LMDB do without it.
//!
//! `cargo bench` prints a line for each target of the design: what was measured, the floor of the
//! same run, and their ratio. The two take turns, and all figures are medians over the turns: the
//! disk of a shared machine is never as fast for two seconds. `cargo bench -- get scan` runs those
//! whose name begins so; `cargo bench -- --quick` takes a short look.

use std::time::Duration;

use engine::clock::{Clock, SystemClock, Time};

mod append;
mod floors;
mod read;
mod recover;
mod store;

/// The length of a record's value.
const VALUE_BYTES: usize = 128;
/// The length of a segment: the default of a scenario.
const SEGMENT_BYTES: u64 = 64 << 20;

/// How long things take.
struct Effort {
    /// Turns of each.
    windows: usize,
    /// How long a turn is.
    window: Duration,
    /// What large logs are divided by.
    scale: u64,
}

fn now() -> Time {
    SystemClock.now()
}

fn seconds_since(began: Time) -> f64 {
    now().since(began).as_secs_f64()
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn key(number: u64) -> [u8; 16] {
    (u128::from(number) << 64).to_be_bytes()
}

/// Returns what was measured in each turn, and its floor beside it.
fn compare(
    effort: &Effort,
    mut ours: impl FnMut(Duration) -> f64,
    mut floor: impl FnMut(Duration) -> f64,
) -> (Vec<f64>, Vec<f64>) {
    (0..effort.windows).map(|_| (ours(effort.window), floor(effort.window))).unzip()
}

/// One line of the report; the ratio is the median of the turns' ratios.
fn ratio_line(name: &str, what: &str, (ours, floors): &(Vec<f64>, Vec<f64>), target: &str) {
    let ratios = ours.iter().zip(floors).map(|(ours, floor)| ours / floor).collect();
    println!(
        "{name:<8} {what:<58} {:>12.3} floor {:>12.3} ratio {:>6.3}  target {target}",
        median(ours.clone()),
        median(floors.clone()),
        median(ratios),
    );
}

fn value_line(name: &str, what: &str, measured: f64, target: &str) {
    println!("{name:<8} {what:<58} {measured:>12.3} {:>32}  target {target}", "");
}

/// Measures one target, or a few that belong together.
type Target = fn(&Effort);

const TARGETS: [(&str, Target); 11] = [
    ("durable", append::durable),
    ("peers", append::peers),
    ("none", append::none),
    ("bytes", append::bytes),
    ("office", append::office),
    ("get", read::get),
    ("index", read::index),
    ("scan", read::scan),
    ("replay", recover::replay),
    ("rebuild", recover::rebuild),
    ("warm", recover::warm),
];

fn main() {
    let args: Vec<String> = std::env::args().skip(1).filter(|arg| arg != "--bench").collect();
    let is_quick = args.iter().any(|arg| arg == "--quick" || arg == "--test");
    let effort = if is_quick {
        Effort { windows: 1, window: Duration::from_millis(100), scale: 20 }
    } else {
        Effort { windows: 7, window: Duration::from_millis(500), scale: 1 }
    };
    let wanted: Vec<&String> = args.iter().filter(|arg| !arg.starts_with('-')).collect();
    for (name, run) in TARGETS {
        if wanted.is_empty() || wanted.iter().any(|wanted| name.starts_with(wanted.as_str())) {
            run(&effort);
        }
    }
    println!(
        "damage and kills are tests: `cargo test sim::drill`, `STORM_ROUNDS=1000 cargo test storm`"
    );
}
