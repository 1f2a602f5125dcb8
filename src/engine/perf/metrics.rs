//! What was recorded of each metric: sums of counters and histograms of values.

use super::catalog::{METRICS, Metric, MetricKind};
use super::histogram::{Histogram, InvalidHistogram};

/// The recordings of one process, or of many, by metric.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Metrics {
    /// By number; empty before the first recording.
    values: Vec<Value>,
    /// Recordings that found no room.
    dropped: u64,
}

/// What is kept of one metric.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// The sum of a counter.
    Count(u64),
    /// The values of a histogram, in the metric's unit.
    Values(Histogram),
}

impl Value {
    fn none_of(metric: &Metric) -> Self {
        match metric.kind {
            MetricKind::Counter => Self::Count(0),
            MetricKind::Histogram => Self::Values(Histogram::default()),
        }
    }
}

impl Metrics {
    /// Adds to a counter.
    pub fn count(&mut self, number: u16, by: u64) {
        if let Some(Value::Count(sum)) = self.value_mut(number) {
            *sum = sum.saturating_add(by);
        }
    }

    /// Takes the next value of a histogram.
    pub fn observe(&mut self, number: u16, value: u64) {
        if let Some(Value::Values(histogram)) = self.value_mut(number) {
            histogram.record_value(value);
        }
    }

    /// Adds values of a histogram as [`Histogram::to_bytes`] wrote them.
    ///
    /// # Errors
    /// [`InvalidHistogram`] if the bytes are none.
    pub fn merge_bytes(&mut self, number: u16, bytes: &[u8]) -> Result<(), InvalidHistogram> {
        let other = Histogram::from_bytes(bytes)?;
        if let Some(Value::Values(histogram)) = self.value_mut(number) {
            histogram.merge(&other);
        }
        Ok(())
    }

    /// Notes recordings that found no room.
    pub fn drop_recordings(&mut self, count: u64) {
        self.dropped += count;
    }

    /// Returns how many recordings found no room.
    pub fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Adds all that `other` has.
    pub fn merge(&mut self, other: &Self) {
        for (number, value) in (0..).zip(&other.values) {
            match (self.value_mut(number), value) {
                (Some(Value::Count(sum)), Value::Count(by)) => *sum = sum.saturating_add(*by),
                (Some(Value::Values(own)), Value::Values(more)) => own.merge(more),
                _ => {}
            }
        }
        self.dropped += other.dropped;
    }

    /// Forgets everything and keeps the memory.
    pub fn clear(&mut self) {
        for value in &mut self.values {
            match value {
                Value::Count(sum) => *sum = 0,
                Value::Values(histogram) => histogram.clear(),
            }
        }
        self.dropped = 0;
    }

    /// Returns the histogram of a metric; `None` if it is none or has no values.
    pub fn histogram(&self, number: u16) -> Option<&Histogram> {
        match self.values.get(usize::from(number)) {
            Some(Value::Values(histogram)) if histogram.count() > 0 => Some(histogram),
            _ => None,
        }
    }

    /// Returns what was recorded of every metric, by number; nothing before the first recording.
    pub fn iter(&self) -> impl Iterator<Item = (u16, &'static Metric, &Value)> {
        (0..)
            .zip(METRICS)
            .zip(&self.values)
            .map(|((number, metric), value)| (number, metric, value))
    }

    /// An unknown number, which only a peer of another build would send, has no value.
    fn value_mut(&mut self, number: u16) -> Option<&mut Value> {
        if self.values.is_empty() {
            self.values = METRICS.iter().map(Value::none_of).collect();
        }
        self.values.get_mut(usize::from(number))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::perf::catalog::{LOGSTORE_FSYNC, LOOP_READ_BYTES};

    #[test]
    fn merging_adds_counters_values_and_drops() {
        let mut one = Metrics::default();
        one.count(LOOP_READ_BYTES, 5);
        one.observe(LOGSTORE_FSYNC, 900);
        one.drop_recordings(2);
        let mut all = one.clone();
        all.merge(&one);
        all.merge(&Metrics::default());
        let found = |number: u16| all.iter().nth(usize::from(number)).unwrap().2.clone();
        assert_eq!(found(LOOP_READ_BYTES), Value::Count(10));
        assert_eq!(all.histogram(LOGSTORE_FSYNC).map(Histogram::count), Some(2));
        assert_eq!(all.dropped(), 4);
        all.clear();
        assert_eq!((all.dropped(), all.histogram(LOGSTORE_FSYNC)), (0, None));
    }

    #[test]
    fn a_number_that_is_not_in_the_catalog_is_passed_over() {
        let mut metrics = Metrics::default();
        metrics.count(u16::MAX, 1);
        metrics.observe(LOOP_READ_BYTES, 7);
        assert!(metrics.merge_bytes(LOGSTORE_FSYNC, &[1, 2]).is_err());
        assert!(metrics.iter().all(|(.., value)| matches!(value, Value::Count(0))
            || matches!(value, Value::Values(values) if values.count() == 0)));
    }
}
