//! Where the latest record of each key stands, in memory: what LMDB does not know yet and a
//! bounded working set beside it.
//!
//! Keys are a number and, below it, a small event: ticket 17's issue and its completion are
//! (17, 0) and (17, 1). Numbers are dense and rise, so a place is found by counting, not by
//! hashing: chunks of [`CHUNK_NUMBERS`] numbers, each an array of 8-byte places. A chunk is small,
//! so making one takes microseconds and nothing is ever moved; a hash table of ten million keys
//! stalls an append for a tenth of a second when it grows. What is no such key (there are few)
//! lives in a tree.
//!
//! Above the bound the lowest chunks go first: those that LMDB covers, else, and counted, the
//! oldest.

use std::collections::{BTreeMap, VecDeque};

use crate::ids::Lsn;

/// A record's key.
pub type Key = [u8; 16];

/// Where a record stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// Where it begins.
    pub lsn: Lsn,
    /// How long it is, its header included.
    pub len: u32,
}

/// Numbers of one chunk.
pub const CHUNK_NUMBERS: usize = 1 << 12;
/// Events of one number that have a place in a chunk.
const EVENTS: usize = 2;
/// Memory of one chunk.
pub const CHUNK_BYTES: usize = CHUNK_NUMBERS * EVENTS * size_of::<u64>();
/// Bits of a place's length.
const LEN_BITS: u32 = 24;
/// Chunks between the lowest and the highest at most; a number further away goes into the tree.
const CHUNKS_SPAN_MAX: u64 = 1 << 20;

/// The index.
#[derive(Debug)]
pub struct Index {
    /// Chunk `i` holds the numbers from `(base + i) * CHUNK_NUMBERS` on.
    chunks: VecDeque<Option<Chunk>>,
    base: u64,
    others: BTreeMap<Key, Place>,
    keys: usize,
    chunks_live: usize,
    chunks_max: usize,
    covered: Lsn,
    evicted_early: u64,
}

#[derive(Debug)]
struct Chunk {
    /// For each number and event: the LSN from `base` on, plus one, above [`LEN_BITS`] bits of
    /// length; zero if there is none.
    places: Box<[[u64; EVENTS]; CHUNK_NUMBERS]>,
    base: Lsn,
    /// The highest LSN in it.
    last: Lsn,
    keys: usize,
}

impl Index {
    /// Returns an empty index whose chunks take at most `bytes_max` bytes, or what one takes.
    pub fn new(bytes_max: u64) -> Self {
        let chunks_max = usize::try_from(bytes_max / CHUNK_BYTES as u64).unwrap_or(usize::MAX);
        Self {
            chunks: VecDeque::new(),
            base: 0,
            others: BTreeMap::new(),
            keys: 0,
            chunks_live: 0,
            chunks_max: chunks_max.max(1),
            covered: Lsn(0),
            evicted_early: 0,
        }
    }

    /// Returns how many keys it holds.
    pub fn keys(&self) -> usize {
        self.keys + self.others.len()
    }

    /// Returns how much memory its places take.
    pub fn bytes(&self) -> usize {
        let spine = self.chunks.capacity() * size_of::<Option<Chunk>>();
        let others = self.others.len() * size_of::<(Key, Place)>();
        self.chunks_live * CHUNK_BYTES + spine + others
    }

    /// Returns how many keys were let go of before LMDB covered them.
    pub fn evicted_early(&self) -> u64 {
        self.evicted_early
    }

    /// Returns where the latest record of a key stands, if it is known here.
    #[inline]
    pub fn get(&self, key: &Key) -> Option<Place> {
        if let Some((number, event)) = dense(key)
            && let Some(chunk) = self.chunk(number / CHUNK_NUMBERS as u64)
            && let Some(place) = chunk.get(number, event)
        {
            return Some(place);
        }
        self.others.get(key).copied()
    }

    /// Takes note of a record. A key's later records replace its earlier ones.
    #[inline]
    pub fn insert(&mut self, key: &Key, place: Place) {
        if let Some((number, event)) = dense(key)
            && let Some(at) = self.chunk_for(number / CHUNK_NUMBERS as u64, place.lsn)
            && let Some(chunk) = &mut self.chunks[at]
        {
            let before = chunk.keys;
            let fits = chunk.insert(number, event, place);
            let after = chunk.keys;
            self.keys = self.keys + after - before;
            if fits {
                return;
            }
        }
        self.others.insert(*key, place);
    }

    /// Takes note that LMDB knows all records before `lsn`.
    pub fn cover(&mut self, lsn: Lsn) {
        self.covered = self.covered.max(lsn);
        let covered = self.covered;
        self.others.retain(|_, place| place.lsn >= covered);
    }

    fn chunk(&self, number: u64) -> Option<&Chunk> {
        self.chunks.get(self.position(number)?)?.as_ref()
    }

    fn position(&self, number: u64) -> Option<usize> {
        usize::try_from(number.checked_sub(self.base)?).ok()
    }

    /// Returns where the chunk of a number is, which is made if it is not there; `None` if it is too
    /// far from the others.
    #[inline]
    fn chunk_for(&mut self, number: u64, lsn: Lsn) -> Option<usize> {
        match self.position(number) {
            Some(at) if matches!(self.chunks.get(at), Some(Some(_))) => Some(at),
            _ => self.make_chunk(number, lsn),
        }
    }

    #[cold]
    fn make_chunk(&mut self, number: u64, lsn: Lsn) -> Option<usize> {
        if self.chunks_live == self.chunks_max {
            self.evict();
        }
        if self.chunks.is_empty() {
            self.base = number;
        }
        while number < self.base && self.base - number < CHUNKS_SPAN_MAX {
            self.chunks.push_front(None);
            self.base -= 1;
        }
        let at = number.checked_sub(self.base).filter(|&at| at < CHUNKS_SPAN_MAX)?;
        let at = usize::try_from(at).ok()?;
        while self.chunks.len() <= at {
            self.chunks.push_back(None);
        }
        self.chunks[at] = Some(Chunk::new(lsn));
        self.chunks_live += 1;
        Some(at)
    }

    /// Lets go of the lowest chunk.
    fn evict(&mut self) {
        while let Some(lowest) = self.chunks.pop_front() {
            self.base += 1;
            if let Some(chunk) = lowest {
                self.keys -= chunk.keys;
                self.chunks_live -= 1;
                if chunk.last >= self.covered {
                    self.evicted_early += chunk.keys as u64;
                }
                return;
            }
        }
    }
}

impl Chunk {
    fn new(base: Lsn) -> Self {
        let places = vec![[0; EVENTS]; CHUNK_NUMBERS].into_boxed_slice();
        let places = places.try_into().expect("the length is the same constant");
        Self { places, base, last: base, keys: 0 }
    }

    fn get(&self, number: u64, event: usize) -> Option<Place> {
        let packed = self.places[slot(number)][event];
        let lsn = (packed >> LEN_BITS).checked_sub(1)?;
        let len = u32::try_from(packed & ((1 << LEN_BITS) - 1)).ok()?;
        Some(Place { lsn: Lsn(self.base.0 + lsn), len })
    }

    /// Returns whether the place fits.
    fn insert(&mut self, number: u64, event: usize, place: Place) -> bool {
        let packed = &mut self.places[slot(number)][event];
        let lsn = place.lsn.0.checked_sub(self.base.0).map_or(u64::MAX, |lsn| lsn + 1);
        if lsn >= 1 << (64 - LEN_BITS) || place.len >= 1 << LEN_BITS {
            self.keys -= usize::from(*packed != 0);
            *packed = 0;
            return false;
        }
        self.keys += usize::from(*packed == 0);
        *packed = lsn << LEN_BITS | u64::from(place.len);
        self.last = self.last.max(place.lsn);
        true
    }
}

/// Returns a key's number and event if it has a place in a chunk.
#[inline]
fn dense(key: &Key) -> Option<(u64, usize)> {
    let key = u128::from_be_bytes(*key);
    let number = u64::try_from(key >> 64).ok()?;
    let event = usize::try_from(key & u128::from(u64::MAX)).ok()?;
    (number > 0 && event < EVENTS).then_some((number, event))
}

#[expect(clippy::cast_possible_truncation, reason = "the remainder is below a small constant")]
fn slot(number: u64) -> usize {
    (number % CHUNK_NUMBERS as u64) as usize
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn key(number: u64, event: u64) -> Key {
        (u128::from(number) << 64 | u128::from(event)).to_be_bytes()
    }

    fn place(lsn: u64) -> Place {
        Place { lsn: Lsn(lsn), len: 100 }
    }

    #[test]
    fn the_latest_place_of_a_key_counts() {
        let mut index = Index::new(CHUNK_BYTES as u64);
        assert_eq!(index.get(&key(7, 0)), None);
        index.insert(&key(7, 0), place(10));
        index.insert(&key(7, 1), place(20));
        index.insert(&key(7, 0), place(30));
        assert_eq!(index.get(&key(7, 0)), Some(place(30)));
        assert_eq!(index.get(&key(7, 1)), Some(place(20)));
        assert_eq!((index.get(&key(8, 0)), index.keys()), (None, 2));
    }

    #[test]
    fn it_stays_within_its_bound_and_lets_go_of_the_oldest() {
        let mut index = Index::new(4 * CHUNK_BYTES as u64);
        let count = 20 * CHUNK_NUMBERS as u64;
        for number in 1..=count {
            index.cover(Lsn(number.saturating_sub(10) * 100));
            index.insert(&key(number, 0), place(number * 100));
            assert!(index.keys() <= 4 * CHUNK_NUMBERS && index.chunks_live <= 4);
        }
        assert_eq!(index.evicted_early(), 0, "LMDB covered them");
        assert_eq!(index.get(&key(1, 0)), None);
        assert_eq!(index.get(&key(count, 0)), Some(place(count * 100)));
    }

    #[test]
    fn what_goes_before_lmdb_covers_it_is_counted() {
        let mut index = Index::new(0);
        for number in 1..=3 * CHUNK_NUMBERS as u64 {
            index.insert(&key(number, 0), place(number * 100));
        }
        assert!(index.keys() <= CHUNK_NUMBERS && index.evicted_early() > 0);
    }

    #[test]
    fn a_ticket_takes_at_most_fourteen_bytes_a_key() {
        let mut index = Index::new(u64::MAX);
        for number in 1..=100_000 {
            index.insert(&key(number, 0), place(number * 200));
            index.insert(&key(number, 1), place(number * 200 + 100));
        }
        assert!(index.bytes() <= 14 * index.keys(), "{} bytes", index.bytes());
    }

    proptest! {
        #[test]
        fn it_answers_like_a_map(
            records in prop::collection::vec((0u64..9, 0u64..4, 0u32..3, any::<bool>()), 0..200),
        ) {
            let mut index = Index::new(u64::MAX);
            let mut map = BTreeMap::new();
            for (lsn, (number, event, scale, is_far)) in (1..).zip(records) {
                let number = number << (scale * 20);
                let lsn = if is_far { lsn << 41 } else { lsn };
                let (key, place) = (key(number, event), Place { lsn: Lsn(lsn), len: 40 });
                index.insert(&key, place);
                map.insert(key, place);
            }
            for (key, place) in map {
                prop_assert_eq!(index.get(&key), Some(place));
            }
        }
    }
}
