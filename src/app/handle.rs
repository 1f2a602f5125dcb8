//! All that a front end shares with the director: a bounded queue of actions one way, and one
//! slot with the newest snapshot the other way.
//!
//! Neither side can hold up the other: the slot is swapped, never queued, and an action that
//! finds the queue full is refused at once.

use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Condvar, Mutex, PoisonError};

use engine::clock::{Clock, SystemClock, Time};

use super::action::Action;
use super::state::{AppState, Phase, Source};

/// Actions that may wait for the director.
const ACTIONS_MAX: usize = 64;

/// A front end's view of a running office.
#[derive(Clone)]
pub(crate) struct Office {
    /// Whose wishes are submitted here.
    who: Source,
    actions: SyncSender<Asked>,
    wake: Arc<dyn Fn() + Send + Sync>,
    slot: Arc<Slot>,
}

/// A wish, and whose it is.
type Asked = (Source, Action);

/// The director's end.
pub(crate) struct Desk {
    actions: Receiver<Asked>,
    slot: Arc<Slot>,
}

struct Slot {
    state: Mutex<Arc<AppState>>,
    /// There is a new state.
    news: Condvar,
    listener: Mutex<Option<Listener>>,
}

type Listener = Box<dyn Fn() + Send>;

/// The director has too many unanswered actions.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("the director is busy; try again")]
pub(crate) struct Busy;

/// Connects a front end with a director. `wake` makes the director look at its actions. The front
/// end is the dashboard until [`Office::of`] says otherwise.
pub(crate) fn office(first: AppState, wake: impl Fn() + Send + Sync + 'static) -> (Office, Desk) {
    let (sender, receiver) = sync_channel(ACTIONS_MAX);
    let slot = Arc::new(Slot {
        state: Mutex::new(Arc::new(first)),
        news: Condvar::new(),
        listener: Mutex::new(None),
    });
    let (who, wake) = (Source::Key, Arc::new(wake));
    let office = Office { who, actions: sender, wake, slot: Arc::clone(&slot) };
    (office, Desk { actions: receiver, slot })
}

impl Office {
    /// Returns the same office for another front end, whose wishes are told as `who`'s.
    pub(crate) fn of(&self, who: Source) -> Self {
        Self { who, ..self.clone() }
    }

    /// Asks the director to act.
    ///
    /// # Errors
    /// [`Busy`] if too many actions wait. A director that has ended takes none and says so in
    /// the last snapshot, so that is no error.
    pub(crate) fn submit(&self, action: Action) -> Result<(), Busy> {
        match self.actions.try_send((self.who, action)) {
            Ok(()) => {
                (self.wake)();
                Ok(())
            }
            Err(TrySendError::Full(_)) => Err(Busy),
            Err(TrySendError::Disconnected(_)) => Ok(()),
        }
    }

    /// Returns the newest snapshot.
    pub(crate) fn snapshot(&self) -> Arc<AppState> {
        Arc::clone(&self.slot.state.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Waits for a snapshot that `fits` and returns it; or the newest one, as an error, if none
    /// does until `until` or until the run has ended.
    pub(crate) fn wait_for(
        &self,
        until: Time,
        fits: impl Fn(&AppState) -> bool,
    ) -> Result<Arc<AppState>, Arc<AppState>> {
        let mut state = self.slot.state.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if fits(&state) {
                return Ok(Arc::clone(&state));
            }
            let now = SystemClock.now();
            if now >= until || matches!(state.phase, Phase::Stopped(_)) {
                return Err(Arc::clone(&state));
            }
            let waited = self.slot.news.wait_timeout(state, until.since(now));
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Calls `listener` from the director's thread after each new snapshot; it must not block.
    pub(crate) fn on_snapshot(&self, listener: impl Fn() + Send + 'static) {
        *self.slot.listener.lock().unwrap_or_else(PoisonError::into_inner) =
            Some(Box::new(listener));
    }
}

impl Desk {
    /// Takes the next waiting action, if any, and whose it is.
    pub(crate) fn next_action(&self) -> Option<(Source, Action)> {
        self.actions.try_recv().ok()
    }

    /// Makes `state` the newest snapshot.
    pub(crate) fn publish(&self, state: AppState) {
        *self.slot.state.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(state);
        self.slot.news.notify_all();
        if let Some(listener) = &*self.slot.listener.lock().unwrap_or_else(PoisonError::into_inner)
        {
            listener();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::app::testing;

    #[test]
    fn whoever_waits_is_told_of_the_snapshot_that_fits() {
        let (office, desk) = office(testing::starting(), || {});
        let waiting = std::thread::spawn(move || {
            let until = SystemClock.now() + Duration::from_secs(60);
            office.wait_for(until, |state| state.phase == Phase::Paused).map(|state| state.number)
        });
        desk.publish(AppState { number: 7, ..testing::starting() });
        desk.publish(AppState { number: 8, phase: Phase::Paused, ..testing::app() });
        assert_eq!(waiting.join().unwrap().unwrap(), 8);
    }

    #[test]
    fn nobody_waits_for_a_run_that_has_ended_nor_beyond_the_deadline() {
        let (office, desk) = office(testing::app(), || {});
        assert!(office.wait_for(SystemClock.now(), |_| false).is_err());
        let ending = crate::app::state::Ending::Completed;
        desk.publish(AppState { phase: Phase::Stopped(ending), ..testing::app() });
        assert!(office.wait_for(Time::NEVER, |_| false).is_err());
    }
}
