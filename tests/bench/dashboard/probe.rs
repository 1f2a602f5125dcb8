//! What a process takes, thread by thread, as the kernel counts it.

use std::path::Path;

/// What a thread took since it began.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Used {
    /// Time on a CPU, in seconds.
    pub(crate) cpu: f64,
    /// Times that it stopped waiting for something.
    pub(crate) wakes: f64,
    /// Calls that wrote something; `None` where the kernel does not count them.
    pub(crate) writes: Option<f64>,
}

/// Which threads to count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Who {
    /// The model and drawing, keys, and the writer: what is there for the dashboard alone.
    Dashboard,
    /// The one that writes to the terminal.
    Writer,
    /// The director's thread.
    Director,
    /// All.
    All,
}

impl Who {
    fn has(self, is_main: bool, name: &str) -> bool {
        match self {
            // The process's first thread has the program's name.
            Self::Dashboard => is_main || name == "keys" || name == "terminal",
            Self::Writer => name == "terminal",
            Self::Director => name == "director",
            Self::All => true,
        }
    }
}

/// Returns what threads of a process took so far.
pub(crate) fn used(pid: u32, who: Who) -> Used {
    let mut all = Used { writes: Some(0.0), ..Used::default() };
    let tasks = Path::new("/proc").join(pid.to_string()).join("task");
    for task in tasks.read_dir().into_iter().flatten().flatten() {
        let read = |file: &str| std::fs::read_to_string(task.path().join(file)).unwrap_or_default();
        let is_main = task.file_name().to_string_lossy() == pid.to_string();
        if !who.has(is_main, read("comm").trim()) {
            continue;
        }
        let first = |text: &str| text.split_whitespace().next().and_then(|word| word.parse().ok());
        all.cpu += first(&read("schedstat")).unwrap_or(0.0) / 1e9;
        all.wakes += field(&read("status"), "voluntary_ctxt_switches:").unwrap_or(0.0);
        all.writes = all.writes.zip(field(&read("io"), "syscw:")).map(|(a, b)| a + b);
    }
    all
}

/// Returns the resident memory of a process in MiB.
pub(crate) fn resident(pid: u32) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    field(&status, "VmRSS:").unwrap_or(0.0) / 1024.0
}

/// Returns the first number behind a name at the start of a line.
fn field(text: &str, name: &str) -> Option<f64> {
    let rest = text.lines().find_map(|line| line.strip_prefix(name))?;
    rest.split_whitespace().next()?.parse().ok()
}
