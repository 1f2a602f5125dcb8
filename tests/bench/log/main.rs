//! The logstore against its floors: what the same disk and the same LMDB do without it.
//!
//! `cargo bench` prints a line for each target of the design: what was measured, the floor of the
//! same run, and their ratio. The two take turns, and all figures are medians over the turns: the
//! disk of a shared machine is never as fast for two seconds. `cargo bench -- get scan` runs those
//! whose name begins so; `cargo bench -- --quick` takes a short look.

use std::convert::Infallible;
use std::time::Duration;

use engine::perf::compare::{Turns, alternate, median, median_ratio};

mod append;
mod peers;
mod read;
mod recover;

/// Bytes of the floor's file of zeros.
const PLAIN_BYTES: u64 = 1 << 30;

/// How long things take.
struct Effort {
    /// Turns of each.
    turns: Turns,
    /// What large logs are divided by.
    scale: u64,
}

/// Returns what was measured in each turn, and its floor beside it.
fn compare(
    effort: &Effort,
    mut ours: impl FnMut(Duration) -> f64,
    mut floor: impl FnMut(Duration) -> f64,
) -> (Vec<f64>, Vec<f64>) {
    let turns = alternate(effort.turns, |window| Ok(ours(window)), |window| Ok(floor(window)));
    let Ok::<_, Infallible>(found) = turns;
    found
}

/// One line of the report; the ratio is the median of the turns' ratios.
fn ratio_line(name: &str, what: &str, (ours, floors): &(Vec<f64>, Vec<f64>), target: &str) {
    println!(
        "{name:<8} {what:<58} {:>12.3} floor {:>12.3} ratio {:>6.3}  target {target}",
        median(ours.clone()),
        median(floors.clone()),
        median_ratio(ours, floors),
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
        Effort { turns: Turns { count: 1, window: Duration::from_millis(100) }, scale: 20 }
    } else {
        Effort { turns: Turns { count: 7, window: Duration::from_millis(500) }, scale: 1 }
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
