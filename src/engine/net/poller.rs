//! Readiness: which of a process's descriptors can be read or written.
//!
//! Edge-triggered epoll by way of mio. Deadlines go through a timerfd, because a timeout of epoll
//! has only millisecond steps and rounds up. The timer is armed only when the deadline has
//! changed, so a busy loop does not pay for it.

use std::io;
use std::os::fd::{AsFd, AsRawFd};

use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token, Waker, event::Source};
use nix::sys::time::TimeSpec;
use nix::sys::timer::{Expiration, TimerSetTimeFlags};
use nix::sys::timerfd::{ClockId, TimerFd, TimerFlags};

use crate::clock::Time;

const TIMER: Token = Token(usize::MAX - 2);

/// Waits for readiness.
#[derive(Debug)]
pub struct Poller {
    poll: Poll,
    timer: TimerFd,
    armed: Time,
}

impl Poller {
    /// Returns a poller that watches nothing.
    ///
    /// # Errors
    /// Whatever the system says when it has no descriptors left.
    pub fn new() -> io::Result<Self> {
        let poll = Poll::new()?;
        let flags = TimerFlags::TFD_CLOEXEC | TimerFlags::TFD_NONBLOCK;
        let timer = TimerFd::new(ClockId::CLOCK_MONOTONIC, flags)?;
        let fd = timer.as_fd().as_raw_fd();
        poll.registry().register(&mut SourceFd(&fd), TIMER, Interest::READABLE)?;
        Ok(Self { poll, timer, armed: Time::NEVER })
    }

    /// Returns what ends a wait from any thread, as an event of `token`.
    ///
    /// # Errors
    /// Whatever the system says when it has no descriptors left.
    pub fn waker(&self, token: Token) -> io::Result<Waker> {
        Waker::new(self.poll.registry(), token)
    }

    /// Watches a source for both reading and writing.
    ///
    /// # Errors
    /// Whatever the system says.
    pub fn register(&self, source: &mut impl Source, token: Token) -> io::Result<()> {
        self.poll.registry().register(source, token, Interest::READABLE | Interest::WRITABLE)
    }

    /// Stops watching a source; one that is not watched is no error.
    pub fn deregister(&self, source: &mut impl Source) {
        let _ = self.poll.registry().deregister(source);
    }

    /// Waits until something is ready, a waker wakes, or `deadline`; does not wait if `is_busy`.
    ///
    /// # Errors
    /// Whatever the system says; a signal is no error but a wait without events.
    pub fn wait(&mut self, deadline: Time, is_busy: bool, events: &mut Events) -> io::Result<()> {
        let timeout = is_busy.then_some(std::time::Duration::ZERO);
        if !is_busy {
            self.arm(deadline)?;
        }
        match self.poll.poll(events, timeout) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {
                events.clear();
                return Ok(());
            }
            polled => polled?,
        }
        if events.iter().any(|event| event.token() == TIMER) {
            // The timer is armed anew before the next wait; what it counted does not matter.
            let _ = self.timer.wait();
            self.armed = Time::NEVER;
        }
        Ok(())
    }

    fn arm(&mut self, deadline: Time) -> io::Result<()> {
        if deadline == self.armed {
            return Ok(());
        }
        self.armed = deadline;
        if deadline == Time::NEVER {
            self.timer.unset()?;
            return Ok(());
        }
        // Zero would disarm the timer; one nanosecond after boot is as much in the past.
        let ns = deadline.0.max(1);
        let seconds = i64::try_from(ns / 1_000_000_000).unwrap_or(i64::MAX);
        let moment = TimeSpec::new(seconds, (ns % 1_000_000_000).cast_signed());
        let flags = TimerSetTimeFlags::TFD_TIMER_ABSTIME;
        self.timer.set(Expiration::OneShot(moment), flags)?;
        Ok(())
    }
}

/// Asks the kernel to wake this thread without delay when a timer expires; by default it may be
/// 50 µs late to save power.
pub fn set_least_timer_slack() {
    // A kernel that refuses only makes sleeps a little longer, which is measured anyway.
    let _ = nix::sys::prctl::set_timerslack(1);
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::clock::{Clock, SystemClock};

    fn wait_until(poller: &mut Poller, moment: Time) -> Events {
        let mut events = Events::with_capacity(8);
        while events.is_empty() {
            poller.wait(moment, false, &mut events).unwrap();
        }
        events
    }

    #[test]
    fn a_wait_ends_no_earlier_than_its_deadline_and_can_be_repeated() {
        let mut poller = Poller::new().unwrap();
        for _ in 0..2 {
            let deadline = SystemClock.now() + Duration::from_micros(300);
            wait_until(&mut poller, deadline);
            assert!(SystemClock.now() >= deadline);
        }
        wait_until(&mut poller, Time::ZERO);
    }

    #[test]
    fn a_waker_ends_a_wait_without_deadline() {
        let mut poller = Poller::new().unwrap();
        let waker = poller.waker(Token(3)).unwrap();
        waker.wake().unwrap();
        let events = wait_until(&mut poller, Time::NEVER);
        assert!(events.iter().any(|event| event.token() == Token(3)));
    }

    #[test]
    fn a_busy_loop_does_not_wait() {
        let mut poller = Poller::new().unwrap();
        let mut events = Events::with_capacity(8);
        poller.wait(Time::NEVER, true, &mut events).unwrap();
        assert!(events.is_empty());
    }
}
