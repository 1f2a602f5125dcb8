//! `watch`: another program sees every snapshot of a running office, and its log lines.
//!
//! After the request the connection carries one line per look, as long as both ends like. A look
//! is an [`Update`] of the look before it and the lines that were logged meanwhile. Nothing is
//! queued: who reads slowly gets the newest snapshot when the last line has left, and is told how
//! many were left out. All work is done on the connection's own thread, which reads the slot that
//! the director publishes into; the director does not know that somebody watches.

use std::io::Write;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use engine::clock::{Clock, SystemClock};
use engine::limits;
use serde::{Deserialize, Serialize};

use super::VERSION;
use crate::app::handle::Office;
use crate::app::logging;
use crate::app::server::{Stream, Timed};
use crate::app::state::{AppState, Phase};
use crate::app::wire::{FORM, Update};

/// One line.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Look {
    version: u64,
    ok: bool,
    /// How snapshots are written.
    pub(crate) form: String,
    /// Snapshots that were left out so far because the reader was slower than they came.
    pub(crate) skipped: u64,
    /// What was logged since the look before.
    pub(crate) logs: logging::News,
    /// What has changed since then.
    pub(crate) update: Update,
}

/// What one watcher has seen.
#[derive(Debug, Default)]
struct Watcher {
    seen: Option<Arc<AppState>>,
    lines: u64,
    skipped: u64,
}

impl Watcher {
    /// Returns the next look. `is_late` says that the reader took so long for the look before that
    /// others were due meanwhile.
    fn look(&mut self, now: Arc<AppState>, logs: logging::News, is_late: bool) -> Look {
        if let Some(seen) = self.seen.as_ref().filter(|_| is_late) {
            self.skipped += now.number.saturating_sub(seen.number + 1);
        }
        let update = Update::between(self.seen.as_deref(), &now);
        self.seen = Some(now);
        self.lines = logs.told;
        let form = FORM.to_owned();
        Look { version: VERSION, ok: true, form, skipped: self.skipped, logs, update }
    }

    fn number(&self) -> u64 {
        self.seen.as_ref().map_or(0, |seen| seen.number)
    }
}

/// How many watch.
#[derive(Clone, Debug, Default)]
pub(crate) struct Watchers(Arc<(Mutex<usize>, Condvar)>);

/// One who watches, as long as this lives.
pub(super) struct Watching(Watchers);

impl Watchers {
    /// Lets one more watch; `None` if too many do.
    pub(super) fn enter(&self) -> Option<Watching> {
        let mut number = self.0.0.lock().unwrap_or_else(PoisonError::into_inner);
        (*number < limits::WATCHERS_MAX).then(|| {
            *number += 1;
            Watching(self.clone())
        })
    }

    /// Waits until all have been told of the end, or a span is over.
    pub(crate) fn wait(&self, span: Duration) {
        let (number, gone) = &*self.0;
        let number = number.lock().unwrap_or_else(PoisonError::into_inner);
        drop(gone.wait_timeout_while(number, span, |number| *number > 0));
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        let (number, gone) = &*self.0.0;
        *number.lock().unwrap_or_else(PoisonError::into_inner) -= 1;
        gone.notify_all();
    }
}

/// Sends looks until the reader or the office has gone.
pub(super) fn serve<S: Stream>(
    office: &Office,
    interval: Duration,
    _watching: Watching,
    stream: &mut S,
) {
    let mut watcher = Watcher::default();
    let mut is_late = false;
    loop {
        let due = SystemClock.now() + interval;
        let now = office.snapshot();
        let has_ended = matches!(now.phase, Phase::Stopped(_));
        let look = watcher.look(now, logging::since(watcher.lines), is_late);
        let Ok(mut line) = serde_json::to_vec(&look) else { return };
        line.push(b'\n');
        let until = SystemClock.now() + limits::WATCH_LINE_WITHIN;
        if Timed::new(stream, until).write_all(&line).is_err() || has_ended {
            return;
        }
        is_late = SystemClock.now() > due;
        // The end is told at once.
        drop(office.wait_for(due, |_| false));
        // Who watches an office that stands still is told that it is there.
        let silent = SystemClock.now() + limits::WATCH_SILENT_MAX;
        drop(office.wait_for(silent, |state| state.number > watcher.number()));
    }
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader};
    use std::os::fd::AsFd;
    use std::os::unix::net::UnixStream;

    use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

    use super::*;
    use crate::app::handle::{self, Desk};
    use crate::app::testing;

    fn no_logs() -> logging::News {
        logging::News::default()
    }

    fn state(number: u64) -> Arc<AppState> {
        Arc::new(AppState { number, ..testing::app() })
    }

    #[test]
    fn requests_find_room_beside_all_who_watch() {
        let watchers = Watchers::default();
        let mut all: Vec<Watching> = std::iter::from_fn(|| watchers.enter()).collect();
        assert_eq!(all.len(), limits::WATCHERS_MAX);
        all.pop();
        assert!(watchers.enter().is_some(), "one has gone");
    }

    #[test]
    fn only_what_a_slow_reader_misses_counts_as_skipped() {
        let mut watcher = Watcher::default();
        let mut skipped = |number, is_late| watcher.look(state(number), no_logs(), is_late).skipped;
        assert_eq!(skipped(100, false), 0, "what was before is not missed");
        assert_eq!(skipped(104, false), 0, "a long interval was asked for");
        assert_eq!(skipped(105, true), 0);
        assert_eq!(skipped(109, true), 3);
    }

    /// Publishes the snapshots up to a number, and the end of the run behind them.
    fn run(desk: &Desk, numbers: std::ops::RangeInclusive<u64>) {
        for number in numbers {
            desk.publish(AppState { number, ..testing::app() });
        }
    }

    /// Reads looks until the office ends.
    fn read(stream: UnixStream, mut each: impl FnMut(&AppState, &Look)) -> AppState {
        let mut state: Option<AppState> = None;
        for line in BufReader::new(stream).lines() {
            let mut look: Look = serde_json::from_str(&line.unwrap()).unwrap();
            let update =
                std::mem::replace(&mut look.update, Update::between(None, &testing::starting()));
            let next = update.apply(state.as_ref()).unwrap();
            each(&next, &look);
            state = Some(next);
        }
        state.unwrap()
    }

    #[test]
    fn a_reader_that_stands_still_gets_the_newest_and_is_told_what_it_missed() {
        let (office, desk) = handle::office(testing::app(), || {});
        let (mut own, theirs) = UnixStream::pair().unwrap();
        // As little room as the kernel gives, so that one look does not fit.
        nix::sys::socket::setsockopt(&own, nix::sys::socket::sockopt::SndBuf, &1).unwrap();
        let interval = Duration::from_millis(1);
        let serving = std::thread::spawn(move || {
            serve(&office, interval, Watchers::default().enter().unwrap(), &mut own);
            own.cut(std::net::Shutdown::Both).unwrap();
        });
        let first = testing::app().number;
        // The first look has begun, and does not fit.
        let mut waiting = [PollFd::new(theirs.as_fd(), PollFlags::POLLIN)];
        assert_eq!(poll(&mut waiting, PollTimeout::NONE), Ok(1));
        // Nobody reads, and nobody is held up by that.
        run(&desk, first + 1..=first + 500);
        let (mut looks, mut skipped) = (0, 0);
        let mut desk = Some(desk);
        let last = read(theirs, |state, look| {
            looks += 1;
            assert!(look.skipped >= skipped);
            skipped = look.skipped;
            if state.number == first + 500
                && let Some(desk) = desk.take()
            {
                let phase = Phase::Stopped(crate::app::state::Ending::Completed);
                let number = first + 501;
                desk.publish(AppState { number, phase, ..testing::app() });
            }
        });
        serving.join().unwrap();
        assert_eq!(last.number, first + 501, "the end is seen");
        assert_eq!((looks, skipped), (3, 499), "the first, the newest and the last");
    }

    #[test]
    fn an_office_that_stands_still_is_heard_of_and_a_reader_that_goes_ends_it() {
        let (office, desk) = handle::office(testing::app(), || {});
        let (mut own, theirs) = UnixStream::pair().unwrap();
        let interval = Duration::from_millis(1);
        let watchers = Watchers::default();
        let watching = watchers.enter().unwrap();
        let serving = std::thread::spawn(move || serve(&office, interval, watching, &mut own));
        let mut lines = BufReader::new(theirs).lines();
        for _ in 0..2 {
            let look: Look = serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap();
            assert_eq!(look.form, FORM);
        }
        drop(lines);
        serving.join().unwrap();
        watchers.wait(Duration::from_secs(60));
        drop(desk);
    }
}
