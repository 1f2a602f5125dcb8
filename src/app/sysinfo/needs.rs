//! What a scenario needs of a machine.

use engine::config::Scenario;
use engine::config::scenario::{FsyncPolicy, Work};
use engine::limits;
use engine::sysinfo::Needs;

/// Returns what a scenario needs at its start, where the log has so many bytes already.
pub(crate) fn needs_of(scenario: &Scenario, log_bytes: u64) -> Needs {
    let (office, storage) = (&scenario.office, &scenario.storage);
    let workers = u64::from(office.workers);
    let users: u64 = scenario.loads.iter().map(|load| u64::from(load.users)).sum();
    let user_processes = users.min(u64::from(scenario.users.max_processes));
    let seats = u64::from(office.seats);
    let works = |is_such: fn(&Work) -> bool| {
        scenario.services.iter().any(|service| service.share > 0.0 && is_such(&service.work))
    };
    let seats_if = |is_such| if works(is_such) { seats } else { 0 };
    // Anything but sleeping is done on a thread of its own for each seat.
    let hands = seats_if(|work| *work != Work::Sleep);
    let hash_bytes = seats_if(|work| *work == Work::Hash) * limits::HASH_MEMORY_BYTES as u64;
    let payload_bytes = scenario.loads.iter().map(|load| load.payload_bytes).max().unwrap_or(0);
    let ticket_bytes = limits::QUEUED_TICKET_BYTES + u64::from(payload_bytes);
    let connections = workers + user_processes;
    let segments = storage.retain_bytes.map(|bytes| bytes / storage.segment_bytes + 2);
    Needs {
        cpu_seats: seats_if(|work| matches!(work, Work::Spin | Work::Hash)),
        connections,
        // A control connection and a standard error for each worker, the issuer and the manager.
        files_of_director: 2 * (workers + 2) + limits::FILES_BESIDE_PEERS,
        files_of_child: connections + limits::FILES_BESIDE_PEERS,
        tasks: workers + hands + user_processes + limits::TASKS_BESIDE_WORKERS_AND_USERS,
        memory_bytes: (workers + user_processes) * limits::PROCESS_BYTES
            + limits::SERVICE_BYTES
            + storage.index_bytes
            + u64::from(office.room) * ticket_bytes
            + hash_bytes,
        address_bytes: limits::ISSUER_ADDRESS_BYTES + storage.index_bytes,
        file_bytes: storage.segment_bytes,
        // The active segment and the one made beforehand come on top.
        disk_bytes: storage
            .retain_bytes
            .map(|bytes| (bytes + 2 * storage.segment_bytes).saturating_sub(log_bytes)),
        inodes: segments.unwrap_or(0) + limits::FILES_BESIDE_PEERS,
        is_syncing: storage.fsync != FsyncPolicy::None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::commands;

    fn needs(name: &str, set: &[(&str, &str, &str)]) -> Needs {
        let overrides: Vec<_> = set
            .iter()
            .map(|(section, key, value)| engine::config::Override {
                option: format!("--set {section}.{key}={value}"),
                key: engine::config::OverrideKey::Named((*section).into(), (*key).into()),
                value: (*value).to_owned(),
            })
            .collect();
        needs_of(&commands::scenario(name, &overrides).unwrap().scenario, 0)
    }

    #[test]
    fn the_default_needs_little() {
        let needs = needs("default", &[]);
        assert_eq!(needs.connections, 54);
        assert_eq!(needs.tasks, 54 + limits::TASKS_BESIDE_WORKERS_AND_USERS);
        assert_eq!((needs.cpu_seats, needs.is_syncing), (0, true));
        assert!(needs.memory_bytes < 512 << 20, "{}", needs.memory_bytes);
    }

    #[test]
    fn users_beyond_the_most_processes_need_none_of_their_own() {
        let many = [("load.regulars", "users", "5000"), ("users", "max_processes", "100")];
        assert_eq!(needs("default", &many).connections, 104);
    }

    #[test]
    fn work_on_a_cpu_needs_cpus_threads_and_memory() {
        let sleep = needs("default", &[("office", "seats", "8")]);
        let spin = [("office", "seats", "8"), ("service.letters", "work", "spin")];
        let spin = needs("default", &spin);
        assert_eq!((sleep.cpu_seats, spin.cpu_seats), (0, 8));
        assert_eq!(spin.tasks, sleep.tasks + 8);
        let hash = [("office", "seats", "8"), ("service.letters", "work", "hash")];
        let hash = needs("default", &hash);
        assert_eq!(hash.memory_bytes, spin.memory_bytes + 8 * limits::HASH_MEMORY_BYTES as u64);
        let io = [("service.letters", "work", "io 4KiB")];
        assert_eq!(needs("default", &io).cpu_seats, 0);
    }

    #[test]
    fn a_bounded_log_needs_a_bounded_disk() {
        let bounded = [("storage", "retain", "100MiB"), ("storage", "segment", "10MiB")];
        let bounded = needs("default", &bounded);
        assert_eq!((bounded.disk_bytes, bounded.file_bytes), (Some(120 << 20), 10 << 20));
        assert_eq!(needs("default", &[("storage", "retain", "unlimited")]).disk_bytes, None);
        assert!(!needs("default", &[("storage", "fsync", "none")]).is_syncing);
        let scenario = commands::scenario("default", &[]).unwrap().scenario;
        assert_eq!(needs_of(&scenario, u64::MAX).disk_bytes, Some(0));
    }
}
