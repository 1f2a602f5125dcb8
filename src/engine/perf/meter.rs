//! A histogram of the product's own work that vanishes without the `metrics` feature.
//!
//! What the product *promises* to report (waits, service times, counts of tickets) is always
//! measured, with [`super::Histogram`] and plain counters. A [`Meter`] is for looking
//! inside: without the feature it has no size and its methods no body.

use std::time::Duration;

#[cfg(feature = "metrics")]
use super::histogram::Histogram;
use super::histogram::Spread;

/// A latency of an internal operation.
#[derive(Clone, Debug, Default)]
pub struct Meter {
    #[cfg(feature = "metrics")]
    histogram: Histogram,
}

impl Meter {
    /// Counts one latency.
    #[cfg_attr(not(feature = "metrics"), expect(unused_variables, reason = "compiled out"))]
    pub fn record(&mut self, latency: Duration) {
        #[cfg(feature = "metrics")]
        self.histogram.record(latency);
    }

    /// Returns the summary; `None` if nothing was counted or metrics are compiled out.
    pub fn spread(&self) -> Option<Spread> {
        #[cfg(feature = "metrics")]
        return self.histogram.spread();
        #[cfg(not(feature = "metrics"))]
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_meter_reports_only_when_it_is_compiled_in() {
        let mut meter = Meter::default();
        meter.record(Duration::from_millis(2));
        assert_eq!(meter.spread().is_some(), cfg!(feature = "metrics"));
        assert_eq!(size_of::<Meter>() == 0, !cfg!(feature = "metrics"));
    }
}
