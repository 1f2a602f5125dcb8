//! The run second by second, for exports: bounded, and cheap to share.
//!
//! Seconds are kept in chunks; a full chunk is never changed again, so a snapshot shares it. When
//! there are too many, the oldest chunk is let go of and counted.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use engine::clock::WallTime;
use engine::perf::Spread;

/// Seconds in a chunk.
const CHUNK_SECONDS: usize = 600;
/// Full chunks that are kept: six hours.
const CHUNKS_MAX: usize = 36;

/// What happened in one second of the run. Counts cover all tickets, warm-up included.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Second {
    /// Its end, as time since arrivals began, without pauses.
    pub(crate) at: Duration,
    /// Its end, for people.
    pub(crate) wall: WallTime,
    /// How long it really was.
    pub(crate) span: Duration,
    /// How much of it was no pause.
    pub(crate) running: Duration,
    /// How much of it lay in the measured window.
    pub(crate) measured: Duration,
    /// Requests that got a ticket.
    pub(crate) issued: u64,
    /// Requests that found the office full.
    pub(crate) rejected: u64,
    /// Tickets served.
    pub(crate) served: u64,
    /// Tickets given up.
    pub(crate) failed: u64,
    /// Tickets waiting at its end.
    pub(crate) waiting: u64,
    /// Tickets in service at its end.
    pub(crate) in_service: u64,
    /// Seats of workers that were there at its end.
    pub(crate) staffed: u64,
    /// Busy seats ÷ staffed seats over the second; `None` outside the measured window or
    /// without a staffed seat.
    pub(crate) utilization: Option<f64>,
    /// Workers that were ready at its end.
    pub(crate) workers: u32,
    /// Users that were hosted at its end.
    pub(crate) users: u32,
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
    pub(crate) syncs: u64,
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

    /// Returns a count of the second as a rate per second.
    pub(crate) fn per_second(&self, count: u64) -> f64 {
        let seconds = self.span.as_secs_f64();
        #[expect(clippy::cast_precision_loss, reason = "a rate for people")]
        if seconds > 0.0 { count as f64 / seconds } else { 0.0 }
    }
}

/// The seconds of a run, oldest first.
#[derive(Clone, Debug, Default)]
pub(crate) struct History {
    full: VecDeque<Arc<Vec<Second>>>,
    latest: Arc<Vec<Second>>,
    dropped: u64,
}

impl History {
    /// Adds a second.
    pub(crate) fn push(&mut self, second: Second) {
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

    /// Returns all seconds that are kept, oldest first.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Second> {
        self.full.iter().flat_map(|chunk| chunk.iter()).chain(self.latest.iter())
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

    #[test]
    fn a_snapshot_does_not_change_when_the_run_goes_on() {
        let mut history = History::default();
        history.push(Second::default());
        let kept = history.clone();
        history.push(Second::default());
        assert_eq!((kept.iter().count(), history.iter().count()), (1, 2));
    }
}
