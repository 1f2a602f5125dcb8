//! The run's life as a pure state machine: what to start, when to open, how to end.
//!
//! Starting goes issuer, then workers and users manager, then users, then the doors open. Ending
//! goes the other way: arrivals end, open tickets are served until the drain deadline, users stop,
//! workers leave, and the issuer finishes its log last. Each stage of the end has a deadline, so
//! a child that does not listen delays the exit but never prevents it.

use std::time::Duration;

use engine::clock::Time;
use engine::limits;
use engine::timeline::Timeline;

use super::exit::Exit;
use super::state::{Ending, Phase};

/// What the run's end may take at most, and what ends it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rules {
    /// How long open tickets may finish after the end of arrivals.
    pub(crate) drain: Duration,
    /// More waiting tickets than this end the run as overloaded.
    pub(crate) explode_waiting: Option<u32>,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    /// The issuer takes requests; also after a restart.
    IssuerReady,
    /// All wanted workers and the users manager serve.
    StaffReady,
    /// All wanted users are hosted.
    UsersReady,
    /// The issuer counted.
    Counted {
        /// When.
        at: Time,
        /// Tickets that wait.
        waiting: u64,
        /// Tickets that are not finished.
        open: u64,
        /// Words about tickets that users have not been told yet.
        untold: u64,
    },
    /// Arrivals and dispatch should stand still.
    Pause,
    /// They should go on.
    Resume,
    /// A paused run should go on for a span and stand still again.
    Step(Duration),
    /// The scenario's word on the end of the run is another.
    Rules {
        /// What its end may take, and what ends it.
        rules: Rules,
        /// How long arrivals go on; `None` is unlimited.
        duration: Option<Duration>,
    },
    /// The run should end in good order.
    Drain(Ending),
    /// The run should end at once.
    StopNow(Ending),
    /// The users manager and all users have ended.
    UsersGone,
    /// All workers have ended.
    WorkersGone,
    /// The issuer has ended.
    IssuerGone,
    /// Time has passed.
    Tick,
}

/// What the director must do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    /// Start workers and the users manager.
    StartStaff,
    /// Start users.
    StartUsers,
    /// Send the timeline to everybody: it has changed.
    SendTimeline,
    /// Tell people that the run stands still again.
    StepOver,
    /// Ask the users manager to end.
    StopUsers,
    /// Ask workers to finish what they hold and end.
    DrainWorkers,
    /// Ask the issuer to finish its log and end.
    StopIssuer,
    /// Ask everybody to end at once.
    StopAll,
    /// Kill whoever is left.
    KillAll,
}

/// Where the run stands.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Stage {
    Opening,
    Staffing,
    Gathering { since: Time },
    Open,
    Draining { until: Time },
    UsersLeaving { until: Time },
    WorkersLeaving { until: Time },
    IssuerLeaving { until: Time },
    Aborting { until: Time },
    Killing,
    Closed,
}

/// The run.
#[derive(Debug)]
pub(crate) struct Run {
    rules: Rules,
    line: Timeline,
    stage: Stage,
    ending: Option<Ending>,
    open: u64,
    /// The office stands still now; while a step is under way its next pause is decided already.
    is_paused: bool,
    is_issuer_gone: bool,
    are_workers_gone: bool,
    are_users_gone: bool,
    effects: Vec<Effect>,
}

impl Run {
    /// Returns a run whose issuer is being started.
    pub(crate) fn new(rules: Rules, warmup: Duration, duration: Option<Duration>) -> Self {
        let line =
            Timeline { opened_at: Time::NEVER, warmup, arrivals: duration, pauses: Vec::new() };
        Self {
            rules,
            line,
            stage: Stage::Opening,
            ending: None,
            open: 0,
            is_paused: false,
            is_issuer_gone: false,
            are_workers_gone: true,
            are_users_gone: true,
            effects: Vec::new(),
        }
    }

    /// Returns the run's times.
    pub(crate) fn timeline(&self) -> &Timeline {
        &self.line
    }

    /// Returns whether the end has begun: then nobody who dies is missed.
    pub(crate) fn is_ending(&self) -> bool {
        self.ending.is_some()
    }

    /// Returns how the run ended, once every process has.
    pub(crate) fn ended(&self) -> Option<&Ending> {
        self.ending.as_ref().filter(|_| self.stage == Stage::Closed)
    }

    /// Returns how the run is ending, if it is.
    pub(crate) fn ending(&self) -> Option<&Ending> {
        self.ending.as_ref()
    }

    /// Returns why the run ends, if something could not go on.
    pub(crate) fn failure(&self) -> Option<&str> {
        match &self.ending {
            Some(Ending::Failed { reason, .. }) => Some(reason),
            _ => None,
        }
    }

    /// Returns where the run stands, for people.
    pub(crate) fn phase(&self) -> Phase {
        match (&self.stage, &self.ending) {
            (Stage::Closed, Some(ending)) => Phase::Stopped(ending.clone()),
            (Stage::Opening | Stage::Staffing | Stage::Gathering { .. }, _) => Phase::Starting,
            (Stage::Open, _) if self.is_paused => Phase::Paused,
            (Stage::Open, _) => Phase::Running,
            _ => Phase::Draining { open: self.open },
        }
    }

    /// Returns when the step that is under way ends.
    pub(crate) fn step_until(&self) -> Option<Time> {
        let pause = self.line.pauses.last().filter(|&&(_, to)| to == Time::NEVER);
        pause.filter(|_| !self.is_paused).map(|&(from, _)| from)
    }

    /// Takes what there is to do.
    pub(crate) fn take_effects(&mut self) -> Vec<Effect> {
        std::mem::take(&mut self.effects)
    }

    /// When [`Event::Tick`] is due though nothing else happens.
    pub(crate) fn deadline(&self) -> Time {
        match self.stage {
            Stage::Opening | Stage::Staffing | Stage::Killing | Stage::Closed => Time::NEVER,
            Stage::Gathering { since } => since + limits::GATHERING_MAX,
            Stage::Open => self.line.window_until().min(self.step_until().unwrap_or(Time::NEVER)),
            Stage::Draining { until }
            | Stage::UsersLeaving { until }
            | Stage::WorkersLeaving { until }
            | Stage::IssuerLeaving { until }
            | Stage::Aborting { until } => until,
        }
    }

    /// Applies one event.
    pub(crate) fn handle(&mut self, event: Event, now: Time) {
        match event {
            Event::IssuerReady => {
                self.is_issuer_gone = false;
                if self.stage == Stage::Opening {
                    self.stage = Stage::Staffing;
                    (self.are_workers_gone, self.are_users_gone) = (false, false);
                    self.effects.push(Effect::StartStaff);
                }
            }
            Event::StaffReady if self.stage == Stage::Staffing => {
                self.stage = Stage::Gathering { since: now };
                self.effects.push(Effect::StartUsers);
            }
            Event::UsersReady if matches!(self.stage, Stage::Gathering { .. }) => {
                self.open_doors(now);
            }
            Event::StaffReady | Event::UsersReady => {}
            Event::Counted { at, waiting, open, untold } => {
                self.open = open;
                self.counted(at, waiting, open + untold, now);
            }
            Event::Pause => self.pause(now),
            Event::Resume => self.resume(now),
            Event::Step(span) => self.step(span, now),
            Event::Rules { rules, duration } => self.change_rules(rules, duration, now),
            Event::Drain(ending) => self.drain(ending, now),
            Event::StopNow(ending) => self.stop_now(ending, now),
            Event::UsersGone => self.are_users_gone = true,
            Event::WorkersGone => self.are_workers_gone = true,
            Event::IssuerGone => self.is_issuer_gone = true,
            Event::Tick => {}
        }
        self.advance(now);
    }

    fn open_doors(&mut self, now: Time) {
        self.line.opened_at = now;
        self.stage = Stage::Open;
        self.effects.push(Effect::SendTimeline);
    }

    /// Takes how many tickets wait, and how much is left to do or to tell.
    fn counted(&mut self, at: Time, waiting: u64, left: u64, now: Time) {
        match self.stage {
            Stage::Open
                if self.rules.explode_waiting.is_some_and(|most| waiting > u64::from(most)) =>
            {
                self.drain(Ending::Overloaded { waiting }, now);
            }
            // What was under way when arrivals ended has been counted by then.
            Stage::Draining { .. }
                if left == 0 && at >= self.line.window_until() + limits::UNDER_WAY =>
            {
                self.stop_users(now);
            }
            _ => {}
        }
    }

    fn pause(&mut self, now: Time) {
        if self.stage == Stage::Open && self.line.pauses.len() < limits::PAUSES_MAX {
            self.line.pause(now);
            self.is_paused = true;
            self.effects.push(Effect::SendTimeline);
        }
    }

    fn resume(&mut self, now: Time) {
        if self.is_paused || self.step_until().is_some() {
            self.line.resume(now);
            self.is_paused = false;
            self.effects.push(Effect::SendTimeline);
        }
    }

    /// Lets a paused run go on and decides its next pause at once, so that it begins at the same
    /// moment everywhere and the step is exactly as long as it should be.
    fn step(&mut self, span: Duration, now: Time) {
        if self.is_paused && self.line.pauses.len() < limits::PAUSES_MAX {
            self.line.resume(now);
            self.line.pause(now + span);
            self.is_paused = false;
            self.effects.push(Effect::SendTimeline);
        }
    }

    /// Takes another end. One that has passed already is now.
    fn change_rules(&mut self, rules: Rules, duration: Option<Duration>, now: Time) {
        self.rules = rules;
        let arrivals = match self.stage {
            Stage::Opening | Stage::Staffing | Stage::Gathering { .. } => duration,
            Stage::Open => {
                let end = self.line.office_time(now) + limits::END_NOTICE;
                // Up to the end that was decided before, people may have counted already.
                let is_near = self.line.arrivals.is_some_and(|last| last < end);
                if is_near { return } else { duration.map(|wanted| wanted.max(end)) }
            }
            _ => return,
        };
        if arrivals != self.line.arrivals {
            self.line.arrivals = arrivals;
            self.effects.push(Effect::SendTimeline);
        }
    }

    fn drain(&mut self, ending: Ending, now: Time) {
        if let Some(first) = &mut self.ending {
            // The first reason counts, but a good end that fails is none.
            if *first == Ending::Completed && matches!(ending, Ending::Failed { .. }) {
                *first = ending;
            }
            return;
        }
        match self.stage {
            Stage::Open => {
                self.ending = Some(ending);
                self.resume(now);
                // All are told before it is so: nobody has counted beyond the end by then.
                let end = self.line.office_time(now) + limits::END_NOTICE;
                self.line.arrivals = Some(self.line.arrivals.map_or(end, |last| last.min(end)));
                self.effects.push(Effect::SendTimeline);
                self.stage = Stage::Draining { until: now + self.rules.drain };
            }
            _ => self.stop_now(ending, now),
        }
    }

    fn stop_now(&mut self, ending: Ending, now: Time) {
        match self.stage {
            Stage::Closed => {}
            Stage::Aborting { .. } | Stage::Killing => {
                self.stage = Stage::Killing;
                self.effects.push(Effect::KillAll);
            }
            _ => {
                self.ending.get_or_insert(ending);
                self.stage = Stage::Aborting { until: now + limits::ABORT_GRACE };
                self.effects.push(Effect::StopAll);
            }
        }
    }

    fn stop_users(&mut self, now: Time) {
        self.stage = Stage::UsersLeaving { until: now + limits::USERS_LEAVE_WITHIN };
        self.effects.push(Effect::StopUsers);
    }

    /// Goes on to the next stage when this one is over, by success or by deadline.
    fn advance(&mut self, now: Time) {
        let is_over = self.deadline() <= now;
        match self.stage {
            Stage::Gathering { .. } if is_over => self.open_doors(now),
            Stage::Open if self.line.window_until() <= now => self.drain(Ending::Completed, now),
            Stage::Open if is_over => {
                self.is_paused = true;
                self.effects.push(Effect::StepOver);
            }
            Stage::Draining { .. } if is_over || self.is_issuer_gone => self.stop_users(now),
            Stage::UsersLeaving { .. } if is_over || self.are_users_gone => {
                self.stage = Stage::WorkersLeaving { until: now + limits::WORKERS_LEAVE_WITHIN };
                self.effects.push(Effect::DrainWorkers);
            }
            Stage::WorkersLeaving { .. } if is_over || self.are_workers_gone => {
                self.stage = Stage::IssuerLeaving { until: now + limits::ISSUER_LEAVE_WITHIN };
                self.effects.push(Effect::StopIssuer);
            }
            Stage::IssuerLeaving { .. } | Stage::Aborting { .. } | Stage::Killing
                if self.is_everybody_gone() =>
            {
                self.stage = Stage::Closed;
            }
            Stage::IssuerLeaving { .. } | Stage::Aborting { .. } if is_over => {
                self.stage = Stage::Killing;
                self.effects.push(Effect::KillAll);
            }
            _ => {}
        }
    }

    fn is_everybody_gone(&self) -> bool {
        self.is_issuer_gone && self.are_workers_gone && self.are_users_gone
    }
}

/// Returns the exit code of an ending.
pub(crate) fn exit_of(ending: &Ending) -> Exit {
    match ending {
        Ending::Completed => Exit::Done,
        Ending::Interrupted { signal } => Exit::Signal(*signal),
        Ending::Overloaded { .. } => Exit::Overloaded,
        Ending::Failed { exit, .. } => *exit,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Time {
        Time(ms * 1_000_000)
    }

    fn run(duration_ms: Option<u64>) -> Run {
        let rules = Rules { drain: Duration::from_secs(10), explode_waiting: Some(50) };
        Run::new(rules, Duration::ZERO, duration_ms.map(Duration::from_millis))
    }

    /// A run whose doors opened at 100 ms.
    fn open(duration_ms: Option<u64>) -> Run {
        let mut run = run(duration_ms);
        for (event, ms) in
            [(Event::IssuerReady, 10), (Event::StaffReady, 50), (Event::UsersReady, 100)]
        {
            run.handle(event, at(ms));
        }
        assert_eq!(
            run.take_effects(),
            [Effect::StartStaff, Effect::StartUsers, Effect::SendTimeline]
        );
        assert_eq!((run.phase(), run.timeline().opened_at), (Phase::Running, at(100)));
        run
    }

    fn counted(ms: u64, waiting: u64, open: u64) -> Event {
        Event::Counted { at: at(ms), waiting, open, untold: 0 }
    }

    #[test]
    fn a_run_of_a_given_duration_ends_in_order() {
        let mut run = open(Some(1000));
        assert_eq!(run.deadline(), at(1100));
        run.handle(Event::Tick, at(1100));
        assert_eq!(run.take_effects(), [Effect::SendTimeline]);
        run.handle(counted(1150, 3, 5), at(1150));
        assert_eq!(run.phase(), Phase::Draining { open: 5 });
        run.handle(counted(1160, 0, 0), at(1160));
        assert_eq!(run.take_effects(), [], "a request may still be under way");
        run.handle(Event::Counted { at: at(1300), waiting: 0, open: 0, untold: 2 }, at(1300));
        assert_eq!(run.take_effects(), [], "users wait for the disk to be told");
        run.handle(counted(1400, 0, 0), at(1400));
        assert_eq!(run.take_effects(), [Effect::StopUsers]);
        run.handle(Event::UsersGone, at(1450));
        assert_eq!(run.take_effects(), [Effect::DrainWorkers]);
        run.handle(Event::WorkersGone, at(1460));
        assert_eq!(run.take_effects(), [Effect::StopIssuer]);
        run.handle(Event::IssuerGone, at(1470));
        assert_eq!(run.ended(), Some(&Ending::Completed));
    }

    #[test]
    fn each_stage_of_the_end_has_a_deadline() {
        let mut run = open(None);
        run.handle(Event::Drain(Ending::Completed), at(200));
        let mut seen = Vec::new();
        while run.deadline() < Time::NEVER {
            let deadline = run.deadline();
            run.handle(Event::Tick, deadline);
            seen.extend(run.take_effects());
        }
        let wanted = [
            Effect::SendTimeline,
            Effect::StopUsers,
            Effect::DrainWorkers,
            Effect::StopIssuer,
            Effect::KillAll,
        ];
        assert_eq!(seen, wanted);
        for gone in [Event::UsersGone, Event::WorkersGone, Event::IssuerGone] {
            assert_eq!(run.ended(), None);
            run.handle(gone, at(90_000));
        }
        assert_eq!(run.ended(), Some(&Ending::Completed));
    }

    #[test]
    fn a_pause_moves_the_end_and_a_drain_ends_the_pause() {
        let mut run = open(Some(1000));
        run.handle(Event::Pause, at(300));
        assert_eq!((run.phase(), run.deadline()), (Phase::Paused, Time::NEVER));
        run.handle(Event::Resume, at(700));
        assert_eq!((run.phase(), run.deadline()), (Phase::Running, at(1500)));
        run.handle(Event::Pause, at(800));
        run.handle(Event::Drain(Ending::Completed), at(900));
        assert!(!run.timeline().is_paused(at(900)));
        let end = Duration::from_millis(300) + limits::END_NOTICE;
        assert_eq!(run.timeline().arrivals, Some(end), "all are told before");
    }

    #[test]
    fn a_step_goes_on_for_exactly_its_span() {
        let mut run = open(Some(1000));
        let span = Duration::from_millis(50);
        run.handle(Event::Step(span), at(250));
        assert_eq!(run.take_effects(), [], "only a paused run can step");
        run.handle(Event::Pause, at(300));
        run.handle(Event::Step(span), at(400));
        assert_eq!(run.take_effects(), [Effect::SendTimeline, Effect::SendTimeline]);
        assert_eq!((run.phase(), run.deadline()), (Phase::Running, at(450)));
        run.handle(Event::Step(span), at(420));
        run.handle(Event::Tick, at(457));
        assert_eq!(run.take_effects(), [Effect::StepOver]);
        assert_eq!((run.phase(), run.deadline()), (Phase::Paused, Time::NEVER));
        let office = |ms| run.timeline().office_time(at(ms));
        assert_eq!(office(500), Duration::from_millis(250), "however late the tick was");
        run.handle(Event::Resume, at(600));
        assert_eq!((run.phase(), run.deadline()), (Phase::Running, at(1350)));
    }

    #[test]
    fn a_step_can_be_cut_short_and_ends_with_the_run() {
        let mut run = open(Some(1000));
        let span = Duration::from_secs(5);
        run.handle(Event::Pause, at(300));
        run.handle(Event::Step(span), at(400));
        run.handle(Event::Pause, at(410));
        assert_eq!((run.phase(), run.deadline()), (Phase::Paused, Time::NEVER));
        run.handle(Event::Step(span), at(500));
        run.handle(Event::Resume, at(510));
        assert_eq!((run.phase(), run.step_until()), (Phase::Running, None));
        run.handle(Event::Pause, at(600));
        run.handle(Event::Step(span), at(700));
        let end = run.timeline().window_until();
        assert_eq!(run.deadline(), end, "arrivals end before the step does");
        run.handle(Event::Tick, end);
        assert!(run.is_ending() && !run.timeline().is_paused(end + span));
    }

    #[test]
    fn the_end_can_be_moved_while_it_is_ahead() {
        let mut run = open(Some(1000));
        let rules =
            |drain_ms| Rules { drain: Duration::from_millis(drain_ms), explode_waiting: None };
        let duration = |ms| Some(Duration::from_millis(ms));
        run.handle(Event::Rules { rules: rules(500), duration: duration(3000) }, at(400));
        assert_eq!(run.take_effects(), [Effect::SendTimeline]);
        assert_eq!(run.deadline(), at(3100));
        run.handle(counted(500, 60, 60), at(500));
        assert_eq!(run.phase(), Phase::Running, "nothing explodes any more");
        run.handle(Event::Rules { rules: rules(500), duration: None }, at(600));
        assert_eq!(run.deadline(), Time::NEVER);
        run.handle(Event::Rules { rules: rules(500), duration: duration(100) }, at(900));
        let end = at(900) + limits::END_NOTICE;
        assert_eq!(run.deadline(), end, "it has passed, so all are told and then it is");
        run.handle(Event::Tick, end);
        assert_eq!(run.deadline(), end + Duration::from_millis(500), "the new drain");
        run.handle(Event::Rules { rules: rules(500), duration: duration(9000) }, end);
        assert_eq!(run.phase(), Phase::Draining { open: 60 }, "an end that has begun stays");
    }

    #[test]
    fn too_many_waiting_tickets_end_the_run_as_overloaded() {
        let mut run = open(None);
        run.handle(counted(200, 50, 60), at(200));
        assert_eq!(run.phase(), Phase::Running);
        run.handle(counted(300, 51, 61), at(300));
        assert_eq!(run.phase(), Phase::Draining { open: 61 });
        run.handle(Event::Drain(Ending::Interrupted { signal: 15 }), at(310));
        run.handle(Event::StopNow(Ending::Interrupted { signal: 15 }), at(320));
        for gone in [Event::UsersGone, Event::WorkersGone, Event::IssuerGone] {
            run.handle(gone, at(330));
        }
        assert_eq!(
            run.ended(),
            Some(&Ending::Overloaded { waiting: 51 }),
            "the first reason counts"
        );
    }

    #[test]
    fn stopping_twice_kills() {
        let mut run = open(None);
        let ending = Ending::Interrupted { signal: 2 };
        run.take_effects();
        run.handle(Event::StopNow(ending.clone()), at(200));
        run.handle(Event::StopNow(ending.clone()), at(210));
        assert_eq!(run.take_effects(), [Effect::StopAll, Effect::KillAll]);
        for gone in [Event::IssuerGone, Event::UsersGone, Event::WorkersGone] {
            run.handle(gone, at(220));
        }
        assert_eq!(run.ended(), Some(&ending));
    }

    #[test]
    fn a_good_end_that_fails_is_a_failure() {
        let mut run = open(Some(1000));
        run.handle(Event::Tick, at(1100));
        let failed = Ending::Failed { exit: Exit::Disk, reason: "disk full".to_owned() };
        run.handle(Event::Drain(failed.clone()), at(1200));
        run.handle(counted(1400, 0, 0), at(1400));
        for gone in [Event::UsersGone, Event::WorkersGone, Event::IssuerGone] {
            run.handle(gone, at(1500));
        }
        assert_eq!((run.ended(), run.failure()), (Some(&failed), Some("disk full")));
    }

    #[test]
    fn a_run_that_fails_before_it_opens_ends_without_workers() {
        let mut run = run(None);
        let ending = Ending::Failed { exit: Exit::Disk, reason: "disk full".to_owned() };
        run.handle(Event::IssuerGone, at(5));
        run.handle(Event::Drain(ending.clone()), at(5));
        assert_eq!(run.ended(), Some(&ending));
    }
}
