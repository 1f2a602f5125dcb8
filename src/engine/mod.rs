//! The engine of the post office: everything but the director and the dashboard.

pub mod clock;
pub mod config;
pub mod ids;
pub mod limits;
pub mod lock;
pub mod net;
pub mod perf;
pub mod population;
pub mod rng;
pub mod roles;
pub mod scheduler;
pub mod storage;
pub mod supervisor;
pub mod timeline;
