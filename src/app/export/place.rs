//! Where exports go: the directory that holds them, and a folder that is written there.
//!
//! Names that come from a scenario are made of plain characters before they reach a path.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use crc32fast::Hasher;

use super::ExportError;

/// The longest part of a file's name that comes from a scenario.
const NAME_CHARS_MAX: usize = 48;
/// Folders of one second, scenario and run.
const SUFFIX_MAX: u32 = 999;
/// What a check writes to see whether there is room.
const PROBE_BYTES: usize = 4096;

/// A folder that is being written. It vanishes with what is in it unless it is published.
#[derive(Debug)]
pub(super) struct Draft {
    dir: PathBuf,
    /// The directory was not there before.
    is_dir_new: bool,
    temporary: PathBuf,
    files: Vec<Written>,
    is_published: bool,
    /// Somebody wants the end.
    is_cut_short: Arc<AtomicBool>,
}

/// A file of an export.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Written {
    pub(super) name: String,
    pub(super) holds: String,
    pub(super) bytes: u64,
    /// CRC-32 of its bytes, as `gzip`, `zip` and `crc32` compute it.
    pub(super) crc: u32,
}

/// Makes sure that a folder can be written to `dir` and leaves nothing behind.
pub(super) fn check(dir: &Path) -> Result<(), ExportError> {
    let mut draft = Draft::begin(dir, Arc::default())?;
    draft.file("probe", "nothing", |out| out.write_all(&[0; PROBE_BYTES]))
}

/// Returns a name as part of a file's name: letters, digits, `-` and `_`.
pub(super) fn sanitised(name: &str) -> String {
    let mut plain = String::new();
    for c in name.chars() {
        let is_plain = c.is_ascii_alphanumeric() || c == '_';
        if is_plain {
            plain.push(c);
        } else if !plain.is_empty() && !plain.ends_with('-') {
            plain.push('-');
        }
    }
    plain.truncate(NAME_CHARS_MAX);
    let plain = plain.trim_end_matches('-');
    if plain.is_empty() { "unnamed".to_owned() } else { plain.to_owned() }
}

/// Makes the directory for exports if only its last component is missing; returns its path and
/// whether it was made.
fn ensure(dir: &Path) -> Result<(PathBuf, bool), ExportError> {
    // A trailing slash would follow a symbolic link.
    let dir: PathBuf = dir.components().collect();
    match fs::symlink_metadata(&dir) {
        Ok(found) if found.is_symlink() => return Err(ExportError::Symlink(dir)),
        Ok(found) if !found.is_dir() => return Err(ExportError::NotADirectory(dir)),
        Ok(_) => return Ok((dir, false)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) if error.kind() == io::ErrorKind::NotADirectory => {
            let parent = dir.parent().map_or_else(PathBuf::new, Path::to_owned);
            return Err(ExportError::NoParent { dir, parent });
        }
        Err(source) => return Err(ExportError::Io { action: "look at", path: dir, source }),
    }
    if let Some(parent) = dir.parent()
        && !parent.as_os_str().is_empty()
        && !parent.is_dir()
    {
        return Err(ExportError::NoParent { parent: parent.to_owned(), dir });
    }
    match fs::create_dir(&dir) {
        Ok(()) => Ok((dir, true)),
        // Somebody else made it meanwhile.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && !dir.is_symlink() => {
            Ok((dir, false))
        }
        Err(source) => Err(ExportError::Io { action: "make", path: dir, source }),
    }
}

impl Draft {
    /// Begins a folder in `dir`, which is given up as soon as `is_cut_short` is set.
    pub(super) fn begin(dir: &Path, is_cut_short: Arc<AtomicBool>) -> Result<Self, ExportError> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let (dir, is_dir_new) = ensure(dir)?;
        let (temporary, made) = loop {
            let number = NEXT.fetch_add(1, Ordering::Relaxed);
            let temporary = dir.join(format!(".export-{}-{number}.tmp", std::process::id()));
            let made = fs::create_dir(&temporary);
            // A killed process of the same number may have left one.
            let is_taken = |error: &io::Error| error.kind() == io::ErrorKind::AlreadyExists;
            if !made.as_ref().is_err_and(is_taken) {
                break (temporary, made);
            }
        };
        let is_published = made.is_err();
        let files = Vec::new();
        let draft = Self { dir, is_dir_new, temporary, files, is_published, is_cut_short };
        match made {
            Ok(()) => Ok(draft),
            Err(source) => {
                draft.remove_new_dir();
                Err(ExportError::Io { action: "make", path: draft.temporary.clone(), source })
            }
        }
    }

    /// Writes a file.
    pub(super) fn file(
        &mut self,
        name: &str,
        holds: &str,
        fill: impl FnOnce(&mut dyn Write) -> io::Result<()>,
    ) -> Result<(), ExportError> {
        let temporary = self.temporary.join(name);
        let is_cut_short = Arc::clone(&self.is_cut_short);
        let write = move || -> io::Result<Written> {
            let file = BufWriter::with_capacity(WRITE_BYTES, File::create_new(&temporary)?);
            let mut out = Summed { file, bytes: 0, crc: Hasher::new(), is_cut_short };
            fill(&mut out)?;
            out.flush()?;
            let (bytes, crc) = (out.bytes, out.crc.finalize());
            let file = out.file.into_inner().map_err(io::IntoInnerError::into_error)?;
            file.sync_all()?;
            Ok(Written { name: name.to_owned(), holds: holds.to_owned(), bytes, crc })
        };
        let written = write();
        match written {
            Ok(written) => {
                self.files.push(written);
                Ok(())
            }
            Err(_) if self.is_cut_short.load(Ordering::Relaxed) => Err(ExportError::CutShort),
            Err(source) => {
                // The temporary name would tell nobody anything.
                let path = self.dir.join(name);
                Err(ExportError::Io { action: "write", path, source })
            }
        }
    }

    /// Returns what was written so far.
    pub(super) fn files(&self) -> &[Written] {
        &self.files
    }

    /// Gives the folder its name, or one with a number behind it if that is taken.
    pub(super) fn publish(mut self, name: &str) -> Result<PathBuf, ExportError> {
        let io = |action, path: &Path| {
            let path = path.to_owned();
            move |source| ExportError::Io { action, path, source }
        };
        sync_dir(&self.temporary).map_err(io("sync", &self.temporary))?;
        for number in 1..=SUFFIX_MAX {
            let suffix = if number == 1 { String::new() } else { format!("-{number}") };
            let folder = self.dir.join(format!("{name}{suffix}"));
            // Making an empty directory takes the name; renaming replaces that, and only that.
            match fs::create_dir(&folder) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => continue,
                Err(source) => return Err(io("make", &folder)(source)),
            }
            if let Err(source) = fs::rename(&self.temporary, &folder) {
                let _ = fs::remove_dir(&folder);
                return Err(io("make", &folder)(source));
            }
            self.is_published = true;
            sync_dir(&self.dir).map_err(io("sync", &self.dir))?;
            return Ok(folder);
        }
        let taken = io::Error::from(io::ErrorKind::AlreadyExists);
        Err(io("make", &self.dir.join(name))(taken))
    }

    fn remove_new_dir(&self) {
        if self.is_dir_new {
            // Only if it is empty.
            let _ = fs::remove_dir(&self.dir);
        }
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        if !self.is_published {
            // What can't be removed stands under a name that says what it is.
            let _ = fs::remove_dir_all(&self.temporary);
            self.remove_new_dir();
        }
    }
}

/// Bytes that are written at once.
const WRITE_BYTES: usize = 128 * 1024;

/// A file whose bytes are counted and summed on the way.
struct Summed {
    file: BufWriter<File>,
    bytes: u64,
    crc: Hasher,
    is_cut_short: Arc<AtomicBool>,
}

impl Write for Summed {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.is_cut_short.load(Ordering::Relaxed) {
            return Err(io::Error::other("cut short"));
        }
        let written = self.file.write(bytes)?;
        self.crc.update(&bytes[..written]);
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

fn sync_dir(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn names(dir: &Path) -> Vec<String> {
        let entries = fs::read_dir(dir).unwrap();
        let mut names: Vec<String> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn what_is_in_the_way_is_named_and_a_check_leaves_nothing_behind() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path();
        check(root).unwrap();
        check(&root.join("new")).unwrap();
        assert!(names(root).is_empty());
        let refused = check(&root.join("no/new")).unwrap_err();
        assert!(matches!(refused, ExportError::NoParent { .. }));
        assert!(refused.to_string().contains(root.join("no").to_str().unwrap()), "{refused}");
        fs::write(root.join("file"), "").unwrap();
        assert!(matches!(check(&root.join("file")), Err(ExportError::NotADirectory(_))));
        assert!(matches!(check(&root.join("file/new")), Err(ExportError::NoParent { .. })));
        for link in ["link", "dangling"] {
            symlink(root.join(if link == "link" { "." } else { "nowhere" }), root.join(link))
                .unwrap();
            assert!(matches!(check(&root.join(link)), Err(ExportError::Symlink(_))));
            let slash = PathBuf::from(format!("{}/", root.join(link).display()));
            assert!(matches!(check(&slash), Err(ExportError::Symlink(_))), "{link} with a slash");
        }
        let refused = check(Path::new("/proc/new")).unwrap_err();
        assert!(matches!(refused, ExportError::Io { .. }), "{refused}");
    }

    #[test]
    fn nothing_is_overwritten() {
        let root = tempfile::tempdir().unwrap();
        let publish = |text: &'static str| {
            let mut draft = Draft::begin(root.path(), Arc::default()).unwrap();
            draft.file("x", "a letter", |out| out.write_all(text.as_bytes())).unwrap();
            draft.publish("name").unwrap()
        };
        let folders = [publish("a"), publish("b"), publish("c")];
        assert_eq!(names(root.path()), ["name", "name-2", "name-3"]);
        for (folder, text) in folders.iter().zip(["a", "b", "c"]) {
            assert_eq!(fs::read_to_string(folder.join("x")).unwrap(), text);
        }
    }

    #[test]
    fn a_failure_leaves_nothing_half_written() {
        let root = tempfile::tempdir().unwrap();
        let dir = root.path().join("new");
        let mut draft = Draft::begin(&dir, Arc::default()).unwrap();
        let failed = draft.file("big", "much", |out| {
            out.write_all(&[0; 300_000])?;
            Err(io::Error::from(io::ErrorKind::StorageFull))
        });
        let said = failed.unwrap_err().to_string();
        assert!(said.contains(dir.join("big").to_str().unwrap()), "{said}");
        assert!(said.contains("make room"), "{said}");
        drop(draft);
        assert!(names(root.path()).is_empty(), "the new directory is gone too");
    }

    #[test]
    fn a_name_from_a_scenario_never_leaves_its_folder() {
        for (name, plain) in [
            ("rush-hour", "rush-hour"),
            ("../../etc/passwd", "etc-passwd"),
            ("a b  c", "a-b-c"),
            ("..", "unnamed"),
            ("", "unnamed"),
            ("Größe\n\0", "Gr-e"),
            ("-x-", "x"),
        ] {
            assert_eq!(sanitised(name), plain, "{name:?}");
        }
        assert_eq!(sanitised(&"x".repeat(500)).len(), NAME_CHARS_MAX);
    }

    #[test]
    fn files_are_summed() {
        let root = tempfile::tempdir().unwrap();
        let mut draft = Draft::begin(root.path(), Arc::default()).unwrap();
        draft.file("x", "digits", |out| out.write_all(b"123456789")).unwrap();
        assert_eq!((draft.files()[0].bytes, draft.files()[0].crc), (9, 0xcbf4_3926));
    }
}
