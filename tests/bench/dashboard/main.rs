//! The dashboard as a person's terminal sees it, and what it costs.
//!
//! `cargo bench --bench dashboard` drives the release binary in terminals of its own and prints one
//! line for each target: what was measured, the target, and the same of other programs of the same
//! run where they are on the `PATH` (btop, htop, btm), as times ours. `-- keys` runs what begins
//! so; `-- --quick` takes a short look. Other work on the machine counts against us: ratios hold
//! better than figures.

use std::time::Duration;

mod load;
mod probe;
mod session;
mod start;
mod still;

/// How long things take.
struct Effort {
    /// How long each state is looked at.
    window: Duration,
    /// Starts, keys and sizes that are tried.
    tries: usize,
    /// How long a terminal does not read.
    stuck: Duration,
}

/// The same thing, measured of others.
type Peers = Vec<(&'static str, f64)>;

/// One line: what it is, what was measured, in which unit, what it should be at most.
struct Line {
    what: String,
    measured: Option<f64>,
    unit: &'static str,
    most: f64,
    peers: Peers,
}

impl Line {
    fn new(what: impl Into<String>, measured: f64, unit: &'static str, most: f64) -> Self {
        Self { what: what.into(), measured: Some(measured), unit, most, peers: Vec::new() }
    }

    /// A line for what this machine does not tell.
    fn unknown(what: impl Into<String>, unit: &'static str, most: f64) -> Self {
        Self { what: what.into(), measured: None, unit, most, peers: Vec::new() }
    }

    fn beside(self, peers: Peers) -> Self {
        Self { peers, ..self }
    }

    fn print(&self) {
        let Self { what, unit, most, .. } = self;
        let Some(measured) = self.measured else {
            println!("{what:<52} {:>10} {unit:<6} | at most {most:>8}   not told here", "–");
            return;
        };
        let verdict = if measured <= *most { "  " } else { "! " };
        let peers = self.peers.iter().map(|(name, theirs)| {
            let ratio = if measured > 0.0 { theirs / measured } else { f64::INFINITY };
            format!("{name} {theirs:.2} ({ratio:.1}x)")
        });
        let peers = peers.collect::<Vec<_>>().join(", ");
        println!("{what:<52} {measured:>10.3} {unit:<6} | at most {most:>8} {verdict}| {peers}");
    }
}

/// Returns the median; zero of nothing.
fn median(values: &mut [f64]) -> f64 {
    quantile(values, 0.5)
}

/// Returns the value below which that share of all lies; zero of nothing.
fn quantile(values: &mut [f64], share: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "a place among a few hundred values"
    )]
    let place = ((values.len() as f64 * share) as usize).min(values.len().saturating_sub(1));
    values.get(place).copied().unwrap_or(0.0)
}

fn millis(span: Duration) -> f64 {
    span.as_secs_f64() * 1e3
}

/// Measures one target, or a few that belong together.
type Target = fn(&Effort) -> Vec<Line>;

const TARGETS: [(&str, Target); 10] = [
    ("start", start::frames),
    ("keys", start::keys),
    ("resize", start::sizes),
    ("memory", start::memory),
    ("still", still::standing),
    ("running", still::running),
    ("moving", still::moving),
    ("frames", still::frames),
    ("cost", load::cost),
    ("stuck", load::stuck),
];

fn main() {
    let args: Vec<String> = std::env::args().skip(1).filter(|arg| arg != "--bench").collect();
    let is_quick = args.iter().any(|arg| arg == "--quick" || arg == "--test");
    let effort = if is_quick {
        Effort { window: Duration::from_secs(5), tries: 5, stuck: Duration::from_secs(10) }
    } else {
        Effort { window: Duration::from_secs(30), tries: 25, stuck: Duration::from_secs(60) }
    };
    let missing = session::missing_peers();
    if !missing.is_empty() {
        println!("not on the PATH, so not compared with: {}", missing.join(", "));
    }
    let wanted: Vec<&String> = args.iter().filter(|arg| !arg.starts_with('-')).collect();
    for (name, run) in TARGETS {
        if wanted.is_empty() || wanted.iter().any(|wanted| name.starts_with(wanted.as_str())) {
            run(&effort).iter().for_each(Line::print);
        }
    }
    println!("endings, storms of sizes and panics are tests: `cargo test --test it terminal`");
}
