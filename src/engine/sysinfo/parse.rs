//! Text of `/proc` and `/sys` files as numbers. What is not as expected is `None`: whoever wrote
//! these files is another kernel than the one that they were tried on.

use std::collections::{BTreeMap, BTreeSet};

use super::snapshot::Limit;
use crate::limits::CPUS_MAX;

/// Reads a file of one number.
pub(super) fn number(text: &str) -> Option<u64> {
    text.trim().parse().ok()
}

/// Reads a file of one word or phrase; `None` if it is empty.
pub(super) fn phrase(text: &str) -> Option<String> {
    let text = text.trim_matches(|c: char| c.is_whitespace() || c == '\0');
    (!text.is_empty()).then(|| text.to_owned())
}

/// Reads a file of 0 or 1.
pub(super) fn flag(text: &str) -> Option<bool> {
    match number(text)? {
        0 => Some(false),
        1 => Some(true),
        _ => None,
    }
}

/// Reads the size of a cache: `32K`, `1M`, `512`.
pub(super) fn size(text: &str) -> Option<u64> {
    let text = text.trim();
    let (digits, unit) = match text.as_bytes().last()? {
        b'K' => (&text[..text.len() - 1], 1 << 10),
        b'M' => (&text[..text.len() - 1], 1 << 20),
        b'G' => (&text[..text.len() - 1], 1 << 30),
        _ => (text, 1),
    };
    digits.parse::<u64>().ok()?.checked_mul(unit).filter(|bytes| *bytes > 0)
}

/// Reads a list of CPUs: `0-3,8,10-11`.
pub(super) fn cpu_list(text: &str) -> Option<BTreeSet<u32>> {
    let mut cpus = BTreeSet::new();
    let text = text.trim();
    for part in text.split(',').filter(|_| !text.is_empty()) {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last) = (first.parse::<u32>().ok()?, last.parse::<u32>().ok()?);
        if first > last || last >= CPUS_MAX {
            return None;
        }
        cpus.extend(first..=last);
    }
    Some(cpus)
}

/// Reads which of several words is chosen: `none [mq-deadline] kyber`. A single word is.
pub(super) fn chosen(text: &str) -> Option<String> {
    let mut words = text.split_whitespace();
    let bracketed = |word: &str| Some(word.strip_prefix('[')?.strip_suffix(']')?.to_owned());
    let found = text.split_whitespace().find_map(bracketed);
    found.or_else(|| match (words.next(), words.next()) {
        (Some(only), None) if !only.contains(['[', ']']) => Some(only.to_owned()),
        _ => None,
    })
}

/// Reads two numbers: `32768 60999`.
pub(super) fn pair(text: &str) -> Option<(u64, u64)> {
    let mut numbers = text.split_whitespace().map(|word| word.parse().ok());
    match (numbers.next(), numbers.next(), numbers.next()) {
        (Some(Some(first)), Some(Some(last)), None) => Some((first, last)),
        _ => None,
    }
}

/// Reads lines such as `MemTotal: 2048 kB`, `HugePages_Total: 0` or `inactive_file 4096`, in
/// bytes where there is a unit. Lines that are otherwise are left out.
pub(super) fn fields(text: &str) -> BTreeMap<&str, u64> {
    let field = |line| -> Option<(&str, u64)> {
        let mut words = str::split_whitespace(line);
        let name = words.next()?.trim_end_matches(':');
        let number: u64 = words.next()?.parse().ok()?;
        let number = match words.next() {
            None => number,
            Some("kB") => number.checked_mul(1 << 10)?,
            Some(_) => return None,
        };
        Some((name, number))
    };
    text.lines().filter_map(field).collect()
}

/// Reads how fast CPUs are from `/proc/cpuinfo`, averaged. BogoMIPS are no frequency; where
/// nothing else is written, as on ARM, it is not known.
pub(super) fn cpu_hz(cpuinfo: &str) -> Option<u64> {
    let mhz = cpuinfo.lines().filter_map(|line| {
        let (name, value) = line.split_once(':')?;
        let is_mhz = matches!(name.trim(), "cpu MHz" | "clock");
        let value: f64 = value.trim().trim_end_matches("MHz").parse().ok()?;
        (is_mhz && value.is_finite() && value > 0.0).then_some(value)
    });
    let (sum, count) = mhz.fold((0.0, 0.0), |(sum, count), mhz| (sum + mhz, count + 1.0));
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "positive")]
    (count > 0.0).then(|| (sum / count * 1e6).round() as u64)
}

/// Returns whether `/proc/cpuinfo` says that a hypervisor stands below; only x86 does.
pub(super) fn has_hypervisor_flag(cpuinfo: &str) -> bool {
    let flags = cpuinfo.lines().find(|line| line.starts_with("flags"));
    flags.is_some_and(|flags| flags.split_whitespace().any(|flag| flag == "hypervisor"))
}

/// Reads a limit of a control group: `max` or a number. Version 1 writes a number near the
/// largest one for no limit.
pub(super) fn cgroup_limit(text: &str) -> Option<Limit> {
    /// The largest signed number, rounded down to pages of 64 KiB.
    const NO_LIMIT: u64 = i64::MAX as u64 & !0xffff;
    match text.trim() {
        "max" => Some(Limit::Unlimited),
        text => match text.parse().ok()? {
            NO_LIMIT.. => Some(Limit::Unlimited),
            limit => Some(Limit::Of(limit)),
        },
    }
}

/// Reads `cpu.max`: `max 100000` or `150000 100000`, quota and period.
pub(super) fn cpu_max(text: &str) -> Option<Limit<f64>> {
    let (quota, period) = text.trim().split_once(' ')?;
    match quota {
        "max" => Some(Limit::Unlimited),
        quota => quota_of(quota, period),
    }
}

/// Reads `cpu.cfs_quota_us` and `cpu.cfs_period_us`; -1 is no quota.
pub(super) fn cfs(quota: &str, period: &str) -> Option<Limit<f64>> {
    match quota.trim() {
        "-1" => Some(Limit::Unlimited),
        quota => quota_of(quota, period),
    }
}

fn quota_of(quota: &str, period: &str) -> Option<Limit<f64>> {
    let (quota, period): (u32, u32) = (quota.parse().ok()?, period.trim().parse().ok()?);
    (quota > 0 && period > 0).then(|| Limit::Of(f64::from(quota) / f64::from(period)))
}

/// Reads a path of `/proc/self/mountinfo`, in which odd bytes are octal: `/my\040disk`.
pub(super) fn unescaped(path: &str) -> String {
    let mut bytes = Vec::with_capacity(path.len());
    let mut rest = path.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        let code = after.get(..3).and_then(|digits| std::str::from_utf8(digits).ok());
        match code.and_then(|digits| u8::from_str_radix(digits, 8).ok()) {
            Some(code) if byte == b'\\' => {
                bytes.push(code);
                rest = &after[3..];
            }
            _ => {
                bytes.push(byte);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Returns whether `/proc/self/uid_map` is that of the machine itself, where users are what they
/// are, and not of a container that has its own.
pub(super) fn maps_all_users(uid_map: &str) -> bool {
    uid_map.split_whitespace().eq(["0", "0", "4294967295"])
}

/// Returns the kind of container whose first process is in these control groups.
pub(super) fn container_of(init_cgroup: &str) -> Option<&'static str> {
    let marks = [
        ("/kubepods", "kubernetes"),
        ("/docker", "docker"),
        ("/libpod", "podman"),
        ("/lxc", "lxc"),
        ("/machine.slice", "machine"),
    ];
    marks.iter().find(|(mark, _)| init_cgroup.contains(mark)).map(|(_, kind)| *kind)
}

/// Returns what kind of disk has such a name.
pub(super) fn disk_kind(name: &str) -> Option<&'static str> {
    let kinds = [
        ("nvme", "NVMe"),
        ("vd", "virtio"),
        ("xvd", "Xen"),
        ("sd", "SCSI or SATA"),
        ("mmcblk", "MMC"),
        ("dm-", "device mapper"),
        ("md", "RAID"),
        ("loop", "loop"),
        ("zram", "RAM"),
        ("nbd", "network"),
        ("rbd", "network"),
    ];
    kinds.iter().find(|(start, _)| name.starts_with(start)).map(|(_, kind)| *kind)
}

#[cfg(test)]
mod tests;
