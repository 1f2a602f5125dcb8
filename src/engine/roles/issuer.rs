//! The issuer process: the data plane's server and the only writer of the log.
//!
//! One turn is one batch: read all that is readable, decide, dispatch, write once, sync as the
//! policy says (on the log's own thread), and tell users what has become durable. The log is
//! opened and replayed on a thread of its own, so heartbeats and progress go on meanwhile.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, TryRecvError, channel};

use mio::Waker;

use super::control::{Control, Due, phase};
use super::event_loop::{Closed, Next, Refusal, Role};
use super::links::{LinkId, Links};
use crate::clock::{Clock, SystemClock, Time, sleep_until};
use crate::config::Scenario;
use crate::config::scenario::Storage;
use crate::limits;
use crate::net::frame::Frame;
use crate::net::message::{
    DirectorToIssuer, IssuerConfig, IssuerToDirector, LogReading, Recovering, ScenarioChange,
};
use crate::net::wire::Message;
use crate::scheduler::issuer::Options;
use crate::scheduler::recovery::Recovery;
use crate::storage::{
    ExitKind, Hands, LogError, LogOptions, LogPlace, Logstore, Opening as LogOpening, Recovered,
};

pub(crate) mod ledger;
mod peers;
mod serving;
mod telemetry;

use ledger::Replayed;
use serving::Serving;
pub(super) use telemetry::of_stats;

/// The issuer process.
pub struct IssuerRole {
    control: Control,
    waker: Arc<Waker>,
    state: State,
    progress: Arc<Progress>,
    /// The next [`Next`] when the role has decided to end.
    exit: Option<u8>,
}

enum State {
    /// Nothing is configured.
    Idle,
    /// The log is being read.
    Opening(Box<Opening>),
    /// Requests are taken, or will be once the first lease is durable.
    Serving(Box<Serving>),
}

/// What waits for the log to be open.
struct Opening {
    config: IssuerConfig,
    scenario: Scenario,
    opened: Receiver<Result<Opened, LogError>>,
    began: Time,
}

/// How far the opening thread is.
#[derive(Default)]
struct Progress {
    records: AtomicU64,
    bytes: AtomicU64,
    /// Zero until reading begins: no log that is there is empty.
    bytes_total: AtomicU64,
}

impl Progress {
    fn set(&self, replayed: Replayed) {
        self.records.store(replayed.records, Ordering::Relaxed);
        self.bytes.store(replayed.bytes, Ordering::Relaxed);
        self.bytes_total.store(replayed.bytes_total, Ordering::Relaxed);
    }

    fn get(&self) -> Recovering {
        let bytes_total = self.bytes_total.load(Ordering::Relaxed);
        let reading = LogReading {
            records: self.records.load(Ordering::Relaxed),
            bytes: self.bytes.load(Ordering::Relaxed),
            bytes_total,
        };
        Recovering { reading: (bytes_total > 0).then_some(reading) }
    }
}

/// What the opening thread brings back.
struct Opened {
    log: Logstore,
    report: Recovered,
    recovery: Recovery,
}

impl IssuerRole {
    /// Returns an issuer that waits for its configuration on `control`.
    pub fn new(control: LinkId, waker: Arc<Waker>, links: &mut Links) -> Self {
        let control = Control::greet(control, 0, phase::ISSUER, links);
        Self { control, waker, state: State::Idle, progress: Arc::default(), exit: None }
    }

    fn on_control(
        &mut self,
        frame: &Frame<'_>,
        now: Time,
        links: &mut Links,
    ) -> Result<(), Refusal> {
        if self.control.frame(frame)? {
            return Ok(());
        }
        match DirectorToIssuer::decode(frame.kind, frame.payload)? {
            DirectorToIssuer::Configure(config) => self.configure(config, now, links),
            DirectorToIssuer::Timeline(line) => {
                if let State::Opening(opening) = &mut self.state {
                    opening.config.timeline = line;
                } else if let State::Serving(serving) = &mut self.state {
                    serving.ledger.core.set_timeline(line, now);
                }
            }
            DirectorToIssuer::Stop(_) => self.stop(now, links),
            DirectorToIssuer::Scenario(change) => self.change(&change, now, links),
            DirectorToIssuer::Curb(curbs) => {
                log::debug!("what is held back: {curbs:?}");
                if let State::Opening(opening) = &mut self.state {
                    opening.config.curbs = curbs;
                } else if let State::Serving(serving) = &mut self.state {
                    serving.ledger.core.set_curbs(serving::curbs(curbs), now);
                }
            }
        }
        Ok(())
    }

    /// Takes over what can change without a restart.
    fn change(&mut self, change: &ScenarioChange, now: Time, links: &mut Links) {
        let storage = match super::configured(&change.scenario) {
            Ok(scenario) => scenario.storage,
            Err(error) => return self.fail(super::EXIT_USAGE, &error.to_string(), links),
        };
        match &mut self.state {
            State::Idle => {}
            // The log is told when it is open.
            State::Opening(opening) => opening.scenario.storage = storage,
            State::Serving(serving) => {
                let Storage { fsync, retain_bytes, .. } = storage;
                log::debug!("the log is kept otherwise: fsync={fsync} retain={retain_bytes:?}");
                serving.ledger.log.set_policy(fsync, retain_bytes, now);
            }
        }
    }

    fn configure(&mut self, config: IssuerConfig, now: Time, links: &mut Links) {
        if !matches!(self.state, State::Idle) {
            return;
        }
        let scenario = match super::configured(&config.scenario) {
            Ok(scenario) => scenario,
            Err(error) => return self.fail(super::EXIT_USAGE, &error.to_string(), links),
        };
        let (sender, opened) = channel();
        let opener = Opener {
            dir: PathBuf::from(&config.data_dir),
            log: LogOptions {
                segment_bytes: scenario.storage.segment_bytes,
                policy: scenario.storage.fsync,
                retain_bytes: scenario.storage.retain_bytes,
                index_bytes: scenario.storage.index_bytes,
                compression: scenario.storage.compression,
                checkpoint_bytes: limits::CHECKPOINT_BYTES_MIN,
            },
            recovery: Recovery::new(options(&scenario), config.run, config.timeline.clone()),
            progress: Arc::clone(&self.progress),
            waker: Arc::clone(&self.waker),
        };
        let spawned = std::thread::Builder::new().name("log-open".to_owned()).spawn(move || {
            let waker = Arc::clone(&opener.waker);
            // A receiver that is gone means that the process is ending.
            let _ = sender.send(opener.open());
            wake(&waker);
        });
        match spawned {
            Ok(_) => {
                self.state =
                    State::Opening(Box::new(Opening { config, scenario, opened, began: now }));
            }
            Err(error) => {
                self.fail(super::EXIT_FAILED, &format!("cannot start a thread: {error}"), links);
            }
        }
    }

    /// Looks whether the log is open, and says how far it is.
    fn poll_opening(&mut self, due: Due, now: Time, links: &mut Links) {
        let State::Opening(opening) = &mut self.state else {
            return;
        };
        match opening.opened.try_recv() {
            Ok(Ok(opened)) => {
                let State::Opening(opening) = std::mem::replace(&mut self.state, State::Idle)
                else {
                    return;
                };
                let Opening { config, scenario, began, .. } = *opening;
                let mut opened = opened;
                let Storage { fsync, retain_bytes, .. } = scenario.storage;
                opened.log.set_policy(fsync, retain_bytes, now);
                let serving = Serving::new(config, &scenario, opened, began, now);
                self.state = State::Serving(Box::new(serving));
            }
            Ok(Err(error)) => self.fail_with(&error, links),
            Err(TryRecvError::Empty) if due.totals => {
                let recovering = self.progress.get();
                self.control.send(&IssuerToDirector::Recovering(recovering), links);
            }
            Err(TryRecvError::Empty) => {}
            Err(TryRecvError::Disconnected) => {
                self.fail(super::EXIT_FAILED, "the thread that opens the log panicked", links);
            }
        }
    }

    /// Finishes the log and ends.
    fn stop(&mut self, now: Time, links: &mut Links) {
        let State::Serving(mut serving) = std::mem::replace(&mut self.state, State::Idle) else {
            self.exit = Some(0);
            return;
        };
        if let Err(error) = serving.turn(now, links) {
            return self.give_up_writing(&error, links);
        }
        let latencies = Due { totals: false, latencies: true };
        telemetry::send(&mut serving, latencies, &self.control, now, links);
        let mut totals = telemetry::totals(&serving, now);
        match serving.close(now) {
            Ok(stats) => {
                telemetry::take_log_stats(&mut totals.store, &stats);
                self.control.send_metrics(links);
                totals.ends_second = true;
                self.control.send(&IssuerToDirector::Totals(totals), links);
                self.exit = Some(0);
            }
            Err(error) => self.give_up_writing(&error, links),
        }
    }

    /// Ends because the log has become read-only.
    fn give_up_writing(&mut self, error: &LogError, links: &mut Links) {
        let mut reason = super::chain(error);
        if error.exit_kind() == ExitKind::Disk {
            reason.push_str(
                "; nothing was acknowledged after that; start again once the disk is in order",
            );
        }
        self.fail(error.exit_kind().code(), &reason, links);
    }

    fn fail_with(&mut self, error: &LogError, links: &mut Links) {
        let exit = error.exit_kind().code();
        self.fail(exit, &super::chain(error), links);
    }

    fn fail(&mut self, exit: u8, reason: &str, links: &mut Links) {
        log::error!("the issuer gives up: {reason}");
        self.control.fail(exit, reason, links);
        self.exit = Some(exit);
    }
}

impl Role for IssuerRole {
    fn frame(
        &mut self,
        link: LinkId,
        frame: &Frame<'_>,
        now: Time,
        links: &mut Links,
    ) -> Result<(), Refusal> {
        if link == self.control.link() {
            return self.on_control(frame, now, links);
        }
        match &mut self.state {
            State::Serving(serving) => serving.on_peer(link, frame, now, links),
            State::Idle | State::Opening(_) => Ok(()),
        }
    }

    fn accepted(&mut self, link: LinkId, now: Time, links: &mut Links) {
        if let State::Serving(serving) = &mut self.state {
            serving.on_stranger(link, now, links);
        }
    }

    fn closed(&mut self, link: LinkId, reason: Closed, now: Time, links: &mut Links) {
        if link == self.control.link() {
            self.exit = Some(0);
        } else if let State::Serving(serving) = &mut self.state {
            serving.on_gone(link, reason, now, links);
        }
    }

    fn turn(&mut self, now: Time, links: &mut Links) -> Next {
        let due = self.control.turn(now, links);
        self.poll_opening(due, now, links);
        let mut next = Next::Wait;
        if let State::Serving(serving) = &mut self.state {
            let turned = serving.turn(now, links);
            if let Some(ready) = serving.take_ready() {
                self.control.send(&IssuerToDirector::Ready(ready), links);
            }
            let totals = serving.has_come_to_the_end(now) || due.totals;
            telemetry::send(serving, Due { totals, ..due }, &self.control, now, links);
            if due.totals && !serving.is_open() {
                // The first lease waits for a slow or full disk, which is no reason to be replaced.
                let recovering = self.progress.get();
                self.control.send(&IssuerToDirector::Recovering(recovering), links);
            }
            match turned {
                Ok(again) => next = again,
                Err(error) => self.give_up_writing(&error, links),
            }
        }
        self.exit.map_or(next, Next::Exit)
    }

    fn deadline(&self) -> Time {
        let log = match &self.state {
            State::Serving(serving) => serving.deadline(),
            State::Idle | State::Opening(_) => Time::NEVER,
        };
        log.min(self.control.deadline())
    }
}

/// What the opening thread works with.
struct Opener {
    dir: PathBuf,
    log: LogOptions,
    recovery: Recovery,
    progress: Arc<Progress>,
    waker: Arc<Waker>,
}

impl Opener {
    /// Opens the log and replays it; waits a little for a dying predecessor to let go of it.
    fn open(self) -> Result<Opened, LogError> {
        let opening = self.begin()?;
        let Self { mut recovery, progress, .. } = self;
        let (log, report) =
            ledger::replay(opening, &mut recovery, &mut |replayed| progress.set(replayed))?;
        Ok(Opened { log, report, recovery })
    }

    fn begin(&self) -> Result<LogOpening, LogError> {
        let give_up = SystemClock.now() + limits::WRITER_LOCK_PATIENCE;
        let place = LogPlace::in_data_dir(&self.dir);
        loop {
            let waker = Arc::clone(&self.waker);
            let hands = Hands::Threads(Arc::new(move || wake(&waker)));
            match LogOpening::begin(&place, self.log, hands) {
                Err(LogError::InUse { .. }) if SystemClock.now() < give_up => {
                    sleep_until(SystemClock.now() + limits::WRITER_LOCK_RETRY);
                }
                other => return other,
            }
        }
    }
}

fn wake(waker: &Waker) {
    // A poll that is gone means that the process is ending.
    let _ = waker.wake();
}

fn options(scenario: &Scenario) -> Options {
    Options {
        services: scenario.services.len(),
        room: scenario.office.room,
        retry: scenario.office.retry,
    }
}
