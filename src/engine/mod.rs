//! The engine of the post office: everything but the director and the dashboard.
//!
//! Users ask for tickets, the issuer numbers and queues them, workers serve them, and a log keeps
//! what was promised. Each of these is a process; what it decides is a pure core that is given
//! its input and the present time, and what it does to the world is an edge.
//!
//! In reading order: the words ([`ids`]), the bounds ([`limits`]) and time ([`clock`],
//! [`timeline`]); what a run is ([`config`]) and where its randomness comes from ([`rng`],
//! [`population`]); how processes talk ([`net`]); tickets ([`scheduler`]) and the log of them
//! ([`storage`]); measuring ([`perf`]); the machine ([`sysinfo`]); keeping processes alive
//! ([`supervisor`]); and the processes themselves ([`roles`]). [`mod@bench`] stands beside them: what
//! the log is measured with.

pub mod bench;
pub mod clock;
pub mod config;
pub mod ids;
pub mod limits;
pub mod lock;
pub mod net;
pub mod nice;
pub mod perf;
pub mod population;
pub mod rng;
pub mod roles;
pub mod scheduler;
#[cfg(test)]
mod sim;
pub mod storage;
pub mod supervisor;
pub mod sysinfo;
pub mod tempo;
pub mod timeline;
