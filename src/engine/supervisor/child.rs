//! One slot of a fleet and the life of the process in it.
//!
//! ```text
//!             Start            Hello, Ready               1 s silence           3 s silence
//!   STOPPED ---------> STARTING ------------> READY <-------------------> SUSPECT ------+
//!      ^                 ^   | too late         | Stop        heartbeat      |          |
//!      |                 |   +---------------+  v                            | Stop     |
//!      |                 |                   |  DRAINING <-------------------+          |
//!      |                 | delay over        |  | grace over                            |
//!      |                 |                   |  v                                       |
//!      |                 |                   |  TERMINATING ---- 1 s ----> KILLED <-----+
//!      |                 |                   +-------------------------------^
//!      +--- not wanted --+-- BACKOFF <-- any death of a wanted process --> FAILED
//! ```
//!
//! The child does nothing itself. It is told what happened and the time, and says what is to be
//! done ([`Child::poll_effect`]). An event loop reads heartbeats before it ticks, so a silence
//! that the loop itself has overslept is not taken for a hang; [`Child::credit`] does the same for
//! a machine that was paused.
//!
//! Invariants: [`Effect::Spawn`] is only given while no process lives in the slot; a process that
//! is asked to stop is killed after the grace and [`Policy::term_grace`] (SIGKILL also ends a
//! stopped process); only deaths that nobody asked for count against the limit.

use std::collections::VecDeque;
use std::time::Duration;

use nix::errno::Errno;

use super::Pid;
use super::exit::{Ending, ExitCause, Lethal};
use super::report::{Cause, Phase, Transition};
use super::restart::{Backoff, DeathWindow, Policy};
use crate::clock::Time;

/// What happened to a slot or is wanted of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Input {
    /// A process is wanted. While one is ending, another follows it; a failed slot is tried again.
    Start,
    /// The process that [`Effect::Spawn`] asked for exists.
    Spawned {
        /// Its process id, valid until its end is reported.
        pid: Pid,
    },
    /// The process could not be started.
    SpawnFailed {
        /// Why the system refused.
        errno: Errno,
    },
    /// The process has introduced itself.
    Hello,
    /// The process serves.
    Ready,
    /// The process is not ready yet, but getting there.
    Progress,
    /// The event loop of the process turns.
    Heartbeat,
    /// The process is dead and reaped.
    Exited(Ending),
    /// No process is wanted; a living one may finish within the grace period.
    Stop {
        /// How long it may take before SIGTERM.
        grace: Duration,
    },
    /// No process is wanted; a living one is killed at once.
    StopNow,
    /// A person kills the process; another follows it.
    Kill,
    /// The whole fleet has died too often; a slot that waits to restart does not.
    GiveUp,
    /// Time has passed.
    Tick,
}

/// What the owner must do for a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Start a process, then report [`Input::Spawned`] or [`Input::SpawnFailed`].
    Spawn {
        /// How many times this slot has been started, this time included.
        generation: u32,
    },
    /// Ask the process over its control connection to end.
    Stop,
    /// Send the signal to the process.
    Signal {
        /// To whom.
        pid: Pid,
        /// What.
        signal: Lethal,
    },
    /// Tell people and the log.
    Report(Transition),
}

/// What to do with a process that is being started when it exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum OnSpawn {
    Run,
    Drain(Duration),
    Kill,
}

/// Who wants a process dead that was sent SIGKILL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Killer {
    /// It was being stopped.
    Stop,
    /// A person.
    Person,
    /// It missed a deadline.
    Deadline,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Stopped,
    Spawning { on_spawn: OnSpawn },
    Greeting { pid: Pid, hello_by: Time },
    Preparing { pid: Pid, ready_by: Time },
    Ready { pid: Pid, heard: Time },
    Suspect { pid: Pid, heard: Time },
    Draining { pid: Pid, term_at: Time },
    Terminating { pid: Pid, kill_at: Time },
    Killed { pid: Pid, killer: Killer },
    Backoff { until: Time },
    Failed,
}

/// One slot. See the head of the file.
#[derive(Debug)]
pub struct Child {
    policy: &'static Policy,
    state: State,
    is_wanted: bool,
    ready_since: Option<Time>,
    generation: u32,
    crashes: u32,
    deaths: DeathWindow,
    backoff: Backoff,
    effects: VecDeque<Effect>,
}

impl Child {
    /// Returns a slot without a process.
    pub fn new(policy: &'static Policy) -> Self {
        Self {
            policy,
            state: State::Stopped,
            is_wanted: false,
            ready_since: None,
            generation: 0,
            crashes: 0,
            deaths: DeathWindow::default(),
            backoff: Backoff::default(),
            effects: VecDeque::new(),
        }
    }

    /// Applies one input; what makes no sense in the present state is ignored, for example the
    /// heartbeat of a process that has just been reaped. Drain [`Self::poll_effect`] after it.
    pub fn handle(&mut self, input: Input, now: Time) {
        match input {
            Input::Start => self.start(),
            Input::Spawned { pid } => self.spawned(pid, now),
            Input::SpawnFailed { errno } => self.spawn_failed(errno, now),
            Input::Hello => self.hello(now),
            Input::Ready => self.ready(now),
            Input::Progress => self.progress(now),
            Input::Heartbeat => self.heard(now),
            Input::Exited(ending) => self.exited(ending, now),
            Input::Stop { grace } => self.stop(grace, now),
            Input::StopNow => self.stop_now(),
            Input::Kill => self.kill_by_person(),
            Input::GiveUp => self.give_up(),
            Input::Tick if self.deadline().is_some_and(|at| at <= now) => self.expire(now),
            Input::Tick => {}
        }
    }

    /// Returns the next thing to do, oldest first.
    pub fn poll_effect(&mut self) -> Option<Effect> {
        self.effects.pop_front()
    }

    /// Returns when to give [`Input::Tick`] even if nothing else happens.
    pub fn deadline(&self) -> Option<Time> {
        match self.state {
            State::Greeting { hello_by, .. } => Some(hello_by),
            State::Preparing { ready_by, .. } => Some(ready_by),
            State::Ready { heard, .. } => Some(heard + self.policy.suspect_after),
            State::Suspect { heard, .. } => Some(heard + self.policy.hung_after),
            State::Draining { term_at, .. } => Some(term_at),
            State::Terminating { kill_at, .. } => Some(kill_at),
            State::Backoff { until } => Some(until),
            State::Stopped | State::Spawning { .. } | State::Killed { .. } | State::Failed => None,
        }
    }

    /// Moves every deadline of a living process by the time that the supervisor itself was late,
    /// so that a paused machine or a stopped director kills nobody. The delay before a restart is
    /// not moved: nobody is harmed when it ends.
    pub fn credit(&mut self, lateness: Duration) {
        match &mut self.state {
            State::Greeting { hello_by: at, .. }
            | State::Preparing { ready_by: at, .. }
            | State::Ready { heard: at, .. }
            | State::Suspect { heard: at, .. }
            | State::Draining { term_at: at, .. }
            | State::Terminating { kill_at: at, .. } => *at = *at + lateness,
            State::Stopped
            | State::Spawning { .. }
            | State::Killed { .. }
            | State::Backoff { .. }
            | State::Failed => {}
        }
    }

    /// Returns what the slot is doing.
    pub fn phase(&self) -> Phase {
        match self.state {
            State::Stopped => Phase::Stopped,
            State::Spawning { .. } | State::Greeting { .. } | State::Preparing { .. } => {
                Phase::Starting
            }
            State::Ready { .. } => Phase::Ready,
            State::Suspect { .. } => Phase::Suspect,
            State::Draining { .. } => Phase::Draining,
            State::Terminating { .. } => Phase::Terminating,
            State::Killed { .. } => Phase::Killed,
            State::Backoff { .. } => Phase::Backoff,
            State::Failed => Phase::Failed,
        }
    }

    /// Returns the living process, if there is one.
    pub fn pid(&self) -> Option<Pid> {
        match self.state {
            State::Greeting { pid, .. }
            | State::Preparing { pid, .. }
            | State::Ready { pid, .. }
            | State::Suspect { pid, .. }
            | State::Draining { pid, .. }
            | State::Terminating { pid, .. }
            | State::Killed { pid, .. } => Some(pid),
            State::Stopped | State::Spawning { .. } | State::Backoff { .. } | State::Failed => None,
        }
    }

    /// Returns since when the present process has been ready; `None` before that and without one.
    pub fn ready_since(&self) -> Option<Time> {
        self.ready_since
    }

    /// Returns whether a process is wanted in this slot.
    pub fn is_wanted(&self) -> bool {
        self.is_wanted
    }

    /// Returns how many times a process has been started, or tried to be.
    pub fn generation(&self) -> u32 {
        self.generation
    }

    /// Returns how many times a process was started after the first.
    pub fn restarts(&self) -> u32 {
        self.generation.saturating_sub(1)
    }

    /// Returns how many deaths nobody had asked for, with the starts that the system refused for
    /// another reason than lack of room.
    pub fn crashes(&self) -> u32 {
        self.crashes
    }

    fn start(&mut self) {
        self.is_wanted = true;
        match self.state {
            // A person has asked, here or by a resize: what was before is forgiven.
            State::Stopped | State::Failed => {
                self.deaths.clear();
                self.backoff = Backoff::default();
                self.spawn(Cause::Wanted);
            }
            State::Spawning { .. } => self.state = State::Spawning { on_spawn: OnSpawn::Run },
            // A process lives or a restart is due: there is nothing to hurry.
            _ => {}
        }
    }

    fn spawn(&mut self, cause: Cause) {
        self.generation = self.generation.saturating_add(1);
        let on_spawn = OnSpawn::Run;
        self.go(State::Spawning { on_spawn }, cause);
        let generation = self.generation;
        self.effects.push_back(Effect::Spawn { generation });
    }

    fn spawned(&mut self, pid: Pid, now: Time) {
        let State::Spawning { on_spawn } = self.state else {
            return;
        };
        self.state = State::Greeting { pid, hello_by: now + self.policy.hello_within };
        match on_spawn {
            OnSpawn::Run => {}
            OnSpawn::Drain(grace) => self.stop(grace, now),
            OnSpawn::Kill => self.kill(pid, Killer::Stop, Cause::Unwanted),
        }
    }

    fn spawn_failed(&mut self, errno: Errno, now: Time) {
        if !matches!(self.state, State::Spawning { .. }) {
            return;
        }
        let cause = Cause::SpawnFailed(errno);
        if !self.is_wanted {
            return self.go(State::Stopped, cause);
        }
        // A machine that is full may have room later, and then the population should recover.
        if !is_shortage(errno) && self.is_beyond_limit(now) {
            return self.go(State::Failed, cause);
        }
        let until = now + self.backoff.after_crash(self.policy, None);
        self.go(State::Backoff { until }, cause);
    }

    fn hello(&mut self, now: Time) {
        if let State::Greeting { pid, .. } = self.state {
            let ready_by = now + self.policy.ready_within;
            self.state = State::Preparing { pid, ready_by };
        }
    }

    fn progress(&mut self, now: Time) {
        match self.state {
            State::Preparing { pid, .. } => {
                let ready_by = now + self.policy.ready_within;
                self.state = State::Preparing { pid, ready_by };
            }
            _ => self.heard(now),
        }
    }

    fn ready(&mut self, now: Time) {
        match self.state {
            State::Preparing { pid, .. } => {
                self.ready_since = Some(now);
                self.go(State::Ready { pid, heard: now }, Cause::Ready);
            }
            _ => self.heard(now),
        }
    }

    /// Any word of a ready process shows that its event loop turns.
    fn heard(&mut self, now: Time) {
        match self.state {
            State::Ready { pid, .. } => self.state = State::Ready { pid, heard: now },
            State::Suspect { pid, heard } => {
                let cause = Cause::Heard(now.since(heard));
                self.go(State::Ready { pid, heard: now }, cause);
            }
            // Before that only progress counts, and after that nothing but its end.
            _ => {}
        }
    }

    fn stop(&mut self, grace: Duration, now: Time) {
        self.is_wanted = false;
        let asked_term_at = now + grace;
        match self.state {
            State::Stopped => {}
            State::Backoff { .. } | State::Failed => self.go(State::Stopped, Cause::Unwanted),
            State::Spawning { on_spawn } => {
                let on_spawn = match on_spawn {
                    OnSpawn::Kill => OnSpawn::Kill,
                    OnSpawn::Run | OnSpawn::Drain(_) => OnSpawn::Drain(grace),
                };
                self.state = State::Spawning { on_spawn };
            }
            State::Greeting { pid, .. }
            | State::Preparing { pid, .. }
            | State::Ready { pid, .. }
            | State::Suspect { pid, .. } => {
                let term_at = asked_term_at;
                self.go(State::Draining { pid, term_at }, Cause::Unwanted);
                self.effects.push_back(Effect::Stop);
            }
            State::Draining { pid, term_at } => {
                let term_at = term_at.min(asked_term_at);
                self.state = State::Draining { pid, term_at };
            }
            State::Terminating { .. } | State::Killed { .. } => {}
        }
    }

    fn stop_now(&mut self) {
        self.is_wanted = false;
        match (self.state, self.pid()) {
            (State::Killed { .. }, _) => {}
            (_, Some(pid)) => self.kill(pid, Killer::Stop, Cause::Unwanted),
            (State::Spawning { .. }, None) => {
                self.state = State::Spawning { on_spawn: OnSpawn::Kill }
            }
            (State::Stopped, None) => {}
            (_, None) => self.go(State::Stopped, Cause::Unwanted),
        }
    }

    fn kill_by_person(&mut self) {
        match (self.state, self.pid()) {
            (State::Killed { .. }, _) | (_, None) => {}
            (_, Some(pid)) => self.kill(pid, Killer::Person, Cause::KilledByPerson),
        }
    }

    fn kill(&mut self, pid: Pid, killer: Killer, cause: Cause) {
        self.go(State::Killed { pid, killer }, cause);
        let signal = Lethal::Kill;
        self.effects.push_back(Effect::Signal { pid, signal });
    }

    fn give_up(&mut self) {
        if matches!(self.state, State::Backoff { .. }) {
            self.go(State::Failed, Cause::TooManyDeathsInPool);
        }
    }

    /// Acts on the deadline of the present state, which has passed.
    fn expire(&mut self, now: Time) {
        match self.state {
            State::Greeting { pid, .. } => self.kill(pid, Killer::Deadline, Cause::NoHello),
            State::Preparing { pid, .. } => self.kill(pid, Killer::Deadline, Cause::NotReady),
            State::Ready { pid, heard } => {
                let cause = Cause::Silent(now.since(heard));
                self.go(State::Suspect { pid, heard }, cause);
            }
            State::Suspect { pid, heard } => {
                let cause = Cause::Silent(now.since(heard));
                self.kill(pid, Killer::Deadline, cause);
            }
            State::Draining { pid, .. } => {
                let kill_at = now + self.policy.term_grace;
                self.go(State::Terminating { pid, kill_at }, Cause::GraceOver);
                let signal = Lethal::Term;
                self.effects.push_back(Effect::Signal { pid, signal });
            }
            State::Terminating { pid, .. } => self.kill(pid, Killer::Stop, Cause::GraceOver),
            State::Backoff { .. } => self.spawn(Cause::DelayOver),
            State::Stopped | State::Spawning { .. } | State::Killed { .. } | State::Failed => {}
        }
    }

    fn exited(&mut self, ending: Ending, now: Time) {
        if self.pid().is_none() {
            return;
        }
        let ready_for = self.ready_since.take().map(|since| now.since(since));
        let exit = ExitCause::new(ending, self.strongest_signal());
        let restart_in = |delay| State::Backoff { until: now + delay };
        let next = match self.state {
            _ if !self.is_wanted => State::Stopped,
            _ if ending.is_permanent() => State::Failed,
            // It was stopped and is wanted again.
            State::Draining { .. }
            | State::Terminating { .. }
            | State::Killed { killer: Killer::Stop, .. } => restart_in(Duration::ZERO),
            State::Killed { killer: Killer::Person, .. } => {
                restart_in(Backoff::after_kill(self.policy, ready_for))
            }
            _ => return self.crashed(exit, ready_for, now),
        };
        self.go(next, Cause::Exited(exit));
    }

    /// Returns the strongest signal that was sent to the present process.
    fn strongest_signal(&self) -> Option<Lethal> {
        match self.state {
            State::Terminating { .. } => Some(Lethal::Term),
            State::Killed { .. } => Some(Lethal::Kill),
            _ => None,
        }
    }

    /// Decides about a wanted process that died though nobody asked for it.
    fn crashed(&mut self, exit: ExitCause, ready_for: Option<Duration>, now: Time) {
        if self.is_beyond_limit(now) {
            return self.go(State::Failed, Cause::TooManyDeaths(exit));
        }
        let until = now + self.backoff.after_crash(self.policy, ready_for);
        self.go(State::Backoff { until }, Cause::Exited(exit));
    }

    /// Counts one death against the limit; returns whether it is one too many.
    fn is_beyond_limit(&mut self, now: Time) -> bool {
        self.crashes = self.crashes.saturating_add(1);
        let window = self.policy.restart_window;
        self.policy.restarts_max.is_some_and(|max| self.deaths.record(now, window, max))
    }

    /// Changes the state and reports it if people see a difference.
    fn go(&mut self, state: State, cause: Cause) {
        let from = self.phase();
        self.state = state;
        let to = self.phase();
        if from != to {
            let report = Effect::Report(Transition { from, to, cause });
            self.effects.push_back(report);
        }
    }
}

/// Returns whether a start was refused because the machine or a limit is full at the moment.
fn is_shortage(errno: Errno) -> bool {
    matches!(errno, Errno::EAGAIN | Errno::ENOMEM | Errno::EMFILE | Errno::ENFILE)
}

#[cfg(test)]
mod tests;
