//! Offices that are looked at from outside: one that another process runs, or one that is over.
//!
//! A dashboard needs only an [`Office`]. Whoever holds its [`Desk`] is the director; here that is
//! a thread of this process that publishes what it is told or reads, and obeys what it can.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use super::handle::{self, Access, Desk, Office};
use super::state::AppState;

/// An office with somebody who tells what happens in it. When this is dropped the teller ends.
#[derive(Debug)]
pub(crate) struct Viewer {
    office: Office,
    end: Arc<AtomicBool>,
    bell: SyncSender<()>,
    teller: Option<JoinHandle<()>>,
}

/// What the teller listens to while it waits.
#[derive(Debug)]
pub(crate) struct Bell {
    end: Arc<AtomicBool>,
    rung: Receiver<()>,
}

/// Gives an office a teller, which publishes at its desk until the bell says that it is enough.
///
/// # Errors
/// If the system has no threads left.
pub(crate) fn start(
    name: &str,
    first: AppState,
    access: Access,
    tell: impl FnOnce(Desk, Bell) + Send + 'static,
) -> io::Result<Viewer> {
    let end = Arc::new(AtomicBool::new(false));
    // One ring that waits is as good as many.
    let (bell, rung) = sync_channel(1);
    let ring = bell.clone();
    let (office, desk) = handle::office(first, move || drop(ring.try_send(())));
    let heard = Bell { end: Arc::clone(&end), rung };
    let thread = std::thread::Builder::new().name(name.to_owned());
    let teller = Some(thread.spawn(move || tell(desk, heard))?);
    Ok(Viewer { office: office.with(access), end, bell, teller })
}

impl Viewer {
    /// Returns what the dashboard shares with the teller.
    pub(crate) fn office(&self) -> &Office {
        &self.office
    }

    /// Returns whether the teller is gone, so that nothing will ever change: a bug, as it stays
    /// when the office has ended.
    pub(crate) fn has_ended(&self) -> bool {
        self.teller.as_ref().is_none_or(JoinHandle::is_finished)
    }
}

impl Drop for Viewer {
    fn drop(&mut self) {
        self.end.store(true, Ordering::Release);
        drop(self.bell.try_send(()));
        if let Some(teller) = self.teller.take() {
            // One that panicked has told why.
            let _ = teller.join();
        }
    }
}

impl Bell {
    /// Returns whether the teller should end.
    pub(crate) fn is_over(&self) -> bool {
        self.end.load(Ordering::Acquire)
    }

    /// Waits for an action, for the end, or for a span; `None` is without end.
    pub(crate) fn wait(&self, span: Option<Duration>) {
        let heard = match span {
            Some(span) => self.rung.recv_timeout(span),
            None => self.rung.recv().map_err(|_| RecvTimeoutError::Disconnected),
        };
        if heard == Err(RecvTimeoutError::Disconnected) {
            // Nobody can ask for anything any more.
            self.end.store(true, Ordering::Release);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::action::Action;
    use crate::app::state::Phase;
    use crate::app::testing;
    use engine::clock::Time;

    #[test]
    fn a_teller_is_woken_by_an_action_and_ends_with_its_viewer() {
        let (told, heard) = sync_channel(1);
        let tell = move |desk: Desk, bell: Bell| {
            while !bell.is_over() {
                while let Some((_, action)) = desk.next_action() {
                    assert_eq!(action, Action::Pause);
                    desk.publish(AppState { phase: Phase::Paused, ..testing::app() });
                }
                bell.wait(None);
            }
            told.send(()).unwrap();
        };
        let viewer = start("test", testing::app(), Access::Control, tell).unwrap();
        viewer.office().submit(Action::Pause).unwrap();
        viewer.office().wait_for(Time::NEVER, |state| state.phase == Phase::Paused).unwrap();
        assert!(!viewer.has_ended());
        drop(viewer);
        heard.recv().unwrap();
    }
}
