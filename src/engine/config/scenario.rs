//! A scenario as the rest of the engine sees it: plain, typed, already validated.
//!
//! Text becomes a [`Scenario`] in `parse.rs` by way of `schema.rs`; nothing else builds one.

use std::net::SocketAddr;
use std::time::Duration;

pub use super::goal::{Figure, Goal, Latency, Metric, Relation, Slo, Unit};

/// The office, the load and the limits of one run.
#[derive(Clone, Debug, PartialEq)]
pub struct Scenario {
    /// `[run]`
    pub run: Run,
    /// `[slo]` by name.
    pub slos: Vec<Slo>,
    /// `[office]`
    pub office: Office,
    /// `[service.*]` in file order; never empty.
    pub services: Vec<Service>,
    /// `[load.*]` in file order; never empty.
    pub loads: Vec<Load>,
    /// `[users]`
    pub users: Users,
    /// `[storage]`
    pub storage: Storage,
    /// `[net]`
    pub net: Net,
    /// `[metrics]`
    pub metrics: Metrics,
}

/// How long, from which seed, and when to give up.
#[derive(Clone, Debug, PartialEq)]
pub struct Run {
    /// The master seed; `None` lets the director choose and print one.
    pub seed: Option<u64>,
    /// How long arrivals go on; `None` is unlimited.
    pub duration: Option<Duration>,
    /// What is left out of the statistics at the start.
    pub warmup: Duration,
    /// How long open tickets may finish after the end of arrivals.
    pub drain: Duration,
    /// More tickets waiting than this end the run as overloaded.
    pub explode_waiting: Option<u32>,
}

/// The workers and the queue before them.
#[derive(Clone, Debug, PartialEq)]
pub struct Office {
    /// Worker processes.
    pub workers: u16,
    /// Tickets served at once over all workers; at least one a worker.
    pub seats: u32,
    /// How tickets find a seat.
    pub scheduler: Scheduler,
    /// The order within a queue.
    pub discipline: Discipline,
    /// Tickets waiting and in service; beyond it requests are rejected.
    pub room: u32,
    /// What happens to a ticket whose worker died.
    pub retry: Retry,
}

/// How tickets find a seat.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheduler {
    /// One queue, any free seat.
    Central,
}

/// The order within a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Discipline {
    /// First come, first served.
    Fifo,
}

/// What happens to a ticket whose worker died.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retry {
    /// How many workers may die holding a ticket before it counts as failed.
    pub attempts: u8,
    /// Where it enters the queue again.
    pub position: RetryPosition,
}

/// Where a ticket enters the queue again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RetryPosition {
    /// Before all that wait.
    Head,
    /// Behind all that wait.
    Tail,
}

/// A kind of work.
#[derive(Clone, Debug, PartialEq)]
pub struct Service {
    /// The part of the section's name behind the dot.
    pub name: String,
    /// The service's part of the demand; the shares of all services sum to 1.
    pub share: f64,
    /// How much work a ticket brings.
    pub time: Distribution,
    /// What the work consists of.
    pub work: Work,
}

/// What a worker does with a ticket's demand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Work {
    /// Waits for the demanded time, using no CPU.
    Sleep,
    /// Burns the demanded CPU time in registers.
    Spin,
    /// Burns the demanded CPU time hashing memory that does not fit the caches.
    Hash,
    /// Writes this many bytes to a scratch file and syncs it, then waits for what is left of the
    /// demanded time.
    Io {
        /// Bytes written by each ticket.
        bytes: u32,
    },
}

/// A source of tickets.
#[derive(Clone, Debug, PartialEq)]
pub struct Load {
    /// The part of the section's name behind the dot.
    pub name: String,
    /// How many users the load has at the start.
    pub users: u32,
    /// When its users ask.
    pub model: LoadModel,
    /// Bytes that each ticket carries.
    pub payload_bytes: u32,
}

/// When users ask for tickets.
#[derive(Clone, Debug, PartialEq)]
pub enum LoadModel {
    /// Arrivals follow a schedule, whatever happens to earlier tickets.
    Open {
        /// The schedule of the whole load; arrival k belongs to user k modulo users.
        rate: Arrival,
        /// What happens to an arrival that cannot be sent in time.
        on_overrun: OnOverrun,
    },
    /// Each user asks, waits for its ticket to be served, thinks, and asks again.
    Closed {
        /// The time between the end of one ticket and the request for the next.
        think: Distribution,
    },
}

/// When the tickets of an open load are due.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Arrival {
    /// Exponential interarrival times.
    Poisson {
        /// Mean rate.
        per_second: f64,
    },
    /// Equal interarrival times.
    Det {
        /// Rate.
        per_second: f64,
    },
}

/// What happens to an arrival that cannot be sent in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnOverrun {
    /// It is sent as soon as possible; its latency counts from the schedule.
    Late,
    /// It is not sent, and counted.
    Drop,
}

/// A distribution of time spans, in seconds.
#[derive(Clone, Debug, PartialEq)]
pub enum Distribution {
    /// Always the same.
    Det(f64),
    /// Exponential with this mean.
    Exp(f64),
    /// Uniform between the two.
    Uniform(f64, f64),
    /// Lognormal with this mean and coefficient of variation.
    Lognormal {
        /// Mean.
        mean: f64,
        /// Standard deviation divided by the mean.
        cv: f64,
    },
    /// One of several exponentials: (probability, mean); the probabilities sum to 1.
    Hyperexp(Vec<(f64, f64)>),
}

/// How users are packed into processes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Users {
    /// Above this many users they share processes.
    pub max_processes: u16,
}

/// The logstore.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Storage {
    /// When the log is synced.
    pub fsync: FsyncPolicy,
    /// The size at which a segment is sealed.
    pub segment_bytes: u64,
    /// Old segments are let go of above this many bytes; `None` keeps all.
    pub retain_bytes: Option<u64>,
    /// Memory of the index of the latest records.
    pub index_bytes: u64,
    /// How sealed segments are packed.
    pub compression: Compression,
}

/// When the log is synced, and so what a power loss can take. A killed process loses nothing
/// under any policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FsyncPolicy {
    /// Never while running: a power loss takes what the kernel had not written, up to about 35 s.
    None,
    /// Before any ticket of a batch is acknowledged: a power loss takes nothing acknowledged.
    EachBatch,
    /// Whenever this many records wait for it: a power loss takes about that many.
    Every(u32),
    /// This long after the first unsynced record: a power loss takes what came in that time.
    Interval(Duration),
}

impl FsyncPolicy {
    /// Reads a policy as a scenario spells it; `None` if it is none.
    pub fn read(text: &str) -> Option<Self> {
        super::value::fsync(text).ok()
    }

    /// Returns what a power loss takes, to stand behind these words. A killed process takes
    /// nothing under any policy.
    pub fn power_loss_takes(self) -> &'static str {
        match self {
            Self::None => "what the kernel had not written, up to about 35 s",
            Self::EachBatch => "nothing that was acknowledged",
            Self::Every(_) => "about that many records, and what came during a sync",
            Self::Interval(_) => "what came in that time and during a sync",
        }
    }
}

impl std::fmt::Display for FsyncPolicy {
    /// Writes it as a scenario spells it.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::None => f.write_str("none"),
            Self::EachBatch => f.write_str("each_batch"),
            Self::Every(records) => write!(f, "every {records}"),
            Self::Interval(span) => write!(f, "interval {span:?}"),
        }
    }
}

/// How sealed segments of the log are packed, off the append path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    /// Not at all.
    None,
    /// With LZ4: about half the bytes, the cheapest to read.
    Lz4,
    /// With Zstandard at level 1: fewer bytes than LZ4, slower to read.
    Zstd,
}

/// Bounds of the data plane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Net {
    /// The largest payload of a frame.
    pub frame_max_bytes: u32,
    /// Queued bytes above which a peer is no longer read.
    pub outbox_high_bytes: u32,
}

/// How figures leave the program while it runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Metrics {
    /// Where they are served as Prometheus text; `None` is nowhere.
    pub listen: Option<SocketAddr>,
    /// Whether the product records its own work.
    pub recording: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_policy_is_written_as_it_is_read() {
        for text in ["none", "each_batch", "every 8", "interval 50ms", "interval 1.5s"] {
            assert_eq!(FsyncPolicy::read(text).unwrap().to_string(), text);
        }
        assert_eq!(FsyncPolicy::read("often"), None);
    }

    #[test]
    fn the_readme_promises_the_same_of_each_policy() {
        let readme = include_str!("../../../README.md");
        let second = Duration::from_secs(1);
        for (name, policy) in [
            ("none", FsyncPolicy::None),
            ("interval", FsyncPolicy::Interval(second)),
            ("every", FsyncPolicy::Every(8)),
            ("each_batch", FsyncPolicy::EachBatch),
        ] {
            let is_row = |line: &&str| line.starts_with(&format!("| `{name}"));
            let row = readme.lines().find(is_row).unwrap_or_default();
            let promise = format!("| {} |", policy.power_loss_takes());
            assert!(row.contains(&promise), "{name}: {row} does not say {promise}");
        }
    }
}
