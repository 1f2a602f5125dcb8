//! Counters of an HDR histogram, in chunks that are allocated with their first value.
//!
//! Buckets are those of HdrHistogram for values from 1 to [`HIGHEST`] with three digits: each value
//! below 2048 has its own, and each doubling above is divided into 1024
//! (<https://hdrhistogram.org>, "the internal structure").

use super::HIGHEST;

/// Bits of a value that are told apart.
const KEPT_BITS: u32 = 11;
/// Buckets of each doubling.
const PER_DOUBLING: usize = 1 << (KEPT_BITS - 1);
/// Buckets in a chunk: half a kilobyte.
const CHUNK: usize = 64;
/// Buckets in all.
pub(super) const BUCKETS: usize = index(HIGHEST) + 1;

type Chunk = [u64; CHUNK];

/// A value and how often it came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Recorded {
    /// The largest of the values that can't be told from it.
    pub value: u64,
    /// How often one of them came.
    pub count: u64,
}

/// Counters by bucket.
#[derive(Clone, Debug, Default)]
pub(super) struct Counts {
    /// As far as the largest value needs; those without a value are `None`, or zeros after
    /// [`Self::clear`].
    chunks: Vec<Option<Box<Chunk>>>,
    total: u64,
}

/// Returns the bucket of a value.
#[inline]
#[expect(clippy::cast_possible_truncation, reason = "at most eleven bits are left")]
pub(super) const fn index(value: u64) -> usize {
    let bits = u64::BITS - value.leading_zeros();
    let shift = bits.saturating_sub(KEPT_BITS);
    shift as usize * PER_DOUBLING + (value >> shift) as usize
}

/// Returns the largest value of a bucket.
pub(super) fn highest(index: usize) -> u64 {
    let shift = (index / PER_DOUBLING).saturating_sub(1);
    (((index - shift * PER_DOUBLING) as u64 + 1) << shift) - 1
}

impl PartialEq for Counts {
    fn eq(&self, other: &Self) -> bool {
        self.total == other.total && self.iter().eq(other.iter())
    }
}

impl Counts {
    /// Counts so many values of a bucket.
    #[inline]
    pub(super) fn add(&mut self, index: usize, count: u64) {
        let counter = match self.chunks.get_mut(index / CHUNK) {
            Some(Some(chunk)) => &mut chunk[index % CHUNK],
            _ => &mut self.chunk_mut(index / CHUNK)[index % CHUNK],
        };
        *counter = counter.saturating_add(count);
        self.total = self.total.saturating_add(count);
    }

    #[cold]
    fn chunk_mut(&mut self, number: usize) -> &mut Chunk {
        if number >= self.chunks.len() {
            self.chunks.resize_with(number + 1, || None);
        }
        self.chunks[number].get_or_insert_with(|| Box::new([0; CHUNK]))
    }

    pub(super) fn total(&self) -> u64 {
        self.total
    }

    pub(super) fn merge(&mut self, other: &Self) {
        for (number, theirs) in other.allocated() {
            let own = self.chunk_mut(number);
            for (own, theirs) in own.iter_mut().zip(theirs) {
                *own = own.saturating_add(*theirs);
            }
        }
        self.total = self.total.saturating_add(other.total);
    }

    /// Takes counts away; a chunk of which nothing is left is freed.
    ///
    /// # Panics
    /// If more is taken away than there is.
    pub(super) fn subtract(&mut self, other: &Self) {
        const MORE: &str = "only what was merged is taken away";
        for (number, theirs) in other.allocated().filter(|(_, chunk)| has_values(chunk)) {
            let own = self.chunk_mut(number);
            for (own, theirs) in own.iter_mut().zip(theirs) {
                *own = own.checked_sub(*theirs).expect(MORE);
            }
            if !has_values(own) {
                self.chunks[number] = None;
            }
        }
        self.total = self.total.checked_sub(other.total).expect(MORE);
    }

    /// Forgets all counts and keeps the memory.
    pub(super) fn clear(&mut self) {
        if self.total > 0 {
            self.chunks.iter_mut().flatten().for_each(|chunk| chunk.fill(0));
        }
        self.total = 0;
    }

    /// Returns the bucket of the value that has so many values up to itself; `None` if there are
    /// fewer.
    pub(super) fn at_rank(&self, rank: u64) -> Option<usize> {
        let mut passed = 0_u64;
        for (number, chunk) in self.allocated() {
            let until = passed.saturating_add(sum(chunk));
            if until < rank {
                passed = until;
                continue;
            }
            let place = chunk.iter().position(|count| {
                passed = passed.saturating_add(*count);
                passed >= rank
            });
            return place.map(|place| number * CHUNK + place);
        }
        None
    }

    /// Returns how many values are in the buckets before this one.
    pub(super) fn before(&self, index: usize) -> u64 {
        let reached = self.allocated().take_while(|(number, _)| number * CHUNK < index);
        let sums = reached.map(|(number, chunk)| sum(&chunk[..CHUNK.min(index - number * CHUNK)]));
        sums.fold(0, u64::saturating_add)
    }

    /// Returns the last bucket that has values.
    pub(super) fn last(&self) -> Option<usize> {
        self.allocated().rev().find_map(|(number, chunk)| {
            chunk.iter().rposition(|count| *count > 0).map(|place| number * CHUNK + place)
        })
    }

    /// Returns the buckets that have values and how many, smallest first.
    pub(super) fn iter(&self) -> impl Iterator<Item = (usize, u64)> + '_ {
        self.allocated()
            .flat_map(|(number, chunk)| (number * CHUNK..).zip(chunk.iter().copied()))
            .filter(|(_, count)| *count > 0)
    }

    pub(super) fn recorded(&self) -> impl Iterator<Item = Recorded> + '_ {
        self.iter().map(|(index, count)| Recorded { value: highest(index), count })
    }

    fn allocated(&self) -> impl DoubleEndedIterator<Item = (usize, &Chunk)> {
        let chunks = self.chunks.iter().enumerate();
        chunks.filter_map(|(number, chunk)| Some((number, &**chunk.as_ref()?)))
    }
}

fn sum(counts: &[u64]) -> u64 {
    counts.iter().copied().fold(0, u64::saturating_add)
}

fn has_values(chunk: &Chunk) -> bool {
    chunk.iter().any(|count| *count > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_chunks_with_values_take_room() {
        let mut counts = Counts::default();
        let allocated = |counts: &Counts| counts.allocated().count();
        counts.add(index(5), 1);
        counts.add(index(6), 1);
        counts.add(index(HIGHEST), 1);
        assert_eq!((allocated(&counts), counts.chunks.len()), (2, BUCKETS.div_ceil(CHUNK)));
        let mut last = Counts::default();
        last.add(index(HIGHEST), 1);
        counts.subtract(&last);
        assert_eq!((allocated(&counts), counts.total(), counts.last()), (1, 2, Some(6)));
        counts.clear();
        assert_eq!((allocated(&counts), counts.last()), (1, None), "the memory is kept");
        assert_eq!(counts, Counts::default());
    }

    #[test]
    #[should_panic(expected = "only what was merged")]
    fn more_than_there_is_can_not_be_taken_away() {
        let mut one = Counts::default();
        one.add(7, 1);
        Counts::default().subtract(&one);
    }

    #[test]
    fn a_bucket_ends_where_the_next_begins() {
        for bucket in 0..BUCKETS - 1 {
            assert_eq!((index(highest(bucket)), index(highest(bucket) + 1)), (bucket, bucket + 1));
        }
    }
}
