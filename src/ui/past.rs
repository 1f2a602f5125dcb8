//! What the office looked like: snapshots of past seconds, for a display that is frozen and moved
//! through time. Bounded in bytes; the older a moment, the fewer of its neighbours are kept.
//!
//! A kept snapshot is stripped of what the present one has anyway (charts, seconds, happenings) and
//! of what is too large to be kept (histograms), and completed again when it is looked at.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use engine::clock::Time;

use crate::app::figures::Figures;
use crate::app::history::{History, Second};
use crate::app::state::{
    AppState, LatencyFigures, LatencyRow, Level, Rates, Seats, StoreRow, Totals,
};

/// What all kept snapshots may take.
const BYTES_MAX: usize = 2 << 20;
/// The least time between two of them.
const INTERVAL: Duration = Duration::from_secs(1);

/// Snapshots of past seconds, oldest first.
#[derive(Clone, Debug, Default)]
pub(crate) struct Past {
    kept: VecDeque<Kept>,
    bytes: usize,
}

#[derive(Clone, Debug)]
struct Kept {
    state: Arc<AppState>,
    bytes: usize,
}

impl Past {
    /// Keeps a snapshot, if a second has passed since the one before.
    pub(crate) fn push(&mut self, state: &AppState) {
        let newest = self.kept.back().map(|kept| kept.state.at);
        // A snapshot that is older than the newest belongs to another run or another time of it.
        if newest.is_some_and(|newest| state.at < newest) {
            *self = Self::default();
        } else if newest.is_some_and(|newest| state.at.since(newest) < INTERVAL) {
            return;
        }
        let state = stripped(state);
        let bytes = bytes_of(&state);
        self.kept.push_back(Kept { state: Arc::new(state), bytes });
        self.bytes += bytes;
        while self.bytes > BYTES_MAX && self.kept.len() > 2 {
            self.thin_out();
        }
    }

    /// Lets go of the snapshot that is missed least: the one whose neighbours are closest to each
    /// other, measured by its age. The oldest and the newest stay.
    fn thin_out(&mut self) {
        let at = |index: usize| self.kept[index].state.at;
        let now = at(self.kept.len() - 1);
        let gap = |index: &usize| {
            let gap = at(index + 1).since(at(index - 1)).as_secs_f64();
            gap / now.since(at(*index)).as_secs_f64()
        };
        let least = (1..self.kept.len() - 1).min_by(|a, b| gap(a).total_cmp(&gap(b)));
        if let Some(kept) = least.and_then(|index| self.kept.remove(index)) {
            self.bytes -= kept.bytes;
        }
    }

    /// Returns the first moment that is kept.
    pub(crate) fn oldest(&self) -> Option<Time> {
        self.kept.front().map(|kept| kept.state.at)
    }

    /// Returns the last snapshot that was taken no later than a moment.
    fn at(&self, moment: Time) -> Option<&Arc<AppState>> {
        self.kept.iter().rev().map(|kept| &kept.state).find(|state| state.at <= moment)
    }
}

/// A display that stands still.
#[derive(Clone, Debug)]
pub(crate) struct Frozen {
    /// The office when the display was frozen.
    base: Arc<AppState>,
    /// The moment that is looked at.
    pub(crate) at: Time,
    /// The office at that moment, as far as it is known.
    pub(crate) shown: Arc<AppState>,
    /// How well it is known.
    pub(crate) sharpness: Sharpness,
}

/// How well a past moment is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sharpness {
    /// All that was shown then, but for what is too large to be kept.
    Whole,
    /// The snapshot is older than the moment by so much, because of the bound on what is kept.
    Nearest(Duration),
    /// Only what charts and seconds tell: no snapshot is as old.
    Seconds,
}

impl Frozen {
    /// Freezes the present.
    pub(crate) fn new(live: &Arc<AppState>) -> Self {
        let (base, shown) = (Arc::clone(live), Arc::clone(live));
        Self { base, at: live.at, shown, sharpness: Sharpness::Whole }
    }

    /// Returns the moment at which the display was frozen: the newest that can be looked at.
    pub(crate) fn newest(&self) -> Time {
        self.base.at
    }

    /// Returns whether the moment that is looked at is the one at which the display was frozen.
    pub(crate) fn is_newest(&self) -> bool {
        self.at >= self.base.at
    }

    /// Returns the oldest moment of which anything is known.
    pub(crate) fn oldest(&self, past: &Past) -> Time {
        let second = self.base.history.iter().next().map(|second| second.end);
        let sample = self.base.series.first().map(|sample| sample.at);
        let known = [second, sample, past.oldest()].into_iter().flatten().min();
        known.unwrap_or(self.base.at).min(self.base.at)
    }

    /// Looks at another moment, between the oldest and the newest.
    pub(crate) fn look_at(&mut self, moment: Time, past: &Past) {
        self.at = moment.clamp(self.oldest(past), self.base.at);
        (self.shown, self.sharpness) = if self.is_newest() {
            (Arc::clone(&self.base), Sharpness::Whole)
        } else {
            self.find(past)
        };
    }

    fn find(&self, past: &Past) -> (Arc<AppState>, Sharpness) {
        let Some(kept) = past.at(self.at) else {
            let second = self.base.history.at(self.at);
            return (Arc::new(of_second(&self.base, second, self.at)), Sharpness::Seconds);
        };
        let late = self.at.since(kept.at);
        let sharpness =
            if late < INTERVAL * 2 { Sharpness::Whole } else { Sharpness::Nearest(late) };
        (Arc::new(completed(kept, &self.base)), sharpness)
    }

    /// Moves by so many samples of the charts: quarters of a second in short windows, seconds in
    /// long ones.
    pub(crate) fn step(&mut self, samples: isize, window: Duration, past: &Past) {
        let moments = moments(&self.base, window);
        let before = moments.partition_point(|moment| *moment < self.at);
        let is_on = moments.get(before) == Some(&self.at);
        // Between two samples one step leads to the nearest of the direction.
        let first = isize::from(!is_on && samples > 0);
        let moment = match before.checked_add_signed(samples - first) {
            Some(to) => moments.get(to).copied().unwrap_or(self.base.at),
            None => self.oldest(past),
        };
        self.look_at(moment, past);
    }

    /// Moves by a span.
    pub(crate) fn leap(&mut self, span: Duration, is_back: bool, past: &Past) {
        let moment = if is_back { self.at - span } else { self.at + span };
        self.look_at(moment, past);
    }

    /// Moves to the next event, or the one before; returns its text, if there is one.
    pub(crate) fn leap_to_event(&mut self, is_back: bool, past: &Past) -> Option<String> {
        let events = Arc::clone(&self.base.events);
        let found = if is_back {
            events.iter().rev().find(|event| event.at < self.at)
        } else {
            events.iter().find(|event| event.at > self.at && event.at <= self.base.at)
        };
        let event = found.filter(|event| event.at >= self.oldest(past))?;
        self.look_at(event.at, past);
        Some(event.text.clone())
    }
}

/// Returns the moments that a chart over a window is made of, oldest first.
fn moments(base: &AppState, window: Duration) -> Vec<Time> {
    let mut moments: Vec<Time> = base.history.iter().map(|second| second.end).collect();
    if window <= super::model::FINE_WINDOW {
        let first = base.series.first().map_or(Time::NEVER, |sample| sample.at);
        moments.truncate(moments.partition_point(|moment| *moment < first));
        moments.extend(base.series.iter().map(|sample| sample.at));
    }
    moments
}

/// Returns a snapshot without what is shared with later ones or too large to be kept.
fn stripped(state: &AppState) -> AppState {
    let figures = &*state.figures;
    let figures = Figures {
        window: figures.window,
        all: figures.all.clone(),
        services: figures.services.clone(),
        users: figures.users.clone(),
        workers_fairness: figures.workers_fairness,
        users_fairness: figures.users_fairness,
        histograms: Vec::new(),
    };
    AppState {
        pauses: Vec::new(),
        series: Arc::default(),
        history: History::default(),
        heat: crate::app::heat::Heat::default(),
        figures: Arc::new(figures),
        metrics: Arc::default(),
        events: Arc::default(),
        ..state.clone()
    }
}

/// Returns a kept snapshot with what the later one has too. What goes beyond the moment is left to
/// those who draw.
fn completed(kept: &AppState, base: &AppState) -> AppState {
    AppState {
        pauses: base.pauses.clone(),
        series: Arc::clone(&base.series),
        history: base.history.clone(),
        heat: base.heat.clone(),
        events: Arc::clone(&base.events),
        ..kept.clone()
    }
}

/// Returns what a second tells of the office; the rest is empty.
fn of_second(base: &AppState, second: Option<&Second>, moment: Time) -> AppState {
    let ago = base.at.since(moment);
    let wall = engine::clock::WallTime(base.wall.0.saturating_sub(engine::clock::nanos(ago)));
    let empty = AppState {
        at: moment,
        wall,
        elapsed: Duration::ZERO,
        workers: Level::default(),
        users: Level::default(),
        seats: Seats::default(),
        totals: Totals::default(),
        rates: Rates::default(),
        figures: Arc::default(),
        latencies: Vec::new(),
        services: Vec::new(),
        processes: Vec::new(),
        store: StoreRow::default(),
        metrics: Arc::default(),
        slos: Vec::new(),
        notices: Vec::new(),
        settings: crate::app::state::Settings::default(),
        ..base.clone()
    };
    let Some(second) = second else { return empty };
    let count = |count: u64| u32::try_from(count).unwrap_or(u32::MAX);
    let level = |actual| Level { actual, target: None };
    let spreads =
        [("wait", second.wait), ("sojourn", second.sojourn), ("response", second.response)];
    let row = |(name, spread): (&'static str, _)| {
        let last = LatencyFigures { count: second.served, spread, p9999: None };
        let [unknown, minute] = [LatencyFigures::default(); 2];
        LatencyRow { name, run: unknown, recent: [last, unknown, minute] }
    };
    AppState {
        elapsed: second.at,
        workers: level(second.workers),
        users: level(second.users),
        seats: Seats { busy: count(second.in_service), staffed: second.staffed.map(count) },
        totals: Totals {
            waiting: second.waiting,
            in_service: second.in_service,
            ..Totals::default()
        },
        rates: Rates {
            offered: second.offered().map(|offered| second.per_second(offered)),
            served: Some(second.per_second(second.served)),
            rejected: second.rejected.map(|rejected| second.per_second(rejected)),
            utilization: second.utilization,
        },
        latencies: spreads.into_iter().map(row).collect(),
        ..empty
    }
}

/// Returns about how many bytes a stripped snapshot takes. What it shares with others
/// (configuration, the scenario's text) is not counted.
fn bytes_of(state: &AppState) -> usize {
    fn list<T>(items: &[T]) -> usize {
        size_of_val(items)
    }
    let run = &state.run;
    let run = [&run.scenario, &run.host, &run.fsync, &run.data_dir];
    let words = run.iter().map(|text| text.len()).sum::<usize>()
        + state.services.iter().map(|row| row.name.len()).sum::<usize>()
        + state.figures.services.iter().map(|row| row.name.len()).sum::<usize>()
        + state.processes.iter().map(|row| row.note.len()).sum::<usize>()
        + state.notices.iter().map(|notice| notice.text.len()).sum::<usize>()
        + state
            .slos
            .iter()
            .map(|row| row.name.len() + row.text.len() + row.metric.len())
            .sum::<usize>();
    size_of::<AppState>()
        + size_of::<Figures>()
        + list(&state.figures.services)
        + list(&state.latencies)
        + list(&state.services)
        + list(&state.processes)
        + list(&state.slos)
        + list(&state.notices)
        + words
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ui::testing;

    fn second(number: u64) -> Time {
        Time(2_000_000_000_000 + number * 1_000_000_000)
    }

    fn state(number: u64) -> AppState {
        AppState { number, at: second(number), ..testing::app() }
    }

    fn past(seconds: u64) -> Past {
        let mut past = Past::default();
        for number in 0..seconds {
            past.push(&state(number));
        }
        past
    }

    #[test]
    fn memory_is_bounded_and_old_moments_grow_sparse() {
        let past = past(3_000);
        assert!(past.bytes <= BYTES_MAX, "{}", past.bytes);
        let weighed: usize = past.kept.iter().map(|kept| bytes_of(&kept.state)).sum();
        assert_eq!(past.bytes, weighed);
        assert_eq!(past.oldest(), Some(second(0)), "the oldest stays");
        assert_eq!(past.at(second(2_999)).map(|state| state.number), Some(2_999));
        let gap = |from: usize| past.kept[from + 1].state.at.since(past.kept[from].state.at);
        let last = past.kept.len() - 2;
        assert_eq!(gap(last), Duration::from_secs(1), "the last seconds are all there");
        assert!(gap(0) > gap(last / 2) && gap(last / 2) >= gap(last), "{:?}", gap(0));
        assert!(past.kept.len() > 100);
        // A moment is never further from what is kept than a share of its age.
        let worst = (0..=last).map(|at| {
            let age = second(2_999).since(past.kept[at].state.at).as_secs_f64();
            gap(at).as_secs_f64() / age.max(1.0)
        });
        assert!(worst.fold(0.0, f64::max) <= 1.0);
    }

    #[test]
    fn one_snapshot_a_second_is_kept_and_a_new_run_begins_anew() {
        let mut past = Past::default();
        for quarter in 0..8 {
            let at = Time(second(0).0 + quarter * 250_000_000);
            past.push(&AppState { at, ..testing::measured() });
        }
        assert_eq!(past.kept.len(), 2);
        let kept = &past.kept[0].state;
        assert!(kept.metrics.is_empty() && kept.figures.histograms.is_empty());
        assert!(kept.series.is_empty() && kept.history.iter().next().is_none());
        past.push(&AppState { at: second(0) - Duration::from_secs(60), ..testing::app() });
        assert_eq!(past.kept.len(), 1);
    }

    #[test]
    fn the_cursor_walks_samples_and_stays_within_what_is_known() {
        let live = Arc::new(testing::measured());
        let mut past = Past::default();
        past.push(&AppState { number: 7, at: live.at - Duration::from_secs(30), ..testing::app() });
        let mut frozen = Frozen::new(&live);
        let minute = Duration::from_secs(60);
        frozen.step(-1, minute, &past);
        assert_eq!(live.at.since(frozen.at), Duration::from_millis(250));
        frozen.step(-3, minute, &past);
        assert_eq!(live.at.since(frozen.at), Duration::from_secs(1));
        assert_eq!(frozen.sharpness, Sharpness::Nearest(Duration::from_secs(29)));
        assert_eq!((frozen.shown.number, frozen.shown.series.len()), (7, live.series.len()));
        frozen.step(4, minute, &past);
        assert!(frozen.is_newest() && frozen.shown.number == live.number);
        frozen.step(1, minute, &past);
        assert!(frozen.is_newest(), "there is nothing behind the present");
        frozen.step(-1, Duration::from_secs(900), &past);
        assert_eq!(live.at.since(frozen.at), Duration::from_secs(1), "seconds in a long window");
        frozen.look_at(Time(1), &past);
        assert_eq!(frozen.at, frozen.oldest(&past));
        frozen.step(-1, minute, &past);
        assert_eq!(frozen.at, frozen.oldest(&past));
    }

    #[test]
    fn before_the_first_snapshot_seconds_tell_what_they_know() {
        let live = Arc::new(testing::measured());
        let mut frozen = Frozen::new(&live);
        frozen.look_at(live.at - Duration::from_secs(100), &Past::default());
        assert_eq!(frozen.sharpness, Sharpness::Seconds);
        let (shown, second) = (&frozen.shown, live.history.at(frozen.at).unwrap());
        assert_eq!((shown.totals.waiting, shown.totals.served), (second.waiting, 0));
        assert_eq!(shown.latencies[0].recent[0].spread, second.wait);
        assert!(shown.processes.is_empty());
        assert_eq!(live.wall.0 - shown.wall.0, 100_000_000_000);
    }

    #[test]
    fn events_are_leapt_to_both_ways() {
        let live = Arc::new(testing::measured());
        let past = Past::default();
        let mut frozen = Frozen::new(&live);
        let texts: Vec<Option<String>> =
            (0..2).map(|_| frozen.leap_to_event(true, &past)).collect();
        let text = |text: &str| Some(text.to_owned());
        assert_eq!(texts, [text("worker 3 died: SIGKILL"), text("worker 3 killed")]);
        assert_eq!(frozen.leap_to_event(false, &past), text("worker 3 died: SIGKILL"));
        assert_eq!(frozen.leap_to_event(false, &past), None);
        frozen.leap(Duration::from_secs(10), true, &past);
        assert_eq!(live.events[4].at.since(frozen.at), Duration::from_secs(10));
    }
}
