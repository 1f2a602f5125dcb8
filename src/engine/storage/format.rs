//! How the log lies on the disk. All numbers are big-endian.
//!
//! A log is a row of segments, `log/<first LSN, 16 hex digits>.seg`. An LSN is a position in the
//! whole log: the first LSN of a segment plus the offset in its file.
//!
//! ```text
//! segment header, 4096 bytes
//!    0   8  magic "PO-LOG\r\n"
//!    8   2  format version
//!   10   2  zero
//!   12  16  log id, the same in all segments of a log
//!   28   8  first LSN: the LSN of byte 0
//!   36   4  salt, random in each segment
//!   40   4  header CRC of the last batch of the segment before, 0 in the first
//!   44   4  CRC-32C of bytes 0..44
//!   48      zeros
//!
//! batch, the unit of write and of sync: 40 bytes, then records
//!    0   4  magic "PBAT"
//!    4   4  CRC-32C of bytes 8..40, xor the segment's salt
//!    8   4  length of the records
//!   12   2  count of the records
//!   14   2  flags: 1 = mark, a batch without records
//!   16   8  LSN of byte 0
//!   24   8  synced LSN: all before it was known to be on the disk when this was encoded
//!   32   4  header CRC of the batch before
//!   36   4  zero
//!
//! record
//!    0   4  CRC-32C of bytes 4.., xor the record's LSN folded to 32 bits
//!    4   3  length of the value
//!    7   1  kind
//!    8  16  key
//!   24      value
//! ```
//!
//! The salt makes bytes of another segment fail, the LSN makes misplaced ones fail, and the chain
//! of header CRCs makes a missing batch visible. A batch begins where the one before ends, or on
//! the next border of [`ALIGN`]. Zeros are no batch, so a segment that was filled with zeros
//! beforehand ends where they begin. The last batch of a segment may be cut short by a recovery;
//! then the next segment begins where its last whole record ends.

use crate::ids::Lsn;

/// The format's version.
pub const VERSION: u16 = 1;
/// The length of a segment's header.
pub const SEGMENT_HEADER_BYTES: usize = 4096;
/// The border on which a batch begins when the one before has been handed to a sync: a block
/// that a sync has covered is never written again.
pub const ALIGN: u64 = 4096;
/// The length of a batch's header.
pub const BATCH_HEADER_BYTES: usize = 40;
/// The length of a record without its value.
pub const RECORD_HEADER_BYTES: usize = 24;
/// The longest value.
pub const VALUE_BYTES_MAX: usize = (1 << 24) - 1;
/// The most records of one batch.
pub const BATCH_RECORDS_MAX: usize = u16::MAX as usize;
/// The length at which a batch takes no more records.
pub const BATCH_BYTES_FULL: usize = 1 << 18;

const SEGMENT_MAGIC: [u8; 8] = *b"PO-LOG\r\n";
const BATCH_MAGIC: [u8; 4] = *b"PBAT";
const FLAG_MARK: u16 = 1;

/// What a segment says about itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SegmentHeader {
    /// The log that the segment belongs to.
    pub log_id: [u8; 16],
    /// The LSN of its first byte.
    pub first: Lsn,
    /// What its batches' checksums are mixed with.
    pub salt: u32,
    /// The header CRC of the last batch before it.
    pub prev_crc: u32,
}

/// Why a segment's header can't be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeaderError {
    /// It is not one, or it is damaged.
    Invalid,
    /// It is of another version.
    Version(u16),
}

impl SegmentHeader {
    /// Returns the header's block.
    pub fn encode(&self) -> [u8; SEGMENT_HEADER_BYTES] {
        let mut block = [0; SEGMENT_HEADER_BYTES];
        block[0..8].copy_from_slice(&SEGMENT_MAGIC);
        block[8..10].copy_from_slice(&VERSION.to_be_bytes());
        block[12..28].copy_from_slice(&self.log_id);
        block[28..36].copy_from_slice(&self.first.0.to_be_bytes());
        block[36..40].copy_from_slice(&self.salt.to_be_bytes());
        block[40..44].copy_from_slice(&self.prev_crc.to_be_bytes());
        let crc = crc(&block[0..44]);
        block[44..48].copy_from_slice(&crc.to_be_bytes());
        block
    }

    /// Reads a segment's header.
    ///
    /// # Errors
    /// [`HeaderError`] if it is damaged or of another version.
    pub fn decode(block: &[u8]) -> Result<Self, HeaderError> {
        let (head, rest) = block
            .get(..SEGMENT_HEADER_BYTES)
            .and_then(|block| block.split_first_chunk::<48>())
            .ok_or(HeaderError::Invalid)?;
        let is_whole = head[0..8] == SEGMENT_MAGIC && crc(&head[0..44]) == u32_at(head, 44);
        if !is_whole || rest.iter().any(|&byte| byte != 0) {
            return Err(HeaderError::Invalid);
        }
        let version = u16::from_be_bytes([head[8], head[9]]);
        if version != VERSION {
            return Err(HeaderError::Version(version));
        }
        let mut log_id = [0; 16];
        log_id.copy_from_slice(&head[12..28]);
        Ok(Self {
            log_id,
            first: Lsn(u64_at(head, 28)),
            salt: u32_at(head, 36),
            prev_crc: u32_at(head, 40),
        })
    }
}

/// What a batch says about itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchHeader {
    /// The length of its records.
    pub payload_bytes: u32,
    /// How many records it has.
    pub records: u16,
    /// Where it begins.
    pub lsn: Lsn,
    /// All before it was on the disk when it was encoded.
    pub synced: Lsn,
    /// The header CRC of the batch before.
    pub prev_crc: u32,
}

impl BatchHeader {
    /// What a batch begins with.
    pub const MAGIC: [u8; 4] = BATCH_MAGIC;

    /// Returns the salt with which the header's checksum would be right.
    pub fn salt_of(bytes: &[u8]) -> Option<u32> {
        let head: &[u8; BATCH_HEADER_BYTES] = bytes.first_chunk()?;
        Some(crc(&head[8..40]) ^ u32_at(head, 4))
    }

    /// Writes the header in front of its records and returns its CRC.
    pub fn encode(&self, salt: u32, out: &mut [u8; BATCH_HEADER_BYTES]) -> u32 {
        let flags = if self.records == 0 { FLAG_MARK } else { 0 };
        out[0..4].copy_from_slice(&BATCH_MAGIC);
        out[8..12].copy_from_slice(&self.payload_bytes.to_be_bytes());
        out[12..14].copy_from_slice(&self.records.to_be_bytes());
        out[14..16].copy_from_slice(&flags.to_be_bytes());
        out[16..24].copy_from_slice(&self.lsn.0.to_be_bytes());
        out[24..32].copy_from_slice(&self.synced.0.to_be_bytes());
        out[32..36].copy_from_slice(&self.prev_crc.to_be_bytes());
        out[36..40].fill(0);
        let crc = crc(&out[8..40]) ^ salt;
        out[4..8].copy_from_slice(&crc.to_be_bytes());
        crc
    }

    /// Reads the header of the batch that should begin at `lsn`, and its CRC; `None` if none does.
    pub fn decode(bytes: &[u8], salt: u32, lsn: Lsn) -> Option<(Self, u32)> {
        let head: &[u8; BATCH_HEADER_BYTES] = bytes.first_chunk()?;
        let found = u32_at(head, 4);
        let is_whole = head[0..4] == BATCH_MAGIC
            && crc(&head[8..40]) ^ salt == found
            && u64_at(head, 16) == lsn.0;
        let header = Self {
            payload_bytes: u32_at(head, 8),
            records: u16::from_be_bytes([head[12], head[13]]),
            lsn,
            synced: Lsn(u64_at(head, 24)),
            prev_crc: u32_at(head, 32),
        };
        is_whole.then_some((header, found))
    }

    /// Returns the length of the whole batch.
    pub fn bytes(&self) -> usize {
        BATCH_HEADER_BYTES + self.payload_bytes as usize
    }
}

/// One record of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordRef<'a> {
    /// Where it begins.
    pub lsn: Lsn,
    /// What it is.
    pub kind: u8,
    /// What it is found by.
    pub key: &'a [u8; 16],
    /// What it says.
    pub value: &'a [u8],
}

/// Appends a record whose value is what `put_value` appends. `lsn` is where it will stand.
///
/// # Panics
/// If the value is longer than [`VALUE_BYTES_MAX`]; callers bound theirs far below.
#[inline]
pub fn put_record(
    out: &mut Vec<u8>,
    lsn: Lsn,
    kind: u8,
    key: [u8; 16],
    put_value: impl FnOnce(&mut Vec<u8>),
) {
    let start = out.len();
    out.extend_from_slice(&[0; RECORD_HEADER_BYTES]);
    put_value(out);
    let value_bytes = out.len() - start - RECORD_HEADER_BYTES;
    assert!(value_bytes <= VALUE_BYTES_MAX, "a value of {value_bytes} bytes does not fit");
    let [_, _, _, _, _, b2, b1, b0] = (value_bytes as u64).to_be_bytes();
    let record = &mut out[start..];
    record[4..8].copy_from_slice(&[b2, b1, b0, kind]);
    record[8..24].copy_from_slice(&key);
    let crc = crc(&record[4..]) ^ fold(lsn);
    record[0..4].copy_from_slice(&crc.to_be_bytes());
}

/// Changes the checksums of records that were made for one place so that they fit another.
///
/// # Panics
/// If `records` is not a row of whole records.
pub fn move_records(records: &mut [u8], from: Lsn, to: Lsn) {
    if from == to {
        return;
    }
    let mut at = 0;
    while at < records.len() {
        let offset = (BATCH_HEADER_BYTES + at) as u64;
        let change = fold(Lsn(from.0 + offset)) ^ fold(Lsn(to.0 + offset));
        let crc = u32_at(records, at) ^ change;
        records[at..at + 4].copy_from_slice(&crc.to_be_bytes());
        let value_bytes = u32_at(records, at + 4) >> 8;
        at += RECORD_HEADER_BYTES + value_bytes as usize;
    }
}

/// Returns the record at the beginning of `bytes`, which stands at `lsn`, and its length; `None`
/// if it is not whole or not what was written.
#[inline]
pub fn take_record(bytes: &[u8], lsn: Lsn) -> Option<(RecordRef<'_>, usize)> {
    let len = record_bytes(bytes)?;
    let record = bytes.get(..len)?;
    if crc(&record[4..]) ^ fold(lsn) != u32_at(record, 0) {
        return None;
    }
    let key = record[8..RECORD_HEADER_BYTES].first_chunk()?;
    Some((RecordRef { lsn, kind: record[7], key, value: &record[RECORD_HEADER_BYTES..] }, len))
}

/// Returns how long the record at the beginning of `bytes` says it is.
#[inline]
pub fn record_bytes(bytes: &[u8]) -> Option<usize> {
    let head: &[u8; RECORD_HEADER_BYTES] = bytes.first_chunk()?;
    let value_bytes = u32::from_be_bytes([0, head[4], head[5], head[6]]);
    Some(RECORD_HEADER_BYTES + value_bytes as usize)
}

/// Returns the next border at or behind a position in a segment's file.
pub fn align_up(offset: u64) -> u64 {
    offset.next_multiple_of(ALIGN)
}

fn fold(lsn: Lsn) -> u32 {
    let [a, b, c, d, e, f, g, h] = lsn.0.to_be_bytes();
    u32::from_be_bytes([a, b, c, d]) ^ u32::from_be_bytes([e, f, g, h])
}

#[inline]
pub(super) fn crc(bytes: &[u8]) -> u32 {
    crc_fast::crc32_iscsi(bytes)
}

pub(super) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_be_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

pub(super) fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from(u32_at(bytes, at)) << 32 | u64::from(u32_at(bytes, at + 4))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_segment_header_comes_back_or_is_refused() {
        let header = SegmentHeader { log_id: [7; 16], first: Lsn(1 << 40), salt: 9, prev_crc: 5 };
        let block = header.encode();
        assert_eq!(SegmentHeader::decode(&block), Ok(header));
        for at in (0..48).chain([48, SEGMENT_HEADER_BYTES - 1]) {
            let mut flipped = block;
            flipped[at] ^= 1;
            assert_eq!(SegmentHeader::decode(&flipped), Err(HeaderError::Invalid), "byte {at}");
        }
        assert_eq!(SegmentHeader::decode(&block[..4095]), Err(HeaderError::Invalid));
    }

    #[test]
    fn another_version_is_told_from_damage() {
        let header = SegmentHeader { log_id: [7; 16], first: Lsn(0), salt: 9, prev_crc: 0 };
        let mut block = header.encode();
        block[9] = 9;
        let crc = crc(&block[0..44]);
        block[44..48].copy_from_slice(&crc.to_be_bytes());
        assert_eq!(SegmentHeader::decode(&block), Err(HeaderError::Version(9)));
    }

    #[test]
    fn a_batch_header_belongs_to_its_place_and_segment() {
        let header = BatchHeader {
            payload_bytes: 100,
            records: 2,
            lsn: Lsn(4096),
            synced: Lsn(4000),
            prev_crc: 77,
        };
        let mut bytes = [0; BATCH_HEADER_BYTES];
        let crc = header.encode(3, &mut bytes);
        assert_eq!(BatchHeader::decode(&bytes, 3, Lsn(4096)), Some((header, crc)));
        assert_eq!(BatchHeader::decode(&bytes, 4, Lsn(4096)), None);
        assert_eq!(BatchHeader::decode(&bytes, 3, Lsn(8192)), None);
        assert_eq!(BatchHeader::decode(&[0; 64], 0, Lsn(0)), None, "zeros are no batch");
    }

    #[test]
    fn a_record_with_any_bit_flipped_or_moved_is_none() {
        let mut bytes = Vec::new();
        put_record(&mut bytes, Lsn(50), 3, *b"0123456789abcdef", |out| {
            out.extend_from_slice(b"stamp")
        });
        let (record, len) = take_record(&bytes, Lsn(50)).unwrap();
        assert_eq!((record.kind, record.value, len), (3, &b"stamp"[..], 29));
        assert_eq!(take_record(&bytes, Lsn(51)), None);
        assert_eq!(take_record(&bytes[..28], Lsn(50)), None);
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(take_record(&flipped, Lsn(50)), None, "bit {bit}");
        }
    }
}
