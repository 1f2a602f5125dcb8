//! The files of a log, by name; each call names its file when it fails.
//!
//! ```text
//! <first LSN, 16 hex digits>.seg    a segment whose head is known to be on the disk
//! <first LSN>.new                   a segment that is written and not yet known to be there
//! <first LSN>.segz                  a sealed segment in packed form; a .seg beside it comes first
//! next.tmp                          zeros that will be the next segment
//! pack.tmp                          a segment that is being packed
//! torn-<LSN>.<n>.bin                what recovery has cut off
//! writer.lock                       held by the process that writes
//! ```
//!
//! The two endings tell damage from a power loss: a `.seg` without a head is damaged, a `.new`
//! without one was never used for anything that anybody was told of.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use super::compress::{self, Codec, Packed, PackedError};
use super::dir::{Access, Dir, DirFile, Lock, ReadAt};
use super::format::SEGMENT_HEADER_BYTES;
use super::{IoOp, LogError};
use crate::ids::Lsn;
use crate::lock::LockError;

const SEGMENT: &str = "seg";
const NEW: &str = "new";
pub(super) const LOCK_NAME: &str = "writer.lock";
const PACKED: &str = "segz";
const PREPARED_NAME: &str = "next.tmp";
const PACKING_NAME: &str = "pack.tmp";
const TORN_PREFIX: &str = "torn-";

/// Zeros are written this many at a time.
static ZEROS: [u8; 1 << 16] = [0; 1 << 16];

/// The directory that a log lies in.
#[derive(Clone)]
pub(super) struct Files(Arc<dyn Dir>);

/// How a segment lies on the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Form {
    /// Its head is known to be on the disk.
    Named,
    /// Its head may be missing after a power loss.
    New,
    /// It is sealed and packed.
    Packed,
}

/// How the room of a segment is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Room {
    /// Zeros are written, so that appending changes no metadata and a sync costs one write instead
    /// of a journal commit.
    Written,
    /// It is only set aside. For logs that are seldom synced: zeros would double what they write.
    Reserved,
}

/// A segment that lies in the directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Listed {
    pub(super) first: Lsn,
    pub(super) form: Form,
}

impl Listed {
    /// Returns the name of its file.
    pub(super) fn name(&self) -> String {
        match self.form {
            Form::Named => segment_name(self.first),
            Form::New => new_name(self.first),
            Form::Packed => packed_name(self.first),
        }
    }
}

/// Returns the name of the segment that begins at `first`.
pub(super) fn segment_name(first: Lsn) -> String {
    format!("{:016x}.{SEGMENT}", first.0)
}

fn packed_name(first: Lsn) -> String {
    format!("{:016x}.{PACKED}", first.0)
}

fn new_name(first: Lsn) -> String {
    format!("{:016x}.{NEW}", first.0)
}

impl Files {
    pub(super) fn new(dir: Arc<dyn Dir>) -> Self {
        Self(dir)
    }

    /// Returns where a file lies, for messages.
    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Adds the file and what was done to it to an error.
    pub(super) fn failed(&self, op: IoOp, name: &str) -> impl FnOnce(io::Error) -> LogError {
        let path = self.path(name);
        move |source| match source.downcast::<PackedError>() {
            Ok(source) => LogError::Packed { path, source },
            Err(source) => LogError::Io { op, path, source },
        }
    }

    /// Makes the directory if it is not there.
    pub(super) fn make(&self) -> Result<(), LogError> {
        self.0.make().map_err(self.failed(IoOp::Create, ""))
    }

    /// Becomes the only writer.
    pub(super) fn lock(&self) -> Result<Box<dyn Lock>, LockError> {
        self.0.lock(LOCK_NAME)
    }

    /// Returns the segments in order.
    ///
    /// # Errors
    /// [`LogError::Foreign`] if there is a file that is no part of a log.
    pub(super) fn segments(&self) -> Result<Vec<Listed>, LogError> {
        let mut found = Vec::new();
        for name in self.0.names().map_err(self.failed(IoOp::Read, ""))? {
            let is_other = [LOCK_NAME, PREPARED_NAME, PACKING_NAME].contains(&name.as_str());
            if is_other || name.starts_with(TORN_PREFIX) {
                continue;
            }
            found.push(listed(&name).ok_or_else(|| LogError::Foreign { path: self.path(&name) })?);
        }
        found.sort_unstable_by_key(|segment| (segment.first, segment.form));
        // What was packed is removed only when the packed form is known to be on the disk.
        found.dedup_by(|later, first| later.first == first.first && later.form == Form::Packed);
        Ok(found)
    }

    /// Opens a segment for reading, whatever its name has become since it was listed.
    pub(super) fn open(&self, segment: &Listed) -> Result<Arc<dyn ReadAt>, LogError> {
        self.open_with(segment, &|name| Ok(self.0.open(name, Access::Read)?))
    }

    /// Opens a sealed segment to read single records from.
    pub(super) fn open_sealed(&self, first: Lsn) -> Result<Arc<dyn ReadAt>, LogError> {
        let segment = Listed { first, form: Form::Named };
        self.open_with(&segment, &|name| {
            if name.ends_with(PACKED) {
                Ok(self.0.open(name, Access::Read)?)
            } else {
                self.0.open_sealed(name)
            }
        })
    }

    fn open_with(
        &self,
        segment: &Listed,
        open: &dyn Fn(&str) -> io::Result<Arc<dyn ReadAt>>,
    ) -> Result<Arc<dyn ReadAt>, LogError> {
        let first = segment.first;
        let names = [segment.name(), segment_name(first), packed_name(first)];
        let opened = names.iter().map(|name| (name, open(name)));
        let is_there = |opened: &(&String, io::Result<_>)| !matches!(&opened.1, Err(error) if error.kind() == io::ErrorKind::NotFound);
        let (name, file) = opened
            .into_iter()
            .find(is_there)
            .unwrap_or_else(|| (&names[0], Err(io::Error::from(io::ErrorKind::NotFound))));
        let file = file.map_err(self.failed(IoOp::Open, name))?;
        if !name.ends_with(PACKED) {
            return Ok(file);
        }
        let path = self.path(name);
        match Packed::open(file) {
            Ok(packed) => Ok(Arc::new(packed)),
            Err(PackedError::Io { source, .. }) => Err(self.failed(IoOp::Read, name)(source)),
            Err(source) => Err(LogError::Packed { path, source }),
        }
    }

    /// Puts the packed form of a sealed segment in its place and returns how long that is. What
    /// was packed goes only when the packed form was read back and is on the disk.
    pub(super) fn pack(&self, first: Lsn, codec: &dyn Codec) -> Result<u64, LogError> {
        let from = segment_name(first);
        let source = self.0.open(&from, Access::Read).map_err(self.failed(IoOp::Open, &from))?;
        let packed = self.write_packed(&*source, codec).inspect_err(|_| self.drop_packing())?;
        self.rename(PACKING_NAME, &packed_name(first))?;
        self.sync_names()?;
        self.remove(&from)?;
        self.sync_names()?;
        Ok(packed)
    }

    /// Packs a segment into a file of its own, reads it back and makes sure that it is on the disk.
    fn write_packed(&self, source: &dyn ReadAt, codec: &dyn Codec) -> Result<u64, LogError> {
        let out = self.0.create(PACKING_NAME).map_err(self.failed(IoOp::Create, PACKING_NAME))?;
        let packed =
            compress::pack(source, codec, &*out).map_err(self.failed(IoOp::Write, PACKING_NAME))?;
        self.sync(&*out, PACKING_NAME)?;
        let image = Packed::open(out)
            .map_err(|source| LogError::Packed { path: self.path(PACKING_NAME), source })?;
        if !is_same(source, &image).map_err(self.failed(IoOp::Read, PACKING_NAME))? {
            let source = PackedError::Unfinished;
            return Err(LogError::Packed { path: self.path(PACKING_NAME), source });
        }
        Ok(packed)
    }

    /// Removes what an attempt to pack has left, if it did: its room may be what others need.
    pub(super) fn drop_packing(&self) {
        // It is overwritten by the next attempt.
        let _ = self.0.remove(PACKING_NAME);
    }

    /// Removes a segment in whatever forms it has.
    pub(super) fn remove_segment(&self, segment: &Listed) -> Result<(), LogError> {
        match self.0.remove(&packed_name(segment.first)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            other => other.map_err(self.failed(IoOp::Remove, &packed_name(segment.first)))?,
        }
        if segment.form == Form::Packed { Ok(()) } else { self.remove(&segment.name()) }
    }

    /// Opens a segment for reading and writing.
    pub(super) fn open_to_write(&self, name: &str) -> Result<Arc<dyn DirFile>, LogError> {
        self.0.open(name, Access::Write).map_err(self.failed(IoOp::Open, name))
    }

    /// Makes a file of zeros: the room of a segment. What can't be finished is removed: its room
    /// may be what others need.
    pub(super) fn prepare(&self, bytes: u64, room: Room) -> Result<Arc<dyn DirFile>, LogError> {
        let file =
            self.0.create(PREPARED_NAME).map_err(self.failed(IoOp::Create, PREPARED_NAME))?;
        match self.make_room(&*file, bytes, room) {
            Ok(()) => Ok(file),
            Err(error) => {
                // The error that matters is the one that is returned.
                let _ = self.0.remove(PREPARED_NAME);
                Err(error)
            }
        }
    }

    fn make_room(&self, file: &dyn DirFile, bytes: u64, room: Room) -> Result<(), LogError> {
        if room == Room::Reserved {
            match file.reserve(bytes) {
                Err(error) if error.kind() == io::ErrorKind::Unsupported => {}
                // What is set aside stays so until the file is used, and then it is synced.
                reserved => return reserved.map_err(self.failed(IoOp::Write, PREPARED_NAME)),
            }
        }
        let mut offset = 0;
        while offset < bytes {
            let left = usize::try_from(bytes - offset).unwrap_or(usize::MAX);
            let zeros = left.min(ZEROS.len());
            file.write_at(&ZEROS[..zeros], offset)
                .map_err(self.failed(IoOp::Write, PREPARED_NAME))?;
            offset += zeros as u64;
        }
        file.sync_all().map_err(self.failed(IoOp::Sync, PREPARED_NAME))
    }

    /// Makes the prepared file the segment that begins at `first`; from now on a killed process
    /// leaves it behind. [`Self::settle`] makes that true of a power loss too.
    pub(super) fn begin(
        &self,
        file: &dyn DirFile,
        first: Lsn,
        head: &[u8],
    ) -> Result<(), LogError> {
        file.write_at(head, 0).map_err(self.failed(IoOp::Write, PREPARED_NAME))?;
        self.rename(PREPARED_NAME, &new_name(first))
    }

    /// Makes sure that all of a file is on the disk. When that fails nobody knows what of it is:
    /// what is cached is let go of, so that whoever reads it again reads what is really there.
    pub(super) fn sync(&self, file: &dyn DirFile, name: &str) -> Result<(), LogError> {
        file.sync_all().map_err(|error| self.sync_failed(file, name, error))
    }

    /// Like [`Self::sync`], without the length, which has not changed.
    pub(super) fn sync_data(&self, file: &dyn DirFile, name: &str) -> Result<(), LogError> {
        file.sync_data().map_err(|error| self.sync_failed(file, name, error))
    }

    fn sync_failed(&self, file: &dyn DirFile, name: &str, error: io::Error) -> LogError {
        file.forget();
        self.failed(IoOp::Sync, name)(error)
    }

    /// Makes sure that a segment's head is on the disk, and says so by its name.
    pub(super) fn settle(&self, file: &dyn DirFile, first: Lsn) -> Result<(), LogError> {
        let name = new_name(first);
        self.sync(file, &name)?;
        self.rename(&name, &segment_name(first))?;
        self.sync_names()
    }

    /// Cuts the zeros off a full segment and makes sure that all of it is on the disk.
    pub(super) fn seal(&self, file: &dyn DirFile, first: Lsn, bytes: u64) -> Result<(), LogError> {
        let name = segment_name(first);
        file.set_bytes(bytes).map_err(self.failed(IoOp::Cut, &name))?;
        self.sync(file, &name)
    }

    /// Keeps bytes in a file of their own, on the disk, and returns its name: one that no earlier
    /// tail has.
    pub(super) fn keep(&self, lsn: Lsn, bytes: &[u8]) -> Result<String, LogError> {
        let name = self.torn_name(lsn)?;
        let file = self.0.create(&name).map_err(self.failed(IoOp::Create, &name))?;
        let written = file.write_at(bytes, 0).map_err(self.failed(IoOp::Write, &name));
        let kept = written.and_then(|()| self.sync(&*file, &name));
        if kept.is_err() {
            // Every start would leave another part of it.
            let _ = self.0.remove(&name);
        }
        kept.map(|()| name)
    }

    /// Takes a whole segment out of the log, keeping its file.
    pub(super) fn put_aside(&self, segment: &Listed) -> Result<String, LogError> {
        let name = self.torn_name(segment.first)?;
        self.rename(&segment.name(), &name)?;
        Ok(name)
    }

    fn torn_name(&self, lsn: Lsn) -> Result<String, LogError> {
        let names = self.0.names().map_err(self.failed(IoOp::Read, ""))?;
        let name = |number: u32| format!("{TORN_PREFIX}{:016x}.{number}.bin", lsn.0);
        let unused = (0..).map(name).find(|name| !names.contains(name));
        Ok(unused.expect("a directory has fewer files than there are numbers"))
    }

    /// Removes a segment.
    pub(super) fn remove(&self, name: &str) -> Result<(), LogError> {
        self.0.remove(name).map_err(self.failed(IoOp::Remove, name))
    }

    /// Makes sure that the names are on the disk.
    pub(super) fn sync_names(&self) -> Result<(), LogError> {
        self.0.sync().map_err(self.failed(IoOp::Sync, ""))
    }

    fn rename(&self, from: &str, to: &str) -> Result<(), LogError> {
        self.0.rename(from, to).map_err(self.failed(IoOp::Rename, from))
    }
}

fn listed(name: &str) -> Option<Listed> {
    let (digits, ending) = name.split_once('.')?;
    let form = match ending {
        SEGMENT => Form::Named,
        NEW => Form::New,
        PACKED => Form::Packed,
        _ => return None,
    };
    let is_hex = digits.len() == 16 && digits.bytes().all(|digit| digit.is_ascii_hexdigit());
    let first = u64::from_str_radix(digits, 16).ok().filter(|_| is_hex)?;
    Some(Listed { first: Lsn(first), form })
}

fn is_same(a: &dyn ReadAt, b: &dyn ReadAt) -> io::Result<bool> {
    let (mut of_a, mut of_b) = (vec![0; ZEROS.len()], vec![0; ZEROS.len()]);
    let mut offset = 0;
    loop {
        let count = a.read_at(&mut of_a, offset)?;
        if b.read_at(&mut of_b, offset)? != count || of_a[..count] != of_b[..count] {
            return Ok(false);
        }
        if count < of_a.len() {
            return Ok(true);
        }
        offset += count as u64;
    }
}

/// Reads the head of a segment, as much of it as is there.
pub(super) fn read_head(file: &dyn ReadAt) -> io::Result<Vec<u8>> {
    let mut head = vec![0; SEGMENT_HEADER_BYTES];
    let bytes = file.read_at(&mut head, 0)?;
    head.truncate(bytes);
    Ok(head)
}
