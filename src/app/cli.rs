//! The command line, defined once.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use engine::config::{Assignment, Override, OverrideKey};
use engine::limits;

use super::bench::{self, Subject};
use super::view_args::ViewArgs;

/// A wind tunnel for work-queue services: real processes, a durable log, a live dashboard.
#[derive(Debug, Parser)]
#[command(name = "postoffice-tui", version, args_conflicts_with_subcommands = true)]
pub(crate) struct Cli {
    /// What to do instead of running an office.
    #[command(subcommand)]
    pub(crate) command: Option<Command>,

    #[command(flatten)]
    pub(crate) run: RunArgs,
}

/// What can be done beside running an office.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// List, show, check or explain scenarios
    Scenario {
        #[command(subcommand)]
        command: ScenarioCommand,
    },
    /// Check the log of a data directory: ids rise, nothing is lost, nothing is served twice
    Verify {
        #[command(flatten)]
        args: LogArgs,
    },
    /// Make the index anew from the log and cut a torn tail, or save what is whole of a damaged log
    Repair {
        #[command(flatten)]
        args: RepairArgs,
    },
    /// Look into the log, beside a running office too
    Log {
        #[command(subcommand)]
        command: LogCommand,
    },
    /// Measure what the office reaches on this machine, beside what the machine does without it
    Bench {
        #[command(flatten)]
        args: BenchArgs,
    },
    /// Say what this machine is, and where it limits a scenario
    Sysinfo {
        #[command(flatten)]
        args: SysinfoArgs,
    },
    /// Say what this terminal, these limits and this disk can do here, and what to do about it
    Doctor {
        #[command(flatten)]
        args: SysinfoArgs,
    },
    /// Ask a running office for something
    Ctl {
        #[command(subcommand)]
        command: CtlCommand,
        #[command(flatten)]
        args: CtlArgs,
    },
    /// Print the figures of a running office, once or again and again
    Sample {
        #[command(flatten)]
        args: SampleArgs,
    },
    /// Open a second dashboard on a running office
    Attach {
        #[command(flatten)]
        args: AttachArgs,
    },
    /// Open the dashboard on what the log of a data directory holds: a run that has ended,
    /// crashed, or still goes on
    Replay {
        #[command(flatten)]
        args: ReplayArgs,
    },
    /// Print every command of the dashboard with its keys
    Keys {
        /// As a table for people, as Markdown, or as JSON
        #[arg(long, value_enum, default_value_t = KeysFormat::Table)]
        format: KeysFormat,
    },
    /// Print completions for a shell
    Completions {
        /// The shell
        #[arg(value_name = "SHELL")]
        shell: clap_complete::Shell,
    },
    /// Print the manual page
    Man,
}

/// Which office is looked at, and how.
#[derive(Debug, Args)]
pub(crate) struct AttachArgs {
    /// Act too: pause, resize, end; without it the dashboard only looks
    #[arg(long)]
    pub(crate) control: bool,
    /// The data directory of the office [default: the only one that runs]
    #[arg(long, value_name = "DIR")]
    pub(crate) data_dir: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) view: ViewArgs,
}

/// What is replayed, and from where on.
#[derive(Debug, Args)]
pub(crate) struct ReplayArgs {
    /// The data directory
    #[arg(value_name = "DIR")]
    pub(crate) dir: PathBuf,
    /// The moment to begin at, as time since arrivals began, such as 90s [default: the end]
    #[arg(long, value_name = "T", value_parser = moment)]
    pub(crate) at: Option<Duration>,
    /// Which run, from 1 for the first that the log still has [default: the last]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) run: Option<u64>,
    /// Print the figures of that moment as JSON, without a dashboard
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) view: ViewArgs,
}

fn moment(text: &str) -> Result<Duration, String> {
    engine::config::span(text).map_err(|expected| format!("expected {expected}"))
}

/// How the commands of the dashboard are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum KeysFormat {
    Table,
    Md,
    Json,
}

/// What to measure, and how.
#[derive(Debug, Args)]
pub(crate) struct BenchArgs {
    /// tickets, log, net, perf, spawn or all
    // By its full name clap sees one value, not a list of them.
    #[arg(value_name = "SUBJECT", default_value = "all", value_parser = bench::subjects)]
    pub(crate) subjects: std::vec::Vec<Subject>,
    /// Make the temporary directory here, on the disk that is to be measured [default: beside the
    /// usual data directory]
    #[arg(long, value_name = "DIR")]
    pub(crate) data_dir: Option<PathBuf>,
    /// How long each row measures the office, and its floor as long again
    #[arg(short, long, value_name = "SPAN", default_value = "1s", value_parser = bench::duration)]
    pub(crate) duration: Duration,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// Which scenario the machine is to bear, and where.
#[derive(Debug, Args)]
pub(crate) struct SysinfoArgs {
    /// A scenario file, or the name of a built-in one
    #[arg(short, long, value_name = "FILE|NAME", default_value = engine::config::DEFAULT)]
    pub(crate) scenario: String,
    #[command(flatten)]
    pub(crate) overrides: OverrideArgs,
    #[command(flatten)]
    pub(crate) data: DataDirArg,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// Which office is asked, and how to print what it says.
#[derive(Debug, Args)]
pub(crate) struct CtlArgs {
    /// The data directory of the office [default: the only one that runs]
    #[arg(long, value_name = "DIR", global = true)]
    pub(crate) data_dir: Option<PathBuf>,
    /// Print JSON
    #[arg(long, global = true)]
    pub(crate) json: bool,
}

/// What a running office can be asked for.
#[derive(Debug, Subcommand)]
pub(crate) enum CtlCommand {
    /// Say where the run stands
    Status,
    /// Freeze arrivals and dispatch
    Pause,
    /// Let arrivals and dispatch go on
    Resume,
    /// Change how many users there are
    Users {
        /// How many
        #[arg(value_name = "N", value_parser = clap::value_parser!(u32)
            .range(0..=i64::from(limits::USERS_MAX)))]
        number: u32,
    },
    /// Change how many worker processes there are
    Workers {
        /// How many
        #[arg(value_name = "N", value_parser = clap::value_parser!(u16)
            .range(1..=i64::from(limits::WORKERS_MAX)))]
        number: u16,
    },
    /// Let users live so many times as fast as the scenario says; service keeps its time
    Speed {
        /// How many times, from 0.1 to 100 (1: as usual)
        #[arg(value_name = "TIMES", value_parser = speed)]
        times: f64,
    },
    /// Change how many requests of an open load come
    Rate {
        /// The load, unless only one is open, and its rate: rush 300/s
        #[arg(value_name = "[LOAD] RATE", required = true, num_args = 1..=2)]
        words: Vec<String>,
    },
    /// Let workers take no more tickets (off: let them take tickets again)
    Strike {
        /// Whether they strike
        #[arg(value_name = "on|off", default_value = "on", value_parser = switch,
            action = clap::ArgAction::Set)]
        is_on: bool,
    },
    /// Hand out no tickets of a service
    Block {
        /// The service's name
        #[arg(value_name = "SERVICE")]
        service: String,
    },
    /// Hand out the tickets of a service again
    Unblock {
        /// The service's name
        #[arg(value_name = "SERVICE")]
        service: String,
    },
    /// Hand out tickets in rounds that come late (off: at once, as usual)
    Slow {
        /// How late, up to 1s
        #[arg(value_name = "SPAN|off", value_parser = delay)]
        delay: Duration,
    },
    /// Kill a process with SIGKILL; it is replaced
    Kill {
        #[command(flatten)]
        process: ProcessArg,
    },
    /// Let a process stand still with SIGSTOP; beyond 3s of silence it is replaced
    Freeze {
        /// The process, and for how long, up to 10s: worker 3 for 1s [default: for 2s]
        #[arg(value_name = "PROCESS [for SPAN]", required = true, num_args = 1..=4)]
        words: Vec<String>,
    },
    /// Let a process go on that stands still
    Continue {
        #[command(flatten)]
        process: ProcessArg,
    },
    /// Ask a process to end in order and start it again
    Restart {
        #[command(flatten)]
        process: ProcessArg,
    },
    /// In a pause, let the office go on for exactly a span and stand still again
    Step {
        /// How far, up to 1min [default: 1s]
        #[arg(value_name = "SPAN", value_parser = step)]
        span: Option<Duration>,
    },
    /// Change keys of the scenario, all of them or none; nothing behind = means the default
    Set {
        /// Such as storage.fsync=each_batch "slo.fast=p99(wait) < 50ms"
        #[arg(value_name = "SECTION.KEY=VALUE", required = true, value_parser = Assignment::read)]
        changes: Vec<Assignment>,
    },
    /// Read the scenario again, print what differs and apply it
    Reload {
        /// Change nothing, only print what differs
        #[arg(long)]
        dry_run: bool,
    },
    /// Write the figures of this moment to a new folder in a directory
    Snapshot {
        /// The directory
        #[arg(value_name = "DIR")]
        dir: PathBuf,
    },
    /// End the run: arrivals stop, open tickets are served, everything stops in order
    Stop,
}

/// Which process of an office.
#[derive(Clone, Debug, Args)]
pub(crate) struct ProcessArg {
    /// Such as worker 3, worker-3, issuer, users-manager, user 12
    #[arg(value_name = "PROCESS", required = true, num_args = 1..=2)]
    words: Vec<String>,
}

impl ProcessArg {
    /// Returns the process's name as it was written; the office knows whether there is one.
    pub(crate) fn name(&self) -> String {
        self.words.join(" ")
    }
}

/// Splits `PROCESS [for SPAN]`.
///
/// # Errors
/// What was expected instead of the span.
pub(crate) fn frozen(words: &[String]) -> Result<(String, Duration), String> {
    let (process, span) = match words.iter().position(|word| word == "for") {
        Some(at) => (&words[..at], Some(words[at + 1..].join(" "))),
        None => (words, None),
    };
    let range = limits::ACT_SPAN_MIN..=limits::FREEZE_MAX;
    let span = span.map_or(Ok(limits::FREEZE_USUAL), |span| within(&span, range))?;
    Ok((process.join(" "), span))
}

/// Splits `[LOAD] RATE`; the rate is per second.
///
/// # Errors
/// What was expected instead of the rate.
pub(crate) fn load_rate(words: &[String]) -> Result<(Option<&str>, f64), String> {
    let (rate, load) = words.split_last().ok_or("a rate such as 300/s")?;
    Ok((load.first().map(String::as_str), engine::config::per_second(rate)?))
}

fn speed(text: &str) -> Result<f64, String> {
    let (least, most) = (limits::SPEED_MIN, limits::SPEED_MAX);
    // Screens write it as x2.
    let times = text.strip_prefix('x').unwrap_or(text).parse().ok();
    let times = times.filter(|times| (least..=most).contains(times));
    times.ok_or_else(|| format!("expected a number from {least} to {most}"))
}

fn switch(text: &str) -> Result<bool, String> {
    match text {
        "on" => Ok(true),
        "off" => Ok(false),
        _ => Err("expected on or off".to_owned()),
    }
}

fn delay(text: &str) -> Result<Duration, String> {
    match text {
        "off" => Ok(Duration::ZERO),
        _ => within(text, Duration::ZERO..=limits::ISSUER_DELAY_MAX),
    }
}

fn step(text: &str) -> Result<Duration, String> {
    within(text, limits::ACT_SPAN_MIN..=limits::STEP_MAX)
}

fn within(text: &str, range: std::ops::RangeInclusive<Duration>) -> Result<Duration, String> {
    match engine::config::span(text) {
        Ok(span) if range.contains(&span) => Ok(span),
        Ok(_) => Err(format!("expected a span from {:?} to {:?}", range.start(), range.end())),
        Err(expected) => Err(format!("expected {expected}")),
    }
}

/// What to print of a running office.
#[derive(Debug, Args)]
pub(crate) struct SampleArgs {
    /// The time from one sample to the next, such as 1s [default: 1s if there is a count]
    #[arg(long, value_name = "SPAN", value_parser = interval)]
    pub(crate) interval: Option<Duration>,
    /// How many samples [default: 1; with --interval, until Ctrl-C or the run's end]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) count: Option<u64>,
    /// As tables, as JSON (one object a line), or as Prometheus text
    #[arg(long, value_enum, default_value_t = SampleFormat::Table)]
    pub(crate) format: SampleFormat,
    /// The data directory of the office [default: the only one that runs]
    #[arg(long, value_name = "DIR")]
    pub(crate) data_dir: Option<PathBuf>,
}

/// How a sample is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum SampleFormat {
    Table,
    Json,
    Prom,
}

fn interval(text: &str) -> Result<Duration, String> {
    match engine::config::span(text) {
        // Snapshots are no more frequent than that by far.
        Ok(span) if span >= Duration::from_millis(10) => Ok(span),
        Ok(_) => Err("expected a span of at least 10ms".to_owned()),
        Err(expected) => Err(format!("expected {expected}")),
    }
}

/// Which log, and how to print what it says.
#[derive(Debug, Args)]
pub(crate) struct LogArgs {
    #[command(flatten)]
    pub(crate) data: DataDirArg,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// What to set right.
#[derive(Debug, Args)]
pub(crate) struct RepairArgs {
    #[command(flatten)]
    pub(crate) log: LogArgs,
    /// Change nothing, only say what would be done
    #[arg(long, conflicts_with = "salvage")]
    pub(crate) dry_run: bool,
    /// Copy every whole record of a damaged log to a new data directory, leaving the old as it is
    #[arg(long, value_name = "OUT")]
    pub(crate) salvage: Option<PathBuf>,
}

/// What can be asked of the log.
#[derive(Debug, Subcommand)]
pub(crate) enum LogCommand {
    /// Print the whole history of one ticket
    Get {
        /// The ticket
        #[arg(value_name = "ID")]
        id: u64,
        #[command(flatten)]
        args: LogArgs,
    },
    /// Print the last records
    Tail {
        /// How many
        #[arg(short = 'n', long, value_name = "N", default_value_t = 10)]
        lines: usize,
        #[command(flatten)]
        args: LogArgs,
    },
    /// Print how much there is of what
    Stats {
        #[command(flatten)]
        args: LogArgs,
    },
    /// Print every record
    Dump {
        #[command(flatten)]
        args: LogArgs,
    },
}

impl LogCommand {
    /// Returns which log, and how to print.
    pub(crate) fn args(&self) -> &LogArgs {
        match self {
            Self::Get { args, .. }
            | Self::Tail { args, .. }
            | Self::Stats { args }
            | Self::Dump { args } => args,
        }
    }
}

/// What can be done with scenarios.
#[derive(Debug, Subcommand)]
pub(crate) enum ScenarioCommand {
    /// List the built-in scenarios
    List,
    /// Print the effective values of a scenario and where each came from
    Show {
        #[command(flatten)]
        scenario: ScenarioArgs,
    },
    /// Check a scenario and say what is wrong with it
    Check {
        /// A scenario file, or the name of a built-in one
        #[arg(value_name = "FILE|NAME", default_value = engine::config::DEFAULT)]
        scenario: String,
    },
    /// Print every key with its meaning, unit, range and default
    Explain,
}

/// A scenario with overrides.
#[derive(Debug, Args)]
pub(crate) struct ScenarioArgs {
    /// A scenario file, or the name of a built-in one
    #[arg(value_name = "FILE|NAME", default_value = engine::config::DEFAULT)]
    pub(crate) scenario: String,
    #[command(flatten)]
    pub(crate) overrides: OverrideArgs,
}

/// Where the data is.
#[derive(Debug, Args)]
pub(crate) struct DataDirArg {
    /// The data directory [default: $XDG_STATE_HOME/postoffice-tui]
    #[arg(long, value_name = "DIR")]
    pub(crate) data_dir: Option<PathBuf>,
}

/// Values that come before the scenario's.
#[derive(Debug, Args)]
pub(crate) struct OverrideArgs {
    /// Override one value, such as office.room=500 or service.letters.time="exp 10ms"
    #[arg(long, value_name = "SECTION.KEY=VALUE", value_parser = Assignment::read)]
    set: Vec<Assignment>,
    /// A goal, such as 'p99(wait) < 50ms'; a run that misses one exits with 4
    #[arg(long, value_name = "GOAL")]
    slo: Vec<String>,
    /// Users at the start
    #[arg(short, long, value_name = "N")]
    users: Option<String>,
    /// Worker processes
    #[arg(short, long, value_name = "N")]
    workers: Option<String>,
    /// The master seed [default: the scenario's, or chosen and printed]
    #[arg(long, value_name = "N")]
    seed: Option<String>,
    /// How long arrivals go on, such as 60s
    #[arg(short, long, value_name = "SPAN")]
    duration: Option<String>,
    /// Serve Prometheus text at http://ADDR/metrics; a port alone means 127.0.0.1
    #[arg(long, value_name = "ADDR")]
    metrics_listen: Option<String>,
}

/// How to run an office.
#[derive(Debug, Args)]
pub(crate) struct RunArgs {
    /// A scenario file, or the name of a built-in one
    #[arg(short, long, value_name = "FILE|NAME", default_value = engine::config::DEFAULT)]
    pub(crate) scenario: String,
    #[command(flatten)]
    pub(crate) overrides: OverrideArgs,
    #[command(flatten)]
    pub(crate) data: DataDirArg,
    /// Run without a terminal: progress on stderr, summary on stdout
    #[arg(long)]
    pub(crate) headless: bool,
    /// Print the summary as JSON (headless)
    #[arg(long, requires = "headless")]
    pub(crate) json: bool,
    /// Write a folder of tables, charts and a report there at the end
    #[arg(long, value_name = "DIR")]
    pub(crate) export: Option<PathBuf>,
    /// Users append each acknowledged ticket id there, one a line
    #[arg(long, value_name = "FILE")]
    pub(crate) ack_log: Option<PathBuf>,
    /// What to log
    #[arg(long, value_name = "LEVEL", value_parser = ["error", "warn", "info", "debug"])]
    pub(crate) log_level: Option<String>,
    /// Log to this file too
    #[arg(long, value_name = "FILE")]
    pub(crate) log_file: Option<PathBuf>,
    /// Show no progress (headless)
    #[arg(short, long)]
    pub(crate) quiet: bool,
    #[command(flatten)]
    pub(crate) view: ViewArgs,
}

impl OverrideArgs {
    /// Returns the overrides in the order in which they apply: shorthands last.
    pub(crate) fn overrides(&self) -> Vec<Override> {
        let set = self.set.iter().map(|change| Override {
            option: format!("--set {change}"),
            key: OverrideKey::Named(change.section.clone(), change.key.clone()),
            value: change.value.clone().unwrap_or_default(),
        });
        let goals = self.slo.iter().map(|goal| Override {
            option: format!("--slo {goal}"),
            key: OverrideKey::Goal,
            value: goal.clone(),
        });
        let named =
            |section: &str, key: &str| OverrideKey::Named(section.to_owned(), key.to_owned());
        let shorthands = [
            ("--users", &self.users, OverrideKey::Users),
            ("--workers", &self.workers, named("office", "workers")),
            ("--seed", &self.seed, named("run", "seed")),
            ("--duration", &self.duration, named("run", "duration")),
            ("--metrics-listen", &self.metrics_listen, named("metrics", "listen")),
        ];
        let shorthands = shorthands.into_iter().filter_map(|(option, value, key)| {
            let value = value.clone()?;
            Some(Override { option: format!("{option} {value}"), key, value })
        });
        set.chain(goals).chain(shorthands).collect()
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_definition_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_freeze_has_a_process_and_perhaps_a_span() {
        let read = |line: &str| frozen(&line.split(' ').map(str::to_owned).collect::<Vec<_>>());
        let second = Duration::from_secs(1);
        assert_eq!(read("worker 3 for 1s"), Ok(("worker 3".to_owned(), second)));
        assert_eq!(read("issuer"), Ok(("issuer".to_owned(), limits::FREEZE_USUAL)));
        assert_eq!(read("issuer for 500ms"), Ok(("issuer".to_owned(), second / 2)));
        for line in ["issuer for", "issuer for 11s", "issuer for ever", "issuer for 0s"] {
            assert!(read(line).is_err(), "{line}");
        }
        assert_eq!(delay("off"), Ok(Duration::ZERO));
        assert!(delay("2s").is_err() && step("0s").is_err() && switch("maybe").is_err());
    }
}
