//! What the log says about tickets.
//!
//! The logstore keeps records of (kind, 16-byte key, value) and knows nothing of tickets; this
//! file is where a ticket's life becomes such records and back. All numbers are big-endian.
//!
//! ```text
//! kind 1 start      key: 8 zero bytes, epoch u32, 4 zero bytes
//!                   value: run u64 | wall clock ns u64 | boot id 16
//! kind 2 lease      key: 16 zero bytes
//!                   value: first id that is not leased u64
//! kind 3 issued     key: ticket u64, 0 u64
//!                   value: user u32 | seq u64 | service u8 | class u8 | priority u8
//!                          | demand ns u64 | scheduled u64 | submitted u64 | arrived u64
//!                          | waiting seen u32, highest bit: no seat was free | payload
//! kind 4 completed  key: ticket u64, 1 u64
//!                   value: outcome u8 | worker u16 | attempts u8
//!                          | durable u64 | started u64 | last started u64 | ended u64
//! ```

use crate::clock::{Time, WallTime};
use crate::ids::{Epoch, RunId, ServiceId, TicketId, Token, UserId, WorkerId};
use crate::limits;

/// The bit of the waiting tickets that says that no seat was free.
const DELAYED_SHIFT: u32 = 31;
const _: () = assert!(limits::ROOM_MAX < 1 << DELAYED_SHIFT, "no room for the bit");

/// The bytes of a record's key.
pub type Key = [u8; 16];

/// One fact about tickets, as it stands in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Record<'a> {
    /// The issuer was started.
    Start(Start),
    /// All ids below this one may be in use; the next start begins here.
    Lease(TicketId),
    /// A request was accepted and numbered.
    Issued(Issued<'a>),
    /// A ticket's life ended.
    Completed(Completed),
}

/// One start of the issuer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Start {
    /// The start's number on this data directory.
    pub epoch: Epoch,
    /// The run that the start belongs to; tokens are unique within one run.
    pub run: RunId,
    /// When, for people.
    pub wall: WallTime,
    /// The machine's boot id: monotonic times of another boot can't be compared.
    pub boot: [u8; 16],
}

/// An accepted request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Issued<'a> {
    /// The ticket.
    pub id: TicketId,
    /// Who asked, and the request's number.
    pub token: Token,
    /// The kind of work.
    pub service: ServiceId,
    /// The work that it brings, in nanoseconds.
    pub demand_ns: u64,
    /// When the user meant to ask.
    pub scheduled: Time,
    /// When the user asked.
    pub submitted: Time,
    /// When the issuer accepted.
    pub arrived: Time,
    /// Tickets that waited at that moment.
    pub waiting_seen: u32,
    /// No seat was free for it at that moment.
    pub is_delayed: bool,
    /// What the ticket carries.
    pub payload: &'a [u8],
}

/// The end of a ticket's life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Completed {
    /// The ticket.
    pub id: TicketId,
    /// How it ended.
    pub outcome: Outcome,
    /// The worker that held it last.
    pub worker: WorkerId,
    /// How often it was handed to a worker.
    pub attempts: u8,
    /// When its issue was as durable as the policy says.
    pub durable: Time,
    /// When it was first handed to a worker.
    pub started: Time,
    /// When it was last handed to a worker.
    pub last_started: Time,
    /// When the completion was received.
    pub ended: Time,
}

/// How a ticket's life ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// A worker served it.
    Served,
    /// Its workers died too often.
    Failed,
}

impl Outcome {
    /// Returns the outcome's number on disk and on the wire.
    pub fn code(self) -> u8 {
        match self {
            Self::Served => 1,
            Self::Failed => 2,
        }
    }

    /// Returns the outcome with this number.
    pub fn from_code(code: u8) -> Option<Self> {
        match code {
            1 => Some(Self::Served),
            2 => Some(Self::Failed),
            _ => None,
        }
    }

    /// Returns the word that tables show.
    pub fn name(self) -> &'static str {
        match self {
            Self::Served => "served",
            Self::Failed => "failed",
        }
    }
}

/// A record that is whole but says nothing that this version understands.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// The kind is not one of ours.
    #[error("record kind {0} is unknown")]
    UnknownKind(u8),
    /// The value has the wrong length or an unknown number in it.
    #[error("a record of kind {kind} has an invalid value of {bytes} bytes")]
    InvalidValue {
        /// The record's kind.
        kind: u8,
        /// The value's length.
        bytes: usize,
    },
}

const START: u8 = 1;
const LEASE: u8 = 2;
const ISSUED: u8 = 3;
const COMPLETED: u8 = 4;
const KEY_OF_COMPLETION: u64 = 1;

impl<'a> Record<'a> {
    /// Returns the record's kind.
    pub fn kind(&self) -> u8 {
        match self {
            Self::Start(_) => START,
            Self::Lease(_) => LEASE,
            Self::Issued(_) => ISSUED,
            Self::Completed(_) => COMPLETED,
        }
    }

    /// Returns the record's key.
    pub fn key(&self) -> Key {
        let mut key = [0; 16];
        match self {
            Self::Start(start) => key[8..12].copy_from_slice(&start.epoch.0.to_be_bytes()),
            Self::Lease(_) => {}
            Self::Issued(issued) => key = Issued::key(issued.id),
            Self::Completed(completed) => key = Completed::key(completed.id),
        }
        key
    }

    /// Appends the record's value to `out`.
    pub fn put_value(&self, out: &mut Vec<u8>) {
        match self {
            Self::Start(start) => {
                out.extend_from_slice(&start.run.0.to_be_bytes());
                out.extend_from_slice(&start.wall.0.to_be_bytes());
                out.extend_from_slice(&start.boot);
            }
            Self::Lease(until) => out.extend_from_slice(&until.0.to_be_bytes()),
            Self::Issued(issued) => issued.put(out),
            Self::Completed(completed) => completed.put(out),
        }
    }

    /// Reads a record.
    ///
    /// # Errors
    /// [`RecordError`] if the kind is unknown or the value does not fit it.
    pub fn decode(kind: u8, key: &Key, value: &'a [u8]) -> Result<Self, RecordError> {
        let mut fields = Fields(value);
        let id = TicketId(u64::from_be_bytes(*key.first_chunk().expect("a key has 16 bytes")));
        let record = match kind {
            START => Start::take(key, &mut fields).map(Self::Start),
            LEASE => fields.u64().map(|until| Self::Lease(TicketId(until))),
            ISSUED => Issued::take(id, &mut fields).map(Self::Issued),
            COMPLETED => Completed::take(id, &mut fields).map(Self::Completed),
            _ => return Err(RecordError::UnknownKind(kind)),
        };
        match record {
            Some(record) if fields.0.is_empty() => Ok(record),
            _ => Err(RecordError::InvalidValue { kind, bytes: value.len() }),
        }
    }
}

impl Start {
    fn take(key: &Key, fields: &mut Fields<'_>) -> Option<Self> {
        // Logs of before the index have it at the beginning, where ticket ids stand now.
        let [old, new] = [*key.first_chunk()?, *key[8..].first_chunk()?].map(u32::from_be_bytes);
        let epoch = Epoch(old.max(new));
        let (run, wall) = (RunId(fields.u64()?), WallTime(fields.u64()?));
        Some(Self { epoch, run, wall, boot: fields.bytes()? })
    }
}

impl<'a> Issued<'a> {
    const FIXED_BYTES: usize = 51;

    /// Returns the key of a ticket's issue.
    pub fn key(id: TicketId) -> Key {
        let mut key = [0; 16];
        key[..8].copy_from_slice(&id.0.to_be_bytes());
        key
    }

    fn put(&self, out: &mut Vec<u8>) {
        let mut fixed = [0; Self::FIXED_BYTES];
        fixed[0..4].copy_from_slice(&self.token.user.0.to_be_bytes());
        fixed[4..12].copy_from_slice(&self.token.seq.to_be_bytes());
        fixed[12] = self.service.0;
        fixed[15..23].copy_from_slice(&self.demand_ns.to_be_bytes());
        fixed[23..31].copy_from_slice(&self.scheduled.0.to_be_bytes());
        fixed[31..39].copy_from_slice(&self.submitted.0.to_be_bytes());
        fixed[39..47].copy_from_slice(&self.arrived.0.to_be_bytes());
        let seen = self.waiting_seen | u32::from(self.is_delayed) << DELAYED_SHIFT;
        fixed[47..51].copy_from_slice(&seen.to_be_bytes());
        out.extend_from_slice(&fixed);
        out.extend_from_slice(self.payload);
    }

    fn take(id: TicketId, fields: &mut Fields<'a>) -> Option<Self> {
        let token = Token { user: UserId(fields.u32()?), seq: fields.u64()? };
        let [service, _class, _priority] = fields.bytes()?;
        let demand_ns = fields.u64()?;
        let (scheduled, submitted, arrived) = (fields.time()?, fields.time()?, fields.time()?);
        let seen = fields.u32()?;
        Some(Self {
            id,
            token,
            service: ServiceId(service),
            demand_ns,
            scheduled,
            submitted,
            arrived,
            waiting_seen: seen & !(1 << DELAYED_SHIFT),
            is_delayed: seen >> DELAYED_SHIFT == 1,
            payload: fields.rest(),
        })
    }
}

impl Completed {
    const BYTES: usize = 36;

    /// Returns the key of the end of a ticket's life; it follows that of its issue.
    pub fn key(id: TicketId) -> Key {
        let mut key = Issued::key(id);
        key[8..].copy_from_slice(&KEY_OF_COMPLETION.to_be_bytes());
        key
    }

    fn put(&self, out: &mut Vec<u8>) {
        let mut bytes = [0; Self::BYTES];
        bytes[0] = self.outcome.code();
        bytes[1..3].copy_from_slice(&self.worker.0.to_be_bytes());
        bytes[3] = self.attempts;
        bytes[4..12].copy_from_slice(&self.durable.0.to_be_bytes());
        bytes[12..20].copy_from_slice(&self.started.0.to_be_bytes());
        bytes[20..28].copy_from_slice(&self.last_started.0.to_be_bytes());
        bytes[28..36].copy_from_slice(&self.ended.0.to_be_bytes());
        out.extend_from_slice(&bytes);
    }

    fn take(id: TicketId, fields: &mut Fields<'_>) -> Option<Self> {
        let [outcome] = fields.bytes()?;
        let worker = WorkerId(u16::from_be_bytes(fields.bytes()?));
        let [attempts] = fields.bytes()?;
        Some(Self {
            id,
            outcome: Outcome::from_code(outcome)?,
            worker,
            attempts,
            durable: fields.time()?,
            started: fields.time()?,
            last_started: fields.time()?,
            ended: fields.time()?,
        })
    }
}

/// What is left of a value.
pub(super) struct Fields<'a>(pub(super) &'a [u8]);

impl<'a> Fields<'a> {
    pub(super) fn bytes<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (bytes, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*bytes)
    }

    pub(super) fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (bytes, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(bytes)
    }

    pub(super) fn u32(&mut self) -> Option<u32> {
        self.bytes().map(u32::from_be_bytes)
    }

    pub(super) fn u64(&mut self) -> Option<u64> {
        self.bytes().map(u64::from_be_bytes)
    }

    pub(super) fn u128(&mut self) -> Option<u128> {
        self.bytes().map(u128::from_be_bytes)
    }

    fn time(&mut self) -> Option<Time> {
        self.u64().map(Time)
    }

    fn rest(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(record: &Record<'_>) {
        let mut value = Vec::new();
        record.put_value(&mut value);
        assert_eq!(Record::decode(record.kind(), &record.key(), &value).as_ref(), Ok(record));
        let cut = Record::decode(record.kind(), &record.key(), &value[..7]);
        assert_eq!(cut, Err(RecordError::InvalidValue { kind: record.kind(), bytes: 7 }));
    }

    #[test]
    fn every_kind_of_record_comes_back_as_it_was() {
        check(&Record::Start(Start {
            epoch: Epoch(7),
            run: RunId(0xfeed_0000_0000_0001),
            wall: WallTime(1_790_000_000_000_000_000),
            boot: *b"0123456789abcdef",
        }));
        check(&Record::Lease(TicketId(1 << 40)));
        check(&Record::Issued(Issued {
            id: TicketId(12),
            token: Token { user: UserId(0x0300_0011), seq: 99 },
            service: ServiceId(2),
            demand_ns: 12_000_000,
            scheduled: Time(1),
            submitted: Time(2),
            arrived: Time(3),
            waiting_seen: 4,
            is_delayed: true,
            payload: b"a parcel",
        }));
        check(&Record::Completed(Completed {
            id: TicketId(12),
            outcome: Outcome::Failed,
            worker: WorkerId(513),
            attempts: 3,
            durable: Time(4),
            started: Time(5),
            last_started: Time(6),
            ended: Time(7),
        }));
    }

    #[test]
    fn an_issue_and_its_completion_have_keys_that_sort_together() {
        let issued = |id| {
            Record::Issued(Issued {
                id: TicketId(id),
                token: Token::default(),
                service: ServiceId(0),
                demand_ns: 0,
                scheduled: Time(0),
                submitted: Time(0),
                arrived: Time(0),
                waiting_seen: 0,
                is_delayed: false,
                payload: b"",
            })
            .key()
        };
        let mut completed = issued(1);
        completed[15] = 1;
        assert!(issued(1) < completed && completed < issued(2));
    }

    proptest! {
        #[test]
        fn any_bytes_decode_or_are_refused(kind: u8, key: Key, value: Vec<u8>) {
            if let Ok(record) = Record::decode(kind, &key, &value) {
                prop_assert_eq!(record.kind(), kind);
            }
        }
    }
}
