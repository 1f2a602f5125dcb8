//! Whole offices against bare relays.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use engine::perf::Spread;
use engine::perf::compare::Turns;
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::{TimeVal, TimeValLike};
use serde_json::Value;

use super::exchange::{Answered, Asking};
use super::limit::{self, OfficeFacts, SyncFacts};
use super::place::TempDir;
use super::relay::{LOG_BYTES, Part, Relay};
use super::report::{Group, Row, Sample, Told, Unit};
use super::{Bench, BenchError, Subject};

/// Turns of each side: each is an office or a relay that has to be started.
const TURNS_MIN: u32 = 3;
/// The longest turn; a signal ends it.
const WINDOW_MAX: Duration = Duration::from_secs(2);
/// The shortest that says anything about an office.
const WINDOW_MIN: Duration = Duration::from_millis(100);
/// What is done in this time is not counted: a share of the window.
const WARMUP_DIVISOR: u32 = 2;

/// One row.
#[derive(Clone, Copy, Debug)]
struct Load {
    name: &'static str,
    /// Users, all of whom always wait for a ticket.
    users: u32,
    /// User processes, and as many workers.
    processes: u8,
    is_durable: bool,
}

const LOADS: [Load; 4] = [
    Load { name: "128 users, not synced", users: 128, processes: 2, is_durable: false },
    Load { name: "128 users, each batch synced", users: 128, processes: 2, is_durable: true },
    Load { name: "1 user, not synced", users: 1, processes: 1, is_durable: false },
    Load { name: "1 user, each batch synced", users: 1, processes: 1, is_durable: true },
];

/// Measures all rows.
pub(super) fn measure(bench: &Bench) -> Result<Group, BenchError> {
    let rows = LOADS.iter().map(|load| load.measure(bench)).collect::<Result<Vec<Row>, _>>()?;
    let floor = "a relay between as many processes with as much under way, the same lengths and \
                 batches; synced: it writes and syncs once a turn; else it has no log";
    Ok(Group { subject: Subject::Tickets, floor, rows, told: Told::All })
}

impl Load {
    fn measure(&self, bench: &Bench) -> Result<Row, BenchError> {
        let dir = bench.part(if self.is_durable { "tickets-synced" } else { "tickets" })?;
        let log = self.is_durable.then(|| zeros(&dir)).transpose()?;
        let turns = turns(bench.duration);
        let mut facts = Vec::new();
        let mut floors = Vec::new();
        let measured = bench.compare(
            Subject::Tickets,
            self.name,
            turns,
            |window| {
                let data_dir = dir.path().join(format!("office-{}", facts.len()));
                let (sample, found) = self.run_office(bench, &data_dir, window)?;
                facts.push(found);
                // The next office gets a new place; this one's files only take room.
                let _ = std::fs::remove_dir_all(data_dir);
                Ok(sample)
            },
            |window| {
                let sample = self.run_relay(bench, log.clone(), window)?;
                floors.push(sample.spread.map_or(Duration::ZERO, |spread| spread.p50));
                Ok(sample)
            },
        )?;
        let facts = OfficeFacts { floor_response: floors[measured.turn], ..facts[measured.turn] };
        Ok(measured.row(self.name, Unit::PerSecond("tickets"), limit::of_office(&facts)))
    }

    fn command(&self, data_dir: &Path, window: Duration) -> Command {
        let warmup = window / WARMUP_DIVISOR;
        let us = |span: Duration| format!("{}us", span.as_micros());
        let fsync = if self.is_durable { "each_batch" } else { "none" };
        let sets = [
            format!("load.clerks.users={}", self.users),
            "load.clerks.think=0s".to_owned(),
            format!("office.workers={}", self.processes),
            format!("office.seats={}", self.users.max(u32::from(self.processes))),
            format!("users.max_processes={}", self.processes),
            format!("storage.fsync={fsync}"),
            format!("run.warmup={}", us(warmup)),
            format!("run.duration={}", us(warmup + window)),
        ];
        let mut command = Command::new("/proc/self/exe");
        command.args(["--headless", "-q", "--json", "-s", "durable", "--data-dir"]).arg(data_dir);
        command.args(sets.iter().flat_map(|set| ["--set", set]));
        command
    }

    fn run_office(
        &self,
        bench: &Bench,
        data_dir: &Path,
        window: Duration,
    ) -> Result<(Sample, OfficeFacts), BenchError> {
        let (cpu, machine) = (CpuTime::of_children(), MachineTime::read());
        let finished = bench.watch.run(&mut self.command(data_dir, window))?;
        let (cpu, machine) =
            (CpuTime::of_children().since(&cpu), MachineTime::read().since(&machine));
        let summary: Value =
            match (finished.status.code(), serde_json::from_slice(&finished.stdout)) {
                (Some(0), Ok(summary)) => summary,
                (code, _) => {
                    let code = code.and_then(|code| u8::try_from(code).ok()).unwrap_or(1);
                    return Err(BenchError::Office { code, said: finished.stderr });
                }
            };
        read_summary(&summary, &cpu, machine, self.is_durable).ok_or_else(|| BenchError::Ended {
            what: "an office",
            why: "its summary lacks figures".to_owned(),
        })
    }

    fn run_relay(
        &self,
        bench: &Bench,
        log: Option<PathBuf>,
        window: Duration,
    ) -> Result<Sample, BenchError> {
        let asking = Asking {
            slots: self.users / u32::from(self.processes),
            warmup: window / WARMUP_DIVISOR,
            window,
        };
        let relay = Relay { askers: self.processes, answerers: self.processes, asking, log };
        let finished = bench.watch.run(&mut Part::Relay(relay).command())?;
        let answered = Answered::from_bytes(&finished.stdout).ok_or_else(|| BenchError::Ended {
            what: "a relay",
            why: format!("{} {}", finished.status, finished.stderr),
        })?;
        Ok(Sample { value: answered.per_second(), spread: answered.latencies.spread() })
    }
}

/// Divides a time into turns; a short look is one turn.
fn turns(total: Duration) -> Turns {
    let least = if total < WINDOW_MIN * TURNS_MIN { 1 } else { TURNS_MIN };
    Turns::of(total.max(WINDOW_MIN), least, WINDOW_MAX)
}

/// Makes the file that a relay writes and syncs.
fn zeros(dir: &TempDir) -> Result<PathBuf, BenchError> {
    let path = dir.path().join("relay.log");
    let write = || {
        let file = File::create(&path)?;
        let zeros = vec![0; 1 << 20];
        for offset in (0..LOG_BYTES).step_by(zeros.len()) {
            file.write_all_at(&zeros, offset)?;
        }
        file.sync_all()
    };
    write().map_err(|source| {
        let op = engine::storage::IoOp::Write;
        engine::storage::LogError::Io { op, path: path.clone(), source }
    })?;
    Ok(path)
}

/// Reads the figures of an office's summary.
fn read_summary(
    summary: &Value,
    cpu: &CpuTime,
    machine_busy: f64,
    is_durable: bool,
) -> Option<(Sample, OfficeFacts)> {
    let number = |path: &str| summary.pointer(path).and_then(Value::as_f64);
    let ns = |path: &str| summary.pointer(path).and_then(Value::as_u64).map(Duration::from_nanos);
    let per_s = number("/throughput_per_s")?;
    // A ticket is two records; those of the warm-up count too.
    let tickets = number("/store/records")? / 2.0;
    // Where nothing was finished there is no percentile; such a turn is not looked at.
    let response = |name: &str| match summary.pointer(name)? {
        Value::Null => Some(Duration::ZERO),
        _ => ns(name),
    };
    let (p50, p99) = (response("/users/response_p50_ns")?, response("/users/response_p99_ns")?);
    let spread = Spread { p50, p99, ..Spread::default() };
    let figures = number("/store/syncs").zip(ns("/store/sync_mean_ns"));
    // Without the metrics feature nobody knows how long a sync takes.
    let syncs = figures.filter(|_| is_durable).map(|(count, mean)| {
        // All that was done, at the speed that was measured: starting and ending does not count.
        let seconds = tickets / per_s;
        let share = (count * mean.as_secs_f64() / seconds).min(1.0);
        SyncFacts { share, mean, tickets: tickets / count }
    });
    let cpu_s = cpu.user_s + cpu.kernel_s;
    let facts = OfficeFacts {
        cpus: number("/host/cpus")?,
        cpus_used: cpu_s / tickets * per_s,
        kernel_share: cpu.kernel_s / cpu_s,
        cpu_ns_per_ticket: cpu_s / tickets * 1e9,
        machine_busy,
        syncs,
        response: p50,
        floor_response: Duration::ZERO,
    };
    Some((Sample { value: per_s, spread: Some(spread) }, facts))
}

/// CPU time of children that have ended, and of theirs.
#[derive(Clone, Copy, Debug, Default)]
struct CpuTime {
    user_s: f64,
    kernel_s: f64,
}

impl CpuTime {
    fn of_children() -> Self {
        let Ok(usage) = getrusage(UsageWho::RUSAGE_CHILDREN) else { return Self::default() };
        let seconds = |time: TimeVal| time.num_microseconds() as f64 / 1e6;
        Self { user_s: seconds(usage.user_time()), kernel_s: seconds(usage.system_time()) }
    }

    fn since(&self, earlier: &Self) -> Self {
        Self { user_s: self.user_s - earlier.user_s, kernel_s: self.kernel_s - earlier.kernel_s }
    }
}

/// Ticks of all CPUs since the machine was started.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct MachineTime {
    idle: f64,
    all: f64,
}

impl MachineTime {
    fn read() -> Self {
        let text = std::fs::read_to_string("/proc/stat").unwrap_or_default();
        Self::parse(&text).unwrap_or_default()
    }

    /// Reads the first line of `/proc/stat`: user nice system idle iowait irq softirq steal.
    fn parse(text: &str) -> Option<Self> {
        let fields = text.lines().next()?.strip_prefix("cpu ")?;
        let ticks: Option<Vec<f64>> =
            fields.split_whitespace().take(8).map(|field| field.parse().ok()).collect();
        let ticks = ticks?;
        Some(Self { idle: ticks.get(3)? + ticks.get(4)?, all: ticks.iter().sum() })
    }

    /// Returns the share of the time since then that anybody used; zero if nobody knows.
    fn since(&self, earlier: &Self) -> f64 {
        let all = self.all - earlier.all;
        if all > 0.0 { 1.0 - (self.idle - earlier.idle) / all } else { 0.0 }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_office_is_asked_for_what_its_row_says() {
        let command = LOADS[2].command(Path::new("/data"), Duration::from_millis(200));
        let args: Vec<String> =
            command.get_args().map(|arg| arg.to_string_lossy().into_owned()).collect();
        for wanted in [
            "/data",
            "office.seats=1",
            "storage.fsync=none",
            "run.warmup=100000us",
            "run.duration=300000us",
        ] {
            assert!(args.iter().any(|arg| arg == wanted), "{wanted} is not in {args:?}");
        }
    }

    #[test]
    fn no_turn_is_too_short_for_an_office() {
        let check = |total_ms, count, window_ms| {
            let window = Duration::from_millis(window_ms);
            assert_eq!(turns(Duration::from_millis(total_ms)), Turns { count, window });
        };
        check(10, 1, 100);
        check(299, 1, 299);
        check(300, 3, 100);
        check(9_000, 5, 1_800);
    }

    #[test]
    fn facts_come_from_the_summary() {
        let summary = json!({
            "throughput_per_s": 1000.0,
            "host": { "cpus": 2 },
            "store": { "records": 4000, "syncs": 500, "sync_mean_ns": 2_000_000 },
            "users": { "response_p50_ns": 5_000, "response_p99_ns": 9_000 },
        });
        let cpu = CpuTime { user_s: 1.0, kernel_s: 2.0 };
        let (sample, facts) = read_summary(&summary, &cpu, 0.5, true).unwrap();
        assert_eq!(sample.value, 1000.0);
        assert_eq!(facts.cpus_used, 1.5);
        assert_eq!(facts.cpu_ns_per_ticket, 1_500_000.0);
        let syncs = facts.syncs.unwrap();
        assert_eq!((syncs.share, syncs.tickets), (0.5, 4.0));
        assert!(read_summary(&summary, &cpu, 0.5, false).unwrap().1.syncs.is_none());
        assert!(read_summary(&json!({}), &cpu, 0.5, false).is_none());
        let mut unmetered = summary.clone();
        unmetered["store"]["sync_mean_ns"] = Value::Null;
        assert!(read_summary(&unmetered, &cpu, 0.5, true).unwrap().1.syncs.is_none());
        let mut silent = summary;
        silent["throughput_per_s"] = 0.0.into();
        silent["users"] = json!({ "response_p50_ns": null, "response_p99_ns": null });
        let (sample, _) = read_summary(&silent, &cpu, 0.5, false).unwrap();
        assert_eq!(sample.value, 0.0, "such a turn is not looked at");
    }

    #[test]
    fn the_machine_is_busy_when_it_is_not_idle() {
        let parse = |text| MachineTime::parse(text).unwrap();
        let before = parse("cpu  10 0 10 70 10 0 0 0 0 0\ncpu0 1");
        let after = parse("cpu  40 0 30 110 20 0 0 0 0 0\n");
        assert_eq!(after.since(&before), 0.5);
        assert_eq!(before.since(&before), 0.0);
        assert_eq!(MachineTime::parse("intr 5"), None);
    }
}
