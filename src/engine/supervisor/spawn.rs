//! Starting processes of the own executable, and learning how they ended.
//!
//! A child gets its end of a socketpair as standard input, the control connection: it needs no
//! name and nobody else can have it. When either side dies the other reads the end of the stream.
//!
//! Why it is this way:
//! - No `pre_exec`, no user or group, and a program given as a path: then the standard library
//!   starts the child with `posix_spawn`, which costs the same however much memory the parent
//!   holds. What a child must do about itself it does itself (`birth.rs`).
//! - The program is the link `/proc/self/exe`, which names the very file that is running: a
//!   binary that is replaced during a run starts no children of another build.
//! - The environment is an allow list, so that what happens to be set where the director was
//!   started does not change how roles behave.
//! - Each child leads a process group: a Ctrl-C at the terminal reaches the director alone.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use nix::errno::Errno;
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid, waitpid};

use super::Pid;
use super::exit::Ending;
use super::stderr::StderrPipe;

/// The name that a role's command line begins with.
const PROGRAM_NAME: &str = "postoffice-tui";

/// Environment variables that children inherit, by name.
const INHERITED: [&str; 5] = ["PATH", "HOME", "LANG", "TZ", "RUST_BACKTRACE"];

/// Environment variables that children inherit, by the beginning of the name.
const INHERITED_PREFIXES: [&str; 3] = ["LC_", "XDG_", "POSTOFFICE_"];

/// Starts child processes. See the head of the file.
#[derive(Debug)]
pub struct Spawner {
    program: PathBuf,
    environment: Vec<(OsString, OsString)>,
}

/// Where a child's standard error goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stderr {
    /// To a pipe of its own, whose last lines are kept.
    Keep,
    /// To the standard error of this process. A users manager's children do that: with thousands
    /// of them a pipe for each would exhaust the descriptors of the process.
    Share,
}

/// A process that was just started.
#[derive(Debug)]
pub struct Spawned {
    /// Its process id; it stays valid until [`reap_dead`] has returned it.
    pub pid: Pid,
    /// Our end of the control connection, non-blocking.
    pub control: UnixStream,
    /// Its standard error, if it was to be kept.
    pub stderr: Option<StderrPipe>,
}

/// Why a process could not be started.
#[derive(Debug, thiserror::Error)]
pub enum SpawnError {
    /// EMFILE, ENFILE
    #[error(
        "cannot start {what}: no free file descriptor ({errno}); \
         raise the limit (ulimit -n) or want fewer processes"
    )]
    Descriptors {
        /// Role and id.
        what: String,
        /// Which limit it was, of the process or of the system.
        errno: Errno,
    },
    /// EAGAIN
    #[error(
        "cannot start {what}: the limit of processes is reached; \
         raise it (ulimit -u, or pids.max of the control group) or want fewer"
    )]
    Processes {
        /// Role and id.
        what: String,
    },
    /// ENOMEM
    #[error("cannot start {what}: out of memory; free some or want fewer processes")]
    Memory {
        /// Role and id.
        what: String,
    },
    /// Any other refusal.
    #[error("cannot start {what} from {program}: {errno}; check that the file may be executed")]
    Refused {
        /// Role and id.
        what: String,
        /// The executable.
        program: PathBuf,
        /// What the system says.
        errno: Errno,
    },
}

impl SpawnError {
    /// Returns what [`super::child::Input::SpawnFailed`] wants to know.
    pub fn errno(&self) -> Errno {
        match self {
            Self::Descriptors { errno, .. } | Self::Refused { errno, .. } => *errno,
            Self::Processes { .. } => Errno::EAGAIN,
            Self::Memory { .. } => Errno::ENOMEM,
        }
    }
}

impl Spawner {
    /// Returns a spawner of the executable that is running now.
    pub fn own_executable() -> Self {
        Self::new("/proc/self/exe")
    }

    /// Returns a spawner of another executable, given as a path with a slash in it; a bare name
    /// would be searched for, and slowly. The environment for children is taken now.
    pub fn new(program: impl Into<PathBuf>) -> Self {
        let environment = std::env::vars_os().filter(|(name, _)| is_inherited(name)).collect();
        Self { program: program.into(), environment }
    }

    /// Starts a process of a role, with the command line `postoffice-tui ROLE [--id ID] --parent
    /// PID`, so that `ps` explains itself and the child can check whose it is.
    ///
    /// Call it from a thread that lives as long as the process: the kernel takes the end of the
    /// spawning *thread* for the parent's death and kills the child (see `birth.rs`).
    ///
    /// # Errors
    /// When the system refuses; all but [`SpawnError::Refused`] may pass with time.
    pub fn spawn(
        &self,
        role: &str,
        id: Option<u16>,
        stderr: Stderr,
    ) -> Result<Spawned, SpawnError> {
        let id = id.map(|id| id.to_string());
        let parent = std::process::id().to_string();
        let mut args = vec![role];
        if let Some(id) = &id {
            args.extend(["--id", id]);
        }
        args.extend(["--parent", &parent]);
        self.launch(&args, stderr).map_err(|error| {
            let what = match &id {
                Some(id) => format!("{role} {id}"),
                None => String::from(role),
            };
            self.explain(what, &error)
        })
    }

    /// Starts the program with these arguments.
    fn launch(&self, args: &[&str], stderr: Stderr) -> io::Result<Spawned> {
        let (control, childs_end) = UnixStream::pair()?;
        control.set_nonblocking(true)?;
        // The command holds the child's end. It ends with this function, so that the child is the
        // only holder and its death is the end of the stream.
        let mut command = Command::new(&self.program);
        command
            .arg0(PROGRAM_NAME)
            .args(args)
            .env_clear()
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .process_group(0)
            .stdin(OwnedFd::from(childs_end))
            .stdout(Stdio::null())
            .stderr(match stderr {
                Stderr::Keep => Stdio::piped(),
                Stderr::Share => Stdio::inherit(),
            });
        let mut child = command.spawn()?;
        let pid = i32::try_from(child.id()).expect("a process id is a positive pid_t");
        // A pipe that cannot be read without blocking is given up, not the process.
        let stderr = child.stderr.take().and_then(|pipe| StderrPipe::new(pipe).ok());
        Ok(Spawned { pid: Pid::from_raw(pid), control, stderr })
    }

    fn explain(&self, what: String, error: &io::Error) -> SpawnError {
        // Only a NUL byte in an argument has no code, and roles and numbers have none.
        let errno = Errno::from_raw(error.raw_os_error().unwrap_or(Errno::EINVAL as i32));
        match errno {
            Errno::EMFILE | Errno::ENFILE => SpawnError::Descriptors { what, errno },
            Errno::EAGAIN => SpawnError::Processes { what },
            Errno::ENOMEM => SpawnError::Memory { what },
            _ => SpawnError::Refused { what, program: self.program.clone(), errno },
        }
    }
}

/// Returns whether a child gets this environment variable.
fn is_inherited(name: &OsStr) -> bool {
    let has_prefix = |prefix: &&str| name.as_encoded_bytes().starts_with(prefix.as_bytes());
    INHERITED.iter().any(|inherited| name == *inherited)
        || INHERITED_PREFIXES.iter().any(has_prefix)
}

/// Reaps every dead process among `pids`, which maps process ids to slots, and returns the slot
/// and the ending of each.
///
/// Usually the cost grows with the number of the dead. Only when a child that is not among `pids`
/// is dead and unreaped, each pid is asked for in turn; that child is left to whoever knows it.
pub fn reap_dead(pids: &BTreeMap<Pid, u16>) -> Vec<(u16, Pid, Ending)> {
    let mut dead = Vec::new();
    let mut reaped = BTreeSet::new();
    loop {
        let next = next_dead();
        if let NextDead::Pid(pid) = next
            && let Some(&slot) = pids.get(&pid)
            && let Some(ending) = reap(pid)
        {
            reaped.insert(pid);
            dead.push((slot, pid, ending));
            continue;
        }
        if !matches!(next, NextDead::None) {
            let rest = pids.iter().filter(|(pid, _)| !reaped.contains(*pid));
            dead.extend(rest.filter_map(|(&pid, &slot)| Some((slot, pid, reap(pid)?))));
        }
        return dead;
    }
}

/// The next child of this process that is dead and not reaped.
enum NextDead {
    Pid(Pid),
    None,
    /// The kernel's answer could not be read.
    Unclear,
}

/// Looks without reaping.
fn next_dead() -> NextDead {
    let flags = WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT;
    match waitid(Id::All, flags) {
        Ok(WaitStatus::StillAlive) => NextDead::None,
        Ok(status) => status.pid().map_or(NextDead::Unclear, NextDead::Pid),
        Err(_) => NextDead::Unclear,
    }
}

/// Reaps one process if it is dead; `None` as long as it lives.
///
/// A process that is no child of ours any more, for instance because another part of this program
/// has reaped it, has [`Ending::Lost`].
pub fn reap(pid: Pid) -> Option<Ending> {
    match waitpid(pid, Some(WaitPidFlag::WNOHANG)) {
        Ok(WaitStatus::Exited(_, code)) => Some(Ending::Code(code)),
        Ok(WaitStatus::Signaled(_, signal, _)) => Some(Ending::Signal(signal as i32)),
        Ok(_) | Err(Errno::EINTR) => None,
        // ECHILD: reaped by someone else. EINVAL: reaped, but a real-time signal has no name.
        Err(_) => Some(Ending::Lost),
    }
}

#[cfg(test)]
mod tests;
