//! The records of a log in order, some of them read ahead.
//!
//! Reading ahead tells when tickets that are open at a moment got their seats, which only the record
//! of their end says. How much is held is bounded; a place can be marked and come back to.

use std::collections::{HashMap, VecDeque};
use std::path::Path;

use engine::clock::Time;
use engine::ids::{Lsn, TicketId};
use engine::scheduler::record::{Issued, Record};
use engine::storage::LogError;
use engine::storage::format::{BATCH_HEADER_BYTES, RECORD_HEADER_BYTES};
use engine::storage::reader::ScanReport;
use engine::storage::tape::{Place, Tape};
use foldhash::fast::FixedState;

/// Records that are read at once.
const CHUNK_RECORDS: u64 = 8192;
/// Records that are read ahead, if the log has so many.
const AHEAD_RECORDS: usize = 64 * 1024;

/// A record, without what its ticket carries.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry {
    /// Where it stands.
    pub(super) lsn: Lsn,
    /// Bytes that were written for it, and for its batch if it is the first.
    pub(super) bytes: u64,
    /// It is the first of its batch.
    pub(super) begins_batch: bool,
    /// What it says; `None` if this version does not understand it.
    pub(super) record: Option<Record<'static>>,
}

impl Entry {
    /// Returns when it happened, if it says so.
    pub(super) fn at(&self) -> Option<Time> {
        match self.record {
            Some(Record::Issued(issued)) => Some(issued.arrived),
            Some(Record::Completed(end)) => Some(end.ended),
            _ => None,
        }
    }
}

/// A place to come back to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Mark {
    place: Option<Place>,
    skip: usize,
}

/// Records that were read together.
#[derive(Debug)]
struct Chunk {
    place: Option<Place>,
    entries: Vec<Entry>,
    next: usize,
}

/// A log that is read in order.
#[derive(Debug)]
pub(super) struct Reel {
    tape: Tape,
    /// The first one has entries left.
    chunks: VecDeque<Chunk>,
    ahead: usize,
    begun: HashMap<TicketId, Time, FixedState>,
    is_at_end: bool,
}

impl Reel {
    /// Returns the log of a data directory, from its beginning or from a mark on.
    pub(super) fn new(data_dir: &Path, mark: Option<Mark>) -> Result<Self, LogError> {
        let tape = Tape::new(data_dir, mark.and_then(|mark| mark.place));
        let begun = HashMap::default();
        let mut reel = Self { tape, chunks: VecDeque::new(), ahead: 0, begun, is_at_end: false };
        for _ in 0..mark.map_or(0, |mark| mark.skip) {
            reel.next()?;
        }
        Ok(reel)
    }

    /// Returns the next record; `None` at the end.
    pub(super) fn peek(&mut self) -> Result<Option<&Entry>, LogError> {
        while self.ahead < AHEAD_RECORDS && !self.is_at_end {
            self.read()?;
        }
        Ok(self.chunks.front().map(|chunk| &chunk.entries[chunk.next]))
    }

    /// Takes the next record.
    pub(super) fn next(&mut self) -> Result<Option<Entry>, LogError> {
        let Some(&entry) = self.peek()? else { return Ok(None) };
        let chunk = self.chunks.front_mut().expect("there is a next record");
        chunk.next += 1;
        if chunk.next == chunk.entries.len() {
            self.chunks.pop_front();
        }
        self.ahead -= 1;
        if let Some(Record::Completed(end)) = entry.record {
            self.begun.remove(&end.id);
        }
        Ok(Some(entry))
    }

    fn read(&mut self) -> Result<(), LogError> {
        let place = self.tape.place();
        let (mut entries, begun) = (Vec::new(), &mut self.begun);
        self.tape.read(CHUNK_RECORDS, &mut |record, begins_batch| {
            let head = if begins_batch { BATCH_HEADER_BYTES } else { 0 };
            let bytes = (head + RECORD_HEADER_BYTES + record.value.len()) as u64;
            let lsn = record.lsn;
            let record = Record::decode(record.kind, record.key, record.value).ok().map(owned);
            if let Some(Record::Completed(end)) = record {
                begun.insert(end.id, end.started);
            }
            entries.push(Entry { lsn, bytes, begins_batch, record });
        })?;
        self.is_at_end = entries.is_empty();
        self.ahead += entries.len();
        if !entries.is_empty() {
            self.chunks.push_back(Chunk { place, entries, next: 0 });
        }
        Ok(())
    }

    /// Looks whether a writer has gone on behind what was the end.
    pub(super) fn follow(&mut self) {
        self.is_at_end = false;
    }

    /// Returns the moment of the next record that says one.
    pub(super) fn next_at(&self) -> Option<Time> {
        let entries = self.chunks.iter().flat_map(|chunk| &chunk.entries[chunk.next..]);
        entries.filter_map(Entry::at).next()
    }

    /// Returns the moment of the newest record that was read ahead.
    pub(super) fn newest(&self) -> Option<Time> {
        let entries = self.chunks.iter().rev().flat_map(|chunk| {
            let entries = &chunk.entries[chunk.next..];
            entries.iter().rev()
        });
        entries.filter_map(Entry::at).next()
    }

    /// Returns when an open ticket got its seat, if it is known.
    pub(super) fn begun(&self, id: TicketId) -> Option<Time> {
        self.begun.get(&id).copied()
    }

    /// Returns where the next record stands.
    pub(super) fn mark(&self) -> Mark {
        match self.chunks.front() {
            Some(chunk) => Mark { place: chunk.place, skip: chunk.next },
            None => Mark { place: self.tape.place(), skip: 0 },
        }
    }

    /// Returns how far the log was read.
    pub(super) fn position(&self) -> Lsn {
        self.tape.place().map_or(Lsn(0), |place| place.lsn())
    }

    /// Says what follows where reading stopped.
    ///
    /// # Errors
    /// If it is damage.
    pub(super) fn judge(&self) -> Result<ScanReport, LogError> {
        self.tape.judge()
    }
}

/// Returns a record without what its ticket carries.
fn owned(record: Record<'_>) -> Record<'static> {
    match record {
        Record::Start(start) => Record::Start(start),
        Record::Lease(until) => Record::Lease(until),
        Record::Completed(end) => Record::Completed(end),
        Record::Issued(issued) => Record::Issued(Issued {
            id: issued.id,
            token: issued.token,
            service: issued.service,
            demand_ns: issued.demand_ns,
            scheduled: issued.scheduled,
            submitted: issued.submitted,
            arrived: issued.arrived,
            waiting_seen: issued.waiting_seen,
            is_delayed: issued.is_delayed,
            payload: b"",
        }),
    }
}
