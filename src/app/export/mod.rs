//! Snapshots as folders of files that other programs, and other people, can read.
//!
//! An export is a new folder in a directory that the user names. It is written under a temporary
//! name, synced, and renamed when it is whole, so whoever sees the folder sees all of it; nothing
//! is ever overwritten, and a failure leaves nothing behind. Every number comes from the one
//! snapshot that is being exported, except for `tickets.csv`, which is read from the log.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};

use engine::ids::RunId;
use engine::storage::LogError;

mod place;
mod tickets;

use place::Draft;

use super::director::Orders;
use super::exit::Exit;
use super::format;
use super::state::AppState;
use super::summary::Summary;

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
        draft.file("summary.json", "all figures of the snapshot", |out| {
            serde_json::to_writer_pretty(&mut *out, &summary.to_json())?;
            out.write_all(b"\n")
        })?;
        tickets::write(&mut draft, &self.0, state)?;
        draft.publish(&folder_name(state))
    }
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
