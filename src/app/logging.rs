//! Where log lines go: the dashboard's panel, standard error, a file.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use color_eyre::eyre::{Context, Result};
use engine::clock::WallTime;
use log::{LevelFilter, Log, Metadata, Record};

/// Where a program without a file logs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Screen {
    /// The dashboard's log panel.
    Panel,
    /// Standard error.
    Stderr,
}

/// Lines that the dashboard's log panel got.
static LINES: AtomicU64 = AtomicU64::new(0);

/// Returns how many lines the dashboard's log panel got so far.
pub(crate) fn lines() -> u64 {
    LINES.load(Ordering::Relaxed)
}

struct Sinks {
    screen: Screen,
    panel: tui_logger::Drain,
    file: Option<Mutex<File>>,
    level: LevelFilter,
}

/// Sends log lines of this process, and those that its children send, to the screen and, if
/// there is one, to a file, which gets all levels up to debug.
///
/// # Errors
/// If the file can't be opened.
pub(crate) fn start(screen: Screen, level: LevelFilter, file: Option<&Path>) -> Result<()> {
    let file = file.map(open).transpose()?;
    let most = if file.is_some() { level.max(LevelFilter::Debug) } else { level };
    if screen == Screen::Panel {
        tui_logger::set_default_level(level);
        tui_logger::set_buffer_depth(PANEL_LINES);
    }
    let sinks = Sinks { screen, panel: tui_logger::Drain::new(), file, level };
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
        if record.level() <= self.level {
            match self.screen {
                Screen::Panel => {
                    self.panel.log(record);
                    LINES.fetch_add(1, Ordering::Relaxed);
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
