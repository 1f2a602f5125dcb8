//! Snapshots as folders of files that other programs, and other people, can read.
//!
//! An export is a new folder in a directory that the user names. It is written under a temporary
//! name, synced, and renamed when it is whole: whoever sees a file of the folder sees all of it. (To
//! take its name it is an empty directory for a moment.) Nothing is ever overwritten, and a failure
//! leaves nothing behind. Every number comes from the one snapshot that is being exported, except
//! for `tickets.csv`, which is read from the log.

use std::collections::BTreeSet;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};
use std::thread::JoinHandle;

use engine::config::{self, Scenario};
use engine::ids::RunId;
use engine::nice;
use engine::perf::catalog::{LOGSTORE_FSYNC, METRICS};
use engine::storage::LogError;

mod charts;
mod hgrm;
mod manifest;
mod place;
mod report;
mod svg;
#[cfg(test)]
mod testing;
mod tickets;

use place::Draft;

use super::director::Orders;
use super::exit::Exit;
use super::format;
use super::prometheus;
use super::state::{AppState, MetricRow, MetricValue};
use super::summary::Summary;
use super::tables::{self, Cell, Column, Table};

/// Writes snapshots to folders; can be used from any thread, beside a running office.
///
/// Clones share one lock: there is one export at a time.
#[derive(Clone, Debug)]
pub(crate) struct Exporter(Arc<Facts>);

/// What an export needs beside the snapshot.
#[derive(Debug)]
struct Facts {
    subject: Subject,
    data_dir: PathBuf,
    /// Where users note what they were told, if they do.
    notes_dir: Option<PathBuf>,
    /// Held while an export is being written.
    pen: Mutex<()>,
    /// Exports end where they are.
    is_cut_short: Arc<AtomicBool>,
    /// The export that is being written on a thread of its own, or was.
    beside: Mutex<Option<JoinHandle<()>>>,
}

/// What the log's records are about.
#[derive(Clone, Debug)]
struct Subject {
    run: RunId,
    /// Names of the loads, by number.
    loads: Vec<String>,
    /// Names of the services, by number.
    services: Vec<String>,
}

impl Subject {
    fn new(run: RunId, scenario: &Scenario) -> Self {
        let loads = scenario.loads.iter().map(|load| load.name.clone()).collect();
        let services = scenario.services.iter().map(|service| service.name.clone()).collect();
        Self { run, loads, services }
    }

    /// Returns what a snapshot's own scenario says; if it is not known, only the services.
    fn of(state: &AppState) -> Self {
        let text = &state.run.scenario_text;
        let scenario = Some(text).filter(|text| !text.is_empty());
        match scenario.and_then(|text| config::parse_effective(text).ok()) {
            Some(scenario) => Self::new(state.run.id, &scenario),
            None => Self {
                run: state.run.id,
                loads: Vec::new(),
                services: state.services.iter().map(|service| service.name.clone()).collect(),
            },
        }
    }
}

/// Why nothing was exported.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ExportError {
    #[error(
        "cannot export to {}: there is no directory {}; make it first, or choose another place",
        dir.display(),
        parent.display()
    )]
    NoParent { dir: PathBuf, parent: PathBuf },
    #[error(
        "cannot export to {}: it is a symbolic link; name the directory itself",
        .0.display()
    )]
    Symlink(PathBuf),
    #[error(
        "cannot export to {}: it is not a directory; choose another place",
        .0.display()
    )]
    NotADirectory(PathBuf),
    #[error("cannot {action} {}: {source}; {}", path.display(), advice(source))]
    Io { action: &'static str, path: PathBuf, source: io::Error },
    #[error("cannot read the log for tickets.csv")]
    Log(#[from] LogError),
    #[error("a signal cut the export short")]
    CutShort,
    #[error("an export is being written already; try again when it is done")]
    Busy,
}

/// Returns what to do about a failure of the file system.
fn advice(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            "make room there, or choose another place for exports"
        }
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            "choose a place for exports that you may write to"
        }
        _ => "choose another place for exports",
    }
}

impl ExportError {
    /// Returns the exit code of a start that this prevents.
    pub(crate) fn exit(&self) -> Exit {
        match self {
            Self::NoParent { .. } | Self::Symlink(_) | Self::NotADirectory(_) => Exit::Usage,
            Self::Io { .. } => Exit::Disk,
            Self::Log(error) => Exit::of_role(error.exit_kind().code()),
            Self::Busy | Self::CutShort => Exit::Failed,
        }
    }
}

impl Exporter {
    /// Returns an exporter for a run.
    pub(crate) fn new(orders: &Orders) -> Self {
        let subject = Subject::new(orders.run, &orders.effective.scenario);
        Self::with(subject, orders.data_dir.clone(), orders.notes_dir.clone())
    }

    /// Returns an exporter for an office that is looked at from outside.
    pub(crate) fn of(state: &AppState) -> Self {
        Self::with(Subject::of(state), PathBuf::from(&state.run.data_dir), None)
    }

    fn with(subject: Subject, data_dir: PathBuf, notes_dir: Option<PathBuf>) -> Self {
        Self(Arc::new(Facts {
            subject,
            data_dir,
            notes_dir,
            pen: Mutex::default(),
            is_cut_short: Arc::default(),
            beside: Mutex::default(),
        }))
    }

    /// Makes sure that something can be exported to `dir`; leaves nothing behind.
    ///
    /// # Errors
    /// [`ExportError`] if `dir` can't be a directory for exports or can't be written.
    pub(crate) fn check(dir: &Path) -> Result<(), ExportError> {
        place::check(dir)
    }

    /// Returns where exports go that nobody named a place for.
    pub(crate) fn usual_place(&self) -> PathBuf {
        self.0.data_dir.join("exports")
    }

    /// Writes a snapshot to a new folder in `dir`, which is made if only its last component is
    /// missing, and returns the folder. Takes as long as reading the log takes; a relative `dir`
    /// is relative to this process.
    ///
    /// # Errors
    /// [`ExportError::Busy`] if another export is being written; others if this one can't be.
    pub(crate) fn write(&self, dir: &Path, state: &AppState) -> Result<PathBuf, ExportError> {
        let pen = match self.0.pen.try_lock() {
            Ok(pen) => pen,
            Err(TryLockError::Poisoned(pen)) => pen.into_inner(),
            Err(TryLockError::WouldBlock) => return Err(ExportError::Busy),
        };
        self.write_with(&pen, dir, state)
    }

    /// Like [`Self::write`], but waits for an export that is being written.
    ///
    /// # Errors
    /// [`ExportError`] if it can't be written.
    pub(crate) fn write_last(&self, dir: &Path, state: &AppState) -> Result<PathBuf, ExportError> {
        let pen = self.0.pen.lock().unwrap_or_else(PoisonError::into_inner);
        self.write_with(&pen, dir, state)
    }

    /// Like [`Self::write`], on a thread of its own, which tells `done` how it went.
    ///
    /// # Errors
    /// [`ExportError::Busy`] if another export is being written.
    pub(crate) fn write_beside(
        &self,
        dir: PathBuf,
        state: Arc<AppState>,
        done: impl FnOnce(Result<PathBuf, ExportError>) + Send + 'static,
    ) -> Result<(), ExportError> {
        let mut beside = self.0.beside.lock().unwrap_or_else(PoisonError::into_inner);
        let is_writing = beside.as_ref().is_some_and(|thread| !thread.is_finished());
        if is_writing || matches!(self.0.pen.try_lock(), Err(TryLockError::WouldBlock)) {
            return Err(ExportError::Busy);
        }
        let (own, place) = (self.clone(), dir.clone());
        let write = move || {
            nice::yield_to_others();
            done(own.write(&dir, &state));
        };
        let thread = std::thread::Builder::new().name("export".to_owned()).spawn(write);
        let io = |source| ExportError::Io { action: "write", path: place, source };
        *beside = Some(thread.map_err(io)?);
        Ok(())
    }

    /// Writes some texts as the files of a new folder in the usual place, and returns the folder. It
    /// is for little and waits for nobody.
    ///
    /// # Errors
    /// [`ExportError::Busy`] if an export is being written; others if this can't be.
    pub(crate) fn write_texts(
        &self,
        name: &str,
        files: &[(&str, &str, String)],
    ) -> Result<PathBuf, ExportError> {
        let Ok(_pen) = self.0.pen.try_lock() else { return Err(ExportError::Busy) };
        let mut draft = Draft::begin(&self.usual_place(), Arc::clone(&self.0.is_cut_short))?;
        for (name, holds, text) in files {
            draft.file(name, holds, |out| out.write_all(text.as_bytes()))?;
        }
        draft.publish(name)
    }

    /// Ends exports that are being written, and all later ones, with [`ExportError::CutShort`].
    pub(crate) fn cut_short(&self) {
        self.0.is_cut_short.store(true, Ordering::Relaxed);
    }

    /// Waits for exports that are being written, which the end of the process would cut short.
    /// None begins after that.
    pub(crate) fn wait(&self) {
        let beside = self.0.beside.lock().unwrap_or_else(PoisonError::into_inner).take();
        // One that panicked has said so.
        beside.map(JoinHandle::join);
        let _pen = self.0.pen.lock();
        self.cut_short();
    }

    fn write_with(
        &self,
        _pen: &MutexGuard<'_, ()>,
        dir: &Path,
        state: &AppState,
    ) -> Result<PathBuf, ExportError> {
        let mut draft = Draft::begin(dir, Arc::clone(&self.0.is_cut_short))?;
        let summary = Summary::new(Arc::new(state.clone()));
        let tables = tables::all(state);
        draft.file("summary.json", "all figures of the snapshot", |out| {
            serde_json::to_writer_pretty(&mut *out, &summary.to_json())?;
            out.write_all(b"\n")
        })?;
        let gaps = tickets::write(&mut draft, &self.0, state)?;
        let missing = manifest::missing(state, gaps);
        draft.file("report.html", "charts and tables as one page", |out| {
            out.write_all(report::html(state, &summary, &tables, &missing).as_bytes())
        })?;
        draft.file("report.md", "the tables for people", |out| {
            out.write_all(report::markdown(state, &summary, &tables, &missing).as_bytes())
        })?;
        draft.file("scenario.ini", "the scenario as it was at the start", |out| {
            out.write_all(state.run.scenario_text.as_bytes())
        })?;
        let columns = tables::series_columns();
        draft.file("series.csv", "the run second by second", |out| {
            write_csv(out, &columns, state.history.iter().map(tables::second))
        })?;
        for table in &tables {
            let Table { name, title, columns, rows } = table;
            draft.file(&format!("{name}.csv"), title, |out| {
                write_csv(out, columns, rows.iter().cloned())
            })?;
        }
        draft.file("metrics.prom", "the snapshot as Prometheus text", |out| {
            out.write_all(prometheus::render(state).as_bytes())
        })?;
        write_histograms(&mut draft, state)?;
        let manifest = manifest::json(state, draft.files(), &missing);
        draft.file("manifest.json", "what is in the other files", |out| {
            serde_json::to_writer_pretty(&mut *out, &manifest)?;
            out.write_all(b"\n")
        })?;
        draft.publish(&folder_name(state))
    }
}

/// Writes one header line and rows for machines.
fn write_csv(
    out: &mut dyn Write,
    columns: &[Column],
    rows: impl Iterator<Item = Vec<Cell>>,
) -> io::Result<()> {
    let mut csv = csv::Writer::from_writer(out);
    csv.write_record(columns.iter().map(|column| column.key))?;
    for row in rows {
        csv.write_record(row.iter().map(Cell::raw))?;
    }
    csv.flush()
}

/// Writes each histogram as a percentile distribution.
fn write_histograms(draft: &mut Draft, state: &AppState) -> Result<(), ExportError> {
    let mut taken = BTreeSet::new();
    for named in &state.figures.histograms {
        let service = named.service.as_deref();
        let of = service.map_or_else(String::new, |name| format!("-{}", place::sanitised(name)));
        let mut name = format!("latency-{}{of}", named.name);
        // Names that differ may be the same in plain characters.
        while !taken.insert(name.clone()) {
            name.push_str("-2");
        }
        let service = service.unwrap_or("all services");
        let holds = format!("{} of {service} by percentile, in microseconds", named.name);
        draft.file(&format!("{name}.hgrm"), &holds, |out| hgrm::write(out, &named.histogram))?;
    }
    let fsync = METRICS[usize::from(LOGSTORE_FSYNC)].name;
    let sync = state.metrics.iter().find(|row| row.metric.name == fsync);
    if let Some(MetricRow { value: MetricValue::Values(values), .. }) = sync {
        let holds = "syncs of the log by percentile, in microseconds";
        draft.file("log-sync.hgrm", holds, |out| hgrm::write(out, values))?;
    }
    Ok(())
}

/// Returns the name of a snapshot's folder: when, what, and which run.
fn folder_name(state: &AppState) -> String {
    let run = state.run.id_text();
    let stamp = format::stamp(state.wall);
    format!("{stamp}-{}-{}", place::sanitised(&state.run.scenario), &run[..8])
}

/// Says where an export is, or why there is none.
pub(crate) fn said(exported: &Result<PathBuf, ExportError>) -> String {
    match exported {
        Ok(folder) => {
            let home = std::env::var_os("HOME").map(PathBuf::from);
            format!("exported to {}", format::path(folder, home.as_deref()))
        }
        Err(error) => format!("nothing was exported: {}", one_line(error)),
    }
}

/// Returns an error and its cause in one line.
pub(crate) fn one_line(error: &ExportError) -> String {
    use std::error::Error as _;
    match (error, error.source()) {
        (ExportError::Log(_), Some(cause)) => format!("{error}: {cause}"),
        _ => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use super::*;

    fn exporter(data_dir: &Path) -> Exporter {
        let (run, loads, services) = (RunId(7), Vec::new(), Vec::new());
        Exporter::with(Subject { run, loads, services }, data_dir.to_owned(), None)
    }

    /// A snapshot of a run whose doors did not open, so that there is no log to read.
    fn state() -> AppState {
        AppState { opened_at: None, ..testing::state(5) }
    }

    #[test]
    fn there_is_one_export_at_a_time() {
        let dir = tempfile::tempdir().unwrap();
        let exporter = exporter(dir.path());
        let pen = exporter.0.pen.lock().unwrap();
        let other = exporter.clone();
        assert!(matches!(other.write(dir.path(), &state()), Err(ExportError::Busy)));
        let (sender, receiver) = channel();
        let beside = |sender: std::sync::mpsc::Sender<_>| {
            let done = move |exported| sender.send(exported).unwrap();
            other.write_beside(other.usual_place(), Arc::new(state()), done)
        };
        assert!(matches!(beside(sender.clone()), Err(ExportError::Busy)));
        drop(pen);
        beside(sender).unwrap();
        exporter.wait();
        let folder = receiver.recv().unwrap().unwrap();
        assert!(folder.starts_with(dir.path().join("exports")) && folder.is_dir());
        let late = other.write(dir.path(), &state());
        assert!(matches!(late, Err(ExportError::CutShort)), "none begins at the end: {late:?}");
    }

    #[test]
    fn an_export_that_is_cut_short_leaves_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let exporter = exporter(dir.path());
        exporter.cut_short();
        let place = dir.path().join("out");
        assert!(matches!(exporter.write(&place, &state()), Err(ExportError::CutShort)));
        assert!(!place.exists());
    }

    #[test]
    fn names_from_a_scenario_stay_in_their_folder() {
        let dir = tempfile::tempdir().unwrap();
        let mut state = state();
        state.run.scenario = "../../up and away".to_owned();
        let figures = Arc::make_mut(&mut state.figures);
        let names = ["../x", "/x", "x"].into_iter().cycle();
        let named = figures.histograms.iter_mut().filter(|named| named.service.is_some());
        for (named, name) in named.zip(names) {
            (named.name, named.service) = ("wait", Some(name.to_owned()));
        }
        let folder = exporter(dir.path()).write(dir.path(), &state).unwrap();
        assert_eq!(folder.parent(), Some(dir.path()));
        let name = folder.file_name().unwrap().to_str().unwrap();
        assert!(name.ends_with("Z-up-and-away-7f3a0000"), "{name}");
        for name in ["latency-wait-x.hgrm", "latency-wait-x-2.hgrm", "latency-wait-x-2-2.hgrm"] {
            assert!(folder.join(name).is_file(), "{name}");
        }
        assert!(folder.join("log-sync.hgrm").is_file());
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn an_office_that_is_just_starting_can_be_exported() {
        let dir = tempfile::tempdir().unwrap();
        let state = crate::app::testing::starting();
        let folder = exporter(dir.path()).write(dir.path(), &state).unwrap();
        let lines =
            |name: &str| std::fs::read_to_string(folder.join(name)).unwrap().lines().count();
        assert_eq!((lines("tickets.csv"), lines("series.csv"), lines("processes.csv")), (1, 1, 1));
        let page = std::fs::read_to_string(folder.join("report.html")).unwrap();
        let options = roxmltree::ParsingOptions { allow_dtd: true, ..Default::default() };
        roxmltree::Document::parse_with_options(&page, options).unwrap();
        let manifest = std::fs::read_to_string(folder.join("manifest.json")).unwrap();
        assert!(manifest.contains("the doors did not open"), "{manifest}");
    }

    #[test]
    fn what_failed_is_said_in_one_line() {
        let full = io::Error::from(io::ErrorKind::StorageFull);
        let path = PathBuf::from("/x/tickets.csv");
        let failed = Err(ExportError::Io { action: "write", path, source: full });
        let said = said(&failed);
        assert!(said.starts_with("nothing was exported: cannot write /x/tickets.csv: "), "{said}");
        assert!(said.contains("make room there") && !said.contains('\n'), "{said}");
    }
}
