//! Every key of a scenario file, once: the table feeds parsing, messages, `scenario explain` and
//! `scenario show`.

use std::net::SocketAddr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::goal::{self, Slo};
use super::scenario::{
    Arrival, Compression, Discipline, Distribution, FsyncPolicy, OnOverrun, Retry, RetryPosition,
    Scheduler, Work,
};
use super::value::{self, Read};
use crate::limits;

/// One key.
pub struct Key {
    /// The section; `service.*` and `load.*` stand for named ones.
    pub section: &'static str,
    /// The name in the section; `*` where people name it.
    pub name: &'static str,
    /// What a change does to a running office.
    pub change: Change,
    /// The value where the file says nothing.
    pub default: &'static str,
    /// The values that are allowed.
    pub range: &'static str,
    /// What it means.
    pub meaning: &'static str,
    /// Reads a value into the draft; the number is the section's among its kind.
    pub(super) read: fn(&mut Draft, usize, &str) -> Read<()>,
}

/// The name of a key whose names are free.
pub(super) const ANY: &str = "*";

impl Key {
    /// Returns the name that explanations show.
    pub fn shown_name(&self) -> &'static str {
        if self.name == ANY { "NAME" } else { self.name }
    }
}

/// What a change of a key does to a running office.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Change {
    /// It may change while the office runs.
    Live,
    /// It restarts this role.
    Role(Role),
    /// It needs a new run.
    Restart,
}

/// A role that is restarted for a change which its running processes can't take.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Role {
    /// The ticket issuer.
    Issuer,
    /// The workers, one after another.
    Workers,
}

impl Role {
    /// Returns who is restarted.
    pub fn name(self) -> &'static str {
        match self {
            Self::Issuer => "issuer",
            Self::Workers => "workers",
        }
    }
}

impl Change {
    /// Returns the words that `scenario explain` prints.
    pub fn name(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::Role(Role::Issuer) => "role (issuer)",
            Self::Role(Role::Workers) => "role (workers)",
            Self::Restart => "restart",
        }
    }
}

/// A scenario in the making: what the keys said, before they are looked at together.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Draft {
    pub(super) seed: Option<u64>,
    pub(super) duration: Option<Duration>,
    pub(super) warmup: Option<Duration>,
    pub(super) drain: Duration,
    pub(super) explode: Option<u32>,
    pub(super) slos: Vec<Slo>,
    pub(super) workers: u16,
    pub(super) seats: Option<u32>,
    pub(super) scheduler: Scheduler,
    pub(super) discipline: Discipline,
    pub(super) room: u32,
    pub(super) retry: Retry,
    pub(super) services: Vec<DraftService>,
    pub(super) loads: Vec<DraftLoad>,
    pub(super) max_processes: u16,
    pub(super) fsync: FsyncPolicy,
    pub(super) segment_bytes: u64,
    pub(super) retain_bytes: Option<u64>,
    pub(super) index_bytes: u64,
    pub(super) compression: Compression,
    pub(super) frame_max_bytes: u32,
    pub(super) outbox_high_bytes: u32,
    pub(super) metrics_listen: Option<SocketAddr>,
    pub(super) metrics_recording: bool,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct DraftService {
    pub(super) name: String,
    pub(super) share: Option<f64>,
    pub(super) time: Distribution,
    pub(super) work: Work,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct DraftLoad {
    pub(super) name: String,
    pub(super) is_open: bool,
    pub(super) users: u32,
    pub(super) rate: Option<Arrival>,
    pub(super) on_overrun: Option<OnOverrun>,
    pub(super) think: Option<Distribution>,
    pub(super) payload_bytes: u32,
}

impl DraftService {
    pub(super) fn new(name: &str) -> Self {
        let time = Distribution::Exp(0.05);
        Self { name: name.to_owned(), share: None, time, work: Work::Sleep }
    }
}

impl DraftLoad {
    pub(super) fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            is_open: false,
            users: 1,
            rate: None,
            on_overrun: None,
            think: None,
            payload_bytes: 64,
        }
    }
}

impl Default for Draft {
    fn default() -> Self {
        Self {
            seed: None,
            duration: None,
            warmup: None,
            drain: Duration::from_secs(10),
            explode: None,
            slos: Vec::new(),
            workers: 4,
            seats: None,
            scheduler: Scheduler::Central,
            discipline: Discipline::Fifo,
            room: 10_000,
            retry: Retry { attempts: 3, position: RetryPosition::Head },
            services: Vec::new(),
            loads: Vec::new(),
            max_processes: 64,
            fsync: FsyncPolicy::Interval(Duration::from_millis(50)),
            segment_bytes: 64 << 20,
            retain_bytes: Some(1 << 30),
            index_bytes: 64 << 20,
            compression: Compression::None,
            frame_max_bytes: limits::FRAME_BYTES_MAX,
            outbox_high_bytes: limits::OUTBOX_BYTES_HIGH,
            metrics_listen: None,
            metrics_recording: true,
        }
    }
}

impl Draft {
    /// Makes ready for a goal and returns its number.
    pub(super) fn begin_goal(&mut self, name: &str) -> usize {
        self.slos.push(Slo { name: name.to_owned(), goals: Vec::new() });
        self.slos.len() - 1
    }
}

/// Reads a whole number whose bounds fit the type.
fn number<T: TryFrom<u64>>(text: &str, low: u64, high: u64) -> Read<T> {
    let number = value::count(text, low, high)?;
    T::try_from(number).map_err(|_| format!("a whole number from {low} to {high}"))
}

fn bytes32(text: &str, low: u64, high: u32) -> Read<u32> {
    let bytes = value::size(text, low, u64::from(high))?;
    u32::try_from(bytes).map_err(|_| "a smaller size".to_owned())
}

/// Stores a value that was read.
fn put<T>(place: &mut T, read: Read<T>) -> Read<()> {
    read.map(|value| *place = value)
}

/// All keys, in the order in which files and explanations show them.
pub const KEYS: &[Key] = &[
    Key {
        section: "run",
        name: "seed",
        change: Change::Restart,
        default: "chosen and printed",
        range: "0 to 2^64-1",
        meaning: "the master seed: the same seed gives the same tickets",
        read: |draft, _, text| put(&mut draft.seed, number(text, 0, u64::MAX).map(Some)),
    },
    Key {
        section: "run",
        name: "duration",
        change: Change::Live,
        default: "unlimited",
        range: "a span above 0s, or unlimited",
        meaning: "how long arrivals go on",
        read: |draft, _, text| {
            let duration = value::span_or_unlimited(text)?;
            if duration == Some(Duration::ZERO) {
                return Err("a span above 0s, or unlimited".to_owned());
            }
            draft.duration = duration;
            Ok(())
        },
    },
    Key {
        section: "run",
        name: "warmup",
        change: Change::Restart,
        default: "a tenth of the duration, 3s at most",
        range: "a span shorter than the duration",
        meaning: "what is left out of the statistics at the start",
        read: |draft, _, text| put(&mut draft.warmup, value::span(text).map(Some)),
    },
    Key {
        section: "run",
        name: "drain",
        change: Change::Live,
        default: "10s",
        range: "a span",
        meaning: "how long open tickets may finish after the end of arrivals; the rest is unfinished",
        read: |draft, _, text| put(&mut draft.drain, value::span(text)),
    },
    Key {
        section: "run",
        name: "explode",
        change: Change::Live,
        default: "never",
        range: "never, or waiting > N",
        meaning: "ends the run as overloaded when more tickets wait",
        read: |draft, _, text| put(&mut draft.explode, value::explode(text)),
    },
    Key {
        section: "slo",
        name: ANY,
        change: Change::Live,
        default: "none",
        range: "goals such as p99(wait) < 50ms, p95(sojourn, letters) < 80ms, reject = 0",
        meaning: "what the run must reach, under any name; a goal that is missed is exit code 4",
        read: |draft, at, text| put(&mut draft.slos[at].goals, goal::goals(text)),
    },
    Key {
        section: "office",
        name: "workers",
        change: Change::Live,
        default: "4",
        range: "1 to 1024",
        meaning: "worker processes",
        read: |draft, _, text| {
            put(&mut draft.workers, number(text, 1, u64::from(limits::WORKERS_MAX)))
        },
    },
    Key {
        section: "office",
        name: "seats",
        change: Change::Role(Role::Workers),
        default: "one for each worker",
        range: "the number of workers to 65536",
        meaning: "tickets served at once, over all workers; each keeps its seats when workers change",
        read: |draft, _, text| {
            put(&mut draft.seats, number(text, 1, u64::from(limits::SEATS_MAX)).map(Some))
        },
    },
    Key {
        section: "office",
        name: "scheduler",
        change: Change::Live,
        default: "central",
        range: "central",
        meaning: "how tickets find a seat: central is one line, any free seat",
        read: |draft, _, text| {
            let future = [
                "affinity",
                "rebalance",
                "random",
                "round_robin",
                "power_of",
                "jsq",
                "least_work",
                "steal",
            ];
            let built = [("central", Scheduler::Central)];
            put(&mut draft.scheduler, value::word(text, &built, &future))
        },
    },
    Key {
        section: "office",
        name: "discipline",
        change: Change::Live,
        default: "fifo",
        range: "fifo",
        meaning: "the order within a queue: fifo is first come, first served",
        read: |draft, _, text| {
            let future = ["priority", "sjf", "edf", "fair", "lifo", "random"];
            let built = [("fifo", Discipline::Fifo)];
            put(&mut draft.discipline, value::word(text, &built, &future))
        },
    },
    Key {
        section: "office",
        name: "room",
        change: Change::Role(Role::Issuer),
        default: "10000",
        range: "1 to 10000000",
        meaning: "tickets waiting and in service; beyond it requests are rejected",
        read: |draft, _, text| put(&mut draft.room, number(text, 1, u64::from(limits::ROOM_MAX))),
    },
    Key {
        section: "office",
        name: "retry",
        change: Change::Role(Role::Issuer),
        default: "3, head",
        range: "1 to 100, and head or tail",
        meaning: "a ticket whose worker died: attempts in all, and where it enters the queue again",
        read: |draft, _, text| put(&mut draft.retry, value::retry(text)),
    },
    Key {
        section: "service.*",
        name: "share",
        change: Change::Restart,
        default: "what the others leave, in equal parts",
        range: "0% to 100%; all shares sum to 100%",
        meaning: "the service's part of the demand",
        read: |draft, at, text| put(&mut draft.services[at].share, value::percent(text).map(Some)),
    },
    Key {
        section: "service.*",
        name: "time",
        change: Change::Restart,
        default: "exp 50ms",
        range: "a distribution of spans",
        meaning: "how much work a ticket brings",
        read: |draft, at, text| put(&mut draft.services[at].time, value::distribution(text)),
    },
    Key {
        section: "service.*",
        name: "work",
        change: Change::Role(Role::Workers),
        default: "sleep",
        range: "sleep, spin, hash, io, io 64KiB",
        meaning: "what the work is: waiting, CPU, CPU on memory, or bytes written and synced",
        read: |draft, at, text| put(&mut draft.services[at].work, value::work(text)),
    },
    Key {
        section: "load.*",
        name: "model",
        change: Change::Restart,
        default: "closed",
        range: "open or closed",
        meaning: "open: arrivals follow a schedule; closed: users ask, wait, think, ask again",
        read: |draft, at, text| {
            let built = [("open", true), ("closed", false)];
            put(&mut draft.loads[at].is_open, value::word(text, &built, &[]))
        },
    },
    Key {
        section: "load.*",
        name: "users",
        change: Change::Live,
        default: "1",
        range: "0 to 1000000 over all loads",
        meaning: "users of the load; in an open load they take turns",
        read: |draft, at, text| {
            put(&mut draft.loads[at].users, number(text, 0, u64::from(limits::USERS_MAX)))
        },
    },
    Key {
        section: "load.*",
        name: "rate",
        change: Change::Live,
        default: "required in an open load",
        range: "poisson 160/s or det 160/s",
        meaning: "the arrivals of an open load",
        read: |draft, at, text| put(&mut draft.loads[at].rate, value::arrival(text).map(Some)),
    },
    Key {
        section: "load.*",
        name: "on_overrun",
        change: Change::Restart,
        default: "late",
        range: "late or drop",
        meaning: "an arrival of an open load that can't be sent when due: sent late, or counted",
        read: |draft, at, text| {
            put(&mut draft.loads[at].on_overrun, value::on_overrun(text).map(Some))
        },
    },
    Key {
        section: "load.*",
        name: "think",
        change: Change::Restart,
        default: "exp 1s",
        range: "a distribution of spans",
        meaning: "the time between the end of a ticket and the next request, in a closed load",
        read: |draft, at, text| {
            put(&mut draft.loads[at].think, value::distribution(text).map(Some))
        },
    },
    Key {
        section: "load.*",
        name: "payload",
        change: Change::Restart,
        default: "64B",
        range: "0B to 4KiB",
        meaning: "bytes that each ticket carries",
        read: |draft, at, text| {
            let payload = bytes32(text, 0, limits::PAYLOAD_BYTES_MAX);
            put(&mut draft.loads[at].payload_bytes, payload)
        },
    },
    Key {
        section: "users",
        name: "max_processes",
        change: Change::Restart,
        default: "64",
        range: "1 to 10000",
        meaning: "above this many users they share processes",
        read: |draft, _, text| {
            let most = u64::from(limits::USER_PROCESSES_MAX);
            put(&mut draft.max_processes, number(text, 1, most))
        },
    },
    Key {
        section: "storage",
        name: "fsync",
        change: Change::Live,
        default: "interval 50ms",
        range: "none, each_batch, every 8 or interval 50ms",
        meaning: "when the log is synced, which is what a power loss can take",
        read: |draft, _, text| put(&mut draft.fsync, value::fsync(text)),
    },
    Key {
        section: "storage",
        name: "segment",
        change: Change::Restart,
        default: "64MiB",
        range: "1MiB to 1GiB",
        meaning: "the size at which a segment of the log is sealed",
        read: |draft, _, text| put(&mut draft.segment_bytes, value::size(text, 1 << 20, 1 << 30)),
    },
    Key {
        section: "storage",
        name: "retain",
        change: Change::Live,
        default: "1GiB",
        range: "1MiB to 16384GiB, or unlimited",
        meaning: "bytes of log that are kept; older segments go, but none with an open ticket",
        read: |draft, _, text| put(&mut draft.retain_bytes, value::retain(text)),
    },
    Key {
        section: "storage",
        name: "compression",
        change: Change::Role(Role::Issuer),
        default: "none",
        range: "none, lz4 or zstd",
        meaning: "how full segments are packed afterwards; those there are stay readable",
        read: |draft, _, text| put(&mut draft.compression, value::compression(text)),
    },
    Key {
        section: "storage",
        name: "index_memory",
        change: Change::Role(Role::Issuer),
        default: "64MiB",
        range: "1MiB to 64GiB",
        meaning: "memory of the index of the latest records, 16 bytes a ticket; LMDB has them all",
        read: |draft, _, text| put(&mut draft.index_bytes, value::size(text, 1 << 20, 64 << 30)),
    },
    Key {
        section: "net",
        name: "frame_max",
        change: Change::Restart,
        default: "64KiB",
        range: "16KiB to 16MiB",
        meaning: "the longest payload of a frame between users, workers and issuer",
        read: |draft, _, text| put(&mut draft.frame_max_bytes, bytes32(text, 16 << 10, 16 << 20)),
    },
    Key {
        section: "net",
        name: "outbox_high",
        change: Change::Restart,
        default: "256KiB",
        range: "16KiB to 16MiB",
        meaning: "queued bytes above which a peer is no longer read",
        read: |draft, _, text| put(&mut draft.outbox_high_bytes, bytes32(text, 16 << 10, 16 << 20)),
    },
    Key {
        section: "metrics",
        name: "listen",
        change: Change::Restart,
        default: "off",
        range: "off, or an address such as 127.0.0.1:9464",
        meaning: "where metrics are served as Prometheus text; a port alone means 127.0.0.1",
        read: |draft, _, text| put(&mut draft.metrics_listen, value::listen(text)),
    },
    Key {
        section: "metrics",
        name: "recording",
        change: Change::Restart,
        default: "on",
        range: "on or off",
        meaning: "whether the product records its own work; figures of tickets are always measured",
        read: |draft, _, text| put(&mut draft.metrics_recording, value::on_off(text)),
    },
];

/// Sections and keys of the dialect that this version does not have; an empty key is the whole
/// section.
pub(super) const FUTURE: &[(&str, &str)] = &[
    ("run", "clock"),
    ("run", "stop_when"),
    ("day", ""),
    ("office", "age"),
    ("office", "breaks"),
    ("service.*", "counters"),
    ("class.*", ""),
    ("load.*", "profile"),
    ("load.*", "window"),
    ("load.*", "ramp"),
    ("net", "tcp"),
    ("metrics", "window"),
    ("chaos", ""),
];

/// Returns the kind of a section: `service.parcels` is a `service.*`.
pub(super) fn kind_of(section: &str) -> String {
    match section.split_once('.') {
        Some((kind, _)) => format!("{kind}.*"),
        None => section.to_owned(),
    }
}
