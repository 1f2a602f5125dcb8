//! Runs the real binary: a temporary data directory, a deadline, and no process left behind.

pub(crate) mod terminal;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::Arc;
use std::time::Duration;

use engine::clock::{Clock, SystemClock, sleep_until};
use engine::scheduler::record::Record;
use engine::storage::reader;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use tempfile::TempDir;

/// How long anything may take before a test calls it lost.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// The program under test.
pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_postoffice-tui");

/// Waits until a condition holds and returns what it found, looking often.
pub(crate) fn wait_for<T>(what: &str, mut condition: impl FnMut() -> Option<T>) -> T {
    let give_up = SystemClock.now() + PATIENCE;
    loop {
        if let Some(found) = condition() {
            return found;
        }
        let now = SystemClock.now();
        assert!(now < give_up, "waited in vain for {what}");
        sleep_until(now + Duration::from_millis(2));
    }
}

/// Runs a command to its end.
pub(crate) fn run(args: &[&str]) -> Output {
    let mut command = Command::new(PROGRAM);
    command.args(args).stdin(Stdio::null());
    command.output().expect("the program can be started")
}

/// Returns the standard error of a run as text.
pub(crate) fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// A data directory and the offices that ran in it.
pub(crate) struct Office {
    dir: TempDir,
    /// Where the user's session has its files: what runs, and the usual data directory.
    session: Arc<TempDir>,
    child: Option<Child>,
}

impl Office {
    /// Returns an office that does not run yet.
    pub(crate) fn new() -> Self {
        let dir = || tempfile::tempdir().expect("there is room for a directory");
        Self { dir: dir(), session: Arc::new(dir()), child: None }
    }

    /// Returns an office of the same user's session as another one; all others are alone.
    pub(crate) fn beside(other: &Self) -> Self {
        let mut office = Self::new();
        office.session = Arc::clone(&other.session);
        office
    }

    /// Returns a path in the office's own directory.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Returns the data directory.
    pub(crate) fn data_dir(&self) -> PathBuf {
        self.path("data")
    }

    /// Returns what is `XDG_RUNTIME_DIR` and `XDG_STATE_HOME` to the office's commands.
    pub(crate) fn session_dir(&self) -> &Path {
        self.session.path()
    }

    /// Writes a scenario file and returns its path.
    pub(crate) fn scenario(&self, text: &str) -> String {
        let path = self.path("scenario.ini");
        std::fs::write(&path, text).expect("there is room for a file");
        path.display().to_string()
    }

    /// Returns a command in the office's session, of which other tests know nothing, and in the
    /// office's own directory.
    pub(crate) fn tool(&self, args: &[&str]) -> Command {
        let mut command = Command::new(PROGRAM);
        command.args(args);
        self.in_session(command)
    }

    fn in_session(&self, mut command: Command) -> Command {
        command.stdin(Stdio::null()).current_dir(self.dir.path());
        let dir = self.session_dir();
        command.env("XDG_RUNTIME_DIR", dir).env("XDG_STATE_HOME", dir.join("state"));
        command
    }

    /// Runs such a command to its end.
    pub(crate) fn run_tool(&self, args: &[&str]) -> Output {
        self.tool(args).output().expect("the program can be started")
    }

    /// Returns a command that runs an office headless.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        self.command_of(Command::new(PROGRAM), args)
    }

    /// Lets `command`, which starts the program, run an office headless.
    pub(crate) fn command_of(&self, command: Command, args: &[&str]) -> Command {
        let mut command = self.in_session(command);
        command.args(["--headless", "--json", "-q", "--data-dir"]).arg(self.data_dir()).args(args);
        command
    }

    /// Runs headless to the end; returns the exit code and the summary.
    pub(crate) fn run(&self, args: &[&str]) -> (i32, Value) {
        let output = self.command(args).output().expect("the program can be started");
        let code = output.status.code().expect("it ends by itself");
        let json = serde_json::from_slice(&output.stdout);
        (code, json.unwrap_or_else(|error| panic!("{error}: {}", stderr(&output))))
    }

    /// Starts a headless run.
    pub(crate) fn start(&mut self, args: &[&str]) {
        let mut command = self.command(args);
        command.stdout(Stdio::piped());
        self.child = Some(command.spawn().expect("the program can be started"));
    }

    /// Returns the director's pid.
    pub(crate) fn pid(&self) -> Pid {
        let child = self.child.as_ref().expect("it was started");
        Pid::from_raw(i32::try_from(child.id()).expect("a pid"))
    }

    /// Sends the director a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        kill(self.pid(), signal).expect("the director lives");
    }

    /// Waits for the end; returns the exit code and the summary.
    pub(crate) fn finish(&mut self) -> (i32, Value) {
        let child = self.child.take().expect("it was started");
        let output = child.wait_with_output().expect("it ends");
        let code = output.status.code().expect("it ends by itself");
        (code, serde_json::from_slice(&output.stdout).expect("it prints a summary"))
    }

    /// Takes the director's end without looking at it.
    pub(crate) fn reap(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.wait().expect("it can be waited for");
        }
    }

    /// Returns the living processes of a role, with their slots' numbers.
    pub(crate) fn processes(&self, role: &str) -> Vec<(Pid, u16)> {
        descendants(self.pid())
            .into_iter()
            .filter_map(|pid| {
                let args = arguments(pid)?;
                let id = args.iter().position(|arg| arg == "--id");
                let id = id.and_then(|at| args.get(at + 1)).map_or(0, |id| id.parse().unwrap_or(0));
                (args.get(1)? == role).then_some((pid, id))
            })
            .collect()
    }

    /// Waits until as many processes of a role live.
    pub(crate) fn wait_for_processes(&self, role: &str, count: usize) -> Vec<(Pid, u16)> {
        wait_for(&format!("{count} of role {role}"), || {
            let found = self.processes(role);
            (found.len() == count).then_some(found)
        })
    }

    /// Waits until at least this many tickets are in the log.
    pub(crate) fn wait_for_tickets(&self, count: u64) -> u64 {
        wait_for(&format!("{count} tickets"), || {
            let issued = self.verify()["issued"].as_u64()?;
            (issued >= count).then_some(issued)
        })
    }

    /// Makes sure that every id in a file of acknowledged ids is in the log. Returns how many there
    /// are, and all ids of the log.
    pub(crate) fn check_acks(&self, acks: &Path) -> (usize, BTreeSet<u64>) {
        let mut in_log = BTreeSet::new();
        reader::scan(&self.data_dir(), &mut |record| {
            let record = Record::decode(record.kind, record.key, record.value);
            if let Ok(Record::Issued(issued)) = record {
                in_log.insert(issued.id.0);
            }
        })
        .expect("the log is sound");
        let acked = std::fs::read_to_string(acks).expect("ids were acknowledged");
        let mut seen = BTreeSet::new();
        for line in acked.lines() {
            let id: u64 = line.parse().expect("an id stands alone on its line");
            assert!(in_log.contains(&id), "ticket {id} was acknowledged and is not in the log");
            seen.insert(id);
        }
        (seen.len(), in_log)
    }

    /// Runs `verify`, which may run beside the office.
    pub(crate) fn verify(&self) -> Value {
        let data_dir = self.data_dir();
        let output = run(&["verify", "--json", "--data-dir", &data_dir.display().to_string()]);
        serde_json::from_slice(&output.stdout).unwrap_or(Value::Null)
    }
}

impl Drop for Office {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            // Its children end with it.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Returns the arguments of a process; `None` if it is gone or a zombie.
pub(crate) fn arguments(pid: Pid) -> Option<Vec<String>> {
    let bytes = std::fs::read(format!("/proc/{pid}/cmdline")).ok()?;
    let args = bytes.split(|&byte| byte == 0).map(|arg| String::from_utf8_lossy(arg).into_owned());
    (!bytes.is_empty()).then(|| args.collect())
}

/// Returns all living descendants of a process.
pub(crate) fn descendants(ancestor: Pid) -> Vec<Pid> {
    let mut parents = Vec::new();
    for entry in Path::new("/proc").read_dir().expect("there is a /proc").flatten() {
        let Ok(pid) = entry.file_name().to_string_lossy().parse::<i32>() else { continue };
        let Ok(stat) = std::fs::read_to_string(entry.path().join("stat")) else { continue };
        let Some((_, fields)) = stat.rsplit_once(") ") else { continue };
        let mut fields = fields.split(' ');
        let (state, parent) = (fields.next(), fields.next());
        if state != Some("Z")
            && let Some(parent) = parent.and_then(|parent| parent.parse::<i32>().ok())
        {
            parents.push((pid, parent));
        }
    }
    let mut found = vec![ancestor.as_raw()];
    let mut at = 0;
    while at < found.len() {
        let parent = found[at];
        found.extend(parents.iter().filter(|(_, p)| *p == parent).map(|(pid, _)| *pid));
        at += 1;
    }
    found.into_iter().skip(1).map(Pid::from_raw).collect()
}

/// Returns whether a process lives.
pub(crate) fn is_alive(pid: Pid) -> bool {
    state(pid).is_some_and(|state| state != 'Z')
}

/// Returns whether a process stands still until it is continued.
pub(crate) fn is_stopped(pid: Pid) -> bool {
    state(pid) == Some('T')
}

/// Returns the letter that stands for a process's state; `None` if it is gone.
fn state(pid: Pid) -> Option<char> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, fields) = stat.rsplit_once(") ")?;
    fields.chars().next()
}
