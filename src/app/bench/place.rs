//! Where a bench writes, and on what machine it runs.

use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use nix::sys::statvfs::statvfs;
use serde_json::{Value, json};

use super::BenchError;
use crate::app::datadir::{DataDir, DataDirError};
use crate::app::format;

/// Room that the files of a bench may need.
const ROOM_BYTES: u64 = 2 << 30;

/// A directory that goes with its owner.
#[derive(Debug)]
pub(super) struct TempDir {
    path: PathBuf,
    /// Directories above it that were made for it, the lowest first.
    made: Vec<PathBuf>,
}

impl TempDir {
    /// Makes a directory with a telling name in a place, or where data directories usually are.
    ///
    /// # Errors
    /// [`BenchError`] if it can't be made or its disk has too little room.
    pub(super) fn new(place: Option<&Path>) -> Result<Self, BenchError> {
        let parent = match place {
            Some(place) => place.to_owned(),
            None => {
                let usual = DataDir::default_path()?;
                usual.parent().map_or_else(|| usual.clone(), Path::to_owned)
            }
        };
        let name = format!("postoffice-tui-bench-{}", std::process::id());
        let parent = std::path::absolute(&parent).unwrap_or(parent);
        let dir = Self::make(parent.join(name))?;
        if let Ok(found) = statvfs(&dir.path) {
            let free_bytes = found.blocks_available() * found.fragment_size();
            if free_bytes < ROOM_BYTES {
                return Err(BenchError::NoRoom { path: parent, free_bytes });
            }
        }
        Ok(dir)
    }

    /// Makes a directory in this one.
    ///
    /// # Errors
    /// [`BenchError`] if it can't be made.
    pub(super) fn part(&self, name: &str) -> Result<Self, BenchError> {
        Self::make(self.path.join(name))
    }

    fn make(path: PathBuf) -> Result<Self, BenchError> {
        let is_missing = |dir: &&Path| !dir.exists();
        let made = path.ancestors().skip(1).take_while(is_missing).map(Path::to_owned).collect();
        let built = DirBuilder::new().recursive(true).mode(0o700).create(&path);
        // What was made until then goes again.
        let dir = Self { path, made };
        built.map_err(|source| DataDirError::Io {
            action: "make",
            path: dir.path.clone(),
            source,
        })?;
        Ok(dir)
    }

    /// Returns where it is.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for TempDir {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.path)
            && self.path.exists()
        {
            eprintln!("cannot remove {}: {error}; remove it by hand", self.path.display());
        }
        for made in &self.made {
            // Somebody else may use it by now.
            let _ = std::fs::remove_dir(made);
        }
    }
}

/// Writes why a disk can't be measured.
pub(super) fn no_room(path: &Path, free_bytes: u64) -> String {
    format!(
        "a bench needs {} of room in {}, there are {}; name another disk with --data-dir",
        format::bytes(ROOM_BYTES),
        path.display(),
        format::bytes(free_bytes),
    )
}

/// What the figures depend on. What can't be read is absent.
#[derive(Clone, Debug, Default)]
pub(super) struct Machine {
    cpus: usize,
    cpu: Option<String>,
    kernel: Option<String>,
    load_1m: Option<f64>,
    /// The kind of the file system, and the directory that was measured.
    disk: Option<(String, PathBuf)>,
}

impl Machine {
    /// Looks at the machine and at the file system of a directory.
    pub(super) fn look(dir: Option<&TempDir>) -> Self {
        let read = |path: &str| std::fs::read_to_string(path).ok();
        let disk = dir.and_then(|dir| {
            let path = dir.path.canonicalize().ok()?;
            let kind = filesystem_of(&read("/proc/self/mountinfo")?, &path)?;
            Some((kind, path))
        });
        Self {
            cpus: std::thread::available_parallelism().map_or(0, usize::from),
            cpu: read("/proc/cpuinfo").and_then(|text| cpu_model(&text)),
            kernel: read("/proc/sys/kernel/osrelease").map(|text| text.trim().to_owned()),
            load_1m: read("/proc/loadavg")
                .and_then(|text| text.split_whitespace().next()?.parse().ok()),
            disk,
        }
    }

    /// Returns what people should know before they read figures.
    pub(super) fn to_text(&self) -> String {
        let mut facts = vec![format::counted(self.cpus as u64, "CPU")];
        facts.extend(self.cpu.clone());
        facts.extend(self.kernel.as_ref().map(|kernel| format!("Linux {kernel}")));
        facts.extend(self.load_1m.map(|load| format!("load {load:.1}")));
        if let Some((kind, path)) = &self.disk {
            let caveat = if kind == "tmpfs" { " (memory: a sync costs nothing there)" } else { "" };
            facts.push(format!("{kind}{caveat} in {}", path.display()));
        }
        if cfg!(debug_assertions) {
            facts.push("a debug build: many times slower than the product".to_owned());
        }
        facts.join(", ")
    }

    /// Returns the same as JSON.
    pub(super) fn to_json(&self) -> Value {
        json!({
            "cpus": self.cpus,
            "cpu": self.cpu,
            "kernel": self.kernel,
            "load_1m": self.load_1m,
            "filesystem": self.disk.as_ref().map(|(kind, _)| kind),
            "dir": self.disk.as_ref().map(|(_, path)| path.display().to_string()),
            "is_debug_build": cfg!(debug_assertions),
        })
    }
}

/// Returns the kind of the file system that a path is on, from `/proc/self/mountinfo`.
fn filesystem_of(mounts: &str, path: &Path) -> Option<String> {
    let mut best: Option<(usize, &str)> = None;
    for line in mounts.lines() {
        let (before, after) = line.split_once(" - ")?;
        let (mount, kind) = (before.split(' ').nth(4)?, after.split(' ').next()?);
        let depth = Path::new(mount).components().count();
        // A later mount at the same place covers the earlier one.
        if path.starts_with(mount) && best.is_none_or(|(deepest, _)| depth >= deepest) {
            best = Some((depth, kind));
        }
    }
    best.map(|(_, kind)| kind.to_owned())
}

fn cpu_model(cpuinfo: &str) -> Option<String> {
    let line = cpuinfo.lines().find(|line| line.starts_with("model name"))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_goes_with_all_that_was_made_for_it() {
        let outer = tempfile::tempdir().unwrap();
        let place = outer.path().join("a/b");
        let dir = TempDir::make(place.join("postoffice-tui-bench-1")).unwrap();
        let part = dir.part("log").unwrap();
        std::fs::write(part.path().join("file"), "x").unwrap();
        drop(part);
        assert_eq!(dir.path().read_dir().unwrap().count(), 0);
        drop(dir);
        assert_eq!(outer.path().read_dir().unwrap().count(), 0);
    }

    #[test]
    fn what_was_there_before_stays() {
        let outer = tempfile::tempdir().unwrap();
        drop(TempDir::make(outer.path().join("a")).unwrap());
        assert!(outer.path().exists());
        let file = outer.path().join("file");
        std::fs::write(&file, "").unwrap();
        let refused = TempDir::make(file.join("a")).unwrap_err();
        assert!(refused.to_string().contains("file/a"), "{refused}");
        assert!(file.exists());
    }

    #[test]
    fn the_deepest_mount_is_the_file_system() {
        let mounts = "1 0 8:1 / / rw - ext4 /dev/sda1 rw\n\
                      2 1 0:5 / /home rw shared:1 - btrfs /dev/sdb rw\n\
                      3 2 0:6 / /home/u/tmp rw - tmpfs tmpfs rw\n\
                      4 1 0:7 / /home rw - xfs /dev/sdc rw\n";
        let check = |path: &str, kind: &str| {
            assert_eq!(filesystem_of(mounts, Path::new(path)).as_deref(), Some(kind), "{path}");
        };
        check("/var", "ext4");
        check("/homes", "ext4");
        check("/home/u", "xfs");
        check("/home/u/tmp/x", "tmpfs");
        assert_eq!(filesystem_of("", Path::new("/")), None);
    }

    #[test]
    fn the_processor_has_a_name() {
        let text = "processor : 0\nmodel name\t: Fast CPU @ 3GHz\n";
        assert_eq!(cpu_model(text).as_deref(), Some("Fast CPU @ 3GHz"));
        assert_eq!(cpu_model("processor : 0\n"), None);
    }
}
