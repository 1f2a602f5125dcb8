//! Whether a person would see that a snapshot is another one.
//!
//! The director publishes four times a second, whatever happens. Most of it is not worth waking
//! anybody for: while a run stands still nothing changes but the time and what processes that do
//! nothing take of CPU and memory. These are shown as of the last second, or, while the run stands
//! still or the display is frozen, of the last minute.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use engine::clock::nanos;

use crate::app::logging;
use crate::app::state::{AppState, Phase, ProcessRow};

/// Looks at snapshots for a dashboard.
#[derive(Debug, Default)]
pub(super) struct Eye {
    is_frozen: AtomicBool,
    last: Mutex<Option<Seen>>,
}

#[derive(Debug)]
struct Seen {
    state: Arc<AppState>,
    log_lines: u64,
}

impl Eye {
    /// Says whether the display shows another moment than the present.
    pub(super) fn set_frozen(&self, is_frozen: bool) {
        self.is_frozen.store(is_frozen, Ordering::Relaxed);
    }

    /// Returns whether a snapshot is worth a frame, compared with the last one that was.
    pub(super) fn sees(&self, state: &Arc<AppState>) -> bool {
        let log_lines = logging::counts().lines;
        let is_frozen = self.is_frozen.load(Ordering::Relaxed);
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let is_new = last.as_ref().is_none_or(|last| {
            last.log_lines != log_lines && !is_frozen || is_seen(&last.state, state, is_frozen)
        });
        if is_new {
            *last = Some(Seen { state: Arc::clone(state), log_lines });
        }
        is_new
    }
}

fn is_seen(before: &AppState, now: &AppState, is_frozen: bool) -> bool {
    let stands = is_frozen || now.phase == Phase::Paused;
    let unit = Duration::from_secs(if stands { 60 } else { 1 });
    before.phase != now.phase
        || before.wall.0 / nanos(unit) != now.wall.0 / nanos(unit)
        || has_happened(before, now)
        || !is_frozen && has_moved(before, now)
}

/// What is told whatever is shown.
fn has_happened(before: &AppState, now: &AppState) -> bool {
    let newest = |state: &AppState| state.events.last().map(|event| event.number);
    before.notices != now.notices
        || newest(before) != newest(now)
        || before.failure != now.failure
        || !Arc::ptr_eq(&before.answers, &now.answers)
        || !Arc::ptr_eq(&before.conf, &now.conf)
        || before.reload.as_ref().map(Arc::as_ptr) != now.reload.as_ref().map(Arc::as_ptr)
}

fn has_moved(before: &AppState, now: &AppState) -> bool {
    let process = |a: &ProcessRow, b: &ProcessRow| {
        let same =
            |row: &ProcessRow| (row.id, row.pid, row.state, row.restarts, row.tickets, row.hosts);
        same(a) == same(b) && a.note == b.note
    };
    let is_same = before.workers == now.workers
        && before.users == now.users
        && before.seats == now.seats
        && before.totals == now.totals
        && before.rates == now.rates
        && before.services == now.services
        && before.store == now.store
        && before.settings == now.settings
        && before.processes.len() == now.processes.len()
        && before.processes.iter().zip(&now.processes).all(|(a, b)| process(a, b));
    !is_same
}

#[cfg(test)]
mod tests {
    use engine::clock::WallTime;

    use super::*;
    use crate::app::testing;

    fn at(seconds: u64, phase: Phase) -> AppState {
        AppState { wall: WallTime(seconds * 1_000_000_000), phase, ..testing::app() }
    }

    fn check(before: &AppState, change: impl Fn(&mut AppState), is_frozen: bool, expected: bool) {
        let mut now = before.clone();
        now.number += 1;
        change(&mut now);
        assert_eq!(is_seen(before, &now, is_frozen), expected);
    }

    #[test]
    fn a_running_office_is_looked_at_each_second_and_when_something_moves() {
        let before = at(120, Phase::Running);
        check(&before, |_| {}, false, false);
        check(&before, |now| now.wall.0 += 250_000_000, false, false);
        check(&before, |now| now.wall.0 += 1_000_000_000, false, true);
        check(&before, |now| now.totals.served += 1, false, true);
        check(&before, |now| now.processes[0].restarts = Some(1), false, true);
        check(&before, |now| now.processes[0].cpu = Some(0.9), false, false);
    }

    #[test]
    fn while_it_stands_still_minutes_count() {
        let before = at(120, Phase::Paused);
        check(&before, |now| now.wall.0 += 59_000_000_000, false, false);
        check(&before, |now| now.wall.0 += 60_000_000_000, false, true);
        check(&before, |now| now.phase = Phase::Running, false, true);
        check(&before, |now| now.totals.issued += 1, false, true);
    }

    #[test]
    fn a_frozen_display_wakes_for_what_must_be_told() {
        let before = at(120, Phase::Running);
        check(&before, |now| now.totals.served += 1000, true, false);
        check(&before, |now| now.wall.0 += 5_000_000_000, true, false);
        check(&before, |now| now.failure = Some("disk".to_owned()), true, true);
        check(&before, |now| now.phase = Phase::Paused, true, true);
    }

    #[test]
    fn what_was_seen_is_what_is_compared_with() {
        let eye = Eye::default();
        let first = at(0, Phase::Running);
        let state = |millis: u64| {
            Arc::new(AppState { wall: WallTime(millis * 1_000_000), ..first.clone() })
        };
        assert!(eye.sees(&state(100)), "the first is always new");
        assert!(!eye.sees(&state(900)));
        assert!(eye.sees(&state(1_050)));
        eye.set_frozen(true);
        assert!(!eye.sees(&state(5_000)));
    }
}
