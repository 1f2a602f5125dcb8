//! `postoffice-tui bench`: what the product reaches on this machine, beside what the machine does
//! without it.
//!
//! Each row has the product's figure and its floor's. The two take turns in short windows
//! ([`engine::perf::compare`]); the figures shown are those of the turn with the median ratio, so
//! they belong together. What limits a figure is told from what was measured with it ([`limit`]).
//!
//! One file per subject; [`exchange`] and [`relay`] are floors made of sockets and processes,
//! [`place`] is where files go, [`watch`] sees to it that nothing is left behind, [`report`] writes
//! it all down.

use std::io::{self, IsTerminal, Write};
use std::path::PathBuf;
use std::time::Duration;

use color_eyre::eyre::Result;
use engine::perf::compare::{Turns, alternate, median_turn};
use engine::storage::LogError;
use engine::supervisor::signals::SignalError;
use engine::supervisor::spawn::SpawnError;

use super::cli::BenchArgs;
use super::datadir::DataDirError;
use super::exit::Exit;
use super::output;

mod exchange;
mod limit;
mod log;
mod net;
mod perf;
mod place;
mod relay;
mod report;
mod spawn;
mod tickets;
mod watch;

use place::{Machine, TempDir};
pub(crate) use relay::{ARGUMENT, run_part};
use report::{Group, Row, Sample, Unit};
use watch::Watch;

/// What can be measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Subject {
    /// A whole office.
    Tickets,
    /// The log.
    Log,
    /// Frames and sockets.
    Net,
    /// Measuring itself.
    Perf,
    /// Starting processes.
    Spawn,
}

impl Subject {
    /// All, in the order in which they are measured.
    const ALL: [Self; 5] = [Self::Tickets, Self::Log, Self::Net, Self::Perf, Self::Spawn];

    fn name(self) -> &'static str {
        match self {
            Self::Tickets => "tickets",
            Self::Log => "log",
            Self::Net => "net",
            Self::Perf => "perf",
            Self::Spawn => "spawn",
        }
    }

    fn writes_files(self) -> bool {
        matches!(self, Self::Tickets | Self::Log)
    }

    fn measure(self, bench: &Bench) -> Result<Group, BenchError> {
        match self {
            Self::Tickets => tickets::measure(bench),
            Self::Log => log::measure(bench),
            Self::Net => net::measure(bench),
            Self::Perf => perf::measure(bench),
            Self::Spawn => spawn::measure(bench),
        }
    }
}

/// Reads what to measure: a subject's name, or `all`.
pub(crate) fn subjects(text: &str) -> Result<Vec<Subject>, String> {
    if text == "all" {
        return Ok(Subject::ALL.to_vec());
    }
    let found = Subject::ALL.into_iter().find(|subject| subject.name() == text);
    let names: Vec<&str> = Subject::ALL.iter().map(|subject| subject.name()).collect();
    found
        .map(|subject| vec![subject])
        .ok_or_else(|| format!("expected {} or all", names.join(", ")))
}

/// Reads how long a row is measured.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let duration = engine::config::span(text).map_err(|expected| format!("expected {expected}"))?;
    if DURATIONS.contains(&duration) {
        Ok(duration)
    } else {
        Err("expected a span from 10ms to 10m".to_owned())
    }
}

/// Times that a row may be measured.
const DURATIONS: std::ops::RangeInclusive<Duration> =
    Duration::from_millis(10)..=Duration::from_secs(600);

/// Why nothing could be measured.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BenchError {
    #[error(transparent)]
    Place(#[from] DataDirError),
    #[error("{}", place::no_room(path, *free_bytes))]
    NoRoom { path: PathBuf, free_bytes: u64 },
    #[error(transparent)]
    Log(#[from] LogError),
    #[error(transparent)]
    Spawn(#[from] SpawnError),
    #[error(transparent)]
    Signals(#[from] SignalError),
    #[error("cannot start a process of {}: {source}", std::env::args().next().unwrap_or_default())]
    Start { source: io::Error },
    #[error("an office ended with exit code {code}: {said}")]
    Office { code: u8, said: String },
    #[error("{what} ended early: {why}; measure again, with a longer --duration if it stays so")]
    Ended { what: &'static str, why: String },
    #[error("ended by signal {0}; nothing is left behind")]
    Interrupted(i32),
}

impl BenchError {
    /// Returns the exit code that says what is wrong.
    pub(crate) fn exit(&self) -> Exit {
        match self {
            Self::Place(error) => error.exit(),
            Self::NoRoom { .. } => Exit::Disk,
            Self::Log(error) => Exit::of_role(error.exit_kind().code()),
            Self::Office { code, .. } => Exit::of_role(*code),
            Self::Interrupted(signal) => Exit::Signal(*signal),
            Self::Spawn(_) | Self::Signals(_) | Self::Start { .. } | Self::Ended { .. } => {
                Exit::Failed
            }
        }
    }
}

/// What every subject is measured with.
struct Bench {
    watch: Watch,
    /// Where files go, if any subject needs some.
    dir: Option<TempDir>,
    /// How long each row measures the product, and its floor as long again.
    duration: Duration,
    /// A terminal sees what is being measured.
    shows_progress: bool,
}

/// Both sides in the turn with the median ratio.
struct Measured {
    turn: usize,
    product: Sample,
    floor: Sample,
    /// The lowest and the highest ratio of all turns.
    ratios: (f64, f64),
}

impl Measured {
    fn row(self, name: &str, unit: Unit, limit: String) -> Row {
        let Self { product, floor, ratios, .. } = self;
        Row { name: name.to_owned(), unit, product, floor, ratios, limit }
    }
}

/// The longest turn of what can't be interrupted.
const WINDOW_MAX: Duration = Duration::from_millis(500);
/// Turns that each side has at least.
const TURNS_MIN: u32 = 5;

impl Bench {
    fn turns(&self) -> Turns {
        Turns::of(self.duration, TURNS_MIN, WINDOW_MAX)
    }

    /// Lets the product and its floor take turns.
    fn compare(
        &self,
        subject: Subject,
        name: &str,
        turns: Turns,
        mut product: impl FnMut(Duration) -> Result<Sample, BenchError>,
        mut floor: impl FnMut(Duration) -> Result<Sample, BenchError>,
    ) -> Result<Measured, BenchError> {
        self.say(&format!("{}: {name}", subject.name()));
        let found = alternate(
            turns,
            |window| self.watch.check().and_then(|()| product(window)),
            |window| self.watch.check().and_then(|()| floor(window)),
        );
        self.say("");
        let (mut products, mut floors) = found?;
        // In a very short turn on a very busy machine nothing may have come to its end.
        let is_figure = |(ours, floor): &(&Sample, &Sample)| ours.value > 0.0 && floor.value > 0.0;
        let pairs = products.iter().zip(&floors).zip(0..);
        let turns: Vec<usize> =
            pairs.filter(|(pair, _)| is_figure(pair)).map(|(_, turn)| turn).collect();
        if turns.is_empty() {
            let why = format!("{name} came to no figure");
            return Err(BenchError::Ended { what: "a measurement", why });
        }
        let of = |samples: &[Sample]| turns.iter().map(|turn| samples[*turn].value).collect();
        let (ours, theirs): (Vec<f64>, Vec<f64>) = (of(&products), of(&floors));
        let turn = turns[median_turn(&ours, &theirs)];
        let ratios = ours.iter().zip(&theirs).map(|(ours, floor)| ours / floor);
        let ratios = ratios.fold((f64::INFINITY, 0.0), |(lowest, highest), ratio| {
            (ratio.min(lowest), ratio.max(highest))
        });
        let (product, floor) = (products.swap_remove(turn), floors.swap_remove(turn));
        Ok(Measured { turn, product, floor, ratios })
    }

    /// Returns a directory of its own for a row.
    fn part(&self, name: &str) -> Result<TempDir, BenchError> {
        let dir = self.dir.as_ref().expect("subjects that write files have a place");
        dir.part(name)
    }

    /// Shows what is being done, in one line that changes.
    fn say(&self, what: &str) {
        if self.shows_progress {
            // Nobody may be there to read it.
            let _ = write!(io::stderr(), "\r\x1b[2K{what}");
        }
    }
}

/// Measures, prints, and returns the exit code.
///
/// # Errors
/// A [`BenchError`].
pub(crate) fn run(args: &BenchArgs) -> Result<Exit> {
    let subjects = &args.subjects;
    let watch = Watch::start()?;
    let writes_files = subjects.iter().any(|subject| subject.writes_files());
    let dir = writes_files.then(|| TempDir::new(args.data_dir.as_deref())).transpose()?;
    let machine = Machine::look(dir.as_ref());
    let shows_progress = !args.json && io::stderr().is_terminal();
    let bench = Bench { watch, dir, duration: args.duration, shows_progress };
    let mut groups = Vec::new();
    if !args.json {
        output::say(&format!("{}\n", report::wrapped("", &machine.to_text())));
    }
    for subject in subjects {
        let group = subject.measure(&bench)?;
        if !args.json {
            output::say(&format!("{}\n", group.to_text()));
        }
        groups.push(group);
    }
    if args.json {
        let json = report::to_json(machine.to_json(), args.duration, &groups);
        output::say(&format!("{}\n", serde_json::to_string_pretty(&json)?));
    } else {
        output::say(&report::wrapped("", LEGEND));
    }
    Ok(Exit::Done)
}

/// How to read the table.
const LEGEND: &str = "ratio = product / floor in the same turn; more is better for rates, less for \
                      times. ~: its turns differed by more than twice; measure again when the \
                      machine is quiet, or longer (--duration).";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subject_is_named_or_all_are() {
        assert_eq!(subjects("net"), Ok(vec![Subject::Net]));
        assert_eq!(subjects("all").unwrap().len(), 5);
        assert_eq!(subjects("nets").unwrap_err(), "expected tickets, log, net, perf, spawn or all");
    }

    #[test]
    fn an_error_has_the_exit_code_of_its_cause() {
        let full = BenchError::NoRoom { path: "/x".into(), free_bytes: 93 };
        assert_eq!(full.exit(), Exit::Disk);
        assert_eq!(
            full.to_string(),
            "a bench needs 2.00 GiB of room in /x, there are 93 B; name another disk with \
             --data-dir"
        );
        assert_eq!(BenchError::Interrupted(2).exit(), Exit::Signal(2));
        assert_eq!(BenchError::Office { code: 7, said: String::new() }.exit(), Exit::Disk);
        assert_eq!(BenchError::Place(DataDirError::NoHome).exit(), Exit::Usage);
    }
}
