//! What the bytes of a segment mean after a crash.
//!
//! Whatever was not synced may be on the disk or not, in any order: a hole may be followed by
//! whole batches. So a whole batch behind a bad place proves nothing by itself. What decides is
//! the highest position that is known to have been synced, which every batch carries: a bad
//! place before it is damage, one at or behind it is a torn tail.

use super::format::{
    ALIGN, BATCH_HEADER_BYTES, BatchHeader, RecordRef, SegmentHeader, align_up, read_record,
    take_record,
};
use crate::ids::Lsn;

/// What a segment's bytes hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scan {
    /// The offset behind the last whole batch.
    pub end: u64,
    /// That batch's header CRC.
    pub last_crc: u32,
    /// The highest position that its batches know to be synced.
    pub synced: Lsn,
    /// Whole batches.
    pub batches: u64,
    /// Their records.
    pub records: u64,
    /// Whether only zeros follow.
    pub is_clean: bool,
}

/// Reads batches from offset `from` on, each behind the one before, and visits their records.
/// `prev_crc` is the header CRC of the batch before.
pub fn scan(
    bytes: &[u8],
    header: &SegmentHeader,
    from: u64,
    prev_crc: u32,
    visit: &mut dyn FnMut(RecordRef<'_>),
) -> Scan {
    let mut scan = Scan {
        end: from,
        last_crc: prev_crc,
        synced: Lsn(0),
        batches: 0,
        records: 0,
        is_clean: false,
    };
    let mut places = Vec::new();
    loop {
        let next = [scan.end, align_up(scan.end)].into_iter().find_map(|offset| {
            let (batch, crc) = whole_batch(bytes, header, offset, &mut places)?;
            (batch.prev_crc == scan.last_crc).then_some((offset, batch, crc))
        });
        let Some((offset, batch, crc)) = next else {
            break;
        };
        for &(at, lsn) in &places {
            if let Some((record, _)) = bytes.get(at..).and_then(|rest| read_record(rest, lsn)) {
                visit(record);
            }
        }
        scan.end = offset + batch.bytes() as u64;
        scan.last_crc = crc;
        scan.synced = scan.synced.max(batch.synced);
        scan.batches += 1;
        scan.records += u64::from(batch.records);
    }
    scan.is_clean = tail(bytes, scan.end).iter().all(|&byte| byte == 0);
    scan
}

/// Returns the highest position that any whole batch at or behind `from` knows to be synced,
/// looking on the borders where synced batches begin. Their chain is broken, so it is not asked.
pub fn highest_synced(bytes: &[u8], header: &SegmentHeader, from: u64) -> Lsn {
    let mut highest = Lsn(0);
    let mut places = Vec::new();
    let mut offset = align_up(from);
    while offset < bytes.len() as u64 {
        let mut next = offset + ALIGN;
        // Packed batches follow one another from a border on.
        let mut at = offset;
        while let Some((batch, _)) = whole_batch(bytes, header, at, &mut places) {
            highest = highest.max(batch.synced);
            at += batch.bytes() as u64;
            next = next.max(align_up(at));
        }
        offset = next;
    }
    highest
}

/// Returns the batch at an offset if it is whole, and its header CRC; fills `places` with where
/// its records stand.
fn whole_batch(
    bytes: &[u8],
    header: &SegmentHeader,
    offset: u64,
    places: &mut Vec<(usize, Lsn)>,
) -> Option<(BatchHeader, u32)> {
    places.clear();
    let lsn = Lsn(header.first.0 + offset);
    let (batch, crc) = BatchHeader::decode(tail(bytes, offset), header.salt, lsn)?;
    let start = usize::try_from(offset).ok()? + BATCH_HEADER_BYTES;
    let records = bytes.get(start..start + batch.payload_bytes as usize)?;
    let mut at = 0;
    while at < records.len() {
        let lsn = Lsn(lsn.0 + (BATCH_HEADER_BYTES + at) as u64);
        let (_, len) = take_record(&records[at..], lsn)?;
        places.push((start + at, lsn));
        at += len;
    }
    (places.len() == usize::from(batch.records)).then_some((batch, crc))
}

fn tail(bytes: &[u8], from: u64) -> &[u8] {
    usize::try_from(from).ok().and_then(|from| bytes.get(from..)).unwrap_or_default()
}

/// Reads arbitrary bytes as a segment, as a fuzzer does. Returns how many records were whole.
pub fn fuzz_scan(data: &[u8]) -> u64 {
    let header = SegmentHeader { log_id: [0; 16], first: Lsn(0), salt: 0, prev_crc: 0 };
    let mut visited = 0;
    let scan = scan(data, &header, 0, 0, &mut |_| visited += 1);
    highest_synced(data, &header, scan.end);
    assert!(scan.end <= data.len() as u64 && visited == scan.records);
    visited
}
