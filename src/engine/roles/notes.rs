//! What user processes write to files: acknowledged ids for whoever checks the log, and notes
//! from which the export learns when users were told.
//!
//! Both are best effort: a file that can't be written is given up with one message, and the run
//! goes on.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use crate::clock::Time;
use crate::ids::{ServiceId, TicketId, Token, UserId};

/// Appends acknowledged ticket ids to a file that several processes share, one a line.
#[derive(Debug)]
pub struct AckLog(Appender);

impl AckLog {
    /// Opens the file, or makes it.
    ///
    /// # Errors
    /// What the system says, with the path.
    pub fn open(path: &str) -> io::Result<Self> {
        let file = OpenOptions::new().append(true).create(true).open(path);
        Ok(Self(Appender::new(named(file, path)?, PathBuf::from(path))))
    }

    /// Adds an id.
    pub fn push(&mut self, id: TicketId) {
        // Writing to a vector can't fail.
        let _ = writeln!(self.0.waiting, "{id}");
    }

    /// Writes what was added, in one piece: lines of several processes do not mix.
    pub fn write(&mut self) {
        self.0.write();
    }
}

/// What a user was told of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Note {
    /// The ticket; zero for a rejection.
    pub id: TicketId,
    /// The request.
    pub token: Token,
    /// The kind of work.
    pub service: ServiceId,
    /// The work, in nanoseconds.
    pub demand_ns: u64,
    /// When the user meant to ask.
    pub scheduled: Time,
    /// When it asked.
    pub submitted: Time,
    /// When it was told.
    pub notified: Time,
}

impl Note {
    const BYTES: usize = 53;

    fn put(&self, out: &mut Vec<u8>) {
        for number in [self.id.0, self.token.seq, self.demand_ns] {
            out.extend_from_slice(&number.to_be_bytes());
        }
        for moment in [self.scheduled, self.submitted, self.notified] {
            out.extend_from_slice(&moment.0.to_be_bytes());
        }
        out.extend_from_slice(&self.token.user.0.to_be_bytes());
        out.push(self.service.0);
    }

    fn take(bytes: &[u8; Self::BYTES]) -> Self {
        let number = |index: usize| {
            let mut number = [0; 8];
            number.copy_from_slice(&bytes[8 * index..8 * index + 8]);
            u64::from_be_bytes(number)
        };
        let user = UserId(u32::from_be_bytes([bytes[48], bytes[49], bytes[50], bytes[51]]));
        Self {
            id: TicketId(number(0)),
            token: Token { user, seq: number(1) },
            demand_ns: number(2),
            scheduled: Time(number(3)),
            submitted: Time(number(4)),
            notified: Time(number(5)),
            service: ServiceId(bytes[52]),
        }
    }
}

/// The notes of one user process.
#[derive(Debug)]
pub struct NoteFile(Appender);

impl NoteFile {
    /// Makes a file of this process in `dir`.
    ///
    /// # Errors
    /// What the system says, with the path.
    pub fn create(dir: &str, number: u16) -> io::Result<Self> {
        let path = Path::new(dir).join(format!("{number}-{}.notes", std::process::id()));
        let file = OpenOptions::new().append(true).create_new(true).open(&path);
        Ok(Self(Appender::new(named(file, &path.display().to_string())?, path)))
    }

    /// Adds a note.
    pub fn push(&mut self, note: &Note) {
        note.put(&mut self.0.waiting);
        if self.0.waiting.len() >= WRITE_AT_BYTES {
            self.0.write();
        }
    }

    /// Writes what was added.
    pub fn write(&mut self) {
        self.0.write();
    }
}

/// Reads all notes in `dir`, in no particular order. A note that its process could not finish is
/// passed over.
///
/// # Errors
/// What the system says.
pub fn read_notes(dir: &Path, mut visit: impl FnMut(Note)) -> io::Result<()> {
    for entry in std::fs::read_dir(dir)? {
        let mut file = io::BufReader::with_capacity(256 * 1024, File::open(entry?.path())?);
        let mut bytes = [0; Note::BYTES];
        loop {
            match file.read_exact(&mut bytes) {
                Ok(()) => visit(Note::take(&bytes)),
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => break,
                Err(error) => return Err(error),
            }
        }
    }
    Ok(())
}

const WRITE_AT_BYTES: usize = 256 * 1024;

/// A file, and what waits to be appended to it.
#[derive(Debug)]
struct Appender {
    file: Option<File>,
    path: PathBuf,
    waiting: Vec<u8>,
}

impl Appender {
    fn new(file: File, path: PathBuf) -> Self {
        Self { file: Some(file), path, waiting: Vec::new() }
    }

    fn write(&mut self) {
        if let Some(file) = &mut self.file
            && !self.waiting.is_empty()
            && let Err(error) = file.write_all(&self.waiting)
        {
            log::error!("{} is given up: {error}", self.path.display());
            self.file = None;
        }
        self.waiting.clear();
    }
}

fn named<T>(result: io::Result<T>, path: &str) -> io::Result<T> {
    result.map_err(|error| io::Error::new(error.kind(), format!("cannot write {path}: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::LoadId;

    fn note(id: u64) -> Note {
        Note {
            id: TicketId(id),
            token: Token { user: UserId::new(LoadId(1), 77), seq: 5 },
            service: ServiceId(3),
            demand_ns: 12,
            scheduled: Time(1),
            submitted: Time(2),
            notified: Time(3),
        }
    }

    #[test]
    fn notes_of_all_processes_are_read_back() {
        let dir = tempfile::tempdir().unwrap();
        for number in [1, 2] {
            let mut file = NoteFile::create(dir.path().to_str().unwrap(), number).unwrap();
            file.push(&note(u64::from(number)));
            file.write();
        }
        let mut found = Vec::new();
        read_notes(dir.path(), |note| found.push(note)).unwrap();
        found.sort_by_key(|note| note.id);
        assert_eq!(found, [note(1), note(2)]);
    }

    #[test]
    fn a_note_cut_by_a_kill_is_passed_over() {
        let dir = tempfile::tempdir().unwrap();
        let mut bytes = Vec::new();
        note(4).put(&mut bytes);
        bytes.extend_from_within(..Note::BYTES - 1);
        std::fs::write(dir.path().join("x.notes"), &bytes).unwrap();
        let mut found = Vec::new();
        read_notes(dir.path(), |note| found.push(note)).unwrap();
        assert_eq!(found, [note(4)]);
    }

    #[test]
    fn acknowledged_ids_stand_one_a_line_behind_those_of_others() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("acks");
        let path = path.to_str().unwrap();
        let mut logs = [AckLog::open(path).unwrap(), AckLog::open(path).unwrap()];
        for (process, id) in [(0, 1), (1, 2), (0, 3)] {
            logs[process].push(TicketId(id));
            logs[process].write();
        }
        assert_eq!(std::fs::read_to_string(path).unwrap(), "1\n2\n3\n");
    }
}
