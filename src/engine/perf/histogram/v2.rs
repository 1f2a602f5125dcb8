//! The V2 form of HdrHistogram, in which histograms travel and are kept.
//!
//! A header of 40 bytes, then one number for each bucket up to the last that has values: a count,
//! or how many buckets in a row have none, as a negative number. Numbers are zigzag-encoded and
//! written seven bits to a byte, nine bytes at most ("LEB128-64b9B"; source: `V2Serializer` of the
//! hdrhistogram crate, with which tests compare every byte). The product's own reader allocates
//! no more than the counts that came need, whatever a peer announces.

use super::counts::{BUCKETS, Counts};
use super::{HIGHEST, LOWEST, SIGNIFICANT_DIGITS};

/// The format's magic number.
const COOKIE: u32 = 0x1c84_9313;
/// Bytes of a number at most.
const NUMBER_MAX: u32 = 9;

/// Appends counts.
pub(super) fn put(counts: &Counts, bytes: &mut Vec<u8>) {
    bytes.extend_from_slice(&COOKIE.to_be_bytes());
    let length_at = bytes.len();
    bytes.extend_from_slice(&0_u32.to_be_bytes());
    bytes.extend_from_slice(&bounds());
    let begin = bytes.len();
    if counts.total() == 0 {
        put_number(0, bytes);
    }
    let mut next = 0;
    for (index, count) in counts.iter() {
        match index - next {
            0 => {}
            1 => put_number(0, bytes),
            zeros => put_number(-i64::try_from(zeros).unwrap_or(i64::MAX), bytes),
        }
        put_number(i64::try_from(count).unwrap_or(i64::MAX), bytes);
        next = index + 1;
    }
    let length = u32::try_from(bytes.len() - begin).expect("33 thousand numbers of nine bytes");
    bytes[length_at..length_at + 4].copy_from_slice(&length.to_be_bytes());
}

/// Reads counts; `None` if the bytes are none of ours, or not only that.
pub(super) fn take(bytes: &[u8]) -> Option<Counts> {
    let (cookie, rest) = bytes.split_first_chunk()?;
    let (length, rest) = rest.split_first_chunk()?;
    let (head, mut rest) = rest.split_first_chunk()?;
    let is_ours = u32::from_be_bytes(*cookie) == COOKIE
        && u32::from_be_bytes(*length) as usize == rest.len()
        && *head == bounds();
    if !is_ours {
        return None;
    }
    let mut counts = Counts::default();
    let mut index = 0_usize;
    while !rest.is_empty() {
        match take_number(&mut rest)? {
            zeros @ ..0 => {
                index = index.checked_add(usize::try_from(zeros.unsigned_abs()).ok()?)?;
            }
            0 => index += 1,
            count => {
                if index >= BUCKETS {
                    return None;
                }
                counts.add(index, count.unsigned_abs());
                index += 1;
            }
        }
    }
    (index <= BUCKETS).then_some(counts)
}

/// What stands in the header behind the length: no offset, digits, bounds, and 1.0.
fn bounds() -> [u8; 32] {
    let mut bytes = [0; 32];
    bytes[4..8].copy_from_slice(&u32::from(SIGNIFICANT_DIGITS).to_be_bytes());
    bytes[8..16].copy_from_slice(&LOWEST.to_be_bytes());
    bytes[16..24].copy_from_slice(&HIGHEST.to_be_bytes());
    bytes[24..].copy_from_slice(&1.0_f64.to_be_bytes());
    bytes
}

fn put_number(number: i64, bytes: &mut Vec<u8>) {
    let mut rest = ((number << 1) ^ (number >> 63)).cast_unsigned();
    for _ in 1..NUMBER_MAX {
        #[expect(clippy::cast_possible_truncation, reason = "the lowest seven bits")]
        let low = rest as u8 & 0x7f;
        rest >>= 7;
        if rest == 0 {
            return bytes.push(low);
        }
        bytes.push(low | 0x80);
    }
    // The ninth byte is whole.
    #[expect(clippy::cast_possible_truncation, reason = "eight bits are left")]
    bytes.push(rest as u8);
}

fn take_number(bytes: &mut &[u8]) -> Option<i64> {
    let mut number = 0_u64;
    for place in 0..NUMBER_MAX {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        if place == NUMBER_MAX - 1 {
            number |= u64::from(*byte) << (7 * place);
        } else {
            number |= u64::from(byte & 0x7f) << (7 * place);
            if byte & 0x80 == 0 {
                break;
            }
        }
    }
    Some((number >> 1).cast_signed() ^ -(number & 1).cast_signed())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_come_back_and_take_nine_bytes_at_most() {
        let mut edges = vec![0, 1, -1, i64::MAX, i64::MIN];
        edges.extend((1..63).flat_map(|bit| [1 << bit, (1 << bit) - 1, -(1 << bit)]));
        for number in edges {
            let mut bytes = Vec::new();
            put_number(number, &mut bytes);
            assert!(bytes.len() <= 9, "{number}");
            assert_eq!(take_number(&mut &bytes[..]), Some(number));
        }
    }

    #[test]
    fn values_beyond_the_last_bucket_are_refused() {
        let with = |zeros: usize, count: i64| {
            let mut bytes = Vec::new();
            put(&Counts::default(), &mut bytes);
            bytes.truncate(40);
            put_number(-i64::try_from(zeros).unwrap(), &mut bytes);
            put_number(count, &mut bytes);
            let length = u32::try_from(bytes.len() - 40).unwrap();
            bytes[4..8].copy_from_slice(&length.to_be_bytes());
            take(&bytes).map(|counts| counts.last())
        };
        assert_eq!(with(BUCKETS - 1, 3), Some(Some(BUCKETS - 1)));
        assert_eq!((with(BUCKETS, 3), with(BUCKETS, 0), with(1 << 40, -5)), (None, None, None));
    }
}
