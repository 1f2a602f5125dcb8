//! Offices that are looked at from outside: one that another process runs, or one that is over.
//!
//! A dashboard needs only an [`Office`]. Whoever holds its [`Desk`] is the director; here that is
//! a thread of this process that publishes what it is told or reads, and obeys what it can.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use color_eyre::eyre::Result;

use super::handle::{self, Access, Desk, Office};
use super::state::AppState;

/// An office with somebody who tells what happens in it. When this is dropped the teller ends.
#[derive(Debug)]
pub(crate) struct Viewer {
    office: Office,
    end: Arc<AtomicBool>,
    ring: Ring,
    teller: Option<JoinHandle<Result<()>>>,
}

/// What the teller listens to while it waits.
#[derive(Debug)]
pub(crate) struct Bell {
    end: Arc<AtomicBool>,
    rung: Receiver<()>,
    ring: Ring,
}

/// Wakes the teller.
#[derive(Clone, Debug)]
pub(crate) struct Ring(SyncSender<()>);

impl Ring {
    /// Wakes it, now or as soon as it waits.
    pub(crate) fn ring(&self) {
        // One ring that waits is as good as many.
        let _ = self.0.try_send(());
    }
}

/// Gives an office a teller, which publishes at its desk until the bell says that it is enough.
///
/// # Errors
/// If the system has no threads left.
pub(crate) fn start(
    name: &str,
    first: AppState,
    access: Access,
    tell: impl FnOnce(Desk, Bell) -> Result<()> + Send + 'static,
) -> io::Result<Viewer> {
    let end = Arc::new(AtomicBool::new(false));
    let (sender, rung) = sync_channel(1);
    let ring = Ring(sender);
    let wake = ring.clone();
    let (office, desk) = handle::office(first, move || wake.ring());
    let bell = Bell { end: Arc::clone(&end), rung, ring: ring.clone() };
    let thread = std::thread::Builder::new().name(name.to_owned());
    let teller = Some(thread.spawn(move || tell(desk, bell))?);
    Ok(Viewer { office: office.with(access), end, ring, teller })
}

impl Viewer {
    /// Returns what the dashboard shares with the teller.
    pub(crate) fn office(&self) -> &Office {
        &self.office
    }

    /// Ends the teller and returns how it went.
    ///
    /// # Errors
    /// What kept it from telling.
    pub(crate) fn finish(mut self) -> Result<()> {
        self.end();
        // One that panicked has told why.
        self.teller.take().and_then(|teller| teller.join().ok()).unwrap_or(Ok(()))
    }

    fn end(&self) {
        self.end.store(true, Ordering::Release);
        self.ring.ring();
    }

    /// Returns whether the teller is gone, so that nothing will ever change: a bug, as it stays
    /// when the office has ended.
    pub(crate) fn has_ended(&self) -> bool {
        self.teller.as_ref().is_none_or(JoinHandle::is_finished)
    }
}

impl Drop for Viewer {
    fn drop(&mut self) {
        self.end();
        if let Some(teller) = self.teller.take() {
            // Whoever wants to know how it went asks with `finish`.
            drop(teller.join());
        }
    }
}

impl Bell {
    /// Returns whether the teller should end.
    pub(crate) fn is_over(&self) -> bool {
        self.end.load(Ordering::Acquire)
    }

    /// Returns what other threads wake the teller with.
    pub(crate) fn ringer(&self) -> Ring {
        self.ring.clone()
    }

    /// Waits for an action, for the end, for a ring, or for a span; `None` is without end.
    pub(crate) fn wait(&self, span: Option<Duration>) {
        // It holds a sender itself, so the channel lasts as long as it does.
        match span {
            Some(span) => self.rung.recv_timeout(span).unwrap_or_default(),
            None => self.rung.recv().unwrap_or_default(),
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
            Ok(())
        };
        let viewer = start("test", testing::app(), Access::Control, tell).unwrap();
        viewer.office().submit(Action::Pause).unwrap();
        viewer.office().wait_for(Time::NEVER, |state| state.phase == Phase::Paused).unwrap();
        assert!(!viewer.has_ended());
        drop(viewer);
        heard.recv().unwrap();
    }
}
