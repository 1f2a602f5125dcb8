//! How tests wait for real processes: for something to read, never for a time to pass.

use std::os::fd::AsFd;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

/// How long a process that should be quick may take before it is called stuck.
const PATIENCE_MS: u16 = 20_000;

/// Waits until there is something to read, an end of stream included.
///
/// # Panics
/// When nothing comes for too long.
pub(super) fn wait_readable(fd: &impl AsFd) {
    let mut fds = [PollFd::new(fd.as_fd(), PollFlags::POLLIN)];
    loop {
        match poll(&mut fds, PollTimeout::from(PATIENCE_MS)) {
            Ok(0) => panic!("the process neither spoke nor ended"),
            Ok(_) => return,
            // Tests of signals and of deaths share this process and its handlers.
            Err(Errno::EINTR) => {}
            Err(errno) => panic!("cannot wait: {errno}"),
        }
    }
}
