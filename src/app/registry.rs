//! Which offices of this user run, so that a second program finds them.
//!
//! Each director leaves a small file, `<pid>.json`, in a private directory of the user:
//! `$XDG_RUNTIME_DIR/postoffice-tui`, or `/tmp/postoffice-tui-<uid>` where there is none. A file
//! is only a hint: an office runs if its control socket answers, and a file whose director is gone
//! is removed by whoever finds it. So a director that is killed leaves no trap.

use std::io;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::datadir::{self, DataDir, DataDirError};

/// A running office.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Instance {
    /// The director's pid; `None` if only its socket is known.
    pub(crate) pid: Option<u32>,
    /// Where its log lives.
    pub(crate) data_dir: PathBuf,
    /// Where it takes requests.
    pub(crate) socket: PathBuf,
    /// What it runs; empty if only its socket is known.
    pub(crate) scenario: String,
    /// The run; empty if only its socket is known.
    pub(crate) run: String,
}

impl Instance {
    fn to_json(&self) -> Value {
        json!({
            "version": 1,
            "pid": self.pid,
            "data_dir": self.data_dir.to_string_lossy(),
            "socket": self.socket.to_string_lossy(),
            "scenario": self.scenario,
            "run": self.run,
        })
    }

    fn from_json(json: &Value) -> Option<Self> {
        let text = |key: &str| json[key].as_str().map(str::to_owned);
        Some(Self {
            pid: Some(u32::try_from(json["pid"].as_u64()?).ok()?),
            data_dir: text("data_dir")?.into(),
            socket: text("socket")?.into(),
            scenario: text("scenario")?,
            run: text("run")?,
        })
    }

    /// Returns one line that tells it from others.
    fn line(&self) -> String {
        let pid = self.pid.map_or_else(String::new, |pid| format!("process {pid}, "));
        let scenario = match &*self.scenario {
            "" => String::new(),
            scenario => format!("scenario {scenario}, "),
        };
        format!("{pid}{scenario}--data-dir {}", self.data_dir.display())
    }
}

/// Returns the user's directory of running offices.
pub(crate) fn directory() -> PathBuf {
    let runtime = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from);
    match runtime.filter(|dir| dir.is_absolute() && dir.is_dir()) {
        Some(dir) => dir.join("postoffice-tui"),
        None => PathBuf::from(format!("/tmp/postoffice-tui-{}", nix::unistd::geteuid())),
    }
}

/// The file of a running office; removed when this is dropped.
#[derive(Debug)]
pub(crate) struct Registration {
    path: PathBuf,
}

/// Leaves a file for an office that takes requests.
///
/// # Errors
/// If the directory can't be had or written, or belongs to somebody else.
pub(crate) fn register(dir: &Path, instance: &Instance) -> Result<Registration, DataDirError> {
    datadir::make_private_dir(dir)?;
    // What others left behind is not seen again; who lives is not asked now.
    remove_dead(dir);
    let name = instance.pid.unwrap_or_default();
    let path = dir.join(format!("{name}.json"));
    let temporary = dir.join(format!(".{name}.tmp"));
    std::fs::write(&temporary, format!("{}\n", instance.to_json()))
        .and_then(|()| std::fs::rename(&temporary, &path))
        .map_err(datadir::io_error("write", &path))?;
    Ok(Registration { path })
}

impl Drop for Registration {
    fn drop(&mut self) {
        // A file that stays is found to be stale.
        let _ = std::fs::remove_file(&self.path);
    }
}

/// Returns the files of a directory that is ours and private, oldest pid first.
fn files(dir: &Path) -> Vec<(PathBuf, Option<Instance>)> {
    if !datadir::is_private(dir).unwrap_or(false) {
        return Vec::new();
    }
    let entries = dir.read_dir().into_iter().flatten().flatten();
    let paths = entries.map(|entry| entry.path());
    let mut files: Vec<_> = paths
        .filter(|path| path.extension().is_some_and(|ending| ending == "json"))
        .map(|path| {
            let text = std::fs::read_to_string(&path).unwrap_or_default();
            let json: Option<Value> = serde_json::from_str(&text).ok();
            (path, json.as_ref().and_then(Instance::from_json))
        })
        .collect();
    files.sort_by_key(|(_, instance)| instance.as_ref().map(|instance| instance.pid));
    files
}

fn lives(pid: Option<u32>) -> bool {
    pid.is_some_and(|pid| Path::new(&format!("/proc/{pid}")).exists())
}

fn remove_dead(dir: &Path) {
    for (path, instance) in files(dir) {
        if !instance.is_some_and(|instance| lives(instance.pid)) {
            // Somebody else may have been faster.
            let _ = std::fs::remove_file(path);
        }
    }
}

/// Returns whether a socket takes connections; an error other than "nobody is there" is no proof
/// that nobody is.
fn answers(socket: &Path) -> bool {
    match UnixStream::connect(socket) {
        Ok(_) => true,
        Err(error) => {
            use io::ErrorKind::{ConnectionRefused, NotADirectory, NotFound};
            !matches!(error.kind(), ConnectionRefused | NotFound | NotADirectory)
        }
    }
}

/// Returns the offices of a directory that run, and removes the files of those that do not.
fn running(dir: &Path) -> Vec<Instance> {
    let mut found = Vec::new();
    for (path, instance) in files(dir) {
        match instance {
            Some(instance) if lives(instance.pid) && answers(&instance.socket) => {
                found.push(instance);
            }
            // Somebody else may have been faster.
            _ => drop(std::fs::remove_file(path)),
        }
    }
    found
}

/// Why there is nobody to ask.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FindError {
    #[error("no office runs; looked at {}; start one, or name its place with --data-dir", list(.0))]
    None(Vec<PathBuf>),
    #[error(
        "process {holder} runs an office in {}, but takes no requests at {}; its log says why",
        data_dir.display(),
        socket.display()
    )]
    Deaf { data_dir: PathBuf, socket: PathBuf, holder: String },
    #[error("several offices run; choose one with --data-dir:\n{}", lines(.0))]
    Several(Vec<Instance>),
}

fn list(places: &[PathBuf]) -> String {
    let places: Vec<String> = places.iter().map(|place| place.display().to_string()).collect();
    places.join(" and ")
}

fn lines(instances: &[Instance]) -> String {
    let lines: Vec<String> = instances.iter().map(|one| format!("  {}", one.line())).collect();
    lines.join("\n")
}

/// Returns the office in a data directory, or the only one that runs.
///
/// # Errors
/// [`FindError`] if there is none, or several to choose from.
pub(crate) fn find(data_dir: Option<&Path>) -> Result<Instance, FindError> {
    let dir = directory();
    match data_dir {
        Some(data_dir) => find_in(&dir, data_dir),
        None => find_any(&dir, DataDir::default_path().ok().as_deref()),
    }
}

fn find_in(dir: &Path, data_dir: &Path) -> Result<Instance, FindError> {
    let path = data_dir.canonicalize().unwrap_or_else(|_| data_dir.to_owned());
    if let Some(known) = running(dir).into_iter().find(|known| known.data_dir == path) {
        return Ok(known);
    }
    let holder = DataDir::director_of(&path).unwrap_or_default();
    let socket = datadir::control_socket_of(&path, holder.as_deref());
    if answers(&socket) {
        let pid = holder.and_then(|holder| holder.parse().ok());
        let (scenario, run) = (String::new(), String::new());
        return Ok(Instance { pid, data_dir: path, socket, scenario, run });
    }
    match holder {
        Some(holder) => Err(FindError::Deaf { data_dir: path, socket, holder }),
        None => Err(FindError::None(vec![socket, dir.to_owned()])),
    }
}

fn find_any(dir: &Path, default: Option<&Path>) -> Result<Instance, FindError> {
    let mut found = running(dir);
    let mut looked = vec![dir.to_owned()];
    if let Some(default) = default {
        let is_known = |known: &Instance| {
            default.canonicalize().is_ok_and(|default| known.data_dir == default)
        };
        if !found.iter().any(is_known) {
            match find_in(dir, default) {
                Ok(instance) => found.push(instance),
                Err(deaf @ FindError::Deaf { .. }) if found.is_empty() => return Err(deaf),
                Err(FindError::None(places)) => {
                    looked.splice(..0, [places[0].clone()]).for_each(drop)
                }
                Err(_) => {}
            }
        }
    }
    match found.len() {
        0 => Err(FindError::None(looked)),
        1 => Ok(found.remove(0)),
        _ => Err(FindError::Several(found)),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;

    use super::*;

    /// A place with offices that take requests.
    struct Town {
        dir: tempfile::TempDir,
        listeners: Vec<(UnixListener, Registration)>,
    }

    impl Town {
        fn new() -> Self {
            Self { dir: tempfile::tempdir().unwrap(), listeners: Vec::new() }
        }

        fn registry(&self) -> PathBuf {
            self.dir.path().join("registry")
        }

        fn data_dir(&self, name: &str) -> PathBuf {
            self.dir.path().join(name)
        }

        fn instance(&self, name: &str, pid: u32) -> Instance {
            let data_dir = self.data_dir(name);
            std::fs::create_dir_all(data_dir.join("run")).unwrap();
            Instance {
                pid: Some(pid),
                socket: data_dir.join("run/control.sock"),
                data_dir,
                scenario: "steady".to_owned(),
                run: "01".to_owned(),
            }
        }

        fn open(&mut self, name: &str, pid: u32) {
            let instance = self.instance(name, pid);
            let listener = UnixListener::bind(&instance.socket).unwrap();
            let registration = register(&self.registry(), &instance).unwrap();
            self.listeners.push((listener, registration));
        }
    }

    fn own() -> u32 {
        std::process::id()
    }

    #[test]
    fn the_only_one_is_found_and_several_are_listed() {
        let mut town = Town::new();
        town.open("a", own());
        let found = find_any(&town.registry(), None).unwrap();
        assert_eq!(found, town.instance("a", own()));
        town.open("b", 1);
        let several = find_any(&town.registry(), None).unwrap_err().to_string();
        for name in ["a", "b"] {
            let line = format!("scenario steady, --data-dir {}", town.data_dir(name).display());
            assert!(several.contains(&line), "{several}");
        }
        assert!(several.contains("process 1, "), "{several}");
        let chosen = find_in(&town.registry(), &town.data_dir("b")).unwrap();
        assert_eq!(chosen.pid, Some(1));
        town.listeners.pop();
        assert_eq!(find_any(&town.registry(), None).unwrap().pid, Some(own()));
    }

    #[test]
    fn what_a_killed_director_leaves_is_cleaned_up() {
        let town = Town::new();
        for (name, pid) in [("gone", u32::MAX), ("refused", own())] {
            let instance = town.instance(name, pid);
            // A listener that is dropped leaves its socket's file.
            drop(UnixListener::bind(&instance.socket).unwrap());
            std::mem::forget(register(&town.registry(), &instance).unwrap());
        }
        std::fs::write(town.registry().join("7.json"), "nonsense").unwrap();
        let nobody = find_any(&town.registry(), Some(&town.data_dir("gone"))).unwrap_err();
        let said = nobody.to_string();
        let socket = town.data_dir("gone").join("run/control.sock");
        for place in [socket, town.registry()] {
            assert!(said.contains(&place.display().to_string()), "{said}");
        }
        assert_eq!(town.registry().read_dir().unwrap().count(), 0, "stale files are removed");
    }

    #[test]
    fn an_office_is_found_by_its_directory_alone() {
        let mut town = Town::new();
        town.open("a", own());
        let (_listener, registration) = town.listeners.pop().unwrap();
        drop(registration);
        for found in [
            find_in(&town.registry(), &town.data_dir("a")),
            find_any(&town.registry(), Some(&town.data_dir("a"))),
        ] {
            assert_eq!(found.unwrap().socket, town.data_dir("a").join("run/control.sock"));
        }
    }

    #[test]
    fn a_directory_that_others_may_write_is_not_believed() {
        use std::os::unix::fs::PermissionsExt;
        let mut town = Town::new();
        town.open("a", own());
        let open = std::fs::Permissions::from_mode(0o777);
        std::fs::set_permissions(town.registry(), open).unwrap();
        assert!(matches!(find_any(&town.registry(), None), Err(FindError::None(_))));
    }
}
