//! Where log lines go: the dashboard's panel, standard error, a file.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::Path;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use color_eyre::eyre::{Context, Result};
use engine::clock::WallTime;
use log::{Level, LevelFilter, Log, Metadata, Record};

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

/// The least important level that the screen gets, as a number.
static LEVEL: AtomicUsize = AtomicUsize::new(LevelFilter::Info as usize);
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

/// Gives the screen all lines of this process up to a level from now on. Processes that run
/// already keep the level that they were started with.
pub(crate) fn set_level(level: LevelFilter) {
    LEVEL.store(level as usize, Ordering::Relaxed);
    tui_logger::set_default_level(level);
    log::set_max_level(log::max_level().max(level));
}

/// Sends log lines of this process, and those that its children send, to the screen and, if
/// there is one, to a file, which gets all levels up to debug.
///
/// # Errors
/// If the file can't be opened.
pub(crate) fn start(screen: Screen, level: LevelFilter, file: Option<&Path>) -> Result<()> {
    let file = file.map(open).transpose()?;
    let most = if file.is_some() { level.max(LevelFilter::Debug) } else { level };
    LEVEL.store(level as usize, Ordering::Relaxed);
    if screen == Screen::Panel {
        tui_logger::set_default_level(level);
        tui_logger::set_buffer_depth(PANEL_LINES);
    }
    let sinks = Sinks { screen, panel: tui_logger::Drain::new(), file };
    log::set_boxed_logger(Box::new(sinks)).context("a log is running already")?;
    log::set_max_level(most);
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
        if record.level() as usize <= LEVEL.load(Ordering::Relaxed) {
            match self.screen {
                Screen::Panel => {
                    self.panel.log(record);
                    count(record.level());
                }
                // Nobody may be there to read it; the run goes on.
                Screen::Stderr => drop(write_line(&mut std::io::stderr().lock(), record)),
            }
        }
        if let Some(file) = &self.file {
            let mut file = file.lock().unwrap_or_else(PoisonError::into_inner);
            // A log that can't be written must not end what it describes.
            let _ = write_line(&mut *file, record);
        }
    }

    fn flush(&self) {}
}

/// Writes one line in one call, so that lines of several threads do not mix.
fn write_line(out: &mut impl Write, record: &Record<'_>) -> std::io::Result<()> {
    let (time, level, target) = (WallTime::now(), record.level(), record.target());
    let line = format!("{time} {level:<5} {target}: {}\n", record.args());
    out.write_all(line.as_bytes())
}
