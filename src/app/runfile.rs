//! What a run's log does not say about the run itself: its scenario, its timeline, how it ended.
//!
//! The director keeps one small file for each run, `runs/<run>.json` in the data directory, and
//! writes it anew when the timeline changes: when the doors open, at a pause, at the end. It is
//! replaced as a whole, so a reader sees one state or the next. Only a replay reads it, and does
//! without where there is none: then the run has no name, no warm-up and no pauses.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use engine::clock::{Time, WallTime};
use engine::ids::RunId;
use engine::timeline::Timeline;
use serde::{Deserialize, Serialize};

use super::state::{Ending, RunFacts};
use super::{diary, serial};

/// Files that are kept, diaries included, and what all of them may take; the oldest go first.
const FILES_MAX: usize = 256;
const FILES_BYTES_MAX: u64 = 64 << 20;
/// The version of the file.
const VERSION: u32 = 1;
/// The longest that is read.
const BYTES_MAX: u64 = 4 << 20;

/// A run as its director knew it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct RunFile {
    version: u32,
    /// What it was.
    pub(crate) facts: RunFacts,
    /// One moment on both clocks.
    pub(crate) clock: (Time, WallTime),
    line: Line,
    /// When and how it ended; `None` while it lasts, and for ever if its director was killed.
    pub(crate) ended: Option<(Time, Ending)>,
}

/// A timeline as it is written.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Line {
    opened_at: Time,
    #[serde(with = "serial::ns")]
    warmup: Duration,
    #[serde(with = "serial::ns_option")]
    arrivals: Option<Duration>,
    pauses: Vec<(Time, Time)>,
}

/// Returns where the files of runs lie in a data directory.
pub(crate) fn dir(data_dir: &Path) -> PathBuf {
    data_dir.join("runs")
}

fn path(data_dir: &Path, run: RunId) -> PathBuf {
    dir(data_dir).join(format!("{:016x}.json", run.0))
}

impl RunFile {
    /// Returns the file of a run.
    pub(crate) fn new(
        facts: RunFacts,
        line: &Timeline,
        clock: (Time, WallTime),
        ended: Option<(Time, Ending)>,
    ) -> Self {
        let Timeline { opened_at, warmup, arrivals, pauses } = line.clone();
        let line = Line { opened_at, warmup, arrivals, pauses };
        Self { version: VERSION, facts, clock, line, ended }
    }

    /// Returns the run's timeline.
    pub(crate) fn timeline(&self) -> Timeline {
        let Line { opened_at, warmup, arrivals, pauses } = self.line.clone();
        Timeline { opened_at, warmup, arrivals, pauses }
    }

    /// Writes the file, in place of what it said before.
    ///
    /// # Errors
    /// Whatever the file system says.
    pub(crate) fn write(&self, data_dir: &Path) -> io::Result<()> {
        let path = path(data_dir, self.facts.id);
        make_room(&path)?;
        let temporary = path.with_extension("tmp");
        std::fs::write(&temporary, serde_json::to_vec(self)?)?;
        std::fs::rename(&temporary, &path)
    }

    /// Reads the file of a run; `None` if there is none that can be understood.
    pub(crate) fn read(data_dir: &Path, run: RunId) -> Option<Self> {
        let path = path(data_dir, run);
        if std::fs::metadata(&path).ok()?.len() > BYTES_MAX {
            return None;
        }
        let file: Self = serde_json::from_slice(&std::fs::read(&path).ok()?).ok()?;
        (file.version == VERSION && file.facts.id == run).then_some(file)
    }
}

/// Makes room for a file of a run, if it is not there yet.
///
/// # Errors
/// If the directory can't be made or looked at.
pub(crate) fn make_room(path: &Path) -> io::Result<()> {
    let Some(dir) = path.parent().filter(|_| !path.exists()) else { return Ok(()) };
    std::fs::create_dir_all(dir)?;
    let mut files = Vec::new();
    for entry in dir.read_dir()? {
        let entry = entry?;
        let metadata = entry.metadata()?;
        files.push((metadata.modified()?, metadata.len(), entry.path()));
    }
    files.sort();
    let (mut count, mut bytes) = (files.len(), files.iter().map(|(_, len, _)| len).sum::<u64>());
    for (_, len, path) in files {
        if count < FILES_MAX && bytes + diary::BYTES_MAX <= FILES_BYTES_MAX {
            break;
        }
        // One that stays does no harm.
        drop(std::fs::remove_file(path));
        (count, bytes) = (count - 1, bytes - len);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::testing;

    fn file(run: u64) -> RunFile {
        let line = Timeline {
            opened_at: Time(5),
            warmup: Duration::from_secs(1),
            arrivals: Some(Duration::from_secs(9)),
            pauses: vec![(Time(7), Time::NEVER)],
        };
        let facts = RunFacts { id: RunId(run), ..testing::app().run };
        RunFile::new(facts, &line, (Time(1), WallTime(2)), Some((Time(8), Ending::Completed)))
    }

    #[test]
    fn a_run_is_read_as_it_was_written() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(RunFile::read(dir.path(), RunId(7)), None);
        let written = file(7);
        written.write(dir.path()).unwrap();
        let read = RunFile::read(dir.path(), RunId(7)).unwrap();
        assert_eq!((&read, read.timeline()), (&written, written.timeline()));
        let changed = RunFile { ended: None, ..written };
        changed.write(dir.path()).unwrap();
        assert_eq!(RunFile::read(dir.path(), RunId(7)), Some(changed));
    }

    #[test]
    fn what_is_no_file_of_the_run_is_not_believed() {
        let dir = tempfile::tempdir().unwrap();
        file(7).write(dir.path()).unwrap();
        std::fs::rename(path(dir.path(), RunId(7)), path(dir.path(), RunId(8))).unwrap();
        assert_eq!(RunFile::read(dir.path(), RunId(8)), None);
        std::fs::write(path(dir.path(), RunId(9)), "{\"version\":1").unwrap();
        assert_eq!(RunFile::read(dir.path(), RunId(9)), None);
    }

    #[test]
    fn files_never_take_too_much_room() {
        let dir = tempfile::tempdir().unwrap();
        let name = |number: u64| super::dir(dir.path()).join(format!("{number:016x}.diary"));
        for number in 0..40 {
            make_room(&name(number)).unwrap();
            let file = std::fs::File::create(name(number)).unwrap();
            file.set_len(diary::BYTES_MAX).unwrap();
        }
        let kept = super::dir(dir.path()).read_dir().unwrap().count() as u64;
        assert_eq!(kept, FILES_BYTES_MAX / diary::BYTES_MAX);
        assert!(name(39).exists());
    }

    #[test]
    fn there_are_never_too_many_files() {
        let dir = tempfile::tempdir().unwrap();
        for run in 0..FILES_MAX as u64 + 3 {
            file(run).write(dir.path()).unwrap();
        }
        assert_eq!(super::dir(dir.path()).read_dir().unwrap().count(), FILES_MAX);
    }
}
