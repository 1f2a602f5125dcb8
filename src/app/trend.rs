//! What charts show of a run's seconds: one figure of each, and for long windows the least and the
//! greatest of every fifteen, so that six hours are drawn as quickly as a minute and no peak is lost.

use engine::clock::Time;

use super::history::Second;

/// A latency that is timed second by second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Timed {
    /// From arrival to the first start.
    Wait,
    /// From arrival to the end.
    Sojourn,
    /// From the intended issue to the user's knowledge of the end.
    Response,
}

impl Timed {
    /// Returns the latency of a name; `None` if it is not timed second by second.
    pub(crate) fn named(name: &str) -> Option<Self> {
        Some(match name {
            "wait" => Self::Wait,
            "sojourn" => Self::Sojourn,
            "response" => Self::Response,
            _ => return None,
        })
    }

    /// Returns its name.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Wait => "wait",
            Self::Sojourn => "sojourn",
            Self::Response => "response",
        }
    }
}

/// A figure of a second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Measure {
    /// Requests per second.
    Offered,
    /// Completions per second.
    Served,
    /// Tickets waiting at its end.
    Waiting,
    /// The median of a latency, in seconds.
    P50(Timed),
    /// The 99th percentile of a latency, in seconds.
    P99(Timed),
    /// Bytes written to the log, per second.
    LogBytes,
    /// Syncs of the log, per second.
    Syncs,
    /// Records written to the log, per second.
    Records,
    /// The 99th percentile of a sync, in seconds.
    SyncP99,
}

impl Measure {
    /// All measures, in the order of [`Coarse`].
    const ALL: [Self; 13] = [
        Self::Offered,
        Self::Served,
        Self::Waiting,
        Self::P50(Timed::Wait),
        Self::P99(Timed::Wait),
        Self::P50(Timed::Sojourn),
        Self::P99(Timed::Sojourn),
        Self::P50(Timed::Response),
        Self::P99(Timed::Response),
        Self::LogBytes,
        Self::Syncs,
        Self::Records,
        Self::SyncP99,
    ];

    /// Returns the figure; `None` while the run stood still, for latencies of which there was none,
    /// and for what nobody knows.
    pub(crate) fn of(self, second: &Second) -> Option<f64> {
        if second.is_paused() {
            return None;
        }
        let spread = |timed| match timed {
            Timed::Wait => second.wait,
            Timed::Sojourn => second.sojourn,
            Timed::Response => second.response,
        };
        #[expect(clippy::cast_precision_loss, reason = "a chart for people")]
        match self {
            Self::Offered => second.offered().map(|offered| second.per_second(offered)),
            Self::Served => Some(second.per_second(second.served)),
            Self::Waiting => Some(second.waiting as f64),
            Self::P50(timed) => spread(timed).map(|spread| spread.p50.as_secs_f64()),
            Self::P99(timed) => spread(timed).map(|spread| spread.p99.as_secs_f64()),
            Self::LogBytes => Some(second.per_second(second.log_bytes)),
            Self::Syncs => second.syncs.map(|syncs| second.per_second(syncs)),
            Self::Records => Some(second.per_second(second.records)),
            Self::SyncP99 => second.sync.map(|sync| sync.p99.as_secs_f64()),
        }
    }
}

/// The least and the greatest of some values.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Extent {
    pub(crate) min: f64,
    pub(crate) max: f64,
}

impl Extent {
    /// Returns the extent of one value.
    pub(crate) fn of(value: f64) -> Self {
        Self { min: value, max: value }
    }

    /// Returns the extent of both.
    pub(crate) fn join(self, other: Self) -> Self {
        Self { min: self.min.min(other.min), max: self.max.max(other.max) }
    }
}

/// Seconds that a coarse step has.
pub(crate) const STEP_SECONDS: usize = 15;

/// The seconds of one step.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Coarse {
    /// The end of the last of its seconds.
    pub(crate) end: Time,
    /// By [`Measure::ALL`].
    extents: [Option<Extent>; Measure::ALL.len()],
}

impl Coarse {
    /// Joins the seconds of a step.
    pub(crate) fn of<'a>(seconds: impl Iterator<Item = &'a Second>) -> Self {
        let mut coarse = Self { end: Time::ZERO, extents: [None; Measure::ALL.len()] };
        for second in seconds {
            coarse.end = coarse.end.max(second.end);
            for (measure, extent) in Measure::ALL.into_iter().zip(&mut coarse.extents) {
                let value = measure.of(second).map(Extent::of);
                *extent = match (*extent, value) {
                    (Some(extent), Some(value)) => Some(extent.join(value)),
                    (extent, value) => extent.or(value),
                };
            }
        }
        coarse
    }

    /// Returns what is known of a measure.
    pub(crate) fn extent(&self, measure: Measure) -> Option<Extent> {
        let index = Measure::ALL.iter().position(|known| *known == measure)?;
        self.extents[index]
    }
}

/// Returns the step to which a moment belongs.
pub(crate) fn step(end: Time) -> u64 {
    // The end of a step is still part of it.
    end.0.saturating_sub(1) / (STEP_SECONDS as u64 * 1_000_000_000)
}
