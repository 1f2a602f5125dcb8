//! What a run's log does not hold and a replay wants to show: what people did, what happened, and
//! how many workers, users, seats and rejected requests there were.
//!
//! One file for each run, `runs/<run>.diary` in the data directory: JSON lines that are only
//! appended. The director hands lines over to a thread of its own through a bounded queue, so a slow
//! disk holds up nobody; what finds no room is counted and said in the file. A file has a greatest
//! size, at which it says that it is full. Nothing but a replay reads it, and does without.

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;

use engine::clock::Time;
use engine::ids::RunId;
use serde::{Deserialize, Serialize};

use super::events::Happening;
use super::runfile::{self, RunFile};

/// Lines that may wait for the disk.
const WAITING_MAX: usize = 256;
/// The largest file: some hours of an office that rejects requests all the time, days of others.
pub(crate) const BYTES_MAX: u64 = 4 << 20;

/// One line.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Line {
    /// Something happened.
    Event(Happening),
    /// Who is there, since a moment.
    Present(Present),
    /// So many events are missing here: they came faster than the disk took them.
    Missed(u64),
    /// The file is as large as it may be; nothing follows.
    Full(Time),
}

/// What an office knows at a moment and no log holds. It is written down when it has changed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Present {
    /// When.
    pub(crate) at: Time,
    /// Workers that are ready, and how many should be.
    pub(crate) workers: (u32, u32),
    /// Users that are hosted, and how many should be.
    pub(crate) users: (u32, u32),
    /// Seats of workers that are there.
    pub(crate) staffed: u64,
    /// Their integral over the measured time, in seat nanoseconds.
    pub(crate) staffed_ns: u64,
    /// Requests that found the office full, by service: all, and measured ones.
    pub(crate) rejected: Vec<(u64, u64)>,
    /// Service time that was lost with workers, by service.
    pub(crate) lost_ns: Vec<u64>,
    /// Peers that were refused.
    pub(crate) bad_peers: u64,
}

impl Present {
    /// Returns whether another one says the same of another moment.
    fn is_like(&self, other: &Self) -> bool {
        let Self { at, staffed_ns, .. } = *self;
        *self == Self { at, staffed_ns, ..other.clone() }
    }
}

fn path(data_dir: &Path, run: RunId) -> PathBuf {
    runfile::dir(data_dir).join(format!("{:016x}.diary", run.0))
}

/// Keeps the diary of a run, and its file.
#[derive(Debug)]
pub(crate) struct Diary {
    /// Who writes, until the first word.
    writer: Option<Writer>,
    queue: Option<SyncSender<Word>>,
    thread: Option<JoinHandle<()>>,
    /// The last that was handed over.
    present: Option<Present>,
    /// Events that found no room and are to be told.
    missed: u64,
    /// A file of the run that found no room.
    left: Option<Box<RunFile>>,
}

/// What the thread is told.
#[derive(Debug)]
enum Word {
    Run(Box<RunFile>),
    Line(Box<Line>),
}

impl Diary {
    /// Returns a diary for a run; its thread begins with the first word.
    pub(crate) fn new(data_dir: &Path, run: RunId) -> Self {
        let writer = Some(Writer::new(data_dir, run));
        Self { writer, queue: None, thread: None, present: None, missed: 0, left: None }
    }

    /// Starts the thread. Without one nothing is written.
    fn start(&mut self, mut writer: Writer) {
        let (queue, words) = sync_channel(WAITING_MAX);
        let thread = std::thread::Builder::new().name("diary".to_owned());
        match thread.spawn(move || writer.write_all(&words)) {
            Ok(thread) => (self.queue, self.thread) = (Some(queue), Some(thread)),
            Err(error) => {
                log::warn!(target: "director", "a replay will know little of this run: {error}");
            }
        }
    }

    /// Writes down what the director knows of the run itself.
    pub(crate) fn note_run(&mut self, file: RunFile) {
        self.left = self.hand_over(Word::Run(Box::new(file))).and_then(|word| match word {
            Word::Run(file) => Some(file),
            Word::Line(_) => None,
        });
    }

    /// Writes down something that happened.
    pub(crate) fn tell(&mut self, event: Happening) {
        self.retry();
        if self.missed > 0 && self.hand_over(line(Line::Missed(self.missed))).is_none() {
            self.missed = 0;
        }
        let is_lost = self.missed > 0 || self.hand_over(line(Line::Event(event))).is_some();
        self.missed += u64::from(is_lost);
    }

    /// Writes down who is there, if that has changed.
    pub(crate) fn note_present(&mut self, present: Present) {
        self.retry();
        if self.present.as_ref().is_some_and(|known| known.is_like(&present)) {
            return;
        }
        if self.hand_over(line(Line::Present(present.clone()))).is_none() {
            self.present = Some(present);
        }
    }

    fn retry(&mut self) {
        if let Some(file) = self.left.take() {
            self.note_run(*file);
        }
    }

    /// Hands a word over, or gives it back if there is no room for it.
    fn hand_over(&mut self, word: Word) -> Option<Word> {
        if let Some(writer) = self.writer.take() {
            self.start(writer);
        }
        match self.queue.as_ref()?.try_send(word) {
            Err(TrySendError::Full(word)) => Some(word),
            Ok(()) | Err(TrySendError::Disconnected(_)) => None,
        }
    }
}

fn line(line: Line) -> Word {
    Word::Line(Box::new(line))
}

impl Drop for Diary {
    fn drop(&mut self) {
        if let (Some(queue), Some(file)) = (&self.queue, self.left.take()) {
            // How the run ended is worth a wait.
            drop(queue.send(Word::Run(file)));
        }
        self.queue = None;
        if let Some(thread) = self.thread.take() {
            // One that panicked has said so.
            drop(thread.join());
        }
    }
}

/// The thread's side.
#[derive(Debug)]
struct Writer {
    data_dir: PathBuf,
    run: RunId,
    file: Option<File>,
    bytes: u64,
    bytes_max: u64,
    /// It was said that something can't be written.
    has_failed: bool,
}

impl Writer {
    fn new(data_dir: &Path, run: RunId) -> Self {
        let data_dir = data_dir.to_owned();
        Self { data_dir, run, file: None, bytes: 0, bytes_max: BYTES_MAX, has_failed: false }
    }

    fn write_all(&mut self, words: &Receiver<Word>) {
        for word in words {
            let written = match word {
                Word::Run(file) => file.write(&self.data_dir),
                Word::Line(line) => self.write(&line),
            };
            if let Err(error) = written
                && !std::mem::replace(&mut self.has_failed, true)
            {
                log::warn!(
                    target: "director",
                    "a replay will know little of this run: cannot write to {}: {error}",
                    runfile::dir(&self.data_dir).display()
                );
            }
        }
    }

    /// Appends a line, or says once that the file is full.
    fn write(&mut self, line: &Line) -> io::Result<()> {
        if self.bytes >= self.bytes_max {
            return Ok(());
        }
        let mut text = serde_json::to_vec(line)?;
        text.push(b'\n');
        if self.bytes + text.len() as u64 > self.bytes_max {
            let at = match line {
                Line::Event(event) => event.at,
                Line::Present(present) => present.at,
                // What follows says when.
                Line::Missed(_) | Line::Full(_) => return Ok(()),
            };
            text = serde_json::to_vec(&Line::Full(at))?;
            text.push(b'\n');
            self.bytes = self.bytes_max;
        }
        if self.file.is_none() {
            let path = path(&self.data_dir, self.run);
            runfile::make_room(&path)?;
            self.file = Some(OpenOptions::new().append(true).create(true).open(path)?);
        }
        let Some(file) = &mut self.file else { return Ok(()) };
        // In one call, so that a reader sees whole lines.
        file.write_all(&text)?;
        self.bytes += text.len() as u64;
        Ok(())
    }
}

/// What a diary says, as far as it has been read.
#[derive(Debug, Default)]
pub(crate) struct Story {
    path: PathBuf,
    offset: u64,
    /// In order.
    pub(crate) events: Vec<Happening>,
    /// In order.
    presents: Vec<Present>,
    /// Events that are missing.
    pub(crate) missed: u64,
    /// From when on nothing was written down, because the file was full.
    pub(crate) full_at: Option<Time>,
}

impl Story {
    /// Reads the diary of a run; one that is not there says nothing.
    pub(crate) fn read(data_dir: &Path, run: RunId) -> Self {
        let mut story = Self { path: path(data_dir, run), ..Self::default() };
        story.read_on();
        story
    }

    /// Reads what was written since; returns whether there was something.
    pub(crate) fn read_on(&mut self) -> bool {
        // A replay does without what can't be read.
        self.read_lines().unwrap_or_default()
    }

    fn read_lines(&mut self) -> io::Result<bool> {
        let mut file = File::open(&self.path)?;
        file.seek(SeekFrom::Start(self.offset))?;
        // The last line may be a little longer than the rest allows.
        let mut reader = BufReader::new(file.take((2 * BYTES_MAX).saturating_sub(self.offset)));
        let (mut text, before) = (Vec::new(), self.offset);
        while reader.read_until(b'\n', &mut text)? > 0 && text.ends_with(b"\n") {
            self.offset += text.len() as u64;
            // A line of another version says nothing to this one.
            if let Ok(line) = serde_json::from_slice(&text) {
                self.take(line);
            }
            text.clear();
        }
        Ok(self.offset > before)
    }

    fn take(&mut self, line: Line) {
        match line {
            Line::Event(event) => self.events.push(event),
            Line::Present(present) => self.presents.push(present),
            Line::Missed(count) => self.missed += count,
            Line::Full(at) => self.full_at = Some(self.full_at.map_or(at, |full| full.min(at))),
        }
    }

    /// Returns whether anything is known of a moment.
    pub(crate) fn covers(&self, at: Time) -> bool {
        self.full_at.is_none_or(|full| at < full)
    }

    /// Returns who was there at a moment, if that is known.
    pub(crate) fn present(&self, at: Time) -> Option<&Present> {
        let behind = self.presents.partition_point(|present| present.at <= at);
        let present = behind.checked_sub(1).and_then(|index| self.presents.get(index));
        present.filter(|_| self.covers(at))
    }
}

#[cfg(test)]
mod tests {
    use engine::clock::WallTime;

    use super::*;
    use crate::app::events::Source;
    use crate::app::state::Severity;

    const RUN: RunId = RunId(7);

    fn event(number: u64) -> Happening {
        Happening {
            number,
            at: Time(number),
            wall: WallTime(number),
            severity: Severity::Info,
            who: Source::Key,
            label: "strike".to_owned(),
            text: "workers called to strike\nby somebody".to_owned(),
        }
    }

    fn present(at: u64, users: u32) -> Present {
        Present { at: Time(at), users: (users, 9), rejected: vec![(3, 1)], ..Present::default() }
    }

    #[test]
    fn what_was_written_down_is_known_of_every_moment_behind_it() {
        let dir = tempfile::tempdir().unwrap();
        let mut diary = Diary::new(dir.path(), RUN);
        diary.tell(event(1));
        diary.note_present(present(5, 2));
        diary.note_present(Present { staffed_ns: 8, ..present(6, 2) });
        diary.note_present(present(7, 3));
        diary.tell(event(2));
        drop(diary);
        let story = Story::read(dir.path(), RUN);
        assert_eq!(story.events, [event(1), event(2)]);
        let users = |at| story.present(Time(at)).map(|present| (present.at.0, present.users.0));
        assert_eq!(
            [users(4), users(5), users(6), users(99)],
            [None, Some((5, 2)), Some((5, 2)), Some((7, 3))]
        );
        assert_eq!((story.missed, story.full_at), (0, None));
    }

    #[test]
    fn a_reader_goes_on_behind_whole_lines() {
        let dir = tempfile::tempdir().unwrap();
        let mut writer = Writer::new(dir.path(), RUN);
        writer.write(&Line::Event(event(1))).unwrap();
        let mut story = Story::read(dir.path(), RUN);
        assert!(!story.read_on(), "nothing is new");
        let torn = |text: &[u8]| {
            let path = path(dir.path(), RUN);
            OpenOptions::new().append(true).open(path).unwrap().write_all(text).unwrap();
        };
        torn(b"{\"event\":");
        assert!(!story.read_on(), "half a line is none");
        torn(b"7}\n");
        writer.write(&Line::Event(event(2))).unwrap();
        assert!(story.read_on());
        assert_eq!(story.events.len(), 2, "what is not understood is left out");
    }

    #[test]
    fn a_full_diary_says_since_when_it_knows_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let mut writer = Writer { bytes_max: 500, ..Writer::new(dir.path(), RUN) };
        for at in 1..9 {
            writer.write(&Line::Present(present(at, 1))).unwrap();
        }
        let story = Story::read(dir.path(), RUN);
        let full = story.full_at.unwrap();
        assert!(full > Time(1) && full < Time(8), "{full:?}");
        assert!(story.present(Time(full.0 - 1)).is_some() && story.present(full).is_none());
        let bytes = std::fs::metadata(path(dir.path(), RUN)).unwrap().len();
        assert!(bytes < 600, "{bytes}");
    }

    #[test]
    fn what_finds_no_room_is_counted_and_said() {
        let (queue, words) = sync_channel(2);
        let mut diary = Diary::new(Path::new("nowhere"), RUN);
        (diary.writer, diary.queue) = (None, Some(queue));
        (1..=5).for_each(|number| diary.tell(event(number)));
        assert_eq!(diary.missed, 3);
        let taken = |words: &Receiver<Word>| match words.try_recv().unwrap() {
            Word::Line(line) => *line,
            Word::Run(_) => panic!("no run was noted"),
        };
        assert_eq!([taken(&words), taken(&words)], [1, 2].map(|number| Line::Event(event(number))));
        diary.tell(event(6));
        assert_eq!([taken(&words), taken(&words)], [Line::Missed(3), Line::Event(event(6))]);
    }

    #[test]
    fn a_run_without_a_diary_has_no_story() {
        let dir = tempfile::tempdir().unwrap();
        let story = Story::read(dir.path(), RUN);
        assert!(story.events.is_empty() && story.present(Time(1)).is_none());
    }
}
