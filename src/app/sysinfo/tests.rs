//! The table's shape, and how it is written.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use engine::sysinfo::{
    Cache, CacheKind, Cgroup, Cpu, CpuUse, DataPlace, Disk, Frequency, Host, HugePages, Interface,
    Kernel, Limit, Limits, Memory, Network, RLimit,
};

use super::*;

/// A machine that has everything, and too little of much of it.
fn machine() -> SysInfo {
    let word = |text: &str| Some(text.to_owned());
    let rlimit = |soft, hard| Some(RLimit { soft: Limit::Of(soft), hard });
    SysInfo {
        host: Host {
            name: word("counter"),
            os: word("Debian GNU/Linux 13"),
            kernel: word("6.12.9"),
            architecture: word("x86_64"),
            is_little_endian: true,
            machine: word("QEMU Standard PC (Q35 + ICH9, 2009)"),
            hypervisor: word("present"),
            container: None,
            uptime: Some(Duration::from_secs(263_000)),
            load: Some([4.5, 2.25, 1.0]),
        },
        cpu: Cpu {
            vendor: word("GenuineIntel"),
            model: word("Intel(R) Xeon(R) Platinum 8370C CPU @ 2.80GHz"),
            sockets: Some(1),
            cores: Some(2),
            logical: Some(4),
            usable: Some(4),
            frequency: Frequency {
                current_hz: Some(2_793_437_000),
                max_hz: None,
                driver: word("acpi-cpufreq"),
                governor: word("powersave"),
            },
            caches: vec![
                Cache {
                    level: 1,
                    kind: CacheKind::Data,
                    instances: 2,
                    total_bytes: 98_304,
                    instance_bytes: Some(49_152),
                    line_bytes: Some(64),
                },
                Cache {
                    level: 2,
                    kind: CacheKind::Unified,
                    instances: 2,
                    total_bytes: 3 << 20,
                    instance_bytes: None,
                    line_bytes: Some(64),
                },
            ],
            usage: Some(CpuUse { busy: 0.5, io_wait: 0.02, steal: 0.1 }),
        },
        memory: Memory {
            total_bytes: Some(8 << 30),
            free_bytes: Some(100 << 20),
            available_bytes: Some(200 << 20),
            buffers_bytes: Some(1 << 20),
            cached_bytes: Some(120 << 20),
            swap_total_bytes: Some(1 << 30),
            swap_free_bytes: Some(1 << 29),
            page_bytes: Some(4096),
            overcommit_memory: Some(0),
        },
        huge_pages: HugePages {
            page_bytes: Some(2 << 20),
            total: Some(0),
            free: Some(0),
            reserved: Some(0),
            surplus: Some(0),
            overcommit: Some(0),
            transparent: word("madvise"),
        },
        limits: Limits {
            open_files: rlimit(40, Limit::Of(64)),
            processes: rlimit(50, Limit::Unlimited),
            stack_bytes: rlimit(8 << 20, Limit::Unlimited),
            locked_bytes: rlimit(8 << 20, Limit::Of(8 << 20)),
            core_bytes: rlimit(0, Limit::Unlimited),
            file_bytes: rlimit(1 << 20, Limit::Of(1 << 20)),
            address_bytes: rlimit(64 << 20, Limit::Unlimited),
            is_privileged: false,
        },
        cgroup: Cgroup {
            version: Some(2),
            path: word("/system.slice/office.service"),
            cpus_max: Some(Limit::Of(1.5)),
            memory_max_bytes: Some(Limit::Of(1 << 30)),
            memory_high_bytes: Some(Limit::Of(64 << 20)),
            memory_current_bytes: Some(900 << 20),
            memory_available_bytes: Some(150 << 20),
            tasks_max: Some(Limit::Of(64)),
            tasks_current: Some(3),
            tasks_available: Some(61),
        },
        data: DataPlace {
            path: PathBuf::from("/srv/office"),
            found: Some(PathBuf::from("/srv")),
            is_writable: Some(false),
            filesystem: word("tmpfs"),
            filesystem_magic: word("1021994"),
            mount_point: Some(PathBuf::from("/srv")),
            is_read_only: Some(true),
            weakens_syncs: word("nobarrier"),
            block_bytes: Some(4096),
            total_bytes: Some(1 << 30),
            free_bytes: Some(1 << 29),
            available_bytes: Some(1 << 28),
            inodes_total: Some(100),
            inodes_free: Some(10),
            device: word("tmpfs"),
        },
        disk: Some(Disk {
            name: "vda".to_owned(),
            kind: Some("virtio"),
            model: None,
            is_rotational: Some(true),
            scheduler: word("mq-deadline"),
            write_cache: word("write back"),
        }),
        network: Network {
            interfaces: vec![
                Interface { name: "eth0".to_owned(), mtu_bytes: 1500 },
                Interface { name: "lo".to_owned(), mtu_bytes: 65_536 },
            ],
            somaxconn: Some(8),
            unix_dgrams_max: Some(512),
            rmem_default_bytes: Some(212_992),
            rmem_max_bytes: Some(212_992),
            wmem_default_bytes: Some(212_992),
            wmem_max_bytes: Some(212_992),
            local_ports: Some((32_768, 60_999)),
        },
        kernel: Kernel {
            files_max: Some(i64::MAX.unsigned_abs()),
            pids_max: Some(100),
            threads_max: Some(100),
            tasks: Some(90),
            tasks_of_user: Some(20),
        },
    }
}

fn default_needs() -> Needs {
    let effective = scenario(engine::config::DEFAULT, &[]).unwrap();
    Needs { cpu_seats: 4, ..needs_of(&effective.scenario, 0) }
}

fn text_of(info: &SysInfo, needs: &Needs) -> String {
    to_text(&table(info), "default", &sysinfo::hints(info, needs))
}

#[test]
fn a_known_machine_looks_like_this() {
    insta::assert_snapshot!(text_of(&machine(), &default_needs()));
}

#[test]
fn a_hidden_machine_looks_like_this() {
    insta::assert_snapshot!(text_of(&SysInfo::default(), &default_needs()));
}

#[test]
fn no_line_is_wider_than_a_screen() {
    for info in [machine(), SysInfo::default()] {
        for line in text_of(&info, &default_needs()).lines() {
            assert!(line.chars().count() <= COLUMNS, "{line}");
        }
    }
}

#[test]
fn every_hint_is_about_a_value_that_is_shown() {
    let info = machine();
    let json = table::to_json(&table(&info));
    let hints = sysinfo::hints(&info, &default_needs());
    assert!(hints.len() >= 18, "the machine has too little of much: {}", hints.len());
    for hint in hints {
        let (group, key) = hint.value.split_once('.').unwrap();
        assert!(json[group].get(key).is_some(), "{}", hint.value);
    }
}

#[test]
fn a_key_names_one_value_and_none_is_zero_for_want_of_knowledge() {
    for info in [machine(), SysInfo::default()] {
        for group in table(&info) {
            let keys: Vec<_> =
                group.rows.iter().flat_map(|row| &row.values).map(|(key, _)| key).collect();
            let distinct: BTreeSet<_> = keys.iter().collect();
            assert_eq!(keys.len(), distinct.len(), "{keys:?}");
        }
    }
    let json = table::to_json(&table(&SysInfo::default()));
    for (group, values) in &json {
        for (key, value) in values.as_object().unwrap() {
            let is_known_anyway = ["byte_order", "path", "exists"].contains(&key.as_str());
            assert!(value.is_null() || is_known_anyway, "{group}.{key} is {value}");
        }
    }
}

#[test]
fn both_machines_have_the_same_keys() {
    let keys = |info: &SysInfo| -> Vec<_> {
        let groups = table(info);
        let rows = groups.iter().flat_map(|group| group.rows.iter().map(move |row| (group, row)));
        rows.flat_map(|(group, row)| {
            row.values.iter().map(move |(key, _)| (group.key, key.clone()))
        })
        .collect()
    };
    assert_eq!(keys(&machine()), keys(&SysInfo::default()));
}

#[test]
fn long_texts_go_on_below_themselves() {
    let mut out = String::new();
    put(&mut out, " * name", &"word ".repeat(40));
    let lines: Vec<_> = out.lines().collect();
    assert_eq!(lines.len(), 3);
    assert!(lines[1].starts_with(&format!("{}word", " ".repeat(INDENT))));
    out.clear();
    put(&mut out, "", &"x".repeat(200));
    assert_eq!(out.lines().count(), 1, "a word is not cut");
}
