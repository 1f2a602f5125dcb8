//! `doctor`: what this terminal, these limits and this disk can do for an office, and what to do
//! about what they can't.
//!
//! Each check is one line with a grade. What the dashboard knows of the terminal comes in from
//! outside, as the director knows no terminal.

use std::fs::File;
use std::io::{self, Write as _};
use std::path::Path;
use std::time::Duration;

use color_eyre::eyre::Result;
use engine::clock::{Clock, SystemClock};
use engine::sysinfo::{self, DataPlace, Severity};
use serde_json::json;

use super::cli::SysinfoArgs;
use super::commands::{scenario, usage};
use super::datadir::DataDir;
use super::exit::Exit;
use super::sysinfo::{advice, needs_of};
use super::{format, output};

/// Syncs that are measured.
const SYNCS: usize = 7;
/// Bytes that each of them makes durable: a small batch of the log.
const SYNC_BYTES: usize = 4096;
/// A sync that takes longer makes the office with its usual settings wait for the disk.
const SYNC_SLOW: Duration = Duration::from_millis(10);
/// Less room than this is soon used up.
const ROOM_SMALL_BYTES: u64 = 1 << 30;
/// Less than this does not even hold one segment of the log and the index's beginnings.
const ROOM_NONE_BYTES: u64 = 128 << 20;
/// Room for names below the runtime directory in a socket's address.
const RUNTIME_PATH_BYTES_MAX: usize = 60;

/// How good something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Grade {
    /// As it should be.
    Ok,
    /// Something goes less well than it could.
    Warn,
    /// Something does not go at all.
    Bad,
}

impl Grade {
    fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warn => "warn",
            Self::Bad => "bad",
        }
    }
}

/// One line of the verdict.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Check {
    /// `terminal`, `limits`, `data` or `machine`.
    pub(crate) group: &'static str,
    /// What was looked at.
    pub(crate) name: String,
    /// How good it is.
    pub(crate) grade: Grade,
    /// What it is, and how that is known.
    pub(crate) found: String,
    /// What to do; empty if nothing need be done.
    pub(crate) advice: String,
}

impl Check {
    /// Returns a check that found all well.
    pub(crate) fn ok(group: &'static str, name: &str, found: impl Into<String>) -> Self {
        let (name, found) = (name.to_owned(), found.into());
        Self { group, name, grade: Grade::Ok, found, advice: String::new() }
    }

    /// Returns the same as something that could go better.
    pub(crate) fn warn(self, advice: impl Into<String>) -> Self {
        Self { grade: Grade::Warn, advice: advice.into(), ..self }
    }

    /// Returns the same as something that does not go at all.
    pub(crate) fn bad(self, advice: impl Into<String>) -> Self {
        Self { grade: Grade::Bad, advice: advice.into(), ..self }
    }
}

/// Runs the command; `terminal` is what the dashboard knows.
///
/// # Errors
/// If there is nobody to tell.
pub(crate) fn run(args: &SysinfoArgs, terminal: Vec<Check>) -> Result<Exit> {
    let effective = match scenario(&args.scenario, &args.overrides.overrides()) {
        Ok(effective) => effective,
        Err(error) => return Ok(usage(&error)),
    };
    let data_dir = match args.data.data_dir.clone().map_or_else(DataDir::default_path, Ok) {
        Ok(data_dir) => data_dir,
        Err(error) => return Ok(usage(&error)),
    };
    let info = sysinfo::look(&data_dir);
    let log_bytes = engine::storage::file_bytes(&data_dir).unwrap_or(0);
    let needs = needs_of(&effective.scenario, log_bytes);
    let mut checks = terminal;
    checks.extend(limits(&effective.title, advice(&info, &needs)));
    checks.extend(data_checks(&info.data, &data_dir));
    checks.push(runtime_check(std::env::var("XDG_RUNTIME_DIR").ok().as_deref()));
    let clock = "/sys/devices/system/clocksource/clocksource0/current_clocksource";
    checks.push(clock_check(std::fs::read_to_string(clock).ok().as_deref().map(str::trim)));
    output::say(&if args.json { to_json(&checks)? } else { to_text(&checks) });
    Ok(if verdict(&checks) == Grade::Bad { Exit::Failed } else { Exit::Done })
}

fn verdict(checks: &[Check]) -> Grade {
    checks.iter().map(|check| check.grade).max().unwrap_or(Grade::Ok)
}

fn to_json(checks: &[Check]) -> Result<String> {
    let check = |check: &Check| {
        json!({
            "group": check.group,
            "name": check.name,
            "grade": check.grade.name(),
            "found": check.found,
            "advice": (!check.advice.is_empty()).then_some(&check.advice),
        })
    };
    let checks_json: Vec<_> = checks.iter().map(check).collect();
    let json = json!({ "ok": verdict(checks) != Grade::Bad, "checks": checks_json });
    Ok(format!("{}\n", serde_json::to_string_pretty(&json)?))
}

fn to_text(checks: &[Check]) -> String {
    let mut text = String::new();
    let mut group = "";
    for check in checks {
        if check.group != group {
            group = check.group;
            text.push_str(&format!("{}{group}\n", if text.is_empty() { "" } else { "\n" }));
        }
        let grade = check.grade.name();
        text.push_str(&format!("  {grade:<5} {:<22} {}\n", check.name, check.found));
        if !check.advice.is_empty() {
            text.push_str(&format!("{:31}{}\n", "", check.advice));
        }
    }
    let count = |grade| checks.iter().filter(|check| check.grade == grade).count();
    let (bad, warn) = (count(Grade::Bad), count(Grade::Warn));
    text.push_str(&match (bad, warn) {
        (0, 0) => "\nall is well\n".to_owned(),
        (0, warn) => format!("\nall works; {warn} could be better\n"),
        (bad, warn) => format!("\n{bad} bad, {warn} could be better\n"),
    });
    text
}

/// Returns what limits a scenario here; `found` has severity, name, what it is and what to do.
fn limits(title: &str, found: Vec<(Severity, String, String, String)>) -> Vec<Check> {
    if found.is_empty() {
        let text = format!("nothing limits scenario {title}");
        return vec![Check::ok("limits", "limits", text)];
    }
    let check = |(severity, name, is, advice): (Severity, String, String, String)| {
        let check = Check::ok("limits", &name, is);
        match severity {
            Severity::Limit => check.bad(advice),
            Severity::Advice => check.warn(advice),
        }
    };
    found.into_iter().map(check).collect()
}

fn data_checks(place: &DataPlace, data_dir: &Path) -> Vec<Check> {
    let mut checks = vec![place_check(place, data_dir)];
    if let Some(bytes) = place.available_bytes {
        checks.push(room_check(bytes));
    }
    let weakened = place.weakens_syncs.as_deref();
    let filesystem = place.filesystem.as_deref();
    checks.push(filesystem_check(filesystem, weakened));
    if let (Some(true), Some(found)) = (place.is_writable, &place.found) {
        checks.push(sync_check(measure_syncs(found)));
    }
    checks
}

fn place_check(place: &DataPlace, data_dir: &Path) -> Check {
    let path = data_dir.display();
    let check = |found: String| Check::ok("data", "data directory", found);
    let other = "choose another with --data-dir";
    match (place.is_writable, place.is_read_only) {
        (_, Some(true)) => check(format!("{path} is on a read-only file system")).bad(other),
        (Some(false), _) => check(format!("{path} can not be written")).bad(other),
        (None, _) => check(format!("{path}: nothing is known of it")).warn(other),
        (Some(true), _) => match DataDir::director_of(data_dir) {
            Ok(Some(holder)) => check(format!("{path} is in use by process {holder}"))
                .warn("end that run, or choose another with --data-dir"),
            _ if place.exists() => check(format!("{path} can be written")),
            _ => check(format!("{path} does not exist yet and can be made")),
        },
    }
}

fn room_check(bytes: u64) -> Check {
    let check = Check::ok("data", "room", format!("{} are free", format::bytes(bytes)));
    match bytes {
        ..ROOM_NONE_BYTES => check.bad("free some, or choose another place with --data-dir"),
        ROOM_NONE_BYTES..ROOM_SMALL_BYTES => {
            check.warn("a long run needs more: bound the log with storage.retain")
        }
        _ => check,
    }
}

fn filesystem_check(filesystem: Option<&str>, weakened: Option<&str>) -> Check {
    let check = Check::ok("data", "file system", filesystem.unwrap_or(format::ABSENT));
    match (filesystem, weakened) {
        (_, Some(option)) => check.warn(format!(
            "it is mounted with {option}: what is synced may still be lost with the power"
        )),
        (Some("tmpfs" | "ramfs"), _) => {
            check.warn("it is in memory: the log does not outlive the machine")
        }
        (Some("nfs" | "nfs4" | "cifs" | "smb3" | "9p" | "fuse.sshfs"), _) => {
            check.warn("the network is in every sync, and LMDB does not trust locks there")
        }
        (None, _) => check.warn("the kernel does not say what it is"),
        _ => check,
    }
}

fn sync_check(measured: io::Result<Duration>) -> Check {
    let check = |found: String| Check::ok("data", "sync", found);
    match measured {
        Err(error) => {
            check(format!("can not be measured: {error}")).bad("the log could not be synced either")
        }
        Ok(median) => {
            let found = format!(
                "{} for {}, median of {SYNCS}",
                format::duration(median),
                format::bytes(SYNC_BYTES as u64)
            );
            let check = check(found);
            if median > SYNC_SLOW {
                check.warn("each batch waits for it; storage.fsync = interval waits less often")
            } else {
                check
            }
        }
    }
}

/// Writes and syncs a small file in a directory, which is left as it was.
fn measure_syncs(dir: &Path) -> io::Result<Duration> {
    let path = dir.join(format!(".postoffice-doctor-{}", std::process::id()));
    let measured = File::create_new(&path).and_then(|mut file| {
        let mut spans = Vec::with_capacity(SYNCS);
        for _ in 0..SYNCS {
            let began = SystemClock.now();
            file.write_all(&[0; SYNC_BYTES])?;
            file.sync_data()?;
            spans.push(SystemClock.now().since(began));
        }
        spans.sort_unstable();
        Ok(spans[SYNCS / 2])
    });
    // One that could not be made is not there.
    let _ = std::fs::remove_file(&path);
    measured
}

fn runtime_check(dir: Option<&str>) -> Check {
    let check = |found: String| Check::ok("data", "runtime directory", found);
    let advice = "sockets and the list of runs are kept below /tmp instead";
    let Some(dir) = dir.filter(|dir| !dir.is_empty()) else {
        return check("XDG_RUNTIME_DIR is not set".to_owned()).warn(advice);
    };
    let path = Path::new(dir);
    if !path.is_absolute() || !path.is_dir() {
        return check(format!("{dir}, of XDG_RUNTIME_DIR, is no directory")).warn(advice);
    }
    match super::datadir::is_private(path) {
        _ if dir.len() > RUNTIME_PATH_BYTES_MAX => check(format!("{dir} has a long name"))
            .warn("sockets may not fit below it; set XDG_RUNTIME_DIR to a shorter path"),
        Ok(true) => check(format!("{dir} is yours alone")),
        Ok(false) => check(format!("{dir} can be entered by others"))
            .warn("what is made in it is private all the same; chmod 700 closes it"),
        Err(error) => check(error.to_string()).warn(advice),
    }
}

fn clock_check(source: Option<&str>) -> Check {
    let check = Check::ok("machine", "clock", source.unwrap_or(format::ABSENT));
    match source {
        None => check.warn("the kernel does not say what it reads the time from"),
        Some("hpet" | "acpi_pm" | "jiffies" | "refined-jiffies" | "pit") => {
            check.warn("reading it is slow and coarse: latencies of microseconds carry its cost")
        }
        Some(_) => check,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_line_is_the_verdict() {
        let fine = Check::ok("data", "room", "64 GiB are free");
        let poor = fine.clone().warn("get more");
        let none = fine.clone().bad("free some");
        assert_eq!(verdict(&[]), Grade::Ok);
        assert_eq!(verdict(&[fine.clone(), poor.clone()]), Grade::Warn);
        assert_eq!(verdict(&[none.clone(), poor.clone()]), Grade::Bad);
        let text = to_text(&[fine.clone(), none.clone()]);
        assert!(text.contains("  bad   room") && text.ends_with("1 bad, 0 could be better\n"));
        assert!(text.contains("free some"), "{text}");
        let json: serde_json::Value = serde_json::from_str(&to_json(&[poor]).unwrap()).unwrap();
        assert_eq!((&json["ok"], &json["checks"][0]["grade"]), (&json!(true), &json!("warn")));
        let json: serde_json::Value = serde_json::from_str(&to_json(&[none]).unwrap()).unwrap();
        assert_eq!(json["ok"], json!(false));
    }

    #[test]
    fn grades_follow_what_was_found() {
        assert_eq!(room_check(1 << 20).grade, Grade::Bad);
        assert_eq!(room_check(1 << 29).grade, Grade::Warn);
        assert_eq!(room_check(1 << 40).grade, Grade::Ok);
        assert_eq!(filesystem_check(Some("ext4"), None).grade, Grade::Ok);
        assert_eq!(filesystem_check(Some("ext4"), Some("nobarrier")).grade, Grade::Warn);
        assert_eq!(filesystem_check(Some("tmpfs"), None).grade, Grade::Warn);
        assert_eq!(sync_check(Ok(Duration::from_millis(2))).grade, Grade::Ok);
        assert_eq!(sync_check(Ok(Duration::from_millis(20))).grade, Grade::Warn);
        assert_eq!(sync_check(Err(io::Error::other("full"))).grade, Grade::Bad);
        assert_eq!(clock_check(Some("tsc")).grade, Grade::Ok);
        assert_eq!(clock_check(Some("hpet")).grade, Grade::Warn);
        assert_eq!(clock_check(None).grade, Grade::Warn);
        assert_eq!(runtime_check(None).grade, Grade::Warn);
        assert_eq!(runtime_check(Some("not/absolute")).grade, Grade::Warn);
        assert_eq!(limits("steady", Vec::new())[0].grade, Grade::Ok);
        let found = (Severity::Limit, "open files".to_owned(), "64".to_owned(), "raise".to_owned());
        assert_eq!(limits("steady", vec![found])[0].grade, Grade::Bad);
    }

    #[test]
    fn a_directory_is_as_it_was_after_its_syncs_were_measured() {
        let dir = tempfile::tempdir().unwrap();
        assert!(measure_syncs(dir.path()).unwrap() > Duration::ZERO);
        assert_eq!(dir.path().read_dir().unwrap().count(), 0);
        assert!(measure_syncs(&dir.path().join("missing")).is_err());
    }
}
