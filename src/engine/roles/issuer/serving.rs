//! An issuer at work: one turn of the loop is one batch.

use std::path::PathBuf;

use super::super::links::Links;
use super::Opened;
use super::ledger::Ledger;
use super::peers::{Bounds, Peers, Telling};
use crate::clock::{Time, WallTime, boot_id};
use crate::config::Scenario;
use crate::ids::Epoch;
use crate::limits;
use crate::net::message::{Carry, Curbs, IndexRebuilt, IssuerConfig, IssuerReady, Secret};
use crate::net::stream;
use crate::roles::event_loop::Next;
use crate::scheduler::curbs;
use crate::scheduler::record::Start;
use crate::scheduler::stats::CarriedOver;
use crate::storage::{IndexOutcome, LogError, LogStats, Recovered};

/// An issuer with an open log.
pub(super) struct Serving {
    pub(super) ledger: Ledger,
    pub(super) peers: Peers,
    pub(super) bounds: Bounds,
    pub(super) epoch: Epoch,
    pub(super) secret: Secret,
    socket: PathBuf,
    intake: Intake,
    /// The director knows the latencies of earlier lives.
    pub(super) has_told: bool,
    /// Requests are read: ids are left to give out, and the log has room.
    pub(super) reads_users: bool,
    end: EndOfRun,
}

/// Whether all is done that the run's arrivals have left. The director waits for that, so it is told
/// at once and not when telemetry is next due.
#[derive(Debug, Default)]
struct EndOfRun {
    is_over: bool,
    is_told: bool,
}

impl EndOfRun {
    /// Looks at the end of arrivals; returns once whether nothing is left any more.
    fn turn(&mut self, arrivals_until: Time, is_idle: bool, now: Time) -> bool {
        self.is_over = arrivals_until + limits::UNDER_WAY <= now;
        let was_told = std::mem::replace(&mut self.is_told, self.is_over && is_idle);
        self.is_told && !was_told
    }

    /// When [`Self::turn`] has something to do though nothing comes.
    fn deadline(&self, arrivals_until: Time) -> Time {
        // By then no request of the run is under way any more.
        if self.is_over { Time::NEVER } else { arrivals_until + limits::UNDER_WAY }
    }
}

/// Whether requests are taken.
enum Intake {
    /// The first lease is not durable yet.
    Closed(IssuerReady),
    /// The socket is open; the director is to be told.
    Opened(IssuerReady),
    /// The director knows.
    Open,
}

impl Serving {
    /// Becomes the issuer that the log describes.
    pub(super) fn new(
        config: IssuerConfig,
        scenario: &Scenario,
        opened: Opened,
        began: Time,
        now: Time,
    ) -> Self {
        let Opened { log, report, mut recovery } = opened;
        // It may have changed while the log was read.
        recovery.set_timeline(config.timeline);
        let (epoch, requeued) = (recovery.epoch(), recovery.open() as u64);
        let (wall, boot) = (WallTime::now(), boot_id());
        let start = Start { epoch, run: config.run, wall, boot };
        let mut ledger = Ledger::new(log, recovery, start, now);
        let Carry { staffed_ns, rejected, recovered, redelivered, bad_peers, lost_ns } =
            &config.carry;
        ledger.core.carry_over(&CarriedOver {
            staffed_ns: *staffed_ns,
            recovered: *recovered,
            redelivered: *redelivered,
            lost_ns,
            rejected,
        });
        ledger.core.set_curbs(curbs(config.curbs), now);
        let ready = IssuerReady {
            epoch,
            segments: report.segments as u64,
            records: report.records,
            requeued,
            torn_bytes: report.torn_bytes,
            kept_aside: report.kept_aside.as_ref().map(|path| path.display().to_string()),
            rebuilt: rebuilt(report),
            elapsed: now.since(began),
        };
        Self {
            ledger,
            has_told: false,
            peers: Peers::new(scenario.loads.len(), *bad_peers),
            bounds: Bounds::of(scenario),
            epoch,
            secret: config.secret,
            socket: PathBuf::from(config.socket),
            intake: Intake::Closed(ready),
            reads_users: true,
            end: EndOfRun::default(),
        }
    }

    /// One batch: collect what has become durable, dispatch, write, tell.
    pub(super) fn turn(&mut self, now: Time, links: &mut Links) -> Result<Next, LogError> {
        let (ledger, mut telling) = self.split(links);
        ledger.turn(now, &mut telling)?;
        self.open_intake(links);
        self.steer_intake(links);
        self.drop_silent_strangers(now, links);
        let log = &self.ledger.log;
        let has_more = log.has_uncommitted() && !log.is_blocked();
        Ok(if has_more { Next::Again } else { Next::Wait })
    }

    /// Returns whether requests are taken.
    pub(super) fn is_open(&self) -> bool {
        !matches!(self.intake, Intake::Closed(_))
    }

    /// Returns once what the director should know when requests are first taken.
    pub(super) fn take_ready(&mut self) -> Option<IssuerReady> {
        match std::mem::replace(&mut self.intake, Intake::Open) {
            Intake::Opened(ready) => Some(ready),
            other => {
                self.intake = other;
                None
            }
        }
    }

    /// Returns once whether the run's arrivals are over and all that they left is done and told.
    pub(super) fn has_come_to_the_end(&mut self, now: Time) -> bool {
        let core = &self.ledger.core;
        let is_idle = core.open() == 0 && core.untold() == 0;
        self.end.turn(core.stats().window_until(), is_idle, now)
    }

    /// When [`Self::turn`] has something to do though nothing came.
    pub(super) fn deadline(&self) -> Time {
        let core = &self.ledger.core;
        let end = self.end.deadline(core.stats().window_until());
        let own = core.dispatch_deadline().min(end);
        self.ledger.log.deadline().min(self.peers.first_hello_deadline()).min(own)
    }

    /// Finishes the log and returns its last figures.
    pub(super) fn close(self, now: Time) -> Result<LogStats, LogError> {
        // A stale socket does no harm: the next issuer replaces it.
        let _ = std::fs::remove_file(&self.socket);
        self.ledger.close(now)
    }

    /// Lends the ledger and who is told what it decides.
    pub(super) fn split<'a>(&'a mut self, links: &'a mut Links) -> (&'a mut Ledger, Telling<'a>) {
        (&mut self.ledger, Telling { peers: &self.peers, links })
    }

    /// Reads requests only while they can be numbered and written.
    pub(super) fn steer_intake(&mut self, links: &mut Links) {
        let reads_users = self.ledger.core.can_issue() && !self.ledger.log.is_blocked();
        if reads_users != self.reads_users {
            self.reads_users = reads_users;
            self.peers.read_users(reads_users, links);
        }
    }

    /// Opens the socket once ids may be given out.
    fn open_intake(&mut self, links: &mut Links) {
        let Intake::Closed(ready) = &self.intake else {
            return;
        };
        if !self.ledger.core.can_issue() {
            return;
        }
        match stream::listen(&self.socket) {
            Ok(listener) => {
                links.listen(listener, self.bounds.connection);
                self.intake = Intake::Opened(ready.clone());
            }
            Err(error) => {
                log::error!("can not listen for users and workers: {error}");
            }
        }
    }
}

/// Returns what the director wants held back as the scheduler knows it.
pub(super) fn curbs(curbs: Curbs) -> curbs::Curbs {
    let Curbs { is_on_strike, blocked, delay } = curbs;
    curbs::Curbs { is_on_strike, blocked, delay: delay.min(limits::ISSUER_DELAY_MAX) }
}

/// Returns why the index was made anew, if it was.
fn rebuilt(report: Recovered) -> Option<IndexRebuilt> {
    match report.index {
        IndexOutcome::Rebuilt { reason, lost_keys } => Some(IndexRebuilt { reason, lost_keys }),
        IndexOutcome::Absent | IndexOutcome::Whole => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Time {
        Time(ms * 1_000_000)
    }

    #[test]
    fn the_director_hears_once_and_at_once_that_nothing_is_left() {
        let mut end = EndOfRun::default();
        let (last, over) = (at(600), at(600) + limits::UNDER_WAY);
        assert_eq!((end.turn(last, true, at(600)), end.deadline(last)), (false, over));
        assert!(!end.turn(last, false, over), "tickets are open, or users wait for a word");
        assert_eq!(end.deadline(last), Time::NEVER, "their ends are turns of their own");
        assert!(end.turn(last, true, at(1000)));
        assert!(!end.turn(last, true, at(1100)), "it is told once");
        assert!(!end.turn(last, false, at(2000)) && end.turn(last, true, at(2000)), "asked again");
        assert!(!end.turn(Time::NEVER, true, at(3000)), "arrivals go on after all");
        assert_eq!(end.deadline(Time::NEVER), Time::NEVER);
    }
}
