//! Writing what is in effect as a scenario file.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Whether a file that is there may be replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Overwrite {
    /// It stays as it is.
    No,
    /// Somebody was asked and said yes.
    Yes,
}

/// Why nothing was written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SaveError {
    #[error("{} is there already; say that it may be replaced, or choose another name", .0.display())]
    Exists(PathBuf),
    #[error("cannot write {}: {source}", path.display())]
    Io { path: PathBuf, source: io::Error },
}

/// Writes the text of a scenario ([`Effective::to_ini`](engine::config::Effective::to_ini)) to a
/// file, whole or not at all: it is written and synced under another name first.
///
/// # Errors
/// [`SaveError`] if the file is there and may not be replaced, or the system refuses something.
pub(crate) fn save(text: &str, path: &Path, overwrite: Overwrite) -> Result<(), SaveError> {
    let failed = |source| SaveError::Io { path: path.to_owned(), source };
    let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let name = path.file_name().ok_or_else(|| failed(io::ErrorKind::InvalidInput.into()))?;
    let aside = dir.join(format!(".{}.{}", name.to_string_lossy(), std::process::id()));
    let written = write(text, &aside).map_err(failed).and_then(|()| match overwrite {
        Overwrite::Yes => std::fs::rename(&aside, path).map_err(failed),
        // Unlike a rename this never replaces what somebody has just put there.
        Overwrite::No => std::fs::hard_link(&aside, path).map_err(|source| match source.kind() {
            io::ErrorKind::AlreadyExists => SaveError::Exists(path.to_owned()),
            _ => failed(source),
        }),
    });
    // After a rename it is gone already.
    let _ = std::fs::remove_file(&aside);
    written?;
    std::fs::File::open(dir).and_then(|dir| dir.sync_all()).map_err(failed)
}

fn write(text: &str, path: &Path) -> io::Result<()> {
    let mut file = std::fs::File::create(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::commands;
    use crate::app::conf::Conf;

    #[test]
    fn what_is_saved_reads_back_equal() {
        let dir = tempfile::tempdir().unwrap();
        let mut conf = Conf::new(&commands::scenario("rush-hour", &[]).unwrap());
        conf.set_workers(7).unwrap();
        conf.set_users(3).unwrap();
        let path = dir.path().join("mine.ini");
        save(&conf.shown().to_ini(), &path, Overwrite::No).unwrap();
        let again = commands::scenario(&path.display().to_string(), &[]).unwrap();
        assert_eq!(again.scenario, *conf.scenario());
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1, "nothing is left beside it");
    }

    #[test]
    fn a_file_that_is_there_is_replaced_only_if_somebody_says_so() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("mine.ini");
        std::fs::write(&path, "precious").unwrap();
        assert!(matches!(save("new", &path, Overwrite::No), Err(SaveError::Exists(_))));
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "precious");
        save("new", &path, Overwrite::Yes).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "new");
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
        let nowhere = save("new", &dir.path().join("no/such/dir.ini"), Overwrite::No);
        assert!(matches!(nowhere, Err(SaveError::Io { .. })));
    }
}
