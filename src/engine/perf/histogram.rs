//! Latency histograms: HDR, 1 µs to 1 h, three significant digits.
//!
//! Percentiles come from merged histograms only and are never averaged.

use std::time::Duration;

use hdrhistogram::serialization::{Deserializer, Serializer, V2Serializer};

/// The smallest latency that is told from zero, in nanoseconds.
const LOWEST_NS: u64 = 1_000;
/// The largest latency; longer ones count as this long.
const HIGHEST_NS: u64 = 3_600_000_000_000;
const SIGNIFICANT_DIGITS: u8 = 3;

/// Counts of latencies.
#[derive(Clone, Debug, PartialEq)]
pub struct Histogram {
    counts: hdrhistogram::Histogram<u64>,
    /// The exact sum, so that the mean does not suffer from the buckets.
    sum_ns: u128,
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

impl Default for Histogram {
    fn default() -> Self {
        let counts =
            hdrhistogram::Histogram::new_with_bounds(LOWEST_NS, HIGHEST_NS, SIGNIFICANT_DIGITS)
                .expect("the bounds are constants that hdrhistogram accepts");
        Self { counts, sum_ns: 0 }
    }
}

impl Histogram {
    /// Counts one latency; one above an hour counts as an hour.
    pub fn record(&mut self, latency: Duration) {
        let ns = u64::try_from(latency.as_nanos()).unwrap_or(u64::MAX).min(HIGHEST_NS);
        self.counts.saturating_record(ns);
        self.sum_ns += u128::from(ns);
    }

    /// Returns how many latencies were counted.
    pub fn count(&self) -> u64 {
        self.counts.len()
    }

    /// Adds all that `other` counted.
    pub fn merge(&mut self, other: &Self) {
        self.counts.add(&other.counts).expect("both histograms have the same constant bounds");
        self.sum_ns += other.sum_ns;
    }

    /// Returns the value that this share of all values does not exceed, in the unit that was
    /// recorded: nanoseconds for a latency. Zero if nothing was counted.
    pub fn quantile(&self, share: f64) -> u64 {
        self.counts.value_at_quantile(share)
    }

    /// Returns the largest value; zero if nothing was counted.
    pub fn max(&self) -> u64 {
        self.counts.max()
    }

    /// Returns the exact sum of all values.
    pub fn sum(&self) -> u128 {
        self.sum_ns
    }

    /// Returns the counts, for what HdrHistogram's own tools do with them.
    pub fn counts(&self) -> &hdrhistogram::Histogram<u64> {
        &self.counts
    }

    /// Returns the summary; `None` if nothing was counted.
    pub fn spread(&self) -> Option<Spread> {
        let count = self.count();
        if count == 0 {
            return None;
        }
        let quantile = |q| Duration::from_nanos(self.counts.value_at_quantile(q));
        let mean_ns = u64::try_from(self.sum_ns / u128::from(count)).unwrap_or(u64::MAX);
        Some(Spread {
            mean: Duration::from_nanos(mean_ns),
            p50: quantile(0.5),
            p90: quantile(0.9),
            p99: quantile(0.99),
            p999: quantile(0.999),
            max: Duration::from_nanos(self.counts.max()),
        })
    }

    /// Returns the exact sum as 16 big-endian bytes followed by the HDR V2 serialization.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = self.sum_ns.to_be_bytes().to_vec();
        V2Serializer::new()
            .serialize(&self.counts, &mut bytes)
            .expect("a histogram with constant bounds always fits a vector");
        bytes
    }

    /// Reads what [`Self::to_bytes`] wrote.
    ///
    /// # Errors
    /// [`InvalidHistogram`] if the bytes are not such a histogram or have other bounds.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, InvalidHistogram> {
        let (sum, mut rest) = bytes.split_first_chunk().ok_or(InvalidHistogram)?;
        let counts: hdrhistogram::Histogram<u64> =
            Deserializer::new().deserialize(&mut rest).map_err(|_| InvalidHistogram)?;
        let same_bounds = counts.low() == LOWEST_NS
            && counts.high() == HIGHEST_NS
            && counts.sigfig() == SIGNIFICANT_DIGITS;
        if !same_bounds || !rest.is_empty() {
            return Err(InvalidHistogram);
        }
        Ok(Self { counts, sum_ns: u128::from_be_bytes(*sum) })
    }
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
    fn merging_equals_counting_together() {
        let mut merged = of(1..500);
        merged.merge(&of(500..900));
        assert_eq!(merged, of(1..900));
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
