//! The snapshot as one table: what people read, JSON, exports and panels all come from it.
//!
//! A group has a key and rows; a row is one line for people and one or more values for machines.
//! Keys carry their unit; `group.key` names a value everywhere, in hints too.

use engine::sysinfo::{
    Amount, Cache, CacheKind, Cgroup, Cpu, DataPlace, Disk, Host, HugePages, Kernel, Limit, Limits,
    Memory, Network, RLimit, SysInfo,
};
use serde_json::{Value, json};

use crate::app::format::{self, ABSENT, bytes, count, percent};

/// Rows that belong together.
#[derive(Clone, Debug)]
pub(crate) struct Group {
    /// What machines call it.
    pub(crate) key: &'static str,
    /// What people read.
    pub(crate) title: &'static str,
    pub(crate) rows: Vec<Row>,
}

/// One line.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    /// What people call it.
    pub(crate) name: String,
    /// What people read.
    pub(crate) text: String,
    /// What machines read: key and value, in base units, null if it is not known.
    pub(crate) values: Vec<(String, Value)>,
}

/// Returns all that is known of a machine, in the order in which it is shown.
pub(crate) fn table(info: &SysInfo) -> Vec<Group> {
    let group = |key, title, rows| Group { key, title, rows };
    let no_disk = Disk::default();
    vec![
        group("host", "host", host(&info.host)),
        group("cpu", "processors", cpu(&info.cpu, info.cpus_effective())),
        group("memory", "memory", memory(&info.memory)),
        group("huge_pages", "huge pages", huge_pages(&info.huge_pages)),
        group("limits", "limits of a process", limits(&info.limits)),
        group("cgroup", "control group", cgroup(&info.cgroup)),
        group("data", "data directory", data(&info.data)),
        group("disk", "disk", disk(info.disk.as_ref().unwrap_or(&no_disk))),
        group("network", "network", network(&info.network)),
        group("kernel", "kernel", kernel(&info.kernel)),
    ]
}

/// Returns the table for machines: an object for each group.
pub(crate) fn to_json(groups: &[Group]) -> serde_json::Map<String, Value> {
    let values = |group: &Group| {
        let rows = group.rows.iter().flat_map(|row| row.values.iter().cloned());
        Value::Object(rows.collect())
    };
    groups.iter().map(|group| (group.key.to_owned(), values(group))).collect()
}

/// Writes an amount of a hint.
pub(crate) fn amount(amount: &Amount) -> String {
    match amount {
        Amount::Count(number) => count(*number),
        Amount::Bytes(number) => bytes(*number),
        Amount::Number(number) => cpus(*number),
        Amount::Ratio(ratio) => percent(*ratio),
        Amount::Word(word) => word.clone(),
    }
}

/// Returns an amount of a hint for machines.
pub(crate) fn amount_json(amount: &Amount) -> Value {
    match amount {
        Amount::Count(number) | Amount::Bytes(number) => json!(number),
        Amount::Number(number) | Amount::Ratio(number) => json!(number),
        Amount::Word(word) => json!(word),
    }
}

/// A line of which nothing is known if none of its values is.
fn row(name: &str, text: String, values: &[(&str, Value)]) -> Row {
    let is_absent = values.iter().all(|(_, value)| value.is_null());
    let text = if is_absent { ABSENT.to_owned() } else { text };
    let values = values.iter().map(|(key, value)| ((*key).to_owned(), value.clone())).collect();
    Row { name: name.to_owned(), text, values }
}

/// A line of one value.
fn one<T: Clone + Into<Value>>(
    name: &str,
    key: &str,
    value: &Option<T>,
    text: impl FnOnce(&T) -> String,
) -> Row {
    row(name, or_absent(value.as_ref(), text), &[(key, json_of(value))])
}

/// A line of one phrase.
fn phrase(name: &str, key: &str, value: &Option<String>) -> Row {
    one(name, key, value, String::clone)
}

fn json_of<T: Clone + Into<Value>>(value: &Option<T>) -> Value {
    value.clone().map_or(Value::Null, Into::into)
}

fn or_absent<T>(value: Option<T>, text: impl FnOnce(T) -> String) -> String {
    value.map_or_else(|| ABSENT.to_owned(), text)
}

fn counted(value: Option<u64>) -> String {
    or_absent(value, count)
}

fn things(value: Option<u64>, what: &str) -> String {
    value.map_or_else(|| format!("{ABSENT} {what}s"), |value| format::counted(value, what))
}

fn sized(value: Option<u64>) -> String {
    or_absent(value, bytes)
}

/// Writes a size and, where that is not the same, its exact bytes.
fn exactly(value: &u64) -> String {
    let (text, exact) = (bytes(*value), count(*value));
    if *value < 1024 { text } else { format!("{text} ({exact} B)") }
}

fn yes_no(value: &bool) -> String {
    if *value { "yes" } else { "no" }.to_owned()
}

/// Writes a number of CPUs or a load: `4`, `1.50`.
fn cpus(number: f64) -> String {
    if number.fract() == 0.0 { format!("{number:.0}") } else { format!("{number:.2}") }
}

#[expect(clippy::cast_precision_loss, reason = "three digits are shown")]
fn hertz(hz: u64) -> String {
    format!("{:.2} GHz", hz as f64 / 1e9)
}

fn limit_json<T: Into<Value> + Copy>(limit: Option<Limit<T>>) -> Value {
    match limit {
        None => Value::Null,
        Some(Limit::Unlimited) => json!("unlimited"),
        Some(Limit::Of(bound)) => bound.into(),
    }
}

fn limit_text<T>(limit: Option<Limit<T>>, text: impl FnOnce(T) -> String) -> String {
    or_absent(limit, |limit| match limit {
        Limit::Unlimited => "unlimited".to_owned(),
        Limit::Of(bound) => text(bound),
    })
}

fn host(host: &Host) -> Vec<Row> {
    let load = host.load.map(|load| load.map(|load| format!("{load:.2}")).join("  "));
    let [one_m, five_m, fifteen_m] =
        host.load.map_or([Value::Null, Value::Null, Value::Null], |load| {
            load.map(|load| json!((load * 100.0).round() / 100.0))
        });
    let endianness = if host.is_little_endian { "little" } else { "big" };
    let architecture =
        or_absent(host.architecture.as_ref(), |name| format!("{name}, {endianness}-endian"));
    let uptime = host.uptime.map(|uptime| uptime.as_secs());
    vec![
        phrase("name", "name", &host.name),
        phrase("system", "os", &host.os),
        phrase("kernel", "kernel", &host.kernel),
        row(
            "architecture",
            architecture,
            &[
                ("architecture", json_of(&host.architecture)),
                ("byte_order", json!(format!("{endianness}_endian"))),
            ],
        ),
        phrase("machine", "machine", &host.machine),
        phrase("hypervisor", "hypervisor", &host.hypervisor),
        phrase("container", "container", &host.container),
        row("up for", or_absent(host.uptime, long_span), &[("uptime_s", json_of(&uptime))]),
        row(
            "load 1, 5, 15 min",
            load.unwrap_or_else(|| ABSENT.to_owned()),
            &[("load_1m", one_m), ("load_5m", five_m), ("load_15m", fifteen_m)],
        ),
    ]
}

/// Writes how long a machine has been up: `3 d 04 h`, or as any span below a day.
fn long_span(span: std::time::Duration) -> String {
    let hours = span.as_secs() / 3600;
    if hours < 24 { format::duration(span) } else { format!("{}d{:02}h", hours / 24, hours % 24) }
}

fn cpu(cpu: &Cpu, effective: Option<f64>) -> Vec<Row> {
    let frequency = &cpu.frequency;
    let (busy, io_wait, steal) = (
        cpu.usage.map(|usage| usage.busy),
        cpu.usage.map(|usage| usage.io_wait),
        cpu.usage.map(|usage| usage.steal),
    );
    let mut rows = vec![
        phrase("vendor", "vendor", &cpu.vendor),
        phrase("model", "model", &cpu.model),
        row(
            "online",
            format!(
                "{}, {}, {}",
                things(cpu.logical, "logical CPU"),
                things(cpu.cores, "core"),
                things(cpu.sockets, "socket")
            ),
            &[
                ("logical_cpus", json_of(&cpu.logical)),
                ("cores", json_of(&cpu.cores)),
                ("sockets", json_of(&cpu.sockets)),
            ],
        ),
        row(
            "CPUs for a run",
            format!(
                "{} by its mask, {} with the control group's quota",
                counted(cpu.usable),
                or_absent(effective, cpus)
            ),
            &[("usable_cpus", json_of(&cpu.usable)), ("effective_cpus", json_of(&effective))],
        ),
        row(
            "frequency",
            format!(
                "{} now, {} at most",
                or_absent(frequency.current_hz, hertz),
                or_absent(frequency.max_hz, hertz)
            ),
            &[
                ("frequency_hz", json_of(&frequency.current_hz)),
                ("frequency_max_hz", json_of(&frequency.max_hz)),
            ],
        ),
        phrase("frequency driver", "frequency_driver", &frequency.driver),
        phrase("governor", "frequency_governor", &frequency.governor),
        row(
            "CPU use",
            format!(
                "{} busy, {} waiting for I/O, {} stolen",
                or_absent(busy, percent),
                or_absent(io_wait, percent),
                or_absent(steal, percent)
            ),
            &[("busy", json_of(&busy)), ("io_wait", json_of(&io_wait)), ("steal", json_of(&steal))],
        ),
    ];
    let usual = [
        (1, CacheKind::Data),
        (1, CacheKind::Instruction),
        (2, CacheKind::Unified),
        (3, CacheKind::Unified),
    ];
    for (level, kind) in usual {
        let found = cpu.caches.iter().find(|cache| (cache.level, cache.kind) == (level, kind));
        rows.push(cache(level, kind, found));
    }
    let others = cpu.caches.iter().filter(|cache| !usual.contains(&(cache.level, cache.kind)));
    rows.extend(others.map(|other| cache(other.level, other.kind, Some(other))));
    rows
}

fn cache(level: u8, kind: CacheKind, found: Option<&Cache>) -> Row {
    let suffix = match kind {
        CacheKind::Data => "d",
        CacheKind::Instruction => "i",
        CacheKind::Unified => "",
    };
    let text = or_absent(found, |cache| {
        let each = match cache.instance_bytes {
            Some(each) => format!("{} × {}", count(cache.instances), bytes(each)),
            None => format!("{} of several sizes", count(cache.instances)),
        };
        let line = or_absent(cache.line_bytes, |line| format!("lines of {}", bytes(line)));
        format!("{}: {each}, {line}", bytes(cache.total_bytes))
    });
    let key = |what: &str| format!("l{level}{suffix}_{what}");
    let value = |get: fn(&Cache) -> Option<u64>| json_of(&found.and_then(get));
    Row {
        name: format!("L{level}{suffix}"),
        text,
        values: vec![
            (key("bytes"), value(|cache| Some(cache.total_bytes))),
            (key("instances"), value(|cache| Some(cache.instances))),
            (key("instance_bytes"), value(|cache| cache.instance_bytes)),
            (key("line_bytes"), value(|cache| cache.line_bytes)),
        ],
    }
}

fn memory(memory: &Memory) -> Vec<Row> {
    let swap = match (memory.swap_total_bytes, memory.swap_free_bytes) {
        (Some(0), _) => "none".to_owned(),
        (Some(total), Some(free)) => {
            format!("{} of {} used", bytes(total.saturating_sub(free)), bytes(total))
        }
        (total, _) => sized(total),
    };
    let overcommit = or_absent(memory.overcommit_memory, |mode| match mode {
        0 => "0, the kernel guesses".to_owned(),
        1 => "1, never refused".to_owned(),
        2 => "2, strictly counted".to_owned(),
        other => other.to_string(),
    });
    vec![
        one("RAM", "ram_total_bytes", &memory.total_bytes, exactly),
        one("RAM available", "ram_available_bytes", &memory.available_bytes, exactly),
        row(
            "free, buffers, cache",
            format!(
                "{}, {}, {}",
                sized(memory.free_bytes),
                sized(memory.buffers_bytes),
                sized(memory.cached_bytes)
            ),
            &[
                ("ram_free_bytes", json_of(&memory.free_bytes)),
                ("ram_buffers_bytes", json_of(&memory.buffers_bytes)),
                ("ram_cached_bytes", json_of(&memory.cached_bytes)),
            ],
        ),
        row(
            "swap",
            swap,
            &[
                ("swap_total_bytes", json_of(&memory.swap_total_bytes)),
                ("swap_free_bytes", json_of(&memory.swap_free_bytes)),
            ],
        ),
        one("page", "page_bytes", &memory.page_bytes, |page| bytes(*page)),
        row("overcommit", overcommit, &[("overcommit_memory", json_of(&memory.overcommit_memory))]),
    ]
}

fn huge_pages(pages: &HugePages) -> Vec<Row> {
    let set_aside = match pages.total {
        Some(0) => "none".to_owned(),
        total => format!(
            "{}, {} free, {} of those reserved",
            counted(total),
            counted(pages.free),
            counted(pages.reserved)
        ),
    };
    vec![
        one("page", "page_bytes", &pages.page_bytes, |page| bytes(*page)),
        row(
            "set aside",
            set_aside,
            &[
                ("total", json_of(&pages.total)),
                ("free", json_of(&pages.free)),
                ("reserved", json_of(&pages.reserved)),
            ],
        ),
        row(
            "surplus",
            format!("{} of {} allowed", counted(pages.surplus), counted(pages.overcommit)),
            &[("surplus", json_of(&pages.surplus)), ("overcommit", json_of(&pages.overcommit))],
        ),
        phrase("transparent", "transparent", &pages.transparent),
    ]
}

fn limits(limits: &Limits) -> Vec<Row> {
    let line = |name: &str, key: &str, limit: Option<RLimit>, text: fn(u64) -> String| {
        let (soft, hard) = (limit.map(|limit| limit.soft), limit.map(|limit| limit.hard));
        let text = format!("{} soft, {} hard", limit_text(soft, text), limit_text(hard, text));
        let (soft_key, hard_key) = (format!("{key}_soft"), format!("{key}_hard"));
        row(name, text, &[(&soft_key, limit_json(soft)), (&hard_key, limit_json(hard))])
    };
    vec![
        line("open files", "open_files", limits.open_files, count),
        line("processes", "processes", limits.processes, count),
        line("stack", "stack_bytes", limits.stack_bytes, bytes),
        line("locked memory", "locked_bytes", limits.locked_bytes, bytes),
        line("core file", "core_bytes", limits.core_bytes, bytes),
        line("file size", "file_bytes", limits.file_bytes, bytes),
        line("address space", "address_bytes", limits.address_bytes, bytes),
    ]
}

fn cgroup(group: &Cgroup) -> Vec<Row> {
    let version = group.version.map(u64::from);
    vec![
        row(
            "group",
            or_absent(group.path.as_deref().zip(version), |(path, version)| {
                format!("{path}, version {version}")
            }),
            &[("version", json_of(&version)), ("path", json_of(&group.path))],
        ),
        row("CPUs", limit_text(group.cpus_max, cpus), &[("cpus_max", limit_json(group.cpus_max))]),
        row(
            "memory limit",
            limit_text(group.memory_max_bytes, bytes),
            &[("memory_max_bytes", limit_json(group.memory_max_bytes))],
        ),
        row(
            "slowed down above",
            limit_text(group.memory_high_bytes, bytes),
            &[("memory_high_bytes", limit_json(group.memory_high_bytes))],
        ),
        one("memory in use", "memory_current_bytes", &group.memory_current_bytes, exactly),
        Row {
            name: "memory left".to_owned(),
            text: left(group.memory_max_bytes, group.memory_available_bytes, bytes),
            values: vec![(
                "memory_available_bytes".to_owned(),
                json_of(&group.memory_available_bytes),
            )],
        },
        row(
            "processes limit",
            limit_text(group.tasks_max, count),
            &[("tasks_max", limit_json(group.tasks_max))],
        ),
        one("processes there", "tasks_current", &group.tasks_current, |tasks| count(*tasks)),
        Row {
            name: "processes left".to_owned(),
            text: left(group.tasks_max, group.tasks_available, count),
            values: vec![("tasks_available".to_owned(), json_of(&group.tasks_available))],
        },
    ]
}

/// Writes what a limit leaves.
fn left(max: Option<Limit>, left: Option<u64>, text: fn(u64) -> String) -> String {
    match max {
        Some(Limit::Unlimited) => "any amount".to_owned(),
        _ => or_absent(left, text),
    }
}

fn data(place: &DataPlace) -> Vec<Row> {
    let text_of = |path: &std::path::Path| path.display().to_string();
    let found = place.found.as_deref().map(text_of);
    let mount = place.mount_point.as_deref().map(text_of);
    let path = text_of(&place.path);
    let whether = match &found {
        Some(_) if place.exists() => path.clone(),
        Some(found) => format!("{path}, not there yet; what follows is of {found}"),
        None => format!("{path}, not there"),
    };
    let writable = match (place.is_read_only, place.is_writable) {
        (Some(true), _) => "no, mounted read-only".to_owned(),
        (_, writable) => or_absent(writable, |writable| yes_no(&writable)),
    };
    let syncs = match (&place.weakens_syncs, &place.mount_point) {
        (Some(option), _) => format!("weakened by the mount option {option}"),
        (None, Some(_)) => "not weakened by a mount option".to_owned(),
        (None, None) => ABSENT.to_owned(),
    };
    let filesystem = match (&place.filesystem, &place.filesystem_magic) {
        (Some(name), _) => name.clone(),
        (None, Some(magic)) => format!("magic number {magic}"),
        (None, None) => ABSENT.to_owned(),
    };
    vec![
        row(
            "path",
            whether,
            &[
                ("path", json!(path)),
                ("exists", json!(place.exists())),
                ("found_path", json_of(&found)),
            ],
        ),
        row(
            "writable",
            writable,
            &[
                ("writable", json_of(&place.is_writable)),
                ("read_only", json_of(&place.is_read_only)),
            ],
        ),
        row(
            "file system",
            format!(
                "{filesystem} on {}, mounted at {}",
                or_absent(place.device.clone(), |device| device),
                or_absent(mount.clone(), |mount| mount)
            ),
            &[
                ("filesystem", json_of(&place.filesystem)),
                ("filesystem_magic", json_of(&place.filesystem_magic)),
                ("device", json_of(&place.device)),
                ("mount_point", json_of(&mount)),
            ],
        ),
        Row {
            name: "syncs".to_owned(),
            text: syncs,
            values: vec![("weakens_syncs".to_owned(), json_of(&place.weakens_syncs))],
        },
        one("space available", "available_bytes", &place.available_bytes, exactly),
        row(
            "space free",
            format!("{} of {}", sized(place.free_bytes), sized(place.total_bytes)),
            &[
                ("free_bytes", json_of(&place.free_bytes)),
                ("total_bytes", json_of(&place.total_bytes)),
            ],
        ),
        row(
            "inodes",
            format!("{} of {} free", counted(place.inodes_free), counted(place.inodes_total)),
            &[
                ("inodes_free", json_of(&place.inodes_free)),
                ("inodes_total", json_of(&place.inodes_total)),
            ],
        ),
        one("block", "block_bytes", &place.block_bytes, |block| bytes(*block)),
    ]
}

fn disk(disk: &Disk) -> Vec<Row> {
    let name = Some(disk.name.clone()).filter(|name| !name.is_empty());
    let kind = disk.kind.map(str::to_owned);
    let text = or_absent(name.as_ref(), |name| {
        let parts = [Some(name), kind.as_ref(), disk.model.as_ref()];
        parts.into_iter().flatten().map(String::as_str).collect::<Vec<_>>().join(", ")
    });
    vec![
        row(
            "name",
            text,
            &[("name", json_of(&name)), ("kind", json_of(&kind)), ("model", json_of(&disk.model))],
        ),
        one("rotational", "rotational", &disk.is_rotational, |turns| match disk.kind {
            Some("virtio" | "Xen") if *turns => "yes, as virtual disks often say".to_owned(),
            _ => yes_no(turns),
        }),
        phrase("scheduler", "scheduler", &disk.scheduler),
        phrase("write cache", "write_cache", &disk.write_cache),
    ]
}

fn network(network: &Network) -> Vec<Row> {
    let mtu = |(name, bytes): (&str, u64)| format!("{name} {}", count(bytes));
    let interfaces = network.interfaces.iter().map(|i| (i.name.as_str(), i.mtu_bytes));
    let text = interfaces.clone().map(mtu).collect::<Vec<_>>().join(", ");
    let mtus: serde_json::Map<_, _> =
        interfaces.map(|(name, bytes)| (name.to_owned(), json!(bytes))).collect();
    let mtus = Some(Value::Object(mtus)).filter(|_| !text.is_empty());
    let ports = network.local_ports;
    let buffers = |default, max| format!("{} unless asked, {} at most", sized(default), sized(max));
    vec![
        row(
            "MTU",
            if text.is_empty() { ABSENT.to_owned() } else { text },
            &[("mtu_bytes", mtus.unwrap_or(Value::Null))],
        ),
        one("waiting connections", "somaxconn", &network.somaxconn, |max| {
            format!("{} at most (somaxconn)", count(*max))
        }),
        one("waiting datagrams", "unix_dgrams_max", &network.unix_dgrams_max, |max| {
            format!("{} at most in a Unix socket", count(*max))
        }),
        row(
            "receive buffer",
            buffers(network.rmem_default_bytes, network.rmem_max_bytes),
            &[
                ("rmem_default_bytes", json_of(&network.rmem_default_bytes)),
                ("rmem_max_bytes", json_of(&network.rmem_max_bytes)),
            ],
        ),
        row(
            "send buffer",
            buffers(network.wmem_default_bytes, network.wmem_max_bytes),
            &[
                ("wmem_default_bytes", json_of(&network.wmem_default_bytes)),
                ("wmem_max_bytes", json_of(&network.wmem_max_bytes)),
            ],
        ),
        row(
            "local ports",
            or_absent(ports, |(first, last)| format!("{first} to {last}")),
            &[
                ("local_port_first", json_of(&ports.map(|ports| ports.0))),
                ("local_port_last", json_of(&ports.map(|ports| ports.1))),
            ],
        ),
    ]
}

fn kernel(kernel: &Kernel) -> Vec<Row> {
    vec![
        row(
            "processes, threads",
            format!(
                "{} there, {} of this user",
                counted(kernel.tasks),
                counted(kernel.tasks_of_user)
            ),
            &[("tasks", json_of(&kernel.tasks)), ("tasks_of_user", json_of(&kernel.tasks_of_user))],
        ),
        one("threads at most", "threads_max", &kernel.threads_max, |max| count(*max)),
        one("process ids at most", "pids_max", &kernel.pids_max, |max| count(*max)),
        one("open files at most", "files_max", &kernel.files_max, |max| {
            // The kernel's own "no limit".
            if *max >= i64::MAX.unsigned_abs() { "unlimited".to_owned() } else { count(*max) }
        }),
    ]
}
