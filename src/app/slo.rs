//! Goals of a run (`[slo]`, `--slo`): whether they are met.
//!
//! The verdict rests on the measured window, the alert on the last ten seconds.

use engine::clock::Time;

/// One goal.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct SloRow {
    /// Its name in the scenario.
    pub(crate) name: String,
    /// The goal as it was written, such as `p99(wait) < 50ms`.
    pub(crate) text: String,
    /// What it is about, such as `p99(wait)`.
    pub(crate) metric: String,
    /// The figure of the measured window, in the unit of `limit`; `None` if there is none yet.
    pub(crate) value: Option<SloValue>,
    /// The limit.
    pub(crate) limit: SloValue,
    /// Share of the offered tickets that met the limit: rejected, failed and (at the end)
    /// unfinished ones miss it. `None` for goals that are not about single tickets.
    pub(crate) attainment: Option<f64>,
    /// Over the measured window.
    pub(crate) verdict: Verdict,
    /// The figure of the last ten seconds.
    pub(crate) recent: Option<SloValue>,
    /// Over the last ten seconds.
    pub(crate) alert: Verdict,
    /// Since when the alert is what it is; `None` while nothing is known.
    pub(crate) since: Option<Time>,
}

/// A figure with its unit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum SloValue {
    /// Seconds.
    Span(f64),
    /// A ratio.
    Share(f64),
    /// Something per second.
    Rate(f64),
    /// A number of tickets.
    Count(f64),
}

/// Whether a goal is met.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Nothing was measured.
    Unknown,
    /// It is.
    Met,
    /// It is not.
    Missed,
}
