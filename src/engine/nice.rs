//! Work that can wait for other work.

use nix::libc;

/// How much less a thread asks for than others do; the most is 19.
const NICE: libc::c_int = 10;

/// Lets the calling thread have a processor mostly when other threads leave one free. For work
/// beside a run that nobody waits for; there is no way back.
pub fn yield_to_others() {
    // On Linux each thread has a nice value of its own, and zero stands for the calling thread.
    // A thread that can't be made nice works all the same.
    //
    // SAFETY: the call takes plain numbers and touches no memory of ours.
    unsafe {
        libc::setpriority(libc::PRIO_PROCESS, 0, NICE);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The kernel's word on a thread: field 19 of its `stat`, counted behind the name.
    fn niceness(stat: &str) -> Option<i32> {
        stat.rsplit_once(") ")?.1.split(' ').nth(16)?.parse().ok()
    }

    #[test]
    fn only_the_calling_thread_is_nice() {
        let own = || std::fs::read_to_string("/proc/thread-self/stat").unwrap();
        let before = niceness(&own());
        let nice = std::thread::spawn(move || {
            yield_to_others();
            niceness(&own())
        });
        assert_eq!(nice.join().unwrap(), Some(NICE.max(before.unwrap())));
        assert_eq!(niceness(&std::fs::read_to_string("/proc/thread-self/stat").unwrap()), before);
    }
}
