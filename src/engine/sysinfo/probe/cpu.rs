//! Processors and their caches, from `/sys/devices/system/cpu`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use nix::sched::{CpuSet, sched_getaffinity};
use nix::unistd::Pid;
use sysinfo::{CpuRefreshKind, System};

use super::{number, parse, phrase, text};
use crate::sysinfo::snapshot::{Cache, CacheKind, Cpu, Frequency};

pub(super) fn look(dir: &Path, cpuinfo: &str) -> Cpu {
    let online = text(&dir.join("online")).and_then(|text| parse::cpu_list(&text));
    let online = online.unwrap_or_default();
    let (vendor, model) = names();
    Cpu {
        vendor,
        model,
        sockets: distinct(dir, &online, &["package_cpus_list", "core_siblings_list"]),
        cores: distinct(dir, &online, &["core_cpus_list", "thread_siblings_list"]),
        logical: count(online.len()),
        usable: usable(),
        frequency: frequency(dir, &online, cpuinfo),
        caches: caches(dir, &online),
        usage: None,
    }
}

/// Nothing is not none.
fn count(len: usize) -> Option<u64> {
    (len > 0).then_some(len as u64)
}

fn names() -> (Option<String>, Option<String>) {
    let Ok(mut system) = System::new() else { return (None, None) };
    system.refresh_cpu_list(CpuRefreshKind::nothing());
    let first = system.cpus().first();
    let name = |name: Option<&str>| name.and_then(parse::phrase);
    (name(first.map(|cpu| cpu.vendor_id())), name(first.map(|cpu| cpu.brand())))
}

/// Counts CPUs on which this process may run. The mask that is asked for has room for 1024; a
/// machine with more does not fit.
fn usable() -> Option<u64> {
    let allowed = sched_getaffinity(Pid::from_raw(0)).ok()?;
    count((0..CpuSet::count()).filter(|&cpu| allowed.is_set(cpu).unwrap_or(false)).count())
}

/// Counts the different sets of CPUs that a file of the topology names: its younger name first.
fn distinct(dir: &Path, online: &BTreeSet<u32>, names: &[&str]) -> Option<u64> {
    let sets: BTreeSet<_> = online
        .iter()
        .filter_map(|cpu| {
            let topology = dir.join(format!("cpu{cpu}/topology"));
            let text = names.iter().find_map(|name| text(&topology.join(name)))?;
            parse::cpu_list(&text)
        })
        .collect();
    count(sets.len())
}

fn frequency(dir: &Path, online: &BTreeSet<u32>, cpuinfo: &str) -> Frequency {
    let dirs: Vec<_> = online.iter().map(|cpu| dir.join(format!("cpu{cpu}/cpufreq"))).collect();
    let hz = |name| {
        let khz = dirs.iter().filter_map(move |dir| number(dir.join(name)));
        khz.filter(|khz| *khz > 0).filter_map(|khz| khz.checked_mul(1000)).collect::<Vec<_>>()
    };
    let current = hz("scaling_cur_freq");
    let sum = current.iter().fold(0_u64, |sum, hz| sum.saturating_add(*hz));
    let word = |name| dirs.iter().find_map(|dir| phrase(dir.join(name)));
    Frequency {
        current_hz: sum.checked_div(current.len() as u64).or_else(|| parse::cpu_hz(cpuinfo)),
        max_hz: hz("cpuinfo_max_freq").into_iter().max(),
        driver: word("scaling_driver"),
        governor: word("scaling_governor"),
    }
}

/// Adds up the caches of CPUs that are online; one that several share is one.
fn caches(dir: &Path, online: &BTreeSet<u32>) -> Vec<Cache> {
    let mut instances = BTreeMap::new();
    for cpu in online {
        let dirs = dir.join(format!("cpu{cpu}/cache")).read_dir().into_iter().flatten().flatten();
        for (key, instance) in dirs.filter_map(|entry| cache(&entry.path(), *cpu)) {
            instances.insert(key, instance);
        }
    }
    let mut caches: Vec<Cache> = Vec::new();
    for ((level, kind, _), (bytes, line_bytes)) in instances {
        match caches.last_mut().filter(|last| (last.level, last.kind) == (level, kind)) {
            Some(known) => {
                known.instances += 1;
                known.total_bytes = known.total_bytes.saturating_add(bytes);
                known.instance_bytes = known.instance_bytes.filter(|alike| *alike == bytes);
            }
            None => caches.push(Cache {
                level,
                kind,
                instances: 1,
                total_bytes: bytes,
                instance_bytes: Some(bytes),
                line_bytes,
            }),
        }
    }
    caches
}

/// Level, kind, and who shares it.
type CacheKey = (u8, CacheKind, BTreeSet<u32>);

/// Returns which cache a directory describes, its size and that of its lines.
fn cache(dir: &Path, cpu: u32) -> Option<(CacheKey, (u64, Option<u64>))> {
    let level = u8::try_from(number(dir.join("level"))?).ok()?;
    let kind = match phrase(dir.join("type"))?.as_str() {
        "Data" => CacheKind::Data,
        "Instruction" => CacheKind::Instruction,
        "Unified" => CacheKind::Unified,
        _ => return None,
    };
    let sharers = text(&dir.join("shared_cpu_list")).and_then(|text| parse::cpu_list(&text));
    let sharers = sharers.unwrap_or_else(|| BTreeSet::from([cpu]));
    let bytes = parse::size(&text(&dir.join("size"))?)?;
    let line_bytes = number(dir.join("coherency_line_size")).filter(|bytes| *bytes > 0);
    Some(((level, kind, sharers), (bytes, line_bytes)))
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Tree(tempfile::TempDir);

    impl Tree {
        fn new() -> Self {
            Self(tempfile::tempdir().unwrap())
        }

        fn write(&self, path: &str, text: &str) {
            let path = self.0.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }

        fn cache(&self, cpu: u32, index: u32, level: u8, kind: &str, size: &str, shared: &str) {
            let dir = format!("cpu{cpu}/cache/index{index}");
            self.write(&format!("{dir}/level"), &level.to_string());
            self.write(&format!("{dir}/type"), kind);
            self.write(&format!("{dir}/size"), size);
            self.write(&format!("{dir}/shared_cpu_list"), shared);
            self.write(&format!("{dir}/coherency_line_size"), "64\n");
        }

        fn look(&self) -> Cpu {
            look(self.0.path(), "")
        }
    }

    #[test]
    fn shared_caches_count_once_and_offline_cpus_not_at_all() {
        let tree = Tree::new();
        tree.write("online", "0-3\n");
        for cpu in 0..5 {
            let pair = if cpu < 2 { "0-1" } else { "2-3" };
            tree.cache(cpu, 0, 1, "Data\n", "48K\n", &cpu.to_string());
            tree.cache(cpu, 1, 1, "Instruction\n", "32K\n", &cpu.to_string());
            tree.cache(cpu, 2, 2, "Unified\n", if cpu < 2 { "2M\n" } else { "1024K\n" }, pair);
            tree.cache(cpu, 3, 3, "Unified\n", "32768K\n", "0-3");
        }
        tree.cache(0, 4, 4, "Odd\n", "1K\n", "0");
        let caches = tree.look().caches;
        let brief: Vec<_> = caches
            .iter()
            .map(|cache| (cache.level, cache.instances, cache.total_bytes, cache.instance_bytes))
            .collect();
        let expected = [
            (1, 4, 4 * (48 << 10), Some(48 << 10)),
            (1, 4, 4 * (32 << 10), Some(32 << 10)),
            (2, 2, 3 << 20, None),
            (3, 1, 32 << 20, Some(32 << 20)),
        ];
        assert_eq!(brief, expected);
        assert!(caches.iter().all(|cache| cache.line_bytes == Some(64)));
    }

    #[test]
    fn cores_and_sockets_are_sets_of_cpus() {
        let tree = Tree::new();
        tree.write("online", "0-3,6\n");
        for cpu in [0, 1, 2, 3] {
            let core = if cpu % 2 == 0 { "0,2" } else { "1,3" };
            tree.write(&format!("cpu{cpu}/topology/core_cpus_list"), core);
            tree.write(&format!("cpu{cpu}/topology/package_cpus_list"), "0-3");
        }
        tree.write("cpu6/topology/thread_siblings_list", "6");
        tree.write("cpu6/topology/core_siblings_list", "6");
        let cpu = tree.look();
        assert_eq!((cpu.sockets, cpu.cores, cpu.logical), (Some(2), Some(3), Some(5)));
    }

    #[test]
    fn frequencies_are_averaged_and_their_bound_is_the_highest() {
        let tree = Tree::new();
        tree.write("online", "0-1\n");
        for (cpu, now, max) in [(0, "1000000", "3000000"), (1, "2000000", "5000000")] {
            tree.write(&format!("cpu{cpu}/cpufreq/scaling_cur_freq"), now);
            tree.write(&format!("cpu{cpu}/cpufreq/cpuinfo_max_freq"), max);
        }
        tree.write("cpu1/cpufreq/scaling_governor", "powersave\n");
        let frequency = tree.look().frequency;
        assert_eq!(frequency.current_hz, Some(1_500_000_000));
        assert_eq!(frequency.max_hz, Some(5_000_000_000));
        assert_eq!(frequency.governor.as_deref(), Some("powersave"));
        assert_eq!(frequency.driver, None);
    }

    #[test]
    fn a_hidden_tree_is_absent_and_not_zero() {
        let cpu = look(Path::new("/nowhere"), "");
        assert_eq!((cpu.sockets, cpu.cores, cpu.logical), (None, None, None));
        assert_eq!((cpu.frequency, cpu.caches), (Frequency::default(), Vec::new()));
    }
}
