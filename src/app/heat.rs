//! How latencies were spread in each of the last seconds, in coarse buckets: what heat maps and
//! histograms of a short time are made of.
//!
//! Four buckets to the octave are a fifth of a value wide: fine enough for a picture, and a second
//! takes a few hundred bytes instead of a histogram's 260 KB. Percentiles never come from here.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use engine::clock::Time;
use engine::perf::Histogram;
use engine::perf::histogram::Recorded;
use serde::{Deserialize, Serialize};

use super::figures::LATENCIES;

/// Buckets in an octave.
const PER_OCTAVE: usize = 4;
/// The first bucket ends here; it holds everything below too.
const FIRST_NS: u64 = 1_000;
/// Octaves from [`FIRST_NS`] to 67 s; the last bucket holds everything above too.
const OCTAVES: usize = 26;
/// How many buckets there are.
pub(crate) const BUCKETS: usize = PER_OCTAVE * OCTAVES;
/// Seconds that are kept: ten minutes, at most 1.5 MB.
pub(crate) const HEAT_SECONDS_MAX: usize = 600;
/// How often values of each bucket came; only the buckets between the first and the last that
/// are not empty take room.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Band {
    first: usize,
    counts: Box<[u32]>,
}

impl Band {
    /// Returns the buckets of a histogram of latencies.
    pub(crate) fn of(histogram: &Histogram) -> Self {
        let mut all = [0_u32; BUCKETS];
        for Recorded { value, count } in histogram.recorded() {
            let place = &mut all[bucket(value)];
            *place = place.saturating_add(u32::try_from(count).unwrap_or(u32::MAX));
        }
        let Some(first) = all.iter().position(|&count| count > 0) else { return Self::default() };
        let last = all.iter().rposition(|&count| count > 0).unwrap_or(first);
        Self { first, counts: all[first..=last].into() }
    }

    /// Returns the buckets that are kept and how often their values came.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (usize, u32)> {
        (self.first..).zip(self.counts.iter().copied())
    }
}

/// Returns the bucket of a latency.
fn bucket(ns: u64) -> usize {
    if ns < FIRST_NS {
        return 0;
    }
    #[expect(clippy::cast_precision_loss, reason = "a bucket is a fifth wide")]
    let octaves = (ns as f64 / FIRST_NS as f64).log2();
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 104")]
    let index = (octaves * PER_OCTAVE as f64) as usize;
    index.min(BUCKETS - 1)
}

/// Returns where a latency stands among the buckets, as a fraction of their number.
#[expect(clippy::cast_precision_loss, reason = "a place in a picture")]
pub(crate) fn place(latency: Duration) -> f64 {
    let ratio = latency.as_secs_f64() * 1e9 / FIRST_NS as f64;
    if ratio <= 1.0 { 0.0 } else { ratio.log2() * PER_OCTAVE as f64 / BUCKETS as f64 }
}

/// One second.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct HeatRow {
    /// Its end.
    pub(crate) end: Time,
    /// By [`LATENCIES`].
    pub(crate) bands: [Band; LATENCIES.len()],
}

/// The last seconds, oldest first.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Heat {
    rows: Arc<VecDeque<Arc<HeatRow>>>,
}

impl Heat {
    /// Adds a second; the oldest goes when there are too many.
    pub(crate) fn push(&mut self, row: HeatRow) {
        let rows = Arc::make_mut(&mut self.rows);
        if rows.len() == HEAT_SECONDS_MAX {
            rows.pop_front();
        }
        rows.push_back(Arc::new(row));
    }

    /// Returns what is kept of all, oldest first.
    pub(crate) fn rows(&self) -> impl DoubleEndedIterator<Item = &Arc<HeatRow>> {
        self.rows.iter()
    }

    /// Returns what is kept of a latency, oldest first; nothing for a name that is none.
    pub(crate) fn of(&self, latency: &str) -> impl DoubleEndedIterator<Item = (Time, &Band)> {
        let index = LATENCIES.iter().position(|name| *name == latency);
        let rows = self.rows.iter().filter(move |_| index.is_some());
        rows.map(move |row| (row.end, &row.bands[index.unwrap_or(0)]))
    }

    /// Returns how often each bucket came in a span up to a moment, and the total.
    pub(crate) fn sum(&self, latency: &str, until: Time, span: Duration) -> ([u64; BUCKETS], u64) {
        let (mut counts, mut total) = ([0; BUCKETS], 0);
        let within = self
            .of(latency)
            .rev()
            .skip_while(|(end, _)| *end > until)
            .take_while(|(end, _)| until.since(*end) < span);
        for (bucket, count) in within.flat_map(|(_, band)| band.iter()) {
            counts[bucket] += u64::from(count);
            total += u64::from(count);
        }
        (counts, total)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the border before a bucket.
    fn boundary(bucket: usize) -> Duration {
        let octaves = bucket as f64 / PER_OCTAVE as f64;
        Duration::from_nanos(FIRST_NS).mul_f64(octaves.exp2())
    }

    /// Returns where a bucket begins; the first begins at zero.
    fn floor(bucket: usize) -> Duration {
        if bucket == 0 { Duration::ZERO } else { boundary(bucket) }
    }

    fn histogram(us: &[u64]) -> Histogram {
        let mut histogram = Histogram::default();
        for &us in us {
            histogram.record(Duration::from_micros(us));
        }
        histogram
    }

    #[test]
    fn every_latency_falls_between_the_borders_of_its_bucket() {
        for ns in [0, 999, 1_000, 1_190, 4_700, 1_000_000, 59_999_999_999] {
            let index = bucket(ns);
            let ns = Duration::from_nanos(ns);
            assert!(floor(index) <= ns && ns <= boundary(index + 1), "{ns:?} in {index}");
        }
        assert_eq!(bucket(u64::MAX), BUCKETS - 1);
        let is_rising = |index: usize| boundary(index) < boundary(index + 1);
        assert!((0..BUCKETS).all(is_rising));
        assert!((place(boundary(52)) - 0.5).abs() < 1e-9);
    }

    #[test]
    fn no_value_is_lost_and_empty_ends_take_no_room() {
        let band = Band::of(&histogram(&[100, 100, 6_400, 90_000_000]));
        assert_eq!(band.iter().map(|(_, count)| u64::from(count)).sum::<u64>(), 4);
        assert_eq!(band.iter().next().map(|(_, count)| count), Some(2));
        assert_eq!(band.iter().last(), Some((BUCKETS - 1, 1)), "what is too long is not lost");
        assert_eq!(Band::of(&histogram(&[])).iter().count(), 0);
    }

    #[test]
    fn seconds_are_bounded_and_summed_up_to_a_moment() {
        let mut heat = Heat::default();
        let second = |number: u64| Time(number * 1_000_000_000);
        for number in 1..=HEAT_SECONDS_MAX as u64 + 5 {
            let mut row = HeatRow { end: second(number), ..HeatRow::default() };
            row.bands[0] = Band::of(&histogram(&[100; 3]));
            heat.push(row);
        }
        assert_eq!(heat.of("wait").count(), HEAT_SECONDS_MAX);
        assert_eq!(heat.of("wait").next().map(|(end, _)| end), Some(second(6)));
        assert_eq!(heat.of("nothing").count(), 0);
        let total = |until, seconds| heat.sum("wait", until, Duration::from_secs(seconds)).1;
        assert_eq!((total(second(100), 10), total(second(9), 10)), (30, 12));
        assert_eq!(total(second(3), 10), 0, "it is no longer kept");
        assert_eq!(heat.sum("lag", second(100), Duration::from_secs(10)).1, 0);
    }
}
