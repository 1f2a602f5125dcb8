//! The data directory: made, locked for one director, and with a private place for sockets.

use std::fs::{DirBuilder, File};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use engine::lock::{self, LockError};

use super::exit::Exit;

/// Held by the process that directs an office there.
const LOCK_NAME: &str = "director.lock";
/// Where the director takes requests.
const CONTROL_NAME: &str = "control.sock";
/// The longest path that a socket's address holds.
const SOCKET_PATH_BYTES_MAX: usize = 107;

/// What may be in a data directory that has no log: what a run that never opened left, and what
/// the root of a file system has.
const OWN_NAMES: [&str; 7] =
    ["run", "runs", "index", "index.new", "exports", super::crash::DIRECTORY, "lost+found"];

/// A data directory that this process alone directs.
#[derive(Debug)]
pub(crate) struct DataDir {
    path: PathBuf,
    sockets: PathBuf,
    /// A directory elsewhere, because the data directory's path is too long for a socket.
    short: Option<PathBuf>,
    /// Held as long as the process lives; the kernel lets go of it however the process ends.
    _lock: File,
}

/// Why a data directory can't be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DataDirError {
    #[error(
        "data directory {} is in use by process {holder}; \
         end that one, or choose another with --data-dir",
        path.display()
    )]
    InUse { path: PathBuf, holder: String },
    #[error(
        "cannot {action} {}: {source}; choose another data directory with --data-dir",
        path.display()
    )]
    Io { action: &'static str, path: PathBuf, source: io::Error },
    #[error("{} is not private: it belongs to user {owner}; remove it", path.display())]
    Foreign { path: PathBuf, owner: u32 },
    #[error(
        "{} is not a data directory: {found} is in it; \
         choose one with --data-dir that is empty or does not exist yet",
        path.display()
    )]
    Occupied { path: PathBuf, found: String },
    #[error("there is no home directory to keep data in; choose a place with --data-dir")]
    NoHome,
}

impl DataDirError {
    /// Returns what is wrong, without what to do about a data directory.
    pub(super) fn fact(&self) -> String {
        let text = self.to_string();
        text.split_once("; ").map_or(text.clone(), |(fact, _)| fact.to_owned())
    }

    /// Returns the exit code that says what is wrong.
    pub(crate) fn exit(&self) -> Exit {
        match self {
            Self::InUse { .. } => Exit::InUse,
            Self::Io { .. } => Exit::Disk,
            Self::Foreign { .. } | Self::Occupied { .. } | Self::NoHome => Exit::Usage,
        }
    }
}

impl DataDir {
    /// Returns where data is kept unless the user says otherwise.
    ///
    /// # Errors
    /// If neither `$XDG_STATE_HOME` nor `$HOME` says where.
    pub(crate) fn default_path() -> Result<PathBuf, DataDirError> {
        let absolute = |name| std::env::var_os(name).map(PathBuf::from).filter(|p| p.is_absolute());
        absolute("XDG_STATE_HOME")
            .or_else(|| absolute("HOME").map(|home| home.join(".local/state")))
            .map(|state| state.join("postoffice-tui"))
            .ok_or(DataDirError::NoHome)
    }

    /// Makes the directory if it is not there and locks it.
    ///
    /// # Errors
    /// If it can't be made or written, or another director holds it.
    pub(crate) fn open(path: &Path) -> Result<Self, DataDirError> {
        make_dir(path)?;
        refuse_occupied(path)?;
        let path = path.canonicalize().map_err(io_error("find", path))?;
        let run = path.join("run");
        make_private_dir(&run)?;
        let lock = lock(&path, &run.join(LOCK_NAME))?;
        let (sockets, short) = if fits_a_socket(&run) {
            (run, None)
        } else {
            let short = short_dir(&std::process::id().to_string());
            make_private_dir(&short)?;
            log::info!(
                "sockets are kept elsewhere, the data directory's path is too long: dir={}",
                short.display()
            );
            (short.clone(), Some(short))
        };
        Ok(Self { path, sockets, short, _lock: lock })
    }

    /// Returns the process that directs an office in a directory, if one does.
    ///
    /// # Errors
    /// If that can't be found out.
    pub(crate) fn director_of(path: &Path) -> Result<Option<String>, DataDirError> {
        let lock = path.join("run").join(LOCK_NAME);
        lock::holder(&lock).map_err(io_error("lock", &lock))
    }

    /// Returns the directory.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Returns where the issuer listens.
    pub(crate) fn socket(&self) -> PathBuf {
        self.sockets.join("issuer.sock")
    }

    /// Returns where the director takes requests.
    pub(crate) fn control_socket(&self) -> PathBuf {
        self.sockets.join(CONTROL_NAME)
    }

    /// Returns where processes may put what does not outlive the run.
    pub(crate) fn scratch(&self) -> PathBuf {
        self.path.join("run")
    }

    /// Makes an empty directory for the notes of user processes.
    ///
    /// # Errors
    /// If it can't be made.
    pub(crate) fn make_notes_dir(&self) -> Result<PathBuf, DataDirError> {
        let notes = self.scratch().join("notes");
        match std::fs::remove_dir_all(&notes) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(io_error("empty", &notes)(error));
            }
            _ => {}
        }
        make_private_dir(&notes)?;
        Ok(notes)
    }
}

/// Refuses a directory that somebody uses for something else.
fn refuse_occupied(path: &Path) -> Result<(), DataDirError> {
    if path.join("log").is_dir() {
        return Ok(());
    }
    for entry in path.read_dir().map_err(io_error("read", path))? {
        let found = entry.map_err(io_error("read", path))?.file_name();
        let found = found.to_string_lossy().into_owned();
        if !OWN_NAMES.contains(&found.as_str()) {
            return Err(DataDirError::Occupied { path: path.to_owned(), found });
        }
    }
    Ok(())
}

impl Drop for DataDir {
    fn drop(&mut self) {
        // What is left over is replaced by the next run.
        let _ = std::fs::remove_file(self.socket());
        let _ = std::fs::remove_file(self.control_socket());
        let _ = std::fs::remove_dir_all(self.scratch().join("notes"));
        if let Some(short) = &self.short {
            let _ = std::fs::remove_dir(short);
        }
    }
}

pub(super) fn io_error<'a>(
    action: &'static str,
    path: &'a Path,
) -> impl FnOnce(io::Error) -> DataDirError + 'a {
    move |source| DataDirError::Io { action, path: path.to_owned(), source }
}

fn make_dir(path: &Path) -> Result<(), DataDirError> {
    DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(io_error("make", path))
}

/// Returns whether nobody else can enter a directory.
///
/// # Errors
/// If it is not a directory, or somebody else's.
pub(super) fn is_private(path: &Path) -> Result<bool, DataDirError> {
    let found = std::fs::symlink_metadata(path).map_err(io_error("look at", path))?;
    if !found.is_dir() || found.uid() != nix::unistd::geteuid().as_raw() {
        return Err(DataDirError::Foreign { path: path.to_owned(), owner: found.uid() });
    }
    Ok(found.mode() & 0o777 == 0o700)
}

/// Makes a directory that nobody else can enter, or makes sure that it is one.
pub(super) fn make_private_dir(path: &Path) -> Result<(), DataDirError> {
    make_dir(path)?;
    if !is_private(path)? {
        let private = std::fs::Permissions::from_mode(0o700);
        std::fs::set_permissions(path, private).map_err(io_error("make private", path))?;
    }
    Ok(())
}

/// Returns the place for the sockets of a director whose data directory's path is too long.
fn short_dir(pid: &str) -> PathBuf {
    let base = std::env::var_os("XDG_RUNTIME_DIR").map_or_else(std::env::temp_dir, PathBuf::from);
    base.join(format!("postoffice-{pid}"))
}

fn fits_a_socket(run: &Path) -> bool {
    run.as_os_str().len() + 32 <= SOCKET_PATH_BYTES_MAX
}

/// Returns where the director of a data directory takes requests, if `holder` is its pid.
pub(super) fn control_socket_of(path: &Path, holder: Option<&str>) -> PathBuf {
    let run = path.join("run");
    match holder {
        Some(holder) if !fits_a_socket(&run) => short_dir(holder).join(CONTROL_NAME),
        _ => run.join(CONTROL_NAME),
    }
}

fn lock(dir: &Path, path: &Path) -> Result<File, DataDirError> {
    lock::take(path).map_err(|error| match error {
        LockError::Held { holder } => DataDirError::InUse { path: dir.to_owned(), holder },
        LockError::Io(source) => io_error("lock", path)(source),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_director_is_told_who_holds_the_directory() {
        let dir = tempfile::tempdir().unwrap();
        let held = DataDir::open(dir.path()).unwrap();
        let refused = DataDir::open(dir.path()).unwrap_err();
        assert_eq!(refused.exit(), Exit::InUse);
        assert!(refused.to_string().contains(&format!("process {};", std::process::id())));
        drop(held);
        DataDir::open(dir.path()).unwrap();
    }

    #[test]
    fn sockets_are_private_and_short() {
        let dir = tempfile::tempdir().unwrap();
        let deep = dir.path().join("x".repeat(60)).join("y".repeat(60));
        let data = DataDir::open(&deep).unwrap();
        assert!(data.socket().as_os_str().len() <= SOCKET_PATH_BYTES_MAX);
        let sockets = data.socket().parent().unwrap().to_owned();
        assert_eq!(std::fs::metadata(&sockets).unwrap().mode() & 0o777, 0o700);
        drop(data);
        assert!(!sockets.exists(), "a directory elsewhere does not stay behind");
    }

    #[test]
    fn a_file_in_the_way_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("file");
        std::fs::write(&file, "").unwrap();
        let refused = DataDir::open(&file).unwrap_err();
        assert_eq!(refused.exit(), Exit::Disk);
        assert!(refused.to_string().contains(file.to_str().unwrap()), "{refused}");
    }
}
