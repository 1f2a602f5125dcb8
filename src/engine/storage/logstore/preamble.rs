//! What each segment begins with: a log whose old segments were let go of begins with any of them.

use super::{Logstore, insert_records};
use crate::clock::Time;
use crate::ids::Lsn;
use crate::storage::LogError;
use crate::storage::format::{BATCH_HEADER_BYTES, put_record};
use crate::storage::index::Key;

/// A record that is written again at the beginning of each segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Preamble {
    /// What it is.
    pub kind: u8,
    /// What it is found by.
    pub key: Key,
    /// What it says.
    pub value: Vec<u8>,
}

impl Logstore {
    /// Has each segment that is begun from now on begin with these records: what a log must say
    /// from its first record on, of which any may become the first when old segments go.
    pub fn set_preamble(&mut self, records: Vec<Preamble>) {
        self.preamble = records;
    }

    /// Writes the first batch of a segment.
    pub(super) fn write_preamble(&mut self, now: Time) -> Result<(), LogError> {
        let Ok(records @ 1..) = u16::try_from(self.preamble.len()) else {
            return Ok(());
        };
        let offset = self.active.end;
        let lsn = self.active.lsn(offset);
        let mut batch = vec![0; BATCH_HEADER_BYTES];
        for Preamble { kind, key, value } in &self.preamble {
            let lsn = Lsn(lsn.0 + batch.len() as u64);
            put_record(&mut batch, lsn, *kind, *key, |out| out.extend_from_slice(value));
        }
        let header = self.batch_header(batch.len() - BATCH_HEADER_BYTES, records, lsn);
        let head = batch.first_chunk_mut().expect("it has room for the header");
        self.prev_crc = header.encode(self.active.salt, head);
        self.write_at(&batch, offset)?;
        let payload = &batch[BATCH_HEADER_BYTES..];
        insert_records(&mut self.index, payload, Lsn(lsn.0 + BATCH_HEADER_BYTES as u64));
        self.note_written(1, u64::from(records), offset..offset + batch.len() as u64, now);
        Ok(())
    }
}
