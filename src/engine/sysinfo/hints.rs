//! Where a machine has less than a scenario needs, and what to do about it.
//!
//! A hint is given only if something known is too little for something known: what can't be read
//! is no reason for one. A limit stops a run or a part of it; advice says what makes its figures
//! other than they would be.

use super::snapshot::{Limit, RLimit, SysInfo};
use crate::limits;

/// What a scenario needs of a machine.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Needs {
    /// Seats of which each may burn a CPU of its own.
    pub cpu_seats: u64,
    /// Connections to the issuer, opened about at once.
    pub connections: u64,
    /// Files that the director has open. It lives with the soft limit...
    pub files_of_director: u64,
    /// ...and its children raise theirs to the hard one: the most that one of them has open.
    pub files_of_child: u64,
    /// Processes and threads.
    pub tasks: u64,
    /// Memory of all processes.
    pub memory_bytes: u64,
    /// Address space of the issuer.
    pub address_bytes: u64,
    /// The largest file that is written.
    pub file_bytes: u64,
    /// What the log may still grow by; `None` if nothing bounds it.
    pub disk_bytes: Option<u64>,
    /// Files that may still be made.
    pub inodes: u64,
    /// Whether the log is ever synced while running.
    pub is_syncing: bool,
}

/// How much a hint matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The run, or a part of it, will not come about.
    Limit,
    /// It will, and its figures will be other than on a machine with more.
    Advice,
}

/// How much of something.
#[derive(Clone, Debug, PartialEq)]
pub enum Amount {
    /// So many.
    Count(u64),
    /// So many bytes.
    Bytes(u64),
    /// So much, of CPUs or load.
    Number(f64),
    /// A part of all.
    Ratio(f64),
    /// No number.
    Word(String),
}

/// One value that limits a scenario.
#[derive(Clone, Debug, PartialEq)]
pub struct Hint {
    /// Which value: `group.key`, as in the output of `sysinfo --json`.
    pub value: &'static str,
    /// How much it matters.
    pub severity: Severity,
    /// What it is.
    pub is: Amount,
    /// What it should be at least, if it is a matter of more.
    pub needs: Option<Amount>,
    /// What that means and what to do; commands and settings stand in backticks.
    pub advice: String,
}

/// Returns where a machine limits a scenario that does not run yet, limits before advice. What a
/// running one takes is missing from the snapshot, and would be asked for again.
pub fn hints(info: &SysInfo, needs: &Needs) -> Vec<Hint> {
    let mut hints: Vec<Hint> = [
        open_files_soft(info, needs),
        open_files_hard(info, needs),
        processes(info, needs),
        tasks_of_cgroup(info, needs),
        threads_max(info, needs),
        pids_max(info, needs),
        memory(info, needs),
        memory_high(info, needs),
        address_space(info, needs),
        file_size(info, needs),
        place(info),
        disk_space(info, needs),
        inodes(info, needs),
        cpus(info, needs),
        load(info),
        steal(info),
        governor(info),
        swap(info),
        filesystem(info, needs),
        weakened_syncs(info, needs),
        rotation(info, needs),
        backlog(info, needs),
    ]
    .into_iter()
    .flatten()
    .collect();
    hints.sort_by_key(|hint| hint.severity);
    hints
}

fn limit(value: &'static str, is: Amount, needs: Amount, advice: String) -> Option<Hint> {
    Some(Hint { value, severity: Severity::Limit, is, needs: Some(needs), advice })
}

fn advise(value: &'static str, is: Amount, needs: Amount, advice: &str) -> Option<Hint> {
    let advice = advice.to_owned();
    Some(Hint { value, severity: Severity::Advice, is, needs: Some(needs), advice })
}

fn remark(value: &'static str, is: Amount, advice: &str) -> Option<Hint> {
    let advice = advice.to_owned();
    Some(Hint { value, severity: Severity::Advice, is, needs: None, advice })
}

fn word(text: &str) -> Amount {
    Amount::Word(text.to_owned())
}

/// Returns the bound if it is below a need.
fn too_low(bound: Limit, need: u64) -> Option<u64> {
    bound.bound().filter(|bound| *bound < need)
}

fn open_files_soft(info: &SysInfo, needs: &Needs) -> Option<Hint> {
    let RLimit { soft, hard } = info.limits.open_files?;
    let need = needs.files_of_director;
    let is = too_low(soft, need)?;
    // Beyond the hard limit, that one's hint says what to do.
    let reachable = hard.bound().map_or(need, |hard| hard.min(need));
    let advice = format!("the director can't keep that many workers; `ulimit -n {reachable}`");
    limit("limits.open_files_soft", Amount::Count(is), Amount::Count(need), advice)
}

fn open_files_hard(info: &SysInfo, needs: &Needs) -> Option<Hint> {
    let need = needs.files_of_child.max(needs.files_of_director);
    let is = too_low(info.limits.open_files?.hard, need)?;
    let advice = format!(
        "not all peers of the issuer get a connection; as root: \
         `prlimit --nofile={need} --pid $$`, LimitNOFILE={need} in a unit, \
         `--ulimit nofile={need}` of a container; or run fewer processes (users.max_processes, -w)"
    );
    limit("limits.open_files_hard", Amount::Count(is), Amount::Count(need), advice)
}

fn processes(info: &SysInfo, needs: &Needs) -> Option<Hint> {
    if info.limits.is_privileged {
        return None;
    }
    let RLimit { soft, hard } = info.limits.processes?;
    let need = needs.tasks + info.kernel.tasks_of_user.unwrap_or(0);
    let is = too_low(soft, need)?;
    let how =
        if hard.is_below(need) { "as root: `prlimit --pid $$ --nproc=" } else { "`ulimit -u " };
    let advice = format!(
        "all of this user's processes and threads count; {how}{need}`, \
         or run fewer processes (users.max_processes, -w)"
    );
    limit("limits.processes_soft", Amount::Count(is), Amount::Count(need), advice)
}

fn tasks_of_cgroup(info: &SysInfo, needs: &Needs) -> Option<Hint> {
    let is = info.cgroup.tasks_available.filter(|is| *is < needs.tasks)?;
    let advice = "the control group allows no more processes and threads; raise its pids.max \
                  (TasksMax= of a unit, --pids-limit of a container), \
                  or run fewer processes (users.max_processes, -w)";
    let need = Amount::Count(needs.tasks);
    limit("cgroup.tasks_available", Amount::Count(is), need, advice.to_owned())
}

fn threads_max(info: &SysInfo, needs: &Needs) -> Option<Hint> {
    let need = needs.tasks + info.kernel.tasks.unwrap_or(0);
    let is = info.kernel.threads_max.filter(|is| *is < need)?;
    let advice = format!("as root: `sysctl kernel.threads-max={need}`, or run fewer processes");
    limit("kernel.threads_max", Amount::Count(is), Amount::Count(need), advice)
}

fn pids_max(info: &SysInfo, needs: &Needs) -> Option<Hint> {
    let need = needs.tasks + info.kernel.tasks.unwrap_or(0);
    let is = info.kernel.pids_max.filter(|is| *is < need)?;
    let advice = format!("as root: `sysctl kernel.pid_max={need}`, or run fewer processes");
    limit("kernel.pids_max", Amount::Count(is), Amount::Count(need), advice)
}

fn memory(info: &SysInfo, needs: &Needs) -> Option<Hint> {
    let need = needs.memory_bytes;
    let is = info.memory_available_bytes().filter(|is| *is < need)?;
    let is_of_group = info.cgroup.memory_available_bytes == Some(is);
    let (value, whose) = if is_of_group {
        ("cgroup.memory_available_bytes", "the control group's limit (memory.max) leaves no more")
    } else {
        ("memory.ram_available_bytes", "the machine has no more to give")
    };
    let advice = format!(
        "{whose}; end something, or want less: storage.index_memory, office.room, \
         users.max_processes, -w"
    );
    limit(value, Amount::Bytes(is), Amount::Bytes(need), advice)
}

fn memory_high(info: &SysInfo, needs: &Needs) -> Option<Hint> {
    let is = too_low(info.cgroup.memory_high_bytes?, needs.memory_bytes)?;
    let advice = "beyond it the kernel slows all of the control group down; raise memory.high \
                  (MemoryHigh= of a unit)";
    let (is, need) = (Amount::Bytes(is), Amount::Bytes(needs.memory_bytes));
    advise("cgroup.memory_high_bytes", is, need, advice)
}

fn address_space(info: &SysInfo, needs: &Needs) -> Option<Hint> {
    let is = too_low(info.limits.address_bytes?.soft, needs.address_bytes)?;
    let advice = "the issuer can't map its index; `ulimit -v unlimited`".to_owned();
    let need = Amount::Bytes(needs.address_bytes);
    limit("limits.address_bytes_soft", Amount::Bytes(is), need, advice)
}

fn file_size(info: &SysInfo, needs: &Needs) -> Option<Hint> {
    let is = too_low(info.limits.file_bytes?.soft, needs.file_bytes)?;
    let advice = "no segment of the log can be written whole; `ulimit -f unlimited`".to_owned();
    let need = Amount::Bytes(needs.file_bytes);
    limit("limits.file_bytes_soft", Amount::Bytes(is), need, advice)
}

fn place(info: &SysInfo) -> Option<Hint> {
    let (value, is) = if info.data.is_read_only == Some(true) {
        ("data.read_only", word("mounted read-only"))
    } else if info.data.is_writable == Some(false) {
        ("data.writable", word("not writable"))
    } else {
        return None;
    };
    let advice = "nothing can be kept there; choose another place with --data-dir".to_owned();
    Some(Hint { value, severity: Severity::Limit, is, needs: None, advice })
}

fn disk_space(info: &SysInfo, needs: &Needs) -> Option<Hint> {
    let need = needs.disk_bytes?;
    let is = info.data.available_bytes.filter(|is| *is < need)?;
    let advice = "the log can fill the disk, and intake pauses when it has; free some, keep less \
                  (storage.retain), or choose another place with --data-dir";
    limit("data.available_bytes", Amount::Bytes(is), Amount::Bytes(need), advice.to_owned())
}

fn inodes(info: &SysInfo, needs: &Needs) -> Option<Hint> {
    let is = info.data.inodes_free.filter(|is| *is < needs.inodes)?;
    let advice = "the file system can have no more files, however small; remove some, or choose \
                  another place with --data-dir";
    limit("data.inodes_free", Amount::Count(is), Amount::Count(needs.inodes), advice.to_owned())
}

fn cpus(info: &SysInfo, needs: &Needs) -> Option<Hint> {
    #[expect(clippy::cast_precision_loss, reason = "there are at most 65 536 seats")]
    let seats = needs.cpu_seats as f64;
    let is = info.cpus_effective().filter(|cpus| *cpus < seats)?;
    let advice = "the scenario's work burns CPU; busy seats share what there is, so service takes \
                  longer than the demand; fewer workers (-w), or `work = sleep`";
    advise("cpu.effective_cpus", Amount::Number(is), Amount::Number(seats), advice)
}

fn load(info: &SysInfo) -> Option<Hint> {
    let (cpus, [load, ..]) = (info.cpus_effective()?, info.host.load?);
    let advice = "others use the CPUs now; latencies contain what they take";
    (load >= cpus).then(|| remark("host.load_1m", Amount::Number(load), advice))?
}

fn steal(info: &SysInfo) -> Option<Hint> {
    let steal = info.cpu.usage?.steal;
    let advice = "the hypervisor gives the CPUs to other guests; latencies contain what they take";
    (steal >= limits::STEAL_SEEN).then(|| remark("cpu.steal", Amount::Ratio(steal), advice))?
}

fn governor(info: &SysInfo) -> Option<Hint> {
    // With these drivers the governor of that name does raise the frequency.
    const DYNAMIC: [&str; 2] = ["intel_pstate", "amd-pstate-epp"];
    let frequency = &info.cpu.frequency;
    let is_dynamic = frequency.driver.as_deref().is_none_or(|driver| DYNAMIC.contains(&driver));
    let is_slow = frequency.governor.as_deref() == Some("powersave") && !is_dynamic;
    let advice = "the CPUs stay at their lowest frequency; \
                  as root: `cpupower frequency-set -g performance`";
    is_slow.then(|| remark("cpu.frequency_governor", word("powersave"), advice))?
}

fn swap(info: &SysInfo) -> Option<Hint> {
    let memory = &info.memory;
    let used = memory.swap_total_bytes?.saturating_sub(memory.swap_free_bytes?);
    // What was swapped out long ago and is not missed says nothing.
    let is_short = memory.available_bytes? < memory.total_bytes? / limits::MEMORY_SHORT_DIVISOR;
    let advice =
        "memory is short and that much of it swapped out; what comes back shows as latency";
    let hint = || remark("memory.swap_free_bytes", Amount::Bytes(used), advice);
    (used > 0 && is_short).then(hint)?
}

fn filesystem(info: &SysInfo, needs: &Needs) -> Option<Hint> {
    let name = info.data.filesystem.as_deref()?;
    let advice = match name {
        "tmpfs" | "ramfs" if needs.is_syncing => {
            "a sync costs nothing here and keeps nothing, so figures say nothing of a disk; \
             choose another place with --data-dir"
        }
        "overlay" => {
            "the data goes when the container goes, and the layer takes part in every figure; \
             choose a volume with --data-dir"
        }
        "nfs" | "nfs4" | "cifs" | "smb3" | "9p" | "ceph" | "afs" | "fuse.sshfs"
        | "fuse.glusterfs" => {
            "LMDB's locks and memory maps are not made for remote file systems; \
             choose a local place with --data-dir"
        }
        _ => return None,
    };
    remark("data.filesystem", word(name), advice)
}

fn weakened_syncs(info: &SysInfo, needs: &Needs) -> Option<Hint> {
    let option = info.data.weakens_syncs.as_deref().filter(|_| needs.is_syncing)?;
    let advice = "with this mount option a sync does not reach the disk: it is fast, and a power \
                  loss takes more than the policy says; mount without it";
    remark("data.weakens_syncs", word(option), advice)
}

fn rotation(info: &SysInfo, needs: &Needs) -> Option<Hint> {
    let disk = info.disk.as_ref()?;
    // Virtual disks say so without turning.
    let is_real = disk.kind == Some("SCSI or SATA") && info.host.hypervisor.is_none();
    let turns = needs.is_syncing && is_real && disk.is_rotational == Some(true);
    let advice = "every sync waits until the disk has turned, about 8 ms; a solid-state disk, or \
                  `storage.fsync = interval 50ms`";
    turns.then(|| remark("disk.rotational", word("yes"), advice))?
}

fn backlog(info: &SysInfo, needs: &Needs) -> Option<Hint> {
    let is = info.network.somaxconn.filter(|is| *is < needs.connections)?;
    let advice = format!(
        "not all peers can connect at once; those left try again, which delays the opening; \
         as root: `sysctl net.core.somaxconn={}`",
        needs.connections
    );
    let need = Amount::Count(needs.connections);
    advise("network.somaxconn", Amount::Count(is), need, &advice)
}

#[cfg(test)]
mod tests;
