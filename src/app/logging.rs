//! Where log lines go: the dashboard's panel, standard error, a file.

use std::cell::Cell;
use std::collections::VecDeque;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use color_eyre::eyre::{Context, Result};
use engine::clock::WallTime;
use log::{Level, LevelFilter, Log, Metadata, Record};
use serde::{Deserialize, Serialize};

use super::serial;

/// Lines that an attached dashboard can still ask for; older ones are dropped and counted.
const RING_LINES: usize = 1000;

/// The newest lines of this process and its children.
static RING: Mutex<Ring> = Mutex::new(Ring { lines: VecDeque::new(), told: 0 });

/// A line of the log, for another process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Line {
    /// When it was written.
    pub(crate) wall: WallTime,
    /// `ERROR` to `TRACE`.
    #[serde(with = "serial::level")]
    pub(crate) level: log::Level,
    /// Who wrote it.
    pub(crate) target: String,
    /// What.
    pub(crate) text: String,
}

/// The newest lines, and how many there have been.
struct Ring {
    lines: VecDeque<Line>,
    told: u64,
}

impl Ring {
    fn push(&mut self, line: Line) {
        if self.lines.len() == RING_LINES {
            self.lines.pop_front();
        }
        self.told += 1;
        self.lines.push_back(line);
    }

    /// Returns the lines behind the first `known` ones.
    fn since(&self, known: u64) -> News {
        let new = usize::try_from(self.told.saturating_sub(known)).unwrap_or(usize::MAX);
        let kept = new.min(self.lines.len());
        let lines = self.lines.iter().skip(self.lines.len() - kept).cloned().collect();
        News { lines, missed: (new - kept) as u64, told: self.told }
    }
}

/// What was logged since somebody last asked.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct News {
    /// The lines that are kept, oldest first.
    pub(crate) lines: Vec<Line>,
    /// Older ones that are not.
    pub(crate) missed: u64,
    /// How many there have been, to ask again.
    pub(crate) told: u64,
}

impl News {
    /// Returns what of it is behind the first `known` lines, for one who was told before over
    /// another connection.
    pub(crate) fn behind(mut self, known: u64) -> Self {
        let first = self.told.saturating_sub(self.lines.len() as u64);
        let again = usize::try_from(known.saturating_sub(first)).unwrap_or(usize::MAX);
        self.lines.drain(..again.min(self.lines.len()));
        self.missed = first.saturating_sub(known);
        self
    }
}

/// Returns what was logged behind the first `known` lines.
pub(crate) fn since(known: u64) -> News {
    RING.lock().unwrap_or_else(PoisonError::into_inner).since(known)
}

thread_local! {
    /// When the line that this thread logs was written elsewhere.
    static WRITTEN_AT: Cell<Option<WallTime>> = const { Cell::new(None) };
}

/// Logs what another process did, as of when it did it.
pub(crate) fn repeat(news: &News) {
    if news.missed > 0 {
        log::warn!("lines are missing here, they are no longer kept: count={}", news.missed);
    }
    for Line { wall, level, target, text } in &news.lines {
        WRITTEN_AT.set(Some(*wall));
        let text = format_args!("{text}");
        log::logger().log(&Record::builder().level(*level).target(target).args(text).build());
    }
    WRITTEN_AT.set(None);
}

/// What stands around the time of a line whose time the panel's buffer would not keep.
const STAMP: char = '\u{1f}';

/// Returns when a line of the panel's buffer was written, if it says so, and its text.
pub(crate) fn unstamped(text: &str) -> (Option<WallTime>, &str) {
    let stamped = text.strip_prefix(STAMP).and_then(|rest| rest.split_once(STAMP));
    match stamped.and_then(|(stamp, text)| Some((stamp.parse().ok()?, text))) {
        Some((wall, text)) => (Some(WallTime(wall)), text),
        None => (None, text),
    }
}

/// Where a program without a file logs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Screen {
    /// The dashboard's log panel.
    Panel,
    /// Standard error.
    Stderr,
}

struct Sinks {
    screen: Screen,
    panel: tui_logger::Drain,
    file: Option<Mutex<File>>,
}

/// The least important level that a file gets...
const FILE_LEVEL: LevelFilter = LevelFilter::Debug;
/// ...and whoever attaches, even if less is shown here, unless somebody wants more.
const RING_LEVEL: LevelFilter = LevelFilter::Info;

/// Whether there is a file.
static HAS_FILE: AtomicBool = AtomicBool::new(false);
/// The least important level that the screen gets, as a number.
static LEVEL: AtomicUsize = AtomicUsize::new(LevelFilter::Info as usize);
/// The same of whoever attaches.
static KEPT: AtomicUsize = AtomicUsize::new(RING_LEVEL as usize);
/// What the panel was given: lines, warnings, errors.
static COUNTS: [AtomicU64; 3] = [const { AtomicU64::new(0) }; 3];

/// How many lines the panel was given.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    /// All of them.
    pub(crate) lines: u64,
    /// Of those, warnings.
    pub(crate) warnings: u64,
    /// Of those, errors.
    pub(crate) errors: u64,
}

/// Returns how many lines the panel was given.
pub(crate) fn counts() -> Counts {
    let [lines, warnings, errors] = COUNTS.each_ref().map(|count| count.load(Ordering::Acquire));
    Counts { lines, warnings, errors }
}

fn count(level: Level) {
    let [lines, warnings, errors] = &COUNTS;
    match level {
        Level::Error => drop(errors.fetch_add(1, Ordering::Relaxed)),
        Level::Warn => drop(warnings.fetch_add(1, Ordering::Relaxed)),
        _ => {}
    }
    lines.fetch_add(1, Ordering::Release);
}

/// Gives the screen all lines down to a level from now on. The director has its processes send them
/// too: what they send is what this process takes ([`log::max_level`]).
pub(crate) fn set_level(level: LevelFilter) {
    LEVEL.store(level as usize, Ordering::Relaxed);
    tui_logger::set_default_level(level);
    take_what_is_wanted();
}

/// Keeps lines down to a level for whoever attaches, from now on; never fewer than usual.
pub(crate) fn keep(level: Level) {
    KEPT.store(level.to_level_filter().max(RING_LEVEL) as usize, Ordering::Relaxed);
    take_what_is_wanted();
}

/// Takes the lines that somebody wants, and no others.
fn take_what_is_wanted() {
    let file = if HAS_FILE.load(Ordering::Relaxed) { FILE_LEVEL } else { LevelFilter::Off };
    let wanted = [&LEVEL, &KEPT].map(|level| level.load(Ordering::Relaxed));
    let most = wanted.into_iter().fold(file as usize, usize::max);
    let level = LevelFilter::iter().find(|level| *level as usize == most);
    log::set_max_level(level.unwrap_or(LevelFilter::Trace));
}

/// Sends log lines of this process, and those that its children send, to the screen and, if
/// there is one, to a file, which gets all levels up to debug.
///
/// # Errors
/// If the file can't be opened.
pub(crate) fn start(screen: Screen, level: LevelFilter, file: Option<&Path>) -> Result<()> {
    let file = file.map(open).transpose()?;
    HAS_FILE.store(file.is_some(), Ordering::Relaxed);
    if screen == Screen::Panel {
        tui_logger::set_buffer_depth(PANEL_LINES);
    }
    let sinks = Sinks { screen, panel: tui_logger::Drain::new(), file };
    log::set_boxed_logger(Box::new(sinks)).context("a log is running already")?;
    set_level(level);
    Ok(())
}

/// Lines that the panel remembers.
const PANEL_LINES: usize = 1000;

fn open(path: &Path) -> Result<Mutex<File>> {
    let file = OpenOptions::new().append(true).create(true).open(path);
    Ok(Mutex::new(file.with_context(|| format!("cannot write the log file {}", path.display()))?))
}

impl Log for Sinks {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.level() <= log::max_level()
    }

    fn log(&self, record: &Record<'_>) {
        if !self.enabled(record.metadata()) {
            return;
        }
        let level = LEVEL.load(Ordering::Relaxed);
        let repeated = WRITTEN_AT.get();
        let wall = repeated.unwrap_or_else(WallTime::now);
        if record.level() as usize <= level.max(KEPT.load(Ordering::Relaxed)) {
            let line = Line {
                wall,
                level: record.level(),
                target: record.target().to_owned(),
                text: record.args().to_string(),
            };
            RING.lock().unwrap_or_else(PoisonError::into_inner).push(line);
        }
        if record.level() as usize <= level {
            match self.screen {
                Screen::Panel => {
                    self.panel(record, repeated);
                    count(record.level());
                }
                // Nobody may be there to read it; the run goes on.
                Screen::Stderr => drop(write_line(&mut std::io::stderr().lock(), wall, record)),
            }
        }
        if let Some(file) = &self.file {
            let mut file = file.lock().unwrap_or_else(PoisonError::into_inner);
            // A log that can't be written must not end what it describes.
            let _ = write_line(&mut *file, wall, record);
        }
    }

    fn flush(&self) {}
}

impl Sinks {
    /// Gives the panel a line. Its buffer knows only the present, so another time goes before the
    /// text.
    fn panel(&self, record: &Record<'_>, repeated: Option<WallTime>) {
        let Some(WallTime(wall)) = repeated else { return self.panel.log(record) };
        let (level, target) = (record.level(), record.target());
        let text = format_args!("{STAMP}{wall}{STAMP}{}", record.args());
        self.panel.log(&Record::builder().level(level).target(target).args(text).build());
    }
}

/// Writes one line in one call, so that lines of several threads do not mix.
fn write_line(out: &mut impl Write, time: WallTime, record: &Record<'_>) -> std::io::Result<()> {
    let (level, target) = (record.level(), record.target());
    let line = format!("{time} {level:<5} {target}: {}\n", record.args());
    out.write_all(line.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(number: u64) -> Line {
        let (level, target) = (log::Level::Info, "director".to_owned());
        Line { wall: WallTime(number), level, target, text: String::new() }
    }

    #[test]
    fn whoever_comes_back_is_not_told_again() {
        let lines = || [5, 6, 7].map(line).into();
        let news = || News { lines: lines(), missed: 4, told: 8 };
        let behind = |known| {
            let News { lines, missed, told } = news().behind(known);
            (lines.iter().map(|line| line.wall.0).collect::<Vec<_>>(), missed, told)
        };
        assert_eq!(behind(0), (vec![5, 6, 7], 5, 8));
        assert_eq!(behind(5), (vec![5, 6, 7], 0, 8));
        assert_eq!(behind(7), (vec![7], 0, 8));
        assert_eq!(behind(8), (vec![], 0, 8));
        assert_eq!(behind(80), (vec![], 0, 8), "of another process");
    }

    #[test]
    fn a_line_of_another_time_says_it_in_front() {
        let stamped = format!("{STAMP}7000{STAMP}two{STAMP}three");
        assert_eq!(unstamped(&stamped), (Some(WallTime(7_000)), "two\u{1f}three"));
        for plain in ["one", "", "\u{1f}", "\u{1f}soon\u{1f}two", "\u{1f}7000"] {
            assert_eq!(unstamped(plain), (None, plain));
        }
    }

    #[test]
    fn whoever_asks_too_late_is_told_how_much_is_missing() {
        let mut ring = Ring { lines: VecDeque::new(), told: 0 };
        let all = RING_LINES as u64 + 7;
        (0..all).for_each(|number| ring.push(line(number)));
        let first = ring.since(2);
        assert_eq!((first.lines.len(), first.missed, first.told), (RING_LINES, 5, all));
        assert_eq!(first.lines[0], line(7));
        ring.push(line(all));
        let next = ring.since(first.told);
        assert_eq!(next, News { lines: vec![line(all)], missed: 0, told: all + 1 });
        assert_eq!(ring.since(next.told).lines, []);
        assert_eq!(ring.since(next.told + 9).lines, [], "of another process");
    }
}
