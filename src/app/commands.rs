//! The commands that run no office.

use std::io::Write;
use std::path::{Path, PathBuf};

use color_eyre::eyre::Result;
use engine::config::{self, ConfigErrors, Effective, LoadError, Override};
use engine::roles::repair;
use engine::scheduler::record::Record;
use engine::scheduler::verify::Verifier;
use engine::storage::reader::{self, ScanReport};
use engine::storage::salvage::Skipped;
use engine::storage::{self, IndexOutcome, LogError};
use serde_json::json;

use super::cli::{
    AttachArgs, Command, DataDirArg, KeysFormat, RepairArgs, ReplayArgs, ScenarioCommand,
};
use super::datadir::{DataDir, DataDirError};
use super::doctor::{self, Check};
use super::exit::Exit;
use super::{bench, ctl, format, log_commands, manual, output, sysinfo};

/// What is wrong with a scenario, as people read it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ScenarioError {
    #[error(transparent)]
    Load(#[from] LoadError),
    #[error(transparent)]
    Config(#[from] ConfigErrors),
}

/// Returns a scenario with overrides applied.
///
/// # Errors
/// [`ScenarioError`] if there is none of that name or it has mistakes.
pub(crate) fn scenario(name: &str, overrides: &[Override]) -> Result<Effective, ScenarioError> {
    Ok(config::parse(&config::load(name)?, overrides)?)
}

/// What only the dashboard knows and can, for commands that need it.
pub(crate) struct Told {
    /// Writes its commands and their keys.
    pub(crate) keys: fn(KeysFormat) -> String,
    /// Writes its part of the manual page.
    pub(crate) manual: fn() -> String,
    /// Looks at the terminal.
    pub(crate) terminal: fn() -> Vec<Check>,
    /// Shows somebody else's office.
    pub(crate) attach: fn(&AttachArgs) -> Result<Exit>,
    /// Shows what a log holds.
    pub(crate) replay: fn(&ReplayArgs) -> Result<Exit>,
}

/// Runs a command and returns the exit code.
///
/// # Errors
/// What the command could not do.
pub(crate) fn run(command: &Command, told: &Told) -> Result<Exit> {
    match command {
        Command::Scenario { command } => run_scenario(command),
        Command::Verify { args } => match data_dir_with_log(&args.data) {
            Ok(data_dir) => verify(&data_dir, args.json),
            Err(error) => Ok(usage(&error)),
        },
        Command::Repair { args } => match data_dir_with_log(&args.log.data) {
            Ok(data_dir) => repair(&data_dir, args),
            Err(error) => Ok(usage(&error)),
        },
        Command::Log { command } => log_commands::run(command),
        Command::Bench { args } => bench::run(args),
        Command::Sysinfo { args } => sysinfo::run(args),
        Command::Doctor { args } => doctor::run(args, (told.terminal)()),
        Command::Ctl { command, args } => ctl::run(command, args),
        Command::Sample { args } => ctl::sample(args),
        Command::Attach { args } => (told.attach)(args),
        Command::Replay { args } => (told.replay)(args),
        Command::Keys { format } => {
            output::say(&(told.keys)(*format));
            Ok(Exit::Done)
        }
        Command::Completions { shell } => {
            output::say(&manual::completions(*shell));
            Ok(Exit::Done)
        }
        Command::Man => {
            output::say(&manual::page(&(told.manual)())?);
            Ok(Exit::Done)
        }
    }
}

fn run_scenario(command: &ScenarioCommand) -> Result<Exit> {
    let text = match command {
        ScenarioCommand::List => {
            let lines = config::list().map(|(name, meaning)| format!("{name:<12} {meaning}\n"));
            lines.collect()
        }
        ScenarioCommand::Show { scenario: args } => {
            match scenario(&args.scenario, &args.overrides.overrides()) {
                Ok(effective) => effective.to_ini(),
                Err(error) => return Ok(usage(&error)),
            }
        }
        ScenarioCommand::Check { scenario: name } => match scenario(name, &[]) {
            Ok(effective) => format!("{} is a valid scenario\n", effective.title),
            Err(error) => return Ok(usage(&error)),
        },
        ScenarioCommand::Explain => config::explain(),
    };
    output::say(&text);
    Ok(Exit::Done)
}

/// Says what is wrong with how the program was used.
pub(crate) fn usage(error: &dyn std::error::Error) -> Exit {
    // Nobody may be there to read it; the exit code says it too.
    let _ = writeln!(std::io::stderr(), "{error}");
    Exit::Usage
}

/// There is nothing to look at.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NoLog {
    #[error("there is no log in {}; name a data directory with --data-dir", .0.display())]
    Missing(PathBuf),
    #[error(transparent)]
    NoPlace(#[from] DataDirError),
}

/// Returns the data directory that an option or the environment names, if it has a log.
///
/// # Errors
/// [`NoLog`] if there is none.
pub(crate) fn data_dir_with_log(data: &DataDirArg) -> Result<PathBuf, NoLog> {
    let data_dir = data.data_dir.clone().map_or_else(DataDir::default_path, Ok)?;
    if data_dir.join("log").is_dir() { Ok(data_dir) } else { Err(NoLog::Missing(data_dir)) }
}

fn verify(data_dir: &Path, is_json: bool) -> Result<Exit> {
    let is_written = storage::writer_of(data_dir)?.is_some();
    let mut verifier = Verifier::default();
    let scanned = reader::scan(data_dir, &mut |record| match Record::decode(
        record.kind,
        record.key,
        record.value,
    ) {
        Ok(record) => verifier.read(&record),
        Err(error) => verifier.unreadable(&error),
    });
    let verdict = verifier.finish(scanned.as_ref().map_or(true, ScanReport::is_whole));
    let mut problems = verdict.problems.clone();
    let lost_tail_bytes = match &scanned {
        // What a writer has under way is not lost.
        Ok(_) if is_written => 0,
        Ok(report) => report.torn.as_ref().map_or(0, |torn| torn.bytes),
        Err(error) => {
            problems.push(error.to_string());
            0
        }
    };
    if let (Ok(report), false) = (&scanned, is_written)
        && let Some(lost @ 1..) = storage::lost_keys(data_dir, report)
        // A run that has begun meanwhile writes more than was read.
        && storage::writer_of(data_dir)?.is_none()
    {
        problems.push(format!(
            "the log has lost {lost} records that its index knows; \
             restore the data directory from a copy, or go on without them by starting a run"
        ));
    }
    let is_ok = problems.is_empty();
    if is_json {
        let json = json!({
            "ok": is_ok,
            "issued": verdict.issued,
            "completed": verdict.completed,
            "open": verdict.open,
            "last_id": verdict.last_id.0,
            "lost_tail_bytes": lost_tail_bytes,
            "problems": problems,
        });
        output::say(&format!("{}\n", serde_json::to_string_pretty(&json)?));
    } else {
        for problem in &problems {
            output::say(&format!("problem: {problem}\n"));
        }
        let more = verdict.problems_count.saturating_sub(verdict.problems.len() as u64);
        if more > 0 {
            output::say(&format!("and {more} more\n"));
        }
        output::say(&format!(
            "{}: {} issued, {} completed, {} open, last id {}, {lost_tail_bytes} bytes of torn tail\n",
            if is_ok { "sound" } else { "NOT SOUND" },
            verdict.issued,
            verdict.completed,
            verdict.open,
            verdict.last_id,
        ));
    }
    match scanned {
        Err(error) => Ok(Exit::of_role(error.exit_kind().code())),
        Ok(_) if is_ok => Ok(Exit::Done),
        Ok(_) => Ok(Exit::LogDamaged),
    }
}

fn repair(data_dir: &Path, args: &RepairArgs) -> Result<Exit> {
    if let Some(holder) = DataDir::director_of(data_dir)? {
        // Its issuer, which writes the log, would only be replaced if it were ended.
        let path = data_dir.to_owned();
        let in_use = DataDirError::InUse { path, holder };
        usage(&in_use);
        return Ok(in_use.exit());
    }
    match &args.salvage {
        Some(out) => salvage(data_dir, out, args.log.json),
        None if args.dry_run => dry_repair(data_dir, args.log.json),
        None => {
            let found = repair::repair(data_dir)?;
            let kept = found.kept_aside.as_ref().map(|path| path.display().to_string());
            let IndexOutcome::Rebuilt { lost_keys, .. } = found.index else {
                unreachable!("a repair always makes the index anew")
            };
            if args.log.json {
                let json = json!({
                    "ok": true, "records": found.records, "segments": found.segments,
                    "torn_bytes": found.torn_bytes, "kept_aside": kept, "lost_keys": lost_keys,
                });
                output::say(&format!("{json}\n"));
            } else {
                output::say(&torn_line(found.torn_bytes, "were cut off"));
                if let Some(kept) = kept {
                    output::say(&format!("what was cut off is kept in {kept}\n"));
                }
                output::say(&lost_line(lost_keys));
                let log = log_size(found.records, found.segments);
                output::say(&format!("the index was made anew from {log}\n"));
            }
            Ok(Exit::Done)
        }
    }
}

/// Says what a repair would do.
fn dry_repair(data_dir: &Path, is_json: bool) -> Result<Exit> {
    if let Some(holder) = storage::writer_of(data_dir)? {
        return Err(LogError::InUse { path: data_dir.to_owned(), holder }.into());
    }
    let found = reader::scan(data_dir, &mut |_| {})?;
    let torn_bytes = found.torn.as_ref().map_or(0, |torn| torn.bytes);
    let lost_keys = storage::lost_keys(data_dir, &found);
    let index = match storage::index_health(data_dir) {
        Ok(health) => health.to_string(),
        Err(error) => error.to_string(),
    };
    if is_json {
        let json = json!({
            "ok": true, "records": found.records, "segments": found.segments.len(),
            "torn_bytes": torn_bytes, "lost_keys": lost_keys, "index": index,
        });
        output::say(&format!("{json}\n"));
    } else {
        output::say(&torn_line(torn_bytes, "would be cut off"));
        output::say(&lost_line(lost_keys.unwrap_or(0)));
        output::say(&format!("index: {index}\n"));
        let log = log_size(found.records, found.segments.len());
        output::say(&format!("the index would be made anew from {log}\n"));
    }
    Ok(Exit::Done)
}

fn torn_line(bytes: u64, verb: &str) -> String {
    match bytes {
        0 => "the log has no torn tail\n".to_owned(),
        bytes => format!("{bytes} bytes of torn tail {verb}\n"),
    }
}

/// Says what the index knew and the log has not any more; nothing if that is nothing.
fn lost_line(records: u64) -> String {
    match records {
        0 => String::new(),
        records => format!(
            "LOST: {} that the index knew and the log has no more; if that matters, restore the \
             data directory from a copy\n",
            format::counted(records, "record")
        ),
    }
}

fn log_size(records: u64, segments: usize) -> String {
    let records = format::counted(records, "record");
    format!("{records} in {}", format::counted(segments as u64, "segment"))
}

/// Writes what is whole in a log to a new data directory.
fn salvage(data_dir: &Path, out: &Path, is_json: bool) -> Result<Exit> {
    if out.read_dir().is_ok_and(|mut entries| entries.next().is_some()) {
        return Ok(usage(&NotEmpty(out.to_owned())));
    }
    let salvaged = repair::salvage(data_dir, out)?;
    let bytes: u64 = salvaged.skipped.iter().map(|skipped| skipped.bytes).sum();
    if is_json {
        let skipped = |place: &Skipped| {
            json!({ "segment": place.path.display().to_string(), "offset": place.offset,
                "bytes": place.bytes })
        };
        let json = json!({
            "records": salvaged.records, "skipped_bytes": bytes,
            "skipped": salvaged.skipped.iter().map(skipped).collect::<Vec<_>>(),
            "lost_issues": salvaged.unopened, "out_of_order": salvaged.out_of_order,
        });
        output::say(&format!("{json}\n"));
        return Ok(Exit::Done);
    }
    for place in &salvaged.skipped {
        let Skipped { path, offset, bytes } = place;
        output::say(&format!("skipped {bytes} bytes at byte {offset} of {}\n", path.display()));
    }
    if salvaged.unopened > 0 {
        let count = salvaged.unopened;
        output::say(&format!("left out {count} completions of tickets whose issue is lost\n"));
    }
    if salvaged.out_of_order > 0 {
        output::say(&format!("left out {} issues that are out of order\n", salvaged.out_of_order));
    }
    output::say(&format!("{} records are in {}\n", salvaged.records, out.display()));
    Ok(Exit::Done)
}

/// A place for something new has something in it.
#[derive(Debug, thiserror::Error)]
#[error("{} is not empty; name a directory that does not exist yet", .0.display())]
struct NotEmpty(PathBuf);
