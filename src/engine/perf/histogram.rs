//! HDR histograms with three significant digits, of latencies up to an hour and of plain numbers.
//!
//! Values are exact to the nanosecond up to 2 µs and to one part in two thousand above. Percentiles
//! come from merged histograms only and are never averaged. The counts (260 KB) are
//! allocated with the first value, so a histogram that may never be used costs nothing.

use std::borrow::Cow;
use std::time::Duration;

use hdrhistogram::serialization::{Deserializer, Serializer, V2Serializer};
use serde::{Deserialize, Serialize};

/// The smallest value that is told from zero.
const LOWEST: u64 = 1;
/// The largest value; larger ones count as this large. As a latency it is an hour.
const HIGHEST: u64 = 3_600_000_000_000;
const SIGNIFICANT_DIGITS: u8 = 3;

type Counts = hdrhistogram::Histogram<u64>;

/// Counts of values: how often each came.
#[derive(Clone, Debug, Default)]
pub struct Histogram {
    /// `None` before the first value.
    counts: Option<Box<Counts>>,
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

impl PartialEq for Histogram {
    /// Two histograms are equal if they counted the same, allocated or not.
    fn eq(&self, other: &Self) -> bool {
        let counted = |histogram: &'_ Self| histogram.count() > 0;
        self.sum == other.sum
            && match (&self.counts, &other.counts) {
                (Some(own), Some(theirs)) => own == theirs,
                _ => !counted(self) && !counted(other),
            }
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
        self.counts_mut().saturating_record(value);
        self.sum += u128::from(value);
    }

    fn counts_mut(&mut self) -> &mut Counts {
        self.counts.get_or_insert_with(|| Box::new(empty()))
    }

    /// Returns how many values were counted.
    pub fn count(&self) -> u64 {
        self.counts.as_ref().map_or(0, |counts| counts.len())
    }

    /// Adds all that `other` counted.
    pub fn merge(&mut self, other: &Self) {
        if let Some(counts) = &other.counts
            && !counts.is_empty()
        {
            let fits = self.counts_mut().add(&**counts);
            fits.expect("all histograms have the same largest value");
            self.sum += other.sum;
        }
    }

    /// Takes away what `other` counted, all of which must have been merged before.
    ///
    /// # Panics
    /// If more is taken away than there is.
    pub fn subtract(&mut self, other: &Self) {
        if let Some(counts) = &other.counts
            && !counts.is_empty()
        {
            let fits = self.counts_mut().subtract(&**counts);
            fits.expect("only what was merged is taken away");
            self.sum = self.sum.saturating_sub(other.sum);
        }
    }

    /// Forgets all values and keeps the memory.
    pub fn clear(&mut self) {
        if let Some(counts) = &mut self.counts
            && !counts.is_empty()
        {
            counts.reset();
        }
        self.sum = 0;
    }

    /// Returns the value that this share of all values does not exceed, in the unit that was
    /// recorded: nanoseconds for a latency. Zero if nothing was counted.
    pub fn quantile(&self, share: f64) -> u64 {
        self.counts.as_ref().map_or(0, |counts| counts.value_at_quantile(share))
    }

    /// Returns how many values are not larger than this one; those that can't be told from it, as
    /// three digits are kept, are the same.
    pub fn count_up_to(&self, value: u64) -> u64 {
        self.counts.as_ref().map_or(0, |counts| counts.count_between(0, value))
    }

    /// Returns how many values are smaller than this one and can be told from it.
    pub fn count_below(&self, value: u64) -> u64 {
        let below = |counts: &Counts| counts.lowest_equivalent(value).checked_sub(1);
        let last = self.counts.as_deref().and_then(below);
        last.map_or(0, |last| self.count_up_to(last))
    }

    /// Returns the largest value; zero if nothing was counted.
    pub fn max(&self) -> u64 {
        self.counts.as_ref().map_or(0, |counts| counts.max())
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

    /// Returns the counts, for what HdrHistogram's own tools do with them.
    pub fn counts(&self) -> Cow<'_, hdrhistogram::Histogram<u64>> {
        match &self.counts {
            Some(counts) => Cow::Borrowed(&**counts),
            None => Cow::Owned(empty()),
        }
    }

    /// Returns the summary of latencies; `None` if nothing was counted.
    pub fn spread(&self) -> Option<Spread> {
        let counts = self.counts.as_ref().filter(|counts| !counts.is_empty())?;
        let quantile = |q| Duration::from_nanos(counts.value_at_quantile(q));
        Some(Spread {
            mean: Duration::from_nanos(self.mean()),
            p50: quantile(0.5),
            p90: quantile(0.9),
            p99: quantile(0.99),
            p999: quantile(0.999),
            max: Duration::from_nanos(counts.max()),
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
        let mut serializer = V2Serializer::new();
        let written = match &self.counts {
            Some(counts) => serializer.serialize(&**counts, bytes),
            None => serializer.serialize(&empty(), bytes),
        };
        written.expect("a histogram with constant bounds always fits a vector");
    }

    /// Reads what [`Self::to_bytes`] wrote.
    ///
    /// # Errors
    /// [`InvalidHistogram`] if the bytes are not such a histogram or have other bounds.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, InvalidHistogram> {
        let (sum, mut rest) = bytes.split_first_chunk().ok_or(InvalidHistogram)?;
        // The deserializer makes room for what is announced before it looks for it.
        let (_, announced) = rest.split_first_chunk::<4>().ok_or(InvalidHistogram)?;
        let announced = announced.first_chunk().copied().ok_or(InvalidHistogram)?;
        if u32::from_be_bytes(announced) as usize > rest.len() {
            return Err(InvalidHistogram);
        }
        let counts: Counts =
            Deserializer::new().deserialize(&mut rest).map_err(|_| InvalidHistogram)?;
        let same_bounds = counts.low() == LOWEST
            && counts.high() == HIGHEST
            && counts.sigfig() == SIGNIFICANT_DIGITS;
        if !same_bounds || !rest.is_empty() {
            return Err(InvalidHistogram);
        }
        let counts = (!counts.is_empty()).then(|| Box::new(counts));
        Ok(Self { counts, sum: u128::from_be_bytes(*sum) })
    }
}

fn empty() -> Counts {
    Counts::new_with_bounds(LOWEST, HIGHEST, SIGNIFICANT_DIGITS)
        .expect("the bounds are constants that hdrhistogram accepts")
}

#[cfg(test)]
mod tests {
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
}
