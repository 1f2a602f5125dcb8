//! How sure a mean is: batch means, for latencies that depend on one another.
//!
//! Successive waits are correlated, so their variance says little about the error of their mean.
//! Means of long runs of them ("batches") hardly are: ten of those give a Student interval
//! (Law & Kelton, *Simulation Modeling and Analysis*, "batch means"). How many values will come
//! is not known beforehand, so values are gathered in many small runs, which are joined in pairs
//! when there are too many: memory is bounded and at most one value in sixty is left out.

use serde::{Deserialize, Serialize};

/// Small runs that are kept; an even number.
const RUNS_MAX: usize = 1280;
/// Batches that an interval rests on.
pub const BATCHES: usize = 10;
/// Student's t for 95 % with nine degrees of freedom.
const T_95: f64 = 2.262_157;
/// A batch of fewer values is too short.
const BATCH_VALUES_MIN: u64 = 30;
/// Batches that are correlated more than this are too short.
const LAG_1_MAX: f64 = 0.3;

/// Values on their way to batch means.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BatchMeans {
    /// Sums of runs of `run_len` values each.
    sums: Vec<u64>,
    run_len: u64,
    sum: u64,
    count: u64,
}

/// A 95 % confidence interval of a mean.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Interval {
    /// The mean of all batches, in nanoseconds.
    pub mean_ns: f64,
    /// The true mean is within this of it with 95 % confidence, in nanoseconds.
    pub half_width_ns: f64,
    /// The correlation of a batch's mean with the next one's.
    pub lag_1: f64,
    /// Values in each of the [`BATCHES`] batches.
    pub batch_values: u64,
}

impl Interval {
    /// Returns whether the batches are long enough for the interval to mean what it says.
    pub fn is_valid(&self) -> bool {
        self.lag_1 < LAG_1_MAX && self.batch_values >= BATCH_VALUES_MIN
    }

    /// Returns the half-width as a share of the mean; `None` if the mean is zero.
    pub fn relative(&self) -> Option<f64> {
        (self.mean_ns > 0.0).then(|| self.half_width_ns / self.mean_ns)
    }
}

impl BatchMeans {
    /// Takes the next value, in nanoseconds.
    #[inline]
    pub fn record(&mut self, ns: u64) {
        self.sum = self.sum.saturating_add(ns);
        self.count += 1;
        if self.count >= self.run_len {
            self.end_run();
        }
    }

    fn end_run(&mut self) {
        if self.run_len == 0 {
            self.run_len = 1;
            self.sums.reserve_exact(RUNS_MAX);
        }
        self.sums.push(self.sum);
        (self.sum, self.count) = (0, 0);
        if self.sums.len() == RUNS_MAX {
            for pair in 0..RUNS_MAX / 2 {
                self.sums[pair] = self.sums[2 * pair].saturating_add(self.sums[2 * pair + 1]);
            }
            self.sums.truncate(RUNS_MAX / 2);
            self.run_len *= 2;
        }
    }

    /// Returns the interval; `None` while there are fewer values than batches.
    pub fn interval(&self) -> Option<Interval> {
        let runs = self.sums.len() / BATCHES;
        if runs == 0 {
            return None;
        }
        let batch_values = runs as u64 * self.run_len;
        // The oldest runs that fill no batch are left out: they are the least settled.
        let first = self.sums.len() % BATCHES;
        #[expect(clippy::cast_precision_loss, reason = "a mean for people")]
        let means: Vec<f64> = self.sums[first..]
            .chunks_exact(runs)
            .map(|batch| {
                let sum: u128 = batch.iter().map(|&sum| u128::from(sum)).sum();
                sum as f64 / batch_values as f64
            })
            .collect();
        Some(of_means(&means[means.len() - BATCHES..], batch_values))
    }

    /// Returns the small runs and what is gathered of the next one, to be kept.
    pub fn to_parts(&self) -> (&[u64], [u64; 3]) {
        (&self.sums, [self.run_len, self.sum, self.count])
    }

    /// Takes up what [`Self::to_parts`] gave; `None` if it can't have.
    pub fn from_parts(sums: Vec<u64>, [run_len, sum, count]: [u64; 3]) -> Option<Self> {
        let fits = sums.len() < RUNS_MAX && count <= run_len && (run_len > 0 || sums.is_empty());
        let mut kept = Vec::with_capacity(if run_len > 0 { RUNS_MAX } else { 0 });
        kept.extend(sums);
        fits.then_some(Self { sums: kept, run_len, sum, count })
    }
}

/// The interval of batch means.
#[expect(clippy::cast_precision_loss, reason = "ten batches")]
fn of_means(means: &[f64], batch_values: u64) -> Interval {
    let count = means.len() as f64;
    let mean = means.iter().sum::<f64>() / count;
    let squares: f64 = means.iter().map(|value| (value - mean).powi(2)).sum();
    let neighbours: f64 = means.windows(2).map(|pair| (pair[0] - mean) * (pair[1] - mean)).sum();
    let deviation = (squares / (count - 1.0)).sqrt();
    Interval {
        mean_ns: mean,
        half_width_ns: T_95 * deviation / count.sqrt(),
        lag_1: if squares > 0.0 { neighbours / squares } else { 0.0 },
        batch_values,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::{self, Stream};

    fn of(values: impl IntoIterator<Item = u64>) -> BatchMeans {
        let mut means = BatchMeans::default();
        for value in values {
            means.record(value);
        }
        means
    }

    #[test]
    fn ten_values_are_ten_batches() {
        assert_eq!(of(0..9).interval(), None);
        let interval = of([1, 2, 3, 4, 5, 6, 7, 8, 9, 10]).interval().unwrap();
        assert!((interval.mean_ns - 5.5).abs() < 1e-12);
        // Deviation 3.0277, t 2.2622, square root of ten.
        assert!((interval.half_width_ns - 2.165_9).abs() < 1e-3, "{interval:?}");
        assert!((interval.lag_1 - 0.7).abs() < 1e-9 && !interval.is_valid(), "{interval:?}");
    }

    #[test]
    fn memory_is_bounded_and_almost_all_values_count() {
        for count in [1_000_u64, 1_279, 1_280, 12_801, 999_983] {
            let means = of((0..count).map(|_| 7));
            assert!(means.sums.len() < RUNS_MAX && means.sums.capacity() == RUNS_MAX);
            let interval = means.interval().unwrap();
            assert!((interval.mean_ns - 7.0).abs() < 1e-9 && interval.half_width_ns < 1e-9);
            let used = interval.batch_values * BATCHES as u64;
            assert!(used * 60 >= count * 58, "{used} of {count}");
        }
    }

    #[test]
    fn the_interval_covers_the_true_mean_as_often_as_it_says() {
        let mut covered = 0;
        for seed in 0..400 {
            let mut stream = Stream::new(seed, "confidence");
            let mut value = |index| u64::from(rng::below(stream.draw(index)[0], 2001));
            let interval = of((0..3000).map(&mut value)).interval().unwrap();
            assert!(interval.batch_values >= 290);
            covered += u32::from((interval.mean_ns - 1000.0).abs() <= interval.half_width_ns);
        }
        assert!((368..=392).contains(&covered), "95 % of 400 are 380, not {covered}");
    }

    #[test]
    fn values_that_hang_together_are_not_called_valid() {
        let slow_wave = (0..6000_u64).map(|n| if n / 3000 == 0 { 10 } else { 1000 });
        assert!(!of(slow_wave).interval().unwrap().is_valid());
        let quick_wave = (0..6000_u64).map(|n| if n % 2 == 0 { 10 } else { 1000 });
        assert!(of(quick_wave).interval().unwrap().is_valid());
    }

    #[test]
    fn what_is_kept_goes_on_where_it_was() {
        let mut first = of(0..5000);
        let (sums, rest) = first.to_parts();
        let mut kept = BatchMeans::from_parts(sums.to_vec(), rest).unwrap();
        for value in 0..5000 {
            first.record(value);
            kept.record(value);
        }
        assert_eq!(first, kept);
        assert_eq!(BatchMeans::from_parts(vec![1], [0, 0, 0]), None);
        assert_eq!(BatchMeans::from_parts(vec![1], [2, 5, 3]), None);
    }
}
