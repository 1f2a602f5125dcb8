//! A panic of any thread: reported, written to a file, and the end of the run in good order.
//!
//! Whoever runs an office says where reports go and what is to happen; the office's own threads
//! need not know. A role's process has its own way: it ends and is replaced.

use std::backtrace::Backtrace;
use std::fmt::Write as _;
use std::panic::PanicHookInfo;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use engine::clock::WallTime;

use super::format;

/// The directory of reports, in the data directory.
pub(crate) const DIRECTORY: &str = "crash";

static HAS_PANICKED: AtomicBool = AtomicBool::new(false);
static IS_ARMED: AtomicBool = AtomicBool::new(false);

/// Returns whether any thread of this process has panicked.
pub(crate) fn has_panicked() -> bool {
    HAS_PANICKED.load(Ordering::Acquire)
}

/// Lets [`failpoint`] do what the environment asks for.
pub(crate) fn arm() {
    IS_ARMED.store(true, Ordering::Relaxed);
}

/// Panics if a test asks for it: a failure that can't be had otherwise; never in a release.
pub(crate) fn failpoint(name: &str) {
    let is_wanted = cfg!(debug_assertions)
        && IS_ARMED.load(Ordering::Relaxed)
        && std::env::var_os("POSTOFFICE_FAILPOINT").is_some_and(|wanted| wanted == name);
    assert!(!is_wanted, "asked for by a failpoint: {name}");
}

/// Watches for panics: `before` makes the terminal fit to be written to, `after` brings the run to
/// its end. Both are called on the thread that panics.
pub(crate) fn watch(
    data_dir: &Path,
    before: impl Fn() + Send + Sync + 'static,
    after: impl Fn() + Send + Sync + 'static,
) {
    let dir = data_dir.join(DIRECTORY);
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        HAS_PANICKED.store(true, Ordering::Release);
        before();
        usual(info);
        // Nobody may be there to read it, and the report itself must not fail the run once more.
        use std::io::Write as _;
        let mut err = std::io::stderr();
        let _ = match write(&dir, info) {
            Ok(path) => writeln!(err, "the report is in {}", path.display()),
            Err(error) => writeln!(err, "no report could be written to {}: {error}", dir.display()),
        };
        after();
    }));
}

fn write(dir: &Path, info: &PanicHookInfo<'_>) -> std::io::Result<PathBuf> {
    super::datadir::make_private_dir(dir).map_err(std::io::Error::other)?;
    let now = WallTime::now();
    let thread = std::thread::current();
    let thread = thread.name().unwrap_or("without a name");
    let (text, trace) = (info.to_string(), Backtrace::force_capture().to_string());
    let path = dir.join(format!("{}-{}.txt", format::stamp(now), std::process::id()));
    std::fs::write(&path, report(now, thread, &text, &trace))?;
    Ok(path)
}

fn report(now: WallTime, thread: &str, text: &str, trace: &str) -> String {
    let mut report = String::new();
    // Writing to a string can't fail.
    let _ = writeln!(report, "postoffice-tui {} panicked", env!("CARGO_PKG_VERSION"));
    let _ = writeln!(report, "when: {}", format::iso(now));
    let _ = writeln!(report, "thread: {thread}\n\n{text}\n\n{trace}");
    report
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_says_what_when_and_where() {
        let text = report(WallTime(0), "keys", "panicked at x.rs:1:1:\nno", "0: main");
        assert!(text.contains("1970-01-01") && text.contains("thread: keys"));
        assert!(text.ends_with("panicked at x.rs:1:1:\nno\n\n0: main\n"));
    }
}
