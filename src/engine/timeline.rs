//! When a run opened, when its arrivals end, and when it stood still.
//!
//! The director owns the timeline and sends it whole, on every change and to every new process,
//! so that nobody has to be told of a change twice or in order. *Office time* is the time since
//! the opening without the pauses: users keep their timers in it, so a pause needs no timer to
//! be moved and a resume makes no burst.

use std::time::Duration;

use crate::clock::Time;

/// The times that all processes of a run agree on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Timeline {
    /// When arrivals began.
    pub opened_at: Time,
    /// What is left out of the statistics at the start, in office time.
    pub warmup: Duration,
    /// When arrivals stop, in office time; `None` while nobody knows.
    pub arrivals: Option<Duration>,
    /// Spans in which the run stood still, in order; the last one lasts on while its end is
    /// [`Time::NEVER`].
    pub pauses: Vec<(Time, Time)>,
}

/// The measured window as it is known, ready for many questions.
#[derive(Clone, Debug)]
pub struct Window {
    from: Time,
    until: Time,
    pauses: Vec<(Time, Time)>,
}

impl Default for Window {
    /// Returns the window of a timeline of which nothing is known: everything is measured.
    fn default() -> Self {
        Timeline::default().window()
    }
}

impl Window {
    /// Returns how much measured time lies before a moment, in nanoseconds. The measured part of
    /// a span is the difference between its ends.
    #[inline]
    pub fn position(&self, moment: Time) -> u64 {
        let moment = moment.min(self.until);
        let mut measured = moment.0.saturating_sub(self.from.0);
        for &(from, to) in self.pauses.iter().rev() {
            if to <= self.from {
                break;
            }
            let pause = to.min(moment).0.saturating_sub(from.max(self.from).0);
            measured = measured.saturating_sub(pause);
        }
        measured
    }

    /// Returns when the window ends; [`Time::NEVER`] while it is not known.
    pub fn until(&self) -> Time {
        self.until
    }

    /// Returns whether a moment lies in the window.
    #[inline]
    pub fn contains(&self, moment: Time) -> bool {
        self.from <= moment && moment < self.until
    }
}

impl Timeline {
    /// Returns the measured window as it is known.
    pub fn window(&self) -> Window {
        Window { from: self.window_from(), until: self.window_until(), pauses: self.pauses.clone() }
    }

    /// Returns whether the run stands still at `now`, by the last that was decided.
    pub fn is_paused(&self, now: Time) -> bool {
        self.pauses.last().is_some_and(|&(from, to)| from <= now && to == Time::NEVER)
    }

    /// Returns when the run will stand still, if that is decided and `now` is before.
    pub fn pause_ahead(&self, now: Time) -> Option<Time> {
        self.pauses
            .last()
            .filter(|&&(from, to)| from > now && to == Time::NEVER)
            .map(|&(from, _)| from)
    }

    /// Returns the office time at `now`; zero before the opening.
    pub fn office_time(&self, now: Time) -> Duration {
        self.running(self.opened_at, now)
    }

    /// Returns how long the run did not stand still between `from` and `to`.
    pub fn running(&self, from: Time, to: Time) -> Duration {
        let from = from.max(self.opened_at);
        let paused: u64 = (self.pauses.iter().rev())
            .take_while(|&&(_, pause_to)| pause_to > from)
            .map(|&(pause_from, pause_to)| {
                pause_to.min(to).0.saturating_sub(pause_from.max(from).0)
            })
            .sum();
        to.since(from).saturating_sub(Duration::from_nanos(paused))
    }

    /// Returns the moment at which the office time reaches `office`, as far as the pauses are
    /// known; [`Time::NEVER`] if it lies behind a pause that lasts on.
    pub fn moment(&self, office: Duration) -> Time {
        let mut moment = self.opened_at + office;
        for &(from, to) in &self.pauses {
            if from > moment {
                break;
            }
            if to == Time::NEVER {
                return Time::NEVER;
            }
            moment = moment + to.since(from);
        }
        moment
    }

    /// Returns the moment at which the statistics begin.
    pub fn window_from(&self) -> Time {
        self.moment(self.warmup)
    }

    /// Returns the moment at which the statistics and arrivals end; [`Time::NEVER`] while it is
    /// not known.
    pub fn window_until(&self) -> Time {
        self.arrivals.map_or(Time::NEVER, |span| self.moment(span))
    }

    /// Returns how much of the span from `from` to `to` counts in the statistics.
    pub fn measured(&self, from: Time, to: Time) -> Duration {
        let from = from.max(self.window_from());
        let to = to.min(self.window_until());
        if from >= to { Duration::ZERO } else { self.running(from, to) }
    }

    /// Returns whether a moment lies in the window of the statistics.
    pub fn is_measured(&self, moment: Time) -> bool {
        self.window_from() <= moment && moment < self.window_until()
    }

    /// Freezes office time from `at` on, unless it is frozen or will be then. What is decided
    /// ahead holds in every process at the same moment.
    pub fn pause(&mut self, at: Time) {
        match self.pauses.last_mut() {
            Some((from, Time::NEVER)) => *from = at.min(*from),
            _ => self.pauses.push((at, Time::NEVER)),
        }
    }

    /// Lets office time go on at `now`, if it is frozen; a pause that is ahead is called off.
    pub fn resume(&mut self, now: Time) {
        match self.pauses.last_mut() {
            Some(&mut (from, Time::NEVER)) if from > now => drop(self.pauses.pop()),
            Some((_, to)) if *to == Time::NEVER => *to = now,
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Time {
        Time(seconds * 1_000_000_000)
    }

    fn secs(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    /// Opened at 100 s, warm-up 5 s, arrivals for 20 s, paused from 110 to 113 and from 120 on.
    fn paused_twice() -> Timeline {
        let mut line = Timeline {
            opened_at: at(100),
            warmup: secs(5),
            arrivals: Some(secs(20)),
            pauses: Vec::new(),
        };
        line.pause(at(110));
        line.pause(at(111));
        line.resume(at(113));
        line.resume(at(114));
        line.pause(at(120));
        line
    }

    #[test]
    fn office_time_stands_still_in_a_pause() {
        let line = paused_twice();
        for (now, office) in [(90, 0), (105, 5), (110, 10), (112, 10), (115, 12), (130, 17)] {
            assert_eq!(line.office_time(at(now)), secs(office), "at {now}");
        }
    }

    #[test]
    fn a_pause_that_is_decided_ahead_begins_at_its_moment() {
        let mut line = paused_twice();
        line.resume(at(130));
        line.pause(at(133));
        assert_eq!(line.pause_ahead(at(132)), Some(at(133)));
        assert!(!line.is_paused(at(132)) && line.is_paused(at(133)));
        assert_eq!(line.pause_ahead(at(133)), None);
        for (now, office) in [(132, 19), (133, 20), (140, 20)] {
            assert_eq!(line.office_time(at(now)), secs(office), "at {now}");
        }
        assert_eq!(line.moment(secs(19)), at(132));
        assert_eq!(line.moment(secs(20)), Time::NEVER, "what is due then waits");
    }

    #[test]
    fn a_pause_that_is_ahead_can_be_called_off_or_come_earlier() {
        let mut line = paused_twice();
        line.resume(at(130));
        line.pause(at(133));
        line.resume(at(131));
        assert_eq!((line.pauses.len(), line.pause_ahead(at(131))), (2, None));
        line.pause(at(140));
        line.pause(at(135));
        line.pause(at(137));
        assert_eq!(line.pauses.last(), Some(&(at(135), Time::NEVER)));
    }

    #[test]
    fn a_moment_is_where_office_time_gets_to() {
        let mut line = paused_twice();
        assert_eq!(line.moment(secs(9)), at(109));
        assert_eq!(line.moment(secs(12)), at(115));
        assert_eq!(line.moment(secs(18)), Time::NEVER);
        line.resume(at(150));
        assert_eq!(line.moment(secs(18)), at(151));
        assert_eq!(line.office_time(at(151)), secs(18));
    }

    #[test]
    fn the_window_leaves_out_warm_up_pauses_and_what_follows_arrivals() {
        let mut line = paused_twice();
        line.resume(at(121));
        assert_eq!((line.window_from(), line.window_until()), (at(105), at(124)));
        assert_eq!(line.measured(at(90), at(200)), secs(15));
        assert_eq!(line.measured(at(109), at(114)), secs(2));
        assert_eq!(line.measured(at(124), at(130)), secs(0));
        assert!(line.is_measured(at(105)) && !line.is_measured(at(124)));
    }

    #[test]
    fn positions_in_the_window_differ_by_what_is_measured_between_them() {
        let mut line = paused_twice();
        line.resume(at(121));
        let window = line.window();
        for (from, to) in [(90, 200), (109, 114), (111, 112), (124, 130), (104, 106), (0, 1)] {
            let span = window.position(at(to)) - window.position(at(from));
            assert_eq!(Duration::from_nanos(span), line.measured(at(from), at(to)), "{from} {to}");
        }
        assert!(window.contains(at(105)) && !window.contains(at(104)) && !window.contains(at(124)));
        assert!(Window::default().contains(at(1)));
        assert_eq!(Window::default().position(at(3)), at(3).0);
    }
}
