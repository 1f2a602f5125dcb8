//! Reads the machine. Each probe stands alone: what one can't read is absent, and no other knows.

mod cpu;
mod place;

use std::path::{Path, PathBuf};

use nix::sys::resource::{RLIM_INFINITY, Resource, getrlimit};
use nix::unistd::{SysconfVar, Uid, sysconf};
use procfs::process::{MountInfo, Process};
use procfs::{Current, CurrentSI, KernelStats, LoadAverage, ProcessCGroup, Uptime};
use sysinfo::System;

use super::cgroup::{self, Level, Lineage};
use super::parse;
use super::snapshot::{
    Cgroup, CpuTimes, Host, HugePages, Interface, Kernel, Limit, Limits, Memory, Network, RLimit,
    SysInfo,
};

/// Looks at the whole machine, for a data directory that need not exist. Takes some milliseconds.
pub fn look(data_dir: &Path) -> SysInfo {
    let own = Process::myself().ok();
    let mounts = own.as_ref().and_then(|own| own.mountinfo().ok());
    let mounts = mounts.map_or_else(Vec::new, |mounts| mounts.0);
    let groups = own.as_ref().and_then(|own| own.cgroups().ok());
    let groups = groups.map_or_else(Vec::new, |groups| groups.0);
    let cpuinfo = text(Path::new("/proc/cpuinfo")).unwrap_or_default();
    let (data, disk) = place::look(data_dir, &mounts);
    SysInfo {
        host: host(&cpuinfo),
        cpu: cpu::look(Path::new("/sys/devices/system/cpu"), &cpuinfo),
        memory: memory(),
        huge_pages: huge_pages(),
        limits: limits(),
        cgroup: cgroup(&groups, &mounts),
        data,
        disk,
        network: network(),
        kernel: kernel(),
    }
}

/// Looks again at what changes while an office runs: load, memory, free space. Takes a fraction of
/// what [`look`] does.
pub fn look_again(info: &mut SysInfo) {
    info.host.load = load();
    info.host.uptime = uptime();
    info.memory = memory();
    if let Some(found) = info.data.found.clone() {
        place::look_at_filesystem(&found, &mut info.data);
    }
}

/// Returns what the CPUs have done since the boot.
pub fn cpu_times() -> Option<CpuTimes> {
    let total = KernelStats::current().ok()?.total;
    // Time spent for guests is in `user` and `nice` already.
    let interrupts = total.irq.unwrap_or(0) + total.softirq.unwrap_or(0);
    Some(CpuTimes {
        busy: total.user + total.nice + total.system + interrupts,
        idle: total.idle,
        io_wait: total.iowait.unwrap_or(0),
        steal: total.steal.unwrap_or(0),
    })
}

fn text(path: &Path) -> Option<String> {
    std::fs::read_to_string(path).ok()
}

fn number(path: impl AsRef<Path>) -> Option<u64> {
    parse::number(&text(path.as_ref())?)
}

fn phrase(path: impl AsRef<Path>) -> Option<String> {
    parse::phrase(&text(path.as_ref())?)
}

fn host(cpuinfo: &str) -> Host {
    let dmi = |name: &str| phrase(Path::new("/sys/class/dmi/id").join(name));
    let machine = match (dmi("sys_vendor"), dmi("product_name")) {
        (Some(vendor), Some(product)) => Some(format!("{vendor} {product}")),
        (vendor, product) => vendor.or(product),
    };
    let os = match (System::name().ok(), System::os_version().ok()) {
        (Some(name), Some(version)) => Some(format!("{name} {version}")),
        (name, _) => name,
    };
    Host {
        name: System::host_name().ok(),
        os,
        kernel: System::kernel_version().ok(),
        architecture: parse::phrase(&System::cpu_arch()),
        is_little_endian: cfg!(target_endian = "little"),
        // Boards without such firmware have a device tree.
        machine: machine.or_else(|| phrase("/proc/device-tree/model")),
        hypervisor: phrase("/sys/hypervisor/type")
            .or_else(|| parse::has_hypervisor_flag(cpuinfo).then(|| "present".to_owned())),
        container: container(),
        uptime: uptime(),
        load: load(),
    }
}

fn load() -> Option<[f64; 3]> {
    let load = LoadAverage::current().ok()?;
    Some([load.one, load.five, load.fifteen].map(f64::from))
}

fn uptime() -> Option<std::time::Duration> {
    Uptime::current().ok().map(|uptime| uptime.uptime_duration())
}

fn container() -> Option<String> {
    let marked = |path: &str, kind: &str| Path::new(path).exists().then(|| kind.to_owned());
    // What systemd or the container's own manager says comes first, then marks that they leave.
    phrase("/run/systemd/container")
        .or_else(|| marked("/run/.containerenv", "podman"))
        .or_else(|| marked("/.dockerenv", "docker"))
        .or_else(|| parse::container_of(&text(Path::new("/proc/1/cgroup"))?).map(str::to_owned))
}

fn memory() -> Memory {
    let text = text(Path::new("/proc/meminfo")).unwrap_or_default();
    let fields = parse::fields(&text);
    let field = |name| fields.get(name).copied();
    let page = sysconf(SysconfVar::PAGE_SIZE).ok().flatten();
    Memory {
        total_bytes: field("MemTotal"),
        free_bytes: field("MemFree"),
        available_bytes: field("MemAvailable"),
        buffers_bytes: field("Buffers"),
        cached_bytes: field("Cached"),
        swap_total_bytes: field("SwapTotal"),
        swap_free_bytes: field("SwapFree"),
        page_bytes: page.and_then(|bytes| u64::try_from(bytes).ok()),
        overcommit_memory: number("/proc/sys/vm/overcommit_memory"),
    }
}

fn huge_pages() -> HugePages {
    let meminfo = text(Path::new("/proc/meminfo")).unwrap_or_default();
    let fields = parse::fields(&meminfo);
    let field = |name| fields.get(name).copied();
    let transparent = text(Path::new("/sys/kernel/mm/transparent_hugepage/enabled"));
    HugePages {
        page_bytes: field("Hugepagesize"),
        total: field("HugePages_Total"),
        free: field("HugePages_Free"),
        reserved: field("HugePages_Rsvd"),
        surplus: field("HugePages_Surp"),
        overcommit: number("/proc/sys/vm/nr_overcommit_hugepages"),
        transparent: transparent.and_then(|text| parse::chosen(&text)),
    }
}

fn limits() -> Limits {
    let limit = |resource| {
        let (soft, hard) = getrlimit(resource).ok()?;
        let limit =
            |value| if value == RLIM_INFINITY { Limit::Unlimited } else { Limit::Of(value) };
        Some(RLimit { soft: limit(soft), hard: limit(hard) })
    };
    Limits {
        open_files: limit(Resource::RLIMIT_NOFILE),
        processes: limit(Resource::RLIMIT_NPROC),
        stack_bytes: limit(Resource::RLIMIT_STACK),
        locked_bytes: limit(Resource::RLIMIT_MEMLOCK),
        core_bytes: limit(Resource::RLIMIT_CORE),
        file_bytes: limit(Resource::RLIMIT_FSIZE),
        address_bytes: limit(Resource::RLIMIT_AS),
        is_privileged: is_privileged(),
    }
}

/// Returns whether the kernel exempts this process from RLIMIT_NPROC: not in a container that has
/// users of its own.
fn is_privileged() -> bool {
    const SYS_ADMIN: u64 = 1 << 21;
    const SYS_RESOURCE: u64 = 1 << 24;
    let users = text(Path::new("/proc/self/uid_map"));
    let capabilities = Process::myself().and_then(|own| own.status()).map(|own| own.capeff);
    let may = capabilities.is_ok_and(|may| may & (SYS_ADMIN | SYS_RESOURCE) != 0);
    users.is_some_and(|users| parse::maps_all_users(&users)) && (may || Uid::current().is_root())
}

fn cgroup(groups: &[ProcessCGroup], mounts: &[MountInfo]) -> Cgroup {
    let lineage = |controller| cgroup::lineage(groups, mounts, controller);
    let (cpu, memory, tasks) = (lineage("cpu"), lineage("memory"), lineage("pids"));
    let shown = memory.as_ref().or(cpu.as_ref()).or(tasks.as_ref());
    let mut found = Cgroup {
        version: shown.map(|lineage| lineage.version),
        path: shown.map(|lineage| lineage.path.clone()),
        ..Cgroup::default()
    };
    if let Some(Lineage { version, dirs, .. }) = &cpu {
        found.cpus_max = cgroup::tightest(dirs.iter().filter_map(|dir| cpus_max(*version, dir)));
    }
    if let Some(Lineage { version, dirs, .. }) = &memory {
        let levels: Vec<_> = dirs.iter().map(|dir| memory_level(*version, dir)).collect();
        found.set_memory(cgroup::bounds(&levels));
        let high = dirs.iter().filter_map(|dir| limit(dir.join("memory.high")));
        found.memory_high_bytes = cgroup::tightest(high);
    }
    if let Some(Lineage { dirs, .. }) = &tasks {
        let levels: Vec<_> = dirs.iter().map(|dir| tasks_level(dir)).collect();
        found.set_tasks(cgroup::bounds(&levels));
    }
    found
}

fn limit(path: PathBuf) -> Option<Limit> {
    parse::cgroup_limit(&text(&path)?)
}

fn cpus_max(version: u8, dir: &Path) -> Option<Limit<f64>> {
    match version {
        1 => {
            let quota = text(&dir.join("cpu.cfs_quota_us"))?;
            parse::cfs(&quota, &text(&dir.join("cpu.cfs_period_us"))?)
        }
        _ => parse::cpu_max(&text(&dir.join("cpu.max"))?),
    }
}

fn memory_level(version: u8, dir: &Path) -> Level {
    let (max, current, prefix) = match version {
        1 => ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_"),
        _ => ("memory.max", "memory.current", ""),
    };
    let stat = text(&dir.join("memory.stat")).unwrap_or_default();
    let stat = parse::fields(&stat);
    let pages = ["inactive_file", "active_file"].into_iter();
    let pages = pages.filter_map(|name| stat.get(format!("{prefix}{name}").as_str()).copied());
    Level {
        max: limit(dir.join(max)),
        current: number(dir.join(current)),
        reclaimable: pages.fold(0, |sum, bytes| sum.saturating_add(bytes)),
    }
}

fn tasks_level(dir: &Path) -> Level {
    Level {
        max: limit(dir.join("pids.max")),
        current: number(dir.join("pids.current")),
        reclaimable: 0,
    }
}

fn network() -> Network {
    let core = |name| number(Path::new("/proc/sys/net/core").join(name));
    let ports = text(Path::new("/proc/sys/net/ipv4/ip_local_port_range"));
    Network {
        interfaces: interfaces(Path::new("/sys/class/net")),
        somaxconn: core("somaxconn"),
        unix_dgrams_max: number("/proc/sys/net/unix/max_dgram_qlen"),
        rmem_default_bytes: core("rmem_default"),
        rmem_max_bytes: core("rmem_max"),
        wmem_default_bytes: core("wmem_default"),
        wmem_max_bytes: core("wmem_max"),
        local_ports: ports.and_then(|text| parse::pair(&text)),
    }
}

fn interfaces(dir: &Path) -> Vec<Interface> {
    let entries = dir.read_dir().into_iter().flatten().flatten();
    let mut found: Vec<_> = entries
        .filter_map(|entry| {
            let mtu_bytes = number(entry.path().join("mtu"))?;
            Some(Interface { name: entry.file_name().to_string_lossy().into_owned(), mtu_bytes })
        })
        .collect();
    found.sort();
    found
}

fn kernel() -> Kernel {
    Kernel {
        files_max: number("/proc/sys/fs/file-max"),
        pids_max: number("/proc/sys/kernel/pid_max"),
        threads_max: number("/proc/sys/kernel/threads-max"),
        tasks: LoadAverage::current().ok().map(|load| u64::from(load.max)),
        tasks_of_user: tasks_of(Uid::current()),
    }
}

/// Counts a user's processes and threads, which is what RLIMIT_NPROC counts.
fn tasks_of(user: Uid) -> Option<u64> {
    let processes = procfs::process::all_processes().ok()?.flatten();
    let own = processes.filter(|process| process.uid().is_ok_and(|uid| uid == user.as_raw()));
    let threads = own.filter_map(|process| process.stat().ok()).map(|stat| stat.num_threads);
    u64::try_from(threads.sum::<i64>()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(path: PathBuf, text: &str) {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    #[test]
    fn every_linux_tells_some_of_it() {
        let info = look(Path::new("/"));
        assert!(info.host.kernel.is_some() && info.host.uptime.is_some());
        assert!(info.cpu.usable.is_some_and(|cpus| cpus > 0));
        assert!(info.memory.total_bytes.is_some_and(|bytes| bytes > 0));
        assert!(info.limits.open_files.is_some());
        assert!(info.data.exists() && info.data.block_bytes.is_some());
        assert!(info.kernel.tasks_of_user.is_some_and(|tasks| tasks > 0));
        assert!(cpu_times().is_some());
    }

    #[test]
    fn what_is_not_there_is_absent() {
        let nowhere = Path::new("/nowhere");
        assert_eq!((number(nowhere), phrase(nowhere)), (None, None));
        assert!(interfaces(nowhere).is_empty());
        assert_eq!(cgroup(&[], &[]), Cgroup::default());
        assert_eq!(cpus_max(1, nowhere), None);
        assert_eq!(cpus_max(2, nowhere), None);
        assert_eq!(memory_level(2, nowhere), Level::default());
        assert_eq!(tasks_level(nowhere), Level::default());
    }

    #[test]
    fn levels_are_read_in_both_versions() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        write(path("memory.max"), "1000\n");
        write(path("memory.current"), "600\n");
        write(path("memory.stat"), "anon 100\ninactive_file 200\nactive_file 50\n");
        let level = Level { max: Some(Limit::Of(1000)), current: Some(600), reclaimable: 250 };
        assert_eq!(memory_level(2, dir.path()), level);
        write(path("memory.limit_in_bytes"), "9223372036854771712\n");
        write(path("memory.usage_in_bytes"), "700\n");
        write(path("memory.stat"), "inactive_file 1\ntotal_inactive_file 300\n");
        let level = Level { max: Some(Limit::Unlimited), current: Some(700), reclaimable: 300 };
        assert_eq!(memory_level(1, dir.path()), level);
        write(path("cpu.max"), "50000 100000\n");
        write(path("cpu.cfs_quota_us"), "-1\n");
        write(path("cpu.cfs_period_us"), "100000\n");
        assert_eq!(cpus_max(2, dir.path()), Some(Limit::Of(0.5)));
        assert_eq!(cpus_max(1, dir.path()), Some(Limit::Unlimited));
    }
}
