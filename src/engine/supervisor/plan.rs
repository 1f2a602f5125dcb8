//! Many slots of one role: which are wanted, which live, and what to do about the difference.
//!
//! A [`Fleet`] starts wanted slots at a bounded pace, lowest first, and stops the others, highest
//! first. Everything that would start a process, a first start as well as a restart, waits in
//! `startable` until [`Fleet::handle_tick`] finds a token for it; deadlines that kill are never
//! held back by that. A slot's number is its identity: a worker that is replaced keeps it.
//!
//! Invariants: what [`Child`] promises for each slot; [`Fleet::pids`] holds exactly the living
//! processes; [`Fleet::deadline`] is never later than the next thing to do; the cost of a turn
//! grows with what happens in it, not with the number of slots.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use super::Pid;
use super::child::{Child, Effect, Input};
use super::pace::{Pace, SpawnBucket};
use super::report::Phase;
use super::restart::{DeathWindow, Policy};
use crate::clock::Time;

/// The slots of one role. See the head of the file.
#[derive(Debug)]
pub struct Fleet {
    policy: &'static Policy,
    pace: Pace,
    children: BTreeMap<u16, Child>,
    wanted: BTreeSet<u16>,
    /// Wanted slots whose process may be started as soon as there is a token.
    startable: BTreeSet<u16>,
    /// The deadline of every slot that has one and is not startable.
    deadlines: BTreeSet<(Time, u16)>,
    pids: BTreeMap<Pid, u16>,
    counts: Counts,
    deaths: DeathWindow,
    bucket: SpawnBucket,
    effects: VecDeque<(u16, Effect)>,
}

/// How many slots are in which phase, and what has happened to all of them since the beginning.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Slots whose process is being started or not ready yet.
    pub starting: u32,
    /// Slots whose process serves.
    pub ready: u32,
    /// Slots whose process has been silent for a while.
    pub suspect: u32,
    /// Slots whose process was asked to end, or told to.
    pub stopping: u32,
    /// Slots that wait to be restarted.
    pub backoff: u32,
    /// Slots that were given up.
    pub failed: u32,
    /// Processes started again in a slot that had one before.
    pub restarts: u64,
    /// Deaths that nobody had asked for.
    pub crashes: u64,
}

/// What a fleet keeps track of for one slot.
#[derive(Clone, Copy)]
struct Trace {
    phase: Phase,
    deadline: Option<Time>,
    pid: Option<Pid>,
    restarts: u32,
    crashes: u32,
}

impl Fleet {
    /// Returns a fleet that wants nothing.
    pub fn new(policy: &'static Policy, pace: Pace) -> Self {
        Self {
            policy,
            pace,
            children: BTreeMap::new(),
            wanted: BTreeSet::new(),
            startable: BTreeSet::new(),
            deadlines: BTreeSet::new(),
            pids: BTreeMap::new(),
            counts: Counts::default(),
            deaths: DeathWindow::default(),
            bucket: SpawnBucket::new(pace.spawns_per_second, pace.spawn_burst),
            effects: VecDeque::new(),
        }
    }

    /// Wants the slots `0..n` and no other; a process that is no longer wanted may take `grace`.
    pub fn set_wanted(&mut self, n: u16, grace: Duration, now: Time) {
        self.set_wanted_slots((0..n).collect(), grace, now);
    }

    /// Wants exactly these slots; a process that is no longer wanted may take `grace`.
    pub fn set_wanted_slots(&mut self, wanted: BTreeSet<u16>, grace: Duration, now: Time) {
        let before = std::mem::replace(&mut self.wanted, wanted);
        let retired: Vec<u16> = before.difference(&self.wanted).copied().collect();
        let added: Vec<u16> = self.wanted.difference(&before).copied().collect();
        for slot in retired.into_iter().rev() {
            self.startable.remove(&slot);
            self.apply(slot, Input::Stop { grace }, now);
        }
        for slot in added {
            self.start(slot, now);
        }
    }

    /// Wants nothing any more; living processes may take `grace`. Calling it again with less
    /// grace shortens the first.
    pub fn stop_all(&mut self, grace: Duration, now: Time) {
        self.want_nothing(Input::Stop { grace }, now);
    }

    /// Wants nothing any more and kills what lives.
    pub fn kill_all(&mut self, now: Time) {
        self.want_nothing(Input::StopNow, now);
    }

    fn want_nothing(&mut self, stop: Input, now: Time) {
        self.wanted.clear();
        self.startable.clear();
        let slots: Vec<u16> = self.children.keys().rev().copied().collect();
        for slot in slots {
            self.apply(slot, stop, now);
        }
    }

    /// Stops one wanted slot and starts it again, for a change that a running process cannot take.
    /// A slot that is not wanted is left alone.
    pub fn restart(&mut self, slot: u16, grace: Duration, now: Time) {
        if self.wanted.contains(&slot) && self.children.contains_key(&slot) {
            self.apply(slot, Input::Stop { grace }, now);
            self.start(slot, now);
        }
    }

    /// Tries every slot again that was given up, with a clean slate for all.
    pub fn retry_failed(&mut self, now: Time) {
        self.deaths.clear();
        let failed = |slot: &u16| self.phase(*slot) == Phase::Failed;
        let slots: Vec<u16> = self.wanted.iter().copied().filter(failed).collect();
        for slot in slots {
            self.restart(slot, Duration::ZERO, now);
        }
    }

    /// Tells one slot what happened to it; news of a slot that was never started is ignored.
    ///
    /// What is wanted is told with [`Self::set_wanted`] and its relatives, and the time with
    /// [`Self::handle_tick`], so only the news of a process and [`Input::Kill`] belong here. Close
    /// the connection of a process before reporting its end, or what it said last could be taken
    /// for its successor's words.
    pub fn handle(&mut self, slot: u16, input: Input, now: Time) {
        if self.children.contains_key(&slot) {
            self.apply(slot, input, now);
        }
    }

    /// Acts on all deadlines that have passed and starts as many processes as the pace allows.
    /// Call it once a turn, after everything that was readable has been handled.
    pub fn handle_tick(&mut self, now: Time) {
        while let Some(&(at, slot)) = self.deadlines.first()
            && at <= now
        {
            match self.phase(slot) {
                Phase::Backoff => {
                    self.deadlines.remove(&(at, slot));
                    self.startable.insert(slot);
                }
                _ => self.apply(slot, Input::Tick, now),
            }
        }
        for _ in 0..self.pace.spawns_per_turn.max(1) {
            let Some(&slot) = self.startable.first() else {
                break;
            };
            if !self.bucket.take(now) {
                break;
            }
            self.startable.remove(&slot);
            let input = match self.phase(slot) {
                Phase::Backoff => Input::Tick,
                _ => Input::Start,
            };
            self.children.entry(slot).or_insert_with(|| Child::new(self.policy));
            self.apply(slot, input, now);
        }
    }

    /// Returns the next thing to do and for which slot, oldest first.
    pub fn poll_effect(&mut self) -> Option<(u16, Effect)> {
        self.effects.pop_front()
    }

    /// Returns when to call [`Self::handle_tick`] even if nothing else happens; a moment in the
    /// past means at once.
    pub fn deadline(&self) -> Option<Time> {
        let slots = self.deadlines.first().map(|&(at, _)| at);
        let starts = (!self.startable.is_empty()).then(|| self.bucket.ready_at());
        slots.into_iter().chain(starts).min()
    }

    /// Moves every deadline that kills by the time that the owner itself was late; see
    /// [`Child::credit`]. Call it before [`Self::handle_tick`] in the late turn.
    pub fn credit(&mut self, lateness: Duration) {
        self.deadlines.clear();
        for (&slot, child) in &mut self.children {
            child.credit(lateness);
            if !self.startable.contains(&slot) {
                self.deadlines.extend(child.deadline().map(|at| (at, slot)));
            }
        }
    }

    /// Returns one slot, `None` if it was never started.
    pub fn child(&self, slot: u16) -> Option<&Child> {
        self.children.get(&slot)
    }

    /// Returns every slot that was ever started, by number.
    pub fn children(&self) -> impl Iterator<Item = (u16, &Child)> {
        self.children.iter().map(|(&slot, child)| (slot, child))
    }

    /// Returns the slots that are wanted.
    pub fn wanted(&self) -> &BTreeSet<u16> {
        &self.wanted
    }

    /// Returns the slot of every living process: whom to wait for, and what outlives a deadline.
    pub fn pids(&self) -> &BTreeMap<Pid, u16> {
        &self.pids
    }

    /// Returns how the slots are.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// Returns whether every wanted slot serves and no other lives.
    pub fn is_settled(&self) -> bool {
        let serving = self.counts.ready + self.counts.suspect;
        self.wanted.len() == usize::try_from(serving).unwrap_or(usize::MAX)
            && self.counts.stopping == 0
            && self.counts.starting == 0
    }

    /// Returns whether no process lives and none will be started.
    pub fn all_stopped(&self) -> bool {
        self.pids.is_empty()
            && self.startable.is_empty()
            && self.counts.starting == 0
            && self.counts.backoff == 0
    }

    /// Has a process started in a wanted slot: at its turn, or after the old one that is ending.
    fn start(&mut self, slot: u16, now: Time) {
        if self.phase(slot) == Phase::Stopped {
            self.startable.insert(slot);
        } else {
            self.apply(slot, Input::Start, now);
        }
    }

    fn phase(&self, slot: u16) -> Phase {
        self.children.get(&slot).map_or(Phase::Stopped, Child::phase)
    }

    /// Gives one input to a slot and brings everything that is derived from it up to date.
    fn apply(&mut self, slot: u16, input: Input, now: Time) {
        let Some(child) = self.children.get_mut(&slot) else {
            return;
        };
        let before = Trace::of(child);
        child.handle(input, now);
        let effects = std::iter::from_fn(|| child.poll_effect());
        self.effects.extend(effects.map(|effect| (slot, effect)));
        let after = Trace::of(child);
        self.retrace(slot, before, after);
        if after.crashes > before.crashes && self.is_pool_beyond_limit(now) {
            self.apply(slot, Input::GiveUp, now);
        }
    }

    fn retrace(&mut self, slot: u16, before: Trace, after: Trace) {
        self.counts.of(before.phase, |count| count - 1);
        self.counts.of(after.phase, |count| count + 1);
        self.counts.restarts += u64::from(after.restarts - before.restarts);
        self.counts.crashes += u64::from(after.crashes - before.crashes);
        if before.deadline != after.deadline {
            self.deadlines.extend(after.deadline.map(|at| (at, slot)));
            if let Some(at) = before.deadline {
                self.deadlines.remove(&(at, slot));
            }
        }
        if before.pid != after.pid {
            if let Some(pid) = before.pid {
                self.pids.remove(&pid);
            }
            self.pids.extend(after.pid.map(|pid| (pid, slot)));
        }
    }

    /// Counts one death against the pool's limit; returns whether it is one too many.
    fn is_pool_beyond_limit(&mut self, now: Time) -> bool {
        let window = self.policy.restart_window;
        self.pace.pool_restarts.is_some_and(|limit| {
            let max = limit.of(self.wanted.len());
            self.deaths.record(now, window, max)
        })
    }
}

impl Trace {
    fn of(child: &Child) -> Self {
        Self {
            phase: child.phase(),
            deadline: child.deadline(),
            pid: child.pid(),
            restarts: child.restarts(),
            crashes: child.crashes(),
        }
    }
}

impl Counts {
    /// Changes the count of slots in a phase.
    fn of(&mut self, phase: Phase, change: impl FnOnce(u32) -> u32) {
        let count = match phase {
            Phase::Stopped => return,
            Phase::Starting => &mut self.starting,
            Phase::Ready => &mut self.ready,
            Phase::Suspect => &mut self.suspect,
            Phase::Draining | Phase::Terminating | Phase::Killed => &mut self.stopping,
            Phase::Backoff => &mut self.backoff,
            Phase::Failed => &mut self.failed,
        };
        *count = change(*count);
    }
}

#[cfg(test)]
mod tests;
