//! HDR histograms with three significant digits, of latencies up to an hour and of plain numbers.
//!
//! Values are exact to the nanosecond up to 2 µs and to one part in two thousand above. Percentiles
//! come from merged histograms only and are never averaged. Buckets and bytes are those of
//! HdrHistogram; counters are kept in chunks (`counts`) that are allocated with their first value,
//! as a run keeps a hundred histograms of 33 thousand counters of which a few hundred are used.

use std::borrow::Cow;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use counts::Counts;
pub use counts::Recorded;

mod counts;
mod v2;

/// The smallest value that is told from zero.
const LOWEST: u64 = 1;
/// The largest value; larger ones count as this large. As a latency it is an hour.
const HIGHEST: u64 = 3_600_000_000_000;
const SIGNIFICANT_DIGITS: u8 = 3;

/// Counts of values: how often each came.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Histogram {
    counts: Counts,
    /// The exact sum, so that the mean does not suffer from the buckets.
    sum: u128,
}

/// Mean, percentiles and maximum of a histogram.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Spread {
    /// Arithmetic mean, exact.
    pub mean: Duration,
    /// Median.
    pub p50: Duration,
    /// 90th percentile.
    pub p90: Duration,
    /// 99th percentile.
    pub p99: Duration,
    /// 99.9th percentile.
    pub p999: Duration,
    /// Largest value.
    pub max: Duration,
}

/// Bytes that are no histogram of ours.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("not a serialized latency histogram")]
pub struct InvalidHistogram;

impl Serialize for Spread {
    /// Six numbers of nanoseconds, in the order of the fields.
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let Self { mean, p50, p90, p99, p999, max } = *self;
        [mean, p50, p90, p99, p999, max].map(crate::clock::nanos).serialize(to)
    }
}

impl<'de> Deserialize<'de> for Spread {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let numbers = <[u64; 6]>::deserialize(from)?;
        let [mean, p50, p90, p99, p999, max] = numbers.map(Duration::from_nanos);
        Ok(Self { mean, p50, p90, p99, p999, max })
    }
}

impl Serialize for Histogram {
    /// The bytes of [`Self::to_bytes`], in hexadecimal.
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let digit = |half: u8| char::from(DIGITS[usize::from(half)]);
        let bytes = self.to_bytes();
        let text: String =
            bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]).map(digit).collect();
        to.serialize_str(&text)
    }
}

impl<'de> Deserialize<'de> for Histogram {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = <Cow<'de, str>>::deserialize(from)?;
        let half = |digit: u8| char::from(digit).to_digit(16);
        let byte = |pair: &[u8]| match pair {
            &[high, low] => u8::try_from(half(high)? << 4 | half(low)?).ok(),
            _ => None,
        };
        let bytes: Option<Vec<u8>> = text.as_bytes().chunks(2).map(byte).collect();
        let histogram = bytes.and_then(|bytes| Self::from_bytes(&bytes).ok());
        histogram.ok_or_else(|| serde::de::Error::custom(InvalidHistogram))
    }
}

impl Histogram {
    /// Counts one latency; one above an hour counts as an hour.
    #[inline]
    pub fn record(&mut self, latency: Duration) {
        self.record_value(u64::try_from(latency.as_nanos()).unwrap_or(u64::MAX));
    }

    /// Counts one value.
    #[inline]
    pub fn record_value(&mut self, value: u64) {
        let value = value.min(HIGHEST);
        self.counts.add(counts::index(value), 1);
        self.sum += u128::from(value);
    }

    /// Returns how many values were counted.
    pub fn count(&self) -> u64 {
        self.counts.total()
    }

    /// Adds all that `other` counted.
    pub fn merge(&mut self, other: &Self) {
        self.counts.merge(&other.counts);
        self.sum = self.sum.saturating_add(other.sum);
    }

    /// Takes away what `other` counted, all of which must have been merged before.
    ///
    /// # Panics
    /// If more is taken away than there is.
    pub fn subtract(&mut self, other: &Self) {
        self.counts.subtract(&other.counts);
        self.sum = self.sum.saturating_sub(other.sum);
    }

    /// Forgets all values and keeps the memory.
    pub fn clear(&mut self) {
        self.counts.clear();
        self.sum = 0;
    }

    /// Returns the value that this share of all values does not exceed, in the unit that was
    /// recorded: nanoseconds for a latency. Zero if nothing was counted.
    pub fn quantile(&self, share: f64) -> u64 {
        #[expect(clippy::cast_precision_loss, reason = "the rank is exact below 2^53 values")]
        let rank = share.min(1.0) * self.count() as f64;
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a rank")]
        let rank = (rank.ceil() as u64).max(1);
        self.counts.at_rank(rank).map_or(0, counts::highest)
    }

    /// Returns how many values are not larger than this one; those that can't be told from it, as
    /// three digits are kept, are the same.
    pub fn count_up_to(&self, value: u64) -> u64 {
        self.counts.before(counts::index(value.min(HIGHEST)) + 1)
    }

    /// Returns how many values are smaller than this one and can be told from it.
    pub fn count_below(&self, value: u64) -> u64 {
        self.counts.before(counts::index(value.min(HIGHEST)))
    }

    /// Returns the largest value; zero if nothing was counted.
    pub fn max(&self) -> u64 {
        self.counts.last().map_or(0, counts::highest)
    }

    /// Returns the exact sum of all values.
    pub fn sum(&self) -> u128 {
        self.sum
    }

    /// Returns the arithmetic mean; zero if nothing was counted.
    pub fn mean(&self) -> u64 {
        let mean = self.sum.checked_div(u128::from(self.count())).unwrap_or(0);
        u64::try_from(mean).unwrap_or(u64::MAX)
    }

    /// Returns the values that came and how often, smallest first. Values that can't be told apart
    /// are one, the largest of them.
    pub fn recorded(&self) -> impl Iterator<Item = Recorded> + '_ {
        self.counts.recorded()
    }

    /// Returns the same as HdrHistogram's own type, for what only its tools do.
    ///
    /// # Panics
    /// Never: the bounds are constants that it accepts, and all values are within them.
    pub fn to_hdr(&self) -> hdrhistogram::Histogram<u64> {
        let mut hdr = hdrhistogram::Histogram::new_with_bounds(LOWEST, HIGHEST, SIGNIFICANT_DIGITS)
            .expect("the bounds are constants that it accepts");
        for Recorded { value, count } in self.recorded() {
            hdr.record_n(value.min(HIGHEST), count).expect("the value is within the bounds");
        }
        hdr
    }

    /// Returns the summary of latencies; `None` if nothing was counted.
    pub fn spread(&self) -> Option<Spread> {
        let quantile = |share| Duration::from_nanos(self.quantile(share));
        (self.count() > 0).then(|| Spread {
            mean: Duration::from_nanos(self.mean()),
            p50: quantile(0.5),
            p90: quantile(0.9),
            p99: quantile(0.99),
            p999: quantile(0.999),
            max: Duration::from_nanos(self.max()),
        })
    }

    /// Returns the exact sum as 16 big-endian bytes followed by the HDR V2 serialization.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        self.put_bytes(&mut bytes);
        bytes
    }

    /// Appends what [`Self::to_bytes`] returns.
    pub fn put_bytes(&self, bytes: &mut Vec<u8>) {
        bytes.extend_from_slice(&self.sum.to_be_bytes());
        v2::put(&self.counts, bytes);
    }

    /// Reads what [`Self::to_bytes`] wrote.
    ///
    /// # Errors
    /// [`InvalidHistogram`] if the bytes are not such a histogram or have other bounds.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, InvalidHistogram> {
        let (sum, rest) = bytes.split_first_chunk().ok_or(InvalidHistogram)?;
        let counts = v2::take(rest).ok_or(InvalidHistogram)?;
        Ok(Self { counts, sum: u128::from_be_bytes(*sum) })
    }
}

#[cfg(test)]
mod tests {
    use hdrhistogram::serialization::{Serializer, V2Serializer};
    use proptest::prelude::*;

    use super::*;

    fn of(values_us: impl IntoIterator<Item = u64>) -> Histogram {
        let mut histogram = Histogram::default();
        for us in values_us {
            histogram.record(Duration::from_micros(us));
        }
        histogram
    }

    #[test]
    fn percentiles_have_three_digits_and_the_mean_is_exact() {
        let spread = of(1..=10_000).spread().unwrap();
        let near = |found: Duration, us: u64| {
            let wanted = Duration::from_micros(us);
            assert!(found.abs_diff(wanted) <= wanted / 1000, "{found:?} is not {wanted:?}");
        };
        assert_eq!(spread.mean, Duration::from_nanos(5_000_500));
        near(spread.p50, 5_000);
        near(spread.p99, 9_900);
        near(spread.max, 10_000);
    }

    #[test]
    fn values_up_to_a_limit_are_counted() {
        let histogram = of([5, 50, 500, 5000]);
        let counted = [0, 5, 60, 500, 9000].map(|us| histogram.count_up_to(us * 1000));
        assert_eq!(counted, [0, 1, 2, 3, 4]);
        let below = [0, 5, 60, 500, 9000].map(|us| histogram.count_below(us * 1000));
        assert_eq!(below, [0, 0, 2, 2, 4]);
        assert_eq!(
            (Histogram::default().count_up_to(5), Histogram::default().count_below(5)),
            (0, 0)
        );
    }

    #[test]
    fn merging_equals_counting_together() {
        let mut merged = of(1..500);
        merged.merge(&of(500..900));
        assert_eq!(merged, of(1..900));
    }

    #[test]
    fn what_was_merged_can_be_taken_away() {
        let mut window = of(1..900);
        window.subtract(&of(500..900));
        assert_eq!(window, of(1..500));
        window.subtract(&of(1..500));
        assert_eq!((window.spread(), window.count()), (None, 0));
        window.clear();
        assert_eq!(window, Histogram::default());
    }

    #[test]
    fn numbers_are_told_apart_from_one_on() {
        let mut numbers = Histogram::default();
        for number in [1, 2, 3, 64] {
            numbers.record_value(number);
        }
        assert_eq!((numbers.quantile(0.5), numbers.max(), numbers.mean()), (2, 64, 17));
        assert_eq!(Histogram::from_bytes(&numbers.to_bytes()), Ok(numbers));
    }

    #[test]
    fn bytes_bring_back_the_same_histogram() {
        for histogram in [of([]), of([0, 7, 7, 3_600_000_000, 9_000_000_000])] {
            assert_eq!(Histogram::from_bytes(&histogram.to_bytes()), Ok(histogram));
        }
    }

    #[test]
    fn foreign_bytes_are_refused() {
        let mut bytes = of(1..9).to_bytes();
        assert_eq!(Histogram::from_bytes(&bytes[..20]), Err(InvalidHistogram));
        bytes.push(0);
        assert_eq!(Histogram::from_bytes(&bytes), Err(InvalidHistogram));
        assert_eq!(Histogram::from_bytes(&[]), Err(InvalidHistogram));
    }

    proptest! {
        #[test]
        fn figures_and_bytes_are_those_of_hdrhistogram(
            values in prop::collection::vec((0..64_u32, any::<u64>()), 0..200),
            more in prop::collection::vec(0..HIGHEST, 0..50),
            shares in prop::collection::vec(0.0..=1.0_f64, 3),
        ) {
            let values: Vec<u64> =
                values.into_iter().map(|(shift, value)| (value >> shift).min(HIGHEST)).collect();
            let of = |values: &[u64]| {
                let mut histogram = Histogram::default();
                values.iter().for_each(|value| histogram.record_value(*value));
                histogram
            };
            let mut hdr = Histogram::default().to_hdr();
            values.iter().chain(&more).for_each(|value| hdr.record(*value).unwrap());
            let mut ours = of(&values);
            ours.merge(&of(&more));
            prop_assert_eq!(&ours.to_hdr(), &hdr);
            prop_assert_eq!((ours.count(), ours.max()), (hdr.len(), hdr.max()));
            for share in shares.into_iter().chain([0.5, 0.999, 1.0]).filter(|share| *share > 0.0) {
                prop_assert_eq!(ours.quantile(share), hdr.value_at_quantile(share));
            }
            for value in values.iter().copied().take(3).chain([0, HIGHEST]) {
                prop_assert_eq!(ours.count_up_to(value), hdr.count_between(0, value));
                let below = hdr.lowest_equivalent(value).checked_sub(1);
                let below = below.map_or(0, |below| hdr.count_between(0, below));
                prop_assert_eq!(ours.count_below(value), below);
            }
            let theirs = hdr.iter_recorded().map(|step| Recorded {
                value: step.value_iterated_to(),
                count: step.count_at_value(),
            });
            prop_assert!(ours.recorded().eq(theirs));

            let bytes = ours.to_bytes();
            let mut theirs = Vec::new();
            V2Serializer::new().serialize(&hdr, &mut theirs).unwrap();
            prop_assert_eq!(&bytes[16..], &theirs[..]);
            prop_assert_eq!(Histogram::from_bytes(&bytes), Ok(ours.clone()));
            ours.subtract(&of(&more));
            prop_assert_eq!(ours, of(&values));
        }

        #[test]
        fn any_bytes_are_a_histogram_or_refused(
            values in prop::collection::vec(0..HIGHEST, 0..20),
            place in any::<prop::sample::Index>(),
            byte in any::<u8>(),
            cut in any::<prop::sample::Index>(),
        ) {
            let mut histogram = Histogram::default();
            values.iter().for_each(|value| histogram.record_value(*value));
            let mut bytes = histogram.to_bytes();
            let place = place.index(bytes.len());
            bytes[place] = byte;
            if let Ok(read) = Histogram::from_bytes(&bytes) {
                // Whatever was read can be used and sent on.
                let _ = read.spread();
                let mut twice = read.clone();
                twice.merge(&read);
                prop_assert!(Histogram::from_bytes(&twice.to_bytes()).is_ok());
            }
            let len = cut.index(bytes.len());
            prop_assert_eq!(Histogram::from_bytes(&bytes[..len]), Err(InvalidHistogram));
        }
    }
}
