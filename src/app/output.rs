//! Standard output, written in one place.
//!
//! Whoever reads may have read enough: a closed pipe is no error. Any other failure, such as a full
//! disk, is told once, and the program ends with the exit code for it.

use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, Ordering};

use super::exit::Exit;

static HAS_FAILED: AtomicBool = AtomicBool::new(false);

/// Writes text; returns whether there is any point in writing more.
pub(crate) fn say(text: &str) -> bool {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Ok(()) => true,
        Err(error) => {
            let is_first = !HAS_FAILED.load(Ordering::Relaxed);
            if error.kind() != io::ErrorKind::BrokenPipe && is_first {
                HAS_FAILED.store(true, Ordering::Relaxed);
                // Nobody may be there to read this either; the exit code says it too.
                let _ = writeln!(io::stderr(), "cannot write to standard output: {error}");
            }
            false
        }
    }
}

/// Returns the exit code of a program that would end with `exit`, had all its words been written.
pub(crate) fn exit(exit: Exit) -> Exit {
    let has_failed = HAS_FAILED.load(Ordering::Relaxed);
    if exit == Exit::Done && has_failed { Exit::Disk } else { exit }
}
