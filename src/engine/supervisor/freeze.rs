//! Which processes of a fleet stand still because a person wants that, and until when.
//!
//! A freeze is bounded: it ends by itself, by the person, or with the process. The supervisor goes
//! on as for any process: one that is silent for too long is killed and replaced, and SIGKILL ends
//! a stopped process too. Nothing is signalled here; the owner does it.

use std::collections::BTreeMap;

use super::Pid;
use crate::clock::Time;

/// The processes that stand still, by slot.
#[derive(Debug, Default)]
pub struct Freezes(BTreeMap<u16, (Pid, Time)>);

impl Freezes {
    /// Notes that a slot's process stands still until a moment; a second freeze replaces the first.
    pub fn add(&mut self, slot: u16, pid: Pid, until: Time) {
        self.0.insert(slot, (pid, until));
    }

    /// Notes that a slot's process goes on.
    pub fn remove(&mut self, slot: u16) {
        self.0.remove(&slot);
    }

    /// Forgets processes that have ended; `pids` are those that live.
    pub fn retain(&mut self, pids: &BTreeMap<Pid, u16>) {
        self.0.retain(|_, (pid, _)| pids.contains_key(pid));
    }

    /// Takes the next process that has stood still for long enough.
    pub fn poll_due(&mut self, now: Time) -> Option<Pid> {
        let due = self.0.iter().find(|&(_, &(_, until))| until <= now);
        let (&slot, &(pid, _)) = due?;
        self.0.remove(&slot);
        Some(pid)
    }

    /// When [`Self::poll_due`] has something to tell; [`Time::NEVER`] if nobody stands still.
    pub fn deadline(&self) -> Time {
        self.0.values().map(|&(_, until)| until).min().unwrap_or(Time::NEVER)
    }

    /// Returns the slots whose processes stand still, in order.
    pub fn slots(&self) -> impl Iterator<Item = u16> {
        self.0.keys().copied()
    }

    /// Returns whether a slot's process stands still.
    pub fn contains(&self, slot: u16) -> bool {
        self.0.contains_key(&slot)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pid(number: i32) -> Pid {
        Pid::from_raw(number)
    }

    #[test]
    fn a_freeze_ends_at_its_moment_and_once() {
        let mut freezes = Freezes::default();
        freezes.add(3, pid(30), Time(20));
        freezes.add(1, pid(10), Time(50));
        assert_eq!((freezes.deadline(), freezes.poll_due(Time(19))), (Time(20), None));
        assert_eq!(freezes.poll_due(Time(20)), Some(pid(30)));
        assert_eq!(freezes.poll_due(Time(20)), None);
        assert_eq!((freezes.slots().collect::<Vec<_>>(), freezes.deadline()), (vec![1], Time(50)));
        freezes.remove(1);
        assert_eq!(freezes.deadline(), Time::NEVER);
    }

    #[test]
    fn a_second_freeze_replaces_the_first() {
        let mut freezes = Freezes::default();
        freezes.add(3, pid(30), Time(20));
        freezes.add(3, pid(30), Time(40));
        assert_eq!(freezes.poll_due(Time(39)), None);
        assert!(freezes.contains(3));
    }

    #[test]
    fn nobody_continues_the_successor_of_a_process_that_was_killed() {
        let mut freezes = Freezes::default();
        freezes.add(3, pid(30), Time(20));
        freezes.retain(&BTreeMap::from([(pid(31), 3)]));
        assert_eq!((freezes.contains(3), freezes.poll_due(Time(99))), (false, None));
    }
}
