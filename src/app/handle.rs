//! All that a front end shares with the director: a bounded queue of actions one way, and one
//! slot with the newest snapshot the other way.
//!
//! Neither side can hold up the other: the slot is swapped, never queued, and an action that
//! finds the queue full is refused at once.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Condvar, Mutex, PoisonError};

use engine::clock::{Clock, SystemClock, Time};

use super::action::Action;
use super::state::{AppState, Phase, Source};

/// What a front end may ask of the office that it shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    /// Everything: the director is its own.
    Full,
    /// What the control socket takes: it is attached to somebody else's office.
    Control,
    /// Nothing: it is attached and only looks.
    ReadOnly,
    /// To end the run, and nothing else: it is the director's own, and only looks.
    Watch,
    /// Where in time to look: it replays what a log holds.
    Replay,
}

impl Access {
    /// Returns why an action can't be asked for; `None` if it can.
    pub(crate) fn refuses(self, action: &Action) -> Option<Refused> {
        let is_travel = matches!(action, Action::Travel(_));
        match self {
            Self::Full | Self::Control if is_travel => Some(Refused::Live),
            Self::Full | Self::Control => None,
            Self::ReadOnly => Some(Refused::ReadOnly),
            Self::Watch => match action {
                Action::Drain | Action::StopNow => None,
                _ => Some(Refused::Watch),
            },
            Self::Replay => match action {
                Action::Travel(_) | Action::Pause | Action::Resume | Action::Step(_) => None,
                _ => Some(Refused::Past),
            },
        }
    }
}

/// Actions that may wait for the director.
const ACTIONS_MAX: usize = 64;

/// A front end's view of a running office.
#[derive(Clone)]
pub(crate) struct Office {
    /// Whose wishes are submitted here.
    who: Source,
    access: Access,
    actions: SyncSender<Asked>,
    wake: Arc<dyn Fn() + Send + Sync>,
    slot: Arc<Slot>,
}

/// A wish, and whose it is.
type Asked = (Source, Action);

/// The director's end.
pub(crate) struct Desk {
    actions: Receiver<Asked>,
    wake: Arc<dyn Fn() + Send + Sync>,
    slot: Arc<Slot>,
}

struct Slot {
    state: Mutex<Arc<AppState>>,
    /// There is a new state.
    news: Condvar,
    /// Nobody will publish any more.
    is_closed: AtomicBool,
    listener: Mutex<Option<Listener>>,
}

type Listener = Box<dyn Fn() + Send>;

/// Why an action is not even asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refused {
    /// The director has too many unanswered actions.
    #[error("the director is busy; try again")]
    Busy,
    /// This front end only looks.
    #[error("this dashboard only looks; attach with --control to act")]
    ReadOnly,
    /// This front end was told only to look.
    #[error("this dashboard only looks: it was started with --read-only")]
    Watch,
    /// What is shown is over.
    #[error("this is a replay: what is over can't be changed, only looked at")]
    Past,
    /// What is shown is now.
    #[error("only a replay can travel in time; this office runs now")]
    Live,
}

/// Connects a front end with a director. `wake` makes the director look at its actions. The front
/// end is the dashboard until [`Office::of`] says otherwise, and may do all until [`Office::with`]
/// does.
pub(crate) fn office(first: AppState, wake: impl Fn() + Send + Sync + 'static) -> (Office, Desk) {
    let (sender, receiver) = sync_channel(ACTIONS_MAX);
    let slot = Arc::new(Slot {
        state: Mutex::new(Arc::new(first)),
        news: Condvar::new(),
        is_closed: AtomicBool::new(false),
        listener: Mutex::new(None),
    });
    let wake: Arc<dyn Fn() + Send + Sync> = Arc::new(wake);
    let desk = Desk { actions: receiver, wake: Arc::clone(&wake), slot: Arc::clone(&slot) };
    let (who, access) = (Source::Key, Access::Full);
    (Office { who, access, actions: sender, wake, slot }, desk)
}

impl std::fmt::Debug for Office {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (who, access) = (&self.who, &self.access);
        f.debug_struct("Office").field("who", who).field("access", access).finish_non_exhaustive()
    }
}

impl Office {
    /// Returns the same office for another front end, whose wishes are told as `who`'s.
    pub(crate) fn of(&self, who: Source) -> Self {
        Self { who, ..self.clone() }
    }

    /// Returns the same office for a front end that may do other things.
    pub(crate) fn with(&self, access: Access) -> Self {
        Self { access, ..self.clone() }
    }

    /// Returns what may be asked for here.
    pub(crate) fn access(&self) -> Access {
        self.access
    }

    /// Asks the director to act.
    ///
    /// # Errors
    /// [`Refused`] if the access does not allow it or too many actions wait. A director that has
    /// ended takes none and says so in the last snapshot, so that is no error.
    pub(crate) fn submit(&self, action: Action) -> Result<(), Refused> {
        if let Some(refused) = self.access.refuses(&action) {
            return Err(refused);
        }
        match self.actions.try_send((self.who, action)) {
            Ok(()) => {
                (self.wake)();
                Ok(())
            }
            Err(TrySendError::Full(_)) => Err(Refused::Busy),
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
            let has_ended = matches!(state.phase, Phase::Stopped(_)) || self.is_closed();
            if now >= until || has_ended {
                return Err(Arc::clone(&state));
            }
            let waited = self.slot.news.wait_timeout(state, until.since(now));
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Returns whether the director has ended, in good order or not: no snapshot follows.
    pub(crate) fn is_closed(&self) -> bool {
        self.slot.is_closed.load(Ordering::Acquire)
    }

    /// Calls `listener` from the director's thread after each new snapshot and when there will be
    /// no more; it must not block.
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

    /// Returns what makes the director look around.
    pub(crate) fn waker(&self) -> Arc<dyn Fn() + Send + Sync> {
        Arc::clone(&self.wake)
    }

    /// Makes `state` the newest snapshot.
    pub(crate) fn publish(&self, state: AppState) {
        *self.slot.state.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(state);
        self.slot.tell();
    }
}

impl Drop for Desk {
    fn drop(&mut self) {
        {
            // Whoever is about to wait has seen it, or hears of it.
            let _state = self.slot.state.lock().unwrap_or_else(PoisonError::into_inner);
            self.slot.is_closed.store(true, Ordering::Release);
        }
        self.slot.tell();
    }
}

impl Slot {
    fn tell(&self) {
        self.news.notify_all();
        if let Some(listener) = &*self.listener.lock().unwrap_or_else(PoisonError::into_inner) {
            listener();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::app::action::Travel;
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
    fn what_may_be_asked_depends_on_how_one_looks() {
        let (office, desk) = office(testing::app(), || {});
        let travel = || Action::Travel(Travel::Live);
        let try_both = |access| {
            let office = office.with(access);
            [office.submit(Action::Drain).err(), office.submit(travel()).err()]
        };
        assert_eq!(try_both(Access::Full), [None, Some(Refused::Live)]);
        assert_eq!(try_both(Access::Control), [None, Some(Refused::Live)]);
        assert_eq!(try_both(Access::ReadOnly), [Some(Refused::ReadOnly); 2]);
        assert_eq!(try_both(Access::Replay), [Some(Refused::Past), None]);
        let watching = office.with(Access::Watch);
        assert_eq!(watching.submit(Action::Pause), Err(Refused::Watch));
        assert_eq!(watching.submit(Action::StopNow), Ok(()));
        let asked = std::iter::from_fn(|| desk.next_action()).map(|(_, action)| action);
        assert_eq!(
            asked.collect::<Vec<_>>(),
            [Action::Drain, Action::Drain, travel(), Action::StopNow]
        );
    }

    #[test]
    fn nobody_waits_for_a_run_that_has_ended_nor_beyond_the_deadline() {
        let (office, desk) = office(testing::app(), || {});
        assert!(office.wait_for(SystemClock.now(), |_| false).is_err());
        let ending = crate::app::state::Ending::Completed;
        desk.publish(AppState { phase: Phase::Stopped(ending), ..testing::app() });
        assert!(office.wait_for(Time::NEVER, |_| false).is_err());
    }

    #[test]
    fn whoever_waits_hears_that_the_director_has_ended() {
        let (office, desk) = office(testing::app(), || {});
        let (sender, receiver) = std::sync::mpsc::channel();
        office.on_snapshot(move || sender.send(()).unwrap());
        let waiting = office.clone();
        let waiting = std::thread::spawn(move || waiting.wait_for(Time::NEVER, |_| false).is_err());
        drop(desk);
        assert!(waiting.join().unwrap() && office.is_closed());
        assert!(receiver.recv().is_ok());
    }
}
