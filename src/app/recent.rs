//! Latencies of the last second, ten seconds and minute.
//!
//! Each window is a histogram of its own: a new second is added to it and the one that leaves it
//! is taken away, so percentiles rest on all values and are never averaged. Seconds are kept as
//! the compact bytes in which they travelled.

use std::collections::VecDeque;

use engine::perf::Histogram;

use super::state::{LatencyFigures, RECENT_SPANS};

/// The recent values of one latency.
#[derive(Clone, Debug, Default)]
pub(crate) struct Recent {
    /// Oldest first; as many as the longest window has.
    seconds: VecDeque<Vec<u8>>,
    windows: [Histogram; RECENT_SPANS.len()],
    /// The windows are to be made anew before they are asked.
    is_folded: bool,
}

impl Recent {
    /// Takes what came in a second.
    pub(crate) fn push(&mut self, second: &Histogram) {
        self.seconds.push_back(second.to_bytes());
        if self.is_folded {
            if self.seconds.len() > RECENT_SPANS[RECENT_SPANS.len() - 1] {
                self.seconds.pop_front();
            }
            return;
        }
        for (window, span) in self.windows.iter_mut().zip(RECENT_SPANS) {
            window.merge(second);
            let leaves = self.seconds.len().checked_sub(span + 1);
            if let Some(bytes) = leaves.and_then(|index| self.seconds.get(index)) {
                let left = Histogram::from_bytes(bytes).expect("these are the bytes of one");
                window.subtract(&left);
            }
        }
        if self.seconds.len() > RECENT_SPANS[RECENT_SPANS.len() - 1] {
            self.seconds.pop_front();
        }
    }

    /// Returns all values of the last ten seconds.
    pub(crate) fn ten_seconds(&self) -> &Histogram {
        const { assert!(RECENT_SPANS[1] == 10) };
        &self.windows[1]
    }

    /// Gives the windows away, which take much memory and time, until [`Self::unfold`].
    pub(crate) fn fold(&mut self) {
        (self.windows, self.is_folded) = (Default::default(), true);
    }

    /// Makes the windows anew.
    pub(crate) fn unfold(&mut self) {
        if !std::mem::take(&mut self.is_folded) {
            return;
        }
        for (window, span) in self.windows.iter_mut().zip(RECENT_SPANS) {
            for bytes in self.seconds.iter().rev().take(span) {
                window.merge(&Histogram::from_bytes(bytes).expect("these are the bytes of one"));
            }
        }
    }

    /// Returns the figures of each window.
    pub(crate) fn figures(&self) -> [LatencyFigures; RECENT_SPANS.len()] {
        self.windows.each_ref().map(LatencyFigures::of)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn second(ms: &[u64]) -> Histogram {
        let mut histogram = Histogram::default();
        for &ms in ms {
            histogram.record(Duration::from_millis(ms));
        }
        histogram
    }

    #[test]
    fn a_window_holds_what_came_in_its_span_and_nothing_older() {
        let mut recent = Recent::default();
        recent.push(&second(&[500, 500]));
        for _ in 0..9 {
            recent.push(&second(&[1]));
        }
        let counts = |recent: &Recent| recent.figures().map(|figures| figures.count);
        assert_eq!(counts(&recent), [1, 11, 11]);
        recent.push(&second(&[]));
        assert_eq!(counts(&recent), [0, 9, 11]);
        let [last, ten, minute] = recent.figures();
        assert_eq!(last.spread, None);
        assert!(ten.spread.unwrap().max < Duration::from_millis(2));
        assert!(minute.spread.unwrap().max >= Duration::from_millis(500));
        for _ in 0..60 {
            recent.push(&second(&[2, 2]));
        }
        assert_eq!(counts(&recent), [2, 20, 120]);
        let whole = recent.figures();
        recent.fold();
        recent.push(&second(&[4]));
        recent.unfold();
        let gone = whole[1].count - 2;
        assert_eq!(counts(&recent), [1, gone + 1, 119]);
        assert_eq!(recent.seconds.len(), 60);
    }
}
