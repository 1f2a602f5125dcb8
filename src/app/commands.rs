//! The commands that run no office.

use std::io::Write;
use std::path::{Path, PathBuf};

use color_eyre::eyre::Result;
use engine::config::{self, ConfigErrors, Effective, LoadError, Override};
use engine::scheduler::record::Record;
use engine::scheduler::verify::Verifier;
use engine::storage::reader;
use serde_json::json;

use super::cli::{Command, DataDirArg, ScenarioCommand};
use super::datadir::{DataDir, DataDirError};
use super::exit::Exit;
use super::log_commands;

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

/// Runs a command and returns the exit code.
///
/// # Errors
/// What the command could not do.
pub(crate) fn run(command: &Command) -> Result<Exit> {
    match command {
        Command::Scenario { command } => run_scenario(command),
        Command::Verify { args } => match data_dir_with_log(&args.data) {
            Ok(data_dir) => verify(&data_dir, args.json),
            Err(error) => Ok(usage(&error)),
        },
        Command::Log { command } => log_commands::run(command),
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
    say(&text);
    Ok(Exit::Done)
}

/// Says what is wrong with how the program was used.
pub(crate) fn usage(error: &dyn std::error::Error) -> Exit {
    // Nobody may be there to read it; the exit code says it too.
    let _ = writeln!(std::io::stderr(), "{error}");
    Exit::Usage
}

/// Whoever reads may have read enough: a closed pipe is no error.
fn say(text: &str) {
    let _ = std::io::stdout().write_all(text.as_bytes());
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
    let mut verifier = Verifier::default();
    let scanned = reader::scan(data_dir, &mut |record| match Record::decode(
        record.kind,
        record.key,
        record.value,
    ) {
        Ok(record) => verifier.read(&record),
        Err(error) => verifier.unreadable(&error),
    });
    let verdict = verifier.finish();
    let mut problems = verdict.problems.clone();
    let lost_tail_bytes = match &scanned {
        Ok(report) => report.torn.as_ref().map_or(0, |torn| torn.bytes),
        Err(error) => {
            problems.push(error.to_string());
            0
        }
    };
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
        say(&format!("{}\n", serde_json::to_string_pretty(&json)?));
    } else {
        for problem in &problems {
            say(&format!("problem: {problem}\n"));
        }
        let more = verdict.problems_count.saturating_sub(verdict.problems.len() as u64);
        if more > 0 {
            say(&format!("and {more} more\n"));
        }
        say(&format!(
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
