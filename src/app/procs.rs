//! What the kernel says about our processes: CPU and memory.

use std::collections::BTreeMap;

use sysinfo::{Pid, ProcessRefreshKind, ProcessesToUpdate, System};

/// Looks at processes by pid.
#[derive(Debug)]
pub(crate) struct Procs {
    /// `None` where the system keeps such things from us; then nothing is known.
    system: Option<System>,
    usage: BTreeMap<u32, Usage>,
}

/// What one process uses.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Usage {
    /// Share of one core since the look before; `None` at the first look.
    pub(crate) cpu: Option<f64>,
    /// Resident memory.
    pub(crate) rss_bytes: u64,
}

impl Default for Procs {
    fn default() -> Self {
        Self { system: System::new().ok(), usage: BTreeMap::new() }
    }
}

impl Procs {
    /// Looks at exactly these processes.
    pub(crate) fn look(&mut self, pids: &[u32]) {
        let wanted: Vec<Pid> = pids.iter().copied().map(Pid::from_u32).collect();
        let before = std::mem::take(&mut self.usage);
        let Some(system) = &mut self.system else { return };
        system.refresh_processes_specifics(
            ProcessesToUpdate::Some(&wanted),
            true,
            ProcessRefreshKind::nothing().with_cpu().with_memory().without_tasks(),
        );
        for pid in wanted {
            let Some(process) = system.process(pid) else { continue };
            let pid = pid.as_u32();
            let cpu = before.contains_key(&pid).then(|| f64::from(process.cpu_usage()) / 100.0);
            self.usage.insert(pid, Usage { cpu, rss_bytes: process.memory() });
        }
    }

    /// Returns what a process used at the last look.
    pub(crate) fn usage(&self, pid: u32) -> Option<Usage> {
        self.usage.get(&pid).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_own_process_is_seen_and_a_missing_one_is_not() {
        let (mut procs, own) = (Procs::default(), std::process::id());
        procs.look(&[own, u32::MAX / 2]);
        assert!(procs.usage(own).is_some_and(|usage| usage.cpu.is_none() && usage.rss_bytes > 0));
        assert_eq!(procs.usage(u32::MAX / 2), None);
        procs.look(&[own]);
        assert!(procs.usage(own).is_some_and(|usage| usage.cpu.is_some()));
        procs.look(&[]);
        assert_eq!(procs.usage(own), None);
    }
}
