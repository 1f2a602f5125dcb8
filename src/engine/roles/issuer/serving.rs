//! An issuer at work: one turn of the loop is one batch.

use std::path::PathBuf;

use super::super::links::Links;
use super::Opened;
use super::peers::{Acting, Bounds, Peers};
use crate::clock::{Time, WallTime};
use crate::config::Scenario;
use crate::ids::{Epoch, Lsn, TicketId};
use crate::net::message::{Carry, IssuerConfig, IssuerReady, Secret};
use crate::net::stream;
use crate::perf::Meter;
use crate::roles::event_loop::Next;
use crate::scheduler::issuer::Issuer;
use crate::scheduler::record::{Issued, Record, Start};
use crate::scheduler::state::RunMark;
use crate::storage::{LogError, Logstore, OwnerState};

/// An issuer with an open log.
pub(super) struct Serving {
    pub(super) core: Issuer,
    pub(super) log: Logstore,
    pub(super) sync_times: Meter,
    pub(super) peers: Peers,
    pub(super) bounds: Bounds,
    pub(super) epoch: Epoch,
    pub(super) secret: Secret,
    socket: PathBuf,
    lease: Lease,
    mark: RunMark,
    /// The start of this life, to be repeated in each segment.
    start: Start,
    rolls: u64,
    intake: Intake,
    /// Requests are read: ids are left to give out, and the log has room.
    pub(super) reads_users: bool,
}

/// The durable lease of ids that is under way.
#[derive(Clone, Copy)]
enum Lease {
    /// Enough ids are left.
    Enough,
    /// A lease was appended to the batch.
    Appended(TicketId),
    /// It is written and ends here in the log; it counts once the log is synced up to there.
    Written(TicketId, Lsn),
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
        let Opened { mut log, report, recovery } = opened;
        let (epoch, requeued) = (recovery.epoch(), recovery.open() as u64);
        let mark = recovery.mark();
        let mut core = recovery.finish(now);
        core.set_timeline(config.timeline);
        let Carry { staffed_ns, rejected, recovered, redelivered } = &config.carry;
        core.carry_over(u128::from(*staffed_ns), (*recovered, *redelivered), rejected);
        let (wall, boot) = (WallTime::now(), boot_id());
        let start = Start { epoch, run: config.run, wall, boot };
        append(&mut log, &Record::Start(start));
        let ready = IssuerReady {
            epoch,
            records: report.records,
            requeued,
            torn_bytes: report.torn_bytes,
            elapsed: now.since(began),
        };
        Self {
            core,
            log,
            sync_times: Meter::default(),
            peers: Peers::new(scenario.loads.len()),
            bounds: Bounds::of(scenario),
            epoch,
            secret: config.secret,
            socket: PathBuf::from(config.socket),
            lease: Lease::Enough,
            mark,
            start,
            rolls: 0,
            intake: Intake::Closed(ready),
            reads_users: true,
        }
    }

    /// One batch: collect what has become durable, dispatch, write, tell.
    pub(super) fn turn(&mut self, now: Time, links: &mut Links) -> Result<Next, LogError> {
        let progress = self.log.poll(now)?;
        while let Some(latency) = self.log.next_sync_time() {
            self.sync_times.record(latency);
        }
        self.collect_lease(progress.synced);
        self.open_intake(links);
        self.release(progress.acknowledged, now, links);
        let (core, mut acting) = self.split(links);
        core.dispatch(now, &mut acting);
        self.append_lease();
        self.repeat_start();
        if let Some(end) = self.log.commit(now)? {
            self.core.written(end);
            if let Lease::Appended(until) = self.lease {
                self.lease = Lease::Written(until, end);
                self.log.sync_now(now);
            }
            if self.log.wants_checkpoint(now) {
                self.log.checkpoint(self.owner_state(now), now);
            }
            self.release(self.log.acknowledged(), now, links);
        }
        self.steer_intake(links);
        self.drop_silent_strangers(now, links);
        let has_more = self.log.has_uncommitted() && !self.log.is_blocked();
        Ok(if has_more { Next::Again } else { Next::Wait })
    }

    /// Returns once what the director should know when requests are first taken.
    pub(super) fn take_ready(&mut self) -> Option<IssuerReady> {
        match self.intake {
            Intake::Opened(ready) => {
                self.intake = Intake::Open;
                Some(ready)
            }
            Intake::Closed(_) | Intake::Open => None,
        }
    }

    /// When [`Self::turn`] has something to do though nothing came.
    pub(super) fn deadline(&self) -> Time {
        self.log.deadline().min(self.peers.first_hello_deadline())
    }

    /// Finishes the log.
    pub(super) fn close(self, now: Time) -> Result<(), LogError> {
        // A stale socket does no harm: the next issuer replaces it.
        let _ = std::fs::remove_file(&self.socket);
        let owner = self.owner_state(now);
        self.log.close(owner, now)
    }

    /// Returns what a restart needs beside the log behind this moment.
    fn owner_state(&self, now: Time) -> OwnerState {
        let lease = match self.lease {
            Lease::Enough => self.core.leased_until(),
            Lease::Appended(until) | Lease::Written(until, _) => until,
        };
        OwnerState {
            bytes: self.core.encode_state(&self.mark, lease, now),
            needed: Some(Issued::key(self.core.oldest_open())),
        }
    }

    /// Repeats, at the beginning of each segment, what a log that begins there must say: older
    /// segments may be let go of.
    fn repeat_start(&mut self) {
        let rolls = self.log.stats().rolls;
        if rolls != self.rolls {
            self.rolls = rolls;
            append(&mut self.log, &Record::Start(self.start));
            append(&mut self.log, &Record::Lease(self.core.leased_until()));
        }
    }

    /// Lends the core and what its decisions act on.
    pub(super) fn split<'a>(&'a mut self, links: &'a mut Links) -> (&'a mut Issuer, Acting<'a>) {
        (&mut self.core, Acting { log: &mut self.log, peers: &self.peers, links })
    }

    fn release(&mut self, lsn: Lsn, now: Time, links: &mut Links) {
        let (core, mut acting) = self.split(links);
        core.durable(lsn, now, &mut acting);
    }

    fn append_lease(&mut self) {
        if matches!(self.lease, Lease::Enough)
            && let Some(until) = self.core.wanted_lease()
        {
            append(&mut self.log, &Record::Lease(until));
            self.lease = Lease::Appended(until);
        }
    }

    fn collect_lease(&mut self, synced: Lsn) {
        let Lease::Written(until, end) = self.lease else {
            return;
        };
        if end <= synced {
            self.core.leased(until);
            self.lease = Lease::Enough;
        }
    }

    /// Reads requests only while they can be numbered and written.
    pub(super) fn steer_intake(&mut self, links: &mut Links) {
        let reads_users = self.core.can_issue() && !self.log.is_blocked();
        if reads_users != self.reads_users {
            self.reads_users = reads_users;
            self.peers.read_users(reads_users, links);
        }
    }

    /// Opens the socket once ids may be given out.
    fn open_intake(&mut self, links: &mut Links) {
        let Intake::Closed(ready) = self.intake else {
            return;
        };
        if !self.core.can_issue() {
            return;
        }
        match stream::listen(&self.socket) {
            Ok(listener) => {
                links.listen(listener, self.bounds.connection);
                self.intake = Intake::Opened(ready);
            }
            Err(error) => {
                log::error!("can not listen for users and workers: {error}");
            }
        }
    }
}

/// Appends a record to the batch.
pub(super) fn append(log: &mut Logstore, record: &Record<'_>) {
    log.append_with(record.kind(), record.key(), |out| record.put_value(out));
}

/// Returns the machine's boot id; zeros where it can't be read.
fn boot_id() -> [u8; 16] {
    let text = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    let digits: String = text.chars().filter(char::is_ascii_hexdigit).collect();
    u128::from_str_radix(&digits, 16).unwrap_or_default().to_be_bytes()
}
