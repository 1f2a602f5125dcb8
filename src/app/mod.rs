//! The director and everything around it that knows no terminal.
//!
//! [`start`] opens the data directory, starts the director on its own thread and returns the
//! [`Office`] that front ends share with it.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, channel, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use color_eyre::eyre::Result;
use engine::clock::{Clock, SystemClock};
use engine::config::Effective;
use engine::ids::RunId;
use engine::perf::facade;
use engine::roles::event_loop::EventLoop;
use engine::supervisor::signals::{self, Listen};

pub(crate) mod action;
pub(crate) mod attach;
pub(crate) mod bench;
pub(crate) mod cli;
pub(crate) mod commands;
pub(crate) mod conf;
pub(crate) mod control;
pub(crate) mod crash;
mod ctl;
pub(crate) mod datadir;
mod diary;
pub(crate) mod director;
pub(crate) mod doctor;
mod doors;
pub(crate) mod events;
pub(crate) mod exit;
pub(crate) mod export;
pub(crate) mod figures;
pub(crate) mod format;
pub(crate) mod growth;
pub(crate) mod handle;
pub(crate) mod headless;
pub(crate) mod heat;
pub(crate) mod history;
pub(crate) mod log_commands;
pub(crate) mod logging;
mod looks;
mod manual;
mod metrics_server;
pub(crate) mod net;
pub(crate) mod output;
mod procs;
pub(crate) mod prometheus;
mod recent;
pub(crate) mod recovery;
pub(crate) mod registry;
pub(crate) mod replay;
mod results;
mod runfile;
mod sample;
mod serial;
mod server;
pub(crate) mod settings;
pub(crate) mod slo;
mod snapshot;
mod staffing;
pub(crate) mod state;
mod summary;
mod sysinfo;
mod tables;
mod tally;
pub(crate) mod tempo;
#[cfg(test)]
pub(crate) mod testing;
pub(crate) mod ticket;
pub(crate) mod trend;
mod update;
pub(crate) mod view_args;
pub(crate) mod viewer;
mod wire;

use conf::Recipe;
use datadir::{DataDir, DataDirError};
use director::{Director, Orders};
use doors::Doors;
use events::News;
use exit::Exit;
use export::{ExportError, Exporter};
use handle::Office;
use state::Source;
use summary::Summary;
use sysinfo::watch::{SysSlot, SysWatch};

/// How an office is run, beside its scenario.
#[derive(Clone, Debug, Default)]
pub(crate) struct Wishes {
    /// Where the log lives; `None` is the default place.
    pub(crate) data_dir: Option<PathBuf>,
    /// Where a folder with the last snapshot is made at the end.
    pub(crate) export: Option<PathBuf>,
    /// Where users append acknowledged ids.
    pub(crate) ack_log: Option<PathBuf>,
    /// Where the scenario came from.
    pub(crate) recipe: Recipe,
    /// Whether there is a dashboard: then a reload by signal is shown and waits for a yes, and what
    /// is given up waits for another try instead of ending the run.
    pub(crate) has_screen: bool,
}

/// A running office.
pub(crate) struct App {
    office: Office,
    doors: Doors,
    exporter: Exporter,
    export: Option<PathBuf>,
    /// Held until everything has ended.
    data: DataDir,
    director: JoinHandle<Result<()>>,
    /// Lets the director begin.
    begin: SyncSender<()>,
    /// Looks at the machine while the office runs.
    watch: SysWatch,
    signals: signals::Listener,
}

/// The longest that the director waits for its front end's first picture, which would otherwise
/// share the CPUs with the start of all processes.
const FIRST_PICTURE_WITHIN: Duration = Duration::from_millis(50);

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
        Exporter::check(dir)?;
    }
    let path = wishes.data_dir.map_or_else(DataDir::default_path, Ok)?;
    let data = DataDir::open(&path)?;
    let scenario = &effective.scenario;
    facade::set_recording(scenario.metrics.recording);
    let orders = Orders {
        effective: effective.clone(),
        recipe: wishes.recipe,
        has_screen: wishes.has_screen,
        run: RunId(u64::from_be_bytes(random()?)),
        seed: scenario.run.seed.map_or_else(|| random().map(|bytes| seed_of(&bytes)), Ok)?,
        secret: random()?,
        data_dir: data.path().to_owned(),
        socket: data.socket(),
        scratch_dir: data.scratch(),
        sys: SysSlot::default(),
        ack_log: wishes.ack_log.as_deref().map(std::path::absolute).transpose()?,
        notes_dir: wishes.export.is_some().then(|| data.make_notes_dir()).transpose()?,
    };
    let watch =
        SysWatch::start(orders.sys.clone(), orders.data_dir.clone(), &orders.effective.scenario)?;
    let mut event_loop = EventLoop::new()?;
    let waker = event_loop.waker();
    let (sender, receiver) = channel();
    let signal_waker = Arc::clone(&waker);
    let exporter = Exporter::new(&orders);
    let last_export = exporter.clone();
    let signals = signals::listen(Listen::All, move |signal| {
        if sender.send(signal).is_err() && matches!(signal, signals::Signal::Terminate { .. }) {
            // The director has ended; what is left to do is an export.
            last_export.cut_short();
        }
        let _ = signal_waker.wake();
        on_signal(signal);
    })?;
    let first = snapshot::Album::blank(&orders);
    let (office, desk) = handle::office(first, move || drop(waker.wake()));
    let (doors, news) = doors::open(&data, &office, &exporter, &effective.scenario);
    let mut director = Director::new(orders, desk, receiver);
    for (severity, text) in news {
        let (who, label) = (Source::Office, "start".to_owned());
        director.warn(News { severity, who, label, text }, SystemClock.now());
    }
    let (begin, begun) = sync_channel(1);
    let director = std::thread::Builder::new().name("director".to_owned()).spawn(move || {
        // Whatever comes of it, the office opens.
        let _ = begun.recv_timeout(FIRST_PICTURE_WITHIN);
        event_loop.run(&mut director)?;
        Ok(())
    })?;
    Ok(App {
        office,
        doors,
        exporter,
        export: wishes.export,
        data,
        director,
        begin,
        watch,
        signals,
    })
}

impl App {
    /// Lets the office open now: its front end has drawn, or draws nothing.
    pub(crate) fn begin(&self) {
        // A director that has begun already needs no word.
        let _ = self.begin.try_send(());
    }

    /// Returns what front ends share with the director.
    pub(crate) fn office(&self) -> &Office {
        &self.office
    }

    /// Returns the data directory.
    pub(crate) fn data_dir(&self) -> &Path {
        self.data.path()
    }

    /// Returns whether the director has ended, in good order or not.
    pub(crate) fn has_ended(&self) -> bool {
        self.director.is_finished()
    }

    /// Returns what writes snapshots to files; clones may go to any thread.
    pub(crate) fn exporter(&self) -> &Exporter {
        &self.exporter
    }

    /// Returns where metrics are served, if they are.
    pub(crate) fn metrics_url(&self) -> Option<String> {
        self.doors.metrics_url()
    }

    /// Returns whether [`Self::finish`] will write an export, which may take a while.
    pub(crate) fn will_export(&self) -> bool {
        self.export.is_some()
    }

    /// Waits for the end of the run, writes the export, and sums up.
    ///
    /// # Errors
    /// If the director failed.
    pub(crate) fn finish(self) -> Result<Finished> {
        let Self { office, mut doors, exporter, export, data, director, begin, watch, signals } =
            self;
        drop(begin);
        let ended = director.join().map_err(|_| DirectorPanicked);
        drop(watch);
        let state = office.snapshot();
        let is_whole = matches!(ended, Ok(Ok(())));
        let export = export.filter(|_| is_whole);
        let exported = export.map(|dir| exporter.write_last(&dir, &state));
        // Whoever waits for the end may start the next run here as soon as it is told.
        doors.close();
        exporter.wait();
        drop(signals);
        drop(data);
        drop(doors);
        ended??;
        Ok(Finished { summary: Summary::new(state), exported })
    }
}

/// What there is to say when a run has ended.
#[derive(Debug)]
pub(crate) struct Finished {
    /// The run's figures.
    pub(crate) summary: Summary,
    /// The folder that was exported, if one was asked for.
    pub(crate) exported: Option<Result<PathBuf, ExportError>>,
}

impl Finished {
    /// Returns the exit code of the run. An export that is missing is told by scripts that rely on
    /// it, unless something worse happened.
    pub(crate) fn exit(&self) -> Exit {
        match (&self.exported, self.summary.exit()) {
            (Some(Err(_)), Exit::Done | Exit::SloMissed | Exit::Overloaded | Exit::Signal(_)) => {
                Exit::Disk
            }
            (_, exit) => exit,
        }
    }

    /// Says where the export is, or why there is none; `None` if none was asked for.
    pub(crate) fn export_text(&self) -> Option<String> {
        self.exported.as_ref().map(export::said)
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
pub(crate) fn exit_of_error(error: &color_eyre::Report) -> Exit {
    if let Some(error) = error.downcast_ref::<DataDirError>() {
        return error.exit();
    }
    if let Some(error) = error.downcast_ref::<engine::storage::LogError>() {
        return Exit::of_role(error.exit_kind().code());
    }
    if let Some(error) = error.downcast_ref::<bench::BenchError>() {
        return error.exit();
    }
    if error.downcast_ref::<DirectorPanicked>().is_some() {
        return Exit::Panic;
    }
    if let Some(error) = error.downcast_ref::<ExportError>() {
        return error.exit();
    }
    Exit::Failed
}
