//! `sysinfo` says what the system's own tools say of each value that they share.
//!
//! The tools are those of every distribution: util-linux, procps, coreutils, bash. One that is
//! missing fails the test and is named.

use std::process::{Command, Stdio};

use serde_json::Value;

use crate::support::{Office, PROGRAM, arguments, descendants, run, stderr};

/// Returns what a tool prints.
fn tool(program: &str, args: &[&str]) -> String {
    let mut command = Command::new(program);
    command.args(args).env("LC_ALL", "C").stdin(Stdio::null());
    let output = command.output().unwrap_or_else(|error| panic!("{program} is needed: {error}"));
    assert!(output.status.success(), "{program} {args:?}: {}", stderr(&output));
    String::from_utf8(output.stdout).unwrap()
}

/// Returns what a tool prints, as numbers.
fn numbers(program: &str, args: &[&str]) -> Vec<u64> {
    let text = tool(program, args);
    text.split_whitespace().map(|word| word.parse().unwrap()).collect()
}

/// Returns what `sysinfo --json` says.
fn sysinfo(args: &[&str]) -> Value {
    sysinfo_of("/", args)
}

fn sysinfo_of(data_dir: &str, args: &[&str]) -> Value {
    let text = tool(PROGRAM, &[&["sysinfo", "--json", "--data-dir", data_dir], args].concat());
    serde_json::from_str(&text).unwrap()
}

/// Makes sure that a value that may change is between two readings, or nearly.
fn check_between(value: &Value, readings: [u64; 2], slack: u64, what: &str) {
    let value = value.as_u64().unwrap_or_else(|| panic!("{what} is {value}"));
    let (low, high) = (readings[0].min(readings[1]), readings[0].max(readings[1]));
    let is_between = low.saturating_sub(slack) <= value && value <= high.saturating_add(slack);
    assert!(is_between, "{what}: {value} is not between {low} and {high}");
}

/// Returns the fields of `lscpu -B -J`, whether it nests them or not.
fn lscpu() -> Vec<(String, String)> {
    fn collect(entries: &Value, found: &mut Vec<(String, String)>) {
        for entry in entries.as_array().into_iter().flatten() {
            let text = |key: &str| entry[key].as_str().unwrap_or_default().to_owned();
            found.push((text("field").trim_end_matches(':').to_owned(), text("data")));
            collect(&entry["children"], found);
        }
    }
    let json: Value = serde_json::from_str(&tool("lscpu", &["-B", "-J"])).unwrap();
    let mut found = Vec::new();
    collect(&json["lscpu"], &mut found);
    assert!(!found.is_empty(), "lscpu says something");
    found
}

#[test]
fn processors_are_those_of_lscpu() {
    let (info, fields) = (sysinfo(&[]), lscpu());
    let field = |name: &str| {
        let found = fields.iter().find(|(known, _)| known == name);
        found.map(|(_, data)| data.as_str()).filter(|data| *data != "-" && !data.is_empty())
    };
    let check = |name: &str, value: &Value| {
        if let Some(data) = field(name) {
            assert_eq!(value, data, "{name}");
        }
    };
    let cpu = &info["cpu"];
    check("Architecture", &info["host"]["architecture"]);
    if let Some(order) = field("Byte Order") {
        let own = info["host"]["byte_order"].as_str().unwrap();
        assert_eq!(own, order.to_lowercase().replace(' ', "_"));
    }
    check("Vendor ID", &cpu["vendor"]);
    check("Model name", &cpu["model"]);
    for (name, key) in [("L1d", "l1d"), ("L1i", "l1i"), ("L2", "l2"), ("L3", "l3")] {
        // 65536 (2 instances)
        let Some(data) = field(&format!("{name} cache")) else { continue };
        let mut words = data.split(|c: char| !c.is_ascii_digit()).filter(|word| !word.is_empty());
        for what in ["bytes", "instances"] {
            let Some(number) = words.next() else { continue };
            assert_eq!(cpu[format!("{key}_{what}")].to_string(), number, "{name} {what}");
        }
    }
    if let Some(mhz) = field("CPU max MHz").and_then(|mhz| mhz.parse::<f64>().ok()) {
        assert_eq!(cpu["frequency_max_hz"].as_f64().unwrap().round(), (mhz * 1e6).round());
    }
    if field("Hypervisor vendor").is_some() && info["host"]["architecture"] == "x86_64" {
        assert!(!info["host"]["hypervisor"].is_null());
    }

    let online = tool("lscpu", &["-p=CPU,CORE,SOCKET"]);
    let rows: Vec<Vec<&str>> =
        online.lines().filter(|l| !l.starts_with('#')).map(|l| l.split(',').collect()).collect();
    assert_eq!(cpu["logical_cpus"], rows.len());
    let distinct = |column: usize| {
        let values = rows.iter().map(|row| row[column]).filter(|value| !value.is_empty());
        values.collect::<std::collections::BTreeSet<_>>().len()
    };
    for (key, column) in [("cores", 1), ("sockets", 2)] {
        // Where there is no topology to read, neither knows.
        if distinct(column) > 0 && !cpu[key].is_null() {
            assert_eq!(cpu[key], distinct(column), "{key}");
        }
    }
    // pid 17's current affinity mask: 3
    let mask = tool("bash", &["-c", "taskset -p $$"]);
    let mask = mask.rsplit(' ').next().unwrap();
    let usable: u32 = mask.chars().filter_map(|c| c.to_digit(16)).map(u32::count_ones).sum();
    assert_eq!(cpu["usable_cpus"], usable);
}

#[test]
fn names_are_those_of_uname() {
    let host = &sysinfo(&[])["host"];
    for (key, option) in [("name", "-n"), ("kernel", "-r"), ("architecture", "-m")] {
        assert_eq!(host[key], tool("uname", &[option]).trim(), "{key}");
    }
}

/// Returns total, free and available memory, and total and free swap.
fn free() -> [u64; 5] {
    let text = tool("free", &["-b"]);
    let line = |name: &str| -> Vec<u64> {
        let line = text.lines().find_map(|line| line.strip_prefix(name));
        let words = line.unwrap_or_else(|| panic!("{name} in {text}")).split_whitespace();
        words.map(|word| word.parse().unwrap()).collect()
    };
    let (ram, swap) = (line("Mem:"), line("Swap:"));
    [ram[0], ram[2], ram[5], swap[0], swap[2]]
}

#[test]
fn memory_is_that_of_free() {
    let (before, info, after) = (free(), sysinfo(&[]), free());
    let memory = &info["memory"];
    assert_eq!(memory["ram_total_bytes"], before[0]);
    assert_eq!(memory["swap_total_bytes"], before[3]);
    for (key, at) in [("ram_free_bytes", 1), ("ram_available_bytes", 2), ("swap_free_bytes", 4)] {
        check_between(&memory[key], [before[at], after[at]], before[0] / 8, key);
    }
}

/// Returns a line of `/proc/meminfo`, in its own unit.
fn meminfo(name: &str) -> u64 {
    let text = std::fs::read_to_string("/proc/meminfo").unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix(&format!("{name}:")));
    line.unwrap().split_whitespace().next().unwrap().parse().unwrap()
}

#[test]
fn pages_are_those_of_meminfo_and_getconf() {
    let cached = || (meminfo("Buffers") * 1024, meminfo("Cached") * 1024);
    let (before, info, after) = (cached(), sysinfo(&[]), cached());
    let (memory, huge) = (&info["memory"], &info["huge_pages"]);
    let slack = meminfo("MemTotal") * 1024 / 8;
    check_between(&memory["ram_buffers_bytes"], [before.0, after.0], slack, "buffers");
    check_between(&memory["ram_cached_bytes"], [before.1, after.1], slack, "cached");
    assert_eq!(memory["page_bytes"], numbers("getconf", &["PAGESIZE"])[0]);
    if huge["page_bytes"].is_null() {
        return; // a kernel without huge pages
    }
    assert_eq!(huge["page_bytes"], meminfo("Hugepagesize") * 1024);
    for (key, name) in
        [("total", "Total"), ("free", "Free"), ("reserved", "Rsvd"), ("surplus", "Surp")]
    {
        assert_eq!(huge[key], meminfo(&format!("HugePages_{name}")), "{key}");
    }
}

/// Limits that differ from whatever the tests run under.
const LOWERED: &str = "ulimit -Sn 200; ulimit -Ss 4096; ulimit -Sc 0; ulimit -Sf 3000000;";

#[test]
fn limits_are_those_of_ulimit() {
    let script = format!(r#"{LOWERED} exec "$0" sysinfo --json --data-dir /"#);
    let info: Value = serde_json::from_str(&tool("bash", &["-c", &script, PROGRAM])).unwrap();
    let limits = &info["limits"];
    // Options, and bytes in the shell's unit.
    let shared = [
        ("open_files", "n", 1),
        ("processes", "u", 1),
        ("stack_bytes", "s", 1024),
        ("locked_bytes", "l", 1024),
        ("core_bytes", "c", 1024),
        ("file_bytes", "f", 1024),
        ("address_bytes", "v", 1024),
    ];
    for (key, option, unit) in shared {
        for (kind, letter) in [("soft", "S"), ("hard", "H")] {
            let said = tool("bash", &["-c", &format!("{LOWERED} ulimit -{letter}{option}")]);
            let own = &limits[format!("{key}_{kind}")];
            match said.trim() {
                "unlimited" => assert_eq!(own, "unlimited", "{key} {kind}"),
                // The shell rounds down to its unit.
                number => {
                    let own = own.as_u64().unwrap_or_else(|| panic!("{key} {kind} is {own}"));
                    assert_eq!(own / unit, number.parse::<u64>().unwrap(), "{key} {kind}");
                }
            }
        }
    }
    assert_eq!(limits["open_files_soft"], 200);
    assert_eq!(limits["stack_bytes_soft"], 4 << 20);
}

#[test]
fn the_data_directory_is_that_of_stat() {
    let office = Office::new();
    let there = office.path("").display().to_string();
    let not_yet = office.path("not/yet").display().to_string();
    let stat = || {
        let text = tool("stat", &["-f", "-c", "%t %s %S %b %f %a %c %d", &there]);
        let words: Vec<String> = text.split_whitespace().map(str::to_owned).collect();
        let number = |at: usize| words[at].parse::<u64>().unwrap();
        (words[0].clone(), [1, 2, 3, 4, 5, 6, 7].map(number))
    };
    let (magic, before) = stat();
    let info = sysinfo_of(&not_yet, &[]);
    let (_, after) = stat();
    let data = &info["data"];
    assert_eq!(data["path"], *not_yet);
    assert_eq!(data["exists"], false);
    assert_eq!(data["found_path"], there.trim_end_matches('/'));
    assert!(!office.path("not").exists(), "nothing was made");
    assert_eq!(data["filesystem_magic"], *magic);
    let [block, fragment, total, .., inodes, _] = before;
    assert_eq!(data["block_bytes"], block);
    assert_eq!(data["total_bytes"], total * fragment);
    let slack = 1 << 30;
    let bytes = |at: usize| [before[at] * fragment, after[at] * fragment];
    check_between(&data["free_bytes"], bytes(3), slack, "free");
    check_between(&data["available_bytes"], bytes(4), slack, "available");
    if inodes == 0 {
        assert!(data["inodes_total"].is_null(), "not counted is not none");
    } else {
        assert_eq!(data["inodes_total"], inodes);
        check_between(&data["inodes_free"], [before[6], after[6]], 100_000, "inodes");
    }
}

#[test]
fn network_and_kernel_are_those_of_proc() {
    let info = sysinfo(&[]);
    for (group, key, path) in [
        ("network", "somaxconn", "net/core/somaxconn"),
        ("network", "rmem_max_bytes", "net/core/rmem_max"),
        ("network", "wmem_default_bytes", "net/core/wmem_default"),
        ("kernel", "pids_max", "kernel/pid_max"),
        ("kernel", "threads_max", "kernel/threads-max"),
        ("memory", "overcommit_memory", "vm/overcommit_memory"),
    ] {
        let text = std::fs::read_to_string(format!("/proc/sys/{path}"));
        let expected = text.ok().and_then(|text| text.trim().parse::<u64>().ok());
        assert_eq!(info[group][key].as_u64(), expected, "{key}");
    }
    let mtu = std::fs::read_to_string("/sys/class/net/lo/mtu").ok();
    let mtu = mtu.and_then(|text| text.trim().parse::<u64>().ok());
    assert_eq!(info["network"]["mtu_bytes"]["lo"].as_u64(), mtu);
}

#[test]
fn too_few_open_files_are_told_with_what_to_do() {
    let script = r#"ulimit -n 64; exec "$0" sysinfo --data-dir / "$@""#;
    let json = tool("bash", &["-c", script, PROGRAM, "--json"]);
    let json: Value = serde_json::from_str(&json).unwrap();
    let hints = json["hints"].as_array().unwrap();
    let hint = hints.iter().find(|hint| hint["value"] == "limits.open_files_hard").unwrap();
    assert_eq!((&hint["severity"], &hint["is"]), (&Value::from("limit"), &Value::from(64)));
    assert_eq!(hint["needs"], json["needs"]["files_of_child"]);
    let text = tool("bash", &["-c", script, PROGRAM]);
    assert!(text.contains("what limits scenario default here"), "{text}");
    assert!(text.lines().any(|line| line.starts_with(" ! open files")), "{text}");
    let few = tool("bash", &["-c", script, PROGRAM, "-u", "5", "-w", "2", "--json"]);
    let few: Value = serde_json::from_str(&few).unwrap();
    let hints = few["hints"].as_array().unwrap();
    assert!(hints.iter().all(|hint| hint["value"] != "limits.open_files_hard"), "{hints:?}");
}

#[test]
fn lines_fit_a_screen_and_mistakes_are_told() {
    let text = tool(PROGRAM, &["sysinfo", "--data-dir", "/"]);
    assert!(text.lines().all(|line| line.chars().count() <= 100), "{text}");
    for args in [&["sysinfo", "-s", "stedy"][..], &["sysinfo", "-w", "0"]] {
        let output = run(args);
        assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
    }
}

#[test]
fn a_running_office_has_no_more_than_it_was_said_to_need() {
    let mut office = Office::new();
    let wishes = ["-u", "20", "-w", "5", "--set", "service.letters.work=spin"];
    let needs = sysinfo(&wishes)["needs"].clone();
    let need = |key: &str| needs[key].as_u64().unwrap();
    office.start(&[&wishes[..], &["-d", "60s"]].concat());
    office.wait_for_processes("worker", 5);
    office.wait_for_processes("user", 20);
    office.wait_for_tickets(50);
    let count = |path: String| std::path::Path::new(&path).read_dir().map_or(0, Iterator::count);
    let files = |pid| count(format!("/proc/{pid}/fd")) as u64;
    let threads = |pid| count(format!("/proc/{pid}/task")) as u64;
    let (director, children) = (office.pid(), descendants(office.pid()));
    assert!(files(director) <= need("files_of_director"), "{}", files(director));
    for &pid in &children {
        let role = arguments(pid);
        assert!(files(pid) <= need("files_of_child"), "{role:?} has {} files", files(pid));
    }
    let tasks: u64 = threads(director) + children.iter().map(|pid| threads(*pid)).sum::<u64>();
    assert!(tasks <= need("tasks"), "{tasks}");
    assert_eq!(need("connections"), 25);
}
