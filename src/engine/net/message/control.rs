//! The control plane: children and their supervisors. Users have a file of their own.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::super::wire::{DecodeError, Reader, Wire};
use super::{NetTotals, Secret, Signal};
use crate::clock::Time;
use crate::ids::{Epoch, RunId, ServiceId};
use crate::perf::Interval;
use crate::timeline::Timeline;

wire_struct! {
    /// The first word of a child: which slot it fills.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct Hello {
        /// The slot that the child was started for.
        pub number: u16,
        /// Its process id.
        pub pid: u32,
    }
}

wire_struct! {
    /// A child's event loop turns.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct Heartbeat {
        /// When it was sent.
        pub at: Time,
        /// It can't go on before another process does: the issuer, which may read a long log.
        pub is_waiting: bool,
    }
}

wire_struct! {
    /// One line of a child's log.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct LogLine<'a> {
        /// 1 error, 2 warn, 3 info, 4 debug, 5 trace.
        pub level: u8,
        /// The part of the program that says it.
        pub target: &'a str,
        /// What it says.
        pub text: &'a str,
    }
}

wire_struct! {
    /// Why a child gives up; its process ends with `exit`.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct Failure<'a> {
        /// The exit code that says why.
        pub exit: u8,
        /// What happened, to what, and what to do.
        pub reason: &'a str,
    }
}

wire_struct! {
    /// What a process recorded of its own work since it last said so. The numbers are those of
    /// [`METRICS`](crate::perf::catalog::METRICS); all processes are the same executable.
    #[derive(Clone, Debug, Default, PartialEq)]
    pub struct MetricsDelta<'a> {
        /// Counters that rose, and by how much.
        pub counters: Vec<(u16, u64)>,
        /// New values of histograms.
        pub histograms: Vec<(u16, HistogramBytes<'a>)>,
        /// Recordings that found no room.
        pub dropped: u64,
    }
}

messages! {
    /// What every child says to its supervisor in the same way. The numbers below
    /// [`FIRST_ROLE_KIND`] are these words' own, whatever the role.
    pub enum ChildToSupervisor<'a> {
        /// The first word.
        1 => Hello(Hello),
        /// The loop turns.
        2 => Heartbeat(Heartbeat),
        /// A line of its log.
        3 => Log(LogLine<'a>),
        /// It gives up.
        4 => Failure(Failure<'a>),
        /// What it recorded of its own work.
        5 => Metrics(MetricsDelta<'a>),
        /// What passed over its sockets.
        6 => Net(NetTotals),
    }
}

wire_struct! {
    /// How important a line of a child's log must be to be sent.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct LogLevel {
        /// The least important that is: 1 error, 2 warn, 3 info, 4 debug, 5 trace.
        pub level: u8,
    }
}

messages! {
    /// What every supervisor says to its children in the same way. The numbers from
    /// [`FIRST_COMMON_KIND`] on are these words' own, whatever the role.
    pub enum SupervisorToChild {
        /// Send lines of the log down to this level.
        32 => LogLevel(LogLevel),
    }
}

/// The first number of the messages that any child may be sent.
pub const FIRST_COMMON_KIND: u8 = 32;

/// The first number of the messages that only one role sends to its supervisor.
pub const FIRST_ROLE_KIND: u8 = 16;

/// How the statistics of a latency travel: an exact sum and an HDR V2 histogram, as
/// [`Histogram::to_bytes`](crate::perf::Histogram::to_bytes) writes them.
pub type HistogramBytes<'a> = &'a [u8];

// --- director and issuer --------------------------------------------------------------------

wire_struct! {
    /// All that an issuer needs to know.
    #[derive(Clone, Debug, PartialEq)]
    pub struct IssuerConfig {
        /// The effective scenario as INI text.
        pub scenario: String,
        /// The data directory.
        pub data_dir: String,
        /// Where to listen.
        pub socket: String,
        /// What peers must show.
        pub secret: Secret,
        /// The run.
        pub run: RunId,
        /// The run's times.
        pub timeline: Timeline,
        /// What an earlier life of the issuer counted and no log holds.
        pub carry: Carry,
        /// What people hold back or slow down.
        pub curbs: Curbs,
    }
}

wire_struct! {
    /// What people hold back or slow down at the issuer; the default is the ordinary. It travels
    /// whole, on every change and to every new issuer.
    #[derive(Clone, Debug, Default, PartialEq, Eq)]
    pub struct Curbs {
        /// Workers take no tickets.
        pub is_on_strike: bool,
        /// Services whose tickets are not handed out.
        pub blocked: Vec<ServiceId>,
        /// How late each round of handing out tickets is, in office time.
        pub delay: Duration,
    }
}

wire_struct! {
    /// Figures of an issuer that no log holds.
    #[derive(Clone, Debug, Default, PartialEq, Eq)]
    pub struct Carry {
        /// Integral of staffed seats over the measured time, in seat nanoseconds.
        pub staffed_ns: u128,
        /// Rejected requests per service: all, and measured ones.
        pub rejected: Vec<(u64, u64)>,
        /// Tickets that were queued again at starts of the issuer.
        pub recovered: u64,
        /// Tickets handed out again because their worker died.
        pub redelivered: u64,
        /// Peers that were refused.
        pub bad_peers: u64,
        /// Measured service time of each service that was lost with them, in nanoseconds.
        pub lost_ns: Vec<u64>,
    }
}

wire_struct! {
    /// An issuer takes requests.
    #[derive(Clone, Debug, Default, PartialEq, Eq)]
    pub struct IssuerReady {
        /// The number of this start.
        pub epoch: Epoch,
        /// Segments that were there; none if the log is new.
        pub segments: u64,
        /// Records read from the log.
        pub records: u64,
        /// Open tickets that were queued again.
        pub requeued: u64,
        /// Bytes of a torn tail that were set aside.
        pub torn_bytes: u64,
        /// The file in which they are kept.
        pub kept_aside: Option<String>,
        /// Why the index was made anew; `None` if it was whole.
        pub rebuilt: Option<IndexRebuilt>,
        /// How long reading took.
        pub elapsed: Duration,
    }
}

wire_struct! {
    /// An index that was made anew from the log.
    #[derive(Clone, Debug, Default, PartialEq, Eq)]
    pub struct IndexRebuilt {
        /// Why.
        pub reason: String,
        /// Records that the old one knew and that the log no longer holds.
        pub lost_keys: u64,
    }
}

wire_struct! {
    /// An issuer opens its log.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct Recovering {
        /// How far it has read; `None` while it looks at the index.
        pub reading: Option<LogReading>,
    }
}

wire_struct! {
    /// How far a log has been read.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct LogReading {
        /// Records read so far.
        pub records: u64,
        /// Bytes read so far.
        pub bytes: u64,
        /// Bytes to read, zeros at the end included.
        pub bytes_total: u64,
    }
}

wire_struct! {
    /// What an issuer has counted, since the office opened.
    #[derive(Clone, Debug, Default, PartialEq)]
    pub struct IssuerTotals {
        /// When the figures were taken.
        pub at: Time,
        /// The latencies up to here have been told: a second is complete.
        pub ends_second: bool,
        /// What is no sum over services.
        pub office: OfficeTotals,
        /// One entry per service, by [`ServiceId`].
        pub services: Vec<ServiceTotals>,
        /// Tickets that are not finished.
        pub open: u64,
        /// Words about tickets that users are told once they are durable.
        pub untold: u64,
        /// Seats of workers that are there.
        pub staffed: u64,
        /// Their integral over the measured time, in seat nanoseconds.
        pub staffed_ns: u128,
        /// Tickets that were open at a start of the issuer and queued again.
        pub recovered: u64,
        /// Tickets handed out again because their worker died.
        pub redelivered: u64,
        /// Peers refused because of a wrong version, secret or frame.
        pub bad_peers: u64,
        /// The log.
        pub store: StoreTotals,
    }
}

wire_struct! {
    /// The figures of all services together that are no sum of theirs.
    #[derive(Clone, Copy, Debug, Default, PartialEq)]
    pub struct OfficeTotals {
        /// The most that waited in the measured window.
        pub waiting_max: Peak,
        /// The most that were in the system.
        pub in_system_max: Peak,
        /// How sure the mean wait is; `None` while there is too little.
        pub wait: Option<Interval>,
        /// How sure the mean sojourn time is.
        pub sojourn: Option<Interval>,
        /// Jain's index over the workers' busy time; `None` without any.
        pub workers_fairness: Option<f64>,
        /// Jain's index over the users' mean waits.
        pub users_fairness: Option<f64>,
    }
}

wire_struct! {
    /// A largest number.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub struct Peak {
        /// The number.
        pub count: u64,
        /// When it was reached; unset if nothing was measured.
        pub at: Time,
    }
}

wire_struct! {
    /// The counts of one service.
    #[derive(Clone, Copy, Debug, Default, PartialEq)]
    pub struct ServiceTotals {
        /// Since the office opened.
        pub totals: TicketCounts,
        /// Tickets that arrived in the measured window.
        pub measured: TicketCounts,
        /// Measured tickets that found no free seat.
        pub delayed: u64,
        /// Completions inside the measured window.
        pub window_completions: u64,
        /// Tickets waiting now.
        pub waiting: u64,
        /// The most that waited in the measured window.
        pub waiting_max: Peak,
        /// Integral of waiting tickets over the measured time, in ticket nanoseconds.
        pub waiting_ns: u128,
        /// Tickets in service now.
        pub in_service: u64,
        /// The most that were waiting or in service.
        pub in_system_max: Peak,
        /// Integral of tickets in service over the measured time, in ticket nanoseconds.
        pub in_service_ns: u128,
        /// Measured service time that was lost with workers that died, in nanoseconds.
        pub lost_ns: u64,
        /// What `waiting_ns` must be if the published waits are right, in nanoseconds.
        pub waits_ns: u128,
        /// Waits of measured tickets that have ended until their first start, in nanoseconds.
        pub accepted_waits_ns: u128,
        /// How many those are.
        pub accepted_waits: u64,
        /// How sure the mean wait is; `None` while there is too little.
        pub wait: Option<Interval>,
        /// How sure the mean sojourn time is.
        pub sojourn: Option<Interval>,
    }
}

wire_struct! {
    /// Counts of requests and tickets.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
    pub struct TicketCounts {
        /// Requests that got a ticket.
        pub issued: u64,
        /// Requests that found the office full.
        pub rejected: u64,
        /// Tickets served.
        pub served: u64,
        /// Tickets given up.
        pub failed: u64,
    }
}

wire_struct! {
    /// The log as it is, and what was done to it in this life of the issuer.
    #[derive(Clone, Debug, Default, PartialEq, Eq)]
    pub struct StoreTotals {
        /// Segments of the log.
        pub segments: u64,
        /// Bytes of the log, from its first one to the end of its last batch.
        pub log_bytes: u64,
        /// Records appended in this life.
        pub records: u64,
        /// Bytes appended in this life.
        pub bytes: u64,
        /// Bytes of the log between those: left so that no synced block is written again, and marks.
        pub padding_bytes: u64,
        /// Batches written in this life.
        pub batches: u64,
        /// Old segments let go of in this life.
        pub retired: u64,
        /// Syncs done in this life.
        pub syncs: u64,
        /// Bytes written and not known to be on the disk.
        pub unsynced_bytes: u64,
        /// When it is synced, as the scenario spells it: the policy whose promise holds for all
        /// that was acknowledged.
        pub fsync: String,
        /// The index.
        pub index: IndexTotals,
        /// Why the next segment can't be made, if it can't.
        pub trouble: Option<String>,
        /// Why the index can't follow the log, if it can't; the log goes on.
        pub index_trouble: Option<String>,
        /// Requests wait until the next segment can be made.
        pub is_blocked: bool,
    }
}

wire_struct! {
    /// Where records are found by key: the latest in memory, all in LMDB.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub struct IndexTotals {
        /// Keys in memory.
        pub keys: u64,
        /// Memory that they take.
        pub bytes: u64,
        /// Rows in LMDB.
        pub rows: u64,
        /// How large LMDB's file is.
        pub file_bytes: u64,
        /// Bytes of log that LMDB does not know yet.
        pub behind_bytes: u64,
        /// Checkpoints made in this life of the issuer.
        pub checkpoints: u64,
    }
}

wire_enum! {
    /// Which tickets a latency is of.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub enum LatencyScope {
        /// All measured ones that ended before this life of the issuer: its first word.
        Restored = 0,
        /// Measured ones that ended since the word before.
        Measured = 1,
        /// Others that ended since the word before: those of the warm-up.
        Outside = 2,
    }
}

wire_struct! {
    /// The latencies of some of one service's tickets.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct ServiceLatencies<'a> {
        /// Which service.
        pub service: ServiceId,
        /// Which of its tickets.
        pub scope: LatencyScope,
        /// From arrival to the first start.
        pub wait: HistogramBytes<'a>,
        /// From the last start to the end.
        pub service_time: HistogramBytes<'a>,
        /// From arrival to the end.
        pub sojourn: HistogramBytes<'a>,
        /// Service time beyond the demanded time.
        pub overhead: HistogramBytes<'a>,
    }
}

wire_struct! {
    /// A scenario that differs in keys which a running process can take.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct ScenarioChange {
        /// The effective scenario as INI text.
        pub scenario: String,
    }
}

messages! {
    /// The director's words to the issuer.
    pub enum DirectorToIssuer {
        /// Open the log and take requests.
        1 => Configure(IssuerConfig),
        /// The run's times changed.
        2 => Timeline(Timeline),
        /// Take no more requests, finish the log and end.
        3 => Stop(Signal),
        /// Sync and keep the log as this says from now on.
        4 => Scenario(ScenarioChange),
        /// Hold tickets back, or hand them out late.
        5 => Curb(Curbs),
    }
}

messages! {
    /// The issuer's words to the director.
    pub enum IssuerToDirector<'a> {
        /// Requests are taken.
        16 => Ready(IssuerReady),
        /// The log is still being read.
        17 => Recovering(Recovering),
        /// What was counted.
        18 => Totals(IssuerTotals),
        /// What was timed.
        19 => Latencies(ServiceLatencies<'a>),
    }
}

// --- director and worker --------------------------------------------------------------------

wire_struct! {
    /// All that a worker needs to know.
    #[derive(Clone, Debug, PartialEq)]
    pub struct WorkerConfig {
        /// The effective scenario as INI text.
        pub scenario: String,
        /// Where the issuer listens.
        pub socket: String,
        /// What to show there.
        pub secret: Secret,
        /// Tickets served at once.
        pub seats: u32,
        /// Where scratch files may be made.
        pub scratch_dir: String,
    }
}

wire_struct! {
    /// What a worker has counted in this life.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub struct WorkerTotals {
        /// Tickets served.
        pub served: u64,
        /// Seats that hold a ticket now.
        pub busy: u32,
    }
}

messages! {
    /// The director's words to a worker.
    pub enum DirectorToWorker {
        /// Join the issuer and serve.
        1 => Configure(WorkerConfig),
        /// Take no more tickets, finish those held and end.
        2 => Drain(Signal),
        /// End now.
        3 => Stop(Signal),
    }
}

messages! {
    /// A worker's words to the director.
    pub enum WorkerToDirector {
        /// The issuer has the worker's seats.
        16 => Ready(Signal),
        /// What was counted.
        17 => Totals(WorkerTotals),
    }
}

impl<'a> Wire<'a> for Interval {
    fn put(&self, out: &mut Vec<u8>) {
        self.mean_ns.put(out);
        self.half_width_ns.put(out);
        self.lag_1.put(out);
        self.batch_values.put(out);
    }

    fn take(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        Ok(Self {
            mean_ns: Wire::take(reader)?,
            half_width_ns: Wire::take(reader)?,
            lag_1: Wire::take(reader)?,
            batch_values: Wire::take(reader)?,
        })
    }
}

/// The bytes of the pauses are bounded by the frame that they travel in.
impl<'a> Wire<'a> for Timeline {
    fn put(&self, out: &mut Vec<u8>) {
        self.opened_at.put(out);
        self.warmup.put(out);
        self.arrivals.put(out);
        self.pauses.put(out);
    }

    fn take(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        Ok(Self {
            opened_at: Wire::take(reader)?,
            warmup: Wire::take(reader)?,
            arrivals: Wire::take(reader)?,
            pauses: Wire::take(reader)?,
        })
    }
}
