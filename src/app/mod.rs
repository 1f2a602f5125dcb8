//! The director and everything around it that knows no terminal.
//!
//! [`start`] opens the data directory, starts the director on its own thread and returns the
//! [`Office`] that front ends share with it.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::thread::JoinHandle;

use color_eyre::eyre::Result;
use engine::config::Effective;
use engine::ids::RunId;
use engine::roles::event_loop::EventLoop;
use engine::storage;
use engine::supervisor::signals::{self, Listen};

pub(crate) mod action;
pub(crate) mod cli;
pub(crate) mod commands;
pub(crate) mod datadir;
pub(crate) mod director;
pub(crate) mod exit;
pub(crate) mod export;
pub(crate) mod format;
pub(crate) mod handle;
pub(crate) mod headless;
mod log_commands;
pub(crate) mod logging;
mod procs;
pub(crate) mod recovery;
mod results;
mod snapshot;
mod staffing;
pub(crate) mod state;
mod summary;
mod sysinfo;
mod update;

use datadir::{DataDir, DataDirError};
use director::{Director, Orders};
use handle::Office;
use results::Results;
use state::Ending;
use summary::Summary;
use update::Run;

/// How an office is run, beside its scenario.
#[derive(Clone, Debug, Default)]
pub(crate) struct Wishes {
    /// Where the log lives; `None` is the default place.
    pub(crate) data_dir: Option<PathBuf>,
    /// Where tables are written at the end.
    pub(crate) export: Option<PathBuf>,
    /// Where users append acknowledged ids.
    pub(crate) ack_log: Option<PathBuf>,
    /// Whether somebody looks at processes.
    pub(crate) watches_processes: bool,
}

/// A running office.
pub(crate) struct App {
    office: Office,
    orders: Orders,
    export: Option<PathBuf>,
    data: DataDir,
    director: JoinHandle<Result<(Results, Run)>>,
    signals: signals::Listener,
}

/// Starts an office. `on_signal` is told of every signal too, after the director.
///
/// # Errors
/// If the data directory can't be used (a [`DataDirError`]) or the system refuses something.
pub(crate) fn start(
    effective: &Effective,
    wishes: Wishes,
    on_signal: impl Fn(signals::Signal) + Send + 'static,
) -> Result<App> {
    if let Some(dir) = &wishes.export {
        export::check_target(dir)?;
    }
    let path = wishes.data_dir.map_or_else(DataDir::default_path, Ok)?;
    let data = DataDir::open(&path)?;
    let scenario = effective.scenario.clone();
    let orders = Orders {
        scenario_text: effective.to_ini(),
        scenario_name: effective.title.clone(),
        run: RunId(u64::from_be_bytes(random()?)),
        seed: scenario.run.seed.map_or_else(|| random().map(|bytes| seed_of(&bytes)), Ok)?,
        secret: random()?,
        data_dir: data.path().to_owned(),
        socket: data.socket(),
        scratch_dir: data.scratch(),
        ack_log: wishes.ack_log.as_deref().map(std::path::absolute).transpose()?,
        notes_dir: wishes.export.is_some().then(|| data.make_notes_dir()).transpose()?,
        watches_processes: wishes.watches_processes,
        scenario,
    };
    let mut event_loop = EventLoop::new()?;
    let waker = event_loop.waker();
    let (sender, receiver) = channel();
    let signal_waker = Arc::clone(&waker);
    let signals = signals::listen(Listen::All, move |signal| {
        // A director that has ended needs no signal.
        let _ = sender.send(signal);
        let _ = signal_waker.wake();
        on_signal(signal);
    })?;
    let first = snapshot::Album::blank(&orders);
    let (office, desk) = handle::office(first, move || drop(waker.wake()));
    let mut director = Director::new(orders.clone(), desk, receiver);
    let director = std::thread::Builder::new().name("director".to_owned()).spawn(move || {
        event_loop.run(&mut director)?;
        Ok(director.into_results())
    })?;
    Ok(App { office, orders, export: wishes.export, data, director, signals })
}

impl App {
    /// Returns what front ends share with the director.
    pub(crate) fn office(&self) -> &Office {
        &self.office
    }

    /// Returns whether the director has ended, in good order or not.
    pub(crate) fn has_ended(&self) -> bool {
        self.director.is_finished()
    }

    /// Waits for the end of the run, writes the export, and sums up.
    ///
    /// # Errors
    /// If the director failed or the export can't be written.
    pub(crate) fn finish(self) -> Result<Summary> {
        let Self { orders, export, data, director, signals, .. } = self;
        let ended = director.join().map_err(|_| DirectorPanicked)?;
        drop(signals);
        let (results, run) = ended?;
        let ending = run.ended().cloned().unwrap_or(Ending::Completed);
        // What can't be read is not known.
        let file_bytes = storage::file_bytes(data.path()).ok();
        let summary = Summary::new(&orders, &results, &run, &ending, file_bytes);
        if let Some(dir) = export {
            export::write(&dir, &summary, &orders, &run, data.path())?;
        }
        Ok(summary)
    }
}

/// The director's thread has panicked; the report stands before this.
#[derive(Debug, thiserror::Error)]
#[error("the director panicked; its processes have ended, and the log holds all that was told")]
struct DirectorPanicked;

/// A chosen seed is short enough to be typed again.
fn seed_of(bytes: &[u8; 4]) -> u64 {
    u64::from(u32::from_be_bytes(*bytes))
}

fn random<const N: usize>() -> Result<[u8; N]> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|error| color_eyre::eyre::eyre!("{error}"))?;
    Ok(bytes)
}

/// Returns the exit code that an error on the way to a run means.
pub(crate) fn exit_of_error(error: &color_eyre::Report) -> exit::Exit {
    if let Some(error) = error.downcast_ref::<DataDirError>() {
        return error.exit();
    }
    if let Some(error) = error.downcast_ref::<engine::storage::LogError>() {
        return exit::Exit::of_role(error.exit_kind().code());
    }
    if error.downcast_ref::<DirectorPanicked>().is_some() {
        return exit::Exit::Panic;
    }
    if error.downcast_ref::<export::ExportError>().is_some() {
        return exit::Exit::Usage;
    }
    exit::Exit::Failed
}
