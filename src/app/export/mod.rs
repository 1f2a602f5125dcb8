//! Snapshots as folders of files that other programs, and other people, can read.
//!
//! An export is a new folder in a directory that the user names. It is written under a temporary
//! name, synced, and renamed when it is whole, so whoever sees the folder sees all of it; nothing
//! is ever overwritten, and a failure leaves nothing behind. Every number comes from the one
//! snapshot that is being exported, except for `tickets.csv`, which is read from the log.

use std::collections::BTreeSet;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};

use engine::ids::RunId;
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
    run: RunId,
    data_dir: PathBuf,
    /// Where users note what they were told, if they do.
    notes_dir: Option<PathBuf>,
    /// Names of the loads, by number.
    loads: Vec<String>,
    /// Names of the services, by number.
    services: Vec<String>,
    /// Held while an export is being written.
    pen: Mutex<()>,
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
            Self::Busy => Exit::Failed,
        }
    }
}

impl Exporter {
    /// Returns an exporter for a run.
    pub(crate) fn new(orders: &Orders) -> Self {
        let scenario = &orders.scenario;
        Self(Arc::new(Facts {
            run: orders.run,
            data_dir: orders.data_dir.clone(),
            notes_dir: orders.notes_dir.clone(),
            loads: scenario.loads.iter().map(|load| load.name.clone()).collect(),
            services: scenario.services.iter().map(|service| service.name.clone()).collect(),
            pen: Mutex::default(),
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

    fn write_with(
        &self,
        _pen: &MutexGuard<'_, ()>,
        dir: &Path,
        state: &AppState,
    ) -> Result<PathBuf, ExportError> {
        let mut draft = Draft::begin(dir)?;
        let summary = Summary::new(Arc::new(state.clone()));
        let tables = tables::all(state);
        draft.file("summary.json", "all figures of the snapshot", |out| {
            serde_json::to_writer_pretty(&mut *out, &summary.to_json())?;
            out.write_all(b"\n")
        })?;
        draft.file("report.html", "charts and tables as one page", |out| {
            out.write_all(report::html(state, &summary, &tables).as_bytes())
        })?;
        draft.file("report.md", "the tables for people", |out| {
            out.write_all(report::markdown(state, &summary, &tables).as_bytes())
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
        let gaps = tickets::write(&mut draft, &self.0, state)?;
        let manifest = manifest::json(state, draft.files(), gaps);
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
        let holds = format!("{} of {service} by percentile, in milliseconds", named.name);
        draft.file(&format!("{name}.hgrm"), &holds, |out| hgrm::write(out, &named.histogram))?;
    }
    let fsync = METRICS[usize::from(LOGSTORE_FSYNC)].name;
    let sync = state.metrics.iter().find(|row| row.metric.name == fsync);
    if let Some(MetricRow { value: MetricValue::Values(values), .. }) = sync {
        let holds = "syncs of the log by percentile, in milliseconds";
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

/// Returns an error and its cause in one line.
pub(crate) fn one_line(error: &ExportError) -> String {
    use std::error::Error as _;
    match (error, error.source()) {
        (ExportError::Log(_), Some(cause)) => format!("{error}: {cause}"),
        _ => error.to_string(),
    }
}
