//! The run second by second, for charts and exports: bounded, and cheap to share.
//!
//! Seconds are kept in chunks; a full chunk is never changed again, so a snapshot shares it. When
//! there are too many, the oldest chunk is let go of and counted.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use engine::clock::{Time, WallTime};
use engine::perf::Spread;
use serde::{Deserialize, Serialize};

use super::serial;
use super::trend::{self, Coarse, Extent, Measure};

/// Seconds in a chunk; the newest one is copied once a second, as a snapshot shares it.
const CHUNK_SECONDS: usize = 60;
/// Full chunks that are kept: six hours.
const CHUNKS_MAX: usize = 360;
/// Coarse steps that are kept: as long as seconds are.
const COARSE_MAX: usize = (CHUNKS_MAX + 1) * CHUNK_SECONDS / trend::STEP_SECONDS;

/// What happened in one second of the run. Counts cover all tickets, warm-up included.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Second {
    /// Its end.
    pub(crate) end: Time,
    /// The same, as time since arrivals began, without pauses.
    #[serde(with = "serial::ns")]
    pub(crate) at: Duration,
    /// The same, for people.
    pub(crate) wall: WallTime,
    /// How long it really was.
    #[serde(with = "serial::ns")]
    pub(crate) span: Duration,
    /// How much of it was no pause.
    #[serde(with = "serial::ns")]
    pub(crate) running: Duration,
    /// How much of it lay in the measured window.
    #[serde(with = "serial::ns")]
    pub(crate) measured: Duration,
    /// Requests that got a ticket.
    pub(crate) issued: u64,
    /// Requests that found the office full; `None` is not known, as below.
    pub(crate) rejected: Option<u64>,
    /// Tickets served.
    pub(crate) served: u64,
    /// Tickets given up.
    pub(crate) failed: u64,
    /// Tickets waiting at its end.
    pub(crate) waiting: u64,
    /// Tickets in service at its end.
    pub(crate) in_service: u64,
    /// Seats of workers that were there at its end.
    pub(crate) staffed: Option<u64>,
    /// Busy seats ÷ staffed seats over the second; `None` outside the measured window or
    /// without a staffed seat.
    pub(crate) utilization: Option<f64>,
    /// Workers that were ready at its end.
    pub(crate) workers: Option<u32>,
    /// Users that were hosted at its end.
    pub(crate) users: Option<u32>,
    /// Waiting time of tickets served in it.
    pub(crate) wait: Option<Spread>,
    /// Sojourn time of tickets served in it.
    pub(crate) sojourn: Option<Spread>,
    /// Response time of tickets whose users were told in it.
    pub(crate) response: Option<Spread>,
    /// Records written to the log.
    pub(crate) records: u64,
    /// Bytes written to the log.
    pub(crate) log_bytes: u64,
    /// Syncs of the log.
    pub(crate) syncs: Option<u64>,
    /// How long they took; `None` without one or with metrics compiled out.
    pub(crate) sync: Option<Spread>,
}

impl Second {
    /// Returns whether most of it was measured.
    pub(crate) fn is_measured(&self) -> bool {
        self.measured * 2 > self.span
    }

    /// Returns whether the run stood still for most of it.
    pub(crate) fn is_paused(&self) -> bool {
        self.running * 2 < self.span
    }

    /// Returns the requests that reached the issuer, if the rejected ones are known.
    pub(crate) fn offered(&self) -> Option<u64> {
        self.rejected.map(|rejected| self.issued + rejected)
    }

    /// Returns a count of the second as a rate per second.
    pub(crate) fn per_second(&self, count: u64) -> f64 {
        let seconds = self.span.as_secs_f64();
        #[expect(clippy::cast_precision_loss, reason = "a rate for people")]
        if seconds > 0.0 { count as f64 / seconds } else { 0.0 }
    }
}

/// The seconds of a run, oldest first.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct History {
    full: VecDeque<Arc<Vec<Second>>>,
    latest: Arc<Vec<Second>>,
    /// Steps that are over, oldest first.
    coarse: Arc<Vec<Coarse>>,
    dropped: u64,
}

impl History {
    /// Adds a second.
    pub(crate) fn push(&mut self, second: Second) {
        self.end_step(second.end);
        if self.latest.len() == CHUNK_SECONDS {
            self.full.push_back(std::mem::take(&mut self.latest));
        }
        if self.full.len() > CHUNKS_MAX
            && let Some(oldest) = self.full.pop_front()
        {
            self.dropped += oldest.len() as u64;
        }
        Arc::make_mut(&mut self.latest).push(second);
    }

    /// Joins the seconds of the step that is over when a second ends in a later one.
    fn end_step(&mut self, end: Time) {
        let Some(last) = self.iter().next_back().map(|second| trend::step(second.end)) else {
            return;
        };
        if last >= trend::step(end) {
            return;
        }
        let coarse = Coarse::of(self.iter().rev().take_while(|s| trend::step(s.end) == last));
        let steps = Arc::make_mut(&mut self.coarse);
        if steps.len() == COARSE_MAX {
            steps.remove(0);
        }
        steps.push(coarse);
    }

    /// Returns a measure of every second since a moment, oldest first; what is not known is left
    /// out.
    pub(crate) fn fine(&self, measure: Measure, from: Time) -> Vec<(Time, Extent)> {
        let since = self.iter().rev().take_while(|second| second.end >= from);
        let known = |second: &Second| Some((second.end, Extent::of(measure.of(second)?)));
        let mut extents: Vec<_> = since.filter_map(known).collect();
        extents.reverse();
        extents
    }

    /// Returns the extents of a measure in steps of fifteen seconds, oldest first; the seconds of
    /// the step that is not over follow one by one.
    pub(crate) fn coarse(&self, measure: Measure, from: Time) -> Vec<(Time, Extent)> {
        let joined = self.coarse.last().map_or(Time::ZERO, |last| last.end);
        let since = self.coarse.partition_point(|step| step.end < from);
        let known = |step: &Coarse| Some((step.end, step.extent(measure)?));
        let mut extents: Vec<_> = self.coarse[since..].iter().filter_map(known).collect();
        extents.extend(self.fine(measure, Time(joined.0 + 1).max(from)));
        extents
    }

    /// Returns the last second that ended no later than a moment.
    pub(crate) fn at(&self, moment: Time) -> Option<&Second> {
        self.iter().rev().find(|second| second.end <= moment)
    }

    /// Returns all seconds that are kept, oldest first.
    pub(crate) fn iter(&self) -> impl DoubleEndedIterator<Item = &Second> {
        self.full.iter().flat_map(|chunk| chunk.iter()).chain(self.latest.iter())
    }

    /// Returns an empty history that has let go of its oldest seconds.
    pub(crate) fn without(dropped: u64) -> Self {
        Self { dropped, ..Self::default() }
    }

    /// Returns how many seconds there have been, kept or not.
    pub(crate) fn total(&self) -> u64 {
        let full: usize = self.full.iter().map(|chunk| chunk.len()).sum();
        self.dropped + (full + self.latest.len()) as u64
    }

    /// Returns how many of the oldest seconds are not kept any more.
    pub(crate) fn dropped(&self) -> u64 {
        self.dropped
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_seconds_go_and_are_counted() {
        let mut history = History::default();
        let all = CHUNK_SECONDS * (CHUNKS_MAX + 3);
        for number in 0..all {
            history.push(Second { issued: number as u64, ..Second::default() });
        }
        let kept: Vec<u64> = history.iter().map(|second| second.issued).collect();
        assert_eq!(history.dropped(), all as u64 - kept.len() as u64);
        assert!(kept.len() >= CHUNK_SECONDS * CHUNKS_MAX);
        assert_eq!((kept[0], kept[kept.len() - 1]), (history.dropped(), all as u64 - 1));
        assert!(kept.is_sorted());
    }

    fn second(number: u64, served: u64) -> Second {
        let (end, span) = (Time(number * 1_000_000_000), Duration::from_secs(1));
        Second { end, span, running: span, served, ..Second::default() }
    }

    #[test]
    fn coarse_steps_keep_every_peak_and_end_with_the_newest_second() {
        let mut history = History::default();
        for number in 1..=100 {
            history.push(second(number, if number == 37 { 900 } else { 10 + number % 3 }));
        }
        let coarse = history.coarse(Measure::Served, Time::ZERO);
        let fine = history.fine(Measure::Served, Time::ZERO);
        assert_eq!((fine.len(), coarse.len()), (100, 6 + 10), "six steps and ten seconds");
        assert_eq!(coarse.last(), fine.last());
        let all = |extents: &[(Time, Extent)]| {
            extents.iter().map(|(_, extent)| *extent).reduce(Extent::join).unwrap()
        };
        assert_eq!(all(&coarse), Extent { min: 10.0, max: 900.0 });
        assert_eq!(all(&coarse), all(&fine));
        assert_eq!(coarse[2].0, Time(45_000_000_000), "a step ends with its last second");
        assert!(coarse[2].1.max > 899.0 && coarse[1].1.max < 13.0);
        let late = Time(92_000_000_000);
        assert_eq!(history.coarse(Measure::Served, late), history.fine(Measure::Served, late));
    }

    #[test]
    fn what_is_not_known_leaves_a_gap() {
        let mut history = History::default();
        history.push(second(1, 5));
        history.push(Second { running: Duration::ZERO, ..second(2, 0) });
        history.push(second(3, 5));
        assert_eq!(history.fine(Measure::Served, Time::ZERO).len(), 2, "a pause is no zero");
        assert_eq!(history.coarse(Measure::P99(trend::Timed::Wait), Time::ZERO), []);
        assert_eq!(history.at(Time(2_500_000_000)).map(|s| s.end), Some(Time(2_000_000_000)));
        assert_eq!(history.at(Time(999)), None);
    }

    #[test]
    fn a_snapshot_does_not_change_when_the_run_goes_on() {
        let mut history = History::default();
        history.push(Second::default());
        let kept = history.clone();
        history.push(Second::default());
        assert_eq!((kept.iter().count(), history.iter().count()), (1, 2));
    }
}
