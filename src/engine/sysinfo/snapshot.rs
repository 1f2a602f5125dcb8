//! The machine at one instant, as plain data. `None` is "can't be read here", never zero.

use std::path::PathBuf;
use std::time::Duration;

/// All that is known of the machine, for one data directory.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SysInfo {
    /// Names and ages.
    pub host: Host,
    /// The processors.
    pub cpu: Cpu,
    /// RAM and swap.
    pub memory: Memory,
    /// Pages larger than the usual ones.
    pub huge_pages: HugePages,
    /// What this process may have, and its children unless they raise it.
    pub limits: Limits,
    /// What the control groups above this process allow.
    pub cgroup: Cgroup,
    /// Where the data goes.
    pub data: DataPlace,
    /// What the disk under it says of itself; `None` if there is none to be seen.
    pub disk: Option<Disk>,
    /// Parameters of the network.
    pub network: Network,
    /// Bounds of the whole kernel.
    pub kernel: Kernel,
}

/// A bound that may not be there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit<T = u64> {
    /// There is no bound.
    Unlimited,
    /// No more than this.
    Of(T),
}

impl<T: PartialOrd + Copy> Limit<T> {
    /// Returns the bound if there is one.
    pub fn bound(self) -> Option<T> {
        match self {
            Self::Unlimited => None,
            Self::Of(bound) => Some(bound),
        }
    }

    /// Returns whether this is less than what is needed.
    pub fn is_below(self, need: T) -> bool {
        self.bound().is_some_and(|bound| bound < need)
    }
}

/// Names and ages.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Host {
    /// Its name in the network.
    pub name: Option<String>,
    /// The distribution.
    pub os: Option<String>,
    /// The kernel's release.
    pub kernel: Option<String>,
    /// Such as `x86_64`.
    pub architecture: Option<String>,
    /// Whether the least significant byte comes first.
    pub is_little_endian: bool,
    /// Maker and product, from the firmware.
    pub machine: Option<String>,
    /// Whose guest this is; `present` if it does not say.
    pub hypervisor: Option<String>,
    /// The kind of container that this runs in.
    pub container: Option<String>,
    /// Since the boot.
    pub uptime: Option<Duration>,
    /// Runnable and blocked tasks, averaged over 1, 5 and 15 minutes.
    pub load: Option<[f64; 3]>,
}

/// The processors.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Cpu {
    /// Who made them.
    pub vendor: Option<String>,
    /// What they are called.
    pub model: Option<String>,
    /// Packages.
    pub sockets: Option<u64>,
    /// Cores of all sockets.
    pub cores: Option<u64>,
    /// Logical CPUs that are online.
    pub logical: Option<u64>,
    /// Logical CPUs on which this process may run.
    pub usable: Option<u64>,
    /// How fast they are.
    pub frequency: Frequency,
    /// By level, data before instructions.
    pub caches: Vec<Cache>,
    /// What they did between two looks; [`look`](super::look) leaves it out.
    pub usage: Option<CpuUse>,
}

/// How fast processors are.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Frequency {
    /// At present, averaged over the CPUs that are online.
    pub current_hz: Option<u64>,
    /// The most that they can.
    pub max_hz: Option<u64>,
    /// Who sets it, such as `intel_pstate`.
    pub driver: Option<String>,
    /// By what rule.
    pub governor: Option<String>,
}

/// All caches of one level and kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cache {
    /// From 1.
    pub level: u8,
    /// What is in them.
    pub kind: CacheKind,
    /// How many there are.
    pub instances: u64,
    /// All of them together.
    pub total_bytes: u64,
    /// One of them, if all are alike.
    pub instance_bytes: Option<u64>,
    /// What is moved at once.
    pub line_bytes: Option<u64>,
}

/// What is in a cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum CacheKind {
    /// Data alone.
    Data,
    /// Instructions alone.
    Instruction,
    /// Both.
    Unified,
}

/// What all CPUs together have done since the boot, in ticks of the kernel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CpuTimes {
    /// At work.
    pub busy: u64,
    /// With nothing to do.
    pub idle: u64,
    /// With nothing to do but a disk's answer to wait for.
    pub io_wait: u64,
    /// Taken away by the hypervisor for other guests.
    pub steal: u64,
}

impl CpuTimes {
    /// Returns what the CPUs did since an earlier look; `None` if no tick has passed.
    pub fn since(self, earlier: Self) -> Option<CpuUse> {
        // The kernel lets some of these shrink by a tick now and then.
        let grown = |now: u64, then: u64| now.saturating_sub(then);
        let busy = grown(self.busy, earlier.busy);
        let idle = grown(self.idle, earlier.idle);
        let io_wait = grown(self.io_wait, earlier.io_wait);
        let steal = grown(self.steal, earlier.steal);
        let all = busy + idle + io_wait + steal;
        #[expect(clippy::cast_precision_loss, reason = "a ratio for people")]
        let share = |ticks: u64| ticks as f64 / all as f64;
        (all > 0).then(|| CpuUse {
            busy: share(busy),
            io_wait: share(io_wait),
            steal: share(steal),
        })
    }
}

/// Shares of the time of all CPUs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CpuUse {
    /// At work.
    pub busy: f64,
    /// Waiting for a disk with nothing else to do.
    pub io_wait: f64,
    /// Taken away by the hypervisor.
    pub steal: f64,
}

/// RAM and swap.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Memory {
    /// What the kernel has to give.
    pub total_bytes: Option<u64>,
    /// Used for nothing.
    pub free_bytes: Option<u64>,
    /// What programs may have before anything must be swapped.
    pub available_bytes: Option<u64>,
    /// Buffers of block devices.
    pub buffers_bytes: Option<u64>,
    /// Pages of files.
    pub cached_bytes: Option<u64>,
    /// Swap.
    pub swap_total_bytes: Option<u64>,
    /// Swap that is not used.
    pub swap_free_bytes: Option<u64>,
    /// A page.
    pub page_bytes: Option<u64>,
    /// `vm.overcommit_memory`: 0 guesses, 1 always says yes, 2 counts.
    pub overcommit_memory: Option<u64>,
}

/// Pages larger than the usual ones.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct HugePages {
    /// The default size.
    pub page_bytes: Option<u64>,
    /// Pages set aside.
    pub total: Option<u64>,
    /// Of those, not yet given away.
    pub free: Option<u64>,
    /// Of the free ones, promised.
    pub reserved: Option<u64>,
    /// Beyond what was set aside.
    pub surplus: Option<u64>,
    /// How many may be surplus.
    pub overcommit: Option<u64>,
    /// Transparent huge pages: `always`, `madvise` or `never`.
    pub transparent: Option<String>,
}

/// A limit of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RLimit {
    /// What applies.
    pub soft: Limit,
    /// Up to where the process may raise that itself.
    pub hard: Limit,
}

/// What one process may have.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Limits {
    /// File descriptors.
    pub open_files: Option<RLimit>,
    /// Processes and threads of the user.
    pub processes: Option<RLimit>,
    /// Bytes of the main thread's stack.
    pub stack_bytes: Option<RLimit>,
    /// Bytes that may be locked in memory.
    pub locked_bytes: Option<RLimit>,
    /// Bytes of a core file.
    pub core_bytes: Option<RLimit>,
    /// Bytes of any file that it writes.
    pub file_bytes: Option<RLimit>,
    /// Bytes of address space.
    pub address_bytes: Option<RLimit>,
    /// Whether the number of processes is not limited after all, as for root.
    pub is_privileged: bool,
}

/// What the control groups above this process allow: of its own and all above it the tightest.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Cgroup {
    /// 1 or 2.
    pub version: Option<u8>,
    /// The process's own group.
    pub path: Option<String>,
    /// How many CPUs' worth of time.
    pub cpus_max: Option<Limit<f64>>,
    /// Beyond this, processes are killed.
    pub memory_max_bytes: Option<Limit>,
    /// Beyond this, processes are slowed down.
    pub memory_high_bytes: Option<Limit>,
    /// What the own group uses, pages of files included.
    pub memory_current_bytes: Option<u64>,
    /// What may still be used before the tightest limit, if pages of files are given back; `None`
    /// without a limit.
    pub memory_available_bytes: Option<u64>,
    /// How many processes and threads.
    pub tasks_max: Option<Limit>,
    /// How many the own group has.
    pub tasks_current: Option<u64>,
    /// How many more there may be before the tightest limit; `None` without a limit.
    pub tasks_available: Option<u64>,
}

/// Where the data goes.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DataPlace {
    /// The directory that was asked for.
    pub path: PathBuf,
    /// The nearest one that exists: itself or what it would be made in.
    pub found: Option<PathBuf>,
    /// Whether this process may write there.
    pub is_writable: Option<bool>,
    /// The kind of file system, as `mount` calls it.
    pub filesystem: Option<String>,
    /// Its magic number, in hexadecimal digits.
    pub filesystem_magic: Option<String>,
    /// Where it is mounted.
    pub mount_point: Option<PathBuf>,
    /// Whether it is mounted read-only.
    pub is_read_only: Option<bool>,
    /// The mount option that makes syncs promise less, such as `nobarrier`.
    pub weakens_syncs: Option<String>,
    /// What space is given out in.
    pub block_bytes: Option<u64>,
    /// The whole file system.
    pub total_bytes: Option<u64>,
    /// Not used.
    pub free_bytes: Option<u64>,
    /// Not used and not kept for root.
    pub available_bytes: Option<u64>,
    /// How many files it can have; `None` where they are not counted.
    pub inodes_total: Option<u64>,
    /// How many more.
    pub inodes_free: Option<u64>,
    /// What is mounted.
    pub device: Option<String>,
}

/// A disk, as the kernel knows it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Disk {
    /// Its name in `/sys/block`.
    pub name: String,
    /// What it is, as far as the name tells: `NVMe`, `virtio`...
    pub kind: Option<&'static str>,
    /// What its maker calls it.
    pub model: Option<String>,
    /// Whether it says that it turns; virtual disks often say so without.
    pub is_rotational: Option<bool>,
    /// Who orders its requests.
    pub scheduler: Option<String>,
    /// `write back` if it must be told to keep what it acknowledged, or `write through`.
    pub write_cache: Option<String>,
}

/// Parameters of the network.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Network {
    /// By name.
    pub interfaces: Vec<Interface>,
    /// Connections that may wait to be accepted.
    pub somaxconn: Option<u64>,
    /// Datagrams that may wait in a Unix socket.
    pub unix_dgrams_max: Option<u64>,
    /// A socket's receive buffer unless it asks...
    pub rmem_default_bytes: Option<u64>,
    /// ...and at most.
    pub rmem_max_bytes: Option<u64>,
    /// A socket's send buffer unless it asks...
    pub wmem_default_bytes: Option<u64>,
    /// ...and at most.
    pub wmem_max_bytes: Option<u64>,
    /// The ports that outgoing connections get: first and last.
    pub local_ports: Option<(u64, u64)>,
}

/// A network interface.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Interface {
    /// Its name.
    pub name: String,
    /// The longest packet.
    pub mtu_bytes: u64,
}

/// Bounds of the whole kernel, and how many there are.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Kernel {
    /// Open files of all processes.
    pub files_max: Option<u64>,
    /// Process ids.
    pub pids_max: Option<u64>,
    /// Threads.
    pub threads_max: Option<u64>,
    /// Processes and threads that there are.
    pub tasks: Option<u64>,
    /// Of those, this user's.
    pub tasks_of_user: Option<u64>,
}

impl SysInfo {
    /// Returns how many CPUs' worth of time this process and its children can have: where they
    /// may run, within what the control group allows.
    pub fn cpus_effective(&self) -> Option<f64> {
        let usable = self.cpu.usable.or(self.cpu.logical);
        #[expect(clippy::cast_precision_loss, reason = "machines have fewer CPUs")]
        let usable = usable.map(|cpus| cpus as f64);
        match (usable, self.cgroup.cpus_max.and_then(Limit::bound)) {
            (Some(usable), Some(quota)) => Some(usable.min(quota)),
            (usable, quota) => usable.or(quota),
        }
    }

    /// Returns how much memory a run can have: what the machine and the control group leave.
    pub fn memory_available_bytes(&self) -> Option<u64> {
        match (self.memory.available_bytes, self.cgroup.memory_available_bytes) {
            (Some(machine), Some(group)) => Some(machine.min(group)),
            (machine, group) => machine.or(group),
        }
    }
}

impl DataPlace {
    /// Returns whether the directory itself is there.
    pub fn exists(&self) -> bool {
        self.found.as_deref() == Some(&self.path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpu_use_is_a_share_of_all_time_that_passed() {
        let earlier = CpuTimes { busy: 100, idle: 1000, io_wait: 10, steal: 0 };
        let later = CpuTimes { busy: 130, idle: 1060, io_wait: 18, steal: 2 };
        let usage = later.since(earlier).unwrap();
        assert_eq!(usage, CpuUse { busy: 0.3, io_wait: 0.08, steal: 0.02 });
        assert_eq!(later.since(later), None, "nothing can be said of no time");
        let shrunk = CpuTimes { io_wait: 9, idle: 1010, ..earlier };
        assert_eq!(shrunk.since(earlier).unwrap().io_wait, 0.0);
    }

    #[test]
    fn cpus_are_those_of_the_mask_within_the_quota() {
        let check = |usable, quota, expected| {
            let mut info = SysInfo::default();
            info.cpu.usable = usable;
            info.cgroup.cpus_max = quota;
            assert_eq!(info.cpus_effective(), expected);
        };
        check(None, None, None);
        check(Some(8), None, Some(8.0));
        check(Some(8), Some(Limit::Unlimited), Some(8.0));
        check(Some(8), Some(Limit::Of(1.5)), Some(1.5));
        check(Some(2), Some(Limit::Of(4.0)), Some(2.0));
        check(None, Some(Limit::Of(4.0)), Some(4.0));
    }

    #[test]
    fn no_bound_is_never_below_a_need() {
        assert!(!Limit::Unlimited.is_below(u64::MAX));
        assert!(Limit::Of(63).is_below(64) && !Limit::Of(64).is_below(64));
    }
}
