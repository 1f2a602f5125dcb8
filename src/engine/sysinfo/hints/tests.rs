//! Each hint at its border, and silence about what is not known.

use super::*;
use crate::sysinfo::snapshot::{CpuUse, Disk};

const GIB: u64 = 1 << 30;

fn needs() -> Needs {
    Needs {
        cpu_seats: 4,
        connections: 60,
        files_of_director: 50,
        files_of_child: 100,
        tasks: 80,
        memory_bytes: GIB,
        address_bytes: 2 * GIB,
        file_bytes: 64 << 20,
        disk_bytes: Some(3 * GIB),
        inodes: 40,
        is_syncing: true,
    }
}

/// Makes sure that a machine of which only this is known gets exactly these hints.
fn check(set: impl Fn(&mut SysInfo), expected: &[&str]) -> Vec<Hint> {
    let mut info = SysInfo::default();
    set(&mut info);
    let found = hints(&info, &needs());
    let values: Vec<_> = found.iter().map(|hint| hint.value).collect();
    assert_eq!(values, expected);
    found
}

fn rlimit(soft: u64, hard: u64) -> Option<RLimit> {
    Some(RLimit { soft: Limit::Of(soft), hard: Limit::Of(hard) })
}

#[test]
fn of_what_is_not_known_nothing_is_said() {
    check(|_| {}, &[]);
}

#[test]
fn no_limit_limits_nothing() {
    let unlimited = Some(RLimit { soft: Limit::Unlimited, hard: Limit::Unlimited });
    check(
        |info| {
            info.limits.open_files = unlimited;
            info.limits.processes = unlimited;
            info.limits.address_bytes = unlimited;
            info.limits.file_bytes = unlimited;
            info.cgroup.memory_high_bytes = Some(Limit::Unlimited);
            info.cgroup.cpus_max = Some(Limit::Unlimited);
        },
        &[],
    );
}

#[test]
fn the_director_lives_with_the_soft_limit_and_children_with_the_hard_one() {
    check(|info| info.limits.open_files = rlimit(50, 100), &[]);
    let soft = check(|info| info.limits.open_files = rlimit(49, 4096), &["limits.open_files_soft"]);
    assert!(soft[0].advice.contains("ulimit -n 50"), "{}", soft[0].advice);
    assert_eq!((&soft[0].is, &soft[0].needs), (&Amount::Count(49), &Some(Amount::Count(50))));
    let hard = check(|info| info.limits.open_files = rlimit(99, 99), &["limits.open_files_hard"]);
    assert!(hard[0].advice.contains("prlimit --nofile=100"), "{}", hard[0].advice);
    check(
        |info| info.limits.open_files = rlimit(40, 40),
        &["limits.open_files_soft", "limits.open_files_hard"],
    );
}

#[test]
fn processes_that_are_there_count_too_but_not_for_root() {
    let set = |soft, hard, tasks, is_privileged| {
        move |info: &mut SysInfo| {
            info.limits.processes = rlimit(soft, hard);
            info.limits.is_privileged = is_privileged;
            info.kernel.tasks_of_user = tasks;
        }
    };
    check(set(80, 80, None, false), &[]);
    check(set(180, 180, Some(100), false), &[]);
    check(set(100, 100, Some(100), true), &[]);
    let found = check(set(100, 500, Some(100), false), &["limits.processes_soft"]);
    assert!(found[0].advice.contains("ulimit -u 180"), "{}", found[0].advice);
    let found = check(set(100, 100, Some(100), false), &["limits.processes_soft"]);
    assert!(found[0].advice.contains("prlimit"), "{}", found[0].advice);
}

#[test]
fn control_groups_and_the_kernel_bound_processes() {
    check(|info| info.cgroup.tasks_available = Some(80), &[]);
    check(|info| info.cgroup.tasks_available = Some(79), &["cgroup.tasks_available"]);
    check(
        |info| (info.kernel.threads_max, info.kernel.pids_max) = (Some(79), Some(79)),
        &["kernel.threads_max", "kernel.pids_max"],
    );
    let tasks = |info: &mut SysInfo| {
        (info.kernel.pids_max, info.kernel.tasks) = (Some(32768), Some(32700));
    };
    let found = check(tasks, &["kernel.pids_max"]);
    assert!(found[0].advice.contains("kernel.pid_max=32780"), "{}", found[0].advice);
}

#[test]
fn memory_is_what_machine_and_group_leave() {
    check(|info| info.memory.available_bytes = Some(GIB), &[]);
    check(|info| info.memory.available_bytes = Some(GIB - 1), &["memory.ram_available_bytes"]);
    let group = |info: &mut SysInfo| {
        info.memory.available_bytes = Some(8 * GIB);
        info.cgroup.memory_available_bytes = Some(GIB / 2);
    };
    check(group, &["cgroup.memory_available_bytes"]);
    let found = check(
        |info| info.cgroup.memory_high_bytes = Some(Limit::Of(GIB / 2)),
        &["cgroup.memory_high_bytes"],
    );
    assert_eq!(found[0].severity, Severity::Advice);
}

#[test]
fn limits_of_a_process_bound_the_issuer() {
    check(|info| info.limits.address_bytes = rlimit(GIB, GIB), &["limits.address_bytes_soft"]);
    check(|info| info.limits.file_bytes = rlimit(1 << 20, GIB), &["limits.file_bytes_soft"]);
    check(|info| info.limits.file_bytes = rlimit(64 << 20, GIB), &[]);
    check(|info| info.limits.locked_bytes = rlimit(0, 0), &[]);
}

#[test]
fn the_data_directory_must_be_writable_and_large_enough() {
    check(|info| info.data.is_writable = Some(false), &["data.writable"]);
    let read_only = |info: &mut SysInfo| {
        (info.data.is_read_only, info.data.is_writable) = (Some(true), Some(false));
    };
    check(read_only, &["data.read_only"]);
    check(|info| info.data.available_bytes = Some(3 * GIB), &[]);
    check(|info| info.data.available_bytes = Some(3 * GIB - 1), &["data.available_bytes"]);
    check(|info| info.data.inodes_free = Some(39), &["data.inodes_free"]);
    let mut info = SysInfo::default();
    info.data.available_bytes = Some(0);
    let unbounded = Needs { disk_bytes: None, ..needs() };
    assert_eq!(hints(&info, &unbounded), [], "nobody said how much will be kept");
}

#[test]
fn work_that_burns_cpus_needs_as_many() {
    check(|info| info.cpu.usable = Some(4), &[]);
    check(|info| info.cpu.usable = Some(2), &["cpu.effective_cpus"]);
    let quota = |info: &mut SysInfo| {
        (info.cpu.usable, info.cgroup.cpus_max) = (Some(16), Some(Limit::Of(1.5)));
    };
    let found = check(quota, &["cpu.effective_cpus"]);
    assert_eq!(found[0].is, Amount::Number(1.5));
}

#[test]
fn a_busy_machine_is_told() {
    let load = |load| {
        move |info: &mut SysInfo| {
            (info.cpu.usable, info.host.load) = (Some(4), Some([load, 0.0, 0.0]));
        }
    };
    check(load(3.9), &[]);
    check(load(4.0), &["host.load_1m"]);
    let steal = |steal| {
        move |info: &mut SysInfo| info.cpu.usage = Some(CpuUse { busy: 0.5, io_wait: 0.0, steal })
    };
    check(steal(0.01), &[]);
    check(steal(0.2), &["cpu.steal"]);
}

#[test]
fn a_governor_is_slow_only_where_its_driver_makes_it_so() {
    let set = |driver: Option<&'static str>, governor: &'static str| {
        move |info: &mut SysInfo| {
            info.cpu.frequency.driver = driver.map(str::to_owned);
            info.cpu.frequency.governor = Some(governor.to_owned());
        }
    };
    check(set(Some("acpi-cpufreq"), "powersave"), &["cpu.frequency_governor"]);
    check(set(Some("acpi-cpufreq"), "schedutil"), &[]);
    check(set(Some("intel_pstate"), "powersave"), &[]);
    check(set(None, "powersave"), &[]);
}

#[test]
fn swap_is_told_of_only_when_memory_is_short() {
    let set = |available, swap_free| {
        move |info: &mut SysInfo| {
            info.memory.total_bytes = Some(16 * GIB);
            info.memory.available_bytes = Some(available);
            info.memory.swap_total_bytes = Some(4 * GIB);
            info.memory.swap_free_bytes = Some(swap_free);
        }
    };
    check(set(8 * GIB, 3 * GIB), &[]);
    check(set(3 * GIB / 2, 4 * GIB), &[]);
    let found = check(set(3 * GIB / 2, 3 * GIB), &["memory.swap_free_bytes"]);
    assert_eq!(found[0].is, Amount::Bytes(GIB));
}

#[test]
fn file_systems_that_keep_less_are_told() {
    let on =
        |name: &'static str| move |info: &mut SysInfo| info.data.filesystem = Some(name.to_owned());
    for name in ["ext4", "xfs", "btrfs", "zfs", "unheard-of"] {
        check(on(name), &[]);
    }
    for name in ["tmpfs", "overlay", "nfs4", "9p"] {
        check(on(name), &["data.filesystem"]);
    }
    let mut info = SysInfo::default();
    on("tmpfs")(&mut info);
    info.data.weakens_syncs = Some("nobarrier".to_owned());
    let never = Needs { is_syncing: false, ..needs() };
    assert_eq!(hints(&info, &never), [], "nobody syncs");
    check(|info| info.data.weakens_syncs = Some("volatile".to_owned()), &["data.weakens_syncs"]);
}

#[test]
fn only_real_disks_turn() {
    let disk = |kind, hypervisor: Option<&'static str>| {
        move |info: &mut SysInfo| {
            let is_rotational = Some(true);
            info.disk = Some(Disk { kind: Some(kind), is_rotational, ..Disk::default() });
            info.host.hypervisor = hypervisor.map(str::to_owned);
        }
    };
    check(disk("SCSI or SATA", None), &["disk.rotational"]);
    check(disk("SCSI or SATA", Some("present")), &[]);
    check(disk("virtio", None), &[]);
}

#[test]
fn a_short_backlog_is_told() {
    check(|info| info.network.somaxconn = Some(60), &[]);
    check(|info| info.network.somaxconn = Some(59), &["network.somaxconn"]);
}

#[test]
fn limits_come_before_advice() {
    let both = |info: &mut SysInfo| {
        info.network.somaxconn = Some(1);
        info.cgroup.memory_high_bytes = Some(Limit::Of(1));
        info.data.inodes_free = Some(0);
    };
    check(both, &["data.inodes_free", "cgroup.memory_high_bytes", "network.somaxconn"]);
}
