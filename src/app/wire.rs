//! Snapshots for another process: the first one whole, then only what has changed.
//!
//! What is large and seldom changes (the seconds of the run, its figures, metrics, configuration)
//! is shared between snapshots and travels beside them: lists that only grow by their newest
//! entries, the rest only when it is another one. Both sides are pure: [`Update::between`] compares
//! two snapshots, [`Update::apply`] makes the later one of the earlier one.

use std::sync::Arc;

use engine::clock::Time;
use serde::{Deserialize, Serialize};

use super::conf::ConfRow;
use super::figures::Figures;
use super::heat::{Heat, HeatRow};
use super::history::{History, Second};
use super::state::{AppState, Happening, MetricRow, Sample, SegmentRow, StoreRow};

/// The form of snapshots; a change of any type in them that old programs can't read raises it.
pub(crate) const FORM: &str = concat!("2/", env!("CARGO_PKG_VERSION"));

/// What makes a later snapshot of an earlier one, or of none.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Update {
    /// The earlier one's number; `None` if it is whole by itself.
    base: Option<u64>,
    /// All but the parts below.
    state: Box<AppState>,
    series: Tail<Sample>,
    history: Tail<Second>,
    heat: Tail<Arc<HeatRow>>,
    events: Tail<Happening>,
    figures: Option<Arc<Figures>>,
    metrics: Option<Arc<Vec<MetricRow>>>,
    conf: Option<Arc<Vec<ConfRow>>>,
    conf_text: Option<Arc<str>>,
    files: Option<Arc<Vec<SegmentRow>>>,
}

/// The newest entries of a bounded list that only grows.
#[derive(Debug, Serialize, Deserialize)]
struct Tail<T> {
    /// Entries that are no longer kept, or of which nobody knows.
    dropped: u64,
    /// Entries of the later list.
    len: usize,
    /// Those that the earlier one does not have.
    new: Vec<T>,
}

/// An update that does not fit the snapshot that it should change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a snapshot does not follow the one before it")]
pub(crate) struct Misfit;

impl<T: Clone> Tail<T> {
    /// Compares by how many entries are new; all are if the lists have nothing in common.
    fn of<'a>(all: impl Iterator<Item = &'a T>, len: usize, dropped: u64, new: u64) -> Self
    where
        T: 'a,
    {
        let known = len - usize::try_from(new).unwrap_or(usize::MAX).min(len);
        Self { dropped, len, new: all.skip(known).cloned().collect() }
    }

    /// Returns the later list.
    fn append(self, earlier: Option<&[T]>) -> Result<Vec<T>, Misfit> {
        let Self { len, new, .. } = self;
        let known = len.checked_sub(new.len()).ok_or(Misfit)?;
        let earlier = earlier.unwrap_or_default();
        let from = earlier.len().checked_sub(known).ok_or(Misfit)?;
        Ok(earlier[from..].iter().cloned().chain(new).collect())
    }
}

impl Update {
    /// Returns what changes `earlier`, or nothing, to `later`.
    pub(crate) fn between(earlier: Option<&AppState>, later: &AppState) -> Self {
        // Another run, or a director that looks elsewhere in time, begins anew.
        let earlier = earlier.filter(|earlier| {
            earlier.run.id == later.run.id
                && earlier.number <= later.number
                && earlier.history.total() <= later.history.total()
                && newest_sample(earlier) <= newest_sample(later)
                && newest_event(earlier) <= newest_event(later)
        });
        let last = earlier.and_then(newest_sample);
        let new = later.series.iter().rev().take_while(|sample| Some(sample.at) > last).count();
        let (len, all) = (later.series.len(), later.series.iter());
        let series = Tail::of(all, len, 0, new as u64);
        let known = earlier.map_or(0, |state| state.history.total());
        let (total, dropped) = (later.history.total(), later.history.dropped());
        let kept = usize::try_from(total - dropped).unwrap_or(usize::MAX);
        let history = Tail::of(later.history.iter(), kept, dropped, total - known);
        let last = earlier.and_then(|state| state.heat.rows().next_back()).map(|row| row.end);
        let rows = || later.heat.rows();
        let new = rows().rev().take_while(|row| Some(row.end) > last).count();
        let heat = Tail::of(rows(), rows().count(), 0, new as u64);
        let new = newest_event(later) - earlier.map_or(0, newest_event);
        let (len, all) = (later.events.len(), later.events.iter());
        let events = Tail::of(all, len, later.events_dropped, new);
        Self {
            base: earlier.map(|state| state.number),
            state: Box::new(AppState {
                series: Arc::default(),
                history: History::default(),
                heat: Heat::default(),
                figures: Arc::default(),
                metrics: Arc::default(),
                conf: Arc::default(),
                conf_text: "".into(),
                store: StoreRow { files: Arc::default(), ..later.store.clone() },
                events: Arc::default(),
                ..later.clone()
            }),
            series,
            history,
            heat,
            events,
            figures: other(earlier.map(|state| &state.figures), &later.figures),
            metrics: other(earlier.map(|state| &state.metrics), &later.metrics),
            conf: other(earlier.map(|state| &state.conf), &later.conf),
            conf_text: other(earlier.map(|state| &state.conf_text), &later.conf_text),
            files: other(earlier.map(|state| &state.store.files), &later.store.files),
        }
    }

    /// Returns the later snapshot.
    ///
    /// # Errors
    /// [`Misfit`] if it does not follow `earlier`.
    pub(crate) fn apply(self, earlier: Option<&AppState>) -> Result<AppState, Misfit> {
        let earlier = match self.base {
            None => None,
            Some(base) => Some(earlier.filter(|state| state.number == base).ok_or(Misfit)?),
        };
        let series = match earlier {
            // Most snapshots share it with the one before.
            Some(earlier) if self.series.new.is_empty() => Arc::clone(&earlier.series),
            _ => Arc::new(self.series.append(earlier.map(|state| &**state.series))?),
        };
        let mut heat = match earlier {
            Some(earlier) if self.heat.new.len() < self.heat.len => earlier.heat.clone(),
            _ => Heat::default(),
        };
        self.heat.new.into_iter().for_each(|row| heat.push(Arc::unwrap_or_clone(row)));
        let events = match earlier {
            Some(earlier) if self.events.new.is_empty() => Arc::clone(&earlier.events),
            _ => Arc::new(self.events.append(earlier.map(|state| &**state.events))?),
        };
        // Of one who missed more than is kept, nothing is left.
        let known = earlier.filter(|_| self.history.new.len() < self.history.len);
        let mut history = known
            .map_or_else(|| History::without(self.history.dropped), |state| state.history.clone());
        self.history.new.into_iter().for_each(|second| history.push(second));
        let files = or_same(self.files, earlier.map(|state| &state.store.files))?;
        let store = StoreRow { files, ..self.state.store };
        Ok(AppState {
            store,
            series,
            history,
            heat,
            events,
            figures: or_same(self.figures, earlier.map(|state| &state.figures))?,
            metrics: or_same(self.metrics, earlier.map(|state| &state.metrics))?,
            conf: or_same(self.conf, earlier.map(|state| &state.conf))?,
            conf_text: or_same(self.conf_text, earlier.map(|state| &state.conf_text))?,
            ..*self.state
        })
    }
}

fn newest_sample(state: &AppState) -> Option<Time> {
    state.series.last().map(|sample| sample.at)
}

fn newest_event(state: &AppState) -> u64 {
    state.events.last().map_or(0, |event| event.number)
}

/// Returns the later value if it is another one.
fn other<T: ?Sized>(earlier: Option<&Arc<T>>, later: &Arc<T>) -> Option<Arc<T>> {
    earlier.is_none_or(|earlier| !Arc::ptr_eq(earlier, later)).then(|| Arc::clone(later))
}

fn or_same<T: ?Sized>(later: Option<Arc<T>>, earlier: Option<&Arc<T>>) -> Result<Arc<T>, Misfit> {
    later.or_else(|| earlier.map(Arc::clone)).ok_or(Misfit)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use engine::clock::WallTime;

    use super::*;
    use crate::app::action::{Action, Ask, ProcessId, Travel};
    use crate::app::exit::Exit;
    use crate::app::state::*;
    use crate::app::testing;

    /// Sends an update as it travels.
    fn travel(update: &Update) -> Update {
        serde_json::from_str(&serde_json::to_string(update).unwrap()).unwrap()
    }

    fn check(earlier: Option<&AppState>, later: &AppState) {
        let arrived = travel(&Update::between(earlier, later)).apply(earlier).unwrap();
        assert!(arrived == *later, "{:?} -> {:?}", earlier.map(|state| &state.phase), later.phase);
    }

    fn states() -> Vec<AppState> {
        let ending = |ending| AppState { phase: Phase::Stopped(ending), ..testing::app() };
        let attached = Attached { pid: Some(7), may_act: true, skipped: 3, lost: None };
        let mut hurt = testing::measured();
        hurt.store.recovery = Some(testing::hurt());
        hurt.store.trouble = Some("the disk is \"full\"\n".to_owned());
        hurt.view = View::Attached(attached);
        vec![
            testing::app(),
            testing::starting(),
            testing::measured(),
            hurt,
            ending(Ending::Completed),
            ending(Ending::Interrupted { signal: 15 }),
            ending(Ending::Overloaded { waiting: 9 }),
            ending(Ending::Failed { exit: Exit::Signal(9), reason: "gone".to_owned() }),
        ]
    }

    #[test]
    fn every_snapshot_arrives_whole() {
        for state in states() {
            check(None, &state);
        }
    }

    #[test]
    fn every_snapshot_follows_from_every_other() {
        for earlier in states() {
            for mut later in states() {
                later.number = earlier.number + 1;
                check(Some(&earlier), &later);
            }
        }
    }

    /// A run that goes on for so many seconds from a snapshot.
    fn later(state: &AppState, seconds: usize) -> AppState {
        let mut later = state.clone();
        let series = Arc::make_mut(&mut later.series);
        let events = Arc::make_mut(&mut later.events);
        for second in 0..seconds {
            later.number += 4;
            later.history.push(Second { issued: second as u64, ..Second::default() });
            let last = *series.last().unwrap();
            series.remove(0);
            series.push(Sample { at: last.at + Duration::from_millis(250), ..last });
            let last = events.last().unwrap().clone();
            events.remove(0);
            later.events_dropped += 1;
            events.push(Happening { number: last.number + 1, wall: WallTime(5), ..last });
        }
        later
    }

    #[test]
    fn only_what_is_new_travels() {
        let first = later(&testing::measured(), 700);
        let next = later(&first, 3);
        let update = Update::between(Some(&first), &next);
        let lens = (update.series.new.len(), update.history.new.len(), update.events.new.len());
        assert_eq!(lens, (3, 3, 3));
        assert!(update.figures.is_none() && update.metrics.is_none() && update.conf.is_none());
        check(Some(&first), &next);
    }

    #[test]
    fn a_reader_that_missed_hours_gets_what_is_kept() {
        let first = later(&testing::app(), 10);
        let next = later(&first, 23_000);
        assert!(next.history.dropped() > first.history.total());
        let arrived = travel(&Update::between(Some(&first), &next)).apply(Some(&first)).unwrap();
        assert!(arrived.history.iter().eq(next.history.iter()));
        assert_eq!(arrived.history.dropped(), next.history.dropped());
        check(None, &next);
    }

    #[test]
    fn an_update_of_another_snapshot_is_refused() {
        let first = testing::app();
        let next = later(&first, 1);
        let update = || travel(&Update::between(Some(&first), &next));
        assert_eq!(update().apply(None).err(), Some(Misfit));
        assert_eq!(update().apply(Some(&next)).err(), Some(Misfit));
        assert!(update().apply(Some(&first)).is_ok());
    }

    #[test]
    fn another_run_begins_anew() {
        let (first, mut other) = (later(&testing::app(), 5), testing::app());
        other.run.id.0 += 1;
        other.number = first.number + 1;
        assert_eq!(Update::between(Some(&first), &other).base, None);
        check(Some(&first), &other);
    }

    #[test]
    fn actions_travel_too() {
        let change = engine::config::Assignment {
            section: "office".to_owned(),
            key: "room".to_owned(),
            value: Some("5".to_owned()),
        };
        let actions = [
            Action::Set { changes: vec![change], ask: Ask::next() },
            Action::Freeze(ProcessId::Worker(engine::ids::WorkerId(3)), Duration::from_millis(7)),
            Action::Travel(Travel::To(Time(5))),
            Action::StopNow,
        ];
        for action in actions {
            let text = serde_json::to_string(&action).unwrap();
            assert_eq!(serde_json::from_str::<Action>(&text).unwrap(), action);
        }
    }
}
