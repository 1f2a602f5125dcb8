//! What the machine is, and where it limits a run.
//!
//! [`look`] reads everything once into a [`SysInfo`], plain data in which whatever can't be read
//! is absent, never zero: no probe can fail another one, so the same code runs in a container, on
//! another architecture and where `/sys` is hidden. [`hints`] compares a snapshot with what a
//! scenario [`Needs`] and says what to do where the machine has less.
//!
//! The crates do what they do well: `sysinfo` names the system and the processor, `nix` makes the
//! system calls, `procfs` reads files of which a part is of no use. What remains is text of one
//! number or one list to a file (`parse`); and `/proc/meminfo`, which `procfs` refuses as a whole
//! when a container's kernel leaves out one line of it.
//!
//! `cgroup` knows where the limits of control groups stand, of version 2 and of version 1.

mod cgroup;
mod hints;
mod parse;
mod probe;
mod snapshot;

pub use hints::{Amount, Hint, Needs, Severity, hints};
pub use probe::{cpu_times, look, look_again};
pub use snapshot::{
    Cache, CacheKind, Cgroup, Cpu, CpuTimes, CpuUse, DataPlace, Disk, Frequency, Host, HugePages,
    Interface, Kernel, Limit, Limits, Memory, Network, RLimit, SysInfo,
};
